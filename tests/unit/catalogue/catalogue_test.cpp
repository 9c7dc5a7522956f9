// The cause catalogue: what is compiled in, what the generator refuses, and that docs/causes.md is up to
// date.
#include "probes/catalogue/catalogue.hpp"

#include <gtest/gtest.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

namespace livecanary {
namespace {

const std::string source_dir = LIVECANARY_SOURCE_DIR;
const std::string catalogue_file = source_dir + "/probes/catalogue/causes.toml";

std::string content(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    EXPECT_TRUE(in) << path;
    std::ostringstream out;
    out << in.rdbuf();
    return out.str();
}

/// A directory of this test's own, removed at its end.
class Directory {
public:
    Directory() {
        std::string name = testing::TempDir() + "catalogue-XXXXXX";
        if (mkdtemp(name.data()) != nullptr) path_ = name;
    }
    Directory(const Directory&) = delete;
    Directory& operator=(const Directory&) = delete;
    ~Directory() { std::filesystem::remove_all(path_); }
    std::string file(const std::string& name) const { return path_ + "/" + name; }

private:
    std::string path_;
};

struct Ran {
    int code;
    std::string errors;
};

Ran generate(const Directory& directory, const std::string& arguments) {
    const std::string errors = directory.file("errors");
    const int status =
        std::system((LIVECANARY_CATALOGUE_GENERATE " " + arguments + " 2>" + errors).c_str());  // NOLINT
    return {WEXITSTATUS(status), content(errors)};
}

TEST(Catalogue, EveryIdEverPublishedIsThere) {
    // Ids are never renamed or dropped: alert rules, dashboards and links hold them. A new one is added here
    // too.
    std::istringstream published(content(source_dir + "/tests/testdata/cause_ids.txt"));
    std::set<std::string> ids;
    for (std::string id; std::getline(published, id);) {
        ids.insert(id);
        const auto cause = cause_from(id);
        ASSERT_TRUE(cause) << id;
        EXPECT_EQ(to_string(*cause), id);
    }
    EXPECT_EQ(ids.size(), all_causes().size());
    EXPECT_GE(ids.size(), 131U);
}

TEST(Catalogue, EntriesStandInTheOrderOfTheEnumerators) {
    for (const CauseEntry& cause : all_causes()) EXPECT_EQ(&entry(cause.id), &cause);
    for (const ClassEntry& found : all_classes()) EXPECT_EQ(&entry(found.id), &found);
    EXPECT_EQ(entry(Cause::push_wrong_hotlink_key).id, Cause::push_wrong_hotlink_key);
    EXPECT_EQ(to_string(CauseClass::replay_missing), "replay_missing");
    EXPECT_EQ(class_from("push_refused"), CauseClass::push_refused);
    EXPECT_FALSE(cause_from("push_refused"));
    EXPECT_FALSE(class_from("push_wrong_hotlink_key"));
    EXPECT_FALSE(cause_from(""));
}

void expect_both(const Text& text, std::string_view of) {
    EXPECT_FALSE(text.en.empty()) << of;
    EXPECT_FALSE(text.zh.empty()) << of;
    const auto ascii = [](char c) { return static_cast<unsigned char>(c) < 0x80; };
    EXPECT_FALSE(std::ranges::all_of(text.zh, ascii)) << of << ": not Chinese: " << text.zh;
    EXPECT_EQ(text.in(Lang::en), text.en);
    EXPECT_EQ(text.in(Lang::zh), text.zh);
}

TEST(Catalogue, BothLanguagesEverywhere) {
    for (const CauseEntry& cause : all_causes()) {
        const std::string_view id = to_string(cause.id);
        for (const Text* text : {&cause.title, &cause.symptom, &cause.fix, &cause.confirm, &cause.verify})
            expect_both(*text, id);
        EXPECT_EQ(cause.steps.en.empty(), cause.steps.zh.empty()) << id;
        EXPECT_FALSE(cause.item.empty()) << id;
        EXPECT_FALSE(cause.evidence.empty()) << id;
        EXPECT_FALSE(cause.signs.empty()) << id;
        EXPECT_LE(cause.title.en.size(), 70U) << id << ": a title has to fit an alert's subject";
    }
    for (const ClassEntry& found : all_classes()) {
        expect_both(found.title, to_string(found.id));
        expect_both(found.seen, to_string(found.id));
    }
}

TEST(Catalogue, ReadersNeedNoOtherDocument) {
    // Names of control pushes, fingerprints and signed events that only the authors of the catalogue know.
    const std::regex shorthand(R"(\bP[0-5]\b|\bF\(|\bev0\b|\bev100\b|oracle|[BM]-sign|O/C|\(\?\))");
    for (const CauseEntry& cause : all_causes()) {
        std::string all = std::string(cause.item) + ' ' + std::string(cause.evidence) + ' ' +
                          std::string(cause.lookalike) + ' ' + std::string(cause.confirm.en);
        for (const Sign& sign : cause.signs) all += ' ' + std::string(sign.shows);
        EXPECT_FALSE(std::regex_search(all, shorthand)) << to_string(cause.id) << ": " << all;
    }
}

TEST(Catalogue, ClassesHaveCandidatesEachWithItsWhy) {
    EXPECT_EQ(all_classes().size(), 22U);
    for (const ClassEntry& found : all_classes()) {
        EXPECT_FALSE(found.candidates.empty()) << to_string(found.id);
        std::set<Cause> once;
        for (const ClassCandidate& candidate : found.candidates) {
            EXPECT_FALSE(candidate.why.empty()) << to_string(candidate.cause);
            EXPECT_TRUE(once.insert(candidate.cause).second) << to_string(candidate.cause);
        }
    }
    EXPECT_EQ(entry(CauseClass::push_refused).candidates.front().cause, Cause::push_wrong_hotlink_key);
    EXPECT_EQ(entry(CauseClass::cos_request_expired).candidates.front().cause,
              Cause::cos_signkey_window_expired);
}

/// A section of the vendor's manuals, the cause that stands for it and the words by which users know it.
struct Seed {
    Cause cause;
    std::string_view manual;
    std::string_view words;
};

const Seed seeds[] = {
    {Cause::push_wrong_bizid_or_appid, "mini-live guide 1.1", "RTMP server actively disconnects"},
    {Cause::push_wrong_hotlink_key, "mini-live guide 1.2", "RTMP server actively disconnects"},
    {Cause::callback_api_key_mismatch, "mini-live guide 1.3", "push playback is normal"},
    {Cause::cos_wrong_appid, "mini-live guide 1.4", "ERROR_PROXY_APPID_USERID_NOTMATCH"},
    {Cause::cos_wrong_bucket, "mini-live guide 1.5", "ERROR_PROXY_SIGN_BUCKET_NOTMATCH"},
    {Cause::cos_wrong_secret_id, "mini-live guide 1.6", "PROXY_AUTH_SECRETID_NOEXIST"},
    {Cause::cos_wrong_secret_key, "mini-live guide 1.7", "ERROR_PROXY_AUTH_FAILED"},
    {Cause::im_wrong_sdkappid_or_accounttype, "mini-live guide 2.1", "login failure"},
    {Cause::client_wrong_cos_appid_or_bucket, "mini-live guide 2.2", "upload failure"},
    {Cause::client_wrong_cos_region, "mini-live guide 2.3", "bucket cannot be found"},
    {Cause::client_wrong_backend_address, "mini-live guide 2.4", "request times out"},
    {Cause::replay_db_write_failed_schema_changed, "mini-live guide 3.1", "field attribute modification"},
    {Cause::replay_callback_url_wrong, "mini-live guide 3.3", "will not receive a callback notification"},
    {Cause::db_config_mismatch, "mini-live guide 4", "HTTP Req error, error code:500"},
    {Cause::db_grant_missing_1044, "mini-live guide 4",
     "Access denied for user 'live_user'@'localhost' to database 'live'"},
    {Cause::cdn_cos_acceleration_disabled, "mini-live guide 5", "failed to download"},
    {Cause::cos_generation_mismatch, "mini-live guide 6", "bucket notexist"},
    {Cause::im_register_rate_limited, "mini-live guide 7",
     "Registration operation is rejected for security reason"},
    {Cause::cos_service_not_activated, "小直播常见问题 头像或封面上传失败", "头像或封面上传失败"},
    {Cause::callback_template_not_bound, "小直播常见问题 检查回调模板是否关联域名",
     "检查回调模板是否关联域名"},
    {Cause::db_table_missing, "小直播常见问题 检查数据库表是否正常创建", "检查数据库表是否正常创建"},
    {Cause::unlisted_needs_logs, "小直播常见问题 其他问题", ""},
};

TEST(Catalogue, EveryFailureOfTheManualsIsCovered) {
    for (const Seed& seed : seeds) {
        const CauseEntry& cause = entry(seed.cause);
        EXPECT_NE(std::ranges::find(cause.manuals, seed.manual), cause.manuals.end()) << seed.manual;
        EXPECT_NE(cause.symptom.en.find(seed.words), std::string_view::npos) << to_string(seed.cause);
    }
}

const Keyword* keyword(std::string_view text) {
    const auto found = std::ranges::find(keywords(), text, &Keyword::text);
    return found == keywords().end() ? nullptr : &*found;
}

TEST(Catalogue, KeywordsPointAtCausesOrAClass) {
    for (const Keyword& found : keywords())
        EXPECT_TRUE(!found.causes.empty() || found.cause_class) << found.text;
    ASSERT_NE(keyword("RTMP server actively disconnects"), nullptr);
    EXPECT_EQ(keyword("RTMP server actively disconnects")->cause_class, CauseClass::push_refused);
    ASSERT_NE(keyword("PROXY_AUTH_SECRETID_NOEXIST"), nullptr);
    EXPECT_EQ(keyword("PROXY_AUTH_SECRETID_NOEXIST")->causes.front(), Cause::cos_wrong_secret_id);
    ASSERT_NE(keyword("updateRoom error :"), nullptr);
    EXPECT_FALSE(keyword("updateRoom error :")->alert);
}

TEST(Catalogue, CommittedDocsAreUpToDate) {
    const Directory directory;
    const std::string docs = directory.file("causes.md");
    const std::string en = directory.file("en.md");
    const std::string zh = directory.file("zh.md");
    const Ran ran = generate(
        directory, catalogue_file + " --docs " + docs + " --runbook-en " + en + " --runbook-zh " + zh);
    ASSERT_EQ(ran.code, 0) << ran.errors;
    const char* how = "build the target `docs` and commit docs/causes.md and docs/runbooks";
    EXPECT_TRUE(content(docs) == content(source_dir + "/docs/causes.md")) << how;
    EXPECT_TRUE(content(en) == content(source_dir + "/docs/runbooks/en.md")) << how;
    EXPECT_TRUE(content(zh) == content(source_dir + "/docs/runbooks/zh.md")) << how;
}

TEST(Catalogue, EveryIdHasItsAnchorInTheDocs) {
    for (const auto* page : {"/docs/causes.md", "/docs/runbooks/en.md", "/docs/runbooks/zh.md"}) {
        const std::string docs = content(source_dir + page);
        for (const CauseEntry& cause : all_causes())
            EXPECT_NE(docs.find("\n## " + std::string(to_string(cause.id)) + "\n"), std::string::npos);
        for (const ClassEntry& found : all_classes())
            EXPECT_NE(docs.find("\n## " + std::string(to_string(found.id)) + "\n"), std::string::npos);
    }
}

TEST(Catalogue, ARunbookHasTheFixInItsLanguageAlone) {
    const std::string en = content(source_dir + "/docs/runbooks/en.md");
    const std::string zh = content(source_dir + "/docs/runbooks/zh.md");
    const auto& cause = entry(Cause::push_url_expired);
    EXPECT_NE(zh.find(cause.fix.in(Lang::zh)), std::string::npos);
    EXPECT_EQ(zh.find(cause.title.in(Lang::en)), std::string::npos);
    EXPECT_NE(en.find(cause.title.in(Lang::en)), std::string::npos);
    EXPECT_EQ(en.find(cause.title.in(Lang::zh)), std::string::npos);
}

// A catalogue of one class, one cause and one keyword, without a mistake.
const std::string small = R"([[class]]
id = "class_a"
title = { en = "t", zh = "题" }
seen = { en = "s", zh = "见" }
candidates = [{ cause = "cause_a", why = "w" }]
[[cause]]
id = "cause_a"
class = "class_a"
item = "i"
title = { en = "t", zh = "题" }
symptom = { en = "s", zh = "状" }
evidence = "e"
signs = { mysql = "ok" }
fix = { en = "f", zh = "修" }
confirm = { en = "c", zh = "认" }
verify = { en = "v", zh = "验" }
[[keyword]]
text = "k"
causes = ["cause_a"]
note = "n"
)";

std::string complaints(const std::string& from, const std::string& to) {
    std::string text = small;
    if (!from.empty()) {
        EXPECT_NE(text.find(from), std::string::npos) << from;
        text.replace(text.find(from), from.size(), to);
    }
    const Directory directory;
    std::ofstream(directory.file("causes.toml")) << text;
    const std::string header = directory.file("ids.hpp");
    const Ran ran = generate(directory, directory.file("causes.toml") + " --header " + header);
    EXPECT_EQ(ran.code, ran.errors.empty() ? 0 : 1);
    EXPECT_EQ(std::filesystem::exists(header), ran.errors.empty()) << "with a mistake nothing is written";
    return ran.errors;
}

TEST(CatalogueGenerate, EveryMistakeWithItsPlace) {
    EXPECT_EQ(complaints("", ""), "");
    EXPECT_EQ(complaints("id = \"cause_a\"", "id = \"Cause-a\""),
              "causes.toml:7:6: 'Cause-a' is not snake_case\n"
              "causes.toml:5:25: there is no cause 'cause_a'\n"
              "causes.toml:19:11: there is no cause 'cause_a'\n");
    EXPECT_EQ(complaints("id = \"cause_a\"", "id = \"class_a\""),
              "causes.toml:7:6: 'class_a' is the id of line 2 already\n"
              "causes.toml:5:25: there is no cause 'cause_a'\n"
              "causes.toml:19:11: there is no cause 'cause_a'\n");
    EXPECT_EQ(complaints("class = \"class_a\"", "class = \"class_b\""),
              "causes.toml:8:9: there is no class 'class_b'\n");
    EXPECT_EQ(complaints("fix = { en = \"f\", zh = \"修\" }", "fix = { en = \"f\" }"),
              "causes.toml:14:7: cause_a.fix: 'zh' is missing\n");
    EXPECT_EQ(complaints("fix = { en = \"f\"", "fix = { en = \"\""),
              "causes.toml:14:14: cause_a.fix.en: expected a text that is not empty\n");
    EXPECT_EQ(complaints("evidence = \"e\"\n", ""), "causes.toml:6:1: cause_a: 'evidence' is missing\n");
    EXPECT_EQ(complaints("evidence = \"e\"", "evidence = \"e\"\nevidense = 1"),
              "causes.toml:13:1: cause_a: unknown key 'evidense'\n");
    EXPECT_EQ(complaints("mysql = \"ok\"", "mongo = \"ok\""),
              "causes.toml:13:11: cause_a.signs: no kind of probe is called 'mongo'\n");
    EXPECT_EQ(complaints("causes = [\"cause_a\"]\n", ""),
              "causes.toml:17:1: keyword 'k' names neither causes nor class\n");
    EXPECT_EQ(complaints("item = \"i\"", "item = \"i\\n\""),
              "causes.toml:9:8: cause_a.item: a text has no line end, and no space at either end\n");
    EXPECT_EQ(complaints("item = \"i\"", "item = "),
              "causes.toml:9:8: Error while parsing key-value pair: expected value, saw '\\n'\n");
}

TEST(CatalogueGenerate, UsageAndFilesThatAreNotThere) {
    const Directory directory;
    EXPECT_EQ(generate(directory, "").code, 2);
    EXPECT_EQ(generate(directory, catalogue_file + " --html x").code, 2);
    EXPECT_EQ(generate(directory, directory.file("none.toml")).code, 1);
    EXPECT_EQ(generate(directory, catalogue_file + " --docs " + directory.file("none/causes.md")).code, 1);
}

}  // namespace
}  // namespace livecanary
