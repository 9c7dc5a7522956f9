#include "probes/rtmp_push/controls.hpp"

#include <array>
#include <cstdio>

#include <boost/asio/this_coro.hpp>

#include "probes/net/resolver.hpp"
#include "probes/protocol/rtmp/handshake.hpp"

namespace livecanary::rtmp_push {
namespace {

using namespace std::chrono_literals;

/// A control that is accepted is live for as short as acceptance can be told.
constexpr auto control_media = acceptance + 100ms;
/// A domain may lengthen the life of its URLs (AuthDelta), so "expired" must lie far back.
constexpr auto long_ago = std::chrono::hours(24 * 30);

std::string random_tail(ProbeRun& run) {
    char text[16];
    std::snprintf(text, sizeof text, "free%08x", static_cast<unsigned>(run.env().random() & 0xffffffff));
    return text;
}

/// The controls of one failed run, one after the other.
class Experiment {
public:
    Experiment(const Config& config, ProbeRun& run, const RunResult& failed)
        : config_(config),
          run_(run),
          failed_(failed),
          fresh_(run.env().wall() + config.tx_time_lifetime),
          plan_(config.plan) {
        plan_.media = control_media;
    }

    asio::awaitable<void> of_refusal();
    asio::awaitable<void> of_unreached();
    asio::awaitable<void> of_dns();
    asio::awaitable<void> of_scheme();
    asio::awaitable<void> of_address();
    std::vector<Control> take() { return std::move(played_); }
    void keep(Control control) { played_.push_back(std::move(control)); }

private:
    /// Pushes `url` and keeps what came of it. True if it was accepted.
    asio::awaitable<bool> try_url(std::string_view name, protocol::PushUrl url, std::string what);
    bool has_key() const { return !config_.push_key.empty(); }
    protocol::PushUrl signed_url(const config::Secret& key, WallTime expiry) const {
        return url_of_run(config_, run_.env().location, key, expiry);
    }
    /// Signed if we have the key, else as written.
    protocol::PushUrl own_url() const { return signed_url(config_.push_key, fresh_); }
    protocol::PushUrl renamed(const std::string& tail) const;

    const Config& config_;
    ProbeRun& run_;
    const RunResult& failed_;
    WallTime fresh_;
    Plan plan_;
    std::vector<Control> played_{};
};

asio::awaitable<bool> Experiment::try_url(std::string_view name, protocol::PushUrl url, std::string what) {
    plan_.url = std::move(url);
    const auto left = run_.deadline() - run_.env().now();
    ProbeRun attempt(run_.env(), left);
    co_await push(plan_, attempt);
    const RunResult result = attempt.end();
    Control control{.name = name};
    if (result.code == asio::error::operation_aborted || result.outcome() == RunOutcome::inconclusive) {
        control.shows = what + ": could not be tried (" + result.code.message() + ")";
    } else {
        control.outcome = result.code ? ControlOutcome::failed : ControlOutcome::passed;
        control.fingerprint = result.fingerprint;
        control.shows = what + (result.code ? ": refused the same way" : ": accepted");
        if (result.code && result.fingerprint != failed_.fingerprint)
            control.shows = what + ": ended differently (" + result.fingerprint + ")";
    }
    const bool accepted = control.outcome == ControlOutcome::passed;
    keep(std::move(control));
    co_return accepted;
}

protocol::PushUrl Experiment::renamed(const std::string& tail) const {
    auto url = own_url();
    url.stream_name += tail;
    if (!has_key()) return url;
    return protocol::sign_push_url(std::move(url), config_.push_key.reveal(),
                                   std::chrono::floor<std::chrono::seconds>(fresh_), config_.signing);
}

asio::awaitable<void> Experiment::of_refusal() {
    const std::string_view phase = failed_.failed_phase();
    if (config_.issued && has_key() &&
        co_await try_url(trusted_url, own_url(), "our own signature instead of the issued one"))
        co_return;
    if (!config_.backup_key.empty() &&
        co_await try_url(backup_key, signed_url(config_.backup_key, fresh_), "signed with the backup key"))
        co_return;
    // Without a key, a renamed URL would be refused for its signature, which shows nothing.
    const bool can_rename = has_key() || !config_.issued;
    if (can_rename && phase != connect.name &&
        co_await try_url(free_name, renamed(random_tail(run_)), "a stream name nobody uses"))
        co_return;
    if (can_rename && config_.url.app != "live") {
        auto url = renamed(random_tail(run_));
        url.app = "live";
        if (co_await try_url(live_app, std::move(url), "application 'live'")) co_return;
    }
    auto url = own_url();
    const auto digit = url.query.find("txSecret=");
    if (digit == std::string::npos) co_return;
    auto& flipped = url.query.at(digit + std::string_view("txSecret=").size());
    flipped = flipped == '0' ? '1' : '0';
    if (co_await try_url(wrong_secret, std::move(url), "a deliberately wrong txSecret")) co_return;
    if (has_key())
        co_await try_url(expired, signed_url(config_.push_key, run_.env().wall() - long_ago),
                         "a txTime 30 days ago, rightly signed");
    // The same server is asked, under a name it cannot know: the domain travels in tcUrl.
    auto stranger = own_url();
    auto found = net::Lookup{};
    if (!plan_.address) {
        auto lookup = co_await run_.env().dns->resolve(config_.url.host, config_.url.port, run_.deadline());
        if (!lookup) co_return;
        plan_.address = lookup->endpoints.front().address();
    }
    if (stranger.tls) co_return;  // its certificate could not match
    stranger.host = "9" + random_tail(run_) + ".livepush.invalid";
    co_await try_url(unknown_domain, std::move(stranger), "a domain the server cannot know");
}

asio::awaitable<void> Experiment::of_dns() {
    static constexpr const char* shared_domain = "push.tlivecloud.com";
    Control control{.name = other_domain};
    const auto found = co_await run_.env().dns->resolve(shared_domain, 1935, run_.deadline());
    const std::string what = std::string("the vendor's shared push domain ") + shared_domain;
    if (found) {
        control.outcome = ControlOutcome::passed;
        control.shows = what + " resolves, so our name servers work";
    } else {
        control.outcome = ControlOutcome::failed;
        control.shows = what + " does not resolve here either (" + found.error().message() + ")";
    }
    keep(std::move(control));
}

asio::awaitable<void> Experiment::of_address() {
    if (plan_.address) co_return;
    const auto found = co_await run_.env().dns->resolve(config_.url.host, config_.url.port, run_.deadline());
    if (!found) co_return;
    for (const auto& endpoint : found->endpoints) {
        if (endpoint.address() == found->endpoints.front().address()) continue;
        plan_.address = endpoint.address();
        co_await try_url(other_address, own_url(), "another address of the name, " + plan_.address->to_string());
        co_return;
    }
}

asio::awaitable<void> Experiment::of_unreached() {
    co_await of_address();
    if (failed_.reason() != Reason::timeout) co_return;
    asio::ip::address address;
    if (config_.plan.address) {
        address = *config_.plan.address;
    } else {
        const auto found = co_await run_.env().dns->resolve(config_.url.host, 443, run_.deadline());
        if (!found) co_return;
        address = found->endpoints.front().address();
    }
    net::Connection connection(co_await asio::this_coro::executor);
    const auto code = co_await connection.connect({address, 443}, run_.deadline());
    connection.close();
    Control control{.name = other_port};
    // A refusal is an answer too: the host is there and packets come through.
    const bool answers = !code || reason_of(code) == Reason::refused;
    control.outcome = answers ? ControlOutcome::passed : ControlOutcome::failed;
    control.shows = answers ? "port 443 of the same address answers" : "port 443 of the same address is silent too";
    keep(std::move(control));
}

/// Speaks the other of plain RTMP and TLS to the same port.
asio::awaitable<void> Experiment::of_scheme() {
    net::tcp::endpoint endpoint;
    if (config_.plan.address) {
        endpoint = {*config_.plan.address, config_.url.port};
    } else {
        const auto found = co_await run_.env().dns->resolve(config_.url.host, config_.url.port, run_.deadline());
        if (!found) co_return;
        endpoint = found->endpoints.front();
    }
    net::Connection connection(co_await asio::this_coro::executor);
    const auto patience = std::min<Clock::time_point>(run_.deadline(), run_.env().now() + 3s);
    if (co_await connection.connect(endpoint, patience)) co_return;
    Control control{.name = other_scheme, .outcome = ControlOutcome::failed};
    if (config_.url.tls) {
        std::array<std::uint8_t, protocol::rtmp::handshake_random_size> random{};
        const protocol::rtmp::Handshake hello(protocol::rtmp::Handshake::Form::simple, 0, random);
        std::array<std::uint8_t, 1> version{};
        const auto written = co_await connection.write(hello.c0_c1(), patience);
        const auto read = written.code ? written : co_await connection.read_some(version, patience);
        if (!read.code && version[0] == 3) control.outcome = ControlOutcome::passed;
        control.shows = control.outcome == ControlOutcome::passed ? "the port answers plain RTMP"
                                                                  : "the port does not answer plain RTMP either";
    } else {
        net::TlsFacts facts;
        net::TlsOptions options;
        options.server_name = config_.url.host;
        options.verify = false;
        if (!co_await connection.start_tls(std::move(options), patience, facts))
            control.outcome = ControlOutcome::passed;
        control.shows = control.outcome == ControlOutcome::passed ? "the port answers TLS"
                                                                  : "the port does not answer TLS either";
    }
    connection.close();
    keep(std::move(control));
}

}  // namespace

Control check_url(const Config& config, const protocol::PushUrl& url, WallTime now) {
    const auto check =
        protocol::check_push_url(url, config.push_key.reveal(), config.backup_key.reveal(),
                                 std::chrono::floor<std::chrono::seconds>(now));
    Control control{.name = static_check, .outcome = ControlOutcome::failed};
    const bool differs = check.bizid.domain_label && check.bizid.query && *check.bizid.domain_label != *check.bizid.query;
    if (!check.has_tx_secret || !check.has_tx_time) {
        control.fingerprint = url_is::unsigned_url;
        control.shows = "the URL carries no txSecret or no txTime";
    } else if (config.push_key.empty()) {
        control.outcome = ControlOutcome::inconclusive;
        control.fingerprint = check.expired() ? url_is::expired : url_is::unchecked;
        control.shows = check.expired() ? "txTime lies in the past" : "no push_key to check txSecret with";
    } else if (!check.secret.exact()) {
        control.fingerprint = url_is::unknown_key;
        control.shows = "txSecret comes out with neither key";
        if (check.secret.stray_space != protocol::SecretMatch::StraySpace::none)
            control.shows += "; it would without white space around the key";
        if (check.secret.tx_time_case_changed) control.shows += "; it was hashed with the other letter case of txTime";
        if (check.secret.secret_case_changed) control.shows += "; it is written with capitals";
    } else if (differs) {
        control.fingerprint = url_is::bizid_differs;
        control.shows = "the key is right, but the domain says account " + *check.bizid.domain_label +
                        " and bizid= says " + *check.bizid.query;
    } else if (check.expired()) {
        control.fingerprint = url_is::expired;
        control.shows = "the key is right, but txTime ended " + std::to_string(check.expired_for.count()) + " s ago";
    } else {
        control.outcome = ControlOutcome::passed;
        control.fingerprint = url_is::sound;
        control.shows = "txSecret comes out with the ";
        control.shows += check.secret.key == protocol::SecretMatch::Key::backup ? "backup" : "main";
        control.shows += " key and txTime is in the future";
    }
    return control;
}

asio::awaitable<std::vector<Control>> play_controls(const Config& config, ProbeRun& run, const RunResult& failed) {
    Experiment experiment(config, run, failed);
    const std::string_view phase = failed.failed_phase();
    const bool early = failed.fingerprint.starts_with("media at once");
    if (phase == dns.name) {
        co_await experiment.of_dns();
    } else if (phase == tcp.name) {
        co_await experiment.of_unreached();
    } else if (phase == tls.name || phase == handshake.name) {
        if (failed.reason() != Reason::certificate) co_await experiment.of_scheme();
        co_await experiment.of_address();
    } else if (phase == connect.name || phase == create_stream.name || phase == publish.name || early) {
        const auto key = config.issued ? config::Secret{} : config.push_key;
        experiment.keep(check_url(
            config, url_of_run(config, run.env().location, key, run.env().wall() + config.tx_time_lifetime),
            run.env().wall()));
        // A silent server is not asked again and again.
        if (failed.reason() != Reason::timeout) co_await experiment.of_refusal();
    } else if (phase == media.name) {
        co_await experiment.of_address();
    }
    co_return experiment.take();
}

}  // namespace livecanary::rtmp_push
