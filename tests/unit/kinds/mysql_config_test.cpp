#include "probes/mysql/config.hpp"

#include <gtest/gtest.h>

#include "probes/mysql/advice.hpp"
#include "probes/mysql/kind.hpp"
#include "probes/mysql/look.hpp"
#include "tests/support/toml_text.hpp"

namespace livecanary::mysql {
namespace {

using namespace std::chrono_literals;
using Mistakes = std::vector<std::string>;

const test::FakeWorld world{.variables = {{"DB", "the-password"}}};

Config read_all(const std::string& keys, const Mistakes& expected = {}) {
    test::TomlText text(keys, world);
    Config config = read(text.reader());
    text.reader().unread();
    EXPECT_EQ(text.mistakes(), expected) << keys;
    return config;
}

const std::string needed =
    "host = 'db.test'\nuser = 'monitor'\npassword = { env = 'DB' }\ndatabase = 'live_demo'\n";

TEST(MysqlConfig, Defaults) {
    const Config config = read_all(needed);
    EXPECT_EQ(config.target(), "mysql://db.test:3306/live_demo");
    EXPECT_EQ(config.password.reveal(), "the-password");
    EXPECT_FALSE(config.tls || config.read_only || config.replication || config.time_zone);
    EXPECT_TRUE(config.tables.empty());
}

TEST(MysqlConfig, EveryKey) {
    const Config config = read_all(needed + R"(port = 3307
address = '192.0.2.1'
socket = '/run/mysqld/mysqld.sock'
tls = { server_name = 'other.test', ca_file = 'ca.pem', verify = false }
read_only = false
replication = { max_lag = '30s' }
time_zone = '+08:00'
[[table]]
name = 'tb_vod'
watermark = 'create_time'
expect_new_rows = { at_least = 3, within = '1h', active = '08:00-24:00 Asia/Shanghai' }
columns = ['userid']
profile = 'live_demo'
insert_check = { userid = 'a', file_id = 'b' }
[[table.column]]
name = 'extra'
type = 'INT(11)'
nullable = true
default = '-1'
[[table.column]]
name = 'other'
no_default = true
)");
    EXPECT_EQ(config.port, 3307);
    EXPECT_EQ(config.tls->server_name, "other.test");
    EXPECT_FALSE(config.tls->verify);
    EXPECT_EQ(config.read_only, false);
    EXPECT_EQ(config.replication->max_lag, 30s);
    EXPECT_EQ(config.time_zone, 480min);
    ASSERT_EQ(config.tables.size(), 1U);
    const Table& table = config.tables[0];
    EXPECT_EQ(table.expect->at_least, 3U);
    EXPECT_EQ(table.expect->within, 1h);
    EXPECT_TRUE(table.all_columns);
    EXPECT_EQ(table.columns.size(), 13U);
    EXPECT_EQ(table.columns[1].type, "int");
    EXPECT_EQ(table.columns[1].nullable, true);
    EXPECT_EQ(table.columns[1].default_value.value(), "-1");
    EXPECT_EQ(table.columns[2].default_value.value(), std::nullopt);
    EXPECT_EQ(table.insert_check.size(), 2U);
}

TEST(MysqlConfig, EveryMistakeWithItsPlace) {
    read_all("port = 70000\n", {"t.toml:1:8: probe.port: expected 1 to 65535, found 70000",
                                "t.toml:1:1: probe.host: missing", "t.toml:1:8: probe.port: needs a 'host'",
                                "t.toml:1:1: probe.user: missing", "t.toml:1:1: probe.database: missing"});
    read_all(needed + "address = 'x'\ntime_zone = 'CST'\npasswort = 1\n",
             {"t.toml:5:11: probe.address: expected an IPv4 or IPv6 address, found 'x'",
              "t.toml:6:13: probe.time_zone: expected an offset such as \"+08:00\", found 'CST'",
              "t.toml:7:1: probe.passwort: unknown key; did you mean 'password'?"});
    read_all(
        needed + "[[table]]\nname = 'a.b'\nexpect_new_rows = { active = 'noon' }\nprofile = 'live_demo'\n",
        {"t.toml:6:8: probe.table.name: expected a name of at most 64 bytes, found 'a.b'",
         "t.toml:8:11: probe.table.profile: live_demo has no table 'a.b', only live_data, tape_data, "
         "tb_account, "
         "tb_room, tb_vod",
         "t.toml:7:19: probe.table.expect_new_rows: needs a 'watermark'",
         "t.toml:7:19: probe.table.expect_new_rows.within: missing",
         "t.toml:7:30: probe.table.expect_new_rows.active: expected a daily window such as \"08:00-24:00 "
         "Asia/Shanghai\", found 'noon'"});
    std::string seven = needed;
    for (int i = 0; i < 7; ++i) seven += "[[table]]\nname = 't" + std::to_string(i % 6) + "'\n";
    read_all(seven,
             {"t.toml:18:8: probe.table.name: the table 't0' is there twice",
              "t.toml:5:1: probe.table: a probe looks at 6 tables at most; make another probe for the rest"});
    read_all("socket = '/s'\nuser = 'u'\ndatabase = 'd'\ntls = {}\n",
             {"t.toml:4:7: probe.tls: needs a 'host': a local socket has no TLS"});
}

TEST(MysqlConfig, TypesAndDefaultsOfAllServersCompare) {
    EXPECT_EQ(normal_type("int(11)"), normal_type("INT"));
    EXPECT_EQ(normal_type("bigint(20) unsigned"), "bigint unsigned");
    EXPECT_EQ(normal_type("integer"), "int");
    EXPECT_EQ(normal_type("varchar(50)"), "varchar(50)");
    EXPECT_EQ(normal_type("datetime(3)"), "datetime(3)");
    EXPECT_EQ(normal_default("current_timestamp()"), normal_default("CURRENT_TIMESTAMP"));
    EXPECT_EQ(normal_default("current_timestamp(3)"), "current_timestamp(3)");
    EXPECT_EQ(normal_default("'a'"), "a");
    EXPECT_EQ(normal_default("NULL"), std::nullopt);
    EXPECT_EQ(normal_default(std::nullopt), std::nullopt);
    EXPECT_EQ(parse_offset("-03:30"), -210min);
    for (const char* wrong : {"8", "+8:00", "+15:00", "+08:60", "+0a:00", ""})
        EXPECT_FALSE(parse_offset(wrong)) << wrong;
    EXPECT_EQ(format_offset(-210min), "-03:30");
    EXPECT_EQ(format_offset(480min), "+08:00");
}

TEST(MysqlConfig, AdvisesJustTheRightsThatAreNeeded) {
    const Config config = read_all(
        needed +
        "replication = {}\n[[table]]\nname = 't`x'\n[[table]]\nname = 'u'\ninsert_check = { a = '1' }\n");
    EXPECT_EQ(grants(config),
              (std::vector<std::string>{
                  "CREATE USER 'monitor'@'address of this machine' IDENTIFIED BY 'its password';",
                  "GRANT SELECT ON `live_demo`.`t``x` TO 'monitor'@'address of this machine';",
                  "GRANT SELECT, INSERT ON `live_demo`.`u` TO 'monitor'@'address of this machine';",
                  "GRANT REPLICA MONITOR ON *.* TO 'monitor'@'address of this machine';  -- MySQL: "
                  "REPLICATION CLIENT"}));
}

/// 27 that every probe has, three for each phase, four for each table, and the kind's own.
TEST(MysqlConfig, KeepsToTheLimitOfSeries) {
    std::size_t labelled = 0, single = 0;
    for (const Value& value : values)
        (value.label == "table" ? labelled : single) += std::max<std::size_t>(1, value.label_values.size());
    EXPECT_LE(27 + 3 * phases.size() + most_tables * labelled + single, 75U);
}

}  // namespace
}  // namespace livecanary::mysql
