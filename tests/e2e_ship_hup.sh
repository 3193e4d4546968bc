#!/usr/bin/env bash
# HUP: the configuration is read again and applied as a difference, under load. What did not change keeps its connections, nothing is lost,
# nothing comes twice, each key keeps its order; a file that is not in order changes nothing.
# shellcheck source=tests/ship_rig.sh
. "$(dirname "$0")/ship_rig.sh"

orders() { stream_conf orders orders; printf '%s\n' "$@"; }
clicks() { stream_conf clicks clicks; printf '%s\n' "$@"; }
mark=0                   # what the log had before the last HUP
said() { tail -c +$((mark + 1)) "$log" | grep -E -- "$1" >/dev/null; }
says() { # pattern [seconds]: the log says it behind the mark
    within "${2:-20}" said "$1" || fail "the log does not say: $1"
}
hup() { # what the shipper says when it is done
    mark=$(wc -c <"$log")
    kill -HUP "$shipper"
    says "$1"
}
applied='msg="the configuration was read again and applied"'
connects() { counter "$1" connect_count; }
declare -A loads
sent=()                  # of each producer that has ended
load() { # stream, producer: events of 40 keys until load_end
    # shellcheck disable=SC2016 # awk's own
    awk -v p="$2" -v stop="$dir/$2.stop" -v count="$dir/$2.count" 'BEGIN {
        for (i = 1; i % 100 || (getline line <stop) < 0; i++) printf "{\"k\":\"k%d\",\"p\":\"%s\",\"i\":%d}\n", i % 40, p, i
        print i - 1 >count
    }' | send "$1" --rate 2500 --name "$2" &
    loads[$2]=$!
}
load_end() { # producers
    local p
    for p in "$@"; do
        touch "$dir/$p.stop"
        wait "${loads[$p]}"
        sent+=("$p:$(cat "$dir/$p.count")")
    done
}
lands() { "$build/ehring-hub" --dump "$dir/store" | grep -qF "\"p\\\":\\\"$1\\\""; }
arrives() { within 20 lands "$1" || fail "nothing of $1 arrives"; }

hub_start --hub orders:4 --hub clicks:4 --hub other:6 --disposition-delay-ms 5
ship_conf 'workers = 2' <<<"$(orders)"
ship_start
says 'connection is ready.*stream=orders worker=0'
says 'connection is ready.*stream=orders worker=1'
before=$(connects orders)

# nothing differs; values that are read at use; values that need a restart; a file that is not in order
load orders a
arrives a
hup 'msg="the configuration was read again: nothing differs"'
ship_conf 'workers = 2' 'log_level = debug' 'drain_seconds = 60' <<<"$(orders 'linger_ms = 20' 'batch_count_max = 100' 'token_seconds = 600' 'throughput_units = 40' 'max_age_seconds = 3600')"
hup "$applied.* changes=7"
says 'msg="a value has changed" stream=orders key=linger_ms old=5 new=20'
says 'msg="a value has changed" stream=- key=drain_seconds old=30 new=60'
says 'msg="a value has changed" stream=- key=log_level old=info new=debug'
ship_conf 'workers = 3' 'net = epoll' 'log_level = info' 'drain_seconds = 60' <<<"$(orders 'linger_ms = 2')"
hup "$applied"
says 'level=warn .*msg="a value cannot change while running: the old one stays until a restart" stream=- key=workers old=2 new=3'
says 'level=warn .*msg="a value cannot change while running: the old one stays until a restart" stream=- key=net old=auto new=epoll'
says 'msg="a value has changed" stream=orders key=linger_ms old=20 new=2'
ship_conf 'workers = 2' 'log_lefel = info' <<<"$(orders 'linger_ms = 5 minutes'; clicks)"
hup 'level=warn .*msg="the new configuration is refused: the old one goes on"'
says 'level=error .*at=".*/shipper\.conf:4: log_lefel: unknown key'
says 'level=error .*at=".*/shipper\.conf:11: linger_ms: 5 minutes: must be a number'
[ ! -e "$dir/r/clicks.lock" ] || fail "a stream of a refused configuration was opened"
ship_conf 'workers = 2' <<<"$(orders "ca_dir = $dir" | sed "s|^ca_file = .*|ca_file = $dir/none.pem|"; clicks)"
hup 'level=warn .*msg="the new configuration is refused: the old one goes on"'
says "level=error .*reason=.*$dir/none\.pem"
rm "$conf"
hup 'level=warn .*msg="the new configuration is refused: the old one goes on"'
load_end a
drained orders
[ "$(connects orders)" -eq "$before" ] || fail "there were $before connections, now $(connects orders): it has reconnected"
arrived "values read at use" once "${sent[@]}"

# streams come and go under load; another shipper takes what was let go, and gives it back
ship_conf 'workers = 2' <<<"$(orders)"
hup "$applied"
before=$(connects orders)
load orders b
ship_conf 'workers = 2' <<<"$(clicks; orders)"
hup 'msg="stream is open" stream=clicks'
says 'msg="a stream is added" stream=clicks'
load clicks c
arrives c
ship_conf 'workers = 2' <<<"$(orders)"
hup 'msg="stream was let go: another shipper may take it" stream=clicks'
says 'msg="a stream is removed" stream=clicks'
says 'msg="ring is let go" stream=clicks'
first=$shipper first_log=$log
no_rings clicks && fail "the ring of the stream that was let go is gone"
ship_conf 'workers = 3' <<<"$(clicks)"
ship_start
mark=0
says 'connection is ready.*stream=clicks'
second=$shipper
ship_conf 'workers = 2' <<<"$(clicks; orders)"
shipper=$first log=$first_log
hup 'level=error .*msg="a stream cannot be opened, it is tried again" stream=clicks .*drained by another shipper already .process '"$second"
shipper=$second
ship_stop
shipper=$first
says 'msg="stream is open" stream=clicks' 30
load_end b c
drained clicks
drained orders
[ "$(connects orders)" -eq "$before" ] || fail "the other stream has reconnected"
arrived "streams that come and go" once "${sent[@]}"
[ "$(counter clicks maybe_duplicate_events)" -eq 0 ] || fail "duplicates are suspected without a reason"

# another peer: connections are drained and replaced, of this stream alone; then more connections, and fewer
cp "$dir/state/ca.pem" "$dir/copy.pem"
before=$(connects orders) others=$(connects clicks)
load orders d
arrives d
ship_conf 'workers = 2' <<<"$(clicks; orders | sed "s|^ca_file = .*|ca_file = $dir/copy.pem|")"
hup "$applied"
says 'msg="a value has changed" stream=orders key=ca_file old=.*/ca\.pem new=.*/copy\.pem'
says 'msg="connection belongs to the old configuration, it is replaced" stream=orders worker=0'
says 'msg="connection belongs to the old configuration, it is replaced" stream=orders worker=1'
replaced() { [ "$(connects "$1")" -ge "$2" ]; }
within 20 replaced orders $((before + 2)) || fail "the connections are not replaced"
ship_conf 'workers = 2' <<<"$(clicks; orders 'max_size = 6' 'client_limit = 1')"
hup "$applied"
more() { [ "$(counter orders ready_connection_count)" -gt 2 ]; }
within 20 more || fail "there are no more connections: $(counter orders ready_connection_count)"
ship_conf 'workers = 2' <<<"$(clicks; orders 'max_size = 2')"
hup "$applied"
says 'msg="connection is one too many, it is closed" stream=orders'
fewer() { [ "$(counter orders ready_connection_count)" -le 2 ]; }
within 20 fewer || fail "there are too many connections: $(counter orders ready_connection_count)"
load_end d
drained orders
[ "$(connects clicks)" -eq "$others" ] || fail "the other stream has reconnected"
arrived "other connections" once "${sent[@]}"

# another hub, with more partitions, and back to the one with fewer
load orders e
arrives e
ship_conf 'workers = 2' <<<"$(clicks; stream_conf orders other)"
hup "$applied"
says 'connection is ready.*stream=orders .*hub=other partitions=6'
moved() { "$build/ehring-hub" --dump "$dir/store" | grep -qF '"hub":"other"'; }
within 20 moved || fail "nothing arrives in the other hub"
ship_conf 'workers = 2' <<<"$(clicks; orders)"
hup "$applied"
says 'connection is ready.*stream=orders .*hub=orders partitions=4'
load_end e
drained orders
arrived "another hub" at_least "${sent[@]}"

# fifty in a row, each with another difference
suspected=$(counter orders maybe_duplicate_events) # under fewer partitions the way back has sent some again
load orders f
load clicks g
arrives f
arrives g
for i in $(seq 50); do
    case $((i % 5)) in
    0) orders "linger_ms = $i"; clicks "max_size = $i" ;;
    1) orders; ;;
    2) orders | sed "s|^ca_file = .*|ca_file = $dir/copy.pem|"; clicks ;;
    3) orders "max_size = $i"; clicks | sed "s|^ca_file = .*|ca_file = $dir/copy.pem|" ;;
    4) echo 'what is this' ;;
    esac | ship_conf 'workers = 2'
    kill -HUP "$shipper"
    [ $((i % 3)) -eq 0 ] || sleep 0.0$((i % 7))
done
ship_conf 'workers = 2' <<<"$(clicks; orders)"
hup 'msg="the configuration was read again'
ship_lives
load_end f g
drained orders 60
drained clicks 60
arrived "a storm" at_least "${sent[@]}"
[ "$(counter orders maybe_duplicate_events)" -eq "$suspected" ] || fail "duplicates are suspected without a reason"

# the key is another one, at the hub too; the credentials' file was changed, and only that it did is said
hub_stop
events h 2000 40 | send orders
sent+=(h:2000)
mv "$dir/state" "$dir/state.old"
hub_start --hub orders:4 --hub clicks:4 --hub other:6
says 'msg="(TLS failed|token refused.*)".* stream=orders'
hup 'msg="a value has changed" stream=orders key=shared_access_key old=\*\*\* new=\*\*\*'
drained orders
arrived "another key" at_least "${sent[@]}"

# while it stops
kill -STOP "$hub"
events i 2000 40 | send orders
sent+=(i:2000)
flies() { [ "$(counter orders inflight_bytes)" -gt 0 ]; }
within 10 flies || fail "nothing is sent to a hub that stands still"
kill "$shipper"
says 'msg="stopping, draining what is written"'
hup 'msg="stopping: the configuration is not read again"'
kill -CONT "$hub"
ship_ended 0
ship_conf 'workers = 1' <<<"$(orders; clicks)"
ship_start
mark=0
drained orders
ship_stop
arrived "a HUP while it stops" at_least "${sent[@]}"
hub_stop
[ $failed -eq 0 ] && echo "the configuration changes under load, nothing is lost by it"
