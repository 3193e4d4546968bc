/* An event's optional fields and properties as the TLVs of a record's meta block. Pure. */
#include <string.h>

#include "ehring_internal.h"

static_assert(EHRING_META_BYTES_MAX + 8 == RING_META_BYTES_MAX, "room for the length word and padding");
static_assert((int)EHRING_TYPE_TEXT == RING_TYPE_STRING && (int)EHRING_TYPE_BOOL == RING_TYPE_BOOL, "types");
static_assert((int)EHRING_TYPE_INT == RING_TYPE_INT && (int)EHRING_TYPE_UINT == RING_TYPE_UINT, "types");
static_assert((int)EHRING_TYPE_DOUBLE == RING_TYPE_DOUBLE && (int)EHRING_TYPE_TIMESTAMP == RING_TYPE_TIMESTAMP, "types");
static_assert((int)EHRING_TYPE_BYTES == RING_TYPE_BINARY && (int)EHRING_TYPE_UUID == RING_TYPE_UUID, "types");

struct out {
    uint8_t *bytes;
    uint32_t len;
};

struct value {
    const void *bytes;
    size_t len;
};

static int put_text(struct out *out, enum ring_meta_tag tag, const char *text);
static int check_ascii(const char *text);
static int check_short(const char *text);
static int put_properties(struct out *out, const struct ehring_event *event);
static int put_property(struct out *out, const struct ehring_property *property);
static int property_value(const struct ehring_property *property, struct value *value);
static int text_value(const struct ehring_property *property, struct value *value);
static bool named_before(const struct ehring_property *properties, size_t index);
static int put_tlv(struct out *out, struct ring_tlv tlv, const void *name, const void *value);

int meta_build(const struct ehring_event *event, uint8_t *meta, uint32_t *meta_len)
{
    struct out out = {.bytes = meta};
    int err;

    if ((err = check_ascii(event->content_type)) || (err = check_short(event->traceparent)) ||
        (err = put_text(&out, RING_META_CONTENT_TYPE, event->content_type)) ||
        (err = put_text(&out, RING_META_MESSAGE_ID, event->message_id)) ||
        (err = put_text(&out, RING_META_CORRELATION_ID, event->correlation_id)) ||
        (err = put_text(&out, RING_META_SCHEMA_VERSION, event->schema_version)) ||
        (err = put_text(&out, RING_META_TRACEPARENT, event->traceparent)) || (err = put_properties(&out, event)))
        return err;
    *meta_len = out.len;
    return 0;
}

static int put_text(struct out *out, enum ring_meta_tag tag, const char *text)
{
    size_t len;

    if (!text)
        return 0;
    len = strnlen(text, EHRING_META_BYTES_MAX);
    if (len >= EHRING_META_BYTES_MAX)
        return EHRING_E_META_TOO_LARGE;
    if (utf8_count(text, len) < 0)
        return EHRING_E_TEXT_NOT_UTF8;
    return put_tlv(out, (struct ring_tlv){.tag = (uint8_t)tag, .type = RING_TYPE_STRING, .value_len = (uint32_t)len}, NULL, text);
}

/* On the wire a content type is a symbol, which is ASCII. */
static int check_ascii(const char *text)
{
    for (; text && *text; text++)
        if ((unsigned char)*text >= 0x80)
            return EHRING_E_TEXT_NOT_UTF8;
    return 0;
}

/* On the wire it is there twice, under the name of the standard and under that of the SDKs: RING_ENVELOPE_BYTES has room for one of this
 * length. */
static int check_short(const char *text)
{
    return text && strnlen(text, EHRING_TRACEPARENT_BYTES_MAX + 1) > EHRING_TRACEPARENT_BYTES_MAX ? EHRING_E_META_TOO_LARGE : 0;
}

static int put_properties(struct out *out, const struct ehring_event *event)
{
    if (event->property_count > EHRING_PROPERTIES_MAX || (event->property_count > 0 && !event->properties))
        return EHRING_E_PROPERTY;
    for (size_t i = 0; i < event->property_count; i++) {
        int err = put_property(out, &event->properties[i]);
        if (err)
            return err;
        if (named_before(event->properties, i))
            return EHRING_E_PROPERTY;
    }
    return 0;
}

static int put_property(struct out *out, const struct ehring_property *property)
{
    struct value value;
    size_t name_len;
    int err;

    if (!property->name)
        return EHRING_E_PROPERTY;
    name_len = strnlen(property->name, EHRING_PROPERTY_NAME_BYTES_MAX + 1);
    if (name_len == 0 || name_len > EHRING_PROPERTY_NAME_BYTES_MAX || utf8_count(property->name, name_len) < 0)
        return EHRING_E_PROPERTY;
    err = property_value(property, &value);
    if (err)
        return err;
    if (value.len > EHRING_META_BYTES_MAX)
        return EHRING_E_META_TOO_LARGE;
    struct ring_tlv tlv = {
        .tag = RING_META_PROPERTY,
        .type = (uint8_t)property->type,
        .name_len = (uint16_t)name_len,
        .value_len = (uint32_t)value.len,
    };
    return put_tlv(out, tlv, property->name, value.bytes);
}

/* All eight-byte values lie at the union's start, as bool does, in the byte order of the file. */
static int property_value(const struct ehring_property *property, struct value *value)
{
    switch (property->type) {
    case EHRING_TYPE_TEXT:
        return text_value(property, value);
    case EHRING_TYPE_BOOL:
        *value = (struct value){property->value.yes ? "\1" : "\0", 1};
        return 0;
    case EHRING_TYPE_INT:
    case EHRING_TYPE_UINT:
    case EHRING_TYPE_DOUBLE:
    case EHRING_TYPE_TIMESTAMP:
        *value = (struct value){&property->value, 8};
        return 0;
    case EHRING_TYPE_BYTES:
        *value = (struct value){property->value.bytes, property->len};
        return value->bytes || value->len == 0 ? 0 : EHRING_E_PROPERTY;
    case EHRING_TYPE_UUID:
        *value = (struct value){property->value.uuid, 16};
        return value->bytes ? 0 : EHRING_E_PROPERTY;
    }
    return EHRING_E_PROPERTY;
}

static int text_value(const struct ehring_property *property, struct value *value)
{
    const char *text = property->value.text;

    if (!text)
        return EHRING_E_PROPERTY;
    *value = (struct value){text, property->len > 0 ? property->len : strnlen(text, RING_META_BYTES_MAX)};
    if (value->len > EHRING_META_BYTES_MAX)
        return EHRING_E_META_TOO_LARGE;
    return utf8_count(text, value->len) < 0 ? EHRING_E_PROPERTY : 0;
}

/* On the wire the properties are a map, where a name may be but once. */
static bool named_before(const struct ehring_property *properties, size_t index)
{
    for (size_t i = 0; i < index; i++)
        if (strcmp(properties[i].name, properties[index].name) == 0)
            return true;
    return false;
}

static int put_tlv(struct out *out, struct ring_tlv tlv, const void *name, const void *value)
{
    uint64_t len = sizeof(tlv) + tlv.name_len + (uint64_t)tlv.value_len;

    if (len > EHRING_META_BYTES_MAX - out->len)
        return EHRING_E_META_TOO_LARGE;
    memcpy(out->bytes + out->len, &tlv, sizeof(tlv));
    if (tlv.name_len > 0)
        memcpy(out->bytes + out->len + sizeof(tlv), name, tlv.name_len);
    if (tlv.value_len > 0)
        memcpy(out->bytes + out->len + sizeof(tlv) + tlv.name_len, value, tlv.value_len);
    out->len += (uint32_t)len;
    return 0;
}
