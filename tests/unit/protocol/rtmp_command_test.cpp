#include "probes/protocol/rtmp/command.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "probes/core/error_table.hpp"
#include "tests/unit/protocol/rtmp_script.hpp"

namespace livecanary::test {
namespace {

using namespace protocol::rtmp;

Message message(const Bytes& payload, MessageType type = MessageType::command_amf0) {
    return {type, 0, 1, 3, payload};
}

TEST(RtmpCommand, NameTransactionAndArguments) {
    const Command command =
        decode_command(message(hex("02 0007 \"_result\" 00 4010000000000000 05 00 3ff0000000000000")))
            .value();
    EXPECT_EQ(command.name, "_result");
    EXPECT_EQ(command.transaction, 4);
    EXPECT_EQ(command.arguments, (std::vector<AmfValue>{AmfNull{}, 1}));
    EXPECT_EQ(command.message_stream_id, 1u);
    EXPECT_EQ(command.info(), nullptr);
}

TEST(RtmpCommand, Amf3FormHasOneByteMore) {
    EXPECT_EQ(
        decode_command(message(hex("00 02 0005 \"close\" 00 0000000000000000"), MessageType::command_amf3))
            .value()
            .name,
        "close");
}

// ffmpeg -listen sends onFCPublish with nothing behind it.
TEST(RtmpCommand, NameAlone) {
    const Command command = decode_command(message(hex("02 000b \"onFCPublish\""))).value();
    EXPECT_EQ(command.name, "onFCPublish");
    EXPECT_TRUE(command.arguments.empty());
}

TEST(RtmpCommand, NoNameIsAnError) {
    for (const Bytes& payload : {hex(""), hex("05"), hex("00 0000000000000000")})
        EXPECT_EQ(decode_command(message(payload)).error(), Error::bad_command);
    EXPECT_EQ(decode_command(message({}, MessageType::command_amf3)).error(), Error::bad_command);
    EXPECT_EQ(decode_command(message(hex("02 0005 \"clo\""))).error(), Error::amf_truncated);
}

TEST(RtmpCommand, EncodesOnItsStreams) {
    EXPECT_EQ(encode_command("publish", 5, {AmfNull{}, "k", "live"}, 4, 1),
              (Message{MessageType::command_amf0, 0, 1, 4,
                       hex("02 0007 \"publish\" 00 4014000000000000 05 02 0001 \"k\" 02 0004 \"live\"")}));
}

TEST(RtmpCommand, StatusOfTheFirstObjectThatHasOne) {
    const Command command{
        .name = "onStatus",
        .transaction = 0,
        .arguments = {AmfObject{{{"fmsVer", "x"}}}, info("error", "A.B", "no\n"), info("status", "C")},
        .message_stream_id = 0};
    EXPECT_EQ(read_status(command, {}), (Status{"onStatus", "error", "A.B", "no?"}));
    EXPECT_EQ(read_status(Command{.name = "x", .arguments = {}}, {}), (Status{"x", "", "", ""}));
}

// A vendor's support finds the connection by them. Names as SRS (clientid) and Tencent's servers have them.
TEST(RtmpCommand, IdsOfTheServer) {
    const auto status_with = [](std::vector<AmfMember> members) {
        AmfObject object{{{"level", "status"}, {"code", "A.B"}}};
        object.members.insert(object.members.end(), members.begin(), members.end());
        return read_status(Command{.name = "onStatus", .arguments = {AmfNull{}, std::move(object)}},
                           {"secret"});
    };
    EXPECT_EQ(status_with({{"clientid", "ASAICiss"}}).client_id, "ASAICiss");
    EXPECT_EQ(status_with({{"clientId", 1584259571}}).client_id, "1584259571");
    EXPECT_EQ(status_with({{"data", AmfObject{{{"client_id", "c1"}, {"requestid", "r1"}}}}}).client_id, "c1");
    EXPECT_EQ(status_with({{"data", AmfObject{{{"requestid", "r1"}}}}}).request_id, "r1");
    EXPECT_EQ(status_with({{"clientid", ""}, {"data", AmfObject{{{"clientid", 7}}}}}).client_id, "7");
    EXPECT_EQ(status_with({{"clientid", "a\n\x01secret|"}}).client_id, "a??***|");
    EXPECT_EQ(status_with({{"clientid", std::string(5000, 'x')}}).client_id, std::string(128, 'x'));
    const std::string across = status_with({{"clientid", std::string(125, 'x') + "secret"}}).client_id;
    EXPECT_EQ(across, std::string(125, 'x') + "***");
    for (const AmfValue& none : {AmfValue(AmfNull{}), AmfValue(-1), AmfValue(1.5), AmfValue(1e300),
                                 AmfValue(std::nan("")), AmfValue(AmfObject{})})
        EXPECT_EQ(status_with({{"clientid", none}}).client_id, "");
    EXPECT_EQ(status_with({}).request_id, "");
}

TEST(RtmpCommand, CodesAreEqualWhateverTheirCase) {
    EXPECT_TRUE(same_code("NetStream.publish.UNAUTHORIZED", "netstream.Publish.unauthorized"));
    EXPECT_FALSE(same_code("NetStream.Publish.Start", "NetStream.Publish.Starts"));
    EXPECT_FALSE(same_code("[", "{")) << "only letters have a case";
}

TEST(RtmpCommand, SecretsAreTakenOut) {
    EXPECT_EQ(without("a?k=1 and k=1", {"k=1"}), "a?*** and ***");
    EXPECT_EQ(without("*", {"*", ""}), "***") << "and it ends";
}

TEST(RtmpError, EachHasWordsOfItsOwnAndAReason) {
    const auto& table = dynamic_cast<const ErrorTable<Error>&>(make_error_code(Error::bad_app).category());
    EXPECT_STREQ(table.name(), "livecanary.rtmp");
    std::set<std::string> words;
    for (int value = 1; value <= static_cast<int>(Error::bad_option); ++value)
        EXPECT_TRUE(words.insert(table.message(value)).second) << table.message(value);
    EXPECT_EQ(table.rows().size(), words.size());
    EXPECT_EQ(make_error_code(Error::publish_refused).default_error_condition(), Reason::rejected);
    EXPECT_EQ(make_error_code(Error::closed_by_command).default_error_condition(), Reason::closed);
    EXPECT_EQ(make_error_code(Error::interrupted_message).default_error_condition(), Reason::protocol);
    EXPECT_EQ(make_error_code(Error::bad_tc_url).default_error_condition(), Reason::local);
}

}  // namespace
}  // namespace livecanary::test
