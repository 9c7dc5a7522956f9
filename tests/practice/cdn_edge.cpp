#include "tests/practice/cdn_edge.hpp"

#include <algorithm>
#include <fstream>
#include <mutex>
#include <ostream>
#include <stdexcept>
#include <thread>
#include <utility>

#include <unistd.h>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>

#include "probes/protocol/percent_encoding.hpp"
#include "tests/practice/cos.hpp"

namespace livecanary::practice {

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using asio::ip::tcp;
using Request = http::request<http::empty_body>;
using Response = http::response<http::empty_body>;

constexpr auto no_throw = asio::as_tuple(asio::use_awaitable);

/// What the CDN makes itself (Tencent Cloud document 228/59531, read 2026-11-21). nginx wants each by name.
constexpr int statuses[] = {400, 404, 413, 414, 418, 423, 499, 500, 502, 503, 504, 509, 514, 524,
                            531, 532, 533, 537, 538, 539, 540, 562, 563, 564, 566, 567, 614};

std::string_view as_text(beast::string_view text) { return {text.data(), text.size()}; }

/// The query but for the parameters that carry the signature.
std::string without(std::string_view query, const std::vector<std::string>& names) {
    std::string kept;
    while (!query.empty()) {
        const auto one = query.substr(0, query.find('&'));
        if (std::ranges::find(names, one.substr(0, one.find('='))) == names.end())
            kept += (kept.empty() ? "" : "&") + std::string(one);
        query.remove_prefix(std::min(one.size() + 1, query.size()));
    }
    return kept;
}

/// What is asked of the cache and of the origin.
std::string target_of(const std::string& uri, const protocol::CdnAuth& how) {
    const auto mark = std::min(uri.find('?'), uri.size());
    std::string path = uri.substr(0, mark);
    std::string query = mark < uri.size() ? uri.substr(mark + 1) : "";
    if (how.type == protocol::CdnAuthType::b || how.type == protocol::CdnAuthType::c) {
        const auto second = path.find('/', 1);
        const auto third = second == std::string::npos ? second : path.find('/', second + 1);
        if (third != std::string::npos) path = path.substr(third);
    } else {
        query = without(query, how.type == protocol::CdnAuthType::d
                                   ? std::vector{how.sign_parameter, how.time_parameter}
                                   : std::vector{how.sign_parameter});
    }
    return query.empty() ? path : path + "?" + query;
}

}  // namespace

/// Decides on each request of the edges: who may have what, and what goes wrong. nginx's auth_request.
class CdnEdge::Check {
public:
    explicit Check(const Options& options)
        : domain_(options.domain),
          origin_key_(options.origin_key),
          auth_(options.auth),
          acceptor_(io_, {asio::ip::make_address("127.0.0.1"), 0}),
          port_(acceptor_.local_endpoint().port()) {
        asio::co_spawn(io_, accept(), asio::detached);
        thread_ = std::thread([this] { io_.run(); });
    }
    ~Check() {
        io_.stop();
        thread_.join();
    }
    Check(const Check&) = delete;
    Check& operator=(const Check&) = delete;

    std::uint16_t port() const noexcept { return port_; }
    void behave(CdnFaults faults) {
        const std::scoped_lock lock(mutex_);
        faults_ = std::move(faults);
    }
    void authenticate(std::optional<CdnUrlAuth> auth) {
        const std::scoped_lock lock(mutex_);
        auth_ = std::move(auth);
    }

private:
    asio::awaitable<void> accept() {
        for (;;) {
            auto [error, socket] = co_await acceptor_.async_accept(no_throw);
            if (error) co_return;
            asio::co_spawn(io_, session(std::move(socket)), asio::detached);
        }
    }
    asio::awaitable<void> session(tcp::socket socket) {
        beast::flat_buffer buffer;
        Request request;
        auto [unread, size] = co_await http::async_read(socket, buffer, request, no_throw);
        if (unread) co_return;
        Response response = ruled(request);
        response.keep_alive(false);
        response.prepare_payload();
        co_await http::async_write(socket, response, no_throw);
    }

    static Response refusal(int status) {
        Response response(http::status::forbidden, 11);
        response.set("X-Edge-Status", std::to_string(status));
        return response;
    }

    Response ruled(const Request& request) {
        const std::scoped_lock lock(mutex_);
        const std::string edge(as_text(request["X-Edge"]));
        const bool tls = request["X-Edge-Scheme"] == "https";
        const std::string uri(as_text(request["X-Original-URI"]));
        const auto agent = as_text(request[http::field::user_agent]);
        std::string host(as_text(request[http::field::host]));
        host = host.substr(0, host.find(':'));
        if (faults_.status != 0 && (faults_.at.empty() || faults_.at.contains(edge)))
            return refusal(faults_.status);
        if (host != domain_) return refusal(404);
        if (faults_.only_http && tls) return refusal(514);
        if (faults_.only_with_referer && request[http::field::referer].empty()) return refusal(403);
        if (!faults_.forbidden_agent.empty() && agent.starts_with(faults_.forbidden_agent))
            return refusal(403);
        if (auth_ && !may(uri)) return refusal(403);
        Response response(http::status::ok, 11);
        const std::string target = auth_ ? target_of(uri, auth_->how) : uri;
        response.set("X-Edge-Target", target);
        // COS has parameters of its own and knows no others: those of a viewer do not reach it.
        response.set("X-Edge-Path", target.substr(0, target.find('?')));
        response.set("X-Edge-No-Cache", faults_.no_cache ? "1" : "");
        if (origin_key_ && !faults_.pull_unsigned)
            response.set("X-Edge-Authorization", pull_signature(target));
        return response;
    }

    bool may(const std::string& uri) const {
        const auto check =
            protocol::check_cdn_url("http://" + domain_ + uri, auth_->how, auth_->key, auth_->backup_key);
        if (!check || check->type != auth_->how.type || !check->match.exact() || !check->signed_at)
            return false;
        return std::chrono::system_clock::now() <= *check->signed_at + auth_->validity;
    }

    std::string pull_signature(const std::string& target) const {
        const auto start = std::chrono::duration_cast<std::chrono::seconds>(
                               std::chrono::system_clock::now().time_since_epoch())
                               .count() -
                           60;
        constexpr int life = 600;
        CosSignature signature{.method = "get"};
        signature.path =
            protocol::percent_decode(std::string_view(target).substr(0, target.find('?'))).value_or("");
        signature.key_time = std::to_string(start) + ";" + std::to_string(start + life);
        signature.sign_time = signature.key_time;
        return "q-sign-algorithm=sha1&q-ak=" + origin_key_->secret_id +
               "&q-sign-time=" + signature.sign_time + "&q-key-time=" + signature.key_time +
               "&q-header-list=&q-url-param-list=&q-signature=" +
               signature.signature(origin_key_->secret_key);
    }

    std::string domain_;
    std::optional<CdnOriginKey> origin_key_;
    std::mutex mutex_;  ///< guards auth_ and faults_
    std::optional<CdnUrlAuth> auth_;
    CdnFaults faults_{};
    asio::io_context io_{};
    tcp::acceptor acceptor_;
    std::uint16_t port_;
    std::thread thread_{};
};

bool CdnEdge::installed() { return !find_program("nginx").empty(); }

CdnEdge::CdnEdge(Options options) : options_(std::move(options)) {
    if (options_.directory.empty())
        directory_ = temporary_.emplace("livecanary-cdn").path();
    else
        directory_ = std::filesystem::absolute(options_.directory);
    check_ = std::make_unique<Check>(options_);
    // The ports we are given free may be taken before nginx binds them, or be taken at another address.
    constexpr int tries = 5;
    for (int attempt = 1; !process_; ++attempt) {
        port_ = options_.port != 0 ? options_.port : free_port(options_.addresses.at(0));
        if (options_.pem) tls_port_ = free_port(options_.addresses.at(0));
        write_configuration();
        try {
            start();
        } catch (const std::runtime_error&) {
            if (attempt == tries) throw;
        }
    }
}

CdnEdge::~CdnEdge() {
    if (process_) process_->stop();
}

void CdnEdge::write_edge(std::ostream& out, const std::string& address) const {
    out << "    server {\n        listen " << address << ":" << port_ << ";\n";
    if (tls_port_ != 0) {
        const auto own = options_.pem_of.find(address);
        const Pem& pem = own != options_.pem_of.end() ? own->second : *options_.pem;
        out << "        listen " << address << ":" << tls_port_ << " ssl;\n        ssl_certificate "
            << pem.certificate.string() << ";\n        ssl_certificate_key " << pem.private_key.string()
            << ";\n";
    }
    out << "        location = /edge_check {\n            internal;\n            proxy_pass http://127.0.0.1:"
        << check_->port()
        << "/;\n            proxy_method GET;\n            proxy_pass_request_body off;\n"
           "            proxy_set_header Content-Length \"\";\n"
           "            proxy_set_header Host $http_host;\n"
           "            proxy_set_header X-Original-URI $request_uri;\n"
           "            proxy_set_header X-Edge-Scheme $scheme;\n"
           "            proxy_set_header X-Edge "
        << address << ";\n        }\n";
    out << "        location / {\n            auth_request /edge_check;\n";
    for (const char* name : {"status", "target", "path", "authorization", "no_cache"})
        out << "            auth_request_set $edge_" << name << " $upstream_http_x_edge_" << name << ";\n";
    out << "            error_page 403 = @refused;\n            proxy_pass http://127.0.0.1:"
        << options_.origin_port
        << "$edge_path;\n            proxy_http_version 1.1;\n            proxy_cache edge_" << address
        << ";\n            proxy_cache_key $edge_target;\n            proxy_cache_valid 200 10m;\n"
           "            proxy_cache_valid 404 10s;\n            proxy_cache_bypass $edge_no_cache;\n"
           "            proxy_no_cache $edge_no_cache;\n            proxy_connect_timeout 1s;\n"
           "            proxy_read_timeout 1s;\n            proxy_set_header Connection \"\";\n"
           "            proxy_set_header Authorization $edge_authorization;\n            proxy_set_header "
           "Host "
        << options_.origin_host
        << ";\n            add_header X-Cache-Lookup $edge_lookup always;\n"
           "            add_header X-NWS-LOG-UUID $request_id always;\n"
           "            add_header X-Daa-Tunnel hop_count=1 always;\n        }\n";
    // auth_request passes no refusal on but 401 and 403, and a status must stand there as a number.
    out << "        location @refused {\n            add_header X-NWS-LOG-UUID $request_id always;\n"
           "            add_header X-Cache-Lookup \"Cache Miss\" always;\n"
           "            if ($edge_status = 302) { return 302 http://notice.example.com/stopped; }\n";
    for (const int status : statuses)
        out << "            if ($edge_status = " << status << ") { return " << status << "; }\n";
    out << "            return 403;\n        }\n    }\n";
}

void CdnEdge::write_configuration() const {
    const std::string dir = directory_.string();
    std::filesystem::create_directories(directory_);
    std::ofstream out(directory_ / "nginx.conf");
    // The workers of a master that root started would run as nobody, who may not write here.
    if (::geteuid() == 0) out << "user root;\n";
    out << "daemon off;\nworker_processes 1;\nerror_log " << dir << "/error.log notice;\npid " << dir
        << "/nginx.pid;\nlock_file " << dir << "/nginx.lock;\nevents { worker_connections 1024; }\n"
        << "http {\n    access_log off;\n    server_tokens off;\n";
    for (const char* kind : {"client_body", "proxy", "fastcgi", "uwsgi", "scgi"})
        out << "    " << kind << "_temp_path " << dir << "/" << kind << ";\n";
    for (const auto& address : options_.addresses)
        out << "    proxy_cache_path " << cache_of(address).string() << " keys_zone=edge_" << address
            << ":1m max_size=256m inactive=10m use_temp_path=off;\n";
    // As Tencent Cloud CDN words it.
    out << "    map $upstream_cache_status $edge_lookup {\n        default \"Cache Miss\";\n"
           "        HIT \"Cache Hit\";\n        REVALIDATED \"Cache Refresh Hit\";\n    }\n";
    for (const auto& address : options_.addresses) write_edge(out, address);
    out << "}\n";
    if (!out.flush()) throw std::runtime_error("cannot write " + dir + "/nginx.conf");
}

void CdnEdge::start() {
    const std::string dir = directory_.string();
    // SIGTERM on our death: the master ends its workers, which SIGKILL would leave behind.
    process_.emplace(
        Command{.argv = {"nginx", "-p", dir, "-c", dir + "/nginx.conf", "-e", dir + "/error.log"},
                .output = directory_ / "output.log",
                .death_signal = SIGTERM});
    const bool up = std::ranges::all_of(options_.addresses, [&](const std::string& address) {
        return wait_until_listening(address, port_, *process_) &&
               (tls_port_ == 0 || wait_until_listening(address, tls_port_, *process_));
    });
    if (up) return;
    process_.reset();
    throw std::runtime_error("nginx did not start: " + read_file(directory_ / "output.log") + log());
}

void CdnEdge::behave(CdnFaults faults) { check_->behave(std::move(faults)); }

void CdnEdge::authenticate(std::optional<CdnUrlAuth> auth) { check_->authenticate(std::move(auth)); }

void CdnEdge::damage(const std::string& address) {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(cache_of(address))) {
        if (!entry.is_regular_file()) continue;
        std::fstream file(entry.path(), std::ios::in | std::ios::out | std::ios::binary);
        file.seekg(-1, std::ios::end);
        const int last = file.get();
        file.seekp(-1, std::ios::end);
        file.put(static_cast<char>(last ^ 1));
    }
}

void CdnEdge::purge() {
    for (const auto& address : options_.addresses)
        for (const auto& entry : std::filesystem::directory_iterator(cache_of(address)))
            std::filesystem::remove_all(entry.path());
}

std::string CdnEdge::log() const { return read_file(directory_ / "error.log"); }

}  // namespace livecanary::practice
