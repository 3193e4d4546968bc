#!/usr/bin/env bash
# An outage: the hub is killed, rings on a disk fill up to the last byte, producers are killed, the shipper is killed and comes back with other numbers of
# workers, and at last the hub with its store. Everything drains in order, nothing is missing, the ledger closes all the time.
# OUTAGE_MIB (256): what the rings hold in all; gigabytes make a soak of it. Wants about four times that on the disk.
# shellcheck source=tests/ship_rig.sh
. "$(dirname "$0")/ship_rig.sh"
mib=${OUTAGE_MIB:-256} producers=(stay1 stay2 dies1 dies2)
patience=$((60 + mib / 4)) # seconds

# ---- rings and store on a disk ----
disk=''
trap 'rm -rf "$disk"; rig_end' EXIT
for parent in /var/tmp /tmp "$build"; do
    case $(stat -f -c %T "$parent") in tmpfs | ramfs) continue ;; esac
    disk=$(mktemp -d "$parent/ehring-outage-XXXXXX") && break
done
[ -n "$disk" ] || { echo "no disk here"; disk=$(mktemp -d "$build/ehring-outage-XXXXXX"); }
mkdir "$disk/r"
ln -s "$disk/r" "$dir/r"
ln -s "$disk/store" "$dir/store"
for ((capacity = 65536; capacity * 2 * ${#producers[@]} <= mib << 20;)); do ((capacity *= 2)); done
lines=$((capacity / 4096 * 5 / 4)) # of a producer that stays: more than its ring takes

rings() { # expression over `rings`, printed
    # shellcheck disable=SC2016 # JavaScript's own
    "$build/ehring-stat" -j --stream orders | node -e '
        const rings = Object.fromEntries(JSON.parse(require("fs").readFileSync(0, "utf8")).files.filter(f => f.kind == "ring").map(f => [f.name, f]))
        console.log(eval(process.argv[1]))' "$1"
}
ship() { # workers
    ship_conf "workers = $1" "drain_seconds = 1" <<<"$(stream_conf orders orders)"
    ship_start
}
big_events() { # producer, count: of 4 KiB each in the ring
    awk -v p="$1" -v count="$2" 'BEGIN {
        for (pad = "x"; length(pad) < 3900;) pad = pad pad
        pad = substr(pad, 1, 3900)
        for (i = 1; i <= count; i++) printf "{\"k\":\"k%d\",\"p\":\"%s\",\"i\":%d,\"pad\":\"%s\"}\n", i % 7, p, i, pad
    }'
}
declare -A pid
producer() { # name, count
    big_events "$1" "$2" | "$build/ehring-send" --stream orders --key-json k --capacity $capacity --name "$1" 2>>"$dir/send.log" &
    pid[$1]=$!
}
accepted_something() { [ "$(rings 'Object.values(rings).reduce((sum, r) => sum + r.values.accepted_events.value, 0)')" -gt 0 ]; }
all_wait() { [ "$(rings 'Object.values(rings).filter(r => r.values.waiting.value == 1 && r.lag_bytes > r.capacity_bytes * 9 / 10).length')" = ${#producers[@]} ]; }

hub_start --hub orders:4
ship 1
producer stay1 $lines
producer stay2 $lines
producer dies1 1000000000
producer dies2 1000000000
within 20 accepted_something || fail "nothing is accepted"
kill -9 "$hub"
wait "$hub" 2>/dev/null
hub=''
within $patience all_wait || { fail "not every ring is full"; "$build/ehring-stat" --stream orders | grep -E 'lag|^ring|waiting'; }
audit 0 "full, without a hub"
age() { rings 'Math.min(...Object.values(rings).map(r => r.oldest_age_ns))'; }
young=$(age) # of the youngest ring's oldest event
grown() { [ "$(age)" -gt $((young + 500000000)) ]; }
[ "$young" -gt 0 ] || fail "the oldest event that waits has the age $young"
within 20 grown || fail "the age does not grow: $young, $(age)"
# a flush keeps its deadline and tells what is left
status=0
printf '%s\n' '{"k":"k0","p":"flush","i":1}' '{"k":"k1","p":"flush","i":2}' |
    timeout 60 "$build/ehring-send" --stream orders --key-json k --capacity 64K --name flush --flush-ms 300 2>"$dir/flush.log" || status=$?
[ $status -eq 1 ] || fail "a flush without a hub ends with $status, not 1"
left=$(rings 'rings.flush.lag_bytes')
grep -qE "\b$left bytes? .*300 ms" "$dir/flush.log" || fail "a flush without a hub does not tell that $left bytes are left: $(cat "$dir/flush.log")"
held=$(rings 'Object.values(rings).reduce((sum, r) => sum + r.lag_bytes, 0)')
kill -9 "$shipper"
ship_ended 137
audit 0 "the shipper is killed too"
kill -9 "${pid[dies1]}" "${pid[dies2]}"
wait "${pid[dies1]}" "${pid[dies2]}" 2>/dev/null
audit 0 "two producers are killed too"
sent=(stay1:$lines stay2:$lines flush:2) # what is committed of the dead ones is in their rings, and nobody takes it now
for name in dies1 dies2; do sent+=("$name:$(rings "rings.$name.values.committed_events.value")"); done
ship 3
says 'msg="ring found" stream=orders ring=dies2'
audit 0 "another shipper, without a hub"
ship_stop
audit 0 "it has stopped"
ship 2
hub_start --hub orders:4
drained orders $patience
wait "${pid[stay1]}" || fail "stay1 ends with $?"
wait "${pid[stay2]}" || fail "stay2 ends with $?"
audit 0 "drained"
grep -qE 'stream orders, 0 rings and 5 removed: closes' "$dir/audit" || fail "the ledger: $(cat "$dir/audit")"
grep -qE 'accepted [0-9]+ \+ dead-lettered 0 \+ dropped 0 \+ pending 0' "$dir/audit" || fail "the ledger: $(cat "$dir/audit")"
"$build/ehring-stat" -j --stream orders >"$dir/stat.json"
"$build/ehring-stat" --stream orders >"$dir/stat.txt"
for stage in commit_to_read read_to_send send_to_accept commit_to_accept; do
    grep -qE "^  $stage +count [1-9][0-9]*  p50 [0-9.]+ [num]?s  p90 .*  p99 [0-9.]+ [num]?s  .*  max [0-9.]+ [num]?s$" "$dir/stat.txt" ||
        fail "$stage in the text: $(grep $stage "$dir/stat.txt")"
    node -e '
        const { count, p50, p99, max } = JSON.parse(require("fs").readFileSync(process.argv[1], "utf8")).files[0].values[process.argv[2]]
        process.exit(count > 0 && p50 > 0 && p50 <= p99 && p99 <= max ? 0 : 1)' "$dir/stat.json" $stage || fail "$stage in the JSON"
done
ship_stop
hub_stop

# the judge is what the hub stored
"$build/ehring-hub" --dump "$dir/store" | node -e '
    const want = new Map(process.argv.slice(1).map(p => p.split(":")).map(([p, n]) => [p, Number(n)])), last = new Map(), seen = new Map()
    let failed = 0, repeated = 0, stored = 0
    const say = (ok, ...text) => { if (!ok && failed++ < 5) console.log("FAIL", ...text) }
    for (const [p, n] of want) seen.set(p, new Uint8Array(n + 1))
    require("readline").createInterface({ input: process.stdin }).on("line", line => {
        const [, k, p, i] = /\{\\?"k\\?":\\?"(k\d)\\?",\\?"p\\?":\\?"(\w+)\\?",\\?"i\\?":(\d+)/.exec(line) ?? [], number = Number(i), there = seen.get(p)
        stored++
        if (!there || !(number >= 1 && number < there.length)) return say(false, "an event that nobody sent:", line.slice(0, 200))
        if (there[number]) return repeated++
        there[number] = 1
        say((last.get(p + k) ?? 0) < number, "event", p, number, "of key", k, "arrived behind", last.get(p + k))
        last.set(p + k, number)
    }).on("close", () => {
        for (const [p, there] of seen) {
            const missing = there.reduce((count, one, i) => count + (i > 0 && !one), 0)
            say(missing == 0 && there.length > 1, missing, "events of", there.length - 1, "of", p, "are missing")
        }
        console.log(`${stored} stored, ${repeated} of them again: ${[...want].map(([p, n]) => p + " " + n).join(", ")}`)
        process.exit(failed ? 1 : 0)
    })' "${sent[@]}" || failed=1
[ $failed -eq 0 ] && echo "an outage of $((held >> 20)) MiB on $(stat -f -c %T "$disk"): all there, in order"
