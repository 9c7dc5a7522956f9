#include "probes/protocol/rtmp/command.hpp"

#include <algorithm>
#include <iterator>

namespace livecanary::protocol::rtmp {
namespace {

// Longest text of a server that is kept, in bytes.
constexpr std::size_t printable_limit = 512;

char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

// Bytes of the well-formed UTF-8 character that `text` begins with (RFC 3629 §4); 0 if there is none.
std::size_t character_size(std::string_view text) noexcept {
    const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(text[at]); };
    const unsigned char first = byte(0);
    if (first < 0x80) return 1;
    const std::size_t size = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
    if (first < 0xC2 || first > 0xF4 || text.size() < size) return 0;
    // Overlong forms, surrogates, and what lies beyond U+10FFFF.
    const unsigned char low = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
    const unsigned char high = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;
    if (byte(1) < low || byte(1) > high) return 0;
    for (std::size_t at = 2; at < size; ++at)
        if (byte(at) < 0x80 || byte(at) > 0xBF) return 0;
    return size;
}

}  // namespace

const AmfValue* Command::info() const noexcept {
    const auto found = std::find_if(arguments.begin(), arguments.end(), [](const AmfValue& argument) {
        return argument.find("code") || argument.find("level");
    });
    return found == arguments.end() ? nullptr : &*found;
}

result<Command> decode_command(const Message& message) {
    std::span<const std::uint8_t> payload(message.payload);
    if (message.type == MessageType::command_amf3 && !payload.empty()) payload = payload.subspan(1);
    auto values = amf_decode(payload);
    if (!values) return values.error();
    if (values->empty() || !values->front().string()) return Error::bad_command;
    Command command;
    command.name = *values->front().string();
    command.message_stream_id = message.message_stream_id;
    auto rest = values->begin() + 1;
    if (rest != values->end() && rest->number()) command.transaction = *(rest++)->number();
    command.arguments.assign(std::make_move_iterator(rest), std::make_move_iterator(values->end()));
    return command;
}

Message encode_command(std::string_view name, double transaction, const std::vector<AmfValue>& arguments,
                       std::uint32_t chunk_stream_id, std::uint32_t message_stream_id) {
    Message message{.type = MessageType::command_amf0,
                    .timestamp = 0,
                    .message_stream_id = message_stream_id,
                    .chunk_stream_id = chunk_stream_id,
                    .payload = {}};
    amf_encode(name, message.payload);
    amf_encode(transaction, message.payload);
    for (const AmfValue& argument : arguments) amf_encode(argument, message.payload);
    return message;
}

Status read_status(const Command& command, const std::vector<std::string>& secrets) {
    const AmfValue* info = command.info();
    const auto text = [&](std::string_view key) {
        return info ? printable(without(info->string_at(key).value_or(""), secrets)) : std::string();
    };
    return {.command = printable(command.name),
            .level = text("level"),
            .code = text("code"),
            .description = text("description")};
}

bool same_code(std::string_view a, std::string_view b) noexcept {
    return std::ranges::equal(a, b, {}, lower, lower);
}

std::string printable(std::string_view text) {
    std::string out;
    while (!text.empty()) {
        const std::size_t size = character_size(text);
        const auto lead = static_cast<unsigned char>(text.front());
        // C1 controls (U+0080 to U+009F) command a terminal as C0 does.
        const bool is_c1 = lead == 0xC2 && size == 2 && static_cast<unsigned char>(text[1]) < 0xA0;
        const bool is_control = lead < 0x20 || lead == 0x7F || is_c1;
        const std::string_view shown = size == 0 || is_control ? "?" : text.substr(0, size);
        if (out.size() + shown.size() > printable_limit) break;
        out += shown;
        text.remove_prefix(std::max<std::size_t>(size, 1));
    }
    return out;
}

std::string without(std::string_view text, const std::vector<std::string>& secrets) {
    std::string out(text);
    for (const std::string& secret : secrets) {
        if (secret.empty()) continue;
        for (std::size_t at = out.find(secret); at != out.npos; at = out.find(secret, at + 3))
            out.replace(at, secret.size(), "***");
    }
    return out;
}

}  // namespace livecanary::protocol::rtmp
