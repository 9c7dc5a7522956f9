#include "tests/practice/cos_server.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <condition_variable>
#include <cstdio>
#include <mutex>
#include <set>
#include <stdexcept>
#include <system_error>
#include <thread>
#include <utility>

#include <openssl/evp.h>
#include <unistd.h>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>

namespace livecanary::practice {

namespace {

namespace asio = boost::asio;
namespace ssl = asio::ssl;
namespace beast = boost::beast;
namespace http = beast::http;
using asio::ip::tcp;
using boost::system::error_code;
using Parser = http::request_parser<http::buffer_body>;

constexpr auto no_throw = asio::as_tuple(asio::use_awaitable);
constexpr std::size_t piece = std::size_t{64} << 10U;  ///< bytes read or written at once

/// A file without a name, gone with the object.
class File : public CosContent {
public:
    File() : file_(std::tmpfile()) { check(file_ != nullptr); }
    File(const File&) = delete;
    File& operator=(const File&) = delete;
    ~File() override {
        if (file_ != nullptr) std::fclose(file_);
    }
    void append(std::string_view bytes) {
        check(std::fwrite(bytes.data(), 1, bytes.size(), file_) == bytes.size());
        size_ += bytes.size();
    }
    void end() { check(std::fflush(file_) == 0); }
    std::uint64_t size() const override { return size_; }
    std::string read(std::uint64_t offset, std::size_t size) const override {
        std::string bytes(size, '\0');
        const ssize_t got = ::pread(::fileno(file_), bytes.data(), size, static_cast<off_t>(offset));
        check(got >= 0);
        bytes.resize(static_cast<std::size_t>(got));
        return bytes;
    }

private:
    static void check(bool fine) {
        if (!fine) throw std::system_error(errno, std::generic_category(), "an object's file");
    }
    std::FILE* file_;
    std::uint64_t size_ = 0;
};

/// Keeps a body as it comes in, and its digests.
class Receiver {
public:
    Receiver() : md5_(EVP_MD_CTX_new()) {
        if (md5_ == nullptr || EVP_DigestInit_ex(md5_, EVP_md5(), nullptr) != 1)
            throw std::runtime_error("OpenSSL offers no MD5");
    }
    Receiver(const Receiver&) = delete;
    Receiver& operator=(const Receiver&) = delete;
    ~Receiver() { EVP_MD_CTX_free(md5_); }

    void take(std::string_view bytes) {
        EVP_DigestUpdate(md5_, bytes.data(), bytes.size());
        crc64_ = cos_crc64(crc64_, bytes);
        constexpr std::size_t most_in_memory = std::size_t{64} << 20U;
        if (!file_ && memory_.size() + bytes.size() > most_in_memory) {
            file_ = std::make_shared<File>();
            file_->append(memory_);
            std::string().swap(memory_);
        }
        if (file_)
            file_->append(bytes);
        else
            memory_ += bytes;
    }
    CosUpload done() {
        std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
        unsigned size = 0;
        EVP_DigestFinal_ex(md5_, digest.data(), &size);
        CosUpload upload{.md5 = std::string(reinterpret_cast<const char*>(digest.data()), size),
                         .crc64 = crc64_};
        if (file_) file_->end();
        if (file_)
            upload.content = file_;
        else
            upload.content = cos_content(std::move(memory_));
        return upload;
    }

private:
    EVP_MD_CTX* md5_;
    std::uint64_t crc64_ = 0;
    std::string memory_;
    std::shared_ptr<File> file_;
};

CosRequest taken(const Parser::value_type& message) {
    CosRequest request{.method = std::string(message.method_string()),
                       .target = std::string(message.target())};
    for (const auto& field : message)
        request.headers.emplace_back(std::string(field.name_string()), std::string(field.value()));
    return request;
}

std::string head_of(const CosAnswer& answer, bool keep_alive) {
    const auto reason = http::obsolete_reason(http::int_to_status(static_cast<unsigned>(answer.status)));
    std::string head = "HTTP/1.1 " + std::to_string(answer.status) + " " + std::string(reason) + "\r\n";
    for (const auto& [name, value] : answer.headers) head.append(name).append(": ").append(value) += "\r\n";
    if (answer.status != 204) head += "Content-Length: " + std::to_string(answer.length) + "\r\n";
    return head + "Connection: " + (keep_alive ? "keep-alive" : "close") + "\r\n\r\n";
}

}  // namespace

class CosServer::Server {
public:
    explicit Server(Options options)
        : now_(std::move(options.now)),
          tls_context_(ssl::context::tls_server),
          plain_(io_, {asio::ip::make_address(options.address), options.port}),
          endpoint_(plain_.local_endpoint()),
          tls_(io_) {
        if (!options.certificate.empty()) {
            tls_context_.use_certificate_chain_file(options.certificate.string());
            tls_context_.use_private_key_file(options.private_key.string(), ssl::context::pem);
            tls_ = tcp::acceptor(io_, {endpoint_.address(), options.tls_port});
            tls_endpoint_ = tls_.local_endpoint();
        }
        listen();
        thread_ = std::thread([this] { io_.run(); });
    }
    ~Server() {
        io_.stop();
        thread_.join();
    }

    std::uint16_t port() const noexcept { return endpoint_.port(); }
    std::uint16_t tls_port() const noexcept { return tls_endpoint_.port(); }

    /// Runs `use(store)` while nobody else does.
    template <class Use>
    auto with_store(const Use& use) const {
        const std::scoped_lock lock(mutex_);
        return use(store_);
    }

    void vanish() {
        on_thread([this] {
            plain_.close();
            tls_.close();
            for (tcp::socket* socket : sockets_) socket->close();
        });
    }
    void reappear() {
        on_thread([this] {
            if (plain_.is_open()) return;
            plain_ = tcp::acceptor(io_, endpoint_);
            if (tls_endpoint_.port() != 0) tls_ = tcp::acceptor(io_, tls_endpoint_);
            listen();
        });
    }
    bool wait_until(const std::function<bool(const CosSeen&)>& enough,
                    std::chrono::milliseconds timeout) const {
        std::unique_lock lock(mutex_);
        return called_.wait_for(lock, timeout, [&] { return enough(store_.seen); });
    }

private:
    template <class Work>
    void on_thread(Work work) {
        asio::dispatch(io_, asio::use_future(std::move(work))).get();
    }

    void listen() {
        asio::co_spawn(io_, accept(plain_, false), asio::detached);
        if (tls_.is_open()) asio::co_spawn(io_, accept(tls_, true), asio::detached);
    }

    asio::awaitable<void> accept(tcp::acceptor& acceptor, bool tls) {
        for (;;) {
            auto [error, socket] = co_await acceptor.async_accept(no_throw);
            if (error) co_return;
            if (tls)
                asio::co_spawn(io_, tls_session(std::move(socket)), asio::detached);
            else
                asio::co_spawn(io_, plain_session(std::move(socket)), asio::detached);
        }
    }

    asio::awaitable<void> plain_session(tcp::socket socket) {
        sockets_.insert(&socket);
        co_await serve(socket, socket);
        sockets_.erase(&socket);
    }

    asio::awaitable<void> tls_session(tcp::socket socket) {
        ssl::stream<tcp::socket> stream(std::move(socket), tls_context_);
        sockets_.insert(&stream.next_layer());
        auto [failed] = co_await stream.async_handshake(ssl::stream_base::server, no_throw);
        if (!failed) co_await serve(stream, stream.next_layer());
        sockets_.erase(&stream.next_layer());
    }

    /// One request after another until the client, a fault or an error ends the connection.
    template <class Stream>
    asio::awaitable<void> serve(Stream& stream, tcp::socket& socket) {
        beast::flat_buffer buffer;
        bool again = true;
        while (again) {
            Parser parser;
            parser.body_limit(boost::none);  // judged by Content-Length
            auto [unread, size] = co_await http::async_read_header(stream, buffer, parser, no_throw);
            if (unread) co_return;
            again = co_await answer(stream, socket, buffer, parser);
        }
    }

    /// False if the connection is to be closed.
    template <class Stream>
    asio::awaitable<bool> answer(Stream& stream, tcp::socket& socket, beast::flat_buffer& buffer,
                                 Parser& parser) {
        const CosRequest request = taken(parser.get());
        CosRuling ruling = with_store([&](Cos& store) { return store.judge(request, now_()); });
        const CosFault fault = ruling.fault;
        if (fault.drop == CosDrop::after_header) {
            with_store([&](Cos& store) { store.remember(ruling.seen); });
            called_.notify_all();
            co_return false;
        }
        const bool expects_continue = beast::iequals(parser.get()[http::field::expect], "100-continue");
        const bool too_large = ruling.error && ruling.error->code == "EntityTooLarge";
        // Whoever waits for leave to send a body that is refused gets none, and nobody else could tell its
        // bytes from the next request.
        const bool unwanted = (expects_continue && ruling.error) || too_large;
        bool keep_alive = parser.keep_alive() && !unwanted;
        CosUpload upload;
        if (!unwanted) {
            if (expects_continue) {
                const std::string go_on = "HTTP/1.1 100 Continue\r\n\r\n";
                co_await asio::async_write(stream, asio::buffer(go_on), no_throw);
            }
            const bool keep = (ruling.seen.call == CosCall::put_object || ruling.v4) && !ruling.error;
            const bool whole = co_await receive(stream, buffer, parser, keep, fault.corrupt, upload);
            if (!whole && !ruling.error) ruling.error = cos_error("IncompleteBody");
            keep_alive = keep_alive && whole;
        }
        if (fault.delay.count() > 0) {
            asio::steady_timer delay(io_, fault.delay);
            co_await delay.async_wait(no_throw);
        }
        const CosAnswer answer = with_store([&](Cos& store) {
            return store.carry_out(request, std::move(ruling), std::move(upload), now_());
        });
        called_.notify_all();
        if (fault.drop == CosDrop::after_body) co_return false;
        if (fault.hang) {
            // Until the caller gives up.
            co_await socket.async_wait(tcp::socket::wait_read, no_throw);
            co_return false;
        }
        const bool sent = co_await send(stream, answer, fault, keep_alive);
        co_return sent&& keep_alive;
    }

    /// Reads the body, and into `upload` what is to be kept. False if it was cut short.
    template <class Stream>
    asio::awaitable<bool> receive(Stream& stream, beast::flat_buffer& buffer, Parser& parser, bool keep,
                                  bool corrupt, CosUpload& upload) {
        Receiver receiver;
        std::string bytes(piece, '\0');
        auto& body = parser.get().body();
        while (!parser.is_done()) {
            body.data = bytes.data();
            body.size = bytes.size();
            auto [failed, size] = co_await http::async_read(stream, buffer, parser, no_throw);
            if (failed && failed != http::error::need_buffer) co_return false;
            const std::size_t got = bytes.size() - body.size;
            if (corrupt && got > 0) bytes[got / 2] = static_cast<char>(bytes[got / 2] ^ 1);
            if (got > 0) corrupt = false;
            if (keep) receiver.take(std::string_view(bytes).substr(0, got));
        }
        if (keep) upload = receiver.done();
        co_return true;
    }

    /// False if the answer did not get out whole.
    template <class Stream>
    asio::awaitable<bool> send(Stream& stream, const CosAnswer& answer, const CosFault& fault,
                               bool keep_alive) {
        std::string head = head_of(answer, keep_alive);
        const bool cut = fault.drop == CosDrop::amid_answer;
        if (cut) head.resize(head.size() / 2);
        if (!answer.content) head += cut ? "" : answer.body;
        auto [failed, size] = co_await asio::async_write(stream, asio::buffer(head), no_throw);
        if (failed || cut) co_return false;
        if (!answer.content) co_return true;
        const std::uint64_t last = std::min(answer.length, fault.truncate.value_or(answer.length));
        for (std::uint64_t at = 0; at < last;) {
            std::string bytes =
                answer.content->read(answer.offset + at, std::min<std::uint64_t>(last - at, piece));
            if (bytes.empty()) co_return false;
            const std::uint64_t middle = answer.length / 2;
            if (fault.corrupt && middle >= at && middle - at < bytes.size())
                bytes[middle - at] = static_cast<char>(bytes[middle - at] ^ 1);
            at += bytes.size();
            auto [broken, sent] = co_await asio::async_write(stream, asio::buffer(bytes), no_throw);
            if (broken) co_return false;
        }
        co_return last == answer.length;
    }

    WallClock now_;
    asio::io_context io_;
    asio::executor_work_guard<asio::io_context::executor_type> until_stopped_{io_.get_executor()};
    ssl::context tls_context_;
    tcp::acceptor plain_;
    tcp::endpoint endpoint_;  ///< of it, to come back to
    tcp::acceptor tls_;       ///< open if there is a certificate
    tcp::endpoint tls_endpoint_;
    std::set<tcp::socket*> sockets_;  ///< used on the thread only
    mutable std::mutex mutex_;        ///< guards store_
    mutable std::condition_variable called_;
    mutable Cos store_;
    std::thread thread_;
};

CosServer::CosServer() : CosServer(Options{}) {}
CosServer::CosServer(Options options) : server_(std::make_unique<Server>(std::move(options))) {}
CosServer::~CosServer() = default;

std::uint16_t CosServer::port() const noexcept { return server_->port(); }
std::uint16_t CosServer::tls_port() const noexcept { return server_->tls_port(); }

void CosServer::change(const std::function<void(Cos&)>& change) { server_->with_store(change); }
void CosServer::behave(CosFaults faults) {
    server_->with_store([&](Cos& store) { store.faults = std::move(faults); });
}
CosFaults CosServer::faults() const {
    return server_->with_store([](const Cos& store) { return store.faults; });
}
void CosServer::vanish() { server_->vanish(); }
void CosServer::reappear() { server_->reappear(); }
CosSeen CosServer::seen() const {
    return server_->with_store([](const Cos& store) { return store.seen; });
}
void CosServer::forget() {
    server_->with_store([](Cos& store) { store.seen.calls.clear(); });
}
std::vector<std::string> CosServer::objects() const {
    return server_->with_store([](const Cos& store) {
        std::vector<std::string> names;
        for (const auto& [bucket, settings] : store.buckets)
            for (const auto& [key, object] : settings.objects) names.push_back(bucket + "/" + key);
        return names;
    });
}
std::optional<std::string> CosServer::object(const std::string& bucket, const std::string& key) const {
    const auto content = server_->with_store([&](const Cos& store) -> std::shared_ptr<const CosContent> {
        const auto found = store.buckets.find(bucket);
        if (found == store.buckets.end() || !found->second.objects.contains(key)) return nullptr;
        return found->second.objects.at(key).upload.content;
    });
    if (!content) return std::nullopt;
    return content->read(0, content->size());
}
bool CosServer::wait_until(const std::function<bool(const CosSeen&)>& enough,
                           std::chrono::milliseconds timeout) const {
    return server_->wait_until(enough, timeout);
}

}  // namespace livecanary::practice
