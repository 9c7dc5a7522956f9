#include "probes/backend_api/config.hpp"

#include <gtest/gtest.h>

#include "probes/backend_api/kind.hpp"
#include "tests/support/toml_text.hpp"

namespace livecanary::backend_api {
namespace {

using namespace std::chrono_literals;
using test::FakeWorld;
using test::TomlText;
using Mistakes = std::vector<std::string>;
using enum Check;

const FakeWorld world{.variables = {{"PW", "the-password"}, {"IM", "the-im-key"}}};

Config read_all(const std::string& keys, const Mistakes& expected = {}) {
    TomlText text(keys, world);
    Config config = read(text.reader());
    text.reader().unread();
    EXPECT_EQ(text.mistakes(), expected) << keys;
    return config;
}

const std::string url = "url = 'https://backend.example.com'\n";
const std::string account = "userid = 'livecanary_sh1'\npassword = { env = 'PW' }\n";

TEST(BackendApiConfig, Defaults) {
    const Config config = read_all(url);
    EXPECT_EQ(config.endpoint, (Endpoint{.host = "backend.example.com"}));
    EXPECT_EQ(config.endpoint.port, 443);
    EXPECT_EQ(config.prefix, "");
    EXPECT_EQ(config.checks, (std::vector{static_page, php, redis, db, secrets_hidden}));
    EXPECT_FALSE(config.has_account());
    EXPECT_EQ(config.static_status, 0U);
    EXPECT_FALSE(config.im || config.max_age || config.fetch_play_url);
}

TEST(BackendApiConfig, AnAddressThatAnAppHasAndWhereTheBackendIs) {
    const Config config = read_all(url + "same_as = 'http://10.0.0.1:8080/live/'\n");
    ASSERT_TRUE(config.same_as);
    EXPECT_EQ(config.same_as->endpoint, (Endpoint{.tls = false, .host = "10.0.0.1", .port = 8080}));
    EXPECT_EQ(config.same_as->prefix, "/live");
    read_all(url + "same_as = 'nowhere'\n",
             {"t.toml:2:11: probe.same_as: expected http[s]://host[:port][/path], found 'nowhere'"});
}

TEST(BackendApiConfig, AnAccountAddsWhatNeedsOne) {
    const Config config = read_all(url + account);
    EXPECT_EQ(config.checks,
              (std::vector{static_page, php, redis, db, login, vod_list, cos_sign, secrets_hidden}));
    EXPECT_TRUE(config.has_account());
    EXPECT_EQ(config.password.reveal(), "the-password");
}

TEST(BackendApiConfig, EveryKey) {
    const Config config = read_all(account + R"(url = 'http://10.0.0.1:8080/live/'
address = '2001:db8::1'
checks = ['vod_list', 'static', 'login']
static_status = 404
im = { sdkappid = 1400000000, key = { env = 'IM' } }
vod = { max_age = '2d', fetch_play_url = true }
)");
    EXPECT_EQ(config.endpoint, (Endpoint{.tls = false,
                                         .host = "10.0.0.1",
                                         .port = 8080,
                                         .address = asio::ip::make_address("2001:db8::1")}));
    EXPECT_EQ(config.prefix, "/live");
    EXPECT_EQ(config.checks, (std::vector{static_page, login, vod_list}))
        << "cheapest first, however they stand";
    EXPECT_EQ(config.static_status, 404U);
    ASSERT_TRUE(config.im);
    EXPECT_EQ(config.im->sdkappid, 1400000000);
    EXPECT_EQ(config.im->key.reveal(), "the-im-key");
    EXPECT_EQ(config.max_age, 48h);
    EXPECT_TRUE(config.fetch_play_url);
    EXPECT_EQ(read_all(url + "ca_file = 'ca.pem'\n").endpoint.ca_file, "ca.pem");
}

TEST(BackendApiConfig, EveryMistakeWithItsPlace) {
    read_all("checks = ['php']\n", {"t.toml:1:1: probe.url: missing"});
    read_all(
        "url = 'ftp://x'\naddress = 'x'\nstatic_status = 99\nuserid = 'ab'\nhots = 1\n",
        {"t.toml:1:7: probe.url: expected http[s]://host[:port][/path], found 'ftp://x'",
         "t.toml:2:11: probe.address: expected an IPv4 or IPv6 address, found 'x'",
         "t.toml:4:10: probe.userid: expected 4 to 24 of a-z, A-Z, 0-9 and '_', a letter first, found 'ab'",
         "t.toml:1:1: probe.password: missing: an account has both",
         "t.toml:3:17: probe.static_status: expected 100 to 599, found 99",
         "t.toml:5:1: probe.hots: unknown key"});
    read_all("url = 'https://x/?a=1'\n",
             {"t.toml:1:7: probe.url: expected http[s]://host[:port][/path], found 'https://x/?a=1'"});
    read_all("url = 'http://x'\nca_file = 'ca.pem'\n", {"t.toml:2:11: probe.ca_file: needs an https:// url"});
    read_all(url + "password = { env = 'PW' }\n", {"t.toml:1:1: probe.userid: missing: an account has both"});
    read_all(url + "checks = []\n", {"t.toml:2:10: probe.checks: expected at least one"});
    read_all(url + "checks = ['php', 'php', 'login', 'ping']\n",
             {"t.toml:2:18: probe.checks: 'php' stands there twice",
              "t.toml:2:25: probe.checks: 'login' needs userid and password",
              "t.toml:2:34: probe.checks: expected one of static, php, redis, db, login, vod_list, cos_sign, "
              "secrets_hidden, found 'ping'"});
    read_all(url + "im = { key = { env = 'IM' } }\nvod = { max_age = '1s' }\n",
             {"t.toml:2:6: probe.im.sdkappid: missing", "t.toml:2:6: probe.im: needs the check 'login'",
              "t.toml:3:19: probe.vod.max_age: expected 1m to 366d, found 1s",
              "t.toml:3:7: probe.vod: needs the check 'vod_list'"});
}

TEST(BackendApiConfig, ThePasswordIsASecret) {
    TomlText text(url + account, world);
    const Probe probe = kind.make(text.reader());
    EXPECT_EQ(probe.target, "https://backend.example.com");
    ASSERT_EQ(text.secrets().size(), 1U);
    EXPECT_EQ(text.secrets()[0].reveal(), "the-password");
    ASSERT_EQ(probe.advice.size(), 1U);
    EXPECT_NE(probe.advice[0].find("livecanary_sh1"), std::string::npos);
    EXPECT_EQ(probe.advice[0].find("the-password"), std::string::npos);
}

}  // namespace
}  // namespace livecanary::backend_api
