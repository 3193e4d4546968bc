/* `ehring-bench ring`: what a ring costs the application, beside the floor and other ways out of the process. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "bench/bench.h"
#include "bench/machine.h"
#include "bench/measure.h"
#include "bench/options.h"
#include "bench/ring_mode.h"
#include "bench/scratch.h"
#include "ringbuf/ring_layout.h"

#define RINGS_PARENT "/dev/shm"
#define THREADS_MAX 8u

static const char usage[] =
    "usage: ehring-bench ring [OPTION]...\n"
    "What a ring costs the application that writes it. --mode:\n"
    "  write    ns per event of ehring_send() in memory and on a disk, of memcpy, and of other ways out of the process\n"
    "  lanes    the same while 1 to 4 lanes drain the ring\n"
    "  rings    1 to 8 producers with a ring each, alone and drained\n"
    "  latency  one publish at a steady rate: p50, p99, p99.9, max, of the call and from the time at which it was due,\n"
    "           and of a memcpy beside it\n"
    "  oneway   the same rates: from before the publish to a reader on another core that looks all the time\n"
    "  laps     a new ring: its first lap against later ones\n"
    "  steps    what ehring_send() adds to a memcpy, one thing after the other\n"
    "Options:\n"
    "  --mode MODE            default write\n"
    "  --size BYTES           payload, 16 to 64K; may be repeated; default 256, for write and steps 64, 256 and 1024\n"
    "  --slices N             slices of each row, taken in turn; default 101\n"
    "  --ring-bytes BYTES     the larger ring; default 8M\n"
    "  --l2-ring-bytes BYTES  the ring that stays in the L2 cache; default a quarter of that cache\n"
    "  --pass-us N            pause between two passes of a draining lane; default 100\n"
    "  --lanes N              of mode lanes, 1 to 8; may be repeated; default 1, 2, 3, 4\n"
    "  --rings N              of mode rings, 1 to 8; may be repeated; default 1, 2, 4, 8\n"
    "  --rate N               events per second of latency and oneway; may be repeated; default 10000, 100000, 1000000\n"
    "  --milliseconds N       for each rate; default 2000\n"
    "  --disk DIR             where rings lie on a disk; default /var/tmp or /tmp, whichever is one\n"
    "  --json FILE            write the figures to FILE too\n";

static const char *const mode_names[] = {"write", "lanes", "rings", "latency", "oneway", "laps", "steps", NULL};
static int (*const mode_runs[])(const struct ring_run *run) = {mode_write_run,  mode_lanes_run, mode_rings_run, mode_latency_run,
                                                               mode_oneway_run, mode_laps_run,  mode_steps_run};

static int read_options(int argc, char *argv[], struct ring_run *run);
static int set_option(int option, const char *text, struct ring_run *run);
static int add_to_list(struct ring_mode_list *list, const char *name, const char *text, uint64_t min, uint64_t max);
static void set_default(struct ring_mode_list *list, const uint64_t *values, uint32_t count);
static int make_disk_dir(const struct ring_run *run, char disk_dir[SCRATCH_PATH_BYTES]);
static uint64_t quarter_of_l2(void);

int bench_ring(int argc, char *argv[])
{
    char rings_dir[SCRATCH_PATH_BYTES] = "", disk_dir[SCRATCH_PATH_BYTES] = "";
    struct ring_run run;
    int err, status;

    status = read_options(argc, argv, &run);
    if (status != BENCH_GO_ON)
        return status;
    scratch_catch_signals();
    run.result = result_open();
    err = run.result ? result_begin_command(run.result, argc, argv) : -ENOMEM;
    if (!err)
        err = scratch_make(RINGS_PARENT, rings_dir);
    if (err)
        fprintf(stderr, "ehring-bench: cannot make a directory in %s: %s\n", RINGS_PARENT, strerror(-err));
    else
        err = make_disk_dir(&run, disk_dir);
    run.rings_dir = rings_dir;
    run.disk_dir = disk_dir[0] ? disk_dir : NULL;
    if (!err) {
        machine_print(stdout); /* counts the cores: before a thread has but one */
        err = mode_runs[run.mode](&run);
    }
    if (!err && run.json_path)
        err = result_write(run.result, run.json_path);
    scratch_remove(rings_dir);
    scratch_remove(disk_dir);
    result_close(run.result);
    return err ? 1 : 0;
}

static int read_options(int argc, char *argv[], struct ring_run *run)
{
    static const struct option names[] = {
        {"mode", required_argument, NULL, 'm'},
        {"size", required_argument, NULL, 's'},
        {"slices", required_argument, NULL, 'n'},
        {"ring-bytes", required_argument, NULL, 'r'},
        {"l2-ring-bytes", required_argument, NULL, 'l'},
        {"pass-us", required_argument, NULL, 'p'},
        {"lanes", required_argument, NULL, 'L'},
        {"rings", required_argument, NULL, 'R'},
        {"rate", required_argument, NULL, 'e'},
        {"milliseconds", required_argument, NULL, 't'},
        {"disk", required_argument, NULL, 'd'},
        {"json", required_argument, NULL, 'j'},
        {"help", no_argument, NULL, 'h'},
        {0},
    };
    int option, err = 0;

    *run = (struct ring_run){
        .slices = 101, .near_bytes = quarter_of_l2(), .far_bytes = UINT64_C(8) << 20, .pass_us = 100, .milliseconds = 2000};
    while (!err && (option = getopt_long(argc, argv, "", names, NULL)) != -1) {
        if (option == 'h') {
            fputs(usage, stdout);
            return 0;
        }
        err = set_option(option, optarg, run);
    }
    if (err || optind != argc) {
        fputs("ehring-bench ring --help lists the options\n", stderr);
        return 2;
    }
    if (mode_runs[run->mode] == mode_write_run || mode_runs[run->mode] == mode_steps_run)
        set_default(&run->size, (const uint64_t[]){64, 256, 1024}, 3);
    set_default(&run->size, (const uint64_t[]){256}, 1);
    set_default(&run->lanes, (const uint64_t[]){1, 2, 3, 4}, 4);
    set_default(&run->rings, (const uint64_t[]){1, 2, 4, 8}, 4);
    set_default(&run->rate, (const uint64_t[]){10000, 100000, 1000000}, 3);
    return BENCH_GO_ON;
}

static int set_option(int option, const char *text, struct ring_run *run)
{
    switch (option) {
    case 'm':
        return options_choice("--mode", text, mode_names, &run->mode);
    case 's':
        return add_to_list(&run->size, "--size", text, 16, 65536);
    case 'n':
        return options_number("--slices", text, 1, MEASURE_SLICES_MAX, &run->slices);
    case 'r':
        return options_number("--ring-bytes", text, RING_CAPACITY_MIN, UINT64_C(1) << 30, &run->far_bytes);
    case 'l':
        return options_number("--l2-ring-bytes", text, RING_CAPACITY_MIN, UINT64_C(1) << 30, &run->near_bytes);
    case 'p':
        return options_number("--pass-us", text, 0, 1000000, &run->pass_us);
    case 'L':
        return add_to_list(&run->lanes, "--lanes", text, 1, THREADS_MAX);
    case 'R':
        return add_to_list(&run->rings, "--rings", text, 1, THREADS_MAX);
    case 'e':
        return add_to_list(&run->rate, "--rate", text, 1000, 10000000);
    case 't':
        return options_number("--milliseconds", text, 10, 3600000, &run->milliseconds);
    case 'd':
        run->disk_parent = text;
        return 0;
    case 'j':
        run->json_path = text;
        return 0;
    default:
        return -EINVAL;
    }
}

static int add_to_list(struct ring_mode_list *list, const char *name, const char *text, uint64_t min, uint64_t max)
{
    if (list->count == RING_MODE_LIST_MAX) {
        fprintf(stderr, "ehring-bench: %s %s: may be given %u times\n", name, text, RING_MODE_LIST_MAX);
        return -E2BIG;
    }
    return options_number(name, text, min, max, &list->value[list->count++]);
}

static void set_default(struct ring_mode_list *list, const uint64_t *values, uint32_t count)
{
    if (list->count > 0)
        return;
    memcpy(list->value, values, count * sizeof(*values));
    list->count = count;
}

/* Empty: no disk here. One that was named must be one. */
static int make_disk_dir(const struct ring_run *run, char disk_dir[SCRATCH_PATH_BYTES])
{
    static const char *const usual[] = {"/var/tmp", "/tmp"};
    int err;

    if (!run->disk_parent) {
        for (size_t i = 0; i < sizeof(usual) / sizeof(usual[0]) && !disk_dir[0]; i++)
            if (scratch_is_disk(usual[i]))
                (void)scratch_make(usual[i], disk_dir);
        return 0;
    }
    err = scratch_is_disk(run->disk_parent) ? scratch_make(run->disk_parent, disk_dir) : -ENOTBLK;
    if (err)
        fprintf(stderr, "ehring-bench: --disk %s: %s\n", run->disk_parent, err == -ENOTBLK ? "is not on a disk" : strerror(-err));
    return err;
}

static uint64_t quarter_of_l2(void)
{
    uint64_t bytes = RING_CAPACITY_MIN;

    while (bytes * 2 <= machine_l2_bytes() / 4)
        bytes *= 2;
    return bytes;
}
