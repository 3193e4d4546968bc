#!/usr/bin/env bash
# A ring that outlived a reboot and was not synced to its end: nobody can tell what was behind; a shipper that stops meanwhile makes nothing of it
# true; at last what was synced has arrived, the rest is dropped {reboot}, and the ledger closes.
# shellcheck source=tests/ship_rig.sh
. "$(dirname "$0")/ship_rig.sh"
edit() { node "$(dirname "$0")/ring_edit.mjs" "$ring" "$1" || fail "ring_edit $*"; }
audit_once() { # exit status it must have, what: a ring that nobody writes is told at once
    "$build/ehring-stat" --audit >"$dir/audit" 2>"$dir/audit.err"
    local status=$?
    [ $status -eq "$1" ] || { fail "$2: audit exits with $status, not $1"; cat "$dir/audit" "$dir/audit.err"; }
}
hub_start --hub boot:4
hub_stop
ship_conf "workers = 2" "drain_seconds = 1" <<<"$(stream_conf boot boot)"
for name in whole some; do
    events $name 100 | send boot --name $name
    ring=$(echo "$EHRING_RINGS"/boot/$name.*.ring)
    audit_once 0 "$name of this boot"
    edit "fill(bootIdAt, 16, 7), set(syncedPos, posOf($([ $name = whole ] && echo 100 || echo 40)))" >/dev/null
    audit_once $([ $name = whole ] && echo 0 || echo 3) "$name of an earlier boot"
done
grep -q "ring boot/some\..*: cannot tell: of an earlier boot, synced to byte " "$dir/audit.err" || fail "not named: $(cat "$dir/audit.err")"
! grep -q whole "$dir/audit.err" || fail "a ring that was synced to its end is named: $(cat "$dir/audit.err")"

ship_start 5>&-
says 'msg="ring found" stream=boot ring=some\..*earlier_boot=yes'
audit_once 3 "a shipper without a hub"
ship_stop # which syncs the rings
audit_once 3 "after a stop"

# of this boot: a stop syncs what waits and says so in the ring; a start takes the word back where a producer lives and will overwrite
mark() { # ring's name: what the shipper says is synced, and what is written
    "$build/ehring-stat" -j --stream boot | node -e '
        const ring = JSON.parse(require("fs").readFileSync(0, "utf8")).files.find(f => f.name == process.argv[1])
        console.log(ring.values.shipper_synced_pos.value, ring.write_pos, ring.values.committed_events.value)' "$1"
}
mkfifo "$dir/fifo"
"$build/ehring-send" --stream boot --key-json k --name living <"$dir/fifo" 2>>"$dir/send.log" &
producer=$!
exec 5>"$dir/fifo"
events living 20 >&5
events dead 20 | send boot --name dead
written() { [[ $(mark living) = *' 20' ]]; }
within 20 written || fail "the living producer has not written: $(mark living)"
ship_start 5>&-
says 'msg="ring found" stream=boot ring=living'
says 'msg="ring found" stream=boot ring=dead'
ship_stop
for name in living dead; do
    read -r synced write _ <<<"$(mark $name)"
    [ "$synced" = "$write" ] || fail "$name: the stop has synced up to $synced of $write"
done
ship_start 5>&-
says 'msg="ring found" stream=boot ring=living'
says 'msg="ring found" stream=boot ring=dead'
read -r synced write _ <<<"$(mark living)"
[ "$synced" = 0 ] || fail "the mark of a living producer's ring stays at $synced"
read -r synced write _ <<<"$(mark dead)"
[ "$synced" = "$write" ] || fail "the mark of a dead producer's ring goes to $synced of $write"
exec 5>&-
wait $producer
ship_stop

hub_start --hub boot:4
ship_start 5>&-
drained boot
audit_once 0 "drained"
says 'level=warn .*earlier boot removed.*ring=some\..* events=100 dropped=60'
grep -qE 'committed 240 = accepted 180 \+ dead-lettered 0 \+ dropped 60 \+ pending 0' "$dir/audit" || fail "the ledger: $(cat "$dir/audit")"
grep -qE 'dropped \(reboot 60\)' "$dir/audit" || fail "no reason: $(cat "$dir/audit")"
ship_stop
audit_once 0 "at the end"
arrived "what was synced" once whole:100 some:40 living:20 dead:20
[ $failed -eq 0 ] && echo "what was not synced before a reboot is told and counted"
