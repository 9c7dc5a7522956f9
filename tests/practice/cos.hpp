#pragma once
// What the practice object store knows and how it judges a request of COS's XML API (v5): plain data and
// rules, without I/O. Sources: Tencent Cloud COS documents Request Signature (436/7778), Error Codes
// (436/7730), 403 Error for COS Access (436/40105), read 2026-11-26.
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace livecanary::practice {

/// What a request asks for, as the API names it.
enum class CosCall {
    put_object,
    head_object,
    get_object,
    delete_object,
    head_bucket,
    get_bucket,   ///< list objects
    get_service,  ///< list buckets
    other,        ///< known to COS, or not, but not served here: 501 NotImplemented
};
std::string_view to_string(CosCall call) noexcept;
inline const std::set<CosCall> every_cos_call{
    CosCall::put_object,  CosCall::head_object, CosCall::get_object,  CosCall::delete_object,
    CosCall::head_bucket, CosCall::get_bucket,  CosCall::get_service, CosCall::other};

/// The bytes of an object, wherever they are kept.
class CosContent {
public:
    virtual ~CosContent() = default;
    virtual std::uint64_t size() const = 0;
    /// At most `size` bytes from `offset` on; fewer at the end.
    virtual std::string read(std::uint64_t offset, std::size_t size) const = 0;
};
/// One that is kept in memory.
std::shared_ptr<const CosContent> cos_content(std::string bytes);

/// CRC-64/XZ of bytes that follow those of `crc`, 0 at the start: what x-cos-hash-crc64ecma holds, in
/// decimal.
std::uint64_t cos_crc64(std::uint64_t crc, std::string_view bytes) noexcept;

/// Bytes as they came in with a PUT, and their digests.
struct CosUpload {
    std::shared_ptr<const CosContent> content{};
    std::string md5{};  ///< 16 bytes
    std::uint64_t crc64 = 0;
};
/// The same of bytes in memory.
CosUpload cos_upload(std::string bytes);

struct CosObject {
    CosUpload upload{};
    std::map<std::string, std::string> headers{};  ///< Content-Type, x-cos-meta-* and others given back
    std::chrono::system_clock::time_point modified{};
};

struct CosBucket {
    std::string region{};             ///< ap-guangzhou
    bool public_read = false;         ///< anybody may GET and HEAD its objects
    bool accelerate = false;          ///< served at NAME-APPID.cos.accelerate.myqcloud.com too
    std::string v4_region{};          ///< "sh": served over the JSON API too, at sh.file.myqcloud.com
    bool v1 = false;                  ///< served by the generation before that, at web.file.myqcloud.com
    std::set<std::string> domains{};  ///< custom domains bound to it, in lower case
    std::map<std::string, CosObject> objects{};  ///< by key
};

struct CosKey {
    std::string secret_key{};
    bool enabled = true;
    std::set<CosCall> may = every_cos_call;  ///< what its policy grants
};
struct CosTemporaryKey {
    std::string secret_key{};
    std::string token{};  ///< must come in x-cos-security-token, signed or not
    std::chrono::system_clock::time_point expires{};
    std::set<CosCall> may = every_cos_call;
};
/// Owns the buckets whose names end in its APPID. Keys are by SecretId.
struct CosAccount {
    std::map<std::string, CosKey> keys{};
    std::map<std::string, CosTemporaryKey> temporary_keys{};
};

/// An answer that refuses.
struct CosError {
    int status = 0;
    std::string code{};
    std::string message{};
};
/// The error of this code as COS's list has it (436/7730); status 500 for a code that is not listed there.
CosError cos_error(std::string_view code);

/// Where a connection is cut.
enum class CosDrop {
    never,
    after_header,  ///< of the request: nothing is done
    after_body,    ///< what was asked is done, and no answer comes
    amid_answer,   ///< the same, within the header of the answer
};

/// How one call misbehaves.
struct CosFault {
    /// Refuses with this error whoever asks: "AccessDenied", "SlowDown", "PaymentRequired",
    /// "UserCnameInvalid", … Empty: by the rules. AccessDenied with the message "Request has expired" is how
    /// COS says that q-sign-time is over.
    std::string code{};
    int status = 0;                      ///< with `code`: the HTTP status; 0: that of the list
    std::string message{};               ///< with `code`; empty: that of the list
    std::chrono::milliseconds delay{0};  ///< after the request is read, before anything is done
    bool hang = false;                   ///< does what was asked and never answers
    CosDrop drop = CosDrop::never;
    /// One bit of a body is flipped: of a PUT as it comes in (BadDigest if the client sent Content-MD5, else
    /// it is stored that way), of a GET as it goes out.
    bool corrupt = false;
    /// GET: closes after so many bytes of the body, Content-Length being that of all.
    std::optional<std::uint64_t> truncate{};
    bool lose = false;         ///< PUT: 200, and nothing is kept
    bool wrong_etag = false;   ///< of a PUT, HEAD or GET
    bool wrong_crc64 = false;  ///< of a PUT, HEAD or GET
};

/// How the practice store misbehaves. The default is: not at all.
struct CosFaults {
    std::map<CosCall, CosFault> calls{};
    std::chrono::seconds clock_offset{0};  ///< of the store's clock, which is in Date too
};

/// One call as it was seen and answered. Holds no secret.
struct CosSeenCall {
    CosCall call = CosCall::other;
    std::string bucket{};
    std::string key{};
    std::string signed_headers{};  ///< q-header-list, empty if it was not signed
    int status = 0;                ///< as it would have been answered; 0: cut after the header
    std::string code{};            ///< of the error; empty: none
};

/// Everything seen since the start or the last `forget()`; of a long life, the later part.
struct CosSeen {
    std::vector<CosSeenCall> calls{};
    std::size_t count(CosCall call) const;
    /// The same, refused with this error; not refused if it is empty.
    std::size_t count(CosCall call, std::string_view code) const;
};

using CosHeaders = std::vector<std::pair<std::string, std::string>>;

/// The head of an HTTP request.
struct CosRequest {
    std::string method{};  ///< in capitals
    std::string target{};  ///< path and query as they came, percent-encoded
    CosHeaders headers{};  ///< names in any case, values as they came
    /// The first value of this header; nothing if it is absent.
    std::optional<std::string_view> header(std::string_view lower_case_name) const;
};

/// What a request asks for, where, and whether it may.
struct CosRuling {
    CosSeenCall seen{};
    std::map<std::string, std::string> query{};  ///< decoded
    std::string region{};                        ///< of the Host; empty: it named none
    std::string appid{};                         ///< of who asks; empty: nobody signed
    std::string resource{};                      ///< host and path, for people
    std::optional<CosError> error{};
    bool v4 = false;                              ///< over the JSON API: `error` has its number for a code
    std::string region_host{};                    ///< of it: where the source_url is
    std::string string_to_sign{}, http_string{};  ///< ours, when the signatures differ
    CosFault fault{};
};

struct CosAnswer {
    int status = 200;
    CosHeaders headers{};
    std::string body{};
    std::shared_ptr<const CosContent> content{};  ///< instead of `body`: its `length` bytes from `offset` on
    std::uint64_t offset = 0;
    std::uint64_t length = 0;  ///< for Content-Length, also when there is only `body`, also of a HEAD
    bool has_body = true;      ///< false: of a HEAD, and of a 204, which has no Content-Length either
};

/// The store's rules and memory. Not safe for use by several threads at once.
struct Cos {
    static constexpr std::uint64_t largest_object = std::uint64_t{2} << 30U;

    std::map<std::string, CosAccount> accounts{};  ///< by APPID
    std::map<std::string, CosBucket> buckets{};    ///< by NAME-APPID
    /// How far q-sign-time may begin in the future before it is RequestTimeTooSkewed. COS's own limit is not
    /// published.
    std::chrono::seconds skew_allowed{900};
    /// The JSON API says -47, -48 and -59 instead of -79, -97 and -96.
    bool v4_older_numbers = false;
    /// At a source_url of the JSON API nobody is served: 403.
    bool v4_no_source = false;
    CosFaults faults{};
    CosSeen seen{};

    /// Judges a request by its head. COS's own order of checks is published for 403 only (436/40105:
    /// unsigned, SecretId, time, signature, rights); we look at the Host and its bucket before those, at the
    /// object after.
    CosRuling judge(const CosRequest& request, std::chrono::system_clock::time_point now) const;
    /// Does what was asked and ruled, and remembers it. `upload` is the body of a PUT.
    CosAnswer carry_out(const CosRequest& request, CosRuling ruling, CosUpload upload,
                        std::chrono::system_clock::time_point now);
    void remember(CosSeenCall call);

private:
    void authenticate(const CosRequest& request, const CosHeaders& query, std::string_view path,
                      std::chrono::system_clock::time_point now, CosRuling& ruling) const;
    // cos_v4.cpp
    CosRuling judge_v4(const CosRequest& request, std::chrono::system_clock::time_point now) const;
    void authenticate_v4(std::string_view authorization, std::string_view name, bool needs_single_use,
                         std::chrono::system_clock::time_point now, CosRuling& ruling) const;
    CosAnswer carry_out_v4(const CosRequest& request, CosRuling ruling, CosUpload body,
                           std::chrono::system_clock::time_point now);
    void upload_v4(const CosRequest& request, CosRuling& ruling, std::string_view form,
                   std::chrono::system_clock::time_point now);
    const std::set<CosCall>* granted(const std::string& secret_id, std::string_view token,
                                     std::chrono::system_clock::time_point now, CosRuling& ruling,
                                     std::string& secret_key) const;
    CosAnswer refusal(const CosError& error, const CosRuling& ruling) const;
    CosAnswer put(const CosRequest& request, CosRuling& ruling, CosUpload upload,
                  std::chrono::system_clock::time_point now);
    CosAnswer get(const CosRequest& request, CosRuling& ruling) const;
    CosAnswer list(CosRuling& ruling) const;
    CosAnswer service(const CosRuling& ruling) const;

    std::uint32_t answered_ = 0;         ///< counts in x-cos-request-id
    std::set<std::string> used_once_{};  ///< single-use signatures of the JSON API
};

/// Whether a host is one of the JSON API: REGION.file.myqcloud.com, or NAME-APPID.cosREGION.myqcloud.com of
/// its source_url.
bool is_v4_host(std::string_view authority);
/// What the JSON API says with that number (436/8432, 436/6059).
CosError cos_v4_error(std::string_view number);
/// Value of Authorization of the JSON API. A second time on purpose, like CosSignature.
std::string cos_v4_authorization(std::string_view text, std::string_view secret_key);

/// `%XX` in capitals for all but A-Z a-z 0-9 - _ . ~ (436/7778).
std::string cos_encoded(std::string_view text);

/// What a request signs, and the signature of it (436/7778, steps 2 to 7). Written here a second time on
/// purpose, so that the probe's own calculation is not checked against itself.
struct CosSignature {
    std::string method{};                          ///< in lower case
    std::string path{};                            ///< decoded
    std::map<std::string, std::string> query{};    ///< names encoded and in lower case, values encoded
    std::map<std::string, std::string> headers{};  ///< the same
    std::string key_time{};                        ///< START;END in Unix seconds
    std::string sign_time{};                       ///< the same; all clients known to us send it twice alike

    std::string http_string() const;
    std::string string_to_sign() const;
    /// Lower-case hex.
    std::string signature(std::string_view secret_key) const;
};

}  // namespace livecanary::practice
