#include "daemon/exchange.hpp"

#include <gtest/gtest.h>

#include <stdexcept>
#include <string>

#include <boost/asio/error.hpp>

#include "tests/unit/daemon/scripted_probe.hpp"

namespace livecanary::daemon {
namespace {

using namespace std::chrono_literals;
namespace asio = boost::asio;
using livecanary::test::await;
using livecanary::test::far;

asio::awaitable<result<PeerAnswer>> say_who(ProbeRun& run, Facts with) {
    PeerAnswer answer;
    answer.facts = std::move(with);
    answer.facts["probe"] = run.env().probe;
    co_return answer;
}
asio::awaitable<result<PeerAnswer>> refuse() { co_return error_code(asio::error::connection_refused); }
asio::awaitable<result<PeerAnswer>> throw_up() {
    throw std::runtime_error("a bug");
    co_return PeerAnswer{};
}

class ExchangeTest : public testing::Test {
protected:
    result<PeerAnswer> ask(const std::string& probe, Clock::time_point deadline = far()) {
        Question question;
        question.what = questions::cos_sign;
        question.with = {{"a", "b"}};
        question.deadline = deadline;
        return await(io, exchange.ask(probe, std::move(question)));
    }
    Exchange::Answerer find(const std::string& name) {
        if (name != settings->name) return {};
        return {.settings = settings, .env = [this] {
                    Env env;
                    env.probe = settings->name;
                    return env;
                }};
    }

    asio::io_context io{};
    std::shared_ptr<ProbeSettings> settings = [] {
        auto probe = std::make_shared<ProbeSettings>();
        probe->name = "mini-live";
        return probe;
    }();
    Exchange exchange{[this](const std::string& name) { return find(name); }};
};

TEST_F(ExchangeTest, AProbeAnswersInAWorldOfItsOwn) {
    settings->probe.answer = [](ProbeRun& run, const Question& question) {
        EXPECT_EQ(question.what, questions::cos_sign);
        EXPECT_GT(run.deadline(), run.started());
        return say_who(run, question.with);
    };
    const auto answer = ask("mini-live");
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->facts, (Facts{{"a", "b"}, {"probe", "mini-live"}}));
}

TEST_F(ExchangeTest, SaysWhyThereIsNoAnswer) {
    EXPECT_EQ(ask("nobody").error(), PeerError::no_such_probe);
    EXPECT_EQ(ask("mini-live").error(), PeerError::not_understood);
    settings->probe.answer = [](ProbeRun&, const Question&) { return refuse(); };
    EXPECT_EQ(ask("mini-live").error(), asio::error::connection_refused);
    EXPECT_EQ(reason_of(ask("mini-live", Clock::now() - 1s).error()), Reason::timeout);
    settings->probe.answer = [](ProbeRun&, const Question&) { return throw_up(); };
    EXPECT_EQ(reason_of(ask("mini-live").error()), Reason::local);
    EXPECT_EQ(reason_of(PeerError::nothing_yet), Reason::local);
}

TEST_F(ExchangeTest, KnowsWhoIsAsked) {
    EXPECT_FALSE(exchange.is_asked("bucket"));
    ProbeSettings cdn;
    cdn.probe.asks = {"bucket"};
    exchange.asked(asked_by(std::vector<ProbeSettings>{cdn}));
    EXPECT_TRUE(exchange.is_asked("bucket"));
    exchange.asked({});
    EXPECT_FALSE(exchange.is_asked("bucket"));
}

TEST_F(ExchangeTest, NoticesAreCountedAndTheOldestMakesRoom) {
    for (std::size_t i = 0; i < most_notices + 5; ++i) {
        Notice notice;
        notice.topic = topics::push;
        exchange.tell(std::move(notice));
    }
    Notice other;
    other.topic = topics::keyword;
    exchange.tell(std::move(other));
    const auto all = exchange.told(topics::push, 0);
    ASSERT_EQ(all.size(), most_notices);
    EXPECT_EQ(all.front().number, 6U);
    const auto news = exchange.told(topics::push, most_notices + 4);
    ASSERT_EQ(news.size(), 1U);
    EXPECT_EQ(news.front().number, most_notices + 5);
    EXPECT_EQ(exchange.told(topics::keyword, 0).size(), 1U);
    EXPECT_TRUE(exchange.told("nothing", 0).empty());
}

}  // namespace
}  // namespace livecanary::daemon
