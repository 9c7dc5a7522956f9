#!/usr/bin/env bash
# Checks that every query of the Grafana dashboards parses, that dashboards and alert rules ask only for metrics that
# docs/metrics.md knows, that links lead somewhere, that Grafana takes them and what it is given for its alerts as far as that
# can be known without one (dashboards/source/src/validate.ts), and that they are what their source makes, byte for byte.
# Needs jq, promtool and node (Debian packages jq, prometheus, nodejs), and `npm ci` in dashboards/source. Other dashboards
# may be given as arguments; these are not held against the source.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
source=$root/dashboards/source
grafana=$root/dashboards/grafana
if [[ $# -gt 0 ]]; then dashboards=("$@"); else dashboards=("$grafana"/*.json); fi

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
# kind they stand for: a duration for Grafana's own, a word for the others. Each rule is a group of its own.
rules_of='
    {groups: [to_entries[] | .key as $key | .value | {name: "\($key)", rules: [{record: "check", expr: (
        .[1] | gsub("\\$__(rate_interval|interval|range)|\\$\\{__(rate_interval|interval|range)\\}"; "5m")
             | gsub("\\$[a-zA-Z_]+|\\$\\{[a-zA-Z_:]+\\}"; "x"))}]}]}'

for dashboard in "${dashboards[@]}"; do
    file=$(basename "$dashboard")
    uid=$(jq -er .uid "$dashboard") || { mistake "$file: no uid"; continue; }
    [[ $uid == "${file%.json}" ]] || mistake "$file: its uid is $uid, so links to ${file%.json} lead nowhere"
    jq -e '[.panels[].id] | length == (unique | length)' "$dashboard" >/dev/null || mistake "$file: two panels have one id"
    jq -e '[.. | objects | select(has("datasource")) | .datasource | select(.uid != "${datasource}")] == []' \
        "$dashboard" >/dev/null || mistake "$file: a data source is not \${datasource}"

    jq -e '[.panels[] | select(.type != "row") | select((.description // "") == "" or .fieldConfig.defaults.noValue == null)]
        == []' "$dashboard" >/dev/null || mistake "$file: a panel has no description, or does not say what no data means"

    jq -r "$queries" "$dashboard" >"$scratch/queries"
    [[ -s $scratch/queries ]] || mistake "$file: no queries"
    # All at once, and one by one only if that fails.
    jq -s "$rules_of" "$scratch/queries" >"$scratch/rules.yml"
    promtool check rules "$scratch/rules.yml" >/dev/null 2>&1 || while IFS= read -r query; do
        jq -s "$rules_of" <<<"$query" >"$scratch/rules.yml"
        promtool check rules "$scratch/rules.yml" >"$scratch/said" 2>&1 ||
            mistake "$file: $(jq -r '.[0]' <<<"$query"): $(grep -o "could not parse expression.*\|field .expr.*" "$scratch/said")"
    done <"$scratch/queries"
    echo "check_dashboards: $file: $(wc -l <"$scratch/queries") queries"
done

# A histogram or summary is known by its name without _bucket, _sum and _count.
grep -ohE '\blivecanary_[a-z_]+' "${dashboards[@]}" "$root/dashboards/prometheus/livecanary.rules.yml" | sort -u |
    while IFS= read -r name; do
        grep -qE "^\| \`(${name}|${name%_bucket}|${name%_sum}|${name%_count})\` \|" "$root/docs/metrics.md" || echo "$name"
    done >"$scratch/unknown"
[[ ! -s $scratch/unknown ]] || mistake "not in docs/metrics.md: $(tr '\n' ' ' <"$scratch/unknown")"

# Links of dashboards to pages of docs/, and of alerts to dashboards.
for page in $(grep -ohE 'blob/main/docs/[a-z_/]+\.md' "${dashboards[@]}" | sort -u); do
    [[ -e $root/${page#blob/main/} ]] || mistake "a link leads to ${page#blob/main/}, which is not there"
done
for uid in $(grep -ohE '/d/[a-z_-]+' "$root/dashboards/prometheus/livecanary.rules.yml" "$root/daemon/alerts.cpp" | sort -u); do
    [[ -e $grafana/${uid#/d/}.json ]] || mistake "alerts lead to the dashboard ${uid#/d/}, which is not there"
done

if [[ $# -eq 0 ]]; then
    # A metric that no panel shows is one that nobody sees.
    for name in $(grep -oE '^\| `(livecanary|process)_[a-z_]+' "$root/docs/metrics.md" | tr -d '|` '); do
        grep -qE "\b${name}(_bucket|_sum|_count)?\b" "${dashboards[@]}" || mistake "$name is on no dashboard"
    done
    # As the drop-down from a probe to the dashboard of its kind supposes.
    for kind in "$root"/probes/*/kind.hpp; do
        kind=$(basename "$(dirname "$kind")")
        [[ -e $grafana/livecanary-$kind.json ]] || mistake "the kind $kind has no dashboard"
    done

    if [[ -d $source/node_modules ]]; then
        "$source/node_modules/.bin/tsc" --project "$source" || mistake "dashboards/source does not compile"
        node "$source/build/generate.js" "$scratch/made" || mistake "dashboards/source makes nothing"
        node "$source/build/validate.js" "${dashboards[@]}" "$grafana"/provisioning/*/*.yml "$grafana"/examples/*.yml ||
            mistake "not what Grafana takes"
        while IFS= read -r made; do
            cmp "$scratch/made/$made" "$grafana/$made" || mistake "$made is not what dashboards/source makes: npm run generate"
        done < <(cd "$scratch/made" && find . -type f)
        for dashboard in "${dashboards[@]}"; do
            [[ -e $scratch/made/$(basename "$dashboard") ]] || mistake "$(basename "$dashboard") has no source"
        done
        # What belongs together does, and the queries of the alerts parse in Prometheus.
        NODE_PATH=$source/node_modules node - "$grafana" >"$scratch/alerts.yml" <<'JS' || mistake "provisioning cannot be read"
const { parse } = require('yaml');
const { readFileSync } = require('fs');
const read = (file) => parse(readFileSync(`${process.argv[2]}/${file}`, 'utf8'));
const points = read('provisioning/alerting/livecanary-contact-points.yml').contactPoints.map((point) => point.name);
const receivers = (routes) => routes.flatMap((route) => [route.receiver, ...receivers(route.routes ?? [])]);
for (const receiver of receivers(read('examples/notification-policy.yml')))
    if (!points.includes(receiver)) throw new Error(`no contact point ${receiver}`);
const uid = read('provisioning/datasources/livecanary.yml').datasources[0].uid;
const queries = read('provisioning/alerting/livecanary-rules.yml').groups.flatMap((group) => group.rules)
    .flatMap((rule) => rule.data).filter((query) => query.datasourceUid !== '__expr__');
if (queries.some((query) => query.datasourceUid !== uid)) throw new Error('a rule asks another data source');
console.log(JSON.stringify({ groups: [{ name: 'grafana', rules: queries.map((query, index) =>
    ({ record: `check_${index}`, expr: query.model.expr })) }] }));
JS
        promtool check rules "$scratch/alerts.yml" >"$scratch/said" 2>&1 || mistake "$(cat "$scratch/said")"
    elif [[ ${CI:-} == true ]]; then
        mistake "dashboards/source/node_modules is missing: npm ci --prefix dashboards/source"
    else
        echo "check_dashboards: not held against their source: npm ci --prefix dashboards/source"
    fi
fi

[[ $mistakes -eq 0 ]] || exit 1
echo "check_dashboards: ok"
