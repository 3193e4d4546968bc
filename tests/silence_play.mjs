// A hub that owes an answer for ever: to a token request, to the hub's properties, to a delivery. The shipper gives up waiting, at its own time, connects
// anew, and events flow again: node silence_play.mjs BUILD DIR. All at once: each is two minutes of waiting at the most.
import { Hub, Place, Producer, Shipper, check, until } from './rig.mjs'

const [build, dir] = process.argv.slice(2)
const place = new Place(build, dir)
const rows = [
  { name: 'token', play: ['fail-cbs next=1 silent=yes', 'drop-connections'], says: /msg="no answer to the token request".* action=reconnect /, twice: 0 },
  { name: 'properties', play: ['fail-management next=1 silent=yes', 'drop-connections'], says: /com\.microsoft:timeout.* action=/, twice: 0 },
  { name: 'delivery', play: ['silent-disposition next=1'], says: /msg="the service owes an answer: the connection is made anew".* action=reconnect /, twice: 1 },
]

async function play(row) {
  const hub = await new Hub(place, row.name).start('--hub', 'orders:2', '--token-wait-ms', '300000')
  const shipper = await new Shipper(place, `shipper-${row.name}`, hub).start({ hub: 'orders', shipper: 'workers = 1', stream: 'max_size = 1' })
  const producer = new Producer(place, shipper, row.name, '--key-json', 'k')
  const accepted = count => until(`${row.name}: ${count} events are accepted`, 60, async () => {
    shipper.lives()
    const ledger = await shipper.audit()
    return ledger.accepted_events === count && ledger
  })
  producer.write({ k: 'one' })
  await accepted(1)
  const before = (await shipper.counters()).connect_count
  await hub.fault(...row.play)
  if (row.twice === 0) await until(`${row.name}: the connection is lost`, 20, () => /msg="connection (lost|closed)/.test(shipper.log(0)))
  producer.write({ k: 'one' })
  await until(`${row.name}: the log says ${row.says}`, 180, () => { shipper.lives(); return row.says.test(shipper.log(0)) })
  producer.write({ k: 'one' })
  const ledger = await accepted(3), arrived = hub.stored().map(event => JSON.parse(event.body).i)
  const wanted = row.twice ? [1, 2, 2, 3] : [1, 2, 3]
  check(arrived.join() === wanted.join(), `${row.name}: the events ${arrived} have arrived, not ${wanted}`)
  check(ledger.maybe_duplicate_events === row.twice, `${row.name}: ${ledger.maybe_duplicate_events} are counted as possible duplicates`)
  const connects = (await shipper.counters()).connect_count - before
  check(connects === 1, `${row.name}: ${connects} connections became ready, not 1`)
  await producer.end()
  await shipper.stop()
  await hub.stop()
}

const results = await Promise.allSettled(rows.map(play))
results.forEach((result, i) => console.log(result.status === 'rejected' ? `FAIL ${result.reason.stack}` : `${rows[i].name}: not answered, and gone on`))
process.exit(results.some(r => r.status === 'rejected') ? 1 : 0)
