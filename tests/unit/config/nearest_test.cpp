#include "config/nearest.hpp"

#include <gtest/gtest.h>

#include <array>

namespace livecanary::config {
namespace {

constexpr std::array<std::string_view, 4> keys{"interval", "timeout", "url", "fail_after"};

TEST(Nearest, FewEditsAway) {
    EXPECT_EQ(nearest("intervall", keys), "interval");
    EXPECT_EQ(nearest("time_out", keys), "timeout");
    EXPECT_EQ(nearest("fail-after", keys), "fail_after");
    EXPECT_EQ(nearest("ulr", keys), std::nullopt);  // two edits make anything of a word of three
    EXPECT_EQ(nearest("uri", keys), "url");
    EXPECT_EQ(nearest("host", keys), std::nullopt);
    EXPECT_EQ(nearest("u", keys), std::nullopt);
    EXPECT_EQ(nearest("", keys), std::nullopt);
    EXPECT_EQ(nearest("url", {}), std::nullopt);
    EXPECT_EQ(nearest(std::string(1'000'000, 'x'), keys), std::nullopt);
}

TEST(Nearest, NoneOfTellsWhatThereIs) {
    constexpr std::array<std::string_view, 2> hashes{"md5", "sha256"};
    EXPECT_EQ(none_of("sha265", hashes),
              "expected one of 'md5', 'sha256', found 'sha265'; did you mean 'sha256'?");
    constexpr std::array<std::string_view, 2> languages{"en", "zh"};
    EXPECT_EQ(none_of("cn", languages), "expected one of 'en', 'zh', found 'cn'");
    EXPECT_EQ(none_of("crc", hashes), "expected one of 'md5', 'sha256', found 'crc'");
}

}  // namespace
}  // namespace livecanary::config
