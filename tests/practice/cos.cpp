#include "tests/practice/cos.hpp"

#include <algorithm>
#include <array>

#include <openssl/evp.h>

#include "tests/practice/cos_codec.hpp"

namespace livecanary::practice {

using namespace codec;
using std::chrono::system_clock;

namespace {

/// What a request is for, by its Host and path.
struct Place {
    std::string bucket{};
    std::string region{};  ///< empty: any
    std::string key{};
    bool service = false;
    bool accelerate = false;
    std::string error{};
};

/// NAME-APPID: lower-case letters, digits and hyphens (436/13312), the APPID decimal. That a name with its
/// APPID twice is refused is how a client that appends it to a full name finds out.
bool valid_bucket(std::string_view name) {
    const auto dash = name.rfind('-');
    if (dash == std::string_view::npos || dash == 0 || name[0] == '-') return false;
    const std::string_view appid = name.substr(dash + 1);
    const auto digit = [](char c) { return c >= '0' && c <= '9'; };
    if (appid.empty() || !std::ranges::all_of(appid, digit)) return false;
    const std::string_view own = name.substr(0, dash);
    if (own.ends_with("-" + std::string(appid))) return false;
    return std::ranges::all_of(own, [&](char c) { return digit(c) || (c >= 'a' && c <= 'z') || c == '-'; });
}

/// `/BUCKET/KEY`
Place path_style(std::string_view path, std::string region) {
    path.remove_prefix(1);
    if (path.empty()) return {.region = std::move(region), .service = true};
    const std::string_view bucket = path.substr(0, path.find('/'));
    return {.bucket = std::string(bucket),
            .region = std::move(region),
            .key = std::string(path.substr(std::min(path.size(), bucket.size() + 1)))};
}

Place located(const std::map<std::string, CosBucket>& buckets, std::string_view authority,
              std::string_view path) {
    std::string host = lower_case(authority.substr(0, authority.rfind(':')));
    if (host == "localhost" || host.find_first_not_of("0123456789.") == std::string::npos)
        return path_style(path, "");
    const std::string key(path.substr(1));
    for (const std::string_view suffix : {".myqcloud.com", ".tencentcos.cn"}) {
        if (!host.ends_with(suffix)) continue;
        host.resize(host.size() - suffix.size());
        if (host == "service.cos") return {.service = true};
        const auto labels = split(host, '.');
        if (labels.size() == 2 && labels[0] == "cos") return path_style(path, std::string(labels[1]));
        // The first regions have no label `cos` (cos-cpp-sdk-v5, CosSysConfig::GetHost).
        static const std::set<std::string_view> old{"cn-east",      "cn-north",   "cn-south",
                                                    "cn-southwest", "cn-south-2", "sg"};
        if (labels.size() == 2 && old.contains(labels[1]))
            return {.bucket = std::string(labels[0]), .region = std::string(labels[1]), .key = key};
        if (labels.size() != 3 || labels[1] != "cos") return {.error = "InvalidURI"};
        Place place{.bucket = std::string(labels[0]), .region = std::string(labels[2]), .key = key};
        place.accelerate = place.region == "accelerate";
        return place;
    }
    for (const auto& [name, bucket] : buckets)
        if (bucket.domains.contains(host)) return {.bucket = name, .region = bucket.region, .key = key};
    return {.error = "UserCnameInvalid"};
}

CosCall call_of(const CosRequest& request, const Place& place,
                const std::map<std::string, std::string>& query) {
    CosCall call = CosCall::other;
    std::set<std::string_view> known;
    const std::string& method = request.method;
    if (place.service) {
        if (method == "GET") call = CosCall::get_service;
    } else if (place.key.empty()) {
        if (method == "HEAD") call = CosCall::head_bucket;
        if (method == "GET") call = CosCall::get_bucket;
        known = {"prefix", "marker", "delimiter", "max-keys", "encoding-type"};
    } else {
        if (method == "PUT" && !request.header("x-cos-copy-source")) call = CosCall::put_object;
        if (method == "HEAD") call = CosCall::head_object;
        if (method == "GET") call = CosCall::get_object;
        if (method == "DELETE") call = CosCall::delete_object;
    }
    for (const auto& [name, value] : query)
        if (!known.contains(name) && !name.starts_with("q-") && name != "x-cos-security-token")
            return CosCall::other;
    return call;
}

/// The seven parts of a v5 authorization.
using Claims = std::map<std::string, std::string, std::less<>>;
constexpr std::array<std::string_view, 7> claim_names{"q-sign-algorithm", "q-ak",          "q-sign-time",
                                                      "q-key-time",       "q-header-list", "q-url-param-list",
                                                      "q-signature"};

bool complete(const Claims& claims) {
    return claims.size() == claim_names.size() &&
           std::ranges::all_of(claim_names, [&](std::string_view name) { return claims.contains(name); });
}

/// Nothing if neither the header nor the query holds one.
std::optional<Claims> claims_of(const CosRequest& request, const CosHeaders& query) {
    Claims claims;
    if (const auto header = request.header("authorization")) {
        for (const std::string_view part : split(*header, '&')) {
            const auto equals = std::min(part.find('='), part.size());
            claims.emplace(part.substr(0, equals), part.substr(std::min(equals + 1, part.size())));
        }
        return claims;
    }
    for (const auto& [name, value] : query)
        if (name.starts_with("q-")) claims.emplace(name, value);
    if (claims.empty()) return std::nullopt;
    return claims;
}

struct Window {
    std::int64_t begin = 0, end = 0;  ///< Unix seconds
};
std::optional<Window> window(std::string_view text) {
    const auto semicolon = text.find(';');
    if (semicolon == std::string_view::npos) return std::nullopt;
    const auto begin = number<std::int64_t>(text.substr(0, semicolon));
    const auto end = number<std::int64_t>(text.substr(semicolon + 1));
    if (!begin || !end) return std::nullopt;
    return Window{.begin = *begin, .end = *end};
}

/// The listed ones among `all`, encoded; nothing if one of the list is not there.
std::optional<std::map<std::string, std::string>> listed(std::string_view list, const CosHeaders& all) {
    std::map<std::string, std::string> found;
    for (const std::string_view name : split(list, ';')) {
        const auto same = [&](const auto& one) { return lower_case(cos_encoded(one.first)) == name; };
        const auto one = std::ranges::find_if(all, same);
        if (one == all.end()) return std::nullopt;
        found.emplace(name, cos_encoded(one->second));
    }
    return found;
}

std::string joined(const std::map<std::string, std::string>& fields) {
    std::string text;
    for (const auto& [name, value] : fields) text += (text.empty() ? "" : "&") + name + "=" + value;
    return text;
}

class Memory : public CosContent {
public:
    explicit Memory(std::string bytes) : bytes_(std::move(bytes)) {}
    std::uint64_t size() const override { return bytes_.size(); }
    std::string read(std::uint64_t offset, std::size_t size) const override {
        return offset < bytes_.size() ? bytes_.substr(offset, size) : std::string();
    }

private:
    std::string bytes_;
};

}  // namespace

std::string_view to_string(CosCall call) noexcept {
    switch (call) {
        case CosCall::put_object:
            return "put_object";
        case CosCall::head_object:
            return "head_object";
        case CosCall::get_object:
            return "get_object";
        case CosCall::delete_object:
            return "delete_object";
        case CosCall::head_bucket:
            return "head_bucket";
        case CosCall::get_bucket:
            return "get_bucket";
        case CosCall::get_service:
            return "get_service";
        case CosCall::other:
            return "other";
    }
    return "";
}

std::shared_ptr<const CosContent> cos_content(std::string bytes) {
    return std::make_shared<const Memory>(std::move(bytes));
}

std::uint64_t cos_crc64(std::uint64_t crc, std::string_view bytes) noexcept {
    static constexpr auto table = [] {
        constexpr std::uint64_t reflected_polynomial = 0xC96C5795D7870F42;
        std::array<std::uint64_t, 256> values{};
        for (std::uint64_t i = 0; i < values.size(); ++i) {
            std::uint64_t value = i;
            for (int bit = 0; bit < 8; ++bit)
                value = (value >> 1U) ^ ((value & 1U) != 0 ? reflected_polynomial : 0);
            values[i] = value;
        }
        return values;
    }();
    crc = ~crc;
    for (const char c : bytes) crc = table[(crc ^ static_cast<unsigned char>(c)) & 255U] ^ (crc >> 8U);
    return ~crc;
}

CosUpload cos_upload(std::string bytes) {
    CosUpload upload{.content = {}, .md5 = digest(EVP_md5(), bytes), .crc64 = cos_crc64(0, bytes)};
    upload.content = cos_content(std::move(bytes));
    return upload;
}

CosError cos_error(std::string_view code) {
    struct Known {
        int status;
        std::string_view code, message;
    };
    // Statuses and codes are COS's (436/7730). Of the messages only those of the codes AccessDenied, NoSuch*,
    // SignatureDoesNotMatch and "Request has expired" were seen in answers of COS; the others are our words.
    static constexpr Known known[] = {
        {400, "ActionAccelerateNotSupported", "The action is not supported on the accelerate domain."},
        {400, "BadDigest", "The Content-MD5 you specified did not match what we received."},
        {400, "BucketAccelerateNotEnabled", "Bucket acceleration is not enabled."},
        {400, "BucketNameTooLong", "The bucket name is too long."},
        {400, "EntitySizeNotMatch", "The size of the body differs from what was announced."},
        {400, "EntityTooLarge", "Your proposed upload exceeds the maximum allowed object size."},
        {400, "ExpiredToken", "The provided token has expired."},
        {400, "IncompleteBody", "You did not provide the number of bytes specified by Content-Length."},
        {400, "InvalidArgument", "Invalid argument."},
        {400, "InvalidBucketName", "The specified bucket is not valid."},
        {400, "InvalidDigest", "The Content-MD5 you specified is not valid."},
        {400, "InvalidURI", "Could not parse the specified URI."},
        {400, "KeyTooLong", "Your key is too long."},
        {400, "RequestTimeout", "Your socket connection was not read from or written to in time."},
        {400, "UserCnameInvalid", "The domain is not bound to a bucket."},
        {400, "UserNetworkTooSlow", "The network of the user is too slow."},
        {402, "PaymentRequired", "The account is overdue."},
        {403, "AccessDenied", "Access Denied."},
        {403, "InvalidAccessKeyId", "The Access Key Id you provided does not exist in our records"},
        {403, "InvalidObjectState", "The operation is not valid for the state of the object."},
        {403, "RequestTimeTooSkewed",
         "The difference between the request time and the server's is too large."},
        {403, "SignatureDoesNotMatch", "The Signature you specified is invalid."},
        {404, "NoSuchBucket", "The specified bucket does not exist."},
        {404, "NoSuchKey", "The specified key does not exist."},
        {405, "MethodNotAllowed", "The specified method is not allowed against this resource."},
        {409, "PathConflict", "The path conflicts with another."},
        {411, "MissingContentLength", "You must provide the Content-Length HTTP header."},
        {416, "InvalidRange", "The requested range cannot be satisfied."},
        {451, "DomainAuditFailed", "The audit of the domain failed."},
        {451, "UnavailableForLegalReasons", "The resource is unavailable for legal reasons."},
        {500, "InternalError", "We encountered an internal error. Please try again."},
        {501, "NotImplemented", "The operation is not implemented."},
        {503, "ServiceUnavailable", "Service unavailable. Please try again."},
        {503, "SlowDown", "Please reduce your request rate."},
    };
    const auto* const found = std::ranges::find(known, code, &Known::code);
    if (found == std::end(known)) return {.status = 500, .code = std::string(code), .message = "Refused."};
    return {.status = found->status, .code = std::string(code), .message = std::string(found->message)};
}

std::size_t CosSeen::count(CosCall call) const {
    return static_cast<std::size_t>(std::ranges::count(calls, call, &CosSeenCall::call));
}

std::size_t CosSeen::count(CosCall call, std::string_view code) const {
    return static_cast<std::size_t>(std::ranges::count_if(
        calls, [&](const CosSeenCall& one) { return one.call == call && one.code == code; }));
}

std::optional<std::string_view> CosRequest::header(std::string_view lower_case_name) const {
    for (const auto& [name, value] : headers)
        if (lower_case(name) == lower_case_name) return value;
    return std::nullopt;
}

std::string cos_encoded(std::string_view text) {
    std::string encoded;
    for (const char c : text) {
        const auto between = [c](char first, char last) { return c >= first && c <= last; };
        if (between('A', 'Z') || between('a', 'z') || between('0', '9') || c == '-' || c == '_' || c == '.' ||
            c == '~') {
            encoded += c;
            continue;
        }
        constexpr std::string_view digits = "0123456789ABCDEF";
        encoded += '%';
        encoded += digits[static_cast<unsigned char>(c) >> 4U];
        encoded += digits[static_cast<unsigned char>(c) & 15U];
    }
    return encoded;
}

std::string CosSignature::http_string() const {
    return method + "\n" + path + "\n" + joined(query) + "\n" + joined(headers) + "\n";
}

std::string CosSignature::string_to_sign() const {
    return "sha1\n" + sign_time + "\n" + hex(digest(EVP_sha1(), http_string())) + "\n";
}

std::string CosSignature::signature(std::string_view secret_key) const {
    return hex(hmac_sha1(hex(hmac_sha1(secret_key, key_time)), string_to_sign()));
}

CosRuling Cos::judge(const CosRequest& request, system_clock::time_point now) const {
    now += faults.clock_offset;
    if (is_v4_host(request.header("host").value_or(""))) return judge_v4(request, now);
    CosRuling ruling;
    const auto refuse = [&ruling](std::string_view code) {
        if (!ruling.error) ruling.error = cos_error(code);
    };
    const std::string_view target = request.target;
    const auto mark = std::min(target.find('?'), target.size());
    const auto path = percent_decoded(target.substr(0, mark));
    CosHeaders query;
    for (const std::string_view field : split(target.substr(std::min(mark + 1, target.size())), '&')) {
        const auto equals = std::min(field.find('='), field.size());
        auto name = percent_decoded(field.substr(0, equals));
        auto value = percent_decoded(field.substr(std::min(equals + 1, field.size())));
        if (!name || !value) refuse("InvalidURI");
        if (!name || !value || name->empty()) continue;
        ruling.query.emplace(*name, *value);
        query.emplace_back(*std::move(name), *std::move(value));
    }
    const std::string_view host = request.header("host").value_or("");
    Place place;
    if (!path || !path->starts_with('/')) {
        refuse("InvalidURI");
    } else {
        place = located(buckets, host, *path);
        ruling.resource = std::string(host) + *path;
        if (!place.error.empty()) refuse(place.error);
    }
    ruling.seen.call = call_of(request, place, ruling.query);
    ruling.seen.bucket = place.bucket;
    ruling.seen.key = place.key;
    ruling.region = place.region;

    const auto bucket = buckets.find(place.bucket);
    if (!ruling.error && !place.service) {
        constexpr std::size_t longest_key = 850;  // Object Overview (436/13324)
        if (place.key.size() > longest_key) refuse("KeyTooLong");
        if (!valid_bucket(place.bucket)) refuse("InvalidBucketName");
        if (bucket == buckets.end()) refuse("NoSuchBucket");
        if (!ruling.error && place.accelerate && !bucket->second.accelerate)
            refuse("BucketAccelerateNotEnabled");
        if (!ruling.error && !place.accelerate && !place.region.empty() &&
            place.region != bucket->second.region)
            refuse("NoSuchBucket");
    }
    if (!ruling.error) authenticate(request, query, *path, now, ruling);
    if (!ruling.error && ruling.appid.empty()) {
        const CosCall call = ruling.seen.call;
        const bool reads = call == CosCall::get_object || call == CosCall::head_object;
        if (!reads || !bucket->second.public_read) refuse("AccessDenied");
    }
    // Somebody else's bucket.
    if (!ruling.appid.empty() && !place.service && !place.bucket.ends_with("-" + ruling.appid))
        refuse("AccessDenied");

    if (!ruling.error && ruling.seen.call == CosCall::other) refuse("NotImplemented");
    if (ruling.seen.call == CosCall::put_object) {
        const auto length = number<std::uint64_t>(request.header("content-length").value_or(""));
        if (!length || request.header("transfer-encoding")) refuse("MissingContentLength");
        if (length.value_or(0) > largest_object) refuse("EntityTooLarge");
        // Of 16 bytes: 22 digits and the padding.
        const std::string_view md5 = request.header("content-md5").value_or("AAAAAAAAAAAAAAAAAAAAAA==");
        if (md5.size() != 24 || md5.find('=') != 22 || md5[23] != '=') refuse("InvalidDigest");
    }
    if (const auto found = faults.calls.find(ruling.seen.call); found != faults.calls.end()) {
        ruling.fault = found->second;
        if (!ruling.fault.code.empty()) {
            ruling.error = cos_error(ruling.fault.code);
            if (ruling.fault.status != 0) ruling.error->status = ruling.fault.status;
            if (!ruling.fault.message.empty()) ruling.error->message = ruling.fault.message;
        }
    }
    return ruling;
}

const std::set<CosCall>* Cos::granted(const std::string& secret_id, std::string_view token,
                                      system_clock::time_point now, CosRuling& ruling,
                                      std::string& secret_key) const {
    for (const auto& [appid, account] : accounts) {
        if (const auto key = account.keys.find(secret_id); key != account.keys.end() && key->second.enabled) {
            ruling.appid = appid;
            secret_key = key->second.secret_key;
            return &key->second.may;
        }
        const auto key = account.temporary_keys.find(secret_id);
        // That a wrong or absent token makes the SecretId unknown is our guess: no source says.
        if (key == account.temporary_keys.end() || key->second.token != token) continue;
        if (now >= key->second.expires) {
            ruling.error = cos_error("ExpiredToken");
            return nullptr;
        }
        ruling.appid = appid;
        secret_key = key->second.secret_key;
        return &key->second.may;
    }
    ruling.error = cos_error("InvalidAccessKeyId");
    return nullptr;
}

void Cos::authenticate(const CosRequest& request, const CosHeaders& query, std::string_view path,
                       system_clock::time_point now, CosRuling& ruling) const {
    const auto claims = claims_of(request, query);
    if (!claims) return;
    const auto claim = [&](std::string_view name) -> const std::string& {
        return claims->find(name)->second;
    };
    const auto refuse = [&ruling](std::string_view code) { ruling.error = cos_error(code); };
    // What COS says to an authorization it cannot read is in no source.
    if (!complete(*claims) || claim("q-sign-algorithm") != "sha1") return refuse("InvalidArgument");
    ruling.seen.signed_headers = claim("q-header-list");

    std::string token(request.header("x-cos-security-token").value_or(""));
    if (const auto in_query = ruling.query.find("x-cos-security-token");
        token.empty() && in_query != ruling.query.end())
        token = in_query->second;
    std::string secret_key;
    const auto* const may = granted(claim("q-ak"), token, now, ruling, secret_key);
    if (may == nullptr) return;

    for (const char* name : {"q-key-time", "q-sign-time"}) {
        const auto valid = window(claim(name));
        if (!valid) return refuse("InvalidArgument");
        const std::int64_t seconds = system_clock::to_time_t(now);
        if (seconds > valid->end) {
            refuse("AccessDenied");
            ruling.error->message = "Request has expired";
            return;
        }
        if (valid->begin - seconds > skew_allowed.count()) return refuse("RequestTimeTooSkewed");
    }

    auto signed_query = listed(claim("q-url-param-list"), query);
    auto signed_headers = listed(claim("q-header-list"), request.headers);
    const CosSignature expected{.method = lower_case(request.method),
                                .path = std::string(path),
                                .query = signed_query.value_or(std::map<std::string, std::string>{}),
                                .headers = signed_headers.value_or(std::map<std::string, std::string>{}),
                                .key_time = claim("q-key-time"),
                                .sign_time = claim("q-sign-time")};
    if (!signed_query || !signed_headers || claim("q-signature") != expected.signature(secret_key)) {
        ruling.string_to_sign = expected.string_to_sign();
        ruling.http_string = expected.http_string();
        return refuse("SignatureDoesNotMatch");
    }
    if (!may->contains(ruling.seen.call)) refuse("AccessDenied");
}

}  // namespace livecanary::practice
