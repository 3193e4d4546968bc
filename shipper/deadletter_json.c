/* One dead letter as one line of JSON. A text that JSON cannot hold as it is goes in as base64, under the same name with _base64 behind it.
 * 64-bit numbers are texts, for a JSON number is a double to most readers. */
#include "shipper/deadletter_json.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "shipper/clock.h"
#include "shipper/utf8.h"

#define FORMAT_VERSION 1
#define NAME_BYTES_MAX 255u
enum { UUID_TEXT_BYTES = 37, TIME_TEXT_BYTES = 32 };

struct line {
    cJSON *object;
    int error; /* the first one */
};

static void identity_put(struct line *line, const struct deadletter_event *event);
static void verdict_put(struct line *line, const struct deadletter_event *event);
static void route_put(struct line *line, const struct ring_parts *parts);
static void meta_put(struct line *line, const uint8_t *meta, uint32_t meta_len);
static int tlv_put(struct line *line, cJSON **properties, const struct ring_tlv *tlv, const uint8_t *name);
static const char *single_name(uint8_t tag);
static int property_put(struct line *line, cJSON *property, const struct ring_tlv *tlv, const uint8_t *name);
static int value_put(struct line *line, cJSON *property, const struct ring_tlv *tlv, const uint8_t *value);
static void number_put(struct line *line, cJSON *property, uint8_t type, const uint8_t value[8]);
static void item_put(struct line *line, cJSON *object, const char *name, cJSON *item);
static void text_put(struct line *line, cJSON *object, const char *name, const void *bytes, size_t len);
static void base64_put(struct line *line, cJSON *object, const char *name, const void *bytes, size_t len);
static void time_put(struct line *line, const char *name, int64_t wall_ns);
static bool fits_text(const uint8_t *bytes, size_t len);
static size_t escaped_len(const uint8_t *bytes, size_t len);
static void uuid_text(const uint8_t uuid[16], char text[UUID_TEXT_BYTES]);
static int line_append(struct deadletter_buf *buf, const cJSON *object);

const char *deadletter_reason_name(enum deadletter_reason reason)
{
    switch (reason) {
    case DEADLETTER_REJECTED:
        return "rejected";
    case DEADLETTER_TOO_LARGE:
        return "too-large";
    case DEADLETTER_RETRIES:
        return "retries";
    case DEADLETTER_AGE:
        return "age";
    case DEADLETTER_NO_PARTITION:
        return "no-partition";
    }
    return "unknown";
}

int deadletter_format(struct deadletter_buf *buf, const struct deadletter_event *event)
{
    const struct ring_parts *parts = event->parts;
    struct line line = {.object = cJSON_CreateObject()};
    identity_put(&line, event);
    verdict_put(&line, event);
    route_put(&line, parts);
    meta_put(&line, event->meta, parts->meta_len);
    text_put(&line, line.object, "body", event->body, parts->payload_len);
    int rc = line.error ? line.error : line_append(buf, line.object);
    cJSON_Delete(line.object);
    return rc;
}

void deadletter_buf_clear(struct deadletter_buf *buf)
{
    buf->len = 0;
}

void deadletter_buf_free(struct deadletter_buf *buf)
{
    free(buf->text);
    *buf = (struct deadletter_buf){0};
}

static void identity_put(struct line *line, const struct deadletter_event *event)
{
    char uuid[UUID_TEXT_BYTES], id[UUID_TEXT_BYTES + 24];
    uuid_text(event->ring_uuid, uuid);
    snprintf(id, sizeof id, "%s:%" PRIu64, uuid, event->pos);
    item_put(line, line->object, "version", cJSON_CreateNumber(FORMAT_VERSION));
    item_put(line, line->object, "id", cJSON_CreateString(id));
    text_put(line, line->object, "stream", event->stream, strlen(event->stream));
    text_put(line, line->object, "ring", event->ring_file, strlen(event->ring_file));
}

static void verdict_put(struct line *line, const struct deadletter_event *event)
{
    item_put(line, line->object, "reason", cJSON_CreateString(deadletter_reason_name(event->reason)));
    if (event->condition && event->condition[0])
        text_put(line, line->object, "condition", event->condition, strlen(event->condition));
    if (event->description && event->description[0])
        text_put(line, line->object, "description", event->description, strlen(event->description));
    item_put(line, line->object, "attempts", cJSON_CreateNumber(event->attempts));
    if (event->first_ns)
        time_put(line, "first_time", event->first_ns);
    if (event->last_ns)
        time_put(line, "last_time", event->last_ns);
}

static void route_put(struct line *line, const struct ring_parts *parts)
{
    char partition[8];
    if (parts->flags & RING_FLAG_TIME)
        time_put(line, "time", parts->time_ns);
    if (parts->key_len)
        text_put(line, line->object, "key", parts->key, parts->key_len);
    if (parts->flags & RING_FLAG_ROUTE_HASH)
        item_put(line, line->object, "key_hash", cJSON_CreateNumber((int16_t)parts->route));
    if (!(parts->flags & RING_FLAG_ROUTE_PARTITION))
        return;
    snprintf(partition, sizeof partition, "%u", parts->route);
    item_put(line, line->object, "partition", cJSON_CreateString(partition));
}

/* The block was written by somebody else: every length is bounded. */
static void meta_put(struct line *line, const uint8_t *meta, uint32_t meta_len)
{
    cJSON *properties = NULL;
    for (uint32_t at = 0; at < meta_len && line->error == 0;) {
        struct ring_tlv tlv;
        if (meta_len - at < sizeof tlv) {
            line->error = -EBADMSG;
            return;
        }
        memcpy(&tlv, meta + at, sizeof tlv);
        at += (uint32_t)sizeof tlv;
        if (tlv.name_len > meta_len - at || tlv.value_len > meta_len - at - tlv.name_len) {
            line->error = -EBADMSG;
            return;
        }
        int rc = tlv_put(line, &properties, &tlv, meta + at);
        if (line->error == 0)
            line->error = rc;
        at += tlv.name_len + tlv.value_len;
    }
}

static int tlv_put(struct line *line, cJSON **properties, const struct ring_tlv *tlv, const uint8_t *name)
{
    const char *single = single_name(tlv->tag);
    if (single) {
        if (tlv->name_len != 0 || tlv->type != RING_TYPE_STRING || !utf8_is_valid(name, tlv->value_len) ||
            cJSON_GetObjectItemCaseSensitive(line->object, single))
            return -EBADMSG;
        text_put(line, line->object, single, name, tlv->value_len);
        return 0;
    }
    if (tlv->tag != RING_META_PROPERTY)
        return -EBADMSG;
    if (!*properties)
        item_put(line, line->object, "properties", *properties = cJSON_CreateArray());
    cJSON *property = cJSON_CreateObject();
    int rc = property_put(line, property, tlv, name);
    if (line->error || !cJSON_AddItemToArray(*properties, property)) {
        cJSON_Delete(property);
        return rc ? rc : -ENOMEM;
    }
    return rc;
}

static const char *single_name(uint8_t tag)
{
    switch (tag) {
    case RING_META_CONTENT_TYPE:
        return "content_type";
    case RING_META_MESSAGE_ID:
        return "message_id";
    case RING_META_CORRELATION_ID:
        return "correlation_id";
    case RING_META_SCHEMA_VERSION:
        return "schema_version";
    case RING_META_TRACEPARENT:
        return "traceparent";
    default:
        return NULL;
    }
}

static int property_put(struct line *line, cJSON *property, const struct ring_tlv *tlv, const uint8_t *name)
{
    static const char *const type_name[] = {
        [RING_TYPE_STRING] = "string",       [RING_TYPE_BOOL] = "bool",     [RING_TYPE_INT] = "int",
        [RING_TYPE_UINT] = "uint",           [RING_TYPE_DOUBLE] = "double", [RING_TYPE_BINARY] = "binary",
        [RING_TYPE_TIMESTAMP] = "timestamp", [RING_TYPE_UUID] = "uuid"};
    if (tlv->name_len == 0 || tlv->name_len > NAME_BYTES_MAX || !utf8_is_valid(name, tlv->name_len) || tlv->type < RING_TYPE_STRING ||
        tlv->type > RING_TYPE_UUID)
        return -EBADMSG;
    text_put(line, property, "name", name, tlv->name_len);
    item_put(line, property, "type", cJSON_CreateString(type_name[tlv->type]));
    return value_put(line, property, tlv, name + tlv->name_len);
}

static int value_put(struct line *line, cJSON *property, const struct ring_tlv *tlv, const uint8_t *value)
{
    char uuid[UUID_TEXT_BYTES];
    switch (tlv->type) {
    case RING_TYPE_STRING:
        text_put(line, property, "value", value, tlv->value_len);
        return utf8_is_valid(value, tlv->value_len) ? 0 : -EBADMSG;
    case RING_TYPE_BINARY:
        base64_put(line, property, "value", value, tlv->value_len);
        return 0;
    case RING_TYPE_BOOL:
        if (tlv->value_len != 1 || value[0] > 1)
            return -EBADMSG;
        item_put(line, property, "value", cJSON_CreateBool(value[0]));
        return 0;
    case RING_TYPE_UUID:
        if (tlv->value_len != 16)
            return -EBADMSG;
        uuid_text(value, uuid);
        item_put(line, property, "value", cJSON_CreateString(uuid));
        return 0;
    default:
        if (tlv->value_len != 8)
            return -EBADMSG;
        number_put(line, property, tlv->type, value);
        return 0;
    }
}

/* Seventeen digits name a double exactly; of one that is not a number the bits say which. */
static void number_put(struct line *line, cJSON *property, uint8_t type, const uint8_t value[8])
{
    char text[40];
    uint64_t bits;
    double real;
    memcpy(&bits, value, sizeof bits);
    memcpy(&real, value, sizeof real);
    if (type == RING_TYPE_DOUBLE && isnan(real))
        snprintf(text, sizeof text, "nan:%016" PRIx64, bits);
    else if (type == RING_TYPE_DOUBLE)
        snprintf(text, sizeof text, "%.17g", real);
    else if (type == RING_TYPE_UINT)
        snprintf(text, sizeof text, "%" PRIu64, bits);
    else
        snprintf(text, sizeof text, "%" PRId64, (int64_t)bits);
    item_put(line, property, "value", cJSON_CreateString(text));
}

static void item_put(struct line *line, cJSON *object, const char *name, cJSON *item)
{
    if (cJSON_AddItemToObject(object, name, item)) /* which refuses NULL for either */
        return;
    cJSON_Delete(item);
    if (line->error == 0)
        line->error = -ENOMEM;
}

/* As it is, if it is UTF-8 without a NUL (cJSON's texts end there) and escaping does not swell it beyond what base64 would. */
static void text_put(struct line *line, cJSON *object, const char *name, const void *bytes, size_t len)
{
    if (!fits_text(bytes, len)) {
        base64_put(line, object, name, bytes, len);
        return;
    }
    char *text = malloc(len + 1);
    if (text) {
        if (len)
            memcpy(text, bytes, len);
        text[len] = '\0';
    }
    item_put(line, object, name, text ? cJSON_CreateString(text) : NULL);
    free(text);
}

static void base64_put(struct line *line, cJSON *object, const char *name, const void *bytes, size_t len)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const uint8_t *at = bytes;
    char full_name[64], *text = malloc((len + 2) / 3 * 4 + 1), *to = text;
    snprintf(full_name, sizeof full_name, "%s_base64", name);
    for (size_t i = 0; text && i < len; i += 3) {
        uint32_t three = (uint32_t)at[i] << 16 | (i + 1 < len ? (uint32_t)at[i + 1] << 8 : 0) | (i + 2 < len ? at[i + 2] : 0u);
        *to++ = digits[three >> 18];
        *to++ = digits[three >> 12 & 63];
        *to++ = i + 1 < len ? digits[three >> 6 & 63] : '=';
        *to++ = i + 2 < len ? digits[three & 63] : '=';
    }
    if (text)
        *to = '\0';
    item_put(line, object, full_name, text ? cJSON_CreateString(text) : NULL);
    free(text);
}

/* RFC 3339, UTC, nanoseconds. */
static void time_put(struct line *line, const char *name, int64_t wall_ns)
{
    char text[TIME_TEXT_BYTES], whole[64];
    int64_t left_ns = wall_ns % CLOCK_NS_PER_SECOND;
    time_t seconds = (time_t)(wall_ns / CLOCK_NS_PER_SECOND);
    if (left_ns < 0) {
        left_ns += CLOCK_NS_PER_SECOND;
        seconds--;
    }
    struct tm utc;
    gmtime_r(&seconds, &utc);
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(whole, sizeof whole, "%s.%09dZ", text, (int)left_ns);
    item_put(line, line->object, name, cJSON_CreateString(whole));
}

static bool fits_text(const uint8_t *bytes, size_t len)
{
    return len == 0 || (!memchr(bytes, '\0', len) && utf8_is_valid(bytes, len) && escaped_len(bytes, len) <= 2 * len);
}

/* What the bytes become within a JSON text: control characters six, or two for those with a letter of their own. */
static size_t escaped_len(const uint8_t *bytes, size_t len)
{
    size_t sum = len;
    for (size_t i = 0; i < len; i++) {
        if (bytes[i] == '"' || bytes[i] == '\\' || (bytes[i] < ' ' && memchr("\b\f\n\r\t", bytes[i], 5)))
            sum += 1;
        else if (bytes[i] < ' ')
            sum += 5;
    }
    return sum;
}

static void uuid_text(const uint8_t uuid[16], char text[UUID_TEXT_BYTES])
{
    int at = 0;
    for (int i = 0; i < 16; i++)
        at += snprintf(text + at, (size_t)(UUID_TEXT_BYTES - at), i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x" : "%02x", uuid[i]);
}

static int line_append(struct deadletter_buf *buf, const cJSON *object)
{
    char *text = cJSON_PrintUnformatted(object);
    if (!text)
        return -ENOMEM;
    size_t len = strlen(text), need = buf->len + len + 1;
    if (need > buf->cap) {
        size_t cap = need > 2 * buf->cap ? need : 2 * buf->cap;
        char *grown = realloc(buf->text, cap);
        if (!grown) {
            cJSON_free(text);
            return -ENOMEM;
        }
        buf->text = grown;
        buf->cap = cap;
    }
    memcpy(buf->text + buf->len, text, len);
    buf->text[need - 1] = '\n';
    buf->len = need;
    cJSON_free(text);
    return 0;
}
