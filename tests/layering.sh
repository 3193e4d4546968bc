#!/usr/bin/env bash
# Who may include whom, liburing and memory orders in their one place, and each header compiles alone.
#   ringbuf <- client, shipper, tools, bench;  client <- tools, bench;  shipper <- tests, and tools/{send,ctl,direct_peer} through ehring_direct.h alone
set -u
CC=${1:-gcc} CXX=${2:-g++}
cd "$(dirname "$0")/.."
bad=0
complain() { echo "layering: $*" >&2; bad=1; }

includes() { grep -rnHE '^[[:space:]]*#[[:space:]]*include[[:space:]]*"' --include='*.[ch]' "$1" 2>/dev/null; }
forbid() { # folder, pattern of includes it must not have, pattern that is allowed all the same
    local hits
    hits=$(includes "$1" | grep -E "\"(\.\./)*($2)/" | grep -vE "${3:-^$}")
    [ -z "$hits" ] || complain "$1 must not include this:"$'\n'"$hits"
}
forbid ringbuf 'client|shipper|tools|bench|tests'
forbid client 'shipper|tools|bench|tests'
forbid shipper 'client|tools|bench|tests'
forbid tools/hub 'ringbuf|client|shipper|bench|tests'
forbid tools 'shipper|bench|tests' '^tools/(direct_peer|send/|ctl/).*"shipper/ehring_direct\.h"'
forbid bench 'shipper|tools|tests'

hits=$(grep -rnE 'memory_order_|__atomic_|__sync_' --include='*.[ch]' ringbuf client shipper tools bench | grep -v '^ringbuf/ring_order.h:')
[ -z "$hits" ] || complain "memory orders belong in ringbuf/ring_order.h:"$'\n'"$hits"
hits=$(grep -rnE '#include <liburing' --include='*.[ch]' ringbuf client shipper tools | grep -v '^shipper/net_uring')
[ -z "$hits" ] || complain "liburing belongs in shipper/net_uring.c:"$'\n'"$hits"
hits=$(grep -rnwE '(u|nano)?sleep' --include='*.[ch]' ringbuf client shipper | grep -E '\b(u|nano)?sleep\(')
[ -z "$hits" ] || complain "nothing waits by sleeping:"$'\n'"$hits"

while read -r header; do
    "$CC" -std=gnu11 -I. -D_GNU_SOURCE -Wall -Wextra -Werror -fsyntax-only -x c "$header" || complain "$header does not compile alone"
done < <(find ringbuf client shipper tools bench -name '*.h' ! -name ehring_json.h | sort)
for header in client/ehring.h client/ehring_json.h shipper/ehring_direct.h; do
    [ -f "$header" ] || continue
    "$CC" -std=c11 -Iclient -I. -Wall -Wextra -Wpedantic -Werror -fsyntax-only -x c "$header" || complain "$header is not C11"
    "$CXX" -std=c++17 -Iclient -I. -Wall -Wextra -Wpedantic -Werror -fsyntax-only -x c++ "$header" || complain "$header is not C++17"
done

unexpected=$(ls -1 | grep -vxE 'Makefile|README\.md|ringbuf|shipper|client|bench|tests|tools|build.*' || true)
[ -z "$unexpected" ] || complain "top level beyond the fixed one: $unexpected"
[ $bad -eq 0 ] && echo "layering: ok"
exit $bad
