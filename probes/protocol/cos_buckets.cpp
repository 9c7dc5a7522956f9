#include "probes/protocol/cos_buckets.hpp"

#include <pugixml.hpp>

#include "probes/core/error_table.hpp"

namespace livecanary::protocol {

error_code make_error_code(CosBucketsError error) noexcept {
    using enum CosBucketsError;
    static const ErrorTable<CosBucketsError> table{
        "livecanary.cos_buckets",
        {{too_long, "the list of buckets is longer than 256 KiB", Reason::protocol},
         {not_xml, "the list of buckets is not XML", Reason::protocol},
         {not_a_list, "the answer is XML, but not a list of buckets", Reason::mismatch}}};
    return {static_cast<int>(error), table};
}

result<CosBuckets> parse_cos_buckets(std::string_view body) {
    if (body.size() > max_cos_buckets_size) return CosBucketsError::too_long;
    // The parser takes a zero byte for the end, and what follows it for nothing.
    if (body.find('\0') != body.npos) return CosBucketsError::not_xml;
    pugi::xml_document document;
    if (!document.load_buffer(body.data(), body.size(), pugi::parse_default, pugi::encoding_utf8))
        return CosBucketsError::not_xml;
    const auto root = document.document_element();
    const auto list = root.child("Buckets");
    if (std::string_view(root.name()) != "ListAllMyBucketsResult" || !list)
        return CosBucketsError::not_a_list;
    CosBuckets found;
    for (const auto& bucket : list.children("Bucket"))
        found.buckets.push_back({bucket.child_value("Name"), bucket.child_value("Location")});
    found.complete = std::string_view(root.child_value("IsTruncated")) != "true";
    return found;
}

}  // namespace livecanary::protocol
