// Is live broken, where, since when, why. Journeys first: they are what viewers see.
import * as dashboard from '@grafana/grafana-foundation-sdk/dashboard';

import {
    alertLinks, alertMarks, board, calm, Column, failingMarks, graph, journeyLink, kindLink, neutral, number, orangeFrom, redFrom,
    row, rows, unit, variable, where,
} from './panels';
import {
    failingColumns, failingNow, failingSince, failureReasons, lastPhases, ofProbe, outcomes, phaseDurations, runDurations,
    successRatio, unprovenRuns,
} from './shared';

const matchers = ['instance=~"$instance"', 'kind=~"$kind"', 'probe=~"$probe"'];
const chosen = where(...matchers);
const journeys = where('instance=~"$instance"', 'kind="journey"', 'probe=~"$probe"');

const journeyColumns: Column[] = [
    { field: 'probe', title: 'journey', properties: [journeyLink] },
    { field: 'phase', title: 'broken hop' },
    ...failingColumns.filter((column) => ['reason', 'cause', 'Value', 'severity', 'instance'].includes(column.field)),
];

export const overview = (): dashboard.Dashboard =>
    board('livecanary-overview', 'livecanary overview', 'Is live broken, where, since when, and why.')
        .withVariable(variable('kind', 'Kind', 'label_values(livecanary_probe_info{instance=~"$instance"}, kind)'))
        .withVariable(variable('probe', 'Probe',
            'label_values(livecanary_probe_info{instance=~"$instance",kind=~"$kind"}, probe)'))
        .annotation(failingMarks(matchers)).annotation(alertMarks(['probe=~"$probe"', 'instance=~"$instance"']))
        .withPanel(number(
            {
                id: 24, title: 'Is live broken?', width: 4, height: 4, empty: 'Not known',
                description: 'BROKEN while a critical probe alerts: fail_after failures in a row, and not recovered. '
                    + 'Something fails: a failure that has not come to that, or a probe whose severity is warning.',
            },
            {
                expr: `2 * max(livecanary_probe_alerting${chosen} * ${ofProbe} group_left () `
                    + `livecanary_probe_info${where(...matchers, 'severity="critical"')})
> 0
or
max(livecanary_probe_failing${chosen} or livecanary_probe_alerting${chosen})`,
                legend: '',
            },
            {
                words: {
                    '0': { text: 'no', color: 'green' },
                    '1': { text: 'something fails', color: 'orange' },
                    '2': { text: 'BROKEN', color: 'red' },
                },
            }))
        .withPanel(number(
            {
                id: 1, title: 'Alerting', width: 4, height: 4, empty: '0',
                description: 'Probes that failed fail_after times in a row and have not recovered.',
            },
            { expr: `count(livecanary_probe_alerting${chosen} == 1) or vector(0)`, legend: '' },
            { levels: redFrom(1) }))
        .withPanel(number(
            {
                id: 2, title: 'Failing', width: 4, height: 4, empty: '0',
                description: 'Probes whose last conclusive run failed, alerting or not yet.',
            },
            { expr: `count(livecanary_probe_failing${chosen}) or vector(0)`, legend: '' },
            { levels: orangeFrom(1) }))
        .withPanel(number(
            {
                id: 3, title: 'Not known', width: 4, height: 4, empty: '0',
                description: 'Probes without a recent conclusive run, those in maintenance among them: nothing is '
                    + 'known about their targets.',
            },
            {
                expr: `count(livecanary_probe_info${chosen} unless ${ofProbe} livecanary_probe_success) or vector(0)`,
                legend: '',
            },
            { levels: orangeFrom(1) }))
        .withPanel(number(
            { id: 4, title: 'Probes', width: 4, height: 4, empty: '0', description: 'Configured probes.' },
            { expr: `count(livecanary_probe_info${chosen}) or vector(0)`, legend: '' }, { levels: neutral }))
        .withPanel(number(
            {
                id: 5, title: 'Daemons down', width: 4, height: 4, empty: '0',
                description: 'Targets of the scrape job livecanary that do not answer: what they watch is not watched.',
            },
            { expr: 'count(up{job="livecanary",instance=~"$instance"} == 0) or vector(0)', legend: '' },
            { levels: redFrom(1) }))
        .withPanel(rows(
            {
                id: 25, title: 'Broken journeys', width: 24, height: 5, empty: 'No journey is broken',
                description: 'The whole way from the push to the viewer, and the first hop that is broken. A journey '
                    + 'leads to its hops, a cause to its fix.',
            },
            [failingSince(journeys)], journeyColumns, { title: 'journey' }))
        .withPanel(failingNow(7, 8, matchers))
        .withPanel(rows(
            {
                id: 26, title: 'Alerts that fire', width: 24, height: 6, empty: 'No rule of livecanary fires in Prometheus',
                description: 'Of the rules in Prometheus (livecanary.rules.yml), without the watchdog that always fires. '
                    + 'Those that Grafana or the daemon itself sends are not among them.',
            },
            [`ALERTS${where('alertname=~"Livecanary.+"', 'alertname!="LivecanaryWatchdog"', 'alertstate="firing"')}`],
            [
                { field: 'alertname', title: 'alert', properties: [alertLinks] },
                { field: 'severity' }, { field: 'probe' }, { field: 'journey' }, { field: 'instance' },
                { field: 'location' },
            ],
            { title: 'severity' }))
        .withPanel(outcomes(8, 9, matchers))
        .withRow(row(9, 'How often and where'))
        .withPanel(failureReasons(13, matchers)).withPanel(successRatio(27, matchers))
        .withPanel(graph(
            {
                id: 28, title: 'Failures in a row', width: 12, height: 8, empty: 'No run yet',
                description: 'Failed runs since the last one that was ok, where there are any. A probe alerts when they '
                    + 'come to its own fail_after, of which the greatest is shown.',
            },
            [
                { expr: `livecanary_probe_consecutive_failures${chosen} > 0`, legend: '{{probe}} ({{instance}})' },
                { expr: `max(livecanary_probe_fail_after${chosen})`, legend: 'greatest fail_after' },
            ],
            { unit: 'none', min: 0 }))
        .withPanel(unprovenRuns(14, matchers))
        .withRow(row(16, 'How long'))
        .withPanel(lastPhases(10, matchers)).withPanel(phaseDurations(29, matchers))
        .withPanel(runDurations(11, matchers))
        .withPanel(graph(
            {
                id: 12, title: 'Runs per minute', width: 12, height: 8, empty: 'No run in this time',
                description: 'Every run that ended, whatever its outcome. Confirmations are the quick extra runs after a '
                    + 'first failure.',
            },
            [
                {
                    expr: `60 * sum by (instance, probe) (rate(livecanary_probe_runs_total${chosen}[$__rate_interval]))`,
                    legend: '{{probe}} ({{instance}})',
                },
                {
                    expr: `60 * sum by (instance, probe) `
                        + `(rate(livecanary_probe_confirmations_total${chosen}[$__rate_interval])) > 0`,
                    legend: '{{probe}} confirmations ({{instance}})',
                },
            ],
            { unit: 'none', min: 0 }))
        .withRow(row(19, 'What runs out, and who is left out'))
        .withPanel(rows(
            {
                id: 30, title: 'Certificates', width: 12, height: 7, empty: 'No probe has seen a certificate',
                description: 'Time until the certificate that a target shows, or one of its chain, expires. LivecanaryCertificateExpires '
                    + 'fires at 14 days, LivecanaryCertificateExpiresNow at 2.',
            },
            [`livecanary_tls_certificate_not_after_timestamp_seconds${chosen} - time()`],
            [
                { field: 'probe' },
                {
                    field: 'Value', title: 'left',
                    properties: [
                        unit('s'),
                        {
                            id: 'thresholds',
                            value: {
                                mode: dashboard.ThresholdsMode.Absolute,
                                steps: [
                                    { value: null, color: 'red' }, { value: 2 * 86400, color: 'orange' },
                                    { value: 14 * 86400, color: 'green' },
                                ],
                            },
                        },
                        { id: 'custom.cellOptions', value: { type: 'color-background' } },
                    ],
                },
                { field: 'instance' },
            ],
            { title: 'left' }))
        .withPanel(graph(
            {
                id: 31, title: 'Bad addresses', width: 12, height: 7, empty: 'No probe tries every address',
                description: 'Addresses that failed in the last run, of probes with every_address. Some and not all: '
                    + 'viewers who are sent there see an outage, the others do not.',
            },
            [{
                expr: `livecanary_failing_addresses${chosen}`,
                legend: '{{probe}} {{family}} ({{instance}})',
            }],
            { unit: 'none', min: 0, levels: redFrom(1) }))
        .withPanel(rows(
            {
                id: 32, title: 'In maintenance', width: 12, height: 6, empty: 'No probe is in maintenance',
                description: 'Probes within a configured window: their runs go on, are inconclusive, and do not alert.',
            },
            [`livecanary_probe_in_maintenance${chosen} == 1`],
            [{ field: 'probe' }, { field: 'kind' }, { field: 'instance' }], { title: 'probe' }))
        .withPanel(number(
            {
                id: 6, title: 'Rejected reloads', width: 12, height: 6, empty: '0',
                description: 'Daemons that run with an old configuration because the last reload failed.',
            },
            {
                expr: 'count(livecanary_config_last_reload_successful{instance=~"$instance"} == 0) or vector(0)',
                legend: '',
            },
            { levels: [...calm, [1, 'orange']] }))
        .withRow(row(33, 'What is watched'))
        .withPanel(rows(
            {
                id: 34, title: 'Probes and their settings', width: 24, height: 9, empty: 'No probe is configured, or chosen',
                description: 'What each probe watches, how often, and how long a run may take. Last run: whatever came of '
                    + 'it; three intervals and a timeout later LivecanaryProbeStale fires.',
            },
            [
                `livecanary_probe_info${chosen}`,
                `livecanary_probe_interval_seconds${chosen}`,
                `livecanary_probe_timeout_seconds${chosen}`,
                `1000 * livecanary_probe_last_run_timestamp_seconds${chosen}`,
            ],
            [
                { field: 'probe', properties: [kindLink] }, { field: 'kind' }, { field: 'target' }, { field: 'journey' },
                { field: 'severity' },
                { field: 'Value #B', title: 'interval', properties: [unit('s')] },
                { field: 'Value #C', title: 'timeout', properties: [unit('s')] },
                { field: 'Value #D', title: 'last run', properties: [unit('dateTimeFromNow')] },
                { field: 'instance' },
            ],
            { title: 'probe' }))
        .build();
