// The practice object store: its rules against the vectors of the vendor's SDK and documents, its answers,
// and each fault it can be told to have.
#include <cctype>
#include <chrono>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl/ssl_stream.hpp>
#include <boost/json.hpp>

#include "tests/integration/servers.hpp"
#include "tests/practice/cos_server.hpp"

namespace livecanary::test {
namespace {

using namespace std::chrono_literals;
namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
namespace json = boost::json;
using boost::system::error_code;
using practice::Cos;
using practice::cos_encoded;
using practice::CosAnswer;
using practice::CosCall;
using practice::CosDrop;
using practice::CosFault;
using practice::CosHeaders;
using practice::CosRequest;
using practice::CosRuling;
using practice::CosSeen;
using practice::CosServer;
using practice::CosSignature;
using testing::ElementsAre;
using testing::HasSubstr;

std::chrono::system_clock::time_point at(std::int64_t seconds) {
    return std::chrono::system_clock::time_point(std::chrono::seconds(seconds));
}

constexpr std::int64_t begin = 1'700'000'000;  ///< of every signature here, Unix seconds
constexpr const char* key_time = "1700000000;1700003600";
constexpr const char* bucket = "examplebucket-1250000000";
constexpr const char* bucket_host = "examplebucket-1250000000.cos.ap-guangzhou.myqcloud.com";

Cos store() {
    Cos cos;
    cos.accounts["1250000000"].keys["id"] = {.secret_key = "key"};
    cos.accounts["1250000000"].keys["reader"] = {.secret_key = "key",
                                                 .may = {CosCall::get_object, CosCall::head_object}};
    cos.accounts["1250000000"].keys["disabled"] = {.secret_key = "key", .enabled = false};
    cos.accounts["1250000000"].temporary_keys["temporary"] = {
        .secret_key = "key", .token = "token/+=", .expires = at(begin + 100)};
    cos.accounts["1260000000"].keys["stranger"] = {.secret_key = "key"};
    cos.buckets[bucket] = {.region = "ap-guangzhou", .domains = {"cover.example.com"}};
    cos.buckets["fast-1250000000"] = {.region = "ap-guangzhou", .public_read = true, .accelerate = true};
    return cos;
}

/// A request, and who signs it how.
struct Ask {
    std::string method = "GET";
    std::string key{};  ///< object, not encoded
    CosHeaders query{};
    CosHeaders headers{};  ///< signed, besides Host
    std::string host = bucket_host;
    std::string id = "id";  ///< empty: not signed
    std::string secret = "key";
    CosHeaders unsigned_headers{};
};

CosRequest request(const Ask& ask) {
    CosRequest made{.method = ask.method, .target = "/" + cos_encoded(ask.key), .headers = ask.headers};
    made.headers.emplace_back("Host", ask.host);
    CosSignature signature{.method = ask.method,
                           .path = "/" + ask.key,
                           .query = {},
                           .headers = {},
                           .key_time = key_time,
                           .sign_time = key_time};
    for (char& c : signature.method) c = static_cast<char>(c | ' ');
    std::string parameters;
    for (const auto& [name, value] : ask.query) {
        made.target += (parameters.empty() ? "?" : "&") + cos_encoded(name) + "=" + cos_encoded(value);
        parameters += (parameters.empty() ? "" : ";") + name;
        signature.query.emplace(name, cos_encoded(value));
    }
    std::string names;
    for (const auto& [name, value] : made.headers) {
        std::string lower = name;
        for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
        names += (names.empty() ? "" : ";") + lower;
        signature.headers.emplace(lower, cos_encoded(value));
    }
    if (!ask.id.empty())
        made.headers.emplace_back("Authorization", "q-sign-algorithm=sha1&q-ak=" + ask.id +
                                                       "&q-sign-time=" + key_time +
                                                       "&q-key-time=" + key_time + "&q-header-list=" + names +
                                                       "&q-url-param-list=" + parameters +
                                                       "&q-signature=" + signature.signature(ask.secret));
    made.headers.insert(made.headers.end(), ask.unsigned_headers.begin(), ask.unsigned_headers.end());
    if (ask.method == "PUT" && !made.header("content-length"))
        made.headers.emplace_back("Content-Length", "0");
    return made;
}

/// The code it is refused with before anything is done; empty if it is not.
std::string verdict(const Cos& cos, const CosRequest& asked, std::int64_t now = begin) {
    const CosRuling ruling = cos.judge(asked, at(now));
    return ruling.error ? ruling.error->code : "";
}
std::string verdict(const Ask& ask, std::int64_t now = begin) { return verdict(store(), request(ask), now); }

CosAnswer carry_out(Cos& cos, const Ask& ask, const std::string& body = {}) {
    Ask sized = ask;
    if (ask.method == "PUT") sized.headers.emplace_back("Content-Length", std::to_string(body.size()));
    const CosRequest asked = request(sized);
    return cos.carry_out(asked, cos.judge(asked, at(begin)), practice::cos_upload(body), at(begin));
}

std::string header(const CosHeaders& headers, const std::string& name) {
    for (const auto& [one, value] : headers)
        if (one == name) return value;
    return {};
}

const json::object& all_vectors() {
    static const json::object vectors = [] {
        std::ifstream file(LIVECANARY_TESTDATA "/vectors.json");
        return json::parse(std::string(std::istreambuf_iterator<char>(file), {})).as_object();
    }();
    return vectors;
}
std::string text(const json::object& from, const char* name) {
    const auto* const found = from.if_contains(name);
    return found != nullptr && found->is_string() ? std::string(found->as_string()) : "";
}

// Rules.

TEST(CosRules, DigestsAreThoseOfTheVectors) {
    for (const auto& vector : all_vectors().at("crc64ecma").as_object().at("vectors").as_array()) {
        const std::string in = text(vector.as_object(), "in_utf8");
        EXPECT_EQ(std::to_string(practice::cos_crc64(0, in)),
                  text(vector.as_object(), "u64_decimal_as_in_header"));
        const std::string half = in.substr(0, in.size() / 2);
        EXPECT_EQ(practice::cos_crc64(practice::cos_crc64(0, half), in.substr(half.size())),
                  practice::cos_crc64(0, in));
    }
    for (const auto& vector : all_vectors().at("md5").as_array()) {
        Cos cos = store();
        const CosHeaders md5{{"Content-MD5", text(vector.as_object(), "content_md5_base64")}};
        const CosAnswer answer = carry_out(cos, {.method = "PUT", .key = "o", .headers = md5},
                                           text(vector.as_object(), "in_utf8"));
        EXPECT_EQ(header(answer.headers, "ETag"), "\"" + text(vector.as_object(), "etag_hex") + "\"");
    }
}

/// A vector of signatures as a request.
struct Signed {
    std::string id;
    CosRequest request{};
    std::size_t signed_headers = 0;  ///< the first so many of the request's
    Cos cos{};
    std::int64_t now = 0;
    std::string http_string{}, string_to_sign{};
};

std::vector<Signed> signed_vectors() {
    std::vector<Signed> all;
    for (const auto& one : all_vectors().at("cos_v5").as_array()) {
        const json::object& vector = one.as_object();
        const json::object& in = vector.at("in").as_object();
        Signed made{.id = text(vector, "id")};
        made.request.method = text(in, "method");
        for (const char c : text(in, "uri_pathname_signed"))
            made.request.target += c == '/' ? std::string("/") : cos_encoded({&c, 1});
        char separator = '?';
        for (const auto& [name, value] : in.at("query").as_object()) {
            made.request.target += separator + cos_encoded({name.data(), name.size()}) + "=" +
                                   cos_encoded(std::string(value.as_string()));
            separator = '&';
        }
        std::string host = bucket_host;
        for (const auto& [name, value] : in.at("signed_headers").as_object()) {
            made.request.headers.emplace_back(name, value.as_string());
            if (name == "Host") host = value.as_string();
        }
        made.signed_headers = made.request.headers.size();
        made.request.headers.emplace_back("Authorization", text(vector, "authorization"));
        if (!made.request.header("host")) made.request.headers.emplace_back("Host", host);
        if (!made.request.header("content-length")) made.request.headers.emplace_back("Content-Length", "0");
        made.cos.buckets[bucket].region =
            host.find("ap-beijing") == std::string::npos ? "ap-guangzhou" : "ap-beijing";
        // In the mode in which a backend signs the time, the key that it does not give away.
        const std::string secret = text(in, "secret_key");
        made.cos.accounts["1250000000"].keys[text(in, "secret_id")].secret_key =
            secret.empty() ? "BQYIM75p8x0iWVFSIgqEKwFprpRSVHlz" : secret;
        made.now = std::stoll(text(in, "key_time")) + 1;
        made.http_string = text(vector, "http_string");
        made.string_to_sign = text(vector, "string_to_sign");
        all.push_back(std::move(made));
    }
    return all;
}

/// What no signature can be blamed for: the operation is not served here.
bool verifies(const Signed& vector, const CosRequest& asked) {
    const std::string code = verdict(vector.cos, asked, vector.now);
    return code.empty() || code == "NotImplemented";
}

TEST(CosRules, EveryVectorVerifies) {
    const auto vectors = signed_vectors();
    ASSERT_EQ(vectors.size(), 15U);
    for (const Signed& vector : vectors)
        EXPECT_TRUE(verifies(vector, vector.request))
            << vector.id << ": " << verdict(vector.cos, vector.request, vector.now);
}

TEST(CosRules, TellsWhatItWouldHaveSigned) {
    for (const Signed& vector : signed_vectors()) {
        CosRequest wrong = vector.request;
        std::string& authorization = wrong.headers[vector.signed_headers].second;
        authorization.back() = authorization.back() == '0' ? '1' : '0';
        const CosRuling ruling = vector.cos.judge(wrong, at(vector.now));
        EXPECT_EQ(ruling.http_string, vector.http_string) << vector.id;
        EXPECT_EQ(ruling.string_to_sign, vector.string_to_sign) << vector.id;
    }
}

TEST(CosRules, NoVectorVerifiesWithOneByteChanged) {
    std::size_t changes = 0;
    for (const Signed& vector : signed_vectors()) {
        CosRequest wrong = vector.request;
        const auto refused = [&](std::string& where, const char* what, unsigned flip) {
            for (std::size_t i = 0; i < where.size(); ++i) {
                const char right = where[i];
                where[i] = static_cast<char>(static_cast<unsigned char>(right) ^ flip);
                EXPECT_FALSE(verifies(vector, wrong))
                    << vector.id << ", " << what << " " << i << ": " << where;
                where[i] = right;
                ++changes;
            }
        };
        refused(wrong.target, "target", 1);
        refused(wrong.method, "method", 1);
        for (std::size_t i = 0; i < vector.signed_headers; ++i) refused(wrong.headers[i].second, "header", 1);
        refused(wrong.headers[vector.signed_headers].second, "authorization", 1);
        refused(wrong.headers[vector.signed_headers].second, "authorization", 32);
    }
    EXPECT_GT(changes, 5000U);
}

TEST(CosRules, APresignedUrlVerifies) {
    const json::array& vectors = all_vectors().at("cos_v5_presigned").as_array();
    const std::string query = text(vectors.at(0).as_object(), "query_string");
    Signed vector = signed_vectors().at(0);
    vector.request.method = "PUT";
    vector.request.target = "/avatar/probe.jpg?" + query;
    vector.request.headers.erase(vector.request.headers.begin() +
                                 static_cast<std::ptrdiff_t>(vector.signed_headers));
    EXPECT_EQ(verdict(vector.cos, vector.request, vector.now), "");
    std::string& target = vector.request.target;
    target.back() = target.back() == '0' ? '1' : '0';
    EXPECT_EQ(verdict(vector.cos, vector.request, vector.now), "SignatureDoesNotMatch");
}

TEST(CosRules, ASignatureHoldsForItsTime) {
    EXPECT_EQ(verdict({}, begin), "");
    EXPECT_EQ(verdict({}, begin + 3600), "");
    EXPECT_EQ(verdict({}, begin + 3601), "AccessDenied");
    const CosRuling late = store().judge(request({}), at(begin + 3601));
    ASSERT_TRUE(late.error);
    EXPECT_EQ(late.error->message, "Request has expired");
    EXPECT_EQ(verdict({}, begin - 900), "");
    EXPECT_EQ(verdict({}, begin - 901), "RequestTimeTooSkewed");
    Cos cos = store();
    cos.faults.clock_offset = 3601s;
    EXPECT_EQ(verdict(cos, request({})), "AccessDenied");
    cos.faults.clock_offset = -901s;
    EXPECT_EQ(verdict(cos, request({})), "RequestTimeTooSkewed");
}

TEST(CosRules, AListedHeaderMustBeThere) {
    CosRequest asked = request({});
    std::string& authorization = asked.headers.back().second;
    authorization.replace(authorization.find("host&"), 4, "date;host");
    EXPECT_EQ(verdict(store(), asked), "SignatureDoesNotMatch");
}

struct Refusal {
    const char* what;
    Ask ask;
    const char* code;
};
const Refusal refusals[] = {
    {"right", {}, ""},
    {"right, an object", {.key = "头像/a b+c&d=e.jpg"}, ""},
    {"unknown id", {.id = "di"}, "InvalidAccessKeyId"},
    {"disabled id", {.id = "disabled"}, "InvalidAccessKeyId"},
    {"wrong key", {.secret = "yek"}, "SignatureDoesNotMatch"},
    {"unsigned", {.id = ""}, "AccessDenied"},
    {"an authorization of something else",
     {.id = "", .unsigned_headers = {{"Authorization", "Bearer x"}}},
     "InvalidArgument"},
    {"without the right", {.method = "PUT", .key = "o", .id = "reader"}, "AccessDenied"},
    {"with the right", {.method = "GET", .key = "o", .id = "reader"}, ""},
    {"somebody else's bucket", {.id = "stranger"}, "AccessDenied"},
    {"no such bucket", {.host = "absent-1250000000.cos.ap-guangzhou.myqcloud.com"}, "NoSuchBucket"},
    {"another region", {.host = "examplebucket-1250000000.cos.ap-beijing.myqcloud.com"}, "NoSuchBucket"},
    {"without APPID", {.host = "examplebucket.cos.ap-guangzhou.myqcloud.com"}, "InvalidBucketName"},
    {"APPID twice",
     {.host = "examplebucket-1250000000-1250000000.cos.ap-guangzhou.myqcloud.com"},
     "InvalidBucketName"},
    {"unbound domain", {.host = "other.example.com"}, "UserCnameInvalid"},
    {"bound domain", {.host = "Cover.example.com:8080"}, ""},
    {"not accelerated",
     {.host = "examplebucket-1250000000.cos.accelerate.myqcloud.com"},
     "BucketAccelerateNotEnabled"},
    {"accelerated", {.host = "fast-1250000000.cos.accelerate.myqcloud.com"}, ""},
    {"the other suffix", {.host = "examplebucket-1250000000.cos.ap-guangzhou.tencentcos.cn"}, ""},
    {"path style", {.key = std::string(bucket) + "/o", .host = "cos.ap-guangzhou.myqcloud.com"}, ""},
    {"path style, another region",
     {.key = std::string(bucket) + "/o", .host = "cos.ap-beijing.myqcloud.com"},
     "NoSuchBucket"},
    {"path style at an address", {.key = std::string(bucket) + "/o", .host = "127.0.0.1:8080"}, ""},
    {"buckets", {.host = "service.cos.myqcloud.com"}, ""},
    {"buckets, unsigned", {.host = "service.cos.myqcloud.com", .id = ""}, "AccessDenied"},
    {"an unknown name of the vendor's", {.host = "a.b.c.d.myqcloud.com"}, "InvalidURI"},
    {"public object, unsigned",
     {.key = "o", .host = "fast-1250000000.cos.ap-guangzhou.myqcloud.com", .id = ""},
     ""},
    {"public object, wrong key",
     {.key = "o", .host = "fast-1250000000.cos.ap-guangzhou.myqcloud.com", .secret = "yek"},
     "SignatureDoesNotMatch"},
    {"public object, written by nobody",
     {.method = "PUT", .key = "o", .host = "fast-1250000000.cos.ap-guangzhou.myqcloud.com", .id = ""},
     "AccessDenied"},
    {"temporary key, signed token",
     {.headers = {{"x-cos-security-token", "token/+="}}, .id = "temporary"},
     ""},
    {"temporary key, unsigned token",
     {.id = "temporary", .unsigned_headers = {{"x-cos-security-token", "token/+="}}},
     ""},
    {"temporary key, token in the query",
     {.query = {{"x-cos-security-token", "token/+="}}, .id = "temporary"},
     ""},
    {"temporary key, no token", {.id = "temporary"}, "InvalidAccessKeyId"},
    {"temporary key, wrong token",
     {.headers = {{"x-cos-security-token", "token"}}, .id = "temporary"},
     "InvalidAccessKeyId"},
    {"chunked",
     {.method = "PUT", .key = "o", .unsigned_headers = {{"Transfer-Encoding", "chunked"}}},
     "MissingContentLength"},
    {"too large",
     {.method = "PUT", .key = "o", .headers = {{"Content-Length", "2147483649"}}},
     "EntityTooLarge"},
    {"Content-MD5 in hex",
     {.method = "PUT", .key = "o", .headers = {{"Content-MD5", "d41d8cd98f00b204e9800998ecf8427e"}}},
     "InvalidDigest"},
    {"a key that is too long", {.key = std::string(851, 'k')}, "KeyTooLong"},
    {"a copy",
     {.method = "PUT", .key = "o", .headers = {{"x-cos-copy-source", "somewhere"}}},
     "NotImplemented"},
    {"a sub-resource", {.key = "o", .query = {{"acl", ""}}}, "NotImplemented"},
    {"a POST", {.method = "POST", .key = "o"}, "NotImplemented"},
};

TEST(CosRules, RefusesForEachOfItsReasons) {
    for (const Refusal& refusal : refusals) EXPECT_EQ(verdict(refusal.ask), refusal.code) << refusal.what;
    EXPECT_EQ(verdict({.headers = {{"x-cos-security-token", "token/+="}}, .id = "temporary"}, begin + 100),
              "ExpiredToken");
}

TEST(CosRules, AnObjectComesBackAsItWasPut) {
    Cos cos = store();
    const CosHeaders described{{"Content-Type", "image/jpeg"}, {"x-cos-meta-note", "a b"}};
    const CosAnswer put =
        carry_out(cos, {.method = "PUT", .key = "probe/1", .headers = described}, "0123456789");
    EXPECT_EQ(put.status, 200);
    EXPECT_EQ(header(put.headers, "ETag"), "\"781e5e245d69b566979b86e28d23f2c7\"");
    EXPECT_EQ(header(put.headers, "x-cos-hash-crc64ecma"), "2838902930144391966");
    EXPECT_EQ(header(put.headers, "Server"), "tencent-cos");
    EXPECT_EQ(header(put.headers, "Date"), "Tue, 14 Nov 2023 22:13:20 GMT");
    EXPECT_FALSE(header(put.headers, "x-cos-request-id").empty());

    const CosAnswer got = carry_out(cos, {.key = "probe/1"});
    EXPECT_EQ(got.status, 200);
    EXPECT_EQ(got.content->read(got.offset, got.length), "0123456789");
    EXPECT_EQ(header(got.headers, "Content-Type"), "image/jpeg");
    EXPECT_EQ(header(got.headers, "x-cos-meta-note"), "a b");
    EXPECT_EQ(header(got.headers, "Last-Modified"), "Tue, 14 Nov 2023 22:13:20 GMT");
    EXPECT_NE(header(got.headers, "x-cos-request-id"), header(put.headers, "x-cos-request-id"));

    const CosAnswer head = carry_out(cos, {.method = "HEAD", .key = "probe/1"});
    EXPECT_FALSE(head.has_body);
    EXPECT_EQ(head.length, 10U);
    EXPECT_EQ(header(head.headers, "x-cos-hash-crc64ecma"), "2838902930144391966");

    EXPECT_EQ(carry_out(cos, {.method = "DELETE", .key = "probe/1"}).status, 204);
    EXPECT_EQ(carry_out(cos, {.method = "DELETE", .key = "probe/1"}).status, 204);
    EXPECT_EQ(carry_out(cos, {.key = "probe/1"}).status, 404);
    EXPECT_EQ(cos.seen.count(CosCall::get_object), 2U);
    EXPECT_EQ(cos.seen.count(CosCall::get_object, "NoSuchKey"), 1U);
    EXPECT_EQ(cos.seen.calls.at(0).signed_headers, "content-type;x-cos-meta-note;content-length;host");
}

TEST(CosRules, ARangeOfAnObject) {
    Cos cos = store();
    carry_out(cos, {.method = "PUT", .key = "o"}, "0123456789");
    struct Case {
        const char* range;
        int status;
        const char* body;
    };
    for (const Case& one : std::initializer_list<Case>{{"bytes=2-4", 206, "234"},
                                                       {"bytes=8-", 206, "89"},
                                                       {"bytes=8-99", 206, "89"},
                                                       {"bytes=-3", 206, "789"},
                                                       {"bytes=-99", 206, "0123456789"},
                                                       {"bytes=0-0", 206, "0"},
                                                       {"bytes=10-", 416, ""},
                                                       {"bytes=4-2", 200, "0123456789"},
                                                       {"bytes=a-b", 200, "0123456789"},
                                                       {"bytes=-", 200, "0123456789"}}) {
        const CosAnswer answer = carry_out(cos, {.key = "o", .headers = {{"Range", one.range}}});
        EXPECT_EQ(answer.status, one.status) << one.range;
        const std::string body = answer.content ? answer.content->read(answer.offset, answer.length) : "";
        EXPECT_EQ(body, one.body) << one.range;
    }
    const CosAnswer answer = carry_out(cos, {.key = "o", .headers = {{"Range", "bytes=2-4"}}});
    EXPECT_EQ(header(answer.headers, "Content-Range"), "bytes 2-4/10");
}

TEST(CosRules, AWrongDigestIsRefusedAndNothingKept) {
    Cos cos = store();
    const CosHeaders md5{{"Content-MD5", "JfnnlDI7RTiF9RgfG2JNCw=="}};
    EXPECT_EQ(carry_out(cos, {.method = "PUT", .key = "o", .headers = md5}, "123456789").status, 200);
    const CosAnswer answer = carry_out(cos, {.method = "PUT", .key = "p", .headers = md5}, "12345678");
    EXPECT_EQ(answer.status, 400);
    EXPECT_THAT(answer.body, HasSubstr("<Code>BadDigest</Code>"));
    EXPECT_EQ(cos.buckets.at(bucket).objects.size(), 1U);
}

TEST(CosRules, ListsObjectsByPrefixMarkerAndDelimiter) {
    Cos cos = store();
    for (const char* key : {"a/1", "a/2", "b&c", "头像"}) carry_out(cos, {.method = "PUT", .key = key}, "x");
    const auto list = [&](CosHeaders query) { return carry_out(cos, {.query = std::move(query)}).body; };
    const std::string all = list({});
    EXPECT_THAT(all, HasSubstr("<Key>a/1</Key>"));
    EXPECT_THAT(all, HasSubstr("<Key>b&amp;c</Key>"));
    EXPECT_THAT(all, HasSubstr("<Key>头像</Key>"));
    EXPECT_THAT(all, HasSubstr("<IsTruncated>false</IsTruncated>"));
    EXPECT_THAT(all, HasSubstr("<LastModified>2023-11-14T22:13:20.000Z</LastModified>"));
    EXPECT_THAT(all, HasSubstr("<ETag>&quot;9dd4e461268c8034f5c8564e155c67a6&quot;</ETag>"));
    const std::string first = list({{"max-keys", "1"}, {"prefix", "a/"}});
    EXPECT_THAT(first, HasSubstr("<IsTruncated>true</IsTruncated>\n\t<NextMarker>a/1</NextMarker>"));
    const std::string second = list({{"marker", "a/1"}, {"prefix", "a/"}});
    EXPECT_THAT(second, Not(HasSubstr("<Key>a/1</Key>")));
    EXPECT_THAT(second, HasSubstr("<Key>a/2</Key>"));
    const std::string folders = list({{"delimiter", "/"}, {"max-keys", "1"}});
    EXPECT_THAT(folders, HasSubstr("<CommonPrefixes>\n\t\t<Prefix>a/</Prefix>"));
    EXPECT_THAT(folders, HasSubstr("<NextMarker>a/</NextMarker>"));
    EXPECT_THAT(list({{"delimiter", "/"}, {"marker", "a/"}}), Not(HasSubstr("CommonPrefixes")));
    EXPECT_THAT(list({{"encoding-type", "url"}}), HasSubstr("<Key>%E5%A4%B4%E5%83%8F</Key>"));
    EXPECT_THAT(list({{"max-keys", "0"}}), HasSubstr("<Code>InvalidArgument</Code>"));
    const std::string buckets = carry_out(cos, {.host = "service.cos.myqcloud.com"}).body;
    EXPECT_THAT(buckets, HasSubstr("<Name>examplebucket-1250000000</Name>\n\t\t\t<Location>ap-guangzhou<"));
    EXPECT_THAT(carry_out(cos, {.host = "service.cos.myqcloud.com", .id = "stranger"}).body,
                Not(HasSubstr("<Bucket>")));
}

TEST(CosRules, AnErrorReadsAsThatOfCos) {
    Cos cos = store();
    const CosAnswer answer = carry_out(cos, {.key = "<头像>"});
    const std::string id = header(answer.headers, "x-cos-request-id");
    EXPECT_EQ(answer.body,
              "<?xml version='1.0' encoding='utf-8' ?>\n<Error>\n\t<Code>NoSuchKey</Code>\n"
              "\t<Message>The specified key does not exist.</Message>\n"
              "\t<Resource>examplebucket-1250000000.cos.ap-guangzhou.myqcloud.com/&lt;头像&gt;"
              "</Resource>\n\t<RequestId>" +
                  id + "</RequestId>\n\t<TraceId>" + header(answer.headers, "x-cos-trace-id") +
                  "</TraceId>\n</Error>\n");
    EXPECT_EQ(header(answer.headers, "Content-Type"), "application/xml");
    const CosAnswer head = carry_out(cos, {.method = "HEAD", .key = "absent"});
    EXPECT_EQ(head.status, 404);
    EXPECT_FALSE(head.has_body);
    EXPECT_EQ(head.length, 0U);
    EXPECT_THAT(carry_out(cos, {.key = "o", .secret = "yek"}).body,
                HasSubstr("<FormatString>get\n/o\n\nhost=" + std::string(bucket_host) + "\n</FormatString>"));
}

// The server.

struct Reply {
    error_code failed{};
    int status = 0;
    std::map<std::string, std::string> headers{};
    std::string body{};
};

template <class Stream>
void converse(Stream& stream, const http::request<http::string_body>& sent, const std::string& method,
              Reply& reply) {
    beast::flat_buffer buffer;
    http::response_parser<http::string_body> parser;
    parser.body_limit(boost::none);
    parser.skip(method == "HEAD");
    http::async_write(stream, sent, [&](error_code written, std::size_t) {
        // A server that refuses early may have closed; its answer can be there all the same.
        if (written) reply.failed = written;
        http::async_read(stream, buffer, parser, [&](error_code read, std::size_t) { reply.failed = read; });
    });
    static_cast<asio::io_context&>(stream.get_executor().context()).run();
    if (parser.is_header_done()) reply.status = static_cast<int>(parser.get().result_int());
    for (const auto& field : parser.get()) reply.headers.emplace(field.name_string(), field.value());
    reply.body = std::move(parser.get().body());
}

http::request<http::string_body> message(const CosRequest& asked, const std::string& body) {
    http::request<http::string_body> made(http::string_to_verb(asked.method), asked.target, 11, body);
    for (const auto& [name, value] : asked.headers) made.set(name, value);
    return made;
}

Reply exchange(const CosServer& server, const Ask& ask, const std::string& body = {},
               std::chrono::milliseconds patience = 10s) {
    Ask sized = ask;
    if (ask.method == "PUT") sized.headers.emplace_back("Content-Length", std::to_string(body.size()));
    Reply reply;
    asio::io_context io;
    beast::tcp_stream stream(io);
    stream.expires_after(patience);
    error_code refused;
    stream.socket().connect({asio::ip::make_address("127.0.0.1"), server.port()}, refused);
    if (refused) return {.failed = refused};
    converse(stream, message(request(sized), body), ask.method, reply);
    return reply;
}

/// A store whose clock stands where the signatures hold.
CosServer::Options options() {
    return {.now = [] { return at(begin + 1); }};
}
void fill(CosServer& server) {
    server.change([](Cos& cos) { cos = store(); });
}

TEST(CosDouble, KeepsWhatIsPutUntilItIsDeleted) {
    CosServer server(options());
    fill(server);
    const std::string body(200'000, 'x');
    const Reply put = exchange(server, {.method = "PUT", .key = "probe/头 像.jpg"}, body);
    ASSERT_EQ(put.status, 200) << put.failed.message() << put.body;
    EXPECT_THAT(server.objects(), ElementsAre(std::string(bucket) + "/probe/头 像.jpg"));
    EXPECT_EQ(server.object(bucket, "probe/头 像.jpg"), body);
    const Reply got = exchange(server, {.key = "probe/头 像.jpg"});
    EXPECT_EQ(got.body, body);
    EXPECT_EQ(got.headers.at("ETag"), put.headers.at("ETag"));
    const Reply head = exchange(server, {.method = "HEAD", .key = "probe/头 像.jpg"});
    EXPECT_EQ(head.status, 200);
    EXPECT_EQ(head.headers.at("Content-Length"), "200000");
    EXPECT_EQ(exchange(server, {.key = "probe/头 像.jpg", .headers = {{"Range", "bytes=199999-"}}}).body,
              "x");
    EXPECT_EQ(exchange(server, {.method = "DELETE", .key = "probe/头 像.jpg"}).status, 204);
    EXPECT_TRUE(server.objects().empty());
    EXPECT_EQ(exchange(server, {.method = "HEAD", .key = "probe/头 像.jpg"}).status, 404);
    EXPECT_TRUE(server.wait_until([](const CosSeen& seen) { return seen.count(CosCall::head_object) == 2; }));
    server.forget();
    EXPECT_TRUE(server.seen().calls.empty());
}

TEST(CosDouble, AnswersOneRequestAfterAnotherOnAConnection) {
    CosServer server(options());
    fill(server);
    asio::io_context io;
    asio::ip::tcp::socket socket(io);
    socket.connect({asio::ip::make_address("127.0.0.1"), server.port()});
    for (const char* key : {"a", "b"}) {
        http::write(
            socket,
            message(request({.method = "PUT", .key = key, .headers = {{"Content-Length", "1"}}}), "x"));
        beast::flat_buffer buffer;
        http::response<http::string_body> answer;
        http::read(socket, buffer, answer);
        EXPECT_EQ(answer.result_int(), 200U);
    }
    // Refused, with a body that is not the next request.
    http::write(
        socket,
        message(request({.method = "PUT", .key = "c", .headers = {{"Content-Length", "1"}}, .secret = "yek"}),
                "x"));
    http::write(socket, message(request({.key = "a"}), ""));
    beast::flat_buffer buffer;
    for (const unsigned status : {403U, 200U}) {
        http::response<http::string_body> answer;
        http::read(socket, buffer, answer);
        EXPECT_EQ(answer.result_int(), status);
    }
    EXPECT_THAT(server.objects(), ElementsAre(std::string(bucket) + "/a", std::string(bucket) + "/b"));
}

TEST(CosDouble, GivesLeaveToSendABodyOnlyIfItWantsIt) {
    CosServer server(options());
    fill(server);
    for (const auto& [secret, first] : std::map<std::string, std::string>{
             {"key", "HTTP/1.1 100 Continue"}, {"yek", "HTTP/1.1 403 Forbidden"}}) {
        asio::io_context io;
        asio::ip::tcp::socket socket(io);
        socket.connect({asio::ip::make_address("127.0.0.1"), server.port()});
        auto asked = message(request({.method = "PUT",
                                      .key = "o",
                                      .headers = {{"Content-Length", "1"}, {"Expect", "100-continue"}},
                                      .secret = secret}),
                             "");
        http::request_serializer<http::string_body> serializer(asked);
        http::write_header(socket, serializer);
        std::string line(first.size(), '\0');
        asio::read(socket, asio::buffer(line));
        EXPECT_EQ(line, first);
    }
}

TEST(CosDouble, KeepsALargeObjectInAFile) {
    CosServer server(options());
    fill(server);
    std::string body((std::size_t{64} << 20U) + 12'345, '\0');
    for (std::size_t i = 0; i < body.size(); i += 4096) body[i] = static_cast<char>(i >> 12U);
    const Reply put = exchange(server, {.method = "PUT", .key = "large"}, body, 60s);
    ASSERT_EQ(put.status, 200) << put.failed.message();
    const Reply got = exchange(server, {.key = "large"}, {}, 60s);
    EXPECT_EQ(got.status, 200);
    EXPECT_TRUE(got.body == body);
    EXPECT_EQ(got.headers.at("x-cos-hash-crc64ecma"), std::to_string(practice::cos_crc64(0, body)));
}

TEST(CosDouble, ABodyCutShortIsNotKept) {
    CosServer server(options());
    fill(server);
    asio::io_context io;
    asio::ip::tcp::socket socket(io);
    socket.connect({asio::ip::make_address("127.0.0.1"), server.port()});
    http::write(socket,
                message(request({.method = "PUT", .key = "o", .headers = {{"Content-Length", "9"}}}), "x"));
    socket.shutdown(asio::ip::tcp::socket::shutdown_send);
    beast::flat_buffer buffer;
    http::response<http::string_body> answer;
    http::read(socket, buffer, answer);
    EXPECT_THAT(answer.body(), HasSubstr("<Code>IncompleteBody</Code>"));
    EXPECT_TRUE(server.objects().empty());
}

struct FaultCase {
    const char* what;
    CosCall call;
    CosFault fault;
    void (*see)(CosServer& server);
};
const Ask put_o{.method = "PUT", .key = "o"};
const Ask get_o{.key = "o"};
const FaultCase fault_cases[] = {
    {"refused",
     CosCall::put_object,
     {.code = "AccessDenied"},
     [](CosServer& server) {
         const Reply reply = exchange(server, put_o, "new");
         EXPECT_EQ(reply.status, 403);
         EXPECT_THAT(reply.body, HasSubstr("<Code>AccessDenied</Code>\n\t<Message>Access Denied.</Message>"));
         EXPECT_EQ(server.object(bucket, "o"), "content");
         EXPECT_EQ(exchange(server, get_o).status, 200) << "the other calls go on";
     }},
    {"expired",
     CosCall::get_object,
     {.code = "AccessDenied", .message = "Request has expired"},
     [](CosServer& server) {
         EXPECT_THAT(exchange(server, get_o).body, HasSubstr("<Message>Request has expired</Message>"));
     }},
    {"slow_down",
     CosCall::get_object,
     {.code = "SlowDown"},
     [](CosServer& server) { EXPECT_EQ(exchange(server, get_o).status, 503); }},
    {"arrears",
     CosCall::get_object,
     {.code = "UnavailableForLegalReasons"},
     [](CosServer& server) { EXPECT_EQ(exchange(server, get_o).status, 451); }},
    {"arrears_by_another_number",
     CosCall::get_object,
     {.code = "Arrears", .status = 402},
     [](CosServer& server) { EXPECT_EQ(exchange(server, get_o).status, 402); }},
    {"hangs",
     CosCall::get_object,
     {.hang = true},
     [](CosServer& server) { EXPECT_EQ(exchange(server, get_o, {}, 100ms).failed, beast::error::timeout); }},
    {"drops_after_header",
     CosCall::delete_object,
     {.drop = CosDrop::after_header},
     [](CosServer& server) {
         const Reply reply = exchange(server, {.method = "DELETE", .key = "o"});
         EXPECT_EQ(reply.failed, http::error::end_of_stream);
         EXPECT_EQ(server.object(bucket, "o"), "content");
         EXPECT_EQ(server.seen().calls.back().status, 0);
     }},
    {"drops_after_body",
     CosCall::put_object,
     {.drop = CosDrop::after_body},
     [](CosServer& server) {
         EXPECT_EQ(exchange(server, put_o, "new").failed, http::error::end_of_stream);
         EXPECT_EQ(server.object(bucket, "o"), "new");
     }},
    {"drops_amid_answer",
     CosCall::get_object,
     {.drop = CosDrop::amid_answer},
     [](CosServer& server) { EXPECT_EQ(exchange(server, get_o).failed, http::error::partial_message); }},
    {"corrupts_a_get",
     CosCall::get_object,
     {.corrupt = true},
     [](CosServer& server) {
         const Reply reply = exchange(server, get_o);
         EXPECT_EQ(reply.status, 200);
         EXPECT_EQ(reply.body, "conuent");
         EXPECT_EQ(reply.headers.at("ETag"), "\"9a0364b9e99bb480dd25e1f0284c8555\"");
     }},
    {"corrupts_a_put",
     CosCall::put_object,
     {.corrupt = true},
     [](CosServer& server) {
         EXPECT_EQ(exchange(server, put_o, "new").status, 200);
         EXPECT_EQ(server.object(bucket, "o"), "ndw");
     }},
    {"corrupts_a_put_with_its_digest",
     CosCall::put_object,
     {.corrupt = true},
     [](CosServer& server) {
         Ask ask = put_o;
         ask.headers.emplace_back("Content-MD5", "IqMUbKpTHa51YnzTrYfOBQ==");
         const Reply reply = exchange(server, ask, "new");
         EXPECT_EQ(reply.status, 400);
         EXPECT_THAT(reply.body, HasSubstr("BadDigest"));
     }},
    {"truncates",
     CosCall::get_object,
     {.truncate = 3},
     [](CosServer& server) {
         const Reply reply = exchange(server, get_o);
         EXPECT_EQ(reply.failed, http::error::partial_message);
         EXPECT_EQ(reply.headers.at("Content-Length"), "7");
         EXPECT_EQ(reply.body, "con");
     }},
    {"loses",
     CosCall::put_object,
     {.lose = true},
     [](CosServer& server) {
         EXPECT_EQ(exchange(server, {.method = "PUT", .key = "lost"}, "new").status, 200);
         EXPECT_EQ(exchange(server, {.key = "lost"}).status, 404);
     }},
    {"lies_in_etag",
     CosCall::head_object,
     {.wrong_etag = true},
     [](CosServer& server) {
         const Reply reply = exchange(server, {.method = "HEAD", .key = "o"});
         EXPECT_NE(reply.headers.at("ETag"), exchange(server, get_o).headers.at("ETag"));
     }},
    {"lies_in_crc64",
     CosCall::put_object,
     {.wrong_crc64 = true},
     [](CosServer& server) {
         const Reply reply = exchange(server, put_o, "0123456789");
         EXPECT_EQ(reply.headers.at("x-cos-hash-crc64ecma"), "2838902930144391967");
         EXPECT_EQ(exchange(server, get_o).headers.at("x-cos-hash-crc64ecma"), "2838902930144391966");
     }},
};

class CosDoubleFault : public testing::TestWithParam<FaultCase> {};

TEST_P(CosDoubleFault, IsSeenAndGoes) {
    CosServer server(options());
    fill(server);
    ASSERT_EQ(exchange(server, put_o, "content").status, 200);
    server.behave({.calls = {{GetParam().call, GetParam().fault}}});
    GetParam().see(server);
    server.behave({});
    EXPECT_EQ(exchange(server, put_o, "content").status, 200);
    EXPECT_EQ(exchange(server, get_o).body, "content");
}
INSTANTIATE_TEST_SUITE_P(All, CosDoubleFault, testing::ValuesIn(fault_cases),
                         [](const auto& one) { return std::string(one.param.what); });

TEST(CosDouble, ADelayedAnswerComesAfterTheDelay) {
    CosServer server(options());
    fill(server);
    CosFault late;
    late.delay = 300ms;
    server.behave({.calls = {{CosCall::get_bucket, late}}});
    EXPECT_EQ(exchange(server, {}, {}, 100ms).failed, beast::error::timeout);
    EXPECT_EQ(exchange(server, {}).status, 200);
}

TEST(CosDouble, ItsClockIsInDate) {
    CosServer server(options());
    fill(server);
    server.behave({.clock_offset = 24h});
    const Reply reply = exchange(server, {});
    EXPECT_THAT(reply.body, HasSubstr("<Message>Request has expired</Message>"));
    EXPECT_EQ(reply.headers.at("Date"), "Wed, 15 Nov 2023 22:13:21 GMT");
}

TEST(CosDouble, VanishesAndReappears) {
    CosServer server(options());
    fill(server);
    server.vanish();
    EXPECT_EQ(exchange(server, {}).failed, asio::error::connection_refused);
    server.reappear();
    EXPECT_EQ(exchange(server, {}).status, 200);
}

TEST(CosDouble, SpeaksTls) {
    if (practice::find_program("openssl").empty())
        GTEST_SKIP() << "openssl is missing: apt-get install openssl";
    const CertificateFiles certificate({bucket_host});
    CosServer::Options with_tls = options();
    with_tls.certificate = certificate.certificate();
    with_tls.private_key = certificate.private_key();
    CosServer server(with_tls);
    fill(server);
    asio::io_context io;
    asio::ssl::context context(asio::ssl::context::tls_client);
    context.load_verify_file(certificate.certificate().string());
    beast::ssl_stream<beast::tcp_stream> stream(io, context);
    stream.set_verify_mode(asio::ssl::verify_peer);
    stream.set_verify_callback(asio::ssl::host_name_verification(bucket_host));
    beast::get_lowest_layer(stream).socket().connect(
        {asio::ip::make_address("127.0.0.1"), server.tls_port()});
    stream.handshake(asio::ssl::stream_base::client);
    Reply reply;
    converse(stream, message(request({}), ""), "GET", reply);
    EXPECT_EQ(reply.status, 200) << reply.failed.message();
}

}  // namespace
}  // namespace livecanary::test
