/* What a tracepoint of LTTng-UST costs that carries an event's bytes: lttng-tracer BYTES SLICES prints a figure a line, ns per tracepoint.
 * Run it by lttng.sh: without a session that records, a tracepoint is a load and a branch. */
#define LTTNG_UST_TRACEPOINT_CREATE_PROBES
#define LTTNG_UST_TRACEPOINT_DEFINE
#include "bench/peers/lttng_tracer.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define SLICE_EVENTS 2048
#define WARMUP_SLICES 5

static int64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

int main(int argc, char *argv[])
{
    size_t len = argc > 1 ? strtoul(argv[1], NULL, 10) : 0;
    long slices = argc > 2 ? strtol(argv[2], NULL, 10) : 0;
    uint8_t *data = calloc(1, len + 1);

    if (!data || len == 0 || slices <= 0) {
        fputs("usage: lttng-tracer BYTES SLICES\n", stderr);
        return 2;
    }
    if (!lttng_ust_tracepoint_enabled(ehring_bench, event)) {
        fputs("lttng-tracer: no session records ehring_bench:event\n", stderr);
        return 3;
    }
    for (long slice = -WARMUP_SLICES; slice < slices; slice++) {
        int64_t start_ns = now_ns();

        for (int i = 0; i < SLICE_EVENTS; i++)
            lttng_ust_tracepoint(ehring_bench, event, data, len);
        if (slice >= 0)
            printf("%.3f\n", (double)(now_ns() - start_ns) / SLICE_EVENTS);
    }
    free(data);
    return 0;
}
