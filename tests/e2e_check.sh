#!/usr/bin/env bash
# ehring-shipper --check=connect: each thing that can be wrong on the way to a hub is provoked for real, has its own line with what was seen
# and what helps, and its own exit status. Nothing is sent, nothing is made.
# shellcheck source=tests/ship_rig.sh
. "$(dirname "$0")/ship_rig.sh"

conf_of() { # lines of the stream…: the configuration of one stream that is right but for them
    local line
    { ship_lines; stream_conf orders orders; } >"$conf"
    for line in "$@"; do
        sed -i "/^${line%% *} =/d" "$conf"
        echo "$line" >>"$conf"
    done
}
ship_lines() { printf '[shipper]\nrings = %s/r\ndead_letters = %s/dead\n' "$dir" "$dir"; }
check() { # what, exit status, pattern…: each is a line of the output
    local what=$1 want=$2 status pattern
    shift 2
    PATH=${shipper_path:-$PATH} "$build/ehring-shipper" --config "$conf" --check=connect >"$dir/check.log" 2>"$dir/check.err.log"
    status=$?
    [ $status -eq "$want" ] || { fail "$what: exit $status, not $want"; cat "$dir/check.log" "$dir/check.err.log"; }
    for pattern in "$@"; do
        grep -qE -- "$pattern" "$dir/check.log" "$dir/check.err.log" || { fail "$what: no line is: $pattern"; cat "$dir/check.log"; }
    done
    [ "$(grep -c '^fail' "$dir/check.log")" -le 1 ] || fail "$what: one thing is wrong, several lines say so: $(cat "$dir/check.log")"
}
connection_of() { # sed expression: another connection string, in a file of its own
    sed -E "$1" "$connection" >"$dir/other.secret"
    # shellcheck disable=SC2016 # the shipper's own
    echo "connection_string = \${file:$dir/other.secret}"
}

hub_start --hub orders:3 --ws-port 0 --wss-port 0

# ---- all is well ----
conf_of
check "all is well" 0 '^ok +machine +network +(io_uring|epoll): ' '^ok +machine +descriptors +RLIMIT_NOFILE' \
    "^ok +machine +rings +$dir/r is not there yet and will be made" '^ok +machine +room .*MiB free' '^ok +machine +dead-letters' \
    '^ok +orders +dns +localhost is .*127\.0\.0\.1' "^ok +orders +tcp +127\.0\.0\.1 port $(port amqps) answers in [0-9]+ ms" \
    '^ok +orders +tls +TLSv1\.3 ' '^ok +orders +amqp +ehring-hub.* is open, idle time-out 240 s, frames of 65536 bytes' \
    '^ok +orders +token +the key of policy RootManageSharedAccessKey' '^ok +orders +link +a sender is attached to orders, nothing is sent' \
    '^ok +orders +size .*1048576 bytes' '^ok +orders +partitions +3$' ' 0 warnings, 0 failed$'
[ ! -e "$dir/r" ] && [ ! -e "$dir/dead" ] || fail "the check made directories"
"$build/ehring-hub" --dump "$dir/store" | grep -q . && fail "the check has sent an event"
conf_of 'batch_bytes_max = 2000000'
check "a warning is no failure" 0 '^warn +orders +size .*at most 1048576 bytes, batch_bytes_max is 2000000 -> leave batch_bytes_max out' ' 1 warnings, 0 failed$'

# ---- configuration ----
conf_of 'linger_ms = soon'
check "a bad value" 2 'linger_ms'
"$build/ehring-shipper" --config "$conf" --check=everything >/dev/null 2>"$dir/check.err.log"
[ $? -eq 2 ] && grep -q 'there is --check=connect' "$dir/check.err.log" || fail "an unknown check"
conf_of "ca_file = $dir/none.pem"
check "no such CA file" 2 '^fail +orders +trust +ca_file .*none\.pem: No such file'

# ---- this machine ----
: >"$dir/file"
conf_of
sed -i "s|^rings = .*|rings = $dir/file/r|" "$conf"
check "rings below a file" 3 "^fail +machine +rings +$dir/file/r: Not a directory -> "
sed -i "s|^rings = .*|rings = $dir/file|" "$conf"
check "rings are a file" 3 "^fail +machine +rings +$dir/file is no directory -> "
sed -i "s|^rings = .*|rings = $dir/absent/r|" "$conf"
check "rings below what is absent" 3 "^fail +machine +rings +$dir/absent/r is not there, and .* cannot make it in $dir/absent: No such file"
conf_of
sed -i "s|^dead_letters = .*|dead_letters = $dir/file/dead|" "$conf"
check "dead letters below a file" 3 '^fail +machine +dead-letters .*Not a directory'
mkdir -p "$dir/open"
chmod 777 "$dir/open"
conf_of
sed -i "s|^rings = .*|rings = $dir/open|" "$conf"
check "rings that all may write" 0 '^warn +machine +rings .*others may write in it \(mode 0777\) -> chmod go-w'
(ulimit -n 40; check "too few descriptors" 3 '^fail +machine +descriptors +RLIMIT_NOFILE is at most 40, .*may need [0-9]+ -> raise it'; exit $failed) || failed=1
if [ "$(id -u)" -eq 0 ]; then
    conf_of
    mkdir -p "$dir/r"
    chmod 755 "$dir" "$dir/r" "$dir/state"
    chmod 644 "$conf" "$connection" "$dir/state/ca.pem"
    setpriv --reuid 65534 --regid 65534 --clear-groups "$build/ehring-shipper" --config "$conf" --check=connect >"$dir/check.log" 2>&1
    [ $? -eq 3 ] || fail "another user: not 3"
    grep -qE "^fail +machine +rings +$dir/r belongs to root, mode 0755, and nobody may not write in it: Permission denied -> chown" "$dir/check.log" ||
        { fail "another user"; cat "$dir/check.log"; }
    rmdir "$dir/r"
fi

# ---- the way there ----
conf_of "$(connection_of 's|//[^:/;]*|//no-such-name.invalid|')"
check "a name that is none" 4 '^fail +orders +dns +host no-such-name\.invalid is not resolved: .* -> check the namespace'
conf_of "$(connection_of "s|:$(port amqps)|:1|")"
check "a closed port" 5 '^ok +orders +dns ' '^fail +orders +tcp .*port 1: Connection refused -> check host, port and firewall'
conf_of 'ca_file = /etc/ssl/certs/ca-certificates.crt'
check "an authority that is not trusted" 6 '^fail +orders +tls .*not trusted'
conf_of "$(connection_of "s|:$(port amqps)|:$(port admin)|")" 'connect_timeout_seconds = 2'
check "a port without TLS" 6 '^ok +orders +tcp ' '^fail +orders +tls '
conf_of "$(connection_of "s|:$(port amqps)|:$(port admin)|; s|\$|;UseDevelopmentEmulator=true|")"
check "a peer that speaks something else" 7 '^ok +orders +tcp ' '^fail +orders +amqp .* -> check host and port: something else than AMQP'
coproc silent { exec node -e 'require("net").createServer(() => {}).listen(0, "127.0.0.1", function () { console.log(this.address().port) })'; }
read -r silent_port <&"${silent[0]}"
# shellcheck disable=SC2154
silent_pid=$silent_PID
conf_of "$(connection_of "s|:$(port amqps)|:$silent_port|")" 'connect_timeout_seconds = 1'
check "a peer that says nothing" 6 '^fail +orders +tls +no answer within 1 s'
conf_of "$(connection_of "s|:$(port amqps)|:$silent_port|; s|\$|;UseDevelopmentEmulator=true|")" 'connect_timeout_seconds = 1'
check "a peer that says nothing, without TLS" 7 '^fail +orders +amqp +no answer within 1 s'
kill "$silent_pid"

# ---- a proxy: one that opens the way, one that does not, one that is not there ----
cat >"$dir/proxy.mjs" <<'END'
import net from "net"
const refusing = process.argv[2] == "refuse"
net.createServer(from => from.once("data", head => {
    const [, host, port] = /^CONNECT ([^: ]+):(\d+) /.exec(head)
    if (refusing) return from.end("HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=x\r\nContent-Length: 0\r\n\r\n")
    const to = net.connect(port, host, () => { from.write("HTTP/1.1 200 Connection established\r\n\r\n"); from.pipe(to).pipe(from) })
    for (const end of [from, to]) end.on("error", () => { from.destroy(); to.destroy() })
})).listen(0, "127.0.0.1", function () { console.log(this.address().port) })
END
proxy_start() { # open|refuse
    exec 8< <(exec node "$dir/proxy.mjs" "$1")
    proxy_pid=$!
    read -r proxy_port <&8
}
proxy_start open
conf_of "proxy = http://127.0.0.1:$proxy_port"
check "a proxy" 0 "^ok +orders +tcp +127\.0\.0\.1 port $proxy_port answers" \
    "^ok +orders +proxy +127\.0\.0\.1 opens the way to localhost port $(port amqps): 200 Connection established" '^ok +orders +partitions +3$'
kill "$proxy_pid"
proxy_start refuse
conf_of "proxy = http://127.0.0.1:$proxy_port" 'proxy_user = someone' 'proxy_password = Pr0xyPassw0rd'
check "a proxy that refuses" 5 '^ok +orders +tcp ' '^fail +orders +proxy .*407'
! grep -q 'Pr0xyPassw0rd' "$dir/check.log" "$dir/check.err.log" || fail "a proxy's password is printed"
kill "$proxy_pid"
conf_of "proxy = http://127.0.0.1:1"
check "a proxy that is not there" 5 '^fail +orders +tcp .*proxy 127\.0\.0\.1 port 1: Connection refused'
conf_of 'transport = websocket' "$(connection_of "s|:$(port amqps)|:$(port wss)|")"
check "WebSocket" 0 '^ok +orders +tls ' '^ok +orders +websocket +101 ' '^ok +orders +clock ' '^ok +orders +partitions +3$'
cat >"$dir/dated.mjs" <<'END'
import net from "net" // puts a Date into the hub's answer to the upgrade: now, and so many seconds more
const [port, seconds] = process.argv.slice(2).map(Number)
net.createServer(from => {
    const to = net.connect(port, "127.0.0.1")
    const date = new Date(Date.now() + seconds * 1000).toUTCString()
    to.once("data", head => {
        from.write(head.toString("latin1").replace(/\r\n(Date:[^\r]*\r\n)?/, `\r\nDate: ${date}\r\n`), "latin1")
        to.pipe(from)
    })
    from.pipe(to)
    for (const end of [from, to]) end.on("error", () => { from.destroy(); to.destroy() })
}).listen(0, "127.0.0.1", function () { console.log(this.address().port) })
END
dated() { # seconds, pattern
    exec 8< <(exec node "$dir/dated.mjs" "$(port ws)" "$1")
    local pid=$! dated_port
    read -r dated_port <&8
    conf_of 'transport = websocket' "$(connection_of "s|:$(port amqps)|:$dated_port|; s|\$|;UseDevelopmentEmulator=true|")"
    check "a peer whose clock is $1 s ahead" 0 "$2" '^ok +orders +partitions +3$'
    kill "$pid"
}
dated 0 "^ok +orders +clock +within 60 s of the peer's \(.* GMT\)"
dated 300 "^warn +orders +clock +this machine's is (29[0-9]|30[01]) s behind the peer's .* -> set this machine's clock"
dated -7200 "^warn +orders +clock +this machine's is 72[0-9][0-9] s ahead of the peer's"
conf_of 'transport = websocket'
check "no WebSocket there" 7 '^ok +orders +tls ' '^fail +orders +websocket '

# ---- who we are, and what we may ----
conf_of "$(connection_of 's/SharedAccessKey=....../SharedAccessKey=AAAAAA/')"
check "a wrong key" 8 '^ok +orders +amqp ' '^fail +orders +token .*status 401.* -> check SharedAccessKeyName and SharedAccessKey'
conf_of "$(connection_of 's/SharedAccessKeyName=[^;]*/SharedAccessKeyName=nobody/')"
check "a policy that is none" 8 '^fail +orders +token .*policy nobody'
hub_fault 'fail-cbs next=1 status=401 condition=amqp:unauthorized-access text="ExpiredToken: The token is expired."'
conf_of
check "a token that is expired where it arrives" 8 "^fail +orders +token .*ExpiredToken.* -> set this machine's clock"
conf_of "connection_string = \${file:$dir/state/connection-string-listen}"
check "a policy that may only listen" 9 '^ok +orders +token +' \
    '^fail +orders +link .*unauthorized-access.* -> the policy needs the claim Send, an identity the role `Azure Event Hubs Data Sender`'
conf_of 'hub = absent'
check "no such hub" 10 '^ok +orders +amqp ' '^fail +orders +[a-z]+ .*absent.* -> check hub \(or EntityPath\)'

# ---- a broker: SASL instead of a token ----
broker() { # user, password, lines…
    local line
    # shellcheck disable=SC2016 # the shipper's own
    { ship_lines; printf '[stream orders]\ntype = amqp\nbroker = amqps://localhost:%s\naddress = orders\nca_file = %s\nsasl_user = %s\nsasl_password = ${file:%s}\n' \
        "$(port amqps)" "$dir/state/ca.pem" "$1" "$2"; } >"$conf"
    shift 2
    for line in "$@"; do sed -i "s|^${line%% *} =.*|$line|" "$conf"; done
}
sed 's/.*SharedAccessKey=\([^;]*\).*/\1/' "$connection" | tr -d '\n' >"$dir/password"
printf wrong >"$dir/wrong"
broker RootManageSharedAccessKey "$dir/password"
check "a broker" 0 '^ok +orders +tls ' '^ok +orders +amqp +ehring-hub' '^ok +orders +link +a sender is attached to orders' '^ok +orders +size '
! grep -qE ' (token|partitions|clock) ' "$dir/check.log" || fail "a broker is asked for what is the hub's"
broker RootManageSharedAccessKey "$dir/wrong"
check "a wrong password" 8 '^ok +orders +tls ' '^fail +orders +sasl .*unauthorized.* -> check sasl_user and sasl_password'
broker RootManageSharedAccessKey "$dir/password" 'address = absent'
check "no such address" 10 '^fail +orders +link .*absent.* -> check address'
hub_stop

# ---- an identity of Entra ID: none is to be had ----
for name in AZURE_TENANT_ID AZURE_CLIENT_ID AZURE_CLIENT_SECRET AZURE_CLIENT_CERTIFICATE_PATH AZURE_FEDERATED_TOKEN_FILE AZURE_TOKEN_CREDENTIALS \
    IDENTITY_ENDPOINT IDENTITY_HEADER IMDS_ENDPOINT MSI_ENDPOINT https_proxy HTTPS_PROXY all_proxy ALL_PROXY; do
    unset $name
done
{ ship_lines; printf '[stream orders]\nhub = orders\nnamespace = localhost:1\ncredential = default\n'; } >"$conf"
AZURE_POD_IDENTITY_AUTHORITY_HOST=http://127.0.0.1:1 shipper_path=/nowhere \
    check "no identity" 8 '^fail +orders +credential .*environment: .*; workload-identity: .*; managed-identity: .*; azure-cli: az is not on PATH'

# ---- certificates of our own: of another host, and of another time ----
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$dir/other.key" -out "$dir/other.pem" -days 5 -subj /CN=elsewhere \
    -addext subjectAltName=DNS:elsewhere.example,DNS:localhost 2>/dev/null || fail "openssl"
certificate_of_2020
hub_start --hub orders:3 --cert "$dir/other.pem" --key "$dir/other.key"
conf_of "ca_file = $dir/other.pem"
check "a certificate that ends soon" 0 '^warn +orders +tls +TLSv1\.3 .*elsewhere\.example.*, in [345] days -> '
conf_of "ca_file = $dir/other.pem" "$(connection_of 's|//localhost|//127.0.0.1|')"
check "another host's certificate" 6 '^fail +orders +tls .*another host: expected 127\.0\.0\.1, found elsewhere\.example'
hub_stop
hub_start --hub orders:3 --cert "$dir/old.pem" --key "$dir/old.key"
conf_of "ca_file = $dir/old.pem"
check "an expired certificate" 6 "^fail +orders +tls .*has expired on 2020-02-01 .*check this machine's clock"
hub_stop
[ $failed -eq 0 ] && echo "each thing that is wrong has its line and its status"
