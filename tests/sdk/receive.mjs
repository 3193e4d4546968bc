// Reads a hub from its earliest offset until COUNT events have come and prints one JSON line for each.
// usage: node receive.mjs CONNECTION_STRING_FILE HUB COUNT [SECONDS]
import fs from "node:fs";
import { EventHubConsumerClient, earliestEventPosition } from "@azure/event-hubs";
import { read } from "./reader.mjs";

const [file, hub, count, seconds = "60"] = process.argv.slice(2);
const client = new EventHubConsumerClient("$Default", fs.readFileSync(file, "utf8").trim(), hub);

function plain(value) {
  if (typeof value === "bigint") return Number(value);
  if (value instanceof Date) return value.getTime();
  if (Buffer.isBuffer(value) || value instanceof Uint8Array) return { base64: Buffer.from(value).toString("base64") };
  return value;
}

function bytes(event) {
  const raw = event.getRawAmqpMessage().body;
  if (Buffer.isBuffer(raw)) return raw;
  if (raw && raw.typecode !== undefined && Buffer.isBuffer(raw.content)) return raw.content;
  if (Buffer.isBuffer(event.body)) return event.body;
  return Buffer.from(typeof event.body === "string" ? event.body : JSON.stringify(event.body));
}

try {
  // skipParsingBodyAsJson: the bytes are compared with what was sent, and JSON written again would differ.
  const found = await read(client, {
    position: earliestEventPosition, count: Number(count), seconds: Number(seconds), options: { skipParsingBodyAsJson: true },
  });
  for (const { event, partitionId } of found) {
    const properties = Object.fromEntries(Object.entries(event.properties ?? {}).map(([k, v]) => [k, plain(v)]));
    console.log(JSON.stringify({
      partition: partitionId,
      seq: event.sequenceNumber,
      offset: event.offset,
      key: event.partitionKey ?? null,
      body: bytes(event).toString("base64"),
      properties,
      messageId: plain(event.messageId ?? null),
      contentType: event.contentType ?? null,
      correlationId: plain(event.correlationId ?? null),
    }));
  }
} finally {
  await client.close();
}
