#include "probes/cos_roundtrip/config.hpp"

#include <gtest/gtest.h>

#include "probes/cos_roundtrip/keys.hpp"
#include "probes/cos_roundtrip/kind.hpp"
#include "probes/cos_roundtrip/roundtrip.hpp"
#include "tests/support/toml_text.hpp"

namespace livecanary::cos_roundtrip {
namespace {

using namespace std::chrono_literals;
using test::FakeWorld;
using test::TomlText;
using Mistakes = std::vector<std::string>;

const FakeWorld world{.variables = {{"COS", "the-secret-key"}, {"TOKEN", "the-token"}}};

Config read_all(const std::string& keys, const Mistakes& expected = {}) {
    TomlText text(keys, world);
    Config config = read(text.reader());
    text.reader().unread();
    EXPECT_EQ(text.mistakes(), expected) << keys;
    return config;
}

/// What no probe is without, in four lines.
std::string needed(const std::string& bucket = "cover-1250000000",
                   const std::string& region = "ap-shanghai") {
    return "bucket = '" + bucket + "'\nregion = '" + region +
           "'\nsecret_id = 'AKIDtest'\nsecret_key = { env = 'COS' }\n";
}

TEST(CosRoundtripConfig, Defaults) {
    const Config config = read_all(needed());
    EXPECT_EQ(config.bucket, "cover-1250000000");
    EXPECT_EQ(config.region, "ap-shanghai");
    EXPECT_EQ(config.endpoint, (Endpoint{.host = "cover-1250000000.cos.ap-shanghai.myqcloud.com"}));
    EXPECT_TRUE(config.endpoint.tls);
    EXPECT_EQ(config.endpoint.port, 443);
    EXPECT_EQ(config.endpoint.address, std::nullopt);
    EXPECT_EQ(config.endpoint.ca_file, "");
    EXPECT_EQ(config.credentials.secret_id, "AKIDtest");
    EXPECT_EQ(config.credentials.secret_key.reveal(), "the-secret-key");
    EXPECT_TRUE(config.credentials.token.empty());
    EXPECT_EQ(config.object_size, 65536U);
    EXPECT_EQ(config.prefix, "livecanary/");
    EXPECT_EQ(config.signature_lifetime, 5min);
}

TEST(CosRoundtripConfig, EveryKey) {
    const Config config = read_all(needed() + R"(token = { env = 'TOKEN' }
api = 'xml'
endpoint = 'https://cos.example.com:8443'
address = '2001:db8::1'
ca_file = 'ca.pem'
object_size = '1MiB'
prefix = 'probe/of_1/canary-2/'
signature_lifetime = '30s'
)");
    EXPECT_EQ(config.endpoint, (Endpoint{.tls = true,
                                         .host = "cos.example.com",
                                         .port = 8443,
                                         .address = asio::ip::make_address("2001:db8::1"),
                                         .ca_file = "ca.pem"}));
    EXPECT_EQ(config.credentials.token.reveal(), "the-token");
    EXPECT_EQ(config.object_size, 1048576U);
    EXPECT_EQ(config.prefix, "probe/of_1/canary-2/");
    EXPECT_EQ(config.signature_lifetime, 30s);
}

TEST(CosRoundtripConfig, NothingGiven) {
    read_all("object_size = '1B'\n", {
                                         "t.toml:1:1: probe.bucket: missing",
                                         "t.toml:1:1: probe.region: missing",
                                         "t.toml:1:1: probe.secret_id: missing",
                                         "t.toml:1:1: probe.secret_key: missing",
                                     });
}

TEST(CosRoundtripConfig, EveryMistakeWithItsPlace) {
    read_all(R"(bucket = 'cover'
region = 'ap shanghai'
secret_id = ''
secret_key = { env = 'NOBODY' }
token = { env = 'NOBODY' }
api = 'v5'
endpoint = 'cos.example.com'
address = 'cos.example.com'
object_size = '0B'
prefix = 'livecanary'
signature_lifetime = '9s'
object_sizes = '1MiB'
)",
             {
                 "t.toml:6:7: probe.api: expected one of 'xml', 'v4', found 'v5'",
                 "t.toml:1:10: probe.bucket: expected the bucket's name, '-' and the APPID, such as "
                 "cover-1250000000, found 'cover'",
                 "t.toml:2:10: probe.region: expected a region such as ap-shanghai, found 'ap shanghai'",
                 "t.toml:3:13: probe.secret_id: must not be empty",
                 "t.toml:4:22: probe.secret_key.env: the environment variable 'NOBODY' is not set",
                 "t.toml:5:17: probe.token.env: the environment variable 'NOBODY' is not set",
                 "t.toml:7:12: probe.endpoint: expected http[s]://host[:port], found 'cos.example.com'",
                 "t.toml:8:11: probe.address: expected an IPv4 or IPv6 address, found 'cos.example.com'",
                 "t.toml:9:15: probe.object_size: expected 1B to 1GiB, found 0B",
                 "t.toml:10:10: probe.prefix: expected a-z, 0-9, '-', '_' and single slashes, ending in a "
                 "slash, found 'livecanary'",
                 "t.toml:11:22: probe.signature_lifetime: expected 10s to 1d, found 9s",
                 "t.toml:12:1: probe.object_sizes: unknown key; did you mean 'object_size'?",
             });
}

TEST(CosRoundtripConfig, WrongTypes) {
    read_all(
        "bucket = 5\nregion = 5\nsecret_id = 5\nsecret_key = 5\ntoken = 5\napi = 5\nendpoint = 5\naddress = "
        "5\nca_file = 5\nobject_size = 5\nprefix = 5\nsignature_lifetime = 5\n",
        {
            "t.toml:6:7: probe.api: expected a string, found an integer",
            "t.toml:1:10: probe.bucket: expected a string, found an integer",
            "t.toml:2:10: probe.region: expected a string, found an integer",
            "t.toml:3:13: probe.secret_id: expected a string, found an integer",
            "t.toml:4:14: probe.secret_key: expected a secret: { file = \"…\" }, { env = \"…\" } or "
            "{ credential = \"…\" }, found an integer",
            "t.toml:5:9: probe.token: expected a secret: { file = \"…\" }, { env = \"…\" } or "
            "{ credential = \"…\" }, found an integer",
            "t.toml:7:12: probe.endpoint: expected a string, found an integer",
            "t.toml:8:11: probe.address: expected a string, found an integer",
            "t.toml:9:11: probe.ca_file: expected a string, found an integer",
            "t.toml:10:15: probe.object_size: expected a size with its unit, such as \"512B\", \"64KiB\" or "
            "\"10MB\", found an integer",
            "t.toml:11:10: probe.prefix: expected a string, found an integer",
            "t.toml:12:22: probe.signature_lifetime: expected a duration with its unit, such as \"250ms\", "
            "\"5s\" or \"1m30s\", found an integer",
        });
}

TEST(CosRoundtripConfig, BucketIsItsNameAndTheAppid) {
    for (const char* bucket : {"cover-1250000000", "a-12500", "my-cover-2-1250000000", "0-1250000000"})
        read_all(needed(bucket));
    for (const char* bucket :
         {"cover", "cover-", "-1250000000", "1250000000", "cover-1250", "cover-125000000x",
          "Cover-1250000000", "cover_1-1250000000", "cover.1-1250000000", "cover-1250000000 ",
          "cover-1250000000.cos", "cover/-1250000000", "https://cover-1250000000", "\xE5\xB0\x81-1250000000"})
        read_all(needed(bucket),
                 {"t.toml:1:10: probe.bucket: expected the bucket's name, '-' and the APPID, such as "
                  "cover-1250000000, found '" +
                  std::string(bucket) + "'"});
}

TEST(CosRoundtripConfig, RegionIsAWord) {
    for (const char* region : {"ap-shanghai", "na-siliconvalley", "ap-shanghai-fsi", "sg", "accelerate"})
        read_all(needed("cover-1250000000", region));
    for (const char* region : {"AP-SHANGHAI", "ap_shanghai", "ap.shanghai", "ap-shanghai ", "ap/shanghai",
                               "cos.ap-shanghai.myqcloud.com"})
        read_all(needed("cover-1250000000", region),
                 {"t.toml:2:10: probe.region: expected a region such as ap-shanghai, found '" +
                  std::string(region) + "'"});
}

TEST(CosRoundtripConfig, EndpointIsAHostAlone) {
    struct Case {
        const char* url;
        bool tls;
        const char* host;
        std::uint16_t port;
        const char* header;
    };
    const Case good[] = {
        {"http://cos.example.com", false, "cos.example.com", 80, "cos.example.com"},
        {"http://cos.example.com/", false, "cos.example.com", 80, "cos.example.com"},
        {"http://cos.example.com:443", false, "cos.example.com", 443, "cos.example.com:443"},
        {"https://cos.example.com", true, "cos.example.com", 443, "cos.example.com"},
        {"https://cos.example.com:443", true, "cos.example.com", 443, "cos.example.com"},
        {"https://cos.example.com:80", true, "cos.example.com", 80, "cos.example.com:80"},
        {"http://192.0.2.1:9000", false, "192.0.2.1", 9000, "192.0.2.1:9000"},
        {"http://[2001:db8::1]", false, "2001:db8::1", 80, "[2001:db8::1]"},
        {"https://[2001:db8::1]:9000", true, "2001:db8::1", 9000, "[2001:db8::1]:9000"},
    };
    for (const auto& [url, tls, host, port, header] : good) {
        const Endpoint endpoint = read_all(needed() + "endpoint = '" + url + "'\n").endpoint;
        EXPECT_EQ(endpoint, (Endpoint{.tls = tls, .host = host, .port = port})) << url;
        EXPECT_EQ(endpoint.host_header(), header) << url;
    }
    for (const char* url :
         {"cos.example.com", "ftp://cos.example.com", "http://", "http://:80", "http://cos.example.com:0",
          "http://cos.example.com:70000", "http://cos.example.com/bucket", "http://cos.example.com/?acl",
          "http://cos.example.com?acl", "http://me:word@cos.example.com"})
        read_all(needed() + "endpoint = '" + url + "'\n",
                 {"t.toml:5:12: probe.endpoint: expected http[s]://host[:port], found '" + std::string(url) +
                  "'"});
    // As in the contract's example.
    EXPECT_EQ(read_all(needed() + "endpoint = ''\n").endpoint, read_all(needed()).endpoint);
}

TEST(CosRoundtripConfig, AuthorityOnlyForTls) {
    read_all(needed() + "ca_file = 'ca.pem'\n");
    read_all(needed() + "endpoint = 'http://cos.example.com'\nca_file = 'ca.pem'\n",
             {"t.toml:6:11: probe.ca_file: needs an https:// endpoint"});
}

TEST(CosRoundtripConfig, SizesAndTimesHaveBounds) {
    for (const char* size : {"1B", "1GiB", "12345B"}) read_all(needed() + "object_size = '" + size + "'\n");
    read_all(needed() + "object_size = '1073741825B'\n",
             {"t.toml:5:15: probe.object_size: expected 1B to 1GiB, found 1073741825B"});
    for (const auto& [text, lifetime] :
         {std::pair("10s", 10s), std::pair("24h", std::chrono::seconds(24h)), std::pair("10s1ms", 11s)})
        EXPECT_EQ(read_all(needed() + "signature_lifetime = '" + text + "'\n").signature_lifetime, lifetime)
            << "whole seconds are what a signature can say";
    read_all(needed() + "signature_lifetime = '24h1s'\n",
             {"t.toml:5:22: probe.signature_lifetime: expected 10s to 1d, found 1d1s"});
}

TEST(CosRoundtripConfig, PrefixNeedsNoEncodingAndEndsInASlash) {
    for (const char* prefix : {"livecanary/", "a/b/c/", "0_1-2/"})
        EXPECT_EQ(read_all(needed() + "prefix = '" + prefix + "'\n").prefix, prefix);
    for (const char* prefix :
         {"", "/", "/a/", "a", "a//", "a//b/", "A/", "a b/", "a%20/", "a.b/", "a?/", "\xC3\xA9/"})
        read_all(needed() + "prefix = '" + prefix + "'\n",
                 {"t.toml:5:10: probe.prefix: expected a-z, 0-9, '-', '_' and single slashes, ending in a "
                  "slash, found '" +
                  std::string(prefix) + "'"});
}

TEST(CosRoundtripConfig, SameBucketInAnotherRegion) {
    const Endpoint here = read_all(needed() +
                                   "endpoint = "
                                   "'http://cover-1250000000.cos.ap-shanghai.myqcloud.com:9000'\n"
                                   "address = '192.0.2.1'\n")
                              .endpoint;
    const auto there = in_region(here, "ap-shanghai", "ap-guangzhou");
    ASSERT_TRUE(there);
    EXPECT_EQ(*there, (Endpoint{.tls = false,
                                .host = "cover-1250000000.cos.ap-guangzhou.myqcloud.com",
                                .port = 9000,
                                .address = asio::ip::make_address("192.0.2.1")}));
    EXPECT_EQ(in_region(here, "ap-shanghai", "ap-shanghai"), here);
    EXPECT_EQ(in_region(here, "ap-guangzhou", "ap-shanghai"), std::nullopt);
    EXPECT_EQ(in_region(here, "ap-shang", "ap-guangzhou"), std::nullopt) << "half a name is no region";
    const Endpoint backup{.host = "cover-1250000000.cos.ap-shanghai.tencentcos.cn"};
    ASSERT_TRUE(in_region(backup, "ap-shanghai", "sg"));
    EXPECT_EQ(in_region(backup, "ap-shanghai", "sg")->host, "cover-1250000000.cos.sg.tencentcos.cn");
    for (const char* host :
         {"cover-1250000000.cos.accelerate.myqcloud.com", "cover.example.com", "192.0.2.1", ""})
        EXPECT_EQ(in_region({.host = host}, "ap-shanghai", "ap-guangzhou"), std::nullopt) << host;
}

TEST(CosRoundtripConfig, BackendSignsInPlaceOfAPair) {
    const Config config = read_all("signature = { backend = 'mini-live' }\n");
    EXPECT_EQ(config.backend, "mini-live");
    EXPECT_EQ(config.bucket, "");
    EXPECT_FALSE(config.own);
    EXPECT_TRUE(config.endpoint.tls);
    EXPECT_EQ(config.endpoint.host, "") << "only the backend knows";
    const Config more = read_all(R"(signature = { backend = 'mini-live' }
own = { secret_id = 'AKIDown', secret_key = { env = 'COS' }, token = { env = 'TOKEN' } }
bucket = 'cover-1250000000'
region = 'ap-shanghai'
)");
    ASSERT_TRUE(more.own);
    EXPECT_EQ(more.own->secret_id, "AKIDown");
    EXPECT_EQ(more.own->secret_key.reveal(), "the-secret-key");
    EXPECT_EQ(more.own->token.reveal(), "the-token");
    EXPECT_EQ(more.endpoint.host, "cover-1250000000.cos.ap-shanghai.myqcloud.com");
    EXPECT_EQ(endpoint_of(more, "other-1250000001", "sg")->host, "other-1250000001.cos.sg.myqcloud.com");
}

TEST(CosRoundtripConfig, BackendAndPairExcludeEachOther) {
    read_all("signature = {}\n", {"t.toml:1:13: probe.signature.backend: missing"});
    read_all("signature = 'mini-live'\n", {"t.toml:1:13: probe.signature: expected a table, found a string"});
    read_all(
        needed() + "signature = { backend = 'mini-live' }\n",
        {
            "t.toml:3:13: probe.secret_id: not beside 'signature', which says who signs; a key pair of the "
            "monitor's own goes into 'own'",
            "t.toml:4:14: probe.secret_key: not beside 'signature', which says who signs; a key pair of the "
            "monitor's own goes into 'own'",
        });
    read_all(
        needed() + "own = { secret_id = 'i', secret_key = { env = 'COS' } }\n",
        {"t.toml:5:7: probe.own: is for a probe with a 'signature'; this one's key pair is its own already"});
    read_all("signature = { backend = 'mini-live', back = 1 }\nown = { secret_id = 'i', key = 1 }\n",
             {
                 "t.toml:1:38: probe.signature.back: unknown key",
                 "t.toml:2:7: probe.own.secret_key: missing",
                 "t.toml:2:26: probe.own.key: unknown key",
             });
}

TEST(CosRoundtripConfig, EndpointMayNameBucketAndRegion) {
    const std::string url = "endpoint = 'http://{bucket}.cos.{region}.tencentcos.cn:9000'\n";
    EXPECT_EQ(
        read_all(needed() + url).endpoint,
        (Endpoint{.tls = false, .host = "cover-1250000000.cos.ap-shanghai.tencentcos.cn", .port = 9000}));
    const Config by_backend = read_all("signature = { backend = 'b' }\n" + url);
    EXPECT_FALSE(by_backend.endpoint.tls);
    EXPECT_EQ(endpoint_of(by_backend, "a-12345", "sg")->host_header(), "a-12345.cos.sg.tencentcos.cn:9000");
    EXPECT_EQ(read_all("signature = { backend = 'b' }\nendpoint = 'http://192.0.2.1:9000'\n").endpoint.host,
              "192.0.2.1");
}

TEST(CosRoundtripConfig, JsonApi) {
    const std::string v4 =
        "api = 'v4'\napp_id = '1250000000'\nbucket = 'cover'\nregion = 'sh'\nsecret_id = 'i'\n"
        "secret_key = { env = 'COS' }\n";
    const Config config = read_all(v4);
    EXPECT_EQ(config.endpoint, (Endpoint{.host = "sh.file.myqcloud.com",
                                         .v4 = V4Bucket{.app_id = "1250000000", .name = "cover"}}));
    EXPECT_EQ(item_of(config.endpoint, "k"), "https://sh.file.myqcloud.com/files/v2/1250000000/cover k");
    EXPECT_EQ(in_region(config.endpoint, "sh", "gz")->host, "gz.file.myqcloud.com");
    EXPECT_EQ(in_region(config.endpoint, "tj", "gz"), std::nullopt);
    read_all(v4 + "object_size = '20MiB'\n");
    read_all(v4 + "object_size = '21MiB'\n",
             {"t.toml:7:15: probe.object_size: expected 1B to 20MiB, found 21MiB"});
    read_all(
        "api = 'v4'\nbucket = 'cover-1250000000'\napp_id = '1250000000'\nregion = 'S H'\n",
        {
            "t.toml:2:10: probe.bucket: expected the bucket's name without its APPID, such as cover, found "
            "'cover-1250000000'",
            "t.toml:4:10: probe.region: expected a region such as sh, found 'S H'",
            "t.toml:1:1: probe.secret_id: missing",
            "t.toml:1:1: probe.secret_key: missing",
        });
    read_all(v4 + "signature = { backend = 'b' }\ntoken = { env = 'TOKEN' }\n",
             {
                 "t.toml:7:13: probe.signature: is of the XML API: not with api = 'v4'",
                 "t.toml:8:9: probe.token: is of the XML API: not with api = 'v4'",
             });
    read_all(
        "api = 'v4'\napp_id = 'me'\nbucket = 'cover'\nregion = 'sh'\nsecret_id = 'i'\n"
        "secret_key = { env = 'COS' }\n",
        {"t.toml:2:10: probe.app_id: expected the account's APPID, such as 1250000000, found 'me'"});
    read_all(needed() + "app_id = '1250000000'\n",
             {"t.toml:5:10: probe.app_id: is for api = 'v4': else it is a part of 'bucket'"});
}

TEST(CosRoundtripConfig, TargetIsTheEndpointAndShowsNoSecret) {
    const auto target = [](const std::string& more) {
        TomlText text(needed() + more, world);
        const Probe probe = kind.make(text.reader());
        EXPECT_TRUE(probe.run && probe.controls && probe.remove && probe.diagnose);
        return probe.target;
    };
    EXPECT_EQ(target(""), "https://cover-1250000000.cos.ap-shanghai.myqcloud.com");
    EXPECT_EQ(target("endpoint = 'http://192.0.2.1:9000'\n"), "http://192.0.2.1:9000");
}

TEST(CosRoundtripConfig, SecretsAreKnownToTheReader) {
    TomlText text(needed() + "token = { env = 'TOKEN' }\n", world);
    read(text.reader());
    ASSERT_EQ(text.secrets().size(), 2U);
    EXPECT_EQ(text.secrets()[0].reveal(), "the-secret-key");
    EXPECT_EQ(text.secrets()[1].reveal(), "the-token");
}

TEST(CosRoundtripConfig, KeysOfItsOwnAreKnownAgain) {
    Env env;
    env.location = "Here-1";
    env.probe = "cover";
    const std::string folder = folder_of(read_all(needed()), env);
    EXPECT_EQ(folder, "livecanary/Here-1/cover/");
    EXPECT_EQ(made_at(folder + "1795000000-0123456789abcdef.bin", folder),
              WallTime(std::chrono::seconds(1795000000)));
    for (const char* name :
         {"", ".bin", "1795000000", "1795000000.bin", "-0123456789abcdef.bin",
          "1795000000-0123456789abcde.bin", "1795000000-0123456789abcdef0.bin",
          "1795000000-0123456789ABCDEF.bin", "1795000000-0123456789abcdef",
          "1795000000-0123456789abcdef.bin2", "x1795000000-0123456789abcdef.bin",
          "-1795000000-0123456789abcdef.bin", "-0-0123456789abcdef.bin", "+1-0123456789abcdef.bin",
          "1795000000_0123456789abcdef.bin", "99999999999-0123456789abcdef.bin",
          "999999999999-0123456789abcdef.bin", "sub/1795000000-0123456789abcdef.bin"})
        EXPECT_EQ(made_at(folder + name, folder), std::nullopt) << name;
    EXPECT_EQ(made_at("livecanary/Here-1/covers/1795000000-0123456789abcdef.bin", folder), std::nullopt);
}

TEST(CosRoundtripConfig, ItemOfTheLedgerSaysWhereTheObjectLies) {
    EXPECT_EQ(item_of({.host = "a.example.com"}, "k/1.bin"), "https://a.example.com k/1.bin");
    EXPECT_EQ(item_of({.tls = false, .host = "a.example.com", .port = 9000}, "k/1.bin"),
              "http://a.example.com:9000 k/1.bin");
}

}  // namespace
}  // namespace livecanary::cos_roundtrip
