#pragma once
// AMF0, the encoding of RTMP's commands and metadata (Adobe, "Action Message Format -- AMF 0", 2007).
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "probes/protocol/rtmp/error.hpp"

namespace livecanary::protocol::rtmp {

class AmfValue;
struct AmfMember;

struct AmfUndefined {
    bool operator==(const AmfUndefined&) const = default;
};
struct AmfNull {
    bool operator==(const AmfNull&) const = default;
};
struct AmfDate {
    double milliseconds = 0;  ///< since 1970-01-01 UTC
    std::int16_t zone = 0;    ///< reserved, 0
    bool operator==(const AmfDate&) const = default;
};
/// Keys with their values in the order of the wire. Keys may repeat and may be empty.
struct AmfObject {
    std::vector<AmfMember> members;
    bool operator==(const AmfObject&) const;
};
/// As an object on the wire, but with another marker and a count in front, which decoding ignores.
struct AmfEcmaArray {
    std::vector<AmfMember> members;
    bool operator==(const AmfEcmaArray&) const;
};
struct AmfStrictArray {
    std::vector<AmfValue> values;
    bool operator==(const AmfStrictArray&) const;
};

/// One value: AmfValue(5), AmfValue("live"), AmfValue(AmfNull{}), AmfValue(AmfObject{{{"app", "live"}}}).
class AmfValue {
public:
    using Data = std::variant<AmfUndefined, AmfNull, double, bool, std::string, AmfDate, AmfObject,
                              AmfEcmaArray, AmfStrictArray>;

    AmfValue() noexcept;  ///< undefined
    template <class Number>
    requires std::is_arithmetic_v<Number> AmfValue(Number number);
    AmfValue(const char* text);
    AmfValue(std::string_view text);
    AmfValue(std::string text);
    AmfValue(AmfUndefined);
    AmfValue(AmfNull null);
    AmfValue(AmfDate date);
    AmfValue(AmfObject object);
    AmfValue(AmfEcmaArray array);
    AmfValue(AmfStrictArray array);
    AmfValue(const AmfValue&);
    AmfValue(AmfValue&&) noexcept;
    AmfValue& operator=(const AmfValue&);
    AmfValue& operator=(AmfValue&&) noexcept;
    ~AmfValue();

    const Data& data() const noexcept { return data_; }

    /// The value if it is of that type, else nothing.
    std::optional<double> number() const noexcept;
    std::optional<bool> boolean() const noexcept;
    const std::string* string() const noexcept;
    /// The members of an object or an ECMA array; nullptr for every other type.
    const std::vector<AmfMember>* members() const noexcept;

    /// The first member of that name of an object or ECMA array; nullptr if there is none.
    const AmfValue* find(std::string_view key) const noexcept;
    /// The string or the number under a key; nothing if the key is missing or its value is of another type.
    std::optional<std::string_view> string_at(std::string_view key) const noexcept;
    std::optional<double> number_at(std::string_view key) const noexcept;

    bool operator==(const AmfValue&) const;

private:
    Data data_;
};

struct AmfMember {
    std::string key;
    AmfValue value;
    bool operator==(const AmfMember&) const = default;
};

template <class Number>
requires std::is_arithmetic_v<Number> AmfValue::AmfValue(Number number) {
    if constexpr (std::is_same_v<Number, bool>)
        data_ = number;
    else
        data_ = static_cast<double>(number);
}

/// Bounds of what one message may hold, all against a hostile server: an ordinary answer has two levels and
/// about ten keys, and a value takes some 40 bytes of memory for as little as one byte on the wire.
inline constexpr std::size_t amf_max_depth = 8;      ///< containers inside one another
inline constexpr std::size_t amf_max_keys = 256;     ///< members of all objects and arrays of a message
inline constexpr std::size_t amf_max_values = 4096;  ///< values of all kinds

/// Appends the encoding of `value`. Strings above 65535 bytes become long strings.
/// std::length_error for a key above 65535 bytes.
void amf_encode(const AmfValue& value, std::vector<std::uint8_t>& out);

/// All values of a message's payload, in order.
/// Taken as well: typed objects (as objects, the class name is dropped), XML documents (as strings),
/// references and unsupported (as undefined), keys that are empty, any element count of an ECMA array. The
/// switch to AMF3 (0x11) ends the values: what stands before it is returned.
/// Error::amf_truncated, amf_unknown_type, amf_too_deep, amf_too_large.
result<std::vector<AmfValue>> amf_decode(std::span<const std::uint8_t> payload);

}  // namespace livecanary::protocol::rtmp
