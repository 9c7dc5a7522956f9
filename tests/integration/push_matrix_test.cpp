// A push alone against real servers.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "tests/integration/matrix.hpp"
#include "tests/integration/servers.hpp"

namespace livecanary::test {
namespace {

using namespace std::chrono_literals;
using practice::signed_name;

/// The configuration of a push to the practice stack. Keys as given; empty ones are left out.
std::string config(const std::string& url, const std::string& key = {}, const std::string& backup = {},
                   const std::string& more = {}) {
    std::string toml =
        "url = " + quoted(url) + "\naddress = '127.0.0.1'\nmedia = '1s'\ntimeout = '8s'\n" + more + '\n';
    if (!key.empty()) toml += "push_key = " + quoted(key) + '\n';
    if (!backup.empty()) toml += "backup_key = " + quoted(backup) + '\n';
    return toml;
}

auto wall() { return std::chrono::system_clock::now(); }

class NginxMatrix : public testing::Test {
protected:
    void SetUp() override { LIVECANARY_NEEDS(Need::nginx_rtmp); }
    std::string url(const std::string& name, const std::string& app = "live") const {
        return "rtmp://" + std::string(NginxStack::domain) + ":" + std::to_string(stack->nginx.rtmp_port()) +
               "/" + app + "/" + name;
    }
    std::unique_ptr<NginxStack> stack =
        practice::NginxRtmp::installed() ? std::make_unique<NginxStack>() : nullptr;
    static constexpr const char* main_key = NginxStack::main_key;
    static constexpr const char* backup_key = NginxStack::backup_key;
};

/// The reason, where a server hangs up on media: Linux sends RST in place of FIN if some of it has come and
/// was not read, which is a matter of microseconds.
std::string_view hung_up(const Judged& judged) {
    return judged.run.code && judged.run.reason() == Reason::reset ? "reset" : "closed";
}

TEST_F(NginxMatrix, SuccessLeavesNothing) {
    expect("nginx-rtmp", "success", probe(config(url("ok"), main_key)), "ok");
    EXPECT_TRUE(stack->hook.wait_until(
        [](const practice::Seen& seen) { return seen.count("publish_done", "ok") == 1; }));
    EXPECT_EQ(stack->nginx.publishers(), 0);
}

TEST_F(NginxMatrix, SuccessWithDigestHandshake) {
    expect("nginx-rtmp", "success, digest handshake",
           probe(config(url("ok"), main_key, {}, "handshake = 'digest'")), "ok");
}

TEST_F(NginxMatrix, UnknownApp) {
    expect("nginx-rtmp", "unknown app", probe(config(url("x", "nosuch"), main_key)), "failed", "connect",
           "closed", "push_app_name_disabled");
}

TEST_F(NginxMatrix, WrongKey) {
    expect("nginx-rtmp", "wrong key", probe(config(url("x"), "not-the-key")), "failed", "publish", "closed",
           "push_refused", "push_wrong_hotlink_key");
}

TEST_F(NginxMatrix, MainKeyChanged) {
    stack->hook.set_main_key(NginxStack::domain, "a-new-main-key");
    expect("nginx-rtmp", "main key changed, backup key right", probe(config(url("x"), main_key, backup_key)),
           "failed", "publish", "closed", "push_wrong_hotlink_key");
}

TEST_F(NginxMatrix, IssuedUrlExpired) {
    expect("nginx-rtmp", "issued URL expired",
           probe(config(url(signed_name(main_key, "x", wall() - 1h)), main_key)), "failed", "publish",
           "closed", "push_url_expired");
}

TEST_F(NginxMatrix, IssuedUrlWithAnotherKey) {
    expect("nginx-rtmp", "issued URL, wrong key",
           probe(config(url(signed_name("old", "x", wall() + 1h)), main_key)), "failed", "publish", "closed",
           "push_wrong_hotlink_key");
}

TEST_F(NginxMatrix, IssuedUrlHalfSigned) {
    expect("nginx-rtmp", "issued URL without txSecret", probe(config(url("x?txTime=7FFFFFFF"), main_key)),
           "failed", "publish", "closed", "push_auth_params_missing");
}

TEST_F(NginxMatrix, NoKeyAtAll) {
    expect("nginx-rtmp", "no key configured", probe(config(url("x"))), "failed", "publish", "closed",
           "push_refused", "push_auth_params_missing");
}

TEST_F(NginxMatrix, UnknownDomain) {
    stack->hook.unknow(NginxStack::domain);
    expect("nginx-rtmp", "unknown domain", probe(config(url("x"), main_key)), "failed", "connect", "closed",
           "push_refused", "push_domain_disabled_or_icp");
}

TEST_F(NginxMatrix, UnknownDomainToldAtPublish) {
    stack->hook.unknow(NginxStack::domain);
    stack->hook.behave({.judge_domain_at_publish = true});
    expect("nginx-rtmp", "unknown domain, told at publish", probe(config(url("x"), main_key)), "failed",
           "publish", "closed", "push_refused");
}

TEST_F(NginxMatrix, NameBusy) {
    LIVECANARY_NEEDS(Need::ffmpeg);
    auto other = stack->ffmpeg(signed_name(main_key, "busy", wall() + 1h));
    other.seconds = 60;
    const auto publisher = start(other);
    ASSERT_TRUE(stack->hook.wait_until(
        [](const practice::Seen& seen) { return seen.count("publish", "busy") == 1; }));
    expect("nginx-rtmp", "stream busy", probe(config(url("busy"), main_key)), "failed", "publish", "rejected",
           "push_stream_name_conflict");
    EXPECT_EQ(stack->nginx.publishers(), 1) << "the other publisher must not be disturbed";
}

TEST_F(NginxMatrix, NameForbidden) {
    stack->hook.behave({.forbidden = {"x"}});
    expect("nginx-rtmp", "stream forbidden", probe(config(url("x"), main_key)), "failed", "publish", "closed",
           "push_refused", "push_stream_forbidden");
}

TEST_F(NginxMatrix, HookNeverAnswers) {
    stack->hook.behave({.hang = true});
    expect("nginx-rtmp", "hook never answers",
           probe(config(url("x"), main_key, {}, "") + "tx_time_lifetime = '2h'\n"), "failed", "publish",
           "timeout", "push_refused", "push_remote_auth_denied");
}

TEST_F(NginxMatrix, HookSlowButRight) {
    stack->hook.behave({.delay = 1500ms});
    const auto judged = probe(config(url("x"), main_key));
    expect("nginx-rtmp", "hook slow (1.5 s), then accepts", judged, "ok");
    const auto publish =
        std::ranges::find(judged.run.phases, "publish", [](const PhaseTime& p) { return p.phase.name; });
    ASSERT_NE(publish, judged.run.phases.end());
    EXPECT_GE(publish->took, 1500ms);
}

TEST_F(NginxMatrix, HookGone) {
    stack->hook.vanish();
    // on_connect is asked first, and nobody answers it.
    expect("nginx-rtmp", "hook gone", probe(config(url("x"), main_key)), "failed", "connect", "closed",
           "push_refused");
}

TEST_F(NginxMatrix, HookAnswers500) {
    stack->hook.behave({.status = 500});
    expect("nginx-rtmp", "hook answers 500", probe(config(url("x"), main_key)), "failed", "publish", "closed",
           "push_refused", "push_wrong_hotlink_key");
}

TEST_F(NginxMatrix, StartThenClose) {
    const auto judged = probe(config(url("x", "deny"), main_key));
    expect("nginx-rtmp", "publish forbidden by ACL (Start, FIN)", judged, "failed", "media", hung_up(judged),
           "push_app_name_disabled");
}

TEST_F(NginxMatrix, AppWithoutLive) {
    expect("nginx-rtmp", "app without live (silent)",
           probe(config(url("x", "nolive"), main_key) + "fail_after = 3\n"), "failed", "publish", "timeout",
           "push_refused", "push_remote_auth_denied");
}

TEST_F(NginxMatrix, Kicked) {
    const auto judged = probe("url = '" + url("x") +
                                  "'\naddress = '127.0.0.1'\nmedia = '10s'\ntimeout = '20s'\npush_key = '" +
                                  std::string(main_key) + "'\n",
                              {"media", 1500ms, [&] { EXPECT_EQ(stack->nginx.kick("live", "x"), 1); }});
    expect("nginx-rtmp", "kicked while pushing", judged, "failed", "media", hung_up(judged), "push_dropped");
}

TEST_F(NginxMatrix, KilledWhilePushing) {
    const auto judged = probe("url = '" + url("x") +
                                  "'\naddress = '127.0.0.1'\nmedia = '10s'\ntimeout = '20s'\npush_key = '" +
                                  std::string(main_key) + "'\n",
                              {"media", 1500ms, [&] { stack->nginx.stop(SIGKILL); }});
    expect("nginx-rtmp", "server killed while pushing", judged, "failed", "media", hung_up(judged),
           "push_dropped");
}

TEST_F(NginxMatrix, FrozenWhilePushing) {
    const auto judged = probe("url = '" + url("x") +
                                  "'\naddress = '127.0.0.1'\nmedia = '10s'\ntimeout = '20s'\npush_key = '" +
                                  std::string(main_key) + "'\n",
                              {"media", 1500ms, [&] { stack->nginx.freeze(); }});
    stack->nginx.thaw();
    expect("nginx-rtmp", "server frozen while pushing", judged, "failed", "media", "stalled", "push_dropped",
           "push_network_degraded");
}

TEST_F(NginxMatrix, NothingListens) {
    const auto target = url("x");
    stack->nginx.stop();
    expect("nginx-rtmp", "server down", probe(config(target, main_key)), "failed", "tcp", "refused",
           "push_tcp_refused");
}

TEST_F(NginxMatrix, HttpPort) {
    expect("nginx (HTTP)", "an HTTP port",
           probe(config("rtmp://push.example.com:" + std::to_string(stack->nginx.http_port()) + "/live/x",
                        main_key)),
           "failed", "handshake", "mismatch", "push_handshake_failed");
}

TEST_F(NginxMatrix, Rtmps) {
    LIVECANARY_NEEDS(Need::tls_front);
    const CertificateFiles certificate;
    const TlsFront front(certificate, stack->nginx.rtmp_port());
    const auto target = "://push.example.com:" + std::to_string(front.port()) + "/live/x";
    const auto trust = "ca_file = " + quoted(certificate.certificate().string());
    const auto judged = probe(config("rtmps" + target, main_key, {}, trust));
    expect("nginx-rtmp + stunnel", "success over TLS", judged, "ok");
    expect("nginx-rtmp + stunnel", "certificate not trusted", probe(config("rtmps" + target, main_key)),
           "failed", "tls", "certificate", "push_unreachable", "push_rtmps_cert_invalid");
    const auto plain = probe(config("rtmp" + target, main_key));
    expect("nginx-rtmp + stunnel", "plain RTMP to the TLS port", plain, "failed", "handshake",
           to_string(plain.run.reason()), "push_handshake_failed");
    EXPECT_NE(plain.run.reason(), Reason::local);
    expect("nginx-rtmp", "TLS to the plain port",
           probe("url = 'rtmps://push.example.com:" + std::to_string(stack->nginx.rtmp_port()) +
                 "/live/x'\naddress = '127.0.0.1'\nmedia = '1s'\ntimeout = '2s'\npush_key = 'k'\n"),
           "failed", "tls", "timeout", "push_handshake_failed");
}

/// A recording of what we pushed decodes without a word of complaint.
TEST(PushMedia, WhatAServerRecordedDecodes) {
    LIVECANARY_NEEDS(Need::nginx_rtmp);
    LIVECANARY_NEEDS(Need::ffmpeg);
    NginxStack stack({.record = true});
    const auto url = "rtmp://push.example.com:" + std::to_string(stack.nginx.rtmp_port()) + "/live/rec";
    const auto judged = probe("url = '" + url + "'\naddress = '127.0.0.1'\nmedia = '4s'\npush_key = '" +
                              std::string(NginxStack::main_key) + "'\n");
    expect("nginx-rtmp", "success, recorded", judged, "ok");
    ASSERT_TRUE(stack.hook.wait_until(
        [](const practice::Seen& seen) { return seen.count("publish_done", "rec") == 1; }));
    stack.nginx.stop(SIGQUIT);  // the file is complete once nginx has ended
    const auto files = stack.nginx.recordings("rec");
    ASSERT_EQ(files.size(), 1U);
    const practice::TemporaryDirectory directory;
    const auto said = directory.path() / "said";
    const std::string file = quoted(files.front().string());
    const std::string to = " 2>> " + quoted(said.string());
    ASSERT_EQ(std::system(("ffmpeg -nostdin -v warning -i " + file + " -f null - " + to).c_str()), 0);
    ASSERT_EQ(
        std::system(
            ("ffprobe -v warning -show_entries stream=codec_name,width,height,r_frame_rate -of csv=p=0 " +
             file + " > " + quoted((directory.path() / "probe").string()) + to)
                .c_str()),
        0);
    std::ostringstream words;
    words << std::ifstream(said).rdbuf();
    EXPECT_EQ(words.str(), "");
    std::ostringstream streams;
    streams << std::ifstream(directory.path() / "probe").rdbuf();
    EXPECT_NE(streams.str().find("h264,320,180,25/1"), std::string::npos) << streams.str();
    EXPECT_NE(streams.str().find("aac"), std::string::npos) << streams.str();
}

class NodeMatrix : public testing::TestWithParam<NodeMediaServer::Version> {
protected:
    void SetUp() override { LIVECANARY_NEEDS(Need::node); }
    static bool two() { return GetParam() == NodeMediaServer::Version::v2; }
    static const char* name() { return two() ? "node-media-server 2" : "node-media-server 4"; }
    static std::string url(const NodeMediaServer& server, const std::string& stream,
                           const std::string& app = "live") {
        return "rtmp://push.example.com:" + std::to_string(server.rtmp_port()) + "/" + app + "/" + stream;
    }
};
INSTANTIATE_TEST_SUITE_P(Versions, NodeMatrix,
                         testing::Values(NodeMediaServer::Version::v2, NodeMediaServer::Version::v4),
                         [](const auto& tested) {
                             return tested.param == NodeMediaServer::Version::v2 ? std::string("v2")
                                                                                 : std::string("v4");
                         });

TEST_P(NodeMatrix, Success) {
    NodeMediaServer server(GetParam());
    expect(name(), "success", probe(config(url(server, "ok"))), "ok");
    expect(name(), "unknown app (it accepts any)", probe(config(url(server, "ok", "nosuch"))), "ok");
    EXPECT_TRUE(server.running()) << server.log();
}

TEST_P(NodeMatrix, WrongSign) {
    NodeMediaServer server(GetParam(), {.sign_secret = "secret"});
    const auto right = NodeMediaServer::signed_name("secret", "x", wall() + 1h);
    expect(name(), "signed as it wants it", probe(config(url(server, right))), "ok");
    const auto wrong = probe(config(url(server, NodeMediaServer::signed_name("other", "x", wall() + 1h))));
    if (two()) {
        expect(name(), "wrong sign (Unauthorized, stays open)", wrong, "failed", "publish", "rejected",
               "push_refused");
    } else {
        expect(name(), "wrong sign (Start, FIN)", wrong, "failed", "media", to_string(wrong.run.reason()),
               "push_refused");
    }
    const auto late = probe(config(url(server, NodeMediaServer::signed_name("secret", "x", wall() - 1h))));
    expect(name(), "sign expired", late, "failed", two() ? "publish" : "media", to_string(late.run.reason()),
           "push_refused");
    EXPECT_TRUE(server.running()) << server.log();
}

TEST_P(NodeMatrix, TxSecretHook) {
    NodeMediaServer server(GetParam(), {.push_key = "key"});
    expect(name(), "txSecret right", probe(config(url(server, "x"), "key")), "ok");
    const auto wrong = probe(config(url(server, "x"), "other"));
    expect(name(), "wrong key", wrong, "failed", wrong.run.failed_phase(), to_string(wrong.run.reason()),
           "push_refused", "push_wrong_hotlink_key");
    expect(name(), "backup key only", probe(config(url(server, "x"), "other", "key")), "failed",
           wrong.run.failed_phase(), to_string(wrong.run.reason()), "push_wrong_hotlink_key");
    expect(name(), "issued URL expired",
           probe(config(url(server, signed_name("key", "x", wall() - 1h)), "key")), "failed",
           wrong.run.failed_phase(), to_string(wrong.run.reason()), "push_url_expired");
}

TEST_P(NodeMatrix, NameBusy) {
    LIVECANARY_NEEDS(Need::ffmpeg);
    NodeMediaServer server(GetParam());
    const auto publisher = start({.url = server.url("busy"), .seconds = 60});
    // The server says in its log when ffmpeg has come that far; the process is looked at between two looks.
    for (int looks = 0; looks < 200 && server.log().find("/live/busy") == std::string::npos; ++looks)
        ASSERT_FALSE(publisher->wait_for(50ms)) << server.log();
    const Judged judged = probe(config(url(server, "busy")));
    expect(name(), "stream busy", judged, "failed", judged.run.failed_phase(), to_string(judged.run.reason()),
           "push_refused", "push_stream_forbidden");
    EXPECT_TRUE(server.running()) << server.log();
}

TEST(OtherServers, FfmpegListenReceivesAndDecodes) {
    LIVECANARY_NEEDS(Need::ffmpeg);
    FfmpegListener server;
    expect("ffmpeg -listen", "success (any key)", probe(config(server.url("x"), "key")), "ok");
    EXPECT_EQ(server.finished(), 0) << server.log();
    EXPECT_GT(std::filesystem::file_size(server.recording()), 10'000U);
}

TEST(OtherServers, RtmpsrvUnderstandsUs) {
    LIVECANARY_NEEDS(Need::rtmpsrv);
    const Rtmpsrv server;
    // It ignores SetChunkSize, so we keep to its 128; it verifies our digest, and never answers a publish.
    expect("librtmp rtmpsrv", "never answers publish",
           probe("url = '" + server.url("x") +
                 "'\naddress = '127.0.0.1'\nmedia = '1s'\ntimeout = '2s'\nhandshake = 'digest'\nchunk_size = "
                 "128\n"),
           "failed", "publish", "timeout", "push_refused");
}

}  // namespace
}  // namespace livecanary::test
