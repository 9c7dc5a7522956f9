// HTTPS and users of the running daemon: Debian's Prometheus scrapes it, a reload and a renewal change what
// it shows, and `bundle` is let in.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/json.hpp>

#include "probes/net/one_request.hpp"
#include "tests/integration/daemon_process.hpp"
#include "tests/integration/servers.hpp"
#include "tests/support/tls_peer.hpp"

namespace livecanary::test {
namespace {

using namespace std::chrono_literals;
namespace json = boost::json;

constexpr const char* password = "fakepassword";
/// Of that password, made by others (exporter-toolkit, web/handler.go).
constexpr const char* hash = "$2y$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi";
/// Of "test" (prometheus.io, "Securing Prometheus API and UI endpoints using basic auth").
constexpr const char* other_hash = "$2b$12$hNf2lSsxfm0.i4a.1kVpSOVyBCfIB51VRjgBUyv6kdnyTlgWj81Ay";

class WebAccessReal : public testing::Test {
protected:
    WebAccessReal() {
        show(first);
        first_authority.save(path("first.ca"));
        second_authority.save(path("second.ca"));
    }
    static std::string config(const std::string& users = std::string("[web.users]\nprometheus = \"") + hash +
                                                         "\"\n") {
        return "[daemon]\nreference = false\n[web.tls]\ncert = \"cert.pem\"\nkey = \"key.pem\"\n" + users +
               "[[probe]]\nkind = \"callback\"\nname = \"callback\"\nurl = \"http://127.0.0.1:1/\"\nkey = { "
               "env = "
               "\"CALLBACK_KEY\" }\ninterval = \"1s\"\ntimeout = \"500ms\"\n";
    }
    static std::map<std::string, std::string> environment() { return {{"CALLBACK_KEY", "a callback key"}}; }
    std::string path(const std::string& name) const { return (installation.path() / name).string(); }
    /// The certificate becomes this one.
    void show(const Certificate& certificate) const {
        installation.write("key.pem", certificate.key());
        installation.write("cert.pem", certificate.certificate());
    }

    struct Said {
        std::string error{};
        unsigned status = 0;
        std::string body{};
    };
    /// Over TLS; trusts the authority in that file.
    Said ask(const DaemonProcess& daemon, const std::string& target, const std::string& ca,
             const std::string& said_password = password) const {
        boost::asio::io_context io;
        net::HttpRequest request{.target = target, .host = "127.0.0.1"};
        if (!said_password.empty())
            request.headers = {{"Authorization", net::basic_authorization("prometheus", said_password)}};
        net::TlsOptions tls{.server_name = "127.0.0.1", .ca_file = path(ca)};
        const net::tcp::endpoint server(boost::asio::ip::make_address("127.0.0.1"), daemon.port());
        Said said;
        boost::asio::co_spawn(io,
                              net::request_at(server, std::move(request), std::move(tls), Clock::now() + 10s),
                              [&](const std::exception_ptr& failed, const result<net::HttpAnswer>& answer) {
                                  if (failed || !answer) {
                                      said.error = failed ? "an exception" : answer.error().message();
                                  } else {
                                      said.status = answer->head.status;
                                      said.body = answer->body;
                                  }
                              });
        io.run();
        return said;
    }

    const Certificate first_authority{{.common_name = "first authority", .authority = true}};
    const Certificate second_authority{{.common_name = "second authority", .authority = true}};
    const Certificate first{{.names = {"IP:127.0.0.1", "DNS:canary.test"}}, &first_authority};
    const Certificate second{{.names = {"IP:127.0.0.1"}}, &second_authority};
    const Installation installation{config()};
};

TEST_F(WebAccessReal, OnlyOverTlsAndForUsers) {
    DaemonProcess daemon(installation, environment());
    const auto metrics = ask(daemon, "/metrics", "first.ca");
    EXPECT_EQ(metrics.status, 200U) << metrics.error;
    EXPECT_NE(metrics.body.find("livecanary_build_info"), std::string::npos);
    EXPECT_EQ(ask(daemon, "/metrics", "first.ca", "hunter2").status, 401U);
    EXPECT_EQ(ask(daemon, "/metrics", "first.ca", "").status, 401U);
    EXPECT_EQ(ask(daemon, "/-/ready", "first.ca", "").status, 200U);
    EXPECT_NE(ask(daemon, "/metrics", "second.ca").error, "");
    EXPECT_EQ(daemon.get("/metrics").status, 400) << "plain HTTP";
    const auto status = json::parse(ask(daemon, "/api/v1/status", "first.ca").body).at("data").at("web");
    EXPECT_EQ(status.at("tls"), true);
    EXPECT_EQ(status.at("users"), 1);
    EXPECT_TRUE(status.at("certificate_not_after").is_string());
    daemon.until("what failed is told", [&] {
        return daemon.log().find("a wrong user or password for the pages") != std::string::npos &&
               daemon.log().find("a TLS handshake failed") != std::string::npos;
    });
    for (const char* secret : {hash, password, "hunter2", "PRIVATE KEY"})
        EXPECT_EQ(daemon.log().find(secret), std::string::npos) << secret;
    daemon.process().signal(SIGTERM);
    EXPECT_EQ(daemon.process().wait_for(10s), 0);
}

TEST_F(WebAccessReal, AReloadTakesAnotherCertificateAndOtherUsers) {
    DaemonProcess daemon(installation, environment());
    EXPECT_EQ(ask(daemon, "/metrics", "first.ca").status, 200U);
    show(second);
    daemon.reload(installation, config(std::string("[web.users]\nprometheus = \"") + other_hash + "\"\n"));
    daemon.until("the other certificate is shown",
                 [&] { return ask(daemon, "/-/ready", "second.ca", "").status == 200U; });
    EXPECT_EQ(ask(daemon, "/metrics", "second.ca", "test").status, 200U);
    EXPECT_EQ(ask(daemon, "/metrics", "second.ca").status, 401U);
    // A pair that does not fit refuses the reload, and the one before stays.
    installation.write("key.pem", first.key());
    daemon.process().signal(SIGHUP);
    daemon.until("the reload is refused", [&] {
        return daemon.log().find("the key in '" + path("key.pem") + "' is not that of the certificate") !=
               std::string::npos;
    });
    EXPECT_EQ(ask(daemon, "/metrics", "second.ca", "test").status, 200U);
    // And without both everybody is let in, over plain HTTP.
    daemon.reload(installation, "[daemon]\nreference = false\n");
    daemon.until("it is plain", [&] { return daemon.get("/metrics").status == 200; });
}

TEST_F(WebAccessReal, PrometheusScrapesIt) {
    for (const char* program : {"prometheus", "promtool"})
        if (practice::find_program(program).empty()) {
            if (under_ci()) FAIL() << "apt-get install prometheus";
            GTEST_SKIP() << "apt-get install prometheus";
        }
    DaemonProcess daemon(installation, environment());
    installation.write("password", std::string(password) + "\n");
    const std::string target =
        "    static_configs: [{ targets: ['127.0.0.1:" + std::to_string(daemon.port()) + "'] }]\n";
    const std::string login =
        "    basic_auth: { username: prometheus, password_file: '" + path("password") + "' }\n";
    const auto trust = [&](const std::string& ca, const std::string& more = {}) {
        return "    tls_config: { ca_file: '" + path(ca) + "'" + more + " }\n";
    };
    // What docs/web.md has, and what goes wrong when a part of it is left out.
    installation.write("prometheus.yml",
                       "global: { scrape_interval: 1s }\nscrape_configs:\n"
                       "  - job_name: right\n    scheme: https\n" +
                           login + trust("first.ca", ", server_name: canary.test") + target +
                           "  - job_name: wrong-password\n    scheme: https\n    basic_auth: { username: "
                           "prometheus, password: x }\n" +
                           trust("first.ca") + target + "  - job_name: no-user\n    scheme: https\n" +
                           trust("first.ca") + target + "  - job_name: wrong-ca\n    scheme: https\n" +
                           login + trust("second.ca") + target +
                           "  - job_name: wrong-name\n    scheme: https\n" + login +
                           trust("first.ca", ", server_name: other.test") + target + "  - job_name: plain\n" +
                           login + target);
    practice::Process promtool(
        {.argv = {"promtool", "check", "config", path("prometheus.yml")}, .output = path("promtool.log")});
    EXPECT_EQ(promtool.wait_for(30s), 0) << promtool.output();
    const auto port = practice::free_port();
    practice::Process prometheus({.argv = {"prometheus", "--config.file=" + path("prometheus.yml"),
                                           "--storage.tsdb.path=" + path("tsdb"),
                                           "--web.listen-address=127.0.0.1:" + std::to_string(port)},
                                  .output = path("prometheus.log")});
    ASSERT_TRUE(practice::wait_until_listening("127.0.0.1", port, prometheus)) << prometheus.output();

    std::map<std::string, std::pair<std::string, std::string>> jobs;  // name → health, last error
    daemon.until("every job has been tried", [&] {
        const auto answer = practice::ask("127.0.0.1", port, "GET", "/api/v1/targets");
        if (answer.status != 200) return false;
        const json::value said = json::parse(answer.body);
        for (const auto& one : said.at("data").at("activeTargets").as_array())
            jobs[std::string(one.at("labels").at("job").as_string())] = {
                std::string(one.at("health").as_string()), std::string(one.at("lastError").as_string())};
        return jobs.size() == 6 &&
               std::ranges::none_of(jobs, [](const auto& job) { return job.second.first == "unknown"; });
    });
    const auto error_of = [&](const std::string& job) {
        return jobs[job].first == "down" ? jobs[job].second : "it is " + jobs[job].first;
    };
    EXPECT_EQ(jobs["right"].first, "up") << jobs["right"].second;
    EXPECT_EQ(error_of("wrong-password"), "server returned HTTP status 401 Unauthorized");
    EXPECT_EQ(error_of("no-user"), "server returned HTTP status 401 Unauthorized");
    EXPECT_NE(error_of("wrong-ca").find("x509: certificate signed by unknown authority"), std::string::npos)
        << error_of("wrong-ca");
    EXPECT_NE(error_of("wrong-name").find("x509: certificate is valid for canary.test, not other.test"),
              std::string::npos)
        << error_of("wrong-name");
    EXPECT_EQ(error_of("plain"), "server returned HTTP status 400 Bad Request");
    daemon.until("its metrics are there", [&] {
        const auto answer = practice::ask("127.0.0.1", port, "GET",
                                          "/api/v1/query?query=livecanary_probe_info%7Bjob%3D%22right%22%7D");
        return answer.status == 200 && !json::parse(answer.body).at("data").at("result").as_array().empty();
    });
}

TEST_F(WebAccessReal, BundleIsLetIn) {
    const auto port = practice::free_port();
    installation.configure("[web]\nlisten = [\"127.0.0.1:" + std::to_string(port) + "\"]\n" + config());
    auto env = environment();
    env["STATE_DIRECTORY"] = path("state");
    DaemonProcess daemon(installation, env, {"--web.listen-address", "127.0.0.1:" + std::to_string(port)});
    daemon.until("a probe has run", [&] {
        return ask(daemon, "/api/v1/probes/callback", "first.ca").body.find("\"outcome\"") !=
               std::string::npos;
    });
    const auto ended =
        livecanary({"bundle", "--config.file", installation.config_file(), "-o", path("b.tar.gz")}, env);
    ASSERT_EQ(ended.code, 0) << ended.output;
    practice::Process tar({.argv = {"tar", "-xzf", path("b.tar.gz"), "-C", installation.path().string()},
                           .output = path("tar.log")});
    ASSERT_EQ(tar.wait_for(10s), 0) << tar.output();
    EXPECT_NE(
        practice::read_file(path("cover.md")).find("the API of the running daemon at https://127.0.0.1:"),
        std::string::npos)
        << practice::read_file(path("cover.md"));
    const std::string shown = practice::read_file(path("config/l.toml"));
    EXPECT_NE(shown.find("prometheus = \"[redacted web.users.prometheus "), std::string::npos) << shown;
    EXPECT_EQ(shown.find(hash), std::string::npos);
    // Another user's state directory has no key for him.
    std::filesystem::remove(path("state/web.key"));
    const auto without =
        livecanary({"bundle", "--config.file", installation.config_file(), "-o", path("c.tar.gz")}, env);
    EXPECT_NE(without.output.find("it wants a user"), std::string::npos) << without.output;
}

}  // namespace
}  // namespace livecanary::test
