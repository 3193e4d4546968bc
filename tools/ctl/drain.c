/* ehring-ctl drain: waits until all that is committed at the moment of the call is settled. Looks at the rings and writes nothing. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ctl.h"
#include "drain_rings.h"
#include "drainer.h"
#include "options.h"
#include "print.h"

static const char help[] =
    "usage: ehring-ctl drain --deadline SECONDS [--rings DIR] [--stream NAME]\n"
    "\n"
    "Waits until every event that is committed now is settled: accepted by the service, or put away by the shipper. What\n"
    "producers write meanwhile is not waited for.\n"
    "\n"
    "  --deadline SECONDS  how long; also 90s, 10m, 1h; 0: only looks\n"
    "  --rings DIR         default: $EHRING_RINGS, else /dev/shm/ehring\n"
    "  --stream NAME       this stream alone\n"
    "  --help              this text\n"
    "\n"
    "Exit status: 0 drained, 1 not in time (what is left is named, ring by ring), 2 wrong usage,\n"
    "3 nobody can tell, or nobody does it: no shipper drains the stream (said at once), a ring that is unreadable, in quarantine,\n"
    "or was removed before its end.\n";

enum { POLL_MS_MIN = 5, POLL_MS_MAX = 200, SHOW_EVERY_MS = 1000 };

struct drain {
    const char *rings_dir, *stream;
    int64_t deadline_ns; /* CLOCK_MONOTONIC */
    struct drain_rings rings;
    bool shown; /* stderr is a terminal */
};

static int read_options(struct drain *drain, int argc, char **argv);
static bool have_drainers(const struct drain *drain);
static void wake_all(const struct drain *drain);
static void wait_all(struct drain *drain);
static void show(const struct drain *drain);
static int report(const struct drain *drain);
static bool is_first_waiting(const struct drain_rings *rings, size_t index);
static int64_t now_ns(void);

int drain_run(int argc, char **argv)
{
    struct drain drain = {.rings_dir = option_rings_dir(NULL), .deadline_ns = -1, .shown = isatty(STDERR_FILENO)};
    int status = read_options(&drain, argc, argv);

    if (status != 0)
        return status == 1 ? 0 : status;
    status = drain_rings_open(&drain.rings, drain.rings_dir, drain.stream) == 0 ? 0 : 3;
    if (status == 0 && drain.rings.waiting_count > 0 && !have_drainers(&drain))
        status = 3;
    if (status == 0 && drain.rings.waiting_count > 0)
        wait_all(&drain);
    int reported = report(&drain);
    drain_rings_close(&drain.rings);
    return status ? status : reported;
}

/* 0: go on; 1: help was shown; 2 after a message on stderr. */
static int read_options(struct drain *drain, int argc, char **argv)
{
    static const struct option long_options[] = {{"deadline", required_argument, NULL, 'd'},
                                                 {"rings", required_argument, NULL, 'r'},
                                                 {"stream", required_argument, NULL, 's'},
                                                 {"help", no_argument, NULL, 'h'},
                                                 {NULL, 0, NULL, 0}};
    int64_t wait_ns;
    int letter;

    while ((letter = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        switch (letter) {
        case 'd':
            if (!option_duration(optarg, &wait_ns))
                return option_wrong("--deadline is like 30, 90s or 10m, not %s", optarg);
            drain->deadline_ns = now_ns() + wait_ns;
            break;
        case 'r':
            drain->rings_dir = optarg;
            break;
        case 's':
            drain->stream = optarg;
            break;
        case 'h':
            return fputs(help, stdout) < 0 ? 2 : 1;
        default:
            return 2;
        }
    }
    if (option_rest(argc, argv) != 0)
        return 2;
    if (drain->stream && !option_is_name(drain->stream))
        return option_wrong("--stream is the name of a directory, not %s", drain->stream);
    return drain->deadline_ns < 0 ? option_wrong("--deadline is missing") : 0;
}

/* False if a stream with something left has nobody who drains it; each is named. */
static bool have_drainers(const struct drain *drain)
{
    bool all = true;
    char why[4400];

    for (size_t i = 0; i < drain->rings.count; i++) {
        if (!is_first_waiting(&drain->rings, i) ||
            drainer_look(drain->rings_dir, drain->rings.ring[i].stream, why, sizeof(why)) == DRAINER_LIVES)
            continue;
        fprintf(stderr, "ehring-ctl: %s\n", why);
        all = false;
    }
    return all;
}

static void wake_all(const struct drain *drain)
{
    for (size_t i = 0; i < drain->rings.count; i++)
        if (is_first_waiting(&drain->rings, i))
            drainer_wake(drain->rings_dir, drain->rings.ring[i].stream);
}

/* The only place that waits. A shipper that ends meanwhile may be on its way back: the deadline decides. */
static void wait_all(struct drain *drain)
{
    int poll_ms = POLL_MS_MIN, since_shown_ms = SHOW_EVERY_MS;

    for (;;) {
        if (since_shown_ms >= SHOW_EVERY_MS) {
            wake_all(drain);
            show(drain);
            since_shown_ms = 0;
        }
        int64_t left_ns = drain->deadline_ns - now_ns();
        drain_rings_look(&drain->rings);
        if (drain->rings.waiting_count == 0 || left_ns <= 0)
            break;
        int64_t step_ns = poll_ms * INT64_C(1000000) < left_ns ? poll_ms * INT64_C(1000000) : left_ns;
        nanosleep(&(struct timespec){.tv_sec = step_ns / 1000000000, .tv_nsec = step_ns % 1000000000}, NULL);
        since_shown_ms += poll_ms;
        poll_ms = poll_ms * 2 < POLL_MS_MAX ? poll_ms * 2 : POLL_MS_MAX;
    }
    if (drain->shown)
        fputs("\r\033[K", stderr);
}

static void show(const struct drain *drain)
{
    char text[PRINT_SIZE_BYTES];

    if (drain->shown)
        fprintf(stderr, "\r%zu of %zu rings, %s left\033[K", drain->rings.waiting_count, drain->rings.count,
                print_size(drain_rings_left(&drain->rings), text));
}

/* 0, 1 or 3. What nobody can tell is worse than what is late: waiting longer does not help it. */
static int report(const struct drain *drain)
{
    const struct drain_rings *rings = &drain->rings;
    size_t late = 0, unknown = rings->unreadable_count;
    char text[PRINT_SIZE_BYTES], why[4400];

    for (size_t i = 0; i < rings->count; i++) {
        const struct drain_ring *ring = &rings->ring[i];
        switch (ring->state) {
        case DRAIN_SETTLED:
            continue;
        case DRAIN_WAITING:
            late++;
            printf("%s/%s: %s left (%" PRIu64 " bytes)\n", ring->stream, ring->name, print_size(drain_ring_left(ring), text),
                   drain_ring_left(ring));
            break;
        case DRAIN_UNKNOWN:
            unknown++;
            printf("%s/%s: %s\n", ring->stream, ring->name, ring->why);
            break;
        }
    }
    for (size_t i = 0; i < rings->count; i++)
        if (is_first_waiting(rings, i) && drainer_look(drain->rings_dir, rings->ring[i].stream, why, sizeof(why)) != DRAINER_LIVES)
            printf("%s\n", why);
    printf("%zu rings: %zu drained, %zu not in time, %zu that nobody can tell\n", rings->count + rings->unreadable_count,
           rings->count + rings->unreadable_count - late - unknown, late, unknown);
    return unknown > 0 ? 3 : late > 0;
}

static bool is_first_waiting(const struct drain_rings *rings, size_t index)
{
    if (rings->ring[index].state != DRAIN_WAITING)
        return false;
    for (size_t i = 0; i < index; i++)
        if (rings->ring[i].state == DRAIN_WAITING && strcmp(rings->ring[i].stream, rings->ring[index].stream) == 0)
            return false;
    return true;
}

static int64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * OPTION_NS_PER_SECOND + now.tv_nsec;
}
