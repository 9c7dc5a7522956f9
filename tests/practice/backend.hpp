#pragma once
// The practice business backend: answers the endpoints of the product's public PHP backend (second
// generation) with its quirks as they were measured on the real code (nginx 1.22, PHP 8.2), in front of a
// real MariaDB and a real Redis.
//
// What breaks for real is broken for real: stop, freeze or reconfigure the MariaDb and the Redis, or change
// their tables. What is of PHP and nginx is a switch of BackendFaults.
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tests/practice/mariadb.hpp"
#include "tests/practice/redis.hpp"

namespace livecanary::practice {

/// What the backend is configured with: its cdn.route.ini and OutDefine.php.
struct BackendConfig {
    std::uint16_t db_port = 0;  ///< on 127.0.0.1
    std::string db_name = "live_demo", db_user = "live_user", db_password = "live_pwd";
    std::uint16_t redis_port = 0;  ///< on 127.0.0.1
    std::string redis_password = "liteav_demo";
    std::string callback_key = "practice-callback-key";  ///< API_KEY
    std::string cos_bucket = "cover", cos_region = "ap-shanghai", cos_appid = "1250000000";
    std::string cos_secret_id = "AKIDpracticepracticepractice",
                cos_secret_key = "practice-secret-key-of-32-bytes!";
    int cos_lifetime = 30;  ///< seconds of keyTime
    std::int64_t im_sdkappid = 1400000000;
    std::string im_key = "practice-im-key";
    std::chrono::seconds im_expire{std::chrono::hours(24 * 180)};
    std::string im_identifier{};  ///< signs for this one instead of the user who logs in
};

/// The version of PHP decides on uncaught errors and loose comparisons.
enum class PhpVersion { php7, php8 };

/// What is wrong with nginx and PHP. The default is as shipped: nothing is.
struct BackendFaults {
    bool log_dir_unwritable = false;  ///< every PHP URL is an empty 500
    bool fpm_down = false;            ///< 404, or 502 with `error_page`
    bool error_page = false;          ///< nginx has the page that the shipped file names for 5xx
    bool fpm_frozen = false;          ///< PHP takes requests and does not answer, until this is unset
    bool display_errors = false;      ///< warnings before the JSON, fatal errors as HTTP 200
    bool mysqli_missing = false, phpredis_missing = false;
    bool constants_defined = false;  ///< the two that PHP 8 misses: upload_room and wrong signs then answer
    bool rewrite_broken = false;     ///< only /interface.php/NAME reaches PHP, /NAME is a 404
    bool config_hidden = false;      ///< conf/ and createDB.sh are 403
    int status = 0;                  ///< every PHP URL answers this status without running PHP, such as 429
    PhpVersion php = PhpVersion::php8;
    std::chrono::seconds clock_offset{0};  ///< of the backend's clock
};

/// One request as it came and was answered.
struct BackendCall {
    std::string method{}, target{}, body{};
    bool php = false;  ///< it took a PHP worker
    int status = 0;    ///< 0: not answered yet
    std::string said{};
};

struct BackendSeen {
    std::vector<BackendCall> calls{};  ///< in the order they came
    /// Requests that wait for PHP or occupy one of its workers, also those whose client has left: now, and
    /// the most at once so far.
    std::size_t outstanding = 0, most_outstanding = 0;

    /// How many requests for this path (the target without its query) came.
    std::size_t count(std::string_view path) const;
};

/// nginx and a PHP pool of five workers. Its thread and workers are its own; all functions may be called from
/// any thread. A worker that waits for a frozen dependency stays occupied when its client leaves, as with the
/// shipped nginx file; 60 s for Redis (default_socket_timeout), endlessly for the database.
class Backend {
public:
    struct Options {
        BackendConfig config{};
        std::string address = "127.0.0.1";
        std::uint16_t port = 0;  ///< 0: a free one
        std::chrono::milliseconds redis_patience = std::chrono::seconds(60);
    };

    /// Throws boost::system::system_error if the port cannot be bound.
    explicit Backend(Options options);
    /// Ends also what waits for a frozen dependency.
    ~Backend();
    Backend(const Backend&) = delete;
    Backend& operator=(const Backend&) = delete;

    std::uint16_t port() const noexcept;
    /// `http://127.0.0.1:PORT`
    std::string url() const;

    /// From the next request on.
    void configure(const BackendConfig& config);
    BackendConfig config() const;
    void behave(const BackendFaults& faults);
    BackendFaults faults() const;
    /// Closes the port and every connection, as an nginx that is down; or opens it again.
    void vanish();
    void reappear();

    BackendSeen seen() const;
    /// Forgets the calls; `most_outstanding` starts from what is outstanding.
    void forget();
    /// Waits until `enough(seen())`; false if that is not so within `timeout`.
    bool wait_until(const std::function<bool(const BackendSeen&)>& enough,
                    std::chrono::milliseconds timeout = std::chrono::seconds(30)) const;

private:
    class Server;
    std::unique_ptr<Server> server_;
};

/// `password` field of an account: md5(md5(password) + userid).
std::string backend_password(const std::string& userid, const std::string& password);
/// `sign` of a callback: md5(key + t).
std::string callback_sign(const std::string& key, const std::string& t);

/// The whole of it: database with schema and one account, Redis, backend. Starting takes a few seconds.
struct BackendStack {
    static constexpr const char* userid = "livecanary_sh1";
    static constexpr const char* password = "practice-password";

    BackendStack();
    explicit BackendStack(Backend::Options options);
    /// Makes everything as it was at the start, whatever was broken: servers run, schema, accounts and rows
    /// are fresh, faults are gone, calls forgotten.
    void restore();
    /// Drops and makes the schema anew (createDB.sh), with the account, its room row and one replay of an
    /// hour ago.
    void fill_database();

    MariaDb mariadb{};
    Redis redis{"liteav_demo"};
    Backend backend;

    /// Whether MariaDB's and Redis' packages are here.
    static bool installed() { return MariaDb::installed() && Redis::installed(); }
};

}  // namespace livecanary::practice
