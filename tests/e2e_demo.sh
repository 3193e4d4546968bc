#!/usr/bin/env bash
# The demo's proof holds with 1, 2 and 4 workers, on epoll and on io_uring, over a WebSocket through a proxy; nothing of it stays behind; it fails when its shipper is killed.
set -u
cd "$(dirname "$0")/.." || exit 1
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
export TMPDIR=$dir EVENTS=${EVENTS:-60000} STEADY_RATE=0 LIMIT_SECONDS=60
failed=0

fail() {
    echo "FAIL $*"
    cat "$dir/out"
    failed=1
}
demo() { tools/demo/demo.sh >"$dir/out" 2>&1; }
child() { cat /proc/[0-9]*/stat 2>/dev/null | awk -v parent="$1" -v name="($2)" '$4 == parent && $2 == name { print $1; exit }'; } # pid, name

backends=epoll
WORKERS=1 NET=auto demo || fail "1 worker, auto"
if grep -q 'on io_uring' "$dir/out"; then backends='epoll uring'; else echo "io_uring is not to be had here: epoll alone"; fi
for NET in $backends; do
    for WORKERS in 1 2 4; do
        export NET WORKERS
        demo || fail "$WORKERS workers, $NET"
        grep -q '^proof  *holds' "$dir/out" || fail "$WORKERS workers, $NET: no proof"
        grep -qE "workers? on (io_)?$NET" "$dir/out" || fail "$WORKERS workers: not on $NET"
    done
done

TRANSPORT=websocket PROXY=1 WORKERS=2 NET=auto demo || fail "over a WebSocket through a proxy"
grep -q 'WebSocket in TLS, through tinyproxy' "$dir/out" || fail "not over a WebSocket through a proxy"
grep -qE '^proxy +[1-9][0-9]* tunnels?$' "$dir/out" || fail "nothing went through the proxy"

EVENTS=400000000 tools/demo/demo.sh >"$dir/out" 2>&1 &
demo_pid=$!
shipper=''
for _ in $(seq 200); do
    shipper=$(child $demo_pid ehring-shipper)
    [ -z "$shipper" ] || break
    sleep 0.05
done
sleep 0.5
kill -9 "$shipper" || fail "there is no shipper to kill"
wait $demo_pid && fail "the demo succeeds without a shipper"
grep -q 'ehring-shipper has ended' "$dir/out" || fail "the demo does not say that the shipper has ended"
left=$(find "$dir" -mindepth 1 ! -name out)
[ -z "$left" ] || fail "left behind: $left"
[ $failed -eq 0 ] && echo "the demo's proof holds in $(wc -w <<<"$backends") × 3 ways and through a proxy"
exit $failed
