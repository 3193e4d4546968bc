/* The messages of requests: encodes put-token and READ, reads their replies. Pure but for memory. */
#include "request.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <proton/codec.h>
#include <proton/condition.h>
#include <proton/message.h>

#define MESSAGE_BYTES_MAX 60000u /* one frame */

struct writer {
    uint8_t *at;
};

static void put_bytes(struct writer *writer, const void *bytes, size_t len);
static void put_byte(struct writer *writer, uint8_t byte);
static void put_be(struct writer *writer, uint64_t value, int bytes);
static void put_string(struct writer *writer, const char *text);
static void put_properties(struct writer *writer, uint64_t id, const char *reply_to);
static void put_fields(struct writer *writer, const struct request_field *fields, size_t field_count);
static bool is_answer(pn_message_t *message, uint64_t id);
static void read_status(struct request *request, pn_data_t *properties);
static void read_status_field(struct request *request, pn_bytes_t name, pn_data_t *value);
static void read_hub(struct request *request, pn_data_t *body);
static void read_partition_ids(struct request *request, pn_data_t *ids);
static bool is_decimal(pn_bytes_t text, uint32_t number);
static bool is_name(pn_bytes_t text, const char *name);
static int64_t get_integer(pn_data_t *data);

int64_t request_encode(uint64_t id, const char *reply_to, const struct request_field *fields, size_t field_count, const char *body,
                       uint8_t **out)
{
    size_t bound = 64 + strlen(reply_to) + (body ? strlen(body) + 8 : 0);
    for (size_t i = 0; i < field_count; i++)
        bound += strlen(fields[i].name) + (fields[i].text ? strlen(fields[i].text) : 0) + 16;
    if (bound > MESSAGE_BYTES_MAX)
        return -E2BIG;
    uint8_t *buffer = malloc(bound);
    if (!buffer)
        return -ENOMEM;
    struct writer writer = {buffer};
    put_properties(&writer, id, reply_to);
    put_fields(&writer, fields, field_count);
    if (body) {
        put_bytes(&writer, "\0\x53\x77", 3); /* amqp-value */
        put_string(&writer, body);
    }
    *out = buffer;
    return writer.at - buffer;
}

bool request_decode(struct request *request, uint64_t id, const char *bytes, size_t len)
{
    pn_message_t *message = pn_message();
    if (!message)
        return false;
    bool answered = pn_message_decode(message, bytes, len) == 0 && is_answer(message, id);
    if (answered) {
        read_status(request, pn_message_properties(message));
        read_hub(request, pn_message_body(message));
    }
    pn_message_free(message);
    return answered;
}

void request_text_set(struct request_text *text, pn_condition_t *condition)
{
    memset(text, 0, sizeof *text);
    if (!condition || !pn_condition_is_set(condition))
        return;
    const char *name = pn_condition_get_name(condition);
    const char *description = pn_condition_get_description(condition);
    if (name)
        request_text_clean(text->condition, sizeof text->condition, name, strlen(name));
    if (description)
        request_text_clean(text->description, sizeof text->description, description, strlen(description));
}

void request_text_clean(char *to, size_t cap, const char *from, size_t len)
{
    if (len > cap - 1) {
        len = cap - 1;
        while (len > 0 && ((unsigned char)from[len] & 0xc0) == 0x80) /* not in the middle of a character */
            len--;
    }
    for (size_t i = 0; i < len; i++)
        to[i] = (unsigned char)from[i] < 0x20 || from[i] == 0x7f ? ' ' : from[i];
    to[len] = '\0';
}

static void put_bytes(struct writer *writer, const void *bytes, size_t len)
{
    memcpy(writer->at, bytes, len);
    writer->at += len;
}

static void put_byte(struct writer *writer, uint8_t byte)
{
    *writer->at++ = byte;
}

static void put_be(struct writer *writer, uint64_t value, int bytes)
{
    while (bytes-- > 0)
        put_byte(writer, (uint8_t)(value >> (8 * bytes)));
}

static void put_string(struct writer *writer, const char *text)
{
    size_t len = strlen(text);
    put_byte(writer, len <= 255 ? 0xa1 : 0xb1);
    put_be(writer, len, len <= 255 ? 1 : 4);
    put_bytes(writer, text, len);
}

/* message-id and reply-to. */
static void put_properties(struct writer *writer, uint64_t id, const char *reply_to)
{
    put_bytes(writer, "\0\x53\x73\xc0", 4);
    uint8_t *size = writer->at;
    put_bytes(writer, "\0\x05\x80", 3); /* size to come, five fields, ulong */
    put_be(writer, id, 8);
    put_bytes(writer, "\x40\x40\x40", 3); /* user-id, to, subject */
    put_string(writer, reply_to);
    *size = (uint8_t)(writer->at - size - 1);
}

static void put_fields(struct writer *writer, const struct request_field *fields, size_t field_count)
{
    put_bytes(writer, "\0\x53\x74\xd1", 4);
    uint8_t *size = writer->at;
    put_be(writer, 0, 4);
    put_be(writer, field_count * 2, 4);
    for (size_t i = 0; i < field_count; i++) {
        put_string(writer, fields[i].name);
        if (fields[i].text) {
            put_string(writer, fields[i].text);
        } else {
            put_byte(writer, 0x83); /* timestamp */
            put_be(writer, (uint64_t)fields[i].timestamp_ms, 8);
        }
    }
    struct writer back = {size};
    put_be(&back, (uint64_t)(writer->at - size - 4), 4);
}

static bool is_answer(pn_message_t *message, uint64_t id)
{
    pn_atom_t correlation = pn_message_get_correlation_id(message);
    return correlation.type == PN_ULONG && correlation.u.as_ulong == id;
}

static void read_status(struct request *request, pn_data_t *properties)
{
    pn_data_rewind(properties);
    if (pn_data_next(properties) && pn_data_type(properties) == PN_MAP && pn_data_enter(properties)) {
        while (pn_data_next(properties)) {
            pn_type_t type = pn_data_type(properties);
            pn_bytes_t name = type == PN_STRING || type == PN_SYMBOL ? pn_data_get_bytes(properties) : pn_bytes(0, NULL);
            if (!pn_data_next(properties))
                break;
            read_status_field(request, name, properties);
        }
    }
    if (request->status == 0 && !request->text.description[0])
        memcpy(request->text.description, "reply without status-code", sizeof "reply without status-code");
}

static void read_status_field(struct request *request, pn_bytes_t name, pn_data_t *value)
{
    if (is_name(name, "status-code") || is_name(name, "statusCode")) {
        int64_t status = get_integer(value);
        request->status = status > 0 && status < 1000 ? (int)status : 0;
        return;
    }
    pn_type_t type = pn_data_type(value);
    if (type != PN_STRING && type != PN_SYMBOL)
        return;
    pn_bytes_t text = pn_data_get_bytes(value);
    if (is_name(name, "status-description") || is_name(name, "statusDescription"))
        request_text_clean(request->text.description, sizeof request->text.description, text.start, text.size);
    else if (is_name(name, "error-condition") || is_name(name, "errorCondition"))
        request_text_clean(request->text.condition, sizeof request->text.condition, text.start, text.size);
}

/* The hub's properties, if the body is a map. */
static void read_hub(struct request *request, pn_data_t *body)
{
    pn_data_rewind(body);
    if (!pn_data_next(body) || pn_data_type(body) != PN_MAP || !pn_data_enter(body))
        return;
    while (pn_data_next(body)) {
        pn_type_t type = pn_data_type(body);
        bool is_ids = (type == PN_STRING || type == PN_SYMBOL) && is_name(pn_data_get_bytes(body), "partition_ids");
        if (!pn_data_next(body))
            break;
        if (is_ids)
            read_partition_ids(request, body);
    }
}

static void read_partition_ids(struct request *request, pn_data_t *ids)
{
    pn_type_t type = pn_data_type(ids);
    if ((type != PN_ARRAY && type != PN_LIST) || !pn_data_enter(ids))
        return;
    uint32_t count = 0;
    bool is_plain = true;
    while (pn_data_next(ids) && count <= REQUEST_PARTITIONS_MAX) {
        is_plain = is_plain && pn_data_type(ids) == PN_STRING && is_decimal(pn_data_get_bytes(ids), count);
        count++;
    }
    pn_data_exit(ids);
    if (count > REQUEST_PARTITIONS_MAX)
        return; /* no hub has so many: the count stays 0 */
    request->partition_count = count;
    request->ids_plain = is_plain && count > 0;
}

static bool is_decimal(pn_bytes_t text, uint32_t number)
{
    char digits[11];
    size_t len = 0;
    do {
        digits[len++] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    if (text.size != len)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (text.start[i] != digits[len - 1 - i])
            return false;
    }
    return true;
}

static bool is_name(pn_bytes_t text, const char *name)
{
    return text.size == strlen(name) && text.start && memcmp(text.start, name, text.size) == 0;
}

static int64_t get_integer(pn_data_t *data)
{
    switch ((int)pn_data_type(data)) {
    case PN_UBYTE:
        return pn_data_get_ubyte(data);
    case PN_BYTE:
        return pn_data_get_byte(data);
    case PN_USHORT:
        return pn_data_get_ushort(data);
    case PN_SHORT:
        return pn_data_get_short(data);
    case PN_UINT:
        return pn_data_get_uint(data);
    case PN_INT:
        return pn_data_get_int(data);
    case PN_LONG:
        return pn_data_get_long(data);
    case PN_ULONG:
        return (int64_t)pn_data_get_ulong(data);
    default:
        return 0;
    }
}
