#include "probes/cos_roundtrip/v4_answer.hpp"

#include <gtest/gtest.h>

#include <string>

namespace livecanary::cos_roundtrip {
namespace {

TEST(CosV4Answer, OfAStat) {
    const auto answer = parse_v4_answer(
        R"({"code":0,"message":"SUCCESS","request_id":"NTk=","data":{"access_url":"http://a","source_url":"http://s",)"
        R"("sha":"da39","filelen":65536,"filesize":"x"}})");
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->code, 0);
    EXPECT_EQ(answer->message, "SUCCESS");
    EXPECT_EQ(answer->request_id, "NTk=");
    EXPECT_EQ(answer->access_url, "http://a");
    EXPECT_EQ(answer->source_url, "http://s");
    EXPECT_EQ(answer->sha, "da39");
    EXPECT_EQ(answer->file_length, 65536U);
}

TEST(CosV4Answer, WhatIsNoneIsAnError) {
    for (const char* text : {"", "{", "<html></html>", "{\"code\":0} and more", "[[[[[[1]]]]]]"})
        EXPECT_EQ(parse_v4_answer(text).error(), V4Error::not_json) << text;
    for (const char* text :
         {"[]", "1", "{}", "{\"code\":\"0\"}", "{\"code\":0.5}", "{\"message\":\"SUCCESS\"}"})
        EXPECT_EQ(parse_v4_answer(text).error(), V4Error::no_code) << text;
    EXPECT_EQ(parse_v4_answer(std::string(most_v4_answer + 1, ' ')).error(), V4Error::too_long);
    const std::string whole = R"({"code":-97,"message":"ERROR_PROXY_AUTH_FAILED","data":{"sha":"1"}})";
    for (std::size_t size = 0; size < whole.size(); ++size)
        EXPECT_FALSE(parse_v4_answer(whole.substr(0, size))) << size;
}

TEST(CosV4Answer, FieldsOfOtherTypesAreAbsent) {
    const auto answer =
        parse_v4_answer(R"({"code":-1,"message":5,"request_id":null,"data":{"sha":1,"filelen":-1}})");
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->message, "");
    EXPECT_EQ(answer->sha, "");
    EXPECT_FALSE(answer->file_length);
}

// Documents 436/8432 and 436/6059, and the texts that the manuals of the app quote.
TEST(CosV4Answer, MeansByItsTextFirstThenByItsNumber) {
    struct Case {
        std::int64_t code;
        const char* message;
        std::string_view means;
    };
    const Case cases[] = {
        {-70, "ERROR_PROXY_APPID_USERID_NOTMATCH", v4_says::appid},
        {-62, "ERROR_PROXY_AUTH_APPID", v4_says::appid},
        {-80, "ERROR_PROXY_INVALID_APPID", v4_says::appid},
        {-82, "ERROR_PROXY_AUTH_APPID_NOEXIST", v4_says::appid},
        {-61, "ERROR_PROXY_SIGN_BUCKET_NOTMATCH", v4_says::sign_bucket},
        {-79, "PROXY_AUTH_SECRETID_NOEXIST", v4_says::secret_id},
        {-97, "ERROR_PROXY_AUTH_FAILED", v4_says::signature},
        {-96, "ERROR_PROXY_AUTH_EXPIRED", v4_says::expired},
        {-133, "ERROR_CMD_BUCKET_NOTEXIST", v4_says::bucket},
        {-133, "bucket notexist", v4_says::bucket},
        {-197, "ERROR_CMD_FILE_NOTEXIST", v4_says::file},
        {-70, "", v4_says::appid},
        {-61, "", v4_says::sign_bucket},
        {-47, "", v4_says::secret_id},
        {-79, "", v4_says::secret_id},
        {-48, "", v4_says::signature},
        {-97, "", v4_says::signature},
        {-59, "", v4_says::expired},
        {-96, "", v4_says::expired},
        {-133, "", v4_says::bucket},
        {-197, "", v4_says::file},
        {-71, "", v4_says::throttled},
        {-174, "", v4_says::checksum},
        {-4016, "", v4_says::checksum},
        {-59, "ERROR_PROXY_AUTH_FAILED", v4_says::signature},
        {-12345, "something new", v4_says::other},
    };
    for (const auto& [code, message, means] : cases)
        EXPECT_EQ(meaning_of({.code = code, .message = message}), means) << code << message;
}

}  // namespace
}  // namespace livecanary::cos_roundtrip
