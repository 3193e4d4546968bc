#!/usr/bin/env bash
# ehring-stat shows rings of the living and the dead and a shipper's file, as text and as JSON, and survives any file.
set -u
cd "$(dirname "$0")" || exit 1
build=${EHRING_BUILD:-$PWD/../build}
[ -x "$build/ehring-stat" ] || { echo "$build/ehring-stat is missing: run make first"; exit 1; }
dir=$(mktemp -d)
pid=''
trap '[ -z "$pid" ] || kill "$pid"; rm -rf "$dir"' EXIT
export EHRING_RINGS=$dir/rings
failed=0

fail() {
    echo "FAIL $*"
    failed=1
}
stat() { # exit status it must have, options…: output in $dir/out and $dir/err
    local want=$1 status
    shift
    "$build/ehring-stat" "$@" >"$dir/out" 2>"$dir/err"
    status=$?
    [ $status -eq "$want" ] || { fail "ehring-stat $*: exit $status, not $want"; cat "$dir/err"; }
}
says() { grep -qE -- "$1" "$dir/out" || { fail "the text does not say: $1"; cat "$dir/out"; }; }
json() { # what, expression over `files`, JSON it must equal
    # shellcheck disable=SC2016 # JavaScript's own
    node -e '
        const files = JSON.parse(require("fs").readFileSync(process.argv[1], "utf8")).files
        const got = JSON.stringify(eval(process.argv[3]))
        if (got !== process.argv[4]) { console.log(`FAIL ${process.argv[2]}: ${got}, not ${process.argv[4]}`); process.exit(1) }
    ' "$dir/out" "$1" "$2" "$3" || failed=1
}

stat 1
grep -q rings "$dir/err" || fail "a missing directory is not named"
mkdir "$EHRING_RINGS"
stat 0
says 'no rings in'

# one producer is gone, one lives
printf 'a\nb\nc\n' | "$build/ehring-send" --make-stream-dir --stream one --name dead --capacity 64K 2>/dev/null
mkfifo "$dir/fifo"
"$build/ehring-send" --make-stream-dir --stream two --name living --capacity 64K <"$dir/fifo" 2>/dev/null &
pid=$!
exec 3>"$dir/fifo"
echo d >&3
for _ in $(seq 100); do grep -qs -m1 . "$EHRING_RINGS"/two/*.ring && "$build/ehring-stat" --stream two | grep -qE 'lag +[1-9]' && break; sleep 0.05; done
stat 0 -j
json "who lives" 'files.map(f => [f.stream, f.name, f.kind, f.producer, f.closed, f.quarantine])' \
    '[["one","dead","ring","orphan",true,null],["two","living","ring","alive",false,null]]'
json "lag" 'files.map(f => f.lag_bytes >= 32 && f.lag_bytes == f.write_pos && f.capacity_bytes == 65536)' '[true,true]'
json "the age of what waits" 'files.map(f => f.oldest_age_ns > 0 && f.oldest_age_ns < 600e9)' '[true,true]'
json "the pid" 'files[1].pid' "$pid"
json "committed events" 'files.map(f => f.values.committed_events.value)' '[3,1]'
json "every counter says what it is" 'files.every(f => Object.values(f.values).every(v => v.kind && v.unit && v.help && (v.value !== undefined || v.count !== undefined)))' true
stat 0 -1
says '^ring one +dead +orphan'
says '^ring two +living +alive'
says 'no shipper has seen this ring'
says 'committed_events +3 events'
says 'oldest +not accepted for [0-9.]+ (us|ms|s)$'
stat 0 --stream two
! grep -q '^ring one' "$dir/out" || fail "--stream shows other streams"
kill -9 "$pid"
wait "$pid" 2>/dev/null
pid=
exec 3>&-
stat 0 -j --stream two
json "a killed producer" 'files.map(f => [f.producer, f.closed])' '[["orphan",false]]'

# refused calls are kept by reason
head -c 20000 /dev/zero >"$dir/zeros"
"$build/ehring-send" --stream one --name refuser --capacity 64K --files "$dir/zeros" "$dir/zeros" 2>/dev/null
stat 0 -v --stream one
says 'larger_than_ring +2'

# a shipper's file: sums, the largest position, histograms, each worker with -v, a name that stands there twice, numbers beyond 2^53
node stat_files.mjs stat "$EHRING_RINGS/numbers.stat"
stat 0 -v --stream numbers
says '^stream numbers +numbers +shipper +pid 4242'
says 'sent_batches +111 batches'
says 'worker 2 +100 batches'
says 'read_pos +3000 bytes'
says 'some_latency +count 100 +p50'
says 'sent_batches +9223372036854775809 batches'
stat 0 -j --stream numbers
grep -q 9223372036854775809 "$dir/out" || fail "JSON loses digits"
json "the shipper's numbers" '[files[0].values.sent_batches.values, files[0].values.some_latency.count, files[0].values.some_latency.p50 < files[0].values.some_latency.p90]' \
    '[[1,10,100],100,true]'
json "a name twice" 'Object.keys(files[0].values).length' 4

# what a shipper leaves in a ring: the gate and who holds it, quarantine, nonsense
mkdir "$EHRING_RINGS/three"
node stat_files.mjs shipped "$EHRING_RINGS"/one/dead.*.ring "$EHRING_RINGS/three"
stat 0 -j --stream three
json "the gate" 'files.map(f => [f.gating_lane, f.lag_bytes])' '[[1,64],[null,null],[0,96],[0,96]]'
json "quarantine" 'files.map(f => [f.quarantine !== null, f.quarantine_pos ?? 0])' '[[false,0],[false,0],[true,48],[true,0]]'
stat 0 --stream three
says 'lag +64 of 65536 bytes, lane 1 of 2 gates'
says 'QUARANTINED .*at byte 48'
says 'impossible positions'

# hostile files: each is named with a reason, or shown; the others go on
mkdir "$EHRING_RINGS/bad" "$EHRING_RINGS/bad/directory.ring"
node stat_files.mjs damage "$EHRING_RINGS"/one/dead.*.ring "$EHRING_RINGS/bad"
ln -s ../one "$EHRING_RINGS/bad/link.ring"
ln -s /etc/passwd "$EHRING_RINGS/bad/passwd.ring"
mkfifo "$EHRING_RINGS/bad/fifo.ring" "$EHRING_RINGS/fifo.stat"
head -c 5000 /dev/urandom >"$EHRING_RINGS/noise.stat"
head -c 4000 "$EHRING_RINGS/numbers.stat" >"$EHRING_RINGS/cut.stat"
: >"$EHRING_RINGS/empty.stat"
for options in -1 -v -j; do
    timeout 10 "$build/ehring-stat" $options >"$dir/out" 2>"$dir/err"
    [ $? -eq 1 ] || { fail "hostile files: exit $? with $options"; tail -n 3 "$dir/err"; }
    for name in empty short half magic unpublished version table-far data-far odd-capacity fifo.ring passwd.ring directory.ring noise.stat cut.stat empty.stat; do
        grep -q -- "/$name" "$dir/err" || fail "$name is not named with $options"
    done
done
json "good ones are still there" 'files.filter(f => !f.error && ["one", "two", "numbers"].includes(f.stream)).length' 4
! grep -q $'\033' "$dir/out" || fail "an escape character comes through"
stat 2 --nonsense
stat 2 surplus
stat 0 --help
[ $failed -eq 0 ] && echo "ehring-stat shows what there is"
exit $failed
