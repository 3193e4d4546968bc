// Judges what was read from a queue: rabbitmq_judge.mjs WHAT MESSAGES_MAX group|any PRODUCER:COUNT… < messages. Every event of every producer is there,
// at most so many messages in all, each with a message-id of its own that its repeats share, first arrivals in order per key, the key where it belongs.
import { readFileSync } from "node:fs"

const [what, max, place, ...producers] = process.argv.slice(2)
const want = new Map(producers.map(p => p.split(":")).map(([p, n]) => [p, Number(n)]))
const ids = new Map(), seen = new Map(), last = new Map()
let complaints = 0

function say(ok, ...text) {
    if (ok) return
    console.log("FAIL", `${what}:`, ...text)
    if (++complaints === 5) process.exit(1)
}
function keyOf(message, producer) {
    if (place === "group") return message.group
    const found = { subject: message.subject, property: message.properties?.device, annotation: message.annotations?.["x-device"] }
    return found[producer]
}
const messages = readFileSync(0, "utf8").split("\n").slice(0, -1).map(line => JSON.parse(line))
for (const message of messages) {
    const { k, p, i } = JSON.parse(message.body), event = `${p} ${i}`
    say(want.get(p) >= i && i >= 1, "an event that nobody sent:", message.body)
    say(message.durable, "event", event, "is not durable")
    say(typeof message.id === "string" && message.id.length > 32, "event", event, "has the id", message.id)
    say((ids.get(message.id) ?? event) === event, "events", event, "and", ids.get(message.id), "share the id", message.id)
    say((seen.get(event) ?? message.id) === message.id, "a repeat of event", event, "has another id")
    if (p !== "parts") say(keyOf(message, p) === k, "event", event, "has the key", keyOf(message, p))
    ids.set(message.id, event)
    if (!seen.has(event)) {
        say((last.get(p + k) ?? 0) < i, "event", event, "of key", k, "arrived behind", last.get(p + k))
        last.set(p + k, i)
    }
    seen.set(event, message.id)
}
for (const [p, n] of want)
    for (let i = 1; i <= n; i++) say(seen.has(`${p} ${i}`), "event", p, i, "of", n, "is missing")
say(messages.length <= max, messages.length, "messages, more than", max)
process.exit(complaints === 0 ? 0 : 1)
