#!/usr/bin/env bash
# Every way from here to a hub: AMQP and WebSocket, with TLS and without, straight, to another address, and through a proxy that wants a
# password; by io_uring and by epoll, and by ehring-send --direct. Whatever is in the way has a sentence of its own; no secret is in a log.
# shellcheck source=tests/ship_rig.sh
. "$(dirname "$0")/ship_rig.sh"

proxies='' proxy_port=0
port_free() { # a port that nobody listens on now
    node -e 'const s = require("net").createServer().listen(0, "127.0.0.1", () => { console.log(s.address().port); s.close() })'
}
proxy_try() { # lines of its configuration…: a tinyproxy on a port that was free a moment ago
    proxy_port=$(port_free)
    { printf 'Port %s\nListen 127.0.0.1\nAllow 127.0.0.1\nTimeout 600\nMaxClients 100\nLogLevel Connect\nLogFile "%s/proxy.txt"\n' "$proxy_port" "$dir"
      printf '%s\n' "$@"; } >"$dir/proxy.conf"
    (umask 077; exec tinyproxy -d -c "$dir/proxy.conf") >/dev/null 2>&1 &
    proxies=$!
    within 5 node -e 'require("net").connect(+process.argv[1], "127.0.0.1").on("connect", () => process.exit(0)).on("error", () => process.exit(1))' "$proxy_port"
}
proxy_start() {
    local try
    for try in 1 2 3; do proxy_try "$@" && return; kill "$proxies" 2>/dev/null; done
    fail "tinyproxy does not start (try $try)"
}
proxy_stop() {
    kill "$proxies"
    wait "$proxies" 2>/dev/null
}
tunnels() { grep -c "CONNECT" "$dir/proxy.txt"; }

at_port() { # port, host: the hub's connection string with them, into the file that the streams read
    (umask 077; sed -E "s|sb://[^:/]*(:[0-9]+)?|sb://${2:-localhost}:$1|" "$dir/state/connection-string${3:-}" >"$dir/given.secret")
}
hub_doors+=(ws wss)
hub_up() { # options…
    hub_start --hub orders:4 --name contoso.example "$@"
    ws=$(port ws) wss=$(port wss)
}
lines() { # settings…: the stream's section
    # shellcheck disable=SC2016 # the shipper's own
    printf '[stream orders]\nhub = orders\nconnection_string = ${file:%s}\n%s\n' "$dir/given.secret" "$quick"
    printf '%s\n' "$@"
}
direct() { # settings…: standard input by ehring-send --direct
    local setting sets=()
    for setting in "$@"; do sets+=(--set "$setting"); done
    timeout 30 "$build/ehring-send" --direct --hub orders --connection-string-file "$dir/given.secret" --key-json k "${sets[@]}" 2>&1
}
sent=()
passes() { # producer, settings…: events arrive by a shipper, each once, and by ehring-send --direct
    local producer=$1
    shift
    ship_conf "net = $net" < <(lines "$@")
    events "$producer" 200 | send orders
    ship_start
    drained orders
    says 'msg="connection is ready"'
    ship_stop
    sent+=("$producer:200")
    events "direct-$producer" 20 | direct "$@" >"$dir/direct.log" || fail "$producer: ehring-send --direct ends with $?: $(tail -n 1 "$dir/direct.log")"
    sent+=("direct-$producer:20")
}
meets() { # what, words of the log, words of ehring-send, settings…
    local what=$1 log_words=$2 direct_words=$3 said
    shift 3
    ship_conf "net = $net" "drain_seconds = 1" < <(lines "$@")
    ship_start
    says "level=warn .*$log_words"
    silent 'msg="connection is ready"'
    ship_stop
    said=$(events x 1 | direct "$@") && fail "$what: ehring-send --direct succeeds"
    grep -qE -- "$direct_words" <<<"$said" || fail "$what: ehring-send --direct does not say: $direct_words, but: $said"
    [ $failed -eq 0 ] && echo "     … $what: ${said##*: }"
}

ca="ca_file = $dir/state/ca.pem"
hub_up
proxy_start 'BasicAuth ehring sesame17'
printf 'SharedAccessKey=sesame17\n' >"$dir/proxy.secret" # looked for in every log
printf 'sesame17' >"$dir/proxy.password"
through=("proxy = http://127.0.0.1:$proxy_port" "proxy_user = ehring" "proxy_password = \${file:$dir/proxy.password}")
chmod 600 "$dir/proxy.password"

# ---- every way is a way ----
for net in uring epoll; do
    at_port "$(port amqps)"
    passes "$net-amqps" "$ca"
    before=$(tunnels)
    passes "$net-amqps-proxy" "$ca" "${through[@]}"
    [ "$(tunnels)" -ge $((before + 2)) ] || fail "$net: AMQP has not gone through the proxy"
    at_port "$wss"
    passes "$net-wss" "$ca" "transport = websocket"
    before=$(tunnels)
    passes "$net-wss-proxy" "$ca" "transport = websocket" "${through[@]}"
    [ "$(tunnels)" -ge $((before + 2)) ] || fail "$net: WebSocket has not gone through the proxy"
    at_port "$ws" localhost -plain
    passes "$net-ws" "transport = websocket"
    passes "$net-ws-proxy" "transport = websocket" "${through[@]}"
    # names that no resolver knows, at an address that is given; a proxy resolves for itself
    at_port 443 contoso.example
    passes "$net-endpoint" "$ca" "transport = websocket" "endpoint = 127.0.0.1:$wss"
    passes "$net-endpoint-proxy" "$ca" "endpoint = localhost:$(port amqps)" "${through[@]}"
    grep -q "CONNECT localhost:$(port amqps)" "$dir/proxy.txt" || fail "$net: the proxy was not asked by name"
done

# the environment names the proxy, or keeps us from it
at_port "$wss"
before=$(tunnels)
https_proxy="http://ehring:sesame17@127.0.0.1:$proxy_port" passes auto "$ca" "transport = websocket" "proxy = auto"
[ "$(tunnels)" -ge $((before + 2)) ] || fail "https_proxy is not honoured"
before=$(tunnels)
https_proxy="http://ehring:sesame17@127.0.0.1:$proxy_port" no_proxy=".local,localhost" passes auto-no "$ca" "transport = websocket" "proxy = auto"
[ "$(tunnels)" -eq "$before" ] || fail "no_proxy is not honoured"
arrived "events by every way" once "${sent[@]}"

# a stop in order: what a client sends last in a WebSocket is a close frame
# shellcheck disable=SC2016 # JavaScript's own
node -e '
    const net = require("net"), fs = require("fs"), [to, ports, last] = process.argv.slice(1)
    net.createServer(client => {
        let tail = Buffer.alloc(0)
        const hub = net.connect(+to, "127.0.0.1")
        client.on("data", bytes => { tail = Buffer.concat([tail, bytes]).subarray(-8); hub.write(bytes) })
        client.on("error", () => {}).on("close", () => { hub.destroy(); fs.appendFileSync(last, tail.toString("hex") + "\n") })
        hub.on("data", bytes => client.write(bytes)).on("error", () => {}).on("close", () => client.end())
    }).listen(0, "127.0.0.1", function () { fs.writeFileSync(ports, String(this.address().port)) })
' "$ws" "$dir/relay.port" "$dir/relay.last" &
relay=$!
within 20 test -s "$dir/relay.port" || fail "no relay"
at_port "$(cat "$dir/relay.port")" localhost -plain
for net in uring epoll; do passes "$net-farewell" "transport = websocket"; done
farewells() { [ -s "$dir/relay.last" ] && [ "$(wc -l <"$dir/relay.last")" -ge 4 ]; } # of a shipper and of ehring-send, twice
within 20 farewells || fail "the relay has not seen all connections"
grep -qvE '^8882........(....)$' "$dir/relay.last" && fail "a connection did not end with a close frame: $(cat "$dir/relay.last")"
kill $relay
at_port "$wss"

# a hub that dies and comes again, behind WebSocket and proxy; bodies larger than a frame
net=auto
ship_conf "net = $net" < <(lines "$ca" "transport = websocket" "${through[@]}")
events outage 500 | send orders
ship_start
says 'msg="connection is ready"'
kill -9 "$hub"; wait "$hub" 2>/dev/null
says 'msg="(connection lost|connection closed by the peer|WebSocket failed|TLS failed|connection closed)"'
events outage 500 7 501 | send orders
hub_up
drained orders
ship_stop
arrived "a hub that came again" at_least "${sent[@]}" outage:1000

# ---- everything in the way has its sentence ----
at_port "$wss"
websocket=("$ca" "transport = websocket")
printf 'closed sesame' >"$dir/wrong.password"
chmod 600 "$dir/wrong.password"
wrong=("${through[0]}" "${through[1]}" "proxy_password = \${file:$dir/wrong.password}")
meets "a wrong proxy password" "msg=\"the proxy gives no connection\" .*reason=\"proxy 127.0.0.1:$proxy_port refuses user ehring with the password given \(40[17] .*check proxy user and password" \
    "refuses user ehring with the password given" "${websocket[@]}" "${wrong[@]}"
meets "no proxy password" 'reason="proxy 127.0.0.1:[0-9]+ wants a user and a password' 'none are given: set proxy user and password' "${websocket[@]}" "${through[0]}"
meets "no proxy there" 'msg="no connection to the proxy: check proxy host, port and firewall" .*reason="address 127.0.0.1 port 9 .*Connection refused' \
    'cannot connect to proxy 127.0.0.1 port 9: Connection refused' "${websocket[@]}" "proxy = http://127.0.0.1:9"
meets "no such proxy" 'msg="name of the proxy is not resolved: check proxy, and DNS" .*nonexistent.invalid' 'proxy nonexistent.invalid is not resolved' \
    "${websocket[@]}" "proxy = http://nonexistent.invalid:8080"
meets "a proxy that is none" "reason=\"what answers at proxy 127.0.0.1:$(port amqp) does not speak HTTP|reason=\"proxy 127.0.0.1:$(port amqp) ended the connection before" \
    "does not speak HTTP|ended the connection before" "${websocket[@]}" "proxy = http://127.0.0.1:$(port amqp)"
at_port 9
meets "a host that the proxy cannot reach" 'reason="proxy 127.0.0.1:[0-9]+ cannot reach localhost:9 \(50[0-4] ' 'cannot reach localhost:9' "${websocket[@]}" "${through[@]}"
meets "no hub there" 'msg="no connection: check host, port and firewall" .*reason="address (127.0.0.1|::1) port 9 .*Connection refused' \
    'cannot connect to localhost port 9: Connection refused' "${websocket[@]}"
proxy_stop
proxy_start "ConnectPort 1"
at_port "$wss"
meets "a proxy that allows no such port" "reason=\"proxy 127.0.0.1:[0-9]+ does not allow a connection to localhost:$wss \(403 .*allow CONNECT to that host and port $wss there" \
    "does not allow a connection to localhost:$wss" "${websocket[@]}" "proxy = http://127.0.0.1:$proxy_port"
proxy_stop
said=$(https_proxy="socks5://u:sesame17@127.0.0.1:9" direct "${websocket[@]}" "proxy = auto" </dev/null) && fail "a SOCKS proxy is taken"
grep -q 'environment variable https_proxy: a proxy by scheme socks5 is not supported: write http://' <<<"$said" || fail "a SOCKS proxy: $said"

at_port "$(port admin)" localhost -plain
meets "no WebSocket there" 'msg="WebSocket failed" .*reason="localhost:[0-9]+ refuses the WebSocket upgrade \(404 ' 'refuses the WebSocket upgrade \(404 .*check that the host is an Event Hubs namespace' \
    "transport = websocket"
at_port "$(port amqps)"
meets "a port of AMQP" 'msg="WebSocket failed" .*reason="localhost:[0-9]+ (does not answer the WebSocket upgrade in HTTP|ended the connection before)' \
    'does not answer the WebSocket upgrade in HTTP|ended the connection before' "${websocket[@]}"
# shellcheck disable=SC2016 # JavaScript's own
node -e '
    const { createHash } = require("crypto")
    require("http").createServer().on("upgrade", (request, socket) => {
        const accept = createHash("sha1").update(request.headers["sec-websocket-key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest("base64")
        socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n`)
    }).listen(0, "127.0.0.1", function () { require("fs").writeFileSync(process.argv[1], String(this.address().port)) })
' "$dir/mqtt.port" &
mqtt=$!
within 20 test -s "$dir/mqtt.port" || fail "no server of another subprotocol"
at_port "$(cat "$dir/mqtt.port")" 127.0.0.1 -plain
meets "another subprotocol" 'msg="WebSocket failed" .*subprotocol AMQPWSB10 was asked for, its answer is mqtt' 'speaks WebSocket but not AMQP in it' "transport = websocket"
kill $mqtt
at_port "$wss"
meets "an authority that is not known" 'msg="TLS failed" .*certificate of localhost is not trusted: .*give the issuer.s certificate as ca_file' 'certificate of localhost is not trusted' \
    "transport = websocket"
at_port 443 fabrikam.example
meets "another host's certificate" 'msg="TLS failed" .*certificate is for another host: expected fabrikam.example' 'certificate is for another host: expected fabrikam.example' \
    "${websocket[@]}" "endpoint = 127.0.0.1:$wss"

# ---- certificates of ours ----
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$dir/clients.key" -out "$dir/clients.pem" -days 2 -subj '/CN=clients of ours' 2>/dev/null
openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -passout pass:sesame17 -keyout "$dir/client.key" -out "$dir/client.csr" -subj /CN=shipper 2>/dev/null
openssl x509 -req -in "$dir/client.csr" -CA "$dir/clients.pem" -CAkey "$dir/clients.key" -CAcreateserial -days 2 -out "$dir/client.pem" 2>/dev/null || fail "openssl"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$dir/stranger.key" -out "$dir/stranger.pem" -days 2 -subj /CN=stranger 2>/dev/null
chmod 600 "$dir"/*.key
hub_stop
hub_up --client-ca "$dir/clients.pem"
ours=("tls_certificate = $dir/client.pem" "tls_key = $dir/client.key" "tls_key_password = \${file:$dir/proxy.password}")
for at in amqps wss; do
    at_port "$(port $at)"
    way=("$ca")
    [ $at = amqps ] || way=("${websocket[@]}")
    meets "no client certificate ($at)" 'msg="TLS failed" .*the peer asks for a client certificate and none is given: set tls_certificate and tls_key' \
        'asks for a client certificate and none is given' "${way[@]}"
    meets "a stranger's certificate ($at)" 'msg="TLS failed" .*the peer does not accept the client certificate: its issuer is not known there' \
        'does not accept the client certificate' "${way[@]}" "tls_certificate = $dir/stranger.pem" "tls_key = $dir/stranger.key"
    passes "certificate-$at" "${way[@]}" "${ours[@]}"
done
said=$(direct "${websocket[@]}" "${ours[@]:0:2}" "tls_key_password = \${file:$dir/wrong.password}" </dev/null) && fail "a wrong pass phrase is taken"
grep -q 'tls_key .*client.key cannot be decrypted: tls_key_password is not its pass phrase' <<<"$said" || fail "a wrong pass phrase: $said"
chmod o+r "$dir/client.key"
ship_conf < <(lines "${websocket[@]}" "${ours[@]}")
ship_start
says 'level=warn .*client.key can be read by every user of this machine: chmod o-r'
ship_stop
arrived "events with a certificate" at_least "${sent[@]}" outage:1000
[ $failed -eq 0 ] && echo "every way is a way, and whatever is in it is named"
