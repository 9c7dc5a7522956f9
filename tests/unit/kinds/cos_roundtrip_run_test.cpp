// Every way a COS endpoint can fail a round trip, and that nothing stays behind which is not written down.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <span>

#include "probes/cos_roundtrip/client.hpp"
#include "probes/cos_roundtrip/roundtrip.hpp"
#include "probes/protocol/cos_sign.hpp"
#include "tests/support/scripted_peer.hpp"
#include "tests/support/tls_peer.hpp"
#include "tests/unit/kinds/cos_stage.hpp"

namespace livecanary::test {
namespace {

using cos_roundtrip::CosError;

std::string way(const RunResult& run) {
    std::string names;
    for (const auto& phase : run.phases) names += (names.empty() ? "" : " ") + std::string(phase.phase.name);
    return names;
}

std::vector<double> numbers(const RunResult& run, const Value& value, std::string_view label = {}) {
    std::vector<double> all;
    for (const auto& found : run.values)
        if (found.value.metric == value.metric && found.label_value == label) all.push_back(found.number);
    return all;
}

// --- what is asked, in what order, and how it is signed

TEST(CosRoundtripRun, PutHeadGetDeleteHead) {
    CosStage stage;
    const RunResult run = stage.run(stage.make());
    EXPECT_EQ(run.outcome(), RunOutcome::ok) << run.code.message();
    EXPECT_EQ(way(run), "tcp put head get verify delete");
    EXPECT_EQ(stage.methods(), "PUT HEAD GET DELETE HEAD");
    EXPECT_EQ(stage.server.connections(), 1U);
    EXPECT_EQ(stage.server.heard()[0].body.size(), 65536U);
    stage.expect_clean();
    EXPECT_EQ(run.fingerprint, "");
    EXPECT_EQ(run.got("request_id"), "put request-of-PUT");
    EXPECT_EQ(run.got("trace_id"), "put trace");
    EXPECT_EQ(run.got("clock_skew"), "0 s");
    EXPECT_EQ(run.got("read"), "65536 of 65536 bytes");
    EXPECT_EQ(run.got("address"), "127.0.0.1:" + std::to_string(stage.server.port()));
    for (const auto operation : cos_roundtrip::operations)
        EXPECT_EQ(numbers(run, cos_roundtrip::operation_seconds, operation).size(), 1U) << operation;
    EXPECT_EQ(numbers(run, cos_roundtrip::read_after_write).size(), 1U);
    EXPECT_EQ(numbers(run, cos_roundtrip::clock_skew), std::vector<double>{0});
}

TEST(CosRoundtripRun, KeySaysWhoMadeTheObjectAndWhen) {
    CosStage stage;
    const RunResult run = stage.run(stage.make());
    const std::string key = "livecanary/Here-1/cover/1795000000-" + run.run_id + ".bin";
    for (const auto& heard : stage.server.heard()) EXPECT_EQ(heard.target, "/" + key) << heard.method;
    ASSERT_EQ(stage.ledger.ever.size(), 1U);
    EXPECT_EQ(stage.ledger.ever[0], (Litter{.probe = "cover",
                                            .store = "cos",
                                            .item = "http://" + std::string(CosStage::host) + ":" +
                                                    std::to_string(stage.server.port()) + " " + key,
                                            .made = WallTime(CosStage::date_unix)}));
}

TEST(CosRoundtripRun, PrefixIsTheirs) {
    CosStage stage;
    const RunResult run = stage.run(stage.make("prefix = 'a/b_c/'\n"));
    EXPECT_EQ(stage.server.heard()[0].target, "/a/b_c/Here-1/cover/1795000000-" + run.run_id + ".bin");
}

TEST(CosRoundtripRun, TwoRunsMakeTwoObjects) {
    CosStage stage;
    const Probe probe = stage.make();
    stage.run(probe);
    stage.run(probe);
    ASSERT_EQ(stage.ledger.ever.size(), 2U);
    EXPECT_NE(stage.ledger.ever[0].item, stage.ledger.ever[1].item);
    EXPECT_NE(stage.server.heard()[0].body, stage.server.heard()[5].body);
    stage.expect_clean();
}

TEST(CosRoundtripRun, ObjectStandsInTheLedgerFromBeforeItsPutUntilItIsKnownToBeGone) {
    CosStage stage;
    stage.run(stage.make());
    EXPECT_EQ(stage.recorded_at, (std::vector<std::size_t>{1, 1, 1, 1, 1}));
    EXPECT_TRUE(stage.ledger.kept.empty());
}

TEST(CosRoundtripRun, EveryRequestIsSigned) {
    CosStage stage;
    stage.run(stage.make("token = { env = 'TOKEN' }\nsignature_lifetime = '10s'\n"));
    ASSERT_EQ(stage.server.heard().size(), 5U);
    const std::chrono::sys_seconds now{CosStage::date_unix};
    for (const auto& heard : stage.server.heard()) {
        const auto authorization = protocol::parse_cos_authorization(heard.headers.at("authorization"));
        ASSERT_TRUE(authorization) << heard.headers.at("authorization");
        EXPECT_EQ(authorization->secret_id, "AKIDtest");
        EXPECT_EQ(authorization->key_time, (protocol::KeyTime{now, now + 10s}));
        const std::vector<std::string> of_put{"content-length", "content-md5", "content-type", "host",
                                              "x-cos-acl"};
        EXPECT_EQ(authorization->header_list,
                  heard.method == "PUT" ? of_put : std::vector<std::string>{"host"});
        std::vector<protocol::CosField> fields;
        for (const auto& [name, value] : heard.headers) fields.push_back({name, value});
        const auto request =
            protocol::cos_request(heard.method, "http://ignored" + heard.target, std::move(fields));
        ASSERT_TRUE(request);
        const auto check =
            protocol::check_cos(*authorization, *request, {.secret_key = "the-secret-key"}, now);
        EXPECT_TRUE(check.match.exact()) << heard.method;
        EXPECT_EQ(check.missing_headers, std::vector<std::string>{});
        EXPECT_EQ(check.unsigned_headers, std::vector<std::string>{});
        EXPECT_FALSE(check.expired() || check.not_yet());
        EXPECT_EQ(heard.headers.at("x-cos-security-token"), "the-token");
        EXPECT_EQ(heard.headers.at("host"),
                  std::string(CosStage::host) + ":" + std::to_string(stage.server.port()));
    }
    const auto& put = stage.server.heard()[0];
    EXPECT_EQ(put.headers.at("content-length"), "65536");
    EXPECT_EQ(put.headers.at("content-type"), "application/octet-stream");
    EXPECT_EQ(put.headers.at("x-cos-acl"), "private");
    std::array<unsigned char, 16> digest{};
    EVP_Digest(put.body.data(), put.body.size(), digest.data(), nullptr, EVP_md5(), nullptr);
    std::array<unsigned char, 25> base64{};
    EVP_EncodeBlock(base64.data(), digest.data(), 16);
    EXPECT_EQ(put.headers.at("content-md5"), reinterpret_cast<const char*>(base64.data()));
}

TEST(CosRoundtripRun, LongTermKeySendsNoToken) {
    CosStage stage;
    stage.run(stage.make());
    for (const auto& heard : stage.server.heard())
        EXPECT_EQ(heard.headers.count("x-cos-security-token"), 0U) << heard.method;
}

class CosRoundtripSize : public testing::TestWithParam<std::uint64_t> {};
TEST_P(CosRoundtripSize, ComesBackAsItWent) {
    CosStage stage;
    const RunResult run = stage.run(stage.make("object_size = '" + std::to_string(GetParam()) + "B'\n"));
    EXPECT_EQ(run.outcome(), RunOutcome::ok) << run.code.message();
    EXPECT_EQ(stage.server.heard()[0].body.size(), GetParam());
    stage.expect_clean();
}
// Around a word of the generator, a read of the client, and a piece of what is sent and of what is digested.
INSTANTIATE_TEST_SUITE_P(, CosRoundtripSize,
                         testing::Values(1, 7, 8, 9, 13, 16383, 16385, 65535, 65537, 100003, 131071, 500009));

TEST(CosRoundtripRun, ObjectComesInPiecesOfAnySize) {
    CosStage stage;
    stage.changed = [](const HttpHeard& heard, HttpReply& reply) {
        if (heard.method != "GET") return;
        reply.framing = HttpFraming::chunked;
        const std::string whole = std::exchange(reply.body, {});
        reply.next = [whole, at = std::size_t{0}, step = std::size_t{1}]() mutable {
            std::optional<std::string> piece;
            if (at < whole.size()) piece = whole.substr(at, step);
            at += step;
            step = step % 977 + 3;
            return piece;
        };
    };
    const RunResult run = stage.run(stage.make("object_size = '10007B'\n"));
    EXPECT_EQ(run.outcome(), RunOutcome::ok) << run.code.message();
    stage.expect_clean();
}

// Golden: the first words for the seed 1234567, from Rosetta Code "Pseudo-random numbers/Splitmix64".
TEST(CosRoundtripContent, IsSplitmix64) {
    const std::array<std::uint64_t, 5> words{6457827717110365317U, 3203168211198807973U, 9817491932198370423U,
                                             4593380528125082431U, 16408922859458223821U};
    std::array<std::uint8_t, sizeof words> wanted{};
    std::memcpy(wanted.data(), words.data(), sizeof words);
    for (std::size_t step = 1; step <= wanted.size(); ++step) {
        cos_roundtrip::Content content(1234567);
        std::array<std::uint8_t, sizeof words> got{};
        for (std::size_t at = 0; at < got.size(); at += step)
            content.fill(std::span(got).subspan(at, std::min(step, got.size() - at)));
        EXPECT_EQ(got, wanted) << "in pieces of " << step;
    }
}

// --- connections

TEST(CosRoundtripRun, ServerThatSaysItClosesIsConnectedAnew) {
    CosStage stage;
    stage.changed = [](const HttpHeard&, HttpReply& reply) {
        if (reply.raw)
            reply.raw->insert(reply.raw->size() - 2, "Connection: close\r\n");
        else
            reply.headers.emplace_back("Connection", "close");
        reply.then = HttpThen::finish;
    };
    const RunResult run = stage.run(stage.make());
    EXPECT_EQ(run.outcome(), RunOutcome::ok) << run.code.message();
    EXPECT_EQ(stage.server.connections(), 5U);
    EXPECT_EQ(way(run), "tcp put head get verify delete");
    stage.expect_clean();
}

TEST(CosRoundtripRun, BodyThatEndsWithItsConnection) {
    CosStage stage;
    stage.changed = [](const HttpHeard& heard, HttpReply& reply) {
        if (heard.method == "GET") reply.framing = HttpFraming::close;
    };
    const RunResult run = stage.run(stage.make());
    EXPECT_EQ(run.outcome(), RunOutcome::ok) << run.code.message();
    EXPECT_EQ(stage.server.connections(), 2U);
    stage.expect_clean();
}

TEST(CosRoundtripRun, NobodyListens) {
    CosStage stage;
    const ClosedPort closed(stage.io);
    const Probe probe = CosStage::made_of(
        "bucket = 'cover-1250000000'\nregion = 'ap-shanghai'\nsecret_id = 'i'\nsecret_key "
        "= { env = 'COS' }\nendpoint = 'http://127.0.0.1:" +
        std::to_string(closed.endpoint().port()) + "'\naddress = '127.0.0.1'\n");
    const CosJudged judged = stage.judge(probe);
    EXPECT_EQ(way(judged.run), "tcp");
    EXPECT_EQ(judged.run.fingerprint, "tcp refused");
    EXPECT_EQ(judged.diagnosis.label(), "cos_endpoint_unreachable");
    EXPECT_EQ(stage.ledger.ever.size(), 1U);
    EXPECT_TRUE(stage.ledger.kept.empty()) << "nothing was sent, so nothing was made";
}

TEST(CosRoundtripRun, NameDoesNotResolve) {
    CosStage stage;
    const Probe probe = CosStage::made_of(
        "bucket = 'cover-1250000000'\nregion = 'ap-nowhere'\nsecret_id = 'i'\nsecret_key = { env = 'COS' "
        "}\n");
    const CosJudged judged = stage.judge(probe);
    EXPECT_EQ(way(judged.run), "dns");
    EXPECT_EQ(judged.run.fingerprint, "dns nxdomain");
    EXPECT_EQ(judged.diagnosis.label(), "");
    ASSERT_FALSE(judged.diagnosis.candidates.empty());
    EXPECT_EQ(judged.diagnosis.candidates[0].cause, Cause::cos_wrong_region);
    EXPECT_TRUE(stage.ledger.kept.empty()) << "nothing was sent, so nothing was made";
}

TEST(CosRoundtripRun, NameResolves) {
    CosStage stage;
    stage.names.set("cos.test", {.addresses = {"127.0.0.1"}});
    const Probe probe = CosStage::made_of(
        "bucket = 'cover-1250000000'\nregion = 'ap-shanghai'\nsecret_id = 'i'\nsecret_key = { env = 'COS' "
        "}\nendpoint = 'http://cos.test:" +
        std::to_string(stage.server.port()) + "'\n");
    const RunResult run = stage.run(probe);
    EXPECT_EQ(run.outcome(), RunOutcome::ok) << run.code.message();
    EXPECT_EQ(way(run), "dns tcp put head get verify delete");
    EXPECT_EQ(numbers(run, cos_roundtrip::resolved_addresses, "ipv4"), std::vector<double>{1});
    EXPECT_EQ(numbers(run, cos_roundtrip::resolved_addresses, "ipv6"), std::vector<double>{0});
    stage.expect_clean();
}

asio::awaitable<void> hang_up(TlsStream&) { co_return; }

TEST(CosRoundtripRun, CertificateThatHasExpired) {
    CosStage stage;
    const Certificate certificate({.common_name = "cos.test",
                                   .names = {"DNS:cos.test"},
                                   .not_before = -2h,
                                   .not_after = -1h,
                                   .authority = true});
    const std::string root = testing::TempDir() + "cos_roundtrip_expired.pem";
    certificate.save(root);
    const TlsPeer front(stage.io, certificate, hang_up);
    const Probe probe = CosStage::made_of(
        "bucket = 'cover-1250000000'\nregion = 'ap-shanghai'\nsecret_id = 'i'\nsecret_key = { env = 'COS' "
        "}\naddress = '127.0.0.1'\nendpoint = 'https://cos.test:" +
        std::to_string(front.endpoint().port()) + "'\nca_file = '" + root + "'\n");
    const CosJudged judged = stage.judge(probe);
    EXPECT_EQ(way(judged.run), "tcp tls");
    EXPECT_EQ(judged.run.fingerprint, "tls certificate");
    EXPECT_EQ(numbers(judged.run, cos_roundtrip::certificate_end).size(), 1U);
    EXPECT_FALSE(judged.run.got("verify").empty());
    EXPECT_TRUE(stage.ledger.kept.empty()) << "nothing was sent, so nothing was made";
}

// --- each step with each fault

struct Fault {
    const char* name;
    HttpReply reply;
    const char* reason;
    const char* fingerprint;  ///< after the phase
    Clock::duration timeout = 30s;
};
HttpReply raw(std::string bytes, HttpThen then) {
    HttpReply reply;
    reply.raw = std::move(bytes);
    reply.then = then;
    return reply;
}
HttpReply html(int status) {
    HttpReply reply = http_says::page("<html><body>Something went wrong</body></html>", "text/html");
    reply.status = status;
    return reply;
}
const Fault faults[] = {
    {"closed", raw("", HttpThen::finish), "closed", "closed"},
    {"closed_in_the_head", raw("HTTP/1.1 200 OK\r\nDa", HttpThen::finish), "closed", "closed"},
    {"reset", raw("", HttpThen::reset), "reset", "reset"},
    {"silent", http_says::silence(), "timeout", "timeout", 300ms},
    {"silent_in_the_head", raw("HTTP/1.1 200 OK\r\nDa", HttpThen::stay_silent), "timeout", "timeout", 300ms},
    {"garbage", raw("SSH-2.0-OpenSSH_9.2\r\n", HttpThen::finish), "protocol", "protocol"},
    {"html_500", html(500), "rejected", "500"},
    {"xml_500", cos_refuses(500, "InternalError"), "rejected", "500 InternalError"},
    {"slow_down", cos_refuses(503, "SlowDown"), "rejected", "503 SlowDown"},
    {"redirects", http_says::redirect("http://elsewhere.test/", 307), "mismatch", "307"},
};
struct Step {
    const char* name;
    std::size_t number;
    const char* phase;
};
const Step steps[] = {
    {"put", CosStage::put, "put"},
    {"head", CosStage::head, "head"},
    {"get", CosStage::get, "get"},
    {"delete", CosStage::erase, "delete"},
    {"head_again", CosStage::head_again, "delete"},
};
void PrintTo(const Fault& fault, std::ostream* out) { *out << fault.name; }
void PrintTo(const Step& step, std::ostream* out) { *out << step.name; }
class CosRoundtripFault : public testing::TestWithParam<std::tuple<Step, Fault>> {};

// The answer to a HEAD has no body, whatever it says.
HttpReply fitting(HttpReply reply, const Step& step) {
    const bool is_head = std::string_view(step.name).starts_with("head");
    if (is_head && !reply.raw) reply.body.clear();
    return reply;
}

TEST_P(CosRoundtripFault, EndsInPhaseForReasonAndLeavesNothing) {
    const auto& [step, fault] = GetParam();
    CosStage stage;
    stage.instead[step.number] = fitting(fault.reply, step);
    const RunResult run = stage.run(stage.make(), fault.timeout);
    EXPECT_EQ(run.outcome(), RunOutcome::failed) << run.inconclusive;
    EXPECT_EQ(run.failed_phase(), step.phase);
    EXPECT_EQ(to_string(run.reason()), fault.reason) << run.code.message();
    const bool is_head = std::string_view(step.name).starts_with("head");
    const std::string_view code(fault.fingerprint);
    EXPECT_EQ(run.fingerprint,
              std::string(step.phase) + " " + std::string(is_head ? code.substr(0, code.find(' ')) : code));
    EXPECT_EQ(run.got("ended"), run.code.message());
    const auto& heard = stage.server.heard();
    EXPECT_EQ(heard.size(), step.number + 2) << stage.methods();
    EXPECT_EQ(heard.back().method, "DELETE") << stage.methods();
    EXPECT_EQ(stage.recorded_at.back(), 1U);
    const bool gave_up_on_put = std::string_view(step.name) == "put" && run.reason() == Reason::timeout;
    gave_up_on_put ? stage.expect_deleted_and_written_down() : stage.expect_clean();
}
INSTANTIATE_TEST_SUITE_P(, CosRoundtripFault,
                         testing::Combine(testing::ValuesIn(steps), testing::ValuesIn(faults)),
                         [](const auto& row) {
                             return std::string(std::get<0>(row.param).name) + "_" +
                                    std::get<1>(row.param).name;
                         });

class CosRoundtripRefused : public testing::TestWithParam<Step> {};
TEST_P(CosRoundtripRefused, IsFailedAndCleansUpWhatItMade) {
    const Step& step = GetParam();
    CosStage stage;
    stage.instead[step.number] = fitting(cos_refuses(403, "AccessDenied", "Access Denied."), step);
    const RunResult run = stage.run(stage.make());
    EXPECT_EQ(run.failed_phase(), step.phase);
    EXPECT_EQ(run.code, CosError::forbidden);
    EXPECT_EQ(run.got("status"), std::string(step.phase) + " HTTP 403");
    const bool is_head = std::string_view(step.name).starts_with("head");
    EXPECT_EQ(run.got("cos_code"), is_head ? "" : "AccessDenied");
    EXPECT_EQ(run.got("message"), is_head ? "" : "Access Denied.");
    EXPECT_EQ(run.fingerprint, std::string(step.phase) + (is_head ? " 403" : " 403 AccessDenied"));
    // A PUT that was refused in good order has made nothing.
    EXPECT_EQ(stage.server.heard().size(), step.number == CosStage::put ? 1 : step.number + 2)
        << stage.methods();
    stage.expect_clean();
}
INSTANTIATE_TEST_SUITE_P(, CosRoundtripRefused, testing::ValuesIn(steps),
                         [](const auto& row) { return row.param.name; });

TEST(CosRoundtripRun, WhatCannotBeDeletedStaysInTheLedger) {
    for (const auto& refusal : {cos_refuses(403, "AccessDenied"), cos_refuses(503, "SlowDown"),
                                raw("", HttpThen::reset), raw("", HttpThen::finish)}) {
        CosStage stage;
        stage.instead[CosStage::erase] = refusal;
        stage.instead[CosStage::erase + 1] = refusal;
        const RunResult run = stage.run(stage.make());
        EXPECT_EQ(run.failed_phase(), "delete");
        EXPECT_EQ(stage.methods(), "PUT HEAD GET DELETE DELETE");
        EXPECT_EQ(stage.ledger.kept.size(), 1U);
    }
}

TEST(CosRoundtripRun, ObjectThatSurvivesItsDeletion) {
    CosStage stage;
    stage.instead[CosStage::head_again] =
        raw("HTTP/1.1 200 OK\r\nContent-Length: 65536\r\n\r\n", HttpThen::go_on);
    const RunResult run = stage.run(stage.make());
    EXPECT_EQ(run.failed_phase(), "delete");
    EXPECT_EQ(run.code, CosError::still_there);
    EXPECT_EQ(run.fingerprint, "delete 200");
    EXPECT_EQ(stage.methods(), "PUT HEAD GET DELETE HEAD DELETE");
}

TEST(CosRoundtripRun, BucketThatIsGoneHoldsNoObject) {
    CosStage stage;
    stage.instead[CosStage::head] = {.status = 404};
    stage.instead[CosStage::head + 1] = cos_refuses(404, "NoSuchBucket");
    const RunResult run = stage.run(stage.make());
    EXPECT_EQ(run.code, CosError::not_found);
    EXPECT_TRUE(stage.ledger.kept.empty());
}

// --- what comes back

struct Change {
    const char* name;
    std::function<void(const HttpHeard&, HttpReply&)> how;
    const char* phase;
    CosError code;
    const char* evidence;
    const char* words;
};
void PrintTo(const Change& row, std::ostream* out) { *out << row.name; }
std::function<void(const HttpHeard&, HttpReply&)> header_of(const char* method, const char* name,
                                                            const char* value) {
    return [=](const HttpHeard& heard, HttpReply& reply) {
        if (heard.method != method) return;
        for (auto& header : reply.headers)
            if (header.first == name) header.second = value;
        if (!reply.raw) return;
        const auto at = reply.raw->find(name);
        if (at == std::string::npos) return;
        const auto begin = at + std::string_view(name).size() + 2;
        reply.raw->replace(begin, reply.raw->find('\r', at) - begin, value);
    };
}
std::function<void(const HttpHeard&, HttpReply&)> body_of_get(std::function<void(std::string&)> how) {
    return [=](const HttpHeard& heard, HttpReply& reply) {
        if (heard.method == "GET") how(reply.body);
    };
}
const Change changes[] = {
    {"etag_of_put", header_of("PUT", "ETag", "\"0123\""), "put", CosError::etag_differs, "etag",
     "\"0123\", expected "},
    {"etag_of_head", header_of("HEAD", "ETag", "\"0123\""), "head", CosError::etag_differs, "etag",
     "\"0123\", expected "},
    {"etag_of_get", header_of("GET", "ETag", "\"0123\""), "verify", CosError::etag_differs, "etag",
     "\"0123\", expected "},
    {"crc_of_put", header_of("PUT", "x-cos-hash-crc64ecma", "12"), "put", CosError::crc_differs, "crc64",
     "12, expected "},
    {"crc_of_head", header_of("HEAD", "x-cos-hash-crc64ecma", "12"), "head", CosError::crc_differs, "crc64",
     "12, expected "},
    {"crc_of_get", header_of("GET", "x-cos-hash-crc64ecma", "12"), "verify", CosError::crc_differs, "crc64",
     "12, expected "},
    {"length_of_head", header_of("HEAD", "Content-Length", "65535"), "head", CosError::length_differs,
     "length", "65535, expected 65536"},
    {"one_byte_less", body_of_get([](std::string& body) { body.pop_back(); }), "verify",
     CosError::length_differs, "read", "65535 of 65536 bytes"},
    {"one_byte_more", body_of_get([](std::string& body) { body += 'x'; }), "verify", CosError::length_differs,
     "read", "65537 of 65536 bytes"},
    {"nothing_at_all", body_of_get([](std::string& body) { body.clear(); }), "verify",
     CosError::length_differs, "read", "0 of 65536 bytes"},
    {"first_bit", body_of_get([](std::string& body) { body.front() = static_cast<char>(body.front() ^ 1); }),
     "verify", CosError::bytes_differ, "first_difference", "at byte 0"},
    {"last_bit", body_of_get([](std::string& body) { body.back() = static_cast<char>(body.back() ^ 1); }),
     "verify", CosError::bytes_differ, "first_difference", "at byte 65535"},
    {"two_bits", body_of_get([](std::string& body) {
         body[30000] = static_cast<char>(body[30000] ^ 8);
         body[20000] = static_cast<char>(body[20000] ^ 1);
     }),
     "verify", CosError::bytes_differ, "first_difference", "at byte 20000"},
};
class CosRoundtripChanged : public testing::TestWithParam<Change> {};

TEST_P(CosRoundtripChanged, IsSeen) {
    CosStage stage;
    stage.changed = GetParam().how;
    const CosJudged judged = stage.judge(stage.make());
    EXPECT_EQ(judged.run.failed_phase(), GetParam().phase);
    EXPECT_EQ(judged.run.code, GetParam().code) << judged.run.code.message();
    EXPECT_EQ(judged.run.reason(), Reason::mismatch);
    EXPECT_TRUE(judged.run.got(GetParam().evidence).starts_with(GetParam().words))
        << judged.run.got(GetParam().evidence);
    EXPECT_EQ(judged.diagnosis.label(), "cos_body_corrupted");
    stage.expect_clean();
}
INSTANTIATE_TEST_SUITE_P(, CosRoundtripChanged, testing::ValuesIn(changes),
                         [](const auto& row) { return row.param.name; });

TEST(CosRoundtripRun, StoreThatTellsNoChecksumsIsBelievedByTheBytes) {
    CosStage stage;
    stage.changed = [](const HttpHeard&, HttpReply& reply) {
        if (reply.raw) reply.raw = "HTTP/1.1 200 OK\r\n\r\n";
        reply.headers.clear();
    };
    const RunResult run = stage.run(stage.make());
    EXPECT_EQ(run.outcome(), RunOutcome::ok) << run.code.message();
    EXPECT_EQ(run.got("request_id"), "");
    EXPECT_EQ(run.got("clock_skew"), "");
    EXPECT_TRUE(numbers(run, cos_roundtrip::clock_skew).empty());
    stage.expect_clean();
}

TEST(CosRoundtripRun, EtagWithoutItsQuotes) {
    CosStage stage;
    stage.changed = [&](const HttpHeard&, HttpReply& reply) {
        for (auto& [name, value] : reply.headers)
            if (name == "ETag") value = value.substr(1, 32);
    };
    EXPECT_EQ(stage.run(stage.make()).outcome(), RunOutcome::ok);
}

TEST(CosRoundtripRun, GetThatIsCutShort) {
    for (const auto then : {HttpThen::finish, HttpThen::reset}) {
        CosStage stage;
        stage.changed = [=](const HttpHeard& heard, HttpReply& reply) {
            if (heard.method == "GET") reply = http_says::cut(reply, 1000, then);
        };
        const RunResult run = stage.run(stage.make());
        EXPECT_EQ(run.outcome(), RunOutcome::failed);
        EXPECT_EQ(run.failed_phase(), "get");
        EXPECT_EQ(to_string(run.reason()), then == HttpThen::finish ? "closed" : "reset");
        stage.expect_clean();
    }
}

TEST(CosRoundtripRun, GetThatStalls) {
    CosStage stage;
    stage.changed = [](const HttpHeard& heard, HttpReply& reply) {
        if (heard.method == "GET") reply = http_says::cut(reply, 1000, HttpThen::stay_silent);
    };
    const RunResult run = stage.run(stage.make(), 300ms);
    EXPECT_EQ(run.failed_phase(), "get");
    EXPECT_EQ(run.reason(), Reason::timeout);
    stage.expect_clean();
}

TEST(CosRoundtripRun, HugeErrorPageIsNotKept) {
    CosStage stage;
    HttpReply page = html(500);
    page.framing = HttpFraming::chunked;
    page.next = [left = 64]() mutable -> std::optional<std::string> {
        if (left-- == 0) return std::nullopt;
        return std::string(65536, 'x');
    };
    stage.instead[CosStage::get] = page;
    const RunResult run = stage.run(stage.make());
    EXPECT_EQ(run.fingerprint, "get 500");
    stage.expect_clean();
}

// --- dates

struct DateCase {
    const char* date;
    const char* skew;  ///< empty: not known
};
TEST(CosRoundtripRun, DateOfTheServerMinusOurClock) {
    const DateCase dates[] = {
        {"Wed, 18 Nov 2026 11:06:40 GMT", "0 s"},
        {"Wed, 18 Nov 2026 11:08:20 GMT", "100 s"},
        {"Tue, 17 Nov 2026 11:06:40 GMT", "-86400 s"},
        {"Wed, 18 Nov 2026 11:06:40", ""},
        {"Wed, 18 Nov 2026 11:06:40 GMT+1", ""},
        {"Wednesday, 18-Nov-26 11:06:40 GMT", ""},
        {"Wed, 99 Nov 2026 11:06:40 GMT", ""},
        {"1795000000", ""},
        {"yesterday", ""},
        {"", ""},
        // Beyond what a system_clock of nanoseconds can count to.
        {"Fri, 31 Dec 9999 23:59:59 GMT", ""},
        {"Sat, 01 Jan 0000 00:00:00 GMT", ""},
    };
    for (const auto& [date, skew] : dates) {
        CosStage stage;
        stage.changed = [at = date](const HttpHeard& heard, HttpReply& reply) {
            header_of(heard.method.c_str(), "Date", at)(heard, reply);
        };
        const RunResult run = stage.run(stage.make("object_size = '10B'\n"));
        EXPECT_EQ(run.outcome(), RunOutcome::ok) << date << ": " << run.code.message();
        EXPECT_EQ(run.got("clock_skew"), skew) << date;
        EXPECT_EQ(numbers(run, cos_roundtrip::clock_skew).size(), std::string_view(skew).empty() ? 0U : 1U);
    }
}

TEST(CosRoundtripRun, TimeThatAnUploadTakesIsNoSkew) {
    CosStage stage;
    auto passed = 0s;
    stage.env.wall = [&] { return WallTime(CosStage::date_unix + passed); };
    stage.changed = [&](const HttpHeard& heard, HttpReply& reply) {
        if (heard.method != "PUT") return;
        passed = 100s;
        header_of("PUT", "Date", "Wed, 18 Nov 2026 11:08:20 GMT")(heard, reply);
    };
    const RunResult run = stage.run(stage.make());
    EXPECT_EQ(run.got("clock_skew"), "0 s");
    EXPECT_EQ(numbers(run, cos_roundtrip::clock_skew), std::vector<double>{0});
}

// --- what is our own fault

TEST(CosRoundtripRun, ClockBeforeThisProgramMakesNothing) {
    CosStage stage;
    stage.env.wall = [] { return WallTime(std::chrono::sys_days(std::chrono::year(2026) / 10 / 31)); };
    const RunResult run = stage.run(stage.make());
    EXPECT_EQ(run.outcome(), RunOutcome::inconclusive);
    EXPECT_EQ(run.inconclusive, "our own clock says a time before this program was written");
    EXPECT_EQ(run.code, CosError::clock_unsafe);
    EXPECT_EQ(way(run), "");
    EXPECT_EQ(stage.server.connections(), 0U);
    EXPECT_TRUE(stage.ledger.ever.empty());
    stage.env.wall = [] { return WallTime(std::chrono::sys_days(std::chrono::year(2026) / 11 / 1)); };
    EXPECT_EQ(stage.run(stage.make()).outcome(), RunOutcome::ok);
}

TEST(CosRoundtripRun, WithoutALedgerNothingIsMade) {
    for (const bool there : {false, true}) {
        CosStage stage;
        if (!there) stage.env.ledger = nullptr;
        stage.ledger.fails = make_error_code(boost::system::errc::no_space_on_device);
        const RunResult run = stage.run(stage.make());
        EXPECT_EQ(run.outcome(), RunOutcome::inconclusive);
        EXPECT_EQ(run.inconclusive, "the object's key could not be written down, so it was not made");
        EXPECT_EQ(run.code, CosError::no_ledger);
        EXPECT_EQ(way(run), "");
        EXPECT_EQ(stage.server.connections(), 0U);
    }
}

TEST(CosRoundtripRun, NoSecretIsInAResult) {
    CosStage stage;
    for (const bool refused : {false, true}) {
        if (refused)
            stage.changed = [](const HttpHeard&, HttpReply& reply) {
                reply = cos_refuses(403, "SignatureDoesNotMatch");
            };
        const CosJudged judged = stage.judge(stage.make("token = { env = 'TOKEN' }\n"));
        std::string seen = judged.diagnosis.because;
        for (const auto& evidence : judged.run.evidence) seen += evidence.got + '\n';
        for (const auto& control : judged.run.controls) seen += control.shows + control.fingerprint + '\n';
        for (const char* secret : {"the-secret-key", "the-token", "q-signature"})
            EXPECT_EQ(seen.find(secret), std::string::npos) << seen;
    }
}

// --- runs that are cut

class CosRoundtripCut : public testing::TestWithParam<Step> {};
TEST_P(CosRoundtripCut, DeletesItsObject) {
    const Step& step = GetParam();
    CosStage stage;
    stage.instead[step.number] = http_says::silence();
    const Probe probe = stage.make();
    ProbeRun run(stage.env, 30s);
    Task<RunResult> task(stage.io, probe.run(run));
    run_until(stage.io, [&] { return stage.server.heard().size() == step.number + 1; });
    task.cut();
    const RunResult result = task.wait();
    EXPECT_TRUE(run.was_cut());
    EXPECT_NE(result.outcome(), RunOutcome::ok);
    EXPECT_EQ(stage.server.heard().size(), step.number + 2) << stage.methods();
    EXPECT_EQ(stage.server.last().method, "DELETE");
    EXPECT_EQ(stage.server.last().target, stage.server.heard().front().target);
    step.number == 0 ? stage.expect_deleted_and_written_down() : stage.expect_clean();
}
INSTANTIATE_TEST_SUITE_P(, CosRoundtripCut, testing::ValuesIn(steps),
                         [](const auto& row) { return row.param.name; });

TEST(CosRoundtripRun, CutBeforeTheUploadMakesNothing) {
    CosStage stage;
    const Probe probe = stage.make("object_size = '1MiB'\n");
    ProbeRun run(stage.env, 30s);
    Task<RunResult> task(stage.io, probe.run(run));
    run_until(stage.io, [&] { return !stage.ledger.ever.empty(); });
    task.cut();
    task.wait();
    EXPECT_TRUE(run.was_cut());
    EXPECT_EQ(stage.methods().find("PUT"), std::string::npos) << stage.methods();
    stage.expect_clean();
}

TEST(CosRoundtripRun, CutRunWhoseStoreIsSilentEndsAndKeepsItsEntry) {
    CosStage stage;
    for (std::size_t i = 0; i < 4; ++i) stage.instead[i] = http_says::silence();
    const Probe probe = stage.make();
    ProbeRun run(stage.env, 300ms);
    Task<RunResult> task(stage.io, probe.run(run));
    run_until(stage.io, [&] { return !stage.server.heard().empty(); });
    task.cut();
    task.wait();
    EXPECT_EQ(stage.methods(), "PUT DELETE");
    EXPECT_EQ(stage.ledger.kept.size(), 1U);
}

// --- litter

TEST(CosRoundtripRemove, WhatStandsInTheLedger) {
    CosStage stage;
    const Probe probe = stage.make();
    const auto remove = [&](std::string item) {
        ProbeRun run(stage.env, 10s);
        const Litter litter{.probe = "cover", .store = "cos", .item = std::move(item)};
        return await(stage.io, probe.remove(run, litter));
    };
    const std::string here =
        "http://" + std::string(CosStage::host) + ":" + std::to_string(stage.server.port());
    stage.object = "left behind";
    EXPECT_EQ(remove(here + " livecanary/x/y/1-2.bin"), error_code());
    EXPECT_EQ(stage.object, std::nullopt);
    EXPECT_EQ(stage.server.last().method, "DELETE");
    EXPECT_EQ(stage.server.last().target, "/livecanary/x/y/1-2.bin");
    stage.instead[1] = cos_refuses(404, "NoSuchKey");
    EXPECT_EQ(remove(here + " k"), error_code()) << "it is not there";
    stage.instead[2] = cos_refuses(403, "AccessDenied");
    EXPECT_EQ(remove(here + " k"), CosError::forbidden);
    stage.instead[3] = html(500);
    EXPECT_EQ(remove(here + " k"), CosError::refused);
    stage.instead[4] = raw("", HttpThen::reset);
    EXPECT_EQ(reason_of(remove(here + " k")), Reason::reset);
    const auto asked = stage.server.heard().size();
    EXPECT_EQ(remove("https://elsewhere.test k"), CosError::other_endpoint) << "our key does not reach there";
    EXPECT_EQ(stage.server.heard().size(), asked);
}

/// A list of the bucket that names these keys.
HttpReply list_of(const std::vector<std::string>& keys) {
    std::string xml = "<ListBucketResult><Name>cover-1250000000</Name><IsTruncated>false</IsTruncated>";
    for (const auto& key : keys) xml += "<Contents><Key>" + key + "</Key><Size>5</Size></Contents>";
    return http_says::page(xml + "</ListBucketResult>", "application/xml");
}

asio::awaitable<bool> look(const Probe& probe, ProbeRun& run, std::vector<std::string>& items,
                           error_code& code) {
    const auto found = co_await probe.strays(run);
    code = found ? error_code() : found.error();
    if (found)
        for (const auto& litter : *found) items.push_back(litter.item);
    co_return true;
}

TEST(CosRoundtripStrays, OwnKeysOlderThanADayAndNoOthers) {
    CosStage stage;
    const std::string folder = "livecanary/Here-1/cover/", id = "-0123456789abcdef.bin";
    const auto stamp = [&](std::chrono::seconds ago) {
        return folder + std::to_string((CosStage::date_unix - ago).count()) + id;
    };
    const HttpReply list = list_of({stamp(24h), stamp(24h - 1s), stamp(240h), stamp(-1h), folder + "mine.bin",
                                    "livecanary/Here-1/covers/1" + id, "1" + id});
    stage.changed = [list](const HttpHeard& heard, HttpReply& reply) {
        if (heard.path() == "/") reply = list;
    };
    const Probe probe = stage.make();
    ProbeRun run(stage.env, 10s);
    std::vector<std::string> items;
    error_code code;
    await(stage.io, look(probe, run, items, code));
    EXPECT_EQ(code, error_code());
    const std::string here =
        "http://" + std::string(CosStage::host) + ":" + std::to_string(stage.server.port()) + " ";
    EXPECT_EQ(items, (std::vector<std::string>{here + stamp(24h), here + stamp(240h)}));
    const auto& heard = stage.server.last();
    EXPECT_EQ(heard.target, "/?prefix=livecanary%2FHere-1%2Fcover%2F&max-keys=200");
    const auto authorization = protocol::parse_cos_authorization(heard.headers.at("authorization"));
    const auto request =
        protocol::cos_request("GET", "http://ignored" + heard.target, {{"host", heard.headers.at("host")}});
    ASSERT_TRUE(authorization && request);
    const auto check = protocol::check_cos(*authorization, *request, {.secret_key = "the-secret-key"},
                                           std::chrono::sys_seconds(CosStage::date_unix));
    EXPECT_TRUE(check.match.exact());
    EXPECT_EQ(authorization->parameter_list, (std::vector<std::string>{"max-keys", "prefix"}));
}

TEST(CosRoundtripStrays, WhatIsNoListIsAnError) {
    for (const auto& [reply, words] :
         {std::pair(html(200), "the answer is XML, but not a list of objects"),
          std::pair(cos_refuses(403, "AccessDenied"), "COS does not allow it"),
          std::pair(http_says::page("", "application/xml"), "the list of objects is not XML")}) {
        CosStage stage;
        stage.changed = [answer = reply](const HttpHeard&, HttpReply& right) { right = answer; };
        const Probe probe = stage.make();
        ProbeRun run(stage.env, 10s);
        std::vector<std::string> items;
        error_code code;
        await(stage.io, look(probe, run, items, code));
        EXPECT_EQ(code.message(), words);
        EXPECT_TRUE(items.empty());
    }
}

}  // namespace
}  // namespace livecanary::test
