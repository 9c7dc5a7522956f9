// What the dashboards have in common: the data source, the variables, and panels with the settings that all of
// their sort have. A panel has an id of its own that stays, since alerts and bookmarks lead to it.
import * as cog from '@grafana/grafana-foundation-sdk/cog';
import * as common from '@grafana/grafana-foundation-sdk/common';
import * as dashboard from '@grafana/grafana-foundation-sdk/dashboard';
import * as prometheus from '@grafana/grafana-foundation-sdk/prometheus';
import * as stat from '@grafana/grafana-foundation-sdk/stat';
import * as statetimeline from '@grafana/grafana-foundation-sdk/statetimeline';
import * as table from '@grafana/grafana-foundation-sdk/table';
import * as timeseries from '@grafana/grafana-foundation-sdk/timeseries';

const docs = 'https://github.com/livecanary/livecanary/blob/main/docs';
export const datasource: common.DataSourceRef = { type: 'prometheus', uid: '${datasource}' };

/** A place on the grid, which is 24 wide, and what a reader is told. */
export interface Place {
    id: number;
    title: string;
    description: string;
    width: number;
    height: number;
    /** What an empty panel means. */
    empty: string;
}

/** PromQL over time; `legend` names a line by its labels. */
export interface Line {
    expr: string;
    legend: string;
}

/** A level and the colour from there on; the first has no level. */
export type Levels = [null | number, string][];
export const calm: Levels = [[null, 'green']];
export const neutral: Levels = [[null, 'blue']];
export const redFrom = (level: number): Levels => [[null, 'green'], [level, 'red']];
export const orangeFrom = (level: number): Levels => [[null, 'green'], [level, 'orange']];

/** A number's word and colour. */
export type Words = Record<string, { text: string; color: string }>;
export const outcome: Words = { '0': { text: 'failed', color: 'red' }, '1': { text: 'ok', color: 'green' } };

/** `{a,b}`, or nothing without any. */
export function where(...matchers: string[]): string {
    return `{${matchers.join(',')}}`;
}

export const refId = (index: number): string => String.fromCharCode('A'.charCodeAt(0) + index);

function overTime(line: Line, index: number): prometheus.DataqueryBuilder {
    return new prometheus.DataqueryBuilder()
        .refId(refId(index)).datasource(datasource).expr(line.expr).legendFormat(line.legend)
        .editorMode(prometheus.QueryEditorMode.Code).range();
}

function now(line: Line, index: number, format: prometheus.PromQueryFormat): prometheus.DataqueryBuilder {
    return new prometheus.DataqueryBuilder()
        .refId(refId(index)).datasource(datasource).expr(line.expr).legendFormat(line.legend).format(format)
        .editorMode(prometheus.QueryEditorMode.Code).instant();
}

export function levels(steps: Levels): dashboard.ThresholdsConfigBuilder {
    return new dashboard.ThresholdsConfigBuilder()
        .mode(dashboard.ThresholdsMode.Absolute)
        .steps(steps.map(([value, color]) => ({ value, color })));
}

export function words(of: Words): dashboard.ValueMapping[] {
    const options = Object.fromEntries(Object.entries(of).map(([value, word], index) => [value, { ...word, index }]));
    return [{ type: dashboard.MappingType.ValueToText, options }];
}

const byThresholds = (): dashboard.FieldColorBuilder =>
    new dashboard.FieldColorBuilder().mode(dashboard.FieldColorModeId.Thresholds);

/** One coloured number, or one a series. */
export function number(
    place: Place,
    line: Line,
    look: { unit?: string; levels?: Levels; words?: Words; decimals?: number },
): stat.PanelBuilder {
    const panel = new stat.PanelBuilder()
        .id(place.id).title(place.title).description(place.description).span(place.width).height(place.height)
        .datasource(datasource).noValue(place.empty)
        .withTarget(now(line, 0, prometheus.PromQueryFormat.TimeSeries))
        .unit(look.unit ?? 'none').thresholds(levels(look.levels ?? neutral)).colorScheme(byThresholds())
        .colorMode(common.BigValueColorMode.Background).graphMode(common.BigValueGraphMode.None)
        .textMode(line.legend === '' ? common.BigValueTextMode.Value : common.BigValueTextMode.ValueAndName)
        .reduceOptions(new common.ReduceDataOptionsBuilder().calcs(['lastNotNull']));
    if (look.words !== undefined) panel.mappings(words(look.words));
    if (look.decimals !== undefined) panel.decimals(look.decimals);
    return panel;
}

/** Lines over time. With `levels`, the areas from each level on are tinted. */
export function graph(
    place: Place,
    lines: Line[],
    look: { unit: string; min?: number; stacked?: boolean; levels?: Levels },
): timeseries.PanelBuilder {
    const panel = new timeseries.PanelBuilder()
        .id(place.id).title(place.title).description(place.description).span(place.width).height(place.height)
        .datasource(datasource).noValue(place.empty).targets(lines.map(overTime)).unit(look.unit)
        .lineWidth(1).fillOpacity(look.stacked ? 30 : 10).showPoints(common.VisibilityMode.Auto)
        .legend(new common.VizLegendOptionsBuilder().showLegend(true)
            .displayMode(common.LegendDisplayMode.Table).placement(common.LegendPlacement.Bottom)
            .calcs(['lastNotNull', 'max']))
        .tooltip(new common.VizTooltipOptionsBuilder()
            .mode(common.TooltipDisplayMode.Multi).sort(common.SortOrder.Descending));
    if (look.min !== undefined) panel.min(look.min);
    if (look.stacked) panel.stacking(new common.StackingConfigBuilder().mode(common.StackingMode.Normal));
    if (look.levels !== undefined)
        panel.thresholds(levels(look.levels)).thresholdsStyle(
            new common.GraphThresholdsStyleConfigBuilder().mode(common.GraphThresholdsStyleMode.Line));
    return panel;
}

/** A coloured strip for each series, whose gaps are what is not known. */
export function strips(place: Place, line: Line, of: Words): statetimeline.PanelBuilder {
    return new statetimeline.PanelBuilder()
        .id(place.id).title(place.title).description(place.description).span(place.width).height(place.height)
        .datasource(datasource).noValue(place.empty).withTarget(overTime(line, 0))
        .mappings(words(of)).colorScheme(byThresholds()).thresholds(levels([[null, 'text']]))
        .lineWidth(0).fillOpacity(80).spanNulls(false).mergeValues(true).rowHeight(0.85)
        .showValue(common.VisibilityMode.Never)
        .legend(new common.VizLegendOptionsBuilder().showLegend(true)
            .displayMode(common.LegendDisplayMode.List).placement(common.LegendPlacement.Bottom).calcs([]))
        .tooltip(new common.VizTooltipOptionsBuilder()
            .mode(common.TooltipDisplayMode.Single).sort(common.SortOrder.None));
}

/** A column: a label, or the value of a query. Those that are not named are hidden. */
export interface Column {
    /** `Value`, or `Value #A` where there are several queries. */
    field: string;
    title?: string;
    properties?: dashboard.DynamicConfigValue[];
}

/** Rows of what is so now, joined by the labels that all queries have. */
export function rows(
    place: Place,
    queries: string[],
    columns: Column[],
    sort?: { title: string; descending?: boolean },
): table.PanelBuilder {
    const panel = new table.PanelBuilder()
        .id(place.id).title(place.title).description(place.description).span(place.width).height(place.height)
        .datasource(datasource).noValue(place.empty)
        .targets(queries.map((expr, index) => now({ expr, legend: '' }, index, prometheus.PromQueryFormat.Table)))
        .cellHeight(common.TableCellHeight.Sm).filterable(true)
        .cellOptions({ type: common.TableCellDisplayMode.Auto });
    if (queries.length > 1) panel.withTransformation({ id: 'merge', options: {} });
    panel.withTransformation({
        id: 'filterFieldsByName',
        options: { include: { names: columns.map((column) => column.field) } },
    });
    panel.withTransformation({
        id: 'organize',
        options: {
            excludeByName: {},
            indexByName: Object.fromEntries(columns.map((column, index) => [column.field, index])),
            renameByName: Object.fromEntries(
                columns.filter((column) => column.title !== undefined).map((column) => [column.field, column.title])),
        },
    });
    for (const column of columns)
        if (column.properties !== undefined)
            panel.overrideByName(column.title ?? column.field, column.properties);
    if (sort !== undefined)
        panel.sortBy([new common.TableSortByFieldStateBuilder().displayName(sort.title).desc(sort.descending ?? false)]);
    return panel;
}

export const row = (id: number, title: string): dashboard.RowBuilder => new dashboard.RowBuilder(title).id(id);

const link = (title: string, url: string): { title: string; url: string; targetBlank: boolean } =>
    ({ title, url, targetBlank: true });

/** The fix of a cause, in both languages. */
export const fixLinks: dashboard.DynamicConfigValue = {
    id: 'links',
    value: [
        link('Runbook', `${docs}/runbooks/en.md#\${__value.text}`),
        link('处理手册', `${docs}/runbooks/zh.md#\${__value.text}`),
    ],
};
/** From a row with `kind` to the dashboard of that kind, at that probe and daemon. */
export const kindLink: dashboard.DynamicConfigValue = {
    id: 'links',
    value: [{
        title: 'Its dashboard',
        url: '/d/livecanary-${__data.fields.kind}?var-datasource=${datasource}'
            + '&var-instance=${__data.fields.instance}&var-probe=${__data.fields.probe}&${__url_time_range}',
    }],
};
/** From a journey to its dashboard. */
export const journeyLink: dashboard.DynamicConfigValue = {
    id: 'links',
    value: [{
        title: 'Its hops',
        url: '/d/livecanary-journey?var-datasource=${datasource}'
            + '&var-instance=${__data.fields.instance}&var-probe=${__value.text}&${__url_time_range}',
    }],
};
export const alertLinks: dashboard.DynamicConfigValue = {
    id: 'links',
    value: [link('What to do first', `${docs}/alerts.md`)],
};
export const unit = (name: string): dashboard.DynamicConfigValue => ({ id: 'unit', value: name });
export const width = (pixels: number): dashboard.DynamicConfigValue => ({ id: 'custom.width', value: pixels });
/** The cell's background, by the words of its value. */
export const coloured = (of: Words): dashboard.DynamicConfigValue[] => [
    { id: 'mappings', value: words(of) },
    { id: 'custom.cellOptions', value: { type: common.TableCellDisplayMode.ColorBackground } },
];

/** One of the variables that the queries use, with all of its values chosen at first. */
export function variable(name: string, label: string, query: string): dashboard.QueryVariableBuilder {
    return new dashboard.QueryVariableBuilder(name)
        .label(label).datasource(datasource).query({ query, refId: name }).definition(query)
        .refresh(dashboard.VariableRefresh.OnTimeRangeChanged).sort(dashboard.VariableSort.AlphabeticalAsc)
        .multi(true).includeAll(true).allValue('.+').current({ text: ['All'], value: ['$__all'] });
}

export const instances = (): dashboard.QueryVariableBuilder =>
    variable('instance', 'Daemon', 'label_values(livecanary_build_info, instance)');

/**
 * Marks in the graphs. Grafana has moved the query of an annotation into a `target`, and looks for `expr` and `step` where it
 * finds none (packages/grafana-prometheus/src/annotations.ts); one before 12 has only these.
 */
export function marks(name: string, color: string, expr: string, step: string): dashboard.AnnotationQueryBuilder {
    return new dashboard.AnnotationQueryBuilder()
        .name(name).datasource(datasource).enable(true).hide(false).iconColor(color).expr(expr).step(step)
        .target(new prometheus.DataqueryBuilder().refId('Anno').expr(expr).interval(step));
}

/** A mark for each time in which a probe fails, with its cause. */
export const failingMarks = (matchers: string[]): dashboard.AnnotationQueryBuilder =>
    marks('Failing', 'red', `livecanary_probe_failing${where(...matchers)}`, '15s')
        .titleFormat('{{probe}} fails in {{phase}}: {{reason}}').textFormat('{{cause}}').tagKeys('kind');

/** A mark for each time in which one of the rules fires, where Prometheus has them. */
export const alertMarks = (matchers: string[]): dashboard.AnnotationQueryBuilder =>
    marks('Alerts', 'orange', `ALERTS${where('alertname=~"Livecanary.+"', 'alertname!="LivecanaryWatchdog"',
        'alertstate="firing"', ...matchers)}`, '15s')
        .titleFormat('{{alertname}}').textFormat('{{probe}}').tagKeys('severity');

/** An empty dashboard with the links and the first variables of all. */
export function board(uid: string, title: string, description: string): dashboard.DashboardBuilder {
    const toDocs = (name: string, page: string): dashboard.DashboardLinkBuilder =>
        new dashboard.DashboardLinkBuilder(name).type(dashboard.DashboardLinkType.Link)
            .icon('doc').url(`${docs}/${page}`).targetBlank(true);
    return new dashboard.DashboardBuilder(title)
        .uid(uid).description(description).tags(['livecanary']).timezone('browser').editable()
        .tooltip(dashboard.DashboardCursorSync.Crosshair).refresh('30s').time({ from: 'now-3h', to: 'now' })
        .version(1).annotations([])
        .link(new dashboard.DashboardLinkBuilder('livecanary').type(dashboard.DashboardLinkType.Dashboards)
            .tags(['livecanary']).asDropdown(true).keepTime(true).icon('external link'))
        .link(toDocs('Runbook', 'runbooks/en.md')).link(toDocs('处理手册', 'runbooks/zh.md'))
        .link(toDocs('Alerts', 'alerts.md'))
        .withVariable(new dashboard.DatasourceVariableBuilder('datasource').label('Data source').type('prometheus'))
        .withVariable(instances());
}

export type AnyPanel = cog.Builder<dashboard.Panel>;
