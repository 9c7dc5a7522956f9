// What holds for every kind that is built in.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "probes/core/probe.hpp"

namespace livecanary::test {
namespace {

TEST(Kinds, AreSortedByName) {
    const auto kinds = all_kinds();
    ASSERT_FALSE(kinds.empty());
    const auto name = [](const Kind* kind) { return kind->name; };
    EXPECT_TRUE(std::ranges::is_sorted(kinds, {}, name));
    EXPECT_EQ(std::ranges::adjacent_find(kinds, {}, name), kinds.end());
    for (const Kind* kind : kinds) EXPECT_NE(kind->make, nullptr) << kind->name;
    for (const char* wanted : {"reference", "rtmp_push"})
        EXPECT_TRUE(std::ranges::binary_search(kinds, wanted, {}, name)) << wanted;
}

TEST(Kinds, PhasesAreOfTheOneVocabulary) {
    const std::set<std::string_view> known{
        "dns",      "tcp",      "tls",     "handshake",  "connect", "create_stream", "publish", "media",
        "teardown", "playback", "request", "first_byte", "body",    "put",           "head",    "get",
        "verify",   "delete",   "auth",    "query",      "push",    "callback",      "row",     "list",
        "read"};
    for (const Kind* kind : all_kinds()) {
        EXPECT_FALSE(kind->phases.empty()) << kind->name;
        std::set<std::string_view> distinct;
        for (const Phase phase : kind->phases) {
            EXPECT_TRUE(known.contains(phase.name)) << kind->name << ": " << phase.name;
            EXPECT_TRUE(distinct.insert(phase.name).second) << kind->name << ": " << phase.name << " twice";
        }
    }
}

// Prometheus' own rules for names (prometheus.io/docs/practices/naming, read 2026-11-21): the unit comes
// last, or what is counted.
TEST(Kinds, ValuesHaveWellFormedMetrics) {
    constexpr std::array<std::string_view, 8> units{"_seconds", "_bytes",     "_ratio", "_total",
                                                    "_rows",    "_addresses", "_ok",    "_files"};
    std::map<std::string_view, std::string_view> help;
    for (const Kind* kind : all_kinds()) {
        std::set<std::string_view> metrics;
        for (const Value& value : kind->values) {
            SCOPED_TRACE(std::string(value.metric));
            EXPECT_TRUE(value.metric.starts_with("livecanary_"));
            EXPECT_EQ(value.metric.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_"),
                      value.metric.npos);
            EXPECT_EQ(value.metric.find("__"), value.metric.npos);
            EXPECT_TRUE(value.help.ends_with('.'));
            EXPECT_EQ(value.type == ValueType::counter, value.metric.ends_with("_total"));
            EXPECT_TRUE(std::ranges::any_of(units, [&](auto unit) { return value.metric.ends_with(unit); }));
            EXPECT_EQ(value.type == ValueType::histogram, !value.buckets.empty());
            EXPECT_TRUE(std::ranges::is_sorted(value.buckets, std::ranges::less_equal()));
            EXPECT_TRUE(!value.label.empty() || value.label_values.empty());
            EXPECT_EQ(value.second_label.empty(), value.second_label_values.empty());
            // Series of two labels exist once they were observed, which only a counter can bear.
            EXPECT_TRUE(value.second_label.empty() || value.type == ValueType::counter);
            EXPECT_TRUE(metrics.insert(value.metric).second);
            // Kinds may share a metric (probes/net/values.hpp), which then means the same in all.
            EXPECT_EQ(help.emplace(value.metric, value.help).first->second, value.help);
        }
    }
}

}  // namespace
}  // namespace livecanary::test
