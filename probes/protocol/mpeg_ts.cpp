#include "probes/protocol/mpeg_ts.hpp"

#include <algorithm>

#include "probes/core/error_table.hpp"

namespace livecanary::protocol {
namespace {

using View = std::span<const std::uint8_t>;

constexpr std::uint8_t sync_byte = 0x47;
constexpr std::uint16_t pat_pid = 0;
constexpr std::uint8_t pat_table_id = 0, pmt_table_id = 2;  // table 2-31
constexpr std::size_t max_section_length = 1021;            // §2.4.4.4, §2.4.4.9
constexpr std::size_t section_header_size = 8, crc_size = 4;
constexpr std::size_t max_streams = 8;
constexpr std::size_t pes_start_size = 6, pes_header_size = 9;  // up to the length, up to the optional fields

struct Coding {
    std::uint8_t stream_type;
    TsStream type;
    bool video, audio;
};

// Table 2-34; 0x81 is AC-3 (ATSC A/53 part 3 §6.7).
constexpr Coding codings[] = {
    {0x01, TsStream::other, true, false}, {0x02, TsStream::other, true, false},
    {0x03, TsStream::other, false, true}, {0x04, TsStream::other, false, true},
    {0x0f, TsStream::aac, false, true},   {0x10, TsStream::other, true, false},
    {0x11, TsStream::aac, false, true},   {0x1b, TsStream::h264, true, false},
    {0x24, TsStream::hevc, true, false},  {0x81, TsStream::other, false, true},
};

constexpr Coding coding(std::uint8_t stream_type) {
    for (const Coding& known : codings)
        if (known.stream_type == stream_type) return known;
    return {stream_type, TsStream::other, false, false};
}

std::uint16_t get16(View bytes) { return static_cast<std::uint16_t>(bytes[0] << 8 | bytes[1]); }
std::uint16_t get_pid(View bytes) { return get16(bytes) & 0x1fff; }
std::size_t get_length(View bytes) { return get16(bytes) & 0xfff; }

// Annex A: over a whole section with its CRC it is 0.
std::uint32_t crc32_mpeg2(View bytes) {
    std::uint32_t crc = 0xffffffff;
    for (const std::uint8_t byte : bytes) {
        crc ^= std::uint32_t{byte} << 24;
        for (int bit = 0; bit < 8; ++bit) crc = crc << 1 ^ ((crc >> 31) * 0x04c11db7);
    }
    return crc;
}

// 33 bits in 5 bytes, a marker bit after each 3, 15 and 15 (§2.4.3.6).
std::uint64_t get_timestamp(View bytes) {
    return std::uint64_t{bytes[0] & 0x0eU} << 29 | std::uint64_t{get16(bytes.subspan(1)) & 0xfffeU} << 14 |
           std::uint64_t{get16(bytes.subspan(3))} >> 1;
}

// Bytes of the PES packet by its own account, once enough of it has come; none if it has no length.
std::optional<std::size_t> stated_size(View pes) {
    const std::size_t length = get16(pes.subspan(4));
    if (length == 0) return std::nullopt;
    return pes_start_size + length;
}

}  // namespace

error_code make_error_code(TsError error) noexcept {
    using enum TsError;
    static const ErrorTable<TsError> table{
        "livecanary.mpeg_ts",
        {{no_sync, "not an MPEG transport stream, or its packets lost their alignment", Reason::protocol}}};
    return {static_cast<int>(error), table};
}

error_code TsDemux::feed(std::span<const std::uint8_t> bytes, std::vector<TsUnit>& units) {
    while (!error_ && !bytes.empty()) {
        if (buffer_.empty() && bytes[0] != sync_byte) return error_ = TsError::no_sync;
        if (buffer_.empty() && bytes.size() >= packet_size) {
            read_packet(bytes.first<packet_size>(), units);
            bytes = bytes.subspan(packet_size);
            continue;
        }
        const auto piece = bytes.first(std::min(packet_size - buffer_.size(), bytes.size()));
        buffer_.insert(buffer_.end(), piece.begin(), piece.end());
        bytes = bytes.subspan(piece.size());
        if (buffer_.size() < packet_size) break;
        read_packet(View(buffer_).first<packet_size>(), units);
        buffer_.clear();
    }
    return error_;
}

void TsDemux::finish(std::vector<TsUnit>& units) {
    for (Stream& stream : streams_) {
        if (stream.open) close(stream, units);
        stream.counter = {};
    }
    pat_ = {};
    pmt_ = {};
    buffer_.clear();
}

bool TsDemux::has_video() const noexcept {
    return std::any_of(streams_.begin(), streams_.end(),
                       [](const Stream& stream) { return coding(stream.stream_type).video; });
}

bool TsDemux::has_audio() const noexcept {
    return std::any_of(streams_.begin(), streams_.end(),
                       [](const Stream& stream) { return coding(stream.stream_type).audio; });
}

void TsDemux::read_packet(std::span<const std::uint8_t, packet_size> bytes, Units& units) {
    ++packets_;
    const bool transport_error = bytes[1] & 0x80, has_adaptation = bytes[3] & 0x20,
               has_payload = bytes[3] & 0x10;
    if (transport_error) return;
    Packet packet{.unit_start = (bytes[1] & 0x40) != 0,
                  .scrambled = (bytes[3] & 0xc0) != 0,
                  .continuity_counter = bytes[3] & 0x0fU,
                  .payload = bytes.subspan(4)};
    if (has_adaptation) {
        const std::size_t length = packet.payload[0];
        if (length + 1 > packet.payload.size()) return;
        if (length > 0) {
            packet.discontinuity = packet.payload[1] & 0x80;
            packet.random_access = packet.payload[1] & 0x40;
        }
        packet.payload = packet.payload.subspan(1 + length);
    }
    const std::uint16_t pid = get_pid(bytes.subspan(1));
    const auto stream = std::find_if(streams_.begin(), streams_.end(),
                                     [pid](const Stream& candidate) { return candidate.pid == pid; });
    Counter* const counter = pid == pat_pid             ? &pat_.counter
                             : pid == pmt_pid_          ? &pmt_.counter
                             : stream != streams_.end() ? &stream->counter
                                                        : nullptr;
    if (!has_payload) {
        // The counter stands still, but may be set anew (§2.4.3.5).
        if (counter && packet.discontinuity) *counter = {.last = packet.continuity_counter};
        return;
    }
    if (packet.scrambled) ++scrambled_;
    if (pid == pat_pid)
        read_table(pat_, packet, units);
    else if (pid == pmt_pid_)
        read_table(pmt_, packet, units);
    else if (stream != streams_.end())
        read_stream(*stream, packet, units);
}

// §2.4.3.3: a packet may be sent twice, equal in each byte but the clock reference. That the counter alone
// is equal would also be the case after the loss of 15 packets.
TsDemux::Order TsDemux::order(Counter& counter, const Packet& packet) {
    const bool same = counter.last == packet.continuity_counter;
    if (same && !counter.repeated &&
        std::equal(packet.payload.begin(), packet.payload.end(), counter.payload.begin(),
                   counter.payload.end())) {
        counter.repeated = true;
        return Order::repeated;
    }
    const bool gap =
        counter.last && !packet.discontinuity && packet.continuity_counter != (*counter.last + 1) % 16;
    counter.last = packet.continuity_counter;
    counter.repeated = false;
    counter.payload.assign(packet.payload.begin(), packet.payload.end());
    if (!gap) return Order::next;
    ++continuity_errors_;
    return Order::gap;
}

void TsDemux::read_table(Table& table, const Packet& packet, Units& units) {
    const Order order_of_packet = order(table.counter, packet);
    if (order_of_packet == Order::repeated) return;
    const bool broken = order_of_packet == Order::gap || packet.scrambled;
    if (broken) {
        if (!table.section.empty()) ++section_errors_;
        table.section.clear();
        table.open = false;
    }
    if (packet.scrambled) return;
    View payload = packet.payload;
    if (packet.unit_start) {
        // pointer_field (§2.4.4.2): that many bytes still belong to the section before.
        if (payload.empty() || payload[0] >= payload.size()) {
            ++section_errors_;
            table.section.clear();
            table.open = false;
            return;
        }
        const std::size_t rest = payload[0];
        if (table.open) append_section(table, payload.subspan(1, rest), units);
        if (!table.section.empty()) ++section_errors_;
        table.section.clear();
        table.open = true;
        payload = payload.subspan(1 + rest);
    }
    if (table.open) append_section(table, payload, units);
}

void TsDemux::append_section(Table& table, std::span<const std::uint8_t> bytes, Units& units) {
    constexpr std::size_t start_size = 3;  // table_id and section_length
    auto& section = table.section;
    while (!bytes.empty()) {
        if (section.empty() && bytes[0] == 0xff) {  // only stuffing follows (§2.4.4)
            table.open = false;
            return;
        }
        std::size_t wanted = start_size;
        if (section.size() >= start_size) wanted += get_length(View(section).subspan(1));
        const auto piece = bytes.first(std::min(wanted - section.size(), bytes.size()));
        section.insert(section.end(), piece.begin(), piece.end());
        bytes = bytes.subspan(piece.size());
        if (section.size() < start_size) return;
        const std::size_t length = get_length(View(section).subspan(1));
        if (length > max_section_length) {
            ++section_errors_;
            section.clear();
            table.open = false;
            return;
        }
        if (section.size() < start_size + length) continue;
        read_section(table, units);
        section.clear();
    }
}

void TsDemux::read_section(const Table& table, Units& units) {
    const View section(table.section);
    const bool is_pat = &table == &pat_;
    // Private tables may share the PID of the PMT.
    if (section[0] != (is_pat ? pat_table_id : pmt_table_id)) return;
    if (section.size() < section_header_size + crc_size || crc32_mpeg2(section) != 0) {
        ++section_errors_;
        return;
    }
    const bool current = section[5] & 0x01, first = section[6] == 0;
    if (!current || !first) return;
    const View fields = section.subspan(section_header_size, section.size() - section_header_size - crc_size);
    if (is_pat)
        read_pat(fields);
    else if (get16(section.subspan(3)) == program_number_)
        read_pmt(fields, units);
}

void TsDemux::read_pat(std::span<const std::uint8_t> programs) {
    for (; programs.size() >= 4; programs = programs.subspan(4)) {
        const std::uint16_t program_number = get16(programs), pid = get_pid(programs.subspan(2));
        if (program_number == 0) continue;  // the network's own table
        if (pmt_pid_ != pid) pmt_ = {};
        pmt_pid_ = pid;
        program_number_ = program_number;
        return;
    }
}

// A stream that stays keeps what it has begun; one that leaves is at its end.
void TsDemux::read_pmt(std::span<const std::uint8_t> fields, Units& units) {
    constexpr std::size_t fixed_size = 4, stream_size = 5;
    if (fields.size() < fixed_size) return;
    const std::size_t program_info = get_length(fields.subspan(2));
    fields = fields.subspan(fixed_size);
    fields = fields.subspan(std::min(program_info, fields.size()));
    std::vector<Stream> streams;
    while (fields.size() >= stream_size && streams.size() < max_streams) {
        const std::uint8_t stream_type = fields[0];
        const std::uint16_t pid = get_pid(fields.subspan(1));
        const std::size_t info = get_length(fields.subspan(3));
        fields = fields.subspan(stream_size);
        fields = fields.subspan(std::min(info, fields.size()));
        const auto has_pid = [pid](const Stream& stream) { return stream.pid == pid; };
        if (std::any_of(streams.begin(), streams.end(), has_pid)) continue;
        const auto known = std::find_if(streams_.begin(), streams_.end(), has_pid);
        if (known != streams_.end() && known->stream_type == stream_type) {
            streams.push_back(std::move(*known));
            streams_.erase(known);
        } else {
            streams.push_back({.pid = pid, .stream_type = stream_type});
        }
    }
    for (Stream& stream : streams_)
        if (stream.open) close(stream, units);
    streams_ = std::move(streams);
}

void TsDemux::read_stream(Stream& stream, const Packet& packet, Units& units) {
    const Order order_of_packet = order(stream.counter, packet);
    if (order_of_packet == Order::repeated) return;
    if (order_of_packet == Order::gap && stream.open) drop(stream);
    if (packet.unit_start) {
        if (stream.open) close(stream, units);
        stream.open = true;
        stream.random_access = packet.random_access;
    }
    if (!stream.open) return;
    if (packet.scrambled) return drop(stream);
    auto& pes = stream.pes;
    pes.insert(pes.end(), packet.payload.begin(), packet.payload.end());
    const auto size = pes.size() >= pes_start_size ? stated_size(pes) : std::nullopt;
    if (size.value_or(pes.size()) > max_pes_) return drop(stream);
    if (size && pes.size() >= *size) {
        pes.resize(*size);
        close(stream, units);
    }
}

// Makes a unit of the PES packet (§2.4.3.6) that is now complete, as far as one can know.
void TsDemux::close(Stream& stream, Units& units) {
    const View pes(stream.pes);
    if (pes.size() < pes_header_size || pes[0] != 0 || pes[1] != 0 || pes[2] != 1) return drop(stream);
    const auto size = stated_size(pes);
    const std::size_t header_size = pes_header_size + pes[8];
    // The optional fields open with '10'. Padding, private_stream_2 and the like have none, but then they
    // are not of the kind that carries pictures or sound.
    if ((pes[6] & 0xc0) != 0x80 || pes.size() < header_size || (size && pes.size() < *size))
        return drop(stream);
    if (pes[6] & 0x30) {  // PES_scrambling_control
        ++scrambled_;
        return drop(stream);
    }
    TsUnit unit{
        .type = coding(stream.stream_type).type, .pid = stream.pid, .random_access = stream.random_access};
    const bool has_pts = pes[7] & 0x80, has_dts = (pes[7] & 0xc0) == 0xc0;
    if (pes[8] < (has_dts ? 10 : has_pts ? 5 : 0)) return drop(stream);
    if (has_pts) unit.pts = get_timestamp(pes.subspan(pes_header_size));
    if (has_dts) unit.dts = get_timestamp(pes.subspan(pes_header_size + 5));
    unit.data.assign(pes.begin() + static_cast<std::ptrdiff_t>(header_size), pes.end());
    units.push_back(std::move(unit));
    stream.open = false;
    stream.pes.clear();
}

void TsDemux::drop(Stream& stream) {
    ++dropped_units_;
    stream.open = false;
    stream.pes.clear();
}

}  // namespace livecanary::protocol
