#include "daemon/doctor.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include <boost/json/serialize.hpp>

namespace livecanary::daemon {
namespace {

using namespace std::chrono_literals;
using Level = Finding::Level;
using Lines = std::vector<std::string>;

Lines lines(const Findings& findings) {
    Lines all;
    for (const auto& finding : findings) all.push_back(to_line(finding));
    return all;
}

/// Of one of them, its beginning is enough.
std::string level_and_what(const Findings& findings, std::size_t at = 0) {
    return to_line({findings.at(at).level, findings.at(at).check, findings.at(at).what});
}

TEST(Doctor, LinesAndJson) {
    const Finding finding{Level::warn, "clock", "it is off", "signatures", "set it"};
    EXPECT_EQ(to_line(finding), "warn clock: it is off - signatures - set it");
    EXPECT_EQ(to_line({Level::ok, "clock", "fine"}), "ok   clock: fine");
    EXPECT_EQ(boost::json::serialize(to_json(finding)),
              R"({"level":"warn","check":"clock","what":"it is off","why":"signatures","todo":"set it"})");
}

TEST(Doctor, AClockThatIsRight) {
    const ClockFacts facts{.known = true,
                           .synchronized = true,
                           .offset = -0.2ms,
                           .largest_error = 15ms,
                           .anchors = {{"https://www.example.org/", 0.4s, ""}}};
    EXPECT_EQ(lines(check_clock(facts)),
              (Lines{"ok   clock: synchronised, 0.2 ms to correct, wrong by 15 ms at most",
                     "ok   clock: as https://www.example.org/ has it, to some seconds"}));
}

TEST(Doctor, AClockThatIsNot) {
    EXPECT_EQ(level_and_what(check_clock({})),
              "warn clock: the kernel does not say whether it is synchronised");
    EXPECT_EQ(level_and_what(check_clock({.known = true})), "warn clock: not synchronised");
    EXPECT_EQ(level_and_what(check_clock({.known = true, .synchronized = true}), 1),
              "warn clock: not compared with anybody's");
    const auto off_by = [](std::chrono::duration<double> ahead) {
        return level_and_what(
            check_clock({.known = true, .synchronized = true, .anchors = {{"http://a/", ahead, ""}}}), 1);
    };
    EXPECT_EQ(off_by(4.9s), "ok   clock: as http://a/ has it, to some seconds");
    EXPECT_EQ(off_by(5s), "warn clock: 5.0 s ahead of http://a/");
    EXPECT_EQ(off_by(-59s), "warn clock: 59.0 s behind http://a/");
    EXPECT_EQ(off_by(-60s), "fail clock: 60.0 s behind http://a/");
    EXPECT_EQ(
        level_and_what(check_clock({.known = true, .anchors = {{"http://a/", {}, "Connection refused"}}}), 1),
        "warn clock: cannot be compared with http://a/ (Connection refused)");
    // Years off, there is no certificate that is accepted, and so no time to compare with.
    const auto refused = check_clock({.known = true, .anchors = {{"https://a/", {}, "expired", true}}}).at(1);
    EXPECT_EQ(refused.what, "cannot be compared with https://a/ (expired)");
    EXPECT_EQ(refused.why, "a clock that is far off makes each certificate look expired, or not yet valid");
    EXPECT_EQ(refused.todo, "see date -u first, then the certificate");
}

TEST(Doctor, Resolver) {
    EXPECT_EQ(level_and_what(check_resolver({}, false)), "fail resolver: there is no name server");
    EXPECT_EQ(level_and_what(check_resolver({{"192.0.2.1", "a.example", true, false, "", 3ms}}, false)),
              "ok   resolver: 192.0.2.1 knows a.example, 3 ms");
    EXPECT_EQ(level_and_what(check_resolver({{"192.0.2.1", "", true, false, "", 3ms}}, false)),
              "ok   resolver: 192.0.2.1 answers, 3 ms");
    EXPECT_EQ(level_and_what(check_resolver({{"192.0.2.1", "a.example", true, true, "", 3ms}}, false)),
              "warn resolver: 192.0.2.1 answers that there is no a.example");
    const auto silent = check_resolver({{"192.0.2.1", "a.example", false, false, "no answer", 3s}}, true);
    EXPECT_EQ(to_line(silent.at(0)),
              "fail resolver: 192.0.2.1 does not answer (no answer) - each lookup waits for it before it "
              "asks the next "
              "one - see whether it runs and UDP port 53 is open, or take it out of [dns] servers");
}

TEST(Doctor, Limits) {
    // 16 a run and 200 besides.
    EXPECT_EQ(level_and_what(check_limits({.open_files = 1000, .runs_at_once = 50})),
              "ok   limits: open files: 1000, enough for 50 runs at once");
    EXPECT_EQ(to_line(check_limits({.open_files = 999, .runs_at_once = 50}).at(0)),
              "warn limits: open files: 999 - 50 runs at once may need 1000 - LimitNOFILE=8192 in the unit, "
              "or ulimit -n, "
              "or a smaller max_concurrent_probes");
    EXPECT_EQ(level_and_what(check_limits({.open_files = 1000}), 1),
              "ok   limits: memory lock: not needed, there is no swap space on a disk");
    EXPECT_EQ(level_and_what(check_limits({.swaps = true, .locked_memory = 64 * 1024}), 1),
              "warn limits: there is swap space, and memory is not locked (64 KiB may be)");
}

SecretPlace secret(SecretPlace::Source source, const std::string& where, const std::string& value,
                   const std::string& error = "") {
    SecretPlace place;
    place.name = "push-main.push_key";
    place.source = source;
    place.where = where;
    place.path = source == SecretPlace::Source::file ? where : "";
    place.file = "l.toml";
    place.at = {7, 1};
    place.value = config::Secret(value);
    place.error = error;
    return place;
}

TEST(Doctor, Credentials) {
    using Source = SecretPlace::Source;
    const auto of = [](const SecretPlace& place, unsigned mode = 0400, bool systemd = false) {
        return check_credentials({place}, {{.path = "/k", .exists = true, .mode = mode}}, systemd).at(0);
    };
    EXPECT_EQ(lines(check_credentials({}, {}, false)),
              Lines{"ok   credentials: the configuration has no secret"});
    EXPECT_EQ(to_line(of(secret(Source::file, "/k", "123456"))),
              "ok   credentials: push-main.push_key: file /k");
    EXPECT_EQ(to_line(of(secret(Source::file, "/k", "123456"), 0440)),
              "warn credentials: push-main.push_key: file /k has mode 0440 - others can read the key - chmod "
              "0400 /k");
    EXPECT_EQ(of(secret(Source::file, "/k", "123456"), 0620).level, Level::fail);
    EXPECT_EQ(to_line(of(secret(Source::file, "/k", "", "No such file or directory"))),
              "fail credentials: push-main.push_key: file /k: No such file or directory - what it signs or "
              "opens cannot "
              "be probed - see path, owner and mode of the file: l.toml:7");
    EXPECT_EQ(of(secret(Source::env, "KEY", "123456")).what, "push-main.push_key: environment variable KEY");
    EXPECT_EQ(of(secret(Source::plain, "", "123456")).level, Level::warn);
    auto hash = secret(Source::plain, "", "$2y$10$abcdefghijklmnopqrstuv");
    hash.name = "web.users.alice";
    EXPECT_EQ(to_line(of(hash)), "ok   credentials: web.users.alice: a bcrypt hash in l.toml:7");
    const auto short_one = of(secret(Source::env, "KEY", "12345"));
    EXPECT_EQ(short_one.level, Level::warn);
    EXPECT_EQ(short_one.what, "push-main.push_key: environment variable KEY holds fewer than 6 characters");
    const auto missing = secret(Source::credential, "push-key", "", "$CREDENTIALS_DIRECTORY is not set");
    EXPECT_NE(of(missing).todo.find("CREDENTIALS_DIRECTORY=/run/credentials/livecanary.service"),
              std::string::npos);
    EXPECT_EQ(of(missing, 0400, true).todo, "LoadCredential=push-key:PATH in the unit");
    // What it holds is told nowhere.
    for (const auto source : {Source::plain, Source::env, Source::file, Source::credential})
        EXPECT_EQ(to_line(of(secret(source, "/k", "s3cr3tvalue"), 0666)).find("s3cr3tvalue"),
                  std::string::npos);
}

TEST(Doctor, Permissions) {
    const PlaceFacts state{.path = "/s", .exists = true, .directory = true, .mode = 0700, .writable = true};
    const auto file = [&](unsigned mode) {
        return level_and_what(check_permissions({{.path = "/l.toml", .exists = true, .mode = mode}}, state));
    };
    EXPECT_EQ(file(0640), "ok   permissions: /l.toml has mode 0640");
    EXPECT_EQ(file(0644), "warn permissions: /l.toml has mode 0644");
    EXPECT_EQ(file(0660), "fail permissions: /l.toml has mode 0660");
    EXPECT_EQ(level_and_what(check_permissions({{.path = "/l.toml", .trouble = "Permission denied"}}, state)),
              "fail permissions: /l.toml: Permission denied");
    const auto of_state = [](PlaceFacts facts) {
        facts.path = "/s";
        return level_and_what(check_permissions({}, facts));
    };
    EXPECT_EQ(of_state(state), "ok   permissions: state directory /s can be written, mode 0700");
    EXPECT_EQ(of_state({.trouble = "No such file or directory"}),
              "fail permissions: state directory /s: No such file or directory");
    EXPECT_EQ(of_state({.exists = true}), "fail permissions: state directory /s is no directory");
    EXPECT_EQ(of_state({.exists = true, .directory = true, .mode = 0700, .trouble = "Read-only file system"}),
              "fail permissions: state directory /s cannot be written by this user: Read-only file system");
    EXPECT_EQ(of_state({.exists = true, .directory = true, .mode = 0755, .writable = true}),
              "warn permissions: state directory /s has mode 0755");
}

TEST(Doctor, Sandbox) {
    EXPECT_EQ(unit_of("0::/system.slice/livecanary.service\n"), "livecanary.service");
    EXPECT_EQ(unit_of("9:name=systemd:/\n1:name=x:/system.slice/a.service/sub\n0::/\n"), "a.service");
    EXPECT_EQ(unit_of("0::/user.slice/user-0.slice/session-1.scope\n"), "");
    const auto well = check_sandbox({.daemon = true,
                                     .process = "42",
                                     .status = "Name:\tlivecanary\nUid:\t990\t990\t990\t990\nCapEff:"
                                               "\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2\n",
                                     .cgroup = "0::/system.slice/livecanary.service\n"});
    EXPECT_TRUE(std::ranges::all_of(well, [](const auto& finding) { return finding.level == Level::ok; }));
    EXPECT_EQ(well.size(), 5U);
    EXPECT_EQ(well.at(0).what, "the daemon (process 42) runs in livecanary.service");
    const auto bare =
        check_sandbox({.status = "Uid:\t0\t0\t0\t0\nCapEff:\t000001fffeffffff\nNoNewPrivs:\t0\nSeccomp:\t0\n",
                       .cgroup = "0::/\n"});
    EXPECT_TRUE(std::ranges::all_of(bare, [](const auto& finding) { return finding.level == Level::warn; }));
    EXPECT_EQ(bare.size(), 5U);
    EXPECT_EQ(bare.at(1).what, "this command runs as root");
}

}  // namespace
}  // namespace livecanary::daemon
