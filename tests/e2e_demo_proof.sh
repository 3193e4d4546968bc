#!/usr/bin/env bash
# The demo's proof holds for a whole store file and fails, naming what is wrong, for each way in which one can be damaged.
set -u
cd "$(dirname "$0")" || exit 1
demo=${EHRING_BUILD:-$PWD/../build}/ehring-demo
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
failed=0

for i in $(seq 40); do
    printf 'alpha number %d\nbeta %d\n\n  gamma\twith a tab %d\n' "$i" "$i" "$i"
    printf 'delta \xff\xfe not UTF-8 %d\n\xffnokey %d\n' "$i" "$i"
done >"$dir/input"
# the last line's first word is no key: the helper's rule is simpler, so leave such lines out
grep -av $'^\xff' "$dir/input" >"$dir/text"

prove() { node demo_store.mjs "$dir/text" 350 "$dir/store" "$1" && "$demo" proof --store "$dir/store" --hub demo --producers 2 --events 350 "$dir/text" >"$dir/out" 2>&1; }
expect() { # damage, exit status, what the output must say
    prove "$1"
    local status=$?
    if [ $status -ne "$2" ] || ! grep -qE -- "$3" "$dir/out"; then
        echo "FAIL $1: exit $status, wanted $2 and: $3"
        cat "$dir/out"
        failed=1
    fi
}

expect none 0 'proof +holds'
expect missing 1 'line [0-9]+ is missing'
expect duplicate 1 'line [0-9]+ arrived twice'
expect swap 1 'line [0-9]+ arrived behind line [0-9]+'
expect flip 1 'line [0-9]+ is not what was sent'
expect key 1 'has the key "another"'
expect partition 1 'key .* lies in partitions'
expect foreign 1 'of none of the 2 producers'
expect position 1 'lies at [0-9]+ of its ring'
expect line 1 'line 351 was never sent'
expect gap 1 'sequence number [0-9]+ follows'
expect cut 1 'line 350 is missing'
expect magic 2 'store'

rm -f "$dir/store"
: >"$dir/store"
"$demo" proof --store "$dir/store" --producers 2 --events 350 "$dir/text" >"$dir/out" 2>&1
[ $? -eq 2 ] || { echo "FAIL an empty store file passes"; failed=1; }
[ $failed -eq 0 ] && echo "the proof tells a whole store from 13 damaged ones"
exit $failed
