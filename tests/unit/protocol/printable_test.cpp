#include "probes/protocol/printable.hpp"

#include <gtest/gtest.h>

namespace livecanary::test {
namespace {

using protocol::printable;

TEST(Printable, AtMost512Bytes) {
    EXPECT_EQ(printable(std::string(600, 'x')), std::string(512, 'x'));
    EXPECT_EQ(printable(std::string(511, 'x') + "é"), std::string(511, 'x')) << "no half character";
    EXPECT_EQ(printable(std::string_view("a\0b\r\n\x1b[31m\x7f", 11)), "a?b???[31m?");
}

TEST(Printable, KeepsUtf8AndNothingThatOnlyLooksLikeIt) {
    EXPECT_EQ(printable("推流 é 😀"), "推流 é 😀");
    EXPECT_EQ(printable("\x80 \xC0\xAF \xE0\x80\x80 \xED\xA0\x80 \xF4\x90\x80\x80 \xF8 \xC3"),
              "? ?? ??? ??? ???? ? ?");
}

}  // namespace
}  // namespace livecanary::test
