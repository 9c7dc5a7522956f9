#include "daemon/incident_book.hpp"

#include <algorithm>
#include <exception>
#include <stdexcept>
#include <tuple>
#include <utility>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "daemon/result_json.hpp"

namespace livecanary::daemon {

namespace json = boost::json;

namespace {

/// Of one incident. A journey has fewer hops; a journey that others share probes with may have more.
constexpr std::size_t most_probes = 20;
/// Of one incident: a cause that comes and goes for a week fills no disk. Those of the beginning stay.
constexpr std::size_t most_changes = 50, first_changes = 20;
/// Bytes of one result. What is longer loses its evidence.
constexpr std::size_t longest_result = 32 * 1024;
/// Bytes of a sentence. Words of a peer go into it.
constexpr std::size_t longest_sentence = 1000;
constexpr std::size_t most_beside = 20;
/// A cause that changes with each run must not mean a write to the disk with each run.
constexpr auto between_changes = std::chrono::seconds(10);

json::value or_null(const std::string& text) {
    return text.empty() ? json::value(nullptr) : json::value(text);
}

json::value time_or_null(const std::optional<WallTime>& time) {
    return time ? json::value(rfc3339(*time)) : json::value(nullptr);
}

std::int64_t milliseconds_of(WallTime time) {
    return std::chrono::floor<std::chrono::milliseconds>(time.time_since_epoch()).count();
}

json::value stored(const std::optional<WallTime>& time) {
    return time ? json::value(milliseconds_of(*time)) : json::value(nullptr);
}

/// Throws for what no clock says: nanoseconds have no room for it.
WallTime time_of(const json::value& milliseconds) {
    const auto since_1970 = std::chrono::milliseconds(milliseconds.to_number<std::int64_t>());
    if (since_1970 < std::chrono::milliseconds(0) || since_1970 > std::chrono::hours(24 * 365 * 200))
        throw std::out_of_range("no time");
    return WallTime(since_1970);
}

std::optional<WallTime> time_if(const json::value& milliseconds) {
    return milliseconds.is_null() ? std::nullopt : std::optional(time_of(milliseconds));
}

std::string text_of(const json::value& value) { return std::string(value.as_string()); }

/// At a character's boundary.
std::string cut(std::string text, std::size_t longest) {
    if (text.size() <= longest) return text;
    while (longest > 0 && (static_cast<unsigned char>(text[longest]) & 0xC0U) == 0x80U) --longest;
    text.resize(longest);
    return text + "…";
}

std::string bounded(std::string result) {
    if (result.size() <= longest_result) return result;
    try {
        json::object object = json::parse(result).as_object();
        for (const char* part : {"evidence", "values", "phases", "controls", "candidates", "ruled_out"}) {
            object[part] = json::array();
            object["left_out"] = true;
            result = json::serialize(object);
            if (result.size() <= longest_result) return result;
        }
    } catch (const std::exception&) {
        // A result of ours is an object.
    }
    return "{}";
}

void add_change(Incident& incident, IncidentChange change) {
    auto& changes = incident.changes;
    changes.push_back(std::move(change));
    if (changes.size() <= most_changes) return;
    ++incident.changes_left_out;
    // The last of each probe stays: once that one leads, it says what is wrong.
    auto surplus = changes.begin() + first_changes;
    const auto is_last = [&](auto at) {
        return std::none_of(std::next(at), changes.end(),
                            [&](const auto& one) { return one.probe == at->probe; });
    };
    while (surplus != changes.end() && is_last(surplus)) ++surplus;
    changes.erase(surplus != changes.end() ? surplus : changes.begin() + first_changes);
}

bool fails(const IncidentProbe& member) { return !member.until; }

IncidentProbe* member_of(Incident& incident, std::string_view probe) {
    const auto at = std::ranges::find(incident.probes, probe, &IncidentProbe::probe);
    return at != incident.probes.end() ? &*at : nullptr;
}

const IncidentProbe* member_of(const Incident& incident, std::string_view probe) {
    const auto at = std::ranges::find(incident.probes, probe, &IncidentProbe::probe);
    return at != incident.probes.end() ? &*at : nullptr;
}

Incident without_results(const Incident& incident) {
    Incident copy = incident;
    for (auto& member : copy.probes) member.result.clear();
    return copy;
}

/// Whether there was a time at which both were open.
bool overlap(const Incident& a, const Incident& b) {
    return (!b.closed || a.opened <= *b.closed) && (!a.closed || b.opened <= *a.closed);
}

void newest_first(std::vector<const Incident*>& incidents) {
    std::ranges::sort(incidents, [](const Incident* a, const Incident* b) {
        return std::pair(a->opened, a->id) > std::pair(b->opened, b->id);
    });
}

}  // namespace

bool Incident::confirmed() const noexcept {
    return std::ranges::any_of(probes, [](const auto& member) { return member.confirmed; });
}

std::optional<WallTime> Incident::alerted() const noexcept {
    std::optional<WallTime> first;
    for (const auto& member : probes)
        if (member.alerted && (!first || *member.alerted < *first)) first = member.alerted;
    return first;
}

const IncidentProbe& Incident::lead() const noexcept {
    const auto rank = [&](const IncidentProbe& member) {
        return std::pair(!fails(member), member.probe != about);
    };
    return *std::ranges::min_element(probes, {}, rank);
}

const IncidentChange& Incident::latest() const noexcept {
    const auto at = std::find_if(changes.rbegin(), changes.rend(),
                                 [&](const auto& change) { return change.probe == lead().probe; });
    return at != changes.rend() ? *at : changes.back();
}

std::string_view Incident::severity() const noexcept {
    const bool critical =
        std::ranges::any_of(probes, [](const auto& member) { return member.severity == "critical"; });
    return critical ? "critical" : "warning";
}

Incident* IncidentBook::open_about(std::string_view about) {
    const auto at = open_about_.find(about);
    return at != open_about_.end() ? &incidents_.at(at->second) : nullptr;
}

void IncidentBook::judged(const ProbeSettings& probe, const RunResult& run, const Diagnosis& found,
                          const Standing& standing, std::string sentence, std::string result) {
    const std::string& about = probe.journey.empty() ? probe.name : probe.journey;
    Incident* incident = open_about(about);
    if (run.outcome() == RunOutcome::ok) {
        IncidentProbe* const member = incident != nullptr ? member_of(*incident, probe.name) : nullptr;
        // One that alerts has not recovered with its first success.
        if (member == nullptr || !fails(*member) || standing.alerting) return;
        end(*incident, *member, run.started, "recovered");
        return;
    }
    if (run.outcome() != RunOutcome::failed) return;
    if (incident == nullptr) {
        incident = &incidents_[run.run_id];
        *incident = {
            .id = run.run_id, .about = about, .is_journey = !probe.journey.empty(), .opened = run.started};
        open_about_[about] = run.run_id;
    }
    failed(*incident, probe, run, found, standing, std::move(sentence), std::move(result));
}

void IncidentBook::failed(Incident& incident, const ProbeSettings& probe, const RunResult& run,
                          const Diagnosis& found, const Standing& standing, std::string sentence,
                          std::string result) {
    const bool was_confirmed = incident.confirmed();
    IncidentProbe* member = member_of(incident, probe.name);
    bool urgent = false;
    if (member == nullptr) {
        if (incident.probes.size() >= most_probes) return;
        member = &incident.probes.emplace_back();
        member->since = run.started;
    } else if (!fails(*member)) {
        member->until.reset();
        member->ended.clear();
        urgent = true;
    }
    member->probe = probe.name;
    member->kind = probe.kind->name;
    member->target = probe.probe.target;
    member->severity = probe.severity;
    ++member->failures;
    member->result = bounded(std::move(result));
    member->confirmed = member->confirmed || standing.alerting || standing.consecutive_failures > 1;
    if (standing.alerting && !member->alerted) {
        member->alerted = run.started;
        urgent = true;
    }
    IncidentChange change{.at = run.started,
                          .run_id = run.run_id,
                          .probe = probe.name,
                          .phase = std::string(run.failed_phase()),
                          .reason = std::string(to_string(run.reason())),
                          .sentence = cut(std::move(sentence), longest_sentence)};
    if (found.cause)
        change.cause = to_string(*found.cause);
    else if (found.cause_class)
        change.cause_class = to_string(*found.cause_class);
    const auto last = std::find_if(incident.changes.rbegin(), incident.changes.rend(),
                                   [&](const auto& one) { return one.probe == probe.name; });
    const bool same = last != incident.changes.rend() && last->phase == change.phase &&
                      last->reason == change.reason && last->label() == change.label();
    if (!same) add_change(incident, std::move(change));
    changed_.insert(incident.id);
    if (urgent || (!was_confirmed && incident.confirmed())) urgent_.insert(incident.id);
}

void IncidentBook::end(Incident& incident, IncidentProbe& member, WallTime at, std::string_view how) {
    const std::string id = incident.id;
    member.until = std::max(at, member.since);
    member.ended = how;
    changed_.insert(id);
    if (!member.confirmed) drop_unconfirmed(incident, std::string(member.probe));
    close_if_over(id, at);
}

/// A single failure beside what is wrong is no part of it.
void IncidentBook::drop_unconfirmed(Incident& incident, const std::string& probe) {
    std::erase_if(incident.probes, [&](const auto& member) { return member.probe == probe; });
    std::erase_if(incident.changes, [&](const auto& change) { return change.probe == probe; });
    if (!incident.probes.empty())
        incident.opened = std::ranges::min(incident.probes, {}, &IncidentProbe::since).since;
}

void IncidentBook::close_if_over(const std::string& id, WallTime at) {
    Incident& incident = incidents_.at(id);
    if (std::ranges::any_of(incident.probes, fails)) return;
    open_about_.erase(incident.about);
    if (!incident.confirmed()) {
        // Nothing of it is stored.
        changed_.erase(id);
        incidents_.erase(id);
        return;
    }
    incident.closed = std::max(at, incident.opened);
    urgent_.insert(id);
    drop_surplus(*incident.closed);
}

void IncidentBook::adopt(std::map<std::string, std::string, std::less<>> about, WallTime now) {
    about_ = std::move(about);
    const auto open = open_about_;
    for (const auto& [subject, id] : open) {
        std::vector<std::string> gone;
        for (const auto& member : incidents_.at(id).probes) {
            const auto at = about_.find(member.probe);
            if (fails(member) && (at == about_.end() || at->second != subject)) gone.push_back(member.probe);
        }
        for (const auto& probe : gone) {
            Incident& incident = incidents_.at(id);
            end(incident, *member_of(incident, probe), now, "removed");
        }
    }
}

void IncidentBook::forget(WallTime now) {
    for (auto at = incidents_.begin(); at != incidents_.end();) {
        const auto next = std::next(at);
        if (const auto& closed = at->second.closed; closed && now - *closed > limits_.keep) drop(at);
        at = next;
    }
    drop_surplus(now);
}

/// Those that ended first. One that ended in the future did so by a clock that has been set back since: it
/// would outlast all that is yet to come.
void IncidentBook::drop_surplus(WallTime now) {
    if (incidents_.size() <= limits_.most) return;
    std::vector<std::map<std::string, Incident>::iterator> closed;
    for (auto at = incidents_.begin(); at != incidents_.end(); ++at)
        if (at->second.closed) closed.push_back(at);
    const auto surplus = std::min(closed.size(), incidents_.size() - limits_.most);
    const auto last = closed.begin() + static_cast<std::ptrdiff_t>(surplus);
    std::ranges::partial_sort(closed, last, {}, [&](const auto& at) {
        const WallTime when = *at->second.closed;
        return std::tuple(when <= now, when, at->first);
    });
    std::for_each(closed.begin(), last, [&](const auto& at) { drop(at); });
}

void IncidentBook::drop(std::map<std::string, Incident>::iterator at) {
    urgent_.insert(at->first);
    incidents_.erase(at);
}

void IncidentBook::restore(std::string_view text, WallTime now) {
    Incident incident;
    try {
        const json::value stored = json::parse(json::string_view(text.data(), text.size()));
        incident.id = text_of(stored.at("id"));
        incident.about = text_of(stored.at("about"));
        incident.is_journey = stored.at("is_journey").as_bool();
        incident.opened = time_of(stored.at("opened"));
        incident.closed = time_if(stored.at("closed"));
        incident.changes_left_out = stored.at("changes_left_out").to_number<std::size_t>();
        for (const auto& one : stored.at("probes").as_array())
            incident.probes.push_back({.probe = text_of(one.at("probe")),
                                       .kind = text_of(one.at("kind")),
                                       .target = text_of(one.at("target")),
                                       .severity = text_of(one.at("severity")),
                                       .since = time_of(one.at("since")),
                                       .until = time_if(one.at("until")),
                                       .ended = text_of(one.at("ended")),
                                       .alerted = time_if(one.at("alerted")),
                                       .failures = one.at("failures").to_number<std::uint64_t>(),
                                       .confirmed = one.at("confirmed").as_bool(),
                                       .result = text_of(one.at("result"))});
        for (const auto& one : stored.at("changes").as_array())
            incident.changes.push_back({.at = time_of(one.at("at")),
                                        .run_id = text_of(one.at("run_id")),
                                        .probe = text_of(one.at("probe")),
                                        .phase = text_of(one.at("phase")),
                                        .reason = text_of(one.at("reason")),
                                        .cause = text_of(one.at("cause")),
                                        .cause_class = text_of(one.at("class")),
                                        .sentence = text_of(one.at("sentence"))});
    } catch (const std::exception&) {
        return;
    }
    if (incident.id.empty() || incident.probes.empty() || incident.changes.empty() ||
        incidents_.contains(incident.id))
        return;
    const std::string id = incident.id, about = incident.about;
    const bool open = !incident.closed;
    if (const Incident* const younger = open ? open_about(about) : nullptr) {
        for (const auto& member : younger->probes) {
            IncidentProbe* const known = member_of(incident, member.probe);
            if (known == nullptr) {
                if (incident.probes.size() < most_probes) incident.probes.push_back(member);
                continue;
            }
            const IncidentProbe before = std::exchange(*known, member);
            known->since = before.since;
            known->failures += before.failures;
            known->confirmed = known->confirmed || before.confirmed;
            if (before.alerted) known->alerted = before.alerted;
        }
        for (const auto& change : younger->changes) add_change(incident, change);
        const std::string gone = younger->id;
        incidents_.erase(gone);
        urgent_.insert({gone, id});
    }
    incidents_.emplace(id, std::move(incident));
    if (open) open_about_[about] = id;
    adopt(std::move(about_), now);
}

std::string IncidentBook::open_of(std::string_view probe) const {
    const auto about = about_.find(probe);
    if (about == about_.end()) return {};
    const auto at = open_about_.find(about->second);
    if (at == open_about_.end()) return {};
    const Incident& incident = incidents_.at(at->second);
    return incident.confirmed() && member_of(incident, probe) != nullptr ? incident.id : std::string();
}

const Incident* IncidentBook::find(const std::string& id) const {
    const auto at = incidents_.find(id);
    return at != incidents_.end() && at->second.confirmed() ? &at->second : nullptr;
}

IncidentList IncidentBook::list(const IncidentWish& wish) const {
    std::vector<const Incident*> wanted;
    for (const auto& [id, incident] : incidents_)
        if (incident.confirmed() && (!wish.open || *wish.open == !incident.closed) &&
            (wish.probe.empty() || member_of(incident, wish.probe) != nullptr))
            wanted.push_back(&incident);
    newest_first(wanted);
    IncidentList list{.count = wanted.size()};
    const std::size_t size = std::clamp<std::size_t>(wish.on_a_page, 1, most_incidents_on_a_page);
    const std::size_t before = std::max<std::size_t>(wish.page, 1) - 1;
    if (before > wanted.size() / size) return list;
    for (std::size_t i = before * size; i < wanted.size() && list.incidents.size() < size; ++i)
        list.incidents.push_back(without_results(*wanted[i]));
    return list;
}

std::optional<IncidentView> IncidentBook::view(const std::string& id) const {
    const Incident* const found = find(id);
    if (found == nullptr) return std::nullopt;
    IncidentView view{.incident = *found};
    std::vector<const Incident*> beside;
    for (const auto& [other, incident] : incidents_)
        if (other != id && incident.confirmed() && overlap(*found, incident)) beside.push_back(&incident);
    newest_first(beside);
    for (std::size_t i = 0; i < beside.size() && i < most_beside; ++i)
        view.beside.push_back(without_results(*beside[i]));
    return view;
}

std::size_t IncidentBook::open() const {
    return static_cast<std::size_t>(std::ranges::count_if(
        open_about_, [&](const auto& one) { return incidents_.at(one.second).confirmed(); }));
}

std::size_t IncidentBook::size() const {
    return static_cast<std::size_t>(
        std::ranges::count_if(incidents_, [](const auto& one) { return one.second.confirmed(); }));
}

std::set<std::string> IncidentBook::take_changed(Clock::time_point now, bool all) {
    auto ids = std::exchange(urgent_, {});
    if (all || !stored_ || now - *stored_ >= between_changes) {
        stored_ = now;
        ids.merge(changed_);
        changed_.clear();
    } else {
        for (const auto& id : ids) changed_.erase(id);
    }
    // A suspicion is nobody's business yet.
    std::erase_if(ids, [&](const auto& id) {
        const auto at = incidents_.find(id);
        return at != incidents_.end() && !at->second.confirmed();
    });
    return ids;
}

std::string IncidentBook::text(const Incident& incident) {
    json::array probes, changes;
    for (const auto& one : incident.probes)
        probes.push_back({{"probe", one.probe},
                          {"kind", one.kind},
                          {"target", one.target},
                          {"severity", one.severity},
                          {"since", milliseconds_of(one.since)},
                          {"until", stored(one.until)},
                          {"ended", one.ended},
                          {"alerted", stored(one.alerted)},
                          {"failures", one.failures},
                          {"confirmed", one.confirmed},
                          {"result", one.result}});
    for (const auto& one : incident.changes)
        changes.push_back({{"at", milliseconds_of(one.at)},
                           {"run_id", one.run_id},
                           {"probe", one.probe},
                           {"phase", one.phase},
                           {"reason", one.reason},
                           {"cause", one.cause},
                           {"class", one.cause_class},
                           {"sentence", one.sentence}});
    const json::object stored_incident{{"id", incident.id},
                                       {"about", incident.about},
                                       {"is_journey", incident.is_journey},
                                       {"opened", milliseconds_of(incident.opened)},
                                       {"closed", stored(incident.closed)},
                                       {"changes_left_out", incident.changes_left_out},
                                       {"probes", std::move(probes)},
                                       {"changes", std::move(changes)}};
    return json::serialize(stored_incident);
}

json::object to_json(const Incident& incident, bool all) {
    const IncidentProbe& lead = incident.lead();
    const IncidentChange& latest = incident.latest();
    json::object o{{"id", incident.id},
                   {"state", incident.closed ? "closed" : "open"},
                   {"opened", rfc3339(incident.opened)},
                   {"alerted", time_or_null(incident.alerted())},
                   {"closed", time_or_null(incident.closed)},
                   {"severity", incident.severity()},
                   {"journey", incident.is_journey ? json::value(incident.about) : json::value(nullptr)},
                   {"probe", lead.probe},
                   {"kind", lead.kind},
                   {"phase", or_null(latest.phase)},
                   {"reason", or_null(latest.reason)},
                   {"cause", or_null(latest.cause)},
                   {"class", or_null(latest.cause_class)},
                   {"sentence", latest.sentence}};
    json::array probes;
    for (const auto& one : incident.probes) {
        json::object member{{"probe", one.probe},          {"kind", one.kind},
                            {"target", one.target},        {"severity", one.severity},
                            {"since", rfc3339(one.since)}, {"until", time_or_null(one.until)},
                            {"ended", or_null(one.ended)}, {"alerted", time_or_null(one.alerted)},
                            {"failures", one.failures}};
        if (all) {
            boost::system::error_code error;
            json::value result = json::parse(one.result, error);
            member["result"] = error ? json::value(nullptr) : std::move(result);
        }
        probes.push_back(std::move(member));
    }
    o["probes"] = std::move(probes);
    if (!all) return o;
    json::array changes;
    for (const auto& one : incident.changes)
        changes.push_back({{"at", rfc3339(one.at)},
                           {"run_id", one.run_id},
                           {"probe", one.probe},
                           {"phase", or_null(one.phase)},
                           {"reason", or_null(one.reason)},
                           {"cause", or_null(one.cause)},
                           {"class", or_null(one.cause_class)},
                           {"sentence", one.sentence}});
    o["changes"] = std::move(changes);
    o["changes_left_out"] = incident.changes_left_out;
    return o;
}

json::array to_json(const std::vector<Incident>& incidents) {
    json::array all;
    for (const auto& incident : incidents) all.push_back(to_json(incident, false));
    return all;
}

}  // namespace livecanary::daemon
