// The JSON API ("v4") of the practice object store. Sources: the pages of that API and of its signature in
// GitHub tencentyun/qcloud-documents, documents 436/8432 and 436/6059, public clients of it; read 2026-11-26.
// In which order COS checks is in none of them: we take APPID, bucket, SecretId, time, HMAC, then what is
// there.
#include <algorithm>
#include <array>
#include <charconv>
#include <iterator>

#include <openssl/evp.h>
#include <boost/json.hpp>

#include "tests/practice/cos.hpp"
#include "tests/practice/cos_codec.hpp"

namespace livecanary::practice {

namespace {

namespace json = boost::json;
using std::chrono::system_clock;

constexpr std::string_view api_suffix = ".file.myqcloud.com";
constexpr std::string_view suffix = ".myqcloud.com";

std::string host_of(std::string_view authority) {
    return codec::lower_case(authority.substr(0, authority.rfind(':')));
}

/// `NAME-APPID.cosREGION.myqcloud.com`: name and region.
std::optional<std::pair<std::string, std::string>> source_of(const std::string& host) {
    constexpr std::string_view mark = ".cos";
    const auto at = host.find(mark);
    if (at == std::string::npos || !host.ends_with(suffix)) return std::nullopt;
    const std::string region = host.substr(at + mark.size(), host.size() - suffix.size() - at - mark.size());
    // ".cos.REGION" is the XML API's.
    if (region.empty() || region.find('.') != std::string::npos) return std::nullopt;
    return std::pair(host.substr(0, at), region);
}

std::string sha1_hex(std::string_view text) { return codec::hex(codec::digest(EVP_sha1(), text)); }

/// Empty if it is none.
std::string base64_decoded(std::string_view text) {
    std::string bytes(text.size(), '\0');
    const int size =
        EVP_DecodeBlock(reinterpret_cast<unsigned char*>(bytes.data()),
                        reinterpret_cast<const unsigned char*>(text.data()), static_cast<int>(text.size()));
    if (size < 0) return {};
    const auto padding = static_cast<std::size_t>(std::ranges::count(text, '='));
    bytes.resize(static_cast<std::size_t>(size) - std::min(padding, static_cast<std::size_t>(size)));
    return bytes;
}

std::map<std::string, std::string, std::less<>> fields(std::string_view text) {
    std::map<std::string, std::string, std::less<>> found;
    while (!text.empty()) {
        const auto piece = text.substr(0, text.find('&'));
        text.remove_prefix(std::min(piece.size() + 1, text.size()));
        const auto equals = std::min(piece.find('='), piece.size());
        found.emplace(piece.substr(0, equals), piece.substr(std::min(equals + 1, piece.size())));
    }
    return found;
}

std::string percent_decoded(std::string_view text) {
    std::string decoded;
    for (std::size_t i = 0; i < text.size(); ++i) {
        unsigned value = 0;
        if (text[i] != '%' || i + 2 >= text.size() ||
            std::from_chars(&text[i + 1], &text[i + 1] + 2, value, 16).ptr != &text[i + 1] + 2) {
            decoded += text[i];
            continue;
        }
        decoded += static_cast<char>(value);
        i += 2;
    }
    return decoded;
}

/// Encoded but for its slashes.
std::string file_id(std::string_view path) {
    std::string id;
    for (const char c : path) id += c == '/' ? std::string(1, c) : cos_encoded(std::string(1, c));
    return id;
}

/// A part of multipart/form-data: everything between its head and the next boundary.
std::optional<std::string_view> part(std::string_view form, const std::string& boundary,
                                     std::string_view name) {
    const std::string head = "--" + boundary + "\r\n";
    const std::string disposition = "name=\"" + std::string(name) + "\"";
    for (auto at = form.find(head); at != std::string_view::npos; at = form.find(head, at + 1)) {
        const auto body = form.find("\r\n\r\n", at);
        if (body == std::string_view::npos) return std::nullopt;
        if (form.substr(at, body - at).find(disposition) == std::string_view::npos) continue;
        const auto end = form.find("\r\n--" + boundary, body + 2);
        if (end == std::string_view::npos) return std::nullopt;
        return form.substr(body + 4, std::max(end, body + 4) - body - 4);
    }
    return std::nullopt;
}

}  // namespace

bool is_v4_host(std::string_view authority) {
    const std::string host = host_of(authority);
    return host.ends_with(api_suffix) || source_of(host).has_value();
}

CosError cos_v4_error(std::string_view number) {
    struct Known {
        std::string_view number, message;
        int status;
    };
    static constexpr Known known[] = {
        {"-47", "ERROR_PROXY_AUTH_SECRETID_NOEXIST", 403},
        {"-48", "ERROR_PROXY_AUTH_FAILED", 403},
        {"-59", "ERROR_PROXY_AUTH_EXPIRED", 403},
        {"-61", "ERROR_PROXY_SIGN_BUCKET_NOTMATCH", 403},
        {"-63", "ERROR_PROXY_SIGN_FILEID_NOTMATCH", 403},
        {"-70", "ERROR_PROXY_APPID_USERID_NOTMATCH", 403},
        {"-71", "ERROR_PROXY_FREQUENCY", 503},
        {"-77", "ERROR_PROXY_AUTH_REPLAY", 403},
        {"-79", "ERROR_PROXY_AUTH_SECRETID_NOEXIST", 403},
        {"-80", "ERROR_PROXY_INVALID_APPID", 403},
        {"-81", "ERROR_PROXY_AUTH_SIGN_EMPTY", 403},
        {"-96", "ERROR_PROXY_AUTH_EXPIRED", 403},
        {"-97", "ERROR_PROXY_AUTH_FAILED", 403},
        {"-133", "ERROR_CMD_BUCKET_NOTEXIST", 404},
        {"-174", "ERROR_CMD_SHA_NOTMATCH", 400},
        {"-177", "ERROR_CMD_COS_FILE_EXIST", 409},
        {"-181", "ERROR_CMD_COS_ERROR", 500},
        {"-197", "ERROR_CMD_FILE_NOTEXIST", 404},
        {"-5999", "ERROR_PARAM", 400},
    };
    const auto* const found = std::ranges::find(known, number, &Known::number);
    if (found == std::end(known))
        return {.status = 500, .code = std::string(number), .message = "ERROR_UNKNOWN"};
    return {.status = found->status, .code = std::string(number), .message = std::string(found->message)};
}

std::string cos_v4_authorization(std::string_view text, std::string_view secret_key) {
    return codec::base64(codec::hmac_sha1(secret_key, text) + std::string(text));
}

CosRuling Cos::judge_v4(const CosRequest& request, system_clock::time_point now) const {
    CosRuling ruling;
    ruling.v4 = true;
    const auto refuse = [&](std::string_view number) {
        if (!ruling.error) ruling.error = cos_v4_error(number);
    };
    const std::string_view authority = request.header("host").value_or("");
    const std::string host = host_of(authority);
    const std::string_view target = request.target;
    const auto mark = std::min(target.find('?'), target.size());
    const std::string path = percent_decoded(target.substr(0, mark));
    for (const auto& [name, value] : fields(target.substr(std::min(mark + 1, target.size()))))
        ruling.query.emplace(name, percent_decoded(value));
    ruling.resource = std::string(authority) + path;
    const auto port = std::min(authority.rfind(':'), authority.size());

    std::string name;  // of the bucket, as the path has it
    const auto source = source_of(host);
    if (source) {
        ruling.seen.call = CosCall::get_object;
        ruling.seen.bucket = source->first;
        ruling.region = source->second;
        ruling.appid = source->first.substr(source->first.rfind('-') + 1);
        name = source->first.substr(0, source->first.rfind('-'));
        ruling.seen.key = path.substr(1);
        if (v4_no_source) refuse("-5999");
    } else {
        ruling.region = host.substr(0, host.size() - api_suffix.size());
        const bool v1 = ruling.region == "web";
        const std::string root = v1 ? "/files/v1/" : "/files/v2/";
        if (!path.starts_with(root)) refuse("-5999");
        std::string_view rest = std::string_view(path).substr(std::min(root.size(), path.size()));
        ruling.appid = rest.substr(0, rest.find('/'));
        rest.remove_prefix(std::min(ruling.appid.size() + 1, rest.size()));
        name = rest.substr(0, rest.find('/'));
        rest.remove_prefix(std::min(name.size() + 1, rest.size()));
        ruling.seen.bucket = name + "-" + ruling.appid;
        ruling.seen.key = rest;
        const std::string type(request.header("content-type").value_or(""));
        const auto op = ruling.query.find("op");
        if (request.method == "POST" && type.starts_with("multipart/form-data; boundary="))
            ruling.seen.call = CosCall::put_object;
        else if (request.method == "POST" && type == "application/json")
            ruling.seen.call = CosCall::delete_object;
        else if (request.method == "GET" && op != ruling.query.end() && op->second == "stat")
            ruling.seen.call = CosCall::head_object;
        else if (request.method == "GET" && op != ruling.query.end() && op->second == "list")
            ruling.seen.call = CosCall::get_bucket;
        else
            refuse("-5999");
    }
    const auto bucket = buckets.find(ruling.seen.bucket);
    std::string authorization(request.header("authorization").value_or(""));
    if (const auto sign = ruling.query.find("sign"); source && sign != ruling.query.end())
        authorization = sign->second;
    const bool open = source && bucket != buckets.end() && bucket->second.public_read;
    if (!ruling.error && !open)
        authenticate_v4(authorization, name, ruling.seen.call == CosCall::delete_object, now, ruling);
    const bool there =
        bucket != buckets.end() &&
        (ruling.region == "web" ? bucket->second.v1 : bucket->second.v4_region == ruling.region);
    if (!there) refuse("-133");
    ruling.region_host = ruling.seen.bucket + ".cos" + ruling.region + std::string(suffix) +
                         std::string(authority.substr(port));
    if (const auto found = faults.calls.find(ruling.seen.call); found != faults.calls.end()) {
        ruling.fault = found->second;
        if (!ruling.fault.code.empty()) {
            ruling.error = cos_v4_error(ruling.fault.code);
            if (ruling.fault.status != 0) ruling.error->status = ruling.fault.status;
            if (!ruling.fault.message.empty()) ruling.error->message = ruling.fault.message;
        }
    }
    return ruling;
}

void Cos::authenticate_v4(std::string_view authorization, std::string_view name, bool needs_single_use,
                          system_clock::time_point now, CosRuling& ruling) const {
    const auto refuse = [&](std::string_view newer, std::string_view older = {}) {
        ruling.error = cos_v4_error(v4_older_numbers && !older.empty() ? older : newer);
    };
    if (authorization.empty()) return refuse("-81");
    constexpr std::size_t mac_size = 20;
    const std::string bytes = base64_decoded(authorization);
    if (bytes.size() <= mac_size) return refuse("-97", "-48");
    const std::string text = bytes.substr(mac_size);
    const auto claims = fields(text);
    const auto claim = [&](std::string_view field) {
        const auto found = claims.find(field);
        return found == claims.end() ? std::string() : found->second;
    };
    const auto account = accounts.find(ruling.appid);
    if (claim("a") != ruling.appid || account == accounts.end()) return refuse("-70");
    if (claim("b") != name) return refuse("-61");
    const auto key = account->second.keys.find(claim("k"));
    if (key == account->second.keys.end() || !key->second.enabled) return refuse("-79", "-47");
    const auto number = [&](std::string_view field) {
        std::int64_t value = -1;
        const std::string digits = claim(field);
        std::from_chars(digits.data(), digits.data() + digits.size(), value);
        return value;
    };
    const std::int64_t ends = number("e");
    const bool single_use = ends == 0;
    if (!single_use && system_clock::to_time_t(now) > ends) return refuse("-96", "-59");
    if (codec::hmac_sha1(key->second.secret_key, text) != bytes.substr(0, mac_size))
        return refuse("-97", "-48");
    if (single_use != needs_single_use) return refuse("-63");
    const std::string id = "/" + ruling.appid + "/" + std::string(name) + "/" + ruling.seen.key;
    if (single_use && claim("f") != file_id(id)) return refuse("-63");
    if (single_use && used_once_.contains(text)) return refuse("-77");
    if (single_use) ruling.string_to_sign = text;
    if (!key->second.may.contains(ruling.seen.call)) refuse("-5999");
}

void Cos::upload_v4(const CosRequest& request, CosRuling& ruling, std::string_view form,
                    system_clock::time_point now) {
    const std::string type(request.header("content-type").value_or(""));
    const std::string boundary = type.substr(type.find('=') + 1);
    const auto op = part(form, boundary, "op"), file = part(form, boundary, "filecontent"),
               sha = part(form, boundary, "sha"), only = part(form, boundary, "insertOnly");
    auto& objects = buckets.at(ruling.seen.bucket).objects;
    if (!op || *op != "upload" || !file)
        ruling.error = cos_v4_error("-5999");
    else if (sha && *sha != sha1_hex(*file))
        ruling.error = cos_v4_error("-174");
    else if (only.value_or("1") != "0" && objects.contains(ruling.seen.key))
        ruling.error = cos_v4_error("-177");
    else if (!ruling.fault.lose)
        objects[ruling.seen.key] = {.upload = cos_upload(std::string(*file)), .modified = now};
}

CosAnswer Cos::carry_out_v4(const CosRequest& request, CosRuling ruling, CosUpload body,
                            system_clock::time_point now) {
    CosAnswer answer;
    json::object data;
    const std::string content = body.content ? body.content->read(0, body.content->size()) : std::string();
    if (!ruling.error) {
        auto& objects = buckets.at(ruling.seen.bucket).objects;
        const auto found = objects.find(ruling.seen.key);
        const std::string url = "http://" + ruling.region_host + "/" + ruling.seen.key;
        if (!ruling.string_to_sign.empty()) used_once_.insert(ruling.string_to_sign);
        if (ruling.seen.call == CosCall::put_object) {
            upload_v4(request, ruling, content, now);
            data = {{"access_url",
                     "http://" + ruling.seen.bucket + std::string(api_suffix) + "/" + ruling.seen.key},
                    {"resource_path", "/" + ruling.appid + "/" + ruling.seen.key},
                    {"source_url", url},
                    {"url", url},
                    {"vid", "practice"}};
        } else if (ruling.seen.call == CosCall::get_bucket) {
            data = {{"context", ""}, {"listover", true}, {"infos", json::array()}};
        } else if (found == objects.end()) {
            ruling.error = cos_v4_error("-197");
        } else if (ruling.seen.call == CosCall::delete_object) {
            boost::system::error_code wrong;
            const auto asked = json::parse(content, wrong);
            const auto* const op = asked.is_object() ? asked.get_object().if_contains("op") : nullptr;
            if (op != nullptr && *op == "delete")
                objects.erase(found);
            else
                ruling.error = cos_v4_error("-5999");
        } else {
            const auto& kept = found->second.upload.content;
            std::string sha = sha1_hex(kept->read(0, kept->size()));
            if (ruling.fault.wrong_etag) sha.front() = sha.front() == '0' ? '1' : '0';
            data = {{"access_url", url},       {"source_url", url},        {"sha", sha},
                    {"filelen", kept->size()}, {"filesize", kept->size()}, {"authority", "eInvalid"}};
            if (ruling.seen.call == CosCall::get_object) {
                answer.content = kept;
                answer.length = kept->size();
            }
        }
    }
    if (!answer.content) {
        json::object said{{"code", 0}, {"message", "SUCCESS"}};
        if (ruling.error) {
            int number = 0;
            const std::string& code = ruling.error->code;
            std::from_chars(code.data(), code.data() + code.size(), number);
            said = {{"code", number}, {"message", ruling.error->message}};
            answer.status = ruling.error->status;
        } else if (!data.empty()) {
            said["data"] = data;
        }
        said["request_id"] = codec::base64("practice_v4_" + std::to_string(++answered_));
        answer.body = json::serialize(said);
        answer.length = answer.body.size();
        answer.headers.emplace_back("Content-Type", "application/json");
    }
    std::array<char, 40> date{};
    const std::time_t seconds = system_clock::to_time_t(now);
    std::tm parts{};
    ::gmtime_r(&seconds, &parts);
    answer.headers.emplace_back(
        "Date", std::string(date.data(),
                            std::strftime(date.data(), date.size(), "%a, %d %b %Y %H:%M:%S GMT", &parts)));
    ruling.seen.status = answer.status;
    if (ruling.error) ruling.seen.code = ruling.error->code;
    remember(std::move(ruling.seen));
    return answer;
}

}  // namespace livecanary::practice
