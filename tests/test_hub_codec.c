/* The hub reads AMQP's types as they are written, and lives through everything else. */
#include "tests/hub_vectors.h"
#include "tools/hub/codec.h"
#include "tools/hub/frame.h"

#include <errno.h>

static int check(const uint8_t *bytes, size_t len)
{
    struct hub_in in = hub_in_of(bytes, len);
    struct hub_value v;

    return hub_value_check(&in, &v);
}

Test(hub_codec, numbers_come_back_in_every_width)
{
    static const int64_t numbers[] = {0, 1, -1, 127, 128, -128, -129, 255, 256, INT32_MAX, INT32_MIN, INT64_MAX, INT64_MIN};

    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        struct hub_buf b = {0};
        struct hub_value v;
        hub_put_long(&b, numbers[i]);
        hub_put_ulong(&b, (uint64_t)numbers[i]);
        hub_put_int(&b, (int32_t)numbers[i]);
        hub_put_uint(&b, (uint32_t)numbers[i]);
        hub_put_timestamp(&b, numbers[i]);
        hub_put_short(&b, (int16_t)numbers[i]);
        hub_put_byte(&b, (int8_t)numbers[i]);
        struct hub_in in = hub_in_of(b.data, b.len);
        cr_assert(hub_value_read(&in, &v) == 0 && v.type == HUB_LONG && v.i == numbers[i]);
        cr_assert(hub_value_read(&in, &v) == 0 && v.type == HUB_ULONG && v.u == (uint64_t)numbers[i]);
        cr_assert(hub_value_read(&in, &v) == 0 && v.type == HUB_INT && v.i == (int32_t)numbers[i]);
        cr_assert(hub_value_read(&in, &v) == 0 && v.type == HUB_UINT && v.u == (uint32_t)numbers[i]);
        cr_assert(hub_value_read(&in, &v) == 0 && v.type == HUB_TIMESTAMP && v.i == numbers[i]);
        cr_assert(hub_value_read(&in, &v) == 0 && v.type == HUB_SHORT && v.i == (int16_t)numbers[i]);
        cr_assert(hub_value_read(&in, &v) == 0 && v.type == HUB_BYTE && v.i == (int8_t)numbers[i]);
        cr_assert_eq(hub_in_left(&in), 0);
        hub_buf_free(&b);
    }
}

Test(hub_codec, texts_lists_and_maps_come_back_short_and_long)
{
    static const size_t lengths[] = {0, 1, 240, 255, 256, 70000};
    char *text = calloc(1, 70001);

    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        struct hub_buf b = {0};
        struct hub_value map, v;
        memset(text, 'a', lengths[i]);
        text[lengths[i]] = '\0';
        size_t place = hub_put_map_begin(&b);
        hub_put_symbol(&b, "other");
        hub_put_bool(&b, true);
        hub_put_string(&b, "wanted");
        hub_put_string(&b, text);
        hub_put_compound_end(&b, place, 4);
        struct hub_in in = hub_in_of(b.data, b.len);
        cr_assert_eq(hub_value_check(&in, &map), 0);
        cr_assert_eq(map.raw_len, b.len);
        cr_assert(hub_map_find(&map, "wanted", &v));
        cr_assert_eq(v.len, lengths[i]);
        cr_assert(hub_value_is(&v, text));
        cr_assert_not(hub_map_find(&map, "absent", &v));
        hub_buf_free(&b);
    }
    free(text);
}

Test(hub_codec, the_partition_list_of_the_published_reply_is_an_array_of_strings)
{
    static const char *const ids[] = {"0", "1", "2", "3"};
    struct hub_bytes reply;
    struct hub_value section, map, array, v;
    struct hub_buf ours = {0};

    hub_vector("messages", "mgmt-reply-hub", &reply, NULL);
    struct hub_in in = hub_in_of(reply.at, reply.len);
    do
        cr_assert_eq(hub_value_check(&in, &section), 0);
    while (section.u != 0x77);
    struct hub_in inner = hub_value_items(&section);
    cr_assert_eq(hub_value_read(&inner, &map), 0);
    cr_assert(hub_map_find(&map, "partition_ids", &array));
    cr_assert_eq(array.type, HUB_ARRAY);
    cr_assert_eq(array.count, 4);
    struct hub_in items = hub_value_items(&array);
    for (unsigned i = 0; i < 4; i++) {
        cr_assert_eq(hub_array_next(&array, &items, &v), 0);
        cr_expect(v.type == HUB_STRING && hub_value_is(&v, ids[i]));
    }
    hub_put_string_array(&ours, ids, 4);
    cr_expect_eq(ours.len, array.raw_len);
    cr_expect_eq(memcmp(ours.data, array.raw, ours.len), 0, "our array differs from proton's");
    hub_buf_free(&ours);
}

Test(hub_codec, every_published_message_is_valid_and_none_is_when_cut)
{
    cJSON *json = vectors_read("messages.json"), *row;

    cJSON_ArrayForEach(row, cJSON_GetObjectItem(json, "messages"))
    {
        struct hub_bytes m;
        hub_unhex(hub_text(row, "hex"), &m);
        struct hub_in in = hub_in_of(m.at, m.len);
        struct hub_value v;
        size_t ends[16] = {0}, count = 1;
        while (hub_in_left(&in) > 0) {
            cr_assert_eq(hub_value_check(&in, &v), 0, "%s", hub_text(row, "name"));
            ends[count++] = (size_t)(in.at - m.at);
        }
        for (size_t i = 1; i < count; i++) {
            for (size_t len = ends[i - 1]; len < ends[i]; len++) {
                /* A copy of its own: a read behind the end is then seen by the sanitizer. */
                uint8_t *cut = malloc(len - ends[i - 1] + 1);
                memcpy(cut, m.at + ends[i - 1], len - ends[i - 1]);
                cr_expect_eq(check(cut, len - ends[i - 1]), -EBADMSG, "%s cut at %zu", hub_text(row, "name"), len);
                free(cut);
            }
        }
    }
    cJSON_Delete(json);
}

Test(hub_codec, values_that_claim_more_than_there_is_are_refused)
{
    static const struct {
        const char *hex;
        const char *why;
    } bad[] = {
        {"", "nothing"},
        {"3f", "unknown constructor"},
        {"a105616263", "text longer than its bytes"},
        {"b1ffffffff61", "text of 4 GiB"},
        {"c00002", "list of 2 items in no bytes"},
        {"d00000000400000002", "list32 of 2 items in no bytes"},
        {"d0fffffffffffffffff0", "list32 of 4 GiB"},
        {"c10301a10161", "map with an odd count"},
        {"c10402404141", "map with items left over"},
        {"c0020040", "list with bytes left over"},
        {"e00301", "array cut in its head"},
        {"f0000000060fffffff40", "array of 268 million nulls"},
        {"f00000000900000003a1016101", "array cut in its elements"},
        {"00", "descriptor without end"},
        {"00005340", "descriptor that is described"},
        {"5602", "bool that is neither"},
        {"a102c080", "overlong UTF-8"},
        {"a103eda080", "UTF-8 of a surrogate"},
        {"a104f4908080", "UTF-8 above the last character"},
        {"a101c3", "UTF-8 cut"},
    };

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct hub_bytes b;
        hub_unhex(bad[i].hex, &b);
        cr_expect_eq(check(b.at, b.len), -EBADMSG, "%s", bad[i].why);
    }
}

Test(hub_codec, nesting_without_end_is_refused_and_does_not_exhaust_the_stack)
{
    enum { LEN = 100000 };
    uint8_t *lists = malloc(LEN), *described = malloc(LEN);

    for (size_t i = 0; i < LEN; i += 5)
        memcpy(lists + i, (const uint8_t[]){0xc0, 0xfe, 1, 0xc0, 0xfe}, 5);
    for (size_t i = 0; i + 2 < LEN; i += 3)
        memcpy(described + i, (const uint8_t[]){0, 0x53, 0x75}, 3);
    cr_expect_eq(check(lists, LEN), -EBADMSG);
    cr_expect_eq(check(described, LEN), -EBADMSG);
    free(lists);
    free(described);
}

Test(hub_codec, every_performative_of_ours_has_all_its_fields)
{
    struct hub_buf out = {0};
    struct hub_error e;
    static const uint32_t counts[] = {10, 8, 14, 11, 11, 6, 3, 1, 1};
    static const uint64_t codes[] = {HUB_OPEN, HUB_BEGIN, HUB_ATTACH, HUB_FLOW, HUB_FLOW, HUB_DISPOSITION, HUB_DETACH, HUB_END, HUB_CLOSE};

    hub_error_set(&e, "amqp:not-found", "text");
    hub_put_open(&out, "c", 65536, 255, 240000);
    hub_put_begin(&out, 3, 5000, 255);
    hub_put_attach(&out, 3, &(struct hub_attach){.name = "l", .receiver = true, .tracking_id = "t"});
    hub_put_flow(&out, 3, &(struct hub_flow){.has_link = true});
    hub_put_flow(&out, 3, &(struct hub_flow){.has_link = false});
    hub_put_disposition(&out, 3, &(struct hub_disposition){.receiver = true, .outcome = HUB_OUTCOME_REJECTED, .error = &e});
    hub_put_detach(&out, 3, 1, true, &e);
    hub_put_end(&out, 3, NULL);
    hub_put_close(&out, &e);
    for (size_t i = 0, at = 0; i < sizeof counts / sizeof *counts; i++) {
        struct hub_in in = hub_in_of(out.data + at + 8, hub_load_u32(out.data + at) - 8);
        struct hub_fields f;
        uint64_t code;
        cr_assert_eq(hub_fields_read(&in, &code, &f), 0);
        cr_expect_eq(code, codes[i]);
        cr_expect_eq(f.count, counts[i], "performative 0x%llx", (unsigned long long)code);
        cr_expect_eq(hub_in_left(&in), 0);
        at += hub_load_u32(out.data + at);
    }
    hub_buf_free(&out);
}

Test(hub_codec, an_attach_gives_the_termini_back_with_their_nulls_filled_up)
{
    struct hub_buf short_one = {0}, out = {0};
    struct hub_fields ours, target;
    struct hub_value v;
    uint64_t code;

    hub_put_descriptor(&short_one, HUB_TARGET);
    size_t list = hub_put_list_begin(&short_one);
    hub_put_string(&short_one, "hub1");
    hub_put_compound_end(&short_one, list, 1);
    struct hub_in in = hub_in_of(short_one.data, short_one.len);
    cr_assert_eq(hub_value_read(&in, &v), 0);
    hub_put_attach(&out, 0, &(struct hub_attach){.name = "l", .receiver = true, .target = &v, .tracking_id = "t"});
    in = hub_in_of(out.data + 8, out.len - 8);
    cr_assert_eq(hub_fields_read(&in, &code, &ours), 0);
    cr_expect_not(hub_field_is_set(&ours, 5));
    cr_assert(hub_field_is_set(&ours, 6));
    in = hub_in_of(ours.at[6].raw, ours.at[6].raw_len);
    cr_assert_eq(hub_fields_read(&in, &code, &target), 0);
    cr_expect_eq(code, HUB_TARGET);
    cr_expect_eq(target.count, 7);
    cr_expect(hub_value_is(&target.at[0], "hub1"));
    hub_buf_free(&short_one);
    hub_buf_free(&out);
}

Test(hub_codec, dispositions_are_read_and_written_as_the_service_and_proton_do)
{
    struct hub_bytes frame;
    struct hub_fields f, state;
    uint64_t code;

    hub_vector("frames", "captured-accepted", &frame, NULL);
    struct hub_in in = hub_in_of(frame.at + 8, frame.len - 8);
    cr_assert_eq(hub_fields_read(&in, &code, &f), 0);
    cr_expect_eq(code, HUB_DISPOSITION);
    cr_expect(hub_field_bool(&f, 0, false));
    cr_expect_eq(hub_field_uint(&f, 1, 0), 0x137);
    cr_expect_not(hub_field_is_set(&f, 2));
    in = hub_in_of(f.at[4].raw, f.at[4].raw_len);
    cr_assert_eq(hub_fields_read(&in, &code, &state), 0);
    cr_expect_eq(code, HUB_ACCEPTED);
}
