#include "probes/callback/diagnose.hpp"

#include <string>
#include <utility>

#include <boost/asio/error.hpp>

#include "probes/callback/controls.hpp"
#include "probes/callback/inbox.hpp"
#include "probes/net/resolver.hpp"
#include "probes/net/tls.hpp"

namespace livecanary::callback {
namespace {

constexpr std::string_view empty_500 = "HTTP 500 empty";

class Facts : public ControlFacts {
public:
    using ControlFacts::ControlFacts;

    bool of_event_100() const { return run().got("failed_event") == "100"; }
    std::string said() const {
        std::string text = "the backend answered ";
        if (const auto event = run().got("failed_event"); !event.empty())
            text += "event " + std::string(event) + " with ";
        text += run().fingerprint;
        const bool in_words = run().fingerprint.find(" code ") != std::string::npos;
        if (const auto body = run().got("body"); !body.empty() && !in_words)
            text += " (" + std::string(body) + ")";
        return text;
    }
    /// The script itself speaks: it has gone as far as to compare the signature, or died of it.
    bool by_the_script(std::string_view answer) const {
        if (answer == empty_500) return passed(interface_php);
        return answer.starts_with("HTTP 200 code ") && answer != "HTTP 200 code 4001" &&
               answer != "HTTP 200 code 4002";
    }
    /// A right and a wrong signature are one to the backend, and not for want of PHP.
    bool key_is_another() const {
        return refused(key_check) && refused(wrong_sign) &&
               fingerprint(key_check) == fingerprint(wrong_sign) && by_the_script(fingerprint(key_check));
    }
    /// A wrong signature gets another answer than ours: else 4002 would say nothing of the key.
    bool key_is_right() const { return passed(key_check) && refused(wrong_sign); }
};

Diagnosis of_network(const RunResult& run) {
    const std::string because = "the callback's address could not be reached: " + run.code.message();
    if (run.code == net::TlsError::certificate_expired)
        return claim(Cause::backend_tls_expired, because + ", " + std::string(run.got("certificate")));
    // No other cause has an address that does not exist, does not accept, or shows a certificate that nobody
    // accepts; whether it is so for the cloud too cannot be seen from here (catalogue).
    if (run.reason() == Reason::nxdomain || run.failed_phase() == tcp.name ||
        run.reason() == Reason::certificate)
        return claim(Cause::callback_endpoint_unreachable, because);
    Diagnosis found;
    found.candidates = {{Cause::callback_endpoint_unreachable, run.code.message()}};
    found.because = because;
    return found;
}

/// Nothing came, or too late.
Diagnosis of_hang(const RunResult& run, const Facts& facts) {
    const std::string waited(run.got("waited"));
    const std::string because = "the backend took the event and did not answer within " +
                                (waited.empty() ? "the time of the run" : waited);
    // 20 s is where the cloud gives a delivery up, and sends it again a minute later (document 267/32744).
    const auto seconds = waited.find(" s");
    if (run.code == CallbackError::too_late || (seconds != waited.npos && std::stoll(waited) > 20))
        return claim(Cause::callback_endpoint_slow_or_failing, because + "; the cloud waits for 20 s");
    Diagnosis found;
    found.because = because;
    if (facts.refused(web_server) || facts.open(web_server)) {
        found.candidates = {{Cause::backend_timeout, "the web server itself does not answer GET / rightly"},
                            {Cause::callback_endpoint_unreachable, "the network may lose what is sent"}};
        return found;
    }
    const std::string alive = facts.passed(web_server) ? ", and the web server answers" : "";
    found.candidates = {
        {Cause::db_frozen, "the callback opens a database connection" + alive},
        {Cause::backend_pool_exhausted, "a pool of which every worker is held looks the same" + alive},
        {Cause::backend_timeout, "PHP may be slow"},
        {Cause::callback_endpoint_slow_or_failing,
         "a timeout of the probe above 20 s would tell whether the cloud gives it up too"}};
    return found;
}

Diagnosis of_missing(const RunResult& run) {
    const std::string event(run.got("missing"));
    const std::string because = "event " + event + " of our push of stream " +
                                std::string(run.got("missing_stream")) +
                                " did not come in; of this stream came: " + std::string(run.got("arrived"));
    const auto arrived = run.got("arrived");
    const bool push_events = arrived != "none" && event == "100";
    std::vector<Candidate> candidates;
    std::vector<std::string> ruled_out;
    if (push_events) {
        candidates = {
            {Cause::record_template_not_bound, "events 1 and 0 of the same push came in"},
            {Cause::replay_callback_url_wrong, "recordings have a URL of their own in the template"}};
    } else if (!run.got("other_streams").empty()) {
        // Somebody's template leads here, and the way is open.
        candidates = {{Cause::callback_template_not_bound, "events of other streams come in"},
                      {Cause::replay_callback_url_wrong, "this domain's template may have another URL"}};
        ruled_out.emplace_back("callback_endpoint_unreachable: events of other streams come in");
    } else {
        candidates = {{Cause::replay_callback_url_wrong, "the template may have another URL"},
                      {Cause::callback_template_not_bound, "it may not be bound to the push domain"},
                      {Cause::callback_endpoint_unreachable, "the port may not be open to the internet"}};
    }
    return one_of(CauseClass::callback_not_delivered, std::move(candidates), because, std::move(ruled_out));
}

Diagnosis of_bad_signature(const RunResult& run) {
    const auto missing = run.got("missing");
    const std::string event = missing.empty() ? std::string(run.got("badly_signed_event"))
                                              : "event " + std::string(missing) + " of stream " +
                                                    std::string(run.got("missing_stream"));
    // A push that only we and the cloud know of (catalogue: a received real event fails MD5(key + t)).
    if (run.got("badly_signed") == "of our own push")
        return claim(Cause::callback_api_key_mismatch,
                     event + " came in for a push of our own, signed with another key than ours");
    Diagnosis found;
    found.because = event + " came in, signed with another key than ours";
    found.candidates = {{Cause::callback_api_key_mismatch, "the template's key may be another"}};
    return found;
}

std::vector<Candidate> not_stored(bool underscore_lacks) {
    std::vector<Candidate> candidates{
        {Cause::room_row_missing, "the user may have no row in tb_room"},
        {Cause::replay_db_write_failed_schema_changed, "the table may have been changed"},
        {Cause::db_table_missing, "tb_vod or tb_room may not exist"},
        {Cause::db_read_only_1290, "the server may be read-only; then registering fails too"}};
    if (underscore_lacks)
        candidates.insert(candidates.begin(),
                          {Cause::stream_id_without_underscore, "the stream's name has no '_'"});
    return candidates;
}

/// What the backend answered to an event of the cloud. It was rightly signed, as we have checked.
Diagnosis of_forward(const RunResult& run) {
    const auto answer = run.got("forward_answer");
    const std::string because =
        std::string(run.got("forwarded")) + " was passed on and got: " + std::string(answer);
    const bool recording = run.got("forward_event") == "100";
    // The backend asks for these fields after it has compared the signature, and video_id is the only one
    // that is not there (tape_callback.php, measured).
    if (answer == "HTTP 200 code 4002" && run.got("forward_lacks") == "video_id")
        return claim(Cause::callback_payload_missing_video_id,
                     because + "; it has no video_id, and all else");
    if (answer == "HTTP 200 code 4002" && recording)
        return one_of(
            CauseClass::callback_not_stored,
            {{Cause::callback_payload_missing_video_id, "a field that the backend wants is missing"}},
            because);
    if (answer == "HTTP 200 code 2003" && recording)
        return one_of(CauseClass::callback_not_stored,
                      not_stored(!run.got("forward_lacks_underscore").empty()), because);
    if (answer == empty_500)
        return one_of(
            CauseClass::callback_refused,
            {{Cause::callback_api_key_mismatch, "the backend may have another key than the cloud and we"},
             {Cause::db_config_mismatch, "the database may not be reached"},
             {Cause::backend_log_dir_unwritable, "the log directory may not be writable"},
             {Cause::backend_php_extension_missing, "mysqli may be missing"}},
            because);
    if (answer == no_answer)
        return one_of(CauseClass::backend_hangs,
                      {{Cause::db_frozen, "a callback opens a database connection"},
                       {Cause::backend_pool_exhausted, "a pool of which every worker is held looks the same"},
                       {Cause::db_lock_wait_1205, "so does a lock on the tables of a recording"},
                       {Cause::backend_timeout, "it may be slow rather than stuck"}},
                      because, {"backend_redis_frozen: a callback does not ask Redis"});
    Diagnosis found;
    found.because = because;
    found.candidates = {{Cause::callback_endpoint_slow_or_failing, "the cloud will send it again"}};
    return found;
}

/// An HTTP 500 says only that PHP died.
Diagnosis of_server_error(const RunResult& run, const Facts& facts) {
    const std::string said = facts.said();
    const bool php_alive = facts.passed(interface_php);
    // A dead database or Redis leaves /interface.php alone; the log directory does not (measured).
    if (facts.refused(interface_php) && facts.fingerprint(interface_php) == empty_500 &&
        run.fingerprint == empty_500 && facts.fingerprint(key_check) == empty_500)
        return claim(Cause::backend_log_dir_unwritable,
                     said + ", and so does /interface.php, which needs neither database nor Redis",
                     {"callback_api_key_mismatch: /interface.php compares no signature",
                      "db_config_mismatch: /interface.php opens no database"});
    if (facts.key_is_another())
        return claim(
            Cause::callback_api_key_mismatch,
            said + "; the key check is answered like a wrong signature (" +
                std::string(facts.fingerprint(key_check)) + "), where a right one gets code 4002" +
                (facts.passed(trimmed_key) ? "; without the white space around our key it does" : ""),
            {"backend_log_dir_unwritable: /interface.php answers",
             "db_config_mismatch: the key check opens no database"});
    std::vector<Candidate> candidates;
    std::vector<std::string> ruled_out;
    if (php_alive) ruled_out.emplace_back("backend_log_dir_unwritable: /interface.php answers");
    if (facts.key_is_right()) {
        ruled_out.emplace_back("callback_api_key_mismatch: the key check gets code 4002");
        candidates = {{Cause::db_config_mismatch, "the key is right, and then the database is connected"},
                      {Cause::db_unreachable_2002_2003_2005, "a database that is down looks the same"},
                      {Cause::db_too_many_connections_1040, "so does one with no connection left"},
                      {Cause::backend_php_extension_missing, "so does PHP without mysqli"}};
    } else {
        candidates = {{Cause::callback_api_key_mismatch, "PHP 8 dies of a wrong signature"},
                      {Cause::db_config_mismatch, "PHP 8 dies of a database that cannot be connected"},
                      {Cause::backend_php_extension_missing, "so does PHP without mysqli"}};
        if (!php_alive)
            candidates.push_back({Cause::backend_log_dir_unwritable, "so does all of PHP without its log"});
    }
    return one_of(CauseClass::callback_refused, std::move(candidates), said, std::move(ruled_out));
}

/// 404 or a status of a gateway: nginx speaks, and not PHP.
std::optional<Diagnosis> of_php_down(const RunResult& run, const Facts& facts) {
    const bool bad_gateway = run.fingerprint.starts_with("HTTP 502");
    const bool not_found = run.fingerprint.starts_with("HTTP 404");
    if (!bad_gateway && !not_found) return std::nullopt;
    const std::string said = facts.said();
    const auto same_status = [&](std::string_view control) {
        return facts.refused(control) &&
               facts.fingerprint(control).substr(0, 8) == std::string_view(run.fingerprint).substr(0, 8);
    };
    // 502 is said of PHP alone; where nginx lacks its error page, 502 becomes 404 (measured), and then the
    // root, which has no index, must be answered by 403 as in health.
    const bool root = bad_gateway
                          ? facts.passed(web_server)
                          : facts.passed(web_server) && facts.fingerprint(web_server).starts_with("HTTP 403");
    if (same_status(interface_php) && root)
        return claim(Cause::backend_php_down,
                     said + ", and so does /interface.php, while the web server answers GET / by itself");
    Diagnosis found;
    found.because = said;
    if (facts.passed(interface_php)) {
        found.because += "; /interface.php of the same host answers, so the path of the URL is wrong";
        return found;
    }
    found.candidates = {{Cause::backend_php_down, "a PHP that is not there"},
                        {Cause::backend_nginx_rewrite_broken, "or a web server set up otherwise"}};
    return found;
}

Diagnosis of_code(const RunResult& run, const Facts& facts) {
    const std::string said = facts.said();
    // Of a recording, 4002 and 2003 are said after the signature was compared (measured).
    if (run.fingerprint == "HTTP 200 code 4002" && facts.of_event_100()) {
        // The same fields, video_id beside them, and it is taken.
        if (facts.passed(with_video_id))
            return claim(Cause::callback_payload_missing_video_id,
                         said + " to a recording without video_id, and takes one that has it",
                         {"callback_api_key_mismatch: 4002 is said after the signature was compared"});
        return one_of(
            CauseClass::callback_not_stored,
            {{Cause::callback_payload_missing_video_id, "a field that the backend wants is missing"}}, said);
    }
    if (run.fingerprint == "HTTP 200 code 2003" && facts.of_event_100()) {
        std::vector<std::string> ruled_out{
            "callback_api_key_mismatch: 2003 is said after the signature was compared"};
        if (facts.passed(event_0))
            ruled_out.emplace_back("db_config_mismatch: event 0 connects, and is taken");
        if (facts.passed(underscore))
            return claim(Cause::stream_id_without_underscore,
                         said + " to a name without '_', and takes the same recording under one that has it",
                         std::move(ruled_out));
        return one_of(CauseClass::callback_not_stored, not_stored(facts.refused(underscore)), said,
                      std::move(ruled_out));
    }
    if (facts.key_is_another())
        return claim(Cause::callback_api_key_mismatch,
                     said + "; the key check is answered like a wrong signature (" +
                         std::string(facts.fingerprint(key_check)) + "), where a right one gets code 4002");
    Diagnosis found;
    found.because = said;
    return found;
}

Diagnosis of_answer(const RunResult& run, const Facts& facts) {
    // PHP prints its own messages in front of the JSON; Content-Length, counted without them, cuts that off.
    if (run.fingerprint.ends_with("php text"))
        return claim(Cause::backend_display_errors_on,
                     facts.said() + ": PHP's own messages in the place of the answer");
    if (const auto found = of_php_down(run, facts)) return *found;
    if (run.fingerprint.starts_with("HTTP 500")) return of_server_error(run, facts);
    if (run.code == CallbackError::refused || run.code == CallbackError::no_code) return of_code(run, facts);
    // The cloud takes 200 only, whatever the body says (document 267/32744).
    if (!run.fingerprint.starts_with("HTTP 200"))
        return claim(Cause::callback_endpoint_slow_or_failing,
                     facts.said() + "; the cloud takes nothing but HTTP 200, and sends the event again");
    Diagnosis found;
    found.because = facts.said() + ": what answers there is not the callback script";
    return found;
}

}  // namespace

Diagnosis diagnose(const RunResult& run) {
    const Facts facts(run);
    const auto phase = run.failed_phase();
    if (phase == dns.name || phase == tcp.name || phase == tls.name) return of_network(run);
    if (run.code == CallbackError::unsigned_accepted)
        return claim(Cause::callback_unsigned_accepted,
                     "an event that is not rightly signed is taken: " + run.fingerprint);
    if (run.code == CallbackError::missing) return of_missing(run);
    if (run.code == CallbackError::badly_signed) return of_bad_signature(run);
    if (run.code == CallbackError::forward_refused) return of_forward(run);
    if (run.reason() == Reason::timeout) return of_hang(run, facts);
    if (run.fingerprint.empty()) {
        Diagnosis found;
        found.because = "the connection ended before there was an answer: " + run.code.message();
        found.candidates = {{Cause::callback_endpoint_slow_or_failing, "the cloud will send it again"},
                            {Cause::callback_endpoint_unreachable, "something between may cut connections"}};
        return found;
    }
    return of_answer(run, facts);
}

}  // namespace livecanary::callback
