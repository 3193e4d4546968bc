#!/usr/bin/env bash
# Bounded memory whatever the hub does: credit for a million messages and a hub that reads slowly, 32 partitions, one stream: below 64 MiB besides rings.
# Give it other numbers of workers to see theirs.
# shellcheck source=tests/ship_rig.sh
. "$(dirname "$0")/ship_rig.sh"
[ $# -gt 0 ] || set -- 1 4 # numbers of workers
for workers; do
    node "$(dirname "$0")/memory_play.mjs" "$build" "$dir" "$workers" || fail "see above"
    rm -rf "$dir"/rings-* "$dir"/memory.ports
done
