#include "probes/callback/inbox.hpp"

#include <algorithm>
#include <set>
#include <utility>

#include "probes/protocol/callback_sign.hpp"
#include "probes/protocol/digest.hpp"
#include "probes/protocol/printable.hpp"

namespace livecanary::callback {
namespace {

using namespace std::chrono_literals;

/// How much earlier than a push is told of, its event may come: a push counts as accepted only once its media
/// was taken.
constexpr auto ahead = 15s;
/// How long after its time an event may still belong to an expectation: the cloud sends it 12 times, a minute
/// apart (267/32744).
constexpr auto retries = 13min;
/// Bursts: so many seconds of the average rate.
constexpr double burst = 5;

std::string seconds_text(WallTime::duration d) {
    return std::to_string(std::chrono::duration_cast<std::chrono::seconds>(d).count()) + " s";
}

std::string named(const Event& event) {
    return "event " + std::to_string(event.type) + " of stream " + protocol::printable(event.stream_id);
}

/// The same happening, whatever `t` it is sent with.
bool same_event(const Event& a, const Event& b) {
    if (a.type != b.type || a.stream_id != b.stream_id) return false;
    if (!a.file_id.empty()) return a.file_id == b.file_id;
    return !a.sequence.empty() && a.sequence == b.sequence;
}

std::string digest_of(const Event& event, std::string_view body) {
    return protocol::hex_digest(protocol::Digest::sha256,
                                event.sign + "|" + event.t + "|" + std::string(body));
}

}  // namespace

std::string_view label_of(std::int64_t event) noexcept {
    for (const auto label : event_labels)
        if (label == std::to_string(event)) return label;
    return event_labels.back();
}

unsigned status_of(Verdict verdict) noexcept {
    switch (verdict) {
        case Verdict::taken:
            return 200;
        case Verdict::replayed:
            return 409;
        case Verdict::badly_signed:
        case Verdict::expired:
            return 403;
        case Verdict::malformed:
            return 400;
        case Verdict::too_many:
            return 429;
    }
    return 500;
}

Inbox::Inbox(const Receive& receive, config::Secret key, config::Secret backup_key)
    : receive_(receive), key_(std::move(key)), backup_key_(std::move(backup_key)) {}

bool Inbox::admit(Clock::time_point steady) {
    const auto rate = static_cast<double>(receive_.rate);
    if (tokens_at_)
        tokens_ += rate * std::chrono::duration<double>(steady - *tokens_at_).count();
    else
        tokens_ = rate * burst;
    tokens_at_ = steady;
    tokens_ = std::min(tokens_, rate * burst);
    if (tokens_ < 1) return false;
    tokens_ -= 1;
    return true;
}

bool Inbox::seen_before(const Event& event, bool settled) const {
    return std::ranges::any_of(
        arrivals_, [&](const Arrival& a) { return (a.settled || !settled) && same_event(a.event, event); });
}

void Inbox::keep_badly_signed(const Event& event, WallTime now) {
    since_report_.defects[defect::bad_signature] += 1;
    badly_signed_ = event;
    // Each is of one push: else those of one push would speak for the next one of the same stream.
    for (auto& expected : expectations_) {
        if (!is_of(event, now, expected) || expected.state != Expectation::State::open ||
            expected.badly_signed)
            continue;
        expected.badly_signed = badly_signed_matched_ = true;
        return;
    }
    if (bad_ones_.size() == most_bad_ones) bad_ones_.pop_front();
    bad_ones_.push_back({.event = event, .at = now});
}

bool Inbox::is_of(const Event& event, WallTime at, const Expectation& expected) {
    return expected.event == event.type && expected.stream == event.stream_id && at >= expected.since - ahead;
}

Verdict Inbox::take(std::string_view body, WallTime now, Clock::time_point steady) {
    if (!admit(steady)) return Verdict::too_many;
    auto event = read_event(body);
    if (!event || event->stream_id.empty() || event->t.empty() || event->sign.empty())
        return Verdict::malformed;
    const auto check = protocol::check_callback(event->sign, event->t, key_.reveal(), backup_key_.reveal(),
                                                std::chrono::floor<std::chrono::seconds>(now));
    if (!check.match.exact()) {
        keep_badly_signed(*event, now);
        return Verdict::badly_signed;
    }
    if (check.expired()) {
        since_report_.defects[defect::late] += 1;
        return Verdict::expired;
    }
    auto digest = digest_of(*event, body);
    if (remembered_set_.contains(digest)) {
        since_report_.defects[defect::duplicate] += 1;
        return Verdict::replayed;
    }
    const bool again = seen_before(*event, false);
    if (seen_before(*event, true)) since_report_.defects[defect::duplicate] += 1;
    since_report_.callbacks[label_of(event->type)] += 1;
    ++taken_;
    if (arrivals_.size() == most_arrivals) {
        unsettled_.erase(arrivals_.front().number);
        arrivals_.pop_front();
    }
    arrivals_.push_back({.number = ++numbers_, .event = *std::move(event), .at = now, .matched = again});
    unsettled_[numbers_] = std::move(digest);
    if (!again) match(arrivals_.back());
    return Verdict::taken;
}

void Inbox::settle(std::uint64_t number, bool with_200, std::optional<Forwarded> forwarded) {
    const auto at = std::ranges::find(arrivals_, number, &Arrival::number);
    const auto digest = unsettled_.find(number);
    if (at != arrivals_.end()) {
        at->settled = with_200;
        at->forwarded = forwarded;
        if (forwarded) keep_forwarded(*at);
    }
    if (digest == unsettled_.end()) return;
    if (with_200) {
        if (remembered_.size() == most_remembered_bodies) {
            remembered_set_.erase(remembered_.front());
            remembered_.pop_front();
        }
        remembered_.push_back(digest->second);
        remembered_set_.insert(digest->second);
    }
    unsettled_.erase(digest);
}

/// Of each event and stream, the newest answer speaks: one stream that is well says nothing of another.
void Inbox::keep_forwarded(const Arrival& arrival) {
    // The backend does not know of it.
    if (arrival.forwarded->answer == held_back) {
        ++since_report_.held_back;
        return;
    }
    std::erase_if(refused_, [&](const Arrival& old) {
        return old.event.type == arrival.event.type && old.event.stream_id == arrival.event.stream_id;
    });
    if (arrival.forwarded->good()) {
        auto& last = last_taken_[label_of(arrival.event.type)];
        last = std::max(last, arrival.at);
        // What had no answer was no fault of its stream: a backend that answers again hangs no more.
        std::erase_if(refused_, [](const Arrival& old) { return old.forwarded->answer == no_answer; });
        return;
    }
    if (refused_.size() == most_refused) refused_.pop_front();
    refused_.push_back(arrival);
}

/// A stream may never come again. It has its time to; after that, another's event that the backend took shows
/// that it takes such events.
bool Inbox::stands(const Arrival& refused, WallTime now) const {
    if (now - refused.at <= receive_.refusal_stands) return true;
    const auto taken = last_taken_.find(label_of(refused.event.type));
    return taken == last_taken_.end() || taken->second <= refused.at;
}

void Inbox::match(Arrival& arrival) {
    using enum Expectation::State;
    const auto fits = [&](const Expectation& e) { return is_of(arrival.event, arrival.at, e); };
    const auto open_one =
        std::ranges::find_if(expectations_, [&](const Expectation& e) { return e.state == open && fits(e); });
    auto found = open_one;
    if (found == expectations_.end()) {
        found = std::ranges::find_if(expectations_, [&](const Expectation& e) {
            return e.state == missed && fits(e) && arrival.at <= e.due + retries;
        });
    }
    if (found == expectations_.end()) return;
    arrival.matched = true;
    if (found->state == missed || arrival.at > found->due) since_report_.defects[defect::late] += 1;
    found->state = met;
    const auto took = std::max(arrival.at - found->since, WallTime::duration{});
    since_report_.delays.emplace_back(label_of(arrival.event.type),
                                      std::chrono::duration<double>(took).count());
}

void Inbox::expect(std::int64_t event, const std::string& stream, const std::string& domain, WallTime since) {
    if (std::ranges::find(receive_.expect, event) == receive_.expect.end()) return;
    if (expectations_.size() == most_expectations) expectations_.pop_front();
    const auto within = event == 100 ? receive_.record_within : receive_.expect_within;
    expectations_.push_back(
        {.event = event, .stream = stream, .domain = domain, .since = since, .due = since + within});
    const auto bad = std::ranges::find_if(
        bad_ones_, [&](const BadOne& one) { return is_of(one.event, one.at, expectations_.back()); });
    if (bad != bad_ones_.end()) {
        expectations_.back().badly_signed = true;
        bad_ones_.erase(bad);
    }
    for (auto& arrival : arrivals_)
        if (!arrival.matched && is_of(arrival.event, arrival.at, expectations_.back())) return match(arrival);
}

void Inbox::told(const std::vector<Notice>& notices, WallTime since) {
    for (const auto& notice : notices) {
        last_notice_ = std::max(last_notice_, notice.number);
        if (notice.at < since) continue;
        if (!receive_.push.empty() && notice.from != receive_.push) continue;
        const auto fact = [&](std::string_view name) {
            const auto found = notice.facts.find(name);
            return found == notice.facts.end() ? std::string() : found->second;
        };
        const auto stream = fact("stream_id");
        if (own_pushes_.size() == most_expectations) own_pushes_.pop_front();
        own_pushes_.push_back({.stream = stream, .at = notice.at});
        if (fact("event") == "1") expect(1, stream, fact("domain"), notice.at);
        if (fact("event") == "0") {
            expect(0, stream, fact("domain"), notice.at);
            expect(100, stream, fact("domain"), notice.at);
        }
    }
}

bool Inbox::is_of_own_push(const Arrival& arrival) const {
    return std::ranges::any_of(own_pushes_, [&](const OwnPush& push) {
        return push.stream == arrival.event.stream_id && arrival.at >= push.at - ahead;
    });
}

/// What has had its time.
void Inbox::conclude(WallTime now) {
    for (auto& expected : expectations_) {
        if (expected.state != Expectation::State::open || now <= expected.due) continue;
        expected.state = Expectation::State::missed;
        since_report_.defects[defect::missing] += 1;
    }
    std::erase_if(refused_, [&](const Arrival& refused) { return !stands(refused, now); });
    for (auto& arrival : arrivals_) {
        if (arrival.matched || now - arrival.at <= receive_.expect_within) continue;
        arrival.matched = true;
        // An event that need not follow a push may do so.
        if (!is_of_own_push(arrival)) since_report_.defects[defect::unmatched] += 1;
    }
}

/// The events of that stream that came, such as `1 0`; `none`.
std::string Inbox::arrived_of(const std::string& stream, WallTime since) const {
    std::string names;
    for (const auto& arrival : arrivals_)
        if (arrival.event.stream_id == stream && arrival.at >= since - ahead)
            names += (names.empty() ? "" : " ") + std::to_string(arrival.event.type);
    return names.empty() ? "none" : names;
}

/// Whether events of other streams come in, where those of the missed one do not: since it was due, or
/// always. One of the same domain shows nothing: what is bound is the domain.
bool Inbox::hears_of_others(const Expectation& missed) const {
    const bool never = arrived_of(missed.stream, {}) == "none";
    return std::ranges::any_of(arrivals_, [&](const Arrival& arrival) {
        return arrival.event.stream_id != missed.stream && (never || arrival.at >= missed.since) &&
               (missed.domain.empty() || arrival.event.app != missed.domain);
    });
}

std::optional<Standing> Inbox::standing_missing() const {
    // Of each event, the newest expectation that is decided speaks.
    for (const std::int64_t event : {1, 0, 100}) {
        const Expectation* newest = nullptr;
        for (const auto& expected : expectations_)
            if (expected.event == event && expected.state != Expectation::State::open) newest = &expected;
        if (newest == nullptr || newest->state != Expectation::State::missed) continue;
        Standing standing{.what =
                              newest->badly_signed ? Standing::What::badly_signed : Standing::What::missing};
        standing.evidence = {{"missing", std::to_string(event)},
                             {"missing_stream", newest->stream},
                             {"arrived", arrived_of(newest->stream, newest->since)},
                             {"other_streams", hears_of_others(*newest) ? "their events come in" : ""}};
        if (newest->badly_signed) standing.evidence.emplace_back("badly_signed", "of our own push");
        return standing;
    }
    return std::nullopt;
}

std::optional<Standing> Inbox::standing_forward() const {
    if (refused_.empty()) return std::nullopt;
    const Arrival& arrival = refused_.back();
    const auto& event = arrival.event;
    Standing standing{.what = Standing::What::forward_refused};
    standing.evidence = {{"forwarded", named(event)},
                         {"forward_event", std::string(label_of(event.type))},
                         {"forward_answer", arrival.forwarded->answer}};
    std::set<std::string_view> streams;
    for (const auto& refused : refused_) streams.insert(refused.event.stream_id);
    if (streams.size() > 1)
        standing.evidence.emplace_back("forward_streams", std::to_string(streams.size()) + " streams");
    if (event.type == 100 && !event.has_video_id && event.has_recording)
        standing.evidence.emplace_back("forward_lacks", "video_id");
    if (event.stream_id.find('_') == event.stream_id.npos)
        standing.evidence.emplace_back("forward_lacks_underscore", protocol::printable(event.stream_id));
    return standing;
}

std::optional<Standing> Inbox::standing() const {
    auto found = standing_missing();
    if (found) return found;
    if (badly_signed_) {
        Standing standing{.what = Standing::What::badly_signed};
        standing.evidence = {{"badly_signed_event", named(*badly_signed_)},
                             {"badly_signed", badly_signed_matched_ ? "of our own push" : "of somebody"}};
        return standing;
    }
    return standing_forward();
}

Report Inbox::report(WallTime now) {
    conclude(now);
    since_report_.standing = standing();
    const auto open_ones = std::ranges::count(expectations_, Expectation::State::open, &Expectation::state);
    since_report_.headline = std::to_string(taken_) + " events received";
    if (!arrivals_.empty())
        since_report_.headline += ", the last " + seconds_text(now - arrivals_.back().at) + " ago";
    if (open_ones > 0) since_report_.headline += ", " + std::to_string(open_ones) + " awaited";
    badly_signed_.reset();
    badly_signed_matched_ = false;
    return std::exchange(since_report_, {});
}

const Arrival* Inbox::find(std::int64_t event, std::string_view stream_id, WallTime after) const {
    const Arrival* found = nullptr;
    for (const auto& arrival : arrivals_)
        if (arrival.event.type == event && arrival.event.stream_id == stream_id && arrival.at >= after)
            found = &arrival;
    return found;
}

std::vector<const Arrival*> Inbox::recordings(std::string_view stream_id, WallTime after) const {
    std::vector<const Arrival*> found;
    for (const auto& arrival : arrivals_) {
        if (arrival.event.type != 100 || arrival.event.stream_id != stream_id || arrival.at < after) continue;
        const auto same = std::ranges::find_if(
            found, [&](const Arrival* one) { return one->event.file_id == arrival.event.file_id; });
        if (same != found.end())
            *same = &arrival;
        else
            found.push_back(&arrival);
    }
    return found;
}

}  // namespace livecanary::callback
