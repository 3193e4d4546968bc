#!/usr/bin/env bash
# Events that nobody takes: a bad one among ten thousand costs a few sends more and ends alone in the dead-letter file, the others arrive in
# order; so do one that is too large, one refused too often, those too old, those of a partition that does not exist. What was dead-lettered
# can be replayed. A dead-letter file that cannot be written holds its partition and loses nothing.
# shellcheck source=tests/ship_rig.sh
. "$(dirname "$0")/ship_rig.sh"
export EHRING_DEAD_LETTERS=$dir/dead

poison_conf() { # lines of the stream
    ship_conf "dead_letters = $EHRING_DEAD_LETTERS" <<<"$(stream_conf orders orders; printf '%s\n' "$@")"
}
letters() { # a field: of all dead letters
    "$build/ehring-ctl" dead-letter show -j 2>>"$dir/ctl.log" | node -e '
        for (const line of require("fs").readFileSync(0, "utf8").split("\n").slice(0, -1)) console.log(JSON.parse(line)[process.argv[1]])' "$1"
}
audited() { "$build/ehring-stat" --audit >"$dir/audit" || { fail "$1: the audit ends with $?"; cat "$dir/audit"; }; }

# ---- one bad event among ten thousand ----
hub_start --hub orders:4 --fault 'reject body=bad condition=amqp:decode-error text="The format code is unexpected."'
poison_conf 'linger_ms = 300'
ship_start
says 'msg="connection is ready"'
{ events good 6000 1; events bad 1 1; events good 4000 1 6001; } | send orders --flush-ms 30000
drained orders
[ "$(letters body)" = '{"k":"k0","p":"bad","i":1}' ] || fail "dead letters: $(letters body)"
[ "$(letters reason) $(letters condition) $(letters key)" = "rejected amqp:decode-error k0" ] || fail "$(letters reason) $(letters condition)"
arrived "poison" once good:10000
[ "$(counter orders dead_lettered_events)" = 1 ] || fail "dead_lettered_events is $(counter orders dead_lettered_events)"
sends=$(counter orders batch_count) refused=$(counter orders rejected_deliveries)
# 2 log2 of the largest possible batch are 27; a few more are those that any run has: one for each 300 ms
[ "$refused" -le 15 ] || fail "$refused batches were refused to find one event among 10,000"
[ "$sends" -le 37 ] || fail "$sends sends for 10,000 events of one key and one of them bad"
audited "poison"

# ---- replay when the cause is gone, once ----
hub_fault clear
"$build/ehring-ctl" dead-letter replay --stream orders --rings "$EHRING_RINGS" >"$dir/replay" 2>&1 || fail "replay: $(cat "$dir/replay")"
"$build/ehring-ctl" dead-letter replay --stream orders --rings "$EHRING_RINGS" >"$dir/replay" 2>&1 || fail "replay again: $(cat "$dir/replay")"
drained orders
arrived "replay" once good:10000 bad:1
audited "replay"

# ---- refused too often, while all others go on; too large for its link; a partition that is not there ----
hub_fault 'reject body=often condition=amqp:internal-error'
ship_stop
poison_conf 'max_retries = 2' 'linger_ms = 50'
ship_start
{ events fine 300 1; events often 1 1; events fine 300 1 301; } | send orders --flush-ms 30000
drained orders
[ "$(letters reason | tail -n 1) $(letters body | tail -n 1)" = 'retries {"k":"k0","p":"often","i":1}' ] || fail "refused too often: $(letters reason)"
arrived "refused too often" once good:10000 bad:1 fine:600
ship_stop # a shipper would tell the ring the limit, and the library would refuse the event
hub_fault 'max-message-size bytes=20000'
{ events small 100 1; head -c 30000 /dev/zero | tr '\0' x; echo; events small 100 1 101; } |
    "$build/ehring-send" --stream orders --key k0 --capacity 1M 2>>"$dir/send.log" || fail "ehring-send: $(tail -n 1 "$dir/send.log")"
ship_start
drained orders
[ "$(letters reason | tail -n 1)" = too-large ] || fail "too large: $(letters reason)"
letters description | tail -n 1 | grep -q '30000 bytes exceeds the link.s maximum' || fail "too large: $(letters description | tail -n 1)"
echo nowhere | "$build/ehring-send" --stream orders --partition-id 7 2>>"$dir/send.log" || fail "ehring-send: $(tail -n 1 "$dir/send.log")"
drained orders
[ "$(letters reason | tail -n 1) $(letters body | tail -n 1)" = "no-partition nowhere" ] || fail "no partition: $(letters reason | tail -n 1)"
hub_fault clear
[ "$(letters id | sort | uniq -d)" = "" ] || fail "an event was dead-lettered twice"
audited "other reasons"

# ---- a dead-letter directory that cannot be written: held, named, nothing lost; on when it can ----
ship_stop
export EHRING_DEAD_LETTERS=$dir/blocked/dead
: >"$dir/blocked" # a file where a directory should be: root is not kept out by modes
poison_conf 'max_retries = 1'
hub_fault 'reject body=held'
ship_start
{ events held 1 1; events behind 50 1; } | send orders
says 'level=error area=deadletter msg="dead letters cannot be written: their partition waits" stream=orders .*blocked'
[ "$(counter orders dead_letter_failed_count)" -gt 0 ] || fail "dead_letter_failed_count"
audited "held"
rm "$dir/blocked"
drained orders
[ "$(letters body)" = '{"k":"k0","p":"held","i":1}' ] || fail "held: $(letters body)"
"$build/ehring-hub" --dump "$dir/store" | grep -c '\\"behind\\"' | grep -qx 50 || fail "what was behind the held event has not arrived"
audited "released"

# ---- a full disk, where one can be mounted: the same, until there is room again ----
full_disk() {
    mkdir "$dir/disk" && mount -t tmpfs -o size=256k tmpfs "$dir/disk" 2>/dev/null || return 0
    ship_stop
    export EHRING_DEAD_LETTERS=$dir/disk/dead
    mkdir "$EHRING_DEAD_LETTERS"
    cat /dev/zero >"$dir/disk/filler" 2>/dev/null
    poison_conf
    hub_fault 'reject body=full condition=amqp:decode-error'
    ship_start
    { events full 1 1; events after 50 1; } | send orders
    says 'level=error area=deadletter msg="dead letters cannot be written: their partition waits".*No space left on device'
    audited "full disk"
    rm "$dir/disk/filler"
    drained orders
    [ "$(letters body)" = '{"k":"k0","p":"full","i":1}' ] || fail "full disk: $(letters body)"
    "$build/ehring-hub" --dump "$dir/store" | grep -c '\\"after\\"' | grep -qx 50 || fail "what was behind the held event has not arrived"
    audited "room again"
    ship_stop
    umount "$dir/disk"
    ship_start
}
full_disk

# ---- the ring of a condemned event is cut before its letter is written: its partition goes on with the others' events ----
ship_stop
export EHRING_DEAD_LETTERS=$dir/blocked/again
rm -rf "$dir/blocked"
: >"$dir/blocked"
poison_conf
hub_fault 'reject body=cut condition=amqp:decode-error'
ship_start
events cut 1 1 | send orders
says 'msg="dead letters cannot be written: their partition waits"'
truncate -s 4096 "$dir"/r/orders/*.ring
says 'msg="ring is in quarantine"'
events next 20 1 | send orders --flush-ms 20000
rm "$dir"/r/orders/*.ring # the one that is kept
drained orders

# ---- too old: an outage's events, only where max_age_seconds says so ----
ship_stop
hub_fault clear
export EHRING_DEAD_LETTERS=$dir/old
poison_conf 'max_age_seconds = 1'
ship_start
says 'msg="connection is ready"' # it knows the hub's partitions
hub_stop
events stale 20 1 | send orders
drained orders
[ "$(letters reason | sort -u)" = age ] || fail "too old: $(letters reason | sort | uniq -c)"
[ "$(letters body | wc -l)" -eq 20 ] || fail "too old: $(letters body | wc -l) of 20"
audited "too old"
ship_stop
[ $failed -eq 0 ] && echo "what nobody takes is kept, and all else arrives in order"
