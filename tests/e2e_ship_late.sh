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
events b 1000 | send orders
says 'ring found.*' # b's
sleep 1
kill "$shipper"
says 'stopping, draining'
"$build/ehring-send" --stream orders --key-json k --capacity 1M < <(events c 10; exec sleep 30) 2>>"$dir/send.log" &
late=$!
within 10 compgen -G "$dir/r/orders/*.ring" >/dev/null
sleep 0.5
kill -CONT "$hub"
within 10 grep -q 'msg="stopped"' "$log" || fail "a ring that came late has held up the stop"
ship_ended 0
[ "$(grep -c 'ring found' "$log")" -eq 2 ] || fail "a ring was taken up during the drain"
ship_start
says 'ring found'
kill "$late"
within 10 no_rings orders || fail "the next shipper does not drain it"
ship_stop
arrived "the late ring too" once a:100 b:1000 c:10
[ $failed -eq 0 ] && echo ok
exit $failed
