#pragma once
// What the pages have in common: their frame, their words for times and states, their style and script.
#include <array>
#include <chrono>
#include <string>
#include <string_view>

#include "daemon/web.hpp"

namespace livecanary::daemon {

/// What a probe is at, worst first. The enumerators are the classes in the style sheet.
enum class State { alerting, failing, unknown, waiting, ok };

struct StateWords {
    std::string_view css;
    std::string_view words;
};

inline constexpr std::array<StateWords, 5> state_words{{{"alerting", "alerting"},
                                                        {"failing", "failing"},
                                                        {"unknown", "inconclusive"},
                                                        {"waiting", "not run yet"},
                                                        {"ok", "ok"}}};

const StateWords& words_of(State state);
State state_of(const ProbeStatus& probe);

/// `text` for an element or an attribute in double quotes.
std::string html(std::string_view text);
/// `text` for a segment of a path or a value of a query.
std::string percent_encoded(std::string_view text);

/// "0.24 ms", "320 ms", "5.21 s", "12 min", "3 h", "2 d".
std::string span(std::chrono::microseconds length);
/// "7 s ago".
std::string age(WallTime then, WallTime now);
/// "in 23 s", "now".
std::string until(std::chrono::milliseconds length);
/// RFC 3339 in UTC, to the second.
std::string stamp(WallTime time);
/// The age of it, with its stamp; a dash if it is not set.
std::string time_element(WallTime time, WallTime now);
/// How a text is to be read out where that is not the page's English, as an attribute: ` lang="zh"` if it has
/// Chinese characters, else nothing. Sentences are in the language of alerts, and what a server says is in
/// its own.
std::string_view lang_of(std::string_view text) noexcept;
/// The sentence that says what is wrong; nothing if `text` is empty.
std::string sentence_element(std::string_view text);
/// A pair of a description list; `escaped` is markup.
std::string fact(std::string_view name, const std::string& escaped);
/// What a failure was taken for, as such a pair: a cause, or a class of causes.
std::string label_fact(std::string_view label);
/// A cell of a table; `text` is text.
std::string cell(std::string_view text);
/// `title`, `heads`, `rows` and `content` are markup.
std::string section(std::string_view title, const std::string& content);
/// `name`: of the region, for who does not see its title.
std::string table(std::string_view name, std::string_view heads, const std::string& rows);

/// The document down to its body, whose first link leads to the element with the id "main". `root`: the way
/// from the page to "/", such as "../"; `title` is text.
std::string page_head(std::string_view title, std::string_view root);

/// What all pages look like, in light and dark.
std::string_view style_sheet() noexcept;
/// Renews a page when the daemon says that something has changed. Pages work without it.
std::string_view live_script() noexcept;

}  // namespace livecanary::daemon
