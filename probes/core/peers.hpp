#pragma once
// What the probes of one daemon have to say to each other. Kinds do not include one another: they share the
// words of this file, and the daemon carries them.
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <boost/asio/awaitable.hpp>

#include "config/secret.hpp"
#include "probes/core/run.hpp"
#include "probes/core/turn.hpp"

namespace livecanary {

/// Words about one thing, by name. Never a secret.
using Facts = std::map<std::string, std::string, std::less<>>;

/// What one probe asks of another.
struct Question {
    std::string_view what{};  ///< one of `questions`
    Facts with{};             ///< as the question has it
    Clock::time_point deadline{};
};

struct PeerAnswer {
    Facts facts{};
    std::map<std::string, config::Secret, std::less<>> secrets{};
    /// What was given stays as it is while this lives.
    std::shared_ptr<const void> hold{};
};

/// Why there is no answer. A probe that was asked may also give an error of its own.
enum class PeerError {
    no_such_probe = 1,  ///< not configured, or not enabled
    not_understood,     ///< its kind does not answer this question
    nothing_yet,        ///< it has nothing to give at the moment, such as before its first good run
};
error_code make_error_code(PeerError error) noexcept;

namespace questions {
/// Of cos_roundtrip: the object that lies in its bucket at the moment, as long as `hold` lives; at most until
/// the asker's deadline. Facts: `url` (origin, unsigned), `path` ("/" and the key, percent-encoded), `size`
/// (bytes, decimal), `md5` (hex), `crc64` (decimal), `etag` (as the origin quotes it), `uploaded` (Unix
/// milliseconds), `address` and `ca_file` (as configured, may be empty). Secrets: `authorization`, the value
/// of the header with which a GET of it at the origin is signed, and `token` (x-cos-security-token), may be
/// empty.
inline constexpr std::string_view object = "object";
/// Of backend_api: what an app gets to sign an upload with. Facts: `secret_id`, `key_time` ("start;end"),
/// `bucket`, `region`, `appid` (as the backend says them), `date` (Unix seconds of the backend's Date).
/// Secrets: `sign_key`.
inline constexpr std::string_view cos_sign = "cos_sign";
/// Of rtmp_push: pushes now, to its URL but under another stream name, signed with its key. With:
/// `stream_id`, `seconds` (of media, decimal). It answers when the push has ended. Facts: `outcome` ("ok",
/// "failed", "inconclusive"), if it is not ok `phase`, `reason`, `detail` (words) and `label` (a cause or a
/// class, may be empty), `accepted` ("1", "0"), `began` and `ended` (Unix milliseconds), `domain`, `app`.
inline constexpr std::string_view push = "push";
/// Of mysql: removes a row with the statement that its table has for it. With: `table`, and what the
/// statement names. Facts: `removed` (rows, decimal). PeerError::not_understood if the table has no such
/// statement.
inline constexpr std::string_view remove_row = "remove_row";
/// Of backend_api: whether a replay stands in the list that viewers get. With, any of: `file_id`, `userid`,
/// `stream_id` (whose part behind the first '_' is the user); all that is given must match, the newest that
/// does counts. Facts: `found` ("yes", "no"); of the one found `file_id`, `userid`, `play_url`,
/// `hls_play_url`, and `start_time` and `end_time` (Unix seconds; empty if the list has none).
inline constexpr std::string_view vod_list = "vod_list";
/// Of mysql: one row of a configured table. Given: `table`, and for each column to match `where.` and its
/// name with the value; only columns that the table is configured with, and one of them at least must begin
/// an index. Facts: `found`
/// ("1" or "0"), and with a row, `column.` and the name of each configured column that is not NULL, as SQL
/// writes it (times of TIMESTAMP columns in UTC); `time.` and the name of each TIMESTAMP column, in Unix
/// seconds, whatever zone the session of its writer had. Of several rows the one that is newest by the
/// table's watermark; with `rows` (decimal, 1 to 32) so many of them at most, newest first: the names of the
/// second one's facts begin with `2.`, and so on.
inline constexpr std::string_view row = "row";
/// Of callback, if it receives: whether an event of the cloud came in. With: `event` ("1", "0", "100"),
/// `stream_id`, if only what came since then will do `after` (Unix milliseconds), and, for the event of one
/// of several recordings, `nth` (1: of the file that was told of first). Facts: `arrived` ("yes", "no"), of
/// event 100 `files` (how many recordings were told of, decimal), and of the newest one that did arrive `at`
/// (Unix milliseconds), `file_id`, `video_url`, `file_format`, `start_time` and `end_time` of a recording
/// (Unix seconds; may be absent), `duration` (their difference), and where it was passed on `forwarded` (the
/// backend's answer in words) and `code` (of its JSON; absent if it had none). It does not wait.
/// PeerError::nothing_yet while it does not listen.
inline constexpr std::string_view event = "event";
}  // namespace questions

/// Something that happened at a probe and that others may want to know of.
struct Notice {
    std::uint64_t number = 0;  ///< counts up from 1 over all notices; set by tell()
    std::string topic{};       ///< one of `topics`
    std::string from{};        ///< name of the probe
    WallTime at{};
    Facts facts{};
};

namespace topics {
/// By rtmp_push, when a push was accepted and again when it has ended: `event` ("1" or "0", as the cloud's
/// callbacks number them), `domain`, `app`, `stream_id`, `run_id`.
inline constexpr std::string_view push = "push";
/// By log_keywords, for each run that found a keyword: `cause` (an id), `count`, `line` (redacted), `file`.
inline constexpr std::string_view keyword = "keyword";
}  // namespace topics

/// Notices of one topic that are kept; the oldest makes room.
constexpr std::size_t most_notices = 1000;

/// The other probes. Of one executor, like the runs.
class Peers {
public:
    virtual ~Peers() = default;
    /// The answer of the probe of that name (Probe::answer). It does not wait beyond question.deadline.
    virtual boost::asio::awaitable<result<PeerAnswer>> ask(std::string probe, Question question) = 0;
    /// Whether some enabled probe has `probe` among those it asks (Probe::asks).
    virtual bool is_asked(std::string_view probe) const = 0;
    virtual void tell(Notice notice) = 0;
    /// Those of `topic` with a number above `after`, oldest first.
    virtual std::vector<Notice> told(std::string_view topic, std::uint64_t after = 0) const = 0;

    /// Whose turn it is at a backend, by its `host:port`: the same one for all that ask while any holds it.
    std::shared_ptr<Turn> turn_at(const std::string& backend);

private:
    std::map<std::string, std::weak_ptr<Turn>> turns_{};
};

}  // namespace livecanary

template <>
struct boost::system::is_error_code_enum<livecanary::PeerError> : std::true_type {};
