/* A dead letter's line, read back by cJSON: every field, whatever bytes it has. */
#include <cjson/cJSON.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "shipper/deadletter_json.h"

static const uint8_t uuid[16] = {0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 1, 2, 3, 4, 5, 6, 7, 0xff};
static uint8_t meta[4096];
static struct ring_parts parts;
static struct deadletter_event event;
static struct deadletter_buf buf;

static void set_up(void)
{
    parts = (struct ring_parts){0};
    buf = (struct deadletter_buf){0};
    event = (struct deadletter_event){
        .stream = "orders", .ring_file = "web.7.ring", .ring_uuid = uuid, .pos = UINT64_MAX, .parts = &parts, .meta = meta};
}
static void tear_down(void)
{
    deadletter_buf_free(&buf);
}
TestSuite(deadletter_json, .init = set_up, .fini = tear_down);

static void tlv(uint8_t tag, uint8_t type, const char *name, const void *value, uint32_t value_len)
{
    struct ring_tlv head = {.tag = tag, .type = type, .name_len = (uint16_t)strlen(name), .value_len = value_len};
    memcpy(meta + parts.meta_len, &head, sizeof head);
    memcpy(meta + parts.meta_len + sizeof head, name, head.name_len);
    memcpy(meta + parts.meta_len + sizeof head + head.name_len, value, value_len);
    parts.meta_len += (uint32_t)sizeof head + head.name_len + value_len;
}

static void body(const void *bytes, uint32_t len)
{
    event.body = bytes;
    parts.payload_len = len;
}

/* The one line that came, taken apart. */
static cJSON *line(void)
{
    cr_assert_eq(deadletter_format(&buf, &event), 0);
    cr_assert_gt(buf.len, 0);
    cr_assert_eq(memchr(buf.text, '\n', buf.len), buf.text + buf.len - 1);
    cJSON *object = cJSON_ParseWithLength(buf.text, buf.len);
    cr_assert_not_null(object);
    return object;
}

static void is(const cJSON *object, const char *name, const char *text)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    cr_assert(item, "%s is missing: %.*s", name, (int)buf.len, buf.text);
    cr_assert(cJSON_IsString(item), "%s", name);
    cr_assert_str_eq(item->valuestring, text);
}
static void absent(const cJSON *object, const char *name)
{
    cr_assert_null(cJSON_GetObjectItemCaseSensitive(object, name), "%s", name);
}

Test(deadletter_json, an_event_of_a_body_alone_says_who_it_is_and_why)
{
    body("{\"a\":\"\xc3\xbc\"}\n", 11);
    event.reason = DEADLETTER_TOO_LARGE;
    cJSON *object = line();
    is(object, "id", "01234567-89ab-cdef-0102-0304050607ff:18446744073709551615");
    is(object, "stream", "orders");
    is(object, "ring", "web.7.ring");
    is(object, "reason", "too-large");
    is(object, "body", "{\"a\":\"\xc3\xbc\"}\n");
    for (const char *const *name = (const char *const[]){"key", "key_hash", "partition", "time", "condition", "description", "first_time",
                                                         "last_time", "properties", "body_base64", "content_type", NULL};
         *name; name++)
        absent(object, *name);
    cJSON_Delete(object);
}

Test(deadletter_json, what_the_service_said_and_when)
{
    event.reason = DEADLETTER_REJECTED;
    event.condition = "amqp:not-allowed";
    event.description = "no\nsuch \xff thing";
    event.attempts = 17;
    event.first_ns = 1;
    event.last_ns = INT64_C(1795690800123456789);
    cJSON *object = line();
    is(object, "condition", "amqp:not-allowed");
    is(object, "description_base64", "bm8Kc3VjaCD/IHRoaW5n");
    is(object, "first_time", "1970-01-01T00:00:00.000000001Z");
    is(object, "last_time", "2026-11-26T11:00:00.123456789Z");
    cr_assert_eq(cJSON_GetObjectItemCaseSensitive(object, "attempts")->valueint, 17);
    cJSON_Delete(object);
}

Test(deadletter_json, key_hash_and_time)
{
    parts.flags = RING_FLAG_ROUTE_HASH | RING_FLAG_TIME;
    parts.route = (uint16_t)-5;
    parts.time_ns = -1;
    memcpy(parts.key, "k\xc3\xbc", parts.key_len = 3);
    cJSON *object = line();
    is(object, "key", "k\xc3\xbc");
    is(object, "time", "1969-12-31T23:59:59.999999999Z");
    cr_assert_eq(cJSON_GetObjectItemCaseSensitive(object, "key_hash")->valueint, -5);
    absent(object, "partition");
    cJSON_Delete(object);
}

Test(deadletter_json, an_explicit_partition)
{
    parts.flags = RING_FLAG_ROUTE_PARTITION;
    parts.route = 31;
    cJSON *object = line();
    is(object, "partition", "31");
    absent(object, "key_hash");
    cJSON_Delete(object);
}

Test(deadletter_json, what_json_cannot_hold_goes_in_as_base64)
{
    static const struct {
        const char *bytes;
        uint32_t len;
        const char *base64;
    } cases[] = {{"\xff", 1, "/w=="},
                 {"a\0", 2, "YQA="},
                 {"\xc3\x28z", 3, "wyh6"},
                 {"\xed\xa0\x80", 3, "7aCA"},
                 {"\xf4\x90\x80\x80", 4, "9JCAgA=="},
                 {"\1\2\3\4\5\6", 6, "AQIDBAUG"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        body(cases[i].bytes, cases[i].len);
        cJSON *object = line();
        is(object, "body_base64", cases[i].base64);
        absent(object, "body");
        cJSON_Delete(object);
        deadletter_buf_clear(&buf);
    }
    body("\x1b[1m bold \t\"quoted\"", 19);
    cJSON *object = line();
    is(object, "body", "\x1b[1m bold \t\"quoted\"");
    cJSON_Delete(object);
}

static const cJSON *property(const cJSON *object, int index, const char *name, const char *type)
{
    const cJSON *item = cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(object, "properties"), index);
    is(item, "name", name);
    is(item, "type", type);
    return item;
}

Test(deadletter_json, meta_of_every_kind_and_type)
{
    const int64_t least = INT64_MIN;
    const uint64_t most = UINT64_MAX, nan_bits = UINT64_C(0xfff8000000000123);
    const double tenth = 0.1;
    tlv(RING_META_CONTENT_TYPE, RING_TYPE_STRING, "", "text/plain", 10);
    tlv(RING_META_MESSAGE_ID, RING_TYPE_STRING, "", "m\"1", 3);
    tlv(RING_META_CORRELATION_ID, RING_TYPE_STRING, "", "", 0);
    tlv(RING_META_SCHEMA_VERSION, RING_TYPE_STRING, "", "2", 1);
    tlv(RING_META_TRACEPARENT, RING_TYPE_STRING, "", "00-ab", 5);
    tlv(RING_META_PROPERTY, RING_TYPE_STRING, "s", "x\0y", 3);
    tlv(RING_META_PROPERTY, RING_TYPE_BOOL, "b", "\1", 1);
    tlv(RING_META_PROPERTY, RING_TYPE_INT, "i", &least, 8);
    tlv(RING_META_PROPERTY, RING_TYPE_UINT, "u", &most, 8);
    tlv(RING_META_PROPERTY, RING_TYPE_DOUBLE, "d", &tenth, 8);
    tlv(RING_META_PROPERTY, RING_TYPE_DOUBLE, "nan", &nan_bits, 8);
    tlv(RING_META_PROPERTY, RING_TYPE_TIMESTAMP, "t", &least, 8);
    tlv(RING_META_PROPERTY, RING_TYPE_BINARY, "bin", "\0\xff", 2);
    tlv(RING_META_PROPERTY, RING_TYPE_UUID, "id", uuid, 16);
    cJSON *object = line();
    is(object, "content_type", "text/plain");
    is(object, "message_id", "m\"1");
    is(object, "correlation_id", "");
    is(object, "schema_version", "2");
    is(object, "traceparent", "00-ab");
    is(property(object, 0, "s", "string"), "value_base64", "eAB5");
    cr_assert(cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(property(object, 1, "b", "bool"), "value")));
    is(property(object, 2, "i", "int"), "value", "-9223372036854775808");
    is(property(object, 3, "u", "uint"), "value", "18446744073709551615");
    is(property(object, 4, "d", "double"), "value", "0.10000000000000001");
    is(property(object, 5, "nan", "double"), "value", "nan:fff8000000000123");
    is(property(object, 6, "t", "timestamp"), "value", "-9223372036854775808");
    is(property(object, 7, "bin", "binary"), "value_base64", "AP8=");
    is(property(object, 8, "id", "uuid"), "value", "01234567-89ab-cdef-0102-0304050607ff");
    cr_assert_eq(cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(object, "properties")), 9);
    cJSON_Delete(object);
}

Test(deadletter_json, a_second_event_is_a_second_line)
{
    body("one", 3);
    cr_assert_eq(deadletter_format(&buf, &event), 0);
    size_t first_len = buf.len;
    body("two", 3);
    cr_assert_eq(deadletter_format(&buf, &event), 0);
    cr_assert_eq(buf.text[first_len - 1], '\n');
    cr_assert_eq(buf.text[buf.len - 1], '\n');
    cr_assert(memmem(buf.text + first_len, buf.len - first_len, "\"two\"", 5));
}

/* Cut at every boundary, and with every byte of its heads changed: it is refused or it is a line, and never looks beyond its end. */
Test(deadletter_json, a_meta_block_that_is_none_is_refused_and_leaves_the_buffer_alone)
{
    tlv(RING_META_MESSAGE_ID, RING_TYPE_STRING, "", "m", 1);
    tlv(RING_META_PROPERTY, RING_TYPE_BOOL, "b", "\1", 1);
    const uint32_t whole = parts.meta_len;
    body("kept", 4);
    cr_assert_eq(deadletter_format(&buf, &event), 0);
    size_t kept = buf.len;
    for (parts.meta_len = 1; parts.meta_len < whole; parts.meta_len++) {
        uint8_t *cut = malloc(parts.meta_len);
        memcpy(cut, meta, parts.meta_len);
        event.meta = cut;
        cr_assert_eq(deadletter_format(&buf, &event), parts.meta_len == 9 ? 0 : -EBADMSG, "%u", parts.meta_len);
        if (parts.meta_len == 9)
            buf.len = kept;
        cr_assert_eq(buf.len, kept);
        free(cut);
    }
    event.meta = meta;
    for (uint32_t i = 0; i < whole * 8; i++) {
        meta[i / 8] ^= (uint8_t)(1u << i % 8);
        int rc = deadletter_format(&buf, &event);
        cr_assert(rc == 0 || rc == -EBADMSG, "%d", rc);
        buf.len = rc == 0 ? kept : buf.len;
        cr_assert_eq(buf.len, kept);
        meta[i / 8] ^= (uint8_t)(1u << i % 8);
    }
    tlv(RING_META_MESSAGE_ID, RING_TYPE_STRING, "", "again", 5);
    cr_assert_eq(deadletter_format(&buf, &event), -EBADMSG);
}
