#include "probes/cdn_fetch/fetch.hpp"

#include <algorithm>
#include <cstdio>
#include <list>
#include <memory>
#include <utility>

#include <boost/asio/error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>

#include "probes/net/background.hpp"
#include "probes/net/quiet.hpp"
#include "probes/net/resolver.hpp"

namespace livecanary::cdn_fetch {
namespace {

using endpoint = net::tcp::endpoint;

/// No clock of a machine that runs this program can rightly be before the day it was written.
constexpr std::chrono::sys_days earliest = std::chrono::year(2026) / 11 / 1;

asio::awaitable<bool> is_cut() {
    co_return (co_await asio::this_coro::cancellation_state).cancelled() != asio::cancellation_type::none;
}

std::string text_of(const endpoint& address) {
    const std::string host = address.address().to_string();
    return (address.address().is_v6() ? "[" + host + "]" : host) + ":" + std::to_string(address.port());
}
std::string_view family_of(const endpoint& address) noexcept {
    return address.address().is_v6() ? "ipv6" : "ipv4";
}

std::string milliseconds_text(Clock::duration time) {
    char text[32];
    std::snprintf(text, sizeof text, "%.1f ms", std::chrono::duration<double, std::milli>(time).count());
    return text;
}

/// One address of the CDN, and what came of asking it.
struct Seat {
    endpoint address{};
    Fetched fetched{};
    net::Background fetch{};
};

/// The fetches at the other addresses, side by side, one request each. What they need they share, so that
/// nobody who leaves early takes it away from them.
class Others {
public:
    Others(asio::any_io_executor executor, const std::vector<endpoint>& addresses)
        : state_(std::make_shared<State>(std::move(executor))) {
        for (const auto& address : addresses) state_->seats.emplace_back().address = address;
    }
    Others(const Others&) = delete;
    Others& operator=(const Others&) = delete;
    ~Others() { end(); }

    void start(const Config& config, const Wish& wish, Env& env, Clock::time_point deadline) {
        for (Seat& seat : state_->seats) {
            auto ended = [state = state_, &seat](const std::exception_ptr& bug) {
                if (bug) seat.fetched.code = make_error_code(boost::system::errc::state_not_recoverable);
                state->one_more.cancel();
            };
            seat.fetch.start(state_->executor, take(state_, seat, config.edge, wish, env, deadline), ended);
        }
    }
    /// Until all have ended, which is soon if the caller is cut; says whether it is. The caller's
    /// cancellation state is reset then.
    asio::awaitable<bool> wait() {
        bool cut = co_await is_cut();
        if (cut) end();
        const auto waiting = [](const Seat& seat) { return seat.fetch.running(); };
        while (std::ranges::any_of(state_->seats, waiting)) {
            // What cancelled us once would not end another wait.
            if (cut) co_await asio::this_coro::reset_cancellation_state();
            state_->one_more.expires_at(Clock::time_point::max());
            co_await state_->one_more.async_wait(net::no_throw);
            const bool cut_now = co_await is_cut();
            if (cut_now && !cut) end();
            cut = cut || cut_now;
        }
        co_return cut;
    }
    std::list<Seat>& seats() noexcept { return state_->seats; }

private:
    struct State {
        explicit State(asio::any_io_executor on) : executor(std::move(on)), one_more(executor) {}
        asio::any_io_executor executor;
        asio::steady_timer one_more;
        std::list<Seat> seats{};
    };
    static asio::awaitable<void> take(std::shared_ptr<State> state, Seat& seat, Endpoint edge, Wish wish,
                                      Env& env, Clock::time_point deadline) {
        co_await asio::this_coro::throw_if_cancelled(false);
        Client client(state->executor, std::move(edge), seat.address, env);
        co_await client.get(wish, deadline, seat.fetched);
        client.close();
    }
    void end() {
        for (Seat& seat : state_->seats) seat.fetch.stop();
    }

    std::shared_ptr<State> state_;
};

/// One run, step by step.
class Run {
public:
    Run(const Config& config, ProbeRun& run) : config_(config), run_(run) {}
    asio::awaitable<void> whole();

private:
    asio::awaitable<bool> get_ready();
    asio::awaitable<bool> find_addresses();
    asio::awaitable<void> fetch_everywhere();
    asio::awaitable<void> fetch_at_origin();
    bool answered_everywhere();
    bool right_everywhere();
    bool was_cached();
    void look_at_names(const net::Lookup& found);
    void look_at_certificates();
    void count_responses();
    void count_failing();
    void note(const Fetched& fetched, std::string_view which);
    void note_failing(const endpoint& address, const std::string& how);
    /// Fails in `phase`, which is entered anew if it is not the one under way.
    void fails_at(const endpoint& address, const Fetched& fetched, Phase phase, error_code code,
                  const std::string& how);
    void say_headline();
    template <class Visit>
    void each_seat(Visit visit) {
        visit(first_address_, first_);
        if (others_)
            for (Seat& seat : others_->seats()) visit(seat.address, seat.fetched);
    }
    bool is_out_of_reach(const endpoint& address, const Fetched& fetched) const;

    const Config& config_;
    ProbeRun& run_;
    Object object_{};
    Wish wish_{};
    std::vector<endpoint> addresses_{};
    endpoint first_address_{};
    Fetched first_{};
    std::vector<Fetched> again_{};
    std::optional<Others> others_{};
    std::optional<Fetched> origin_{};
    bool some_whole_ = false;
};

asio::awaitable<bool> Run::get_ready() {
    if (run_.env().wall() < earliest) {
        run_.inconclusive("our own clock says a time before this program was written");
        run_.failed(CdnError::clock_unsafe);
        co_return false;
    }
    std::string why;
    if (const auto code = co_await find_object(config_, run_.env(), run_.deadline(), object_, why)) {
        run_.inconclusive(std::move(why));
        run_.failed(code);
        co_return false;
    }
    if (co_await is_cut()) co_return false;
    wish_ = wish_of(config_, object_, run_.env());
    run_.saw("object", object_.path.substr(0, object_.path.find('?')) +
                           (object_.size ? ", " + std::to_string(*object_.size) + " bytes" : ""));
    constexpr std::string_view letters = "ABCD";
    const std::string unsigned_one = config_.never_signed ? "none" : "not configured";
    run_.saw("auth", config_.auth
                         ? std::string("type ") + letters[static_cast<std::size_t>(config_.auth->how.type)]
                         : unsigned_one);
    run_.saw("domain", config_.edge.host);
    if (!config_.after.empty()) run_.saw("uploaded_by", config_.after);
    co_return true;
}

void Run::look_at_names(const net::Lookup& found) {
    std::string chain;
    bool leads_there = protocol::is_cdn_name(config_.edge.host);
    for (const auto& name : found.cname_chain) {
        chain += (chain.empty() ? "" : " > ") + name;
        leads_there = leads_there || protocol::is_cdn_name(name);
    }
    run_.saw("cname", chain.empty() ? "none" : chain);
    run_.saw("leads_to", leads_there ? "Tencent Cloud CDN" : "no name of Tencent Cloud CDN that we know");
}

asio::awaitable<bool> Run::find_addresses() {
    if (!config_.addresses.empty()) {
        for (const auto& address : config_.addresses) addresses_.emplace_back(address, config_.edge.port);
    } else {
        run_.enter(dns);
        const auto found =
            co_await run_.env().dns->resolve(config_.edge.host, config_.edge.port, run_.deadline());
        if (!found) {
            run_.saw("ended", found.error().message());
            run_.fingerprint("dns " + std::string(to_string(reason_of(found.error()))));
            run_.failed(found.error());
            co_return false;
        }
        look_at_names(*found);
        addresses_ = found->endpoints;
        for (const auto family : net::families)
            run_.found(resolved_addresses,
                       static_cast<double>(std::ranges::count_if(
                           addresses_, [&](const auto& a) { return family_of(a) == family; })),
                       family);
    }
    if (!config_.every_address) addresses_.resize(1);
    if (addresses_.size() > most_addresses) {
        run_.saw("left_out", std::to_string(addresses_.size() - most_addresses) + " more addresses");
        addresses_.resize(most_addresses);
    }
    first_address_ = addresses_.front();
    co_return true;
}

asio::awaitable<void> Run::fetch_everywhere() {
    const auto executor = co_await asio::this_coro::executor;
    const std::vector<endpoint> rest(addresses_.begin() + 1, addresses_.end());
    others_.emplace(executor, rest);
    others_->start(config_, wish_, run_.env(), run_.deadline());
    Client client(executor, config_.edge, first_address_, run_.env(), &run_);
    co_await client.get(wish_, run_.deadline(), first_);
    client.be_silent();
    const bool ended = co_await is_cut();
    if (first_.whole() && !ended) {
        run_.enter(verify);
        co_await fetch_again(client, wish_, config_.expect_cache ? tries_for_a_hit : 1, run_.deadline(),
                             again_);
    }
    client.close();
    const bool cut = co_await others_->wait();
    if (cut) run_.cut();
}

asio::awaitable<void> Run::fetch_at_origin() {
    if (!object_.origin) co_return;
    // An origin that does not answer must not use up the run: the CDN is what is watched.
    const auto now = run_.env().now();
    const auto until = now + (run_.deadline() - now) / 2;
    co_await fetch_origin(config_, object_, run_.env(), true, until, origin_.emplace());
    const std::string how = fingerprint(*origin_);
    run_.saw("origin", how.empty()
                           ? std::to_string(origin_->size) + " bytes in " + milliseconds_text(origin_->took)
                           : how);
    // What a probe uploaded is known better than what the origin now says.
    learn(object_, *origin_);
}

void Run::note(const Fetched& fetched, std::string_view which) {
    const std::string mark = which.empty() ? "" : std::string(which) + " ";
    if (!fetched.lookup.empty()) run_.saw("cache_lookup", mark + fetched.lookup);
    if (!fetched.log_uuid.empty()) run_.saw("log_uuid", mark + fetched.log_uuid);
    if (!fetched.request_id.empty()) run_.saw("request_id", mark + fetched.request_id);
    if (!fetched.via.empty()) run_.saw("via", fetched.via);
    if (!fetched.server.empty()) run_.saw("server", fetched.server);
    if (fetched.clock_skew) run_.saw("clock_skew", std::to_string(fetched.clock_skew->count()) + " s");
}

void Run::note_failing(const endpoint& address, const std::string& how) {
    run_.saw("failing_address", text_of(address) + " " + how);
}

void Run::fails_at(const endpoint& address, const Fetched& fetched, Phase phase, error_code code,
                   const std::string& how) {
    // The first address has its phases already; of another, the one that failed is told.
    const bool of_another = &fetched != &first_ && phase.name != verify.name;
    if (of_another) {
        run_.enter(phase);
        note(fetched, "");
    }
    run_.saw("address", text_of(address));
    if (fetched.status != 0) run_.saw("status", "HTTP " + std::to_string(fetched.status));
    if (fetched.status != 0) run_.saw("cache", std::string(to_string(fetched.cache)));
    if (!fetched.cos_code.empty()) run_.saw("cos_code", fetched.cos_code);
    if (!fetched.message.empty()) run_.saw("message", fetched.message);
    if (!fetched.location.empty()) run_.saw("redirects_to", fetched.location);
    if (fetched.tls_facts.verify_code != 0)
        run_.saw("verify",
                 std::to_string(fetched.tls_facts.verify_code) + " " + fetched.tls_facts.verify_text);
    run_.saw("ended", code.message());
    run_.fingerprint(how);
    run_.failed(code);
}

/// Without a route to a family of addresses, nothing is learnt of the CDN; there are others to ask.
bool Run::is_out_of_reach(const endpoint& address, const Fetched& fetched) const {
    return some_whole_ && address.address().is_v6() && fetched.phase.name == tcp.name &&
           (fetched.code == asio::error::network_unreachable ||
            fetched.code == boost::system::errc::address_not_available);
}

bool Run::answered_everywhere() {
    std::size_t good = 0, bad = 0;
    each_seat([&](const endpoint&, const Fetched& fetched) { some_whole_ = some_whole_ || fetched.whole(); });
    each_seat([&](const endpoint& address, const Fetched& fetched) {
        if (is_out_of_reach(address, fetched)) {
            run_.saw("not_from_here", text_of(address) + ": " + fetched.code.message());
        } else if (fetched.whole()) {
            ++good;
        } else {
            ++bad;
            note_failing(address, fingerprint(fetched));
        }
    });
    if (bad == 0) return true;
    if (good > 0)
        run_.saw("good_addresses", std::to_string(good) + " of " + std::to_string(addresses_.size()));
    each_seat([&](const endpoint& address, const Fetched& fetched) {
        if (run_.has_failed() || fetched.whole() || is_out_of_reach(address, fetched)) return;
        fails_at(address, fetched, fetched.phase, fetched.code ? fetched.code : error_of(fetched.status),
                 fingerprint(fetched));
    });
    return false;
}

bool Run::right_everywhere() {
    std::size_t good = 0, bad = 0;
    each_seat([&](const endpoint& address, const Fetched& fetched) {
        if (!fetched.whole()) return;
        if (!compare(fetched, object_)) {
            ++good;
            return;
        }
        ++bad;
        note_failing(address, ending_of(fetched, object_));
    });
    if (bad == 0) return true;
    if (good > 0)
        run_.saw("good_addresses", std::to_string(good) + " of " + std::to_string(addresses_.size()));
    each_seat([&](const endpoint& address, const Fetched& fetched) {
        const error_code code = fetched.whole() ? compare(fetched, object_) : error_code{};
        if (run_.has_failed() || !code) return;
        const Version version = version_of(fetched, object_);
        run_.saw("version", version == Version::same    ? "the same ETag as the origin"
                            : version == Version::other ? "another ETag than the origin"
                                                        : "no ETag to compare");
        run_.saw("etag", fetched.etag + ", at the origin " + object_.etag);
        run_.saw("length", std::to_string(fetched.size) + " bytes" +
                               (object_.size ? ", at the origin " + std::to_string(*object_.size) : ""));
        run_.saw("md5", fetched.md5 + (object_.md5.empty() ? "" : ", at the origin " + object_.md5));
        if (!fetched.crc64_said.empty())
            run_.saw("crc64", fetched.crc64 + ", said to be " + fetched.crc64_said);
        if (!fetched.last_modified.empty())
            run_.saw("last_modified",
                     fetched.last_modified + (origin_ ? ", at the origin " + origin_->last_modified : ""));
        if (!fetched.encoding.empty()) run_.saw("content_encoding", fetched.encoding);
        fails_at(address, fetched, verify, code, ending_of(fetched, object_));
    });
    return false;
}

bool Run::was_cached() {
    if (again_.empty()) return true;
    const Fetched& last = again_.back();
    if (!last.whole()) {
        note_failing(first_address_, fingerprint(last));
        fails_at(first_address_, last, verify, last.code ? last.code : error_of(last.status),
                 fingerprint(last));
        return false;
    }
    if (const auto code = compare(last, object_)) {
        note_failing(first_address_, ending_of(last, object_));
        fails_at(first_address_, last, verify, code, ending_of(last, object_));
        return false;
    }
    if (!config_.expect_cache || last.cache != protocol::CdnCache::miss) return true;
    if (origin_ && !origin_->cache_control.empty()) run_.saw("origin_cache_control", origin_->cache_control);
    note_failing(first_address_, "miss");
    fails_at(first_address_, last, verify, CdnError::not_cached, "miss");
    return false;
}

void Run::look_at_certificates() {
    std::optional<WallTime> end;
    std::string whose;
    each_seat([&](const endpoint&, const Fetched& fetched) {
        const auto& facts = fetched.tls_facts;
        if (!facts.not_after || (end && *end <= *facts.not_after)) return;
        end = facts.not_after;
        whose = facts.subject + ", issued by " + facts.issuer;
    });
    if (!end) return;
    run_.found(certificate_end, std::chrono::duration<double>(end->time_since_epoch()).count());
    run_.saw("certificate", whose);
}

void Run::count_responses() {
    const auto count = [&](const Fetched& fetched) {
        if (fetched.status != 0) run_.found(responses, 1, code_of(fetched.status), to_string(fetched.cache));
    };
    each_seat([&](const endpoint&, const Fetched& fetched) { count(fetched); });
    std::ranges::for_each(again_, count);
}

void Run::count_failing() {
    if (!config_.every_address) return;
    for (const auto family : net::families) {
        double failing = 0;
        each_seat([&](const endpoint& address, const Fetched& fetched) {
            if (family_of(address) != family || is_out_of_reach(address, fetched)) return;
            if (!fetched.whole() || compare(fetched, object_)) ++failing;
        });
        run_.found(failing_addresses, failing, family);
    }
}

void Run::say_headline() {
    const Fetched& last = again_.empty() ? first_ : again_.back();
    std::string words = std::string(to_string(last.cache)) + ", first byte after " +
                        milliseconds_text(last.to_first_byte) + ", " + std::to_string(last.size) +
                        " bytes in " + milliseconds_text(last.took);
    if (addresses_.size() > 1) words = std::to_string(addresses_.size()) + " addresses: " + words;
    if (origin_ && origin_->whole()) {
        char ratio[32];
        const double times =
            std::chrono::duration<double>(origin_->took) / std::chrono::duration<double>(last.took);
        std::snprintf(ratio, sizeof ratio, "; %.1f times the origin", times);
        words += ratio;
    }
    run_.headline(std::move(words));
}

asio::awaitable<void> Run::whole() {
    if (!co_await get_ready()) co_return;
    if (!co_await find_addresses()) co_return;
    if (co_await is_cut()) co_return;
    run_.saw("first_address", text_of(first_address_));
    co_await fetch_everywhere();
    if (run_.was_cut()) co_return;
    look_at_certificates();
    count_responses();
    note(first_, "first");
    for (const auto& fetched : again_) note(fetched, "again");
    if (answered_everywhere()) {
        if (!first_.whole()) run_.enter(verify);
        co_await fetch_at_origin();
        if (right_everywhere() && was_cached()) say_headline();
    }
    count_failing();
    const Fetched& last = again_.empty() ? first_ : again_.back();
    if (origin_ && origin_->whole() && last.whole() && last.took.count() > 0)
        run_.found(acceleration,
                   std::chrono::duration<double>(origin_->took) / std::chrono::duration<double>(last.took));
}

}  // namespace

std::string_view code_of(unsigned status) noexcept {
    const std::string text = std::to_string(status);
    const auto found = std::ranges::find(codes, text);
    return found != codes.end() ? *found : codes.back();
}

asio::awaitable<void> fetch_again(Client& client, const Wish& wish, int most, Clock::time_point deadline,
                                  std::vector<Fetched>& fetched) {
    for (int i = 0; i < most; ++i) {
        Fetched& next = fetched.emplace_back();
        co_await client.get(wish, deadline, next);
        if (!next.whole() || next.cache != protocol::CdnCache::miss) break;
    }
}

asio::awaitable<void> fetch(const Config& config, ProbeRun& run) {
    Run one(config, run);
    co_await one.whole();
    if (co_await is_cut()) run.cut();
}

}  // namespace livecanary::cdn_fetch
