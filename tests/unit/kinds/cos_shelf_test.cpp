// Objects that stay in the bucket from run to run, because another probe fetches them.
#include <gtest/gtest.h>

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "probes/protocol/cos_sign.hpp"
#include "tests/unit/kinds/cos_stage.hpp"

namespace livecanary::test {
namespace {

/// A bucket of many objects, and a probe whose objects are wanted.
struct Shelves {
    CosStage stage{};
    Probe probe{};
    std::map<std::string, std::string> objects{};  ///< by target
    std::map<std::string, HttpReply> instead{};    ///< by "METHOD target"

    explicit Shelves(const std::string& more = {}) {
        stage.peers.wanted.insert("cover");
        stage.server.answer([this](const HttpHeard& heard) { return reply(heard); });
        probe = stage.make(more);
    }
    HttpReply reply(const HttpHeard& heard) {
        if (const auto other = instead.find(heard.method + " " + heard.target); other != instead.end())
            return other->second;
        const auto at = objects.find(heard.target);
        HttpReply right;
        if (heard.method == "PUT") {
            objects[heard.target] = heard.body;
            right.headers = {{"ETag", "\"" + md5_hex(heard.body) + "\""}};
        } else if (heard.method == "DELETE") {
            objects.erase(heard.target);
            right.status = 204;
        } else if (at == objects.end()) {
            right.status = 404;
        } else if (heard.method == "GET") {
            right = http_says::page(at->second, "application/octet-stream");
        } else {
            right.raw =
                "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(at->second.size()) + "\r\n\r\n";
        }
        return right;
    }
    result<PeerAnswer> ask(std::string_view what = questions::object) {
        ProbeRun run(stage.env, 10s);
        const Question question{.what = what, .with = {}, .deadline = run.deadline()};
        Holder holder;
        auto asked = [](Shelves& of, ProbeRun& under, const Question& question_of,
                        Holder& into) -> asio::awaitable<bool> {
            into.answer = co_await of.probe.answer(under, question_of);
            co_return true;
        };
        await(stage.io, asked(*this, run, question, holder));
        return *std::move(holder.answer);
    }
    void leave() {
        ProbeRun run(stage.env, 2s);
        auto leaves = [](Probe& of, ProbeRun& under) -> asio::awaitable<bool> {
            co_await of.leave(under);
            co_return true;
        };
        await(stage.io, leaves(probe, run));
    }
    error_code remove(const Litter& litter) {
        ProbeRun run(stage.env, 2s);
        return await(stage.io, probe.remove(run, litter));
    }
    /// What stands in the ledger is what lies in the bucket.
    void expect_written_down(std::size_t count) const {
        EXPECT_EQ(objects.size(), count) << stage.methods();
        ASSERT_EQ(stage.ledger.kept.size(), count);
        for (const auto& litter : stage.ledger.kept)
            EXPECT_TRUE(objects.contains("/" + litter.item.substr(litter.item.find(' ') + 1))) << litter.item;
    }

private:
    struct Holder {
        std::optional<result<PeerAnswer>> answer{};
    };
};

std::string way(const RunResult& run) {
    std::string names;
    for (const auto& phase : run.phases) names += (names.empty() ? "" : " ") + std::string(phase.phase.name);
    return names;
}

TEST(CosShelf, ObjectStaysUntilTheNextRunDeletesIt) {
    Shelves shelves;
    const RunResult first = shelves.stage.run(shelves.probe);
    EXPECT_EQ(first.outcome(), RunOutcome::ok) << first.code.message();
    EXPECT_EQ(way(first), "tcp put head get verify");
    EXPECT_EQ(shelves.stage.methods(), "PUT HEAD GET");
    shelves.expect_written_down(1);
    const std::string earlier = shelves.objects.begin()->first;

    const RunResult second = shelves.stage.run(shelves.probe);
    EXPECT_EQ(second.outcome(), RunOutcome::ok) << second.code.message();
    EXPECT_EQ(way(second), "tcp put head get verify delete");
    EXPECT_EQ(shelves.stage.methods(), "PUT HEAD GET PUT HEAD GET DELETE HEAD");
    EXPECT_EQ(shelves.stage.server.last().target, earlier);
    EXPECT_FALSE(shelves.objects.contains(earlier));
    shelves.expect_written_down(1);

    shelves.leave();
    shelves.expect_written_down(0);
}

TEST(CosShelf, NobodyAsksSoNothingStays) {
    Shelves shelves;
    shelves.stage.peers.wanted.clear();
    EXPECT_EQ(way(shelves.stage.run(shelves.probe)), "tcp put head get verify delete");
    shelves.expect_written_down(0);
    EXPECT_EQ(shelves.ask().error(), PeerError::nothing_yet);
    shelves.leave();
}

TEST(CosShelf, NobodyAsksAnyMoreSoTheKeptOneGoesToo) {
    Shelves shelves;
    shelves.stage.run(shelves.probe);
    shelves.expect_written_down(1);
    shelves.stage.peers.wanted.clear();
    const RunResult run = shelves.stage.run(shelves.probe);
    EXPECT_EQ(way(run), "tcp put head get verify delete");
    shelves.expect_written_down(0);
}

TEST(CosShelf, AnswerSaysAllThatAFetchNeeds) {
    Shelves shelves("token = { env = 'TOKEN' }\n");
    EXPECT_EQ(shelves.ask().error(), PeerError::nothing_yet) << "before the first run";
    shelves.stage.run(shelves.probe);
    const auto answer = shelves.ask();
    ASSERT_TRUE(answer) << answer.error().message();
    const auto& [target, bytes] = *shelves.objects.begin();
    const std::string host = std::string(CosStage::host) + ":" + std::to_string(shelves.stage.server.port());
    EXPECT_EQ(answer->facts, (Facts{{"url", "http://" + host + target},
                                    {"path", target},
                                    {"size", "65536"},
                                    {"md5", md5_hex(bytes)},
                                    {"crc64", crc64_text(bytes)},
                                    {"etag", "\"" + md5_hex(bytes) + "\""},
                                    {"uploaded", "1795000000000"},
                                    {"address", "127.0.0.1"},
                                    {"ca_file", ""}}));
    EXPECT_EQ(answer->secrets.at("token").reveal(), "the-token");
    const auto authorization =
        protocol::parse_cos_authorization(answer->secrets.at("authorization").reveal());
    ASSERT_TRUE(authorization);
    const auto request = protocol::cos_request("GET", "http://" + host + target);
    ASSERT_TRUE(request);
    const auto check = protocol::check_cos(*authorization, *request, {.secret_key = "the-secret-key"},
                                           std::chrono::sys_seconds(CosStage::date_unix + 4min));
    EXPECT_TRUE(check.match.exact());
    EXPECT_FALSE(check.expired());
    EXPECT_EQ(shelves.ask("cos_sign").error(), PeerError::not_understood);
}

TEST(CosShelf, BackendSignsTheFetchToo) {
    Shelves shelves;
    shelves.probe = CosStage::made_of(shelves.stage.backend_keys());
    shelves.stage.peers.say = [] { return cos_handed_out(CosStage::date_unix); };
    shelves.stage.run(shelves.probe);
    const auto answer = shelves.ask();
    ASSERT_TRUE(answer) << answer.error().message();
    const auto authorization =
        protocol::parse_cos_authorization(answer->secrets.at("authorization").reveal());
    ASSERT_TRUE(authorization);
    EXPECT_EQ(authorization->key_time.to_string(), "1795000000;1795000030");
    shelves.stage.peers.say = [] { return result<PeerAnswer>(PeerError::nothing_yet); };
    EXPECT_EQ(shelves.ask().error(), PeerError::nothing_yet);
    shelves.stage.peers.say = [] { return cos_handed_out(CosStage::date_unix); };
    shelves.leave();
    shelves.expect_written_down(0);
}

TEST(CosShelf, NextRunWaitsUntilTheFetchIsOver) {
    Shelves shelves;
    shelves.stage.run(shelves.probe);
    auto one = shelves.ask();
    auto other = shelves.ask();
    ASSERT_TRUE(one && other);
    ProbeRun under_way(shelves.stage.env, 30s);
    Task<RunResult> task(shelves.stage.io, shelves.probe.run(under_way));
    run_until(shelves.stage.io, [&] { return shelves.stage.server.heard().size() == 6; });
    // All that is left to do is to delete, which waits.
    run_until(shelves.stage.io, [&] { return task.ended() || !under_way.so_far().got("kept").empty(); });
    ASSERT_FALSE(task.ended()) << "it did not wait";
    one->hold.reset();
    EXPECT_EQ(shelves.ask()->facts.at("path"), shelves.stage.server.last().target)
        << "the new one is to be had";
    EXPECT_EQ(shelves.objects.size(), 2U);
    other->hold.reset();
    const RunResult run = task.wait();
    EXPECT_EQ(run.outcome(), RunOutcome::ok) << run.code.message();
    shelves.expect_written_down(1);
}

TEST(CosShelf, FetchThatDoesNotEndIsNotWaitedForBeyondTheRun) {
    Shelves shelves;
    shelves.stage.run(shelves.probe);
    auto held = shelves.ask();
    ASSERT_TRUE(held);
    const RunResult run = shelves.stage.run(shelves.probe, 300ms);
    EXPECT_EQ(run.outcome(), RunOutcome::ok) << run.code.message();
    shelves.expect_written_down(2);
    held->hold.reset();
    shelves.stage.run(shelves.probe);
    shelves.expect_written_down(1);
}

TEST(CosShelf, CutRunLeavesBothToTheProbesEnd) {
    Shelves shelves;
    shelves.stage.run(shelves.probe);
    auto held = shelves.ask();
    ProbeRun under_way(shelves.stage.env, 30s);
    Task<RunResult> task(shelves.stage.io, shelves.probe.run(under_way));
    run_until(shelves.stage.io, [&] { return task.ended() || !under_way.so_far().got("kept").empty(); });
    ASSERT_FALSE(task.ended()) << "it did not wait";
    task.cut();
    task.wait();
    EXPECT_TRUE(under_way.was_cut());
    shelves.expect_written_down(2);
    shelves.leave();
    shelves.expect_written_down(0);
}

TEST(CosShelf, RunThatFailsKeepsTheEarlierOne) {
    Shelves shelves;
    shelves.stage.run(shelves.probe);
    const std::string earlier = shelves.objects.begin()->first;
    shelves.stage.server.answer([&](const HttpHeard& heard) {
        return heard.method == "HEAD" ? HttpReply{.status = 500} : shelves.reply(heard);
    });
    const RunResult run = shelves.stage.run(shelves.probe);
    EXPECT_EQ(run.failed_phase(), "head");
    shelves.expect_written_down(1);
    EXPECT_EQ(shelves.ask()->facts.at("path"), earlier);
}

TEST(CosShelf, EarlierOneThatCannotBeDeletedIsTheSweeps) {
    Shelves shelves;
    shelves.stage.run(shelves.probe);
    const std::string earlier = shelves.objects.begin()->first;
    const Litter litter = shelves.stage.ledger.kept.front();
    shelves.instead["DELETE " + earlier] = cos_refuses(403, "AccessDenied");
    const RunResult run = shelves.stage.run(shelves.probe);
    EXPECT_EQ(run.failed_phase(), "delete");
    shelves.expect_written_down(2);
    shelves.instead.clear();
    EXPECT_EQ(shelves.remove(litter), error_code());
    EXPECT_FALSE(shelves.objects.contains(earlier));
    EXPECT_TRUE(shelves.ask()) << "the new one lies there all the same";
}

TEST(CosShelf, SweepLeavesWhatIsKept) {
    Shelves shelves;
    shelves.stage.run(shelves.probe);
    const auto asked = shelves.stage.server.heard().size();
    EXPECT_EQ(shelves.remove(shelves.stage.ledger.kept.front()),
              boost::system::errc::device_or_resource_busy);
    EXPECT_EQ(shelves.stage.server.heard().size(), asked);
}

}  // namespace
}  // namespace livecanary::test
