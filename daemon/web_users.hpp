#pragma once
// Who may see the pages: names with bcrypt hashes, and the key for who is on this machine anyway.
#include <map>
#include <string>
#include <string_view>

#include "config/secret.hpp"

namespace livecanary::daemon {

/// Names and bcrypt hashes.
using WebUsers = std::map<std::string, config::Secret, std::less<>>;

/// Why nobody can have that name; empty if somebody can.
std::string objection_to_user(std::string_view name);
/// Why that is not a hash that is taken: words that do not repeat it. Empty if it is.
std::string objection_to_hash(std::string_view hash);

/// Whether `password` is the one of `hash`, which objection_to_hash() has passed. Takes as long as the cost
/// in the hash asks for: tens of milliseconds and more.
bool is_password_of(const config::Secret& hash, const config::Secret& password);

/// A new key for who may read the state directory, in a file that only its owner can read; it replaces the
/// one before. Empty, with the words why, if it cannot be written. Blocking.
config::Secret make_local_key(const std::string& state_directory, std::string& error);
/// The key of the daemon that uses that state directory; empty if it cannot be read. Blocking.
config::Secret read_local_key(const std::string& state_directory);
/// What `Authorization:` says with it.
std::string local_authorization(const config::Secret& key);

}  // namespace livecanary::daemon
