/* Events into a ring of their stream. */
#include "replay_ring.h"

#include <stdio.h>

#include "drainer.h"

enum { WAIT_STEP_MS = 500, STEPS_AFTER_STOP = 10 }; /* what is on its way when a signal comes is mostly accepted soon */

static int wait_steps(const struct replay_ring *out);

int replay_ring_open(struct replay_ring *out, const struct replay_options *options, const volatile sig_atomic_t *stop)
{
    struct ehring_options open = {.stream = options->dead.stream,
                                  .rings_dir = options->rings_dir,
                                  .name = "ehring-ctl-replay",
                                  .capacity_bytes = options->capacity_bytes,
                                  .full = EHRING_FULL_WAIT,
                                  .wait_ms = WAIT_STEP_MS};
    char why[300];

    *out = (struct replay_ring){.stop = stop, .timeout_ms = options->timeout_ms};
    if (drainer_look(options->rings_dir, options->dead.stream, why, sizeof(why)) != DRAINER_LIVES) {
        fprintf(stderr, "ehring-ctl: %s: start it, or replay with --direct\n", why);
        return -1;
    }
    if (ehring_open(&open, &out->ring) == 0)
        return 0;
    fprintf(stderr, "ehring-ctl: %s\n", ehring_open_error());
    return -1;
}

/* What is in the ring stays there for the shipper. */
void replay_ring_close(struct replay_ring *out)
{
    ehring_close(out->ring);
    out->ring = NULL;
}

int replay_ring_send(struct replay_ring *out, const struct ehring_event *event, const char **why)
{
    int err = EHRING_E_TIMED_OUT;

    for (int step = 0; err == EHRING_E_TIMED_OUT && step != wait_steps(out) && !*out->stop; step++)
        err = ehring_send_event(out->ring, event);
    if (err == 0)
        return 0;
    *why = *out->stop ? "stopped by a signal" : ehring_error_text(err);
    switch (err) {
    case EHRING_E_EVENT_TOO_LARGE:
    case EHRING_E_RING_TOO_SMALL:
    case EHRING_E_KEY_NOT_UTF8:
    case EHRING_E_KEY_TOO_LONG:
    case EHRING_E_KEY_AND_PARTITION:
    case EHRING_E_PARTITION_ID:
    case EHRING_E_PROPERTY:
    case EHRING_E_TEXT_NOT_UTF8:
    case EHRING_E_META_TOO_LARGE:
    case EHRING_E_INVALID:
        return 1;
    }
    return -1;
}

int replay_ring_settle(struct replay_ring *out, const char **why)
{
    struct ehring_stats stats;
    int err = EHRING_E_TIMED_OUT;

    for (int step = 0, after = 0; err == EHRING_E_TIMED_OUT && step != wait_steps(out) && after < STEPS_AFTER_STOP; step++) {
        err = ehring_flush(out->ring, WAIT_STEP_MS, NULL);
        after += *out->stop != 0;
    }
    if (err) {
        *why = *out->stop ? "stopped by a signal before they were accepted" : "not accepted in time; they stay in the ring for the shipper";
        return -1;
    }
    ehring_read_stats(out->ring, &stats);
    if (stats.abandoned_events != out->abandoned) {
        *why = "the shipper has given some of them up";
        return -1;
    }
    return 0;
}

uint64_t replay_ring_returned(struct replay_ring *out)
{
    struct ehring_stats stats;

    if (ehring_read_stats(out->ring, &stats) != 0)
        return 0;
    uint64_t more = stats.dead_lettered_events - out->dead_lettered;
    out->dead_lettered = stats.dead_lettered_events;
    return more;
}

/* A wait is divided into so many, for a signal to end it; negative: without end. */
static int wait_steps(const struct replay_ring *out)
{
    return out->timeout_ms < 0 ? -1 : (int)((out->timeout_ms + WAIT_STEP_MS - 1) / WAIT_STEP_MS);
}
