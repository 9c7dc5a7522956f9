#include "daemon/exchange.hpp"

#include <exception>
#include <optional>
#include <utility>

#include "daemon/log.hpp"

namespace livecanary::daemon {

namespace asio = boost::asio;

asio::awaitable<result<PeerAnswer>> Exchange::ask(std::string probe, Question question) {
    const Answerer answerer = find_(probe);
    if (!answerer.settings) co_return PeerError::no_such_probe;
    if (!answerer.settings->probe.answer) co_return PeerError::not_understood;
    // In a world of its own: a run of that probe may be under way, and have a resolver of its own.
    Env env = answerer.env();
    const auto now = env.now();
    if (question.deadline <= now) co_return make_error_code(boost::system::errc::timed_out);
    ProbeRun run(env, question.deadline - now);
    std::optional<std::string> bug;
    try {
        co_return co_await answerer.settings->probe.answer(run, question);
    } catch (const boost::system::system_error&) {
        throw;  // how a coroutine that is cut may end
    } catch (const std::exception& e) {
        bug = e.what();
    }
    log::error("a probe threw while it was asked: please report this", {{"probe", probe}, {"error", *bug}});
    co_return make_error_code(boost::system::errc::state_not_recoverable);
}

void Exchange::tell(Notice notice) {
    notice.number = ++last_;
    auto& kept = notices_[notice.topic];
    kept.push_back(std::move(notice));
    if (kept.size() > most_notices) kept.pop_front();
}

std::vector<Notice> Exchange::told(std::string_view topic, std::uint64_t after) const {
    std::vector<Notice> news;
    const auto at = notices_.find(topic);
    if (at == notices_.end()) return news;
    for (const Notice& notice : at->second)
        if (notice.number > after) news.push_back(notice);
    return news;
}

}  // namespace livecanary::daemon
