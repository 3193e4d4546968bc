/* The proof: what the hub stored against what the producers had to send. */
#ifndef DEMO_PROOF_H
#define DEMO_PROOF_H

#include "lines.h"
#include "options.h"

/* Reads the whole store file. Prints the report on stdout, what is wrong on stderr. Exit status: 0 the proof holds, 1 it does not, 2 the
 * store could not be read. */
int demo_proof(const struct demo_options *options, const struct demo_lines *lines);

#endif
