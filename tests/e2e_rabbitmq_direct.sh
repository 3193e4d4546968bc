#!/usr/bin/env bash
# libehring-direct and ehring-send --direct into a real RabbitMQ: a message for each event, its key where it is wanted, and what is wrong is said.
# shellcheck source=tests/ship_rig.sh
. "$(dirname "$0")/ship_rig.sh"
# shellcheck source=tests/rabbitmq_rig.sh
. "$(dirname "$0")/rabbitmq_rig.sh"

rabbit_make <<'END'
{"users": [{"name": "reader", "password": "hunter2-reader", "tags": ""}, {"name": "sender", "password": "hunter2-sender", "tags": ""}], "vhosts": [{"name": "/"}],
 "permissions": [{"user": "reader", "vhost": "/", "configure": "^$", "write": "^$", "read": ".*"},
                 {"user": "sender", "vhost": "/", "configure": ".*", "write": ".*", "read": ".*"}],
 "queues": [{"name": "events", "vhost": "/", "durable": true, "auto_delete": false, "arguments": {}}],
 "exchanges": [], "bindings": []}
END
rabbit_start
echo hunter2-sender >"$dir/sender.password"
echo hunter2-wrong >"$dir/wrong.password"

direct() { # what, exit status, message, address, password, options…: standard input is passed on
    local what=$1 want=$2 message=$3 address=$4 password=$5 status
    shift 5
    # shellcheck disable=SC2016 # the library's own
    timeout 30 "$build/ehring-send" --direct --set type=amqp --set "broker=amqp://127.0.0.1:$amqp_port" --set "address=$address" --set sasl_user=sender \
        --set 'sasl_password=${file:'"$dir/$password.password}" "$@" 2>"$dir/send.log"
    status=$?
    if [ $status -ne "$want" ] || ! grep -qE -- "$message" "$dir/send.log"; then
        fail "$what: exit $status, not $want, or it does not say: $message"
        cat "$dir/send.log"
    fi
}

events a 3000 | direct "many events" 0 '3000 events.*all accepted' events sender --key-json k
events b 5 | direct "a key as a property" 0 '5 events.*all accepted' events sender --key-json k --set key_property=property:device
[ "$(rabbit_count events)" -eq 3005 ] || fail "the broker counts $(rabbit_count events) messages"
events c 1 | direct "a wrong password" 1 'unauthorized-access.*SASL|SASL' events wrong
events c 1 | direct "no such exchange" 1 'nowhere' /exchange/nowhere/key sender
events c 1 | direct "a partition" 1 'partition id has no meaning' events sender --partition-id 1
rabbit_read events
node -e '
    const messages = require("fs").readFileSync(0, "utf8").split("\n").slice(0, -1).map(line => JSON.parse(line))
    const keyed = messages.filter(m => JSON.stringify(m).includes("device"))
    if (keyed.length != 5) { console.log("FAIL", keyed.length, "messages have their key as a property:", JSON.stringify(messages.at(-1))); process.exit(1) }
' <"$dir/got" || failed=1
[ $failed -eq 0 ] && echo "the direct client sends to RabbitMQ"
