// Digests and the texts they travel as: hex, base64, percent-encoding; and what becomes of a copied key.
#include "probes/protocol/digest.hpp"

#include <gtest/gtest.h>
#include <boost/json.hpp>

#include <fstream>
#include <sstream>

#include "probes/protocol/key_text.hpp"
#include "probes/protocol/percent_encoding.hpp"

namespace livecanary::protocol {
namespace {

std::vector<std::uint8_t> bytes_of(std::string_view text) { return {text.begin(), text.end()}; }

TEST(Digest, AgreesWithEveryVectorOfMd5) {
    std::ifstream file(LIVECANARY_TESTDATA "/vectors.json");
    std::stringstream text;
    text << file.rdbuf();
    const auto all = boost::json::parse(text.str()).at("md5").as_array();
    ASSERT_FALSE(all.empty());
    for (const auto& vector : all) {
        const auto in = boost::json::value_to<std::string>(vector.at("in_utf8"));
        EXPECT_EQ(hex_digest(Digest::md5, in), vector.at("etag_hex").as_string());
        EXPECT_EQ(base64(digest(Digest::md5, in)), vector.at("content_md5_base64").as_string());
    }
}

TEST(Digest, IsWhatItsNameSays) {
    // FIPS 180-4 examples of "abc".
    EXPECT_EQ(hex_digest(Digest::sha1, "abc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
    EXPECT_EQ(hex_digest(Digest::sha256, "abc"),
              "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Hmac, AgreesWithRfc2202AndTakesKeysOfAnyLength) {
    EXPECT_EQ(lower_hex(hmac(Digest::sha1, "Jefe", "what do ya want for nothing?")),
              "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
    EXPECT_EQ(lower_hex(hmac(Digest::sha1, std::string(80, '\xaa'),
                             "Test Using Larger Than Block-Size Key - Hash Key First")),
              "aa4ae5e15272d00e95705637ce8a3b55ed402112");
    // printf '' | openssl sha1 -hmac '' (OpenSSL 3.0.17)
    EXPECT_EQ(lower_hex(hmac(Digest::sha1, "", "")), "fbdb1d1b18aa6c08324b7d64b71fb76370690e1d");
}

TEST(Base64, IsRfc4648AndReadsOnlyWhatItWrites) {
    const std::pair<const char*, const char*> cases[] = {{"", ""},
                                                         {"f", "Zg=="},
                                                         {"fo", "Zm8="},
                                                         {"foo", "Zm9v"},
                                                         {"foob", "Zm9vYg=="},
                                                         {"fooba", "Zm9vYmE="},
                                                         {"foobar", "Zm9vYmFy"},
                                                         {"\xff\xef\xbe", "/+++"}};
    for (const auto& [plain, text] : cases) {
        EXPECT_EQ(base64(bytes_of(plain)), text);
        EXPECT_EQ(base64_decode(text), bytes_of(plain)) << text;
    }
    for (const char* const text : {"Z", "Zg", "Zg=", "=", "====", "Z===", "Zh==", "Zm9=", "Zg==Zg==", "Zg= ",
                                   "Zm9v\n", "Zm-_", "Zm9vZ=g="})
        EXPECT_EQ(base64_decode(text), std::nullopt) << text;
}

TEST(PercentEncoding, KeepsOnlyTheUnreserved) {
    EXPECT_EQ(percent_encode("AZaz09-_.~"), "AZaz09-_.~");
    EXPECT_EQ(percent_encode(" /!'()*+&=%中"), "%20%2F%21%27%28%29%2A%2B%26%3D%25%E4%B8%AD");
    EXPECT_EQ(percent_encode_path("/a b/中"), "/a%20b/%E4%B8%AD");
}

TEST(PercentEncoding, IsUndone) {
    std::string all;
    for (int c = 0; c < 256; ++c) all += static_cast<char>(c);
    EXPECT_EQ(percent_decode(percent_encode(all)), all);
    EXPECT_EQ(percent_decode("a+b%2f"), "a+b/");
    for (const char* const text : {"%", "a%2", "%zz", "%2g", "% 2"})
        EXPECT_EQ(percent_decode(text), std::nullopt);
}

TEST(KeyTexts, AreTheKeysThenTheirCopiesWithOtherSpace) {
    const auto texts = key_texts("main\n", "backup");
    ASSERT_GE(texts.size(), 4U);
    EXPECT_EQ(texts[0].text, "main\n");
    EXPECT_EQ(texts[1].text, "backup");
    EXPECT_EQ(texts[2].text, "main");
    EXPECT_EQ(texts[2].stray_space, KeySpace::ours);
    for (const auto& text : texts) EXPECT_TRUE(text.text != "main\n" || text.stray_space == KeySpace::none);
    EXPECT_TRUE(key_texts("").empty());
    EXPECT_EQ(key_texts(" ").size(), 1U);
}

}  // namespace
}  // namespace livecanary::protocol
