# shellcheck shell=bash
# Sourced by the SDKs' scripts: a loopback address of this run's own, for the SDKs insist on the ports 5671 and 443.
# shellcheck disable=SC2034 # for who sources it
address=127.$((64 + $$ / 62500 % 64)).$(($$ / 250 % 250 + 1)).$(($$ % 250 + 1))
