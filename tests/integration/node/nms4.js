// node-media-server 4.4.3 on loopback: says NetStream.Publish.Start to everybody, then closes on those it refuses.
"use strict";

const path = require("node:path");
const NodeMediaServer = require("node-media-server-4");
const { announce, readOptions, refuses } = require("./server_options.js");

const options = readOptions();

const server = new NodeMediaServer({
  bind: options.bind,
  rtmp: { port: options.rtmpPort },
  rtmps: options.rtmpsPort ? { port: options.rtmpsPort, key: options.key, cert: options.cert } : undefined,
  http: { port: options.httpPort },
  auth: { publish: options.signSecret !== "", play: false, secret: options.signSecret },
  webadmin: { enable: false },
  store: { path: path.join(options.dir, "store") },
});

server.on("prePublish", (session) => {
  if (refuses(options.pushKey, session.streamName, session.streamQuery)) session.close();
});

server.run();
announce([server.rtmpServer.tcpServer, server.rtmpServer.tlsServer, server.httpServer.httpServer]);
