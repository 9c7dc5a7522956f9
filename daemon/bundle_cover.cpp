#include "daemon/bundle_cover.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <optional>
#include <set>
#include <string_view>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "daemon/result_json.hpp"
#include "probes/catalogue/catalogue.hpp"

namespace livecanary::daemon {

namespace json = boost::json;

namespace {

constexpr std::size_t longest_cell = 300;  // bytes of a cell of a table
constexpr std::size_t shortest_word = 6;   // of what lines of logs are searched for

std::string_view text_of(const json::value& value, std::string_view key) {
    const auto* object = value.if_object();
    const auto* member = object != nullptr ? object->if_contains(key) : nullptr;
    return member != nullptr && member->is_string() ? std::string_view(member->get_string())
                                                    : std::string_view();
}

const json::array& list_of(const json::value& value, std::string_view key) {
    static const json::array none;
    const auto* object = value.if_object();
    const auto* member = object != nullptr ? object->if_contains(key) : nullptr;
    return member != nullptr && member->is_array() ? member->get_array() : none;
}

/// Evidence that a vendor finds a request by, and how the vendor calls it.
constexpr std::array<std::pair<std::string_view, std::string_view>, 8> id_names{
    {{"request_id", "x-cos-request-id"},
     {"trace_id", "x-cos-trace-id"},
     {"log_uuid", "X-NWS-LOG-UUID"},
     {"clientid", "RTMP clientid"},
     {"client_id", "RTMP clientid"},
     {"requestid", "RTMP requestid"},
     {"task_id", "task_id"},
     {"file_id", "file_id"}}};

/// Evidence by which lines of the backend's own logs can be known.
constexpr std::array<std::string_view, 5> own_names{"stream", "object", "row", "file_id", "push"};

std::vector<std::string> words(std::string_view text) {
    std::vector<std::string> found;
    for (std::size_t at = 0; at < text.size();) {
        const auto end = std::min(text.find_first_of(" \t,;\"'()", at), text.size());
        if (end > at) found.emplace_back(text.substr(at, end - at));
        at = end + 1;
    }
    return found;
}

/// One line, for a cell of a table.
std::string cell(std::string_view text) {
    std::string out;
    for (const char c : text.substr(0, longest_cell)) {
        if (c == '|') out += '\\';
        out += static_cast<unsigned char>(c) < ' ' ? ' ' : c;
    }
    // Not within a character.
    if (text.size() > longest_cell) {
        while (!out.empty() && (static_cast<unsigned char>(out.back()) & 0xC0U) == 0x80) out.pop_back();
        if (!out.empty() && static_cast<unsigned char>(out.back()) >= 0xC0) out.pop_back();
        out += "…";
    }
    return out;
}

std::string in_china(WallTime time) {
    std::string text = rfc3339(time + std::chrono::hours(8));
    text.resize(19);
    text[10] = ' ';
    return text + " +08:00";
}

/// A vendor's support looks things up in its own time.
std::string both_times(std::string_view utc) {
    const auto time = parse_rfc3339(utc);
    return std::string(utc) + (time ? " (" + in_china(*time) + ")" : "");
}

struct Question {
    std::string_view kind, en, zh;
};

/// Whom to ask what, by kind of probe.
constexpr std::array<Question, 8> questions{
    {{"",  // it is not reached
      "Of whoever runs this address: is it in service, does it listen on this port with this certificate, "
      "and is the "
      "address of this host blocked? If other targets fail too, of the network between.",
      "向该地址的运营方询问：是否在服务、该端口和证书是否正常、是否封禁了本机地址？若其他目标也失败，请询问网"
      "络运营方。"},
     {"rtmp_push",
      "Of the live platform: which rule refused or ended the push of this stream at that time (signature, "
      "expiry, ban, "
      "quota, account), and what does the log of the ingest node say of it?",
      "向直播平台询问：该流在该时间的推流被哪条规则拒绝或断开（鉴权、过期、封禁、配额、账号），接入节点日志如"
      "何记录？"},
     {"cos_roundtrip",
      "Of the object store: what were the requests with these ids answered with, and why? Name bucket and "
      "region.",
      "向对象存储询问：以上请求 ID 的应答是什么、原因是什么？请同时提供存储桶和地域。"},
     {"cdn_fetch",
      "Of the CDN: what does the node's log say of the requests with these X-NWS-LOG-UUIDs: which origin did "
      "it ask, "
      "with what answer, and are acceleration, origin authentication and URL authentication of the domain "
      "on?",
      "向 CDN 询问：以上 X-NWS-LOG-UUID 的节点日志：回源到哪里、应答是什么；该域名的加速、回源鉴权、URL "
      "鉴权是否开启？"},
     {"callback",
      "Of the live platform: were events of this stream sent at that time, to which URL, and what was the "
      "answer? Which "
      "callback template is bound to the domain?",
      "向直播平台询问：该时间是否发送过该流的回调事件、发往哪个 URL、应答是什么？域名绑定了哪个回调模板？"},
     {"mysql", "Of whoever runs the database: nothing of this goes to a vendor unless the database is one.",
      "询问数据库的维护者；除非使用云数据库，否则无需联系厂商。"},
     {"backend_api",
      "Of whoever runs the business backend: the lines of its log are in this archive, if they could be "
      "read.",
      "询问业务后台的维护者；若可读取，其日志行已在压缩包中。"},
     {"journey", "Of the vendor of the hop that broke first: see the probe of that hop below.",
      "询问最先出错的一跳所属的厂商：见下文该跳的探测。"}}};

class Cover {
public:
    explicit Cover(const CoverFacts& facts) : facts_(facts), parts_(*facts.parts) {}

    std::string all() {
        page(Lang::en);
        out_ += "\n---\n\n";
        page(Lang::zh);
        return std::move(out_);
    }

private:
    void page(Lang lang) {
        lang_ = lang;
        const std::string about = facts_.probe.empty() ? say("all probes", "全部探测") : facts_.probe;
        line("# " + say("livecanary bundle: ", "livecanary 诊断包：") + about);
        line("");
        line(say("Made ", "生成于 ") + both_times(rfc3339(facts_.made)) + say(" at ", "，位置 ") +
             facts_.location + say(", by ", "，版本 ") + facts_.version + '.');
        if (lang_ == Lang::en) line("\n中文在后半部分。");
        line("");
        ids();
        broken();
        others();
        incidents();
        origins();
        removed();
    }

    std::string say(const char* en, const char* zh) const { return lang_ == Lang::zh ? zh : en; }
    void line(const std::string& text) { out_ += text + '\n'; }

    void ids() {
        line(say("## Quote these to the vendor", "## 向厂商提供这些 ID"));
        line("");
        const auto ids = vendor_ids(parts_.results);
        if (ids.empty()) {
            line(say("No answer carried a request id. Quote the target, the time and the stream instead.",
                     "没有应答带有请求 ID。请提供目标、时间和流名。"));
        } else {
            line(say("| probe | run began | what | id | our run |",
                     "| 探测 | 开始时间 | 名称 | ID | 我方运行号 |"));
            line("| --- | --- | --- | --- | --- |");
            for (const auto& id : ids)
                line("| " + cell(id.probe) + " | " + both_times(id.started) + " | " + cell(id.name) + " | `" +
                     cell(id.id) + "` | " + id.run_id + " |");
        }
        line("");
    }

    void broken() {
        line(say("## What is broken", "## 故障"));
        line("");
        bool any = false;
        for (const auto& result : parts_.results) {
            if (text_of(result, "outcome") != "failed") continue;
            any = true;
            failure(result);
        }
        if (any) return;
        line(parts_.results.empty()
                 ? say("There are no results in this bundle: see below why.",
                       "此诊断包中没有结果，原因见下文。")
                 : say("Nothing failed in the last run of these probes.", "这些探测最近一次运行没有失败。"));
        line("");
    }

    void failure(const json::value& result) {
        const std::string probe(text_of(result, "probe"));
        const auto kind = text_of(result, "kind");
        line("### " + probe + " (" + std::string(kind) + ") " + cell(text_of(result, "target")));
        line("");
        const auto at = parts_.runs.find(probe);
        auto since = at != parts_.runs.end() ? failing_since(at->second) : FailingSince{};
        // It remembers for longer than the last runs go back.
        if (const auto open = open_since(parts_.incidents, probe); !open.empty()) since = {open, false};
        fact("since", "开始时间",
             since.time.empty()
                 ? both_times(text_of(result, "started")) + say(" (this run)", "（本次运行）")
                 : both_times(since.time) + (since.at_least ? say(" or earlier", " 或更早") : ""));
        const std::string where =
            std::string(text_of(result, "phase")) + ": " + std::string(text_of(result, "reason"));
        const auto cause = cause_from(text_of(result, "cause"));
        const auto cause_class = class_from(text_of(result, "class"));
        if (cause) {
            fact("what", "现象", std::string(entry(*cause).title.in(lang_)) + " (" + where + ")");
            fact("cause", "原因",
                 '`' + std::string(to_string(*cause)) + "`: " + say("proven", "已证实") +
                     (entry(*cause).item.empty() ? "" : ", " + std::string(entry(*cause).item)));
        } else if (cause_class) {
            fact("what", "现象", std::string(entry(*cause_class).title.in(lang_)) + " (" + where + ")");
            fact("class", "类别",
                 '`' + std::string(to_string(*cause_class)) +
                     "`: " + say("not proven which; the likeliest first:", "尚未证实，按可能性排列："));
            candidates(result);
        } else {
            fact("what", "现象", where);
        }
        fact("because", "依据", cell(text_of(result, "because")));
        if (const auto* object = result.if_object())
            if (const auto* fix = object->if_contains("fix"))
                fact("fix", "修复", std::string(text_of(*fix, lang_ == Lang::zh ? "zh" : "en")));
        const auto phase = text_of(result, "phase");
        const bool on_the_way = phase == "dns" || phase == "tcp" || phase == "tls";
        const auto ask = std::ranges::find(questions, on_the_way ? "" : kind, &Question::kind);
        if (ask != questions.end()) fact("ask", "询问", std::string(lang_ == Lang::zh ? ask->zh : ask->en));
        line("");
        evidence(result);
    }

    void fact(const char* en, const char* zh, const std::string& words_of_it) {
        if (!words_of_it.empty()) line("- **" + say(en, zh) + "**: " + words_of_it);
    }

    void candidates(const json::value& result) {
        for (const auto& candidate : list_of(result, "candidates")) {
            const auto id = text_of(candidate, "cause");
            const auto known = cause_from(id);
            line("  - `" + std::string(id) + "` " +
                 (known ? std::string(entry(*known).title.in(lang_)) : std::string()));
        }
    }

    void evidence(const json::value& result) {
        const auto& seen = list_of(result, "evidence");
        const auto& controls = list_of(result, "controls");
        if (seen.empty() && controls.empty()) return;
        line(say("| phase | what | got |", "| 阶段 | 证据 | 内容 |"));
        line("| --- | --- | --- |");
        for (const auto& one : seen)
            line("| " + cell(text_of(one, "phase")) + " | " + cell(text_of(one, "what")) + " | " +
                 cell(text_of(one, "got")) + " |");
        for (const auto& one : controls)
            line("| " + say("control", "对照") + " | " + cell(text_of(one, "name")) + " | " +
                 cell(text_of(one, "outcome")) + ": " + cell(text_of(one, "shows")) + " |");
        line("");
    }

    void incidents() {
        if (parts_.incidents.empty()) return;
        line(say("## Incidents, the newest first", "## 事件（最近的在前）"));
        line("");
        line(say("| opened | closed | what |", "| 开始 | 结束 | 现象 |"));
        line("| --- | --- | --- |");
        for (const auto& incident : parts_.incidents) {
            const auto closed = text_of(incident, "closed");
            line("| " + both_times(text_of(incident, "opened")) + " | " +
                 (closed.empty() ? say("open", "未结束") : both_times(closed)) + " | " +
                 cell(text_of(incident, "probe")) + ": " + cell(text_of(incident, "sentence")) + " |");
        }
        line("");
    }

    void others() {
        std::string ok, unknown;
        for (const auto& result : parts_.results) {
            const auto outcome = text_of(result, "outcome");
            if (outcome == "failed") continue;
            std::string& list = outcome == "ok" ? ok : unknown;
            list += (list.empty() ? "" : ", ") + std::string(text_of(result, "probe"));
        }
        if (ok.empty() && unknown.empty()) return;
        line(say("## What else was looked at", "## 其他探测"));
        line("");
        if (!ok.empty()) line("- " + say("ok: ", "正常：") + ok);
        if (!unknown.empty()) line("- " + say("inconclusive (proves nothing): ", "无结论：") + unknown);
        line("");
    }

    void origins() {
        line(say("## Where each part comes from", "## 各部分的来源"));
        line("");
        for (const auto& origin : parts_.origins)
            line("- " + (lang_ == Lang::zh ? origin.what_zh + "：" + origin.from_zh
                                           : origin.what_en + ": " + origin.from_en));
        line("- " + say("log lines: ", "日志行：") + std::to_string(facts_.log_lines) +
             say(", of the files that log_keywords probes follow: those that name a run, a stream, an object "
                 "or an id of "
                 "above, or are stamped within a minute of a failed run",
                 " 行，来自 log_keywords 探测跟踪的文件：含有上述运行号、流名、对象或 "
                 "ID，或时间与失败的运行相差一分钟以内"));
        line("");
        line(say("Files:", "文件："));
        line("");
        for (const auto& file : facts_.files) line("- `" + file + '`');
        line("");
    }

    void removed() {
        line(say("## What was taken out", "## 已移除的内容"));
        line("");
        line(say("Every secret of the configuration was searched for by its value, in plain and in its usual "
                 "encodings, and "
                 "whatever looks like a signature, a token, a password or a phone number. `[redacted NAME "
                 "N]` stands in "
                 "each of ",
                 "已按值搜索配置中的每个密钥（原文及常见编码），以及形似签名、令牌、密码或电话号码的内容。") +
             (lang_ == Lang::zh
                  ? "共 " + std::to_string(facts_.redacted) + " 处替换为 `[redacted 名称 编号]`。"
                  : std::to_string(facts_.redacted) +
                        " places; the same name and number is the same value. The finished archive was "
                        "searched again before it was written."));
        if (!facts_.uncertain.empty()) {
            std::string list;
            for (const auto& name : facts_.uncertain) list += (list.empty() ? "`" : ", `") + name + '`';
            line("");
            line(
                say("**Look yourself before you send this.** Shorter than 6 characters, so that it was only "
                    "taken out where "
                    "it stands alone: ",
                    "**发送前请自行检查。** 以下密钥短于 6 个字符，仅在单独出现时被移除：") +
                list +
                say(". Such a key is also easy to guess: replace it.", "。这样的密钥也容易被猜到，请更换。"));
        }
        line("");
        line(say("Host names, addresses, user ids and bucket names are left in: the vendor needs them.",
                 "主机名、地址、用户 ID 和存储桶名称予以保留，厂商需要它们。"));
    }

    const CoverFacts& facts_;
    const BundleParts& parts_;
    Lang lang_ = Lang::en;
    std::string out_{};
};

}  // namespace

std::optional<WallTime> parse_rfc3339(std::string_view text) {
    int year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0;
    if (std::sscanf(std::string(text).c_str(), "%4d-%2d-%2dT%2d:%2d:%2d", &year, &month, &day, &hour, &minute,
                    &second) != 6)
        return std::nullopt;
    const std::chrono::year_month_day date{std::chrono::year(year),
                                           std::chrono::month(static_cast<unsigned>(month)),
                                           std::chrono::day(static_cast<unsigned>(day))};
    if (!date.ok()) return std::nullopt;
    return std::chrono::sys_days(date) + std::chrono::hours(hour) + std::chrono::minutes(minute) +
           std::chrono::seconds(second);
}

std::vector<VendorId> vendor_ids(const json::array& results) {
    std::vector<VendorId> ids;
    for (const auto& result : results)
        for (const auto& one : list_of(result, "evidence")) {
            const auto named =
                std::ranges::find(id_names, text_of(one, "what"), &decltype(id_names)::value_type::first);
            if (named == id_names.end()) continue;
            ids.push_back({.probe = std::string(text_of(result, "probe")),
                           .started = std::string(text_of(result, "started")),
                           .run_id = std::string(text_of(result, "run_id")),
                           .name = std::string(named->second),
                           .id = std::string(text_of(one, "got"))});
        }
    return ids;
}

std::vector<std::string> words_of(const json::array& results) {
    std::set<std::string> found;
    for (const auto& result : results) {
        if (const auto id = text_of(result, "run_id"); id.size() >= shortest_word) found.emplace(id);
        for (const auto& one : list_of(result, "evidence")) {
            const auto what = text_of(one, "what");
            const bool is_id =
                std::ranges::find(id_names, what, &decltype(id_names)::value_type::first) != id_names.end();
            if (!is_id && std::ranges::find(own_names, what) == own_names.end()) continue;
            for (auto& word : words(text_of(one, "got")))
                // What is no name, but a word of a sentence, has no digit.
                if (word.size() >= shortest_word && word.find_first_of("0123456789") != std::string::npos)
                    found.insert(std::move(word));
        }
    }
    return {found.begin(), found.end()};
}

FailingSince failing_since(const json::array& runs) {
    FailingSince since;
    for (const auto& run : runs) {
        const auto outcome = text_of(run, "outcome");
        if (outcome == "ok") {
            since.at_least = false;
            return since;
        }
        if (outcome != "failed") continue;
        since.time = text_of(run, "started");
        since.at_least = true;
    }
    return since;
}

std::string open_since(const json::array& incidents, std::string_view probe) {
    for (const auto& incident : incidents)
        for (const auto& one : list_of(incident, "probes"))
            if (text_of(one, "probe") == probe && text_of(one, "until").empty())
                return std::string(text_of(one, "since"));
    return {};
}

std::string cover(const CoverFacts& facts) { return Cover(facts).all(); }

}  // namespace livecanary::daemon
