#!/usr/bin/env bash
# A million events to RabbitMQ with a kill and a restart in the middle: e2e_rabbitmq.sh with ten times the events. Takes its time; not part of make test.
export RABBIT_EVENTS=${RABBIT_EVENTS:-1000000}
exec "$(dirname "$0")/e2e_rabbitmq.sh"
