#include "tests/unit/kinds/backend_stage.hpp"

#include "probes/protocol/digest.hpp"

namespace livecanary::test {

HttpReply backend_says(int code, const std::string& data, const std::string& message) {
    return http_says::page(
        R"({"code":)" + std::to_string(code) + R"(,"message":")" + message + R"(","data":)" + data + "}",
        "application/json");
}

HttpReply empty_500() { return http_says::status(500); }

BackendStage::BackendStage() {
    env.dns = &dns;
    env.wall = [] { return WallTime(now); };
}

BackendStage::~BackendStage() = default;

std::string BackendStage::keys(const std::string& more) const {
    return "url = '" + server.url("") + "'\nuserid = '" + userid + "'\npassword = { env = 'PW' }\n" + more;
}

Probe BackendStage::made_of(const std::string& keys) {
    const FakeWorld world{.variables = {{"PW", "the-password"}, {"IM", "the-im-key"}, {"BAD", "another"}}};
    TomlText text(keys, world);
    Probe probe = backend_api::kind.make(text.reader());
    text.reader().unread();
    EXPECT_EQ(text.mistakes(), std::vector<std::string>{});
    return probe;
}

Probe BackendStage::make(const std::string& more) const { return made_of(keys(more)); }

RunResult BackendStage::run(const Probe& probe, Clock::duration timeout) {
    ProbeRun under_way(env, timeout);
    return await(io, probe.run(under_way));
}

std::pair<RunResult, Diagnosis> BackendStage::judge(const Probe& probe, Clock::duration timeout) {
    std::pair<RunResult, Diagnosis> judged{run(probe, timeout), {}};
    if (judged.first.outcome() != RunOutcome::failed) return judged;
    ProbeRun controls(env, 2 * timeout);
    judged.first.controls = await(io, probe.controls(controls, judged.first));
    judged.second = probe.diagnose(judged.first);
    return judged;
}

result<PeerAnswer> BackendStage::ask(const Probe& probe, std::string_view what, Facts with) {
    ProbeRun under_way(env, 30s);
    const Question question{.what = what, .with = std::move(with), .deadline = Clock::now() + 30s};
    return await(io, probe.answer(under_way, question));
}

std::vector<std::string> BackendStage::requests() const {
    std::vector<std::string> all;
    for (const auto& heard : server.heard()) all.push_back(heard.method + " " + heard.path());
    return all;
}

std::string BackendStage::row(const std::string& file_id, const std::string& ended, const std::string& url,
                              const std::string& started) {
    return R"({"userid":"livecanary_sh1","nickname":"","avatar":"","file_id":")" + file_id +
           R"(","title":null,"likecount":0,"viewercount":0,"frontcover":"","location":"","play_url":")" +
           url + R"(","create_time":")" + ended + R"(","hls_play_url":null,"start_time":)" + started + "}";
}

HttpReply BackendStage::answer(const HttpHeard& heard) {
    HttpReply reply = right(heard);
    reply.headers.emplace_back("Date", date);
    return reply;
}

HttpReply BackendStage::right(const HttpHeard& heard) {
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
    const bool is_valid = token_valid && is_signed && heard.headers.at("liteav-sig") == signature(heard.body);
    if (asked == "/refresh" && is_valid) return backend_says(200, R"({"token":"t","refresh_token":"r"})");
    if (asked == "/get_vod_list" || asked == "/get_cos_sign" || asked == "/refresh") {
        if (!is_valid) return backend_says(498, "[]");
        if (asked == "/get_vod_list") return backend_says(200, R"({"list":[)" + rows + "]}");
        return backend_says(
            200, R"({"signKey":")" + std::string(sign_key) + R"(","keyTime":")" + key_time + "\"}");
    }
    return http_says::status(404);
}

std::string BackendStage::token() const { return "token" + std::to_string(tokens); }

std::string BackendStage::signature(const std::string& body) const {
    using protocol::Digest, protocol::hex_digest;
    return hex_digest(Digest::md5, token() + hex_digest(Digest::md5, body));
}

std::string BackendStage::login_data() const {
    return R"({"token":")" + token() +
           R"(","refresh_token":"1","expires":86400,"roomservice_sign":{"sdkAppID":)" +
           std::to_string(user_sig.sdkappid) + R"(,"userID":"livecanary_sh1","userSig":")" +
           protocol::make_user_sig(user_sig, "the-im-key") +
           R"("},"cos_info":{"Bucket":"cover","Region":"ap-shanghai","Appid":"1250000000","SecretId":"AKIDtest"}})";
}

}  // namespace livecanary::test
