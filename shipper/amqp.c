/* AMQP 1.0 bytes of events, envelopes and data sections: sizes first, so that the writing below checks nothing. */
#include "amqp.h"

#include <errno.h>
#include <string.h>

/* header: list8 of durable = true and four nulls, spelled out because the Python SDK decodes lists by position */
static const uint8_t durable_header[12] = {0x00, 0x53, 0x70, 0xc0, 0x07, 0x05, 0x56, 0x01, 0x40, 0x40, 0x40, 0x40};
/* of a message: the short form of true, the only one that RabbitMQ 3.10 takes for true: it does not keep a message of the other */
static const uint8_t message_header[7] = {0x00, 0x53, 0x70, 0xc0, 0x02, 0x01, 0x41};
/* the only message annotation: symbol x-opt-partition-key */
static const uint8_t key_symbol[21] = {0xa3, 0x13, 'x', '-', 'o', 'p', 't', '-', 'p', 'a', 'r',
                                       't',  'i',  't', 'i', 'o', 'n', '-', 'k', 'e', 'y'};

enum { LIST8 = 0xc0, MAP8 = 0xc1, LIST32 = 0xd0, MAP32 = 0xd1 };
enum { SECTION_ANNOTATIONS = 0x72, SECTION_PROPERTIES = 0x73, SECTION_APPLICATION = 0x74 };
enum { CODE_BINARY8 = 0xa0, CODE_STRING8 = 0xa1, CODE_SYMBOL8 = 0xa3 }; /* the 32-bit forms are 0x10 more */
enum {
    FIELD_NONE = -1,
    FIELD_MESSAGE_ID = 0,
    FIELD_SUBJECT = 3,
    FIELD_CORRELATION_ID = 5,
    FIELD_CONTENT_TYPE = 6,
    FIELD_CREATION_TIME = 9,
    FIELD_GROUP_ID = 10,
    FIELD_COUNT
};

static size_t head_bytes(const struct amqp_event *event);
static bool has_annotation(const struct amqp_event *event);
static size_t annotation_body_bytes(const struct amqp_event *event);
static size_t text_bytes(size_t len);
static size_t compound_bytes(size_t body_bytes, size_t count);
static int properties_last_field(const struct amqp_event *event);
static size_t properties_body_bytes(const struct amqp_event *event, int last_field);
static size_t application_body_bytes(const struct amqp_event *event);
static size_t value_bytes(const struct amqp_property *property);
static struct amqp_text field_text(const struct amqp_event *event, int field);
static uint8_t *put_key_sections(uint8_t *to, struct amqp_text key);
static uint8_t *put_message_sections(uint8_t *to, const struct amqp_event *event);
static uint8_t *put_properties(uint8_t *to, const struct amqp_event *event);
static uint8_t *put_application(uint8_t *to, const struct amqp_event *event);
static uint8_t *put_data_head(uint8_t *to, size_t len);
static uint8_t *put_compound(uint8_t *to, uint8_t section, uint8_t code8, size_t body_bytes, size_t count);
static uint8_t *put_text(uint8_t *to, uint8_t code8, struct amqp_text text);
static uint8_t *put_field(uint8_t *to, uint8_t code8, struct amqp_text text);
static uint8_t *put_value(uint8_t *to, const struct amqp_property *property);
static uint8_t *put_int(uint8_t *to, int64_t value);
static uint8_t *put_uint(uint8_t *to, uint64_t value);
static uint8_t *put_code64(uint8_t *to, uint8_t code, uint64_t value);
static uint8_t *put_be32(uint8_t *to, uint32_t value);

int64_t amqp_encode_event_head(const struct amqp_event *event, uint8_t *to, size_t cap)
{
    size_t bytes = head_bytes(event);
    if (event->property_count > AMQP_PROPERTIES_MAX || bytes > UINT32_MAX)
        return -EINVAL;
    if (bytes > cap)
        return -ENOSPC;
    if (event->is_message)
        to = put_message_sections(to, event);
    else if (event->key.data != NULL)
        to = put_key_sections(to, event->key);
    if (properties_last_field(event) != FIELD_NONE)
        to = put_properties(to, event);
    if (event->property_count > 0)
        to = put_application(to, event);
    put_data_head(to, event->body_len);
    return (int64_t)bytes;
}

size_t amqp_event_bytes(const struct amqp_event *event)
{
    return head_bytes(event) + event->body_len;
}

int64_t amqp_encode_envelope(struct amqp_text key, uint8_t *to, size_t cap)
{
    size_t bytes = amqp_envelope_bytes(key);
    if (bytes > cap)
        return -ENOSPC;
    if (key.data != NULL)
        put_key_sections(to, key);
    return (int64_t)bytes;
}

size_t amqp_envelope_bytes(struct amqp_text key)
{
    if (key.data == NULL)
        return 0;
    return sizeof durable_header + 3 + compound_bytes(sizeof key_symbol + text_bytes(key.len), 2);
}

int64_t amqp_encode_section_head(size_t event_bytes, uint8_t *to, size_t cap)
{
    size_t bytes = amqp_section_bytes(event_bytes) - event_bytes;
    if (bytes > cap)
        return -ENOSPC;
    put_data_head(to, event_bytes);
    return (int64_t)bytes;
}

uint8_t *amqp_encode_plain_heads(size_t body_len, uint8_t *to)
{
    return put_data_head(put_data_head(to, amqp_section_bytes(body_len)), body_len);
}

/* ---- sizes ---- */

static size_t head_bytes(const struct amqp_event *event)
{
    size_t bytes = event->body_len <= 255 ? AMQP_SECTION_SHORT : AMQP_SECTION_LONG;
    if (event->is_message)
        bytes += sizeof message_header + (has_annotation(event) ? 3 + compound_bytes(annotation_body_bytes(event), 2) : 0);
    else if (event->key.data != NULL)
        bytes += amqp_envelope_bytes(event->key);
    int last_field = properties_last_field(event);
    if (last_field != FIELD_NONE)
        bytes += 3 + compound_bytes(properties_body_bytes(event, last_field), (size_t)last_field + 1);
    if (event->property_count > 0)
        bytes += 3 + compound_bytes(application_body_bytes(event), 2 * (size_t)event->property_count);
    return bytes;
}

static bool has_annotation(const struct amqp_event *event)
{
    return event->key.data != NULL && event->key_annotation.data != NULL;
}

static size_t annotation_body_bytes(const struct amqp_event *event)
{
    return text_bytes(event->key_annotation.len) + text_bytes(event->key.len);
}

static size_t text_bytes(size_t len)
{
    return len + (len <= 255 ? 2 : 5);
}

/* A list or map with its constructor, size and count; the 8-bit form counts its own count byte in its size. */
static size_t compound_bytes(size_t body_bytes, size_t count)
{
    return body_bytes + (body_bytes + 1 <= 255 && count <= 255 ? 3 : 9);
}

/* The properties list ends with its last field that is there. */
static int properties_last_field(const struct amqp_event *event)
{
    for (int field = FIELD_COUNT - 1; field >= 0; field--)
        if (field == FIELD_CREATION_TIME ? event->creation_ms != 0 : field_text(event, field).data != NULL)
            return field;
    return FIELD_NONE;
}

static size_t properties_body_bytes(const struct amqp_event *event, int last_field)
{
    size_t bytes = (size_t)last_field + 1; /* a null each, of which those that are there take the place */
    for (int field = 0; field <= last_field; field++) {
        struct amqp_text text = field_text(event, field);
        if (text.data != NULL)
            bytes += text_bytes(text.len) - 1;
    }
    return bytes + (event->creation_ms != 0 ? 9 - 1 : 0);
}

/* Of the fields that we have; the others are null. */
static struct amqp_text field_text(const struct amqp_event *event, int field)
{
    switch (field) {
    case FIELD_MESSAGE_ID:
        return event->message_id;
    case FIELD_SUBJECT:
        return event->subject;
    case FIELD_CORRELATION_ID:
        return event->correlation_id;
    case FIELD_CONTENT_TYPE:
        return event->content_type;
    case FIELD_GROUP_ID:
        return event->group_id;
    default:
        return (struct amqp_text){0};
    }
}

static size_t application_body_bytes(const struct amqp_event *event)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < event->property_count && i < AMQP_PROPERTIES_MAX; i++)
        bytes += text_bytes(event->property[i].name.len) + value_bytes(&event->property[i]);
    return bytes;
}

static size_t value_bytes(const struct amqp_property *property)
{
    int64_t integer = property->integer;
    switch (property->type) {
    case AMQP_STRING:
    case AMQP_BINARY:
        return text_bytes(property->bytes.len);
    case AMQP_BOOL:
        return 1;
    case AMQP_INT:
        return integer >= INT8_MIN && integer <= INT8_MAX ? 2 : integer >= INT32_MIN && integer <= INT32_MAX ? 5 : 9;
    case AMQP_UINT:
        return integer == 0 ? 1 : (uint64_t)integer <= 255 ? 2 : 9;
    case AMQP_DOUBLE:
    case AMQP_TIMESTAMP:
        return 9;
    case AMQP_UUID:
        return 17;
    }
    return 0;
}

/* ---- bytes: room was checked by the sizes above ---- */

static uint8_t *put_key_sections(uint8_t *to, struct amqp_text key)
{
    memcpy(to, durable_header, sizeof durable_header);
    to = put_compound(to + sizeof durable_header, SECTION_ANNOTATIONS, MAP8, sizeof key_symbol + text_bytes(key.len), 2);
    memcpy(to, key_symbol, sizeof key_symbol);
    return put_text(to + sizeof key_symbol, CODE_STRING8, key);
}

static uint8_t *put_message_sections(uint8_t *to, const struct amqp_event *event)
{
    memcpy(to, message_header, sizeof message_header);
    to += sizeof message_header;
    if (!has_annotation(event))
        return to;
    to = put_compound(to, SECTION_ANNOTATIONS, MAP8, annotation_body_bytes(event), 2);
    return put_text(put_text(to, CODE_SYMBOL8, event->key_annotation), CODE_STRING8, event->key);
}

static uint8_t *put_properties(uint8_t *to, const struct amqp_event *event)
{
    int last_field = properties_last_field(event);
    to = put_compound(to, SECTION_PROPERTIES, LIST8, properties_body_bytes(event, last_field), (size_t)last_field + 1);
    for (int field = 0; field <= last_field; field++) {
        if (field == FIELD_CREATION_TIME && event->creation_ms != 0)
            to = put_code64(to, 0x83, (uint64_t)event->creation_ms);
        else
            to = put_field(to, field == FIELD_CONTENT_TYPE ? CODE_SYMBOL8 : CODE_STRING8, field_text(event, field));
    }
    return to;
}

static uint8_t *put_application(uint8_t *to, const struct amqp_event *event)
{
    to = put_compound(to, SECTION_APPLICATION, MAP8, application_body_bytes(event), 2 * (size_t)event->property_count);
    for (uint32_t i = 0; i < event->property_count; i++) {
        to = put_text(to, CODE_STRING8, event->property[i].name);
        to = put_value(to, &event->property[i]);
    }
    return to;
}

static uint8_t *put_data_head(uint8_t *to, size_t len)
{
    static const uint8_t short_head[4] = {0x00, 0x53, 0x75, 0xa0}, long_head[4] = {0x00, 0x53, 0x75, 0xb0};
    if (len <= 255) {
        memcpy(to, short_head, 4);
        to[4] = (uint8_t)len;
        return to + AMQP_SECTION_SHORT;
    }
    memcpy(to, long_head, 4);
    return put_be32(to + 4, (uint32_t)len);
}

static uint8_t *put_compound(uint8_t *to, uint8_t section, uint8_t code8, size_t body_bytes, size_t count)
{
    to[0] = 0x00;
    to[1] = 0x53;
    to[2] = section;
    if (body_bytes + 1 <= 255 && count <= 255) {
        to[3] = code8;
        to[4] = (uint8_t)(body_bytes + 1);
        to[5] = (uint8_t)count;
        return to + 6;
    }
    to[3] = code8 + (LIST32 - LIST8);
    to = put_be32(to + 4, (uint32_t)(body_bytes + 4));
    return put_be32(to, (uint32_t)count);
}

static uint8_t *put_text(uint8_t *to, uint8_t code8, struct amqp_text text)
{
    if (text.len <= 255) {
        to[0] = code8;
        to[1] = (uint8_t)text.len;
        to += 2;
    } else {
        to[0] = code8 + 0x10;
        to = put_be32(to + 1, text.len);
    }
    memcpy(to, text.data, text.len);
    return to + text.len;
}

static uint8_t *put_field(uint8_t *to, uint8_t code8, struct amqp_text text)
{
    if (text.data != NULL)
        return put_text(to, code8, text);
    *to = 0x40;
    return to + 1;
}

static uint8_t *put_value(uint8_t *to, const struct amqp_property *property)
{
    uint64_t bits;
    switch (property->type) {
    case AMQP_STRING:
        return put_text(to, CODE_STRING8, property->bytes);
    case AMQP_BINARY:
        return put_text(to, CODE_BINARY8, property->bytes);
    case AMQP_BOOL:
        to[0] = property->integer != 0 ? 0x41 : 0x42; /* the JavaScript SDK reads 0x56 0x01 as the number 1 */
        return to + 1;
    case AMQP_INT:
        return put_int(to, property->integer);
    case AMQP_UINT:
        return put_uint(to, (uint64_t)property->integer);
    case AMQP_DOUBLE:
        memcpy(&bits, &property->real, 8);
        return put_code64(to, 0x82, bits);
    case AMQP_TIMESTAMP:
        return put_code64(to, 0x83, (uint64_t)property->integer);
    case AMQP_UUID:
        to[0] = 0x98;
        memcpy(to + 1, property->bytes.data, 16);
        return to + 17;
    }
    return to;
}

static uint8_t *put_int(uint8_t *to, int64_t value)
{
    if (value >= INT8_MIN && value <= INT8_MAX) {
        to[0] = 0x54;
        to[1] = (uint8_t)value;
        return to + 2;
    }
    if (value < INT32_MIN || value > INT32_MAX)
        return put_code64(to, 0x81, (uint64_t)value);
    to[0] = 0x71;
    return put_be32(to + 1, (uint32_t)value);
}

static uint8_t *put_uint(uint8_t *to, uint64_t value)
{
    if (value > 255)
        return put_code64(to, 0x80, value);
    if (value == 0) {
        to[0] = 0x44;
        return to + 1;
    }
    to[0] = 0x53;
    to[1] = (uint8_t)value;
    return to + 2;
}

static uint8_t *put_code64(uint8_t *to, uint8_t code, uint64_t value)
{
    to[0] = code;
    value = __builtin_bswap64(value);
    memcpy(to + 1, &value, 8);
    return to + 9;
}

static uint8_t *put_be32(uint8_t *to, uint32_t value)
{
    value = __builtin_bswap32(value);
    memcpy(to, &value, 4);
    return to + 4;
}
