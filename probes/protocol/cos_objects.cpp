#include "probes/protocol/cos_objects.hpp"

#include <pugixml.hpp>

#include "probes/core/error_table.hpp"

namespace livecanary::protocol {

error_code make_error_code(CosObjectsError error) noexcept {
    using enum CosObjectsError;
    static const ErrorTable<CosObjectsError> table{
        "livecanary.cos_objects",
        {{too_long, "the list of objects is longer than 256 KiB", Reason::protocol},
         {not_xml, "the list of objects is not XML", Reason::protocol},
         {not_a_list, "the answer is XML, but not a list of objects", Reason::mismatch}}};
    return {static_cast<int>(error), table};
}

result<CosObjects> parse_cos_objects(std::string_view body) {
    if (body.size() > max_cos_objects_size) return CosObjectsError::too_long;
    // The parser takes a zero byte for the end, and what follows it for nothing.
    if (body.find('\0') != body.npos) return CosObjectsError::not_xml;
    pugi::xml_document document;
    if (!document.load_buffer(body.data(), body.size(), pugi::parse_default, pugi::encoding_utf8))
        return CosObjectsError::not_xml;
    const auto root = document.document_element();
    if (std::string_view(root.name()) != "ListBucketResult") return CosObjectsError::not_a_list;
    CosObjects found;
    for (const auto& object : root.children("Contents")) found.keys.emplace_back(object.child_value("Key"));
    found.complete = std::string_view(root.child_value("IsTruncated")) != "true";
    return found;
}

}  // namespace livecanary::protocol
