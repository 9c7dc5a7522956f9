// The COS round trip against the practice store: fault → outcome, phase, reason, cause or class. With
// LIVECANARY_MATRIX set to a file name, the table is appended there as Markdown.
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
        return "bucket = '" + changed.in_bucket + "'\nregion = '" + changed.in_region + "'\nsecret_id = '" +
               changed.id + "'\nsecret_key = '" + changed.key + "'\nendpoint = 'http://" + changed.in_bucket +
               ".cos." + changed.in_region + ".myqcloud.com:" + std::to_string(server.port()) +
               "'\naddress = '127.0.0.1'\ntimeout = '10s'\n" + changed.more;
    }
    Judged run(const Changed& changed = {}) { return probe(config(changed), {}, "cos_roundtrip", &ledger); }
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
           "failed", "head", "not_found");
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
    expect("COS double", "closes after the header of the PUT",
           run_while(CosCall::put_object, {.drop = practice::CosDrop::after_header}), "failed", "put",
           "closed");
    expect_clean();
    server.behave({.calls = {{CosCall::get_object, {.hang = true}}}});
    expect("COS double", "GET never answers", run({.more = "interval = '5m'\n"}), "failed", "get", "timeout");
    server.behave({});
    server.vanish();
    expect("none", "nothing listens", run(), "failed", "tcp", "refused", "cos_endpoint_unreachable");
    server.reappear();
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
