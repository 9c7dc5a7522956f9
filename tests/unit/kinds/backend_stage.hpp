#pragma once
// What the tests of backend_api share: a backend behind a scripted HTTP server that answers as the real one
// does, but for what a test puts in its place.
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <string>
#include <utility>

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include "probes/backend_api/kind.hpp"
#include "probes/net/resolver.hpp"
#include "probes/protocol/digest.hpp"
#include "probes/protocol/user_sig.hpp"
#include "tests/support/http_server.hpp"
#include "tests/support/name_server.hpp"
#include "tests/support/toml_text.hpp"

namespace livecanary::test {

using namespace std::chrono_literals;

/// One of the backend's JSON answers.
HttpReply backend_says(int code, const std::string& data = "{}", const std::string& message = "m");
HttpReply empty_500();

struct BackendStage {
    static constexpr std::chrono::seconds now{1795000000};  ///< `date`
    static constexpr const char* date = "Wed, 18 Nov 2026 11:06:40 GMT";
    static constexpr const char* userid = "livecanary_sh1";
    static constexpr const char* sign_key = "088481cddb8e28f280b382d1b2100dded532aa7b";

    asio::io_context io{};
    NameServer names{io};
    net::Resolver dns{io.get_executor(), {names.address()}};
    Env env{};
    /// By what it is asked: a path, or "nobody" for the login of a user that cannot exist, "unsigned" for the
    /// list without a signature.
    std::map<std::string, HttpReply> instead{};
    std::string rows{};  ///< of the list
    std::string key_time = "1795000000;1795000030";
    protocol::UserSig user_sig{.identifier = userid,
                               .sdkappid = 1400000000,
                               .time = std::chrono::sys_seconds(now),
                               .expire = std::chrono::hours(24)};
    int tokens = 0;           ///< logins so far: the token of the last is the valid one
    bool token_valid = true;  ///< false: signed requests are refused, whatever their token
    ScriptedHttpServer server{io, [this](const HttpHeard& heard) { return answer(heard); }};

    BackendStage();
    ~BackendStage();
    BackendStage(const BackendStage&) = delete;
    BackendStage& operator=(const BackendStage&) = delete;

    std::string keys(const std::string& more = {}) const;
    static Probe made_of(const std::string& keys);
    Probe make(const std::string& more = {}) const;
    RunResult run(const Probe& probe, Clock::duration timeout = 30s);
    /// One run and, if it failed, its controls and what follows from them.
    std::pair<RunResult, Diagnosis> judge(const Probe& probe, Clock::duration timeout = 30s);
    result<PeerAnswer> ask(const Probe& probe, std::string_view what, Facts with = {});
    /// Method and path of all requests, in order.
    std::vector<std::string> requests() const;

    static std::string row(const std::string& file_id, const std::string& ended = "2026-11-18 18:06:40",
                           const std::string& url = "http://v.example.com/f.mp4",
                           const std::string& started = "\"2026-11-18 17:06:40\"");

private:
    HttpReply answer(const HttpHeard& heard);
    HttpReply right(const HttpHeard& heard);
    std::string token() const;
    std::string signature(const std::string& body) const;
    std::string login_data() const;
};

}  // namespace livecanary::test
