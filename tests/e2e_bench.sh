#!/usr/bin/env bash
# `ehring-bench ring` measures every row of every mode, in the table and in the file, and leaves nothing behind. Never how fast.
# shellcheck source=tests/bench_rig.sh
. "$(dirname "$0")/bench_rig.sh"

timeout 60 "$bench" ring --size 64 --size 1000 --size 64K --slices 3 --json "$dir/ring.json" >"$dir/out" 2>"$dir/err" &
pid=$!
wait $pid || complain "exit status $?"
cat "$dir/out"
[ -s "$dir/err" ] && complain "said on stderr: $(cat "$dir/err")"

figure='[0-9]+\.[0-9]+'
row() { # label, how many, what follows the label
    local count
    count=$(grep -cE "^ +$1 +$2" "$dir/out")
    [ "$count" -eq "$3" ] || complain "row '$1' is there $count times with figures, not $3"
}
row 'memcpy behind a 16 B head' "[0-9]+ [KM]iB +$figure +$figure +1\.00 *$" 6
row 'memcpy, each in sigsetjmp' "[0-9]+ [KM]iB +$figure +$figure +$figure *$" 3
row 'memcpy, read by another core' "[0-9]+ [KM]iB +$figure +$figure +$figure *$" 6
row 'ehring_send' "[0-9]+ [KM]iB +$figure +$figure +$figure" 6
row 'ehring_send' "[0-9]+ [KM]iB +$figure +$figure +$figure +$figure (reached|missed)" 1 # 64 B in L2: no other size here is asked for
row 'ehring_send, keyed' "[0-9]+ [KM]iB +$figure +$figure +$figure" 3
row 'ehring_send, lane draining' "[0-9]+ [KM]iB +$figure +$figure +$figure" 6
row 'ehring_send, lane draining' "8 MiB +$figure +$figure +$figure +$figure (reached|missed)" 1
row 'ehring_send, on a disk' "[0-9]+ [KM]iB +($figure +$figure +$figure|- +- +- \(no disk here\))" 3
row 'ehring_send, disk, EHRING_SYNC' "[0-9]+ [KM]iB +($figure +$figure +$figure|- +- +- \(no disk here\))" 3
row 'pipe' "- +$figure +$figure +$figure" 3
row 'Unix datagram' "- +$figure +$figure +$figure" 3
row 'POSIX queue' "- +($figure +$figure +$figure|- +- +- \(.+\))" 3 # a queue of 64 KiB messages is not for everybody, nor are queues
row 'queue under a shared mutex' "- +$figure +$figure +$figure" 3
row 'ck_ring, payload copied' "- +($figure +$figure +$figure|- +- +- \(.+\))" 3 # 1000 B are none of its sizes
row 'queue under a shared mutex, drained' "- +$figure +$figure +$figure *$" 3
row 'ck_ring, payload copied, drained' "- +($figure +$figure +$figure *$|- +- +- \(.+\))" 3
row 'LTTng-UST tracepoint' "- +($figure +$figure +$figure|- +- +- \(.+\))" 3 # its session is not for everybody
[ "$(grep -c '"median"' "$dir/ring.json")" -ge 33 ] || complain "the JSON file holds too few figures"

mode() { # name, options, then a pattern for each row that the file must have so often
    local name=$1 options=$2
    shift 2
    # shellcheck disable=SC2086
    timeout 60 "$bench" ring --mode "$name" $options --slices 4 --milliseconds 50 --json "$dir/mode.json" >"$dir/out" 2>"$dir/err" ||
        complain "mode $name: exit status $?: $(cat "$dir/err")"
    while [ $# -gt 0 ]; do
        [ "$(grep -cE "\"name\":[[:space:]]*\"$1" "$dir/mode.json")" -eq "$2" ] || complain "mode $name: '$1' is not there $2 times"
        shift 2
    done
    for key in median min noise unit group samples lower_is_better; do
        [ "$name" = latency ] || [ "$(grep -c "\"$key\"" "$dir/mode.json")" -eq "$(grep -c '"command":' "$dir/mode.json")" ] ||
            complain "mode $name: not every row has '$key'"
    done
}
mode lanes '--lanes 1 --lanes 3' 'drained: writer' 2 'drained: all together' 2
mode rings '--rings 1 --rings 8 --size 64' 'alone: writer' 2 'drained by one thread: all together' 2
mode latency '--rate 10000 --rate 100000' 'publish, the call, p50' 2 'publish, the call, p99"' 2 'publish, from when it was due, p99.9' 2 'publish, from when it was due, max' 2 \
    'memcpy into a buffer as large, the call, p50' 2 'memcpy into a buffer as large, the call, p99"' 2 'memcpy into a buffer as large, from when' 8
[ "$(grep -cE '"floor":[[:space:]]*"memcpy into a buffer as large, ' "$dir/mode.json")" -eq 16 ] || complain "mode latency: not every publish row has its floor"
mode laps '--size 256' 'ehring_send' 5 'making the ring' 1
mode steps '' 'memcpy behind a 16 B head' 3 '[+] a call' 3 "[+] the ring's head" 3 '[+] publication' 3 '[+] a look' 3 '[+] checks' 3 '[+] the long way' 3 \
    '[+] handle, new grains, clock: ehring_send' 3 'of it the clock' 3
[ "$(grep -cE "^ +([+]|memcpy|of it) .* +-?$figure +-?$figure +-?$figure +([+-]$figure|-)$" "$dir/out")" -eq 27 ] || complain "mode steps: not 27 lines: $(cat "$dir/out")"
"$bench" ring --mode steps --size 4097 >"$dir/out" 2>"$dir/err" && complain "steps of an event that is not plain were measured"
[ "$(cat "$dir/err")" = 'ehring-bench: --size 4097: the steps are those of an event of at most 4096 bytes' ] || complain "steps: no word about the limit: $(cat "$dir/err")"
timeout 60 "$bench" ring --mode oneway --rate 10000 --milliseconds 50 --json "$dir/mode.json" >"$dir/out" || complain "mode oneway: exit status $?"
[ "$(grep -c 'from publish to a reader' "$dir/mode.json")" -eq 4 ] && [ "$(grep -c '"name":' "$dir/mode.json")" -eq 4 ] || complain "mode oneway: not four rows"

"$bench" ring --mode sideways >"$dir/out" 2>"$dir/err" && complain "--mode sideways was taken"
grep -q 'must be one of write, lanes, rings, latency, oneway, laps, steps' "$dir/err" || complain "--mode sideways: not told what is allowed"
"$bench" ring --size 15 >"$dir/out" 2>"$dir/err" && complain "--size 15 was taken"
grep -q -- '--size 15: must be a number from 16 to 65536' "$dir/err" || complain "--size 15: no word about the limits: $(cat "$dir/err")"
"$bench" ring --disk /dev/shm >"$dir/out" 2>"$dir/err" && complain "--disk /dev/shm was taken"
grep -q -- '--disk /dev/shm: is not on a disk' "$dir/err" || complain "--disk /dev/shm: not told: $(cat "$dir/err")"
"$bench" ship --net sctp >"$dir/out" 2>"$dir/err" && complain "--net sctp was taken"
grep -q 'must be one of auto, uring, epoll' "$dir/err" || complain "--net sctp: no word about what is allowed: $(cat "$dir/err")"

# interrupted: it ends soon and takes its rings along
timeout 60 "$bench" ring --slices 4000 >"$dir/out" 2>"$dir/err" &
pid=$!
made=
for _ in $(seq 100); do # what it has mapped: others may measure at the same time
    made=$(cat "/proc/$(pgrep -P $pid)/maps" 2>/dev/null | grep -oE '/dev/shm/ehring-bench\.[A-Za-z0-9]+' | head -n 1)
    [ -n "$made" ] && break
    sleep 0.05
done
[ -n "$made" ] || complain "no ring directory while it runs"
kill -TERM $pid
wait $pid && complain "an interrupted run says that all is well"
[ -e "$made" ] && complain "$made was left behind"

finish
