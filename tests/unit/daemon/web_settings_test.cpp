// `[web.tls]` and `[web.users]` as they are read, and as their mistakes are told.
#include "daemon/web_settings.hpp"

#include <gtest/gtest.h>

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include <openssl/pem.h>

#include "daemon/check_config_command.hpp"
#include "daemon/config_facts.hpp"
#include "daemon/web_tls.hpp"
#include "tests/support/fake_kind.hpp"
#include "tests/support/tls_peer.hpp"
#include "tests/support/toml_text.hpp"

namespace livecanary::daemon {
namespace {

using namespace std::chrono_literals;
using test::Certificate;
using test::FakeWorld;
using Strings = std::vector<std::string>;

/// Of "open sesame".
constexpr const char* hash = "$2y$04$abcdefghijklmnopqrstuu/LVz6MZlItEy42I2juLihZ66HnQx/cy";

Strings mistakes(const Loaded& loaded) {
    Strings lines;
    for (const config::Mistake& mistake : loaded.mistakes) lines.push_back(to_string(mistake));
    return lines;
}

/// A configuration with certificates beside it.
class WebTlsSettings : public testing::Test {
protected:
    WebTlsSettings() {
        world.files = {{"cert.pem", own.certificate() + between.certificate()},
                       {"key.pem", own.key()},
                       {"ca.pem", authority.certificate()}};
    }
    Loaded load(const std::string& text) {
        world.files["l.toml"] = text;
        return load_settings("l.toml", world.surroundings(), test::fake_kinds, now);
    }
    Strings mistakes_of(const std::string& tls) { return mistakes(load("[web.tls]\n" + tls)); }

    const Certificate authority{{.common_name = "authority", .authority = true}};
    const Certificate between{{.common_name = "between", .authority = true}, &authority};
    const Certificate own{{.common_name = "own", .names = {"DNS:canary.example.com"}}, &between};
    const WallTime now = std::chrono::system_clock::now();
    FakeWorld world{};
};

constexpr const char* both = "cert = 'cert.pem'\nkey = 'key.pem'\n";

TEST_F(WebTlsSettings, AChainAndItsKey) {
    const Loaded loaded = load(std::string("[web.tls]\n") + both + "client_ca = 'ca.pem'\n");
    EXPECT_EQ(mistakes(loaded), Strings{});
    ASSERT_NE(loaded.settings.web_tls, nullptr);
    const WebTls& tls = *loaded.settings.web_tls;
    EXPECT_EQ(tls.files, (WebTlsFiles{.cert = "cert.pem", .key = "key.pem", .client_ca = "ca.pem"}));
    EXPECT_LT(tls.not_before, now);
    EXPECT_GT(tls.not_after, now);
    EXPECT_EQ(tls.digest.size(), 64U);
}

TEST_F(WebTlsSettings, TheKeyMayBeACredential) {
    world.credentials_directory = "/creds";
    world.others_can_read = true;  // as it looks with systemd's access control list
    world.files["/creds/web-key"] = own.key();
    const Loaded loaded = load("[web.tls]\ncert = 'cert.pem'\nkey = { credential = 'web-key' }\n");
    EXPECT_EQ(mistakes(loaded), Strings{});
    ASSERT_NE(loaded.settings.web_tls, nullptr);
    EXPECT_EQ(loaded.settings.web_tls->files.key, "/creds/web-key");
    EXPECT_EQ(mistakes_of("cert = 'cert.pem'\nkey = { file = 'key.pem' }\n"),
              Strings{"l.toml:3:7: warning: web.tls.key: group or others can read 'key.pem': chmod 0400, "
                      "owned by the daemon's user"});
}

TEST_F(WebTlsSettings, ARelativePathCountsFromTheFolderOfTheFile) {
    world.files["/etc/lc/l.toml"] = std::string("[web.tls]\n") + both;
    world.files["/etc/lc/cert.pem"] = own.certificate();
    world.files["/etc/lc/key.pem"] = own.key();
    const Loaded loaded = load_settings("/etc/lc/l.toml", world.surroundings(), test::fake_kinds, now);
    EXPECT_EQ(mistakes(loaded), Strings{});
    ASSERT_NE(loaded.settings.web_tls, nullptr);
    EXPECT_EQ(loaded.settings.web_tls->files.cert, "/etc/lc/cert.pem");
}

TEST_F(WebTlsSettings, TheirDigestTellsARenewal) {
    const auto digest = [&] { return load(std::string("[web.tls]\n") + both).settings.web_tls->digest; };
    const auto first = digest();
    EXPECT_EQ(digest(), first);
    world.files["cert.pem"] = own.certificate();
    EXPECT_NE(digest(), first);
}

TEST_F(WebTlsSettings, WhatIsMissing) {
    EXPECT_EQ(mistakes_of(""),
              (Strings{"l.toml:1:1: web.tls.cert: missing", "l.toml:1:1: web.tls.key: missing"}));
    EXPECT_EQ(mistakes_of("cert = 'cert.pem'\nkey = ''\ncerts = 1\n"),
              (Strings{"l.toml:3:7: web.tls.key: must not be empty",
                       "l.toml:4:1: web.tls.certs: unknown key; did you mean 'cert'?"}));
    EXPECT_EQ(mistakes_of("cert = 'gone.pem'\nkey = 'gone.key'\nclient_ca = 'gone.ca'\n"),
              (Strings{"l.toml:2:8: web.tls.cert: cannot read 'gone.pem': No such file or directory",
                       "l.toml:3:7: web.tls.key: cannot read 'gone.key': No such file or directory",
                       "l.toml:4:13: web.tls.client_ca: cannot read 'gone.ca': No such file or directory"}));
    EXPECT_EQ(mistakes_of("cert = 'cert.pem'\nkey = { env = 'KEY' }\n"),
              (Strings{"l.toml:3:7: web.tls.key: expected a path, { file = \"…\" } or { credential = \"…\" }",
                       "l.toml:3:9: web.tls.key.env: unknown key"}));
    EXPECT_EQ(
        mistakes_of("cert = 'cert.pem'\nkey = { credential = 'web-key' }\n"),
        Strings{"l.toml:3:22: web.tls.key.credential: no credential 'web-key': $CREDENTIALS_DIRECTORY is "
                "not set (systemd sets it for LoadCredential=)"});
}

TEST_F(WebTlsSettings, WhatIsNoPem) {
    world.files["cert.pem"] = "certificate";
    world.files["key.pem"] = own.certificate();
    world.files["ca.pem"] = "";
    EXPECT_EQ(
        mistakes_of(std::string(both) + "client_ca = 'ca.pem'\n"),
        (Strings{"l.toml:2:8: web.tls.cert: there is no certificate in 'cert.pem': PEM is expected, which "
                 "begins with -----BEGIN CERTIFICATE-----",
                 "l.toml:3:7: web.tls.key: there is no private key in 'key.pem': PEM is expected, which "
                 "begins with -----BEGIN PRIVATE KEY-----",
                 "l.toml:4:13: web.tls.client_ca: there is no certificate in 'ca.pem'"}));
}

TEST_F(WebTlsSettings, AKeyWithAPassphrase) {
    const std::string key = own.key();
    const std::unique_ptr<BIO, decltype(&BIO_free)> plain(
        BIO_new_mem_buf(key.data(), static_cast<int>(key.size())), BIO_free);
    const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> parsed(
        PEM_read_bio_PrivateKey(plain.get(), nullptr, nullptr, nullptr), EVP_PKEY_free);
    const std::unique_ptr<BIO, decltype(&BIO_free)> out(BIO_new(BIO_s_mem()), BIO_free);
    const std::string phrase = "phrase";
    ASSERT_EQ(PEM_write_bio_PKCS8PrivateKey(out.get(), parsed.get(), EVP_aes_128_cbc(), phrase.data(),
                                            static_cast<int>(phrase.size()), nullptr, nullptr),
              1);
    char* text = nullptr;
    const long size = BIO_get_mem_data(out.get(), &text);
    world.files["key.pem"] = std::string(text, static_cast<std::size_t>(size));
    EXPECT_EQ(mistakes_of(both),
              Strings{"l.toml:3:7: web.tls.key: the key in 'key.pem' has a passphrase, which "
                      "nobody could type in: openssl pkey takes it off"});
}

TEST_F(WebTlsSettings, WhatDoesNotBelongTogether) {
    world.files["key.pem"] = authority.key();
    EXPECT_EQ(mistakes_of(both), Strings{"l.toml:3:7: web.tls.key: the key in 'key.pem' is not that of the "
                                         "certificate in 'cert.pem'"});
    world.files["key.pem"] = between.key();
    EXPECT_EQ(
        mistakes_of(both),
        Strings{"l.toml:2:8: web.tls.cert: the key in 'key.pem' is that of certificate 2 in 'cert.pem': the "
                "server's own certificate has to stand first"});
    world.files["key.pem"] = own.key();
    world.files["cert.pem"] = own.certificate() + authority.certificate();
    const Loaded loaded = load(std::string("[web.tls]\n") + both);
    EXPECT_EQ(
        mistakes(loaded),
        Strings{"l.toml:2:8: warning: web.tls.cert: certificate 2 in 'cert.pem' is not the issuer of the one "
                "before it: clients may not find the way to a root they trust"});
    EXPECT_TRUE(loaded.ok());
    for (int i = 0; i < 16; ++i) world.files["cert.pem"] += authority.certificate();
    EXPECT_EQ(mistakes_of(both),
              Strings{"l.toml:2:8: web.tls.cert: 'cert.pem' holds 18 certificates: expected "
                      "the server's own and those between it and a root"});
}

TEST_F(WebTlsSettings, WhatClientsWouldRefuseIsAWarning) {
    const auto only = [&](const test::CertificateOptions& options) {
        const Certificate one(options);
        world.files["cert.pem"] = one.certificate();
        world.files["key.pem"] = one.key();
        const Loaded loaded = load(std::string("[web.tls]\n") + both);
        EXPECT_TRUE(loaded.ok());
        EXPECT_NE(loaded.settings.web_tls, nullptr);
        const auto lines = mistakes(loaded);
        return lines.size() == 1 ? lines[0] : "not one: " + std::to_string(lines.size());
    };
    const std::string start = "l.toml:2:8: warning: web.tls.cert: the certificate in 'cert.pem' ";
    EXPECT_TRUE(only({.names = {"DNS:a.test"}, .not_before = -7200s, .not_after = -3600s})
                    .starts_with(start + "expired on 20"));
    EXPECT_TRUE(only({.names = {"DNS:a.test"}, .not_before = 3600s, .not_after = 7200s})
                    .starts_with(start + "is not valid before 20"));
    EXPECT_EQ(
        only({.common_name = "canary.example.com"}),
        start + "has no subject alternative name: Prometheus and browsers do not look at any other name");
}

Loaded load(const std::string& text, bool others_can_read = false) {
    const FakeWorld world{.files = {{"l.toml", text}, {"hash", std::string(hash) + "\n"}},
                          .variables = {{"HASH", hash}},
                          .others_can_read = others_can_read};
    return load_settings("l.toml", world.surroundings(), test::fake_kinds);
}

TEST(WebUserSettings, NamesAndHashes) {
    const Loaded loaded = load(std::string("[web.users]\nalice = \"") + hash +
                               "\"\n'mail@example.com' = { file = 'hash' }\n\"王\" = { env = 'HASH' }\n");
    EXPECT_EQ(mistakes(loaded), Strings{});
    const WebUsers wanted{{"alice", config::Secret(hash)},
                          {"mail@example.com", config::Secret(hash)},
                          {"王", config::Secret(hash)}};
    EXPECT_EQ(loaded.settings.web_users, wanted);
}

TEST(WebUserSettings, MistakesDoNotRepeatWhatMayBeAPassword) {
    const Loaded loaded = load(
        "[web.users]\n"
        "a = \"hunter2\"\n"
        "b = \"b:$2y$04$abcdefghijklmnopqrstuu/LVz6MZlItEy42I2juLihZ66HnQx/cy\"\n"
        "c = \"$2y$15$abcdefghijklmnopqrstuu/LVz6MZlItEy42I2juLihZ66HnQx/cy\"\n"
        "d = \"$2y$04$abcdefghijklmnopqrstuu/LVz6MZlItEy42I2juLihZ66HnQx/c\"\n"
        "e = 12\n"
        "\"hunter2:x\" = \"y\"\n"
        "\"\" = \"y\"\n"
        "f = \"$6$04$abcdefghijklmnopqrstuu/LVz6MZlItEy42I2juLihZ66HnQx/cy1\"\n"
        "g = { file = 'gone' }\n");
    const std::string expected =
        "expected a bcrypt hash, which begins with $2y$, $2b$ or $2a$ and has 60 characters: htpasswd -nBC "
        "10 "
        "\"\" asks for the password and prints one";
    EXPECT_EQ(
        mistakes(loaded),
        (Strings{
            "l.toml:2:5: web.users.a: " + expected, "l.toml:3:5: web.users.b: " + expected,
            "l.toml:4:5: web.users.c: the cost of this hash is 15: expected 4 to 14, since each step "
            "doubles the time that a password takes",
            "l.toml:5:5: web.users.d: " + expected,
            "l.toml:6:5: web.users.e: expected a secret: { file = \"…\" }, { env = \"…\" } or { credential = "
            "\"…\" }, found an integer",
            "l.toml:7:1: web.users: a user with ':' cannot be told from its password (RFC 7617)",
            "l.toml:8:1: web.users: a user needs a name", "l.toml:9:5: web.users.f: " + expected,
            "l.toml:10:14: web.users.g.file: cannot read 'gone': No such file or directory"}));
    std::ostringstream shown;
    print_mistakes(shown, loaded);
    EXPECT_EQ(shown.str().find("hunter2"), std::string::npos) << shown.str();
    EXPECT_EQ(shown.str().find("LVz6MZl"), std::string::npos) << shown.str();
}

TEST(WebUserSettings, WarnsOfWhatLetsOthersIn) {
    const std::string users = std::string("[web.users]\nalice = \"") + hash + "\"\n";
    const std::string bare =
        "l.toml:1:1: warning: web.users: passwords go over the network as they are: set [web.tls], or let "
        "[web] "
        "listen on 127.0.0.1 only";
    EXPECT_EQ(mistakes(load(users)), Strings{}) << "by default it listens here only";
    EXPECT_EQ(mistakes(load(users + "[web]\nlisten = ['127.0.0.1:1', '[::1]:2']\n")), Strings{});
    EXPECT_EQ(mistakes(load(users + "[web]\nlisten = ['127.0.0.1:1', ':2']\n")), Strings{bare});
    EXPECT_EQ(mistakes(load("[web.users]\n")),
              Strings{"l.toml:1:1: warning: web.users: there is no user in it: everybody is let in"});
    EXPECT_EQ(
        mistakes(load(users, true)),
        Strings{"l.toml:2:9: warning: web.users.alice: group or others can read this file, and guess at the "
                "password as fast as they like; better { file = \"…\" } or { credential = \"…\" }"});
}

TEST(WebUserSettings, WhatABundleHasToTakeOut) {
    const FakeWorld world{
        .files = {
            {"l.toml", std::string("[web.tls]\nkey = 'web.key'\n[web.users]\nalice = \"") + hash + "\"\n"},
            {"web.key", "the key\n"}}};
    const auto facts = read_config_facts("l.toml", world.surroundings(), {});
    ASSERT_EQ(facts.secrets.size(), 2U);
    EXPECT_EQ(facts.secrets[0].name, "web.tls.key");
    EXPECT_EQ(facts.secrets[0].path, "web.key");
    EXPECT_EQ(facts.secrets[0].value.reveal(), "the key");
    EXPECT_EQ(facts.secrets[1].name, "web.users.alice");
    EXPECT_EQ(facts.secrets[1].value.reveal(), hash);
}

TEST(WebUsers, PasswordsOfOthersHashes) {
    struct Case {
        const char* password;
        const char* hash;
    };
    // jBCrypt's TestBCrypt.java; "Securing Prometheus API and UI endpoints using basic auth" (prometheus.io,
    // read 2026-11-28); exporter-toolkit's web/handler.go; htpasswd.
    const Case cases[] = {{"a", "$2a$06$m0CrhHm10qJ3lXRY.5zDGO3rS2KdeeWLuGmsfGlMfOxih58VYVfxe"},
                          {"test", "$2b$12$hNf2lSsxfm0.i4a.1kVpSOVyBCfIB51VRjgBUyv6kdnyTlgWj81Ay"},
                          {"fakepassword", "$2y$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi"},
                          {"open sesame", hash},
                          {"pass:wörd", "$2y$04$abcdefghijklmnopqrstuuWXKr2BvN6MFBGmbO8G1GNLW0JIJkxnC"}};
    for (const Case& one : cases) {
        const config::Secret wanted(one.hash);
        const std::string password = one.password;
        EXPECT_EQ(objection_to_hash(one.hash), "") << one.password;
        EXPECT_TRUE(is_password_of(wanted, config::Secret(password))) << one.password;
        EXPECT_FALSE(is_password_of(wanted, config::Secret(password + "x"))) << one.password;
        EXPECT_FALSE(is_password_of(wanted, config::Secret(password + std::string("\0x", 2))))
            << one.password;
        EXPECT_FALSE(is_password_of(wanted, config::Secret())) << one.password;
    }
    EXPECT_FALSE(is_password_of(config::Secret(hash), config::Secret(std::string(8000, 'x'))));
    // Bits of the salt that mean nothing: other programs take such hashes, too.
    std::string other = hash;
    other[28] = 'v';
    EXPECT_TRUE(is_password_of(config::Secret(other), config::Secret("open sesame")));
}

TEST(WebUsers, TheLocalKeyIsForItsOwnerOnly) {
    const std::filesystem::path folder =
        std::filesystem::path(testing::TempDir()) / ("web_key." + std::to_string(::getpid()));
    std::filesystem::create_directory(folder);
    EXPECT_TRUE(read_local_key(folder).empty());
    std::string error;
    const auto first = make_local_key(folder, error);
    EXPECT_EQ(error, "");
    EXPECT_EQ(first.reveal().size(), 64U);
    EXPECT_EQ(read_local_key(folder), first);
    struct stat facts {};
    ASSERT_EQ(::stat((folder / "web.key").c_str(), &facts), 0);
    EXPECT_EQ(facts.st_mode & 0777U, 0600U);
    EXPECT_NE(make_local_key(folder, error), first) << "each daemon has its own";
    EXPECT_NE(read_local_key(folder), first);
    std::ofstream(folder / "web.key") << "cut";
    EXPECT_TRUE(read_local_key(folder).empty());
    std::filesystem::remove_all(folder);
    EXPECT_TRUE(make_local_key(folder / "no" / "where", error).empty());
    EXPECT_TRUE(error.starts_with("cannot write ")) << error;
}

}  // namespace
}  // namespace livecanary::daemon
