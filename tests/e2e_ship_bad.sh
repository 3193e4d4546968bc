#!/usr/bin/env bash
# What a shipper meets outside: wrong key, no hub, no name, no trust, another host, an old signature, nobody there. Each has its own line with
# the remedy; the events wait in their rings and arrive once the cause is gone. No secret is in any log.
# shellcheck source=tests/ship_rig.sh
. "$(dirname "$0")/ship_rig.sh"

waits() { # the events are still in the ring
    ship_lives
    no_rings orders && fail "the ring is gone"
    [ "$(counter orders accepted_events)" = "${accepted:-0}" ] || fail "something was accepted"
}
given() { # a connection string: into the shipper's file, with mode 0600
    (umask 077; cat >"$dir/given.secret")
}
begin() { # lines of the stream…: a shipper with the connection string that was given, with events in a ring
    # shellcheck disable=SC2016
    ship_conf "drain_seconds = 1" <<<"$(printf '[stream orders]\nconnection_string = ${file:%s}\n%s\n' "$dir/given.secret" "$quick"; printf '%s\n' "$@")"
    events "$producer" 50 | send orders
    ship_start
}
refused() { # what, pattern: the log's words while the cause lasts
    says "level=warn .*$2"
    waits
    ship_stop
    [ $failed -eq 0 ] || echo "     … $1"
}
good=("hub = orders" "ca_file = $dir/state/ca.pem")

hub_start --hub orders:4

producer=key
sed -E 's/SharedAccessKey=.{6}/SharedAccessKey=AAAAAA/' "$connection" | given
begin "${good[@]}"
refused "a wrong key" 'msg="token refused: check SharedAccessKeyName, SharedAccessKey and the policy.*" .*hub=orders policy=RootManageSharedAccessKey'
given <"$connection"
ship_conf <<<"$(stream_conf orders orders)"
ship_start
drained orders
ship_stop
arrived "a wrong key, then the right one" once key:50
accepted=$(counter orders accepted_events)

producer=policy
sed -E 's/SharedAccessKeyName=[^;]*/SharedAccessKeyName=nobody/' "$connection" | given
begin "${good[@]}"
refused "a policy that does not exist" 'msg="token refused.*policy=nobody'

producer=absent
given <"$connection"
begin "hub = absent" "ca_file = $dir/state/ca.pem"
refused "no such hub" 'msg="(hub not found: check hub or EntityPath|token refused: hub or namespace not found)" .*hub=absent'

producer=name
sed -E "s|sb://[^:/]*|sb://nonexistent.invalid|" "$connection" | given
begin "${good[@]}"
refused "a name that is not resolved" 'msg="name is not resolved: check the namespace in the connection string, and DNS" .*host=nonexistent.invalid'

producer=trust
given <"$connection"
begin "hub = orders"
refused "an authority that is not known" 'msg="TLS failed" .*reason="certificate of localhost is not trusted: .*give the issuer.s certificate as ca_file'

# two certificates of our own: one for another host, one whose time has passed
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$dir/other.key" -out "$dir/other.pem" -days 2 -subj /CN=elsewhere \
    -addext subjectAltName=DNS:elsewhere.example 2>/dev/null || fail "openssl"
producer=wrongca
begin "hub = orders" "ca_file = $dir/other.pem"
refused "another authority" 'msg="TLS failed" .*reason="certificate of localhost is not trusted'
hub_stop

hub_start --hub orders:4 --cert "$dir/other.pem" --key "$dir/other.key"
producer=host
given <"$connection"
begin "hub = orders" "ca_file = $dir/other.pem"
refused "another host's certificate" 'msg="TLS failed" .*reason="certificate is for another host: expected localhost, found elsewhere.example'
hub_stop

certificate_of_2020
hub_start --hub orders:4 --cert "$dir/old.pem" --key "$dir/old.key"
producer=clock
begin "hub = orders" "ca_file = $dir/old.pem"
refused "a certificate of another time" 'msg="TLS failed" .*reason="certificate of localhost has expired on 2020-02-01 .*check this machine.s clock'
hub_stop

# signatures that were made elsewhere: one whose time is over by this clock; one that is over by the hub's alone is the clock's fault
signature() { # key, expiry: a connection string
    # shellcheck disable=SC2016 # JavaScript's own
    node -e '
        const [file, expiry, key] = process.argv.slice(1), text = require("fs").readFileSync(file, "utf8").trim()
        const part = name => text.match(new RegExp(name + "=([^;]*)"))[1]
        const uri = encodeURIComponent(part("Endpoint").replace(/:\d+\/?$/, "") + "/orders")
        const sig = require("crypto").createHmac("sha256", key || part("SharedAccessKey")).update(uri + "\n" + expiry).digest("base64")
        console.log(`Endpoint=${part("Endpoint")};SharedAccessSignature=SharedAccessSignature sr=${uri}&sig=${encodeURIComponent(sig)}&se=${expiry}&skn=${part("SharedAccessKeyName")}`)
    ' "$connection" "$1" "${2:-}"
}
hub_start --hub orders:4
producer=signature
signature "$(($(date +%s) - 60))" | given
begin "${good[@]}"
refused "a signature that has expired" 'msg="the shared access signature has expired".*action=hold.*remedy="give a new SharedAccessSignature'
producer=forged
signature "$(($(date +%s) + 600))" AAAA | given
begin "${good[@]}"
refused "a signature with another key" 'msg="token refused.*'
producer=ready
signature "$(($(date +%s) + 600))" | given
begin "${good[@]}"
drained orders 40   # and with it everything that has waited
ship_stop
arrived "all that has waited" once key:50 policy:50 absent:50 name:50 trust:50 wrongca:50 host:50 clock:50 signature:50 forged:50 ready:50
accepted=$(counter orders accepted_events)

# the hub comes later than the shipper, and the shipper need not be started again
hub_stop
given <"$connection"
producer=later
begin "${good[@]}"
says 'msg="no connection: check host, port and firewall" .*port='"$(port amqps)"' .*reason="address 127\.0\.0\.1 port [0-9]+ \(1 of 1\): Connection refused"'
waits
hub_start --hub orders:4
drained orders
# and goes away, and comes again
kill -9 "$hub"; wait "$hub" 2>/dev/null
events again 100 | send orders
says 'msg="(connection lost|connection closed by the peer|TLS failed|connection closed)"'
hub_start --hub orders:4
drained orders
ship_stop
arrived "a hub that comes later" at_least key:50 policy:50 absent:50 name:50 trust:50 wrongca:50 host:50 clock:50 signature:50 forged:50 ready:50 later:50 again:100
[ $failed -eq 0 ] && echo "every cause is named, and nothing is lost by any of them"
