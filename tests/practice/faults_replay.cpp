#include "tests/practice/fault_rows.hpp"

namespace livecanary::practice::rows {

using namespace std::chrono_literals;

namespace {

auto event_sender(void (*change)(CallbackSender::Settings&)) {
    return [change](S stack) { stack.events.change(change); };
}

}  // namespace

std::vector<Fault> of_callbacks() {
    return {
        {.id = "callback-backend-key",
         .breaks = "the backend has another callback key than the template (API_KEY)",
         .cause = "callback_api_key_mismatch",
         .named_by = {{"record-callback", "callback_api_key_mismatch"}},
         .apply = configured([](BackendConfig& c) { c.callback_key = "another-key"; }),
         .parts = {Part::backend},
         .seed = true},
        {.id = "callback-template-key",
         .breaks = "the callback template has another key",
         .cause = "callback_api_key_mismatch",
         .named_by = {{"cloud-events", "callback_api_key_mismatch"}},
         .apply = event_sender([](CallbackSender::Settings& s) { s.key = "another-key"; }),
         .parts = {Part::events}},
        {.id = "callback-url-wrong",
         .breaks = "the template has a URL that leads nowhere",
         .cause = "replay_callback_url_wrong",
         .named_by = {{"cloud-events", "callback_not_delivered"}},
         .apply = event_sender([](CallbackSender::Settings& s) { s.dead = true; }),
         .parts = {Part::events},
         .seed = true},
        {.id = "callback-template-not-bound",
         .breaks = "the callback template is not bound to the push domain any more, but to another one",
         .cause = "callback_template_not_bound",
         .named_by = {{"cloud-events", "callback_not_delivered"}},
         .apply = [](S s) { s.events.unbind(DrillStack::push_domain); },
         .parts = {Part::events},
         .seed = true},
        {.id = "callback-recording-off",
         .breaks = "no recording template is bound: nothing is recorded",
         .cause = "record_template_not_bound",
         .named_by = {{"cloud-events", "callback_not_delivered"}},
         .apply = [](S s) { s.events.set_recording(false); },
         .parts = {Part::events}},
        {.id = "callback-without-video-id",
         .breaks = "the cloud's recording events have no video_id, which the backend wants",
         .cause = "callback_payload_missing_video_id",
         .named_by = {{"cloud-events", "callback_payload_missing_video_id"}},
         .apply = event_sender([](CallbackSender::Settings& s) { s.video_id = false; }),
         .parts = {Part::events}},
        {.id = "callback-room-missing",
         .breaks = "the user who is live has no row in tb_room",
         .cause = "room_row_missing",
         .named_by = {{"cloud-events", "callback_not_stored"}},
         .apply = sql("DELETE FROM live_demo.tb_room"),
         .parts = {database}},
        {.id = "callback-stream-without-underscore",
         .breaks = "a stream's name lacks the '_' before its user",
         .cause = "stream_id_without_underscore",
         .named_by = {{"cloud-events", "callback_not_stored"}},
         // The others are well, and do not hide it.
         .apply = told_as([](DrillTold& t) { t.stream = "nounderscore"; }),
         .parts = {Part::told}},
    };
}

std::vector<Fault> of_journey() {
    const auto travelling = [](auto breaks) {
        return [breaks](S s) {
            s.told.journey = true;
            breaks(s);
        };
    };
    return {
        {.id = "journey-push",
         .breaks = "of a replay's way the push: the domain has another main key",
         .cause = "push_wrong_hotlink_key",
         .named_by = {{"replay", "push_refused"}},
         .apply = travelling([](S s) { s.hook.set_main_key(DrillStack::push_domain, "a-new-main-key"); }),
         .parts = {push, Part::told}},
        {.id = "journey-callback",
         .breaks = "of a replay's way the callback: nothing is recorded",
         .cause = "record_template_not_bound",
         .named_by = {{"replay", "callback_not_delivered"}},
         .apply = travelling([](S s) { s.events.set_recording(false); }),
         .parts = {Part::events, Part::told}},
        {.id = "journey-row",
         .breaks = "of a replay's way the row: the recording is too short to be stored",
         .cause = "replay_too_short",
         .named_by = {{"replay", "replay_too_short"}},
         .apply = travelling([](S s) { s.events.scale_recordings(0.5); }),
         .parts = {Part::events, Part::told}},
        {.id = "journey-format-letters",
         .breaks = "of a replay's way the row: the cloud says MP4, and the backend compares with mp4",
         .cause = "replay_format_case_mismatch",
         .named_by = {{"replay", "replay_format_case_mismatch"}},
         .apply = travelling(event_sender([](CallbackSender::Settings& s) { s.record_format = "MP4"; })),
         .parts = {Part::events, Part::told}},
        {.id = "journey-two-rows",
         .breaks = "of a replay's way the row: sessions have another time zone, and each format gets a row",
         .cause = "db_timezone_mismatch",
         .named_by = {{"replay", "db_timezone_mismatch"}},
         .apply = travelling([](S s) {
             s.backend.mariadb.execute("SET GLOBAL time_zone = '+00:00'");
             s.events.set_formats({"mp4", "hls"});
         }),
         .parts = {database, Part::events, Part::told}},
        {.id = "journey-list",
         .breaks = "of a replay's way the list: the row is older than the seven days that it shows",
         .cause = "replay_window_7_days",
         .named_by = {{"replay", "replay_missing"}},
         .apply =
             travelling(sql("CREATE TRIGGER live_demo.old BEFORE INSERT ON live_demo.tb_vod FOR EACH ROW SET "
                            "NEW.create_time = NEW.create_time - INTERVAL 8 DAY")),
         .parts = {database, Part::told}},
        {.id = "journey-playback",
         .breaks = "of a replay's way the playback: the recording is not where the row says",
         .cause = "cos_object_missing",
         .named_by = {{"replay", ""}},
         .apply = travelling([](S s) { s.recordings_are_gone = true; }),
         .parts = {Part::events, Part::told}},
    };
}

}  // namespace livecanary::practice::rows
