// An Authorization that was read is written and read back the same, as a header and as a query; a request
// that was read, once signed, verifies, and its signed URL carries that signature. The same of the JSON
// API's.
#include <cstdint>
#include <cstdlib>

#include "probes/protocol/cos_sign.hpp"
#include "probes/protocol/cos_v4_sign.hpp"

namespace {

using namespace livecanary::protocol;

void require(bool holds) {
    if (!holds) std::abort();
}

constexpr std::string_view key = "BQYIM75p8x0iWVFSIgqEKwFprpRSVHlz";
constexpr std::chrono::sys_seconds now{std::chrono::seconds(1'700'000'000)};
const KeyTime key_time{now, now + std::chrono::hours(1)};
const CosRequest request{
    .method = "GET", .path = "/a", .parameters = {{"acl", ""}}, .headers = {{"Host", "h"}}};

void try_authorization(const CosAuthorization& read) {
    const auto as_header = parse_cos_authorization(read.header());
    require(as_header && *as_header == read);
    // Encoded it is longer, maybe beyond the limit.
    const auto as_query = parse_cos_query(read.query());
    require(as_query ? *as_query == read : as_query.error() == CosSignError::too_long);
    const auto found = check_cos(read, request, {.secret_key = key}, now);
    require(found.missing_headers.size() <= read.header_list.size());
    require(found.missing_parameters.size() <= read.parameter_list.size());
}

/// A signature covers one value of a name.
bool unambiguous(const CosAuthorization& signature) {
    const auto repeats = [](const std::vector<std::string>& names) {
        for (std::size_t i = 1; i < names.size(); ++i)
            if (names[i] == names[i - 1]) return true;
        return false;
    };
    return !repeats(signature.header_list) && !repeats(signature.parameter_list);
}

void try_request(std::string_view url, const CosRequest& read) {
    const auto signature = cos_sign(read, "AKID", cos_sign_key(key, key_time), key_time);
    if (!unambiguous(signature)) return;
    const auto found = check_cos(signature, read, {.secret_key = key}, now);
    require(found.match.exact() && found.lists_canonical && !found.expired() && !found.not_yet());
    require(found.missing_headers.empty() && found.missing_parameters.empty());

    const std::string signed_url = cos_signed_url(url, signature);
    const auto again = cos_request("GET", signed_url);
    require(again ? *again == read : again.error() == CosSignError::too_long);
    const auto carried = parse_cos_query(std::string_view(signed_url).substr(signed_url.find('?') + 1));
    require(carried ? *carried == signature : carried.error() == CosSignError::too_long);
}

void try_v4(const CosV4Authorization& read, std::string_view text) {
    const auto again = parse_cos_v4_authorization(cos_v4_sign(read.fields, key));
    // Numbers that were written with leading zeros are shorter now; nothing gets longer.
    require(again && again->fields == read.fields && again->text.size() <= read.text.size());
    require(check_cos_v4(*again, key, now).exact());
    require(!check_cos_v4(read, "", now).exact() && text.size() <= max_cos_v4_size);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    if (const auto read = parse_cos_authorization(text)) try_authorization(*read);
    if (const auto read = parse_cos_query(text)) try_authorization(*read);
    if (const auto read = cos_request("GET", text)) try_request(text, *read);
    if (const auto read = parse_cos_v4_authorization(text)) try_v4(*read, text);
    return 0;
}
