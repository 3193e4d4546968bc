#!/usr/bin/env bash
# log_level = info, wire=trace: every frame of a connection is a line, both ways, over TLS; no token, no key, no payload, no property is in
# any of them. HUP turns it on for the connections made from then on, and off at once.
# shellcheck source=tests/ship_rig.sh
. "$(dirname "$0")/ship_rig.sh"
tells() { # what, pattern…: one line has them all, in this order
    local what=$1
    shift
    says "level=trace area=wire msg=\"$what\" stream=orders worker=0 conn=[0-9a-f]+ .*$(printf '%s.*' "$@")"
}
frames() { grep -c 'area=wire' "$log"; }
secret_event() { echo '{"k":"KEYOFTHEEVENT","p":"PAYLOADOFTHEEVENT","i":1}' | send orders --number-property NAMEOFTHEPROPERTY --flush-ms 30000; }
discreet() { # what
    local word
    for word in KEYOFTHEEVENT PAYLOADOFTHEEVENT NAMEOFTHEPROPERTY SharedAccessSignature 'sig=' "$(sed 's/.*SharedAccessKey=//' "$connection" | cut -c1-12)"; do
        if grep -qF -- "$word" "$log"; then fail "$1: the log has $word: $(grep -m1 -F -- "$word" "$log")"; fi
    done
}
connection_anew() { # the hub ends the connection, an event needs the next one
    local connects
    connects=$(counter orders connect_count)
    hub_fault expire-tokens
    within 20 withdrawn $((withdrawals += 1)) || fail "the hub's faults do nothing"
    secret_event
    [ "$(counter orders connect_count)" -gt "$connects" ] || fail "no new connection"
}
withdrawals=0
withdrawn() { [ "$(grep -c 'msg="the service withdrew the authorisation' "$log")" -ge "$1" ]; }

# ---- off: nothing ----
hub_start --hub orders:1
ship_conf 'log_level = info' <<<"$(stream_conf orders orders)"
ship_start
secret_event
silent 'area=wire'

# ---- on by HUP: the next connection, from its first byte ----
sed -i 's/^log_level.*/log_level = info, wire=trace/' "$conf"
kill -HUP "$shipper"
says 'msg="the configuration was read again and applied"'
connection_anew
tells 'sent protocol header' 'protocol=sasl version=1.0.0'
tells 'received sasl-mechanisms' 'ANONYMOUS'
tells 'sent sasl-init' 'mechanism=ANONYMOUS initial-response=masked'
tells 'received sasl-outcome' 'code=ok'
tells 'sent open' 'container-id=ehring-' 'hostname=localhost' 'idle-time-out=' 'properties.product=ehring'
tells 'received open' 'container-id=' 'max-frame-size='
tells 'sent attach' 'role=sender' 'target.address=\$cbs'
tells 'sent transfer' 'node=\$cbs' 'operation=put-token type=servicebus.windows.net:sastoken name=sb://localhost/orders'
tells 'received transfer' 'node=\$cbs' 'status-code=202 status-description=Accepted'
tells 'sent transfer' 'node=\$management' 'operation=READ name=orders type=com.microsoft:eventhub security_token=masked'
tells 'received transfer' 'node=\$management' 'status-code=200'
tells 'sent attach' 'target.address=orders/Partitions/0'
tells 'received attach' 'role=receiver' 'max-message-size=1048576'
tells 'received flow' 'link-credit='
tells 'sent transfer' 'delivery-tag=0x[0-9a-f]{8} message-format=0x80013700 payload='
tells 'received disposition' 'role=receiver' 'state=accepted'
silent 'unknown frame|not AMQP'
discreet "shipping"

# ---- what the hub refuses is there with condition and text ----
hub_fault 'fail-cbs next=1 status=401 condition=amqp:unauthorized-access text="InvalidSignature: The token has an invalid signature."'
connection_anew
tells 'received transfer' 'node=\$cbs' 'status-code=401 status-description="InvalidSignature: The token has an invalid signature."'
hub_fault 'reject next=1 condition=com.microsoft:server-busy text="Please wait 4 seconds"'
secret_event
tells 'received disposition' 'state=rejected state.error.condition=com.microsoft:server-busy state.error.description="Please wait 4 seconds'
discreet "errors"

# ---- off by HUP, at once ----
sed -i 's/^log_level.*/log_level = info/' "$conf"
kill -HUP "$shipper"
applied() { [ "$(grep -c 'msg="the configuration was read again and applied"' "$log")" -eq 2 ]; }
within 20 applied || fail "HUP is not applied"
before=$(frames)
secret_event
[ "$(frames)" -eq "$before" ] || fail "frames are told though nobody wants them"
ship_stop

# ---- ehring-send --direct --trace: the same on its standard error ----
log=$dir/direct.log
echo PAYLOADOFTHEEVENT | "$build/ehring-send" --direct --trace --hub orders --connection-string-file "$connection" --ca-file "$dir/state/ca.pem" \
    --key KEYOFTHEEVENT 2>"$log" || fail "ehring-send --direct --trace"
says 'area=wire msg="sent transfer" conn=[0-9]+ .*node=\$cbs.*operation=put-token'
says 'area=wire msg="sent transfer" conn=[0-9]+ .*payload='
says 'area=wire msg="received disposition" conn=[0-9]+ .*state=accepted'
discreet "ehring-send"
[ $failed -eq 0 ] && echo "frames are told, secrets are not"
