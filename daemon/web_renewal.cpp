#include "daemon/web_renewal.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace livecanary::daemon {

namespace asio = boost::asio;

asio::awaitable<void> renew_web_tls(WebRenewal renewal) {
    asio::steady_timer timer(co_await asio::this_coro::executor);
    std::string said;
    for (;;) {
        timer.expires_after(renewal.period);
        if (auto [ec] = co_await timer.async_wait(asio::as_tuple(asio::use_awaitable)); ec) co_return;
        const auto before = renewal.served();
        if (!before) continue;
        auto reading = renewal.read(before->files);
        const WebTlsRead read = co_await std::move(reading);
        // A reload has come between.
        if (renewal.served() != before) continue;
        std::string trouble;
        for (const auto& one : read.troubles)
            if (trouble.empty() && (!one.warning || read.tls)) trouble = one.words;
        if (!trouble.empty() && trouble != said) renewal.trouble(trouble);
        said = trouble;
        if (read.tls && read.tls->digest != before->digest) renewal.renewed(read.tls);
    }
}

}  // namespace livecanary::daemon
