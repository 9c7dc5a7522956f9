#pragma once
// A line of somebody's log, made fit to be shown: what looks like a secret goes.
#include <string>
#include <string_view>

namespace livecanary::protocol {

/// `line` with `***` in the place of everything that is a secret by its shape:
///
/// - the value behind a name that speaks of one (password, token, secret, sign, …) and `=`, `:` or `=>`, in
///   query strings, JSON, print_r() and plain words; all that follows Authorization and Cookie, up to the
///   closing quote or the end;
/// - 32 or more hexadecimal digits: digests, and signatures such as those that the backend prints behind
///   `check_sign error:`, of which the second is the valid one;
/// - 32 or more characters of base64 in a row that hold capital, small letter and digit: keys, JWT, UserSig;
/// - a SecretId (`AKID…`), and the password of a URL;
/// - the arguments of calls that connect or log in, which PHP's stack traces print.
///
/// By shape only, so it takes too much rather than too little, and a secret of no known shape stays. MySQL's
/// `(using password: YES)` stays as it is. Bytes of any encoding; linear in the length of the line.
std::string redact(std::string_view line);

}  // namespace livecanary::protocol
