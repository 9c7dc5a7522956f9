// UserSig of the instant messaging: made, read, checked.
#include "probes/protocol/user_sig.hpp"

#include <gtest/gtest.h>
#include <zlib.h>
#include <boost/json.hpp>

#include <fstream>
#include <sstream>

#include "probes/protocol/digest.hpp"

namespace livecanary::protocol {
namespace {

using std::chrono::seconds;
using std::chrono::sys_seconds;

boost::json::array vectors() {
    std::ifstream file(LIVECANARY_TESTDATA "/vectors.json");
    std::stringstream text;
    text << file.rdbuf();
    return boost::json::parse(text.str()).at("user_sig").as_array();
}

std::string text_of(const boost::json::value& from, const char* name) {
    return boost::json::value_to<std::string>(from.at(name));
}

UserSig fields_of(const boost::json::value& in) {
    UserSig fields{.identifier = text_of(in, "identifier"),
                   .sdkappid = in.at("sdkappid").as_int64(),
                   .time = sys_seconds(seconds(in.at("time").as_int64())),
                   .expire = seconds(in.at("expire").as_int64())};
    if (const auto* userbuf = in.at("userbuf_utf8").if_string())
        fields.userbuf = base64({reinterpret_cast<const std::uint8_t*>(userbuf->data()), userbuf->size()});
    return fields;
}

/// Any text as a UserSig would carry it.
std::string packed(std::string_view text) {
    uLongf size = compressBound(static_cast<uLong>(text.size()));
    std::vector<std::uint8_t> bytes(size);
    compress(bytes.data(), &size, reinterpret_cast<const Bytef*>(text.data()),
             static_cast<uLong>(text.size()));
    bytes.resize(size);
    std::string out = base64(bytes);
    for (char& c : out) c = c == '+' ? '*' : c == '/' ? '-' : c == '=' ? '_' : c;
    return out;
}

const UserSig example{.identifier = "probe01",
                      .sdkappid = 1400000000,
                      .time = sys_seconds(seconds(1700000000)),
                      .expire = seconds(86400),
                      .sig = "c2ln"};

TEST(UserSig, AgreesWithEveryVector) {
    const auto all = vectors();
    ASSERT_GE(all.size(), 2U);
    for (const auto& vector : all) {
        SCOPED_TRACE(text_of(vector, "id"));
        const auto& in = vector.at("in");
        const std::string key = text_of(in, "secret_key");
        UserSig fields = fields_of(in);
        EXPECT_EQ(user_sig_content(fields), text_of(vector, "content_to_sign"));
        fields.sig = user_sig_hmac(fields, key);
        EXPECT_EQ(fields.sig, text_of(vector, "TLS.sig"));

        // The vendor's own text is read; ours may be deflated otherwise, and says the same.
        for (const auto& text : {text_of(vector, "user_sig"), make_user_sig(fields_of(in), key),
                                 packed(text_of(vector, "inflated_json"))}) {
            const auto read = parse_user_sig(text);
            ASSERT_TRUE(read) << read.error().message();
            EXPECT_EQ(*read, fields);
            const auto check = check_user_sig(*read, {fields.identifier, fields.sdkappid, key}, fields.time);
            EXPECT_FALSE(check.identifier_differs || check.sdkappid_differs || check.expired());
            EXPECT_EQ(check.key, KeyFound::main);
            EXPECT_EQ(check.stray_space, KeySpace::none);
            EXPECT_EQ(check.expired_for, -fields.expire);
        }
    }
}

TEST(UserSig, SaysWhatDiffers) {
    UserSig fields = example;
    fields.sig = user_sig_hmac(fields, "the-key");
    const auto now = fields.time + seconds(10);
    EXPECT_TRUE(check_user_sig(fields, {.identifier = "probe02"}, now).identifier_differs);
    EXPECT_TRUE(check_user_sig(fields, {.sdkappid = 1400000001}, now).sdkappid_differs);
    const auto nothing_known = check_user_sig(fields, {}, now);
    EXPECT_FALSE(nothing_known.identifier_differs || nothing_known.sdkappid_differs);
    EXPECT_EQ(nothing_known.key, KeyFound::none);
    EXPECT_EQ(check_user_sig(fields, {.key = "another"}, now).key, KeyFound::none);
    const auto spaced = check_user_sig(fields, {.key = "the-key\n"}, now);
    EXPECT_EQ(spaced.key, KeyFound::main);
    EXPECT_EQ(spaced.stray_space, KeySpace::ours);
    EXPECT_FALSE(check_user_sig(fields, {}, fields.end() - seconds(1)).expired());
    EXPECT_TRUE(check_user_sig(fields, {}, fields.end()).expired());
    EXPECT_EQ(check_user_sig(fields, {}, fields.time - seconds(7)).made_ahead, seconds(7));
    // Every field is signed.
    for (auto* change :
         {+[](UserSig& s) { s.identifier = "probe0"; }, +[](UserSig& s) { ++s.sdkappid; },
          +[](UserSig& s) { s.time += seconds(1); }, +[](UserSig& s) { s.expire += seconds(1); },
          +[](UserSig& s) { s.userbuf = "YWJj"; }}) {
        UserSig other = fields;
        change(other);
        EXPECT_EQ(check_user_sig(other, {.key = "the-key"}, now).key, KeyFound::none);
    }
}

TEST(UserSig, TextsComeBackAsTheyWere) {
    for (const std::string identifier : {"a\"b\\c", "\xE6\xB1\x89", "tab\there", "a/b", ""}) {
        UserSig fields = example;
        fields.identifier = identifier;
        const auto read = parse_user_sig(write_user_sig(fields));
        ASSERT_TRUE(read) << read.error().message();
        EXPECT_EQ(*read, fields);
    }
}

TEST(UserSig, ReadsWhatOthersWrite) {
    // PHP escapes what is not ASCII, and slashes; others put white space between.
    const auto read = parse_user_sig(packed(
        "{ \"TLS.ver\" : \"2.0\",\r\n\t\"TLS.identifier\":\"\\u6c49\\ud83d\\ude00\\/\\n\\u0041\\u00e9\", "
        "\"TLS.sdkappid\":1400000000,\"TLS.expire\":86400,\"TLS.time\":1700000000,"
        "\"TLS.sig\":\"c2ln\",\"more\":-5} "));
    ASSERT_TRUE(read) << read.error().message();
    EXPECT_EQ(read->identifier, "\xE6\xB1\x89\xF0\x9F\x98\x80/\nA\xC3\xA9");
    EXPECT_EQ(read->sdkappid, 1400000000);
}

struct Broken {
    const char* name;
    std::string text;
    UserSigError error;
};
void PrintTo(const Broken& broken, std::ostream* out) { *out << broken.name; }

std::string json_with(const std::string& from, const std::string& to) {
    std::string json = R"({"TLS.ver":"2.0","TLS.identifier":"probe01","TLS.sdkappid":1400000000,)"
                       R"("TLS.expire":86400,"TLS.time":1700000000,"TLS.sig":"c2ln"})";
    const auto at = json.find(from);
    return packed(json.replace(at, from.size(), to));
}

const Broken broken[] = {
    {"empty", "", UserSigError::not_deflated},
    {"too_long", std::string(max_user_sig_size + 1, 'A'), UserSigError::too_long},
    {"base64_of_the_usual_alphabet", "eJyrVkrOT0lVslIqSy0qzszPU6oFAD+jBkM=", UserSigError::not_base64},
    {"unpadded", "eJyrVg", UserSigError::not_base64},
    {"white_space", "eJyr Vg__", UserSigError::not_base64},
    {"cut", write_user_sig(example).substr(0, 40), UserSigError::not_deflated},
    {"bytes_behind", packed("{}") + "AAAA", UserSigError::not_base64},
    {"not_deflated", "AAAAAAAA", UserSigError::not_deflated},
    {"bomb", packed(std::string(1 << 20, ' ')), UserSigError::too_large},
    {"just_too_large", packed(std::string(max_user_sig_json + 1, ' ')), UserSigError::too_large},
    {"as_large_as_may_be", packed(std::string(max_user_sig_json, ' ')), UserSigError::not_json},
    {"no_object", packed("[]"), UserSigError::not_json},
    {"nothing", packed(""), UserSigError::not_json},
    {"object_without_end", packed(R"({"a":1)"), UserSigError::not_json},
    {"two_objects", packed("{}{}"), UserSigError::not_json},
    {"nested", json_with("86400", "{}"), UserSigError::not_json},
    {"a_list", json_with("86400", "[1]"), UserSigError::not_json},
    {"a_fraction", json_with("86400", "86400.5"), UserSigError::not_json},
    {"an_exponent", json_with("86400", "8e4"), UserSigError::not_json},
    {"leading_zero", json_with("86400", "086400"), UserSigError::not_json},
    {"huge_number", json_with("86400", "99999999999999999999"), UserSigError::not_json},
    {"control_byte", json_with("probe01", "a\nb"), UserSigError::not_json},
    {"unknown_escape", json_with("probe01", "\\x"), UserSigError::not_json},
    {"half_an_escape", json_with("probe01", "\\u12"), UserSigError::not_json},
    {"lone_low_surrogate", json_with("probe01", "\\udc00"), UserSigError::not_json},
    {"lone_high_surrogate", json_with("probe01", "\\ud800x"), UserSigError::not_json},
    {"wrong_pair", json_with("probe01", "\\ud800\\u0041"), UserSigError::not_json},
    {"comma_at_the_end", packed(R"({"a":1,})"), UserSigError::not_json},
    {"no_colon", packed(R"({"a" 1})"), UserSigError::not_json},
    {"nothing_in_it", packed("{}"), UserSigError::field_missing},
    {"no_identifier", json_with("TLS.identifier", "identifier"), UserSigError::field_missing},
    {"identifier_is_a_number", json_with("\"probe01\"", "5"), UserSigError::field_missing},
    {"sdkappid_is_a_text", json_with("1400000000", "\"1400000000\""), UserSigError::field_missing},
    {"no_sig", json_with("TLS.sig", "sig"), UserSigError::field_missing},
    {"version_1", json_with("2.0", "1.0"), UserSigError::other_version},
    {"negative_time", json_with("1700000000", "-1"), UserSigError::bad_field},
    {"endless", json_with("86400", "9223372036854775807"), UserSigError::bad_field},
};

class UserSigBroken : public testing::TestWithParam<Broken> {};
TEST_P(UserSigBroken, IsRefused) {
    const auto read = parse_user_sig(GetParam().text);
    ASSERT_FALSE(read);
    EXPECT_EQ(read.error(), make_error_code(GetParam().error)) << read.error().message();
    EXPECT_EQ(read.error().default_error_condition(), make_error_condition(Reason::mismatch));
}
INSTANTIATE_TEST_SUITE_P(, UserSigBroken, testing::ValuesIn(broken),
                         [](const auto& row) { return std::string(row.param.name); });

TEST(UserSig, CutAnywhereIsRefused) {
    const std::string whole = write_user_sig(example);
    for (std::size_t size = 0; size < whole.size(); ++size)
        EXPECT_FALSE(parse_user_sig(whole.substr(0, size))) << size;
}

}  // namespace
}  // namespace livecanary::protocol
