/* Events into a ring: what ehring-send does unless it is told --direct. */
#ifndef SEND_RING_OUT_H
#define SEND_RING_OUT_H

#include <signal.h>

#include "options.h"

/* Sends all the input. Exit status after a summary on stderr: 0 all sent (and accepted, if it was to wait for that), 1 not all, 2 the
 * command line cannot be done. `stop` is set by a signal. */
int ring_out_run(const struct send_options *options, const volatile sig_atomic_t *stop);

#endif
