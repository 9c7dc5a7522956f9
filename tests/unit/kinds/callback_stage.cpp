#include "tests/unit/kinds/callback_stage.hpp"

#include <utility>

#include <boost/json/parse.hpp>

#include "probes/protocol/callback_sign.hpp"

namespace livecanary::test {

HttpReply TapeCallback::answer(const HttpHeard& heard) {
    if (heard.path() == "/") return page_of_nginx(root);
    if (gateway != 0) return page_of_nginx(gateway);
    if (!log_writable) return fatal();
    if (heard.path() == "/interface.php")
        return http_says::page(R"({"code":400,"message":"Bad Request","data":[]})", "application/json");
    if (heard.path() != "/callback/tape_callback.php") return page_of_nginx(404);
    if (instead) return *instead;
    return script(heard);
}

HttpReply TapeCallback::page_of_nginx(int status) {
    HttpReply reply = http_says::page(
        "<html><head><title>" + std::to_string(status) + "</title></head></html>", "text/html");
    reply.status = status;
    return reply;
}

HttpReply TapeCallback::code(const std::string& code) const {
    std::string body = "{\"code\":" + code + "}";
    if (display_errors) {
        HttpReply reply =
            http_says::page("<br />\n<b>Warning</b>:  Undefined array key in x on line 5<br />\n");
        reply.body = reply.body.substr(0, body.size());
        return reply;
    }
    return http_says::page(body, "text/html; charset=UTF-8");
}

HttpReply TapeCallback::fatal() const {
    if (fatal_as_html)
        return http_says::page(
            "<br />\n<b>Fatal error</b>:  Uncaught mysqli_sql_exception: Connection refused "
            "in a.php:5\nStack trace:\n#0 mysqli->__construct('h', 'live_user', 'live_pwd')",
            "text/html; charset=UTF-8");
    HttpReply reply = http_says::page("", "text/html; charset=UTF-8");
    reply.framing = HttpFraming::chunked;
    reply.status = 500;
    return reply;
}

HttpReply TapeCallback::script(const HttpHeard& heard) {
    namespace json = boost::json;
    json::error_code failed;
    const auto value = json::parse(heard.body, failed);
    if (failed || !value.is_object() || value.get_object().empty()) return code("4001");
    const auto& event = value.get_object();
    for (const char* name : {"t", "sign", "event_type", "stream_id"})
        if (!event.contains(name)) return code("4002");
    const auto type = event.at("event_type").as_int64();
    if (compares_signature && !passes(event)) {
        if (php8) return fatal();
        return code(type == 100 ? "0" : "\"EC_SYSTEM_INVALID_SIGN\"");
    }
    if (type == 100)
        for (const char* name : {"video_id", "video_url", "start_time", "end_time", "file_format"})
            if (!event.contains(name) && (needs_video_id || std::string_view(name) != "video_id"))
                return code("4002");
    if (database == Database::hangs) return http_says::silence();
    if (database == Database::refuses || !mysqli) return fatal();
    if (type != 100 || event.at("end_time").as_int64() - event.at("start_time").as_int64() <= 60)
        return code("0");
    const std::string stream(event.at("stream_id").as_string());
    if (stream.find('_') == stream.npos || !room_row || !can_insert) return code("2003");
    ++rows;
    return code("0");
}

bool TapeCallback::passes(const boost::json::object& event) const {
    const auto& sign = event.at("sign");
    if (sign.is_bool()) return sign.as_bool();
    return sign.is_string() && std::string_view(sign.as_string()) ==
                                   protocol::callback_sign(key, std::to_string(event.at("t").as_int64()));
}

boost::asio::awaitable<result<PeerAnswer>> CallbackPeers::ask(std::string, Question) {
    co_return PeerError::no_such_probe;
}

void CallbackPeers::tell(Notice notice) {
    notice.number = notices.size() + 1;
    notices.push_back(std::move(notice));
}

std::vector<Notice> CallbackPeers::told(std::string_view topic, std::uint64_t after) const {
    std::vector<Notice> found;
    for (const auto& notice : notices)
        if (notice.topic == topic && notice.number > after) found.push_back(notice);
    return found;
}

void CallbackPeers::push(std::string event, std::string stream, WallTime at, std::string from) {
    tell({.topic = std::string(topics::push),
          .from = std::move(from),
          .at = at,
          .facts = {{"event", std::move(event)}, {"stream_id", std::move(stream)}}});
}

CallbackStage::CallbackStage() {
    env.dns = &dns;
    env.peers = &peers;
    env.probe = "record-callback";
    env.location = "here-1";
    env.now = [this] { return Clock::now() + passed; };
    env.wall = [this] { return WallTime(start) + std::chrono::duration_cast<WallTime::duration>(passed); };
}

CallbackStage::~CallbackStage() = default;

std::string CallbackStage::url() const { return server.url("/callback/tape_callback.php"); }

Probe CallbackStage::made_of(const std::string& keys) {
    const FakeWorld world{.variables = {{"KEY", "callback-key"}, {"SPACED", " callback-key"}}};
    TomlText text(keys, world);
    Probe probe = callback::kind.make(text.reader());
    text.reader().unread();
    std::vector<std::string> mistakes;
    for (const auto& mistake : text.mistakes())
        if (mistake.find("warning") == mistake.npos) mistakes.push_back(mistake);
    EXPECT_EQ(mistakes, std::vector<std::string>{});
    return probe;
}

Probe CallbackStage::make(const std::string& more, const std::string& key) const {
    return made_of("url = '" + url() + "'\nkey = { env = '" + key + "' }\n" + more);
}

RunResult CallbackStage::run(const Probe& probe, Clock::duration timeout) {
    ProbeRun under_way(env, timeout - passed);
    return await(io, probe.run(under_way));
}

CallbackJudged CallbackStage::judge(const Probe& probe, Clock::duration timeout) {
    CallbackJudged judged{.run = run(probe, timeout)};
    if (judged.run.outcome() != RunOutcome::failed) return judged;
    ProbeRun controls(env, 30s - passed);
    judged.run.controls = await(io, probe.controls(controls, judged.run));
    judged.diagnosis = probe.diagnose(judged.run);
    return judged;
}

std::string way_of(const RunResult& run) {
    std::string names;
    for (const auto& phase : run.phases) names += (names.empty() ? "" : " ") + std::string(phase.phase.name);
    return names;
}

double found_of(const RunResult& run, std::string_view metric, std::string_view label) {
    double sum = 0;
    for (const auto& found : run.values)
        if (found.value.metric == metric && found.label_value == label) sum += found.number;
    return sum;
}

std::string outcomes_of(const RunResult& run) {
    std::string all;
    for (const auto& control : run.controls)
        all += (all.empty() ? "" : ", ") + std::string(control.name) + " " +
               std::string(to_string(control.outcome));
    return all;
}

}  // namespace livecanary::test
