#pragma once
// Which part of the backend the pattern of its checks points at: the table of what each check touches, read
// backwards.
#include <string>
#include <string_view>

namespace livecanary::backend_api {

/// A part that a check can prove broken or well.
enum class Part {
    none,               ///< nothing failed, or what failed is no part of these
    web_server,         ///< nginx itself
    php,                ///< PHP is not reached
    php_includes,       ///< PHP ends before it looks at the request: the log directory
    php_workers,        ///< PHP takes requests and answers none
    php_settings,       ///< PHP shows its errors
    rewrite,            ///< /NAME does not reach /interface.php/NAME
    redis,              ///< its connection
    redis_writes,       ///< it can be read, and not be written
    database,           ///< its connection
    database_or_redis,  ///< both of them, or what both of them need
    tb_account,         ///< a statement on it
    tb_vod,             ///< a statement on it
};
std::string_view to_string(Part part) noexcept;

/// Gives the word of a check by its name; empty if it was not made.
template <class WordOf>
Part broken_part(const WordOf& word_of_check) {
    const auto is = [&](std::string_view check, std::string_view word) {
        return word_of_check(check) == word;
    };
    const auto well = [&](std::string_view check) { return is(check, "ok"); };
    const auto any = [&](std::string_view word) {
        for (const std::string_view check : {"php", "redis", "db", "login", "vod_list", "cos_sign"})
            if (is(check, word)) return true;
        return false;
    };
    if (any("displays_errors")) return Part::php_settings;
    const bool static_failed = !well("static") && !word_of_check("static").empty();
    if (static_failed) return Part::web_server;
    if (is("php", "hangs")) return Part::php_workers;
    if (is("php", "empty_500")) return Part::php_includes;
    if (any("bad_gateway") || is("php", "not_found")) return Part::php;
    if (well("php") && (is("redis", "not_found") || is("db", "not_found"))) return Part::rewrite;
    // Beyond here a hang is told apart by its check, and says nothing of those behind it.
    if (is("redis", "hangs")) return Part::redis;
    if (is("db", "hangs")) return Part::database;
    const bool redis_failed = is("redis", "empty_500"), db_failed = is("db", "empty_500");
    if (redis_failed && db_failed) return Part::database_or_redis;
    if (redis_failed) return Part::redis;
    if (db_failed) return well("redis") || word_of_check("redis").empty() ? Part::database : Part::none;
    if (is("db", "db_statement") || is("login", "db_statement")) return Part::tb_account;
    // The login of an account writes its session to Redis, which is all that it does more than the checks
    // before it.
    if (is("login", "empty_500") && well("db") && well("redis")) return Part::redis_writes;
    if (is("vod_list", "db_statement")) return Part::tb_vod;
    return Part::none;
}

}  // namespace livecanary::backend_api
