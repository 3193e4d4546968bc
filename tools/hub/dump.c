/* A store file as JSON Lines. */
#include "dump.h"

#include "message.h"
#include "storefile.h"

#include <openssl/evp.h>

#include <errno.h>
#include <string.h>

enum { LINES_BYTES = 1 << 20 };

static void put_text(struct hub_buf *b, const char *text);
static void put_number(struct hub_buf *b, const char *name, long long number);
static void put_json_string(struct hub_buf *b, const uint8_t *text, size_t len);
static void put_base64(struct hub_buf *b, const uint8_t *bytes, size_t len);
static void put_bytes(struct hub_buf *b, const char *name, const uint8_t *bytes, size_t len);
static void put_value(struct hub_buf *b, const struct hub_value *v);
static void put_map(struct hub_buf *b, const struct hub_value *v);
static void put_items(struct hub_buf *b, const struct hub_value *v);
static void put_properties(struct hub_buf *b, const struct hub_event *e);

int hub_dump(const char *path, FILE *to)
{
    struct hub_storereader reader;
    struct hub_storerecord record;
    struct hub_buf lines = {0};
    int rc = hub_storereader_open(&reader, path);

    if (rc < 0)
        return rc;
    while ((rc = hub_storereader_next(&reader, &record)) > 0) {
        hub_dump_event(&lines, record.hub, record.partition, &record.record);
        if (lines.len < LINES_BYTES)
            continue;
        fwrite(lines.data, 1, lines.len, to);
        lines.len = 0;
    }
    fwrite(lines.data ? lines.data : (const uint8_t *)"", 1, lines.len, to);
    if (fflush(to) != 0 || ferror(to))
        rc = -EIO;
    hub_buf_free(&lines);
    hub_storereader_close(&reader);
    return rc;
}

void hub_dump_event(struct hub_buf *b, const char *hub, uint32_t partition, const struct hub_record *r)
{
    struct hub_event e;
    struct hub_error ignored;

    put_text(b, "{\"hub\":");
    put_json_string(b, (const uint8_t *)hub, strlen(hub));
    put_number(b, "partition", partition);
    put_number(b, "sequence_number", r->seq);
    put_number(b, "offset", (long long)r->offset);
    put_number(b, "enqueued_time_ms", r->time_ms);
    put_text(b, ",\"key\":");
    if (r->key_len > 0)
        put_json_string(b, r->key, r->key_len);
    else
        put_text(b, "null");
    if (hub_event_read(&e, r->event, r->event_len, &ignored) == 0) {
        put_properties(b, &e);
        if (e.body == HUB_SECTION_DATA)
            put_bytes(b, "body", e.data.bytes, e.data.len);
    }
    put_text(b, "}\n");
}

static void put_text(struct hub_buf *b, const char *text)
{
    hub_buf_put(b, text, strlen(text));
}

static void put_number(struct hub_buf *b, const char *name, long long number)
{
    char text[96];

    snprintf(text, sizeof(text), ",\"%s\":%lld", name, number);
    put_text(b, text);
}

static void put_json_string(struct hub_buf *b, const uint8_t *text, size_t len)
{
    char escaped[8];

    hub_buf_put_byte(b, '"');
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '"' || text[i] == '\\')
            hub_buf_put_byte(b, '\\');
        if (text[i] >= 0x20 && text[i] != 0x7f) {
            hub_buf_put_byte(b, text[i]);
            continue;
        }
        snprintf(escaped, sizeof(escaped), "\\u%04x", text[i]);
        put_text(b, escaped);
    }
    hub_buf_put_byte(b, '"');
}

static void put_base64(struct hub_buf *b, const uint8_t *bytes, size_t len)
{
    hub_buf_put_byte(b, '"');
    uint8_t *to = hub_buf_room(b, len / 3 * 4 + 8);
    b->len += (size_t)EVP_EncodeBlock(to, bytes ? bytes : to, (int)len);
    hub_buf_put_byte(b, '"');
}

/* `name` as text, or `name`_base64 when the bytes are not UTF-8. */
static void put_bytes(struct hub_buf *b, const char *name, const uint8_t *bytes, size_t len)
{
    bool is_text = hub_utf8_check(bytes, len, NULL);

    put_text(b, ",\"");
    put_text(b, name);
    put_text(b, is_text ? "\":" : "_base64\":");
    if (is_text)
        put_json_string(b, bytes, len);
    else
        put_base64(b, bytes, len);
}

static void put_value(struct hub_buf *b, const struct hub_value *v)
{
    char text[64];

    switch (v->type) {
    case HUB_BOOL:
        put_text(b, v->u ? "true" : "false");
        return;
    case HUB_UBYTE:
    case HUB_USHORT:
    case HUB_UINT:
    case HUB_ULONG:
    case HUB_CHAR:
        snprintf(text, sizeof(text), "%llu", (unsigned long long)v->u);
        put_text(b, text);
        return;
    case HUB_BYTE:
    case HUB_SHORT:
    case HUB_INT:
    case HUB_LONG:
    case HUB_TIMESTAMP:
        snprintf(text, sizeof(text), "%lld", (long long)v->i);
        put_text(b, text);
        return;
    case HUB_FLOAT:
    case HUB_DOUBLE:
        snprintf(text, sizeof(text), v->f - v->f == 0 ? "%.17g" : "null", v->f);
        put_text(b, text);
        return;
    case HUB_STRING:
    case HUB_SYMBOL:
        put_json_string(b, v->bytes, v->len);
        return;
    case HUB_BINARY:
    case HUB_UUID:
    case HUB_DECIMAL32:
    case HUB_DECIMAL64:
    case HUB_DECIMAL128:
        put_base64(b, v->bytes, v->len);
        return;
    case HUB_MAP:
        put_map(b, v);
        return;
    case HUB_LIST:
    case HUB_ARRAY:
        put_items(b, v);
        return;
    case HUB_NULL:
    case HUB_DESCRIBED:
        put_text(b, "null");
        return;
    }
}

/* Keys that are not text have no place in JSON and are left out. */
static void put_map(struct hub_buf *b, const struct hub_value *v)
{
    struct hub_in items = hub_value_items(v);
    struct hub_value key, value;
    const char *comma = "";

    hub_buf_put_byte(b, '{');
    while (hub_value_read(&items, &key) == 0 && hub_value_read(&items, &value) == 0) {
        if (key.type != HUB_STRING && key.type != HUB_SYMBOL)
            continue;
        put_text(b, comma);
        put_json_string(b, key.bytes, key.len);
        hub_buf_put_byte(b, ':');
        put_value(b, &value);
        comma = ",";
    }
    hub_buf_put_byte(b, '}');
}

static void put_items(struct hub_buf *b, const struct hub_value *v)
{
    struct hub_in items = hub_value_items(v);
    struct hub_value value;

    hub_buf_put_byte(b, '[');
    for (uint32_t i = 0; i < v->count; i++) {
        if ((v->type == HUB_ARRAY ? hub_array_next(v, &items, &value) : hub_value_read(&items, &value)) < 0)
            break;
        if (i > 0)
            hub_buf_put_byte(b, ',');
        put_value(b, &value);
    }
    hub_buf_put_byte(b, ']');
}

static void put_properties(struct hub_buf *b, const struct hub_event *e)
{
    static const char *const names[] = {"message_id", NULL, NULL, NULL, NULL, "correlation_id", "content_type"};
    struct hub_in in = hub_in_of(e->properties.bytes, e->properties.len);
    struct hub_value v, item;

    if (hub_value_read(&in, &v) == 0) {
        struct hub_in items = hub_value_items(&v);
        for (uint32_t i = 0; i < 7 && hub_value_read(&items, &item) == 0; i++) {
            if (!names[i] || item.type == HUB_NULL)
                continue;
            put_text(b, ",\"");
            put_text(b, names[i]);
            put_text(b, "\":");
            put_value(b, &item);
        }
    }
    in = hub_in_of(e->application.bytes, e->application.len);
    if (hub_value_read(&in, &v) < 0)
        return;
    put_text(b, ",\"properties\":");
    put_map(b, &v);
}
