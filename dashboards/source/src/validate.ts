// Holds dashboards against a JSON schema that is made of the SDK's types: nothing of another type, nothing unknown.
// usage: node validate.js FILE...    Prints what is wrong; exits 1 if anything is.
import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';

import Ajv from 'ajv';
import { createGenerator } from 'ts-json-schema-generator';

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

interface Panel {
    title?: string;
    type: string;
    targets?: unknown[];
    options?: unknown;
    fieldConfig?: { defaults: { custom?: unknown } };
    panels?: Panel[];
}

/// Checks what the SDK's Panel leaves open, and takes it away, so that the rest can be checked as closed.
const checkPanel = (panel: Panel, file: string): void => {
    const place = `${file}: ${panel.title ?? panel.type}: `;
    for (const target of panel.targets ?? []) check('query', target, `${place}query `);
    if (panel.type !== 'row') {
        if (panel.options !== undefined) check(`${panel.type} options`, panel.options, `${place}options `);
        if (panel.fieldConfig?.defaults.custom !== undefined)
            check(`${panel.type} fields`, panel.fieldConfig.defaults.custom, `${place}fields `);
    }
    for (const inner of panel.panels ?? []) checkPanel(inner, file);
    delete panel.targets;
    delete panel.options;
    if (panel.fieldConfig) delete panel.fieldConfig.defaults.custom;
};

for (const path of process.argv.slice(2)) {
    const dashboard = JSON.parse(readFileSync(path, 'utf8'));
    for (const panel of dashboard.panels) checkPanel(panel, basename(path));
    check('dashboard', dashboard, `${basename(path)}: `);
}
for (const mistake of mistakes) console.error(mistake);
process.exit(mistakes.length > 0 ? 1 : 0);
