/* The events of one partition in memory: appended to large segments, read by cursors, the oldest segment dropped first. */
#include "store.h"

#include "buf.h"

#include <stdlib.h>
#include <string.h>

enum { SEGMENT_BYTES_FIRST = 64 << 10 };

struct head {
    int64_t seq, time_ms;
    uint64_t offset;
    uint32_t key_len, event_len;
};

static bool fits(const struct hub_log *log, size_t len);
static void segment_add(struct hub_log *log, size_t cap);
static size_t segment_cap(const struct hub_log *log, size_t len, size_t segment_bytes);
static size_t record_len(size_t event_len, size_t key_len);
static bool wanted(const struct hub_record *r, const struct hub_position *at);
static bool segment_is_before(const struct hub_segment *s, const struct hub_position *at);

size_t hub_log_growth(const struct hub_log *log, size_t event_len, size_t key_len, size_t segment_bytes)
{
    size_t len = record_len(event_len, key_len);

    return fits(log, len) ? 0 : segment_cap(log, len, segment_bytes);
}

void hub_log_append(struct hub_log *log, const struct hub_record *r, size_t segment_bytes)
{
    size_t len = record_len(r->event_len, r->key_len);
    struct head head = {log->next_seq, r->time_ms, log->next_offset, r->key_len, r->event_len};

    if (!fits(log, len))
        segment_add(log, segment_cap(log, len, segment_bytes));
    struct hub_segment *s = &log->segments[log->segment_count - 1];
    if (s->event_count == 0) {
        s->first_seq = head.seq;
        s->first_time_ms = head.time_ms;
        s->first_offset = head.offset;
    }
    uint8_t *to = s->bytes + s->len;
    memcpy(to, &head, sizeof(head));
    if (r->key_len > 0)
        memcpy(to + sizeof(head), r->key, r->key_len);
    memcpy(to + sizeof(head) + r->key_len, r->event, r->event_len);
    s->len += len;
    s->event_count++;
    hub_log_skip(log, 1, r->event_len, r->time_ms);
    log->last_offset = head.offset;
}

void hub_log_skip(struct hub_log *log, uint32_t event_count, uint64_t bytes, int64_t time_ms)
{
    log->last_offset = log->next_offset;
    log->next_seq += event_count;
    log->next_offset += bytes;
    log->last_time_ms = time_ms;
}

uint32_t hub_log_drop(struct hub_log *log, size_t *bytes)
{
    uint32_t lost;

    *bytes = 0;
    if (log->segment_count == 0)
        return 0;
    lost = log->segments[0].event_count;
    *bytes = log->segments[0].cap;
    free(log->segments[0].bytes);
    log->segment_count--;
    log->first_no++;
    memmove(log->segments, log->segments + 1, log->segment_count * sizeof(*log->segments));
    return lost;
}

int64_t hub_log_begin_seq(const struct hub_log *log)
{
    return log->segment_count == 0 ? log->next_seq : log->segments[0].first_seq;
}

void hub_log_seek(const struct hub_log *log, const struct hub_position *at, struct hub_cursor *cursor)
{
    struct hub_record r;
    struct hub_cursor next;
    uint32_t i = 0;

    if (at->start == HUB_START_LATEST) {
        *cursor = (struct hub_cursor){log->first_no + log->segment_count, 0};
        if (log->segment_count > 0)
            *cursor = (struct hub_cursor){cursor->segment_no - 1, log->segments[log->segment_count - 1].len};
        return;
    }
    while (i + 1 < log->segment_count && segment_is_before(&log->segments[i + 1], at))
        i++;
    *cursor = (struct hub_cursor){log->first_no + i, 0};
    for (next = *cursor; hub_log_read(log, &next, &r) && !wanted(&r, at);)
        *cursor = next;
}

bool hub_log_read(const struct hub_log *log, struct hub_cursor *cursor, struct hub_record *r)
{
    struct head head;

    if (cursor->segment_no < log->first_no)
        *cursor = (struct hub_cursor){log->first_no, 0};
    uint64_t i = cursor->segment_no - log->first_no;
    if (i < log->segment_count && cursor->pos == log->segments[i].len && i + 1 < log->segment_count) {
        *cursor = (struct hub_cursor){cursor->segment_no + 1, 0};
        i++;
    }
    if (i >= log->segment_count || cursor->pos == log->segments[i].len)
        return false;
    const uint8_t *at = log->segments[i].bytes + cursor->pos;
    memcpy(&head, at, sizeof(head));
    *r = (struct hub_record){
        .seq = head.seq, .time_ms = head.time_ms, .offset = head.offset, .key_len = head.key_len, .event_len = head.event_len};
    r->key = at + sizeof(head);
    r->event = r->key + head.key_len;
    cursor->pos += record_len(head.event_len, head.key_len);
    return true;
}

void hub_log_free(struct hub_log *log)
{
    for (uint32_t i = 0; i < log->segment_count; i++)
        free(log->segments[i].bytes);
    free(log->segments);
    *log = (struct hub_log){0};
}

static bool fits(const struct hub_log *log, size_t len)
{
    if (log->segment_count == 0)
        return false;
    const struct hub_segment *s = &log->segments[log->segment_count - 1];
    return len <= s->cap - s->len;
}

static void segment_add(struct hub_log *log, size_t cap)
{
    if (log->segment_count == log->segment_cap) {
        log->segment_cap = log->segment_cap ? log->segment_cap * 2 : 16;
        log->segments = hub_realloc(log->segments, log->segment_cap * sizeof(*log->segments));
    }
    log->segments[log->segment_count] = (struct hub_segment){.bytes = hub_realloc(NULL, cap), .cap = cap};
    log->segment_count++;
}

/* The first ones of a partition are small, for hubs that see little. */
static size_t segment_cap(const struct hub_log *log, size_t len, size_t segment_bytes)
{
    uint64_t no = log->first_no + log->segment_count;
    size_t cap = no < 10 ? (size_t)SEGMENT_BYTES_FIRST << no : segment_bytes;

    if (cap > segment_bytes)
        cap = segment_bytes;
    return len > cap ? len : cap;
}

static size_t record_len(size_t event_len, size_t key_len)
{
    return (sizeof(struct head) + event_len + key_len + 7) & ~(size_t)7;
}

static bool wanted(const struct hub_record *r, const struct hub_position *at)
{
    int64_t value = r->seq;

    if (at->start == HUB_START_OFFSET)
        value = (int64_t)r->offset;
    else if (at->start == HUB_START_TIME)
        value = r->time_ms;
    return at->inclusive ? value >= at->value : value > at->value;
}

/* Whether everything in front of this segment can be passed over. */
static bool segment_is_before(const struct hub_segment *s, const struct hub_position *at)
{
    if (at->start == HUB_START_OFFSET)
        return at->value >= 0 && s->first_offset < (uint64_t)at->value;
    if (at->start == HUB_START_TIME)
        return s->first_time_ms < at->value;
    return s->first_seq < at->value;
}
