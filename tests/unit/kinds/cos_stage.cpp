#include "tests/unit/kinds/cos_stage.hpp"

#include <openssl/evp.h>

#include <array>
#include <cstdio>
#include <span>
#include <utility>

#include "probes/protocol/cos_sign.hpp"
#include "probes/protocol/crc64.hpp"

namespace livecanary::test {

std::string md5_hex(std::string_view bytes) {
    std::array<unsigned char, 16> digest{};
    EVP_Digest(bytes.data(), bytes.size(), digest.data(), nullptr, EVP_md5(), nullptr);
    std::string text;
    for (const auto byte : digest) {
        char digits[3];
        std::snprintf(digits, sizeof digits, "%02x", byte);
        text += digits;
    }
    return text;
}

std::string crc64_text(std::string_view bytes) {
    protocol::Crc64 crc;
    crc.feed(std::span(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()));
    return std::to_string(crc.value());
}

HttpReply cos_refuses(int status, const std::string& code, const std::string& message) {
    HttpReply reply = http_says::page("<?xml version='1.0' encoding='utf-8' ?>\n<Error><Code>" + code +
                                          "</Code><Message>" + message +
                                          "</Message><Resource>r</Resource><RequestId>i</RequestId>"
                                          "<TraceId>t</TraceId></Error>",
                                      "application/xml");
    reply.status = status;
    return reply;
}

PeerAnswer cos_handed_out(std::chrono::seconds now, std::chrono::seconds width,
                          const std::string& secret_key) {
    const protocol::KeyTime key_time{std::chrono::sys_seconds(now), std::chrono::sys_seconds(now + width)};
    PeerAnswer answer;
    answer.facts = {{"secret_id", "AKIDtest"}, {"key_time", key_time.to_string()},
                    {"bucket", "cover"},       {"region", "ap-shanghai"},
                    {"appid", "1250000000"},   {"date", std::to_string(now.count())}};
    answer.secrets.emplace("sign_key", config::Secret(protocol::cos_sign_key(secret_key, key_time)));
    return answer;
}

boost::asio::awaitable<result<PeerAnswer>> CosPeers::ask(std::string probe, Question question) {
    asked.emplace_back(probe + " " + std::string(question.what));
    co_return say ? say() : result<PeerAnswer>(PeerError::no_such_probe);
}

bool CosPeers::is_asked(std::string_view probe) const { return wanted.contains(probe); }

CosStage::CosStage() {
    env.dns = &dns;
    env.ledger = &ledger;
    env.peers = &peers;
    env.probe = "cover";
    env.location = "Here-1";
    env.wall = [] { return WallTime(date_unix); };
}

CosStage::~CosStage() = default;

std::string CosStage::keys(const std::string& more) const {
    return "bucket = '" + std::string(bucket) +
           "'\nregion = 'ap-shanghai'\nsecret_id = 'AKIDtest'\nsecret_key = { env = 'COS' }\nendpoint = "
           "'http://" +
           host + ":" + std::to_string(server.port()) + "'\naddress = '127.0.0.1'\n" + more;
}

std::string CosStage::backend_keys(const std::string& more) const {
    return "signature = { backend = 'mini-live' }\nendpoint = "
           "'http://{bucket}.cos.{region}.myqcloud.com:" +
           std::to_string(server.port()) + "'\naddress = '127.0.0.1'\n" + more;
}

Probe CosStage::made_of(const std::string& keys) {
    const FakeWorld world{
        .variables = {{"COS", "the-secret-key"}, {"TOKEN", "the-token"}, {"OWN", "our-own-key"}}};
    TomlText text(keys, world);
    Probe probe = cos_roundtrip::kind.make(text.reader());
    text.reader().unread();
    EXPECT_EQ(text.mistakes(), std::vector<std::string>{});
    return probe;
}

Probe CosStage::make(const std::string& more) const { return made_of(keys(more)); }

RunResult CosStage::run(const Probe& probe, Clock::duration timeout) {
    ProbeRun under_way(env, timeout);
    return await(io, probe.run(under_way));
}

CosJudged CosStage::judge(const Probe& probe, Clock::duration timeout) {
    CosJudged judged{.run = run(probe, timeout)};
    if (judged.run.outcome() != RunOutcome::failed) return judged;
    ProbeRun controls(env, 2 * timeout);
    judged.run.controls = await(io, probe.controls(controls, judged.run));
    judged.diagnosis = probe.diagnose(judged.run);
    return judged;
}

std::string CosStage::methods() const {
    std::string all;
    for (const auto& heard : server.heard()) all += (all.empty() ? "" : " ") + heard.method;
    return all;
}

void CosStage::expect_deleted_and_written_down() const {
    EXPECT_EQ(object, std::nullopt) << "left in the bucket after " << methods();
    EXPECT_EQ(ledger.kept.size(), 1U) << methods();
}

void CosStage::expect_clean() const {
    EXPECT_EQ(object, std::nullopt) << "left in the bucket after " << methods();
    EXPECT_TRUE(ledger.kept.empty()) << "left in the ledger after " << methods();
}

HttpReply CosStage::answer(const HttpHeard& heard) {
    const std::size_t number = recorded_at.size();
    recorded_at.push_back(ledger.kept.size());
    const auto other = instead.find(number);
    const bool refused = other != instead.end() && other->second.status / 100 == 4;
    if (refused) return other->second;
    HttpReply reply = right(heard);
    if (changed) changed(heard, reply);
    return other == instead.end() ? reply : other->second;
}

HttpReply CosStage::right(const HttpHeard& heard) {
    const auto with_facts = [&](HttpReply reply) {
        reply.headers.insert(reply.headers.end(), {{"Date", date},
                                                   {"x-cos-request-id", "request-of-" + heard.method},
                                                   {"x-cos-trace-id", "trace"}});
        if (object)
            reply.headers.insert(reply.headers.end(), {{"ETag", "\"" + md5_hex(*object) + "\""},
                                                       {"x-cos-hash-crc64ecma", crc64_text(*object)}});
        return reply;
    };
    if (heard.method == "PUT") {
        object = heard.body;
        return with_facts({});
    }
    if (heard.method == "DELETE") {
        object.reset();
        return with_facts({.status = 204});
    }
    if (heard.path() == "/") return with_facts(http_says::page("<ListBucketResult/>", "application/xml"));
    if (!object)
        return with_facts(heard.method == "HEAD" ? HttpReply{.status = 404} : cos_refuses(404, "NoSuchKey"));
    if (heard.method == "GET") return with_facts(http_says::page(*object, "application/octet-stream"));
    // Without its body, which the server would send.
    HttpReply reply = with_facts({});
    reply.raw = "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(object->size()) + "\r\n";
    for (const auto& [name, value] : reply.headers) *reply.raw += name + ": " + value + "\r\n";
    *reply.raw += "\r\n";
    return reply;
}

}  // namespace livecanary::test
