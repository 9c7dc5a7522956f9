#include "probes/log_keywords/places.hpp"

#include <array>
#include <charconv>
#include <cstddef>
#include <system_error>

namespace livecanary::log_keywords {
namespace {

constexpr std::string_view form = "livecanary places 1";

template <class Number>
void add(std::string& out, Number number, char end) {
    std::array<char, 24> digits{};
    const auto [last, error] = std::to_chars(digits.data(), digits.data() + digits.size(), number, 16);
    out.append(digits.data(), static_cast<std::size_t>(last - digits.data())) += end;
}

template <class Number>
bool take(std::string_view& text, Number& number, char end) {
    const auto [last, error] = std::from_chars(text.data(), text.data() + text.size(), number, 16);
    const auto used = static_cast<std::size_t>(last - text.data());
    if (error != std::errc() || used == text.size() || text[used] != end) return false;
    text.remove_prefix(used + 1);
    return true;
}

bool take(std::string_view& text, Place& place) {
    unsigned flags = 0;
    const bool good = take(text, place.id.device, ' ') && take(text, place.id.inode, ' ') &&
                      take(text, place.id.born, ' ') && take(text, place.offset, ' ') &&
                      take(text, place.head, ' ') && take(text, place.tail, ' ') &&
                      take(text, place.written, ' ') && take(text, place.size, ' ') &&
                      take(text, flags, '\n') && flags < 4;
    place.skipping = (flags & 1) != 0;
    place.copy = (flags & 2) != 0;
    return good;
}

}  // namespace

std::string to_text(const Places& places) {
    std::string out(form);
    out += '\n';
    add(out, places.horizon, '\n');
    add(out, places.paths.size(), '\n');
    for (const auto& path : places.paths) {
        add(out, path.size(), ' ');
        out.append(path) += '\n';
    }
    for (const Place& place : places.files) {
        add(out, place.id.device, ' ');
        add(out, place.id.inode, ' ');
        add(out, place.id.born, ' ');
        add(out, place.offset, ' ');
        add(out, place.head, ' ');
        add(out, place.tail, ' ');
        add(out, place.written, ' ');
        add(out, place.size, ' ');
        add(out, (place.skipping ? 1U : 0U) | (place.copy ? 2U : 0U), '\n');
    }
    return out;
}

std::optional<Places> places_from(std::string_view text) {
    if (!text.starts_with(form)) return std::nullopt;
    text.remove_prefix(form.size());
    if (!text.starts_with('\n')) return std::nullopt;
    text.remove_prefix(1);
    Places places;
    std::size_t paths = 0;
    if (!take(text, places.horizon, '\n') || !take(text, paths, '\n')) return std::nullopt;
    for (; paths > 0; --paths) {
        std::size_t size = 0;
        if (!take(text, size, ' ') || text.size() <= size || text[size] != '\n') return std::nullopt;
        places.paths.emplace_back(text.substr(0, size));
        text.remove_prefix(size + 1);
    }
    while (!text.empty()) {
        if (places.files.size() == most_places || !take(text, places.files.emplace_back()))
            return std::nullopt;
    }
    return places;
}

}  // namespace livecanary::log_keywords
