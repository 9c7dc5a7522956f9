#include "probes/cdn_fetch/object.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

#include "probes/core/peers.hpp"
#include "probes/net/resolver.hpp"
#include "probes/protocol/ascii.hpp"

namespace livecanary::cdn_fetch {
namespace {

constexpr std::size_t hex_of_md5 = 32;

std::string fact(const Facts& facts, std::string_view name) {
    const auto found = facts.find(name);
    return found != facts.end() ? found->second : std::string();
}

/// The answer of the other probe, in our words. False if it makes no sense.
bool read_answer(PeerAnswer answer, Object& object) {
    const Facts& facts = answer.facts;
    object.path = fact(facts, "path");
    object.md5 = protocol::ascii_lower(fact(facts, "md5"));
    object.crc64 = fact(facts, "crc64");
    object.etag = fact(facts, "etag");
    const std::string size = fact(facts, "size"), url = fact(facts, "url"), address = fact(facts, "address");
    std::uint64_t bytes = 0;
    const auto [end, ec] = std::from_chars(size.data(), size.data() + size.size(), bytes);
    if (!object.path.starts_with('/') || ec != std::errc() || end != size.data() + size.size()) return false;
    object.size = bytes;
    const auto parsed = net::parse_http_url(url);
    if (!parsed) return false;
    Origin origin{.endpoint = {.tls = parsed->tls,
                               .host = parsed->host,
                               .port = parsed->port,
                               .ca_file = fact(facts, "ca_file")},
                  .target = parsed->target};
    if (!address.empty()) {
        boost::system::error_code bad;
        origin.address = asio::ip::make_address(address, bad);
        if (bad) return false;
    }
    for (const auto& [secret, header] :
         {std::pair("authorization", "Authorization"), std::pair("token", "x-cos-security-token")})
        if (const auto found = answer.secrets.find(secret);
            found != answer.secrets.end() && !found->second.empty())
            origin.signature.emplace_back(header, found->second.reveal());
    object.origin = std::move(origin);
    object.hold = std::move(answer.hold);
    return true;
}

/// An ETag without quotes and the mark of a weak one.
std::string_view bare(std::string_view etag) noexcept {
    if (etag.starts_with("W/")) etag.remove_prefix(2);
    if (etag.size() >= 2 && etag.front() == '"' && etag.back() == '"') {
        etag.remove_prefix(1);
        etag.remove_suffix(1);
    }
    return etag;
}

/// Where the first run of just so many hexadecimal digits begins.
std::size_t find_digest(std::string_view text, std::size_t from, std::size_t digits) noexcept {
    for (std::size_t at = from, run = 0; at <= text.size(); ++at) {
        if (at < text.size() && protocol::is_hex_digit(text[at])) {
            ++run;
            continue;
        }
        if (run == digits) return at - digits;
        run = 0;
    }
    return std::string_view::npos;
}

bool is_md5(std::string_view text) noexcept {
    return text.size() == hex_of_md5 && std::ranges::all_of(text, protocol::is_hex_digit);
}

/// COS says of what it stores how it must look; of an object uploaded in one piece the ETag is its MD5.
bool consistent(const Fetched& got) {
    if (!got.crc64_said.empty() && got.crc64_said != got.crc64) return false;
    const bool from_cos = !got.crc64_said.empty() || !got.request_id.empty();
    return !from_cos || !is_md5(bare(got.etag)) || protocol::ascii_lower(bare(got.etag)) == got.md5;
}

}  // namespace

asio::awaitable<error_code> find_object(const Config& config, Env& env, Clock::time_point deadline,
                                        Object& object, std::string& why) {
    if (config.after.empty()) {
        object.path = config.path;
        if (config.origin)
            object.origin = Origin{.endpoint = config.origin->endpoint,
                                   .target = config.origin->target,
                                   .address = config.origin->address};
        co_return error_code{};
    }
    if (env.peers == nullptr) {
        why = "there is no probe '" + config.after + "' here to ask for an object";
        co_return CdnError::no_object;
    }
    Question question{.what = questions::object, .with = {}, .deadline = deadline};
    auto answer = co_await env.peers->ask(config.after, std::move(question));
    if (!answer) {
        why = "'" + config.after + "' could not give an object to fetch: " + answer.error().message();
        co_return CdnError::no_object;
    }
    if (!read_answer(*std::move(answer), object)) {
        why = "'" + config.after + "' gave an object that cannot be fetched";
        co_return CdnError::no_object;
    }
    if (*object.size > config.max_size) {
        why = "the object of '" + config.after + "' is larger than max_size";
        co_return CdnError::too_large;
    }
    co_return error_code{};
}

Wish wish_of(const Config& config, const Object& object, Env& env, const Variation& variation) {
    Wish wish{.target = object.path};
    wish.most = object.size.value_or(config.max_size);
    // That it is longer than it should be is enough to know.
    wish.may_be_cut = object.size.has_value();
    if (config.auth && variation.sign) {
        protocol::CdnAuth how = config.auth->how;
        if (variation.other_order)
            how.order = how.actual_order() == protocol::CdnOrder::path_first ? protocol::CdnOrder::time_first
                                                                             : protocol::CdnOrder::path_first;
        const auto& key = variation.backup_key ? config.auth->backup_key : config.auth->key;
        const auto now = std::chrono::floor<std::chrono::seconds>(env.wall() + variation.clock_shift);
        const std::string base = "http://cdn";
        const auto url =
            protocol::cdn_sign(base + object.path, how, key.reveal(), now, std::to_string(env.random()), "0");
        // A path that cannot be signed goes out as it is, and is refused.
        if (url) {
            wish.target = url->substr(base.size());
            // Of A and D the signature stands in the query, of B and C ahead of the path.
            const bool in_query =
                how.type == protocol::CdnAuthType::a || how.type == protocol::CdnAuthType::d;
            const std::size_t digits = how.hash == protocol::Digest::sha256 ? 64 : hex_of_md5;
            const auto at = find_digest(wish.target, in_query ? wish.target.find('?') : 0, digits);
            if (variation.wrong_digit && at != std::string::npos)
                wish.target[at] = wish.target[at] == '0' ? '1' : '0';
            if (at != std::string::npos) wish.signature = wish.target.substr(at, digits);
        }
    }
    if (variation.add_query)
        wish.target += (wish.target.find('?') == std::string::npos ? "?livecanary=" : "&livecanary=") +
                       std::to_string(env.random());
    const std::string& referer = variation.referer.value_or(config.referer);
    if (!referer.empty()) wish.headers.emplace_back("Referer", referer);
    const std::string& user_agent = variation.user_agent.value_or(config.user_agent);
    if (!user_agent.empty()) wish.headers.emplace_back("User-Agent", user_agent);
    return wish;
}

Wish origin_wish(const Config& config, const Object& object, bool with_signature) {
    Wish wish{.target = object.origin->target};
    wish.most = config.max_size;
    if (with_signature) wish.headers = object.origin->signature;
    wish.headers.emplace_back("User-Agent", "livecanary");
    return wish;
}

asio::awaitable<void> fetch_origin(const Config& config, const Object& object, Env& env, bool with_signature,
                                   Clock::time_point deadline, Fetched& fetched) {
    const Origin& origin = *object.origin;
    net::tcp::endpoint address;
    if (origin.address) {
        address = {*origin.address, origin.endpoint.port};
    } else {
        fetched.phase = dns;
        const auto found = co_await env.dns->resolve(origin.endpoint.host, origin.endpoint.port, deadline);
        if (!found) {
            fetched.code = found.error();
            co_return;
        }
        address = found->endpoints.front();
    }
    const Wish wish = origin_wish(config, object, with_signature);
    Client client(co_await asio::this_coro::executor, origin.endpoint, address, env);
    co_await client.get(wish, deadline, fetched);
    client.close();
}

void learn(Object& object, const Fetched& from_origin) {
    if (!from_origin.whole()) return;
    if (!object.size) object.size = from_origin.size;
    if (object.md5.empty()) object.md5 = from_origin.md5;
    if (object.crc64.empty()) object.crc64 = from_origin.crc64;
    if (object.etag.empty()) object.etag = from_origin.etag;
}

Version version_of(const Fetched& got, const Object& object) noexcept {
    if (!got.etag.empty() && !object.etag.empty())
        return bare(got.etag) == bare(object.etag) ? Version::same : Version::other;
    if (!got.crc64_said.empty() && !object.crc64.empty())
        return got.crc64_said == object.crc64 ? Version::same : Version::other;
    return Version::unknown;
}

error_code compare(const Fetched& got, const Object& object) {
    const bool right =
        object.size && *object.size == got.size && !object.md5.empty() && object.md5 == got.md5;
    if (right) return {};
    if (!got.encoding.empty() && protocol::ascii_lower(got.encoding) != "identity") return CdnError::encoded;
    if (version_of(got, object) == Version::other) return CdnError::other_version;
    if (object.size && *object.size != got.size) return CdnError::length_differs;
    if (!object.md5.empty() || (!object.crc64.empty() && object.crc64 != got.crc64))
        return CdnError::bytes_differ;
    return consistent(got) ? error_code{} : CdnError::bytes_differ;
}

std::string ending_of(const Fetched& got, const Object& object) {
    std::string how = fingerprint(got);
    if (!how.empty()) return how;
    const error_code code = compare(got, object);
    if (code == CdnError::encoded) return "encoded";
    if (code == CdnError::other_version) return "other version";
    if (code == CdnError::length_differs) return "length differs";
    if (code == CdnError::bytes_differ) return "bytes differ";
    return "200";
}

}  // namespace livecanary::cdn_fetch
