/* libehring: every refusal has its code, is counted by its reason, and leaves the ring as it was. */
#include <criterion/criterion.h>
#include <sys/statvfs.h>

#include "tests/client_rig.h"

static char big[2 << 20];

/* `code` came back; the ring counts one more under `reason` and holds nothing new. */
static void expect_refused(struct rig *rig, int code, int expected, enum ehring_refused reason)
{
    static uint64_t counted[EHRING_REFUSED_SLOTS];
    struct ehring_stats stats;

    cr_expect_eq(code, expected, "%d (%s) instead of %d", code, ehring_error_text(code), expected);
    cr_assert_eq(ehring_read_stats(rig->ring, &stats), 0);
    cr_expect_eq(stats.refused[reason], ++counted[reason], "%s: %lu", ehring_refused_name(reason), stats.refused[reason]);
    cr_expect_eq(stats.sent_events, 0);
    rig_expect_none(rig);
}

static int send_event(struct rig *rig, struct ehring_event event)
{
    event.data = "x";
    event.len = 1;
    return ehring_send_event(rig->ring, &event);
}

static int send_property(struct rig *rig, struct ehring_property property)
{
    return send_event(rig, (struct ehring_event){.properties = &property, .property_count = 1});
}

Test(client_refuses, a_key_of_129_characters)
{
    struct rig rig;
    char key[131] = "", wide[4 * 129 + 1] = "";

    rig_open(&rig, (struct ehring_options){0});
    memset(key, 'k', 129);
    for (int i = 0; i < 129; i++)
        strcat(wide, "\xf0\x9f\x9a\x80");
    expect_refused(&rig, ehring_send(rig.ring, "x", 1, key), EHRING_E_KEY_TOO_LONG, EHRING_REFUSED_KEY_TOO_LONG);
    expect_refused(&rig, ehring_send(rig.ring, "x", 1, wide), EHRING_E_KEY_TOO_LONG, EHRING_REFUSED_KEY_TOO_LONG);
    expect_refused(&rig, send_event(&rig, (struct ehring_event){.key = key}), EHRING_E_KEY_TOO_LONG, EHRING_REFUSED_KEY_TOO_LONG);
    key[128] = 0;
    cr_expect_eq(ehring_send(rig.ring, "x", 1, key), 0);
    rig_close(&rig);
}

Test(client_refuses, a_key_that_is_not_utf8)
{
    static const char *const bad[] = {
        "\x80",
        "\xff",
        "ok then \xc3",
        "\xc0\xaf",
        "\xe0\x80\x80",
        "\xed\xa0\x80",
        "\xf4\x90\x80\x80",
        "\xf0\x80\x80\x80",
        "\xe2\x82",
        "12345678\xe2\x28\xa1",
        "\xf8\x88\x80\x80\x80",
    };
    struct rig rig;

    rig_open(&rig, (struct ehring_options){0});
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        expect_refused(&rig, ehring_send(rig.ring, "x", 1, bad[i]), EHRING_E_KEY_NOT_UTF8, EHRING_REFUSED_KEY_NOT_UTF8);
    cr_expect_eq(ehring_send(rig.ring, "x", 1, "\xed\x9f\xbf \xee\x80\x80 \xf4\x8f\xbf\xbf \xc2\x80 \xe0\xa0\x80 \xf0\x90\x80\x80"), 0);
    rig_close(&rig);
}

Test(client_refuses, key_and_partition_id_together)
{
    struct rig rig;

    rig_open(&rig, (struct ehring_options){0});
    expect_refused(&rig, send_event(&rig, (struct ehring_event){.key = "k", .partition_id = "1"}), EHRING_E_KEY_AND_PARTITION,
                   EHRING_REFUSED_KEY_AND_PARTITION);
    rig_close(&rig);
}

Test(client_refuses, a_partition_id_that_no_hub_has)
{
    static const char *const bad[] = {"", "x", "-1", "+1", " 1", "1 ", "01", "2032", "99999", "4294967296", "18446744073709551616", "1.0"};
    struct rig rig;

    rig_open(&rig, (struct ehring_options){0});
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        expect_refused(&rig, send_event(&rig, (struct ehring_event){.partition_id = bad[i]}), EHRING_E_PARTITION_ID,
                       EHRING_REFUSED_PARTITION_ID);
    cr_expect_eq(send_event(&rig, (struct ehring_event){.partition_id = "2031"}), 0);
    cr_expect_eq(send_event(&rig, (struct ehring_event){.partition_id = "0", .key = ""}), 0);
    rig_close(&rig);
}

Test(client_refuses, texts_that_are_not_utf8)
{
    struct rig rig;

    rig_open(&rig, (struct ehring_options){0});
    expect_refused(&rig, send_event(&rig, (struct ehring_event){.content_type = "\xff"}), EHRING_E_TEXT_NOT_UTF8,
                   EHRING_REFUSED_TEXT_NOT_UTF8);
    expect_refused(&rig, send_event(&rig, (struct ehring_event){.content_type = "text/\xc3\xa9"}), EHRING_E_TEXT_NOT_UTF8,
                   EHRING_REFUSED_TEXT_NOT_UTF8);
    expect_refused(&rig, send_event(&rig, (struct ehring_event){.message_id = "\xff"}), EHRING_E_TEXT_NOT_UTF8,
                   EHRING_REFUSED_TEXT_NOT_UTF8);
    expect_refused(&rig, send_event(&rig, (struct ehring_event){.traceparent = "\xff"}), EHRING_E_TEXT_NOT_UTF8,
                   EHRING_REFUSED_TEXT_NOT_UTF8);
    rig_close(&rig);
}

Test(client_refuses, properties_that_cannot_be)
{
    struct ehring_property twice[] = {ehring_property_int("a", 1), ehring_property_int("b", 1), ehring_property_text("a", "x")};
    struct ehring_property unknown = ehring_property_int("a", 1);
    char name[257] = "";
    struct rig rig;

    rig_open(&rig, (struct ehring_options){0});
    memset(name, 'n', 256);
    unknown.type = (enum ehring_type)9;
    int codes[] = {
        send_property(&rig, ehring_property_int(NULL, 1)),
        send_property(&rig, ehring_property_int("", 1)),
        send_property(&rig, ehring_property_int("\xff", 1)),
        send_property(&rig, ehring_property_int(name, 1)),
        send_property(&rig, ehring_property_text("a", NULL)),
        send_property(&rig, ehring_property_text("a", "\xff")),
        send_property(&rig, ehring_property_bytes("a", NULL, 1)),
        send_property(&rig, ehring_property_uuid("a", NULL)),
        send_property(&rig, unknown),
        send_event(&rig, (struct ehring_event){.properties = twice, .property_count = 3}),
        send_event(&rig, (struct ehring_event){.properties = NULL, .property_count = 1}),
    };
    struct ehring_stats stats;
    int count = (int)(sizeof(codes) / sizeof(codes[0]));
    for (int i = 0; i < count; i++)
        cr_expect_eq(codes[i], EHRING_E_PROPERTY, "number %d gave %d", i, codes[i]);
    cr_assert_eq(ehring_read_stats(rig.ring, &stats), 0);
    cr_expect_eq(stats.refused[EHRING_REFUSED_PROPERTY], (uint64_t)count);
    rig_expect_none(&rig);
    name[255] = 0;
    cr_expect_eq(send_property(&rig, ehring_property_int(name, 1)), 0);
    rig_close(&rig);
}

Test(client_refuses, optional_fields_of_more_than_64_kib_but_takes_what_just_fits)
{
    struct rig rig;
    struct ehring_property property = ehring_property_bytes("p", big, EHRING_META_BYTES_MAX - 8);
    struct ehring_property two[2] = {ehring_property_bytes("p", big, 40000), ehring_property_bytes("q", big, 40000)};

    rig_open(&rig, (struct ehring_options){0});
    memset(big, 'x', sizeof(big) - 1);
    expect_refused(&rig, send_property(&rig, property), EHRING_E_META_TOO_LARGE, EHRING_REFUSED_META_TOO_LARGE);
    expect_refused(&rig, send_property(&rig, ehring_property_text("p", big)), EHRING_E_META_TOO_LARGE, EHRING_REFUSED_META_TOO_LARGE);
    expect_refused(&rig, send_event(&rig, (struct ehring_event){.properties = two, .property_count = 2}), EHRING_E_META_TOO_LARGE,
                   EHRING_REFUSED_META_TOO_LARGE);
    expect_refused(&rig, send_event(&rig, (struct ehring_event){.message_id = big}), EHRING_E_META_TOO_LARGE,
                   EHRING_REFUSED_META_TOO_LARGE);
    big[256] = 0;
    expect_refused(&rig, send_event(&rig, (struct ehring_event){.traceparent = big}), EHRING_E_META_TOO_LARGE,
                   EHRING_REFUSED_META_TOO_LARGE);
    big[255] = 0;
    cr_expect_eq(send_event(&rig, (struct ehring_event){.traceparent = big}), 0);
    rig_expect(&rig, "x", 1, NULL);
    property.len--;
    cr_expect_eq(send_property(&rig, property), 0);
    rig_expect(&rig, "x", 1, NULL);
    rig_close(&rig);
}

Test(client_refuses, an_event_over_a_mebibyte_less_the_envelope_until_the_shipper_tells_the_limit)
{
    struct rig rig;
    struct ehring_stats stats;
    struct iovec parts[2] = {{big, 1 << 20}, {big, SIZE_MAX}};
    size_t limit = RING_EVENT_BYTES_MAX_UNTOLD;
    void *payload;

    rig_open(&rig, (struct ehring_options){.capacity_bytes = 16 << 20});
    expect_refused(&rig, ehring_send(rig.ring, big, limit + 1, NULL), EHRING_E_EVENT_TOO_LARGE, EHRING_REFUSED_LARGER_THAN_STREAM);
    expect_refused(&rig, ehring_send(rig.ring, big, limit - 5, "abc"), EHRING_E_EVENT_TOO_LARGE, EHRING_REFUSED_LARGER_THAN_STREAM);
    expect_refused(&rig, ehring_send(rig.ring, big, SIZE_MAX, NULL), EHRING_E_EVENT_TOO_LARGE, EHRING_REFUSED_LARGER_THAN_STREAM);
    expect_refused(&rig, ehring_sendv(rig.ring, parts, 2, NULL), EHRING_E_EVENT_TOO_LARGE, EHRING_REFUSED_LARGER_THAN_STREAM);
    expect_refused(&rig, ehring_reserve(rig.ring, limit + 1, NULL, &payload), EHRING_E_EVENT_TOO_LARGE, EHRING_REFUSED_LARGER_THAN_STREAM);
    cr_assert_eq(ehring_read_stats(rig.ring, &stats), 0);
    cr_expect_eq(stats.event_bytes_max, limit);
    cr_expect_eq(ehring_send(rig.ring, big, limit, NULL), 0);
    cr_expect_eq(ehring_send(rig.ring, big, limit - 6, "abc"), 0);
    rig_expect(&rig, big, limit, NULL);
    rig_expect(&rig, big, limit - 6, "abc");
    rig_close(&rig);
}

Test(client_refuses, an_event_over_the_limit_that_the_shipper_told)
{
    struct rig rig;
    struct ehring_stats stats;

    rig_open(&rig, (struct ehring_options){0});
    ring_set_event_bytes_max(rig.file, 1000);
    expect_refused(&rig, ehring_send(rig.ring, big, 1001, NULL), EHRING_E_EVENT_TOO_LARGE, EHRING_REFUSED_LARGER_THAN_STREAM);
    cr_assert_eq(ehring_read_stats(rig.ring, &stats), 0);
    cr_expect_eq(stats.event_bytes_max, 1000);
    cr_expect_eq(ehring_send(rig.ring, big, 1000, NULL), 0);
    rig_close(&rig);
}

/* Behind the first event of a stripe a plain event goes the shortest way, which looks at the limit by itself. */
Test(client_refuses, an_event_over_the_limit_among_plain_ones)
{
    struct rig rig;
    struct ehring_stats stats;

    rig_open(&rig, (struct ehring_options){0});
    ring_set_event_bytes_max(rig.file, 1000);
    cr_assert_eq(ehring_send(rig.ring, big, 1000, NULL), 0);
    cr_assert_eq(ehring_send(rig.ring, big, 1000, NULL), 0);
    cr_expect_eq(ehring_send(rig.ring, big, 1001, NULL), EHRING_E_EVENT_TOO_LARGE);
    cr_assert_eq(ehring_send(rig.ring, big, 1, NULL), 0);
    cr_assert_eq(ehring_read_stats(rig.ring, &stats), 0);
    cr_expect_eq(stats.sent_events, 3);
    cr_expect_eq(stats.refused[EHRING_REFUSED_LARGER_THAN_STREAM], 1);
    rig_close(&rig);
}

Test(client_refuses, an_event_over_an_eighth_of_the_ring)
{
    struct rig rig;
    void *payload;

    rig_open(&rig, (struct ehring_options){.capacity_bytes = 65536});
    expect_refused(&rig, ehring_send(rig.ring, big, 8193, NULL), EHRING_E_RING_TOO_SMALL, EHRING_REFUSED_LARGER_THAN_RING);
    expect_refused(&rig, ehring_reserve(rig.ring, 8193, NULL, &payload), EHRING_E_RING_TOO_SMALL, EHRING_REFUSED_LARGER_THAN_RING);
    cr_expect_null(payload);
    cr_expect_eq(ehring_send(rig.ring, big, 8000, NULL), 0);
    rig_close(&rig);
}

Test(client_refuses, arguments_that_no_event_has)
{
    struct iovec parts[] = {{NULL, 1}};
    struct rig rig;

    rig_open(&rig, (struct ehring_options){0});
    expect_refused(&rig, ehring_send(rig.ring, NULL, 1, NULL), EHRING_E_INVALID, EHRING_REFUSED_INVALID);
    expect_refused(&rig, ehring_send_text(rig.ring, NULL, NULL), EHRING_E_INVALID, EHRING_REFUSED_INVALID);
    expect_refused(&rig, ehring_sendv(rig.ring, parts, 1, NULL), EHRING_E_INVALID, EHRING_REFUSED_INVALID);
    expect_refused(&rig, ehring_sendv(rig.ring, parts, -1, NULL), EHRING_E_INVALID, EHRING_REFUSED_INVALID);
    expect_refused(&rig, ehring_sendv(rig.ring, NULL, 1, NULL), EHRING_E_INVALID, EHRING_REFUSED_INVALID);
    expect_refused(&rig, ehring_send_event(rig.ring, NULL), EHRING_E_INVALID, EHRING_REFUSED_INVALID);
    expect_refused(&rig, ehring_send_many(rig.ring, NULL, 1), EHRING_E_INVALID, EHRING_REFUSED_INVALID);
    expect_refused(&rig, send_event(&rig, (struct ehring_event){.has_key_hash = true}), EHRING_E_INVALID, EHRING_REFUSED_INVALID);
    expect_refused(&rig, send_event(&rig, (struct ehring_event){.reserved = {0, 1}}), EHRING_E_INVALID, EHRING_REFUSED_INVALID);
    rig_close(&rig);
}

Test(client_refuses, every_call_on_a_closed_handle_that_was_set_to_null)
{
    struct ehring_event event = {0};
    struct ehring_identity identity;
    struct ehring_stats stats;
    uint64_t left;
    void *payload;

    cr_expect_eq(ehring_send(NULL, "x", 1, NULL), EHRING_E_CLOSED);
    cr_expect_eq(ehring_send_text(NULL, "x", "k"), EHRING_E_CLOSED);
    cr_expect_eq(ehring_sendv(NULL, NULL, 0, NULL), EHRING_E_CLOSED);
    cr_expect_eq(ehring_send_event(NULL, &event), EHRING_E_CLOSED);
    cr_expect_eq(ehring_send_many(NULL, &event, 1), EHRING_E_CLOSED);
    cr_expect_eq(ehring_reserve(NULL, 1, NULL, &payload), EHRING_E_CLOSED);
    cr_expect_eq(ehring_reserve_event(NULL, &event, &payload), EHRING_E_CLOSED);
    cr_expect_eq(ehring_commit(NULL, 0), EHRING_E_CLOSED);
    cr_expect_eq(ehring_discard(NULL), EHRING_E_CLOSED);
    cr_expect_eq(ehring_flush(NULL, -1, &left), EHRING_E_CLOSED);
    cr_expect_eq(ehring_read_stats(NULL, &stats), EHRING_E_CLOSED);
    cr_expect_eq(ehring_last_identity(NULL, &identity), EHRING_E_CLOSED);
    cr_expect_null(ehring_path(NULL));
}

/* ---- open ---- */

/* ehring_open fails with this code, and its sentence has `word`. */
static void expect_no_open(struct ehring_options options, int expected, const char *word)
{
    struct ehring *ring = (struct ehring *)&options;
    int err;

    errno = 77;
    err = ehring_open(&options, &ring);
    cr_expect_eq(err, expected, "%d (%s) instead of %d: %s", err, ehring_error_text(err), expected, ehring_open_error());
    cr_expect_null(ring);
    cr_expect_eq(errno, 77, "errno was touched");
    cr_expect(strstr(ehring_open_error(), word), "no \"%s\" in: %s", word, ehring_open_error());
}

Test(client_open_refuses, a_stream_without_its_directory)
{
    struct rig rig;

    rig_dirs(&rig);
    expect_no_open((struct ehring_options){.stream = "missing", .rings_dir = rig.rings}, EHRING_E_NO_STREAM_DIR, "missing");
    expect_no_open((struct ehring_options){.stream = RIG_STREAM, .rings_dir = "/nonexistent"}, EHRING_E_NO_STREAM_DIR, "/nonexistent");
    rig_close(&rig);
}

Test(client_open_refuses, a_directory_that_is_not_writable)
{
    struct rig rig;

    rig_dirs(&rig);
    cr_assert_eq(chmod(rig.rings, 0755), 0);
    cr_assert_eq(chmod(rig.stream_dir, 0555), 0);
    if (geteuid() == 0 && seteuid(65534) != 0)
        cr_skip_test("cannot give up root");
    expect_no_open((struct ehring_options){.stream = RIG_STREAM, .rings_dir = rig.rings}, EHRING_E_NOT_WRITABLE, rig.stream_dir);
    expect_no_open((struct ehring_options){.stream = "new", .rings_dir = rig.rings, .make_stream_dir = true}, EHRING_E_NOT_WRITABLE,
                   "/new");
    if (getuid() == 0)
        cr_assert_eq(seteuid(0), 0);
    rig_close(&rig);
}

Test(client_open_refuses, a_ring_that_its_file_system_cannot_hold)
{
    struct rig rig;
    struct statvfs fs;
    uint64_t capacity = 65536;

    rig_dirs(&rig);
    cr_assert_eq(statvfs(rig.rings, &fs), 0);
    while (capacity <= (uint64_t)fs.f_blocks * fs.f_frsize)
        capacity *= 2;
    if (capacity > RING_CAPACITY_MAX) {
        rig_close(&rig);
        cr_skip_test("this machine's shared memory holds the largest ring");
    }
    expect_no_open((struct ehring_options){.stream = RIG_STREAM, .rings_dir = rig.rings, .capacity_bytes = capacity}, EHRING_E_NO_SPACE,
                   "");
    cr_expect_gt(strcspn(ehring_open_error(), "0123456789"), 0);
    cr_expect(strpbrk(ehring_open_error(), "0123456789"), "wanted and free are named: %s", ehring_open_error());
    cr_expect_eq(rmdir(rig.stream_dir), 0, "nothing was left behind");
    rig_close(&rig);
}

Test(client_open_refuses, options_that_make_no_sense)
{
    struct rig rig;
    struct ehring *ring;
    char name[65] = "";

    rig_dirs(&rig);
    memset(name, 'n', 64);
    struct ehring_options good = {.stream = RIG_STREAM, .rings_dir = rig.rings}, bad;
    cr_expect_eq(ehring_open(NULL, &ring), EHRING_E_INVALID);
    cr_expect_eq(ehring_open(&good, NULL), EHRING_E_INVALID);
    expect_no_open((struct ehring_options){0}, EHRING_E_INVALID, "stream");
    bad = good;
    bad.stream = "../etc";
    expect_no_open(bad, EHRING_E_INVALID, "../etc");
    bad = good;
    bad.stream = ".hidden";
    expect_no_open(bad, EHRING_E_INVALID, ".hidden");
    bad = good;
    bad.stream = "";
    expect_no_open(bad, EHRING_E_INVALID, "stream");
    bad = good;
    bad.stream = name;
    expect_no_open(bad, EHRING_E_PATH_TOO_LONG, "63");
    bad = good;
    bad.name = "a b";
    expect_no_open(bad, EHRING_E_INVALID, "a b");
    bad = good;
    bad.capacity_bytes = 1000;
    expect_no_open(bad, EHRING_E_INVALID, "1000");
    bad = good;
    bad.capacity_bytes = UINT64_MAX;
    expect_no_open(bad, EHRING_E_INVALID, "18446744073709551615");
    bad = good;
    bad.full = (enum ehring_full)3;
    expect_no_open(bad, EHRING_E_INVALID, "3");
    bad = good;
    bad.sync = (enum ehring_sync)2;
    expect_no_open(bad, EHRING_E_INVALID, "sync policy 2");
    bad = good;
    bad.sync_ms = 50;
    expect_no_open(bad, EHRING_E_INVALID, "sync_ms 50");
    bad.sync = EHRING_SYNC;
    bad.sync_ms = EHRING_SYNC_MS_MAX + 1;
    expect_no_open(bad, EHRING_E_INVALID, "60000");
    bad = good;
    bad.reserved[4] = 1;
    expect_no_open(bad, EHRING_E_INVALID, "reserved");
    rig_close(&rig);
}

Test(client_open_refuses, a_path_that_a_socket_address_cannot_hold)
{
    struct rig rig;
    char rings[256];

    rig_dirs(&rig);
    int len = snprintf(rings, sizeof(rings), "%s/", rig.rings);
    memset(rings + len, 'd', 100);
    rings[len + 100] = 0;
    expect_no_open((struct ehring_options){.stream = "s", .rings_dir = rings, .make_stream_dir = true}, EHRING_E_PATH_TOO_LONG, "107");
    rig_close(&rig);
}

Test(client_texts, every_code_has_a_sentence_of_its_own)
{
    static const int codes[] = {
        EHRING_DROPPED,
        EHRING_E_FULL,
        EHRING_E_TIMED_OUT,
        EHRING_E_EVENT_TOO_LARGE,
        EHRING_E_RING_TOO_SMALL,
        EHRING_E_KEY_NOT_UTF8,
        EHRING_E_CLOSED,
        EHRING_E_FORKED,
        EHRING_E_RESERVED,
        EHRING_E_INVALID,
        EHRING_E_NO_STREAM_DIR,
        EHRING_E_NOT_WRITABLE,
        EHRING_E_NO_SPACE,
        EHRING_E_NO_MEMORY,
        EHRING_E_PATH_TOO_LONG,
        EHRING_E_NO_EVENT,
        EHRING_E_KEY_TOO_LONG,
        EHRING_E_KEY_AND_PARTITION,
        EHRING_E_PARTITION_ID,
        EHRING_E_PROPERTY,
        EHRING_E_TEXT_NOT_UTF8,
        EHRING_E_META_TOO_LARGE,
        EHRING_E_NOT_RESERVED,
        EHRING_E_THREAD_STREAMS,
        -EIO,
        0,
    };
    size_t count = sizeof(codes) / sizeof(codes[0]);

    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < i; k++)
            cr_expect_str_neq(ehring_error_text(codes[i]), ehring_error_text(codes[k]), "%d and %d", codes[i], codes[k]);
    cr_expect_str_eq(ehring_error_text(-123456), "unknown code");
    cr_expect_str_eq(ehring_error_text(INT32_MIN), "unknown code");
    for (unsigned i = 0; i <= EHRING_REFUSED_INVALID; i++)
        cr_expect_not_null(ehring_refused_name(i));
    cr_expect_null(ehring_refused_name(EHRING_REFUSED_SLOTS));
}
