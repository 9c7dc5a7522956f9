#include "probes/protocol/rtmp/handshake.hpp"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <numeric>
#include <string_view>

#include "probes/protocol/rtmp/big_endian.hpp"

namespace livecanary::protocol::rtmp {
namespace {

using Bytes = std::span<const std::uint8_t>;
using Digest = std::array<std::uint8_t, 32>;

constexpr std::uint8_t rtmp_version = 3;

// The keys of the digest form are public constants of Flash Player and Flash Media Server. Each has a text,
// which alone makes the digests of C1 and S1, and 32 bytes after it, which both share.
constexpr std::string_view player_text = "Genuine Adobe Flash Player 001";
constexpr std::string_view server_text = "Genuine Adobe Flash Media Server 001";
constexpr Digest key_tail{0xf0, 0xee, 0xc2, 0x4a, 0x80, 0x68, 0xbe, 0xe8, 0x2e, 0x00, 0xd0,
                          0xd1, 0x02, 0x9e, 0x7e, 0x57, 0x6e, 0xec, 0x5d, 0x2d, 0x29, 0x80,
                          0x6f, 0xab, 0x93, 0xb8, 0xe6, 0x36, 0xcf, 0xeb, 0x31, 0xae};
// A Flash Player version; anything but zero asks for the digest form. nginx-rtmp's relay sends this one.
constexpr std::array<std::uint8_t, 4> player_version{0x80, 0x00, 0x07, 0x02};

std::vector<std::uint8_t> key(std::string_view text, bool whole) {
    std::vector<std::uint8_t> bytes(text.begin(), text.end());
    if (whole) bytes.insert(bytes.end(), key_tail.begin(), key_tail.end());
    return bytes;
}

Digest hmac(Bytes key, Bytes message) {
    Digest digest{};
    unsigned size = 0;
    HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), message.data(), message.size(),
         digest.data(), &size);
    return digest;
}

// Where the digest stands in C1 or S1.
std::size_t digest_at(Bytes part, DigestScheme scheme) {
    const std::size_t base = scheme == DigestScheme::first ? 8 : 772;
    const auto pointer = part.subspan(base, 4);
    // At most 728 places, so that the digest ends before the other half of the part.
    return std::accumulate(pointer.begin(), pointer.end(), std::size_t{0}) % 728 + base + 4;
}

// Of the part without the 32 bytes the digest itself takes.
Digest digest_of(Bytes part, std::size_t at, std::string_view key_text) {
    std::vector<std::uint8_t> message(part.begin(), part.end());
    const auto hole = message.begin() + static_cast<std::ptrdiff_t>(at);
    message.erase(hole, hole + static_cast<std::ptrdiff_t>(Digest{}.size()));
    return hmac(key(key_text, false), message);
}

bool equal(Bytes a, Bytes b) { return std::ranges::equal(a, b); }

Bytes digest_in(Bytes part, std::size_t at) { return part.subspan(at, Digest{}.size()); }

// C2 and S2 of the digest form end in a digest of all before it, made with a key that only who knows the long
// key text and has seen the other side's digest can make.
Digest answer_digest(std::string_view key_text, Bytes peers_digest, Bytes answer) {
    return hmac(hmac(key(key_text, true), peers_digest), answer.first(answer.size() - Digest{}.size()));
}

Error what_speaks(std::uint8_t first_byte) {
    switch (first_byte) {
        case 'H':
            return Error::server_speaks_http;
        case 0x15:  // the content type of an alert, RFC 8446 §5.1
            return Error::server_speaks_tls;
        case 'S':
            return Error::server_speaks_ssh;
        case 6:
        case 8:
            return Error::server_speaks_rtmpe;
        default:
            return Error::bad_version;
    }
}

}  // namespace

Handshake::Handshake(Form form, std::uint32_t time,
                     std::span<const std::uint8_t, handshake_random_size> random) {
    c0_c1_.push_back(rtmp_version);
    append_be(time, 4, c0_c1_);
    if (form == Form::simple)
        append_be(0, 4, c0_c1_);
    else
        c0_c1_.insert(c0_c1_.end(), player_version.begin(), player_version.end());
    c0_c1_.insert(c0_c1_.end(), random.begin(), random.end());
    if (form == Form::simple) return;

    asked_ = form == Form::digest_first ? DigestScheme::first : DigestScheme::second;
    const auto c1 = std::span(c0_c1_).subspan(1);
    const std::size_t at = digest_at(c1, asked_);
    std::ranges::copy(digest_of(c1, at, player_text), c1.subspan(at).begin());
}

result<std::size_t> Handshake::feed(std::span<const std::uint8_t> bytes) {
    if (failed_) return failed_;
    const auto taken = bytes.first(std::min(bytes.size(), handshake_size - received_.size()));
    received_.insert(received_.end(), taken.begin(), taken.end());
    if (!received_.empty() && received_.front() != rtmp_version) {
        failed_ = what_speaks(received_.front());
        return failed_;
    }
    if (done() && c2_.empty()) finish();
    return taken.size();
}

void Handshake::finish() {
    const Bytes c1 = Bytes(c0_c1_).subspan(1);
    const Bytes s1 = Bytes(received_).subspan(1, handshake_part_size);
    const Bytes s2 = Bytes(received_).last(handshake_part_size);
    details_.version = received_.front();
    details_.time = static_cast<std::uint32_t>(read_be(s1.first(4)));
    std::ranges::copy(s1.subspan(4, 4), details_.server_version.begin());
    details_.echoes_c1 = equal(s1, c1);
    if (equal(s2.first(4), c1.first(4)) && equal(s2.subspan(8), c1.subspan(8))) details_.s2 = S2::echo;

    c2_.assign(s1.begin(), s1.end());
    std::ranges::copy(c1.first(4),
                      c2_.begin() + 4);  // when we read S1: C1's time is the only one we were told
    if (asked_ == DigestScheme::none) return;

    const Bytes c1_digest = digest_in(c1, digest_at(c1, asked_));
    if (equal(s2.last(Digest{}.size()), answer_digest(server_text, c1_digest, s2))) details_.s2 = S2::digest;
    // nginx-rtmp answers in the first scheme whatever was asked for.
    for (const DigestScheme scheme : {DigestScheme::first, DigestScheme::second}) {
        const std::size_t at = digest_at(s1, scheme);
        if (!equal(digest_in(s1, at), digest_of(s1, at, server_text))) continue;
        details_.digest = scheme;
        std::ranges::copy(c1.subspan(8), c2_.begin() + 8);  // random bytes, to be signed
        std::ranges::copy(answer_digest(player_text, digest_in(s1, at), c2_), c2_.end() - Digest{}.size());
        return;
    }
}

}  // namespace livecanary::protocol::rtmp
