#pragma once
// The cloud's side of a push and a play, for practice: answers nginx-rtmp's on_connect, on_publish, on_play
// and on_publish_done, and the auth_request of an HTTP front, as a live-streaming cloud with authentication
// would, and can be told to misbehave.
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "tests/practice/cloud.hpp"

namespace livecanary::practice {

/// An HTTP server on its own thread. All functions may be called from any thread. Every hook of nginx-rtmp is
/// `http://ADDRESS:PORT/`. A front's auth_request goes to `/play_auth`, with the player's Host and its target
/// in X-Original-URI; the answer is 403, in the header X-Play-Status 404 if the domain or the application is
/// unknown, since nginx takes no other number for a refusal. Secrets are neither logged nor given back.
///
/// The same can be done over HTTP on the control port, with JSON bodies:
/// - `GET /seen`: counts by call and verdict, `{"publish":{"accepted":3,"wrong_secret":1}}`
/// - `GET /behaviour`; `POST /behaviour` changes the members given: `{"refuse":true,"delay_ms":500}`, with
///   `calls`, `refuse`, `delay_ms`, `hang`, `drop`, `status`, `judge_domain_at_publish`, `forbidden`, `busy`
/// - `PUT /domains/NAME` with `main_key`, `backup_key`, `auth`, `apps`, `grace_seconds`, `play_key`,
///   `play_backup_key`, `push`: what is left out stays as it is; `DELETE /domains/NAME`
/// - `POST /vanish`, `POST /reappear`; `POST /kick` with `app`, `name`: `{"dropped":1}`
/// - with CloudEvents (livecanary-practice --callbacks): `GET /callbacks`; `POST /callbacks` changes the
/// members
///   given and answers the same, `{"lost":[100],"recording":false}`:
///   - `to`: the callback URL, `"http://127.0.0.1:9878/live"`; `dead`: true: nobody is reached there
///   - `key`: the template's CallbackKey; never given back
///   - `lost`: event numbers (1, 0, 100) that are not sent, as if the template had no URL for them
///   - `delay_ms`: before the first attempt of each event
///   - `retries`, `retry_every_ms`: as documented 12 and 60000, until the answer is HTTP 200
///   - `recording`: false: pushes are not recorded, and there is no event 100
///   - `record_scale`: a recording is told of as so many times as long as its push (1): the backend stores
///   none
///     of 60 s or less
///   - `format`: `file_format` of event 100, "MP4" or "mp4"; `video_id`: whether event 100 has it, as the
///     documents of 2016 and 2017 have and today's have not
///   - and in the answer, by event: `"sent":{"1":{"delivered":3,"given_up":0,"under_way":1}}`
class HookServer {
public:
    using WallClock = std::function<std::chrono::system_clock::time_point()>;
    /// Of method and body to the JSON to answer; empty: 404. What it throws is answered with 400.
    using ControlHandler = std::function<std::string(const std::string& method, const std::string& body)>;
    struct Options {
        std::string address = "127.0.0.1";
        std::uint16_t port = 0;          ///< 0: a free one
        std::uint16_t control_port = 0;  ///< of the control API; 0: a free one
        WallClock now = [] { return std::chrono::system_clock::now(); };  ///< what txTime is compared with
    };

    HookServer();
    /// Throws boost::system::system_error if a port cannot be bound.
    explicit HookServer(Options options);
    HookServer(const HookServer&) = delete;
    HookServer& operator=(const HookServer&) = delete;
    ~HookServer();

    std::uint16_t port() const noexcept;
    std::uint16_t control_port() const noexcept;

    /// Serves pushes and plays for this domain from now on, or stops to. Port and letter case do not matter.
    void know(const std::string& domain, Domain settings);
    void unknow(const std::string& domain);
    /// Serves players at this host without asking for a key, unless it is known as a domain. The loopback
    /// names 127.0.0.1 and localhost are served from the start.
    void know_player(const std::string& domain);
    void set_main_key(const std::string& domain, std::string key);
    void set_auth(const std::string& domain, bool on);
    /// Empty: playing is open.
    void set_play_key(const std::string& domain, std::string key);

    void behave(Behaviour behaviour);
    Behaviour behaviour() const;
    /// Closes the hooks' port and every connection on it, as a crashed backend does; or opens it again.
    void vanish();
    void reappear();
    /// What `POST /kick` of the control API calls; returns how many publishers were dropped.
    void on_kick(std::function<int(const std::string& app, const std::string& name)> kick);
    /// Told of each call of nginx-rtmp once it was answered with 200, on the server's thread; empty: nobody
    /// is. None is under way any more when this returns.
    void on_call(std::function<void(const Call&)> told);
    /// Answers `target` of the control API, on the server's thread; empty: nobody does.
    void on_control(const std::string& target, ControlHandler handler);

    Seen seen() const;
    void forget();
    /// Waits until `enough(seen())`; false if that is not so within `timeout`.
    bool wait_until(const std::function<bool(const Seen&)>& enough,
                    std::chrono::milliseconds timeout = std::chrono::seconds(10)) const;

private:
    class Server;
    std::unique_ptr<Server> server_;
};

}  // namespace livecanary::practice
