#pragma once
// What the tests of cos_roundtrip share: one bucket behind a scripted HTTP server, and runs against it.
#include <gtest/gtest.h>
#include <openssl/evp.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "probes/cos_roundtrip/kind.hpp"
#include "probes/net/resolver.hpp"
#include "probes/protocol/cos_sign.hpp"
#include "probes/protocol/crc64.hpp"
#include "tests/support/http_server.hpp"
#include "tests/support/memory_ledger.hpp"
#include "tests/support/name_server.hpp"
#include "tests/support/toml_text.hpp"

namespace livecanary::test {

using namespace std::chrono_literals;

inline std::string md5_hex(std::string_view bytes) {
    std::array<unsigned char, 16> digest{};
    EVP_Digest(bytes.data(), bytes.size(), digest.data(), nullptr, EVP_md5(), nullptr);
    std::string text;
    for (const auto byte : digest) {
        char digits[3];
        std::snprintf(digits, sizeof digits, "%02x", byte);
        text += digits;
    }
    return text;
}

inline std::string crc64_text(std::string_view bytes) {
    protocol::Crc64 crc;
    crc.feed(std::span(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()));
    return std::to_string(crc.value());
}

/// COS's answer to what it refuses (vendor's document 436/7730).
inline HttpReply cos_refuses(int status, const std::string& code, const std::string& message = "No.") {
    HttpReply reply = http_says::page("<?xml version='1.0' encoding='utf-8' ?>\n<Error><Code>" + code +
                                          "</Code><Message>" + message +
                                          "</Message><Resource>r</Resource><RequestId>i</RequestId>"
                                          "<TraceId>t</TraceId></Error>",
                                      "application/xml");
    reply.status = status;
    return reply;
}

/// The other probes of the daemon: a backend that hands out signKeys, and whoever asks for objects.
class CosPeers final : public Peers {
public:
    boost::asio::awaitable<result<PeerAnswer>> ask(std::string probe, Question question) override {
        asked.emplace_back(probe + " " + std::string(question.what));
        co_return say ? say() : result<PeerAnswer>(PeerError::no_such_probe);
    }
    bool is_asked(std::string_view probe) const override { return wanted.contains(probe); }
    void tell(Notice) override {}
    std::vector<Notice> told(std::string_view, std::uint64_t) const override { return {}; }

    std::function<result<PeerAnswer>()> say{};
    std::vector<std::string> asked{};             ///< "probe question"
    std::set<std::string, std::less<>> wanted{};  ///< probes that some other one asks
};

/// What a backend says whose clock stands at `now`.
inline PeerAnswer cos_handed_out(std::chrono::seconds now, std::chrono::seconds width = 30s,
                                 const std::string& secret_key = "the-secret-key") {
    const protocol::KeyTime key_time{std::chrono::sys_seconds(now), std::chrono::sys_seconds(now + width)};
    PeerAnswer answer;
    answer.facts = {{"secret_id", "AKIDtest"}, {"key_time", key_time.to_string()},
                    {"bucket", "cover"},       {"region", "ap-shanghai"},
                    {"appid", "1250000000"},   {"date", std::to_string(now.count())}};
    answer.secrets.emplace("sign_key", config::Secret(protocol::cos_sign_key(secret_key, key_time)));
    return answer;
}

/// A failed run as the daemon judges it.
struct CosJudged {
    RunResult run{};
    Diagnosis diagnosis{};
};

/// The bucket answers rightly but for what stands in `instead`; its requests are counted from 0.
struct CosStage {
    static constexpr const char* bucket = "cover-1250000000";
    static constexpr const char* host = "cover-1250000000.cos.ap-shanghai.myqcloud.com";
    static constexpr const char* date = "Wed, 18 Nov 2026 11:06:40 GMT";
    static constexpr std::chrono::seconds date_unix{1795000000};  ///< `date`
    static constexpr std::size_t put = 0, head = 1, get = 2, erase = 3, head_again = 4;

    asio::io_context io{};
    NameServer names{io};
    net::Resolver dns{io.get_executor(), {names.address()}};
    MemoryLedger ledger{};
    CosPeers peers{};
    Env env{};
    std::map<std::size_t, HttpReply> instead{};
    /// Changes every right answer.
    std::function<void(const HttpHeard&, HttpReply&)> changed{};
    std::optional<std::string> object{};     ///< what lies in the bucket
    std::vector<std::size_t> recorded_at{};  ///< entries of the ledger when each request came
    ScriptedHttpServer server{io, [this](const HttpHeard& heard) { return answer(heard); }};

    CosStage() {
        env.dns = &dns;
        env.ledger = &ledger;
        env.peers = &peers;
        env.probe = "cover";
        env.location = "Here-1";
        env.wall = [] { return WallTime(date_unix); };
    }

    std::string keys(const std::string& more = {}) const {
        return "bucket = '" + std::string(bucket) +
               "'\nregion = 'ap-shanghai'\nsecret_id = 'AKIDtest'\nsecret_key = { env = 'COS' }\nendpoint = "
               "'http://" +
               host + ":" + std::to_string(server.port()) + "'\naddress = '127.0.0.1'\n" + more;
    }
    /// A backend signs.
    std::string backend_keys(const std::string& more = {}) const {
        return "signature = { backend = 'mini-live' }\nendpoint = "
               "'http://{bucket}.cos.{region}.myqcloud.com:" +
               std::to_string(server.port()) + "'\naddress = '127.0.0.1'\n" + more;
    }
    static Probe made_of(const std::string& keys) {
        const FakeWorld world{
            .variables = {{"COS", "the-secret-key"}, {"TOKEN", "the-token"}, {"OWN", "our-own-key"}}};
        TomlText text(keys, world);
        Probe probe = cos_roundtrip::kind.make(text.reader());
        text.reader().unread();
        EXPECT_EQ(text.mistakes(), std::vector<std::string>{});
        return probe;
    }
    Probe make(const std::string& more = {}) const { return made_of(keys(more)); }
    RunResult run(const Probe& probe, Clock::duration timeout = 30s) {
        ProbeRun under_way(env, timeout);
        return await(io, probe.run(under_way));
    }
    /// One run and, if it failed, its controls and what follows from them.
    CosJudged judge(const Probe& probe, Clock::duration timeout = 30s) {
        CosJudged judged{.run = run(probe, timeout)};
        if (judged.run.outcome() != RunOutcome::failed) return judged;
        ProbeRun controls(env, 2 * timeout);
        judged.run.controls = await(io, probe.controls(controls, judged.run));
        judged.diagnosis = probe.diagnose(judged.run);
        return judged;
    }
    /// The methods of all requests, in order.
    std::string methods() const {
        std::string all;
        for (const auto& heard : server.heard()) all += (all.empty() ? "" : " ") + heard.method;
        return all;
    }
    /// The object is gone, but a PUT that we gave up on may make it yet, after our DELETE: it stays written
    /// down, so that a later sweep deletes it once more.
    void expect_deleted_and_written_down() const {
        EXPECT_EQ(object, std::nullopt) << "left in the bucket after " << methods();
        EXPECT_EQ(ledger.kept.size(), 1U) << methods();
    }
    void expect_clean() const {
        EXPECT_EQ(object, std::nullopt) << "left in the bucket after " << methods();
        EXPECT_TRUE(ledger.kept.empty()) << "left in the ledger after " << methods();
    }

private:
    HttpReply answer(const HttpHeard& heard) {
        const std::size_t number = recorded_at.size();
        recorded_at.push_back(ledger.kept.size());
        const auto other = instead.find(number);
        const bool refused = other != instead.end() && other->second.status / 100 == 4;
        if (refused) return other->second;
        HttpReply reply = right(heard);
        if (changed) changed(heard, reply);
        return other == instead.end() ? reply : other->second;
    }
    HttpReply right(const HttpHeard& heard) {
        const auto with_facts = [&](HttpReply reply) {
            reply.headers.insert(reply.headers.end(), {{"Date", date},
                                                       {"x-cos-request-id", "request-of-" + heard.method},
                                                       {"x-cos-trace-id", "trace"}});
            if (object)
                reply.headers.insert(reply.headers.end(), {{"ETag", "\"" + md5_hex(*object) + "\""},
                                                           {"x-cos-hash-crc64ecma", crc64_text(*object)}});
            return reply;
        };
        if (heard.method == "PUT") {
            object = heard.body;
            return with_facts({});
        }
        if (heard.method == "DELETE") {
            object.reset();
            return with_facts({.status = 204});
        }
        if (heard.path() == "/") return with_facts(http_says::page("<ListBucketResult/>", "application/xml"));
        if (!object)
            return with_facts(heard.method == "HEAD" ? HttpReply{.status = 404}
                                                     : cos_refuses(404, "NoSuchKey"));
        if (heard.method == "GET") return with_facts(http_says::page(*object, "application/octet-stream"));
        // Without its body, which the server would send.
        HttpReply reply = with_facts({});
        reply.raw = "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(object->size()) + "\r\n";
        for (const auto& [name, value] : reply.headers) *reply.raw += name + ": " + value + "\r\n";
        *reply.raw += "\r\n";
        return reply;
    }
};

}  // namespace livecanary::test
