#include "probes/backend_api/pattern.hpp"

namespace livecanary::backend_api {

std::string_view to_string(Part part) noexcept {
    // clang-format off
    switch (part) {
        case Part::none: return "";
        case Part::web_server: return "the web server";
        case Part::php: return "PHP, which is not reached";
        case Part::php_includes: return "PHP, before it looks at a request: its log directory";
        case Part::php_workers: return "the workers of PHP";
        case Part::php_settings: return "PHP's settings";
        case Part::rewrite: return "the web server's rewrite rule";
        case Part::redis: return "Redis";
        case Part::redis_writes: return "Redis, which can be read and not written";
        case Part::database: return "the database";
        case Part::database_or_redis: return "the database and Redis, or what both need";
        case Part::tb_account: return "the table tb_account";
        case Part::tb_vod: return "the table tb_vod";
    }
    // clang-format on
    return "";
}

}  // namespace livecanary::backend_api
