#pragma once
// What went wrong in a phase, at the level of protocols: the closed vocabulary, and how codes map to it.
#include <string_view>

#include <boost/system/error_code.hpp>
#include <boost/system/result.hpp>

namespace livecanary {

using boost::system::error_code;
template <class T>
using result = boost::system::result<T>;

/// Why a phase failed. The enumerators are the values of the metric label `reason`.
enum class Reason {
    timeout = 1,  ///< the phase did not end before the run's deadline
    refused,      ///< the peer's kernel refused the connection
    unreachable,  ///< no route, or the network or host is down
    closed,       ///< the peer closed the connection in good order, too early
    reset,        ///< the connection was torn down
    nxdomain,     ///< the name does not exist, or has no address
    servfail,     ///< the name server could not say
    certificate,  ///< the peer's certificate was not accepted
    protocol,     ///< the peer broke the wire format
    rejected,     ///< the peer understood and said no
    mismatch,     ///< a well-formed answer, but not the one the configuration expects
    stalled,      ///< the connection stands, but nothing moves on it any more
    not_found,    ///< the peer serves, and does not have what was asked for
    forbidden,    ///< the peer has rules on who may have it, and these say no
    no_media,     ///< what was asked for was granted, and nothing of it came
    stale,        ///< what came is old: of an earlier time, or no longer renewed
    undecodable,  ///< media came that no decoder could show
    local,        ///< our own fault (descriptors, memory, a bug): proves nothing about the target
};

std::string_view to_string(Reason reason) noexcept;

const boost::system::error_category& reason_category() noexcept;
inline boost::system::error_condition make_error_condition(Reason reason) noexcept {
    return {static_cast<int>(reason), reason_category()};
}

/// The reason behind a code. A category of ours answers by its default_error_condition(); the codes of
/// Asio, the OS, OpenSSL and Beast are mapped in reason_of.cpp. A code nobody mapped is `local`.
Reason reason_of(const error_code& code) noexcept;

}  // namespace livecanary

template <>
struct boost::system::is_error_condition_enum<livecanary::Reason> : std::true_type {};
