#pragma once
// What is fetched: where it lies, what it must look like, how its URL is signed, and whether what came is it.
#include <memory>
#include <optional>
#include <string>

#include "probes/cdn_fetch/client.hpp"

namespace livecanary::cdn_fetch {

/// Where the same object can be had without the CDN.
struct Origin {
    Endpoint endpoint{};
    std::string target{};
    std::optional<asio::ip::address> address{};  ///< instead of resolving the host
    net::HttpHeaders signature{};                ///< Authorization and token; empty: none is known
};

struct Object {
    std::string path{};  ///< percent-encoded, with the query of a fixed URL
    // As the origin has it; empty: not known.
    std::optional<std::uint64_t> size{};
    std::string md5{}, crc64{}, etag{};
    std::optional<Origin> origin{};
    std::shared_ptr<const void> hold{};  ///< it lies there while this lives
};

/// Asks the probe that `after` names, or takes the fixed URL. An error has its words in `why`.
asio::awaitable<error_code> find_object(const Config& config, Env& env, Clock::time_point deadline,
                                        Object& object, std::string& why);

/// How a control's request differs from the run's.
struct Variation {
    bool sign = true;
    bool wrong_digit = false;  ///< one digit of the digest changed
    bool backup_key = false;
    bool other_order = false;
    std::chrono::seconds clock_shift{0};   ///< added to our clock
    bool add_query = false;                ///< a parameter that nobody has asked with before
    std::optional<std::string> referer{};  ///< in place of the configured one; empty: none
    std::optional<std::string> user_agent{};
};

/// The request for `object` at the CDN domain.
Wish wish_of(const Config& config, const Object& object, Env& env, const Variation& variation = {});
/// The same at its origin, which it must have.
Wish origin_wish(const Config& config, const Object& object, bool with_signature);

/// GET at the origin; what went wrong, the lookup of its name included, is in `fetched`.
asio::awaitable<void> fetch_origin(const Config& config, const Object& object, Env& env, bool with_signature,
                                   Clock::time_point deadline, Fetched& fetched);

/// What is known of the object from a whole answer of the origin, where it was not known before.
void learn(Object& object, const Fetched& from_origin);

/// Whether a whole answer is the object; also whether it is consistent in itself. Empty if so.
error_code compare(const Fetched& got, const Object& object);

/// Of an answer against the object, by ETag, else by COS's CRC-64.
enum class Version { unknown, same, other };
Version version_of(const Fetched& got, const Object& object) noexcept;

/// `200`, or how it ended otherwise, for comparing: fingerprint(), else what compare() says.
std::string ending_of(const Fetched& got, const Object& object);

}  // namespace livecanary::cdn_fetch
