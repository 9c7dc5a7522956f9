// A replay's whole way, hop by hop, and which hop is broken.
import * as dashboard from '@grafana/grafana-foundation-sdk/dashboard';

import {
    alertMarks, board, coloured, failingMarks, fixLinks, graph, kindLink, number, outcome, redFrom, row, rows, strips, unit,
    variable, where, width, Words,
} from './panels';
import { failureReasons, lastPhases, ofProbe, runDurations, successRatio, unprovenRuns } from './shared';

const matchers = ['instance=~"$instance"', 'kind="journey"', 'probe=~"$probe"'];
const at = where(...matchers);

/** In the order in which a replay takes them. */
const hops = ['push', 'callback', 'row', 'list', 'playback'];
const hopStates: Words = {
    '0': { text: 'BROKEN', color: 'red' },
    '1': { text: 'ok', color: 'green' },
    '2': { text: 'not reached', color: 'blue' },
};

/** With a label `hop` that sorts in that order: "1 push". */
function withHop(expr: string): string {
    return hops.reduce(
        (inner, hop, index) => `label_replace(${inner}, "hop", "${index + 1} ${hop}", "phase", "${hop}")`, `\n${expr}\n`);
}

/** See hopStates: a hop that fails, one that the last run reached, any other. */
const stateOfHops = `  0 * max without (reason, cause) (livecanary_probe_failing${at})
or
  1 + 0 * livecanary_probe_phase_last_duration_seconds${at}
or
  2 + 0 * livecanary_probe_phase_duration_seconds_count${at}`;

export const journey = (): dashboard.Dashboard =>
    board('livecanary-journey', 'livecanary journey', 'A replay\'s whole way, hop by hop, and which hop is broken.')
        .withVariable(variable('probe', 'Journey', 'label_values(livecanary_probe_info{instance=~"$instance",kind="journey"}, probe)'))
        .annotation(failingMarks(matchers)).annotation(alertMarks(['journey=~"$probe"', 'kind="journey"']))
        .withPanel(number(
            {
                id: 1, title: 'State', width: 16, height: 5, empty: 'Nothing is known: no conclusive run is recent enough',
                description: 'The last conclusive outcome of each journey.',
            },
            { expr: `livecanary_probe_success${at}`, legend: '{{probe}} ({{instance}})' },
            { words: { '0': { text: 'BROKEN', color: 'red' }, '1': { text: 'ok', color: 'green' } } }))
        .withPanel(number(
            {
                id: 2, title: 'Alerting', width: 4, height: 5, empty: '0',
                description: 'Journeys that failed fail_after times in a row and have not recovered.',
            },
            { expr: `count(livecanary_probe_alerting${at} == 1) or vector(0)`, legend: '' }, { levels: redFrom(1) }))
        .withPanel(number(
            {
                id: 3, title: 'Last time it all went well', width: 4, height: 5, empty: 'Not since the daemon runs',
                description: 'Since when no journey has come to its end.',
            },
            { expr: `time() - max(livecanary_probe_last_success_timestamp_seconds${at})`, legend: '' },
            { unit: 's', decimals: 0 }))
        .withPanel(rows(
            {
                id: 4, title: 'Hops', width: 24, height: 10, empty: 'No journey is configured, or chosen',
                description: 'The hops in the order in which a replay takes them. The first that is broken is the one to '
                    + 'repair: those behind it were not reached, so nothing is known of them. Not reached, too, is a hop '
                    + 'that the journey leaves out.',
            },
            [
                withHop(stateOfHops),
                withHop(`livecanary_probe_phase_last_duration_seconds${at}`),
                withHop(`livecanary_probe_failing${at}`),
            ],
            [
                { field: 'hop', properties: [width(140)] },
                { field: 'Value #A', title: 'state', properties: [...coloured(hopStates), width(140)] },
                { field: 'Value #B', title: 'time', properties: [unit('s'), { id: 'decimals', value: 2 }, width(120)] },
                { field: 'reason' },
                { field: 'cause', properties: [fixLinks] },
                { field: 'probe', title: 'journey' },
                { field: 'instance' },
            ],
            { title: 'hop' }))
        .withPanel(strips(
            {
                id: 5, title: 'Hops over time', width: 24, height: 8, empty: 'No journey is configured, or chosen',
                description: 'Since when a hop is broken, and which. Blue: not reached, or left out.',
            },
            { expr: withHop(stateOfHops), legend: '{{hop}} of {{probe}} ({{instance}})' }, hopStates))
        .withPanel(rows(
            {
                id: 6, title: 'The probes that it goes over', width: 24, height: 7,
                empty: 'No probe belongs to a journey that is chosen',
                description: 'What watches the single hops, with its own last outcome. A hop is broken and its probe is '
                    + 'well: it is what lies between the hops. A probe leads to the dashboard of its kind.',
            },
            [`livecanary_probe_success{instance=~"$instance"}
  * ${ofProbe} group_left (journey, target, severity)
livecanary_probe_info{instance=~"$instance",kind!="journey",journey=~"$probe"}`],
            [
                { field: 'journey' },
                { field: 'kind' },
                { field: 'probe', properties: [kindLink] },
                { field: 'Value', title: 'state', properties: coloured(outcome) },
                { field: 'target' },
                { field: 'instance' },
            ],
            { title: 'kind' }))
        .withRow(row(7, 'How long, how often'))
        .withPanel(lastPhases(8, matchers))
        .withPanel(graph(
            {
                id: 9, title: 'Hops, mean time', width: 12, height: 8, empty: 'No journey ended within half an hour',
                description: 'Over half an hour, since journeys are rare. Callback: what the cloud takes to record and to '
                    + 'call back.',
            },
            [{
                expr: `increase(livecanary_probe_phase_duration_seconds_sum${at}[30m])
  /
increase(livecanary_probe_phase_duration_seconds_count${at}[30m]) >= 0`,
                legend: '{{probe}} {{phase}} ({{instance}})',
            }],
            { unit: 's', min: 0 }))
        .withPanel(runDurations(10, matchers)).withPanel(failureReasons(11, matchers))
        .withPanel(successRatio(12, matchers)).withPanel(unprovenRuns(13, matchers))
        .build();
