#!/usr/bin/env bash
# Files that are no rings, rings with impossible positions, a ring cut under the shipper's feet, rings of an earlier boot: each is named and
# its bytes are kept, all other rings of the stream go on, and the ledger stays closed.
# shellcheck source=tests/ship_rig.sh
. "$(dirname "$0")/ship_rig.sh"
edit() { node "$(dirname "$0")/ring_edit.mjs" "$@" || fail "ring_edit $*"; } # ring, expression
# shellcheck disable=SC2206 # a pattern
find_ring() { local found=("$dir"/r/$1.*.ring); ring=${found[0]}; [ -f "$ring" ] || fail "no ring $1"; } # stream/name
others_go_on() { # stream, producer: a ring beside the bad one is drained
    events "$2" 30 | send "$1" --name "$2" --flush-ms 20000
    ship_lives
}
hub_start --hub bad:4 --hub live:4 --hub boot:4
ship_conf "workers = 2" <<<"$(stream_conf bad bad; stream_conf live live; stream_conf boot boot)"

# ---- what is no ring: half of it lies there at the start, the other half comes later ----
events whole 100 | send bad --name whole
find_ring bad/whole
cp "$ring" "$dir/template"
mkdir "$dir/later" "$dir/bad"
for where in "$dir/r/bad" "$dir/later"; do
    name=${where##*/}
    cp "$dir/template" "$where/$name-version.ring"
    edit "$where/$name-version.ring" 'fill(versionAt, 1, 9)' >/dev/null
    head -c 3000 "$dir/template" >"$where/$name-short.ring"
    head -c 300000 "$dir/template" >"$where/$name-half.ring"
    head -c 20000 /dev/urandom >"$where/$name-noise.ring"
    : >"$where/$name-empty.ring"
    cp "$dir/template" "$where/$name-capacity.ring"
    edit "$where/$name-capacity.ring" 'set(48, 12345)' >/dev/null
    cp "$dir/template" "$where/$name-open.ring"
    chmod 0666 "$where/$name-open.ring"
done
ln -s "$dir/template" "$dir/r/bad/link.ring"
mkdir "$dir/r/bad/directory.ring"
mkfifo "$dir/r/bad/fifo.ring"
: >"$dir/r/bad/no-ring-at-all"
(cd "$dir/r/bad" && sha256sum bad-*.ring) >"$dir/sums"
(cd "$dir/later" && sha256sum later-*.ring) >>"$dir/sums"
ship_start
mv "$dir/later"/*.ring "$dir/r/bad/"
refused() { says "level=error .*msg=\"file refused as a ring\" stream=bad ring=$1\.ring reason=.*$2"; }
for half in bad later; do
    refused $half-version 'has version 9, this program reads 3'
    refused $half-short '(has [0-9]+ bytes|header|cannot be)'
    refused $half-half 'has 300000 bytes instead of'
    refused $half-noise 'begins with'
    refused $half-empty 'has 0 bytes'
    refused $half-capacity 'its .* cannot be'
    refused $half-open 'mode 0666'
done
refused link 'symbolic link'
refused directory 'not a regular file|is a directory|Is a directory'
refused fifo 'not a regular file'
silent 'no-ring-at-all'
others_go_on bad beside
(cd "$dir/r/bad" && sha256sum --quiet -c "$dir/sums") || fail "bytes of refused files were changed"
[ "$(counter bad refused_files)" -eq 17 ] || fail "refused files are counted as $(counter bad refused_files)"
all_removed() { [ "$(counter bad accepted_events)" -eq 130 ]; } # the totals are those of removed rings
within 20 all_removed || fail "accepted $(counter bad accepted_events), not 130"

# ---- living rings whose words go wrong ----
feeder=''
fed() { [ "$(edit "$ring" 'get(gate) == get(writePos) && get(gate) == posOf(20) && posOf(20) > posOf(19)')" = true ]; } # all of them
begin() { # name: a living producer whose first 20 events are accepted
    local fifo=$dir/fifo.$1
    [ -e "$fifo" ] || mkfifo "$fifo"
    "$build/ehring-send" --stream live --make-stream-dir --key-json k --capacity 1M --name "$1" <"$fifo" 2>>"$dir/send.log" &
    feeder=$!
    exec 5>"$fifo"
    events "$1" 20 >&5
    within 20 compgen -G "$dir/r/live/$1.*.ring" >/dev/null
    find_ring "live/$1"
    within 20 fed || fail "$1: the first events are not accepted"
}
finish() { # name, reason: it is quarantined, kept, and does not hold up others
    others_go_on live "beside-$1"
    says "level=error .*msg=\"ring is in quarantine\" stream=live ring=$1\..*reason=.*$2"
    exec 5>&-
    kill -9 $feeder 2>/dev/null
    wait $feeder 2>/dev/null
    [ -f "$ring" ] || fail "$1: the file is gone"
    tail -c +8193 "$ring" | tail -c 1048576 | cmp -s - "$dir/data" || [[ $1 = cut* ]] || fail "$1: its data was changed"
}
data() { tail -c 1048576 "$ring" >"$dir/data"; }
begin ahead
data
edit "$ring" 'set(writePos, get(writePos) + 2 * capacity)' >/dev/null
finish ahead "more than the ring's capacity ahead"
begin back
data
edit "$ring" 'set(writePos, 0)' >/dev/null
finish back 'write position went back'
begin head
data
edit "$ring" 'set(writePos, get(writePos) + 4096)' >/dev/null # nothing lies there
finish head 'record head that cannot be'
begin odd
data
edit "$ring" 'set(writePos, get(writePos) + 5)' >/dev/null
finish odd '(no record|record head)'
begin cut
truncate -s 0 "$ring"
finish cut 'cut while it was mapped'
begin cut-data # only the data is gone, and the producer's word says that there is more
truncate -s "$(edit "$ring" 'set(writePos, get(writePos) + 65536), data')" "$ring"
finish cut-data 'cut while it was mapped'
removed() { [ "$(counter live removed_rings)" -eq 6 ]; }
within 20 removed || fail "$(counter live removed_rings) rings beside the bad ones are removed, not 6"
[ "$(counter live quarantined_rings)" -eq 6 ] || fail "$(counter live quarantined_rings) rings in quarantine, not 6"
kept=$(ls "$dir/r/live")

# a ring that waits on its disk, with a gate behind which nothing can be
ship_stop
events gate 20 | send live --name gate
find_ring live/gate
edit "$ring" 'set(gate, get(writePos) + 4096)' >/dev/null
ship_start
says 'msg="ring is in quarantine" stream=live ring=gate\..*reason=.*positions'
for name in ahead back head odd; do says "msg=\"ring is in quarantine\" stream=live ring=$name\..*reason="; done # as the earlier shipper left them
for name in cut cut-data; do says "msg=\"file refused as a ring\" stream=live ring=$name\."; done
others_go_on live beside-gate
for name in $kept; do [ -f "$dir/r/live/$name" ] || fail "$name is gone"; done
ship_stop

# ---- rings of an earlier boot: believed up to what was synced ----
old() { # name, synced events
    events "$1" 100 | send boot --name "$1"
    find_ring "boot/$1"
    edit "$ring" "fill(bootIdAt, 16, 7), set(syncedPos, $2)" >/dev/null
}
old none 0
old some 'posOf(40)'
old all 'posOf(100)'
old within 'posOf(60) - 16' # in the middle of a record: nobody ever synced up to there
events young 100 | send boot --name young
ship_start
says 'msg="ring is in quarantine" stream=boot ring=within\..*reason=.*record head that cannot be'
for name in none some all; do says "msg=\"ring found\" stream=boot ring=$name\..*earlier_boot=yes"; done
says 'msg="ring found" stream=boot ring=young\..*earlier_boot=no'
dead() { ! compgen -G "$dir/r/boot/[!w]*.ring" >/dev/null; }
within 30 dead || fail "rings of an earlier boot are not drained: $(ls "$dir/r/boot")"
says 'level=warn .*msg="ring of an earlier boot removed, what was not synced is given up" .*ring=none\..* events=100 dropped=100'
says 'level=warn .*earlier boot removed.*ring=some\..* events=100 dropped=60'
says 'level=info .*msg="ring drained and removed" .*ring=all\..* events=100 dropped=0'
ship_stop
ledger="$(counter boot committed_events) $(counter boot accepted_events) $(counter boot dropped_events) $(counter boot removed_rings)"
[ "$ledger" = "400 240 160 4" ] || fail "ledger (committed accepted dropped rings): $ledger"
"$build/ehring-stat" --audit --stream boot -j >"$dir/audit.json" # exit 3: the ring in quarantine is there
node -e '
    const { removed } = JSON.parse(require("fs").readFileSync(process.argv[1], "utf8")).streams[0]
    process.exit(removed.verdict == "closes" && JSON.stringify(removed.dropped) == JSON.stringify({ reboot: 160 }) ? 0 : 1)
' "$dir/audit.json" || fail "what was dropped has no reason: $(cat "$dir/audit.json")"
arrived "all that could be believed" once whole:100 beside:30 ahead:20 back:20 head:20 odd:20 cut:20 cut-data:20 \
    beside-ahead:30 beside-back:30 beside-head:30 beside-odd:30 beside-cut:30 beside-cut-data:30 beside-gate:30 some:40 all:100 young:100
[ $failed -eq 0 ] && echo "what is no ring is named and kept, all others go on"
