// The error bodies of COS: read, cut short, too long, hostile.
#include "probes/protocol/cos_error.hpp"

#include <gtest/gtest.h>

namespace livecanary::protocol {
namespace {

// Of the form that Tencent Cloud document 436/7730 "Error Codes" prints.
const std::string body =
    "<?xml version='1.0' encoding='utf-8' ?>\n"
    "<Error>\n"
    "\t<Code>SignatureDoesNotMatch</Code>\n"
    "\t<Message>The Signature you specified is invalid.</Message>\n"
    "\t<StringToSign>sha1\n1700000000;1700003600\nb6c7&amp;\n</StringToSign>\n"
    "\t<FormatString>put\r\n/&#x8BD5;</FormatString>\n"
    "\t<Resource>examplebucket-1250000000.cos.ap-guangzhou.myqcloud.com/a</Resource>\n"
    "\t<RequestId>NWQx</RequestId>\n"
    "\t<TraceId><![CDATA[OGVm<]]>YzZi</TraceId>\n"
    "\t<ServerTime>2026-11-21T00:00:00Z</ServerTime>\n"
    "</Error>";

std::string words(std::string_view text) {
    const auto read = parse_cos_error(text);
    return read ? "no error: " + read->code : read.error().message();
}

TEST(CosError, IsReadWithItsExtraFields) {
    const auto error = parse_cos_error(body);
    ASSERT_TRUE(error) << error.error().message();
    EXPECT_EQ(*error, (CosError{.code = "SignatureDoesNotMatch",
                                .message = "The Signature you specified is invalid.",
                                .resource = "examplebucket-1250000000.cos.ap-guangzhou.myqcloud.com/a",
                                .request_id = "NWQx",
                                .trace_id = "OGVm<YzZi",
                                .more = {{"StringToSign", "sha1\n1700000000;1700003600\nb6c7&\n"},
                                         {"FormatString", "put\n/试"},
                                         {"ServerTime", "2026-11-21T00:00:00Z"}}}));
    EXPECT_EQ(error->find("ServerTime"), "2026-11-21T00:00:00Z");
    EXPECT_EQ(error->find("Nothing"), "");
}

TEST(CosError, CutShortAtEveryByteIsNoXml) {
    for (std::size_t size = 0; size < body.size(); ++size)
        EXPECT_EQ(words(body.substr(0, size)), "the error body is not XML") << size;
}

TEST(CosError, SaysWhatIsWrong) {
    const std::pair<std::string, const char*> cases[] = {
        {"", "the error body is not XML"},
        {"Forbidden", "the error body is not XML"},
        {"{\"code\":-97,\"message\":\"ERROR_PROXY_AUTH_FAILED\"}", "the error body is not XML"},
        {body + std::string(1, '\0'), "the error body is not XML"},
        {"<html><body><h1>403</h1></body></html>", "the error body is XML, but not a COS error"},
        {"<ListBucketResult><Code>A</Code></ListBucketResult>", "the error body is XML, but not a COS error"},
        {"<a/><Error><Code>A</Code></Error>", "the error body is XML, but not a COS error"},
        {"<Error/>", "the COS error has no code"},
        {"<Error><Code> </Code></Error>", "the COS error has no code"},
        {"<Error><Message>A</Message></Error>", "the COS error has no code"},
        {"<Error><Code><A>NoSuchKey</A></Code></Error>", "the COS error has no code"},
        {"<Error><Code>A</Code></Error>", "no error: A"},
        {"\xef\xbb\xbf<Error><Code>A</Code></Error>", "no error: A"},
        {"<Error><Code>A</Code><Code>B</Code></Error>", "no error: A"},
        {std::string(max_cos_error_size + 1, ' '), "the error body is longer than 64 KiB"},
    };
    for (const auto& [text, expected] : cases) EXPECT_EQ(words(text), expected) << text.substr(0, 80);
    EXPECT_EQ(reason_of(CosErrorBodyError::not_an_error), Reason::mismatch);
    EXPECT_EQ(reason_of(CosErrorBodyError::not_xml), Reason::protocol);
}

TEST(CosError, EntitiesOfADocumentTypeDoNotGrow) {
    const std::string bomb =
        "<!DOCTYPE a [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;\">"
        "<!ENTITY x SYSTEM \"file:///etc/passwd\">]><Error><Code>&b;&x;</Code></Error>";
    EXPECT_EQ(words(bomb), "no error: &b;&x;");
}

TEST(CosError, ManyAndDeepElementsAreBounded) {
    std::string many = "<Error>";
    for (int i = 0; i < 1000; ++i) many += "<A" + std::to_string(i) + ">x</A" + std::to_string(i) + ">";
    const auto error = parse_cos_error(many + "<Code>A</Code></Error>");
    ASSERT_TRUE(error);
    EXPECT_EQ(error->more.size(), max_cos_error_fields);

    std::string deep;
    for (int i = 0; i < 9000; ++i) deep += "<a>";
    for (int i = 0; i < 9000; ++i) deep += "</a>";
    EXPECT_EQ(words("<Error><Code>A</Code>" + deep + "</Error>"), "no error: A");
}

}  // namespace
}  // namespace livecanary::protocol
