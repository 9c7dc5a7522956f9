#pragma once
// The other probes of a daemon, as far as a test makes them up.
#include <deque>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "probes/core/peers.hpp"

namespace livecanary::test {

class FakePeers final : public Peers {
public:
    /// One question as it came.
    struct Asked {
        std::string probe{};
        std::string what{};
        Facts with{};
        Clock::time_point deadline{};
    };

    boost::asio::awaitable<result<PeerAnswer>> ask(std::string probe, Question question) override {
        asked.push_back({probe, std::string(question.what), question.with, question.deadline});
        const auto found = answers.find(probe);
        if (found == answers.end()) co_return PeerError::no_such_probe;
        co_return found->second;
    }
    bool is_asked(std::string_view probe) const override { return wanted.contains(probe); }
    void tell(Notice notice) override {
        notice.number = notices.size() + 1;
        notices.push_back(std::move(notice));
    }
    std::vector<Notice> told(std::string_view topic, std::uint64_t after = 0) const override {
        std::vector<Notice> found;
        for (const auto& notice : notices)
            if (notice.topic == topic && notice.number > after) found.push_back(notice);
        return found;
    }

    std::map<std::string, result<PeerAnswer>, std::less<>> answers{};  ///< by probe; others are not there
    std::set<std::string, std::less<>> wanted{};                       ///< for is_asked()
    std::deque<Asked> asked{};
    std::deque<Notice> notices{};
};

}  // namespace livecanary::test
