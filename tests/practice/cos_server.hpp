#pragma once
// The practice object store on a port: answers COS's XML API (v5) over HTTP/1.1 as COS would, and can be told
// to misbehave.
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/practice/cos.hpp"

namespace livecanary::practice {

/// An HTTP server on its own thread. All functions may be called from any thread. It goes by the Host header:
/// `NAME-APPID.cos.REGION.myqcloud.com` (or `.tencentcos.cn`), `…cos.accelerate…`,
/// `service.cos.myqcloud.com`, `cos.REGION.myqcloud.com/NAME-APPID/KEY`, a bucket's custom domain; an address
/// or `localhost` is taken for the last but one, of any region. Objects up to 64 MiB are kept in memory,
/// larger ones in files without a name, none larger than Cos::largest_object. Secrets are neither logged nor
/// given back.
class CosServer {
public:
    using WallClock = std::function<std::chrono::system_clock::time_point()>;
    struct Options {
        std::string address = "127.0.0.1";
        std::uint16_t port = 0;  ///< 0: a free one
        WallClock now = [] {
            return std::chrono::system_clock::now();
        };  ///< what q-sign-time is compared with
        /// PEM files; with them it also listens for TLS, on `tls_port` (0: a free one).
        std::filesystem::path certificate{}, private_key{};
        std::uint16_t tls_port = 0;
    };

    CosServer();
    /// Throws boost::system::system_error if a port cannot be bound or the certificate not be read.
    explicit CosServer(Options options);
    CosServer(const CosServer&) = delete;
    CosServer& operator=(const CosServer&) = delete;
    ~CosServer();

    std::uint16_t port() const noexcept;
    std::uint16_t tls_port() const noexcept;  ///< 0 without a certificate

    /// Calls `change` with the store while nobody else uses it.
    void change(const std::function<void(Cos&)>& change);
    /// From the next request on, also on a connection that is open.
    void behave(CosFaults faults);
    CosFaults faults() const;
    /// Closes the ports and every connection, as an unreachable store does; or opens them again.
    void vanish();
    void reappear();

    CosSeen seen() const;
    void forget();
    /// BUCKET/KEY of all that is kept, in order: what a client has left behind.
    std::vector<std::string> objects() const;
    /// The bytes of one; nothing if it is not there.
    std::optional<std::string> object(const std::string& bucket, const std::string& key) const;
    /// Waits until `enough(seen())`; false if that is not so within `timeout`.
    bool wait_until(const std::function<bool(const CosSeen&)>& enough,
                    std::chrono::milliseconds timeout = std::chrono::seconds(10)) const;

private:
    class Server;
    std::unique_ptr<Server> server_;
};

}  // namespace livecanary::practice
