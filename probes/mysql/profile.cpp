#include "probes/mysql/profile.hpp"

#include <algorithm>
#include <array>

namespace livecanary::mysql {
namespace {

// Second generation: createDB.sh of the public backend (2018-2019), read 2026-11-21.
constexpr std::array tb_account{
    ProfileColumn{"userid", "varchar(50)"},    ProfileColumn{"password", "varchar(255)"},
    ProfileColumn{"nickname", "varchar(100)"}, ProfileColumn{"sex", "int"},
    ProfileColumn{"avatar", "varchar(254)"},   ProfileColumn{"frontcover", "varchar(255)"},
    ProfileColumn{"create_time", "timestamp"}};
constexpr std::array tb_room{ProfileColumn{"userid", "varchar(50)"}, ProfileColumn{"title", "varchar(255)"},
                             ProfileColumn{"frontcover", "varchar(255)"},
                             ProfileColumn{"location", "varchar(128)"},
                             ProfileColumn{"create_time", "timestamp"}};
constexpr std::array tb_vod{
    ProfileColumn{"userid", "varchar(50)"},        ProfileColumn{"file_id", "varchar(150)"},
    ProfileColumn{"frontcover", "varchar(255)"},   ProfileColumn{"location", "varchar(128)"},
    ProfileColumn{"play_url", "varchar(255)"},     ProfileColumn{"like_count", "int"},
    ProfileColumn{"viewer_count", "int"},          ProfileColumn{"create_time", "timestamp"},
    ProfileColumn{"hls_play_url", "varchar(255)"}, ProfileColumn{"start_time", "timestamp"},
    ProfileColumn{"title", "varchar(128)"}};

// First generation: a public dump of a deployed copy (2017). Where it does not say a type it is not compared.
constexpr std::array tape_data{ProfileColumn{"userid", "varchar(50)"},
                               ProfileColumn{"file_id", "varchar(150)"},
                               ProfileColumn{"title", "varchar(128)"},
                               ProfileColumn{"nickname", "varchar(128)"},
                               ProfileColumn{"headpic", "varchar(255)"},
                               ProfileColumn{"frontcover", "varchar(255)"},
                               ProfileColumn{"location", "varchar(128)"},
                               ProfileColumn{"play_url", "varchar(255)"},
                               ProfileColumn{"like_count", "int"},
                               ProfileColumn{"viewer_count", "int"},
                               ProfileColumn{"desc", "varchar(255)"},
                               ProfileColumn{"create_time", "timestamp"},
                               ProfileColumn{"hls_play_url", "varchar(255)"},
                               ProfileColumn{"start_time", "timestamp"}};
constexpr std::array live_data{ProfileColumn{"userid", "varchar(128)"},
                               ProfileColumn{"stream_id", "varchar(128)"},
                               ProfileColumn{"groupid", ""},
                               ProfileColumn{"title", ""},
                               ProfileColumn{"nickname", ""},
                               ProfileColumn{"headpic", ""},
                               ProfileColumn{"frontcover", ""},
                               ProfileColumn{"location", ""},
                               ProfileColumn{"push_url", "varchar(255)"},
                               ProfileColumn{"status", ""},
                               ProfileColumn{"like_count", ""},
                               ProfileColumn{"viewer_count", ""},
                               ProfileColumn{"check_status", ""},
                               ProfileColumn{"forbidflag", ""},
                               ProfileColumn{"desc", ""},
                               ProfileColumn{"create_time", ""},
                               ProfileColumn{"play_url", ""},
                               ProfileColumn{"hls_play_url", ""}};

constexpr std::array tables{ProfileTable{"live_data", live_data}, ProfileTable{"tape_data", tape_data},
                            ProfileTable{"tb_account", tb_account}, ProfileTable{"tb_room", tb_room},
                            ProfileTable{"tb_vod", tb_vod}};

}  // namespace

const ProfileTable* find_in_live_demo(std::string_view table) {
    const auto found = std::ranges::find(tables, table, &ProfileTable::name);
    return found != tables.end() ? &*found : nullptr;
}

std::vector<std::string_view> names_of_live_demo() {
    std::vector<std::string_view> names;
    for (const auto& table : tables) names.push_back(table.name);
    return names;
}

}  // namespace livecanary::mysql
