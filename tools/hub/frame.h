/*
 * AMQP frames: reads a performative's fields, writes every performative the hub sends.
 *
 * All lists are written with the full number of fields, the absent ones as explicit nulls: the official Python SDK
 * indexes into them without looking at their length.
 */
#ifndef HUB_FRAME_H
#define HUB_FRAME_H

#include "buf.h"
#include "codec.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { HUB_FRAME_HEAD = 8, HUB_FRAME_AMQP = 0, HUB_FRAME_SASL = 1, HUB_FIELDS_MAX = 16 };

enum hub_code {
    HUB_OPEN = 0x10,
    HUB_BEGIN = 0x11,
    HUB_ATTACH = 0x12,
    HUB_FLOW = 0x13,
    HUB_TRANSFER = 0x14,
    HUB_DISPOSITION = 0x15,
    HUB_DETACH = 0x16,
    HUB_END = 0x17,
    HUB_CLOSE = 0x18,
    HUB_ERROR = 0x1d,
    HUB_ACCEPTED = 0x24,
    HUB_REJECTED = 0x25,
    HUB_RELEASED = 0x26,
    HUB_MODIFIED = 0x27,
    HUB_SOURCE = 0x28,
    HUB_TARGET = 0x29,
    HUB_SASL_MECHANISMS = 0x40,
    HUB_SASL_INIT = 0x41,
    HUB_SASL_OUTCOME = 0x44,
};

/* What went wrong, as AMQP says it. An empty condition means nothing did. */
struct hub_error {
    char condition[64];
    char text[512];
};

/* Fills an error; a text that is too long is cut. Returns -EPROTO for use as `return hub_error_set(…)`. */
int hub_error_set(struct hub_error *e, const char *condition, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* The fields of one list; those not sent read as null. */
struct hub_fields {
    uint32_t count;
    struct hub_value at[HUB_FIELDS_MAX];
};

/* Reads a described list and steps over it. 0, or -EBADMSG. */
int hub_fields_read(struct hub_in *in, uint64_t *code, struct hub_fields *f);

/* Field i, or the default if it is null or of another type. */
uint32_t hub_field_uint(const struct hub_fields *f, unsigned i, uint32_t otherwise);
uint64_t hub_field_ulong(const struct hub_fields *f, unsigned i, uint64_t otherwise);
bool hub_field_bool(const struct hub_fields *f, unsigned i, bool otherwise);
bool hub_field_is_set(const struct hub_fields *f, unsigned i);

/* Begins a frame and returns its place; hub_frame_end writes its size. */
size_t hub_frame_begin(struct hub_buf *out, uint8_t type, uint16_t channel);
void hub_frame_end(struct hub_buf *out, size_t place);

struct hub_flow {
    uint32_t next_incoming_id, incoming_window, next_outgoing_id, outgoing_window;
    bool has_link;
    uint32_t handle, delivery_count, link_credit;
    bool drain;
};

struct hub_attach {
    const char *name;
    uint32_t handle;
    bool receiver; /* our role */
    uint8_t snd_settle_mode, rcv_settle_mode;
    const struct hub_value *source, *target; /* the peer's, echoed; NULL: null */
    uint64_t message_bytes_max;              /* 0: not said */
    const char *tracking_id;
};

struct hub_transfer {
    uint32_t handle, delivery_id;
    uint64_t tag;
    bool settled, more;
};

enum hub_outcome { HUB_OUTCOME_ACCEPTED, HUB_OUTCOME_REJECTED, HUB_OUTCOME_RELEASED, HUB_OUTCOME_MODIFIED };

struct hub_disposition {
    bool receiver; /* our role */
    uint32_t first, last;
    enum hub_outcome outcome;
    const struct hub_error *error;            /* rejected only */
    bool delivery_failed, undeliverable_here; /* modified only */
};

void hub_put_open(struct hub_buf *out, const char *container, uint32_t frame_bytes_max, uint16_t channel_max, uint32_t idle_ms);
void hub_put_begin(struct hub_buf *out, uint16_t channel, uint32_t window, uint32_t handle_max);
void hub_put_attach(struct hub_buf *out, uint16_t channel, const struct hub_attach *a);
void hub_put_flow(struct hub_buf *out, uint16_t channel, const struct hub_flow *f);
void hub_put_transfer(struct hub_buf *out, uint16_t channel, const struct hub_transfer *t, const uint8_t *payload, size_t len);
void hub_put_disposition(struct hub_buf *out, uint16_t channel, const struct hub_disposition *d);
void hub_put_detach(struct hub_buf *out, uint16_t channel, uint32_t handle, bool closed, const struct hub_error *e);
void hub_put_end(struct hub_buf *out, uint16_t channel, const struct hub_error *e);
void hub_put_close(struct hub_buf *out, const struct hub_error *e);
void hub_put_empty_frame(struct hub_buf *out);
void hub_put_sasl_mechanisms(struct hub_buf *out);
void hub_put_sasl_outcome(struct hub_buf *out, uint8_t code);

/* Bytes of a transfer frame that are not payload: what the caller leaves free under the peer's frame limit. */
enum { HUB_TRANSFER_HEAD_MAX = 64 };

#endif
