#pragma once
// What the practice cloud knows and how it judges a push or a play: plain data and rules, without I/O.
#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace livecanary::practice {

/// A push or play domain the practice cloud serves.
struct Domain {
    std::string main_key{};
    std::string backup_key{};            ///< empty: none set
    bool auth = true;                    ///< off: every push is accepted, whatever its query says
    std::set<std::string> apps{"live"};  ///< application names that may be pushed to and played from
    /// Added to txTime before a URL counts as expired (the cloud's AuthDelta).
    std::chrono::seconds grace{0};
    /// Of playing, which has keys of its own; hashed with the full name, a transcoding's suffix included.
    /// Empty: whoever asks may play, as it is at Tencent Cloud by default (267/38393, read 2026-11-21).
    std::string play_key{};
    std::string play_backup_key{};  ///< empty: none set
    bool push = true;               ///< off: a play domain, at which a push is one at an unknown domain
};

/// Why a call was answered as it was. The words follow the reasons in Tencent Cloud's console ("Stream
/// interruption records", read 2026-11-21), given as errcode.sub_errcode.
enum class Verdict {
    accepted,
    unknown_domain,  ///< 18.301
    unknown_app,     ///< 18.304
    unsigned_url,    ///< 18.500, 18.502: txTime or txSecret absent
    expired,         ///< 18.501
    wrong_secret,    ///< 18.503
    forbidden,       ///< 18.305
    busy,            ///< 18.602: a push of higher priority runs under this name
    told_to,         ///< Behaviour said so
};
std::string_view to_string(Verdict verdict) noexcept;

/// How the practice cloud misbehaves. The default is: not at all.
struct Behaviour {
    /// Which calls the next five members change: connect, publish, play, publish_done, play_done; http_play
    /// is what a front asks before it serves a playlist or HTTP-FLV.
    std::set<std::string> calls{"publish"};
    bool refuse = false;                   ///< 403 whatever is asked
    std::chrono::milliseconds delay{0};    ///< before every answer
    bool hang = false;                     ///< takes the call and never answers
    bool drop = false;                     ///< takes the call and closes without an answer
    int status = 0;                        ///< answers this HTTP status, for example 500; 0: by the rules
    bool judge_domain_at_publish = false;  ///< let an unknown domain connect, refuse it at publish
    std::set<std::string> forbidden{};     ///< stream names that may not be pushed
    std::set<std::string> busy{};          ///< stream names that somebody more important pushes
};

/// One call as it was seen and answered. Holds no secret: the query is not kept.
struct Call {
    std::string call;    ///< connect, publish, play, publish_done, play_done, http_play
    std::string domain;  ///< host of tcUrl, or of the HTTP request; in lower case
    std::string app;
    std::string name;  ///< stream name without its query; empty for connect
    Verdict verdict = Verdict::accepted;
    std::string client{};  ///< nginx's number of the connection; empty for http_play
};

/// Everything seen since the start or the last `forget()`; of a long life, the later part.
struct Seen {
    std::vector<Call> calls;
    /// How many calls of this kind were seen; for one stream name, or all if `name` is empty.
    std::size_t count(std::string_view call, std::string_view name = {}) const;
    /// The same, answered with `verdict`.
    std::size_t count(std::string_view call, Verdict verdict) const;
};

/// The cloud's rules and memory. Not safe for use by several threads at once.
struct Cloud {
    std::map<std::string, Domain> domains;                    ///< by lower-case name
    std::set<std::string> players{"127.0.0.1", "localhost"};  ///< hosts that `domains` lacks; play at will
    Behaviour behaviour;
    Seen seen;

    /// Judges one call of nginx-rtmp, given as the form it posts, and remembers it. Lets nginx's own
    /// relays (`push`) take what they push on, unremembered.
    Verdict take(std::string_view form, std::chrono::system_clock::time_point now);
    /// Judges the request of `host[:port]` for `/APP/NAME.m3u8` or `.flv` with its query, and remembers it as
    /// call http_play.
    Verdict take_http_play(std::string_view host, std::string_view target,
                           std::chrono::system_clock::time_point now);

private:
    Verdict judged(Call call, std::string_view query, std::chrono::system_clock::time_point now);
};

/// The value of the first field of this name in a form or query, percent-decoded; nothing if it is absent.
std::optional<std::string> form_field(std::string_view form, std::string_view name);

/// txSecret as Tencent Cloud defines it: lower-case hex MD5(key + stream name + txTime), txTime being hex
/// Unix seconds (Hotlink Protection URL Calculation, read 2026-11-21). Written here a second time on purpose,
/// so that the probe's own calculation is not checked against itself.
std::string tx_secret(std::string_view key, std::string_view name, std::string_view tx_time);

/// `name?txSecret=…&txTime=…`, valid until `expires`.
std::string signed_name(std::string_view key, const std::string& name,
                        std::chrono::system_clock::time_point expires);

}  // namespace livecanary::practice
