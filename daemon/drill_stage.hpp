#pragma once
// What a drill plays on: the practice stack, the daemon before it, Prometheus and Alertmanager beside it
// where they are installed, and the signals that end all of it.
#include <chrono>
#include <csignal>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <iosfwd>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include <boost/json/array.hpp>

#include "daemon/child_process.hpp"
#include "daemon/drill.hpp"
#include "daemon/drill_alerts.hpp"

namespace livecanary::daemon {

/// SIGINT or the like came: everything is put away and we end.
struct DrillInterrupted : std::runtime_error {
    explicit DrillInterrupted(int number) : std::runtime_error("interrupted"), signal(number) {}
    int signal;
};

/// A folder that goes with us, unless it was asked for.
class DrillFolder {
public:
    /// `given`: empty for a temporary one. Throws std::system_error.
    explicit DrillFolder(const std::string& given);
    ~DrillFolder();
    DrillFolder(const DrillFolder&) = delete;
    DrillFolder& operator=(const DrillFolder&) = delete;
    const std::filesystem::path& get() const noexcept { return path_; }

private:
    bool keep_;
    std::filesystem::path path_{};
};

/// Ends what it has started. Its functions throw std::runtime_error for what does not start or answer, and
/// DrillInterrupted.
class DrillStage {
public:
    /// How the practice stack is told to be watched.
    enum class Pace {
        faults,   ///< as the bounds of faults want it: each 3 s, without the journey
        healthy,  ///< each probe as often as it can, once a second at most, the journey too
    };

    /// Blocks SIGINT, SIGTERM and SIGHUP for the process. `practice`: path of livecanary-practice; empty: it
    /// is looked for beside ourselves.
    DrillStage(const std::string& practice, std::filesystem::path work);
    ~DrillStage();
    DrillStage(const DrillStage&) = delete;
    DrillStage& operator=(const DrillStage&) = delete;

    std::vector<DrillFault> list() const;
    void start_practice(Pace pace);
    /// The one before is stopped.
    void start_daemon();
    /// Prometheus and Alertmanager, if they are installed and the rules are found.
    void start_alerts();
    /// Null without them.
    const DrillAlerts* alerts() const { return alerts_ ? &*alerts_ : nullptr; }

    /// The body of the daemon's answer to GET `target`.
    std::string ask_daemon(const std::string& target) const;
    /// As /api/v1/probes has them.
    boost::json::array results() const;
    /// The daemon has ended, which it is never told to.
    bool daemon_is_gone() { return daemon_->status().has_value(); }

    void break_it(const std::string& fault) { tell("POST", fault); }
    void heal_it(const std::string& fault) { tell("DELETE", fault); }
    /// Empty once every probe was well in a run that began after `since`; else what is not, after a minute.
    std::string wait_until_well(WallTime since) const;
    /// Asks each `pause`; false if it did not come true in time.
    bool wait_until(std::chrono::milliseconds patience, const std::function<bool()>& is_so,
                    std::chrono::milliseconds pause = std::chrono::milliseconds(100)) const;

private:
    void tell(const char* method, const std::string& fault);

    std::filesystem::path work_, practice_path_;
    sigset_t signals_{};
    std::optional<ChildProcess> practice_{}, daemon_{};
    std::optional<DrillAlerts> alerts_{};
    std::string config_{};
    std::uint16_t control_ = 0, web_ = 0;
};

/// One request to 127.0.0.1. Throws std::runtime_error if it is not answered with 200.
std::string ask_local(std::uint16_t port, const char* method, const std::string& target);

/// A line that is written over; nothing where that is no terminal.
class DrillProgress {
public:
    DrillProgress(std::ostream& err, bool live) : err_(err), live_(live) {}
    ~DrillProgress() { say(""); }
    DrillProgress(const DrillProgress&) = delete;
    DrillProgress& operator=(const DrillProgress&) = delete;
    void say(const std::string& words);

private:
    std::ostream& err_;
    bool live_;
};

}  // namespace livecanary::daemon
