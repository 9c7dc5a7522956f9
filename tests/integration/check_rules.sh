#!/usr/bin/env bash
# Checks the alert rules, plays their tests, and checks the two example configurations that go with them.
# Needs promtool and amtool (Debian packages prometheus and prometheus-alertmanager).
set -euo pipefail
cd "$(dirname "$0")/../../dashboards/prometheus"

promtool check rules --lint=all --lint-fatal livecanary.rules.yml
promtool test rules livecanary.rules.test.yml livecanary.rules.slow.test.yml
promtool check config --lint=all --lint-fatal scrape.example.yml
amtool check-config alertmanager.example.yml

# Which receiver gets what, as an operator would read the example.
goes_to() {
    local receiver=$1
    shift
    amtool config routes test --config.file=alertmanager.example.yml --verify.receivers="$receiver" "$@" >/dev/null 2>&1 || {
        echo "check_rules: $* does not go to $receiver" >&2
        exit 1
    }
}
goes_to dead-mans-switch alertname=LivecanaryWatchdog severity=none
goes_to pager alertname=LivecanaryDown severity=critical
goes_to pager alertname=LivecanaryProbeFailing severity=critical probe=push-main
goes_to chat alertname=LivecanaryProbeFailing severity=warning probe=push-main

# Every alert is tested and explained.
for alert in $(sed -n 's/^ *- alert: //p' livecanary.rules.yml); do
    grep -q "alertname: $alert$" livecanary.rules.test.yml livecanary.rules.slow.test.yml || {
        echo "check_rules: $alert has no test" >&2
        exit 1
    }
    grep -q "^## $alert$" ../../docs/alerts.md || {
        echo "check_rules: docs/alerts.md has no section $alert" >&2
        exit 1
    }
done
echo "check_rules: ok"
