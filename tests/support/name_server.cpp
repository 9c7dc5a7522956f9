#include "tests/support/name_server.hpp"

#include <algorithm>
#include <array>
#include <stdexcept>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>

namespace livecanary::test {
namespace {

using Bytes = std::vector<std::uint8_t>;

struct Question {
    std::string name{};
    std::uint16_t type = 0;
    std::size_t end = 0;  ///< where the question section ends
};

Question parse(const Bytes &bytes) {
    Question question;
    std::size_t at = 12;
    while (bytes.at(at) != 0) {
        if (!question.name.empty()) question.name += '.';
        const std::size_t size = bytes.at(at);
        question.name.append(bytes.begin() + static_cast<std::ptrdiff_t>(at + 1),
                             bytes.begin() + static_cast<std::ptrdiff_t>(at + 1 + size));
        at += size + 1;
    }
    question.type = static_cast<std::uint16_t>(bytes.at(at + 1) << 8 | bytes.at(at + 2));
    question.end = at + 5;
    return question;
}

void put(Bytes &out, std::uint32_t number, int bytes) {
    for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8)
        out.push_back(static_cast<std::uint8_t>(number >> shift & 0xff));
}

void put_name(Bytes &out, const std::string &name) {
    std::size_t start = 0;
    while (start < name.size()) {
        const auto end = std::min(name.find('.', start), name.size());
        put(out, static_cast<std::uint32_t>(end - start), 1);
        out.insert(out.end(), name.begin() + static_cast<std::ptrdiff_t>(start),
                   name.begin() + static_cast<std::ptrdiff_t>(end));
        start = end + 1;
    }
    put(out, 0, 1);
}

void put_record(Bytes &out, const std::string &owner, std::uint16_t type, std::uint32_t ttl,
                const Bytes &data) {
    put_name(out, owner);
    put(out, type, 2);
    put(out, 1, 2);  // IN
    put(out, ttl, 4);
    put(out, static_cast<std::uint32_t>(data.size()), 2);
    out.insert(out.end(), data.begin(), data.end());
}

Bytes make_answer(const Bytes &asked, const Question &question, const DnsReply &reply, bool over_udp) {
    Bytes records;
    std::uint32_t count = 0;
    std::string owner = question.name;
    for (const auto &name : reply.cnames) {
        Bytes data;
        put_name(data, name);
        put_record(records, owner, NameServer::type_cname, reply.cname_ttl, data);
        owner = name;
        ++count;
    }
    for (const auto &text : reply.addresses) {
        const auto address = asio::ip::make_address(text);
        if (address.is_v6() != (question.type == NameServer::type_aaaa)) continue;
        Bytes data;
        if (address.is_v6()) {
            const auto bytes = address.to_v6().to_bytes();
            data.assign(bytes.begin(), bytes.end());
        } else {
            const auto bytes = address.to_v4().to_bytes();
            data.assign(bytes.begin(), bytes.end());
        }
        put_record(records, owner, question.type, reply.ttl, data);
        ++count;
    }
    const bool truncated = over_udp && reply.how == DnsReply::How::truncated;
    if (truncated || reply.how == DnsReply::How::garbled) records.clear();
    if (truncated) count = 0;
    if (reply.how == DnsReply::How::garbled) count = 1;

    Bytes answer(asked.begin(), asked.begin() + 2);
    put(answer, truncated ? 0x87 : 0x85, 1);  // QR, AA, RD and perhaps TC
    put(answer, 0x80u | reply.rcode, 1);      // RA
    put(answer, 1, 2);
    put(answer, count, 2);
    put(answer, 0, 4);
    answer.insert(answer.end(), asked.begin() + 12,
                  asked.begin() + static_cast<std::ptrdiff_t>(question.end));
    answer.insert(answer.end(), records.begin(), records.end());
    return answer;
}

}  // namespace

NameServer::NameServer(asio::io_context &io) : udp_(io), tcp_(io) {
    // A port free for TCP may be taken for UDP.
    for (int attempt = 0; !bind(); ++attempt)
        if (attempt == 100) throw std::runtime_error("no port is free for both UDP and TCP");
    udp_.set_option(Udp::socket::receive_buffer_size(1 << 20));  // hundreds of questions at once
    listen();
    accept();
}

NameServer::~NameServer() = default;

std::string NameServer::address() const {
    return "127.0.0.1:" + std::to_string(udp_.local_endpoint().port());
}

void NameServer::set(const std::string &name, const DnsReply &reply) {
    set(name, type_a, reply);
    set(name, type_aaaa, reply);
}

void NameServer::set(const std::string &name, std::uint16_t type, const DnsReply &reply) {
    zone_[{name, type}] = reply;
}

void NameServer::release() {
    for (const auto &[answer, to] : std::exchange(held_, {})) udp_.send_to(asio::buffer(answer), to);
}

bool NameServer::bind() {
    const auto loopback = asio::ip::address_v4::loopback();
    tcp_ = {tcp_.get_executor(), {loopback, 0}};
    if (udp_.is_open()) udp_.close();
    udp_.open(Udp::v4());
    error_code taken;
    udp_.bind({loopback, tcp_.local_endpoint().port()}, taken);
    return !taken;
}

const DnsReply &NameServer::find(const std::string &name, std::uint16_t type) const {
    static const DnsReply unknown{.rcode = 3};
    const auto at = zone_.find({name, type});
    return at == zone_.end() ? unknown : at->second;
}

void NameServer::listen() {
    question_.resize(512);
    udp_.async_receive_from(asio::buffer(question_), from_, [this](error_code code, std::size_t size) {
        if (code) return;
        ++questions_;
        question_.resize(size);
        const Question question = parse(question_);
        const DnsReply &reply = find(question.name, question.type);
        const Bytes answer = make_answer(question_, question, reply, true);
        if (reply.how == DnsReply::How::held) held_.emplace_back(answer, from_);
        error_code gone;  // whoever asked may have left
        if (reply.how != DnsReply::How::held && reply.how != DnsReply::How::never)
            udp_.send_to(asio::buffer(answer), from_, 0, gone);
        listen();
    });
}

void NameServer::accept() {
    tcp_.async_accept([this](error_code code, asio::ip::tcp::socket socket) {
        if (code) return;
        const auto executor = socket.get_executor();
        asio::co_spawn(executor, serve(std::move(socket)), asio::detached);
        accept();
    });
}

// RFC 1035 §4.2.2: each message after its length in two bytes.
asio::awaitable<void> NameServer::serve(asio::ip::tcp::socket socket) {
    socket.set_option(asio::ip::tcp::no_delay(true));
    for (;;) {
        std::array<std::uint8_t, 2> length{};
        const auto [code, size] = co_await asio::async_read(socket, asio::buffer(length), net::no_throw);
        if (code) co_return;
        Bytes asked(static_cast<std::size_t>(length[0] << 8 | length[1]));
        const auto [failed, got] = co_await asio::async_read(socket, asio::buffer(asked), net::no_throw);
        if (failed) co_return;
        ++questions_over_tcp_;
        const Question question = parse(asked);
        const Bytes answer = make_answer(asked, question, find(question.name, question.type), false);
        Bytes message;
        put(message, static_cast<std::uint32_t>(answer.size()), 2);
        message.insert(message.end(), answer.begin(), answer.end());
        co_await asio::async_write(socket, asio::buffer(message), net::no_throw);
    }
}

}  // namespace livecanary::test
