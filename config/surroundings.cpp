// The process environment and the file system behind a configuration.
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <memory>
#include <system_error>

#include "config/descriptor.hpp"
#include "config/reader.hpp"

namespace livecanary::config {
namespace {

// Far above any configuration or key, and little enough to read by mistake.
constexpr std::size_t largest_file = 4 * 1024 * 1024;

std::string words(int error) { return std::generic_category().message(error); }

Surroundings::Content read_file(const std::string& path) {
    // A pipe or a device would keep us waiting for somebody to write.
    const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (file.get() < 0) return {.error = words(errno)};
    struct stat facts {};
    if (::fstat(file.get(), &facts) != 0) return {.error = words(errno)};
    if (S_ISDIR(facts.st_mode)) return {.error = words(EISDIR)};
    if (!S_ISREG(facts.st_mode)) return {.error = "not a regular file"};
    std::string text;
    std::array<char, 16 * 1024> buffer;
    for (;;) {
        const ssize_t size = ::read(file.get(), buffer.data(), buffer.size());
        if (size < 0 && errno == EINTR) continue;
        if (size < 0) return {.error = words(errno)};
        if (size == 0) break;
        text.append(buffer.data(), static_cast<std::size_t>(size));
        if (text.size() > largest_file) return {.error = "larger than 4 MiB"};
    }
    return {.text = std::move(text), .others_can_read = (facts.st_mode & (S_IRGRP | S_IROTH)) != 0};
}

std::string unreadable(const std::string& path) {
    const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (file.get() < 0) return words(errno);
    struct stat facts {};
    if (::fstat(file.get(), &facts) != 0) return words(errno);
    return S_ISDIR(facts.st_mode) ? words(EISDIR) : std::string();
}

Surroundings::Listing list_directory(const std::string& path) {
    const auto close = [](DIR* directory) { ::closedir(directory); };
    const std::unique_ptr<DIR, decltype(close)> directory(::opendir(path.c_str()), close);
    if (!directory)
        return errno == ENOENT ? Surroundings::Listing{} : Surroundings::Listing{.error = words(errno)};
    Surroundings::Listing listing;
    errno = 0;
    while (const dirent* entry = ::readdir(directory.get())) listing.names.emplace_back(entry->d_name);
    if (errno != 0) listing.error = words(errno);
    return listing;
}

std::optional<std::string> environment(const std::string& name) {
    const char* value = std::getenv(name.c_str());
    return value != nullptr ? std::optional<std::string>(value) : std::nullopt;
}

std::string host_name() {
    std::array<char, HOST_NAME_MAX + 1> name{};
    return ::gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "";
}

}  // namespace

Surroundings real_surroundings() {
    return {.environment = environment,
            .read_file = read_file,
            .credentials_directory = environment("CREDENTIALS_DIRECTORY").value_or(""),
            .list_directory = list_directory,
            .host_name = host_name(),
            .unreadable = unreadable};
}

}  // namespace livecanary::config
