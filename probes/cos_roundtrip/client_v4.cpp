// COS's JSON API behind the calls of the XML API.
//
// Sources: the pages of that API in GitHub tencentyun/qcloud-documents, read 2026-11-21, and public clients
// of it. A file is uploaded as one form, which is for what has at most 20 MiB.
#include <algorithm>
#include <memory>

#include "probes/cos_roundtrip/client.hpp"
#include "probes/cos_roundtrip/v4_answer.hpp"
#include "probes/protocol/cos_v4_sign.hpp"
#include "probes/protocol/percent_encoding.hpp"
#include "probes/protocol/printable.hpp"

namespace livecanary::cos_roundtrip {
namespace {

constexpr std::uint64_t random_limit = 10'000'000'000;  ///< of r: at most ten digits

/// The status that goes with a refusal where the answer's own says nothing of it.
unsigned status_of(std::string_view means) {
    if (means == v4_says::bucket || means == v4_says::file) return 404;
    if (means == v4_says::throttled) return 503;
    return means == v4_says::checksum || means == v4_says::other ? 400 : 403;
}

/// `text`, the content, `tail`, one after the other as they are asked for.
net::HttpContent wrapped(std::string text, net::HttpContent content, std::string tail) {
    struct Form {
        std::string before, after;
        net::HttpContent content;
        std::uint64_t given = 0;
    };
    auto form = std::make_shared<Form>(Form{std::move(text), std::move(tail), std::move(content)});
    const std::uint64_t size = form->before.size() + form->content.size + form->after.size();
    const auto next = [form](std::span<std::uint8_t> into) {
        const std::uint64_t begin = form->before.size(), end = begin + form->content.size;
        std::size_t count = 0;
        if (form->given >= begin && form->given < end) {
            const auto room = std::min<std::uint64_t>(into.size(), end - form->given);
            count = form->content.next(into.first(static_cast<std::size_t>(room)));
        } else {
            const auto& part = form->given < begin ? form->before : form->after;
            const auto at = static_cast<std::size_t>(form->given < begin ? form->given : form->given - end);
            count = std::min(into.size(), part.size() - at);
            std::copy_n(part.begin() + static_cast<std::ptrdiff_t>(at), count, into.begin());
        }
        form->given += count;
        return count;
    };
    return {.size = size, .next = next};
}

std::string field(const std::string& boundary, const std::string& name, const std::string& value) {
    return "--" + boundary + "\r\nContent-Disposition: form-data; name=\"" + name + "\"\r\n\r\n" + value +
           "\r\n";
}

}  // namespace

std::string Client::v4_authorization(const Call& call, bool single_use) const {
    const auto& bucket = *endpoint_.v4;
    const auto now = std::chrono::floor<std::chrono::seconds>(run_.env().wall() + clock_shift_);
    protocol::CosV4Signature signature{
        .app_id = bucket.app_id, .bucket = bucket.name, .secret_id = credentials_.secret_id};
    signature.signed_at = now;
    signature.random = run_.env().random() % random_limit;
    if (single_use)
        signature.file_id = protocol::cos_v4_file_id(bucket.app_id, bucket.name, call.key);
    else
        signature.expires = now + signature_lifetime_;
    std::string authorization = protocol::cos_v4_sign(signature, credentials_.secret_key.reveal());
    // The first digits are of the HMAC.
    if (call.wrong_signature) authorization.front() = authorization.front() == 'A' ? 'B' : 'A';
    return authorization;
}

net::HttpRequest Client::v4_request_of(const Call& call) const {
    const auto& bucket = *endpoint_.v4;
    net::HttpRequest request;
    request.host = endpoint_.host_header();
    request.target = "/files/" + bucket.version + "/" + bucket.app_id + "/" + bucket.name + "/" + call.key;
    const bool erases = call.method == "DELETE";
    request.headers = {{"Authorization", v4_authorization(call, erases)}, {"User-Agent", "livecanary"}};
    if (erases) {
        request.method = "POST";
        request.headers.emplace_back("Content-Type", "application/json");
        request.body = R"({"op":"delete"})";
    } else if (call.method == "PUT" && call.content) {
        const std::string boundary = "livecanary-" + run_.run_id();
        request.method = "POST";
        request.headers.emplace_back("Content-Type", "multipart/form-data; boundary=" + boundary);
        const std::string before =
            field(boundary, "op", "upload") + field(boundary, "insertOnly", "1") +
            field(boundary, "sha", call.sha1) + "--" + boundary +
            "\r\nContent-Disposition: form-data; name=\"filecontent\"; filename=\"livecanary.bin\"\r\n"
            "Content-Type: application/octet-stream\r\n\r\n";
        request.content = wrapped(before, *call.content, "\r\n--" + boundary + "--\r\n");
    } else {
        request.target += call.key.empty() ? "?op=list&num=1" : "?op=stat";
    }
    return request;
}

error_code Client::read_v4(const Call& call, Answer& answer) {
    const auto said = parse_v4_answer(answer.body);
    // A page of somebody in between: the status says what there is to say.
    if (!said) return answer.status / 100 == 2 ? said.error() : error_code();
    answer.request_id = protocol::printable(said->request_id);
    if (said->code != 0) {
        answer.cos_code = std::to_string(said->code);
        answer.message = protocol::printable(said->message);
        answer.means = meaning_of(*said);
        if (answer.status / 100 == 2) answer.status = status_of(answer.means);
        return {};
    }
    if (call.key.empty() || call.method == "DELETE") return {};
    if (!said->source_url.empty()) source_url_ = said->source_url;
    answer.sha1 = said->sha;
    // The length of the answer itself is nobody's business.
    answer.head.content_length = said->file_length;
    return {};
}

asio::awaitable<error_code> Client::download(const Call& call, Answer& answer, Clock::time_point deadline) {
    answer.status = 200;
    const auto url = net::parse_http_url(source_url_);
    // The server says where: only its own hosts are asked.
    if (!url || (url->host != endpoint_.host && !url->host.ends_with(".myqcloud.com"))) {
        answer.unread = source_url_.empty() ? "COS named no source_url"
                                            : "not COS's own: " + protocol::printable(source_url_);
        co_return error_code{};
    }
    // What is done after it needs its time too.
    const auto now = run_.env().now();
    const auto until = now + (deadline - now) / 2;
    Endpoint source{.tls = url->tls, .host = url->host, .port = url->port};
    source.address = endpoint_.address;
    source.ca_file = endpoint_.ca_file;
    net::Connection connection(co_await asio::this_coro::executor);
    if (const auto code = co_await connect_to(connection, source, until, false)) {
        answer.unread = "the source_url cannot be reached: " + code.message();
        co_return error_code{};
    }
    net::HttpExchange exchange(connection);
    net::HttpRequest request;
    request.host = source.host_header();
    request.target = url->target + (url->target.find('?') == std::string::npos ? "?sign=" : "&sign=") +
                     protocol::percent_encode(v4_authorization(call, false));
    request.headers = {{"User-Agent", "livecanary"}};
    auto head_read = co_await exchange.send(request, until);
    if (head_read && head_read->status == 200) {
        answer.head = *std::move(head_read);
        const error_code code = co_await read_body(exchange, call, answer, deadline);
        answer.took = exchange.last_read_at() - now;
        co_return code;
    }
    // Whether and to whom it is served is no matter of this API: nothing is concluded.
    answer.unread = head_read ? "the source_url answers HTTP " + std::to_string(head_read->status)
                              : "the source_url does not answer: " + head_read.error().message();
    co_return error_code{};
}

}  // namespace livecanary::cos_roundtrip
