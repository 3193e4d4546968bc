/* What a fleet of machines needs of a namespace and of themselves, computed from the cost of an event and of a connection. */
#ifndef BENCH_FLEET_H
#define BENCH_FLEET_H

#include <stdint.h>
#include <stdio.h>

#include "bench/result.h"

enum fleet_unit { FLEET_TU, FLEET_PU, FLEET_CU };
extern const char *const fleet_unit_names[];

struct fleet {
    uint32_t machines;
    uint32_t rings; /* of a machine */
    uint64_t rate;  /* events per second of a machine */
    uint32_t event_len;
    uint64_t ring_bytes;
    uint32_t partitions;  /* of the hub */
    uint32_t connections; /* of a machine */
    uint32_t round_trip_ms;
    uint32_t units; /* of the namespace */
    uint32_t unit;  /* enum fleet_unit */
    uint32_t outage_seconds;
    uint32_t accepted_per_second; /* connects that the service takes after an outage */
    uint32_t backoff_ms;
    uint32_t backoff_max_seconds;
    /* measured, or given */
    double cpu_seconds_per_million;
    double worker_events_per_second;
    double wire_bytes_per_event; /* 0: as many more than the payload as were measured for 256 B */
    double memory_mib;           /* of a shipper besides the rings */
    double idle_percent;         /* of a core */
    double connect_cpu_ms;       /* login and TLS of one connection */
};

/* The defaults of all, measured ones NAN. */
struct fleet fleet_default(void);
/* Takes what was measured from a report where it is not given. */
void fleet_take_measured(struct fleet *fleet, struct result *measured);
/* 0, or -ENODATA with the name of what is neither measured nor given in *missing. */
int fleet_check(const struct fleet *fleet, const char **missing);

/* Prints the page in Markdown, draws the outage as scale-outage.svg into `dir` (NULL: no picture) and adds rows to `result` (may be NULL).
 * 0 or -errno. */
int fleet_print(const struct fleet *fleet, const char *dir, const char *log_path, struct result *result, FILE *to);

#endif
