#pragma once
// A memory of probes that outlives runs, and is lost or kept over "restarts" as a test likes.
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "probes/core/memory.hpp"

namespace livecanary::test {

class Remembering final : public Memory {
public:
    boost::asio::awaitable<std::optional<std::string>> recall(std::string probe, std::string key) override {
        const auto found = kept.find({probe, key});
        co_return found != kept.end() ? std::optional(found->second) : std::nullopt;
    }
    boost::asio::awaitable<error_code> remember(std::string probe, std::string key,
                                                std::string value) override {
        if (value.size() > most_remembered)
            co_return boost::system::errc::make_error_code(boost::system::errc::value_too_large);
        kept.insert_or_assign({std::move(probe), std::move(key)}, std::move(value));
        co_return error_code{};
    }

    std::map<std::pair<std::string, std::string>, std::string> kept{};
};

}  // namespace livecanary::test
