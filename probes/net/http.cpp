#include "probes/net/http.hpp"

#include <algorithm>
#include <charconv>

#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/beast/core/string.hpp>
#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/rfc7230.hpp>

#include "probes/core/error_table.hpp"
#include "probes/protocol/push_url.hpp"

namespace livecanary::net {
namespace {

namespace beast = boost::beast;
namespace http = boost::beast::http;
using protocol::UrlError;

// The character classes of the C locale, whatever the process has set.
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_hex_digit(char c) { return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }
bool is_control(char c) { return static_cast<unsigned char>(c) < ' ' || c == '\x7f'; }
bool is_control_or_space(char c) { return is_control(c) || c == ' '; }

bool same_name(std::string_view a, std::string_view b) { return beast::iequals(a, b); }

/// token (RFC 9110 §5.6.2).
bool is_token(std::string_view text) {
    static constexpr std::string_view others = "!#$%&'*+-.^_`|~";
    return !text.empty() && std::ranges::all_of(text, [](char c) {
        return is_digit(c) || is_letter(c) || others.find(c) != others.npos;
    });
}

bool is_host_or_target(std::string_view text) {
    return !text.empty() && std::ranges::none_of(text, is_control_or_space);
}

bool may_be_sent(const std::pair<std::string, std::string>& header) {
    const auto& [name, value] = header;
    if (same_name(name, "Host") || same_name(name, "Content-Length") || same_name(name, "Transfer-Encoding"))
        return false;
    return is_token(name) && std::ranges::none_of(value, [](char c) { return is_control(c) && c != '\t'; });
}

bool asks_to_close(const HttpHeaders& headers) {
    return std::ranges::any_of(headers, [](const auto& header) {
        return same_name(header.first, "Connection") && http::token_list(header.second).exists("close");
    });
}

result<std::string> write_request(const HttpRequest& request) {
    const std::string& method = request.method;
    if (!is_token(method) || method == "CONNECT" || !is_host_or_target(request.target) ||
        !is_host_or_target(request.host) || !std::ranges::all_of(request.headers, may_be_sent))
        return HttpError::bad_request;
    std::string text = method + " " + request.target + " HTTP/1.1\r\nHost: " + request.host + "\r\n";
    for (const auto& [name, value] : request.headers) text += name + ": " + value + "\r\n";
    // A method that is expected to carry content says so even if there is none (RFC 9110 §8.6).
    const auto size = request.content ? request.content->size : request.body.size();
    if (size > 0 || method == "POST" || method == "PUT" || method == "PATCH")
        text += "Content-Length: " + std::to_string(size) + "\r\n";
    text += "\r\n";
    if (!request.content) text += request.body;
    return text;
}

/// Beast's reader of one response. It takes the body only as far as there is room for it in `into`.
class ResponseParser final : public http::basic_parser<false> {
public:
    explicit ResponseParser(bool without_body) {
        header_limit(max_http_header_size);
        body_limit(boost::none);
        skip(without_body);
    }

    HttpHead head{};
    std::span<std::uint8_t> into{};
    std::size_t body_size = 0;  // of `into`, filled

private:
    using Text = beast::string_view;

    void on_request_impl(http::verb, Text, Text, int, error_code&) override {}
    void on_response_impl(int status, Text reason, int, error_code&) override {
        head.status = static_cast<unsigned>(status);
        head.reason = std::string(reason);
    }
    void on_field_impl(http::field, Text name, Text value, error_code&) override {
        // Those of a trailer too, when `head` has long been handed out.
        head.headers.emplace_back(name, value);
    }
    void on_header_impl(error_code&) override {}
    void on_body_init_impl(const boost::optional<std::uint64_t>&, error_code&) override {}
    std::size_t on_body_impl(Text bytes, error_code&) override { return take(bytes); }
    void on_chunk_header_impl(std::uint64_t, Text, error_code&) override {}
    std::size_t on_chunk_body_impl(std::uint64_t, Text bytes, error_code&) override { return take(bytes); }
    void on_finish_impl(error_code&) override {}

    std::size_t take(Text bytes) {
        const auto room = into.subspan(body_size);
        const auto taken = bytes.substr(0, room.size());
        std::ranges::copy(taken, room.begin());
        body_size += taken.size();
        return taken.size();
    }
};

bool is_end(const error_code& code) {
    return code == asio::error::eof || code == asio::ssl::error::stream_truncated;
}

/// The operation ended, but the connection stands.
bool is_ours(const error_code& code) {
    return code == asio::error::timed_out || code == asio::error::operation_aborted;
}

/// As far as there is anything of it. Beast would wait for a blank line, which another protocol may never
/// send.
bool begins_as_http_1(std::string_view bytes) {
    constexpr std::string_view begin = "HTTP/1.";
    return begin.starts_with(bytes.substr(0, begin.size()));
}

/// Bytes of content made and written at a time.
constexpr std::size_t content_piece = 64UL * 1024;

bool is_interim(unsigned status) { return status / 100 == 1 && status != 101; }

}  // namespace

error_code make_error_code(HttpError error) noexcept {
    using enum HttpError;
    static const ErrorTable<HttpError> table{
        "livecanary.http",
        {{bad_request, "the HTTP request cannot be written as it was given", Reason::local},
         {not_ready, "the connection cannot carry another HTTP request", Reason::local},
         {bad_status_line, "the answer does not begin with an HTTP/1 status line", Reason::protocol},
         {bad_header, "a header field of the HTTP response is malformed or contradicts another",
          Reason::protocol},
         {header_too_large, "the header of the HTTP response is longer than 16 KiB", Reason::protocol},
         {bad_chunk, "the chunked coding of the HTTP response is broken", Reason::protocol},
         {closed_in_header, "closed before the header of the HTTP response was complete", Reason::closed},
         {closed_in_body, "closed before the body of the HTTP response was complete", Reason::closed},
         {url_too_long, "the URL is longer than 8192 bytes", Reason::mismatch}}};
    return {static_cast<int>(error), table};
}

std::string_view HttpHead::header(std::string_view name) const noexcept {
    const auto at =
        std::ranges::find_if(headers, [&](const auto& field) { return same_name(field.first, name); });
    return at == headers.end() ? std::string_view() : at->second;
}

/// Bytes go from the connection into `buffer_`, and from there, at `begin_`, into the parser, which wants
/// each line and each header in one piece.
class HttpExchange::Impl {
public:
    explicit Impl(Connection& connection) : connection_(connection) {}

    asio::awaitable<result<HttpHead>> send(result<std::string> request, std::optional<HttpContent> content,
                                           bool is_head, bool closes, Clock::time_point deadline);
    asio::awaitable<result<std::size_t>> read_body(std::span<std::uint8_t> into, Clock::time_point deadline);

    Clock::time_point sent_at() const noexcept { return sent_at_; }
    Clock::time_point last_read_at() const noexcept { return last_read_at_; }
    bool keeps_alive() const noexcept {
        // What comes after a response that nothing else was asked for belongs to no response.
        return parser_ && parser_->is_done() && parser_->keep_alive() && !closes_ && begin_ == end_;
    }

private:
    asio::awaitable<error_code> write(std::string text, std::optional<HttpContent> content,
                                      Clock::time_point deadline);
    asio::awaitable<error_code> read_head(bool is_head, Clock::time_point deadline);
    asio::awaitable<error_code> fill(Clock::time_point deadline);
    error_code parse();
    std::string_view pending() const {
        return {reinterpret_cast<const char*>(buffer_.data()) + begin_, end_ - begin_};
    }

    Connection& connection_;
    std::vector<std::uint8_t> buffer_ = std::vector<std::uint8_t>(max_http_header_size);
    std::size_t begin_ = 0;  // of what was read, but not yet parsed
    std::size_t end_ = 0;
    std::optional<ResponseParser> parser_{};
    std::size_t header_size_ = 0;  // bytes parsed of the headers of this exchange
    bool closes_ = false;          // whatever the response says
    error_code failed_{};          // final
    Clock::time_point sent_at_{};
    Clock::time_point last_read_at_{};
};

/// Reads once. The buffer has room.
asio::awaitable<error_code> HttpExchange::Impl::fill(Clock::time_point deadline) {
    std::copy(buffer_.begin() + static_cast<std::ptrdiff_t>(begin_),
              buffer_.begin() + static_cast<std::ptrdiff_t>(end_), buffer_.begin());
    end_ -= std::exchange(begin_, 0);
    const std::span<std::uint8_t> room = std::span(buffer_).subspan(end_);
    const Moved moved = co_await connection_.read_some(room, deadline);
    if (moved.code) co_return moved.code;
    end_ += moved.size;
    last_read_at_ = moved.at;
    co_return error_code();
}

/// Parses one element, or says need_more.
error_code HttpExchange::Impl::parse() {
    if (begin_ == end_) return http::error::need_more;
    error_code code;
    begin_ += parser_->put(asio::buffer(pending()), code);
    if (!code || code == http::error::need_more) return code;
    if (code == http::error::header_limit) return HttpError::header_too_large;
    if (parser_->is_header_done()) return HttpError::bad_chunk;
    // Before the line is complete, nothing is known of a status.
    return parser_->head.status == 0 ? HttpError::bad_status_line : HttpError::bad_header;
}

asio::awaitable<error_code> HttpExchange::Impl::read_head(bool is_head, Clock::time_point deadline) {
    for (;;) {
        if (parser_->head.status == 0 && !begins_as_http_1(pending())) co_return HttpError::bad_status_line;
        if (!parser_->got_some() && begin_ != end_) parser_->head.first_byte_at = last_read_at_;
        const std::size_t before = begin_;
        const error_code code = parse();
        header_size_ += begin_ - before;
        if (code && code != http::error::need_more) co_return code;
        const bool is_complete = parser_->is_header_done();
        const std::size_t at_least = header_size_ + (is_complete ? 0 : end_ - begin_ + 1);
        if (at_least > max_http_header_size) co_return HttpError::header_too_large;
        if (is_complete) {
            if (!is_interim(parser_->head.status)) co_return error_code();
            parser_.emplace(is_head);
            continue;
        }
        const error_code read = co_await fill(deadline);
        if (read) co_return is_end(read) ? HttpError::closed_in_header : read;
    }
}

asio::awaitable<error_code> HttpExchange::Impl::write(std::string text, std::optional<HttpContent> content,
                                                      Clock::time_point deadline) {
    const std::span<const std::uint8_t> head(reinterpret_cast<const std::uint8_t*>(text.data()), text.size());
    const Moved sent_head = co_await connection_.write(head, deadline);
    if (sent_head.code) co_return sent_head.code;
    sent_at_ = sent_head.at;
    if (!content) co_return error_code();
    std::vector<std::uint8_t> piece(content_piece);
    for (std::uint64_t left = content->size; left > 0;) {
        const auto room = static_cast<std::size_t>(std::min<std::uint64_t>(left, piece.size()));
        const std::size_t size = content->next(std::span(piece).first(room));
        if (size == 0 || size > room) co_return HttpError::bad_request;
        const Moved sent = co_await connection_.write(std::span(piece).first(size), deadline);
        if (sent.code) co_return sent.code;
        sent_at_ = sent.at;
        left -= size;
    }
    co_return error_code();
}

asio::awaitable<result<HttpHead>> HttpExchange::Impl::send(result<std::string> request,
                                                           std::optional<HttpContent> content, bool is_head,
                                                           bool closes, Clock::time_point deadline) {
    if (!request) co_return request.error();
    if (parser_ && !keeps_alive()) co_return HttpError::not_ready;
    parser_.emplace(is_head);
    header_size_ = 0;
    sent_at_ = {};
    closes_ = closes;
    std::string text = *std::move(request);
    const error_code sent = co_await write(std::move(text), std::move(content), deadline);
    failed_ = sent;
    if (is_ours(failed_) || sent == HttpError::bad_request) co_return failed_;
    const error_code code = co_await read_head(is_head, deadline);
    if (!failed_) failed_ = code;
    if (code) co_return failed_;
    closes_ = closes_ || sent || parser_->head.status == 101;
    failed_ = {};
    if (const auto length = parser_->content_length()) parser_->head.content_length = *length;
    parser_->head.chunked = parser_->chunked();
    co_return std::move(parser_->head);
}

asio::awaitable<result<std::size_t>> HttpExchange::Impl::read_body(std::span<std::uint8_t> into,
                                                                   Clock::time_point deadline) {
    if (into.empty()) co_return make_error_code(boost::system::errc::invalid_argument);
    if (!parser_ || (!parser_->is_header_done() && !failed_)) co_return HttpError::not_ready;
    if (failed_) co_return failed_;
    parser_->into = into;
    parser_->body_size = 0;
    while (!parser_->is_done()) {
        const error_code code = parse();
        if (parser_->body_size > 0) co_return parser_->body_size;
        if (code && code != http::error::need_more) co_return failed_ = code;
        if (!code) continue;
        // A line of the coding that fills the buffer will never fit.
        if (end_ - begin_ == buffer_.size()) co_return failed_ = HttpError::bad_chunk;
        const error_code read = co_await fill(deadline);
        if (is_ours(read)) co_return read;
        if (read == asio::error::eof && parser_->need_eof()) {
            error_code none;
            parser_->put_eof(none);
            break;
        }
        if (read) co_return failed_ = is_end(read) ? HttpError::closed_in_body : read;
    }
    co_return std::size_t{0};
}

HttpExchange::HttpExchange(Connection& connection) : impl_(std::make_unique<Impl>(connection)) {}
HttpExchange::~HttpExchange() = default;
HttpExchange::HttpExchange(HttpExchange&&) noexcept = default;
HttpExchange& HttpExchange::operator=(HttpExchange&&) noexcept = default;

asio::awaitable<result<HttpHead>> HttpExchange::send(const HttpRequest& request, Clock::time_point deadline) {
    return impl_->send(write_request(request), request.content, request.method == "HEAD",
                       asks_to_close(request.headers), deadline);
}
asio::awaitable<result<std::size_t>> HttpExchange::read_body(std::span<std::uint8_t> into,
                                                             Clock::time_point deadline) {
    return impl_->read_body(into, deadline);
}
Clock::time_point HttpExchange::sent_at() const noexcept { return impl_->sent_at(); }
Clock::time_point HttpExchange::last_read_at() const noexcept { return impl_->last_read_at(); }
bool HttpExchange::keeps_alive() const noexcept { return impl_->keeps_alive(); }

namespace {

/// A URI reference taken apart (RFC 3986 appendix B), pointing into its text. What is missing is not what is
/// empty.
struct Reference {
    std::optional<std::string_view> scheme{}, authority{};
    std::string_view path{};
    std::optional<std::string_view> query{}, fragment{};
};

bool is_scheme(std::string_view text) {
    return !text.empty() && is_letter(text.front()) && std::ranges::all_of(text, [](char c) {
        return is_letter(c) || is_digit(c) || c == '+' || c == '-' || c == '.';
    });
}

/// Takes what follows the first `mark` off the end, and the mark.
std::optional<std::string_view> take_after(std::string_view& text, char mark) {
    const auto at = text.find(mark);
    if (at == text.npos) return std::nullopt;
    const auto after = text.substr(at + 1);
    text = text.substr(0, at);
    return after;
}

Reference split(std::string_view text) {
    Reference parts;
    parts.fragment = take_after(text, '#');
    parts.query = take_after(text, '?');
    if (const auto scheme = text.substr(0, text.find(':'));
        scheme.size() < text.size() && is_scheme(scheme)) {
        parts.scheme = scheme;
        text.remove_prefix(scheme.size() + 1);
    }
    if (text.starts_with("//")) {
        const auto size = std::min(text.find('/', 2), text.size());
        parts.authority = text.substr(2, size - 2);
        text.remove_prefix(size);
    }
    parts.path = text;
    return parts;
}

/// §5.3.
std::string join(const Reference& parts, std::string_view path) {
    std::string text;
    if (parts.scheme) text.append(*parts.scheme).append(":");
    if (parts.authority) text.append("//").append(*parts.authority);
    text.append(path);
    if (parts.query) text.append("?").append(*parts.query);
    if (parts.fragment) text.append("#").append(*parts.fragment);
    return text;
}

/// §5.2.4, of a path that begins with '/' or is empty.
std::string without_dot_segments(std::string_view path) {
    std::string out;
    while (!path.empty()) {
        const auto size = std::min(path.find('/', 1), path.size());
        const auto segment = path.substr(0, size);
        path.remove_prefix(size);
        const bool up = segment == "/..";
        if (up) out.erase(std::min(out.rfind('/'), out.size()));
        if (!up && segment != "/.")
            out += segment;
        else if (path.empty())
            out += '/';
    }
    return out;
}

/// §5.2.3.
std::string merge(std::string_view base_path, std::string_view path) {
    if (base_path.empty()) return "/" + std::string(path);
    return std::string(base_path.substr(0, base_path.rfind('/') + 1)).append(path);
}

std::uint16_t default_port(bool tls) { return tls ? 443 : 80; }

error_code read_authority(std::string_view authority, HttpUrl& url) {
    if (authority.find('@') != authority.npos) return UrlError::user_info;
    const bool bracketed = authority.starts_with('[');
    const auto host_end = bracketed ? authority.find(']') : std::min(authority.find(':'), authority.size());
    if (host_end == authority.npos) return UrlError::bad_host;
    const auto host = authority.substr(bracketed ? 1 : 0, host_end - (bracketed ? 1 : 0));
    auto port = authority.substr(host_end + (bracketed ? 1 : 0));
    const auto fits = [bracketed](char c) {
        if (bracketed) return is_hex_digit(c) || c == ':' || c == '.';
        return is_letter(c) || is_digit(c) || c == '.' || c == '-' || c == '_';
    };
    if (host.empty() || !std::ranges::all_of(host, fits)) return UrlError::bad_host;
    if (bracketed && host.find(':') == host.npos) return UrlError::bad_host;
    url.host = host;
    url.port = default_port(url.tls);
    if (port.empty() || port == ":") return {};
    if (!port.starts_with(':')) return UrlError::bad_host;
    port.remove_prefix(1);
    const auto [end, ec] = std::from_chars(port.data(), port.data() + port.size(), url.port);
    if (ec != std::errc() || end != port.data() + port.size() || url.port == 0) return UrlError::bad_port;
    return {};
}

/// The URL Standard's query percent-encode set, without what cannot occur here.
std::string percent_encoded(std::string_view text) {
    constexpr std::string_view encoded = " \"<>", digits = "0123456789ABCDEF";
    std::string out;
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte < 0x80 && encoded.find(c) == encoded.npos) {
            out += c;
            continue;
        }
        out += '%';
        out += digits[byte >> 4];
        out += digits[byte & 15];
    }
    return out;
}

error_code check_text(std::string_view url) {
    if (url.size() > max_http_url_size) return HttpError::url_too_long;
    return std::ranges::any_of(url, is_control) ? UrlError::forbidden_byte : error_code();
}

}  // namespace

std::string HttpUrl::host_header() const {
    std::string text = host.find(':') == host.npos ? host : "[" + host + "]";
    if (port != default_port(tls)) text += ":" + std::to_string(port);
    return text;
}

result<HttpUrl> parse_http_url(std::string_view url) {
    if (const auto ec = check_text(url)) return ec;
    const Reference parts = split(url);
    if (!parts.scheme) return UrlError::no_scheme;
    HttpUrl out;
    out.tls = same_name(*parts.scheme, "https");
    if (!out.tls && !same_name(*parts.scheme, "http")) return UrlError::unknown_scheme;
    if (!parts.authority) return UrlError::no_scheme;
    if (const auto ec = read_authority(*parts.authority, out)) return ec;
    out.target = parts.path.empty() ? "/" : percent_encoded(parts.path);
    if (parts.query) out.target += "?" + percent_encoded(*parts.query);
    return out;
}

result<std::string> resolve_reference(std::string_view base_url, std::string_view reference) {
    if (const auto base = parse_http_url(base_url); !base) return base.error();
    if (const auto ec = check_text(reference)) return ec;
    const Reference base = split(base_url);
    Reference target = split(reference);
    std::string path(target.path);
    if (target.scheme) {
        if (target.authority) path = without_dot_segments(path);
    } else {
        target.scheme = base.scheme;
        if (target.authority) {
            path = without_dot_segments(path);
        } else {
            target.authority = base.authority;
            if (path.empty()) {
                path = base.path;
                if (!target.query) target.query = base.query;
            } else {
                path = without_dot_segments(path.starts_with('/') ? path : merge(base.path, path));
            }
        }
    }
    std::string url = join(target, path);
    if (url.size() > max_http_url_size) return HttpError::url_too_long;
    return url;
}

}  // namespace livecanary::net
