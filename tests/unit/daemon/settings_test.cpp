#include "daemon/settings.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/support/fake_kind.hpp"
#include "tests/support/tls_peer.hpp"
#include "tests/support/toml_text.hpp"

namespace livecanary::daemon {
namespace {

using namespace std::chrono_literals;
using test::FakeWorld;
using Strings = std::vector<std::string>;

constexpr const char* push =
    "[[probe]]\nname = 'push'\nkind = 'fake'\nurl = 'rtmp://push.example.com/live/x'\n";

Loaded load(const FakeWorld& world) {
    return load_settings("l.toml", world.surroundings(), test::fake_kinds);
}
Loaded load(const std::string& text) { return load(FakeWorld{.files = {{"l.toml", text}}}); }

Strings mistakes(const Loaded& loaded) {
    Strings lines;
    for (const config::Mistake& mistake : loaded.mistakes) lines.push_back(to_string(mistake));
    return lines;
}

std::string read_text(const std::filesystem::path& path) {
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    return std::move(text).str();
}

TEST(Settings, DefaultsOfAnEmptyFile) {
    const Loaded loaded = load("");
    EXPECT_EQ(mistakes(loaded), Strings{});
    EXPECT_TRUE(loaded.ok());
    EXPECT_EQ(loaded.files, Strings{"l.toml"});
    const Settings& settings = loaded.settings;
    EXPECT_EQ(settings.location, "test-host");
    EXPECT_EQ(settings.state_directory, "/var/lib/livecanary");
    EXPECT_EQ(settings.max_concurrent_probes, 256);
    EXPECT_EQ(settings.max_loop_lag, 250ms);
    EXPECT_TRUE(settings.reference);
    EXPECT_EQ(settings.web_listen, Strings{"127.0.0.1:9877"});
    EXPECT_TRUE(settings.dns_servers.empty());
    EXPECT_TRUE(settings.anchors.empty());
    EXPECT_TRUE(settings.alertmanagers.empty());
    EXPECT_EQ(settings.lang, "en");
    EXPECT_EQ(settings.keep_incidents, 90 * 24h);
    EXPECT_EQ(settings.most_incidents, 1000U);
    EXPECT_TRUE(settings.probes.empty());
}

TEST(Settings, EveryKey) {
    const FakeWorld world{.files = {{"l.toml", R"(
[daemon]
location = "Shanghai-1"
state_directory = "/srv/livecanary"
max_concurrent_probes = 10000
max_loop_lag = "100ms"
reference = false
[web]
listen = ["0.0.0.0:9877", "[::1]:0", ":9878"]
[dns]
servers = ["192.0.2.1", "192.0.2.1:5353", "2001:db8::1", "[2001:db8::1]:53"]
[control]
anchors = ["https://www.example.org/", "http://[2001:db8::1]:8080/x?y=z"]
[alerting]
alertmanagers = ["http://127.0.0.1:9093/", "https://alerts.example.com/am"]
user = "canary"
password = { env = "ALERT_PASSWORD" }
grafana_url = "https://grafana.example.com/"
lang = "zh"
[incidents]
keep = "30d"
max = 10000
[defaults]
interval = "1m"
timeout = "20s"
fail_after = 5
recover_after = 4
[[probe]]
name = "push-main_1"
kind = "fake"
url = "rtmp://push.example.com/live/x"
interval = "1s"
timeout = "2s"
fail_after = 1
recover_after = 1
severity = "warning"
enabled = true
labels = { team = "live", _Site2 = "上海" }
maintenance = ["02:00-04:00 Asia/Shanghai", "12:00-12:30"]
[[probe]]
name = "0"
kind = "other"
url = "x"
)"}},
                          .variables = {{"ALERT_PASSWORD", "a:secret"}}};
    const Loaded loaded = load(world);
    ASSERT_EQ(mistakes(loaded), Strings{});
    const Settings& settings = loaded.settings;
    EXPECT_EQ(settings.location, "Shanghai-1");
    EXPECT_EQ(settings.state_directory, "/srv/livecanary");
    EXPECT_EQ(settings.max_concurrent_probes, 10'000);
    EXPECT_EQ(settings.max_loop_lag, 100ms);
    EXPECT_FALSE(settings.reference);
    EXPECT_EQ(settings.web_listen, (Strings{"0.0.0.0:9877", "[::1]:0", ":9878"}));
    EXPECT_EQ(settings.dns_servers,
              (Strings{"192.0.2.1", "192.0.2.1:5353", "2001:db8::1", "[2001:db8::1]:53"}));
    EXPECT_EQ(settings.anchors, (Strings{"https://www.example.org/", "http://[2001:db8::1]:8080/x?y=z"}));
    EXPECT_EQ(settings.alertmanagers, (Strings{"http://127.0.0.1:9093", "https://alerts.example.com/am"}));
    EXPECT_EQ(settings.alertmanager_access.user, "canary");
    EXPECT_EQ(settings.alertmanager_access.password.reveal(), "a:secret");
    EXPECT_EQ(settings.grafana_url, "https://grafana.example.com");
    EXPECT_EQ(settings.lang, "zh");
    EXPECT_EQ(settings.keep_incidents, 30 * 24h);
    EXPECT_EQ(settings.most_incidents, 10'000U);

    ASSERT_EQ(settings.probes.size(), 2);
    const ProbeSettings& first = settings.probes[0];
    EXPECT_EQ(first.name, "push-main_1");
    EXPECT_EQ(first.kind, &test::fake_kind);
    EXPECT_EQ(first.probe.target, "rtmp://push.example.com/live/x");
    EXPECT_EQ(first.interval, 1s);
    EXPECT_EQ(first.timeout, 2s);
    EXPECT_EQ(first.fail_after, 1);
    EXPECT_EQ(first.recover_after, 1);
    EXPECT_EQ(first.severity, "warning");
    EXPECT_EQ(first.labels, (std::map<std::string, std::string>{{"team", "live"}, {"_Site2", "上海"}}));
    EXPECT_EQ(first.maintenance.size(), 2);
    EXPECT_EQ(first.file, "l.toml");
    EXPECT_EQ(first.at.line, 28);
    const ProbeSettings& second = settings.probes[1];
    EXPECT_EQ(second.kind, &test::other_kind);
    EXPECT_EQ(second.interval, 60s);
    EXPECT_EQ(second.timeout, 20s);
    EXPECT_EQ(second.fail_after, 5);
    EXPECT_EQ(second.recover_after, 4);
    EXPECT_EQ(second.severity, "critical");
}

TEST(Settings, LocationIsTheHostNameAsFarAsItFitsStreamNames) {
    const auto location = [](const std::string& host) {
        return load(FakeWorld{.files = {{"l.toml", ""}}, .host_name = host}).settings.location;
    };
    EXPECT_EQ(location("web-1"), "web-1");
    EXPECT_EQ(location("web_1.example.com"), "web-1-example-com");
    EXPECT_EQ(location(std::string(64, 'x')), std::string(32, 'x'));
    EXPECT_EQ(location(""), "localhost");
}

TEST(Settings, StateDirectoryIsTheOneOfTheUnitUnlessConfigured) {
    const auto directory = [](const std::string& of_unit, const std::string& text) {
        return load(FakeWorld{.files = {{"l.toml", text}}, .variables = {{"STATE_DIRECTORY", of_unit}}})
            .settings.state_directory;
    };
    EXPECT_EQ(directory("/var/lib/private/livecanary", ""), "/var/lib/private/livecanary");
    EXPECT_EQ(directory("/var/lib/a:/var/lib/b", ""), "/var/lib/a") << "systemd.exec(5): several, by colons";
    EXPECT_EQ(directory("", ""), "/var/lib/livecanary");
    EXPECT_EQ(directory("/var/lib/a", "[daemon]\nstate_directory = '/srv/x'\n"), "/srv/x");
    EXPECT_EQ(mistakes(load("[daemon]\nstate_directory = ''\n")),
              Strings{"l.toml:2:19: daemon.state_directory: must not be empty"});
    EXPECT_EQ(mistakes(load("[daemon]\nstate_directory = 5\n")),
              Strings{"l.toml:2:19: daemon.state_directory: expected a string, found an integer"});
}

TEST(Settings, ConfDAddsProbesAndKeys) {
    const Loaded loaded = load(FakeWorld{
        .files = {{"l.toml", push + std::string("[daemon]\nlocation = 'a'\n")},
                  {"conf.d/b.toml", "[[probe]]\nname = 'b'\nkind = 'fake'\nurl = 'x'\nafter = 'push'\n"},
                  {"conf.d/a.toml", "[defaults]\ninterval = '7s'\n[daemon]\nmax_loop_lag = '1s'\n"}}});
    ASSERT_EQ(mistakes(loaded), Strings{});
    EXPECT_EQ(loaded.files, (Strings{"l.toml", "conf.d/a.toml", "conf.d/b.toml"}));
    EXPECT_EQ(loaded.settings.location, "a");
    EXPECT_EQ(loaded.settings.max_loop_lag, 1s);
    ASSERT_EQ(loaded.settings.probes.size(), 2);
    EXPECT_EQ(loaded.settings.probes[0].interval, 7s);
    EXPECT_EQ(loaded.settings.probes[1].name, "b");
    EXPECT_EQ(loaded.settings.probes[1].interval, 7s);
    EXPECT_EQ(loaded.settings.probes[1].file, "conf.d/b.toml");
}

TEST(Settings, MistakesOfAllFilesInTheirOrder) {
    const Loaded loaded = load(FakeWorld{
        .files = {{"l.toml", "[[probe]]\nname = 'x'\nkind = 'fake'\n[defaults]\ninterval = 5\n"},
                  {"conf.d/a.toml", "]"},
                  {"conf.d/b.toml",
                   "[[probe]]\nname = 'x'\nkind = 'fake'\nurl = 'x'\n[defaults]\ninterval = '5s'\n"}}});
    EXPECT_FALSE(loaded.ok());
    EXPECT_EQ(
        mistakes(loaded),
        (Strings{
            "l.toml:1:1: probe.url: missing",
            R"(l.toml:5:12: defaults.interval: expected a duration with its unit, such as "250ms", "5s" or "1m30s", found an integer)",
            "conf.d/a.toml:1:1: Error while parsing root table: expected keys, tables, whitespace or "
            "comments, saw ']'",
            "conf.d/b.toml:2:8: probe.name: the name 'x' is taken at l.toml:2:8",
            "conf.d/b.toml:6:1: defaults.interval: already set at l.toml:5:1",
        }));
}

TEST(Settings, AFileThatIsNotThere) {
    const Loaded loaded = load(FakeWorld{});
    EXPECT_EQ(mistakes(loaded), Strings{"l.toml: cannot read: No such file or directory"});
    EXPECT_FALSE(loaded.ok());
}

TEST(Settings, AProbeThatIsNotEnabledIsCheckedAndLeftOut) {
    const Loaded loaded = load(push + std::string("enabled = false\n"));
    EXPECT_EQ(mistakes(loaded), Strings{});
    EXPECT_TRUE(loaded.settings.probes.empty());
    EXPECT_EQ(loaded.settings.disabled_probes, 1);
}

TEST(Settings, WarningsDoNotRefuse) {
    const Loaded loaded = load(push + std::string("push_key = 'hunter2'\n"));
    ASSERT_EQ(loaded.mistakes.size(), 1);
    EXPECT_TRUE(loaded.mistakes[0].warning);
    EXPECT_TRUE(loaded.ok());
}

std::string identity(const FakeWorld& world) {
    const Loaded loaded = load(world);
    EXPECT_TRUE(loaded.ok()) << testing::PrintToString(mistakes(loaded));
    return loaded.settings.probes.at(0).identity;
}

TEST(Settings, IdentityChangesWithWhatTheProbeIsMadeOf) {
    const std::string table = push + std::string("push_key = { env = 'K' }\n");
    const auto with = [&](const std::string& text, const std::string& key = "a",
                          const std::string& host = "h") {
        return identity({.files = {{"l.toml", text}}, .variables = {{"K", key}}, .host_name = host});
    };
    const std::string first = with(table);
    EXPECT_EQ(first.size(), 64);
    EXPECT_EQ(first.find_first_not_of("0123456789abcdef"), std::string::npos);

    EXPECT_EQ(with("# a comment\n\n" + table), first);
    EXPECT_EQ(with("[web]\nlisten = []\n" + table), first);
    EXPECT_EQ(with("[defaults]\ninterval = '30s'\n" + table), first);

    EXPECT_NE(with(table, "b"), first);
    EXPECT_NE(with(table, "a", "i"), first);
    EXPECT_NE(with(table + "port = 1\n"), first);
    EXPECT_NE(with(table + "labels = { a = 'b' }\n"), first);
    for (const char* key : {"interval = '31s'", "timeout = '31s'", "fail_after = 9", "recover_after = 9"})
        EXPECT_NE(with("[defaults]\n" + std::string(key) + '\n' + table), first) << key;
}

/// The example as it is, or with all its examples taken over.
std::string example(bool taken_over) {
    std::istringstream lines(read_text(LIVECANARY_SOURCE_DIR "/config/livecanary.toml"));
    std::string text;
    for (std::string line; std::getline(lines, line); text += line + '\n')
        if (taken_over && line.size() > 1 && line[0] == '#' && line[1] != ' ') line.erase(0, 1);
    return text;
}

Loaded load_example(bool taken_over) {
    FakeWorld world{.files = {{"l.toml", example(taken_over)}}, .credentials_directory = "/creds"};
    // Each credential that it names is there.
    const std::string text = example(taken_over), mark = "credential = \"";
    for (auto at = text.find(mark); at != text.npos; at = text.find(mark, at + 1)) {
        const auto begin = at + mark.size();
        world.files["/creds/" + text.substr(begin, text.find('"', begin) - begin)] = "a secret\n";
    }
    const test::Certificate certificate({.names = {"DNS:canary.example.com"}});
    world.files["/etc/livecanary/web.pem"] = world.files["/etc/livecanary/clients.pem"] =
        certificate.certificate();
    world.files["/creds/web-key"] = certificate.key();
    world.files["/creds/web-prometheus"] = "$2y$04$abcdefghijklmnopqrstuu/LVz6MZlItEy42I2juLihZ66HnQx/cy";
    return load_settings("l.toml", world.surroundings());  // with the kinds that are built in
}

TEST(Journeys, HopsKnowTheirJourneyAndChangeWithIt) {
    const std::string hops =
        "[[probe]]\nname = 'push'\nkind = 'rtmp_push'\nurl = 'rtmp://push.example.com/live/x'\n"
        "[[probe]]\nname = 'other'\nkind = 'rtmp_push'\nurl = 'rtmp://push.example.com/live/y'\n";
    const std::string journey =
        "[[probe]]\nname = 'replay'\nkind = 'journey'\npush = 'push'\ntimeout = '1m'\n";
    const FakeWorld with{.files = {{"l.toml", hops + journey}}}, without{.files = {{"l.toml", hops}}};
    const Loaded loaded = load_settings("l.toml", with.surroundings());
    ASSERT_EQ(mistakes(loaded), Strings{});
    const auto& probes = loaded.settings.probes;
    ASSERT_GE(probes.size(), 3U);
    EXPECT_EQ(probes[0].journey, "replay");
    EXPECT_EQ(probes[1].journey, "");
    EXPECT_EQ(probes[2].journey, "replay");
    const Loaded alone = load_settings("l.toml", without.surroundings());
    EXPECT_NE(alone.settings.probes[0].identity, probes[0].identity) << "its label changes";
    EXPECT_EQ(alone.settings.probes[1].identity, probes[1].identity);
}

TEST(Example, ChangesNothingAsInstalled) {
    const Loaded loaded = load_example(false);
    EXPECT_EQ(mistakes(loaded), Strings{});
    ASSERT_EQ(loaded.settings.probes.size(), 1);
    EXPECT_EQ(loaded.settings.probes[0].name, "reference") << "the built-in probe of ourselves";
}

TEST(Reference, IsBuiltInUnlessConfiguredOrSwitchedOff) {
    const auto kinds_of = [](const std::string& text) {
        const FakeWorld world{.files = {{"l.toml", text}}};
        const Loaded loaded = load_settings("l.toml", world.surroundings());
        EXPECT_EQ(mistakes(loaded), Strings{});
        Strings found;
        for (const ProbeSettings& probe : loaded.settings.probes)
            found.push_back(probe.name + " " + std::string(probe.kind->name));
        return found;
    };
    EXPECT_EQ(kinds_of(""), Strings{"reference reference"});
    EXPECT_EQ(kinds_of("[daemon]\nreference = false\n"), Strings{});
    EXPECT_EQ(kinds_of("[[probe]]\nname = 'own'\nkind = 'reference'\n"), Strings{"own reference"});
}

TEST(Push, MustBeShorterThanItsTimeout) {
    const FakeWorld world{.files = {{"l.toml",
                                     "[[probe]]\nname = 'p'\nkind = 'rtmp_push'\nurl = 'rtmp://h/live/s'\n"
                                     "timeout = '5s'\n"}}};
    EXPECT_EQ(
        mistakes(load_settings("l.toml", world.surroundings())),
        Strings{"l.toml:5:11: probe.timeout: a run of this probe takes 5s when all is well: expected more "
                "than that, found 5s"});
}

TEST(Example, EveryExampleInItIsRightAndShowsTheDefaults) {
    const Loaded loaded = load_example(true);
    ASSERT_EQ(mistakes(loaded), Strings{});
    const Settings defaults;
    EXPECT_EQ(loaded.settings.state_directory, defaults.state_directory);
    EXPECT_EQ(loaded.settings.max_concurrent_probes, defaults.max_concurrent_probes);
    EXPECT_EQ(loaded.settings.max_loop_lag, defaults.max_loop_lag);
    EXPECT_EQ(loaded.settings.reference, defaults.reference);
    EXPECT_EQ(loaded.settings.web_listen, defaults.web_listen);
    EXPECT_EQ(loaded.settings.dns_servers, defaults.dns_servers);
    const std::string text = read_text(LIVECANARY_SOURCE_DIR "/config/livecanary.toml");
    std::size_t examples = 0;
    for (auto at = text.find("#[[probe]]\n"); at != text.npos; at = text.find("#[[probe]]\n", at + 1))
        ++examples;
    ASSERT_EQ(loaded.settings.probes.size(), examples + 1);  // and the reference probe
    const ProbeSettings untouched;
    const ProbeSettings& second = loaded.settings.probes[1];  // has what [defaults] says
    EXPECT_EQ(second.interval, untouched.interval);
    EXPECT_EQ(second.timeout, untouched.timeout);
    EXPECT_EQ(second.fail_after, untouched.fail_after);
    EXPECT_EQ(second.recover_after, untouched.recover_after);
}

TEST(BadConfig, IsRefusedInTheWordsExpected) {
    std::size_t cases = 0;
    for (const auto& entry : std::filesystem::directory_iterator(LIVECANARY_TESTDATA "/bad_config")) {
        if (entry.path().extension() != ".toml") continue;
        ++cases;
        const std::string name = entry.path().filename();
        const FakeWorld world{.files = {{name, read_text(entry.path())}}};
        const Loaded loaded = load_settings(name, world.surroundings(), test::fake_kinds);
        std::string lines;
        for (const std::string& line : mistakes(loaded)) lines += line + '\n';
        EXPECT_EQ(lines, read_text(std::filesystem::path(entry.path()).replace_extension(".txt"))) << name;
        EXPECT_FALSE(loaded.ok()) << name;
    }
    EXPECT_GT(cases, 0);
}

}  // namespace
}  // namespace livecanary::daemon
