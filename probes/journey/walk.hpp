#pragma once
// One journey: a push of a stream of its own, and what becomes of it, hop by hop.
#include <array>

#include <boost/asio/awaitable.hpp>

#include "probes/core/run.hpp"
#include "probes/journey/config.hpp"
#include "probes/journey/show.hpp"

namespace livecanary::journey {

namespace asio = boost::asio;

/// Each hop is a phase.
inline constexpr Phase push{"push"}, callback{"callback"}, row{"row"}, list{"list"}, playback{"playback"};
inline constexpr std::array phases{push, callback, row, list, playback};

enum class JourneyError {
    push_failed = 1,  ///< the stream was not taken; the evidence says how
    not_called_back,  ///< no event of the stream came in
    event_refused,    ///< the backend answered the event, and with no success
    no_row,           ///< no row of the replay in the table
    not_listed,       ///< the list does not have the replay
    no_url,           ///< nothing says where the replay is to be played
    not_served,       ///< its URL was answered with another status than 200 or 206
    empty_replay,     ///< its URL was answered with nothing
    two_rows,         ///< each of its formats has a row of its own
    misfiled,         ///< its MP4 file is not where players look for it
    format_missing,   ///< fewer formats stand in the table than the recording has
    held_back,        ///< our fault: the receiver did not pass the event on
    crowded,          ///< our fault: the user has too many rows to tell the journey's own from them
    no_ledger,        ///< our fault: no replay may be made that is not written down
    cannot_ask,       ///< our fault: a probe that the journey needs has no answer
};
error_code make_error_code(JourneyError error) noexcept;

/// Says everything on `run`; ends by its deadline. Removes the rows it caused, also when it is cut; the
/// ledger keeps them for a sweep, which looks for what came later. The caller must have switched off
/// `throw_if_cancelled`; all three must outlive it.
asio::awaitable<void> walk(const Config& config, ProbeRun& run, Ongoing& ongoing);

}  // namespace livecanary::journey

template <>
struct boost::system::is_error_code_enum<livecanary::journey::JourneyError> : std::true_type {};
