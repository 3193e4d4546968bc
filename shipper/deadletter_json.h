/* One dead letter as one line of JSON. Pure: no file, no ring, no thread. The line is described in ehring-ctl(1), which reads it. */
#ifndef EHRING_DEADLETTER_JSON_H
#define EHRING_DEADLETTER_JSON_H

#include <stddef.h>
#include <stdint.h>

#include "ringbuf/ring.h"

/* Why the service will never have it. The names are what a record says: they stay for ever. */
enum deadletter_reason {
    DEADLETTER_REJECTED,     /* the service refused this very event for its content */
    DEADLETTER_TOO_LARGE,    /* it fits into no message of the link, or the service said so */
    DEADLETTER_RETRIES,      /* max_retries were made */
    DEADLETTER_AGE,          /* older than max_age_seconds */
    DEADLETTER_NO_PARTITION, /* the hub has no such partition */
};
const char *deadletter_reason_name(enum deadletter_reason reason); /* "too-large" */

/* All pointers are read during the call only. */
struct deadletter_event {
    const char *stream;
    const char *ring_file;          /* the file's name */
    const uint8_t *ring_uuid;       /* 16 bytes */
    uint64_t pos;                   /* of the record: with the uuid the event's identity */
    const struct ring_parts *parts; /* key, route, flags, time and lengths */
    const uint8_t *meta;            /* parts->meta_len bytes of TLVs */
    const uint8_t *body;            /* parts->payload_len bytes, or NULL if there are none */
    enum deadletter_reason reason;
    const char *condition;   /* of the service; NULL or empty: it named none */
    const char *description; /* its sentence, the same */
    uint32_t attempts;       /* times it was sent */
    int64_t first_ns;        /* first and last attempt, CLOCK_REALTIME; 0: never */
    int64_t last_ns;
};

struct deadletter_buf { /* all zero: empty. The caller frees it with deadletter_buf_free */
    char *text;         /* not NUL-terminated */
    size_t len;
    size_t cap;
};

/* Appends one line with its newline. Any thread. 0; -ENOMEM, or -EBADMSG: `meta` is no meta block; the buffer is then as it was. */
int deadletter_format(struct deadletter_buf *buf, const struct deadletter_event *event);
void deadletter_buf_clear(struct deadletter_buf *buf); /* keeps the memory */
void deadletter_buf_free(struct deadletter_buf *buf);

#endif
