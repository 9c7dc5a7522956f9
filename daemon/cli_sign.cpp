#include "daemon/cli_sign.hpp"

#include <chrono>
#include <iostream>
#include <random>
#include <string>
#include <utility>

#include <CLI/CLI.hpp>

#include "config/reader.hpp"
#include "daemon/cli_options.hpp"
#include "daemon/sign_command.hpp"

namespace livecanary::daemon {
namespace {

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

}  // namespace

struct SignVerb::Signatures {
    SignUrlVerb push{.sign = sign_push_url}, play{.sign = sign_play_url};
    SignCosVerb cos{};
    SignCosV4Verb cos_v4{};
    SignCdnVerb cdn{};
    SignCallbackVerb callback{};
    SignUserSigVerb user_sig{};
};

SignVerb::SignVerb() : signatures_(std::make_unique<Signatures>()) {}
SignVerb::~SignVerb() = default;

void SignVerb::add(CLI::App& app) {
    auto* verb = app.add_subcommand("sign", "Computes or checks a signature with the library the probes use");
    verb->require_subcommand(1);
    auto& [push, play, cos, cos_v4, cdn, callback, user_sig] = *signatures_;
    push.add(*verb, "push-url", "txSecret and txTime of a push URL");
    play.add(*verb, "play-url", "txSecret and txTime of a play URL");
    cos.add(*verb);
    cos_v4.add(*verb);
    cdn.add(*verb);
    callback.add(*verb);
    user_sig.add(*verb);
}

int SignVerb::run() {
    const auto now = std::chrono::system_clock::now();
    auto& [push, play, cos, cos_v4, cdn, callback, user_sig] = *signatures_;
    if (cos.verb->parsed()) return cos.run(now);
    if (cos_v4.verb->parsed()) return cos_v4.run(now);
    if (cdn.verb->parsed()) return cdn.run(now);
    if (callback.verb->parsed()) return callback.run(now);
    if (user_sig.verb->parsed()) return user_sig.run(now);
    return push.verb->parsed() ? push.run(now) : play.run(now);
}

}  // namespace livecanary::daemon
