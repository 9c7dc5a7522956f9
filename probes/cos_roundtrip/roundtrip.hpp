#pragma once
// One round trip of an object: PUT, HEAD, GET, compare, DELETE, and HEAD again, which must find nothing.
// Where another probe wants to fetch the object, it is deleted by the next run instead.
#include <array>
#include <memory>

#include "probes/core/ledger.hpp"
#include "probes/core/peers.hpp"
#include "probes/cos_roundtrip/client.hpp"
#include "probes/net/values.hpp"

namespace livecanary::cos_roundtrip {

inline constexpr std::array phases{dns, tcp, tls, put, head, get, verify, remove};

inline constexpr std::array<std::string_view, 4> operations{"put", "head", "get", "delete"};
inline constexpr Value operation_seconds{
    .metric = "livecanary_cos_operation_duration_seconds",
    .help = "From the start of a COS request to the last byte of its answer.",
    .type = ValueType::summary,
    .label = "operation",
    .label_values = operations};
inline constexpr std::array read_after_write_bounds{0.01, 0.05, 0.25, 1.0, 5.0};
inline constexpr Value read_after_write{
    .metric = "livecanary_cos_read_after_write_seconds",
    .help = "From the answer to a PUT until the object could first be read.",
    .type = ValueType::histogram,
    .buckets = read_after_write_bounds};
inline constexpr Value clock_skew{"livecanary_cos_clock_skew_seconds",
                                  "The server's clock, as its Date says, minus our own, in the last run."};
using net::certificate_end, net::resolved_addresses;
inline constexpr std::array values{operation_seconds, read_after_write, clock_skew, certificate_end,
                                   resolved_addresses};

/// The bytes of an object: the same for the same seed, made as they are sent, so that none is ever held
/// whole.
class Content {
public:
    explicit Content(std::uint64_t seed) noexcept : state_(seed) {}
    void fill(std::span<std::uint8_t> bytes) noexcept;

private:
    std::uint64_t state_;
    std::array<std::uint8_t, 8> word_{};
    std::size_t used_ = 8;  // bytes of word_
};

/// What an object of that size and seed must look like.
struct Expected {
    std::uint64_t size = 0;
    std::string md5_hex{};     ///< its ETag, without quotes
    std::string md5_base64{};  ///< its Content-MD5
    std::string sha1_hex{};    ///< computed for the JSON API alone
    std::uint64_t crc64 = 0;   ///< CRC-64/XZ
};

/// An object that lies in the bucket between two runs, for other probes to fetch.
struct KeptObject {
    Litter litter{};
    Endpoint endpoint{};
    std::string key{};
    Expected expected{};
    std::string etag{};  ///< as the origin quotes it
    WallTime uploaded{};
    bool leaving = false;     ///< it is being deleted: nobody is told of it any more
    std::size_t holders = 0;  ///< answers given (PeerAnswer::hold) that live on
    /// Called when `holders` falls to 0; of the run that waits for it.
    std::function<void()> on_release{};
};

/// What a probe keeps from run to run. Of one executor.
struct Shelf {
    std::vector<std::shared_ptr<KeptObject>> objects{};  ///< the last one is the one to be fetched
};

/// Says everything on `run`, whose ledger holds the key from before the PUT until the object is known to be
/// gone. Cleans up also when cut or failed, within the run's deadline and a second. The caller must have
/// switched off `throw_if_cancelled` on its coroutine; all three must outlive it.
asio::awaitable<void> round_trip(const Config& config, Shelf& shelf, ProbeRun& run);

/// The object that lies there (questions::object). PeerError.
asio::awaitable<result<PeerAnswer>> answer(const Config& config, const Shelf& shelf, ProbeRun& run,
                                           const Question& question);

/// Deletes what was kept between runs. What cannot be deleted stays in the ledger.
asio::awaitable<void> clear(const Config& config, Shelf& shelf, ProbeRun& run);

/// Removes what stands in the ledger. No error: gone, or was not there. errc::device_or_resource_busy: it is
/// on the shelf.
asio::awaitable<error_code> remove_litter(const Config& config, const Shelf& shelf, ProbeRun& run,
                                          const Litter& litter);

/// Objects whose key is one of this probe's, made longer ago than any run takes. Over the JSON API: none, as
/// nobody looks. Errors as of a call, or a protocol::CosObjectsError.
asio::awaitable<result<std::vector<Litter>>> find_strays(const Config& config, ProbeRun& run);

/// `livecanary/here/probe/`: what the keys of a probe's objects begin with.
std::string folder_of(const Config& config, const Env& env);
/// When the object was made, if `key` is one that round_trip() makes in that folder.
std::optional<WallTime> made_at(std::string_view key, std::string_view folder);

/// `host key`, as it stands in the ledger.
std::string item_of(const Endpoint& endpoint, const std::string& key);

}  // namespace livecanary::cos_roundtrip
