#!/usr/bin/env bash
# ehring-stat --audit: the ledger closes under load, after kills of producers and shipper, with the hub away, and from the totals alone when every ring
# is removed; it does not when any counter is wrong by one; and it says when nobody can tell.
# shellcheck source=tests/ship_rig.sh
. "$(dirname "$0")/ship_rig.sh"
here=$(dirname "$0")

total() { # field: of stream orders
    "$build/ehring-stat" --audit -j --stream orders | node -e '
        console.log(JSON.parse(require("fs").readFileSync(0, "utf8")).streams[0][process.argv[1]])' "$1"
}
is_total() { [ "$(total "$1")" = "$2" ]; }
accepted_more_than() { [ "$(total accepted_events)" -gt "$1" ]; }
ship() {
    ship_conf "workers = $1" "drain_seconds = 1" <<<"$(stream_conf orders orders; echo "batch_count_max = 50")"
    ship_start
}
producer() { # name, thousands of events: fast, in the background, as process $!
    events "$1" 1000 >"$dir/$1.lines"
    "$build/ehring-send" --stream orders --make-stream-dir --key-json k --capacity 256K --repeat "$2" "$dir/$1.lines" 2>>"$dir/send.log" &
}

mkdir "$EHRING_RINGS"
audit 0 "no rings at all"
audit 3 "a stream that is not there" --stream orders

# under load
hub_start --hub orders:4
ship 2
producer one 40
one=$!
producer two 40
two=$!
within 20 accepted_more_than 500 || fail "nothing is accepted"
for i in $(seq 20); do audit 0 "under load, look $i"; done
wait $one || fail "producer one ends with $?"
wait $two || fail "producer two ends with $?"

# a shipper that is killed in the middle of it, a producer likewise, and the next ones
for i in 1 2 3; do
    producer "killed$i" 1000000
    victim=$!
    before=$(total accepted_events)
    within 20 accepted_more_than "$before" || fail "nothing more is accepted"
    kill -9 "$shipper"
    ship_ended 137
    audit 0 "a killed shipper, $i"
    kill -9 $victim || fail "the producer has ended before it was killed"
    wait $victim 2>/dev/null
    audit 0 "a killed producer, $i"
    ship "$i"
    audit 0 "the next shipper, $i"
done
drained orders 60
audit 0 "every ring is removed"
is_total pending_events 0 || fail "pending: $(total pending_events) of no ring"
[ "$(total committed_events)" -gt 80000 ] || fail "the totals have $(total committed_events) committed events, two producers alone had 80000"
grep -q 'stream orders, 0 rings and 5 removed: closes' "$dir/audit" || fail "five rings were removed: $(cat "$dir/audit")"

# the hub is away
hub_stop
before=$(total committed_events)
events away 3000 | send orders
audit 0 "the hub is away"
is_total pending_events 3000 || fail "with the hub away $(total pending_events) of 3000 are pending"
is_total committed_events $((before + 3000)) || fail "$(total committed_events) committed, not $((before + 3000))"
ship_stop
audit 0 "neither hub nor shipper"

# a copy with each counter wrong by one, in the ring and in the totals
wrong() { # what, file's name as the audit gives it, file, counter, amount
    local copy=$dir/wrong
    rm -rf "$copy"
    cp -r "$EHRING_RINGS" "$copy"
    audit 0 "a copy" --rings "$copy"
    node "$here/stat_add.mjs" "$copy/${3#"$EHRING_RINGS/"}" "$4" "$5"
    audit 1 "$1 $4 $5" --rings "$copy"
    grep -qE "ehring-stat: $2.* does not close: committed [0-9]+, accepted [0-9]+, dead-lettered [0-9]+, dropped [0-9]+, pending [0-9]+, difference -?1$" "$dir/audit.err" ||
        fail "$1 $4: not named: $(cat "$dir/audit.err")"
    audit 1 "$1 $4 $5 as JSON" --rings "$copy" -j
    node -e '
        const { streams } = JSON.parse(require("fs").readFileSync(0, "utf8")), parts = [...streams[0].rings, streams[0].removed]
        process.exit(streams[0].verdict == "open" && parts.filter(p => p.verdict == "open" && Math.abs(p.difference_events) == 1).length == 1 ? 0 : 1)
    ' <"$dir/audit" || fail "$1 $4: the JSON does not say so"
}
ring=$(echo "$EHRING_RINGS"/orders/*.ring)
for counter in committed_events accepted_events dead_lettered_events dropped_reboot_events; do
    wrong "ring" "ring orders/$(basename "$ring")" "$ring" $counter 1
done
for counter in committed_events accepted_events dead_lettered_events dropped_events; do
    wrong "totals" "removed rings of orders" "$EHRING_RINGS/orders.stat" $counter 1
done
wrong "ring" "ring orders/$(basename "$ring")" "$ring" committed_events -1
wrong "totals" "removed rings of orders" "$EHRING_RINGS/orders.stat" accepted_events -1

# nobody can tell: each of these names the file
cannot() { # what, file below the rings
    audit 3 "$1"
    grep -q "$2.*: cannot tell: " "$dir/audit.err" || fail "$1: not named: $(cat "$dir/audit.err")"
}
head -c 300000 /dev/urandom >"$EHRING_RINGS/orders/noise.ring"
cannot "a foreign file" noise.ring
rm "$EHRING_RINGS/orders/noise.ring"
cp "$ring" "$EHRING_RINGS/orders/sick.ring"
node "$here/stat_add.mjs" "$EHRING_RINGS/orders/sick.ring" quarantine 3
cannot "a ring in quarantine" sick.ring
rm "$EHRING_RINGS/orders/sick.ring"
cp "$EHRING_RINGS/orders.stat" "$dir/totals"
head -c 5000 /dev/urandom >"$EHRING_RINGS/orders.stat"
cannot "totals that are none" "removed rings of orders"
cp "$ring" "$EHRING_RINGS/orders/open.ring"
node "$here/stat_add.mjs" "$EHRING_RINGS/orders/open.ring" accepted_events 1
audit 1 "one open and one unknown"
rm "$EHRING_RINGS/orders/open.ring"
cp "$dir/totals" "$EHRING_RINGS/orders.stat"
audit 0 "as it was"

# all comes back
hub_start --hub orders:4
ship 3
drained orders
ship_stop
audit 0 "at the end"
is_total pending_events 0 || fail "pending at the end: $(total pending_events)"
[ $failed -eq 0 ] && echo "the ledger closes, and opens when it should"
