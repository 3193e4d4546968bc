// Plays each row of the shipper's table of outcomes at each of its places, and sees that what the row names is done, and that events flow again:
//   node outcomes_play.mjs BUILD DIR [WORD]
// The rows are read from print_outcomes; WORD: those whose line holds it. Several lanes, each a hub and a shipper of its own, take them in turn: most of
// the time is waits that the table asks for.
import { execFileSync } from 'node:child_process'
import { Hub, Place, Producer, Shipper, check, until } from './rig.mjs'

const [build, dir, wanted = ''] = process.argv.slice(2)
const LANES = 20, HOLD_MS = [700, 1000] // three quarters of retry_backoff_max_seconds to the whole of it
const place = new Place(build, dir)
const cases = execFileSync(`${build}/tests/print_outcomes`, { encoding: 'utf8' }).split('\n').filter(line => line && line.includes(wanted))
  .map(line => JSON.parse(line)).sort((a, b) => b.wait_ms - a.wait_ms || (b.action === 'hold') - (a.action === 'hold'))
const isReply = c => c.place === 'cbs' || c.place === 'management'

class Lane {
  constructor(number) {
    this.hub = new Hub(place, `hub${number}`)
    this.shipper = new Shipper(place, `lane${number}`, this.hub)
    this.stored = this.poisoned = 0 // events that the hub must have, and those that nobody takes
  }
  async start() {
    await this.hub.start('--hub', 'orders:1')
    await this.shipper.start({ hub: 'orders', shipper: 'workers = 1', stream: 'max_size = 1', connection: 'connection-string-plain' })
    this.producer = new Producer(place, this.shipper, this.hub.name, '--key-json', 'k')
    this.send({})
    this.before = await this.look()
    return this
  }
  send(...events) { // all of one partition
    for (const event of events) {
      this.producer.write({ k: 'key', ...event })
      event.poison ? this.poisoned++ : this.stored++
    }
  }
  async settled() { // the ledger when all is accepted or dead-lettered
    await until('events flow again', 60, async () => { this.shipper.lives(); return (await this.hub.stats()).events >= this.stored })
    const ledger = await until('all is accepted', 20, async () => {
      const now = await this.shipper.audit()
      return now.accepted_events === this.stored && now.dead_lettered_events === this.poisoned && now
    })
    const { events } = await this.hub.stats()
    check(events === this.stored, `the hub has ${events} events, not ${this.stored}`)
    return ledger
  }
  async look() {
    const ledger = await this.settled()
    return { ...(await this.shipper.counters()), ...(await this.hub.stats()), ...ledger }
  }
  async says(from, pattern) {
    const find = () => this.shipper.log(from).split('\n').slice(0, -1).find(line => pattern.test(line))
    return until(() => `the log says ${pattern}: ${this.shipper.log(from)}`, 20, find)
  }
  stop() {
    for (const child of [this.producer?.child, this.shipper.child, this.hub.child]) child?.kill('SIGKILL')
  }
}

const outcomes = { 'amqp:released:list': 'release next=1', 'amqp:modified:list': 'modify next=1',
  'amqp:modified:list:undeliverable-here': 'modify next=1 undeliverable-here=yes' }

// What is played, in steps: a fault, what the log must have said then, the events that are sent then.
function steps(c, error) {
  const lost = /msg="connection (lost|closed)/
  switch (c.place) {
    case 'disposition':
      if (c.action === 'split') return [{ fault: `reject body=poison ${error}`, send: [{}, { poison: true }, {}] }]
      return [{ fault: outcomes[c.condition] ?? `reject next=1 ${error}`, send: [{}] }]
    case 'attach': return [{ fault: `refuse-attach next=1 ${error}` }, { fault: 'detach text="to be attached anew"', says: /to be attached anew/, send: [{}] }]
    case 'cbs': return [{ fault: `fail-cbs next=1 status=${c.status} ${error}` }, { fault: 'drop-connections', says: lost, send: [{}] }]
    case 'management': return [{ fault: `fail-management next=1 status=${c.status} ${error}` }, { fault: 'drop-connections', says: lost, send: [{}] }]
  }
  return [{ fault: `${c.place} ${error}` }] // detach, end, close
}

// The line in which the shipper says what it does about it; what had no text is known by its place.
function line(c, mark) {
  if (isReply(c)) return new RegExp(`area=pool .*reason="?status ${c.status}.*${c.condition && mark}`)
  if (c.condition && !outcomes[c.condition]) return new RegExp(`${c.condition}.*${mark}`)
  switch (c.place) {
    case 'disposition': return new RegExp(`area=batch .*outcome=${(/(released|modified)/.exec(c.condition) ?? ['rejected'])[0]} condition=-`)
    case 'attach': return /area=link msg="link refused or lost".* condition=- /
    case 'detach': return /area=link .* condition=- /
  }
  return /area=pool msg="connection closed".* reason="?closed/
}

// How far counters of shipper and hub must have moved.
function moves(c) {
  const renews = c.action === 'renew-token', reconnects = renews || c.action === 'reconnect' || !['disposition', 'attach', 'detach'].includes(c.place)
  const attaches = reconnects || c.place !== 'disposition' || c.action === 'reopen-link', throttles = c.action === 'throttle'
  return {
    connect_count: +reconnects, link_attach_count: +attaches, connect_failed_count: +isReply(c), dead_lettered_events: +(c.action === 'split'),
    throttled_deliveries: +(throttles && ['disposition', 'attach', 'detach'].includes(c.place)),
    maybe_duplicate_events: +(c.place === 'disposition' && c.maybe_delivered), links_refused: +(c.place === 'attach'),
    tokens_refused: +(c.place === 'cbs'), requests_failed: +(c.place === 'management'), tokens_accepted: reconnects + (c.place === 'management'),
  }
}

async function play(lane, c) {
  const before = lane.before, from = lane.shipper.logLength(), mark = `row ${c.row} is played`
  const error = c.condition ? `condition=${c.condition} text="${c.text}, ${mark}"` : 'condition=none'
  for (const step of steps(c, error)) {
    await lane.hub.fault(step.fault)
    if (step.says) await lane.says(from, step.says)
    lane.send(...(step.send ?? []))
  }
  const said = await lane.says(from, line(c, mark)), retry = Number(/ retry_ms=(\d+)/.exec(said)[1])
  check(said.includes(` action=${c.action} `), `action=${c.action} is not what it does: ${said}`)
  const [least, most] = c.action === 'hold' ? HOLD_MS : [c.wait_ms, c.wait_ms ? c.wait_ms * 9 / 8 : 1000]
  check(retry >= least && retry <= most, `it waits ${retry} ms, not ${least} to ${most}: ${said}`)
  check(!c.has_remedy || !/ remedy=-/.test(said), `no remedy is told: ${said}`)
  check(c.condition === '' || said.includes('level=info') === c.normal, `daily life is info, all else a warning: ${said}`)
  if (c.action === 'split') {
    await lane.settled()
    await lane.hub.fault('clear reject')
    const letter = lane.shipper.deadLetters().at(-1)
    check(JSON.stringify(letter).includes(c.condition), `the dead letter does not name ${c.condition}: ${JSON.stringify(letter)}`)
  }
  lane.send({})
  const after = lane.before = await lane.look()
  for (const [counter, count] of Object.entries(moves(c)))
    check(after[counter] - before[counter] === count, `${counter} moved by ${after[counter] - before[counter]}, not ${count}: ${lane.shipper.log(from)}`)
  check(after.faults_standing === 0, 'the fault stands still')
}

let failed = 0, played = 0, lanes = 0
const rows = new Set()
async function work() {
  let lane
  for (let c; (c = cases.shift());) {
    try {
      lane ??= await new Lane(++lanes).start()
      await play(lane, c)
      rows.add(c.row)
      played++
    } catch (error) {
      failed++
      console.log(`FAIL row ${c.row} ${c.place} status=${c.status} condition=${c.condition} text="${c.text}" action=${c.action}: ${error.stack}`)
      lane?.stop()
      lane = undefined
    }
  }
  lane?.stop()
}
await Promise.all(Array.from({ length: Math.min(LANES, cases.length) }, work))
console.log(`${played} of ${played + failed} outcomes of ${rows.size} rows are acted upon as the table says`)
process.exit(failed || !played ? 1 : 0)
