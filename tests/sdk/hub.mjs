// What a user of the official SDK would notice about ehring-hub: sends, receives and compares. Exit status is the verdict.
// usage: node hub.mjs CONNECTION_STRING_FILE (hubs: hub1 with 4 partitions and group readers, small with 2 partitions)
import assert from "node:assert/strict";
import fs from "node:fs";
import { EventHubConsumerClient, EventHubProducerClient, earliestEventPosition, latestEventPosition } from "@azure/event-hubs";
import { read } from "./reader.mjs";

const connection = fs.readFileSync(process.argv[2], "utf8").trim();
const producer = new EventHubProducerClient(connection, "hub1");
const consumer = new EventHubConsumerClient("$Default", connection, "hub1");

async function failure(work) {
  try {
    await work();
  } catch (error) {
    return error;
  }
  assert.fail("an error was expected");
}

async function tellsItsPartitions() {
  const hub = await producer.getEventHubProperties();
  assert.equal(hub.name, "hub1");
  assert.deepEqual(hub.partitionIds, ["0", "1", "2", "3"]);
  assert.ok(Math.abs(Date.now() - hub.createdOn) < 600000);
  const partition = await producer.getPartitionProperties("3");
  assert.equal(partition.isEmpty, true);
  assert.equal(partition.lastEnqueuedSequenceNumber, -1);
}

async function keepsWhatWasSent() {
  const time = new Date(1700000000123);
  const sent = {
    body: { text: "grüße", list: [1, 2, 3] },
    contentType: "application/json",
    messageId: "m-1",
    correlationId: "c-1",
    properties: { text: "a", int: 7, negative: -70000, fraction: 1.5, yes: true, no: false, time },
  };
  const start = Date.now();
  await producer.sendBatch([sent], { partitionId: "3" });
  const [{ event }] = await read(consumer, { partition: "3", position: earliestEventPosition, count: 1 });
  assert.deepEqual(event.body, sent.body);
  assert.equal(event.contentType, "application/json");
  assert.equal(event.messageId, "m-1");
  assert.equal(event.correlationId, "c-1");
  assert.equal(event.partitionKey, undefined);
  assert.equal(event.sequenceNumber, 0);
  assert.equal(event.offset, "0");
  assert.ok(event.enqueuedTimeUtc >= start - 2000 && event.enqueuedTimeUtc <= Date.now() + 2000);
  assert.deepEqual({ ...event.properties, time: new Date(event.properties.time) }, sent.properties);
}

async function choosesThePartitionByKey() {
  // Published: |hash16| modulo 4 of these keys.
  const partitions = { "device-42": "0", "7": "3", "131": "2", "7149583486996073602": "1" };
  for (const [key, partition] of Object.entries(partitions)) {
    const before = (await producer.getPartitionProperties(partition)).lastEnqueuedSequenceNumber;
    const batch = await producer.createBatch({ partitionKey: key });
    for (let i = 0; i < 5; i++) assert.ok(batch.tryAdd({ body: Buffer.from([i, 255, 0]) }));
    await producer.sendBatch(batch);
    const found = await read(consumer, { partition, position: { sequenceNumber: before }, count: 5 });
    assert.deepEqual(found.map((f) => [...f.event.body]), [0, 1, 2, 3, 4].map((i) => [i, 255, 0]));
    assert.ok(found.every((f) => f.event.partitionKey === key));
  }
}

async function takesLargeEventsAndRefusesLarger() {
  const large = Buffer.alloc(900000, 120);
  await producer.sendBatch([{ body: large }], { partitionId: "2" });
  const last = (await producer.getPartitionProperties("2")).lastEnqueuedSequenceNumber;
  const [{ event }] = await read(consumer, { partition: "2", position: { sequenceNumber: last, isInclusive: true }, count: 1 });
  assert.equal(Buffer.compare(event.body, large), 0);
  const error = await failure(() => producer.sendBatch([{ body: Buffer.alloc(1100000) }]));
  assert.match(error.code, /MessageTooLarge|MessageSizeExceeded/);
}

async function spreadsEventsWithoutKey() {
  const small = new EventHubProducerClient(connection, "small");
  try {
    for (let i = 0; i < 4; i++) await small.sendBatch([{ body: `${i}` }]);
    for (const id of ["0", "1"]) assert.equal((await small.getPartitionProperties(id)).lastEnqueuedSequenceNumber, 1);
  } finally {
    await small.close();
  }
}

async function startsWhereAskedTo() {
  const events = await read(consumer, { partition: "0", position: earliestEventPosition, count: 5 });
  const [, second, third] = events.map((f) => f.event);
  const first = async (position) => (await read(consumer, { partition: "0", position, count: 1 }))[0].event.sequenceNumber;
  assert.equal(await first({ offset: second.offset }), third.sequenceNumber);
  assert.equal(await first({ offset: second.offset, isInclusive: true }), second.sequenceNumber);
  assert.equal(await first({ sequenceNumber: second.sequenceNumber }), third.sequenceNumber);
  assert.equal(await first({ sequenceNumber: second.sequenceNumber, isInclusive: true }), second.sequenceNumber);
  assert.equal(await first({ enqueuedOn: new Date(0) }), 0);
  let done = false;
  const later = read(consumer, { partition: "0", position: latestEventPosition, count: 1 }).finally(() => { done = true; });
  const tick = async () => { // until one comes behind the reader's attach
    for (; !done; await new Promise((resolve) => setTimeout(resolve, 100))) await producer.sendBatch([{ body: "later" }], { partitionId: "0" });
  };
  const [[{ event }]] = await Promise.all([later, tick()]);
  assert.equal(event.body, "later");
}

async function knowsItsGroups() {
  const readers = new EventHubConsumerClient("readers", connection, "hub1");
  const nobody = new EventHubConsumerClient("nobody", connection, "hub1");
  try {
    assert.equal((await read(readers, { partition: "3", position: earliestEventPosition, count: 1 }))[0].event.messageId, "m-1");
    const error = await failure(() => read(nobody, { partition: "3", position: earliestEventPosition, count: 1 }));
    assert.equal(error.code, "MessagingEntityNotFoundError");
  } finally {
    await readers.close();
    await nobody.close();
  }
}

async function givesThePartitionToTheHigherOwner() {
  const options = (ownerLevel) => ({ ownerLevel, maxBatchSize: 1 });
  let loser;
  const reads = new Promise((resolve) => {
    loser = failure(() => read(consumer, { partition: "1", position: earliestEventPosition, count: Infinity, options: options(1), seen: resolve }));
  });
  await Promise.race([reads, loser]);
  const other = new EventHubConsumerClient("$Default", connection, "hub1");
  try {
    await read(other, { partition: "1", position: earliestEventPosition, count: 1, options: options(2) });
    assert.equal((await loser).code, "ReceiverDisconnectedError");
  } finally {
    await other.close();
  }
}

async function refusesWhatIsNotThere() {
  const options = { retryOptions: { maxRetries: 0 } };
  const missing = new EventHubProducerClient(connection, "missing", options);
  const wrong = new EventHubProducerClient(connection.replace(/SharedAccessKey=.*/, "SharedAccessKey=d3Jvbmc="), "hub1", options);
  try {
    assert.equal((await failure(() => missing.sendBatch([{ body: "x" }]))).code, "MessagingEntityNotFoundError");
    assert.equal((await failure(() => wrong.sendBatch([{ body: "x" }]))).code, "UnauthorizedError");
  } finally {
    await missing.close();
    await wrong.close();
  }
}

const steps = [
  tellsItsPartitions, keepsWhatWasSent, choosesThePartitionByKey, takesLargeEventsAndRefusesLarger, spreadsEventsWithoutKey, startsWhereAskedTo,
  knowsItsGroups, givesThePartitionToTheHigherOwner, refusesWhatIsNotThere,
];
let failed = 0;
for (const step of steps) {
  try {
    await step();
    console.log(`ok ${step.name}`);
  } catch (error) {
    failed++;
    console.log(`FAILED ${step.name}: ${error.stack ?? error}`);
  }
}
await producer.close();
await consumer.close();
process.exit(failed ? 1 : 0);
