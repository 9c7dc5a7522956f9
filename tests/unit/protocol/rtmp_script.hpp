#pragma once
// What the RTMP tests share: bytes from text, a server's messages, and feeding in every way.
#include <cctype>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "probes/protocol/rtmp/amf0.hpp"
#include "probes/protocol/rtmp/chunk.hpp"

namespace livecanary::test {

using Bytes = std::vector<std::uint8_t>;

/// Bytes from hexadecimal digits; "quoted" parts are taken as text, blanks are skipped.
inline Bytes hex(std::string_view text) {
    Bytes bytes;
    bool quoted = false;
    std::string digits;
    for (const char c : text) {
        if (c == '"') {
            quoted = !quoted;
        } else if (quoted) {
            bytes.push_back(static_cast<std::uint8_t>(c));
        } else if (std::isxdigit(static_cast<unsigned char>(c))) {
            digits += c;
            if (digits.size() < 2) continue;
            bytes.push_back(static_cast<std::uint8_t>(std::stoi(digits, nullptr, 16)));
            digits.clear();
        }
    }
    if (quoted || !digits.empty()) throw std::invalid_argument("hex");
    return bytes;
}

inline Bytes operator+(Bytes a, const Bytes& b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
}

/// One message as a server sends it: a full header on chunk stream 3, then chunks of `chunk_size`.
inline Bytes server_message(std::uint8_t type, std::uint8_t stream_id, const Bytes& payload,
                            std::size_t chunk_size = 128) {
    Bytes bytes{0x03, 0, 0, 0};
    bytes.push_back(static_cast<std::uint8_t>(payload.size() >> 16 & 0xFF));
    bytes.push_back(static_cast<std::uint8_t>(payload.size() >> 8 & 0xFF));
    bytes.push_back(static_cast<std::uint8_t>(payload.size() & 0xFF));
    bytes.push_back(type);
    bytes = bytes + Bytes{stream_id, 0, 0, 0};
    for (std::size_t at = 0; at < payload.size(); ++at) {
        if (at > 0 && at % chunk_size == 0) bytes.push_back(0xC3);
        bytes.push_back(payload[at]);
    }
    return bytes;
}

/// A command with all after its name.
inline Bytes server_command(std::string_view name, const std::vector<protocol::rtmp::AmfValue>& rest,
                            std::uint8_t stream_id = 0, std::size_t chunk_size = 128) {
    Bytes payload;
    protocol::rtmp::amf_encode(name, payload);
    for (const auto& value : rest) protocol::rtmp::amf_encode(value, payload);
    return server_message(20, stream_id, payload, chunk_size);
}

inline protocol::rtmp::AmfValue info(const char* level, const char* code, const char* description = "") {
    return protocol::rtmp::AmfObject{{{"level", level}, {"code", code}, {"description", description}}};
}

}  // namespace livecanary::test
