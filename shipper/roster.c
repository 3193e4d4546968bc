/* The streams of a running shipper: opened, given another setup, let go. Main thread. */
#include "shipper/roster.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ringbuf/ring_order.h"
#include "shipper/clock.h"
#include "shipper/log.h"
#include "shipper/worker.h"

#define OPEN_AGAIN_NS (10 * CLOCK_NS_PER_SECOND)

static int slot_open(struct roster *roster, const struct config_stream *config, struct stream **out, char *why, size_t why_len);
static void stream_begin(struct roster *roster, const struct config_stream *config);
static void stream_step(struct roster *roster, struct stream *stream);
static bool name_is_taken(const struct roster *roster, const char *name);
static void post_all(const struct roster *roster, struct worker_message message);

int roster_open(struct roster *roster, const struct config *config, char *why, size_t why_len)
{
    struct stream *ignored;
    int rc = 0;
    for (uint32_t s = 0; rc == 0 && s < config->stream_count; s++)
        rc = slot_open(roster, &config->stream[s], &ignored, why, why_len);
    return rc;
}

void roster_close(struct roster *roster)
{
    for (uint32_t s = 0; roster->stream && s < CONFIG_STREAMS_MAX; s++)
        if (roster->stream[s].state != STREAM_CLOSED)
            stream_close(&roster->stream[s]);
}

struct stream *roster_find(const struct roster *roster, const char *name)
{
    for (uint32_t s = 0; s < CONFIG_STREAMS_MAX; s++)
        if (roster->stream[s].state == STREAM_OPEN && strcmp(roster->stream[s].name, name) == 0)
            return &roster->stream[s];
    return NULL;
}

/* Of another hub the rings come back first: no worker sends under the old hub's partitions to the new one. */
void roster_change(struct roster *roster, struct stream *stream, struct setup *setup, enum config_effect effect)
{
    stream_set_setup(stream, setup);
    if (effect >= CONFIG_NEW_HUB)
        discover_stream_reattach(roster->discover, stream);
    for (uint32_t w = 0; w < roster->worker_count; w++)
        worker_post(
            &roster->worker[w],
            (struct worker_message){.kind = WORKER_STREAM_SETUP, .stream = stream->index, .setup = setup_take(setup), .effect = effect});
}

void roster_leave(struct roster *roster, struct stream *stream)
{
    stream->state = STREAM_LEAVING;
    discover_stream_leave(roster->discover, stream);
}

void roster_hurry(struct roster *roster)
{
    roster->open_at_ns = 0;
}

void roster_step(struct roster *roster, const struct config *config, int64_t now_ns)
{
    for (uint32_t s = 0; s < CONFIG_STREAMS_MAX; s++)
        stream_step(roster, &roster->stream[s]);
    if (now_ns < roster->open_at_ns)
        return;
    roster->open_at_ns = now_ns + OPEN_AGAIN_NS;
    for (uint32_t s = 0; s < config->stream_count; s++)
        if (!name_is_taken(roster, config->stream[s].name))
            stream_begin(roster, &config->stream[s]);
}

static void stream_step(struct roster *roster, struct stream *stream)
{
    switch (stream->state) {
    case STREAM_CLOSED:
    case STREAM_OPEN:
        return;
    case STREAM_LEAVING:
        if (discover_has_rings_of(roster->discover, stream))
            return;
        stream->state = STREAM_CLOSING;
        post_all(roster, (struct worker_message){.kind = WORKER_STREAM_CLOSE, .stream = stream->index});
        return;
    case STREAM_CLOSING:
        if (order_count_load(&stream->users) > 0)
            return;
        stream_close(stream);
        log_line(LOG_INFO, "stream", "stream was let go: another shipper may take it", "stream=%s", stream->name);
        roster->open_at_ns = 0; /* it, or one that found no room, may be wanted again */
        return;
    }
}

/* A stream that leaves has its name until its lock is released. */
static bool name_is_taken(const struct roster *roster, const char *name)
{
    for (uint32_t s = 0; s < CONFIG_STREAMS_MAX; s++)
        if (roster->stream[s].state != STREAM_CLOSED && strcmp(roster->stream[s].name, name) == 0)
            return true;
    return false;
}

static int slot_open(struct roster *roster, const struct config_stream *config, struct stream **out, char *why, size_t why_len)
{
    for (uint32_t s = 0; s < CONFIG_STREAMS_MAX; s++) {
        *out = &roster->stream[s];
        if ((*out)->state != STREAM_CLOSED)
            continue;
        int rc = stream_open(roster->rings, config, s, roster->main_fd, *out, why, why_len);
        if (rc == 0)
            order_count_add(&(*out)->users, (int32_t)roster->worker_count);
        return rc;
    }
    snprintf(why, why_len, "%d streams are open, some of them until they have left", CONFIG_STREAMS_MAX);
    return -EMFILE;
}

/* While the workers run: all of them get their part of it, or none. */
static void stream_begin(struct roster *roster, const struct config_stream *config)
{
    struct worker_stream *ws[CONFIG_WORKERS_MAX] = {0};
    struct stream *stream;
    char why[500] = "", quoted[600];
    int rc = slot_open(roster, config, &stream, why, sizeof why);
    bool is_open = rc == 0;
    for (uint32_t w = 0; rc == 0 && w < roster->worker_count; w++)
        if (!(ws[w] = worker_stream_make(&roster->worker[w], stream))) {
            snprintf(why, sizeof why, "out of memory");
            rc = -ENOMEM;
        }
    if (rc != 0) {
        log_line(LOG_ERROR, "stream", "a stream cannot be opened, it is tried again", "stream=%s retry_seconds=%lld reason=%s",
                 config->name, (long long)(OPEN_AGAIN_NS / CLOCK_NS_PER_SECOND), log_quote(quoted, sizeof quoted, why));
        for (uint32_t w = 0; w < roster->worker_count; w++)
            worker_stream_free(ws[w]);
        if (is_open)
            stream_close(stream);
        return;
    }
    for (uint32_t w = 0; w < roster->worker_count; w++)
        worker_post(&roster->worker[w], (struct worker_message){.kind = WORKER_STREAM_OPEN, .ws = ws[w]});
    discover_stream_add(roster->discover, stream);
    log_line(LOG_INFO, "stream", "stream is open", "stream=%s dir=%s", stream->name, stream->dir);
}

static void post_all(const struct roster *roster, struct worker_message message)
{
    for (uint32_t w = 0; w < roster->worker_count; w++)
        worker_post(&roster->worker[w], message);
}
