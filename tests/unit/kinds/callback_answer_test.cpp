// Answers of backends and events of the cloud, well-formed and otherwise.
#include "probes/callback/answer.hpp"

#include <gtest/gtest.h>

namespace livecanary::callback {
namespace {

struct AnswerCase {
    const char* name;
    std::string body;
    bool json;
    std::optional<std::int64_t> code{};
    bool php_text = false;
    const char* code_text = "";
};
void PrintTo(const AnswerCase& row, std::ostream* out) { *out << row.name; }

const std::string warning =
    "<br />\n<b>Warning</b>:  Undefined array key \"x\" in /a/b.php on line 5<br />\n";

const AnswerCase answers[] = {
    {"good", R"({"code":0})", true, 0, false, "0"},
    {"with_more", R"( {"message":"x","code":4002,"data":{}} trailing)", true, 4002, false, "4002"},
    {"text_of_a_number", R"({"code":"2003"})", true, 2003, false, "2003"},
    {"text", R"({"code":"EC_SYSTEM_INVALID_SIGN"})", true, std::nullopt, false, "EC_SYSTEM_INVALID_SIGN"},
    {"fraction", R"({"code":0.5})", true, std::nullopt, false, "5E-1"},
    {"no_code", R"({"ok":1})", true},
    {"null", R"({"code":null})", true, std::nullopt, false, "null"},
    {"after_warnings", warning + warning + R"({"code":0})", true, 0, true, "0"},
    {"after_braces", warning + "in {closure}() and {\"a\":1} " + R"({"code":4001})", true, 4001, true,
     "4001"},
    {"cut_warning", "<br />\n<b>", false, std::nullopt, true},
    {"cut_shorter", "<br />", false, std::nullopt, true},
    {"plain_warning", "\nWarning: Undefined key in x\n{\"code\":0}", true, 0, true, "0"},
    {"page", "<html><br /></html>", false},
    {"empty", "", false},
    {"list", "[1,2]", false},
    {"number", "0", false},
    {"cut_json", R"({"code":0)", false},
    {"deep", std::string(100, '{') + R"("code":0)", false},
    {"nested_deep", R"({"a":)" + std::string(40, '[') + std::string(40, ']') + R"(,"code":0})", false},
    {"mark", "\xef\xbb\xbf{\"code\":0}", true, 0, false, "0"},
};
class CallbackAnswer : public testing::TestWithParam<AnswerCase> {};
TEST_P(CallbackAnswer, IsRead) {
    const auto& c = GetParam();
    const Said said = read_answer(c.body);
    EXPECT_EQ(said.json, c.json);
    EXPECT_EQ(said.code, c.code);
    EXPECT_EQ(said.php_text, c.php_text);
    EXPECT_EQ(said.code_text, c.code_text);
}
INSTANTIATE_TEST_SUITE_P(, CallbackAnswer, testing::ValuesIn(answers),
                         [](const auto& row) { return std::string(row.param.name); });

TEST(CallbackShown, StackTraceIsNot) {
    EXPECT_EQ(shown("\n<b>Fatal error</b>: Uncaught x\nStack trace:\n#0 mysqli('h','u','password')"),
              "<b>Fatal error</b>: Uncaught x?");
    EXPECT_EQ(shown(std::string(5000, 'x')).size(), 200U);
}

TEST(CallbackEvent, NumbersMayBeTexts) {
    for (
        const char* body :
        {R"({"event_type":100,"t":1700000600,"sign":"s","stream_id":"a_b","start_time":100,"end_time":161})",
         R"({"event_type":"100","t":"1700000600","sign":"s","stream_id":"a_b","start_time":"100","end_time":"161"} )"}) {
        const auto event = read_event(body);
        ASSERT_TRUE(event) << body;
        EXPECT_EQ(event->type, 100);
        EXPECT_EQ(event->t, "1700000600");
        EXPECT_EQ(event->sign, "s");
        EXPECT_EQ(event->stream_id, "a_b");
        EXPECT_EQ(event->duration(), 61);
    }
}

TEST(CallbackEvent, SignOfAnotherTypeIsNone) {
    const auto event = read_event(R"({"event_type":0,"t":1.5,"sign":true,"stream_id":["a"]})");
    ASSERT_TRUE(event);
    EXPECT_EQ(event->sign, "");
    EXPECT_EQ(event->t, "");
    EXPECT_EQ(event->stream_id, "");
}

TEST(CallbackEvent, WhatIsNoEvent) {
    for (const std::string& body :
         {std::string(), std::string("[]"), std::string("{}"), std::string("event_type=1"),
          std::string(R"({"event_type":"one"})"), std::string(R"({"event_type":1} {})"),
          std::string(R"({"event_type":1,)"), R"({"event_type":1,"a":")" + std::string(70'000, 'x') + "\"}",
          R"({"event_type":1,"a":)" + std::string(40, '[') + std::string(40, ']') + "}"})
        EXPECT_FALSE(read_event(body)) << body.substr(0, 40);
}

TEST(CallbackEvent, SaysWhatARecordingLacks) {
    const auto today = read_event(
        R"({"event_type":100,"video_url":"u","file_format":"MP4","start_time":1,"end_time":2,"file_id":"f"})");
    EXPECT_TRUE(today->has_recording);
    EXPECT_FALSE(today->has_video_id);
    EXPECT_EQ(today->file_id, "f");
    EXPECT_EQ(today->video_url, "u");
    EXPECT_FALSE(read_event(R"({"event_type":100,"video_url":"u","file_format":"MP4"})")->has_recording);
    EXPECT_TRUE(read_event(R"({"event_type":100,"video_id":"f"})")->has_video_id);
}

TEST(CallbackEvent, LongTextsAreCut) {
    const auto event = read_event(R"({"event_type":1,"stream_id":")" + std::string(5000, 'x') + "\"}");
    EXPECT_EQ(event->stream_id.size(), 1024U);
}

}  // namespace
}  // namespace livecanary::callback
