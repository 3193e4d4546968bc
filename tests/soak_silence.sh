#!/usr/bin/env bash
# A hub that never answers: to a token request, to the hub's properties, to a delivery. The shipper gives up waiting by itself; two minutes of idle time.
# shellcheck source=tests/ship_rig.sh
. "$(dirname "$0")/ship_rig.sh"
node "$(dirname "$0")/silence_play.mjs" "$build" "$dir" || fail "see above"
