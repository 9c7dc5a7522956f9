#pragma once
// The list of replays, as /get_vod_list gives it.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json/object.hpp>

#include "probes/core/reason.hpp"
#include "probes/core/run.hpp"

namespace livecanary::backend_api {

struct Replay {
    std::string userid{}, file_id{};
    std::string play_url{}, hls_play_url{};
    std::string start_time{}, create_time{};  ///< as the list has them
    std::optional<WallTime> started{},
        ended{};  ///< the same, if they are times at +08:00; nothing of a zero date

    const std::string& url() const { return play_url.empty() ? hls_play_url : play_url; }
};

/// `data.list` of an answer. BackendError::bad_list, or bad_row with what is wrong of which row in `wrong`.
result<std::vector<Replay>> read_replays(const boost::json::object& answer, std::string& wrong);

/// `2026-11-28 14:00:00` in China's time, which is what the backend writes; nothing for the zero date and
/// what is none.
std::optional<WallTime> read_prc_time(std::string_view text);

}  // namespace livecanary::backend_api
