/* What the hub keeps, where readers begin, what is dropped, and what a store file gives back. */
#include <criterion/criterion.h>

#include "tools/hub/broker.h"
#include "tools/hub/dump.h"
#include "tools/hub/receiver.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SEGMENT = 4096 };

static void append(struct hub_log *log, int64_t time_ms, const char *event)
{
    struct hub_record r = {.time_ms = time_ms, .event = (const uint8_t *)event, .event_len = (uint32_t)strlen(event)};

    hub_log_append(log, &r, SEGMENT);
}

/* Sequence number of the event that a selector begins with; -1: none yet. */
static int64_t first_of(const struct hub_log *log, const char *selector)
{
    struct hub_position at;
    struct hub_cursor cursor;
    struct hub_record r;

    cr_assert_eq(hub_selector_read(selector, &at), 0, "%s", selector);
    hub_log_seek(log, &at, &cursor);
    return hub_log_read(log, &cursor, &r) ? r.seq : -1;
}

Test(hub_store, readers_begin_where_their_selector_says)
{
    struct hub_log log = {0};

    cr_expect_eq(first_of(&log, "amqp.annotation.x-opt-offset > '-1'"), -1);
    for (int i = 0; i < 1000; i++)
        append(&log, 1000 + i / 10 * 10, "ten bytes.");
    cr_assert_gt(log.segment_count, 5);
    cr_expect_eq(first_of(&log, "amqp.annotation.x-opt-offset > '-1'"), 0);
    cr_expect_eq(first_of(&log, "amqp.annotation.x-opt-offset > '5000'"), 501);
    cr_expect_eq(first_of(&log, "amqp.annotation.x-opt-offset >= '5000'"), 500);
    cr_expect_eq(first_of(&log, "amqp.annotation.x-opt-offset >= '5001'"), 501);
    cr_expect_eq(first_of(&log, "amqp.annotation.x-opt-sequence-number > '41'"), 42);
    cr_expect_eq(first_of(&log, "amqp.annotation.x-opt-sequence-number >= 41"), 41);
    cr_expect_eq(first_of(&log, "amqp.annotation.x-opt-enqueued-time > '1500'"), 510);
    cr_expect_eq(first_of(&log, "amqp.annotation.x-opt-enqueued-time >= '1500'"), 500);
    cr_expect_eq(first_of(&log, "amqp.annotation.x-opt-offset > '@latest'"), -1);
    cr_expect_eq(first_of(&log, "amqp.annotation.x-opt-sequence-number > '999'"), -1);
    for (int64_t seq = 0; seq < 999; seq++) {
        char selector[80];
        snprintf(selector, sizeof selector, "amqp.annotation.x-opt-sequence-number > '%lld'", (long long)seq);
        cr_assert_eq(first_of(&log, selector), seq + 1);
        snprintf(selector, sizeof selector, "amqp.annotation.x-opt-offset > '%lld'", (long long)seq * 10);
        cr_assert_eq(first_of(&log, selector), seq + 1);
    }
    hub_log_free(&log);
}

Test(hub_store, what_is_no_selector_is_refused)
{
    static const char *const bad[] = {"",
                                      "x",
                                      "amqp.annotation.x-opt-offset = '1'",
                                      "amqp.annotation.x-opt-offset > 'one'",
                                      "amqp.annotation.x-opt-key > '1'",
                                      "amqp.annotation.x-opt-offset > ''"};
    struct hub_position at;

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_expect_eq(hub_selector_read(bad[i], &at), -EINVAL, "%s", bad[i]);
}

Test(hub_store, a_reader_that_was_overtaken_goes_on_with_the_oldest_event_left)
{
    struct hub_log log = {0};
    struct hub_cursor cursor;
    struct hub_record r;
    size_t bytes = 0;

    for (int i = 0; i < 1000; i++)
        append(&log, 1000, "ten bytes.");
    hub_log_seek(&log, &(struct hub_position){.start = HUB_START_OFFSET, .value = -1}, &cursor);
    cr_assert(hub_log_read(&log, &cursor, &r));
    cr_expect_eq(r.seq, 0);
    uint32_t lost = hub_log_drop(&log, &bytes) + hub_log_drop(&log, &bytes);
    cr_assert_gt(lost, 0);
    cr_assert_gt(bytes, 0);
    cr_expect_eq(hub_log_begin_seq(&log), lost);
    for (int64_t seq = lost; seq < 1000; seq++) {
        cr_assert(hub_log_read(&log, &cursor, &r));
        cr_assert_eq(r.seq, seq);
        cr_assert_eq(r.offset, (uint64_t)seq * 10);
        cr_assert_eq(memcmp(r.event, "ten bytes.", 10), 0);
    }
    cr_expect_not(hub_log_read(&log, &cursor, &r));
    append(&log, 1000, "new");
    cr_expect(hub_log_read(&log, &cursor, &r) && r.seq == 1000);
    hub_log_free(&log);
}

static void store(struct hub_broker *b, const char *partition, const char *key, const char *body)
{
    struct hub_partition *p = hub_entity_partition(b->entities[0], partition);
    struct hub_buf event = {0};
    struct hub_message m;
    struct hub_error why;

    if (key) {
        hub_put_descriptor(&event, HUB_SECTION_ANNOTATIONS);
        size_t map = hub_put_map_begin(&event);
        hub_put_symbol(&event, "x-opt-partition-key");
        hub_put_string(&event, key);
        hub_put_compound_end(&event, map, 2);
    }
    hub_put_descriptor(&event, HUB_SECTION_DATA);
    hub_put_binary(&event, body, strlen(body));
    cr_assert_eq(hub_message_open(&m, 0, event.data, event.len, &why), 0, "%s", why.text);
    hub_broker_store(b, p, &m, event.len);
    hub_buf_free(&event);
}

Test(hub_store, the_oldest_events_of_the_hub_make_room_and_are_counted)
{
    static struct hub_broker b;
    uint64_t dropped = 0, kept = 0;
    char body[1000];

    b.store_bytes_max = 1 << 20;
    cr_assert_eq(hub_broker_add(&b, "hub1:2"), 0);
    memset(body, 'x', sizeof body - 1);
    body[sizeof body - 1] = '\0';
    for (int i = 0; i < 5000; i++) {
        b.now_ms = i;
        store(&b, i % 2 ? "1" : "0", NULL, body);
        cr_assert_leq(b.entities[0]->memory_bytes, b.store_bytes_max);
    }
    for (int k = 0; k < 2; k++) {
        struct hub_partition *p = &b.entities[0]->partitions[k];
        dropped += p->counts.dropped_events;
        kept += (uint64_t)(p->log.next_seq - hub_log_begin_seq(&p->log));
        cr_expect_gt(p->log.segment_count, 0);
    }
    cr_expect_eq(dropped + kept, 5000);
    cr_expect_gt(kept, 500);
    hub_broker_free(&b);
}

Test(hub_store, a_store_file_gives_everything_back_but_a_record_that_was_cut)
{
    static struct hub_broker b, again;
    char path[] = "/tmp/ehring-hub-store.XXXXXX";
    struct hub_storefile file;
    struct hub_storereader reader;
    struct hub_storerecord record;
    struct stat st;

    close(mkstemp(path));
    b.store_bytes_max = again.store_bytes_max = 1 << 20;
    b.now_ms = 1700000000123;
    cr_assert_eq(hub_broker_add(&b, "hub1:2"), 0);
    cr_assert_eq(hub_storefile_open(&file, path), 0);
    b.file = &file;
    store(&b, "0", "key", "first");
    store(&b, "1", NULL, "second");
    store(&b, "1", NULL, "third, and so much longer than the fourth that a whole head would be left over behind it, were it not cut off");
    cr_assert_eq(hub_storefile_close(&file), 0);
    cr_assert_eq(stat(path, &st), 0);
    cr_assert_eq(truncate(path, st.st_size - 1), 0);

    cr_assert_eq(hub_broker_add(&again, "hub1:2"), 0);
    cr_assert_eq(hub_storefile_open(&file, path), 0);
    again.file = &file;
    cr_assert_eq(hub_broker_load(&again, path), 0);
    cr_expect_eq(again.entities[0]->partitions[0].log.next_seq, 1);
    cr_expect_eq(again.entities[0]->partitions[1].log.next_seq, 1);
    store(&again, "1", NULL, "4th");
    cr_assert_eq(hub_storefile_close(&file), 0);

    cr_assert_eq(hub_storereader_open(&reader, path), 0);
    cr_assert_eq(hub_storereader_next(&reader, &record), 1);
    cr_expect_str_eq(record.hub, "hub1");
    cr_expect_eq(record.record.time_ms, 1700000000123);
    cr_expect(record.record.key_len == 3 && memcmp(record.record.key, "key", 3) == 0);
    cr_assert_eq(hub_storereader_next(&reader, &record), 1);
    cr_expect_eq(record.partition, 1);
    cr_assert_eq(hub_storereader_next(&reader, &record), 1);
    cr_expect_eq(record.record.seq, 1);
    cr_expect_eq(memcmp(record.record.event + record.record.event_len - 3, "4th", 3), 0);
    cr_expect_eq(hub_storereader_next(&reader, &record), 0);
    hub_storereader_close(&reader);
    unlink(path);
    hub_broker_free(&b);
    hub_broker_free(&again);
}

Test(hub_store, a_file_of_something_else_is_left_alone)
{
    char path[] = "/tmp/ehring-hub-store.XXXXXX";
    struct hub_storefile file;
    int fd = mkstemp(path);

    cr_assert_eq(write(fd, "my dear diary", 13), 13);
    cr_expect_eq(hub_storefile_open(&file, path), -EILSEQ);
    cr_expect_eq(lseek(fd, 0, SEEK_END), 13);
    close(fd);
    unlink(path);
}

/* The file of a hub that was killed after any number of bytes. */
Test(hub_store, a_file_cut_anywhere_gives_back_all_whole_records_and_takes_more)
{
    char path[] = "/tmp/ehring-hub-store.XXXXXX";
    static struct hub_broker b;
    struct hub_storefile file;
    struct stat st;
    off_t ends[4] = {8};
    int fd = mkstemp(path);
    char *all;

    b.store_bytes_max = 1 << 20;
    cr_assert_eq(hub_broker_add(&b, "hub1:1"), 0);
    cr_assert_eq(hub_storefile_open(&file, path), 0);
    b.file = &file;
    for (int i = 1; i < 4; i++) {
        store(&b, "0", i == 2 ? "key" : NULL, "an event");
        cr_assert_eq(hub_storefile_flush(&file), 0);
        cr_assert_eq(stat(path, &st), 0);
        ends[i] = st.st_size;
    }
    cr_assert_eq(hub_storefile_close(&file), 0);
    hub_broker_free(&b);
    all = malloc((size_t)ends[3]);
    cr_assert_eq(pread(fd, all, (size_t)ends[3], 0), ends[3]);
    for (off_t cut = 0; cut <= ends[3]; cut++) {
        static struct hub_broker again;
        int64_t whole = cut < ends[1] ? 0 : cut < ends[2] ? 1 : cut < ends[3] ? 2 : 3;
        cr_assert_eq(ftruncate(fd, 0), 0);
        cr_assert_eq(pwrite(fd, all, (size_t)cut, 0), cut);
        again.store_bytes_max = 1 << 20;
        cr_assert_eq(hub_broker_add(&again, "hub1:1"), 0);
        cr_assert_eq(hub_storefile_open(&file, path), 0, "cut at %lld", (long long)cut);
        again.file = &file;
        cr_assert_eq(hub_broker_load(&again, path), 0);
        cr_assert_eq(again.entities[0]->partitions[0].log.next_seq, whole, "cut at %lld", (long long)cut);
        store(&again, "0", NULL, "one more");
        cr_assert_eq(hub_storefile_close(&file), 0);
        hub_broker_free(&again);
        cr_assert_eq(hub_broker_add(&again, "hub1:1"), 0);
        again.file = NULL;
        cr_assert_eq(hub_broker_load(&again, path), 0);
        cr_assert_eq(again.entities[0]->partitions[0].log.next_seq, whole + 1, "cut at %lld", (long long)cut);
        hub_broker_free(&again);
    }
    free(all);
    close(fd);
    unlink(path);
}

static void expect_line(const char *body, size_t len, const char *expected)
{
    struct hub_buf event = {0}, line = {0};

    hub_put_descriptor(&event, HUB_SECTION_PROPERTIES);
    size_t place = hub_put_list_begin(&event);
    hub_put_string(&event, "m-1");
    hub_put_compound_end(&event, place, 1);
    hub_put_descriptor(&event, HUB_SECTION_APPLICATION);
    place = hub_put_map_begin(&event);
    hub_put_string(&event, "line");
    hub_put_long(&event, 1234567890123);
    hub_put_string(&event, "ok");
    hub_put_bool(&event, true);
    hub_put_compound_end(&event, place, 4);
    hub_put_descriptor(&event, HUB_SECTION_DATA);
    hub_put_binary(&event, body, len);
    struct hub_record r = {.seq = 3,
                           .offset = 44,
                           .time_ms = 5,
                           .key = (const uint8_t *)"k\"",
                           .key_len = 2,
                           .event = event.data,
                           .event_len = (uint32_t)event.len};
    hub_dump_event(&line, "hub1", 1, &r);
    hub_buf_put_byte(&line, 0);
    cr_expect_str_eq((const char *)line.data, expected);
    hub_buf_free(&event);
    hub_buf_free(&line);
}

Test(hub_store, a_dump_shows_bodies_as_text_or_base64)
{
#define HEAD                                                                                                                               \
    "{\"hub\":\"hub1\",\"partition\":1,\"sequence_number\":3,\"offset\":44,\"enqueued_time_ms\":5,\"key\":\"k\\\"\",\"message_id\":\"m-"   \
    "1\","                                                                                                                                 \
    "\"properties\":{\"line\":1234567890123,\"ok\":true},"
    expect_line("gr\xc3\xbc\xc3\x9f"
                "e\n",
                8,
                HEAD "\"body\":\"gr\xc3\xbc\xc3\x9f"
                     "e\\u000a\"}\n");
    expect_line("\xff\0\x01", 3, HEAD "\"body_base64\":\"/wAB\"}\n");
#undef HEAD
}
