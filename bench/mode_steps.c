/* Mode steps: what ehring_send adds to a memcpy, one thing after the other, a slice of each in turn. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench/floor.h"
#include "bench/measure.h"
#include "bench/ring_mode.h"
#include "bench/scratch.h"
#include "bench/steps.h"
#include "bench/subject.h"
#include "ringbuf/ring_internal.h"

#define GROUP "ring: what an event's time is made of"
#define SLICE_BYTES (UINT64_C(16) << 20)
#define CLOCK_LOOKS 64u     /* of a slice, with the clock read between them and without in turn */
#define WARM_BURSTS 3u      /* untimed, a lap of the ring: the rows before have used the cache */
#define RECORD_OVERHEAD 48u /* head, time, padding */

enum row { ROW_FLOOR, ROW_MEMCPY, ROW_INLINE, ROW_PUBLISHED, ROW_LOOKED, ROW_CHECKED, ROW_CHOSEN, ROW_SEND, ROW_CLOCK, ROWS };

static const char *const row_names[ROWS] = {
    [ROW_FLOOR] = "memcpy behind a 16 B head",
    [ROW_MEMCPY] = "+ a call, the position in memory",
    [ROW_INLINE] = "+ the ring's head; inline copy for memcpy",
    [ROW_PUBLISHED] = "+ publication",
    [ROW_LOOKED] = "+ a look whether the shipper sleeps",
    [ROW_CHECKED] = "+ checks whether it is plain",
    [ROW_CHOSEN] = "+ the long way above 256 B",
    [ROW_SEND] = "+ handle, new grains, clock: ehring_send",
    [ROW_CLOCK] = "of it the clock, spread over a stripe",
};

struct ladder { /* of one size */
    size_t len;
    uint32_t burst;  /* events under the clock at a time, half the ring */
    uint32_t events; /* of a slice, whole bursts */
    int64_t clock_ns;
    uint8_t *data;
    struct floor_buffer floor;
    struct steps steps;
    struct subject subject;
    struct measure_series look[2]; /* of one slice of the clock: without a reading, with one */
};

static void print_method(const struct ring_run *run);
static int run_size(const struct ring_run *run, size_t len);
static int ladder_open(struct ladder *ladder, const struct ring_run *run, size_t len);
static int open_rungs(struct ladder *ladder, uint64_t capacity);
static void ladder_close(struct ladder *ladder);
static int measure_rows(struct ladder *ladder, uint32_t slices, struct measure_series *series);
static int run_slice(struct ladder *ladder, enum row row, double *ns);
static int run_burst(struct ladder *ladder, enum row row);
static inline int repeat(struct ladder *ladder, steps_event *event);
static double run_clock_slice(struct ladder *ladder);
static int64_t look(uint32_t readings);
static void print_rows(const struct ladder *ladder, const struct measure_series *series);
static int add_rows(const struct ladder *ladder, const struct measure_series *series, struct result *result);

int mode_steps_run(const struct ring_run *run)
{
    int err = 0;

    print_method(run);
    if (measure_pin(MEASURE_CORE_WRITER))
        (void)result_add_note(run->result, "One core: nothing is pinned.");
    for (uint32_t i = 0; i < run->size.count && !err; i++)
        err = run_size(run, (size_t)run->size.value[i]);
    return err;
}

static void print_method(const struct ring_run *run)
{
    printf(
        "ns per event, %llu slices of each row in turn, ring in L2. Each row does what the one above does and one thing more, by the "
        "library's own\n"
        "inline functions; ehring_send has the checks of its handle, the way into each new grain (an eighth of the ring, at most %u KiB) "
        "and once in\n"
        "%u KiB a reading of the clock.\n",
        (unsigned long long)run->slices, RING_STRIPE_BYTES >> 10, RING_STRIPE_BYTES >> 10);
}

static int run_size(const struct ring_run *run, size_t len)
{
    struct measure_series *series = calloc(ROWS, sizeof(*series));
    struct ladder *ladder = calloc(1, sizeof(*ladder));
    int err = series && ladder ? ladder_open(ladder, run, len) : -ENOMEM;

    if (!err)
        err = measure_rows(ladder, (uint32_t)run->slices, series);
    if (!err) {
        print_rows(ladder, series);
        err = add_rows(ladder, series, run->result);
    } else if (err != -EINTR && err != -EMSGSIZE && err != -EOPNOTSUPP) { /* open_rungs has said the latter two */
        fprintf(stderr, "ehring-bench: steps of %zu B: %s\n", len, ehring_error_text(err));
    }
    ladder_close(ladder);
    free(ladder);
    free(series);
    return err;
}

static int ladder_open(struct ladder *ladder, const struct ring_run *run, size_t len)
{
    uint64_t capacity = RING_CAPACITY_MIN, record_len = len + RECORD_OVERHEAD;
    int err;

    while (capacity < run->near_bytes || capacity / RING_RECORD_SHARE < record_len)
        capacity *= 2;
    *ladder = (struct ladder){.len = len, .burst = (uint32_t)(capacity / 2 / record_len), .clock_ns = measure_cpu_clock_cost_ns()};
    ladder->events = (uint32_t)(SLICE_BYTES / record_len + ladder->burst - 1) / ladder->burst * ladder->burst;
    ladder->data = malloc(len);
    if (!ladder->data)
        return -ENOMEM;
    memset(ladder->data, 'e', len);
    err = floor_open(&ladder->floor, capacity);
    if (!err)
        err = subject_open(run->rings_dir, capacity, EHRING_SYNC_AT_CLOSE, &ladder->subject);
    return err ? err : open_rungs(ladder, capacity);
}

/* What is longer than a plain event goes another way altogether. */
static int open_rungs(struct ladder *ladder, uint64_t capacity)
{
    const struct ring_writer *writer = ring_writer_of(ladder->subject.producer);
    int err = subject_send(&ladder->subject, ladder->data, ladder->len, NULL, 1);

    if (err)
        return err;
    subject_free_all(&ladder->subject);
    if (ladder->len >= writer->plain_end) {
        fprintf(stderr, "ehring-bench: --size %zu: the steps are those of an event of at most %llu bytes\n", ladder->len,
                (unsigned long long)writer->plain_end - 1);
        return -EMSGSIZE;
    }
    err = steps_open(ladder->len, capacity, writer->grain, &ladder->steps);
    if (err == -EOPNOTSUPP)
        fprintf(stderr, "ehring-bench: this processor does not copy 32 bytes at a time: no event goes the way of these steps\n");
    return err;
}

static void ladder_close(struct ladder *ladder)
{
    if (!ladder)
        return;
    steps_close(&ladder->steps);
    subject_close(&ladder->subject);
    floor_close(&ladder->floor);
    free(ladder->data);
}

static int measure_rows(struct ladder *ladder, uint32_t slices, struct measure_series *series)
{
    for (uint32_t slice = 0; slice < slices; slice++) {
        for (int row = 0; row < ROWS; row++) {
            double ns = 0;
            int err = scratch_interrupted() ? -EINTR : run_slice(ladder, (enum row)row, &ns);

            if (err)
                return err;
            measure_add(&series[row], ns);
        }
    }
    return 0;
}

static int run_slice(struct ladder *ladder, enum row row, double *ns)
{
    int64_t spent_ns = 0;
    int err = 0;

    if (row == ROW_CLOCK) {
        *ns = run_clock_slice(ladder);
        return 0;
    }
    for (uint32_t i = 0; i < WARM_BURSTS && !err; i++) {
        err = run_burst(ladder, row);
        subject_free_all(&ladder->subject);
    }
    for (uint32_t done = 0; done < ladder->events && !err; done += ladder->burst) {
        int64_t start_ns = measure_cpu_now_ns();

        err = run_burst(ladder, row);
        spent_ns += measure_cpu_now_ns() - start_ns - ladder->clock_ns;
        subject_free_all(&ladder->subject);
    }
    *ns = (double)spent_ns / ladder->events;
    return err;
}

static int run_burst(struct ladder *ladder, enum row row)
{
    switch (row) {
    case ROW_FLOOR:
        floor_write(&ladder->floor, ladder->data, ladder->len, ladder->burst);
        return 0;
    case ROW_MEMCPY:
        return repeat(ladder, steps_put_memcpy);
    case ROW_INLINE:
        return repeat(ladder, steps_put_inline);
    case ROW_PUBLISHED:
        return repeat(ladder, steps_put_published);
    case ROW_LOOKED:
        return repeat(ladder, steps_put_looked);
    case ROW_CHECKED:
        return repeat(ladder, steps_put_checked);
    case ROW_CHOSEN:
        return repeat(ladder, steps_put_chosen);
    case ROW_SEND:
        return subject_send(&ladder->subject, ladder->data, ladder->len, NULL, ladder->burst);
    case ROW_CLOCK:
    case ROWS:
        break;
    }
    return -EINVAL;
}

/* The loop of subject_send, with a direct call: `event` is a constant wherever this is inline. */
static inline __attribute__((always_inline)) int repeat(struct ladder *ladder, steps_event *event)
{
    struct ring_writer *writer = ladder->steps.writer;
    const uint8_t *data = ladder->data;
    size_t len = ladder->len;
    uint32_t burst = ladder->burst;
    int err = 0;

    for (uint32_t i = 0; i < burst && !err; i++)
        err = event(writer, data, len);
    return err;
}

/* A stripe is written, then the clock is read as the first event of the next one reads it, when its lines have left the nearest cache. What
 * the looks around it cost is found in the same way: by as many with nothing between them. */
static double run_clock_slice(struct ladder *ladder)
{
    uint32_t stripe_events = (uint32_t)(RING_STRIPE_BYTES / ring_align16(sizeof(struct ring_head) + ladder->len));

    ladder->look[0].count = ladder->look[1].count = 0;
    for (uint32_t i = 0; i < CLOCK_LOOKS; i++) {
        floor_write(&ladder->floor, ladder->data, ladder->len, stripe_events);
        measure_add(&ladder->look[i % 2], (double)look(i % 2));
    }
    return (measure_median(&ladder->look[1]) - measure_median(&ladder->look[0])) / stripe_events;
}

static int64_t look(uint32_t readings)
{
    int64_t start_ns = measure_cpu_now_ns();
    struct timespec now;

    if (readings > 0)
        clock_gettime(CLOCK_REALTIME, &now);
    return measure_cpu_now_ns() - start_ns;
}

static void print_rows(const struct ladder *ladder, const struct measure_series *series)
{
    double floor = measure_median(&series[ROW_FLOOR]);

    printf("\n%6zu B  %-42s %9s %9s %8s %9s\n", ladder->len, "", "median", "min", "x floor", "step");
    for (int row = 0; row < ROWS; row++) {
        double median = measure_median(&series[row]);

        printf("          %-42s %9.2f %9.2f %8.2f", row_names[row], median, measure_min(&series[row]), median / floor);
        if (row == ROW_FLOOR || row == ROW_CLOCK)
            printf(" %9s\n", "-");
        else
            printf(" %+9.2f\n", median - measure_median(&series[row - 1]));
    }
    fflush(stdout);
}

/* The clock's share is said and not compared: a difference of two figures, and a part of the row above. A unit of its own keeps it out of
 * the picture, which it would stretch over four decades. */
static int add_rows(const struct ladder *ladder, const struct measure_series *series, struct result *result)
{
    int err = 0;

    for (int row = 0; row < ROWS && !err; row++) {
        struct result_row out = row == ROW_CLOCK ? result_row_of(GROUP, row_names[row], "ns per event", RESULT_ONLY_SAID, &series[row])
                                                 : result_row_of(GROUP, row_names[row], "ns", RESULT_LOWER_IS_BETTER, &series[row]);

        out.x = (double)ladder->len;
        snprintf(out.x_unit, sizeof(out.x_unit), "B");
        if (row != ROW_CLOCK)
            out.best_noise = measure_noise(&series[row], MEASURE_MIN);
        if (row != ROW_FLOOR)
            snprintf(out.floor, sizeof(out.floor), "%s", row_names[ROW_FLOOR]);
        err = result_add_row(result, &out);
    }
    return err;
}
