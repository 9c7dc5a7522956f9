// What nms2.js and nms4.js share: their options, the push authentication in their hook, and the READY line.
"use strict";

const crypto = require("node:crypto");
const { once } = require("node:events");
const { parseArgs } = require("node:util");

/**
 * `--dir DIR --rtmp-port N --http-port N [--rtmps-port N --key FILE --cert FILE]`.
 * Secrets come from the environment: SIGN_SECRET turns the server's own `?sign=` check on, PUSH_KEY the check
 * of txSecret and txTime in its prePublish hook.
 */
function readOptions() {
  const text = { type: "string" };
  const { values } = parseArgs({
    options: { dir: text, "rtmp-port": text, "http-port": text, "rtmps-port": text, key: text, cert: text },
  });
  return {
    bind: "127.0.0.1",
    dir: values.dir,
    rtmpPort: Number(values["rtmp-port"]),
    httpPort: Number(values["http-port"]),
    rtmpsPort: Number(values["rtmps-port"] ?? 0),
    key: values.key,
    cert: values.cert,
    signSecret: process.env.SIGN_SECRET ?? "",
    pushKey: process.env.PUSH_KEY ?? "",
  };
}

/** True if `query` holds no valid txSecret = MD5(key + name + txTime), or txTime (hex seconds) is over. */
function refuses(pushKey, name, query) {
  if (pushKey === "") return false;
  const { txSecret, txTime } = query ?? {};
  if (typeof txSecret !== "string" || typeof txTime !== "string") return true;
  const expected = crypto.createHash("md5").update(pushKey + name + txTime).digest("hex");
  return txSecret !== expected || parseInt(txTime, 16) * 1000 <= Date.now();
}

/** Prints READY once every server listens. */
async function announce(servers) {
  await Promise.all(servers.filter(Boolean).map((server) => server.listening || once(server, "listening")));
  console.log("READY");
}

module.exports = { readOptions, refuses, announce };
