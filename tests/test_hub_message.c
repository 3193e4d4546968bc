/* What the hub takes as an event or a batch, and what it says about the rest. */
#include "tests/hub_vectors.h"
#include "tools/hub/message.h"

/* A message being put together; parts are written in the order of the calls. */
static void put_key_value(struct hub_buf *b, const char *key)
{
    hub_put_descriptor(b, HUB_SECTION_ANNOTATIONS);
    size_t map = hub_put_map_begin(b);
    hub_put_symbol(b, "x-opt-partition-key");
    hub_put_string(b, key);
    hub_put_compound_end(b, map, 2);
}

static void put_data(struct hub_buf *b, const void *bytes, size_t len)
{
    hub_put_descriptor(b, HUB_SECTION_DATA);
    hub_put_binary(b, bytes, len);
}

static void put_member(struct hub_buf *b, const char *key)
{
    struct hub_buf event = {0};

    if (key)
        put_key_value(&event, key);
    put_data(&event, "body", 4);
    put_data(b, event.data, event.len);
    hub_buf_free(&event);
}

/* "taken" or the condition of the refusal. */
static const char *judge_bytes(const uint8_t *bytes, size_t len, uint32_t format, enum hub_target target)
{
    static struct hub_error why;
    struct hub_message m;

    if (hub_message_open(&m, format, bytes, len, &why) < 0 || hub_message_check(&m, target, &why) < 0) {
        cr_assert(strlen(why.text) > 10, "a refusal without a reason");
        return why.condition;
    }
    return "taken";
}

static const char *judge(struct hub_buf *b, uint32_t format, enum hub_target target)
{
    uint8_t *exact = malloc(b->len + 1);

    memcpy(exact, b->data ? b->data : (const uint8_t *)"", b->len);
    const char *verdict = judge_bytes(exact, b->len, format, target);
    free(exact);
    hub_buf_free(b);
    return verdict;
}

Test(hub_message, every_published_batch_is_taken_apart_into_its_events)
{
    cJSON *json = vectors_read("messages.json"), *row;
    int batches = 0;

    cJSON_ArrayForEach(row, cJSON_GetObjectItem(json, "messages"))
    {
        cJSON *inner = cJSON_GetObjectItem(row, "inner_hex"), *one;
        struct hub_bytes m, expected;
        struct hub_message message;
        struct hub_error why;
        struct hub_slice event;
        if (!inner)
            continue;
        hub_unhex(hub_text(row, "hex"), &m);
        cr_assert_eq(hub_message_open(&message, HUB_FORMAT_BATCH, m.at, m.len, &why), 0, "%s", why.text);
        cr_assert_eq(hub_message_check(&message, HUB_TARGET_HUB, &why), 0, "%s", why.text);
        cr_expect_eq(message.event_count, (uint32_t)cJSON_GetArraySize(inner));
        cJSON_ArrayForEach(one, inner)
        {
            hub_unhex(one->valuestring, &expected);
            cr_assert(hub_message_next(&message, &event));
            cr_assert_eq(event.len, expected.len);
            cr_expect_eq(memcmp(event.bytes, expected.at, event.len), 0);
        }
        cr_expect_not(hub_message_next(&message, &event));
        batches++;
    }
    cr_expect_geq(batches, 4);
    cJSON_Delete(json);
}

Test(hub_message, a_published_single_event_gives_its_key_body_and_properties)
{
    struct hub_bytes m;
    struct hub_event e;
    struct hub_error why;
    uint32_t format;

    hub_vector("messages", "single-key", &m, &format);
    cr_assert_str_eq(judge_bytes(m.at, m.len, format, HUB_TARGET_HUB), "taken");
    cr_assert_eq(hub_event_read(&e, m.at, m.len, &why), 0);
    cr_expect(e.key.len == 9 && memcmp(e.key.bytes, "device-42", 9) == 0);
    cr_expect(e.data.len == 16 && memcmp(e.data.bytes, "hello event hubs", 16) == 0);
    cr_expect_gt(e.properties.len, 0);
    cr_expect_gt(e.application.len, 0);
}

Test(hub_message, a_batch_sent_as_a_single_event_is_refused)
{
    struct hub_bytes m;
    struct hub_buf one = {0};

    hub_vector("messages", "batch3-key", &m, NULL);
    cr_expect_str_eq(judge_bytes(m.at, m.len, 0, HUB_TARGET_HUB), "amqp:decode-error");
    put_member(&one, NULL);
    cr_expect_str_eq(judge(&one, 0, HUB_TARGET_HUB), "amqp:not-allowed");
}

Test(hub_message, a_single_event_sent_as_a_batch_is_refused)
{
    struct hub_bytes m;

    hub_vector("messages", "single-key", &m, NULL);
    cr_expect_str_neq(judge_bytes(m.at, m.len, HUB_FORMAT_BATCH, HUB_TARGET_HUB), "taken");
}

Test(hub_message, an_unknown_message_format_is_refused)
{
    struct hub_bytes m;

    hub_vector("messages", "single-plain", &m, NULL);
    cr_expect_str_eq(judge_bytes(m.at, m.len, 0x80013701u, HUB_TARGET_HUB), "amqp:not-implemented");
}

Test(hub_message, an_empty_batch_is_refused)
{
    struct hub_bytes m;

    hub_vector("messages", "batch-envelope-empty-key", &m, NULL);
    cr_expect_str_eq(judge_bytes(m.at, m.len, HUB_FORMAT_BATCH, HUB_TARGET_HUB), "amqp:invalid-field");
    cr_expect_str_eq(judge_bytes((const uint8_t *)"", 0, HUB_FORMAT_BATCH, HUB_TARGET_HUB), "amqp:invalid-field");
}

Test(hub_message, keys_of_envelope_and_members_must_agree_on_a_hub_link)
{
    static const struct {
        const char *envelope, *first, *second, *hub, *partition;
    } rows[] = {
        {"a", "a", "a", "taken", "taken"},
        {NULL, NULL, NULL, "taken", "taken"},
        {"a", "a", "b", "amqp:invalid-field", "amqp:invalid-field"},
        {"a", "a", NULL, "amqp:invalid-field", "amqp:invalid-field"},
        {NULL, NULL, "b", "amqp:invalid-field", "taken"},
        {NULL, "a", "b", "amqp:invalid-field", "taken"},
        {"a", "a", "aa", "amqp:invalid-field", "amqp:invalid-field"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        for (enum hub_target target = HUB_TARGET_HUB; target <= HUB_TARGET_PARTITION; target++) {
            struct hub_buf b = {0};
            if (rows[i].envelope)
                put_key_value(&b, rows[i].envelope);
            put_member(&b, rows[i].first);
            put_member(&b, rows[i].second);
            cr_expect_str_eq(judge(&b, HUB_FORMAT_BATCH, target), target == HUB_TARGET_HUB ? rows[i].hub : rows[i].partition,
                             "row %zu, target %d", i, target);
        }
    }
}

Test(hub_message, a_key_is_a_string_of_at_most_128_characters)
{
    struct hub_buf b = {0};
    char key[600] = "";

    for (int i = 0; i < 128; i++)
        strcat(key, "日");
    put_key_value(&b, key);
    put_data(&b, "x", 1);
    cr_expect_str_eq(judge(&b, 0, HUB_TARGET_HUB), "taken");
    strcat(key, "x");
    put_key_value(&b, key);
    put_data(&b, "x", 1);
    cr_expect_str_eq(judge(&b, 0, HUB_TARGET_HUB), "amqp:invalid-field");
    put_key_value(&b, key);
    put_member(&b, "k");
    cr_expect_str_eq(judge(&b, HUB_FORMAT_BATCH, HUB_TARGET_HUB), "amqp:invalid-field");
    hub_put_descriptor(&b, HUB_SECTION_ANNOTATIONS);
    size_t map = hub_put_map_begin(&b);
    hub_put_symbol(&b, "x-opt-partition-key");
    hub_put_symbol(&b, "not-a-string");
    hub_put_compound_end(&b, map, 2);
    put_data(&b, "x", 1);
    cr_expect_str_eq(judge(&b, 0, HUB_TARGET_HUB), "amqp:invalid-field");
}

Test(hub_message, an_event_has_exactly_one_body)
{
    struct hub_buf b = {0}, event = {0};

    put_key_value(&b, "k");
    cr_expect_str_eq(judge(&b, 0, HUB_TARGET_HUB), "amqp:decode-error");
    put_data(&b, "x", 1);
    hub_put_descriptor(&b, HUB_SECTION_VALUE);
    hub_put_null(&b);
    cr_expect_str_eq(judge(&b, 0, HUB_TARGET_HUB), "amqp:decode-error");
    hub_put_descriptor(&b, HUB_SECTION_VALUE);
    hub_put_string(&b, "a value is a body too");
    cr_expect_str_eq(judge(&b, 0, HUB_TARGET_HUB), "taken");
    put_data(&event, "x", 1);
    put_data(&event, "y", 1);
    put_member(&b, NULL);
    put_data(&b, event.data, event.len);
    cr_expect_str_eq(judge(&b, HUB_FORMAT_BATCH, HUB_TARGET_HUB), "amqp:decode-error");
    hub_buf_free(&event);
}

Test(hub_message, sections_come_in_order_and_once)
{
    struct hub_buf b = {0};

    put_data(&b, "x", 1);
    put_key_value(&b, "k");
    cr_expect_str_eq(judge(&b, 0, HUB_TARGET_HUB), "amqp:decode-error");
    put_key_value(&b, "k");
    put_key_value(&b, "k");
    put_data(&b, "x", 1);
    cr_expect_str_eq(judge(&b, 0, HUB_TARGET_HUB), "amqp:decode-error");
    put_member(&b, NULL);
    put_key_value(&b, "k");
    cr_expect_str_eq(judge(&b, HUB_FORMAT_BATCH, HUB_TARGET_HUB), "amqp:decode-error");
}

Test(hub_message, a_reason_names_the_member_and_the_limit)
{
    struct hub_buf b = {0};
    struct hub_message m;
    struct hub_error why;
    char key[200];

    memset(key, 'k', 129);
    key[129] = '\0';
    put_member(&b, NULL);
    put_member(&b, key);
    cr_assert_eq(hub_message_open(&m, HUB_FORMAT_BATCH, b.data, b.len, &why), 0);
    cr_assert_lt(hub_message_check(&m, HUB_TARGET_HUB, &why), 0);
    cr_expect_str_eq(why.text, "event 1 of 2 in the batch: partition key of 129 characters exceeds the limit of 128 characters");
    hub_buf_free(&b);
}

/* A byte of a body or text may be anything, so not every change is seen; but none is read beyond its end. */
Test(hub_message, no_changed_byte_of_a_batch_makes_the_hub_read_beyond_it)
{
    struct hub_bytes m;
    int refused = 0;

    hub_vector("messages", "batch3-key", &m, NULL);
    for (size_t i = 0; i < m.len; i++) {
        for (int v = 0; v < 256; v += 5) {
            struct hub_buf b = {0};
            hub_buf_put(&b, m.at, m.len);
            b.data[i] = (uint8_t)v;
            refused += strcmp(judge(&b, HUB_FORMAT_BATCH, HUB_TARGET_HUB), "taken") != 0;
        }
    }
    cr_expect_gt(refused, 5000);
    for (size_t len = 0; len < m.len; len++) {
        struct hub_buf b = {0};
        hub_buf_put(&b, m.at, len);
        const char *verdict = judge(&b, HUB_FORMAT_BATCH, HUB_TARGET_HUB);
        bool ends_with_a_member = len == 117 || len == 195;
        cr_expect_eq(strcmp(verdict, "taken") == 0, ends_with_a_member, "cut at %zu: %s", len, verdict);
    }
}
