#pragma once
// A value that must not be seen: it prints as ***, and only `reveal()` gives it out.
#include <ostream>
#include <string>
#include <utility>

namespace livecanary::config {

/// A key or password. Wiped when it goes or is assigned over.
class Secret {
public:
    Secret() = default;
    explicit Secret(std::string value) : value_(std::move(value)) {}
    Secret(const Secret&) = default;
    Secret(Secret&& other) noexcept;
    Secret& operator=(const Secret& other);
    Secret& operator=(Secret&& other) noexcept;
    ~Secret();

    /// The value itself: for signing and logging in only.
    const std::string& reveal() const noexcept { return value_; }
    bool empty() const noexcept { return value_.empty(); }

    friend bool operator==(const Secret& a, const Secret& b) noexcept { return a.value_ == b.value_; }
    friend std::ostream& operator<<(std::ostream& out, const Secret&) { return out << "***"; }

private:
    void wipe() noexcept;

    std::string value_;
};

}  // namespace livecanary::config
