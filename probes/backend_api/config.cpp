#include "probes/backend_api/config.hpp"

#include <algorithm>

#include "config/reader.hpp"
#include "probes/net/http.hpp"

namespace livecanary::backend_api {
namespace {

using namespace std::chrono_literals;

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

/// What the backend takes for a user id: `^[a-zA-Z][a-zA-Z0-9_]{3,23}$`.
bool is_userid(const std::string& text) {
    return text.size() >= 4 && text.size() <= 24 && is_letter(text[0]) &&
           std::ranges::all_of(text,
                               [](char c) { return is_letter(c) || (c >= '0' && c <= '9') || c == '_'; });
}

void read_url(config::Reader& in, std::string_view key, const std::string& url, Endpoint& endpoint,
              std::string& prefix) {
    if (url.empty()) return;
    const auto parsed = net::parse_http_url(url);
    if (!parsed || parsed->target.find('?') != std::string::npos) {
        in.mistake(key, "expected http[s]://host[:port][/path], found '" + url + "'");
        return;
    }
    endpoint.tls = parsed->tls;
    endpoint.host = parsed->host;
    endpoint.port = parsed->port;
    prefix = parsed->target;
    while (prefix.ends_with('/')) prefix.pop_back();
}

void read_endpoint(config::Reader& in, Config& config) {
    std::string url;
    in.required("url", url);
    read_url(in, "url", url, config.endpoint, config.prefix);
    std::string address;
    in.optional("address", address);
    if (!address.empty()) {
        boost::system::error_code ec;
        config.endpoint.address = asio::ip::make_address(address, ec);
        if (ec) in.mistake("address", "expected an IPv4 or IPv6 address, found '" + address + "'");
    }
    in.readable("ca_file", config.endpoint.ca_file);
    if (in.has("ca_file") && !config.endpoint.tls && !url.empty())
        in.mistake("ca_file", "needs an https:// url");
    std::string true_url;
    in.optional("same_as", true_url);
    if (in.has("same_as"))
        read_url(in, "same_as", true_url, config.same_as.emplace().endpoint, config.same_as->prefix);
    if (config.same_as) config.same_as->endpoint.ca_file = config.endpoint.ca_file;
}

void read_account(config::Reader& in, Config& config) {
    in.optional("userid", config.userid);
    if (!config.userid.empty() && !is_userid(config.userid))
        in.mistake("userid", "expected 4 to 24 of a-z, A-Z, 0-9 and '_', a letter first, found '" +
                                 config.userid + "'");
    in.secret("password", config.password);
    if (in.has("userid") != in.has("password"))
        in.mistake(in.has("userid") ? "password" : "userid", "missing: an account has both");
}

void read_checks(config::Reader& in, Config& config) {
    std::vector<std::string> names;
    in.optional("checks", names);
    for (std::size_t at = 0; at < check_names.size(); ++at) {
        const auto check = static_cast<Check>(at);
        const bool wanted = in.has("checks") ? std::ranges::find(names, check_names[at]) != names.end()
                                             : config.has_account() || !needs_account(check);
        if (wanted) config.checks.push_back(check);
    }
    for (std::size_t at = 0; at < names.size(); ++at) {
        const auto known = std::ranges::find(check_names, names[at]);
        if (known == check_names.end()) {
            std::string all;
            for (const auto name : check_names) all += (all.empty() ? "" : ", ") + std::string(name);
            in.mistake("checks", at, "expected one of " + all + ", found '" + names[at] + "'");
        } else if (std::find(names.begin(), names.begin() + static_cast<std::ptrdiff_t>(at), names[at]) !=
                   names.begin() + static_cast<std::ptrdiff_t>(at)) {
            in.mistake("checks", at, "'" + names[at] + "' stands there twice");
        } else if (needs_account(static_cast<Check>(known - check_names.begin())) && !in.has("userid")) {
            in.mistake("checks", at, "'" + names[at] + "' needs userid and password");
        }
    }
    if (in.has("checks") && names.empty()) in.mistake("checks", "expected at least one");
}

void read_im(config::Reader& in, Config& config) {
    auto table = in.table("im");
    if (!table) return;
    Im& im = config.im.emplace();
    table->optional("sdkappid", im.sdkappid, 1, std::int64_t{1} << 40);
    if (!table->has("sdkappid")) table->mistake("sdkappid", "missing");
    table->secret("key", im.key);
    table->unread();
    if (!config.has(Check::login)) in.mistake("im", "needs the check 'login'");
}

void read_vod(config::Reader& in, Config& config) {
    auto table = in.table("vod");
    if (!table) return;
    std::chrono::milliseconds max_age{0};
    table->optional("max_age", max_age, 1min);
    if (table->has("max_age")) config.max_age = std::chrono::ceil<std::chrono::seconds>(max_age);
    table->optional("fetch_play_url", config.fetch_play_url);
    table->unread();
    if (!config.has(Check::vod_list)) in.mistake("vod", "needs the check 'vod_list'");
}

}  // namespace

std::string Endpoint::host_header() const {
    return net::HttpUrl{.tls = tls, .host = host, .port = port, .target = "/"}.host_header();
}

bool Config::has(Check check) const { return std::ranges::find(checks, check) != checks.end(); }

Config read(config::Reader& in) {
    Config config;
    read_endpoint(in, config);
    read_account(in, config);
    read_checks(in, config);
    in.optional("static_status", config.static_status, 100, 599);
    read_im(in, config);
    read_vod(in, config);
    return config;
}

}  // namespace livecanary::backend_api
