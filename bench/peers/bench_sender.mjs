// The official JavaScript SDK as a sender: full batches, one after another on each of a few partitions at once.
// usage: node bench_sender.mjs CONNECTION_STRING_FILE HUB CA_FILE BYTES; prints "accepted N" until it is ended.
import fs from "node:fs";
import { EventHubProducerClient } from "@azure/event-hubs";

const [connection, hub, , bytes] = process.argv.slice(2);
const client = new EventHubProducerClient(fs.readFileSync(connection, "utf8").trim(), hub);
const body = Buffer.alloc(Number(bytes), "e");
let accepted = 0;
let told = 0;

async function send(partitionId) {
  for (;;) {
    const batch = await client.createBatch({ partitionId });
    while (batch.tryAdd({ body }));
    await client.sendBatch(batch);
    accepted += batch.count;
    if (Date.now() - told >= 50) {
      told = Date.now();
      process.stdout.write(`accepted ${accepted}\n`);
    }
  }
}

await Promise.all((await client.getPartitionIds()).slice(0, 4).map(send));
