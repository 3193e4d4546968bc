// Compares what the SDK has received with what feed.c sent. Exit status is the verdict.
// usage: node receive.mjs … | node shipped.mjs COUNT
import assert from "node:assert/strict";
import fs from "node:fs";

const count = Number(process.argv[2]);
const received = fs.readFileSync(0, "utf8").split("\n").slice(0, -1).map((line) => JSON.parse(line));

function bytes(i, length) {
  const to = Buffer.alloc(length);
  for (let k = 0, state = i; k < length; k++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    to[k] = state >>> 24;
  }
  return to;
}

function properties(i) {
  const expected = { n: i };
  if (i % 2 === 1) {
    Object.assign(expected, {
      text: `grüße ${i} 🚀`, bool: i % 4 === 1, negative: -i * 1000000, uint: 2 ** 40 + i, double: i / 8, time: 1700000000000 + i,
      bytes: { ...bytes(i, i % 64) }, uuid: { ...Buffer.alloc(16, i % 256) }, // the SDK makes plain objects of them
    });
  }
  if (i % 10 === 0) expected["schema-version"] = "v1";
  if (i % 5 === 0) expected.traceparent = expected["Diagnostic-Id"] = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
  return expected;
}

assert.equal(received.length, count);
const seen = new Set(), last = new Map(), partitions = new Map();
for (const event of received) {
  const i = Number(event.messageId.slice(1));
  assert.ok(i >= 1 && i <= count && event.messageId === `m${i}` && !seen.has(i), `message-id ${event.messageId}`);
  seen.add(i);
  assert.equal(event.key, i % 3 === 0 ? `schlüssel ${i % 50}` : null, `key of event ${i}`);
  assert.equal(event.body, bytes(i, i % 500 === 0 ? 60000 : (i * 37) % 900).toString("base64"), `body of event ${i}`);
  assert.equal(event.correlationId, i % 4 === 0 ? `c${i}` : null, `correlation-id of event ${i}`);
  assert.equal(event.contentType, i % 7 === 0 ? "application/json" : null, `content type of event ${i}`);
  assert.deepEqual(event.properties, properties(i), `properties of event ${i}`);
  if (i % 3 === 1) assert.equal(event.partition, String(Math.floor(i / 3) % 4), `partition of event ${i}`);
  if (event.key !== null) {
    assert.equal(partitions.get(event.key) ?? event.partition, event.partition, `partitions of ${event.key}`);
    partitions.set(event.key, event.partition);
  }
}
// each partition's events come in the order of their sequence numbers; so do the events of a key, and those of an explicit partition
for (const event of received.sort((a, b) => a.partition - b.partition || a.seq - b.seq)) {
  const i = Number(event.messageId.slice(1)), order = i % 3 === 0 ? event.key : i % 3 === 1 ? `partition ${event.partition}` : null;
  if (order === null) continue;
  assert.ok((last.get(order) ?? 0) < i, `event ${i} of ${order} lies behind ${last.get(order)}`);
  last.set(order, i);
}
console.log(`the SDK has read ${count} shipped events as they were sent`);
