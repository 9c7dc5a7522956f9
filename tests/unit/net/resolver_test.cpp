#include "probes/net/resolver.hpp"

#include <gtest/gtest.h>

#include <sys/resource.h>
#include <unistd.h>
#include <cstdlib>
#include <deque>
#include <optional>
#include <stdexcept>
#include <tuple>

#include "probes/net/connection.hpp"
#include "tests/support/name_server.hpp"
#include "tests/support/scripted_peer.hpp"
#include "tests/support/task.hpp"

namespace livecanary::test {
namespace {

using namespace std::chrono_literals;
using net::DnsError, net::Lookup, net::Resolver;
using How = DnsReply::How;
using Strings = std::vector<std::string>;

class ResolverTest : public testing::Test {
protected:
    result<Lookup> resolve(const std::string& name, Clock::time_point deadline = far()) {
        return await(io, dns.resolve(name, 1935, deadline));
    }
    error_code failure(const std::string& name, Clock::time_point deadline = far()) {
        const auto found = resolve(name, deadline);
        return found ? error_code() : found.error();
    }

    asio::io_context io;
    NameServer server{io};
    Resolver dns{io.get_executor(), {server.address()}};
};

Strings texts(const Lookup& lookup) {
    Strings all;
    for (const auto& endpoint : lookup.endpoints) {
        EXPECT_EQ(endpoint.port(), 1935);
        all.push_back(endpoint.address().to_string());
    }
    return all;
}

TEST_F(ResolverTest, BothFamiliesInTheServersOrder) {
    server.set("both.test", {.addresses = {"192.0.2.2", "2001:db8::2", "192.0.2.1", "2001:db8::1"}});
    const auto found = resolve("both.test");
    ASSERT_TRUE(found) << found.error().message();
    EXPECT_EQ(texts(*found), (Strings{"192.0.2.2", "192.0.2.1", "2001:db8::2", "2001:db8::1"}));
    EXPECT_EQ(found->cname_chain, Strings{});
    EXPECT_EQ(found->ttl, 300s);
}

TEST_F(ResolverTest, EitherFamilyAlone) {
    server.set("four.test", {.addresses = {"192.0.2.4"}});
    server.set("six.test", {.addresses = {"2001:db8::6"}});
    EXPECT_EQ(texts(resolve("four.test").value()), Strings{"192.0.2.4"});
    EXPECT_EQ(texts(resolve("six.test").value()), Strings{"2001:db8::6"});
}

TEST_F(ResolverTest, AliasesFirstToLastAndTheSmallestTtl) {
    server.set("push.test", {.addresses = {"192.0.2.1", "2001:db8::1"},
                             .cnames = {"push.test.cdn.test", "edge.cdn.test"},
                             .ttl = 60,
                             .cname_ttl = 30});
    server.set("play.test", {.addresses = {"192.0.2.1"}, .cnames = {"edge.test"}, .ttl = 7, .cname_ttl = 30});
    const auto push = resolve("push.test").value();
    EXPECT_EQ(push.cname_chain, (Strings{"push.test.cdn.test", "edge.cdn.test"}));
    EXPECT_EQ(push.ttl, 30s);
    EXPECT_EQ(texts(push), (Strings{"192.0.2.1", "2001:db8::1"}));
    EXPECT_EQ(resolve("play.test").value().ttl, 7s);
}

TEST_F(ResolverTest, AnswersBecomeErrorsAndReasons) {
    server.set("nodata.test", {});
    server.set("dangling.test", {.cnames = {"nowhere.test"}});
    server.set("format.test", {.rcode = 1});
    server.set("servfail.test", {.rcode = 2});
    server.set("notimp.test", {.rcode = 4});
    server.set("refused.test", {.rcode = 5});
    server.set("garbled.test", {.how = How::garbled});
    const std::string too_long = std::string(64, 'a') + ".test";  // a label has at most 63 (RFC 1035 §2.3.4)
    const std::tuple<std::string, DnsError, Reason> cases[] = {
        {"unknown.test", DnsError::no_such_name, Reason::nxdomain},
        {"nodata.test", DnsError::no_such_name, Reason::nxdomain},
        {"dangling.test", DnsError::no_such_name, Reason::nxdomain},
        {too_long, DnsError::no_such_name, Reason::nxdomain},
        {"", DnsError::no_such_name, Reason::nxdomain},
        {"format.test", DnsError::server_failed, Reason::servfail},
        {"servfail.test", DnsError::server_failed, Reason::servfail},
        {"notimp.test", DnsError::server_failed, Reason::servfail},
        {"refused.test", DnsError::server_failed, Reason::servfail},
        {"garbled.test", DnsError::bad_answer, Reason::protocol},
    };
    for (const auto& [name, error, reason] : cases) {
        const auto code = failure(name);
        EXPECT_EQ(code, error) << name << ": " << code.message();
        EXPECT_EQ(reason_of(code), reason) << name;
    }
    EXPECT_EQ(reason_of(DnsError::out_of_memory), Reason::local);
}

TEST_F(ResolverTest, AFailureIsAnAnswerAndNotAskedForAgain) {
    server.set("servfail.test", {.rcode = 2});
    EXPECT_EQ(failure("servfail.test"), DnsError::server_failed);
    EXPECT_EQ(server.questions(), 2);  // A and AAAA
}

TEST_F(ResolverTest, SilenceEndsAtTheDeadline) {
    server.set("silent.test", {.how = How::never});
    const auto code = failure("silent.test", soon());
    EXPECT_EQ(code, DnsError::no_answer);
    EXPECT_EQ(reason_of(code), Reason::timeout);
}

TEST_F(ResolverTest, AServerThatIsNotThereHasFailed) {
    asio::ip::udp::socket taken(io, {asio::ip::address_v4::loopback(), 0});
    const std::string address = "127.0.0.1:" + std::to_string(taken.local_endpoint().port());
    taken.close();
    Resolver lonely(io.get_executor(), {address});
    EXPECT_EQ(await(io, lonely.resolve("name.test", 80, far())).error(), DnsError::server_failed);
}

TEST_F(ResolverTest, AFamilyThatIsNeverAnsweredDoesNotCostTheOther) {
    server.set("dropped.test", NameServer::type_a, {.addresses = {"192.0.2.1"}});
    server.set("dropped.test", NameServer::type_aaaa, {.how = How::never});
    server.set("silent.test", {.how = How::never});
    Task<result<Lookup>> silent(io, dns.resolve("silent.test", 1935, Clock::now() + 2s));
    EXPECT_EQ(texts(resolve("dropped.test").value()), Strings{"192.0.2.1"});
    EXPECT_FALSE(silent.ended());
}

// c-ares by itself reports what came in last.
TEST_F(ResolverTest, AFailureOutweighsAMissingRecordInEitherOrder) {
    for (const auto failing : {NameServer::type_a, NameServer::type_aaaa}) {
        server.set("half.test", {});
        server.set("half.test", failing, {.rcode = 2});
        EXPECT_EQ(failure("half.test"), DnsError::server_failed);
    }
}

TEST_F(ResolverTest, ATruncatedAnswerIsFetchedOverTcp) {
    server.set("big.test", {.addresses = {"192.0.2.1", "2001:db8::1"}, .how = How::truncated});
    EXPECT_EQ(texts(resolve("big.test").value()), (Strings{"192.0.2.1", "2001:db8::1"}));
    EXPECT_EQ(server.questions_over_tcp(), 2);
}

TEST_F(ResolverTest, LiteralsAndTheHostsFileAskNothing) {
    EXPECT_EQ(texts(resolve("192.0.2.9").value()), Strings{"192.0.2.9"});
    EXPECT_EQ(texts(resolve("2001:db8::9").value()), Strings{"2001:db8::9"});
    const auto localhost = resolve("localhost").value();
    EXPECT_EQ(texts(localhost).front(), "127.0.0.1");
    EXPECT_EQ(localhost.ttl, 0s);
    EXPECT_EQ(server.questions(), 0);
}

// LOCALDOMAIN is how resolv.conf(5) lets a process have its own search list.
TEST_F(ResolverTest, OnlyANameWithoutADotIsSearched) {
    ::setenv("LOCALDOMAIN", "site.test", 1);
    Resolver searching(io.get_executor(), {server.address()});
    ::unsetenv("LOCALDOMAIN");
    server.set("db.site.test", {.addresses = {"192.0.2.1"}});
    server.set("www.test.site.test", {.addresses = {"192.0.2.2"}});
    EXPECT_EQ(texts(await(io, searching.resolve("db", 1935, far())).value()), Strings{"192.0.2.1"});
    for (const std::string name : {"www.test", "www.test.", "db."})
        EXPECT_EQ(await(io, searching.resolve(name, 1935, far())).error(), DnsError::no_such_name) << name;
}

TEST_F(ResolverTest, NamesThatAreNeverAnsweredDoNotDelayOthers) {
    server.set("dead.test", {.how = How::never});
    server.set("alive.test", {.addresses = {"192.0.2.1"}});
    std::deque<Task<result<Lookup>>> dead;
    for (int i = 0; i < 100; ++i) dead.emplace_back(io, dns.resolve("dead.test", 1935, far()));
    for (int i = 0; i < 20; ++i) EXPECT_EQ(texts(resolve("alive.test").value()), Strings{"192.0.2.1"});
    for (const auto& task : dead) EXPECT_FALSE(task.ended());
}

TEST_F(ResolverTest, AnAnswerAfterTheDeadlineIsLeftBehind) {
    server.set("late.test", {.addresses = {"192.0.2.1"}, .how = How::held});
    server.set("other.test", {.addresses = {"192.0.2.2"}});
    EXPECT_EQ(failure("late.test", soon()), DnsError::no_answer);
    server.release();
    EXPECT_EQ(texts(resolve("other.test").value()), Strings{"192.0.2.2"});
}

TEST_F(ResolverTest, AnswersOutOfOrderFindTheirLookups) {
    server.set("first.test", {.addresses = {"192.0.2.1"}, .how = How::held});
    server.set("second.test", {.addresses = {"192.0.2.2"}});
    Task<result<Lookup>> first(io, dns.resolve("first.test", 1935, far()));
    run_until(io, [this] { return server.questions() == 2; });
    EXPECT_EQ(texts(resolve("second.test").value()), Strings{"192.0.2.2"});
    EXPECT_FALSE(first.ended());
    server.release();
    EXPECT_EQ(texts(first.wait().value()), Strings{"192.0.2.1"});
}

asio::awaitable<error_code> resolve_and_connect(Resolver& dns, std::string name, std::uint16_t port) {
    const auto found = co_await dns.resolve(std::move(name), port, far());
    if (!found) co_return found.error();
    net::Connection connection(co_await asio::this_coro::executor);
    co_return co_await connection.connect(found->endpoints.front(), far());
}

// c-ares closes its sockets whenever it is idle, so that their descriptors are soon somebody else's.
TEST_F(ResolverTest, DescriptorsThatComeBackAreTakenForWhatTheyAre) {
    const ScriptedPeer peer(io, echoes);
    for (int i = 0; i < 200; ++i) {
        const How how = i % 5 == 0 ? How::truncated : How::at_once;
        server.set("n" + std::to_string(i) + ".test", {.addresses = {"127.0.0.1"}, .how = how});
    }
    for (int round = 0; round < 20; ++round) {
        std::deque<Task<error_code>> tasks;
        for (int i = round * 10; i < round * 10 + 10; ++i)
            tasks.emplace_back(io, resolve_and_connect(dns, "n" + std::to_string(i) + ".test", peer.port()));
        for (auto& task : tasks) EXPECT_EQ(task.wait(), error_code());
    }
    run_until(io, [&peer] { return peer.accepted() == 200; });
}

TEST_F(ResolverTest, TwoHundredLookupsAtOnce) {
    std::deque<Task<result<Lookup>>> tasks;
    for (int i = 0; i < 200; ++i) {
        const std::string name = "n" + std::to_string(i) + ".test";
        server.set(name, {.addresses = {"192.0.2." + std::to_string(i)}});
        tasks.emplace_back(io, dns.resolve(name, 1935, far()));
    }
    for (int i = 0; i < 200; ++i)
        EXPECT_EQ(texts(tasks.at(static_cast<std::size_t>(i)).wait().value()),
                  Strings{"192.0.2." + std::to_string(i)});
}

TEST_F(ResolverTest, ACutLookupIsAborted) {
    server.set("silent.test", {.how = How::never});
    Task<result<Lookup>> task(io, dns.resolve("silent.test", 1935, far()));
    run_until(io, [this] { return server.questions() == 2; });
    task.cut();
    EXPECT_EQ(task.wait().error(), asio::error::operation_aborted);
}

TEST_F(ResolverTest, LookupsUnderWayAreAbortedWithTheResolver) {
    server.set("silent.test", {.how = How::never});
    std::optional<Resolver> passing(std::in_place, io.get_executor(), Strings{server.address()});
    std::deque<Task<result<Lookup>>> tasks;
    for (int i = 0; i < 3; ++i) tasks.emplace_back(io, passing->resolve("silent.test", 1935, far()));
    run_until(io, [this] { return server.questions() == 6; });
    passing.reset();
    for (auto& task : tasks) EXPECT_EQ(task.wait().error(), asio::error::operation_aborted);
}

TEST_F(ResolverTest, NoDescriptorLeftIsOurOwnFault) {
    EXPECT_EQ(failure("name.test"), DnsError::no_such_name);  // what opens a descriptor once now has it
    rlimit before{};
    ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
    const int lowest_free = ::dup(0);
    ASSERT_GE(lowest_free, 0);
    ::close(lowest_free);
    rlimit none = before;
    none.rlim_cur = static_cast<rlim_t>(lowest_free);
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
    const auto code = failure("name.test");
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
    EXPECT_EQ(reason_of(code), Reason::local) << code.message();
}

TEST(Resolver, TakesServersWithAndWithoutPorts) {
    asio::io_context io;
    const Strings good{"192.0.2.1", "192.0.2.1:5353", "2001:db8::1", "[2001:db8::1]", "[2001:db8::1]:53"};
    EXPECT_NO_THROW(Resolver(io.get_executor(), good));
    for (const std::string bad : {"", "dns.test", "192.0.2.1:", "192.0.2.1:0", "192.0.2.1:65536",
                                  "192.0.2.1:5x", "[2001:db8::1", "[2001:db8::1]53", "192.0.2"})
        EXPECT_THROW(Resolver(io.get_executor(), {bad}), std::invalid_argument) << bad;
}

}  // namespace
}  // namespace livecanary::test
