// The vendor's own SDK, cos-nodejs-sdk-v5, against the practice object store: it must be served, and be
// refused for each thing that can be wrong with a configuration. And against our own signatures.
#include <chrono>
#include <filesystem>
#include <fstream>
#include <map>
#include <random>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <boost/json.hpp>

#include "probes/protocol/cos_sign.hpp"
#include "tests/integration/servers.hpp"
#include "tests/practice/cos_server.hpp"
#include "tests/practice/process.hpp"

namespace livecanary::test {
namespace {

using namespace std::chrono_literals;
namespace json = boost::json;
using practice::Cos;
using practice::CosCall;
using practice::CosFault;
using practice::CosRequest;
using practice::CosServer;
using testing::HasSubstr;

const std::filesystem::path client =
    std::filesystem::path(LIVECANARY_SOURCE_DIR) / "tests" / "integration" / "node" / "cos_client.js";

/// Whom the SDK is told to be, and whom to talk to.
struct Sdk {
    std::string secret_id = "practice-id";
    std::string secret_key = "practice-key";
    std::string token{};
    std::string bucket = "cover-1250000000";
    std::string region = "ap-shanghai";
    std::string key = "probe/头像 (1)+a&b=c'd!e*f~g@h.jpg";
    std::vector<std::string> more{};  ///< arguments besides
};

/// What came of each call, in the SDK's words.
std::vector<json::object> call(const CosServer& server, const Sdk& sdk,
                               const std::vector<std::string>& calls) {
    const practice::TemporaryDirectory directory("livecanary-cos");
    std::vector<std::string> argv{"node",     client.string(), "--port",   std::to_string(server.port()),
                                  "--bucket", sdk.bucket,      "--region", sdk.region,
                                  "--key",    sdk.key};
    argv.insert(argv.end(), sdk.more.begin(), sdk.more.end());
    argv.insert(argv.end(), calls.begin(), calls.end());
    std::map<std::string, std::string> env{{"SECRET_ID", sdk.secret_id}, {"SECRET_KEY", sdk.secret_key}};
    if (!sdk.token.empty()) env["SECURITY_TOKEN"] = sdk.token;
    practice::Process node(
        {.argv = std::move(argv), .env = std::move(env), .output = directory.path() / "out"});
    EXPECT_EQ(node.wait_for(30s), 0) << node.output();
    std::vector<json::object> told;
    std::istringstream lines(node.output());
    for (std::string line; std::getline(lines, line);)
        if (line.starts_with('{')) told.push_back(json::parse(line).as_object());
    EXPECT_EQ(told.size(), calls.size()) << node.output();
    told.resize(calls.size());
    return told;
}

std::string text(const json::object& told, const char* name) {
    const auto* const value = told.if_contains(name);
    if (value == nullptr) return "";
    return value->is_string() ? std::string(value->as_string()) : json::serialize(*value);
}

class CosSdk : public testing::Test {
protected:
    void SetUp() override {
        LIVECANARY_NEEDS(Need::node);
        const bool installed = exists(client.parent_path() / "node_modules" / "cos-nodejs-sdk-v5");
        if (!installed && !under_ci())
            GTEST_SKIP() << "cos-nodejs-sdk-v5 is missing: npm ci in tests/integration/node";
        ASSERT_TRUE(installed) << "cos-nodejs-sdk-v5 is missing: npm ci in tests/integration/node";
        server_.change([](Cos& cos) {
            cos.accounts["1250000000"].keys["practice-id"] = {.secret_key = "practice-key"};
            cos.accounts["1250000000"].keys["reader"] = {.secret_key = "practice-key",
                                                         .may = {CosCall::head_object, CosCall::get_object}};
            cos.accounts["1250000000"].temporary_keys["temporary"] = {
                .secret_key = "practice-key",
                .token = "token/+=",
                .expires = std::chrono::system_clock::now() + 1h};
            cos.buckets["cover-1250000000"] = {.region = "ap-shanghai"};
        });
    }
    CosServer server_;
};

TEST_F(CosSdk, PutsHeadsGetsListsAndDeletes) {
    Sdk sdk;
    sdk.more = {"--size", "100000", "--content-md5"};
    const auto told =
        call(server_, sdk, {"put", "head", "get", "list", "service", "delete", "head", "delete"});
    for (std::size_t i = 0; i < 6; ++i) EXPECT_EQ(text(told[i], "ok"), "true") << json::serialize(told[i]);
    const std::string md5 = text(told[0], "md5");
    EXPECT_EQ(text(told[0], "etag"), "\"" + md5 + "\"");
    EXPECT_EQ(text(told[1], "etag"), "\"" + md5 + "\"");
    EXPECT_EQ(text(told[1], "size"), "100000");
    EXPECT_FALSE(text(told[1], "crc64").empty());
    EXPECT_EQ(text(told[2], "md5"), md5);
    EXPECT_EQ(text(told[2], "size"), "100000");
    EXPECT_EQ(text(told[2], "type"), "image/jpeg");
    EXPECT_EQ(text(told[3], "keys"), json::serialize(json::array{json::string(sdk.key)}));
    EXPECT_EQ(text(told[3], "truncated"), "false");
    EXPECT_EQ(text(told[4], "buckets"), R"(["cover-1250000000 ap-shanghai"])");
    EXPECT_EQ(text(told[5], "status"), "204");
    EXPECT_EQ(text(told[6], "ok"), "false");
    EXPECT_EQ(text(told[6], "status"), "404");
    EXPECT_EQ(text(told[7], "status"), "204");
    EXPECT_TRUE(server_.objects().empty());
    EXPECT_EQ(server_.seen().calls.size(), 8U) << "the SDK had to try again";
    EXPECT_THAT(server_.seen().calls[0].signed_headers, HasSubstr("content-md5;content-type;host"));
}

TEST_F(CosSdk, IsServedWithATemporaryKey) {
    Sdk sdk{.secret_id = "temporary", .token = "token/+="};
    for (const auto& told : call(server_, sdk, {"put", "get", "delete"}))
        EXPECT_EQ(text(told, "ok"), "true") << json::serialize(told);
    sdk.token = "other";
    EXPECT_EQ(text(call(server_, sdk, {"put"})[0], "code"), "InvalidAccessKeyId");
}

TEST_F(CosSdk, ItsPresignedUrlVerifies) {
    const auto told = call(server_, {}, {"put", "url"});
    const std::string url = text(told[1], "url");
    const std::string host = "cover-1250000000.cos.ap-shanghai.myqcloud.com";
    ASSERT_TRUE(url.starts_with("http://" + host + "/")) << url;
    CosRequest asked{.method = "GET", .target = url.substr(url.find('/', 8)), .headers = {{"Host", host}}};
    const auto code = [&] {
        std::string refused;
        server_.change([&](const Cos& cos) {
            const auto ruling = cos.judge(asked, std::chrono::system_clock::now());
            if (ruling.error) refused = ruling.error->code;
        });
        return refused;
    };
    EXPECT_EQ(code(), "");
    asked.target.insert(1, "x");
    EXPECT_EQ(code(), "SignatureDoesNotMatch");
}

struct SdkRefusal {
    const char* what;
    Sdk sdk;
    std::string status, code, message;
};

TEST_F(CosSdk, IsRefusedForEachThingThatCanBeWrong) {
    const SdkRefusal refusals[] = {
        {"wrong key",
         {.secret_key = "other"},
         "403",
         "SignatureDoesNotMatch",
         "The Signature you specified is invalid."},
        {"wrong id", {.secret_id = "other"}, "403", "InvalidAccessKeyId", ""},
        {"wrong bucket", {.bucket = "covers-1250000000"}, "404", "NoSuchBucket", ""},
        {"wrong APPID", {.bucket = "cover-1250000001"}, "404", "NoSuchBucket", ""},
        {"wrong region", {.region = "ap-beijing"}, "404", "NoSuchBucket", ""},
        {"no right", {.secret_id = "reader"}, "403", "AccessDenied", "Access Denied."},
        {"clock a day behind",
         {.more = {"--clock-offset-ms=-86400000"}},
         "403",
         "AccessDenied",
         "Request has expired"},
        {"clock a day ahead", {.more = {"--clock-offset-ms=86400000"}}, "403", "RequestTimeTooSkewed", ""},
    };
    for (const SdkRefusal& refusal : refusals) {
        SCOPED_TRACE(refusal.what);
        const auto told = call(server_, refusal.sdk, {"put", "list"});
        EXPECT_EQ(text(told[0], "ok"), "false");
        EXPECT_EQ(text(told[0], "status"), refusal.status);
        EXPECT_EQ(text(told[0], "code"), refusal.code);
        EXPECT_THAT(text(told[0], "message"), HasSubstr(refusal.message));
        EXPECT_EQ(text(told[1], "code"), refusal.code);
    }
    EXPECT_TRUE(server_.objects().empty());
}

TEST_F(CosSdk, ReadsFaultsAsThoseOfCos) {
    CosFault refusal;
    refusal.code = "AccessDenied";
    CosFault corrupt;
    corrupt.corrupt = true;
    server_.behave({.calls = {{CosCall::put_object, corrupt}, {CosCall::get_bucket, refusal}}});
    Sdk sdk;
    sdk.more = {"--size", "1000", "--content-md5"};
    const auto told = call(server_, sdk, {"put", "list"});
    EXPECT_EQ(text(told[0], "code"), "BadDigest");
    EXPECT_EQ(text(told[1], "code"), "AccessDenied");
}

/// A request of random parts, in every part the characters that are easily encoded wrongly.
class RandomRequests {
public:
    /// As cos_client.js reads it, and as the store is sent it, still without its authorization.
    std::pair<json::object, CosRequest> next() {
        const std::string host = "cover-1250000000.cos.ap-shanghai.myqcloud.com";
        const std::string key = one_of(hard, 1, 20);
        CosRequest sent{.method = one_of({"GET", "PUT", "HEAD", "DELETE", "POST"}, 1, 1),
                        .target = "/" + practice::cos_encoded(key),
                        .headers = {{"Host", host}, {"Content-Length", "0"}}};
        std::map<std::string, std::string> query;
        for (std::size_t i = pick(4); i > 0; --i) query["n" + one_of(orderly, 0, 8)] = one_of(hard, 0, 8);
        json::object asked_query;
        for (const auto& [name, value] : query) {
            sent.target += (asked_query.empty() ? "?" : "&") + practice::cos_encoded(name);
            if (!value.empty() || pick(2) == 0) sent.target += "=" + practice::cos_encoded(value);
            asked_query[name] = value;
        }
        for (const char* name : {"Content-Type", "Range", "If-None-Match", "x-cos-meta-Note", "x-cos-acl"})
            if (pick(3) == 0) sent.headers.emplace_back(name, one_of(hard, 1, 12));
        json::object asked_headers;
        for (const auto& [name, value] : sent.headers) asked_headers[name] = value;
        sent.headers.emplace_back("User-Agent", "not signed");
        return {{{"Method", sent.method},
                 {"Key", key},
                 {"Query", asked_query},
                 {"Headers", asked_headers},
                 {"KeyTime", "1700000000;1700003600"}},
                sent};
    }

private:
    std::size_t pick(std::size_t below) {
        return std::uniform_int_distribution<std::size_t>(0, below - 1)(random_);
    }
    std::string one_of(const std::vector<std::string>& parts, std::size_t least, std::size_t most) {
        std::string made;
        for (std::size_t i = least + pick(most - least + 1); i > 0; --i) made += parts[pick(parts.size())];
        return made;
    }

    std::mt19937 random_{20261126};
    const std::vector<std::string> hard{"a",  "Z", "0",  "-", "_", ".", "~", "!",   "'", "(",  ")", "*", "%",
                                        "+",  "&", "=",  ";", "/", "?", "#", "@",   "$", ",",  ":", "[", "]",
                                        "\"", "<", "\\", "|", "^", "`", "{", "%2F", "é", "头", "😀"};
    // Names of parameters: the SDK sorts them before it encodes them, the documents (436/7778) after. The two
    // orders differ where one name has an encoded character above '-' and another has one that is not
    // encoded.
    const std::vector<std::string> orderly{"a", "b", "0", "9", "-", "_", ".",
                                           "~", " ", "!", "(", "*", "+", "&"};
};

constexpr std::size_t thousand = 1000;

/// A thousand requests, and the SDK's authorization of each.
void sign_a_thousand(std::vector<json::object>& asked, std::vector<CosRequest>& sent,
                     std::vector<std::string>& authorizations) {
    const practice::TemporaryDirectory directory("livecanary-cos");
    RandomRequests random;
    {
        std::ofstream lines(directory.path() / "requests");
        for (std::size_t i = 0; i < thousand; ++i) {
            auto [line, request] = random.next();
            lines << json::serialize(line) << "\n";
            asked.push_back(std::move(line));
            sent.push_back(std::move(request));
        }
    }
    practice::Process node({.argv = {"sh", "-c", "exec node \"$0\" --sign < \"$1\"", client.string(),
                                     (directory.path() / "requests").string()},
                            .env = {{"SECRET_ID", "practice-id"}, {"SECRET_KEY", "practice-key"}},
                            .output = directory.path() / "out"});
    ASSERT_EQ(node.wait_for(30s), 0) << node.output();
    std::istringstream lines(node.output());
    for (std::string line; std::getline(lines, line);)
        authorizations.emplace_back(json::parse(line).as_string());
    ASSERT_EQ(authorizations.size(), thousand) << node.output();
}

TEST_F(CosSdk, AThousandOfItsSignaturesVerify) {
    std::vector<json::object> asked;
    std::vector<CosRequest> sent;
    std::vector<std::string> authorizations;
    ASSERT_NO_FATAL_FAILURE(sign_a_thousand(asked, sent, authorizations));
    const std::chrono::system_clock::time_point then(1'700'000'000s);
    server_.change([&](const Cos& cos) {
        for (std::size_t i = 0; i < thousand; ++i) {
            CosRequest& request = sent[i];
            request.headers.emplace_back("Authorization", authorizations[i]);
            // NotImplemented is said once the signature is right.
            const auto right = cos.judge(request, then);
            EXPECT_TRUE(!right.error || right.error->code == "NotImplemented")
                << right.error->code << ": " << request.target << "\n"
                << authorizations[i] << "\n"
                << right.http_string;
            request.target.insert(1, "x");
            const auto wrong = cos.judge(request, then);
            ASSERT_TRUE(wrong.error);
            EXPECT_EQ(wrong.error->code, "SignatureDoesNotMatch");
        }
    });
}

/// The fields of a request as the SDK is given them.
std::vector<protocol::CosField> fields(const json::object& asked, const char* name) {
    std::vector<protocol::CosField> fields;
    for (const auto& [key, value] : asked.at(name).as_object())
        fields.push_back({std::string(key), std::string(value.as_string())});
    return fields;
}

TEST_F(CosSdk, AThousandOfOurSignaturesAreThatOfTheSdk) {
    std::vector<json::object> asked;
    std::vector<CosRequest> sent;
    std::vector<std::string> authorizations;
    ASSERT_NO_FATAL_FAILURE(sign_a_thousand(asked, sent, authorizations));
    const auto key_time = protocol::parse_key_time("1700000000;1700003600");
    ASSERT_TRUE(key_time);
    const std::string sign_key = protocol::cos_sign_key("practice-key", *key_time);
    const auto authorization = [&](const protocol::CosRequest& request) {
        return protocol::cos_sign(request, "practice-id", sign_key, *key_time).header();
    };
    for (std::size_t i = 0; i < thousand; ++i) {
        protocol::CosRequest request{.method = sent[i].method,
                                     .path = "/" + std::string(asked[i].at("Key").as_string()),
                                     .parameters = fields(asked[i], "Query"),
                                     .headers = fields(asked[i], "Headers")};
        std::erase_if(request.headers,
                      [](const auto& header) { return !protocol::cos_sdk_signs(header.name); });
        EXPECT_EQ(authorization(request), authorizations[i]) << json::serialize(asked[i]);
        // The same, read off the wire.
        const auto read = protocol::cos_request(
            sent[i].method, "http://" + std::string(sent[i].header("host").value_or("")) + sent[i].target,
            request.headers);
        ASSERT_TRUE(read) << read.error().message() << ": " << sent[i].target;
        EXPECT_EQ(authorization(*read), authorizations[i]) << sent[i].target;
    }
}

}  // namespace
}  // namespace livecanary::test
