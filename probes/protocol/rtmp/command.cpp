#include "probes/protocol/rtmp/command.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <initializer_list>
#include <iterator>

namespace livecanary::protocol::rtmp {
namespace {

char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

/// Bytes of an id that are kept: the longest we know of is a UUID.
constexpr std::size_t longest_id = 128;

/// The first of `names` in `object` that is there, or in its `data`.
std::string id_in(const AmfValue* object, std::initializer_list<std::string_view> names,
                  const std::vector<std::string>& secrets) {
    for (const AmfValue* at : {object, object != nullptr ? object->find("data") : nullptr}) {
        if (at == nullptr) continue;
        for (const auto name : names) {
            if (const auto text = at->string_at(name); text && !text->empty())
                // Cut last: the beginning of a secret is not found any more.
                return printable(without(*text, secrets)).substr(0, longest_id);
            // Whole numbers that a double has exactly.
            const auto number = at->number_at(name);
            if (number && *number >= 0 && *number < 9007199254740992.0 && std::floor(*number) == *number)
                return std::to_string(static_cast<std::uint64_t>(*number));
        }
    }
    return {};
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
            .description = text("description"),
            .client_id = id_in(info, {"clientid", "clientId", "client_id"}, secrets),
            .request_id = id_in(info, {"requestid", "requestId", "request_id"}, secrets)};
}

bool same_code(std::string_view a, std::string_view b) noexcept {
    return std::ranges::equal(a, b, {}, lower, lower);
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
