#!/usr/bin/env bash
# Installs through apt what is missing, as root or with sudo; otherwise prints the one command.
#   setup.sh build   what building needs          setup.sh demo    and the demo
#   setup.sh test    and the tests: brokers, proxies and SDKs that judge us
#   setup.sh bench   what building needs, and the harness: plots, and what is measured beside us
set -eu

need=() wish=()
want_package() { dpkg-query -W -f='${db:Status-Abbrev}' "$1" 2>/dev/null | grep -q '^ii' || need+=("$1"); }
want_program() { command -v "$1" >/dev/null 2>&1 || need+=("$2"); }
wish_program() { command -v "$1" >/dev/null 2>&1 || wish+=("$2"); } # one that may be missing

for_build() {
    want_program gcc gcc
    want_program g++ g++
    want_program make make
    want_program ld binutils
    want_program pkg-config pkg-config
    want_package libc6-dev
    want_package liburing-dev
    want_package libqpid-proton11-dev
    want_package libssl-dev
    want_package libcurl4-openssl-dev
    want_package libcjson-dev
    want_package libinih-dev
    want_package libmicrohttpd-dev
    want_package libwslay-dev
    want_package ca-certificates
}
for_demo() {
    want_program openssl openssl
    want_program gzip gzip
    want_program tinyproxy tinyproxy-bin
}
for_test() {
    want_program clang clang
    want_package libcriterion-dev
    want_program node nodejs
    want_program npm npm
    want_package rabbitmq-server
    want_package python3-azure
    want_package python3-websocket
}
for_bench() {
    want_program openssl openssl
    want_program gnuplot gnuplot-nox
    want_package libck-dev
    want_package liblttng-ust-dev
    want_package lttng-tools
    want_program node nodejs
    want_program npm npm
    want_package python3-azure
    wish_program perf linux-perf
}

part=${1:-test}
for_build
case $part in
build) ;;
demo) for_demo ;;
test)
    for_demo
    for_test
    ;;
bench) for_bench ;;
*) echo "setup: unknown part $part" >&2; exit 2 ;;
esac

[ ${#need[@]} -eq 0 ] && [ ${#wish[@]} -eq 0 ] && exit 0
install=(apt-get install -y --no-install-recommends)
if [ "$(id -u)" -eq 0 ]; then
    run() { "$@"; }
elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
    run() { sudo "$@"; }
elif command -v sudo >/dev/null 2>&1 && [ -t 0 ]; then
    run() { sudo "$@"; }
elif [ ${#need[@]} -eq 0 ]; then
    echo "setup: goes on without ${wish[*]}; as root run: apt-get update && ${install[*]} ${wish[*]}" >&2
    exit 0
else
    echo "setup: packages are missing; as root run: apt-get update && ${install[*]} ${need[*]} ${wish[*]}" >&2
    exit 1
fi
echo "setup: installing ${need[*]} ${wish[*]}"
run apt-get update -q || [ ${#need[@]} -eq 0 ]
[ ${#need[@]} -eq 0 ] || run env DEBIAN_FRONTEND=noninteractive "${install[@]}" "${need[@]}"
[ ${#wish[@]} -eq 0 ] || run env DEBIAN_FRONTEND=noninteractive "${install[@]}" "${wish[@]}" || echo "setup: goes on without ${wish[*]}" >&2
