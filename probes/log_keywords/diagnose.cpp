#include "probes/log_keywords/diagnose.hpp"

#include <string>
#include <utility>

#include "probes/log_keywords/matcher.hpp"

namespace livecanary::log_keywords {
namespace {

std::vector<Cause> causes_in(std::string_view words) {
    std::vector<Cause> causes;
    while (!words.empty()) {
        const auto space = std::min(words.find(' '), words.size());
        if (const auto cause = cause_from(words.substr(0, space))) causes.push_back(*cause);
        words.remove_prefix(std::min(space + 1, words.size()));
    }
    return causes;
}

/// The log names it, and the configuration says that it is an outage.
Diagnosis of_keyword(const RunResult& run) {
    const auto failing = run.got(seen::failing);
    const auto label = label_of(failing.substr(0, failing.find(' ')));
    if (!label) return {};
    std::string because = "the log says: " + std::string(run.got(seen::failing_line));
    if (const auto space = failing.find(' '); space != failing.npos)
        because += "; also found: " + std::string(failing.substr(space + 1));
    const auto among = causes_in(run.got(seen::among));
    if (label->cause && among.empty()) return claim(*label->cause, std::move(because));
    const std::string keyword = "'" + std::string(run.got(seen::words)) + "' is written for it";
    Diagnosis found{.cause_class = label->cause_class, .because = std::move(because)};
    for (const Cause cause : among) found.candidates.push_back({cause, keyword});
    if (label->cause_class && found.candidates.empty())
        for (const auto& candidate : entry(*label->cause_class).candidates)
            found.candidates.push_back({candidate.cause, std::string(candidate.why)});
    return found;
}

}  // namespace

error_code make_error_code(LogError error) noexcept {
    using enum LogError;
    static const ErrorTable<LogError> table{
        "livecanary.log_keywords",
        {{keyword, "a line was written that points at a cause", Reason::mismatch},
         {no_file, "no file of these paths is there", Reason::not_found},
         {forbidden, "log files may not be read", Reason::forbidden},
         {unreadable, "log files cannot be read", Reason::local},
         {slow, "the disk has not answered in time", Reason::timeout}}};
    return {static_cast<int>(error), table};
}

Diagnosis diagnose(const RunResult& run) {
    if (run.code == LogError::keyword) return of_keyword(run);
    Diagnosis found{.because = "no log file is there: " + std::string(run.got("no_match"))};
    // Measured: where PHP cannot write its log directory, no file comes into being at all. So it is with
    // paths that are not those of the logs.
    found.candidates = {
        {Cause::backend_log_dir_unwritable, "PHP makes no log file in a directory that it cannot write"}};
    return found;
}

}  // namespace livecanary::log_keywords
