/* ehring_json.h: a cJSON value arrives as its text with content type application/json. */
#include <criterion/criterion.h>

#include "client/ehring_json.h"
#include "tests/client_rig.h"

Test(client_json, a_value_arrives_as_text_with_its_content_type)
{
    struct rig rig;
    struct rig_record *record = malloc(sizeof(*record));
    cJSON *value = cJSON_Parse("{ \"id\": 7, \"name\": \"M\xc3\xbcller\", \"tags\": [true, null, 1.5] }");
    const char *text = "{\"id\":7,\"name\":\"M\xc3\xbcller\",\"tags\":[true,null,1.5]}";

    rig_open(&rig, (struct ehring_options){0});
    cr_assert_eq(ehring_send_json(rig.ring, value, "7"), 0);
    cr_assert(rig_next(&rig, record));
    cr_expect_str_eq((char *)record->payload, text);
    cr_expect_eq(record->parts.payload_len, strlen(text));
    cr_expect_eq(record->parts.key_len, 1);
    rig_expect_tlv(record, 0, RING_META_CONTENT_TYPE, RING_TYPE_STRING, "", "application/json", 16);
    rig_free(record);
    free(record);
    cJSON_Delete(value);
    rig_close(&rig);
}

Test(client_json, options_go_with_it_and_another_content_type_stays)
{
    struct rig rig;
    struct rig_record *record = malloc(sizeof(*record));
    cJSON *value = cJSON_CreateString("x");
    const struct ehring_event event = {.data = "not this", .len = 8, .content_type = "application/cloudevents+json", .partition_id = "3"};

    rig_open(&rig, (struct ehring_options){0});
    cr_assert_eq(ehring_send_json_event(rig.ring, value, &event), 0);
    cr_assert(rig_next(&rig, record));
    cr_expect_str_eq((char *)record->payload, "\"x\"");
    cr_expect_eq(record->parts.route, 3);
    rig_expect_tlv(record, 0, RING_META_CONTENT_TYPE, RING_TYPE_STRING, "", "application/cloudevents+json", 28);
    rig_free(record);
    free(record);
    cJSON_Delete(value);
    rig_close(&rig);
}

Test(client_json, no_value_is_refused_and_counted)
{
    struct rig rig;
    struct ehring_stats stats;

    rig_open(&rig, (struct ehring_options){0});
    cr_expect_eq(ehring_send_json(rig.ring, NULL, NULL), EHRING_E_INVALID);
    cr_assert_eq(ehring_read_stats(rig.ring, &stats), 0);
    cr_expect_eq(stats.refused[EHRING_REFUSED_INVALID], 1);
    rig_expect_none(&rig);
    rig_close(&rig);
}
