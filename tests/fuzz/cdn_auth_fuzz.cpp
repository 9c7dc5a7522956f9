// Any URL is checked for every type without harm; one that can be signed verifies once it is, and not under
// another key.
#include <cstdint>
#include <cstdlib>

#include "probes/protocol/cdn_auth.hpp"

namespace {

using namespace livecanary::protocol;

void require(bool holds) {
    if (!holds) std::abort();
}

constexpr std::string_view key = "dimtm5evg50ijsx2hvuwyfoiu65";
constexpr std::chrono::sys_seconds now{std::chrono::seconds(1'700'000'040)};

void try_type(std::string_view url, const CdnAuth& auth) {
    if (const auto found = check_cdn_url(url, auth, key, "backup")) {
        require(found->type || (found->match == CdnMatch{} && !found->signed_at));
    }
    const auto signed_url = cdn_sign(url, auth, key, now, "r4nd");
    if (!signed_url || signed_url->size() > max_cdn_url_size) return;
    const auto found = check_cdn_url(*signed_url, auth, "another", key);
    require(found && found->type == auth.type && found->hash == auth.hash &&
            found->time == auth.actual_time());
    require(found->match.exact() && found->match.key == KeyFound::backup);
    require(found->signed_at == now && !found->repeated && !found->other_parameters);
    require(check_cdn_url(*signed_url, auth, "another", "")->match == CdnMatch{});
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view url(reinterpret_cast<const char*>(data), size);
    using enum CdnAuthType;
    for (const auto type : {a, b, c, d}) {
        try_type(url, {.type = type});
        try_type(url,
                 {.type = type, .hash = Digest::sha256, .order = CdnOrder::time_first, .time = CdnTime::hex});
    }
    return 0;
}
