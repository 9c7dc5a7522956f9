// Grafana's own code for what becomes of a query's answer on its way into a panel (@grafana/data, of the Grafana that
// package.json names): transformations, overrides, units, links. So what is checked is what it does, not what its
// documentation says. What it draws with is not in that package.
import Module from 'node:module';

import type * as GrafanaData from '@grafana/data';
import { firstValueFrom } from 'rxjs';

// It is written for a browser, and a few of its dependencies are modules that a Node before 20.19 cannot load like this:
// Markdown and the scales of colours, which nothing here needs.
interface Loader { _load: (request: string, ...rest: unknown[]) => unknown }
const loader = Module as unknown as Loader;
const load = loader._load;
loader._load = function (request, ...rest) {
    try {
        return load.call(this, request, ...rest);
    } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ERR_REQUIRE_ESM') throw error;
        return {};
    }
};
export const data: typeof GrafanaData = require('@grafana/data');
loader._load = load;
// Not before: with a window, some of what it loads looks for the rest of a browser.
for (const [name, value] of Object.entries({ navigator: { language: 'en', languages: ['en'] }, window: {} }))
    Object.defineProperty(globalThis, name, { value, configurable: true });

const transformers = new Map(Object.values(data.standardTransformers).map((one) => [one.id, one]));
data.standardTransformersRegistry.setInit(() => [...transformers.values()].map((one) => ({
    id: one.id, name: one.name, description: one.description ?? '', transformation: async () => one,
    editor: () => null, imageDark: '', imageLight: '',
})));
export const knowsTransformation = (id: string): boolean => transformers.has(id);

/** Ids of units. Grafana takes one that it does not know for a word to be put behind the number. */
const units = new Set((data.getValueFormats() as { submenu: { value: string }[] }[])
    .flatMap((category) => category.submenu.map((one) => one.value)));
export const knowsUnit = (id: string): boolean => units.has(id);

export interface Panel {
    id: number;
    title?: string;
    type: string;
    targets?: { refId: string; format?: string; expr: string; legendFormat?: string; instant?: boolean; range?: boolean }[];
    transformations?: { id: string; options: Record<string, unknown> }[];
    options?: Record<string, unknown>;
    fieldConfig?: GrafanaData.FieldConfigSource;
    panels?: Panel[];
}

const processors: Partial<Record<string, (value: never, context: never, settings: never) => unknown>> = {
    unit: data.unitOverrideProcessor as never,
    decimals: data.numberOverrideProcessor as never,
    min: data.numberOverrideProcessor as never,
    max: data.numberOverrideProcessor as never,
    mappings: data.valueMappingsOverrideProcessor as never,
    thresholds: data.thresholdsOverrideProcessor as never,
    links: data.dataLinksOverrideProcessor as never,
    displayName: data.stringOverrideProcessor as never,
    noValue: data.stringOverrideProcessor as never,
};
/** What may be set for a field, and of a table's own what is used here. */
const fieldOptions = [...Object.values(data.FieldConfigProperty) as string[], 'custom.width', 'custom.cellOptions', 'custom.align'];
export const knowsProperty = (id: string): boolean => fieldOptions.includes(id);
const registry = new data.FieldConfigOptionsRegistry();
for (const id of fieldOptions)
    registry.register({
        id, path: id.replace('custom.', ''), name: id, isCustom: id.startsWith('custom.'),
        process: processors[id] ?? data.identityOverrideProcessor, shouldApply: () => true,
        editor: () => null, override: () => null,
    } as never);

/** A frame as Prometheus' data source makes of an answer in table format: of no answer, only time and value. */
export function answer(refId: string, queries: number, labels: Record<string, string>[]): GrafanaData.DataFrame {
    const names = [...new Set(labels.flatMap((row) => Object.keys(row)))].sort();
    return data.toDataFrame({
        refId,
        fields: [
            { name: 'Time', type: data.FieldType.time, values: labels.map(() => 1_700_000_000_000) },
            ...names.map((name) =>
                ({ name, type: data.FieldType.string, values: labels.map((row) => row[name] ?? '') })),
            {
                name: queries > 1 ? `Value #${refId}` : 'Value', type: data.FieldType.number,
                values: labels.map((_, index) => index),
            },
        ],
    });
}

/** What a table panel shows of these answers, its fields with their overrides. */
export async function shown(panel: Panel, answers: GrafanaData.DataFrame[]): Promise<GrafanaData.DataFrame[]> {
    const transformed = await firstValueFrom(data.transformDataFrame((panel.transformations ?? []) as never, answers));
    return data.applyFieldOverrides({
        data: transformed, fieldConfig: panel.fieldConfig ?? { defaults: {}, overrides: [] }, fieldConfigRegistry: registry,
        replaceVariables: (text: string) => text, theme: data.createTheme(), timeZone: 'utc',
    });
}
