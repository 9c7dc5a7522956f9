// Holds dashboards and what Grafana is given for its alerts against what Grafana makes of them, as far as that can be had
// without one: a JSON schema of the SDK's and Grafana's types (nothing of another type, nothing unknown), Grafana's own
// code (grafana.ts), and the rules of its file provisioning (provisioning.ts).
// usage: node validate.js FILE...    JSON: dashboards; YAML: provisioning. Prints what is wrong; exits 1 if anything is.
import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';

import Ajv from 'ajv';
import { createGenerator } from 'ts-json-schema-generator';

import { answer, data, knowsProperty, knowsTransformation, knowsUnit, Panel, shown } from './grafana';
import { provisioningMistakes, validUid } from './provisioning';

const source = join(__dirname, '..');
const schema = createGenerator({
    path: join(source, 'src', 'shapes.ts'),
    tsconfig: join(source, 'tsconfig.json'),
    type: 'Shapes',
    topRef: false,
    // The SDK has several types of one name, and a definition has no more than that.
    expose: 'none',
    skipTypeCheck: true,
}).createSchema('Shapes');
const ajv = new Ajv({ strict: false, allErrors: true });
ajv.addSchema(schema, 'shapes');

const mistakes: string[] = [];
const check = (shape: string, value: unknown, place: string): void => {
    const validate = ajv.getSchema(`shapes#/properties/${encodeURIComponent(shape)}`);
    if (!validate) throw new Error(`no shape ${shape}: see shapes.ts`);
    if (validate(value)) return;
    for (const error of validate.errors ?? [])
        mistakes.push(`${place}${error.instancePath}: ${error.message} ${JSON.stringify(error.params)}`);
};

/// Checks what the SDK's Panel leaves open, and takes it away, so that the rest can be checked as closed.
const checkPanel = (panel: Panel, file: string): void => {
    const place = `${file}: ${panel.title ?? panel.type}: `;
    for (const target of panel.targets ?? []) check('query', target, `${place}query `);
    if (panel.type !== 'row') {
        for (const whose of ['', ' of Grafana']) {
            if (panel.options !== undefined) check(`${panel.type} options${whose}`, panel.options, `${place}options${whose} `);
            if (panel.fieldConfig?.defaults.custom !== undefined)
                check(`${panel.type} fields${whose}`, panel.fieldConfig.defaults.custom, `${place}fields${whose} `);
        }
    }
    for (const inner of panel.panels ?? []) checkPanel(inner, file);
    delete panel.targets;
    delete panel.options;
    if (panel.fieldConfig) delete panel.fieldConfig.defaults.custom;
};

interface Dashboard {
    uid: string;
    title: string;
    panels: Panel[];
    templating: { list: { name: string }[] };
    annotations: { list: { name: string; expr: string; target?: { expr: string } }[] };
    links?: { url?: string }[];
}

/// Grafana's own variables that are used in queries and links.
const builtIn = ['__all', '__rate_interval', '__range', '__interval', '__url_time_range', '__value', '__data'];

const checkVariables = (text: string, dashboard: Dashboard, place: string): void => {
    const known = [...builtIn, ...dashboard.templating.list.map((one) => one.name)];
    for (const [, braced, plain] of text.matchAll(/\$(?:\{([a-zA-Z_]+)[^}]*\}|([a-zA-Z_]+))/g))
        if (!known.includes(braced ?? plain ?? '')) mistakes.push(`${place}no variable ${braced ?? plain}`);
};

interface Link { title: string; url: string }

/// A link's variables are there, and it leads to a dashboard that is there, or out.
const checkLink = (link: Link, fields: string[], dashboard: Dashboard, uids: string[], place: string): void => {
    checkVariables(link.url, dashboard, `${place}link ${link.title}: `);
    for (const [, name = ''] of link.url.matchAll(/\$\{__data\.fields\.([^}]*)\}/g))
        if (!fields.includes(name)) mistakes.push(`${place}link ${link.title}: there is no field ${name}`);
    for (const [, name = ''] of link.url.matchAll(/\$\{__value\.([^}]*)\}/g))
        if (!['text', 'raw', 'numeric'].includes(name)) mistakes.push(`${place}link ${link.title}: no __value.${name}`);
    if (data.textUtil.sanitizeUrl(link.url) !== link.url) mistakes.push(`${place}link ${link.title}: not taken by Grafana`);
    const uid = /^\/d\/([a-z_-]+)/.exec(link.url.replace('${__data.fields.kind}', 'mysql'))?.[1];
    if (uid === undefined ? !link.url.startsWith('https://') : !uids.includes(uid))
        mistakes.push(`${place}link ${link.title}: leads to no dashboard`);
    // A panel's variables, of those that are chosen there.
    for (const [, name = ''] of link.url.matchAll(/[?&]var-([a-z]+)=/g))
        if (!['datasource', 'instance', 'kind', 'probe'].includes(name)) mistakes.push(`${place}link ${link.title}: var-${name}`);
};

const checkSettings = (panel: Panel, place: string): void => {
    const defaults = panel.fieldConfig?.defaults;
    const properties = [
        ...(defaults?.unit === undefined ? [] : [{ id: 'unit', value: defaults.unit }]),
        ...(panel.fieldConfig?.overrides ?? []).flatMap((one) => one.properties),
    ];
    for (const { id, value } of properties) {
        if (!knowsProperty(id)) mistakes.push(`${place}nothing that can be set is called ${id}`);
        if (id === 'unit' && !knowsUnit(String(value))) mistakes.push(`${place}no unit ${String(value)}`);
    }
    for (const override of panel.fieldConfig?.overrides ?? [])
        if (data.fieldMatchers.getIfExists(override.matcher.id) === undefined)
            mistakes.push(`${place}no matcher ${override.matcher.id}`);
    const mode = defaults?.color?.mode;
    if (mode !== undefined && data.fieldColorModeRegistry.getIfExists(mode) === undefined)
        mistakes.push(`${place}no colour mode ${mode}`);
    const options = panel.options as { reduceOptions?: { calcs: string[] }; legend?: { calcs: string[] } } | undefined;
    for (const calc of [...options?.reduceOptions?.calcs ?? [], ...options?.legend?.calcs ?? []])
        if (data.fieldReducers.getIfExists(calc) === undefined) mistakes.push(`${place}no calculation ${calc}`);
    const steps = defaults?.thresholds?.steps ?? [];
    if (steps.some((step, index) => index === 0 ? step.value !== null : step.value <= (steps[index - 1]?.value ?? -Infinity)))
        mistakes.push(`${place}the thresholds do not rise from none`);
};

/// Plays Grafana: two rows come back from each query, then from the first query alone, as when nothing fails. The columns have
/// to be there under their titles, in order; each override has to find its column; no row may get lost.
const checkTable = async (panel: Panel, dashboard: Dashboard, uids: string[], place: string): Promise<void> => {
    const unknown = (panel.transformations ?? []).map((one) => one.id).filter((id) => !knowsTransformation(id));
    for (const id of unknown) mistakes.push(`${place}no transformation ${id}`);
    const organize = panel.transformations?.find((one) => one.id === 'organize')?.options as
        { indexByName: Record<string, number>; renameByName: Record<string, string> } | undefined;
    if (organize === undefined || unknown.length > 0) { mistakes.push(`${place}its columns are not set`); return; }
    const asked = Object.keys(organize.indexByName).sort((a, b) => (organize.indexByName[a] ?? 0) - (organize.indexByName[b] ?? 0));
    const titles = asked.map((name) => organize.renameByName[name] ?? name);
    const labels = asked.filter((name) => !/^Value( #[A-Z])?$/.test(name));
    const rows = ['1', '2'].map((row) => Object.fromEntries([...labels, 'job', 'location'].map((name) => [name, name + row])));

    const queries = panel.targets ?? [];
    const ofAll = queries.map((query) => answer(query.refId, queries.length, rows));
    const [frame, ...more] = await shown(panel, ofAll);
    if (frame === undefined || more.length > 0) { mistakes.push(`${place}is not one table`); return; }
    const names = frame.fields.map((field) => data.getFieldDisplayName(field, frame));
    if (names.join() !== titles.join()) mistakes.push(`${place}shows ${names.join()} instead of ${titles.join()}`);
    if (frame.length !== rows.length) mistakes.push(`${place}${frame.length} rows instead of ${rows.length}`);
    const [ofFirst] = await shown(panel, queries.map((query, index) =>
        answer(query.refId, queries.length, index === 0 ? rows : [])));
    if (ofFirst?.length !== rows.length) mistakes.push(`${place}without an answer to its further queries rows are lost`);

    for (const override of panel.fieldConfig?.overrides ?? []) {
        const matches = data.fieldMatchers.get(override.matcher.id).get(override.matcher.options);
        const field = frame.fields.find((one) => matches(one, frame, [frame]));
        if (field === undefined) mistakes.push(`${place}no column ${String(override.matcher.options)}`);
        for (const property of override.properties) {
            if (property.id === 'links')
                for (const link of property.value as Link[]) checkLink(link, names, dashboard, uids, place);
            // Words for numbers come through.
            if (property.id === 'mappings')
                for (const mapping of property.value as { options: Record<string, { text: string }> }[])
                    for (const [value, word] of Object.entries(mapping.options))
                        if (field?.display?.(Number(value)).text !== word.text)
                            mistakes.push(`${place}${value} is shown as ${field?.display?.(Number(value)).text}`);
        }
    }
    const sort = (panel.options as { sortBy?: { displayName: string }[] }).sortBy ?? [];
    for (const { displayName } of sort)
        if (!names.includes(displayName)) mistakes.push(`${place}sorts by ${displayName}, which is no column`);
};

const checkAsGrafana = async (dashboard: Dashboard, file: string, uids: string[]): Promise<void> => {
    if (!validUid(dashboard.uid)) mistakes.push(`${file}: Grafana does not take the uid ${dashboard.uid}`);
    if (dashboard.title.trim() === '') mistakes.push(`${file}: no title`);
    checkVariables(JSON.stringify([dashboard.templating, dashboard.annotations]), dashboard, `${file}: `);
    for (const panel of dashboard.panels.flatMap((one) => [one, ...one.panels ?? []])) {
        const place = `${file}: ${panel.title ?? panel.type}: `;
        for (const target of panel.targets ?? []) checkVariables(target.expr, dashboard, place);
        const refIds = (panel.targets ?? []).map((target) => target.refId);
        if (new Set(refIds).size !== refIds.length) mistakes.push(`${place}two queries have one refId`);
        checkSettings(panel, place);
        if (panel.type === 'table') await checkTable(panel, dashboard, uids, place);
    }
};

const main = async (files: string[]): Promise<void> => {
    const dashboards = files.filter((path) => path.endsWith('.json'))
        .map((path) => ({ file: basename(path), text: readFileSync(path, 'utf8') }));
    const uids = dashboards.map(({ text }) => (JSON.parse(text) as Dashboard).uid);
    for (const { file, text } of dashboards) {
        await checkAsGrafana(JSON.parse(text) as Dashboard, file, uids);
        const dashboard = JSON.parse(text) as Dashboard;
        for (const panel of dashboard.panels) checkPanel(panel, file);
        for (const its of dashboard.annotations.list) {
            if (its.target?.expr !== its.expr) mistakes.push(`${file}: annotation ${its.name}: two queries`);
            check('query', its.target, `${file}: annotation ${its.name}: `);
            delete its.target;
        }
        check('dashboard', dashboard, `${file}: `);
    }
    for (const path of files.filter((one) => one.endsWith('.yml')))
        mistakes.push(...provisioningMistakes(readFileSync(path, 'utf8')).map((what) => `${basename(path)}: ${what}`));
    for (const mistake of mistakes) console.error(mistake);
    process.exit(mistakes.length > 0 ? 1 : 0);
};
void main(process.argv.slice(2));
