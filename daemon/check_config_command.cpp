#include "daemon/check_config_command.hpp"

#include <algorithm>
#include <array>
#include <tuple>
#include <vector>

#include "config/excerpt.hpp"
#include "config/units.hpp"

namespace livecanary::daemon {
namespace {

using Row = std::array<std::string, 6>;

std::size_t width(std::string_view text) {
    return static_cast<std::size_t>(std::ranges::count_if(text, [](char c) { return (c & 0xC0) != 0x80; }));
}

std::string counted(std::size_t number, const std::string& what) {
    return std::to_string(number) + ' ' + what + (number == 1 ? "" : "s");
}

void print_table(std::ostream& out, const std::vector<Row>& rows) {
    std::array<std::size_t, std::tuple_size_v<Row>> widths{};
    for (const Row& row : rows)
        for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width(row[i]));
    for (const Row& row : rows) {
        std::string line;
        for (std::size_t i = 0; i < row.size(); ++i)
            line += row[i] + std::string(widths[i] - width(row[i]) + 2, ' ');
        line.resize(line.find_last_not_of(' ') + 1);
        out << line << '\n';
    }
}

void print_probes(std::ostream& out, const Settings& settings) {
    if (!settings.probes.empty()) {
        std::vector<Row> rows{{"NAME", "KIND", "TARGET", "INTERVAL", "TIMEOUT", "ALERT AFTER"}};
        for (const ProbeSettings& probe : settings.probes)
            rows.push_back({probe.name.empty() ? "-" : probe.name, std::string(probe.kind->name),
                            probe.probe.target, config::format_duration(probe.interval),
                            config::format_duration(probe.timeout),
                            counted(static_cast<std::size_t>(probe.fail_after), "failure")});
        print_table(out, rows);
    }
    out << counted(settings.probes.size(), "probe");
    if (settings.disabled_probes != 0) out << ", " << settings.disabled_probes << " more not enabled";
    out << '\n';
    for (const ProbeSettings& probe : settings.probes) {
        if (probe.probe.advice.empty()) continue;
        out << '\n' << probe.name << " needs:\n";
        for (const std::string& line : probe.probe.advice) out << "  " << line << '\n';
    }
}

}  // namespace

void print_mistakes(std::ostream& out, const Loaded& loaded) {
    for (const config::Mistake& mistake : loaded.mistakes) {
        out << to_string(mistake) << '\n';
        const auto text = loaded.texts.find(mistake.file);
        if (text == loaded.texts.end()) continue;
        const auto shown = config::excerpt(text->second, mistake);
        if (!shown) continue;
        // Tabs stay tabs, so that the caret stands below its place however wide they are.
        std::string indent;
        for (const char c : shown->line) {
            if (width(indent) == shown->caret) break;
            if ((c & 0xC0) != 0x80) indent += c == '\t' ? '\t' : ' ';
        }
        out << "    " << shown->line << "\n    " << indent << "^\n";
    }
}

int check_config(std::ostream& out, std::ostream& err, const std::string& path,
                 const config::Surroundings& surroundings, std::span<const Kind* const> kinds) {
    const Loaded loaded = load_settings(path, surroundings, kinds);
    print_mistakes(err, loaded);
    const auto warnings =
        static_cast<std::size_t>(std::ranges::count(loaded.mistakes, true, &config::Mistake::warning));
    const std::size_t errors = loaded.mistakes.size() - warnings;
    if (!loaded.mistakes.empty())
        err << path << ": " << counted(errors, "error") << ", " << counted(warnings, "warning") << '\n';
    print_probes(out, loaded.settings);
    return loaded.ok() ? 0 : 1;
}

}  // namespace livecanary::daemon
