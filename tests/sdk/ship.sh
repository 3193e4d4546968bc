#!/usr/bin/env bash
# The official JavaScript SDK reads what a shipper shipped, over TLS: body, key, ids and typed properties are what the producer sent; and at
# full load batches are batches. The SDK insists on port 5671, so the hub gets an address of its own.
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/ship_rig.sh
. "$here/../ship_rig.sh"
# shellcheck source=tests/sdk/address.sh
. "$here/address.sh"
sdk=$(EHRING_BUILD="$build" "$here/install") || { echo "the SDK is not there"; exit 1; }
count=4000

# shellcheck disable=SC2086 # several words
"${CC:-cc}" -std=gnu11 -O2 -Wall -Wextra -Werror ${FEED_CFLAGS:-} -I"$here/../../client" -o "$dir/feed" "$here/feed.c" "$build/libehring.a" -pthread || exit 1
hub_start --listen "$address" --no-plain --amqps-port 5671 --hub ship:4 --hub bulk:4
ship_conf "workers = 2" <<<"$(stream_conf ship ship; stream_conf bulk bulk)"
ship_start
says 'msg="connection is ready" stream=ship .*host='"$address"
"$dir/feed" $count || fail "feed"
drained ship
NODE_EXTRA_CA_CERTS="$dir/state/ca.pem" NODE_NO_WARNINGS=1 timeout 60 node "$sdk/receive.mjs" "$connection" ship $count 40 >"$dir/received" || fail "receive.mjs"
node "$here/shipped.mjs" $count <"$dir/received" || fail "what the SDK has read is not what was sent"
ship_stop

# a full ring waits for the shipper: full load from the first instant
events full 100000 40 | send bulk --capacity 16M
ship_start
drained bulk
ship_stop
kill -USR1 "$hub"
stats() { # hub, field
    node -e '
        const hub = JSON.parse(require("fs").readFileSync(process.argv[1], "utf8")).hubs.find(h => h.name == process.argv[2])
        console.log(hub.total?.[process.argv[3]] ?? hub[process.argv[3]] ?? hub.partitions.reduce((sum, p) => sum + p[process.argv[3]], 0))
    ' "$dir/stats" "$1" "$2"
}
within 10 test -s "$dir/stats"
[ "$(stats bulk events)" -eq 100000 ] || fail "the hub has $(stats bulk events) events, not 100000"
mean=$(($(stats bulk events) / $(stats bulk batches)))
[ "$mean" -gt 100 ] || fail "$mean events per batch at full load"
[ $failed -eq 0 ] && echo "the SDK reads what was shipped; $mean events per batch at full load"
