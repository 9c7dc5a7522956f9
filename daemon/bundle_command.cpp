#include "daemon/bundle_command.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <ostream>
#include <set>
#include <system_error>
#include <utility>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "config/nearest.hpp"
#include "daemon/bundle_cover.hpp"
#include "daemon/bundle_logs.hpp"
#include "daemon/bundle_sources.hpp"
#include "daemon/check_config_command.hpp"
#include "daemon/config_facts.hpp"
#include "daemon/redact_forms.hpp"
#include "daemon/settings.hpp"
#include "daemon/version.hpp"

namespace livecanary::daemon {

namespace json = boost::json;

namespace {

constexpr std::size_t longest_name = 100;  // bytes, of the archive's format

std::string error_words(int error) { return std::generic_category().message(error); }

std::string folder_of(const std::string& path) {
    const auto slash = path.rfind('/');
    return slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
}

std::string file_name(const std::string& path) { return path.substr(path.rfind('/') + 1); }

/// Why nothing can be written there; empty if it can be.
std::string objection(const BundleCommand& command) {
    if (command.output == "-")
        return command.terminal ? "an archive is nothing for a terminal: give -o FILE, or a pipe behind -o -"
                                : "";
    if (command.output.empty() || command.output.ends_with('/'))
        return "-o takes the name of the file to write, such as -o bundle.tar.gz";
    struct stat facts {};
    const std::string folder = folder_of(command.output);
    if (::stat(folder.c_str(), &facts) != 0) return "cannot write to " + folder + ": " + error_words(errno);
    if (!S_ISDIR(facts.st_mode)) return "cannot write to " + folder + ": it is no directory";
    if (::access(folder.c_str(), W_OK | X_OK) != 0)
        return "cannot write to " + folder + ": " + error_words(errno);
    if (::lstat(command.output.c_str(), &facts) != 0) return {};
    if (S_ISDIR(facts.st_mode)) return command.output + " is a directory: -o takes the name of a file";
    // As root, --force would put a file in the place of /dev/null.
    if (::stat(command.output.c_str(), &facts) == 0 && !S_ISREG(facts.st_mode))
        return command.output + " is no ordinary file, and is not replaced: -o - writes to stdout";
    return command.force ? "" : command.output + " is there already: --force replaces it";
}

/// Gives the file the name, unless somebody has put another there meanwhile.
bool name_new(const std::string& file, const std::string& name) {
    if (::renameat2(AT_FDCWD, file.c_str(), AT_FDCWD, name.c_str(), RENAME_NOREPLACE) == 0) return true;
    // Not every file system can do that, nor has every one hard links.
    return errno == EINVAL && ::link(file.c_str(), name.c_str()) == 0;
}

/// A file that nobody else can read, whole or not at all. Empty, or why not.
std::string write_file(const std::string& path, const std::string& bytes, bool force) {
    std::string temporary = path + ".XXXXXX";
    const int file = ::mkostemp(temporary.data(), O_CLOEXEC);  // with mode 0600
    if (file < 0) return error_words(errno);
    int failed = 0;
    for (std::size_t done = 0; done < bytes.size() && failed == 0;) {
        const ssize_t size = ::write(file, bytes.data() + done, bytes.size() - done);
        if (size >= 0)
            done += static_cast<std::size_t>(size);
        else if (errno != EINTR)
            failed = errno;
    }
    if (failed == 0 && ::fsync(file) != 0) failed = errno;
    if (::close(file) != 0 && failed == 0) failed = errno;
    if (failed == 0 && !(force ? ::rename(temporary.c_str(), path.c_str()) == 0 : name_new(temporary, path)))
        failed = errno;
    if (failed != 0 || !force) ::unlink(temporary.c_str());
    return failed == 0 ? "" : error_words(failed);
}

std::string versions() {
    std::string text = "livecanary " + std::string(version()) + " (revision " + std::string(revision()) +
                       ", " + std::string(compiler()) + ")\n" + libraries();
    utsname system{};
    if (::uname(&system) == 0)
        text += std::string(system.sysname) + ' ' + system.release + ' ' + system.machine + '\n';
    std::ifstream release("/etc/os-release");
    for (std::string line; std::getline(release, line);)
        if (line.starts_with("PRETTY_NAME=")) text += line.substr(line.find('=') + 1) + '\n';
    return text;
}

/// Without what a terminal would obey: a log holds what strangers sent.
std::string visible(std::string text) {
    for (std::size_t at = 0; at < text.size(); ++at) {
        const char c = text[at];
        const bool line_end = c == '\n' || (c == '\r' && at + 1 < text.size() && text[at + 1] == '\n');
        if ((static_cast<unsigned char>(c) < ' ' && c != '\t' && !line_end) || c == 0x7f) text[at] = '?';
    }
    return text;
}

/// Likewise, on one line.
std::string visible_name(std::string name) {
    std::ranges::replace(name, '\n', '?');
    return visible(std::move(name));
}

void learn(Redactor& redactor, const json::value& value) {
    if (const auto* text = value.if_string()) redactor.learn(*text, Words::ours);
    if (const auto* list = value.if_array())
        for (const auto& one : *list) learn(redactor, one);
    if (const auto* object = value.if_object())
        for (const auto& [key, one] : *object) learn(redactor, one);
}

void indent(std::string& out, const json::value& value, std::size_t depth) {
    const std::string margin((depth + 1) * 2, ' ');
    const auto* object = value.if_object();
    const auto* list = value.if_array();
    if ((object == nullptr || object->empty()) && (list == nullptr || list->empty())) {
        out += json::serialize(value);
        return;
    }
    const char* before = object != nullptr ? "{\n" : "[\n";
    if (object != nullptr)
        for (const auto& [key, one] : *object) {
            out += std::exchange(before, ",\n") + margin + json::serialize(json::value(key)) + ": ";
            indent(out, one, depth + 1);
        }
    else
        for (const auto& one : *list) {
            out += std::exchange(before, ",\n") + margin;
            indent(out, one, depth + 1);
        }
    out += '\n' + std::string(depth * 2, ' ') + (object != nullptr ? '}' : ']');
}

/// The files of the archive, redacted, with names of their own.
class Files {
public:
    explicit Files(const Redactor& redactor) : redactor_(redactor) {}

    void add(const std::string& name, std::string text) {
        std::string clean = visible_name(redactor_.text(name, Words::ours));
        if (clean.size() > longest_name - 4) clean = clean.substr(clean.size() - (longest_name - 4));
        // Neither the root's, nor a piece of a character.
        const auto begins = [](char c) {
            return c != '/' && (static_cast<unsigned char>(c) & 0xC0U) != 0x80U;
        };
        clean.erase(clean.begin(), std::ranges::find_if(clean, begins));
        std::string own = clean;
        for (int number = 2; !names_.insert(own).second; ++number) own = std::to_string(number) + '-' + clean;
        files_.push_back({std::move(own), std::move(text)});
    }
    void add_text(const std::string& name, const std::string& text, Words words) {
        add(name, visible(redactor_.text(text, words)));
    }
    void add_json(const std::string& name, const json::value& value) {
        add(name, pretty(redacted(redactor_, value)));
    }
    void put_first(BundleFile file) { files_.insert(files_.begin(), std::move(file)); }
    std::vector<std::string> names() const {
        std::vector<std::string> all;
        for (const auto& file : files_) all.push_back(file.name);
        return all;
    }
    const std::vector<BundleFile>& all() const noexcept { return files_; }

private:
    const Redactor& redactor_;
    std::set<std::string> names_{"cover.md"};
    std::vector<BundleFile> files_{};
};

std::string text_of(const LogExcerpt& excerpt) {
    std::string text = "# " + visible_name(excerpt.path) + '\n';
    if (!excerpt.note.empty()) text += "# " + excerpt.note + '\n';
    if (excerpt.lines.empty()) text += "# no line of it belongs to these runs\n";
    for (const auto& line : excerpt.lines) text += line + '\n';
    return text;
}

/// What lines of logs are meant by.
LogWish wish_of(const BundleParts& parts, WallTime now) {
    LogWish wish{.words = words_of(parts.results)};
    const auto failed = [&](const json::array& runs) {
        for (const auto& run : runs) {
            const auto* object = run.if_object();
            if (object == nullptr || !object->contains("outcome") || object->at("outcome") != "failed")
                continue;
            if (const auto* started = object->if_contains("started");
                started != nullptr && started->is_string())
                if (const auto time = parse_rfc3339(started->get_string())) wish.around.push_back(*time);
        }
    };
    failed(parts.results);
    // The last few of each probe: a fault of days would mean the whole log.
    for (const auto& [probe, runs] : parts.runs) {
        json::array first;
        for (const auto& run : runs)
            if (first.size() < 3) first.push_back(run);
        failed(first);
    }
    std::erase_if(wish.around, [&](WallTime time) { return time > now + std::chrono::hours(1); });
    return wish;
}

class Bundler {
public:
    Bundler(std::ostream& err, const BundleCommand& command, const Loaded& loaded, const ConfigFacts& facts)
        : err_(err), command_(command), loaded_(loaded), facts_(facts), redactor_(secrets_of(facts)) {}

    /// The finished archive; nothing, with words to `err`, if a secret would not go away.
    std::optional<std::string> make() {
        const Settings& settings = loaded_.settings;
        const WallTime now = std::chrono::system_clock::now();
        const BundleWish wish{.probes = belonging_to(settings, command_.probe),
                              .all = command_.probe.empty(),
                              .daemon_url = command_.daemon_url,
                              .run = command_.run};
        BundleParts parts = gather(err_, wish, settings);
        const auto logs = read_logs(facts_.logs, wish_of(parts, now));
        learn_all(parts, logs);

        Files files(redactor_);
        std::size_t log_lines = 0;
        for (const auto& result : parts.results)
            files.add_json("results/" + std::string(result.at("probe").as_string()) + ".json", result);
        for (const auto& [probe, runs] : parts.runs) files.add_json("runs/" + probe + ".json", runs);
        if (!parts.incidents.empty()) files.add_json("incidents.json", parts.incidents);
        if (!parts.alerts.empty()) files.add_json("alerts.json", parts.alerts);
        if (!parts.status.is_null()) files.add_json("status.json", parts.status);
        for (const auto& [path, text] : loaded_.texts) {
            const bool beside = folder_of(path).ends_with("conf.d");
            files.add_text(std::string("config/") + (beside ? "conf.d/" : "") + file_name(path), text,
                           Words::foreign);
        }
        for (const auto& excerpt : logs) {
            log_lines += excerpt.lines.size();
            files.add_text("logs/" + excerpt.probe + '/' + file_name(excerpt.path), text_of(excerpt),
                           Words::foreign);
        }
        files.add_text("versions.txt", versions(), Words::ours);

        std::size_t places = 0;
        for (const auto& [marker, count] : redactor_.removed()) places += count;
        // The cover is made of what is redacted, and then looked through for what its own words may hold.
        const auto results = redacted(redactor_, parts.results);
        parts.results = results.as_array();
        const auto incidents = redacted(redactor_, parts.incidents);
        parts.incidents = incidents.as_array();
        CoverFacts facts{.probe = command_.probe,
                         .location = settings.location,
                         .version = std::string(version()) + " (" + std::string(revision()) + ")",
                         .made = now,
                         .parts = &parts,
                         .files = files.names(),
                         .uncertain = redactor_.uncertain(),
                         .redacted = places,
                         .log_lines = log_lines};
        files.put_first({"cover.md", visible(redactor_.text(cover(facts), Words::ours))});
        count_ = files.all().size();

        auto archive =
            pack(files.all(), std::chrono::floor<std::chrono::seconds>(now).time_since_epoch().count());
        const auto left = secrets_left(redactor_, archive);
        if (left.empty()) return archive;
        err_ << "livecanary: nothing was written, because this would still stand in the archive:\n";
        for (const auto& one : left) err_ << "  " << one << '\n';
        return std::nullopt;
    }

    std::size_t count() const noexcept { return count_; }
    const std::vector<std::string>& uncertain() const noexcept { return redactor_.uncertain(); }

private:
    static std::vector<NamedSecret> secrets_of(const ConfigFacts& facts) {
        std::vector<NamedSecret> secrets;
        for (const auto& place : facts.secrets) secrets.push_back({place.name, place.value});
        return secrets;
    }

    /// Before anything is redacted: what one file tells is taken out of all.
    void learn_all(const BundleParts& parts, const std::vector<LogExcerpt>& logs) {
        for (const auto& id : vendor_ids(parts.results)) {
            // Behind our word for the request.
            redactor_.keep(id.id);
            redactor_.keep(id.id.substr(id.id.rfind(' ') + 1));
        }
        for (const auto& result : parts.results)
            if (const auto* id = result.as_object().if_contains("run_id"); id != nullptr && id->is_string())
                redactor_.keep(std::string(id->get_string()));
        for (const auto& [path, text] : loaded_.texts) redactor_.learn(text, Words::foreign);
        for (const auto& excerpt : logs) redactor_.learn(text_of(excerpt), Words::foreign);
        learn(redactor_, parts.results);
        learn(redactor_, parts.alerts);
        learn(redactor_, parts.incidents);
    }

    std::ostream& err_;
    const BundleCommand& command_;
    const Loaded& loaded_;
    const ConfigFacts& facts_;
    Redactor redactor_;
    std::size_t count_ = 0;
};

/// With keys that only the daemon was handed, the configuration is invalid to anybody else.
bool lacks_credentials(const ConfigFacts& facts, const config::Surroundings& surroundings) {
    return surroundings.credentials_directory.empty() &&
           std::ranges::any_of(facts.secrets, [](const SecretPlace& secret) {
               return secret.source == SecretPlace::Source::credential;
           });
}

void say_unknown(std::ostream& err, const std::string& name, const Settings& settings) {
    std::vector<std::string_view> known;
    for (const auto& probe : settings.probes) known.push_back(probe.name);
    err << "livecanary: there is no probe '" << name << "'";
    if (const auto near = config::nearest(name, known)) err << "; did you mean '" << *near << "'?";
    err << " There are:";
    for (const auto& one : known) err << ' ' << one;
    err << '\n';
}

}  // namespace

json::value redacted(const Redactor& redactor, const json::value& value) {
    if (const auto* text = value.if_string()) return json::string(redactor.text(*text, Words::ours));
    if (const auto* list = value.if_array()) {
        json::array out;
        for (const auto& one : *list) out.push_back(redacted(redactor, one));
        return out;
    }
    if (const auto* object = value.if_object()) {
        json::object out;
        for (const auto& [key, one] : *object) out[redactor.text(key, Words::ours)] = redacted(redactor, one);
        return out;
    }
    const std::string number = json::serialize(value);
    if (redactor.found_in(number).empty()) return value;
    return json::string(redactor.text(number, Words::ours));
}

std::string pretty(const json::value& value) {
    std::string out;
    indent(out, value, 0);
    return out + '\n';
}

std::vector<std::string> secrets_left(const Redactor& redactor, std::string_view archive) {
    const auto files = unpack(archive);
    if (!files) return {"the archive cannot be read back"};
    std::vector<std::string> left;
    for (const auto& file : *files) {
        for (const auto& name : redactor.found_in(file.name)) left.push_back(name + " in the name of a file");
        for (const auto& name : redactor.found_in(file.text)) left.push_back(name + " in " + file.name);
    }
    return left;
}

int bundle(std::ostream& out, std::ostream& err, const BundleCommand& command,
           const config::Surroundings& surroundings, std::span<const Kind* const> kinds) {
    const Loaded loaded = load_settings(command.config_file, surroundings, kinds);
    const auto facts = read_config_facts(command.config_file, surroundings, loaded.mistakes);
    print_mistakes(err, loaded);
    if (!loaded.ok()) {
        err << "livecanary: no bundle is made while the configuration is invalid: nobody could tell which of "
               "it is a secret\n";
        if (lacks_credentials(facts, surroundings))
            err << "livecanary: credentials of systemd are there while the daemon runs, for root: run it as "
                   "root "
                   "with CREDENTIALS_DIRECTORY=/run/credentials/livecanary.service\n";
        return 1;
    }
    if (!command.probe.empty() && belonging_to(loaded.settings, command.probe).empty()) {
        say_unknown(err, command.probe, loaded.settings);
        return 1;
    }
    if (const auto why = objection(command); !why.empty()) {
        err << "livecanary: " << why << '\n';
        return 1;
    }
    Bundler bundler(err, command, loaded, facts);
    const auto archive = bundler.make();
    if (!archive) return 1;
    if (command.output == "-") {
        out.write(archive->data(), static_cast<std::streamsize>(archive->size()));
        if (!out.flush()) {
            err << "livecanary: cannot write the archive to stdout\n";
            return 1;
        }
    } else if (const auto why = write_file(command.output, *archive, command.force); !why.empty()) {
        err << "livecanary: cannot write " << command.output << ": " << why << '\n';
        return 1;
    }
    err << "livecanary: " << (command.output == "-" ? "stdout" : command.output) << ": " << bundler.count()
        << " files, " << (archive->size() + 1023) / 1024 << " KiB. Read its cover.md before you send it\n";
    for (const auto& name : bundler.uncertain())
        err << "livecanary: " << name << " is shorter than " << shortest_certain_secret
            << " characters: it was only taken out where it stands alone\n";
    return 0;
}

}  // namespace livecanary::daemon
