/* What a person sees while events are sent. */
#include "progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "pace.h"

enum { LOOK_EVERY_EVENTS = 256 };
static const int64_t show_every_ns = 250000000;

static const char *bytes_text(uint64_t bytes, char text[32]);

void progress_start(struct progress *progress)
{
    *progress = (struct progress){.shown = isatty(STDERR_FILENO), .start_ns = pace_now_ns()};
    progress->last_ns = progress->start_ns;
}

bool progress_due(struct progress *progress)
{
    if (!progress->shown)
        return false;
    /* the clock is looked at for every event of a slow run and for a few of a fast one */
    if (progress->events - progress->last_events > LOOK_EVERY_EVENTS && progress->events % LOOK_EVERY_EVENTS != 0)
        return false;
    return pace_now_ns() - progress->last_ns >= show_every_ns;
}

void progress_show(struct progress *progress)
{
    int64_t now = pace_now_ns();
    double seconds = (double)(now - progress->last_ns) / 1e9;
    char sent[32], lag[32];

    fprintf(stderr, "\r%" PRIu64 " events, %s, %.0f events/s, lag %s\033[K", progress->events, bytes_text(progress->bytes, sent),
            seconds > 0 ? (double)(progress->events - progress->last_events) / seconds : 0.0, bytes_text(progress->lag_bytes, lag));
    progress->last_ns = now;
    progress->last_events = progress->events;
}

void progress_end(struct progress *progress, const char *outcome)
{
    double seconds = (double)(pace_now_ns() - progress->start_ns) / 1e9;
    char sent[32];

    if (progress->shown)
        fputs("\r\033[K", stderr);
    fprintf(stderr, "ehring-send: %" PRIu64 " events, %s, %.2f s, %.0f events/s", progress->events, bytes_text(progress->bytes, sent),
            seconds, seconds > 0 ? (double)progress->events / seconds : 0.0);
    if (progress->refused > 0)
        fprintf(stderr, ", %" PRIu64 " refused", progress->refused);
    if (progress->without_key > 0)
        fprintf(stderr, ", %" PRIu64 " without a key", progress->without_key);
    fprintf(stderr, ": %s\n", outcome);
}

static const char *bytes_text(uint64_t bytes, char text[32])
{
    if (bytes < 10000)
        snprintf(text, 32, "%" PRIu64 " bytes", bytes);
    else if (bytes < 10000000)
        snprintf(text, 32, "%.1f kB", (double)bytes / 1e3);
    else
        snprintf(text, 32, "%.1f MB", (double)bytes / 1e6);
    return text;
}
