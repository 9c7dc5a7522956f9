#pragma once
// Which build this is: for `livecanary version`, the status page and livecanary_build_info.
#include <string>
#include <string_view>

namespace livecanary::daemon {

std::string_view version() noexcept;   ///< of the project, such as "0.1.0"; "unknown" outside our CMake
std::string_view revision() noexcept;  ///< the commit built from; "unknown" where there was no repository
std::string_view compiler() noexcept;  ///< name and version of the compiler
std::string libraries();               ///< one line each: the libraries this program runs with

}  // namespace livecanary::daemon
