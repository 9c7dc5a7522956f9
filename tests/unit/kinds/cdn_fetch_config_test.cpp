#include <gtest/gtest.h>

#include "probes/cdn_fetch/config.hpp"
#include "probes/cdn_fetch/kind.hpp"
#include "tests/support/toml_text.hpp"

namespace livecanary::cdn_fetch {
namespace {

using test::FakeWorld;
using test::TomlText;
using Mistakes = std::vector<std::string>;

const FakeWorld world{.variables = {{"KEY", "cdnkey123456"}, {"BACKUP", "backup654321"}}};

Config read_all(const std::string& keys, const Mistakes& expected = {}) {
    TomlText text(keys, world);
    Config config = read(text.reader());
    text.reader().unread();
    EXPECT_EQ(text.mistakes(), expected) << keys;
    return config;
}

TEST(CdnFetchConfig, Defaults) {
    const Config config = read_all("after = 'cover'\ndomain = 'cover.cdn.example.com'\n");
    EXPECT_EQ(config.after, "cover");
    EXPECT_EQ(config.path, "");
    EXPECT_TRUE(config.edge.tls);
    EXPECT_EQ(config.edge.host, "cover.cdn.example.com");
    EXPECT_EQ(config.edge.port, 443);
    EXPECT_TRUE(config.addresses.empty());
    EXPECT_FALSE(config.every_address);
    EXPECT_FALSE(config.auth);
    EXPECT_FALSE(config.origin);
    EXPECT_TRUE(config.expect_cache);
    EXPECT_EQ(config.referer, "");
    EXPECT_EQ(config.user_agent, "livecanary");
    EXPECT_EQ(config.max_size, 64U << 20);
}

TEST(CdnFetchConfig, EveryKeyOfAnObjectOfAnotherProbe) {
    const Config config = read_all(R"(after = 'cover'
domain = 'cover.cdn.example.com'
scheme = 'http'
port = 8080
auth = { type = 'D', key = { env = 'KEY' }, backup_key = { env = 'BACKUP' }, hash = 'sha256', order = 'time_first', time = 'hex', sign_parameter = 's', time_parameter = 'when' }
addresses = ['192.0.2.1', '2001:db8::1']
every_address = true
expect_cache = false
referer = 'https://www.example.com/'
user_agent = 'app/1'
max_size = '1MiB'
)");
    EXPECT_FALSE(config.edge.tls);
    EXPECT_EQ(config.edge.port, 8080);
    ASSERT_TRUE(config.auth);
    EXPECT_EQ(config.auth->how.type, protocol::CdnAuthType::d);
    EXPECT_EQ(config.auth->how.hash, protocol::Digest::sha256);
    EXPECT_EQ(config.auth->how.order, protocol::CdnOrder::time_first);
    EXPECT_EQ(config.auth->how.time, protocol::CdnTime::hex);
    EXPECT_EQ(config.auth->how.sign_parameter, "s");
    EXPECT_EQ(config.auth->how.time_parameter, "when");
    EXPECT_EQ(config.auth->key.reveal(), "cdnkey123456");
    EXPECT_EQ(config.auth->backup_key.reveal(), "backup654321");
    ASSERT_EQ(config.addresses.size(), 2U);
    EXPECT_EQ(config.addresses[1].to_string(), "2001:db8::1");
    EXPECT_TRUE(config.every_address);
    EXPECT_FALSE(config.expect_cache);
    EXPECT_EQ(config.referer, "https://www.example.com/");
    EXPECT_EQ(config.user_agent, "app/1");
    EXPECT_EQ(config.max_size, 1U << 20);
}

TEST(CdnFetchConfig, FixedUrlAndItsOrigin) {
    const Config config = read_all(R"(url = 'https://cover.cdn.example.com:8443/a%20b.jpg'
origin = 'http://origin.example.com:8080'
origin_address = '192.0.2.9'
address = '192.0.2.1'
ca_file = 'ca.pem'
)");
    EXPECT_EQ(config.after, "");
    EXPECT_EQ(config.path, "/a%20b.jpg");
    EXPECT_EQ(config.edge.host_header(), "cover.cdn.example.com:8443");
    EXPECT_EQ(config.edge.ca_file, "ca.pem");
    ASSERT_TRUE(config.origin);
    EXPECT_EQ(config.origin->target, "/a%20b.jpg");
    EXPECT_FALSE(config.origin->endpoint.tls);
    EXPECT_EQ(config.origin->endpoint.host_header(), "origin.example.com:8080");
    EXPECT_EQ(config.origin->address->to_string(), "192.0.2.9");
    EXPECT_EQ(config.addresses.size(), 1U);
    EXPECT_EQ(
        read_all("url = 'http://a.example.com/x?y=1'\norigin = 'http://o.example.com/z'\n").origin->target,
        "/z");
}

TEST(CdnFetchConfig, TypesOfAuthentication) {
    const auto auth = [](const std::string& type) {
        return read_all("after = 'cover'\ndomain = 'd.example.com'\nauth = { type = '" + type +
                        "', key = { env = 'KEY' } }\n")
            .auth;
    };
    EXPECT_EQ(auth("A")->how.type, protocol::CdnAuthType::a);
    EXPECT_EQ(auth("B")->how.type, protocol::CdnAuthType::b);
    EXPECT_EQ(auth("C")->how.type, protocol::CdnAuthType::c);
    EXPECT_EQ(auth("D")->how.type, protocol::CdnAuthType::d);
    EXPECT_FALSE(auth("none"));
    EXPECT_FALSE(read_all("after = 'cover'\ndomain = 'd.example.com'\nauth = { type = 'none' }\n").auth);
}

TEST(CdnFetchConfig, EveryMistakeWithItsPlace) {
    read_all("domain = 'd.example.com'\n", {"t.toml:1:1: probe.after: missing; it names the probe whose "
                                            "object is fetched. Or give a fixed 'url'"});
    read_all("after = 'cover'\n", {"t.toml:1:1: probe.domain: missing"});
    read_all("after = 'cover'\nurl = 'http://a.example.com/x'\n",
             {"t.toml:2:7: probe.url: either this or 'after'"});
    read_all(
        "after = 'cover'\ndomain = 'https://d.example.com'\n",
        {"t.toml:2:10: probe.domain: expected the name of the CDN domain, found 'https://d.example.com'"});
    read_all("after = 'cover'\ndomain = 'd.example.com'\norigin = 'http://o.example.com'\n",
             {"t.toml:3:10: probe.origin: belongs to 'url'; the probe that 'after' names says what its "
              "origin is"});
    read_all("after = 'cover'\ndomain = 'd.example.com'\nport = 70000\n",
             {"t.toml:3:8: probe.port: expected 1 to 65535, found 70000"});
    read_all("after = 'cover'\ndomain = 'd.example.com'\nscheme = 'http'\nca_file = 'ca.pem'\n",
             {"t.toml:4:11: probe.ca_file: needs https"});
    read_all("url = 'http://a.example.com/x'\ndomain = 'b.example.com'\nport = 80\n",
             {"t.toml:2:10: probe.domain: stands in 'url' already",
              "t.toml:3:8: probe.port: stands in 'url' already"});
    read_all("url = 'http://a.example.com/x'\norigin_address = '192.0.2.1'\n",
             {"t.toml:2:18: probe.origin_address: needs 'origin'"});
    read_all("url = 'http://a.example.com/x'\norigin = 'http://o.example.com'\norigin_address = 'o'\n",
             {"t.toml:3:18: probe.origin_address: expected an IPv4 or IPv6 address, found 'o'"});
    read_all("url = 'http://a.example.com/x'\naddress = '192.0.2.1'\naddresses = ['192.0.2.2', 'x']\n",
             {"t.toml:2:11: probe.address: either this or 'addresses'",
              "t.toml:3:27: probe.addresses: expected an IPv4 or IPv6 address, found 'x'"});
    read_all("url = 'http://a.example.com/x?y=1'\nauth = { type = 'A', key = { env = 'KEY' } }\n",
             {"t.toml:2:8: probe.auth: the CDN cannot authenticate a 'url' that has a query"});
    read_all("url = 'http://a.example.com/x'\nauth = { type = 'A' }\n",
             {"t.toml:2:8: probe.auth.key: missing"});
    read_all(
        "url = 'http://a.example.com/x'\nauth = { type = 'A', key = { env = 'KEY' }, sign_parameter = 'a b' "
        "}\n",
        {"t.toml:2:62: probe.auth.sign_parameter: expected the name of a parameter, found 'a b'"});
    read_all("url = 'http://a.example.com/x'\nreferer = \"a\\nb\"\n",
             {"t.toml:2:11: probe.referer: expected visible ASCII"});
    read_all("url = 'http://a.example.com/x'\nexpect_hit = true\n",
             {"t.toml:2:1: probe.expect_hit: unknown key"});
}

TEST(CdnFetchConfig, AsksTheProbeThatUploads) {
    TomlText text("after = 'cover'\ndomain = 'd.example.com'\n", world);
    const Probe probe = kind.make(text.reader());
    EXPECT_EQ(probe.asks, std::vector<std::string>{"cover"});
    EXPECT_EQ(probe.target, "https://d.example.com");
    TomlText fixed("url = 'http://d.example.com/a.jpg?x=secret'\n", world);
    const Probe alone = kind.make(fixed.reader());
    EXPECT_TRUE(alone.asks.empty());
    EXPECT_EQ(alone.target, "http://d.example.com/a.jpg");
}

}  // namespace
}  // namespace livecanary::cdn_fetch
