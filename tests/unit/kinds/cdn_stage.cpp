#include "tests/unit/kinds/cdn_stage.hpp"

#include <utility>

namespace livecanary::test {

CdnStage::CdnStage() {
    env.dns = &dns;
    env.peers = &peers;
    env.probe = "cover-cdn";
    env.wall = [] { return WallTime(CosStage::date_unix); };
    offer();
}

CdnStage::~CdnStage() = default;

PeerAnswer CdnStage::answer() {
    auto hold = std::make_shared<int>(1);
    held = hold;
    PeerAnswer given;
    given.facts = {{"url", "http://cover-1250000000.cos.ap-shanghai.myqcloud.com:" +
                               std::to_string(origin.port()) + path},
                   {"path", path},
                   {"size", std::to_string(object.size())},
                   {"md5", md5_hex(object)},
                   {"crc64", crc64_text(object)},
                   {"etag", "\"" + md5_hex(object) + "\""},
                   {"uploaded", "1795000000000"},
                   {"address", "127.0.0.1"},
                   {"ca_file", ""}};
    given.secrets.emplace("authorization", config::Secret("q-sign-algorithm=sha1&q-signature=origin-secret"));
    given.secrets.emplace("token", config::Secret());
    given.hold = hold;
    return given;
}

void CdnStage::offer() {
    peers.answers.erase("cover");
    peers.answers.emplace("cover", answer());
    // The answer kept for others holds it as well; a test that looks at `held` takes it away.
}

std::string CdnStage::keys(const std::string& more) const {
    return "after = 'cover'\ndomain = '" + std::string(domain) +
           "'\nscheme = 'http'\nport = " + std::to_string(edge.port()) + "\naddress = '127.0.0.1'\n" + more;
}

std::string CdnStage::fixed(const std::string& more) const {
    return "url = 'http://" + std::string(domain) + ":" + std::to_string(edge.port()) + path +
           "'\naddress = '127.0.0.1'\n" + more;
}

std::string CdnStage::fixed_origin() const {
    return "origin = 'http://origin.example.com:" + std::to_string(origin.port()) +
           "'\norigin_address = '127.0.0.1'\n";
}

Probe CdnStage::made_of(const std::string& keys) {
    const FakeWorld world{.variables = {{"KEY", "cdnkey123456"}, {"BACKUP", "backup654321"}}};
    TomlText text(keys, world);
    Probe probe = cdn_fetch::kind.make(text.reader());
    text.reader().unread();
    EXPECT_EQ(text.mistakes(), std::vector<std::string>{});
    return probe;
}

Probe CdnStage::make(const std::string& more) const { return made_of(keys(more)); }

RunResult CdnStage::run(const Probe& probe, Clock::duration timeout) {
    ProbeRun under_way(env, timeout);
    return await(io, probe.run(under_way));
}

CosJudged CdnStage::judge(const Probe& probe, Clock::duration timeout) {
    CosJudged judged{.run = run(probe, timeout)};
    if (judged.run.outcome() != RunOutcome::failed) return judged;
    ProbeRun controls(env, 2 * timeout);
    judged.run.controls = await(io, probe.controls(controls, judged.run));
    judged.diagnosis = probe.diagnose(judged.run);
    return judged;
}

HttpReply CdnStage::refuses(int status) {
    HttpReply reply = http_says::page("<html>no</html>", "text/html");
    reply.status = status;
    reply.headers.emplace_back("X-NWS-LOG-UUID", "log-uuid-of-a-refusal");
    return reply;
}

HttpReply CdnStage::with_facts() const {
    HttpReply reply = http_says::page(object, "application/octet-stream");
    reply.headers.insert(reply.headers.end(), {{"ETag", "\"" + md5_hex(object) + "\""},
                                               {"x-cos-hash-crc64ecma", crc64_text(object)},
                                               {"x-cos-request-id", "request-id"},
                                               {"Date", CosStage::date}});
    return reply;
}

HttpReply CdnStage::edge_reply(const HttpHeard& heard) {
    HttpReply reply = with_facts();
    const bool fresh = heard.query().find("livecanary=") != std::string::npos;
    reply.headers.insert(reply.headers.end(),
                         {{"X-Cache-Lookup", cached && !fresh ? "Cache Hit" : "Cache Miss"},
                          {"X-NWS-LOG-UUID", "log-uuid"},
                          {"Server", "NWS_TEST"},
                          {"Via", "1.1 edge"}});
    cached = true;
    if (edge_answers) edge_answers(heard, reply);
    return reply;
}

HttpReply CdnStage::origin_reply(const HttpHeard& heard) {
    HttpReply reply = with_facts();
    if (heard.headers.count("authorization") == 0) reply = cos_refuses(403, "AccessDenied");
    if (origin_answers) origin_answers(heard, reply);
    return reply;
}

}  // namespace livecanary::test
