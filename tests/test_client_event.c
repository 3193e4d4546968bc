/* libehring: an event's options arrive as the record's route, time and TLVs, each of its type, byte for byte. */
#include <criterion/criterion.h>

#include "tests/client_rig.h"

/* Sends the event and takes its record; free both parts of what is returned. */
static struct rig_record *send_and_take(struct rig *rig, const struct ehring_event *event)
{
    struct rig_record *record = malloc(sizeof(*record));
    int err = ehring_send_event(rig->ring, event);

    cr_assert_eq(err, 0, "%d %s", err, ehring_error_text(err));
    cr_assert(rig_next(rig, record));
    return record;
}

static void drop(struct rig_record *record)
{
    rig_free(record);
    free(record);
}

Test(client_event, texts_arrive_in_their_tags)
{
    struct rig rig;
    const struct ehring_event event = {
        .data = "body",
        .len = 4,
        .key = "k",
        .content_type = "application/json",
        .message_id = "m-1",
        .correlation_id = "\xc3\xa9tude",
        .schema_version = "2.1",
        .traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    };

    rig_open(&rig, (struct ehring_options){0});
    struct rig_record *record = send_and_take(&rig, &event);
    struct rig_tlv none;
    rig_expect_tlv(record, 0, RING_META_CONTENT_TYPE, RING_TYPE_STRING, "", "application/json", 16);
    rig_expect_tlv(record, 1, RING_META_MESSAGE_ID, RING_TYPE_STRING, "", "m-1", 3);
    rig_expect_tlv(record, 2, RING_META_CORRELATION_ID, RING_TYPE_STRING, "", "\xc3\xa9tude", 6);
    rig_expect_tlv(record, 3, RING_META_SCHEMA_VERSION, RING_TYPE_STRING, "", "2.1", 3);
    rig_expect_tlv(record, 4, RING_META_TRACEPARENT, RING_TYPE_STRING, "", event.traceparent, 55);
    cr_expect_not(rig_tlv(record, 5, &none));
    cr_expect_eq(record->parts.payload_len, 4);
    cr_expect_eq(memcmp(record->payload, "body", 4), 0);
    cr_expect_eq(record->parts.key_len, 1);
    drop(record);
    rig_close(&rig);
}

Test(client_event, properties_of_every_type_arrive)
{
    static const uint8_t uuid[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 255};
    struct rig rig;
    struct ehring_property cut = ehring_property_text("cut", "only six of these");
    cut.len = 6;
    const struct ehring_property properties[] = {
        ehring_property_text("text", "gr\xc3\xbc\xc3\x9f dich"),
        ehring_property_bool("yes", true),
        ehring_property_bool("no", false),
        ehring_property_int("int", INT64_MIN),
        ehring_property_uint("uint", UINT64_MAX),
        ehring_property_double("double", -0.1),
        ehring_property_timestamp("when", INT64_C(1700000000123)),
        ehring_property_bytes("bytes", "\0\1\xff", 3),
        ehring_property_bytes("no bytes", NULL, 0),
        ehring_property_uuid("uuid", uuid),
        cut,
    };
    const struct ehring_event event = {.data = "b", .len = 1, .properties = properties, .property_count = 11};
    int64_t least = INT64_MIN, when = INT64_C(1700000000123);
    uint64_t most = UINT64_MAX;
    double tenth = -0.1;

    rig_open(&rig, (struct ehring_options){0});
    struct rig_record *record = send_and_take(&rig, &event);
    struct rig_tlv none;
    rig_expect_tlv(record, 0, RING_META_PROPERTY, RING_TYPE_STRING, "text", "gr\xc3\xbc\xc3\x9f dich", 11);
    rig_expect_tlv(record, 1, RING_META_PROPERTY, RING_TYPE_BOOL, "yes", "\1", 1);
    rig_expect_tlv(record, 2, RING_META_PROPERTY, RING_TYPE_BOOL, "no", "\0", 1);
    rig_expect_tlv(record, 3, RING_META_PROPERTY, RING_TYPE_INT, "int", &least, 8);
    rig_expect_tlv(record, 4, RING_META_PROPERTY, RING_TYPE_UINT, "uint", &most, 8);
    rig_expect_tlv(record, 5, RING_META_PROPERTY, RING_TYPE_DOUBLE, "double", &tenth, 8);
    rig_expect_tlv(record, 6, RING_META_PROPERTY, RING_TYPE_TIMESTAMP, "when", &when, 8);
    rig_expect_tlv(record, 7, RING_META_PROPERTY, RING_TYPE_BINARY, "bytes", "\0\1\xff", 3);
    rig_expect_tlv(record, 8, RING_META_PROPERTY, RING_TYPE_BINARY, "no bytes", "", 0);
    rig_expect_tlv(record, 9, RING_META_PROPERTY, RING_TYPE_UUID, "uuid", uuid, 16);
    rig_expect_tlv(record, 10, RING_META_PROPERTY, RING_TYPE_STRING, "cut", "only s", 6);
    cr_expect_not(rig_tlv(record, 11, &none));
    drop(record);
    rig_close(&rig);
}

Test(client_event, a_partition_id_arrives_as_the_route)
{
    struct rig rig;
    const struct ehring_event event = {.data = "b", .len = 1, .partition_id = "31"};

    rig_open(&rig, (struct ehring_options){0});
    struct rig_record *record = send_and_take(&rig, &event);
    cr_expect_eq(record->parts.flags & (RING_FLAG_ROUTE_PARTITION | RING_FLAG_ROUTE_HASH), RING_FLAG_ROUTE_PARTITION);
    cr_expect_eq(record->parts.route, 31);
    cr_expect_eq(record->parts.key_len, 0);
    drop(record);
    rig_close(&rig);
}

Test(client_event, a_hash_that_the_caller_knows_arrives_as_the_route)
{
    struct rig rig;
    const struct ehring_event event = {.data = "b", .len = 1, .key = "k", .has_key_hash = true, .key_hash = -2};

    rig_open(&rig, (struct ehring_options){0});
    struct rig_record *record = send_and_take(&rig, &event);
    cr_expect_eq(record->parts.flags & (RING_FLAG_ROUTE_PARTITION | RING_FLAG_ROUTE_HASH), RING_FLAG_ROUTE_HASH);
    cr_expect_eq(record->parts.route, 0xfffe);
    drop(record);
    rig_close(&rig);
}

Test(client_event, a_key_may_be_given_with_its_length)
{
    struct rig rig;
    const struct ehring_event event = {.data = "b", .len = 1, .key = "customer-7 and more", .key_len = 10};

    rig_open(&rig, (struct ehring_options){0});
    cr_assert_eq(ehring_send_event(rig.ring, &event), 0);
    rig_expect(&rig, "b", 1, "customer-7");
    rig_close(&rig);
}

Test(client_event, a_time_arrives_as_given_or_as_now)
{
    struct rig rig;
    struct ehring_event event = {.data = "b", .len = 1, .time_ns = 1234567890};

    rig_open(&rig, (struct ehring_options){0});
    struct rig_record *record = send_and_take(&rig, &event);
    cr_expect(record->parts.flags & RING_FLAG_TIME);
    cr_expect_eq(record->parts.time_ns, 1234567890);
    drop(record);
    event.time_ns = EHRING_TIME_NOW;
    record = send_and_take(&rig, &event);
    cr_expect(record->parts.flags & RING_FLAG_TIME);
    cr_expect_gt(record->parts.time_ns, INT64_C(1600000000000000000));
    drop(record);
    event.time_ns = 0;
    record = send_and_take(&rig, &event);
    cr_expect_not(record->parts.flags & RING_FLAG_TIME, "a third event in its stripe has none");
    drop(record);
    rig_close(&rig);
}

Test(client_event, a_reservation_keeps_its_options)
{
    struct rig rig;
    const struct ehring_event event = {.len = 100, .partition_id = "7", .content_type = "text/plain"};
    struct rig_record *record = malloc(sizeof(*record));
    void *payload;

    rig_open(&rig, (struct ehring_options){0});
    cr_assert_eq(ehring_reserve_event(rig.ring, &event, &payload), 0);
    memcpy(payload, "filled in", 9);
    cr_assert_eq(ehring_commit(rig.ring, 9), 0);
    cr_assert(rig_next(&rig, record));
    cr_expect_eq(record->parts.route, 7);
    cr_expect_eq(record->parts.payload_len, 9);
    cr_expect_eq(memcmp(record->payload, "filled in", 9), 0);
    rig_expect_tlv(record, 0, RING_META_CONTENT_TYPE, RING_TYPE_STRING, "", "text/plain", 10);
    drop(record);
    rig_close(&rig);
}

Test(client_event, an_array_keeps_each_events_own_options)
{
    struct rig rig;
    struct ehring_property properties[100];
    struct ehring_event events[100] = {0};
    struct rig_record *record = malloc(sizeof(*record));
    char id[100][8];

    rig_open(&rig, (struct ehring_options){0});
    for (int i = 0; i < 100; i++) {
        snprintf(id[i], sizeof(id[i]), "id-%d", i);
        properties[i] = ehring_property_int("line", i);
        events[i] = (struct ehring_event){.data = id[i], .len = 4, .message_id = id[i], .properties = &properties[i], .property_count = 1};
    }
    cr_assert_eq(ehring_send_many(rig.ring, events, 100), 100);
    for (int64_t i = 0; i < 100; i++) {
        cr_assert(rig_next(&rig, record));
        rig_expect_tlv(record, 0, RING_META_MESSAGE_ID, RING_TYPE_STRING, "", id[i], strlen(id[i]));
        rig_expect_tlv(record, 1, RING_META_PROPERTY, RING_TYPE_INT, "line", &i, 8);
        rig_free(record);
    }
    free(record);
    rig_close(&rig);
}
