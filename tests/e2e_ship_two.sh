#!/usr/bin/env bash
# Streams of one worker, each with a hub of its own: one hub stands still with everything half-sent, another answers nothing that is sent to any
# of its many partitions; the other stream must not notice.
# shellcheck source=tests/ship_rig.sh
. "$(dirname "$0")/ship_rig.sh"

hub_start --hub lively:4 --hub many:400
"$build/ehring-hub" --amqp-port 0 --amqps-port 0 --ports-file "$dir/still.ports" --state-dir "$dir/state.still" --hub still:32 --sink >>"$dir/hub.log" 2>&1 &
still=$!
within 20 test -s "$dir/still.ports" || fail "the second hub does not start"
{
    stream_conf many many
    stream_conf lively lively
    # shellcheck disable=SC2016 # the shipper's own
    printf '[stream still]\nhub = still\nconnection_string = ${file:%s}\nca_file = %s\n%s\n' "$dir/state.still/connection-string" "$dir/state.still/ca.pem" "$quick"
} | ship_conf 'workers = 1' 'log_level = info' 'drain_seconds = 1'
ship_start
says 'connection is ready.*stream=lively'
says 'connection is ready.*stream=still'
lines() { # count, length: each of another key, without a key in the end
    awk -v n="$1" -v len="$2" 'BEGIN { pad = sprintf("%*s", len, ""); for (i = 0; i < n; i++) print i pad }' |
        "$build/ehring-send" --stream still --key-regex '^([0-9]+)' --capacity 64M 2>>"$dir/send.log" || fail "ehring-send: $(tail -n 1 "$dir/send.log")"
}
lines 1000 10 # opens the links of all partitions
drained still
kill -STOP "$still"
lines 12000 2000 # 24 MB: more than sockets and windows take
sleep 0.5
events a 2000 | send lively
within 20 no_rings lively || fail "a hub that stands still has stopped the other stream"
arrived "the lively stream" once a:2000
kill -CONT "$still"
drained still 60

# a batch of each partition is on its way for as long as nobody answers: the worker's table of them is not the one stream's alone
hub_fault 'silent-disposition address=many/*'
stands() { # no further batch is begun
    local before
    before=$(counter many batch_count)
    sleep 0.5
    [ "$before" -ge 100 ] && [ "$(counter many batch_count)" -eq "$before" ]
}
awk 'BEGIN { for (i = 0; i < 5000; i++) print i }' | "$build/ehring-send" --stream many --make-stream-dir --key-regex '^([0-9]+)' 2>>"$dir/send.log" || fail "ehring-send: $(tail -n 1 "$dir/send.log")"
within 30 stands || fail "$(counter many batch_count) batches are on their way to a hub that does not answer"
events b 2000 | send lively
within 20 no_rings lively || fail "a hub that does not answer has stopped the other stream, with $(counter many batch_count) batches on their way"
"$build/ehring-hub" --dump "$dir/store" | grep -c '"p\\":\\"b\\"' >"$dir/count"
[ "$(cat "$dir/count")" -eq 2000 ] || fail "of the lively stream's 2000 events $(cat "$dir/count") arrived"
ship_stop
kill "$still"
wait "$still"
[ $failed -eq 0 ] && echo "ok"
exit $failed
