// The stage itself: each real server starts, takes a right push, refuses a wrong one, and leaves nothing.
#include "tests/integration/servers.hpp"

#include <array>
#include <map>
#include <thread>

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <boost/system/system_error.hpp>

#include "tests/practice/http.hpp"

namespace livecanary::test {
namespace {

using namespace std::chrono_literals;
using practice::Seen;
using practice::signed_name;
using practice::Verdict;

std::chrono::system_clock::time_point in_an_hour() { return std::chrono::system_clock::now() + 1h; }

TEST(Process, EndsWithTheThreadThatStartedIt) {
    std::optional<practice::Process> child;
    std::thread([&] { child.emplace(practice::Command{.argv = {"sleep", "60"}}); }).join();
    EXPECT_EQ(child->wait_for(10s), 128 + SIGKILL);
}

TEST(Process, TellsHowAProgramEndedAndWhatItSaid) {
    const practice::TemporaryDirectory directory;
    practice::Process child({.argv = {"sh", "-c", "echo $WORD; exit 3"},
                             .env = {{"WORD", "heard"}},
                             .output = directory.path() / "output"});
    EXPECT_EQ(child.wait_for(10s), 3);
    EXPECT_EQ(child.output(), "heard\n");
    EXPECT_THROW(practice::Process({.argv = {"no-such-program"}}), std::system_error);
}

TEST(Process, StopEndsTheChildrenToo) {
    const practice::TemporaryDirectory directory;
    practice::Process shell(
        {.argv = {"sh", "-c", "sleep 60 & echo $!; wait"}, .output = directory.path() / "pid"});
    while (shell.output().empty() && !shell.wait_for(1ms)) {
    }
    // Readable once the process has ended, also if nobody collects its status.
    const int child = static_cast<int>(::syscall(SYS_pidfd_open, std::stoi(shell.output()), 0));
    ASSERT_GE(child, 0);
    pollfd ended{.fd = child, .events = POLLIN, .revents = 0};
    EXPECT_EQ(::poll(&ended, 1, 0), 0);
    shell.stop();
    EXPECT_EQ(::poll(&ended, 1, 10'000), 1);
    ::close(child);
}

TEST(Cloud, JudgesTheFirstFieldOfAName) {
    practice::Cloud cloud;
    cloud.domains["push.example.com"] = {.main_key = "key"};
    const auto now = std::chrono::system_clock::time_point(std::chrono::seconds(1'000'000'000));
    // nginx-rtmp appends the publisher's query: another name in it must not be the one that is judged.
    const std::string form =
        "app=live&tcurl=rtmp%3A%2F%2FPush.Example.com%3A1935%2Flive&call=publish&name=canary&type=live&";
    const auto query = [&](const std::string& name) {
        return signed_name("key", name, now + 1h).substr(name.size() + 1);
    };
    EXPECT_EQ(cloud.take(form + query("canary"), now), Verdict::accepted);
    EXPECT_EQ(cloud.take(form + query("canary"), now + 1h), Verdict::expired);
    EXPECT_EQ(cloud.take(form + query("other") + "&name=other", now), Verdict::wrong_secret);
    EXPECT_EQ(cloud.take(form + "txTime=5C271099", now), Verdict::unsigned_url);
    EXPECT_EQ(cloud.seen.calls.at(0).domain, "push.example.com");
    EXPECT_EQ(cloud.seen.count("publish", "canary"), 4U);
}

TEST(Cloud, SignsAsTheVendorsExample) {
    // Tencent Cloud, "Hotlink Protection URL Calculation", read 2026-11-21.
    EXPECT_EQ(practice::tx_secret("e12c46f2612d5106e2034781ab261ca3", "test", "5C271099"),
              "f85a2ab363fe4deaffef9754d79da6fe");
}

TEST(HookServer, IsToldWhatToDoOverHttp) {
    practice::HookServer hook;
    hook.on_kick(
        [](const std::string& app, const std::string& name) { return app + name == "livecanary" ? 1 : 0; });
    const auto control = [&](const char* method, const char* target, const char* body) {
        return practice::ask("127.0.0.1", hook.control_port(), method, target, body);
    };
    const auto publish = [&] {
        return practice::ask("127.0.0.1", hook.port(), "POST", "/",
                             "call=publish&app=live&name=canary&tcurl=rtmp://push.example.com/live")
            .status;
    };
    EXPECT_EQ(publish(), 403);
    EXPECT_EQ(control("PUT", "/domains/push.example.com", R"({"main_key":"k","auth":false})").status, 204);
    EXPECT_EQ(publish(), 200);
    EXPECT_EQ(control("POST", "/behaviour", R"({"status":500})").status, 200);
    EXPECT_EQ(publish(), 500);
    EXPECT_EQ(control("POST", "/behaviour", R"({"status":0,"refuse":true})").status, 200);
    EXPECT_EQ(publish(), 403);
    EXPECT_EQ(control("POST", "/behaviour", R"({"refuse":false,"hnag":true})").body,
              R"({"error":"unknown field hnag"})");
    EXPECT_EQ(control("POST", "/vanish", "").status, 204);
    EXPECT_THROW(publish(), boost::system::system_error);
    EXPECT_EQ(control("POST", "/reappear", "").status, 204);
    EXPECT_EQ(control("POST", "/behaviour", R"({"refuse":false})").status, 200);
    EXPECT_EQ(publish(), 200);
    EXPECT_EQ(control("GET", "/seen", "").body,
              R"({"publish":{"unknown_domain":1,"accepted":2,"told_to":2}})");
    EXPECT_EQ(control("POST", "/kick", R"({"name":"canary"})").body, R"({"dropped":1})");
    EXPECT_EQ(control("DELETE", "/domains/push.example.com", "").status, 204);
    EXPECT_EQ(control("DELETE", "/domains/push.example.com", "").status, 404);
    EXPECT_EQ(publish(), 403);
}

class Nginx : public testing::Test {
protected:
    void SetUp() override {
        LIVECANARY_NEEDS(Need::nginx_rtmp);
        LIVECANARY_NEEDS(Need::ffmpeg);
    }
};

TEST_F(Nginx, TakesPushesSignedWithTheMainOrTheBackupKey) {
    NginxStack stack({.record = true});
    const std::map<std::string, const char*> keys{{"first", NginxStack::main_key},
                                                  {"second", NginxStack::backup_key}};
    for (const auto& entry : keys) {
        const std::string& name = entry.first;
        const FfmpegResult push = run(stack.ffmpeg(signed_name(entry.second, name, in_an_hour())));
        EXPECT_EQ(push.status, 0) << push.log;
        EXPECT_TRUE(
            stack.hook.wait_until([&](const Seen& seen) { return seen.count("publish_done", name) == 1; }));
        const auto recordings = stack.nginx.recordings(name);
        ASSERT_EQ(recordings.size(), 1U);
        EXPECT_EQ(practice::read_file(recordings[0]).substr(0, 3), "FLV");
    }
    EXPECT_EQ(stack.hook.seen().count("publish", Verdict::accepted), 2U);
    EXPECT_EQ(stack.nginx.publishers(), 0);
}

struct Refusal {
    const char* what;
    std::string (*name)(std::chrono::system_clock::time_point now);
    void (*prepare)(NginxStack& stack);
    const char* call;
    Verdict verdict;
};
std::string right(std::chrono::system_clock::time_point now) {
    return signed_name(NginxStack::main_key, "canary", now + 1h);
}
void nothing(NginxStack&) {}
const Refusal refusals[] = {
    {"wrong_key", [](auto now) { return signed_name("another", "canary", now + 1h); }, nothing, "publish",
     Verdict::wrong_secret},
    {"key_of_another_name",
     [](auto now) { return "canary" + signed_name(NginxStack::main_key, "other", now + 1h).substr(5); },
     nothing, "publish", Verdict::wrong_secret},
    {"expired", [](auto now) { return signed_name(NginxStack::main_key, "canary", now - 1s); }, nothing,
     "publish", Verdict::expired},
    {"unsigned", [](auto) { return std::string("canary"); }, nothing, "publish", Verdict::unsigned_url},
    {"unknown_domain", right, [](NginxStack& stack) { stack.hook.unknow(NginxStack::domain); }, "connect",
     Verdict::unknown_domain},
    {"unknown_domain_judged_at_publish", right,
     [](NginxStack& stack) {
         stack.hook.unknow(NginxStack::domain);
         stack.hook.behave({.judge_domain_at_publish = true});
     },
     "publish", Verdict::unknown_domain},
    {"app_disabled", right,
     [](NginxStack& stack) {
         stack.hook.know(NginxStack::domain, {.main_key = NginxStack::main_key, .apps = {"other"}});
     },
     "publish", Verdict::unknown_app},
    {"main_key_switched", right,
     [](NginxStack& stack) { stack.hook.set_main_key(NginxStack::domain, "new"); }, "publish",
     Verdict::wrong_secret},
    {"forbidden", right, [](NginxStack& stack) { stack.hook.behave({.forbidden = {"canary"}}); }, "publish",
     Verdict::forbidden},
    {"busy", right, [](NginxStack& stack) { stack.hook.behave({.busy = {"canary"}}); }, "publish",
     Verdict::busy},
    {"told_to", right, [](NginxStack& stack) { stack.hook.behave({.refuse = true}); }, "publish",
     Verdict::told_to},
    {"told_to_at_connect", right,
     [](NginxStack& stack) { stack.hook.behave({.calls = {"connect"}, .refuse = true}); }, "connect",
     Verdict::told_to},
};

TEST_F(Nginx, RefusesForEachOfTheCloudsReasons) {
    const auto now = std::chrono::system_clock::now();
    for (const Refusal& refusal : refusals) {
        SCOPED_TRACE(refusal.what);
        // A clock that stands still: "an hour from now" and "a second ago" mean the same to both sides.
        NginxStack stack({}, {.now = [now] { return now; }});
        refusal.prepare(stack);
        const FfmpegResult push = run(stack.ffmpeg(refusal.name(now)));
        EXPECT_TRUE(push.status.has_value() && *push.status != 0) << push.log;
        EXPECT_EQ(stack.hook.seen().count(refusal.call, refusal.verdict), 1U);
        EXPECT_EQ(stack.hook.seen().count("publish", Verdict::accepted), 0U);
    }
}

TEST_F(Nginx, RefusesWhenTheHooksFail) {
    NginxStack stack;
    const auto refused = [&] {
        const FfmpegResult push =
            run(stack.ffmpeg(signed_name(NginxStack::main_key, "canary", in_an_hour())));
        return push.status.has_value() && *push.status != 0;
    };
    stack.hook.behave({.status = 500});
    EXPECT_TRUE(refused());
    stack.hook.behave({.drop = true});
    EXPECT_TRUE(refused());
    stack.hook.behave({});
    stack.hook.vanish();
    EXPECT_TRUE(refused());
    stack.hook.reappear();
    EXPECT_FALSE(refused());
}

TEST_F(Nginx, TakesAnyPushWithAuthenticationOff) {
    NginxStack stack;
    stack.hook.set_auth(NginxStack::domain, false);
    EXPECT_EQ(run(stack.ffmpeg("canary")).status, 0);
}

TEST_F(Nginx, WaitsForASlowHook) {
    NginxStack stack;
    stack.hook.behave({.delay = 300ms});
    EXPECT_EQ(run(stack.ffmpeg(signed_name(NginxStack::main_key, "canary", in_an_hour()))).status, 0);
    EXPECT_EQ(stack.hook.seen().count("publish", Verdict::accepted), 1U);
}

TEST_F(Nginx, KicksAPublisher) {
    NginxStack stack;
    FfmpegPush order = stack.ffmpeg(signed_name(NginxStack::main_key, "canary", in_an_hour()));
    order.seconds = 60;
    const auto push = start(order);
    ASSERT_TRUE(stack.hook.wait_until([](const Seen& seen) { return seen.count("publish", "canary") == 1; }));
    // The hook is asked before the stream is live.
    for (int looks = 0; looks < 200 && stack.nginx.publishers() == 0; ++looks)
        ASSERT_FALSE(push->wait_for(50ms));
    EXPECT_EQ(stack.nginx.publishers(), 1);
    EXPECT_EQ(stack.nginx.kick("live", "canary"), 1);
    EXPECT_NE(push->wait_for(15s).value_or(0), 0);
    EXPECT_TRUE(
        stack.hook.wait_until([](const Seen& seen) { return seen.count("publish_done", "canary") == 1; }));
}

TEST_F(Nginx, RefusesByItsOwnRules) {
    NginxStack stack;
    const std::string name = signed_name(NginxStack::main_key, "canary", in_an_hour());
    EXPECT_NE(run(stack.ffmpeg(name, "deny")).status.value_or(0), 0) << "publishing forbidden";
    EXPECT_NE(run(stack.ffmpeg(name, "no-such-app")).status.value_or(0), 0) << "unknown application";
    EXPECT_FALSE(run(stack.ffmpeg(name, "nolive"), 2s).status) << "silent where live is off";
    EXPECT_EQ(stack.hook.seen().count("publish"), 0U);
}

TEST_F(Nginx, LeavesNothingBehind) {
    std::filesystem::path recordings;
    std::uint16_t port = 0;
    {
        practice::NginxRtmp nginx({.record = true});
        port = nginx.rtmp_port();
        ASSERT_EQ(run({.url = nginx.url("open") + "/any", .seconds = 0.5}).status, 0);
        recordings = nginx.recordings("any").at(0);
    }
    EXPECT_FALSE(std::filesystem::exists(recordings.parent_path().parent_path()));
    const FfmpegResult late = run({.url = "rtmp://127.0.0.1:" + std::to_string(port) + "/open/any"});
    EXPECT_NE(late.log.find("Connection refused"), std::string::npos) << late.log;
}

TEST_F(Nginx, ComesBackOnItsPort) {
    practice::NginxRtmp nginx({});
    nginx.stop(SIGKILL);
    EXPECT_FALSE(nginx.running());
    nginx.start();
    EXPECT_EQ(run({.url = nginx.url("open") + "/any", .seconds = 0.5}).status, 0);
    nginx.freeze();
    nginx.thaw();
    EXPECT_EQ(run({.url = nginx.url("open") + "/any", .seconds = 0.5}).status, 0);
}

TEST_F(Nginx, SpeaksRtmpsBehindATlsFront) {
    LIVECANARY_NEEDS(Need::tls_front);
    const practice::NginxRtmp nginx({});
    const CertificateFiles certificate;
    const TlsFront front(certificate, nginx.rtmp_port());
    const FfmpegResult push =
        run({.url = "rtmps://127.0.0.1:" + std::to_string(front.port()) + "/open/any", .seconds = 0.5});
    EXPECT_EQ(push.status, 0) << push.log << front.log();
}

class NodeMedia : public testing::TestWithParam<NodeMediaServer::Version> {
protected:
    void SetUp() override {
        LIVECANARY_NEEDS(Need::node);
        LIVECANARY_NEEDS(Need::ffmpeg);
    }
};

TEST_P(NodeMedia, ChecksItsOwnSign) {
    const NodeMediaServer server(GetParam(), {.sign_secret = "practice-secret"});
    const auto push = [&](const std::string& secret) {
        return run({.url = server.url(NodeMediaServer::signed_name(secret, "canary", in_an_hour()))});
    };
    const FfmpegResult right_one = push("practice-secret");
    EXPECT_EQ(right_one.status, 0) << right_one.log << server.log();
    EXPECT_NE(push("another").status.value_or(0), 0) << server.log();
}

TEST_P(NodeMedia, ChecksTxSecretInItsHook) {
    const NodeMediaServer server(GetParam(), {.push_key = "practice-key"});
    const auto push = [&](const std::string& key, std::chrono::system_clock::time_point expires) {
        return run({.url = server.url(signed_name(key, "canary", expires))});
    };
    const FfmpegResult right_one = push("practice-key", in_an_hour());
    EXPECT_EQ(right_one.status, 0) << right_one.log << server.log();
    EXPECT_NE(push("another", in_an_hour()).status.value_or(0), 0) << server.log();
    EXPECT_NE(push("practice-key", std::chrono::system_clock::now() - 1h).status.value_or(0), 0)
        << server.log();
}

TEST_P(NodeMedia, SpeaksRtmps) {
    LIVECANARY_NEEDS(Need::tls_front);
    const CertificateFiles certificate;
    const NodeMediaServer server(
        GetParam(),
        {.tls = true, .certificate = certificate.certificate(), .private_key = certificate.private_key()});
    const FfmpegResult push = run(
        {.url = "rtmps://127.0.0.1:" + std::to_string(server.rtmps_port()) + "/live/any", .seconds = 0.5});
    EXPECT_EQ(push.status, 0) << push.log << server.log();
}

INSTANTIATE_TEST_SUITE_P(Versions, NodeMedia,
                         testing::Values(NodeMediaServer::Version::v2, NodeMediaServer::Version::v4),
                         [](const auto& version) {
                             return version.param == NodeMediaServer::Version::v2 ? "v2" : "v4";
                         });

TEST(FfmpegListen, RecordsWhatIsPushed) {
    LIVECANARY_NEEDS(Need::ffmpeg);
    FfmpegListener listener;
    const FfmpegResult push = run({.url = listener.url("any"), .seconds = 0.5});
    EXPECT_EQ(push.status, 0) << push.log << listener.log();
    EXPECT_EQ(listener.finished(), 0) << listener.log();
    EXPECT_EQ(practice::read_file(listener.recording()).substr(0, 3), "FLV");
}

TEST(RtmpsrvOracle, AnswersASimpleHandshake) {
    LIVECANARY_NEEDS(Need::rtmpsrv);
    const Rtmpsrv server;
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(Rtmpsrv::port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ASSERT_EQ(::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    std::array<char, 1537> c0_c1{3};
    ASSERT_EQ(::send(fd, c0_c1.data(), c0_c1.size(), MSG_NOSIGNAL), static_cast<ssize_t>(c0_c1.size()));
    const timeval patience{.tv_sec = 10, .tv_usec = 0};
    ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    std::array<char, 1537> s0_s1{};
    EXPECT_EQ(::recv(fd, s0_s1.data(), s0_s1.size(), MSG_WAITALL), static_cast<ssize_t>(s0_s1.size()));
    EXPECT_EQ(s0_s1[0], 3);
    ::close(fd);
}

TEST(RtmpsrvOracle, VerifiesADigestHandshake) {
    LIVECANARY_NEEDS(Need::rtmpsrv);
    LIVECANARY_NEEDS(Need::ffmpeg);
    const Rtmpsrv server;
    // ffmpeg signs its C2 with the short key: other servers do not look, this one does.
    EXPECT_NE(run({.url = server.url("any")}).status.value_or(0), 0);
    EXPECT_NE(server.log().find("Client not genuine Adobe"), std::string::npos) << server.log();
}

}  // namespace
}  // namespace livecanary::test
