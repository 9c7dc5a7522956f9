#pragma once
// Writes MPEG transport streams for tests: one program of H.264 and AAC, as a packager of HLS segments would.
//
// Section numbers are those of ISO/IEC 13818-1 (2013).
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "probes/protocol/aac.hpp"

namespace livecanary::protocol {

/// A raw AAC-LC frame of 44.1 kHz behind an ADTS header (ISO/IEC 14496-3 §1.A.2.2).
inline std::vector<std::uint8_t> adts_frame(std::span<const std::uint8_t> raw, AacChannels channels) {
    constexpr std::size_t header_size = 7;
    constexpr unsigned aac_lc = 1, hz_44100 = 4;
    const std::size_t size = header_size + raw.size();
    const auto channel_count = static_cast<unsigned>(channels);
    const auto byte = [](std::size_t value) { return static_cast<std::uint8_t>(value); };
    std::vector<std::uint8_t> out{0xff,
                                  0xf1,  // MPEG-4, without CRC
                                  byte(aac_lc << 6 | hz_44100 << 2 | channel_count >> 2),
                                  byte((channel_count & 3) << 6 | size >> 11),
                                  byte(size >> 3),
                                  byte((size & 7) << 5 | 0x1f),
                                  0xfc};
    out.insert(out.end(), raw.begin(), raw.end());
    return out;
}

/// NAL units of one picture as a byte stream, an access unit delimiter before them (§2.14.1 demands it).
inline std::vector<std::uint8_t> annex_b(std::span<const std::vector<std::uint8_t>> nal_units) {
    std::vector<std::uint8_t> out{0, 0, 0, 1, 0x09, 0xf0};
    for (const auto& nal : nal_units) {
        out.insert(out.end(), {0, 0, 0, 1});
        out.insert(out.end(), nal.begin(), nal.end());
    }
    return out;
}

/// Collects packets of 188 bytes. Times are ticks of 90 kHz.
class TsWriter {
public:
    using Bytes = std::vector<std::uint8_t>;
    static constexpr std::uint16_t pmt_pid = 0x1000, video_pid = 0x100, audio_pid = 0x101;
    static constexpr std::uint8_t h264 = 0x1b, hevc = 0x24, aac_adts = 0x0f;

    struct Stream {
        std::uint8_t stream_type;
        std::uint16_t pid;
    };
    /// What stands in the header of a PES packet.
    struct Pes {
        std::optional<std::uint64_t> pts{};
        std::optional<std::uint64_t> dts{};  ///< only with `pts`
        bool random_access = false;
        bool with_length = true;        ///< false writes a length of 0
        std::uint8_t stream_id = 0xe0;  ///< 0xe0 video, 0xc0 sound
    };

    explicit TsWriter(std::vector<Stream> streams = {{h264, video_pid}, {aac_adts, audio_pid}})
        : streams_(std::move(streams)) {}

    /// PAT and PMT, as a segment begins.
    void tables() {
        section(0, pat());
        section(pmt_pid, pmt());
    }

    /// One picture in a PES packet without length. `nal_units` without start codes.
    void video(std::uint64_t pts, std::span<const std::vector<std::uint8_t>> nal_units,
               bool random_access = false, std::optional<std::uint64_t> dts = std::nullopt) {
        pes(video_pid, {.pts = pts, .dts = dts, .random_access = random_access, .with_length = false},
            annex_b(nal_units));
    }

    /// One raw AAC frame in ADTS, in a PES packet with length.
    void audio(std::uint64_t pts, std::span<const std::uint8_t> raw,
               AacChannels channels = AacChannels::stereo) {
        pes(audio_pid, {.pts = pts, .random_access = true, .stream_id = 0xc0}, adts_frame(raw, channels));
    }

    /// A PES packet of any kind.
    void pes(std::uint16_t pid, const Pes& header, std::span<const std::uint8_t> data) {
        packets(pid, pes_bytes(header, data), header.random_access,
                pid == pcr_pid() ? (header.dts ? header.dts : header.pts) : std::nullopt);
    }

    /// A section in as many packets as it takes. It may be wrong.
    void section(std::uint16_t pid, std::span<const std::uint8_t> bytes) {
        Bytes payload{0};  // pointer_field
        payload.insert(payload.end(), bytes.begin(), bytes.end());
        payload.resize((payload.size() + 183) / 184 * 184, 0xff);
        packets(pid, payload);
    }

    /// Cuts `payload` into packets, the first with payload_unit_start_indicator, the last filled up by its
    /// adaptation field. `clock` is a program_clock_reference_base.
    void packets(std::uint16_t pid, std::span<const std::uint8_t> payload, bool random_access = false,
                 std::optional<std::uint64_t> clock = std::nullopt) {
        bool first = true;
        do {
            Bytes fields;  // of the adaptation field, behind its length
            if (first && (random_access || clock)) {
                fields.push_back(static_cast<std::uint8_t>((random_access ? 0x40 : 0) | (clock ? 0x10 : 0)));
                if (clock) {
                    put(fields, *clock >> 1, 4);
                    put(fields, (*clock & 1) << 15 | 0x7e00, 2);  // reserved bits, extension 0
                }
            }
            const std::size_t room = fields.empty() ? 184 : 183 - fields.size();
            const auto piece = payload.first(std::min(room, payload.size()));
            payload = payload.subspan(piece.size());
            packet(pid, first, piece, fields);
            first = false;
        } while (!payload.empty());
    }

    /// One packet. The adaptation field of these `fields` is filled up to what `piece` leaves free, so the
    /// two together may have up to 183 bytes, or `piece` alone 184.
    void packet(std::uint16_t pid, bool unit_start, std::span<const std::uint8_t> piece,
                std::span<const std::uint8_t> fields = {}) {
        const std::size_t free = 184 - piece.size();
        std::uint8_t& counter = counter_of(pid);
        put(bytes_, 0x47, 1);
        put(bytes_, (unit_start ? 0x4000U : 0U) | pid, 2);
        put(bytes_, (free > 0 ? 0x30U : 0x10U) | counter, 1);
        counter = (counter + 1) & 0x0f;
        if (free > 0) {
            Bytes adaptation{static_cast<std::uint8_t>(free - 1)};
            adaptation.insert(adaptation.end(), fields.begin(), fields.end());
            if (free > 1 && fields.empty()) adaptation.push_back(0);
            adaptation.resize(free, 0xff);
            bytes_.insert(bytes_.end(), adaptation.begin(), adaptation.end());
        }
        bytes_.insert(bytes_.end(), piece.begin(), piece.end());
    }

    /// All packets since the last take().
    const Bytes& bytes() const noexcept { return bytes_; }
    /// The same, and begins anew. The continuity counters go on, as between the segments of a stream.
    Bytes take() { return std::exchange(bytes_, {}); }

    /// Sections with their CRC.
    static Bytes pat(std::uint16_t program_number = 1, std::uint16_t pid = pmt_pid) {
        Bytes programs;
        put(programs, program_number, 2);
        put(programs, 0xe000U | pid, 2);
        return table(0, 1, programs);
    }
    Bytes pmt(std::uint16_t program_number = 1) const {
        Bytes fields;
        put(fields, 0xe000U | pcr_pid(), 2);
        put(fields, 0xf000, 2);  // program_info_length
        for (const Stream& stream : streams_) {
            put(fields, stream.stream_type, 1);
            put(fields, 0xe000U | stream.pid, 2);
            put(fields, 0xf000, 2);  // ES_info_length
        }
        return table(2, program_number, fields);
    }
    /// A section of the long form (§2.4.4.11), version 0; more than one make up a table.
    static Bytes table(std::uint8_t table_id, std::uint16_t table_id_extension,
                       std::span<const std::uint8_t> fields, bool current = true,
                       std::uint8_t section_number = 0) {
        Bytes out{table_id};
        put(out, 0xb000U | (fields.size() + 9), 2);
        put(out, table_id_extension, 2);
        put(out, current ? 0xc1 : 0xc0, 1);
        put(out, section_number, 1);
        put(out, section_number, 1);  // last_section_number
        out.insert(out.end(), fields.begin(), fields.end());
        put(out, crc32(out), 4);
        return out;
    }
    static Bytes pes_bytes(const Pes& header, std::span<const std::uint8_t> data) {
        const unsigned flags = header.dts ? 3 : header.pts ? 2 : 0;
        Bytes rest{0x84, static_cast<std::uint8_t>(flags << 6),
                   static_cast<std::uint8_t>(flags == 3   ? 10
                                             : flags == 2 ? 5
                                                          : 0)};
        if (header.pts) timestamp(rest, flags, *header.pts);
        if (header.dts) timestamp(rest, 1, *header.dts);
        rest.insert(rest.end(), data.begin(), data.end());
        Bytes out{0, 0, 1, header.stream_id};
        put(out, header.with_length ? rest.size() : 0, 2);
        out.insert(out.end(), rest.begin(), rest.end());
        return out;
    }

private:
    static void put(Bytes& out, std::uint64_t value, unsigned size) {
        while (size > 0) out.push_back(static_cast<std::uint8_t>(value >> (8 * --size)));
    }
    static void timestamp(Bytes& out, unsigned prefix, std::uint64_t ticks) {
        put(out, prefix << 4 | (ticks >> 29 & 0x0e) | 1, 1);
        put(out, (ticks >> 14 & 0xfffe) | 1, 2);
        put(out, (ticks << 1 & 0xfffe) | 1, 2);
    }
    // Bit by bit in the words of annex A, not like the reader: so that the two do not share a mistake.
    static std::uint32_t crc32(std::span<const std::uint8_t> bytes) {
        std::uint32_t crc = 0xffffffff;
        for (const std::uint8_t byte : bytes)
            for (unsigned bit = 8; bit > 0; --bit) {
                const bool feedback = ((crc >> 31) ^ (byte >> (bit - 1) & 1U)) != 0;
                crc = crc << 1 ^ (feedback ? 0x04c11db7U : 0U);
            }
        return crc;
    }
    std::uint16_t pcr_pid() const { return streams_.empty() ? 0x1fff : streams_.front().pid; }
    std::uint8_t& counter_of(std::uint16_t pid) {
        for (auto& [known, counter] : counters_)
            if (known == pid) return counter;
        return counters_.emplace_back(pid, std::uint8_t{0}).second;
    }

    std::vector<Stream> streams_;
    std::vector<std::pair<std::uint16_t, std::uint8_t>> counters_;
    Bytes bytes_;
};

}  // namespace livecanary::protocol
