#!/usr/bin/env bash
# The shipper's configuration: what is wrong is named with file, line, key and allowed values, and is the exit status; secrets are masked;
# a second shipper on a stream names the first.
# shellcheck source=tests/ship_rig.sh
. "$(dirname "$0")/ship_rig.sh"

shipper() { # exit status, options…: output in out and err
    local want=$1 status
    shift
    timeout 10 "$build/ehring-shipper" "$@" >"$dir/out" 2>"$dir/err"
    status=$?
    [ $status -eq "$want" ] || { fail "ehring-shipper $*: exit $status, not $want"; cat "$dir/err"; }
}
complains() { grep -qE -- "$1" "$dir/err" || { fail "it does not say: $1"; cat "$dir/err"; }; }
shows() { grep -qE -- "$1" "$dir/out" || { fail "it does not show: $1"; cat "$dir/out"; }; }
check() { # exit status; the configuration from standard input
    cat >"$dir/c.conf"
    shipper "$1" --config "$dir/c.conf" --check
}
hidden() { ! grep -qF "$secret" "$dir/out" "$dir/err" || fail "the key is shown"; }
secret=Z2VoZWltLWdlaGVpbS1nZWhlaW0tZ2VoZWlt
keys=$'namespace = contoso\nshared_access_key_name = sender\nshared_access_key = '$secret

check 0 <<<$'[stream orders]\nhub = orders\n'"$keys"
shows ': ok, 1 streams'
shipper 0 --config "$dir/c.conf" --print-config
shows 'contoso\.servicebus\.windows\.net'
shows 'SharedAccessKey=\*+$|shared_access_key = \*+$'
shows '^workers = 1$'
hidden
check 0 <<<$'[stream orders]\nhub = orders\n'"${keys/contoso/contoso.servicebus.windows.net}"
shipper 0 --config "$dir/c.conf" --print-config
shows 'contoso\.servicebus\.windows\.net(/|;|$)'
if grep -q 'windows.net.servicebus' "$dir/out"; then fail "the domain is put behind itself"; fi

check 1 <<<$'[shipper]\n; a comment\nworkerz = 2\n\n[stream orders]\nhub = orders\n'"$keys"
complains '/c\.conf:3: workerz: unknown key.*workers'
hidden
check 1 <<<$'[shipper]\nworkers = 17\nnet = pigeon\n[stream orders]\nhub = orders\nlinger_ms = 5 minutes\nbatch_bytes_max = 1 lot\n'"$keys"
complains '/c\.conf:2: workers: 17: .*1 to 16'
complains '/c\.conf:3: net: pigeon: .*auto, uring or epoll'
complains '/c\.conf:6: linger_ms: 5 minutes: .*number from 0 to 60000'
complains '/c\.conf:7: batch_bytes_max: 1 lot: must be'
hidden
check 1 <<<$'[stream orders]\nhub = orders\ncredential = default\ntransport = websocket\nmaximum_size = 10\n'"$keys"
complains '/c\.conf:7: shared_access_key_name: an identity of Entra ID \(credential\) excludes keys'
complains '/c\.conf:5: maximum_size: unknown key'
option=$(grep -oE -- '--help[-=][a-z]+' "$dir/err" | head -n 1)
shipper 0 "$option"   # the option that the message names is one
shows '^\[stream NAME\] +linger_ms '
check 1 <<<$'[stream orders]\n'"$keys"
complains '/c\.conf:1: .*hub.* missing'
hidden
check 1 <<<$'[stream orders]\nhub = orders\n'
complains '/c\.conf:1: .*connection_string'
check 1 <<<$'[stream orders]\nhub = orders\n'"$keys"$'\n[stream orders]\nhub = other\n'"$keys"
complains '/c\.conf:6: stream orders is given twice.*line 1'
check 1 <<<$'[stream orders]\nhub = orders\nconnection_string = ${file:/nowhere/at/all}\n'
complains '/c\.conf:3: connection_string: /nowhere/at/all.*No such file'
check 1 <<<$'[stream orders]\nhub = orders\nconnection_string = ${env:EHRING_TEST_UNSET}\n'
complains '/c\.conf:3: connection_string: .*EHRING_TEST_UNSET'
check 1 <<<$'[stream orders]\nhub = orders\nconnection_string = Endpoint=sb://a.example/;SharedAccessKey='"$secret"
complains '/c\.conf:3: connection_string: .*SharedAccessKeyName'
hidden
check 1 <<<$'[stream orders/of/others]\nhub = orders\n'"$keys"
complains '/c\.conf:1: .*\[A-Za-z0-9\._-\]'
check 1 <<<$'[shipper]\nrings = '"$dir/$(printf 'x%.0s' $(seq 100))"$'\n[stream orders]\nhub = orders\n'"$keys"
complains '/c\.conf:3: the doorbell.s path .*/orders\.bell has 1[0-9]+ bytes, .* takes 107'
check 1 </dev/null
complains '/c\.conf:1: .*nothing to ship'
check 1 <<<$'hub orders\n[stream orders'
complains '/c\.conf:1: '
complains '/c\.conf:2: .*bracket'
shipper 1 --config "$dir/none.conf" --check
complains '/none\.conf: .*No such file'
shipper 2 --nonsense
shipper 2 surplus
shipper 0 --version
shipper 0 --help

# every key that is documented by the program is taken with its default
shipper 0 --help-config
cp "$dir/out" "$dir/keys"
for key in rings workers net log_level drain_seconds hub connection_string namespace ca_file linger_ms batch_count_max partition_refresh_seconds token_seconds; do
    grep -qE "^\[.*\] +$key " "$dir/keys" || fail "--help-config does not know $key"
done

# what only a start can tell
printf '[shipper]\nrings = /proc/nowhere\n[stream orders]\nhub = orders\n%s\n' "$keys" >"$dir/c.conf"
shipper 1 --config "$dir/c.conf"
complains 'level=error .*/proc/nowhere: '
check 0 <<<$'[shipper]\nrings = '"$dir/q"$'\n[stream orders]\nhub = orders\nca_file = /nowhere.pem\n'"$keys"
shipper 1 --config "$dir/c.conf"
complains 'level=error .*ca_file /nowhere\.pem: No such file'

hub_start --hub orders:4 --hub clicks:2
ship_conf "workers = 1" <<<"$(stream_conf orders orders)"
ship_start
first=$shipper
ship_conf "workers = 1" <<<"$(stream_conf clicks clicks; stream_conf orders orders)"
shipper 1 --config "$conf"
complains "level=error .*stream orders is drained by another shipper already \(process $first holds .*/orders\.lock"
events one 10 | send orders   # and the first one is none the worse for it
drained orders
ship_lives
ship_stop
ship_start                    # the lock went with it, the refused one left none
events two 10 | send clicks
drained clicks
ship_stop
arrived "two streams" once one:10 two:10
[ $failed -eq 0 ] && echo "what is wrong with a configuration is named"
