// What Grafana's file provisioning takes, of its source (grafana/grafana, read 2026-11-28; folders below pkg/): what it
// would only say when it starts, and by not starting.
import { parse } from 'yaml';

/** util/shortid_generator.go: uids of dashboards, data sources, rules. */
export const validUid = (uid: unknown): boolean => typeof uid === 'string' && /^[a-zA-Z0-9_-]{1,40}$/.test(uid);

type Table = Record<string, unknown>;
const tables = (value: unknown): Table[] => (Array.isArray(value) ? value as Table[] : []);
const unknownKeys = (table: Table, known: string[]): string[] => Object.keys(table).filter((key) => !known.includes(key));

/** Prometheus' model.ParseDuration, in seconds. */
function seconds(duration: unknown): number | undefined {
    if (duration === '0') return 0;
    const found = /^(?:(\d+)y)?(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?$/.exec(String(duration));
    if (found === null || found[0] === '') return undefined;
    const each = [31536000, 604800, 86400, 3600, 60, 1, 0.001];
    return each.reduce((sum, unit, index) => sum + unit * Number(found[index + 1] ?? 0), 0);
}

/** services/provisioning/values/values.go: in all but an annotation and a query's model a `$` is the environment's. */
const hasDollar = (value: unknown): boolean => JSON.stringify(value ?? '').includes('$');

/** services/provisioning/alerting/rules_types.go, services/ngalert/models/{alert_rule,alert_query}.go, expr/threshold.go. */
function ruleMistakes(rule: Table, interval: number): string[] {
    const mistakes: string[] = [];
    const wrong = (what: string): void => { mistakes.push(`${String(rule['title'])}: ${what}`); };
    for (const key of unknownKeys(rule, [
        'uid', 'title', 'condition', 'data', 'dashboardUid', 'panelId', 'noDataState', 'execErrState', 'for', 'keepFiringFor',
        'missing_series_evals_to_resolve', 'annotations', 'labels', 'isPaused', 'notification_settings', 'record',
    ])) wrong(`Grafana would not read ${key}`);
    if (!validUid(rule['uid'])) wrong('its uid is not taken');
    const title = String(rule['title'] ?? '');
    if (title === '' || title.length > 190) wrong('its title is not taken');
    if (!['Alerting', 'NoData', 'OK', 'KeepLast'].includes(String(rule['noDataState']))) wrong('noDataState');
    if (!['Alerting', 'Error', 'OK', 'KeepLast'].includes(String(rule['execErrState']))) wrong('execErrState');
    for (const key of ['for', 'keepFiringFor'])
        if (rule[key] !== undefined && seconds(rule[key]) === undefined) wrong(`${key} is no duration`);
    // A series that goes away is missing, and no longer kept than that, while another of the rule is there.
    const kept = seconds(rule['keepFiringFor'] ?? '0s') ?? 0;
    const missing = Number(rule['missing_series_evals_to_resolve'] ?? 2);
    if (!Number.isInteger(missing) || missing < 1) wrong('missing_series_evals_to_resolve');
    if (missing * interval < kept) wrong('keepFiringFor is longer than a missing series is kept');

    const labels = (rule['labels'] ?? {}) as Table, annotations = (rule['annotations'] ?? {}) as Table;
    for (const value of Object.values({ ...labels, ...annotations }))
        if (typeof value !== 'string') wrong('a label or annotation is no text');
    if (hasDollar({ ...rule, annotations: undefined, data: undefined })) wrong('has a $, which is the environment\'s');
    // From Grafana 13 on the environment's variables are put into annotations, too, where they have braces.
    if (/\$\{|\$\$|\$__(env|file|vault)/.test(JSON.stringify(annotations))) wrong('an annotation asks for the environment');
    if (!validUid(annotations['__dashboardUid__']) || !/^\d+$/.test(String(annotations['__panelId__']))) wrong('leads to no panel');
    // services/ngalert/state/template: what Prometheus has besides, and that values are A, C and F here.
    for (const [name, text] of Object.entries(annotations)) {
        if (/\bquery\b *\(|\$externalLabels|\$value\b/.test(String(text))) wrong(`${name} asks for what Grafana has not`);
        if ((String(text).match(/\{\{/g) ?? []).length !== (String(text).match(/\}\}/g) ?? []).length) wrong(`${name}: braces`);
    }

    const queries = tables(rule['data']);
    const refIds = queries.map((query) => String(query['refId']));
    if (new Set(refIds).size !== refIds.length) wrong('two queries have one refId');
    if (!refIds.includes(String(rule['condition']))) wrong('its condition is no query');
    for (const used of JSON.stringify(annotations).match(/\$values\.[A-Za-z]+/g) ?? [])
        if (!refIds.includes(used.slice('$values.'.length))) wrong(`${used} is no query`);
    for (const query of queries) {
        const refId = String(query['refId']), model = (query['model'] ?? {}) as Table;
        for (const key of unknownKeys(query, ['refId', 'queryType', 'relativeTimeRange', 'datasourceUid', 'model']))
            wrong(`${refId}: Grafana would not read ${key}`);
        if (model['refId'] !== refId) wrong(`${refId}: its model is of ${String(model['refId'])}`);
        const range = (query['relativeTimeRange'] ?? {}) as Table;
        if (!Number.isInteger(range['from']) || !Number.isInteger(range['to'])) wrong(`${refId}: its range is not in seconds`);
        if (query['datasourceUid'] !== '__expr__') {
            if (Number(range['from']) <= Number(range['to'])) wrong(`${refId}: its range is empty`);
            // An instant query gives numbers; a series could not be alerted on without reducing it.
            if (model['instant'] !== true || model['range'] !== false) wrong(`${refId}: not an instant query`);
            continue;
        }
        const conditions = tables(model['conditions']);
        const evaluator = (conditions[0]?.['evaluator'] ?? {}) as { type?: unknown; params?: unknown[] };
        if (model['type'] !== 'threshold' || conditions.length !== 1) wrong(`${refId}: not a threshold with one condition`);
        if (!['gt', 'lt', 'eq', 'ne', 'gte', 'lte'].includes(String(evaluator.type))) wrong(`${refId}: no evaluator`);
        if (evaluator.params?.length !== 1 || !Number.isFinite(evaluator.params[0])) wrong(`${refId}: no number to compare with`);
        if (!refIds.includes(String(model['expression']))) wrong(`${refId}: compares ${String(model['expression'])}`);
    }
    return mistakes;
}

function groupMistakes(groups: Table[]): string[] {
    const mistakes: string[] = [];
    const rules = groups.flatMap((group) => tables(group['rules']));
    for (const group of groups) {
        const name = String(group['name'] ?? ''), interval = seconds(group['interval']);
        for (const key of unknownKeys(group, ['orgId', 'name', 'folder', 'interval', 'rules']))
            mistakes.push(`${name}: Grafana would not read ${key}`);
        if (name === '' || name.length > 190) mistakes.push(`${name}: not taken as a name`);
        if (String(group['folder'] ?? '').trim() === '') mistakes.push(`${name}: no folder`);
        // Its scheduler ticks each ten seconds.
        if (interval === undefined || interval <= 0 || interval % 10 !== 0) mistakes.push(`${name}: interval`);
        for (const rule of tables(group['rules'])) mistakes.push(...ruleMistakes(rule, interval ?? 0));
    }
    for (const key of ['uid', 'title'])
        if (new Set(rules.map((rule) => rule[key])).size !== rules.length) mistakes.push(`two rules have one ${key}`);
    return mistakes;
}

/** Settings of contact points that are used here: grafana/alerting, receivers/<type>/v1/config.go. */
const settings: Record<string, { required: string; others: string[] }> = {
    webhook: { required: 'url', others: ['httpMethod', 'maxAlerts', 'username', 'password', 'title', 'message'] },
    email: { required: 'addresses', others: ['singleEmail', 'message', 'subject'] },
    wecom: { required: 'url', others: ['msgtype', 'message', 'title', 'touser'] },
};

function contactPointMistakes(points: Table[]): string[] {
    const mistakes: string[] = [];
    const uids: unknown[] = [];
    for (const point of points) {
        const name = String(point['name'] ?? '');
        if (name.trim() === '') mistakes.push('a contact point has no name');
        for (const receiver of tables(point['receivers'])) {
            uids.push(receiver['uid']);
            const its = (receiver['settings'] ?? {}) as Table, known = settings[String(receiver['type'])];
            if (known === undefined) { mistakes.push(`${name}: no type ${String(receiver['type'])}`); continue; }
            if (!validUid(receiver['uid'])) mistakes.push(`${name}: its uid is not taken`);
            if (!/^\$\{[A-Z_]+\}$/.test(String(its[known.required])))
                mistakes.push(`${name}: ${known.required} does not come from the environment`);
            for (const key of unknownKeys(its, [known.required, ...known.others])) mistakes.push(`${name}: no setting ${key}`);
        }
    }
    if (new Set(uids).size !== uids.length) mistakes.push('two contact points have one uid');
    return mistakes;
}

/** services/ngalert/api/tooling/definitions: a route, whose matchers are [label, operator, value]. */
function routeMistakes(route: Table): string[] {
    const mistakes = unknownKeys(route, [
        'receiver', 'object_matchers', 'group_by', 'group_wait', 'group_interval', 'repeat_interval', 'continue', 'routes',
        'mute_time_intervals',
    ]).map((key) => `a route has ${key}`);
    for (const matcher of (route['object_matchers'] ?? []) as unknown[][])
        if (matcher.length !== 3 || !['=', '!=', '=~', '!~'].includes(String(matcher[1])))
            mistakes.push(`${JSON.stringify(matcher)} is no matcher`);
    for (const key of ['group_wait', 'group_interval', 'repeat_interval'])
        if (route[key] !== undefined && seconds(route[key]) === undefined) mistakes.push(`${key} is no duration`);
    return [...mistakes, ...tables(route['routes']).flatMap(routeMistakes)];
}

/** services/provisioning/{datasources,dashboards}/types.go. */
function datasourceMistakes(datasources: Table[]): string[] {
    return datasources.flatMap((one) => [
        ...unknownKeys(one, ['name', 'uid', 'type', 'access', 'url', 'isDefault', 'editable', 'jsonData', 'secureJsonData'])
            .map((key) => `Grafana would not read ${key}`),
        ...(validUid(one['uid']) ? [] : ['its uid is not taken']),
        ...(one['access'] === 'proxy' ? [] : ['only access proxy lets Grafana\'s alerts ask it']),
    ]);
}
function providerMistakes(providers: Table[]): string[] {
    return providers.flatMap((one) => [
        ...unknownKeys(one, ['name', 'orgId', 'type', 'folder', 'folderUid', 'disableDeletion', 'updateIntervalSeconds',
            'allowUiUpdates', 'options']).map((key) => `Grafana would not read ${key}`),
        ...(one['type'] === 'file' ? [] : ['its type is not file']),
        ...(String(((one['options'] ?? {}) as Table)['path']).startsWith('/') ? [] : ['no path']),
    ]);
}

/** What Grafana would not take, or not read, of a file for its provisioning or of the example of a policy. */
export function provisioningMistakes(text: string): string[] {
    const file = parse(text) as Table | Table[];
    if (Array.isArray(file)) return file.flatMap(routeMistakes);
    const known: Record<string, (tables: Table[]) => string[]> = {
        groups: groupMistakes, contactPoints: contactPointMistakes, datasources: datasourceMistakes, providers: providerMistakes,
    };
    return [
        ...(file['apiVersion'] === 1 ? [] : ['apiVersion is not 1']),
        ...unknownKeys(file, ['apiVersion', ...Object.keys(known)]).map((key) => `Grafana would not read ${key}, or must not`),
        ...Object.entries(known).flatMap(([key, mistakes]) => mistakes(tables(file[key]))),
    ];
}
