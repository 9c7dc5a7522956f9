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
inline HttpReply backend_says(int code, const std::string& data = "{}", const std::string& message = "m") {
    return http_says::page(
        R"({"code":)" + std::to_string(code) + R"(,"message":")" + message + R"(","data":)" + data + "}",
        "application/json");
}
inline HttpReply empty_500() { return http_says::status(500); }

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

    BackendStage() {
        env.dns = &dns;
        env.wall = [] { return WallTime(now); };
    }

    std::string keys(const std::string& more = {}) const {
        return "url = '" + server.url("") + "'\nuserid = '" + userid + "'\npassword = { env = 'PW' }\n" +
               more;
    }
    static Probe made_of(const std::string& keys) {
        const FakeWorld world{
            .variables = {{"PW", "the-password"}, {"IM", "the-im-key"}, {"BAD", "another"}}};
        TomlText text(keys, world);
        Probe probe = backend_api::kind.make(text.reader());
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
    std::pair<RunResult, Diagnosis> judge(const Probe& probe, Clock::duration timeout = 30s) {
        std::pair<RunResult, Diagnosis> judged{run(probe, timeout), {}};
        if (judged.first.outcome() != RunOutcome::failed) return judged;
        ProbeRun controls(env, 2 * timeout);
        judged.first.controls = await(io, probe.controls(controls, judged.first));
        judged.second = probe.diagnose(judged.first);
        return judged;
    }
    result<PeerAnswer> ask(const Probe& probe, std::string_view what, Facts with = {}) {
        ProbeRun under_way(env, 30s);
        const Question question{.what = what, .with = std::move(with), .deadline = Clock::now() + 30s};
        return await(io, probe.answer(under_way, question));
    }
    /// Method and path of all requests, in order.
    std::vector<std::string> requests() const {
        std::vector<std::string> all;
        for (const auto& heard : server.heard()) all.push_back(heard.method + " " + heard.path());
        return all;
    }

    static std::string row(const std::string& file_id, const std::string& ended = "2026-11-18 18:06:40",
                           const std::string& url = "http://v.example.com/f.mp4",
                           const std::string& started = "\"2026-11-18 17:06:40\"") {
        return R"({"userid":"livecanary_sh1","nickname":"","avatar":"","file_id":")" + file_id +
               R"(","title":null,"likecount":0,"viewercount":0,"frontcover":"","location":"","play_url":")" +
               url + R"(","create_time":")" + ended + R"(","hls_play_url":null,"start_time":)" + started +
               "}";
    }

private:
    HttpReply answer(const HttpHeard& heard) {
        HttpReply reply = right(heard);
        reply.headers.emplace_back("Date", date);
        return reply;
    }
    HttpReply right(const HttpHeard& heard) {
        const bool is_signed = heard.headers.contains("liteav-sig");
        const bool nobody = heard.path() == "/login" && heard.body.find(userid) == std::string::npos;
        const std::string asked = nobody                                          ? "nobody"
                                  : heard.path() == "/get_vod_list" && !is_signed ? "unsigned"
                                                                                  : heard.path();
        if (const auto other = instead.find(asked); other != instead.end()) return other->second;
        if (asked == "/") return http_says::status(403);
        if (asked == "/interface.php") return backend_says(400, "[]");
        if (asked == "unsigned") return backend_says(498, "[]");
        if (asked == "nobody") return backend_says(620);
        if (asked == "/login") {
            ++tokens;
            return backend_says(200, login_data());
        }
        const bool is_valid =
            token_valid && is_signed && heard.headers.at("liteav-sig") == signature(heard.body);
        if (asked == "/refresh" && is_valid) return backend_says(200, R"({"token":"t","refresh_token":"r"})");
        if (asked == "/get_vod_list" || asked == "/get_cos_sign" || asked == "/refresh") {
            if (!is_valid) return backend_says(498, "[]");
            if (asked == "/get_vod_list") return backend_says(200, R"({"list":[)" + rows + "]}");
            return backend_says(
                200, R"({"signKey":")" + std::string(sign_key) + R"(","keyTime":")" + key_time + "\"}");
        }
        return http_says::status(404);
    }
    std::string token() const { return "token" + std::to_string(tokens); }
    std::string signature(const std::string& body) const {
        using protocol::Digest, protocol::hex_digest;
        return hex_digest(Digest::md5, token() + hex_digest(Digest::md5, body));
    }
    std::string login_data() const {
        return R"({"token":")" + token() +
               R"(","refresh_token":"1","expires":86400,"roomservice_sign":{"sdkAppID":)" +
               std::to_string(user_sig.sdkappid) + R"(,"userID":"livecanary_sh1","userSig":")" +
               protocol::make_user_sig(user_sig, "the-im-key") +
               R"("},"cos_info":{"Bucket":"cover","Region":"ap-shanghai","Appid":"1250000000","SecretId":"AKIDtest"}})";
    }
};

}  // namespace livecanary::test
