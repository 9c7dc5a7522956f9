#pragma once
// MPEG transport streams, as HLS segments carry them: from packets to the elementary streams' bytes.
//
// Section numbers are those of ISO/IEC 13818-1 (2013), which is ITU-T H.222.0.
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "probes/core/reason.hpp"

namespace livecanary::protocol {

/// What an elementary stream holds, by its stream_type (table 2-34).
enum class TsStream : std::uint8_t {
    h264,  ///< 0x1b, in annex B form
    hevc,  ///< 0x24
    aac,   ///< 0x0f in ADTS, 0x11 in LATM
    other  ///< anything else
};

/// The payload of one PES packet: most often one picture, or some frames of sound.
struct TsUnit {
    TsStream type = TsStream::other;
    std::uint16_t pid = 0;
    std::optional<std::uint64_t> pts{};  ///< presentation time, ticks of 90 kHz modulo 2^33
    std::optional<std::uint64_t> dts{};  ///< decoding time, the same; none if equal to `pts` (§2.4.3.7)
    bool random_access = false;          ///< random_access_indicator of its first packet: one may start here
    std::vector<std::uint8_t> data{};    ///< bytes of the elementary stream

    bool operator==(const TsUnit&) const = default;
};

enum class TsError {
    no_sync = 1,  ///< a packet does not begin with 0x47: no transport stream, or bytes were lost
};
error_code make_error_code(TsError error) noexcept;

/// Reads a transport stream from bytes fed in pieces of any size. Follows the first program of the PAT and
/// at most 8 of its streams; what comes before their PMT is not read.
///
///     PAT → PMT → streams. Of each stream one PES packet is held:
///     closed → (packet with a unit start) → open → (length reached, next unit start, finish) → delivered
///                                              \→ (gap, too long, scrambled, not a PES packet) → dropped
///
/// Only lost sync is an error, and it is final. Everything else costs no more than the PES packet or the
/// section that it hits, and is counted. A packet with transport_error_indicator or an impossible
/// adaptation field is taken as lost, so it shows as a continuity error.
class TsDemux {
public:
    /// `max_pes`: longest PES packet kept, in bytes with its header.
    explicit TsDemux(std::size_t max_pes = 4UL * 1024 * 1024) noexcept : max_pes_(max_pes) {}

    /// Appends each unit that `bytes` complete to `units`, also those before an error. A PES packet without
    /// a length, as of video, is complete when the next one of its stream begins. After an error the same
    /// error again.
    error_code feed(std::span<const std::uint8_t> bytes, std::vector<TsUnit>& units);

    /// At the end of a segment: appends the last unit of each stream, and forgets what else is incomplete,
    /// as well as the continuity counters, since not every packager carries them on. PAT and PMT stay known,
    /// so that the next segment may follow.
    void finish(std::vector<TsUnit>& units);

    /// Whether the PMT lists a stream of video or sound, in whatever coding of MPEG's, or AC-3.
    bool has_video() const noexcept;
    bool has_audio() const noexcept;

    /// Whole packets so far.
    std::uint64_t packets() const noexcept { return packets_; }
    /// Gaps in the continuity counter of the tables and streams we follow (§2.4.3.3).
    std::uint64_t continuity_errors() const noexcept { return continuity_errors_; }
    /// Packets with a scrambled payload, and PES packets with one (§2.4.3.7).
    std::uint64_t scrambled() const noexcept { return scrambled_; }
    /// PES packets begun and dropped: hit by a gap, scrambled, longer than the limit, shorter than they
    /// state, or not of the form that elementary streams use.
    std::uint64_t dropped_units() const noexcept { return dropped_units_; }
    /// Sections of PAT and PMT dropped: wrong CRC, too long or cut short.
    std::uint64_t section_errors() const noexcept { return section_errors_; }

private:
    static constexpr std::size_t packet_size = 188;  // bytes, §2.4.3.2
    enum class Order { next, repeated, gap };

    struct Counter {
        std::optional<unsigned> last{};  // continuity_counter
        bool repeated = false;           // the last packet came twice
        std::vector<std::uint8_t> payload{};
    };
    struct Table {
        Counter counter{};
        bool open = false;  // a section may begin or go on
        std::vector<std::uint8_t> section{};
    };
    struct Stream {
        std::uint16_t pid = 0;
        std::uint8_t stream_type = 0;
        Counter counter{};
        bool open = false;
        bool random_access = false;
        std::vector<std::uint8_t> pes{};
    };
    struct Packet {
        bool unit_start = false, discontinuity = false, random_access = false, scrambled = false;
        unsigned continuity_counter = 0;
        std::span<const std::uint8_t> payload{};
    };
    using Units = std::vector<TsUnit>;

    void read_packet(std::span<const std::uint8_t, packet_size> bytes, Units& units);
    Order order(Counter& counter, const Packet& packet);

    void read_table(Table& table, const Packet& packet, Units& units);
    void append_section(Table& table, std::span<const std::uint8_t> bytes, Units& units);
    void read_section(const Table& table, Units& units);
    void read_pat(std::span<const std::uint8_t> programs);
    void read_pmt(std::span<const std::uint8_t> fields, Units& units);

    void read_stream(Stream& stream, const Packet& packet, Units& units);
    void close(Stream& stream, Units& units);
    void drop(Stream& stream);

    std::size_t max_pes_;
    std::vector<std::uint8_t> buffer_;  // the start of a packet, below packet_size bytes
    Table pat_, pmt_;
    std::optional<std::uint16_t> pmt_pid_;
    std::uint16_t program_number_ = 0;
    std::vector<Stream> streams_;
    std::uint64_t packets_ = 0, continuity_errors_ = 0, scrambled_ = 0, dropped_units_ = 0,
                  section_errors_ = 0;
    error_code error_;
};

}  // namespace livecanary::protocol

template <>
struct boost::system::is_error_code_enum<livecanary::protocol::TsError> : std::true_type {};
