// Files for ehring-stat: node stat_files.mjs stat FILE        a stat file of a shipper, by ringbuf/ring_stat.h
//                        node stat_files.mjs shipped RING STREAM  copies of a ring as a shipper leaves them: behind in lane 1, in quarantine
//                        node stat_files.mjs damage RING DIR  copies of a ring with something wrong in each
import fs from 'node:fs'

const histBytes = 128 + 8 * 320

function desc(name, unit, index, off, stride, count, kind) {
  const d = Buffer.alloc(160)
  d.write(name, 0)
  d.write(unit, 40)
  d.write(index, 52)
  d.writeBigUInt64LE(BigInt(off), 64)
  d.writeUInt32LE(stride, 72)
  d.writeUInt16LE(count, 76)
  d[78] = kind
  d[79] = 8
  d.write('help of ' + name, 80)
  return d
}

function statFile(path) {
  const values = 4096
  const file = Buffer.alloc(16384)
  const table = [
    desc('sent_batches', 'batches', 'worker', values, 128, 3, 1),
    desc('read_pos', 'bytes', 'lane', values + 8, 128, 3, 3),
    desc('some_latency', 'ns', 'worker', values + 512, histBytes, 2, 4),
    desc('sent_batches', 'batches', '', values + 16, 0, 1, 1),
  ]
  file.writeBigUInt64LE(0x0a54415453484501n, 0)
  file.writeUInt32LE(1, 8)
  file.writeUInt32LE(128, 12)
  file.writeBigUInt64LE(BigInt(file.length), 16)
  file.writeBigUInt64LE(BigInt(values), 24)
  file.writeBigUInt64LE(BigInt(file.length - values), 32)
  file.writeUInt32LE(table.length, 40)
  file.writeUInt32LE(160, 44)
  file.writeUInt32LE(4242, 48)
  file.write('numbers', 64)
  Buffer.concat(table).copy(file, 128)
  for (const i of [0, 1, 2]) {
    file.writeBigUInt64LE(BigInt(10 ** i), values + 128 * i)
    file.writeBigUInt64LE(BigInt(1000 * (i + 1)), values + 128 * i + 8)
  }
  file.writeBigUInt64LE(2n ** 63n + 1n, values + 16)
  for (const i of [0, 1]) {
    const hist = values + 512 + histBytes * i
    file.writeBigUInt64LE(50n, hist)
    file.writeBigUInt64LE(50n, hist + 16 + 8 * (40 + 80 * i))
  }
  fs.writeFileSync(path, file)
}

function shipped(ring, dir) {
  const shipper = Number(fs.readFileSync(ring).readBigUInt64LE(32)), control = shipper + 3 * 128
  const lane = i => shipper + 5 * 128 + 16 * 64 + 256 * i
  const copy = (name, change) => {
    const b = fs.readFileSync(ring)
    b.writeUInt32LE(2, control + 4)
    change(b)
    fs.writeFileSync(`${dir}/${name}.ring`, b)
  }
  copy('behind', b => { b.writeBigUInt64LE(32n, shipper); b.writeBigUInt64LE(64n, lane(0) + 8); b.writeBigUInt64LE(32n, lane(1) + 8) })
  copy('quarantined', b => { b.writeUInt32LE(3, control + 8); b.writeBigUInt64LE(48n, control + 24) })
  copy('unheard-of', b => { b.writeUInt32LE(99, control + 8) })
  copy('impossible', b => { b.writeBigUInt64LE(2n ** 40n, shipper) })
}

function damage(ring, dir) {
  const whole = fs.readFileSync(ring)
  const copy = (name, change) => {
    const bytes = Buffer.from(whole)
    fs.writeFileSync(`${dir}/${name}.1.00000000-0000-0000-0000-000000000000.ring`, change(bytes) ?? bytes)
  }
  copy('empty', () => Buffer.alloc(0))
  copy('short', b => b.subarray(0, 200))
  copy('half', b => b.subarray(0, b.length / 2))
  copy('magic', b => { b[3] ^= 1 })
  copy('unpublished', b => { b.writeUInt32LE(0, 8) })
  copy('version', b => { b.writeUInt32LE(77, 8) })
  copy('table-far', b => { b.writeUInt32LE(0xfffffff0, 60) })
  copy('table-long', b => { b.writeUInt32LE(0xffffffff, 64) })
  copy('data-far', b => { b.writeBigUInt64LE(2n ** 63n, 40) })
  copy('odd-capacity', b => { b.writeBigUInt64LE(3n, 48) })
  const tableOff = whole.readUInt32LE(60)
  copy('value-far', b => { b.writeBigUInt64LE(2n ** 64n - 4n, tableOff + 64) })
  copy('stride', b => { b.writeUInt32LE(0xffffffff, tableOff + 72); b.writeUInt16LE(0xffff, tableOff + 76) })
  copy('name', b => { b.fill(0x1b, tableOff, tableOff + 40) })
  let state = 12345
  const random = n => (state = (state * 1103515245 + 12345) % 2 ** 31) % n
  for (let i = 0; i < 40; i++)
    copy(`random${i}`, b => { for (let k = 0; k < 8; k++) b[random(i % 2 ? 256 : 8192)] = random(256) })
}

const [what, ...rest] = process.argv.slice(2)
;({ stat: statFile, shipped, damage })[what](...rest)
