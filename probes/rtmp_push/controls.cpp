#include "probes/rtmp_push/controls.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <utility>

#include <boost/asio/this_coro.hpp>

#include "probes/net/resolver.hpp"
#include "probes/protocol/rtmp/handshake.hpp"
#include "probes/rtmp_push/report.hpp"

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

/// The address a failed run connected to; nothing if it did not come that far.
std::optional<asio::ip::address> address_of(const RunResult& failed) {
    const auto text = failed.got("address");
    error_code ec;
    const auto address = asio::ip::make_address(text.substr(0, text.rfind(':')), ec);
    return ec ? std::nullopt : std::optional(address);
}

/// The server took the push as far as a decision and made one. Anything else (a network that fails meanwhile,
/// a time that runs out) shows nothing about what was changed.
bool server_decided(const RunResult& result) {
    const auto phase = result.failed_phase();
    const auto reason = result.reason();
    return (phase == connect.name || phase == create_stream.name || phase == publish.name ||
            phase == media.name) &&
           (reason == Reason::closed || reason == Reason::reset || reason == Reason::rejected);
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
        // One thing is changed at a time: a name with several addresses must not change the server too.
        if (!plan_.address) plan_.address = address_of(failed);
    }

    asio::awaitable<void> of_refusal();
    asio::awaitable<bool> of_secret();
    asio::awaitable<void> of_unreached();
    asio::awaitable<void> of_dns();
    asio::awaitable<void> of_scheme();
    asio::awaitable<void> of_address();
    asio::awaitable<void> of_playback();
    std::vector<Control> take() { return std::move(played_); }
    void keep(Control control) { played_.push_back(std::move(control)); }

private:
    /// Pushes `url` to `address` and keeps what came of it. True if it was accepted: nothing is left to ask.
    asio::awaitable<bool> try_url(std::string_view name, protocol::PushUrl url, std::string what,
                                  std::optional<asio::ip::address> address);
    asio::awaitable<bool> try_url(std::string_view name, protocol::PushUrl url, std::string what) {
        return try_url(name, std::move(url), std::move(what), plan_.address);
    }
    asio::awaitable<RunResult> push_once(protocol::PushUrl url, std::optional<asio::ip::address> address);
    bool has_key() const { return !config_.push_key.empty(); }
    protocol::PushUrl signed_url(const config::Secret& key, WallTime expiry) const {
        return url_of_run(config_, run_.env().location, key, expiry);
    }
    /// Signed if we have the key, else as written.
    protocol::PushUrl own_url() const { return signed_url(config_.push_key, fresh_); }
    /// What failed, made anew.
    protocol::PushUrl failed_url() const {
        return signed_url(config_.issued ? config::Secret{} : config_.push_key, fresh_);
    }
    protocol::PushUrl renamed(const std::string& tail) const;

    const Config& config_;
    ProbeRun& run_;
    const RunResult& failed_;
    WallTime fresh_;
    Plan plan_;
    std::vector<Control> played_{};
    bool cut_ = false;
};

asio::awaitable<RunResult> Experiment::push_once(protocol::PushUrl url,
                                                 std::optional<asio::ip::address> address) {
    Plan plan = plan_;
    plan.url = std::move(url);
    plan.address = address;
    // As patient as the run was, so that one silent answer does not use up the time of all controls.
    const Clock::duration patience = failed_.duration + control_media + 2s;
    ProbeRun attempt(run_.env(), std::min(patience, run_.deadline() - run_.env().now()));
    co_await push(plan, attempt);
    cut_ = cut_ || attempt.was_cut();
    co_return attempt.end();
}

asio::awaitable<bool> Experiment::try_url(std::string_view name, protocol::PushUrl url, std::string what,
                                          std::optional<asio::ip::address> address) {
    if (cut_) co_return true;  // nothing more is asked of a server once we are to stop
    const RunResult result = co_await push_once(std::move(url), std::move(address));
    if (cut_) co_return true;
    Control control{.name = name};
    const bool alike = result.fingerprint == failed_.fingerprint;
    if (result.outcome() == RunOutcome::ok) {
        // A server that has recovered meanwhile accepts everything.
        const RunResult again = co_await push_once(failed_url(), plan_.address);
        const bool still_fails = again.code && again.fingerprint == failed_.fingerprint;
        if (still_fails) control.outcome = ControlOutcome::passed;
        control.shows =
            what + ": accepted" + (still_fails ? "" : ", but what had failed no longer fails that way");
    } else if (result.outcome() == RunOutcome::failed && (alike || server_decided(result))) {
        control.outcome = ControlOutcome::failed;
        control.fingerprint = result.fingerprint;
        control.shows =
            what + (alike ? ": fails the same way" : ": ended differently (" + result.fingerprint + ")");
    } else {
        control.shows = what + ": could not be tried (" + result.code.message() + ")";
    }
    keep(std::move(control));
    co_return result.outcome() == RunOutcome::ok;
}

protocol::PushUrl Experiment::renamed(const std::string& tail) const {
    auto url = own_url();
    url.stream_name += tail;
    if (!has_key()) return url;
    return protocol::sign_push_url(std::move(url), config_.push_key.reveal(),
                                   std::chrono::floor<std::chrono::seconds>(fresh_), config_.signing);
}

asio::awaitable<void> Experiment::of_refusal() {
    // At connect the server knows neither name nor signature yet.
    const bool knew_name = failed_.failed_phase() != connect.name;
    if (knew_name && config_.issued && has_key()) {
        if (co_await try_url(trusted_url, own_url(), "our own signature instead of the issued one"))
            co_return;
    }
    if (knew_name && !config_.backup_key.empty()) {
        if (co_await try_url(backup_key, signed_url(config_.backup_key, fresh_),
                             "signed with the backup key"))
            co_return;
    }
    // Without a key, a renamed URL would be refused for its signature, which shows nothing.
    const bool can_rename = has_key() || !config_.issued;
    if (knew_name && can_rename) {
        if (co_await try_url(free_name, renamed(random_tail(run_)), "a stream name nobody uses")) co_return;
    }
    if (can_rename && config_.url.app != "live") {
        auto url = renamed(random_tail(run_));
        url.app = "live";
        if (co_await try_url(live_app, std::move(url), "application 'live'")) co_return;
    }
    if (knew_name) {
        if (co_await of_secret()) co_return;
    }
    // The same server is asked, under a name it cannot know: the domain travels in tcUrl.
    auto stranger = own_url();
    if (stranger.tls) co_return;  // its certificate could not match
    stranger.host = "9" + random_tail(run_) + ".livepush.invalid";
    co_await try_url(unknown_domain, std::move(stranger), "a domain the server cannot know");
}

/// Breaks the signature in two ways. True if nothing is left to ask.
asio::awaitable<bool> Experiment::of_secret() {
    auto url = own_url();
    const auto secret = url.query.find("txSecret=");
    if (secret == std::string::npos) co_return false;
    const auto digit = secret + std::string_view("txSecret=").size();
    if (digit >= url.query.size()) co_return false;
    url.query[digit] = url.query[digit] == '0' ? '1' : '0';
    if (co_await try_url(wrong_secret, std::move(url), "a deliberately wrong txSecret")) co_return true;
    if (!has_key()) co_return false;
    co_return co_await try_url(expired, signed_url(config_.push_key, run_.env().wall() - long_ago),
                               "a txTime 30 days ago, rightly signed");
}

asio::awaitable<void> Experiment::of_dns() {
    static constexpr const char* shared_domain = "push.tlivecloud.com";
    Control control{.name = other_domain};
    const auto found = co_await run_.env().dns->resolve(shared_domain, 1935, run_.deadline());
    std::string what = "the vendor's shared push domain ";
    what += shared_domain;
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
    if (config_.plan.address || !plan_.address) co_return;
    const auto found = co_await run_.env().dns->resolve(config_.url.host, config_.url.port, run_.deadline());
    if (!found) co_return;
    for (const auto& endpoint : found->endpoints) {
        if (endpoint.address() == *plan_.address) continue;
        co_await try_url(other_address, failed_url(),
                         "another address of the name, " + endpoint.address().to_string(),
                         endpoint.address());
        co_return;
    }
}

asio::awaitable<void> Experiment::of_unreached() {
    co_await of_address();
    if (cut_ || failed_.reason() != Reason::timeout || !plan_.address) co_return;
    net::Connection connection(co_await asio::this_coro::executor);
    const auto code = co_await connection.connect({*plan_.address, 443}, run_.deadline());
    connection.close();
    Control control{.name = other_port};
    // A refusal is an answer too: the host is there and packets come through.
    const bool answers = !code || reason_of(code) == Reason::refused;
    control.outcome = answers ? ControlOutcome::passed : ControlOutcome::failed;
    control.shows =
        answers ? "port 443 of the same address answers" : "port 443 of the same address is silent too";
    keep(std::move(control));
}

/// Speaks the other of plain RTMP and TLS to the same port.
asio::awaitable<void> Experiment::of_scheme() {
    if (!plan_.address) co_return;
    const net::tcp::endpoint endpoint(*plan_.address, config_.url.port);
    net::Connection connection(co_await asio::this_coro::executor);
    const auto patience = std::min<Clock::time_point>(run_.deadline(), run_.env().now() + 3s);
    if (co_await connection.connect(endpoint, patience)) co_return;
    Control control{.name = other_scheme, .outcome = ControlOutcome::failed};
    if (config_.url.tls) {
        std::array<std::uint8_t, protocol::rtmp::handshake_random_size> random{};
        const protocol::rtmp::Handshake hello(protocol::rtmp::Handshake::Form::simple, 0, random);
        std::array<std::uint8_t, 1> version{};
        auto said = co_await connection.write(hello.c0_c1(), patience);
        if (!said.code) said = co_await connection.read_some(version, patience);
        if (!said.code && version[0] == 3) control.outcome = ControlOutcome::passed;
        control.shows = control.outcome == ControlOutcome::passed
                            ? "the port answers plain RTMP"
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

/// The query without the two parameters that a signature is made of.
std::string without_signature(std::string_view query) {
    std::string rest;
    while (!query.empty()) {
        const auto pair = query.substr(0, query.find('&'));
        query.remove_prefix(std::min(query.size(), pair.size() + 1));
        if (pair.starts_with("txSecret=") || pair.starts_with("txTime=")) continue;
        if (!rest.empty()) rest += '&';
        rest += pair;
    }
    return rest;
}

/// The same stream on the same host over another protocol; nothing if it is the one it has.
std::optional<protocol::PlayUrl> over(PlayProtocol wanted, protocol::PlayUrl url) {
    const auto now = protocol_of(url);
    if (now == wanted) return std::nullopt;
    if (wanted == PlayProtocol::rtmp) {
        url.scheme = "rtmp";
        url.port = 1935;
        url.extension.clear();
        return url;
    }
    if (now == PlayProtocol::rtmp) {
        url.scheme = "http";
        url.port = 80;
    }
    url.extension = wanted == PlayProtocol::hls ? ".m3u8" : ".flv";
    return url;
}

/// What is to be played in the control push, and as which control.
struct Attempt {
    std::string_view name;  ///< empty: as configured
    std::string what{};     ///< for people
    std::size_t playback = 0;
};

/// Whether a server may end like this with whom it does not let play. An error status of HTTP is its own
/// trouble, whatever the signature.
bool may_be_refusal(const error_code& code) {
    const Reason reason = reason_of(code);
    return reason == Reason::forbidden || reason == Reason::closed || reason == Reason::reset ||
           (reason == Reason::rejected && code != PlayError::http_status);
}

void add_attempts(const Playback& playback, std::size_t index, const Viewing& configured,
                  const error_code& code, const std::string& location, WallTime fresh,
                  std::vector<Attempt>& attempts, std::vector<Viewing>& viewings) {
    const auto add = [&](std::string_view name, const char* what, Viewing viewing) {
        attempts.push_back({name, what, index});
        viewings.push_back(std::move(viewing));
    };
    const Reason reason = reason_of(code);
    if (reason == Reason::not_found || reason == Reason::no_media) {
        static constexpr std::array<std::pair<PlayProtocol, std::string_view>, 3> others{
            {{PlayProtocol::rtmp, play_rtmp},
             {PlayProtocol::http_flv, play_flv},
             {PlayProtocol::hls, play_hls}}};
        for (const auto& [protocol, name] : others) {
            auto url = over(protocol, configured.url);
            if (!url) continue;
            Viewing viewing = configured;
            viewing.url = *std::move(url);
            add(name, "the same host over another protocol", std::move(viewing));
        }
        return;
    }
    if (!may_be_refusal(code)) return;
    if (playback.issued && !playback.key.empty())
        add(play_own_key, "our own signature instead of the issued one",
            viewing_of_run(playback, location, playback.key, fresh));
    if (!playback.backup_key.empty())
        add(play_backup_key, "signed with the backup key",
            viewing_of_run(playback, location, playback.backup_key, fresh));
    const auto secret = configured.url.query.find("txSecret=");
    if (secret == std::string::npos) return;
    Viewing wrong = configured;
    auto& digit =
        wrong.url.query[std::min(secret + std::string_view("txSecret=").size(), wrong.url.query.size() - 1)];
    digit = digit == '0' ? '1' : '0';
    add(play_wrong_secret, "a deliberately wrong txSecret", std::move(wrong));
    Viewing bare = configured;
    bare.url.query = without_signature(bare.url.query);
    add(play_unsigned, "without txSecret and txTime", std::move(bare));
}

/// One more push of the same stream, and everything that can be told apart is played at once: each playback
/// as configured, and with one thing changed.
asio::awaitable<void> Experiment::of_playback() {
    Plan plan = plan_;
    plan.address = config_.plan.address;
    plan.url = failed_url();
    std::vector<Attempt> attempts;
    for (std::size_t i = 0; i < config_.playback.size(); ++i) {
        const Playback& playback = config_.playback[i];
        Viewing configured = viewing_of_run(playback, run_.env().location, key_of_run(playback), fresh_);
        // One address, so that one thing at a time is changed.
        configured.every_address = false;
        attempts.push_back({{}, {}, i});
        plan.viewings.push_back(configured);
        add_attempts(playback, i, configured, failed_.code, run_.env().location, fresh_, attempts,
                     plan.viewings);
    }
    ProbeRun again(run_.env(), std::min<Clock::duration>(failed_.duration + control_media + 2s,
                                                         run_.deadline() - run_.env().now()));
    const std::vector<Viewed> viewed = co_await push(plan, again);
    if (again.was_cut() || viewed.size() != attempts.size()) co_return;

    // The first playback that fails as the run did is the one to explain.
    const auto subject = std::ranges::find_if(viewed, [&](const Viewed& v) {
        return attempts[v.viewing].name.empty() && fingerprint(v) == failed_.fingerprint;
    });
    if (subject == viewed.end()) co_return;
    const Attempt& explained = attempts[subject->viewing];
    Control elsewhere{.name = play_other_domain};
    for (const Viewed& v : viewed) {
        const Attempt& attempt = attempts[v.viewing];
        if (attempt.name.empty()) {
            if (v.host == subject->host) continue;
            // Any other domain that plays will do.
            if (!v.code) elsewhere.outcome = ControlOutcome::passed;
            if (v.code && elsewhere.outcome == ControlOutcome::inconclusive)
                elsewhere.outcome = ControlOutcome::failed;
            if (elsewhere.shows.empty() || !v.code) elsewhere.shows = describe(v);
            continue;
        }
        if (attempt.playback != explained.playback) continue;
        Control control{.name = attempt.name};
        control.fingerprint = fingerprint(v);
        // A server that says 403 to one and 401 to the other tells them apart, though both are refusals.
        if (v.code && v.code == subject->code && v.protocol != PlayProtocol::rtmp && v.said != subject->said)
            control.fingerprint += " " + v.said;
        // Where nothing listens for a protocol, the host does not have the stream over it either.
        const bool told = reason_of(v.code) == Reason::forbidden || reason_of(v.code) == Reason::not_found ||
                          reason_of(v.code) == Reason::no_media || reason_of(v.code) == Reason::rejected ||
                          reason_of(v.code) == Reason::refused || control.fingerprint == failed_.fingerprint;
        control.outcome = !v.code ? ControlOutcome::passed
                          : told  ? ControlOutcome::failed
                                  : ControlOutcome::inconclusive;
        control.shows = attempt.what + ": " + describe(v);
        keep(std::move(control));
    }
    if (!elsewhere.shows.empty()) keep(std::move(elsewhere));
}

}  // namespace

Control check_url(const Config& config, const protocol::PushUrl& url, WallTime now) {
    const auto check = protocol::check_push_url(url, config.push_key.reveal(), config.backup_key.reveal(),
                                                std::chrono::floor<std::chrono::seconds>(now));
    Control control{.name = static_check, .outcome = ControlOutcome::failed};
    const bool differs =
        check.bizid.domain_label && check.bizid.query && *check.bizid.domain_label != *check.bizid.query;
    const bool backup = check.secret.key == protocol::SecretMatch::Key::backup;
    if (!check.has_tx_secret || !check.has_tx_time) {
        control.fingerprint = url_is::unsigned_url;
        control.shows = "the URL carries no txSecret or no txTime";
    } else if (config.push_key.empty()) {
        control.outcome = ControlOutcome::inconclusive;
        control.fingerprint = check.expired() ? url_is::expired : url_is::unchecked;
        control.shows = check.expired() ? "txTime lies in the past" : "no push_key to check txSecret with";
    } else if (!check.secret.exact()) {
        control.fingerprint = differs || check.expired() ? url_is::several : url_is::unknown_key;
        control.shows = "txSecret comes out with neither key";
        if (differs) control.shows += "; domain and bizid= name two accounts";
        if (check.expired()) control.shows += "; txTime lies in the past";
        if (check.secret.stray_space != protocol::SecretMatch::StraySpace::none)
            control.shows += "; it would without white space around the key";
        if (check.secret.tx_time_case_changed)
            control.shows += "; it was hashed with the other letter case of txTime";
        if (check.secret.secret_case_changed) control.shows += "; it is written with capitals";
    } else if (differs) {
        control.fingerprint = check.expired() ? url_is::several : url_is::bizid_differs;
        control.shows = "the key is right, but the domain says account " + *check.bizid.domain_label +
                        " and bizid= says " + *check.bizid.query;
        if (check.expired()) control.shows += "; txTime lies in the past";
    } else if (check.expired()) {
        control.fingerprint = url_is::expired;
        control.shows =
            "the key is right, but txTime ended " + std::to_string(check.expired_for.count()) + " s ago";
    } else {
        control.outcome = ControlOutcome::passed;
        control.fingerprint = url_is::sound;
        control.shows = "txSecret comes out with the ";
        control.shows += backup ? "backup" : "main";
        control.shows += " key and txTime is in the future";
    }
    return control;
}

asio::awaitable<std::vector<Control>> play_controls(const Config& config, ProbeRun& run,
                                                    const RunResult& failed) {
    Experiment experiment(config, run, failed);
    const std::string_view phase = failed.failed_phase();
    const bool early = failed.fingerprint.starts_with("media at once");
    if (phase == dns.name) {
        co_await experiment.of_dns();
    } else if (phase == tcp.name) {
        co_await experiment.of_unreached();
    } else if (phase == tls.name || phase == handshake.name) {
        // A certificate, or the first byte of another protocol, is an answer.
        const bool answered = failed.reason() == Reason::certificate || failed.reason() == Reason::mismatch;
        if (!answered) co_await experiment.of_scheme();
        co_await experiment.of_address();
    } else if (phase == connect.name || phase == create_stream.name || phase == publish.name || early) {
        const auto key = config.issued ? config::Secret{} : config.push_key;
        const auto url =
            url_of_run(config, run.env().location, key, run.env().wall() + config.tx_time_lifetime);
        auto check = check_url(config, url, run.env().wall());
        // That our own signature is sound goes without saying.
        if (config.issued || key.empty() || check.outcome == ControlOutcome::failed)
            experiment.keep(std::move(check));
        // A silent server is not asked again and again.
        if (failed.reason() != Reason::timeout) co_await experiment.of_refusal();
    } else if (phase == media.name) {
        co_await experiment.of_address();
    } else if (phase == playing.name) {
        co_await experiment.of_playback();
    }
    co_return experiment.take();
}

}  // namespace livecanary::rtmp_push
