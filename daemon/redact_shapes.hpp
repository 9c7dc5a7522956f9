#pragma once
// Secrets that nobody configured, known by their shape: signatures, tokens, passwords, phone numbers.
#include <cstddef>
#include <functional>
#include <string_view>

namespace livecanary::daemon {

/// Whose words a text is.
enum class Words {
    ours,  ///< results, which hold no secret as far as we know: long digits and blobs in it are ETags and ids
    foreign,  ///< logs, configuration: every long run of hexadecimal digits or base64 is taken for a secret
};

/// A value that is a secret by its shape.
struct Shaped {
    std::string_view name{};  ///< of the shape, such as `token`
    std::size_t at = 0;
    std::string_view value{};
    bool may_be_id = false;  ///< a vendor's id can look like this
};

/// Calls `found` with each. Bytes of any encoding; linear in the length of the text.
void find_shapes(std::string_view text, Words words, const std::function<void(const Shaped&)>& found);

/// Chance does not make it: worth being searched for where it stands without its name.
bool is_random(std::string_view value);

}  // namespace livecanary::daemon
