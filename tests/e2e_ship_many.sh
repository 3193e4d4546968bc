#!/usr/bin/env bash
# One shipper with five streams into three hubs of two services, one of which goes away meanwhile; and 300 rings of producers that live for an
# instant: all arrive, all are removed, and the totals are right.
# shellcheck source=tests/ship_rig.sh
. "$(dirname "$0")/ship_rig.sh"

ledger() { # stream, committed events, rings
    local got
    got="$(counter "$1" committed_events) $(counter "$1" accepted_events) $(counter "$1" dropped_events) $(counter "$1" removed_rings) $(counter "$1" ring_count)"
    [ "$got" = "$2 $2 0 $3 0" ] || fail "$1: committed, accepted, dropped, removed rings, rings: $got, not $2 $2 0 $3 0"
}
dump_of() { "$build/ehring-hub" --dump "$1" | node -e '
    const [hub, ...producers] = process.argv.slice(1), count = new Map()
    const bodies = require("fs").readFileSync(0, "utf8").split("\n").slice(0, -1).map(l => JSON.parse(l)).filter(e => e.hub == hub).map(e => JSON.parse(e.body))
    for (const { p } of bodies) count.set(p, (count.get(p) ?? 0) + 1)
    console.log([...count].map(([p, n]) => p + ":" + n).sort().join(" "))
' "$2"; }

# a second service beside the first
"$build/ehring-hub" --amqp-port 0 --amqps-port 0 --ports-file "$dir/ports2" --state-dir "$dir/state2" --store-file "$dir/store2" --hub far:8 >>"$dir/hub2.log" 2>&1 &
second=$!
hub_start --hub orders:4 --hub clicks:3
within 20 test -s "$dir/ports2" || fail "the second hub does not start"
far() { # stream: a section that leads to the second one
    # shellcheck disable=SC2016
    printf '[stream %s]\nhub = far\nconnection_string = ${file:%s}\nca_file = %s\n%s\n' "$1" "$dir/state2/connection-string" "$dir/state2/ca.pem" "$quick"
}
ship_conf "workers = 2" <<<"$(stream_conf a orders; stream_conf b orders; stream_conf c clicks; far d; far e)"
ship_start
for stream in a b c d e; do events $stream 3000 20 | send $stream; done
for stream in a b c d e; do drained $stream; ledger $stream 3000 1; done
kill -STOP $second
for stream in a b c d; do events "$stream"2 3000 20 | send $stream; done
for stream in a b c; do drained $stream; done   # no stream waits for another one's hub
no_rings d && fail "delivered to a hub that stands still"
kill -CONT $second
drained d
for stream in a b c d; do ledger $stream 6000 2; done
got=$(dump_of "$dir/store" orders)
[ "$got" = "a2:3000 a:3000 b2:3000 b:3000" ] || fail "orders holds $got"
got=$(dump_of "$dir/store" clicks)
[ "$got" = "c2:3000 c:3000" ] || fail "clicks holds $got"
got=$(dump_of "$dir/store2" far)
[ "$got" = "d2:3000 d:3000 e:3000" ] || fail "far holds $got"
ship_stop

# three hundred producers: half of them before the shipper, and it is killed once in between
rm "$dir/store"
hub_stop
hub_start --hub orders:4 --hub clicks:3
crowd() { seq "$1" "$2" | xargs -P 4 -I{} sh -c "seq 1 20 | awk '{ printf \"{\\\"k\\\":\\\"k%d\\\",\\\"p\\\":\\\"crowd{}\\\",\\\"i\\\":%d}\\n\", \$1 % 3, \$1 }' |
    '$build/ehring-send' --stream b --name crowd{} --key-json k --capacity 64K --make-stream-dir 2>>'$dir/send.log'" || fail "a producer of the crowd"; }
crowd 1 150
ship_conf "workers = 3" <<<"$(stream_conf b orders)"
ship_start
crowd 151 200
kill -9 "$shipper"
ship_ended 137
ship_start
crowd 201 300
drained b
ledger b $((6000 + 300 * 20)) 302
ship_stop
# shellcheck disable=SC2046 # several words
arrived "the crowd" at_least $(seq -f 'crowd%.0f:20' 1 300)
[ $failed -eq 0 ] && echo "five streams, two services and 300 producers"
