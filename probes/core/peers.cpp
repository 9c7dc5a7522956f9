#include "probes/core/peers.hpp"

#include "probes/core/error_table.hpp"

namespace livecanary {

error_code make_error_code(PeerError error) noexcept {
    using enum PeerError;
    static const ErrorTable<PeerError> table{
        "livecanary.peers",
        {{no_such_probe, "there is no such probe any more", Reason::local},
         {not_understood, "that probe does not know this", Reason::local},
         {nothing_yet, "that probe has nothing to give yet", Reason::local}}};
    return {static_cast<int>(error), table};
}

std::shared_ptr<Turn> Peers::turn_at(const std::string& backend) {
    if (auto known = turns_[backend].lock()) return known;
    // Those of probes that a reload has removed.
    std::erase_if(turns_, [](const auto& one) { return one.second.expired(); });
    auto turn = std::make_shared<Turn>();
    turns_[backend] = turn;
    return turn;
}

}  // namespace livecanary
