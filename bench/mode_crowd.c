/* Modes lanes and rings: what writing costs while several lanes drain, and while several producers write. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/crowd.h"
#include "bench/measure.h"
#include "bench/ring_mode.h"
#include "bench/scratch.h"
#include "bench/table.h"
#include "client/ehring.h"

#define SLICE_BYTES (UINT64_C(16) << 20) /* two laps of a ring of the usual size */
#define EVENTS_MIN 512u
#define RECORD_BYTES 48u

struct point { /* what is measured side by side */
    const char *group;
    const char *x_unit;
    uint32_t x;
    uint32_t producers;
    uint32_t lanes;
    const char *label;
};

static int run_point(const struct ring_run *run, const struct point *point, size_t size);
static int measure_point(const struct ring_run *run, const struct crowd_options *options, struct measure_series series[2]);
static int add_rows(struct result *result, const struct point *point, size_t size, const struct measure_series series[2]);
static void note_cores(const struct ring_run *run, uint32_t threads);

int mode_lanes_run(const struct ring_run *run)
{
    uint32_t first = result_row_count(run->result);
    int err = 0;

    for (uint32_t s = 0; s < run->size.count && !err; s++)
        for (uint32_t i = 0; i < run->lanes.count && !err; i++) {
            uint32_t lanes = (uint32_t)run->lanes.value[i];
            const struct point point = {"ring: lanes that drain one ring", "lanes", lanes, 1, lanes, "drained"};

            note_cores(run, 1 + lanes);
            err = run_point(run, &point, (size_t)run->size.value[s]);
        }
    if (!err)
        table_print(run->result, first, stdout);
    return err;
}

int mode_rings_run(const struct ring_run *run)
{
    uint32_t first = result_row_count(run->result);
    int err = 0;

    for (uint32_t s = 0; s < run->size.count && !err; s++)
        for (uint32_t i = 0; i < run->rings.count && !err; i++) {
            uint32_t rings = (uint32_t)run->rings.value[i];
            const struct point alone = {"ring: producers with a ring each", "producers", rings, rings, 0, "alone"};
            const struct point drained = {"ring: producers with a ring each", "producers", rings, rings, 1, "drained by one thread"};

            note_cores(run, rings + 1);
            err = run_point(run, &alone, (size_t)run->size.value[s]);
            if (!err)
                err = run_point(run, &drained, (size_t)run->size.value[s]);
        }
    if (!err)
        table_print(run->result, first, stdout);
    return err;
}

static int run_point(const struct ring_run *run, const struct point *point, size_t size)
{
    struct crowd_options options = {.rings_dir = run->rings_dir,
                                    .producer_count = point->producers,
                                    .lane_count = point->lanes,
                                    .ring_bytes = run->far_bytes,
                                    .event_len = size,
                                    .pass_us = (uint32_t)run->pass_us};
    struct measure_series *series = calloc(2, sizeof(*series));
    int err;

    if (!series)
        return -ENOMEM;
    options.events = (uint32_t)(SLICE_BYTES / point->producers / (size + RECORD_BYTES));
    if (options.events < EVENTS_MIN)
        options.events = EVENTS_MIN;
    while (options.ring_bytes / 8 < size + RECORD_BYTES)
        options.ring_bytes *= 2;
    err = measure_point(run, &options, series);
    if (!err)
        err = add_rows(run->result, point, size, series);
    else if (err != -EINTR)
        fprintf(stderr, "ehring-bench: %u producers, %u lanes: %s\n", point->producers, point->lanes, ehring_error_text(err));
    free(series);
    return err;
}

static int measure_point(const struct ring_run *run, const struct crowd_options *options, struct measure_series series[2])
{
    struct crowd_slice slice = {0};
    uint32_t warmup = (uint32_t)(options->ring_bytes / (options->events * options->event_len)) + 1; /* a lap at least */
    struct crowd *crowd = NULL;
    int err = crowd_open(options, &crowd);

    for (uint32_t i = 0; i < warmup + run->slices && !err; i++) {
        err = scratch_interrupted() ? -EINTR : crowd_run_slice(crowd, &slice);
        if (err || i < warmup)
            continue;
        measure_add(&series[0], slice.writer_ns);
        measure_add(&series[1], slice.events_per_second / 1e6);
    }
    crowd_close(crowd);
    return err;
}

static int add_rows(struct result *result, const struct point *point, size_t size, const struct measure_series series[2])
{
    struct result_row row;
    char name[RESULT_TEXT_BYTES], group[RESULT_TEXT_BYTES];
    int err;

    snprintf(group, sizeof(group), "%s, %zu B", point->group, size);
    snprintf(name, sizeof(name), "%s: writer's time for an event", point->label);
    row = result_row_of(group, name, "ns", RESULT_LOWER_IS_BETTER, &series[0]);
    row.x = point->x;
    snprintf(row.x_unit, sizeof(row.x_unit), "%s", point->x_unit);
    err = result_add_row(result, &row);
    snprintf(name, sizeof(name), "%s: all together", point->label);
    row = result_row_of(group, name, "million events/s", RESULT_HIGHER_IS_BETTER, &series[1]);
    row.x = point->x;
    snprintf(row.x_unit, sizeof(row.x_unit), "%s", point->x_unit);
    return err ? err : result_add_row(result, &row);
}

static void note_cores(const struct ring_run *run, uint32_t threads)
{
    char text[160];

    if (threads <= measure_core_count())
        return;
    snprintf(text, sizeof(text), "%u cores: from %u threads on the figures of lanes and producers hold the scheduler's work too.",
             measure_core_count(), measure_core_count() + 1);
    (void)result_add_note(run->result, text);
}
