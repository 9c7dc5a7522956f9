#include "probes/protocol/rtmp/handshake.hpp"

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "tests/unit/protocol/rtmp_script.hpp"

namespace livecanary::test {
namespace {

using namespace protocol::rtmp;

std::array<std::uint8_t, handshake_random_size> pattern() {
    std::array<std::uint8_t, handshake_random_size> bytes{};
    for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::uint8_t>(i * 7 + 3);
    return bytes;
}

Handshake client(Handshake::Form form = Handshake::Form::simple) { return {form, 0x01020304, pattern()}; }

Bytes c1_of(const Handshake& handshake) {
    const auto sent = handshake.c0_c1();
    return {sent.begin() + 1, sent.end()};
}

Bytes slice(const Bytes& bytes, std::size_t from, std::size_t size) {
    return {bytes.begin() + static_cast<std::ptrdiff_t>(from),
            bytes.begin() + static_cast<std::ptrdiff_t>(from + size)};
}

Bytes sha256_mac(const Bytes& key, const Bytes& message) {
    Bytes digest(32);
    HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), message.data(), message.size(),
         digest.data(), nullptr);
    return digest;
}

const Bytes tail = hex("f0eec24a 8068bee8 2e00d0d1 029e7e57 6eec5d2d 29806fab 93b8e636 cfeb31ae");
const Bytes player_key = hex("\"Genuine Adobe Flash Player 001\"");
const Bytes server_key = hex("\"Genuine Adobe Flash Media Server 001\"");

std::size_t place(const Bytes& part, std::size_t base) {
    return static_cast<std::size_t>(part[base] + part[base + 1] + part[base + 2] + part[base + 3]) % 728 +
           base + 4;
}

// A server of the digest form, written from the description and not from the client.
struct DigestServer {
    Bytes s1, s2;
    std::size_t s1_at;
    DigestServer(const Bytes& c1, std::size_t c1_base, std::size_t s1_base) : s1(1536, 0x5A), s2(1536, 0xA5) {
        s1[4] = 0x01;
        s1_at = place(s1, s1_base);
        const Bytes digest =
            sha256_mac(server_key, slice(s1, 0, s1_at) + slice(s1, s1_at + 32, 1536 - s1_at - 32));
        std::copy(digest.begin(), digest.end(), s1.begin() + static_cast<std::ptrdiff_t>(s1_at));
        const Bytes key = sha256_mac(server_key + tail, slice(c1, place(c1, c1_base), 32));
        const Bytes proof = sha256_mac(key, slice(s2, 0, 1504));
        std::copy(proof.begin(), proof.end(), s2.begin() + 1504);
    }
    Bytes answer() const { return Bytes{3} + s1 + s2; }
    bool accepts(const Bytes& c2) const {
        return slice(c2, 1504, 32) ==
               sha256_mac(sha256_mac(player_key + tail, slice(s1, s1_at, 32)), slice(c2, 0, 1504));
    }
};

TEST(RtmpHandshake, SimpleC0C1) {
    const Handshake handshake = client();
    const auto random = pattern();
    EXPECT_EQ(Bytes(handshake.c0_c1().begin(), handshake.c0_c1().end()),
              hex("03 01020304 00000000") + Bytes(random.begin(), random.end()));
}

// nginx-rtmp and node-media-server copy our C1 into S1 and S2.
TEST(RtmpHandshake, S1MayBeACopyOfC1) {
    Handshake handshake = client();
    const Bytes c1 = c1_of(handshake);
    EXPECT_EQ(handshake.feed(Bytes{3} + c1 + c1).value(), handshake_size);
    ASSERT_TRUE(handshake.done());
    EXPECT_EQ(handshake.details(), (HandshakeDetails{.version = 3,
                                                     .time = 0x01020304,
                                                     .server_version = {},
                                                     .echoes_c1 = true,
                                                     .digest = DigestScheme::none,
                                                     .s2 = S2::echo}));
    EXPECT_EQ(slice(handshake.c2(), 0, 4), slice(c1, 0, 4));
    EXPECT_EQ(slice(handshake.c2(), 8, 1528), slice(c1, 8, 1528));
}

// SRS sends an S1 of its own; C2 repeats its time and its random bytes.
TEST(RtmpHandshake, C2EchoesS1) {
    Handshake handshake = client();
    const Bytes s1 = hex("65000000 01000504") + Bytes(1528, 0x77);
    EXPECT_TRUE(handshake.feed(Bytes{3} + s1 + c1_of(handshake)).has_value());
    EXPECT_EQ(handshake.c2(), hex("65000000 01020304") + Bytes(1528, 0x77));
    EXPECT_EQ(handshake.details().time, 0x65000000u);
    EXPECT_EQ(handshake.details().server_version, (std::array<std::uint8_t, 4>{1, 0, 5, 4}));
    EXPECT_FALSE(handshake.details().echoes_c1);
    EXPECT_EQ(handshake.details().s2, S2::echo);
}

TEST(RtmpHandshake, S2MayCarryTheTimeItWasReadAt) {
    Handshake handshake = client();
    Bytes s2 = c1_of(handshake);
    s2[4] = 0x99;
    EXPECT_TRUE(handshake.feed(Bytes{3} + c1_of(handshake) + s2).has_value());
    EXPECT_EQ(handshake.details().s2, S2::echo);
}

TEST(RtmpHandshake, WrongS2IsANoteAndNoFailure) {
    for (const std::size_t at : {0u, 8u, 1535u}) {
        Handshake handshake = client();
        Bytes s2 = c1_of(handshake);
        s2[at] ^= 1;
        EXPECT_TRUE(handshake.feed(Bytes{3} + c1_of(handshake) + s2).has_value());
        EXPECT_TRUE(handshake.done());
        EXPECT_EQ(handshake.details().s2, S2::wrong) << at;
        EXPECT_EQ(handshake.c2().size(), 1536u);
    }
}

TEST(RtmpHandshake, TakesWhatIsItsOwnAndNoMore) {
    Handshake handshake = client();
    const Bytes c1 = c1_of(handshake);
    EXPECT_EQ(handshake.feed(Bytes{3} + c1 + c1 + hex("02 000000")).value(), 3073u);
    EXPECT_EQ(handshake.feed(hex("0000")).value(), 0u);
}

TEST(RtmpHandshake, SameInEveryPiece) {
    for (const auto form : {Handshake::Form::simple, Handshake::Form::digest_first}) {
        Handshake whole = client(form);
        const Bytes bytes = DigestServer(c1_of(whole), 8, 8).answer();
        EXPECT_TRUE(whole.feed(bytes).has_value());
        for (std::size_t cut = 1; cut < bytes.size(); ++cut) {
            Handshake two = client(form);
            EXPECT_EQ(two.feed(std::span(bytes).first(cut)).value(), cut);
            EXPECT_FALSE(two.done()) << "cut at " << cut;
            EXPECT_EQ(two.bytes_received(), cut);
            EXPECT_EQ(two.feed(std::span(bytes).subspan(cut)).value(), bytes.size() - cut);
            EXPECT_EQ(two.details(), whole.details());
            EXPECT_EQ(two.c2(), whole.c2());
        }
        Handshake drip = client(form);
        for (const std::uint8_t byte : bytes) EXPECT_EQ(drip.feed(std::span(&byte, 1)).value(), 1u);
        EXPECT_EQ(drip.details(), whole.details());
    }
}

// The digests were computed with Python's hmac module over the same C1.
TEST(RtmpHandshake, DigestC1) {
    const Bytes first = c1_of(client(Handshake::Form::digest_first));
    const Bytes second = c1_of(client(Handshake::Form::digest_second));
    EXPECT_EQ(slice(first, 4, 4), hex("80000702"));
    EXPECT_EQ(slice(first, 66, 32), hex("303e0c5b79999306b6b109b49100ea3e1587e526d26ee3ed418010500e885c0c"));
    EXPECT_EQ(slice(second, 1014, 32),
              hex("8b48dbbad230b08817bcbb3ce1675fb0e36043c73f511642c4f5fe953363f7f9"));
}

TEST(RtmpHandshake, DigestOfEitherSchemeIsVerifiedAndAnswered) {
    // nginx-rtmp answers in the first scheme whatever was asked for, SRS and node-media-server mirror it.
    for (const std::size_t c1_base : {8u, 772u})
        for (const std::size_t s1_base : {8u, 772u}) {
            Handshake handshake =
                client(c1_base == 8 ? Handshake::Form::digest_first : Handshake::Form::digest_second);
            const DigestServer server(c1_of(handshake), c1_base, s1_base);
            EXPECT_TRUE(handshake.feed(server.answer()).has_value());
            EXPECT_EQ(handshake.details().digest, s1_base == 8 ? DigestScheme::first : DigestScheme::second);
            EXPECT_EQ(handshake.details().s2, S2::digest);
            EXPECT_TRUE(server.accepts(handshake.c2()));
        }
}

TEST(RtmpHandshake, DigestThatIsWrongIsTakenAsTheSimpleForm) {
    Handshake handshake = client(Handshake::Form::digest_first);
    DigestServer server(c1_of(handshake), 8, 8);
    server.s1[1000] ^= 1;
    server.s2[1000] ^= 1;
    EXPECT_TRUE(handshake.feed(server.answer()).has_value());
    EXPECT_EQ(handshake.details().digest, DigestScheme::none);
    EXPECT_EQ(handshake.details().s2, S2::wrong);
    EXPECT_EQ(slice(handshake.c2(), 8, 1528), slice(server.s1, 8, 1528)) << "an echo";
}

TEST(RtmpHandshake, ServerThatKnowsOnlyTheSimpleFormAnswersASignedC1) {
    Handshake handshake = client(Handshake::Form::digest_first);
    const Bytes c1 = c1_of(handshake);
    EXPECT_TRUE(handshake.feed(Bytes{3} + c1 + c1).has_value());
    EXPECT_EQ(handshake.details().digest, DigestScheme::none);
    EXPECT_EQ(handshake.details().s2, S2::echo);
    EXPECT_TRUE(handshake.details().echoes_c1);
}

TEST(RtmpHandshake, FirstByteTellsWhoElseIsThere) {
    const struct {
        Bytes bytes;
        Error error;
        Reason reason;
    } cases[] = {
        {hex("\"HTTP/1.1 400 Bad Request\""), Error::server_speaks_http, Reason::mismatch},
        {hex("15 0303 0002 022f"), Error::server_speaks_tls, Reason::mismatch},
        {hex("\"SSH-2.0-OpenSSH_9.2\""), Error::server_speaks_ssh, Reason::mismatch},
        {hex("06"), Error::server_speaks_rtmpe, Reason::mismatch},
        {hex("08"), Error::server_speaks_rtmpe, Reason::mismatch},
        {hex("00"), Error::bad_version, Reason::protocol},
        {hex("ff"), Error::bad_version, Reason::protocol},
    };
    for (const auto& row : cases) {
        Handshake handshake = client();
        EXPECT_TRUE(handshake.feed({}).has_value());
        EXPECT_EQ(handshake.feed(row.bytes).error(), row.error);
        EXPECT_EQ(handshake.feed(hex("03")).error(), row.error) << "final";
        EXPECT_EQ(make_error_code(row.error).default_error_condition(), row.reason);
        EXPECT_FALSE(handshake.done());
    }
}

}  // namespace
}  // namespace livecanary::test
