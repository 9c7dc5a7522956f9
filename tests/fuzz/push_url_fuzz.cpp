// A URL that was read is written and read back the same; once signed, its check agrees and its display hides
// it.
#include <algorithm>
#include <cstdint>
#include <cstdlib>

#include "probes/protocol/push_url.hpp"

namespace {

using namespace livecanary::protocol;

void require(bool holds) {
    if (!holds) std::abort();
}

constexpr std::string_view key = "e12c46f2612d5106e2034781ab261ca3";
constexpr std::chrono::sys_seconds now{std::chrono::seconds(1546064025)};

int count(std::string_view text, std::string_view what) {
    int found = 0;
    for (auto at = text.find(what); at != text.npos; at = text.find(what, at + 1)) ++found;
    return found;
}

template <class Url>
void try_url(const Url& url, auto parse, auto check, auto sign) {
    const auto again = parse(url.to_string());
    require(again && *again == url);
    check(url, key, "backup", now);

    const Url with_secret = sign(url, key, now, TxSigning());
    const UrlCheck found = check(with_secret, key, "backup", now - std::chrono::seconds(1));
    require(found.secret.exact() && found.secret.key == SecretMatch::Key::main);
    require(!found.repeated && !found.expired() && found.expires == now);
    // The path may hold the digest's text by chance, so the one in the query is what must have gone.
    const std::string secret = tx_secret(key, url.stream_name, "5C271099");
    require(count(with_secret.redacted(), secret) < count(with_secret.to_string(), secret));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    if (const auto url = parse_push_url(text)) {
        require(!url->host.empty() && url->port != 0 && !url->app.empty() && !url->stream_name.empty());
        try_url(*url, parse_push_url, check_push_url, sign_push_url);
    }
    if (const auto url = parse_play_url(text)) try_url(*url, parse_play_url, check_play_url, sign_play_url);
    require(std::ranges::none_of(redacted_url(text), [](char c) { return c >= 0 && c < ' '; }));
    return 0;
}
