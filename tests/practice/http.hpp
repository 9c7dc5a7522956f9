#pragma once
// One HTTP request, made and waited for: how tests talk to the control APIs of the servers they run.
#include <cstdint>
#include <string>

namespace livecanary::practice {

struct HttpAnswer {
    int status = 0;
    std::string body{};
};

/// `method` is GET, POST, PUT or DELETE. Throws boost::system::system_error if there is no answer within 5 s.
HttpAnswer ask(const std::string& address, std::uint16_t port, const std::string& method,
               const std::string& target, const std::string& body = {});

}  // namespace livecanary::practice
