# shellcheck shell=bash
# Sourced by the e2e_ship_*.sh scripts: a hub and shippers with files of their own, events whose arrival can be judged, and a clean end.
# An event is {"k":KEY,"p":PRODUCER,"i":NUMBER}; the judge is what the hub stored, nobody's counters.
set -u
build=${EHRING_BUILD:-$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)/build}
[ -x "$build/ehring-shipper" ] || { echo "$build/ehring-shipper is missing: run make first"; exit 1; }
dir=$(mktemp -d /dev/shm/ehring-test-XXXXXX)
conf=$dir/shipper.conf   # of the shipper that is started next
connection=$dir/state/connection-string
log=/dev/null            # of the shipper that was started last
hub='' shipper=''
failed=0 ships=0
hub_doors=(amqp amqps admin)
hub_ports=()             # of the doors, chosen at the first start
export EHRING_RINGS=$dir/r
quick=$'retry_backoff_ms = 20\nretry_backoff_max_seconds = 1'

fail() {
    echo "FAIL $*"
    failed=1
}

rig_end() {
    local left status=$?
    for left in $(jobs -p); do kill -9 "$left" 2>/dev/null; done
    wait 2>/dev/null
    if grep -lE 'Sanitizer|runtime error:' "$dir"/*.log; then
        grep -hE -A30 'Sanitizer|runtime error:' "$dir"/*.log | head -n 60
        fail "a sanitizer has something to say"
    fi
    secrets_are_kept
    [ $failed -eq 0 ] || tail -n 25 "$log"
    umount "$dir/disk" 2>/dev/null # a test's own
    [ -n "${KEEP:-}" ] || rm -rf "$dir"
    [ $failed -eq 0 ] || status=1
    exit "$status"
}
trap rig_end EXIT
trap 'exit 1' INT TERM

# Every key and signature that lies in a file here, in no log.
secrets_are_kept() {
    local secret
    while read -r secret; do
        if grep -lF -- "${secret:0:12}" "$dir"/*.log; then fail "a secret is in a log"; fi
    done < <(cat "$dir"/state*/connection-string "$dir"/*.secret 2>/dev/null | grep -oE '(SharedAccessKey|sig)=[^;&]*' | sed 's/^[A-Za-z]*=//' | sort -u)
}

# ---- the hub: on ports that it keeps over restarts, below those which the kernel gives to connections and would not give back ----

hub_told() { [ -s "$dir/ports" ] || ! kill -0 "$hub" 2>/dev/null; }
hub_start() { # options…
    local next door attempt
    for attempt in 1 2 3 4 5; do
        rm -f "$dir/ports"
        if [ ${#hub_ports[@]} -eq 0 ]; then
            next=$((10240 + (RANDOM * 32768 + RANDOM) % 22000))
            for door in "${hub_doors[@]}"; do hub_ports+=("--$door-port" $((next++))); done
        else
            attempt=5
        fi
        "$build/ehring-hub" "${hub_ports[@]}" --ports-file "$dir/ports" --state-dir "$dir/state" --store-file "$dir/store" --stats-file "$dir/stats" "$@" \
            >>"$dir/hub.log" 2>&1 &
        hub=$!
        within 20 hub_told
        [ ! -s "$dir/ports" ] || return 0
        [ $attempt -eq 5 ] || hub_ports=()
    done
    fail "the hub does not start"
    tail -n 5 "$dir/hub.log"
    exit 1
}
port() { sed -n "s/^$1=//p" "$dir/ports"; } # of a door
hub_fault() { # a fault's text, as in ehring-hub(1): played now
    exec 9<>"/dev/tcp/127.0.0.1/$(port admin)" || { fail "no admin port"; return; }
    printf 'POST /fault HTTP/1.1\r\nHost: hub\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s' "${#1}" "$1" >&9
    head -n 1 <&9 | grep -q ' 200 ' || fail "the hub does not take the fault: $1"
    exec 9>&-
}
hub_stats() { # the hub's counters as JSON
    exec 9<>"/dev/tcp/127.0.0.1/$(port admin)" || { fail "no admin port"; return; }
    printf 'GET /stats HTTP/1.1\r\nHost: hub\r\nConnection: close\r\n\r\n' >&9
    sed '1,/^\r$/d' <&9
    exec 9>&-
}
hub_stop() {
    kill "$hub"
    wait "$hub" || fail "the hub ends with $?"
    hub=''
}

certificate_of_2020() { # old.pem and old.key of localhost, which vouches for itself
    openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$dir/old.key" -out "$dir/old.csr" -subj /CN=localhost \
        -addext subjectAltName=DNS:localhost 2>/dev/null
    mkdir "$dir/ca" && : >"$dir/ca/index" && echo 01 >"$dir/ca/serial"
    printf '[ca]\ndefault_ca=a\n[a]\ndatabase=%s/ca/index\nserial=%s/ca/serial\nnew_certs_dir=%s/ca\ndefault_md=sha256\npolicy=p\ncopy_extensions=copy\n[p]\ncommonName=supplied\n' \
        "$dir" "$dir" "$dir" >"$dir/ca/conf"
    openssl ca -batch -config "$dir/ca/conf" -selfsign -keyfile "$dir/old.key" -in "$dir/old.csr" -out "$dir/old.pem" -startdate 20200101000000Z \
        -enddate 20200201000000Z -notext 2>/dev/null || fail "openssl ca"
}

# ---- shippers ----

stream_conf() { # stream, hub: a section on standard output; what follows belongs to it
    # shellcheck disable=SC2016 # the shipper's own
    printf '[stream %s]\nhub = %s\nconnection_string = ${file:%s}\nca_file = %s\n%s\n' "$1" "$2" "$connection" "$dir/state/ca.pem" "$quick"
}
ship_conf() { # lines of [shipper]…; the streams from standard input
    { printf '[shipper]\nrings = %s/r\n' "$dir"; printf '%s\n' "$@"; cat; } >"$conf"
}
ship_start() {
    ships=$((ships + 1))
    log=$dir/shipper$ships.log
    : >"$log"
    "$build/ehring-shipper" --config "$conf" >"$log" 2>&1 &
    shipper=$!
    within 20 grep -q 'msg="started"' "$log" || { fail "the shipper does not start"; cat "$log"; exit 1; }
}
ship_stop() { # ends it in order
    kill "$shipper"
    ship_ended 0
}
ship_ended() { # exit status it must have
    local status
    wait "$shipper" 2>/dev/null
    status=$?
    [ $status -eq "$1" ] || fail "the shipper ends with $status, not $1"
    shipper=''
}
ship_lives() { kill -0 "$shipper" 2>/dev/null || fail "the shipper has died"; }

within() { # seconds, command…: until it succeeds
    local end=$((SECONDS + $1))
    shift
    until "$@"; do
        [ $SECONDS -le $end ] || return 1
        sleep 0.03
    done
}
audit() { # exit status it must have, what, options…: output in $dir/audit and $dir/audit.err
    local want=$1 what=$2 status
    shift 2
    told() { # 3 of a busy ring says: try again
        "$build/ehring-stat" --audit "$@" >"$dir/audit" 2>"$dir/audit.err"
        status=$?
        [ $status -ne 3 ] || [ "$want" -eq 3 ]
    }
    within 10 told "$@"
    [ $status -eq "$want" ] || { fail "$what: audit exits with $status, not $want"; cat "$dir/audit" "$dir/audit.err"; }
}
says() { # pattern [seconds]: the log says it, sooner or later
    within "${2:-20}" grep -qE -- "$1" "$log" || fail "the log does not say: $1"
}
silent() { ! grep -qE -- "$1" "$log" || fail "the log should not say: $(grep -m1 -E -- "$1" "$log")"; }
no_rings() { ! compgen -G "$dir/r/$1/*.ring" >/dev/null; }
all_counted() { ! "$build/ehring-stat" -1 --stream "$1" 2>/dev/null | grep -qE '^ +removing_full +1'; } # what a ring had comes to the totals behind its end
drained() { # stream [seconds]: every ring of a dead producer is gone, and in the totals
    within "${2:-30}" no_rings "$1" || fail "rings of $1 are not drained: $(basename -a "$dir/r/$1"/*.ring)"
    within 10 all_counted "$1" || fail "a ring of $1 is gone and does not come to the totals"
}
counter() { # stream, name: its value, the sum over workers, of the shipper's file
    "$build/ehring-stat" -j --stream "$1" 2>/dev/null | node -e '
        const { files } = JSON.parse(require("fs").readFileSync(0, "utf8"))
        const value = files.find(f => f.kind == "shipper")?.values[process.argv[1]]
        console.log(value === undefined ? -1 : value.value ?? value.values.reduce((a, b) => a + b, 0))
    ' "$2"
}

# ---- events ----

events() { # producer, count [keys [first]]
    seq "${4:-1}" $((${4:-1} + $2 - 1)) | awk -v p="$1" -v keys="${3:-7}" '{ printf "{\"k\":\"k%d\",\"p\":\"%s\",\"i\":%d}\n", $1 % keys, p, $1 }'
}
send() { # stream, options…: standard input into a ring of its own
    local stream=$1
    shift
    "$build/ehring-send" --stream "$stream" --make-stream-dir --key-json k --capacity 1M "$@" 2>>"$dir/send.log" || fail "ehring-send: $(tail -n 1 "$dir/send.log")"
}
arrived() { # what, at_least|once, PRODUCER:COUNT…: each of their events is in the store, first arrivals in order per key, and no other event
    local what=$1
    shift
    "$build/ehring-hub" --dump "$dir/store" >"$dir/dump"
    # shellcheck disable=SC2016 # JavaScript's own
    node -e '
        const [what, times, ...producers] = process.argv.slice(1)
        const say = (ok, ...text) => { if (!ok) { console.log("FAIL", what + ":", ...text); process.exit(1) } }
        const want = new Map(producers.map(p => p.split(":")).map(([p, n]) => [p, Number(n)])), seen = new Map(), last = new Map()
        for (const line of require("fs").readFileSync(0, "utf8").split("\n").slice(0, -1)) {
            const event = JSON.parse(line), { k, p, i } = JSON.parse(event.body), id = `${p} ${i}`
            say(want.get(p) >= i && i >= 1 && event.key == k, "an event that nobody sent", line)
            const count = (seen.get(id) ?? 0) + 1
            seen.set(id, count)
            say(count == 1 || times == "at_least", "event", id, "arrived again")
            if (count > 1) continue
            say((last.get(p + k) ?? 0) < i, "event", id, "of key", k, "arrived behind", last.get(p + k))
            last.set(p + k, i)
        }
        for (const [p, n] of want)
            for (let i = 1; i <= n; i++) say(seen.has(`${p} ${i}`), "event", p, i, "of", n, "is missing")
    ' "$what" "$@" <"$dir/dump" || failed=1
}
