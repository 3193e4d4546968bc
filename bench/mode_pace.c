/* Modes latency and oneway: single events at a steady rate, what each one waits, and how soon a reader has it. Beside latency the same
 * bytes are copied into a plain buffer as large, in turn, in the same loop by the same clock: what the machine alone makes of so rare a
 * write, as pages whose translation it has forgotten and the clock itself, is no doing of the ring.
 *
 * Each event has its time. One that is late because the one before took long is sent at once and its wait counts from the time at which it
 * was due: a stall that held up a thousand events is a thousand long waits and not one. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/drain.h"
#include "bench/floor.h"
#include "bench/measure.h"
#include "bench/ring_mode.h"
#include "bench/scratch.h"
#include "bench/spectrum.h"
#include "bench/subject.h"
#include "bench/table.h"
#include "client/ehring.h"

#define STRETCHES 5u
#define WARMUP_NS INT64_C(50000000)
#define TARGET_RATE 1000000.0
#define TARGET_CALL_P99_NS 100.0

enum way { WAY_SEND, WAY_COPY };
#define WAYS 2
enum what { CALL, DUE, COPY_CALL, COPY_DUE, ONEWAY, WHATS };
enum figure { P50, P99, P999, FIGURES };
static const double percents[FIGURES] = {50, 99, 99.9};
static const char *const figure_names[FIGURES + 1] = {"p50", "p99", "p99.9", "max"};
static const char *const what_names[WHATS] = {
    "publish, the call", "publish, from when it was due", "memcpy into a buffer as large, the call",
    "memcpy into a buffer as large, from when it was due", "from publish to a reader that looks all the time"};
static const enum what floors[WHATS] = {COPY_CALL, COPY_DUE, WHATS, WHATS, WHATS}; /* WHATS: none */

struct pace {
    const struct ring_run *run;
    uint32_t ways; /* of one stretch each in turn: WAY_SEND alone, or both */
    struct subject subject;
    struct floor_buffer buffer;
    struct drain *drain;
    uint8_t *data;
    size_t len;
    int64_t clock_ns;
    struct spectrum now[WHATS]; /* of one stretch */
    struct measure_series series[WHATS][FIGURES];
    double max_ns[WHATS];
};

static int run_mode(const struct ring_run *run, uint32_t pass_us, uint32_t ways, const enum what *whats, uint32_t what_count);
static int pace_open(struct pace *pace, const struct ring_run *run, size_t len, uint32_t pass_us, uint32_t ways);
static int warm_ring(struct pace *pace);
static void pace_close(struct pace *pace);
static int run_rate(struct pace *pace, uint64_t rate);
static int run_stretches(struct pace *pace, int64_t step_ns, int64_t duration_ns);
static int run_stretch(struct pace *pace, enum way way, int64_t step_ns, int64_t duration_ns);
static int write_one(struct pace *pace, enum way way, int64_t now_ns);
static void take_stretch(struct pace *pace);
static int add_rows(struct pace *pace, enum what what, uint64_t rate);

int mode_latency_run(const struct ring_run *run)
{
    return run_mode(run, (uint32_t)run->pass_us, WAYS, (const enum what[]){CALL, DUE, COPY_CALL, COPY_DUE}, 4);
}

int mode_oneway_run(const struct ring_run *run)
{
    return run_mode(run, 0, 1, (const enum what[]){ONEWAY}, 1);
}

static int run_mode(const struct ring_run *run, uint32_t pass_us, uint32_t ways, const enum what *whats, uint32_t what_count)
{
    uint32_t first = result_row_count(run->result);
    struct pace *pace = calloc(1, sizeof(*pace));
    int err = pace ? 0 : -ENOMEM;

    if (!err && measure_pin(MEASURE_CORE_WRITER))
        (void)result_add_note(run->result, "One core: latencies measure the scheduler.");
    for (uint32_t s = 0; s < run->size.count && !err; s++) {
        err = pace_open(pace, run, (size_t)run->size.value[s], pass_us, ways);
        for (uint32_t i = 0; i < run->rate.count && !err; i++) {
            err = run_rate(pace, run->rate.value[i]);
            for (uint32_t w = 0; w < what_count && !err; w++)
                err = add_rows(pace, whats[w], run->rate.value[i]);
        }
        pace_close(pace);
    }
    if (!err)
        table_print(run->result, first, stdout);
    else if (err != -EINTR)
        fprintf(stderr, "ehring-bench: steady rate: %s\n", ehring_error_text(err));
    free(pace);
    return err;
}

static int pace_open(struct pace *pace, const struct ring_run *run, size_t len, uint32_t pass_us, uint32_t ways)
{
    uint64_t capacity = run->far_bytes;
    int err;

    *pace = (struct pace){.run = run, .ways = ways, .len = len, .clock_ns = measure_clock_cost_ns(), .data = calloc(1, len)};
    while (capacity / RING_RECORD_SHARE < len + 64)
        capacity *= 2;
    err = pace->data ? subject_open(run->rings_dir, capacity, EHRING_SYNC_AT_CLOSE, &pace->subject) : -ENOMEM;
    if (!err)
        err = warm_ring(pace);
    if (!err && ways > WAY_COPY)
        err = floor_open(&pace->buffer, capacity);
    if (!err)
        err = drain_open(pass_us, &pace->drain);
    return err;
}

/* Once around: what the first lap costs is another mode's. */
static int warm_ring(struct pace *pace)
{
    uint64_t sent = 0;
    int err = 0;

    while (sent < pace->subject.capacity && !err) {
        err = subject_send(&pace->subject, pace->data, pace->len, NULL, 1);
        subject_free_all(&pace->subject);
        sent += pace->len;
    }
    return err;
}

static void pace_close(struct pace *pace)
{
    drain_close(pace->drain);
    subject_close(&pace->subject);
    floor_close(&pace->buffer);
    free(pace->data);
    pace->drain = NULL;
    pace->data = NULL;
}

static int run_rate(struct pace *pace, uint64_t rate)
{
    int64_t step_ns = (int64_t)(UINT64_C(1000000000) / rate);
    int64_t stretch_ns = (int64_t)pace->run->milliseconds * 1000000 / STRETCHES;
    int err;

    memset(pace->series, 0, sizeof(pace->series));
    memset(pace->max_ns, 0, sizeof(pace->max_ns));
    err = run_stretches(pace, step_ns, WARMUP_NS);
    for (uint32_t i = 0; i < STRETCHES && !err; i++) {
        memset(pace->now, 0, sizeof(pace->now));
        err = run_stretches(pace, step_ns, stretch_ns);
        if (!err)
            take_stretch(pace);
    }
    return err;
}

static int run_stretches(struct pace *pace, int64_t step_ns, int64_t duration_ns)
{
    int err = 0;

    for (uint32_t way = WAY_SEND; way < pace->ways && !err; way++)
        err = run_stretch(pace, (enum way)way, step_ns, duration_ns);
    return err;
}

/* Looks at the clock until an event is due: asleep it would measure how the kernel wakes it up. */
static int run_stretch(struct pace *pace, enum way way, int64_t step_ns, int64_t duration_ns)
{
    struct spectrum *call = &pace->now[way == WAY_SEND ? CALL : COPY_CALL], *due = &pace->now[way == WAY_SEND ? DUE : COPY_DUE];
    int64_t due_ns = measure_now_ns(), end_ns = due_ns + duration_ns;
    int err = 0, drain_err;

    drain_note_ages(pace->drain, &pace->now[ONEWAY]);
    if (way == WAY_SEND)
        drain_begin(pace->drain, &pace->subject);
    else
        drain_begin_floor(pace->drain, &pace->buffer);
    while (due_ns < end_ns && !err) {
        int64_t now_ns = measure_now_ns();

        due_ns += step_ns;
        while (now_ns < due_ns) {
            measure_relax();
            now_ns = measure_now_ns();
        }
        err = scratch_interrupted() ? -EINTR : write_one(pace, way, now_ns);
        if (!err) {
            int64_t done_ns = measure_now_ns() - pace->clock_ns;

            spectrum_add(call, done_ns - now_ns);
            spectrum_add(due, done_ns - due_ns);
        }
    }
    drain_err = drain_end(pace->drain);
    return err ? err : drain_err;
}

/* A full ring is waited for: its time is in the figure. */
static int write_one(struct pace *pace, enum way way, int64_t now_ns)
{
    int err;

    memcpy(pace->data, &now_ns, sizeof(now_ns));
    if (way == WAY_COPY) {
        floor_write(&pace->buffer, pace->data, pace->len, 1);
        return 0;
    }
    do {
        err = ehring_send(pace->subject.producer, pace->data, pace->len, NULL);
    } while (err == EHRING_E_FULL && !scratch_interrupted());
    return err;
}

static void take_stretch(struct pace *pace)
{
    for (int what = 0; what < WHATS; what++) {
        for (int figure = 0; figure < FIGURES; figure++)
            measure_add(&pace->series[what][figure], spectrum_percentile(&pace->now[what], percents[figure]));
        pace->max_ns[what] = fmax(pace->max_ns[what], (double)pace->now[what].max_ns);
    }
}

/* The last percentile and the maximum tell of the machine's interrupts as much as of the ring: they are said and not compared. */
static int add_rows(struct pace *pace, enum what what, uint64_t rate)
{
    char group[RESULT_TEXT_BYTES], name[RESULT_TEXT_BYTES];
    struct result_row row;
    int err = 0;

    snprintf(group, sizeof(group), "ring: %s at a steady rate, %zu B", what == ONEWAY ? "one way" : "one publish", pace->len);
    for (int figure = 0; figure <= FIGURES && !err; figure++) {
        snprintf(name, sizeof(name), "%s, %s", what_names[what], figure_names[figure]);
        if (figure < FIGURES)
            row = result_row_of(group, name, "ns", figure < P999 ? RESULT_LOWER_IS_BETTER : RESULT_ONLY_SAID, &pace->series[what][figure]);
        else
            row = result_row_of_value(group, name, "ns", RESULT_ONLY_SAID, pace->max_ns[what]);
        row.x = (double)rate;
        snprintf(row.x_unit, sizeof(row.x_unit), "events/s");
        if (what == CALL && figure == P99 && row.x == TARGET_RATE)
            row.target = TARGET_CALL_P99_NS;
        if (floors[what] != WHATS)
            snprintf(row.floor, sizeof(row.floor), "%s, %s", what_names[floors[what]], figure_names[figure]);
        err = result_add_row(pace->run->result, &row);
    }
    return err;
}
