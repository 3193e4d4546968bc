#!/usr/bin/env bash
# How a shipper ends and goes on: TERM drains what is written; a hub that does not answer is waited for drain_seconds, and not at all after a
# second TERM; the next shipper, with another number of workers, delivers the rest.
# shellcheck source=tests/ship_rig.sh
. "$(dirname "$0")/ship_rig.sh"

ready() { says 'msg="connection is ready" stream=orders'; }
ship() { # lines of [shipper]…
    ship_conf "$@" <<<"$(stream_conf orders orders; echo "batch_count_max = 100")"
    ship_start
    ready
}
ends() { # what, seconds: the shipper that was told to
    within "$2" gone || { fail "$1: the shipper does not end"; kill -9 "$shipper"; }
    ship_ended 0
    says 'msg="stopped"'
}
gone() { ! kill -0 "$shipper" 2>/dev/null || [ "$(awk '{ print $3 }' "/proc/$shipper/stat" 2>/dev/null)" = Z ]; }
sent() { [ "$(counter orders batch_count)" -gt "$1" ]; }

# TERM in the middle of some forty batches: what is written arrives before the end, and is not sent again by the next one
hub_start --hub orders:4 --disposition-delay-ms 50
ship "workers = 2" "drain_seconds = 60"
events drain 4000 | send orders
within 10 sent 3 || fail "nothing is sent"
kill "$shipper"
ends "TERM" 60
says 'msg="stopping, draining what is written" drain_seconds=60'
arrived "drained" once drain:4000
ship "workers = 3"
drained orders
ship_stop
arrived "drained, and not sent again" once drain:4000
[ "$(counter orders maybe_duplicate_events)" -eq 0 ] || fail "duplicates are suspected without a reason"

# the hub stands still, with links attached
ship "workers = 2" "drain_seconds = 1"
events warm 200 | send orders --flush-ms 20000
batches=$(counter orders batch_count)
kill -STOP "$hub"
events still 2000 | send orders
within 10 sent "$batches" || fail "nothing is sent"
kill "$shipper"
ends "TERM with a hub that stands still" 20
kill -CONT "$hub"
ship "workers = 4" "drain_seconds = 3600"
events warm2 200 | send orders --flush-ms 20000
batches=$(counter orders batch_count)
kill -STOP "$hub"
events still2 2000 | send orders
within 10 sent "$batches" || fail "nothing is sent"
kill "$shipper"
says 'msg="stopping, draining what is written" drain_seconds=3600'
kill "$shipper"
ends "a second TERM" 20
says 'msg="stopping at once, the rest stays in the rings"'
kill -CONT "$hub"
ship "workers = 1"
drained orders
ship_stop
arrived "a hub that stood still" at_least drain:4000 warm:200 still:2000 warm2:200 still2:2000
hub_stop

# no disposition at all: drain_seconds, too; then SIGINT, which is a TERM
batches=$(counter orders batch_count)
hub_start --hub orders:4 --fault silent-disposition:1
ship "workers = 2" "drain_seconds = 1"
events silent 1000 | send orders
within 10 sent "$batches" || fail "nothing is sent"
kill -INT "$shipper"
ends "INT with a silent hub" 20
no_rings orders && fail "a ring is gone that nobody has accepted"
hub_stop
hub_start --hub orders:4
ship "workers = 2"
drained orders
ship_stop
arrived "a silent hub" at_least drain:4000 warm:200 still:2000 warm2:200 still2:2000 silent:1000
hub_stop

# a producer that begins in the instant of the TERM is the next shipper's, and holds nothing up
hub_start --hub orders:4
ship "workers = 2" "drain_seconds = 3600"
kill -STOP "$shipper"
mkfifo "$dir/open"
"$build/ehring-send" --stream orders --make-stream-dir --key-json k --capacity 1M <"$dir/open" 2>>"$dir/send.log" &
sender=$!
exec 8>"$dir/open" # its ring is there as long as this is open
within 10 compgen -G "$dir/r/orders/*.$sender.*.ring" >/dev/null || fail "the producer has no ring"
kill "$shipper"
kill -CONT "$shipper"
ends "TERM beside a producer that begins" 20
exec 8>&-
wait "$sender" || fail "ehring-send: $(tail -n 1 "$dir/send.log")"
ship "workers = 2"
drained orders
ship_stop
hub_stop

# a producer goes on while shippers come and go in order, each with another number of workers: nothing arrives twice
rm "$dir/store"
hub_start --hub orders:4
events steady 6000 | send orders --rate 2500 &
sender=$!
for workers in 1 4 2 16 3; do
    ship "workers = $workers" "net = $([ $((workers % 2)) -eq 0 ] && echo epoll || echo auto)"
    kill "$shipper"
    ends "$workers workers" 30
done
ship "workers = 2"
wait $sender
drained orders
ship_stop
arrived "restarts" once steady:6000
hub_stop
[ $failed -eq 0 ] && echo "shippers end as they are told, and nothing is lost by it"
