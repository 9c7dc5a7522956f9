#include "probes/cos_roundtrip/keys.hpp"

#include <algorithm>
#include <charconv>
#include <chrono>

namespace livecanary::cos_roundtrip {

std::string folder_of(const Config& config, const Env& env) {
    return config.prefix + env.location + "/" + env.probe + "/";
}

std::optional<WallTime> made_at(std::string_view key, std::string_view folder) {
    constexpr std::string_view suffix = ".bin";
    constexpr std::size_t id_size = 16;
    // Until the year 5138.
    constexpr std::ptrdiff_t most_digits = 11;
    if (!key.starts_with(folder) || !key.ends_with(suffix)) return std::nullopt;
    key.remove_prefix(folder.size());
    if (key.size() < suffix.size()) return std::nullopt;
    key.remove_suffix(suffix.size());
    std::int64_t stamp = 0;
    const auto [end, wrong] = std::from_chars(key.data(), key.data() + key.size(), stamp);
    const auto digits = end - key.data();
    if (wrong != std::errc{} || stamp < 0 || digits > most_digits || key.front() == '-') return std::nullopt;
    key.remove_prefix(static_cast<std::size_t>(digits));
    const auto is_hex = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); };
    if (key.size() != 1 + id_size || key.front() != '-' || !std::ranges::all_of(key.substr(1), is_hex))
        return std::nullopt;
    // Beyond, the nanoseconds of a system_clock do not reach.
    constexpr std::int64_t latest = 9'000'000'000;
    if (stamp > latest) return std::nullopt;
    return WallTime(std::chrono::seconds(stamp));
}

std::string item_of(const Endpoint& endpoint, const std::string& key) {
    const std::string host = (endpoint.tls ? "https://" : "http://") + endpoint.host_header();
    if (!endpoint.v4) return host + " " + key;
    return host + "/files/" + endpoint.v4->version + "/" + endpoint.v4->app_id + "/" + endpoint.v4->name +
           " " + key;
}

}  // namespace livecanary::cos_roundtrip
