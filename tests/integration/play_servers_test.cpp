// The stage for playback: each server that a play is proven on serves a right player, refuses a wrong one,
// and shows each fault it can be told to have.
#include <array>
#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <thread>

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>
#include <boost/asio/io_context.hpp>

#include "tests/integration/servers.hpp"
#include "tests/practice/delay_relay.hpp"
#include "tests/practice/http.hpp"
#include "tests/support/http_server.hpp"

namespace livecanary::test {
namespace {

using namespace std::chrono_literals;
using practice::Seen;
using practice::signed_name;
using practice::Verdict;

std::chrono::system_clock::time_point in_an_hour() { return std::chrono::system_clock::now() + 1h; }

std::string may_play(const std::string& name) { return signed_name(PlayStack::play_key, name, in_an_hour()); }

/// What curl says of a URL.
struct Fetched {
    int exit = -1;       ///< curl's own: 18 for a body cut short, 28 for a timeout
    std::string code{};  ///< HTTP status, "000" for none
    std::string body{};
};

std::unique_ptr<practice::Process> start_curl(const practice::TemporaryDirectory& directory,
                                              std::vector<std::string> arguments, const std::string& url) {
    std::vector<std::string> argv{
        "curl",        "--silent",     "--output",  (directory.path() / "body").string(),
        "--write-out", "%{http_code}", "--insecure"};
    argv.insert(argv.end(), arguments.begin(), arguments.end());
    argv.push_back(url);
    return std::make_unique<practice::Process>(
        practice::Command{.argv = std::move(argv), .output = directory.path() / "code"});
}

Fetched fetched(practice::Process& curl, const practice::TemporaryDirectory& directory) {
    return {.exit = curl.wait_for(20s).value_or(-1),
            .code = curl.output(),
            .body = practice::read_file(directory.path() / "body")};
}

Fetched fetch(const std::string& url, std::vector<std::string> arguments = {}) {
    const practice::TemporaryDirectory directory("livecanary-curl");
    return fetched(*start_curl(directory, std::move(arguments), url), directory);
}

/// The same as the play domain.
Fetched fetch(const FfmpegPlayer& player, std::vector<std::string> arguments = {}) {
    arguments.insert(arguments.end(), {"--header", "Host: " + player.host});
    return fetch(player.url, std::move(arguments));
}

/// The last segment a playlist names.
std::string last_segment(const std::string& playlist) {
    const auto end = playlist.rfind(".ts");
    if (end == std::string::npos) return {};
    const auto begin = playlist.rfind('\n', end) + 1;
    return playlist.substr(begin, end + 3 - begin);
}

TEST(Cloud, JudgesAPlayByThePlayKey) {
    practice::Cloud cloud;
    cloud.domains["play.example.com"] = {.play_key = "key", .play_backup_key = "spare", .push = false};
    cloud.domains["open.example.com"] = {.main_key = "key"};
    const auto now = std::chrono::system_clock::time_point(std::chrono::seconds(1'000'000'000));
    const auto rtmp = [&](const std::string& host, const std::string& name_and_query, const char* call) {
        const auto mark = std::min(name_and_query.find('?'), name_and_query.size());
        return cloud.take("app=live&tcurl=rtmp://" + host + "/live&call=" + call +
                              "&name=" + name_and_query.substr(0, mark) + "&" +
                              name_and_query.substr(std::min(mark + 1, name_and_query.size())),
                          now);
    };
    const std::string right = signed_name("key", "canary_500", now + 1h);
    EXPECT_EQ(rtmp("play.example.com", right, "play"), Verdict::accepted);
    EXPECT_EQ(rtmp("play.example.com", signed_name("spare", "canary", now + 1h), "play"), Verdict::accepted);
    EXPECT_EQ(rtmp("play.example.com", "canary", "play"), Verdict::unsigned_url);
    EXPECT_EQ(rtmp("play.example.com", signed_name("key", "canary", now), "play"), Verdict::expired);
    // A transcoding's full name is hashed.
    EXPECT_EQ(rtmp("play.example.com", "canary" + right.substr(std::string("canary_500").size()), "play"),
              Verdict::wrong_secret);
    EXPECT_EQ(rtmp("play.example.com", right, "publish"), Verdict::unknown_domain);
    EXPECT_EQ(rtmp("open.example.com", "canary", "play"), Verdict::accepted);
    EXPECT_EQ(rtmp("127.0.0.1", "canary", "play"), Verdict::accepted);
    EXPECT_EQ(rtmp("other.example.com", "canary", "play"), Verdict::unknown_domain);
    const std::size_t calls = cloud.seen.calls.size();
    EXPECT_EQ(cloud.take("app=&tcurl=&call=play&name=canary", now), Verdict::accepted) << "nginx's own relay";
    EXPECT_EQ(cloud.seen.calls.size(), calls);

    const auto http = [&](const char* host, const std::string& target) {
        return cloud.take_http_play(host, target, now);
    };
    const std::string query = right.substr(right.find('?'));
    EXPECT_EQ(http("Play.Example.com:8080", "/live/canary_500.m3u8" + query), Verdict::accepted);
    EXPECT_EQ(http("play.example.com", "/live/canary_500.flv" + query), Verdict::accepted);
    EXPECT_EQ(http("play.example.com", "/live/canary.flv" + query), Verdict::wrong_secret);
    EXPECT_EQ(http("play.example.com", "/live/canary.flv"), Verdict::unsigned_url);
    EXPECT_EQ(http("play.example.com", "/other/canary_500.flv" + query), Verdict::unknown_app);
    EXPECT_EQ(http("play.example.com", "/"), Verdict::unknown_app);
    EXPECT_EQ(http("other.example.com", "/live/canary_500.flv" + query), Verdict::unknown_domain);
    EXPECT_EQ(cloud.seen.count("http_play", "canary_500"), 4U);
}

TEST(HookServer, AnswersAFront) {
    practice::HookServer hook;
    const auto ask = [&] { return practice::ask("127.0.0.1", hook.port(), "GET", "/play_auth").status; };
    EXPECT_EQ(ask(), 200) << "a player's host";
    EXPECT_EQ(practice::ask("127.0.0.1", hook.control_port(), "PUT", "/domains/127.0.0.1",
                            R"({"play_key":"key","play_backup_key":"","push":false})")
                  .status,
              204);
    EXPECT_EQ(ask(), 403) << "no X-Original-URI, so no application";
    EXPECT_EQ(hook.seen().count("http_play", Verdict::accepted), 1U);
    EXPECT_EQ(hook.seen().count("http_play", Verdict::unknown_app), 1U);
}

class Playback : public testing::Test {
protected:
    void SetUp() override {
        LIVECANARY_NEEDS(Need::nginx_rtmp);
        LIVECANARY_NEEDS(Need::node);
        LIVECANARY_NEEDS(Need::ffmpeg);
        LIVECANARY_NEEDS(Need::curl);
    }
};

void expect_played(const FfmpegPlayed& played) {
    EXPECT_EQ(played.status, 0) << played.log;
    EXPECT_EQ(played.video, "h264");
    EXPECT_EQ(played.audio, "aac");
    EXPECT_EQ(played.width, 160);
    EXPECT_EQ(played.height, 90);
    EXPECT_GE(played.pictures, 20);
    EXPECT_GE(played.audio_frames, 20);
}

TEST_F(Playback, ComesOverRtmpHttpFlvAndHls) {
    const PlayStack stack;
    const auto push = stack.start_push("canary");
    ASSERT_TRUE(stack.wait_for_playlist("canary", *push));
    for (const FfmpegPlayer& player : {stack.rtmp(may_play("canary")), stack.http_flv(may_play("canary")),
                                       stack.hls(may_play("canary"))}) {
        SCOPED_TRACE(player.url.substr(0, player.url.find('?')));
        expect_played(play(player));
    }
    EXPECT_EQ(stack.push.hook.seen().count("play", Verdict::wrong_secret), 0U);
}

struct PlayRefusal {
    const char* what;
    std::string (*name)();
    void (*prepare)(practice::HookServer& hook);
    Verdict verdict;
    const char* code;
};
std::string right_play() { return may_play("canary"); }
const PlayRefusal play_refusals[] = {
    {"push_key", [] { return signed_name(NginxStack::main_key, "canary", in_an_hour()); }, nullptr,
     Verdict::wrong_secret, "403"},
    {"expired",
     [] { return signed_name(PlayStack::play_key, "canary", std::chrono::system_clock::now() - 1s); },
     nullptr, Verdict::expired, "403"},
    {"unsigned", [] { return std::string("canary"); }, nullptr, Verdict::unsigned_url, "403"},
    {"key_of_the_untranscoded_name",
     [] { return "canary_transcoded" + may_play("canary").substr(std::string("canary").size()); }, nullptr,
     Verdict::wrong_secret, "403"},
    {"unknown_domain", right_play, [](practice::HookServer& hook) { hook.unknow(PlayStack::domain); },
     Verdict::unknown_domain, "404"},
    {"app_disabled", right_play,
     [](practice::HookServer& hook) {
         hook.know(PlayStack::domain, {.apps = {"other"}, .play_key = PlayStack::play_key, .push = false});
     },
     Verdict::unknown_app, "404"},
    {"told_to", right_play,
     [](practice::HookServer& hook) {
         hook.behave({.calls = {"play", "http_play"}, .refuse = true});
     },
     Verdict::told_to, "403"},
};

TEST_F(Playback, IsRefusedForEachOfTheCloudsReasons) {
    PlayStack stack;
    const auto push = stack.start_push("canary");
    ASSERT_TRUE(stack.wait_for_playlist("canary", *push));
    for (const PlayRefusal& refusal : play_refusals) {
        SCOPED_TRACE(refusal.what);
        stack.push.hook.know(PlayStack::domain, {.play_key = PlayStack::play_key, .push = false});
        stack.push.hook.behave({});
        if (refusal.prepare != nullptr) refusal.prepare(stack.push.hook);
        stack.push.hook.forget();
        EXPECT_EQ(fetch(stack.hls(refusal.name())).code, refusal.code);
        EXPECT_EQ(fetch(stack.http_flv(refusal.name())).code, refusal.code);
        EXPECT_EQ(stack.push.hook.seen().count("http_play", refusal.verdict), 2U);
        const FfmpegPlayed played = play(stack.rtmp(refusal.name()));
        EXPECT_EQ(played.pictures, 0) << played.log;
        const char* const call = refusal.verdict == Verdict::unknown_domain ? "connect" : "play";
        EXPECT_EQ(stack.push.hook.seen().count(call, refusal.verdict), 1U);
    }
}

TEST_F(Playback, IsOpenWithoutAKey) {
    PlayStack stack;
    stack.push.hook.set_play_key(PlayStack::domain, "");
    const auto push = stack.start_push("canary");
    ASSERT_TRUE(stack.wait_for_playlist("canary", *push));
    EXPECT_EQ(fetch(stack.hls("canary")).code, "200");
    expect_played(play(stack.rtmp("canary")));
    EXPECT_EQ(fetch(stack.hls("nobody-pushes-this")).code, "404");
}

TEST_F(Playback, IsDelayedAndBrokenByTheHook) {
    PlayStack stack;
    const auto push = stack.start_push("canary");
    ASSERT_TRUE(stack.wait_for_playlist("canary", *push));
    stack.push.hook.behave({.calls = {"http_play"}, .delay = 1500ms});
    EXPECT_EQ(fetch(stack.hls(may_play("canary")), {"--max-time", "1"}).exit, 28);
    EXPECT_EQ(fetch(stack.hls(may_play("canary"))).code, "200");
    stack.push.hook.behave({.calls = {"http_play"}, .drop = true});
    EXPECT_EQ(fetch(stack.hls(may_play("canary"))).code, "500");
    stack.push.hook.behave({.calls = {"http_play"}, .status = 503});
    EXPECT_EQ(fetch(stack.http_flv(may_play("canary"))).code, "500");
}

TEST_F(Playback, ShowsTheFaultsOfTheFront) {
    PlayStack stack;
    const auto push = stack.start_push("canary");
    ASSERT_TRUE(stack.wait_for_playlist("canary", *push));
    const auto playlist = [&] { return fetch(stack.hls(may_play("canary"))); };
    const auto segment = [&](const std::string& name) { return fetch(stack.front.url() + "/" + name); };

    std::string name = last_segment(playlist().body);
    const Fetched whole = segment(name);
    EXPECT_EQ(whole.code, "200");
    EXPECT_EQ(whole.body.substr(0, 1), "\x47") << "the sync byte of MPEG-TS";

    stack.front.lose_segments(true);
    EXPECT_EQ(playlist().code, "200");
    EXPECT_EQ(segment(name).code, "404");
    stack.front.lose_segments(false);

    stack.front.serve_nothing(true);
    EXPECT_EQ(playlist().code, "404");
    EXPECT_EQ(fetch(stack.http_flv(may_play("canary"))).code, "404");
    stack.front.serve_nothing(false);

    stack.front.stand_still(true);
    const std::string still = playlist().body;
    name = last_segment(still);
    const auto source = stack.push.nginx.hls() / "live" / "canary.m3u8";
    // Until the segment is no longer in the real playlist: 6 s.
    for (int looks = 0; looks < 400 && practice::read_file(source).find(name) != std::string::npos; ++looks)
        ASSERT_FALSE(push->wait_for(50ms));
    EXPECT_EQ(playlist().body, still);
    EXPECT_EQ(segment(name).code, "200");
    stack.front.stand_still(false);
    EXPECT_NE(playlist().body, still);
}

TEST_F(Playback, ComesOverTls) {
    LIVECANARY_NEEDS(Need::tls_front);
    const CertificateFiles certificate({PlayStack::domain, "127.0.0.1"});
    const PlayStack stack(
        {.certificate = certificate.certificate(), .private_key = certificate.private_key()});
    const auto push = stack.start_push("canary");
    ASSERT_TRUE(stack.wait_for_playlist("canary", *push));
    const std::string name = may_play("canary");
    const std::string url = "https://" + std::string(PlayStack::domain) + ":" +
                            std::to_string(stack.front.tls_port()) + "/live/canary.m3u8";
    const std::string resolve =
        std::string(PlayStack::domain) + ":" + std::to_string(stack.front.tls_port()) + ":127.0.0.1";
    EXPECT_EQ(fetch(url + name.substr(name.find('?')), {"--resolve", resolve}).code, "200");
    EXPECT_EQ(fetch(url, {"--resolve", resolve}).code, "403");
}

TEST_F(Playback, OfATranscodingIsOfItsOwnName) {
    const PlayStack stack;
    const auto push = stack.start_push("canary");
    ASSERT_TRUE(stack.wait_for_playlist("canary", *push));
    const FfmpegTranscoder transcoder(
        stack.push.nginx.url() + "/canary",
        stack.push.ffmpeg(signed_name(NginxStack::main_key, "canary_transcoded", in_an_hour())));
    ASSERT_TRUE(stack.wait_for_playlist("canary_transcoded", *push)) << transcoder.log();
    expect_played(play(stack.rtmp(may_play("canary_transcoded"))));
    EXPECT_EQ(fetch(stack.hls("canary_transcoded" + may_play("canary").substr(6))).code, "403");
}

TEST_F(Playback, ComesFromBothVersionsOfNodeMediaServer) {
    for (const auto version : {NodeMediaServer::Version::v2, NodeMediaServer::Version::v4}) {
        SCOPED_TRACE(version == NodeMediaServer::Version::v2 ? "v2" : "v4");
        const NodeMediaServer server(version);
        const auto push = start({.url = server.url("canary"), .seconds = 60});
        const Fetched flv = fetch(server.flv_url("canary"), {"--max-time", "3"});
        EXPECT_EQ(flv.exit, 28) << "a stream has no end";
        EXPECT_EQ(flv.code, "200");
        EXPECT_EQ(flv.body.substr(0, 3), "FLV");
        expect_played(play({.url = server.flv_url("canary")}));
        const Fetched silence = fetch(server.flv_url("nobody-pushes-this"), {"--max-time", "1"});
        EXPECT_EQ(silence.exit, 28);
    }
}

/// A server for one client: what it is sent comes back.
class Echo {
public:
    Echo() : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address;
        ::bind(listener_, reinterpret_cast<const sockaddr*>(&address), size);
        ::listen(listener_, 1);
        ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
        port_ = ntohs(address.sin_port);
        thread_ = std::thread([this] { serve(); });
    }
    ~Echo() {
        ::shutdown(listener_, SHUT_RDWR);
        thread_.join();
        ::close(listener_);
    }
    Echo(const Echo&) = delete;
    Echo& operator=(const Echo&) = delete;
    std::uint16_t port() const { return port_; }

private:
    void serve() const {
        const int client = ::accept(listener_, nullptr, nullptr);
        if (client < 0) return;
        std::array<char, 4096> bytes{};
        for (ssize_t size = 0; (size = ::recv(client, bytes.data(), bytes.size(), 0)) > 0;)
            ::send(client, bytes.data(), static_cast<std::size_t>(size), MSG_NOSIGNAL);
        ::close(client);
    }
    int listener_;
    std::uint16_t port_ = 0;
    std::thread thread_;
};

TEST(DelayRelay, DelaysWhatTheServerSaysAndItsEnd) {
    using std::chrono::steady_clock;
    const Echo echo;
    practice::DelayRelay relay({.server_port = echo.port(), .delay = 300ms});
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(relay.port());
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ASSERT_EQ(::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    const timeval patience{.tv_sec = 10, .tv_usec = 0};
    ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    std::array<char, 16> bytes{};
    const auto say = [&](char c) {
        EXPECT_EQ(::send(fd, &c, 1, MSG_NOSIGNAL), 1);
        return steady_clock::now();
    };
    const auto hear = [&](std::size_t size) {
        const ssize_t got = ::recv(fd, bytes.data(), size, MSG_WAITALL);
        return got <= 0 ? std::string() : std::string(bytes.data(), static_cast<std::size_t>(got));
    };

    // How late it is at most is the machine's affair; never early is the relay's.
    auto said = say('a');
    EXPECT_EQ(hear(1), "a");
    EXPECT_GE(steady_clock::now() - said, 300ms);

    // A shorter delay does not let the second overtake the first.
    said = say('b');
    EXPECT_EQ(::recv(fd, bytes.data(), 1, MSG_DONTWAIT), -1);
    relay.set_delay(0ms);
    say('c');
    EXPECT_EQ(hear(2), "bc");

    relay.set_delay(400ms);
    said = steady_clock::now();
    ::shutdown(fd, SHUT_WR);
    EXPECT_EQ(hear(1), "");
    EXPECT_GE(steady_clock::now() - said, 400ms);
    ::close(fd);
}

TEST_F(Playback, GoesThroughADelay) {
    const PlayStack stack;
    const auto push = stack.start_push("canary");
    ASSERT_TRUE(stack.wait_for_playlist("canary", *push));
    const practice::DelayRelay relay({.server_port = stack.push.nginx.rtmp_port(), .delay = 500ms});
    expect_played(play({.url = "rtmp://127.0.0.1:" + std::to_string(relay.port()) + "/live/canary"}));
}

class ScriptedHttp : public testing::Test {
protected:
    void SetUp() override { LIVECANARY_NEEDS(Need::curl); }

    /// The same as fetch(), with the server on this thread.
    Fetched ask(const std::string& path, std::vector<std::string> arguments = {}) {
        const practice::TemporaryDirectory directory("livecanary-curl");
        const auto curl = start_curl(directory, std::move(arguments), server.url(path));
        io.restart();
        while (!curl->wait_for(0ms)) io.run_for(5ms);
        return fetched(*curl, directory);
    }

    boost::asio::io_context io;
    HttpPages pages;
    ScriptedHttpServer server{io, by_path(pages)};
};

TEST_F(ScriptedHttp, AnswersByPath) {
    pages["/live/a.m3u8"] = http_says::playlist("#EXTM3U\n");
    pages["/moved"] = http_says::redirect("/live/a.m3u8");
    pages["/refused"] = http_says::status(403);
    EXPECT_EQ(ask("/live/a.m3u8?txTime=1").body, "#EXTM3U\n");
    EXPECT_EQ(server.last().query(), "txTime=1");
    EXPECT_EQ(server.last().headers.at("host"), "127.0.0.1:" + std::to_string(server.port()));
    pages["/live/a.m3u8"].body = "#EXTM3U\n#EXT-X-ENDLIST\n";
    EXPECT_EQ(ask("/moved", {"--location"}).body, "#EXTM3U\n#EXT-X-ENDLIST\n");
    EXPECT_EQ(server.count("/live/a.m3u8"), 2U);
    EXPECT_EQ(server.connections(), 2U) << "the redirect is followed on its connection";
    EXPECT_EQ(ask("/moved").code, "302");
    EXPECT_EQ(ask("/refused").code, "403");
    EXPECT_EQ(ask("/absent").code, "404");
    server.answer(always(http_says::status(500)));
    EXPECT_EQ(ask("/absent").code, "500");
    EXPECT_TRUE(server.deserted());
}

TEST_F(ScriptedHttp, StreamsPieces) {
    int piece = 0;
    pages["/chunked"] = http_says::flv("FLV", {"one", "two"});
    pages["/closed"] = http_says::flv("FLV", {"one", "two"}, 1ms, HttpFraming::close);
    pages["/made"] = http_says::flv_as_due("FLV", [&]() -> std::optional<std::string> {
        return ++piece > 3 ? std::nullopt : std::optional(std::to_string(piece));
    });
    for (const char* path : {"/chunked", "/closed", "/chunked"}) {
        const Fetched flv = ask(path);
        EXPECT_EQ(flv.exit, 0);
        EXPECT_EQ(flv.body, "FLVonetwo");
    }
    EXPECT_EQ(ask("/made").body, "FLV123");
}

TEST_F(ScriptedHttp, FallsSilentAndBreaksOff) {
    pages["/mute"] = http_says::silence();
    pages["/head"] = http_says::silence_after_head(http_says::flv("FLV", {}));
    pages["/short"] = http_says::cut(http_says::segment("0123456789"), 4);
    pages["/chunk"] = http_says::cut(http_says::flv("FLV", {"0123456789"}), 7);
    pages["/reset"] = http_says::cut(http_says::segment("0123456789"), 4, HttpThen::reset);
    pages["/late"] = http_says::page("late");
    pages["/late"].delay = 30s;
    pages["/garbage"].raw = "this is no HTTP at all\r\n\r\n";
    pages["/garbage"].then = HttpThen::finish;
    constexpr int cut_short = 18, timed_out = 28, not_http = 1, broken = 56;
    const auto soon = std::vector<std::string>{"--max-time", "0.3"};
    const Fetched mute = ask("/mute", soon);
    EXPECT_EQ(mute.exit, timed_out);
    EXPECT_EQ(mute.code, "000");
    const Fetched head = ask("/head", soon);
    EXPECT_EQ(head.exit, timed_out);
    EXPECT_EQ(head.code, "200");
    EXPECT_EQ(head.body, "");
    EXPECT_EQ(ask("/late", soon).code, "000");
    const Fetched shorter = ask("/short");
    EXPECT_EQ(shorter.exit, cut_short);
    EXPECT_EQ(shorter.body, "0123");
    const Fetched chunk = ask("/chunk");
    EXPECT_EQ(chunk.exit, cut_short);
    EXPECT_EQ(chunk.body, "FLV0123");
    EXPECT_EQ(ask("/reset").exit, broken);
    EXPECT_EQ(ask("/garbage").exit, not_http);
}

}  // namespace
}  // namespace livecanary::test
