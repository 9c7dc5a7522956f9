// The stamp in our keyframes: its text, and what is not taken for one.
#include "probes/protocol/stamp.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <string>
#include <string_view>

#include "probes/protocol/avc.hpp"
#include "probes/protocol/h264.hpp"
#include "probes/protocol/test_stream.hpp"

namespace livecanary::protocol {
namespace {

using namespace std::chrono_literals;
using std::chrono::nanoseconds;

std::optional<Stamp> read(std::string_view text) {
    return read_stamp({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
}

std::string text_of(const Stamp& stamp) {
    const auto bytes = write_stamp(stamp);
    return {bytes.begin(), bytes.end()};
}

constexpr nanoseconds longest = nanoseconds::max();
const Stamp stamps[] = {{},
                        {.run = 1, .sent = 1ns},
                        {.run = 0x0123456789abcdef, .sent = 86'400s},
                        {.run = 0x8000000000000000, .sent = 1'234'567'890'123ns},
                        {.run = std::numeric_limits<std::uint64_t>::max(), .sent = longest}};

TEST(Stamp, IsTextThatPeopleCanRead) {
    EXPECT_EQ(text_of({.run = 0xab54a98ceb1f0ad2, .sent = 1500ms}),
              "livecanary 1 ab54a98ceb1f0ad2 1500000000");
    EXPECT_EQ(text_of({}), "livecanary 1 0000000000000000 0");
    EXPECT_EQ(text_of(stamps[4]), "livecanary 1 ffffffffffffffff 9223372036854775807");
}

TEST(Stamp, ReadsWhatItWrote) {
    for (const Stamp& stamp : stamps) EXPECT_EQ(read(text_of(stamp)), stamp) << text_of(stamp);
}

TEST(Stamp, PassesThroughAnSei) {
    for (const Stamp& stamp : stamps) {
        const auto payload = write_stamp(stamp);
        EXPECT_EQ(std::ranges::count(payload, 0), 0) << "would need emulation prevention";
        const auto found = find_user_data(avc_sei(stamp_uuid, payload), stamp_uuid);
        ASSERT_TRUE(found);
        EXPECT_EQ(read_stamp(*found), stamp);
    }
}

// A number that lost its end is a number: an earlier time of the same run, which is nobody's latency.
TEST(Stamp, CutShortIsNoneOrAnEarlierOneOfTheSameRun) {
    for (const Stamp& stamp : stamps) {
        const std::string text = text_of(stamp);
        const std::size_t before_time = text.rfind(' ') + 1;
        for (std::size_t size = 0; size < text.size(); ++size) {
            const auto found = read(std::string_view(text).substr(0, size));
            ASSERT_EQ(found.has_value(), size > before_time) << text.substr(0, size);
            if (!found) continue;
            EXPECT_EQ(found->run, stamp.run);
            EXPECT_LT(found->sent, stamp.sent);
        }
    }
}

TEST(Stamp, ForeignTextIsNone) {
    using namespace std::string_view_literals;
    for (const std::string_view text : {
             ""sv,
             " "sv,
             "x264 - core 164 r3095 baee400 - H.264/MPEG-4 AVC codec"sv,
             "livecanary 1"sv,
             "livecanary 2 0123456789abcdef 5"sv,
             "livecanary 10 123456789abcdef 5"sv,
             "Livecanary 1 0123456789abcdef 5"sv,
             " livecanary 1 0123456789abcdef 5"sv,
             "livecanary 1  123456789abcdef 5"sv,
             "livecanary 1 123456789abcdef 5"sv,
             "livecanary 1 00123456789abcdef 5"sv,
             "livecanary 1 0123456789abcdeg 5"sv,
             "livecanary 1 0x23456789abcdef 5"sv,
             "livecanary 1 -123456789abcdef 5"sv,
             "livecanary 1 0123456789abcdef5"sv,
             "livecanary 1 0123456789abcdef\t5"sv,
             "livecanary 1 0123456789abcdef "sv,
             "livecanary 1 0123456789abcdef  5"sv,
             "livecanary 1 0123456789abcdef +5"sv,
             "livecanary 1 0123456789abcdef 5 "sv,
             "livecanary 1 0123456789abcdef 5\n"sv,
             "livecanary 1 0123456789abcdef 5\0"sv,
             "livecanary 1 0123456789abcdef 5.5"sv,
             "livecanary 1 0123456789abcdef 0x5"sv,
             "livecanary 1 0123456789abcdef 5e3"sv,
             "\xff\xfe\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"sv,
         })
        EXPECT_EQ(read(text), std::nullopt) << text;
}

TEST(Stamp, NegativeTimesAreNone) {
    for (const char* time : {"-1", "-9223372036854775808", "-9223372036854775809"})
        EXPECT_EQ(read(std::string("livecanary 1 0123456789abcdef ") + time), std::nullopt) << time;
}

TEST(Stamp, NumbersThatDoNotFitAreNone) {
    const std::string run = "livecanary 1 0123456789abcdef ";
    EXPECT_EQ(read(run + "9223372036854775807")->sent, longest);
    for (const char* time :
         {"9223372036854775808", "18446744073709551616", "99999999999999999999999999999999999999999999"})
        EXPECT_EQ(read(run + time), std::nullopt) << time;
    EXPECT_EQ(read(run + std::string(100'000, '9')), std::nullopt);
    // Zeros before a number do not make it longer.
    EXPECT_EQ(read(run + std::string(100'000, '0') + "5")->sent, 5ns);
}

}  // namespace
}  // namespace livecanary::protocol
