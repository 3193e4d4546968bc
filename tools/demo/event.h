/* What the proof needs of one encoded AMQP event: message-id, key, the line property and the body. A reading of the specification of its
 * own, so that neither the shipper's encoder nor the hub's decoder is believed. */
#ifndef DEMO_EVENT_H
#define DEMO_EVENT_H

#include <stddef.h>
#include <stdint.h>

struct demo_bytes { /* into the caller's bytes; NULL: absent */
    const uint8_t *data;
    size_t len;
};

struct demo_event {
    struct demo_bytes message_id;
    struct demo_bytes key;
    struct demo_bytes body;
    int64_t line; /* application property "line", INT64_MIN: absent */
};

/* NULL, or what is wrong with the bytes. */
const char *demo_event_read(struct demo_event *event, const uint8_t *bytes, size_t len);

#endif
