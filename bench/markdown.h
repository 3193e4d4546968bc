/* A result as a page: machine, targets, a table and pictures for each group, the commands beside them. */
#ifndef BENCH_MARKDOWN_H
#define BENCH_MARKDOWN_H

#include <stdio.h>

#include "bench/result.h"

void markdown_print_head(const struct result *result, const char *profile, uint32_t rounds, FILE *to);
/* Rows with a target. */
void markdown_print_targets(struct result *result, FILE *to);
/* Each group: its table, the pictures that lie in `dir` beside the page, its commands. */
void markdown_print_groups(struct result *result, const char *dir, FILE *to);

#endif
