#include "probes/log_keywords/follow.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fcntl.h>

#include <memory>
#include <random>
#include <set>

#include "probes/core/memory.hpp"
#include "tests/unit/kinds/log_stage.hpp"

namespace livecanary::log_keywords {
namespace {

using test::LogDirectory;

/// A probe over `*.log*` in a directory, from run to run.
class Following : public ::testing::Test {
protected:
    Following() { configure({"*.log*"}); }

    void configure(const std::vector<std::string>& names, bool from_start = false, Limits limits = {}) {
        Config made;
        for (const auto& name : names) made.paths.push_back(logs / name);
        made.matcher = Matcher::make({.patterns = {{.match = "^hit", .label = *label_of("cdn_forbidden")}}});
        made.from_start = from_start;
        made.limits = limits;
        config = std::make_shared<const Config>(std::move(made));
    }
    /// What a whole run counts. A run that is cut counts nothing, for whoever comes next.
    Tally run(bool cut = false) {
        Follower follower(config, places, held);
        follower.scan();
        while (follower.read_some()) {
        }
        follower.finish();
        found = follower.found();
        unread = follower.bytes_unread();
        left_out = follower.files_left_out();
        if (cut) return {};
        places = follower.places();
        held = follower.held();
        return follower.tally();
    }
    std::uint64_t lines() { return run().lines; }
    /// The daemon ends, and another begins.
    void restart() {
        held.clear();
        if (!places) return;
        const auto text = to_text(*places);
        EXPECT_LE(text.size(), most_remembered);
        const auto again = places_from(text);
        ASSERT_TRUE(again);
        EXPECT_EQ(*again, *places);
        places = again;
    }

    LogDirectory logs;
    std::shared_ptr<const Config> config;
    std::optional<Places> places{};
    std::vector<Held> held{};
    FilesFound found{};
    std::uint64_t unread = 0;
    std::size_t left_out = 0;
};

TEST_F(Following, WhatWasThereBeforeUsIsNotCountedAndWhatComesIs) {
    logs.append("a.log", "old\nolder\nhalf");
    EXPECT_EQ(lines(), 0U);
    EXPECT_EQ(lines(), 0U);
    logs.append("a.log", " a line\nnew\n");
    EXPECT_EQ(lines(), 2U) << "the line that was unfinished ends after we came";
    logs.append("b.log", "one\ntwo\n");
    EXPECT_EQ(lines(), 2U) << "a file that came later is read from its start";
    EXPECT_EQ(lines(), 0U);
}

TEST_F(Following, FromTheStartIfToldSo) {
    configure({"*.log*"}, true);
    logs.append("a.log", "old\nolder\n");
    EXPECT_EQ(lines(), 2U);
    EXPECT_EQ(lines(), 0U);
}

TEST_F(Following, APartOfALineWaitsForItsEndAlsoOverARestart) {
    lines();
    logs.append("a.log", "one\nhi");
    EXPECT_EQ(lines(), 1U);
    restart();
    EXPECT_EQ(lines(), 0U);
    logs.append("a.log", "t\r\n");
    const Tally tally = run();
    EXPECT_EQ(tally.lines, 1U);
    EXPECT_EQ(tally.labels.back().lines, 1U);
    EXPECT_EQ(tally.labels.back().line, "hit");
    EXPECT_EQ(tally.labels.back().file, logs / "a.log");
    EXPECT_EQ(tally.last, std::deque<std::string>{logs / "a.log: hit"});
}

TEST_F(Following, RenamedAndMadeAnew) {
    configure({"a.log"});
    logs.append("a.log", "one\n");
    run();
    for (const bool restarted : {false, true}) {
        logs.append("a.log", "two\n");
        logs.rename("a.log", "a.log.1");
        logs.append("a.log", "three\n");
        if (restarted) restart();
        EXPECT_EQ(lines(), 2U) << "no path means a.log.1";
        logs.append("a.log.1", "late\n");
        EXPECT_EQ(lines(), 1U) << "its writer has not noticed yet";
        EXPECT_EQ(lines(), 0U);
    }
}

TEST_F(Following, RenamedIntoAnotherDirectoryOrDeletedItIsReadToItsEnd) {
    std::filesystem::create_directory(logs / "old");
    configure({"a.log"});
    logs.append("a.log", "one\n");
    run();
    logs.append("a.log", "two\n");
    logs.rename("a.log", "old/a.log");
    logs.append("a.log", "three\n");
    EXPECT_EQ(lines(), 2U);
    logs.append("old/a.log", "late\n");
    EXPECT_EQ(lines(), 1U);
    logs.append("a.log", "four\n");
    logs.remove("a.log");
    EXPECT_EQ(lines(), 1U);
    EXPECT_EQ(lines(), 0U);
    EXPECT_EQ(lines(), 0U);
    EXPECT_TRUE(held.empty()) << "nothing keeps the disk from being freed";
}

TEST_F(Following, DeletedAndMadeAnewUnderTheSameInode) {
    std::set<ino_t> inodes;
    run();
    std::uint64_t counted = 0;
    for (int turn = 0; turn < 8; ++turn) {
        logs.append("a.log", std::string(static_cast<std::size_t>(turn) + 1, 'x') + "\nsame end\n");
        struct stat status {};
        ASSERT_EQ(::stat((logs / "a.log").c_str(), &status), 0);
        inodes.insert(status.st_ino);
        counted += lines();
        restart();  // so that nobody keeps the inode
        logs.remove("a.log");
    }
    EXPECT_EQ(counted, 16U) << inodes.size() << " inodes for 8 files";
}

TEST_F(Following, Truncated) {
    logs.append("a.log", "one\ntwo\nthree\n");
    run();
    logs.truncate("a.log");
    EXPECT_EQ(lines(), 0U);
    logs.append("a.log", "1\n");
    EXPECT_EQ(lines(), 1U);
    logs.truncate("a.log");
    logs.append("a.log", "1 and much more than there was before\n2\n");
    EXPECT_EQ(lines(), 2U) << "longer than before, and not what it was";
    const std::string start(2 * print_size, 's');
    logs.append("a.log", start + "\n");
    run();
    logs.truncate("a.log", 20);
    logs.append("a.log", "\n");
    EXPECT_EQ(lines(), 1U) << "shorter than what was read: it begins anew";
}

TEST_F(Following, TruncatedToAnotherEndBehindTheSameStart) {
    const std::string start = std::string(2 * print_size, 's') + '\n';
    logs.append("a.log", start + "one\n");
    run();
    logs.truncate("a.log");
    logs.append("a.log", start + "two\nthree\n");
    EXPECT_EQ(lines(), 3U);
}

TEST_F(Following, CopiedAndTruncated) {
    for (const bool is_long : {false, true}) {
        for (const bool restarted : {false, true}) {
            logs.append("a.log", is_long ? std::string(2 * print_size, 'x') + "\n" : "one\n");
            run();
            logs.append("a.log", "two\n");
            logs.remove("a.log.1");
            logs.copy("a.log", "a.log.1");
            logs.truncate("a.log");
            logs.append("a.log", "3\n");
            if (restarted) restart();
            EXPECT_EQ(lines(), 2U) << is_long << restarted;
            EXPECT_EQ(lines(), 0U);
        }
    }
}

TEST_F(Following, ARunInTheMiddleOfACopy) {
    const std::string line = std::string(300, 'x');
    logs.append("a.log", line + "1\n" + line + "2\n");
    run();
    logs.append("a.log", line + "3\n");
    logs.append("a.log.1", line + "1\n" + line.substr(0, 200));
    EXPECT_EQ(lines(), 1U) << "half a copy is left alone";
    logs.append("a.log.1", line.substr(200) + "2\n" + line + "3\n");
    EXPECT_EQ(lines(), 0U) << "and so is a whole one";
    logs.append("a.log", "lost\n");
    restart();
    logs.truncate("a.log");
    EXPECT_EQ(lines(), 0U);
    logs.append("a.log.1", "on its own\n");
    EXPECT_EQ(lines(), 1U);
}

TEST_F(Following, FilesThatBeginAlikeAreNoCopies) {
    const std::string guard = "<?php exit; ?>\n";
    logs.append("a.log", guard);
    run();
    logs.append("b.log", guard + "one\n");
    EXPECT_EQ(lines(), 2U);
    logs.append("a.log", std::string(200, 'x') + "\n");
    EXPECT_EQ(lines(), 1U);
}

TEST_F(Following, SymbolicLinksAreWhatTheyLeadTo) {
    configure({"current.log", "a-*.log"});
    logs.append("a-1.log", "old\n");
    std::filesystem::create_symlink("a-1.log", logs / "current.log");
    run();
    logs.append("a-1.log", "one\n");
    EXPECT_EQ(lines(), 1U) << "one file under two names";
    EXPECT_EQ(found.files.size(), 1U);
    logs.append("a-1.log", "two\n");
    logs.append("a-2.log", "three\n");
    logs.remove("current.log");
    std::filesystem::create_symlink("a-2.log", logs / "current.log");
    EXPECT_EQ(lines(), 2U);
    std::filesystem::create_symlink("loop.log", logs / "a-loop.log");
    std::filesystem::create_symlink("a-loop.log", logs / "loop.log");
    lines();
    EXPECT_EQ(found.unreadable.size(), 1U);
}

TEST_F(Following, WildcardsInDirectories) {
    configure({"*/[a-c].log"});
    std::filesystem::create_directories(logs / "x");
    std::filesystem::create_directories(logs / ".hidden");
    run();
    logs.append("x/a.log", "one\n");
    logs.append("x/d.log", "no\n");
    logs.append(".hidden/a.log", "no\n");
    EXPECT_EQ(lines(), 1U);
    std::filesystem::create_directories(logs / "y");
    logs.append("y/b.log", "two\n");
    EXPECT_EQ(lines(), 1U);
    EXPECT_EQ(found.directories, (std::set<std::string>{logs.path(), logs / "x", logs / "y"}));
    std::filesystem::remove_all(logs.path());
    EXPECT_EQ(lines(), 0U);
    EXPECT_TRUE(found.unreadable.empty()) << "not being there is no trouble";
    EXPECT_EQ(found.matched, std::vector<bool>{false});
}

TEST_F(Following, ANewPathDoesNotBringWhatWasWrittenBefore) {
    configure({"a.log"});
    logs.append("b.log", "old\n");
    run();
    configure({"a.log", "b.log"});
    EXPECT_EQ(lines(), 0U);
    logs.append("b.log", "new\n");
    EXPECT_EQ(lines(), 1U);
}

TEST_F(Following, WhatMayNotBeReadIsSaid) {
    logs.append("a.log", "one\n");
    const test::Unprivileged somebody(logs);
    std::filesystem::permissions(logs / "a.log", std::filesystem::perms::none);
    run();
    ASSERT_EQ(found.unreadable.size(), 1U);
    EXPECT_EQ(found.unreadable[0].path, logs / "a.log");
    std::filesystem::permissions(logs.path(), std::filesystem::perms::none);
    run();
    std::filesystem::permissions(logs.path(), std::filesystem::perms::owner_all);
    ASSERT_EQ(found.unreadable.size(), 1U);
    EXPECT_EQ(found.unreadable[0].path, logs.path());
}

TEST_F(Following, WhatIsNoFileDoesNoHarm) {
    std::filesystem::create_directory(logs / "d.log");
    ASSERT_EQ(::mkfifo((logs / "f.log").c_str(), 0600), 0);
    logs.append("c.log.gz", "binary\n");
    lines();
    logs.append("c.log.xz", "binary\n");
    EXPECT_EQ(lines(), 0U);
    EXPECT_TRUE(found.files.empty());
}

TEST_F(Following, LongLinesAreCutAndCountedOnce) {
    configure({"*.log*"}, false, {.line = 64});
    run();
    logs.append("a.log", "hit" + std::string(100, 'x'));
    Tally tally = run();
    EXPECT_EQ(tally.lines, 1U) << "long enough to be counted before it ends";
    EXPECT_EQ(tally.cut, 1U);
    EXPECT_EQ(tally.labels.back().line.size(), 64U);
    restart();
    logs.append("a.log", std::string(1 << 20, 'y'));
    EXPECT_EQ(lines(), 0U);
    logs.append("a.log", "hit\nhit\n");
    tally = run();
    EXPECT_EQ(tally.lines, 1U);
    EXPECT_EQ(tally.labels.back().lines, 1U);
    logs.append("a.log", std::string(64, 'z') + "\n" + std::string(65, 'z') + "\n");
    tally = run();
    EXPECT_EQ(tally.lines, 2U);
    EXPECT_EQ(tally.cut, 1U);
}

TEST_F(Following, AnUnfinishedLongLineOfBeforeUsIsLeftToPass) {
    configure({"*.log*"}, false, {.line = 64});
    logs.append("a.log", std::string(100, 'x'));
    run();
    logs.append("a.log", "\none\n");
    EXPECT_EQ(lines(), 1U);
}

TEST_F(Following, BytesThatAreNoTextDoNoHarm) {
    run();
    logs.append("a.log", std::string(5, '\0') + "hit\n" + std::string("a\0b\n\xFF\xFE\n", 7));
    const Tally tally = run();
    EXPECT_EQ(tally.lines, 3U);
    EXPECT_EQ(tally.labels.back().lines, 1U) << "what a hole leaves before a line is no part of it";
}

TEST_F(Following, AHoleIsPassedOver) {
    logs.append("a.log", "one\n");
    run();
    const int file = ::open((logs / "a.log").c_str(), O_WRONLY);
    logs.truncate("a.log");
    constexpr off_t far = off_t{1} << 33;
    ASSERT_EQ(::pwrite(file, "hit\n", 4, far), 4) << "a writer that does not append";
    EXPECT_EQ(run().labels.back().lines, 1U);
    ASSERT_EQ(::pwrite(file, "hit\n", 4, far + 4), 4);
    ::close(file);
    EXPECT_EQ(lines(), 1U);
}

TEST_F(Following, ARunReadsNoMoreThanItMay) {
    configure({"*.log*"}, false, {.read = 300 * 1024});
    run();
    const std::string line = std::string(1023, 'x') + '\n';
    std::string text;
    for (int i = 0; i < 1024; ++i) text += line;
    logs.append("a.log", text);
    logs.append("b.log", "one\n");
    std::uint64_t counted = lines();
    EXPECT_GE(unread, 600U * 1024);
    EXPECT_LE(counted, 400U);
    int runs = 1;
    for (; unread > 0; ++runs) {
        restart();
        counted += lines();
    }
    EXPECT_EQ(counted, 1025U);
    EXPECT_GE(runs, 2);
}

TEST_F(Following, MoreFilesThanMayBeOpenedAreReadByAndBy) {
    configure({"*.log*"}, false, {.files = 3});
    run();
    for (int i = 0; i < 10; ++i) logs.append(std::to_string(i) + ".log", "one\n");
    std::uint64_t counted = lines();
    EXPECT_EQ(counted, 3U);
    EXPECT_EQ(left_out, 7U);
    for (int i = 0; i < 3; ++i) counted += lines();
    EXPECT_EQ(counted, 10U);
    EXPECT_EQ(left_out, 0U);
}

TEST_F(Following, YearsOfDailyFilesAreNotReadAgain) {
    for (const bool from_start : {false, true}) {
        configure({"*.log*"}, from_start, {.files = 80});
        places.reset();
        for (std::size_t i = 0; i < most_places + 50; ++i) {
            const std::string name = std::to_string(i) + ".log";
            logs.append(name, "old\n");
            std::filesystem::last_write_time(logs / name, std::filesystem::file_time_type::clock::now() -
                                                              std::chrono::hours(24 * (i + 1)));
        }
        std::uint64_t counted = lines();
        for (int i = 0; i < 8; ++i) counted += lines();
        EXPECT_EQ(counted, from_start ? 2 * most_places : 0U) << "as far as places are remembered";
        logs.append("new.log", "one\n");
        restart();
        EXPECT_EQ(lines(), 1U);
        logs.append("0.log", "two\n");
        EXPECT_EQ(lines(), 1U);
        logs.remove("new.log");
        lines();
    }
}

TEST_F(Following, ACutRunIsDoneAgain) {
    run();
    logs.append("a.log", "one\n");
    run(true);
    EXPECT_EQ(lines(), 1U);
}

TEST(LogPlaces, WhatIsNotOursIsNotTaken) {
    Places all{.paths = {"/a b/*.log", "/c\nd"}, .horizon = -5};
    all.files.push_back({.id = {1, 2, -3}, .offset = 4, .head = 5, .tail = 6, .written = -7, .size = 8});
    all.files.push_back({.id = {~0ULL, ~0ULL, 1}, .offset = ~0ULL, .skipping = true, .copy = true});
    const std::string text = to_text(all);
    ASSERT_TRUE(places_from(text));
    EXPECT_EQ(*places_from(text), all);
    for (std::size_t size = 0; size < text.size(); ++size) {
        const auto cut = places_from(text.substr(0, size));
        EXPECT_TRUE(!cut || cut->files.size() < 2) << size;
    }
    for (const char* other : {"", "x", "livecanary places 2\n0\n0\n", "livecanary places 1\n0\nffffffff\n",
                              "livecanary places 1\n0\n1\nffffffffffffffff a\n"})
        EXPECT_EQ(places_from(other), std::nullopt) << other;
    Places full{.files = std::vector<Place>(most_places, all.files[1])};
    full.paths.assign(most_paths, std::string(900, 'p'));
    EXPECT_LE(to_text(full).size(), most_remembered);
    full.files.push_back({});
    EXPECT_EQ(places_from(to_text(full)), std::nullopt);
}

/// Writes, rotates, copies, truncates and deletes logs at random, and knows which lines a run must find:
/// those that are whole (or longer than is looked at) in a file that is there, or was open when it was
/// deleted, and that no run has found before.
class RandomLogs {
public:
    RandomLogs(const LogDirectory& logs, std::uint32_t seed) : logs_(logs), random_(seed) {}

    void act() {
        // No more than a probe keeps open between runs.
        if (files_.empty() || (files_.size() < most_held / 2 && chance(20))) {
            files_.push_back({.name = "n" + std::to_string(++names_) + ".log"});
            logs_.append(files_.back().name, "");
        }
        const std::size_t at = random_() % files_.size();
        File& file = files_[at];
        switch (random_() % 12) {
            case 0:
                rename(file);
                break;
            case 1:
                copy(at);
                break;
            case 2:
            case 3:
                truncate(file);
                break;
            case 4:
                remove(at);
                break;
            default:
                write(file);
        }
    }

    /// How many lines a run must find now.
    std::uint64_t ran() {
        std::uint64_t found = 0;
        for (auto* const all : {&files_, &deleted_})
            for (File& file : *all) {
                file.known = file.held = true;
                file.copied = false;
                for (const Line& line : file.lines)
                    if (line.whole || line.size > longest)
                        found += found_.insert(line.number).second ? 1U : 0U;
            }
        deleted_.clear();
        return found;
    }
    void restarted() {
        deleted_.clear();
        for (File& file : files_) file.held = false;
    }
    static constexpr std::uint64_t longest = 64;

private:
    struct Line {
        std::uint64_t number;
        std::size_t size = 0;
        bool whole = false;
    };
    struct File {
        std::string name;
        std::vector<Line> lines{};
        bool known = false;   // to a run
        bool held = false;    // open since
        bool copied = false;  // since a run
        bool is_copy = false;
        std::size_t size() const {
            std::size_t all = 0;
            for (const Line& line : lines) all += line.size + (line.whole ? 1 : 0);
            return all;
        }
    };
    bool chance(unsigned percent) { return random_() % 100 < percent; }

    void write(File& file) {
        if (file.is_copy) return;
        std::string text;
        for (std::size_t lines = random_() % 5 + 1; lines > 0; --lines) {
            const bool goes_on = !file.lines.empty() && !file.lines.back().whole;
            if (!goes_on) file.lines.push_back({.number = ++numbers_});
            Line& line = file.lines.back();
            std::string words =
                std::to_string(line.number) + ' ' + std::string(random_() % (chance(10) ? 300 : 50), '.');
            line.size += words.size();
            line.whole = lines > 1 || chance(80);
            text += words + (line.whole ? "\n" : "");
        }
        logs_.append(file.name, text);
    }
    void rename(File& file) {
        // To a name that no path means only what we know, since that is known by its inode alone.
        const std::string to =
            "r" + std::to_string(++names_) + (file.known && chance(50) ? ".old" : ".log.1");
        logs_.rename(file.name, to);
        file.name = to;
    }
    void copy(std::size_t at) {
        // Less is taken for another file that begins alike.
        if (files_[at].size() < 128 || files_.size() >= most_held / 2) return;
        File made = files_[at];
        made.name = "c" + std::to_string(++names_) + ".log";
        made.known = made.held = false;
        made.is_copy = true;
        logs_.copy(files_[at].name, made.name);
        files_[at].copied = made.copied = true;
        if (chance(60)) truncate(files_[at]);
        files_.push_back(std::move(made));
    }
    void truncate(File& file) {
        // Under a name that no path means it is ours only where the file system tells times of birth.
        if (file.name.ends_with(".old")) return;
        logs_.truncate(file.name);
        file.lines.clear();
    }
    void remove(std::size_t at) {
        if (files_[at].copied) return;
        logs_.remove(files_[at].name);
        if (files_[at].held) deleted_.push_back(files_[at]);
        files_.erase(files_.begin() + static_cast<std::ptrdiff_t>(at));
    }

    const LogDirectory& logs_;
    std::mt19937 random_;
    std::vector<File> files_{};
    std::vector<File> deleted_{};
    std::set<std::uint64_t> found_{};
    std::uint64_t numbers_ = 0;
    std::uint64_t names_ = 0;
};

class FollowingAtRandom : public Following, public ::testing::WithParamInterface<int> {};

TEST_P(FollowingAtRandom, EveryLineIsCountedOnce) {
    configure({"*.log*"}, true, {.line = RandomLogs::longest, .files = 256});
    std::mt19937 random(static_cast<std::uint32_t>(GetParam()) * 7919U);
    RandomLogs writer(logs, static_cast<std::uint32_t>(GetParam()));
    run();
    for (int step = 0; step < 400; ++step) {
        writer.act();
        if (random() % 4 == 0) {
            const auto expected = writer.ran();
            ASSERT_EQ(lines(), expected) << "step " << step;
        }
        if (random() % 20 == 0) run(true);
        if (random() % 25 == 0) {
            restart();
            writer.restarted();
        }
        if (HasFatalFailure()) return;
    }
}
INSTANTIATE_TEST_SUITE_P(Seeds, FollowingAtRandom, ::testing::Range(1, 7));

}  // namespace
}  // namespace livecanary::log_keywords
