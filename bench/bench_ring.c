/* `ehring-bench ring`: what writing an event costs the application, beside the floor and other ways out of the process. */
#include <cjson/cJSON.h>
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"
#include "bench/drain.h"
#include "bench/lab.h"
#include "bench/machine.h"
#include "bench/measure.h"
#include "bench/options.h"
#include "bench/scratch.h"

#define SIZES_MAX 16u
#define ROWS_MAX 16u
#define RINGS_PARENT "/dev/shm"

struct ring_options {
    uint64_t size[SIZES_MAX]; /* bytes of payload */
    uint32_t size_count;
    uint64_t slices;
    uint64_t near_bytes;
    uint64_t far_bytes;
    uint64_t pass_us;
    const char *json_path;
    const char *disk_parent; /* NULL: the first of the usual ones that is a disk */
};

static const char usage[] =
    "usage: ehring-bench ring [--size BYTES]... [--slices N] [--ring-bytes BYTES] [--l2-ring-bytes BYTES] [--pass-us N] [--disk DIR] "
    "[--json FILE]\n"
    "Nanoseconds per event of ehring_send() in memory and on a disk, of a plain memcpy, and of pipe, Unix datagram and POSIX queue.\n"
    "  --size BYTES           payload, 16 to 64K; may be repeated; default 64, 256 and 1024\n"
    "  --slices N             slices of each row, taken in turn; default 101\n"
    "  --ring-bytes BYTES     the larger ring; default 8M\n"
    "  --l2-ring-bytes BYTES  the ring that stays in the L2 cache; default a quarter of that cache\n"
    "  --pass-us N            pause between two passes of the draining lane; default 100\n"
    "  --disk DIR             where rings lie on a disk; default /var/tmp or /tmp, whichever is one\n"
    "  --json FILE            write the figures to FILE too\n";

static int read_options(int argc, char *argv[], struct ring_options *options);
static int make_disk_dir(const struct ring_options *options, char disk_dir[SCRATCH_PATH_BYTES]);
static uint64_t quarter_of_l2(void);
static int run(const struct ring_options *options, const char *rings_dir, const char *disk_dir, cJSON *rows);
static int run_size(const struct ring_options *options, const char *rings_dir, const char *disk_dir, size_t size, struct drain *drain,
                    cJSON *rows);
static int measure_rows(struct lab *lab, uint32_t slices, struct measure_series *series);
static void print_method(const struct ring_options *options);
static void print_rows(const struct lab *lab, const struct measure_series *series, cJSON *rows);
static void print_row(const struct lab *lab, uint32_t row, const struct measure_series *series, cJSON *rows);
static void print_bytes(char *text, size_t text_len, uint64_t bytes);

int bench_ring(int argc, char *argv[])
{
    struct ring_options options;
    char rings_dir[SCRATCH_PATH_BYTES] = "", disk_dir[SCRATCH_PATH_BYTES] = "";
    cJSON *report = NULL;
    int err, status;

    status = read_options(argc, argv, &options);
    if (status != BENCH_GO_ON)
        return status;
    scratch_catch_signals();
    report = cJSON_CreateObject();
    cJSON_AddStringToObject(report, "bench", "ring");
    err = scratch_make(RINGS_PARENT, rings_dir);
    if (err)
        fprintf(stderr, "ehring-bench: cannot make a directory in %s: %s\n", RINGS_PARENT, strerror(-err));
    else
        err = make_disk_dir(&options, disk_dir);
    if (!err)
        err = run(&options, rings_dir, disk_dir[0] ? disk_dir : NULL, cJSON_AddArrayToObject(report, "rows"));
    if (!err && options.json_path)
        err = machine_write_report(options.json_path, report, argc, argv);
    scratch_remove(rings_dir);
    scratch_remove(disk_dir);
    cJSON_Delete(report);
    return err ? 1 : 0;
}

static int read_options(int argc, char *argv[], struct ring_options *options)
{
    static const struct option names[] = {
        {"size", required_argument, NULL, 's'},
        {"slices", required_argument, NULL, 'n'},
        {"ring-bytes", required_argument, NULL, 'r'},
        {"l2-ring-bytes", required_argument, NULL, 'l'},
        {"pass-us", required_argument, NULL, 'p'},
        {"disk", required_argument, NULL, 'd'},
        {"json", required_argument, NULL, 'j'},
        {"help", no_argument, NULL, 'h'},
        {0},
    };
    int option, err = 0;

    *options = (struct ring_options){.slices = 101, .near_bytes = quarter_of_l2(), .far_bytes = UINT64_C(8) << 20, .pass_us = 100};
    while (!err && (option = getopt_long(argc, argv, "", names, NULL)) != -1) {
        if (option == 's' && options->size_count == SIZES_MAX)
            err = -E2BIG;
        else if (option == 's')
            err = options_number("--size", optarg, 16, 65536, &options->size[options->size_count++]);
        else if (option == 'n')
            err = options_number("--slices", optarg, 1, MEASURE_SLICES_MAX, &options->slices);
        else if (option == 'r')
            err = options_number("--ring-bytes", optarg, RING_CAPACITY_MIN, UINT64_C(1) << 30, &options->far_bytes);
        else if (option == 'l')
            err = options_number("--l2-ring-bytes", optarg, RING_CAPACITY_MIN, UINT64_C(1) << 30, &options->near_bytes);
        else if (option == 'p')
            err = options_number("--pass-us", optarg, 0, 1000000, &options->pass_us);
        else if (option == 'd')
            options->disk_parent = optarg;
        else if (option == 'j')
            options->json_path = optarg;
        else if (option == 'h') {
            fputs(usage, stdout);
            return 0;
        } else
            err = -EINVAL;
    }
    if (err || optind != argc) {
        fputs(usage, stderr);
        return 2;
    }
    if (options->size_count == 0) {
        memcpy(options->size, (const uint64_t[]){64, 256, 1024}, 3 * sizeof(uint64_t));
        options->size_count = 3;
    }
    return BENCH_GO_ON;
}

/* Empty: no disk here. One that was named must be one. */
static int make_disk_dir(const struct ring_options *options, char disk_dir[SCRATCH_PATH_BYTES])
{
    static const char *const usual[] = {"/var/tmp", "/tmp"};
    int err;

    if (!options->disk_parent) {
        for (size_t i = 0; i < sizeof(usual) / sizeof(usual[0]) && !disk_dir[0]; i++)
            if (scratch_is_disk(usual[i]))
                (void)scratch_make(usual[i], disk_dir);
        return 0;
    }
    err = scratch_is_disk(options->disk_parent) ? scratch_make(options->disk_parent, disk_dir) : -ENOTBLK;
    if (err)
        fprintf(stderr, "ehring-bench: --disk %s: %s\n", options->disk_parent, err == -ENOTBLK ? "is not on a disk" : strerror(-err));
    return err;
}

static uint64_t quarter_of_l2(void)
{
    uint64_t bytes = RING_CAPACITY_MIN;

    while (bytes * 2 <= machine_l2_bytes() / 4)
        bytes *= 2;
    return bytes;
}

static int run(const struct ring_options *options, const char *rings_dir, const char *disk_dir, cJSON *rows)
{
    struct drain *drain = NULL;
    int err;

    print_method(options);
    err = drain_open((uint32_t)options->pass_us, &drain);
    for (uint32_t i = 0; i < options->size_count && !err; i++)
        err = run_size(options, rings_dir, disk_dir, (size_t)options->size[i], drain, rows);
    drain_close(drain);
    return err;
}

static int run_size(const struct ring_options *options, const char *rings_dir, const char *disk_dir, size_t size, struct drain *drain,
                    cJSON *rows)
{
    struct measure_series *series = calloc(lab_row_count, sizeof(*series));
    struct lab lab = {0};
    int err;

    if (!series)
        return -ENOMEM;
    err = lab_open(&lab, rings_dir, disk_dir, size, options->near_bytes, options->far_bytes, drain);
    if (!err)
        err = measure_rows(&lab, (uint32_t)options->slices, series);
    if (!err)
        print_rows(&lab, series, rows);
    else if (err != -EINTR)
        fprintf(stderr, "ehring-bench: %zu B: %s\n", size, ehring_error_text(err));
    lab_close(&lab);
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

static void print_method(const struct ring_options *options)
{
    int pinned;

    machine_print(stdout); /* counts the cores: before this thread has but one */
    pinned = measure_pin(MEASURE_CORE_WRITER);
    printf("ns per event, %llu slices of each row in turn; the payload is in the L1 cache; writes are timed, freeing and waiting for room "
           "are not.\n"
           "Draining: a thread on another core walks, copies out and acks in passes %llu us apart; its floor is the memcpy that is read "
           "there too.\n"
           "On a disk: what the first write to a page after its writeback costs is in it; a thread on the other core syncs (EHRING_SYNC).\n"
           "Peers: writes into an emptied buffer, nobody to be woken.\n",
           (unsigned long long)options->slices, (unsigned long long)options->pass_us);
    if (pinned)
        printf("Not pinned (%s): rows with a draining lane measure the scheduler too.\n", strerror(-pinned));
}

static void print_rows(const struct lab *lab, const struct measure_series *series, cJSON *rows)
{
    printf("\n%6zu B  %-30s %8s %9s %9s %8s %9s\n", lab->len, "", "buffer", "median", "min", "x floor", "target");
    for (uint32_t row = 0; row < lab_row_count; row++)
        print_row(lab, row, series, rows);
    fflush(stdout);
}

static void print_row(const struct lab *lab, uint32_t row, const struct measure_series *series, cJSON *rows)
{
    const struct lab_row *what = &lab_rows[row];
    double median = measure_median(&series[row]), ratio = median / measure_median(&series[what->floor]);
    double target = what->limit_of < 0 ? NAN : what->limit_factor * measure_median(&series[what->limit_of]) + what->limit_plus_ns;
    char place[32] = "-", limit[48] = "";
    cJSON *json = cJSON_CreateObject();

    if (what->kind != LAB_PEER)
        print_bytes(place, sizeof(place), lab->capacity[what->place]);
    if (what->limit_of >= 0)
        snprintf(limit, sizeof(limit), "%9.2f %s", target, median <= target ? "reached" : "missed");
    if (series[row].count)
        printf("          %-30s %8s %9.2f %9.2f %8.2f %s\n", what->name, place, median, measure_min(&series[row]), ratio, limit);
    else
        printf("          %-30s %8s %9s %9s %8s (%s)\n", what->name, place, "-", "-", "-",
               what->kind == LAB_PEER ? strerror(-lab->peer_err[what->peer]) : "no disk here");
    cJSON_AddNumberToObject(json, "size", (double)lab->len);
    cJSON_AddStringToObject(json, "name", what->name);
    if (what->kind != LAB_PEER)
        cJSON_AddNumberToObject(json, "buffer_bytes", (double)lab->capacity[what->place]);
    if (series[row].count) {
        cJSON_AddNumberToObject(json, "median_ns", median);
        cJSON_AddNumberToObject(json, "min_ns", measure_min(&series[row]));
        cJSON_AddNumberToObject(json, "floor_ratio", ratio);
    }
    if (what->limit_of >= 0)
        cJSON_AddNumberToObject(json, "target_ns", target);
    cJSON_AddItemToArray(rows, json);
}

static void print_bytes(char *text, size_t text_len, uint64_t bytes)
{
    if (bytes % (UINT64_C(1) << 20) == 0)
        snprintf(text, text_len, "%llu MiB", (unsigned long long)(bytes >> 20));
    else
        snprintf(text, text_len, "%llu KiB", (unsigned long long)(bytes >> 10));
}
