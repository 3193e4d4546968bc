#!/usr/bin/env bash
# The pool against a real hub: connections are opened when they are missing, never over their limits, drained when idle or old without a
# batch sent twice, and every partition gets its turn even where there are fewer links than partitions. Numbers in brackets are the points
# of the Python toolbox's pool tests; points 2, 3, 4, 11 and 12 are in test_pool.c, 5 in test_config.c.
# shellcheck source=tests/ship_rig.sh
. "$(dirname "$0")/ship_rig.sh"

pool_start() { # lines of the stream
    ship_conf 'log_level = info, pool=debug' <<<"$(stream_conf orders orders; printf '%s\n' "$@")"
    ship_start
    says 'msg="connection is ready"'
}
is() { [ "$(counter orders "$1")" "$2" "$3" ]; } # counter, operator, value
becomes() { within 20 is "$@" || fail "$1 is $(counter orders "$1"), not $2 $3"; }
connections() { hub_stats | node -e 'console.log(JSON.parse(require("fs").readFileSync(0, "utf8")).connections_open)'; }
connections_are() { [ "$(connections)" -eq "$1" ]; }
total=0
load() { # producer, count, keys: all of it accepted
    events "$1" "$2" "$3" | send orders --flush-ms 60000
    wanted="${wanted:-} $1:$2"
    total=$((total + $2))
}

# ---- idle [1, 8, 13]: closed after max_idle_seconds, at once for the hub; the next event opens another ----
hub_start --hub orders:21
pool_start 'max_idle_seconds = 5' # long enough for a look at what is not idle yet
load first 50 7
becomes ready_connection_count -eq 1
becomes expired_idle_count -eq 1
becomes ready_connection_count -eq 0
within 20 connections_are 0 || fail "the hub still has $(connections) connections of an idle shipper"
load second 50 7
is connect_count -eq 2 || fail "connect_count is $(counter orders connect_count) after an idle close and one event more"
ship_stop
within 20 connections_are 0 || fail "a stop leaves $(connections) connections [6]"

# ---- limits [1, 10]: three links on a connection, partitions in use from few to many; 2 x 3 links for 21 partitions take turns ----
pool_start 'max_size = 2' 'client_limit = 3' 'linger_ms = 0' 'max_concurrent_connects = 2'
for keys in 1 3 5 7 12 21; do load "keys$keys" 300 "$keys"; done
is links_of_busiest -le 3 || fail "a connection has $(counter orders links_of_busiest) links, client_limit is 3"
is links -le 6 || fail "$(counter orders links) links on 2 connections of 3"
within 20 connections_are 2 || fail "$(connections) connections, max_size is 2"
says 'msg="fewer links than partitions in use: they take turns; raise client_limit or max_size" stream=orders client_limit=3 connections=2'
ship_stop

# ---- one link for all: it goes round, each partition sends before it gives it up ----
pool_start 'max_size = 1' 'client_limit = 1' 'linger_ms = 0'
attached=$(counter orders link_attach_count)
load single 200 21
attached=$(($(counter orders link_attach_count) - attached))
[ $attached -le 400 ] || fail "$attached links were attached for 200 events"
ship_stop

# ---- a further connection that is not to be had: the links there are go round ----
pool_start 'max_size = 2' 'client_limit = 2' 'linger_ms = 0'
load alone 2 1
hub_fault fail-cbs
load refused 210 21
hub_fault clear
ship_stop

# ---- life span [7, 8, 9]: replaced every second under load; nothing is sent twice, since nothing is closed under a batch ----
before=$(counter orders maybe_duplicate_events)
hub_fault 'late-dispositions delay=50ms'
pool_start 'max_size = 3' 'max_lifespan_seconds = 1' 'max_idle_seconds = 60'
for round in 1 2 3 4; do
    events "round$round" 1500 9 | send orders --rate 1000 --flush-ms 60000
    wanted="$wanted round$round:1500"
    total=$((total + 1500))
done
becomes expired_lifespan_count -ge 3
[ "$(counter orders maybe_duplicate_events)" -eq "$before" ] || fail "a connection was closed under a batch: $(counter orders maybe_duplicate_events)"
is connection_lost_count -eq 0 || fail "connection_lost_count is $(counter orders connection_lost_count)"
hub_fault clear
ship_stop

# ---- saturated: output that stands for a linger opens a further connection, and links move to it ----
pool_start 'max_size = 3' 'max_lifespan_seconds = 0'
load before 100 21
becomes ready_connection_count -eq 1
moved=$(counter orders link_moved_count) connects=$(counter orders connect_count)
seq 60000 | awk '{ printf "{\"k\":\"k%d\",\"p\":\"bulk\",\"i\":%d,\"x\":\"%0500d\"}\n", $1 % 21, $1, 0 }' >"$dir/bulk"
kill -STOP "$shipper" # goes on when there is a large batch for every partition: what it has begun with small ones, sockets might take
"$build/ehring-send" --stream orders --key-json k --capacity 32M --name bulk "$dir/bulk" 2>>"$dir/send.log" &
bulk=$!
much_waits() { "$build/ehring-stat" -j --stream orders | node -e '
    process.exit(JSON.parse(require("fs").readFileSync(0, "utf8")).files.some(f => f.name == "bulk" && f.lag_bytes > 20e6) ? 0 : 1)'; }
within 30 much_waits || fail "the ring does not fill up"
hub_fault 'stop-reading'
kill -CONT "$shipper"
says 'msg="connection begun" .*why="output stands on all"'
hub_fault 'clear stop-reading'
becomes connect_count -gt "$connects"
load after 100 21
wait $bulk || fail "ehring-send: $(tail -n 1 "$dir/send.log")"
drained orders
wanted="$wanted bulk:60000"
[ "$(counter orders link_moved_count)" -gt "$moved" ] || fail "no link has moved to the new connection"
ship_stop

# ---- the ready_message [13]: once for each connection, in no ledger; refused twice, the connection is not used ----
arrived pool once $wanted
hub_stop
rm "$dir/store"
hub_start --hub orders:4
ledger=$(counter orders committed_events)
pool_start 'ready_message = here I am'
load greeted 20 3
"$build/ehring-hub" --dump "$dir/store" | grep -c '"body":"here I am"' | grep -qx 1 || fail "the ready_message is not there once"
is ready_message_count -eq 1 || fail "ready_message_count"
drained orders
[ "$(counter orders committed_events)" -eq $((ledger + 20)) ] || fail "the ready_message is in the ledger"
ship_stop
refused=$(counter orders connect_failed_count)
hub_fault 'reject body="here I am" condition=amqp:not-allowed text=no'
ship_start
says 'msg="the ready_message was not accepted".*amqp:not-allowed'
is ready_connection_count -eq 0 || fail "a connection whose ready_message was refused counts as ready"
hub_fault clear
says 'msg="connection is ready"'
tries=$(hub_stats | node -e 'console.log(JSON.parse(require("fs").readFileSync(0, "utf8")).rejected)') refused=$(($(counter orders connect_failed_count) - refused))
# the fault may have gone between the two tries of the last connection
[ "$tries" -eq $((2 * refused)) ] || [ "$tries" -eq $((2 * refused + 1)) ] || fail "$tries tries for $refused connections, there should be two for each"
ship_stop
"$build/ehring-stat" --audit >"$dir/audit" || { fail "the audit ends with $?"; cat "$dir/audit"; }
[ $failed -eq 0 ] && echo "the pool keeps its limits and loses nothing"
