/* The figures of `ship` as a table for a person and as rows of the result: each with its floor or target beside it. */
#ifndef BENCH_SHIP_REPORT_H
#define BENCH_SHIP_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "bench/load.h"
#include "bench/machine_floor.h"
#include "bench/phase.h"
#include "bench/profile.h"
#include "bench/result.h"
#include "bench/rig.h"
#include "bench/sender.h"

struct ship_options {
    struct rig_options rig;
    struct load_options load; /* of the load phase */
    uint32_t warmup_seconds;
    uint32_t seconds; /* this and the following: 0 leaves the phase out */
    uint64_t events_max;
    uint32_t floor_seconds;
    uint32_t profile_seconds;
    uint32_t latency_seconds;
    uint64_t latency_rate;
    uint32_t idle_seconds;
    uint64_t load_rate; /* of the load phase; 0: as fast as the rings take them */
    uint32_t sink_seconds;
    bool sender[SENDERS]; /* by kind */
    uint32_t sender_seconds;
    const char *json_path;
};

void ship_report_setup(const struct ship_options *options);
/* 0 or -ENOMEM, as those that follow. */
int ship_report_floor(const struct ship_options *options, const struct machine_floor *floor, struct result *result);
int ship_report_sink(const struct ship_options *options, const struct measure_series *rates, const struct measure_series *connect_ms,
                     struct result *result);
/* `floor`: measured in the same run; all zero if it was left out. */
int ship_report_load(const struct ship_options *options, const struct machine_floor *floor, const struct phase_load *load,
                     struct result *result);
/* The profile of a load whose figures are `load`. */
int ship_report_profile(const struct phase_load *load, const struct profile *profile, struct result *result);
int ship_report_latency(const struct ship_options *options, const struct phase_latency *latency, struct result *result);
int ship_report_idle(const struct ship_options *options, const struct phase_idle *idle, struct result *result);
int ship_report_sender(enum sender_kind kind, const struct sender_figures *figures, struct result *result);

#endif
