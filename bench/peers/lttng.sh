#!/usr/bin/env bash
# Records the tracepoint of lttng-tracer into buffers in memory while it is measured: lttng.sh BYTES SLICES
# A session daemon is started if there is none, and ended again. Nothing is written to a disk, nobody reads the buffers.
set -u
here=$(cd "$(dirname "$0")" && pwd)
dir=$(mktemp -d)
session=ehring-bench-$$
started=
end() {
    lttng destroy "$session" >/dev/null 2>&1
    if [ -n "$started" ]; then kill "$(cat "$dir/pid")" 2>/dev/null; fi
    rm -rf "$dir"
}
trap end EXIT
trap 'exit 1' TERM INT HUP

[ "$(id -u)" -eq 0 ] || export LTTNG_HOME=$dir
if ! lttng --no-sessiond list >/dev/null 2>&1; then
    lttng-sessiond --daemonize --no-kernel --pidfile "$dir/pid" >/dev/null 2>&1 || exit 3
    started=yes
fi
{
    lttng --no-sessiond create "$session" --snapshot --output "$dir/out" &&
        lttng --no-sessiond enable-channel --session "$session" --userspace --overwrite --subbuf-size 1M --num-subbuf 4 memory &&
        lttng --no-sessiond enable-event --session "$session" --userspace --channel memory ehring_bench:event &&
        lttng --no-sessiond start "$session"
} >/dev/null 2>&1 || exit 3
LTTNG_UST_REGISTER_TIMEOUT=5000 "$here/lttng-tracer" "$@"
