/* Several producers with a ring each, and several readers of all rings as the workers of a shipper are: each has its lane in every ring. */
#ifndef BENCH_CROWD_H
#define BENCH_CROWD_H

#include <stddef.h>
#include <stdint.h>

#define CROWD_PRODUCERS_MAX 8u
#define CROWD_LANES_MAX 8u

struct crowd_options {
    const char *rings_dir;
    uint32_t producer_count;
    uint32_t lane_count; /* 0: nobody reads, each producer frees its own ring between bursts, outside the clock */
    uint64_t ring_bytes;
    size_t event_len;
    uint32_t events; /* of each producer in a slice */
    uint32_t pass_us;
};

struct crowd;

/* Makes the rings and starts the threads, which wait. 0, or a negative code after a line on stderr. crowd_close ends them; NULL is fine. */
int crowd_open(const struct crowd_options *options, struct crowd **out);
void crowd_close(struct crowd *crowd);

struct crowd_slice {
    double writer_ns;         /* processor time of a producer for an event: the core may be shared */
    double events_per_second; /* of all producers together, by the wall clock, with waiting for room */
};
/* Lets all producers send their events, and the readers read them. 0, or a negative code with which a thread gave up. */
int crowd_run_slice(struct crowd *crowd, struct crowd_slice *slice);

#endif
