#include "probes/backend_api/api.hpp"

#include <algorithm>

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include "probes/protocol/digest.hpp"

namespace livecanary::backend_api {
namespace {

using protocol::Digest, protocol::hex_digest;

constexpr std::int64_t token_not_valid = 498, no_such_user = 620, password_differs = 621, success = 200;

/// A text of a JSON object, or a number as its digits; empty if it is neither.
std::string text_at(const boost::json::object& object, std::string_view name) {
    const auto* const value = object.if_contains(name);
    if (value == nullptr) return {};
    if (const auto* const text = value->if_string()) return std::string(*text);
    return value->is_int64() ? std::to_string(value->get_int64()) : std::string();
}

const boost::json::object* object_at(const boost::json::object& object, std::string_view name) {
    const auto* const value = object.if_contains(name);
    return value != nullptr ? value->if_object() : nullptr;
}

}  // namespace

std::string Api::body_of(const std::string& userid, const std::string& fields) const {
    const auto now = std::chrono::floor<std::chrono::seconds>(run_.env().wall()).time_since_epoch().count();
    // User ids hold nothing that JSON would escape (config.cpp).
    return R"({"userid":")" + userid + R"(","timestamp":)" + std::to_string(now) + R"(,"expires":30)" +
           (fields.empty() ? "" : ",") + fields + "}";
}

asio::awaitable<error_code> Api::login(Answer& answer, Clock::time_point deadline) {
    const std::string password =
        hex_digest(Digest::md5, hex_digest(Digest::md5, config_.password.reveal()) + config_.userid);
    Call call{.path = "/login"};
    call.json = body_of(config_.userid, R"("password":")" + password + '"');
    if (const error_code code = co_await client_.call(call, answer, deadline)) co_return code;
    if (const error_code wrong = judge(answer, success)) {
        if (answer.code == no_such_user) co_return BackendError::no_account;
        if (answer.code == password_differs) co_return BackendError::wrong_password;
        co_return wrong;
    }
    const auto* const data = object_at(*answer.json, "data");
    Session session;
    if (data != nullptr) {
        session.token = config::Secret(text_at(*data, "token"));
        session.refresh_token = config::Secret(text_at(*data, "refresh_token"));
        if (const auto* const cos = object_at(*data, "cos_info")) {
            session.bucket = text_at(*cos, "Bucket");
            session.region = text_at(*cos, "Region");
            session.appid = text_at(*cos, "Appid");
            session.secret_id = text_at(*cos, "SecretId");
        }
    }
    if (session.token.empty()) co_return BackendError::bad_login;
    state_.session = std::move(session);
    co_return error_code{};
}

asio::awaitable<error_code> Api::refresh(Answer& answer, Clock::time_point deadline) {
    // It goes into JSON as it is; a real one is a number.
    const auto plain = [](char c) { return c >= ' ' && c != '"' && c != '\\'; };
    if (!state_.session || !std::ranges::all_of(state_.session->refresh_token.reveal(), plain))
        co_return BackendError::token_invalid;
    Call call{.path = "/refresh"};
    call.json =
        body_of(config_.userid, R"("refresh_token":")" + state_.session->refresh_token.reveal() + '"');
    call.token = state_.session->token.reveal();
    if (const error_code code = co_await client_.call(call, answer, deadline)) co_return code;
    if (const error_code wrong = judge(answer, success)) co_return wrong;
    const auto* const data = object_at(*answer.json, "data");
    if (data == nullptr) co_return BackendError::bad_login;
    state_.session->token = config::Secret(text_at(*data, "token"));
    state_.session->refresh_token = config::Secret(text_at(*data, "refresh_token"));
    co_return error_code{};
}

asio::awaitable<error_code> Api::signed_call(const std::string& path, const std::string& fields,
                                             Answer& answer, Clock::time_point deadline) {
    for (bool fresh = false;; fresh = true) {
        if (!state_.session || fresh) {
            if (fresh) ++relogins_;
            if (const error_code code = co_await login(answer, deadline)) co_return code;
        }
        Call call{.path = path};
        call.json = body_of(config_.userid, fields);
        call.token = state_.session->token.reveal();
        if (const error_code code = co_await client_.call(call, answer, deadline)) co_return code;
        const error_code wrong = judge(answer, success);
        if (answer.code != token_not_valid) co_return wrong;
        state_.session.reset();
        // Once: another prober with this account would end our session as often as we end its.
        if (fresh) co_return BackendError::token_invalid;
    }
}

}  // namespace livecanary::backend_api
