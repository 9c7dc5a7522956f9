#pragma once
// The opening of an RTMP connection, client side: C0 C1, then S0 S1 S2, then C2 (RTMP 1.0 §5.2), in the
// simple form of the specification or in the digest form of Flash Player 9 and later.
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "probes/protocol/rtmp/error.hpp"

namespace livecanary::protocol::rtmp {

inline constexpr std::size_t handshake_part_size = 1536;  ///< bytes of C1, C2, S1 and S2
/// Bytes in each direction: one of version, then two parts.
inline constexpr std::size_t handshake_size = 1 + 2 * handshake_part_size;
/// Random bytes of C1.
inline constexpr std::size_t handshake_random_size = handshake_part_size - 8;

/// Where x1 carries its digest in the digest form; `none` is the simple form.
enum class DigestScheme {
    none,
    first,   ///< placed by bytes 8..11
    second,  ///< placed by bytes 772..775
};

/// How S2 answers C1.
enum class S2 {
    echo,    ///< repeats C1's time and random bytes, as the specification asks for
    digest,  ///< carries the digest made with the server's key and C1's digest
    wrong,   ///< neither; ffmpeg and librtmp accept it, so it is worth a note, not a failure
};

/// What the server sent.
struct HandshakeDetails {
    std::uint8_t version = 0;  ///< S0; 3
    std::uint32_t time = 0;    ///< S1's first field; SRS puts Unix seconds there
    /// S1's second field: zero in the simple form, a version in the digest form (SRS: 01 00 05 04).
    std::array<std::uint8_t, 4> server_version{};
    bool echoes_c1 = false;                    ///< S1 is a copy of C1, as nginx-rtmp and NMS send it
    DigestScheme digest = DigestScheme::none;  ///< of S1; looked for only if C1 had one
    S2 s2 = S2::wrong;
    bool operator==(const HandshakeDetails&) const = default;
};

/// The client's side of the handshake, fed in pieces of any size.
class Handshake {
public:
    enum class Form {
        simple,
        digest_first,   ///< C1 signed, scheme first
        digest_second,  ///< C1 signed, scheme second
    };

    /// `time`: C1's timestamp field, milliseconds on any clock; 0 is fine. `random`: the rest of C1.
    Handshake(Form form, std::uint32_t time, std::span<const std::uint8_t, handshake_random_size> random);

    /// C0 and C1, to be sent in one write: 1537 bytes.
    std::span<const std::uint8_t> c0_c1() const noexcept { return c0_c1_; }

    /// Takes as much of `bytes` as belongs to the handshake and returns how many those were.
    /// Error::server_speaks_* or bad_version as soon as the first byte is not 3; each further call returns it
    /// again.
    result<std::size_t> feed(std::span<const std::uint8_t> bytes);

    /// All of S0, S1 and S2 is here: details() and c2() are valid.
    bool done() const noexcept { return received_.size() == handshake_size; }

    /// Bytes of S0, S1 and S2 so far.
    std::size_t bytes_received() const noexcept { return received_.size(); }
    const HandshakeDetails& details() const noexcept { return details_; }
    /// C2: an echo of S1, or signed with S1's digest if it has one. 1536 bytes once done().
    const std::vector<std::uint8_t>& c2() const noexcept { return c2_; }

private:
    void finish();

    std::vector<std::uint8_t> c0_c1_;
    DigestScheme asked_ = DigestScheme::none;  // of C1
    std::vector<std::uint8_t> received_;
    error_code failed_;
    HandshakeDetails details_;
    std::vector<std::uint8_t> c2_;
};

}  // namespace livecanary::protocol::rtmp
