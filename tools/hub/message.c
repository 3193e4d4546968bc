/* What a sender may put into one delivery: takes batches apart and names what is wrong with a message. */
#include "message.h"

#include <errno.h>
#include <string.h>

#define KEY_NAME "x-opt-partition-key"

static int section_read(struct hub_in *in, enum hub_section *code, struct hub_value *v);
static int batch_open(struct hub_message *m, struct hub_in in, struct hub_error *why);
static int batch_walk(struct hub_message *m, struct hub_in in, const uint8_t *start, struct hub_error *why);
static bool data_step(struct hub_in *in, struct hub_slice *data);
static int key_read(const struct hub_value *annotations, struct hub_slice *key, struct hub_error *why);
static int member_check(const struct hub_message *m, const struct hub_event *e, uint32_t index, enum hub_target target,
                        struct hub_error *why);
static int event_section(struct hub_event *e, enum hub_section code, const struct hub_value *v, struct hub_slice section,
                         struct hub_error *why);
static int event_body(struct hub_event *e, enum hub_section code, const struct hub_value *v, struct hub_error *why);
static int section_shape(enum hub_section code, const struct hub_value *v, struct hub_error *why);
static int single_check(const struct hub_event *e, struct hub_error *why);
static int malformed(struct hub_error *why, const uint8_t *start, const uint8_t *at);

int hub_message_open(struct hub_message *m, uint32_t format, const uint8_t *bytes, size_t len, struct hub_error *why)
{
    struct hub_event e;

    *m = (struct hub_message){0};
    if (format == HUB_FORMAT_BATCH)
        return batch_open(m, hub_in_of(bytes, len), why);
    if (format != 0)
        return hub_error_set(why, "amqp:not-implemented", "message format 0x%08x is neither 0 nor 0x%08x (a batch)", format,
                             HUB_FORMAT_BATCH);
    if (hub_event_read(&e, bytes, len, why) < 0)
        return -EPROTO;
    m->key = e.key;
    m->event_count = 1;
    m->event = (struct hub_slice){bytes, len};
    return single_check(&e, why);
}

int hub_message_check(const struct hub_message *m, enum hub_target target, struct hub_error *why)
{
    struct hub_message rest = *m;
    struct hub_slice bytes;
    struct hub_event e;

    if (!m->batch)
        return 0;
    for (uint32_t i = 0; hub_message_next(&rest, &bytes); i++) {
        struct hub_error inner;
        if (hub_event_read(&e, bytes.bytes, bytes.len, &inner) < 0)
            return hub_error_set(why, inner.condition, "event %u of %u in the batch: %.400s", i, m->event_count, inner.text);
        if (member_check(m, &e, i, target, why) < 0)
            return -EPROTO;
    }
    return 0;
}

bool hub_message_next(struct hub_message *m, struct hub_slice *event)
{
    struct hub_in in = hub_in_of(m->event.bytes, m->event.len);

    if (m->event_count == 0)
        return false;
    m->event_count--;
    if (!m->batch) {
        *event = m->event;
        return true;
    }
    if (!data_step(&in, event))
        return false;
    m->event = (struct hub_slice){in.at, hub_in_left(&in)};
    return true;
}

int hub_event_read(struct hub_event *e, const uint8_t *bytes, size_t len, struct hub_error *why)
{
    if (hub_sections_read(e, bytes, len, why) < 0)
        return -EPROTO;
    if (e->body == 0)
        return hub_error_set(why, "amqp:decode-error", "no body section in %zu bytes; an event has exactly one body", len);
    return 0;
}

int hub_sections_read(struct hub_event *e, const uint8_t *bytes, size_t len, struct hub_error *why)
{
    struct hub_in in = hub_in_of(bytes, len);
    enum hub_section code = 0, last = 0;
    struct hub_value v;

    *e = (struct hub_event){0};
    while (hub_in_left(&in) > 0) {
        const uint8_t *start = in.at;
        if (section_read(&in, &code, &v) < 0)
            return malformed(why, bytes, in.at);
        if (code < last)
            return hub_error_set(why, "amqp:decode-error", "section 0x%02x behind section 0x%02x", (unsigned)code, (unsigned)last);
        if (code == last && code != HUB_SECTION_SEQUENCE)
            return hub_error_set(why, "amqp:decode-error",
                                 code == HUB_SECTION_DATA ? "several data sections in one event; a batch needs message format 0x80013700"
                                                          : "section 0x%02x comes twice",
                                 (unsigned)code);
        if (event_section(e, code, &v, (struct hub_slice){start, (size_t)(in.at - start)}, why) < 0)
            return -EPROTO;
        if (code > HUB_SECTION_ANNOTATIONS && last <= HUB_SECTION_ANNOTATIONS)
            e->after_annotations = (struct hub_slice){start, (size_t)(bytes + len - start)};
        last = code;
    }
    return 0;
}

static int section_read(struct hub_in *in, enum hub_section *code, struct hub_value *v)
{
    struct hub_in at = *in;
    struct hub_value described;

    if (hub_value_check(&at, &described) < 0 || described.type != HUB_DESCRIBED)
        return -EBADMSG;
    if (described.u < HUB_SECTION_HEADER || described.u > HUB_SECTION_FOOTER)
        return -EBADMSG;
    struct hub_in inner = hub_value_items(&described);
    if (hub_value_read(&inner, v) < 0)
        return -EBADMSG;
    *code = (enum hub_section)described.u;
    *in = at;
    return 0;
}

/* Before the first member an envelope may have header, annotations and properties; what it says besides the key is not used. */
static int batch_open(struct hub_message *m, struct hub_in in, struct hub_error *why)
{
    const uint8_t *start = in.at;
    enum hub_section code = 0, last = 0;
    struct hub_value v;

    m->batch = true;
    while (hub_in_left(&in) > 0) {
        struct hub_in at = in;
        if (section_read(&at, &code, &v) < 0)
            return malformed(why, start, in.at);
        if (code <= last)
            return hub_error_set(why, "amqp:decode-error", "section 0x%02x behind section 0x%02x in the envelope", (unsigned)code,
                                 (unsigned)last);
        if (section_shape(code, &v, why) < 0)
            return -EPROTO;
        if (code == HUB_SECTION_ANNOTATIONS && key_read(&v, &m->key, why) < 0)
            return -EPROTO;
        if (code >= HUB_SECTION_DATA)
            break;
        last = code;
        in = at;
    }
    return batch_walk(m, in, start, why);
}

static int batch_walk(struct hub_message *m, struct hub_in in, const uint8_t *start, struct hub_error *why)
{
    struct hub_slice member;

    m->event = (struct hub_slice){in.at, hub_in_left(&in)};
    while (hub_in_left(&in) > 0) {
        const uint8_t *at = in.at;
        if (!data_step(&in, &member))
            return malformed(why, start, at);
        if (member.len == 0)
            return hub_error_set(why, "amqp:decode-error", "event %u of the batch is empty", m->event_count);
        m->event_count++;
    }
    if (m->event_count == 0)
        return hub_error_set(why, "amqp:invalid-field", "the batch has no events");
    return 0;
}

/* One data section, by hand: a sink does this some million times a second. */
static bool data_step(struct hub_in *in, struct hub_slice *data)
{
    const uint8_t *p = in->at;
    size_t left = hub_in_left(in), head, len;

    if (left < 5 || p[0] != 0 || p[1] != 0x53 || p[2] != HUB_SECTION_DATA)
        return false;
    if (p[3] == 0xa0) {
        head = 5;
        len = p[4];
    } else {
        if (p[3] != 0xb0 || left < 8)
            return false;
        head = 8;
        len = hub_load_u32(p + 4);
    }
    if (len > left - head)
        return false;
    *data = (struct hub_slice){p + head, len};
    in->at += head + len;
    return true;
}

static int key_read(const struct hub_value *annotations, struct hub_slice *key, struct hub_error *why)
{
    struct hub_value v;
    size_t chars = 0;

    if (!hub_map_find(annotations, KEY_NAME, &v))
        return 0;
    if (v.type != HUB_STRING)
        return hub_error_set(why, "amqp:invalid-field", "annotation " KEY_NAME " is not a string");
    if (!hub_utf8_check(v.bytes, v.len, &chars))
        return hub_error_set(why, "amqp:decode-error", "annotation " KEY_NAME " is not UTF-8");
    if (chars > HUB_KEY_CHARS_MAX)
        return hub_error_set(why, "amqp:invalid-field", "partition key of %zu characters exceeds the limit of %d characters", chars,
                             HUB_KEY_CHARS_MAX);
    *key = (struct hub_slice){v.bytes, v.len};
    return 0;
}

/* On a partition link the envelope may leave the key out: events of several keys may then share the batch. */
static int member_check(const struct hub_message *m, const struct hub_event *e, uint32_t index, enum hub_target target,
                        struct hub_error *why)
{
    if (m->key.len == e->key.len && (m->key.len == 0 || memcmp(m->key.bytes, e->key.bytes, m->key.len) == 0))
        return 0;
    if (m->key.len == 0 && target == HUB_TARGET_PARTITION)
        return 0;
    if (m->key.len == 0)
        return hub_error_set(why, "amqp:invalid-field", "event %u of %u in the batch has a partition key and the envelope has none", index,
                             m->event_count);
    if (e->key.len == 0)
        return hub_error_set(why, "amqp:invalid-field", "event %u of %u in the batch has no partition key and the envelope has one", index,
                             m->event_count);
    return hub_error_set(why, "amqp:invalid-field", "event %u of %u in the batch has another partition key than the envelope", index,
                         m->event_count);
}

static int event_section(struct hub_event *e, enum hub_section code, const struct hub_value *v, struct hub_slice section,
                         struct hub_error *why)
{
    struct hub_slice raw = {v->raw, v->raw_len};

    if (section_shape(code, v, why) < 0)
        return -EPROTO;
    switch (code) {
    case HUB_SECTION_HEADER:
        e->header = raw;
        e->header_section = section;
        return 0;
    case HUB_SECTION_ANNOTATIONS:
        e->annotations = raw;
        e->annotations_section = section;
        return key_read(v, &e->key, why);
    case HUB_SECTION_PROPERTIES:
        e->properties = raw;
        return 0;
    case HUB_SECTION_APPLICATION:
        e->application = raw;
        return 0;
    case HUB_SECTION_DATA:
    case HUB_SECTION_SEQUENCE:
    case HUB_SECTION_VALUE:
        return event_body(e, code, v, why);
    case HUB_SECTION_DELIVERY_ANNOTATIONS:
    case HUB_SECTION_FOOTER:
        return 0;
    }
    return -EPROTO;
}

static int event_body(struct hub_event *e, enum hub_section code, const struct hub_value *v, struct hub_error *why)
{
    if (e->body != 0 && e->body != code)
        return hub_error_set(why, "amqp:decode-error", "body sections 0x%02x and 0x%02x in one event; an event has exactly one body",
                             (unsigned)e->body, (unsigned)code);
    e->body = code;
    if (code == HUB_SECTION_DATA)
        e->data = (struct hub_slice){v->bytes, v->len};
    if (code == HUB_SECTION_VALUE)
        e->value = (struct hub_slice){v->raw, v->raw_len};
    return 0;
}

static int section_shape(enum hub_section code, const struct hub_value *v, struct hub_error *why)
{
    enum hub_type wanted = HUB_MAP;

    if (code == HUB_SECTION_VALUE)
        return 0;
    if (code == HUB_SECTION_HEADER || code == HUB_SECTION_PROPERTIES || code == HUB_SECTION_SEQUENCE)
        wanted = HUB_LIST;
    if (code == HUB_SECTION_DATA)
        wanted = HUB_BINARY;
    if (v->type != wanted)
        return hub_error_set(why, "amqp:decode-error", "section 0x%02x holds a value of the wrong type", (unsigned)code);
    return 0;
}

/* A batch of one that was sent with format 0 has a single data section too; it shows by its body being a whole event. */
static int single_check(const struct hub_event *e, struct hub_error *why)
{
    struct hub_event inner;
    struct hub_error ignored;

    if (e->body != HUB_SECTION_DATA || e->data.len < 5 || e->data.bytes[0] != 0 || e->data.bytes[1] != 0x53)
        return 0;
    if (hub_event_read(&inner, e->data.bytes, e->data.len, &ignored) < 0)
        return 0;
    return hub_error_set(why, "amqp:not-allowed", "the body of %zu bytes is an encoded event: a batch needs message format 0x%08x, not 0",
                         e->data.len, HUB_FORMAT_BATCH);
}

static int malformed(struct hub_error *why, const uint8_t *start, const uint8_t *at)
{
    return hub_error_set(why, "amqp:decode-error", "no valid message section at offset %zu", (size_t)(at - start));
}
