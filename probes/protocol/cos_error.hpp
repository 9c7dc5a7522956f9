#pragma once
// What COS says of a request it refuses: the XML body of its answer.
//
// Source: Tencent Cloud document 436/7730 "Error Codes", read 2026-11-21. The answer to a HEAD has no body.
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "probes/core/reason.hpp"

namespace livecanary::protocol {

enum class CosErrorBodyError {
    too_long = 1,  ///< longer than `max_cos_error_size`
    not_xml,       ///< empty, cut short, or otherwise no well-formed XML
    not_an_error,  ///< XML whose root is not <Error>, as of a page of somebody in between
    no_code,       ///< an <Error> without <Code>
};
error_code make_error_code(CosErrorBodyError error) noexcept;

// Bounds; a real body has about 500 bytes and at most a dozen elements.
inline constexpr std::size_t max_cos_error_size = 64 * 1024;  ///< bytes
inline constexpr std::size_t max_cos_error_fields = 32;       ///< elements of `more`; others are left out

/// Texts as they stand in the body: nobody has checked them for control bytes or UTF-8.
struct CosError {
    struct Field {
        std::string name{};
        std::string text{};
        bool operator==(const Field&) const = default;
    };
    std::string code{};        ///< such as "SignatureDoesNotMatch"; never empty
    std::string message{};     ///< tells apart what shares a code: AccessDenied with "Request has expired"
    std::string resource{};    ///< host and path as COS understood them
    std::string request_id{};  ///< to quote in a support ticket; also in the header x-cos-request-id
    std::string trace_id{};
    /// The other elements in their order, such as ServerTime, StringToSign or FormatString. What was signed
    /// may hold a security token: evidence must not show it whole.
    std::vector<Field> more{};

    /// Text of the first of `more` with that name; empty if there is none.
    std::string_view find(std::string_view name) const noexcept;

    bool operator==(const CosError&) const = default;
};

/// Reads a whole body, as UTF-8. No entity beyond the five of XML and character references is resolved, and
/// a document type is skipped, so the text never grows.
result<CosError> parse_cos_error(std::string_view body);

}  // namespace livecanary::protocol

template <>
struct boost::system::is_error_code_enum<livecanary::protocol::CosErrorBodyError> : std::true_type {};
