/* Producers: threads with a ring each or several, which send as fast as it takes them or at a steady rate; and what their rings say about
 * it. */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include <stdint.h>

#include "ringbuf/ring_stat.h"

#define LOAD_PRODUCERS_MAX 1000u
#define LOAD_RINGS_MAX 4000u

struct load_options {
    const char *rings_dir;
    const char *stream;
    uint32_t event_len;
    uint32_t producer_count;
    uint32_t ring_count;     /* of all producers together, at least one for each; a producer takes its rings in turn */
    uint32_t property_count; /* user properties of each event */
    uint32_t key_count;      /* 0: unkeyed; as many different keys in each ring */
    uint64_t ring_bytes;
    uint64_t rate; /* events per second of all producers together; 0: as fast as the rings take them */
};

struct load;

/* Makes the rings and starts the threads. With a rate every event carries its time. 0, or a negative code after a line on stderr. */
int load_start(const struct load_options *options, struct load **out);
/* Stops the threads, waits up to `timeout_ms` until all is accepted, closes the rings. 0, or EHRING_E_TIMED_OUT and the like; NULL is fine.
 */
int load_stop(struct load *load, int timeout_ms);

struct load_sample { /* sums over the rings, since load_start */
    int64_t time_ns; /* CLOCK_MONOTONIC */
    uint64_t committed_events;
    uint64_t accepted_events;
    uint64_t accepted_bytes;
};
/* 0, or the code with which a producer has given up. */
int load_read(const struct load *load, struct load_sample *sample);

/* Adds the rings' commit-to-accept histograms. Only events that carry a time are in there. */
void load_add_latency(const struct load *load, struct ring_hist_view *view);

#endif
