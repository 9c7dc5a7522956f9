// A dashboard for each kind of probe: what all kinds have, then what this one measures.
import * as dashboard from '@grafana/grafana-foundation-sdk/dashboard';

import {
    alertMarks, AnyPanel, board, failingMarks, fixLinks, graph, Line, Levels, number, orangeFrom, outcome, Place, redFrom, row,
    rows, strips, unit, variable, where,
} from './panels';
import {
    addresses, failingNow, failureReasons, lastPhases, outcomes, phaseDurations, runDurations, successRatio, unprovenRuns,
} from './shared';

interface KindDashboard {
    kind: string;
    title: string;
    description: string;
    /** What a probe of this kind has of its own; `at` chooses its series. Their ids start at 20. */
    own: (at: string, matchers: string[]) => AnyPanel[];
    /** A kind that cannot be made to fail from outside has nothing to show of failures. */
    neverFails?: boolean;
}

const place = (id: number, title: string, description: string, empty: string, width = 12): Place =>
    ({ id, title, description, width, height: 8, empty });

const perMinute = (metric: string, at: string, by: string, legend: string): Line => ({
    expr: `60 * sum by (instance, probe${by}) (rate(${metric}${at}[$__rate_interval]))`,
    legend,
});
const mean = (metric: string, at: string, legend: string): Line => ({
    expr: `rate(${metric}_sum${at}[$__rate_interval]) / rate(${metric}_count${at}[$__rate_interval]) >= 0`,
    legend,
});
/** Median and 95th percentile of a histogram, for each value of the label. */
const quantiles = (metric: string, at: string, label: string): Line[] => {
    const by = label === '' ? '' : `, ${label}`;
    const name = label === '' ? '{{probe}}' : `{{probe}} {{${label}}}`;
    return [['0.5', 'median'], ['0.95', '95 %']].map(([q, word]) => ({
        expr: `histogram_quantile(${q}, sum by (le, instance, probe${by}) (rate(${metric}_bucket${at}[$__rate_interval])))`,
        legend: `${name} ${word} ({{instance}})`,
    }));
};

const kinds: KindDashboard[] = [
    {
        kind: 'rtmp_push',
        title: 'livecanary push and playback',
        description: 'Does the ingest take what is pushed, and does it come to viewers: rtmp_push probes.',
        own: (at, matchers) => [
            graph(
                place(20, 'Sent and acknowledged', 'Bytes per second of pushes. Where acknowledged stays behind sent, the '
                    + 'server has stopped reading.', 'Nothing was pushed in this time'),
                [
                    { expr: `rate(livecanary_rtmp_sent_bytes_total${at}[$__rate_interval])`, legend: '{{probe}} sent ({{instance}})' },
                    {
                        expr: `rate(livecanary_rtmp_acked_bytes_total${at}[$__rate_interval])`,
                        legend: '{{probe}} acknowledged ({{instance}})',
                    },
                ],
                { unit: 'Bps', min: 0 }),
            graph(
                place(21, 'Stalls and hang-ups', 'The longest time of the last push in which the server took nothing. '
                    + 'Pushes that the server ended itself, per minute.', 'No push came to media'),
                [
                    { expr: `livecanary_rtmp_stall_seconds${at}`, legend: '{{probe}} stalled, s ({{instance}})' },
                    perMinute('livecanary_rtmp_server_closes_total', at, '', '{{probe}} hang-ups per minute ({{instance}})'),
                ],
                { unit: 'none', min: 0 }),
            graph(
                place(22, 'Delay to viewers', 'From the push of a keyframe to its arrival at a player: median and 95th '
                    + 'percentile for each protocol. HLS lags by the length of its segments.', 'No probe has playback'),
                quantiles('livecanary_playback_latency_seconds', at, 'protocol'), { unit: 's', min: 0 }),
            graph(
                place(23, 'Time to the first picture', 'From a player\'s request to the first picture that could be shown.',
                    'No probe has playback'),
                quantiles('livecanary_playback_first_frame_seconds', at, 'protocol'), { unit: 's', min: 0 }),
            graph(
                place(24, 'Pauses and stale playlists', 'Longest time in which a player of the last run got nothing after '
                    + 'its first media (not of HLS), and for which a playlist had not been renewed.', 'No probe has playback'),
                [
                    { expr: `livecanary_playback_pause_seconds${at}`, legend: '{{probe}} pause ({{instance}})' },
                    {
                        expr: `livecanary_playback_playlist_age_seconds${at}`,
                        legend: '{{probe}} playlist not renewed for ({{instance}})',
                    },
                ],
                { unit: 's', min: 0 }),
            graph(
                place(25, 'Jumps of timestamps', 'Timestamps of what is played that went back, or forward by more than '
                    + '200 ms, per minute: viewers see a freeze or a skip.', 'No probe has playback'),
                [perMinute('livecanary_playback_timestamp_gaps_total', at, '', '{{probe}} ({{instance}})')],
                { unit: 'none', min: 0 }),
            graph(
                place(26, 'What the server sets', 'Window of acknowledgement and chunk size of the last run. A change is '
                    + 'another server, or another version of it.', 'No push came to a connection'),
                [
                    { expr: `livecanary_rtmp_server_window_bytes${at}`, legend: '{{probe}} window ({{instance}})' },
                    { expr: `livecanary_rtmp_server_chunk_size_bytes${at}`, legend: '{{probe}} chunk ({{instance}})' },
                ],
                { unit: 'bytes', min: 0 }),
            addresses(27, matchers, true),
        ],
    },
    {
        kind: 'cos_roundtrip',
        title: 'livecanary object storage',
        description: 'Can covers be uploaded and read back: cos_roundtrip probes.',
        own: (at, matchers) => [
            graph(
                place(20, 'Operations', 'Mean time of each request, from its start to the last byte of the answer.',
                    'No request in this time'),
                [mean('livecanary_cos_operation_duration_seconds', at, '{{probe}} {{operation}} ({{instance}})')],
                { unit: 's', min: 0 }),
            graph(
                place(21, 'Readable after an upload', 'From the answer to a PUT until the object could be read: median and '
                    + '95th percentile.', 'Nothing was uploaded in this time'),
                quantiles('livecanary_cos_read_after_write_seconds', at, ''), { unit: 's', min: 0 }),
            graph(
                place(22, 'Clock of the store', 'The server\'s clock, as its Date says, minus our own. Signatures are '
                    + 'refused when it is minutes. Whole seconds.', 'No answer yet'),
                [{ expr: `livecanary_cos_clock_skew_seconds${at}`, legend: '{{probe}} ({{instance}})' }],
                { unit: 's' }),
            addresses(23, matchers, false),
        ],
    },
    {
        kind: 'cdn_fetch',
        title: 'livecanary CDN',
        description: 'Does the CDN serve what its origin has, and faster: cdn_fetch probes.',
        own: (at, matchers) => [
            graph(
                place(20, 'Answers', 'Answers of the CDN per minute, by status and by whether they came from its caches.',
                    'No answer in this time'),
                [perMinute('livecanary_cdn_responses_total', at, ', code, cache', '{{probe}} {{code}} {{cache}} ({{instance}})')],
                { unit: 'none', min: 0, stacked: true }),
            graph(
                place(21, 'From the caches', 'Share of the answers that came from a cache, of those that say so. Near 0: '
                    + 'nothing is cached, and every viewer asks the origin.', 'No answer says whether it is cached'),
                [{
                    expr: `sum by (instance, probe) (rate(livecanary_cdn_responses_total${at.replace('}', ',cache="hit"}')}`
                        + `[$__rate_interval]))
  /
sum by (instance, probe) (rate(livecanary_cdn_responses_total${at.replace('}', ',cache=~"hit|miss"}')}[$__rate_interval]))
>= 0`,
                    legend: '{{probe}} ({{instance}})',
                }],
                { unit: 'percentunit', min: 0 }),
            graph(
                place(22, 'Acceleration', 'Time at the origin divided by the time at the CDN, of the same URL. Below 1 the '
                    + 'CDN is slower: LivecanaryCdnNotAccelerating.', 'No pair of times yet'),
                [{ expr: `livecanary_cdn_acceleration_ratio${at}`, legend: '{{probe}} ({{instance}})' }],
                { unit: 'none', min: 0, levels: [[null, 'red'], [1, 'green']] }),
            addresses(23, matchers, true),
        ],
    },
    {
        kind: 'callback',
        title: 'livecanary callbacks',
        description: 'Do the cloud\'s callbacks arrive, rightly signed and in time, and does the backend take them: callback '
            + 'probes.',
        own: (at) => [
            graph(
                place(20, 'Callbacks received', 'Rightly signed callbacks per minute. Events: 1 push began, 0 it ended, 100 '
                    + 'recording, 200 screenshot.', 'No probe receives callbacks'),
                [perMinute('livecanary_callbacks_total', at, ', event', '{{probe}} {{event}} ({{instance}})')],
                { unit: 'none', min: 0 }),
            graph(
                place(21, 'Defects', 'What was wrong with callbacks, per minute. missing: a push was not followed by its '
                    + 'event; bad_signature: another key on one side; unsigned_accepted: the backend takes what nobody '
                    + 'signed.', 'No callback probe'),
                [perMinute('livecanary_callback_defects_total', at, ', defect', '{{probe}} {{defect}} ({{instance}})')],
                { unit: 'none', min: 0, levels: orangeFrom(1) }),
            graph(
                place(22, 'Delay of callbacks', 'From the start of a push (event 1) or its end (0, 100) until its event came '
                    + 'in: median and 95th percentile.', 'No callback followed a push of ours'),
                quantiles('livecanary_callback_delay_seconds', at, 'event'), { unit: 's', min: 0 }),
        ],
    },
    {
        kind: 'mysql',
        title: 'livecanary database',
        description: 'Does the database answer, are its tables as they must be, and do rows come: mysql probes.',
        own: (at) => [
            graph(
                place(20, 'New rows', 'Rows that came above the watermark, per hour. None where yesterday had some: '
                    + 'LivecanaryRowsStalled.', 'No table has a watermark'),
                [{
                    expr: `3600 * sum by (instance, probe, table) (rate(livecanary_mysql_table_rows_added_total${at}[$__rate_interval]))`,
                    legend: '{{probe}} {{table}} ({{instance}})',
                }],
                { unit: 'none', min: 0 }),
            graph(
                place(21, 'Age of the newest row', 'Time since the greatest time in the watermark column.',
                    'No table has a watermark that is a time'),
                [{
                    expr: `time() - livecanary_mysql_table_newest_timestamp_seconds${at}`,
                    legend: '{{probe}} {{table}} ({{instance}})',
                }],
                { unit: 's', min: 0 }),
            strips(
                place(22, 'Tables as expected', 'Whether the table is there and its columns have the names, types and '
                    + 'defaults that the configuration expects.', 'No table is configured', 24),
                { expr: `livecanary_mysql_table_schema_ok${at}`, legend: '{{probe}} {{table}} ({{instance}})' },
                { '0': { text: 'drifted', color: 'red' }, '1': { text: 'as expected', color: 'green' } }),
            graph(
                place(23, 'Rows', 'Rows of each table: an estimate, as the server\'s statistics have it.',
                    'No table is configured'),
                [{ expr: `livecanary_mysql_table_rows${at}`, legend: '{{probe}} {{table}} ({{instance}})' }],
                { unit: 'none', min: 0 }),
            graph(
                place(24, 'Replication', 'How far the replica is behind, as it says itself. A gap: it does not know, since '
                    + 'one of its threads stands.', 'No probe has replication'),
                [{ expr: `livecanary_mysql_replication_lag_seconds${at}`, legend: '{{probe}} ({{instance}})' }],
                { unit: 's', min: 0 }),
        ],
    },
    {
        kind: 'backend_api',
        title: 'livecanary backend',
        description: 'Does the business backend answer as the app needs it: backend_api probes.',
        own: (at) => [
            strips(
                place(20, 'Checks', 'Each check in the last run that made it. They build upon each other: static without php '
                    + 'is PHP, php without redis is Redis, and so on.', 'No check was made', 24),
                { expr: `livecanary_backend_check_ok${at}`, legend: '{{probe}} {{check}} ({{instance}})' }, outcome),
            graph(
                place(21, 'Time of the checks', 'Mean time of each check\'s request.', 'No check in this time'),
                [mean('livecanary_backend_check_duration_seconds', at, '{{probe}} {{check}} ({{instance}})')],
                { unit: 's', min: 0 }),
            graph(
                place(22, 'Age of the newest replay', 'Time since the newest replay in the list ended. It grows while nobody '
                    + 'streams; while somebody does, recording, callback or database are broken.', 'The list has no replay'),
                [{ expr: `livecanary_backend_newest_replay_age_seconds${at}`, legend: '{{probe}} ({{instance}})' }],
                { unit: 's', min: 0 }),
        ],
    },
    {
        kind: 'log_keywords',
        title: 'livecanary logs',
        description: 'What the logs of app and backend say about causes: log_keywords probes.',
        own: (at) => [
            rows(
                {
                    id: 20, title: 'Lines that point at a cause', width: 12, height: 8,
                    description: 'Over the time of the dashboard. As a rule a line only confirms what another probe sees.',
                    empty: 'No line pointed at a cause',
                },
                [`sum by (instance, probe, cause) (increase(livecanary_log_matches_total${at}[$__range])) > 0`],
                [
                    { field: 'cause', properties: [fixLinks] },
                    { field: 'Value', title: 'lines', properties: [unit('none'), { id: 'decimals', value: 0 }] },
                    { field: 'probe' }, { field: 'instance' },
                ],
                { title: 'lines', descending: true }),
            graph(
                place(21, 'Such lines over time', 'Lines per minute that point at a cause, by cause.',
                    'No line pointed at a cause'),
                [{
                    expr: `60 * sum by (instance, probe, cause) (rate(livecanary_log_matches_total${at}[$__rate_interval])) > 0`,
                    legend: '{{probe}} {{cause}} ({{instance}})',
                }],
                { unit: 'none', min: 0, stacked: true }),
            graph(
                place(22, 'Lines read', 'All lines, per minute. None while the app is in use: the paths are wrong, or '
                    + 'nothing logs any more.', 'No log_keywords probe'),
                [perMinute('livecanary_log_lines_total', at, '', '{{probe}} ({{instance}})')], { unit: 'none', min: 0 }),
            graph(
                place(23, 'Files, and what is unread', 'Files that the paths mean, and bytes that the last run left for the '
                    + 'next one. What grows there is not looked at in time.', 'The probe could not look'),
                [
                    { expr: `livecanary_log_files${at}`, legend: '{{probe}} files ({{instance}})' },
                    { expr: `livecanary_log_unread_bytes${at}`, legend: '{{probe}} unread bytes ({{instance}})' },
                ],
                { unit: 'short', min: 0 }),
        ],
    },
    {
        kind: 'reference',
        title: 'livecanary reference',
        description: 'How true the daemon\'s own times are: reference probes, which ask servers of the daemon itself.',
        neverFails: true,
        own: (at) => [
            graph(
                place(20, 'Error of measured times', 'How far a measured phase is from the known delay of a server of our '
                    + 'own: median and 95th percentile. What other probes measure is no better.', 'No reference probe'),
                quantiles('livecanary_reference_error_seconds', at, ''),
                { unit: 's', min: 0, levels: [[null, 'green'], [0.025, 'orange']] as Levels }),
        ],
    },
];

function dashboardOf(of: KindDashboard): dashboard.Dashboard {
    const matchers = ['instance=~"$instance"', `kind="${of.kind}"`, 'probe=~"$probe"'];
    const at = where(...matchers);
    const built = board(`livecanary-${of.kind}`, of.title, of.description)
        .withVariable(variable('probe', 'Probe',
            `label_values(livecanary_probe_info{instance=~"$instance",kind="${of.kind}"}, probe)`))
        .withPanel(number(
            {
                id: 1, title: 'State', width: of.neverFails === true ? 20 : 16, height: 5,
                description: 'The last conclusive outcome of each probe. A probe that is missing here is not known: it has '
                    + 'no conclusive run that is recent enough.',
                empty: 'Nothing is known',
            },
            { expr: `livecanary_probe_success${at}`, legend: '{{probe}} ({{instance}})' },
            { words: outcome, levels: [[null, 'red'], [1, 'green']] }))
        .withPanel(number(
            {
                id: 3, title: 'Last run', width: 4, height: 5, empty: 'No run yet',
                description: 'Time since a run of these probes ended, whatever came of it.',
            },
            { expr: `time() - max(livecanary_probe_last_run_timestamp_seconds${at})`, legend: '' }, { unit: 's', decimals: 0 }));
    if (of.neverFails !== true)
        built.annotation(failingMarks(matchers)).annotation(alertMarks([`kind="${of.kind}"`, 'probe=~"$probe"']))
            .withPanel(number(
                {
                    id: 2, title: 'Alerting', width: 4, height: 5, empty: '0',
                    description: 'Probes that failed fail_after times in a row and have not recovered.',
                },
                { expr: `count(livecanary_probe_alerting${at} == 1) or vector(0)`, legend: '' }, { levels: redFrom(1) }))
            .withPanel(failingNow(4, 7, matchers));
    built.withPanel(outcomes(5, 7, matchers)).withRow(row(6, 'What it measures'));
    for (const panel of of.own(at, matchers)) built.withPanel(panel);
    built.withRow(row(7, 'Its runs')).withPanel(lastPhases(8, matchers)).withPanel(phaseDurations(9, matchers))
        .withPanel(runDurations(10, matchers));
    if (of.neverFails !== true) built.withPanel(failureReasons(11, matchers));
    return built.withPanel(successRatio(12, matchers)).withPanel(unprovenRuns(13, matchers)).build();
}

export const ofKinds = (): dashboard.Dashboard[] => kinds.map(dashboardOf);
