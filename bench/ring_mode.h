/* The modes of `ring`: each measures one thing about a ring alone, prints it, and adds its rows to the result. */
#ifndef BENCH_RING_MODE_H
#define BENCH_RING_MODE_H

#include <stdint.h>

#include "bench/result.h"

#define RING_MODE_LIST_MAX 16u

struct ring_mode_list { /* of an option that may be repeated */
    uint64_t value[RING_MODE_LIST_MAX];
    uint32_t count;
};

struct ring_run {
    uint32_t mode;              /* index into the table of modes */
    struct ring_mode_list size; /* bytes of payload */
    struct ring_mode_list lanes;
    struct ring_mode_list rings;
    struct ring_mode_list rate; /* events per second */
    uint64_t slices;
    uint64_t milliseconds; /* of each rate */
    uint64_t near_bytes;   /* a ring that stays in the L2 cache */
    uint64_t far_bytes;    /* one that does not */
    uint64_t pass_us;
    const char *disk_parent; /* NULL: the first of the usual ones that is a disk */
    const char *json_path;
    const char *rings_dir;
    const char *disk_dir; /* NULL: no disk here */
    struct result *result;
};

/* Each: 0, or a negative code after a line on stderr (-EINTR: interrupted, without one). */
int mode_write_run(const struct ring_run *run);
int mode_lanes_run(const struct ring_run *run);
int mode_rings_run(const struct ring_run *run);
int mode_latency_run(const struct ring_run *run);
int mode_oneway_run(const struct ring_run *run);
int mode_laps_run(const struct ring_run *run);
int mode_steps_run(const struct ring_run *run);

#endif
