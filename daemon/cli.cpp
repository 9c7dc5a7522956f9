#include "daemon/cli.hpp"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <optional>
#include <random>
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
#include "daemon/bundle_command.hpp"
#include "daemon/causes_command.hpp"
#include "daemon/check_config_command.hpp"
#include "daemon/cleanup_command.hpp"
#include "daemon/doctor_command.hpp"
#include "daemon/drill_alert_path.hpp"
#include "daemon/drill_command.hpp"
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

/// A duration of the command line; unchanged if it was not given.
bool read_duration(const char* option, const std::string& text, std::chrono::seconds& out) {
    if (text.empty()) return true;
    const auto parsed = config::parse_duration(text);
    if (!parsed) {
        std::cerr << "livecanary: " << option << " takes a duration such as 12h\n";
        return false;
    }
    out = std::chrono::duration_cast<std::chrono::seconds>(*parsed);
    return true;
}

struct DrillVerb {
    Common common{};
    DrillCommand command{};
    AlertPathCommand path{};
    bool alert_path = false;
    std::string hold{};

    void add(CLI::App& app) {
        auto* verb = app.add_subcommand(
            "drill", "Breaks each thing of a practice stack in turn and shows what is named");
        verb->add_option("--fault", command.faults, "Only this one; may be given again")
            ->allow_extra_args(false);
        auto* list = verb->add_flag("--list", command.list, "Print what can be broken");
        verb->add_flag("--json", command.json, "One JSON object a line");
        verb->add_option("--practice", command.practice,
                         "Path of livecanary-practice, of a build with tests");
        verb->add_option("--dir", command.directory, "Keep the configuration and the logs there");
        auto* by_itself = verb->add_flag(
            "--alert-path", alert_path,
            "Instead: send one marked alert to the configured Alertmanagers and see what comes of it");
        by_itself->excludes(list);
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
        verb->add_option(
            "--daemon", command.daemon_url,
            "Where the daemon's pages are, if not at [web] listen, such as http://127.0.0.1:9877");
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

/// A key out of a file or the environment; never from the command line, which others can read.
struct KeyOptions {
    std::string file{}, env{};

    void add(CLI::App& verb, const std::string& name, const std::string& words) {
        verb.add_option("--" + name + ".file", file, "File that holds " + words);
        verb.add_option("--" + name + ".env", env, "Environment variable that holds " + words);
    }
    bool read(config::Secret& out) const {
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
    /// The same, where signing cannot do without.
    bool read(config::Secret& out, bool verify) const {
        if (!read(out)) return false;
        if (!out.empty() || verify) return true;
        std::cerr << "livecanary: a key is needed: --key.file or --key.env\n";
        return false;
    }
};

constexpr const char* verify_words = "Check the signature it has and say what does not match";

/// push-url and play-url, which take the same.
struct SignUrlVerb {
    using Sign = int(std::ostream&, std::ostream&, const SignUrl&, WallTime);

    Sign* sign = nullptr;
    SignUrl command{};
    KeyOptions key{}, backup_key{};
    std::string lifetime{};
    CLI::App* verb = nullptr;

    void add(CLI::App& parent, const char* name, const char* words) {
        verb = parent.add_subcommand(name, words);
        verb->add_option("URL", command.url, "The URL; its own txSecret and txTime are replaced")->required();
        key.add(*verb, "key", "the key");
        backup_key.add(*verb, "backup-key", "the backup key; for --verify");
        verb->add_option("--lifetime", lifetime, "How long it is valid, such as 12h (the default)");
        verb->add_option("--expires", command.expires,
                         "When it ends instead: Unix seconds, or txTime as 0x…");
        verb->add_flag("--sha256", command.sha256, "Hash with SHA-256 instead of MD5");
        verb->add_flag("--lower-case", command.lower_case, "Write txTime in lower case");
        verb->add_flag("--verify", command.verify, verify_words);
    }
    int run(WallTime now) {
        if (!key.read(command.key, command.verify) || !backup_key.read(command.backup_key) ||
            !read_duration("--lifetime", lifetime, command.lifetime))
            return usage_error;
        return sign(std::cout, std::cerr, command, now);
    }
};

struct SignCosVerb {
    SignCos command{};
    KeyOptions key{};
    std::string lifetime{};
    CLI::App* verb = nullptr;

    void add(CLI::App& parent) {
        verb = parent.add_subcommand("cos", "Authorization of a request to COS's XML API");
        verb->add_option("METHOD", command.method, "Such as PUT")->required();
        verb->add_option("URL", command.url, "As it is sent; its Host and all its parameters are signed")
            ->required();
        verb->add_option("--header", command.headers, "'Name: value' to sign too; may be given again")
            ->allow_extra_args(false);
        verb->add_option("--secret-id", command.secret_id, "The SecretId");
        key.add(*verb, "key", "the SecretKey");
        verb->add_flag("--sign-key", command.key_is_sign_key, "The key is a SignKey, as a backend issues it");
        verb->add_option("--key-time", command.key_time,
                         "Valid 'start;end' in Unix seconds; a SignKey needs its own");
        verb->add_option("--lifetime", lifetime, "Or from now for so long, such as 1h (the default)");
        verb->add_flag("--url", command.as_url, "Print the URL with the signature in its query");
        verb->add_flag("--verify", command.verify, verify_words);
        verb->add_option("--authorization", command.authorization,
                         "What to verify; without it, the URL's query");
    }
    int run(WallTime now) {
        if (!key.read(command.key, command.verify) ||
            !read_duration("--lifetime", lifetime, command.lifetime))
            return usage_error;
        return sign_cos(std::cout, std::cerr, command, now);
    }
};

struct SignCosV4Verb {
    SignCosV4 command{};
    KeyOptions key{};
    std::string lifetime{};
    CLI::App* verb = nullptr;

    void add(CLI::App& parent) {
        verb = parent.add_subcommand("cos-v4", "Authorization of COS's JSON API, the one before");
        verb->add_option("--app-id", command.app_id, "The account's APPID");
        verb->add_option("--bucket", command.bucket, "The bucket, without -APPID");
        verb->add_option("--secret-id", command.secret_id, "The SecretId");
        key.add(*verb, "key", "the SecretKey");
        verb->add_option("--object", command.object, "For one use: the object to delete or change");
        verb->add_option("--lifetime", lifetime, "For many uses: how long, such as 1h (the default)");
        verb->add_flag("--verify", command.verify, verify_words);
        verb->add_option("--authorization", command.authorization, "What to verify");
    }
    int run(WallTime now) {
        if (!key.read(command.key, command.verify) ||
            !read_duration("--lifetime", lifetime, command.lifetime))
            return usage_error;
        command.random = std::random_device{}();
        return sign_cos_v4(std::cout, std::cerr, command, now);
    }
};

struct SignCdnVerb {
    SignCdn command{};
    KeyOptions key{}, backup_key{};
    std::string validity{};
    CLI::App* verb = nullptr;

    void add(CLI::App& parent) {
        verb = parent.add_subcommand("cdn", "URL authentication of the CDN, types A to D");
        verb->add_option("URL", command.url, "The URL, without a query")->required();
        verb->add_option("--type", command.type, "A, B, C or D")
            ->required()
            ->check(CLI::IsMember({"A", "B", "C", "D"}));
        key.add(*verb, "key", "the key");
        backup_key.add(*verb, "backup-key", "the backup key; for --verify");
        verb->add_flag("--sha256", command.sha256, "Hash with SHA-256 instead of MD5");
        verb->add_flag("--time-first", command.time_first,
                       "Hash the time before the path, as some documents of type C");
        verb->add_option("--time", command.time_format, "decimal or hex, if not as usual for the type")
            ->check(CLI::IsMember({"decimal", "hex"}));
        verb->add_option("--sign-parameter", command.sign_parameter, "Its name (A, D)")
            ->capture_default_str();
        verb->add_option("--time-parameter", command.time_parameter, "Its name (D)")->capture_default_str();
        verb->add_option("--rand", command.rand, "Letters and digits (A)")->capture_default_str();
        verb->add_option("--validity", validity,
                         "What the domain grants, for --verify, such as 30m (the default)");
        verb->add_flag("--verify", command.verify, verify_words);
    }
    int run(WallTime now) {
        if (!key.read(command.key, command.verify) || !backup_key.read(command.backup_key) ||
            !read_duration("--validity", validity, command.validity))
            return usage_error;
        return sign_cdn(std::cout, std::cerr, command, now);
    }
};

struct SignCallbackVerb {
    SignCallback command{};
    KeyOptions key{}, backup_key{};
    std::string lifetime{};
    CLI::App* verb = nullptr;

    void add(CLI::App& parent) {
        verb = parent.add_subcommand("callback", "sign and t of a live callback");
        key.add(*verb, "key", "the CallbackKey");
        backup_key.add(*verb, "backup-key", "another one; for --verify");
        verb->add_option("--t", command.t, "When it expires, in Unix seconds; with --verify, the event's");
        verb->add_option("--lifetime", lifetime, "Or from now for so long, such as 10m (the default)");
        verb->add_option("--sign", command.sign, "What to verify");
        verb->add_flag("--verify", command.verify, verify_words);
    }
    int run(WallTime now) {
        if (!key.read(command.key, command.verify) || !backup_key.read(command.backup_key) ||
            !read_duration("--lifetime", lifetime, command.lifetime))
            return usage_error;
        return sign_callback(std::cout, std::cerr, command, now);
    }
};

struct SignUserSigVerb {
    SignUserSig command{};
    KeyOptions key{}, user_sig{};
    std::string lifetime{};
    CLI::App* verb = nullptr;

    void add(CLI::App& parent) {
        verb = parent.add_subcommand("usersig", "UserSig of the instant messaging (TLSSigAPIv2)");
        verb->add_option("--identifier", command.identifier, "The user who logs in");
        verb->add_option("--sdkappid", command.sdkappid, "The SDKAppID");
        key.add(*verb, "key", "the SDKAppID's key");
        verb->add_option("--lifetime", lifetime, "How long it holds, such as 24h (default: 180 days)");
        verb->add_flag("--verify", command.verify, verify_words);
        user_sig.add(*verb, "user-sig", "what to verify");
    }
    int run(WallTime now) {
        if (!key.read(command.key, command.verify) || !user_sig.read(command.user_sig) ||
            !read_duration("--lifetime", lifetime, command.lifetime))
            return usage_error;
        return sign_user_sig(std::cout, std::cerr, command, now);
    }
};

struct SignVerb {
    SignUrlVerb push{.sign = sign_push_url}, play{.sign = sign_play_url};
    SignCosVerb cos{};
    SignCosV4Verb cos_v4{};
    SignCdnVerb cdn{};
    SignCallbackVerb callback{};
    SignUserSigVerb user_sig{};

    void add(CLI::App& app) {
        auto* verb =
            app.add_subcommand("sign", "Computes or checks a signature with the library the probes use");
        verb->require_subcommand(1);
        push.add(*verb, "push-url", "txSecret and txTime of a push URL");
        play.add(*verb, "play-url", "txSecret and txTime of a play URL");
        cos.add(*verb);
        cos_v4.add(*verb);
        cdn.add(*verb);
        callback.add(*verb);
        user_sig.add(*verb);
    }
    int run() {
        const auto now = std::chrono::system_clock::now();
        if (cos.verb->parsed()) return cos.run(now);
        if (cos_v4.verb->parsed()) return cos_v4.run(now);
        if (cdn.verb->parsed()) return cdn.run(now);
        if (callback.verb->parsed()) return callback.run(now);
        if (user_sig.verb->parsed()) return user_sig.run(now);
        return push.verb->parsed() ? push.run(now) : play.run(now);
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
