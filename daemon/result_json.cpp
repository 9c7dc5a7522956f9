#include "daemon/result_json.hpp"

#include <cmath>
#include <cstdio>
#include <ctime>

#include <boost/json/array.hpp>

#include "daemon/explain.hpp"

namespace livecanary::daemon {

namespace json = boost::json;

namespace {

double seconds(Clock::duration d) { return std::chrono::duration<double>(d).count(); }

json::value or_null(std::string_view text) { return text.empty() ? json::value(nullptr) : json::value(text); }

}  // namespace

std::string rfc3339(WallTime time) {
    const auto whole = std::chrono::floor<std::chrono::seconds>(time);
    const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(time - whole).count();
    const std::time_t unix_seconds = std::chrono::system_clock::to_time_t(whole);
    std::tm utc{};
    gmtime_r(&unix_seconds, &utc);
    char date[32];
    std::strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &utc);
    char text[48];
    std::snprintf(text, sizeof text, "%s.%03dZ", date, static_cast<int>(ms));
    return text;
}

json::object to_json(const ProbeSettings& probe, const std::string& location, const RunResult& run,
                     const Diagnosis& found) {
    json::object o;
    o["run_id"] = run.run_id;
    o["probe"] = probe.name;
    o["kind"] = probe.kind->name;
    o["target"] = probe.probe.target;
    o["location"] = location;
    o["started"] = rfc3339(run.started);
    o["duration_seconds"] = seconds(run.duration);
    o["outcome"] = to_string(run.outcome());
    if (run.outcome() == RunOutcome::inconclusive) o["inconclusive"] = run.inconclusive;
    o["phase"] = or_null(run.failed_phase());
    o["reason"] = or_null(run.code ? to_string(run.reason()) : std::string_view{});
    o["cause"] = or_null(found.cause ? to_string(*found.cause) : std::string_view{});
    o["class"] = or_null(found.cause_class ? to_string(*found.cause_class) : std::string_view{});
    if (const auto words = confidence(found, "en"); !words.empty()) o["confidence"] = words;
    if (!found.because.empty()) o["because"] = found.because;

    json::array candidates;
    for (const auto& c : found.candidates)
        candidates.push_back({{"cause", to_string(c.cause)}, {"why", c.why}});
    o["candidates"] = std::move(candidates);
    json::array ruled_out;
    for (const auto& text : found.ruled_out) ruled_out.emplace_back(text);
    o["ruled_out"] = std::move(ruled_out);
    json::array controls;
    for (const auto& c : run.controls)
        controls.push_back({{"name", c.name}, {"outcome", to_string(c.outcome)}, {"shows", c.shows}});
    o["controls"] = std::move(controls);
    json::array evidence;
    for (const auto& e : run.evidence)
        evidence.push_back({{"phase", e.phase.name}, {"what", e.what}, {"got", e.got}});
    o["evidence"] = std::move(evidence);
    o["fix"] = {{"en", fix(found, "en")}, {"zh", fix(found, "zh")}};
    json::array phases;
    for (const auto& p : run.phases)
        phases.push_back({{"name", p.phase.name},
                          {"start_seconds", seconds(p.start)},
                          {"seconds", seconds(p.took)},
                          {"ok", p.ok}});
    o["phases"] = std::move(phases);
    json::object values;
    for (const auto& v : run.values) {
        if (!std::isfinite(v.number)) continue;  // JSON has no such numbers
        std::string name(v.value.metric);
        if (!v.label_value.empty()) {
            name.append("{").append(v.value.label).append("=\"").append(v.label_value).append("\"");
            if (!v.second_label_value.empty())
                name.append(",")
                    .append(v.value.second_label)
                    .append("=\"")
                    .append(v.second_label_value)
                    .append("\"");
            name.append("}");
        }
        values[name] = v.number;
    }
    o["values"] = std::move(values);
    return o;
}

}  // namespace livecanary::daemon
