// node-media-server 2.7.4 on loopback: refuses a bad sign with an onStatus error and keeps the connection.
"use strict";

const net = require("node:net");
const path = require("node:path");
const { announce, readOptions, refuses } = require("./server_options.js");

const options = readOptions();

// This version listens on every address and cannot be told otherwise.
const listen = net.Server.prototype.listen;
net.Server.prototype.listen = function listenOnLoopback(port, ...rest) {
  return listen.call(this, port, options.bind, ...rest);
};

const NodeMediaServer = require("node-media-server-2");

const server = new NodeMediaServer({
  logType: 2,
  rtmp: {
    port: options.rtmpPort,
    chunk_size: 60000,
    gop_cache: true,
    ping: 30,
    ping_timeout: 60,
    ssl: options.rtmpsPort ? { port: options.rtmpsPort, key: options.key, cert: options.cert } : undefined,
  },
  http: { port: options.httpPort, mediaroot: path.join(options.dir, "media"), allow_origin: "*", api: false },
  auth: { publish: options.signSecret !== "", play: false, secret: options.signSecret },
});

// It never checks a publisher from 127.0.0.1, and ours all come from there.
server.on("preConnect", (id) => {
  server.getSession(id).isLocal = false;
});
server.on("prePublish", (id, streamPath, query) => {
  if (refuses(options.pushKey, path.basename(streamPath), query)) server.getSession(id).reject();
});

server.run();
announce([server.nrs.tcpServer, server.nrs.tlsServer, server.nhs.httpServer]);
