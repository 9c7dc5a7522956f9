// A daemon with something of everything to show, and the servers that its probes look at: one healthy, one whose faults
// the tests switch, one that answers with what a page must never take for markup. Used by the tests and by
// scripts/screenshots.
"use strict";

const childProcess = require("node:child_process");
const crypto = require("node:crypto");
const fs = require("node:fs");
const http = require("node:http");
const net = require("node:net");
const os = require("node:os");
const path = require("node:path");
const { chromium } = require("playwright-core");

const chromiumPath = process.env.CHROMIUM ?? "/usr/bin/chromium";
const callbackKey = "a-key-of-the-browser-tests";

/** What a hostile server, log or file name says. Markup that would run, in each place that a page has for text. */
const evil = `</title></script><script>window.pwned = 1</script><img src=x onerror="window.pwned = 1">'"><svg onload=window.pwned=1>`;

const loopback = (port) => `127.0.0.1:${port}`;

/** Listens on a port of 127.0.0.1 that the kernel chooses. */
async function listening(server) {
  await new Promise((resolve, reject) => server.once("error", reject).listen(0, "127.0.0.1", resolve));
  return server.address().port;
}

/** A port that nothing listens on: it was ours a moment ago. */
async function closedPort() {
  const server = net.createServer();
  const port = await listening(server);
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** The business backend and the CDN in one; its faults can be switched while the daemon looks at it. */
class Backend {
  callbackKey = callbackKey;
  pictureIsGone = false;
  #server = http.createServer((request, response) => this.#answer(request, response));

  async start() {
    this.port = await listening(this.#server);
    return this;
  }

  stop() {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  async #answer(request, response) {
    let body = "";
    for await (const piece of request) body += piece;
    const where = request.url.split("?")[0];
    if (where === "/interface.php") return response.end('{"code":400,"message":"no action"}');
    if (where === "/callback") {
      const event = JSON.parse(body || "{}");
      const sign = crypto.createHash("md5").update(this.callbackKey + event.t).digest("hex");
      // PHP 8 dies of a wrong signature, without a word.
      if (event.sign !== sign) return response.writeHead(500).end();
      return response.end('{"code":0,"message":"OK"}');
    }
    if (where === "/picture.png" && !this.pictureIsGone)
      return response.writeHead(200, { "X-Cache-Lookup": "Cache Hit", ETag: '"1"' }).end("a picture");
    if (where === "/evil") return response.writeHead(200, { "Content-Type": "text/html" }).end(evil);
    if (where === "/evil.png") return response.writeHead(403, { Server: evil, "X-NWS-LOG-UUID": evil }).end(evil);
    response.writeHead(where === "/" ? 403 : 404).end();
  }
}

/** `livecanary run` on a configuration of its own, in a folder that is gone afterwards. */
class Daemon {
  #output = "";

  constructor(binary) {
    this.binary = binary;
    this.folder = fs.mkdtempSync(path.join(os.tmpdir(), "livecanary-browser-"));
    this.config = path.join(this.folder, "livecanary.toml");
    fs.mkdirSync(path.join(this.folder, "state"));
  }

  /** With `config`, or again with the one before, and at the same port. */
  async start(config) {
    if (config) fs.writeFileSync(this.config, config, { mode: 0o600 });
    const options = ["--web.listen-address", loopback(this.port ?? 0), "--web.enable-lifecycle"];
    this.process = childProcess.spawn(this.binary, ["run", "--config.file", this.config, ...options], {
      env: { ...process.env, STATE_DIRECTORY: path.join(this.folder, "state") },
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.ended = new Promise((resolve) => this.process.once("close", resolve).once("error", resolve));
    await new Promise((resolve, reject) => {
      const hear = (text) => {
        this.#output = (this.#output + text).slice(-100_000);
        const port = /msg=listening address=127\.0\.0\.1 port=(\d+)/.exec(this.#output);
        if (port) this.port = Number(port[1]);
        if (this.#output.includes("msg=started")) resolve();
      };
      for (const stream of [this.process.stdout, this.process.stderr]) stream.setEncoding("utf8").on("data", hear);
      this.ended.then((code) => reject(new Error(`livecanary ended: ${code}\n${this.#output}`)));
    });
    this.url = `http://${loopback(this.port)}`;
    return this;
  }

  async stop() {
    this.process?.kill("SIGTERM");
    await this.ended;
    this.#output = "";
  }

  async end() {
    await this.stop();
    fs.rmSync(this.folder, { recursive: true, force: true });
  }

  /** Has the probe run once, and waits for what comes of it. */
  async run(name) {
    const last = async () => {
      const response = await fetch(`${this.url}/api/v1/probes/${name}/runs`);
      return (await response.json()).data.runs[0]?.run_id;
    };
    const before = await last();
    await fetch(`${this.url}/api/v1/probes/${name}/run`, { method: "POST", redirect: "manual" });
    await until(`${name} has run`, async () => (await last()) !== before);
  }
}

/** Asks until the answer is yes. Fails after a while that is far longer than it takes. */
async function until(what, ask) {
  const deadline = Date.now() + 120_000;
  while (!(await ask())) {
    if (Date.now() > deadline) throw new Error(`waited in vain until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** The head of a configuration whose probes run when they are told to, and alert at once. */
const quiet = `
[daemon]
location = "shanghai-1"
reference = false
[defaults]
interval = "1h"
fail_after = 1
recover_after = 1
`;

/** Probes of a business in the middle of an outage. Their hosts are names, which lead here. */
async function business(backend, folder) {
  fs.writeFileSync(path.join(folder, "callback-key"), callbackKey, { mode: 0o600 });
  return `
[[probe]]
kind = "rtmp_push"
name = "push-main"
url = "rtmp://1234.livepush.example.com:${await closedPort()}/live/1234_canary"
address = "127.0.0.1"

[[probe]]
kind = "callback"
name = "record-callback"
url = "http://backend.example.com:${backend.port}/callback"
address = "127.0.0.1"
key = { file = "callback-key" }
receive = { listen = "127.0.0.1:0", path = "/live", expect = [] }

[[probe]]
kind = "journey"
name = "replay"
push = "push-main"
callback = "record-callback"
length = "10s"
timeout = "30s"

[[probe]]
kind = "cdn_fetch"
name = "picture-cdn"
url = "http://cover.cdn.example.com:${backend.port}/picture.png"
address = "127.0.0.1"
auth = { type = "none" }
severity = "warning"

[[probe]]
kind = "backend_api"
name = "mini-live"
url = "http://backend.example.com:${backend.port}"
address = "127.0.0.1"
checks = ["static", "php"]
static_status = 403
`;
}

/** Probes of what is not there, and of what means us no good. */
async function trouble(backend, folder) {
  fs.writeFileSync(
    path.join(folder, `backend ${evil.replaceAll("/", "")}.log`),
    `mysqli_connect(): Access denied for user '${evil}'@'localhost' (using password: YES)\n`,
  );
  const service = `http://${loopback(backend.port)}`;
  return `
[[probe]]
kind = "mysql"
name = "replay-db"
host = "127.0.0.1"
port = ${await closedPort()}
user = "live_monitor"
database = "live_demo"

[[probe]]
kind = "log_keywords"
name = "backend-log"
paths = ["${folder}/backend*.log"]
from = "start"
fail_on = ["any"]

[[probe]]
kind = "log_keywords"
name = "no-log"
paths = ["${folder}/<b onmouseover='window.pwned = 1'>/*.log"]

[[probe]]
kind = "callback"
name = "evil-backend"
url = "${service}/evil"
key = { file = "callback-key" }
control = false

[[probe]]
kind = "cdn_fetch"
name = "evil-cdn"
url = "${service}/evil.png"
origin = "${service}/picture.png"
auth = { type = "none" }
`;
}

/** A browser that talks to nobody by itself. */
const launch = () =>
  chromium.launch({
    executablePath: chromiumPath,
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      // One process for all pages: to start one takes longer than most tests.
      "--renderer-process-limit=1",
    ],
  });

module.exports = { Backend, Daemon, business, callbackKey, evil, launch, quiet, trouble, until };
