// Looks into a ring file and writes single words of it in place, as a hostile or broken peer would: node ring_edit.mjs RING EXPRESSION
// The expression sees the places below and get/set; it prints its value. ringbuf/ring_layout.h has the picture.
import fs from 'node:fs'

const [file, expression] = process.argv.slice(2)
const fd = fs.openSync(file, 'r+')
const bytes = (at, count) => { const b = Buffer.alloc(count); fs.readSync(fd, b, 0, count, at); return b }
const get = at => Number(bytes(at, 8).readBigUInt64LE())
const set = (at, value) => { const b = Buffer.alloc(8); b.writeBigUInt64LE(BigInt(value)); fs.writeSync(fd, b, 0, 8, at) }
const fill = (at, count, byte) => fs.writeSync(fd, Buffer.alloc(count, byte), 0, count, at)
const versionAt = 8, bootIdAt = 112
const producer = get(24), shipper = get(32), data = get(40), capacity = get(48)
const writePos = producer, syncedPos = producer + 3 * 128, gate = shipper
// The position behind the first n events of a ring that has not lapped.
function posOf(n) {
  let pos = 0
  for (; n > 0; n--) pos += (bytes(data + pos, 4).readUInt32LE() + 15) & ~15
  return pos
}
void [set, fill, versionAt, bootIdAt, capacity, writePos, syncedPos, gate, posOf]
console.log(eval(expression))
