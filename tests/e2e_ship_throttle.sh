#!/usr/bin/env bash
# A hub that is too busy: waited for as long as it says, no failure, nothing twice; afterwards the pace is below the wall and rises slowly. A
# quota of ours keeps off the wall altogether, and is shared fairly by rings.
# shellcheck source=tests/ship_rig.sh
. "$(dirname "$0")/ship_rig.sh"

# ---- the wall: what would be 40,000 events/s meets 5,000 ----
hub_start --hub orders:4
ship_conf <<<"$(stream_conf orders orders)"
ship_start
says 'msg="connection is ready"'
hub_fault 'rate-limit events-per-second=5000 window=200ms wait=1s'
events many 15000 40 | send orders
drained orders 120
arrived "the wall" once many:15000
refused=$(counter orders throttled_deliveries)
[ "$refused" -gt 0 ] || fail "the wall was never met"
# at full speed again and again, each second's wait would end in a refusal for each of four partitions; paced, few do
[ "$refused" -le 40 ] || fail "$refused deliveries hit the wall: there is no pace"
[ "$(counter orders throttled_seconds)" -ge 1 ] || fail "throttled_seconds is $(counter orders throttled_seconds)"
says 'level=warn area=batch msg="batch was not accepted.*condition=com.microsoft:server-busy action=throttle .*retry_ms=1[0-9]{3} .*remedy="the hub is over its throughput'
silent 'circuit is open'
[ "$(counter orders maybe_duplicate_events)" -eq 0 ] || fail "throttled batches count as maybe_duplicate_events"
ship_stop

# ---- below it by choice: one throughput unit are 1,000 events/s; the hub's wall is there too and is not met ----
hub_fault clear
hub_fault 'rate-limit events-per-second=1500 window=1s'
refused=$(counter orders throttled_deliveries)
ship_conf <<<"$(stream_conf orders orders; echo 'throughput_units = 1'; echo 'batch_count_max = 50')"
ship_start
events large 6000 1 | send orders --name large --capacity 2M
events small 300 1 | send orders --name small --capacity 2M --flush-ms 60000
[ "$(counter orders accepted_events)" -ge 0 ] && "$build/ehring-hub" --dump "$dir/store" >"$dir/dump"
left=$(grep -c '\\"large\\"' "$dir/dump")
[ "$left" -lt 6000 ] || fail "a ring of 300 events had to wait for one of 6,000 that came first"
drained orders 60
arrived "the quota" once many:15000 large:6000 small:300
[ "$(counter orders throttled_deliveries)" -eq "$refused" ] || fail "the hub had to slow down what throughput_units should have"
"$build/ehring-stat" --audit >"$dir/audit" || { fail "the audit ends with $?"; cat "$dir/audit"; }
ship_stop
[ $failed -eq 0 ] && echo "a busy hub is given its time"
