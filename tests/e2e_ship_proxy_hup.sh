#!/usr/bin/env bash
# A configuration that is read again while a proxy takes its time: what comes through the tunnel afterwards is TLS, never a token in the clear.
set -u
# shellcheck source=tests/ship_rig.sh
. "$(dirname "$0")/ship_rig.sh"

# A proxy that says yes only when told to, and keeps what comes through.
cat >"$dir/proxy.mjs" <<'END'
import { createServer } from "node:net"
import { appendFileSync, existsSync, writeFileSync } from "node:fs"
const dir = process.argv[2]
createServer(socket => {
    let answered = false
    socket.on("error", () => {})
    socket.on("data", data => {
        if (answered) return appendFileSync(`${dir}/tunnel`, data)
        appendFileSync(`${dir}/asked`, data)
        const wait = setInterval(() => {
            if (!existsSync(`${dir}/go`)) return
            clearInterval(wait)
            answered = true
            socket.write("HTTP/1.1 200 Connection established\r\n\r\n")
        }, 20)
    })
}).listen(0, "127.0.0.1", function () { writeFileSync(`${dir}/proxy-port`, String(this.address().port)) })
END
node "$dir/proxy.mjs" "$dir" &
within 20 test -s "$dir/proxy-port" || fail "the proxy does not start"

conf_with() { # linger
    # shellcheck disable=SC2016 # the shipper's own
    printf '[stream orders]\nhub = orders\nnamespace = foo\nshared_access_key_name = send\nshared_access_key = ${file:%s}\nproxy = http://127.0.0.1:%s\nlinger_ms = %s\n%s\n' \
        "$dir/key.secret" "$(cat "$dir/proxy-port")" "$1" "$quick" | ship_conf "workers = 1" "drain_seconds = 0"
}
echo geheim-geheim-geheim >"$dir/key.secret"
chmod 600 "$dir/key.secret"
conf_with 5
ship_start
within 20 test -s "$dir/asked" || fail "the proxy is not asked"
conf_with 7
kill -HUP "$shipper"
says 'linger_ms'
sleep 0.3 # the worker has its new setup with its next turn
touch "$dir/go"
within 20 test -s "$dir/tunnel" || fail "nothing comes through the tunnel"
[ "$(head -c 2 "$dir/tunnel" | od -An -tx1 | tr -d ' ')" = 1603 ] || fail "what comes through the tunnel is no TLS: $(head -c 16 "$dir/tunnel" | od -An -c)"
! grep -qa 'SharedAccessSignature' "$dir/tunnel" || fail "a token goes through the tunnel in the clear"
ship_lives
ship_stop
[ $failed -eq 0 ] && echo "a proxy's answer finds the trust that the connection was begun with"
