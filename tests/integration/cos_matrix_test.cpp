// The COS round trip against the practice store: fault → outcome, phase, reason, cause or class. With
// LIVECANARY_MATRIX set to a file name, the table is appended there as Markdown.
#include "probes/core/peers.hpp"
#include "probes/protocol/cos_sign.hpp"
#include "tests/integration/matrix.hpp"
#include "tests/practice/cos_server.hpp"
#include "tests/support/memory_ledger.hpp"

namespace livecanary::test {
namespace {

using namespace std::chrono_literals;
using practice::Cos;
using practice::CosCall;
using practice::CosFault;

constexpr const char* appid = "1250000000";
constexpr const char* bucket = "cover-1250000000";
constexpr const char* region = "ap-shanghai";
constexpr const char* secret_id = "AKIDpracticepracticepractice";
constexpr const char* secret_key = "practice-secret-key-of-32-bytes!";

/// What a case changes of a probe that is right.
struct Changed {
    std::string in_bucket = bucket;
    std::string in_region = region;
    std::string id = secret_id;
    std::string key = secret_key;
    std::string more{};
    std::string host{};  ///< of the endpoint; empty: the bucket's in its region
};

/// A business backend as its configuration and clock make it (OutDefine.php).
class BackendDouble final : public Peers {
public:
    asio::awaitable<result<PeerAnswer>> ask(std::string, Question question) override {
        if (question.what != questions::cos_sign) co_return PeerError::not_understood;
        const auto now = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now()) + clock;
        const protocol::KeyTime key_time{now, now + width};
        PeerAnswer answer;
        answer.facts = {{"secret_id", id},     {"key_time", key_time.to_string()},
                        {"bucket", bucket_of}, {"region", region_of},
                        {"appid", appid_of},   {"date", std::to_string(now.time_since_epoch().count())}};
        answer.secrets.emplace("sign_key", config::Secret(protocol::cos_sign_key(key, key_time)));
        co_return result<PeerAnswer>(std::move(answer));
    }
    bool is_asked(std::string_view) const override { return false; }
    void tell(Notice) override {}
    std::vector<Notice> told(std::string_view, std::uint64_t) const override { return {}; }

    std::string bucket_of = "cover", region_of = region, appid_of = appid, id = secret_id, key = secret_key;
    std::chrono::seconds width{30}, clock{0};
};

class CosMatrix : public ::testing::Test {
protected:
    CosMatrix() {
        server.change([](Cos& cos) {
            cos.accounts[appid].keys[secret_id] = {.secret_key = secret_key};
            cos.buckets[bucket] = {.region = region};
        });
    }

    std::string config(const Changed& changed = {}) const {
        const std::string host = changed.host.empty()
                                     ? changed.in_bucket + ".cos." + changed.in_region + ".myqcloud.com"
                                     : changed.host;
        return "bucket = '" + changed.in_bucket + "'\nregion = '" + changed.in_region + "'\nsecret_id = '" +
               changed.id + "'\nsecret_key = '" + changed.key + "'\nendpoint = 'http://" + host + ":" +
               std::to_string(server.port()) + "'\naddress = '127.0.0.1'\ntimeout = '10s'\n" + changed.more;
    }
    Judged run(const Changed& changed = {}) { return probe(config(changed), {}, "cos_roundtrip", &ledger); }
    /// The backend signs; the monitor's own pair is a control.
    Judged run_signed(BackendDouble backend, bool with_own = true) {
        std::string toml = "signature = { backend = 'mini-live' }\n";
        if (with_own)
            toml += "own = { secret_id = 'AKIDmonitor', secret_key = 'monitor-secret' }\nbucket = '" +
                    std::string(bucket) + "'\nregion = '" + region + "'\n";
        toml +=
            "endpoint = 'http://{bucket}.cos.{region}.myqcloud.com:" + std::to_string(server.port()) +
            "'\naddress = '127.0.0.1'\ntimeout = '10s'\n[[probe]]\nname = 'mini-live'\nkind = 'reference'\n";
        return probe(toml, {}, "cos_roundtrip", &ledger, &backend);
    }
    /// A right probe while the store misbehaves at one kind of call.
    Judged run_while(CosCall call, CosFault fault) {
        server.behave({.calls = {{call, std::move(fault)}}});
        Judged judged = run();
        server.behave({});
        return judged;
    }
    void expect_clean() const {
        EXPECT_EQ(server.objects(), std::vector<std::string>{});
        EXPECT_EQ(ledger.kept.size(), 0U);
    }

    practice::CosServer server;
    MemoryLedger ledger;
};

TEST_F(CosMatrix, Right) {
    const Judged judged = run();
    expect("COS double", "success", judged, "ok");
    expect_clean();
    ASSERT_EQ(ledger.ever.size(), 1U);
    EXPECT_EQ(ledger.ever[0].store, "cos");
    EXPECT_NE(ledger.ever[0].item.find("myqcloud.com"), std::string::npos) << ledger.ever[0].item;
    std::vector<std::string> phases;
    for (const auto& phase : judged.run.phases) phases.emplace_back(phase.phase.name);
    EXPECT_EQ(phases, (std::vector<std::string>{"tcp", "put", "head", "get", "verify", "delete"}));
    EXPECT_FALSE(judged.run.got("request_id").empty());
    EXPECT_EQ(server.seen().count(CosCall::put_object), 1U);
}

TEST_F(CosMatrix, SizesOfOneByteAndMore) {
    for (const char* size : {"1B", "64KiB", "5MiB"}) {
        const Judged judged = run({.more = "object_size = '" + std::string(size) + "'\n"});
        expect("COS double", (std::string("object of ") + size).c_str(), judged, "ok");
        expect_clean();
    }
}

TEST_F(CosMatrix, TemporaryKey) {
    server.change([](Cos& cos) {
        cos.accounts[appid].temporary_keys["AKIDtemporarytemporarytemporary"] = {
            .secret_key = "temporary-secret",
            .token = "the-token",
            .expires = std::chrono::system_clock::now() + 1h};
    });
    Changed temporary{.id = "AKIDtemporarytemporarytemporary", .key = "temporary-secret"};
    temporary.more = "token = 'the-token'\n";
    expect("COS double", "temporary key", run(temporary), "ok");
    server.change([](Cos& cos) {
        cos.accounts[appid].temporary_keys["AKIDtemporarytemporarytemporary"].expires =
            std::chrono::system_clock::now() - 1h;
    });
    expect("COS double", "temporary key has expired", run(temporary), "failed", "put", "rejected",
           "cos_temp_token_expired");
    expect_clean();
}

TEST_F(CosMatrix, WrongKeys) {
    expect("COS double", "SecretKey wrong", run({.key = "another-secret"}), "failed", "put", "forbidden",
           "cos_wrong_secret_key");
    expect("COS double", "SecretId wrong", run({.id = "AKIDnobody"}), "failed", "put", "forbidden",
           "cos_wrong_secret_id");
    expect_clean();
}

TEST_F(CosMatrix, WrongBuckets) {
    server.change([](Cos& cos) {
        cos.buckets["other-1250000000"] = {.region = region};
        cos.buckets["cover-1250000999"] = {.region = region};
    });
    expect("COS double", "bucket name wrong", run({.in_bucket = "covers-1250000000"}), "failed", "put",
           "not_found", "cos_wrong_bucket");
    expect("COS double", "region wrong", run({.in_region = "ap-guangzhou"}), "failed", "put", "not_found",
           "cos_wrong_region");
    expect("COS double", "APPID wrong", run({.in_bucket = "cover-1250000001"}), "failed", "put", "not_found",
           "cos_wrong_appid");
    server.change([](Cos& cos) { cos.accounts[appid].keys[secret_id].may.erase(CosCall::get_service); });
    expect("COS double", "bucket name wrong, the key may not list buckets",
           run({.in_bucket = "covers-1250000000"}), "failed", "put", "not_found", "cos_bucket_not_found",
           "cos_wrong_bucket");
    expect("COS double", "region wrong, the key may not list buckets", run({.in_region = "ap-guangzhou"}),
           "failed", "put", "not_found", "cos_wrong_region");
    expect_clean();
}

TEST_F(CosMatrix, NoBucketAtAll) {
    server.change([](Cos& cos) { cos.buckets.clear(); });
    expect("COS double", "COS not activated: no bucket at all", run(), "failed", "put", "not_found",
           "cos_service_not_activated");
    EXPECT_EQ(ledger.kept.size(), 0U);
}

TEST_F(CosMatrix, Rights) {
    server.change([](Cos& cos) { cos.accounts[appid].keys[secret_id].may.erase(CosCall::put_object); });
    expect("COS double", "the key may not PUT", run(), "failed", "put", "forbidden", "cos_permission_denied");
    server.change([](Cos& cos) { cos.accounts[appid].keys[secret_id].may.erase(CosCall::get_service); });
    expect("COS double", "the key may neither PUT nor list buckets", run(), "failed", "put", "forbidden",
           "cos_access_denied", "cos_permission_denied");
    expect_clean();
}

TEST_F(CosMatrix, Clock) {
    for (const auto offset : {24h, -24h}) {
        server.behave({.calls = {}, .clock_offset = offset});
        expect("COS double", offset > 0h ? "our clock a day behind" : "our clock a day ahead", run(),
               "failed", "put", "forbidden", "cos_clock_skew");
    }
    server.behave({.calls = {}, .clock_offset = 100s});
    const Judged judged = run();
    expect("COS double", "our clock 100 s behind, within the signature's life", judged, "ok");
    bool found = false;
    for (const auto& value : judged.run.values)
        if (value.value.metric == "livecanary_cos_clock_skew_seconds")
            found = std::abs(value.number - 100) <= 1;
    EXPECT_TRUE(found);
    server.behave({});
    expect_clean();
}

TEST_F(CosMatrix, Codes) {
    expect("COS double", "503 SlowDown", run_while(CosCall::put_object, {.code = "SlowDown"}), "failed",
           "put", "rejected", "cos_throttled");
    expect("COS double", "402 PaymentRequired", run_while(CosCall::put_object, {.code = "PaymentRequired"}),
           "failed", "put", "rejected", "cos_access_denied", "cos_arrears");
    expect("COS double", "400 InvalidBucketName",
           run_while(CosCall::put_object, {.code = "InvalidBucketName"}), "failed", "put", "rejected",
           "cos_invalid_bucket_name");
    expect("COS double", "400 UserNetworkTooSlow",
           run_while(CosCall::put_object, {.code = "UserNetworkTooSlow"}), "failed", "put", "rejected",
           "cos_network_too_slow");
    expect("COS double", "400 RequestTimeout", run_while(CosCall::put_object, {.code = "RequestTimeout"}),
           "failed", "put", "rejected", "cos_network_too_slow");
    expect("COS double", "451 UnavailableForLegalReasons",
           run_while(CosCall::put_object, {.code = "UnavailableForLegalReasons"}), "failed", "put",
           "rejected", "cos_access_denied", "cos_arrears");
    expect("COS double", "503 ServiceUnavailable",
           run_while(CosCall::put_object, {.code = "ServiceUnavailable"}), "failed", "put", "rejected");
    expect("COS double", "500 InternalError", run_while(CosCall::put_object, {.code = "InternalError"}),
           "failed", "put", "rejected");
}

TEST_F(CosMatrix, Bodies) {
    expect("COS double", "PUT arrives with a flipped bit", run_while(CosCall::put_object, {.corrupt = true}),
           "failed", "put", "rejected", "cos_body_corrupted");
    expect("COS double", "GET arrives with a flipped bit", run_while(CosCall::get_object, {.corrupt = true}),
           "failed", "verify", "mismatch", "cos_body_corrupted");
    expect("COS double", "GET is cut short", run_while(CosCall::get_object, {.truncate = 1000}), "failed",
           "get", "closed");
    expect("COS double", "PUT answers another CRC", run_while(CosCall::put_object, {.wrong_crc64 = true}),
           "failed", "put", "mismatch", "cos_body_corrupted");
    expect("COS double", "HEAD answers another ETag", run_while(CosCall::head_object, {.wrong_etag = true}),
           "failed", "head", "mismatch", "cos_body_corrupted");
    expect_clean();
}

TEST_F(CosMatrix, Objects) {
    expect("COS double", "200 to the PUT, and no object", run_while(CosCall::put_object, {.lose = true}),
           "failed", "head", "not_found", "cos_object_missing");
    expect("COS double", "object gone before the GET", run_while(CosCall::get_object, {.code = "NoSuchKey"}),
           "failed", "get", "not_found", "cos_object_missing");
    expect("COS double", "DELETE refused", run_while(CosCall::delete_object, {.code = "AccessDenied"}),
           "failed", "delete", "forbidden", "cos_permission_denied");
    EXPECT_EQ(server.objects().size(), 1U);
    EXPECT_EQ(ledger.kept.size(), 1U) << "what could not be deleted stays in the ledger";
}

TEST_F(CosMatrix, Connections) {
    expect("COS double", "PUT done, no answer",
           run_while(CosCall::put_object, {.drop = practice::CosDrop::after_body}), "failed", "put",
           "closed");
    expect_clean();
    // Its close may meet our body still on the way: then the kernel makes a reset of it.
    const auto dropped = run_while(CosCall::put_object, {.drop = practice::CosDrop::after_header});
    const bool reset = dropped.run.reason() == Reason::reset;
    expect("COS double", "closes after the header of the PUT", dropped, "failed", "put",
           reset ? "reset" : "closed");
    expect_clean();
    server.behave({.calls = {{CosCall::get_object, {.hang = true}}}});
    expect("COS double", "GET never answers", run({.more = "interval = '5m'\n"}), "failed", "get", "timeout");
    server.behave({});
    server.vanish();
    expect("none", "nothing listens", run(), "failed", "tcp", "refused", "cos_endpoint_unreachable");
    server.reappear();
}

TEST_F(CosMatrix, Hosts) {
    expect("COS double", "accelerate host, not enabled",
           run({.host = "cover-1250000000.cos.accelerate.myqcloud.com"}), "failed", "put", "rejected",
           "cos_accelerate_not_enabled");
    expect("COS double", "custom domain, not bound", run({.host = "img.example.com"}), "failed", "put",
           "rejected", "cos_custom_domain_unbound");
    expect("COS double", "APPID twice in the host",
           run({.host = "cover-1250000000-1250000000.cos.ap-shanghai.myqcloud.com"}), "failed", "put",
           "rejected", "cos_invalid_bucket_name");
    server.change([](Cos& cos) {
        cos.buckets[bucket].accelerate = true;
        cos.buckets[bucket].domains.insert("img.example.com");
    });
    expect("COS double", "accelerate host", run({.host = "cover-1250000000.cos.accelerate.myqcloud.com"}),
           "ok");
    expect("COS double", "custom domain", run({.host = "img.example.com"}), "ok");
    expect_clean();
}

TEST_F(CosMatrix, SignedByTheBackend) {
    server.change([](Cos& cos) {
        cos.accounts[appid].keys["AKIDmonitor"] = {.secret_key = "monitor-secret"};
        cos.accounts[appid].keys["AKIDother"] = {.secret_key = "other-secret"};
        cos.accounts["1250000999"].keys["AKIDelse"] = {.secret_key = "else"};
        cos.buckets["logs-1250000000"] = {.region = region};
    });
    const BackendDouble right;
    const Judged judged = run_signed(right);
    expect("COS double, backend", "success", judged, "ok");
    EXPECT_EQ(judged.run.got("key_time_width"), "30 s");
    expect_clean();
    BackendDouble other = right;
    other.key = "stale-secret";
    expect("COS double, backend", "COSKEY_SECRECTKEY wrong", run_signed(other), "failed", "put", "forbidden",
           "cos_wrong_secret_key");
    other = right;
    other.id = "AKIDother";
    expect("COS double, backend", "COSKEY_SECRECTID of another pair", run_signed(other), "failed", "put",
           "forbidden", "cos_wrong_secret_key");
    other.id = "AKIDnobody";
    expect("COS double, backend", "COSKEY_SECRECTID of nobody", run_signed(other), "failed", "put",
           "forbidden", "cos_wrong_secret_id");
    expect("COS double, backend", "COSKEY_SECRECTID of nobody, no own pair", run_signed(other, false),
           "failed", "put", "forbidden", "cos_wrong_secret_id");
    other = right;
    other.bucket_of = "covers";
    expect("COS double, backend", "COSKEY_BUCKET wrong", run_signed(other), "failed", "put", "not_found",
           "cos_wrong_bucket");
    expect("COS double, backend", "COSKEY_BUCKET wrong, nothing to compare with", run_signed(other, false),
           "failed", "put", "not_found", "cos_wrong_bucket");
    other.bucket_of = bucket;
    expect("COS double, backend", "COSKEY_BUCKET ends in the APPID", run_signed(other), "ok");
    other = right;
    other.region_of = "ap-guangzhou";
    expect("COS double, backend", "COSKEY_BUCKET_REGION wrong", run_signed(other), "failed", "put",
           "not_found", "cos_wrong_region");
    other = right;
    other.appid_of = "1250000001";
    expect("COS double, backend", "COSKEY_APPID wrong", run_signed(other), "failed", "put", "not_found",
           "cos_wrong_appid");
    other = right;
    other.clock = -1h;
    expect("COS double, backend", "the backend's clock an hour behind", run_signed(other), "failed", "put",
           "forbidden", "push_backend_clock_skew");
    other.clock = 1h;
    expect("COS double, backend", "the backend's clock an hour ahead", run_signed(other), "failed", "put",
           "forbidden", "push_backend_clock_skew");
    other = right;
    other.width = -1s;
    expect("COS double, backend", "COSKEY_EXPIRED_TIME is -1", run_signed(other), "failed", "put",
           "forbidden", "cos_signkey_window_expired");
    server.behave(
        {.calls = {{CosCall::put_object, {.code = "AccessDenied", .message = "Request has expired"}}}});
    expect("COS double, backend", "the upload alone has expired, at once", run_signed(right), "failed", "put",
           "forbidden", "cos_request_expired", "cos_signkey_window_expired");
    server.behave({});
    expect_clean();
}

TEST_F(CosMatrix, NothingIsMadeThatIsNotWrittenDown) {
    ledger.fails = make_error_code(boost::system::errc::no_space_on_device);
    const Judged judged = run();
    EXPECT_EQ(to_string(judged.run.outcome()), "inconclusive");
    EXPECT_EQ(judged.run.inconclusive, "the object's key could not be written down, so it was not made");
    EXPECT_EQ(server.seen().calls.size(), 0U);
}

TEST_F(CosMatrix, NoSecretIsInAResult) {
    for (const Judged& judged : {run({.key = "another-secret"}), run()}) {
        const std::string seen = seen_in(judged);
        EXPECT_EQ(seen.find(secret_key), std::string::npos);
        EXPECT_EQ(seen.find("q-signature"), std::string::npos) << seen;
    }
}

}  // namespace
}  // namespace livecanary::test
