#include "probes/protocol/cdn_cache.hpp"

#include <algorithm>
#include <array>

#include "probes/protocol/ascii.hpp"

namespace livecanary::protocol {
namespace {

constexpr char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }
constexpr bool same_letter(char a, char b) noexcept { return lower(a) == lower(b); }

bool contains(std::string_view text, std::string_view word) noexcept {
    return std::search(text.begin(), text.end(), word.begin(), word.end(), same_letter) != text.end();
}
bool ends_with(std::string_view text, std::string_view end) noexcept {
    return text.size() >= end.size() &&
           std::ranges::equal(text.substr(text.size() - end.size()), end, same_letter);
}

struct Chain {
    bool hit = false, miss = false, upstream = false;
};

void read_text(std::string_view text, Chain& chain) noexcept {
    if (contains(text, "miss")) {
        chain.miss = true;
        return;
    }
    if (contains(text, "hit from upstream")) {
        chain.upstream = true;
        return;
    }
    constexpr std::array<std::string_view, 5> hits{"cache hit", "refresh hit", "memcache", "disktank",
                                                   "inner cluster"};
    chain.hit = chain.hit || std::ranges::any_of(hits, [&](auto words) { return contains(text, words); });
}

std::string_view without_final_dot(std::string_view name) noexcept {
    if (name.ends_with('.')) name.remove_suffix(1);
    return name;
}

}  // namespace

std::string_view to_string(CdnCache cache) noexcept {
    switch (cache) {
        case CdnCache::hit:
            return "hit";
        case CdnCache::miss:
            return "miss";
        case CdnCache::unknown:
            break;
    }
    return "unknown";
}

CdnCache read_cache_lookup(std::span<const std::string_view> values) noexcept {
    Chain chain;
    for (std::string_view rest : values)
        while (!rest.empty()) {
            const auto text = rest.substr(0, rest.find(','));
            read_text(text, chain);
            rest.remove_prefix(std::min(text.size() + 1, rest.size()));
        }
    if (chain.miss) return CdnCache::miss;
    if (chain.hit) return CdnCache::hit;
    return chain.upstream ? CdnCache::miss : CdnCache::unknown;
}

bool is_cos_cdn_name(std::string_view name) noexcept {
    return ends_with(without_final_dot(name), ".file.myqcloud.com");
}

bool is_cdn_name(std::string_view name) noexcept {
    name = without_final_dot(name);
    constexpr std::array<std::string_view, 4> below{".dnsv1.com", ".dnsv1.com.cn", ".cdntip.com",
                                                    ".file.myqcloud.com"};
    if (std::ranges::any_of(below, [&](auto suffix) { return ends_with(name, suffix); })) return true;
    // tdnsv5.com, tdnsv12.com and the like.
    if (!ends_with(name, ".com")) return false;
    name.remove_suffix(4);
    while (!name.empty() && is_digit(name.back())) name.remove_suffix(1);
    return ends_with(name, ".tdnsv");
}

}  // namespace livecanary::protocol
