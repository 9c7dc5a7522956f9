#include "daemon/web_api.hpp"

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "daemon/page.hpp"
#include "daemon/probe_page.hpp"

namespace livecanary::daemon::web {

namespace asio = boost::asio;
namespace json = boost::json;

namespace {

constexpr std::string_view probes_path = "/api/v1/probes";

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

/// A form of ours, or a program; not a form of another site that a reader's browser sends.
bool is_foreign(const Request& request) {
    const auto site = request["Sec-Fetch-Site"];
    return !site.empty() && site != "same-origin" && site != "none";
}

}  // namespace

Access Api::access(std::string_view path) {
    if (const auto name = below(path, probes_path))
        return name->ends_with("/run") ? Access::post : Access::reads;
    return Access::none;
}

asio::awaitable<Reply> Api::answer(const Request& request) {
    std::string name(*below(target_of(request).path, probes_path));
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
    const std::function<std::string()> question = [function = backend_.results, name] {
        return function(name);
    };
    const auto answer = co_await questions_.ask_at_once(question);
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

Reply Api::no_answer(bool failed) const {
    return error(questions_.no_answer(failed).status, "timeout", "the probes did not answer");
}

}  // namespace livecanary::daemon::web
