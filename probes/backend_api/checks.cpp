#include "probes/backend_api/checks.hpp"

#include <algorithm>
#include <cstdio>
#include <utility>

#include <boost/asio/this_coro.hpp>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include "probes/backend_api/api.hpp"
#include "probes/backend_api/pattern.hpp"
#include "probes/backend_api/replay.hpp"
#include "probes/protocol/cos_sign.hpp"
#include "probes/protocol/printable.hpp"
#include "probes/protocol/user_sig.hpp"

namespace livecanary::backend_api {
namespace {

using namespace std::chrono_literals;

constexpr std::int64_t success = 200, bad_request = 400, token_not_valid = 498, no_such_user = 620;
/// Of a run's time: no request is started with less than this left, lest its end is taken for a hang.
constexpr int least_part_left = 10;
/// A password field of the right form that no account has.
constexpr const char* nobodys_password = "00000000000000000000000000000000";
constexpr const char* first_page = R"("index":1,"count":20)";
/// Whole seconds of Date, and the time an answer takes.
constexpr auto date_tolerance = 2s;

std::string milliseconds_text(Clock::duration d) {
    char text[32];
    std::snprintf(text, sizeof text, "%.1f ms", std::chrono::duration<double, std::milli>(d).count());
    return text;
}

std::string age_text(std::chrono::seconds age) {
    if (age < 2min) return std::to_string(age.count()) + " s";
    if (age < 2h) return std::to_string(age / 1min) + " min";
    return std::to_string(age / 1h) + " h";
}

const boost::json::object* object_at(const boost::json::object& object, std::string_view name) {
    const auto* const value = object.if_contains(name);
    return value != nullptr ? value->if_object() : nullptr;
}
std::string_view text_at(const boost::json::object& object, std::string_view name) {
    const auto* const value = object.if_contains(name);
    const auto* const text = value != nullptr ? value->if_string() : nullptr;
    return text != nullptr ? std::string_view(text->data(), text->size()) : std::string_view();
}

bool is_hex40(std::string_view text) {
    return text.size() == 40 &&
           std::ranges::all_of(text, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

/// What only the files themselves hold, not a page that a web server gives for everything.
bool holds_configuration(std::string_view text) {
    for (const std::string_view mark :
         {"[DB]", "[REDIS]", "PASSWD", "CREATE TABLE", "CREATE DATABASE", "GRANT "})
        if (text.find(mark) != text.npos) return true;
    return false;
}

asio::awaitable<bool> is_cut() {
    co_return (co_await asio::this_coro::cancellation_state).cancelled() != asio::cancellation_type::none;
}

/// The way to the backend is gone: whatever comes next would fail alike.
bool is_gone(const error_code& code) {
    const Reason reason = reason_of(code);
    return code.category() != make_error_code(BackendError::hangs).category() &&
           (reason == Reason::refused || reason == Reason::unreachable || reason == Reason::timeout);
}

class Checks {
public:
    Checks(const Config& config, State& state, ProbeRun& run, boost::asio::any_io_executor executor)
        : config_(config),
          state_(state),
          run_(run),
          executor_(executor),
          client_(std::move(executor), config.endpoint, config.prefix, run, true),
          api_(client_, config, state, run) {}

    asio::awaitable<void> whole();

private:
    asio::awaitable<void> make(Check check);
    asio::awaitable<error_code> perform(Check check, Answer& answer);
    asio::awaitable<error_code> static_page(Answer& answer);
    asio::awaitable<error_code> expect(std::string method, std::string path, std::string json,
                                       std::int64_t code, Answer& answer);
    asio::awaitable<error_code> login(Answer& answer);
    error_code user_sig(const Answer& answer);
    asio::awaitable<error_code> vod_list(Answer& answer);
    error_code ages(const std::vector<Replay>& replays, const Answer& answer);
    asio::awaitable<error_code> fetch(const Replay& replay);
    asio::awaitable<error_code> cos_sign(Answer& answer);
    asio::awaitable<error_code> secrets_hidden(Answer& answer);
    void note(Check check, const error_code& code, const Answer& answer);
    void fails(std::string how, const error_code& code);
    void says_still_hanging();
    void took_our_time();
    void sum_up();

    std::string_view word(std::string_view check) const {
        for (const auto& [name, said] : pattern_)
            if (name == check) return said;
        return {};
    }
    /// A user that nobody can be: each run another.
    std::string nobody() const { return "lc" + run_.run_id(); }
    WallTime now_of(const Answer& answer) const { return answer.date.value_or(run_.env().wall()); }
    bool has_time() const {
        return run_.deadline() - run_.env().now() > (run_.deadline() - run_.started()) / least_part_left;
    }

    const Config& config_;
    State& state_;
    ProbeRun& run_;
    bool waited_ = false;  ///< for our turn, more than half of the time
    boost::asio::any_io_executor executor_;
    Client client_;
    Api api_;
    Pattern pattern_{};
    std::size_t good_ = 0;
    bool over_ = false;          // nothing more may be asked
    bool login_failed_ = false;  // in this run
    std::string newest_{};       // for people
};

void Checks::fails(std::string how, const error_code& code) {
    if (run_.has_failed()) return;
    run_.saw("ended", code.message());
    run_.failed(code);
    if (how.empty()) how = run_.so_far().failed_phase();
    run_.fingerprint(how + " " + std::string(word_of(code)));
}

void Checks::note(Check check, const error_code& code, const Answer& answer) {
    const std::string_view name = name_of(check);
    std::string said(word_of(code));
    pattern_.emplace_back(name, said);
    said += ':';
    if (answer.status == 0) {
        said += ' ' + (code ? code.message() : std::string("not asked"));
    } else {
        said += " HTTP " + std::to_string(answer.status);
        if (answer.code) said += ", code " + std::to_string(*answer.code);
        if (answer.body.empty()) said += ", empty";
        said += ", " + milliseconds_text(answer.took);
        if (code && answer.json)
            if (const auto message = text_at(*answer.json, "message"); !message.empty())
                said += " (" + protocol::printable(message) + ")";
        run_.found(check_seconds, std::chrono::duration<double>(answer.took).count(), name);
    }
    run_.saw(name, std::move(said));
    run_.found(check_ok, code ? 0 : 1, name);
    if (!code) ++good_;
}

asio::awaitable<error_code> Checks::expect(std::string method, std::string path, std::string json,
                                           std::int64_t code, Answer& answer) {
    Call call{.method = std::move(method), .path = std::move(path)};
    call.json = std::move(json);
    const error_code failed = co_await client_.call(call, answer, run_.deadline());
    co_return failed ? failed : judge(answer, code);
}

asio::awaitable<error_code> Checks::static_page(Answer& answer) {
    Call call{.method = "GET", .path = "/"};
    if (const error_code failed = co_await client_.call(call, answer, run_.deadline())) co_return failed;
    if (config_.static_status != 0)
        co_return answer.status == config_.static_status ? error_code()
                                                         : error_code(BackendError::other_status);
    // Any page will do, and any refusal: that the web server speaks is the question.
    const error_code judged = judge(answer, success);
    const bool speaks = answer.status / 100 < 5 && judged != BackendError::limited;
    co_return speaks ? error_code() : judged;
}

error_code Checks::user_sig(const Answer& answer) {
    if (!config_.im) return {};
    const auto* const data = object_at(*answer.json, "data");
    const auto* const sign = data != nullptr ? object_at(*data, "roomservice_sign") : nullptr;
    if (sign == nullptr) return BackendError::user_sig_unreadable;
    const auto sig = protocol::parse_user_sig(text_at(*sign, "userSig"));
    if (!sig) {
        run_.saw(saw::wrong, sig.error().message());
        return BackendError::user_sig_unreadable;
    }
    const auto now = std::chrono::floor<std::chrono::seconds>(run_.env().wall());
    const auto check =
        protocol::check_user_sig(*sig, {config_.userid, config_.im->sdkappid, config_.im->key.reveal()}, now);
    run_.saw("user_sig", "SDKAppID " + std::to_string(sig->sdkappid) + ", for " +
                             protocol::printable(sig->identifier) + ", ends in " +
                             std::to_string(-check.expired_for.count()) + " s");
    const auto* const said = sign->if_contains("sdkAppID");
    const bool said_differs =
        said != nullptr && said->is_int64() && said->get_int64() != config_.im->sdkappid;
    if (check.sdkappid_differs || said_differs) {
        run_.saw(saw::wrong, "SDKAppID " + std::to_string(sig->sdkappid) + ", configured is " +
                                 std::to_string(config_.im->sdkappid));
        return BackendError::user_sig_sdkappid;
    }
    if (check.identifier_differs) return BackendError::user_sig_identifier;
    if (check.expired()) return BackendError::user_sig_expired;
    if (!config_.im->key.empty() && check.key == protocol::KeyFound::none) return BackendError::user_sig_key;
    if (check.stray_space == protocol::KeySpace::theirs) {
        run_.saw(saw::wrong, "the backend signs with white space around the key");
        return BackendError::user_sig_key;
    }
    return {};
}

asio::awaitable<error_code> Checks::login(Answer& answer) {
    const error_code failed = co_await api_.login(answer, run_.deadline());
    login_failed_ = static_cast<bool>(failed);
    co_return failed ? failed : user_sig(answer);
}

error_code Checks::ages(const std::vector<Replay>& replays, const Answer& answer) {
    std::optional<WallTime> newest;
    for (const Replay& replay : replays)
        if (replay.ended && (!newest || *replay.ended > *newest)) newest = replay.ended;
    if (newest) {
        // Another zone at the database shows as an age below zero; the clock is the backend's own.
        const auto age = std::max(0s, std::chrono::floor<std::chrono::seconds>(now_of(answer) - *newest));
        run_.found(newest_replay_age, static_cast<double>(age.count()));
        newest_ = "newest replay " + age_text(age) + " old";
        run_.saw("replays",
                 std::to_string(replays.size()) + " on the first page, the newest " + age_text(age) + " old");
        if (!config_.max_age || age <= *config_.max_age) return {};
        run_.saw(saw::wrong, "the newest replay is " + age_text(age) + " old");
    } else {
        newest_ = "no replays";
        run_.saw("replays", "none");
        if (!config_.max_age) return {};
        run_.saw(saw::wrong, "there is no replay of the last 7 days");
    }
    return BackendError::stale;
}

/// From wherever it lies: another host, as a rule.
asio::awaitable<error_code> Checks::fetch(const Replay& replay) {
    const auto url = net::parse_http_url(replay.url());
    if (!url) co_return url.error();
    const Endpoint endpoint{.tls = url->tls, .host = url->host, .port = url->port};
    Client client(executor_, endpoint, {}, run_, true);
    Call call{.method = "GET", .path = url->target, .range = "bytes=0-1023"};
    Answer answer;
    const error_code failed = co_await client.call(call, answer, run_.deadline());
    client.close();
    run_.saw("play_url",
             failed ? failed.message() : "HTTP " + std::to_string(answer.status) + " of " + url->host);
    // That it hangs is no request of the backend's.
    if (failed) co_return BackendError::replay_unplayable;
    if (answer.status / 100 == 2 || answer.status / 100 == 3) co_return error_code();
    if (answer.status == 401 || answer.status == 403) co_return BackendError::replay_refused;
    co_return answer.status == 404 ? BackendError::replay_not_found : BackendError::replay_unplayable;
}

asio::awaitable<error_code> Checks::vod_list(Answer& answer) {
    const error_code failed = co_await api_.signed_call("/get_vod_list", first_page, answer, run_.deadline());
    if (failed) co_return failed;
    std::string wrong;
    const auto replays = read_replays(*answer.json, wrong);
    if (!replays) {
        run_.saw(saw::wrong, wrong);
        co_return replays.error();
    }
    const error_code old = ages(*replays, answer);
    if (old || !config_.fetch_play_url || replays->empty()) co_return old;
    co_return co_await fetch(replays->front());
}

asio::awaitable<error_code> Checks::cos_sign(Answer& answer) {
    const error_code failed = co_await api_.signed_call("/get_cos_sign", {}, answer, run_.deadline());
    if (failed) co_return failed;
    const auto* const data = object_at(*answer.json, "data");
    if (data == nullptr || !is_hex40(text_at(*data, "signKey"))) {
        run_.saw(saw::wrong, "signKey is not 40 hexadecimal digits");
        co_return BackendError::bad_sign_key;
    }
    const auto key_time = protocol::parse_key_time(text_at(*data, "keyTime"));
    const auto now = now_of(answer);
    if (!key_time || key_time->end <= key_time->start || now < key_time->start - date_tolerance ||
        now > key_time->end + date_tolerance) {
        run_.saw(saw::wrong, "keyTime is '" + protocol::printable(text_at(*data, "keyTime")) +
                                 "', which the backend's own Date does not lie in");
        co_return BackendError::bad_sign_key;
    }
    run_.saw("key_time_width", std::to_string((key_time->end - key_time->start).count()) + " s");
    co_return error_code();
}

asio::awaitable<error_code> Checks::secrets_hidden(Answer& answer) {
    for (const char* path : {"/conf/cdn.route.ini", "/createDB.sh"}) {
        Call call{.method = "GET", .path = path};
        if (const error_code failed = co_await client_.call(call, answer, run_.deadline())) co_return failed;
        if (judge(answer, success) == BackendError::limited) co_return BackendError::limited;
        // A path that is no file goes to the API, which answers 200 too.
        if (answer.status != 200 || answer.code || !holds_configuration(answer.body)) continue;
        run_.saw(saw::exposed, path);
        co_return BackendError::exposed;
    }
    co_return error_code();
}

asio::awaitable<error_code> Checks::perform(Check check, Answer& answer) {
    switch (check) {
        case Check::static_page:
            co_return co_await static_page(answer);
        case Check::php:
            co_return co_await expect("GET", "/interface.php", {}, bad_request, answer);
        case Check::redis:
            // The parameters are checked before the signature, so they must be right to get to Redis.
            co_return co_await expect("POST", "/get_vod_list", api_.body_of(nobody(), first_page),
                                      token_not_valid, answer);
        case Check::db:
            co_return co_await expect(
                "POST", "/login",
                api_.body_of(nobody(), R"("password":")" + std::string(nobodys_password) + '"'), no_such_user,
                answer);
        case Check::login:
            co_return co_await login(answer);
        case Check::vod_list:
            co_return co_await vod_list(answer);
        case Check::cos_sign:
            co_return co_await cos_sign(answer);
        case Check::secrets_hidden:
            co_return co_await secrets_hidden(answer);
    }
    co_return error_code();
}

asio::awaitable<void> Checks::make(Check check) {
    const std::string_view name = name_of(check);
    const bool signed_one = check == Check::vod_list || check == Check::cos_sign;
    if (signed_one && login_failed_ && !state_.session) {
        pattern_.emplace_back(name, "not_asked");
        run_.saw(name, "not_asked: there is no session");
        co_return;
    }
    Answer answer;
    if (!has_time() && waited_) {
        over_ = true;
        co_return took_our_time();
    }
    if (!has_time()) {
        over_ = true;
        note(check, BackendError::out_of_time, answer);
        co_return fails(std::string(name), BackendError::out_of_time);
    }
    const auto began = run_.env().now();
    const bool by_old_token = signed_one && login_failed_;
    const error_code code = co_await perform(check, answer);
    if (code == BackendError::hangs) {
        over_ = true;
        state_.hangs_now(client_, name, began, pattern_);
    }
    if (co_await is_cut()) {
        run_.cut();
        over_ = true;
        co_return;
    }
    if (code == BackendError::limited) {
        over_ = true;
        run_.inconclusive("the backend limits our rate: HTTP " + std::to_string(answer.status) +
                          (answer.code ? ", code " + std::to_string(*answer.code) : "") + " to the check " +
                          std::string(name));
        run_.saw(name, "limited: HTTP " + std::to_string(answer.status));
        co_return fails(std::string(name), code);
    }
    note(check, code, answer);
    if (by_old_token && !code)
        run_.saw(saw::old_token, std::string(name) + " works with the session from before");
    if (!code) co_return;
    if (is_gone(code)) over_ = true;
    fails(std::string(name), code);
}

/// Slow was another request than ours, which its own probe tells of.
void Checks::took_our_time() {
    run_.inconclusive("another probe's question to this backend took the time");
    run_.failed(BackendError::busy);
}

void Checks::says_still_hanging() {
    const Hung& hung = state_.hung.front();
    const auto whole_seconds = [](Clock::duration d) {
        return std::to_string(std::chrono::floor<std::chrono::seconds>(d).count()) + " s";
    };
    // How the run ended in which it hung; of the web server this run knows better.
    for (const auto& [name, said] : hung.before) {
        if (!word(name).empty()) continue;
        pattern_.emplace_back(name, said);
        run_.saw(name, said + ": before the request that hangs");
    }
    const std::string_view name = hung.check.empty() ? std::string_view("other") : hung.check;
    pattern_.emplace_back(name, "hangs");
    run_.saw(name, "hangs: asked by an earlier run");
    if (!hung.check.empty()) run_.found(check_ok, 0, name);
    run_.saw(saw::hanging, "no answer for " + whole_seconds(run_.env().now() - hung.since) +
                               "; PHP is asked again once it comes, or after " +
                               whole_seconds(state_.patience()));
    run_.enter(first_byte);
    fails(std::string(name), BackendError::still_hanging);
}

void Checks::sum_up() {
    if (state_.hung.empty() && !run_.was_cut()) state_.hangs = 0;
    if (api_.relogins() > 0) run_.saw(saw::relogin, "the session had ended, and was made anew");
    const Part part = broken_part([this](std::string_view check) { return word(check); });
    if (part != Part::none) run_.saw(saw::broken, std::string(to_string(part)));
    run_.headline(std::to_string(good_) + (good_ == 1 ? " check" : " checks") +
                  (newest_.empty() ? "" : ", " + newest_));
}

asio::awaitable<void> Checks::whole() {
    const auto turn = co_await state_.turn_at(config_, run_.env()).take(run_.deadline());
    if (!turn) co_return took_our_time();
    const auto now = run_.env().now();
    const bool hanging = state_.still_hanging(now);
    waited_ = now - run_.started() > (run_.deadline() - run_.started()) / 2;
    if (!hanging && state_.another_hangs(run_.env().now())) {
        run_.inconclusive(
            "another probe's request to this backend is not answered, so none is made: each holds "
            "one of its few workers");
        co_return run_.failed(BackendError::busy);
    }
    if (const error_code code = co_await client_.connect(run_.deadline())) {
        if (co_await is_cut()) run_.cut();
        co_return fails({}, code);
    }
    for (const Check check : config_.checks) {
        if (over_) break;
        // The web server answers this one without PHP.
        const bool harmless = check == Check::static_page && !state_.hangs_at(check);
        if (!hanging || harmless) co_await make(check);
    }
    if (hanging && !run_.was_cut()) says_still_hanging();
    client_.close();
    sum_up();
}

}  // namespace

asio::awaitable<void> run_checks(const Config& config, State& state, ProbeRun& run) {
    Checks checks(config, state, run, co_await asio::this_coro::executor);
    co_await checks.whole();
}

}  // namespace livecanary::backend_api
