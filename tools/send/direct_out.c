/* Events over a connection of our own: ehring-send --direct. */
#include "direct_out.h"

#include <stdio.h>

int direct_out_run(const struct send_options *options, const volatile sig_atomic_t *stop)
{
    (void)options;
    (void)stop;
    fputs("ehring-send: this build has no --direct\n", stderr);
    return 2;
}
