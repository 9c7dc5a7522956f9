#include "daemon/web_probe.hpp"

#include <charconv>
#include <chrono>
#include <cmath>
#include <optional>

#include "daemon/probe_now.hpp"
#include "daemon/web_query.hpp"

namespace livecanary::daemon::web {

namespace asio = boost::asio;

namespace {

using namespace std::chrono_literals;

constexpr const char* timeout_header = "X-Prometheus-Scrape-Timeout-Seconds";
/// As blackbox_exporter: without the header so long, with it so much less than it says.
constexpr double default_seconds = 120, offset_seconds = 0.5;
constexpr double longest_seconds = 600;
/// Of the connections that are served at once, those that may wait for a run.
constexpr std::size_t most_waiting = 16;

/// How long the client waits; nothing: the header is no number above 0.
std::optional<std::chrono::milliseconds> patience_of(const Request& request) {
    const auto value = request[timeout_header];
    double seconds = default_seconds;
    if (!value.empty()) {
        const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), seconds);
        if (error != std::errc() || end != value.data() + value.size() || !(seconds > 0)) return std::nullopt;
    }
    seconds = std::min(seconds, longest_seconds);
    // Of less than a second half is left.
    return std::chrono::milliseconds(std::llround(std::max(seconds - offset_seconds, seconds / 2) * 1000));
}

/// Keeps count of who waits, however the wait ends.
class Counted {
public:
    explicit Counted(std::size_t& count) : count_(count) { ++count_; }
    ~Counted() { --count_; }
    Counted(const Counted&) = delete;
    Counted& operator=(const Counted&) = delete;

private:
    std::size_t& count_;
};

}  // namespace

asio::awaitable<Reply> ProbeRuns::answer(const Request& request) {
    std::string name;
    for (auto& [key, value] : parse_query(target_of(request).query))
        if (key == "probe") name = std::move(value);
    if (name.empty())
        co_return sentence(http::status::bad_request, "say which: /probe?probe=NAME of a configured probe");
    const auto patience = patience_of(request);
    if (!patience)
        co_return sentence(http::status::bad_request,
                           std::string(timeout_header) + " has to be a number above 0");
    if (waiting_ >= most_waiting)
        co_return sentence(http::status::service_unavailable, "too many wait for runs already");
    const Counted counted(waiting_);
    using Result = std::shared_ptr<const ProbeNow>;
    Question<Result> question = [function = backend_.probe_now, name] { return function(name); };
    const auto answer = co_await questions_.ask_within(std::move(question), *patience);
    if (!answer->value && (answer->failed || questions_.stopping()))
        co_return questions_.no_answer(answer->failed);
    if (!answer->value)
        // To say that it failed would be a guess.
        co_return sentence(http::status::service_unavailable,
                           "the run goes on, but has no result within " + std::to_string(patience->count()) +
                               " ms: give the scrape a longer timeout than the probe");
    const Result& result = *answer->value;
    if (result == nullptr || !result->known)
        co_return sentence(http::status::not_found, "there is no such probe");
    if (!result->refused.empty()) co_return sentence(http::status::service_unavailable, result->refused);
    co_return Reply{.body = exposition(*result), .type = metrics_type};
}

}  // namespace livecanary::daemon::web
