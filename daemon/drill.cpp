#include "daemon/drill.hpp"

#include <algorithm>
#include <ostream>
#include <string_view>

#include <boost/json/parse.hpp>

#include "daemon/drill_words.hpp"
#include "daemon/result_json.hpp"

namespace livecanary::daemon {

namespace json = boost::json;

namespace {

/// Catalogue and contract: those that look alike come with the right one among the first three.
constexpr std::size_t candidates_that_count = 3;

std::vector<std::string> candidates_of(const json::object& result) {
    std::vector<std::string> causes;
    if (const auto* list = result.if_contains("candidates"))
        for (const auto& candidate : list->as_array())
            causes.push_back(text_of(candidate.as_object(), "cause"));
    return causes;
}

/// "cause", or "class: first, second, third".
std::string said(const DrillRow::Named& named) {
    if (named.candidates.empty()) return named.label.empty() ? "nothing" : named.label;
    std::string text = named.label.empty() ? "" : named.label + ": ";
    for (std::size_t i = 0; i < std::min(named.candidates.size(), candidates_that_count); ++i)
        text += (i == 0 ? "" : ", ") + named.candidates[i];
    return text;
}

/// Of a probe with `interval_seconds`, `timeout_seconds` and `waits_seconds`. A failure is confirmed after
/// half an interval, 2 s at most; a timeout in the next slot (confirmation_due, schedule.hpp).
double bound_of(const json::object& pace) {
    const auto number = [&](const char* name) { return pace.at(name).to_number<double>(); };
    const double interval = number("interval_seconds"), timeout = number("timeout_seconds");
    const double pause = std::max(std::min(interval / 2, 2.0), interval - timeout);
    return interval + timeout + pause + timeout + number("waits_seconds");
}

bool is_right(const DrillFault& fault, const DrillFault::NamedBy& by, const DrillRow::Named& named) {
    // More than was asked for: the rules over several probes may single out what this one cannot.
    if (named.label == fault.cause) return true;
    if (by.label != named.label) return false;
    const auto end = named.candidates.begin() +
                     static_cast<std::ptrdiff_t>(std::min(named.candidates.size(), candidates_that_count));
    return std::find(named.candidates.begin(), end, fault.cause) != end;
}

void print_alerts(std::ostream& out, const std::vector<DrillRow>& rows) {
    const auto watched = std::ranges::count_if(rows, &DrillRow::alert_watched);
    if (watched == 0) return;
    std::ptrdiff_t alerted = 0;
    double slowest = 0;
    std::string none;
    for (const DrillRow& row : rows) {
        if (row.alert_seconds) {
            ++alerted;
            slowest = std::max(slowest, *row.alert_seconds - row.seconds());
        } else if (row.alert_watched) {
            none += (none.empty() ? ": not " : ", ") + row.fault.id;
        }
    }
    out << "\nBy Prometheus and the shipped rules " << alerted << " of " << watched
        << " came to Alertmanager under the same name, " << seconds_text(slowest)
        << " s after it was named at most" << none << '\n';
}

}  // namespace

std::vector<DrillFault> read_faults(std::string_view text) {
    std::vector<DrillFault> faults;
    const json::value parsed = json::parse(text);
    std::map<std::string, double, std::less<>> bounds;
    for (const auto& value : parsed.as_object().at("probes").as_array())
        bounds[text_of(value.as_object(), "probe")] = bound_of(value.as_object());
    for (const auto& value : parsed.as_object().at("faults").as_array()) {
        const json::object& object = value.as_object();
        DrillFault fault{.id = text_of(object, "id"),
                         .breaks = text_of(object, "breaks"),
                         .cause = text_of(object, "cause"),
                         .seed = object.at("seed").as_bool()};
        fault.any = object.at("any").as_bool();
        fault.fresh_start = object.at("fresh_start").as_bool();
        fault.settle = std::chrono::seconds(object.at("settle_seconds").to_number<int>());
        const auto control = object.at("control_seconds").to_number<double>();
        for (const auto& by : object.at("named_by").as_array()) {
            std::string probe = text_of(by.as_object(), "probe");
            const double bound = bounds.at(probe) + control;
            fault.named_by.push_back(
                {.probe = std::move(probe), .label = text_of(by.as_object(), "label"), .bound = bound});
        }
        for (const auto& cause : object.at("explained").as_array())
            fault.explained.emplace(cause.as_string().c_str());
        faults.push_back(std::move(fault));
    }
    return faults;
}

bool DrillRow::is_named() const {
    if (fault.any) return std::ranges::any_of(named, &Named::right);
    return named.size() == fault.named_by.size() && std::ranges::all_of(named, &Named::right);
}

bool DrillRow::right() const { return trouble.empty() && wrong.empty() && is_named(); }

double DrillRow::seconds() const {
    double slowest = 0;
    for (const Named& one : named)
        if (one.right || !fault.any) slowest = std::max(slowest, one.seconds);
    return slowest;
}

double DrillRow::bound() const {
    double longest = 0;
    for (const Named& one : named)
        if (one.right || !fault.any) longest = std::max(longest, one.bound);
    return longest;
}

bool DrillRow::in_time() const {
    const auto is_late = [&](const Named& one) { return one.right && one.seconds > one.bound; };
    return is_named() && std::ranges::none_of(named, is_late);
}

DrillWatch::DrillWatch(DrillFault fault, WallTime since) : since_text_(rfc3339(since)), since_(since) {
    row_.fault = std::move(fault);
}

void DrillWatch::observe(const json::array& results, WallTime now) {
    bool all = true;
    for (const auto& value : results) {
        const json::object& result = value.as_object();
        // Both are RFC 3339 in UTC with milliseconds: their order is that of the texts.
        const bool after = text_of(result, "started") >= since_text_;
        all = all && after;
        if (!after || text_of(result, "outcome") != "failed") continue;
        if (!judged_.insert(text_of(result, "run_id")).second) continue;
        // Not of a row: of a stream that is pushed each 2 s every second run may hear nothing.
        const bool confirmed = ++failures_[text_of(result, "probe")] >= 2;
        const std::string cause = text_of(result, "cause");
        DrillRow::Named named{.probe = text_of(result, "probe"),
                              .label = cause.empty() ? text_of(result, "class") : cause};
        if (cause.empty()) named.candidates = candidates_of(result);
        named.seconds = std::chrono::duration<double>(now - since_).count();
        const DrillFault& fault = row_.fault;
        if (!cause.empty() && cause != fault.cause && !fault.explained.contains(cause) &&
            std::ranges::none_of(row_.wrong, [&](const DrillRow::Named& w) {
                return w.probe == named.probe && w.label == named.label;
            }))
            row_.wrong.push_back(named);
        const auto by = std::ranges::find(fault.named_by, named.probe, &DrillFault::NamedBy::probe);
        if (by == fault.named_by.end()) continue;
        named.bound = by->bound;
        // What hides in a class is looked at once the controls have been played, which may single it out.
        named.right = is_right(fault, *by, named) && (confirmed || named.label == fault.cause);
        const auto before = std::ranges::find(row_.named, named.probe, &DrillRow::Named::probe);
        if (before == row_.named.end())
            row_.named.push_back(std::move(named));
        else if (!before->right)
            *before = std::move(named);
    }
    all_have_run_ = all_have_run_ || all;
}

std::vector<std::string> not_well(const json::array& results, WallTime since) {
    const std::string from = rfc3339(since);
    std::vector<std::string> waiting;
    for (const auto& value : results) {
        const json::object& result = value.as_object();
        const std::string outcome = text_of(result, "outcome");
        if (text_of(result, "started") >= from && outcome == "ok") continue;
        std::string words = text_of(result, "probe") + (outcome.empty() ? " has not run" : ' ' + outcome);
        for (const char* key : {"phase", "reason", "cause", "class", "because", "inconclusive"})
            if (const auto more = text_of(result, key); !more.empty()) words += ' ' + more;
        waiting.push_back(std::move(words));
    }
    return waiting;
}

void print_rows(std::ostream& out, const std::vector<DrillRow>& rows) {
    out << "| fault | what breaks | is | seconds | within | named by | said | "
           "|\n|---|---|---|---|---|---|---|---|\n";
    std::map<std::string, std::map<std::string, int>> matrix;  // the truth → what was said → how often
    std::set<std::string> causes;
    std::size_t right = 0, in_time = 0, seeds = 0, seeds_right = 0, wrong = 0, claimed = 0;
    for (const DrillRow& row : rows) {
        const DrillFault& fault = row.fault;
        out << "| " << fault.id << " | " << fault.breaks << " | " << fault.cause << (fault.seed ? " *" : "")
            << " | " << seconds_text(row.seconds()) << " | " << seconds_text(row.bound())
            << (row.in_time() ? "" : " MISSED") << " | ";
        std::string by, what;
        bool as_cause = false;
        for (const auto& expected : fault.named_by) {
            const auto named = std::ranges::find(row.named, expected.probe, &DrillRow::Named::probe);
            if (fault.any && (named == row.named.end() || !named->right) && row.is_named()) continue;
            const std::string words = named == row.named.end() ? "nothing" : said(*named);
            by += (by.empty() ? "" : "; ") + expected.probe;
            what += (what.empty() ? "" : "; ") + words;
            const std::string label = named == row.named.end() ? "nothing"
                                      : named->label.empty()   ? "(candidates)"
                                                               : named->label;
            ++matrix[fault.cause][label];
            as_cause = as_cause || label == fault.cause;
        }
        for (const auto& other : row.wrong) {
            what += "; WRONG " + other.probe + ": " + said(other);
            ++matrix[fault.cause]["WRONG: " + other.label];
        }
        if (!row.trouble.empty()) what += "; " + row.trouble;
        out << by << " | " << what << " | " << (row.right() ? "right" : "WRONG") << " |\n";
        right += row.right() ? 1U : 0U;
        in_time += row.in_time() ? 1U : 0U;
        seeds += fault.seed ? 1U : 0U;
        seeds_right += fault.seed && row.right() ? 1U : 0U;
        wrong += row.wrong.size();
        claimed += row.right() && as_cause ? 1U : 0U;
        if (row.right()) causes.insert(fault.cause);
    }
    out << "\nConfusion matrix: what is wrong, and what the probes named, how often.\n\n"
           "| is | named |\n|---|---|\n";
    for (const auto& [truth, named] : matrix) {
        out << "| " << truth << " | ";
        bool first = true;
        for (const auto& [label, count] : named) {
            out << (first ? "" : ", ") << label << ' ' << count;
            first = false;
        }
        out << " |\n";
    }
    out << '\n'
        << right << " of " << rows.size() << " faults right, " << claimed
        << " of them named as the cause, the others as their class with the cause among its first three; "
        << causes.size() << " causes; " << seeds_right << " of " << seeds
        << " failures of the owner's documents (*); " << wrong << " wrong causes; " << in_time << " of "
        << rows.size() << " within one interval and the confirmation\n";
    print_alerts(out, rows);
}

json::object to_json(const DrillRow& row) {
    const auto list = [](const std::vector<DrillRow::Named>& all) {
        json::array array;
        for (const DrillRow::Named& named : all)
            array.push_back(
                json::object{{"probe", named.probe},
                             {"label", named.label},
                             {"candidates", json::array(named.candidates.begin(), named.candidates.end())},
                             {"seconds", named.seconds},
                             {"bound_seconds", named.bound},
                             {"right", named.right}});
        return array;
    };
    return {{"fault", row.fault.id},
            {"breaks", row.fault.breaks},
            {"cause", row.fault.cause},
            {"seed", row.fault.seed},
            {"right", row.right()},
            {"seconds", row.seconds()},
            {"bound_seconds", row.bound()},
            {"in_time", row.in_time()},
            {"recovered_seconds", row.recovered_seconds},
            {"alert_seconds", row.alert_seconds ? json::value(*row.alert_seconds) : json::value(nullptr)},
            {"named", list(row.named)},
            {"wrong", list(row.wrong)},
            {"trouble", row.trouble}};
}

}  // namespace livecanary::daemon
