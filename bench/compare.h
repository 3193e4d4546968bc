/* What has changed between two files of figures beyond the noise that both state themselves. */
#ifndef BENCH_COMPARE_H
#define BENCH_COMPARE_H

#include <stdint.h>
#include <stdio.h>

#include "bench/result.h"

struct compare_counts {
    uint32_t better;
    uint32_t worse;
    uint32_t same;
    uint32_t not_judged; /* only said, without noise, or in one of both alone */
};

/* A row has changed if its median, or its best sample where that is the steadier one, is further away than both noises together; and, where
 * it has a floor of the same run, if the ratio to it is, too: a machine that was slower is not a program that is. Prints the changed ones
 * as a Markdown table and the counts. */
void compare_print(struct result *old, struct result *new, FILE *to, struct compare_counts *counts);

#endif
