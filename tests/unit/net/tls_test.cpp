// TLS on a Connection: what is accepted, what is said of what is not, and how a handshake can fail.
#include <gtest/gtest.h>

#include <openssl/ssl.h>
#include <unistd.h>
#include <filesystem>
#include <string>
#include <string_view>

#include <boost/asio/read.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/write.hpp>

#include "probes/net/connection.hpp"
#include "tests/support/scripted_peer.hpp"
#include "tests/support/task.hpp"
#include "tests/support/tls_peer.hpp"

namespace livecanary::test {
namespace {

using namespace std::chrono_literals;
using net::Connection, net::Moved, net::TlsError, net::TlsFacts, net::TlsOptions;
using Bytes = std::vector<std::uint8_t>;

Bytes bytes(std::string_view text) { return Bytes(text.begin(), text.end()); }

asio::awaitable<void> says_bye(TlsStream& stream) {
    co_await asio::async_write(stream, asio::buffer("bye", 3), net::no_throw);
    co_await stream.async_shutdown(net::no_throw);
}
asio::awaitable<void> breaks_off(TlsStream& stream) {
    co_await asio::async_write(stream, asio::buffer("bye", 3), net::no_throw);
}
asio::awaitable<void> waits(TlsStream& stream) {
    asio::steady_timer forever(stream.get_executor(), Clock::time_point::max());
    co_await forever.async_wait(net::no_throw);
}
asio::awaitable<void> echoes_tls(TlsStream& stream) {
    std::string text(65'536, '\0');
    for (;;) {
        const auto [code, size] = co_await stream.async_read_some(asio::buffer(text), net::no_throw);
        if (code) co_return;
        const auto [failed, sent] =
            co_await asio::async_write(stream, asio::buffer(text, size), net::no_throw);
        if (failed) co_return;
    }
}
asio::awaitable<void> changes_keys_and_echoes(TlsStream& stream) {
    SSL_key_update(stream.native_handle(), SSL_KEY_UPDATE_REQUESTED);
    co_await echoes_tls(stream);
}
asio::awaitable<void> reads_tls_after(TlsStream& stream, Gate& gate, std::string& heard, error_code& end) {
    co_await gate.pass();
    const auto [code, size] = co_await asio::async_read(stream, asio::dynamic_buffer(heard), net::no_throw);
    end = code;
}

class TlsTest : public testing::Test {
protected:
    TlsTest() { authority.save(ca_file); }
    ~TlsTest() override { std::filesystem::remove(ca_file); }

    error_code start(const tcp::endpoint& to, const TlsOptions& options, Clock::time_point deadline = far()) {
        const auto code = await(io, connection.connect(to, deadline));
        return code ? code : await(io, connection.start_tls(options, deadline, facts));
    }
    TlsOptions trusting(const std::string& name) const { return {.server_name = name, .ca_file = ca_file}; }
    Certificate issue(const CertificateOptions& options) const { return Certificate(options, &authority); }
    Moved read(Clock::time_point deadline = far()) {
        return await(io, connection.read_some(buffer, deadline));
    }
    Moved write(const Bytes& data) { return await(io, connection.write(data, far())); }
    std::string text(const Moved& moved) const {
        return std::string(buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(moved.size));
    }

    asio::io_context io;
    const Certificate authority{{.common_name = "Test Root", .authority = true}};
    const Certificate good =
        issue({.common_name = "good",
               .names = {"DNS:push.test", "DNS:*.play.test", "IP:127.0.0.1", "IP:2001:db8::1"}});
    const std::string ca_file = testing::TempDir() + "livecanary_ca_" + std::to_string(::getpid()) + ".pem";
    Connection connection{io.get_executor()};
    TlsFacts facts;
    Bytes buffer = Bytes(65'536);
};

TEST_F(TlsTest, MovesBytesAndKnowsTheCertificate) {
    const TlsPeer peer(io, good, echoes_tls);
    const auto now = std::chrono::system_clock::now();
    ASSERT_EQ(start(peer.endpoint(), trusting("push.test")), error_code());
    EXPECT_TRUE(connection.is_tls());
    run_until(io, [&peer] { return peer.seen().handshakes == 1; });
    EXPECT_EQ(peer.seen().server_name, "push.test");
    EXPECT_EQ(facts.version, "TLSv1.3");
    EXPECT_TRUE(facts.cipher.starts_with("TLS_")) << facts.cipher;
    EXPECT_EQ(facts.subject, "CN=good,O=livecanary test");
    EXPECT_EQ(facts.issuer, "CN=Test Root,O=livecanary test");
    EXPECT_EQ(facts.names,
              (std::vector<std::string>{"push.test", "*.play.test", "127.0.0.1", "2001:db8::1"}));
    ASSERT_TRUE(facts.not_before && facts.not_after);
    EXPECT_EQ(*facts.not_after - *facts.not_before, 2h);
    EXPECT_LT(*facts.not_before, now);
    EXPECT_EQ(facts.verify_code, X509_V_OK);
    EXPECT_EQ(facts.verify_text, "ok");
    ASSERT_EQ(write(bytes("hello")).size, 5u);
    EXPECT_EQ(text(read()), "hello");
}

TEST_F(TlsTest, NamesAndAddressesThatFit) {
    const TlsPeer peer(io, good, says_bye);
    int handshakes = 0;
    for (const std::string name :
         {"push.test", "PUSH.test", "push.test.", "a.play.test", "127.0.0.1", "2001:db8::1"}) {
        EXPECT_EQ(start(peer.endpoint(), trusting(name)), error_code()) << name;
        ++handshakes;
        run_until(io, [&] { return peer.seen().handshakes == handshakes; });
        const bool address = name.find_first_of("1:") != name.npos;
        const std::string shown = name.ends_with('.') ? name.substr(0, name.size() - 1) : name;
        EXPECT_EQ(peer.seen().server_name, address ? "" : shown);
    }
}

struct Refusal {
    const char* name;
    CertificateOptions certificate;
    bool signed_by_authority;
    std::string asked_for;
    TlsError error;
    long verify_code;
};
void PrintTo(const Refusal& refusal, std::ostream* out) { *out << refusal.name; }

const std::vector<std::string> push{"DNS:push.test", "IP:127.0.0.2"};
const Refusal refusals[] = {
    {"expired",
     {.common_name = "x", .names = push, .not_before = -2h, .not_after = -1h},
     true,
     "push.test",
     TlsError::certificate_expired,
     X509_V_ERR_CERT_HAS_EXPIRED},
    {"not_yet_valid",
     {.common_name = "x", .names = push, .not_before = 1h, .not_after = 2h},
     true,
     "push.test",
     TlsError::certificate_not_yet_valid,
     X509_V_ERR_CERT_NOT_YET_VALID},
    {"other_name",
     {.common_name = "x", .names = push},
     true,
     "pull.test",
     TlsError::name_mismatch,
     X509_V_ERR_HOSTNAME_MISMATCH},
    {"other_address",
     {.common_name = "x", .names = push},
     true,
     "127.0.0.1",
     TlsError::name_mismatch,
     X509_V_ERR_IP_ADDRESS_MISMATCH},
    {"self_signed",
     {.common_name = "x", .names = push},
     false,
     "push.test",
     TlsError::untrusted,
     X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT},
};

class TlsRefusal : public TlsTest, public testing::WithParamInterface<Refusal> {
protected:
    const Certificate bad{GetParam().certificate, GetParam().signed_by_authority ? &authority : nullptr};
    const TlsPeer peer{io, bad, says_bye};
};
INSTANTIATE_TEST_SUITE_P(Certificate, TlsRefusal, testing::ValuesIn(refusals),
                         [](const auto& tested) { return tested.param.name; });

TEST_P(TlsRefusal, IsNamedAndTheFactsAreKept) {
    const auto code = start(peer.endpoint(), trusting(GetParam().asked_for));
    EXPECT_EQ(code, GetParam().error) << code.message();
    EXPECT_EQ(reason_of(code), Reason::certificate);
    EXPECT_FALSE(connection.is_tls());
    EXPECT_EQ(facts.version, "TLSv1.3");
    EXPECT_EQ(facts.subject, "CN=x,O=livecanary test");
    EXPECT_EQ(facts.names, (std::vector<std::string>{"push.test", "127.0.0.2"}));
    ASSERT_TRUE(facts.not_before && facts.not_after);
    EXPECT_EQ(*facts.not_after - *facts.not_before,
              GetParam().certificate.not_after - GetParam().certificate.not_before);
    EXPECT_EQ(facts.verify_code, GetParam().verify_code) << facts.verify_text;
    EXPECT_FALSE(facts.verify_text.empty());
    // The peer is told, so that its log says why too.
    run_until(io, [this] { return !peer.seen().failure.empty(); });
    EXPECT_NE(peer.seen().failure.find("alert"), std::string::npos) << peer.seen().failure;
}

TEST_P(TlsRefusal, IsOnlyRecordedIfVerificationIsOff) {
    TlsOptions options = trusting(GetParam().asked_for);
    options.verify = false;
    EXPECT_EQ(start(peer.endpoint(), options), error_code());
    EXPECT_EQ(facts.verify_code, GetParam().verify_code) << facts.verify_text;
    EXPECT_EQ(text(read()), "bye");
}

TEST_F(TlsTest, TheSystemDoesNotTrustOurRoot) {
    const TlsPeer peer(io, good, says_bye);
    EXPECT_EQ(start(peer.endpoint(), {.server_name = "push.test"}), TlsError::untrusted);
}

TEST_F(TlsTest, ACertificateWithoutTextsIsReadAsOne) {
    const Certificate bare(CertificateOptions{});
    const TlsPeer peer(io, bare, says_bye);
    EXPECT_EQ(start(peer.endpoint(), trusting("push.test")), TlsError::untrusted);
    EXPECT_EQ(facts.names, std::vector<std::string>{});
}

TEST_F(TlsTest, NamesAreCountedAndCleaned) {
    CertificateOptions options{.common_name = "many\nnames"};
    for (int i = 0; i < 40; ++i) options.names.push_back("DNS:n" + std::to_string(i) + ".test");
    const Certificate many = issue(options);
    const TlsPeer peer(io, many, says_bye);
    EXPECT_EQ(start(peer.endpoint(), trusting("n39.test")), error_code());
    EXPECT_EQ(facts.names.size(), 16u);
    EXPECT_EQ(facts.subject, "CN=many\\0Anames,O=livecanary test");
}

TEST_F(TlsTest, OurOwnFaultsAreLocal) {
    const TlsPeer peer(io, good, says_bye);
    const auto unreadable =
        start(peer.endpoint(), {.server_name = "push.test", .ca_file = ca_file + ".none"});
    EXPECT_EQ(unreadable, TlsError::trust_unreadable);
    EXPECT_EQ(reason_of(unreadable), Reason::local);
    const auto nameless = start(peer.endpoint(), trusting(""));
    EXPECT_EQ(nameless, TlsError::name_unusable);
    EXPECT_EQ(reason_of(nameless), Reason::local);
    EXPECT_EQ(peer.seen().handshakes, 0);
}

TEST_F(TlsTest, AChangedFileOfRootsIsReadAnew) {
    const TlsPeer peer(io, good, says_bye);
    const Certificate other({.common_name = "Other Root", .authority = true});
    other.save(ca_file);
    std::filesystem::last_write_time(ca_file, std::filesystem::file_time_type::clock::now() - 1h);
    EXPECT_EQ(net::load_trust(io.get_executor(), ca_file), error_code());
    EXPECT_EQ(start(peer.endpoint(), trusting("push.test")), TlsError::untrusted);
    authority.save(ca_file);
    EXPECT_EQ(start(peer.endpoint(), trusting("push.test")), error_code());
}

TEST_F(TlsTest, LoadsTrustAheadOrSaysWhyNot) {
    EXPECT_EQ(net::load_trust(io.get_executor()), error_code());
    EXPECT_EQ(net::load_trust(io.get_executor(), ca_file + ".none"), TlsError::trust_unreadable);
}

struct Failure {
    const char* name;
    Script peer;
    Reason reason;
};
void PrintTo(const Failure& failure, std::ostream* out) { *out << failure.name; }

const Failure failures[] = {
    {"silent", stays_silent, Reason::timeout},
    {"hangs_up", says_and_finishes(""), Reason::closed},
    {"half_a_record", says_and_finishes("\x16\x03\x03"), Reason::closed},
    {"resets", resets, Reason::reset},
    {"resets_after_hello", resets_when_spoken_to, Reason::reset},
    {"speaks_plain_text", says("220 hello\r\n"), Reason::protocol},
    {"echoes_our_hello", echoes, Reason::protocol},
    {"says_no", says(std::string("\x15\x03\x03\x00\x02\x02\x28", 7)), Reason::rejected},  // handshake_failure
};

class TlsFailure : public TlsTest, public testing::WithParamInterface<Failure> {};
INSTANTIATE_TEST_SUITE_P(Peer, TlsFailure, testing::ValuesIn(failures),
                         [](const auto& tested) { return tested.param.name; });

TEST_P(TlsFailure, EndsForItsReason) {
    const ScriptedPeer peer(io, GetParam().peer);
    ASSERT_EQ(await(io, connection.connect(peer.endpoint(), far())), error_code());
    const auto deadline = GetParam().reason == Reason::timeout ? soon() : far();
    const auto code = await(io, connection.start_tls(trusting("push.test"), deadline, facts));
    EXPECT_EQ(to_string(reason_of(code)), to_string(GetParam().reason)) << code.message();
    EXPECT_FALSE(connection.is_tls());
    EXPECT_EQ(facts.version, "");
    EXPECT_FALSE(facts.not_after);
}

TEST_F(TlsTest, VersionsBefore12AreNotSpoken) {
    TlsPeer peer(io, good, says_bye);
    peer.at_most(TLS1_1_VERSION);
    const auto code = start(peer.endpoint(), trusting("push.test"));
    EXPECT_EQ(reason_of(code), Reason::rejected) << code.message();  // the server's alert: protocol_version
    peer.at_most(TLS1_2_VERSION);
    EXPECT_EQ(start(peer.endpoint(), trusting("push.test")), error_code());
    EXPECT_EQ(facts.version, "TLSv1.2");
}

TEST_F(TlsTest, ATlsPeerHangsUpOnPlainText) {
    const TlsPeer peer(io, good, says_bye);
    ASSERT_EQ(await(io, connection.connect(peer.endpoint(), far())), error_code());
    ASSERT_EQ(write(bytes("hello?\r\n")).code, error_code());
    EXPECT_EQ(reason_of(read().code), Reason::closed);
}

TEST_F(TlsTest, TheEndIsInGoodOrderOnlyWithACloseNotify) {
    const TlsPeer polite(io, good, says_bye);
    ASSERT_EQ(start(polite.endpoint(), trusting("push.test")), error_code());
    EXPECT_EQ(text(read()), "bye");
    EXPECT_EQ(read().code, asio::error::eof);

    const TlsPeer rude(io, good, breaks_off);
    ASSERT_EQ(start(rude.endpoint(), trusting("push.test")), error_code());
    EXPECT_EQ(text(read()), "bye");
    const Moved moved = read();
    EXPECT_EQ(moved.code, asio::ssl::error::stream_truncated);
    EXPECT_EQ(reason_of(moved.code), Reason::closed);
}

TEST_F(TlsTest, SilenceEndsAReadAndLeavesTheConnection) {
    const TlsPeer peer(io, good, echoes_tls);
    ASSERT_EQ(start(peer.endpoint(), trusting("push.test")), error_code());
    EXPECT_EQ(reason_of(read(soon()).code), Reason::timeout);
    ASSERT_EQ(write(bytes("still here")).code, error_code());
    EXPECT_EQ(text(read()), "still here");
}

asio::awaitable<std::size_t> read_all(Connection& connection, std::size_t size) {
    Bytes part(10'000);
    std::size_t got = 0;
    while (got < size) {
        const Moved moved = co_await connection.read_some(part, far());
        if (moved.code) break;
        got += moved.size;
    }
    co_return got;
}

TEST_F(TlsTest, ReadsAndWritesOverlap) {
    for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
        TlsPeer peer(io, good, echoes_tls);
        peer.at_most(version);
        ASSERT_EQ(start(peer.endpoint(), trusting("push.test")), error_code());
        const Bytes much(4 * 1024 * 1024, 'x');
        Task<Moved> writing(io, connection.write(much, far()));
        EXPECT_EQ(await(io, read_all(connection, much.size())), much.size());
        EXPECT_EQ(writing.wait().size, much.size());
    }
}

TEST_F(TlsTest, AKeyUpdateIsAnswered) {
    const TlsPeer peer(io, good, changes_keys_and_echoes);
    ASSERT_EQ(start(peer.endpoint(), trusting("push.test")), error_code());
    for (const std::string word : {"one", "two", "three"}) {
        ASSERT_EQ(write(bytes(word)).code, error_code());
        EXPECT_EQ(text(read()), word);
    }
}

TEST_F(TlsTest, ACutHandshakeIsAborted) {
    const ScriptedPeer peer(io, stays_silent);
    ASSERT_EQ(await(io, connection.connect(peer.endpoint(), far())), error_code());
    Task<error_code> task(io, connection.start_tls(trusting("push.test"), far(), facts));
    io.poll();
    EXPECT_FALSE(task.ended());
    task.cut();
    EXPECT_EQ(task.wait(), asio::error::operation_aborted);
}

TEST_F(TlsTest, ACutReadIsAborted) {
    const TlsPeer peer(io, good, waits);
    ASSERT_EQ(start(peer.endpoint(), trusting("push.test")), error_code());
    Task<Moved> task(io, connection.read_some(buffer, far()));
    io.poll();
    EXPECT_FALSE(task.ended());
    task.cut();
    EXPECT_EQ(task.wait().code, asio::error::operation_aborted);
}

TEST_F(TlsTest, ClosingAbortsWhatIsUnderWay) {
    const TlsPeer peer(io, good, waits);
    ASSERT_EQ(start(peer.endpoint(), trusting("push.test")), error_code());
    const Bytes flood(32 * 1024 * 1024, 'x');
    Task<Moved> reading(io, connection.read_some(buffer, far()));
    Task<Moved> writing(io, connection.write(flood, far()));
    io.poll();
    connection.close();
    EXPECT_FALSE(connection.is_tls());
    EXPECT_EQ(reading.wait().code, asio::error::operation_aborted);
    EXPECT_EQ(writing.wait().code, asio::error::operation_aborted);
}

/// Writes `data`; if it is cut, writes what is missing of it, and a farewell.
asio::awaitable<bool> write_with_farewell(Connection& connection, const Bytes& data) {
    const Moved moved = co_await connection.write(data, far());
    if (moved.code != asio::error::operation_aborted) co_return false;
    co_await asio::this_coro::reset_cancellation_state(asio::enable_terminal_cancellation());
    const Bytes farewell = bytes("bye");
    const std::span<const std::uint8_t> rest = std::span(data).subspan(moved.size);
    const Moved finished = co_await connection.write(rest, far());
    const Moved said = co_await connection.write(farewell, far());
    co_return !finished.code && !said.code;
}

// A record torn by the cut would end the stream for the peer.
TEST_F(TlsTest, ACutWriteCanBeFinishedAndFollowedByAFarewell) {
    Gate gate(io);
    std::string heard;
    error_code end;
    const TlsPeer peer(io, good,
                       [&](TlsStream& stream) { return reads_tls_after(stream, gate, heard, end); });
    ASSERT_EQ(start(peer.endpoint(), trusting("push.test")), error_code());
    const Bytes flood(32 * 1024 * 1024, 'x');
    Task<bool> task(io, write_with_farewell(connection, flood));
    io.poll();
    EXPECT_FALSE(task.ended());
    task.cut();
    gate.open();
    EXPECT_TRUE(task.wait());
    connection.close();
    run_until(io, [&end] { return static_cast<bool>(end); });
    EXPECT_EQ(end, asio::error::eof);
    EXPECT_EQ(heard.size(), flood.size() + 3);
    EXPECT_TRUE(heard.ends_with("bye"));
}

}  // namespace
}  // namespace livecanary::test
