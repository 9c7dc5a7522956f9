#pragma once
// The keys of a bucket, as COS answers GET Bucket.
//
// Source: Tencent Cloud document 436/7734 "GET Bucket (List Objects)", read 2026-11-26.
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "probes/core/reason.hpp"

namespace livecanary::protocol {

/// Bytes of a body that is read: several hundred objects of some 400 bytes each.
inline constexpr std::size_t max_cos_objects_size = 256 * 1024;

enum class CosObjectsError {
    too_long = 1,  ///< longer than `max_cos_objects_size`
    not_xml,       ///< empty, cut short, or otherwise no well-formed XML
    not_a_list,    ///< XML whose root is not <ListBucketResult>
};
error_code make_error_code(CosObjectsError error) noexcept;

struct CosObjects {
    std::vector<std::string> keys{};  ///< as they stand there; nobody has checked their bytes
    bool complete = true;             ///< false: the list goes on
    bool operator==(const CosObjects&) const = default;
};

/// Reads a whole body, as UTF-8, that was not asked for with an encoding-type.
result<CosObjects> parse_cos_objects(std::string_view body);

}  // namespace livecanary::protocol

template <>
struct boost::system::is_error_code_enum<livecanary::protocol::CosObjectsError> : std::true_type {};
