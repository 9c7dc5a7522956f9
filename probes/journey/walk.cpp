#include "probes/journey/walk.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "probes/core/error_table.hpp"
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
         {no_ledger, "there is no ledger to write the replay down in", Reason::local},
         {cannot_ask, "a probe that the journey needs could not be asked", Reason::local}}};
    return {static_cast<int>(error), table};
}

namespace {

using namespace std::chrono_literals;

constexpr auto no_throw = asio::as_tuple(asio::use_awaitable);

/// Between two looks; the same table is read by viewers.
constexpr auto first_wait = 200ms;
constexpr auto longest_wait = 5s;
/// At most, for the answer to the last look.
constexpr auto last_patience = 2s;
/// For the row that a run caused, when the run has no time left or was cut.
constexpr auto clean_up_patience = 2s;
/// A first piece of the replay shows that it is there; the whole is nobody's business at night.
constexpr std::size_t enough_media = 64UL * 1024;

std::string fact(const Facts& facts, std::string_view name) {
    const auto at = facts.find(name);
    return at != facts.end() ? protocol::printable(at->second) : std::string();
}

asio::awaitable<bool> is_cut() {
    co_return (co_await asio::this_coro::cancellation_state).cancelled() != asio::cancellation_type::none;
}

/// Words of an item in the ledger: `name=value`, blanks between them.
std::string word_of(std::string_view item, std::string_view name) {
    const std::string mark = std::string(name) + "=";
    for (std::size_t at = 0; at < item.size();) {
        const auto end = std::min(item.find(' ', at), item.size());
        if (item.substr(at).starts_with(mark))
            return std::string(item.substr(at + mark.size(), end - at - mark.size()));
        at = end + 1;
    }
    return {};
}

class Walk {
public:
    Walk(const Config& config, ProbeRun& run, asio::any_io_executor executor)
        : config_(config), run_(run), timer_(std::move(executor)) {
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
    /// Asks until `there` likes the answer. An error of the asked one's network is no answer yet; the last of
    /// them is what the hop ends with.
    template <class There>
    asio::awaitable<result<Facts>> look(const std::string& probe, Question question,
                                        std::chrono::milliseconds patience, error_code if_never, There there);
    asio::awaitable<void> note_events();
    asio::awaitable<std::string> newest_file();
    Question about_row() const;
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
        if (!file_id_.empty() && file_id_.find(' ') == file_id_.npos) of.item += " file=" + file_id_;
        return of;
    }
    asio::awaitable<void> learned(std::string file_id);

    const Config& config_;
    ProbeRun& run_;
    asio::steady_timer timer_;
    std::string stream_;
    Phase hop_ = push;
    Facts pushed_{}, event_{}, row_{}, listed_{};
    std::string before_{};   // file_id of the user's newest row before the push
    std::string file_id_{};  // of the replay, once it is known
    Litter recorded_{};      // as it stands in the ledger; no store: it does not
    bool may_be_there_ = false;
};

/// From here on it is this row alone that is removed, whatever else the user has.
asio::awaitable<void> Walk::learned(std::string file_id) {
    file_id_ = std::move(file_id);
    Litter known = litter();
    if (recorded_.store.empty() || known.item == recorded_.item) co_return;
    const error_code unwritten = co_await run_.env().ledger->record(known);
    if (unwritten) co_return;  // what stands there leads to it too
    Litter old = std::exchange(recorded_, std::move(known));
    co_await run_.env().ledger->strike(std::move(old));
}

template <class There>
asio::awaitable<result<Facts>> Walk::look(const std::string& probe, Question question,
                                          std::chrono::milliseconds patience, error_code if_never,
                                          There there) {
    const auto began = run_.env().now();
    const auto until = std::min<Clock::time_point>(run_.deadline(), began + patience);
    // The last look has time for its answer, so that what it says is not just that the time was over.
    const auto last_look = until - std::min<Clock::duration>(last_patience, (until - began) / 4);
    question.deadline = until;
    Clock::duration wait = first_wait;
    error_code last = if_never;
    for (;;) {
        const auto answer = co_await run_.env().peers->ask(probe, question);
        if (co_await is_cut()) co_return error_code(asio::error::operation_aborted);
        if (answer && there(answer->facts)) co_return answer->facts;
        if (answer) {
            last = if_never;
        } else if (reason_of(answer.error()) == Reason::local) {
            run_.saw("asked", probe + ": " + answer.error().message());
            if (answer.error() != PeerError::nothing_yet) co_return JourneyError::cannot_ask;
            last = JourneyError::cannot_ask;
        } else {
            run_.saw("asked", probe + ": " + answer.error().message());
            last = answer.error();
        }
        const auto now = run_.env().now();
        if (now >= last_look) co_return last;
        timer_.expires_at(std::min<Clock::time_point>(last_look, now + wait));
        co_await timer_.async_wait(no_throw);
        if (co_await is_cut()) co_return error_code(asio::error::operation_aborted);
        wait = std::min<Clock::duration>(2 * wait, longest_wait);
    }
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
}

asio::awaitable<bool> Walk::is_called_back() {
    enter(callback);
    Question question;
    question.what = questions::event;
    // A short push ends, and makes no recording that would be told of.
    const std::string wanted = config_.goes_on() ? "100" : "0";
    question.with = {{"event", wanted}, {"stream_id", stream_}};
    const auto arrived = [](const Facts& facts) { return fact(facts, "arrived") == "yes"; };
    auto found = co_await look(config_.callback, std::move(question), config_.deadlines.callback,
                               JourneyError::not_called_back, arrived);
    if (!found) {
        if (found.error() == JourneyError::not_called_back) {
            run_.saw("missing_event", wanted);
            co_await note_events();
        }
        co_return fails(found.error());
    }
    event_ = *std::move(found);
    std::string file_id = fact(event_, "file_id");
    co_await learned(std::move(file_id));
    if (!file_id_.empty()) run_.saw("file_id", file_id_);
    if (const auto duration = fact(event_, "duration"); !duration.empty())
        run_.saw("recorded_seconds", duration);
    if (const auto forwarded = fact(event_, "forwarded"); !forwarded.empty())
        run_.saw("forwarded", forwarded);
    // Any other code with status 200 means that the cloud takes the event for delivered, and it is lost.
    if (const auto code = fact(event_, "code"); !code.empty() && code != "0") {
        run_.saw("callback_code", code);
        co_return fails(JourneyError::event_refused);
    }
    co_return true;
}

Question Walk::about_row() const {
    Question question;
    question.what = questions::row;
    question.with = {{"table", config_.table}, {"where.userid", config_.userid}};
    if (!file_id_.empty()) question.with["where.file_id"] = file_id_;
    return question;
}

asio::awaitable<std::string> Walk::newest_file() {
    Question question = about_row();
    question.deadline =
        std::min<Clock::time_point>(run_.deadline(), run_.env().now() + config_.deadlines.row);
    const auto answer = co_await run_.env().peers->ask(config_.mysql, std::move(question));
    co_return answer ? fact(answer->facts, "column.file_id") : std::string();
}

asio::awaitable<bool> Walk::has_row() {
    enter(row);
    // Without the event nobody has told us its file id: then it is a row that was not there before.
    const auto is_ours = [this](const Facts& facts) {
        return fact(facts, "found") == "1" && fact(facts, "column.file_id") != before_;
    };
    auto found =
        co_await look(config_.mysql, about_row(), config_.deadlines.row, JourneyError::no_row, is_ours);
    if (!found) co_return fails(found.error());
    row_ = *std::move(found);
    std::string file_id = fact(row_, "column.file_id");
    co_await learned(std::move(file_id));
    run_.saw("row", "file_id " + file_id_ + ", start_time " + fact(row_, "column.start_time"));
    if (fact(row_, "column.play_url").empty() && !fact(row_, "column.hls_play_url").empty())
        run_.saw("row_hls_only", fact(row_, "column.hls_play_url"));
    co_return true;
}

asio::awaitable<bool> Walk::is_listed() {
    enter(list);
    Question question;
    question.what = questions::vod_list;
    question.with = {{"userid", config_.userid}};
    if (!file_id_.empty()) question.with["file_id"] = file_id_;
    const auto is_there = [this](const Facts& facts) {
        return fact(facts, "found") == "yes" && fact(facts, "file_id") != before_;
    };
    auto found = co_await look(config_.list, std::move(question), config_.deadlines.list,
                               JourneyError::not_listed, is_there);
    if (!found) co_return fails(found.error());
    listed_ = *std::move(found);
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
          std::pair(&row_, "column.play_url"), std::pair(&row_, "column.hls_play_url"),
          std::pair(&event_, "video_url")})
        if (url.empty())
            if (const auto at = facts->find(name); at != facts->end()) url = at->second;
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
    std::string file_id = word_of(litter.item, "file");
    if (file_id.empty()) {
        Question look;
        look.what = questions::row;
        look.deadline = run.deadline();
        look.with = {{"table", word_of(litter.item, "table")}, {"where.userid", userid}};
        const auto found = co_await run.env().peers->ask(config.mysql, look);
        if (!found) co_return found.error();
        file_id = fact(found->facts, "column.file_id");
        // Nothing of this user, or nothing newer than what was there before.
        if (fact(found->facts, "found") != "1" || file_id == before) co_return error_code{};
    }
    Question remove;
    remove.what = questions::remove_row;
    remove.deadline = run.deadline();
    remove.with = {{"table", word_of(litter.item, "table")}, {"userid", userid}, {"file_id", file_id}};
    const auto removed = co_await run.env().peers->ask(config.mysql, remove);
    co_return removed ? error_code{} : removed.error();
}

}  // namespace livecanary::journey
