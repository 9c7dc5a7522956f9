// Another decoder's judgement: ffmpeg must read our stream without a word, and see grey and hear silence.
#include <gtest/gtest.h>
#include <stdlib.h>

#include <algorithm>
#include <bit>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "probes/protocol/test_stream.hpp"

namespace livecanary::protocol {
namespace {

using Bytes = std::vector<std::uint8_t>;

void append(Bytes& out, const Bytes& more) { out.insert(out.end(), more.begin(), more.end()); }

void append_text(Bytes& out, const std::string& text) {
    out.push_back(static_cast<std::uint8_t>(text.size() >> 8));
    out.push_back(static_cast<std::uint8_t>(text.size()));
    out.insert(out.end(), text.begin(), text.end());
}

// onMetaData as the script tag of a file: an AMF0 string and an ECMA array.
FlvTag script_tag(const Metadata& metadata) {
    FlvTag tag{.type = FlvTagType::script, .timestamp = 0, .body = {2}};
    append_text(tag.body, "onMetaData");
    append(tag.body, {8, 0, 0, 0, static_cast<std::uint8_t>(metadata.size())});
    for (const MetadataField& field : metadata) {
        append_text(tag.body, field.name);
        if (const auto* const number = std::get_if<double>(&field.value)) {
            tag.body.push_back(0);
            const auto bits = std::bit_cast<std::uint64_t>(*number);
            for (int shift = 56; shift >= 0; shift -= 8)
                tag.body.push_back(static_cast<std::uint8_t>(bits >> shift));
        } else if (const auto* const flag = std::get_if<bool>(&field.value)) {
            append(tag.body, {1, static_cast<std::uint8_t>(*flag)});
        } else {
            tag.body.push_back(2);
            append_text(tag.body, std::get<std::string>(field.value));
        }
    }
    append(tag.body, {0, 0, 9});
    return tag;
}

Bytes flv_of(const TestStreamOptions& options, std::uint64_t milliseconds) {
    TestStream stream(options);
    Bytes bytes = flv_file_header(true, true);
    append(bytes, flv_tag(script_tag(stream.metadata())));
    // Stamps with zeros in a row: the decoder must not take them for a start code.
    const Bytes stamp(40, 0);
    while (stream.next_timestamp() < milliseconds) {
        const Frame frame = stream.next(stamp);
        append(bytes, flv_tag({.type = frame.type, .timestamp = frame.timestamp, .body = frame.body}));
    }
    return bytes;
}

std::string content(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
}

class TestStreamFfmpeg : public testing::Test {
protected:
    struct Ran {
        int status = 0;
        std::string out, err;
    };

    void SetUp() override {
        if (!ran_well("ffmpeg -version") || !ran_well("ffprobe -version")) {
            if (std::getenv("CI") != nullptr) FAIL() << "ffmpeg and ffprobe must be installed under CI";
            GTEST_SKIP() << "ffmpeg or ffprobe is not installed";
        }
        std::string name = (std::filesystem::temp_directory_path() / "livecanary-XXXXXX").string();
        ASSERT_NE(mkdtemp(name.data()), nullptr);
        directory_ = name;
    }

    void TearDown() override {
        if (!directory_.empty()) std::filesystem::remove_all(directory_);
    }

    std::string write(const Bytes& bytes) const {
        const auto path = directory_ / "stream.flv";
        std::ofstream(path, std::ios::binary)
            .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
        return path.string();
    }

    Ran run(const std::string& command) const {
        const auto out = directory_ / "out", err = directory_ / "err";
        const int status = std::system((command + " >" + out.string() + " 2>" + err.string()).c_str());
        return {status, content(out), content(err)};
    }

private:
    static bool ran_well(const std::string& command) {
        return std::system((command + " >/dev/null 2>&1").c_str()) == 0;
    }

    std::filesystem::path directory_;
};

TEST_F(TestStreamFfmpeg, ReadsWhatWeSayWeSend) {
    const std::string file = write(flv_of({}, 5000));
    const Ran probe = run("ffprobe -v warning -show_streams " + file);
    EXPECT_EQ(probe.status, 0);
    EXPECT_EQ(probe.err, "");
    for (const char* const line :
         {"codec_name=h264\n", "profile=Constrained Baseline\n", "width=320\n", "height=180\n", "level=12\n",
          "has_b_frames=0\n", "r_frame_rate=25/1\n", "avg_frame_rate=25/1\n", "codec_name=aac\n",
          "profile=LC\n", "sample_rate=44100\n", "channels=2\n"})
        EXPECT_NE(probe.out.find(line), std::string::npos) << line << "is not in\n" << probe.out;

    const Ran decode = run("ffmpeg -nostdin -v warning -i " + file + " -f null -");
    EXPECT_EQ(decode.status, 0);
    EXPECT_EQ(decode.err, "");
}

TEST_F(TestStreamFfmpeg, SeesGreyAndHearsSilence) {
    const std::string file = write(flv_of({}, 5000));
    const Ran picture =
        run("ffmpeg -nostdin -v warning -i " + file + " -map 0:v -f rawvideo -pix_fmt yuv420p -");
    EXPECT_EQ(picture.err, "");
    EXPECT_EQ(picture.out.size(), 125U * (320 * 180 * 3 / 2));
    EXPECT_TRUE(
        std::ranges::all_of(picture.out, [](char c) { return static_cast<unsigned char>(c) == 128; }));

    const Ran sound = run("ffmpeg -nostdin -v warning -i " + file + " -map 0:a -f s16le -");
    EXPECT_EQ(sound.err, "");
    EXPECT_EQ(sound.out.size(), 216U * 1024 * 2 * 2);  // frames begun in 5 s, samples, channels, bytes
    EXPECT_TRUE(std::ranges::all_of(sound.out, [](char c) { return c == 0; }));
}

TEST_F(TestStreamFfmpeg, AcceptsOtherSizesAndRates) {
    const TestStreamOptions cases[] = {
        {.size = {2, 2}, .frames_per_second = 1, .channels = AacChannels::mono, .bitrate = 0},
        {.size = {64, 64}, .frames_per_second = 30, .channels = AacChannels::mono, .bitrate = 50'000},
        {.size = {130, 98}, .frames_per_second = 120, .bitrate = 1'000'000},
        {.size = {1920, 1080}, .frames_per_second = 25, .bitrate = 4'000'000},
    };
    for (const TestStreamOptions& options : cases) {
        const std::string size =
            std::to_string(options.size.width) + "x" + std::to_string(options.size.height);
        const Ran decode =
            run("ffmpeg -nostdin -v warning -xerror -i " + write(flv_of(options, 2000)) + " -f null -");
        EXPECT_EQ(decode.status, 0) << size;
        EXPECT_EQ(decode.err, "") << size;
    }
}

}  // namespace
}  // namespace livecanary::protocol
