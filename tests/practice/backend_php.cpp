#include "tests/practice/backend_php.hpp"

#include <mysql.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <poll.h>
#include <sys/socket.h>
#include <array>
#include <cctype>
#include <cstdlib>
#include <ctime>
#include <map>
#include <memory>
#include <optional>
#include <random>

#include <boost/json.hpp>

#include "probes/protocol/digest.hpp"
#include "probes/protocol/user_sig.hpp"

namespace livecanary::practice {

namespace {

namespace json = boost::json;
using protocol::Digest;
using protocol::hex_digest;

// The backend's ErrorCode.php.
constexpr int ok = 200, bad_request = 400, invalid_token = 498, database_error = 500, invalid_param = 602,
              user_exists = 612, no_such_user = 620, wrong_password = 621;
// The callback's own.
constexpr int invalid_json = 4001, invalid_para = 4002, dao_error = 2003, invalid_sign = 4003;
constexpr long shortest_tape = 60;   // seconds
constexpr long tape_valid = 604800;  // seconds: seven days

/// Ends the script: an uncaught exception.
struct Fatal : std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// date('Y-m-d H:i:s', …) with the backend's date.timezone, PRC.
std::string prc_time(std::int64_t unix_seconds) {
    const std::time_t shifted = unix_seconds + 8 * 3600;
    std::tm parts{};
    ::gmtime_r(&shifted, &parts);
    char text[32];
    std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &parts);
    return text;
}

using Row = std::map<std::string, std::optional<std::string>>;

/// mysqli: a connection that cannot be made is an exception, a statement that fails is caught.
class Database {
public:
    Database(const BackendConfig& config, int stop) : stop_(stop), mysql_(mysql_init(nullptr)) {
        mysql_options(mysql_, MYSQL_OPT_NONBLOCK, nullptr);
        MYSQL* connected = nullptr;
        int status = mysql_real_connect_start(&connected, mysql_, "127.0.0.1", config.db_user.c_str(),
                                              config.db_password.c_str(), config.db_name.c_str(),
                                              config.db_port, nullptr, 0);
        while (status != 0) status = mysql_real_connect_cont(&connected, mysql_, wait(status));
        if (connected == nullptr) {
            const std::string why = mysql_error(mysql_);
            mysql_close(mysql_);
            throw Fatal("mysqli_sql_exception: " + why);
        }
    }
    Database(const Database&) = delete;
    Database& operator=(const Database&) = delete;
    ~Database() { mysql_close(mysql_); }

    /// Nothing if the statement failed.
    std::optional<std::vector<Row>> query(const std::string& sql) {
        int failed = 0;
        int status = mysql_real_query_start(&failed, mysql_, sql.data(), sql.size());
        while (status != 0) status = mysql_real_query_cont(&failed, mysql_, wait(status));
        if (failed != 0) return std::nullopt;
        MYSQL_RES* result = nullptr;
        status = mysql_store_result_start(&result, mysql_);
        while (status != 0) status = mysql_store_result_cont(&result, mysql_, wait(status));
        if (result == nullptr)
            return mysql_errno(mysql_) == 0 ? std::optional(std::vector<Row>()) : std::nullopt;
        std::vector<Row> rows;
        const auto* const fields = mysql_fetch_fields(result);
        while (const MYSQL_ROW row = mysql_fetch_row(result)) {
            Row& kept = rows.emplace_back();
            for (unsigned column = 0; column < mysql_num_fields(result); ++column)
                kept[fields[column].name] =
                    row[column] != nullptr ? std::optional<std::string>(row[column]) : std::nullopt;
        }
        mysql_free_result(result);
        return rows;
    }
    unsigned long long changed_rows() const { return mysql_affected_rows(mysql_); }
    std::string escaped(const std::string& text) {
        std::string out(2 * text.size() + 1, '\0');
        out.resize(mysql_real_escape_string(mysql_, out.data(), text.data(), text.size()));
        return out;
    }

private:
    int wait(int status) {
        const auto socket = mysql_get_socket(mysql_);
        short events = 0;
        if ((status & MYSQL_WAIT_READ) != 0) events |= POLLIN;
        if ((status & MYSQL_WAIT_WRITE) != 0) events |= POLLOUT;
        std::array<pollfd, 2> polled{pollfd{socket, events, 0}, pollfd{stop_, POLLIN, 0}};
        const int patience =
            (status & MYSQL_WAIT_TIMEOUT) != 0 ? static_cast<int>(mysql_get_timeout_value_ms(mysql_)) : -1;
        if (::poll(polled.data(), polled.size(), patience) == 0) return MYSQL_WAIT_TIMEOUT;
        // Told to stop: the library sees its connection end.
        if (polled[1].revents != 0) ::shutdown(socket, SHUT_RDWR);
        return status & (MYSQL_WAIT_READ | MYSQL_WAIT_WRITE);
    }

    int stop_;
    MYSQL* mysql_;
};

std::string word(const Row& row, const std::string& column) {
    const auto found = row.find(column);
    return found != row.end() ? found->second.value_or("") : std::string();
}

/// A column as PHP's json_encode shows it: null, or the text.
json::value shown(const Row& row, const std::string& column) {
    const auto found = row.find(column);
    if (found == row.end() || !found->second) return nullptr;
    return json::value(*found->second);
}

bool matches_userid(const std::string& text) {
    if (text.size() < 4 || text.size() > 24 || std::isalpha(static_cast<unsigned char>(text[0])) == 0)
        return false;
    for (const char c : text)
        if (std::isalnum(static_cast<unsigned char>(c)) == 0 && c != '_') return false;
    return true;
}
bool is_alphanumeric(const std::string& text) {
    for (const char c : text)
        if (std::isalnum(static_cast<unsigned char>(c)) == 0) return false;
    return !text.empty();
}

/// A parameter of type string. PHP makes "Array" of an array, a measured hole.
std::optional<std::string> text_of(const json::object& args, std::string_view name) {
    const auto* const value = args.if_contains(name);
    if (value == nullptr) return std::nullopt;
    if (value->is_array() || value->is_object()) return "Array";
    if (const auto* text = value->if_string()) return std::string(*text);
    if (value->is_int64()) return std::to_string(value->get_int64());
    return std::nullopt;
}

class Interface {
public:
    Interface(const PhpRequest& request, const PhpWorld& world) : request_(request), world_(world) {}

    PhpAnswer run() {
        std::string name;
        for (const char c : request_.path_info)
            if (c != '/') name += c;
        if (name.empty()) return answer(bad_request, "Bad Request", json::array(), false);
        using Endpoint = PhpAnswer (Interface::*)();
        static const std::map<std::string, Endpoint> endpoints{
            {"register", &Interface::sign_up},
            {"login", &Interface::login},
            {"refresh", &Interface::refresh},
            {"get_vod_list", &Interface::get_vod_list},
            {"get_cos_sign", &Interface::get_cos_sign},
            {"get_user_info", &Interface::get_user_info},
            {"upload_user_info", &Interface::upload_user_info},
            {"upload_room", &Interface::upload_room}};
        const auto found = endpoints.find(name);
        if (found == endpoints.end())
            return answer(bad_request, "Bad Request | " + name, json::array(), false);
        name_ = name;
        boost::system::error_code failed;
        const json::value parsed = json::parse(request_.body, failed);
        if (!failed && parsed.is_string()) throw Fatal("TypeError");
        if (!failed && parsed.is_object()) args_ = parsed.get_object();
        return (this->*found->second)();
    }

private:
    PhpAnswer answer(int code, const std::string& message, json::value data, bool chunked) {
        json::object body{{"code", code}, {"message", message}, {"data", std::move(data)}};
        return {.type = "application/json", .body = json::serialize(body), .chunked = chunked};
    }
    PhpAnswer success(json::object data = {}) { return answer(ok, "OK", std::move(data), true); }
    PhpAnswer failure(int code, const std::string& message) {
        return answer(code, message, json::object(), false);
    }
    PhpAnswer bad_param(const std::string& name) { return failure(invalid_param, "Invalid Param | " + name); }
    PhpAnswer db_failure() { return failure(database_error, "Internal Server Error(db operate error)"); }

    Database database() {
        if (world_.faults.mysqli_missing) throw Fatal("Class \"mysqli\" not found");
        return Database(world_.config, world_.stop);
    }
    std::unique_ptr<RedisClient> redis() {
        if (world_.faults.phpredis_missing) throw Fatal("Class \"Redis\" not found");
        auto client =
            std::make_unique<RedisClient>(world_.config.redis_port, world_.redis_patience, world_.stop);
        client->call({"AUTH", world_.config.redis_password});
        return client;
    }
    std::int64_t now() const {
        return std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch() +
                                                        world_.faults.clock_offset)
            .count();
    }
    static std::string random_number() { return std::to_string(std::random_device{}() & 0x7FFFFFFFU); }

    /// Nothing if the request is signed.
    std::optional<PhpAnswer> unsigned_answer() {
        userid_ = text_of(args_, "userid").value_or("");
        const auto client = redis();
        const RedisReply session = client->call({"HGETALL", userid_});
        for (std::size_t at = 0; at + 1 < session.list.size(); at += 2)
            session_[session.list[at].text.value_or("")] = session.list[at + 1].text.value_or("");
        if (const auto token = session_.find("token"); token != session_.end())
            if (request_.liteav_sig ==
                hex_digest(Digest::md5, token->second + hex_digest(Digest::md5, request_.body)))
                return std::nullopt;
        return answer(invalid_token, "Invalid Token | " + name_, json::array(), false);
    }
    /// Nothing if both are as they must be.
    std::optional<PhpAnswer> bad_account() {
        const auto* const userid = args_.if_contains("userid");
        const auto password = text_of(args_, "password");
        userid_ = text_of(args_, "userid").value_or("");
        const bool is_array = userid != nullptr && !userid->is_string() && userid_ == "Array";
        if (!is_array && !matches_userid(userid_)) return bad_param("userid");
        if (!password || !is_alphanumeric(*password)) return bad_param("password");
        password_ = *password;
        return std::nullopt;
    }
    std::string select_account(Database& db) {
        return "select * from tb_account where userid = '" + db.escaped(userid_) + "'";
    }
    json::object new_session() {
        const std::string token = random_number(), refresh = random_number();
        const auto client = redis();
        client->call({"HMSET", userid_, "token", token, "refresh_token", refresh, "expires", "86400"});
        return {{"token", token}, {"refresh_token", refresh}, {"expires", 86400}};
    }

    PhpAnswer sign_up() {
        if (auto bad = bad_account()) return *bad;
        Database db = database();
        const auto rows = db.query(select_account(db));
        if (!rows) return db_failure();
        if (!rows->empty()) return failure(user_exists, "user exist | register user id existed");
        if (!db.query("insert into tb_account(userid, password, create_time) values('" + db.escaped(userid_) +
                      "','" + db.escaped(password_) + "','" + prc_time(now()) + "')"))
            return db_failure();
        return success();
    }

    PhpAnswer login() {
        if (auto bad = bad_account()) return *bad;
        Database db = database();
        const auto rows = db.query(select_account(db));
        if (!rows) return db_failure();
        if (rows->empty()) return failure(no_such_user, "login fail: " + userid_ + "user not exist");
        if (word(rows->front(), "password") != password_)
            return failure(wrong_password, "login fail: " + userid_ + "password error");
        json::object data = new_session();
        const auto& c = world_.config;
        const protocol::UserSig sig{.identifier = c.im_identifier.empty() ? userid_ : c.im_identifier,
                                    .sdkappid = c.im_sdkappid,
                                    .time = std::chrono::sys_seconds(std::chrono::seconds(now())),
                                    .expire = c.im_expire};
        data["roomservice_sign"] = json::object{{"sdkAppID", c.im_sdkappid},
                                                {"userID", userid_},
                                                {"userSig", protocol::make_user_sig(sig, c.im_key)}};
        data["cos_info"] = json::object{{"Bucket", c.cos_bucket},
                                        {"Region", c.cos_region},
                                        {"Appid", c.cos_appid},
                                        {"SecretId", c.cos_secret_id}};
        return success(std::move(data));
    }

    PhpAnswer refresh() {
        if (auto refused = unsigned_answer()) return *refused;
        if (text_of(args_, "refresh_token").value_or("") != session_["refresh_token"])
            return failure(invalid_token, "Invalid Token");
        return success(new_session());
    }

    /// "[0,+)", texts that are no numbers included: (int)"text" is 0.
    bool is_index(const char* name) const {
        const auto* const value = args_.if_contains(name);
        return value != nullptr && (!value->is_int64() || value->get_int64() >= 0) && !value->is_null();
    }
    std::int64_t number(const char* name) const {
        const auto text = text_of(args_, name).value_or("");
        return std::strtoll(text.c_str(), nullptr, 10);
    }

    PhpAnswer get_vod_list() {
        for (const char* name : {"index", "count"})
            if (!is_index(name)) return bad_param(name);
        if (auto refused = unsigned_answer()) return *refused;
        Database db = database();
        const std::int64_t index = std::max<std::int64_t>(number("index"), 1);
        const std::int64_t asked = number("count");
        const std::int64_t count = asked >= 10 && asked <= 100 ? asked : 10;
        const std::string valid = " from tb_vod where (" + std::to_string(now()) +
                                  " - unix_timestamp(create_time)) < " + std::to_string(tape_valid);
        if (!db.query("select count(*) as all_count" + valid)) return db_failure();
        const auto rows =
            db.query("select *" + valid +
                     " and (play_url != '' or hls_play_url != '') order by create_time desc limit " +
                     std::to_string((index - 1) * count) + "," + std::to_string(count));
        if (!rows) return db_failure();
        json::array list;
        for (const Row& row : *rows) {
            const auto users =
                db.query("select * from tb_account where userid = '" + db.escaped(word(row, "userid")) + "'");
            const Row user = users && !users->empty() ? users->front() : Row();
            list.push_back(json::object{{"userid", shown(row, "userid")},
                                        {"nickname", word(user, "nickname")},
                                        {"avatar", word(user, "avatar")},
                                        {"file_id", shown(row, "file_id")},
                                        {"title", shown(row, "title")},
                                        {"likecount", std::atoi(word(row, "like_count").c_str())},
                                        {"viewercount", std::atoi(word(row, "viewer_count").c_str())},
                                        {"frontcover", word(row, "frontcover")},
                                        {"location", word(row, "location")},
                                        {"play_url", shown(row, "play_url")},
                                        {"create_time", shown(row, "create_time")},
                                        {"hls_play_url", shown(row, "hls_play_url")},
                                        {"start_time", shown(row, "start_time")}});
        }
        return success({{"list", std::move(list)}});
    }

    PhpAnswer get_cos_sign() {
        if (auto refused = unsigned_answer()) return *refused;
        const std::string key_time =
            std::to_string(now()) + ";" + std::to_string(now() + world_.config.cos_lifetime);
        const auto key = protocol::hmac(Digest::sha1, world_.config.cos_secret_key, key_time);
        return success({{"signKey", protocol::lower_hex(key)}, {"keyTime", key_time}});
    }

    PhpAnswer get_user_info() {
        if (auto refused = unsigned_answer()) return *refused;
        Database db = database();
        const auto rows = db.query(select_account(db));
        if (!rows) return db_failure();
        if (rows->empty()) return failure(no_such_user, "user not exist");
        json::object data{{"userid", userid_}};
        for (const char* column : {"nickname", "avatar", "sex", "frontcover"})
            data[column] = word(rows->front(), column);
        return success(std::move(data));
    }

    PhpAnswer upload_user_info() {
        if (auto refused = unsigned_answer()) return *refused;
        Database db = database();
        const auto column = [&](const char* name) { return db.escaped(text_of(args_, name).value_or("")); };
        if (!db.query("update tb_account set nickname='" + column("nickname") + "', avatar='" +
                      column("avatar") + "', sex=" + std::to_string(number("sex")) + ", frontcover='" +
                      column("frontcover") + "' where userid='" + db.escaped(userid_) + "'"))
            return db_failure();
        // The same values again change no row, which the backend takes for a failure.
        return db.changed_rows() == 1 ? success() : db_failure();
    }

    PhpAnswer upload_room() {
        if (auto refused = unsigned_answer()) return *refused;
        Database db = database();
        const auto rows = db.query("select * from tb_room where userid = '" + db.escaped(userid_) + "'");
        if (!world_.faults.constants_defined && world_.faults.php == PhpVersion::php8)
            throw Fatal("Undefined constant \"ERROR_CODE_SUCCESSFUL\"");
        const auto column = [&](const char* name) { return db.escaped(text_of(args_, name).value_or("")); };
        if (!rows ||
            !db.query("replace into tb_room(userid, title, frontcover, location, create_time) values('" +
                      db.escaped(userid_) + "','" + column("title") + "','" + column("frontcover") + "','" +
                      column("location") + "','" + prc_time(now()) + "')"))
            return db_failure();
        return answer(ok, "OK", json::object(), false);
    }

    const PhpRequest& request_;
    const PhpWorld& world_;
    std::string name_{}, userid_{}, password_{};
    json::object args_{};
    std::map<std::string, std::string> session_{};
};

class TapeCallback {
public:
    TapeCallback(const PhpRequest& request, const PhpWorld& world) : request_(request), world_(world) {}

    PhpAnswer run() {
        const std::string code = json::serialize(process());
        return {.body = R"({"code":)" + code + "}", .chunked = false};
    }

private:
    bool php7() const { return world_.faults.php == PhpVersion::php7; }

    /// The body as an object; nothing if PHP takes it for no data.
    std::optional<json::object> data() {
        boost::system::error_code failed;
        const json::value parsed = json::parse(request_.body, failed);
        if (failed || parsed.is_null()) return std::nullopt;
        if (const auto* flag = parsed.if_bool(); flag != nullptr && !*flag) return std::nullopt;
        if (const auto* list = parsed.if_array()) {
            if (list->empty()) return std::nullopt;
            return json::object();
        }
        if (const auto* object = parsed.if_object()) {
            if (object->empty()) return std::nullopt;
            return *object;
        }
        if (parsed.is_int64() && parsed.get_int64() == 0) return std::nullopt;
        // array_key_exists() wants an array: PHP 7 warns and finds nothing.
        if (!php7()) throw Fatal("TypeError");
        return json::object();
    }

    bool sign_matches(const json::value& sign, const std::string& expected) const {
        if (const auto* flag = sign.if_bool()) return *flag;  // true == "any text"
        if (const auto* text = sign.if_string()) return std::string_view(*text) == expected;
        // PHP 7 makes a number of the text first, which is 0 unless it begins with digits.
        if (php7() && sign.is_int64()) return sign.get_int64() == std::strtoll(expected.c_str(), nullptr, 10);
        return false;
    }

    json::value process() {
        const auto body = data();
        if (!body) return invalid_json;
        for (const char* name : {"t", "sign", "event_type", "stream_id"})
            if (!body->contains(name)) return invalid_para;
        const json::value& t = body->at("t");
        if (t.is_array() || t.is_object()) throw Fatal("Array to string conversion");
        const std::string t_text = text_of(*body, "t").value_or("");
        const auto event = text_of(*body, "event_type").value_or("");
        if (!sign_matches(body->at("sign"), callback_sign(world_.config.callback_key, t_text)))
            return wrong_sign(event);
        if (event == "100") {
            for (const char* name : {"video_id", "video_url", "start_time", "end_time", "file_format"})
                if (!body->contains(name)) return invalid_para;
            for (const char* name : {"start_time", "end_time"})
                if (!is_numeric(body->at(name))) return invalid_para;
        }
        if (world_.faults.mysqli_missing) throw Fatal("Class \"mysqli\" not found");
        Database db(world_.config, world_.stop);
        if (event != "100") return 0;
        const std::int64_t start = std::strtoll(text_of(*body, "start_time")->c_str(), nullptr, 10);
        const std::int64_t end = std::strtoll(text_of(*body, "end_time")->c_str(), nullptr, 10);
        if (end - start <= shortest_tape) return 0;
        return add_tape(db, *body, start, end) ? 0 : dao_error;
    }

    json::value wrong_sign(const std::string& event) const {
        if (world_.faults.constants_defined) return invalid_sign;
        if (!php7()) throw Fatal("Undefined constant \"EC_SYSTEM_INVALID_SIGN\"");
        // The bare word is a text, and "text" == 0: it goes on with nothing read, and a tape of no length.
        if (event == "100") return 0;
        return "EC_SYSTEM_INVALID_SIGN";
    }

    static bool is_numeric(const json::value& value) {
        if (value.is_int64() || value.is_uint64() || value.is_double()) return true;
        const auto* const text = value.if_string();
        if (text == nullptr || text->empty()) return false;
        for (const char c : *text)
            if (std::isdigit(static_cast<unsigned char>(c)) == 0) return false;
        return true;
    }

    /// SQL by concatenation, as the backend has it.
    static bool add_tape(Database& db, const json::object& body, std::int64_t start, std::int64_t end) {
        const std::string stream = text_of(body, "stream_id").value_or("");
        const auto underscore = stream.find('_');
        if (underscore == stream.npos) return false;
        const std::string userid = stream.substr(underscore + 1);
        const auto rooms = db.query("select * from tb_room where userid = '" + userid + "'");
        if (!rooms || rooms->empty()) return false;
        const Row& room = rooms->front();
        const bool mp4 = body.at("file_format").is_string() && body.at("file_format").as_string() == "mp4";
        const std::string url_column = mp4 ? "play_url" : "hls_play_url";
        const std::string url = text_of(body, "video_url").value_or("");
        const std::string from = std::to_string(start), to = std::to_string(end);
        const std::string begins = "unix_timestamp(start_time)", ends = "unix_timestamp(create_time)";
        const auto same = db.query(
            "select * from tb_vod where userid = '" + db.escaped(word(room, "userid")) + "' and ((" + begins +
            " > " + from + " and " + begins + " < " + to + ") or (" + ends + " > " + from + " and " + ends +
            " < " + to + ") or (" + begins + " <= " + from + " and " + ends + " >= " + to + "))");
        if (!same) return false;
        if (same->size() == 1)
            return db
                .query("update tb_vod set " + url_column + " = '" + url + "' where userid = '" +
                       word(room, "userid") + "' and file_id = '" + word(same->front(), "file_id") + "'")
                .has_value();
        std::string columns = "userid, file_id, start_time, create_time, " + url_column;
        std::string values = "'" + word(room, "userid") + "','" + text_of(body, "video_id").value_or("") +
                             "','" + prc_time(start) + "','" + prc_time(end) + "','" + url + "'";
        for (const char* column : {"title", "frontcover", "location"}) {
            const auto found = room.find(column);
            if (found == room.end() || !found->second) continue;
            columns += std::string(", ") + column;
            values += ",'" + *found->second + "'";
        }
        return db.query("insert into tb_vod(" + columns + ") values(" + values + ")").has_value();
    }

    const PhpRequest& request_;
    const PhpWorld& world_;
};

/// What display_errors=On makes of it: diagnostics before the body, which a Content-Length made of the body
/// cuts.
PhpAnswer with_errors_displayed(PhpAnswer answer) {
    const std::size_t promised = answer.body.size();
    answer.body =
        "<br />\n<b>Warning</b>:  Undefined array key \"appid\" in "
        "<b>/data/live_demo_service/common/MiniLog.php</b> on line <b>100</b><br />\n" +
        answer.body;
    if (!answer.chunked) answer.body.resize(promised);
    return answer;
}

}  // namespace

PhpAnswer run_php(const PhpRequest& request, const PhpWorld& world) {
    std::string fatal;
    try {
        if (world.faults.log_dir_unwritable) throw Fatal("TypeError: fwrite()");
        PhpAnswer answer = request.script == "/interface.php" ? Interface(request, world).run()
                                                              : TapeCallback(request, world).run();
        return world.faults.display_errors ? with_errors_displayed(std::move(answer)) : answer;
    } catch (const std::exception& error) {
        fatal = error.what();
    }
    if (world.faults.display_errors)
        return {.body = "<br />\n<b>Fatal error</b>:  Uncaught " + fatal +
                        " in <b>/data/live_demo_service/common/Common.php</b> on line <b>10</b><br />\n"};
    return {.status = 500};
}

}  // namespace livecanary::practice
