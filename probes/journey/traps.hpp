#pragma once
// Two traps of the backend that leave a replay in the table, and not as players need it: a row for each
// format of one show, and an MP4 file where only HLS is looked for.
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "probes/journey/config.hpp"
#include "probes/journey/look.hpp"

namespace livecanary::journey {

/// The row of that file, or the newest of the user.
Question about_row(const Config& config, const std::string& file_id);

/// For a second row that must not come, where nothing tells whether there will be one.
inline constexpr std::chrono::seconds second_row_patience{5};

/// JourneyError::two_rows, misfiled; nothing if all is as it should be. What speaks for it is said on `run`.
/// `stored`, the row of the first file, is read anew if `events` (100 of each file) tell of more than one.
asio::awaitable<error_code> look_for_traps(const Config& config, ProbeRun& run, Looker& looker,
                                           const std::vector<Facts>& events, Facts& stored);

/// Likewise of `rows`, all new ones of the user, that no event tells of; `stored` is one of them. `pushed` is
/// the answer of the rtmp_push.
error_code judge_rows(const Config& config, ProbeRun& run, const std::vector<Facts>& rows,
                      const Facts& pushed, const Facts& stored);

/// Formats that the rows have, as far as their columns tell.
std::int64_t formats_in(const std::vector<Facts>& rows);

/// Whether `stored`, a row or an entry of the list, has an MP4 file that is not its play_url: then it is said
/// on `run`. `prefix` is before each column's name.
bool is_misfiled(ProbeRun& run, const std::vector<Facts>& events, const Facts& stored,
                 const std::string& prefix);

}  // namespace livecanary::journey
