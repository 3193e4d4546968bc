#!/usr/bin/env bash
# `ehring-bench ship` runs all its phases, prints every figure, and takes hub, shipper and rings along when it ends. Never how fast.
# shellcheck source=tests/bench_rig.sh
. "$(dirname "$0")/bench_rig.sh"
row() { grep -qE "^ +$1" "$dir/out" || complain "no row '$1'"; }

timeout 120 "$bench" ship --warmup 0 --seconds 1 --latency-seconds 1 --rate 1000 --idle-seconds 1 --floor-seconds 1 --keys 3 --producers 2 \
    --rings 5 --properties 3 --load-rate 50000 --workers 2 --peer proton --peer-seconds 1 --json "$dir/ship.json" >"$dir/out" 2>"$dir/err" || complain "exit status $?"
cat "$dir/out" "$dir/err"
number='[0-9]+(\.[0-9]+)?'
row "TCP over loopback, two processes +$number"
row "memcpy behind a 16 B head +$number"
row "accepted events/s +[1-9][0-9]*"
row "accepted payload, MB/s +$number"
row "events per batch +$number"
row "bytes on the wire per event +$number"
row "shipper CPU s per million +$number"
row "the hub with a core, computed +$number"
grep -q '^the hub alone, one connection' "$dir/out" || complain "the sink's own ceiling is not said"
grep -q '^proton, a message each' "$dir/out" || complain "no figures of the plain proton sender: $(grep '^Not measured' "$dir/out")"
row "sender CPU s per million +$number"
row "cores busy +$number +shipper; hub $number, producers and this bench $number"
row "shipper memory, MiB +$number"
row "p50 [1-9][0-9]* +p90 [1-9][0-9]* +p99 [1-9][0-9]*"
row "wake-ups/s per worker +$number"
row "voluntary switches/s +$number"
for figure in "accepted events" "commit to accept, p99" "idle: wake-ups per worker" "TCP over loopback, two processes"; do
    grep -q "\"$figure\"" "$dir/ship.json" || complain "the JSON file has no $figure"
done

short='--warmup 0 --seconds 0 --latency-seconds 0 --idle-seconds 0 --floor-seconds 0 --sink-seconds 0'

# ---- a peer that cannot do it says why ----
if [ -d /usr/lib/python3/dist-packages/azure/eventhub ] && [ -e "$(dirname "$bench")/peers/sender.py" ]; then
    # shellcheck disable=SC2086
    timeout 60 "$bench" ship $short --transport plain --peer python --peer-seconds 1 >"$dir/out" 2>"$dir/err" || complain "python without TLS: exit status $?"
    grep -qE '^(Not measured: Python SDK, full batches: cannot do without TLS in version [0-9.]+, |Python SDK, full batches$)' "$dir/out" ||
        complain "python without TLS: neither a figure nor why: $(tail -n 2 "$dir/out")"
fi

# ---- interrupted in the middle of the load: all of it ends, and the exit status says that nothing was measured
timeout 60 "$bench" ship --seconds 50 --floor-seconds 0 >"$dir/out" 2>"$dir/err" &
pid=$!
children() { pgrep -P "$(pgrep -P $pid)" 2>/dev/null; }
for _ in $(seq 200); do # hub and shipper of this run: others may measure at the same time
    [ "$(children | wc -l)" -ge 2 ] && break
    sleep 0.05
done
[ "$(children | wc -l)" -ge 2 ] || complain "no hub and shipper while it runs"
for child in $(children); do { tr '\0' '\n' <"/proc/$child/cmdline"; } 2>/dev/null; done | grep -oE '^/tmp/ehring-bench\.[A-Za-z0-9]+' | sort -u >"$dir/made"
cat "/proc/$(pgrep -P $pid)/maps" 2>/dev/null | grep -oE '/dev/shm/ehring-bench\.[A-Za-z0-9]+' | sort -u >>"$dir/made"
[ -s "$dir/made" ] || complain "no directories while it runs"
kill -TERM $pid
wait $pid && complain "an interrupted run says that all is well"
while read -r made; do
    [ -e "$made" ] && complain "$made was left behind"
    for process in /proc/[0-9]*/cmdline; do
        { tr '\0' ' ' <"$process"; } 2>/dev/null | grep -q -- "$made" && complain "$(tr '\0' ' ' <"$process") still runs"
    done
done <"$dir/made"

finish
