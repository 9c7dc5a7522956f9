// The signature of COS's XML API: made, read, checked.
#include "probes/protocol/cos_sign.hpp"

#include <gtest/gtest.h>
#include <boost/json.hpp>

#include <fstream>
#include <sstream>

#include "probes/protocol/ascii.hpp"
#include "probes/protocol/digest.hpp"
#include "probes/protocol/percent_encoding.hpp"

namespace livecanary::protocol {
namespace {

using std::chrono::seconds;
using std::chrono::sys_seconds;
using Mistake = CosMatch::Mistake;

sys_seconds unix_time(std::int64_t count) { return sys_seconds(seconds(count)); }

boost::json::value vectors() {
    std::ifstream file(LIVECANARY_TESTDATA "/vectors.json");
    std::stringstream text;
    text << file.rdbuf();
    return boost::json::parse(text.str());
}

std::string text_of(const boost::json::value& from, const char* name) {
    return boost::json::value_to<std::string>(from.at(name));
}

std::vector<CosField> fields_of(const boost::json::value& object) {
    std::vector<CosField> fields;
    for (const auto& [name, value] : object.as_object())
        fields.push_back({std::string(name), std::string(value.as_string())});
    return fields;
}

CosRequest request_of(const boost::json::value& in) {
    return {.method = text_of(in, "method"),
            .path = text_of(in, "uri_pathname_signed"),
            .parameters = fields_of(in.at("query")),
            .headers = fields_of(in.at("signed_headers"))};
}

TEST(CosSign, AgreesWithEveryVector) {
    const auto document = vectors();
    const auto& all = document.at("cos_v5").as_array();
    ASSERT_GE(all.size(), 15U);
    int by_sign_key = 0;
    for (const auto& vector : all) {
        SCOPED_TRACE(text_of(vector, "id"));
        const auto& in = vector.at("in");
        const auto request = request_of(in);
        const auto key_time = parse_key_time(text_of(in, "key_time"));
        ASSERT_TRUE(key_time);
        // One vector has the SignKey of a backend instead of a SecretKey.
        const bool has_secret_key = in.at("secret_key").is_string();
        if (!has_secret_key) ++by_sign_key;
        const std::string sign_key = has_secret_key ? cos_sign_key(text_of(in, "secret_key"), *key_time)
                                                    : text_of(in, "sign_key_from_backend");
        EXPECT_EQ(sign_key, text_of(vector, "sign_key"));
        EXPECT_EQ(cos_http_string(request), text_of(vector, "http_string"));
        EXPECT_EQ(cos_string_to_sign(request, *key_time), text_of(vector, "string_to_sign"));
        const auto authorization = cos_sign(request, text_of(in, "secret_id"), sign_key, *key_time);
        EXPECT_EQ(authorization.signature, text_of(vector, "signature"));
        EXPECT_EQ(authorization.header(), text_of(vector, "authorization"));

        const auto read = parse_cos_authorization(text_of(vector, "authorization"));
        ASSERT_TRUE(read) << read.error().message();
        EXPECT_EQ(*read, authorization);
        EXPECT_EQ(*parse_cos_query(authorization.query()), authorization);
        const auto found = check_cos(*read, request, {.sign_key = sign_key}, key_time->start);
        EXPECT_TRUE(found.match.exact());
        EXPECT_TRUE(found.lists_canonical && found.algorithm_known);
        EXPECT_TRUE(found.missing_headers.empty() && found.missing_parameters.empty());
        EXPECT_TRUE(found.unsigned_headers.empty() && found.unsigned_parameters.empty());

        if (const auto* const wire = in.as_object().if_contains("uri_pathname_on_wire");
            wire != nullptr && text_of(vector, "produced_by").starts_with("cos-nodejs")) {
            EXPECT_EQ(percent_encode_path(request.path), wire->as_string());
        }
    }
    EXPECT_EQ(by_sign_key, 1);
}

TEST(CosSign, AgreesWithEveryPresignedVector) {
    const auto document = vectors();
    const auto& all = document.at("cos_v5_presigned").as_array();
    ASSERT_FALSE(all.empty());
    for (const auto& vector : all) {
        const auto authorization = parse_cos_authorization(text_of(vector.at("in"), "authorization"));
        ASSERT_TRUE(authorization);
        EXPECT_EQ(authorization->query(), text_of(vector, "query_string"));
        const std::string url = text_of(vector, "url");
        EXPECT_EQ(cos_signed_url(url.substr(0, url.find('?')), *authorization), url);
        EXPECT_EQ(cos_signed_url(url, *authorization), url);
        EXPECT_EQ(*parse_cos_query(text_of(vector, "query_string")), *authorization);
    }
}

TEST(CosSign, AgreesWithTheVectorOfTheBackend) {
    const auto document = vectors();
    for (const auto& vector : document.at("backend").as_array()) {
        if (text_of(vector, "id") != "get_cos_sign_signkey") continue;
        const auto& in = vector.at("in");
        EXPECT_EQ(cos_sign_key(text_of(in, "COSKEY_SECRECTKEY"), *parse_key_time(text_of(in, "keyTime"))),
                  text_of(vector, "signKey"));
        return;
    }
    FAIL() << "no such vector";
}

TEST(CosKeyTime, IsTakenOnlyAsItIsWritten) {
    for (const char* const text : {"1700000000;1700003600", "0;0", "5;4", "99999999999;0"})
        EXPECT_EQ(parse_key_time(text)->to_string(), text);
    for (const char* const text : {"", ";", "1", "1;", ";1", "1;2;3", "01;2", "1;02", "-1;2", "+1;2", " 1;2",
                                   "1; 2", "1;2 ", "1,2", "123456789012;1", "1;0x2"})
        EXPECT_EQ(parse_key_time(text).error(), CosSignError::bad_time) << text;
}

TEST(CosRequest, IsReadFromItsUrl) {
    const auto request = cos_request(
        "put",
        "https://b-1.cos.ap-x.myqcloud.com:443/probe/%E6%B5%8B%20(1)+a?acl&Prefix=a%2Fb+c&&q-ak=x&"
        "q-signature=0",
        {{"Content-Type", "text/plain"}});
    ASSERT_TRUE(request) << request.error().message();
    EXPECT_EQ(
        *request,
        (CosRequest{.method = "put",
                    .path = "/probe/测 (1)+a",
                    .parameters = {{"acl", ""}, {"Prefix", "a/b+c"}},
                    .headers = {{"Content-Type", "text/plain"}, {"Host", "b-1.cos.ap-x.myqcloud.com"}}}));
    EXPECT_EQ(cos_request("GET", "http://h:80")->headers, (std::vector<CosField>{{"Host", "h"}}));
    EXPECT_EQ(cos_request("GET", "http://h:443")->headers, (std::vector<CosField>{{"Host", "h:443"}}));
    EXPECT_EQ(cos_request("GET", "http://h?a=b")->path, "/");
    EXPECT_EQ(cos_request("GET", "http://h/中")->path, "/中");
    EXPECT_EQ(cos_request("GET", "http://h/", {{"hOST", "x"}})->headers,
              (std::vector<CosField>{{"hOST", "x"}}));
}

TEST(CosRequest, SaysWhatIsWrong) {
    struct Case {
        const char* method;
        std::string url;
        CosSignError error;
    };
    const Case cases[] = {
        {"", "http://h/", CosSignError::bad_method},
        {"PUT /", "http://h/", CosSignError::bad_method},
        {"PUT", "", CosSignError::bad_url},
        {"PUT", "h/a", CosSignError::bad_url},
        {"PUT", "ftp://h/a", CosSignError::bad_url},
        {"PUT", "http:///a", CosSignError::bad_url},
        {"PUT", "http://?a", CosSignError::bad_url},
        {"PUT", "http://user:word@h/a", CosSignError::bad_url},
        {"PUT", "http://h/a#b", CosSignError::bad_url},
        {"PUT", "http://h/a b", CosSignError::forbidden_byte},
        {"PUT", "http://h/a\n", CosSignError::forbidden_byte},
        {"PUT", "http://h/%2", CosSignError::bad_escape},
        {"PUT", "http://h/?a%zz", CosSignError::bad_escape},
        {"PUT", "http://h/?a=%", CosSignError::bad_escape},
        {"PUT", "http://h/" + std::string(max_cos_text_size, 'a'), CosSignError::too_long},
    };
    for (const auto& c : cases)
        EXPECT_EQ(cos_request(c.method, c.url).error(), c.error) << c.url.substr(0, 80);
    EXPECT_EQ(reason_of(CosSignError::bad_url), Reason::mismatch);
}

TEST(CosSdkSigns, AsTheVendorsDo) {
    for (const char* const name : {"Host", "x-cos-acl", "X-COS-META-NOTE", "x-ci-a", "If-None-Match", "Range",
                                   "Content-MD5", "Pic-Operations"})
        EXPECT_TRUE(cos_sdk_signs(name)) << name;
    for (const char* const name :
         {"Date", "User-Agent", "x-cos-security-token", "X-Cos-Security-Token", "Accept", ""})
        EXPECT_FALSE(cos_sdk_signs(name)) << name;
}

TEST(CosSign, LeavesOutAParameterWithoutAName) {
    const auto request = cos_request("GET", "http://h/?=x&acl");
    ASSERT_TRUE(request) << request.error().message();
    EXPECT_EQ(cos_http_string(*request), "get\n/\nacl=\nhost=h\n");
    const auto authorization = cos_sign(*request, "AKID", "k", {});
    EXPECT_EQ(authorization.parameter_list, (std::vector<std::string>{"acl"}));
}

const std::string good =
    "q-sign-algorithm=sha1&q-ak=AKID&q-sign-time=1;2&q-key-time=1;2&q-header-list=host;range&q-url-param-"
    "list=&"
    "q-signature=ab";

std::string with(std::string_view from, std::string_view to) {
    std::string text = good;
    return text.replace(text.find(from), from.size(), to);
}

TEST(CosAuthorization, IsReadInAnyOrderAmongOtherFields) {
    const auto read = parse_cos_authorization(
        "q-signature=ab&x=&q-url-param-list=&q-header-list=host;range&q-key-time=1;2&q-sign-time=1;2&q-ak="
        "AKID&"
        "q-sign-algorithm=sha1");
    ASSERT_TRUE(read) << read.error().message();
    EXPECT_EQ(read->header(), good);
    const auto query = parse_cos_query("a=%zz&" + with("1;2", "1%3B2") + "&x-cos-security-token=a");
    ASSERT_TRUE(query) << query.error().message();
    EXPECT_EQ(query->header(), good);
}

TEST(CosAuthorization, SaysWhatIsWrong) {
    struct Case {
        std::string text;
        CosSignError error;
    };
    const Case cases[] = {
        {"", CosSignError::missing_field},
        {"AWS4-HMAC-SHA256", CosSignError::missing_field},
        {with("&q-url-param-list=", ""), CosSignError::missing_field},
        {with("q-ak", "Q-AK"), CosSignError::missing_field},
        {good + "&q-ak=AKID", CosSignError::repeated_field},
        {with("q-sign-time=1;2", "q-sign-time=1"), CosSignError::bad_time},
        {with("q-key-time=1;2", "q-key-time=1%3B2"), CosSignError::bad_time},
        {with("AKID", "AK ID"), CosSignError::forbidden_byte},
        {good + "\n", CosSignError::forbidden_byte},
        {with("AKID", "密"), CosSignError::forbidden_byte},
        {good + std::string(max_cos_text_size, 'a'), CosSignError::too_long},
    };
    for (const auto& c : cases)
        EXPECT_EQ(parse_cos_authorization(c.text).error(), c.error) << c.text.substr(0, 80);
    EXPECT_EQ(parse_cos_query(with("AKID", "%zz")).error(), CosSignError::bad_escape);
    EXPECT_EQ(parse_cos_query(with("AKID", "a%26b")).error(), CosSignError::forbidden_byte);
    EXPECT_EQ(parse_cos_query(with("AKID", "a%0Ab")).error(), CosSignError::forbidden_byte);
    for (const auto error : {CosSignError::too_long, CosSignError::forbidden_byte, CosSignError::bad_method,
                             CosSignError::bad_url, CosSignError::bad_escape, CosSignError::missing_field,
                             CosSignError::repeated_field, CosSignError::bad_time})
        EXPECT_FALSE(make_error_code(error).message().starts_with("error ")) << static_cast<int>(error);
}

TEST(CosAuthorization, CutShortIsRefusedUntilTheSignature) {
    for (std::size_t size = 0; size < good.size(); ++size)
        EXPECT_EQ(parse_cos_authorization(good.substr(0, size)).has_value(),
                  size >= good.find("q-signature") + 11)
            << good.substr(0, size);
}

const std::string secret_key = "BQYIM75p8x0iWVFSIgqEKwFprpRSVHlz";
const KeyTime hour{unix_time(1'700'000'000), unix_time(1'700'003'600)};
const CosRequest put{.method = "PUT",
                     .path = "/probe/a b",
                     .parameters = {{"acl", ""}},
                     .headers = {{"Host", "b-1.cos.ap-x.myqcloud.com"}, {"Content-Type", "text/plain"}}};

CosAuthorization signed_put(const std::string& key = secret_key) {
    return cos_sign(put, "AKID", cos_sign_key(key, hour), hour);
}

CosCheck check(const CosAuthorization& authorization, const CosRequest& request = put,
               const std::string& key = secret_key, std::int64_t after = 60) {
    return check_cos(authorization, request, {.secret_key = key}, hour.start + seconds(after));
}

TEST(CosCheck, TellsWhenItHolds) {
    const auto at = [](std::int64_t after) { return check(signed_put(), put, secret_key, after); };
    EXPECT_TRUE(at(-1).not_yet());
    EXPECT_EQ(at(-30).starts_in, seconds(30));
    EXPECT_FALSE(at(0).not_yet());
    EXPECT_FALSE(at(3599).expired());
    EXPECT_TRUE(at(3600).expired());
    EXPECT_EQ(at(3690).expired_for, seconds(90));
    EXPECT_TRUE(at(3690).match.exact());
    EXPECT_FALSE(at(0).ends_before_start);

    auto narrower = signed_put();
    narrower.sign_time = {hour.start + seconds(100), hour.start + seconds(200)};
    EXPECT_TRUE(check(narrower).times_differ && check(narrower).not_yet());
    EXPECT_TRUE(check(narrower, put, secret_key, 200).expired());
    narrower.sign_time.end = hour.start;
    EXPECT_TRUE(check(narrower).ends_before_start);
}

TEST(CosCheck, HashesTheSignTimeUnderAKeyOfTheKeyTime) {
    auto authorization = signed_put();
    authorization.sign_time.end -= seconds(60);
    authorization.signature = lower_hex(
        hmac(Digest::sha1, cos_sign_key(secret_key, hour), cos_string_to_sign(put, authorization.sign_time)));
    EXPECT_TRUE(check(authorization).match.exact());
}

TEST(CosCheck, TellsAnotherAlgorithm) {
    auto authorization = signed_put();
    authorization.algorithm = "sha256";
    EXPECT_FALSE(check(authorization).algorithm_known);
}

TEST(CosCheck, TellsWhatTheListsAndTheRequestDoNotShare) {
    CosRequest request = put;
    request.headers = {{"HOST", "b-1.cos.ap-x.myqcloud.com"},
                       {"x-cos-acl", "private"},
                       {"Date", "now"},
                       {"x-cos-security-token", "t"}};
    request.parameters = {{"Prefix", "a"}, {"x-cos-security-token", "t"}};
    const auto found = check(signed_put(), request);
    EXPECT_EQ(found.missing_headers, (std::vector<std::string>{"content-type"}));
    EXPECT_EQ(found.missing_parameters, (std::vector<std::string>{"acl"}));
    EXPECT_EQ(found.unsigned_headers, (std::vector<std::string>{"x-cos-acl"}));
    EXPECT_EQ(found.unsigned_parameters, (std::vector<std::string>{"prefix"}));
    EXPECT_EQ(found.match, CosMatch{});
}

TEST(CosCheck, TakesOnlyWhatTheListsName) {
    CosRequest request = put;
    request.headers.push_back({"User-Agent", "x"});
    request.headers.push_back({"x-cos-security-token", "t"});
    EXPECT_TRUE(check(signed_put(), request).match.exact());
}

std::string hashed(const std::string& http, const std::string& key) {
    return lower_hex(
        hmac(Digest::sha1, key, "sha1\n" + hour.to_string() + "\n" + hex_digest(Digest::sha1, http) + "\n"));
}

TEST(CosCheck, TellsTheMistakeOfTheSigner) {
    const std::string sign_key = cos_sign_key(secret_key, hour);
    const std::string host = "host=b-1.cos.ap-x.myqcloud.com", type = "content-type=text%2Fplain";
    const auto binary = hmac(Digest::sha1, secret_key, hour.to_string());

    auto path = signed_put();
    path.signature = hashed("put\n/probe/a%20b\nacl=\n" + type + "&" + host + "\n", sign_key);
    EXPECT_EQ(check(path).match, (CosMatch{.key = KeyFound::main, .mistake = Mistake::path_encoded}));

    auto plain = signed_put();
    plain.signature = hashed("put\n/probe/a b\nacl=\ncontent-type=text/plain&" + host + "\n", sign_key);
    EXPECT_EQ(check(plain).match, (CosMatch{.key = KeyFound::main, .mistake = Mistake::values_not_encoded}));

    auto bytes = signed_put();
    bytes.signature = hashed(cos_http_string(put), std::string(binary.begin(), binary.end()));
    EXPECT_EQ(check(bytes).match, (CosMatch{.key = KeyFound::main, .mistake = Mistake::sign_key_binary}));

    auto unsorted = signed_put();
    unsorted.header_list = {"host", "content-type"};
    unsorted.signature = hashed("put\n/probe/a b\nacl=\n" + host + "&" + type + "\n", sign_key);
    EXPECT_EQ(check(unsorted).match, (CosMatch{.key = KeyFound::main, .mistake = Mistake::unsorted}));
    EXPECT_FALSE(check(unsorted).lists_canonical);

    auto capitals = signed_put();
    capitals.signature = ascii_upper(capitals.signature);
    EXPECT_EQ(check(capitals).match, (CosMatch{.key = KeyFound::main, .capitals = true}));
    EXPECT_FALSE(check(capitals).match.exact());
}

TEST(CosCheck, TellsListsWithCapitals) {
    auto authorization = signed_put();
    authorization.header_list = {"Content-Type", "Host"};
    EXPECT_FALSE(check(authorization).lists_canonical);
    EXPECT_TRUE(check(authorization).missing_headers.empty());
    EXPECT_TRUE(check(authorization).unsigned_headers.empty());
}

TEST(CosCheck, TellsTheKey) {
    EXPECT_TRUE(check(signed_put()).match.exact());
    EXPECT_EQ(check(signed_put("another")).match, CosMatch{});
    EXPECT_EQ(check(signed_put(), put, "").match, CosMatch{});
    EXPECT_EQ(check(signed_put(secret_key + "\n")).match,
              (CosMatch{.key = KeyFound::main, .stray_space = KeySpace::theirs}));
    EXPECT_EQ(check(signed_put(), put, secret_key + " ").match,
              (CosMatch{.key = KeyFound::main, .stray_space = KeySpace::ours}));
    const auto other_time =
        check_cos(signed_put(), put, {.sign_key = cos_sign_key(secret_key, {})}, hour.start);
    EXPECT_EQ(other_time.match, CosMatch{});
    auto flipped = signed_put();
    flipped.signature[0] = flipped.signature[0] == '0' ? '1' : '0';
    EXPECT_EQ(check(flipped).match, CosMatch{});
}

}  // namespace
}  // namespace livecanary::protocol
