/* What the proof needs of one encoded AMQP event. Pure; bounds every read by the bytes given. */
#include "event.h"

#include <stdbool.h>
#include <string.h>

struct cursor {
    const uint8_t *at, *end;
    bool bad; /* the bytes ended too early or hold no value: what was read since is empty */
};

enum value_kind { VALUE_OTHER, VALUE_BYTES, VALUE_INTEGER, VALUE_LIST, VALUE_MAP };

struct value {
    enum value_kind kind;
    uint8_t code;
    struct demo_bytes bytes; /* BYTES; elements of LIST and MAP */
    uint64_t count;
    int64_t integer;
};

static uint64_t take_number(struct cursor *c, unsigned width);
static struct demo_bytes take_bytes(struct cursor *c, uint64_t len);
static struct value take_value(struct cursor *c);
static struct value take_container(struct cursor *c, uint8_t code, unsigned width, struct value value);
static int64_t signed_of(uint64_t number, unsigned width);
static struct value find_in_map(struct value map, const char *name);
static const char *read_section(struct demo_event *event, uint64_t section, struct value value);

const char *demo_event_read(struct demo_event *event, const uint8_t *bytes, size_t len)
{
    struct cursor c = {.at = bytes, .end = bytes + len};

    *event = (struct demo_event){.line = INT64_MIN};
    while (c.at < c.end) {
        if (take_number(&c, 1) != 0)
            return "a section without a descriptor";
        struct value descriptor = take_value(&c), value = take_value(&c);
        if (c.bad || descriptor.kind != VALUE_INTEGER)
            return "a section that ends too early";
        const char *wrong = read_section(event, (uint64_t)descriptor.integer, value);
        if (wrong)
            return wrong;
    }
    return event->body.data ? NULL : "no data section";
}

static const char *read_section(struct demo_event *event, uint64_t section, struct value value)
{
    switch (section) {
    case 0x70: /* header */
    case 0x71: /* delivery annotations */
    case 0x78: /* footer */
        return NULL;
    case 0x72:
        event->key = find_in_map(value, "x-opt-partition-key").bytes;
        return NULL;
    case 0x73:
        if (value.kind == VALUE_LIST && value.count > 0) {
            struct cursor c = {.at = value.bytes.data, .end = value.bytes.data + value.bytes.len};
            event->message_id = take_value(&c).bytes;
            return c.bad ? "properties that end too early" : NULL;
        }
        return NULL;
    case 0x74: {
        struct value line = find_in_map(value, "line");
        if (line.kind == VALUE_INTEGER)
            event->line = line.integer;
        return NULL;
    }
    case 0x75:
        if (event->body.data || value.kind != VALUE_BYTES)
            return "a second data section, or one that is not binary";
        event->body = value.bytes;
        return NULL;
    }
    return "a section that no event has";
}

static uint64_t take_number(struct cursor *c, unsigned width)
{
    uint64_t number = 0;

    if ((size_t)(c->end - c->at) < width) {
        c->bad = true;
        c->at = c->end;
        return 0;
    }
    for (unsigned i = 0; i < width; i++)
        number = number << 8 | *c->at++;
    return number;
}

static struct demo_bytes take_bytes(struct cursor *c, uint64_t len)
{
    struct demo_bytes bytes = {c->at, (size_t)len};

    if ((uint64_t)(c->end - c->at) < len) {
        c->bad = true;
        c->at = c->end;
        return (struct demo_bytes){0};
    }
    c->at += len;
    return bytes;
}

/* The width of a value is in the upper half of its code. */
static struct value take_value(struct cursor *c)
{
    static const uint8_t fixed_width[16] = {[0x5] = 1, [0x6] = 2, [0x7] = 4, [0x8] = 8, [0x9] = 16};
    uint8_t code = (uint8_t)take_number(c, 1);
    struct value value = {.code = code};

    switch (code >> 4) {
    case 0x4:
        if (code == 0x43 || code == 0x44)
            value.kind = VALUE_INTEGER;
        if (code == 0x45)
            value.kind = VALUE_LIST;
        return value;
    case 0x5:
    case 0x6:
    case 0x7:
    case 0x8:
        value.integer = signed_of(take_number(c, fixed_width[code >> 4]), code == 0x52 || code == 0x53 ? 8 : fixed_width[code >> 4]);
        if (code != 0x56 && code != 0x72 && code != 0x73 && code != 0x74 && code != 0x82 && code != 0x84)
            value.kind = VALUE_INTEGER;
        return value;
    case 0x9:
        take_bytes(c, 16);
        return value;
    case 0xa:
    case 0xb:
        value.bytes = take_bytes(c, take_number(c, code >> 4 == 0xa ? 1 : 4));
        value.kind = VALUE_BYTES;
        return value;
    case 0xc:
    case 0xd:
    case 0xe:
    case 0xf:
        return take_container(c, code, (code >> 4) % 2 ? 4 : 1, value);
    default: /* a described value inside an event: none of ours has one */
        c->bad = true;
        return value;
    }
}

static struct value take_container(struct cursor *c, uint8_t code, unsigned width, struct value value)
{
    uint64_t len = take_number(c, width);
    struct demo_bytes all = take_bytes(c, len);

    if (c->bad)
        return value;
    struct cursor inner = {.at = all.data, .end = all.data + all.len};
    value.count = take_number(&inner, width);
    if (inner.bad)
        c->bad = true;
    value.bytes = (struct demo_bytes){inner.at, (size_t)(inner.end - inner.at)};
    value.kind = (code & 0xf) == 0 ? VALUE_LIST : VALUE_MAP;
    if (code >> 4 >= 0xe) /* arrays */
        value.kind = VALUE_OTHER;
    return value;
}

static int64_t signed_of(uint64_t number, unsigned width)
{
    switch (width) {
    case 1:
        return (int8_t)number;
    case 2:
        return (int16_t)number;
    case 4:
        return (int32_t)number;
    }
    return (int64_t)number;
}

static struct value find_in_map(struct value map, const char *name)
{
    if (map.kind != VALUE_MAP)
        return (struct value){0};
    struct cursor c = {.at = map.bytes.data, .end = map.bytes.data + map.bytes.len};
    while (c.at < c.end) {
        struct value key = take_value(&c), value = take_value(&c);
        if (!c.bad && key.kind == VALUE_BYTES && key.bytes.len == strlen(name) && memcmp(key.bytes.data, name, key.bytes.len) == 0)
            return value;
    }
    return (struct value){0};
}
