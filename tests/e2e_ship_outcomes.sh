#!/usr/bin/env bash
# Whatever the hub says about a batch - rejected, released, modified, throttled, its link detached, its connection cut - the log has the
# condition, all events arrive in order per key, and what may have arrived twice is counted as such.
# shellcheck source=tests/ship_rig.sh
. "$(dirname "$0")/ship_rig.sh"

total=0
fault() { # at_least|once, fault, what the log must say
    local name=${2%%:*}
    rm -f "$dir/store"
    hub_start --hub orders:4 --fault "$2"
    ship_conf "workers = 2" <<<"$(stream_conf orders orders; echo "batch_count_max = 100")"
    ship_start
    events "$name" 2000 | send orders
    total=$((total + 2000))
    drained orders
    says "$3"
    ship_stop
    arrived "$2" "$1" "$name:2000"
    hub_stop
}
not_accepted='level=warn area=batch msg="batch was not accepted, it is sent again" stream=orders domain=[0-9]+ outcome'
fault once reject:3 "$not_accepted=rejected condition=amqp:internal-error .*reason=.*told to reject"
fault once reject:4:amqp:not-allowed:no "$not_accepted=rejected condition=amqp:not-allowed"
fault once release:3 "$not_accepted=released"
fault once modify:3 "$not_accepted=modified"
fault once throttle:19 "$not_accepted=rejected condition=com.microsoft:server-busy .*retry_ms=[4-9][0-9]{3}"
fault at_least detach-after:4 'msg="link (refused or lost|detached by the service)" .*condition=amqp:link:detach-forced'

# an unknown outcome: stored, and the connection cut without an answer
before=$(counter orders maybe_duplicate_events)
fault at_least drop-after:6 'msg="(connection lost|connection closed by the peer|connection closed)"'
for outcome in rejected released modified unknown; do
    [ "$(counter orders ${outcome}_deliveries)" -gt 0 ] || fail "no batch is counted as $outcome"
done
repeated=$(($(wc -l <"$dir/dump") - 2000)) suspected=$(($(counter orders maybe_duplicate_events) - before))
[ $repeated -gt 0 ] || fail "nothing was repeated"
[ $suspected -ge $repeated ] || fail "$repeated events were repeated, $suspected are counted as maybe_duplicate_events"
ledger="$(counter orders committed_events) $(counter orders accepted_events) $(counter orders dropped_events)"
[ "$ledger" = "$total $total 0" ] || fail "ledger (committed accepted dropped): $ledger"
[ $failed -eq 0 ] && echo "whatever becomes of a batch, its events arrive in order"
