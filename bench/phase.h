/* The phases of `ship`: as fast as it goes, a steady low rate, nothing at all. Each gives figures and prints nothing but errors. */
#ifndef BENCH_PHASE_H
#define BENCH_PHASE_H

#include <stdint.h>

#include "bench/load.h"
#include "bench/measure.h"
#include "bench/rig.h"

struct phase_load {
    double seconds;
    double events; /* accepted in that time */
    double events_per_second;
    double bytes_per_second;     /* payload, accepted */
    double wire_bytes_per_event; /* what the shipper gave to its sockets */
    double events_per_batch;
    double shipper_cores; /* processor seconds per second */
    double hub_cores;
    double producer_cores;
    double shipper_cpu_seconds_per_million;
    double user_cpu_seconds_per_million; /* of that; NAN: the kernel has counted nothing */
    double system_cpu_seconds_per_million;
    int64_t pause_ns_max; /* the longest time in which nothing was accepted, to within a look of 2 ms */
    uint64_t token_renewals;
    uint64_t disturbances;   /* connections lost, links ended, deliveries of unknown outcome */
    uint64_t anon_bytes_max; /* the shipper's memory besides the rings */
    uint64_t file_bytes_max;
    uint64_t ring_bytes_max;               /* pages of the rings that it has mapped */
    struct measure_series rates;           /* events per second in each tenth of the time */
    struct measure_series cpu_per_million; /* and the shipper's CPU seconds */
};
/* Runs the producers, forgets the first `warmup_seconds`, ends after `seconds` or when `events_max` (0: no limit) are accepted. 0, or a
 * negative code after lines on stderr. */
int phase_run_load(struct rig *rig, const struct load_options *load, uint32_t warmup_seconds, uint32_t seconds, uint64_t events_max,
                   struct phase_load *out);
/* The same in three steps, for who watches the shipper too. phase_close_load is called whatever happened: `err` is what the others
 * returned, and it returns that, or that not all was accepted in the end. */
int phase_open_load(struct rig *rig, const struct load_options *options, uint32_t warmup_seconds, struct load **load);
int phase_watch_load(struct rig *rig, const struct load *load, uint32_t seconds, uint64_t events_max, struct phase_load *out);
int phase_close_load(struct rig *rig, struct load *load, int err);

struct phase_latency {
    double events_per_second;
    uint64_t count;
    uint64_t p50_ns, p90_ns, p99_ns, p999_ns, max_ns;
    struct measure_series p50s_ns, p90s_ns, p99s_ns; /* of each fifth of the time */
};
/* load->rate must be set. */
int phase_run_latency(struct rig *rig, const struct load_options *load, uint32_t seconds, struct phase_latency *out);

struct phase_idle {
    double wakeups_per_second;  /* of one worker, by its own count */
    double switches_per_second; /* of the whole process, by the kernel's count */
    double core_percent;
};
int phase_run_idle(struct rig *rig, uint32_t workers, uint32_t seconds, struct phase_idle *out);

#endif
