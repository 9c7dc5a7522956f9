#include "daemon/log.hpp"

#include <algorithm>
#include <memory>

#include <spdlog/async.h>
#include <spdlog/async_logger.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

namespace livecanary::daemon::log {
namespace {

struct State {
    std::shared_ptr<spdlog::details::thread_pool> thread{};
    std::shared_ptr<spdlog::async_logger> logger{};
    Format format = Format::logfmt;
    Level least = Level::info;
};
State state;

std::string_view name(Level level) {
    switch (level) {
        case Level::debug:
            return "debug";
        case Level::info:
            return "info";
        case Level::warn:
            return "warn";
        case Level::error:
            return "error";
    }
    return "error";
}

/// As logfmt readers expect it: bare if it is one plain word, else quoted with escapes (JSON's serve).
std::string quoted(std::string_view text) {
    const auto plain = [](char c) { return c > ' ' && c != '"' && c != '=' && c != '\\' && c != 0x7f; };
    if (!text.empty() && std::ranges::all_of(text, plain)) return std::string(text);
    return boost::json::serialize(boost::json::value(boost::json::string(text)));
}

void write(Level level, std::string_view message, const Fields& fields) {
    if (!state.logger || level < state.least) return;
    state.logger->log(spdlog::level::info, line(state.format, level, message, fields));
}

}  // namespace

std::string line(Format format, Level level, std::string_view message, const Fields& fields) {
    if (format == Format::json) {
        boost::json::object object;
        object["level"] = name(level);
        object["msg"] = message;
        for (const auto& [key, value] : fields) object[key] = value;
        // The time is put in front by the sink, so the first brace is left to it.
        return boost::json::serialize(object).substr(1);
    }
    std::string text = "level=" + std::string(name(level)) + " msg=" + quoted(message);
    for (const auto& [key, value] : fields) text.append(" ").append(key).append("=").append(quoted(value));
    return text;
}

void start(Level level, Format format) {
    state.format = format;
    state.least = level;
    state.thread = std::make_shared<spdlog::details::thread_pool>(8192, 1);
    auto sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
    state.logger = std::make_shared<spdlog::async_logger>("livecanary", sink, state.thread,
                                                          spdlog::async_overflow_policy::overrun_oldest);
    state.logger->set_pattern(
        format == Format::json ? R"({"time":"%Y-%m-%dT%H:%M:%S.%eZ",%v)" : "time=%Y-%m-%dT%H:%M:%S.%eZ %v",
        spdlog::pattern_time_type::utc);
    state.logger->flush_on(spdlog::level::info);
}

void stop() {
    state.thread.reset();  // joins after the queue is empty; then nobody else holds the logger
    state.logger.reset();
}

void debug(std::string_view message, const Fields& fields) { write(Level::debug, message, fields); }
void info(std::string_view message, const Fields& fields) { write(Level::info, message, fields); }
void warn(std::string_view message, const Fields& fields) { write(Level::warn, message, fields); }
void error(std::string_view message, const Fields& fields) { write(Level::error, message, fields); }

}  // namespace livecanary::daemon::log
