#include "daemon/cli.hpp"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <optional>
#include <string>
#include <vector>

#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <CLI/CLI.hpp>

#include "config/nearest.hpp"
#include "config/reader.hpp"
#include "config/units.hpp"
#include "daemon/app.hpp"
#include "daemon/causes_command.hpp"
#include "daemon/check_config_command.hpp"
#include "daemon/log.hpp"
#include "daemon/probe_command.hpp"
#include "daemon/sign_command.hpp"
#include "daemon/version.hpp"

namespace livecanary::daemon {
namespace {

// Exit codes that every verb shares (sysexits.h: 78 is EX_CONFIG).
constexpr int usage_error = 2;
constexpr int internal_error = 4;
constexpr int config_error = 78;
constexpr int nagios_unknown = 3;  // 2 would say that the target is down

constexpr const char* default_config = "/etc/livecanary/livecanary.toml";

/// Keys live in our memory: it must not end up in a file.
void forbid_core_dumps() {
    const rlimit none{0, 0};
    setrlimit(RLIMIT_CORE, &none);
#if !defined(__SANITIZE_ADDRESS__)  // LeakSanitizer has to look at the process
    prctl(PR_SET_DUMPABLE, 0);
#endif
}

bool colour_wanted() {
    const char* no_color = std::getenv("NO_COLOR");
    return isatty(STDOUT_FILENO) != 0 && (no_color == nullptr || *no_color == '\0');
}

struct Common {
    std::string config_file = default_config;
    std::string log_level = "info";
    std::string log_format = "logfmt";
};

void add_config(CLI::App& verb, Common& common) {
    verb.add_option("--config.file", common.config_file, "Configuration; conf.d/*.toml beside it is merged")
        ->capture_default_str();
}

void add_log(CLI::App& verb, Common& common) {
    verb.add_option("--log.level", common.log_level, "debug, info, warn or error")
        ->check(CLI::IsMember({"debug", "info", "warn", "error"}))
        ->capture_default_str();
    verb.add_option("--log.format", common.log_format, "logfmt or json")
        ->check(CLI::IsMember({"logfmt", "json"}))
        ->capture_default_str();
}

void start_log(const Common& common) {
    const auto level = common.log_level == "debug"  ? log::Level::debug
                       : common.log_level == "info" ? log::Level::info
                       : common.log_level == "warn" ? log::Level::warn
                                                    : log::Level::error;
    log::start(level, common.log_format == "json" ? log::Format::json : log::Format::logfmt);
}

/// The settings of a verb that needs them; mistakes go to stderr.
std::optional<Settings> settings_of(const Common& common) {
    auto loaded = load_settings(common.config_file, config::real_surroundings());
    print_mistakes(std::cerr, loaded);
    if (!loaded.ok()) return std::nullopt;
    return std::move(loaded.settings);
}

struct RunVerb {
    Common common{};
    AppOptions options{};

    void add(CLI::App& app) {
        auto* verb = app.add_subcommand("run", "The daemon: probes on schedule, /metrics, the status page");
        add_config(*verb, common);
        add_log(*verb, common);
        verb->add_option("--web.listen-address", options.listen, "Address to serve on; may be given again")
            ->allow_extra_args(false);
        verb->add_flag("--web.enable-lifecycle", options.lifecycle, "Allow POST /-/reload");
    }
    int run() {
        auto settings = settings_of(common);
        if (!settings) return config_error;
        options.config_file = common.config_file;
        start_log(common);
        int code = 1;
        try {
            code = run_daemon(options, *std::move(settings));
        } catch (const std::exception& e) {
            log::error("cannot run", {{"error", e.what()}});
        }
        log::stop();
        return code;
    }
};

struct ProbeVerb {
    Common common{};
    ProbeCommand command{};
    bool json = false;
    bool nagios = false;

    void add(CLI::App& app) {
        auto* verb = app.add_subcommand("probe", "Runs probes once, now, and says what is wrong");
        add_config(*verb, common);
        verb->add_option("NAME", command.names, "Probes to run");
        verb->add_flag("--all", command.all, "All probes");
        verb->add_option("--kind", command.kind, "All probes of this kind");
        auto* as_json = verb->add_flag("--json", json, "One JSON object a line");
        verb->add_flag("--nagios", nagios, "Output and exit codes of a monitoring plugin")->excludes(as_json);
        verb->add_option("--lang", command.lang, "en or zh")->check(CLI::IsMember({"en", "zh"}));
    }
    int run() {
        auto settings = settings_of(common);
        if (!settings) {
            if (!nagios) return config_error;
            std::cout
                << "LIVECANARY UNKNOWN - the configuration is invalid: livecanary check-config says where\n";
            return nagios_unknown;
        }
        command.output = json     ? ProbeCommand::Output::json
                         : nagios ? ProbeCommand::Output::nagios
                                  : ProbeCommand::Output::people;
        command.colour = colour_wanted();
        command.live = command.output == ProbeCommand::Output::people && isatty(STDOUT_FILENO) != 0;
        return probe_now(std::cout, std::cerr, command, *settings);
    }
};

struct CheckVerb {
    Common common{};

    void add(CLI::App& app) {
        auto* verb =
            app.add_subcommand("check-config", "Says everything that is wrong with the configuration");
        add_config(*verb, common);
    }
    int run() { return check_config(std::cout, std::cerr, common.config_file, config::real_surroundings()); }
};

struct CausesVerb {
    std::optional<std::string> id{};
    std::string lang = "en";
    bool json = false;

    void add(CLI::App& app) {
        auto* verb = app.add_subcommand("causes", "What can be wrong, how to tell, how to repair it");
        verb->add_option("ID", id, "A cause or a class: prints its runbook");
        verb->add_option("--lang", lang, "en or zh")
            ->check(CLI::IsMember({"en", "zh"}))
            ->capture_default_str();
        verb->add_flag("--json", json, "As JSON");
    }
    int run() { return print_causes(std::cout, std::cerr, id, lang == "zh" ? Lang::zh : Lang::en, json); }
};

struct SignVerb {
    SignUrl command{};
    std::string key_file{}, key_env{}, backup_key_file{}, backup_key_env{}, lifetime{};
    CLI::App* push = nullptr;
    CLI::App* play = nullptr;

    void add_keys(CLI::App& verb) {
        verb.add_option("URL", command.url, "The URL; its own txSecret and txTime are replaced")->required();
        verb.add_option("--key.file", key_file, "File that holds the key");
        verb.add_option("--key.env", key_env, "Environment variable that holds the key");
        verb.add_option("--backup-key.file", backup_key_file, "The same for the backup key; for --verify");
        verb.add_option("--backup-key.env", backup_key_env, "The same for the backup key; for --verify");
        verb.add_option("--lifetime", lifetime, "How long it is valid, such as 12h (the default)");
        verb.add_option("--expires", command.expires, "When it ends instead: Unix seconds, or txTime as 0x…");
        verb.add_flag("--sha256", command.sha256, "Hash with SHA-256 instead of MD5");
        verb.add_flag("--lower-case", command.lower_case, "Write txTime in lower case");
        verb.add_flag("--verify", command.verify,
                      "Check the URL's own signature and say what does not match");
    }
    void add(CLI::App& app) {
        auto* verb =
            app.add_subcommand("sign", "Computes or checks a signature with the library the probes use");
        verb->require_subcommand(1);
        push = verb->add_subcommand("push-url", "txSecret and txTime of a push URL");
        play = verb->add_subcommand("play-url", "txSecret and txTime of a play URL");
        add_keys(*push);
        add_keys(*play);
    }
    /// The key out of a file or the environment; never from the command line, which others can read.
    static bool read_key(const std::string& file, const std::string& env, config::Secret& out) {
        const auto surroundings = config::real_surroundings();
        std::string text;
        if (!file.empty()) {
            auto content = surroundings.read_file(file);
            if (!content.text) {
                std::cerr << "livecanary: " << file << ": " << content.error << '\n';
                return false;
            }
            text = *std::move(content.text);
        } else if (!env.empty()) {
            const auto value = surroundings.environment(env);
            if (!value) {
                std::cerr << "livecanary: the environment variable " << env << " is not set\n";
                return false;
            }
            text = *value;
        }
        while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
        if (text.empty() && !(file.empty() && env.empty())) {
            std::cerr << "livecanary: " << (file.empty() ? env : file) << " holds no key\n";
            return false;
        }
        out = config::Secret(std::move(text));
        return true;
    }
    int run() {
        if (!read_key(key_file, key_env, command.key) ||
            !read_key(backup_key_file, backup_key_env, command.backup_key))
            return usage_error;
        if (command.key.empty() && !command.verify) {
            std::cerr << "livecanary: a key is needed: --key.file or --key.env\n";
            return usage_error;
        }
        if (!lifetime.empty()) {
            const auto parsed = config::parse_duration(lifetime);
            if (!parsed) {
                std::cerr << "livecanary: --lifetime takes a duration such as 12h\n";
                return usage_error;
            }
            command.lifetime = std::chrono::duration_cast<std::chrono::seconds>(*parsed);
        }
        const auto now = std::chrono::system_clock::now();
        return push->parsed() ? sign_push_url(std::cout, std::cerr, command, now)
                              : sign_play_url(std::cout, std::cerr, command, now);
    }
};

int print_version() {
    std::cout << "livecanary " << version() << " (revision " << revision() << ", " << compiler() << ")\n"
              << libraries();
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    forbid_core_dumps();
    std::signal(SIGPIPE, SIG_IGN);
    CLI::App app("livecanary watches every hop of a live-streaming business and names what is wrong.");
    app.require_subcommand(1);
    app.set_help_flag("-h,--help", "Print this help");
    RunVerb run;
    CheckVerb check;
    ProbeVerb probe;
    CausesVerb causes;
    SignVerb sign;
    run.add(app);
    check.add(app);
    probe.add(app);
    causes.add(app);
    sign.add(app);
    app.add_subcommand("version", "Version, commit, compiler, libraries");
    if (argc > 1 && std::string_view(argv[1]) == "--version") return print_version();
    std::vector<std::string> names;
    for (const auto* verb : app.get_subcommands({})) names.push_back(verb->get_name());
    if (argc > 1 && argv[1][0] != '-' && std::ranges::find(names, argv[1]) == names.end()) {
        const std::vector<std::string_view> verbs(names.begin(), names.end());
        std::cerr << "livecanary: " << config::none_of(argv[1], verbs) << '\n';
        return usage_error;
    }
    try {
        app.parse(argc, argv);
    } catch (const CLI::ExtrasError&) {
        // Not shown: somebody may have given a key on the command line.
        std::cerr << "livecanary: there are arguments that are not expected; see --help\n";
        return usage_error;
    } catch (const CLI::ParseError& e) {
        return app.exit(e) == 0 ? 0 : usage_error;
    }
    try {
        if (app.got_subcommand("run")) return run.run();
        if (app.got_subcommand("check-config")) return check.run();
        if (app.got_subcommand("probe")) return probe.run();
        if (app.got_subcommand("causes")) return causes.run();
        if (app.got_subcommand("sign")) return sign.run();
        return print_version();
    } catch (const std::exception& e) {
        std::cerr << "livecanary: internal error: " << e.what() << '\n';
        return internal_error;
    }
}

}  // namespace livecanary::daemon
