// Takes the pictures of docs/status-page.md: the pages on a phone during an outage. Run by scripts/screenshots.
"use strict";

const path = require("node:path");
const { Backend, Daemon, business, launch, quiet } = require("./fixture.js");

async function main([binary, folder]) {
  const backend = new Backend();
  const daemon = new Daemon(binary);
  let browser;
  try {
    await backend.start();
    await daemon.start(quiet + (await business(backend, daemon.folder)));
    const runs = async (times, ...names) => {
      for (let i = 0; i < times; ++i) await Promise.all(names.map((name) => daemon.run(name)));
    };
    await runs(14, "record-callback", "picture-cdn", "mini-live");
    backend.callbackKey = "another-key";
    await runs(5, "record-callback", "picture-cdn", "mini-live", "push-main", "replay");
    browser = await launch();
    for (const [name, where, colorScheme] of [
      ["status-light", "/", "light"],
      ["status-dark", "/", "dark"],
      ["probe", "/probes/record-callback", "light"],
    ]) {
      const page = await browser.newPage({ viewport: { width: 390, height: 844 }, deviceScaleFactor: 1.5, colorScheme });
      await page.goto(daemon.url + where);
      await page.screenshot({ path: path.join(folder, `${name}.png`), fullPage: true });
      await page.close();
    }
  } finally {
    await browser?.close();
    await daemon.end();
    backend.stop();
  }
}

main(process.argv.slice(2)).catch((error) => {
  console.error(error);
  process.exit(1);
});
