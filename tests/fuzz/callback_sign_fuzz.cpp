// Any sign and any t are checked without harm; what was signed verifies under its key and no other.
#include <algorithm>
#include <cstdint>
#include <cstdlib>

#include "probes/protocol/callback_sign.hpp"

namespace {

using namespace livecanary::protocol;

void require(bool holds) {
    if (!holds) std::abort();
}

constexpr std::string_view key = "testcallbackkey";
constexpr std::chrono::sys_seconds now{std::chrono::seconds(1'700'000'000)};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view all(reinterpret_cast<const char*>(data), size);
    const auto cut = std::min(all.find('\n'), all.size());
    const auto t = all.substr(0, cut);
    const auto check = check_callback(all.substr(std::min(cut + 1, all.size())), t, key, "backup", now);
    require(!check.match.exact() || check.expires);
    const auto sign = callback_sign(key, t);
    const auto own = check_callback(sign, t, "another", key, now);
    require(own.match.exact() == own.expires.has_value());
    require(!own.match.exact() || own.match.key == KeyFound::backup);
    require(check_callback(sign, t, "another", "", now).match == CallbackMatch{});
    const auto body = JsonFields().text("a", all).object();
    require(std::ranges::none_of(body, [](char c) { return static_cast<unsigned char>(c) < ' '; }));
    require(std::ranges::count(body, '"') - 4 >= std::ranges::count(all, '"'));
    return 0;
}
