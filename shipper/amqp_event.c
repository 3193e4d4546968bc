/* A ring record's meta block to the fields of an AMQP event. The block was written by someone else: every length is bounded, every text is
 * UTF-8. */
#include "amqp.h"

#include <errno.h>
#include <string.h>

#include "ringbuf/ring_layout.h"
#include "utf8.h"

#define NAME_BYTES_MAX 255u

struct extras { /* single fields that travel as application properties */
    struct amqp_text schema_version;
    struct amqp_text traceparent;
};

static int tlv_take(const struct ring_tlv *tlv, const uint8_t *name, struct amqp_event *event, struct extras *extras);
static int text_take(const struct ring_tlv *tlv, const uint8_t *value, struct amqp_text *text);
static int property_take(const struct ring_tlv *tlv, const uint8_t *name, struct amqp_event *event);
static int value_take(const struct ring_tlv *tlv, const uint8_t *value, struct amqp_property *property);
static int number_take(const struct ring_tlv *tlv, const uint8_t *value, enum amqp_type type, struct amqp_property *property);

int amqp_event_from_meta(const uint8_t *meta, uint32_t meta_len, struct amqp_event *event)
{
    struct extras extras = {{0}, {0}};
    event->message_id = event->correlation_id = event->content_type = (struct amqp_text){0};
    event->property_count = 0;
    for (uint32_t at = 0; at < meta_len;) {
        struct ring_tlv tlv;
        if (meta_len - at < sizeof tlv)
            return -EBADMSG;
        memcpy(&tlv, meta + at, sizeof tlv);
        at += (uint32_t)sizeof tlv;
        if (tlv.name_len > meta_len - at || tlv.value_len > meta_len - at - tlv.name_len)
            return -EBADMSG;
        int error = tlv_take(&tlv, meta + at, event, &extras);
        if (error != 0)
            return error;
        at += tlv.name_len + tlv.value_len;
    }
    int error = amqp_event_add_property(event, "schema-version", 14, extras.schema_version);
    if (error == 0)
        error = amqp_event_add_property(event, "traceparent", 11, extras.traceparent);
    return error != 0 ? error : amqp_event_add_property(event, "Diagnostic-Id", 13, extras.traceparent);
}

static int tlv_take(const struct ring_tlv *tlv, const uint8_t *name, struct amqp_event *event, struct extras *extras)
{
    switch (tlv->tag) {
    case RING_META_CONTENT_TYPE:
        return text_take(tlv, name, &event->content_type);
    case RING_META_MESSAGE_ID:
        return text_take(tlv, name, &event->message_id);
    case RING_META_CORRELATION_ID:
        return text_take(tlv, name, &event->correlation_id);
    case RING_META_SCHEMA_VERSION:
        return text_take(tlv, name, &extras->schema_version);
    case RING_META_TRACEPARENT:
        return text_take(tlv, name, &extras->traceparent);
    case RING_META_PROPERTY:
        return property_take(tlv, name, event);
    default:
        return -EBADMSG;
    }
}

/* A field of single use: no name, at most once. */
static int text_take(const struct ring_tlv *tlv, const uint8_t *value, struct amqp_text *text)
{
    if (tlv->name_len != 0 || tlv->type != RING_TYPE_STRING || text->data != NULL || !utf8_is_valid(value, tlv->value_len))
        return -EBADMSG;
    *text = (struct amqp_text){value, tlv->value_len};
    return 0;
}

static int property_take(const struct ring_tlv *tlv, const uint8_t *name, struct amqp_event *event)
{
    if (tlv->name_len == 0 || tlv->name_len > NAME_BYTES_MAX || event->property_count == AMQP_PROPERTIES_MAX ||
        !utf8_is_valid(name, tlv->name_len))
        return -EBADMSG;
    struct amqp_property *property = &event->property[event->property_count++];
    property->name = (struct amqp_text){name, tlv->name_len};
    return value_take(tlv, name + tlv->name_len, property);
}

static int value_take(const struct ring_tlv *tlv, const uint8_t *value, struct amqp_property *property)
{
    property->bytes = (struct amqp_text){value, tlv->value_len};
    switch (tlv->type) {
    case RING_TYPE_STRING:
        property->type = AMQP_STRING;
        return utf8_is_valid(value, tlv->value_len) ? 0 : -EBADMSG;
    case RING_TYPE_BINARY:
        property->type = AMQP_BINARY;
        return 0;
    case RING_TYPE_UUID:
        property->type = AMQP_UUID;
        return tlv->value_len == 16 ? 0 : -EBADMSG;
    case RING_TYPE_BOOL:
        property->type = AMQP_BOOL;
        property->integer = tlv->value_len == 1 ? value[0] : 2;
        return property->integer <= 1 ? 0 : -EBADMSG;
    case RING_TYPE_INT:
        return number_take(tlv, value, AMQP_INT, property);
    case RING_TYPE_UINT:
        return number_take(tlv, value, AMQP_UINT, property);
    case RING_TYPE_DOUBLE:
        return number_take(tlv, value, AMQP_DOUBLE, property);
    case RING_TYPE_TIMESTAMP:
        return number_take(tlv, value, AMQP_TIMESTAMP, property);
    default:
        return -EBADMSG;
    }
}

static int number_take(const struct ring_tlv *tlv, const uint8_t *value, enum amqp_type type, struct amqp_property *property)
{
    if (tlv->value_len != 8)
        return -EBADMSG;
    property->type = type;
    memcpy(&property->integer, value, 8);
    memcpy(&property->real, value, 8);
    return 0;
}

/* The producer's own property of the name wins. */
int amqp_event_add_property(struct amqp_event *event, const char *name, uint32_t name_len, struct amqp_text value)
{
    if (value.data == NULL)
        return 0;
    for (uint32_t i = 0; i < event->property_count; i++)
        if (event->property[i].name.len == name_len && memcmp(event->property[i].name.data, name, name_len) == 0)
            return 0;
    if (event->property_count == AMQP_PROPERTIES_MAX)
        return -EBADMSG;
    event->property[event->property_count++] =
        (struct amqp_property){.name = {(const uint8_t *)name, name_len}, .type = AMQP_STRING, .bytes = value};
    return 0;
}
