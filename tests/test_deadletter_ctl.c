/* The shipper writes dead letters, ehring-ctl reads them: what goes from a ring through a line and back into a ring is the same event. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client_rig.h"
#include "shipper/deadletter.h"
#include "shipper/deadletter_segment.h"
#include "tools/ctl/letter.h"
#include "tools/ctl/marks.h"
#include "tools/ctl/options.h"
#include "tools/ctl/segment.h"

static struct rig rig;
static char dir[160], stream_dir[192];

static void set_up(void)
{
    rig_open(&rig, (struct ehring_options){0});
    cr_assert_eq(ehring_send_text(rig.ring, "the first of a stripe has a time", NULL), 0);
    rig_expect(&rig, "the first of a stripe has a time", 32, NULL);
    snprintf(dir, sizeof dir, "%s/dead", rig.rings);
    snprintf(stream_dir, sizeof stream_dir, "%s/" RIG_STREAM, dir);
    cr_assert_eq(mkdir(dir, 0700), 0);
    cr_assert_eq(mkdir(stream_dir, 0700), 0);
}
static void tear_down(void)
{
    rig_close(&rig);
}
TestSuite(deadletter_ctl, .init = set_up, .fini = tear_down);

static void format(const struct rig_record *record, struct deadletter_buf *buf)
{
    struct deadletter_event event = {.stream = RIG_STREAM,
                                     .ring_file = ring_name(rig.file),
                                     .ring_uuid = ring_header(rig.file)->uuid,
                                     .pos = record->pos,
                                     .parts = &record->parts,
                                     .meta = record->meta,
                                     .body = record->payload,
                                     .reason = DEADLETTER_RETRIES,
                                     .condition = "amqp:not-allowed",
                                     .description = "no \"such\" thing",
                                     .attempts = 3,
                                     .first_ns = INT64_C(1795690800123456789),
                                     .last_ns = INT64_C(1795690801000000001)};
    cr_assert_eq(deadletter_format(buf, &event), 0);
}

static void parse(const char *line, size_t len, struct letter *letter)
{
    char why[200] = "";
    cr_assert_eq(letter_parse(line, len, letter, why, sizeof why), 0, "%s: %.*s", why, (int)len, line);
}

/* Sends the event, brings it through a line, sends what came of it, and compares the two records byte by byte. */
static void round_trip(const struct ehring_event *event)
{
    struct rig_record *record = malloc(sizeof *record), *again = malloc(sizeof *again);
    struct letter *letter = malloc(sizeof *letter);
    struct deadletter_buf buf = {0};
    struct ehring_event read;
    struct ehring_identity id;
    char why[200] = "";
    cr_assert_eq(ehring_send_event(rig.ring, event), 0);
    cr_assert_eq(ehring_last_identity(rig.ring, &id), 0);
    cr_assert(rig_next(&rig, record));
    format(record, &buf);
    parse(buf.text, buf.len - 1, letter);
    cr_assert_eq(memcmp(&letter->id, &id, sizeof id), 0);
    cr_assert_str_eq(letter->reason, "retries");
    cr_assert_str_eq(letter->description.bytes, "no \"such\" thing");
    cr_assert_eq(letter->attempts, 3);
    cr_assert_eq(letter->when_ns, INT64_C(1795690801000000001));
    cr_assert_eq(letter_event(letter, LETTER_WITH_TIME, &read, why, sizeof why), 0, "%s", why);
    int err = ehring_send_event(rig.ring, &read);
    cr_assert_eq(err, 0, "%s: %.*s", ehring_error_text(err), (int)buf.len, buf.text);
    cr_assert(rig_next(&rig, again));
    struct ring_parts *one = &record->parts, *two = &again->parts;
    if (!(one->flags & RING_FLAG_TIME)) { /* the second one may be the first of a stripe */
        two->flags &= (uint8_t)~RING_FLAG_TIME;
        two->time_ns = 0;
    }
    cr_assert_eq(one->flags, two->flags);
    cr_assert_eq(one->route, two->route);
    cr_assert_eq(one->time_ns, two->time_ns);
    cr_assert(one->key_len == two->key_len && memcmp(one->key, two->key, one->key_len) == 0);
    cr_assert(one->meta_len == two->meta_len && memcmp(record->meta, again->meta, one->meta_len) == 0);
    cr_assert(one->payload_len == two->payload_len && memcmp(record->payload, again->payload, one->payload_len) == 0);
    letter_free(letter);
    deadletter_buf_free(&buf);
    rig_free(record);
    rig_free(again);
    free(letter);
    free(record);
    free(again);
}

Test(deadletter_ctl, bodies_of_any_bytes)
{
    uint8_t every[256];
    for (int i = 0; i < 256; i++)
        every[i] = (uint8_t)i;
    const struct {
        const void *data;
        size_t len;
    } bodies[] = {{"", 0},           {"plain", 5},        {"{\"a\":\"\\u00fc\"}\n\t\r\b\f", 20},
                  {"\0", 1},         {"nul\0within", 10}, {"\xff\xfe", 2},
                  {every, 256},      {every, 128},        {"\xf0\x9f\x98\x80", 4},
                  {"\x7f\x1b[0m", 5}};
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++)
        round_trip(&(struct ehring_event){.data = bodies[i].data, .len = bodies[i].len});
}

Test(deadletter_ctl, a_large_body_of_each_kind)
{
    const size_t len = 700001;
    char *body = malloc(len);
    memset(body, '"', len);
    round_trip(&(struct ehring_event){.data = body, .len = len});
    memset(body, 1, len);
    round_trip(&(struct ehring_event){.data = body, .len = len});
    memset(body, 'x', len);
    round_trip(&(struct ehring_event){.data = body, .len = len});
    free(body);
}

Test(deadletter_ctl, keys_partitions_and_times)
{
    const struct ehring_event plain = {.data = "x", .len = 1};
    struct ehring_event event = plain;
    event.key = "k\xc3\xbc";
    round_trip(&event);
    event.has_key_hash = true;
    event.key_hash = INT16_MIN;
    round_trip(&event);
    event.key = "a\0b";
    event.key_len = 3;
    round_trip(&event);
    event = plain;
    event.partition_id = "2031";
    round_trip(&event);
    event.partition_id = "0";
    round_trip(&event);
    event = plain;
    for (const int64_t *time = (const int64_t[]){1, -1, INT64_MAX, INT64_MIN + 1, INT64_C(1795690800000000000), 0}; *time; time++) {
        event.time_ns = *time;
        round_trip(&event);
    }
    event.time_ns = EHRING_TIME_NOW;
    round_trip(&event);
}

Test(deadletter_ctl, meta_of_every_kind_and_type)
{
    const uint8_t uuid[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 255};
    const uint64_t nan_bits = UINT64_C(0x7ff4000000000001);
    double nan;
    memcpy(&nan, &nan_bits, sizeof nan);
    const struct ehring_property properties[] = {
        ehring_property_text("text", "\xc3\xbc\n\"\\"),
        ehring_property_text("empty", ""),
        {.name = "nul", .type = EHRING_TYPE_TEXT, .len = 3, .value.text = "a\0b"},
        ehring_property_bool("yes", true),
        ehring_property_bool("no", false),
        ehring_property_int("least", INT64_MIN),
        ehring_property_int("most", INT64_MAX),
        ehring_property_uint("umost", UINT64_MAX),
        ehring_property_uint("zero", 0),
        ehring_property_double("tenth", 0.1),
        ehring_property_double("-0", -0.0),
        ehring_property_double("inf", -INFINITY),
        ehring_property_double("nan", nan),
        ehring_property_double("tiny", DBL_TRUE_MIN),
        ehring_property_double("max", DBL_MAX),
        ehring_property_timestamp("time", -1),
        ehring_property_timestamp("late", INT64_MAX),
        ehring_property_bytes("bytes", "\0\1\2\xff", 4),
        ehring_property_bytes("none", "", 0),
        ehring_property_uuid("uuid", uuid),
        ehring_property_text("a name with \xe2\x82\xac and \"", "x"),
    };
    struct ehring_event event = {.data = "x",
                                 .len = 1,
                                 .content_type = "application/json",
                                 .message_id = "m\xc3\xbc",
                                 .correlation_id = "",
                                 .schema_version = "2\t",
                                 .traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
                                 .properties = properties,
                                 .property_count = sizeof properties / sizeof *properties};
    round_trip(&event);
    event.key = "k";
    round_trip(&event);
}

Test(deadletter_ctl, as_many_properties_as_an_event_may_have)
{
    static struct ehring_property properties[EHRING_PROPERTIES_MAX];
    static char name[EHRING_PROPERTIES_MAX][8];
    for (unsigned i = 0; i < EHRING_PROPERTIES_MAX; i++) {
        snprintf(name[i], sizeof name[i], "p%u", i);
        properties[i] = ehring_property_bytes(name[i], "\xff", 1);
    }
    round_trip(&(struct ehring_event){.data = "x", .len = 1, .properties = properties, .property_count = EHRING_PROPERTIES_MAX});
}

Test(deadletter_ctl, an_event_may_be_sent_again_without_its_time)
{
    struct rig_record *record = malloc(sizeof *record);
    static struct letter letter;
    struct deadletter_buf buf = {0};
    struct ehring_event event;
    char why[200];
    cr_assert_eq(ehring_send_event(rig.ring, &(struct ehring_event){.data = "x", .len = 1, .time_ns = 12345}), 0);
    cr_assert(rig_next(&rig, record));
    format(record, &buf);
    parse(buf.text, buf.len - 1, &letter);
    cr_assert_eq(letter_event(&letter, LETTER_WITH_TIME, &event, why, sizeof why), 0);
    cr_assert_eq(event.time_ns, 12345);
    cr_assert_eq(letter_event(&letter, LETTER_WITHOUT_TIME, &event, why, sizeof why), 0);
    cr_assert_eq(event.time_ns, 0);
    letter_free(&letter);
    deadletter_buf_free(&buf);
    rig_free(record);
    free(record);
}

static const char whole[] =
    "{\"version\":1,\"id\":\"01234567-89ab-cdef-0102-0304050607ff:16\",\"stream\":\"orders\",\"ring\":\"r\",\"reason\":\"age\","
    "\"attempts\":0,"
    "\"last_time\":\"2026-11-26T11:00:00Z\",\"key\":\"k\",\"message_id\":\"m\",\"properties\":[{\"name\":\"u\",\"type\":\"uuid\",\"value\":"
    "\"01234567-89ab-cdef-0102-0304050607ff\"},{\"name\":\"b\",\"type\":\"binary\",\"value_base64\":\"AP8=\"}],\"body_base64\":\"/w==\"}";

Test(deadletter_ctl, a_line_that_was_spoilt_is_refused_with_a_reason_and_never_read_beyond)
{
    static struct letter letter;
    char why[200];
    parse(whole, strlen(whole), &letter);
    letter_free(&letter);
    for (size_t len = 0; len < strlen(whole); len++) {
        char *cut = malloc(len + 1);
        memcpy(cut, whole, len);
        why[0] = '\0';
        cr_assert_eq(letter_parse(cut, len, &letter, why, sizeof why), -EBADMSG, "%zu", len);
        cr_assert(why[0]);
        free(cut);
    }
    for (size_t i = 0; i < strlen(whole) * 8; i++) {
        char *flipped = strdup(whole);
        flipped[i / 8] = (char)(flipped[i / 8] ^ (1 << i % 8));
        int err = letter_parse(flipped, strlen(flipped), &letter, why, sizeof why);
        cr_assert(err == 0 || err == -EBADMSG);
        if (err == 0)
            letter_free(&letter);
        free(flipped);
    }
}

static void expect_bad(const char *part, const char *instead, const char *says)
{
    static struct letter letter;
    char line[1024], why[200] = "";
    const char *at = strstr(whole, part);
    cr_assert_not_null(at);
    snprintf(line, sizeof line, "%.*s%s%s", (int)(at - whole), whole, instead, at + strlen(part));
    cr_assert_eq(letter_parse(line, strlen(line), &letter, why, sizeof why), -EBADMSG, "%s", line);
    cr_assert(strstr(why, says), "%s, not %s", why, says);
}

Test(deadletter_ctl, what_is_wrong_with_a_line_is_said)
{
    expect_bad("\"version\":1", "\"version\":2", "version");
    expect_bad("cdef-0102", "cdef-010x", "id");
    expect_bad(":16\"", ":\"", "id");
    expect_bad("\"reason\":\"age\"", "\"reason\":7", "reason");
    expect_bad("11:00:00Z", "11:00", "time");
    expect_bad("\"key\":\"k\"", "\"key\":[]", "key");
    expect_bad("\"key\":\"k\"", "\"key_hash\":40000", "key_hash");
    expect_bad("\"message_id\":\"m\"", "\"message_id\":1", "message_id");
    expect_bad("\"type\":\"uuid\"", "\"type\":\"guid\"", "property 0");
    expect_bad("\"AP8=\"", "\"AP8\"", "property 1");
    expect_bad("\"/w==\"", "\"/w=\"", "body");
    expect_bad("\"body_base64\"", "\"bodies\"", "body");
}

static void write_file(const char *name, const char *text)
{
    char path[320];
    snprintf(path, sizeof path, "%s/%s", stream_dir, name);
    FILE *file = fopen(path, "w");
    cr_assert_not_null(file);
    fputs(text, file);
    fclose(file);
}

Test(deadletter_ctl, a_torn_last_line_and_a_bad_one_are_counted_and_passed)
{
    static struct letter letter;
    struct segment segment;
    char text[4096];
    snprintf(text, sizeof text, "%s\nno letter\n\n%s\n%.40s", whole, whole, whole);
    write_file("20261126T110000Z-000001.jsonl", text);
    cr_assert_eq(segment_open(&segment, dir, RIG_STREAM, "20261126T110000Z-000001.jsonl"), 0);
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(segment_next(&segment, &letter), 1);
        cr_assert_str_eq(segment.line, whole);
        letter_free(&letter);
    }
    cr_assert_eq(segment_next(&segment, &letter), 0);
    cr_assert_eq(segment.bad_count, 2);
    cr_assert_eq(segment.torn_bytes, 40);
    segment_close(&segment);
}

Test(deadletter_ctl, segments_are_found_in_order_and_nothing_else)
{
    struct segment_names names;
    write_file("20261126T110000Z-000002.jsonl", "");
    write_file("20261126T110000Z-000001.jsonl", "");
    write_file("20261126T110000Z-000001.jsonl.replayed", "");
    write_file(".hidden.jsonl", "");
    cr_assert_eq(segment_list(dir, RIG_STREAM, &names), 0);
    cr_assert_eq(names.count, 2);
    cr_assert_str_eq(names.name[0], "20261126T110000Z-000001.jsonl");
    segment_names_free(&names);
    cr_assert_eq(segment_streams(dir, NULL, &names), 0);
    cr_assert_eq(names.count, 1);
    segment_names_free(&names);
    cr_assert_eq(segment_streams(dir, "absent", &names), 0);
    cr_assert_eq(names.count, 0);
    cr_assert_eq(segment_list(dir, "absent", &names), -ENOENT);
}

Test(deadletter_ctl, a_segment_that_a_shipper_writes_cannot_be_kept_from_it)
{
    struct deadletter_limits limits = {0};
    struct deadletter_segment written;
    struct segment segment;
    char error[1400];
    deadletter_segment_init(&written, dir, RIG_STREAM);
    cr_assert_eq(deadletter_segment_append(&written, &limits, whole, strlen(whole), error, sizeof error), 0);
    cr_assert_eq(segment_open(&segment, dir, RIG_STREAM, strrchr(written.path, '/') + 1), 0);
    cr_assert(segment_is_written(&segment));
    cr_assert_eq(segment_keep(&segment), -EBUSY);
    deadletter_segment_close(&written);
    cr_assert_not(segment_is_written(&segment));
    cr_assert_eq(segment_keep(&segment), 0);
    segment_close(&segment);
}

Test(deadletter_ctl, marks_are_kept_and_a_half_one_is_none)
{
    struct marks marks = {0};
    struct ehring_identity id[3000];
    char path[320];
    memset(id, 0, sizeof id);
    for (size_t i = 0; i < 3000; i++) {
        id[i].pos = i * 16;
        id[i].ring_uuid[15] = (uint8_t)(i % 3);
    }
    snprintf(path, sizeof path, "%s/20261126T110000Z-000001.jsonl", stream_dir);
    cr_assert_eq(marks_load(&marks, path), 0);
    cr_assert_not(marks_have(&marks, &id[0]));
    cr_assert_eq(marks_append(path, id, 2000), 0);
    strcat(path, MARKS_SUFFIX);
    FILE *torn = fopen(path, "a");
    fputs("00000000-0000-0000-0000-0000000000", torn);
    fclose(torn);
    path[strlen(path) - strlen(MARKS_SUFFIX)] = '\0';
    cr_assert_eq(marks_load(&marks, path), 0);
    cr_assert_eq(marks.count, 2000);
    cr_assert_eq(marks_append(path, id + 1999, 1001), 0);
    marks_free(&marks);
    cr_assert_eq(marks_load(&marks, path), 0);
    cr_assert_eq(marks.count, 3000);
    for (size_t i = 0; i < 3000; i++)
        cr_assert(marks_have(&marks, &id[i]));
    id[7].ring_uuid[15] = 9;
    cr_assert_not(marks_have(&marks, &id[7]));
    marks_free(&marks);
}

Test(deadletter_ctl, one_process_at_a_time_marks_or_purges)
{
    int fd = marks_lock(dir, RIG_STREAM);
    cr_assert_geq(fd, 0);
    cr_assert_eq(marks_lock(dir, RIG_STREAM), -EBUSY);
    close(fd);
    fd = marks_lock(dir, RIG_STREAM);
    cr_assert_geq(fd, 0);
    close(fd);
    cr_assert_eq(marks_lock(dir, "absent"), -ENOENT);
}

Test(deadletter_ctl, numbers_and_times_of_the_command_line)
{
    uint64_t number;
    int64_t ns;
    cr_assert(option_number("64K", 1, 1 << 20, &number) && number == 65536);
    cr_assert_not(option_number("2M", 1, 1 << 20, &number));
    cr_assert_not(option_number("0", 1, 9, &number));
    cr_assert_not(option_number("-1", 0, 9, &number));
    cr_assert_not(option_number("1KB", 0, 9999, &number));
    cr_assert_not(option_number("18446744073709551616", 0, UINT64_MAX, &number));
    cr_assert_not(option_number("99999999999G", 0, UINT64_MAX, &number));
    cr_assert(option_duration("90m", &ns) && ns == INT64_C(5400000000000));
    cr_assert(option_duration("3", &ns) && ns == INT64_C(3000000000));
    cr_assert_not(option_duration("3w", &ns) || option_duration("", &ns) || option_duration("99999999999d", &ns));
    cr_assert(option_rfc3339("2026-11-26T11:00:00.5Z", &ns) && ns == INT64_C(1795690800500000000));
    cr_assert(option_rfc3339("1969-12-31T23:59:59.999999999Z", &ns) && ns == -1);
    cr_assert(option_rfc3339("2026-11-26", &ns) && ns == INT64_C(1795651200000000000));
    cr_assert_not(option_rfc3339("2026-11-26T11:00:00", &ns) || option_rfc3339("2026-11-26T11:00:00.Z", &ns) ||
                  option_rfc3339("2026-11-26T11:00:00+01:00", &ns) || option_rfc3339("9999-01-01", &ns) || option_rfc3339("", &ns));
    cr_assert(option_time("10s", 11000000000, &ns) && ns == 1000000000);
}
