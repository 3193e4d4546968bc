#!/usr/bin/env bash
# Faults played into a running hub - over HTTP, from a scenario, and kill -9 - as a real shipper meets them: each acts, and all events arrive in
# order per key.
# shellcheck source=tests/ship_rig.sh
. "$(dirname "$0")/ship_rig.sh"

admin() { # method, path [body]: the answer's body on standard output; fails unless the status is 200
    local body=${3:-} fd answer
    exec {fd}<>"/dev/tcp/127.0.0.1/$admin_port" || return 1
    printf '%s %s HTTP/1.1\r\nHost: hub\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s' "$1" "$2" ${#body} "$body" >&"$fd"
    answer=$(tr -d '\r' <&"$fd"; echo .)
    exec {fd}>&-
    answer=${answer%.}
    printf '%s' "${answer#*$'\n\n'}"
    [[ $answer == 'HTTP/1.1 200 '* ]]
}
stat_of() { admin GET /stats | sed -n $'s/^\t"'"$1"$'":\t\\([0-9]*\\),*$/\\1/p'; }
reached() { [ "$(stat_of "$1")" -ge "$2" ]; }
play() { admin POST /fault "$*" >/dev/null || fail "the hub does not play: $*"; }
hub_up() {
    hub_start --hub orders:4 --credit 1000000 "$@"
    admin_port=$(port admin)
}
total=0 producers=()
ship() { # producer: 1000 events
    events "$1" 1000 | send orders
    total=$((total + 1))
    producers+=("$1:1000")
}

hub_up
grep -q "^ready .* admin=$admin_port\$" "$dir/hub.log" || fail "the ready line does not name the admin port"
[ "$(admin GET /health)" = ok ] || fail "health"
answer=$(admin POST /fault $'release next=1\nrejct') && fail "a bad fault was played"
[[ $answer == "line 2: 'rejct' is no fault; there are reject, "* ]] || fail "a bad fault is answered: $answer"
[ -z "$(admin GET /fault)" ] || fail "the good line of a bad body was played"
ship_conf "workers = 2" <<<"$(stream_conf orders orders; echo "batch_count_max = 50")"
ship_start

# each line: the counter that a fault moves, how far, and the fault
each_moves() {
    local counter_name by fault before
    while read -r counter_name by fault; do
        before=$(stat_of "$counter_name")
        play "$fault"
        ship "p$total"
        within 60 reached "$counter_name" $((before + by)) || fail "$fault: $counter_name is $(stat_of "$counter_name"), not $((before + by))"
        play clear
        drained orders 60
        ship_lives
    done
}
each_moves <<'FAULTS'
rejected 3 reject next=3
released 3 release next=3
modified 3 modify next=3 undeliverable-here=yes
rejected 1 reject body="\"i\":500}" condition=amqp:internal-error text="not this one" next=2
unanswered 1 drop-after next=1
unanswered 2 detach-after next=2
connections_cut 2 cut-received bytes=20000 next=2
connections_cut 1 cut-sent bytes=100
FAULTS

# what is done at once, while events flow
while read -r counter_name fault; do
    before=$(stat_of "$counter_name") events=$(stat_of events)
    play "late-dispositions delay=60s"
    ship "p$total"
    within 60 reached events $((events + 1)) || fail "$fault: no event came"
    play "${fault//+/$'\n'}"
    play "clear late-dispositions"
    within 60 reached "$counter_name" $((before + 1)) || fail "$fault: $counter_name did not grow"
    play clear
    drained orders 60
    ship_lives
done <<'FAULTS'
connections_cut drop-connections
links_detached detach
links_detached expire-tokens
connections close
links_refused refuse-attach next=1 condition=amqp:internal-error+drop-connections
FAULTS

# nothing goes through, and then it does
for fault in stop-reading stop-credit "fail-cbs" "refuse-connections"; do
    play "$fault"
    [ "$fault" = stop-reading ] || play drop-connections
    before=$(stat_of events)
    ship "p$total"
    within 1 reached events $((before + 1000)) && fail "$fault: everything went through"
    play clear
    drained orders 60
    ship_lives
done
# last, for the shipper paces itself afterwards; the rate first, for one that was thrown back may stay below it
each_moves <<'FAULTS'
throttled 1 rate-limit events-per-second=300 wait=1s
throttled 2 server-busy next=2 wait=1s
FAULTS
ship_stop
arrived "faults over HTTP" at_least "${producers[@]}"
hub_stop

# the hub is killed in the middle, again and again; whoever was told "accepted" finds the event
ship_start
for round in 1 2 3 4; do
    hub_up
    before=$(stat_of events)
    ship "k$round"
    within 60 reached events $((before + 1)) || fail "round $round: nothing arrives"
    kill -9 "$hub"
    wait "$hub" 2>/dev/null
done
hub_up
drained orders 60
ship_stop
arrived "kill -9" at_least "${producers[@]}"
hub_stop

# a script
cat >"$dir/scenario" <<'SCENARIO'
# two batches go through, two do not, the next connection is the last that is hurt
wait deliveries=2
reject next=2 text="not now"

wait deliveries=3
drop-connections
wait connections=1
wait time=50ms
detach
SCENARIO
hub_up --scenario "$dir/scenario"
ship_start
ship script
drained orders 60
within 20 reached scenario_steps_done 7 || fail "the scenario stands at $(stat_of scenario_steps_done) of $(stat_of scenario_steps)"
[ "$(stat_of rejected)" -eq 2 ] || fail "$(stat_of rejected) batches were rejected, not 2"
ship_stop
arrived "scenario" at_least "${producers[@]}"
hub_stop
printf 'wait deliveries=1\nreject nxt=1\n' >"$dir/scenario"
"$build/ehring-hub" --no-tls --amqp-port 0 --scenario "$dir/scenario" >"$dir/bad.log" 2>&1 && fail "a bad scenario is played"
grep -q "^ehring-hub: --scenario: $dir/scenario:2: reject does not take 'nxt'; it takes every=, next=" "$dir/bad.log" ||
    fail "a bad scenario is answered: $(cat "$dir/bad.log")"
[ $failed -eq 0 ] && echo "the hub plays faults over HTTP, by script and when killed, and the events arrive"
