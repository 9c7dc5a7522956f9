#include "probes/log_keywords/config.hpp"

#include <algorithm>
#include <array>
#include <set>

#include "config/reader.hpp"

namespace livecanary::log_keywords {
namespace {

using namespace std::chrono_literals;

/// A label that the catalogue knows; a mistake if it does not.
std::optional<Label> known_label(config::Reader& in, std::string_view key, const std::string& id) {
    const auto label = label_of(id);
    if (!label)
        in.mistake(key, "'" + id + "' is no cause and no class of the catalogue; see: livecanary causes");
    return label;
}

void read_paths(config::Reader& in, Config& config) {
    in.optional("paths", config.paths);
    if (config.paths.empty()) {
        if (!in.has("paths"))
            in.mistake("paths", "missing");
        else
            in.mistake("paths", "expected the paths of log files, such as [\"/var/log/app/*.log\"]");
    }
    if (config.paths.size() > most_paths)
        in.mistake("paths", "expected at most " + std::to_string(most_paths) + " paths, found " +
                                std::to_string(config.paths.size()));
    std::set<std::string> distinct;
    for (std::size_t at = 0; at < config.paths.size(); ++at) {
        const auto& path = config.paths[at];
        if (!path.starts_with('/') || path.ends_with('/') || path.find('\0') != std::string::npos)
            in.mistake("paths", at, "expected the absolute path of a file, found '" + path + "'");
        else if (!distinct.insert(path).second)
            in.mistake("paths", at, "'" + path + "' stands here twice");
    }
}

/// One of the tables under `patterns`. `fails` gets the label if a match is to fail the run.
std::optional<Pattern> read_pattern(config::Reader& in, Encoding encoding, std::set<std::string>& fails) {
    Pattern pattern;
    std::string cause;
    bool fail = false;
    in.required("match", pattern.match);
    in.optional("literal", pattern.literal);
    in.optional("name", pattern.name);
    in.required("cause", cause);
    in.optional("fail", fail);
    in.unread();
    if (pattern.match.empty() || cause.empty()) return std::nullopt;
    bool good = true;
    if (!pattern.literal)
        if (const auto mistake = mistake_in(pattern.match, encoding); !mistake.empty()) {
            in.mistake("match", "'" + pattern.match + "': " + mistake);
            good = false;
        }
    const auto label = known_label(in, "cause", cause);
    if (!label || !good) return std::nullopt;
    pattern.label = *label;
    if (fail) fails.insert(cause);
    return pattern;
}

void read_ignored(config::Reader& in, Matcher::Settings& settings) {
    in.optional("ignore", settings.ignore);
    if (settings.ignore.size() > most_patterns)
        in.mistake("ignore", "expected at most " + std::to_string(most_patterns) + " patterns, found " +
                                 std::to_string(settings.ignore.size()));
    std::vector<std::string> good;
    for (std::size_t at = 0; at < settings.ignore.size(); ++at) {
        const auto& pattern = settings.ignore[at];
        const auto mistake = mistake_in(pattern, settings.encoding);
        if (mistake.empty())
            good.push_back(pattern);
        else
            in.mistake("ignore", at, "'" + pattern + "': " + mistake);
    }
    settings.ignore = std::move(good);
}

/// Which of the built-in keywords are taken.
void read_causes(config::Reader& in, Matcher::Settings& settings) {
    if (!in.has("causes")) return;
    std::vector<std::string> only;
    in.optional("causes", only);
    const auto built_in = built_in_labels();
    for (std::size_t at = 0; at < only.size(); ++at)
        if (std::ranges::find(built_in, only[at], &Label::id) == built_in.end())
            in.mistake(
                "causes", at,
                "no built-in keyword points at '" + only[at] + "'; docs/probes/log_keywords.md lists them");
    settings.only = std::move(only);
}

Matcher::Settings read_settings(config::Reader& in, std::set<std::string>& fails) {
    Matcher::Settings settings;
    std::string encoding = "utf-8";
    constexpr std::array<std::string_view, 2> encodings{"utf-8", "bytes"};
    in.one_of("encoding", encoding, encodings);
    settings.encoding = encoding == "bytes" ? Encoding::bytes : Encoding::utf8;
    read_causes(in, settings);
    auto tables = in.tables("patterns");
    for (auto& table : tables)
        if (auto pattern = read_pattern(table, settings.encoding, fails))
            settings.patterns.push_back(*std::move(pattern));
    if (tables.size() > most_patterns)
        in.mistake("patterns", "expected at most " + std::to_string(most_patterns) + " patterns, found " +
                                   std::to_string(tables.size()));
    read_ignored(in, settings);
    return settings;
}

void read_failing(config::Reader& in, const std::set<std::string>& fails, Config& config) {
    config.fails.resize(config.matcher->labels().size());
    for (const auto& id : fails)
        if (const auto label = config.matcher->find(id)) config.fails[*label] = true;
    std::vector<std::string> fail_on;
    in.optional("fail_on", fail_on);
    for (std::size_t at = 0; at < fail_on.size(); ++at) {
        if (fail_on[at] == "any")
            config.fails.assign(config.fails.size(), true);
        else if (const auto label = config.matcher->find(fail_on[at]))
            config.fails[*label] = true;
        else
            in.mistake("fail_on", at, "no keyword or pattern of this probe points at '" + fail_on[at] + "'");
    }
    in.optional("fail_for", config.fail_for);
}

void read_expected(config::Reader& in, Config& config) {
    for (auto& table : in.tables("subtract")) {
        std::string cause;
        Expected expected{.lines = 1, .per = 1min};
        table.required("cause", cause);
        table.optional("lines", expected.lines, 0.001, 1e6);
        table.optional("per", expected.per, 1s);
        table.unread();
        if (cause.empty()) continue;
        const auto label = config.matcher->find(cause);
        if (!label) {
            table.mistake("cause", "no keyword or pattern of this probe points at '" + cause + "'");
            continue;
        }
        expected.label = *label;
        config.expected.push_back(expected);
    }
}

}  // namespace

Config read(config::Reader& in) {
    Config config;
    read_paths(in, config);
    std::set<std::string> fails;
    const auto settings = read_settings(in, fails);
    config.matcher = Matcher::make(settings);
    if (!config.matcher) {
        in.mistake("patterns", "the patterns are too much together: make them simpler, or split the probe");
        config.matcher = Matcher::make({});
    }
    if (const auto count = config.matcher->labels().size(); count > most_labels)
        in.mistake("patterns", "with the built-in keywords these are " + std::to_string(count) +
                                   " different causes, at most " + std::to_string(most_labels) +
                                   " can be counted: say in `causes` which built-in ones to keep");
    if (config.matcher->labels().empty())
        in.mistake("causes", "nothing is left to look for: no built-in keyword and no pattern");
    read_failing(in, fails, config);
    read_expected(in, config);
    std::string from = "end";
    constexpr std::array<std::string_view, 2> places{"end", "start"};
    in.one_of("from", from, places);
    config.from_start = from == "start";
    std::string missing = "inconclusive";
    constexpr std::array<std::string_view, 3> meanings{"inconclusive", "fail", "ok"};
    in.one_of("missing", missing, meanings);
    config.missing = missing == "fail" ? Missing::fail
                     : missing == "ok" ? Missing::ok
                                       : Missing::inconclusive;
    in.size("max_line", config.limits.line, 64, std::uint64_t{1} << 20);
    in.size("max_read", config.limits.read, 64 * 1024, std::uint64_t{1} << 30);
    in.optional("max_files", config.limits.files, 1, 256);
    return config;
}

}  // namespace livecanary::log_keywords
