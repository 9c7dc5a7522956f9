#include "probes/backend_api/questions.hpp"

#include <algorithm>
#include <utility>

#include <boost/asio/this_coro.hpp>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include "probes/backend_api/api.hpp"
#include "probes/backend_api/replay.hpp"

namespace livecanary::backend_api {
namespace {

/// Pages of a hundred replays that are looked through; the list goes back seven days.
constexpr int most_pages = 3;
constexpr std::size_t page_size = 100;

std::string asked(const Facts& facts, std::string_view name) {
    const auto at = facts.find(name);
    return at != facts.end() ? at->second : std::string();
}

std::string unix_seconds(WallTime time) {
    return std::to_string(std::chrono::floor<std::chrono::seconds>(time).time_since_epoch().count());
}

std::string text_at(const boost::json::object& object, std::string_view name) {
    const auto* const value = object.if_contains(name);
    const auto* const text = value != nullptr ? value->if_string() : nullptr;
    return text != nullptr ? std::string(*text) : std::string();
}

asio::awaitable<error_code> cos_sign(Api& api, const State& state, ProbeRun& run, PeerAnswer& out,
                                     Clock::time_point deadline) {
    const std::string path = "/get_cos_sign", fields;
    Answer answer;
    if (const error_code code = co_await api.signed_call(path, fields, answer, deadline)) co_return code;
    const auto* const value = answer.json->if_contains("data");
    const auto* const data = value != nullptr ? value->if_object() : nullptr;
    if (data == nullptr) co_return BackendError::bad_sign_key;
    const Session& session = *state.session;
    out.facts = {
        {"secret_id", session.secret_id}, {"key_time", text_at(*data, "keyTime")},
        {"bucket", session.bucket},       {"region", session.region},
        {"appid", session.appid},         {"date", unix_seconds(answer.date.value_or(run.env().wall()))}};
    out.secrets.emplace("sign_key", config::Secret(text_at(*data, "signKey")));
    co_return error_code();
}

/// By what was asked for; all that is given must match.
bool matches(const Replay& replay, const Facts& with) {
    const std::string file_id = asked(with, "file_id"), stream_id = asked(with, "stream_id");
    std::string userid = asked(with, "userid");
    // The backend splits a stream's name at its first '_', and takes what is behind it for the user.
    if (userid.empty() && !stream_id.empty()) userid = stream_id.substr(stream_id.find('_') + 1);
    return (file_id.empty() || replay.file_id == file_id) && (userid.empty() || replay.userid == userid);
}

asio::awaitable<error_code> vod_list(Api& api, const Facts& with, PeerAnswer& out,
                                     Clock::time_point deadline) {
    const std::string path = "/get_vod_list";
    out.facts = {{"found", "no"}};
    for (int page = 1; page <= most_pages; ++page) {
        const std::string fields =
            R"("index":)" + std::to_string(page) + R"(,"count":)" + std::to_string(page_size);
        Answer answer;
        if (const error_code code = co_await api.signed_call(path, fields, answer, deadline)) co_return code;
        std::string wrong;
        const auto replays = read_replays(*answer.json, wrong);
        if (!replays) co_return replays.error();
        // Newest first.
        const auto found =
            std::ranges::find_if(*replays, [&](const Replay& replay) { return matches(replay, with); });
        if (found != replays->end()) {
            out.facts = {{"found", "yes"},
                         {"file_id", found->file_id},
                         {"userid", found->userid},
                         {"play_url", found->play_url},
                         {"hls_play_url", found->hls_play_url},
                         {"start_time", found->started ? unix_seconds(*found->started) : std::string()},
                         {"end_time", found->ended ? unix_seconds(*found->ended) : std::string()}};
            break;
        }
        if (replays->size() < page_size) break;
    }
    co_return error_code();
}

}  // namespace

asio::awaitable<result<PeerAnswer>> answer_question(const Config& config, State& state, ProbeRun& run,
                                                    const Question& question) {
    const bool of_cos = question.what == questions::cos_sign;
    if (!of_cos && question.what != questions::vod_list) co_return PeerError::not_understood;
    if (!config.has_account()) co_return BackendError::no_credentials;
    const auto deadline = std::min(question.deadline, run.deadline());
    const auto turn = co_await state.turn_at(config, run.env()).take(deadline);
    if (!turn) co_return BackendError::busy;
    const auto now = run.env().now();
    if (state.still_hanging(now) || state.another_hangs(now)) co_return BackendError::still_hanging;
    Client client(co_await asio::this_coro::executor, config.endpoint, config.prefix, run, false);
    Api api(client, config, state, run);
    const auto began = run.env().now();
    PeerAnswer out;
    error_code code;
    if (of_cos)
        code = co_await cos_sign(api, state, run, out, deadline);
    else
        code = co_await vod_list(api, question.with, out, deadline);
    if (code == BackendError::hangs) state.hangs_now(client, {}, began, {});
    client.close();
    if (code) co_return code;
    co_return out;
}

}  // namespace livecanary::backend_api
