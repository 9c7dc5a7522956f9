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
         {format_missing, "the rows of the show have not all its formats", Reason::timeout},
         {held_back, "our own receiver did not pass the callback on: an earlier one is not answered",
          Reason::local},
         {crowded, "the journey's user has too many rows to tell its own from them", Reason::local},
         {no_ledger, "there is no ledger to write the replay down in", Reason::local},
         {cannot_ask, "a probe that the journey needs could not be asked", Reason::local}}};
    return {static_cast<int>(error), table};
}

namespace {

using namespace std::chrono_literals;

/// For the removal, while nobody waits for the end: a connection for each row.
constexpr auto removal_patience = 5s;
/// A first piece of the replay shows that it is there; the whole is nobody's business at night.
constexpr std::size_t enough_media = 64UL * 1024;

bool contains(const std::vector<std::string>& files, const std::string& file_id) {
    return std::ranges::find(files, file_id) != files.end();
}

class Walk {
public:
    Walk(const Config& config, ProbeRun& run, Ongoing& ongoing, asio::any_io_executor executor)
        : config_(config), run_(run), ongoing_(ongoing), looker_(run, std::move(executor)) {
        show_ = {.table = config.table, .userid = config.userid, .made = run.so_far().started};
        // The backend parts the name at its first '_'; a location and a run id have none.
        show_.stream = "lc-" + run.env().location + "-" + run.run_id() + "_" + config.userid;
    }

    asio::awaitable<void> whole();
    asio::awaitable<void> clean_up();

private:
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
    /// Takes over what came of the recording's files.
    asio::awaitable<void> take();
    /// What the user has before the push. False if the journey must not go on.
    asio::awaitable<bool> looks_before();
    /// Looks, and writes down what is to come.
    asio::awaitable<bool> prepares();
    /// The row of a file that was told of.
    asio::awaitable<error_code> find_told();
    /// The rows that are new, where nobody told of their files.
    asio::awaitable<error_code> find_new();
    std::vector<Facts> new_rows(const Facts& answer) const;
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
    Litter litter() const { return litter_of(show_, run_.env().probe); }
    asio::awaitable<void> learned(std::string file_id);

    const Config& config_;
    ProbeRun& run_;
    Ongoing& ongoing_;
    Looker looker_;
    Show show_{};
    Phase hop_ = push;
    Facts pushed_{}, row_{}, listed_{};
    std::string file_id_{};          // of the replay, once it is known
    std::vector<Facts> events_{};    // 100 of each of its files, in the order they came
    std::vector<Facts> new_rows_{};  // that nobody told of
    Litter recorded_{};              // as it stands in the ledger; no store: it does not
    bool may_be_there_ = false;      // the stream was taken, or may have been
};

/// Each file is written down as soon as it is known.
asio::awaitable<void> Walk::learned(std::string file_id) {
    if (file_id.empty()) co_return;
    if (file_id_.empty()) file_id_ = file_id;
    if (!contains(show_.files, file_id)) show_.files.push_back(std::move(file_id));
    Litter known = litter();
    if (recorded_.store.empty() || known.item == recorded_.item) co_return;
    const error_code unwritten = co_await run_.env().ledger->record(known);
    if (unwritten) co_return;  // what stands there leads to it too
    Litter old = std::exchange(recorded_, std::move(known));
    co_await run_.env().ledger->strike(std::move(old));
}

asio::awaitable<bool> Walk::pushes() {
    enter(push);
    run_.saw("stream", show_.stream);
    Question question;
    question.what = questions::push;
    question.deadline = run_.deadline();
    question.with = {
        {"stream_id", show_.stream},
        {"seconds", std::to_string(std::chrono::ceil<std::chrono::seconds>(config_.length).count())}};
    may_be_there_ = true;
    const auto answer = co_await run_.env().peers->ask(config_.push, std::move(question));
    if (co_await is_cut()) co_return fails(asio::error::operation_aborted);
    if (!answer) {
        run_.saw("asked", config_.push + ": " + answer.error().message());
        // It never began.
        if (reason_of(answer.error()) == Reason::local) may_be_there_ = false;
        co_return fails(JourneyError::cannot_ask);
    }
    pushed_ = answer->facts;
    // A push that was refused makes no replay; one that broke off may.
    may_be_there_ = fact(pushed_, "outcome") == "ok" || fact(pushed_, "accepted") == "1";
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
        question.with = {{"event", event}, {"stream_id", show_.stream}};
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
    question.with = {{"event", "100"}, {"stream_id", show_.stream}};
    return question;
}

asio::awaitable<void> Walk::take() {
    auto all = co_await recordings_of(config_, run_, show_.stream);
    if (all.empty()) co_return;
    events_ = std::move(all);
    for (const Facts& event : events_) {
        std::string file_id = fact(event, "file_id");
        co_await learned(std::move(file_id));
    }
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
        co_await take();
        if (events_.empty()) events_.push_back(*std::move(found));
    }
    for (const Facts& event : events_) {
        if (const auto file_id = fact(event, "file_id"); !file_id.empty()) run_.saw("file_id", file_id);
        if (const auto format = fact(event, "file_format"); !format.empty()) run_.saw("format", format);
        if (const auto duration = fact(event, "duration"); !duration.empty())
            run_.saw("recorded_seconds", duration);
        if (const auto forwarded = fact(event, "forwarded"); !forwarded.empty())
            run_.saw("forwarded", forwarded);
        // Not even sent: what the backend makes of it cannot be known.
        if (!fact(event, "held_back").empty()) co_return fails(JourneyError::held_back);
        if (!fact(event, "unanswered").empty()) run_.saw("unanswered", "yes");
        // Any other code with status 200 means that the cloud takes the event for delivered, and it is lost.
        if (const auto code = fact(event, "code"); !code.empty() && code != "0") {
            run_.saw("callback_code", code);
            co_return fails(JourneyError::event_refused);
        }
    }
    co_return true;
}

asio::awaitable<bool> Walk::looks_before() {
    Question question = about_rows(show_);
    question.deadline =
        std::min<Clock::time_point>(run_.deadline(), run_.env().now() + config_.deadlines.row);
    const auto answer = co_await run_.env().peers->ask(config_.mysql, std::move(question));
    if (co_await is_cut()) co_return fails(asio::error::operation_aborted);
    error_code unknown;
    if (answer) {
        std::vector<std::string> files;
        for (const Facts& facts : rows_of(answer->facts)) files.push_back(fact(facts, "column.file_id"));
        const auto has_blank = [](const std::string& file) { return file.find(' ') != file.npos; };
        if (files.size() > most_before || std::ranges::any_of(files, has_blank))
            unknown = JourneyError::crowded;
        else
            show_.before = std::move(files);
    } else {
        run_.saw("asked", config_.mysql + ": " + answer.error().message());
        unknown = answer.error();
        if (reason_of(unknown) == Reason::local) unknown = JourneyError::cannot_ask;
    }
    ongoing_.before = show_.before;
    // With a receiver the files of the show are told of. Without one its rows could not be told from the
    // others, nor be removed.
    if (!unknown || (!config_.callback.empty() && unknown != JourneyError::cannot_ask)) co_return true;
    enter(row);
    co_return fails(unknown);
}

asio::awaitable<bool> Walk::prepares() {
    if (!co_await looks_before()) co_return false;
    if (run_.env().ledger == nullptr) co_return fails(JourneyError::no_ledger);
    Litter to_come = litter();
    const error_code unwritten = co_await run_.env().ledger->record(to_come);
    if (unwritten) co_return fails(JourneyError::no_ledger);
    recorded_ = std::move(to_come);
    co_return true;
}

std::vector<Facts> Walk::new_rows(const Facts& answer) const {
    std::vector<Facts> rows = rows_of(answer);
    std::erase_if(rows, [this](const Facts& facts) { return !show_.has(facts, true); });
    return rows;
}

asio::awaitable<error_code> Walk::find_told() {
    // The row of one format is that of the others, and has the file id of the one that came first.
    std::vector<Question> questions;
    for (const auto& file : show_.files) questions.push_back(about_row(config_, file));
    std::function<bool(const Facts&)> is_there = [this](const Facts& facts) {
        return fact(facts, "found") == "1" &&
               !(show_.before && contains(*show_.before, fact(facts, "column.file_id")));
    };
    auto found = co_await looker_.look(config_.mysql, std::move(questions), config_.deadlines.row,
                                       JourneyError::no_row, std::move(is_there));
    if (!found) co_return found.error();
    row_ = *std::move(found);
    co_return error_code{};
}

asio::awaitable<error_code> Walk::find_new() {
    std::function<bool(const Facts&)> all_there = [this](const Facts& facts) {
        new_rows_ = new_rows(facts);
        return !new_rows_.empty() && formats_in(new_rows_) >= config_.formats;
    };
    std::vector<Question> questions{about_rows(show_)};
    const auto found = co_await looker_.look(config_.mysql, questions, config_.deadlines.row,
                                             JourneyError::no_row, std::move(all_there));
    // Nothing tells of a second format: it is waited for, so that its row is seen, and does not stay.
    if (found && formats_in(new_rows_) == 1) {
        std::function<bool(const Facts&)> more = [this](const Facts& facts) {
            auto rows = new_rows(facts);
            if (!rows.empty()) new_rows_ = std::move(rows);
            return formats_in(new_rows_) > 1;
        };
        const auto patience = std::min<std::chrono::milliseconds>(second_row_patience, config_.deadlines.row);
        const auto second = co_await looker_.look(config_.mysql, std::move(questions), patience,
                                                  JourneyError::no_row, std::move(more));
        if (!second && second.error() == asio::error::operation_aborted) co_return second.error();
    }
    // What a player takes first.
    const auto plays = std::ranges::find_if(
        new_rows_, [](const Facts& facts) { return !fact(facts, "column.play_url").empty(); });
    if (!new_rows_.empty()) row_ = plays != new_rows_.end() ? *plays : new_rows_.front();
    for (const Facts& one : new_rows_) {
        std::string file_id = fact(one, "column.file_id");
        co_await learned(std::move(file_id));
    }
    if (found) co_return error_code{};
    if (found.error() != JourneyError::no_row || new_rows_.empty()) co_return found.error();
    run_.saw("files", std::to_string(formats_in(new_rows_)) + " of " + std::to_string(config_.formats));
    co_return JourneyError::format_missing;
}

asio::awaitable<bool> Walk::has_row() {
    enter(row);
    if (config_.shortest_replay != shipped_shortest_replay)
        run_.saw("shortest_replay_seconds",
                 std::to_string(std::chrono::floor<std::chrono::seconds>(config_.shortest_replay).count()));
    const bool told = !show_.files.empty();
    error_code missing;
    if (told)
        missing = co_await find_told();
    else
        missing = co_await find_new();
    if (missing) co_return fails(missing);
    std::string file_id = fact(row_, "column.file_id");
    file_id_ = file_id;
    co_await learned(std::move(file_id));
    run_.saw("row", "file_id " + file_id_ + ", start_time " + fact(row_, "column.start_time"));
    if (fact(row_, "column.play_url").empty() && !fact(row_, "column.hls_play_url").empty())
        run_.saw("row_hls_only", fact(row_, "column.hls_play_url"));
    error_code trapped;
    if (told) {
        co_await take();
        trapped = co_await look_for_traps(config_, run_, looker_, events_, row_);
    } else {
        trapped = judge_rows(config_, run_, new_rows_, pushed_, row_);
    }
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
        return fact(facts, "found") == "yes" &&
               !(show_.before && contains(*show_.before, fact(facts, "file_id")));
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
    // A variable that lives over a co_await: without one GCC 12 lays this frame out wrongly.
    const bool makes_rows = config_.goes_on() && !config_.mysql.empty();
    if (makes_rows) {
        if (!co_await prepares()) co_return;
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
    if (makes_rows) {
        if (!co_await has_row()) co_return;
    }
    if (!config_.list.empty()) {
        if (!co_await is_listed()) co_return;
    }
    if (config_.playback) {
        if (!co_await plays()) co_return;
    }
    run_.headline("from the push to the player, replay " + (file_id_.empty() ? show_.stream : file_id_));
}

/// Whatever went before: the rows that viewers could see go.
asio::awaitable<void> Walk::clean_up() {
    if (recorded_.store.empty()) co_return;
    if (!may_be_there_) {
        co_await run_.env().ledger->strike(recorded_);
        co_return;
    }
    // What has come meanwhile is written down, too.
    co_await take();
    const Clock::duration patience =
        run_.was_cut() ? Clock::duration(clean_up_patience) : Clock::duration(removal_patience);
    ProbeRun removing(run_.env(), patience);
    const auto code = co_await remove_rows(config_, removing, show_, nullptr);
    if (code) run_.saw("left", "rows of the replay could not be removed yet: " + code.message());
    // Another format, or an event that is late, may still bring a row: it stays in the ledger, for the sweep,
    // the next start or `livecanary cleanup` to look again.
}

}  // namespace

asio::awaitable<void> walk(const Config& config, ProbeRun& run, Ongoing& ongoing) {
    struct Begun {
        explicit Begun(Ongoing& of) : walk(of) { walk = {.walking = true}; }
        ~Begun() { walk = {}; }
        Begun(const Begun&) = delete;
        Begun& operator=(const Begun&) = delete;
        Ongoing& walk;
    };
    const Begun begun(ongoing);
    Walk walk(config, run, ongoing, co_await asio::this_coro::executor);
    co_await walk.whole();
    if (co_await is_cut()) run.cut();
    co_await asio::this_coro::reset_cancellation_state();
    co_await walk.clean_up();
}

}  // namespace livecanary::journey
