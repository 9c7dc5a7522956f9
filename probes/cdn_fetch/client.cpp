#include "probes/cdn_fetch/client.hpp"

#include <algorithm>
#include <ctime>
#include <vector>

#include "probes/core/error_table.hpp"
#include "probes/protocol/ascii.hpp"
#include "probes/protocol/cos_error.hpp"
#include "probes/protocol/digest.hpp"
#include "probes/protocol/printable.hpp"

namespace livecanary::cdn_fetch {

error_code make_error_code(CdnError error) noexcept {
    using enum CdnError;
    static const ErrorTable<CdnError> table{
        "livecanary.cdn",
        {{forbidden, "the CDN does not allow it", Reason::forbidden},
         {not_found, "the CDN does not have it", Reason::not_found},
         {refused, "the CDN answered with an error", Reason::rejected},
         {redirected, "the CDN sends us elsewhere", Reason::mismatch},
         {encoded, "it came compressed, though the bytes as they are were asked for", Reason::mismatch},
         {other_version, "the CDN has another version of it than the origin", Reason::mismatch},
         {length_differs, "it has another length than at the origin", Reason::mismatch},
         {bytes_differ, "its bytes are not those of the origin", Reason::mismatch},
         {not_cached, "the same URL again was not served from a cache", Reason::mismatch},
         {no_object, "there is no object to fetch", Reason::local},
         {too_large, "it is larger than max_size", Reason::local},
         {clock_unsafe, "our own clock cannot be right", Reason::local}}};
    return {static_cast<int>(error), table};
}

namespace {

/// COS's XML is about 500 bytes, a page of the CDN a few KiB.
constexpr std::size_t most_error_body = 64UL * 1024;
constexpr std::size_t hex_of_md5 = 32;

/// RFC 9110 §5.6.7, the one form that servers must send.
std::optional<WallTime> read_date(std::string_view text) {
    const std::string date(text);
    std::tm utc{};
    const char* const end = ::strptime(date.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &utc);
    if (end == nullptr || *end != '\0') return std::nullopt;
    // Counted in nanoseconds, other centuries do not fit.
    constexpr int from = 1970 - 1900, until = 2200 - 1900;
    if (utc.tm_year < from || utc.tm_year >= until) return std::nullopt;
    return std::chrono::system_clock::from_time_t(::timegm(&utc));
}

/// MD5 and CRC of a body as it comes.
class BodyDigest {
public:
    BodyDigest() : context_(EVP_MD_CTX_new(), &EVP_MD_CTX_free) {
        EVP_DigestInit_ex(context_.get(), EVP_md5(), nullptr);
    }
    void feed(std::span<const std::uint8_t> bytes) {
        EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size());
        crc_.feed(bytes);
    }
    void end(Fetched& fetched) {
        std::array<std::uint8_t, 16> digest{};
        EVP_DigestFinal_ex(context_.get(), digest.data(), nullptr);
        fetched.md5 = protocol::lower_hex(digest);
        fetched.crc64 = std::to_string(crc_.value());
    }

private:
    std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_;
    protocol::Crc64 crc_{};
};

std::string origin_of(std::string_view url) {
    const auto from = url.find("://");
    if (from == std::string_view::npos) return "another path of the same domain";
    return protocol::printable(url.substr(0, url.find_first_of("/?#", from + 3)));
}

/// What servers say in words may repeat the URL, with our signature.
std::string masked(std::string text, const std::string& signature) {
    if (signature.size() < hex_of_md5) return text;
    for (auto at = text.find(signature); at != std::string::npos; at = text.find(signature))
        text.replace(at, signature.size(), "***");
    return text;
}

}  // namespace

Client::Client(asio::any_io_executor executor, Endpoint endpoint, net::tcp::endpoint address, Env& env,
               ProbeRun* spoken)
    : endpoint_(std::move(endpoint)),
      address_(address),
      env_(env),
      spoken_(spoken),
      connection_(std::move(executor)) {}

void Client::reach(Phase phase, Fetched& fetched, std::optional<Clock::time_point> at) {
    fetched.phase = phase;
    if (spoken_ != nullptr) spoken_->enter(phase, at.value_or(env_.now()));
}

asio::awaitable<error_code> Client::open(Clock::time_point deadline, Fetched& fetched) {
    exchange_.reset();
    reach(tcp, fetched);
    if (const auto code = co_await connection_.connect(address_, deadline)) co_return code;
    if (endpoint_.tls) {
        reach(tls, fetched);
        net::TlsOptions options;
        options.server_name = endpoint_.host;
        options.ca_file = endpoint_.ca_file;
        const auto code = co_await connection_.start_tls(std::move(options), deadline, fetched.tls_facts);
        if (code) co_return code;
    }
    exchange_.emplace(connection_);
    co_return error_code{};
}

void Client::read_head(const Wish& wish, const net::HttpHead& head, Fetched& fetched) const {
    const auto text = [&](std::string_view name) { return protocol::printable(head.header(name)); };
    fetched.status = head.status;
    fetched.announced = head.content_length;
    fetched.etag = text("etag");
    fetched.crc64_said = text("x-cos-hash-crc64ecma");
    fetched.encoding = text("content-encoding");
    fetched.last_modified = text("last-modified");
    fetched.cache_control = text("cache-control");
    fetched.log_uuid = text("x-nws-log-uuid");
    fetched.request_id = text("x-cos-request-id");
    fetched.via = masked(text("via"), wish.signature);
    fetched.server = text("server");
    if (const auto location = head.header("location"); !location.empty())
        fetched.location = masked(origin_of(location), wish.signature);
    std::vector<std::string_view> lookups;
    for (const auto& [name, value] : head.headers) {
        if (protocol::ascii_lower(name) != "x-cache-lookup") continue;
        lookups.push_back(value);
        fetched.lookup += (fetched.lookup.empty() ? "" : ", ") + protocol::printable(value);
    }
    fetched.cache = protocol::read_cache_lookup(lookups);
    // Date has whole seconds: half a second of it is nobody's fault. A cache may give the origin's old one,
    // with its Age beside it.
    if (const auto date = read_date(head.header("date")); date && head.header("age").empty())
        fetched.clock_skew = std::chrono::round<std::chrono::seconds>(*date - env_.wall());
}

asio::awaitable<error_code> Client::read_body(const Wish& wish, Clock::time_point deadline,
                                              Fetched& fetched) {
    const bool good = fetched.status == 200;
    BodyDigest digest;
    std::string words;
    for (;;) {
        const auto size = co_await exchange_->read_body(buffer_, deadline);
        if (!size) co_return size.error();
        if (*size == 0) break;
        const auto bytes = std::span(buffer_).first(*size);
        fetched.size += bytes.size();
        if (good) {
            digest.feed(bytes);
            if (fetched.size <= wish.most) continue;
            if (!wish.may_be_cut) co_return CdnError::too_large;
            connection_.close();
            break;
        }
        words.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
        if (words.size() > most_error_body) {
            // More than we want to know; the connection is left as it is and not used again.
            connection_.close();
            break;
        }
    }
    if (good) digest.end(fetched);
    if (const auto said = protocol::parse_cos_error(words); !good && said) {
        fetched.cos_code = protocol::printable(said->code);
        fetched.message = masked(protocol::printable(said->message), wish.signature);
    }
    co_return error_code{};
}

asio::awaitable<error_code> Client::exchange(const Wish& wish, Clock::time_point deadline, Fetched& fetched) {
    net::HttpRequest http;
    http.target = wish.target;
    http.host = endpoint_.host_header();
    http.headers = wish.headers;
    // What is compressed on the way cannot be compared with what was uploaded.
    http.headers.emplace_back("Accept-Encoding", "identity");
    reach(request, fetched);
    const auto began = env_.now();
    auto head = co_await exchange_->send(http, deadline);
    const auto sent = exchange_->sent_at();
    if (sent != Clock::time_point{}) reach(first_byte, fetched, sent);
    if (!head) co_return head.error();
    read_head(wish, *head, fetched);
    fetched.to_first_byte = head->first_byte_at - began;
    if (fetched.status == 200) reach(body, fetched, head->first_byte_at);
    const error_code code = co_await read_body(wish, deadline, fetched);
    fetched.took = exchange_->last_read_at() - began;
    co_return code;
}

asio::awaitable<void> Client::get(const Wish& wish, Clock::time_point deadline, Fetched& fetched) {
    if (!exchange_ || !connection_.is_open() || !exchange_->keeps_alive())
        fetched.code = co_await open(deadline, fetched);
    if (!fetched.code) fetched.code = co_await exchange(wish, deadline, fetched);
    if (fetched.code) connection_.close();
}

error_code error_of(unsigned status) noexcept {
    if (status / 100 == 3) return CdnError::redirected;
    if (status == 401 || status == 403) return CdnError::forbidden;
    if (status == 404) return CdnError::not_found;
    return CdnError::refused;
}

std::string fingerprint(const Fetched& fetched) {
    if (fetched.code) {
        std::string how =
            std::string(fetched.phase.name) + " " + std::string(to_string(reason_of(fetched.code)));
        // Cut at the same byte every time is a copy that is short, not a network that fails.
        if (fetched.phase.name == body.name) how += " after " + std::to_string(fetched.size) + " bytes";
        return how;
    }
    if (fetched.status == 200) return {};
    return std::to_string(fetched.status) + (fetched.cos_code.empty() ? "" : " " + fetched.cos_code);
}

}  // namespace livecanary::cdn_fetch
