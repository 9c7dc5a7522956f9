// The round trip over COS's JSON API against the practice store: fault → outcome, phase, reason, cause or
// class. With LIVECANARY_MATRIX set to a file name, the table is appended there as Markdown.
#include "tests/integration/matrix.hpp"
#include "tests/practice/cos_server.hpp"
#include "tests/support/memory_ledger.hpp"

namespace livecanary::test {
namespace {

using namespace std::chrono_literals;
using practice::Cos;
using practice::CosCall;
using practice::CosFault;

constexpr const char* app_id = "1250000000";
constexpr const char* whole_name = "cover-1250000000";
constexpr const char* secret_id = "AKIDpracticepracticepractice";
constexpr const char* secret_key = "practice-secret-key-of-32-bytes!";

/// What a case changes of a probe that is right.
struct Changed {
    std::string of = app_id;
    std::string bucket = "cover";
    std::string region = "sh";
    std::string id = secret_id;
    std::string key = secret_key;
    std::string more{};
};

class CosV4Matrix : public ::testing::Test {
protected:
    CosV4Matrix() {
        server.change([](Cos& cos) {
            cos.accounts[app_id].keys[secret_id] = {.secret_key = secret_key};
            cos.buckets[whole_name] = {.region = "ap-shanghai", .v4_region = "sh"};
        });
    }
    Judged run(const Changed& changed = {}) {
        return probe("api = 'v4'\napp_id = '" + changed.of + "'\nbucket = '" + changed.bucket +
                         "'\nregion = '" + changed.region + "'\nsecret_id = '" + changed.id +
                         "'\nsecret_key = '" + changed.key +
                         "'\nendpoint = 'http://{region}.file.myqcloud.com:" + std::to_string(server.port()) +
                         "'\naddress = '127.0.0.1'\ntimeout = '10s'\n" + changed.more,
                     {}, "cos_roundtrip", &ledger);
    }
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
    static std::string way(const Judged& judged) {
        std::string names;
        for (const auto& phase : judged.run.phases)
            names += (names.empty() ? "" : " ") + std::string(phase.phase.name);
        return names;
    }

    practice::CosServer server;
    MemoryLedger ledger;
};

TEST_F(CosV4Matrix, Right) {
    const Judged judged = run();
    expect("COS double, v4", "success", judged, "ok");
    EXPECT_EQ(way(judged), "tcp put head get verify delete") << seen_in(judged);
    EXPECT_EQ(judged.run.got("read"), "65536 of 65536 bytes");
    EXPECT_FALSE(judged.run.got("request_id").empty());
    expect_clean();
    ASSERT_EQ(ledger.ever.size(), 1U);
    EXPECT_EQ(ledger.ever[0].item.find("http://sh.file.myqcloud.com:"), 0U);
    EXPECT_NE(ledger.ever[0].item.find("/files/v2/1250000000/cover livecanary/"), std::string::npos);
    for (const char* size : {"1B", "1MiB"}) {
        expect("COS double, v4", (std::string("object of ") + size).c_str(),
               run({.more = "object_size = '" + std::string(size) + "'\n"}), "ok");
        expect_clean();
    }
}

TEST_F(CosV4Matrix, SourceThatIsNotServedIsVerifiedByStat) {
    server.change([](Cos& cos) { cos.v4_no_source = true; });
    const Judged judged = run();
    expect("COS double, v4", "the source_url serves nobody", judged, "ok");
    EXPECT_EQ(way(judged), "tcp put head get delete");
    EXPECT_EQ(judged.run.got("unread"), "the source_url answers HTTP 400");
    EXPECT_TRUE(judged.run.headline.ends_with(", verified by stat")) << judged.run.headline;
    expect_clean();
}

TEST_F(CosV4Matrix, WrongParametersByBothGenerationsOfNumbers) {
    for (const bool older : {false, true}) {
        server.change([=](Cos& cos) { cos.v4_older_numbers = older; });
        const char* const name = older ? "COS double, v4, older numbers" : "COS double, v4";
        expect(name, "SecretKey wrong", run({.key = "another-secret"}), "failed", "put", "forbidden",
               "cos_wrong_secret_key");
        expect(name, "SecretId wrong", run({.id = "AKIDnobody"}), "failed", "put", "forbidden",
               "cos_wrong_secret_id");
        for (const auto offset : {24h, -24h}) {
            server.behave({.calls = {}, .clock_offset = offset});
            const Judged judged = run();
            // A signature of tomorrow is good until then.
            if (offset > 0h)
                expect(name, "our clock a day behind", judged, "failed", "put", "forbidden",
                       "cos_clock_skew");
            else
                expect(name, "our clock a day ahead", judged, "ok");
            server.behave({});
        }
    }
    server.change([](Cos& cos) { cos.accounts["1250000001"].keys["AKIDother"] = {.secret_key = "x"}; });
    expect("COS double, v4", "APPID wrong", run({.of = "1250000009"}), "failed", "put", "forbidden",
           "cos_wrong_appid");
    expect("COS double, v4", "bucket name wrong", run({.bucket = "covers"}), "failed", "put", "not_found",
           "cos_bucket_not_found", "cos_wrong_bucket");
    expect("COS double, v4", "region wrong", run({.region = "gz"}), "failed", "put", "not_found",
           "cos_wrong_region");
    expect_clean();
}

TEST_F(CosV4Matrix, BucketOfTheGenerationBefore) {
    server.change([](Cos& cos) {
        cos.buckets[whole_name].v4_region.clear();
        cos.buckets[whole_name].v1 = true;
    });
    expect("COS double, v4", "the bucket is of the generation before", run(), "failed", "put", "not_found",
           "cos_generation_mismatch");
    server.change([](Cos& cos) { cos.buckets[whole_name].v1 = false; });
    const Judged judged = run();
    expect("COS double, v4", "the bucket is of the XML API alone", judged, "failed", "put", "not_found",
           "cos_bucket_not_found", "cos_wrong_bucket");
    const auto generation = [](const Candidate& one) { return one.cause == Cause::cos_generation_mismatch; };
    EXPECT_TRUE(std::ranges::any_of(judged.found.candidates, generation));
    EXPECT_EQ(ledger.kept.size(), 0U);
}

TEST_F(CosV4Matrix, Codes) {
    struct Row {
        CosCall call;
        CosFault fault;
        const char* what;
        const char* phase;
        const char* reason;
        const char* cause;
    };
    const Row rows[] = {
        {CosCall::put_object, {.code = "-61"}, "-61 sign bucket", "put", "forbidden", "cos_wrong_bucket"},
        {CosCall::put_object, {.code = "-80"}, "-80 invalid appid", "put", "forbidden", "cos_wrong_appid"},
        {CosCall::put_object,
         {.code = "-62", .status = 403, .message = "ERROR_PROXY_AUTH_APPID"},
         "-62 auth appid",
         "put",
         "forbidden",
         "cos_wrong_appid"},
        {CosCall::put_object,
         {.code = "-82", .status = 200, .message = "no words"},
         "-82 without words, HTTP 200",
         "put",
         "forbidden",
         "cos_wrong_appid"},
        // The text decides where the two differ.
        {CosCall::put_object,
         {.code = "-97", .status = 403, .message = "ERROR_PROXY_APPID_USERID_NOTMATCH"},
         "-97 with the text of another",
         "put",
         "forbidden",
         "cos_wrong_appid"},
        {CosCall::put_object, {.code = "-71"}, "-71 too frequent", "put", "rejected", "cos_throttled"},
        {CosCall::put_object, {.code = "-181"}, "-181 storage error", "put", "rejected", ""},
        {CosCall::put_object,
         {.corrupt = true},
         "upload arrives with a flipped bit",
         "put",
         "rejected",
         "cos_body_corrupted"},
        {CosCall::put_object, {.lose = true}, "upload is lost", "head", "not_found", "cos_object_missing"},
        {CosCall::head_object,
         {.wrong_etag = true},
         "stat tells another SHA-1",
         "head",
         "mismatch",
         "cos_body_corrupted"},
        {CosCall::get_object,
         {.corrupt = true},
         "download arrives with a flipped bit",
         "verify",
         "mismatch",
         "cos_body_corrupted"},
        {CosCall::get_object, {.truncate = 1000}, "download is cut short", "get", "closed", ""},
        {CosCall::put_object,
         {.drop = practice::CosDrop::after_body},
         "upload done, no answer",
         "put",
         "closed",
         ""},
    };
    for (const auto& [call, fault, what, phase, reason, cause] : rows) {
        expect("COS double, v4", what, run_while(call, fault), "failed", phase, reason, cause);
        expect_clean();
    }
}

TEST_F(CosV4Matrix, LitterIsWrittenDownAndRemoved) {
    expect("COS double, v4", "delete refused", run_while(CosCall::delete_object, {.code = "-181"}), "failed",
           "delete", "rejected");
    ASSERT_EQ(ledger.kept.size(), 1U);
    EXPECT_EQ(server.objects().size(), 1U);
    const FakeWorld world;
    TomlText text("api = 'v4'\napp_id = '1250000000'\nbucket = 'cover'\nregion = 'sh'\nsecret_id = '" +
                      std::string(secret_id) + "'\nsecret_key = '" + secret_key +
                      "'\nendpoint = 'http://{region}.file.myqcloud.com:" + std::to_string(server.port()) +
                      "'\naddress = '127.0.0.1'\n",
                  world);
    const auto kinds = all_kinds();
    const auto* const kind = *std::ranges::find(kinds, "cos_roundtrip", &Kind::name);
    const Probe made = kind->make(text.reader());
    asio::io_context io;
    net::Resolver dns(io.get_executor());
    Env env;
    env.dns = &dns;
    ProbeRun again(env, 5s);
    EXPECT_EQ(await(io, made.remove(again, ledger.kept.front())), error_code());
    EXPECT_EQ(server.objects(), std::vector<std::string>{});
    ProbeRun once_more(env, 5s);
    EXPECT_EQ(await(io, made.remove(once_more, ledger.kept.front())), error_code()) << "it is not there";
}

TEST_F(CosV4Matrix, NoSecretIsInAResult) {
    for (const Judged& judged : {run({.key = "another-secret"}), run()}) {
        const std::string seen = seen_in(judged);
        EXPECT_EQ(seen.find(secret_key), std::string::npos);
        EXPECT_EQ(seen.find("another-secret"), std::string::npos);
        EXPECT_EQ(seen.find("a=1250000000&"), std::string::npos) << seen;
    }
}

}  // namespace
}  // namespace livecanary::test
