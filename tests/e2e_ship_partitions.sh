#!/usr/bin/env bash
# A hub gets more partitions: a shipper that runs goes on, one that is started again with half-sent rings too; each key's events keep their
# order, and nothing is lost.
# shellcheck source=tests/ship_rig.sh
. "$(dirname "$0")/ship_rig.sh"

quick+=$'\npartition_refresh_seconds = 1\nbatch_count_max = 200'
ship() { # lines of [shipper]…
    ship_conf "$@" <<<"$(stream_conf orders orders)"
    ship_start
}
known() { [ "$(counter orders partition_count)" -eq "$1" ]; }
partitions() { # how many of them hold something
    node -e 'console.log(new Set(require("fs").readFileSync(0, "utf8").split("\n").slice(0, -1).map(l => JSON.parse(l).partition)).size)' <"$dir/dump"
}
last_where_they_belong() { # count: the last event of each key lies where its key belongs in so many partitions: with all earlier ones of a fresh key
    node -e '
        const events = require("fs").readFileSync(0, "utf8").split("\n").slice(0, -1).map(l => JSON.parse(l)), places = new Map()
        for (const e of events) if (JSON.parse(e.body).p.startsWith("fresh")) places.set(e.key, new Set([...(places.get(e.key) ?? []), e.partition]))
        const last = new Map(events.map(e => [e.key, e.partition]))
        for (const [key, set] of places) if (set.size != 1 || !set.has(last.get(key))) { console.log("FAIL key", key, "is in", ...set, "and", last.get(key)); process.exit(1) }
    ' <"$dir/dump" || failed=1
}

# while it runs: four producers go on all the time, with 40 keys each
hub_start --hub orders:2
ship "workers = 2"
senders=()
for p in a b c d; do
    events $p 12000 40 | send orders --rate 800 --name $p & # a quarter of a minute: beyond both restarts of the hub, however slow
    senders+=($!)
done
within 10 known 2 || fail "2 partitions are not known"
lands() { "$build/ehring-hub" --dump "$dir/store" | grep -q "\"partition\":$1,"; }
within 10 lands 1 || fail "nothing arrives"
for count in 3 8; do
    hub_stop
    hub_start --hub orders:$count
    within 20 known $count || fail "$count partitions are not noticed"
    says "msg=\"partitions were added: the ring is drained under the old count first\" stream=orders ring=[a-d]\..* to=$count"
    within 20 lands $((count - 1)) || fail "nothing arrives in partition $((count - 1))"
    ship_lives
done
wait "${senders[@]}"
events fresh 400 40 | send orders
drained orders
# the hub was started anew for each count: what was in flight may have come twice
arrived "partitions added while it runs" at_least a:12000 b:12000 c:12000 d:12000 fresh:400
[ "$(partitions)" -eq 8 ] || fail "$(partitions) partitions hold events, not 8"
last_where_they_belong
repeated=$(($(wc -l <"$dir/dump") - 48400)) suspected=$(counter orders maybe_duplicate_events)
[ "$suspected" -ge $repeated ] || fail "$repeated events were repeated, $suspected are counted as maybe_duplicate_events"
ship_stop
hub_stop

# while it does not run: rings are left half sent, under the old count, by a shipper that was killed; the next one meets more partitions
rm "$dir/store"
hub_start --hub orders:4 --disposition-delay-ms 300
before=$(counter orders batch_count)
ship "workers = 4"
for p in e f; do events $p 8000 40 | send orders --name $p; done
sent() { [ "$(counter orders batch_count)" -gt $((before + 20)) ]; }
within 10 sent || fail "nothing is sent"
kill -9 "$shipper"
ship_ended 137
no_rings orders && fail "there is nothing left to send"
hub_stop
hub_start --hub orders:12
ship "workers = 3"
events g 2000 40 | send orders
drained orders
events fresh2 400 40 | send orders
drained orders
ship_stop
arrived "partitions added in between" at_least e:8000 f:8000 g:2000 fresh2:400
repeated=$(($(wc -l <"$dir/dump") - 18400))
[ $repeated -le $((4 * 200)) ] || fail "$repeated events were repeated: more than can have been in flight"
last_where_they_belong
hub_stop

# another hub behind the same name, with fewer partitions: said, and all that is left arrives
rm "$dir/store"
hub_start --hub orders:12 --disposition-delay-ms 1000
before=$(counter orders batch_count)
ship "workers = 2"
events h 8000 40 | send orders --name h
within 10 sent || fail "nothing is sent"
kill -9 "$shipper"
ship_ended 137
hub_stop
rm "$dir/store"
hub_start --hub orders:2
ship "workers = 2"
drained orders
says 'level=warn .*msg="the hub has fewer partitions than the ring was drained with: another hub, what was sent ahead is sent again" stream=orders ring=h\..* stored=12 partitions=2'
ship_stop
[ $failed -eq 0 ] && echo "partitions are added without loss or disorder"
