#include "probes/protocol/rtmp/amf0.hpp"

#include <algorithm>
#include <bit>
#include <limits>
#include <stdexcept>

#include "probes/protocol/rtmp/big_endian.hpp"

namespace livecanary::protocol::rtmp {
namespace {

// AMF0 specification §2.1.
enum class Marker : std::uint8_t {
    number = 0x00,
    boolean = 0x01,
    string = 0x02,
    object = 0x03,
    null = 0x05,
    undefined = 0x06,
    reference = 0x07,
    ecma_array = 0x08,
    object_end = 0x09,
    strict_array = 0x0A,
    date = 0x0B,
    long_string = 0x0C,
    unsupported = 0x0D,
    xml_document = 0x0F,
    typed_object = 0x10,
    switch_to_amf3 = 0x11,
};

class Encoder {
public:
    explicit Encoder(std::vector<std::uint8_t>& out) : out_(out) {}

    void operator()(AmfUndefined) { marker(Marker::undefined); }
    void operator()(AmfNull) { marker(Marker::null); }
    void operator()(double number) {
        marker(Marker::number);
        append_be(std::bit_cast<std::uint64_t>(number), 8, out_);
    }
    void operator()(bool boolean) {
        marker(Marker::boolean);
        out_.push_back(boolean ? 1 : 0);
    }
    void operator()(const std::string& string) {
        const bool is_long = string.size() > std::numeric_limits<std::uint16_t>::max();
        marker(is_long ? Marker::long_string : Marker::string);
        append_be(string.size(), is_long ? 4 : 2, out_);
        out_.insert(out_.end(), string.begin(), string.end());
    }
    void operator()(AmfDate date) {
        marker(Marker::date);
        append_be(std::bit_cast<std::uint64_t>(date.milliseconds), 8, out_);
        append_be(static_cast<std::uint16_t>(date.zone), 2, out_);
    }
    void operator()(const AmfObject& object) {
        marker(Marker::object);
        members(object.members);
    }
    void operator()(const AmfEcmaArray& array) {
        marker(Marker::ecma_array);
        append_be(array.members.size(), 4, out_);
        members(array.members);
    }
    void operator()(const AmfStrictArray& array) {
        marker(Marker::strict_array);
        append_be(array.values.size(), 4, out_);
        for (const AmfValue& value : array.values) std::visit(*this, value.data());
    }

private:
    void marker(Marker marker) { out_.push_back(static_cast<std::uint8_t>(marker)); }
    void members(const std::vector<AmfMember>& members) {
        for (const AmfMember& member : members) {
            if (member.key.size() > std::numeric_limits<std::uint16_t>::max())
                throw std::length_error("an AMF0 key above 65535 bytes");
            append_be(member.key.size(), 2, out_);
            out_.insert(out_.end(), member.key.begin(), member.key.end());
            std::visit(*this, member.value.data());
        }
        append_be(0, 2, out_);
        marker(Marker::object_end);
    }

    std::vector<std::uint8_t>& out_;
};

class Decoder {
public:
    explicit Decoder(std::span<const std::uint8_t> bytes) : bytes_(bytes) {}

    result<std::vector<AmfValue>> all() {
        std::vector<AmfValue> values;
        while (!bytes_.empty()) {
            auto value = next();
            if (!value) return value.error();
            // The switch itself stands for no value; a container it interrupts keeps what it had.
            if (amf3_ && std::holds_alternative<AmfUndefined>(value->data())) break;
            values.push_back(*std::move(value));
            if (amf3_) break;
        }
        return values;
    }

private:
    // Nothing if fewer bytes are left.
    std::optional<std::span<const std::uint8_t>> take(std::uint64_t size) {
        if (bytes_.size() < size) return std::nullopt;
        const auto taken = bytes_.first(static_cast<std::size_t>(size));
        bytes_ = bytes_.subspan(taken.size());
        return taken;
    }
    std::optional<std::uint64_t> integer(std::size_t size) {
        const auto bytes = take(size);
        if (!bytes) return std::nullopt;
        return read_be(*bytes);
    }
    std::optional<std::string> text(std::size_t size_of_length) {
        const auto length = integer(size_of_length);
        if (!length) return std::nullopt;
        const auto bytes = take(*length);
        if (!bytes) return std::nullopt;
        return std::string(bytes->begin(), bytes->end());
    }

    result<AmfValue> next() {
        const auto marker = integer(1);
        if (!marker) return Error::amf_truncated;
        if (++values_ > amf_max_values) return Error::amf_too_large;
        switch (static_cast<Marker>(*marker)) {
            case Marker::null:
                return AmfValue(AmfNull{});
            case Marker::undefined:
            case Marker::unsupported:
                return AmfValue();
            case Marker::switch_to_amf3:
                amf3_ = true;
                return AmfValue();
            case Marker::object:
                return object();
            case Marker::typed_object:
                if (!text(2)) return Error::amf_truncated;
                return object();
            case Marker::ecma_array:
                if (!integer(4)) return Error::amf_truncated;
                return container<AmfEcmaArray>(&Decoder::members);
            case Marker::strict_array:
                return container<AmfStrictArray>(&Decoder::elements);
            case Marker::object_end:
                return Error::amf_unknown_type;
            default:
                return scalar(static_cast<Marker>(*marker));
        }
    }

    result<AmfValue> scalar(Marker marker) {
        std::optional<AmfValue> value;
        switch (marker) {
            case Marker::number:
                if (const auto bits = integer(8)) value = std::bit_cast<double>(*bits);
                break;
            case Marker::boolean:
                if (const auto byte = integer(1)) value = *byte != 0;
                break;
            case Marker::string:
                if (auto string = text(2)) value = *std::move(string);
                break;
            case Marker::long_string:
            case Marker::xml_document:
                if (auto string = text(4)) value = *std::move(string);
                break;
            case Marker::date:
                if (const auto bytes = take(10))
                    value = AmfDate{std::bit_cast<double>(read_be(bytes->first(8))),
                                    static_cast<std::int16_t>(read_be(bytes->last(2)))};
                break;
            case Marker::reference:
                if (integer(2)) value = AmfValue();
                break;
            default:
                return Error::amf_unknown_type;
        }
        if (!value) return Error::amf_truncated;
        return *std::move(value);
    }

    result<AmfValue> object() { return container<AmfObject>(&Decoder::members); }

    template <class Container>
    result<AmfValue> container(error_code (Decoder::*read)(Container&)) {
        if (depth_ == amf_max_depth) return Error::amf_too_deep;
        ++depth_;
        Container container;
        if (const error_code error = (this->*read)(container)) return error;
        --depth_;
        return AmfValue(std::move(container));
    }

    template <class Container>
    error_code members(Container& container) {
        for (;;) {
            auto key = text(2);
            if (!key) return Error::amf_truncated;
            if (key->empty() && !bytes_.empty() &&
                bytes_.front() == static_cast<std::uint8_t>(Marker::object_end)) {
                bytes_ = bytes_.subspan(1);
                return {};
            }
            if (++keys_ > amf_max_keys) return Error::amf_too_large;
            auto value = next();
            if (!value) return value.error();
            container.members.push_back({*std::move(key), *std::move(value)});
            if (amf3_) return {};
        }
    }

    error_code elements(AmfStrictArray& array) {
        const auto count = integer(4);
        if (!count) return Error::amf_truncated;
        for (std::uint64_t i = 0; i < *count; ++i) {
            auto value = next();
            if (!value) return value.error();
            array.values.push_back(*std::move(value));
            if (amf3_) return {};
        }
        return {};
    }

    std::span<const std::uint8_t> bytes_;
    std::size_t depth_ = 0;
    std::size_t keys_ = 0;
    std::size_t values_ = 0;
    bool amf3_ = false;
};

}  // namespace

bool AmfObject::operator==(const AmfObject&) const = default;
bool AmfEcmaArray::operator==(const AmfEcmaArray&) const = default;
bool AmfStrictArray::operator==(const AmfStrictArray&) const = default;

// Out of the header, since the members of a variant of containers of AmfValue need a complete AmfMember.
AmfValue::AmfValue() noexcept = default;
AmfValue::AmfValue(const AmfValue&) = default;
AmfValue::AmfValue(AmfValue&&) noexcept = default;
AmfValue& AmfValue::operator=(const AmfValue&) = default;
AmfValue& AmfValue::operator=(AmfValue&&) noexcept = default;
AmfValue::~AmfValue() = default;
bool AmfValue::operator==(const AmfValue&) const = default;

AmfValue::AmfValue(const char* text) : data_(std::string(text)) {}
AmfValue::AmfValue(std::string_view text) : data_(std::string(text)) {}
AmfValue::AmfValue(std::string text) : data_(std::move(text)) {}
AmfValue::AmfValue(AmfUndefined) {}
AmfValue::AmfValue(AmfNull null) : data_(null) {}
AmfValue::AmfValue(AmfDate date) : data_(date) {}
AmfValue::AmfValue(AmfObject object) : data_(std::move(object)) {}
AmfValue::AmfValue(AmfEcmaArray array) : data_(std::move(array)) {}
AmfValue::AmfValue(AmfStrictArray array) : data_(std::move(array)) {}

std::optional<double> AmfValue::number() const noexcept {
    const double* number = std::get_if<double>(&data_);
    return number ? std::optional(*number) : std::nullopt;
}

std::optional<bool> AmfValue::boolean() const noexcept {
    const bool* boolean = std::get_if<bool>(&data_);
    return boolean ? std::optional(*boolean) : std::nullopt;
}

const std::string* AmfValue::string() const noexcept { return std::get_if<std::string>(&data_); }

const std::vector<AmfMember>* AmfValue::members() const noexcept {
    if (const auto* object = std::get_if<AmfObject>(&data_)) return &object->members;
    if (const auto* array = std::get_if<AmfEcmaArray>(&data_)) return &array->members;
    return nullptr;
}

const AmfValue* AmfValue::find(std::string_view key) const noexcept {
    const auto* all = members();
    if (!all) return nullptr;
    const auto found =
        std::find_if(all->begin(), all->end(), [&](const AmfMember& m) { return m.key == key; });
    return found == all->end() ? nullptr : &found->value;
}

std::optional<std::string_view> AmfValue::string_at(std::string_view key) const noexcept {
    const AmfValue* value = find(key);
    const std::string* found = value ? value->string() : nullptr;
    return found ? std::optional<std::string_view>(*found) : std::nullopt;
}

std::optional<double> AmfValue::number_at(std::string_view key) const noexcept {
    const AmfValue* value = find(key);
    return value ? value->number() : std::nullopt;
}

void amf_encode(const AmfValue& value, std::vector<std::uint8_t>& out) {
    std::visit(Encoder(out), value.data());
}

result<std::vector<AmfValue>> amf_decode(std::span<const std::uint8_t> payload) {
    return Decoder(payload).all();
}

}  // namespace livecanary::protocol::rtmp
