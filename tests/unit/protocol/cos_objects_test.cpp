#include "probes/protocol/cos_objects.hpp"

#include <gtest/gtest.h>

namespace livecanary::protocol {
namespace {

constexpr std::string_view two = R"(<?xml version='1.0' encoding='utf-8' ?>
<ListBucketResult>
    <Name>cover-1250000000</Name><Prefix>livecanary/</Prefix><MaxKeys>1000</MaxKeys><IsTruncated>false</IsTruncated>
    <Contents>
        <Key>livecanary/a&amp;b.bin</Key><LastModified>2026-11-18T11:06:40.000Z</LastModified>
        <ETag>"d41d"</ETag><Size>5</Size><Owner><ID>1250000000</ID></Owner>
    </Contents>
    <Contents><Key>livecanary/c.bin</Key></Contents>
</ListBucketResult>)";

TEST(CosObjects, Keys) {
    const auto list = parse_cos_objects(two);
    ASSERT_TRUE(list) << list.error().message();
    EXPECT_EQ(list->keys, (std::vector<std::string>{"livecanary/a&b.bin", "livecanary/c.bin"}));
    EXPECT_TRUE(list->complete);
    EXPECT_TRUE(parse_cos_objects("<ListBucketResult/>")->keys.empty());
    EXPECT_FALSE(
        parse_cos_objects("<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>")->complete);
}

TEST(CosObjects, WhatIsNoListIsNone) {
    const auto error = [](std::string_view body) { return parse_cos_objects(body).error(); };
    EXPECT_EQ(error(""), CosObjectsError::not_xml);
    EXPECT_EQ(error("<!DOCTYPE html><html><body>Welcome"), CosObjectsError::not_xml);
    EXPECT_EQ(error("<html><body>Welcome</body></html>"), CosObjectsError::not_a_list);
    EXPECT_EQ(error("<Error><Code>AccessDenied</Code></Error>"), CosObjectsError::not_a_list);
    EXPECT_EQ(error(std::string(two) + '\0'), CosObjectsError::not_xml);
    EXPECT_EQ(error(std::string(max_cos_objects_size + 1, ' ')), CosObjectsError::too_long);
    for (std::size_t size = 0; size + 1 < two.size(); ++size)
        EXPECT_FALSE(parse_cos_objects(two.substr(0, size))) << size;
}

}  // namespace
}  // namespace livecanary::protocol
