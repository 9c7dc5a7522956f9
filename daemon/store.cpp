#include "daemon/store.hpp"

#include <algorithm>
#include <utility>

#include <boost/asio/post.hpp>

#include "probes/core/blocking.hpp"
#include "probes/core/error_table.hpp"

namespace livecanary::daemon {

namespace asio = boost::asio;

namespace {

LitterKey key_of(const Litter& litter) { return {litter.probe, litter.store, litter.item}; }

std::vector<std::string> texts_of(const std::map<std::string, std::string>& kept) {
    std::vector<std::string> texts;
    for (const auto& [name, text] : kept) texts.push_back(text);
    return texts;
}

}  // namespace

error_code make_error_code(LedgerError error) noexcept {
    using enum LedgerError;
    static const ErrorTable<LedgerError> table{
        "livecanary.ledger",
        {{full, "the ledger is full: too many things could not be removed", Reason::local},
         {being_removed, "a sweep is removing the same thing", Reason::local}}};
    return {static_cast<int>(error), table};
}

StateStore::StateStore(StateOptions options) : wall_(options.wall) {
    asio::post(worker_, [this, options = std::move(options)] {
        file_ = std::make_unique<StateFile>(options);
        publish();
    });
}

StateStore::~StateStore() { worker_.join(); }

/// Does `work` on our thread. It is whole even if the caller is cut meanwhile.
template <class T>
asio::awaitable<T> StateStore::on_worker(std::function<T()> work) {
    return blocking<T>(worker_.get_executor(), std::move(work));
}

asio::awaitable<error_code> StateStore::record(Litter litter) {
    std::function<error_code()> work = [this, litter = std::move(litter)] { return record_now(litter); };
    return on_worker(std::move(work));
}

asio::awaitable<error_code> StateStore::strike(Litter litter) {
    std::function<error_code()> work = [this, litter = std::move(litter)] { return strike_now(litter); };
    return on_worker(std::move(work));
}

asio::awaitable<std::optional<std::string>> StateStore::recall(std::string probe, std::string key) {
    std::function<std::optional<std::string>()> work = [this,
                                                        name = MemoryKey{std::move(probe), std::move(key)}] {
        const auto& memories = file_->memories();
        const auto at = memories.find(name);
        return at != memories.end() ? std::optional(at->second) : std::nullopt;
    };
    return on_worker(std::move(work));
}

asio::awaitable<error_code> StateStore::remember(std::string probe, std::string key, std::string value) {
    std::function<error_code()> work = [this, name = MemoryKey{std::move(probe), std::move(key)},
                                        value = std::move(value)] { return remember_now(name, value); };
    return on_worker(std::move(work));
}

void StateStore::run_ended(std::string probe) {
    asio::post(worker_, [this, probe = std::move(probe)] {
        std::erase_if(under_way_, [&](const LitterKey& key) { return key.probe == probe; });
    });
}

void StateStore::keep_alert(std::string name, std::optional<std::string> text) {
    keep_soon(&Waiting::alerts, std::move(name), std::move(text));
}

asio::awaitable<std::vector<std::string>> StateStore::alerts() {
    std::function<std::vector<std::string>()> work = [this] { return texts_of(file_->alerts()); };
    return on_worker(std::move(work));
}

void StateStore::keep_incident(std::string id, std::optional<std::string> text) {
    keep_soon(&Waiting::incidents, std::move(id), std::move(text));
}

void StateStore::keep_soon(Texts Waiting::*which, std::string name, std::optional<std::string> text) {
    const std::lock_guard lock(mutex_);
    const bool is_first = waiting_.alerts.empty() && waiting_.incidents.empty();
    (waiting_.*which)[std::move(name)] = std::move(text);
    if (is_first) asio::post(worker_, [this] { keep_now(); });
}

void StateStore::keep_now() {
    Waiting waiting;
    {
        const std::lock_guard lock(mutex_);
        waiting = std::exchange(waiting_, {});
    }
    // An alert leads to its incident.
    for (auto& [id, text] : waiting.incidents) file_->keep_incident(id, std::move(text));
    for (auto& [name, text] : waiting.alerts) file_->keep_alert(name, std::move(text));
    publish();
}

asio::awaitable<std::vector<std::string>> StateStore::incidents() {
    std::function<std::vector<std::string>()> work = [this] { return texts_of(file_->incidents()); };
    return on_worker(std::move(work));
}

asio::awaitable<std::vector<Litter>> StateStore::leftovers() {
    std::function<std::vector<Litter>()> work = [this] {
        std::vector<Litter> left;
        for (auto& held : all_now())
            if (held.hands == Hands::nobody) left.push_back(std::move(held.litter));
        return left;
    };
    return on_worker(std::move(work));
}

asio::awaitable<std::vector<HeldLitter>> StateStore::all() {
    std::function<std::vector<HeldLitter>()> work = [this] { return all_now(); };
    return on_worker(std::move(work));
}

asio::awaitable<bool> StateStore::claim(Litter litter) {
    std::function<bool()> work = [this, litter = std::move(litter)] { return claim_now(litter); };
    return on_worker(std::move(work));
}

void StateStore::release(Litter litter) {
    asio::post(worker_, [this, key = key_of(litter)] { claimed_.erase(key); });
}

asio::awaitable<std::string> StateStore::trouble() {
    std::function<std::string()> work = [this] { return file_->trouble(); };
    return on_worker(std::move(work));
}

StateFigures StateStore::figures() const {
    const std::lock_guard lock(mutex_);
    return figures_;
}

Hands StateStore::hands_of(const LitterKey& key, const LitterEntry& entry) const {
    const auto age = wall_() - entry.made;
    if (entry.owner == file_->options().owner)
        return under_way_.contains(key) || age < settling ? Hands::ours : Hands::nobody;
    switch (file_->options().look(entry.owner)) {
        case OwnerState::alive:
            return Hands::theirs;
        case OwnerState::hidden:
            return age < hidden_patience ? Hands::theirs : Hands::nobody;
        case OwnerState::gone:
            break;
    }
    return Hands::nobody;
}

error_code StateStore::record_now(const Litter& litter) {
    const auto key = key_of(litter);
    if (claimed_.contains(key)) return LedgerError::being_removed;
    if (file_->entries().size() >= most_litter && !file_->entries().contains(key)) return LedgerError::full;
    under_way_.insert(key);
    file_->record(litter);
    publish();
    return {};
}

error_code StateStore::strike_now(const Litter& litter) {
    const auto key = key_of(litter);
    claimed_.erase(key);
    under_way_.erase(key);
    file_->strike(litter);
    publish();
    return {};
}

error_code StateStore::remember_now(const MemoryKey& key, const std::string& value) {
    const bool is_new = !file_->memories().contains(key);
    if (value.size() > most_remembered || (is_new && file_->memories().size() >= most_memories))
        return make_error_code(boost::system::errc::value_too_large);
    file_->remember(key, value);
    publish();
    return {};
}

bool StateStore::claim_now(const Litter& litter) {
    const auto key = key_of(litter);
    const auto at = file_->entries().find(key);
    if (at == file_->entries().end() || hands_of(key, at->second) != Hands::nobody) return false;
    return claimed_.insert(key).second;
}

std::vector<HeldLitter> StateStore::all_now() {
    file_->refresh();
    publish();
    std::vector<HeldLitter> all;
    for (const auto& [key, entry] : file_->entries()) {
        HeldLitter held{.litter = {key.probe, key.store, key.item, entry.made},
                        .hands = hands_of(key, entry),
                        .owner = entry.owner};
        all.push_back(std::move(held));
    }
    std::ranges::stable_sort(all, {}, [](const HeldLitter& held) { return held.litter.made; });
    return all;
}

void StateStore::publish() {
    std::map<std::string, StateFigures::Store> litter;
    for (const auto& [key, entry] : file_->entries()) {
        auto& store = litter[key.store];
        store.oldest = store.items++ == 0 ? entry.made : std::min(store.oldest, entry.made);
    }
    const std::lock_guard lock(mutex_);
    for (const auto& [name, before] : figures_.litter) litter.try_emplace(name);
    figures_.litter = std::move(litter);
    figures_.write_failures = file_->write_failures();
    figures_.trouble = file_->trouble();
}

}  // namespace livecanary::daemon
