/* Why a target is missed: where in the same report the time goes. */
#ifndef BENCH_LIMITS_H
#define BENCH_LIMITS_H

#include <stdio.h>

#include "bench/result.h"

/* A paragraph for each reason that a missed target of `result` has, with the figures it rests on. Nothing if all are reached. */
void limits_print(struct result *result, FILE *to);

#endif
