#pragma once
// A file descriptor that is closed with its owner.
#include <unistd.h>

namespace livecanary::config {

class Descriptor {
public:
    /// Takes it over; a negative one is none.
    explicit Descriptor(int number) : number_(number) {}
    ~Descriptor() {
        if (number_ >= 0) ::close(number_);
    }
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    int get() const noexcept { return number_; }

private:
    int number_;
};

}  // namespace livecanary::config
