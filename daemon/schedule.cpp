#include "daemon/schedule.hpp"

#include <algorithm>

namespace livecanary::daemon {
namespace {

/// FNV-1a, then the finaliser of MurmurHash3, without which names that differ in their last letter land close
/// together. Stable over builds and machines, unlike std::hash.
std::uint64_t stable_hash(std::string_view text) noexcept {
    std::uint64_t hash = 0xcbf29ce484222325;
    for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
    hash = (hash ^ (hash >> 33)) * 0xff51afd7ed558ccd;
    hash = (hash ^ (hash >> 33)) * 0xc4ceb9fe1a85ec53;
    return hash ^ (hash >> 33);
}

}  // namespace

Schedule Schedule::starting(Clock::time_point start, Clock::duration interval, std::string_view name) {
    const auto range = static_cast<std::uint64_t>(std::min(interval, spread).count());
    const auto offset = static_cast<Clock::rep>(stable_hash(name) % std::max<std::uint64_t>(range, 1));
    return {start + Clock::duration(offset), interval};
}

Schedule::Next Schedule::after(Clock::time_point slot, Clock::time_point now) const noexcept {
    const auto next = slot + interval_;
    if (next > now) return {next, 0};
    const auto missed = (now - next) / interval_ + 1;
    return {next + missed * interval_, static_cast<std::uint64_t>(missed)};
}

Clock::time_point confirmation_due(Clock::time_point now, Clock::time_point next_slot,
                                   Clock::duration interval, Reason reason) noexcept {
    if (reason == Reason::timeout) return next_slot;
    return std::min(next_slot, now + std::min<Clock::duration>(interval / 2, std::chrono::seconds(2)));
}

}  // namespace livecanary::daemon
