#pragma once
// Numbers that every kind with a network target may find: one metric each, told apart by the label `kind`.
#include <array>

#include "probes/core/run.hpp"

namespace livecanary::net {

inline constexpr Value certificate_end{
    "livecanary_tls_certificate_not_after_timestamp_seconds",
    "When the server's certificate ends, in Unix seconds; also when it was not accepted."};
inline constexpr std::array<std::string_view, 2> families{"ipv4", "ipv6"};
inline constexpr Value resolved_addresses{.metric = "livecanary_resolved_addresses",
                                          .help = "Addresses the last run got for the target's name.",
                                          .label = "family",
                                          .label_values = families};
inline constexpr Value failing_addresses{.metric = "livecanary_failing_addresses",
                                         .help =
                                             "Addresses of a name that failed in the last run while "
                                             "every address was asked.",
                                         .label = "family",
                                         .label_values = families};

}  // namespace livecanary::net
