#pragma once
// The probes of one daemon talking to each other (probes/core/peers.hpp).
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include <boost/asio/awaitable.hpp>

#include "daemon/settings.hpp"
#include "probes/core/peers.hpp"
#include "probes/net/resolver.hpp"

namespace livecanary::daemon {

/// Carries questions, answers and notices. Of one executor, and lives longer than what runs on it.
class Exchange final : public Peers {
public:
    /// A probe that can be asked. It is kept for as long as an answer of it takes.
    struct Answerer {
        std::shared_ptr<const ProbeSettings> settings{};
        /// A world for one answer, like the one its runs get.
        std::function<Env()> env{};
        std::shared_ptr<net::Resolver> dns{};
    };
    /// The probe of that name as it is now; one without settings if there is none.
    using Find = std::function<Answerer(const std::string& probe)>;

    explicit Exchange(Find find) : find_(std::move(find)) {}

    /// Whom the configured probes ask, from now on.
    void asked(std::set<std::string, std::less<>> names) { asked_ = std::move(names); }

    boost::asio::awaitable<result<PeerAnswer>> ask(std::string probe, Question question) override;
    bool is_asked(std::string_view probe) const override { return asked_.contains(probe); }
    void tell(Notice notice) override;
    std::vector<Notice> told(std::string_view topic, std::uint64_t after) const override;

private:
    Find find_;
    std::set<std::string, std::less<>> asked_{};
    std::map<std::string, std::deque<Notice>, std::less<>> notices_{};  // by topic
    std::uint64_t last_ = 0;
};

/// Every probe that one of `probes` asks.
template <class Probes>
std::set<std::string, std::less<>> asked_by(const Probes& probes) {
    std::set<std::string, std::less<>> names;
    for (const ProbeSettings& probe : probes) names.insert(probe.probe.asks.begin(), probe.probe.asks.end());
    return names;
}

}  // namespace livecanary::daemon
