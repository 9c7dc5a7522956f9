#pragma once
// Which alerts there are, and what of them an Alertmanager has to be sent when. Pure: times come in.
//
// Theory of operation. An alert *fires* from the run that makes its probe alert until the probe recovers, is
// taken out of the configuration or enters maintenance; then it is *resolved*, and `keep_resolved` later it
// is forgotten. Each Alertmanager has an Outbox, which knows what version of each alert that one was told
// last: a new version is due at once, an old one again each `resend`. What is due is looked up in the book
// when it is sent, so an Alertmanager that was away gets what is true now, not what was true meanwhile, and
// the queue is never longer than the book.
#include <chrono>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/settings.hpp"

namespace livecanary::daemon {

struct AlertTimes {
    Clock::duration resend = std::chrono::minutes(1);
    /// Of a firing alert: how far ahead of a delivery it ends unless it is sent again. Four resends.
    int lapse_after_resends = 4;
    Clock::duration keep_resolved = std::chrono::minutes(15);
    Clock::duration first_back_off = std::chrono::seconds(1);
    Clock::duration longest_back_off = std::chrono::minutes(1);
    Clock::duration patience = std::chrono::seconds(10);  ///< for one delivery, all in all
};

/// Names and values.
using AlertWords = std::map<std::string, std::string>;

/// What is said of a probe that alerts.
struct AlertFacts {
    std::string probe{};
    AlertWords labels{};       ///< the identity: a changed label would be another alert
    AlertWords annotations{};  ///< may change while it fires
    std::string generator_url{};
    bool operator==(const AlertFacts&) const = default;
};

struct Alert {
    AlertFacts facts{};
    WallTime starts_at{};
    std::optional<WallTime> ended{};  ///< there once it is resolved
    Clock::time_point forget_at{};    ///< once it is resolved
    std::uint64_t version = 0;        ///< grows with each change
};

/// `alertname`, `probe`, `kind`, `severity`, `location`, and `journey` if the probe belongs to one.
AlertWords alert_labels(const ProbeSettings& probe, const std::string& location);

/// Where links of an alert lead.
struct AlertLinks {
    std::string own{};      ///< of the daemon's pages, without a slash at its end
    std::string grafana{};  ///< likewise; empty: the daemon's own page is the dashboard
};

/// `summary`, `description`, `cause`, `fix`, `runbook_url`, `dashboard_url`, in `lang`; `run` failed.
AlertWords alert_annotations(const ProbeSettings& probe, const std::string& location, const RunResult& run,
                             const Diagnosis& found, const AlertLinks& links, std::string_view lang);

/// The daemon's page where this probe stands.
std::string page_url(const AlertLinks& links, const std::string& probe);
/// Its page of this incident.
std::string incident_url(const AlertLinks& links, const std::string& id);

/// All alerts. Names of alerts are their labels as JSON.
class AlertBook {
public:
    explicit AlertBook(AlertTimes times = {}) : times_(times) {}

    /// The probe alerts. The same labels are the same alert, perhaps in other words; other labels of the same
    /// probe (its configuration was changed) resolve what it said before. Words that change with each run
    /// (times, counts in the description) are no news: they go along with the next resend.
    void fire(AlertFacts facts, Clock::time_point now, WallTime wall);
    /// The probe no longer alerts, for whatever reason.
    void resolve(std::string_view probe, Clock::time_point now, WallTime wall);
    /// Forgets what was resolved long enough ago.
    void forget(Clock::time_point now);
    /// What text() said of an alert before a restart. One that is known is newer, but for its beginning. What
    /// cannot be read is dropped.
    void restore(std::string_view text, Clock::time_point now, WallTime wall);

    /// The probes with an alert that fires, each with its labels.
    std::map<std::string, AlertWords> firing() const;
    /// The labels of the alert of that probe, if one fires.
    std::optional<AlertWords> firing(std::string_view probe) const;
    const std::map<std::string, Alert>& alerts() const noexcept { return alerts_; }
    const Alert* find(const std::string& name) const;
    /// The names of what was changed or forgotten since it was asked last.
    std::vector<std::string> take_changed();
    const AlertTimes& times() const noexcept { return times_; }

    /// Of an alert as it is stored, for restore().
    static std::string text(const Alert& alert);

private:
    void changed(const std::string& name, Alert& alert);
    void end(const std::string& name, Alert& alert, Clock::time_point now, WallTime wall);

    AlertTimes times_;
    std::map<std::string, Alert> alerts_{};
    std::map<std::string, std::string, std::less<>> firing_{};  ///< probe → name of its alert
    std::vector<std::string> changed_{};
    std::uint64_t versions_ = 0;
};

/// Most alerts of one request, as Prometheus sends them.
constexpr std::size_t most_alerts_in_request = 64;

/// What one Alertmanager was told, and what it is to be told when.
class Outbox {
public:
    explicit Outbox(AlertTimes times = {}) : times_(times) {}

    /// When there is something to send; nothing if there is no alert at all.
    std::optional<Clock::time_point> next(const AlertBook& book, Clock::time_point now) const;

    /// A request under way: names and versions.
    using Batch = std::vector<std::pair<std::string, std::uint64_t>>;
    /// What is due now, changes first, at most most_alerts_in_request. Empty: nothing is, or we back off.
    Batch due(const AlertBook& book, Clock::time_point now) const;

    /// The request was answered, with consent or (400 and the like) for good: the same again would get the
    /// same answer, so it is not tried before the next resend.
    void answered(const AlertBook& book, const Batch& batch, Clock::time_point now);
    /// It was not (no answer, 429, 5xx): all of it is tried again, after a while that doubles each time.
    void unanswered(Clock::time_point now);

    /// How many alerts wait to be sent.
    std::size_t waiting(const AlertBook& book, Clock::time_point now) const;

private:
    struct Told {
        std::uint64_t version = 0;
        Clock::time_point at{};
    };
    Clock::time_point due_at(const std::string& name, const Alert& alert, Clock::time_point now) const;

    AlertTimes times_;
    std::map<std::string, Told> told_{};
    int failures_ = 0;  ///< in a row
    std::optional<Clock::time_point> retry_at_{};
};

/// The body for /api/v2/alerts. What was forgotten since it became due is left out.
std::string alerts_body(const AlertBook& book, const Outbox::Batch& batch, WallTime wall);

/// What a status of the answer means for the alerts sent.
enum class Reception {
    accepted,  ///< 2xx
    refused,   ///< for good: 400, 401, 404 and so on
    later,     ///< 429 and 5xx
};
constexpr Reception reception_of(unsigned status) noexcept {
    if (status >= 200 && status < 300) return Reception::accepted;
    return status == 429 || status >= 500 ? Reception::later : Reception::refused;
}

}  // namespace livecanary::daemon
