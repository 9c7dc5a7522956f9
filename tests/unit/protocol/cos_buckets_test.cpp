#include "probes/protocol/cos_buckets.hpp"

#include <gtest/gtest.h>

namespace livecanary::protocol {
namespace {

constexpr std::string_view two = R"(<?xml version='1.0' encoding='utf-8' ?>
<ListAllMyBucketsResult>
    <Owner><ID>qcs::cam::uin/100000000001:uin/100000000001</ID><DisplayName>100000000001</DisplayName></Owner>
    <Buckets>
        <Bucket>
            <Name>cover-1250000000</Name><Location>ap-shanghai</Location>
            <CreationDate>2019-05-24T11:49:50Z</CreationDate><BucketType>cos</BucketType>
        </Bucket>
        <Bucket><Name>a&amp;b-1250000000</Name><Location>ap-beijing</Location></Bucket>
    </Buckets>
</ListAllMyBucketsResult>)";

TEST(CosBuckets, NamesAndRegions) {
    const auto list = parse_cos_buckets(two);
    ASSERT_TRUE(list) << list.error().message();
    EXPECT_EQ(list->buckets, (std::vector<CosBucket>{{"cover-1250000000", "ap-shanghai"},
                                                     {"a&b-1250000000", "ap-beijing"}}));
    EXPECT_TRUE(list->complete);
}

TEST(CosBuckets, AnAccountWithoutBucketsIsAList) {
    for (const char* body : {"<ListAllMyBucketsResult><Buckets/></ListAllMyBucketsResult>",
                             "<ListAllMyBucketsResult><Buckets></Buckets></ListAllMyBucketsResult>"}) {
        const auto list = parse_cos_buckets(body);
        ASSERT_TRUE(list) << body;
        EXPECT_TRUE(list->buckets.empty());
    }
}

TEST(CosBuckets, MoreThanOneListNames) {
    EXPECT_FALSE(parse_cos_buckets("<ListAllMyBucketsResult><IsTruncated>true</IsTruncated><Buckets/>"
                                   "</ListAllMyBucketsResult>")
                     ->complete);
    EXPECT_TRUE(parse_cos_buckets("<ListAllMyBucketsResult><IsTruncated>false</IsTruncated><Buckets/>"
                                  "</ListAllMyBucketsResult>")
                    ->complete);
}

// A page of somebody in between, or half a list, must not read as "no buckets".
TEST(CosBuckets, WhatIsNoListIsNone) {
    const auto error = [](std::string_view body) { return parse_cos_buckets(body).error(); };
    EXPECT_EQ(error(""), CosBucketsError::not_xml);
    EXPECT_EQ(error("<!DOCTYPE html><html><body>Welcome"), CosBucketsError::not_xml);
    EXPECT_EQ(error("<html><body>Welcome</body></html>"), CosBucketsError::not_a_list);
    EXPECT_EQ(error("<Error><Code>AccessDenied</Code></Error>"), CosBucketsError::not_a_list);
    EXPECT_EQ(error("<ListAllMyBucketsResult></ListAllMyBucketsResult>"), CosBucketsError::not_a_list);
    EXPECT_EQ(error(std::string(two) + '\0'), CosBucketsError::not_xml);
    EXPECT_EQ(error(std::string(max_cos_buckets_size + 1, ' ')), CosBucketsError::too_long);
    for (std::size_t size = 0; size + 1 < two.size(); ++size)
        EXPECT_FALSE(parse_cos_buckets(two.substr(0, size))) << size;
}

}  // namespace
}  // namespace livecanary::protocol
