#!/usr/bin/env bash
# Every fault of ehring-hub against a running pipeline, io_uring and epoll: nothing lost, order kept, duplicates only where an answer was missing, the
# ledger closes. Give it a word to play the rows with that word alone.
# shellcheck source=tests/ship_rig.sh
. "$(dirname "$0")/ship_rig.sh"
node "$(dirname "$0")/faults_play.mjs" "$build" "$dir" "$@" || fail "see above"
