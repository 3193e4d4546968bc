#!/usr/bin/env bash
# Runs the tests and closes with one line: N passed, N failed.
#   run.sh unit    criterion programs          run.sh plain   stress, crash, fuzz, C++
#   run.sh threads for the thread sanitizer
#   run.sh all     unit, plain, the end-to-end scripts, and the sanitizer runs
set -u
cd "$(dirname "$0")/.."
build=${EHRING_BUILD:-$PWD/build}
export EHRING_BUILD=$build EHRING_TEST_DIR=$PWD/tests
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1:abort_on_error=0:exitcode=99} UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1:halt_on_error=1}
export TSAN_OPTIONS=${TSAN_OPTIONS:-halt_on_error=1:exitcode=99:suppressions=$PWD/tests/tsan.supp}
logs=$(mktemp -d)
: >"$logs/passed"
: >"$logs/failed"
trap 'rm -rf "$logs"' EXIT

run() { # name, command…: its line is printed in one piece, whatever runs beside it
    local name=$1 start=$SECONDS status out=$logs/out.$BASHPID
    shift
    "$@" >"$out" 2>&1
    status=$?
    # criterion passes a test whose process leaked: the sanitizer's report fails it here
    if grep -qE 'ERROR: (Address|Leak|Thread|UndefinedBehavior)Sanitizer|WARNING: ThreadSanitizer|runtime error:' "$out"; then status=98; fi
    # keys, signatures, tokens, Basic credentials and the tests' own passwords, in whatever a test prints
    if grep -nE 'SharedAccessKey=[A-Za-z0-9+/]{16}|[?&;]sig=[A-Za-z0-9%+/]{16}|eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.|Basic [A-Za-z0-9+/=]{8}|hunter2' "$out" >"$out.secret"; then
        status=97
        echo "a secret is in the output, line $(cut -d: -f1 "$out.secret" | head -n 1)" >>"$out"
    fi
    if [ $status -eq 0 ]; then
        echo "$name" >>"$logs/passed"
        echo "ok    $name ($((SECONDS - start)) s)$(grep -oE 'Tested: [0-9]+' "$out" | tail -1 | sed 's/^/ /')"
    else
        echo "$name" >>"$logs/failed"
        printf 'FAIL  %s (exit %d)\n%s\n' "$name" $status "$(grep -v '^ok  ' "$out" | tail -n 100 | sed 's/^/      /')"
    fi
    rm -f "$out" "$out.secret"
}

beside() { while [ "$(jobs -rp | wc -l)" -ge "$1" ]; do wait -n; done; } # how many at a time: waits until another one may begin
unit() {
    local program
    for program in "$build"/tests/test_*; do
        [ -x "$program" ] || continue
        beside 2
        run "$(basename "$program")" "$program" &
    done
    wait
}
plain() { # sanitized shippers die and start slowly, and each instruction is three: fewer kills and sends do
    local source program name kills=100 sends=200
    case $build in *address*) kills=40 sends=50 ;; esac
    for source in tests/stress_*.c tests/crash_*.c tests/fuzz_*.c tests/*.cpp; do
        name=$(basename "${source%.*}")
        program=$build/tests/$name
        [ -x "$program" ] || continue
        beside 2
        case $name in
        crash_ship) run "crash_ship $kills" "$program" $kills & ;;
        crash_send) run "crash_send $sends" "$program" $sends & ;;
        *) run "$name" "$program" & ;;
        esac
    done
    wait
}
threads() { # what has more than one thread: the ring's races, and the shipper's workers (built with the sanitizer, like all of this build)
    local program
    for program in "$build"/tests/stress_*; do [ -x "$program" ] && run "$(basename "$program")" "$program"; done
    run "crash_ship 60" "$build/tests/crash_ship" 60
}
scripts() { # they mostly wait: two at a time, where memory for two sets of rings is there; the SDKs' have fixed ports and go alone
    local script room most=1
    room=$(df --output=avail -m /dev/shm | tail -n 1)
    [ "$room" -ge 1024 ] && most=2
    for script in tests/e2e_*.sh; do
        [ -x "$script" ] || continue
        beside $most
        run "$script" "$script" &
    done
    wait
    for script in tests/sdk/*.sh; do [ -x "$script" ] && run "$script" "$script"; done
}
sanitized() { # checks mostly wait: the second build goes on beside the first one's
    local cores
    cores=$(nproc)
    run "build address,undefined" make -s -j"$cores" SAN=address,undefined BUILD="$build-address-undefined" tests-san
    run "check address,undefined" make -s SAN=address,undefined BUILD="$build-address-undefined" check-san &
    run "build thread" make -s -j"$cores" SAN=thread BUILD="$build-thread" tests-thread
    run "check thread" make -s SAN=thread BUILD="$build-thread" check-thread
    wait
}

for part in "$@"; do
    case $part in
    unit | plain | threads) "$part" ;;
    all) unit; plain; scripts; sanitized ;;
    *) echo "run.sh: unknown part $part" >&2; exit 2 ;;
    esac
done
passed=$(wc -l <"$logs/passed") failed=$(wc -l <"$logs/failed")
sed 's/^/failed: /' "$logs/failed"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
