#include "daemon/web_settings.hpp"

#include <toml++/toml.h>

#include <utility>

#include "daemon/web_tls.hpp"

namespace livecanary::daemon {
namespace {

using config::Reader;

std::string_view key_of(WebTlsTrouble::File file) {
    switch (file) {
        case WebTlsTrouble::File::cert:
            return "cert";
        case WebTlsTrouble::File::key:
            return "key";
        default:
            return "client_ca";
    }
}

/// A path, { file = "…" } or { credential = "…" }: it is always a file, so that its renewal can be seen.
std::string key_path(Reader& in, const toml::table& tls, const config::File& file) {
    std::string path;
    if (!tls["key"].is_table()) {
        in.path("key", path);
        return path;
    }
    Reader where = *in.table("key");
    std::string name;
    where.path("file", path);
    where.optional("credential", name);
    const std::string& credentials = file.surroundings->credentials_directory;
    if (where.has("file") == where.has("credential"))
        where.mistake("", R"(expected a path, { file = "…" } or { credential = "…" })");
    else if (where.has("credential") && (name.empty() || name.find('/') != std::string::npos))
        where.mistake("credential", "expected the name of a credential");
    else if (where.has("credential") && credentials.empty())
        where.mistake("credential", "no credential '" + name +
                                        "': $CREDENTIALS_DIRECTORY is not set (systemd sets it for "
                                        "LoadCredential=)");
    else if (where.has("credential"))
        path = credentials + '/' + name;
    where.unread();
    return path;
}

void read_tls(Reader& in, const toml::table& tls, const config::File& file, WallTime now,
              Settings& settings) {
    WebTlsFiles files;
    in.path("cert", files.cert);
    files.key = key_path(in, tls, file);
    in.path("client_ca", files.client_ca);
    in.unread();
    for (const std::string_view needed : {"cert", "key"})
        if (!in.has(needed)) in.mistake(needed, "missing");
    // Without one of them there is nothing to compare the other with.
    if (files.cert.empty() || files.key.empty()) return;
    auto read = read_web_tls(files, *file.surroundings, now);
    for (auto& trouble : read.troubles) {
        if (trouble.warning)
            in.warning(key_of(trouble.file), std::move(trouble.words));
        else
            in.mistake(key_of(trouble.file), std::move(trouble.words));
    }
    settings.web_tls = std::move(read.tls);
}

void read_users(Reader& in, const toml::table& users, const config::File& file, Settings& settings) {
    // A name may be a slip that holds the hash: neither is shown.
    const auto note = [&](const toml::source_region& where, const std::string& name, std::string words,
                          bool warning) {
        file.mistakes->push_back({.file = file.name,
                                  .at = {where.begin.line, where.begin.column},
                                  .key = name.empty() ? "web.users" : "web.users." + name,
                                  .message = std::move(words),
                                  .warning = warning,
                                  .place = config::Place::secret});
    };
    if (users.empty()) in.warning("", "there is no user in it: everybody is let in");
    for (const auto& [key, node] : users) {
        const std::string name(key.str());
        if (auto why = objection_to_user(name); !why.empty()) {
            note(key.source(), "", std::move(why), false);
            continue;
        }
        config::Secret hash;
        if (const auto* plain = node.as_string()) {
            hash = config::Secret(plain->get());
            if (file.others_can_read)
                note(node.source(), name,
                     R"(group or others can read this file, and guess at the password as fast as they like; )"
                     R"(better { file = "…" } or { credential = "…" })",
                     true);
        } else {
            const auto before = file.mistakes->size();
            in.secret(name, hash);
            if (file.mistakes->size() != before) continue;
        }
        if (auto why = objection_to_hash(hash.reveal()); !why.empty())
            note(node.source(), name, std::move(why), false);
        else
            settings.web_users.insert_or_assign(name, std::move(hash));
    }
}

}  // namespace

void read_web_access(Reader& in, const toml::table& web, const config::File& file, WallTime now,
                     Settings& settings) {
    if (auto tls = in.table("tls")) read_tls(*tls, *web["tls"].as_table(), file, now, settings);
    if (auto users = in.table("users")) read_users(*users, *web["users"].as_table(), file, settings);
}

bool is_loopback(const std::string& listen) {
    return listen.starts_with("127.") || listen.starts_with("[::1]:");
}

}  // namespace livecanary::daemon
