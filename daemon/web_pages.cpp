#include "daemon/web_pages.hpp"

#include "daemon/incident_book.hpp"
#include "daemon/incident_page.hpp"
#include "daemon/page.hpp"
#include "daemon/probe_page.hpp"
#include "daemon/status_page.hpp"

namespace livecanary::daemon::web {

namespace asio = boost::asio;

namespace {

constexpr std::string_view probes_path = "/probes/";
constexpr std::string_view incidents_path = "/incidents";
constexpr std::string_view incident_path = "/incidents/";

asio::awaitable<Reply> file(std::string_view type, std::string_view text) {
    co_return Reply{.body = std::string(text), .type = type};
}

Reply no_such(std::string_view thing) {
    return {.status = http::status::not_found, .body = no_such_page(thing), .type = html_type};
}

/// Right below: a page further down would not find its style sheet.
bool is_below(std::string_view path, std::string_view start) {
    return path.starts_with(start) && path.size() > start.size() && path.find('/', start.size()) == path.npos;
}

}  // namespace

Access Pages::access(std::string_view path) {
    const bool known = path == "/" || path == "/style.css" || path == "/live.js" || path == incidents_path ||
                       is_below(path, probes_path) || is_below(path, incident_path);
    return known ? Access::reads : Access::none;
}

asio::awaitable<Reply> Pages::answer(const Request& request) {
    const auto [path, query] = target_of(request);
    if (path == "/style.css") return file(css_type, style_sheet());
    if (path == "/live.js") return file(script_type, live_script());
    const auto lang = language_of(field(request, http::field::accept_language));
    if (is_below(path, probes_path)) return probe(std::string(path.substr(probes_path.size())), lang);
    if (path == incidents_path) return incidents(std::string(query));
    if (is_below(path, incident_path)) return incident(std::string(path.substr(incident_path.size())), lang);
    return status(std::string(query));
}

asio::awaitable<Reply> Pages::status(std::string query) {
    const auto answer = co_await questions_.ask_at_once(backend_.status);
    if (!answer->value) co_return no_answer(answer->failed, "");
    Reply reply{.type = html_type};
    reply.body = status_page(*answer->value, options_.wall(), page_wish(query));
    co_return reply;
}

asio::awaitable<Reply> Pages::probe(std::string name, std::string_view lang) {
    using Details = std::shared_ptr<const ProbeDetails>;
    const std::function<Details()> question = [function = backend_.details, name] { return function(name); };
    const auto answer = co_await questions_.ask_at_once(question);
    if (!answer->value) co_return no_answer(answer->failed, "../");
    if (!*answer->value) co_return no_such("probe");
    Reply reply{.type = html_type};
    reply.body = probe_page(**answer->value, options_.wall(), lang, options_.lifecycle);
    co_return reply;
}

asio::awaitable<Reply> Pages::incidents(std::string query) {
    IncidentWish wish;
    // What it does not understand, it leaves out.
    read_wish(query, wish);
    wish.on_a_page = IncidentWish{}.on_a_page;
    using List = std::shared_ptr<const IncidentList>;
    const std::function<List()> question = [function = backend_.incidents, wish] { return function(wish); };
    const auto answer = co_await questions_.ask_at_once(question);
    if (!answer->value) co_return no_answer(answer->failed, "");
    Reply reply{.type = html_type};
    reply.body = incidents_page(**answer->value, wish, options_.wall());
    co_return reply;
}

asio::awaitable<Reply> Pages::incident(std::string id, std::string_view lang) {
    using View = std::shared_ptr<const IncidentView>;
    const std::function<View()> question = [function = backend_.incident, id] { return function(id); };
    const auto answer = co_await questions_.ask_at_once(question);
    if (!answer->value) co_return no_answer(answer->failed, "../");
    if (!*answer->value) co_return no_such("incident");
    Reply reply{.type = html_type};
    reply.body = incident_page(**answer->value, options_.wall(), lang);
    co_return reply;
}

Reply Pages::no_answer(bool failed, std::string_view root) const {
    Reply reply = questions_.no_answer(failed);
    reply.body = no_status_page(reply.body, root);
    reply.type = html_type;
    return reply;
}

}  // namespace livecanary::daemon::web
