#include "probes/protocol/cos_error.hpp"

#include <algorithm>
#include <utility>

#include <pugixml.hpp>

#include "probes/core/error_table.hpp"

namespace livecanary::protocol {
namespace {

std::string text_of(const pugi::xml_node& element) {
    std::string text;
    for (const auto& piece : element.children())
        if (piece.type() == pugi::node_pcdata || piece.type() == pugi::node_cdata) text += piece.value();
    return text;
}

}  // namespace

error_code make_error_code(CosErrorBodyError error) noexcept {
    using enum CosErrorBodyError;
    static const ErrorTable<CosErrorBodyError> table{
        "livecanary.cos_error",
        {{too_long, "the error body is longer than 64 KiB", Reason::protocol},
         {not_xml, "the error body is not XML", Reason::protocol},
         {not_an_error, "the error body is XML, but not a COS error", Reason::mismatch},
         {no_code, "the COS error has no code", Reason::protocol}}};
    return {static_cast<int>(error), table};
}

std::string_view CosError::find(std::string_view name) const noexcept {
    const auto at = std::ranges::find(more, name, &Field::name);
    return at == more.end() ? std::string_view() : std::string_view(at->text);
}

result<CosError> parse_cos_error(std::string_view body) {
    if (body.size() > max_cos_error_size) return CosErrorBodyError::too_long;
    // The parser takes a zero byte for the end, and what follows it for nothing.
    if (body.find('\0') != body.npos) return CosErrorBodyError::not_xml;
    pugi::xml_document document;
    constexpr unsigned options = pugi::parse_cdata | pugi::parse_escapes | pugi::parse_eol;
    if (!document.load_buffer(body.data(), body.size(), options, pugi::encoding_utf8))
        return CosErrorBodyError::not_xml;
    const auto root = document.document_element();
    if (std::string_view(root.name()) != "Error") return CosErrorBodyError::not_an_error;

    CosError error;
    const std::pair<std::string_view, std::string*> known[] = {{"Code", &error.code},
                                                               {"Message", &error.message},
                                                               {"Resource", &error.resource},
                                                               {"RequestId", &error.request_id},
                                                               {"TraceId", &error.trace_id}};
    for (const auto& element : root.children()) {
        if (element.type() != pugi::node_element) continue;
        const std::string_view name = element.name();
        const auto* const field =
            std::ranges::find(known, name, &std::pair<std::string_view, std::string*>::first);
        if (field == std::end(known)) {
            if (error.more.size() < max_cos_error_fields)
                error.more.push_back({std::string(name), text_of(element)});
        } else if (field->second->empty()) {
            *field->second = text_of(element);
        }
    }
    if (error.code.empty()) return CosErrorBodyError::no_code;
    return error;
}

}  // namespace livecanary::protocol
