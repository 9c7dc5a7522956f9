#pragma once
// The tables of the watched backend, as its shipped scripts make them.
#include <span>
#include <string_view>

#include "probes/mysql/config.hpp"

namespace livecanary::mysql {

struct ProfileColumn {
    std::string_view name;
    std::string_view type;  ///< empty: not known for certain
};

struct ProfileTable {
    std::string_view name;
    std::span<const ProfileColumn> columns;
};

/// Of both generations of `live_demo`; nothing if there is no such table.
const ProfileTable* find_in_live_demo(std::string_view table);
std::vector<std::string_view> names_of_live_demo();

}  // namespace livecanary::mysql
