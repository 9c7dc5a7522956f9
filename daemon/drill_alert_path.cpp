#include "daemon/drill_alert_path.hpp"

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <exception>
#include <ostream>
#include <random>
#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "daemon/result_json.hpp"
#include "probes/net/one_request.hpp"
#include "probes/net/quiet.hpp"

namespace livecanary::daemon {

namespace asio = boost::asio;
namespace json = boost::json;

namespace {

using namespace std::chrono_literals;

constexpr auto answer_patience = 5s;
constexpr auto resolve_patience = 10s;
constexpr auto look_every = 200ms;
/// So long it stands beyond what it should if nobody resolves it.
constexpr auto lifetime = 5min;
/// Its configuration is part of an answer.
constexpr std::size_t largest_answer = 4 * 1024 * 1024;

std::string_view text_of(const json::value& value, std::string_view key) {
    const auto* object = value.if_object();
    const auto* member = object != nullptr ? object->if_contains(key) : nullptr;
    return member != nullptr && member->is_string() ? std::string_view(member->get_string())
                                                    : std::string_view();
}

const json::value& member(const json::value& value, std::string_view key) {
    static const json::value none;
    const auto* object = value.if_object();
    const auto* found = object != nullptr ? object->if_contains(key) : nullptr;
    return found != nullptr ? *found : none;
}

std::vector<std::string> texts(const json::value& value) {
    std::vector<std::string> all;
    if (const auto* list = value.if_array())
        for (const auto& one : *list)
            if (one.is_string()) all.emplace_back(one.get_string());
    return all;
}

/// The words of another system, for a terminal.
std::string plain(std::string_view text) {
    std::string out(text.substr(0, 200));
    std::ranges::replace_if(
        out, [](unsigned char c) { return c < ' ' || c == 0x7f; }, '?');
    return out;
}

std::string why_not(const error_code& code) {
    switch (reason_of(code)) {
        case Reason::refused:
            return "nothing listens there: does Alertmanager run, and is the port right?";
        case Reason::timeout:
            return "no answer within " + std::to_string(answer_patience.count()) +
                   " s: a firewall between, or the wrong address?";
        case Reason::nxdomain:
            return "its name is not known: a slip in [alerting] alertmanagers?";
        case Reason::certificate:
            return "its certificate is not accepted (" + code.message() +
                   "): ca_file of [alerting] says whom to trust";
        default:
            return code.message();
    }
}

std::string why_not(unsigned status) {
    const std::string answered = "it answers " + std::to_string(status);
    if (status == 404)
        return answered +
               ": there is no API of Alertmanager below this URL. If it runs with --web.route-prefix, or "
               "behind a proxy, its prefix belongs into [alerting] alertmanagers";
    if (status == 401 || status == 403)
        return answered + ": it wants another user or password than [alerting] has";
    if (status >= 300 && status < 400)
        return answered +
               ": it sends us elsewhere, perhaps to a login page; [alerting] alertmanagers needs the address "
               "itself";
    return answered;
}

/// One Alertmanager: everything that is asked of it, step by step.
class Path {
public:
    Path(std::ostream& out, const AlertPathCommand& command, const Settings& settings, std::string url,
         net::Resolver& dns, asio::io_context& io)
        : out_(out), command_(command), settings_(settings), url_(std::move(url)), dns_(dns), waiting_(io) {
        std::random_device random;
        char id[17];
        std::snprintf(id, sizeof id, "%08x%08x", random(), random());
        id_ = id;
    }

    asio::awaitable<bool> walk() {
        out_ << url_ << '\n';
        const bool there = co_await ask_status();
        if (!there) co_return false;
        const bool sent = co_await send(
            lifetime + command_.hold, "sent",
            "as " + std::string(drill_alert_name) + ", severity " + command_.severity + ", drill " + id_);
        if (!sent) co_return false;
        const bool shown = co_await wait_until_shown();
        bool right = shown;
        if (shown) {
            const bool reaches = co_await judge();
            right = reaches;
            if (reaches) co_await hold();
        }
        const bool resolved = co_await resolve(shown);
        co_return right&& resolved;
    }

    /// Ends the waiting, not the resolving: nothing of us is to be left standing.
    void interrupt() {
        interrupted_ = true;
        waiting_.cancel();
    }

private:
    void step(bool ok, const char* what, const std::string& words) {
        char name[16];
        std::snprintf(name, sizeof name, "%-9s", what);
        out_ << "  " << (ok ? "ok   " : "FAIL ") << name << words << '\n' << std::flush;
    }

    struct Said {
        unsigned status = 0;
        json::value value{};
        bool is_json = false;
        std::string words{};  ///< the beginning of its body
        error_code code{};
    };

    asio::awaitable<Said> ask(std::string method, std::string path, std::string body) {
        net::UrlRequest asked;
        asked.url = url_ + "/api/v2" + path;
        asked.ca_file = settings_.alertmanager_access.ca_file;
        asked.most = largest_answer;
        asked.request.method = std::move(method);
        asked.request.headers = {{"Content-Type", "application/json"}, {"User-Agent", "livecanary"}};
        const auto& access = settings_.alertmanager_access;
        if (!access.user.empty())
            asked.request.headers.emplace_back(
                "Authorization", net::basic_authorization(access.user, access.password.reveal()));
        asked.request.body = std::move(body);
        const auto deadline = Clock::now() + answer_patience;
        auto answer = co_await net::request_url(dns_, std::move(asked), deadline);
        Said said;
        if (!answer) {
            said.code = answer.error();
            co_return said;
        }
        said.status = answer->head.status;
        said.words = plain(answer->body);
        error_code unreadable;
        said.value = json::parse(answer->body, unreadable);
        said.is_json = !unreadable;
        co_return said;
    }

    asio::awaitable<bool> ask_status() {
        Said said = co_await ask("GET", "/status", "");
        const auto version = text_of(member(said.value, "versionInfo"), "version");
        if (said.code) {
            step(false, "asked", why_not(said.code));
        } else if (said.status != 200) {
            step(false, "asked", why_not(said.status));
        } else if (version.empty()) {
            step(false, "asked", "what answers there is no Alertmanager");
        } else {
            configuration_ = text_of(member(said.value, "config"), "original");
            step(true, "asked", "it is Alertmanager " + plain(version));
            co_return true;
        }
        co_return false;
    }

    /// `ahead`: when it ends, from now.
    asio::awaitable<bool> send(std::chrono::seconds ahead, const char* what, std::string words) {
        const auto now = std::chrono::system_clock::now();
        if (starts_at_.empty()) starts_at_ = rfc3339(now);
        const bool zh = settings_.lang == "zh";
        json::object alert;
        alert["labels"] = {{"alertname", drill_alert_name},
                           {"severity", command_.severity},
                           {"location", settings_.location},
                           {"drill", id_}};
        alert["annotations"] = {
            {"summary", zh ? "livecanary 告警通路演练：没有任何故障"
                           : "Test of the alert path by livecanary: nothing is wrong"},
            {"description",
             zh ? "由 livecanary drill --alert-path 发出，随后会自动恢复，无需处理。"
                : "Sent by livecanary drill --alert-path, which resolves it. Nothing is to be done."}};
        alert["startsAt"] = starts_at_;
        alert["endsAt"] = rfc3339(now + ahead);
        json::array alerts;
        alerts.push_back(std::move(alert));
        std::string body = json::serialize(alerts);
        Said said = co_await ask("POST", "/alerts", std::move(body));
        const bool taken = !said.code && said.status >= 200 && said.status < 300;
        if (!taken)
            step(false, what,
                 said.code            ? why_not(said.code)
                 : said.status == 400 ? "it refuses the alert: " + said.words
                                      : why_not(said.status));
        else if (!words.empty())
            step(true, what, words);
        co_return taken;
    }

    struct Found {
        json::value alert{};    ///< as Alertmanager shows it; null: it does not
        std::string trouble{};  ///< why that cannot be known
    };

    asio::awaitable<Found> find() {
        Said said = co_await ask("GET", "/alerts?filter=drill%3D%22" + id_ + "%22", "");
        Found found;
        const auto* list = said.value.if_array();
        if (said.code)
            found.trouble = why_not(said.code);
        else if (said.status != 200 || list == nullptr)
            found.trouble = why_not(said.status);
        else if (!list->empty())
            found.alert = list->front();
        co_return found;
    }

    asio::awaitable<void> pause(Clock::duration length) {
        waiting_.expires_after(length);
        co_await waiting_.async_wait(net::no_throw);
    }

    asio::awaitable<bool> wait_until_shown() {
        const auto began = Clock::now();
        for (;;) {
            Found found = co_await find();
            shown_ = std::move(found.alert);
            const auto state = text_of(member(shown_, "status"), "state");
            const std::chrono::duration<double> took = Clock::now() - began;
            // Until then nobody knows yet whether it is silenced.
            if (!state.empty() && state != "unprocessed") {
                char words[48];
                std::snprintf(words, sizeof words, "after %.1f s", took.count());
                step(true, "shown", took < 100ms ? "at once" : words);
                co_return true;
            }
            if (interrupted_) {
                step(false, "shown", "not until we were interrupted");
                co_return false;
            }
            if (took > command_.patience) break;
            co_await pause(look_every);
        }
        step(false, "shown",
             shown_.is_null() ? "not within " + std::to_string(command_.patience.count()) +
                                    " s, although it was taken: is its clock ahead of ours?"
                              : "it has it, but did not look at it within " +
                                    std::to_string(command_.patience.count()) + " s");
        co_return false;
    }

    /// Whether it reaches somebody.
    asio::awaitable<bool> judge() {
        const auto& status = member(shown_, "status");
        if (text_of(status, "state") != "active") {
            std::vector<std::string> why;
            for (const auto& id : texts(member(status, "silencedBy"))) {
                auto words = co_await silence(id);
                why.push_back(std::move(words));
            }
            for (const auto& fingerprint : texts(member(status, "inhibitedBy"))) {
                auto words = co_await inhibitor(fingerprint);
                why.push_back(std::move(words));
            }
            for (const auto& name : texts(member(status, "mutedBy")))
                why.push_back("muted by the time interval '" + plain(name) + "'");
            std::string all;
            for (const auto& one : why) all += (all.empty() ? "" : "; ") + one;
            step(false, "reaches", "nobody: " + (all.empty() ? "it is suppressed" : all));
            co_return false;
        }
        std::string reached, silent;
        const auto& receivers = member(shown_, "receivers");
        if (const auto* list = receivers.if_array())
            for (const auto& receiver : *list) {
                const std::string name(text_of(receiver, "name"));
                const auto integrations = integrations_of(configuration_, name);
                std::string words = "'" + plain(name) + "'";
                if (integrations && integrations->empty()) {
                    silent += (silent.empty() ? "" : ", ") + words;
                    continue;
                }
                if (integrations) {
                    words += " (";
                    for (const auto& one : *integrations) words += (words.ends_with('(') ? "" : ", ") + one;
                    words += ')';
                }
                reached += (reached.empty() ? "" : ", ") + words;
            }
        if (reached.empty()) {
            step(false, "reaches",
                 "nobody: it is routed to " + (silent.empty() ? "no receiver" : "receiver " + silent) +
                     (silent.empty() ? "" : ", which has nobody to tell") +
                     (command_.severity == "info"
                          ? ". Real alerts are critical or warning: --severity critical takes "
                            "their way"
                          : ""));
            co_return false;
        }
        step(true, "reaches",
             "receiver " + reached + (silent.empty() ? "" : "; and " + silent + ", which tells nobody"));
        co_return true;
    }

    asio::awaitable<void> hold() {
        if (command_.hold == 0s) {
            out_ << "       note     resolved before the usual group_wait, no message goes out: --hold 1m "
                    "waits for it\n";
            co_return;
        }
        out_ << "       holding  it for " << command_.hold.count() << " s: look whether its message comes\n"
             << std::flush;
        if (!interrupted_) co_await pause(command_.hold);
    }

    asio::awaitable<std::string> silence(std::string id) {
        Said said = co_await ask("GET", "/silence/" + id, "");
        std::string words = "silenced";
        if (said.status == 200)
            words += " by " + plain(text_of(said.value, "createdBy")) + " until " +
                     plain(text_of(said.value, "endsAt")) + " (\"" + plain(text_of(said.value, "comment")) +
                     "\")";
        co_return words;
    }

    asio::awaitable<std::string> inhibitor(std::string fingerprint) {
        Said said = co_await ask("GET", "/alerts", "");
        std::string words = "inhibited";
        if (const auto* list = said.value.if_array())
            for (const auto& alert : *list)
                if (text_of(alert, "fingerprint") == fingerprint)
                    words += " by the alert " + plain(json::serialize(member(alert, "labels")));
        co_return words;
    }

    asio::awaitable<bool> resolve(bool shown) {
        const bool taken = co_await send(0s, "resolved", "");
        if (!taken) co_return false;
        const auto deadline = Clock::now() + resolve_patience;
        Found found;
        for (bool stands = shown; stands;) {
            found = co_await find();
            stands = !found.alert.is_null() || !found.trouble.empty();
            if (!stands || Clock::now() >= deadline) break;
            co_await pause(look_every);
        }
        const bool gone = found.alert.is_null() && found.trouble.empty();
        step(gone, "resolved",
             gone                     ? "it is gone"
             : !found.trouble.empty() ? "it was told, but whether it is gone cannot be seen: " + found.trouble
                                      : "it still stands; it ends by itself within five minutes");
        co_return gone;
    }

    std::ostream& out_;
    const AlertPathCommand& command_;
    const Settings& settings_;
    std::string url_;
    net::Resolver& dns_;
    std::string id_{}, starts_at_{}, configuration_{};
    json::value shown_{};
    asio::steady_timer waiting_;
    bool interrupted_ = false;
};

}  // namespace

std::optional<std::vector<std::string>> integrations_of(std::string_view yaml, std::string_view receiver) {
    // Alertmanager prints what it has read, always in the same form: `receivers:`, `- name: NAME`, `
    // KIND_configs:`.
    std::optional<std::vector<std::string>> found;
    bool within = false;
    while (!yaml.empty()) {
        const auto end = std::min(yaml.find('\n'), yaml.size());
        std::string_view line = yaml.substr(0, end);
        yaml.remove_prefix(std::min(end + 1, yaml.size()));
        if (!line.empty() && line[0] != ' ' && line[0] != '-') within = line.starts_with("receivers:");
        if (!within) continue;
        if (line.starts_with("- name: ")) {
            if (found) return found;
            std::string_view name = line.substr(8);
            if (name.size() > 1 && (name[0] == '"' || name[0] == '\'') && name.back() == name[0])
                name = name.substr(1, name.size() - 2);
            if (name == receiver) found.emplace();
        } else if (found && line.starts_with("  ") && !line.starts_with("   ") &&
                   line.ends_with("_configs:")) {
            line = line.substr(2);
            found->emplace_back(line.substr(0, line.size() - std::string_view("_configs:").size()));
        }
    }
    return found;
}

int drill_alert_path(std::ostream& out, std::ostream& err, const AlertPathCommand& command,
                     const Settings& settings) {
    if (settings.alertmanagers.empty()) {
        err << "livecanary: there is no Alertmanager to send to: name it in the configuration, [alerting] "
               "alertmanagers = "
               "[\"http://127.0.0.1:9093\"]. An alert that goes by way of Prometheus can be tested with "
               "amtool\n";
        return 1;
    }
    asio::io_context io;
    net::Resolver dns(io.get_executor(), settings.dns_servers);
    std::size_t right = 0;
    asio::signal_set signals(io, SIGINT, SIGTERM);
    Path* walked = nullptr;
    bool interrupted = false;
    signals.async_wait([&](error_code ec, int) {
        if (ec) return;
        interrupted = true;
        // Whoever asks twice does not want to wait until the alert is resolved.
        std::signal(SIGINT, SIG_DFL);
        std::signal(SIGTERM, SIG_DFL);
        if (walked != nullptr) walked->interrupt();
    });
    for (const auto& url : settings.alertmanagers) {
        if (interrupted) break;
        Path path(out, command, settings, url, dns, io);
        walked = &path;
        bool ended = false;
        std::exception_ptr bug;
        asio::co_spawn(io, path.walk(), [&](const std::exception_ptr& failed, bool reached) {
            ended = true;
            bug = failed;
            if (!failed && reached) ++right;
        });
        while (!ended && io.run_one() > 0) {
        }
        walked = nullptr;
        if (bug) std::rethrow_exception(bug);
    }
    const auto all = settings.alertmanagers.size();
    out << right << " of " << all
        << (all == 1 ? " Alertmanager shows it and passes it on\n"
                     : " Alertmanagers show it and pass it on\n");
    if (interrupted) err << "livecanary: interrupted\n";
    return right == all && !interrupted ? 0 : 1;
}

}  // namespace livecanary::daemon
