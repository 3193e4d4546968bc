/* What the producer's calls do: layout of a record, limits, full, discard, cut, quiet, times. */
#include <criterion/criterion.h>

#include "ring_rig.h"
#include "ringbuf/ring_internal.h"

static uint8_t big[1 << 20];

/* The only record there is, with its parts and payload. */
static void take_one(struct rig *rig, struct ring_parts *parts, uint8_t *meta, uint8_t *payload)
{
    cr_assert_eq(rig_walk(rig), 1);
    const struct ring_record *record = &rig->walk.record[0];
    cr_assert_eq(ring_record_parts(rig->ring, record->pos, record->len, parts, meta, RING_META_BYTES_MAX), 0);
    cr_assert_eq(ring_copy(rig->ring, parts->payload_pos, payload, parts->payload_len), 0);
    rig_ack(rig, rig->lane.walk_pos);
}

Test(ring_writer, delivers_every_length_byte_for_byte_by_each_way)
{
    static uint8_t meta[RING_META_BYTES_MAX], payload[8192], data[8192];
    struct ring_parts parts;
    struct rig rig;
    void *to;

    rig_open(&rig, 1 << 20);
    for (uint32_t i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)(i * 7 + i / 256);
    for (int way = 0; way < 3; way++)
        for (uint32_t len = 0; len < 5000; len += len < 600 ? 1 : 97) {
            struct ring_shape shape = {.payload_len = len};
            rig.writer->wide = way == 0 && ring_put_is_wide();
            memset(payload, 0xee, sizeof(payload));
            if (way < 2) {
                cr_assert_eq(ring_writer_put(rig.writer, &shape, data + len % 16), 0);
            } else {
                cr_assert_eq(ring_writer_reserve(rig.writer, &shape, &to), 0);
                cr_assert_eq((uintptr_t)to % 8, 0);
                memcpy(to, data + len % 16, len);
                ring_writer_commit(rig.writer, len);
            }
            take_one(&rig, &parts, meta, payload);
            cr_assert_eq(parts.payload_len, len);
            cr_assert(memcmp(payload, data + len % 16, len) == 0, "way %d, %u bytes", way, len);
            cr_assert_eq(payload[len], 0xee);
        }
    rig_close(&rig);
}

Test(ring_writer, carries_key_meta_route_and_time)
{
    static uint8_t meta[RING_META_BYTES_MAX], payload[64];
    struct ring_parts parts;
    struct rig rig;

    rig_open(&rig, 65536);
    for (uint32_t key_len = 1; key_len <= 40; key_len++) {
        struct ring_shape shape = {.key = "0123456789012345678901234567890123456789",
                                   .key_len = key_len,
                                   .meta = "meta block",
                                   .meta_len = 10,
                                   .payload_len = 7,
                                   .route = 513,
                                   .flags = RING_FLAG_ROUTE_HASH | RING_FLAG_TIME,
                                   .time_ns = 42};
        cr_assert_eq(ring_writer_put(rig.writer, &shape, "payload"), 0);
        take_one(&rig, &parts, meta, payload);
        cr_assert_eq(parts.key_len, key_len);
        cr_assert(memcmp(parts.key, shape.key, key_len) == 0);
        cr_assert_eq(parts.meta_len, 10);
        cr_assert(memcmp(meta, "meta block", 10) == 0 && memcmp(payload, "payload", 7) == 0);
        cr_assert_eq(parts.route, 513);
        cr_assert_eq(parts.time_ns, 42);
        cr_assert_eq(rig.walk.record[0].time_ns, 42);
        cr_assert(rig.walk.record[0].key_len == key_len && memcmp(rig.walk.record[0].key, shape.key, key_len) == 0);
    }
    rig_close(&rig);
}

Test(ring_writer, refuses_record_larger_than_an_eighth_of_the_ring)
{
    struct rig rig;
    void *to;

    rig_open(&rig, 65536);
    cr_assert_eq(ring_writer_record_max(rig.writer), 8192);
    cr_assert_eq(rig_put(&rig, big, 8192 - 16 - 8), 0, "the first has a time");
    cr_assert_eq(rig_put(&rig, big, 8192 - 16 - 8), 0);
    cr_assert_eq(rig_put(&rig, big, 8192 - 15 - 8), -EMSGSIZE, "the next with a time would not do");
    cr_assert_eq(ring_writer_reserve(rig.writer, &(struct ring_shape){.payload_len = UINT32_MAX}, &to), -EMSGSIZE);
    cr_assert_eq(rig_drain(&rig), 2);
    rig_close(&rig);
}

/* Not now and then, when it happens to be the first of a stripe and gets a time. */
Test(ring_writer, takes_a_length_always_or_never)
{
    static const uint64_t capacities[] = {65536, 131072, 524288, 1 << 20};

    for (size_t i = 0; i < sizeof(capacities) / sizeof(capacities[0]); i++)
        for (uint32_t less = 0; less <= 48; less++) {
            uint32_t len = (uint32_t)(capacities[i] / RING_RECORD_SHARE) - less;
            int first = 0;
            struct rig rig;
            rig_open(&rig, capacities[i]);
            for (int n = 0; n < 30; n++) {
                int err = rig_put(&rig, big, len);
                first = n == 0 ? err : first;
                cr_assert_eq(err, first, "event %d of %u bytes in a ring of %llu", n, len, (unsigned long long)capacities[i]);
                cr_assert_eq(rig_put(&rig, big, 1), 0);
                rig_drain(&rig);
            }
            cr_assert_eq(first, less >= 24 ? 0 : -EMSGSIZE, "%u bytes", len);
            rig_close(&rig);
        }
}

Test(ring_writer, says_full_and_writes_nothing_then_goes_on_where_it_was)
{
    struct rig rig;
    uint64_t pos;
    int count = 0;

    rig_open(&rig, 65536);
    while (rig_put(&rig, big, 1000) == 0)
        count++;
    cr_assert(count >= 62 && count <= 64, "%d", count);
    pos = ring_writer_pos(rig.writer);
    for (int i = 0; i < 3; i++)
        cr_assert_eq(rig_put(&rig, big, 1000), -EAGAIN);
    cr_assert_eq(ring_writer_pos(rig.writer), pos);
    cr_assert_eq(order_observe(&ring_producer(rig.ring)->hot.write_pos), pos);
    cr_assert_eq(rig_drain(&rig), count);
    cr_assert_eq(rig_put(&rig, big, 1000), 0);
    cr_assert_eq(rig_drain(&rig), 1);
    rig_close(&rig);
}

Test(ring_writer, wraps_by_a_pad_and_never_splits_a_record)
{
    struct rig rig;
    uint32_t sum = 0, number = 0, got;

    rig_open(&rig, 65536);
    for (int lap = 0; lap < 50; lap++) {
        uint32_t first = number;
        for (uint32_t len = 100 + (uint32_t)lap; number - first < 30; number++, len += 37) {
            *(uint32_t *)(void *)big = number;
            cr_assert_eq(rig_put(&rig, big, len), 0);
        }
        for (int count; (count = rig_walk(&rig)) > 0; sum += (uint32_t)count)
            for (int i = 0; i < count; i++) {
                const struct ring_record *record = &rig.walk.record[i];
                cr_assert_leq((record->pos & 65535) + record->len, 65536);
                cr_assert_eq(record->seq16, (uint16_t)(sum + (uint32_t)i));
                cr_assert_eq(ring_copy(rig.ring, record->pos + 16 + (record->flags & RING_FLAG_TIME ? 8 : 0), &got, 4), 0);
                cr_assert_eq(got, sum + (uint32_t)i);
            }
        rig_ack(&rig, rig.lane.walk_pos);
    }
    cr_assert_eq(sum, number);
    cr_assert_gt(rig.lane.walk_pos, 65536 * 5);
    rig_close(&rig);
}

Test(ring_writer, a_discarded_reservation_leaves_no_trace)
{
    struct rig rig;
    void *to;

    rig_open(&rig, 65536);
    for (int i = 0; i < 200; i++) {
        cr_assert_eq(ring_writer_reserve(rig.writer, &(struct ring_shape){.payload_len = 900}, &to), 0);
        ring_writer_discard(rig.writer);
        cr_assert_eq(rig_put(&rig, &i, 4), 0);
    }
    cr_assert_eq(rig_drain(&rig), 200);
    cr_assert_eq(ring_committed_events(rig.ring), 200);
    rig_close(&rig);
}

Test(ring_writer, the_first_event_of_a_stripe_has_a_time_even_after_a_discard_and_others_do_not)
{
    struct rig rig;
    void *to;
    int count, timed = 0, sum = 0;
    uint64_t stripe = UINT64_MAX;

    rig_open(&rig, 1 << 20);
    for (int i = 0; i < 800; i++) {
        if (i % 50 == 0) {
            cr_assert_eq(ring_writer_reserve(rig.writer, &(struct ring_shape){.payload_len = 10}, &to), 0);
            ring_writer_discard(rig.writer);
        }
        cr_assert_eq(rig_put(&rig, big, 500), 0);
    }
    while ((count = rig_walk(&rig)) > 0)
        for (int i = 0; i < count; i++, sum++) {
            const struct ring_record *record = &rig.walk.record[i];
            if (record->pos / RING_STRIPE_BYTES != stripe)
                cr_assert(record->flags & RING_FLAG_TIME && record->time_ns > 0, "event %d", sum);
            stripe = record->pos / RING_STRIPE_BYTES;
            timed += (record->flags & RING_FLAG_TIME) != 0;
        }
    cr_assert_eq(sum, 800);
    cr_assert(timed >= 7 && timed <= 7 + 16, "%d of 800", timed);
    rig_close(&rig);
}

Test(ring_writer, times_all_gives_every_event_a_time)
{
    struct rig rig;
    int count;

    rig_dirs(&rig);
    cr_assert_eq(
        ring_writer_open(&(struct ring_writer_options){.stream_dir = rig.dir, .capacity = 65536, .times_all = true}, &rig.writer, NULL), 0);
    snprintf(rig.file, sizeof(rig.file), "%s", strrchr(ring_writer_path(rig.writer), '/') + 1);
    rig_attach(&rig, RING_ACCESS_SHIPPER);
    ring_lanes_begin(rig.ring, 1);
    ring_lane_open(&rig.lane, rig.ring, 0);
    for (int i = 0; i < 20; i++)
        cr_assert_eq(rig_put(&rig, "x", 1), 0);
    cr_assert_eq(count = rig_walk(&rig), 20);
    while (count-- > 0)
        cr_assert_gt(rig.walk.record[count].time_ns, INT64_C(1600000000) * 1000000000);
    rig_close(&rig);
}

Test(ring_writer, commits_less_than_it_reserved)
{
    uint8_t meta[16], payload[64];
    struct ring_parts parts;
    struct rig rig;
    void *to;

    rig_open(&rig, 65536);
    cr_assert_eq(ring_writer_reserve(rig.writer, &(struct ring_shape){.payload_len = 5000, .key = "k", .key_len = 1}, &to), 0);
    memcpy(to, "short", 5);
    ring_writer_commit(rig.writer, 5);
    cr_assert_leq(ring_writer_pos(rig.writer), 64);
    cr_assert_eq(rig_walk(&rig), 1);
    cr_assert_eq(ring_record_parts(rig.ring, 0, rig.walk.record[0].len, &parts, meta, sizeof(meta)), 0);
    cr_assert_eq(parts.payload_len, 5);
    cr_assert_eq(ring_copy(rig.ring, parts.payload_pos, payload, 5), 0);
    cr_assert(memcmp(payload, "short", 5) == 0);
    rig_close(&rig);
}

Test(ring_writer, quiet_commits_are_seen_together)
{
    struct rig rig;
    void *to;

    rig_open(&rig, 65536);
    for (int i = 0; i < 5; i++) {
        cr_assert_eq(ring_writer_reserve(rig.writer, &(struct ring_shape){.payload_len = 10}, &to), 0);
        ring_writer_commit_quiet(rig.writer, 10);
        cr_assert_eq(rig_drain(&rig), 0);
    }
    ring_writer_publish(rig.writer);
    cr_assert_eq(rig_drain(&rig), 5);
    rig_close(&rig);
}

Test(ring_writer, knows_where_its_last_event_lies)
{
    struct rig rig;

    rig_open(&rig, 65536);
    cr_assert_eq(ring_writer_last_pos(rig.writer), UINT64_MAX);
    cr_assert_eq(rig_put(&rig, "a", 1), 0);
    cr_assert_eq(ring_writer_last_pos(rig.writer), 0);
    uint64_t pos = ring_writer_pos(rig.writer);
    cr_assert_eq(rig_put(&rig, "b", 1), 0);
    cr_assert_eq(ring_writer_last_pos(rig.writer), pos);
    rig_close(&rig);
}

Test(ring_writer, counts_refusals_by_reason_in_the_file)
{
    struct ring_writer_stats stats;
    struct rig rig;

    rig_open(&rig, 65536);
    ring_writer_count_refused(rig.writer, 3);
    ring_writer_count_refused(rig.writer, 3);
    ring_writer_read_stats(rig.writer, &stats);
    cr_assert_eq(stats.refused[3], 2);
    cr_assert_eq(order_none_load64(&ring_producer(rig.ring)->counters.refused[3]), 2);
    rig_close(&rig);
}

Test(ring_writer, a_killed_writers_count_ahead_of_its_position_is_told_by_the_heads_behind_it)
{
    struct rig rig;
    void *to;

    rig_open(&rig, 65536);
    for (int i = 0; i < 3; i++)
        cr_assert_eq(rig_put(&rig, "x", 1), 0);
    for (int i = 0; i < 4; i++) { /* killed between the two stores of publishing an array of four */
        cr_assert_eq(ring_writer_reserve(rig.writer, &(struct ring_shape){.payload_len = 10}, &to), 0);
        ring_writer_commit_quiet(rig.writer, 10);
    }
    cr_assert_eq(ring_committed_events(rig.ring), 3, "killed before both");
    order_none_store64(&rig.writer->producer->hot.event_count, 7);
    cr_assert_eq(ring_committed_events(rig.ring), 3, "killed between");
    ring_writer_publish(rig.writer);
    cr_assert_eq(ring_committed_events(rig.ring), 7);
    cr_assert_eq(ring_count_pending(rig.ring), 7);
    rig_close(&rig);
}

/* A head says where it lies, in 32 bits of sixteen bytes: never so little that one of the lap before could be taken for one of this lap. */
Test(ring_writer, no_head_of_the_lap_before_is_believed_in_the_largest_ring)
{
    const uint64_t capacity = RING_CAPACITY_MAX;
    void *data = mmap(NULL, capacity, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    struct ring_producer *producer = calloc(1, sizeof(*producer));
    struct ring ring = {.producer = producer, .data = data, .mask = capacity - 1, .capacity = capacity};

    if (data == MAP_FAILED)
        cr_skip_test("no room for its addresses");
    for (uint16_t i = 0; i < 10; i++)
        ((struct ring_head *)data)[i] = (struct ring_head){.len = 16, .seq16 = i, .pos16 = i, .kind = RING_KIND_DATA};
    order_none_store64(&producer->hot.event_count, 10);
    order_none_store64(&producer->hot.write_pos, capacity); /* a lap further */
    cr_expect_eq(ring_committed_events(&ring), 10);
    free(producer);
    munmap(data, capacity);
}

/* A head has sixteen bits of its event's number: more events than that must not stand between the two stores. */
Test(ring_writer, a_count_ahead_by_a_long_array_is_told_too)
{
    struct rig rig;
    void *to;

    rig_open(&rig, UINT64_C(32) << 20);
    for (int i = 0; i < 70000; i++) {
        cr_assert_eq(ring_writer_reserve(rig.writer, &(struct ring_shape){.payload_len = 1}, &to), 0);
        ring_writer_commit_quiet(rig.writer, 1);
    }
    order_none_store64(&rig.writer->producer->hot.event_count, 70000); /* killed here */
    cr_assert_eq((int64_t)ring_committed_events(rig.ring), ring_count_pending(rig.ring));
    rig_close(&rig);
}
