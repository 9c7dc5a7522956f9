// What became of each case, in the form in which GoogleTest writes it, for scripts/test to count.
"use strict";

const attribute = (text) =>
  text.replace(/[&<>"\n]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\n": "&#x0A;" })[c]);

module.exports = async function* (events) {
  const cases = [];
  for await (const { type, data } of events) {
    if (type !== "test:pass" && type !== "test:fail") continue;
    // Suites are the sums of their cases; one that fails by itself, in a hook, counts.
    const byItself = data.details.error?.failureType === "hookFailed";
    if (data.details.type === "suite" && !byItself) continue;
    cases.push({ name: data.name, seconds: data.details.duration_ms / 1000, error: data.details.error });
  }
  const failures = cases.filter(({ error }) => error).length;
  yield `<?xml version="1.0" encoding="UTF-8"?>\n`;
  yield `<testsuites tests="${cases.length}" failures="${failures}" disabled="0" errors="0" name="AllTests">\n`;
  yield `  <testsuite name="browser" tests="${cases.length}" failures="${failures}" disabled="0" skipped="0" errors="0">\n`;
  for (const { name, seconds, error } of cases) {
    const head = `    <testcase name="${attribute(name)}" status="run" result="completed" time="${seconds.toFixed(3)}"`;
    yield error
      ? `${head}>\n      <failure message="${attribute(String(error.cause ?? error))}" type=""/>\n    </testcase>\n`
      : `${head} />\n`;
  }
  yield "  </testsuite>\n</testsuites>\n";
};
