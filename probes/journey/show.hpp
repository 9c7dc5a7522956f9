#pragma once
// One show in the backend's table: which rows are its own, and that none of them stays.
//
// The table has no column that names a stream. A row is known by its file, which the event 100 of the stream
// tells of; by that it was not there before the push; and by when its recording began.
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/awaitable.hpp>

#include "probes/core/ledger.hpp"
#include "probes/core/peers.hpp"
#include "probes/core/run.hpp"
#include "probes/journey/config.hpp"

namespace livecanary::journey {

namespace asio = boost::asio;

/// Rows that a user may have before a push, and still be a journey's own. Our choice: each of them stands in
/// the ledger.
inline constexpr std::size_t most_before = 16;
/// For what a walk does when its time is over or it was cut: a stop waits for it.
inline constexpr std::chrono::seconds clean_up_patience{2};

struct Show {
    std::string table{};
    std::string userid{};
    std::string stream{};
    std::vector<std::string> files{};  ///< that may have a row; as far as known
    /// Files whose rows were there before the push; nothing if that is not known.
    std::optional<std::vector<std::string>> before{};
    WallTime made{};  ///< shortly before the push

    /// Whether a row of the user is of this show. `all_new`: nothing else tells its rows, so each that was
    /// not there before is; else those of other files must have begun with the push.
    bool has(const Facts& stored, bool all_new) const;
};

Litter litter_of(const Show& show, std::string probe);
Show show_of(const Litter& litter);

/// How far the start of a recording is from the push that it is of, as time zones are apart: seconds in whole
/// quarters of an hour. Nothing if it cannot be of that push, in whatever zone its row was written.
std::optional<std::int64_t> zones_between(std::int64_t push_began, std::int64_t recording_began);

/// As many rows of the user as an answer has room for: those from before, and as many again.
Question about_rows(const Show& show);
/// Each row of the answer, by the names of the first one's facts.
std::vector<Facts> rows_of(const Facts& answer);

/// The events 100 of the stream that the journey's receiver has heard, one of each file; none without one.
asio::awaitable<std::vector<Facts>> recordings_of(const Config& config, ProbeRun& run,
                                                  const std::string& stream);

/// The walk under way of a journey.
struct Ongoing {
    bool walking = false;
    /// What its user had before its push; nothing if that is not known yet, or never.
    std::optional<std::vector<std::string>> before{};
};

/// Removes all rows of the show. `walk`: of which what came since its push is left alone; may be null.
/// errc::device_or_resource_busy if something was.
asio::awaitable<error_code> remove_rows(const Config& config, ProbeRun& run, Show show, const Ongoing* walk);

}  // namespace livecanary::journey
