#pragma once
// What the rooms of the HTTP side hand to its connections: a request taken apart, and the answer to it.
#include <string>
#include <string_view>

#include <boost/beast/http/message.hpp>
#include <boost/beast/http/string_body.hpp>

namespace livecanary::daemon::web {

namespace http = boost::beast::http;

using Request = http::request<http::string_body>;

constexpr std::string_view text_type = "text/plain; charset=utf-8";
constexpr std::string_view html_type = "text/html; charset=utf-8";
constexpr std::string_view css_type = "text/css; charset=utf-8";
constexpr std::string_view script_type = "text/javascript; charset=utf-8";
constexpr std::string_view json_type = "application/json";
constexpr std::string_view metrics_type = "text/plain; version=0.0.4; charset=utf-8";

struct Reply {
    http::status status = http::status::ok;
    std::string body{};
    std::string_view type = text_type;
    std::string_view allow{};         ///< for 405
    std::string location{};           ///< for 303
    std::string_view authenticate{};  ///< for 401
    std::string_view retry_after{};   ///< for 503: seconds
};

inline Reply sentence(http::status status, std::string_view words) {
    return {.status = status, .body = std::string(words) + "\n"};
}

inline std::string_view field(const Request& request, http::field name) {
    const auto value = request[name];
    return {value.data(), value.size()};
}

/// What a form of another site has a reader's browser send, with the password that the browser knows; not a
/// form of ours, and no program.
inline bool is_foreign(const Request& request) {
    const auto site = request["Sec-Fetch-Site"];
    return !site.empty() && site != "same-origin" && site != "none";
}

/// What is asked for, without and after its '?'. Views into the request.
struct Target {
    std::string_view path{}, query{};
};

inline Target target_of(const Request& request) {
    const std::string_view whole(request.target().data(), request.target().size());
    const auto mark = whole.find('?');
    if (mark == whole.npos) return {.path = whole};
    return {.path = whole.substr(0, mark), .query = whole.substr(mark + 1)};
}

/// How a path may be asked for.
enum class Access {
    none,   ///< there is no such page
    reads,  ///< GET and HEAD
    get,    ///< GET only: it does something
    post,
};

}  // namespace livecanary::daemon::web
