// The WebSocket of node itself against a hub's ports: node tests/hub_ws.mjs URL... Sends the SASL header in single bytes, expects it back, and a
// clean end. Prints a line for each URL: the subprotocol, what came back, the code of the close frame; or that it was refused.
function visit(url) {
  return new Promise(resolve => {
    const socket = new WebSocket(url, ['mqtt', 'AMQPWSB10'])
    let seen = ''
    socket.binaryType = 'arraybuffer'
    socket.onopen = () => {
      for (const byte of [0x41, 0x4d, 0x51, 0x50, 3, 1, 0, 0]) socket.send(new Uint8Array([byte]))
    }
    socket.onmessage = message => {
      socket.onmessage = null
      seen = `protocol=${socket.protocol} header=${Buffer.from(message.data, 0, 4)}`
      socket.close(1000, 'done')
    }
    socket.onclose = event => resolve(seen ? `${seen} code=${event.code} clean=${event.wasClean}` : 'refused')
    socket.onerror = () => resolve('refused')
  })
}

setTimeout(() => { console.log('nothing within 60 s'); process.exit(1) }, 60000).unref()
for (const url of process.argv.slice(2)) console.log(url, await visit(url))
