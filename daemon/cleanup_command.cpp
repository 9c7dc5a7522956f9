#include "daemon/cleanup_command.hpp"

#include <algorithm>
#include <cerrno>
#include <exception>
#include <memory>
#include <random>
#include <set>
#include <system_error>
#include <vector>

#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/this_coro.hpp>

#include "config/units.hpp"
#include "daemon/exchange.hpp"
#include "daemon/foreground.hpp"
#include "daemon/store.hpp"
#include "daemon/sweep.hpp"
#include "probes/net/connection.hpp"
#include "probes/net/resolver.hpp"

namespace livecanary::daemon {

namespace asio = boost::asio;

namespace {

StateOptions options_of(const CleanupCommand& command, const Settings& settings) {
    StateOptions options;
    options.directory = settings.state_directory;
    options.look = command.look;
    return options;
}

class Cleaner {
public:
    Cleaner(std::ostream& out, std::ostream& err, const CleanupCommand& command, const Settings& settings)
        : out_(out),
          err_(err),
          command_(command),
          settings_(settings),
          dns_(std::make_shared<net::Resolver>(io_.get_executor(), settings.dns_servers)) {
        exchange_.asked(asked_by(settings.probes));
    }

    int run();

private:
    asio::awaitable<void> clean();
    asio::awaitable<void> remove_all(const std::vector<HeldLitter>& all);
    asio::awaitable<void> remove(const ProbeSettings& probe, const Litter& litter);
    asio::awaitable<void> clean_strays(const std::vector<HeldLitter>& all);
    Env env_of(const ProbeSettings& probe);
    Exchange::Answerer answerer(const std::string& name);
    void report(const ProbeSettings& probe, const Litter& litter, const error_code& code);
    void list(const std::vector<HeldLitter>& all);

    std::ostream& out_;
    std::ostream& err_;
    const CleanupCommand& command_;
    const Settings& settings_;
    asio::io_context io_{1};
    Foreground foreground_{io_};
    std::shared_ptr<net::Resolver> dns_;
    Exchange exchange_{[this](const std::string& name) { return answerer(name); }};
    std::optional<StateStore> store_{};              // if there is a file
    std::set<std::string, std::less<>> hopeless_{};  // probes whose target is not to be reached
    std::size_t removed_ = 0;
    std::size_t left_ = 0;  // that could not be removed
    bool unreadable_ = false;
};

void Cleaner::list(const std::vector<HeldLitter>& all) {
    const auto now = std::chrono::system_clock::now();
    std::vector<std::vector<std::string>> rows{{"PROBE", "STORE", "AGE", "OWNER", "ITEM"}};
    for (const auto& held : all) {
        const auto age = std::chrono::floor<std::chrono::seconds>(std::max(now - held.litter.made, {}));
        rows.push_back({held.litter.probe, held.litter.store, config::format_duration(age),
                        held.hands == Hands::nobody ? "gone" : "alive", held.litter.item});
    }
    std::vector<std::size_t> widths(rows.front().size());
    for (const auto& row : rows)
        for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
    for (auto& row : rows) {
        for (std::size_t i = 0; i + 1 < row.size(); ++i) {
            row[i].resize(widths[i] + 2, ' ');
            out_ << row[i];
        }
        out_ << row.back() << '\n';
    }
}

asio::awaitable<void> Cleaner::clean() {
    co_await asio::this_coro::throw_if_cancelled(false);
    std::vector<HeldLitter> all;
    std::string trouble;
    // Not made for looking into it. Any other trouble with it is said by the store.
    if (::access((settings_.state_directory + "/state.sqlite").c_str(), F_OK) == 0 || errno != ENOENT) {
        store_.emplace(options_of(command_, settings_));
        all = co_await store_->all();
        trouble = co_await store_->trouble();
    }
    if (!trouble.empty()) {
        err_ << "livecanary: the ledger in " << settings_.state_directory << " cannot be used: " << trouble
             << '\n';
        unreadable_ = true;
        co_return;
    }
    if (all.empty()) {
        out_ << "Nothing stands in the ledger.\n";
    } else {
        list(all);
        if (!command_.dry_run) co_await remove_all(all);
    }
    if (!foreground_.interrupted()) co_await clean_strays(all);
    if (!store_) co_return;
    trouble = co_await store_->trouble();
    if (trouble.empty()) co_return;
    err_ << "livecanary: what was removed could not be struck out: " << trouble << '\n';
    unreadable_ = true;
}

/// What lies at the targets and does not stand in the ledger.
asio::awaitable<void> Cleaner::clean_strays(const std::vector<HeldLitter>& all) {
    std::vector<Litter> known;
    for (const auto& held : all) known.push_back(held.litter);
    const auto looks = [](const ProbeSettings& probe) { return static_cast<bool>(probe.probe.strays); };
    if (std::ranges::none_of(settings_.probes, looks)) co_return;
    [[maybe_unused]] const auto trusted = net::load_trust(io_.get_executor());
    for (const ProbeSettings& probe : settings_.probes) {
        if (foreground_.interrupted()) co_return;
        if (!probe.probe.strays || !probe.probe.remove || hopeless_.contains(probe.name)) continue;
        Env env = env_of(probe);
        const auto found = co_await find_strays(probe, env, known);
        if (foreground_.interrupted()) co_return;
        if (!found) {
            err_ << "livecanary: cannot look for what " << probe.name
                 << " may have left besides: " << found.error().message() << '\n';
            continue;
        }
        for (const Litter& litter : *found) {
            if (command_.dry_run) {
                out_ << "not in the ledger: " << litter.item << " of " << probe.name << '\n';
                continue;
            }
            const error_code code = co_await remove_now(probe, env, litter);
            report(probe, litter, code);
            if (code) break;
        }
    }
}

asio::awaitable<void> Cleaner::remove_all(const std::vector<HeldLitter>& all) {
    // Not within a removal, which it would make late. If it fails, the removal that needs it says so.
    [[maybe_unused]] const auto trusted = net::load_trust(io_.get_executor());
    std::size_t held_elsewhere = 0;
    for (const auto& held : all) {
        if (foreground_.interrupted()) co_return;
        if (held.hands != Hands::nobody) {
            ++held_elsewhere;
            continue;
        }
        const auto probe = std::ranges::find(settings_.probes, held.litter.probe, &ProbeSettings::name);
        if (probe == settings_.probes.end() || !probe->probe.remove) {
            err_ << "livecanary: no probe '" << held.litter.probe << "' is configured that could remove "
                 << held.litter.item << '\n';
            ++left_;
        } else if (hopeless_.contains(held.litter.probe)) {
            ++left_;
        } else {
            co_await remove(*probe, held.litter);
        }
    }
    out_ << removed_ << " removed, " << left_ << " left";
    if (held_elsewhere > 0) out_ << ", " << held_elsewhere << " in the hands of a process that runs";
    out_ << '\n';
}

asio::awaitable<void> Cleaner::remove(const ProbeSettings& probe, const Litter& litter) {
    Env env = env_of(probe);
    const auto code = co_await remove_leftover(probe, env, *store_, litter);
    if (code) report(probe, litter, *code);  // else another process was quicker
}

/// What one probe has left may take another to remove, such as the backend that hands out signatures.
Exchange::Answerer Cleaner::answerer(const std::string& name) {
    const auto at = std::ranges::find(settings_.probes, name, &ProbeSettings::name);
    if (at == settings_.probes.end()) return {};
    // The settings outlive the cleaner.
    const std::shared_ptr<const ProbeSettings> kept(std::shared_ptr<void>(), &*at);
    return {.settings = kept, .env = [this, kept] { return env_of(*kept); }, .dns = dns_};
}

Env Cleaner::env_of(const ProbeSettings& probe) {
    Env env;
    env.dns = dns_.get();
    env.peers = &exchange_;
    env.ledger = store_ ? &*store_ : nullptr;
    env.probe = probe.name;
    env.location = settings_.location;
    env.random.seed((std::uint64_t{std::random_device{}()} << 32) | std::random_device{}());
    return env;
}

void Cleaner::report(const ProbeSettings& probe, const Litter& litter, const error_code& code) {
    if (!code) {
        ++removed_;
        out_ << "removed " << litter.item << '\n' << std::flush;
        return;
    }
    ++left_;
    if (foreground_.interrupted()) return;
    err_ << "livecanary: cannot remove " << litter.item << " of " << probe.name << ": " << code.message()
         << '\n';
    if (hopeless(code)) hopeless_.insert(probe.name);
}

int Cleaner::run() {
    foreground_.turn(clean());
    if (foreground_.interrupted()) err_ << "livecanary: interrupted\n";
    return foreground_.interrupted() || unreadable_ || left_ > 0 ? 1 : 0;
}

}  // namespace

int cleanup(std::ostream& out, std::ostream& err, const CleanupCommand& command, const Settings& settings) {
    return Cleaner(out, err, command, settings).run();
}

}  // namespace livecanary::daemon
