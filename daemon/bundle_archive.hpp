#pragma once
// The archive of a bundle: tar (ustar, POSIX.1-1988) in gzip, and a reader of what this writes.
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace livecanary::daemon {

struct BundleFile {
    std::string name{};  ///< path in the archive: relative, at most 100 bytes
    std::string text{};
};

/// All files with mode 0600, of nobody, written at `seconds` (Unix time), in the order given. Throws
/// std::length_error for a name that is too long.
std::string pack(std::span<const BundleFile> files, std::int64_t seconds);

/// Nothing if it is no such archive, or a file of it is damaged or more than `most` bytes long.
std::optional<std::vector<BundleFile>> unpack(std::string_view archive,
                                              std::size_t most = 256UL * 1024 * 1024);

}  // namespace livecanary::daemon
