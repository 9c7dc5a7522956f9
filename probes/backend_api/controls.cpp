#include "probes/backend_api/controls.hpp"

#include <memory>
#include <utility>

#include <boost/asio/this_coro.hpp>

#include "probes/backend_api/api.hpp"
#include "probes/backend_api/checks.hpp"

namespace livecanary::backend_api {
namespace {

/// EC_INVALID_PARAM: what the API says of a body without fields, before it touches anything.
constexpr std::int64_t invalid_param = 602;
/// What /interface.php says when it is asked for nothing.
constexpr std::int64_t no_function = 400;

std::string_view word(const RunResult& failed, Check check) { return word_in(failed.got(name_of(check))); }

asio::awaitable<Control> ask_directly(Client& client, ProbeRun& run) {
    Call call{.method = "POST", .path = "/interface.php/register"};
    call.json = "{}";
    Answer answer;
    const error_code failed = co_await client.call(call, answer, run.deadline());
    Control control{.name = direct};
    if (failed) {
        control.shows = "/interface.php/register could not be asked (" + failed.message() + ")";
    } else {
        const error_code judged = judge(answer, invalid_param);
        control.outcome = judged ? ControlOutcome::failed : ControlOutcome::passed;
        control.fingerprint = word_of(judged);
        control.shows = "/interface.php/register, without the rewrite rule, " +
                        (judged ? "answers " + control.fingerprint : std::string("answers as it must"));
    }
    co_return control;
}

asio::awaitable<Control> ask_true_address(const TrueAddress& at, ProbeRun& run) {
    Control control{.name = true_address};
    const std::string where = at.endpoint.host_header() + at.prefix;
    std::shared_ptr<Turn> turns;
    if (run.env().peers != nullptr)
        turns = run.env().peers->turn_at(at.endpoint.host + ":" + std::to_string(at.endpoint.port));
    if (!turns) turns = std::make_shared<Turn>();
    const auto turn = co_await turns->take(run.deadline());
    if (!turn || turns->closed_to(&at, run.env().now())) {
        control.shows = "the backend at " + where + " could not be asked: others wait for it";
        co_return control;
    }
    Client client(co_await asio::this_coro::executor, at.endpoint, at.prefix, run, false);
    Call call{.method = "GET", .path = "/interface.php"};
    Answer answer;
    const error_code failed = co_await client.call(call, answer, run.deadline());
    client.close();
    const error_code judged = failed ? failed : judge(answer, no_function);
    control.outcome = judged ? ControlOutcome::failed : ControlOutcome::passed;
    control.fingerprint = judged ? judged.message() : "ok";
    control.shows = "the backend at " + where +
                    (judged ? " does not answer rightly either (" + judged.message() + ")"
                            : std::string(" answers /interface.php as it must"));
    co_return control;
}

asio::awaitable<Control> ask_for_made_up(Client& client, ProbeRun& run) {
    Call call{.method = "GET", .path = "/livecanary-" + run.run_id() + ".php"};
    Answer answer;
    const error_code failed = co_await client.call(call, answer, run.deadline());
    Control control{.name = made_up_script};
    if (failed) {
        control.shows = "a script that nobody has could not be asked for (" + failed.message() + ")";
    } else {
        // PHP-FPM's own words for a script that is not there (fpm_main.c, "File not found.").
        const bool by_php = answer.code || answer.body.starts_with("File not found.");
        control.outcome = by_php ? ControlOutcome::passed : ControlOutcome::failed;
        control.fingerprint = by_php ? script_says::by_php : script_says::by_web_server;
        control.shows = std::string("a script that nobody has is answered by ") +
                        (by_php ? "PHP itself" : "the web server alone");
    }
    co_return control;
}

asio::awaitable<Control> write_a_session(Client& client, const Config& config, State& state, ProbeRun& run) {
    Api api(client, config, state, run);
    Answer answer;
    const error_code failed = co_await api.refresh(answer, run.deadline());
    Control control{.name = refresh};
    if (answer.status == 0) {
        control.shows = "a new token for the old session could not be asked for (" + failed.message() + ")";
    } else {
        control.outcome = failed ? ControlOutcome::failed : ControlOutcome::passed;
        control.fingerprint = word_of(failed);
        control.shows = "a new token for the session from before, which only Redis has to take, " +
                        (failed ? "ends in " + control.fingerprint : std::string("is given"));
    }
    co_return control;
}

}  // namespace

asio::awaitable<std::vector<Control>> play_controls(const Config& config, State& state, ProbeRun& run,
                                                    const RunResult& failed) {
    std::vector<Control> played;
    const bool php_answers = word(failed, Check::php) == "ok";
    const auto lost = [&](Check check) {
        const auto said = word(failed, check);
        return said == "not_found" || said == "not_json" || said == "other_status";
    };
    const bool rewrite = php_answers && (lost(Check::redis) || lost(Check::db));
    const bool php = word(failed, Check::php) == "not_found";
    const bool login_alone = php_answers && word(failed, Check::redis) == "ok" &&
                             word(failed, Check::db) == "ok" && word(failed, Check::login) == "empty_500" &&
                             state.session;
    // The address as such is in doubt only where no backend of ours answers at it.
    if (config.same_as && (word(failed, Check::php).empty() || lost(Check::php))) {
        Control there = co_await ask_true_address(*config.same_as, run);
        played.push_back(std::move(there));
    }
    if (!rewrite && !php && !login_alone) co_return played;
    const auto turn = co_await state.turn_at(config, run.env()).take(run.deadline());
    const auto now = run.env().now();
    if (!turn || state.still_hanging(now) || state.another_hangs(now)) co_return played;
    Client client(co_await asio::this_coro::executor, config.endpoint, config.prefix, run, false);
    const auto began = run.env().now();
    Control control;
    if (rewrite)
        control = co_await ask_directly(client, run);
    else if (login_alone)
        control = co_await write_a_session(client, config, state, run);
    else
        control = co_await ask_for_made_up(client, run);
    const bool hangs = control.outcome == ControlOutcome::inconclusive && client.is_outstanding();
    if (hangs) state.hangs_now(client, {}, began, {});
    client.close();
    played.push_back(std::move(control));
    co_return played;
}

}  // namespace livecanary::backend_api
