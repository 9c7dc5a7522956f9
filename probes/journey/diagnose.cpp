#include "probes/journey/diagnose.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string_view>

#include "probes/catalogue/catalogue.hpp"
#include "probes/journey/facts.hpp"
#include "probes/journey/walk.hpp"

namespace livecanary::journey {
namespace {

/// A class with the candidates the catalogue has for it.
Diagnosis as_catalogued(CauseClass cause_class, std::string because, std::vector<Cause> first = {},
                        std::vector<std::string> ruled_out = {}) {
    std::vector<Candidate> candidates;
    const auto& entries = entry(cause_class).candidates;
    const auto add = [&](const ClassCandidate& from) {
        const auto is_there = [&](const Candidate& c) { return c.cause == from.cause; };
        const auto excluded = [&](const std::string& text) {
            return text.starts_with(std::string(to_string(from.cause)) + ":");
        };
        if (std::ranges::none_of(candidates, is_there) && std::ranges::none_of(ruled_out, excluded))
            candidates.push_back({from.cause, std::string(from.why)});
    };
    for (const Cause cause : first)
        for (const auto& from : entries)
            if (from.cause == cause) add(from);
    for (const auto& from : entries) add(from);
    return one_of(cause_class, std::move(candidates), std::move(because), std::move(ruled_out));
}

/// What the push's own rules make of it; they know more than the journey does.
Diagnosis of_push(const RunResult& run) {
    const std::string because = "the stream was not taken: " + std::string(run.got("push"));
    const auto label = run.got("push_label");
    for (const auto& known : all_causes())
        if (to_string(known.id) == label) return claim(known.id, because);
    for (const auto& known : all_classes())
        if (to_string(known.id) == label) return as_catalogued(known.id, because);
    return {.because = because};
}

Diagnosis of_callback(const RunResult& run) {
    if (run.code == JourneyError::event_refused) {
        const auto code = run.got("callback_code");
        const std::string because = "the event came and the backend answered code " + std::string(code) +
                                    " with status 200: the cloud takes it for delivered, and it is lost";
        // The backend's own meaning of its codes (tape_callback.php, measured): 4002 is a field that is
        // missing, 2003 a statement that failed.
        if (code == "4002")
            return as_catalogued(CauseClass::callback_not_stored, because,
                                 {Cause::callback_payload_missing_video_id});
        if (code == "2003")
            return as_catalogued(CauseClass::callback_not_stored, because, {Cause::room_row_missing},
                                 {"replay_too_short: that is answered with code 0",
                                  "callback_payload_missing_video_id: that is answered with code 4002",
                                  "stream_id_without_underscore: the journey's stream has one"});
        return as_catalogued(CauseClass::callback_refused, because);
    }
    if (run.code != JourneyError::not_called_back) return {.because = run.code.message()};
    if (const auto files = run.got("files"); !files.empty())
        return as_catalogued(CauseClass::callback_not_delivered,
                             std::string(files) +
                                 " recordings of the journey's own stream were told of: one for each format "
                                 "was to come",
                             {Cause::record_template_not_bound},
                             {"callback_template_not_bound: events of the same template came",
                              "callback_endpoint_unreachable: events came to the same address",
                              "replay_callback_url_wrong: an event 100 came"});
    const auto others = run.got("other_events");
    const std::string because =
        "event " + std::string(run.got("missing_event")) +
        " of the journey's own stream did not come; of 1 and 0 came: " + std::string(others);
    // The same template, the same address: what comes proves both. With event 1 or 0 here, 100 is missing
    // because of the recording, or of the URL that the template has for it alone.
    if (run.got("missing_event") == "100" && others != "none")
        return as_catalogued(CauseClass::callback_not_delivered, because,
                             {Cause::record_template_not_bound, Cause::replay_callback_url_wrong},
                             {"callback_template_not_bound: events of the same template came",
                              "callback_endpoint_unreachable: events came to the same address"});
    return as_catalogued(CauseClass::callback_not_delivered, because);
}

/// Whole quarters of an hour, which time zones are apart.
constexpr std::int64_t zone_step = 900;

std::string hours_text(std::int64_t seconds) {
    const std::int64_t quarters = (seconds < 0 ? -seconds : seconds) / zone_step;
    constexpr std::array parts{"", ".25", ".5", ".75"};
    return std::to_string(quarters / 4) + parts[static_cast<std::size_t>(quarters % 4)] + " h " +
           (seconds < 0 ? "before" : "after");
}

/// The backend takes two files for one show if their times overlap. What it compares are the times of its
/// row, through the zone of its session, with those of the event (tape_callback.php, measured): only a
/// session in another zone than the one that the row was written for shifts both by hours, and never finds
/// it.
Diagnosis of_two_rows(const RunResult& run) {
    const std::string because = "one show stands in two rows: " + std::string(run.got("second_row"));
    const auto offset = number_of(run.got("row_offset_seconds"));
    // From the push alone, a row that is late by less than an hour could be that of the push before.
    const bool by_push = run.got("row_offset_from") == "push";
    const std::string told = by_push ? "the push began" : "the start that the event tells of";
    if (offset && *offset % zone_step == 0 && std::abs(*offset) >= (by_push ? 3600 : zone_step))
        return claim(Cause::db_timezone_mismatch,
                     because + "; their start_time is " + hours_text(*offset) + " " + told +
                         ", so the backend's session has another time zone than +08:00, and its look for the "
                         "same show misses");
    const Candidate again{Cause::callback_duplicate_redelivery,
                          "the backend did not find the row of the same show"};
    if (offset && *offset == 0)
        return {.candidates = {again},
                .because = because,
                .ruled_out = {by_push ? "db_timezone_mismatch: their start_time is that of the push"
                                      : "db_timezone_mismatch: their start_time is the one that the event "
                                        "tells of"}};
    return {
        .candidates = {{Cause::db_timezone_mismatch,
                        "another time zone of the backend's session makes it miss the row of the same show; "
                        "how far start_time is from the event's would show it"},
                       again},
        .because = because};
}

Diagnosis of_misfiled(const RunResult& run) {
    const auto format = run.got("mp4_format");
    const std::string because = std::string(run.got("misfiled")) + ", and " +
                                (format.empty() ? "the row has no play_url"
                                                : "the event's file_format is '" + std::string(format) + "'");
    // Written as the backend compares it, it is not the case that is wrong.
    if (format == "mp4")
        return {.candidates = {{Cause::replay_format_case_mismatch,
                                "if the backend got another file_format than this event's"}},
                .because = because + ", as the backend wants it"};
    return claim(
        Cause::replay_format_case_mismatch,
        because + ": the backend takes only 'mp4' for play_url, and everything else for hls_play_url");
}

/// Nobody told of the files: what one row shows is all that is known of their events.
Diagnosis of_missing_format(const RunResult& run) {
    std::vector<std::string> ruled_out;
    for (const Cause before :
         {Cause::replay_too_short, Cause::replay_callback_url_wrong, Cause::callback_template_not_bound,
          Cause::callback_api_key_mismatch, Cause::room_row_missing})
        ruled_out.push_back(std::string(to_string(before)) + ": a row of the show is there");
    return as_catalogued(CauseClass::replay_missing,
                         std::string(run.got("files")) + " formats of the show came to stand in the table",
                         {Cause::record_template_not_bound}, std::move(ruled_out));
}

Diagnosis of_row(const RunResult& run) {
    if (run.code == JourneyError::format_missing) return of_missing_format(run);
    if (run.code != JourneyError::no_row)
        return {.because = "the table could not be read: " + run.code.message()};
    const bool delivered = !run.got("file_id").empty();
    // The backend answers 0 to a recording of 60 s or less and stores nothing (tape_callback.php, measured).
    const std::string recorded(run.got("recorded_seconds"));
    const auto seconds = number_of(recorded);
    const std::int64_t shortest = number_of(run.got("shortest_replay_seconds")).value_or(60);
    const std::string shortest_text = std::to_string(shortest) + " s";
    if (delivered && seconds && *seconds <= shortest)
        return claim(Cause::replay_too_short, "the event tells of a recording of " + recorded +
                                                  " s, though the push was longer, and no row of its file "
                                                  "appeared: the backend stores none of " +
                                                  shortest_text + " or less");
    if (!delivered)
        return as_catalogued(
            CauseClass::replay_missing,
            "no row of the journey's replay appeared, and nothing says whether its event came");
    if (!run.got("unanswered").empty())
        return as_catalogued(CauseClass::backend_hangs,
                             "the event was passed on, the backend did not answer, and no row of its file "
                             "appeared",
                             {}, {"backend_redis_frozen: a callback does not ask Redis"});
    return as_catalogued(CauseClass::callback_not_stored, "the event came, and no row of its file appeared",
                         {},
                         {recorded.empty() ? "replay_too_short: the push was longer than " + shortest_text
                                           : "replay_too_short: the recording has " + recorded + " s",
                          "stream_id_without_underscore: the journey's stream has one"});
}

constexpr std::array before_the_row{
    Cause::record_template_not_bound, Cause::replay_too_short,
    Cause::replay_callback_url_wrong, Cause::callback_template_not_bound,
    Cause::callback_api_key_mismatch, Cause::callback_payload_missing_video_id,
    Cause::room_row_missing,          Cause::replay_db_write_failed_schema_changed,
    Cause::db_table_stalled};

Diagnosis of_list(const RunResult& run) {
    if (run.code != JourneyError::not_listed)
        return {.because = "the list could not be read: " + run.code.message()};
    // A row without play_url that an older backend leaves out of its list (backend before commit 6cc8c55).
    if (!run.got("row_hls_only").empty())
        return {.candidates = {{Cause::replay_hls_only_hidden, "the row has only an HLS URL"}},
                .because = "the row is there, and the list does not show it"};
    // What would have kept it out of the table has not.
    std::vector<std::string> ruled_out{"replay_hls_only_hidden: the row has another URL than one of HLS"};
    for (const Cause before : before_the_row)
        ruled_out.push_back(std::string(to_string(before)) + ": the row is there");
    return as_catalogued(CauseClass::replay_missing, "the row is there, and the list does not show it", {},
                         std::move(ruled_out));
}

Diagnosis of_playback(const RunResult& run) {
    const std::string status(run.got("http_status"));
    const std::string because = "the replay's URL " + std::string(run.got("url")) +
                                (status.empty() ? " could not be reached: " + run.code.message()
                                                : " is answered with status " + status);
    const bool cos = !run.got("cos").empty();
    if (status == "403") {
        std::vector<std::string> ruled_out;
        if (cos) ruled_out.push_back("cdn_cos_acceleration_disabled: the refusal is COS's own");
        return as_catalogued(CauseClass::cdn_forbidden, because,
                             cos ? std::vector{Cause::cdn_private_bucket_origin_auth_off}
                                 : std::vector{Cause::cdn_cos_acceleration_disabled},
                             std::move(ruled_out));
    }
    if (status == "404")
        return {.candidates = {{Cause::cos_object_missing, "the recording is not where the row says"}},
                .because = because};
    if (status.empty())
        return {.candidates = {{Cause::cdn_endpoint_unreachable, run.code.message()},
                               {Cause::cdn_dns_failure, "if the name does not resolve"}},
                .because = because};
    return {.because = because};
}

}  // namespace

Diagnosis diagnose(const RunResult& run) {
    if (run.code == JourneyError::two_rows) return of_two_rows(run);
    if (run.code == JourneyError::misfiled) return of_misfiled(run);
    const auto hop = run.failed_phase();
    if (hop == push.name) return of_push(run);
    if (hop == callback.name) return of_callback(run);
    if (hop == row.name) return of_row(run);
    if (hop == list.name) return of_list(run);
    return of_playback(run);
}

}  // namespace livecanary::journey
