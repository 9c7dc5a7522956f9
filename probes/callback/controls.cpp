#include "probes/callback/controls.hpp"

#include <algorithm>
#include <utility>

#include <boost/asio/error.hpp>
#include <boost/asio/this_coro.hpp>

namespace livecanary::callback {
namespace {

using namespace std::chrono_literals;

/// For one request: all of these are answered within milliseconds by a backend that works.
constexpr auto patience = 3s;

std::string trimmed(const std::string& text) {
    constexpr std::string_view space = " \t\r\n";
    const auto first = text.find_first_not_of(space);
    if (first == text.npos) return {};
    return text.substr(first, text.find_last_not_of(space) + 1 - first);
}

using Healthy = bool (*)(const Reply&);

bool has_code(const Reply& reply, std::int64_t code) {
    return reply.status == 200 && reply.said.code == code;
}

class Experiment {
public:
    Experiment(const Config& config, State& state, ProbeRun& run, asio::any_io_executor executor)
        : config_(config),
          run_(run),
          client_(std::move(executor), *config.url, config.address, config.ca_file, run.env(), state.gate) {}

    asio::awaitable<void> get(std::string_view name, std::string target, Healthy healthy) {
        if (hung_) co_return;
        Reply reply;
        const error_code code = co_await client_.get(std::move(target), reply, until());
        keep(name, code, reply, healthy);
    }
    asio::awaitable<void> post(std::string_view name, std::string text, Healthy healthy) {
        if (hung_) co_return;
        Reply reply;
        const error_code code = co_await client_.post(std::move(text), reply, until());
        keep(name, code, reply, healthy);
    }
    Bodies bodies() { return Bodies(config_, run_.env()); }
    std::vector<Control> take() {
        client_.close();
        return std::move(played_);
    }

private:
    Clock::time_point until() const {
        return std::min<Clock::time_point>(run_.deadline(), run_.env().now() + patience);
    }
    void keep(std::string_view name, error_code code, const Reply& reply, Healthy healthy) {
        Control control{.name = name};
        if (code) {
            hung_ = true;
            control.shows = "no answer: " + code.message();
        } else {
            control.outcome = healthy(reply) ? ControlOutcome::passed : ControlOutcome::failed;
            control.fingerprint = fingerprint(reply);
            control.shows = control.fingerprint;
        }
        played_.push_back(std::move(control));
    }

    const Config& config_;
    ProbeRun& run_;
    Client client_;
    bool hung_ = false;
    std::vector<Control> played_{};
};

/// nginx answers that itself: 403 where there is no index (measured).
bool is_answered(const Reply& reply) { return reply.status < 500; }

asio::awaitable<void> play(const Config& config, Experiment& experiment, const RunResult& failed) {
    std::string target = "/";
    co_await experiment.get(web_server, std::move(target), is_answered);
    if (failed.code == asio::error::timed_out || failed.code == CallbackError::too_late) co_return;

    std::string interface = "/interface.php";
    co_await experiment.get(interface_php, std::move(interface),
                            [](const Reply& reply) { return has_code(reply, 400); });
    const Healthy past_the_key = [](const Reply& reply) { return has_code(reply, 4002); };
    const Healthy good = [](const Reply& reply) { return reply.good(); };
    const std::string& key = config.key.reveal();
    std::string check = experiment.bodies().key_check(key);
    co_await experiment.post(key_check, std::move(check), past_the_key);
    std::string wrong = experiment.bodies().wrongly_signed_key_check();
    co_await experiment.post(wrong_sign, std::move(wrong), past_the_key);
    if (const std::string bare = trimmed(key); bare != key) {
        std::string again = experiment.bodies().key_check(bare);
        co_await experiment.post(trimmed_key, std::move(again), past_the_key);
    }
    if (failed.got("failed_event") == "100" || failed.code == CallbackError::unsigned_accepted) {
        std::string end = experiment.bodies().event(0);
        co_await experiment.post(event_0, std::move(end), good);
    }
    if (failed.fingerprint == "HTTP 200 code 4002" && !config.record.video_id) {
        std::string recording = experiment.bodies().short_recording();
        co_await experiment.post(with_video_id, std::move(recording), good);
    }
    if (failed.fingerprint == "HTTP 200 code 2003" && config.mutates &&
        config.stream_id.find('_') == std::string::npos) {
        std::string recording = experiment.bodies().recording_with_underscore();
        co_await experiment.post(underscore, std::move(recording), good);
    }
}

}  // namespace

asio::awaitable<std::vector<Control>> play_controls(const Config& config, State& state, ProbeRun& run,
                                                    const RunResult& failed) {
    const auto phase = failed.failed_phase();
    const bool asked = phase == request.name || phase == first_byte.name || phase == body.name;
    if (!config.url || !asked) co_return std::vector<Control>{};
    // After a hang the gate is closed; the web server's own answer needs none of what hangs.
    const bool hung = state.gate.closed_until(run.env().now()).has_value();
    std::optional<Turn::Hold> pass;
    if (!hung) {
        auto entered = co_await state.gate.enter(run.env(), *config.url, run.deadline());
        if (!entered) co_return std::vector<Control>{};
        pass.emplace(*std::move(entered));
    }
    Experiment experiment(config, state, run, co_await asio::this_coro::executor);
    if (hung) {
        std::string target = "/";
        co_await experiment.get(web_server, std::move(target), is_answered);
    } else {
        co_await play(config, experiment, failed);
    }
    co_return experiment.take();
}

}  // namespace livecanary::callback
