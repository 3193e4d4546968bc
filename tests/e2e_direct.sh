#!/usr/bin/env bash
# ehring-send --direct: every event arrives in real batches, each key's in order; whatever goes wrong is said, and is the exit status.
set -u
build=${EHRING_BUILD:-$(cd "$(dirname "$0")/.." && pwd)/build}
[ -x "$build/ehring-send" ] || { echo "$build/ehring-send is missing: run make first"; exit 1; }
dir=$(mktemp -d)
hub=''
trap '[ -z "$hub" ] || kill "$hub"; wait; rm -rf "$dir"' EXIT
failed=0

fail() {
    echo "FAIL $*"
    failed=1
}
start_hub() { # options…
    : >"$dir/hub.log"
    "$build/ehring-hub" --amqp-port 0 --amqps-port 0 --hub orders:4 --state-dir "$dir/state" --store-file "$dir/store" "$@" >"$dir/hub.log" 2>&1 &
    hub=$!
    for _ in $(seq 200); do grep -q '^ready' "$dir/hub.log" && return; sleep 0.05; done
    fail "the hub does not start"
}
stop_hub() {
    kill "$hub"
    wait "$hub" || fail "the hub ends with $?"
    hub=
}
direct() { # what, exit status, message, options…: standard input is passed on
    local what=$1 want=$2 message=$3 status
    shift 3
    timeout 15 "$build/ehring-send" --direct --hub orders --connection-string-file "$dir/state/connection-string" --ca-file "$dir/state/ca.pem" \
        "$@" 2>"$dir/err"
    status=$?
    if [ $status -ne "$want" ] || ! grep -qE -- "$message" "$dir/err"; then
        fail "$what: exit $status, not $want, or it does not say: $message"
        cat "$dir/err"
    fi
}

start_hub
for i in $(seq 2000); do echo "{\"k\":\"key$((i % 7))\",\"i\":$i}"; done >"$dir/in"
direct "keys" 0 '2000 events.*all accepted' --key-json k --number-property n "$dir/in"
direct "a partition" 0 '2000 events' --partition-id 2 <"$dir/in"
stored() { grep -qs "$1" "$dir/store"; }
one_by_one() { # the second only when the hub has the first
    echo first-of-two
    for _ in $(seq 1200); do stored first-of-two && echo second-of-two && return; sleep 0.01; done
}
one_by_one | direct "an event does not wait for the next" 0 '2 events' --key slow
printf 'whole' >"$dir/whole"
EHRING_CONNECTION_STRING=$(cat "$dir/state/connection-string") "$build/ehring-send" --direct --hub orders --ca-file "$dir/state/ca.pem" \
    --files "$dir/whole" 2>"$dir/err" || fail "the connection string of the environment"

head -c 2000000 /dev/zero >"$dir/big"
direct "an event over the limit" 1 'event 1: .*2000[0-9]{3} bytes' --files "$dir/big" "$dir/whole"
direct "a key that is too long" 1 'event 1' --key "$(printf 'k%.0s' $(seq 129))" "$dir/whole"
direct "no such hub" 1 'absent' --hub absent "$dir/whole"
direct "no certificate to trust" 1 'not trusted' --ca-file /etc/ssl/certs/ca-certificates.crt "$dir/whole"
direct "no such certificate" 1 'missing.pem' --ca-file "$dir/missing.pem" "$dir/whole"
direct "no connection string" 2 'No such file' --connection-string-file "$dir/missing" "$dir/whole"
direct "options of rings" 2 'not with --direct' --stream orders "$dir/whole"
sed 's/SharedAccessKey=....../SharedAccessKey=AAAAAA/' "$dir/state/connection-string" >"$dir/wrong"
direct "a wrong key" 1 'RootManageSharedAccessKey' --connection-string-file "$dir/wrong" "$dir/whole"
key=$(sed 's/.*SharedAccessKey=//' "$dir/state/connection-string")
! grep -qF "$key" "$dir/err" || fail "a key in a message"
(unset EHRING_CONNECTION_STRING; "$build/ehring-send" --direct "$dir/whole" 2>"$dir/err")
if [ $? -ne 2 ] || ! grep -q EHRING_CONNECTION_STRING "$dir/err"; then fail "no connection string at all"; fi
stop_hub
grep -qE 'events_per_batch_max=[0-9]{3}' "$dir/hub.log" || fail "no batches: $(tail -n 1 "$dir/hub.log")"
"$build/ehring-hub" --dump "$dir/store" >"$dir/dump"
node -e '
    const events = require("fs").readFileSync(0, "utf8").split("\n").slice(0, -1).map(line => JSON.parse(line))
    const keyed = events.filter(e => e.key?.startsWith("key")).map(e => ({ ...e, body: typeof e.body == "string" ? JSON.parse(e.body) : e.body }))
    const say = (ok, what) => { if (!ok) { console.log("FAIL", what); process.exitCode = 1 } }
    say(keyed.length == 2000 && new Set(keyed.map(e => e.body.i)).size == 2000, "each keyed event once")
    say(keyed.every(e => e.key == e.body.k && e.properties.n == e.body.i), "key and number")
    const last = {}
    say(keyed.every(e => (last[e.key] ?? 0) < e.body.i && (last[e.key] = e.body.i)), "order per key")
    say(events.filter(e => !e.key && e.partition == 2).length >= 2000, "the partition that was asked for")
    const slow = events.filter(e => e.key == "slow")
    say(slow.length == 2 && slow[1].body == "second-of-two", "an event does not wait for the next")
' <"$dir/dump" || failed=1

start_hub --fault reject:1
direct "a batch that is rejected" 1 'event 1 and 1999 more.*amqp:internal-error' <"$dir/in"
stop_hub
direct "no hub at all" 1 'refused' "$dir/whole"
[ $failed -eq 0 ] && echo "ehring-send --direct does what it says"
exit $failed
