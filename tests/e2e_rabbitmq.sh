#!/usr/bin/env bash
# type = amqp against a real RabbitMQ: every wrong way in says what is wrong; 100,000 events arrive although the broker is killed and restarted in the
# middle, none is missing, what comes twice was counted; a broker that blocks its publishers is waited for. RABBIT_EVENTS: another number.
# shellcheck source=tests/ship_rig.sh
. "$(dirname "$0")/ship_rig.sh"
# shellcheck source=tests/rabbitmq_rig.sh
. "$(dirname "$0")/rabbitmq_rig.sh"
total=${RABBIT_EVENTS:-100000}
wait=$((total / 1000 + 200)) # for all of them, on a slow disk

user() { printf '{"name": "%s", "password": "hunter2-%s", "tags": ""}' "$1" "$1"; }
may() { printf '{"user": "%s", "vhost": "%s", "configure": "%s", "write": "%s", "read": "%s"}' "$@"; }
queue() { printf '{"name": "%s", "vhost": "/", "durable": true, "auto_delete": false, "arguments": {%s}}' "$1" "${2:-}"; }
rabbit_make <<END
{"users": [$(user shipper), $(user stranger), $(user reader), $(user mute)],
 "vhosts": [{"name": "/"}, {"name": "other"}],
 "permissions": [$(may shipper / '.*' '.*' '^$'), $(may shipper other '.*' '.*' '^$'), $(may reader / '^$' '^$' '.*'), $(may mute / '.*' '^$' '^$'),
                 $(may guest / '^$' '.*' '^$')],
 "queues": [$(queue events), $(queue quorum '"x-queue-type": "quorum"'), $(queue window), $(queue keys)],
 "exchanges": [], "bindings": []}
END
sed -i 's/"users": \[/"users": [{"name": "guest", "password": "guest", "tags": ""}, /' "$rabbit_dir/definitions.json"
echo 'max_message_size = 1000000' >>"$rabbit_dir/rabbitmq.conf"
rabbit_start
for name in shipper stranger mute; do echo "hunter2-$name" >"$dir/$name.password"; done
echo hunter2-wrong >"$dir/wrong.password"

broker_conf() { # stream, address, user or -, lines…: a section on standard output, over TLS
    local stream=$1 address=$2 user=$3
    shift 3
    printf '[stream %s]\ntype = amqp\nbroker = amqps://localhost:%s\naddress = %s\nca_file = %s\n%s\n' "$stream" "$amqps_port" "$address" "$rabbit_dir/ca.pem" "$quick"
    # shellcheck disable=SC2016 # the shipper's own
    [ "$user" = - ] || printf 'sasl_user = %s\nsasl_password = ${file:%s}\n' "$user" "$dir/$user.password"
    [ $# -eq 0 ] || printf '%s\n' "$@"
}
ledger_closes() { "$build/ehring-stat" --audit >"$dir/audit" 2>&1 || { fail "the ledger does not close"; cat "$dir/audit"; }; }
field() { # stream, field of its ledger
    "$build/ehring-stat" --audit -j --stream "$1" | node -e '
        console.log(JSON.parse(require("fs").readFileSync(0, "utf8")).streams[0][process.argv[1]])' "$2"
}
# shellcheck disable=SC2317 # for within
accepted_more_than() { [ "$(field "$1" accepted_events)" -gt "$2" ]; }

# ---- wrong ways in: each is told by its own line, with what to do ----
# shellcheck disable=SC2016 # the shipper's own
{
    broker_conf password events shipper | sed "s|$dir/shipper.password|$dir/wrong.password|"
    broker_conf vhost events shipper 'open_hostname = vhost:nowhere'
    broker_conf stranger events stranger
    broker_conf mute events mute
    broker_conf exchange /exchange/nowhere/key shipper
    broker_conf form a/b shipper
    broker_conf quorum quorum shipper
    broker_conf ca events shipper | sed '/^ca_file/d'
    broker_conf name events shipper | sed 's|amqps://localhost|amqps://127.0.0.2|'
    printf '[stream port]\ntype = amqp\nbroker = amqp://127.0.0.1:%s\naddress = events\n%s\n' "$ctl_port" "$quick"
    printf '[stream plain]\ntype = amqp\nbroker = amqp://127.0.0.1:%s\naddress = events\n%s\n' "$amqps_port" "$quick"
} | ship_conf 'workers = 1' 'drain_seconds = 0' 'log_level = trace'
ship_start
for stream in password vhost stranger mute exchange form quorum ca name port plain; do events w 1 | send "$stream"; done
told() { says "level=warn .*stream=$1 .*$2.*remedy=\"[^\"]*$3"; }
told password 'SASL PLAIN was refused \(user shipper\)' 'check sasl_user and sasl_password'
told vhost "insufficient permissions" 'virtual host does not exist, or the user has no permission'
told stranger "Access for user 'stranger' was refused" 'check open_hostname and the user'
told mute "access to exchange 'amq.default' in vhost '/' refused for user 'mute'" 'grant it write permission'
told exchange "no exchange 'nowhere'" 'make the queue or exchange'
told form 'unknown_destination' 'check its form'
told quorum "inequivalent arg 'x-queue-type'" 'address = /amq/queue/NAME'
says 'stream=ca .*certificate'
says 'stream=name .*(refused|certificate)'
says 'stream=port .*refused'
says 'stream=plain .*(closed|reset|framing)'
ship_lives
ledger_closes
[ "$(field password pending_events)" -eq 1 ] || fail "an event is not pending although nobody took it"
ship_stop
for stream in password vhost stranger mute exchange form quorum ca name port plain; do rm -rf "${dir:?}/r/$stream"*; done

# ---- a kill and a restart in the middle: first with io_uring, then with epoll ----
pad=$(printf '%0200d' 0)
fat() { events "$@" | sed "s/}\$/,\"pad\":\"$pad\"}/"; } # 256 bytes or a little less each
half=$((total / 2))
feed() { # producer, count: in the background, as process $!
    fat "$1" "$2" 64 >"$dir/$1.lines"
    "$build/ehring-send" --stream events --make-stream-dir --key-json k --capacity 1M --message-id-position --rate $((total / 20)) "$dir/$1.lines" 2>>"$dir/send.log" &
}
ship_events() { # network
    broker_conf events events shipper | ship_conf 'workers = 2' "net = $1"
    ship_start
}
ship_events uring
feed a $half
sender=$!
within "$wait" accepted_more_than events $((half / 5)) || fail "nothing gets on"
rabbit_kill
says 'connection (lost|closed)'
rabbit_start
wait "$sender" || fail "the sender fails"
drained events "$wait"
says 'network by'
ship_stop
ship_events epoll
feed b $half
sender=$!
within "$wait" accepted_more_than events $((half + half / 5)) || fail "nothing gets on after the restart"
rabbit_stop
says 'level=info .*connection (lost|closed)'
rabbit_start
wait "$sender" || fail "the sender fails"
drained events "$wait"
says 'network by epoll'
ship_lives
ledger_closes
repeats=$(field events maybe_duplicate_events)
[ "$(field events accepted_events)" -eq $((2 * half)) ] || fail "accepted $(field events accepted_events) of $((2 * half))"
rabbit_read events
rabbit_judge "two halves" $((2 * half + repeats)) group a:$half b:$half <"$dir/got"
echo "$(wc -l <"$dir/got") messages of $((2 * half)) events, $repeats may be repeats"

# ---- a broker that blocks its publishers for want of memory is waited for ----
rabbit_ctl set_vm_memory_high_watermark 0.000001
rabbit_says 'memory resource limit alarm set'
lost=$(counter events connection_lost_count)
blocked='' behind=()
for producer in c d e f g; do # it stores what it has read by then, and it may be a while until each connection is told
    events $producer 20000 | send events
    behind+=("$producer:20000")
    sleep 2 # nothing is to happen in this time
    if [ "$(field events pending_events)" -gt 0 ]; then blocked=yes; break; fi
done
[ -n "$blocked" ] || fail "a blocked broker takes events"
[ "$(counter events connection_lost_count)" -eq "$lost" ] || fail "a blocked broker's connection was given up"
rabbit_ctl set_vm_memory_high_watermark 0.8
drained events "$wait"
rabbit_read events
rabbit_judge "behind a block" $((20000 * ${#behind[@]})) group "${behind[@]}" <"$dir/got"
ship_stop

# ---- an event that is larger than the broker takes: told by a session's end alone; it becomes a dead letter, the others arrive ----
broker_conf keys keys shipper | ship_conf 'workers = 1' "dead_letters = $dir/dead"
ship_start
events before 50 | send keys
head -c 2000000 /dev/zero | tr '\0' x >"$dir/huge"
"$build/ehring-send" --stream keys --capacity 32M --files "$dir/huge" 2>>"$dir/send.log" || fail "ehring-send: $(tail -n 1 "$dir/send.log")"
events behind 50 | send keys
drained keys
[ "$(field keys dead_lettered_events)" -eq 1 ] || fail "$(field keys dead_lettered_events) dead letters of one event that is too large"
rabbit_read keys
rabbit_judge "beside one that is too large" $((100 + $(field keys maybe_duplicate_events))) group before:50 behind:50 <"$dir/got"
ship_stop
rm -rf "${dir:?}"/r/keys*

# ---- what a message looks like: each place of the key; ids, and durable; a window of one; without TLS and without a user ----
{
    for place in subject property:device annotation:x-device; do
        broker_conf "${place%%:*}" keys shipper "key_property = $place"
    done
    printf '[stream window]\ntype = amqp\nbroker = amqp://127.0.0.1:%s\naddress = /amq/queue/window\nwindow_events = 1\nready_message = hello\n%s\n' "$amqp_port" "$quick"
} | ship_conf 'workers = 2'
ship_start
events subject 300 | send subject
events property 300 | send property
events parts 300 | "$build/ehring-send" --stream subject --partition-id 1999 2>>"$dir/send.log" || fail "ehring-send: $(tail -n 1 "$dir/send.log")"
events annotation 300 | send annotation
events window 2000 | send window
for stream in subject property annotation window; do drained $stream; done
rabbit_read keys
rabbit_judge "places of the key" 1200 any subject:300 property:300 annotation:300 parts:300 <"$dir/got"
rabbit_read window
grep -qF '"body":"hello"' "$dir/got" || fail "the ready_message has not arrived"
grep -vF '"body":"hello"' "$dir/got" | rabbit_judge "a window of one" 2000 group window:2000 || failed=1
ledger_closes
ship_stop
if grep -rlF hunter2 "$dir"/*.log "$rabbit_dir"/out*; then fail "a password is in a log"; fi
[ $failed -eq 0 ] && echo "ok"
exit $failed
