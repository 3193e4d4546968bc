// Reads so many messages of a queue of RabbitMQ over AMQP 1.0 with rhea and prints each as a line of JSON. Run from where rhea is installed.
import { createRequire } from "node:module"
import { writeSync } from "node:fs"

const rhea = createRequire(`${process.cwd()}/`)("rhea")
const [port, queue, count] = process.argv.slice(2)
const WINDOW = 2000
let lines = [], taken = 0

function flush() {
    if (lines.length === 0) return
    const bytes = Buffer.from(lines.join("\n") + "\n")
    lines = []
    for (let at = 0; at < bytes.length;) {
        try {
            at += writeSync(1, bytes, at)
        } catch (error) {
            if (error.code !== "EAGAIN") throw error
        }
    }
}
rhea.on("disconnected", ({ error }) => { console.error(`disconnected: ${error}`); process.exit(1) })
for (const trouble of ["connection_error", "session_error", "receiver_error"])
    rhea.on(trouble, context => { console.error(`${trouble}: ${context.connection?.error ?? context.receiver?.error}`); process.exit(1) })
rhea.on("message", ({ message, delivery }) => {
    const body = message.body?.content ?? message.body
    lines.push(JSON.stringify({
        id: message.message_id, group: message.group_id, subject: message.subject, type: message.content_type, durable: message.durable === true,
        annotations: message.message_annotations, properties: message.application_properties, body: Buffer.from(body).toString(),
    }))
    delivery.accept()
    if (++taken % WINDOW === 0) flush()
    if (taken !== Number(count)) return
    flush()
    receiver.close() // answered behind the last accept
})
rhea.on("receiver_close", ({ connection }) => {
    rhea.removeAllListeners("disconnected")
    connection.close()
})
const connection = rhea.connect({ host: "127.0.0.1", port, username: "reader", password: "hunter2-reader", reconnect: false, container_id: "judge" })
const receiver = connection.open_receiver({ source: { address: `/amq/queue/${queue}` }, credit_window: WINDOW, autoaccept: false })
