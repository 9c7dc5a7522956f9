#pragma once
// What is uploaded: bytes that nobody needs to hold, and what the store has to say of them.
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include <boost/asio/awaitable.hpp>

namespace livecanary::cos_roundtrip {

namespace asio = boost::asio;

/// The bytes of an object: the same for the same seed, made as they are sent, so that none is ever held
/// whole.
class Content {
public:
    explicit Content(std::uint64_t seed) noexcept : state_(seed) {}
    void fill(std::span<std::uint8_t> bytes) noexcept;

private:
    std::uint64_t state_;
    std::array<std::uint8_t, 8> word_{};
    std::size_t used_ = 8;  // bytes of word_
};

/// What an object of that size and seed must look like.
struct Expected {
    std::uint64_t size = 0;
    std::string md5_hex{};     ///< its ETag, without quotes
    std::string md5_base64{};  ///< its Content-MD5
    std::string sha1_hex{};    ///< computed for the JSON API alone
    std::uint64_t crc64 = 0;   ///< CRC-64/XZ
};

/// Computes that. Gives the loop a turn after each piece: a large object takes seconds of processor time.
/// Stops early if it is cut; the caller must have switched off `throw_if_cancelled`. `with_sha1`: the JSON
/// API asks for it.
asio::awaitable<Expected> expect(std::uint64_t size, std::uint64_t seed, bool with_sha1);

}  // namespace livecanary::cos_roundtrip
