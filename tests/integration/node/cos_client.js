// Tencent Cloud's own SDK for COS (cos-nodejs-sdk-v5) as a client of a store on loopback, and as a signer.
//
// cos_client.js --port N --bucket NAME-APPID --region R [--key K] [--size N] [--clock-offset-ms N] [--content-md5]
//               [--prefix P] CALL...
//   CALL: put, head, get, list, delete, service, url. One line of JSON for each: what came of it.
// cos_client.js --sign
//   Reads one request a line, {"Method","Key","Query","Headers","KeyTime"}, and answers with its authorization, a
//   JSON string. Of the headers it signs those it knows: host, content-*, range, if-*, x-cos-* and a few more.
// The key comes from the environment: SECRET_ID, SECRET_KEY, SECURITY_TOKEN.
"use strict";

const crypto = require("node:crypto");
const readline = require("node:readline");
const { parseArgs } = require("node:util");
const COS = require("cos-nodejs-sdk-v5");

const text = { type: "string" };
const yes = { type: "boolean" };
const { values: options, positionals: calls } = parseArgs({
  allowPositionals: true,
  options: {
    port: text,
    bucket: text,
    region: text,
    key: text,
    size: text,
    "clock-offset-ms": text,
    "content-md5": yes,
    prefix: text,
    sign: yes,
  },
});
const secrets = { SecretId: process.env.SECRET_ID, SecretKey: process.env.SECRET_KEY };

async function signLines() {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    console.log(JSON.stringify(COS.getAuthorization({ ...secrets, UseRawKey: true, ...JSON.parse(line) })));
  }
}

function client() {
  return new COS({
    ...secrets,
    SecurityToken: process.env.SECURITY_TOKEN,
    Protocol: "http:",
    // Connects there and leaves the Host as it is.
    Ip: `127.0.0.1:${options.port}`,
    SystemClockOffset: Number(options["clock-offset-ms"] ?? 0),
    // Or it would learn the clock's offset from the first refusal and try again.
    CorrectClockSkew: false,
    AutoSwitchHost: false,
    UploadCheckContentMd5: options["content-md5"] ?? false,
  });
}

const at = { Bucket: options.bucket, Region: options.region, Key: options.key };
const hash = (body) => crypto.createHash("md5").update(body).digest("hex");

/** What each call is, and what is told of its success. */
const known = {
  put: async (cos) => {
    const body = Buffer.from(Array.from({ length: Number(options.size ?? 0) }, (_, i) => i % 251));
    const { ETag } = await cos.putObject({ ...at, Body: body, ContentType: "image/jpeg" });
    return { etag: ETag, md5: hash(body) };
  },
  head: async (cos) => {
    const { ETag, headers } = await cos.headObject(at);
    return { etag: ETag, size: Number(headers["content-length"]), crc64: headers["x-cos-hash-crc64ecma"] };
  },
  get: async (cos) => {
    const { ETag, Body, headers } = await cos.getObject(at);
    return { etag: ETag, size: Body.length, md5: hash(Body), type: headers["content-type"] };
  },
  list: async (cos) => {
    const listed = await cos.getBucket({ Bucket: at.Bucket, Region: at.Region, Prefix: options.prefix });
    return { keys: listed.Contents.map((one) => one.Key), truncated: listed.IsTruncated };
  },
  delete: async (cos) => {
    const { statusCode, BucketNotFound } = await cos.deleteObject(at);
    return { status: statusCode, ok: !BucketNotFound };
  },
  service: async (cos) => {
    const { Buckets } = await cos.getService({});
    return { buckets: Buckets.map((one) => `${one.Name} ${one.Location}`) };
  },
  url: async (cos) => ({ url: cos.getObjectUrl({ ...at, Sign: true }, () => {}) }),
};

async function perform() {
  const cos = client();
  for (const call of calls) {
    let told;
    try {
      told = { ok: true, ...(await known[call](cos)) };
    } catch (error) {
      told = { ok: false, status: error.statusCode ?? 0, code: error.code, message: error.message };
    }
    console.log(JSON.stringify({ call, ...told }));
  }
}

(options.sign ? signLines() : perform()).then(() => process.exit(0));
