#!/usr/bin/env bash
# `ehring-bench report` writes page, pictures and figures with a command beside each; `compare` names what has changed and nothing else; `scale`
# computes from a report. Never how fast.
# shellcheck source=tests/bench_rig.sh
. "$(dirname "$0")/bench_rig.sh"

# ---- a report of all modes ----
timeout 280 "$bench" report --profile smoke --rounds 1 --dir "$dir/report" >"$dir/out" 2>"$dir/err" || complain "report: exit status $?: $(cat "$dir/err")"
page=$dir/report/report.md figures=$dir/report/report.json
tail -n 3 "$dir/out"
for group in 'Ring: writing an event' "Ring: what an event's time is made of" 'Ring: lanes that drain one ring' 'Ring: producers with a ring each' 'Ring: one publish at a steady rate' \
    'Ring: one way at a steady rate' 'Ring: laps of a new ring' 'Ship: 256 B, unkeyed, one worker, TLS' 'Ship: beside other senders' 'Targets' \
    'Scale on paper' 'Ratios'; do
    has "$page" "^## $group"
done
has "$page" '^- processor: .'
has "$page" '^- kernel: .'
has "$page" '^- openssl: OpenSSL'
has "$page" '^    ehring-bench ring --mode write --slices '
has "$page" '^    ehring-bench ship --warmup '
has "$page" '^\| ehring_send, ring in L2, ns \| [0-9.,]+( ± [0-9.,]+)? \([0-9.,]+×\) \|'
has "$page" 'with jitter: all are back after \| [0-9]'
[ "$(grep -c '^## ' "$page")" -eq "$(grep '^## ' "$page" | sort -u | wc -l)" ] || complain "a group has two sections"
missed=$(sed -n '/^## Targets/,/^## Ring/p' "$page" | grep -c '| missed |$')
[ "$missed" -eq 0 ] || has "$page" '^What limits those that are missed:'
if ! grep -q '^- No profile of the shipper: perf ' "$page"; then
    has "$page" "^## Ship: where the shipper's time goes"
    has "$page" '^\| kernel, s \| 0\.[0-9]+ ± [0-9.]+ \(0\.[0-9]+×\) \|'
fi
if command -v gnuplot >/dev/null; then
    has "$page" '^!\[.*\]\(ring-writing-an-event-ns\.svg\)'
    for picture in ring-writing-an-event-ns scale-outage; do
        grep -q '</svg>' "$dir/report/$picture.svg" || complain "$picture.svg is no picture"
    done
else
    has "$page" '^- No pictures: gnuplot is not installed'
fi

# ---- rounds are merged; an earlier report is kept and compared with ----
timeout 60 "$bench" report --profile smoke --rounds 3 --only 'mode laps' --dir "$dir/report" --compare "$figures" >"$dir/out" 2>"$dir/err" ||
    complain "report of laps: exit status $?: $(cat "$dir/err")"
[ -s "$dir/report/previous.json" ] || complain "the earlier report was not kept"
has "$page" '^## Changed since '
has "$dir/out" '^[0-9]+ worse, [0-9]+ better, [0-9]+ the same within the noise, [0-9]+ not judged'
[ "$(grep -c '"median"' "$figures")" -eq 6 ] || complain "laps: not six rows"

# ---- compare: by figures that are written here ----
file() { # path, ns, noise, ns of the floor, best, its noise
    cat >"$1" <<JSON
{"format": 1, "machine": {"processor": "one"}, "versions": {}, "commands": ["ehring-bench ring"], "notes": [], "rows": [
 {"command": 0, "group": "g", "name": "floor", "x": 64, "x_unit": "B", "unit": "ns", "median": $4, "min": $4, "max": $4, "noise": 0.1,
  "best_noise": 0.1, "samples": 9, "sense": "lower is better", "floor": ""},
 {"command": 0, "group": "g", "name": "send", "x": 64, "x_unit": "B", "unit": "ns", "median": $2, "min": $5, "max": 99, "noise": $3,
  "best_noise": $6, "samples": 9, "sense": "lower is better", "floor": "floor"},
 {"command": 0, "group": "g", "name": "the worst", "x_unit": "", "unit": "ns", "median": $2, "min": 1, "max": 99, "noise": 0,
  "samples": 9, "sense": "only said", "floor": ""}]}
JSON
}
judge() { # title, old file, new file, status, pattern that the output must have
    "$bench" compare "$2" "$3" >"$dir/out" 2>"$dir/err"
    local status=$?
    [ $status -eq "$4" ] || complain "$1: exit status $status, not $4: $(cat "$dir/out" "$dir/err")"
    [ -z "$5" ] || has "$dir/out" "$5"
}
file "$dir/old" 5 0.5 2 4.8 0.2
file "$dir/within" 5.9 0.5 2 5.1 0.2
file "$dir/fence" 12 0.5 2 11.8 0.2
file "$dir/faster" 3 0.5 2 2.9 0.2
file "$dir/busy" 12 9 2 4.9 0.2          # noisy, but its best is as before
file "$dir/busy_fence" 14 9 2 11.8 0.2   # so noisy that its best alone tells
file "$dir/slow_machine" 10 1 4 9.6 0.4  # all of it twice as slow
judge 'the same file' "$dir/old" "$dir/old" 0 '^0 worse, 0 better, 2 the same within the noise, 1 not judged'
judge 'within the noise' "$dir/old" "$dir/within" 0 '^0 worse, 0 better'
judge 'a slower build' "$dir/old" "$dir/fence" 3 '^\| g: send, 64 B \| 5 \| 12 ns \| \+140\.0 % \| 1 \| \*\*worse\*\* \|'
judge 'a faster build' "$dir/old" "$dir/faster" 0 '^\| g: send, 64 B \|.* better \|'
judge 'a busy machine' "$dir/old" "$dir/busy" 0 '^0 worse, 0 better'
judge 'a slower build on a busy machine' "$dir/old" "$dir/busy_fence" 3 '^\| g: send, 64 B, the best sample \|.*worse'
judge 'a slower machine' "$dir/old" "$dir/slow_machine" 3 '^1 worse, 0 better, 1 the same' # the floor alone is named
grep -q 'g: send' "$dir/out" && complain 'a slower machine: what stands on the floor is blamed'
sed -i 's/"one"/"another"/' "$dir/within"
judge 'another machine' "$dir/old" "$dir/within" 0 '^Another machine: processor was "one" and is "another"'
echo '{"format": 7}' >"$dir/broken"
judge 'a file that is none' "$dir/old" "$dir/broken" 1 ''
has "$dir/err" 'broken: is not a file of figures of this version'

# ---- scale ----
costs='--cpu-per-million 0.4 --worker-rate 2500000 --memory-mib 20 --idle-percent 0.1 --connect-cpu-ms 2'
# shellcheck disable=SC2086
"$bench" scale $costs --machines 100 --rate 1000 --units 50 --unit tu --size 1000 >"$dir/out" 2>"$dir/err" || complain "scale: exit status $?"
has "$dir/out" '^\| events in all \| 100,000 events/s \|'
has "$dir/out" '^\| units wanted \| 102 throughput units \| 50 are there: \*\*too few'
has "$dir/out" '^\| connections \| 300  \| of 5000 '
has "$dir/out" "^\\| the shipper's share of a core \\| 0\\.14 % \\|"
has "$dir/out" '^\| caught up after \| never \|'
with=$(sed -nE 's/^\| with jitter: most attempts in a second \| ([0-9,]+) .*/\1/p' "$dir/out" | tr -d ,)
without=$(sed -nE 's/^\| without: most attempts in a second \| ([0-9,]+) .*/\1/p' "$dir/out" | tr -d ,)
[ "${without:-0}" -eq 300 ] && [ "${with:-999}" -lt 100 ] || complain "scale: jitter does not spread the connects: $with with, $without without"
# shellcheck disable=SC2086
"$bench" scale $costs --dir "$dir/scale" --json "$dir/scale.json" || complain "scale --dir: exit status $?"
has "$dir/scale/scale.md" '^# Scale on paper'
has "$dir/scale.json" '"events in all"'
"$bench" scale --cpu-per-million 1 >"$dir/out" 2>"$dir/err" && complain "scale computes from nothing"
has "$dir/err" '^ehring-bench: --worker-rate is not given, nor a --report'

for command in ring ship report compare scale; do
    "$bench" $command --help >"$dir/out" || complain "$command --help: exit status $?"
    has "$dir/out" "^usage: ehring-bench $command"
    "$bench" $command --no-such-option >"$dir/out" 2>"$dir/err"
    [ $? -eq 2 ] || complain "$command --no-such-option: not exit status 2"
done

finish
