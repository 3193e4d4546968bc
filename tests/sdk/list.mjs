// The conformance list: what is sent by everybody and must be read by everybody. judge.py and conform.c know the same rules.
import fs from "node:fs";
import rhea from "rhea";

export const load = (file) => JSON.parse(fs.readFileSync(file, "utf8"));

export function bodyOf(n, length) {
  const to = Buffer.alloc(length);
  for (let k = 0, state = n; k < length; k++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    to[k] = state >>> 24;
  }
  return to;
}

// Every event that must be in a hub. `tool-…` hubs hold what ehring-send makes of the frames, all others the sends.
export function eventsOf(list, hub) {
  if (hub.startsWith("tool-"))
    return list.frames.lens.map((len, i) => ({ n: i + 1, len, key: list.frames.key, contentType: "application/octet-stream" }));
  return list.sends.flatMap(({ events, ...to }) => events.map((event) => ({ ...event, ...to })));
}

// Frames for ehring-send: a length in four bytes, then the bytes.
export function frames(list) {
  return Buffer.concat(list.frames.lens.flatMap((len, i) => {
    const head = Buffer.alloc(4);
    head.writeUInt32LE(len);
    return [head, bodyOf(i + 1, len)];
  }));
}

const bytes8 = (text) => {
  const to = Buffer.alloc(8);
  to.writeBigUInt64BE(BigInt.asUintN(64, BigInt(text)));
  return to;
};
const number = (wrap) => (text) => (Number.isSafeInteger(Number(text)) ? wrap(Number(text)) : wrap(bytes8(text)));

// What a program gives to the SDK: plain JavaScript where the SDK makes the right type of it, else a value with its AMQP type.
const toSdk = {
  string: (text) => text,
  bool: (text) => text === "true",
  int: Number,
  long: number((v) => (typeof v === "number" ? v : rhea.types.wrap_long(v))),
  ulong: number((v) => rhea.types.wrap_ulong(v)),
  double: (text) => (Number.isInteger(Number(text)) ? rhea.types.wrap_double(Number(text)) : Number(text)),
  timestamp: (text) => new Date(Number(text)),
  binary: (text) => Buffer.from(text, "hex"),
  uuid: (text) => rhea.types.wrap_uuid(Buffer.from(text.replaceAll("-", ""), "hex")),
};

// The SDK turns a Buffer in a property into an object of its bytes.
const bytesOf = (value) => Buffer.from(Buffer.isBuffer(value) ? value : Object.values(value));
const integer = (unsigned) => (value) => (typeof value === "number" ? String(value)
  : String(unsigned ? bytesOf(value).readBigUInt64BE() : bytesOf(value).readBigInt64BE()));
const fromSdk = {
  string: (value) => value,
  bool: (value) => String(value === 1 || value === 0 ? value === 1 : value), // rhea reads a boolean of two bytes (0x56) as a number
  int: integer(false),
  long: integer(false),
  ulong: integer(true),
  double: (value) => value,
  timestamp: (value) => String(value instanceof Date ? value.getTime() : value),
  binary: (value) => bytesOf(value).toString("hex"),
  uuid: (value) => bytesOf(value).toString("hex").replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-"),
};

export function sdkEvent({ n, contentType, messageId, correlationId, properties = {} }, length) {
  const values = Object.entries(properties).map(([name, [type, text]]) => [name, toSdk[type](text)]);
  return { body: bodyOf(n, length), contentType, messageId, correlationId, properties: { n, len: length, ...Object.fromEntries(values) } };
}

function bodyRead(event) {
  const { body } = event.getRawAmqpMessage();
  return Buffer.isBuffer(body) ? body : body?.typecode !== undefined ? body.content : event.body;
}

// Says what of an event that was read is not as the list has it; null: nothing.
export function difference(want, event, partitionId, cannot) {
  const { n, len, ...properties } = event.properties;
  const length = want.len === "limit" ? len : want.len, body = bodyRead(event);
  if (want.len === "limit" && !(len > 1000000)) return `the largest event has ${len} bytes`;
  if (!Buffer.isBuffer(body) || Buffer.compare(body, bodyOf(want.n, length)) !== 0) return `the body of ${body?.length} bytes is not that of ${length}`;
  if (want.partition !== undefined && want.partition !== partitionId) return `is in partition ${partitionId}`;
  const { key: partitionKey, contentType, messageId, correlationId } = want;
  for (const [field, value] of Object.entries({ partitionKey, contentType, messageId, correlationId }))
    if ((event[field] ?? undefined) !== value) return `has ${field} ${JSON.stringify(event[field])}, not ${JSON.stringify(value)}`;
  const wanted = Object.entries(want.properties ?? {}).filter(([, [type]]) => !cannot.includes(type));
  const missing = wanted.find(([name]) => !(name in properties)), extra = Object.keys(properties).find((name) => !want.properties?.[name]);
  if (missing ?? extra) return `has ${missing ? "no" : "a"} property ${missing?.[0] ?? extra}`;
  for (const [name, [type, text]] of wanted) {
    const value = fromSdk[type](properties[name]);
    if (type === "double" ? !Object.is(value, Number(text)) : value !== text) return `has ${name} = ${value}, not ${text}`;
  }
  return null;
}
