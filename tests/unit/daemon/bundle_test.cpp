#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <future>
#include <map>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "daemon/bundle_archive.hpp"
#include "daemon/bundle_command.hpp"
#include "daemon/bundle_cover.hpp"
#include "daemon/bundle_logs.hpp"
#include "daemon/bundle_sources.hpp"
#include "daemon/config_facts.hpp"
#include "daemon/store.hpp"
#include "tests/support/fake_kind.hpp"
#include "tests/support/http_server.hpp"
#include "tests/support/toml_text.hpp"
#include "tests/unit/daemon/state_folder.hpp"

namespace livecanary::daemon {
namespace {

namespace json = boost::json;
using namespace std::chrono_literals;
using livecanary::test::FakeWorld;
using livecanary::test::ScriptedHttpServer;

// --- the archive

TEST(BundleArchive, IsReadBackAndByTar) {
    const std::vector<BundleFile> files{{"cover.md", "hello\n"},
                                        {"a/empty", ""},
                                        {"a/block", std::string(512, 'x')},
                                        {"a/more", std::string(70'000, 'y')}};
    const std::string archive = pack(files, 1'764'338'400);
    EXPECT_EQ(archive, pack(files, 1'764'338'400));
    const auto read = unpack(archive);
    ASSERT_TRUE(read);
    ASSERT_EQ(read->size(), files.size());
    for (std::size_t i = 0; i < files.size(); ++i) {
        EXPECT_EQ((*read)[i].name, files[i].name);
        EXPECT_EQ((*read)[i].text, files[i].text);
    }
    const test::StateFolder folder;
    const std::string path = folder.path() / "b.tar.gz";
    std::ofstream(path, std::ios::binary) << archive;
    const std::string command =
        "cd " + folder.path().string() + " && tar xzf b.tar.gz && tar tvzf b.tar.gz > list";
    ASSERT_EQ(std::system(command.c_str()), 0);
    EXPECT_EQ(std::filesystem::file_size(folder.path() / "a/more"), 70'000U);
    std::ostringstream list;
    list << std::ifstream(folder.path() / "list").rdbuf();
    EXPECT_TRUE(list.str().starts_with("-rw------- 0/0")) << list.str();
}

TEST(BundleArchive, DamageIsSeen) {
    const std::vector<BundleFile> files{{"cover.md", "hello\n"}};
    const std::string archive = pack(files, 0);
    for (std::size_t size = 0; size < archive.size(); ++size)
        EXPECT_FALSE(unpack(archive.substr(0, size))) << size;
    EXPECT_FALSE(unpack(archive, 100));
    EXPECT_THROW(pack(std::vector<BundleFile>{{std::string(101, 'n'), ""}}, 0), std::length_error);
    EXPECT_THROW(pack(std::vector<BundleFile>{{"", ""}}, 0), std::length_error);
}

TEST(BundleArchive, ASecretThatIsLeftIsFound) {
    std::vector<NamedSecret> secrets;
    secrets.push_back({"push-main.push_key", config::Secret("s3cr3t-value")});
    const Redactor redactor(std::move(secrets));
    EXPECT_TRUE(secrets_left(redactor, pack(std::vector<BundleFile>{{"a", "nothing"}}, 0)).empty());
    EXPECT_EQ(secrets_left(redactor, pack(std::vector<BundleFile>{{"a", "x%733cr3t-value"}}, 0)),
              std::vector<std::string>{"push-main.push_key in a"});
    EXPECT_EQ(secrets_left(redactor, pack(std::vector<BundleFile>{{"s3cr3t-value", ""}}, 0)),
              std::vector<std::string>{"push-main.push_key in the name of a file"});
    EXPECT_EQ(secrets_left(redactor, "no archive"),
              std::vector<std::string>{"the archive cannot be read back"});
}

TEST(BundleJson, StaysJsonAndIsReadable) {
    std::vector<NamedSecret> secrets;
    secrets.push_back({"k", config::Secret("123456")});
    secrets.push_back({"q", config::Secret("a\"b\\c,d")});
    const Redactor redactor(std::move(secrets));
    const auto value =
        json::parse(R"({"123456": 1, "n": 123456, "f": 0.5, "s": ["x a\"b\\c,d", {}, [], true, null]})");
    EXPECT_EQ(pretty(redacted(redactor, value)),
              "{\n  \"[redacted k 1]\": 1,\n  \"n\": \"[redacted k 1]\",\n  \"f\": 5E-1,\n  \"s\": [\n    "
              "\"x [redacted q "
              "2]\",\n    {},\n    [],\n    true,\n    null\n  ]\n}\n");
}

// --- what the configuration tells

TEST(ConfigFacts, WhereEachSecretComesFrom) {
    const FakeWorld world{.files = {{"l.toml", R"([alerting]
password = { env = "AM" }
[[probe]]
name = "push-main"
kind = "fake"
url = "x"
push_key = { file = "keys/push" }
playback = [{ url = "y", key = { credential = "play" } }]
[[probe]]
name = "log"
kind = "log_keywords"
paths = ["/a/*.log", "/b"]
)"},
                                    {"conf.d/a.toml",
                                     "[[probe]]\nname = \"c\"\nkind = \"fake\"\nurl = \"x\"\n"
                                     "push_key = \"plain-one\"\n"},
                                    {"keys/push", "from-a-file\n"}},
                          .variables = {{"AM", "from-env"}}};
    std::vector<config::Mistake> mistakes{
        {.file = "conf.d/a.toml", .at = {5, 12}, .warning = true, .place = config::Place::secret}};
    const auto facts = read_config_facts("l.toml", world.surroundings(), mistakes);
    std::vector<std::string> found;
    for (const auto& place : facts.secrets)
        found.push_back(place.name + '|' + place.where + '|' + place.file + ':' +
                        std::to_string(place.at.line) + '|' + place.value.reveal() + '|' + place.error);
    std::ranges::sort(found);
    EXPECT_EQ(found, (std::vector<std::string>{
                         "alerting.password|AM|l.toml:2|from-env|", "c.push_key||conf.d/a.toml:5|plain-one|",
                         "push-main.playback.1.key|play|l.toml:8||$CREDENTIALS_DIRECTORY is not set",
                         "push-main.push_key|keys/push|l.toml:7|from-a-file|"}))
        << testing::PrintToString(found);
    ASSERT_EQ(facts.logs.size(), 1U);
    EXPECT_EQ(facts.logs[0].probe, "log");
    EXPECT_EQ(facts.logs[0].paths, (std::vector<std::string>{"/a/*.log", "/b"}));
}

// --- the lines of logs

TEST(BundleLogs, StampsInAnyOfThreeZones) {
    const WallTime time = std::chrono::sys_days(std::chrono::year(2026) / 11 / 28) + 14h + 3min + 7s;
    for (const char* line :
         {"2026-11-28 14:03:07 x", "[2026-11-28T14:04:07Z] x", "2026-11-28 22:02:07,123 x",
          "10.0.0.1 - - 2026-11-28 22:03:00", "2026/11/28 22:03:07 [error] 7#7: x",
          "[28-Nov-2026 14:03:07 UTC] PHP Fatal error", "[28-Nov-2026 22:03:07 Asia/Shanghai] x",
          "10.0.0.1 - - [28/Nov/2026:22:03:07 +0800] \"GET /\""})
        EXPECT_TRUE(is_stamped_within(line, {time})) << line;
    for (const char* line :
         {"2026-11-28 14:04:08 x", "2026-11-28 13:03:07", "2026-13-28 14:03:07", "no time", "2026-11-28",
          "2026-11-28 ab:cd:ef", "[28-Nov-2026 14:04:08 UTC] x", "[28-Noc-2026 14:03:07 UTC] x",
          "[28-ovD-2026 14:03:07 UTC] x", "[28-No-2026 014:03:07 UTC] x"})
        EXPECT_FALSE(is_stamped_within(line, {time})) << line;
    EXPECT_FALSE(is_stamped_within("2026-11-28 14:03:07", {}));
    EXPECT_FALSE(is_stamped_within(std::string(80, ' ') + "2026-11-28 14:03:07", {time}));
}

TEST(BundleLogs, TheLinesThatAreMeantAndBounds) {
    const test::StateFolder folder;
    const std::string first = folder.path() / "a.log", second = folder.path() / "b.log";
    std::ofstream(first) << "one\nstream canary-1234 pushed\ntwo\nlast of canary-1234";
    {
        std::ofstream large(second);
        for (int i = 0; i < 60'000; ++i) large << "canary-1234 " << i << ' ' << std::string(80, 'x') << '\n';
        large << "canary-1234 " << std::string(5000, 'y') << '\n';
    }
    std::ofstream(folder.path() / "c.log.gz") << "canary-1234";
    const auto excerpts =
        read_logs({{.probe = "log", .paths = {folder.path() / "*.log*", first, folder.path() / "none"}}},
                  {.words = {"canary-1234"}});
    ASSERT_EQ(excerpts.size(), 2U);
    EXPECT_EQ(excerpts[0].path, first);
    EXPECT_EQ(excerpts[0].lines,
              (std::vector<std::string>{"stream canary-1234 pushed", "last of canary-1234"}));
    EXPECT_EQ(excerpts[0].note, "");
    EXPECT_EQ(excerpts[1].lines.size(), most_log_lines);
    EXPECT_EQ(excerpts[1].lines.back().size(), most_log_line + 6);
    EXPECT_TRUE(excerpts[1].lines.back().ends_with(" [cut]"));
    EXPECT_TRUE(excerpts[1].note.starts_with("only its last 4 MiB were read; of ")) << excerpts[1].note;
}

TEST(BundleLogs, ALineIsNotCutWithinAnEscape) {
    const test::StateFolder folder;
    const std::string path = folder.path() / "a.log";
    const std::string before = "canary-1234 " + std::string(most_log_line - 14, 'y');
    std::ofstream(path) << before << "%2Fand so on\n" << before << "\\u002f\n";
    const auto excerpts = read_logs({{.probe = "log", .paths = {path}}}, {.words = {"canary-1234"}});
    ASSERT_EQ(excerpts.size(), 1U);
    EXPECT_EQ(excerpts[0].lines, (std::vector<std::string>{before + " [cut]", before + " [cut]"}));
}

TEST(BundleLogs, APipeIsNotWaitedFor) {
    const test::StateFolder folder;
    const std::string path = folder.path() / "a.log";
    ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
    EXPECT_TRUE(read_logs({{.probe = "log", .paths = {path}}}, {.words = {"x"}}).empty());
}

// --- the cover

json::value failed_result() {
    return json::parse(R"({"run_id":"0a518a8db024ca43","probe":"push-main","kind":"rtmp_push",
        "target":"rtmp://push.example.com/live/canary","location":"sh","started":"2026-11-28T14:03:07.120Z",
        "duration_seconds":0.5,"outcome":"failed","phase":"publish","reason":"closed","cause":"push_wrong_hotlink_key",
        "class":null,"because":"the backup key is accepted","candidates":[],
        "controls":[{"name":"backup_key","outcome":"passed","shows":"accepted"}],
        "evidence":[{"phase":"publish","what":"stream","got":"canary-sh-0a518a8d"},
                    {"phase":"publish","what":"clientid","got":"8231"},
                    {"phase":"put","what":"request_id","got":"put NjQxYjJjM2RfNGU1Zg=="}],
        "fix":{"en":"Set PUSH_URL_KEY.","zh":"设置 PUSH_URL_KEY。"},"phases":[],"values":{}})");
}

TEST(BundleCover, IdsFirstThenWhatIsBrokenInBothLanguages) {
    BundleParts parts;
    parts.results.push_back(failed_result());
    parts.runs["push-main"] = json::parse(R"([{"outcome":"failed","started":"2026-11-28T14:03:07.120Z"},
        {"outcome":"inconclusive","started":"2026-11-28T14:02:37.000Z"},
        {"outcome":"failed","started":"2026-11-28T14:02:07.000Z"},{"outcome":"ok","started":"2026-11-28T14:01:37.000Z"}])")
                                  .as_array();
    parts.origins.push_back({"last results", "最近的结果", "the API", "API"});
    CoverFacts facts{.probe = "push-main",
                     .location = "sh",
                     .version = "0.1.0",
                     .parts = &parts,
                     .files = {"results/push-main.json"},
                     .uncertain = {"db.password"},
                     .redacted = 3,
                     .log_lines = 2};
    facts.made = *parse_rfc3339("2026-11-28T14:05:00.000Z");
    const std::string page = cover(facts);
    std::size_t at = 0;
    for (const char* text : {"# livecanary bundle: push-main",
                             "2026-11-28 22:05:00 +08:00",
                             "## Quote these to the vendor",
                             "| push-main | 2026-11-28T14:03:07.120Z (2026-11-28 22:03:07 +08:00) | RTMP "
                             "clientid | `8231` | 0a518a8db024ca43 |",
                             "x-cos-request-id | `put NjQxYjJjM2RfNGU1Zg==`",
                             "## What is broken",
                             "**since**: 2026-11-28T14:02:07.000Z",
                             "(publish: closed)",
                             "`push_wrong_hotlink_key`: proven",
                             "**because**: the backup key is accepted",
                             "**fix**: Set PUSH_URL_KEY.",
                             "**ask**: Of the live platform",
                             "| control | backup_key | passed: accepted |",
                             "- last results: the API",
                             "- log lines: 2",
                             "- `results/push-main.json`",
                             "each of 3 places",
                             "Shorter than 6 characters",
                             "`db.password`",
                             "\n---\n",
                             "# livecanary 诊断包：push-main",
                             "## 向厂商提供这些 ID",
                             "## 故障",
                             "推流",
                             "设置 PUSH_URL_KEY。",
                             "向直播平台询问",
                             "## 各部分的来源",
                             "## 已移除的内容",
                             "`db.password`"}) {
        const auto found = page.find(text, at);
        ASSERT_NE(found, std::string::npos) << text << "\nafter\n" << page.substr(at);
        at = found;
    }
    EXPECT_EQ(page.find("or earlier"), std::string::npos);
}

TEST(BundleCover, NothingFailedAndNoResults) {
    BundleParts parts;
    CoverFacts facts{.parts = &parts};
    EXPECT_NE(cover(facts).find("There are no results in this bundle"), std::string::npos);
    parts.results.push_back(json::parse(R"({"probe":"a","outcome":"ok"})"));
    parts.results.push_back(json::parse(R"({"probe":"b","outcome":"inconclusive"})"));
    const std::string page = cover(facts);
    EXPECT_NE(page.find("Nothing failed"), std::string::npos);
    EXPECT_NE(page.find("No answer carried a request id"), std::string::npos);
    EXPECT_NE(page.find("- ok: a\n- inconclusive (proves nothing): b"), std::string::npos);
}

TEST(BundleCover, FailingSince) {
    const auto since = [](const char* runs) {
        const auto found = failing_since(json::parse(runs).as_array());
        return found.time + (found.at_least ? " or earlier" : "");
    };
    EXPECT_EQ(since("[]"), "");
    EXPECT_EQ(since(R"([{"outcome":"ok","started":"3"},{"outcome":"failed","started":"2"}])"), "");
    EXPECT_EQ(since(R"([{"outcome":"failed","started":"3"},{"outcome":"failed","started":"2"}])"),
              "2 or earlier");
    EXPECT_EQ(since(R"([{"outcome":"failed","started":"3"},{"outcome":"ok","started":"2"}])"), "3");
}

TEST(BundleCover, WordsOfLogLines) {
    const auto words = words_of(json::array{failed_result()});
    EXPECT_EQ(words,
              (std::vector<std::string>{"0a518a8db024ca43", "NjQxYjJjM2RfNGU1Zg==", "canary-sh-0a518a8d"}));
}

// --- the whole

Probe make_log(config::Reader& in) {
    std::vector<std::string> paths;
    in.optional("paths", paths);
    Probe probe;
    probe.target = "logs";
    return probe;
}
constexpr Kind fake_log{.name = "log_keywords", .phases = {}, .values = {}, .make = make_log};
constexpr std::array<const Kind*, 3> bundle_kinds{&livecanary::test::fake_kind, &livecanary::test::other_kind,
                                                  &fake_log};

/// Answers as the daemon's API does, on a thread of its own.
class FakeDaemonApi {
public:
    explicit FakeDaemonApi(livecanary::test::HttpPages pages) : pages_(std::move(pages)) {
        server_.emplace(io_, livecanary::test::by_path(pages_));
        thread_ = std::thread([this] { io_.run(); });
    }
    ~FakeDaemonApi() {
        boost::asio::post(io_, [this] {
            server_.reset();
            work_.reset();
        });
        thread_.join();
    }
    FakeDaemonApi(const FakeDaemonApi&) = delete;
    FakeDaemonApi& operator=(const FakeDaemonApi&) = delete;
    std::string url() const { return "http://127.0.0.1:" + std::to_string(server_->port()); }
    /// How many requests came.
    std::size_t heard() {
        std::promise<std::size_t> number;
        boost::asio::post(io_, [&] { number.set_value(server_->heard().size()); });
        return number.get_future().get();
    }

private:
    boost::asio::io_context io_{};
    boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_{io_.get_executor()};
    livecanary::test::HttpPages pages_;
    std::optional<ScriptedHttpServer> server_{};
    std::thread thread_{};
};

livecanary::test::HttpReply data(const json::value& value) {
    return livecanary::test::http_says::page(
        json::serialize(json::object{{"status", "success"}, {"data", value}}), "application/json");
}

class Bundle : public testing::Test {
protected:
    struct Made {
        int code = 0;
        std::string out{}, err{};
    };
    Made make(BundleCommand command, const FakeWorld& world) const {
        command.config_file = "l.toml";
        if (command.daemon_url.empty()) command.daemon_url = "http://127.0.0.1:1";
        std::ostringstream out, err;
        const int code = bundle(out, err, command, world.surroundings(), bundle_kinds);
        return {code, out.str(), err.str()};
    }
    FakeWorld world(const std::string& more = "") const {
        return {
            .files = {{"l.toml",
                       "[daemon]\nstate_directory = \"" + (folder.path() / "state").string() +
                           "\"\nreference = false\n[[probe]]\nname = \"push-main\"\nkind = \"fake\"\nurl = "
                           "\"x\"\npush_key = { file = \"key\" }\n" +
                           more},
                      {"key", key}}};
    }
    std::string path(const std::string& name) const { return (folder.path() / name).string(); }
    static std::map<std::string, std::string> files_of(const std::string& archive) {
        std::map<std::string, std::string> files;
        for (const auto& file : unpack(archive).value_or(std::vector<BundleFile>{}))
            files[file.name] = file.text;
        return files;
    }
    static std::string read(const std::string& name) {
        std::ostringstream text;
        text << std::ifstream(name, std::ios::binary).rdbuf();
        return text.str();
    }

    const std::string key = "Th1s-is/the+push key";
    test::StateFolder folder{};
};

TEST_F(Bundle, SecretsPlantedEverywhereAreGoneAndIdsAreThere) {
    const std::string in_base64 = "VGgxcy1pcy90aGUrcHVzaCBrZXk=", in_percent = "Th1s-is%2Fthe%2Bpush%20key",
                      in_hex = "546831732d69732f7468652b70757368206b6579";
    const std::string log = path("app-" + in_hex + ".log");  // what is called after a key
    std::ofstream(log) << "canary-sh-0a518a8d pushed with " << key
                       << "\n2026-11-28 22:03:10 sign=99aa88bb77cc66dd\n"
                       << "2026-11-28 22:03:11 and 99aa88bb77cc66dd again, " << in_base64 << "\n"
                       << "2026-11-28 22:03:12 wrapped Th1s-is/the\n2026 unrelated\n"
                       << "canary-sh-0a518a8d token was {\"token\":\"" << in_percent << "\"} by 13912345678\n"
                       << "canary-sh-0a518a8d half Th1s-is/the\n   +push key canary-sh-0a518a8d\n";
    auto result = failed_result();
    result.as_object()["evidence"].as_array().push_back(
        {{"phase", "publish"}, {"what", "answer"}, {"got", "no " + key + " " + in_hex}});
    result.as_object()["evidence"].as_array().push_back(
        {{"phase", "put"}, {"what", "trace_id"}, {"got", "put T-" + key + "-1"}});
    const FakeDaemonApi api(
        {{"/api/v1/probes", data({{"probes", json::array{result, json::value{{"probe", "stranger"}}}}})},
         {"/api/v1/probes/push-main/runs",
          data({{"runs", json::array{json::value{{"outcome", "failed"},
                                                 {"started", "2026-11-28T14:03:07.120Z"},
                                                 {"note", in_percent}}}}})},
         {"/api/v1/incidents",
          data({{"incidents",
                 json::array{json::value{{"id", "00ff"},
                                         {"probes", json::array{json::value{{"probe", "push-main"}}}}},
                             json::value{{"id", "strange"},
                                         {"probes", json::array{json::value{{"probe", "stranger"}}}}}}}})},
         {"/api/v1/incidents/00ff",
          data({{"id", "00ff"},
                {"opened", "2026-11-28T12:00:00.000Z"},
                {"sentence", "with " + key},
                {"probes",
                 json::array{json::value{
                     {"probe", "push-main"}, {"since", "2026-11-28T12:34:56.000Z"}, {"until", nullptr}}}}})},
         {"/api/v1/status", data({{"config", in_base64}})}});
    auto planted = world("[[probe]]\nname = \"log\"\nkind = \"log_keywords\"\npaths = [\"" + path("*.log") +
                         "\"]\n# once it was " + key + "\n# and " + in_base64 + " or " + in_percent +
                         "\n#old_password = \"hunter2hunter\"\n# Th1s-is/the\n#   +push key\n");
    planted.files["conf.d/" + key.substr(8) + ".toml"] = "# " + in_hex + "\n";  // a part of it is no secret
    const auto made = make({.output = path("b.tar.gz"), .daemon_url = api.url()}, planted);
    ASSERT_EQ(made.code, 0) << made.err;
    const auto files = files_of(read(path("b.tar.gz")));
    for (const auto& [name, text] : files)
        for (const std::string& secret :
             {key, in_base64, in_percent, in_hex, std::string("Th1s-is/the"), std::string("99aa88bb77cc66dd"),
              std::string("hunter2hunter"), std::string("13912345678")}) {
            // One line of the log and one of the comment are whole words of the key, but not followed by its
            // rest.
            if (secret == "Th1s-is/the" && name.starts_with("logs/")) continue;
            EXPECT_EQ(text.find(secret), std::string::npos) << secret << " in " << name << ":\n" << text;
            EXPECT_EQ(name.find(secret), std::string::npos);
        }
    // Everything else is there.
    EXPECT_EQ(files.begin()->first, "config/conf.d/" + std::string("the+push key.toml"));
    const std::string& cover_page = files.at("cover.md");
    for (const char* text :
         {"x-cos-request-id | `put NjQxYjJjM2RfNGU1Zg==`", "`8231`", "**since**: 2026-11-28T12:34:56.000Z",
          "push_wrong_hotlink_key", "the API of the running daemon at http://127.0.0.1:"})
        EXPECT_NE(cover_page.find(text), std::string::npos) << text << '\n' << cover_page;
    const std::string& config = files.at("config/l.toml");
    EXPECT_NE(config.find("push_key = { file = \"key\" }"), std::string::npos) << config;
    EXPECT_EQ(std::ranges::count(config, '\n'), std::ranges::count(planted.files.at("l.toml"), '\n'));
    const auto parsed = json::parse(files.at("results/push-main.json"));
    EXPECT_EQ(parsed.at("run_id").as_string(), "0a518a8db024ca43");
    EXPECT_TRUE(files.contains("runs/push-main.json"));
    EXPECT_TRUE(files.contains("incidents.json"));
    EXPECT_TRUE(files.contains("status.json"));
    EXPECT_TRUE(files.contains("versions.txt"));
    EXPECT_FALSE(files.contains("results/stranger.json"));
    const std::string& lines = files.at("logs/log/app-[redacted push-main.push_key 1].log");
    EXPECT_NE(lines.find("canary-sh-0a518a8d pushed with [redacted push-main.push_key 1]\n"),
              std::string::npos)
        << lines;
    EXPECT_NE(lines.find("sign=[redacted token"), std::string::npos) << lines;
    EXPECT_EQ(lines.find("unrelated"), std::string::npos) << lines;
}

TEST_F(Bundle, AFileOfOnesOwnThatIsNotReplaced) {
    EXPECT_EQ(make({.output = path("b.tar.gz")}, world()).code, 0);
    struct stat facts {};
    ASSERT_EQ(::stat(path("b.tar.gz").c_str(), &facts), 0);
    EXPECT_EQ(facts.st_mode & 07777U, 0600U);
    const auto again = make({.output = path("b.tar.gz")}, world());
    EXPECT_EQ(again.code, 1);
    EXPECT_EQ(again.err, "livecanary: " + path("b.tar.gz") + " is there already: --force replaces it\n");
    EXPECT_EQ(make({.output = path("b.tar.gz"), .force = true}, world()).code, 0);
    // Nothing temporary is left beside it.
    std::size_t count = 0;
    for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder.path())) ++count;
    EXPECT_EQ(count, 1U);
}

TEST_F(Bundle, OnlyAFileIsReplaced) {
    const std::string pipe = path("pipe"), link = path("link"), file = path("file"),
                      to_file = path("to_file");
    ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
    std::filesystem::create_symlink(pipe, link);
    for (const auto& name : {pipe, link}) {
        const auto made = make({.output = name, .force = true}, world());
        EXPECT_EQ(made.code, 1);
        EXPECT_EQ(made.err, "livecanary: " + name +
                                " is no ordinary file, and is not replaced: -o - writes to stdout\n");
    }
    EXPECT_TRUE(std::filesystem::is_fifo(pipe));
    EXPECT_TRUE(std::filesystem::is_symlink(link));
    // A link is replaced, not what it leads to.
    std::ofstream(file) << "mine";
    std::filesystem::create_symlink(file, to_file);
    EXPECT_EQ(make({.output = to_file, .force = true}, world()).code, 0);
    EXPECT_EQ(read(file), "mine");
    EXPECT_FALSE(std::filesystem::is_symlink(to_file));
}

TEST_F(Bundle, NamesAndLinesThatATerminalWouldObey) {
    const std::string odd = "od\nd\x1b[31m.log",
                      wide = std::string(95 - std::string("logs/log").size(), 'w') + ".log";
    // Cut to what an archive holds, the name begins with the '/' before it.
    const std::string longest = std::string(91, 'w') + ".log";
    std::filesystem::create_directory(path("logs"));
    for (const auto& name : {odd, wide, longest})
        std::ofstream(path("logs/" + name)) << "2026-11-28 22:03:10 \x1b]0;owned\x07 \x7f\r\n";
    const FakeDaemonApi api({{"/api/v1/probes", data({{"probes", json::array{failed_result()}}})}});
    const auto made = make(
        {.output = path("b.tar.gz"), .daemon_url = api.url()},
        world("[[probe]]\nname = \"log\"\nkind = \"log_keywords\"\npaths = [\"" + path("logs/*") + "\"]\n"));
    ASSERT_EQ(made.code, 0) << made.err;
    std::size_t logs = 0;
    for (const auto& [name, text] : files_of(read(path("b.tar.gz")))) {
        EXPECT_FALSE(name.starts_with('/')) << name;
        EXPECT_EQ(name.find_first_of("\n\x1b"), std::string::npos) << name;
        EXPECT_EQ(text.find_first_of("\x1b\x07\x7f"), std::string::npos) << name << text;
        if (!name.ends_with(".log")) continue;
        ++logs;
        EXPECT_NE(text.find("2026-11-28 22:03:10 ?]0;owned? ?\r\n"), std::string::npos) << text;
    }
    EXPECT_EQ(logs, 3U);
}

TEST_F(Bundle, ALineThatIsCutHoldsNoPieceOfAKey) {
    const std::string log = path("a.log");
    // The cut is in the middle of the key.
    std::ofstream(log) << "canary-sh-0a518a8d " << std::string(most_log_line - 19 - 10, '~') << key << '\n';
    const FakeDaemonApi api({{"/api/v1/probes", data({{"probes", json::array{failed_result()}}})}});
    const auto made =
        make({.output = path("b.tar.gz"), .daemon_url = api.url()},
             world("[[probe]]\nname = \"log\"\nkind = \"log_keywords\"\npaths = [\"" + log + "\"]\n"));
    ASSERT_EQ(made.code, 0) << made.err;
    const auto files = files_of(read(path("b.tar.gz")));
    const std::string& lines = files.at("logs/log/a.log");
    EXPECT_EQ(lines.find(key.substr(0, 6)), std::string::npos);
    EXPECT_NE(lines.find("~~~[redacted push-main.push_key 1] [cut]"), std::string::npos);
}

TEST_F(Bundle, SaysWhyThereIsNothingOfTheState) {
    std::filesystem::create_directory(path("state"));
    std::ofstream(path("state/state.sqlite")) << "no database, though it is there";
    const auto made = make({.output = path("b.tar.gz")}, world());
    EXPECT_EQ(made.code, 0);
    const std::string state = path("state/state.sqlite");
    EXPECT_NE(
        made.err.find("nothing of the state is in it: " + state + " cannot be read (file is not a database)"),
        std::string::npos)
        << made.err;
    EXPECT_NE(files_of(read(path("b.tar.gz"))).at("cover.md").find("missing: " + state + " cannot be read"),
              std::string::npos);
    EXPECT_EQ(read(state), "no database, though it is there");
}

TEST_F(Bundle, AnIncidentWhoseResultWasTooLong) {
    StateOptions options;
    options.directory = path("state");
    {
        StateStore store(options);
        store.keep_incident(
            "0a51",
            R"({"id":"0a51","about":"push-main","is_journey":false,"opened":1,"closed":null,"changes_left_out":0,)"
            R"("probes":[{"probe":"push-main","kind":"fake","target":"x","severity":"critical","since":1,)"
            R"("until":null,"ended":"","alerted":null,"failures":2,"confirmed":true,"result":"{}"}],)"
            R"("changes":[{"at":1,"run_id":"0a51","probe":"push-main","phase":"publish","reason":"closed",)"
            R"("cause":"","class":"","sentence":"it closed"}]})");
    }
    const auto made = make({.output = path("b.tar.gz")}, world());
    ASSERT_EQ(made.code, 0) << made.err;
    const auto files = files_of(read(path("b.tar.gz")));
    EXPECT_NE(files.at("incidents.json").find("it closed"), std::string::npos);
    EXPECT_FALSE(files.contains("results/push-main.json"));
}

TEST_F(Bundle, ADaemonThatAnswersNoMoreIsAskedNoMore) {
    livecanary::test::HttpReply hangs_up = livecanary::test::http_says::status(200);
    hangs_up.raw = "";
    hangs_up.then = livecanary::test::HttpThen::finish;
    auto other = failed_result();
    other.as_object()["probe"] = "other";
    FakeDaemonApi api({{"/api/v1/probes", data({{"probes", json::array{failed_result(), other}}})},
                       {"/api/v1/probes/push-main/runs", hangs_up}});
    const auto made = make(
        {.output = path("b.tar.gz"), .daemon_url = api.url()},
        world("[[probe]]\nname = \"other\"\nkind = \"fake\"\nurl = \"x\"\npush_key = { file = \"key\" }\n"));
    ASSERT_EQ(made.code, 0) << made.err;
    EXPECT_EQ(api.heard(), 2U) << "neither for the other's runs, nor for incidents";
    EXPECT_NE(made.err.find("it is not all in it: the daemon at " + api.url() + " answered no more ("),
              std::string::npos)
        << made.err;
    const auto files = files_of(read(path("b.tar.gz")));
    EXPECT_TRUE(files.contains("results/push-main.json"));
    EXPECT_NE(files.at("cover.md").find("missing in part"), std::string::npos);
}

TEST_F(Bundle, CredentialsAreTheDaemons) {
    auto secretive = world();
    auto& config = secretive.files.at("l.toml");
    config.replace(config.find("file = \"key\""), 12, "credential = \"push-key\"");
    const auto made = make({.output = path("b")}, secretive);
    EXPECT_EQ(made.code, 1);
    EXPECT_NE(made.err.find("run it as root with CREDENTIALS_DIRECTORY=/run/credentials/livecanary.service"),
              std::string::npos)
        << made.err;
    secretive.credentials_directory = "/run/credentials/livecanary.service";
    secretive.files["/run/credentials/livecanary.service/push-key"] = key;
    EXPECT_EQ(make({.output = path("b")}, secretive).code, 0);
}

TEST_F(Bundle, CountsThePlacesOfWhatWasTakenOut) {
    auto planted = world();
    planted.files["l.toml"] += "# " + key + "\n# " + key + "\n";
    ASSERT_EQ(make({.output = path("b.tar.gz")}, planted).code, 0);
    const auto files = files_of(read(path("b.tar.gz")));
    EXPECT_NE(files.at("cover.md").find("stands in each of 2 places;"), std::string::npos)
        << files.at("cover.md");
}

TEST_F(Bundle, ToStdout) {
    const auto made = make({.output = "-"}, world());
    EXPECT_EQ(made.code, 0);
    EXPECT_TRUE(files_of(made.out).contains("cover.md"));
    const auto shown = make({.output = "-", .terminal = true}, world());
    EXPECT_EQ(shown.code, 1);
    EXPECT_EQ(shown.out, "");
}

TEST_F(Bundle, SaysWhatIsMissing) {
    const auto made = make({.output = path("b.tar.gz")}, world());
    EXPECT_EQ(made.code, 0);
    EXPECT_NE(made.err.find("there are no results in it: the daemon at http://127.0.0.1:1 does not answer"),
              std::string::npos)
        << made.err;
    const auto files = files_of(read(path("b.tar.gz")));
    EXPECT_NE(files.at("cover.md").find("missing: the daemon at http://127.0.0.1:1 does not answer"),
              std::string::npos);
    EXPECT_NE(files.at("cover.md").find("没有："), std::string::npos);
}

TEST_F(Bundle, OneClearMessageForEachMistake) {
    EXPECT_EQ(make({.probe = "push-man", .output = path("b")}, world()).err,
              "livecanary: there is no probe 'push-man'; did you mean 'push-main'? There are: push-main\n");
    EXPECT_EQ(make({.output = path("no/b")}, world()).err,
              "livecanary: cannot write to " + path("no") + ": No such file or directory\n");
    EXPECT_EQ(make({.output = path("")}, world()).code, 1);
    const auto invalid = make({.output = path("b")}, world("nonsense = 1\n"));
    EXPECT_EQ(invalid.code, 1);
    EXPECT_NE(invalid.err.find("no bundle is made while the configuration is invalid"), std::string::npos);
    if (std::filesystem::exists("/dev/full")) {
        EXPECT_EQ(make({.output = "/dev/full"}, world()).code, 1);
    }
    EXPECT_FALSE(std::filesystem::exists(path("b")));
}

TEST_F(Bundle, ShortSecretsAreSaid) {
    auto with_short = world();
    with_short.files["key"] = "abc";
    const auto made = make({.output = path("b.tar.gz")}, with_short);
    EXPECT_EQ(made.code, 0);
    EXPECT_NE(made.err.find("push-main.push_key is shorter than 6 characters"), std::string::npos)
        << made.err;
}

TEST_F(Bundle, APasswordThatIsAnOrdinaryWord) {
    auto with_word = world();
    with_word.files["key"] = "livecanary";
    const auto made = make({.output = path("b.tar.gz")}, with_word);
    ASSERT_EQ(made.code, 0) << made.err;
    for (const auto& [name, text] : files_of(read(path("b.tar.gz"))))
        EXPECT_EQ(text.find("livecanary"), std::string::npos) << name;
}

TEST(BundleSources, WhereTheDaemonsPagesAre) {
    Settings settings;
    EXPECT_EQ(own_pages(settings), "http://127.0.0.1:9877");
    settings.web_listen = {":9878"};
    EXPECT_EQ(own_pages(settings), "http://127.0.0.1:9878");
    settings.web_listen = {"[::]:1"};
    EXPECT_EQ(own_pages(settings), "http://[::1]:1");
    settings.web_listen = {"127.0.0.1:0", "192.0.2.1:80"};
    EXPECT_EQ(own_pages(settings), "http://192.0.2.1:80");
    settings.web_listen = {"127.0.0.1:0"};
    EXPECT_EQ(own_pages(settings), "");
}

TEST(BundleSources, WhatBelongsToAProbe) {
    Settings settings;
    for (const char* name : {"push", "callback", "replay", "other"}) {
        ProbeSettings probe;
        probe.name = name;
        if (std::string_view(name) != "other") probe.journey = "replay";
        if (std::string_view(name) == "other") probe.probe.asks = {"push"};
        settings.probes.push_back(std::move(probe));
    }
    using Names = std::vector<std::string>;
    EXPECT_EQ(belonging_to(settings, ""), (Names{"push", "callback", "replay", "other"}));
    EXPECT_EQ(belonging_to(settings, "callback"), (Names{"push", "callback", "replay"}));
    EXPECT_EQ(belonging_to(settings, "other"), (Names{"push", "other"}));
    EXPECT_EQ(belonging_to(settings, "none"), Names{});
}

}  // namespace
}  // namespace livecanary::daemon
