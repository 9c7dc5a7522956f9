#pragma once
// What the backend's PHP code does with one request: used by Backend's workers.
#include <chrono>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "tests/practice/backend.hpp"

namespace livecanary::practice {

struct PhpRequest {
    std::string script{};  ///< "/interface.php" or "/callback/tape_callback.php"
    std::string path_info{};
    std::string body{};
    std::string liteav_sig{};
};

struct PhpAnswer {
    int status = 200;
    std::string type = "text/html; charset=UTF-8";
    std::string body{};
    bool chunked = true;  ///< else Content-Length
};

/// What PHP runs with.
struct PhpWorld {
    BackendConfig config{};
    BackendFaults faults{};
    std::chrono::milliseconds redis_patience{};
    int stop = -1;  ///< readable once all waits are to end
};

/// Blocks as PHP does. Never throws.
PhpAnswer run_php(const PhpRequest& request, const PhpWorld& world);

}  // namespace livecanary::practice
