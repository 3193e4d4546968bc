/* Dead letters of a worker: which events are to become one, their text from the rings, and the settlement once it is on the disk. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ringbuf/ring_order.h"
#include "ringbuf/ring_route.h"
#include "shipper/backoff.h"
#include "shipper/clock.h"
#include "shipper/log.h"
#include "shipper/worker_internal.h"

#define LETTER_TEXT_BYTES (UINT64_C(1) << 20) /* a job is not added to beyond */
#define AGE_CHECK_NS_MAX CLOCK_NS_PER_SECOND
#define AGE_CHECK_NS_MIN (10 * CLOCK_NS_PER_MS)

static struct worker_letter *letter_free(struct worker *worker);
static int letter_fill(struct worker *worker, struct worker_stream *ws, struct worker_letter *letter, enum deadletter_reason reason,
                       uint32_t count_max);
static int letter_add(struct worker *worker, struct worker_stream *ws, struct worker_letter *letter, enum deadletter_reason reason,
                      const struct fifo_entry *entry);
static int64_t entry_age_left_ns(const struct worker_stream *ws, const struct fifo_entry *entry);
static void letter_done(struct worker *worker, struct worker_letter *letter, int64_t now_ns);
static void domain_hold(struct worker *worker, struct worker_stream *ws, uint32_t domain, int64_t now_ns);

bool worker_letter_is_due(struct worker *worker, struct worker_stream *ws, uint32_t domain, int64_t now_ns, enum deadletter_reason *reason)
{
    const struct config_stream *config = &ws->setup->config;
    const struct feed_domain *d = &ws->feed.domain[domain];
    struct worker_link *link = &ws->link[domain];
    uint32_t partition = ring_domain_partition(domain), count = order_none_load32(&ws->stream->partition_count);
    if (link->verdict && link->verdict->condemned && feed_suspect_count(&ws->feed, domain) == 0)
        worker_verdict_end(link); /* the ring of what was condemned is gone: what comes next is another event */
    if (link->verdict && link->verdict->condemned) {
        *reason = link->verdict->reason;
        return true;
    }
    if (link->no_partition && partition != RING_PARTITION_NONE && count && partition >= count) {
        *reason = DEADLETTER_NO_PARTITION;
        return true;
    }
    if (config->max_age_seconds == 0)
        return false;
    if (now_ns >= link->age_check_ns) {
        struct fifo_cursor cursor = fifo_first(&d->fifo);
        int64_t left_ns = entry_age_left_ns(ws, fifo_next(&cursor));
        *reason = DEADLETTER_AGE;
        if (left_ns <= 0)
            return true;
        left_ns = left_ns < AGE_CHECK_NS_MIN ? AGE_CHECK_NS_MIN : left_ns;
        link->age_check_ns = now_ns + (left_ns < AGE_CHECK_NS_MAX ? left_ns : AGE_CHECK_NS_MAX);
    }
    worker_timer(worker, link->age_check_ns);
    return false;
}

/* By the latest moment at which it can have been committed: a younger event is never taken for an old one. */
static int64_t entry_age_left_ns(const struct worker_stream *ws, const struct fifo_entry *entry)
{
    static _Thread_local uint8_t meta[RING_META_BYTES_MAX];
    const struct feed_ring *ring = &ws->feed.ring[entry->slot];
    int64_t age_max_ns = ws->setup->config.max_age_seconds * CLOCK_NS_PER_SECOND;
    struct ring_parts parts;
    if (ring->left_out || ring_record_parts(ring->lane.ring, entry->pos, entry->len, &parts, meta, sizeof meta) != 0)
        return age_max_ns; /* whoever takes it next names it */
    int64_t commit_ns = parts.time_ns > 0 ? parts.time_ns : ring_committed_by_ns(ring->lane.ring, entry->pos);
    return commit_ns < ws->feed.wall_ns ? commit_ns + age_max_ns - ws->feed.wall_ns : age_max_ns;
}

bool worker_letter_begin(struct worker *worker, struct worker_stream *ws, uint32_t domain, enum deadletter_reason reason,
                         uint32_t count_max, int64_t now_ns)
{
    struct worker_letter *letter = letter_free(worker);
    if (!letter) {
        worker_timer(worker, now_ns + CLOCK_NS_PER_MS);
        return false;
    }
    letter->batch.domain = domain;
    int rc;
    do /* ends: each round leaves out at least one ring more */
        rc = letter_fill(worker, ws, letter, reason, count_max);
    while (rc == -EAGAIN);
    if (rc != 0) {
        log_line(LOG_ERROR, "deadletter", "a dead letter cannot be made now", "stream=%s domain=%u error=\"%s\"", ws->setup->config.name,
                 domain, strerror(-rc));
        domain_hold(worker, ws, domain, now_ns);
        return false;
    }
    feed_take(&ws->feed, domain, letter->batch.taken_count, letter->batch.cover, letter->batch.cover_count);
    if (letter->batch.event_count == 0)
        return true;
    letter->used = true;
    letter->stream = ws->index;
    letter->reason = reason;
    snprintf(letter->job.stream, sizeof letter->job.stream, "%s", ws->setup->config.name);
    letter->job.text = letter->text.text;
    letter->job.len = letter->text.len;
    letter->job.notify_fd = worker->wake_fd;
    deadletter_submit(worker->shared->deadletter, &letter->job);
    return true;
}

static struct worker_letter *letter_free(struct worker *worker)
{
    for (uint32_t i = 0; i < WORKER_LETTERS_MAX; i++)
        if (!worker->letter[i].used)
            return &worker->letter[i];
    return NULL;
}

/* From the list's first entries on, in order. -EAGAIN: a ring was left out, all has to be done again. */
static int letter_fill(struct worker *worker, struct worker_stream *ws, struct worker_letter *letter, enum deadletter_reason reason,
                       uint32_t count_max)
{
    struct fifo_cursor cursor = fifo_first(&ws->feed.domain[letter->batch.domain].fifo);
    deadletter_buf_clear(&letter->text);
    batch_clear(&letter->batch);
    for (const struct fifo_entry *entry;
         letter->batch.event_count < count_max && letter->text.len < LETTER_TEXT_BYTES && (entry = fifo_next(&cursor));) {
        bool is_skipped = ws->feed.ring[entry->slot].left_out;
        if (!is_skipped && reason == DEADLETTER_AGE && entry_age_left_ns(ws, entry) > 0)
            break;
        int rc = is_skipped ? 0 : letter_add(worker, ws, letter, reason, entry);
        if (rc == -EXFULL)
            break;
        if (rc != 0)
            return rc;
        letter->batch.taken_count++;
    }
    return batch_is_faulted(&ws->feed, &letter->batch) ? -EAGAIN : 0;
}

static int letter_add(struct worker *worker, struct worker_stream *ws, struct worker_letter *letter, enum deadletter_reason reason,
                      const struct fifo_entry *entry)
{
    static _Thread_local uint8_t meta[RING_META_BYTES_MAX];
    const struct worker_verdict *verdict = ws->link[letter->batch.domain].verdict;
    const struct ring *ring = ws->feed.ring[entry->slot].lane.ring;
    struct ring_parts parts;
    struct feed_cover *cover = batch_cover(&ws->feed, &letter->batch, entry->slot);
    if (!cover)
        return -EXFULL;
    if (ring_record_parts(ring, entry->pos, entry->len, &parts, meta, sizeof meta) != 0)
        return batch_leave_out(&ws->feed, entry, RING_QUARANTINE_CHANGED);
    if (parts.payload_len > worker->letter_body_cap) {
        uint8_t *body = realloc(worker->letter_body, parts.payload_len);
        if (!body)
            return -ENOMEM;
        worker->letter_body = body;
        worker->letter_body_cap = parts.payload_len;
    }
    if (ring_copy(ring, parts.payload_pos, worker->letter_body, parts.payload_len) != 0)
        return batch_leave_out(&ws->feed, entry, RING_QUARANTINE_CHANGED);
    struct deadletter_event event = {.stream = ws->setup->config.name,
                                     .ring_file = ring_name(ring),
                                     .ring_uuid = ring_header(ring)->uuid,
                                     .pos = entry->pos,
                                     .parts = &parts,
                                     .meta = meta,
                                     .body = parts.payload_len ? worker->letter_body : NULL,
                                     .reason = reason,
                                     .last_ns = ws->feed.wall_ns};
    if (verdict) {
        event.condition = verdict->condition;
        event.description = verdict->description;
        event.attempts = verdict->refused_count;
        event.first_ns = verdict->first_ns;
        event.last_ns = verdict->last_ns;
    }
    int rc = deadletter_format(&letter->text, &event);
    if (rc == -EBADMSG)
        return batch_leave_out(&ws->feed, entry, RING_QUARANTINE_BAD_META);
    if (rc == 0)
        batch_count(&letter->batch, cover, entry, parts.payload_len);
    return rc;
}

uint32_t worker_letters_take(struct worker *worker, int64_t now_ns)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < WORKER_LETTERS_MAX; i++) {
        struct worker_letter *letter = &worker->letter[i];
        if (!letter->used || deadletter_state(&letter->job) != DEADLETTER_DONE)
            continue;
        letter_done(worker, letter, now_ns);
        letter->used = false;
        count++;
    }
    return count;
}

static void letter_done(struct worker *worker, struct worker_letter *letter, int64_t now_ns)
{
    struct worker_stream *ws = worker->slot[letter->stream];
    const struct batch *batch = &letter->batch;
    struct worker_link *link = &ws->link[batch->domain];
    char quoted[700];
    if (letter->job.rc != 0) { /* nothing is lost: it stays in the ring, and holds it */
        order_none_add64(&ws->counters->dead_letter_failed_count, 1);
        log_line(LOG_ERROR, "deadletter", "dead letters cannot be written: their partition waits", "stream=%s domain=%u events=%u error=%s",
                 ws->setup->config.name, batch->domain, batch->event_count, log_quote(quoted, sizeof quoted, letter->job.error));
        domain_hold(worker, ws, batch->domain, now_ns);
        feed_fail(&ws->feed, batch->domain, batch->cover, batch->cover_count, FEED_NOT_DELIVERED);
        return;
    }
    log_line(LOG_WARN, "deadletter", "events were dead-lettered", "stream=%s domain=%u events=%u reason=%s condition=%s ring=%s pos=%llu",
             ws->setup->config.name, batch->domain, batch->event_count, deadletter_reason_name(letter->reason),
             link->verdict && link->verdict->condition[0] ? link->verdict->condition : "-",
             ring_name(ws->feed.ring[batch->cover[0].slot].lane.ring), (unsigned long long)batch->cover[0].first_pos);
    ws->feed.domain[batch->domain].failure_count = 0;
    feed_settle(&ws->feed, batch->domain, batch->cover, batch->cover_count, FEED_DEAD_LETTERED);
    if (link->verdict && feed_suspect_count(&ws->feed, batch->domain) == 0)
        worker_verdict_end(link);
}

static void domain_hold(struct worker *worker, struct worker_stream *ws, uint32_t domain, int64_t now_ns)
{
    const struct config_stream *config = &ws->setup->config;
    struct feed_domain *d = &ws->feed.domain[domain];
    d->hold_until_ns = now_ns + backoff_wait_ns(++d->failure_count, config->retry_backoff_ms, config->retry_backoff_max_seconds);
    worker_timer(worker, d->hold_until_ns);
}
