#include "probes/cos_roundtrip/v4_answer.hpp"

#include <algorithm>
#include <boost/json.hpp>
#include <iterator>
#include <utility>

#include "probes/core/error_table.hpp"

namespace livecanary::cos_roundtrip {
namespace {

namespace json = boost::json;

/// `data` is an object of plain values.
constexpr std::size_t deepest = 4;

std::string text_of(const json::object& object, std::string_view name) {
    const auto* const value = object.if_contains(name);
    const auto* const text = value != nullptr ? value->if_string() : nullptr;
    return text != nullptr ? std::string(text->begin(), text->end()) : std::string();
}

std::optional<std::int64_t> number_of(const json::object& object, std::string_view name) {
    const auto* const value = object.if_contains(name);
    const auto* const number = value != nullptr ? value->if_int64() : nullptr;
    return number != nullptr ? std::optional(*number) : std::nullopt;
}

}  // namespace

error_code make_error_code(V4Error error) noexcept {
    using enum V4Error;
    static const ErrorTable<V4Error> table{
        "livecanary.cos_v4_answer",
        {{too_long, "the answer is longer than 64 KiB", Reason::protocol},
         {not_json, "the answer is not JSON", Reason::protocol},
         {no_code, "the answer is JSON, but not COS's: it has no code", Reason::mismatch}}};
    return {static_cast<int>(error), table};
}

result<V4Answer> parse_v4_answer(std::string_view body) {
    if (body.size() > most_v4_answer) return V4Error::too_long;
    json::parse_options options;
    options.max_depth = deepest;
    error_code wrong;
    const json::value whole = json::parse(body, wrong, {}, options);
    if (wrong) return V4Error::not_json;
    const auto* const object = whole.if_object();
    const auto code = object != nullptr ? number_of(*object, "code") : std::nullopt;
    if (!code) return V4Error::no_code;
    V4Answer answer{
        .code = *code, .message = text_of(*object, "message"), .request_id = text_of(*object, "request_id")};
    const auto* const data = object->if_contains("data");
    if (data == nullptr || !data->is_object()) return answer;
    answer.access_url = text_of(data->get_object(), "access_url");
    answer.source_url = text_of(data->get_object(), "source_url");
    answer.sha = text_of(data->get_object(), "sha");
    if (const auto length = number_of(data->get_object(), "filelen"); length && *length >= 0)
        answer.file_length = static_cast<std::uint64_t>(*length);
    return answer;
}

std::string_view meaning_of(const V4Answer& answer) {
    using namespace v4_says;
    static constexpr std::pair<std::string_view, std::string_view> texts[] = {
        {"APPID_USERID_NOTMATCH", appid}, {"PROXY_AUTH_APPID", appid},
        {"PROXY_INVALID_APPID", appid},   {"SIGN_BUCKET_NOTMATCH", sign_bucket},
        {"SECRETID_NOEXIST", secret_id},  {"PROXY_AUTH_FAILED", signature},
        {"PROXY_AUTH_EXPIRED", expired},  {"BUCKET_NOTEXIST", bucket},
        {"bucket notexist", bucket},      {"FILE_NOTEXIST", file},
    };
    for (const auto& [text, meaning] : texts)
        if (answer.message.find(text) != std::string::npos) return meaning;
    static constexpr std::pair<std::int64_t, std::string_view> numbers[] = {
        {-70, appid},     {-62, appid},      {-80, appid},     {-82, appid},     {-61, sign_bucket},
        {-47, secret_id}, {-79, secret_id},  {-48, signature}, {-97, signature}, {-59, expired},
        {-96, expired},   {-133, bucket},    {-197, file},     {-71, throttled}, {-174, checksum},
        {-175, checksum}, {-4016, checksum},
    };
    const auto* const found =
        std::ranges::find(numbers, answer.code, &std::pair<std::int64_t, std::string_view>::first);
    return found != std::end(numbers) ? found->second : other;
}

}  // namespace livecanary::cos_roundtrip
