// The shipper's memory besides its rings, with credit for a million messages and a hub that reads nothing, then little, then answers late:
//   node memory_play.mjs BUILD DIR WORKERS
// One stream of 32 partitions; some rings are full of tiny events (positions), some of large ones (batches). Of /proc/PID/status counts all that is not
// shared memory: rings lie on /dev/shm.
import fs from 'node:fs'
import { spawn } from 'node:child_process'
import { Hub, Place, Shipper, check, until } from './rig.mjs'

const [build, dir, workers] = process.argv.slice(2)
const LIMIT_KIB = 64 << 10, RING_BYTES = 32 << 20, TURNS = 12
const producers = [['tiny', 20, 400000], ['tiny', 20, 400000], ['middle', 1500, 20000], ['large', 100000, 300]] // size and number of events
const place = new Place(build, dir)
const hub = await new Hub(place, 'memory').start('--hub', 'orders:32', '--credit', '1000000', '--sink')
const shipper = await new Shipper(place, `workers-${workers}`, hub).start({ hub: 'orders', shipper: `workers = ${workers}` })

let most = 0, what = 'at the start', peak
const sampling = setInterval(() => {
  if (shipper.status !== undefined) return
  const status = fs.readFileSync(`/proc/${shipper.child.pid}/status`, 'latin1')
  const kib = name => Number(new RegExp(`^${name}:\\s*(\\d+)`, 'm').exec(status)?.[1] ?? 0)
  const now = kib('RssAnon') + kib('RssFile')
  if (now > most) [most, peak] = [now, `${(now / 1024).toFixed(1)} MiB ${what} (anonymous ${kib('RssAnon')} KiB, files ${kib('RssFile')} KiB)`]
}, 10)

let written = 0
const sends = producers.map(([name, size, count], n) => {
  const file = `${dir}/events-${name}`, pad = 'x'.repeat(size)
  if (!fs.existsSync(file)) fs.writeFileSync(file, Array.from({ length: count / 10 }, (_, i) => `{"k":"${i % 997}","x":"${pad}"}\n`).join(''))
  written += count
  const child = spawn(place.program('send'), ['--rings', shipper.rings, '--stream', 'orders', '--make-stream-dir', '--capacity', String(RING_BYTES),
    '--name', `${name}-${n}`, '--key-json', 'k', '--repeat', '10', file], { stdio: ['ignore', place.log('send'), place.log('send')] })
  process.on('exit', () => child.kill('SIGKILL'))
  return new Promise(resolve => child.on('exit', resolve))
})
const pending = async () => (await shipper.audit()).pending_events
const deliveries = async () => (await hub.stats()).deliveries
const lives = () => { shipper.lives(); check(most < LIMIT_KIB, `the shipper's memory besides the rings: ${peak}, the limit is ${LIMIT_KIB >> 10} MiB`) }

// reads nothing: until every producer is done or waits for room
await until('events arrive', 30, async () => await deliveries() > 0)
what = 'while the hub reads nothing'
await hub.fault('stop-reading')
let before = -1, since
await until('nothing moves any more', 60, async () => { // for two seconds: a machine that is busy elsewhere may let all producers stand for a moment
  lives()
  const { committed_events: committed } = await shipper.audit()
  if (committed !== before) [before, since] = [committed, Date.now()]
  return Date.now() - since >= 2000
})
const held = await pending()
check(held > 10000, `only ${held} events wait: that is no pressure`)

// reads a little, in turns
what = 'while the hub reads in turns'
for (let turn = 0; turn < TURNS; turn++) {
  const from = await deliveries()
  await hub.fault('clear stop-reading')
  await until('a delivery is read', 30, async () => { lives(); return await deliveries() > from || await pending() === 0 })
  await hub.fault('stop-reading')
}

what = 'while the hub answers late'
await hub.fault('clear stop-reading', 'late-dispositions delay=700ms')
const from = await deliveries()
await until('64 more are read', 60, async () => { lives(); return await deliveries() > from + 64 || await pending() === 0 })
what = 'at the end'
await hub.fault('clear late-dispositions')
check((await Promise.all(sends)).every(code => code === 0), 'a producer failed')
const ledger = await until('all is accepted', 120, async () => { lives(); const now = await shipper.audit(); return now.accepted_events === written && now })
check(ledger.pending_events === 0, 'something is pending')
clearInterval(sampling)
await shipper.stop()
await hub.stop()
console.log(`${workers} worker(s): ${written} events, ${held} waited; at most ${peak}`)
process.exit(0)
