#!/bin/sh
# The official JavaScript SDK against ehring-hub over TLS. The SDK insists on port 5671, so the hub gets an address of its own.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/sdk/address.sh
. "$here/address.sh"
build="${EHRING_BUILD:?names the build directory}"
sdk=$(EHRING_BUILD="$build" "$here/install")
work=$(mktemp -d)
hub=
finish() {
	[ -z "$hub" ] || kill "$hub" 2>/dev/null || true
	[ -z "$hub" ] || wait "$hub" 2>/dev/null || true
	rm -rf "$work"
}
trap finish EXIT
trap 'exit 1' INT TERM

"$build/ehring-hub" --listen "$address" --no-plain --amqps-port 5671 --state-dir "$work/state" --hub hub1:4:readers --hub small:2 \
	--ports-file "$work/ports" > "$work/out" 2>&1 &
hub=$!
tries=0
until [ -s "$work/ports" ]; do
	tries=$((tries + 1))
	if [ $tries -gt 100 ] || ! kill -0 "$hub" 2>/dev/null; then
		cat "$work/out" >&2
		exit 1
	fi
	sleep 0.1
done
NODE_EXTRA_CA_CERTS="$work/state/ca.pem" NODE_NO_WARNINGS=1 timeout 120 node "$sdk/hub.mjs" "$work/state/connection-string"
