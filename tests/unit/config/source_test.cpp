#include "config/source.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "tests/support/toml_text.hpp"

namespace livecanary::config {
namespace {

using test::FakeWorld;
using Mistakes = std::vector<std::string>;

struct Read {
    std::vector<std::string> files{};
    Mistakes mistakes{};
};

Read read(const FakeWorld& world, const std::string& path) {
    const Surroundings surroundings = world.surroundings();
    std::vector<Mistake> found;
    const auto sources = read_sources(path, surroundings, found);
    forbid_repeats(sources, found);
    Read result;
    for (const Source& source : sources) result.files.push_back(source.file().name);
    for (const Mistake& mistake : found) result.mistakes.push_back(to_string(mistake));
    return result;
}

TEST(Sources, ConfDIsReadInNameOrder) {
    const Read found = read({.files = {{"/etc/l/l.toml", ""},
                                       {"/etc/l/conf.d/20-b.toml", ""},
                                       {"/etc/l/conf.d/10-a.toml", ""},
                                       {"/etc/l/conf.d/.hidden.toml", ""},
                                       {"/etc/l/conf.d/README", ""}}},
                            "/etc/l/l.toml");
    EXPECT_EQ(found.files, (std::vector<std::string>{"/etc/l/l.toml", "/etc/l/conf.d/10-a.toml",
                                                     "/etc/l/conf.d/20-b.toml"}));
    EXPECT_EQ(found.mistakes, Mistakes{});
}

TEST(Sources, EveryFileThatCannotBeReadOrIsNotTomlIsAMistake) {
    const Read found = read({.files = {{"conf.d/a.toml", "x = \n"}}}, "l.toml");
    EXPECT_EQ(found.mistakes,
              (Mistakes{"l.toml: cannot read: No such file or directory",
                        "conf.d/a.toml:1:5: Error while parsing key-value pair: expected value, saw '\\n'"}));
}

TEST(Sources, AConfDThatCannotBeReadIsAMistake) {
    const FakeWorld world{.files = {{"l.toml", ""}}};
    Surroundings surroundings = world.surroundings();
    surroundings.list_directory = [](const std::string&) {
        return Surroundings::Listing{.error = "Permission denied"};
    };
    std::vector<Mistake> found;
    read_sources("l.toml", surroundings, found);
    ASSERT_EQ(found.size(), 1);
    EXPECT_EQ(to_string(found[0]), "conf.d: cannot read: Permission denied");
}

TEST(Sources, AKeySetTwiceNamesBothPlaces) {
    const Read found =
        read({.files = {{"l.toml", "[daemon]\nlocation = 'a'\n[web]\nlisten = []\n[[probe]]\nname = 'x'\n"},
                        {"conf.d/a.toml", "[daemon]\nmax_loop_lag = '1s'\n[[probe]]\nname = 'x'\n"},
                        {"conf.d/b.toml", "daemon.location = 'b'\nweb = { listen = [] }\n"}}},
             "l.toml");
    EXPECT_EQ(found.mistakes, (Mistakes{"conf.d/b.toml:1:8: daemon.location: already set at l.toml:2:1",
                                        "conf.d/b.toml:2:9: web.listen: already set at l.toml:4:1"}));
}

TEST(Sources, SyntaxMistakesRepeatNoValue) {
    for (const char* text :
         {"k = 123456789012345678901", "k = trustme", "k = 0x12345678901234567890", "k = falsework",
          "k = 1979-05-27T07:32:61", "k = hunter2", "k = infamous", "k = 1e99999"}) {
        const Read found = read({.files = {{"l.toml", text}}}, "l.toml");
        ASSERT_EQ(found.mistakes.size(), 1) << text;
        for (const char* piece : {"123456", "trus", "fals", "hunter", "infa", "99999"})
            EXPECT_EQ(found.mistakes[0].find(piece), std::string::npos) << found.mistakes[0];
    }
}

class RealFiles : public testing::Test {
protected:
    RealFiles() {
        std::string pattern = (std::filesystem::temp_directory_path() / "livecanary-XXXXXX").string();
        folder_ = ::mkdtemp(pattern.data());
    }
    ~RealFiles() override { std::filesystem::remove_all(folder_); }

    std::string write(const std::string& name, const std::string& text, mode_t mode) {
        const auto path = folder_ / name;
        std::ofstream(path) << text;
        ::chmod(path.c_str(), mode);
        return path;
    }

    std::filesystem::path folder_{};
};

TEST_F(RealFiles, ContentAndWhoCanRead) {
    const Surroundings around = real_surroundings();
    const auto own = around.read_file(write("own", "text\n", 0600));
    EXPECT_EQ(own.text, "text\n");
    EXPECT_FALSE(own.others_can_read);
    EXPECT_TRUE(around.read_file(write("group", "", 0640)).others_can_read);
    EXPECT_TRUE(around.read_file(write("world", "", 0604)).others_can_read);
}

TEST_F(RealFiles, WhyNot) {
    const Surroundings around = real_surroundings();
    EXPECT_EQ(around.read_file(folder_ / "gone").error, "No such file or directory");
    EXPECT_EQ(around.read_file(folder_).error, "Is a directory");
    EXPECT_EQ(around.read_file(write("big", std::string(4 * 1024 * 1024 + 1, 'x'), 0600)).error,
              "larger than 4 MiB");
    EXPECT_FALSE(around.read_file("/dev/zero").text);
}

TEST_F(RealFiles, NamesInADirectory) {
    const Surroundings around = real_surroundings();
    write("a.toml", "", 0600);
    const auto listing = around.list_directory(folder_);
    EXPECT_NE(std::ranges::find(listing.names, "a.toml"), listing.names.end());
    EXPECT_EQ(listing.error, "");
    EXPECT_TRUE(around.list_directory(folder_ / "gone").names.empty());
    EXPECT_EQ(around.list_directory(folder_ / "gone").error, "");
    EXPECT_EQ(around.list_directory(folder_ / "a.toml").error, "Not a directory");
}

TEST_F(RealFiles, EnvironmentAndHostName) {
    const Surroundings around = real_surroundings();
    EXPECT_TRUE(around.environment("PATH"));
    EXPECT_FALSE(around.environment("LIVECANARY_NO_SUCH_VARIABLE"));
    EXPECT_NE(around.host_name, "");
}

}  // namespace
}  // namespace livecanary::config
