#include "tests/practice/mariadb.hpp"

#include <mysql.h>
#include <unistd.h>
#include <stdexcept>
#include <thread>
#include <utility>

namespace livecanary::practice {

namespace {

using namespace std::chrono_literals;

constexpr auto patience = 60s;  // a busy machine; it takes a second

std::vector<std::string> as_root_if_root(std::vector<std::string> argv) {
    // Neither program runs as root unless told to.
    if (::geteuid() == 0) argv.emplace_back("--user=root");
    return argv;
}

[[noreturn]] void give_up(const std::string& what, const Process& process) {
    throw std::runtime_error(what + ": " + process.output());
}

}  // namespace

bool MariaDb::installed() {
    return !find_program("mariadbd").empty() && !find_program("mariadb-install-db").empty();
}

MariaDb::MariaDb(std::vector<std::string> options, std::string address)
    : options_(std::move(options)), address_(std::move(address)), port_(free_port()) {
    const auto data = folder_.path() / "data";
    Process install(
        {.argv = as_root_if_root({"mariadb-install-db", "--no-defaults", "--datadir=" + data.string(),
                                  "--auth-root-authentication-method=normal", "--skip-test-db"}),
         .output = folder_.path() / "install.log"});
    if (install.wait_for(patience).value_or(-1) != 0) give_up("mariadb-install-db", install);
    start();
    execute("DELETE FROM mysql.global_priv WHERE User = ''");
    execute("FLUSH PRIVILEGES");
}

MariaDb::~MariaDb() { stop(SIGKILL); }

void MariaDb::start() {
    std::vector<std::string> argv{
        "mariadbd",
        "--no-defaults",
        "--datadir=" + (folder_.path() / "data").string(),
        "--socket=" + socket(),
        "--pid-file=" + (folder_.path() / "mariadb.pid").string(),
        "--port=" + std::to_string(port_),
        "--bind-address=" + address_,
        "--character-set-server=utf8mb4",
        "--innodb-buffer-pool-size=32M",
        "--innodb-log-file-size=8M",
        // It is thrown away; a crash of the process alone loses nothing.
        "--innodb-flush-log-at-trx-commit=2",
        "--innodb-doublewrite=0",
        "--performance-schema=off",
        "--skip-log-bin",
    };
    argv.insert(argv.end(), options_.begin(), options_.end());
    server_ = std::make_unique<Process>(
        Command{.argv = as_root_if_root(std::move(argv)), .output = folder_.path() / "mariadb.log"});
    const auto deadline = std::chrono::steady_clock::now() + patience;
    while (::access(socket().c_str(), F_OK) != 0) {
        if (server_->wait_for(10ms) || std::chrono::steady_clock::now() > deadline)
            give_up("mariadbd", *server_);
    }
    while (true) {
        try {
            root();
            return;
        } catch (const std::runtime_error&) {
            if (server_->wait_for(10ms) || std::chrono::steady_clock::now() > deadline) throw;
        }
    }
}

void MariaDb::stop(int signal) {
    if (!server_) return;
    leave();
    server_->signal(SIGCONT);
    server_->stop(signal, 30s);
    server_.reset();
    // A killed one leaves it, and start() takes it for a sign of life.
    ::unlink(socket().c_str());
}

st_mysql* MariaDb::root() {
    if (root_ != nullptr) return root_;
    MYSQL* const mysql = mysql_init(nullptr);
    if (mysql_real_connect(mysql, nullptr, "root", "", nullptr, 0, socket().c_str(),
                           CLIENT_MULTI_STATEMENTS) == nullptr) {
        const std::string why = mysql_error(mysql);
        mysql_close(mysql);
        throw std::runtime_error("root cannot log in: " + why);
    }
    return root_ = mysql;
}

void MariaDb::leave() {
    if (root_ != nullptr) mysql_close(std::exchange(root_, nullptr));
}

void MariaDb::execute(const std::string& sql) { ask(sql); }

std::string MariaDb::ask(const std::string& sql) {
    MYSQL* const mysql = root();
    std::string first;
    int more = mysql_real_query(mysql, sql.data(), sql.size());
    bool is_first = true;
    while (more == 0) {
        if (MYSQL_RES* const rows = mysql_store_result(mysql)) {
            const MYSQL_ROW row = mysql_fetch_row(rows);
            if (std::exchange(is_first, false) && row != nullptr && row[0] != nullptr) first = row[0];
            mysql_free_result(rows);
        }
        more = mysql_next_result(mysql);
    }
    if (mysql_errno(mysql) != 0) {
        const std::string why = mysql_error(mysql);
        leave();
        throw std::runtime_error(why + " in: " + sql);
    }
    return first;
}

}  // namespace livecanary::practice
