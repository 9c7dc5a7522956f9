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
#include "daemon/app.hpp"
#include "daemon/bundle_command.hpp"
#include "daemon/causes_command.hpp"
#include "daemon/check_config_command.hpp"
#include "daemon/cleanup_command.hpp"
#include "daemon/cli_options.hpp"
#include "daemon/cli_sign.hpp"
#include "daemon/doctor_command.hpp"
#include "daemon/drill_alert_path.hpp"
#include "daemon/drill_command.hpp"
#include "daemon/drill_healthy_command.hpp"
#include "daemon/log.hpp"
#include "daemon/probe_command.hpp"
#include "daemon/version.hpp"

namespace livecanary::daemon {
namespace {

// Exit codes besides usage_error that every verb shares (sysexits.h: 78 is EX_CONFIG).
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
        verb->add_option("--web.external-url", options.external_url,
                         "Where people reach the pages: links of alerts lead there");
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

struct CleanupVerb {
    Common common{};
    CleanupCommand command{};

    void add(CLI::App& app) {
        auto* verb =
            app.add_subcommand("cleanup", "Removes what probes made at their targets and left behind");
        add_config(*verb, common);
        verb->add_flag("--dry-run", command.dry_run, "Only say what there is");
    }
    int run() {
        const auto settings = settings_of(common);
        return settings ? cleanup(std::cout, std::cerr, command, *settings) : config_error;
    }
};

struct DrillVerb {
    Common common{};
    DrillCommand command{};
    AlertPathCommand path{};
    bool alert_path = false;
    std::string hold{}, healthy{};

    void add(CLI::App& app) {
        auto* verb = app.add_subcommand(
            "drill", "Breaks each thing of a practice stack in turn and shows what is named");
        auto* fault = verb->add_option("--fault", command.faults, "Only this one; may be given again")
                          ->allow_extra_args(false);
        auto* list = verb->add_flag("--list", command.list, "Print what can be broken");
        verb->add_flag("--json", command.json, "One JSON object a line");
        verb->add_option("--practice", command.practice,
                         "Path of livecanary-practice, of a build with tests");
        verb->add_option("--dir", command.directory, "Keep the configuration and the logs there");
        auto* by_itself = verb->add_flag("--alert-path", alert_path,
                                         "Instead: send one marked alert, see what comes of it");
        by_itself->excludes(list);
        verb->add_option("--healthy", healthy, "Instead: break nothing for so long (30m), count what is said")
            ->excludes(list)
            ->excludes(fault)
            ->excludes(by_itself);
        add_config(*verb, common);
        verb->add_option("--severity", path.severity, "Of that alert: info, warning or critical")
            ->check(CLI::IsMember({"info", "warning", "critical"}))
            ->needs(by_itself)
            ->capture_default_str();
        verb->add_option("--hold", hold, "How long it stands, such as 1m, so that its message goes out")
            ->needs(by_itself);
    }
    int run() {
        if (alert_path) {
            if (!read_duration("--hold", hold, path.hold)) return usage_error;
            const auto settings = settings_of(common);
            return settings ? drill_alert_path(std::cout, std::cerr, path, *settings) : 1;
        }
        command.live = isatty(STDERR_FILENO) != 0;
        if (!healthy.empty()) {
            std::chrono::seconds duration{0};
            if (!read_duration("--healthy", healthy, duration)) return usage_error;
            return drill_healthy(std::cout, std::cerr, command, duration);
        }
        return drill(std::cout, std::cerr, command);
    }
};

struct DoctorVerb {
    DoctorCommand command{};

    void add(CLI::App& app) {
        auto* verb =
            app.add_subcommand("doctor", "Looks at clock, resolver, limits, keys, permissions and sandbox");
        verb->add_option("--config.file", command.config_file,
                         "Configuration; conf.d/*.toml beside it is merged")
            ->capture_default_str();
        verb->add_flag("--json", command.json, "One JSON object a line");
    }
    int run() {
        command.colour = colour_wanted();
        return doctor(std::cout, std::cerr, command);
    }
};

struct BundleVerb {
    BundleCommand command{};

    void add(CLI::App& app) {
        auto* verb = app.add_subcommand("bundle",
                                        "Packs what a vendor's support needs into one file, without secrets");
        verb->add_option("PROBE", command.probe, "Only this one and what belongs to it; default: all");
        verb->add_option("-o,--output", command.output, "The file to write, a .tar.gz; - for stdout")
            ->required();
        verb->add_flag("--force", command.force, "Replace a file that is there");
        verb->add_flag("--run", command.run, "Run the probes once, now, for their results");
        verb->add_option("--daemon", command.daemon_url, "URL of the daemon's pages, if not at [web] listen");
        verb->add_option("--config.file", command.config_file,
                         "Configuration; conf.d/*.toml beside it is merged")
            ->capture_default_str();
    }
    int run() {
        command.terminal = isatty(STDOUT_FILENO) != 0;
        return bundle(std::cout, std::cerr, command, config::real_surroundings());
    }
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
    CleanupVerb cleanup_verb;
    CausesVerb causes;
    SignVerb sign;
    DrillVerb drill_verb;
    DoctorVerb doctor_verb;
    doctor_verb.command.config_file = default_config;
    BundleVerb bundle_verb;
    bundle_verb.command.config_file = default_config;
    run.add(app);
    check.add(app);
    probe.add(app);
    cleanup_verb.add(app);
    causes.add(app);
    sign.add(app);
    drill_verb.add(app);
    doctor_verb.add(app);
    bundle_verb.add(app);
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
        if (app.got_subcommand("cleanup")) return cleanup_verb.run();
        if (app.got_subcommand("causes")) return causes.run();
        if (app.got_subcommand("sign")) return sign.run();
        if (app.got_subcommand("drill")) return drill_verb.run();
        if (app.got_subcommand("doctor")) return doctor_verb.run();
        if (app.got_subcommand("bundle")) return bundle_verb.run();
        return print_version();
    } catch (const std::exception& e) {
        std::cerr << "livecanary: internal error: " << e.what() << '\n';
        return internal_error;
    }
}

}  // namespace livecanary::daemon
