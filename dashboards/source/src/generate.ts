// Writes the dashboards and Grafana's alert rules; without an argument into the tree, else into that folder.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';

import { alerting } from './alerting';
import { daemon } from './daemon';
import { journey } from './journey';
import { ofKinds } from './kinds';
import { overview } from './overview';

const tree = resolve(__dirname, '..', '..');
const out = process.argv[2] ?? join(tree, 'grafana');

const write = (file: string, text: string): void => {
    mkdirSync(dirname(join(out, file)), { recursive: true });
    writeFileSync(join(out, file), text);
};

const dashboards = [overview(), journey(), ...ofKinds(), daemon()];
for (const one of dashboards) {
    // The builder puts them into a menu; they belong where they are seen.
    for (const its of one.links ?? []) delete its.placement;
    for (const its of one.annotations?.list ?? []) delete its.placement;
    // It fills in what is only an interval variable's, and a footer that tables no longer have.
    for (const its of one.templating?.list ?? []) {
        delete its.auto;
        delete its.auto_min;
        delete its.auto_count;
    }
    for (const its of one.panels ?? []) if (its.type === 'table') delete (its as { options: { footer?: unknown } }).options.footer;
    write(`${one.uid}.json`, `${JSON.stringify(one, null, 2)}\n`);
}

const rules = readFileSync(join(tree, 'prometheus', 'livecanary.rules.yml'), 'utf8');
write('provisioning/alerting/livecanary-rules.yml', alerting(rules, dashboards));
