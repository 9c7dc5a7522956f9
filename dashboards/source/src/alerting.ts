// The rules of Prometheus as rules that Grafana evaluates itself: same names, expressions, waiting times, labels and
// words. Written for file provisioning, which searches everything for environment variables but annotations (from Grafana
// 13 on for `${` only) and the models of queries (pkg/services/provisioning/alerting/rules_types.go; grafana/grafana#54975).
import * as alert from '@grafana/grafana-foundation-sdk/alerting';
import * as dashboard from '@grafana/grafana-foundation-sdk/dashboard';
import * as expr from '@grafana/grafana-foundation-sdk/expr';
import * as prometheus from '@grafana/grafana-foundation-sdk/prometheus';
import { parse, stringify } from 'yaml';

/** As in provisioning/datasources/livecanary.yml. */
const datasourceUid = 'livecanary-prometheus';
const overview = 'livecanary-overview';
/** Of evaluations, in seconds. */
const interval = 30;

/** The panel that shows what the alert is about. */
const panels: Record<string, [uid: string, panel: number]> = {
    LivecanaryProbeFailing: [overview, 7],
    LivecanaryProbeStale: [overview, 3],
    LivecanaryProbeInconclusive: [overview, 14],
    LivecanaryProbeBurnsBudgetFast: [overview, 27],
    LivecanaryProbeBurnsBudgetSlow: [overview, 27],
    LivecanaryFailingEverywhere: [overview, 7],
    LivecanaryFailingRegionally: [overview, 7],
    LivecanaryPhaseSlow: [overview, 29],
    LivecanaryRowsStalled: ['livecanary-mysql', 20],
    LivecanaryCallbackMissing: ['livecanary-callback', 21],
    LivecanaryCdnMismatch: ['livecanary-cdn_fetch', 4],
    LivecanaryCdnNotAccelerating: ['livecanary-cdn_fetch', 22],
    LivecanaryAddressFailing: [overview, 31],
    LivecanaryCertificateExpires: [overview, 30],
    LivecanaryCertificateExpiresNow: [overview, 30],
    LivecanaryDown: ['livecanary-daemon', 1],
    LivecanaryConfigReloadFailed: ['livecanary-daemon', 3],
    LivecanaryClockUnsafe: ['livecanary-daemon', 12],
    LivecanaryLitterLeft: ['livecanary-daemon', 21],
    LivecanaryRunsLate: ['livecanary-daemon', 10],
    LivecanaryNotificationsFailing: ['livecanary-daemon', 18],
    LivecanaryWatchdog: ['livecanary-daemon', 1],
};

interface PrometheusRule {
    alert: string;
    expr: string;
    for?: string;
    keep_firing_for?: string;
    labels?: Record<string, string>;
    annotations: Record<string, string>;
}
interface PrometheusRules {
    groups: { name: string; rules: PrometheusRule[] }[];
}

/** A rule as file provisioning has it; the API's differs in a few names. */
type FileRule = Pick<
    alert.Rule, 'uid' | 'title' | 'condition' | 'data' | 'noDataState' | 'execErrState' | 'for' | 'annotations' | 'labels'
> & { keepFiringFor?: string; missing_series_evals_to_resolve?: number };

/** "LivecanaryProbeFailing" → "livecanary-probe-failing" */
const uidOf = (name: string): string => name.replace(/(?<=[a-z])[A-Z]/g, '-$&').toLowerCase();

/** Where a rule's words ask for what fails, what its further query F has to have. */
function asksWhatFails(rule: PrometheusRule): boolean {
    return Object.values(rule.annotations).some((text) => text.includes('with query'));
}

/**
 * Grafana's templates know neither `query` nor external labels, and `$value` is a text there. What fails comes from
 * query F: it has the alert's labels and those of livecanary_probe_failing, and Grafana joins values whose labels
 * include the alert's.
 */
function words(name: string, text: string): string {
    const translated = text
        .replace(/\{\{ or \$externalLabels\.grafana_url "http:\/\/localhost:3000" -\}\}\s*/g, '{{ reReplaceAll "/+$" "" externalURL }}')
        .replace(/\{\{ or \$externalLabels\.grafana_url "http:\/\/localhost:3000" \}\}/g, '{{ reReplaceAll "/+$" "" externalURL }}')
        .replace(/with query \(printf "livecanary_probe_failing\{[^}]*,cause!=''\}"[^)]*\)/g, 'if $values.F.Labels.cause')
        .replace(/with query \(printf "livecanary_probe_failing\{[^}]*\}"[^)]*\)/g, 'if $values.F.Labels.phase')
        .replace(/with first \./g, 'with $values.F')
        .replace(/\$value\b/g, '$values.A.Value');
    if (/\bquery\b(?! )|with query|\$externalLabels|first \./.test(translated.replace(/urlquery/g, '')))
        throw new Error(`${name}: Grafana cannot expand: ${translated}`);
    return translated;
}

function query(refId: string, text: string): alert.Query {
    return new alert.QueryBuilder(refId).datasourceUid(datasourceUid).relativeTimeRange({ from: 600, to: 0 })
        .model(new prometheus.DataqueryBuilder().refId(refId).expr(text).instant()).build();
}

/**
 * Whether there is a series at all is the condition, as in Prometheus, whatever its value: below every number that the
 * rules can have.
 */
function condition(): alert.Query {
    return new alert.QueryBuilder('C').datasourceUid('__expr__').relativeTimeRange({ from: 0, to: 0 })
        .model(new expr.TypeThresholdBuilder().refId('C').expression('A')
            .conditions([{ evaluator: { type: 'gt', params: [-1e300] } }]))
        .build();
}

/** The labels that identify a probe, as far as the rule has them. */
const whatFails = (rule: PrometheusRule): string =>
    rule.alert === 'LivecanaryFailingEverywhere'
        ? `livecanary_probe_failing{cause!=""}\n  or on (probe, kind)\n(\n${rule.expr.trimEnd()}\n)`
        : `(
  livecanary_probe_failing
    * on (instance, job, probe, kind) group_left (severity, journey)
  livecanary_probe_info
)
  or on (instance, job, probe, kind)
(
${rule.expr.trimEnd()}
)`;

/**
 * keepFiringFor holds an alert when no series of its rule is left (that is "normal" to Grafana); while another one is, a
 * series that went away is "missing", which ends its alert after that many evaluations, whatever keepFiringFor says
 * (pkg/services/ngalert/state/manager.go). Grafana reads both from 12.2 on.
 */
function kept(duration: string): Pick<FileRule, 'keepFiringFor' | 'missing_series_evals_to_resolve'> {
    const seconds = /^(\d+)s$/.exec(duration)?.[1];
    if (seconds === undefined) throw new Error(`keep_firing_for ${duration}: not in seconds`);
    return { keepFiringFor: duration, missing_series_evals_to_resolve: Math.ceil(Number(seconds) / interval) };
}

function fileRule(rule: PrometheusRule, dashboards: dashboard.Dashboard[]): FileRule {
    const shown = panels[rule.alert];
    if (shown === undefined) throw new Error(`${rule.alert}: no panel shows it`);
    const [uid, panel] = shown;
    if (!dashboards.some((one) => one.uid === uid && (one.panels ?? []).some((its) => its.id === panel)))
        throw new Error(`${rule.alert}: there is no panel ${panel} in ${uid}`);
    if (!(rule.annotations['dashboard_url'] ?? '').includes(`/d/${uid}`))
        throw new Error(`${rule.alert}: its dashboard_url does not lead to ${uid}`);
    if (rule.expr.includes('$')) throw new Error(`${rule.alert}: Grafana could take a $ for one of its variables`);
    return {
        uid: uidOf(rule.alert),
        title: rule.alert,
        condition: 'C',
        data: [
            query('A', rule.expr.trimEnd()),
            ...(asksWhatFails(rule) ? [query('F', whatFails(rule))] : []),
            condition(),
        ],
        noDataState: 'OK',
        execErrState: 'Error',
        for: rule.for ?? '0s',
        ...(rule.keep_firing_for === undefined ? {} : kept(rule.keep_firing_for)),
        ...(rule.labels === undefined ? {} : { labels: rule.labels }),
        annotations: {
            ...Object.fromEntries(
                Object.entries(rule.annotations).map(([name, text]) => [name, words(rule.alert, text)])),
            __dashboardUid__: uid,
            __panelId__: String(panel),
        },
    };
}

const head = `# Generated from dashboards/prometheus/livecanary.rules.yml by dashboards/source. Do not edit.
# Goes to /etc/grafana/provisioning/alerting/, where Grafana shall evaluate the rules instead of Prometheus: with both,
# each alert comes twice. docs/dashboards.md says how to route them.
`;

/** provisioning/alerting/livecanary-rules.yml, of Prometheus' rules. Throws if one has no panel or is not understood. */
export function alerting(rules: string, dashboards: dashboard.Dashboard[]): string {
    const parsed = parse(rules) as PrometheusRules;
    const file = {
        apiVersion: 1,
        groups: parsed.groups.map((group) => ({
            orgId: 1,
            name: group.name,
            folder: 'livecanary',
            interval: `${interval}s`,
            rules: group.rules.map((rule) => fileRule(rule, dashboards)),
        })),
    };
    // The builders' objects carry a function that marks their type; JSON leaves it out.
    return head + stringify(JSON.parse(JSON.stringify(file)), { lineWidth: 0, aliasDuplicateObjects: false });
}
