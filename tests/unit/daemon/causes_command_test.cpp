// `livecanary causes`: the table, the runbook entry, JSON, and what it says to an id it does not know.
#include "daemon/causes_command.hpp"

#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <sstream>
#include <string>

namespace livecanary {
namespace {

struct Printed {
    int code;
    std::string out, err;
};

Printed print(std::optional<std::string_view> id, Lang lang = Lang::en, bool json = false) {
    std::ostringstream out, err;
    const int code = print_causes(out, err, id, lang, json);
    return {code, out.str(), err.str()};
}

bool holds(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

std::size_t count(const std::string& text, const std::string& part) {
    std::size_t found = 0;
    for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
    return found;
}

/// Columns on a terminal, counted in another way than the command does: by code point, over the whole line.
std::size_t columns(const std::string& line) {
    std::size_t sum = 0;
    for (std::size_t i = 0; i < line.size(); ++i) {
        const auto byte = static_cast<unsigned char>(line[i]);
        if (byte < 0x80 || (byte >= 0xc0 && byte < 0xe3))
            ++sum;
        else if (byte >= 0xe3)
            sum += 2;
    }
    return sum;
}

void expect_narrow(const std::string& text) {
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
        EXPECT_LE(columns(line), 100U) << line;
        EXPECT_FALSE(line.ends_with(' ')) << "'" << line << "'";
    }
}

TEST(CausesCommand, TableHasEveryCauseOnceUnderItsClass) {
    for (const Lang lang : {Lang::en, Lang::zh}) {
        const Printed printed = print(std::nullopt, lang);
        EXPECT_EQ(printed.code, 0);
        EXPECT_EQ(printed.err, "");
        for (const CauseEntry& cause : all_causes())
            EXPECT_EQ(count(printed.out, "\n  " + std::string(to_string(cause.id)) + " "), 1U)
                << to_string(cause.id);
        expect_narrow(printed.out);
    }
    EXPECT_TRUE(print(std::nullopt)
                    .out.starts_with("push_refused: The push is refused\n"
                                     "  push_wrong_hotlink_key                 The push URL is signed with a "
                                     "key the push domain does not\n"
                                     "                                         have\n"));
}

TEST(CausesCommand, EntryOfACause) {
    const Printed printed = print("callback_template_not_bound");
    EXPECT_EQ(printed.code, 0);
    EXPECT_TRUE(printed.out.starts_with(
        "callback_template_not_bound\n"
        "  No callback template is bound to the push domain\n"
        "\n"
        "  Symptom     The replay list stays empty; the manual says: 检查回调模板是否关联域名 (check that "
        "the\n"
        "              callback template is bound to the domain).\n"
        "  Confirm     Live console, domain management, the push domain, template configuration (or\n"))
        << printed.out;
    for (const std::string_view part : {"\n  Fix         Bind the callback template", "\n  Verify      ",
                                        "\n  Class       callback_not_delivered\n", "\n  Proof       "})
        EXPECT_TRUE(holds(printed.out, part)) << part;
}

TEST(CausesCommand, EntryInChinese) {
    const Printed printed = print("push_wrong_hotlink_key", Lang::zh);
    EXPECT_EQ(printed.code, 0);
    EXPECT_TRUE(
        printed.out.starts_with("push_wrong_hotlink_key\n"
                                "  推流地址所用的防盗链 key 与推流域名配置的 key 不一致\n"
                                "\n"
                                "  现象        推流一直失败，终端日志出现“RTMP server actively "
                                "disconnects”：key 错误导致 txSecret 校\n"
                                "              验不通过。\n"))
        << printed.out;
    EXPECT_TRUE(holds(printed.out, "\n  修复        将 PUSH_URL_KEY 改为"));
}

TEST(CausesCommand, EntryOfAClass) {
    const Printed printed = print("push_dropped");
    EXPECT_EQ(printed.code, 0);
    EXPECT_EQ(printed.out,
              "push_dropped\n"
              "  A running push is cut\n"
              "\n"
              "  Seen        The push is accepted and closed later.\n"
              "\n"
              "  Candidates, likeliest first:\n"
              "  1. push_stream_name_conflict\n"
              "      another pusher may use the same stream name\n"
              "  2. push_idle_or_bad_media\n"
              "      the server may have seen no data, or data it cannot use\n"
              "  3. push_network_degraded\n"
              "      the uplink may be too slow or lossy\n"
              "  4. push_ingest_node_fault\n"
              "      one ingest address may be at fault; then others pass\n");
}

TEST(CausesCommand, EveryEntryFitsATerminal) {
    for (const Lang lang : {Lang::en, Lang::zh}) {
        for (const CauseEntry& cause : all_causes()) expect_narrow(print(to_string(cause.id), lang).out);
        for (const ClassEntry& found : all_classes()) expect_narrow(print(to_string(found.id), lang).out);
    }
}

TEST(CausesCommand, JsonHasBothLanguages) {
    const boost::json::value all = boost::json::parse(print(std::nullopt, Lang::zh, true).out);
    EXPECT_EQ(all.at("causes").as_array().size(), all_causes().size());
    EXPECT_EQ(all.at("classes").as_array().size(), all_classes().size());
    EXPECT_EQ(all.at("keywords").as_array().size(), keywords().size());

    const boost::json::value one = boost::json::parse(print("push_wrong_hotlink_key", Lang::en, true).out);
    EXPECT_EQ(one.at("id").as_string(), "push_wrong_hotlink_key");
    EXPECT_EQ(one.at("class").as_string(), "push_refused");
    EXPECT_EQ(one.at("fix").at("en").as_string(), entry(Cause::push_wrong_hotlink_key).fix.en);
    EXPECT_EQ(one.at("fix").at("zh").as_string(), entry(Cause::push_wrong_hotlink_key).fix.zh);
    EXPECT_EQ(one.at("manuals").at(0).as_string(), "mini-live guide 1.2");

    EXPECT_TRUE(boost::json::parse(print("push_auth_disabled", Lang::en, true).out).at("class").is_null());
    const boost::json::value found = boost::json::parse(print("push_refused", Lang::en, true).out);
    EXPECT_EQ(found.at("candidates").at(0).at("cause").as_string(), "push_wrong_hotlink_key");
}

TEST(CausesCommand, UnknownIdNamesTheNearest) {
    EXPECT_EQ(print("push_wrong_hotlink_kee").err,
              "no cause or class 'push_wrong_hotlink_kee'; did you mean 'push_wrong_hotlink_key'?\n");
    EXPECT_EQ(print("secret_id").err, "no cause or class 'secret_id'; there are cos_wrong_secret_id\n");
    EXPECT_EQ(print("weather").err, "no cause or class 'weather'; `livecanary causes` lists them\n");
    const Printed printed = print("", Lang::zh, true);
    EXPECT_EQ(printed.code, 2);
    EXPECT_EQ(printed.out, "");
}

}  // namespace
}  // namespace livecanary
