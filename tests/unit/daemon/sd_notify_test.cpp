#include "daemon/sd_notify.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <string>

namespace livecanary::daemon {
namespace {

using namespace std::chrono_literals;

/// systemd's end: a datagram socket, bound to a path, or with '@' to an abstract name.
class Manager {
public:
    explicit Manager(const std::string& name) : descriptor_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        name.copy(address.sun_path, sizeof address.sun_path - 1);
        if (address.sun_path[0] == '@') address.sun_path[0] = '\0';
        const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
        EXPECT_EQ(::bind(descriptor_, reinterpret_cast<const sockaddr*>(&address), size), 0);
    }
    ~Manager() { ::close(descriptor_); }
    Manager(const Manager&) = delete;
    Manager& operator=(const Manager&) = delete;

    /// The next datagram; empty if there is none.
    std::string next() const {
        std::array<char, 4096> bytes;
        const auto size = ::recv(descriptor_, bytes.data(), bytes.size(), MSG_DONTWAIT);
        return {bytes.data(), size > 0 ? static_cast<std::size_t>(size) : 0};
    }

private:
    int descriptor_;
};

class SdNotify : public testing::TestWithParam<bool> {
protected:
    SdNotify() {
        std::string folder = (std::filesystem::temp_directory_path() / "livecanary-XXXXXX").string();
        EXPECT_NE(::mkdtemp(folder.data()), nullptr);
        folder_ = folder;
        // The folder's name is unique, so the abstract name is.
        name_ = GetParam() ? "@" + folder : folder + "/notify";
    }
    ~SdNotify() override { std::filesystem::remove_all(folder_); }

    std::filesystem::path folder_{};
    std::string name_{};
};

TEST_P(SdNotify, SaysWhatSystemdExpects) {
    const Manager manager(name_);
    const SystemdNotifier notifier(name_);
    notifier.ready("running");
    EXPECT_EQ(manager.next(), "READY=1\nSTATUS=running");
    notifier.reloading(1234567us);
    EXPECT_EQ(manager.next(), "RELOADING=1\nMONOTONIC_USEC=1234567");
    notifier.watchdog();
    EXPECT_EQ(manager.next(), "WATCHDOG=1");
    notifier.status("all is well");
    EXPECT_EQ(manager.next(), "STATUS=all is well");
    notifier.stopping();
    EXPECT_EQ(manager.next(), "STOPPING=1");
    EXPECT_EQ(manager.next(), "");
}

TEST_P(SdNotify, NobodyThereIsNoHarm) {
    const SystemdNotifier notifier(name_);
    notifier.ready("running");
    {
        const Manager manager(name_);
        notifier.watchdog();
        EXPECT_EQ(manager.next(), "WATCHDOG=1") << "a manager that comes later is heard";
    }
    notifier.watchdog();
}

TEST_P(SdNotify, NeverBlocksOnAFullSocket) {
    const Manager manager(name_);
    const SystemdNotifier notifier(name_);
    for (int i = 0; i < 10'000; ++i) notifier.watchdog();
    EXPECT_EQ(manager.next(), "WATCHDOG=1");
}

INSTANTIATE_TEST_SUITE_P(, SdNotify, testing::Bool(),
                         [](const auto& row) { return row.param ? "AbstractName" : "Path"; });

TEST(SystemdNotifier, WithoutASocketItIsSilent) {
    const SystemdNotifier notifier("");
    notifier.ready("running");
    EXPECT_FALSE(notifier.watchdog_period());
    const SystemdNotifier too_long(std::string(200, 'x'), "1000000");
    too_long.ready("running");
    EXPECT_FALSE(too_long.watchdog_period()) << "who cannot be told cannot watch";
}

TEST(SystemdNotifier, SpeaksTwiceAsOftenAsItIsWatched) {
    const auto period = [](const char* usec) { return SystemdNotifier("@nobody", usec).watchdog_period(); };
    EXPECT_EQ(period("30000000"), 15s);
    EXPECT_FALSE(period(""));
    EXPECT_FALSE(period("0"));
    EXPECT_FALSE(period("-5"));
    EXPECT_FALSE(period("soon"));
}

}  // namespace
}  // namespace livecanary::daemon
