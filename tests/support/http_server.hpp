#pragma once
// An HTTP/1.1 server on loopback that answers as a test tells it to, well or badly, and keeps what it was
// asked: what HTTP-FLV and HLS players are tested against.
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <boost/asio/io_context.hpp>

namespace livecanary::test {

/// A request as it came.
struct HttpHeard {
    std::string method{};
    std::string target{};                          ///< path and query
    std::map<std::string, std::string> headers{};  ///< by lower-case name; the last of a name
    std::string body{};
    std::size_t connection = 0;  ///< how many connections had been accepted before its own

    std::string path() const { return target.substr(0, target.find('?')); }
    std::string query() const;  ///< without its mark; empty if there is none
};

/// How a body's end is told.
enum class HttpFraming {
    length,   ///< Content-Length; that of `body` alone
    chunked,  ///< a chunk for `body` and one for each further piece
    close,    ///< neither: by the end of the connection
};

/// What becomes of the connection after a reply.
enum class HttpThen {
    go_on,        ///< takes the next request; after HttpFraming::close: `finish`
    stay_silent,  ///< reads on and says nothing more
    finish,       ///< sends its FIN and reads on
    reset,        ///< tears the connection down
};

/// A reply. The default is an empty 200 that keeps the connection.
struct HttpReply {
    static constexpr std::size_t all = std::numeric_limits<std::size_t>::max();

    int status = 200;
    std::vector<std::pair<std::string, std::string>> headers{};  ///< besides those of the framing
    std::string body{};
    HttpFraming framing = HttpFraming::length;
    /// Gives each piece after `body`, at the moment it is said; nothing ends the reply. With
    /// HttpFraming::length nobody announces them.
    std::function<std::optional<std::string>()> next{};
    std::chrono::milliseconds pace{0};   ///< waited before each piece of `next`
    std::chrono::milliseconds delay{0};  ///< waited before the first byte
    /// So many bytes of the body are said, framing not counted, then `then`: the head promises all of it.
    std::size_t cut_after = all;
    std::optional<std::string> raw{};  ///< said in place of head and body
    HttpThen then = HttpThen::go_on;
};

using HttpAnswers = std::function<HttpReply(const HttpHeard&)>;
/// Replies by path, without query.
using HttpPages = std::map<std::string, HttpReply>;

namespace http_says {
HttpReply page(std::string body, std::string type = "text/plain");
HttpReply playlist(std::string text);  ///< application/vnd.apple.mpegurl
HttpReply segment(std::string bytes);  ///< video/mp2t
HttpReply status(int status);
HttpReply redirect(std::string location, int status = 302);
/// An FLV stream: `head` at once, then each of `tags`, `pace` apart, then its end.
HttpReply flv(std::string head, std::vector<std::string> tags, std::chrono::milliseconds pace = {},
              HttpFraming framing = HttpFraming::chunked);
/// The same, its tags asked for one after the other when each is due, until there is none.
HttpReply flv_as_due(std::string head, std::function<std::optional<std::string>()> next,
                     std::chrono::milliseconds pace = {}, HttpFraming framing = HttpFraming::chunked);
HttpReply silence();                            ///< not even a head
HttpReply silence_after_head(HttpReply reply);  ///< the head, then nothing
HttpReply cut(HttpReply reply, std::size_t after, HttpThen then = HttpThen::finish);
}  // namespace http_says

/// `reply` to every request.
HttpAnswers always(HttpReply reply);
/// What stands in `pages` when the request comes, else 404. `pages` must outlive the server and may be
/// changed.
HttpAnswers by_path(const HttpPages& pages);

/// Listens on a free port of 127.0.0.1.
class ScriptedHttpServer {
public:
    ScriptedHttpServer(boost::asio::io_context& io, HttpAnswers answers);
    /// Closes every connection.
    ~ScriptedHttpServer();
    ScriptedHttpServer(const ScriptedHttpServer&) = delete;
    ScriptedHttpServer& operator=(const ScriptedHttpServer&) = delete;

    std::uint16_t port() const;
    /// `http://127.0.0.1:PORT` + path
    std::string url(std::string_view path = "/") const;
    /// Every request, in order. Grows at its end only.
    const std::deque<HttpHeard>& heard() const;
    const HttpHeard& last() const { return heard().back(); }
    /// How many requests for this path came.
    std::size_t count(std::string_view path) const;
    std::size_t connections() const;  ///< accepted so far
    /// All clients have left.
    bool deserted() const;
    /// Changes how the next requests are answered.
    void answer(HttpAnswers answers);

private:
    struct State;
    std::shared_ptr<State> state_;
};

}  // namespace livecanary::test
