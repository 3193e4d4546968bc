/* A simulated regional outage: many connections that are lost at once and made again, with the shipper's backoff, with and without jitter.
 */
#ifndef BENCH_OUTAGE_H
#define BENCH_OUTAGE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct outage_options {
    uint32_t connections;
    uint32_t outage_seconds;      /* nothing is accepted so long */
    uint32_t accepted_per_second; /* afterwards the service takes so many, the others fail */
    uint32_t backoff_ms;          /* as the shipper's retry_backoff_ms and retry_backoff_max_seconds */
    uint32_t backoff_max_seconds;
    bool jitter;
};

struct outage { /* counts by second from the start of the outage; second_count of them */
    uint32_t second_count;
    uint32_t *attempts;
    uint32_t *connected; /* at its end */
    uint64_t attempts_sum;
    uint32_t attempts_max;      /* in a second after the outage */
    double all_connected_after; /* seconds after the end of the outage; NAN: not within the simulated time */
};

/* The same numbers for the same options. 0 or -ENOMEM. outage_free frees. */
int outage_simulate(const struct outage_options *options, struct outage *out);
void outage_free(struct outage *outage);

/* A gnuplot script that draws attempts per second of both from shortly before the outage ends, into `name`.svg. */
void outage_write_plot(const struct outage *with, const struct outage *without, uint32_t outage_seconds, const char *name, FILE *to);

#endif
