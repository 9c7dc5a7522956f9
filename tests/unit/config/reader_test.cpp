#include "config/reader.hpp"

#include <gtest/gtest.h>

#include <array>

#include "tests/support/toml_text.hpp"

namespace livecanary::config {
namespace {

using namespace std::chrono_literals;
using test::FakeWorld, test::TomlText;
using Mistakes = std::vector<std::string>;
using Strings = std::vector<std::string>;

TEST(Reader, FillsMembersAndKeepsDefaults) {
    TomlText text(R"(name = "push"
on = false
ratio = 0.5
whole = 2
port = 1935
wait = "1m30s"
chunk = "64KiB"
list = ["a", "b"]
hash = "sha256"
ca = "ca.pem"
root = "/etc/ca.pem"
)");
    Reader& in = text.reader();
    std::string name, absent = "kept", hash = "md5", ca, root;
    bool on = true;
    double ratio = 0, whole = 0;
    std::uint16_t port = 0;
    auto wait = 0ms;
    std::uint64_t chunk = 0;
    Strings list;
    constexpr std::array<std::string_view, 2> hashes{"md5", "sha256"};
    in.required("name", name);
    in.optional("absent", absent);
    in.optional("on", on);
    in.optional("ratio", ratio, 0, 1);
    in.optional("whole", whole, 0, 10);
    in.optional("port", port, 1, 65535);
    in.optional("wait", wait);
    in.size("chunk", chunk, 1, 1 << 20);
    in.optional("list", list);
    in.one_of("hash", hash, hashes);
    in.path("ca", ca);
    in.path("root", root);
    in.unread();
    EXPECT_EQ(text.mistakes(), Mistakes{});
    EXPECT_EQ(name, "push");
    EXPECT_EQ(absent, "kept");
    EXPECT_FALSE(on);
    EXPECT_EQ(ratio, 0.5);
    EXPECT_EQ(whole, 2.0);
    EXPECT_EQ(port, 1935);
    EXPECT_EQ(wait, 90s);
    EXPECT_EQ(chunk, 65'536);
    EXPECT_EQ(list, (Strings{"a", "b"}));
    EXPECT_EQ(hash, "sha256");
    EXPECT_EQ(ca, "ca.pem");
    EXPECT_EQ(root, "/etc/ca.pem");
    EXPECT_TRUE(in.has("name"));
    EXPECT_FALSE(in.has("absent"));
}

TEST(Reader, EveryMistakeWithItsPlaceAndTheDefaultKept) {
    TomlText text(R"(text = 5
empty = ""
on = "yes"
ratio = 1.5
ratio2 = "x"
nan = nan
port = 70000
port2 = "1935"
port3 = 19.35
wait = "30"
wait2 = 30
wait3 = "2h"
chunk = "64"
chunk2 = 64
chunk3 = "2MiB"
list = "a"
list2 = ["a", 5, { b = 1 }]
hash = "sha265"
hash2 = 5
day = 2026-11-21
)");
    Reader& in = text.reader();
    std::string word = "kept";
    bool on = true;
    double ratio = 0.25;
    int port = 1935;
    auto wait = 5s + 0ms;
    std::uint64_t chunk = 128;
    Strings list{"kept"};
    constexpr std::array<std::string_view, 2> hashes{"md5", "sha256"};
    in.required("missing", word);
    in.optional("text", word);
    in.required("empty", word);
    word = "kept";
    in.optional("on", on);
    for (const char* key : {"ratio", "ratio2", "nan"}) in.optional(key, ratio, 0, 1);
    for (const char* key : {"port", "port2", "port3"}) in.optional(key, port, 1, 65535);
    for (const char* key : {"wait", "wait2", "wait3"}) in.optional(key, wait, 1s, 1h);
    for (const char* key : {"chunk", "chunk2", "chunk3"}) in.size(key, chunk, 128, 1 << 20);
    for (const char* key : {"list", "list2"}) in.optional(key, list);
    for (const char* key : {"hash", "hash2"}) in.one_of(key, word, hashes);
    in.optional("day", word);
    EXPECT_EQ(
        text.mistakes(),
        (Mistakes{
            "t.toml:1:1: probe.missing: missing",
            "t.toml:1:8: probe.text: expected a string, found an integer",
            "t.toml:2:9: probe.empty: must not be empty",
            "t.toml:3:6: probe.on: expected true or false, found a string",
            "t.toml:4:9: probe.ratio: expected 0 to 1, found 1.5",
            "t.toml:5:10: probe.ratio2: expected a number, found a string",
            "t.toml:6:7: probe.nan: expected 0 to 1, found nan",
            "t.toml:7:8: probe.port: expected 1 to 65535, found 70000",
            "t.toml:8:9: probe.port2: expected an integer, found a string",
            "t.toml:9:9: probe.port3: expected an integer, found a float",
            R"(t.toml:10:8: probe.wait: expected a duration with its unit, such as "250ms", "5s" or "1m30s", found '30')",
            R"(t.toml:11:9: probe.wait2: expected a duration with its unit, such as "250ms", "5s" or "1m30s", found an integer)",
            "t.toml:12:9: probe.wait3: expected 1s to 1h, found 2h",
            R"(t.toml:13:9: probe.chunk: expected a size with its unit, such as "512B", "64KiB" or "10MB", found '64')",
            R"(t.toml:14:10: probe.chunk2: expected a size with its unit, such as "512B", "64KiB" or "10MB", found an integer)",
            "t.toml:15:10: probe.chunk3: expected 128B to 1MiB, found 2MiB",
            "t.toml:16:8: probe.list: expected a list of strings, found a string",
            "t.toml:17:15: probe.list2: expected a string, found an integer",
            "t.toml:17:18: probe.list2: expected a string, found a table",
            "t.toml:18:8: probe.hash: expected one of 'md5', 'sha256', found 'sha265'; did you mean "
            "'sha256'?",
            "t.toml:19:9: probe.hash2: expected a string, found an integer",
            "t.toml:20:7: probe.day: expected a string, found a date or time",
        }));
    EXPECT_EQ(word, "kept");
    EXPECT_TRUE(on);
    EXPECT_EQ(ratio, 0.25);
    EXPECT_EQ(port, 1935);
    EXPECT_EQ(wait, 5s);
    EXPECT_EQ(chunk, 128);
    EXPECT_EQ(list, Strings{"kept"});
}

TEST(Reader, KeysNobodyReadAreMistakes) {
    TomlText text("hots = 1\n'per iod' = 2\nhost = 'a'\n");
    std::string host;
    int port = 0;
    text.reader().optional("host", host);
    text.reader().optional("port", port, 0, 1);
    text.reader().unread();
    EXPECT_EQ(text.mistakes(), (Mistakes{"t.toml:1:1: probe.hots: unknown key; did you mean 'host'?",
                                         "t.toml:2:1: probe.per iod: unknown key"}));
}

TEST(Reader, TablesInTables) {
    TomlText text(R"(one = { a = "x", b = 5 }
[[many]]
a = "y"
[[many]]
b = 6
)",
                  {}, "probe");
    Reader& in = text.reader();
    std::string a;
    auto one = in.table("one");
    ASSERT_TRUE(one);
    one->required("a", a);
    one->unread();
    auto many = in.tables("many");
    ASSERT_EQ(many.size(), 2);
    for (Reader& table : many) {
        table.required("a", a);
        table.unread();
    }
    EXPECT_FALSE(in.table("none"));
    EXPECT_TRUE(in.tables("none").empty());
    in.unread();
    EXPECT_EQ(text.mistakes(),
              (Mistakes{"t.toml:1:18: probe.one.b: unknown key", "t.toml:4:1: probe.many.a: missing",
                        "t.toml:5:1: probe.many.b: unknown key"}));
    EXPECT_EQ(a, "y");
}

TEST(Reader, TablesThatAreNone) {
    TomlText text("one = 5\nmany = 5\nmixed = [{}, 5]\n[single]\n");
    Reader& in = text.reader();
    EXPECT_FALSE(in.table("one"));
    EXPECT_TRUE(in.tables("many").empty());
    EXPECT_EQ(in.tables("mixed").size(), 1);
    EXPECT_TRUE(in.tables("single").empty());
    EXPECT_EQ(text.mistakes(),
              (Mistakes{"t.toml:1:7: probe.one: expected a table, found an integer",
                        "t.toml:2:8: probe.many: expected a list of tables, found an integer",
                        "t.toml:3:14: probe.mixed: expected a table, found an integer",
                        "t.toml:4:1: probe.single: expected a list of tables: write [[probe.single]]"}));
}

TEST(Reader, StringsOfATable) {
    TomlText text("team = 'live'\nfloor = 5\n");
    EXPECT_EQ(text.reader().strings(), (std::map<std::string, std::string>{{"team", "live"}}));
    text.reader().unread();
    EXPECT_EQ(text.mistakes(), Mistakes{"t.toml:2:9: probe.floor: expected a string, found an integer"});
}

TEST(Reader, MistakesOfTheCaller) {
    TomlText text("url = 'x'\nlist = ['a', 'b']\n");
    Reader& in = text.reader();
    in.mistake("url", "is odd");
    in.mistake("list", 1, "is worse");
    in.mistake("list", 7, "is not there");
    in.mistake("gone", "is needed");
    in.warning("url", "is old");
    EXPECT_EQ(text.mistakes(),
              (Mistakes{"t.toml:1:7: probe.url: is odd", "t.toml:2:14: probe.list: is worse",
                        "t.toml:2:8: probe.list: is not there", "t.toml:1:1: probe.gone: is needed",
                        "t.toml:1:7: warning: probe.url: is old"}));
}

TEST(Reader, TextIsTheSameForTheSameContent) {
    TomlText one("b = 2 # note\na = { c = 'x' }\n");
    TomlText two("a.c = 'x'\n\nb = 2\n");
    TomlText three("a.c = 'x'\nb = 3\n");
    EXPECT_EQ(one.reader().text(), TomlText("a = { c = 'x' }\nb    = 2").reader().text());
    EXPECT_NE(two.reader().text(), three.reader().text());
}

TEST(Mistake, NoCharacterOfTheFileReachesTheTerminalAsControl) {
    EXPECT_EQ(
        to_string(Mistake{.file = "a.toml", .at = {1, 2}, .key = "k\x1b[31m", .message = "found 'x\ny'"}),
        "a.toml:1:2: k?[31m: found 'x?y'");
    EXPECT_EQ(to_string(Mistake{.file = "a.toml", .message = "cannot read"}), "a.toml: cannot read");
}

TEST(Reader, PathsThatCannotBeReadAreMistakes) {
    std::vector<Mistake> found;
    Surroundings around;
    around.read_file = [](const std::string&) {
        return Surroundings::Content{.text = "ca = 'ca.pem'\nroot = 'root.pem'\n"};
    };
    around.unreadable = [](const std::string& path) {
        return path == "etc/ca.pem" ? std::string("No such file or directory") : std::string();
    };
    const Source source("etc/t.toml", around, found);
    ASSERT_NE(source.table(), nullptr);
    const File file = source.file();
    Reader in(*source.table(), "probe", file);
    std::string ca, root;
    in.readable("ca", ca);
    in.readable("root", root);
    ASSERT_EQ(found.size(), 1U);
    EXPECT_EQ(to_string(found[0]),
              "etc/t.toml:1:6: probe.ca: cannot read 'etc/ca.pem': No such file or directory");
}

TEST(Reader, RealFilesThatCannotBeRead) {
    const auto around = real_surroundings();
    EXPECT_EQ(around.unreadable(testing::TempDir()), "Is a directory");
    EXPECT_EQ(around.unreadable(testing::TempDir() + "livecanary-is-not-there"), "No such file or directory");
    EXPECT_EQ(around.unreadable("/proc/self/exe"), "");
}

TEST(Reader, PathsCountFromTheFolderOfTheFile) {
    const FakeWorld world{
        .files = {{"/etc/livecanary/l.toml", "ca = 'ca.pem'\nabsolute = '/ca.pem'\nnone = ''"}}};
    const Surroundings surroundings = world.surroundings();
    std::vector<Mistake> mistakes;
    const Source source("/etc/livecanary/l.toml", surroundings, mistakes);
    Reader in(*source.table(), "", source.file());
    std::string ca, absolute, none;
    in.path("ca", ca);
    in.path("absolute", absolute);
    in.path("none", none);
    EXPECT_EQ(ca, "/etc/livecanary/ca.pem");
    EXPECT_EQ(absolute, "/ca.pem");
    ASSERT_EQ(mistakes.size(), 1);
    EXPECT_EQ(to_string(mistakes[0]), "/etc/livecanary/l.toml:3:8: none: must not be empty");
}

TEST(Reader, ListsOfIntegers) {
    TomlText text("good = [1, 0, 100]\nempty = []\nmixed = [1, '2', 3.0]\nnone = 5\n");
    std::vector<std::int64_t> good, empty{7}, mixed{7}, none{7}, absent{7};
    text.reader().optional("good", good);
    text.reader().optional("empty", empty);
    text.reader().optional("mixed", mixed);
    text.reader().optional("none", none);
    text.reader().optional("absent", absent);
    const std::vector<std::int64_t> kept{7};
    EXPECT_EQ(good, (std::vector<std::int64_t>{1, 0, 100}));
    EXPECT_TRUE(empty.empty());
    EXPECT_EQ(mixed, kept);
    EXPECT_EQ(none, kept);
    EXPECT_EQ(absent, kept);
    EXPECT_EQ(text.mistakes(), (std::vector<std::string>{
                                   "t.toml:3:13: probe.mixed: expected an integer, found a string",
                                   "t.toml:3:18: probe.mixed: expected an integer, found a float",
                                   "t.toml:4:8: probe.none: expected a list of integers, found an integer"}));
}

}  // namespace
}  // namespace livecanary::config
