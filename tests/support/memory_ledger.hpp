#pragma once
// A ledger that forgets with the test, and remembers everything until then.
#include <algorithm>
#include <vector>

#include "probes/core/ledger.hpp"

namespace livecanary::test {

class MemoryLedger final : public Ledger {
public:
    boost::asio::awaitable<error_code> record(Litter litter) override {
        if (!fails) kept.push_back(litter);
        if (!fails) ever.push_back(std::move(litter));
        co_return fails;
    }
    boost::asio::awaitable<error_code> strike(Litter litter) override {
        std::erase_if(kept,
                      [&](const Litter& l) { return l.item == litter.item && l.probe == litter.probe; });
        co_return error_code{};
    }

    error_code fails{};          ///< what record() says
    std::vector<Litter> kept{};  ///< not struck out yet
    std::vector<Litter> ever{};  ///< everything that was recorded
};

}  // namespace livecanary::test
