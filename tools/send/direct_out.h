/* Events over a connection of our own: ehring-send --direct. */
#ifndef SEND_DIRECT_OUT_H
#define SEND_DIRECT_OUT_H

#include <signal.h>

#include "options.h"

/* Sends all the input in batches and waits for each one's outcome. Exit status after a summary on stderr: 0 all accepted, 1 not all, 2 the
 * command line cannot be done. `stop` is set by a signal. */
int direct_out_run(const struct send_options *options, const volatile sig_atomic_t *stop);

#endif
