#pragma once
// What the tests of cdn_fetch share: an edge and an origin behind scripted HTTP servers, a probe that has an
// object to give, and runs against them.
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>

#include "probes/cdn_fetch/kind.hpp"
#include "tests/support/fake_peers.hpp"
#include "tests/unit/kinds/cos_stage.hpp"

namespace livecanary::test {

/// Both answer rightly but for what `edge_answers` and `origin_answers` change of it.
struct CdnStage {
    static constexpr const char* domain = "cover.cdn.example.com";
    static constexpr const char* path = "/livecanary/a%20b.bin";
    using Change = std::function<void(const HttpHeard&, HttpReply&)>;

    asio::io_context io{};
    NameServer names{io};
    net::Resolver dns{io.get_executor(), {names.address()}};
    FakePeers peers{};
    Env env{};
    std::string object = std::string(5000, 'x') + "the end";
    bool cached = false;  ///< the edge has it
    Change edge_answers{}, origin_answers{};
    ScriptedHttpServer edge{io, [this](const HttpHeard& heard) { return edge_reply(heard); }};
    ScriptedHttpServer origin{io, [this](const HttpHeard& heard) { return origin_reply(heard); }};
    std::weak_ptr<int> held{};  ///< alive as long as the probe holds the object

    CdnStage();
    ~CdnStage();
    CdnStage(const CdnStage&) = delete;
    CdnStage& operator=(const CdnStage&) = delete;

    /// What cos_roundtrip answers.
    PeerAnswer answer();
    void offer();

    std::string keys(const std::string& more = {}) const;
    std::string fixed(const std::string& more = {}) const;
    std::string fixed_origin() const;
    static Probe made_of(const std::string& keys);
    Probe make(const std::string& more = {}) const;
    RunResult run(const Probe& probe, Clock::duration timeout = 30s);
    /// One run and, if it failed, its controls and what follows from them.
    CosJudged judge(const Probe& probe, Clock::duration timeout = 30s);
    /// A page of the CDN's own.
    static HttpReply refuses(int status);

private:
    HttpReply with_facts() const;
    HttpReply edge_reply(const HttpHeard& heard);
    HttpReply origin_reply(const HttpHeard& heard);
};

}  // namespace livecanary::test
