#pragma once
// What the drill breaks: one row a fault, with what livecanary must make of it.
#include <chrono>
#include <functional>
#include <initializer_list>
#include <span>
#include <string>
#include <vector>

#include "tests/practice/drill_stack.hpp"

namespace livecanary::practice {

/// A part of the stack that is made good after a fault.
enum class Part { push, cos, cdn, backend, database, redis, events, told, log };

struct Fault {
    const char* id;      ///< kebab-case
    const char* breaks;  ///< what, in words
    const char* cause;   ///< of the catalogue: the truth
    struct NamedBy {
        const char* probe;
        /// The cause, if it has to be claimed; else the class that it may hide in, or "" where candidates
        /// have no class: the cause is then among the first three of them.
        const char* label;
    };
    std::vector<NamedBy> named_by;
    /// One of them is enough: of the probes that share a backend, one that waits for it holds the others
    /// back.
    bool any = false;
    std::function<void(DrillStack&)> apply;
    std::vector<Part> parts;  ///< what it leaves broken
    bool seed = false;        ///< one of the 21 failures of the owner's documents
    /// Other causes that are true meanwhile, whoever claims them.
    std::vector<const char*> explained{};
    /// Probes keep quiet for minutes after a request that hung, on purpose: the daemon is started anew.
    bool fresh_start = false;
    /// So long a control of the confirmation waits for what does not answer.
    std::chrono::seconds control{0};
};

std::span<const Fault> drill_faults();
void heal(DrillStack& stack, const Fault& fault);

}  // namespace livecanary::practice
