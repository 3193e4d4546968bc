// Writes a store file as ehring-hub would after a run of the demo, whole or with one thing wrong: node demo_store.mjs INPUT EVENTS OUT DAMAGE
import fs from 'node:fs'

const [input, eventsText, out, damage] = process.argv.slice(2)
const lines = fs.readFileSync(input, 'latin1').split('\n').slice(0, -1)
const events = Number(eventsText)
const uuids = ['11111111-2222-3333-4444-555555555555', '99999999-8888-7777-6666-555555555555']

const short = (code, bytes) => Buffer.concat([Buffer.from([code, bytes.length]), bytes])
const string = text => short(0xa1, Buffer.from(text, 'latin1'))
const list = (count, bytes) => Buffer.concat([Buffer.from([0xc0, bytes.length + 1, count]), bytes])
const map = (count, bytes) => Buffer.concat([Buffer.from([0xc1, bytes.length + 1, count]), bytes])
const section = (code, value) => Buffer.concat([Buffer.from([0, 0x53, code]), value])
const int = n => (n < 128 ? Buffer.from([0x54, n]) : Buffer.from([0x71, n >>> 24, (n >>> 16) & 255, (n >>> 8) & 255, n & 255]))

function encode(event) {
  const parts = []
  if (event.key) {
    parts.push(section(0x70, list(5, Buffer.from([0x56, 1, 0x40, 0x40, 0x40, 0x40]))))
    parts.push(section(0x72, map(2, Buffer.concat([short(0xa3, Buffer.from('x-opt-partition-key')), string(event.key)]))))
  }
  parts.push(section(0x73, list(1, string(`${event.uuid}:${event.pos.toString(16).padStart(16, '0')}`))))
  parts.push(section(0x74, map(2, Buffer.concat([string('line'), int(event.line)]))))
  parts.push(section(0x75, short(0xa0, Buffer.from(event.body, 'latin1'))))
  return Buffer.concat(parts)
}

function record(event, seq) {
  const bytes = encode(event), key = Buffer.from(event.key), hub = Buffer.from('demo')
  const head = Buffer.alloc(40)
  head.writeUInt32LE(36 + hub.length + key.length + bytes.length, 0)
  head.writeUInt16LE(hub.length, 4)
  head.writeUInt16LE(key.length, 6)
  head.writeUInt32LE(event.partition, 8)
  head.writeBigInt64LE(BigInt(seq), 16)
  return Buffer.concat([head, hub, key, bytes])
}

const keys = new Map()
const stored = []
for (let i = 0; i < events; i++)
  for (const [p, uuid] of uuids.entries()) {
    const body = lines[i % lines.length], key = body.trim().split(/[ \t]/)[0]
    if (!keys.has(key)) keys.set(key, keys.size % 4)
    stored.push({ uuid, pos: i * 256 + p * 16, line: i + 1, body, key, partition: key ? keys.get(key) : i % 4 })
  }

const keyed = stored.findIndex((e, i) => i > 100 && e.key)
const next = stored.findIndex((e, i) => i > keyed && e.key === stored[keyed].key && e.uuid === stored[keyed].uuid)
let gap = -1
switch (damage) {
  case 'missing': stored.splice(200, 1); break
  case 'duplicate': stored.splice(250, 0, stored[200]); break
  case 'swap': [stored[keyed], stored[next]] = [stored[next], stored[keyed]]; break
  case 'flip': { const e = stored[keyed]; e.body = String.fromCharCode(e.body.charCodeAt(0) ^ 1) + e.body.slice(1); break }
  case 'key': stored[keyed].key = 'another'; break
  case 'partition': stored[keyed].partition = (stored[keyed].partition + 1) % 4; break
  case 'foreign': stored[300].uuid = '00000000-0000-0000-0000-000000000000'; break
  case 'position': stored[300].pos = 1 << 30; break
  case 'line': stored[300].line = events + 1; break
  case 'gap': gap = 200; break
}
const seqs = [0, 0, 0, 0]
const chunks = [Buffer.from('EHRHUB01')]
stored.forEach((event, i) => {
  if (i === gap) seqs[event.partition]++
  chunks.push(record(event, seqs[event.partition]++))
})
let file = Buffer.concat(chunks)
if (damage === 'cut') file = file.subarray(0, file.length - 10)
if (damage === 'magic') file[0] = 0
fs.writeFileSync(out, file)
