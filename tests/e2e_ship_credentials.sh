#!/usr/bin/env bash
# Every identity of Entra ID ships events to a hub that verifies its tokens: each kind by name and the default chain; tokens that live some
# seconds are renewed under load; a renewal that fails leaves the old one in use; what is wrong is said with its remedy, and no secret ever is.
# Of two keys the one that is not refused is taken.
# shellcheck source=tests/ship_rig.sh
. "$(dirname "$0")/ship_rig.sh"
here=$(cd "$(dirname "$0")" && pwd)
secret=s3cr3t-of-the-application header=h3ader-of-app-service federated=f3derated.token.of-a-workload
entra_says() { # JavaScript of what differs from the usual
    node -e 'require("fs").writeFileSync(process.argv[1] + ".new", JSON.stringify({ secret: process.argv[2], header: process.argv[3], federated: process.argv[4], ...eval(`(${process.argv[5]})`) }))' \
        "$dir/entra.json" "$secret" "$header" "$dir/federated" "$1" && mv "$dir/entra.json.new" "$dir/entra.json"
}
entra_port() { sed -n "s/^$1=//p" "$dir/entra.ports"; }
asked() { grep -c "^$1\$" "$dir/entra.log"; } # how often a flow was gone through, checks and all
identity_conf() { # stream, credential, lines…
    printf '[stream %s]\nhub = orders\nnamespace = localhost:%s\nca_file = %s\n%s\ncredential = %s\n' "$1" "$(port amqps)" "$dir/state/ca.pem" "$quick" "$2"
    shift 2
    printf '%s\n' "$@"
}
client='client_id = 11111111-2222-3333-4444-555555555555'
application=('tenant_id = contoso.example' "$client")
undisturbed() { # stream, what
    local name
    for name in connection_lost_count connect_failed_count link_ended_count unknown_deliveries rejected_deliveries maybe_duplicate_events token_refused_count; do
        [ "$(counter "$1" $name)" -eq 0 ] || fail "$2: $name is $(counter "$1" $name)"
    done
}

printf '%s\n' "$federated" >"$dir/federated"
printf '%s' "$secret" >"$dir/application"
entra_says '{}'
node "$here/entra.mjs" "$dir" >"$dir/entra.err" 2>&1 &
within 30 test -s "$dir/entra.ports" || { fail "the identities' server does not start"; cat "$dir/entra.err"; exit 1; }
mkdir "$dir/bin"
cat >"$dir/bin/az" <<AZ
#!/bin/bash
exec 3<>/dev/tcp/127.0.0.1/$(entra_port cli)
printf 'GET / HTTP/1.1\r\nHost: az\r\nConnection: close\r\n\r\n' >&3
sed '1,/^\r\$/d' <&3 | grep '^{'
AZ
chmod 755 "$dir/bin/az"
for name in AZURE_TENANT_ID AZURE_CLIENT_ID AZURE_CLIENT_SECRET AZURE_CLIENT_CERTIFICATE_PATH AZURE_CLIENT_CERTIFICATE_PASSWORD AZURE_FEDERATED_TOKEN_FILE \
    AZURE_TOKEN_CREDENTIALS IDENTITY_ENDPOINT IDENTITY_HEADER IDENTITY_SERVER_THUMBPRINT IMDS_ENDPOINT MSI_ENDPOINT MSI_SECRET \
    https_proxy HTTPS_PROXY http_proxy all_proxy ALL_PROXY SSL_CERT_DIR; do
    unset $name
done
AZURE_AUTHORITY_HOST=https://localhost:$(entra_port entra)
AZURE_POD_IDENTITY_AUTHORITY_HOST=http://127.0.0.1:$(entra_port managed)
export AZURE_AUTHORITY_HOST AZURE_POD_IDENTITY_AUTHORITY_HOST PATH="$dir/bin:$PATH" SSL_CERT_FILE="$dir/ca.pem"

# ---- every kind at once, one shipper ----
hub_start --hub orders:4 --jwt-key "$dir/jwt.pem"
kinds=(client-secret client-certificate workload-identity managed-identity azure-cli environment default)
{
    identity_conf client-secret client-secret "${application[@]}" "client_secret = \${file:$dir/application}"
    identity_conf client-certificate client-certificate "${application[@]}" "client_certificate = $dir/app.pem"
    identity_conf workload-identity workload-identity "${application[@]}" "token_file = $dir/federated"
    identity_conf managed-identity managed-identity
    identity_conf azure-cli azure-cli
    identity_conf environment environment "${application[@]}"
    identity_conf default default
} | ship_conf
AZURE_CLIENT_SECRET=$secret ship_start
for kind in "${kinds[@]}"; do events "$kind" 300 | send "$kind" --flush-ms 60000; done
for kind in "${kinds[@]}"; do drained "$kind"; done
arrived "every kind of identity" once "${kinds[@]/%/:300}"
for kind in "${kinds[@]}"; do undisturbed "$kind" "identity $kind"; done
# the chain: half an environment is unavailable, workload identity too; IMDS is probed and asked
for flow in 'secret 2' 'certificate 1' 'workload 1' 'imds 2' 'cli 1'; do
    [ "$(asked "${flow% *}")" -eq "${flow#* }" ] || fail "flow ${flow% *}: asked $(asked "${flow% *}") times, not ${flow#* }"
done
ship_stop

# ---- App Service, by the chain; then nothing at all ----
identity_conf app default | ship_conf
IDENTITY_ENDPOINT=http://127.0.0.1:$(entra_port managed)/msi/token IDENTITY_HEADER=$header ship_start
events app 300 | send app --flush-ms 60000
[ "$(asked app-service)" -eq 1 ] || fail "App Service was asked $(asked app-service) times"
ship_stop
rm "$dir/bin/az"
identity_conf nothing default | ship_conf
AZURE_POD_IDENTITY_AUTHORITY_HOST=http://127.0.0.1:1 ship_start
events nothing 10 | send nothing
says 'msg="no token for the identity".*reason="default: no credential is available: environment: neither .*; workload-identity: not set: .*; managed-identity: no IMDS at http://127.0.0.1:1: .*; azure-cli: az is not on PATH".*action=hold.*remedy='
ship_stop

# ---- renewals under load: tokens of twelve seconds, two workers, two connections, one request for both ----
entra_says '{ life: 12 }'
before=$(asked secret)
identity_conf load client-secret "${application[@]}" "client_secret = \${file:$dir/application}" 'max_size = 2' | ship_conf 'workers = 2'
ship_start
seq 100000 | awk '{ printf "{\"k\":\"k%d\",\"p\":\"load\",\"i\":%d}\n", $1 % 23, $1 }' >"$dir/load"
send load --rate 5000 <"$dir/load" &
loader=$!
renewed() { [ "$(counter load token_count)" -ge "$1" ]; }
within 60 renewed 6 || fail "token_count is $(counter load token_count)"
# the renewals fail for a while, shorter than the token's life
entra_says '{ life: 12, fail: 503 }'
says 'area=credential msg="the token could not be renewed".*answers 503: AADSTS90033.*token="the old one is still in use"' 30
entra_says '{ life: 3600 }'
renewals=$(counter load token_count)
within 60 renewed $((renewals + 1)) || fail "no token after a failed renewal"
wait "$loader"
drained load 60
undisturbed load "renewals under load"
asks=$(($(asked secret) - before)) puts=$(counter load token_count)
[ "$asks" -lt "$puts" ] || fail "$asks requests for $puts tokens put: connections do not share them"
arrived "renewals under load" once load:100000 "${kinds[@]/%/:300}" app:300
ship_stop

# ---- a new token that the hub does not take at first is put again, before the old one's end ----
entra_says '{ life: 12 }'
identity_conf busy client-secret "${application[@]}" "client_secret = \${file:$dir/application}" 'max_size = 1' | ship_conf
ship_start
events busy 10 | send busy
drained busy
puts=$(counter busy token_count)
entra_says '{ life: 3600 }'
hub_fault 'fail-cbs next=1 status=500 condition=amqp:internal-error'
says 'msg="token not taken now" stream=busy .*token="the old one is still in use"' 30
put_again() { [ "$(counter busy token_count)" -gt "$puts" ]; }
within 10 put_again || fail "a token that was not taken is not put again"
[ "$(counter busy connection_lost_count)" -eq 0 ] || fail "a renewal that the hub did not take costs the connection"
ship_stop

# ---- a wrong secret, put right by a HUP ----
entra_says '{}'
printf 'wr0ng-secret-of-nobody' >"$dir/application"
identity_conf wrong client-secret "${application[@]}" "client_secret = \${file:$dir/application}" | ship_conf
ship_start
events wrong 100 | send wrong
says 'msg="no token for the identity".*reason="client-secret: localhost:[0-9]+ answers 401: AADSTS7000215: Invalid client secret provided[^"]*".*action=hold.*remedy="the client secret is wrong'
printf '%s' "$secret" >"$dir/application"
kill -HUP "$shipper"
drained wrong
silent 'wr0ng|Trace ID'
ship_stop

# ---- an identity without a role, which is given it ----
entra_says '{ roles: [] }'
identity_conf role client-secret "${application[@]}" "client_secret = \${file:$dir/application}" | ship_conf
ship_start
events role 100 | send role
says 'remedy="give the identity the role Azure Event Hubs Data Sender'
entra_says '{}'
kill -HUP "$shipper"
drained role 90
ship_stop

# ---- an authority that nobody vouches for, one that is not there, a tenant that is not there ----
{
    identity_conf tenant client-secret 'tenant_id = fabrikam.example' "$client" "client_secret = \${file:$dir/application}"
    identity_conf port client-secret "${application[@]}" "client_secret = \${file:$dir/application}" 'authority_host = localhost:1'
    identity_conf name client-secret "${application[@]}" "client_secret = \${file:$dir/application}" "authority_host = 127.0.0.1:$(entra_port entra)"
} | ship_conf
ship_start
for stream in tenant port name; do events $stream 5 | send $stream; done
says 'stream=tenant .*AADSTS90002: Tenant .fabrikam.example. not found.*remedy="the tenant does not exist'
says 'no token yet, it is asked for again.*localhost:1: Failed to connect'
says 'stream=name .*remedy="the authority.s certificate is not trusted: SSL_CERT_FILE'
ship_stop

# ---- libehring-direct, the same doors ----
direct() { # what, exit status, message, settings…
    local what=$1 want=$2 message=$3 setting status options=()
    shift 3
    events "$what" 50 >"$dir/direct"
    for setting in "namespace=localhost:$(port amqps)" "$@"; do options+=(--set "$setting"); done
    timeout 30 "$build/ehring-send" --direct --hub orders --ca-file "$dir/state/ca.pem" --key-json k "${options[@]}" "$dir/direct" >"$dir/direct.log" 2>&1
    status=$?
    [ $status -eq "$want" ] || fail "direct, $what: ends with $status: $(tail -n 1 "$dir/direct.log")"
    grep -qE -- "$message" "$dir/direct.log" || fail "direct, $what: says $(cat "$dir/direct.log")"
    cat "$dir/direct.log" >>"$dir/send.log"
}
direct direct-secret 0 '50 events.*all accepted' credential=client-secret tenant_id=contoso.example "${client// /}" "client_secret=\${file:$dir/application}"
direct direct-managed 0 'all accepted' credential=managed-identity
direct direct-nothing 1 'no token for the identity: client-secret: not set: client_secret' credential=client-secret tenant_id=contoso.example "${client// /}"
entra_says '{ roles: [] }'
direct direct-role 1 'needs the role Azure Event Hubs Data Sender' credential=managed-identity
entra_says '{}'

# ---- two keys ----
key=$(sed -n 's/.*SharedAccessKey=\([^;]*\).*/\1/p' "$connection")
two_keys() { # stream, primary, secondary
    printf '[stream %s]\nhub = orders\nnamespace = localhost:%s\nca_file = %s\n%s\nshared_access_key_name = RootManageSharedAccessKey\nshared_access_key = %s\nshared_access_key_secondary = %s\n' \
        "$1" "$(port amqps)" "$dir/state/ca.pem" "$quick" "$2" "$3"
}
{ two_keys keys bm90LXRoZS1rZXktb2YtdGhpcy1odWI= "$key"; echo 'token_seconds = 10'; echo 'max_size = 2'; two_keys none bm90LXRoZS1rZXktb2YtdGhpcy1odWI= bmVpdGhlci1pcy10aGlzLW9uZQ==; } | ship_conf 'workers = 2'
ship_start
events keys 20000 | send keys --rate 2500
events none 5 | send none
drained keys
[ "$(counter keys key_switched_count)" -eq 1 ] || fail "key_switched_count is $(counter keys key_switched_count)"
[ "$(grep -c 'stream=keys.*key=secondary' "$log")" -eq 1 ] || fail "the switch of keys was not told once"
says 'msg="one of two keys is refused: the other one is in use from now on" stream=keys hub=orders key=secondary policy=RootManageSharedAccessKey'
[ "$(counter keys connect_failed_count)" -eq 0 ] || fail "a refused key costs a connection"
says 'msg="token refused: check SharedAccessKeyName.*stream=none'
silent 'other one is in use from now on" stream=none'
silent 'bm90LXRoZS1rZXk|bmVpdGhlci1pcy'
ship_stop
# the other one stays in use until it is refused in its turn: both are good here, and the hub refuses when told to
{ two_keys both "$key" "$key"; echo 'token_seconds = 10'; echo 'max_size = 1'; } | ship_conf
ship_start
put() { [ "$(counter both token_count)" -ge "$1" ]; }
events both 10 | send both --flush-ms 30000
for switched in 1 2; do
    hub_fault 'fail-cbs next=1 status=401 condition=com.microsoft:auth-failed text="InvalidSignature: no."'
    switched() { [ "$(counter both key_switched_count)" -eq "$switched" ]; }
    within 30 switched || fail "key_switched_count is $(counter both key_switched_count), not $switched"
    now=$(counter both token_count)
    within 30 put $((now + 1)) || fail "no renewal after switch $switched"
    switched || fail "a key that is accepted was left: key_switched_count is $(counter both key_switched_count)"
done
says 'stream=both hub=orders key=secondary'
says 'stream=both hub=orders key=primary'
[ "$(counter both connection_lost_count)" -eq 0 ] || fail "a switch of keys costs a connection"
ship_stop

arrived "all in all" once busy:10 load:100000 "${kinds[@]/%/:300}" app:300 wrong:100 role:100 direct-secret:50 direct-managed:50 keys:20000 both:10
"$build/ehring-stat" --audit >"$dir/audit.out" || true
for word in "$secret" "$header" "$federated" wr0ng-secret; do
    if grep -lF -- "$word" "$dir"/*.log "$dir"/*.err; then fail "a secret is in a log: ${word:0:4}…"; fi
done
if grep -lE 'eyJ[A-Za-z0-9_-]{8,}\.' "$dir"/*.log; then fail "a token is in a log"; fi
[ $failed -eq 0 ] && echo "identities have tokens, events arrive"
