#include "daemon/alerts.hpp"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "daemon/because_zh.hpp"
#include "daemon/explain.hpp"
#include "daemon/result_json.hpp"
#include "probes/catalogue/catalogue.hpp"

namespace livecanary::daemon {

namespace json = boost::json;

namespace {

constexpr std::string_view documentation = "https://github.com/livecanary/livecanary/blob/main/docs/";
/// As the rule for Prometheus is called: the two say the same.
constexpr const char* alert_name = "LivecanaryProbeFailing";
/// Bytes of an annotation. Words of a peer go into it.
constexpr std::size_t longest_annotation = 2048;
/// Resolved alerts that are remembered: a configuration that is rewritten all the time may not fill memory.
constexpr std::size_t most_resolved = 10'000;

/// At a character's boundary.
std::string cut(std::string text) {
    if (text.size() <= longest_annotation) return text;
    std::size_t end = longest_annotation;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) --end;
    text.resize(end);
    return text + "…";
}

json::object to_object(const AlertWords& words) {
    json::object object;
    for (const auto& [name, value] : words) object[name] = value;
    return object;
}

/// Throws if it is not an object of strings.
AlertWords words_of(const json::value& value) {
    AlertWords words;
    for (const auto& member : value.as_object())
        words[std::string(member.key())] = std::string(member.value().as_string());
    return words;
}

std::int64_t milliseconds_of(WallTime time) {
    return std::chrono::floor<std::chrono::milliseconds>(time.time_since_epoch()).count();
}

/// Throws for what no clock says: nanoseconds have no room for it.
WallTime time_of(const json::value& milliseconds) {
    const auto since_1970 = std::chrono::milliseconds(milliseconds.to_number<std::int64_t>());
    if (since_1970 < std::chrono::milliseconds(0) || since_1970 > std::chrono::hours(24 * 365 * 200))
        throw std::out_of_range("no time");
    return WallTime(since_1970);
}

std::string name_of(const AlertWords& labels) { return json::serialize(to_object(labels)); }

bool same_words(const AlertFacts& a, const AlertFacts& b) {
    const auto same = [&](const char* annotation) {
        const auto one = a.annotations.find(annotation);
        const auto other = b.annotations.find(annotation);
        if (one == a.annotations.end() || other == b.annotations.end())
            return one == a.annotations.end() && other == b.annotations.end();
        return one->second == other->second;
    };
    return a.generator_url == b.generator_url && same("summary") && same("cause") && same("fix") &&
           same("dashboard_url");
}

bool is_zh(std::string_view lang) { return lang == "zh"; }

/// Why each is one; in Chinese, which the kinds do not speak, what it is.
std::string candidates_words(const Diagnosis& found, std::string_view lang) {
    std::string words;
    for (const auto& candidate : found.candidates) {
        const std::string id(to_string(candidate.cause));
        words += words.empty() ? "" : is_zh(lang) ? "；" : ";";
        if (is_zh(lang))
            words += id + "（" + std::string(entry(candidate.cause).title.zh) + "）";
        else
            words += " " + id + " (" + candidate.why + ")";
    }
    return is_zh(lang) ? " 可能的原因：" + words + "。" : " It may be:" + words + ".";
}

}  // namespace

AlertWords alert_labels(const ProbeSettings& probe, const std::string& location) {
    AlertWords labels{{"alertname", alert_name},
                      {"probe", probe.name},
                      {"kind", std::string(probe.kind->name)},
                      {"severity", probe.severity},
                      {"location", location}};
    // A label without a value is no label to an Alertmanager.
    if (!probe.journey.empty()) labels["journey"] = probe.journey;
    return labels;
}

std::string page_url(const AlertLinks& links, const std::string& probe) {
    return links.own + "/probes/" + probe;
}

std::string incident_url(const AlertLinks& links, const std::string& id) {
    return links.own + "/incidents/" + id;
}

AlertWords alert_annotations(const ProbeSettings& probe, const std::string& location, const RunResult& run,
                             const Diagnosis& found, const AlertLinks& links, std::string_view lang) {
    const std::string label(found.label());
    const std::string phase(run.failed_phase());
    const std::string reason(to_string(run.reason()));
    std::string summary, description;
    if (is_zh(lang)) {
        summary = "探测 " + probe.name + " 在 " + phase + " 阶段失败：" + reason;
        if (!label.empty()) summary += "（" + label + "）";
        description = location + " 的 " + std::string(probe.kind->name) + " 探测 " + probe.name + " 失败。" +
                      sentence(run, found, lang) + "。";
    } else {
        summary = "Probe " + probe.name + " fails in " + phase + ": " + reason;
        if (!label.empty()) summary += " (" + label + ")";
        description = "The " + std::string(probe.kind->name) + " probe " + probe.name + " at " + location +
                      " fails. " + sentence(run, found, lang) + ".";
    }
    if (!found.because.empty())
        description += is_zh(lang) ? " 依据：" + because_zh(found.because) + "。" : " " + found.because + ".";
    if (!found.cause && !found.candidates.empty()) description += candidates_words(found, lang);
    const std::string runbook = label.empty()
                                    ? "alerts.md#livecanaryprobefailing"
                                    : std::string("runbooks/") + (is_zh(lang) ? "zh" : "en") + ".md#" + label;
    AlertWords annotations{
        {"summary", std::move(summary)},
        {"description", std::move(description)},
        {"cause", label},
        {"fix", fix(found, lang)},
        {"runbook_url", std::string(documentation) + runbook},
        {"dashboard_url", links.grafana.empty()
                              ? page_url(links, probe.name)
                              : links.grafana + "/d/livecanary-overview?var-probe=" + probe.name}};
    for (auto& [name, text] : annotations) text = cut(std::move(text));
    return annotations;
}

void AlertBook::changed(const std::string& name, Alert& alert) {
    alert.version = ++versions_;
    changed_.push_back(name);
}

void AlertBook::end(const std::string& name, Alert& alert, Clock::time_point now, WallTime wall) {
    // A clock that was set back must not end an alert before it began: it would be refused.
    alert.ended = std::max(wall, alert.starts_at);
    alert.forget_at = now + times_.keep_resolved;
    changed(name, alert);
}

void AlertBook::fire(AlertFacts facts, Clock::time_point now, WallTime wall) {
    const std::string name = name_of(facts.labels);
    const auto before = firing_.find(facts.probe);
    if (before != firing_.end() && before->second != name) resolve(facts.probe, now, wall);
    const auto [at, is_new] = alerts_.try_emplace(name);
    Alert& alert = at->second;
    const bool goes_on = !is_new && !alert.ended;
    const bool no_news = goes_on && same_words(alert.facts, facts);
    alert.facts = std::move(facts);
    if (no_news) return;
    if (!goes_on) alert.starts_at = wall;
    alert.ended.reset();
    firing_.insert_or_assign(alert.facts.probe, name);
    changed(name, alert);
}

void AlertBook::resolve(std::string_view probe, Clock::time_point now, WallTime wall) {
    const auto at = firing_.find(probe);
    if (at == firing_.end()) return;
    end(at->second, alerts_.at(at->second), now, wall);
    firing_.erase(at);
    if (alerts_.size() - firing_.size() <= most_resolved) return;
    auto oldest = alerts_.end();
    for (auto alert = alerts_.begin(); alert != alerts_.end(); ++alert)
        if (alert->second.ended &&
            (oldest == alerts_.end() || alert->second.forget_at < oldest->second.forget_at))
            oldest = alert;
    changed_.push_back(oldest->first);
    alerts_.erase(oldest);
}

void AlertBook::forget(Clock::time_point now) {
    for (auto at = alerts_.begin(); at != alerts_.end();) {
        if (at->second.ended && at->second.forget_at <= now) {
            changed_.push_back(at->first);
            at = alerts_.erase(at);
        } else {
            ++at;
        }
    }
}

void AlertBook::restore(std::string_view text, Clock::time_point now, WallTime wall) {
    Alert alert;
    try {
        const json::value stored = json::parse(json::string_view(text.data(), text.size()));
        alert.facts = {.probe = std::string(stored.at("probe").as_string()),
                       .labels = words_of(stored.at("labels")),
                       .annotations = words_of(stored.at("annotations")),
                       .generator_url = std::string(stored.at("generator_url").as_string())};
        alert.starts_at = time_of(stored.at("starts_ms"));
        if (const auto& ended = stored.at("ended_ms"); !ended.is_null()) alert.ended = time_of(ended);
    } catch (const std::exception&) {
        return;
    }
    const std::string name = name_of(alert.facts.labels);
    const auto known = alerts_.find(name);
    if (known != alerts_.end()) {
        Alert& newer = known->second;
        // It has been firing all along, and we were not there to see it.
        if (alert.ended || newer.ended || alert.starts_at >= newer.starts_at) return;
        newer.starts_at = alert.starts_at;
        changed(name, newer);
        return;
    }
    if (alert.ended) {
        // What is left of the time, by a clock that may have been set meanwhile.
        const auto age = std::clamp<Clock::duration>(wall - *alert.ended, {}, times_.keep_resolved);
        if (age >= times_.keep_resolved) {
            changed_.push_back(name);
            return;
        }
        alert.forget_at = now + times_.keep_resolved - age;
    } else {
        // One probe says one thing: what it has said since counts.
        if (!firing_.try_emplace(alert.facts.probe, name).second) {
            end(name, alerts_.emplace(name, std::move(alert)).first->second, now, wall);
            return;
        }
    }
    alert.version = ++versions_;
    alerts_.emplace(name, std::move(alert));
}

std::map<std::string, AlertWords> AlertBook::firing() const {
    std::map<std::string, AlertWords> all;
    for (const auto& [probe, name] : firing_) all.emplace(probe, alerts_.at(name).facts.labels);
    return all;
}

std::optional<AlertWords> AlertBook::firing(std::string_view probe) const {
    const auto at = firing_.find(probe);
    if (at == firing_.end()) return std::nullopt;
    return alerts_.at(at->second).facts.labels;
}

const Alert* AlertBook::find(const std::string& name) const {
    const auto at = alerts_.find(name);
    return at != alerts_.end() ? &at->second : nullptr;
}

std::vector<std::string> AlertBook::take_changed() {
    auto names = std::exchange(changed_, {});
    std::ranges::sort(names);
    names.erase(std::unique(names.begin(), names.end()), names.end());
    return names;
}

std::string AlertBook::text(const Alert& alert) {
    json::object stored{{"probe", alert.facts.probe},
                        {"labels", to_object(alert.facts.labels)},
                        {"annotations", to_object(alert.facts.annotations)},
                        {"generator_url", alert.facts.generator_url},
                        {"starts_ms", milliseconds_of(alert.starts_at)},
                        {"ended_ms", nullptr}};
    if (alert.ended) stored["ended_ms"] = milliseconds_of(*alert.ended);
    return json::serialize(stored);
}

Clock::time_point Outbox::due_at(const std::string& name, const Alert& alert, Clock::time_point now) const {
    const auto told = told_.find(name);
    if (told == told_.end() || told->second.version != alert.version) return now;
    return told->second.at + times_.resend;
}

std::optional<Clock::time_point> Outbox::next(const AlertBook& book, Clock::time_point now) const {
    std::optional<Clock::time_point> first;
    for (const auto& [name, alert] : book.alerts()) {
        const auto at = due_at(name, alert, now);
        if (!first || at < *first) first = at;
    }
    if (first && retry_at_) return std::max(*first, *retry_at_);
    return first;
}

Outbox::Batch Outbox::due(const AlertBook& book, Clock::time_point now) const {
    if (retry_at_ && now < *retry_at_) return {};
    Batch news, again;
    for (const auto& [name, alert] : book.alerts()) {
        if (news.size() == most_alerts_in_request) break;
        const auto told = told_.find(name);
        if (told == told_.end() || told->second.version != alert.version)
            news.emplace_back(name, alert.version);
        else if (told->second.at + times_.resend <= now && again.size() < most_alerts_in_request)
            again.emplace_back(name, alert.version);
    }
    const auto room = std::min(again.size(), most_alerts_in_request - news.size());
    news.insert(news.end(), again.begin(), again.begin() + static_cast<std::ptrdiff_t>(room));
    return news;
}

void Outbox::answered(const AlertBook& book, const Batch& batch, Clock::time_point now) {
    failures_ = 0;
    retry_at_.reset();
    std::erase_if(told_, [&](const auto& told) { return book.find(told.first) == nullptr; });
    for (const auto& [name, version] : batch)
        if (book.find(name) != nullptr) told_[name] = {.version = version, .at = now};
}

void Outbox::unanswered(Clock::time_point now) {
    auto wait = times_.first_back_off;
    for (int i = 0; i < failures_ && wait < times_.longest_back_off; ++i) wait *= 2;
    ++failures_;
    retry_at_ = now + std::min(wait, times_.longest_back_off);
}

std::size_t Outbox::waiting(const AlertBook& book, Clock::time_point now) const {
    return static_cast<std::size_t>(std::ranges::count_if(
        book.alerts(), [&](const auto& entry) { return due_at(entry.first, entry.second, now) <= now; }));
}

std::string alerts_body(const AlertBook& book, const Outbox::Batch& batch, WallTime wall) {
    const auto& times = book.times();
    const auto lapse =
        std::chrono::duration_cast<WallTime::duration>(times.resend * times.lapse_after_resends);
    json::array body;
    for (const auto& [name, version] : batch) {
        const Alert* alert = book.find(name);
        if (alert == nullptr) continue;
        body.push_back({{"labels", to_object(alert->facts.labels)},
                        {"annotations", to_object(alert->facts.annotations)},
                        {"startsAt", rfc3339(alert->starts_at)},
                        {"endsAt", rfc3339(alert->ended.value_or(std::max(wall, alert->starts_at) + lapse))},
                        {"generatorURL", alert->facts.generator_url}});
    }
    return json::serialize(body);
}

}  // namespace livecanary::daemon
