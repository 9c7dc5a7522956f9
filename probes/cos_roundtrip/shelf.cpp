#include "probes/cos_roundtrip/shelf.hpp"

#include <algorithm>
#include <utility>

#include <boost/asio/this_coro.hpp>

#include "probes/cos_roundtrip/backend.hpp"
#include "probes/cos_roundtrip/keys.hpp"
#include "probes/protocol/cos_objects.hpp"

namespace livecanary::cos_roundtrip {
namespace {

using namespace std::chrono_literals;

/// How long the signature holds with which another probe may fetch the object.
constexpr auto fetch_lifetime = 5min;
/// Younger than this, an object may be of a run under way, also in a process whose ledger we do not see: no
/// run may take longer (the longest timeout of a probe).
constexpr auto stray_age = 24h;
/// Of one listing: some 400 bytes each.
constexpr std::size_t most_strays = 200;

/// No error: it is gone, or was not there.
asio::awaitable<error_code> erase(const Config& config, ProbeRun& run, const std::string& key) {
    Client client(co_await asio::this_coro::executor, config.endpoint, config.credentials,
                  config.signature_lifetime, run);
    Call call{.method = "DELETE", .key = key};
    Answer answer;
    const error_code code = co_await client.call(call, answer, run.deadline());
    client.close();
    if (code || answer.status == 404) co_return code;
    co_return error_of(answer);
}

/// Puts into `config` who signs outside of a round trip: the key pair, the monitor's own one beside a
/// backend, or else the backend.
asio::awaitable<error_code> sign_by_any(const Config& configured, ProbeRun& run, Clock::time_point deadline,
                                        Config& config) {
    config = configured;
    if (configured.own) config.credentials = *configured.own;
    if (configured.backend.empty() || configured.own) co_return error_code{};
    Backend backend(configured, run);
    const auto code = co_await backend.ask(config, deadline);
    co_return code;
}

std::shared_ptr<const void> held(const std::shared_ptr<KeptObject>& object) {
    ++object->holders;
    const auto release = [weak = std::weak_ptr(object)](const void*) {
        const auto still = weak.lock();
        if (!still || --still->holders > 0 || !still->on_release) return;
        still->on_release();
    };
    return {static_cast<const void*>(object.get()), release};
}

}  // namespace

asio::awaitable<result<PeerAnswer>> answer(const Config& config, const Shelf& shelf, ProbeRun& run,
                                           const Question& question) {
    if (question.what != questions::object || config.endpoint.v4) co_return PeerError::not_understood;
    if (shelf.objects.empty() || shelf.objects.back()->leaving) co_return PeerError::nothing_yet;
    const auto object = shelf.objects.back();
    PeerAnswer given;
    given.hold = held(object);  // before anything is waited for
    Config working;
    if (const auto code =
            co_await sign_by_any(config, run, std::min(question.deadline, run.deadline()), working))
        co_return code;
    const auto now = std::chrono::floor<std::chrono::seconds>(run.env().wall());
    const auto& endpoint = object->endpoint;
    const auto milliseconds =
        std::chrono::duration_cast<std::chrono::milliseconds>(object->uploaded.time_since_epoch());
    given.facts = {
        {"url", (endpoint.tls ? "https://" : "http://") + endpoint.host_header() + "/" + object->key},
        {"path", "/" + object->key},
        {"size", std::to_string(object->expected.size)},
        {"md5", object->expected.md5_hex},
        {"crc64", std::to_string(object->expected.crc64)},
        {"etag", object->etag},
        {"uploaded", std::to_string(milliseconds.count())},
        {"address", endpoint.address ? endpoint.address->to_string() : std::string()},
        {"ca_file", endpoint.ca_file}};
    given.secrets.emplace("authorization",
                          signed_get(endpoint, working.credentials, object->key, now, fetch_lifetime));
    given.secrets.emplace("token", working.credentials.token);
    co_return result<PeerAnswer>(std::move(given));
}

asio::awaitable<void> clear(const Config& config, Shelf& shelf, ProbeRun& run) {
    const auto all = std::exchange(shelf.objects, {});
    if (all.empty()) co_return;
    Config working;
    if (co_await sign_by_any(config, run, run.deadline(), working)) co_return;
    for (const auto& object : all) {
        working.endpoint = object->endpoint;
        if (co_await erase(working, run, object->key)) continue;
        if (run.env().ledger != nullptr) co_await run.env().ledger->strike(object->litter);
    }
}

asio::awaitable<error_code> remove_litter(const Config& config, const Shelf& shelf, ProbeRun& run,
                                          const Litter& litter) {
    for (const auto& object : shelf.objects)
        if (object->litter.item == litter.item)
            co_return make_error_code(boost::system::errc::device_or_resource_busy);
    const auto space = litter.item.find(' ');
    if (space == std::string::npos) co_return error_code{};
    const std::string key = litter.item.substr(space + 1);
    Config working;
    if (const auto code = co_await sign_by_any(config, run, run.deadline(), working)) co_return code;
    if (config.own && litter.item != item_of(working.endpoint, key)) {
        // Only the backend knows where its bucket is.
        Backend backend(config, run);
        if (const auto code = co_await backend.ask(working, run.deadline())) co_return code;
        working.credentials = *config.own;
    }
    // The endpoint may have been configured anew since; then these are not its keys.
    if (litter.item != item_of(working.endpoint, key)) co_return CosError::other_endpoint;
    const auto code = co_await erase(working, run, key);
    co_return code;
}

asio::awaitable<result<std::vector<Litter>>> find_strays(const Config& config, ProbeRun& run) {
    std::vector<Litter> strays;
    if (config.endpoint.v4) co_return strays;
    Config working;
    if (const auto code = co_await sign_by_any(config, run, run.deadline(), working)) co_return code;
    if (working.endpoint.host.empty()) {
        // Only the backend knows where its bucket is.
        Backend backend(config, run);
        if (const auto code = co_await backend.ask(working, run.deadline())) co_return code;
        if (config.own) working.credentials = *config.own;
    }
    const std::string folder = folder_of(config, run.env());
    Client client(co_await asio::this_coro::executor, working.endpoint, working.credentials,
                  working.signature_lifetime, run);
    Call call{.method = "GET"};
    call.query = {{"prefix", folder}, {"max-keys", std::to_string(most_strays)}};
    Answer answer;
    const error_code code = co_await client.call(call, answer, run.deadline());
    client.close();
    if (code) co_return code;
    if (const auto refused = error_of(answer)) co_return refused;
    const auto list = protocol::parse_cos_objects(answer.body);
    if (!list) co_return list.error();
    for (const std::string& key : list->keys) {
        const auto made = made_at(key, folder);
        if (!made || run.env().wall() - *made < stray_age) continue;
        Litter litter{.probe = run.env().probe, .store = "cos", .item = item_of(working.endpoint, key)};
        litter.made = *made;
        strays.push_back(std::move(litter));
    }
    co_return strays;
}

}  // namespace livecanary::cos_roundtrip
