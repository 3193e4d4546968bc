/* Mode laps: what a new ring costs to make, and whether its first lap costs more than later ones. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/measure.h"
#include "bench/ring_mode.h"
#include "bench/scratch.h"
#include "bench/subject.h"
#include "bench/table.h"
#include "client/ehring.h"

#define LAPS 5u
#define BURST_SHARE 32u /* of the ring, under the clock at a time */
#define RECORD_BYTES 48u
#define TARGET_FACTOR 1.5 /* of the first lap over the last one */

struct laps { /* ns per event of each lap, then ms of opening; one value per ring */
    struct measure_series lap[LAPS];
    struct measure_series open_ms;
};

static int run_size(const struct ring_run *run, size_t len);
static int run_ring(const struct ring_run *run, const void *data, size_t len, int64_t clock_ns, struct laps *laps);
static int run_lap(struct subject *subject, const void *data, size_t len, int64_t clock_ns, double *ns);
static uint64_t ring_bytes_for(const struct ring_run *run, size_t len);
static int add_rows(const struct ring_run *run, size_t len, const struct laps *laps);

int mode_laps_run(const struct ring_run *run)
{
    uint32_t first = result_row_count(run->result);
    int err = 0;

    (void)measure_pin(MEASURE_CORE_WRITER);
    for (uint32_t s = 0; s < run->size.count && !err; s++)
        err = run_size(run, (size_t)run->size.value[s]);
    if (!err)
        table_print(run->result, first, stdout);
    return err;
}

static int run_size(const struct ring_run *run, size_t len)
{
    struct laps *laps = calloc(1, sizeof(*laps));
    void *data = calloc(1, len);
    int64_t clock_ns = measure_cpu_clock_cost_ns();
    int err = laps && data ? 0 : -ENOMEM;

    for (uint32_t i = 0; i < run->slices && !err; i++)
        err = scratch_interrupted() ? -EINTR : run_ring(run, data, len, clock_ns, laps);
    if (!err)
        err = add_rows(run, len, laps);
    free(data);
    free(laps);
    return err;
}

static int run_ring(const struct ring_run *run, const void *data, size_t len, int64_t clock_ns, struct laps *laps)
{
    int64_t start_ns = measure_now_ns();
    struct subject subject;
    double ns = 0;
    int err = subject_open(run->rings_dir, ring_bytes_for(run, len), EHRING_SYNC_AT_CLOSE, &subject);

    if (err)
        return err;
    measure_add(&laps->open_ms, (double)(measure_now_ns() - start_ns) / 1e6);
    for (uint32_t lap = 0; lap < LAPS && !err; lap++) {
        err = run_lap(&subject, data, len, clock_ns, &ns);
        measure_add(&laps->lap[lap], ns);
    }
    if (err)
        fprintf(stderr, "ehring-bench: a new ring: %s\n", ehring_error_text(err));
    else if (remove(ehring_path(subject.producer)))
        err = -errno;
    subject_close(&subject);
    return err;
}

/* Once around, to within a burst; freed between bursts, outside the clock. By the thread's own clock: making the ring has used up its share
 * of a busy core, and it would wait for the next one in the middle of the first lap. */
static int run_lap(struct subject *subject, const void *data, size_t len, int64_t clock_ns, double *ns)
{
    uint32_t burst = (uint32_t)(subject->capacity / BURST_SHARE / (len + RECORD_BYTES)), sent = 0;
    uint64_t written = 0;
    int64_t spent_ns = 0;
    int err = 0;

    burst = burst > 0 ? burst : 1;
    while (written < subject->capacity && !err) {
        int64_t start_ns = measure_cpu_now_ns();

        err = subject_send(subject, data, len, NULL, burst);
        spent_ns += measure_cpu_now_ns() - start_ns - clock_ns;
        sent += burst;
        written += subject_used_bytes(subject);
        subject_free_all(subject);
    }
    *ns = (double)spent_ns / sent;
    return err;
}

static uint64_t ring_bytes_for(const struct ring_run *run, size_t len)
{
    uint64_t bytes = run->far_bytes;

    while (bytes / RING_RECORD_SHARE < len + RECORD_BYTES)
        bytes *= 2;
    return bytes;
}

static int add_rows(const struct ring_run *run, size_t len, const struct laps *laps)
{
    char group[RESULT_TEXT_BYTES];
    struct result_row row;
    int err = 0;

    snprintf(group, sizeof(group), "ring: laps of a new ring, %zu B", len);
    for (uint32_t lap = 0; lap < LAPS && !err; lap++) {
        row = result_row_of(group, "ehring_send", "ns", RESULT_LOWER_IS_BETTER, &laps->lap[lap]);
        row.x = lap + 1;
        snprintf(row.x_unit, sizeof(row.x_unit), "lap");
        row.best_noise = measure_noise(&laps->lap[lap], MEASURE_MIN);
        if (lap == 0)
            row.target = TARGET_FACTOR * measure_median(&laps->lap[LAPS - 1]);
        err = result_add_row(run->result, &row);
    }
    row = result_row_of(group, "making the ring and attaching", "ms", RESULT_LOWER_IS_BETTER, &laps->open_ms);
    return err ? err : result_add_row(run->result, &row);
}
