// Panels that several dashboards have, each about the probes that its matchers choose.
import * as dashboard from '@grafana/grafana-foundation-sdk/dashboard';

import { AnyPanel, Column, fixLinks, graph, kindLink, orangeFrom, outcome, rows, strips, unit, where } from './panels';

export const ofProbe = 'on (instance, job, probe, kind)';

/** Failing probes by labels, with the time of the last run that was ok as value, in ms; 0: none is known. */
export const failingSince = (at: string): string =>
    `livecanary_probe_failing${at}
  * ${ofProbe} group_left (severity, target, journey)
livecanary_probe_info${at}
  * ${ofProbe} group_left ()
(
    1000 * livecanary_probe_last_success_timestamp_seconds${at}
  or
    0 * livecanary_probe_interval_seconds${at}
)`;

export const failingColumns: Column[] = [
    { field: 'probe', properties: [kindLink] },
    { field: 'kind' },
    { field: 'phase' },
    { field: 'reason' },
    { field: 'cause', properties: [fixLinks] },
    {
        field: 'Value',
        title: 'last ok',
        properties: [
            unit('dateTimeFromNow'),
            {
                id: 'mappings',
                value: [{ type: dashboard.MappingType.ValueToText, options: { '0': { text: 'not since it runs' } } }],
            },
        ],
    },
    { field: 'severity' },
    { field: 'journey' },
    { field: 'target' },
    { field: 'instance' },
];

export function failingNow(id: number, height: number, matchers: string[]): AnyPanel {
    return rows(
        {
            id, title: 'Failing now', width: 24, height,
            description: 'Where and why each probe fails: the phase of its run, the reason, and the cause or class of '
                + 'causes that was singled out. A cause leads to its fix, a probe to the dashboard of its kind. '
                + 'A probe counts as alerting only after fail_after failures in a row.',
            empty: 'Nothing fails',
        },
        [failingSince(where(...matchers))], failingColumns, { title: 'probe' });
}

export function outcomes(id: number, height: number, matchers: string[]): AnyPanel {
    return strips(
        {
            id, title: 'Outcomes', width: 24, height,
            description: 'The last conclusive outcome of each probe. A gap: not known, since no conclusive run is '
                + 'recent enough.',
            empty: 'No conclusive run yet: nothing is known',
        },
        { expr: `livecanary_probe_success${where(...matchers)}`, legend: '{{probe}} ({{instance}})' }, outcome);
}

export function phaseDurations(id: number, matchers: string[]): AnyPanel {
    return graph(
        {
            id, title: 'Phases, mean time', width: 12, height: 8,
            description: 'Time that runs spend in each phase, as a mean over each step. What grows here slows viewers '
                + 'or the app before it fails. A phase that was not reached is absent.',
            empty: 'No run ended in this time',
        },
        [{
            expr: `rate(livecanary_probe_phase_duration_seconds_sum${where(...matchers)}[$__rate_interval])
  /
rate(livecanary_probe_phase_duration_seconds_count${where(...matchers)}[$__rate_interval]) >= 0`,
            legend: '{{probe}} {{phase}} ({{instance}})',
        }],
        { unit: 's', min: 0 });
}

export function lastPhases(id: number, matchers: string[]): AnyPanel {
    return graph(
        {
            id, title: 'Phases of the last run', width: 12, height: 8,
            description: 'How long the last run took in each phase, one upon the other. A phase that was not reached '
                + 'is absent.',
            empty: 'No run yet',
        },
        [{
            expr: `livecanary_probe_phase_last_duration_seconds${where(...matchers)}`,
            legend: '{{probe}} {{phase}} ({{instance}})',
        }],
        { unit: 's', min: 0, stacked: true });
}

export function runDurations(id: number, matchers: string[]): AnyPanel {
    const quantile = (q: string): string =>
        `histogram_quantile(${q}, sum by (le, instance, probe) `
        + `(rate(livecanary_probe_duration_seconds_bucket${where(...matchers)}[$__rate_interval])))`;
    return graph(
        {
            id, title: 'Duration of runs', width: 12, height: 8,
            description: 'Median and 99th percentile of conclusive runs, up to the width of the buckets.',
            empty: 'No conclusive run in this time',
        },
        [
            { expr: quantile('0.5'), legend: '{{probe}} median ({{instance}})' },
            { expr: quantile('0.99'), legend: '{{probe}} 99 % ({{instance}})' },
        ],
        { unit: 's', min: 0 });
}

export function failureReasons(id: number, matchers: string[]): AnyPanel {
    return graph(
        {
            id, title: 'Failures by phase and reason', width: 12, height: 8,
            description: 'Where and why runs failed, per minute. One phase and reason: one fault. Changing ones: the '
                + 'network, or a server under load.',
            empty: 'No failure in this time',
        },
        [{
            expr: `60 * sum by (instance, probe, phase, reason) `
                + `(rate(livecanary_probe_failure_reasons_total${where(...matchers)}[$__rate_interval])) > 0`,
            legend: '{{probe}} {{phase}}: {{reason}} ({{instance}})',
        }],
        { unit: 'none', min: 0, stacked: true });
}

export function successRatio(id: number, matchers: string[]): AnyPanel {
    const at = where(...matchers);
    return graph(
        {
            id, title: 'Runs that were ok, over an hour', width: 12, height: 8,
            description: 'Share of conclusive runs that were ok. The objective of the burn-rate alerts is 99 %. '
                + 'Inconclusive runs say nothing of the target and are left out.',
            empty: 'No conclusive run in this time',
        },
        [{
            expr: `1 - increase(livecanary_probe_failures_total${at}[1h])
  /
(increase(livecanary_probe_runs_total${at}[1h]) - increase(livecanary_probe_inconclusive_total${at}[1h]) > 0)`,
            legend: '{{probe}} ({{instance}})',
        }],
        { unit: 'percentunit', levels: [[null, 'red'], [0.99, 'green']] });
}

export function unprovenRuns(id: number, matchers: string[]): AnyPanel {
    const at = where(...matchers);
    return graph(
        {
            id, title: 'Runs that prove nothing', width: 12, height: 8,
            description: 'Per minute: runs that ended inconclusive (a fault of our own side, or maintenance), and runs '
                + 'that were due and never started: overlap (the one before was still under way), admission (too many '
                + 'at once), paused.',
            empty: 'No run of these probes',
        },
        [
            {
                expr: `60 * sum by (instance) (rate(livecanary_probe_inconclusive_total${at}[$__rate_interval]))`,
                legend: 'inconclusive ({{instance}})',
            },
            {
                expr: `60 * sum by (instance, reason) (rate(livecanary_probe_skipped_total${at}[$__rate_interval]))`,
                legend: 'not started: {{reason}} ({{instance}})',
            },
        ],
        { unit: 'none', min: 0, levels: orangeFrom(1) });
}

/** Addresses behind the names that are watched, and those of them that failed. */
export function addresses(id: number, matchers: string[], failing: boolean): AnyPanel {
    const lines = [{
        expr: `livecanary_resolved_addresses${where(...matchers)}`,
        legend: '{{probe}} {{family}} resolved ({{instance}})',
    }];
    if (failing)
        lines.push({
            expr: `livecanary_failing_addresses${where(...matchers)}`,
            legend: '{{probe}} {{family}} failing ({{instance}})',
        });
    return graph(
        {
            id, title: 'Addresses', width: 12, height: 8,
            description: 'Addresses that the last run got for the name of its target (none where the configuration has the '
                + 'address)'
                + (failing ? ', and how many of them failed where every_address is set: those are an outage for the '
                    + 'viewers who are sent there.' : '.'),
            empty: 'No run yet',
        },
        lines, { unit: 'none', min: 0 });
}
