#!/usr/bin/env bash
# Tokens that live twelve seconds are renewed under load: no link detached, no connection made anew, nothing sent twice. A renewal that the
# hub fails keeps the old token to its end. Tokens that the hub calls expired are made anew, and nothing is lost.
# shellcheck source=tests/ship_rig.sh
. "$(dirname "$0")/ship_rig.sh"
renewed() { [ "$(counter orders token_count)" -ge "$1" ]; }
undisturbed() { # what
    local name
    for name in connection_lost_count connect_failed_count link_ended_count unknown_deliveries rejected_deliveries maybe_duplicate_events; do
        [ "$(counter orders $name)" -eq 0 ] || fail "$1: $name is $(counter orders $name)"
    done
}

hub_start --hub orders:8
ship_conf 'workers = 2' <<<"$(stream_conf orders orders; echo 'token_seconds = 12'; echo 'max_size = 2')" # three are left for a renewal
ship_start
seq 200000 | awk '{ printf "{\"k\":\"k%d\",\"p\":\"load\",\"i\":%d}\n", $1 % 23, $1 }' >"$dir/load"
send orders --rate 10000 <"$dir/load" & # twenty seconds and more
loader=$!
within 60 renewed 6 || fail "token_count is $(counter orders token_count)" # two connections, each its first and two renewals
wait "$loader"
drained orders
undisturbed "renewals under load"
arrived "renewals under load" once load:200000

# ---- the hub has no answer to give for a while: the old token is still good ----
hub_fault 'fail-cbs next=2 status=500 condition=amqp:internal-error text="Try later."'
says 'level=warn area=pool msg="token not taken now".*status 500.*token="the old one is still in use"'
now=$(counter orders token_count)
within 30 renewed $((now + 2)) || fail "no token after a failed renewal"
events calm 500 | send orders --flush-ms 30000
undisturbed "a failed renewal"

# ---- expired by the hub, under load: new connections with new tokens, at least once, in order ----
# shellcheck disable=SC2016 # awk's own
awk -v stop="$dir/stop" -v count="$dir/count" 'BEGIN { # until it is told to stop
    for (i = 1; i % 1000 || (getline line <stop) < 0; i++) printf "{\"k\":\"k%d\",\"p\":\"more\",\"i\":%d}\n", i % 23, i
    print i - 1 >count
}' | send orders --rate 20000 &
loader=$!
for _ in 1 2 3; do
    connects=$(counter orders connect_count)
    hub_fault expire-tokens
    more_connects() { [ "$(counter orders connect_count)" -gt "$connects" ]; }
    within 30 more_connects || fail "no new connection after the hub called the token expired"
done
touch "$dir/stop"
wait "$loader"
drained orders
says 'msg="the service withdrew the authorisation: a new token is needed"'
arrived "expired tokens" at_least load:200000 calm:500 more:"$(cat "$dir/count")"
"$build/ehring-stat" --audit >"$dir/audit" || { fail "the audit ends with $?"; cat "$dir/audit"; }
ship_stop
[ $failed -eq 0 ] && echo "tokens come and go, events arrive"
