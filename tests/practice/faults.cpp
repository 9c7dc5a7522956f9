#include "tests/practice/faults.hpp"

#include <utility>

#include "tests/practice/fault_rows.hpp"

namespace livecanary::practice {

std::span<const Fault> drill_faults() {
    static const std::vector<Fault> all = [] {
        std::vector<Fault> faults;
        for (auto* part : {rows::of_push, rows::of_cos, rows::of_cdn, rows::of_database, rows::of_backend,
                           rows::of_callbacks, rows::of_journey, rows::of_logs, rows::of_hangs})
            for (Fault& fault : part()) faults.push_back(std::move(fault));
        return faults;
    }();
    return all;
}

void heal(DrillStack& stack, const Fault& fault) {
    for (const Part part : fault.parts) {
        switch (part) {
            case Part::push:
                stack.reset_push();
                break;
            case Part::cos:
                stack.reset_cos();
                break;
            case Part::cdn:
                stack.reset_cdn();
                break;
            case Part::backend:
                stack.reset_backend();
                break;
            case Part::database:
                stack.reset_database();
                break;
            case Part::redis:
                stack.reset_redis();
                break;
            case Part::events:
                stack.reset_events();
                break;
            case Part::told:
                stack.told = stack.right_told();
                break;
            // A line that was written stands; its time passes.
            case Part::log:
                break;
        }
    }
}

}  // namespace livecanary::practice
