// Every way a CDN can fail a fetch: phase, reason, and what follows from the controls.
#include <gtest/gtest.h>

#include <algorithm>

#include "probes/cdn_fetch/controls.hpp"
#include "probes/cdn_fetch/fetch.hpp"
#include "probes/protocol/cdn_auth.hpp"
#include "tests/support/tls_peer.hpp"
#include "tests/unit/kinds/cdn_stage.hpp"

namespace livecanary::test {
namespace {

using cdn_fetch::CdnError;

std::string way(const RunResult& run) {
    std::string names;
    for (const auto& phase : run.phases) names += (names.empty() ? "" : " ") + std::string(phase.phase.name);
    return names;
}

std::vector<std::string> numbers(const RunResult& run, const Value& value) {
    std::vector<std::string> all;
    for (const auto& found : run.values)
        if (found.value.metric == value.metric)
            all.push_back(found.label_value + " " + found.second_label_value + " " +
                          std::to_string(static_cast<int>(found.number)));
    return all;
}
using Numbers = std::vector<std::string>;

std::string& header(HttpReply& reply, std::string_view name) {
    const auto found = std::ranges::find(reply.headers, name, &std::pair<std::string, std::string>::first);
    if (found == reply.headers.end()) throw std::logic_error("the reply has no " + std::string(name));
    return found->second;
}

std::string seen(const CosJudged& judged) {
    std::string all = judged.run.fingerprint + ", " + judged.run.code.message() + ", " +
                      judged.run.inconclusive + "\n" + judged.diagnosis.because + "\n";
    for (const auto& e : judged.run.evidence) all += "  " + std::string(e.what) + ": " + e.got + "\n";
    for (const auto& c : judged.run.controls)
        all += "  " + std::string(c.name) + " " + std::string(to_string(c.outcome)) + " [" + c.fingerprint +
               "] " + c.shows + "\n";
    return all;
}

// --- what is asked, and what is told of it

TEST(CdnFetchRun, TwiceThroughTheCdnAndOnceAtTheOrigin) {
    CdnStage stage;
    const RunResult run = stage.run(stage.make());
    EXPECT_EQ(run.outcome(), RunOutcome::ok) << run.code.message() << run.inconclusive;
    EXPECT_EQ(way(run), "tcp request first_byte body verify");
    ASSERT_EQ(stage.edge.heard().size(), 2U);
    EXPECT_EQ(stage.edge.connections(), 1U) << "the same URL again on the same connection";
    for (const auto& heard : stage.edge.heard()) {
        EXPECT_EQ(heard.method, "GET");
        EXPECT_EQ(heard.target, CdnStage::path);
        EXPECT_EQ(heard.headers.at("host"),
                  std::string(CdnStage::domain) + ":" + std::to_string(stage.edge.port()));
        EXPECT_EQ(heard.headers.at("accept-encoding"), "identity");
        EXPECT_EQ(heard.headers.at("user-agent"), "livecanary");
        EXPECT_EQ(heard.headers.count("referer"), 0U);
        EXPECT_EQ(heard.headers.count("authorization"), 0U)
            << "the origin's signature is none of the CDN's business";
    }
    ASSERT_EQ(stage.origin.heard().size(), 1U);
    EXPECT_EQ(stage.origin.heard()[0].headers.at("authorization"),
              "q-sign-algorithm=sha1&q-signature=origin-secret");
    EXPECT_EQ(stage.origin.heard()[0].headers.count("x-cos-security-token"), 0U);
    EXPECT_EQ(numbers(run, cdn_fetch::responses), (Numbers{"200 miss 1", "200 hit 1"}));
    EXPECT_EQ(numbers(run, cdn_fetch::acceleration).size(), 1U);
    EXPECT_EQ(numbers(run, cdn_fetch::failing_addresses), Numbers{}) << "only where every address is asked";
    EXPECT_EQ(run.got("cache_lookup"), "first Cache Miss");
    EXPECT_EQ(run.got("log_uuid"), "first log-uuid");
    EXPECT_EQ(run.got("request_id"), "first request-id");
    EXPECT_EQ(run.got("via"), "1.1 edge");
    EXPECT_EQ(run.got("server"), "NWS_TEST");
    EXPECT_EQ(run.got("auth"), "not configured");
    EXPECT_EQ(run.got("uploaded_by"), "cover");
    EXPECT_EQ(run.got("object"), std::string(CdnStage::path) + ", 5007 bytes");
    EXPECT_TRUE(run.headline.starts_with("hit, first byte after ")) << run.headline;
    EXPECT_EQ(run.fingerprint, "");
}

TEST(CdnFetchRun, HoldsTheObjectUntilItsEnd) {
    CdnStage stage;
    std::vector<bool> held;
    stage.edge_answers = [&](const HttpHeard&, HttpReply&) {
        stage.peers.answers.erase("cover");
        held.push_back(!stage.held.expired());
    };
    stage.origin_answers = [&](const HttpHeard&, HttpReply&) { held.push_back(!stage.held.expired()); };
    stage.run(stage.make());
    EXPECT_EQ(held, (std::vector<bool>{true, true, true}));
    EXPECT_TRUE(stage.held.expired());
    ASSERT_EQ(stage.peers.asked.size(), 1U);
    EXPECT_EQ(stage.peers.asked[0].what, questions::object);
}

TEST(CdnFetchRun, NothingToFetchProvesNothing) {
    const auto inconclusive = [](CdnStage& stage, const std::string& more = {}) {
        const RunResult run = stage.run(stage.make(more));
        EXPECT_EQ(run.outcome(), RunOutcome::inconclusive);
        EXPECT_EQ(stage.edge.heard().size(), 0U);
        return run.inconclusive;
    };
    CdnStage stage;
    stage.peers.answers.clear();
    stage.peers.answers.emplace("cover", make_error_code(PeerError::nothing_yet));
    EXPECT_EQ(inconclusive(stage),
              "'cover' could not give an object to fetch: that probe has nothing to give yet");
    stage.peers.answers.clear();
    EXPECT_EQ(inconclusive(stage),
              "'cover' could not give an object to fetch: there is no such probe any more");
    stage.env.peers = nullptr;
    EXPECT_EQ(inconclusive(stage), "there is no probe 'cover' here to ask for an object");
    stage.env.peers = &stage.peers;
    for (const char* fact : {"path", "size", "url"}) {
        PeerAnswer answer = stage.answer();
        answer.facts[fact] = "nonsense";
        stage.peers.answers.clear();
        stage.peers.answers.emplace("cover", answer);
        EXPECT_EQ(inconclusive(stage), "'cover' gave an object that cannot be fetched") << fact;
    }
    stage.offer();
    EXPECT_EQ(inconclusive(stage, "max_size = '5006B'\n"), "the object of 'cover' is larger than max_size");
    stage.env.wall = [] { return WallTime{}; };
    EXPECT_EQ(inconclusive(stage), "our own clock says a time before this program was written");
}

class CdnFetchAuth : public testing::TestWithParam<const char*> {};
TEST_P(CdnFetchAuth, SignsOnceARun) {
    CdnStage stage;
    const std::string type = GetParam();
    const RunResult run = stage.run(stage.make("auth = { type = '" + type + "', key = { env = 'KEY' } }\n"));
    EXPECT_EQ(run.outcome(), RunOutcome::ok) << run.code.message();
    ASSERT_EQ(stage.edge.heard().size(), 2U);
    EXPECT_EQ(stage.edge.heard()[0].target, stage.edge.heard()[1].target) << "else no cache could know it";
    protocol::CdnAuth how;
    how.type = static_cast<protocol::CdnAuthType>(type[0] - 'A');
    const auto check =
        protocol::check_cdn_url("http://h" + stage.edge.heard()[0].target, how, "cdnkey123456", "");
    ASSERT_TRUE(check);
    EXPECT_TRUE(check->match.exact());
    EXPECT_EQ(check->type, how.type);
    for (const auto& e : run.evidence)
        EXPECT_EQ(e.got.find(stage.edge.heard()[0].target), e.got.npos) << e.what;
}
INSTANTIATE_TEST_SUITE_P(, CdnFetchAuth, testing::Values("A", "B", "C", "D"),
                         [](const auto& row) { return std::string(row.param); });

TEST(CdnFetchRun, FixedUrlWithoutOriginIsComparedWithItself) {
    CdnStage stage;
    RunResult run = stage.run(CdnStage::made_of(stage.fixed()));
    EXPECT_EQ(run.outcome(), RunOutcome::ok) << run.code.message();
    EXPECT_EQ(stage.origin.heard().size(), 0U);
    EXPECT_EQ(numbers(run, cdn_fetch::acceleration), Numbers{});
    stage.edge_answers = [](const HttpHeard&, HttpReply& reply) { reply.body.back() = '!'; };
    run = stage.run(CdnStage::made_of(stage.fixed()));
    EXPECT_EQ(run.code, CdnError::bytes_differ) << "its ETag and CRC say so";
}

TEST(CdnFetchRun, OriginThatIsDownDoesNotFailTheCdn) {
    CdnStage stage;
    stage.origin_answers = [](const HttpHeard&, HttpReply& reply) { reply = http_says::status(500); };
    const RunResult run = stage.run(stage.make());
    EXPECT_EQ(run.outcome(), RunOutcome::ok) << run.code.message();
    EXPECT_EQ(run.got("origin"), "500");
    EXPECT_EQ(numbers(run, cdn_fetch::acceleration), Numbers{});
}

TEST(CdnFetchRun, TriesForAHitAFewTimes) {
    CdnStage stage;
    int asked = 0;
    stage.edge_answers = [&](const HttpHeard&, HttpReply& reply) {
        header(reply, "X-Cache-Lookup") = ++asked < 4 ? "Cache Miss" : "Cache Hit";
    };
    const RunResult run = stage.run(stage.make());
    EXPECT_EQ(run.outcome(), RunOutcome::ok) << run.code.message();
    EXPECT_EQ(stage.edge.heard().size(), 4U);
    EXPECT_EQ(numbers(run, cdn_fetch::responses),
              (Numbers{"200 miss 1", "200 miss 1", "200 miss 1", "200 hit 1"}));
}

TEST(CdnFetchRun, MissesAreNoFailureWhereTheyAreNotMinded) {
    CdnStage stage;
    stage.edge_answers = [&](const HttpHeard&, HttpReply& reply) {
        header(reply, "X-Cache-Lookup") = "Cache Miss";
    };
    EXPECT_EQ(stage.run(stage.make("expect_cache = false\n")).outcome(), RunOutcome::ok);
    EXPECT_EQ(stage.edge.heard().size(), 2U);
    stage.edge_answers = [&](const HttpHeard&, HttpReply& reply) { header(reply, "X-Cache-Lookup") = ""; };
    EXPECT_EQ(stage.run(stage.make()).outcome(), RunOutcome::ok)
        << "who says nothing of caches is not blamed";
}

TEST(CdnFetchRun, OneBadAddressOfTwo) {
    CdnStage stage;
    const CosJudged judged =
        stage.judge(CdnStage::made_of("after = 'cover'\ndomain = '" + std::string(CdnStage::domain) +
                                      "'\nscheme = 'http'\nport = " + std::to_string(stage.edge.port()) +
                                      "\naddresses = ['127.0.0.1', '127.0.0.77']\nevery_address = true\n"));
    EXPECT_EQ(judged.run.failed_phase(), "tcp");
    EXPECT_EQ(to_string(judged.run.reason()), "refused");
    EXPECT_EQ(judged.run.got("failing_address"),
              "127.0.0.77:" + std::to_string(stage.edge.port()) + " tcp refused");
    EXPECT_EQ(judged.run.got("good_addresses"), "1 of 2");
    EXPECT_EQ(numbers(judged.run, cdn_fetch::failing_addresses), (Numbers{"ipv4  1", "ipv6  0"}));
    EXPECT_EQ(judged.diagnosis.label(), "cdn_endpoint_unreachable") << seen(judged);
    EXPECT_NE(judged.diagnosis.because.find("127.0.0.77"), std::string::npos) << judged.diagnosis.because;
}

TEST(CdnFetchRun, AddressesOfTheNameAreResolved) {
    CdnStage stage;
    stage.names.set(CdnStage::domain, {.addresses = {"127.0.0.1"}, .cnames = {"cover.cdn.dnsv1.com"}});
    const std::string keys = "after = 'cover'\ndomain = '" + std::string(CdnStage::domain) +
                             "'\nscheme = 'http'\nport = " + std::to_string(stage.edge.port()) + "\n";
    RunResult run = stage.run(CdnStage::made_of(keys));
    EXPECT_EQ(run.outcome(), RunOutcome::ok) << run.code.message();
    EXPECT_EQ(way(run), "dns tcp request first_byte body verify");
    EXPECT_EQ(run.got("cname"), "cover.cdn.dnsv1.com");
    EXPECT_EQ(run.got("leads_to"), "Tencent Cloud CDN");
    EXPECT_EQ(numbers(run, cdn_fetch::resolved_addresses), (Numbers{"ipv4  1", "ipv6  0"}));
    stage.names.set(CdnStage::domain, {.addresses = {"127.0.0.1"}, .cnames = {"parked.example.org"}});
    run = stage.run(CdnStage::made_of(keys));
    EXPECT_EQ(run.got("leads_to"), "no name of Tencent Cloud CDN that we know");
}

TEST(CdnFetchRun, NameThatDoesNotResolve) {
    CdnStage stage;
    const Probe probe =
        CdnStage::made_of("after = 'cover'\ndomain = '" + std::string(CdnStage::domain) + "'\n");
    CosJudged judged = stage.judge(probe);
    EXPECT_EQ(judged.run.failed_phase(), "dns");
    EXPECT_EQ(to_string(judged.run.reason()), "nxdomain");
    EXPECT_EQ(judged.diagnosis.label(), "cdn_unreachable") << seen(judged);
    stage.names.set("service.cos.myqcloud.com", {.addresses = {"192.0.2.1"}});
    judged = stage.judge(probe);
    EXPECT_EQ(judged.diagnosis.label(), "cdn_dns_failure") << seen(judged);
}

// --- one row for each way it can end

struct Row {
    const char* name;
    std::string more;
    CdnStage::Change edge;
    CdnStage::Change origin;
    const char* phase;
    const char* reason;
    const char* label;
    bool fixed = false;
};
void PrintTo(const Row& row, std::ostream* out) { *out << row.name; }

CdnStage::Change says(int status) {
    return [status](const HttpHeard&, HttpReply& reply) { reply = CdnStage::refuses(status); };
}
CdnStage::Change cos_says(int status, const char* code) {
    return [status, code](const HttpHeard&, HttpReply& reply) {
        reply = cos_refuses(status, code);
        reply.headers.emplace_back("x-cos-request-id", "id");
    };
}
/// 403 unless `allows`.
CdnStage::Change only(std::function<bool(const HttpHeard&)> allows) {
    return [allows](const HttpHeard& heard, HttpReply& reply) {
        if (!allows(heard)) reply = CdnStage::refuses(403);
    };
}
bool signed_with(const HttpHeard& heard, char type, const char* key, protocol::CdnOrder order = {}) {
    protocol::CdnAuth how;
    how.type = static_cast<protocol::CdnAuthType>(type - 'A');
    how.order = order;
    const auto check = protocol::check_cdn_url("http://h" + heard.target, how, key, "");
    return check && check->match.exact();
}
bool is_fresh(const HttpHeard& heard) { return heard.query().find("livecanary=") != std::string::npos; }

const std::string type_a = "auth = { type = 'A', key = { env = 'KEY' }, backup_key = { env = 'BACKUP' } }\n";
const std::string type_c = "auth = { type = 'C', key = { env = 'KEY' } }\n";

const Row rows[] = {
    {"acceleration_off",
     "auth = { type = 'none' }\n",
     says(403),
     {},
     "first_byte",
     "forbidden",
     "cdn_cos_acceleration_disabled"},
    {"acceleration_off_or_a_signature_missing",
     "",
     says(403),
     {},
     "first_byte",
     "forbidden",
     "cdn_forbidden"},
    {"acceleration_off_or_wrong_key", type_a, says(403), {}, "first_byte", "forbidden", "cdn_forbidden"},
    {"forbidden_and_the_origin_fails", "", says(403), says(500), "first_byte", "forbidden", "cdn_forbidden"},
    {"private_bucket",
     "",
     cos_says(403, "AccessDenied"),
     {},
     "first_byte",
     "forbidden",
     "cdn_private_bucket_origin_auth_off"},
    {"denied_also_at_the_origin", "", cos_says(403, "AccessDenied"), cos_says(403, "AccessDenied"),
     "first_byte", "forbidden", "cdn_forbidden"},
    {"main_key_changed",
     type_a,
     only([](const HttpHeard& h) { return signed_with(h, 'A', "backup654321"); }),
     {},
     "first_byte",
     "forbidden",
     "cdn_url_auth_failed"},
    {"other_order",
     type_c,
     only([](const HttpHeard& h) {
         return signed_with(h, 'C', "cdnkey123456", protocol::CdnOrder::time_first);
     }),
     {},
     "first_byte",
     "forbidden",
     "cdn_url_auth_failed"},
    {"signature_not_wanted",
     type_a,
     only([](const HttpHeard& h) { return h.query().empty(); }),
     {},
     "first_byte",
     "forbidden",
     "cdn_url_auth_failed"},
    {"signature_taken_for_a_path",
     type_c,
     [](const HttpHeard& h, HttpReply& reply) {
         if (h.path() != CdnStage::path) reply = CdnStage::refuses(404);
     },
     {},
     "first_byte",
     "not_found",
     "cdn_url_auth_failed"},
    {"wants_a_referer",
     "",
     only([](const HttpHeard& h) { return h.headers.count("referer") > 0; }),
     {},
     "first_byte",
     "forbidden",
     "cdn_hotlink_or_ip_blocked"},
    {"wants_no_referer",
     "referer = 'http://elsewhere.example.com/'\n",
     only([](const HttpHeard& h) { return h.headers.count("referer") == 0; }),
     {},
     "first_byte",
     "forbidden",
     "cdn_hotlink_or_ip_blocked"},
    {"wants_a_browser",
     "",
     only([](const HttpHeard& h) { return h.headers.at("user-agent").starts_with("Mozilla"); }),
     {},
     "first_byte",
     "forbidden",
     "cdn_hotlink_or_ip_blocked"},
    {"ip_list_or_rate", "", says(514), {}, "first_byte", "rejected", "cdn_failing"},
    {"attack_ban", "", says(509), {}, "first_byte", "rejected", "cdn_rate_or_attack_ban"},
    {"overload", "", says(524), {}, "first_byte", "rejected", "cdn_rate_or_attack_ban"},
    {"overload_of_the_origin_too", "", says(524), says(524), "first_byte", "rejected", "cdn_failing"},
    {"loop", "", says(423), {}, "first_byte", "rejected", "cdn_origin_loop"},
    {"locked_at_the_origin", "", says(423), says(423), "first_byte", "rejected", "cdn_failing"},
    {"origin_name", "", says(531), {}, "first_byte", "rejected", "cdn_origin_unreachable"},
    {"origin_certificate", "", says(539), {}, "first_byte", "rejected", "cdn_origin_unreachable"},
    {"bad_gateway", "", says(502), {}, "first_byte", "rejected", "cdn_origin_unreachable"},
    {"bad_gateway_of_the_origin", "", says(502), says(502), "first_byte", "rejected", "cdn_failing"},
    {"gateway_timeout", "", says(504), {}, "first_byte", "rejected", "cdn_origin_unreachable"},
    {"slow_down", "", cos_says(503, "SlowDown"), {}, "first_byte", "rejected", "cdn_cos_freq_control"},
    {"slow_down_everywhere", "", cos_says(503, "SlowDown"), cos_says(503, "SlowDown"), "first_byte",
     "rejected", "cdn_failing"},
    {"unavailable", "", says(503), {}, "first_byte", "rejected", "cdn_failing"},
    {"unknown_status", "", says(418), {}, "first_byte", "rejected", ""},
    {"redirect",
     "",
     [](const HttpHeard&, HttpReply& reply) {
         reply = http_says::redirect("http://notice.example.com/x?sign=1");
     },
     {},
     "first_byte",
     "mismatch",
     "cdn_failing"},
    {"not_there", "", says(404), {}, "first_byte", "not_found", "cdn_failing"},
    {"missing_also_at_the_origin", "", says(404), says(404), "first_byte", "not_found", "cdn_failing"},
    {"negative_cache",
     "",
     [](const HttpHeard& h, HttpReply& reply) {
         if (is_fresh(h)) return;
         reply = CdnStage::refuses(404);
         reply.headers.emplace_back("X-Cache-Lookup", "Cache Hit");
     },
     {},
     "first_byte",
     "not_found",
     "cdn_negative_cache"},
    {"never_cached",
     "",
     [](const HttpHeard&, HttpReply& reply) { header(reply, "X-Cache-Lookup") = "Cache Miss"; },
     {},
     "verify",
     "mismatch",
     "cdn_cache_miss_storm"},
    {"other_bytes",
     "",
     [](const HttpHeard&, HttpReply& reply) { reply.body.back() = '!'; },
     {},
     "verify",
     "mismatch",
     "cdn_hash_mismatch"},
    {"shorter",
     "",
     [](const HttpHeard&, HttpReply& reply) { reply.body.pop_back(); },
     {},
     "verify",
     "mismatch",
     "cdn_hash_mismatch"},
    {"longer",
     "",
     [](const HttpHeard&, HttpReply& reply) { reply.body += std::string(20000, '!'); },
     {},
     "verify",
     "mismatch",
     "cdn_hash_mismatch"},
    {"cut",
     "",
     [](const HttpHeard&, HttpReply& reply) { reply = http_says::cut(reply, 1000); },
     {},
     "body",
     "closed",
     "cdn_hash_mismatch"},
    {"other_version",
     "",
     [](const HttpHeard& h, HttpReply& reply) {
         if (is_fresh(h)) return;
         reply.body = "an older one";
         header(reply, "ETag") = "\"" + md5_hex(reply.body) + "\"";
         header(reply, "x-cos-hash-crc64ecma") = crc64_text(reply.body);
     },
     {},
     "verify",
     "mismatch",
     "cdn_stale_object",
     true},
    {"other_version_for_good",
     "",
     [](const HttpHeard&, HttpReply& reply) {
         reply.body = "something else";
         header(reply, "ETag") = "\"" + md5_hex(reply.body) + "\"";
         header(reply, "x-cos-hash-crc64ecma") = crc64_text(reply.body);
     },
     {},
     "verify",
     "mismatch",
     "cdn_wrong_object",
     true},
    {"compressed",
     "",
     [](const HttpHeard&, HttpReply& reply) {
         reply.body = "gzip of it";
         reply.headers.emplace_back("Content-Encoding", "gzip");
     },
     {},
     "verify",
     "mismatch",
     "cdn_wrong_object"},
    {"no_http",
     "",
     [](const HttpHeard&, HttpReply& reply) { reply.raw = "SSH-2.0-x\r\n"; },
     {},
     "first_byte",
     "protocol",
     "cdn_unreachable"},
    {"hangs_up",
     "",
     [](const HttpHeard&, HttpReply& reply) {
         reply.raw = "";
         reply.then = HttpThen::finish;
     },
     {},
     "first_byte",
     "closed",
     "cdn_unreachable"},
    {"second_fetch_fails",
     "",
     [](const HttpHeard&, HttpReply& reply) {
         if (header(reply, "X-Cache-Lookup") == "Cache Hit") reply = CdnStage::refuses(502);
     },
     {},
     "verify",
     "rejected",
     "cdn_origin_unreachable"},
};

class CdnFetchEnds : public testing::TestWithParam<Row> {};
TEST_P(CdnFetchEnds, InPhaseForReasonFromCause) {
    const Row& row = GetParam();
    CdnStage stage;
    stage.edge_answers = row.edge;
    stage.origin_answers = row.origin;
    if (row.fixed)
        stage.origin_answers = [&](const HttpHeard&, HttpReply& reply) {
            reply = http_says::page(stage.object);
            reply.headers.emplace_back("ETag", "\"" + md5_hex(stage.object) + "\"");
        };
    const Probe probe =
        row.fixed ? CdnStage::made_of(stage.fixed(stage.fixed_origin() + row.more)) : stage.make(row.more);
    const CosJudged judged = stage.judge(probe);
    EXPECT_EQ(judged.run.outcome(), RunOutcome::failed) << seen(judged);
    EXPECT_EQ(judged.run.failed_phase(), row.phase) << seen(judged);
    EXPECT_EQ(to_string(judged.run.reason()), row.reason) << seen(judged);
    EXPECT_EQ(judged.diagnosis.label(), row.label) << seen(judged);
    EXPECT_EQ(judged.run.got("failing_address").substr(0, 10), "127.0.0.1:") << seen(judged);
    const std::string all = seen(judged);
    for (const auto& heard : stage.edge.heard()) {
        if (heard.target.find(CdnStage::path) == 0 && heard.query().empty()) continue;
        EXPECT_EQ(all.find(heard.target), all.npos) << "a signature is shown";
    }
    EXPECT_EQ(all.find("origin-secret"), all.npos);
    EXPECT_EQ(all.find("cdnkey123456"), all.npos);
}
INSTANTIATE_TEST_SUITE_P(, CdnFetchEnds, testing::ValuesIn(rows),
                         [](const auto& row) { return row.param.name; });

TEST(CdnFetchRun, FailureThatHasPassedMeanwhileBlamesNobody) {
    for (const int status : {403, 404, 502}) {
        CdnStage stage;
        bool first = true;
        stage.edge_answers = [&](const HttpHeard&, HttpReply& reply) {
            if (std::exchange(first, false)) reply = CdnStage::refuses(status);
        };
        const CosJudged judged = stage.judge(stage.make());
        EXPECT_FALSE(judged.diagnosis.cause) << status << seen(judged);
        EXPECT_EQ(judged.run.control(cdn_fetch::again)->outcome, ControlOutcome::passed);
    }
}

TEST(CdnFetchRun, ClockOfTheCdnIsTriedForTheSignature) {
    CdnStage stage;
    stage.env.wall = [] { return WallTime(CosStage::date_unix - 2h); };
    stage.edge_answers = [](const HttpHeard& heard, HttpReply& reply) {
        protocol::CdnAuth how;
        const auto check = protocol::check_cdn_url("http://h" + heard.target, how, "cdnkey123456", "");
        const bool good = check && check->match.exact() && check->signed_at &&
                          *check->signed_at >= std::chrono::sys_seconds(CosStage::date_unix - 30min);
        if (good) return;
        reply = CdnStage::refuses(403);
        reply.headers.emplace_back("Date", CosStage::date);
    };
    const CosJudged judged = stage.judge(stage.make("auth = { type = 'A', key = { env = 'KEY' } }\n"));
    EXPECT_EQ(judged.run.got("clock_skew"), "7200 s");
    EXPECT_EQ(judged.diagnosis.label(), "cdn_url_auth_failed") << seen(judged);
}

TEST(CdnFetchRun, LocationsAreShownWithoutTheirSignature) {
    CdnStage stage;
    stage.edge_answers = [](const HttpHeard& heard, HttpReply& reply) {
        reply = http_says::redirect("https://" + std::string(CdnStage::domain) + heard.target, 301);
    };
    const RunResult run = stage.run(stage.make(type_a));
    EXPECT_EQ(run.got("redirects_to"), "https://" + std::string(CdnStage::domain));
}

TEST(CdnFetchRun, SilenceEndsWithTheRun) {
    CdnStage stage;
    stage.edge_answers = [](const HttpHeard&, HttpReply& reply) { reply = http_says::silence(); };
    const RunResult run = stage.run(stage.make(), 100ms);
    EXPECT_EQ(run.failed_phase(), "first_byte");
    EXPECT_EQ(to_string(run.reason()), "timeout");
}

TEST(CdnFetchRun, CutRunLeavesNothingBehind) {
    CdnStage stage;
    const Probe probe =
        CdnStage::made_of("after = 'cover'\ndomain = '" + std::string(CdnStage::domain) +
                          "'\nscheme = 'http'\nport = " + std::to_string(stage.edge.port()) +
                          "\naddresses = ['127.0.0.1', '127.0.0.1', '127.0.0.1']\nevery_address = true\n");
    stage.edge_answers = [](const HttpHeard&, HttpReply& reply) { reply = http_says::silence(); };
    ProbeRun under_way(stage.env, 10min);  // what does not end by the cut hangs the test
    Task<RunResult> task(stage.io, probe.run(under_way));
    run_until(stage.io, [&] { return stage.edge.heard().size() == 3; });
    task.cut();
    task.wait();
    EXPECT_TRUE(under_way.was_cut());
    run_until(stage.io, [&] { return stage.edge.deserted(); });
}

TEST(CdnFetchRun, CertificatesAreLookedAt) {
    CdnStage stage;
    const Certificate authority({.common_name = "authority", .authority = true});
    const auto play = [](TlsStream& stream) -> asio::awaitable<void> {
        std::array<char, 512> buffer{};
        co_await stream.async_read_some(asio::buffer(buffer), net::no_throw);
    };
    const std::string ca = testing::TempDir() + "/cdn_fetch_ca.pem";
    authority.save(ca);
    struct Shown {
        CertificateOptions options;
        const char* label;
        const char* reason;
    };
    const Shown all[] = {
        {{.names = {"DNS:cover.cdn.example.com"}, .not_before = -2h, .not_after = -1h},
         "cdn_cert_expired",
         "certificate"},
        {{.names = {"DNS:other.example.com"}}, "cdn_cert_expired", "certificate"},
    };
    for (const auto& shown : all) {
        const Certificate leaf(shown.options, &authority);
        TlsPeer peer(stage.io, leaf, play);
        const CosJudged judged =
            stage.judge(CdnStage::made_of("after = 'cover'\ndomain = '" + std::string(CdnStage::domain) +
                                          "'\nport = " + std::to_string(peer.endpoint().port()) +
                                          "\naddress = '127.0.0.1'\nca_file = '" + ca + "'\n"));
        EXPECT_EQ(judged.run.failed_phase(), "tls") << seen(judged);
        EXPECT_EQ(to_string(judged.run.reason()), shown.reason);
        EXPECT_EQ(judged.diagnosis.label(), shown.label) << seen(judged);
        EXPECT_EQ(numbers(judged.run, cdn_fetch::certificate_end).size(), 1U)
            << "also when it was not accepted";
    }
}

}  // namespace
}  // namespace livecanary::test
