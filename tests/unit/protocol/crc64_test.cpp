// The checksum of COS.
#include "probes/protocol/crc64.hpp"

#include <gtest/gtest.h>
#include <boost/json.hpp>

#include <fstream>
#include <sstream>
#include <string>
#include <vector>

namespace livecanary::protocol {
namespace {

std::vector<std::uint8_t> bytes_of(std::string_view text) { return {text.begin(), text.end()}; }

TEST(Crc64, AgreesWithEveryVectorWholeAndByteByByte) {
    std::ifstream file(LIVECANARY_TESTDATA "/vectors.json");
    std::stringstream text;
    text << file.rdbuf();
    const auto all = boost::json::parse(text.str()).at("crc64ecma").at("vectors").as_array();
    ASSERT_GE(all.size(), 5U);
    for (const auto& vector : all) {
        const auto bytes = bytes_of(vector.at("in_utf8").as_string());
        const auto wanted = vector.at("u64_decimal_as_in_header").as_string();
        Crc64 whole;
        whole.feed(bytes);
        EXPECT_EQ(std::to_string(whole.value()), wanted);
        Crc64 split;
        for (const auto& byte : bytes) split.feed({&byte, 1});
        EXPECT_EQ(std::to_string(split.value()), wanted);
    }
}

TEST(Crc64, HasTheCheckValueOfItsName) {
    Crc64 crc;
    crc.feed(bytes_of("12345"));
    crc.feed({});
    crc.feed(bytes_of("6789"));
    EXPECT_EQ(crc.value(), 0x995DC9BBDF1939FAU);
}

}  // namespace
}  // namespace livecanary::protocol
