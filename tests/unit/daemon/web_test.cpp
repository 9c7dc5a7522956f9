#include "daemon/web.hpp"

#include <gtest/gtest.h>
#include <zlib.h>

#include <array>
#include <atomic>
#include <future>
#include <list>
#include <memory>
#include <optional>
#include <system_error>
#include <thread>

#include <boost/asio/buffer.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>

#include "daemon/incident_book.hpp"
#include "daemon/probe_now.hpp"
#include "daemon/probe_page.hpp"

namespace livecanary::daemon {
namespace {

using namespace std::chrono_literals;
namespace asio = boost::asio;
namespace http = boost::beast::http;
using asio::ip::tcp;
using Families = std::vector<prometheus::MetricFamily>;
using Response = http::response<http::string_body>;

std::string inflated(const std::string& packed) {
    z_stream stream{};
    EXPECT_EQ(inflateInit2(&stream, 15 + 16), Z_OK);
    std::string in = packed;
    std::string out(16 * 1024 * 1024, '\0');
    stream.next_in = reinterpret_cast<Bytef*>(in.data());
    stream.avail_in = static_cast<uInt>(in.size());
    stream.next_out = reinterpret_cast<Bytef*>(out.data());
    stream.avail_out = static_cast<uInt>(out.size());
    EXPECT_EQ(inflate(&stream, Z_FINISH), Z_STREAM_END);
    out.resize(stream.total_out);
    inflateEnd(&stream);
    return out;
}

/// One connection of a client that waits as long as it takes.
class Client {
public:
    explicit Client(const tcp::endpoint& server) { socket_.connect(server); }

    void send(std::string_view bytes) { asio::write(socket_, asio::buffer(bytes.data(), bytes.size())); }
    Response receive(bool head = false) {
        http::response_parser<http::string_body> parser;
        parser.skip(head);
        parser.body_limit(boost::none);
        http::read(socket_, buffer_, parser);
        return parser.release();
    }
    Response ask(const std::string& method, const std::string& path, const std::string& fields = {}) {
        send(method + " " + path + " HTTP/1.1\r\nHost: localhost\r\n" + fields + "\r\n");
        return receive(method == "HEAD");
    }
    /// What comes up to and with `end`.
    std::string read_until(const std::string& end) {
        std::string text;
        const auto size = asio::read_until(socket_, asio::dynamic_buffer(text), end);
        text.resize(size);
        return text;
    }
    /// Reads until the server hangs up; how many bytes came.
    std::size_t read_out() {
        std::array<char, 65536> sink;
        boost::system::error_code error;
        std::size_t count = 0;
        while (!error) count += socket_.read_some(asio::buffer(sink), error);
        return count;
    }

private:
    asio::io_context io_{};
    tcp::socket socket_{io_};
    boost::beast::flat_buffer buffer_{};
};

asio::awaitable<Families> families_of(std::size_t series) {
    Families families{{"test_series", "Series.", prometheus::MetricType::Gauge, {}}};
    for (std::size_t i = 0; i < series; ++i) {
        prometheus::ClientMetric metric;
        metric.label = {{"number", std::to_string(i)}};
        families[0].metric.push_back(metric);
    }
    co_return families;
}

constexpr std::size_t more_than_sockets_buffer = 64 * 1024 * 1024;  // bytes

asio::awaitable<Families> huge_family() {
    Families families{
        {"test_series", std::string(more_than_sockets_buffer, 'x'), prometheus::MetricType::Gauge, {}}};
    co_return families;
}

asio::awaitable<std::string> said(std::string words) { co_return words; }

asio::awaitable<std::string> throws() {
    throw std::runtime_error("the secret thing");
    co_return "";
}

Incident an_incident(std::string id) {
    Incident incident{.id = std::move(id), .about = "push-main", .opened = WallTime(999'999'000s)};
    incident.probes.push_back({.probe = "push-main", .kind = "rtmp_push", .confirmed = true, .result = "{}"});
    incident.changes.push_back(
        {.probe = "push-main", .reason = "refused", .cause = "push_wrong_hotlink_key"});
    return incident;
}

asio::awaitable<std::shared_ptr<const ProbeNow>> ran_now(ProbeNow answer) {
    co_return std::make_shared<const ProbeNow>(std::move(answer));
}

/// A server whose probe loop runs on a thread, once `start` was called, until `finish`.
class WebTest : public testing::Test {
protected:
    WebTest() {
        options.listen = {"127.0.0.1:0"};
        options.patience = 30s;
        options.wall = [] { return WallTime(1'000'000'000s); };
        backend.metrics = [] { return families_of(100); };
        backend.status = [] { return Status{.location = "here", .version = "1.2.3"}; };
        backend.results = [](const std::string& name) {
            return said(name == "none" ? "[]" : R"([{"probe":")" + name + R"("}])");
        };
        backend.details = [](const std::string& name) {
            auto details = std::make_shared<ProbeDetails>();
            details->status.name = name;
            details->runs.push_back({.run_id = "1234"});
            return name == "none" ? std::shared_ptr<const ProbeDetails>() : details;
        };
        backend.run_now = [this](const std::string& name) {
            ran += name + ";";
            return name != "none";
        };
        backend.incidents = [this](const IncidentWish& wish) {
            wished = wish;
            return std::make_shared<const IncidentList>(
                IncidentList{.incidents = {an_incident("a1")}, .count = 1});
        };
        backend.incident = [](const std::string& id) {
            return id == "none" ? std::shared_ptr<const IncidentView>()
                                : std::make_shared<const IncidentView>(IncidentView{
                                      .incident = an_incident(id), .beside = {an_incident("b2")}});
        };
        backend.own_status = [] { return std::string(R"({"version":"1.2.3"})"); };
        backend.probe_now = [](const std::string& name) { return ran_now({.known = name != "none"}); };
        backend.revision = [this] { return revision.load(); };
        backend.unhealthy = [] { return std::string(); };
        backend.not_ready = [] { return std::string(); };
        backend.reload = [] { return said(""); };
        backend.trouble = [this](const std::string& what) { trouble = what; };
    }
    ~WebTest() override { finish(); }

    void start() {
        start_server();
        start_loop();
    }
    void start_server() { server.emplace(options, loop.get_executor(), backend); }
    void start_loop() {
        loop.restart();
        thread = std::thread([this] {
            const auto work = asio::make_work_guard(loop);
            loop.run();
        });
    }
    void finish() {
        loop.stop();
        if (thread.joinable()) thread.join();
        server.reset();
    }
    Client client() const { return Client(server->endpoints().front()); }
    Response get(const std::string& path, const std::string& fields = {}) const {
        return client().ask("GET", path, fields);
    }

    asio::io_context loop{};
    std::thread thread{};
    std::string trouble{};  // of the probe loop
    std::string ran{};      // likewise
    IncidentWish wished{};  // likewise
    std::atomic<std::uint64_t> revision{1};
    WebOptions options{};
    WebBackend backend{};
    std::optional<WebServer> server{};
};

TEST_F(WebTest, MetricsInTextFormat) {
    start();
    const Response response = get("/metrics");
    EXPECT_EQ(response.result_int(), 200U);
    EXPECT_EQ(response[http::field::content_type], "text/plain; version=0.0.4; charset=utf-8");
    EXPECT_EQ(response[http::field::cache_control], "no-store");
    EXPECT_EQ(response.count(http::field::content_encoding), 0U);
    EXPECT_NE(response.body().find("# TYPE test_series gauge\ntest_series{number=\"0\"} 0\n"),
              std::string::npos);
    EXPECT_NE(response.body().find("\nprocess_open_fds "), std::string::npos);
}

TEST_F(WebTest, MetricsInGzipForWhoTakesIt) {
    start();
    const Response response = get("/metrics", "Accept-Encoding: deflate, gzip;q=0.5\r\n");
    EXPECT_EQ(response[http::field::content_encoding], "gzip");
    EXPECT_EQ(response[http::field::vary], "Accept-Encoding");
    const std::string plain = inflated(response.body());
    EXPECT_NE(plain.find("test_series{number=\"99\"} 0\n"), std::string::npos);
    EXPECT_LT(response.body().size(), plain.size() / 2);
}

TEST_F(WebTest, HeadHasTheHeaderOfGetAndNoBody) {
    start();
    Client one = client();
    const Response get = one.ask("GET", "/-/healthy");
    const Response head = one.ask("HEAD", "/-/healthy");
    EXPECT_EQ(head.body(), "");
    EXPECT_EQ(head[http::field::content_length], get[http::field::content_length]);
    EXPECT_EQ(head[http::field::content_type], get[http::field::content_type]);
    EXPECT_EQ(get.body(), "livecanary is healthy\n");
    // The connection is still in step.
    EXPECT_EQ(one.ask("GET", "/-/ready").body(), "livecanary is ready\n");
}

TEST_F(WebTest, LastResultsInTheEnvelopeOfPrometheus) {
    start();
    const Response all = get("/api/v1/probes");
    EXPECT_EQ(all.result_int(), 200U);
    EXPECT_EQ(all[http::field::content_type], "application/json");
    EXPECT_EQ(all.body(), "{\"status\":\"success\",\"data\":{\"probes\":[{\"probe\":\"\"}]}}\n");
    EXPECT_NE(get("/api/v1/probes/push-main").body().find(R"([{"probe":"push-main"}])"), std::string::npos);
    const Response none = get("/api/v1/probes/none");
    EXPECT_EQ(none.result_int(), 404U);
    EXPECT_TRUE(none.body().starts_with(R"({"status":"error","errorType":"not_found")")) << none.body();
    EXPECT_EQ(client().ask("POST", "/api/v1/probes").result_int(), 405U);
    EXPECT_EQ(get("/api/v1/probesque").result_int(), 404U);
}

TEST_F(WebTest, PageOfAProbeAndItsRuns) {
    start();
    const Response page = get("/probes/push-main");
    EXPECT_EQ(page.result_int(), 200U);
    EXPECT_EQ(page[http::field::content_type], "text/html; charset=utf-8");
    EXPECT_NE(page.body().find("<h1>push-main "), std::string::npos);
    EXPECT_EQ(page.body().find("<form"), std::string::npos) << "nothing can be run from here";
    EXPECT_EQ(get("/probes/none").result_int(), 404U);
    EXPECT_EQ(get("/probes/").result_int(), 404U);
    const Response runs = get("/api/v1/probes/push-main/runs");
    EXPECT_TRUE(runs.body().starts_with(R"({"status":"success","data":{"runs":[{"run_id":"1234")"))
        << runs.body();
    EXPECT_EQ(get("/api/v1/probes/none/runs").result_int(), 404U);
}

TEST_F(WebTest, RunsAProbeNowIfThatIsAllowed) {
    start();
    const auto run = [&](const char* name, const std::string& fields = {}) {
        return client().ask("POST", std::string("/api/v1/probes/") + name + "/run",
                            "Content-Length: 0\r\n" + fields);
    };
    EXPECT_EQ(run("push-main").result_int(), 403U);
    EXPECT_EQ(ran, "");
    finish();
    options.lifecycle = true;
    start();
    const Response response = run("push-main", "Sec-Fetch-Site: same-origin\r\n");
    EXPECT_EQ(response.result_int(), 303U);
    EXPECT_EQ(response[http::field::location], "../../../../probes/push-main");
    EXPECT_EQ(run("none").result_int(), 404U);
    EXPECT_EQ(run("push-main", "Sec-Fetch-Site: cross-site\r\n").result_int(), 403U);
    EXPECT_EQ(get("/api/v1/probes/push-main/run").result_int(), 405U);
    EXPECT_NE(get("/probes/push-main").body().find("<form method=\"post\""), std::string::npos);
    finish();
    EXPECT_EQ(ran, "push-main;none;");
}

TEST_F(WebTest, IncidentsInTheEnvelopeOfPrometheus) {
    start();
    const Response all = get("/api/v1/incidents?probe=push-main&state=open&page=3&limit=7");
    EXPECT_EQ(all.result_int(), 200U);
    EXPECT_EQ(all[http::field::content_type], "application/json");
    EXPECT_TRUE(
        all.body().starts_with(R"({"status":"success","data":{"incidents":[{"id":"a1","state":"open")"))
        << all.body();
    EXPECT_TRUE(all.body().ends_with(R"("count":1,"page":3}})"
                                     "\n"))
        << all.body();
    const Response one = get("/api/v1/incidents/x7");
    EXPECT_TRUE(one.body().starts_with(R"({"status":"success","data":{"id":"x7",)")) << one.body();
    EXPECT_NE(one.body().find(R"("at_the_same_time":[{"id":"b2")"), std::string::npos);
    const Response none = get("/api/v1/incidents/none");
    EXPECT_EQ(none.result_int(), 404U);
    EXPECT_EQ(none.body(),
              "{\"status\":\"error\",\"errorType\":\"not_found\",\"error\":\"there is no such incident\"}\n");
    const Response wild = get("/api/v1/incidents?state=wild");
    EXPECT_EQ(wild.result_int(), 400U);
    EXPECT_EQ(
        wild.body(),
        "{\"status\":\"error\",\"errorType\":\"bad_data\",\"error\":\"state has to be open or closed\"}\n");
    EXPECT_EQ(client().ask("POST", "/api/v1/incidents").result_int(), 405U);
    EXPECT_EQ(get("/api/v1/incidentsque").result_int(), 404U);
    finish();
    EXPECT_EQ(wished.probe, "push-main");
    EXPECT_EQ(wished.open, true);
    EXPECT_EQ(wished.page, 3U);
    EXPECT_EQ(wished.on_a_page, 7U);
}

TEST_F(WebTest, PagesOfIncidents) {
    start();
    const Response all = get("/incidents?state=wild&page=2");
    EXPECT_EQ(all.result_int(), 200U) << "what a page does not understand it leaves out";
    EXPECT_EQ(all[http::field::content_type], "text/html; charset=utf-8");
    EXPECT_NE(all.body().find("href=\"incidents/a1\""), std::string::npos);
    const Response one = get("/incidents/x7");
    EXPECT_EQ(one.result_int(), 200U);
    EXPECT_NE(one.body().find("push-main: push_wrong_hotlink_key"), std::string::npos);
    EXPECT_EQ(get("/incidents/none").result_int(), 404U);
    EXPECT_EQ(get("/incidents/").result_int(), 404U);
}

TEST_F(WebTest, SaysWhatTheDaemonItselfIsAt) {
    start();
    const Response response = get("/api/v1/status");
    EXPECT_EQ(response.body(), "{\"status\":\"success\",\"data\":{\"version\":\"1.2.3\"}}\n");
    EXPECT_EQ(response[http::field::content_type], "application/json");
    EXPECT_EQ(client().ask("POST", "/api/v1/status").result_int(), 405U);
}

TEST_F(WebTest, RunsAConfiguredProbeInTermsOfBlackboxExporter) {
    start();
    const Response response = get("/probe?probe=push-main");
    EXPECT_EQ(response.result_int(), 200U);
    EXPECT_EQ(response[http::field::content_type], "text/plain; version=0.0.4; charset=utf-8");
    EXPECT_NE(response.body().find("\nprobe_success 1\n"), std::string::npos) << response.body();
    EXPECT_EQ(get("/probe?probe=none").result_int(), 404U);
    // What blackbox_exporter would take as a target is none.
    EXPECT_EQ(get("/probe?target=example.com").result_int(), 400U);
    EXPECT_EQ(get("/probe").result_int(), 400U);
    for (const char* method : {"HEAD", "POST"}) {
        const Response refused = client().ask(method, "/probe?probe=push-main");
        EXPECT_EQ(refused.result_int(), 405U);
        EXPECT_EQ(refused[http::field::allow], "GET");
    }
    for (const char* seconds : {"soon", "0", "-1", "nan", "1s"})
        EXPECT_EQ(get("/probe?probe=push-main",
                      std::string("X-Prometheus-Scrape-Timeout-Seconds: ") + seconds + "\r\n")
                      .result_int(),
                  400U)
            << seconds;
}

/// Waits for `until` on the probe loop.
asio::awaitable<std::shared_ptr<const ProbeNow>> runs_until(std::shared_ptr<asio::steady_timer> until) {
    boost::system::error_code ended;
    co_await until->async_wait(asio::redirect_error(asio::use_awaitable, ended));
    co_return std::make_shared<const ProbeNow>();
}

TEST_F(WebTest, ARunThatTakesLongerThanTheScrapeIsNoFailure) {
    auto until = std::make_shared<asio::steady_timer>(loop, asio::steady_timer::time_point::max());
    backend.probe_now = [until](const std::string&) { return runs_until(until); };
    start();
    const Response response = get("/probe?probe=push-main", "X-Prometheus-Scrape-Timeout-Seconds: 0.02\r\n");
    EXPECT_EQ(response.result_int(), 503U);
    EXPECT_EQ(response.body(),
              "the run goes on, but has no result within 10 ms: give the scrape a longer timeout than the "
              "probe\n");
    // Those that wait do not take all connections.
    std::list<Client> waiting;
    for (int i = 0; i < 16; ++i)
        waiting.emplace_back(server->endpoints().front())
            .send("GET /probe?probe=p HTTP/1.1\r\nHost: a\r\n\r\n");
    while (get("/probe?probe=p", "X-Prometheus-Scrape-Timeout-Seconds: 0.02\r\n").body() !=
           "too many wait for runs already\n") {
    }
    EXPECT_EQ(get("/-/ready").result_int(), 200U);
    asio::post(loop, [until] { until->cancel(); });
    for (auto& one : waiting) EXPECT_EQ(one.receive().result_int(), 200U);
}

TEST_F(WebTest, PagesAreToldOfNewResults) {
    options.news_every = 10ms;
    options.max_streams = 1;
    start();
    Client page = client();
    page.send("GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n");
    std::string told = page.read_until("data: 1\n\n");
    EXPECT_NE(told.find("Content-Type: text/event-stream"), std::string::npos);
    EXPECT_NE(told.find("event: changed\n"), std::string::npos);
    EXPECT_EQ(get("/events").result_int(), 503U) << "one page more than are told";
    revision = 7;
    EXPECT_EQ(page.read_until("data: 7\n\n"), "event: changed\ndata: 7\n\n");
    server->stop();
    EXPECT_EQ(page.read_out(), 0U) << "ended, though it has no end of its own";
}

TEST_F(WebTest, PipelinedRequestsAreAnsweredInOrder) {
    start();
    Client one = client();
    one.send("GET /-/ready HTTP/1.1\r\nHost: a\r\n\r\nGET /nothing HTTP/1.1\r\nHost: a\r\n\r\n");
    EXPECT_EQ(one.receive().result_int(), 200U);
    EXPECT_EQ(one.receive().result_int(), 404U);
}

TEST_F(WebTest, ClosesWhenTheClientAsksForIt) {
    start();
    Client one = client();
    EXPECT_FALSE(one.ask("GET", "/-/ready", "Connection: close\r\n").keep_alive());
    EXPECT_EQ(one.read_out(), 0U);
}

TEST_F(WebTest, EveryAnswerForbidsWhatPagesOfOursDoNotNeed) {
    start();
    for (const char* path : {"/", "/metrics", "/-/healthy", "/nothing"}) {
        const Response response = get(path);
        EXPECT_EQ(response["Content-Security-Policy"],
                  "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; base-uri "
                  "'none'; form-action 'self'; frame-ancestors 'none'");
        EXPECT_EQ(response["X-Content-Type-Options"], "nosniff");
        EXPECT_EQ(response["Referrer-Policy"], "no-referrer");
        EXPECT_EQ(response[http::field::date], "Sun, 09 Sep 2001 01:46:40 GMT");
    }
}

TEST_F(WebTest, OtherMethodsAreToldWhatIsAllowed) {
    start();
    for (const char* path : {"/", "/metrics", "/style.css", "/-/healthy", "/-/ready"})
        for (const char* method : {"POST", "DELETE", "OPTIONS", "BREW"}) {
            const Response response = client().ask(method, path);
            EXPECT_EQ(response.result_int(), 405U) << method << path;
            EXPECT_EQ(response[http::field::allow], "GET, HEAD");
        }
    const Response reload = get("/-/reload");
    EXPECT_EQ(reload.result_int(), 405U);
    EXPECT_EQ(reload[http::field::allow], "POST");
}

TEST_F(WebTest, WhatIsNotThereIsNotRepeated) {
    start();
    for (const char* path :
         {"/<script>alert(1)</script>", "/metrics/", "/../metrics", "//", "*", "http://localhost/metrics"}) {
        const Response response = get(path);
        EXPECT_EQ(response.result_int(), 404U) << path;
        EXPECT_EQ(response.body(), "there is no such page\n");
    }
    EXPECT_EQ(get("/metrics?x=1").result_int(), 200U);
}

TEST_F(WebTest, RequestsAreBounded) {
    start();
    Client header = client();
    header.send("GET / HTTP/1.1\r\nX: " + std::string(9000, 'x') + "\r\n\r\n");
    EXPECT_EQ(header.receive().result_int(), 431U);
    EXPECT_EQ(header.read_out(), 0U);

    Client body = client();
    body.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 70000\r\n\r\n");
    EXPECT_EQ(body.receive().result_int(), 413U);
    EXPECT_EQ(body.read_out(), 0U);
    // Refused, but not reset: a client that sends all before it reads gets to see why.
    for (int i = 0; i < 7; ++i) EXPECT_NO_THROW(body.send(std::string(10'000, 'x')));

    Client garbage = client();
    garbage.send("\x16\x03\x01 not HTTP at all\r\n\r\n");
    const Response response = garbage.receive();
    EXPECT_EQ(response.result_int(), 400U);
    EXPECT_EQ(response.body(), "this is not HTTP/1.1\n");
    EXPECT_FALSE(response.keep_alive());
}

TEST_F(WebTest, AClientThatSendsTooSlowlyIsHungUpOn) {
    options.client_limit = 50ms;
    start();
    Client slow = client();
    slow.send("GET /metrics HT");
    EXPECT_EQ(slow.read_out(), 0U);
    Client silent = client();
    EXPECT_EQ(silent.read_out(), 0U);
}

TEST_F(WebTest, AClientThatReadsTooSlowlyIsHungUpOn) {
    options.client_limit = 200ms;
    options.max_connections = 1;
    backend.metrics = huge_family;
    start();
    Client slow = client();
    slow.send("GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n");
    // There is room for one: this one is served when the first is no more.
    EXPECT_EQ(get("/-/ready").result_int(), 200U);
    EXPECT_LT(slow.read_out(), more_than_sockets_buffer);
}

TEST_F(WebTest, HealthAndReadinessSayWhyNot) {
    backend.unhealthy = [] { return std::string("the scheduler has not moved for 12 s"); };
    backend.not_ready = [] { return std::string("the first configuration is being read"); };
    start();
    const Response healthy = get("/-/healthy");
    EXPECT_EQ(healthy.result_int(), 503U);
    EXPECT_EQ(healthy.body(), "the scheduler has not moved for 12 s\n");
    EXPECT_EQ(healthy[http::field::content_type], "text/plain; charset=utf-8");
    const Response ready = get("/-/ready");
    EXPECT_EQ(ready.result_int(), 503U);
    EXPECT_EQ(ready.body(), "the first configuration is being read\n");
}

TEST_F(WebTest, ReloadIsOffUnlessEnabled) {
    bool reloaded = false;
    backend.reload = [&] {
        reloaded = true;
        return said("");
    };
    start();
    const Response response = client().ask("POST", "/-/reload");
    EXPECT_EQ(response.result_int(), 403U);
    EXPECT_EQ(
        response.body(),
        "reloading over HTTP is off: start livecanary with --web.enable-lifecycle, or send it SIGHUP\n");
    finish();
    EXPECT_FALSE(reloaded);
}

TEST_F(WebTest, ReloadSaysWhatIsWrong) {
    options.lifecycle = true;
    std::string mistakes;
    backend.reload = [&] { return said(mistakes); };
    start();
    const Response fine = client().ask("POST", "/-/reload", "Content-Length: 0\r\n");
    EXPECT_EQ(fine.result_int(), 200U);
    EXPECT_EQ(fine.body(), "the configuration was reloaded\n");
    finish();
    mistakes = "a.toml:1:1: probe.hots: unknown key";
    start();
    const Response wrong = client().ask("POST", "/-/reload", "Content-Length: 0\r\n");
    EXPECT_EQ(wrong.result_int(), 400U);
    EXPECT_EQ(wrong.body(), "a.toml:1:1: probe.hots: unknown key\n");
}

TEST_F(WebTest, AnExceptionIsForTheLogOnly) {
    options.lifecycle = true;
    backend.reload = throws;
    start();
    const Response response = client().ask("POST", "/-/reload", "Content-Length: 0\r\n");
    EXPECT_EQ(response.result_int(), 500U);
    EXPECT_EQ(response.body(), "a bug of ours; the log says more\n");
    finish();
    EXPECT_EQ(trouble, "the secret thing");
}

TEST_F(WebTest, WhatProbesSayIsNoMarkup) {
    backend.status = [] {
        const std::string evil = "\"><script>alert('1')</script>&";
        ProbeStatus probe{.name = evil, .kind = evil, .target = evil, .severity = evil, .outcome = "failed"};
        probe.phase = probe.reason = probe.cause = probe.sentence = evil;
        return Status{.location = evil, .version = evil, .probes = {probe}};
    };
    start();
    const Response response = get("/");
    EXPECT_EQ(response[http::field::content_type], "text/html; charset=utf-8");
    // Our own script is the only one.
    EXPECT_EQ(response.body().find("<script"), response.body().rfind("<script"));
    EXPECT_EQ(response.body().find("alert('1')"), std::string::npos);
    EXPECT_EQ(response.body().find("<script>"), std::string::npos);
    EXPECT_NE(response.body().find("&quot;&gt;&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&amp;"),
              std::string::npos);
}

TEST_F(WebTest, StillAnswersWhileTheProbeLoopStands) {
    options.patience = 50ms;
    options.lifecycle = true;
    start_server();
    for (const char* path : {"/", "/metrics", "/-/healthy", "/-/ready", "/incidents", "/incidents/a1"}) {
        const Response response = get(path);
        EXPECT_EQ(response.result_int(), 503U) << path;
        EXPECT_NE(response.body().find("the probe loop did not answer within 50 ms"), std::string::npos)
            << path;
    }
    EXPECT_EQ(client().ask("POST", "/-/reload", "Content-Length: 0\r\n").result_int(), 503U);
    EXPECT_EQ(get("/style.css").result_int(), 200U);
    // The late answers find nobody, and do no harm to those that come in time.
    loop.poll();
    start_loop();
    while (get("/-/healthy").result_int() != 200U) {
    }
}

TEST_F(WebTest, NothingIsAskedOnceTheServerIsGone) {
    options.patience = 20ms;
    int asked = 0;
    backend.status = [&] {
        ++asked;
        return Status{};
    };
    start_server();
    EXPECT_EQ(get("/").result_int(), 503U);
    server.reset();
    loop.poll();
    EXPECT_EQ(asked, 0);
}

/// Waits for `until` on the probe loop.
asio::awaitable<std::string> held_up(std::shared_ptr<asio::steady_timer> until) {
    boost::system::error_code ended;
    co_await until->async_wait(asio::redirect_error(asio::use_awaitable, ended));
    co_return "";
}

TEST_F(WebTest, AnAnswerThatOutlivesTheServerIsDropped) {
    options.lifecycle = true;
    options.patience = std::chrono::hours(1);
    std::promise<void> asked;
    auto until = std::make_shared<asio::steady_timer>(loop, asio::steady_timer::time_point::max());
    backend.reload = [&] {
        asked.set_value();
        return held_up(until);
    };
    start();
    Client waiting = client();
    waiting.send("POST /-/reload HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
    asked.get_future().wait();
    std::promise<void> gone;
    // As the daemon does it: the server goes on the probe loop's own thread.
    asio::post(loop, [&] {
        server.reset();
        until->cancel();
        asio::post(loop, [&] { gone.set_value(); });
    });
    gone.get_future().wait();
    const Response response = waiting.receive();
    EXPECT_EQ(response.result_int(), 503U);
    EXPECT_EQ(response.body(), "livecanary is shutting down\n");
    EXPECT_FALSE(response.keep_alive());
}

TEST_F(WebTest, IdleConnectionsDoNotHoldUpTheEnd) {
    options.patience = std::chrono::hours(1);
    options.client_limit = std::chrono::hours(1);
    start();
    Client idle = client();
    EXPECT_EQ(idle.ask("GET", "/-/ready").result_int(), 200U);
    Client half = client();
    half.send("GET /");
    finish();  // would take an hour
    EXPECT_EQ(idle.read_out(), 0U);
}

TEST_F(WebTest, RunsTheBackendOnTheProbeLoop) {
    std::thread::id ran_on;
    backend.status = [&] {
        ran_on = std::this_thread::get_id();
        return Status{};
    };
    start();
    const auto expected = thread.get_id();
    EXPECT_EQ(get("/").result_int(), 200U);
    finish();
    EXPECT_EQ(ran_on, expected);
}

TEST_F(WebTest, AnAddressThatCannotBeBoundIsNamed) {
    const auto complaint = [&](const std::string& listen) -> std::string {
        options.listen = {listen};
        try {
            const WebServer refused(options, loop.get_executor(), backend);
        } catch (const std::system_error& error) {
            return error.what();
        }
        return "";
    };
    for (const char* listen : {"127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1", "localhost:80",
                               "[::1:80", "::1:80", "[127.0.0.1]:80", ":http"})
        EXPECT_EQ(complaint(listen), "cannot listen on " + std::string(listen) + ": Invalid argument");
    options.listen = {"127.0.0.1:0"};
    start();
    const std::string taken = "127.0.0.1:" + std::to_string(server->endpoints().front().port());
    EXPECT_EQ(complaint(taken), "cannot listen on " + taken + ": Address already in use");
}

TEST_F(WebTest, ListensOnEveryAddressGiven) {
    options.listen = {"127.0.0.1:0", "127.0.0.2:0"};
    start();
    ASSERT_EQ(server->endpoints().size(), 2U);
    EXPECT_EQ(server->endpoints()[1].address().to_string(), "127.0.0.2");
    for (const auto& endpoint : server->endpoints())
        EXPECT_EQ(Client(endpoint).ask("GET", "/-/ready").result_int(), 200U);
}

}  // namespace
}  // namespace livecanary::daemon
