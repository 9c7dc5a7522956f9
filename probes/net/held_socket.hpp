#pragma once
// A connection that nothing is expected of any more but its end.
#include <utility>

namespace livecanary::net {

/// A socket that a Connection let go of. It is never read: it only tells whether the peer has said something
/// since, or has ended the connection, or is gone (keep-alive probes after 30 s of silence, 60 s in all;
/// tcp(7)).
class HeldSocket {
public:
    /// Takes `descriptor`; -1 holds nothing.
    explicit HeldSocket(int descriptor) noexcept;
    HeldSocket(HeldSocket&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
    HeldSocket& operator=(HeldSocket&& other) noexcept {
        std::swap(descriptor_, other.descriptor_);
        return *this;
    }
    ~HeldSocket();

    /// The peer is there, and has said nothing. Does not wait.
    bool is_silent() const noexcept;

private:
    int descriptor_;
};

}  // namespace livecanary::net
