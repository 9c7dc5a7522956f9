#pragma once
// What a response says of the way it took through Tencent Cloud CDN, and which names lead there.
//
// Sources: public captures of X-Cache-Lookup (its texts are not documented); of names Tencent Cloud document
// 302/3450 (CNAME records, DNSPod) and the troubleshooting pages of COS (436), read 2026-11-21.
#include <span>
#include <string_view>

namespace livecanary::protocol {

enum class CdnCache {
    hit,      ///< a cache of the CDN had it
    miss,     ///< the origin was asked
    unknown,  ///< the header is absent, or says nothing we know
};
/// The value of the metric label `cache`.
std::string_view to_string(CdnCache cache) noexcept;

/// Reads the values of all X-Cache-Lookup fields, in any order: which end of the chain is the edge is not
/// fixed. Each may hold several texts with commas between. Any `Miss`, or nothing but `Hit From Upstream`, is
/// a miss; `Cache Hit`, `Cache Refresh Hit`, `Hit From MemCache`, `… Disktank…` and `… Inner Cluster` without
/// a miss are a hit. Letter case does not matter.
CdnCache read_cache_lookup(std::span<const std::string_view> values) noexcept;

/// `name` is one of Tencent Cloud CDN: below dnsv1.com, cdntip.com, tdnsv*.com (partly unconfirmed), or a
/// bucket's default CDN domain, below file.myqcloud.com. A final dot and letter case do not matter.
bool is_cdn_name(std::string_view name) noexcept;
/// `name` is the default CDN domain of a bucket.
bool is_cos_cdn_name(std::string_view name) noexcept;

}  // namespace livecanary::protocol
