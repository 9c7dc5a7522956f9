#include "tests/practice/http.hpp"

#include <chrono>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <boost/system/system_error.hpp>

namespace livecanary::practice {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using boost::system::error_code;

HttpAnswer ask(const std::string& address, std::uint16_t port, const std::string& method,
               const std::string& target, const std::string& body) {
    asio::io_context io;
    beast::tcp_stream stream(io);
    http::request<http::string_body> request(http::string_to_verb(method), target, 11, body);
    request.set(http::field::host, address);
    request.keep_alive(false);
    request.prepare_payload();
    http::response<http::string_body> response;
    beast::flat_buffer buffer;
    error_code failed;

    stream.expires_after(std::chrono::seconds(5));
    const asio::ip::tcp::endpoint server(asio::ip::make_address(address), port);
    stream.async_connect(server, [&](error_code connected) {
        if ((failed = connected)) return;
        http::async_write(stream, request, [&](error_code written, std::size_t) {
            if ((failed = written)) return;
            http::async_read(stream, buffer, response, [&](error_code read, std::size_t) { failed = read; });
        });
    });
    io.run();
    if (failed) throw boost::system::system_error(failed, method + " " + target);
    return {.status = static_cast<int>(response.result_int()), .body = std::move(response.body())};
}

}  // namespace livecanary::practice
