// Reading with the SDK: from one partition or all, until a number of events has come.

// Subscribes and resolves with [{event, partitionId}] when `count` events have come; rejects on an error or after seconds. `seen` is called when some have.
export function read(client, { partition, position, count, options = {}, seconds = 30, seen }) {
  const found = [];
  let subscription, timer;
  return new Promise((resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`${found.length} of ${count} events after ${seconds} s`)), seconds * 1000);
    const handlers = {
      processEvents: async (events, context) => {
        for (const event of events) found.push({ event, partitionId: context.partitionId });
        if (found.length > 0) seen?.();
        if (found.length >= count) resolve();
      },
      processError: async (error) => reject(error),
    };
    const all = { startPosition: position, maxBatchSize: 500, maxWaitTimeInSeconds: 1, ...options };
    subscription = partition === undefined ? client.subscribe(handlers, all) : client.subscribe(partition, handlers, all);
  }).finally(() => {
    clearTimeout(timer);
    return subscription.close();
  }).then(() => found);
}
