#!/usr/bin/env bash
# The doors of a real hub: which ports it opens and names, WebSocket and secure WebSocket with node's own client, certificates that are bad on
# purpose, client certificates, keys and policies, and what it says to options that make no sense.
# shellcheck source=tests/ship_rig.sh
. "$(dirname "$0")/ship_rig.sh"

here=$(dirname "$0")
tls() { timeout 30 openssl s_client -connect "localhost:$(port amqps)" -CAfile "$dir/state/ca.pem" -verify_hostname localhost "$@" 2>&1; }
hub_end() { kill -TERM "$hub"; wait "$hub"; }
counter() { sed -n $'s/^\t"'"$1"$'":\t\\([0-9]*\\),*$/\\1/p' "$dir/stats"; }
refused_with() { # what it says, options…: exit status 2 and the sentence
    local says=$1 out status
    shift
    out=$("$build/ehring-hub" --state-dir "$dir/bad" "$@" 2>&1)
    status=$?
    [[ $status -eq 2 && $out == *"$says"* ]] || fail "$*: status $status, $out"
}

# nothing is opened unless it is asked for
hub_start
grep -qE '^(ws|wss)=' "$dir/ports" && fail "WebSocket ports are open without being asked for"
grep -qE ' (ws|wss)=' "$dir/hub.log" && fail "the ready line names WebSocket ports that nobody asked for"
hub_end

# two addresses, every port
hub_start --listen 127.0.0.1 --listen ::1 --ws-port 0 --wss-port 0
ws=$(port ws) wss=$(port wss)
grep -q "^ready amqp=$(port amqp) amqps=$(port amqps) ws=$ws wss=$wss ca=" "$dir/hub.log" || fail "ready line: $(tail -n 1 "$dir/hub.log")"
urls=("ws://127.0.0.1:$ws/\$servicebus/websocket" "ws://[::1]:$ws/\$servicebus/websocket/" "wss://localhost:$wss/\$servicebus/websocket?x=1"
    "wss://[::1]:$wss/\$servicebus/websocket")
answer=$(NODE_EXTRA_CA_CERTS=$dir/state/ca.pem node --experimental-websocket --no-warnings "$here/hub_ws.mjs" "${urls[@]}" "ws://127.0.0.1:$ws/elsewhere" 2>&1)
expected=$(for url in "${urls[@]}"; do echo "$url protocol=AMQPWSB10 header=AMQP code=1000 clean=true"; done; echo "ws://127.0.0.1:$ws/elsewhere refused")
[ "$answer" = "$expected" ] || fail "node says: $answer"
hub_end
[ "$(counter connections_ws) $(counter connections_wss) $(counter upgrades_refused)" = '3 2 1' ] ||
    fail "counted: ws=$(counter connections_ws) wss=$(counter connections_wss) refused=$(counter upgrades_refused), not 3, 2 and 1"
for file in connection-string connection-string-secondary connection-string-listen; do
    [ -s "$dir/state/$file" ] && [ -s "$dir/state/$file-plain" ] || fail "$file is missing"
done

# certificates that are bad as asked for, and the good one again
while read -r fault verified; do
    if [ "$fault" = none ]; then hub_start; else hub_start --cert-fault "$fault"; fi
    tls </dev/null | grep -qF "Verify return code: $verified" || fail "$fault: $(tls </dev/null | grep 'Verify return code')"
    hub_end
done <<'FAULTS'
expired 10 (certificate has expired)
future 9 (certificate is not yet valid)
other-host 62 (hostname mismatch)
self-signed 18 (self-signed certificate)
none 0 (ok)
FAULTS

# a client certificate is needed: made by the hub itself
hub_start --client-ca "$dir/state/ca.pem" --client-cert-dir "$dir/client" --verbose
greeted() { grep -qaE 'AMQP|alert|errno' "$dir/greeting"; }
greet() { # options…: what comes back is in $dir/greeting
    : >"$dir/greeting"
    (printf 'AMQP\3\1\0\0'; within 20 greeted) | tls -quiet -no_ign_eof "$@" >"$dir/greeting"
}
greet -cert "$dir/client/client.pem" -key "$dir/client/client.key"
grep -qa AMQP "$dir/greeting" || fail "the hub's own client certificate is refused: $(tail -n 3 "$dir/greeting")"
greet
grep -qa AMQP "$dir/greeting" && fail "a client without certificate got in"
hub_end
[ "$(counter handshakes_refused)" = 1 ] || fail "handshakes_refused=$(counter handshakes_refused), not 1"
grep -q 'client certificate refused peer did not return a certificate' "$dir/hub.log" || fail "the refusal is not said"
ls -l "$dir/client/client.key" | grep -q '^-rw-------' || fail "others can read the client's key"

refused_with '--wss-port needs TLS' --no-tls --wss-port 0
refused_with '--ws-port is a port without TLS' --no-plain --ws-port 0
refused_with '--client-ca needs TLS' --no-tls --client-ca x
refused_with '--cert-fault is one of expired, future, other-host, self-signed' --cert-fault rotten
refused_with '--cert-fault is of the certificate that is made' --cert-fault expired --cert a --key b
mapfile -t nine < <(for i in 1 2 3 4 5 6 7 8 9; do printf '%s\n' --listen "127.0.0.$i"; done)
refused_with '--listen takes 8 addresses at most' "${nine[@]}"
[ $failed -eq 0 ] && echo "ports, WebSocket, certificates and keys are as asked for"
