/* ehring-shipper --check=connect: what a start would meet on this machine and on the way to each hub, a line for each thing; sends no event
 * and changes nothing. */
#ifndef EHRING_CHECK_H
#define EHRING_CHECK_H

#include <stdio.h>

#include "config.h"

/* The exit status: the class of the first line that fails. Warnings do not count. */
enum check_status {
    CHECK_PASSED = 0,
    CHECK_UNDONE = 1, /* the check itself could not go on */
    CHECK_CONFIGURATION = 2,
    CHECK_MACHINE = 3,        /* directories, limits, the network interface of the kernel */
    CHECK_NAME = 4,           /* DNS */
    CHECK_REACH = 5,          /* TCP, or the proxy */
    CHECK_TLS = 6,            /* certificates, and clocks by them */
    CHECK_PROTOCOL = 7,       /* what answers is no AMQP, or no WebSocket */
    CHECK_AUTHENTICATION = 8, /* no token to be had, or the service does not take it */
    CHECK_AUTHORIZATION = 9,  /* taken, but without the right to send */
    CHECK_HUB = 10,           /* there is no such hub, or it cannot be used */
};

/* Writes the lines `ok|warn|fail SCOPE ITEM what was seen -> remedy` as they come, machine first, then each stream. Blocking: at most
 * connect_timeout_seconds for each step of each stream. Returns an enum check_status. */
int check_connect(const struct config *config, FILE *to);

#endif
