#!/usr/bin/env bash
# The official SDKs for JavaScript and Python as judges: one list of events (conformance.json) is sent by each of them over AMQP, over WebSocket
# and through an HTTP proxy to a private endpoint, by a shipper out of rings, and by the direct client. Each SDK then reads what all of them have
# sent, over AMQP and over WebSocket, and compares every event with the list. What the readers have seen must be the same to the byte.
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/ship_rig.sh
. "$here/../ship_rig.sh"
# shellcheck source=tests/sdk/address.sh
. "$here/address.sh"
python=/usr/bin/python3 # Debian's, whose packages the SDK is one of
sdk=$(EHRING_BUILD="$build" "$here/install") || { echo "the JavaScript SDK is not there"; exit 1; }
"$python" -c 'import azure.eventhub, websocket' 2>"$dir/python.log" || { echo "the Python SDK is not there"; cat "$dir/python.log"; exit 1; }
export NODE_EXTRA_CA_CERTS=$dir/state/ca.pem NODE_NO_WARNINGS=1 PYTHONDONTWRITEBYTECODE=1
senders=(js-amqp js-ws js-proxy py-amqp py-ws py-proxy ring direct tool-ring tool-direct)
list=$here/conformance.json limit=1048576

# shellcheck disable=SC2086 # several words
"${CC:-cc}" -std=gnu11 -O2 -Wall -Wextra -Werror ${FEED_CFLAGS:-} -I"$here/../../client" -I"$here/../../shipper" -o "$dir/conform" "$here/conform.c" \
    "$build/libehring.a" "$build/libehring-direct.so" -Wl,-rpath,"$build" -lcjson -pthread || exit 1

# 443 is root's; for others the SDKs are told the port, as that of a private endpoint
wss_port=443 namespace=judges.servicebus.invalid
[ "$(cat /proc/sys/net/ipv4/ip_unprivileged_port_start)" -le 443 ] || [ "$(id -u)" -eq 0 ] || wss_port=0
hubs=(--hub ends:4)
for hub_name in "${senders[@]}"; do hubs+=(--hub "$hub_name:4:first,second"); done
hub_start --listen "$address" --no-plain --amqps-port 5671 --wss-port $wss_port --name $namespace "${hubs[@]}"
endpoint=$address:$(port wss)

# a proxy that asks for a password and lets nobody through but to the hub
proxy_password=$(od -An -N12 -tx1 /dev/urandom | tr -d ' \n')
printf 'Port %d\nListen %s\nPidFile "%s"\nLogFile "%s"\nLogLevel Connect\nMaxClients 100\nBasicAuth judge %s\nConnectPort %d\n' \
    8443 "$address" "$dir/proxy.pid" "$dir/proxy.log" "$proxy_password" "$(port wss)" >"$dir/proxy.conf"
tinyproxy -d -c "$dir/proxy.conf" >"$dir/proxy.out.log" 2>&1 &
proxy_answers() { (exec 8<>"/dev/tcp/$address/8443") 2>/dev/null; }
within 20 proxy_answers || { fail "the proxy does not start"; exit 1; }

plan() { # transports…: what judge.mjs and judge.py are to do
    node -e '
        const [list, connection, ca, dir, endpoint, namespace, host, password, senders, ...transports] = process.argv.slice(1)
        const ends = Object.fromEntries(["js-amqp", "js-ws", "py-amqp", "py-ws"].map((name, i) => [name, String(i)]))
        const described = ["js-ws", "py-amqp", "ring"]
        const proxy = { proxy_hostname: host, proxy_port: 8443, username: "judge", password }
        console.log(JSON.stringify({ list, connection, ca, dir, endpoint, namespace, proxy, ends, transports, hubs: senders.split(" "), described }))
    ' "$list" "$connection" "$dir/state/ca.pem" "$dir" "$endpoint" "$namespace" "$address" "$proxy_password" "${senders[*]}" "$@"
}
plan amqp ws proxy >"$dir/send.json"
plan amqp ws >"$dir/read.json"

together() { # name=…: waits for what was started in the background, and says which of it failed
    local what
    for what in "$@"; do
        wait "${what#*=}" || { fail "${what%%=*}"; tail -n 20 "$dir/${what%%=*}.log"; }
    done
}

ship_conf "workers = 2" <<<"$(stream_conf ring ring; stream_conf tool-ring tool-ring)"
ship_start
direct=(--direct --connection-string-file "$connection" --ca-file "$dir/state/ca.pem" --hub tool-direct)
key=$(node -p 'JSON.parse(require("fs").readFileSync(process.argv[1])).frames.key' "$list")
tool() { "$build/ehring-send" "$@" --key "$key" --content-type application/octet-stream --number-property n --frames "$dir/frames"; }
node "$sdk/judge.mjs" frames "$dir/send.json" || fail "frames"
timeout 60 node "$sdk/judge.mjs" send "$dir/send.json" >"$dir/send-js.log" 2>&1 & js=$!
timeout 60 "$python" "$here/judge.py" send "$dir/send.json" >"$dir/send-py.log" 2>&1 & py=$!
timeout 60 "$dir/conform" ring "$list" ring >"$dir/conform-ring.log" 2>&1 & ring=$!
timeout 60 "$dir/conform" direct "$list" direct "$connection" "$dir/state/ca.pem" >"$dir/conform-direct.log" 2>&1 & by_hand=$!
tool --stream tool-ring --make-stream-dir --capacity 16M --flush-ms 30000 >"$dir/tool-ring.log" 2>&1 & tool_ring=$!
tool "${direct[@]}" >"$dir/tool-direct.log" 2>&1 & tool_direct=$!
together send-js=$js send-py=$py conform-ring=$ring conform-direct=$by_hand tool-ring=$tool_ring tool-direct=$tool_direct
grep -q "$limit" "$dir/conform-direct.log" || fail "the direct client refuses an event over the limit without naming it"

# over the limit: nothing of it arrives, else the readers would say so
refused() { # what, the limit it names, options…
    head -c $((limit + 1)) /dev/zero >"$dir/over"
    if "$build/ehring-send" "${@:3}" --files "$dir/over" 2>"$dir/over.log"; then fail "$1 takes $((limit + 1)) bytes"; fi
    grep -qE "$2" "$dir/over.log" || fail "$1 does not name the limit: $(cat "$dir/over.log")"
}
refused "a ring" 'up to 104[0-9]{4} bytes' --stream tool-ring --capacity 16M
refused "the direct client" $limit "${direct[@]}"

timeout 90 node "$sdk/judge.mjs" read "$dir/read.json" >"$dir/read-js.log" 2>&1 & js=$!
timeout 90 "$python" "$here/judge.py" read "$dir/read.json" >"$dir/read-py.log" 2>&1 & py=$!
together read-js=$js read-py=$py
for reader in js-ws py-amqp py-ws; do
    cmp "$dir/seen-js-amqp.json" "$dir/seen-$reader.json" || fail "js-amqp and $reader do not see the same"
done
ship_stop
[ "$(grep -c 'CONNECT' "$dir/proxy.log")" -ge 2 ] || fail "nobody went through the proxy"
if grep -lF "$proxy_password" "$dir"/*.log; then fail "the proxy's password is in a log"; fi
[ $failed -eq 0 ] && echo "both SDKs have sent the list and have read it from ${#senders[@]} senders; $(cat "$dir"/*-py.log | tr '\n' ' ')"
