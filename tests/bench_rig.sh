# shellcheck shell=bash
# Sourced by the e2e_bench*.sh scripts: the program, a directory of the run's own, complaints, and the exit status they make.
# shellcheck disable=SC2034 # for who sources it
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
bench=${EHRING_BUILD:-$PWD/build}/ehring-bench
[ -x "$bench" ] || { echo "$bench is missing: run make first"; exit 1; }
name=$(basename "$0" .sh)
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
bad=0

complain() {
    echo "$name: $*"
    bad=1
}
has() { # file, a pattern of a line in it
    grep -qE -- "$2" "$1" || complain "$(basename "$1") has no line like '$2'"
}
finish() {
    [ $bad -eq 0 ] && echo "$name: ok"
    exit $bad
}
