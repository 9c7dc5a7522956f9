// What the controls of a failed round trip ask, and what their answers name.
#include "probes/cos_roundtrip/controls.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <initializer_list>
#include <utility>

#include "tests/unit/kinds/cos_stage.hpp"

namespace livecanary::test {
namespace {

TEST(CosRoundtripControls, MakeNothing) {
    for (const char* code : {"InvalidAccessKeyId", "SignatureDoesNotMatch", "AccessDenied",
                             "RequestTimeTooSkewed", "NoSuchBucket"}) {
        CosStage stage;
        HttpReply refusal = cos_refuses(403, code);
        refusal.headers.emplace_back("Date", "Wed, 18 Nov 2026 12:06:40 GMT");
        stage.instead[CosStage::put] = refusal;
        const CosJudged judged = stage.judge(stage.make());
        const auto& heard = stage.server.heard();
        for (std::size_t i = 1; i < heard.size(); ++i) {
            EXPECT_EQ(heard[i].method, "GET") << code;
            EXPECT_EQ(heard[i].target, "/") << code;
        }
        EXPECT_FALSE(judged.run.controls.empty()) << code;
        for (const auto& control : judged.run.controls) EXPECT_FALSE(control.shows.empty()) << control.name;
        stage.expect_clean();
    }
}

TEST(CosRoundtripControls, AccelerateHostIsComparedWithTheRegionalOne) {
    CosStage stage;
    stage.instead[CosStage::put] = cos_refuses(400, "BucketAccelerateNotEnabled");
    std::string keys = stage.keys();
    keys.replace(keys.find(".cos.ap-shanghai."), std::string_view(".cos.ap-shanghai.").size(),
                 ".cos.accelerate.");
    const CosJudged judged = stage.judge(CosStage::made_of(keys));
    EXPECT_EQ(judged.diagnosis.label(), "cos_accelerate_not_enabled");
    ASSERT_EQ(stage.server.heard().size(), 2U);
    const std::string port = ":" + std::to_string(stage.server.port());
    EXPECT_EQ(stage.server.heard()[0].headers.at("host"),
              "cover-1250000000.cos.accelerate.myqcloud.com" + port);
    EXPECT_EQ(stage.server.heard()[1].headers.at("host"), CosStage::host + port);
    stage.expect_clean();
}

std::string listed(std::initializer_list<std::pair<const char*, const char*>> buckets) {
    std::string xml = "<ListAllMyBucketsResult><Owner><ID>qcs::cam::uin/1:uin/1</ID></Owner><Buckets>";
    for (const auto& [name, location] : buckets)
        xml += "<Bucket><Name>" + std::string(name) + "</Name><Location>" + location +
               "</Location><CreationDate>2026-01-01T00:00:00Z</CreationDate></Bucket>";
    return xml + "</Buckets></ListAllMyBucketsResult>";
}

/// No bucket anywhere but what `list` says, and in `region` if there is one.
void lacks_the_bucket(CosStage& stage, const HttpReply& list, const std::string& region = "") {
    stage.instead.clear();
    stage.changed = [=](const HttpHeard& heard, HttpReply& reply) {
        const std::string& host = heard.headers.at("host");
        if (host.starts_with("service.cos.myqcloud.com:"))
            reply = list;
        else if (region.empty() || host.find(".cos." + region + ".") == std::string::npos)
            reply = cos_refuses(404, "NoSuchBucket");
    };
}

TEST(CosRoundtripControls, ListOfBucketsTellsWhichParameterIsWrong) {
    struct Case {
        std::string list;
        std::string_view says;
        const char* label;
    };
    const Case cases[] = {
        {listed({}), cos_roundtrip::list_says::nothing, "cos_service_not_activated"},
        {listed({{"other-1250000000", "ap-shanghai"}}), cos_roundtrip::list_says::not_there,
         "cos_wrong_bucket"},
        {listed({{"covers-1250000000", "ap-shanghai"}, {"my-cover-1250000000", "ap-shanghai"}}),
         cos_roundtrip::list_says::not_there, "cos_wrong_bucket"},
        {listed({{"cover-1250000999", "ap-shanghai"}}), cos_roundtrip::list_says::other_appid,
         "cos_wrong_appid"},
        {listed({{"cover-1250000999", "ap-shanghai"}, {"other-1250000000", "ap-shanghai"}}),
         cos_roundtrip::list_says::other_appid, "cos_wrong_appid"},
        {listed({{"other-1250000000", "ap-shanghai"}, {"cover-1250000000", "ap-guangzhou"}}),
         cos_roundtrip::list_says::other_region, "cos_wrong_region"},
        {listed({{"cover-1250000999", "ap-shanghai"}, {"cover-1250000000", "ap-shanghai"}}),
         cos_roundtrip::list_says::this_one, "cos_bucket_not_found"},
    };
    for (const auto& [text, says, label] : cases) {
        CosStage stage;
        lacks_the_bucket(stage, http_says::page(text, "application/xml"));
        const CosJudged judged = stage.judge(stage.make());
        const Control* list = judged.run.control(cos_roundtrip::own_buckets);
        ASSERT_NE(list, nullptr);
        EXPECT_EQ(list->fingerprint, says) << text;
        EXPECT_EQ(judged.diagnosis.label(), label) << text;
        EXPECT_TRUE(stage.ledger.kept.empty());
    }
}

TEST(CosRoundtripControls, WhatIsNoListOfBucketsSaysNothing) {
    const std::string whole = listed({});
    for (const std::string& text : {std::string("<html><body>Welcome</body></html>"), std::string(),
                                    whole.substr(0, whole.size() / 2)}) {
        CosStage stage;
        lacks_the_bucket(stage, http_says::page(text, "application/xml"));
        const CosJudged judged = stage.judge(stage.make());
        const Control* list = judged.run.control(cos_roundtrip::own_buckets);
        ASSERT_NE(list, nullptr);
        EXPECT_EQ(list->outcome, ControlOutcome::inconclusive) << list->shows;
        EXPECT_EQ(judged.diagnosis.label(), "cos_bucket_not_found") << text;
    }
}

TEST(CosRoundtripControls, WithoutTheListEachRegionIsAskedUntilOneHasTheBucket) {
    CosStage stage;
    lacks_the_bucket(stage, cos_refuses(403, "AccessDenied"), "ap-beijing");
    const CosJudged judged = stage.judge(stage.make());
    std::vector<std::string> hosts;
    for (const auto& heard : stage.server.heard())
        hosts.push_back(heard.headers.at("host").substr(0, heard.headers.at("host").find(".myqcloud")));
    EXPECT_EQ(hosts, (std::vector<std::string>{"cover-1250000000.cos.ap-shanghai", "service.cos",
                                               "cover-1250000000.cos.ap-guangzhou",
                                               "cover-1250000000.cos.ap-beijing"}));
    ASSERT_NE(judged.run.control(cos_roundtrip::other_region), nullptr);
    EXPECT_EQ(judged.run.control(cos_roundtrip::other_region)->shows, "the bucket in ap-beijing: accepted");
    EXPECT_EQ(judged.diagnosis.label(), "cos_wrong_region");
    EXPECT_TRUE(stage.ledger.kept.empty());
}

TEST(CosRoundtripControls, BucketInNoRegion) {
    CosStage stage;
    lacks_the_bucket(stage, cos_refuses(403, "AccessDenied"));
    const CosJudged judged = stage.judge(stage.make());
    const auto& controls = judged.run.controls;
    EXPECT_EQ(std::ranges::count(controls, cos_roundtrip::other_region, &Control::name), 1);
    ASSERT_NE(judged.run.control(cos_roundtrip::other_region), nullptr);
    EXPECT_EQ(judged.run.control(cos_roundtrip::other_region)->outcome, ControlOutcome::failed);
    EXPECT_EQ(judged.diagnosis.label(), "cos_bucket_not_found");
    EXPECT_FALSE(judged.diagnosis.ruled_out.empty());
}

TEST(CosRoundtripControls, RegionsThatCannotBeReachedAreNotRuledOut) {
    CosStage stage;
    lacks_the_bucket(stage, cos_refuses(403, "AccessDenied"));
    const auto lacks = stage.changed;
    stage.changed = [lacks](const HttpHeard& heard, HttpReply& reply) {
        lacks(heard, reply);
        if (heard.method == "GET") reply = {.raw = "", .then = HttpThen::reset};
    };
    const CosJudged judged = stage.judge(stage.make());
    EXPECT_EQ(judged.diagnosis.label(), "cos_bucket_not_found");
    EXPECT_TRUE(judged.diagnosis.ruled_out.empty()) << judged.diagnosis.ruled_out.front();
}

TEST(CosRoundtripControls, ClocksThatAgreeAreNotBlamed) {
    CosStage stage;
    HttpReply refusal = cos_refuses(403, "AccessDenied", "Request has expired");
    refusal.headers.emplace_back("Date", CosStage::date);
    stage.instead[CosStage::put] = refusal;
    const CosJudged judged = stage.judge(stage.make());
    EXPECT_EQ(judged.run.got("clock_skew"), "0 s");
    EXPECT_EQ(judged.diagnosis.label(), "cos_request_expired") << judged.diagnosis.because;
}

}  // namespace
}  // namespace livecanary::test
