#include "daemon/probe_command.hpp"

#include <algorithm>
#include <exception>
#include <memory>
#include <optional>
#include <random>

#include <boost/asio/io_context.hpp>
#include <boost/json/serialize.hpp>

#include "daemon/anchors.hpp"
#include "daemon/exchange.hpp"
#include "daemon/execute.hpp"
#include "daemon/explain.hpp"
#include "daemon/foreground.hpp"
#include "daemon/result_json.hpp"
#include "daemon/store.hpp"
#include "probes/net/background.hpp"
#include "probes/net/connection.hpp"
#include "probes/net/resolver.hpp"

namespace livecanary::daemon {

namespace asio = boost::asio;

namespace {

constexpr auto leaving_patience = std::chrono::seconds(2);

struct Judged {
    const ProbeSettings* probe = nullptr;
    RunResult run{};
    Diagnosis found{};
    bool cut = false;
    bool told = false;  ///< it stands on the output
};

/// Whether other probes might still say more about it.
bool is_open(const Judged& judged) {
    return judged.run.outcome() == RunOutcome::failed && !judged.found.cause &&
           !judged.found.candidates.empty();
}

/// The probes asked for, or none and words to `err`.
std::vector<const ProbeSettings*> chosen(std::ostream& err, const ProbeCommand& command,
                                         const Settings& settings) {
    std::vector<const ProbeSettings*> found;
    const auto add = [&](const ProbeSettings& probe) {
        if (std::ranges::find(found, &probe) == found.end()) found.push_back(&probe);
    };
    for (const auto& name : command.names) {
        const auto at = std::ranges::find(settings.probes, name, &ProbeSettings::name);
        if (at == settings.probes.end()) {
            err << "livecanary: no probe named '" << name << "'. There are:";
            for (const auto& probe : settings.probes) err << ' ' << probe.name;
            err << '\n';
            return {};
        }
        add(*at);
    }
    for (const auto& probe : settings.probes)
        if (command.all || (!command.kind.empty() && probe.kind->name == command.kind)) add(probe);
    // What they need of others comes before them.
    for (std::size_t i = 0; i < found.size();) {
        std::size_t before = 0;
        for (const auto& name : found[i]->probe.after) {
            const auto needed = std::ranges::find(settings.probes, name, &ProbeSettings::name);
            if (needed == settings.probes.end()) continue;
            const auto at = std::ranges::find(found, &*needed);
            if (at < found.begin() + static_cast<std::ptrdiff_t>(i)) continue;
            if (at != found.end()) found.erase(at);
            found.insert(found.begin() + static_cast<std::ptrdiff_t>(i), &*needed);
            ++before;
        }
        if (before == 0) ++i;
    }
    if (found.empty() && !command.kind.empty()) {
        err << "livecanary: no probe of kind '" << command.kind << "'. There are:";
        for (const auto& probe : settings.probes) err << ' ' << probe.name << " (" << probe.kind->name << ')';
        err << '\n';
    } else if (found.empty()) {
        err << "livecanary: no probe to run: name some, or give --all or --kind\n";
    }
    return found;
}

/// One after the other: a person reads along, and nothing is measured under the load of another.
class Session {
public:
    Session(std::ostream& out, std::ostream& err, const ProbeCommand& command, const Settings& settings)
        : out_(out),
          err_(err),
          command_(command),
          settings_(settings),
          dns_(std::make_shared<net::Resolver>(io_.get_executor(), settings.dns_servers)),
          anchors_(settings.anchors) {
        exchange_.asked(asked_by(settings.probes));
    }

    std::vector<Judged> run(const std::vector<const ProbeSettings*>& probes);

private:
    asio::awaitable<void> one(Judged& judged);
    asio::awaitable<void> leave(const ProbeSettings& probe);
    asio::awaitable<void> open_ledger();
    void tell(Judged& judged);
    void take_together(std::vector<Judged>& all);
    Env world(const ProbeSettings& probe);
    Exchange::Answerer answerer(const std::string& name);
    ProbeRun::Observer observer();

    std::ostream& out_;
    std::ostream& err_;
    const ProbeCommand& command_;
    const Settings& settings_;
    asio::io_context io_{1};
    Foreground foreground_{io_};
    std::shared_ptr<net::Resolver> dns_;
    Anchors anchors_;
    Exchange exchange_{[this](const std::string& name) { return answerer(name); }};
    std::optional<StateStore> store_{};  // once a probe makes something at its target
    LagRecord lag_{};
};

ProbeRun::Observer Session::observer() {
    if (!command_.live) return {};
    return [this](const PhaseTime& phase, bool ended) {
        // Overwritten when the phase ends: one line a phase.
        if (!ended) {
            out_ << "  ...  " << phase.phase.name << '\r' << std::flush;
        } else {
            std::string name(phase.phase.name);
            name.resize(14, ' ');
            out_ << "  " << (phase.ok ? "ok  " : "FAIL") << ' ' << name << duration_text(phase.took) << '\n'
                 << std::flush;
        }
    };
}

/// Says once if what is made could not be found again after a crash.
asio::awaitable<void> Session::open_ledger() {
    StateOptions options;
    options.directory = settings_.state_directory;
    store_.emplace(std::move(options));
    const auto trouble = co_await store_->trouble();
    if (!trouble.empty())
        err_ << "livecanary: the ledger in " << settings_.state_directory << " cannot be written (" << trouble
             << "): if this is killed, what it made is not removed\n";
}

/// Without memory: it is the daemon's, and a run by hand must not move a mark of it.
Env Session::world(const ProbeSettings& probe) {
    Env env;
    env.dns = dns_.get();
    env.ledger = store_ ? &*store_ : nullptr;
    env.peers = &exchange_;
    env.probe = probe.name;
    env.location = settings_.location;
    env.random.seed((std::uint64_t{std::random_device{}()} << 32) | std::random_device{}());
    return env;
}

Exchange::Answerer Session::answerer(const std::string& name) {
    const auto at = std::ranges::find(settings_.probes, name, &ProbeSettings::name);
    if (at == settings_.probes.end()) return {};
    // The settings outlive the session.
    const std::shared_ptr<const ProbeSettings> kept(std::shared_ptr<void>(), &*at);
    return {.settings = kept, .env = [this, kept] { return world(*kept); }, .dns = dns_};
}

asio::awaitable<void> Session::leave(const ProbeSettings& probe) {
    Env env = world(probe);
    ProbeRun run(env, leaving_patience);
    co_await probe.probe.leave(run);
}

asio::awaitable<void> Session::one(Judged& judged) {
    if (judged.probe->probe.remove && !store_) co_await open_ledger();
    Env env = world(*judged.probe);
    const Honesty honesty{.lag = &lag_, .max_loop_lag = settings_.max_loop_lag};
    if (command_.live) out_ << judged.probe->name << " → " << judged.probe->probe.target << '\n';
    const auto started = env.now();
    judged.run = co_await execute(*judged.probe, env, honesty, observer());
    if (foreground_.interrupted()) co_return;
    const auto phase = judged.run.failed_phase();
    if (judged.run.outcome() == RunOutcome::failed && (phase == "dns" || phase == "tcp")) {
        if (auto control = co_await anchors_.ask(env, started)) {
            if (control->outcome == ControlOutcome::failed)
                judged.run.inconclusive = "the anchors fail too: " + control->shows;
            judged.run.controls.push_back(*std::move(control));
        }
    }
    if (judged.run.outcome() == RunOutcome::failed) {
        if (command_.live && judged.probe->probe.controls) out_ << "  ...  controls\r" << std::flush;
        co_await play_controls(*judged.probe, env, judged.run);
    }
    judged.found = judge(*judged.probe, judged.run);
}

void Session::tell(Judged& judged) {
    judged.told = true;
    if (command_.output == ProbeCommand::Output::json) {
        out_ << boost::json::serialize(to_json(*judged.probe, settings_.location, judged.run, judged.found))
             << '\n'
             << std::flush;
    } else if (command_.output == ProbeCommand::Output::people) {
        const Paper paper{command_.colour, command_.lang.empty() ? settings_.lang : command_.lang};
        if (command_.live) out_ << "\033[K\n";
        print_result(out_, *judged.probe, judged.run, judged.found, paper);
        out_ << std::flush;
    }
}

/// What the probes know together, once all have run: one command is one moment.
void Session::take_together(std::vector<Judged>& all) {
    const auto now = Clock::now();
    std::vector<Verdict> verdicts;
    for (const auto& judged : all) {
        if (judged.run.outcome() == RunOutcome::inconclusive) continue;
        verdicts.push_back(verdict_of(*judged.probe, judged.run, judged.found, now));
    }
    const auto keywords = exchange_.told(topics::keyword, 0);
    for (Judged& judged : all) {
        if (is_open(judged) && verdicts.size() <= most_of_a_system) {
            std::vector<const Verdict*> system;
            const Verdict* own = nullptr;
            for (const auto& verdict : verdicts) {
                if (verdict.system == judged.probe->system) system.push_back(&verdict);
                if (verdict.probe == judged.probe->name) own = &verdict;
            }
            auto together = conclude(*own, system, keywords, now, WallTime::min());
            const bool news = !together.by.empty();
            if (news) judged.found = std::move(together.found);
            if (news && command_.output == ProbeCommand::Output::people) {
                out_ << "taken together with the others:\n";
                judged.told = false;
            }
        }
        if (!judged.told) tell(judged);
    }
}

std::vector<Judged> Session::run(const std::vector<const ProbeSettings*>& probes) {
    std::vector<Judged> all;
    // Not within a run, which it would make late. If it fails, the run that needs it says so.
    [[maybe_unused]] const auto trusted = net::load_trust(io_.get_executor());
    net::Background lag;
    lag.start(io_.get_executor(), measure_lag(lag_, [](Clock::duration) {}),
              [](const std::exception_ptr&) {});
    for (const auto* probe : probes) {
        if (foreground_.interrupted()) break;
        // Printing the last result may have held the loop up; that lag is not the next run's.
        io_.poll();
        Judged judged{.probe = probe};
        foreground_.turn(one(judged));
        judged.cut = foreground_.interrupted();
        if (!judged.cut) all.push_back(std::move(judged));
        if (judged.cut) break;
        // A program gets each result once: one that is open waits for the others.
        if (command_.output != ProbeCommand::Output::json || probes.size() == 1 || !is_open(all.back()))
            tell(all.back());
    }
    take_together(all);
    for (const auto* probe : probes)
        if (probe->probe.leave) foreground_.finish(leave(*probe));
    lag.stop();
    // Not until the loop is empty: a lookup that outlived its run may keep it busy for seconds.
    while (lag.running() && io_.run_one() > 0) {
    }
    return all;
}

/// The output of a monitoring plugin: one line of state and performance data, and a line a probe that is not
/// ok.
int nagios(std::ostream& out, const std::vector<Judged>& all, const std::string& lang) {
    int state = 0;
    std::string worst;
    std::string details;
    std::string performance;
    for (const auto& judged : all) {
        const auto outcome = judged.run.outcome();
        const bool critical = judged.probe->severity == "critical";
        const int one = outcome == RunOutcome::ok             ? 0
                        : outcome == RunOutcome::inconclusive ? 3
                        : critical                            ? 2
                                                              : 1;
        // A proven failure outweighs what is not known.
        const auto rank = [](int code) { return code == 2 ? 3 : code == 1 ? 2 : code == 3 ? 1 : 0; };
        if (rank(one) > rank(state)) {
            state = one;
            worst = judged.probe->name + ": " + sentence(judged.run, judged.found, lang);
        }
        if (one != 0) details += judged.probe->name + ": " + sentence(judged.run, judged.found, lang) + '\n';
        performance += " '" + judged.probe->name +
                       "'=" + std::to_string(std::chrono::duration<double>(judged.run.duration).count()) +
                       "s";
    }
    static constexpr std::string_view words[] = {"OK", "WARNING", "CRITICAL", "UNKNOWN"};
    // '|' parts text from performance data.
    std::ranges::replace(worst, '|', '/');
    std::ranges::replace(details, '|', '/');
    out << "LIVECANARY " << words[state] << " - "
        << (state == 0 ? std::to_string(all.size()) + (all.size() == 1 ? " probe ok" : " probes ok") : worst)
        << " |" << performance << '\n'
        << details;
    return state;
}

}  // namespace

int probe_now(std::ostream& out, std::ostream& err, const ProbeCommand& command, const Settings& settings) {
    const auto probes = chosen(err, command, settings);
    if (probes.empty()) {
        // To a monitoring system, 2 would be an outage of the target.
        if (command.output != ProbeCommand::Output::nagios) return 2;
        out << "LIVECANARY UNKNOWN - no such probe\n";
        return 3;
    }
    Session session(out, err, command, settings);
    const auto all = session.run(probes);
    if (all.size() < probes.size()) {
        err << "livecanary: interrupted\n";
        return 4;
    }
    if (command.output == ProbeCommand::Output::nagios)
        return nagios(out, all, command.lang.empty() ? settings.lang : command.lang);
    const auto any = [&](RunOutcome outcome) {
        return std::ranges::any_of(all, [&](const Judged& j) { return j.run.outcome() == outcome; });
    };
    return any(RunOutcome::failed) ? 1 : any(RunOutcome::inconclusive) ? 3 : 0;
}

}  // namespace livecanary::daemon
