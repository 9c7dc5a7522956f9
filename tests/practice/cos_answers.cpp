// What the practice object store answers over the XML API to what Cos::judge() has ruled.
#include <algorithm>
#include <array>
#include <charconv>
#include <ctime>
#include <set>

#include <openssl/evp.h>

#include "tests/practice/cos.hpp"
#include "tests/practice/cos_codec.hpp"

namespace livecanary::practice {

using namespace codec;
using std::chrono::system_clock;

namespace {

std::tm utc(system_clock::time_point time) {
    const std::time_t seconds = system_clock::to_time_t(time);
    std::tm parts{};
    ::gmtime_r(&seconds, &parts);
    return parts;
}
/// As HTTP has it (RFC 9110 §5.6.7).
std::string http_date(system_clock::time_point time) {
    const std::tm parts = utc(time);
    std::array<char, 40> text{};
    return {text.data(), std::strftime(text.data(), text.size(), "%a, %d %b %Y %H:%M:%S GMT", &parts)};
}
/// As a list of objects has it.
std::string xml_date(system_clock::time_point time) {
    const std::tm parts = utc(time);
    std::array<char, 40> text{};
    return {text.data(), std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S.000Z", &parts)};
}

std::string escaped(std::string_view text) {
    std::string xml;
    for (const char c : text) {
        switch (c) {
            case '&':
                xml += "&amp;";
                break;
            case '<':
                xml += "&lt;";
                break;
            case '>':
                xml += "&gt;";
                break;
            case '"':
                xml += "&quot;";
                break;
            default:
                xml += c;
        }
    }
    return xml;
}

std::string element(std::string_view name, std::string_view text, std::string_view indent = "\t") {
    std::string xml(indent);
    if (text.empty()) return xml.append("<").append(name).append("/>\n");
    return xml.append("<")
        .append(name)
        .append(">")
        .append(escaped(text))
        .append("</")
        .append(name)
        .append(">\n");
}

constexpr const char* xml_head = "<?xml version='1.0' encoding='utf-8' ?>\n";

/// `bytes=A-B` of an object of `size` bytes. Nothing if there is none, or none that can be understood, which
/// counts as none (RFC 9110 §14.2); a length of 0 if it lies outside.
struct Slice {
    std::uint64_t offset = 0, length = 0;
};
std::optional<Slice> slice(std::string_view range, std::uint64_t size) {
    constexpr std::string_view unit = "bytes=";
    if (!range.starts_with(unit)) return std::nullopt;
    range.remove_prefix(unit.size());
    const auto dash = range.find('-');
    if (dash == std::string_view::npos) return std::nullopt;
    const auto first = number<std::uint64_t>(range.substr(0, dash));
    const auto last = number<std::uint64_t>(range.substr(dash + 1));
    if ((!first && dash != 0) || (!last && dash + 1 != range.size()) || (!first && !last))
        return std::nullopt;
    if (!first) return Slice{.offset = size - std::min(size, *last), .length = std::min(size, *last)};
    if (last && *last < *first) return std::nullopt;
    if (*first >= size) return Slice{};
    return Slice{.offset = *first, .length = std::min(last.value_or(size), size - 1) - *first + 1};
}

void describe(const CosObject& object, const CosFault& fault, CosHeaders& headers) {
    const std::string md5 = fault.wrong_etag ? digest(EVP_md5(), object.upload.md5) : object.upload.md5;
    headers.emplace_back("ETag", "\"" + hex(md5) + "\"");
    headers.emplace_back("x-cos-hash-crc64ecma",
                         std::to_string(object.upload.crc64 ^ (fault.wrong_crc64 ? 1U : 0U)));
}

}  // namespace

CosAnswer Cos::carry_out(const CosRequest& request, CosRuling ruling, CosUpload upload,
                         system_clock::time_point now) {
    now += faults.clock_offset;
    if (ruling.v4) return carry_out_v4(request, std::move(ruling), std::move(upload), now);
    CosAnswer answer;
    if (!ruling.error) {
        switch (ruling.seen.call) {
            case CosCall::put_object:
                answer = put(request, ruling, std::move(upload), now);
                break;
            case CosCall::head_object:
            case CosCall::get_object:
                answer = get(request, ruling);
                break;
            case CosCall::delete_object:
                // Absent or not, as S3 does it; COS's documents do not say.
                buckets.at(ruling.seen.bucket).objects.erase(ruling.seen.key);
                answer.status = 204;
                break;
            case CosCall::head_bucket:
                answer.headers.emplace_back("x-cos-bucket-region", buckets.at(ruling.seen.bucket).region);
                break;
            case CosCall::get_bucket:
                answer = list(ruling);
                break;
            case CosCall::get_service:
                answer = service(ruling);
                break;
            case CosCall::other:
                break;
        }
    }
    // In COS's own they are Base64 of such text: "61a0c9e1_88b20d0a_27c3_1a3f2".
    std::array<char, 17> serial{};
    const auto end = std::to_chars(serial.data(), serial.data() + serial.size(), ++answered_, 16).ptr;
    const std::string moment = std::to_string(system_clock::to_time_t(now)) + "_practice_";
    const std::string request_id = base64(moment + std::string(serial.data(), end));
    const std::string trace_id = base64("trace_" + moment + std::string(serial.data(), end));
    if (ruling.error) {
        answer = refusal(*ruling.error, ruling);
        answer.body.append(element("RequestId", request_id)).append(element("TraceId", trace_id)) +=
            "</Error>\n";
        answer.headers.emplace_back("x-cos-trace-id", trace_id);
    }
    if (!answer.content && !answer.body.empty()) {
        answer.headers.emplace_back("Content-Type", "application/xml");
        answer.length = answer.body.size();
    }
    if (request.method == "HEAD" || answer.status == 204) {
        answer.has_body = false;
        answer.body.clear();
        answer.content.reset();
    }
    // The answer to a HEAD that is refused announces no body.
    if (ruling.error && !answer.has_body) answer.length = 0;
    answer.headers.emplace_back("Server", "tencent-cos");
    answer.headers.emplace_back("Date", http_date(now));
    answer.headers.emplace_back("x-cos-request-id", request_id);

    ruling.seen.status = answer.status;
    if (ruling.error) ruling.seen.code = ruling.error->code;
    remember(std::move(ruling.seen));
    return answer;
}

void Cos::remember(CosSeenCall call) {
    constexpr std::size_t most = 20'000;
    if (seen.calls.size() == most) seen.calls.erase(seen.calls.begin(), seen.calls.begin() + most / 2);
    seen.calls.push_back(std::move(call));
}

CosAnswer Cos::refusal(const CosError& error, const CosRuling& ruling) const {
    CosAnswer answer{.status = error.status};
    answer.body =
        std::string(xml_head) + "<Error>\n" + element("Code", error.code) + element("Message", error.message);
    // COS tells what it signed itself, as seen in its answers (github.com/Molunerfinn/PicGo/issues/638).
    if (!ruling.string_to_sign.empty())
        answer.body.append(element("StringToSign", ruling.string_to_sign))
            .append(element("FormatString", ruling.http_string));
    answer.body += element("Resource", ruling.resource);
    return answer;
}

CosAnswer Cos::put(const CosRequest& request, CosRuling& ruling, CosUpload upload,
                   system_clock::time_point now) {
    if (const auto md5 = request.header("content-md5"); md5 && *md5 != base64(upload.md5)) {
        ruling.error = cos_error("BadDigest");
        return {};
    }
    CosObject object{.upload = std::move(upload), .modified = now};
    for (const auto& [given, value] : request.headers) {
        static const std::set<std::string> kept{"content-type", "cache-control", "content-disposition",
                                                "content-encoding", "expires"};
        const std::string name = lower_case(given);
        if (kept.contains(name) || name.starts_with("x-cos-meta-")) object.headers.emplace(given, value);
    }
    CosAnswer answer;
    describe(object, ruling.fault, answer.headers);
    if (!ruling.fault.lose)
        buckets.at(ruling.seen.bucket).objects.insert_or_assign(ruling.seen.key, std::move(object));
    return answer;
}

CosAnswer Cos::get(const CosRequest& request, CosRuling& ruling) const {
    const auto& objects = buckets.at(ruling.seen.bucket).objects;
    const auto found = objects.find(ruling.seen.key);
    if (found == objects.end()) {
        ruling.error = cos_error("NoSuchKey");
        return {};
    }
    const CosObject& object = found->second;
    const std::uint64_t size = object.upload.content->size();
    CosAnswer answer{.content = object.upload.content, .length = size};
    for (const auto& header : object.headers) answer.headers.push_back(header);
    const auto typed = [](const auto& header) { return lower_case(header.first) == "content-type"; };
    if (std::ranges::none_of(answer.headers, typed))
        answer.headers.emplace_back("Content-Type", "application/octet-stream");
    answer.headers.emplace_back("Accept-Ranges", "bytes");
    answer.headers.emplace_back("Last-Modified", http_date(object.modified));
    describe(object, ruling.fault, answer.headers);
    if (const auto part = slice(request.header("range").value_or(""), size)) {
        if (part->length == 0) {
            ruling.error = cos_error("InvalidRange");
            return {};
        }
        answer.status = 206;
        answer.offset = part->offset;
        answer.length = part->length;
        answer.headers.emplace_back("Content-Range", "bytes " + std::to_string(part->offset) + "-" +
                                                         std::to_string(part->offset + part->length - 1) +
                                                         "/" + std::to_string(size));
    }
    return answer;
}

CosAnswer Cos::list(CosRuling& ruling) const {
    const auto asked = [&](const char* name) {
        const auto found = ruling.query.find(name);
        return found == ruling.query.end() ? std::string() : found->second;
    };
    constexpr std::size_t most = 1000;  // GET Bucket (List Objects) (436/7734)
    const std::string wanted = asked("max-keys");
    const auto limit = wanted.empty() ? most : number<std::size_t>(wanted).value_or(0);
    const bool encode = asked("encoding-type") == "url";
    if (limit == 0 || limit > most || (!encode && !asked("encoding-type").empty())) {
        ruling.error = cos_error("InvalidArgument");
        return {};
    }
    const auto shown = [&](const std::string& text) { return encode ? cos_encoded(text) : text; };
    const std::string prefix = asked("prefix");
    const std::string delimiter = asked("delimiter");
    const std::string marker = asked("marker");
    std::string contents;
    std::set<std::string> folders;
    std::string last;  // key or folder listed last
    std::size_t listed_items = 0;
    bool truncated = false;
    const CosBucket& bucket = buckets.at(ruling.seen.bucket);
    for (auto object = bucket.objects.upper_bound(marker); object != bucket.objects.end(); ++object) {
        const auto& [key, value] = *object;
        if (!key.starts_with(prefix)) continue;
        const auto cut = delimiter.empty() ? std::string::npos : key.find(delimiter, prefix.size());
        const std::string folder = cut == std::string::npos ? "" : key.substr(0, cut + delimiter.size());
        if (!folder.empty() && (folders.contains(folder) || folder == marker)) continue;
        if (listed_items == limit) {
            truncated = true;
            break;
        }
        ++listed_items;
        last = folder.empty() ? key : folder;
        if (!folder.empty()) {
            folders.insert(folder);
            continue;
        }
        contents += "\t<Contents>\n" + element("Key", shown(key), "\t\t") +
                    element("LastModified", xml_date(value.modified), "\t\t") +
                    element("ETag", "\"" + hex(value.upload.md5) + "\"", "\t\t") +
                    element("Size", std::to_string(value.upload.content->size()), "\t\t") + "\t\t<Owner>\n" +
                    element("ID", ruling.appid, "\t\t\t") + element("DisplayName", ruling.appid, "\t\t\t") +
                    "\t\t</Owner>\n" + element("StorageClass", "STANDARD", "\t\t") + "\t</Contents>\n";
    }
    std::string body = std::string(xml_head) + "<ListBucketResult>\n" + element("Name", ruling.seen.bucket);
    if (encode) body += element("EncodingType", "url");
    body += element("Prefix", shown(prefix)) + element("Marker", shown(marker)) +
            element("MaxKeys", std::to_string(limit));
    if (!delimiter.empty()) body += element("Delimiter", shown(delimiter));
    body += element("IsTruncated", truncated ? "true" : "false");
    if (truncated) body += element("NextMarker", shown(last));
    body += contents;
    for (const std::string& folder : folders)
        body += "\t<CommonPrefixes>\n" + element("Prefix", shown(folder), "\t\t") + "\t</CommonPrefixes>\n";
    return {.body = body + "</ListBucketResult>\n"};
}

CosAnswer Cos::service(const CosRuling& ruling) const {
    std::string body = std::string(xml_head) + "<ListAllMyBucketsResult>\n\t<Owner>\n" +
                       element("ID", ruling.appid, "\t\t") + element("DisplayName", ruling.appid, "\t\t") +
                       "\t</Owner>\n\t<Buckets>\n";
    for (const auto& [name, bucket] : buckets) {
        if (!name.ends_with("-" + ruling.appid)) continue;
        if (!ruling.region.empty() && bucket.region != ruling.region) continue;
        body += "\t\t<Bucket>\n" + element("Name", name, "\t\t\t") +
                element("Location", bucket.region, "\t\t\t") + "\t\t</Bucket>\n";
    }
    return {.body = body + "\t</Buckets>\n</ListAllMyBucketsResult>\n"};
}

}  // namespace livecanary::practice
