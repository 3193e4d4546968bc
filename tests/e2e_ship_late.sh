#!/usr/bin/env bash
# A producer that comes while the shipper drains: its ring is left to the next shipper and holds the stop up no longer than what was there before.
# shellcheck source=tests/ship_rig.sh
. "$(dirname "$0")/ship_rig.sh"

hub_start --hub orders:4
stream_conf orders orders | ship_conf 'drain_seconds = 60'
ship_start
says 'connection is ready'
events a 100 | send orders
drained orders
kill -STOP "$hub"
events b 1000 | send orders --name b
says 'ring found.* ring=b\.'
kill "$shipper"
says 'stopping, draining'
mkfifo "$dir/fifo"
"$build/ehring-send" --stream orders --key-json k --capacity 1M --name c <"$dir/fifo" 2>>"$dir/send.log" &
late=$!
exec 5>"$dir/fifo" # open as long as the late one lives
events c 10 >&5
written() { "$build/ehring-stat" -1 --stream orders | sed -n '/^ring orders  *c /,/^ring /p' | grep -qE 'committed_events +10 events'; }
within 20 written || fail "the late ring is not written"
kill -CONT "$hub"
within 30 grep -q 'msg="stopped"' "$log" || fail "a ring that came late has held up the stop"
ship_ended 0
[ "$(grep -c 'ring found' "$log")" -eq 2 ] || fail "a ring was taken up during the drain"
ship_start 5>&-
says 'ring found'
kill "$late"
within 20 no_rings orders || fail "the next shipper does not drain it"
ship_stop
arrived "the late ring too" once a:100 b:1000 c:10
[ $failed -eq 0 ] && echo ok
exit $failed
