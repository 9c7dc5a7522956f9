#pragma once
// What the files of a configuration say besides the settings: where each secret comes from, and which logs
// are followed. For `bundle` and `doctor`; a probe keeps its own to itself.
#include <optional>
#include <string>
#include <vector>

#include "config/reader.hpp"
#include "config/secret.hpp"

namespace livecanary::daemon {

/// One secret of the configuration.
struct SecretPlace {
    enum class Source { file, env, credential, plain };

    std::string name{};  ///< `push-main.push_key`: of probes behind their name
    Source source = Source::plain;
    std::string where{};  ///< path, variable or name of the credential; empty if it stands there plain
    std::string path{};   ///< of the file that holds it, if there is one
    std::string file{};   ///< of the configuration
    config::Position at{};
    config::Secret value{};
    std::string error{};  ///< why there is no value
};

/// The logs that a `log_keywords` probe follows.
struct LogPaths {
    std::string probe{};
    std::vector<std::string> paths{};  ///< as configured: with *, ? and […]
};

struct ConfigFacts {
    std::vector<SecretPlace> secrets{};  ///< in the order of files and tables
    std::vector<LogPaths> logs{};
};

/// Reads the files once more. `mistakes` are those of load_settings(): they tell which plain strings are
/// secrets.
ConfigFacts read_config_facts(const std::string& path, const config::Surroundings& surroundings,
                              const std::vector<config::Mistake>& mistakes);

}  // namespace livecanary::daemon
