#include "probes/callback/config.hpp"

#include <gtest/gtest.h>

#include "probes/callback/kind.hpp"
#include "tests/support/toml_text.hpp"

namespace livecanary::callback {
namespace {

using namespace std::chrono_literals;
using test::FakeWorld;
using test::TomlText;
using Mistakes = std::vector<std::string>;

const FakeWorld world{.variables = {{"KEY", "callback-key"}, {"OLD", "old-key"}}};

Config read_all(const std::string& keys, const Mistakes& expected = {}) {
    TomlText text(keys, world);
    Config config = read(text.reader());
    text.reader().unread();
    EXPECT_EQ(text.mistakes(), expected) << keys;
    return config;
}

const std::string needed =
    "url = 'https://backend.example.com/callback/tape_callback.php'\nkey = { env = 'KEY' }\n";

TEST(CallbackConfig, Defaults) {
    const Config config = read_all(needed);
    ASSERT_TRUE(config.url);
    EXPECT_EQ(*config.url, (net::HttpUrl{.tls = true,
                                         .host = "backend.example.com",
                                         .port = 443,
                                         .target = "/callback/tape_callback.php"}));
    EXPECT_EQ(config.key.reveal(), "callback-key");
    EXPECT_EQ(config.events, std::vector<std::int64_t>{1});
    EXPECT_TRUE(config.control);
    EXPECT_FALSE(config.loose_control || config.mutates || config.receive || config.address);
    EXPECT_EQ(config.stream_of("shanghai-1"), "livecanary_shanghai-1");
}

TEST(CallbackConfig, EveryKey) {
    const Config config = read_all(needed + R"(backup_key = { env = 'OLD' }
address = '192.0.2.1'
ca_file = 'ca.pem'
events = [1, 0, 100]
control = true
loose_control = true
mutates = true
domain = '1234.livepush.example.com'
app = 'show'
appid = 1250000000
stream_id = '1234_probe01'
record = { duration = '61s', every = '2h', video_url = 'http://v/x.mp4', file_format = 'HLS', video_id = false }
[receive]
listen = '[::1]:9878'
path = '/live'
expect = [1, 0, 100]
push = 'push-main'
expect_within = '30s'
record_within = '20m'
rate = 5
forward = 'http://backend/callback/tape_callback.php'
forward_within = '3s'
refusal_stands = '1m'
)");
    EXPECT_EQ(config.backup_key.reveal(), "old-key");
    EXPECT_EQ(config.address, asio::ip::make_address("192.0.2.1"));
    EXPECT_EQ(config.ca_file, "ca.pem");
    EXPECT_EQ(config.events, (std::vector<std::int64_t>{1, 0, 100}));
    EXPECT_TRUE(config.loose_control && config.mutates);
    EXPECT_EQ(config.domain, "1234.livepush.example.com");
    EXPECT_EQ(config.app, "show");
    EXPECT_EQ(config.appid, 1250000000);
    EXPECT_EQ(config.stream_of("x"), "1234_probe01");
    EXPECT_EQ(config.record.duration, 61s);
    EXPECT_EQ(config.record.every, 2h);
    EXPECT_EQ(config.record.video_url, "http://v/x.mp4");
    EXPECT_EQ(config.record.file_format, "HLS");
    EXPECT_FALSE(config.record.video_id);
    ASSERT_TRUE(config.receive);
    EXPECT_EQ(config.receive->listen, asio::ip::tcp::endpoint(asio::ip::make_address("::1"), 9878));
    EXPECT_EQ(config.receive->path, "/live");
    EXPECT_EQ(config.receive->expect, (std::vector<std::int64_t>{1, 0, 100}));
    EXPECT_EQ(config.receive->push, "push-main");
    EXPECT_EQ(config.receive->expect_within, 30s);
    EXPECT_EQ(config.receive->record_within, 20min);
    EXPECT_EQ(config.receive->rate, 5);
    EXPECT_EQ(config.receive->forward->host, "backend");
    EXPECT_EQ(config.receive->forward_within, 3s);
    EXPECT_EQ(config.receive->refusal_stands, 1min);
}

TEST(CallbackConfig, ReceiverAlone) {
    const Config config =
        read_all("key = { env = 'KEY' }\nreceive = { listen = '0.0.0.0:9878', path = '/live' }\n");
    EXPECT_FALSE(config.url);
    EXPECT_EQ(config.receive->expect, (std::vector<std::int64_t>{1, 0}));
    EXPECT_EQ(config.receive->expect_within, 60s);
    EXPECT_EQ(config.receive->record_within, 10min);
    EXPECT_EQ(config.receive->rate, 20);
    EXPECT_FALSE(config.receive->forward);
    EXPECT_EQ(config.receive->forward_within, 15s);
    EXPECT_EQ(config.receive->refusal_stands, 15min);
}

TEST(CallbackConfig, NothingGiven) {
    read_all("control = true\n", {"t.toml:1:1: probe.key: missing",
                                  "t.toml:1:1: probe.url: missing: nothing to send to or to receive",
                                  "t.toml:1:11: probe.control: needs url: nothing is sent without it"});
}

TEST(CallbackConfig, EveryMistakeWithItsPlace) {
    read_all(R"(url = 'backend.example.com'
key = { env = 'NOBODY' }
address = 'backend'
events = [1, 2, 1]
control = false
loose_control = true
appid = -1
record = { duration = '60s', every = '1s', video = 1 }
eventz = [1]
[receive]
listen = 'localhost:9878'
path = 'live?x'
expect = [332]
expect_within = '0s'
rate = 0
forward = 'backend'
forward_within = '20s'
)",
             {
                 "t.toml:2:15: probe.key.env: the environment variable 'NOBODY' is not set",
                 "t.toml:1:7: probe.url: expected http[s]://host[:port]/path, found 'backend.example.com'",
                 "t.toml:3:11: probe.address: expected an IPv4 or IPv6 address, found 'backend'",
                 "t.toml:4:14: probe.events: expected 1, 0 or 100, found 2",
                 "t.toml:4:17: probe.events: 1 stands here twice",
                 "t.toml:6:17: probe.loose_control: needs control = true",
                 "t.toml:7:9: probe.appid: expected 0 to 9007199254740992, found -1",
                 "t.toml:8:23: probe.record.duration: expected 1m1s to 1d, found 1m",
                 "t.toml:8:38: probe.record.every: expected 1m to 7d, found 1s",
                 "t.toml:8:44: probe.record.video: unknown key",
                 "t.toml:8:10: probe.record: is only for event 100",
                 "t.toml:11:10: probe.receive.listen: expected address:port, such as 0.0.0.0:9878, found "
                 "'localhost:9878'",
                 "t.toml:12:8: probe.receive.path: expected a path such as /live, found 'live?x'",
                 "t.toml:13:11: probe.receive.expect: expected 1, 0 or 100, found 332",
                 "t.toml:14:17: probe.receive.expect_within: expected 1s to 1h, found 0s",
                 "t.toml:15:8: probe.receive.rate: expected 1 to 10000, found 0",
                 "t.toml:16:11: probe.receive.forward: expected http[s]://host[:port]/path, found 'backend'",
                 "t.toml:17:18: probe.receive.forward_within: expected 1s to 19s, found 20s",
                 "t.toml:9:1: probe.eventz: unknown key; did you mean 'events'?",
             });
}

TEST(CallbackConfig, RecordingIsWrittenOnlyWhereAllowed) {
    read_all(
        needed + "events = [100]\nstream_id = 'a_b'\n",
        {"t.toml:3:10: probe.events: 100 makes the backend write a row: set mutates = true to allow it"});
    read_all(needed + "events = [100]\nmutates = true\n",
             {"t.toml:1:1: probe.stream_id: event 100 needs it: anything, '_', and the id of a user with a "
              "room"});
    read_all(needed + "events = [100]\nmutates = true\nstream_id = 'probe01'\n",
             {"t.toml:5:13: warning: probe.stream_id: has no '_': the backend takes what follows the first "
              "one for the user"});
    read_all(needed + "events = [100]\nmutates = true\nstream_id = 'a_b'\nrecord = { duration = '1h' }\n",
             {"t.toml:6:10: probe.record: every must be longer than duration: recordings would overlap"});
}

TEST(CallbackConfig, TargetHasNoQuery) {
    TomlText text("url = 'http://h:8080/cb?token=secret'\nkey = { env = 'KEY' }\n", world);
    EXPECT_EQ(kind.make(text.reader()).target, "http://h:8080/cb");
    TomlText alone("key = { env = 'KEY' }\nreceive = { listen = '[::]:9878', path = '/live' }\n", world);
    const Probe probe = kind.make(alone.reader());
    EXPECT_EQ(probe.target, "listens on [::]:9878/live");
    EXPECT_EQ(probe.advice.size(), 1U);
    EXPECT_TRUE(probe.background && probe.answer);
    TomlText both(
        "url = 'http://h:8080/cb'\nkey = { env = 'KEY' }\nreceive = { listen = '127.0.0.1:9878', path = "
        "'/live' }\n",
        world);
    const Probe sends_too = kind.make(both.reader());
    EXPECT_EQ(sends_too.target, "http://h:8080/cb");
    ASSERT_EQ(sends_too.advice.size(), 1U);
    EXPECT_NE(sends_too.advice[0].find(" 127.0.0.1:9878/live,"), std::string::npos) << "not the backend";
}

}  // namespace
}  // namespace livecanary::callback
