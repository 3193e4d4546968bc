// The official JavaScript SDK as a judge of the hub, of the shipper and of ehring-send, over AMQP, WebSocket and an HTTP proxy at once.
// usage: node judge.mjs send|read|frames PLAN     PLAN: a JSON file, see judges.sh. Exit status is the verdict.
import assert from "node:assert/strict";
import fs from "node:fs";
import { HttpsProxyAgent } from "https-proxy-agent";
import WebSocket from "ws";
import { EventHubConsumerClient, EventHubProducerClient, earliestEventPosition, latestEventPosition } from "@azure/event-hubs";
import { difference, eventsOf, frames, load, sdkEvent } from "./list.mjs";
import { read } from "./reader.mjs";

const [mode, file] = process.argv.slice(2);
const plan = load(file), list = load(plan.list), connection = fs.readFileSync(plan.connection, "utf8").trim();
const retryOptions = { maxRetries: 0 };

// "proxy": through an HTTP proxy to the address of a private endpoint; the namespace's own name is one that nobody can look up.
function to(transport, Client, ...names) {
  const { endpoint, proxy, namespace } = plan, options = { retryOptions };
  if (transport !== "amqp") {
    const url = `http://${proxy.username}:${proxy.password}@${proxy.proxy_hostname}:${proxy.proxy_port}`;
    const agent = transport === "proxy" ? new HttpsProxyAgent(url) : undefined;
    options.webSocketOptions = { webSocket: WebSocket, webSocketConstructorOptions: { agent } };
    if (transport === "proxy" || !endpoint.endsWith(":443")) options.customEndpointAddress = `sb://${endpoint}`;
  }
  return new Client(...names.slice(0, -1), transport === "proxy" ? connection.replace(/sb:\/\/[^/]*/, `sb://${namespace}`) : connection, names.at(-1), options);
}
const producerOf = (transport, hub) => to(transport, EventHubProducerClient, hub);
const consumerOf = (transport, hub) => to(transport, EventHubConsumerClient, "$Default", hub);

// ---- sending ----

async function batchOf(producer, { key, partition, events }) {
  const batch = await producer.createBatch({ partitionKey: key, partitionId: partition });
  for (const event of events) assert.ok(batch.tryAdd(event), `the batch of key ${key}, partition ${partition} is full`);
  return batch;
}

// The SDK lets a batch of its own grow no larger than the link takes. What it sends without looking is refused by the hub, which tells the
// limit and the size: so the largest event is exactly as large as the limit, and one that is a byte larger is refused.
async function sendLargest(producer, partitionId, event) {
  const send = (length) => producer.sendBatch([sdkEvent(event, length)], { partitionId });
  const refused = async (length) => {
    const error = await send(length).catch((e) => e);
    const [, size, limit] = /size:(\d+) bytes\) exceeds the limit \((\d+) bytes\)/.exec(error?.message) ?? [];
    assert.equal(Number(limit), list.limit, `an event of ${length} bytes: ${error}`);
    return Number(size);
  };
  const batch = await producer.createBatch({ partitionId });
  assert.equal(batch.maxSizeInBytes, list.limit, "the limit that the link announces");
  assert.equal(batch.tryAdd(sdkEvent(event, list.limit)), false, "an event over the limit fits into a batch");
  const length = list.limit - (await refused(list.limit) - list.limit);
  assert.equal(await refused(length + 1), list.limit + 1);
  await send(length);
}

async function send(transport) {
  const producer = producerOf(transport, `js-${transport}`);
  try {
    for (const { events, ...place } of list.sends) {
      if (events[0].len === "limit") await sendLargest(producer, place.partition, events[0]);
      else await producer.sendBatch(await batchOf(producer, { ...place, events: events.map((event) => sdkEvent(event, event.len)) }));
    }
  } finally {
    await producer.close();
  }
}

// ---- reading ----

// Reads a hub from its beginning and compares each event with the list. Returns where everything was.
async function readHub(transport, hub) {
  const consumer = consumerOf(transport, hub);
  const wanted = new Map(eventsOf(list, hub).map((event) => [event.n, event])), seen = [];
  try {
    const all = { position: earliestEventPosition, count: wanted.size, seconds: 60 };
    const found = await read(consumer, { ...all, options: { skipParsingBodyAsJson: true } });
    for (const { event, partitionId } of found) {
      const n = Number(event.properties?.n), want = wanted.get(n);
      assert.ok(want, `${hub}: event ${n} came twice, or nobody sent it`);
      wanted.delete(n);
      if (want.len !== "limit" && !("len" in event.properties)) event.properties.len = want.len; // ehring-send has no such property
      const wrong = difference(want, event, partitionId, list.cannot[hub] ?? []);
      assert.equal(wrong, null, `${hub}: event ${n} ${wrong}`);
      seen.push({ partition: partitionId, seq: event.sequenceNumber, offset: event.offset, time: event.enqueuedTimeUtc.getTime(), key: want.key ?? null, n });
    }
    assert.equal(wanted.size, 0, `${hub}: ${wanted.size} events are missing`);
    return inOrder(hub, seen);
  } finally {
    await consumer.close();
  }
}

// By partition and sequence number, which leave nothing out; offsets and times grow; what goes by key or partition comes as it was sent.
function inOrder(hub, seen) {
  const last = new Map(), to = new Map(eventsOf(list, hub).map((event) => [event.n, event.key ?? event.partition]));
  seen.sort((a, b) => a.partition - b.partition || a.seq - b.seq);
  seen.forEach((event, i) => {
    const before = seen[i - 1]?.partition === event.partition ? seen[i - 1] : { seq: -1, offset: -1, time: 0 }, order = to.get(event.n);
    const grows = event.seq === before.seq + 1 && Number(event.offset) > Number(before.offset) && event.time >= before.time;
    assert.ok(grows, `${hub}: position of event ${event.n}`);
    if (order === undefined) return;
    assert.ok((last.get(order) ?? 0) < event.n, `${hub}: event ${event.n} lies behind ${last.get(order)} of ${order}`);
    last.set(order, event.n);
  });
  return seen;
}

async function describe(transport, hub) {
  const consumer = consumerOf(transport, hub);
  try {
    const { name, partitionIds, createdOn } = await consumer.getEventHubProperties();
    const partitions = await Promise.all(partitionIds.map((id) => consumer.getPartitionProperties(id)));
    return {
      name, createdOn: createdOn.getTime(),
      partitions: partitions.map((p) => ({
        id: p.partitionId, hub: p.eventHubName, first: p.beginningSequenceNumber, last: p.lastEnqueuedSequenceNumber, offset: p.lastEnqueuedOffset,
        time: p.lastEnqueuedOnUtc.getTime(), isEmpty: p.isEmpty,
      })),
    };
  } finally {
    await consumer.close();
  }
}

// From an offset, a sequence number, a time: what comes first.
async function startWhereAskedTo(transport, seen) {
  const partition = "2", events = seen.filter((event) => event.partition === partition), at = events.length >> 1;
  const { offset, seq, time } = events[at], later = events.find((event) => event.time >= time).seq, earliest = events[0].time;
  const consumer = consumerOf(transport, `js-${transport}`);
  const options = { maxBatchSize: 1, maxWaitTimeInSeconds: 10 };
  const first = async (position) => (await read(consumer, { partition, position, count: 1, options }))[0].event.sequenceNumber;
  try {
    assert.equal(await first({ offset }), seq + 1, "behind an offset");
    assert.equal(await first({ offset, isInclusive: true }), seq, "at an offset");
    assert.equal(await first({ sequenceNumber: seq }), seq + 1, "behind a sequence number");
    assert.equal(await first({ sequenceNumber: seq, isInclusive: true }), seq, "at a sequence number");
    assert.equal(await first({ enqueuedOn: new Date(time - 1) }), later, "after a time");
    assert.equal(await first({ enqueuedOn: new Date(earliest - 1) }), 0, "after a time before all");
  } finally {
    await consumer.close();
  }
}

// From the end: what was there already does not come; of what is sent all the time, everything comes from one on.
async function startAtTheEnd(transport, partition) {
  const producer = producerOf(transport, "ends");
  const consumer = consumerOf(transport, "ends");
  let done = false;
  const tick = async () => {
    for (let i = 1; !done; i++) {
      await producer.sendBatch([{ body: i }], { partitionId: partition });
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  };
  try {
    await producer.sendBatch([{ body: 0 }], { partitionId: partition });
    const reading = read(consumer, { partition, position: latestEventPosition, count: 3, options: { maxBatchSize: 1 } }).finally(() => { done = true; });
    const [found] = await Promise.all([reading, tick()]);
    const bodies = found.map(({ event }) => event.body);
    assert.ok(bodies[0] > 0 && bodies.every((body, i) => body === bodies[0] + i), `from the end: ${bodies}`);
  } finally {
    await producer.close();
    await consumer.close();
  }
}

// Equal keys are in the same partition, whoever has sent them.
function sameKeysSamePartitions(hubs) {
  const partitions = new Map();
  for (const [hub, events] of Object.entries(hubs)) {
    for (const { key, partition } of events.filter((event) => event.key !== null)) {
      const known = partitions.get(key) ?? partition;
      assert.equal(partition, known, `key ${key} is in partition ${partition} of ${hub}, elsewhere in ${known}`);
      partitions.set(key, partition);
    }
  }
}

async function readAll(transport) {
  const all = async (hubs, work) => Object.fromEntries(await Promise.all(hubs.map(async (hub) => [hub, await work(transport, hub)])));
  const [events, about] = await Promise.all([all(plan.hubs, readHub), all(plan.described, describe)]);
  sameKeysSamePartitions(events);
  fs.writeFileSync(`${plan.dir}/seen-js-${transport}.json`, JSON.stringify({ about, events }));
  await Promise.all([startWhereAskedTo(transport, events[`js-${transport}`]), startAtTheEnd(transport, plan.ends[`js-${transport}`])]);
}

const work = { send, read: readAll, frames: async () => fs.writeFileSync(`${plan.dir}/frames`, frames(list)) };
let failed = 0;
await Promise.all((mode === "frames" ? ["amqp"] : plan.transports).map((transport) => work[mode](transport).catch((error) => {
  failed = 1;
  console.log(`FAILED js-${transport} ${mode}: ${error.stack ?? error}`);
})));
process.exit(failed);
