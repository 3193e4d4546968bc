/* Encoded events against the published vectors, against proton's decoder, and against the arithmetic of their sizes. */
#include <criterion/criterion.h>
#include <cjson/cJSON.h>
#include <errno.h>
#include <proton/message.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ringbuf/ring_layout.h"
#include "shipper/amqp.h"
#include "tests/vectors.h"

static struct amqp_event event;
static uint8_t encoded[1 << 20];

static size_t vector_read(const char *name, uint8_t *to)
{
    cJSON *json = vectors_read("messages.json"), *row;
    cJSON_ArrayForEach(row, cJSON_GetObjectItem(json, "messages"))
    {
        if (strcmp(cJSON_GetObjectItem(row, "name")->valuestring, name) != 0)
            continue;
        const char *hex = cJSON_GetObjectItem(row, "hex")->valuestring;
        for (size_t i = 0; i < strlen(hex) / 2; i++)
            sscanf(hex + 2 * i, "%2hhx", &to[i]);
        size_t len = strlen(hex) / 2;
        cJSON_Delete(json);
        return len;
    }
    cr_assert_fail("no vector %s", name);
    return 0;
}

static struct amqp_text text_of(const char *text)
{
    return (struct amqp_text){(const uint8_t *)text, (uint32_t)strlen(text)};
}

static struct amqp_text text_of_len(char fill, uint32_t len)
{
    static uint8_t bytes[4][70000];
    static int turn;
    uint8_t *to = bytes[turn++ % 4];
    memset(to, fill, len);
    return (struct amqp_text){to, len};
}

static void property_add(const char *name, enum amqp_type type, struct amqp_text bytes, int64_t integer, double real)
{
    event.property[event.property_count++] = (struct amqp_property){text_of(name), type, bytes, integer, real};
}

/* The whole event with its body; the size told before must be the size written. */
static size_t encode(uint8_t *to, const char *body, uint32_t body_len)
{
    event.body_len = body_len;
    size_t wanted = amqp_event_bytes(&event);
    int64_t head_len = amqp_encode_event_head(&event, to, sizeof encoded);
    cr_assert_eq((size_t)head_len + body_len, wanted, "told %zu, wrote %lld + %u", wanted, (long long)head_len, body_len);
    memcpy(to + head_len, body, body_len);
    return wanted;
}

static size_t section_put(uint8_t *to, const char *body, const char *number)
{
    static uint8_t one[4096];
    event = (struct amqp_event){.key = event.key};
    if (number != NULL)
        property_add(number, AMQP_INT, (struct amqp_text){0}, 1, 0);
    size_t len = encode(one, body, (uint32_t)strlen(body));
    int64_t head_len = amqp_encode_section_head(len, to, 100);
    cr_assert_eq((size_t)head_len + len, amqp_section_bytes(len));
    memcpy(to + head_len, one, len);
    return (size_t)head_len + len;
}

static void expect_bytes(const uint8_t *got, size_t got_len, const uint8_t *wanted, size_t wanted_len)
{
    cr_assert_eq(got_len, wanted_len, "%zu bytes instead of %zu", got_len, wanted_len);
    for (size_t i = 0; i < wanted_len; i++)
        cr_assert_eq(got[i], wanted[i], "byte %zu is %02x instead of %02x", i, got[i], wanted[i]);
}

Test(amqp, plain_events_and_batches_equal_the_vectors)
{
    uint8_t vector[4096];
    event = (struct amqp_event){0};
    expect_bytes(encoded, encode(encoded, "hello", 5), vector, vector_read("single-plain", vector));

    event.key = text_of("device-42");
    int64_t envelope_len = amqp_encode_envelope(event.key, encoded, sizeof encoded);
    expect_bytes(encoded, (size_t)envelope_len, vector, vector_read("batch-envelope-empty-key", vector));
    cr_assert_eq((size_t)envelope_len, amqp_envelope_bytes(event.key));
    size_t len = (size_t)envelope_len;
    len += section_put(encoded + len, "event-0", NULL);
    len += section_put(encoded + len, "event-1", "i");
    len += section_put(encoded + len, "event-2", NULL);
    expect_bytes(encoded, len, vector, vector_read("batch3-key", vector));

    event.key = (struct amqp_text){0};
    cr_assert_eq(amqp_encode_envelope(event.key, encoded, 0), 0);
    len = section_put(encoded, "A", NULL);
    len += section_put(encoded + len, "B", NULL);
    expect_bytes(encoded, len, vector, vector_read("batch2-nokey", vector));
}

/* The vector's properties list is filled up with nulls and its content-type is a string; the specification lets the nulls go and wants a
 * symbol. */
Test(amqp, an_event_with_properties_equals_the_vector_but_for_two_quirks)
{
    static const uint8_t list_there[] = {0xc0, 0x26, 0x0d}, list_here[] = {0xc0, 0x20, 0x07};
    uint8_t vector[4096];
    size_t vector_len = vector_read("single-key", vector);
    event = (struct amqp_event){.key = text_of("device-42"), .message_id = text_of("m-0001"), .content_type = text_of("application/json")};
    property_add("source", AMQP_STRING, text_of("sensor-1"), 0, 0);
    property_add("seq", AMQP_INT, (struct amqp_text){0}, 7, 0);
    size_t len = encode(encoded, "hello event hubs", 16);

    cr_assert_eq(memcmp(vector + 0x35, list_there, 3), 0);
    memcpy(vector + 0x35, list_here, 3);
    vector[0x45] = 0xa3;
    memmove(vector + 0x57, vector + 0x5d, vector_len - 0x5d);
    expect_bytes(encoded, len, vector, vector_len - 6);
}

Test(amqp, sizes_equal_those_of_the_vectors)
{
    cJSON *json = vectors_read("messages.json"), *row;
    int rows = 0;
    cJSON_ArrayForEach(row, cJSON_GetObjectItem(json, "sizes"))
    {
        event = (struct amqp_event){.body_len = (uint32_t)cJSON_GetObjectItem(row, "body_len")->valueint};
        size_t len = amqp_event_bytes(&event);
        cr_expect_eq(len, (size_t)cJSON_GetObjectItem(row, "inner_encoded")->valueint);
        cr_expect_eq(amqp_section_bytes(len), (size_t)cJSON_GetObjectItem(row, "batch_of_one")->valueint);
        rows++;
    }
    cr_expect_eq(rows, 11);
    cJSON_Delete(json);
}

static pn_data_t *decoded_properties(pn_message_t *message, size_t len)
{
    cr_assert_eq(pn_message_decode(message, (const char *)encoded, len), 0, "%s", pn_error_text(pn_message_error(message)));
    pn_data_t *properties = pn_message_properties(message);
    pn_data_rewind(properties);
    pn_data_next(properties);
    cr_assert_eq(pn_data_get_map(properties), 2 * (size_t)event.property_count);
    pn_data_enter(properties);
    return properties;
}

static void expect_name(pn_data_t *data, const char *name)
{
    pn_data_next(data);
    pn_bytes_t got = pn_data_get_string(data);
    cr_assert_eq(got.size, strlen(name));
    cr_assert_eq(memcmp(got.start, name, got.size), 0);
    pn_data_next(data);
}

Test(amqp, every_type_and_its_limits_are_read_by_proton_as_they_were_written)
{
    static const int64_t ints[] = {0, 1, -1, 127, 128, -128, -129, INT32_MAX, INT32_MIN, INT64_C(1) << 31, INT64_MIN, INT64_MAX};
    static const uint64_t uints[] = {0, 1, 255, 256, UINT64_MAX};
    static const uint8_t uuid[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
    event = (struct amqp_event){0};
    for (size_t i = 0; i < sizeof ints / sizeof *ints; i++)
        property_add("int", AMQP_INT, (struct amqp_text){0}, ints[i], 0);
    for (size_t i = 0; i < sizeof uints / sizeof *uints; i++)
        property_add("uint", AMQP_UINT, (struct amqp_text){0}, (int64_t)uints[i], 0);
    property_add("yes", AMQP_BOOL, (struct amqp_text){0}, 1, 0);
    property_add("no", AMQP_BOOL, (struct amqp_text){0}, 0, 0);
    property_add("double", AMQP_DOUBLE, (struct amqp_text){0}, 0, -1.5e300);
    property_add("time", AMQP_TIMESTAMP, (struct amqp_text){0}, -5, 0);
    property_add("uuid", AMQP_UUID, (struct amqp_text){uuid, 16}, 0, 0);
    property_add("empty", AMQP_STRING, text_of(""), 0, 0);
    property_add("bytes", AMQP_BINARY, text_of_len('b', 300), 0, 0);

    pn_message_t *message = pn_message();
    pn_data_t *data = decoded_properties(message, encode(encoded, "body", 4));
    for (size_t i = 0; i < sizeof ints / sizeof *ints; i++) {
        expect_name(data, "int");
        bool fits = ints[i] >= INT32_MIN && ints[i] <= INT32_MAX;
        cr_assert_eq(pn_data_type(data), fits ? PN_INT : PN_LONG);
        cr_assert_eq(fits ? pn_data_get_int(data) : pn_data_get_long(data), ints[i]);
    }
    for (size_t i = 0; i < sizeof uints / sizeof *uints; i++) {
        expect_name(data, "uint");
        cr_assert_eq(pn_data_type(data), PN_ULONG);
        cr_assert_eq(pn_data_get_ulong(data), uints[i]);
    }
    expect_name(data, "yes");
    cr_assert(pn_data_type(data) == PN_BOOL && pn_data_get_bool(data));
    expect_name(data, "no");
    cr_assert(pn_data_type(data) == PN_BOOL && !pn_data_get_bool(data));
    expect_name(data, "double");
    cr_assert_eq(pn_data_get_double(data), -1.5e300);
    expect_name(data, "time");
    cr_assert(pn_data_type(data) == PN_TIMESTAMP && pn_data_get_timestamp(data) == -5);
    expect_name(data, "uuid");
    cr_assert_eq(memcmp(pn_data_get_uuid(data).bytes, uuid, 16), 0);
    expect_name(data, "empty");
    cr_assert(pn_data_type(data) == PN_STRING && pn_data_get_string(data).size == 0);
    expect_name(data, "bytes");
    cr_assert(pn_data_type(data) == PN_BINARY && pn_data_get_binary(data).size == 300);
    pn_message_free(message);
}

Test(amqp, long_texts_and_many_properties_take_the_wide_forms)
{
    static const uint32_t lens[] = {1, 100, 230, 231, 232, 233, 255, 256, 512};
    pn_message_t *message = pn_message();
    for (size_t i = 0; i < sizeof lens / sizeof *lens; i++)
        for (size_t j = 0; j < sizeof lens / sizeof *lens; j++) {
            event = (struct amqp_event){
                .key = text_of_len('k', lens[i]), .message_id = text_of_len('m', lens[j]), .creation_ms = j % 2 ? 1700000000000 : 0};
            if (j % 3)
                event.correlation_id = text_of_len('c', lens[i]);
            size_t len = encode(encoded, "x", 1);
            cr_assert_eq(pn_message_decode(message, (const char *)encoded, len), 0);
            cr_assert(pn_message_is_durable(message));
            cr_assert_eq(pn_message_get_creation_time(message), event.creation_ms);
            pn_msgid_t id = pn_message_get_id(message);
            cr_assert(id.type == PN_STRING && id.u.as_bytes.size == lens[j]);
            pn_data_t *annotations = pn_message_annotations(message);
            pn_data_rewind(annotations);
            pn_data_next(annotations);
            pn_data_enter(annotations);
            pn_data_next(annotations);
            cr_assert_eq(pn_data_type(annotations), PN_SYMBOL);
            pn_data_next(annotations);
            cr_assert(pn_data_type(annotations) == PN_STRING && pn_data_get_string(annotations).size == lens[i]);
        }
    event = (struct amqp_event){0};
    for (unsigned count = 1; count <= AMQP_PROPERTIES_MAX; count++) {
        property_add("n", AMQP_UINT, (struct amqp_text){0}, count, 0);
        decoded_properties(message, encode(encoded, "", 0));
    }
    pn_message_free(message);
    event.property_count = AMQP_PROPERTIES_MAX + 1;
    cr_assert_eq(amqp_encode_event_head(&event, encoded, sizeof encoded), -EINVAL);
}

Test(amqp, content_type_is_a_symbol)
{
    event = (struct amqp_event){.content_type = text_of("text/plain")};
    size_t len = encode(encoded, "x", 1);
    static const uint8_t wanted[] = {0x00, 0x53, 0x73, 0xc0, 0x13, 0x07, 0x40, 0x40, 0x40, 0x40, 0x40, 0x40, 0xa3, 0x0a};
    cr_assert_gt(len, sizeof wanted);
    cr_assert_eq(memcmp(encoded, wanted, sizeof wanted), 0);
}

Test(amqp, no_byte_is_written_where_there_is_no_room)
{
    event = (struct amqp_event){.key = text_of("key"), .message_id = text_of("id"), .body_len = 300};
    property_add("p", AMQP_STRING, text_of("v"), 0, 0);
    size_t head_len = amqp_event_bytes(&event) - 300;
    uint8_t room[256];
    for (size_t cap = 0; cap < head_len; cap++) {
        memset(room, 0xee, sizeof room);
        cr_assert_eq(amqp_encode_event_head(&event, room, cap), -ENOSPC);
        for (size_t i = 0; i < sizeof room; i++)
            cr_assert_eq(room[i], 0xee);
    }
    cr_assert_eq(amqp_encode_event_head(&event, room, head_len), (int64_t)head_len);
    cr_assert_eq(room[head_len], 0xee);
    cr_assert_eq(amqp_encode_envelope(event.key, room, amqp_envelope_bytes(event.key) - 1), -ENOSPC);
    cr_assert_eq(amqp_encode_section_head(255, room, 4), -ENOSPC);
    cr_assert_eq(amqp_encode_section_head(256, room, 7), -ENOSPC);
    cr_assert_eq(amqp_encode_section_head(256, room, 8), 8);
}

/* ---- meta blocks ---- */

static uint8_t meta[1 << 17];
static uint32_t meta_len;

static void tlv_add(uint8_t tag, uint8_t type, const char *name, const void *value, uint32_t value_len)
{
    struct ring_tlv tlv = {tag, type, (uint16_t)strlen(name), value_len};
    memcpy(meta + meta_len, &tlv, sizeof tlv);
    memcpy(meta + meta_len + sizeof tlv, name, tlv.name_len);
    memcpy(meta + meta_len + sizeof tlv + tlv.name_len, value, value_len);
    meta_len += (uint32_t)sizeof tlv + tlv.name_len + value_len;
}

static bool is_text(struct amqp_text text, const char *wanted)
{
    return text.data != NULL && text.len == strlen(wanted) && memcmp(text.data, wanted, text.len) == 0;
}

Test(amqp_meta, single_fields_and_properties_arrive)
{
    int64_t integer = -5;
    double real = 2.5;
    tlv_add(RING_META_CONTENT_TYPE, RING_TYPE_STRING, "", "application/json", 16);
    tlv_add(RING_META_MESSAGE_ID, RING_TYPE_STRING, "", "m", 1);
    tlv_add(RING_META_CORRELATION_ID, RING_TYPE_STRING, "", "c", 1);
    tlv_add(RING_META_SCHEMA_VERSION, RING_TYPE_STRING, "", "v2", 2);
    tlv_add(RING_META_TRACEPARENT, RING_TYPE_STRING, "", "00-ab", 5);
    tlv_add(RING_META_PROPERTY, RING_TYPE_INT, "i", &integer, 8);
    tlv_add(RING_META_PROPERTY, RING_TYPE_DOUBLE, "d", &real, 8);
    tlv_add(RING_META_PROPERTY, RING_TYPE_BOOL, "b", "\1", 1);
    tlv_add(RING_META_PROPERTY, RING_TYPE_STRING, "\xc3\xa4", "\xe2\x82\xac", 3);
    cr_assert_eq(amqp_event_from_meta(meta, meta_len, &event), 0);
    cr_expect(is_text(event.content_type, "application/json"));
    cr_expect(is_text(event.message_id, "m"));
    cr_expect(is_text(event.correlation_id, "c"));
    cr_assert_eq(event.property_count, 7);
    cr_expect(is_text(event.property[0].name, "i") && event.property[0].type == AMQP_INT && event.property[0].integer == -5);
    cr_expect(event.property[1].type == AMQP_DOUBLE && event.property[1].real == 2.5);
    cr_expect(event.property[2].type == AMQP_BOOL && event.property[2].integer == 1);
    cr_expect(is_text(event.property[3].bytes, "\xe2\x82\xac"));
    cr_expect(is_text(event.property[4].name, "schema-version") && is_text(event.property[4].bytes, "v2"));
    cr_expect(is_text(event.property[5].name, "traceparent") && is_text(event.property[5].bytes, "00-ab"));
    cr_expect(is_text(event.property[6].name, "Diagnostic-Id") && is_text(event.property[6].bytes, "00-ab"));
}

Test(amqp_meta, fields_of_an_earlier_event_do_not_stay)
{
    event = (struct amqp_event){
        .message_id = text_of("old"), .content_type = text_of("old"), .correlation_id = text_of("old"), .property_count = 3};
    cr_assert_eq(amqp_event_from_meta(meta, 0, &event), 0);
    cr_expect_null(event.message_id.data);
    cr_expect_null(event.content_type.data);
    cr_expect_null(event.correlation_id.data);
    cr_expect_eq(event.property_count, 0);
}

Test(amqp_meta, the_producers_own_property_of_a_name_is_not_doubled)
{
    tlv_add(RING_META_TRACEPARENT, RING_TYPE_STRING, "", "00-ab", 5);
    tlv_add(RING_META_PROPERTY, RING_TYPE_STRING, "Diagnostic-Id", "mine", 4);
    cr_assert_eq(amqp_event_from_meta(meta, meta_len, &event), 0);
    cr_assert_eq(event.property_count, 2);
    cr_expect(is_text(event.property[0].bytes, "mine"));
    cr_expect(is_text(event.property[1].name, "traceparent"));
}

Test(amqp_meta, as_many_properties_as_libehring_takes_fit_with_all_single_fields)
{
    tlv_add(RING_META_TRACEPARENT, RING_TYPE_STRING, "", "t", 1);
    tlv_add(RING_META_SCHEMA_VERSION, RING_TYPE_STRING, "", "s", 1);
    for (int i = 0; i < 256; i++) {
        char name[8];
        snprintf(name, sizeof name, "p%d", i);
        tlv_add(RING_META_PROPERTY, RING_TYPE_STRING, name, "v", 1);
    }
    cr_assert_eq(amqp_event_from_meta(meta, meta_len, &event), 0);
    cr_assert_eq(event.property_count, 259);
}

Test(amqp_meta, what_is_not_a_meta_block_is_refused)
{
    static const struct {
        uint8_t tag, type;
        const char *name, *value;
        uint32_t value_len;
    } cases[] = {
        {0, RING_TYPE_STRING, "", "x", 1},
        {7, RING_TYPE_STRING, "", "x", 1},
        {RING_META_MESSAGE_ID, RING_TYPE_INT, "", "12345678", 8},
        {RING_META_MESSAGE_ID, RING_TYPE_STRING, "name", "x", 1},
        {RING_META_MESSAGE_ID, RING_TYPE_STRING, "", "\xff", 1},
        {RING_META_PROPERTY, RING_TYPE_STRING, "", "x", 1},
        {RING_META_PROPERTY, RING_TYPE_STRING, "\xc0\x80", "x", 1},
        {RING_META_PROPERTY, RING_TYPE_STRING, "n", "\xed\xa0\x80", 3},
        {RING_META_PROPERTY, RING_TYPE_STRING, "n", "\xf4\x90\x80\x80", 4},
        {RING_META_PROPERTY, RING_TYPE_STRING, "n", "1234567\xe2\x82", 9},
        {RING_META_PROPERTY, 0, "n", "x", 1},
        {RING_META_PROPERTY, 9, "n", "x", 1},
        {RING_META_PROPERTY, RING_TYPE_BOOL, "n", "\2", 1},
        {RING_META_PROPERTY, RING_TYPE_BOOL, "n", "", 0},
        {RING_META_PROPERTY, RING_TYPE_INT, "n", "1234", 4},
        {RING_META_PROPERTY, RING_TYPE_UUID, "n", "123456789012345", 15},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        meta_len = 0;
        tlv_add(cases[i].tag, cases[i].type, cases[i].name, cases[i].value, cases[i].value_len);
        cr_expect_eq(amqp_event_from_meta(meta, meta_len, &event), -EBADMSG, "case %zu", i);
    }
    meta_len = 0;
    tlv_add(RING_META_MESSAGE_ID, RING_TYPE_STRING, "", "x", 1);
    tlv_add(RING_META_MESSAGE_ID, RING_TYPE_STRING, "", "y", 1);
    cr_expect_eq(amqp_event_from_meta(meta, meta_len, &event), -EBADMSG, "a single field twice");
}

Test(amqp_meta, a_block_cut_anywhere_is_refused_and_nothing_behind_it_is_read)
{
    tlv_add(RING_META_PROPERTY, RING_TYPE_STRING, "name", "value", 5);
    for (uint32_t len = 1; len < meta_len; len++) {
        uint8_t *exact = malloc(len);
        memcpy(exact, meta, len);
        cr_expect_eq(amqp_event_from_meta(exact, len, &event), -EBADMSG);
        free(exact);
    }
    struct ring_tlv tlv = {RING_META_PROPERTY, RING_TYPE_BINARY, UINT16_MAX, UINT32_MAX};
    memcpy(meta, &tlv, sizeof tlv);
    cr_expect_eq(amqp_event_from_meta(meta, sizeof tlv + 10, &event), -EBADMSG);
    tlv.name_len = 1;
    memcpy(meta, &tlv, sizeof tlv);
    cr_expect_eq(amqp_event_from_meta(meta, sizeof tlv + 10, &event), -EBADMSG);
}

Test(amqp, a_message_of_its_own_says_that_it_is_durable_with_or_without_a_key)
{
    static const uint8_t header[] = {0x00, 0x53, 0x70, 0xc0,
                                     0x02, 0x01, 0x41}; /* the short form of true: RabbitMQ forgets other messages */
    event = (struct amqp_event){.is_message = true};
    size_t len = encode(encoded, "body", 4);
    cr_assert_eq(len, sizeof header + AMQP_SECTION_SHORT + 4);
    cr_assert_arr_eq(encoded, header, sizeof header);
    event = (struct amqp_event){.is_message = true, .key = text_of("k"), .key_annotation = text_of("x-device")};
    encode(encoded, "body", 4);
    cr_assert_arr_eq(encoded, header, sizeof header);
}

Test(amqp, a_message_is_read_by_proton_with_its_key_wherever_it_was_put)
{
    event = (struct amqp_event){.is_message = true,
                                .key = text_of("device-42"),
                                .key_annotation = text_of("x-device"),
                                .message_id = text_of("m-1"),
                                .subject = text_of("subject-42"),
                                .group_id = text_of_len('g', 300),
                                .correlation_id = text_of("c-1"),
                                .content_type = text_of("text/plain"),
                                .creation_ms = 1700000000123};
    cr_assert_eq(amqp_event_add_property(&event, "device", 6, text_of("property-42")), 0);
    cr_assert_eq(amqp_event_add_property(&event, "device", 6, text_of("another")), 0);
    size_t len = encode(encoded, "body", 4);
    pn_message_t *message = pn_message();
    cr_assert_eq(pn_message_decode(message, (char *)encoded, len), 0);
    cr_assert(pn_message_is_durable(message));
    pn_bytes_t id = pn_message_get_id(message).u.as_bytes; /* without a NUL */
    cr_assert(id.size == 3 && memcmp(id.start, "m-1", 3) == 0);
    cr_assert_str_eq(pn_message_get_subject(message), "subject-42");
    cr_assert_eq(strlen(pn_message_get_group_id(message)), 300u);
    cr_assert_str_eq(pn_message_get_content_type(message), "text/plain");
    cr_assert_eq(pn_message_get_creation_time(message), 1700000000123);
    pn_data_t *annotations = pn_message_annotations(message);
    pn_data_rewind(annotations);
    cr_assert(pn_data_next(annotations) && pn_data_get_map(annotations) == 2 && pn_data_enter(annotations) && pn_data_next(annotations));
    pn_bytes_t name = pn_data_get_symbol(annotations);
    cr_assert(name.size == 8 && memcmp(name.start, "x-device", 8) == 0);
    pn_data_next(annotations);
    cr_assert_eq(memcmp(pn_data_get_string(annotations).start, "device-42", 9), 0);
    pn_data_t *properties = pn_message_properties(message);
    pn_data_rewind(properties);
    cr_assert(pn_data_next(properties) && pn_data_get_map(properties) == 2, "a name only once");
    pn_data_enter(properties);
    pn_data_next(properties);
    pn_data_next(properties);
    cr_assert_eq(memcmp(pn_data_get_string(properties).start, "property-42", 11), 0, "the first one wins");
    pn_message_free(message);
}
