#include "probes/rtmp_push/config.hpp"

#include <gtest/gtest.h>

#include "probes/rtmp_push/kind.hpp"
#include "tests/support/toml_text.hpp"

namespace livecanary::rtmp_push {
namespace {

using namespace std::chrono_literals;
using test::FakeWorld;
using test::TomlText;
using Mistakes = std::vector<std::string>;

const FakeWorld world{.variables = {{"MAIN", "main-key"}, {"BACKUP", "backup-key"}}};

Config read_all(const std::string& keys, const Mistakes& expected = {}) {
    TomlText text(keys, world);
    Config config = read(text.reader());
    text.reader().unread();
    EXPECT_EQ(text.mistakes(), expected);
    return config;
}

TEST(RtmpPushConfig, Defaults) {
    const Config config = read_all("url = 'rtmp://push.example.com/live/canary'");
    EXPECT_EQ(config.url,
              (protocol::PushUrl{.host = "push.example.com", .app = "live", .stream_name = "canary"}));
    EXPECT_TRUE(config.push_key.empty());
    EXPECT_TRUE(config.backup_key.empty());
    EXPECT_FALSE(config.issued);
    EXPECT_EQ(config.signing.hash, protocol::TxHash::md5);
    EXPECT_EQ(config.tx_time_lifetime, 12h);
    EXPECT_EQ(config.plan.media, 5s);
    EXPECT_EQ(config.plan.chunk_size, 4096U);
    EXPECT_FALSE(config.plan.digest_handshake);
    EXPECT_EQ(config.plan.address, std::nullopt);
    EXPECT_EQ(config.plan.ca_file, "");
}

TEST(RtmpPushConfig, EveryKey) {
    const Config config = read_all(R"(url = 'rtmps://push.example.com:1936/app/sub/canary'
push_key = { env = 'MAIN' }
backup_key = { env = 'BACKUP' }
hash = 'sha256'
tx_time_lifetime = '1h'
media = '1s'
chunk_size = 65536
handshake = 'digest'
ca_file = 'ca.pem'
address = '2001:db8::1'
)");
    EXPECT_TRUE(config.url.tls);
    EXPECT_EQ(config.url.port, 1936);
    EXPECT_EQ(config.url.app, "app/sub");
    EXPECT_EQ(config.push_key.reveal(), "main-key");
    EXPECT_EQ(config.backup_key.reveal(), "backup-key");
    EXPECT_EQ(config.signing.hash, protocol::TxHash::sha256);
    EXPECT_EQ(config.tx_time_lifetime, 1h);
    EXPECT_EQ(config.plan.media, 1s);
    EXPECT_EQ(config.plan.chunk_size, 65536U);
    EXPECT_TRUE(config.plan.digest_handshake);
    EXPECT_EQ(config.plan.ca_file, "ca.pem");
    EXPECT_EQ(config.plan.address, asio::ip::make_address("2001:db8::1"));
}

TEST(RtmpPushConfig, EveryMistakeWithItsPlace) {
    read_all(
        R"(backup_key = { env = 'BACKUP' }
hash = 'sha265'
tx_time_lifetime = '10s'
media = '999ms'
chunk_size = 127
handshake = 'diggest'
address = 'push.example.com'
chunksize = 4096
)",
        {
            "t.toml:1:1: probe.url: missing",
            "t.toml:1:14: probe.backup_key: needs push_key: it is tried only when the main key is refused",
            "t.toml:2:8: probe.hash: expected one of 'md5', 'sha256', found 'sha265'; did you mean 'sha256'?",
            "t.toml:3:20: probe.tx_time_lifetime: expected 1m to 365d, found 10s",
            "t.toml:4:9: probe.media: expected 1s to 1h, found 999ms",
            "t.toml:5:14: probe.chunk_size: expected 128 to 65536, found 127",
            "t.toml:6:13: probe.handshake: expected one of 'simple', 'digest', found 'diggest'; did you mean "
            "'digest'?",
            "t.toml:7:11: probe.address: expected an IPv4 or IPv6 address, found 'push.example.com'",
            "t.toml:8:1: probe.chunksize: unknown key; did you mean 'chunk_size'?",
        });
}

TEST(RtmpPushConfig, WrongTypes) {
    read_all("url = 5\npush_key = 5\nmedia = 5\nchunk_size = '4096'\naddress = 1\n",
             {
                 "t.toml:1:7: probe.url: expected a string, found an integer",
                 "t.toml:2:12: probe.push_key: expected a secret: { file = \"…\" }, { env = \"…\" } or "
                 "{ credential = \"…\" }, found an integer",
                 "t.toml:3:9: probe.media: expected a duration with its unit, such as \"250ms\", \"5s\" or "
                 "\"1m30s\", found an integer",
                 "t.toml:4:14: probe.chunk_size: expected an integer, found a string",
                 "t.toml:5:11: probe.address: expected a string, found an integer",
             });
}

struct BadUrl {
    const char* url;
    const char* words;
};
const BadUrl bad_urls[] = {
    {"http://push.example.com/live/canary", "the scheme of the URL is not one of this use"},
    {"rtmp://push.example.com/live", "the URL has no stream name after its application name"},
    {"rtmp://push.example.com", "the URL has no application name after its host"},
    {"rtmp://push.example.com:70000/live/canary", "the port of the URL is not 1 to 65535"},
    {"rtmpt://push.example.com/live/canary", "RTMPT (RTMP over HTTP) is not supported"},
    {"rtmpe://push.example.com/live/canary", "RTMPE (RTMP under Adobe's encryption) is not supported"},
    {"rtmp://user:word@push.example.com/live/canary",
     "the URL holds a user name or password before the host"},
    {"push.example.com/live/canary", "the URL does not begin with a scheme such as rtmp://"},
    {"rtmp:///live/canary", "the host of the URL is not a name, an IPv4 address or a bracketed IPv6 address"},
    {"rtmp://push.example.com/live/a b", "the URL holds white space, a control byte or '#'"},
};

TEST(RtmpPushConfig, BadUrls) {
    for (const auto& [url, words] : bad_urls)
        read_all(
            "url = '" + std::string(url) + "'\nca_file = 'ca.pem'",
            {"t.toml:1:7: probe.url: " + std::string(words) + ": expected rtmp[s]://host[:port]/app/stream"});
}

TEST(RtmpPushConfig, AuthorityOnlyForTls) {
    read_all("url = 'rtmp://push.example.com/live/canary'\nca_file = 'ca.pem'",
             {"t.toml:2:11: probe.ca_file: needs an rtmps:// URL"});
    read_all("url = 'rtmps://push.example.com/live/canary'\nca_file = 'ca.pem'");
}

TEST(RtmpPushConfig, UrlThatBringsItsSignatureIsTestedAsItIs) {
    const std::string url = "rtmp://push.example.com/live/canary";
    for (const char* query :
         {"?txSecret=0123", "?txTime=70000000", "?bizid=1&txSecret=0123&txTime=70000000"}) {
        const Config config = read_all("url = '" + url + query + "'\npush_key = { env = 'MAIN' }");
        EXPECT_TRUE(config.issued) << query;
    }
    EXPECT_FALSE(read_all("url = '" + url + "?bizid=1'\npush_key = { env = 'MAIN' }").issued);
}

TEST(RtmpPushConfig, UrlOfARunHasItsPlaceAndIsSigned) {
    const Config config = read_all("url = 'rtmp://push.example.com/live/a_{location}_{location}?bizid=1'");
    const WallTime expiry{std::chrono::seconds(0x5C271099)};
    EXPECT_EQ(url_of_run(config, "sh{location}", {}, expiry).publish_name(),
              "a_sh{location}_sh{location}?bizid=1");
    // The vendor's worked example: Tencent Cloud, "Hotlink Protection URL Calculation", read 2026-11-21.
    const Config example = read_all("url = 'rtmp://push.example.com/live/{location}?bizid=1'");
    EXPECT_EQ(url_of_run(example, "test", config::Secret("e12c46f2612d5106e2034781ab261ca3"), expiry + 900ms)
                  .publish_name(),
              "test?bizid=1&txSecret=f85a2ab363fe4deaffef9754d79da6fe&txTime=5C271099");
}

TEST(RtmpPushConfig, TargetShowsNoSecret) {
    TomlText text("url = 'rtmp://push.example.com/live/canary?txSecret=0123456789abcdef&txTime=70000000'",
                  world);
    const Probe probe = kind.make(text.reader());
    EXPECT_EQ(probe.target, "rtmp://push.example.com/live/canary?txSecret=0123…&txTime=70000000");
    EXPECT_TRUE(probe.run && probe.controls && probe.diagnose);
}

}  // namespace
}  // namespace livecanary::rtmp_push
