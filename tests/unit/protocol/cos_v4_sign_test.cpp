// The signature of COS's JSON API: made, read, checked.
#include "probes/protocol/cos_v4_sign.hpp"

#include <gtest/gtest.h>
#include <boost/json.hpp>

#include <fstream>
#include <sstream>

#include "probes/protocol/digest.hpp"

namespace livecanary::protocol {
namespace {

using std::chrono::seconds;
using std::chrono::sys_seconds;

sys_seconds unix_time(std::int64_t count) { return sys_seconds(seconds(count)); }

boost::json::array vectors() {
    std::ifstream file(LIVECANARY_TESTDATA "/vectors.json");
    std::stringstream text;
    text << file.rdbuf();
    return boost::json::parse(text.str()).at("cos_v4").as_array();
}

std::string text_of(const boost::json::value& from, const char* name) {
    return boost::json::value_to<std::string>(from.at(name));
}

CosV4Signature signature_of(const boost::json::value& in) {
    return {.app_id = text_of(in, "appid"),
            .bucket = text_of(in, "bucket"),
            .secret_id = text_of(in, "secret_id"),
            .expires = unix_time(std::stoll(text_of(in, "e"))),
            .signed_at = unix_time(std::stoll(text_of(in, "t"))),
            .random = std::stoull(text_of(in, "r")),
            .file_id = text_of(in, "f")};
}

TEST(CosV4, AgreesWithEveryVector) {
    const auto all = vectors();
    ASSERT_GE(all.size(), 4U);
    for (const auto& vector : all) {
        SCOPED_TRACE(text_of(vector, "id"));
        const auto& in = vector.at("in");
        const auto signature = signature_of(in);
        EXPECT_EQ(signature.original(), text_of(vector, "original"));
        const std::string authorization = text_of(vector, "authorization");
        EXPECT_EQ(cos_v4_sign(signature, text_of(in, "secret_key")), authorization);

        const auto read = parse_cos_v4_authorization(authorization);
        ASSERT_TRUE(read) << read.error().message();
        EXPECT_EQ(read->fields, signature);
        EXPECT_EQ(read->text, text_of(vector, "original"));
        const auto found = check_cos_v4(*read, text_of(in, "secret_key"), signature.signed_at);
        EXPECT_TRUE(found.exact());
        EXPECT_EQ(signature.single_use(), text_of(in, "e") == "0");
        EXPECT_FALSE(found.ends_before_signed || found.lives_too_long || found.single_use_without_file ||
                     found.file_with_end);
    }
}

TEST(CosV4, FileIdKeepsOnlyTheSlashes) {
    EXPECT_EQ(cos_v4_file_id("200001", "newbucket", "/头像/a b.jpg"),
              "/200001/newbucket/%E5%A4%B4%E5%83%8F/a%20b.jpg");
    EXPECT_EQ(cos_v4_file_id("200001", "newbucket", "a"), cos_v4_file_id("200001", "newbucket", "/a"));
}

const std::string key = "bLcPnl88WU30VY57ipRhSePfPdOfSruK";
const CosV4Signature many_uses{.app_id = "200001",
                               .bucket = "newbucket",
                               .secret_id = "AKID",
                               .expires = unix_time(1'470'737'000),
                               .signed_at = unix_time(1'470'736'940),
                               .random = 490258943};

CosV4Check check(const CosV4Signature& signature, const std::string& made_with = key,
                 const std::string& known = key) {
    const auto read = parse_cos_v4_authorization(cos_v4_sign(signature, made_with));
    EXPECT_TRUE(read);
    return check_cos_v4(*read, known, unix_time(1'470'736'950));
}

TEST(CosV4Check, TellsWhenItEnds) {
    EXPECT_EQ(check(many_uses).expired_for, seconds(-50));
    auto signature = many_uses;
    signature.expires = unix_time(1'470'736'941);
    EXPECT_EQ(check(signature).expired_for, seconds(9));
    EXPECT_FALSE(check(signature).ends_before_signed);
    signature.expires = unix_time(1'470'736'940);
    EXPECT_TRUE(check(signature).ends_before_signed);
    signature.expires = signature.signed_at + max_cos_v4_lifetime;
    EXPECT_FALSE(check(signature).lives_too_long);
    signature.expires += seconds(1);
    EXPECT_TRUE(check(signature).lives_too_long);
}

TEST(CosV4Check, TellsTheClockAheadOfOurs) {
    EXPECT_EQ(check(many_uses).signed_ahead, seconds(-10));
    auto signature = many_uses;
    signature.signed_at = unix_time(1'470'736'980);
    EXPECT_EQ(check(signature).signed_ahead, seconds(30));
}

TEST(CosV4Check, TellsAFormThatIsNeitherOfTheTwo) {
    auto signature = many_uses;
    signature.file_id = "/200001/newbucket/a";
    EXPECT_TRUE(check(signature).file_with_end);
    signature.expires = {};
    EXPECT_FALSE(check(signature).file_with_end);
    EXPECT_EQ(check(signature).expired_for, seconds(0));
    signature.file_id = "";
    EXPECT_TRUE(check(signature).single_use_without_file);
}

TEST(CosV4Check, TellsTheKey) {
    EXPECT_TRUE(check(many_uses).exact());
    EXPECT_EQ(check(many_uses, "another").key, KeyFound::none);
    EXPECT_EQ(check(many_uses, key, "").key, KeyFound::none);
    EXPECT_EQ(check(many_uses, "", "").key, KeyFound::none);
    EXPECT_EQ(check(many_uses, key + "\n").stray_space, KeySpace::theirs);
    EXPECT_EQ(check(many_uses, key, " " + key).stray_space, KeySpace::ours);
    EXPECT_FALSE(check(many_uses, key, " " + key).exact());
}

std::string wrapped(const std::string& text) {
    auto bytes = hmac(Digest::sha1, key, text);
    bytes.insert(bytes.end(), text.begin(), text.end());
    return base64(bytes);
}

TEST(CosV4Parse, TakesAnyOrderAndOtherFields) {
    const auto read = parse_cos_v4_authorization(
        wrapped("f=&u=0&r=490258943&t=1470736940&e=1470737000&k=AKID&uu=1&b=newbucket&a=200001"));
    ASSERT_TRUE(read) << read.error().message();
    EXPECT_EQ(read->fields, many_uses);
    EXPECT_TRUE(check_cos_v4(*read, key, unix_time(0)).exact());
}

TEST(CosV4Parse, SaysWhatIsWrong) {
    const std::string good = many_uses.original();
    const std::pair<std::string, const char*> cases[] = {
        {std::string(max_cos_v4_size + 4, 'A'), "the authorization is longer than 8 KiB"},
        {"a=200001&b=newbucket", "the authorization is not base64"},
        {"", "the authorization holds no text after its HMAC"},
        {wrapped(""), "the authorization holds no text after its HMAC"},
        {wrapped(good + "\n"), "the text of the authorization holds white space or a byte that is not ASCII"},
        {wrapped("a=1"), "one of the fields a, b, k, e, t, r, f of the authorization is missing"},
        {wrapped(good + "&f="), "one of the fields of the authorization stands there twice"},
        {wrapped("a=1&b=2&k=3&e=x&t=1&r=1&f="), "e, t or r of the authorization is not a number"},
        {wrapped("a=1&b=2&k=3&e=1&t=-1&r=1&f="), "e, t or r of the authorization is not a number"},
        {wrapped("a=1&b=2&k=3&e=1&t=1&r=12345678901&f="), "e, t or r of the authorization is not a number"},
        {wrapped("a=1&b=2&k=3&e=&t=1&r=1&f="), "e, t or r of the authorization is not a number"},
    };
    for (const auto& [text, words] : cases) {
        const auto read = parse_cos_v4_authorization(text);
        EXPECT_EQ(read ? "no error" : read.error().message(), words) << text.substr(0, 80);
    }
    EXPECT_EQ(reason_of(CosV4Error::not_base64), Reason::mismatch);
}

TEST(CosV4Parse, CutShortAtEveryByteIsRefusedOrDoesNotVerify) {
    const std::string whole = cos_v4_sign(many_uses, key);
    for (std::size_t size = 0; size < whole.size(); ++size) {
        const auto read = parse_cos_v4_authorization(whole.substr(0, size));
        if (read) {
            EXPECT_FALSE(check_cos_v4(*read, key, unix_time(0)).exact()) << size;
        }
    }
}

}  // namespace
}  // namespace livecanary::protocol
