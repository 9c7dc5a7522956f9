// Who is let in to the pages, and over what: users, TLS, and their change while clients are there.
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <boost/asio/buffer.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>

#include "daemon/web.hpp"
#include "daemon/web_tls.hpp"
#include "probes/net/one_request.hpp"
#include "tests/support/tls_peer.hpp"
#include "tests/support/toml_text.hpp"

namespace livecanary::daemon {
namespace {

using namespace std::chrono_literals;
namespace asio = boost::asio;
namespace http = boost::beast::http;
using asio::ip::tcp;
using test::Certificate;
using Families = std::vector<prometheus::MetricFamily>;
using Response = http::response<http::string_body>;

std::string basic(const std::string& user, const std::string& password) {
    return "Authorization: " + net::basic_authorization(user, password) + "\r\n";
}

/// A connection of a client that waits as long as it takes, plain or over TLS.
class Visitor {
public:
    explicit Visitor(const tcp::endpoint& server) { stream_.next_layer().connect(server); }

    asio::ssl::context& tls() { return context_; }
    /// Throws if it fails.
    void shake_hands() {
        // The context may have been changed since the stream was made of it.
        tcp::socket socket = std::move(stream_.next_layer());
        secured_.emplace(std::move(socket), context_);
        secured_->handshake(asio::ssl::stream_base::client);
    }
    asio::ssl::stream<tcp::socket>& secured() { return *secured_; }
    tcp::socket& socket() { return secured_ ? secured_->next_layer() : stream_.next_layer(); }

    void send(const std::string& text) {
        if (secured_)
            asio::write(*secured_, asio::buffer(text));
        else
            asio::write(socket(), asio::buffer(text));
    }
    void request(const std::string& method, const std::string& path, const std::string& fields = {}) {
        send(method + ' ' + path + " HTTP/1.1\r\nHost: localhost\r\n" + fields + "\r\n");
    }
    Response receive(bool head = false) {
        http::response_parser<http::string_body> parser;
        parser.skip(head);
        parser.body_limit(boost::none);
        if (secured_)
            http::read(*secured_, buffer_, parser);
        else
            http::read(socket(), buffer_, parser);
        return parser.release();
    }
    Response ask(const std::string& method, const std::string& path, const std::string& fields = {}) {
        request(method, path, fields);
        return receive(method == "HEAD");
    }
    /// Until the server hangs up.
    std::string read_out() {
        std::string text;
        std::array<char, 4096> buffer;
        boost::system::error_code error;
        while (!error) {
            const auto size = socket().read_some(asio::buffer(buffer), error);
            text.append(buffer.data(), size);
        }
        return text;
    }

private:
    asio::io_context io_{};
    asio::ssl::context context_{asio::ssl::context::tls_client};
    asio::ssl::stream<tcp::socket> stream_{io_, context_};
    std::optional<asio::ssl::stream<tcp::socket>> secured_{};
    boost::beast::flat_buffer buffer_{};
};

asio::awaitable<Families> one_family(std::size_t size) {
    Families families{{"test_series", std::string(size, 'x'), prometheus::MetricType::Gauge, {}}};
    co_return families;
}

asio::awaitable<std::string> nothing_wrong() { co_return ""; }

/// A server with its probe loop. Passwords are not hashed: the hash of `p` is `hash of p`.
class WebAccessTest : public testing::Test {
protected:
    WebAccessTest() {
        options.listen = {"127.0.0.1:0"};
        options.patience = 30s;
        options.is_password_of = [this](const config::Secret& hash, const config::Secret& password) {
            std::unique_lock lock(mutex);
            checked.push_back(hash.reveal());
            goes_on.wait(lock, [this] { return !held; });
            return hash.reveal() == "hash of " + password.reveal();
        };
        backend.metrics = [this] { return one_family(size); };
        backend.status = [] { return Status{}; };
        backend.revision = [] { return std::uint64_t{7}; };
        backend.unhealthy = [] { return std::string(); };
        backend.not_ready = [] { return std::string(); };
        backend.reload = [this] {
            ++reloads;
            return nothing_wrong();
        };
        backend.refused = [this](const std::string& what, const std::string& client, std::uint64_t count) {
            refused.push_back(what + " from " + client + " x" + std::to_string(count));
        };
    }
    ~WebAccessTest() override { finish(); }

    void start() {
        server.emplace(options, loop.get_executor(), backend);
        thread = std::thread([this] {
            const auto work = asio::make_work_guard(loop);
            loop.run();
        });
    }
    void finish() {
        let_go();
        // Behind what the server has posted there.
        asio::post(loop, [this] { loop.stop(); });
        if (thread.joinable()) thread.join();
        server.reset();
    }
    void hold() {
        const std::lock_guard lock(mutex);
        held = true;
    }
    void let_go() {
        const std::lock_guard lock(mutex);
        held = false;
        goes_on.notify_all();
    }
    /// Hashes, in the order of their checks.
    std::vector<std::string> hashes_checked() {
        const std::lock_guard lock(mutex);
        return checked;
    }
    std::size_t checks() { return hashes_checked().size(); }
    tcp::endpoint endpoint() const { return server->endpoints().front(); }
    Response get(const std::string& path, const std::string& fields = {}) const {
        return Visitor(endpoint()).ask("GET", path, fields);
    }
    unsigned status(const std::string& fields) const { return get("/metrics", fields).result_int(); }

    void user(const std::string& name, const std::string& password) {
        options.access.users.insert_or_assign(name, config::Secret("hash of " + password));
    }
    /// What read_web_tls() makes of it.
    static std::shared_ptr<const WebTls> tls_of(const Certificate& certificate,
                                                const std::string& client_ca = {}) {
        const test::FakeWorld world{.files = {{"cert.pem", certificate.certificate()},
                                              {"key.pem", certificate.key()},
                                              {"ca.pem", client_ca}}};
        const WebTlsFiles files{
            .cert = "cert.pem", .key = "key.pem", .client_ca = client_ca.empty() ? "" : "ca.pem"};
        auto read = read_web_tls(files, world.surroundings(), std::chrono::system_clock::now());
        for (const auto& trouble : read.troubles) ADD_FAILURE() << trouble.words;
        return read.tls;
    }
    /// The handshake is done; it trusts `authority`.
    std::unique_ptr<Visitor> secured(const Certificate& trusted) const {
        auto visitor = std::make_unique<Visitor>(endpoint());
        visitor->tls().set_verify_mode(asio::ssl::verify_peer);
        visitor->tls().add_certificate_authority(asio::buffer(trusted.certificate()));
        visitor->shake_hands();
        return visitor;
    }

    asio::io_context loop{};
    std::thread thread{};
    std::mutex mutex{};
    std::condition_variable goes_on{};
    bool held = false;
    std::vector<std::string> checked{};
    std::vector<std::string> refused{};  // of the probe loop
    std::atomic<int> reloads{0};
    std::size_t size = 0;
    WebOptions options{};
    WebBackend backend{};
    std::optional<WebServer> server{};

    const Certificate authority{{.common_name = "authority", .authority = true}};
    const Certificate certificate{{.common_name = "pages", .names = {"IP:127.0.0.1"}}, &authority};
};

TEST_F(WebAccessTest, OnlyWhoHasUserAndPasswordIsLetIn) {
    user("prometheus", "open sesame");
    user("alice", "a:b");
    start();
    const Response none = get("/metrics");
    EXPECT_EQ(none.result_int(), 401U);
    EXPECT_EQ(none[http::field::www_authenticate], R"(Basic realm="livecanary", charset="UTF-8")");
    EXPECT_EQ(none[http::field::cache_control], "no-store");
    EXPECT_EQ(none.body(), "this page needs a user and a password\n");
    EXPECT_EQ(status(basic("prometheus", "open sesame")), 200U);
    EXPECT_EQ(status(basic("alice", "a:b")), 200U) << "a password may hold what ends the name";
    EXPECT_EQ(status("authorization: bAsIc   YWxpY2U6YTpi\r\n"), 200U) << "the scheme has no case";
    for (const std::string& wrong :
         {basic("prometheus", "Open sesame"), basic("prometheus", ""), basic("", "open sesame"),
          basic("prometheus", "a:b"), basic("nobody", "open sesame"), basic("Prometheus", "open sesame"),
          basic("prometheus", "open sesame\n"), std::string("Authorization: Basic\r\n"),
          std::string("Authorization: Basic YWxpY2U6YTpi YWxpY2U6YTpi\r\n"),
          std::string("Authorization: Basic YWxpY2U6YTp\r\n"),
          std::string("Authorization: Basic YWxpY2U=\r\n"), std::string("Authorization: Basic ====\r\n"),
          std::string("Authorization: Bearer YWxpY2U6YTpi\r\n"), std::string("Authorization: Bearer \r\n"),
          std::string("Authorization: YWxpY2U6YTpi\r\n")})
        EXPECT_EQ(status(wrong), 401U) << wrong;
}

TEST_F(WebAccessTest, HealthIsForEverybodyAndNothingElseIs) {
    user("alice", "secret");
    options.lifecycle = true;
    start();
    for (const std::string path : {"/-/healthy", "/-/ready", "/-/ready?x"}) {
        EXPECT_EQ(get(path).result_int(), 200U) << path;
        EXPECT_EQ(Visitor(endpoint()).ask("HEAD", path).result_int(), 200U) << path;
    }
    for (const std::string path : {"/", "/style.css", "/live.js", "/metrics", "/events", "/probe?probe=p",
                                   "/api/v1/status", "/no/such/page", "/-/healthy/", "//-/healthy"})
        EXPECT_EQ(get(path).result_int(), 401U) << path;
    EXPECT_EQ(Visitor(endpoint()).ask("POST", "/-/reload", "Content-Length: 0\r\n").result_int(), 401U);
    EXPECT_EQ(reloads, 0);
    Visitor visitor(endpoint());
    const Response head = visitor.ask("HEAD", "/metrics");
    EXPECT_EQ(head.result_int(), 401U);
    EXPECT_EQ(head.body(), "");
    EXPECT_EQ(visitor.ask("GET", "/", basic("alice", "secret")).result_int(), 200U)
        << "the connection is still in step";
    EXPECT_EQ(visitor.ask("GET", "/").result_int(), 401U) << "each request says who it is";
    EXPECT_EQ(
        visitor.ask("POST", "/-/reload", basic("alice", "secret") + "Content-Length: 0\r\n").result_int(),
        200U);
    EXPECT_EQ(reloads, 1);
}

TEST_F(WebAccessTest, AnotherSitesPageReloadsNothingWithTheBrowsersPassword) {
    user("alice", "secret");
    options.lifecycle = true;
    start();
    EXPECT_EQ(Visitor(endpoint())
                  .ask("POST", "/-/reload",
                       basic("alice", "secret") + "Content-Length: 0\r\nSec-Fetch-Site: cross-site\r\n")
                  .result_int(),
              403U);
    EXPECT_EQ(reloads, 0);
}

TEST_F(WebAccessTest, EventsAreForUsersToo) {
    user("alice", "secret");
    start();
    Visitor visitor(endpoint());
    visitor.request("GET", "/events", basic("alice", "secret"));
    std::string text;
    asio::read_until(visitor.socket(), asio::dynamic_buffer(text), "retry: 3000\n\n");
    EXPECT_TRUE(text.starts_with("HTTP/1.1 200 OK\r\n")) << text;
}

TEST_F(WebAccessTest, ARightPasswordIsCheckedOnceAndAWrongOneEachTime) {
    user("alice", "secret");
    user("bob", "other");
    start();
    for (int i = 0; i < 5; ++i) EXPECT_EQ(status(basic("alice", "secret")), 200U);
    EXPECT_EQ(checks(), 1U);
    EXPECT_EQ(status(basic("alice", "wrong")), 401U);
    EXPECT_EQ(status(basic("alice", "wrong")), 401U);
    EXPECT_EQ(checks(), 3U);
    EXPECT_EQ(status(basic("bob", "secret")), 401U) << "what opens for one does not for another";
    EXPECT_EQ(status(basic("alice", "secret")), 200U);
    EXPECT_EQ(checks(), 4U) << "a wrong one does not make the right one forgotten";
}

TEST_F(WebAccessTest, AnUnknownUserCostsWhatAKnownOneDoes) {
    user("alice", "secret");
    start();
    EXPECT_EQ(status(basic("mallory", "secret")), 401U);
    EXPECT_EQ(status(basic("mallory", "secret")), 401U)
        << "not even with the password of the one it is held against";
    EXPECT_EQ(hashes_checked(), (std::vector<std::string>{"hash of secret", "hash of secret"}));
    EXPECT_EQ(status(basic("alice", "secret")), 200U);
    EXPECT_EQ(status(basic("mallory", "secret")), 401U);
    EXPECT_EQ(checks(), 4U);
}

TEST_F(WebAccessTest, AReloadChangesUsersForConnectionsThatStand) {
    user("alice", "secret");
    user("bob", "other");
    start();
    Visitor visitor(endpoint());
    const auto as = [&](const std::string& name, const std::string& password) {
        return visitor.ask("GET", "/metrics", basic(name, password)).result_int();
    };
    EXPECT_EQ(as("alice", "secret"), 200U);
    EXPECT_EQ(as("bob", "other"), 200U);
    EXPECT_EQ(checks(), 2U);
    WebAccess access;
    access.users = {{"alice", config::Secret("hash of new")}, {"bob", config::Secret("hash of other")}};
    server->adopt(access);
    EXPECT_EQ(as("alice", "secret"), 401U);
    EXPECT_EQ(as("alice", "new"), 200U);
    EXPECT_EQ(checks(), 4U);
    EXPECT_EQ(as("bob", "other"), 200U);
    EXPECT_EQ(checks(), 4U) << "with the same hash he is still known";
    access.users.erase("bob");
    server->adopt(access);
    EXPECT_EQ(as("bob", "other"), 401U);
    server->adopt({});
    EXPECT_EQ(visitor.ask("GET", "/metrics").result_int(), 200U) << "without users everybody is let in";
}

TEST_F(WebAccessTest, AReloadWhileAPasswordIsCheckedCounts) {
    user("alice", "secret");
    start();
    hold();
    Visitor visitor(endpoint());
    visitor.request("GET", "/metrics", basic("alice", "secret"));
    while (checks() == 0) std::this_thread::yield();
    WebAccess access;
    access.users = {{"alice", config::Secret("hash of new")}};
    server->adopt(access);
    // This answer shows that the change has been taken.
    EXPECT_EQ(get("/-/healthy").result_int(), 200U);
    let_go();
    EXPECT_EQ(visitor.receive().result_int(), 401U) << "her old password is no longer one";
}

TEST_F(WebAccessTest, MorePasswordsThanCanBeCheckedAreTurnedAwayAtOnce) {
    user("alice", "secret");
    user("bob", "other");
    options.max_connections = 64;
    start();
    EXPECT_EQ(status(basic("bob", "other")), 200U);
    hold();
    // One is checked, sixteen wait.
    asio::io_context io;
    std::list<tcp::socket> sockets;
    std::list<std::array<char, 12>> answers;
    std::vector<std::string> said;
    for (int i = 0; i < 18; ++i) {
        auto& socket = sockets.emplace_back(io);
        auto& answer = answers.emplace_back();
        socket.connect(endpoint());
        const std::string request =
            "GET /-/ HTTP/1.1\r\nConnection: close\r\n" + basic("alice", "secret") + "\r\n";
        asio::write(socket, asio::buffer(request));
        asio::async_read(socket, asio::buffer(answer),
                         [&](const boost::system::error_code& error, std::size_t) {
                             EXPECT_FALSE(error);
                             said.emplace_back(answer.data(), answer.size());
                         });
    }
    io.run_one();
    while (said.empty()) io.run_one();
    EXPECT_EQ(said, std::vector<std::string>{"HTTP/1.1 503"});
    EXPECT_EQ(get("/metrics", basic("eve", "x"))[http::field::retry_after], "1");
    EXPECT_EQ(status(basic("bob", "other")), 200U) << "who is known needs no turn";
    EXPECT_EQ(status(""), 401U);
    EXPECT_EQ(get("/-/healthy").result_int(), 200U);
    let_go();
    io.run();
    ASSERT_EQ(said.size(), 18U);
    said.erase(said.begin());
    EXPECT_EQ(said, std::vector<std::string>(17, "HTTP/1.1 404")) << "let in, to a page that is not there";
    EXPECT_EQ(checks(), 2U) << "those who wait learn from the first";
}

TEST_F(WebAccessTest, APasswordThatWaitsTooLongIsTurnedAway) {
    user("alice", "secret");
    options.client_limit = 50ms;
    start();
    hold();
    Visitor first(endpoint());
    first.request("GET", "/metrics", basic("alice", "x"));
    while (checks() == 0) std::this_thread::yield();
    EXPECT_EQ(status(basic("alice", "y")), 503U);
    let_go();
    EXPECT_EQ(first.receive().result_int(), 401U);
    EXPECT_EQ(status(basic("alice", "secret")), 200U) << "the next one has its turn";
}

TEST_F(WebAccessTest, StopsWhilePasswordsAreChecked) {
    user("alice", "secret");
    start();
    hold();
    Visitor first(endpoint()), second(endpoint());
    first.request("GET", "/metrics", basic("alice", "x"));
    while (checks() == 0) std::this_thread::yield();
    second.request("GET", "/metrics", basic("alice", "y"));
    // An answer to who came later: that request has been read.
    EXPECT_EQ(get("/-/healthy").result_int(), 200U);
    server->stop();
    EXPECT_EQ(second.receive().result_int(), 503U);
    let_go();
    EXPECT_EQ(first.receive().result_int(), 401U);
    finish();
}

TEST_F(WebAccessTest, WhoMayReadTheStateDirectoryIsLetIn) {
    user("alice", "secret");
    options.access.local_key = config::Secret("0123456789abcdef");
    start();
    EXPECT_EQ(status("Authorization: " + local_authorization(options.access.local_key) + "\r\n"), 200U);
    EXPECT_EQ(status("Authorization: Bearer 0123456789abcdee\r\n"), 401U);
    EXPECT_EQ(status("Authorization: Bearer 0123456789abcde\r\n"), 401U);
    EXPECT_EQ(checks(), 0U);
}

TEST_F(WebAccessTest, WrongLoginsAreToldOnceAMinuteWithoutNames) {
    user("alice", "secret");
    start();
    EXPECT_EQ(status(""), 401U);
    EXPECT_EQ(status(basic("alice", "hunter2")), 401U);
    EXPECT_EQ(status(basic("hunter2", "x")), 401U);
    finish();
    EXPECT_EQ(refused, std::vector<std::string>{"a wrong user or password for the pages from 127.0.0.1 x1"});
}

TEST_F(WebAccessTest, ServesOverTls) {
    options.access.tls = tls_of(certificate);
    size = 3'000'000;  // more than fits into one record, and into the sockets' buffers
    user("alice", "secret");
    start();
    const auto visitor = secured(authority);
    EXPECT_EQ(visitor->ask("GET", "/metrics").result_int(), 401U);
    const Response metrics = visitor->ask("GET", "/metrics", basic("alice", "secret"));
    EXPECT_EQ(metrics.result_int(), 200U);
    EXPECT_GT(metrics.body().size(), size);
    EXPECT_EQ(visitor->ask("HEAD", "/-/healthy").result_int(), 200U);
    visitor->send("GET /-/healthy HTTP/1.1\r\n\r\nGET /-/ready HTTP/1.1\r\nConnection: close\r\n\r\n");
    EXPECT_EQ(visitor->receive().body(), "livecanary is healthy\n");
    EXPECT_EQ(visitor->receive().body(), "livecanary is ready\n");
    std::array<char, 1> sink;
    boost::system::error_code error;
    visitor->secured().read_some(asio::buffer(sink), error);
    EXPECT_EQ(error, asio::error::eof) << "it takes leave: " << error.message();
}

TEST_F(WebAccessTest, EventsOverTls) {
    options.access.tls = tls_of(certificate);
    options.news_every = 1ms;
    start();
    const auto visitor = secured(authority);
    visitor->request("GET", "/events");
    std::string text;
    asio::read_until(visitor->secured(), asio::dynamic_buffer(text), "event: changed\ndata: 7\n\n");
    EXPECT_TRUE(text.starts_with("HTTP/1.1 200 OK\r\n")) << text;
}

TEST_F(WebAccessTest, TooLargeARequestIsToldSoOverTlsToo) {
    options.access.tls = tls_of(certificate);
    start();
    const auto visitor = secured(authority);
    visitor->send("GET / HTTP/1.1\r\nX: " + std::string(9000, 'x'));
    EXPECT_EQ(visitor->receive().result_int(), 431U);
}

TEST_F(WebAccessTest, SpeaksNoOldTls) {
    options.access.tls = tls_of(certificate);
    start();
    for (const auto& [version, taken] : {std::pair{TLS1_VERSION, false}, std::pair{TLS1_1_VERSION, false},
                                         std::pair{TLS1_2_VERSION, true}, std::pair{TLS1_3_VERSION, true}}) {
        Visitor visitor(endpoint());
        SSL_CTX* context = visitor.tls().native_handle();
        SSL_CTX_set_security_level(context, 0);  // else OpenSSL would not even offer the old ones
        SSL_CTX_set_min_proto_version(context, version);
        SSL_CTX_set_max_proto_version(context, version);
        if (taken) {
            visitor.shake_hands();
            EXPECT_EQ(visitor.ask("GET", "/-/healthy").result_int(), 200U);
        } else {
            EXPECT_THROW(visitor.shake_hands(), boost::system::system_error);
        }
    }
    EXPECT_EQ(secured(authority)->ask("GET", "/-/healthy").result_int(), 200U);
}

TEST_F(WebAccessTest, PlainHttpIsToldWhereTlsIs) {
    options.access.tls = tls_of(certificate);
    start();
    Visitor visitor(endpoint());
    const Response response = visitor.ask("GET", "/metrics");
    EXPECT_EQ(response.result_int(), 400U);
    EXPECT_EQ(response.body(), "this port speaks HTTPS: ask it with https:// instead\n");
    EXPECT_EQ(visitor.read_out(), "") << "and it hangs up";
    // Anything else is hung up on, and told to the log.
    Visitor wild(endpoint());
    wild.send("\x16\x03\x01 nonsense and more of it, so that it makes a record of sorts");
    wild.read_out();
    finish();
    ASSERT_EQ(refused.size(), 1U);
    EXPECT_TRUE(refused[0].starts_with("a TLS handshake failed: http request")) << refused[0];
}

TEST_F(WebAccessTest, ASlowHandshakeDelaysNobodyAndEnds) {
    options.access.tls = tls_of(certificate);
    options.client_limit = 200ms;
    start();
    Visitor silent(endpoint()), slow(endpoint());
    slow.send("\x16\x03\x01");
    EXPECT_EQ(secured(authority)->ask("GET", "/-/healthy").result_int(), 200U);
    EXPECT_EQ(silent.read_out(), "");
    EXPECT_EQ(slow.read_out(), "");
}

TEST_F(WebAccessTest, StopsWhileHandshakesAreUnderWay) {
    options.access.tls = tls_of(certificate);
    start();
    Visitor silent(endpoint());
    // The connection before it has been accepted then.
    const auto idle = secured(authority);
    finish();
    EXPECT_EQ(silent.read_out(), "");
}

TEST_F(WebAccessTest, ARenewedCertificateIsForNewConnections) {
    options.access.tls = tls_of(certificate);
    start();
    const auto before = secured(authority);
    const Certificate renewed({.common_name = "renewed", .names = {"IP:127.0.0.1"}}, &authority);
    server->adopt({.tls = tls_of(renewed)});
    EXPECT_EQ(before->ask("GET", "/-/healthy").result_int(), 200U);
    const auto name_of = [](Visitor& visitor) {
        const std::unique_ptr<X509, decltype(&X509_free)> shown(
            SSL_get1_peer_certificate(visitor.secured().native_handle()), X509_free);
        std::array<char, 64> name{};
        X509_NAME_get_text_by_NID(X509_get_subject_name(shown.get()), NID_commonName, name.data(),
                                  static_cast<int>(name.size()));
        return std::string(name.data());
    };
    EXPECT_EQ(name_of(*before), "pages");
    EXPECT_EQ(name_of(*secured(authority)), "renewed");
}

TEST_F(WebAccessTest, TlsCanBeSwitchedOnAndOff) {
    start();
    Visitor plain(endpoint());
    EXPECT_EQ(plain.ask("GET", "/-/healthy").result_int(), 200U);
    server->adopt({.tls = tls_of(certificate)});
    EXPECT_EQ(plain.ask("GET", "/-/healthy").result_int(), 200U) << "what stands goes on";
    EXPECT_EQ(get("/-/healthy").result_int(), 400U);
    EXPECT_EQ(secured(authority)->ask("GET", "/-/healthy").result_int(), 200U);
    server->adopt({});
    EXPECT_EQ(get("/-/healthy").result_int(), 200U);
}

TEST_F(WebAccessTest, ClientsNeedACertificateIfAnAuthorityForThemIsSet) {
    const Certificate clients({.common_name = "clients", .authority = true});
    const Certificate client({.common_name = "prometheus"}, &clients);
    const Certificate stranger({.common_name = "stranger"});
    options.access.tls = tls_of(certificate, clients.certificate());
    start();
    const auto comes_in_with = [&](const Certificate* shown) {
        Visitor visitor(endpoint());
        if (shown != nullptr) {
            visitor.tls().use_certificate_chain(asio::buffer(shown->certificate()));
            visitor.tls().use_private_key(asio::buffer(shown->key()), asio::ssl::context::pem);
        }
        // With TLS 1.3 the client hears of it only when it reads.
        try {
            visitor.shake_hands();
            return visitor.ask("GET", "/-/healthy").result_int() == 200U;
        } catch (const boost::system::system_error&) {
            return false;
        }
    };
    EXPECT_FALSE(comes_in_with(nullptr));
    EXPECT_FALSE(comes_in_with(&stranger));
    EXPECT_TRUE(comes_in_with(&client));
}

}  // namespace
}  // namespace livecanary::daemon
