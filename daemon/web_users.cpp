#include "daemon/web_users.hpp"

#include <crypt.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <fstream>
#include <memory>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "config/descriptor.hpp"

namespace livecanary::daemon {
namespace {

constexpr std::size_t longest_name = 128;
/// "$2b$10$", 22 characters of salt, 31 of the hash itself (crypt(5)).
constexpr std::size_t hash_length = 60, hash_itself = 31;
/// bcrypt doubles its time with each step; 14 is a second on a machine of 2020, and 15 might hold a stop up.
constexpr int lowest_cost = 4, highest_cost = 14;
constexpr std::size_t key_bytes = 32;

bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool is_bcrypt_character(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) || c == '.' || c == '/';
}

std::string random_hex() {
    std::array<unsigned char, key_bytes> random{};
    if (RAND_bytes(random.data(), static_cast<int>(random.size())) != 1)
        throw std::runtime_error("OpenSSL has no randomness");
    constexpr std::string_view digits = "0123456789abcdef";
    std::string out;
    for (const unsigned char byte : random) out.append({digits[byte >> 4U], digits[byte & 15U]});
    return out;
}

std::string key_file(const std::string& state_directory) { return state_directory + "/web.key"; }

}  // namespace

std::string objection_to_user(std::string_view name) {
    if (name.empty()) return "a user needs a name";
    if (name.find(':') != name.npos) return "a user with ':' cannot be told from its password (RFC 7617)";
    if (std::ranges::any_of(name, [](unsigned char c) { return c < ' ' || c == 0x7f; }))
        return "a user's name has no control characters";
    if (name.size() > longest_name)
        return "a user's name has at most " + std::to_string(longest_name) + " bytes";
    return {};
}

std::string objection_to_hash(std::string_view hash) {
    const bool shaped = hash.size() == hash_length &&
                        (hash.starts_with("$2a$") || hash.starts_with("$2b$") || hash.starts_with("$2y$")) &&
                        is_digit(hash[4]) && is_digit(hash[5]) && hash[6] == '$' &&
                        std::ranges::all_of(hash.substr(7), is_bcrypt_character);
    if (!shaped)
        return "expected a bcrypt hash, which begins with $2y$, $2b$ or $2a$ and has 60 characters: "
               "htpasswd -nBC 10 \"\" asks for the password and prints one";
    const int cost = (hash[4] - '0') * 10 + (hash[5] - '0');
    if (cost < lowest_cost || cost > highest_cost)
        return "the cost of this hash is " + std::to_string(cost) + ": expected " +
               std::to_string(lowest_cost) + " to " + std::to_string(highest_cost) +
               ", since each step doubles the time that a password takes";
    return {};
}

bool is_password_of(const config::Secret& hash, const config::Secret& password) {
    // crypt() would take what stands before it for the whole.
    if (password.reveal().find('\0') != std::string::npos) return false;
    const auto work = std::make_unique<crypt_data>();
    const char* found = ::crypt_r(password.reveal().c_str(), hash.reveal().c_str(), work.get());
    const std::string_view text = found != nullptr ? found : "";
    // Only the hash itself: bits of the salt that mean nothing come back as zeros.
    const std::string_view wanted = hash.reveal();
    const bool right = text.size() == wanted.size() && text.size() > hash_itself &&
                       CRYPTO_memcmp(text.data() + text.size() - hash_itself,
                                     wanted.data() + wanted.size() - hash_itself, hash_itself) == 0;
    OPENSSL_cleanse(work.get(), sizeof(crypt_data));
    return right;
}

config::Secret make_local_key(const std::string& state_directory, std::string& error) {
    config::Secret key(random_hex());
    const std::string path = key_file(state_directory), next = path + ".new";
    ::mkdir(state_directory.c_str(), 0700);  // as the state file does, which may come later
    ::unlink(next.c_str());
    const config::Descriptor file(
        ::open(next.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
    const auto size = static_cast<ssize_t>(key.reveal().size());
    if (file.get() < 0 || ::write(file.get(), key.reveal().data(), key.reveal().size()) != size ||
        ::rename(next.c_str(), path.c_str()) != 0) {
        error = "cannot write " + path + ": " + std::generic_category().message(errno);
        return {};
    }
    return key;
}

config::Secret read_local_key(const std::string& state_directory) {
    std::ifstream in(key_file(state_directory), std::ios::binary);
    std::string text(2 * key_bytes, '\0');
    in.read(text.data(), static_cast<std::streamsize>(text.size()));
    config::Secret key(std::move(text));
    return in ? key : config::Secret();
}

std::string local_authorization(const config::Secret& key) { return "Bearer " + key.reveal(); }

}  // namespace livecanary::daemon
