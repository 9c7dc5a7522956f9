#include "tests/practice/backend.hpp"

#include <mysql.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <algorithm>
#include <array>
#include <condition_variable>
#include <cstdio>
#include <ctime>
#include <deque>
#include <mutex>
#include <optional>
#include <set>
#include <thread>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>

#include "probes/protocol/digest.hpp"
#include "tests/practice/backend_php.hpp"

namespace livecanary::practice {

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using asio::ip::tcp;
using protocol::Digest;
using protocol::hex_digest;

constexpr auto no_throw = asio::as_tuple(asio::use_awaitable);
constexpr std::size_t workers = 5;                        ///< Debian's pm.max_children
constexpr std::size_t most_body = std::size_t{1} << 20U;  ///< nginx's default client_max_body_size
constexpr const char* callback_script = "/callback/tape_callback.php";

/// nginx's own page.
PhpAnswer nginx_page(int status) {
    const std::string title =
        std::to_string(status) + " " +
        std::string(http::obsolete_reason(http::int_to_status(static_cast<unsigned>(status))));
    return {.status = status,
            .type = "text/html",
            .body = "<html>\r\n<head><title>" + title + "</title></head>\r\n<body>\r\n<center><h1>" + title +
                    "</h1></center>\r\n<hr><center>nginx/1.22.1</center>\r\n</body>\r\n</html>\r\n",
            .chunked = false};
}

std::string http_date() {
    const std::time_t now = std::time(nullptr);
    std::tm parts{};
    ::gmtime_r(&now, &parts);
    char text[64];
    std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &parts);
    return text;
}

std::string as_bytes(const PhpAnswer& answer, bool keep_alive) {
    std::string text =
        "HTTP/1.1 " + std::to_string(answer.status) + " " +
        std::string(http::obsolete_reason(http::int_to_status(static_cast<unsigned>(answer.status)))) +
        "\r\nServer: nginx/1.22.1\r\nDate: " + http_date() + "\r\nContent-Type: " + answer.type +
        "\r\nConnection: " + (keep_alive ? "keep-alive" : "close") + "\r\n";
    if (!answer.chunked)
        return text + "Content-Length: " + std::to_string(answer.body.size()) + "\r\n\r\n" + answer.body;
    char size[32];
    std::snprintf(size, sizeof size, "%zx\r\n", answer.body.size());
    text += "X-Content-Type-Options: nosniff\r\nTransfer-Encoding: chunked\r\n\r\n";
    return answer.body.empty() ? text + "0\r\n\r\n" : text + size + answer.body + "\r\n0\r\n\r\n";
}

}  // namespace

std::size_t BackendSeen::count(std::string_view path) const {
    return static_cast<std::size_t>(std::ranges::count_if(calls, [&](const BackendCall& call) {
        return std::string_view(call.target).substr(0, call.target.find('?')) == path;
    }));
}

std::string backend_password(const std::string& userid, const std::string& password) {
    return hex_digest(Digest::md5, hex_digest(Digest::md5, password) + userid);
}
std::string callback_sign(const std::string& key, const std::string& t) {
    return hex_digest(Digest::md5, key + t);
}

class Backend::Server {
public:
    explicit Server(Options options)
        : config_(std::move(options.config)),
          redis_patience_(options.redis_patience),
          acceptor_(io_, {asio::ip::make_address(options.address), options.port}),
          endpoint_(acceptor_.local_endpoint()),
          stop_(::eventfd(0, EFD_CLOEXEC)) {
        mysql_library_init(0, nullptr, nullptr);  // not by two threads at once
        asio::co_spawn(io_, accept(), asio::detached);
        nginx_ = std::thread([this] { io_.run(); });
        for (auto& worker : pool_) worker = std::thread([this] { work(); });
    }
    ~Server() {
        {
            const std::scoped_lock lock(mutex_);
            stopping_ = true;
        }
        const std::uint64_t one = 1;
        // Ends every wait of a worker.
        if (::write(stop_, &one, sizeof one) != sizeof one) std::perror("eventfd");
        due_.notify_all();
        for (auto& worker : pool_) worker.join();
        io_.stop();
        nginx_.join();
        ::close(stop_);
    }

    std::uint16_t port() const noexcept { return endpoint_.port(); }

    /// Runs `use(*this)` while nobody else uses what the mutex guards.
    template <class Use>
    auto locked(const Use& use) const {
        const std::scoped_lock lock(mutex_);
        return use();
    }
    void behave(const BackendFaults& faults) {
        locked([&] { faults_ = faults; });
        due_.notify_all();
    }
    BackendFaults faults() const {
        return locked([&] { return faults_; });
    }
    void configure(const BackendConfig& config) {
        locked([&] { config_ = config; });
    }
    BackendConfig config() const {
        return locked([&] { return config_; });
    }
    BackendSeen seen() const {
        return locked([&] { return seen_; });
    }
    void forget() {
        locked([&] {
            first_kept_ += seen_.calls.size();
            seen_.calls.clear();
            seen_.most_outstanding = seen_.outstanding;
        });
    }
    bool wait_until(const std::function<bool(const BackendSeen&)>& enough,
                    std::chrono::milliseconds timeout) const {
        std::unique_lock lock(mutex_);
        return answered_.wait_for(lock, timeout, [&] { return enough(seen_); });
    }
    void vanish() {
        on_thread([this] {
            acceptor_.close();
            for (tcp::socket* socket : sockets_) socket->close();
        });
    }
    void reappear() {
        on_thread([this] {
            if (acceptor_.is_open()) return;
            acceptor_ = tcp::acceptor(io_, endpoint_);
            asio::co_spawn(io_, accept(), asio::detached);
        });
    }

private:
    using Request = http::request<http::string_body>;

    /// A request on its way through PHP.
    struct Job {
        explicit Job(asio::io_context& io) : done(io, asio::steady_timer::time_point::max()) {}
        PhpRequest request{};
        PhpAnswer answer{};
        asio::steady_timer done;
        bool is_done = false;  ///< used on the thread of nginx only
    };

    template <class Work>
    void on_thread(Work work) {
        asio::dispatch(io_, asio::use_future(std::move(work))).get();
    }

    asio::awaitable<void> accept() {
        for (;;) {
            auto [error, socket] = co_await acceptor_.async_accept(no_throw);
            if (error) co_return;
            asio::co_spawn(io_, session(std::move(socket)), asio::detached);
        }
    }

    asio::awaitable<void> session(tcp::socket socket) {
        sockets_.insert(&socket);
        socket.set_option(tcp::no_delay(true));
        beast::flat_buffer buffer;
        for (bool again = true; again;) {
            http::request_parser<http::string_body> parser;
            parser.body_limit(most_body);
            auto [failed, size] = co_await http::async_read(socket, buffer, parser, no_throw);
            if (failed && failed != http::error::body_limit) break;
            again = co_await answer(socket, parser, failed == http::error::body_limit);
        }
        sockets_.erase(&socket);
    }

    asio::awaitable<bool> answer(tcp::socket& socket, http::request_parser<http::string_body>& parser,
                                 bool too_large) {
        const Request& request = parser.get();
        const std::string target(request.target());
        const std::size_t number = locked([&] {
            seen_.calls.push_back(
                {.method = std::string(request.method_string()), .target = target, .body = request.body()});
            return first_kept_ + seen_.calls.size();
        });
        answered_.notify_all();
        PhpAnswer reply = nginx_page(413);
        if (!too_large) reply = co_await reply_to(request, target, number);
        const bool keep_alive = parser.keep_alive() && !too_large;
        locked([&] {
            if (number <= first_kept_) return;
            auto& call = seen_.calls[number - first_kept_ - 1];
            call.status = reply.status;
            call.said = reply.body;
        });
        answered_.notify_all();
        const std::string bytes = as_bytes(reply, keep_alive);
        auto [failed, size] = co_await asio::async_write(socket, asio::buffer(bytes), no_throw);
        co_return !failed && keep_alive;
    }

    /// As the shipped nginx file routes it.
    asio::awaitable<PhpAnswer> reply_to(const Request& request, const std::string& target,
                                        std::size_t number) {
        const std::string path = target.substr(0, target.find('?'));
        const BackendFaults now = faults();
        if (path == "/") co_return nginx_page(403);
        if (path == "/conf/cdn.route.ini" || path == "/createDB.sh") {
            if (now.config_hidden) co_return nginx_page(403);
            co_return exposed(path);
        }
        PhpRequest php{.script = "/interface.php",
                       .body = request.body(),
                       .liteav_sig = std::string(request["Liteav-Sig"])};
        if (path == callback_script) {
            php.script = path;
        } else if (path.starts_with("/interface.php")) {
            php.path_info = path.substr(14);
        } else if (now.rewrite_broken) {
            co_return nginx_page(404);
        } else {
            php.path_info = path;
        }
        if (now.status != 0) co_return nginx_page(now.status);
        // The page for 5xx is missing as Debian has it, and its absence is what is told.
        if (now.fpm_down) co_return nginx_page(now.error_page ? 502 : 404);
        co_return co_await through_php(std::move(php), number);
    }

    PhpAnswer exposed(const std::string& path) const {
        const BackendConfig c = config();
        const std::string text =
            path == "/createDB.sh"
                ? "#!/bin/bash\nCREATE DATABASE IF NOT EXISTS " + c.db_name + ";\nGRANT ALL ON " + c.db_name +
                      ".* TO '" + c.db_user + "'@'%' IDENTIFIED BY '" + c.db_password + "';\n"
                : "[DB]\nHOST=127.0.0.1\nDBNAME=" + c.db_name + "\nUSER=" + c.db_user +
                      "\nPASSWD=" + c.db_password + "\nPORT=" + std::to_string(c.db_port) +
                      "\n[REDIS]\nHOST=127.0.0.1\nPORT=" + std::to_string(c.redis_port) +
                      "\nPASSWD=" + c.redis_password + "\n";
        return {.type = "application/octet-stream", .body = text, .chunked = false};
    }

    asio::awaitable<PhpAnswer> through_php(PhpRequest request, std::size_t number) {
        const auto job = std::make_shared<Job>(io_);
        job->request = std::move(request);
        locked([&] {
            if (number > first_kept_) seen_.calls[number - first_kept_ - 1].php = true;
            ++seen_.outstanding;
            seen_.most_outstanding = std::max(seen_.most_outstanding, seen_.outstanding);
            queue_.push_back(job);
        });
        due_.notify_one();
        answered_.notify_all();
        while (!job->is_done) co_await job->done.async_wait(no_throw);
        co_return std::move(job->answer);
    }

    /// A PHP worker.
    void work() {
        for (;;) {
            std::unique_lock lock(mutex_);
            due_.wait(lock, [&] { return stopping_ || (!queue_.empty() && !faults_.fpm_frozen); });
            if (stopping_) break;
            const auto job = queue_.front();
            queue_.pop_front();
            const PhpWorld world{
                .config = config_, .faults = faults_, .redis_patience = redis_patience_, .stop = stop_};
            lock.unlock();
            PhpAnswer answer = run_php(job->request, world);
            locked([&] { --seen_.outstanding; });
            asio::post(io_, [job, said = std::move(answer)]() mutable {
                job->answer = std::move(said);
                job->is_done = true;
                job->done.cancel();
            });
            answered_.notify_all();
        }
        mysql_thread_end();
    }

    BackendConfig config_;
    std::chrono::milliseconds redis_patience_;
    asio::io_context io_{1};
    asio::executor_work_guard<asio::io_context::executor_type> until_stopped_{io_.get_executor()};
    tcp::acceptor acceptor_;
    tcp::endpoint endpoint_;            ///< of it, to come back to
    std::set<tcp::socket*> sockets_{};  ///< used on the thread of nginx only
    int stop_;
    mutable std::mutex mutex_;  ///< guards all below, and config_
    std::condition_variable due_;
    mutable std::condition_variable answered_;
    std::deque<std::shared_ptr<Job>> queue_{};
    BackendFaults faults_{};
    BackendSeen seen_{};
    std::size_t first_kept_ = 0;  ///< calls forgotten
    bool stopping_ = false;
    std::thread nginx_{};
    std::array<std::thread, workers> pool_{};
};

Backend::Backend(Options options) : server_(std::make_unique<Server>(std::move(options))) {}
Backend::~Backend() = default;

std::uint16_t Backend::port() const noexcept { return server_->port(); }
std::string Backend::url() const { return "http://127.0.0.1:" + std::to_string(port()); }
void Backend::configure(const BackendConfig& config) { server_->configure(config); }
BackendConfig Backend::config() const { return server_->config(); }
void Backend::behave(const BackendFaults& faults) { server_->behave(faults); }
BackendFaults Backend::faults() const { return server_->faults(); }
void Backend::vanish() { server_->vanish(); }
void Backend::reappear() { server_->reappear(); }
BackendSeen Backend::seen() const { return server_->seen(); }
void Backend::forget() { server_->forget(); }
bool Backend::wait_until(const std::function<bool(const BackendSeen&)>& enough,
                         std::chrono::milliseconds timeout) const {
    return server_->wait_until(enough, timeout);
}

namespace {

/// createDB.sh, as MariaDB takes it. (The public script's types and defaults.)
constexpr const char* schema = R"(
DROP DATABASE IF EXISTS live_demo;
CREATE DATABASE live_demo DEFAULT CHARACTER SET utf8mb4;
CREATE TABLE live_demo.tb_account (
  userid varchar(50) NOT NULL, password varchar(255) DEFAULT NULL, nickname varchar(100) DEFAULT NULL,
  sex int DEFAULT -1, avatar varchar(254) DEFAULT NULL, frontcover varchar(255) DEFAULT NULL,
  create_time timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP, PRIMARY KEY (userid)) ENGINE=InnoDB;
CREATE TABLE live_demo.tb_room (
  userid varchar(50) NOT NULL, title varchar(255) NOT NULL, frontcover varchar(255) DEFAULT NULL,
  location varchar(128) DEFAULT NULL,
  create_time timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
  PRIMARY KEY (userid)) ENGINE=InnoDB;
CREATE TABLE live_demo.tb_vod (
  userid varchar(50) NOT NULL, file_id varchar(150) NOT NULL, frontcover varchar(255) DEFAULT NULL,
  location varchar(128) DEFAULT NULL, play_url varchar(255) DEFAULT NULL, like_count int NOT NULL DEFAULT 0,
  viewer_count int NOT NULL DEFAULT 0,
  create_time timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
  hls_play_url varchar(255) DEFAULT NULL, start_time timestamp NOT NULL DEFAULT '0000-00-00 00:00:00',
  title varchar(128) DEFAULT NULL, PRIMARY KEY (userid, file_id)) ENGINE=InnoDB;
DROP USER IF EXISTS 'live_user'@'%';
GRANT SELECT, INSERT, UPDATE, DELETE ON live_demo.* TO 'live_user'@'%' IDENTIFIED BY 'live_pwd';
)";

Backend::Options with_ports(Backend::Options options, const MariaDb& mariadb, const Redis& redis) {
    options.config.db_port = mariadb.port();
    options.config.redis_port = redis.port();
    return options;
}

}  // namespace

BackendStack::BackendStack() : BackendStack(Backend::Options{}) {}
BackendStack::BackendStack(Backend::Options options)
    : backend(with_ports(std::move(options), mariadb, redis)) {
    fill_database();
}

void BackendStack::fill_database() {
    const std::string user = userid;
    const std::string url = "http://1250000000.vod2.example.com/replay/f0.mp4";
    mariadb.execute(
        "SET GLOBAL read_only = 0; SET GLOBAL time_zone = '+08:00'; SET time_zone = '+08:00';" +
        std::string(schema) + "INSERT INTO live_demo.tb_account(userid, password, nickname) VALUES ('" +
        user + "', '" + backend_password(user, password) +
        "', 'canary'); INSERT INTO live_demo.tb_room(userid, title) VALUES ('" + user +
        "', 'canary'); INSERT INTO live_demo.tb_vod(userid, file_id, play_url, title, start_time, "
        "create_time) VALUES ('" +
        user + "', 'f0', '" + url + "', 'canary', NOW() - INTERVAL 2 HOUR, NOW() - INTERVAL 1 HOUR)");
}

void BackendStack::restore() {
    const BackendConfig defaults = with_ports(Backend::Options{}, mariadb, redis).config;
    backend.behave({});
    backend.configure(defaults);
    mariadb.thaw();
    redis.thaw();
    backend.reappear();
    backend.wait_until([](const BackendSeen& seen) { return seen.outstanding == 0; });
    fill_database();
    redis.command({"FLUSHALL"});
    backend.forget();
}

}  // namespace livecanary::practice
