#!/usr/bin/env bash
# ehring-ctl: dead letters are listed, shown, replayed through a ring and directly, whatever is killed meanwhile, and purged only as a whole;
# size computes rings that do hold so much; drain tells what is settled, what is not and what nobody can tell.
# shellcheck source=tests/ship_rig.sh
. "$(dirname "$0")/ship_rig.sh"
ctl=$build/ehring-ctl
dead=$dir/dead
export EHRING_DEAD_LETTERS=$dead
mkdir -p "$dead/orders"

# Lines by the description in ehring-ctl(1): segment, uuid's last digit, producer, first, count [further fields of the record]
letters() {
    # shellcheck disable=SC2016 # JavaScript's own
    node -e '
        const [file, digit, p, first, count, more] = process.argv.slice(1), lines = []
        for (let i = Number(first); i < Number(first) + Number(count); i++) {
            const time = new Date(Date.UTC(2026, 10, 20) + i * 1000).toISOString()
            lines.push(JSON.stringify({ version: 1, id: `01234567-89ab-cdef-0123-45678900000${digit}:${i * 64}`, stream: "orders", ring: "web.1.ring",
                reason: i % 10 ? "rejected" : "too-large", condition: "amqp:not-allowed", attempts: 2, first_time: time, last_time: time,
                key: `k${i % 7}`, content_type: "application/json", message_id: `m${i}`,
                properties: [{ name: "n", type: "int", value: String(i) }, { name: "raw", type: "binary", value_base64: "AP8=" }],
                body: JSON.stringify({ k: `k${i % 7}`, p, i }), ...JSON.parse(more || "{}") }, (name, value) => value ?? undefined) + "\n")
        }
        require("fs").appendFileSync(file, lines.join(""))
    ' "$@"
}
exits() { # what, status, command…: its output and what it says are in out and err
    local what=$1 want=$2 status
    shift 2
    "$@" >"$dir/out" 2>"$dir/err"
    status=$?
    [ $status -eq "$want" ] || { fail "$what: exit $status, not $want"; cat "$dir/out" "$dir/err"; }
}
outputs() { grep -qE -- "$1" "$dir/out" || { fail "the output lacks: $1"; cat "$dir/out"; }; }
errs() { grep -qE -- "$1" "$dir/err" || { fail "standard error lacks: $1"; cat "$dir/err"; }; }
listed() { # expression over the list, JSON it must equal
    # shellcheck disable=SC2016
    "$ctl" dead-letter list -j 2>/dev/null | node -e '
        const list = JSON.parse(require("fs").readFileSync(0, "utf8")), orders = list.streams.find(s => s.stream == "orders")
        const got = JSON.stringify(eval(process.argv[1]))
        if (got !== process.argv[2]) { console.log(`FAIL list ${process.argv[1]}: ${got}, not ${process.argv[2]}`); process.exit(1) }
    ' "$1" "$2" || failed=1
}
marked() { cat "$dead"/orders/*.replayed 2>/dev/null | wc -l; }
marks_reach() { [ "$(marked)" -ge "$1" ]; }
stored() { "$build/ehring-hub" --dump "$dir/store" >"$dir/dump" && grep -c "\"p\\\\\":\\\\\"$1\\\\\"" "$dir/dump"; }

one=$dead/orders/20261120T000000Z-000001.jsonl two=$dead/orders/20261120T010000Z-000002.jsonl
letters "$one" 1 dead 1 2000
letters "$two" 1 dead 2001 1000
printf '{"version":1,"id":"0123' >>"$two" # its writer was killed

# ---- looking ----

listed '[orders.letters, orders.replayed, orders.segments.length, orders.segments[1].torn_bytes, orders.reasons]' '[3000,0,2,23,{"rejected":2700,"too-large":300}]'
listed '[orders.oldest, orders.newest]' '["2026-11-20T00:00:01.000000000Z","2026-11-20T00:50:00.000000000Z"]'
exits "list" 0 "$ctl" dead-letter list
outputs '3000 letters, 0 replayed'
outputs 'rejected 2700, too-large 300'
errs 'line 1001 is cut short after 23 bytes'
exits "show by reason" 0 "$ctl" dead-letter show -j --reason too-large --limit 3
[ "$(wc -l <"$dir/out")" -eq 3 ] || fail "show --limit"
[ "$(grep -c too-large "$dir/out")" -eq 3 ] || fail "show --reason"
exits "show since" 0 "$ctl" dead-letter show -j --since 2026-11-20T00:49:00Z
[ "$(wc -l <"$dir/out")" -eq 61 ] || fail "show --since: $(wc -l <"$dir/out")"
exits "show one" 0 "$ctl" dead-letter show --id 01234567-89ab-cdef-0123-456789000001:64
outputs 'condition +amqp:not-allowed'
outputs 'property +raw = \\x00\\xff'
outputs '\| \{"k":"k1","p":"dead","i":1\}'

# ---- replay through a ring, killed in the middle and gone on with ----

exits "replay without a shipper" 1 "$ctl" dead-letter replay --stream orders
errs 'no shipper drains stream orders'
[ "$(marked)" -eq 0 ] || fail "letters are marked that nobody sent"
hub_start --hub orders:4 --hub direct:4
ship_conf "workers = 2" <<<"$(stream_conf orders orders)"
ship_start
"$ctl" dead-letter replay --stream orders --rate 250 2>"$dir/replay.log" & # ten seconds are left to kill it in
replay=$!
within 60 marks_reach 300 || fail "nothing is marked: $(cat "$dir/replay.log")"
exits "a second replay" 1 "$ctl" dead-letter replay --stream orders
errs 'another ehring-ctl'
kill -9 "$replay"
{ wait "$replay"; } 2>/dev/null
before=$(marked)
[ "$before" -lt 3000 ] || fail "it was killed too late"
exits "replay goes on" 0 "$ctl" dead-letter replay --stream orders
errs "$((3000 - before)) events replayed, $before were before, 0 refused: all accepted"
drained orders
arrived "replayed" at_least dead:3000
[ "$(wc -l <"$dir/dump")" -le $((3000 + 256)) ] || fail "more than a group is sent twice: $(wc -l <"$dir/dump")"
# shellcheck disable=SC2016
node -e '
    const event = require("fs").readFileSync(process.argv[1], "utf8").split("\n").slice(0, -1).map(line => JSON.parse(line)).find(e => e.message_id == "m1234")
    if (!(event && event.key == "k2" && event.content_type == "application/json" && JSON.stringify(event).includes("1234"))) { console.log("FAIL", event); process.exit(1) }
' "$dir/dump" || fail "an event is not what it was"
exits "replay once more" 0 "$ctl" dead-letter replay --stream orders
errs '0 events replayed, 3000 were before'
listed '[orders.replayed, orders.segments[0].replayed]' '[3000,2000]'
stored=$(wc -l <"$dir/dump")
"$build/ehring-hub" --dump "$dir/store" | wc -l | grep -qx "$stored" || fail "a replay of nothing sends something"

# letters that were put away twice, in a later segment: not sent again, and marked there, too
letters "$dead/orders/20261120T020000Z-000003.jsonl" 1 dead 2990 11
exits "replay of what was put away twice" 0 "$ctl" dead-letter replay --stream orders
errs '0 events replayed, 3011 were before'
[ "$(wc -l <"$dead/orders/20261120T020000Z-000003.jsonl.replayed")" -eq 11 ] || fail "a segment's own marks are not whole"

# ---- what cannot be sent is named, the others go on ----

four=$dead/orders/20261120T030000Z-000004.jsonl
letters "$four" 4 next 1 5
letters "$four" 4 next 6 1 "{\"body\":\"$(head -c 100000 /dev/zero | tr '\0' x)\"}"
letters "$four" 4 next 7 1 '{"message_id":null,"message_id_base64":"YQBi"}'
letters "$four" 4 next 8 1 '{"partition":"3"}'
echo 'no letter' >>"$four"
letters "$four" 4 next 9 5
exits "refusals" 1 "$ctl" dead-letter replay --stream orders --capacity 256K
errs '45678900000[4]:384 \(100000 bytes\): '
errs '45678900000[4]:512 .*: .*(key|partition)'
errs 'line 9 is no dead letter: '
errs '45678900000[4]:448 .*: its message_id holds a NUL'
errs '10 events replayed, 3011 were before, 3 refused: not all accepted'
[ "$(stored next)" -eq 10 ] || fail "$(stored next) of 10 events arrived"

# ---- directly ----

exits "direct without a connection string" 1 "$ctl" dead-letter replay --stream orders --direct
errs 'no connection string'
exits "direct" 0 "$ctl" dead-letter replay --stream orders --direct --hub direct --connection-string-file "$connection" --ca-file "$dir/state/ca.pem" \
    --again --since 2026-11-20T00:00:01Z --limit 20
errs '20 events replayed, 0 were before, 0 refused: all accepted'
# shellcheck disable=SC2016
"$build/ehring-hub" --dump "$dir/store" | node -e '
    const strip = ({ hub, partition, sequence_number, offset, enqueued_time_ms, ...event }) => JSON.stringify(event)
    const events = require("fs").readFileSync(0, "utf8").split("\n").slice(0, -1).map(line => JSON.parse(line))
    const direct = events.filter(e => e.hub == "direct").sort((a, b) => a.message_id.localeCompare(b.message_id, "en", { numeric: true }))
    const say = text => { console.log("FAIL", text); process.exit(1) }
    if (direct.length != 20) say(`${direct.length} of 20 events came directly`)
    for (const event of direct)
        if (!events.some(e => e.hub == "orders" && strip(e) == strip(event))) say(`directly it is another event: ${strip(event)}`)
' || failed=1
five=$dead/orders/20261120T040000Z-000005.jsonl
letters "$five" 5 uuid 1 1 '{"properties":[{"name":"u","type":"uuid","value":"01234567-89ab-cdef-0123-456789000001"}]}'
exits "a uuid directly" 1 "$ctl" dead-letter replay --stream orders --direct --hub direct --connection-string-file "$connection" --ca-file "$dir/state/ca.pem" \
    --id 01234567-89ab-cdef-0123-456789000005:64
errs '456789000005:64 .*: its property u is a UUID'
rm "$five"
exits "rings and direct" 2 "$ctl" dead-letter replay --stream orders --direct --rings "$dir/r"
exits "no stream" 2 "$ctl" dead-letter replay

# ---- purge ----

exits "purge without saying what" 2 "$ctl" dead-letter purge --stream orders --yes
exits "purge of two kinds" 2 "$ctl" dead-letter purge --stream orders --yes --all --replayed
exits "purge of no stream" 2 "$ctl" dead-letter purge --all --yes
exits "purge without --yes" 1 "$ctl" dead-letter purge --stream orders --replayed
outputs 'would remove 20261120T000000Z-000001.jsonl, 2000 letters, 2000 replayed'
outputs 'would remove 3 segments, 3011 letters'
errs 'nothing was removed: add --yes'
[ -e "$one" ] || fail "it was removed all the same"
exits "purge of the replayed" 0 "$ctl" dead-letter purge --stream orders --replayed --yes
[ "$(cd "$dead/orders" && echo *)" = "20261120T030000Z-000004.jsonl 20261120T030000Z-000004.jsonl.replayed" ] || fail "left: $(ls "$dead/orders")"
exits "purge of the new" 0 "$ctl" dead-letter purge --stream orders --older-than 9999d --yes
[ -e "$four" ] || fail "a segment is gone that is not so old"
exits "purge of all" 0 "$ctl" dead-letter purge --stream orders --all --yes
outputs 'removed 1 segments, 13 letters, .* 3 of them never replayed'
[ -z "$(ls "$dead/orders")" ] || fail "left: $(ls "$dead/orders")"

# ---- drain ----

send_slow() { events "$1" "$2" | send orders; }
exits "drain of what is drained" 0 "$ctl" drain --deadline 0
exits "no deadline" 2 "$ctl" drain
send_slow one 2000
exits "drain" 0 "$ctl" drain --deadline 60
drained orders
[ "$(stored one)" -eq 2000 ] || fail "drained, and $(stored one) of 2000 events arrived"
kill -STOP "$hub"
send_slow two 3000
exits "drain with a hub that stands still" 1 "$ctl" drain --deadline 1 --stream orders
outputs 'orders/.*\.ring: .* left \([0-9]+ bytes\)'
outputs '1 rings: 0 drained, 1 not in time'
letters "$five" 5 late 1 3
exits "replay to a hub that stands still" 1 "$ctl" dead-letter replay --stream orders --timeout-ms 600
errs 'the last 3 events, .*: not accepted in time'
[ "$(marked)" -eq 0 ] || fail "letters are marked that were not accepted"
kill "$shipper"
says 'msg="stopping, draining what is written"'
kill "$shipper"
ship_ended 0
exits "drain without a shipper" 3 "$ctl" drain --deadline 600
errs 'no shipper drains stream orders'
kill -CONT "$hub"
"$ctl" drain --deadline 100 >"$dir/early" 2>&1
[ $? -eq 3 ] || fail "a drain without a shipper waits"
ship_start
exits "drain by the next shipper" 0 "$ctl" drain --deadline 60 --stream orders
[ "$(stored two)" -ge 3000 ] || fail "drained, and $(stored two) of 3000 events arrived"
echo foreign >"$dir/r/orders/foreign.1.ring"
exits "drain with a foreign file" 3 "$ctl" drain --deadline 10
errs 'foreign.1.ring: '
rm "$dir/r/orders/foreign.1.ring"
exits "drain of an absent stream" 3 "$ctl" drain --deadline 1 --stream absent
ship_stop

# ---- size: so many events do fit ----

exits "size" 0 "$ctl" size --rate 1500 --bytes 100 --minutes 1 --producers 3 --key-bytes 2 --rings "$dir/r"
capacity=$(grep -oE -- '--capacity [0-9]+K' "$dir/out" | grep -oE '[0-9]+')
[ "$capacity" -eq 4096 ] || fail "capacity ${capacity}K"
outputs 'record +128 bytes'
outputs ': enough'
awk 'BEGIN { for (i = 0; i < 30000; i++) printf "%0100d\n", i }' |
    "$build/ehring-send" --stream sized --make-stream-dir --key kk --capacity "${capacity}K" --wait-ms 0 2>"$dir/send.log" || fail "it does not fit: $(cat "$dir/send.log")"
[ "$(stat -c %s "$dir"/r/sized/*.ring)" -le $(((capacity + 76) * 1024)) ] || fail "the file is larger than was said: $(stat -c %s "$dir"/r/sized/*.ring)"
exits "size beyond every ring" 1 "$ctl" size --rate 1000000 --bytes 1K --hours 24
errs 'a ring has at most 64 GiB'
exits "size without room" 1 "$ctl" size --rate 1000000 --bytes 1K --hours 24 --producers 4000 --rings "$dir/r"
outputs 'are missing'
exits "size of an eighth" 0 "$ctl" size --rate 1 --bytes 1M --minutes 1
outputs 'capacity +64 MiB'
exits "size of nothing" 2 "$ctl" size --rate 1 --minutes 1

exits "help" 0 "$ctl" --help
outputs 'dead-letter replay'
exits "no command" 2 "$ctl" dead-letter
for command in "dead-letter list" "dead-letter show" "dead-letter replay" "dead-letter purge" size drain; do
    # shellcheck disable=SC2086
    exits "$command --help" 0 "$ctl" $command --help
    outputs 'Exit status'
    # shellcheck disable=SC2086
    exits "$command --nonsense" 2 "$ctl" $command --nonsense
done
hub_stop
[ $failed -eq 0 ] && echo "ehring-ctl does what it says"
