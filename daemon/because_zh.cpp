#include "daemon/because_zh.hpp"

#include <algorithm>
#include <array>

namespace livecanary::daemon {
namespace {

struct Words {
    std::string_view en, zh;
};

/// "{}" stands for the names of probes. Of two that begin alike the longer comes first.
constexpr std::array table{
    Words{"{} finds the same at the database itself", "{} 在数据库上直接得到同样的结果"},
    Words{"{} finds the same in the table itself", "{} 在数据表上直接得到同样的结果"},
    Words{"{}: the database lets the monitor in, and the backend's log says that it refuses the backend",
          "{}：数据库接受监控账号登录，而后端日志表明它拒绝后端"},
    Words{"{} connects and reads meanwhile", "{} 同时仍可连接并读取"},
    Words{"{}, which is a hop of this journey, finds it", "由本链路中的 {} 查明"},
    Words{"{} passes at the same bucket with its own key pair; what the backend issues is refused",
          "{} 用自己的密钥对可访问同一存储桶，而后端签发的签名被拒绝"},
    Words{"{} passes at the same bucket, signed by our own clock", "{} 按我方时钟签名可访问同一存储桶"},
    Words{"{} passes with what the backend issues", "{} 用后端签发的签名可以通过"},
    Words{"{} pass, over both APIs", "{} 通过两代 API 都可以访问"},
    Words{"{}, at another domain, is refused too", "另一域名的 {} 同样被拒绝"},
    Words{"{}, at another domain, is accepted", "另一域名的 {} 被接受"},
    Words{"{} is accepted by the same domain, from here", "{} 从本机被同一域名接受"},
    Words{"the log read by {} says so too", "{} 读取的日志也如此显示"},
    Words{"the log read by {} says so", "{} 读取的日志如此显示"}};

constexpr std::string_view last_one = ", and nothing else is left";
constexpr std::string_view last_one_zh = "，且别无其他可能";

bool is_of_names(char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == ',' || c == ' ';
}

struct Match {
    std::string zh;
    std::size_t size;  ///< bytes of the English
};

/// Whether `text` begins with these words.
std::optional<Match> match(std::string_view text, const Words& words) {
    const auto mark = words.en.find("{}");
    const auto before = words.en.substr(0, mark), after = words.en.substr(mark + 2);
    if (!text.starts_with(before)) return std::nullopt;
    const auto end = text.find(after, before.size());
    if (end == text.npos) return std::nullopt;
    const auto names = text.substr(before.size(), end - before.size());
    if (names.empty() || !std::ranges::all_of(names, is_of_names)) return std::nullopt;
    std::string zh(words.zh);
    zh.replace(zh.find("{}"), 2, names);
    return Match{std::move(zh), end + after.size()};
}

}  // namespace

std::optional<std::string_view> rule_words_zh(std::string_view why) noexcept {
    const auto at = std::ranges::find(table, why, &Words::en);
    return at != table.end() ? std::optional(at->zh) : std::nullopt;
}

std::string because_zh(std::string_view because) {
    std::string out;
    while (!because.empty()) {
        std::optional<Match> found;
        for (const Words& words : table)
            if ((found = match(because, words))) break;
        if (found) {
            out += found->zh;
            because.remove_prefix(found->size);
            if (because.starts_with(last_one)) {
                out += last_one_zh;
                because.remove_prefix(last_one.size());
            }
            if (because.starts_with(": ")) {
                out += "：";
                because.remove_prefix(2);
                continue;
            }
        }
        // The next sentence.
        const auto end = because.find("; ");
        out += because.substr(0, end);
        if (end == because.npos) break;
        out += "；";
        because.remove_prefix(end + 2);
    }
    return out;
}

}  // namespace livecanary::daemon
