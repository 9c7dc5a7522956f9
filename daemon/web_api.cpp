#include "daemon/web_api.hpp"

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "daemon/incident_book.hpp"
#include "daemon/incident_page.hpp"
#include "daemon/page.hpp"
#include "daemon/probe_page.hpp"

namespace livecanary::daemon::web {

namespace asio = boost::asio;
namespace json = boost::json;

namespace {

constexpr std::string_view probes_path = "/api/v1/probes";
constexpr std::string_view incidents_path = "/api/v1/incidents";
constexpr std::string_view status_path = "/api/v1/status";

/// What stands in `path` behind `start` and a '/'; nothing if it is not below it.
std::optional<std::string_view> below(std::string_view path, std::string_view start) {
    if (path == start) return std::string_view();
    if (!path.starts_with(start) || path[start.size()] != '/') return std::nullopt;
    return path.substr(start.size() + 1);
}

/// `data` is JSON.
Reply success(const std::string& data) {
    return {.body = R"({"status":"success","data":)" + data + "}\n", .type = json_type};
}

/// `type` is one of those of Prometheus.
Reply error(http::status status, std::string_view type, std::string_view words) {
    const json::object body{{"status", "error"}, {"errorType", type}, {"error", words}};
    return {.status = status, .body = json::serialize(body) + '\n', .type = json_type};
}

Reply no_such(std::string_view thing) {
    return error(http::status::not_found, "not_found", "there is no such " + std::string(thing));
}

}  // namespace

Access Api::access(std::string_view path) {
    if (const auto name = below(path, probes_path))
        return name->ends_with("/run") ? Access::post : Access::reads;
    return path == status_path || below(path, incidents_path) ? Access::reads : Access::none;
}

asio::awaitable<Reply> Api::answer(const Request& request) {
    const auto [path, query] = target_of(request);
    if (path == status_path) return own_status();
    if (path == incidents_path) return incidents(std::string(query));
    if (const auto id = below(path, incidents_path)) return incident(std::string(*id));
    std::string name(*below(path, probes_path));
    if (name.ends_with("/run")) {
        name.resize(name.size() - 4);
        return run_now(std::move(name), request);
    }
    if (name.ends_with("/runs")) {
        name.resize(name.size() - 5);
        return runs(std::move(name));
    }
    return results(std::move(name));
}

asio::awaitable<Reply> Api::run_now(std::string name, const Request& request) {
    if (!options_.lifecycle)
        co_return sentence(http::status::forbidden,
                           "running over HTTP is off: start livecanary with --web.enable-lifecycle, or use "
                           "`livecanary probe`");
    if (is_foreign(request))
        co_return sentence(http::status::forbidden, "this was sent by another site's page");
    const std::function<bool()> question = [function = backend_.run_now, name] { return function(name); };
    const auto answer = co_await questions_.ask_at_once(question);
    if (!answer->value) co_return questions_.no_answer(answer->failed);
    if (!*answer->value) co_return sentence(http::status::not_found, "there is no such probe");
    Reply reply = sentence(http::status::see_other, "it runs");
    reply.location = "../../../../probes/" + percent_encoded(name);
    co_return reply;
}

/// The last result of that probe; without a name of all.
asio::awaitable<Reply> Api::results(std::string name) {
    Question<std::string> question = [function = backend_.results, name] { return function(name); };
    const auto answer = co_await questions_.ask(std::move(question));
    if (!answer->value) co_return no_answer(answer->failed);
    if (!name.empty() && *answer->value == "[]") co_return no_such("probe");
    co_return success(R"({"probes":)" + *answer->value + '}');
}

/// The last runs in short, newest first.
asio::awaitable<Reply> Api::runs(std::string name) {
    using Details = std::shared_ptr<const ProbeDetails>;
    const std::function<Details()> question = [function = backend_.details, name] { return function(name); };
    const auto answer = co_await questions_.ask_at_once(question);
    if (!answer->value) co_return no_answer(answer->failed);
    if (!*answer->value) co_return no_such("probe");
    co_return success(R"({"runs":)" + json::serialize(to_json((*answer->value)->runs)) + '}');
}

asio::awaitable<Reply> Api::own_status() {
    const auto answer = co_await questions_.ask_at_once(backend_.own_status);
    if (!answer->value) co_return no_answer(answer->failed);
    co_return success(*answer->value);
}

asio::awaitable<Reply> Api::incidents(std::string query) {
    IncidentWish wish;
    const std::string mistake = read_wish(query, wish);
    if (!mistake.empty()) co_return error(http::status::bad_request, "bad_data", mistake);
    using List = std::shared_ptr<const IncidentList>;
    const std::function<List()> question = [function = backend_.incidents, wish] { return function(wish); };
    const auto answer = co_await questions_.ask_at_once(question);
    if (!answer->value) co_return no_answer(answer->failed);
    const IncidentList& list = **answer->value;
    const json::object data{
        {"incidents", to_json(list.incidents)}, {"count", list.count}, {"page", wish.page}};
    co_return success(json::serialize(data));
}

asio::awaitable<Reply> Api::incident(std::string id) {
    using View = std::shared_ptr<const IncidentView>;
    const std::function<View()> question = [function = backend_.incident, id] { return function(id); };
    const auto answer = co_await questions_.ask_at_once(question);
    if (!answer->value) co_return no_answer(answer->failed);
    if (!*answer->value) co_return no_such("incident");
    json::object data = to_json((*answer->value)->incident, true);
    data["at_the_same_time"] = to_json((*answer->value)->beside);
    co_return success(json::serialize(data));
}

Reply Api::no_answer(bool failed) const {
    return error(questions_.no_answer(failed).status, "timeout", "the probes did not answer");
}

}  // namespace livecanary::daemon::web
