#include "probes/protocol/rtmp/command.hpp"

#include <gtest/gtest.h>

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
