#include "daemon/store.hpp"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>
#include <atomic>

#include <csignal>
#include <cstdlib>
#include <fstream>
#include <future>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>

#include "tests/support/task.hpp"
#include "tests/unit/daemon/state_folder.hpp"

namespace livecanary::daemon {
namespace {

using namespace std::chrono_literals;
namespace asio = boost::asio;
using livecanary::test::Task;
using test::Shell;
using test::StateFolder;

/// A child that is to be killed finds its folder here.
constexpr const char* folder_variable = "LIVECANARY_STORE_TEST_FOLDER";

std::string text_of(const Litter& litter) { return litter.probe + ' ' + litter.store + ' ' + litter.item; }

class Store : public testing::Test {
protected:
    using Items = std::vector<std::string>;

    StateOptions options(const std::string& owner = "us") {
        StateOptions options;
        options.directory = folder.path();
        options.keeper = true;
        options.owner = owner;
        options.look = [this](std::string_view name) {
            const auto at = processes.find(name);
            return at != processes.end() ? at->second : OwnerState::gone;
        };
        options.now = [this] { return Clock::time_point(1h) + shift.load(); };
        options.wall = [this] { return wall.load(); };
        // Called on a store's thread, and read when that has nothing to do.
        options.say = [this](log::Level level, std::string_view message, const log::Fields& fields) {
            said.push_back(log::line(log::Format::logfmt, level, message, fields));
        };
        return options;
    }
    std::unique_ptr<StateStore> open(const std::string& owner = "us") { return open(options(owner)); }
    std::unique_ptr<StateStore> open(StateOptions with) {
        auto store = std::make_unique<StateStore>(std::move(with));
        trouble(*store);  // waits until it is open
        return store;
    }
    template <class T>
    T await(asio::awaitable<T> work) {
        return livecanary::test::await(io, std::move(work));
    }
    error_code record(StateStore& store, const std::string& item, const std::string& probe = "p") {
        return await(store.record({probe, "cos", item, wall.load()}));
    }
    error_code strike(StateStore& store, const std::string& item, const std::string& probe = "p") {
        return await(store.strike({probe, "cos", item, {}}));
    }
    std::string trouble(StateStore& store) { return await(store.trouble()); }
    Items leftovers(StateStore& store) {
        Items items;
        for (const auto& litter : await(store.leftovers())) items.push_back(litter.item);
        return items;
    }
    Items all(StateStore& store) {
        Items items;
        for (const auto& held : await(store.all())) items.push_back(held.litter.item);
        return items;
    }
    std::uint64_t failures(const StateStore& store) { return store.figures().write_failures; }
    /// What the file holds, as SQLite says.
    std::string in_file() { return Shell(folder.file()).run("SELECT group_concat(item) FROM litter"); }
    void settle() { wall = wall.load() + settling; }

    asio::io_context io{};
    std::optional<StateFolder> own_folder{};
    StateFolder folder{[this] {
        if (const char* given = std::getenv(folder_variable)) return std::filesystem::path(given);
        return own_folder.emplace().path();
    }()};
    std::map<std::string, OwnerState, std::less<>> processes{};
    // The store's thread reads both too.
    std::atomic<Clock::duration> shift{Clock::duration{}};
    std::atomic<WallTime> wall{WallTime(std::chrono::milliseconds(1'800'000'000'123))};
    std::vector<std::string> said{};
};

TEST_F(Store, KnowsAgainWhatItRecorded) {
    const Litter litter{"cover-bucket", "cos", "cover-1.cos.example.com/livecanary/a b/\xE4\xB8\x8A'\"%",
                        wall.load()};
    {
        const auto store = open();
        EXPECT_FALSE(await(store->record(litter)));
        EXPECT_EQ(trouble(*store), "");
    }
    const auto later = open("later");
    const auto found = await(later->leftovers());
    ASSERT_EQ(found.size(), 1U);
    EXPECT_EQ(found[0], litter);
    EXPECT_TRUE(said.empty()) << said[0];
}

TEST_F(Store, WhatWasStruckOutIsGoneForGood) {
    const auto store = open();
    EXPECT_FALSE(record(*store, "a"));
    EXPECT_FALSE(record(*store, "b"));
    EXPECT_FALSE(strike(*store, "a"));
    EXPECT_EQ(all(*store), Items{"b"});
    EXPECT_EQ(in_file(), "b");
    EXPECT_EQ(all(*open("later")), Items{"b"});
}

TEST_F(Store, StrikingOutWhatIsNotThereIsNoError) {
    const auto store = open();
    EXPECT_FALSE(strike(*store, "a"));
    EXPECT_EQ(failures(*store), 0U);
}

TEST_F(Store, ProbeAndStoreAndItemNameAnEntry) {
    const auto store = open();
    for (const auto& [probe, place, item] :
         {std::tuple("p", "cos", "x"), {"q", "cos", "x"}, {"p", "sql", "x"}, {"p", "cos", "y"}})
        EXPECT_FALSE(await(store->record({probe, place, item, wall.load()})));
    EXPECT_FALSE(await(store->strike({"p", "cos", "x", {}})));
    Items left;
    for (const auto& held : await(open("later")->all())) left.push_back(text_of(held.litter));
    EXPECT_EQ(left, (Items{"p cos y", "p sql x", "q cos x"}));
}

TEST_F(Store, ASecondRecordKeepsTheTimeOfTheFirst) {
    const auto store = open();
    EXPECT_FALSE(record(*store, "a"));
    const auto first = wall.load();
    wall = wall.load() + 1h;
    EXPECT_FALSE(record(*store, "a"));
    EXPECT_EQ(await(store->all())[0].litter.made, first);
    EXPECT_EQ(await(open("later")->all())[0].litter.made, first);
}

TEST_F(Store, WhatIsLeftOverIsWhatNoLivingProcessHas) {
    processes = {{"lives", OwnerState::alive}, {"hides", OwnerState::hidden}};
    for (const std::string owner : {"lives", "hides", "died"})
        EXPECT_FALSE(record(*open(owner), "of " + owner));
    const auto store = open();
    EXPECT_EQ(leftovers(*store), Items{"of died"});
    for (const auto& held : await(store->all()))
        EXPECT_EQ(held.hands, held.owner == "died" ? Hands::nobody : Hands::theirs) << held.owner;
    wall = wall.load() + hidden_patience;
    EXPECT_EQ(leftovers(*store), (Items{"of died", "of hides"})) << "no run takes that long";
    processes.clear();
    EXPECT_EQ(leftovers(*store), (Items{"of died", "of hides", "of lives"}));
}

TEST_F(Store, WhatARunHasUnderWayIsNotLeftOverHoweverLongItTakes) {
    const auto store = open();
    EXPECT_FALSE(record(*store, "a"));
    EXPECT_FALSE(record(*store, "b", "q"));
    wall = wall.load() + 1000h;
    EXPECT_EQ(leftovers(*store), Items{});
    store->run_ended("q");
    EXPECT_EQ(leftovers(*store), Items{"b"});
    EXPECT_EQ(await(store->all())[0].hands, Hands::ours);
}

TEST_F(Store, WhatARunLeftIsLeftOverOnceItHasSettled) {
    const auto store = open();
    EXPECT_FALSE(record(*store, "a"));
    store->run_ended("p");
    EXPECT_EQ(leftovers(*store), Items{});
    settle();
    EXPECT_EQ(leftovers(*store), Items{"a"});
    EXPECT_FALSE(record(*store, "a"));
    EXPECT_EQ(leftovers(*store), Items{}) << "another run has it under way";
}

TEST_F(Store, ALeftoverThatIsRecordedAgainIsOurs) {
    EXPECT_FALSE(record(*open("died"), "a"));
    const auto store = open();
    EXPECT_EQ(leftovers(*store), Items{"a"});
    EXPECT_FALSE(record(*store, "a"));
    EXPECT_EQ(leftovers(*store), Items{});
    processes["us"] = OwnerState::alive;
    EXPECT_EQ(leftovers(*open("other")), Items{}) << "another process sees it too";
}

TEST_F(Store, TheOldestIsTheFirst) {
    const auto store = open("died");
    for (const std::string item : {"c", "a", "b"}) {
        EXPECT_FALSE(record(*store, item));
        wall = wall.load() + 1ms;
    }
    EXPECT_EQ(leftovers(*open()), (Items{"c", "a", "b"}));
}

TEST_F(Store, NobodyRecordsWhatIsBeingRemoved) {
    EXPECT_FALSE(record(*open("died"), "a"));
    const auto store = open();
    const Litter a{"p", "cos", "a", {}};
    EXPECT_EQ(leftovers(*store), Items{"a"});
    EXPECT_TRUE(await(store->claim(a)));
    EXPECT_FALSE(await(store->claim(a))) << "once is enough";
    const auto refused = record(*store, "a");
    EXPECT_EQ(refused, make_error_code(LedgerError::being_removed));
    EXPECT_EQ(reason_of(refused), Reason::local);
    EXPECT_FALSE(record(*store, "b"));
    store->release(a);
    EXPECT_FALSE(record(*store, "a"));
    EXPECT_FALSE(await(store->claim(a))) << "it is in a run's hands";
    EXPECT_FALSE(await(store->claim({"p", "cos", "unheard of", {}})));
}

TEST_F(Store, WhatWasRemovedMayBeMadeAgain) {
    EXPECT_FALSE(record(*open("died"), "a"));
    const auto store = open();
    EXPECT_EQ(leftovers(*store), Items{"a"});
    EXPECT_TRUE(await(store->claim({"p", "cos", "a", {}})));
    EXPECT_FALSE(strike(*store, "a"));
    EXPECT_FALSE(record(*store, "a"));
    EXPECT_EQ(all(*store), Items{"a"});
}

TEST_F(Store, FiguresAreThereFromTheStart) {
    {
        const auto store = open("died");
        EXPECT_TRUE(store->figures().litter.empty());
        EXPECT_FALSE(record(*store, "a"));
        wall = wall.load() + 1h;
        EXPECT_FALSE(record(*store, "b"));
        EXPECT_FALSE(await(store->record({"p", "sql", "c", wall.load()})));
    }
    const auto store = open();
    auto litter = store->figures().litter;
    ASSERT_EQ(litter.size(), 2U);
    EXPECT_EQ(litter["cos"].items, 2U);
    EXPECT_EQ(litter["cos"].oldest, wall.load() - 1h);
    EXPECT_EQ(litter["sql"].items, 1U);
    EXPECT_EQ(litter["sql"].oldest, wall.load());
    EXPECT_FALSE(strike(*store, "a"));
    EXPECT_EQ(store->figures().litter["cos"].oldest, wall.load());
    EXPECT_FALSE(strike(*store, "b"));
    ASSERT_EQ(store->figures().litter.count("cos"), 1U) << "0 is known, so it is said";
    EXPECT_EQ(store->figures().litter["cos"].items, 0U);
}

TEST_F(Store, TwoProcessesShareOneFile) {
    processes = {{"one", OwnerState::alive}, {"two", OwnerState::alive}};
    const auto one = open("one");
    const auto two = open("two");
    std::vector<std::unique_ptr<Task<error_code>>> tasks;
    for (int i = 0; i < 40; ++i) {
        auto& store = i % 2 == 0 ? *one : *two;
        tasks.push_back(std::make_unique<Task<error_code>>(
            io, store.record({"p", "cos", std::to_string(i), wall.load()})));
    }
    for (auto& task : tasks) EXPECT_FALSE(task->wait());
    EXPECT_EQ(all(*one).size(), 40U);
    EXPECT_EQ(all(*two).size(), 40U);
    EXPECT_EQ(failures(*one) + failures(*two), 0U);
    EXPECT_FALSE(strike(*two, "0"));
    EXPECT_EQ(all(*one).size(), 39U);
    EXPECT_EQ(one->figures().litter["cos"].items, 39U);
    EXPECT_EQ(leftovers(*one), Items{}) << "both live";
}

TEST_F(Store, ProcessesThatStartTogetherAllGetTheFile) {
    for (int round = 0; round < 10; ++round) {
        std::filesystem::remove_all(folder.path());
        std::filesystem::create_directory(folder.path());
        std::vector<std::unique_ptr<StateStore>> stores;
        auto command = options();
        command.say = {};
        for (int i = 0; i < 6; ++i) stores.push_back(std::make_unique<StateStore>(command));
        for (auto& store : stores) EXPECT_EQ(trouble(*store), "");
        for (std::size_t i = 0; i < stores.size(); ++i) EXPECT_FALSE(record(*stores[i], std::to_string(i)));
        EXPECT_EQ(in_file(), "0,1,2,3,4,5");
    }
}

TEST_F(Store, WhatAKilledProcessRecordedIsThere) {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    ::setenv(folder_variable, folder.path().c_str(), 1);
    EXPECT_EXIT(
        {
            const auto store = open("killed");
            record(*store, "a");
            record(*store, "b");
            strike(*store, "a");
            ::kill(::getpid(), SIGKILL);
        },
        testing::KilledBySignal(SIGKILL), "");
    ::unsetenv(folder_variable);
    EXPECT_EQ(leftovers(*open()), Items{"b"});
    EXPECT_TRUE(said.empty()) << said[0];
}

TEST_F(Store, ACorruptFileIsSetAsideAndANewOneBegun) {
    std::ofstream(folder.file()) << std::string(5000, 'x');
    const auto store = open();
    EXPECT_EQ(trouble(*store), "");
    EXPECT_EQ(folder.set_aside(), Items{"state.sqlite.corrupt-1800000000"});
    EXPECT_EQ(said, Items{"level=error msg=\"the state cannot be read: set aside, and begun anew\" file=" +
                          folder.file().string() + " error=\"file is not a database\" kept_as=" +
                          folder.file().string() + ".corrupt-1800000000"});
    EXPECT_FALSE(record(*store, "a"));
    EXPECT_EQ(in_file(), "a");
    EXPECT_EQ(failures(*store), 0U);
}

TEST_F(Store, APageThatIsSpoiltIsFoundAtTheStart) {
    {
        const auto store = open("died");
        for (int i = 0; i < 200; ++i) EXPECT_FALSE(record(*store, std::string(100, 'x') + std::to_string(i)));
    }
    const auto size = std::filesystem::file_size(folder.file());
    ASSERT_GT(size, 6 * 4096U);
    {
        std::fstream file(folder.file(), std::ios::in | std::ios::out | std::ios::binary);
        // One of the ledger's: the first ones are the schema's and the roots of the tables.
        file.seekp(static_cast<std::streamoff>(5 * 4096));
        file << std::string(4096, '\xff');
    }
    const auto store = open();
    EXPECT_EQ(trouble(*store), "");
    EXPECT_EQ(folder.set_aside().size(), 1U);
    EXPECT_EQ(all(*store), Items{});
}

TEST_F(Store, AFileThatGoesBadWhileInUseLosesNothingWeKnow) {
    EXPECT_FALSE(record(*open("died"), "a"));
    const auto store = open();
    EXPECT_FALSE(record(*store, "b"));
    Shell(folder.file())
        .run(
            "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET rootpage = 99; PRAGMA schema_version = "
            "77");
    EXPECT_FALSE(record(*store, "c"));
    EXPECT_EQ(folder.set_aside().size(), 1U);
    EXPECT_EQ(trouble(*store), "");
    EXPECT_EQ(in_file(), "a,b,c");
    EXPECT_EQ(leftovers(*store), Items{"a"});
}

TEST_F(Store, OnlyTheDaemonSetsAFileAside) {
    std::ofstream(folder.file()) << std::string(5000, 'x');
    auto command = options();
    command.keeper = false;
    const auto store = open(command);
    EXPECT_EQ(trouble(*store), "file is not a database");
    EXPECT_FALSE(record(*store, "a"));
    EXPECT_EQ(all(*store), Items{"a"});
    EXPECT_EQ(folder.set_aside(), Items{});
    EXPECT_EQ(std::filesystem::file_size(folder.file()), 5000U);
}

TEST_F(Store, WhatIsNoFileIsSetAside) {
    std::filesystem::create_directory(folder.file());
    const auto store = open();
    EXPECT_EQ(trouble(*store), "");
    EXPECT_EQ(folder.set_aside().size(), 1U);
    EXPECT_FALSE(record(*store, "a"));
    EXPECT_EQ(in_file(), "a");
}

TEST_F(Store, AFileThatMayNotBeReadIsSetAside) {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    ::setenv(folder_variable, folder.path().c_str(), 1);
    std::ofstream(folder.file()) << "";
    std::filesystem::permissions(folder.file(), std::filesystem::perms::none);
    std::filesystem::permissions(folder.path(), std::filesystem::perms::all);
    constexpr uid_t nobody = 65534;
    EXPECT_EXIT(
        {
            // Root may read everything.
            if (::geteuid() == 0 && ::setuid(nobody) != 0) ::_exit(1);
            const auto store = open();
            ::_exit(trouble(*store).empty() && folder.set_aside().size() == 1 ? 0 : 2);
        },
        testing::ExitedWithCode(0), "");
    ::unsetenv(folder_variable);
}

TEST_F(Store, AFileOfALaterVersionIsLeftAlone) {
    EXPECT_FALSE(record(*open("died"), "a"));
    Shell(folder.file()).run("PRAGMA user_version = 5");
    const auto store = open();
    EXPECT_EQ(trouble(*store), "written by a newer livecanary (version 5 of the file, this one knows 4)");
    EXPECT_EQ(said,
              Items{"level=error msg=\"the state cannot be written: it is kept in memory only\" file=" +
                    folder.file().string() +
                    " error=\"written by a newer livecanary (version 5 of the file, this one knows 4)\""});
    EXPECT_FALSE(record(*store, "b"));
    EXPECT_EQ(failures(*store), 1U);
    EXPECT_EQ(folder.set_aside(), Items{});
    EXPECT_EQ(in_file(), "a");
}

TEST_F(Store, WithoutADirectoryItWorksInMemoryAndSaysSoOnce) {
    std::ofstream(folder.path() / "no directory") << "";
    auto elsewhere = options();
    elsewhere.directory = folder.path() / "no directory";
    const auto store = open(elsewhere);
    EXPECT_EQ(trouble(*store), "Not a directory");
    EXPECT_FALSE(record(*store, "a"));
    EXPECT_EQ(failures(*store), 1U);
    EXPECT_FALSE(strike(*store, "a"));
    EXPECT_EQ(failures(*store), 1U) << "nothing is left to be written";
    EXPECT_FALSE(record(*store, "b"));
    EXPECT_EQ(all(*store), Items{"b"});
    EXPECT_EQ(failures(*store), 2U);
    EXPECT_EQ(store->figures().litter["cos"].items, 1U);
    EXPECT_EQ(said,
              Items{"level=error msg=\"the state cannot be written: it is kept in memory only\" file=\"" +
                    elsewhere.directory + "/state.sqlite\" error=\"Not a directory\""});
}

TEST_F(Store, TheDirectoryIsMadeIfItsParentIsThere) {
    auto deeper = options();
    deeper.directory = folder.path() / "state";
    EXPECT_EQ(trouble(*open(deeper)), "");
    EXPECT_EQ(std::filesystem::status(deeper.directory).permissions(), std::filesystem::perms::owner_all);
    EXPECT_EQ(std::filesystem::status(deeper.directory + "/state.sqlite").permissions(),
              std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
}

TEST_F(Store, ADiskThatComesBackGetsAllThatWaited) {
    auto elsewhere = options();
    elsewhere.directory = folder.path() / "mount" / "state";
    const auto store = open(elsewhere);
    EXPECT_FALSE(record(*store, "a"));
    EXPECT_FALSE(record(*store, "b"));
    EXPECT_FALSE(strike(*store, "a"));
    std::filesystem::create_directory(folder.path() / "mount");
    EXPECT_FALSE(record(*store, "c"));
    EXPECT_NE(trouble(*store), "") << "not tried at each record";
    shift = shift.load() + 1min;
    EXPECT_FALSE(record(*store, "d"));
    EXPECT_EQ(trouble(*store), "");
    EXPECT_EQ(Shell(elsewhere.directory + "/state.sqlite").run("SELECT group_concat(item) FROM litter"),
              "b,c,d");
    ASSERT_EQ(said.size(), 2U);
    EXPECT_EQ(said[1],
              "level=info msg=\"the state is on disk again\" file=" + elsewhere.directory + "/state.sqlite");
}

/// Until its end, no file may grow: as on a full disk, a write fails with an error of the kernel's.
class FullDisk {
public:
    FullDisk() {
        std::signal(SIGXFSZ, SIG_IGN);
        ::getrlimit(RLIMIT_FSIZE, &before_);
        const rlimit none{0, before_.rlim_max};
        ::setrlimit(RLIMIT_FSIZE, &none);
    }
    ~FullDisk() {
        ::setrlimit(RLIMIT_FSIZE, &before_);
        std::signal(SIGXFSZ, SIG_DFL);
    }
    FullDisk(const FullDisk&) = delete;
    FullDisk& operator=(const FullDisk&) = delete;

private:
    rlimit before_{};
};

TEST_F(Store, AFullDiskCostsDurabilityOnly) {
    const auto store = open("died");
    EXPECT_FALSE(record(*store, "a"));
    {
        const FullDisk full;
        record(*store, "b");
        record(*store, "c");
        strike(*store, "a");
    }
    EXPECT_EQ(failures(*store), 3U);
    EXPECT_NE(trouble(*store), "");
    EXPECT_EQ(all(*store), (Items{"b", "c"}));
    EXPECT_EQ(in_file(), "a");
    EXPECT_FALSE(record(*store, "d"));
    EXPECT_EQ(trouble(*store), "");
    EXPECT_EQ(in_file(), "b,c,d");
    EXPECT_EQ(said.size(), 2U);
}

TEST_F(Store, AFileLostWhileItCouldNotBeWrittenIsWrittenAnew) {
    auto command = options();
    command.keeper = false;
    const auto store = open(command);
    EXPECT_FALSE(record(*store, "a"));
    Shell(folder.file())
        .run(
            "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET rootpage = 99; PRAGMA schema_version = "
            "77");
    EXPECT_FALSE(record(*store, "b"));
    EXPECT_NE(trouble(*store), "");
    std::filesystem::remove(folder.file());
    shift = shift.load() + 1min;
    EXPECT_FALSE(record(*store, "c"));
    EXPECT_EQ(trouble(*store), "");
    EXPECT_EQ(in_file(), "a,b,c");
}

TEST_F(Store, AFullDiskAtTheStartIsNoCrash) {
    std::unique_ptr<StateStore> store;
    {
        const FullDisk full;
        store = open();
        record(*store, "a");
    }
    EXPECT_NE(trouble(*store), "");
    EXPECT_EQ(all(*store), Items{"a"});
    EXPECT_EQ(folder.set_aside(), Items{}) << "a full disk is no corrupt file";
    shift = shift.load() + 1min;
    EXPECT_FALSE(record(*store, "b"));
    EXPECT_EQ(in_file(), "a,b");
}

TEST_F(Store, AFileWithoutRoomTakesItLater) {
    const auto store = open();
    EXPECT_FALSE(record(*store, "a"));
    {
        Shell shell(folder.file());
        shell.run("BEGIN IMMEDIATE");
        EXPECT_FALSE(record(*store, "b")) << "somebody has the file to himself";
        EXPECT_EQ(trouble(*store), "database is locked");
        EXPECT_EQ(failures(*store), 1U);
        shell.run("COMMIT");
    }
    EXPECT_FALSE(record(*store, "c"));
    EXPECT_EQ(trouble(*store), "");
    EXPECT_EQ(in_file(), "a,b,c");
}

TEST_F(Store, AFileThatWasTakenAwayIsWrittenAnew) {
    EXPECT_FALSE(record(*open("died"), "a"));
    const auto store = open();
    EXPECT_FALSE(record(*store, "b"));
    std::filesystem::rename(folder.file(), folder.path() / "elsewhere");
    EXPECT_FALSE(record(*store, "c"));
    EXPECT_EQ(in_file(), "a,b,c");
    EXPECT_EQ(leftovers(*store), Items{"a"});
}

TEST_F(Store, ALedgerThatIsFullTakesNothingNew) {
    { const auto store = open("died"); }
    Shell(folder.file())
        .run("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < " +
             std::to_string(most_litter) +
             ") INSERT INTO litter SELECT 'p', 'cos', 'item' || i, 0, 'died' FROM n");
    const auto store = open();
    const auto refused = record(*store, "one more");
    EXPECT_EQ(refused, make_error_code(LedgerError::full));
    EXPECT_EQ(reason_of(refused), Reason::local);
    EXPECT_FALSE(record(*store, "item1")) << "that is there already";
    EXPECT_FALSE(strike(*store, "item2"));
    EXPECT_FALSE(record(*store, "one more"));
}

TEST_F(Store, ACutRunsRecordIsWhole) {
    EXPECT_FALSE(record(*open("died"), "a"));
    std::promise<void> go;
    auto slow = options();
    slow.look = [ready = go.get_future().share()](std::string_view) {
        ready.wait();
        return OwnerState::gone;
    };
    const auto store = open(slow);
    // The store is busy with one thing while a run that waits for the next is cut.
    Task<std::vector<Litter>> before(io, store->leftovers());
    Task<error_code> task(io, store->record({"p", "cos", "b", wall.load()}));
    io.restart();
    io.poll();
    task.cut();
    io.poll();
    go.set_value();
    EXPECT_FALSE(task.wait());
    EXPECT_EQ(before.wait().size(), 1U);
    EXPECT_EQ(in_file(), "a,b");
}

TEST_F(Store, WhatWasAskedForIsDoneBeforeItGoes) {
    auto store = open("died");
    store->run_ended("p");
    Task<error_code> task(io, store->record({"p", "cos", "a", wall.load()}));
    io.restart();
    io.run_one();
    store.reset();
    EXPECT_EQ(in_file(), "a");
    EXPECT_FALSE(task.wait());
}

TEST_F(Store, RemembersOverRestarts) {
    {
        const auto store = open();
        EXPECT_EQ(await(store->recall("db", "mark")), std::nullopt);
        EXPECT_FALSE(await(store->remember("db", "mark", "17")));
        EXPECT_FALSE(await(store->remember("db", "mark", "18")));
        EXPECT_FALSE(await(store->remember("log", "mark", std::string("a\0b", 3))));
        EXPECT_EQ(await(store->recall("db", "mark")), "18");
    }
    const auto store = open();
    EXPECT_EQ(await(store->recall("db", "mark")), "18");
    EXPECT_EQ(await(store->recall("log", "mark")), std::string("a\0b", 3));
    EXPECT_EQ(await(store->recall("other", "mark")), std::nullopt);
}

TEST_F(Store, WhatIsRememberedIsBounded) {
    const auto store = open();
    EXPECT_FALSE(await(store->remember("p", "k", std::string(most_remembered, 'x'))));
    EXPECT_TRUE(await(store->remember("p", "k", std::string(most_remembered + 1, 'x'))));
    EXPECT_EQ(await(store->recall("p", "k"))->size(), most_remembered) << "the old one stays";
}

TEST_F(Store, RemembersInMemoryWhileThereIsNoFileAndWritesItLater) {
    auto store = open();
    EXPECT_FALSE(await(store->remember("db", "mark", "17")));
    std::filesystem::remove_all(folder.path());
    std::ofstream(folder.path()) << "in the way";
    EXPECT_FALSE(await(store->remember("db", "mark", "18")));
    EXPECT_EQ(await(store->recall("db", "mark")), "18");
    EXPECT_NE(trouble(*store), "");
    std::filesystem::remove(folder.path());
    std::filesystem::create_directory(folder.path());
    shift = 2h;
    EXPECT_FALSE(await(store->remember("db", "other", "1")));
    EXPECT_EQ(trouble(*store), "");
    store.reset();
    EXPECT_EQ(Shell(folder.file()).run("SELECT group_concat(key || '=' || value) FROM memory"),
              "mark=18,other=1");
}

TEST_F(Store, KeepsAlertsOverRestartsUntilTheyAreForgotten) {
    using Texts = std::vector<std::string>;
    auto store = open();
    EXPECT_EQ(await(store->alerts()), Texts{});
    store->keep_alert("a", "1");
    store->keep_alert("b", "2");
    store->keep_alert("a", "3");
    EXPECT_EQ(await(store->alerts()), (Texts{"3", "2"}));
    store.reset();
    store = open();
    EXPECT_EQ(await(store->alerts()), (Texts{"3", "2"}));
    store->keep_alert("a", std::nullopt);
    store->keep_alert("nobody", std::nullopt);
    // While the file cannot be written it goes on in memory, and what is forgotten does not come back.
    {
        Shell shell(folder.file());
        shell.run("BEGIN IMMEDIATE");
        store->keep_alert("b", std::nullopt);
        store->keep_alert("c", "4");
        EXPECT_EQ(await(store->alerts()), Texts{"4"});
        EXPECT_NE(trouble(*store), "");
        shell.run("COMMIT");
    }
    await(store->all());
    EXPECT_EQ(await(store->alerts()), Texts{"4"});
    store->keep_alert("d", "5");
    EXPECT_EQ(trouble(*store), "");
    store.reset();
    EXPECT_EQ(Shell(folder.file()).run("SELECT group_concat(name || '=' || value) FROM alert"), "c=4,d=5");
}

TEST_F(Store, KeepsIncidentsBesideThem) {
    using Texts = std::vector<std::string>;
    auto store = open();
    store->keep_alert("a", "alert");
    store->keep_incident("a", "1");
    store->keep_incident("b", "2");
    store->keep_incident("a", "3");
    store->keep_incident("nobody", std::nullopt);
    EXPECT_EQ(await(store->incidents()), (Texts{"3", "2"}));
    store.reset();
    store = open();
    EXPECT_EQ(await(store->incidents()), (Texts{"3", "2"}));
    EXPECT_EQ(await(store->alerts()), Texts{"alert"});
    store->keep_incident("b", std::nullopt);
    // A file that is taken away is written anew, with all that is known.
    std::filesystem::remove(folder.file());
    store->keep_incident("c", "4");
    EXPECT_EQ(trouble(*store), "");
    EXPECT_EQ(store->figures().trouble, "");
    store.reset();
    EXPECT_EQ(Shell(folder.file()).run("SELECT group_concat(id || '=' || value) FROM incident"), "a=3,c=4");
}

TEST_F(Store, SaysInItsFiguresWhyNothingIsDurable) {
    auto broken = options();
    broken.directory = "/nowhere/at/all";
    const auto store = open(broken);
    EXPECT_NE(store->figures().trouble, "");
    store->keep_incident("a", "1");
    EXPECT_EQ(await(store->incidents()), std::vector<std::string>{"1"});
}

// What 0.1.0 wrote has no such tables.
TEST_F(Store, AFileOfTheFirstVersionIsTakenOver) {
    Shell(folder.file())
        .run(
            "CREATE TABLE litter (probe TEXT NOT NULL, store TEXT NOT NULL, item TEXT NOT NULL, made_ms "
            "INTEGER NOT NULL, owner TEXT NOT NULL, PRIMARY KEY (probe, store, item)) WITHOUT ROWID;"
            "INSERT INTO litter VALUES ('p', 'cos', 'a', 0, 'died'); PRAGMA user_version = 1;");
    const auto store = open();
    EXPECT_EQ(trouble(*store), "");
    EXPECT_EQ(leftovers(*store), Items{"a"});
    EXPECT_FALSE(await(store->remember("db", "mark", "17")));
    EXPECT_EQ(Shell(folder.file()).run("PRAGMA user_version"), "4");
}

TEST_F(Store, AFileOfTheThirdVersionKeepsWhatItHas) {
    open();
    Shell(folder.file())
        .run(
            "DROP TABLE incident; PRAGMA user_version = 3; INSERT INTO alert VALUES ('a', '1'); INSERT INTO "
            "memory VALUES ('db', 'mark', '17');");
    auto store = open();
    EXPECT_EQ(trouble(*store), "");
    EXPECT_EQ(await(store->alerts()), std::vector<std::string>{"1"});
    EXPECT_EQ(await(store->recall("db", "mark")), "17");
    EXPECT_TRUE(await(store->incidents()).empty());
    store->keep_incident("i", "2");
    store.reset();
    EXPECT_EQ(Shell(folder.file()).run("SELECT value FROM incident"), "2");
    EXPECT_EQ(Shell(folder.file()).run("PRAGMA user_version"), "4");
}

/// What daemons of before said to SQLite, each besides what those before it did.
constexpr const char* schema_of_before[] = {
    "CREATE TABLE litter (probe TEXT NOT NULL, store TEXT NOT NULL, item TEXT NOT NULL, made_ms INTEGER NOT "
    "NULL,"
    " owner TEXT NOT NULL, PRIMARY KEY (probe, store, item)) WITHOUT ROWID; PRAGMA user_version = 1;"
    "INSERT INTO litter VALUES ('p', 'cos', 'a', 0, 'died');",
    "CREATE TABLE memory (probe TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL,"
    " PRIMARY KEY (probe, key)) WITHOUT ROWID; PRAGMA user_version = 2;"
    "INSERT INTO memory VALUES ('db', 'mark', '17');",
    "CREATE TABLE alert (name TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;"
    "PRAGMA user_version = 3; INSERT INTO alert VALUES ('a', '1');",
};

TEST_F(Store, AFileOfEachVersionBeforeKeepsWhatItHasAndTakesIncidents) {
    for (std::size_t version = 1; version <= std::size(schema_of_before); ++version) {
        SCOPED_TRACE(version);
        std::filesystem::remove(folder.file());
        {
            Shell shell(folder.file());
            shell.run("PRAGMA journal_mode = WAL");
            for (std::size_t i = 0; i < version; ++i) shell.run(schema_of_before[i]);
        }
        for (int life = 0; life < 2; ++life) {
            const auto store = open();
            EXPECT_EQ(trouble(*store), "");
            EXPECT_EQ(all(*store), Items{"a"});
            EXPECT_EQ(await(store->recall("db", "mark")),
                      version >= 2 ? std::optional<std::string>("17") : std::nullopt);
            EXPECT_EQ(await(store->alerts()).size(), version >= 3 ? 1U : 0U);
            EXPECT_EQ(await(store->incidents()).size(), life == 0 ? 0U : 1U);
            store->keep_incident("i", "2");
        }
        EXPECT_EQ(Shell(folder.file()).run("PRAGMA user_version"), "4");
    }
}

TEST_F(Store, AVersionBelowNoneIsASpoiltFile) {
    open();
    Shell(folder.file()).run("PRAGMA user_version = -1");
    EXPECT_EQ(trouble(*open([&] {
                  auto command = options();
                  command.keeper = false;
                  return command;
              }())),
              "its version is -1");
    const auto store = open();
    EXPECT_EQ(trouble(*store), "");
    EXPECT_EQ(folder.set_aside().size(), 1U);
}

TEST_F(Store, WhatPilesUpBeforeADiskThatHangsIsTheLastTextOfEach) {
    std::promise<void> disk;
    auto hangs = options();
    hangs.directory = "/nowhere/at/all";
    hangs.now = [done = disk.get_future().share()] {
        done.wait();
        return Clock::time_point(1h);
    };
    StateStore store(hangs);
    for (int i = 0; i < 1000; ++i) {
        store.keep_incident("i", std::to_string(i));
        store.keep_alert("a", std::to_string(i));
    }
    disk.set_value();
    EXPECT_EQ(await(store.incidents()), std::vector<std::string>{"999"});
    EXPECT_EQ(await(store.alerts()), std::vector<std::string>{"999"});
    EXPECT_EQ(failures(store), 2U) << "one write each";
}

}  // namespace
}  // namespace livecanary::daemon
