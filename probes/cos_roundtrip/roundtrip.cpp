#include "probes/cos_roundtrip/roundtrip.hpp"

#include <algorithm>
#include <cstdio>
#include <memory>

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>

#include "probes/cos_roundtrip/backend.hpp"
#include "probes/cos_roundtrip/keys.hpp"
#include "probes/net/quiet.hpp"
#include "probes/protocol/printable.hpp"

namespace livecanary::cos_roundtrip {
namespace {

using namespace std::chrono_literals;

/// For the DELETE of a run that has no time left or was cut.
constexpr auto clean_up_patience = 1s;
/// No clock of a machine that runs this program can rightly be before the day it was written.
constexpr std::chrono::sys_days earliest = std::chrono::year(2026) / 11 / 1;

asio::awaitable<bool> is_cut() {
    co_return (co_await asio::this_coro::cancellation_state).cancelled() != asio::cancellation_type::none;
}

/// One round trip, step by step.
class RoundTrip {
public:
    RoundTrip(const Config& config, Shelf& shelf, ProbeRun& run, boost::asio::any_io_executor executor)
        : configured_(config),
          config_(config),
          shelf_(shelf),
          run_(run),
          executor_(std::move(executor)),
          backend_(config, run),
          seed_(run.env().random()) {
        const auto stamp =
            std::chrono::duration_cast<std::chrono::seconds>(run.env().wall().time_since_epoch());
        key_ = folder_of(config, run.env()) + std::to_string(stamp.count()) + "-" + run.run_id() + ".bin";
    }

    asio::awaitable<void> whole();
    asio::awaitable<void> clean_up();

private:
    /// Who signs, and where: asks the backend if it is the one. False if the run has ended.
    asio::awaitable<bool> begin();
    /// Has the backend sign the next call too. False if the run has failed.
    asio::awaitable<bool> renew();
    asio::awaitable<bool> upload(const Expected& expected);
    asio::awaitable<bool> look(const Expected& expected);
    asio::awaitable<bool> read_back(const Expected& expected);
    /// Deletes the object, which must not be there then.
    asio::awaitable<bool> take_away(const std::string& key);
    /// Puts it on the shelf instead.
    void keep(const Expected& expected);
    /// Takes away what is on the shelf but for `kept_`.
    asio::awaitable<bool> take_earlier();
    asio::awaitable<void> until_released(KeptObject& object);
    bool is_wanted() const {
        const auto* const peers = run_.env().peers;
        return !config_.endpoint.v4 && peers != nullptr && peers->is_asked(run_.env().probe);
    }
    /// Makes a call in a phase of its own and notes what is worth noting. False if the run has failed.
    asio::awaitable<bool> step(Phase phase, const Call& call, Answer& answer);
    /// The same with the signature that is there.
    asio::awaitable<bool> attempt(Phase phase, const Call& call, Answer& answer);
    bool fails(Phase phase, error_code code, const Answer& answer);
    void note(Phase phase, const Answer& answer);
    bool matches(Phase phase, const Answer& answer, const Expected& expected);
    /// What was found of an operation, for people.
    std::string milliseconds_of(const Value& value, std::string_view label) const {
        for (const Found& found : run_.so_far().values) {
            if (found.value.metric != value.metric || found.label_value != label) continue;
            char text[32];
            std::snprintf(text, sizeof text, "%.1f ms", found.number * 1e3);
            return text;
        }
        return {};
    }
    Litter litter() const {
        return {.probe = run_.env().probe,
                .store = "cos",
                .item = item_of(config_.endpoint, key_),
                .made = run_.so_far().started};
    }

    const Config& configured_;
    Config config_;  // with what the backend named put in
    Shelf& shelf_;
    ProbeRun& run_;
    boost::asio::any_io_executor executor_;
    Backend backend_;
    std::optional<Client> client_{};  // once it is known where to
    std::uint64_t seed_;
    std::string key_{};
    Clock::time_point put_at_{};
    WallTime uploaded_{};
    std::string etag_{};                  // as the PUT was answered
    std::shared_ptr<KeptObject> kept_{};  // ours, once it is on the shelf
    bool recorded_ = false;               // the key stands in the ledger
    bool gone_ = true;                    // the object is known not to be there
    bool in_flight_ = false;              // a PUT without an answer may make it yet
};

void RoundTrip::note(Phase phase, const Answer& answer) {
    if (!answer.request_id.empty()) run_.saw("request_id", std::string(phase.name) + " " + answer.request_id);
    if (!answer.trace_id.empty()) run_.saw("trace_id", std::string(phase.name) + " " + answer.trace_id);
    if (answer.clock_skew) {
        if (run_.so_far().got("clock_skew").empty())
            run_.saw("clock_skew", std::to_string(answer.clock_skew->count()) + " s");
    }
    if (backend_.signs() && answer.date && run_.so_far().got("backend_clock").empty())
        run_.saw("backend_clock",
                 std::to_string(backend_.behind(*answer.date, answer.head_at).count()) + " s");
    if (answer.status == 0) return;
    const bool good = answer.status / 100 == 2;
    if (good) return;
    run_.saw("status", std::string(phase.name) + " HTTP " + std::to_string(answer.status));
    if (!answer.cos_code.empty()) run_.saw("cos_code", answer.cos_code);
    if (!answer.message.empty()) run_.saw("message", answer.message);
    if (!answer.means.empty()) run_.saw("means", answer.means);
    if (backend_.signs())
        run_.saw("key_age",
                 std::to_string(std::chrono::floor<std::chrono::seconds>(backend_.age()).count()) + " s");
}

bool RoundTrip::fails(Phase phase, error_code code, const Answer& answer) {
    if (!code) return false;
    run_.saw("ended", code.message());
    run_.fingerprint(fingerprint(phase, answer));
    run_.failed(code);
    // Of dns, tcp and tls the run knows better which it was.
    if (answer.status == 0)
        run_.fingerprint(std::string(run_.so_far().failed_phase()) + " " +
                         std::string(to_string(reason_of(code))));
    return true;
}

asio::awaitable<bool> RoundTrip::step(Phase phase, const Call& call, Answer& answer) {
    const bool can_sign = co_await renew();
    if (!can_sign) co_return false;
    const bool good = co_await attempt(phase, call, answer);
    co_return good;
}

asio::awaitable<bool> RoundTrip::attempt(Phase phase, const Call& call, Answer& answer) {
    const error_code code = co_await client_->call(call, answer, run_.deadline());
    note(phase, answer);
    if (co_await is_cut()) run_.cut();
    co_return !fails(phase, code ? code : error_of(answer), answer);
}

bool RoundTrip::matches(Phase phase, const Answer& answer, const Expected& expected) {
    if (!answer.sha1.empty() && answer.sha1 != expected.sha1_hex) {
        run_.saw("sha1", protocol::printable(answer.sha1) + ", expected " + expected.sha1_hex);
        return !fails(phase, CosError::sha_differs, answer);
    }
    const auto etag = answer.head.header("etag");
    const auto crc = answer.head.header("x-cos-hash-crc64ecma");
    if (!etag.empty() && etag != "\"" + expected.md5_hex + "\"" && etag != expected.md5_hex) {
        run_.saw("etag", protocol::printable(etag) + ", expected " + expected.md5_hex);
        return !fails(phase, CosError::etag_differs, answer);
    }
    if (!crc.empty() && crc != std::to_string(expected.crc64)) {
        run_.saw("crc64", protocol::printable(crc) + ", expected " + std::to_string(expected.crc64));
        return !fails(phase, CosError::crc_differs, answer);
    }
    return true;
}

asio::awaitable<bool> RoundTrip::upload(const Expected& expected) {
    auto content = std::make_shared<Content>(seed_);
    Call call{.method = "PUT", .key = key_};
    call.headers = {{"content-md5", expected.md5_base64},
                    {"content-type", "application/octet-stream"},
                    {"x-cos-acl", "private"}};
    call.sha1 = expected.sha1_hex;
    call.content = net::HttpContent{.size = expected.size, .next = [content](std::span<std::uint8_t> bytes) {
                                        content->fill(bytes);
                                        return bytes.size();
                                    }};
    Answer answer;
    if (const error_code code = co_await client_->connect(run_.deadline()))
        co_return !fails(tcp, code, answer);
    run_.enter(put);
    if (!co_await renew()) co_return false;
    gone_ = false;
    if (!co_await attempt(put, call, answer)) {
        // Refused in good order: nothing was made.
        gone_ = answer.status / 100 == 4;
        // We gave up first: the store may carry it out after our DELETE.
        in_flight_ = answer.status == 0 && (run_.was_cut() || run_.so_far().reason() == Reason::timeout);
        co_return false;
    }
    put_at_ = run_.env().now();
    uploaded_ = run_.env().wall();
    etag_ = answer.head.header("etag");
    run_.found(operation_seconds, std::chrono::duration<double>(answer.took).count(), "put");
    if (answer.clock_skew) run_.found(clock_skew, static_cast<double>(answer.clock_skew->count()));
    co_return matches(put, answer, expected);
}

asio::awaitable<bool> RoundTrip::look(const Expected& expected) {
    run_.enter(head);
    Call call{.method = "HEAD", .key = key_};
    Answer answer;
    if (!co_await step(head, call, answer)) co_return false;
    run_.found(operation_seconds, std::chrono::duration<double>(answer.took).count(), "head");
    run_.found(read_after_write, std::chrono::duration<double>(run_.env().now() - put_at_).count());
    if (answer.head.content_length && *answer.head.content_length != expected.size) {
        run_.saw("length",
                 std::to_string(*answer.head.content_length) + ", expected " + std::to_string(expected.size));
        co_return !fails(head, CosError::length_differs, answer);
    }
    co_return matches(head, answer, expected);
}

asio::awaitable<bool> RoundTrip::read_back(const Expected& expected) {
    run_.enter(get);
    Content content(seed_);
    std::uint64_t size = 0, first_difference = 0;
    bool differs = false;
    std::vector<std::uint8_t> wanted;
    Call call{.method = "GET", .key = key_};
    call.sink = [&](std::span<const std::uint8_t> bytes) {
        wanted.resize(bytes.size());
        content.fill(wanted);
        if (!differs && size + bytes.size() <= expected.size) {
            const auto [here, there] = std::ranges::mismatch(bytes, wanted);
            if (here != bytes.end()) {
                differs = true;
                first_difference = size + static_cast<std::uint64_t>(here - bytes.begin());
            }
        }
        size += bytes.size();
    };
    Answer answer;
    if (!co_await step(get, call, answer)) co_return false;
    if (!answer.unread.empty()) {
        // What stat tells of it, its SHA-1 and length, is what was put.
        run_.saw("unread", answer.unread);
        co_return true;
    }
    run_.found(operation_seconds, std::chrono::duration<double>(answer.took).count(), "get");
    run_.enter(verify);
    run_.saw("read", std::to_string(size) + " of " + std::to_string(expected.size) + " bytes");
    if (size != expected.size) co_return !fails(verify, CosError::length_differs, answer);
    if (differs) {
        run_.saw("first_difference", "at byte " + std::to_string(first_difference));
        co_return !fails(verify, CosError::bytes_differ, answer);
    }
    co_return matches(verify, answer, expected);
}

asio::awaitable<bool> RoundTrip::take_away(const std::string& key) {
    Call erase{.method = "DELETE", .key = key};
    Answer answer;
    if (!co_await step(remove, erase, answer)) co_return false;
    run_.found(operation_seconds, std::chrono::duration<double>(answer.took).count(), "delete");
    if (!co_await renew()) co_return false;
    Call look_again{.method = "HEAD", .key = key};
    Answer after;
    const error_code code = co_await client_->call(look_again, after, run_.deadline());
    note(remove, after);
    if (after.status == 404) co_return true;
    co_return !fails(remove,
                     code              ? code
                     : error_of(after) ? error_of(after)
                                       : error_code(CosError::still_there),
                     after);
}

void RoundTrip::keep(const Expected& expected) {
    kept_ = std::make_shared<KeptObject>(
        KeptObject{.litter = litter(), .endpoint = config_.endpoint, .key = key_, .expected = expected});
    kept_->etag = etag_.empty() ? "\"" + expected.md5_hex + "\"" : etag_;
    kept_->uploaded = uploaded_;
    shelf_.objects.push_back(kept_);
    run_.saw("kept", "until the next run, for other probes to fetch");
}

asio::awaitable<void> RoundTrip::until_released(KeptObject& object) {
    asio::steady_timer timer(executor_);
    // Of the time that is left, half a second or half of it is for the deletion.
    const auto left = run_.deadline() - run_.env().now();
    timer.expires_at(run_.deadline() - std::min<Clock::duration>(left / 2, 500ms));
    bool over = false;
    object.on_release = [&timer] { timer.cancel(); };
    while (object.holders > 0 && !over) {
        const auto [code] = co_await timer.async_wait(net::no_throw);
        over = !code;
        if (!over) over = co_await is_cut();
    }
    object.on_release = nullptr;
}

asio::awaitable<bool> RoundTrip::take_earlier() {
    const auto all = shelf_.objects;
    for (const auto& object : all) {
        if (object == kept_) continue;
        object->leaving = true;
        co_await until_released(*object);
        if (co_await is_cut()) run_.cut();
        if (run_.was_cut()) co_return true;  // clear() takes it
        if (object->holders > 0) {
            run_.saw("kept", "what an earlier run made is still being fetched: a later run deletes it");
            continue;
        }
        // Whatever comes of it: from here on it is the sweep's, unless it is gone.
        std::erase(shelf_.objects, object);
        if (object->endpoint != config_.endpoint) continue;
        if (!co_await take_away(object->key)) co_return false;
        co_await run_.env().ledger->strike(object->litter);
    }
    co_return true;
}

asio::awaitable<bool> RoundTrip::begin() {
    if (backend_.signs()) {
        const error_code code = co_await backend_.ask(config_, run_.deadline());
        backend_.note();
        if (code.category() == error_code(CosError::refused).category()) {
            run_.enter(put);
            run_.saw("ended", code.message());
            run_.fingerprint("put backend " + std::to_string(code.value()));
            run_.failed(code);
            co_return false;
        }
        if (code) {
            run_.inconclusive("nothing to sign with came from " + configured_.backend + ": " +
                              code.message() + ". Its own probe says what is wrong there");
            run_.failed(code);
            co_return false;
        }
    }
    if (config_.endpoint.v4) run_.saw("api", "v4");
    const std::string appid = config_.endpoint.v4 ? "-" + config_.endpoint.v4->app_id : "";
    run_.saw("bucket", config_.bucket + appid + " in " + config_.region);
    client_.emplace(executor_, config_.endpoint, config_.credentials, config_.signature_lifetime, run_);
    co_return true;
}

asio::awaitable<bool> RoundTrip::renew() {
    if (!backend_.is_running_out()) co_return true;
    Config again = configured_;
    const error_code code = co_await backend_.ask(again, run_.deadline());
    if (code) {
        run_.inconclusive("nothing more to sign with came from " + configured_.backend + ": " +
                          code.message() + ". Its own probe says what is wrong there");
        run_.failed(code);
        co_return false;
    }
    client_->use(again.credentials);
    co_return true;
}

asio::awaitable<void> RoundTrip::whole() {
    if (run_.env().wall() < earliest) {
        run_.inconclusive("our own clock says a time before this program was written");
        run_.failed(CosError::clock_unsafe);
        co_return;
    }
    if (!co_await begin()) co_return;
    bool unrecorded = run_.env().ledger == nullptr;
    if (!unrecorded) unrecorded = static_cast<bool>(co_await run_.env().ledger->record(litter()));
    if (unrecorded) {
        run_.inconclusive("the object's key could not be written down, so it was not made");
        run_.failed(CosError::no_ledger);
        co_return;
    }
    recorded_ = true;
    const Expected expected = co_await expect(config_.object_size, seed_, config_.endpoint.v4.has_value());
    if (co_await is_cut()) co_return;
    if (!co_await upload(expected)) co_return;
    if (!co_await look(expected)) co_return;
    if (!co_await read_back(expected)) co_return;
    if (is_wanted()) {
        keep(expected);
        if (shelf_.objects.size() > 1) run_.enter(remove);
    } else {
        run_.enter(remove);
        if (!co_await take_away(key_)) co_return;
        gone_ = true;
    }
    if (!co_await take_earlier()) co_return;
    const std::string read_in = milliseconds_of(operation_seconds, "get");
    run_.headline("put in " + milliseconds_of(operation_seconds, "put") +
                  (read_in.empty() ? ", verified by stat" : ", read back in " + read_in));
}

/// Whatever went before: what may lie there is deleted, and struck out once it is known to be gone.
asio::awaitable<void> RoundTrip::clean_up() {
    if (!recorded_) co_return;
    if (kept_) {
        client_->close();
        co_return;
    }
    if (!gone_) {
        if (configured_.own) {
            client_->use(*configured_.own);
        } else if (backend_.is_running_out()) {
            Config again = configured_;
            const auto until =
                std::max<Clock::time_point>(run_.deadline(), run_.env().now() + clean_up_patience);
            if (!co_await backend_.ask(again, until)) client_->use(again.credentials);
        }
        const auto until = std::max<Clock::time_point>(run_.deadline(), run_.env().now() + clean_up_patience);
        Call erase{.method = "DELETE", .key = key_};
        Answer answer;
        const error_code code = co_await client_->call(erase, answer, until);
        // A bucket that does not exist holds no object.
        gone_ = !code && (answer.status / 100 == 2 || answer.status == 404);
    }
    client_->close();
    // What stays is removed by a later sweep, the next start, or `livecanary cleanup`: also what may have
    // come into being since.
    if (gone_ && !in_flight_) co_await run_.env().ledger->strike(litter());
}

}  // namespace

asio::awaitable<void> round_trip(const Config& config, Shelf& shelf, ProbeRun& run) {
    RoundTrip trip(config, shelf, run, co_await asio::this_coro::executor);
    co_await trip.whole();
    if (co_await is_cut()) run.cut();
    // A run that is cut still takes away what it made.
    co_await asio::this_coro::reset_cancellation_state();
    co_await trip.clean_up();
}

}  // namespace livecanary::cos_roundtrip
