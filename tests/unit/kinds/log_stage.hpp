#pragma once
// What the tests of log_keywords share: a directory of logs, and what the daemon gives a probe.
#include <gtest/gtest.h>

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "probes/core/memory.hpp"
#include "probes/core/peers.hpp"
#include "probes/log_keywords/follow.hpp"
#include "tests/support/toml_text.hpp"

namespace livecanary::test {

/// A directory of its own, gone with the test.
class LogDirectory {
public:
    LogDirectory() {
        std::string name = (std::filesystem::temp_directory_path() / "livecanary-logs-XXXXXX").string();
        if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("no directory for logs");
        path_ = name;
    }
    ~LogDirectory() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    LogDirectory(const LogDirectory&) = delete;
    LogDirectory& operator=(const LogDirectory&) = delete;

    std::string operator/(const std::string& name) const { return path_ + '/' + name; }
    const std::string& path() const { return path_; }

    void append(const std::string& name, const std::string& text) const {
        std::ofstream out(*this / name, std::ios::app | std::ios::binary);
        out << text;
        ASSERT_TRUE(out.flush());
    }
    void rename(const std::string& from, const std::string& to) const {
        std::filesystem::rename(*this / from, *this / to);
    }
    void copy(const std::string& from, const std::string& to) const {
        std::filesystem::copy_file(*this / from, *this / to);
    }
    void remove(const std::string& name) const { std::filesystem::remove(*this / name); }
    void truncate(const std::string& name, std::uint64_t size = 0) const {
        std::filesystem::resize_file(*this / name, size);
    }

private:
    std::string path_;
};

/// Somebody who may not read everything: in place of root, for whom no file is forbidden.
class Unprivileged {
public:
    explicit Unprivileged(const LogDirectory& logs) : was_root_(::geteuid() == 0) {
        if (!was_root_) return;
        for (const auto& entry : std::filesystem::recursive_directory_iterator(logs.path()))
            EXPECT_EQ(::lchown(entry.path().c_str(), nobody, nobody), 0);
        EXPECT_EQ(::chown(logs.path().c_str(), nobody, nobody), 0);
        EXPECT_EQ(::seteuid(nobody), 0);
    }
    ~Unprivileged() {
        if (!was_root_) return;
        EXPECT_EQ(::seteuid(0), 0);
    }
    Unprivileged(const Unprivileged&) = delete;
    Unprivileged& operator=(const Unprivileged&) = delete;

private:
    static constexpr unsigned nobody = 65534;
    bool was_root_;
};

/// What a probe remembers, as long as the test lasts.
class FakeMemory final : public Memory {
public:
    boost::asio::awaitable<std::optional<std::string>> recall(std::string probe, std::string key) override {
        const auto found = kept.find(probe + ' ' + key);
        co_return found != kept.end() ? std::optional(found->second) : std::nullopt;
    }
    boost::asio::awaitable<error_code> remember(std::string probe, std::string key,
                                                std::string value) override {
        if (on_remember) {
            on_remember();
            // What it set off is delivered.
            co_await boost::asio::post(co_await boost::asio::this_coro::executor, boost::asio::use_awaitable);
        }
        if (!fails) kept[probe + ' ' + key] = std::move(value);
        co_return fails;
    }
    std::map<std::string, std::string> kept{};
    error_code fails{};
    std::function<void()> on_remember{};
};

/// Hears what a probe tells.
class LogPeers final : public Peers {
public:
    boost::asio::awaitable<result<PeerAnswer>> ask(std::string, Question) override {
        co_return PeerError::no_such_probe;
    }
    bool is_asked(std::string_view) const override { return false; }
    void tell(Notice notice) override { heard.push_back(std::move(notice)); }
    std::vector<Notice> told(std::string_view, std::uint64_t) const override { return heard; }
    std::vector<Notice> heard{};
};

}  // namespace livecanary::test
