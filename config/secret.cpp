#include "config/secret.hpp"

#include <string.h>

namespace livecanary::config {

Secret::Secret(Secret&& other) noexcept : value_(std::move(other.value_)) { other.wipe(); }

Secret& Secret::operator=(const Secret& other) {
    if (this == &other) return *this;
    wipe();
    value_ = other.value_;
    return *this;
}

Secret& Secret::operator=(Secret&& other) noexcept {
    if (this == &other) return *this;
    wipe();
    value_ = std::move(other.value_);
    other.wipe();
    return *this;
}

Secret::~Secret() { wipe(); }

void Secret::wipe() noexcept {
    // A short string lives inside the object, and a moved-from or shortened one keeps its old bytes: wipe the
    // whole buffer. Growing to the capacity does not allocate. Unlike memset, this is never optimised away.
    value_.resize(value_.capacity());
    explicit_bzero(value_.data(), value_.size());
    value_.clear();
}

}  // namespace livecanary::config
