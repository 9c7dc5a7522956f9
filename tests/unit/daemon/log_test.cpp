#include "daemon/log.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <sstream>
#include <string>
#include <vector>

#include <boost/json/parse.hpp>

namespace livecanary::daemon::log {
namespace {

struct Case {
    const char* name;
    std::string_view message;
    Fields fields;
    std::string_view logfmt;
    std::string_view json;  // without its first brace, which comes with the time
};

class LogLine : public testing::TestWithParam<Case> {};

TEST_P(LogLine, WordForWord) {
    const Case& c = GetParam();
    EXPECT_EQ(line(Format::logfmt, Level::info, c.message, c.fields), c.logfmt);
    const std::string as_json = line(Format::json, Level::info, c.message, c.fields);
    EXPECT_EQ(as_json, c.json);
    EXPECT_TRUE(boost::json::parse("{" + as_json).is_object());
}

const Case cases[] = {
    {"one_word", "started", {}, R"(level=info msg=started)", R"("level":"info","msg":"started"})"},
    {"words",
     "probe failed",
     {},
     R"(level=info msg="probe failed")",
     R"("level":"info","msg":"probe failed"})"},
    {"fields_in_their_order",
     "probe failed",
     {{"probe", "push-main"}, {"kind", "rtmp_push"}, {"phase", "publish"}},
     R"(level=info msg="probe failed" probe=push-main kind=rtmp_push phase=publish)",
     R"("level":"info","msg":"probe failed","probe":"push-main","kind":"rtmp_push","phase":"publish"})"},
    {"nothing",
     "x",
     {{"cause", ""}},
     R"(level=info msg=x cause="")",
     R"("level":"info","msg":"x","cause":""})"},
    {"a_sign_of_logfmt",
     "x",
     {{"a", "b=c"}},
     R"(level=info msg=x a="b=c")",
     R"("level":"info","msg":"x","a":"b=c"})"},
    {"quotes",
     "x",
     {{"a", R"(say "no")"}},
     R"(level=info msg=x a="say \"no\"")",
     R"("level":"info","msg":"x","a":"say \"no\""})"},
    {"backslash",
     "x",
     {{"a", R"(c:\d)"}},
     R"(level=info msg=x a="c:\\d")",
     R"("level":"info","msg":"x","a":"c:\\d"})"},
    {"a_forged_line",
     "x",
     {{"a", "b\nlevel=error msg=forged"}},
     R"(level=info msg=x a="b\nlevel=error msg=forged")",
     R"("level":"info","msg":"x","a":"b\nlevel=error msg=forged"})"},
    {"control_characters",
     "x",
     {{"a", std::string("\x1b[2J\r\t\0\x01", 8)}},
     R"(level=info msg=x a="\u001b[2J\r\t\u0000\u0001")",
     R"("level":"info","msg":"x","a":"\u001b[2J\r\t\u0000\u0001"})"},
    {"chinese",
     "x",
     {{"a", "推流鉴权密钥"}},
     R"(level=info msg=x a="推流鉴权密钥")",
     R"("level":"info","msg":"x","a":"推流鉴权密钥"})"},
};
INSTANTIATE_TEST_SUITE_P(, LogLine, testing::ValuesIn(cases),
                         [](const auto& row) { return std::string(row.param.name); });

TEST(LogLevel, IsNamed) {
    EXPECT_EQ(line(Format::logfmt, Level::debug, "x", {}), "level=debug msg=x");
    EXPECT_EQ(line(Format::logfmt, Level::warn, "x", {}), "level=warn msg=x");
    EXPECT_EQ(line(Format::json, Level::error, "x", {}), R"("level":"error","msg":"x"})");
}

std::vector<std::string> logged(Level least, Format format, const std::function<void()>& work) {
    testing::internal::CaptureStderr();
    start(least, format);
    work();
    stop();
    std::istringstream text(testing::internal::GetCapturedStderr());
    std::vector<std::string> lines;
    for (std::string one; std::getline(text, one);) lines.push_back(one);
    return lines;
}

TEST(Log, WritesLinesWithTheirTimeInUtc) {
    const auto lines = logged(Level::info, Format::logfmt, [] { info("started", {{"probes", "3"}}); });
    ASSERT_EQ(lines.size(), 1U);
    std::string shape = lines[0];
    std::ranges::replace_if(
        shape, [](char c) { return c >= '0' && c <= '9'; }, '0');
    EXPECT_EQ(shape, "time=0000-00-00T00:00:00.000Z level=info msg=started probes=0");
}

TEST(Log, WritesJson) {
    const auto lines = logged(Level::info, Format::json, [] {
        info("started");
        warn("probe failed", {{"why", "{fmt} %v \"x\""}});
    });
    ASSERT_EQ(lines.size(), 2U);
    const auto value = boost::json::parse(lines[1]);
    EXPECT_EQ(value.at("level"), "warn");
    EXPECT_EQ(value.at("why"), "{fmt} %v \"x\"") << "nothing in it is a format";
    EXPECT_EQ(std::string(value.at("time").as_string()).size(),
              std::string("2026-01-01T00:00:00.000Z").size());
}

TEST(Log, LeavesOutWhatIsBelowItsLevel) {
    const auto all = [] {
        debug("a");
        info("b");
        warn("c");
        error("d");
    };
    EXPECT_EQ(logged(Level::debug, Format::logfmt, all).size(), 4U);
    EXPECT_EQ(logged(Level::info, Format::logfmt, all).size(), 3U);
    EXPECT_EQ(logged(Level::warn, Format::logfmt, all).size(), 2U);
    EXPECT_EQ(logged(Level::error, Format::logfmt, all).size(), 1U);
}

TEST(Log, LosesNothingOnStop) {
    const auto lines = logged(Level::info, Format::logfmt, [] {
        for (int i = 0; i < 1000; ++i) info("line", {{"i", std::to_string(i)}});
    });
    ASSERT_EQ(lines.size(), 1000U);
    EXPECT_TRUE(lines.back().ends_with("i=999"));
}

TEST(Log, IsSilentBeforeTheStart) {
    testing::internal::CaptureStderr();
    error("nobody listens");
    EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

}  // namespace
}  // namespace livecanary::daemon::log
