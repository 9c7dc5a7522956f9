#include "daemon/gzip.hpp"

#include <gtest/gtest.h>
#include <zlib.h>

namespace livecanary::daemon {
namespace {

struct Case {
    const char* accept_encoding;
    bool accepted;
};
const Case cases[] = {
    {"", false},
    {"gzip", true},
    {"GZip", true},
    {"x-gzip", true},
    {"deflate, br", false},
    {"deflate ,\tgzip , br", true},
    {"gzip;q=0", false},
    {"gzip; q=0.000", false},
    {"gzip;q=0.001", true},
    {"gzip;level=1;q=0", false},
    {"*", true},
    {"*;q=0", false},
    {"*, gzip;q=0", false},
    {"gzip;q=0, *", false},
    {"*;q=0, gzip", true},
    {"identity;q=1, *;q=0", false},
    {"gzipped", false},
    {",,;;,", false},
};

TEST(Gzip, IsUsedOnlyForWhoAcceptsIt) {
    for (const Case& row : cases)
        EXPECT_EQ(accepts_gzip(row.accept_encoding), row.accepted) << row.accept_encoding;
}

std::string inflated(std::string packed, std::size_t size) {
    z_stream stream{};
    EXPECT_EQ(inflateInit2(&stream, 15 + 16), Z_OK);
    std::string out(size + 1, '\0');
    stream.next_in = reinterpret_cast<Bytef*>(packed.data());
    stream.avail_in = static_cast<uInt>(packed.size());
    stream.next_out = reinterpret_cast<Bytef*>(out.data());
    stream.avail_out = static_cast<uInt>(out.size());
    EXPECT_EQ(inflate(&stream, Z_FINISH), Z_STREAM_END);
    EXPECT_EQ(stream.avail_in, 0U);
    out.resize(stream.total_out);
    inflateEnd(&stream);
    return out;
}

TEST(Gzip, ComesOutAsItWentIn) {
    std::string hard;  // does not compress, so that it fills more than one chunk of output
    std::uint32_t state = 1;
    for (int i = 0; i < 300'000; ++i) {
        state = state * 1664525U + 1013904223U;
        hard += static_cast<char>(state >> 24U);
    }
    for (const std::string& plain : {std::string(), std::string("a"), std::string(300'000, 'a'), hard})
        EXPECT_EQ(inflated(gzip(plain), plain.size()), plain);
}

}  // namespace
}  // namespace livecanary::daemon
