#include "daemon/settings.hpp"

#include <arpa/inet.h>
#include <openssl/sha.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <tuple>
#include <utility>

#include <toml++/toml.h>

#include "config/nearest.hpp"
#include "config/source.hpp"
#include "config/units.hpp"
#include "daemon/web_settings.hpp"

namespace livecanary::daemon {
namespace {

using config::Reader;
using namespace std::chrono_literals;
using std::chrono::milliseconds;

constexpr milliseconds shortest_interval = 100ms;
constexpr milliseconds longest_interval = 7 * 24h;
constexpr milliseconds shortest_timeout = 10ms;
constexpr milliseconds longest_timeout = 24h;
constexpr int most_in_a_row = 100;
constexpr std::size_t longest_name = 63;
constexpr std::size_t longest_location = 32;

constexpr std::array<std::string_view, 2> languages{"en", "zh"};
constexpr std::array<std::string_view, 2> severities{"critical", "warning"};
/// The labels that livecanary_probe_info has anyway, and those that Prometheus gives a meaning of its own.
constexpr std::array<std::string_view, 7> reserved_labels{"probe",    "kind", "target",  "journey",
                                                          "severity", "le",   "quantile"};

/// What [defaults] sets for the probes that do not.
struct Defaults {
    milliseconds interval = ProbeSettings{}.interval;
    milliseconds timeout = ProbeSettings{}.timeout;
    int fail_after = ProbeSettings{}.fail_after;
    int recover_after = ProbeSettings{}.recover_after;
};

bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool is_probe_name(std::string_view name) {
    const auto allowed = [](char c) { return is_lower(c) || is_digit(c) || c == '_' || c == '-'; };
    return !name.empty() && name.size() <= longest_name && std::ranges::all_of(name, allowed) &&
           name[0] != '_' && name[0] != '-';
}

bool is_location_character(char c) { return is_lower(c) || is_upper(c) || is_digit(c) || c == '-'; }

bool is_location(std::string_view text) {
    return !text.empty() && text.size() <= longest_location &&
           std::ranges::all_of(text, is_location_character);
}

std::string location_of(std::string host_name) {
    std::ranges::replace_if(
        host_name, [](char c) { return !is_location_character(c); }, '-');
    host_name.resize(std::min(host_name.size(), longest_location));
    return host_name.empty() ? "localhost" : host_name;
}

/// A label name as the Prometheus data model has it: [a-zA-Z_][a-zA-Z0-9_]*.
bool is_label_name(std::string_view name) {
    const auto allowed = [](char c) { return is_lower(c) || is_upper(c) || is_digit(c) || c == '_'; };
    return !name.empty() && std::ranges::all_of(name, allowed) && !is_digit(name[0]);
}

bool is_address(int family, const std::string& text) {
    in6_addr parsed{};
    return ::inet_pton(family, text.c_str(), &parsed) == 1;
}

bool is_port(std::string_view text, int smallest) {
    int port = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
    return error == std::errc{} && end == text.data() + text.size() && port >= smallest && port <= 65535;
}

/// "192.0.2.1:53" or "[2001:db8::1]:53".
bool is_endpoint(const std::string& text, int smallest_port) {
    const std::size_t colon = text.rfind(':');
    if (colon == std::string::npos || !is_port(std::string_view(text).substr(colon + 1), smallest_port))
        return false;
    const std::string host = text.substr(0, colon);
    if (host.size() > 2 && host.front() == '[' && host.back() == ']')
        return is_address(AF_INET6, host.substr(1, host.size() - 2));
    return is_address(AF_INET, host);
}

/// Port 0 lets the system choose one; without a host it listens on every address.
bool is_listen_address(const std::string& text) {
    return is_endpoint(text, 0) || (text.starts_with(':') && is_port(std::string_view(text).substr(1), 0));
}

bool is_name_server(const std::string& text) {
    return is_address(AF_INET, text) || is_address(AF_INET6, text) || is_endpoint(text, 1);
}

bool is_http_url(const std::string& text) {
    std::string_view rest = text;
    if (rest.starts_with("https://"))
        rest.remove_prefix(8);
    else if (rest.starts_with("http://"))
        rest.remove_prefix(7);
    else
        return false;
    const auto printable = [](char c) { return c > ' ' && c < 0x7f; };
    const std::string_view authority = rest.substr(0, rest.find_first_of("/?#"));
    const std::size_t colon = authority.rfind(':');
    if (colon != std::string_view::npos && authority.back() != ']') {
        std::uint16_t port = 0;
        const auto [end, ec] =
            std::from_chars(authority.data() + colon + 1, authority.data() + authority.size(), port);
        if (ec != std::errc{} || end != authority.data() + authority.size() || port == 0) return false;
    }
    return !authority.empty() && authority.front() != ':' && authority.find('@') == std::string_view::npos &&
           std::ranges::all_of(rest, printable);
}

/// One that paths are put after.
bool is_base_url(const std::string& text) {
    return is_http_url(text) && text.find_first_of("?#") == std::string::npos;
}

/// Reads the list `key` into `out` if every element of it passes `valid`.
void read_list(Reader& in, std::string_view key, std::vector<std::string>& out,
               bool (*valid)(const std::string&), std::string_view expected) {
    std::vector<std::string> list = out;
    in.optional(key, list);
    if (!in.has(key)) return;
    bool all_valid = true;
    for (std::size_t i = 0; i < list.size(); ++i) {
        const auto end = list.begin() + static_cast<std::ptrdiff_t>(i);
        const bool repeated = std::find(list.begin(), end, list[i]) != end;
        if (valid(list[i]) && !repeated) continue;
        in.mistake(key, i, repeated ? "is in the list already" : std::string(expected));
        all_valid = false;
    }
    if (all_valid) out = std::move(list);
}

std::map<std::string, std::string> read_labels(Reader in) {
    auto labels = in.strings();
    for (const auto& [name, value] : labels) {
        if (!is_label_name(name))
            in.mistake(name, "not a label name: letters, digits and _ are, and no digit first");
        else if (name.starts_with("__"))
            in.mistake(name, "label names that start with __ belong to Prometheus");
        else if (std::ranges::find(reserved_labels, name) != reserved_labels.end())
            in.mistake(name, "this label is reserved");
    }
    return labels;
}

std::vector<config::Window> read_windows(Reader& in, std::string_view key) {
    std::vector<std::string> texts;
    in.optional(key, texts);
    std::vector<config::Window> windows;
    for (std::size_t i = 0; i < texts.size(); ++i) {
        if (auto window = config::Window::parse(texts[i]))
            windows.push_back(*std::move(window));
        else
            in.mistake(
                key, i,
                "expected a daily window such as \"02:00-04:00 Asia/Shanghai\", found '" + texts[i] + "'");
    }
    return windows;
}

/// The keys that [defaults] and [[probe]] share.
template <class Timing>
void read_timing(Reader& in, Timing& timing) {
    in.optional("interval", timing.interval, shortest_interval, longest_interval);
    in.optional("timeout", timing.timeout, shortest_timeout, longest_timeout);
    in.optional("fail_after", timing.fail_after, 1, most_in_a_row);
    in.optional("recover_after", timing.recover_after, 1, most_in_a_row);
}

std::string sha256(const std::string& text) {
    std::array<unsigned char, SHA256_DIGEST_LENGTH> digest{};
    // The cast is the way from text to the bytes OpenSSL wants.
    ::SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data());
    constexpr std::string_view digits = "0123456789abcdef";
    std::string hex;
    for (const unsigned char byte : digest) hex.append({digits[byte >> 4U], digits[byte & 15U]});
    return hex;
}

std::string identity_of(const Reader& table, const ProbeSettings& probe,
                        const std::vector<config::Secret>& secrets, const std::string& location) {
    std::string text;
    // With its length before it, no part can pass for the end of another.
    const auto add = [&text](const std::string& part) { text += std::to_string(part.size()) + ':' + part; };
    add(table.text());
    add(std::to_string(probe.interval.count()));
    add(std::to_string(probe.timeout.count()));
    add(std::to_string(probe.fail_after));
    add(std::to_string(probe.recover_after));
    add(location);
    for (const config::Secret& secret : secrets) add(secret.reveal());
    const config::Secret wiped(std::move(text));
    return sha256(wiped.reveal());
}

/// Reads all files into one Loaded. Everything but the probes first: their defaults may stand in any file.
class Loader {
public:
    Loader(Loaded& loaded, const config::Surroundings& surroundings, std::span<const Kind* const> kinds,
           WallTime now)
        : loaded_(&loaded), settings_(&loaded.settings), kinds_(kinds), now_(now) {
        settings_->location = location_of(surroundings.host_name);
        // Several, if the unit has several (systemd.exec(5)); the first is ours.
        const auto directories = surroundings.environment("STATE_DIRECTORY").value_or("");
        if (!directories.empty()) settings_->state_directory = directories.substr(0, directories.find(':'));
        for (const Kind* kind : kinds) kind_names_.push_back(kind->name);
    }

    void load(const std::deque<config::Source>& sources) {
        std::deque<config::File> files;  // the readers point to them
        std::vector<Reader> roots;
        for (const config::Source& source : sources) {
            loaded_->files.push_back(source.file().name);
            loaded_->texts.emplace(source.file().name, source.text());
            if (source.table() == nullptr) continue;
            config::File& file = files.emplace_back(source.file());
            file.secrets = &secrets_;
            file.references = &references_;
            Reader& root = roots.emplace_back(*source.table(), "", file);
            read_tables(root, *source.table(), file);
        }
        config::forbid_repeats(sources, loaded_->mistakes);
        look_at_users();
        for (Reader& root : roots) {
            for (Reader& probe : root.tables("probe")) read_probe(probe);
            root.unread();
        }
        check_references();
        name_journeys();
        sort_mistakes();
        if (settings_->reference && loaded_->ok()) add_reference();
    }

private:
    /// The built-in probe of ourselves, unless the configuration has one of its own.
    void add_reference() {
        const auto kind = std::ranges::find(kinds_, "reference", &Kind::name);
        if (kind == kinds_.end() || names_.contains("reference") ||
            std::ranges::find(settings_->probes, *kind, &ProbeSettings::kind) != settings_->probes.end())
            return;
        static const toml::table none;
        const config::File file{.name = "(built in)", .mistakes = &loaded_->mistakes};
        Reader in(none, "probe", file);
        ProbeSettings probe{.name = "reference",
                            .kind = *kind,
                            .probe = (*kind)->make(in),
                            .interval = 1s,
                            .timeout = 1s,
                            .severity = "warning",
                            .identity = "(built in)",
                            .file = file.name};
        settings_->probes.push_back(std::move(probe));
    }

    /// `table` is what `root` reads.
    void read_tables(Reader& root, const toml::table& table, const config::File& file) {
        if (auto in = root.table("daemon")) {
            std::string location = settings_->location;
            in->optional("location", location);
            if (is_location(location))
                settings_->location = location;
            else
                in->mistake("location",
                            "expected 1 to 32 letters, digits and '-': it becomes part of stream names");
            in->path("state_directory", settings_->state_directory);
            in->optional("max_concurrent_probes", settings_->max_concurrent_probes, 1, 10'000);
            in->optional("max_loop_lag", settings_->max_loop_lag, 1ms, 1min);
            in->optional("controls_gap", settings_->controls_gap, 0ms, 24h);
            in->optional("reference", settings_->reference);
            in->unread();
        }
        if (auto in = root.table("web")) {
            read_list(*in, "listen", settings_->web_listen, is_listen_address,
                      R"(expected an address and port such as "127.0.0.1:9877", "[::1]:9877" or ":9877")");
            const toml::table& web = *table["web"].as_table();
            read_web_access(*in, web, file, now_, *settings_);
            over_tls_ = over_tls_ || in->has("tls");
            if (in->has("users") && users_.file.empty())
                users_ = {.file = file.name, .at = in->at("users"), .key = "web.users"};
            in->unread();
        }
        if (auto in = root.table("dns")) {
            read_list(*in, "servers", settings_->dns_servers, is_name_server,
                      R"(expected an address such as "192.0.2.1", "192.0.2.1:53" or "[2001:db8::1]:53")");
            in->unread();
        }
        if (auto in = root.table("control")) {
            read_list(*in, "anchors", settings_->anchors, is_http_url,
                      R"(expected a URL such as "https://www.example.org/", without a password)");
            in->unread();
        }
        if (auto in = root.table("alerting")) {
            read_alerting(*in);
            in->unread();
        }
        if (auto in = root.table("incidents")) {
            in->optional("keep", settings_->keep_incidents, 1h, 10 * 365 * 24h);
            in->optional("max", settings_->most_incidents, 10, 10'000);
            in->unread();
        }
        if (auto in = root.table("defaults")) {
            read_timing(*in, defaults_);
            in->unread();
        }
    }

    /// Where it listens may stand in another file than its users.
    void look_at_users() {
        const bool bare = !settings_->web_users.empty() && !over_tls_ &&
                          !std::ranges::all_of(settings_->web_listen, is_loopback);
        if (!bare || users_.file.empty()) return;
        users_.message =
            "passwords go over the network as they are: set [web.tls], or let [web] listen on 127.0.0.1 only";
        users_.warning = true;
        users_.place = config::Place::table;
        loaded_->mistakes.push_back(users_);
    }

    void read_alerting(Reader& in) {
        read_list(in, "alertmanagers", settings_->alertmanagers, is_base_url,
                  R"(expected a URL such as "http://127.0.0.1:9093", without a password, '?' and '#')");
        auto& urls = settings_->alertmanagers;
        for (auto at = urls.begin(); at != urls.end(); ++at) {
            while (at->ends_with('/')) at->pop_back();
            if (std::find(urls.begin(), at, *at) != at)
                in.mistake("alertmanagers", static_cast<std::size_t>(at - urls.begin()),
                           "is in the list already");
        }
        in.one_of("lang", settings_->lang, languages);
        in.optional("grafana_url", settings_->grafana_url);
        if (!settings_->grafana_url.empty() && !is_base_url(settings_->grafana_url))
            in.mistake("grafana_url", R"(expected a URL such as "https://grafana.example.com")");
        while (settings_->grafana_url.ends_with('/')) settings_->grafana_url.pop_back();
        auto& access = settings_->alertmanager_access;
        in.optional("user", access.user);
        in.secret("password", access.password);
        in.readable("ca_file", access.ca_file);
        if (in.has("user") != in.has("password"))
            in.mistake(in.has("user") ? "user" : "password", "user and password come together");
        if (access.user.find(':') != std::string::npos)
            in.mistake("user", "a user with ':' cannot be told from its password (RFC 7617)");
    }

    void read_probe(Reader& in) {
        ProbeSettings probe{.interval = defaults_.interval,
                            .timeout = defaults_.timeout,
                            .fail_after = defaults_.fail_after,
                            .recover_after = defaults_.recover_after,
                            .file = in.file(),
                            .at = in.at("")};
        bool enabled = true;
        in.required("name", probe.name);
        read_timing(in, probe);
        in.one_of("severity", probe.severity, severities);
        in.optional("enabled", enabled);
        in.optional("system", probe.system);
        if (auto labels = in.table("labels")) probe.labels = read_labels(*std::move(labels));
        probe.maintenance = read_windows(in, "maintenance");
        check_name(in, probe.name, enabled);

        std::string kind;
        in.required("kind", kind);
        const auto found = std::ranges::find(kinds_, kind, &Kind::name);
        if (found == kinds_.end()) {
            // Without its kind nobody can say which of the other keys are known.
            if (!kind.empty()) in.mistake("kind", config::none_of(kind, kind_names_));
            return;
        }
        probe.kind = *found;
        secrets_.clear();
        probe.probe = probe.kind->make(in);
        if (probe.timeout <= probe.probe.at_least)
            in.mistake("timeout", "a run of this probe takes " +
                                      config::format_duration(probe.probe.at_least) +
                                      " when all is well: expected more than that, found " +
                                      config::format_duration(probe.timeout));
        in.unread();
        probe.identity = identity_of(in, probe, secrets_, settings_->location);
        if (enabled)
            settings_->probes.push_back(std::move(probe));
        else
            ++settings_->disabled_probes;
    }

    void check_name(Reader& in, const std::string& name, bool enabled) {
        if (name.empty()) return;
        if (!is_probe_name(name)) {
            in.mistake("name", "expected up to 63 of a-z, 0-9, '_' and '-', a letter or digit first");
            return;
        }
        const config::Position at = in.at("name");
        std::string place = in.file() + ':' + std::to_string(at.line) + ':' + std::to_string(at.column);
        const auto [first, is_new] = names_.try_emplace(name, Named{std::move(place), enabled});
        if (!is_new) in.mistake("name", "the name '" + name + "' is taken at " + first->second.place);
    }

    void check_references() {
        std::vector<std::string_view> known;
        for (const auto& [name, named] : names_) known.push_back(name);
        for (config::Reference& reference : references_) {
            const auto named = names_.find(reference.probe);
            if (named != names_.end() && named->second.enabled) continue;
            std::string& message = reference.if_missing.message;
            if (named != names_.end()) {
                message = "the probe '" + reference.probe + "' (" + named->second.place + ") is not enabled";
            } else {
                message = "there is no probe '" + reference.probe + "'";
                if (const auto near = config::nearest(reference.probe, known))
                    message.append("; did you mean '").append(*near).append("'?");
            }
            loaded_->mistakes.push_back(std::move(reference.if_missing));
        }
    }

    /// A hop's alert must be known for its journey's (contract: one broken hop is one alert).
    void name_journeys() {
        for (const ProbeSettings& journey : settings_->probes) {
            if (journey.kind->name != "journey") continue;
            for (ProbeSettings& probe : settings_->probes) {
                const auto& hops = journey.probe.asks;
                const bool is_hop = std::ranges::find(hops, probe.name) != hops.end();
                if (!probe.journey.empty() || (!is_hop && &probe != &journey)) continue;
                probe.journey = journey.name;
                probe.identity += ' ' + journey.name;
            }
        }
    }

    void sort_mistakes() {
        const auto order = [this](const config::Mistake& mistake) {
            return std::tuple(std::ranges::find(loaded_->files, mistake.file), mistake.at.line,
                              mistake.at.column);
        };
        std::ranges::stable_sort(loaded_->mistakes, {}, order);
    }

    struct Named {
        std::string place;
        bool enabled = true;
    };

    Loaded* loaded_;
    Settings* settings_;
    std::span<const Kind* const> kinds_;
    WallTime now_;
    std::vector<std::string_view> kind_names_{};
    Defaults defaults_{};
    bool over_tls_ = false;
    config::Mistake users_{};  // without its message: where [web.users] stands first
    std::map<std::string, Named, std::less<>> names_{};
    std::vector<config::Secret> secrets_{};  // of the probe being read
    std::vector<config::Reference> references_{};
};

}  // namespace

bool Loaded::ok() const noexcept {
    return std::ranges::all_of(mistakes, [](const config::Mistake& mistake) { return mistake.warning; });
}

Loaded load_settings(const std::string& path, const config::Surroundings& surroundings,
                     std::span<const Kind* const> kinds, WallTime now) {
    Loaded loaded;
    const auto sources = config::read_sources(path, surroundings, loaded.mistakes);
    Loader(loaded, surroundings, kinds, now).load(sources);
    return loaded;
}

}  // namespace livecanary::daemon
