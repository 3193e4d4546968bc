# shellcheck shell=bash
# Sourced behind ship_rig.sh by the tests against a real RabbitMQ: a node of its own, without systemd, with name, ports and data below $dir.
# shellcheck disable=SC2154 # dir, failed: of ship_rig.sh
rabbit_bin=/usr/lib/rabbitmq/bin
rabbit_dir=$dir/rabbit
rabbit_starts=0
rabbit_tests=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
rabbit=''
[ -x $rabbit_bin/rabbitmq-server ] || { echo "$rabbit_bin/rabbitmq-server is missing: tools/setup.sh test installs it"; exit 1; }

rabbit_make() { # definitions (JSON) from standard input: users, queues… of the node
    mkdir -p "$rabbit_dir"
    cat >"$rabbit_dir/definitions.json"
    # shellcheck disable=SC2016 # JavaScript's own
    read -r amqp_port amqps_port dist_port epmd_port ctl_port <<<"$(node -e '
        const net = require("net")
        function look(first) { // the last one begins a range of ten
            const servers = Array.from({ length: 14 }, (_, i) => net.createServer().listen(first + i, "127.0.0.1"))
            Promise.allSettled(servers.map(s => new Promise((done, failed) => s.on("listening", done).on("error", failed)))).then(all => {
                servers.forEach(s => s.close())
                if (all.some(one => one.status === "rejected")) return look(first + 14)
                console.log([0, 1, 2, 3, 4].map(i => first + i).join(" "))
            })
        }
        look(10240 + Math.floor(Math.random() * 21000))')" # kept over restarts: below those which the kernel gives to others meanwhile
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost -addext "subjectAltName=DNS:localhost,IP:127.0.0.1" \
        -keyout "$rabbit_dir/key.pem" -out "$rabbit_dir/ca.pem" 2>>"$rabbit_dir/openssl.txt" || fail "no certificate"
    cat >"$rabbit_dir/rabbitmq.conf" <<END
listeners.tcp.1 = 127.0.0.1:$amqp_port
listeners.ssl.1 = 127.0.0.1:$amqps_port
ssl_options.certfile = $rabbit_dir/ca.pem
ssl_options.keyfile = $rabbit_dir/key.pem
ssl_options.verify = verify_none
load_definitions = $rabbit_dir/definitions.json
loopback_users = none
log.console = true
log.file = false
END
    echo '[rabbitmq_amqp1_0].' >"$rabbit_dir/enabled_plugins"
}
rabbit_env() { # command…: with the node's surroundings
    HOME=$rabbit_dir RABBITMQ_NODENAME=ehring-$$@localhost RABBITMQ_MNESIA_BASE=$rabbit_dir/mnesia RABBITMQ_LOG_BASE=$rabbit_dir/log \
        RABBITMQ_CONFIG_FILE=$rabbit_dir/rabbitmq.conf RABBITMQ_ENABLED_PLUGINS_FILE=$rabbit_dir/enabled_plugins RABBITMQ_CONF_ENV_FILE=/dev/null \
        RABBITMQ_PID_FILE=$rabbit_dir/pid RABBITMQ_DIST_PORT=$dist_port ERL_EPMD_PORT=$epmd_port ERL_EPMD_ADDRESS=127.0.0.1 \
        RABBITMQ_CTL_DIST_PORT_MIN=$ctl_port RABBITMQ_CTL_DIST_PORT_MAX=$((ctl_port + 9)) LANG=C.UTF-8 LC_ALL=C.UTF-8 "$@"
}
rabbit_ctl() { rabbit_env $rabbit_bin/rabbitmqctl -q "$@" >"$rabbit_dir/ctl.out" 2>&1 || { fail "rabbitmqctl $*"; cat "$rabbit_dir/ctl.out"; }; }
rabbit_start() {
    rabbit_starts=$((rabbit_starts + 1))
    local out=$rabbit_dir/out$rabbit_starts
    rm -f "$rabbit_dir/pid"
    : >"$out"
    rabbit_env $rabbit_bin/rabbitmq-server >"$out" 2>&1 &
    rabbit_script=$!
    within 120 grep -q 'Server startup complete' "$out" || { fail "RabbitMQ does not start"; tail -n 20 "$out"; exit 1; }
    rabbit=$(cat "$rabbit_dir/pid")
}
rabbit_says() { within 30 grep -q -- "$1" "$rabbit_dir/out$rabbit_starts" || fail "RabbitMQ does not say: $1"; }
rabbit_stop() { # in order
    kill "$rabbit"
    wait "$rabbit_script" 2>/dev/null
    rabbit=''
}
rabbit_kill() {
    kill -9 "$rabbit"
    wait "$rabbit_script" 2>/dev/null
    rabbit=''
}
rabbit_end() {
    [ -z "$rabbit" ] || kill -9 "$rabbit" 2>/dev/null
    wait "${rabbit_script:-}" 2>/dev/null
    [ -z "${epmd_port:-}" ] || rabbit_env epmd -port "$epmd_port" -kill >/dev/null 2>&1
    rig_end
}
trap rabbit_end EXIT

rabbit_count() { # queue: how many messages it has, as the broker counts them
    rabbit_ctl list_queues name messages
    awk -v q="$1" '$1 == q { print $2 }' "$rabbit_dir/ctl.out"
}
rabbit_read() { # queue: reads it empty into $dir/got with a client that is not ours, a line of JSON for each message
    local sdk count
    sdk=$(EHRING_BUILD=$build "$rabbit_tests/sdk/install") || { fail "the packages of tests/sdk are not installed"; return; }
    count=$(rabbit_count "$1")
    (cd "$sdk" && timeout "${wait:-120}" node "$rabbit_tests/rabbitmq_read.mjs" "$amqp_port" "$1" "$count") >"$dir/got" 2>"$dir/got.err" ||
        { fail "$1 cannot be read"; cat "$dir/got.err"; }
    [ "$(wc -l <"$dir/got")" -eq "$count" ] || fail "$(wc -l <"$dir/got") messages of the $count that the broker counted"
    [ "$(rabbit_count "$1")" -eq 0 ] || fail "$1 is not empty"
}
rabbit_judge() { # what, messages at most, place of the key, PRODUCER:COUNT… < messages
    node "$rabbit_tests/rabbitmq_judge.mjs" "$@" || { fail "$1: see above"; return 1; }
}
