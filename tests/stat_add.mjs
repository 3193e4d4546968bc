// Adds to one counter of a ring or of a shipper's file, found by its name in the file's own table: node stat_add.mjs FILE NAME AMOUNT
// ringbuf/ring_stat.h has the table's line; ring_layout.h where a ring keeps the table. A repeated counter's first value is changed.
import fs from 'node:fs'

const [file, name, amount] = process.argv.slice(2)
const fd = fs.openSync(file, 'r+')
const read = (at, count) => { const b = Buffer.alloc(count); fs.readSync(fd, b, 0, count, at); return b }
const isRing = read(0, 8).toString('latin1').startsWith('\x01EHRING')
const [off, count] = isRing ? [read(60, 4).readUInt32LE(), read(64, 4).readUInt32LE()] : [128, read(40, 4).readUInt32LE()]
for (let i = 0; i < count; i++) {
  const line = read(off + 160 * i, 160)
  if (line.toString('latin1', 0, 40).replace(/\0.*/, '') !== name) continue
  const at = Number(line.readBigUInt64LE(64)), word = read(at, 8)
  word.writeBigUInt64LE(BigInt.asUintN(64, word.readBigUInt64LE() + BigInt(amount)))
  fs.writeSync(fd, word, 0, 8, at)
  process.exit(0)
}
throw new Error(`${file} has no counter ${name}`)
