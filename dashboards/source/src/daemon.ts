// The instrument itself: is what it says to be trusted, and does it come to anybody.
import * as dashboard from '@grafana/grafana-foundation-sdk/dashboard';

import { board, graph, Line, marks, number, orangeFrom, redFrom, row, rows, unit } from './panels';

const at = '{instance=~"$instance"}';
/** Of daemons of ours only: every exporter has metrics of that name. */
const own = 'and on (instance, job) livecanary_build_info';

const quantiles = (metric: string, name: string): Line[] =>
    [['0.5', 'median'], ['0.99', '99 %']].map(([q, word]) => ({
        expr: `histogram_quantile(${q}, sum by (le, instance) (rate(${metric}_bucket${at}[$__rate_interval])))`,
        legend: `${name} ${word} ({{instance}})`,
    }));

export const daemon = (): dashboard.Dashboard =>
    board('livecanary-daemon', 'livecanary daemon', 'Is what the daemon says to be trusted, and does it come to anybody.')
        .annotation(marks('Configuration taken', 'blue',
            `livecanary_config_last_reload_success_timestamp_seconds${at} * 1000`, '60s')
            .useValueForTime(true).titleFormat('Configuration taken').textFormat('{{instance}}'))
        .withPanel(number(
            {
                id: 1, title: 'Up', width: 4, height: 4, empty: 'No target in the scrape job livecanary',
                description: 'Whether Prometheus can scrape it. While it cannot, nothing is watched.',
            },
            { expr: `up{job="livecanary",instance=~"$instance"}`, legend: '{{instance}}' },
            { words: { '0': { text: 'DOWN', color: 'red' }, '1': { text: 'up', color: 'green' } } }))
        .withPanel(number(
            {
                id: 2, title: 'Running for', width: 4, height: 4, empty: 'Not known',
                description: 'Time since the daemon started. Counters and what was learnt start there.',
            },
            { expr: `time() - process_start_time_seconds${at} ${own}`, legend: '{{instance}}' }, { unit: 's', decimals: 0 }))
        .withPanel(number(
            {
                id: 3, title: 'Configuration', width: 4, height: 4, empty: 'Not known',
                description: 'Whether the last reload, or the start, took the configuration. If not, the one before is in '
                    + 'force, and a restart would fail: livecanary check-config names every mistake.',
            },
            { expr: `livecanary_config_last_reload_successful${at}`, legend: '{{instance}}' },
            { words: { '0': { text: 'REJECTED', color: 'red' }, '1': { text: 'taken', color: 'green' } } }))
        .withPanel(number(
            {
                id: 4, title: 'Clock', width: 4, height: 4, empty: 'Not known',
                description: 'Whether the kernel holds the wall clock for synchronised. Signatures carry times.',
            },
            { expr: `livecanary_clock_synchronized${at}`, legend: '{{instance}}' },
            { words: { '0': { text: 'not synchronised', color: 'red' }, '1': { text: 'synchronised', color: 'green' } } }))
        .withPanel(number(
            {
                id: 5, title: 'Probes', width: 4, height: 4, empty: '0',
                description: 'Configured probes.',
            },
            { expr: `count by (instance) (livecanary_probe_info${at})`, legend: '{{instance}}' }, {}))
        .withPanel(number(
            {
                id: 6, title: 'Undelivered alerts', width: 4, height: 4, empty: 'No Alertmanager is configured',
                description: 'Alerts of the daemon itself that wait to be sent, counted for each Alertmanager.',
            },
            { expr: `livecanary_notification_queue_length${at}`, legend: '{{instance}}' }, { levels: orangeFrom(1) }))
        .withPanel(rows(
            { id: 7, title: 'What runs', width: 24, height: 4, empty: 'No daemon', description: 'Version of each daemon.' },
            [`livecanary_build_info${at}`],
            [{ field: 'instance' }, { field: 'version' }, { field: 'revision' }, { field: 'compiler' }],
            { title: 'instance' }))
        .withRow(row(8, 'Are its times true'))
        .withPanel(graph(
            {
                id: 9, title: 'Loop lag', width: 12, height: 8, empty: 'No daemon',
                description: 'How long the event loop was held up. From max_loop_lag on (250 ms as a rule) a run is '
                    + 'inconclusive: its times are the daemon\'s own.',
            },
            quantiles('livecanary_event_loop_lag_seconds', 'loop lag'),
            { unit: 's', min: 0, levels: [[null, 'green'], [0.1, 'orange'], [0.25, 'red']] }))
        .withPanel(graph(
            {
                id: 10, title: 'Lateness', width: 12, height: 8, empty: 'No run was started in this time',
                description: 'How much later than due runs were started. LivecanaryRunsLate fires at 0.1 s.',
            },
            quantiles('livecanary_scheduler_lateness_seconds', 'lateness'),
            { unit: 's', min: 0, levels: orangeFrom(0.1) }))
        .withPanel(graph(
            {
                id: 11, title: 'Error of the reference probe', width: 12, height: 8, empty: 'No reference probe',
                description: 'What is measured beyond the known delay of a server of our own.',
            },
            quantiles('livecanary_reference_error_seconds', 'error'), { unit: 's', min: 0 }))
        .withPanel(graph(
            {
                id: 12, title: 'Clock offset', width: 12, height: 8, empty: 'No daemon',
                description: 'The wall clock\'s distance from its time source, as the kernel states it. Half a second is '
                    + 'LivecanaryClockUnsafe.',
            },
            [{ expr: `livecanary_clock_offset_seconds${at}`, legend: '{{instance}}' }], { unit: 's' }))
        .withRow(row(13, 'Does it get its work done'))
        .withPanel(graph(
            {
                id: 14, title: 'Runs', width: 12, height: 8, empty: 'No daemon',
                description: 'Runs under way, and runs that ended, a second.',
            },
            [
                { expr: `livecanary_runs_in_flight${at}`, legend: 'under way ({{instance}})' },
                {
                    expr: `sum by (instance) (rate(livecanary_probe_runs_total${at}[$__rate_interval]))`,
                    legend: 'ended a second ({{instance}})',
                },
            ],
            { unit: 'none', min: 0 }))
        .withPanel(graph(
            {
                id: 15, title: 'Runs that were not, or prove nothing', width: 12, height: 8, empty: 'No probe',
                description: 'Per minute. admission: max_concurrent_probes is too low for the work. overlap: a probe takes '
                    + 'longer than its interval.',
            },
            [
                {
                    expr: `60 * sum by (instance, reason) (rate(livecanary_probe_skipped_total${at}[$__rate_interval]))`,
                    legend: 'not started: {{reason}} ({{instance}})',
                },
                {
                    expr: `60 * sum by (instance) (rate(livecanary_probe_inconclusive_total${at}[$__rate_interval]))`,
                    legend: 'inconclusive ({{instance}})',
                },
            ],
            { unit: 'none', min: 0 }))
        .withRow(row(16, 'Does it come to anybody'))
        .withPanel(graph(
            {
                id: 17, title: 'Probes that fail', width: 12, height: 8, empty: 'No daemon',
                description: 'pending: fewer than fail_after failures in a row; firing: until they have recovered.',
            },
            [{ expr: `livecanary_alerts${at}`, legend: '{{state}} ({{instance}})' }],
            { unit: 'none', min: 0, stacked: true }))
        .withPanel(graph(
            {
                id: 18, title: 'Alerts sent by the daemon itself', width: 12, height: 8,
                empty: 'No Alertmanager is configured: only Prometheus alerts',
                description: 'Per minute and Alertmanager, each time one was sent, and those that were not accepted. '
                    + 'LivecanaryNotificationsFailing fires at a quarter.',
            },
            [
                {
                    expr: `60 * rate(livecanary_notifications_total${at}[$__rate_interval])`,
                    legend: 'to {{alertmanager}} ({{instance}})',
                },
                {
                    expr: `60 * rate(livecanary_notifications_failed_total${at}[$__rate_interval])`,
                    legend: 'not accepted by {{alertmanager}} ({{instance}})',
                },
                { expr: `livecanary_notification_queue_length${at}`, legend: 'waiting ({{instance}})' },
            ],
            { unit: 'none', min: 0 }))
        .withRow(row(19, 'What it leaves behind'))
        .withPanel(graph(
            {
                id: 20, title: 'Litter', width: 12, height: 8, empty: 'Nothing was made at a target yet',
                description: 'Things that runs made at their targets and that are not known to be removed: of runs under '
                    + 'way, or left behind.',
            },
            [{ expr: `livecanary_litter_items${at}`, legend: '{{store}} ({{instance}})' }], { unit: 'none', min: 0 }))
        .withPanel(graph(
            {
                id: 21, title: 'Oldest litter', width: 12, height: 8, empty: 'Nothing is left behind',
                description: 'LivecanaryLitterLeft fires at six hours: sweeps do not remove it. livecanary cleanup says why.',
            },
            [{
                expr: `time() - livecanary_litter_oldest_timestamp_seconds${at}`,
                legend: '{{store}} ({{instance}})',
            }],
            { unit: 's', min: 0, levels: redFrom(6 * 3600) }))
        .withPanel(graph(
            {
                id: 22, title: 'State that could not be written', width: 12, height: 8, empty: 'No daemon',
                description: 'Per minute: the disk is full or the folder is not ours. It is kept in memory, and lost with a '
                    + 'crash.',
            },
            [{
                expr: `60 * rate(livecanary_state_write_failures_total${at}[$__rate_interval])`,
                legend: '{{instance}}',
            }],
            { unit: 'none', min: 0, levels: redFrom(1) }))
        .withPanel(rows(
            {
                id: 23, title: 'Configuration taken', width: 12, height: 8, empty: 'No daemon',
                description: 'When a configuration was last taken, at start or by a reload.',
            },
            [`1000 * livecanary_config_last_reload_success_timestamp_seconds${at}`],
            [{ field: 'instance' }, { field: 'Value', title: 'taken', properties: [unit('dateTimeFromNow')] }],
            { title: 'instance' }))
        .withRow(row(24, 'The process'))
        .withPanel(graph(
            {
                id: 25, title: 'CPU', width: 12, height: 8, empty: 'No daemon',
                description: 'Share of one core, in user and kernel mode. One thread runs all probes: near 100 % they are late.',
            },
            [{
                expr: `rate(process_cpu_seconds_total${at}[$__rate_interval]) ${own}`,
                legend: '{{instance}}',
            }],
            { unit: 'percentunit', min: 0, levels: orangeFrom(0.8) }))
        .withPanel(graph(
            { id: 26, title: 'Memory', width: 12, height: 8, empty: 'No daemon', description: 'Resident and virtual memory.' },
            [
                { expr: `process_resident_memory_bytes${at} ${own}`, legend: 'resident ({{instance}})' },
                { expr: `process_virtual_memory_bytes${at} ${own}`, legend: 'virtual ({{instance}})' },
            ],
            { unit: 'bytes', min: 0 }))
        .withPanel(graph(
            {
                id: 27, title: 'File descriptors', width: 12, height: 8, empty: 'No daemon',
                description: 'Open ones and the limit. At the limit no probe can connect any more.',
            },
            [
                { expr: `process_open_fds${at} ${own}`, legend: 'open ({{instance}})' },
                { expr: `process_max_fds${at} ${own}`, legend: 'limit ({{instance}})' },
            ],
            { unit: 'none', min: 0 }))
        .withPanel(graph(
            { id: 28, title: 'Threads', width: 12, height: 8, empty: 'No daemon', description: 'Threads of the process.' },
            [{ expr: `process_threads${at} ${own}`, legend: '{{instance}}' }], { unit: 'none', min: 0 }))
        .build();
