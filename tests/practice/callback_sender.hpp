#pragma once
// The cloud's side of callbacks, for practice: makes events as documented, signs them, and delivers them
// until they are answered with 200 (documents 267/32744, 267/38081, 267/38082, read 2026-11-21).
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

namespace livecanary::practice {

struct HttpAnswered {
    unsigned status = 0;  ///< 0: there was no answer
    std::string body{};
};

/// One request to 127.0.0.1; `body` is JSON.
boost::asio::awaitable<HttpAnswered> http_ask(std::uint16_t port, std::string method, std::string target,
                                              std::string body,
                                              std::chrono::milliseconds patience = std::chrono::seconds(20));

/// Deliveries of one template to one URL. Of one executor. What is under way when it goes is left.
class CallbackSender {
public:
    using WallClock = std::function<std::chrono::system_clock::time_point()>;

    struct Settings {
        std::string key{};
        std::uint16_t port = 0;  ///< of the receiver, on 127.0.0.1
        std::string path = "/";
        std::string domain = "1234.livepush.example.com";
        std::string app = "live";
        std::int64_t appid = 1250000000;
        bool video_id = false;               ///< in event 100, as in the documents of 2016 and 2017
        std::string record_format = "MP4";   ///< file_format of event 100; "mp4" in the documents of 2016
        bool dead = false;                   ///< nobody is reached at the URL
        std::chrono::milliseconds delay{0};  ///< before the first attempt
        int retries = 12;
        std::chrono::milliseconds retry_every{60'000};
        double scale = 1;  ///< of the time between deliveries
        std::chrono::milliseconds patience{20'000};
        std::set<int> lost{};  ///< events that are never sent, as if the template lacked their URL
        WallClock now = [] { return std::chrono::system_clock::now(); };
    };

    /// One event and what became of it.
    struct Delivery {
        int event = 0;
        std::string stream{};
        std::string body{};
        std::vector<unsigned> statuses{};  ///< of each attempt; 0: no answer
        bool done = false;                 ///< taken, or given up
    };

    CallbackSender(boost::asio::any_io_executor executor, Settings settings);
    ~CallbackSender();
    CallbackSender(const CallbackSender&) = delete;
    CallbackSender& operator=(const CallbackSender&) = delete;

    void push_started(const std::string& stream, const std::string& sequence);
    void push_ended(const std::string& stream, const std::string& sequence, std::chrono::milliseconds lasted);
    /// A recording that ended now. `url` is where it can be fetched; empty: nowhere, but it has one.
    void recorded(const std::string& stream, const std::string& name, std::chrono::seconds lasted,
                  const std::string& url = {});
    /// Whatever it is, as often as it takes.
    void deliver(int event, std::string stream, std::string body);
    void set_key(std::string key);
    void lose(std::set<int> events);
    /// What events hold is of those to come; where they go to is of the next attempt of each.
    void change(const std::function<void(Settings&)>& how);
    const Settings& settings() const;

    /// Nothing is under way.
    bool idle() const;
    /// Oldest first; of a long life, the later part.
    const std::deque<Delivery>& deliveries() const;

    /// The body of an event of that stream: a push that lasted 5 s, or a recording of 120 s called `name`.
    static std::string event_body(const Settings& settings, int event, const std::string& stream,
                                  const std::string& name, std::chrono::system_clock::time_point now);

private:
    struct State;
    std::shared_ptr<State> state_;
};

}  // namespace livecanary::practice
