#pragma once
// The account's list of buckets, as COS answers GET Service.
//
// Source: Tencent Cloud document 436/8291 "GET Service (List Buckets)", read 2026-11-26.
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "probes/core/reason.hpp"

namespace livecanary::protocol {

/// Bytes of a body that is read: more than a thousand buckets of some 150 bytes each.
inline constexpr std::size_t max_cos_buckets_size = 256 * 1024;

enum class CosBucketsError {
    too_long = 1,  ///< longer than `max_cos_buckets_size`
    not_xml,       ///< empty, cut short, or otherwise no well-formed XML
    not_a_list,    ///< XML whose root is not <ListAllMyBucketsResult>, or that has no <Buckets>
};
error_code make_error_code(CosBucketsError error) noexcept;

struct CosBucket {
    std::string name{};      ///< NAME-APPID
    std::string location{};  ///< region
    bool operator==(const CosBucket&) const = default;
};

struct CosBuckets {
    std::vector<CosBucket> buckets{};
    bool complete = true;  ///< false: there are more (IsTruncated)
};

/// Reads a whole body. Only what is a list is one: of an account without buckets much is concluded.
result<CosBuckets> parse_cos_buckets(std::string_view body);

}  // namespace livecanary::protocol

template <>
struct boost::system::is_error_code_enum<livecanary::protocol::CosBucketsError> : std::true_type {};
