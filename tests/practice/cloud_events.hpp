#pragma once
// The practice cloud's recorder and callbacks: what is really pushed to nginx-rtmp is told of as the cloud
// does, with events 1 and 0 of the push and 100 of its recording.
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tests/practice/callback_sender.hpp"
#include "tests/practice/hook_server.hpp"

namespace livecanary::practice {

/// Event 1 goes out when a publish was accepted, 0 when it has ended, and 100 right after that if it is
/// recorded. A push counts as accepted when the hook said so, though nginx may still refuse it for its name.
/// Of nginx that is killed no end is heard. On a thread of its own; all functions may be called from any
/// thread.
class CloudEvents {
public:
    struct Options {
        CallbackSender::Settings sender{};  ///< `domain` and `app` are those of each push
        bool recording = true;
        /// Seconds that event 100 tells of, for each second pushed. The backend stores no recording of 60 s
        /// or less, and nobody wants to wait for one.
        double record_scale = 1;
        /// file_format of each file of a recording, which has an event of its own; empty: one, as `sender`
        /// has it.
        std::vector<std::string> formats{};
        /// Where the newest recording of a stream can be fetched; empty, or none: nowhere.
        std::function<std::string(const std::string& stream)> video_url{};
    };

    /// Hears of the pushes of `hook` and answers its `/callbacks` from now on, until its own end.
    CloudEvents(HookServer& hook, Options options);
    ~CloudEvents();
    CloudEvents(const CloudEvents&) = delete;
    CloudEvents& operator=(const CloudEvents&) = delete;

    /// See CallbackSender::change.
    void change(const std::function<void(CallbackSender::Settings&)>& how);
    void set_recording(bool on);
    void scale_recordings(double scale);
    /// No events of pushes to that domain: the template is not bound to it. Empty: it is to all.
    void unbind(const std::string& domain);
    void set_formats(std::vector<std::string> formats);
    /// An event beside those that pushes cause: nobody's, or one that came before.
    void deliver(int event, const std::string& stream, const std::string& body);
    /// The body of an event, with everything as it is now.
    std::string event_body(int event, const std::string& stream, const std::string& name) const;
    std::vector<CallbackSender::Delivery> deliveries() const;

private:
    class Server;
    HookServer& hook_;
    std::unique_ptr<Server> server_;
};

/// `http://127.0.0.1:PORT/PATH` → the port and path of the settings. Throws std::invalid_argument.
void set_url(CallbackSender::Settings& settings, const std::string& url);

}  // namespace livecanary::practice
