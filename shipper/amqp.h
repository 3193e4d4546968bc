/* AMQP 1.0 encoding of events and Event Hubs batches into a caller's buffer. Pure: no ring, no I/O, no allocation.
 * Sections and sizes: header (durable) and x-opt-partition-key when there is a key, properties, application-properties, one data section; a
 * batch is one data section per complete encoded event, message-format 0x80013700. A message of its own for any broker always has the
 * header, and the annotation that its form names. */
#ifndef EHRING_AMQP_H
#define EHRING_AMQP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define AMQP_BATCH_FORMAT UINT32_C(0x80013700)
#define AMQP_SECTION_SHORT 5u /* 00 53 75 a0 len8 */
#define AMQP_SECTION_LONG 8u  /* 00 53 75 b0 len32 */

enum amqp_type { AMQP_STRING, AMQP_BOOL, AMQP_INT, AMQP_UINT, AMQP_DOUBLE, AMQP_TIMESTAMP, AMQP_BINARY, AMQP_UUID };

struct amqp_text { /* not NUL-terminated; data NULL: absent */
    const uint8_t *data;
    uint32_t len;
};
struct amqp_property {
    struct amqp_text name;
    enum amqp_type type;
    struct amqp_text bytes; /* STRING, BINARY, UUID (16) */
    int64_t integer;        /* BOOL, INT, UINT (as bits), TIMESTAMP (ms) */
    double real;
};

#define AMQP_PROPERTIES_MAX 260u /* libehring's 256, and those made of other fields */
struct amqp_event {
    struct amqp_text key;
    bool is_message;                 /* not of a batch; a key only with a key_annotation */
    struct amqp_text key_annotation; /* its name, a symbol */
    struct amqp_text message_id;     /* string */
    struct amqp_text subject;        /* string */
    struct amqp_text correlation_id; /* string */
    struct amqp_text content_type;   /* symbol */
    int64_t creation_ms;             /* properties.creation-time, 0: absent */
    struct amqp_text group_id;       /* string */
    uint32_t property_count;
    struct amqp_property property[AMQP_PROPERTIES_MAX];
    uint32_t body_len;
};

/* Everything of an event but the body's bytes: sections up to and with the data section's head. Returns the length written, or -ENOSPC /
 * -EINVAL (over 4 GiB). The caller puts body_len bytes behind it. INT is an int (smallint form if it fits) as the SDKs do, beyond 32 bits a
 * long; UINT a ulong in its smallest form. */
int64_t amqp_encode_event_head(const struct amqp_event *event, uint8_t *to, size_t cap);
/* Exact size of the whole event (head and body). */
size_t amqp_event_bytes(const struct amqp_event *event);

/* Envelope of a batch: header durable and key annotation, nothing without a key. Length or -ENOSPC. */
int64_t amqp_encode_envelope(struct amqp_text key, uint8_t *to, size_t cap);
size_t amqp_envelope_bytes(struct amqp_text key);
/* Head of one data section of the batch for an event of event_bytes. 5 or 8 bytes. Length or -ENOSPC. */
int64_t amqp_encode_section_head(size_t event_bytes, uint8_t *to, size_t cap);
static inline size_t amqp_section_bytes(size_t event_bytes)
{
    return event_bytes + (event_bytes <= 255 ? AMQP_SECTION_SHORT : AMQP_SECTION_LONG);
}

/* Both heads of an event that has a body and nothing else: the section's in the batch and the body's own. `to` has room for what
 * amqp_plain_bytes gives beyond the body. Returns where the body begins. */
uint8_t *amqp_encode_plain_heads(size_t body_len, uint8_t *to);
static inline size_t amqp_plain_bytes(size_t body_len)
{
    return amqp_section_bytes(amqp_section_bytes(body_len));
}

/* Adds a string property unless there is one of that name: a map must not hold a name twice. 0, or -EBADMSG: too many. */
int amqp_event_add_property(struct amqp_event *event, const char *name, uint32_t name_len, struct amqp_text value);

/* The meta block of a ring record (TLVs of ringbuf/ring_layout.h) into `event`'s fields, of which those it can name become absent
 * without it (what is the key's or the caller's is left alone); pointers go into `meta`. schema_version and traceparent become the
 * application properties `schema-version` and `traceparent` (and `Diagnostic-Id` with the same value, which the SDKs read) unless the
 * producer has set a property of that name. Trusts nothing in `meta`. 0, or -EBADMSG: not a meta block. */
int amqp_event_from_meta(const uint8_t *meta, uint32_t meta_len, struct amqp_event *event);

#endif
