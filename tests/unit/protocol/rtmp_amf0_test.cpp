#include "probes/protocol/rtmp/amf0.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/unit/protocol/rtmp_script.hpp"

namespace livecanary::test {
namespace {

using namespace protocol::rtmp;

Bytes encoded(const AmfValue& value) {
    Bytes bytes;
    amf_encode(value, bytes);
    return bytes;
}

// Golden bytes by the AMF0 specification (Adobe 2007), section in each row.
struct Golden {
    const char* name;
    AmfValue value;
    Bytes bytes;
};
const Golden goldens[] = {
    {"number_2_2", 1, hex("00 3ff0000000000000")},
    {"fraction_2_2", -2.5, hex("00 c004000000000000")},
    {"false_2_3", false, hex("01 00")},
    {"true_2_3", true, hex("01 01")},
    {"string_2_4", "live", hex("02 0004 \"live\"")},
    {"empty_string_2_4", "", hex("02 0000")},
    {"object_2_5", AmfObject{{{"app", "live"}, {"n", 2}}},
     hex("03 0003 \"app\" 02 0004 \"live\" 0001 \"n\" 00 4000000000000000 000009")},
    {"empty_object_2_5", AmfObject{}, hex("03 000009")},
    {"null_2_7", AmfNull{}, hex("05")},
    {"undefined_2_8", AmfUndefined{}, hex("06")},
    {"ecma_array_2_10", AmfEcmaArray{{{"width", 320}}},
     hex("08 00000001 0005 \"width\" 00 4074000000000000 000009")},
    {"strict_array_2_12", AmfStrictArray{{1, "a"}}, hex("0a 00000002 00 3ff0000000000000 02 0001 \"a\"")},
    {"date_2_13", AmfDate{.milliseconds = 1000, .zone = -1}, hex("0b 408f400000000000 ffff")},
};

TEST(RtmpAmf0, EncodesAndDecodesAsTheSpecificationSays) {
    for (const Golden& golden : goldens) {
        EXPECT_EQ(encoded(golden.value), golden.bytes) << golden.name;
        EXPECT_EQ(amf_decode(golden.bytes).value(), std::vector{golden.value}) << golden.name;
    }
}

TEST(RtmpAmf0, EveryCutIsTruncatedNotReadPast) {
    for (const Golden& golden : goldens)
        for (std::size_t size = 1; size < golden.bytes.size(); ++size) {
            // A copy of that size, so that a sanitizer sees a read past it.
            const Bytes cut(golden.bytes.begin(), golden.bytes.begin() + static_cast<std::ptrdiff_t>(size));
            EXPECT_EQ(amf_decode(cut).error(), Error::amf_truncated) << golden.name << " at " << size;
        }
}

TEST(RtmpAmf0, LongStringAbove65535Bytes) {
    const std::string longest(65535, 'x');
    EXPECT_EQ(encoded(longest)[0], 0x02);
    const Bytes bytes = encoded(longest + 'x');
    EXPECT_EQ(Bytes(bytes.begin(), bytes.begin() + 5), hex("0c 00010000"));
    EXPECT_EQ(*amf_decode(bytes).value().at(0).string(), longest + 'x');
    EXPECT_THROW(encoded(AmfObject{{{longest + 'x', 1}}}), std::length_error);
}

TEST(RtmpAmf0, ACommandIsSeveralValues) {
    const auto values =
        amf_decode(hex("02 0007 \"_result\" 00 4010000000000000 05 00 3ff0000000000000")).value();
    EXPECT_EQ(values, (std::vector<AmfValue>{"_result", 4, AmfNull{}, 1}));
    EXPECT_TRUE(amf_decode({}).value().empty());
}

TEST(RtmpAmf0, EcmaCountIsOnlyAHint) {
    for (const char* count : {"00000000", "ffffffff", "00000007"}) {
        const Bytes bytes = hex("08") + hex(count) + hex("0001 \"a\" 01 01 000009 05");
        EXPECT_EQ(amf_decode(bytes).value(), (std::vector<AmfValue>{AmfEcmaArray{{{"a", true}}}, AmfNull{}}));
    }
}

TEST(RtmpAmf0, EmptyKeyThatDoesNotEndTheObject) {
    EXPECT_EQ(amf_decode(hex("03 0000 05 0001 \"a\" 05 000009")).value().at(0),
              (AmfObject{{{"", AmfNull{}}, {"a", AmfNull{}}}}));
}

TEST(RtmpAmf0, TypedObjectXmlReferenceUnsupported) {
    const Bytes bytes = hex("10 0001 \"C\" 0001 \"a\" 05 000009  0f 00000003 \"<a>\"  07 0001  0d");
    EXPECT_EQ(amf_decode(bytes).value(),
              (std::vector<AmfValue>{AmfObject{{{"a", AmfNull{}}}}, "<a>", AmfUndefined{}, AmfUndefined{}}));
}

TEST(RtmpAmf0, SwitchToAmf3EndsTheValues) {
    EXPECT_EQ(amf_decode(hex("02 0001 \"a\" 11 0a0b01")).value(), (std::vector<AmfValue>{"a"}));
    EXPECT_EQ(amf_decode(hex("05 03 0001 \"a\" 05 0001 \"b\" 11 ffff")).value(),
              (std::vector<AmfValue>{AmfNull{}, AmfObject{{{"a", AmfNull{}}, {"b", AmfUndefined{}}}}}));
}

TEST(RtmpAmf0, UnknownMarkers) {
    for (const char* marker : {"04", "09", "0e", "12", "ff"})
        EXPECT_EQ(amf_decode(hex(marker)).error(), Error::amf_unknown_type) << marker;
}

TEST(RtmpAmf0, BoundDepth) {
    const auto nested = [](std::size_t depth) {
        Bytes bytes;
        for (std::size_t i = 0; i < depth; ++i) bytes = bytes + hex("0a 00000001");
        return bytes + hex("05");
    };
    EXPECT_TRUE(amf_decode(nested(8)).has_value());
    EXPECT_EQ(amf_decode(nested(9)).error(), Error::amf_too_deep);
    EXPECT_EQ(amf_decode(nested(10000)).error(), Error::amf_too_deep);
}

TEST(RtmpAmf0, BoundDepthCountsNestingNotContainers) {
    Bytes row;
    for (int i = 0; i < 20; ++i) row = row + hex("03 000009");
    EXPECT_EQ(amf_decode(row).value().size(), 20u);
}

TEST(RtmpAmf0, BoundKeysOverAllObjectsOfAMessage) {
    const auto objects = [](int keys) {
        Bytes bytes = hex("03");
        for (int i = 0; i < keys; ++i)
            bytes = bytes + hex("0001 \"k\" 05") + (i == 100 ? hex("000009 08 00000000") : Bytes());
        return bytes + hex("000009");
    };
    EXPECT_TRUE(amf_decode(objects(256)).has_value());
    EXPECT_EQ(amf_decode(objects(257)).error(), Error::amf_too_large);
}

TEST(RtmpAmf0, BoundValues) {
    EXPECT_EQ(amf_decode(Bytes(4096, 0x05)).value().size(), 4096u);
    EXPECT_EQ(amf_decode(Bytes(4097, 0x05)).error(), Error::amf_too_large);
}

TEST(RtmpAmf0, BoundLengthsAreNotTrusted) {
    EXPECT_EQ(amf_decode(hex("0a ffffffff 05")).error(), Error::amf_truncated);
    EXPECT_EQ(amf_decode(hex("0c ffffffff \"a\"")).error(), Error::amf_truncated);
    EXPECT_EQ(amf_decode(hex("0f 80000000")).error(), Error::amf_truncated);
    EXPECT_EQ(amf_decode(hex("03 ffff \"a\"")).error(), Error::amf_truncated);
}

TEST(RtmpAmf0, FindsByKeyAndType) {
    const AmfValue value = AmfObject{{{"code", "x"}, {"n", 2}, {"code", "second"}}};
    EXPECT_EQ(value.string_at("code"), "x");
    EXPECT_EQ(value.number_at("n"), 2);
    EXPECT_EQ(value.string_at("n"), std::nullopt);
    EXPECT_EQ(value.number_at("code"), std::nullopt);
    EXPECT_EQ(value.string_at("none"), std::nullopt);
    EXPECT_EQ(AmfValue(AmfEcmaArray{{{"a", true}}}).find("a")->boolean(), true);
    EXPECT_EQ(AmfValue("text").find("a"), nullptr);
    EXPECT_EQ(AmfValue(AmfNull{}).string(), nullptr);
}

}  // namespace
}  // namespace livecanary::test
