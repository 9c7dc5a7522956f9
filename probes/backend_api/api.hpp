#pragma once
// The requests of the backend's API that need more than one look: a login, and what is signed with its token.
#include <string>

#include "probes/backend_api/state.hpp"

namespace livecanary::backend_api {

/// `client`, `config`, `state` and `run` must outlive it; the turn is taken.
class Api {
public:
    Api(Client& client, const Config& config, State& state, ProbeRun& run)
        : client_(client), config_(config), state_(state), run_(run) {}

    /// POST /login of the configured account; keeps its session, and nothing of a session if it fails in a
    /// way that ends one.
    asio::awaitable<error_code> login(Answer& answer, Clock::time_point deadline);
    /// A signed POST of `fields` besides the account, which logs in first if there is no session, and once
    /// more if the token turns out invalid. `ask` afresh each time: code 498 ends a session.
    asio::awaitable<error_code> signed_call(const std::string& path, const std::string& fields,
                                            Answer& answer, Clock::time_point deadline);
    /// POST /refresh of the session there is, which gives it a new token. Without a session:
    /// BackendError::token_invalid.
    asio::awaitable<error_code> refresh(Answer& answer, Clock::time_point deadline);
    /// How often signed_call() had to log in.
    unsigned relogins() const noexcept { return relogins_; }

    /// `{"userid":…,"timestamp":…,"expires":…` and `fields`, as the app sends it.
    std::string body_of(const std::string& userid, const std::string& fields) const;

private:
    Client& client_;
    const Config& config_;
    State& state_;
    ProbeRun& run_;
    unsigned relogins_ = 0;
};

}  // namespace livecanary::backend_api
