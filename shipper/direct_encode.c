/* Events of libehring-direct into one AMQP message: a single event, or a batch. */
#include "direct_internal.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "utf8.h"

static int message_reserve(struct ehring_direct *direct, size_t len);
static int event_fill(struct ehring_direct *direct, const struct ehring_direct_event *event, const char *key, size_t index);
static int property_fill(struct ehring_direct *direct, const struct ehring_direct_property *property, struct amqp_property *to,
                         size_t index);
static int text_fill(struct ehring_direct *direct, const char *what, const char *text, size_t index, struct amqp_text *to);
static struct amqp_text key_text(const char *key);
static size_t put_event(struct ehring_direct *direct, const struct ehring_direct_event *event, size_t at);

int64_t direct_encode_event(struct ehring_direct *direct, const struct ehring_direct_event *event, const char *key)
{
    int ret = event_fill(direct, event, key, 0);
    if (ret < 0)
        return ret;
    size_t len = amqp_event_bytes(&direct->event);
    ret = message_reserve(direct, len);
    if (ret < 0)
        return ret;
    size_t put = put_event(direct, event, 0);
    assert(put == len);
    return (int64_t)len;
}

int64_t direct_encode_batch(struct ehring_direct *direct, const struct ehring_direct_event *events, size_t event_count, const char *key)
{
    size_t len = amqp_envelope_bytes(key_text(key));
    for (size_t i = 0; i < event_count; i++) {
        int ret = event_fill(direct, &events[i], key, i);
        if (ret < 0)
            return ret;
        len += amqp_section_bytes(amqp_event_bytes(&direct->event));
    }
    int ret = message_reserve(direct, len);
    if (ret < 0)
        return ret;
    int64_t at = amqp_encode_envelope(key_text(key), direct->message, direct->message_cap);
    assert(at >= 0);
    for (size_t i = 0; i < event_count; i++) {
        ret = event_fill(direct, &events[i], key, i);
        assert(ret == 0);
        int64_t head = amqp_encode_section_head(amqp_event_bytes(&direct->event), direct->message + at, direct->message_cap - (size_t)at);
        assert(head > 0);
        at += head;
        at += (int64_t)put_event(direct, &events[i], (size_t)at);
    }
    assert((size_t)at == len);
    return at;
}

int64_t direct_encode_run(struct ehring_direct *direct, const struct ehring_direct_event *events, size_t event_count, const char *key)
{
    size_t len = 0;
    uint32_t *lens = event_count <= UINT32_MAX / sizeof *lens ? realloc(direct->lens, event_count * sizeof *lens) : NULL;
    if (!lens)
        return direct_fail(direct, -ENOMEM, "no memory for %zu events", event_count);
    direct->lens = lens;
    for (size_t i = 0; i < event_count; i++) {
        int ret = event_fill(direct, &events[i], key, i);
        if (ret < 0)
            return ret;
        lens[i] = (uint32_t)amqp_event_bytes(&direct->event);
        len += lens[i];
    }
    int ret = message_reserve(direct, len);
    if (ret < 0)
        return ret;
    size_t at = 0;
    for (size_t i = 0; i < event_count; i++) {
        ret = event_fill(direct, &events[i], key, i);
        assert(ret == 0);
        at += put_event(direct, &events[i], at);
    }
    assert(at == len);
    return (int64_t)len;
}

static int message_reserve(struct ehring_direct *direct, size_t len)
{
    if (len <= direct->message_cap)
        return 0;
    uint8_t *grown = realloc(direct->message, len);
    if (!grown)
        return direct_fail(direct, -ENOMEM, "no memory for a message of %zu bytes", len);
    direct->message = grown;
    direct->message_cap = len;
    return 0;
}

/* Into the handle's scratch; pointers go into the caller's event. */
static int event_fill(struct ehring_direct *direct, const struct ehring_direct_event *event, const char *key, size_t index)
{
    static_assert(EHRING_DIRECT_PROPERTIES_MAX <= AMQP_PROPERTIES_MAX, "properties");
    struct amqp_event *to = &direct->event;
    if (event->len > 0 && !event->data)
        return direct_fail(direct, -EINVAL, "event %zu has a length and no data", index);
    if (event->len > UINT32_MAX / 2)
        return direct_fail(direct, -EMSGSIZE, "event %zu of %zu bytes exceeds every limit", index, event->len);
    if (event->property_count > EHRING_DIRECT_PROPERTIES_MAX)
        return direct_fail(direct, -EINVAL, "event %zu has %zu properties, at most %u", index, event->property_count,
                           EHRING_DIRECT_PROPERTIES_MAX);
    bool is_broker = direct->door.type == DOOR_AMQP;
    to->is_message = is_broker;
    to->key = key_text(is_broker ? NULL : key);
    to->key_annotation = to->subject = to->group_id = (struct amqp_text){0};
    to->creation_ms = 0;
    to->body_len = (uint32_t)event->len;
    to->property_count = (uint32_t)event->property_count;
    int ret = text_fill(direct, "content type", event->content_type, index, &to->content_type);
    if (ret == 0)
        ret = text_fill(direct, "message id", event->message_id, index, &to->message_id);
    if (ret == 0)
        ret = text_fill(direct, "correlation id", event->correlation_id, index, &to->correlation_id);
    for (size_t i = 0; ret == 0 && i < event->property_count; i++)
        ret = property_fill(direct, &event->properties[i], &to->property[i], index);
    if (ret == 0 && is_broker && key && door_place_key(&direct->door, key_text(key), to) != 0)
        ret = direct_fail(direct, -EINVAL, "event %zu has no room for its key among its properties", index);
    return ret;
}

static int property_fill(struct ehring_direct *direct, const struct ehring_direct_property *property, struct amqp_property *to,
                         size_t index)
{
    static const enum amqp_type types[] = {
        [EHRING_DIRECT_TEXT] = AMQP_STRING, [EHRING_DIRECT_BOOL] = AMQP_BOOL,     [EHRING_DIRECT_INT] = AMQP_INT,
        [EHRING_DIRECT_UINT] = AMQP_UINT,   [EHRING_DIRECT_DOUBLE] = AMQP_DOUBLE, [EHRING_DIRECT_TIMESTAMP] = AMQP_TIMESTAMP,
        [EHRING_DIRECT_BYTES] = AMQP_BINARY};
    memset(to, 0, sizeof *to);
    if (!property->name || !property->name[0])
        return direct_fail(direct, -EINVAL, "event %zu has a property without a name", index);
    if (property->type < EHRING_DIRECT_TEXT || property->type > EHRING_DIRECT_BYTES)
        return direct_fail(direct, -EINVAL, "event %zu has a property of no known type", index);
    to->type = types[property->type];
    int ret = text_fill(direct, "property name", property->name, index, &to->name);
    if (ret < 0)
        return ret;
    switch (property->type) {
    case EHRING_DIRECT_TEXT:
        to->bytes.data = (const uint8_t *)property->value.text;
        to->bytes.len = property->value.text ? (uint32_t)(property->len ? property->len : strlen(property->value.text)) : 0;
        if (!to->bytes.data || !utf8_is_valid(to->bytes.data, to->bytes.len))
            return direct_fail(direct, to->bytes.data ? -EILSEQ : -EINVAL, "property %s of event %zu is not a UTF-8 text", property->name,
                               index);
        break;
    case EHRING_DIRECT_BYTES:
        to->bytes.data = property->len ? property->value.bytes : (const void *)"";
        to->bytes.len = (uint32_t)property->len;
        if (!to->bytes.data || property->len > UINT32_MAX / 2)
            return direct_fail(direct, -EINVAL, "property %s of event %zu has no bytes, or too many", property->name, index);
        break;
    case EHRING_DIRECT_BOOL:
        to->integer = property->value.yes;
        break;
    case EHRING_DIRECT_UINT:
        to->integer = (int64_t)property->value.u64;
        break;
    case EHRING_DIRECT_INT:
    case EHRING_DIRECT_TIMESTAMP:
        to->integer = property->value.i64;
        break;
    case EHRING_DIRECT_DOUBLE:
        to->real = property->value.f64;
        break;
    }
    return 0;
}

static int text_fill(struct ehring_direct *direct, const char *what, const char *text, size_t index, struct amqp_text *to)
{
    *to = key_text(text);
    if (text && strlen(text) > UINT16_MAX)
        return direct_fail(direct, -EINVAL, "%s of event %zu has %zu bytes, at most %u", what, index, strlen(text), UINT16_MAX);
    return text && !utf8_is_valid(to->data, to->len) ? direct_fail(direct, -EILSEQ, "%s of event %zu is not UTF-8", what, index) : 0;
}

static struct amqp_text key_text(const char *key)
{
    return (struct amqp_text){.data = (const uint8_t *)key, .len = key ? (uint32_t)strlen(key) : 0};
}

/* The event in scratch and its body at `at` of the message, which has room. Returns the bytes. */
static size_t put_event(struct ehring_direct *direct, const struct ehring_direct_event *event, size_t at)
{
    int64_t head = amqp_encode_event_head(&direct->event, direct->message + at, direct->message_cap - at);
    assert(head > 0 && (size_t)head + event->len <= direct->message_cap - at);
    if (event->len > 0)
        memcpy(direct->message + at + head, event->data, event->len);
    return (size_t)head + event->len;
}
