#include "probes/cos_roundtrip/controls.hpp"

#include <array>
#include <charconv>
#include <cstdlib>
#include <utility>

#include <boost/asio/this_coro.hpp>

#include "probes/cos_roundtrip/backend.hpp"
#include "probes/protocol/cos_buckets.hpp"

namespace livecanary::cos_roundtrip {
namespace {

using namespace std::chrono_literals;

/// The regions that a mini-live backend may well have been set up in (vendor's document 436/6224, read
/// 2026-11-21); each is asked once.
constexpr std::array regions{"ap-guangzhou", "ap-shanghai",  "ap-beijing",  "ap-nanjing",
                             "ap-chengdu",   "ap-chongqing", "ap-hongkong", "ap-singapore"};
/// Of the JSON API: south, east, north, and the one more that its clients know.
constexpr std::array v4_regions{"gz", "sh", "tj", "cd"};
constexpr std::string_view v1_host = "web.file.myqcloud.com";
constexpr std::string_view service_host = "service.cos.myqcloud.com";
/// For one request: a region that does not answer must not use up the time of all.
constexpr auto patience = 2s;

class Experiment {
public:
    /// `config`: with what the backend named put in.
    Experiment(const Config& config, const Config& configured, ProbeRun& run, const RunResult& failed)
        : config_(config), configured_(configured), run_(run), failed_(failed) {}

    asio::awaitable<void> of_signature();
    asio::awaitable<void> of_time();
    asio::awaitable<void> of_bucket();
    asio::awaitable<void> of_regions();
    asio::awaitable<void> of_old_generation();
    asio::awaitable<void> of_list();
    asio::awaitable<void> of_accelerate();
    asio::awaitable<void> of_backend();
    std::vector<Control> take() { return std::move(played_); }

private:
    /// Asks for the bucket's list and keeps what came of it under `name`.
    asio::awaitable<bool> ask(std::string_view name, std::string what, const Endpoint& endpoint,
                              const Credentials& credentials, std::chrono::seconds shift,
                              bool wrong_signature);
    Clock::time_point until() const {
        return std::min<Clock::time_point>(run_.deadline(), run_.env().now() + patience);
    }

    const Config& config_;
    const Config& configured_;
    ProbeRun& run_;
    const RunResult& failed_;
    std::vector<Control> played_{};
};

/// `PUT 403 X` and `GET 403 X` are the same refusal: what is compared is status and code alone.
std::string refusal(const Answer& answer) {
    const auto& code = answer.means.empty() ? answer.cos_code : answer.means;
    return std::to_string(answer.status) + (code.empty() ? "" : " " + code);
}

asio::awaitable<bool> Experiment::ask(std::string_view name, std::string what, const Endpoint& endpoint,
                                      const Credentials& credentials, std::chrono::seconds shift,
                                      bool wrong_signature) {
    Client client(co_await asio::this_coro::executor, endpoint, credentials, config_.signature_lifetime,
                  run_);
    client.shift_clock(shift);
    Call call{.method = "GET"};
    call.wrong_signature = wrong_signature;
    Answer answer;
    const error_code code = co_await client.call(call, answer, until());
    client.close();
    Control control{.name = name};
    if (code) {
        control.shows = what + ": could not be tried (" + code.message() + ")";
    } else {
        const bool passed = answer.status / 100 == 2;
        control.outcome = passed ? ControlOutcome::passed : ControlOutcome::failed;
        control.fingerprint = refusal(answer);
        control.shows = what + ": " + (passed ? "accepted" : "refused (" + control.fingerprint + ")");
    }
    const bool passed = control.outcome == ControlOutcome::passed;
    played_.push_back(std::move(control));
    co_return passed;
}

asio::awaitable<void> Experiment::of_signature() {
    Credentials nobody = config_.credentials;
    nobody.secret_id = "AKIDlivecanary" + run_.run_id();
    co_await ask(made_up_id, "a made-up SecretId", config_.endpoint, nobody, 0s, false);
    co_await ask(wrong_signature, "a deliberately wrong signature", config_.endpoint, config_.credentials, 0s,
                 true);
}

asio::awaitable<void> Experiment::of_time() {
    if (config_.credentials.issued) {
        co_await ask(fresh_sign_key, "a signKey used as soon as it was handed out", config_.endpoint,
                     config_.credentials, 0s, false);
        co_return;
    }
    const auto text = failed_.got("clock_skew");
    long long skew = 0;
    const auto number = text.substr(0, text.find(' '));
    if (std::from_chars(number.data(), number.data() + number.size(), skew).ec != std::errc{}) co_return;
    // Where the clocks agree, it would be the same request once more: that it passes shows nothing.
    if (std::abs(skew) <= 1) co_return;
    co_await ask(server_time, "signed with the server's time (" + std::string(text) + " from ours)",
                 config_.endpoint, config_.credentials, std::chrono::seconds(skew), false);
}

asio::awaitable<void> Experiment::of_regions() {
    bool all_lack_it = true;
    const std::span<const char* const> usual = config_.endpoint.v4 ? std::span<const char* const>(v4_regions)
                                                                   : std::span<const char* const>(regions);
    for (const char* region : usual) {
        if (config_.region == region) continue;
        const auto endpoint = in_region(config_.endpoint, config_.region, region);
        if (!endpoint) co_return;
        const bool there = co_await ask(other_region, std::string("the bucket in ") + region, *endpoint,
                                        config_.credentials, 0s, false);
        if (there) co_return;
        all_lack_it = all_lack_it && played_.back().fingerprint.ends_with("NoSuchBucket");
        played_.pop_back();  // one control for all of them: where it is, or that it is in none
        if (run_.env().now() >= run_.deadline()) {
            all_lack_it = false;
            break;
        }
    }
    if (!all_lack_it) {
        played_.push_back({.name = other_region, .shows = "not all of the usual regions could be asked"});
        co_return;
    }
    played_.push_back(
        {.name = other_region,
         .outcome = ControlOutcome::failed,
         .fingerprint = {},
         .shows = "the bucket is in none of the " + std::to_string(usual.size()) + " usual regions"});
}

asio::awaitable<void> Experiment::of_old_generation() {
    if (!config_.endpoint.v4 || !in_region(config_.endpoint, config_.region, config_.region)) co_return;
    Endpoint old = config_.endpoint;
    old.host = v1_host;
    old.v4->version = "v1";
    co_await ask(old_generation, "the bucket on the COS of the generation before", old, config_.credentials,
                 0s, false);
}

/// What the account's list of buckets says of ours; nothing if it says nothing.
std::string_view said_of_ours(const protocol::CosBuckets& list, const Config& config) {
    const auto bare = [](std::string_view name) { return name.substr(0, name.rfind('-')); };
    bool same_name = false;
    for (const auto& bucket : list.buckets) {
        if (bucket.name == config.bucket)
            return bucket.location == config.region ? list_says::this_one : list_says::other_region;
        same_name = same_name || bare(bucket.name) == bare(config.bucket);
    }
    if (same_name) return list_says::other_appid;
    if (!list.complete) return {};
    return list.buckets.empty() ? list_says::nothing : list_says::not_there;
}

asio::awaitable<void> Experiment::of_list() {
    // Only the vendor's own hosts have such a service beside them.
    if (!in_region(config_.endpoint, config_.region, config_.region)) co_return;
    Endpoint service = config_.endpoint;
    service.host = service_host;
    Client client(co_await asio::this_coro::executor, service, config_.credentials,
                  config_.signature_lifetime, run_);
    Call call{.method = "GET"};
    Answer answer;
    const error_code code = co_await client.call(call, answer, until());
    client.close();
    Control control{.name = own_buckets};
    if (code) {
        control.shows = "the account's list of buckets could not be had (" + code.message() + ")";
    } else if (answer.status != 200) {
        // Many keys rightly may not list buckets.
        control.shows = "the key may not list the account's buckets (" + refusal(answer) + ")";
    } else if (const auto list = protocol::parse_cos_buckets(answer.body); !list) {
        // Of an account without buckets much is concluded, so it must have been a list that named none.
        control.shows = "the account's list of buckets could not be read (" + list.error().message() + ")";
    } else {
        control.fingerprint = said_of_ours(*list, config_);
        if (!control.fingerprint.empty()) control.outcome = ControlOutcome::passed;
        control.shows = control.fingerprint.empty()
                            ? "the account has more buckets than one list names"
                            : "the account's list of buckets says: " + control.fingerprint;
    }
    played_.push_back(std::move(control));
}

asio::awaitable<void> Experiment::of_bucket() {
    co_await of_list();
    const bool known = !played_.empty() && played_.back().outcome == ControlOutcome::passed;
    if (known && played_.back().fingerprint != list_says::other_region) co_return;
    co_await of_regions();
    if (!played_.empty() && played_.back().outcome != ControlOutcome::passed) co_await of_old_generation();
}

asio::awaitable<void> Experiment::of_accelerate() {
    Endpoint regional = config_.endpoint;
    regional.host = config_.bucket + ".cos." + config_.region + ".myqcloud.com";
    if (regional.host == config_.endpoint.host) co_return;
    co_await ask(regional_host, "the bucket's regional host", regional, config_.credentials, 0s, false);
}

/// In what `named` differs from what is configured; empty if in nothing that is configured.
std::string_view difference(const Config& named, const Config& configured) {
    const auto appid = [](std::string_view name) { return name.substr(name.rfind('-') + 1); };
    const auto bare = [](std::string_view name) { return name.substr(0, name.rfind('-')); };
    const bool known = !configured.bucket.empty();
    const bool other_name = known && bare(named.bucket) != bare(configured.bucket);
    const bool other_appid = known && appid(named.bucket) != appid(configured.bucket);
    const bool elsewhere = !configured.region.empty() && named.region != configured.region;
    if (other_name + other_appid + elsewhere > 1) return differs_in::more;
    if (other_name) return differs_in::name;
    if (other_appid) return differs_in::appid;
    return elsewhere ? differs_in::region : std::string_view();
}

asio::awaitable<void> Experiment::of_backend() {
    if (configured_.own)
        co_await ask(own_pair, "the monitor's own key pair", config_.endpoint, *configured_.own, 0s, false);
    const auto differs = difference(config_, configured_);
    if (differs.empty() || configured_.bucket.empty() || configured_.region.empty()) co_return;
    const Credentials signer = configured_.own.value_or(config_.credentials);
    if (co_await ask(configured_bucket, "the configured bucket and region", configured_.endpoint, signer, 0s,
                     false))
        played_.back().fingerprint = differs;
}

}  // namespace

asio::awaitable<std::vector<Control>> play_controls(const Config& configured, ProbeRun& run,
                                                    const RunResult& failed) {
    Config config = configured;
    Backend backend(configured, run);
    if (backend.signs()) {
        // It says no more, or says it wrong: nothing is left to be tried at COS.
        if (co_await backend.ask(config, run.deadline())) co_return std::vector<Control>();
    }
    Experiment experiment(config, configured, run, failed);
    if (backend.signs() && !failed.got("status").empty()) co_await experiment.of_backend();
    const auto code = refusal_of(failed);
    const auto message = failed.got("message");
    if (code == "InvalidAccessKeyId" || code == "SignatureDoesNotMatch") co_await experiment.of_signature();
    if (code == "RequestTimeTooSkewed" || message.find("Request has expired") != std::string_view::npos) {
        co_await experiment.of_time();
    } else if (code == "AccessDenied") {
        co_await experiment.of_signature();
        co_await experiment.of_list();
    }
    if (code == "NoSuchBucket") co_await experiment.of_bucket();
    if (code == "BucketAccelerateNotEnabled" || code == "UserCnameInvalid")
        co_await experiment.of_accelerate();
    co_return experiment.take();
}

}  // namespace livecanary::cos_roundtrip
