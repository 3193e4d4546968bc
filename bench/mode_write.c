/* Mode write: every way of writing an event side by side, a slice of each in turn. */
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/drain.h"
#include "bench/lab.h"
#include "bench/lttng.h"
#include "bench/ring_mode.h"
#include "bench/scratch.h"

#define LTTNG_NAME "LTTng-UST tracepoint"
#define GROUP "ring: writing an event"

static int run_size(const struct ring_run *run, size_t size, struct drain *drain);
static int run_lttng(const struct ring_run *run, size_t size, double floor_ns);
static int measure_rows(struct lab *lab, uint32_t slices, struct measure_series *series);
static void print_method(const struct ring_run *run);
static int tell_rows(const struct lab *lab, const struct measure_series *series, struct result *result);
static double target_of(const struct lab *lab, uint32_t row, const struct measure_series *series);
static bool is_peer(const struct lab_row *row);
static void print_row(const struct lab *lab, uint32_t row, const struct measure_series *series);
static int add_row(const struct lab *lab, uint32_t row, const struct measure_series *series, struct result *result);
static void print_bytes(char *text, size_t text_len, uint64_t bytes);

int mode_write_run(const struct ring_run *run)
{
    struct drain *drain = NULL;
    int err;

    print_method(run);
    err = drain_open((uint32_t)run->pass_us, &drain);
    for (uint32_t i = 0; i < run->size.count && !err; i++)
        err = run_size(run, (size_t)run->size.value[i], drain);
    drain_close(drain);
    return err;
}

static int run_size(const struct ring_run *run, size_t size, struct drain *drain)
{
    struct measure_series *series = calloc(lab_row_count, sizeof(*series));
    struct lab lab = {0};
    int err;

    if (!series)
        return -ENOMEM;
    err = lab_open(&lab, run->rings_dir, run->disk_dir, size, run->near_bytes, run->far_bytes, drain);
    if (!err)
        err = measure_rows(&lab, (uint32_t)run->slices, series);
    if (!err)
        err = tell_rows(&lab, series, run->result);
    if (!err)
        err = run_lttng(run, size, measure_median(&series[0]));
    else if (err != -EINTR)
        fprintf(stderr, "ehring-bench: %zu B: %s\n", size, ehring_error_text(err));
    lab_close(&lab);
    free(series);
    return err;
}

/* In a program of its own, behind the others: its library starts threads in whatever it is linked to. */
static int run_lttng(const struct ring_run *run, size_t size, double floor_ns)
{
    struct measure_series *series = calloc(1, sizeof(*series));
    struct result_row row;
    char why[128] = "";
    int err = series ? lttng_measure(size, (uint32_t)run->slices, series, why, sizeof(why)) : -ENOMEM;

    if (err == -EOPNOTSUPP) {
        printf("          %-36s %8s %9s %9s %8s (%s)\n", LTTNG_NAME, "-", "-", "-", "-", why);
        err = result_add_note(run->result, why);
    } else if (!err) {
        double median = measure_median(series);

        printf("          %-36s %8s %9.2f %9.2f %8.2f \n", LTTNG_NAME, "-", median, measure_min(series), median / floor_ns);
        row = result_row_of(GROUP, LTTNG_NAME, "ns", RESULT_LOWER_IS_BETTER, series);
        row.x = (double)size;
        snprintf(row.x_unit, sizeof(row.x_unit), "B");
        err = result_add_row(run->result, &row);
    }
    free(series);
    return err;
}

/* One slice of each row in turn, so that a noisy second hits the floor and what stands on it alike. */
static int measure_rows(struct lab *lab, uint32_t slices, struct measure_series *series)
{
    uint32_t warmup = lab_warmup_slices(lab);

    for (uint32_t slice = 0; slice < warmup + slices; slice++) {
        for (uint32_t row = 0; row < lab_row_count; row++) {
            double ns = 0;
            int err = scratch_interrupted() ? -EINTR : lab_slice(lab, row, &ns);

            if (err == -EOPNOTSUPP)
                continue;
            if (err)
                return err;
            if (slice >= warmup)
                measure_add(&series[row], ns);
        }
    }
    return 0;
}

static void print_method(const struct ring_run *run)
{
    int pinned = measure_pin(MEASURE_CORE_WRITER);

    printf(
        "ns per event, %llu slices of each row in turn; the payload is in the L1 cache; writes are timed, freeing and waiting for room "
        "are not, nor is\n"
        "what else the core does: the clock is the thread's, but on a disk and for LTTng.\n"
        "Draining: a thread on another core walks, copies out and acks in passes %llu us apart; its floor is the memcpy that is read "
        "there too.\n"
        "On a disk: what the first write to a page after its writeback costs is in it; a thread on the other core syncs (EHRING_SYNC).\n"
        "Peers: writes into an emptied buffer, nobody to be woken; drained: the thread on the other core takes out what is there, in such "
        "passes.\n",
        (unsigned long long)run->slices, (unsigned long long)run->pass_us);
    if (pinned)
        printf("Not pinned (%s): rows with a draining lane measure the scheduler too.\n", strerror(-pinned));
}

static int tell_rows(const struct lab *lab, const struct measure_series *series, struct result *result)
{
    int err = 0;

    printf("\n%6zu B  %-36s %8s %9s %9s %8s %9s\n", lab->len, "", "buffer", "median", "min", "x floor", "target");
    for (uint32_t row = 0; row < lab_row_count && !err; row++) {
        print_row(lab, row, series);
        err = add_row(lab, row, series, result);
    }
    fflush(stdout);
    return err;
}

static double target_of(const struct lab *lab, uint32_t row, const struct measure_series *series)
{
    int of = lab_rows[row].limit_of;

    return lab_limit(lab, row, of < 0 ? NAN : measure_median(&series[of]));
}

static bool is_peer(const struct lab_row *row)
{
    return row->kind == LAB_PEER || row->kind == LAB_PEER_DRAINED;
}

static void print_row(const struct lab *lab, uint32_t row, const struct measure_series *series)
{
    const struct lab_row *what = &lab_rows[row];
    double median = measure_median(&series[row]), ratio = median / measure_median(&series[what->floor]);
    double target = target_of(lab, row, series);
    char place[32] = "-", limit[48] = "";

    if (!is_peer(what))
        print_bytes(place, sizeof(place), lab->capacity[what->place]);
    if (!isnan(target))
        snprintf(limit, sizeof(limit), "%9.2f %s", target, median <= target ? "reached" : "missed");
    if (series[row].count)
        printf("          %-36s %8s %9.2f %9.2f %8.2f %s\n", what->name, place, median, measure_min(&series[row]), ratio, limit);
    else
        printf("          %-36s %8s %9s %9s %8s (%s)\n", what->name, place, "-", "-", "-",
               is_peer(what) ? strerror(-lab->peer_err[what->peer]) : "no disk here");
}

/* The names tell the rings apart: sizes of buffers depend on the machine's cache and the event. */
static int add_row(const struct lab *lab, uint32_t row, const struct measure_series *series, struct result *result)
{
    static const char *const places[LAB_PLACES] = {", ring in L2", ", large ring", "", ""};
    const struct lab_row *what = &lab_rows[row], *floor = &lab_rows[what->floor];
    struct result_row out;
    char name[RESULT_TEXT_BYTES];

    if (series[row].count == 0)
        return 0;
    snprintf(name, sizeof(name), "%s%s", what->name, is_peer(what) ? "" : places[what->place]);
    out = result_row_of(GROUP, name, "ns", RESULT_LOWER_IS_BETTER, &series[row]);
    out.x = (double)lab->len;
    snprintf(out.x_unit, sizeof(out.x_unit), "B");
    out.target = target_of(lab, row, series);
    if (what->place < LAB_DISK && what->kind != LAB_FLOOR_DRAINED && what->kind != LAB_SEND_DRAINED && what->kind != LAB_PEER_DRAINED)
        out.best_noise = measure_noise(&series[row], MEASURE_MIN);
    if (what->floor != (int)row)
        snprintf(out.floor, sizeof(out.floor), "%s%s", floor->name, places[floor->place]);
    return result_add_row(result, &out);
}

static void print_bytes(char *text, size_t text_len, uint64_t bytes)
{
    if (bytes % (UINT64_C(1) << 20) == 0)
        snprintf(text, text_len, "%llu MiB", (unsigned long long)(bytes >> 20));
    else
        snprintf(text, text_len, "%llu KiB", (unsigned long long)(bytes >> 10));
}
