#pragma once
// What becomes of a key that people copy from a web page, so that a check can tell it from another key.
#include <string>
#include <string_view>
#include <vector>

namespace livecanary::protocol {

/// Which of the keys we know a signature comes out with.
enum class KeyFound { none, main, backup };
/// Whose copy of the key has white space around it.
enum class KeySpace { none, ours, theirs };

struct KeyText {
    std::string text;
    KeyFound key;
    KeySpace stray_space;
};

/// The texts worth trying, the likelier first: the keys as we have them, then with their white space taken
/// away or some added. An empty key is not tried.
std::vector<KeyText> key_texts(std::string_view main_key, std::string_view backup_key = {});

}  // namespace livecanary::protocol
