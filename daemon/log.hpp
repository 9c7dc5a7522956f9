#pragma once
// Log lines of one event each, with fields: `time=… level=… msg="…" probe=… phase=…`, or the same as JSON.
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace livecanary::daemon::log {

enum class Level { debug, info, warn, error };
enum class Format { logfmt, json };

using Fields = std::vector<std::pair<std::string_view, std::string>>;

/// Sets the log up once, on stderr. Writing happens on a thread of its own; when its queue of 8192 lines is
/// full, the oldest go: the event loop never waits for a reader of the log.
void start(Level level, Format format);
/// Writes what is queued.
void stop();

void debug(std::string_view message, const Fields& fields = {});
void info(std::string_view message, const Fields& fields = {});
void warn(std::string_view message, const Fields& fields = {});
void error(std::string_view message, const Fields& fields = {});

/// The text of one line, without its time: `level=info msg="probe failed" probe=x`.
std::string line(Format format, Level level, std::string_view message, const Fields& fields);

}  // namespace livecanary::daemon::log
