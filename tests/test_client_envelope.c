/* The promise behind the stream's limit: what libehring takes, the shipper can encode into one batch below the link's limit. */
#include <criterion/criterion.h>

#include "shipper/amqp.h"
#include "tests/client_rig.h"

/* Bytes of a batch with this event alone, beyond what the limit counts of it. */
static int64_t extra_bytes(struct rig *rig, const struct ehring_event *event)
{
    struct rig_record *record = malloc(sizeof(*record));
    struct amqp_event *amqp = calloc(1, sizeof(*amqp));

    cr_assert_eq(ehring_send_event(rig->ring, event), 0);
    cr_assert(rig_next(rig, record));
    cr_assert_eq(amqp_event_from_meta(record->meta, record->parts.meta_len, amqp), 0);
    if (record->parts.key_len > 0)
        amqp->key = (struct amqp_text){record->parts.key, record->parts.key_len};
    amqp->creation_ms = INT64_C(1700000000000);
    amqp->body_len = record->parts.payload_len;
    int64_t counted = (int64_t)record->parts.payload_len + 2 * record->parts.key_len + record->parts.meta_len;
    int64_t encoded = (int64_t)(amqp_envelope_bytes(amqp->key) + amqp_section_bytes(amqp_event_bytes(amqp)));
    rig_free(record);
    free(record);
    free(amqp);
    return encoded - counted;
}

Test(client_envelope, has_room_for_all_that_amqp_puts_around_an_event)
{
    static char text[256], key[513], name[256][256];
    static struct ehring_property properties[EHRING_PROPERTIES_MAX];
    struct rig rig;

    memset(text, 't', 255);
    for (int i = 0; i < 128; i++)
        strcat(key, "\xf0\x9f\x9a\x80");
    rig_open(&rig, (struct ehring_options){0});
    const struct ehring_event events[] = {
        {.data = text, .len = 1},
        {.data = text, .len = 255, .key = key},
        {.data = text,
         .len = 255,
         .key = "k",
         .content_type = "",
         .message_id = "",
         .correlation_id = "",
         .schema_version = "",
         .traceparent = ""},
        {.data = text,
         .len = 255,
         .key = key,
         .content_type = text,
         .message_id = text,
         .correlation_id = text,
         .schema_version = text,
         .traceparent = text},
    };
    for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++)
        cr_expect_leq(extra_bytes(&rig, &events[i]), RING_ENVELOPE_BYTES, "event %zu", i);

    for (unsigned long_name = 0; long_name < 2; long_name++)
        for (enum ehring_type type = EHRING_TYPE_TEXT; type <= EHRING_TYPE_UUID; type++) {
            for (int i = 0; i < 250; i++) {
                snprintf(name[i], sizeof(name[i]), long_name ? "%0200d" : "%d", i);
                properties[i] = (struct ehring_property){
                    .name = name[i], .type = type, .len = 16, .value.u64 = type == EHRING_TYPE_BOOL ? 1 : UINT64_MAX};
                if (type == EHRING_TYPE_TEXT || type == EHRING_TYPE_BYTES || type == EHRING_TYPE_UUID)
                    properties[i].value.bytes = text;
            }
            struct ehring_event event = events[3];
            event.properties = properties;
            event.property_count = 250;
            cr_expect_leq(extra_bytes(&rig, &event), RING_ENVELOPE_BYTES, "type %d", (int)type);
        }
    rig_close(&rig);
}
