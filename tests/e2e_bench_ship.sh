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
row "shipper CPU s per million +$number +user $number, system $number"
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

# ---- where the time goes: by perf, if it is here and may look; and else that it is not, or may not ----
short='--warmup 0 --seconds 0 --latency-seconds 0 --idle-seconds 0 --floor-seconds 0 --sink-seconds 0'
# shellcheck disable=SC2086
profile() { # what it is, PATH: one with this perf alone, or none, seconds
    timeout 60 env PATH="$2" "$bench" ship $short --profile-seconds "$3" --json "$dir/profile.json" >"$dir/out" 2>"$dir/err" || complain "$1: exit status $?"
    [ -s "$dir/err" ] && complain "$1: said on stderr: $(cat "$dir/err")"
}
sum() { # of the figures of the rows with this pattern
    grep -E "^  ($1) +[0-9]" "$dir/out" | sed -E 's/.* ([0-9.]+) +[0-9.]+%$/\1/' | awk '{ sum += $1 } END { printf "%.0f", sum * 1e4 }'
}
profile 'a profile' "$PATH" 5 # on a machine that is busy elsewhere one second's samples do not show ten functions
if ! grep -q '^No profile of the shipper: perf ' "$dir/out"; then
    row "all of it, while perf looks +$number +100\.0%"
    for part in kernel 'of the kernel: sending by TCP' "of the kernel: the hub's end of loopback" OpenSSL 'C library' 'the shipper itself'; do
        row "$part +0\.[0-9]*[1-9][0-9]* +$number%"
    done
    [ "$(grep -cE '^  function of the shipper: [a-z_0-9.]+ +0\.' "$dir/out")" -eq 10 ] || complain "not ten functions of the shipper"
    parts=$(sum 'kernel|OpenSSL|qpid-proton|C library|the shipper itself|anything else') all=$(sum 'all of it, while perf looks')
    [ "$((parts > all ? parts - all : all - parts))" -le 5 ] || complain "the parts of the profile make $parts, not $all"
    [ "$(sum OpenSSL)" -gt "$(sum 'anything else')" ] || complain "the ciphers of a TLS connection are not counted as OpenSSL's"
    has "$dir/profile.json" '"ship: where the shipper.s time goes"'
fi
mkdir "$dir/path"
profile 'no perf' "$dir/path" 1
has "$dir/out" '^No profile of the shipper: perf is not installed \(linux-perf\)\.$'
has "$dir/profile.json" 'No profile of the shipper: perf is not installed'
grep -q '"median"' "$dir/profile.json" && complain "no perf: there are rows all the same"
cat >"$dir/path/perf" <<'SH'
#!/bin/sh
printf 'Error:\nAccess to performance monitoring and observability operations is limited.\nConsider more.\n' >&2
exit 255
SH
chmod +x "$dir/path/perf"
profile 'a perf that may not look' "$dir/path" 1
has "$dir/out" '^No profile of the shipper: perf could not look at it: Access to performance monitoring and observability operations is limited\.$'

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
