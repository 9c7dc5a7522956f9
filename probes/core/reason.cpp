#include "probes/core/reason.hpp"

namespace livecanary {
namespace {

class ReasonCategory final : public boost::system::error_category {
public:
    const char* name() const noexcept override { return "livecanary.reason"; }
    std::string message(int value) const override {
        return std::string(to_string(static_cast<Reason>(value)));
    }
};

}  // namespace

std::string_view to_string(Reason reason) noexcept {
    // clang-format off
    switch (reason) {
        case Reason::timeout: return "timeout";
        case Reason::refused: return "refused";
        case Reason::unreachable: return "unreachable";
        case Reason::closed: return "closed";
        case Reason::reset: return "reset";
        case Reason::nxdomain: return "nxdomain";
        case Reason::servfail: return "servfail";
        case Reason::certificate: return "certificate";
        case Reason::protocol: return "protocol";
        case Reason::rejected: return "rejected";
        case Reason::mismatch: return "mismatch";
        case Reason::stalled: return "stalled";
        case Reason::not_found: return "not_found";
        case Reason::forbidden: return "forbidden";
        case Reason::no_media: return "no_media";
        case Reason::stale: return "stale";
        case Reason::undecodable: return "undecodable";
        case Reason::local: return "local";
    }
    // clang-format on
    return "local";
}

const boost::system::error_category& reason_category() noexcept {
    static const ReasonCategory category;
    return category;
}

}  // namespace livecanary
