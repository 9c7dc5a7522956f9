#include "probes/journey/walk.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/this_coro.hpp>

#include "probes/core/error_table.hpp"
#include "probes/journey/facts.hpp"
#include "probes/journey/look.hpp"
#include "probes/journey/traps.hpp"
#include "probes/net/http.hpp"
#include "probes/net/resolver.hpp"
#include "probes/protocol/printable.hpp"

namespace livecanary::journey {

error_code make_error_code(JourneyError error) noexcept {
    using enum JourneyError;
    static const ErrorTable<JourneyError> table{
        "livecanary.journey",
        {{push_failed, "the stream was not taken", Reason::rejected},
         {not_called_back, "no callback of the stream came in time", Reason::timeout},
         {event_refused, "the backend answered the callback, and did not take it", Reason::rejected},
         {no_row, "no row of the replay appeared in time", Reason::timeout},
         {not_listed, "the list did not show the replay in time", Reason::timeout},
         {no_url, "nothing says where the replay is to be played", Reason::not_found},
         {not_served, "the replay's URL is not served", Reason::rejected},
         {empty_replay, "the replay's URL gives nothing", Reason::no_media},
         {two_rows, "one show stands in two rows", Reason::mismatch},
         {misfiled, "the row does not have the MP4 file as its play_url", Reason::mismatch},
         {no_ledger, "there is no ledger to write the replay down in", Reason::local},
         {cannot_ask, "a probe that the journey needs could not be asked", Reason::local}}};
    return {static_cast<int>(error), table};
}

namespace {

using namespace std::chrono_literals;

/// For the row that a run caused, when the run has no time left or was cut.
constexpr auto clean_up_patience = 2s;
/// Files of one push that are looked at: each has a format, or is a part of a long show.
constexpr std::size_t most_files = 8;
/// A first piece of the replay shows that it is there; the whole is nobody's business at night.
constexpr std::size_t enough_media = 64UL * 1024;

/// Values of the words of that name of an item in the ledger: `name=value`, blanks between them.
std::vector<std::string> words_of(std::string_view item, std::string_view name) {
    const std::string mark = std::string(name) + "=";
    std::vector<std::string> values;
    for (std::size_t at = 0; at < item.size();) {
        const auto end = std::min(item.find(' ', at), item.size());
        if (item.substr(at).starts_with(mark))
            values.emplace_back(item.substr(at + mark.size(), end - at - mark.size()));
        at = end + 1;
    }
    return values;
}
std::string word_of(std::string_view item, std::string_view name) {
    const auto values = words_of(item, name);
    return values.empty() ? std::string() : values.front();
}

class Walk {
public:
    Walk(const Config& config, ProbeRun& run, asio::any_io_executor executor)
        : config_(config), run_(run), looker_(run, std::move(executor)) {
        // The backend parts the name at its first '_'; a location and a run id have none.
        stream_ = "lc-" + run.env().location + "-" + run.run_id() + "_" + config.userid;
    }

    asio::awaitable<void> whole();
    asio::awaitable<void> clean_up();

private:
    using Seen = std::optional<Facts>;  // what was looked for, once it is there

    asio::awaitable<bool> pushes();
    asio::awaitable<bool> is_called_back();
    asio::awaitable<bool> has_row();
    asio::awaitable<bool> is_listed();
    asio::awaitable<bool> plays();
    asio::awaitable<error_code> fetch(const std::string& url, Clock::time_point deadline);
    asio::awaitable<error_code> read_some(net::HttpExchange& exchange, std::size_t& size,
                                          Clock::time_point deadline);
    asio::awaitable<void> note_events();
    Question about_recording() const;
    /// Takes over what came of the recording's files; asks for each beside the newest.
    asio::awaitable<void> take(Facts newest);
    /// Asks whether more files have come meanwhile.
    asio::awaitable<void> look_for_more_files();
    asio::awaitable<std::string> newest_file();
    bool fails(error_code code) {
        run_.saw("ended", code.message());
        if (reason_of(code) == Reason::local) run_.inconclusive(code.message());
        run_.fingerprint(std::string(hop_.name) + " " + std::string(to_string(reason_of(code))));
        run_.failed(code);
        return false;
    }
    void enter(Phase hop) {
        hop_ = hop;
        run_.enter(hop);
    }
    Litter litter() const {
        Litter of{.probe = run_.env().probe,
                  .store = "mysql",
                  .item = "table=" + config_.table + " userid=" + config_.userid + " stream=" + stream_ +
                          " before=" + before_,
                  .made = run_.so_far().started};
        for (const auto& file : files_)
            if (file.find(' ') == file.npos) of.item += " file=" + file;
        return of;
    }
    asio::awaitable<void> learned(std::string file_id);

    const Config& config_;
    ProbeRun& run_;
    Looker looker_;
    std::string stream_;
    Phase hop_ = push;
    Facts pushed_{}, row_{}, listed_{};
    std::string before_{};              // file_id of the user's newest row before the push
    std::string file_id_{};             // of the replay, once it is known
    std::vector<std::string> files_{};  // all that may have a row: each format is a file
    std::vector<Facts> events_{};       // 100 of each of them, in the order they came
    Litter recorded_{};                 // as it stands in the ledger; no store: it does not
    bool may_be_there_ = false;
};

/// From here on it is the rows of these files alone that are removed, whatever else the user has.
asio::awaitable<void> Walk::learned(std::string file_id) {
    if (file_id.empty()) co_return;
    if (file_id_.empty()) file_id_ = file_id;
    if (std::ranges::find(files_, file_id) == files_.end()) files_.push_back(std::move(file_id));
    Litter known = litter();
    if (recorded_.store.empty() || known.item == recorded_.item) co_return;
    const error_code unwritten = co_await run_.env().ledger->record(known);
    if (unwritten) co_return;  // what stands there leads to it too
    Litter old = std::exchange(recorded_, std::move(known));
    co_await run_.env().ledger->strike(std::move(old));
}

asio::awaitable<bool> Walk::pushes() {
    enter(push);
    run_.saw("stream", stream_);
    Question question;
    question.what = questions::push;
    question.deadline = run_.deadline();
    question.with = {
        {"stream_id", stream_},
        {"seconds", std::to_string(std::chrono::ceil<std::chrono::seconds>(config_.length).count())}};
    const auto answer = co_await run_.env().peers->ask(config_.push, std::move(question));
    if (co_await is_cut()) co_return fails(asio::error::operation_aborted);
    if (!answer) {
        run_.saw("asked", config_.push + ": " + answer.error().message());
        co_return fails(JourneyError::cannot_ask);
    }
    pushed_ = answer->facts;
    if (fact(pushed_, "outcome") == "ok") co_return true;
    run_.saw("push", "failed in " + fact(pushed_, "phase") + ": " + fact(pushed_, "reason") + " (" +
                         fact(pushed_, "detail") + ")");
    run_.saw("push_label", fact(pushed_, "label"));
    if (fact(pushed_, "outcome") == "inconclusive") {
        run_.inconclusive("the push proves nothing: " + fact(pushed_, "detail"));
        co_return fails(JourneyError::cannot_ask);
    }
    co_return fails(JourneyError::push_failed);
}

/// Which of the push's other events came: it tells a template that is not bound from a recording that is not
/// made.
asio::awaitable<void> Walk::note_events() {
    std::string came;
    for (const char* event : {"1", "0"}) {
        Question question;
        question.what = questions::event;
        question.deadline = run_.env().now() + clean_up_patience;
        question.with = {{"event", event}, {"stream_id", stream_}};
        const auto answer = co_await run_.env().peers->ask(config_.callback, std::move(question));
        if (answer && fact(answer->facts, "arrived") == "yes")
            came += (came.empty() ? "" : ", ") + std::string(event);
    }
    run_.saw("other_events", came.empty() ? "none" : came);
    if (config_.formats == 1 || !config_.goes_on()) co_return;
    Question question = about_recording();
    question.deadline = run_.env().now() + clean_up_patience;
    const auto answer = co_await run_.env().peers->ask(config_.callback, std::move(question));
    if (answer && fact(answer->facts, "arrived") == "yes")
        run_.saw("files", std::to_string(number_of(fact(answer->facts, "files")).value_or(1)) + " of " +
                              std::to_string(config_.formats));
}

Question Walk::about_recording() const {
    Question question;
    question.what = questions::event;
    question.with = {{"event", "100"}, {"stream_id", stream_}};
    return question;
}

asio::awaitable<void> Walk::take(Facts newest) {
    const auto count = std::min<std::size_t>(
        static_cast<std::size_t>(std::max<std::int64_t>(number_of(fact(newest, "files")).value_or(1), 1)),
        most_files);
    std::vector<Facts> all;
    for (std::size_t nth = 1; count > 1 && nth <= count; ++nth) {
        Question question = about_recording();
        question.deadline = run_.env().now() + clean_up_patience;
        question.with["nth"] = std::to_string(nth);
        const auto answer = co_await run_.env().peers->ask(config_.callback, std::move(question));
        if (answer && fact(answer->facts, "arrived") == "yes") all.push_back(answer->facts);
    }
    if (all.empty()) all.push_back(std::move(newest));
    events_ = std::move(all);
    for (const Facts& event : events_) {
        std::string file_id = fact(event, "file_id");
        co_await learned(std::move(file_id));
    }
}

asio::awaitable<void> Walk::look_for_more_files() {
    if (config_.callback.empty()) co_return;
    Question question = about_recording();
    question.deadline = run_.env().now() + clean_up_patience;
    const auto answer = co_await run_.env().peers->ask(config_.callback, std::move(question));
    if (!answer || fact(answer->facts, "arrived") != "yes") co_return;
    Facts newest = answer->facts;
    co_await take(std::move(newest));
}

asio::awaitable<bool> Walk::is_called_back() {
    enter(callback);
    Question question = about_recording();
    // A short push ends, and makes no recording that would be told of.
    const std::string wanted = config_.goes_on() ? "100" : "0";
    question.with["event"] = wanted;
    std::function<bool(const Facts&)> arrived = [&](const Facts& facts) {
        const auto files = number_of(fact(facts, "files")).value_or(1);
        return fact(facts, "arrived") == "yes" && (!config_.goes_on() || files >= config_.formats);
    };
    std::vector<Question> questions{std::move(question)};
    auto found = co_await looker_.look(config_.callback, std::move(questions), config_.deadlines.callback,
                                       JourneyError::not_called_back, std::move(arrived));
    if (!found) {
        if (found.error() == JourneyError::not_called_back) {
            run_.saw("missing_event", wanted);
            co_await note_events();
        }
        co_return fails(found.error());
    }
    if (!config_.goes_on()) {
        events_.push_back(*std::move(found));
    } else {
        Facts newest = *std::move(found);
        co_await take(std::move(newest));
    }
    for (const Facts& event : events_) {
        if (const auto file_id = fact(event, "file_id"); !file_id.empty()) run_.saw("file_id", file_id);
        if (const auto format = fact(event, "file_format"); !format.empty()) run_.saw("format", format);
        if (const auto duration = fact(event, "duration"); !duration.empty())
            run_.saw("recorded_seconds", duration);
        if (const auto forwarded = fact(event, "forwarded"); !forwarded.empty())
            run_.saw("forwarded", forwarded);
        // Any other code with status 200 means that the cloud takes the event for delivered, and it is lost.
        if (const auto code = fact(event, "code"); !code.empty() && code != "0") {
            run_.saw("callback_code", code);
            co_return fails(JourneyError::event_refused);
        }
    }
    co_return true;
}

asio::awaitable<std::string> Walk::newest_file() {
    Question question = about_row(config_, {});
    question.deadline =
        std::min<Clock::time_point>(run_.deadline(), run_.env().now() + config_.deadlines.row);
    const auto answer = co_await run_.env().peers->ask(config_.mysql, std::move(question));
    co_return answer ? fact(answer->facts, "column.file_id") : std::string();
}

asio::awaitable<bool> Walk::has_row() {
    enter(row);
    if (config_.shortest_replay != shipped_shortest_replay)
        run_.saw("shortest_replay_seconds",
                 std::to_string(std::chrono::floor<std::chrono::seconds>(config_.shortest_replay).count()));
    // Without the event nobody has told us its file id: then it is a row that was not there before.
    std::function<bool(const Facts&)> is_ours = [this](const Facts& facts) {
        return fact(facts, "found") == "1" && fact(facts, "column.file_id") != before_;
    };
    // The row of one format is that of the others, and has the file id of the one that came first.
    std::vector<Question> questions;
    for (const auto& file : files_) questions.push_back(about_row(config_, file));
    if (questions.empty()) questions.push_back(about_row(config_, {}));
    auto found = co_await looker_.look(config_.mysql, std::move(questions), config_.deadlines.row,
                                       JourneyError::no_row, std::move(is_ours));
    if (!found) co_return fails(found.error());
    row_ = *std::move(found);
    std::string file_id = fact(row_, "column.file_id");
    file_id_ = file_id;
    co_await learned(std::move(file_id));
    run_.saw("row", "file_id " + file_id_ + ", start_time " + fact(row_, "column.start_time"));
    if (fact(row_, "column.play_url").empty() && !fact(row_, "column.hls_play_url").empty())
        run_.saw("row_hls_only", fact(row_, "column.hls_play_url"));
    co_await look_for_more_files();
    const auto trapped = co_await look_for_traps(config_, run_, looker_, events_, row_);
    if (co_await is_cut()) co_return fails(asio::error::operation_aborted);
    co_return !trapped || fails(trapped);
}

asio::awaitable<bool> Walk::is_listed() {
    enter(list);
    Question question;
    question.what = questions::vod_list;
    question.with = {{"userid", config_.userid}};
    if (!file_id_.empty()) question.with["file_id"] = file_id_;
    std::function<bool(const Facts&)> is_there = [this](const Facts& facts) {
        return fact(facts, "found") == "yes" && fact(facts, "file_id") != before_;
    };
    std::vector<Question> questions{std::move(question)};
    auto found = co_await looker_.look(config_.list, std::move(questions), config_.deadlines.list,
                                       JourneyError::not_listed, std::move(is_there));
    if (!found) co_return fails(found.error());
    listed_ = *std::move(found);
    if (is_misfiled(run_, events_, listed_, "")) co_return fails(JourneyError::misfiled);
    co_return true;
}

asio::awaitable<error_code> Walk::read_some(net::HttpExchange& exchange, std::size_t& size,
                                            Clock::time_point deadline) {
    std::array<std::uint8_t, 16384> buffer;
    while (size < enough_media) {
        const auto read = co_await exchange.read_body(buffer, deadline);
        if (!read) co_return read.error();
        if (*read == 0) break;
        size += *read;
    }
    co_return error_code{};
}

asio::awaitable<error_code> Walk::fetch(const std::string& url, Clock::time_point deadline) {
    const auto parsed = net::parse_http_url(url);
    if (!parsed) co_return JourneyError::no_url;
    auto found = co_await run_.env().dns->resolve(parsed->host, parsed->port, deadline);
    if (!found) co_return found.error();
    const auto endpoint = found->endpoints.front();
    run_.saw("address", endpoint.address().to_string() + ":" + std::to_string(endpoint.port()));
    net::Connection connection(co_await asio::this_coro::executor);
    if (const auto code = co_await connection.connect(endpoint, deadline)) co_return code;
    if (parsed->tls) {
        net::TlsOptions options;
        options.server_name = parsed->host;
        options.ca_file = config_.ca_file;
        net::TlsFacts facts;
        if (const auto code = co_await connection.start_tls(std::move(options), deadline, facts))
            co_return code;
    }
    net::HttpExchange exchange(connection);
    net::HttpRequest request;
    request.host = parsed->host_header();
    request.target = parsed->target;
    request.headers = {{"User-Agent", "livecanary"}};
    const auto head = co_await exchange.send(request, deadline);
    if (!head) co_return head.error();
    run_.saw("http_status", std::to_string(head->status));
    for (const char* name : {"x-nws-log-uuid", "x-cos-request-id", "x-cache-lookup"})
        if (const auto value = head->header(name); !value.empty())
            run_.saw("header", std::string(name) + ": " + protocol::printable(value));
    if (head->status != 200 && head->status != 206) {
        // COS's own refusals come in its XML, whoever passes them on.
        if (!head->header("x-cos-request-id").empty()) run_.saw("cos", "the answer is COS's own");
        connection.close();
        co_return JourneyError::not_served;
    }
    std::size_t size = 0;
    const auto code = co_await read_some(exchange, size, deadline);
    connection.close();
    run_.saw("media", std::to_string(size) + " bytes");
    if (code) co_return code;
    co_return size > 0 ? error_code{} : error_code(JourneyError::empty_replay);
}

asio::awaitable<bool> Walk::plays() {
    enter(playback);
    std::string url;
    for (const auto& [facts, name] :
         {std::pair(&listed_, "play_url"), std::pair(&listed_, "hls_play_url"),
          std::pair(&row_, "column.play_url"), std::pair(&row_, "column.hls_play_url")})
        if (url.empty())
            if (const auto at = facts->find(name); at != facts->end()) url = at->second;
    for (const Facts& event : events_)
        if (url.empty())
            if (const auto at = event.find("video_url"); at != event.end()) url = at->second;
    // Up to the query, which may be signed.
    run_.saw("url", protocol::printable(url.substr(0, url.find('?'))));
    const auto until =
        std::min<Clock::time_point>(run_.deadline(), run_.env().now() + config_.deadlines.playback);
    const auto code = co_await fetch(url, until);
    if (co_await is_cut()) co_return fails(asio::error::operation_aborted);
    co_return !code || fails(code);
}

asio::awaitable<void> Walk::whole() {
    if (run_.env().peers == nullptr) {
        fails(JourneyError::cannot_ask);
        co_return;
    }
    if (config_.goes_on() && !config_.mysql.empty()) {
        before_ = co_await newest_file();
        if (run_.env().ledger == nullptr) {
            fails(JourneyError::no_ledger);
            co_return;
        }
        Litter to_come = litter();
        const error_code unwritten = co_await run_.env().ledger->record(to_come);
        if (unwritten) {
            fails(JourneyError::no_ledger);
            co_return;
        }
        recorded_ = std::move(to_come);
        may_be_there_ = true;
    }
    if (!co_await pushes()) co_return;
    // Not within an && with what decides on it: GCC 12 destroys the awaitable twice.
    if (!config_.callback.empty()) {
        if (!co_await is_called_back()) co_return;
    }
    if (!config_.goes_on()) {
        run_.headline("pushed, called back; it ends here, as mutates is not set");
        co_return;
    }
    if (!config_.mysql.empty()) {
        if (!co_await has_row()) co_return;
    }
    if (!config_.list.empty()) {
        if (!co_await is_listed()) co_return;
    }
    if (config_.playback) {
        if (!co_await plays()) co_return;
    }
    run_.headline("from the push to the player, replay " + (file_id_.empty() ? stream_ : file_id_));
}

/// Whatever went before: the row that viewers could see goes.
asio::awaitable<void> Walk::clean_up() {
    if (recorded_.store.empty()) co_return;
    // A push that was refused makes no replay.
    if (may_be_there_ && (run_.so_far().failed_phase() != push.name || run_.was_cut())) {
        // A format that came late has a row too.
        co_await look_for_more_files();
        ProbeRun removing(run_.env(), clean_up_patience);
        const auto code = co_await remove_litter(config_, removing, recorded_);
        if (code) {
            run_.saw("left", "the replay's row could not be removed yet: " + code.message());
            co_return;  // a later sweep, the next start, or `livecanary cleanup`
        }
        // A callback that is late may still bring the row: it stays in the ledger, for the sweep to look
        // again.
        if (file_id_.empty() && !fact(pushed_, "accepted").empty()) co_return;
    }
    co_await run_.env().ledger->strike(recorded_);
}

}  // namespace

asio::awaitable<void> walk(const Config& config, ProbeRun& run) {
    Walk walk(config, run, co_await asio::this_coro::executor);
    co_await walk.whole();
    if (co_await is_cut()) run.cut();
    co_await asio::this_coro::reset_cancellation_state();
    co_await walk.clean_up();
}

asio::awaitable<error_code> remove_litter(const Config& config, ProbeRun& run, const Litter& litter) {
    if (run.env().peers == nullptr) co_return JourneyError::cannot_ask;
    const std::string userid = word_of(litter.item, "userid"), before = word_of(litter.item, "before");
    std::vector<std::string> files = words_of(litter.item, "file");
    if (files.empty()) {
        Question look;
        look.what = questions::row;
        look.deadline = run.deadline();
        look.with = {{"table", word_of(litter.item, "table")}, {"where.userid", userid}};
        const auto found = co_await run.env().peers->ask(config.mysql, look);
        if (!found) co_return found.error();
        files.push_back(fact(found->facts, "column.file_id"));
        // Nothing of this user, or nothing newer than what was there before.
        if (fact(found->facts, "found") != "1" || files.front() == before) co_return error_code{};
    }
    for (const auto& file_id : files) {
        Question remove;
        remove.what = questions::remove_row;
        remove.deadline = run.deadline();
        remove.with = {{"table", word_of(litter.item, "table")}, {"userid", userid}, {"file_id", file_id}};
        const auto removed = co_await run.env().peers->ask(config.mysql, remove);
        if (!removed) co_return removed.error();
    }
    co_return error_code{};
}

}  // namespace livecanary::journey
