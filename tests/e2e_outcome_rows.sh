#!/usr/bin/env bash
# Each row of the shipper's table of outcomes, at each place where it can be met, against ehring-hub: what the row names is done, and events flow again.
# Give it a word to play the rows with that word alone.
# shellcheck source=tests/ship_rig.sh
. "$(dirname "$0")/ship_rig.sh"
[ -x "$build/tests/print_outcomes" ] || { echo "$build/tests/print_outcomes is missing: run make tests first"; exit 1; }
node "$(dirname "$0")/outcomes_play.mjs" "$build" "$dir" "$@" || fail "see above"
