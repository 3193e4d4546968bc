// Prints the events of ring files as JSON lines, by the drawing in ringbuf/ring_layout.h: node ring_dump.mjs FILE…
import fs from 'node:fs'

const tags = { 1: 'content_type', 2: 'message_id', 3: 'correlation_id', 4: 'schema_version', 5: 'traceparent' }
const align = (n, to) => Math.ceil(n / to) * to

function meta(bytes, event) {
  for (let at = 0; at < bytes.length;) {
    const tag = bytes[at], type = bytes[at + 1], nameLen = bytes.readUInt16LE(at + 2), valueLen = bytes.readUInt32LE(at + 4)
    const name = bytes.toString('utf8', at + 8, at + 8 + nameLen), value = bytes.subarray(at + 8 + nameLen, at + 8 + nameLen + valueLen)
    if (tag === 6) event.properties[name] = type === 3 ? Number(value.readBigInt64LE()) : value.toString('utf8')
    else event[tags[tag]] = value.toString('utf8')
    at += 8 + nameLen + valueLen
  }
}

for (const path of process.argv.slice(2)) {
  const file = fs.readFileSync(path)
  const word = off => Number(file.readBigUInt64LE(off))
  const producer = word(24), data = word(40), capacity = word(48), end = word(producer)
  const uuid = file.toString('hex', 96, 112).replace(/(.{8})(.{4})(.{4})(.{4})(.{12})/, '$1-$2-$3-$4-$5')
  for (let pos = 0; pos < end;) {
    const at = data + (pos % capacity), len = file.readUInt32LE(at), kind = file[at + 12] >> 4, flags = file[at + 13], keyLen = file.readUInt16LE(at + 14)
    if (file.readUInt32LE(at + 8) !== Math.floor(pos / 16) % 2 ** 32) throw new Error(`${path}: no head at ${pos}`)
    if (kind === 1) {
      const event = { uuid, pos, properties: {} }
      let off = at + 16
      if (keyLen) event.key = file.toString('utf8', off, off + keyLen)
      off += align(keyLen, 8) + (flags & 1 ? 8 : 0)
      if (flags & 4) event.partition = file.readUInt16LE(at + 6)
      if (flags & 2) {
        const metaLen = file.readUInt32LE(off)
        meta(file.subarray(off + 4, off + 4 + metaLen), event)
        off += align(4 + metaLen, 8)
      }
      event.body = file.toString('latin1', off, at + len)
      console.log(JSON.stringify(event))
    }
    pos += align(len, 16)
  }
}
