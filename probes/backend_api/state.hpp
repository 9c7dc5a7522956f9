#pragma once
// What one probe knows of its backend from run to run: whose turn it is, the session, and the request that
// hangs.
#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "config/secret.hpp"
#include "probes/backend_api/client.hpp"
#include "probes/core/peers.hpp"
#include "probes/net/held_socket.hpp"

namespace livecanary::backend_api {

/// What a login gave. Each login ends the session before it, so there is one of them.
struct Session {
    config::Secret token{}, refresh_token{};
    std::string bucket{}, region{}, appid{}, secret_id{};  ///< of cos_info, as the backend says them
};

/// How each check of a run ended, in order: its name and word.
using Pattern = std::vector<std::pair<std::string_view, std::string>>;

/// A request that the backend took and has not answered. It occupies one of the few PHP workers there are
/// (five by default, and five of them stop the backend for everybody), and goes on doing so if we leave: so
/// its connection is kept, and nothing else is asked of PHP while it stays silent.
struct Hung {
    net::HeldSocket socket;
    std::string_view check{};  ///< empty: it was asked for another probe
    Clock::time_point since{};
    Pattern before{};  ///< of the run it hung in
};

/// Shared by the runs, controls and answers of one probe. On one executor.
struct State {
    /// Of the backend; with the other probes that ask it, where there are any. Once somebody has asked for
    /// it.
    std::shared_ptr<Turn> turn{};
    std::optional<Session> session{};
    std::vector<Hung> hung{};  ///< of PHP first; at most one of the web server's own too
    unsigned hangs = 0;        ///< since the last run in which nothing hung

    /// For how long a hung request is waited for before another one is risked: 5 minutes, twice as long after
    /// each hang, at most an hour. Our choice: the shipped nginx waits for 10 minutes, and five hung ones are
    /// the end.
    Clock::duration patience() const {
        constexpr auto first = std::chrono::minutes(5), most = std::chrono::minutes(60);
        const unsigned doublings = hangs > 0 ? hangs - 1 : 0;
        return doublings > 3 ? most : std::min(first * (1U << doublings), most);
    }
    /// For how long a hung request closes the backend to other probes: a receiver may pass real events on,
    /// and the cloud gives one up after 12 minutes (document 267/32744).
    static constexpr Clock::duration longest_for_others = std::chrono::minutes(10);

    Turn& turn_at(const Config& config, const Env& env) {
        if (!turn)
            turn = env.peers != nullptr
                       ? env.peers->turn_at(config.endpoint.host + ":" + std::to_string(config.endpoint.port))
                       : std::make_shared<Turn>();
        return *turn;
    }
    /// Whether a hung request is still waited for. Lets go of those that are not.
    bool still_hanging(Clock::time_point now) {
        std::erase_if(
            hung, [&](const Hung& one) { return !one.socket.is_silent() || now - one.since >= patience(); });
        if (hung.empty() && turn) turn->answered(this);
        return !hung.empty();
    }
    /// Whether another probe's request to the backend is not answered.
    bool another_hangs(Clock::time_point now) const { return turn && turn->closed_to(this, now); }
    bool hangs_at(Check check) const {
        return std::ranges::find(hung, name_of(check), &Hung::check) != hung.end();
    }
    void hangs_now(Client& client, std::string_view check, Clock::time_point since, Pattern before) {
        hung.push_back(Hung{client.let_go(), check, since, std::move(before)});
        ++hangs;
        if (turn) turn->hung(this, since + std::min(patience(), longest_for_others));
    }
};

}  // namespace livecanary::backend_api
