#pragma once
// What the tests of callback share: the reference backend's callback script behind a scripted HTTP server,
// with each of its faults switchable, and runs against it.
#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <boost/json/object.hpp>

#include "probes/callback/kind.hpp"
#include "probes/core/peers.hpp"
#include "probes/net/resolver.hpp"
#include "probes/protocol/callback_sign.hpp"
#include "tests/support/http_server.hpp"
#include "tests/support/name_server.hpp"
#include "tests/support/toml_text.hpp"

namespace livecanary::test {

using namespace std::chrono_literals;

/// The answers of /callback/tape_callback.php, as measured on the real one; PHP 5 and 7 as read in its code.
struct TapeCallback {
    std::string key = "callback-key";
    bool php8 = true;
    enum class Database { ok, refuses, hangs } database = Database::ok;
    bool mysqli = true;
    bool log_writable = true;
    bool room_row = true;
    bool can_insert = true;  ///< false: schema changed, table missing, read-only
    bool needs_video_id = true;
    bool display_errors = false;  ///< warnings before the JSON, cut where the JSON alone would end
    bool fatal_as_html = false;   ///< with display_errors: a fatal error is a 200
    bool compares_signature = true;
    int gateway = 0;                     ///< the status nginx gives for every PHP URL
    int root = 403;                      ///< of `/`
    std::optional<HttpReply> instead{};  ///< of the script
    int rows = 0;

    HttpReply answer(const HttpHeard& heard);

    static HttpReply page_of_nginx(int status);
    HttpReply code(const std::string& code) const;
    HttpReply fatal() const;

private:
    HttpReply script(const HttpHeard& heard);
    /// `==` of PHP.
    bool passes(const boost::json::object& event) const;
};

/// The other probes, as far as they tell of their pushes.
class CallbackPeers final : public Peers {
public:
    boost::asio::awaitable<result<PeerAnswer>> ask(std::string, Question) override;
    bool is_asked(std::string_view) const override { return false; }
    void tell(Notice notice) override;
    std::vector<Notice> told(std::string_view topic, std::uint64_t after) const override;
    /// A push of `stream` started ("1") or ended ("0").
    void push(std::string event, std::string stream, WallTime at, std::string from = "push-main");
    std::vector<Notice> notices{};
};

/// A failed run as the daemon judges it.
struct CallbackJudged {
    RunResult run{};
    Diagnosis diagnosis{};
};

struct CallbackStage {
    static constexpr std::chrono::seconds start{1'795'000'000};

    asio::io_context io{};
    NameServer names{io};
    net::Resolver dns{io.get_executor(), {names.address()}};
    CallbackPeers peers{};
    TapeCallback backend{};
    Clock::duration passed{};  ///< by both clocks, beside the real time
    Env env{};
    std::function<void()> when_asked{};
    ScriptedHttpServer server{io, [this](const HttpHeard& heard) {
                                  if (when_asked) when_asked();
                                  return backend.answer(heard);
                              }};

    CallbackStage();
    ~CallbackStage();
    CallbackStage(const CallbackStage&) = delete;
    CallbackStage& operator=(const CallbackStage&) = delete;

    std::string url() const;
    static Probe made_of(const std::string& keys);
    Probe make(const std::string& more = {}, const std::string& key = "KEY") const;
    /// Sockets know the real time only, in which the deadline lies.
    RunResult run(const Probe& probe, Clock::duration timeout = 30s);
    CallbackJudged judge(const Probe& probe, Clock::duration timeout = 30s);
    WallTime now() const { return env.wall(); }
};

std::string way_of(const RunResult& run);

double found_of(const RunResult& run, std::string_view metric, std::string_view label);

std::string outcomes_of(const RunResult& run);

}  // namespace livecanary::test
