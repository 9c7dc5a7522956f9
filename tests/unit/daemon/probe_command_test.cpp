#include "daemon/probe_command.hpp"

#include <gtest/gtest.h>

#include <csignal>
#include <deque>
#include <filesystem>
#include <list>
#include <sstream>
#include <string>
#include <vector>

#include <boost/json/parse.hpp>

#include "probes/net/resolver.hpp"
#include "tests/support/name_server.hpp"
#include "tests/unit/daemon/scripted_probe.hpp"
#include "tests/unit/daemon/state_folder.hpp"

namespace livecanary::daemon {
namespace {

using namespace std::chrono_literals;
using namespace test;
using Output = ProbeCommand::Output;

/// A configuration of scripted probes, and the verb run on it.
class ProbeNow : public testing::Test {
protected:
    ScriptedProbe& add(const std::string& name, std::deque<Step> script,
                       const std::string& severity = "critical") {
        auto& probe = scripts.emplace_back(std::move(script));
        auto one = probe.settings();
        one.name = name;
        one.severity = severity;
        settings.probes.push_back(std::move(one));
        return probe;
    }
    int run(ProbeCommand command) {
        out.str("");
        err.str("");
        return probe_now(out, err, command, settings);
    }
    /// The exit code for all of them, by what they do.
    int code_of_all(std::vector<Step> each, Output output) {
        settings.probes.clear();
        int number = 0;
        for (auto& step : each) add("p" + std::to_string(++number), {std::move(step)});
        return run({.all = true, .output = output});
    }
    static Step is_unsure() {
        return after([](ProbeRun& r) { r.inconclusive("the clock is unsafe"); }, fails());
    }

    std::list<ScriptedProbe> scripts{};
    Settings settings{};
    std::ostringstream out{}, err{};
};

TEST_F(ProbeNow, ExitCodeSaysTheWorst) {
    for (const auto output : {Output::people, Output::json}) {
        EXPECT_EQ(code_of_all({succeeds(), succeeds()}, output), 0);
        EXPECT_EQ(code_of_all({succeeds(), fails()}, output), 1);
        EXPECT_EQ(code_of_all({is_unsure(), fails()}, output), 1);
        EXPECT_EQ(code_of_all({succeeds(), is_unsure()}, output), 3);
        EXPECT_EQ(code_of_all({throws("a bug")}, output), 3);
    }
}

TEST_F(ProbeNow, ExitCodeOfAPlugin) {
    EXPECT_EQ(code_of_all({succeeds(), succeeds()}, Output::nagios), 0);
    EXPECT_EQ(code_of_all({succeeds(), is_unsure()}, Output::nagios), 3);
    EXPECT_EQ(code_of_all({is_unsure(), fails()}, Output::nagios), 2);
}

TEST_F(ProbeNow, RunsWhatItIsTold) {
    auto& a = add("a", {succeeds()});
    auto& b = add("b", {succeeds()});
    auto& c = add("c", {succeeds()});
    EXPECT_EQ(run({.names = {"c", "a"}}), 0);
    EXPECT_EQ(a.started, 1);
    EXPECT_EQ(b.started, 0);
    EXPECT_EQ(c.started, 1);
    EXPECT_LT(out.str().find("c (scripted)"), out.str().find("a (scripted)")) << "in the order given";
    EXPECT_EQ(run({.kind = "scripted"}), 0);
    EXPECT_EQ(b.started, 1);
    EXPECT_EQ(run({.names = {"b"}, .all = true}), 0);
    EXPECT_EQ(b.started, 2) << "named twice, run once";
}

asio::awaitable<RunResult> make_something(ProbeRun& run, std::string& seen) {
    run.enter(publish);
    if (run.env().ledger == nullptr) {
        seen = "no ledger";
        co_return run.ok();
    }
    Litter litter{run.env().probe, "cos", "x", run.env().wall()};
    const auto code = co_await run.env().ledger->record(std::move(litter));
    seen = run.env().probe + ": " + code.message();
    co_return run.ok();
}
asio::awaitable<error_code> remove_nothing() { co_return error_code(); }

TEST_F(ProbeNow, AProbeThatMakesThingsHasTheLedger) {
    const StateFolder folder;
    settings.state_directory = folder.path();
    std::string seen;
    add("maker", {[&](ProbeRun& run) { return make_something(run, seen); }});
    EXPECT_EQ(run({.all = true}), 0);
    EXPECT_EQ(seen, "no ledger");
    EXPECT_FALSE(std::filesystem::exists(folder.file())) << "none of the probes makes anything";
    settings.probes[0].probe.remove = [](ProbeRun&, const Litter&) { return remove_nothing(); };
    EXPECT_EQ(run({.all = true}), 0);
    EXPECT_EQ(seen, "maker: Success");
    EXPECT_EQ(Shell(folder.file()).run("SELECT item FROM litter"), "x");
    EXPECT_EQ(err.str(), "");
}

TEST_F(ProbeNow, WithoutAStateDirectoryItSaysSoOnceAndGoesOn) {
    const StateFolder folder;
    settings.state_directory = folder.path() / "no" / "such";
    std::string seen;
    for (const std::string name : {"a", "b"}) {
        add(name, {[&](ProbeRun& run) { return make_something(run, seen); }});
        settings.probes.back().probe.remove = [](ProbeRun&, const Litter&) { return remove_nothing(); };
    }
    EXPECT_EQ(run({.all = true}), 0);
    EXPECT_EQ(seen, "b: Success");
    EXPECT_EQ(err.str(),
              "livecanary: the ledger in " + settings.state_directory +
                  " cannot be written (No such file or directory): if this is killed, what it made is "
                  "not removed\n");
}

TEST_F(ProbeNow, SaysWhatThereIs) {
    add("push-main", {succeeds()});
    add("cover", {succeeds()});
    EXPECT_EQ(run({.names = {"push-mian"}}), 2);
    EXPECT_EQ(err.str(), "livecanary: no probe named 'push-mian'. There are: push-main cover\n");
    EXPECT_EQ(out.str(), "");
    EXPECT_EQ(run({}), 2);
    EXPECT_EQ(err.str(), "livecanary: no probe to run: name some, or give --all or --kind\n");
    EXPECT_EQ(run({.kind = "mysql"}), 2);
    EXPECT_EQ(err.str(),
              "livecanary: no probe of kind 'mysql'. There are: push-main (scripted) cover (scripted)\n");
    EXPECT_EQ(run({.names = {"push-mian"}, .output = Output::nagios}), 3) << "2 would be an outage";
    EXPECT_EQ(out.str(), "LIVECANARY UNKNOWN - no such probe\n");
}

TEST_F(ProbeNow, JsonIsOneObjectALine) {
    settings.location = "shanghai-1";
    add("a", {succeeds()});
    add("b", {fails()});
    run({.all = true, .output = Output::json});
    std::istringstream lines(out.str());
    std::vector<boost::json::value> values;
    for (std::string line; std::getline(lines, line);) values.push_back(boost::json::parse(line));
    ASSERT_EQ(values.size(), 2U);
    EXPECT_EQ(values[0].at("probe"), "a");
    EXPECT_EQ(values[0].at("outcome"), "ok");
    EXPECT_EQ(values[0].at("location"), "shanghai-1");
    EXPECT_EQ(values[1].at("outcome"), "failed");
    EXPECT_EQ(values[1].at("controls").at(0).at("name"), "scripted") << "controls are played at once";
}

/// Durations are measured, so they are set to one here.
std::string timeless(const std::string& text) {
    std::string out;
    std::size_t at = 0;
    for (std::size_t from; (from = text.find("'=", at)) != std::string::npos;) {
        out += text.substr(at, from + 2 - at) + "1";
        at = text.find('s', from);
    }
    return out + text.substr(at);
}

TEST_F(ProbeNow, NagiosWordForWord) {
    add("a", {succeeds()});
    add("b", {succeeds()});
    EXPECT_EQ(run({.all = true, .output = Output::nagios}), 0);
    EXPECT_EQ(timeless(out.str()), "LIVECANARY OK - 2 probes ok | 'a'=1s 'b'=1s\n");
    add("c", {fails()}, "warning");
    EXPECT_EQ(run({.all = true, .output = Output::nagios}), 1);
    EXPECT_EQ(timeless(out.str()),
              "LIVECANARY WARNING - c: publish: refused (Connection refused) | 'a'=1s 'b'=1s 'c'=1s\n"
              "c: publish: refused (Connection refused)\n");
    add("d", {fails(asio::error::eof, tcp)});
    add("e", {is_unsure()});
    EXPECT_EQ(run({.all = true, .output = Output::nagios}), 2);
    EXPECT_EQ(timeless(out.str()),
              "LIVECANARY CRITICAL - d: tcp: closed (End of file) | 'a'=1s 'b'=1s 'c'=1s 'd'=1s 'e'=1s\n"
              "c: publish: refused (Connection refused)\n"
              "d: tcp: closed (End of file)\n"
              "e: the clock is unsafe\n");
    EXPECT_EQ(run({.names = {"e"}, .output = Output::nagios}), 3);
    EXPECT_EQ(timeless(out.str()),
              "LIVECANARY UNKNOWN - e: the clock is unsafe | 'e'=1s\ne: the clock is unsafe\n");
    EXPECT_EQ(run({.names = {"a"}, .output = Output::nagios}), 0);
    EXPECT_EQ(timeless(out.str()), "LIVECANARY OK - 1 probe ok | 'a'=1s\n");
}

TEST_F(ProbeNow, NagiosTextHoldsNoBar) {
    add("a", {after([](ProbeRun& r) { r.inconclusive("this | that"); }, succeeds())});
    run({.all = true, .output = Output::nagios});
    EXPECT_EQ(timeless(out.str()), "LIVECANARY UNKNOWN - a: this / that | 'a'=1s\na: this / that\n");
}

TEST_F(ProbeNow, ShowsEachPhaseAsItHappens) {
    add("a", {after([](ProbeRun& r) { r.enter(dns); }, fails())});
    run({.all = true, .live = true});
    const auto text = out.str();
    EXPECT_TRUE(text.starts_with("a → a script\n  ...  dns\r  ok   dns")) << text;
    EXPECT_NE(text.find("\n  ...  publish\r  FAIL publish"), std::string::npos) << text;
    EXPECT_LT(text.find("FAIL publish"), text.find("a (scripted) a script\n")) << "then the result";
}

TEST_F(ProbeNow, AsksTheAnchorsToo) {
    asio::io_context io;
    asio::ip::udp::socket server(io, {asio::ip::address_v4::loopback(), 0});
    settings.dns_servers = {"127.0.0.1:" + std::to_string(server.local_endpoint().port())};
    server.close();  // so nothing listens there
    settings.anchors = {"http://anchor.test/"};
    auto& probe = add("a", {fails(asio::error::host_unreachable, tcp)});
    EXPECT_EQ(run({.all = true}), 3);
    EXPECT_NE(out.str().find("the anchors fail too: http://anchor.test/: the name server could not answer"),
              std::string::npos)
        << out.str();
    EXPECT_EQ(probe.experiments, 0) << "nothing is proven, so nothing is to be told apart";
}

TEST_F(ProbeNow, AnInterruptCutsTheRunAndIsNoResult) {
    bool cleaned_up = false;
    auto& first = add("a", {after([](ProbeRun&) { std::raise(SIGINT); }, hangs(cleaned_up))});
    auto& second = add("b", {succeeds()});
    EXPECT_EQ(run({.all = true, .output = Output::json}), 4);
    EXPECT_EQ(first.ended, 1);
    EXPECT_TRUE(cleaned_up);
    EXPECT_EQ(second.started, 0);
    EXPECT_EQ(out.str(), "");
    EXPECT_EQ(err.str(), "livecanary: interrupted\n");
}

asio::awaitable<RunResult> look_up(ProbeRun& run) {
    run.enter(dns);
    const auto found = co_await run.env().dns->resolve("silent.test", 80, run.started() + 20ms);
    co_return run.fail(found.error());
}

TEST_F(ProbeNow, DoesNotWaitForALookupItLeftBehind) {
    asio::io_context io;
    livecanary::test::NameServer silent(io);
    silent.set("silent.test", {.how = livecanary::test::DnsReply::How::never});
    settings.dns_servers = {silent.address()};
    auto& probe = add("a", {look_up});
    EXPECT_EQ(run({.all = true}), 1);
    EXPECT_EQ(probe.judged.front().reason(), Reason::timeout);
    io.poll();
    EXPECT_EQ(silent.questions(), 2) << "for A and for AAAA; c-ares asks again two seconds later";
}

asio::awaitable<result<PeerAnswer>> answer_with(std::string words) {
    PeerAnswer answer;
    answer.facts["words"] = std::move(words);
    co_return answer;
}
asio::awaitable<RunResult> ask_and_end(ProbeRun& run, std::string& heard) {
    run.enter(publish);
    Question question;
    question.what = questions::object;
    question.deadline = run.deadline();
    const auto answer = co_await run.env().peers->ask("bucket", std::move(question));
    heard = answer ? answer->facts.at("words") : answer.error().message();
    co_return run.ok();
}
asio::awaitable<void> note_leaving(bool& left) {
    left = true;
    co_return;
}

TEST_F(ProbeNow, WhatOneNeedsOfAnotherRunsFirstAndIsPutAwayAfter) {
    std::string heard;
    bool left = false, left_before_it_was_asked = false;
    add("cdn", {[&](ProbeRun& run) {
            left_before_it_was_asked = left;
            return ask_and_end(run, heard);
        }});
    auto& bucket = add("bucket", {succeeds()});
    settings.probes[0].probe.asks = settings.probes[0].probe.after = {"bucket"};
    settings.probes[1].probe.answer = [&](ProbeRun& run, const Question& question) {
        EXPECT_TRUE(run.env().peers->is_asked("bucket"));
        return answer_with(std::string(question.what) + " after " + std::to_string(bucket.ended) + " run");
    };
    settings.probes[1].probe.leave = [&](ProbeRun&) { return note_leaving(left); };
    EXPECT_EQ(run({.names = {"cdn"}}), 0);
    EXPECT_EQ(heard, "object after 1 run");
    EXPECT_LT(out.str().find("bucket"), out.str().find("cdn"));
    EXPECT_FALSE(left_before_it_was_asked);
    EXPECT_TRUE(left);
    EXPECT_EQ(run({.names = {"cdn", "bucket"}}), 0);
    EXPECT_EQ(bucket.ended, 2) << "once each time";
}

}  // namespace
}  // namespace livecanary::daemon
