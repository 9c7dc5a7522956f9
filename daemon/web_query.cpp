#include "daemon/web_query.hpp"

#include <algorithm>
#include <charconv>

namespace livecanary::daemon {
namespace {

std::string decoded(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size() && out.size() < longest_query_value; ++i) {
        unsigned byte = 0;
        const bool coded =
            text[i] == '%' && i + 2 < text.size() &&
            std::from_chars(text.data() + i + 1, text.data() + i + 3, byte, 16).ptr == text.data() + i + 3;
        if (coded) i += 2;
        out += coded ? static_cast<char>(byte) : text[i] == '+' ? ' ' : text[i];
    }
    return out;
}

}  // namespace

std::vector<std::pair<std::string, std::string>> parse_query(std::string_view query) {
    std::vector<std::pair<std::string, std::string>> all;
    while (!query.empty()) {
        const auto end = std::min(query.find('&'), query.size());
        const auto pair = query.substr(0, end);
        query.remove_prefix(std::min(end + 1, query.size()));
        if (pair.empty()) continue;
        const auto equals = std::min(pair.find('='), pair.size());
        all.emplace_back(decoded(pair.substr(0, equals)),
                         decoded(pair.substr(std::min(equals + 1, pair.size()))));
    }
    return all;
}

std::optional<std::size_t> parse_count(std::string_view text) {
    std::size_t count = 0;
    const auto [at, error] = std::from_chars(text.data(), text.data() + text.size(), count);
    if (error != std::errc() || at != text.data() + text.size() || count == 0) return std::nullopt;
    return count;
}

}  // namespace livecanary::daemon
