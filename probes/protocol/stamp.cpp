#include "probes/protocol/stamp.hpp"

#include <charconv>
#include <cstdio>
#include <string_view>

namespace livecanary::protocol {
namespace {

constexpr std::string_view opening = "livecanary 1 ";
constexpr std::size_t run_digits = 16;

template <class Number>
bool take(std::string_view text, Number& number, int base) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
    return error == std::errc{} && end == text.data() + text.size();
}

}  // namespace

std::vector<std::uint8_t> write_stamp(const Stamp& stamp) {
    char text[64];
    const int size =
        std::snprintf(text, sizeof text, "%.*s%016llx %lld", static_cast<int>(opening.size()), opening.data(),
                      static_cast<unsigned long long>(stamp.run), static_cast<long long>(stamp.sent.count()));
    return {text, text + size};
}

std::optional<Stamp> read_stamp(std::span<const std::uint8_t> payload) {
    std::string_view text(reinterpret_cast<const char*>(payload.data()), payload.size());
    if (!text.starts_with(opening)) return std::nullopt;
    text.remove_prefix(opening.size());
    if (text.size() < run_digits + 2 || text[run_digits] != ' ') return std::nullopt;
    Stamp stamp;
    long long nanoseconds = 0;
    if (!take(text.substr(0, run_digits), stamp.run, 16)) return std::nullopt;
    if (!take(text.substr(run_digits + 1), nanoseconds, 10) || nanoseconds < 0) return std::nullopt;
    stamp.sent = std::chrono::nanoseconds(nanoseconds);
    return stamp;
}

}  // namespace livecanary::protocol
