#include "probes/log_keywords/run.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <utility>

#include <boost/asio/this_coro.hpp>

#include "probes/log_keywords/aside.hpp"
#include "probes/log_keywords/diagnose.hpp"
#include "probes/protocol/printable.hpp"

namespace livecanary::log_keywords {
namespace {

namespace asio = boost::asio;

asio::awaitable<bool> is_cut() {
    co_return (co_await asio::this_coro::cancellation_state).cancelled() != asio::cancellation_type::none;
}

std::string id_of(const Config& config, std::size_t label) {
    return std::string(config.matcher->labels()[label].id);
}

std::string joined(const std::vector<std::string>& texts, const char* between) {
    std::string all;
    for (const auto& text : texts) all += (all.empty() ? "" : between) + text;
    return all;
}

std::string ids_of(const std::vector<Cause>& causes) {
    std::vector<std::string> ids;
    for (const Cause cause : causes) ids.emplace_back(to_string(cause));
    return joined(ids, " ");
}

// The steps of a run's reading.
bool scan(Follower& follower) {
    follower.scan();
    return true;
}
bool read_on(Follower& follower) { return follower.read_some(); }
bool finish(Follower& follower) {
    follower.finish();
    return true;
}

class Run {
public:
    Run(std::shared_ptr<const Config> config, std::shared_ptr<State> state, ProbeRun& run)
        : config_(std::move(config)), state_(std::move(state)), run_(run), now_(run.env().now()) {}

    asio::awaitable<void> whole() {
        run_.enter(reading);
        if (state_->busy->load()) {
            stands_still();
            co_return;
        }
        if (!co_await recall()) co_return;
        if (!co_await read()) co_return;
        const Tally tally = subtract(follower_->tally());
        if (!co_await remember()) co_return;
        commit(tally);
        report(tally);
        tell(tally);
        judge();
    }

private:
    void stands_still() {
        run_.inconclusive(
            "the file system has not answered for a whole run: is it a file server that is gone?");
        run_.failed(LogError::slow);
    }

    /// What an earlier daemon has left. False: the run was cut.
    asio::awaitable<bool> recall() {
        Memory* const memory = run_.env().memory;
        if (!state_->recalled && memory != nullptr) {
            const auto text = co_await memory->recall(run_.env().probe, std::string(places_key));
            if (co_await is_cut()) co_return false;
            if (text && !text->empty()) {
                state_->places = places_from(*text);
                if (!state_->places) run_.saw("places", "what was remembered cannot be read: we begin anew");
            }
        }
        state_->recalled = true;
        co_return true;
    }

    /// One step of the follower, off the loop. Nothing: cut, or out of time.
    asio::awaitable<std::optional<bool>> step(bool (*what)(Follower&)) {
        state_->busy->store(true);
        const std::function<bool()> work = [follower = follower_, busy = state_->busy, what] {
            const struct Idle {
                std::atomic<bool>& busy;
                ~Idle() { busy.store(false); }
            } idle{*busy};
            return what(*follower);
        };
        co_return co_await aside<bool>(run_.env().blocking, work, run_.deadline());
    }

    asio::awaitable<bool> read() {
        std::vector<Held> held = state_->held;
        auto arrived = state_->arrivals->take();
        for (const auto& file : arrived)
            if (std::ranges::find(held, file.id, &Held::id) == held.end()) held.push_back(file);
        follower_ = std::make_shared<Follower>(config_, state_->places, std::move(held));
        // Some time is left to remember what was read; the rest of it is for the next run.
        const auto enough = run_.started() + (run_.deadline() - run_.started()) / 4 * 3;
        std::optional<bool> more = co_await step(scan);
        while (more.value_or(false) && run_.env().now() < enough) {
            if (co_await is_cut()) break;
            more = co_await step(read_on);
        }
        if (more) more = co_await step(finish);
        if (!more) state_->arrivals->add(std::move(arrived));
        if (co_await is_cut()) co_return false;
        if (!more) stands_still();
        co_return more.has_value();
    }

    /// What is expected goes.
    Tally subtract(Tally tally) {
        tokens_ = state_->tokens;
        if (tokens_.empty())
            for (const Expected& expected : config_->expected) tokens_.push_back(expected.lines);
        std::vector<std::string> gone;
        for (std::size_t at = 0; at < config_->expected.size(); ++at) {
            const Expected& expected = config_->expected[at];
            const double elapsed =
                state_->last_run ? std::chrono::duration<double>(now_ - *state_->last_run).count() : 0;
            const double per = std::chrono::duration<double>(expected.per).count();
            // Twice as many at most: what was not written for long is not owed to us.
            tokens_[at] =
                std::min(tokens_[at] + expected.lines * elapsed / per, 2 * std::max(1.0, expected.lines));
            Counted& counted = tally.labels[expected.label];
            const auto taken = std::min(counted.lines, static_cast<std::uint64_t>(tokens_[at]));
            if (taken == 0) continue;
            tokens_[at] -= static_cast<double>(taken);
            counted.lines -= taken;
            gone.push_back(id_of(*config_, expected.label) + ": " + std::to_string(taken));
        }
        if (!gone.empty()) run_.saw("subtracted", joined(gone, "; "));
        return tally;
    }

    /// Before the run ends, since no run after it may read this again. False: the run was cut; then whoever
    /// comes next reads it again.
    asio::awaitable<bool> remember() {
        Memory* const memory = run_.env().memory;
        if (memory == nullptr) co_return true;
        std::string text = to_text(follower_->places());
        const std::string probe = run_.env().probe;
        const auto failed = co_await memory->remember(probe, std::string(places_key), std::move(text));
        if (failed) run_.saw("places", "they are not remembered over a restart: " + failed.message());
        if (!co_await is_cut()) co_return true;
        std::string before = state_->places ? to_text(*state_->places) : std::string();
        co_await memory->remember(probe, std::string(places_key), std::move(before));
        co_return false;
    }

    void commit(const Tally& tally) {
        state_->places = follower_->places();
        state_->held = follower_->held();
        state_->tokens = tokens_;
        since_ = std::exchange(state_->last_run, now_);
        for (std::size_t label = 0; label < tally.labels.size(); ++label)
            if (config_->fails[label] && tally.labels[label].lines > 0)
                state_->failing[label] = {now_, tally.labels[label]};
        std::erase_if(state_->failing, [&](const auto& failing) {
            return failing.second.at != now_ && now_ - failing.second.at > config_->fail_for;
        });
    }

    void report(const Tally& tally) {
        const auto& found = follower_->found();
        std::uint64_t matching = 0;
        std::vector<std::string> counts;
        for (std::size_t label = 0; label < tally.labels.size(); ++label) {
            const auto lines = tally.labels[label].lines;
            run_.found(matches, static_cast<double>(lines), config_->matcher->labels()[label].id);
            matching += lines;
            if (lines > 0)
                counts.push_back(id_of(*config_, label) + ": " + std::to_string(lines) + rate_of(lines));
        }
        run_.found(lines_read, static_cast<double>(tally.lines));
        run_.found(files_followed, static_cast<double>(found.files.size()));
        run_.found(unread, static_cast<double>(follower_->bytes_unread()));
        run_.saw("files", std::to_string(found.files.size()));
        run_.saw("lines", std::to_string(tally.lines));
        if (!counts.empty()) run_.saw("matches", joined(counts, "; "));
        for (const auto& line : tally.last) run_.saw("line", line);
        if (tally.ignored > 0) run_.saw("ignored", std::to_string(tally.ignored) + " lines");
        if (tally.cut > 0)
            run_.saw("cut", std::to_string(tally.cut) + " lines were looked at up to max_line only");
        if (const auto bytes = follower_->bytes_unread(); bytes > 0)
            run_.saw("unread", std::to_string(bytes) + " bytes are left for the next run");
        if (const auto files = follower_->files_left_out(); files > 0)
            run_.saw("left_out",
                     std::to_string(files) + " changed files are left for the next run (max_files)");
        if (found.too_many)
            run_.saw("left_out", "the directories hold more than " + std::to_string(most_names) + " names");
        for (std::size_t path = 0; path < config_->paths.size(); ++path)
            if (!found.matched[path]) run_.saw("no_match", protocol::printable(config_->paths[path]));
        for (const auto& [path, code] : found.unreadable)
            run_.saw("unreadable", protocol::printable(path) + ": " + code.message());
        run_.headline(
            std::to_string(tally.lines) + " lines, " +
            (matching == 0 ? "nothing found" : std::to_string(matching) + " that point at a cause"));
    }

    std::string rate_of(std::uint64_t lines) const {
        if (!since_ || now_ <= *since_) return {};
        const double minutes = std::chrono::duration<double, std::ratio<60>>(now_ - *since_).count();
        char text[48];
        std::snprintf(text, sizeof text, " (%.3g a minute)", static_cast<double>(lines) / minutes);
        return text;
    }

    void tell(const Tally& tally) {
        if (run_.env().peers == nullptr) return;
        for (std::size_t label = 0; label < tally.labels.size(); ++label) {
            const Counted& counted = tally.labels[label];
            if (counted.lines == 0) continue;
            Notice notice{
                .topic = std::string(topics::keyword), .from = run_.env().probe, .at = run_.env().wall()};
            notice.facts = {{"cause", id_of(*config_, label)},
                            {"count", std::to_string(counted.lines)},
                            {"line", counted.line},
                            {"file", protocol::printable(counted.file)}};
            if (!counted.among.empty()) notice.facts.emplace("among", ids_of(counted.among));
            run_.env().peers->tell(std::move(notice));
        }
    }

    void judge() {
        if (!state_->failing.empty()) {
            fail_for_keywords();
            return;
        }
        const auto& found = follower_->found();
        if (!found.unreadable.empty()) {
            const auto& [path, code] = found.unreadable.front();
            const bool forbidden = code == boost::system::errc::permission_denied ||
                                   code == boost::system::errc::operation_not_permitted;
            run_.inconclusive(protocol::printable(path) + ": " + code.message() +
                              (forbidden ? ": give the daemon's user the right to read it, such as by "
                                           "setfacl -m u:livecanary:rX"
                                         : ""));
            run_.failed(forbidden ? LogError::forbidden : LogError::unreadable);
            return;
        }
        if (std::ranges::find(found.matched, true) != found.matched.end() || config_->missing == Missing::ok)
            return;
        if (config_->missing == Missing::inconclusive)
            run_.inconclusive(
                "no file is there: are these the paths? If files come only when something is wrong, "
                "set missing = \"ok\"");
        run_.failed(LogError::no_file);
    }

    void fail_for_keywords() {
        std::vector<std::pair<std::size_t, const State::Failing*>> order;
        for (const auto& [label, failing] : state_->failing) order.emplace_back(label, &failing);
        std::ranges::stable_sort(order, [](const auto& a, const auto& b) {
            return std::pair(a.second->at, a.second->found.lines) >
                   std::pair(b.second->at, b.second->found.lines);
        });
        std::vector<std::string> ids;
        for (const auto& [label, failing] : order) ids.push_back(id_of(*config_, label));
        const auto& [at, first] = *order.front().second;
        run_.saw(seen::failing, joined(ids, " "));
        run_.saw(seen::words, first.words);
        run_.saw(seen::failing_line, protocol::printable(first.file) + ": " + first.line);
        if (!first.among.empty()) run_.saw(seen::among, ids_of(first.among));
        if (at != now_)
            run_.saw("last_seen",
                     std::to_string(std::chrono::duration_cast<std::chrono::seconds>(now_ - at).count()) +
                         " s before this run");
        run_.fingerprint(ids.front());
        run_.failed(LogError::keyword);
    }

    std::shared_ptr<const Config> config_;
    std::shared_ptr<State> state_;
    ProbeRun& run_;
    Clock::time_point now_;
    std::shared_ptr<Follower> follower_{};
    std::vector<double> tokens_{};
    std::optional<Clock::time_point> since_{};
};

}  // namespace

asio::awaitable<RunResult> probe(std::shared_ptr<const Config> config, std::shared_ptr<State> state,
                                 ProbeRun& run) {
    co_await asio::this_coro::throw_if_cancelled(false);
    Run whole(std::move(config), std::move(state), run);
    co_await whole.whole();
    if (co_await is_cut()) run.cut();
    co_return run.end();
}

}  // namespace livecanary::log_keywords
