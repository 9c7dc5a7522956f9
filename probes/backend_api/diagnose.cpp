#include "probes/backend_api/diagnose.hpp"

#include <string>
#include <utility>
#include <vector>

#include "probes/backend_api/checks.hpp"
#include "probes/backend_api/controls.hpp"
#include "probes/backend_api/pattern.hpp"
#include "probes/net/tls.hpp"

namespace livecanary::backend_api {
namespace {

/// A failed run with its controls, asked in the words of the rules below.
class Pieces : public ControlFacts {
public:
    using ControlFacts::ControlFacts;

    std::string_view word(std::string_view check) const { return word_in(run().got(check)); }
    bool well(Check check) const { return word(name_of(check)) == "ok"; }
    bool is(Check check, std::string_view word_wanted) const { return word(name_of(check)) == word_wanted; }
    /// What the check saw, for people.
    std::string said(Check check) const {
        const auto got = run().got(name_of(check));
        const auto colon = std::min(got.find(':'), got.size());
        return std::string(name_of(check)) + std::string(got.substr(colon));
    }
    /// Of a probe of an address that an app has compiled in: where the backend really is; else empty.
    std::string_view same_as() const { return run().got(saw::same_as); }
    /// The first check that did not come out well; nothing if none was made.
    std::optional<Check> first_failed() const {
        for (std::size_t at = 0; at < check_names.size(); ++at) {
            const auto check = static_cast<Check>(at);
            if (const auto said_word = word(name_of(check)); !said_word.empty() && said_word != "ok")
                return check;
        }
        return std::nullopt;
    }
    /// The checks that came out well, in words.
    std::string what_is_well() const {
        std::string text;
        for (const auto name : check_names)
            if (word(name) == "ok") text += (text.empty() ? "" : ", ") + std::string(name);
        return text.empty() ? "no other check came out well" : "well: " + text;
    }
};

const char* const same_500 = "the empty HTTP 500 is the same for all of these; the backend's logs tell";

/// Where the app looks for the backend nothing of it is: nothing if this is no such probe, or the backend is
/// away from its own address too.
std::optional<Diagnosis> of_app_address(const Pieces& pieces, const std::string& said) {
    const auto there = pieces.same_as();
    if (there.empty() || pieces.refused(true_address)) return std::nullopt;
    // It is well at its own address, with the very answer that is missing here (catalogue: "the
    // /interface.php fingerprint must match the true backend").
    if (pieces.passed(true_address))
        return claim(Cause::client_wrong_backend_address, said + "; " + pieces.shows(true_address),
                     {"backend_unreachable: it is reached at its own address"});
    return Diagnosis{
        .candidates = {{Cause::client_wrong_backend_address, "the app may have another address compiled in"},
                       {Cause::backend_unreachable,
                        "the backend may be away from its own address, " + std::string(there) + ", too"}},
        .because = said};
}

Diagnosis of_way(const RunResult& run) {
    const std::string because = "the backend could not be reached: " + run.code.message();
    // A host without address or open port is just what the catalogue's item says.
    const bool is_dns = run.failed_phase() == dns.name;
    if (run.failed_phase() == tcp.name || (is_dns && run.reason() == Reason::nxdomain))
        return claim(Cause::backend_unreachable, because);
    // The certificate says itself when it ended.
    if (run.code == net::TlsError::certificate_expired)
        return claim(Cause::backend_tls_expired, because + " " + std::string(run.got("certificate")));
    Diagnosis found;
    if (is_dns)
        found.candidates = {
            {Cause::backend_unreachable, "its name could not be looked up; the resolver may be at fault"}};
    found.because = because;
    return found;
}

Diagnosis of_hang(const Pieces& pieces, Part part, const std::string& said) {
    const std::string because = said + "; " + pieces.what_is_well();
    // Nothing but PHP is behind /interface.php, and the web server has just answered.
    if (part == Part::php_workers && pieces.well(Check::static_page))
        return claim(Cause::backend_pool_exhausted, because, {"backend_unreachable: the web server answers"});
    // PHP has just answered, and the unsigned list asks nothing but Redis before it refuses.
    if (part == Part::redis && pieces.well(Check::php))
        return claim(Cause::backend_redis_frozen, because,
                     {"backend_pool_exhausted: /interface.php answered in the same run",
                      "db_frozen: this request does not touch the database"});
    if (part == Part::database && pieces.well(Check::php))
        return one_of(CauseClass::backend_hangs,
                      {{Cause::db_frozen, "the first request that touches the database hangs"},
                       {Cause::db_lock_wait_1205, "a lock on tb_account would look the same"},
                       {Cause::backend_timeout, "it may be slow rather than stuck"}},
                      because, {"backend_pool_exhausted: /interface.php answered in the same run"});
    if (pieces.is(Check::vod_list, "hangs") && pieces.well(Check::db))
        return one_of(CauseClass::backend_hangs,
                      {{Cause::db_lock_wait_1205, "tb_account can be read and the list of tb_vod hangs"},
                       {Cause::db_frozen, "the database may have frozen meanwhile"},
                       {Cause::backend_timeout, "the list may be slow rather than stuck"}},
                      because);
    if (pieces.is(Check::login, "hangs") && pieces.well(Check::db))
        return one_of(CauseClass::backend_hangs,
                      {{Cause::backend_redis_frozen,
                        "what the login does more than the checks before is to write there"},
                       {Cause::db_frozen, "the database may have frozen meanwhile"},
                       {Cause::backend_timeout, "it may be slow rather than stuck"}},
                      because);
    return one_of(CauseClass::backend_hangs,
                  {{Cause::backend_pool_exhausted, "nothing tells which part it waits for"},
                   {Cause::db_frozen, "likewise"},
                   {Cause::backend_redis_frozen, "likewise"},
                   {Cause::backend_timeout, "it may be slow rather than stuck"}},
                  because);
}

Diagnosis of_php(const Pieces& pieces, const std::string& because) {
    // 502 is what a gateway says of what is behind it, and nothing else.
    for (const Check check : {Check::php, Check::redis, Check::db})
        if (pieces.is(check, "bad_gateway")) return claim(Cause::backend_php_down, because);
    if (pieces.passed(made_up_script))
        return one_of(CauseClass::backend_php_not_reached,
                      {{Cause::backend_nginx_rewrite_broken, pieces.shows(made_up_script)}}, because,
                      {"backend_php_down: " + pieces.shows(made_up_script)});
    return one_of(CauseClass::backend_php_not_reached,
                  {{Cause::backend_php_down, "as shipped, nginx shows a PHP that is down as 404"},
                   {Cause::backend_nginx_rewrite_broken, "the root or the rule for .php files may be wrong"}},
                  because);
}

Diagnosis of_rewrite(const Pieces& pieces, const std::string& because) {
    // The same endpoint by its direct path works: only the rule between differs.
    if (pieces.passed(direct))
        return claim(Cause::backend_nginx_rewrite_broken, because + "; " + pieces.shows(direct),
                     {"backend_php_down: /interface.php answers"});
    return one_of(CauseClass::backend_php_not_reached,
                  {{Cause::backend_nginx_rewrite_broken, "/interface.php answers and /NAME does not"}},
                  because, {"backend_php_down: /interface.php answers"});
}

Diagnosis of_redis_writes(const Pieces& pieces, const std::string& because) {
    // Both requests that write a session fail, and the one has nothing else in common with the other; reading
    // works.
    if (pieces.refused(refresh) && pieces.fingerprint(refresh) == "empty_500")
        return claim(Cause::backend_redis_full_or_read_only, because + "; " + pieces.shows(refresh),
                     {"backend_redis_down_or_auth: it can be read"});
    std::vector<Candidate> candidates;
    std::vector<std::string> ruled_out{"backend_redis_down_or_auth: it can be read"};
    if (pieces.passed(refresh))
        ruled_out.push_back("backend_redis_full_or_read_only: " + pieces.shows(refresh));
    else
        candidates.push_back({Cause::backend_redis_full_or_read_only, "a login writes its session to Redis"});
    candidates.push_back(
        {Cause::backend_php_extension_missing, "the login needs zlib and hash for its UserSig"});
    return one_of(CauseClass::backend_http_500, std::move(candidates), because, std::move(ruled_out));
}

Diagnosis of_database(const Pieces& pieces, const std::string& because) {
    std::vector<std::string> ruled_out{"backend_log_dir_unwritable: /interface.php answers"};
    if (pieces.well(Check::redis))
        ruled_out.emplace_back("backend_redis_down_or_auth: the unsigned list is refused as it must be");
    return one_of(CauseClass::backend_http_500,
                  {{Cause::db_config_mismatch, "what needs the database fails, what does not answers"},
                   {Cause::db_unreachable_2002_2003_2005, "the database server may be down"},
                   {Cause::db_too_many_connections_1040, "its connections may be used up"},
                   {Cause::backend_php_extension_missing, "PHP may lack mysqli"}},
                  because + "; " + same_500, std::move(ruled_out));
}

Diagnosis of_statement(const char* table, bool is_vod, const std::string& because) {
    std::vector<Candidate> candidates{
        {Cause::db_table_missing,
         std::string("a statement on ") + table + " fails on a connection that works"},
        {Cause::db_column_unknown_1054, "a renamed or dropped column looks the same"}};
    if (is_vod)
        candidates.push_back({Cause::createdb_zero_date_1067, "of all tables, creating this one may fail"});
    return one_of(CauseClass::backend_statement_failed, std::move(candidates), because);
}

/// What one answer says wrongly, whatever the others say; nothing if the code is none of these.
std::optional<Diagnosis> of_content(const RunResult& run, const std::string& said) {
    using enum BackendError;
    if (run.code.category() != make_error_code(hangs).category()) return std::nullopt;
    const std::string wrong(run.got(saw::wrong));
    const std::string because = said + (wrong.empty() ? "" : ": " + wrong);
    switch (static_cast<BackendError>(run.code.value())) {
        // These three are read out of the UserSig itself.
        case user_sig_expired:
            return claim(Cause::im_usersig_expired, because + ": " + std::string(run.got("user_sig")));
        case user_sig_identifier:
            return claim(Cause::im_usersig_identifier_mismatch,
                         because + ": " + std::string(run.got("user_sig")));
        case user_sig_sdkappid:
            return claim(Cause::im_wrong_sdkappid_or_accounttype, because);
        // All fields are right, and were signed with another key than the configured one.
        case user_sig_key:
            return claim(Cause::im_usersig_key_mismatch, because);
        // Refused with the token that a login had just given, twice.
        case token_invalid:
            return claim(Cause::backend_session_token_invalid, because);
        case out_of_time:
            return claim(Cause::backend_timeout, because);
        // The file's own lines were seen.
        case exposed:
            return claim(Cause::backend_config_exposed, said + ": " + std::string(run.got(saw::exposed)));
        case stale:
            return one_of(CauseClass::replay_missing,
                          {{Cause::callback_api_key_mismatch, "callbacks may come and be refused"},
                           {Cause::replay_callback_url_wrong, "callbacks may not come"},
                           {Cause::record_template_not_bound, "nothing may be recorded"},
                           {Cause::replay_window_7_days, "nobody may have been live for a week"}},
                          because);
        case bad_row:
            // The list shows the column as it is: another type than the shipped one.
            if (wrong.find("_time is not a time") != std::string::npos)
                return claim(Cause::replay_db_write_failed_schema_changed, because);
            return Diagnosis{
                .candidates = {{Cause::db_too_long_1406, "a column that became too short cuts URLs off"},
                               {Cause::replay_db_write_failed_schema_changed,
                                "columns may have been changed otherwise"}},
                .because = because};
        case replay_refused:
            return Diagnosis{.candidates = {{Cause::cdn_url_auth_failed, "the URL may have to be signed"},
                                            {Cause::cdn_hotlink_or_ip_blocked, "we may not be let in"}},
                             .because = because + ": " + std::string(run.got("play_url"))};
        default:
            return std::nullopt;
    }
}

}  // namespace

Diagnosis diagnose(const RunResult& run) {
    const Pieces pieces(run);
    const auto first = pieces.first_failed();
    const bool of_another = !pieces.word("other").empty();
    if (!first && !of_another) {
        if (auto found = of_app_address(pieces, "this address could not be reached: " + run.code.message()))
            return *std::move(found);
        return of_way(run);
    }
    std::string said = (first ? pieces.said(*first) : std::string("a request for another probe")) + ": " +
                       run.code.message();
    if (const auto path = run.got(saw::exposed); !path.empty() && run.code != BackendError::exposed)
        said += " (besides, " + std::string(path) + " can be fetched)";
    for (const auto* lost : {"not_found", "not_json", "other_status"})
        if (pieces.is(Check::php, lost))
            if (auto found = of_app_address(pieces, said)) return *std::move(found);
    if (auto found = of_content(run, said)) return *std::move(found);
    const Part part = broken_part([&](std::string_view check) { return pieces.word(check); });
    if (word_of(run.code) == "hangs") return of_hang(pieces, part, said);
    switch (part) {
        case Part::php_settings:
            // HTTP 200 with PHP's own markup of a diagnostic.
            return claim(Cause::backend_display_errors_on, said);
        case Part::php:
            return of_php(pieces, said);
        case Part::php_includes:
            return one_of(CauseClass::backend_http_500,
                          {{Cause::backend_log_dir_unwritable,
                            "every PHP URL fails, also one that needs neither database nor Redis"}},
                          said + "; any error at the head of the code looks the same",
                          {"db_config_mismatch: /interface.php does not touch the database",
                           "backend_redis_down_or_auth: nor Redis"});
        case Part::rewrite:
            return of_rewrite(pieces, said);
        case Part::redis:
            return one_of(
                CauseClass::backend_http_500,
                {{Cause::backend_redis_down_or_auth, "what needs Redis fails, what does not answers"},
                 {Cause::backend_php_extension_missing, "PHP may lack phpredis"}},
                said + "; " + same_500, {"backend_log_dir_unwritable: /interface.php answers"});
        case Part::redis_writes:
            return of_redis_writes(pieces, said);
        case Part::database:
            return of_database(pieces, said);
        case Part::database_or_redis:
            return one_of(CauseClass::backend_http_500,
                          {{Cause::db_config_mismatch, "what needs the database fails"},
                           {Cause::backend_redis_down_or_auth, "what needs Redis fails too"},
                           {Cause::backend_php_extension_missing, "both need extensions of PHP"}},
                          said + "; " + same_500, {"backend_log_dir_unwritable: /interface.php answers"});
        case Part::tb_account:
            return of_statement("tb_account", false, said);
        case Part::tb_vod:
            return of_statement("tb_vod", true, said);
        case Part::none:
        case Part::web_server:
        case Part::php_workers:
            break;
    }
    return {.because = said};
}

}  // namespace livecanary::backend_api
