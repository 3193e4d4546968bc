/* What machine and which build a figure belongs to: one line for a person, one object for a file. */
#ifndef BENCH_MACHINE_H
#define BENCH_MACHINE_H

#include <cjson/cJSON.h>
#include <stdint.h>
#include <stdio.h>

/* Processor, cores, kernel, library version, and whether others are at work. */
void machine_print(FILE *to);
cJSON *machine_json(void); /* the caller's */
/* Of this build and of what it measures with, as far as they say. The caller's. */
cJSON *machine_versions_json(void);
uint64_t machine_l2_bytes(void); /* of one core; 1 MiB if the system does not say */

#endif
