#pragma once
// The rows of drill_faults(), a file for each part of the stack, and what they break it with.
#include <chrono>
#include <string>
#include <vector>

#include "tests/practice/faults.hpp"

namespace livecanary::practice::rows {

std::vector<Fault> of_push();
std::vector<Fault> of_cos();
std::vector<Fault> of_cdn();
std::vector<Fault> of_database();
std::vector<Fault> of_backend();
std::vector<Fault> of_callbacks();
/// The hops of a journey, each broken once. The configuration has it meanwhile.
std::vector<Fault> of_journey();
std::vector<Fault> of_logs();
/// What holds requests: last, since they cost most.
std::vector<Fault> of_hangs();

using S = DrillStack&;
using enum Part;

inline auto wall() { return std::chrono::system_clock::now(); }

inline const std::string issued_name = "1234_" + std::string(BackendStack::userid);

/// A push URL as the backend would have issued it.
inline void issue(S stack, const std::string& name) {
    stack.told.issued_push = stack.push_url(DrillStack::issuing_domain, "live", name);
}

// What changes one member of a part's settings.

inline auto told_as(void (*change)(DrillTold&)) {
    return [change](S stack) { change(stack.told); };
}
inline auto store(void (*change)(Cos&)) {
    return [change](S stack) { stack.cos.change(change); };
}
inline auto configured(void (*change)(BackendConfig&)) {
    return [change](S stack) {
        BackendConfig config = stack.backend.backend.config();
        change(config);
        stack.backend.backend.configure(config);
    };
}
inline auto php(void (*change)(BackendFaults&)) {
    return [change](S stack) {
        BackendFaults faults{.config_hidden = true};
        change(faults);
        stack.backend.backend.behave(faults);
    };
}
inline auto sql(const char* statements) {
    return [statements](S stack) { stack.backend.mariadb.execute(statements); };
}

}  // namespace livecanary::practice::rows
