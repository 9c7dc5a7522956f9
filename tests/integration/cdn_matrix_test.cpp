// The fetch through the practice CDN, a real nginx with a cache before the practice store: fault → outcome,
// phase, reason, cause or class. With LIVECANARY_MATRIX set to a file name, the table is appended there as
// Markdown.
#include <chrono>
#include <fstream>

#include "probes/protocol/crc64.hpp"
#include "probes/protocol/digest.hpp"
#include "tests/integration/matrix.hpp"
#include "tests/integration/servers.hpp"
#include "tests/practice/cdn_edge.hpp"
#include "tests/practice/cos_server.hpp"
#include "tests/support/fake_peers.hpp"

namespace livecanary::test {
namespace {

using namespace std::chrono_literals;
using practice::CdnEdge;
using practice::CdnFaults;
using practice::CdnUrlAuth;
using practice::Cos;
using practice::CosCall;

constexpr const char* bucket = "cover-1250000000";
constexpr const char* region = "ap-shanghai";
constexpr const char* origin_host = "cover-1250000000.cos.ap-shanghai.myqcloud.com";
constexpr const char* secret_id = "AKIDpracticepracticepractice";
constexpr const char* secret_key = "practice-secret-key-of-32-bytes!";
constexpr const char* domain = "cover.cdn.example.com";
constexpr const char* cdn_key = "practicecdnkey16";

/// Gives an object of its own each time it is asked, as cos_roundtrip does.
class Uploader final : public Peers {
public:
    explicit Uploader(practice::CosServer& store) : store_(store) {}
    boost::asio::awaitable<result<PeerAnswer>> ask(std::string, Question) override {
        const std::string key = "livecanary/object-" + std::to_string(++made_) + ".bin";
        std::string bytes(20000, 'x');
        for (std::size_t i = 0; i < bytes.size(); ++i)
            bytes[i] = static_cast<char>((i * 31 + static_cast<std::size_t>(made_)) % 251);
        store_.change([&](Cos& cos) {
            cos.buckets[bucket].objects[key] = {.upload = practice::cos_upload(bytes),
                                                .modified = std::chrono::system_clock::now()};
        });
        const std::string md5 = protocol::hex_digest(protocol::Digest::md5, bytes);
        protocol::Crc64 crc;
        crc.feed(std::span(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()));
        PeerAnswer answer;
        answer.facts = {
            {"url", "http://" + std::string(origin_host) + ":" + std::to_string(store_.port()) + "/" + key},
            {"path", "/" + key},
            {"size", std::to_string(bytes.size())},
            {"md5", md5},
            {"crc64", std::to_string(crc.value())},
            {"etag", "\"" + md5 + "\""},
            {"address", "127.0.0.1"},
            {"ca_file", ""}};
        const auto now = std::chrono::duration_cast<std::chrono::seconds>(
                             std::chrono::system_clock::now().time_since_epoch())
                             .count();
        practice::CosSignature signature{.method = "get"};
        signature.path = "/" + key;
        signature.key_time = std::to_string(now - 10) + ";" + std::to_string(now + 60);
        signature.sign_time = signature.key_time;
        answer.secrets.emplace(
            "authorization",
            config::Secret(
                "q-sign-algorithm=sha1&q-ak=" + std::string(secret_id) +
                "&q-sign-time=" + signature.sign_time + "&q-key-time=" + signature.key_time +
                "&q-header-list=&q-url-param-list=&q-signature=" + signature.signature(secret_key)));
        co_return answer;
    }
    bool is_asked(std::string_view) const override { return true; }
    void tell(Notice) override {}
    std::vector<Notice> told(std::string_view, std::uint64_t) const override { return {}; }

private:
    practice::CosServer& store_;
    int made_ = 0;
};

class CdnMatrix : public ::testing::Test {
protected:
    void SetUp() override {
        LIVECANARY_NEEDS(Need::nginx);
        store.change([](Cos& cos) {
            cos.accounts["1250000000"].keys[secret_id] = {.secret_key = secret_key};
            cos.buckets[bucket] = {.region = region};
        });
        edge.emplace(options());
    }
    CdnEdge::Options options() const {
        CdnEdge::Options made;
        made.domain = domain;
        made.origin_port = store.port();
        made.origin_host = origin_host;
        made.origin_key = practice::CdnOriginKey{.secret_id = secret_id, .secret_key = secret_key};
        return made;
    }

    std::string config(const std::string& more = {},
                       const char* addresses = "'127.0.0.2', '127.0.0.3'") const {
        return "after = 'cover'\ndomain = '" + std::string(domain) +
               "'\nscheme = 'http'\nport = " + std::to_string(edge->port()) + "\naddresses = [" + addresses +
               "]\nevery_address = true\ntimeout = '10s'\n" + more +
               "[[probe]]\nname = 'cover'\nkind = 'cos_roundtrip'\nbucket = '" + bucket + "'\nregion = '" +
               region + "'\nsecret_id = 'x'\nsecret_key = 'y'\n";
    }
    /// A fixed object, which lies at the origin for all to read.
    std::string fixed(const std::string& more = {}) const {
        return "url = 'http://" + std::string(domain) + ":" + std::to_string(edge->port()) +
               "/fixed.bin'\norigin = 'http://" + origin_host + ":" + std::to_string(store.port()) +
               "'\norigin_address = '127.0.0.1'\naddresses = ['127.0.0.2', '127.0.0.3']\nevery_address = "
               "true\n"
               "timeout = '10s'\n" +
               more;
    }
    void put_fixed(const std::string& bytes) {
        store.change([&](Cos& cos) {
            cos.buckets[bucket].public_read = true;
            cos.buckets[bucket].objects["fixed.bin"] = {.upload = practice::cos_upload(bytes),
                                                        .modified = std::chrono::system_clock::now()};
        });
    }
    Judged run(const std::string& toml) { return probe(toml, {}, "cdn_fetch", nullptr, &uploader); }
    Judged run_while(CdnFaults faults, const std::string& more = {}) {
        edge->behave(std::move(faults));
        Judged judged = run(config(more));
        edge->behave({});
        return judged;
    }

    practice::CosServer store;
    Uploader uploader{store};
    std::optional<CdnEdge> edge;
};

TEST_F(CdnMatrix, Right) {
    const Judged judged = run(config());
    expect("CDN double", "success, two edges", judged, "ok");
    EXPECT_EQ(judged.run.got("cache_lookup"), "first Cache Miss") << seen_in(judged);
    EXPECT_FALSE(judged.run.got("log_uuid").empty());
    EXPECT_FALSE(judged.run.got("request_id").empty()) << "COS's, passed on";
    put_fixed(std::string(3000, 'a'));
    expect("CDN double", "success, fixed URL", run(fixed()), "ok");
}

TEST_F(CdnMatrix, UrlAuthentication) {
    for (const char* type : {"A", "B", "C", "D"}) {
        CdnUrlAuth auth{.key = cdn_key};
        auth.how.type = static_cast<protocol::CdnAuthType>(type[0] - 'A');
        edge->authenticate(auth);
        const auto with = [&](const std::string& key, const std::string& more = {}) {
            return "auth = { type = '" + std::string(type) + "', key = '" + key + "'" + more + " }\n";
        };
        const std::string what = std::string("type ") + type;
        expect("CDN double", (what + ", right").c_str(), run(config(with(cdn_key))), "ok");
        expect("CDN double", (what + ", wrong key").c_str(), run(config(with("anotherkey"))), "failed",
               "first_byte", "forbidden", "cdn_forbidden", "cdn_url_auth_failed");
        expect("CDN double", (what + ", only the backup key is right").c_str(),
               run(config(with("anotherkey", ", backup_key = '" + std::string(cdn_key) + "'"))), "failed",
               "first_byte", "forbidden", "cdn_url_auth_failed");
        if (type[0] == 'A') continue;
        expect(
            "CDN double", (what + ", other order").c_str(),
            run(config(with(cdn_key, type[0] == 'B' ? ", order = 'path_first'" : ", order = 'time_first'"))),
            "failed", "first_byte", "forbidden", "cdn_url_auth_failed");
    }
    edge->authenticate({});
    expect("CDN double", "type C, and the domain wants none",
           run(config("auth = { type = 'C', key = '" + std::string(cdn_key) + "' }\n")), "failed",
           "first_byte", "not_found", "cdn_url_auth_failed");
    edge->authenticate(CdnUrlAuth{.key = cdn_key});
    expect("CDN double", "type A wanted, and none configured", run(config()), "failed", "first_byte",
           "forbidden", "cdn_forbidden", "cdn_cos_acceleration_disabled");
}

TEST_F(CdnMatrix, Forbidden) {
    expect("CDN double", "acceleration off, domain without URL authentication",
           run_while({.status = 403}, "auth = { type = 'none' }\n"), "failed", "first_byte", "forbidden",
           "cdn_cos_acceleration_disabled");
    expect("CDN double", "acceleration off, URL authentication not configured", run_while({.status = 403}),
           "failed", "first_byte", "forbidden", "cdn_forbidden", "cdn_cos_acceleration_disabled");
    expect("CDN double", "private bucket, origin authentication off", run_while({.pull_unsigned = true}),
           "failed", "first_byte", "forbidden", "cdn_private_bucket_origin_auth_off");
    expect("CDN double", "hotlink protection", run_while({.only_with_referer = true}), "failed", "first_byte",
           "forbidden", "cdn_hotlink_or_ip_blocked");
    expect("CDN double", "our User-Agent barred", run_while({.forbidden_agent = "livecanary"}), "failed",
           "first_byte", "forbidden", "cdn_hotlink_or_ip_blocked");
    expect("CDN double", "domain unknown to the edge: 404", run_while({.status = 404}), "failed",
           "first_byte", "not_found", "cdn_failing", "cdn_origin_unreachable");
    expect("CDN double", "redirect to a notice", run_while({.status = 302}), "failed", "first_byte",
           "mismatch", "cdn_failing", "cdn_domain_offline_or_blocked");
}

TEST_F(CdnMatrix, StatusesOfTheCdn) {
    const std::pair<int, const char*> all[] = {{423, "cdn_origin_loop"},
                                               {531, "cdn_origin_unreachable"},
                                               {532, "cdn_origin_unreachable"},
                                               {538, "cdn_origin_unreachable"},
                                               {562, "cdn_origin_unreachable"},
                                               {509, "cdn_rate_or_attack_ban"},
                                               {524, "cdn_rate_or_attack_ban"},
                                               {614, "cdn_rate_or_attack_ban"},
                                               {514, "cdn_failing"},
                                               {503, "cdn_failing"}};
    for (const auto& [status, label] : all)
        expect("CDN double", ("HTTP " + std::to_string(status)).c_str(), run_while({.status = status}),
               "failed", "first_byte", "rejected", label);
}

TEST_F(CdnMatrix, Origin) {
    store.behave({.calls = {{CosCall::get_object, {.code = "SlowDown"}}}});
    expect("CDN double", "COS says SlowDown to everybody", run(config()), "failed", "first_byte", "rejected",
           "cdn_failing", "cdn_cos_freq_control");
    store.behave({.calls = {{CosCall::get_object, {.hang = true}}}});
    expect("CDN double", "origin does not answer the CDN: 504", run(config("interval = '1m'\n")), "failed",
           "first_byte", "rejected", "cdn_origin_unreachable");
    store.behave({});
    store.vanish();
    expect("CDN double", "origin is gone: 502", run(config()), "failed", "first_byte", "rejected",
           "cdn_origin_unreachable");
    store.reappear();
}

TEST_F(CdnMatrix, Caches) {
    expect("CDN double", "never cached", run_while({.no_cache = true}), "failed", "verify", "mismatch",
           "cdn_cache_miss_storm");
    put_fixed(std::string(3000, 'a'));
    expect("CDN double", "fixed URL, first time", run(fixed()), "ok");
    put_fixed(std::string(3000, 'b'));
    expect("CDN double", "overwritten at the origin, stale at the CDN", run(fixed()), "failed", "verify",
           "mismatch", "cdn_stale_object");
    edge->purge();
    expect("CDN double", "purged", run(fixed()), "ok");
    edge->damage("127.0.0.3");
    const Judged judged = run(fixed());
    expect("CDN double", "a byte changed in the copy of one edge", judged, "failed", "verify", "mismatch",
           "cdn_hash_mismatch");
    EXPECT_TRUE(judged.run.got("failing_address").starts_with("127.0.0.3:")) << seen_in(judged);
    EXPECT_EQ(judged.run.got("good_addresses"), "1 of 2");
}

TEST_F(CdnMatrix, NegativeCache) {
    store.change([](Cos& cos) { cos.buckets[bucket].public_read = true; });
    expect("CDN double", "404 everywhere", run(fixed()), "failed", "first_byte", "not_found", "cdn_failing",
           "cos_object_missing");
    put_fixed("uploaded after it was asked for");
    expect("CDN double", "uploaded after its 404 was cached", run(fixed()), "failed", "first_byte",
           "not_found", "cdn_negative_cache");
}

TEST_F(CdnMatrix, Addresses) {
    edge->behave({.status = 502, .at = {"127.0.0.3"}});
    const Judged judged = run(config());
    expect("CDN double", "one edge of two answers 502", judged, "failed", "first_byte", "rejected",
           "cdn_origin_unreachable");
    EXPECT_TRUE(judged.run.got("failing_address").starts_with("127.0.0.3:")) << seen_in(judged);
    edge->behave({});
    expect("CDN double", "one edge of three refuses connections",
           run(config({}, "'127.0.0.2', '127.0.0.9', '127.0.0.3'")), "failed", "tcp", "refused",
           "cdn_endpoint_unreachable");
    expect("none", "no edge takes connections", run(config({}, "'127.0.0.8', '127.0.0.9'")), "failed", "tcp",
           "refused", "cdn_endpoint_unreachable");
}

TEST_F(CdnMatrix, Certificates) {
    const CertificateFiles good({domain}), other({"other.example.com"});
    CdnEdge::Options with = options();
    with.pem = CdnEdge::Pem{good.certificate(), good.private_key()};
    with.pem_of["127.0.0.3"] = {other.certificate(), other.private_key()};
    edge.emplace(with);
    // Each is its own authority: whom to trust is one file.
    const practice::TemporaryDirectory directory;
    const auto trusted = directory.path() / "ca.pem";
    std::ofstream(trusted) << practice::read_file(good.certificate())
                           << practice::read_file(other.certificate());
    const auto https = [&](const char* addresses, const std::string& ca) {
        std::string toml = config({}, addresses);
        toml.replace(toml.find("'http'"), 6, "'https'");
        const std::string plain = "port = " + std::to_string(edge->port());
        toml.replace(
            toml.find(plain), plain.size(),
            "port = " + std::to_string(edge->tls_port()) + (ca.empty() ? "" : "\nca_file = '" + ca + "'"));
        return run(toml);
    };
    expect("CDN double", "https, right", https("'127.0.0.2'", trusted.string()), "ok");
    const Judged judged = https("'127.0.0.2', '127.0.0.3'", trusted.string());
    expect("CDN double", "one edge of two has a certificate of another name", judged, "failed", "tls",
           "certificate", "cdn_cert_expired");
    EXPECT_TRUE(judged.run.got("failing_address").starts_with("127.0.0.3:")) << seen_in(judged);
    expect("CDN double", "an authority we do not trust", https("'127.0.0.2'", {}), "failed", "tls",
           "certificate", "cdn_unreachable", "cdn_cert_expired");
    edge->behave({.only_http = true});
    expect("CDN double", "HTTPS not configured: 514", https("'127.0.0.2'", trusted.string()), "failed",
           "first_byte", "rejected", "cdn_failing");
}

TEST_F(CdnMatrix, NoSecretIsInAResult) {
    edge->authenticate(CdnUrlAuth{.key = cdn_key});
    for (const Judged& judged : {run(config("auth = { type = 'A', key = 'anotherkey' }\n")), run(config())}) {
        const std::string seen = seen_in(judged);
        for (const char* secret : {cdn_key, "anotherkey", "sign=", "q-signature", secret_key})
            EXPECT_EQ(seen.find(secret), std::string::npos) << seen;
    }
}

}  // namespace
}  // namespace livecanary::test
