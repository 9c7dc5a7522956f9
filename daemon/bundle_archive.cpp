#include "daemon/bundle_archive.hpp"

#define ZLIB_CONST  // next_in points to const
#include <zlib.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <stdexcept>

#include "daemon/gzip.hpp"

namespace livecanary::daemon {
namespace {

constexpr std::size_t block = 512;
constexpr std::size_t longest_name = 100;

// Where the fields of a header stand (pax(1), "ustar Interchange Format").
struct Field {
    std::size_t at, size;
};
constexpr Field name_field{0, 100}, mode_field{100, 8}, uid_field{108, 8}, gid_field{116, 8},
    size_field{124, 12}, time_field{136, 12}, sum_field{148, 8}, type_field{156, 1}, magic_field{257, 8};

void put(std::string& header, Field field, std::string_view text) {
    header.replace(field.at, std::min(field.size, text.size()), text.substr(0, field.size));
}

/// Octal digits and a NUL.
void put_number(std::string& header, Field field, std::uint64_t number) {
    char digits[24];
    std::snprintf(digits, sizeof digits, "%0*llo", static_cast<int>(field.size - 1),
                  static_cast<unsigned long long>(number));
    put(header, field, digits);
}

std::uint64_t number_at(std::string_view header, Field field) {
    std::uint64_t number = 0;
    for (const char c : header.substr(field.at, field.size)) {
        if (c < '0' || c > '7') break;
        number = number * 8 + static_cast<unsigned>(c - '0');
    }
    return number;
}

/// Of a header whose own field for it reads blanks.
std::uint64_t sum_of(std::string header) {
    put(header, sum_field, "        ");
    std::uint64_t sum = 0;
    for (const char c : header) sum += static_cast<unsigned char>(c);
    return sum;
}

std::string header_of(const BundleFile& file, std::int64_t seconds) {
    if (file.name.empty() || file.name.size() > longest_name)
        throw std::length_error("no name for a file in an archive: " + file.name);
    std::string header(block, '\0');
    put(header, name_field, file.name);
    put_number(header, mode_field, 0600);
    put_number(header, uid_field, 0);
    put_number(header, gid_field, 0);
    put_number(header, size_field, file.text.size());
    put_number(header, time_field, static_cast<std::uint64_t>(std::max<std::int64_t>(seconds, 0)));
    put(header, type_field, "0");
    put(header, magic_field, std::string_view("ustar\00000", 8));
    char sum[8];
    std::snprintf(sum, sizeof sum, "%06llo", static_cast<unsigned long long>(sum_of(header)));
    put(header, sum_field, std::string(sum) + '\0' + ' ');
    return header;
}

std::size_t padding(std::size_t size) { return (block - size % block) % block; }

std::optional<std::string> gunzip(std::string_view packed, std::size_t most) {
    constexpr int gzip_window = 15 + 16;  // the largest window; 16 asks for gzip's header (zlib.h)
    z_stream stream{};
    if (inflateInit2(&stream, gzip_window) != Z_OK) throw std::bad_alloc();
    // The cast is zlib's way of saying bytes.
    stream.next_in = reinterpret_cast<const Bytef*>(packed.data());
    stream.avail_in = static_cast<uInt>(packed.size());
    std::string plain;
    std::array<unsigned char, 64 * 1024> chunk;
    int state = Z_OK;
    while (state == Z_OK && plain.size() <= most) {
        stream.next_out = chunk.data();
        stream.avail_out = static_cast<uInt>(chunk.size());
        state = inflate(&stream, Z_NO_FLUSH);
        plain.append(reinterpret_cast<const char*>(chunk.data()), chunk.size() - stream.avail_out);
    }
    inflateEnd(&stream);
    if (state != Z_STREAM_END || plain.size() > most) return std::nullopt;
    return plain;
}

}  // namespace

std::string pack(std::span<const BundleFile> files, std::int64_t seconds) {
    std::string tar;
    for (const BundleFile& file : files) {
        tar += header_of(file, seconds);
        tar += file.text;
        tar.append(padding(file.text.size()), '\0');
    }
    tar.append(2 * block, '\0');
    return gzip(tar);
}

std::optional<std::vector<BundleFile>> unpack(std::string_view archive, std::size_t most) {
    const auto tar = gunzip(archive, most);
    if (!tar) return std::nullopt;
    std::vector<BundleFile> files;
    for (std::string_view rest = *tar; rest.size() >= block;) {
        const std::string header(rest.substr(0, block));
        rest.remove_prefix(block);
        if (header.find_first_not_of('\0') == std::string::npos) return files;
        const auto size = number_at(header, size_field);
        if (number_at(header, sum_field) != sum_of(header) || size > rest.size()) return std::nullopt;
        BundleFile file;
        file.name = header.substr(0, std::min(header.find('\0'), longest_name));
        file.text = rest.substr(0, size);
        rest.remove_prefix(std::min(rest.size(), size + padding(size)));
        files.push_back(std::move(file));
    }
    return std::nullopt;  // the end is missing
}

}  // namespace livecanary::daemon
