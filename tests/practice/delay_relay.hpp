#pragma once
// A TCP relay that makes what a server says come late by a known time: the truth a measured latency is held
// against.
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace livecanary::practice {

/// Forwards each connection to a server on 127.0.0.1, on its own thread: what the client says at once, what
/// the server says `delay` after it was read, end of stream included, in order. Its own
/// wake-up comes on top, far below a frame on a machine that is not overloaded.
class DelayRelay {
public:
    struct Options {
        std::uint16_t server_port = 0;
        std::chrono::milliseconds delay{0};
        /// Bytes kept back for one connection, above 0. While so many wait, the relay does not read, and what
        /// the server says meanwhile comes later than `delay`.
        std::size_t most_held = 64U << 20U;
    };

    /// Listens on a free port of 127.0.0.1. Throws boost::system::system_error if it cannot.
    explicit DelayRelay(const Options& options);
    DelayRelay(const DelayRelay&) = delete;
    DelayRelay& operator=(const DelayRelay&) = delete;
    /// Closes what is still connected.
    ~DelayRelay();

    std::uint16_t port() const noexcept;
    /// Of what is read from now on. What waits already keeps its time, and nothing overtakes it.
    void set_delay(std::chrono::milliseconds delay);

private:
    class Relay;
    std::unique_ptr<Relay> relay_;
};

}  // namespace livecanary::practice
