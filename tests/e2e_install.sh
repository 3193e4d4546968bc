#!/usr/bin/env bash
# What `make install` puts there is enough: both examples are built with pkg-config alone, with the shared and the static libraries, and work.
set -u
# shellcheck source=tests/ship_rig.sh
. "$(dirname "$0")/ship_rig.sh"
root=$(cd "$(dirname "$0")/.." && pwd)
prefix=$dir/usr
export PKG_CONFIG_PATH=$prefix/lib/pkgconfig LD_LIBRARY_PATH=$prefix/lib

make -s -C "$root" BUILD="$build" PREFIX="$prefix" install >"$dir/install.log" 2>&1 || { fail "make install"; tail -n 5 "$dir/install.log"; exit 1; }
for file in bin/ehring-shipper bin/ehring-stat bin/ehring-ctl bin/ehring-send bin/ehring-hub bin/ehring-bench include/ehring.h include/ehring_direct.h \
    lib/libehring.so.0 lib/libehring.a lib/libehring-direct.so.0 lib/libehring-direct.a share/man/man3/ehring.3 share/man/man8/ehring-shipper.8; do
    [ -s "$prefix/$file" ] || fail "$file is not installed"
done
san=()
case $build in *address*) san=(-fsanitize=address,undefined) ;; *thread*) san=(-fsanitize=thread) ;; esac
compile() { # example, library: as a user would
    local flags
    read -r -a flags <<<"$(pkg-config --cflags --libs "$2")"
    gcc -Wall -Wextra "${san[@]}" "$root/tools/example/$1.c" "${flags[@]}" -o "$dir/$1" || fail "$1.c does not compile against the installed $2"
    read -r -a flags <<<"$(pkg-config --static --cflags --libs "$2" | sed "s,-l$2 ,-l:lib$2.a ,")"
    gcc -Wall -Wextra "${san[@]}" "$root/tools/example/$1.c" "${flags[@]}" -o "$dir/$1-static" || fail "$1.c does not compile against the static $2"
}
compile ring ehring
compile direct ehring-direct

hub_start --hub orders:4
ship_conf "workers = 1" <<<"$(stream_conf orders orders)"
ship_start
"$dir/ring" orders >"$dir/out" 2>&1 || { fail "the ring example"; cat "$dir/out"; }
"$dir/ring-static" orders >"$dir/out" 2>&1 || { fail "the ring example, static"; cat "$dir/out"; }
EHRING_CONNECTION_STRING=$(cat "$connection")
export EHRING_CONNECTION_STRING
for program in direct direct-static; do
    "$dir/$program" orders ca_file="$dir/state/ca.pem" >"$dir/out" 2>&1 || { fail "the direct example"; cat "$dir/out"; }
    [ "$(grep -c ': accepted$' "$dir/out")" -eq 3 ] || fail "the direct example sends three times"
done
"$dir/direct" orders transprot=amqp 2>&1 | grep -q 'a setting is unknown' || fail "a misspelt setting is taken"
ship_stop
"$build/ehring-hub" --dump "$dir/store" >"$dir/dump"
[ "$(grep -c 'order' "$dir/dump")" -ge 2000 ] || fail "the rings' events did not arrive"
[ "$(grep -c 'sensor-7' "$dir/dump")" -eq 8 ] || fail "the direct events did not arrive: $(grep -c 'sensor-7' "$dir/dump") of 8 with a key"
[ $failed -eq 0 ] && echo "both examples work with what is installed"
