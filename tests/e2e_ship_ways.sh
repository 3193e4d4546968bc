#!/usr/bin/env bash
# Ways to a hub that have no script of their own: over IPv6, with a ready-made signature, with a directory of authorities; a signature that has
# expired is told as such. Each by the shipper and by ehring-send --direct.
set -u
# shellcheck source=tests/ship_rig.sh
. "$(dirname "$0")/ship_rig.sh"
listen=(--listen 127.0.0.1 --listen ::1) six='[::1]'
if ! grep -q '^0*1 ' /proc/net/if_inet6 2>/dev/null; then # a kernel without IPv6: its rows go to the other loopback address
    echo "this machine has no IPv6 loopback address"
    listen=(--listen 127.0.0.1) six=127.0.0.1
fi

hub_start --hub orders:4 "${listen[@]}"
key=$(sed 's/.*SharedAccessKey=\([^;]*\).*/\1/' "$connection")
mkdir "$dir/authorities"
cp "$dir/state/ca.pem" "$dir/authorities/"
openssl rehash "$dir/authorities" 2>"$dir/rehash.log" || fail "openssl rehash"

signature() { # name of the file, seconds from now: a connection string with a signature made here
    node -e '
        const { createHmac } = require("crypto"), [key, uri, seconds, port] = process.argv.slice(1)
        const encoded = encodeURIComponent(uri), expiry = Math.floor(Date.now() / 1000) + Number(seconds)
        const mac = encodeURIComponent(createHmac("sha256", key).update(encoded + "\n" + expiry).digest("base64"))
        console.log(`Endpoint=sb://localhost:${port}/;SharedAccessSignature=SharedAccessSignature sr=${encoded}&sig=${mac}&se=${expiry}&skn=RootManageSharedAccessKey`)
    ' "$key" sb://localhost/orders "$2" "$(port amqps)" >"$dir/$1.secret"
}
signature good 3600
signature over -60

way() { # stream, what says how: lines
    local stream=$1
    shift
    printf '[stream %s]\nhub = orders\n%s\n' "$stream" "$quick"
    printf '%s\n' "$@"
}
printf '%s' "$key" >"$dir/key.txt"
# shellcheck disable=SC2016 # the shipper's own
policy=('shared_access_key_name = RootManageSharedAccessKey' 'shared_access_key = ${file:'"$dir/key.txt}")
{
    way six "namespace = $six:$(port amqps)" "${policy[@]}" "ca_file = $dir/state/ca.pem"
    way six-endpoint "namespace = localhost:$(port amqps)" "endpoint = $six:$(port amqps)" "${policy[@]}" "ca_file = $dir/state/ca.pem"
    way ready "connection_string = \${file:$dir/good.secret}" "ca_file = $dir/state/ca.pem"
    way directory "connection_string = \${file:$connection}" "ca_dir = $dir/authorities"
    way expired "connection_string = \${file:$dir/over.secret}" "ca_file = $dir/state/ca.pem"
} | ship_conf "workers = 1" "drain_seconds = 0"
ship_start
for stream in six six-endpoint ready directory; do
    events "$stream" 500 | send "$stream"
    drained "$stream"
done
events expired 1 | send expired
says 'stream=expired .*signature has expired|signature has expired.*stream=expired'
for secret in good over; do chmod 600 "$dir/$secret.secret"; done

direct() { # producer, settings…
    local producer=$1 set=() setting
    shift
    for setting in "$@"; do set+=(--set "$setting"); done
    events "$producer" 100 | env -u EHRING_CONNECTION_STRING "$build/ehring-send" --direct --hub orders --key-json k "${set[@]}" 2>>"$dir/send.log" ||
        fail "direct, $producer: $(tail -n 1 "$dir/send.log")"
}
direct d-six "namespace=$six:$(port amqps)" "${policy[@]}" "ca_file=$dir/state/ca.pem"
direct d-ready "connection_string=\${file:$dir/good.secret}" "ca_file=$dir/state/ca.pem"
direct d-directory "connection_string=\${file:$connection}" "ca_dir=$dir/authorities"
# the other key beside a connection string of the environment
events d-second 100 | EHRING_CONNECTION_STRING=$(cat "$connection") "$build/ehring-send" --direct --hub orders --key-json k --ca-file "$dir/state/ca.pem" \
    --set "connection_string_secondary=\${file:$dir/state/connection-string-secondary}" 2>>"$dir/send.log" || fail "direct, a second key: $(tail -n 1 "$dir/send.log")"
ship_stop
arrived "every way" once six:500 six-endpoint:500 ready:500 directory:500 d-six:100 d-ready:100 d-directory:100 d-second:100
[ $failed -eq 0 ] && echo "IPv6, ready signatures and directories of authorities are ways"
