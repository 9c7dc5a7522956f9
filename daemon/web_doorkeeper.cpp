#include "daemon/web_doorkeeper.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/sha.h>

#include <algorithm>
#include <iterator>
#include <stdexcept>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace livecanary::daemon::web {

namespace asio = boost::asio;

namespace {

using namespace std::chrono_literals;

/// Passwords that wait to be checked.
constexpr std::size_t most_waiting = 16;
/// After a wrong one.
constexpr auto pause_after_wrong = 100ms;

/// The casts are OpenSSL's way of saying bytes.
const unsigned char* bytes(std::string_view text) {
    return reinterpret_cast<const unsigned char*>(text.data());
}

std::string random_bytes() {
    std::string random(32, '\0');
    if (RAND_bytes(reinterpret_cast<unsigned char*>(random.data()), static_cast<int>(random.size())) != 1)
        throw std::runtime_error("OpenSSL has no randomness");
    return random;
}

bool is_base64_character(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '+' || c == '/';
}

/// RFC 4648, with its padding; nothing if it is none.
std::optional<std::string> from_base64(std::string_view coded) {
    const auto digits = std::min(coded.find('='), coded.size());
    const auto padding = coded.size() - digits;
    if (coded.size() % 4 != 0 || padding > 2 ||
        !std::ranges::all_of(coded.substr(0, digits), is_base64_character) ||
        coded.substr(digits) != std::string_view("==").substr(0, padding))
        return std::nullopt;
    std::string text(coded.size() / 4 * 3, '\0');
    const int size = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(text.data()), bytes(coded),
                                     static_cast<int>(coded.size()));
    if (size < 0) return std::nullopt;
    text.resize(static_cast<std::size_t>(size) - padding);
    return text;
}

/// By value: it runs on another thread.
asio::awaitable<bool> checked(Doorkeeper::Check check, config::Secret hash, config::Secret password) {
    co_return check(hash, password);
}

}  // namespace

/// The right to check one password; the next one's turn comes when it is over.
class Doorkeeper::Turn {
public:
    explicit Turn(Doorkeeper& owner) : owner_(owner) { owner_.checking_ = true; }
    ~Turn() {
        owner_.checking_ = false;
        owner_.next();
    }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

private:
    Doorkeeper& owner_;
};

Doorkeeper::Doorkeeper(asio::io_context& web, Milliseconds patience, Check check)
    : io_(web), patience_(patience), check_(std::move(check)), salt_(random_bytes()) {}

void Doorkeeper::adopt(WebUsers users, config::Secret local_key) {
    std::map<std::string, User, std::less<>> next;
    for (auto& [name, hash] : users) {
        User user{.hash = std::move(hash)};
        const auto before = users_.find(name);
        if (before != users_.end() && before->second.hash == user.hash) user.right = before->second.right;
        next.emplace(name, std::move(user));
    }
    users_ = std::move(next);
    local_ = local_key.empty() ? config::Secret() : config::Secret(local_authorization(local_key));
    if (!users_.empty() && !worker_) worker_.emplace(1);
}

void Doorkeeper::stop() {
    stopping_ = true;
    for (asio::steady_timer* turn : turns_) turn->cancel();
    if (pause_ != nullptr) pause_->cancel();
}

std::optional<Doorkeeper::Claim> Doorkeeper::read(std::string_view authorization) {
    constexpr std::string_view scheme = "basic ";
    const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; };
    if (authorization.size() < scheme.size() ||
        !std::ranges::equal(authorization.substr(0, scheme.size()), scheme, {}, lower))
        return std::nullopt;
    authorization.remove_prefix(
        std::min(authorization.find_first_not_of(' ', scheme.size()), authorization.size()));
    auto text = from_base64(authorization);
    const auto colon = text ? text->find(':') : std::string::npos;
    if (colon == std::string::npos) return std::nullopt;
    Claim claim{.user = text->substr(0, colon), .password = config::Secret(text->substr(colon + 1))};
    OPENSSL_cleanse(text->data(), text->size());
    return claim;
}

Doorkeeper::Digest Doorkeeper::digest(std::string_view user, const config::Secret& hash,
                                      const config::Secret& password) const {
    std::string all = salt_.reveal() + std::to_string(user.size()) + ':';
    all.append(user).append(hash.reveal()).append(password.reveal());
    const config::Secret wiped(std::move(all));
    Digest out{};
    ::SHA256(bytes(wiped.reveal()), wiped.reveal().size(), out.data());
    return out;
}

/// The user of that name, or one that stands in for it: always the same one for a name, so that a name cannot
/// be told from a user's by how long a password takes.
const Doorkeeper::User& Doorkeeper::user_or_decoy(std::string_view name) const {
    if (const auto at = users_.find(name); at != users_.end()) return at->second;
    const Digest chosen = digest(name, {}, {});
    return std::next(users_.begin(), chosen[0] % static_cast<std::ptrdiff_t>(users_.size()))->second;
}

bool Doorkeeper::remembers(const Claim& claim) const {
    const User& user = user_or_decoy(claim.user);
    const Digest said = digest(claim.user, user.hash, claim.password);
    // The name is part of the digest: a decoy's password opens nothing.
    return user.right && CRYPTO_memcmp(said.data(), user.right->data(), said.size()) == 0;
}

bool Doorkeeper::is_local(std::string_view authorization) const {
    const std::string& key = local_.reveal();
    return !key.empty() && authorization.size() == key.size() &&
           CRYPTO_memcmp(authorization.data(), key.data(), key.size()) == 0;
}

/// Wakes the first of those who wait; the others stay where they are.
void Doorkeeper::next() {
    if (!turns_.empty()) turns_.front()->cancel();
}

/// False: it did not come in time.
asio::awaitable<bool> Doorkeeper::turn_comes(asio::steady_timer::time_point deadline) {
    while (checking_ && !stopping_) {
        asio::steady_timer turn(io_, deadline);
        turns_.push_back(&turn);
        const auto [cancelled] = co_await turn.async_wait(asio::as_tuple(asio::use_awaitable));
        std::erase(turns_, &turn);
        if (!cancelled) {
            // The turn may have come in the same moment: then it is the next one's.
            if (!checking_) next();
            co_return false;
        }
    }
    co_return !stopping_;
}

asio::awaitable<Doorkeeper::Verdict> Doorkeeper::judge(std::string authorization) {
    const config::Secret said(std::move(authorization));
    if (users_.empty() || is_local(said.reveal())) co_return Verdict::enters;
    const auto claim = read(said.reveal());
    if (!claim) co_return Verdict::refused;
    if (remembers(*claim)) co_return Verdict::enters;
    if (turns_.size() >= most_waiting) co_return Verdict::busy;
    const bool came = co_await turn_comes(asio::steady_timer::clock_type::now() + patience_);
    if (!came) co_return Verdict::busy;
    // A reload may have come between, or another request with the same password.
    if (users_.empty() || remembers(*claim)) {
        next();
        co_return Verdict::enters;
    }
    const Turn turn(*this);
    const config::Secret hash = user_or_decoy(claim->user).hash;
    auto work = checked(check_, hash, claim->password);
    const bool right = co_await asio::co_spawn(worker_->get_executor(), std::move(work), asio::use_awaitable);
    const auto user = users_.find(claim->user);
    if (right && user != users_.end() && user->second.hash == hash) {
        user->second.right = digest(claim->user, hash, claim->password);
        co_return Verdict::enters;
    }
    if (!stopping_) {
        asio::steady_timer pause(io_, pause_after_wrong);
        pause_ = &pause;
        co_await pause.async_wait(asio::as_tuple(asio::use_awaitable));
        pause_ = nullptr;
    }
    co_return Verdict::refused;
}

}  // namespace livecanary::daemon::web
