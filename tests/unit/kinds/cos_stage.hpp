#pragma once
// What the tests of cos_roundtrip share: one bucket behind a scripted HTTP server, and runs against it.
#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "probes/cos_roundtrip/kind.hpp"
#include "probes/net/resolver.hpp"
#include "tests/support/http_server.hpp"
#include "tests/support/memory_ledger.hpp"
#include "tests/support/name_server.hpp"
#include "tests/support/toml_text.hpp"

namespace livecanary::test {

using namespace std::chrono_literals;

std::string md5_hex(std::string_view bytes);

std::string crc64_text(std::string_view bytes);

/// COS's answer to what it refuses (vendor's document 436/7730).
HttpReply cos_refuses(int status, const std::string& code, const std::string& message = "No.");

/// The other probes of the daemon: a backend that hands out signKeys, and whoever asks for objects.
class CosPeers final : public Peers {
public:
    boost::asio::awaitable<result<PeerAnswer>> ask(std::string probe, Question question) override;
    bool is_asked(std::string_view probe) const override;
    void tell(Notice) override {}
    std::vector<Notice> told(std::string_view, std::uint64_t) const override { return {}; }

    std::function<result<PeerAnswer>()> say{};
    std::vector<std::string> asked{};             ///< "probe question"
    std::set<std::string, std::less<>> wanted{};  ///< probes that some other one asks
};

/// What a backend says whose clock stands at `now`.
PeerAnswer cos_handed_out(std::chrono::seconds now, std::chrono::seconds width = 30s,
                          const std::string& secret_key = "the-secret-key");

/// A failed run as the daemon judges it.
struct CosJudged {
    RunResult run{};
    Diagnosis diagnosis{};
};

/// The bucket answers rightly but for what stands in `instead`; its requests are counted from 0.
struct CosStage {
    static constexpr const char* bucket = "cover-1250000000";
    static constexpr const char* host = "cover-1250000000.cos.ap-shanghai.myqcloud.com";
    static constexpr const char* date = "Wed, 18 Nov 2026 11:06:40 GMT";
    static constexpr std::chrono::seconds date_unix{1795000000};  ///< `date`
    static constexpr std::size_t put = 0, head = 1, get = 2, erase = 3, head_again = 4;

    asio::io_context io{};
    NameServer names{io};
    net::Resolver dns{io.get_executor(), {names.address()}};
    MemoryLedger ledger{};
    CosPeers peers{};
    Env env{};
    std::map<std::size_t, HttpReply> instead{};
    /// Changes every right answer.
    std::function<void(const HttpHeard&, HttpReply&)> changed{};
    std::optional<std::string> object{};     ///< what lies in the bucket
    std::vector<std::size_t> recorded_at{};  ///< entries of the ledger when each request came
    ScriptedHttpServer server{io, [this](const HttpHeard& heard) { return answer(heard); }};

    CosStage();
    ~CosStage();
    CosStage(const CosStage&) = delete;
    CosStage& operator=(const CosStage&) = delete;

    std::string keys(const std::string& more = {}) const;
    /// A backend signs.
    std::string backend_keys(const std::string& more = {}) const;
    static Probe made_of(const std::string& keys);
    Probe make(const std::string& more = {}) const;
    RunResult run(const Probe& probe, Clock::duration timeout = 30s);
    /// One run and, if it failed, its controls and what follows from them.
    CosJudged judge(const Probe& probe, Clock::duration timeout = 30s);
    /// The methods of all requests, in order.
    std::string methods() const;
    /// The object is gone, but a PUT that we gave up on may make it yet, after our DELETE: it stays written
    /// down, so that a later sweep deletes it once more.
    void expect_deleted_and_written_down() const;
    void expect_clean() const;

private:
    HttpReply answer(const HttpHeard& heard);
    HttpReply right(const HttpHeard& heard);
};

}  // namespace livecanary::test
