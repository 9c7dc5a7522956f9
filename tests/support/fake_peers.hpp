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

    FakePeers();
    ~FakePeers() override;
    FakePeers(const FakePeers&) = delete;
    FakePeers& operator=(const FakePeers&) = delete;

    boost::asio::awaitable<result<PeerAnswer>> ask(std::string probe, Question question) override;
    bool is_asked(std::string_view probe) const override;
    void tell(Notice notice) override;
    std::vector<Notice> told(std::string_view topic, std::uint64_t after = 0) const override;

    std::map<std::string, result<PeerAnswer>, std::less<>> answers{};  ///< by probe; others are not there
    std::set<std::string, std::less<>> wanted{};                       ///< for is_asked()
    std::deque<Asked> asked{};
    std::deque<Notice> notices{};
};

}  // namespace livecanary::test
