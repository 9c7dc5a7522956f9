#include "probes/cos_roundtrip/backend.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

#include "probes/core/error_table.hpp"
#include "probes/cos_roundtrip/client.hpp"
#include "probes/protocol/digest.hpp"
#include "probes/protocol/printable.hpp"

namespace livecanary::cos_roundtrip {
namespace {

using namespace std::chrono_literals;

/// Left of a keyTime for a request to be made with it: an upload over a slow line takes that long.
constexpr auto enough = 5s;

std::string fact(const Facts& facts, std::string_view name) {
    const auto at = facts.find(name);
    return at != facts.end() ? at->second : std::string();
}

bool is_number(const std::string& text) {
    return !text.empty() && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

/// As the vendor's SDKs make it of the two: a name that ends in the APPID already stays as it is.
std::string whole_name(const std::string& bucket, const std::string& appid) {
    return bucket.ends_with("-" + appid) ? bucket : bucket + "-" + appid;
}

std::string shown(const std::string& text) { return text.empty() ? "(empty)" : protocol::printable(text); }

}  // namespace

bool Backend::is_running_out() const {
    if (!answered_) return false;
    // By our steady clock alone: whether the backend's calendar is right is another question.
    const auto width = key_time_.end - key_time_.start;
    const auto left = width - age();
    return width > 0s && left < std::min<Clock::duration>(enough, width / 2);
}

asio::awaitable<error_code> Backend::ask(Config& config, Clock::time_point deadline) {
    auto* const peers = run_.env().peers;
    if (peers == nullptr) co_return PeerError::no_such_probe;
    Question question{.what = questions::cos_sign, .with = {}, .deadline = deadline};
    asked_at_ = run_.env().now();
    const auto answer = co_await peers->ask(configured_.backend, std::move(question));
    if (!answer) co_return answer.error();
    co_return take(*answer, config);
}

error_code Backend::take(const PeerAnswer& answer, Config& config) {
    said_ = answer.facts;
    answered_ = true;
    const auto key_time = protocol::parse_key_time(fact(said_, "key_time"));
    key_time_ = key_time ? *key_time : protocol::KeyTime{};
    const auto sign_key = answer.secrets.find("sign_key");
    Credentials issued{.secret_id = fact(said_, "secret_id")};
    if (sign_key != answer.secrets.end()) issued.issued = Issued{sign_key->second, key_time_};

    const std::string appid = fact(said_, "appid"), region = fact(said_, "region");
    const std::string bucket = whole_name(fact(said_, "bucket"), appid);
    if (!is_number(appid)) return CosError::backend_appid;
    if (!is_bucket(bucket)) return CosError::backend_bucket;
    if (!is_region(region)) return CosError::backend_region;
    if (issued.secret_id.empty()) return CosError::backend_secret_id;
    if (!key_time || !issued.issued || issued.issued->sign_key.empty()) return CosError::backend_sign_key;
    const auto endpoint = endpoint_of(configured_, bucket, region);
    if (!endpoint) return CosError::backend_bucket;
    own_secret_id_ = configured_.own && configured_.own->secret_id == issued.secret_id;
    own_sign_key_ =
        own_secret_id_ &&
        protocol::same_digest(protocol::cos_sign_key(configured_.own->secret_key.reveal(), key_time_),
                              issued.issued->sign_key.reveal());
    config.bucket = bucket;
    config.region = region;
    config.endpoint = *endpoint;
    config.credentials = std::move(issued);
    return {};
}

void Backend::note() const {
    if (!answered_) return;
    const std::string appid = fact(said_, "appid"), region = fact(said_, "region");
    const std::string named = fact(said_, "bucket"), bucket = whole_name(named, appid);
    run_.saw("backend_bucket", shown(named) + ", APPID " + shown(appid) + ", region " + shown(region));
    run_.saw("backend_secret_id", shown(fact(said_, "secret_id")));
    run_.saw("key_time_width", std::to_string((key_time_.end - key_time_.start).count()) + " s");
    if (!configured_.bucket.empty() && bucket != configured_.bucket)
        run_.saw("backend_differs", "bucket " + shown(bucket) + ", configured is " + configured_.bucket);
    if (!configured_.region.empty() && region != configured_.region)
        run_.saw("backend_differs", "region " + shown(region) + ", configured is " + configured_.region);
    if (own_secret_id_)
        run_.saw("sign_key", own_sign_key_ ? "the one that the own pair gives"
                                           : "not the one that the own pair of this SecretId gives");
}

std::chrono::seconds Backend::behind(WallTime date, Clock::time_point at) const {
    const auto theirs = key_time_.start + (at - asked_at_);
    return std::chrono::round<std::chrono::seconds>(date - theirs);
}

}  // namespace livecanary::cos_roundtrip
