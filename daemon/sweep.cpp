#include "daemon/sweep.hpp"

#include <algorithm>
#include <exception>
#include <map>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>

#include "daemon/log.hpp"

namespace livecanary::daemon {

namespace asio = boost::asio;

namespace {

constexpr auto no_throw = asio::as_tuple(asio::use_awaitable);

/// Strays are rare, and a day old when they are found: a request each time of the ledger's sweep would be
/// many for nothing.
constexpr std::chrono::hours strays_period{6};

}  // namespace

asio::awaitable<std::optional<error_code>> remove_leftover(const ProbeSettings& probe, Env& env,
                                                           StateStore& store, Litter litter) {
    co_await asio::this_coro::throw_if_cancelled(false);
    const bool claimed = co_await store.claim(litter);
    if (!claimed) co_return std::nullopt;
    const error_code removed = co_await remove_now(probe, env, litter);
    if (removed) {
        store.release(std::move(litter));
        co_return std::optional(removed);
    }
    const error_code struck = co_await store.strike(std::move(litter));
    co_return std::optional(struck);
}

asio::awaitable<error_code> remove_now(const ProbeSettings& probe, Env& env, const Litter& litter) {
    co_await asio::this_coro::throw_if_cancelled(false);
    ProbeRun run(env, probe.timeout);
    error_code code;
    std::string bug;
    try {
        code = co_await probe.probe.remove(run, litter);
    } catch (const boost::system::system_error& e) {
        // A removal that is cut may end like this.
        code = e.code();
        if (code != asio::error::operation_aborted) bug = e.what();
    } catch (const std::exception& e) {
        bug = e.what();
    }
    if (!bug.empty()) {
        log::error("a removal threw: please report this", {{"probe", probe.name}, {"error", bug}});
        code = make_error_code(boost::system::errc::state_not_recoverable);
    }
    co_return code;
}

asio::awaitable<result<std::vector<Litter>>> find_strays(const ProbeSettings& probe, Env& env,
                                                         const std::vector<Litter>& known) {
    co_await asio::this_coro::throw_if_cancelled(false);
    ProbeRun run(env, probe.timeout);
    result<std::vector<Litter>> found = std::vector<Litter>();
    std::string bug;
    try {
        found = co_await probe.probe.strays(run);
    } catch (const boost::system::system_error& e) {
        found = e.code();
        if (e.code() != asio::error::operation_aborted) bug = e.what();
    } catch (const std::exception& e) {
        bug = e.what();
    }
    if (!bug.empty()) {
        log::error("a look for strays threw: please report this", {{"probe", probe.name}, {"error", bug}});
        found = make_error_code(boost::system::errc::state_not_recoverable);
    }
    if (found)
        std::erase_if(*found, [&](const Litter& litter) {
            return std::ranges::any_of(known, [&](const Litter& other) { return other.item == litter.item; });
        });
    co_return found;
}

bool hopeless(const error_code& code) noexcept {
    switch (reason_of(code)) {
        case Reason::rejected:
        case Reason::forbidden:
        case Reason::not_found:
        case Reason::mismatch:
        case Reason::local:
            return false;  // an answer about this one thing, or our own fault with it
        default:
            return true;
    }
}

Sweeper::Sweeper(Shared& shared, Find find, All all, Clock::duration period)
    : shared_(shared),
      find_(std::move(find)),
      all_(std::move(all)),
      period_(period),
      timer_(shared.executor) {}

void Sweeper::start(std::function<void()> ended) {
    auto on_end = [ended = std::move(ended)](const std::exception_ptr& failed) {
        if (failed) log::error("sweeping ended by a fault of our own");
        ended();
    };
    loop_.start(shared_.executor, loop(), std::move(on_end));
}

void Sweeper::stop() {
    stopping_ = true;
    loop_.stop();
}

asio::awaitable<void> Sweeper::loop() {
    co_await asio::this_coro::throw_if_cancelled(false);
    while (!stopping_) {
        co_await sweep();
        if (stopping_) break;
        if (!strays_at_ || shared_.now() - *strays_at_ >= strays_period) {
            strays_at_ = shared_.now();
            co_await sweep_strays();
        }
        if (stopping_) break;
        timer_.expires_after(period_);
        co_await timer_.async_wait(no_throw);
    }
}

Env Sweeper::env_of(const std::string& probe, net::Resolver* dns) {
    Env env;
    env.now = shared_.now;
    env.wall = shared_.wall;
    env.random.seed(shared_.seed());
    env.dns = dns;
    env.ledger = shared_.state;
    env.peers = shared_.exchange;
    env.probe = probe;
    env.location = shared_.location;
    return env;
}

asio::awaitable<void> Sweeper::sweep_strays() {
    const auto probes = all_();
    for (const auto& probe : probes) {
        if (stopping_) co_return;
        if (!probe->probe.strays || !probe->probe.remove) continue;
        const auto dns = shared_.dns;
        Env env = env_of(probe->name, dns.get());
        // Each time anew: runs go on meanwhile.
        const auto held = co_await shared_.state->all();
        std::vector<Litter> known;
        for (const auto& each : held) known.push_back(each.litter);
        const auto found = co_await find_strays(*probe, env, known);
        if (stopping_) co_return;
        if (!found) {
            if (mute_.insert(probe->name).second)
                log::info("cannot look for what does not stand in the ledger",
                          {{"probe", probe->name}, {"error", found.error().message()}});
            continue;
        }
        mute_.erase(probe->name);
        for (const Litter& litter : *found) {
            const error_code code = co_await remove_now(*probe, env, litter);
            if (stopping_) co_return;
            if (code) {
                log::warn("what does not stand in the ledger could not be removed: tried again later",
                          {{"probe", litter.probe}, {"item", litter.item}, {"error", code.message()}});
                break;
            }
            log::info("removed what did not stand in the ledger",
                      {{"probe", litter.probe}, {"store", litter.store}, {"item", litter.item}});
        }
    }
}

asio::awaitable<void> Sweeper::sweep() {
    struct Stays {
        std::size_t items = 0;
        std::string item{}, why{};  // of the first
        bool hopeless = false;
    };
    std::map<std::string, Stays> stay;
    const auto left = co_await shared_.state->leftovers();
    for (const Litter& litter : left) {
        if (stopping_) co_return;
        const auto probe = find_(litter.probe);
        if (!probe || !probe->probe.remove) {
            if (unknown_.insert(litter.probe).second)
                log::warn("a probe that is not configured has left something behind: it stays",
                          {{"probe", litter.probe}, {"store", litter.store}, {"item", litter.item}});
            continue;
        }
        unknown_.erase(litter.probe);
        auto& stays = stay[litter.probe];
        if (stays.hopeless) {
            ++stays.items;
            continue;
        }
        const auto dns = shared_.dns;  // a reload may bring another
        Env env = env_of(litter.probe, dns.get());
        const auto code = co_await remove_leftover(*probe, env, *shared_.state, litter);
        if (!code || (*code && stopping_)) continue;
        if (*code == boost::system::errc::device_or_resource_busy) continue;
        if (!*code) {
            log::info("removed what a run left behind",
                      {{"probe", litter.probe}, {"store", litter.store}, {"item", litter.item}});
            continue;
        }
        if (stays.items++ == 0) {
            stays.item = litter.item;
            stays.why = code->message();
        }
        stays.hopeless = hopeless(*code);
    }
    for (const auto& [probe, stays] : stay)
        if (stays.items > 0)
            log::warn("what runs left behind could not be removed: tried again later",
                      {{"probe", probe},
                       {"items", std::to_string(stays.items)},
                       {"first", stays.item},
                       {"error", stays.why}});
}

}  // namespace livecanary::daemon
