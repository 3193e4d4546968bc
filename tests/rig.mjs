// Shared by the tests that play many faults: hubs, shippers and producers as children, what they say and count, and what the hub has stored.
// The judge is the hub's store file, nobody's counters.
import { execFile, spawn } from 'node:child_process'
import fs from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

export { sleep }
const children = new Set()
process.on('exit', () => { for (const child of children) child.kill('SIGKILL') })
process.on('SIGTERM', () => process.exit(1))

export async function until(what, seconds, test) { // the first value of test that is true
  for (let end = Date.now() + seconds * 1000, pause = 10; ; pause = Math.min(pause * 1.5, 150)) {
    const value = await test()
    if (value) return value
    if (Date.now() > end) throw new Error(`${typeof what === 'function' ? what() : what}: not within ${seconds} s`)
    await sleep(pause)
  }
}

export function check(ok, ...text) {
  if (!ok) throw new Error(text.join(' '))
}

function start(program, args, log, stdin = 'ignore') {
  const child = spawn(program, args, { stdio: [stdin, log, log] })
  children.add(child)
  child.ended = new Promise(resolve => child.on('exit', (code, signal) => { children.delete(child); resolve(code ?? signal) }))
  return child
}

export class Place { // where programs and files are
  constructor(build, dir) { Object.assign(this, { build, dir }) }
  program(name) { return `${this.build}/ehring-${name}` }
  log(name) { return fs.openSync(`${this.dir}/${name}.log`, 'a') }
  output(name, args) { // status and standard output
    return new Promise(resolve => execFile(this.program(name), args, { maxBuffer: 1 << 28 },
      (error, stdout, stderr) => resolve({ status: error ? error.code : 0, stdout, stderr })))
  }
}

export class Hub {
  constructor(place, name) {
    Object.assign(this, { place, name, state: `${place.dir}/state-${name}`, store: `${place.dir}/${name}.store`, offset: 8, tail: Buffer.alloc(0) })
  }
  async start(...options) {
    const { place, name } = this, ports = `${place.dir}/${name}.ports`
    this.child = start(place.program('hub'), ['--amqp-port', '0', '--amqps-port', '0', '--admin-port', '0', '--ports-file', ports, '--state-dir', this.state,
      '--store-file', this.store, ...options], place.log(`${name}.hub`))
    this.child.ended.then(code => { this.status = code })
    await until(`${name}: the hub listens`, 30, () => fs.existsSync(ports) && fs.statSync(ports).size > 0)
    this.admin = `http://127.0.0.1:${/^admin=(\d+)/m.exec(fs.readFileSync(ports, 'utf8'))[1]}`
    return this
  }
  async fault(...lines) {
    const answer = await fetch(`${this.admin}/fault`, { method: 'POST', body: lines.join('\n') })
    check(answer.ok, `the hub takes no fault ${lines}:`, await answer.text())
  }
  async stats() { return (await fetch(`${this.admin}/stats`)).json() }
  stored() { // events since the last call, in the order in which they were stored
    const fd = fs.openSync(this.store, 'r'), size = fs.fstatSync(fd).size, bytes = Buffer.alloc(size - this.offset)
    fs.readSync(fd, bytes, 0, bytes.length, this.offset)
    fs.closeSync(fd)
    const events = []
    let at = 0
    while (at + 4 <= bytes.length && at + 4 + bytes.readUInt32LE(at) <= bytes.length) {
      const end = at + 4 + bytes.readUInt32LE(at), hubLen = bytes.readUInt16LE(at + 4), keyLen = bytes.readUInt16LE(at + 6)
      const name = at + 40, key = name + hubLen, message = bytes.subarray(key + keyLen, end)
      events.push({ hub: bytes.toString('latin1', name, key), partition: bytes.readUInt32LE(at + 8), key: bytes.toString('latin1', key, key + keyLen),
        id: messageId(message), body: bodyOf(message) })
      at = end
    }
    this.offset += at
    return events
  }
  async stop() {
    this.child.kill('SIGTERM')
    check(await this.child.ended === 0, `${this.name}: the hub ends with ${await this.child.ended}`)
  }
}

function messageId(message) { // the first property, a short string
  const at = message.indexOf(Buffer.from([0, 0x53, 0x73]))
  if (at < 0) return ''
  const first = at + 3 + (message[at + 3] === 0xc0 ? 3 : 9)
  return message[first] === 0xa1 ? message.toString('latin1', first + 2, first + 2 + message[first + 1]) : ''
}

function bodyOf(message) { // the one data section
  const at = message.lastIndexOf(Buffer.from([0, 0x53, 0x75])) + 3
  return message.toString('latin1', at + (message[at] === 0xa0 ? 2 : 5))
}

export class Shipper {
  constructor(place, name, hub) { Object.assign(this, { place, name, hub, file: `${place.dir}/${name}.log`, rings: `${place.dir}/rings-${name}`, offset: 0 }) }
  async start({ hub, stream = '', shipper = '', connection = 'connection-string' }) {
    const { place, name } = this, conf = `${place.dir}/${name}.conf`
    fs.writeFileSync(conf, `[shipper]\nrings = ${this.rings}\ndead_letters = ${place.dir}/dead-${name}\n${shipper}\n[stream orders]\nhub = ${hub}\n` +
      `connection_string = \${file:${this.hub.state}/${connection}}\nca_file = ${this.hub.state}/ca.pem\n` +
      `retry_backoff_ms = 20\nretry_backoff_max_seconds = 1\n${stream}\n`)
    this.child = start(place.program('shipper'), ['--config', conf], place.log(name))
    this.child.ended.then(code => { this.status = code })
    await until(`${name}: the shipper starts`, 30, () => this.log(0).includes('msg="started"'))
    return this
  }
  lives() { check(this.status === undefined, `${this.name}: the shipper has ended with ${this.status}`) }
  log(from) { // what it has said since an offset
    const fd = fs.openSync(this.file, 'r'), bytes = Buffer.alloc(Math.max(fs.fstatSync(fd).size - from, 0))
    fs.readSync(fd, bytes, 0, bytes.length, from)
    fs.closeSync(fd)
    return bytes.toString('utf8')
  }
  logLength() { return fs.statSync(this.file).size }
  async counters() { // of the stream, summed over workers
    const { stdout } = await this.place.output('stat', ['-j', '--rings', this.rings, '--stream', 'orders'])
    const values = JSON.parse(stdout).files.find(f => f.kind === 'shipper').values, sums = {}
    for (const [counter, v] of Object.entries(values)) sums[counter] = v.value ?? v.values?.reduce((a, b) => a + b, 0)
    return sums
  }
  async audit() { // the stream's ledger; a ring that is too busy for a consistent cut is asked again
    for (const end = Date.now() + 10000; Date.now() < end; await sleep(10)) {
      const { status, stdout, stderr } = await this.place.output('stat', ['--audit', '-j', '--rings', this.rings, '--stream', 'orders'])
      if (status === 3) continue
      check(status === 0, `${this.name}: --audit exits with ${status}: ${stderr}`)
      return JSON.parse(stdout).streams[0]
    }
    throw new Error(`${this.name}: --audit cannot tell for 10 s`)
  }
  deadLetters() { // of this stream, as objects
    const dir = `${this.place.dir}/dead-${this.name}/orders`
    const files = fs.existsSync(dir) ? fs.readdirSync(dir, { recursive: true }).filter(f => /\.jsonl?$/.test(f)).sort() : []
    return files.flatMap(f => fs.readFileSync(`${dir}/${f}`, 'utf8').split('\n').slice(0, -1).map(line => JSON.parse(line)))
  }
  noRings() { return !fs.readdirSync(`${this.rings}/orders`).some(f => f.endsWith('.ring')) }
  async stop() {
    this.child.kill('SIGTERM')
    check(await this.child.ended === 0, `${this.name}: the shipper ends with ${await this.child.ended}`)
  }
}

export class Producer { // an ehring-send that lives as long as its input
  constructor(place, shipper, name, ...options) {
    this.name = name
    this.count = 0
    this.child = start(place.program('send'), ['--rings', shipper.rings, '--stream', 'orders', '--make-stream-dir', '--capacity', '1M', '--name', name,
      '--message-id-position', ...options], place.log('send'), 'pipe')
    this.child.stdin.on('error', () => {})
    this.child.ended.then(code => { this.status = code })
  }
  isFull() { return this.child.stdin.writableLength > 65536 }
  write(event) { // an object; its number is put into it
    this.child.stdin.write(JSON.stringify({ p: this.name, i: ++this.count, ...event }) + '\n')
    return this.count
  }
  async end() {
    this.child.stdin.end()
    check(await this.child.ended === 0, `${this.name}: ehring-send ends with ${await this.child.ended}`)
  }
}
