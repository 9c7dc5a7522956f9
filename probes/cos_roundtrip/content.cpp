#include "probes/cos_roundtrip/content.hpp"

#include <openssl/evp.h>
#include <algorithm>
#include <bit>
#include <memory>
#include <vector>

#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "probes/protocol/crc64.hpp"
#include "probes/protocol/digest.hpp"

namespace livecanary::cos_roundtrip {
namespace {

/// What MD5 is computed over at a time, to let the event loop run in between.
constexpr std::size_t digest_piece = 64UL * 1024;

class Digester {
public:
    explicit Digester(const EVP_MD* algorithm) : context_(EVP_MD_CTX_new(), &EVP_MD_CTX_free) {
        EVP_DigestInit_ex(context_.get(), algorithm, nullptr);
    }
    void update(std::span<const std::uint8_t> bytes) {
        EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size());
    }
    std::vector<std::uint8_t> end() {
        std::vector<std::uint8_t> digest(EVP_MAX_MD_SIZE);
        unsigned size = 0;
        EVP_DigestFinal_ex(context_.get(), digest.data(), &size);
        digest.resize(size);
        return digest;
    }

private:
    std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_;
};

}  // namespace

void Content::fill(std::span<std::uint8_t> bytes) noexcept {
    for (auto& byte : bytes) {
        if (used_ == word_.size()) {
            // splitmix64 (Steele, Lea, Flood 2014).
            state_ += 0x9E3779B97F4A7C15;
            std::uint64_t z = state_;
            z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
            z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
            word_ = std::bit_cast<std::array<std::uint8_t, 8>>(z ^ (z >> 31));
            used_ = 0;
        }
        byte = word_[used_++];
    }
}

asio::awaitable<Expected> expect(std::uint64_t size, std::uint64_t seed, bool with_sha1) {
    Expected expected{.size = size};
    Content content(seed);
    Digester md5(EVP_md5()), sha1(EVP_sha1());
    protocol::Crc64 crc;
    std::vector<std::uint8_t> piece(digest_piece);
    for (std::uint64_t left = size; left > 0;) {
        const auto part =
            std::span(piece).first(static_cast<std::size_t>(std::min<std::uint64_t>(left, piece.size())));
        content.fill(part);
        md5.update(part);
        if (with_sha1) sha1.update(part);
        crc.feed(part);
        left -= part.size();
        co_await asio::post(co_await asio::this_coro::executor, asio::use_awaitable);
        const asio::cancellation_state state = co_await asio::this_coro::cancellation_state;
        if (state.cancelled() != asio::cancellation_type::none) break;
    }
    const auto digest = md5.end();
    expected.md5_hex = protocol::lower_hex(digest);
    expected.md5_base64 = protocol::base64(digest);
    if (with_sha1) expected.sha1_hex = protocol::lower_hex(sha1.end());
    expected.crc64 = crc.value();
    co_return expected;
}

}  // namespace livecanary::cos_roundtrip
