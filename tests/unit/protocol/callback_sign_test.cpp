// Signatures of live callbacks, and the bodies of events.
#include "probes/protocol/callback_sign.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include <boost/json.hpp>

namespace livecanary::protocol {
namespace {

using namespace std::chrono_literals;
namespace json = boost::json;

constexpr std::chrono::sys_seconds t{std::chrono::seconds(1'700'000'600)};
constexpr const char* key = "testcallbackkey";
constexpr const char* sign = "b14d2c6e73da1e10af979c650f4b777c";

TEST(CallbackSign, Vectors) {
    std::ifstream file(std::string(LIVECANARY_TESTDATA) + "/vectors.json");
    std::stringstream text;
    text << file.rdbuf();
    const auto vectors = json::parse(text.str()).at("callback_sign").as_array();
    ASSERT_EQ(vectors.size(), 3U);
    for (const auto& vector : vectors) {
        const auto& in = vector.at("in");
        const std::string vector_key(in.at("key").as_string());
        const std::chrono::sys_seconds when{std::chrono::seconds(in.at("t").as_int64())};
        const std::string wanted(vector.at("sign").as_string());
        EXPECT_EQ(callback_sign(vector_key, when), wanted);
        EXPECT_EQ(callback_sign(vector_key, std::to_string(in.at("t").as_int64())), wanted);
        if (!vector.at("body").is_object()) continue;
        const auto& body = vector.at("body");
        const auto written =
            bare_event_body(static_cast<int>(body.at("event_type").as_int64()),
                            std::string(body.at("stream_id").as_string()), callback_stamp(vector_key, when));
        EXPECT_EQ(json::parse(written), body);
    }
}

CallbackCheck check(std::string_view a_sign = sign, std::string_view a_t = "1700000600",
                    std::string_view a_key = key, std::string_view backup = {},
                    std::chrono::sys_seconds now = t - 10min) {
    return check_callback(a_sign, a_t, a_key, backup, now);
}

TEST(CallbackSign, SoundUntilT) {
    EXPECT_TRUE(check().sound());
    EXPECT_EQ(check().expired_for, -600s);
    EXPECT_TRUE(check(sign, "1700000600", key, "", t).sound());
    const auto late = check(sign, "1700000600", key, "", t + 1s);
    EXPECT_FALSE(late.sound());
    EXPECT_TRUE(late.expired() && late.match.exact());
}

TEST(CallbackSign, SaysWhatIsWrong) {
    EXPECT_EQ(check(sign, "1700000600", "other", key).match, (CallbackMatch{.key = KeyFound::backup}));
    EXPECT_EQ(check(sign, "1700000600", " testcallbackkey\n").match,
              (CallbackMatch{.key = KeyFound::main, .stray_space = KeySpace::ours}));
    EXPECT_EQ(check(callback_sign("testcallbackkey\r\n", t)).match,
              (CallbackMatch{.key = KeyFound::main, .stray_space = KeySpace::theirs}));
    EXPECT_EQ(check("B14D2C6E73DA1E10AF979C650F4B777C").match,
              (CallbackMatch{.key = KeyFound::main, .capitals = true}));
    EXPECT_EQ(check(sign, "1700000601").match, CallbackMatch{});
    EXPECT_EQ(check(sign, "1700000600", "other").match, CallbackMatch{});
    EXPECT_FALSE(check("").has_sign);
    EXPECT_FALSE(check(sign, "").has_t);
}

// An empty key would let everybody in.
TEST(CallbackSign, EmptyKeySignsNothing) {
    EXPECT_EQ(check(callback_sign("", t), "1700000600", "", "").match, CallbackMatch{});
}

TEST(CallbackSign, OneDigitLessIsNoSignature) {
    const std::string whole = sign;
    for (std::size_t size = 0; size < whole.size(); ++size)
        EXPECT_FALSE(check(whole.substr(0, size)).match.exact()) << size;
    EXPECT_FALSE(check(whole + "0").match.exact());
    for (std::size_t at = 0; at < whole.size(); ++at) {
        std::string other = whole;
        other[at] = other[at] == '0' ? '1' : '0';
        EXPECT_FALSE(check(other).match.exact()) << at;
    }
}

TEST(CallbackSign, TIsDigits) {
    for (const char* wrong : {"", " 1700000600", "1700000600 ", "-1", "+1", "1e9", "0x1", "253402300800"})
        EXPECT_EQ(parse_callback_time(wrong), std::nullopt) << wrong;
    EXPECT_EQ(parse_callback_time("0"), std::chrono::sys_seconds{});
    EXPECT_EQ(parse_callback_time("1700000600"), t);
    // Signed, and nobody can say when it ends.
    EXPECT_FALSE(check(callback_sign(key, "soon"), "soon").sound());
}

TEST(CallbackBody, PushEventHasEveryDocumentedField) {
    const CallbackStream stream{
        .appid = 1250000000, .app = "1234.livepush.example.com", .app_name = "live", .stream_id = "1234_a"};
    const PushEvent start{.started = true, .at = t - 10min, .sequence = "s1"};
    const auto body = json::parse(push_event_body(stream, start, callback_stamp(key, t)));
    for (const char* field : {"appid", "app", "appname", "stream_id", "channel_id", "event_time", "sequence",
                              "node", "user_ip", "stream_param", "push_duration", "errcode", "errmsg",
                              "set_id", "width", "height", "event_type", "t", "sign"})
        EXPECT_TRUE(body.as_object().contains(field)) << field;
    EXPECT_EQ(body.at("event_type").as_int64(), 1);
    EXPECT_EQ(body.at("channel_id"), body.at("stream_id"));
    EXPECT_EQ(body.at("t").as_int64(), 1'700'000'600);
    EXPECT_EQ(body.at("sign").as_string(), sign);
    const PushEvent end{.started = false, .at = t, .sequence = "s1", .push_duration = 5000ms};
    const auto ended = json::parse(push_event_body(stream, end, callback_stamp(key, t)));
    EXPECT_EQ(ended.at("event_type").as_int64(), 0);
    EXPECT_EQ(ended.at("push_duration").as_string(), "5000");
}

TEST(CallbackBody, RecordingHasVideoIdOnlyWhereToldTo) {
    RecordEvent record{.start = t - 61s, .end = t, .file_id = "f", .file_format = "MP4", .video_url = "u"};
    const CallbackStream stream{.stream_id = "a_b"};
    const auto body = json::parse(record_event_body(stream, record, callback_stamp(key, t)));
    EXPECT_FALSE(body.as_object().contains("video_id"));
    for (const char* field : {"file_id", "record_file_id", "file_format", "task_id", "start_time", "end_time",
                              "duration", "file_size", "stream_param", "video_url", "callback_ext"})
        EXPECT_TRUE(body.as_object().contains(field)) << field;
    EXPECT_EQ(body.at("duration").as_int64(), 61);
    record.video_id = true;
    const auto old = json::parse(record_event_body(stream, record, callback_stamp(key, t)));
    EXPECT_EQ(old.at("video_id").as_string(), "f");
}

TEST(CallbackBody, TextsAreEscaped) {
    std::string all;
    for (int byte = 0; byte < 128; ++byte) all += static_cast<char>(byte);
    all += "直播";
    const auto body = json::parse(JsonFields().text(all, all).number("n", -5).raw("r", "true").object());
    EXPECT_EQ(body.at(all).as_string(), all);
    EXPECT_EQ(body.at("n").as_int64(), -5);
    EXPECT_TRUE(body.at("r").as_bool());
}

}  // namespace
}  // namespace livecanary::protocol
