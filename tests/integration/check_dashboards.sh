#!/usr/bin/env bash
# Checks that every query of the Grafana dashboards parses, and that dashboards and alert rules ask only for
# metrics that docs/metrics.md knows.
# Needs jq and promtool (Debian packages jq and prometheus). Other dashboards may be given as arguments.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
if [[ $# -gt 0 ]]; then dashboards=("$@"); else dashboards=("$root"/dashboards/grafana/*.json); fi

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mistakes=0

mistake() {
    echo "check_dashboards: $*" >&2
    mistakes=$((mistakes + 1))
}

# One line for each query: its place and its text, as JSON strings. label_values(x, label) asks for the
# labels of x; nested panels are those of a collapsed row.
queries='
    ([.panels[], (.panels[].panels // [])[]][] | .title as $title | .targets // [] | .[]
        | [$title + " (query " + .refId + ")", .expr // ""]),
    (.annotations.list[] | select(.expr) | ["annotation " + .name, .expr]),
    (.templating.list[] | select(.type == "query")
        | ["variable " + .name, (.query.query | capture("^label_values\\((?<x>.*), *[a-z_]+\\)$").x // "")])
    | tojson'

# Debian's promtool parses a query only as a part of a rule. JSON is YAML. Variables become a value of the
# kind they stand for: a duration for Grafana's own, a word for the others.
rule_of='
    {groups: [{name: "check", rules: [{record: "check", expr: (
        .[1] | gsub("\\$__(rate_interval|interval|range)|\\$\\{__(rate_interval|interval|range)\\}"; "5m")
             | gsub("\\$[a-zA-Z_]+|\\$\\{[a-zA-Z_:]+\\}"; "x"))}]}]}'

uids=()
for dashboard in "${dashboards[@]}"; do
    file=$(basename "$dashboard")
    uid=$(jq -er .uid "$dashboard") || { mistake "$file: no uid"; continue; }
    uids+=("$uid")
    [[ $uid == "${file%.json}" ]] || mistake "$file: its uid is $uid, so links to ${file%.json} lead nowhere"
    jq -e '[.panels[].id] | length == (unique | length)' "$dashboard" >/dev/null || mistake "$file: two panels have one id"
    jq -e '[.. | objects | select(has("datasource")) | .datasource | select(.uid != "${datasource}")] == []' \
        "$dashboard" >/dev/null || mistake "$file: a data source is not \${datasource}"

    jq -r "$queries" "$dashboard" >"$scratch/queries"
    [[ -s $scratch/queries ]] || mistake "$file: no queries"
    while IFS= read -r query; do
        place=$(jq -r '.[0]' <<<"$query")
        jq "$rule_of" <<<"$query" >"$scratch/rule.yml"
        promtool check rules "$scratch/rule.yml" >"$scratch/said" 2>&1 ||
            mistake "$file: $place: $(grep -o "could not parse expression.*\|field .expr.*" "$scratch/said")"
    done <"$scratch/queries"
    echo "check_dashboards: $file: $(wc -l <"$scratch/queries") queries"
done

# A histogram or summary is known by its name without _bucket, _sum and _count.
grep -ohE '\blivecanary_[a-z_]+' "${dashboards[@]}" "$root/dashboards/prometheus/livecanary.rules.yml" | sort -u |
    while IFS= read -r name; do
        grep -qE "^\| \`(${name}|${name%_bucket}|${name%_sum}|${name%_count})\` \|" "$root/docs/metrics.md" || echo "$name"
    done >"$scratch/unknown"
[[ ! -s $scratch/unknown ]] || mistake "not in docs/metrics.md: $(tr '\n' ' ' <"$scratch/unknown")"

[[ $mistakes -eq 0 ]] || exit 1
echo "check_dashboards: ok"
