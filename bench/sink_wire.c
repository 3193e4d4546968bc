/* The few AMQP frames with which a sender comes to credit, and one batch of events as the bytes of its transfers. Does no I/O. */
#include "bench/sink_wire.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FRAME_HEAD 8u
#define FRAME_BYTES_MAX 65536u
#define BATCH_BYTES_MAX (1048576u - 512u)
#define SECTION_HEAD 8u /* descriptor and binary with a length of four bytes */
#define BATCH_FORMAT 0x80013700u

enum code {
    NIL = 0x40,
    YES = 0x41,
    NO = 0x42,
    ZERO = 0x43,
    ZERO_LIST = 0x45,
    SMALL_UINT = 0x52,
    UINT = 0x70,
    BINARY8 = 0xa0,
    STRING8 = 0xa1,
    SYMBOL8 = 0xa3
};

struct out {
    uint8_t *at;
};

static void put8(struct out *out, uint8_t byte);
static void put32(struct out *out, uint32_t number);
static void put_text(struct out *out, enum code code, const void *text, size_t len);
static uint8_t *begin_frame(struct out *out, uint8_t type, uint8_t descriptor);
static void end_frame(struct out *out, uint8_t *frame);
static uint8_t *begin_list(struct out *out, uint8_t descriptor);
static void end_list(struct out *out, uint8_t *list, uint8_t count);
static void put_terminus(struct out *out, uint8_t descriptor, const char *address);
static size_t put_body(uint8_t *to, uint32_t event_len, uint32_t count);
static void put_transfers(struct sink_batch *batch, const uint8_t *body, size_t body_len);
static uint32_t load32(const uint8_t *bytes);
static bool take_uint(const uint8_t **at, const uint8_t *end, uint32_t *number);
static void read_disposition(const uint8_t *at, const uint8_t *end, struct sink_frame *frame);

size_t sink_wire_sasl(uint8_t *to, const char *user, const char *key)
{
    size_t user_len = strlen(user), key_len = strlen(key);
    struct out out = {to};
    char response[256];
    uint8_t *frame;

    memcpy(out.at, "AMQP\3\1\0\0", FRAME_HEAD);
    out.at += FRAME_HEAD;
    frame = begin_frame(&out, 1, 0x41);
    put_text(&out, SYMBOL8, "PLAIN", 5);
    if (2 + user_len + key_len > sizeof(response) - 1)
        user_len = key_len = 0; /* the hub refuses it */
    response[0] = 0;
    memcpy(response + 1, user, user_len);
    response[1 + user_len] = 0;
    memcpy(response + 2 + user_len, key, key_len);
    put_text(&out, BINARY8, response, 2 + user_len + key_len);
    end_list(&out, frame + FRAME_HEAD, 2);
    end_frame(&out, frame);
    return (size_t)(out.at - to);
}

size_t sink_wire_open(uint8_t *to, const char *host, const char *hub)
{
    struct out out = {to};
    uint8_t *frame;

    memcpy(out.at, "AMQP\0\1\0\0", FRAME_HEAD);
    out.at += FRAME_HEAD;
    frame = begin_frame(&out, 0, 0x10); /* open: container, host, frame size */
    put_text(&out, STRING8, "ehring-bench", 12);
    put_text(&out, STRING8, host, strlen(host));
    put8(&out, UINT);
    put32(&out, FRAME_BYTES_MAX);
    end_list(&out, frame + FRAME_HEAD, 3);
    end_frame(&out, frame);
    frame = begin_frame(&out, 0, 0x11); /* begin: no remote channel, next id 0, windows */
    put8(&out, NIL);
    put8(&out, ZERO);
    for (int i = 0; i < 2; i++) {
        put8(&out, UINT);
        put32(&out, 5000);
    }
    end_list(&out, frame + FRAME_HEAD, 4);
    end_frame(&out, frame);
    frame =
        begin_frame(&out, 0, 0x12); /* attach: name, handle, sender, unsettled, first mode, source, target, nothing unsettled, count 0 */
    put_text(&out, STRING8, "bench", 5);
    put8(&out, ZERO);
    put8(&out, NO);
    put8(&out, 0x50);
    put8(&out, 0);
    put8(&out, 0x50);
    put8(&out, 0);
    put_terminus(&out, 0x28, "bench");
    put_terminus(&out, 0x29, hub);
    put8(&out, NIL);
    put8(&out, NIL);
    put8(&out, ZERO);
    end_list(&out, frame + FRAME_HEAD, 10);
    end_frame(&out, frame);
    return (size_t)(out.at - to);
}

int sink_wire_frame(const uint8_t *bytes, size_t len, struct sink_frame *frame)
{
    uint32_t frame_len;
    const uint8_t *body;

    *frame = (struct sink_frame){0};
    if (len < FRAME_HEAD)
        return 0;
    if (memcmp(bytes, "AMQP", 4) == 0)
        return FRAME_HEAD;
    frame_len = load32(bytes);
    if (frame_len < FRAME_HEAD || frame_len > FRAME_BYTES_MAX || bytes[4] < 2 || bytes[4] * 4u > frame_len)
        return -EPROTO;
    if (len < frame_len)
        return 0;
    body = bytes + bytes[4] * 4u;
    if (bytes + frame_len - body < 4 || body[0] != 0 || body[1] != SMALL_UINT + 1)
        return (int)frame_len;
    frame->performative = body[2];
    if (frame->performative == SINK_DISPOSITION)
        read_disposition(body + 3, bytes + frame_len, frame);
    if (frame->performative == SINK_SASL_OUTCOME) /* code 0 as a ubyte is the first field of the list */
        frame->refused = !(bytes + frame_len - body >= 8 && body[6] == 0x50 && body[7] == 0);
    return (int)frame_len;
}

int sink_batch_make(uint32_t event_len, struct sink_batch *batch)
{
    uint32_t each = 2 * SECTION_HEAD + event_len, count = BATCH_BYTES_MAX / each;
    uint8_t *body;

    count = count > 0 ? count : 1;
    *batch = (struct sink_batch){.event_count = count};
    body = malloc((size_t)count * each);
    batch->wire = malloc((size_t)count * each + ((size_t)count * each / (FRAME_BYTES_MAX - 64) + 1) * 64);
    if (body && batch->wire)
        put_transfers(batch, body, put_body(body, event_len, count));
    free(body);
    return body && batch->wire ? 0 : -ENOMEM;
}

void sink_batch_free(struct sink_batch *batch)
{
    free(batch->wire);
    batch->wire = NULL;
}

void sink_batch_number(struct sink_batch *batch, uint32_t number)
{
    for (int i = 0; i < 2; i++) {
        struct out out = {batch->wire + batch->number_at[i]};

        put32(&out, number);
    }
}

static void put8(struct out *out, uint8_t byte)
{
    *out->at++ = byte;
}

static void put32(struct out *out, uint32_t number)
{
    for (int shift = 24; shift >= 0; shift -= 8)
        put8(out, (uint8_t)(number >> shift));
}

static void put_text(struct out *out, enum code code, const void *text, size_t len)
{
    put8(out, (uint8_t)code);
    put8(out, (uint8_t)len);
    memcpy(out->at, text, len);
    out->at += len;
}

/* Returns the frame's place; its list begins FRAME_HEAD behind. */
static uint8_t *begin_frame(struct out *out, uint8_t type, uint8_t descriptor)
{
    uint8_t *frame = out->at;

    put32(out, 0);
    put8(out, 2);
    put8(out, type);
    put8(out, 0);
    put8(out, 0);
    begin_list(out, descriptor);
    return frame;
}

static void end_frame(struct out *out, uint8_t *frame)
{
    struct out head = {frame};

    put32(&head, (uint32_t)(out->at - frame));
}

/* A described list with four bytes each for size and count. Returns its place. */
static uint8_t *begin_list(struct out *out, uint8_t descriptor)
{
    uint8_t *list = out->at;

    put8(out, 0);
    put8(out, SMALL_UINT + 1);
    put8(out, descriptor);
    put8(out, 0xd0);
    put32(out, 0);
    put32(out, 0);
    return list;
}

static void end_list(struct out *out, uint8_t *list, uint8_t count)
{
    struct out head = {list + 4};

    put32(&head, (uint32_t)(out->at - list - 8));
    put32(&head, count);
}

static void put_terminus(struct out *out, uint8_t descriptor, const char *address)
{
    uint8_t *list = begin_list(out, descriptor);

    put_text(out, STRING8, address, strlen(address));
    end_list(out, list, 1);
}

/* A batch is a message whose data sections are encoded messages. */
static size_t put_body(uint8_t *to, uint32_t event_len, uint32_t count)
{
    struct out out = {to};

    for (uint32_t i = 0; i < count; i++)
        for (uint32_t len = SECTION_HEAD + event_len; len >= event_len; len -= SECTION_HEAD) {
            put8(&out, 0);
            put8(&out, SMALL_UINT + 1);
            put8(&out, 0x75);
            put8(&out, 0xb0);
            put32(&out, len);
            if (len == event_len) {
                memset(out.at, 'e', event_len);
                out.at += event_len;
            }
        }
    return (size_t)(out.at - to);
}

static void put_transfers(struct sink_batch *batch, const uint8_t *body, size_t body_len)
{
    struct out out = {batch->wire};

    for (size_t at = 0; at < body_len;) {
        uint8_t *frame = begin_frame(&out, 0, 0x14);
        size_t room = FRAME_BYTES_MAX - 64, part = body_len - at < room ? body_len - at : room;

        put8(&out, ZERO); /* handle */
        put8(&out, at == 0 ? UINT : NIL);
        if (at == 0) {
            batch->number_at[0] = (size_t)(out.at - batch->wire);
            put32(&out, 0);
            put8(&out, BINARY8);
            put8(&out, 4);
            batch->number_at[1] = (size_t)(out.at - batch->wire);
            put32(&out, 0);
            put8(&out, UINT);
            put32(&out, BATCH_FORMAT);
        } else {
            put8(&out, NIL);
            put8(&out, NIL);
        }
        put8(&out, at == 0 ? NO : NIL); /* settled */
        put8(&out, at + part < body_len ? YES : NO);
        end_list(&out, frame + FRAME_HEAD, 6);
        memcpy(out.at, body + at, part);
        out.at += part;
        at += part;
        end_frame(&out, frame);
    }
    batch->wire_len = (size_t)(out.at - batch->wire);
}

static uint32_t load32(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static bool take_uint(const uint8_t **at, const uint8_t *end, uint32_t *number)
{
    const uint8_t *p = *at;

    if (end - p >= 1 && p[0] == ZERO) {
        *number = 0;
        *at += 1;
    } else if (end - p >= 2 && p[0] == SMALL_UINT) {
        *number = p[1];
        *at += 2;
    } else if (end - p >= 5 && p[0] == UINT) {
        *number = load32(p + 1);
        *at += 5;
    } else
        return false;
    return true;
}

/* List, role, first, last; one without a last is of one delivery. */
static void read_disposition(const uint8_t *at, const uint8_t *end, struct sink_frame *frame)
{
    if (end - at < 10)
        return;
    at += *at == 0xd0 ? 9 : 3; /* the list's head */
    at += 1;                   /* role: true or false, a byte */
    if (take_uint(&at, end, &frame->first) && !take_uint(&at, end, &frame->last))
        frame->last = frame->first;
}
