#pragma once
// The keys of `[[probe]] kind = "journey"`.
#include <chrono>
#include <cstdint>
#include <string>

namespace livecanary::config {
class Reader;
}

namespace livecanary::journey {

/// How long a hop may take, from the end of the one before.
struct Deadlines {
    std::chrono::milliseconds callback{std::chrono::minutes(5)};
    std::chrono::milliseconds row{std::chrono::seconds(30)};
    std::chrono::milliseconds list{std::chrono::seconds(30)};
    std::chrono::milliseconds playback{std::chrono::seconds(30)};
};

constexpr std::chrono::milliseconds shipped_shortest_replay = std::chrono::seconds(60);

struct Config {
    std::string push{};      ///< name of the rtmp_push whose URL and key are used
    std::string callback{};  ///< of the callback that receives; empty: the row is the proof of the callback
    std::string mysql{};     ///< of the mysql that looks for the row; empty: no such hop
    std::string table{};
    std::string list{};     ///< of the backend_api that reads the list; empty: no such hop
    bool playback = false;  ///< whether the replay's URL is fetched
    /// Whose replay it is: the backend takes the user from what follows the first '_' of the stream's name.
    std::string userid = "livecanary";
    /// Files that the cloud makes of a recording, one a format, each told of by an event of its own.
    std::int64_t formats = 1;
    /// Real-time length of the push.
    std::chrono::milliseconds length{};
    /// The backend stores no replay that is no longer than this (its tape_callback.php, measured).
    std::chrono::milliseconds shortest_replay = shipped_shortest_replay;
    bool mutates = false;  ///< it may leave a replay that viewers see, until it removes it again
    Deadlines deadlines{};
    std::string ca_file{};  ///< whom to trust for the replay's URL instead of the system's authorities

    /// Whether the hops behind the callback are walked.
    bool goes_on() const noexcept { return mutates; }
};

Config read(config::Reader& in);

}  // namespace livecanary::journey
