// Plays every fault of faults_table.mjs against two shippers, one on io_uring and one on epoll, each with four producers whose events go on all the while:
//   node faults_play.mjs BUILD DIR [NAME]
// After each row: nothing lost, first arrivals in order per key, partition and class, duplicates only where the row allows and no more than were counted
// as possible, the ledger closes, the shippers live. NAME: rows whose name holds it.
import { rows } from './faults_table.mjs'
import { Hub, Place, Producer, Shipper, check, sleep, until } from './rig.mjs'

const [build, dir, wanted = ''] = process.argv.slice(2)
const place = new Place(build, dir)
const hub = await new Hub(place, 'faults').start('--hub', 'uring:4', '--hub', 'epoll:4', '--credit', '30', '--disposition-delay-ms', '10')
const pad = 'x'.repeat(200)
const STRIPE_BYTES = 65536, CLASSES = 16 // of unkeyed events, as ring_layout.h has them

class Pipeline { // a shipper, its producers, and what of theirs has arrived
  constructor(net) {
    this.net = net
    this.shipper = new Shipper(place, net, hub)
    this.last = new Map() // of each order: the number that arrived last
    this.seen = new Map()
    this.poisoned = new Set()
  }
  async start() {
    await this.shipper.start({ hub: this.net, shipper: `workers = 2\nnet = ${this.net}`, stream: 'batch_count_max = 200' })
    check(this.shipper.log(0).includes(`network by ${this.net === 'uring' ? 'io_uring' : this.net}`), `the shipper's network is not ${this.net}`)
    this.producers = [['keyed-1', '--key-json', 'k'], ['keyed-2', '--key-json', 'k'], ['unkeyed'], ['placed', '--partition-id', '1']].map(
      ([name, ...options]) => new Producer(place, this.shipper, `${this.net}-${name}`, ...options))
    this.seen = new Map(this.producers.map(p => [p.name, []]))
    return this
  }
  feed(count) { for (const p of this.producers) for (let n = 0; n < count && !p.isFull(); n++) p.write({ k: `k${p.count % 5}`, pad }) }
  poison() { this.poisoned.add(`${this.producers[0].name} ${this.producers[0].write({ k: 'k0', poison: true })}`) }
  written() { return this.producers.reduce((sum, p) => sum + p.count, 0) }
  isSettled(ledger) { return ledger.committed_events === this.written() && ledger.pending_events === 0 }
  take(event) { // 1: it had arrived before
    const { p, i, k } = JSON.parse(event.body), arrived = this.seen.get(p)
    check(arrived && !this.poisoned.has(`${p} ${i}`), 'an event arrived that should not:', p, i)
    arrived[i] = (arrived[i] ?? 0) + 1
    if (arrived[i] > 1) return 1
    const keyed = p.includes('-keyed'), pos = parseInt(event.id.split(':')[1], 16)
    check(event.key === (keyed ? k : ''), 'event', p, i, 'has the key', event.key)
    check(!p.endsWith('-placed') || event.partition === 1, 'event', p, i, 'is in partition', event.partition)
    const order = `${p} ${keyed ? k : p.endsWith('-placed') ? 'partition' : Math.floor(pos / STRIPE_BYTES) % CLASSES}`
    check((this.last.get(order) ?? 0) < i, 'event', i, 'of', order, 'arrived behind', this.last.get(order))
    this.last.set(order, i)
    return 0
  }
  missing() { // whatever was written and is neither stored nor a dead letter
    for (const p of this.producers)
      for (let i = p.judged ?? 1; i <= p.count; i++)
        check(this.seen.get(p.name)[i] || this.poisoned.has(`${p.name} ${i}`), 'event', p.name, i, 'of', p.count, 'is lost')
    for (const p of this.producers) p.judged = p.count + 1
  }
}

const pipelines = await Promise.all([new Pipeline('uring').start(), new Pipeline('epoll').start()])
const stats = async () => {
  const all = await hub.stats()
  for (const h of all.hubs) all[h.name] = h.events
  return all
}
const lives = () => {
  for (const { shipper, producers } of pipelines) {
    shipper.lives()
    for (const p of producers) check(p.status === undefined, `${p.name} has ended with ${p.status}`)
  }
  check(hub.status === undefined, `the hub has ended with ${hub.status}`)
}
const grown = (from, count) => async () => { lives(); const now = await stats(); return pipelines.every(p => now[p.net] >= from[p.net] + count) }
const stalled = async () => { // ten looks in a row
  const first = await stats()
  for (let look = 0; look < 10; look++) {
    await sleep(20)
    const now = await stats()
    if (pipelines.some(p => now[p.net] !== first[p.net])) return false
  }
  return true
}

let feeding = 0
setInterval(() => { if (feeding) for (const p of pipelines) p.feed(feeding) }, 10).unref()

async function met(row, before, offsets) {
  const now = await stats()
  lives()
  for (const [counter, least] of Object.entries(row.hit ?? {})) if (now[counter] - before[counter] < least) return false
  if (row.says && !pipelines.every((p, i) => row.says.test(p.shipper.log(offsets[i])))) return false
  if (row.limit) for (const p of pipelines) if ((await p.shipper.counters()).message_bytes_max !== row.limit) return false
  if (row.poison) for (const p of pipelines) if ((await p.shipper.audit()).dead_lettered_events < p.poisoned.size) return false
  return !row.stalls || stalled()
}

async function play(row) {
  const start = Date.now(), first = await stats(), ledgers = await Promise.all(pipelines.map(p => p.shipper.audit()))
  feeding = row.busy ? 1 : 10
  await until('events arrive before the fault', 30, grown(first, 40))
  const before = await stats(), offsets = pipelines.map(p => p.shipper.logLength())
  await hub.fault(...row.play)
  if (row.poison) for (const p of pipelines) p.poison()
  await until('the fault is met', 30, () => met(row, before, offsets))
  if (row.then) await hub.fault(...row.then)
  await until('events arrive behind the fault', 30, grown(await stats(), row.busy ? 20 : 400))
  feeding = 0
  const after = await Promise.all(pipelines.map(p => until(`${p.net}: all is accepted`, 60, async () => {
    lives()
    const ledger = await p.shipper.audit()
    return p.isSettled(ledger) && ledger
  })))
  const twice = [0, 0], events = hub.stored()
  for (const event of events) twice[event.hub === 'epoll' ? 1 : 0] += pipelines[event.hub === 'epoll' ? 1 : 0].take(event)
  const maybe = after.map((ledger, i) => ledger.maybe_duplicate_events - ledgers[i].maybe_duplicate_events)
  pipelines.forEach((p, i) => {
    p.missing()
    check(twice[i] === 0 || row.twice, `${p.net}: ${twice[i]} events arrived twice`)
    check(twice[i] <= maybe[i], `${p.net}: ${twice[i]} events arrived twice, ${maybe[i]} are counted as possible`)
    check(after[i].dead_lettered_events === p.poisoned.size, `${p.net}: ${after[i].dead_lettered_events} dead letters`)
  })
  check((await stats()).faults_standing === 0, 'the fault stands still')
  console.log(`${row.name.padEnd(36)} ${String(events.length).padStart(6)} ${twice.join('/').padStart(9)} ${maybe.join('/').padStart(9)} ` +
    `${((Date.now() - start) / 1000).toFixed(1).padStart(5)} s`)
}

console.log(`${'fault'.padEnd(36)} stored     twice <=  maybe`)
const chosen = rows.filter(r => r.name.includes(wanted))
for (const row of chosen) {
  try {
    await play(row)
  } catch (error) {
    console.log(`FAIL ${row.name}: ${error.stack}`)
    console.log(await stats().then(JSON.stringify, String))
    process.exit(1)
  }
}
for (const p of pipelines) {
  await Promise.all(p.producers.map(producer => producer.end()))
  await until(`${p.net}: the rings of dead producers are gone`, 30, () => p.shipper.noRings())
  const ledger = await p.shipper.audit()
  check(ledger.committed_events === p.written() && ledger.accepted_events === p.written() - p.poisoned.size, `${p.net}: ${JSON.stringify(ledger)}`)
  check(p.shipper.deadLetters().length === p.poisoned.size, `${p.net}: ${p.shipper.deadLetters().length} lines of dead letters`)
  await p.shipper.stop()
}
await hub.stop()
console.log(`${chosen.length} faults, ${pipelines.map(p => p.written()).join(' and ')} events`)
process.exit(0)
