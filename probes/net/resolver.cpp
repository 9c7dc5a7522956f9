#include "probes/net/resolver.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <map>
#include <optional>
#include <stdexcept>
#include <utility>

#include <ares.h>
#include <netdb.h>
#include <boost/asio/ip/udp.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

#include "probes/core/error_table.hpp"
#include "probes/net/quiet.hpp"

namespace livecanary::net {

using namespace std::chrono_literals;

error_code make_error_code(DnsError error) noexcept {
    using enum DnsError;
    static const ErrorTable<DnsError> table{
        "livecanary.dns",
        {{no_such_name, "the name does not exist or has no address", Reason::nxdomain},
         {server_failed, "the name server could not answer", Reason::servfail},
         {no_answer, "no name server answered", Reason::timeout},
         {bad_answer, "the name server's answer makes no sense", Reason::protocol},
         {out_of_memory, "no memory for the lookup", Reason::local}}};
    return {static_cast<int>(error), table};
}

namespace {

/// How long c-ares waits for an answer. It doubles that for the second and last try.
constexpr int answer_timeout_ms = 2000;
constexpr int tries = 2;
/// How long a lookup that has addresses of one family still waits for the other's: some name servers drop
/// AAAA questions, which must not cost a run its deadline.
constexpr auto patience = 500ms;

/// The answer to one of the two questions (A, AAAA) of a lookup.
struct Answer {
    error_code code{};
    std::vector<asio::ip::address> addresses{};
    std::vector<std::string> cname_chain{};
    std::chrono::seconds ttl{0};
};

/// What a caller and c-ares share; whoever is last frees it.
struct Pending {
    explicit Pending(const asio::any_io_executor& executor) : changed(executor) {}

    bool complete() const noexcept { return v4 && v6; }
    bool has_addresses() const noexcept {
        return (v4 && !v4->addresses.empty()) || (v6 && !v6->addresses.empty());
    }

    asio::steady_timer changed;  // cancelled as each answer comes in
    std::optional<Answer> v4{};
    std::optional<Answer> v6{};
};

/// One question on its way through c-ares; freed by on_answer, which c-ares calls exactly once.
struct Question {
    std::shared_ptr<Pending> pending;
    std::optional<Answer> Pending::*answer;
};

error_code from_ares(int status, const asio::any_io_executor& executor) {
    switch (status) {
        case ARES_ENOTFOUND:
        case ARES_ENODATA:
        case ARES_EBADNAME:
            return DnsError::no_such_name;
        case ARES_ECONNREFUSED: {
            // c-ares says so also when it could not open a socket, which is our own fault.
            asio::ip::udp::socket trial(executor);
            error_code ours;
            trial.open(asio::ip::udp::v4(), ours);
            return ours ? ours : error_code(DnsError::server_failed);
        }
        case ARES_ESERVFAIL:
        case ARES_EREFUSED:
        case ARES_ENOTIMP:
        case ARES_EFORMERR:
            return DnsError::server_failed;
        case ARES_ETIMEOUT:
            return DnsError::no_answer;
        case ARES_ECANCELLED:
        case ARES_EDESTRUCTION:
            return asio::error::operation_aborted;
        case ARES_ENOMEM:
            return DnsError::out_of_memory;
        default:
            return DnsError::bad_answer;
    }
}

asio::ip::address to_address(const void* bytes, int family) {
    if (family == AF_INET6) {
        asio::ip::address_v6::bytes_type v6;
        std::memcpy(v6.data(), bytes, v6.size());
        return asio::ip::address_v6(v6);
    }
    asio::ip::address_v4::bytes_type v4;
    std::memcpy(v4.data(), bytes, v4.size());
    return asio::ip::address_v4(v4);
}

asio::ip::address to_address(const sockaddr* address) {
    if (address->sa_family == AF_INET6)
        return to_address(&reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr, AF_INET6);
    return to_address(&reinterpret_cast<const sockaddr_in*>(address)->sin_addr, AF_INET);
}

Answer to_answer(const ares_addrinfo& found) {
    Answer answer;
    std::optional<int> ttl;
    const auto at_most = [&ttl](int seconds) { ttl = std::min(ttl.value_or(seconds), seconds); };
    for (const auto* cname = found.cnames; cname != nullptr; cname = cname->next) {
        answer.cname_chain.emplace_back(cname->name);
        at_most(cname->ttl);
    }
    for (const auto* node = found.nodes; node != nullptr; node = node->ai_next) {
        answer.addresses.push_back(to_address(node->ai_addr));
        at_most(node->ai_ttl);
    }
    answer.ttl = std::chrono::seconds(ttl.value_or(0));
    if (answer.addresses.empty()) answer.code = DnsError::no_such_name;
    return answer;
}

void on_answer(void* owner, int status, int /*timeouts*/, ares_addrinfo* found) {
    const std::unique_ptr<Question> question(static_cast<Question*>(owner));
    const std::unique_ptr<ares_addrinfo, decltype(&ares_freeaddrinfo)> guard(found, &ares_freeaddrinfo);
    Pending& pending = *question->pending;
    auto& answer = pending.*question->answer;
    if (status == ARES_SUCCESS) {
        answer = to_answer(*found);
    } else {
        answer.emplace().code = from_ares(status, pending.changed.get_executor());
    }
    pending.changed.cancel();
}

/// Of two failures, the one that says most about why there is no address.
error_code worse(error_code left, error_code right) {
    const auto rank = [](const error_code& code) {
        if (code == DnsError::no_such_name) return 0;
        if (code == DnsError::bad_answer) return 1;
        if (code == DnsError::no_answer) return 2;
        if (code == DnsError::server_failed) return 3;
        return 4;  // aborted, or our own fault
    };
    return rank(left) < rank(right) ? right : left;
}

/// Joins what is known of both families; a family without an answer counts as not answered.
result<Lookup> join(const Pending& pending, std::uint16_t port) {
    Answer missing;
    missing.code = DnsError::no_answer;
    const Answer& v4 = pending.v4 ? *pending.v4 : missing;
    const Answer& v6 = pending.v6 ? *pending.v6 : missing;
    if (!pending.has_addresses()) return worse(v4.code, v6.code);
    Lookup lookup;
    std::optional<std::chrono::seconds> ttl;
    for (const Answer* answer : {&v4, &v6}) {
        if (answer->addresses.empty()) continue;
        for (const auto& address : answer->addresses) lookup.endpoints.emplace_back(address, port);
        if (lookup.cname_chain.empty()) lookup.cname_chain = answer->cname_chain;
        ttl = std::min(ttl.value_or(answer->ttl), answer->ttl);
    }
    lookup.ttl = ttl.value_or(0s);
    return lookup;
}

/// "192.0.2.1", "192.0.2.1:53", "2001:db8::1" or "[2001:db8::1]:53".
asio::ip::udp::endpoint parse_server(const std::string& text) {
    std::string_view host = text;
    std::string_view port;
    if (const auto end = host.rfind("]"); host.starts_with('[') && end != host.npos) {
        port = host.substr(end + 1);
        host = host.substr(1, end - 1);
    } else if (std::count(host.begin(), host.end(), ':') == 1) {
        port = host.substr(host.find(':'));
        host = host.substr(0, host.find(':'));
    }
    error_code code;
    const auto address = asio::ip::make_address(host, code);
    std::uint16_t number = 53;
    if (!port.empty()) {
        const char* const end = port.data() + port.size();
        const auto read = std::from_chars(port.data() + 1, end, number);
        if (port.front() != ':' || read.ec != std::errc() || read.ptr != end) number = 0;
    }
    if (code || number == 0) throw std::invalid_argument("not the address of a name server: " + text);
    return {address, number};
}

}  // namespace

/// A c-ares channel, the descriptors it asks us to watch and the time it next wants to look at its clock.
///
/// c-ares opens and closes its sockets as it likes and tells us by sock_state_cb. A descriptor number can
/// come back for a new socket at once, so what belongs to a socket hangs on its own Watched, never on the
/// number.
class Resolver::Channel : public std::enable_shared_from_this<Resolver::Channel> {
public:
    Channel(asio::any_io_executor executor, const std::vector<std::string>& servers)
        : executor_(std::move(executor)), retry_(executor_) {
        std::array<char, 2> dns_only{"b"};
        ares_options options{};
        options.sock_state_cb = [](void* self, ares_socket_t fd, int readable, int writable) {
            static_cast<Channel*>(self)->watch(fd, readable != 0, writable != 0);
        };
        options.sock_state_cb_data = this;
        options.flags = ARES_FLAG_NOCHECKRESP;  // a SERVFAIL is an answer to report, not one to retry
        options.timeout = answer_timeout_ms;
        options.tries = tries;
        options.lookups = dns_only.data();  // the hosts file is asked apart, before
        ares_channel made = nullptr;
        if (ares_init_options(&made, &options,
                              ARES_OPT_SOCK_STATE_CB | ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES |
                                  ARES_OPT_LOOKUPS) != ARES_SUCCESS)
            throw std::runtime_error("c-ares cannot start");
        channel_.reset(made);
        if (!servers.empty()) use(servers);
    }
    Channel(const Channel&) = delete;
    Channel& operator=(const Channel&) = delete;

    std::shared_ptr<Pending> ask(std::string name) {
        auto pending = std::make_shared<Pending>(executor_);
        const bool as_it_stands = name.find('.') != name.npos;
        if (name.ends_with('.')) name.pop_back();
        if (from_hosts(name, *pending)) return pending;
        if (as_it_stands) name += '.';  // keeps c-ares from the search list
        ask(name, AF_INET, {pending, &Pending::v4});
        ask(name, AF_INET6, {pending, &Pending::v6});
        arm();
        return pending;
    }

private:
    using Descriptor = asio::posix::stream_descriptor;
    struct Watched {
        Watched(const asio::any_io_executor& executor, ares_socket_t fd) : descriptor(executor, fd) {}
        Descriptor descriptor;
        bool want_read = false;
        bool want_write = false;
        bool read_waits = false;
        bool write_waits = false;
    };
    struct Destroy {
        void operator()(ares_channel channel) const { ares_destroy(channel); }
    };

    void use(const std::vector<std::string>& servers) {
        std::vector<ares_addr_port_node> nodes;
        for (const auto& server : servers) {
            const auto endpoint = parse_server(server);
            ares_addr_port_node& node = nodes.emplace_back();
            node.udp_port = node.tcp_port = endpoint.port();
            if (endpoint.address().is_v6()) {
                node.family = AF_INET6;
                const auto bytes = endpoint.address().to_v6().to_bytes();
                std::memcpy(&node.addr.addr6, bytes.data(), bytes.size());
            } else {
                node.family = AF_INET;
                const auto bytes = endpoint.address().to_v4().to_bytes();
                std::memcpy(&node.addr.addr4, bytes.data(), bytes.size());
            }
        }
        for (std::size_t i = 0; i + 1 < nodes.size(); ++i) nodes[i].next = &nodes[i + 1];
        if (ares_set_servers_ports(channel_.get(), nodes.data()) != ARES_SUCCESS)
            throw std::runtime_error("c-ares does not take the name servers");
    }

    /// Answers from the hosts file, for both families if it has one of them.
    bool from_hosts(const std::string& name, Pending& pending) {
        Answer v4 = from_hosts(name, AF_INET);
        Answer v6 = from_hosts(name, AF_INET6);
        if (v4.code && v6.code) return false;
        pending.v4 = std::move(v4);
        pending.v6 = std::move(v6);
        return true;
    }
    Answer from_hosts(const std::string& name, int family) {
        Answer answer;
        hostent* found = nullptr;
        if (ares_gethostbyname_file(channel_.get(), name.c_str(), family, &found) == ARES_SUCCESS) {
            for (char** at = found->h_addr_list; *at != nullptr; ++at)
                answer.addresses.push_back(to_address(*at, family));
            ares_free_hostent(found);
        }
        if (answer.addresses.empty()) answer.code = DnsError::no_such_name;
        return answer;
    }

    void ask(const std::string& name, int family, Question question) {
        ares_addrinfo_hints hints{};
        hints.ai_flags = ARES_AI_NOSORT;
        hints.ai_family = family;
        hints.ai_socktype = SOCK_STREAM;
        ares_getaddrinfo(channel_.get(), name.c_str(), nullptr, &hints, on_answer,
                         std::make_unique<Question>(std::move(question)).release());
    }

    void process(ares_socket_t read, ares_socket_t write) {
        ares_process_fd(channel_.get(), read, write);
        arm();
    }
    /// c-ares decides on retries by time; wake it when it next wants to look.
    void arm() {
        timeval wait{};
        if (ares_timeout(channel_.get(), nullptr, &wait) == nullptr) {
            retry_.cancel();
            return;
        }
        retry_.expires_after(std::chrono::seconds(wait.tv_sec) + std::chrono::microseconds(wait.tv_usec));
        retry_.async_wait([weak = weak_from_this()](error_code code) {
            if (const auto self = weak.lock(); self && !code) self->process(ARES_SOCKET_BAD, ARES_SOCKET_BAD);
        });
    }

    void watch(ares_socket_t fd, bool read, bool write) {
        if (!read && !write) {
            if (const auto at = watched_.find(fd); at != watched_.end()) {
                at->second->descriptor.release();  // c-ares closes it
                watched_.erase(at);
            }
            return;
        }
        auto& watched = watched_[fd];
        if (!watched) watched = std::make_shared<Watched>(executor_, fd);
        watched->want_read = read;
        watched->want_write = write;
        wait(watched);
    }
    void wait(const std::shared_ptr<Watched>& watched) {
        if (watched->want_read && !watched->read_waits) {
            watched->read_waits = true;
            watched->descriptor.async_wait(Descriptor::wait_read,
                                           [weak = weak_from_this(), watched](error_code code) {
                                               watched->read_waits = false;
                                               if (code || !watched->descriptor.is_open()) return;
                                               if (const auto self = weak.lock()) self->readable(watched);
                                           });
        }
        if (watched->want_write && !watched->write_waits) {
            watched->write_waits = true;
            watched->descriptor.async_wait(Descriptor::wait_write,
                                           [weak = weak_from_this(), watched](error_code code) {
                                               watched->write_waits = false;
                                               if (code || !watched->descriptor.is_open()) return;
                                               if (const auto self = weak.lock()) self->writable(watched);
                                           });
        }
    }
    void readable(const std::shared_ptr<Watched>& watched) {
        process(watched->descriptor.native_handle(), ARES_SOCKET_BAD);
        if (watched->descriptor.is_open()) wait(watched);
    }
    void writable(const std::shared_ptr<Watched>& watched) {
        process(ARES_SOCKET_BAD, watched->descriptor.native_handle());
        if (watched->descriptor.is_open()) wait(watched);
    }

    asio::any_io_executor executor_;
    asio::steady_timer retry_;
    std::map<ares_socket_t, std::shared_ptr<Watched>> watched_;
    std::unique_ptr<ares_channeldata, Destroy> channel_;  // the last member: destroying it calls watch()
};

Resolver::Resolver(asio::any_io_executor executor, const std::vector<std::string>& servers)
    : channel_(std::make_shared<Channel>(std::move(executor), servers)) {}
Resolver::~Resolver() = default;

namespace {

asio::awaitable<result<Lookup>> answer_to(std::shared_ptr<Pending> pending, std::uint16_t port,
                                          Clock::time_point deadline) {
    auto until = deadline;
    bool patient = false;
    while (!pending->complete()) {
        if (pending->has_addresses() && !std::exchange(patient, true))
            until = std::min(deadline, Clock::now() + patience);
        if (Clock::now() >= until) break;
        pending->changed.expires_at(until);
        co_await pending->changed.async_wait(no_throw);
        const auto state = co_await asio::this_coro::cancellation_state;
        if (state.cancelled() != asio::cancellation_type::none)
            co_return error_code(asio::error::operation_aborted);
    }
    co_return join(*pending, port);
}

}  // namespace

asio::awaitable<result<Lookup>> Resolver::resolve(std::string host, std::uint16_t port,
                                                  Clock::time_point deadline) {
    error_code not_literal;
    const auto literal = asio::ip::make_address(host, not_literal);
    if (!not_literal) {
        Lookup lookup;
        lookup.endpoints.emplace_back(literal, port);
        co_return lookup;
    }
    if (host.empty()) co_return error_code(DnsError::no_such_name);
    auto pending = channel_->ask(std::move(host));
    co_return co_await answer_to(std::move(pending), port, deadline);
}

}  // namespace livecanary::net
