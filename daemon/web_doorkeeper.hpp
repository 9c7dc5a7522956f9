#pragma once
// Lets people in: HTTP's basic authentication (RFC 7617) against bcrypt hashes.
#include <array>
#include <chrono>
#include <cstddef>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>

#include "config/secret.hpp"
#include "daemon/web_users.hpp"

namespace livecanary::daemon::web {

/// Of the web loop.
///
/// Theory of operation. A password that was right is remembered as a salted digest, one for each user, so
/// that what asks again and again (a scrape, a page with its style and script) is let in at once. Any other
/// one is checked on a thread of its own, one after the other: whoever guesses gets no more of the machine
/// than that thread, and a pause after each wrong one. Who waits for his turn looks into the memory again
/// before he takes it. An unknown user is checked against the hash of a known one, and takes as long.
class Doorkeeper {
public:
    enum class Verdict {
        enters,
        refused,  ///< no, or wrong, user and password
        busy,     ///< too many passwords wait to be checked
    };
    using Check = std::function<bool(const config::Secret& hash, const config::Secret& password)>;
    using Milliseconds = std::chrono::milliseconds;

    /// `patience`: how long a password waits for its turn. `check` is called on a thread of its own.
    Doorkeeper(boost::asio::io_context& web, Milliseconds patience, Check check);
    Doorkeeper(const Doorkeeper&) = delete;
    Doorkeeper& operator=(const Doorkeeper&) = delete;

    /// From now on these and no others; without users everybody enters. Who is in it with the same hash as
    /// before is still remembered.
    void adopt(WebUsers users, config::Secret local_key);
    /// `authorization`: the header's value, which may be gone while this waits.
    boost::asio::awaitable<Verdict> judge(std::string authorization);
    /// Who waits is told that we are busy.
    void stop();

private:
    using Digest = std::array<unsigned char, 32>;
    struct User {
        config::Secret hash{};
        std::optional<Digest> right{};  ///< of the password that was right
    };
    struct Claim {
        std::string user{};
        config::Secret password{};
    };
    class Turn;

    static std::optional<Claim> read(std::string_view authorization);
    Digest digest(std::string_view user, const config::Secret& hash, const config::Secret& password) const;
    const User& user_or_decoy(std::string_view name) const;
    bool remembers(const Claim& claim) const;
    bool is_local(std::string_view authorization) const;
    boost::asio::awaitable<bool> turn_comes(boost::asio::steady_timer::time_point deadline);
    void next();

    boost::asio::io_context& io_;
    const Milliseconds patience_;
    const Check check_;
    config::Secret salt_;
    std::map<std::string, User, std::less<>> users_{};
    config::Secret local_{};  ///< what the header says with the local key; empty: there is none
    std::deque<boost::asio::steady_timer*> turns_{};  ///< who waits, the first in front
    boost::asio::steady_timer* pause_ = nullptr;
    bool checking_ = false;
    bool stopping_ = false;
    std::optional<boost::asio::thread_pool> worker_{};  ///< once there are users
};

}  // namespace livecanary::daemon::web
