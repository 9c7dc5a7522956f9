#include "probes/cdn_fetch/controls.hpp"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <utility>

#include <boost/asio/this_coro.hpp>

#include "probes/net/resolver.hpp"

namespace livecanary::cdn_fetch {
namespace {

using namespace std::chrono_literals;
using endpoint = net::tcp::endpoint;

/// For one request: one that gets no answer must not use up the time of all.
constexpr auto patience = 3s;
/// A name of the vendor that is not on the CDN, for a URL without an origin.
constexpr std::string_view neutral_name = "service.cos.myqcloud.com";
// Named, since GCC 12 destroys an aggregate temporary of a co_await expression twice.
const Variation as_configured{};
const Variation without_signature{.sign = false};
const Variation with_wrong_digit{.wrong_digit = true};
const Variation with_backup_key{.backup_key = true};
const Variation in_other_order{.other_order = true};
const Variation with_fresh_query{.add_query = true};
/// One browser's, as its vendor writes it.
constexpr const char* browser =
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0.0.0 "
    "Safari/537.36";

std::optional<endpoint> read_endpoint(std::string_view text) {
    text = text.substr(0, text.find(' '));
    const auto colon = text.rfind(':');
    if (colon == text.npos) return std::nullopt;
    std::string host(text.substr(0, colon));
    if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
    std::uint16_t port = 0;
    const auto digits = text.substr(colon + 1);
    if (std::from_chars(digits.data(), digits.data() + digits.size(), port).ec != std::errc())
        return std::nullopt;
    boost::system::error_code ec;
    const auto address = asio::ip::make_address(host, ec);
    if (ec) return std::nullopt;
    return endpoint(address, port);
}

class Experiment {
public:
    Experiment(const Config& config, ProbeRun& run, const RunResult& failed)
        : config_(config), run_(run), failed_(failed) {}

    asio::awaitable<void> play();
    std::vector<Control> take() { return std::move(played_); }

private:
    asio::awaitable<void> of_name();
    asio::awaitable<void> of_way();
    asio::awaitable<void> of_status(unsigned status);
    asio::awaitable<void> of_signature();
    asio::awaitable<void> of_rules();
    asio::awaitable<void> of_content();

    /// The object, or a word in every control that needed it.
    asio::awaitable<void> find();
    asio::awaitable<void> ask(std::string_view name, std::string what, Variation variation);
    asio::awaitable<void> ask(std::string_view name, std::string what) {
        return ask(name, std::move(what), as_configured);
    }
    asio::awaitable<void> ask_at(std::string_view name, std::string what, Endpoint edge, endpoint address,
                                 Wish wish);
    asio::awaitable<void> ask_origin(std::string_view name, std::string what, bool with_signature);
    asio::awaitable<void> ask_elsewhere();
    asio::awaitable<void> ask_over_http();
    asio::awaitable<void> ask_twice(std::string_view name, std::string what, Variation variation);
    void keep(std::string_view name, const std::string& what, const Fetched& fetched);
    void open(std::string_view name, std::string shows) {
        played_.push_back({.name = name, .shows = std::move(shows)});
    }
    Clock::time_point until() const {
        return std::min<Clock::time_point>(run_.deadline(), run_.env().now() + patience);
    }

    const Config& config_;
    ProbeRun& run_;
    const RunResult& failed_;
    Object object_{};
    std::string no_object_{};  // why there is none
    std::optional<endpoint> at_{};
    std::vector<Control> played_{};
};

void Experiment::keep(std::string_view name, const std::string& what, const Fetched& fetched) {
    Control control{.name = name};
    const std::string how = ending_of(fetched, object_);
    const bool passed = fetched.whole() && !compare(fetched, object_);
    control.outcome = passed ? ControlOutcome::passed : ControlOutcome::failed;
    if (!passed) control.fingerprint = how;
    control.shows = what + ": " + (passed ? "as it should be" : how);
    if (fetched.cache != protocol::CdnCache::unknown)
        control.shows += " (" + std::string(to_string(fetched.cache)) + ")";
    // That we ran into our own limits shows nothing.
    if (fetched.code && reason_of(fetched.code) == Reason::local)
        control.outcome = ControlOutcome::inconclusive;
    played_.push_back(std::move(control));
}

asio::awaitable<void> Experiment::find() {
    // The words are there if it failed.
    const error_code code = co_await find_object(config_, run_.env(), until(), object_, no_object_);
    if (!code) no_object_.clear();
}

asio::awaitable<void> Experiment::ask_at(std::string_view name, std::string what, Endpoint edge,
                                         endpoint address, Wish wish) {
    if (!no_object_.empty()) {
        open(name, what + ": " + no_object_);
        co_return;
    }
    Client client(co_await asio::this_coro::executor, std::move(edge), address, run_.env());
    Fetched fetched;
    co_await client.get(wish, until(), fetched);
    client.close();
    keep(name, what, fetched);
}

asio::awaitable<void> Experiment::ask(std::string_view name, std::string what, Variation variation) {
    if (!at_) co_return;
    Wish wish = wish_of(config_, object_, run_.env(), variation);
    co_await ask_at(name, std::move(what), config_.edge, *at_, std::move(wish));
}

asio::awaitable<void> Experiment::ask_origin(std::string_view name, std::string what, bool with_signature) {
    if (!object_.origin) {
        if (!no_object_.empty()) open(name, what + ": " + no_object_);
        co_return;
    }
    Fetched fetched;
    co_await fetch_origin(config_, object_, run_.env(), with_signature, until(), fetched);
    if (with_signature) learn(object_, fetched);
    keep(name, what, fetched);
}

asio::awaitable<void> Experiment::ask_elsewhere() {
    std::vector<endpoint> all;
    if (!config_.addresses.empty()) {
        for (const auto& address : config_.addresses) all.emplace_back(address, config_.edge.port);
    } else {
        const auto found = co_await run_.env().dns->resolve(config_.edge.host, config_.edge.port, until());
        if (found) all = found->endpoints;
    }
    const auto other = std::ranges::find_if(all, [&](const endpoint& e) { return !at_ || e != *at_; });
    if (other == all.end()) co_return;
    Wish wish = wish_of(config_, object_, run_.env());
    co_await ask_at(other_address, "another address of the name", config_.edge, *other, std::move(wish));
}

asio::awaitable<void> Experiment::ask_over_http() {
    if (!at_ || !config_.edge.tls || config_.edge.port != 443) co_return;
    Endpoint plain = config_.edge;
    plain.tls = false;
    plain.port = 80;
    Wish wish = wish_of(config_, object_, run_.env());
    co_await ask_at(over_http, "the same over http", std::move(plain), endpoint(at_->address(), 80),
                    std::move(wish));
}

/// The first of them may be a miss by nature; the last one counts.
asio::awaitable<void> Experiment::ask_twice(std::string_view name, std::string what, Variation variation) {
    if (!at_) co_return;
    if (!no_object_.empty()) {
        open(name, what + ": " + no_object_);
        co_return;
    }
    const Wish wish = wish_of(config_, object_, run_.env(), variation);
    Client client(co_await asio::this_coro::executor, config_.edge, *at_, run_.env());
    std::vector<Fetched> fetched;
    co_await fetch_again(client, wish, 1 + tries_for_a_hit, until(), fetched);
    client.close();
    const Fetched& last = fetched.back();
    if (!last.whole()) {
        keep(name, what, last);
        co_return;
    }
    Control control{.name = name};
    control.shows = what + ": " + std::string(to_string(last.cache)) + " after " +
                    std::to_string(fetched.size()) + " requests";
    if (last.cache == protocol::CdnCache::hit) control.outcome = ControlOutcome::passed;
    if (last.cache == protocol::CdnCache::miss) {
        control.outcome = ControlOutcome::failed;
        control.fingerprint = "miss";
    }
    played_.push_back(std::move(control));
}

asio::awaitable<void> Experiment::of_name() {
    const std::string name = object_.origin && !object_.origin->address ? object_.origin->endpoint.host
                                                                        : std::string(neutral_name);
    const auto found = co_await run_.env().dns->resolve(name, 443, until());
    Control control{.name = origin_name, .shows = "the name " + name + ": "};
    control.outcome = found ? ControlOutcome::passed : ControlOutcome::failed;
    if (!found) control.fingerprint = "dns " + std::string(to_string(reason_of(found.error())));
    control.shows += found ? "resolves" : found.error().message();
    played_.push_back(std::move(control));
}

asio::awaitable<void> Experiment::of_way() {
    co_await ask(again, "the same again");
    co_await ask_origin(origin, "the origin", true);
    co_await ask_elsewhere();
    co_await ask_over_http();
}

asio::awaitable<void> Experiment::of_signature() {
    if (!config_.auth) co_return;
    co_await ask(not_signed, "without a signature", without_signature);
    co_await ask(wrong_sign, "a deliberately wrong signature", with_wrong_digit);
    if (!config_.auth->backup_key.empty())
        co_await ask(backup_key, "signed with the backup key", with_backup_key);
    if (config_.auth->how.type != protocol::CdnAuthType::a)
        co_await ask(other_order, "path and time hashed the other way round", in_other_order);
    const auto text = failed_.got("clock_skew");
    const auto number = text.substr(0, text.find(' '));
    long long skew = 0;
    if (std::from_chars(number.data(), number.data() + number.size(), skew).ec != std::errc{}) co_return;
    // Where the clocks agree, it would be the same request once more: that it passes shows nothing.
    if (std::abs(skew) <= 1) co_return;
    Variation shifted;
    shifted.clock_shift = std::chrono::seconds(skew);
    co_await ask(server_time, "signed with the CDN's time (" + std::string(text) + " from ours)",
                 std::move(shifted));
}

asio::awaitable<void> Experiment::of_rules() {
    const bool sends_one = !config_.referer.empty();
    Variation referer;
    referer.referer = sends_one ? "" : (config_.edge.tls ? "https://" : "http://") + config_.edge.host + "/";
    co_await ask(other_referer, sends_one ? "without a Referer" : "with a Referer of the domain",
                 std::move(referer));
    Variation user_agent;
    user_agent.user_agent = browser;
    co_await ask(other_user_agent, "with the User-Agent of a browser", std::move(user_agent));
}

asio::awaitable<void> Experiment::of_status(unsigned status) {
    co_await ask(again, "the same again");
    co_await ask_origin(origin, "the origin", true);
    const bool forbidden = status == 401 || status == 403;
    if (forbidden && !failed_.got("cos_code").empty()) {
        if (object_.origin && !object_.origin->signature.empty())
            co_await ask_origin(origin_unsigned, "the origin, not signed", false);
    } else if (forbidden) {
        co_await of_signature();
        co_await of_rules();
    } else if (status == 404) {
        if (config_.auth) co_await ask(not_signed, "without a signature", without_signature);
        co_await ask(fresh_query, "with a query of its own", with_fresh_query);
    } else if (status == 514) {
        co_await ask_over_http();
    }
    co_await ask_elsewhere();
}

asio::awaitable<void> Experiment::of_content() {
    if (failed_.code == CdnError::not_cached) {
        co_await ask_twice(again, "the same again", as_configured);
        co_await ask_twice(fresh_query, "with a query of its own", with_fresh_query);
        co_return;
    }
    // First the origin, since without it nobody knows what a fixed URL should hold.
    co_await ask_origin(origin, "the origin", true);
    co_await ask(again, "the same again");
    co_await ask(fresh_query, "with a query of its own", with_fresh_query);
    co_await ask_elsewhere();
}

asio::awaitable<void> Experiment::play() {
    const auto phase = failed_.failed_phase();
    at_ = read_endpoint(failed_.got("failing_address"));
    co_await find();
    unsigned status = 0;
    if (const auto text = failed_.got("status"); text.size() > 5)
        std::from_chars(text.data() + 5, text.data() + text.size(), status);
    const bool has_status = status != 0 && status != 200;
    const bool has_content = phase == verify.name || phase == body.name;
    if (phase == dns.name)
        co_await of_name();
    else if (has_status)
        co_await of_status(status);
    else if (has_content)
        co_await of_content();
    else
        co_await of_way();
}

}  // namespace

asio::awaitable<std::vector<Control>> play_controls(const Config& config, ProbeRun& run,
                                                    const RunResult& failed) {
    Experiment experiment(config, run, failed);
    co_await experiment.play();
    co_return experiment.take();
}

}  // namespace livecanary::cdn_fetch
