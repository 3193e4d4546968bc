#!/usr/bin/env bash
# ehring-send cuts input into events and writes them into a ring as asked; what it cannot do it says.
set -u
cd "$(dirname "$0")" || exit 1
send=${EHRING_BUILD:-$PWD/../build}/ehring-send
[ -x "$send" ] || { echo "$send is missing: run make first"; exit 1; }
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
export EHRING_RINGS=$dir/rings

fail() { # also from within a pipeline
    echo "FAIL $*" | tee -a "$dir/failed" >&2
}
sent() { # stream, options…: standard input into a new ring; what lies in it comes out
    local stream=$1
    shift
    "$send" --make-stream-dir --stream "$stream" "$@" 2>"$dir/err" || { fail "$stream: exit $?"; cat "$dir/err" >&2; }
    node ring_dump.mjs "$EHRING_RINGS/$stream"/*.ring
}
is() { # what, expression over `events`, JSON it must equal; events on standard input
    # shellcheck disable=SC2016 # JavaScript's own
    node -e '
        const events = require("fs").readFileSync(0, "utf8").split("\n").slice(0, -1).map(line => JSON.parse(line))
        const got = JSON.stringify(eval(process.argv[2]))
        if (got !== process.argv[3]) { console.error(`${got}, not ${process.argv[3]}`); process.exit(1) }
    ' "$1" "$2" "$3" || fail "$1"
}
refused() { # what, exit status, message, options…
    local what=$1 want=$2 message=$3 status
    shift 3
    "$send" "$@" </dev/null >"$dir/out" 2>"$dir/err"
    status=$?
    [ $status -eq "$want" ] || fail "$what: exit $status, not $want"
    grep -qE -- "$message" "$dir/err" || { fail "$what does not say: $message"; cat "$dir/err" >&2; }
}

printf 'one\n\nthree\0nul\nlast' | sent lines | is "lines" 'events.map(e => e.body)' '["one","","three\u0000nul","last"]'
printf '\2\0\0\0ab\0\0\0\0\1\0\0\0c' | sent frames --frames | is "frames" 'events.map(e => e.body)' '["ab","","c"]'
printf 'first\nfile\n' >"$dir/1"
printf 'second' >"$dir/2"
sent files --files "$dir/1" "$dir/2" | is "files" 'events.map(e => e.body)' '["first\nfile\n","second"]'
sent repeat --repeat 3 --number-property n "$dir/1" | is "repeat and number" 'events.map(e => e.body[0] + e.properties.n)' '["f1","f2","f3","f4","f5","f6"]'
echo x | sent fixed --key 'kü' --content-type text/plain | is "fixed key" 'events.map(e => [e.key, e.content_type])' '[["kü","text/plain"]]'
echo x | sent partition --partition-id 3 | is "partition id" 'events.map(e => e.partition)' '[3]'
printf '{"k":"a"}\n{"k":7}\n{"k":true}\n{"k":[]}\nno json\n' | sent json --key-json k |
    is "JSON keys" 'events.map(e => [e.key ?? null, e.content_type])' \
        '[["a","application/json"],["7","application/json"],["true","application/json"],[null,"application/json"],[null,"application/json"]]'
grep -q '2 without a key' "$dir/err" || fail "events without a key are not counted"
printf 'id=12 x\nid= x\nnothing\n' | sent regex --key-regex 'id=([0-9]*)' | is "regex keys" 'events.map(e => e.key ?? null)' '["12",null,null]'

# records of many lengths; that of pads is for the demo, whose rings are drained
node -e 'for (let i = 0; i < 400; i++) console.log("x".repeat(i % 97))' >"$dir/lap"
sent ids --capacity 128K --message-id-position --number-property line --key k "$dir/lap" |
    is "ids" 'events.length == 400 && events.every(e => e.message_id == e.uuid + ":" + e.pos.toString(16).padStart(16, "0"))' true

start=$(date +%s%N)
sent rate --rate 100 --number-property n --repeat 15 "$dir/1" | is "rate" 'events.length' 30
[ $((($(date +%s%N) - start) / 1000000)) -ge 290 ] || fail "30 events at 100 a second came sooner than 0.3 s"

mkfifo "$dir/fifo"
"$send" --stream lines --number-property n <"$dir/fifo" 2>"$dir/err" &
pid=$!
exec 3>"$dir/fifo"
echo before >&3
for _ in $(seq 100); do grep -qF before "$EHRING_RINGS"/lines/*."$pid".*.ring 2>/dev/null && break; sleep 0.05; done
kill -INT "$pid"
wait "$pid"
[ $? -eq 1 ] || fail "a signal does not end it"
grep -q '1 events.*stopped by a signal' "$dir/err" || { fail "a signal ends it without a summary"; cat "$dir/err" >&2; }
exec 3>&-

refused "no stream" 2 '--stream is missing'
refused "two keys" 2 'only one of' --stream a --key k --key-json k
refused "key and partition" 2 'never both' --stream a --key k --partition-id 1
refused "bad regex" 2 'key-regex' --stream lines --key-regex '('
refused "regex without group" 2 'has no group' --stream lines --key-regex 'abc'
refused "unknown option" 2 'unrecognized' --stream a --nonsense
refused "number" 2 'numbers from' --stream a --rate fast
refused "repeat of stdin" 2 'read once' --stream a --repeat 2
refused "no directory" 1 'absent' --stream absent "$dir/1"
refused "no file" 1 'missing.*No such file' --stream lines "$dir/missing"
printf '\5\0\0\0abc' >"$dir/short"
refused "cut frame" 1 'ends in the middle of frame 1' --stream lines --frames "$dir/short"
printf '\377\377\377\377abc' >"$dir/huge"
refused "huge frame" 1 'the limit is' --stream lines --frames "$dir/huge"
head -c 200000 /dev/zero >"$dir/zeros"
refused "larger than an eighth" 1 'event 1 \(200000 bytes\)' --stream lines --capacity 64K --files "$dir/zeros"
refused "long key" 1 'event 1 \(' --stream lines --key "$(printf 'k%.0s' $(seq 129))" "$dir/1"
refused "not UTF-8" 1 'event 1 \(' --stream lines --key $'\377' "$dir/1"
refused "full" 1 'the ring is full' --stream lines --capacity 64K --wait-ms 0 --repeat 1000 "$dir/lap"
refused "full after waiting" 1 'the ring is full' --stream lines --capacity 64K --wait-ms 50 --repeat 1000 "$dir/lap"
refused "flush without shipper" 1 'were not accepted within 50 ms' --stream lines --flush-ms 50 "$dir/1"
"$send" --help | grep -q -- --key-regex || fail "--help"
[ ! -e "$dir/failed" ] && echo "ehring-send does what it says"
