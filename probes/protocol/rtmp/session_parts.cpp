#include "probes/protocol/rtmp/session_parts.hpp"

#include <algorithm>
#include <cmath>
#include <functional>

namespace livecanary::protocol::rtmp {
namespace {

// Shortest value of the stream name's query that is taken out of what a server says; shorter ones (a bizid, a
// flag) are no secrets and would be found everywhere.
constexpr std::size_t shortest_secret = 8;

bool has_only_visible(std::string_view text) noexcept {
    return !text.empty() && text.size() <= text_limit &&
           std::none_of(text.begin(), text.end(), [](char c) { return (c >= 0 && c <= ' ') || c == 0x7F; });
}

bool is_port(std::string_view text) noexcept {
    if (text.empty() || text.size() > 5) return false;
    unsigned port = 0;
    for (const char c : text) {
        if (c < '0' || c > '9') return false;
        port = port * 10 + static_cast<unsigned>(c - '0');
    }
    return port >= 1 && port <= 65535;
}

// host, host:port, [address] or [address]:port
bool is_authority(std::string_view text) noexcept {
    std::string_view port;
    std::string_view host = text;
    if (text.starts_with('[')) {
        const std::size_t end = text.find(']');
        if (end == text.npos) return false;
        host = text.substr(1, end - 1);
        port = text.substr(end + 1);
    } else if (const std::size_t colon = text.find(':'); colon != text.npos) {
        host = text.substr(0, colon);
        port = text.substr(colon);
    }
    return !host.empty() && host.find_first_of("/?#@[]") == host.npos &&
           (port.empty() || (port.starts_with(':') && is_port(port.substr(1))));
}

bool is_tc_url(std::string_view url, std::string_view app) noexcept {
    if (!has_only_visible(url)) return false;
    for (const std::string_view scheme : {"rtmp://", "rtmps://"}) {
        if (!url.starts_with(scheme)) continue;
        const std::string_view rest = url.substr(scheme.size());
        const std::size_t slash = rest.find('/');
        return slash != rest.npos && is_authority(rest.substr(0, slash)) && rest.substr(slash + 1) == app;
    }
    return false;
}

// The query of a stream name or an application, and its longer values.
void add_secrets(std::string_view text, std::vector<std::string>& secrets) {
    const std::size_t mark = text.find('?');
    if (mark == text.npos) return;
    std::string_view query = text.substr(mark + 1);
    secrets.emplace_back(query);
    while (!query.empty()) {
        const std::string_view pair = query.substr(0, query.find('&'));
        query.remove_prefix(std::min(query.size(), pair.size() + 1));
        const std::string_view value = pair.substr(std::min(pair.size(), pair.find('=') + 1));
        if (value.size() >= shortest_secret) secrets.emplace_back(value);
    }
}

// The value of `name=` in a description such as "[ code=403 need auth; authmod=adobe ] :
// ?reason=authfailed&…".
std::string parameter(std::string_view description, std::string_view name) {
    const std::size_t at = description.find(name);
    if (at == description.npos) return {};
    const std::string_view value = description.substr(at + name.size());
    return std::string(value.substr(0, value.find_first_of(" ;&]")));
}

// A number for an id: finite, integral, 0 to 2^31.
std::optional<std::uint32_t> as_id(std::optional<double> number) noexcept {
    constexpr double largest = 2147483648.0;
    if (!number || !(*number >= 0 && *number <= largest) || *number != std::floor(*number))
        return std::nullopt;
    return static_cast<std::uint32_t>(*number);
}

}  // namespace

error_code check_names(std::string_view app, std::string_view tc_url, std::string_view stream_name) {
    if (!has_only_visible(app) || app.starts_with('/') || app.ends_with('/')) return Error::bad_app;
    if (!is_tc_url(tc_url, app)) return Error::bad_tc_url;
    if (!has_only_visible(stream_name)) return Error::bad_stream_name;
    return {};
}

std::vector<std::string> secrets_in(std::string_view stream_name, std::string_view app) {
    std::vector<std::string> secrets;
    add_secrets(stream_name, secrets);
    add_secrets(app, secrets);
    std::ranges::sort(secrets, std::ranges::greater(), &std::string::size);
    return secrets;
}

bool starts_with_code(std::string_view code, std::string_view prefix) noexcept {
    return same_code(code.substr(0, prefix.size()), prefix);
}

std::string text_at(const AmfValue* object, std::string_view key, const std::vector<std::string>& secrets) {
    return object ? printable(without(object->string_at(key).value_or(""), secrets)) : std::string();
}

std::optional<Connected> read_connected(const Command& command, const std::vector<std::string>& secrets) {
    const Status status = read_status(command, secrets);
    const bool is_success = status.code.empty() || same_code(status.code, "NetConnection.Connect.Success");
    if (!is_success || same_code(status.level, "error")) return std::nullopt;

    Connected connected{.status = status, .fms_ver = {}, .software = {}, .version = {}, .capabilities = {}};
    if (!command.arguments.empty()) {
        connected.fms_ver = text_at(&command.arguments.front(), "fmsVer", secrets);
        connected.capabilities = command.arguments.front().number_at("capabilities");
    }
    if (const AmfValue* info = command.info()) {
        const AmfValue* data = info->find("data");
        connected.software = text_at(data, "srs_server", secrets);
        connected.version = text_at(data, "version", secrets);
    }
    return connected;
}

std::optional<std::uint32_t> read_stream_id(const Command& command) {
    const auto number = std::find_if(command.arguments.begin(), command.arguments.end(),
                                     [](const AmfValue& argument) { return argument.number().has_value(); });
    return number == command.arguments.end() ? std::nullopt : as_id(number->number());
}

Refused read_refused(Step step, Error error, const Command& command,
                     const std::vector<std::string>& secrets) {
    Refused refused{.step = step,
                    .error = error,
                    .status = read_status(command, secrets),
                    .redirect = {},
                    .authmod = {},
                    .reason = {}};
    if (const AmfValue* info = command.info())
        refused.redirect = text_at(info->find("ex"), "redirect", secrets);
    refused.authmod = parameter(refused.status.description, "authmod=");
    refused.reason = parameter(refused.status.description, "?reason=");
    return refused;
}

std::optional<StatusSeen> read_status_seen(const Command& command, const std::vector<std::string>& secrets) {
    if (!command.info() && command.name != "_error") return std::nullopt;
    return StatusSeen{.status = read_status(command, secrets),
                      .message_stream_id = command.message_stream_id};
}

std::optional<ReconnectRequest> read_reconnect_request(const Command& command,
                                                       const std::vector<std::string>& secrets) {
    const Status status = read_status(command, secrets);
    if (!same_code(status.code, "NetConnection.Connect.ReconnectRequest")) return std::nullopt;
    return ReconnectRequest{.status = status, .tc_url = text_at(command.info(), "tcUrl", secrets)};
}

bool ends_connection(const Status& status) noexcept {
    return same_code(status.level, "error") || same_code(status.code, "NetConnection.Connect.Closed") ||
           same_code(status.code, "NetConnection.Connect.IdleTimeout") ||
           same_code(status.code, "NetConnection.Connect.AppShutdown");
}

}  // namespace livecanary::protocol::rtmp
