#pragma once
// What outlives the daemon: the ledger of what runs make at their targets, what probes remember, the alerts
// and the incidents. On a thread of its own, since a disk may take its time.
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/thread_pool.hpp>

#include "daemon/state_file.hpp"
#include "probes/core/ledger.hpp"
#include "probes/core/memory.hpp"

namespace livecanary::daemon {

/// Why an entry is refused. Both are our own fault: the run proves nothing about its target.
enum class LedgerError {
    full = 1,       ///< as many entries as we are willing to leave behind
    being_removed,  ///< a sweep is removing the very thing
};
error_code make_error_code(LedgerError error) noexcept;

/// Of all probes together; a probe has a handful.
constexpr std::size_t most_memories = 100'000;
/// Of all probes together. A run a minute that can never remove what it makes gets there after two months.
constexpr std::size_t most_litter = 100'000;

/// Whose hands an entry is in.
enum class Hands {
    ours,    ///< a run of this process has it under way, or ended less than `settling` ago
    theirs,  ///< the process that recorded it runs, or may run
    nobody,  ///< left over: to be removed
};

/// What a run has left behind may still be wanted by the run of another probe, such as a fetch through a CDN.
constexpr std::chrono::minutes settling{10};
/// The longest a process that cannot be looked at may have an entry under way: the longest timeout of a
/// probe.
constexpr std::chrono::hours hidden_patience{24};

/// An entry, and in whose hands it is.
struct HeldLitter {
    Litter litter{};
    Hands hands = Hands::nobody;
    std::string owner{};  ///< owner.hpp
};

/// For metrics.
struct StateFigures {
    struct Store {
        std::size_t items = 0;
        WallTime oldest{};  ///< if there are items
    };
    std::map<std::string, Store>
        litter{};  ///< by store; stays, with no items, when the last one is struck out
    std::uint64_t write_failures = 0;
    std::string trouble{};  ///< why nothing is durable; empty if all is well
};

/// Safe to call from any one executor at a time. What is asked for is done in the order asked.
class StateStore final : public Ledger, public Memory {
public:
    /// Returns at once: the file is opened on the store's thread. Without `options.say` it says nothing.
    explicit StateStore(StateOptions options);
    StateStore(const StateStore&) = delete;
    StateStore& operator=(const StateStore&) = delete;
    /// Waits until all that was asked for is done.
    ~StateStore() override;

    /// LedgerError. A disk that cannot be had is no error (docs/decisions/0005-state.md). Not cut by
    /// cancellation.
    boost::asio::awaitable<error_code> record(Litter litter) override;
    boost::asio::awaitable<error_code> strike(Litter litter) override;
    boost::asio::awaitable<std::optional<std::string>> recall(std::string probe, std::string key) override;
    boost::asio::awaitable<error_code> remember(std::string probe, std::string key,
                                                std::string value) override;
    /// No run of `probe` has anything under way any more.
    void run_ended(std::string probe);
    /// Keeps an alert (alerts.hpp) over restarts; nothing: forgets it. Does not wait until it is done: what a
    /// disk that hangs lets pile up is the last text of each.
    void keep_alert(std::string name, std::optional<std::string> text);
    /// What is kept.
    boost::asio::awaitable<std::vector<std::string>> alerts();
    /// Likewise an incident (incident_book.hpp).
    void keep_incident(std::string id, std::optional<std::string> text);
    boost::asio::awaitable<std::vector<std::string>> incidents();

    /// The entries in nobody's hands, oldest first. Looks at the file: other processes write to it too.
    boost::asio::awaitable<std::vector<Litter>> leftovers();
    /// All entries, oldest first, likewise.
    boost::asio::awaitable<std::vector<HeldLitter>> all();
    /// Takes an entry that is in nobody's hands, to remove it: until it is struck out or released, nobody can
    /// record it. False if it is gone, or in somebody's hands.
    boost::asio::awaitable<bool> claim(Litter litter);
    void release(Litter litter);

    /// Why nothing is durable; empty if all is well.
    boost::asio::awaitable<std::string> trouble();
    /// Kept in memory, up to date with what this process did, and with the others at each look at the file.
    StateFigures figures() const;

private:
    template <class T>
    boost::asio::awaitable<T> on_worker(std::function<T()> work);
    Hands hands_of(const LitterKey& key, const LitterEntry& entry) const;
    error_code record_now(const Litter& litter);
    error_code strike_now(const Litter& litter);
    error_code remember_now(const MemoryKey& key, const std::string& value);
    bool claim_now(const Litter& litter);
    std::vector<HeldLitter> all_now();
    using Texts = std::map<std::string, std::optional<std::string>>;
    struct Waiting {
        Texts alerts{}, incidents{};
    };
    void keep_soon(Texts Waiting::*which, std::string name, std::optional<std::string> text);
    void keep_now();
    void publish();

    // Of the thread:
    std::function<WallTime()> wall_;
    std::unique_ptr<StateFile> file_{};
    std::set<LitterKey> under_way_{};  ///< recorded by runs of this process that have not ended
    std::set<LitterKey> claimed_{};

    mutable std::mutex mutex_{};
    StateFigures figures_{};
    Waiting waiting_{};  ///< to be kept

    boost::asio::thread_pool worker_{1};
};

}  // namespace livecanary::daemon

template <>
struct boost::system::is_error_code_enum<livecanary::daemon::LedgerError> : std::true_type {};
