#include "tests/support/fake_peers.hpp"

#include <utility>

namespace livecanary::test {

boost::asio::awaitable<result<PeerAnswer>> FakePeers::ask(std::string probe, Question question) {
    asked.push_back({probe, std::string(question.what), question.with, question.deadline});
    const auto found = answers.find(probe);
    if (found == answers.end()) co_return PeerError::no_such_probe;
    co_return found->second;
}

bool FakePeers::is_asked(std::string_view probe) const { return wanted.contains(probe); }

void FakePeers::tell(Notice notice) {
    notice.number = notices.size() + 1;
    notices.push_back(std::move(notice));
}

std::vector<Notice> FakePeers::told(std::string_view topic, std::uint64_t after) const {
    std::vector<Notice> found;
    for (const auto& notice : notices)
        if (notice.topic == topic && notice.number > after) found.push_back(notice);
    return found;
}

FakePeers::FakePeers() = default;

FakePeers::~FakePeers() = default;

}  // namespace livecanary::test
