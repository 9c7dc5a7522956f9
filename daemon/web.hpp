#pragma once
// The HTTP side: /metrics, health, the status page. It has a thread and a loop of its own, so that no reader
// of pages delays a probe, and so that it can still say 503 while the probe loop stands.
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <prometheus/metric_family.h>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>

#include "config/secret.hpp"
#include "daemon/web_users.hpp"
#include "probes/core/run.hpp"

namespace livecanary::daemon {

/// One of the last runs, in a glance.
struct StripRun {
    std::string_view outcome{};
    std::chrono::milliseconds duration{0};
};

/// A hop of a journey.
struct HopStatus {
    std::string name{};
    std::string_view
        state{};  ///< ok, failed; blocked behind one that failed; "not walked" if it was left out
    std::chrono::milliseconds took{0};
};

struct ProbeDetails;  // probe_page.hpp
// incident_book.hpp
struct IncidentWish;
struct IncidentList;
struct IncidentView;
struct ProbeNow;  // probe_now.hpp
struct WebTls;    // web_tls.hpp

/// One probe as the status page shows it.
struct ProbeStatus {
    std::string name{}, kind{}, target{}, severity{};
    std::string outcome{};  ///< ok, failed, inconclusive; empty before the first run
    std::string phase{}, reason{};
    std::string cause{};     ///< cause, else class, else empty
    std::string sentence{};  ///< what is wrong, or what was measured, for people; may be empty
    bool alerting = false;
    WallTime since{};  ///< of the present outcome
    WallTime last_run{};
    std::chrono::milliseconds duration{0};
    std::chrono::milliseconds until_next{0};
    std::vector<StripRun> strip{};  ///< oldest first
    std::vector<HopStatus> hops{};  ///< of a journey
};

struct Status {
    std::string location{}, version{};
    std::vector<ProbeStatus> probes{};  ///< in any order: the page shows the worst first
};

/// What the pages are made of. Every function is called on the probe loop, never on the web thread, and no
/// more once the server is gone. A coroutine among them may outlive the server (its answer is then dropped),
/// so it has to hold what it uses. None may be empty, `trouble` excepted.
struct WebBackend {
    /// All series; yields to the loop between probes.
    std::function<boost::asio::awaitable<std::vector<prometheus::MetricFamily>>()> metrics{};
    std::function<Status()> status{};
    /// The last result of each probe in the order of their names, or of the one of that name only: a JSON
    /// array. Yields to the loop between probes.
    std::function<boost::asio::awaitable<std::string>(std::string name)> results{};
    /// Everything about one probe; null if there is none of that name.
    std::function<std::shared_ptr<const ProbeDetails>(const std::string& name)> details{};
    /// The incidents that are wished for; never null.
    std::function<std::shared_ptr<const IncidentList>(const IncidentWish& wish)> incidents{};
    /// One of them; null if there is none of that id.
    std::function<std::shared_ptr<const IncidentView>(const std::string& id)> incident{};
    /// What the daemon itself is at: a JSON object.
    std::function<std::string()> own_status{};
    /// The result of a run of that probe: the one under way, or one that is started for it.
    std::function<boost::asio::awaitable<std::shared_ptr<const ProbeNow>>(const std::string& name)>
        probe_now{};
    /// Runs a probe now, unless it runs already. False: there is none of that name.
    std::function<bool(const std::string& name)> run_now{};
    /// Another number whenever some probe has a new result.
    std::function<std::uint64_t()> revision{};
    /// Why the scheduler stands; empty if it does not.
    std::function<std::string()> unhealthy{};
    /// Why we are not ready; empty if we are.
    std::function<std::string()> not_ready{};
    /// Reloads; the mistakes as text, empty if it was accepted.
    std::function<boost::asio::awaitable<std::string>()> reload{};
    /// Told about an exception that cost a request its answer: a bug of ours, for the log. May be empty.
    std::function<void(const std::string& what)> trouble{};
    /// Told about clients that were not let in, at most once a minute for each way to fail: what happened,
    /// the last one's address, and how many there were since. May be empty.
    std::function<void(const std::string& what, const std::string& client, std::uint64_t count)> refused{};
};

/// How the pages are served, and to whom.
struct WebAccess {
    std::shared_ptr<const WebTls> tls{};  ///< null: plain HTTP
    WebUsers users{};                     ///< empty: everybody
    config::Secret local_key{};           ///< opens as a user does (make_local_key()); empty: there is none
};

struct WebOptions {
    std::vector<std::string> listen{};  ///< "127.0.0.1:9877", "[::1]:0", ":9877" (every address)
    /// --web.enable-lifecycle: POST /-/reload and /api/v1/probes/NAME/run
    bool lifecycle = false;
    /// How long the probe loop may take for an answer; after it, 503.
    std::chrono::milliseconds patience{2000};
    /// How long a client may take to send a request, to take the answer, or for a TLS handshake; also how
    /// long a connection may stay idle, and a password waits to be checked.
    std::chrono::milliseconds client_limit{10'000};
    /// Served at once; further ones wait in the kernel's queue.
    std::size_t max_connections = 64;
    /// Of these, pages that are told of changes (/events).
    std::size_t max_streams = 24;
    WebAccess access{};
    /// See web::Doorkeeper::Check.
    std::function<bool(const config::Secret& hash, const config::Secret& password)> is_password_of =
        daemon::is_password_of;
    /// How often such a page is told at most.
    std::chrono::milliseconds news_every{1000};
    /// For the header `Date` and the ages on the page. Called on the web thread.
    std::function<WallTime()> wall = std::chrono::system_clock::now;
};

class WebServer {
public:
    /// Binds at once (so that a mistake is known before READY) and serves from a thread of its own.
    /// Throws std::system_error, naming the address. `probe_loop` must outlive the server.
    WebServer(WebOptions options, boost::asio::any_io_executor probe_loop, WebBackend backend);
    /// stop(), then waits for its end. Call it on the probe loop's thread, or when that loop no longer runs.
    ~WebServer();
    /// Stops accepting and ends what is under way within `patience`; does not wait for it. Requests that wait
    /// for the probe loop get 503.
    void stop();
    WebServer(const WebServer&) = delete;
    WebServer& operator=(const WebServer&) = delete;

    /// For connections, and requests of those that stand, from now on. From any thread.
    void adopt(WebAccess access);

    /// The addresses really bound, in the order of `listen`.
    const std::vector<boost::asio::ip::tcp::endpoint>& endpoints() const noexcept;

private:
    class Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace livecanary::daemon
