#!/usr/bin/env bash
# `ehring-bench ring` measures every row for every size, in the table and in the file, and leaves nothing behind. Never how fast.
set -u
cd "$(dirname "$0")/.."
bench=${EHRING_BUILD:-$PWD/build}/ehring-bench
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
bad=0
complain() { echo "e2e_bench: $*"; bad=1; }

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
row 'ehring_send, keyed' "[0-9]+ [KM]iB +$figure +$figure +$figure" 3
row 'ehring_send, lane draining' "[0-9]+ [KM]iB +$figure +$figure +$figure +$figure (reached|missed)" 6
row 'ehring_send, on a disk' "[0-9]+ [KM]iB +($figure +$figure +$figure|- +- +- \(no disk here\))" 3
row 'ehring_send, disk, EHRING_SYNC' "[0-9]+ [KM]iB +($figure +$figure +$figure|- +- +- \(no disk here\))" 3
row 'pipe' "- +$figure +$figure +$figure" 3
row 'Unix datagram' "- +$figure +$figure +$figure" 3
row 'POSIX queue' "- +($figure +$figure +$figure|- +- +- \(.+\))" 3 # a queue of 64 KiB messages is not for everybody, nor are queues
[ "$(grep -c '"median"' "$dir/ring.json")" -ge 33 ] || complain "the JSON file holds too few figures"

"$bench" ring --size 15 >"$dir/out" 2>"$dir/err" && complain "--size 15 was taken"
grep -q -- '--size 15: must be a number from 16 to 65536' "$dir/err" || complain "--size 15: no word about the limits: $(cat "$dir/err")"
"$bench" ring --disk /dev/shm >"$dir/out" 2>"$dir/err" && complain "--disk /dev/shm was taken"
grep -q -- '--disk /dev/shm: is not on a disk' "$dir/err" || complain "--disk /dev/shm: not told: $(cat "$dir/err")"
"$bench" ship --net sctp >"$dir/out" 2>"$dir/err" && complain "--net sctp was taken"
grep -q 'must be one of auto, uring, epoll' "$dir/err" || complain "--net sctp: no word about what is allowed: $(cat "$dir/err")"

# interrupted: it ends soon and takes its rings along
ls -d /dev/shm/ehring-bench.* 2>/dev/null | sort >"$dir/rings_before"
timeout 60 "$bench" ring --slices 4000 >"$dir/out" 2>"$dir/err" &
pid=$!
for _ in $(seq 100); do
    ls -d /dev/shm/ehring-bench.* 2>/dev/null | sort | comm -13 "$dir/rings_before" - | grep -q . && break
    sleep 0.05
done
ls -d /dev/shm/ehring-bench.* 2>/dev/null | sort | comm -13 "$dir/rings_before" - >"$dir/rings_made"
[ -s "$dir/rings_made" ] || complain "no ring directory while it runs"
kill -TERM $pid
wait $pid && complain "an interrupted run says that all is well"
while read -r made; do [ -e "$made" ] && complain "$made was left behind"; done <"$dir/rings_made"

[ $bad -eq 0 ] && echo "e2e_bench: ok"
exit $bad
