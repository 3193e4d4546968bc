#!/usr/bin/env bash
# The demo: real text of this machine goes from several producers through rings and ehring-shipper into ehring-hub, and what the hub stored is the proof.
#
#   INPUT=PATH        the text (default: the package database and its log)
#   EVENTS=1000000    at least so many     PRODUCERS=4    processes     WORKERS=2    of the shipper
#   TRANSPORT=amqp    or websocket         PROXY=1        through an HTTP CONNECT proxy (tinyproxy) with a password
#   NET=auto          or uring, epoll      LIMIT_SECONDS=300            STEADY_RATE=5000 events/s for the latencies, 0: leave that part out
set -u
build=${EHRING_BUILD:-$(cd "$(dirname "$0")/../.." && pwd)/build}
EVENTS=${EVENTS:-1000000} PRODUCERS=${PRODUCERS:-4} WORKERS=${WORKERS:-2} NET=${NET:-auto} INPUT=${INPUT:-}
LIMIT_SECONDS=${LIMIT_SECONDS:-300} STEADY_RATE=${STEADY_RATE:-5000} TRANSPORT=${TRANSPORT:-amqp} PROXY=${PROXY:-0}
STEADY_SECONDS=2
for number in "$EVENTS" "$PRODUCERS" "$WORKERS" "$LIMIT_SECONDS" "$STEADY_RATE"; do
    [[ $number =~ ^[0-9]{1,12}$ ]] || { echo "demo: \"$number\" is not a number" >&2; exit 2; }
done
[ $((EVENTS * PRODUCERS * WORKERS)) -gt 0 ] || { echo "demo: EVENTS, PRODUCERS and WORKERS are at least 1" >&2; exit 2; }
case $TRANSPORT in amqp | websocket) ;; *) echo "demo: TRANSPORT is amqp or websocket, not \"$TRANSPORT\"" >&2; exit 2 ;; esac
case $PROXY in 0 | 1) ;; *) echo "demo: PROXY is 0 or 1, not \"$PROXY\"" >&2; exit 2 ;; esac
share=$(((EVENTS + PRODUCERS - 1) / PRODUCERS))
work='' rings='' hub_pid='' shipper_pid='' proxy_pid='' proxy_port='' feed_pids=() input=()

clean_up() {
    trap - EXIT INT TERM
    local pid
    for pid in "${feed_pids[@]}" $shipper_pid $proxy_pid $hub_pid; do kill "$pid" 2>/dev/null; done
    for pid in "${feed_pids[@]}" $shipper_pid $proxy_pid $hub_pid; do gone "$pid" 5 || kill -9 "$pid" 2>/dev/null; done
    wait 2>/dev/null
    rm -rf ${work:+"$work"} ${rings:+"$rings"}
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

die() {
    local log
    echo "demo: $*" >&2
    for log in "$work"/*.log; do
        [ -s "$log" ] || continue
        echo "--- the last lines of ${log##*/}" >&2
        tail -n 15 "$log" >&2
    done
    exit 1
}

gone() { # pid, seconds: true when the process has ended
    local end=$((SECONDS + $2))
    while kill -0 "$1" 2>/dev/null; do
        [ $SECONDS -lt $end ] || return 1
        sleep 0.05
    done
}

wait_for() { # seconds, what for, command…
    local end=$((SECONDS + $1)) what=$2
    shift 2
    until "$@"; do
        [ $SECONDS -lt $end ] || die "gave up waiting for $what"
        [ -z "$hub_pid" ] || kill -0 "$hub_pid" 2>/dev/null || die "ehring-hub has ended"
        [ -z "$shipper_pid" ] || kill -0 "$shipper_pid" 2>/dev/null || die "ehring-shipper has ended"
        sleep 0.05
    done
}

choose_input() {
    local path
    if [ -n "$INPUT" ]; then
        if [ ! -r "$INPUT" ] || [ ! -f "$INPUT" ] || [ ! -s "$INPUT" ]; then
            die "INPUT=$INPUT is not a readable file with something in it"
        fi
        input=("$INPUT")
        return
    fi
    for path in /var/lib/dpkg/status /var/log/dpkg.log; do
        [ -r "$path" ] && [ -s "$path" ] && input+=("$path")
    done
    [ ${#input[@]} -eq 0 ] || return
    for path in /var/log/syslog /etc/services /usr/share/common-licenses/GPL-3 /etc/protocols /etc/passwd; do
        if [ -r "$path" ] && [ -s "$path" ]; then
            echo "demo: this machine has no package database to read, taking $path"
            input=("$path")
            return
        fi
    done
    die "found no text to send: say INPUT=PATH"
}

make_places() {
    local shm=/dev/shm need_kib=$((PRODUCERS * 8192 + 16384)) free_kib
    work=$(mktemp -d "${TMPDIR:-/tmp}/ehring-demo.XXXXXX") || die "no directory for the demo's files"
    free_kib=$(df -Pk $shm 2>/dev/null | awk 'NR == 2 { print $4 }')
    if [ ! -w $shm ] || [ "${free_kib:-0}" -lt $need_kib ]; then
        echo "demo: $shm has no room for $PRODUCERS rings, they go to $work"
        shm=$work
    fi
    rings=$(mktemp -d "$shm/ehring-demo.XXXXXX") || die "no directory for the rings"
    mkdir "$work/input"
    local i
    for i in "${!input[@]}"; do # a copy: the original may change meanwhile
        cp -- "${input[i]}" "$work/input/$i" || die "cannot copy ${input[i]}"
        input[i]=$work/input/$i
    done
}

start_hub() {
    local doors=(--no-plain --amqps-port 0)
    [ "$TRANSPORT" = amqp ] || doors+=(--wss-port 0)
    "$build/ehring-hub" "${doors[@]}" --hub demo:4 --hub steady:4 --state-dir "$work/hub" --store-file "$work/store" \
        --store-bytes-max 64M >"$work/hub.log" 2>&1 &
    hub_pid=$!
    wait_for 15 "ehring-hub to listen" grep -qs '^ready ' "$work/hub.log"
}

of_ready() { grep -m1 '^ready ' "$work/hub.log" | tr ' ' '\n' | sed -n "s/^$1=//p"; }

start_proxy() { # tinyproxy takes no port of the kernel's choice
    local attempt
    command -v tinyproxy >/dev/null || die "tinyproxy is missing: install tinyproxy-bin"
    head -c 18 /dev/urandom | base64 | tr -d '+/=\n' >"$work/proxy.password"
    for attempt in $(seq 20); do
        proxy_port=$((20000 + RANDOM % 12000))
        (umask 077; printf 'Port %s\nListen 127.0.0.1\nAllow 127.0.0.1\nTimeout 600\nLogFile "%s"\nLogLevel Info\nBasicAuth demo %s\n' $proxy_port \
            "$work/proxy.log" "$(cat "$work/proxy.password")" >"$work/tinyproxy.conf")
        tinyproxy -d -c "$work/tinyproxy.conf" >"$work/tinyproxy.log" 2>&1 &
        proxy_pid=$!
        while kill -0 "$proxy_pid" 2>/dev/null; do
            grep -qs 'Starting main loop\|Accepting connections' "$work/proxy.log" && return
            sleep 0.05
        done
    done
    die "tinyproxy does not start, the last of $attempt attempts on port $proxy_port"
}

way() { # what a stream's section says of it
    [ "$TRANSPORT" = amqp ] || printf 'transport = websocket\nendpoint = 127.0.0.1:%s\n' "$(of_ready wss)"
    # shellcheck disable=SC2016 # the shipper's own ${file:…}
    [ "$PROXY" = 0 ] || printf 'proxy = http://127.0.0.1:%s\nproxy_user = demo\nproxy_password = ${file:%s}\n' "$proxy_port" "$work/proxy.password"
}

start_shipper() {
    local stream
    {
        printf '[shipper]\nrings = %s\nworkers = %s\nnet = %s\n' "$rings" "$WORKERS" "$NET"
        for stream in demo steady; do
            # shellcheck disable=SC2016 # the shipper's own ${file:…}
            printf '\n[stream %s]\nhub = %s\nconnection_string = ${file:%s}\nca_file = %s\n' $stream $stream \
                "$(of_ready connection_string_file)" "$(of_ready ca)"
            way
        done
    } >"$work/shipper.conf"
    "$build/ehring-shipper" --config "$work/shipper.conf" >"$work/shipper.log" 2>&1 &
    shipper_pid=$!
    wait_for 15 "ehring-shipper to make its directories" test -d "$rings/demo" -a -d "$rings/steady"
}

feed() { # stream, producer, events, further options…
    local stream=$1 producer=$2 events=$3
    shift 3
    timeout -k 5 "$LIMIT_SECONDS" "$build/ehring-demo" feed --rings "$rings" --stream "$stream" --producer "$producer" --events "$events" "$@" \
        "${input[@]}" >"$work/feed-$stream-$producer.log" 2>&1 &
    feed_pids+=($!)
}

anon_kib=0
watch_feeds() { # until all have ended: a sign of life for a person, and the shipper's memory
    local pid status kib
    while jobs -pr | grep -qxF "$(printf '%s\n' "${feed_pids[@]}")"; do
        kib=$(awk '/^RssAnon:/ { print $2 }' "/proc/$shipper_pid/status" 2>/dev/null)
        [ "${kib:-0}" -gt "$anon_kib" ] && anon_kib=$kib
        [ -t 1 ] && printf '\r  the hub has stored %s MB \033[K' "$(($(stat -c %s "$work/store") / 1000000))"
        kill -0 "$shipper_pid" 2>/dev/null || die "ehring-shipper has ended"
        kill -0 "$hub_pid" 2>/dev/null || die "ehring-hub has ended"
        sleep 0.2
    done
    [ -t 1 ] && printf '\r\033[K'
    for pid in "${feed_pids[@]}"; do
        wait "$pid"
        status=$?
        [ $status -ne 124 ] || die "a producer was not done after $LIMIT_SECONDS s"
        [ $status -eq 0 ] || die "a producer failed with exit status $status"
    done
    feed_pids=()
}

no_rings() { ! compgen -G "$rings/$1/*.ring" >/dev/null; }

stop() { # name, pid, seconds
    kill "$2" 2>/dev/null
    gone "$2" "$3" || die "$1 did not end within $3 s"
    wait "$2" || die "$1 ended with exit status $?"
}

latency() { # stream: the line of the histogram, after the count
    "$build/ehring-stat" -1 --rings "$rings" --stream "$1" 2>/dev/null | sed -n 's/^ *commit_to_accept[a-z_]*  *count [0-9]*  //p' | head -n 1
}

thousands() { sed -E ':a; s/^([0-9]+)([0-9]{3})/\1,\2/; ta' <<<"$1"; }
count() { if [ "$1" -eq 1 ]; then echo "1 $2"; else echo "$1 $2s"; fi; } # number, noun

of_feeds() { sed -n "s/^producer=.* $1=\([0-9.]*\).*/\1/p" "$work"/feed-demo-*.log; }

for program in ehring-hub ehring-shipper ehring-demo ehring-stat; do
    [ -x "$build/$program" ] || die "$build/$program is missing: run make first"
done
choose_input
names=${input[*]}
make_places
start_hub
[ "$PROXY" = 0 ] || start_proxy
start_shipper
stack=TLS
[ "$TRANSPORT" = amqp ] || stack="WebSocket in TLS"
[ "$PROXY" = 0 ] || stack="$stack, through tinyproxy"
echo "demo: $names → $(count "$PRODUCERS" producer) → rings → ehring-shipper → $stack → ehring-hub, 4 partitions"
for producer in $(seq "$PRODUCERS"); do feed demo "$producer" "$share"; done
watch_feeds
wait_for 30 "the shipper to remove the rings of ended producers" no_rings demo
steady_events=$((STEADY_RATE * STEADY_SECONDS))
if [ "$steady_events" -gt 0 ]; then
    feed steady 1 "$steady_events" --rate "$STEADY_RATE"
    watch_feeds
    wait_for 30 "the shipper to remove the ring of an ended producer" no_rings steady
fi
read -r -a shipper_stat <<<"$(sed 's/.*) //' "/proc/$shipper_pid/stat")"
cpu=$(awk -v u="${shipper_stat[11]}" -v s="${shipper_stat[12]}" -v hz="$(getconf CLK_TCK)" 'BEGIN { printf "%.2f s user, %.2f s system", u / hz, s / hz }')
full=$(latency demo) steady=$(latency steady)
stop ehring-shipper "$shipper_pid" 40
shipper_pid=
stop ehring-hub "$hub_pid" 15
hub_pid=
backend=$(sed -n 's/.*msg="network by \([a-z_]*\)".*/\1/p' "$work/shipper.log" | head -n 1)
troubles=$(grep -cE ' level=(warn|warning|error) ' "$work/shipper.log")
batches=$(sed -n 's/^hub=demo partition=all .*batches=\([0-9]*\) .*events_per_batch_mean=\([0-9.]*\).*/\1, \2 events each/p' "$work/hub.log")
seconds=$(of_feeds accepted_s | sort -n | tail -n 1)
bytes=$(of_feeds bytes | awk '{ sum += $1 } END { printf "%.0f", sum }')

echo
echo "events        $(thousands $((share * PRODUCERS))) from $PRODUCERS producers, $(awk -v b="$bytes" 'BEGIN { printf "%.1f", b / 1e6 }') MB of text"
echo "shipper       $(count "$WORKERS" worker) on ${backend:-$NET}, $cpu, $((anon_kib / 1024)) MiB besides the rings"
awk -v n=$((share * PRODUCERS)) -v b="$bytes" -v s="$seconds" 'BEGIN { printf "%.0f %.1f %.2f\n", n / s, b / s / 1e6, s }' | {
    read -r rate megabytes took
    echo "throughput    $(thousands "$rate") events/s, $megabytes MB/s of text, $took s until the last was accepted"
}
echo "batches       ${batches:-?}"
printf 'latency       %-34s%s\n' "commit to accept, rings full" "${full:-not measured}"
[ "$steady_events" -eq 0 ] || printf '              %-34s%s\n' "at $(thousands "$STEADY_RATE") events/s" "${steady:-not measured}"
[ "$PROXY" = 0 ] || echo "proxy         $(count "$(grep -c 'CONNECT' "$work/proxy.log")" tunnel)"
[ "$troubles" -eq 0 ] || echo "warnings      $troubles, the last: $(grep -E ' level=(warn|warning|error) ' "$work/shipper.log" | tail -n 1)"
"$build/ehring-demo" proof --store "$work/store" --hub demo --producers "$PRODUCERS" --events "$share" "${input[@]}" 2>"$work/proof.log"
status=$?
cat "$work/proof.log" >&2
if [ $status -eq 0 ] && [ "$steady_events" -gt 0 ]; then
    "$build/ehring-demo" proof --store "$work/store" --hub steady --producers 1 --events "$steady_events" "${input[@]}" >"$work/proof.log" 2>&1 ||
        die "the proof of the steady part fails"
fi
[ $status -eq 0 ] || die "the proof does not hold"
