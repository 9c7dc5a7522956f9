#include "probes/protocol/cdn_cache.hpp"

#include <gtest/gtest.h>

#include <string_view>
#include <vector>

namespace livecanary::protocol {
namespace {

using Values = std::vector<std::string_view>;

std::string_view read(const Values& values) { return to_string(read_cache_lookup(values)); }

TEST(CdnCache, TextsOfPublicCaptures) {
    EXPECT_EQ(read({"Cache Hit"}), "hit");
    EXPECT_EQ(read({"Cache Refresh Hit"}), "hit");
    EXPECT_EQ(read({"Hit From MemCache"}), "hit");
    EXPECT_EQ(read({"Hit From Disktank3"}), "hit");
    EXPECT_EQ(read({"Hit From Inner Cluster"}), "hit");
    EXPECT_EQ(read({"Cache Miss"}), "miss");
    EXPECT_EQ(read({"Hit From Upstream"}), "miss") << "the upstream is the origin";
    EXPECT_EQ(read({"Hit From Upstream Cluster"}), "miss");
}

TEST(CdnCache, ChainsInOneFieldOrSeveral) {
    EXPECT_EQ(read({"Cache Hit, Hit From Inner Cluster, Cache Miss"}), "miss");
    EXPECT_EQ(read({"Cache Hit", "Hit From Inner Cluster", "Cache Miss"}), "miss");
    EXPECT_EQ(read({"Cache Miss", "Cache Hit"}), "miss") << "which end is the edge is not fixed";
    EXPECT_EQ(read({"Hit From Upstream, Hit From Inner Cluster"}), "hit");
    EXPECT_EQ(read({"Hit From MemCache,Hit From Upstream"}), "hit");
    EXPECT_EQ(read({"Hit From Upstream", "Hit From Upstream Cluster"}), "miss");
}

TEST(CdnCache, LetterCaseAndSpaceDoNotMatter) {
    EXPECT_EQ(read({"cache HIT"}), "hit");
    EXPECT_EQ(read({" , CACHE miss ,"}), "miss");
}

TEST(CdnCache, NothingKnownIsUnknown) {
    for (const char* text : {"", ",", "HIT", "TCP_HIT", "Expired", "From Upstream"})
        EXPECT_EQ(read({text}), "unknown") << text;
    EXPECT_EQ(read({}), "unknown");
}

TEST(CdnCache, NamesOfTheCdn) {
    for (const char* name : {"cover.example.com.cdn.dnsv1.com", "a.cdn.dnsv1.com.cn", "a.dsa.dnsv1.com.",
                             "x.CDNTIP.com", "a.tdnsv5.com", "b.c.tdnsv12.com", "b-125.file.myqcloud.com"})
        EXPECT_TRUE(is_cdn_name(name)) << name;
    for (const char* name : {"", ".", "com", "dnsv1.com", "a.dnsv1.com.evil.org", "adnsv1.com",
                             "a.tdnsv5x.com", "tdnsv5.com.", "b.cos.ap-shanghai.myqcloud.com", "a.tdnsv5.cn"})
        EXPECT_FALSE(is_cdn_name(name)) << name;
    EXPECT_TRUE(is_cos_cdn_name("cover-1250000000.file.myqcloud.com"));
    EXPECT_FALSE(is_cos_cdn_name("cover.example.com.cdn.dnsv1.com"));
}

}  // namespace
}  // namespace livecanary::protocol
