/* What one worker makes of real rings: domains in order, gates that follow acceptance, failures walked again, restarts that repeat nothing
 * settled. */
#include <criterion/criterion.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ringbuf/ring.h"
#include "ringbuf/ring_order.h"
#include "shipper/batch.h"
#include "shipper/feed.h"
#include "ringbuf/ring_route.h"

#define PARTITIONS 4u
static const struct batch_limits small_limits = {.bytes_max = 4000, .linger_ns = 0};

struct rig {
    char dir[64];
    int dir_fd;
    struct ring_writer *writer;
    struct ring *ring;
    struct fifo_pool pool;
    struct counters_worker counters;
    struct ring_hist hist;
    struct feed feed;
    int slot;
    uint8_t buffer[1 << 20];
};

static void feed_begin(struct rig *rig, uint32_t chunks)
{
    cr_assert_eq(fifo_pool_open(&rig->pool, chunks), 0);
    cr_assert_eq(ring_lanes_begin(rig->ring, 1), 0);
    ring_set_partition_count(rig->ring, PARTITIONS);
    cr_assert_eq(feed_open(&rig->feed, 0, 1, &rig->pool), 0);
    rig->feed.counters = &rig->counters;
    rig->feed.commit_to_read = &rig->hist;
    rig->slot = feed_ring_add(&rig->feed, rig->ring, rig, PARTITIONS, UINT64_MAX);
    cr_assert_geq(rig->slot, 0);
}

static void feed_end(struct rig *rig)
{
    feed_close(&rig->feed);
    fifo_pool_close(&rig->pool);
}

static void rig_open(struct rig *rig, uint64_t capacity)
{
    struct ring_refusal why;
    memset(rig, 0, sizeof *rig);
    strcpy(rig->dir, "/tmp/ehring-feed-XXXXXX");
    cr_assert_not_null(mkdtemp(rig->dir));
    cr_assert_eq(
        ring_writer_open(&(struct ring_writer_options){.stream_dir = rig->dir, .name = "t", .capacity = capacity}, &rig->writer, &why), 0,
        "%s", why.text);
    rig->dir_fd = open(rig->dir, O_RDONLY | O_DIRECTORY);
    const char *file = strrchr(ring_writer_path(rig->writer), '/') + 1;
    cr_assert_eq(ring_open(rig->dir_fd, file, RING_ACCESS_SHIPPER, &rig->ring, &why), 0, "%s", why.text);
    feed_begin(rig, 1024);
}

static void rig_close(struct rig *rig)
{
    feed_end(rig);
    unlink(ring_writer_path(rig->writer));
    ring_close(rig->ring);
    ring_writer_close(rig->writer);
    close(rig->dir_fd);
    rmdir(rig->dir);
}

/* An event for an explicit partition whose body says which one it is. */
static void put(struct rig *rig, uint32_t partition, uint32_t number, uint32_t len)
{
    char body[4096];
    memset(body, '.', sizeof body);
    int used = snprintf(body, sizeof body, "p%u n%u;", partition, number);
    struct ring_shape shape = {
        .payload_len = len > (uint32_t)used ? len : (uint32_t)used, .route = (uint16_t)partition, .flags = RING_FLAG_ROUTE_PARTITION};
    cr_assert_eq(ring_writer_put(rig->writer, &shape, body), 0);
}

/* The numbers of the events in an encoded batch, in order; all must be of `partition`. */
static uint32_t numbers_of(const uint8_t *bytes, uint32_t len, uint32_t partition, uint32_t *number)
{
    uint32_t count = 0;
    char want[16];
    int want_len = snprintf(want, sizeof want, "p%u n", partition);
    for (uint32_t i = 0; i + (uint32_t)want_len < len; i++) {
        if (bytes[i] != 'p' || memchr("0123456789", bytes[i + 1], 10) == NULL || bytes[i + 2] != ' ')
            continue;
        cr_assert_eq(memcmp(bytes + i, want, (size_t)want_len), 0, "an event of another partition");
        number[count++] = (uint32_t)strtoul((const char *)bytes + i + want_len, NULL, 10);
    }
    return count;
}

static uint64_t gate(const struct rig *rig)
{
    return order_load_gate(&ring_shipper(rig->ring)->gate.gate_pos);
}
static uint32_t domain_of(uint32_t partition)
{
    return ring_partition_domain(partition);
}

static void send_one(struct rig *rig, uint32_t domain, struct batch *batch)
{
    cr_assert_eq(batch_encode(&rig->feed, domain, &small_limits, rig->buffer, batch), 0);
    feed_take(&rig->feed, domain, batch->taken_count, batch->cover, batch->cover_count);
}

Test(feed, moves_the_gate_only_when_a_batch_is_accepted)
{
    static struct rig rig;
    static struct batch batch;
    uint32_t number[64];
    rig_open(&rig, 1 << 16);
    for (uint32_t i = 0; i < 10; i++)
        put(&rig, 1, i, 40);
    cr_assert_eq(feed_walk(&rig.feed, 1, 1), 10);
    cr_assert_eq(gate(&rig), 0);
    send_one(&rig, domain_of(1), &batch);
    cr_assert_eq(batch.event_count, 10);
    cr_assert_eq(numbers_of(rig.buffer, batch.encoded_len, 1, number), 10);
    for (uint32_t i = 0; i < 10; i++)
        cr_assert_eq(number[i], i);
    cr_assert_eq(gate(&rig), 0, "sent is not accepted");
    feed_settle(&rig.feed, domain_of(1), batch.cover, batch.cover_count, FEED_ACCEPTED);
    cr_assert_eq(gate(&rig), ring_writer_pos(rig.writer));
    cr_assert_eq(order_none_load64(&ring_shipper(rig.ring)->lane[0].counts.accepted_events), 10);
    cr_assert(feed_ring_gone(&rig.feed, (uint32_t)rig.slot));
    rig_close(&rig);
}

Test(feed, lets_other_domains_pass_a_slow_one_which_holds_the_gate)
{
    static struct rig rig;
    static struct batch slow, fast;
    rig_open(&rig, 1 << 16);
    put(&rig, 0, 0, 40);
    uint64_t slow_pos = 0;
    send_one(&rig, domain_of(0), &slow); /* nothing walked yet: an empty batch */
    cr_assert_eq(slow.event_count, 0);
    feed_walk(&rig.feed, 1, 1);
    send_one(&rig, domain_of(0), &slow);
    for (uint32_t round = 0; round < 20; round++) {
        put(&rig, 2, round, 100);
        put(&rig, 0, round + 1, 100);
        feed_walk(&rig.feed, 1, 1);
        send_one(&rig, domain_of(2), &fast);
        cr_assert_eq(fast.event_count, 1);
        feed_settle(&rig.feed, domain_of(2), fast.cover, fast.cover_count, FEED_ACCEPTED);
        cr_assert_eq(gate(&rig), slow_pos);
    }
    feed_settle(&rig.feed, domain_of(0), slow.cover, slow.cover_count, FEED_ACCEPTED);
    cr_assert_gt(gate(&rig), slow_pos, "the gate moves to the slow domain's next record");
    send_one(&rig, domain_of(0), &slow);
    cr_assert_eq(slow.event_count, 20);
    feed_settle(&rig.feed, domain_of(0), slow.cover, slow.cover_count, FEED_ACCEPTED);
    cr_assert_eq(gate(&rig), ring_writer_pos(rig.writer));
    rig_close(&rig);
}

Test(feed, walks_a_failed_domain_again_in_order_and_counts_what_may_be_double)
{
    static struct rig rig;
    static struct batch batch;
    uint32_t number[64], next = 0;
    rig_open(&rig, 1 << 16);
    for (uint32_t i = 0; i < 60; i++)
        put(&rig, 3, i, 200);
    feed_walk(&rig.feed, 1, 1);
    for (int failing = 0; next < 60; failing++) {
        feed_refill(&rig.feed, domain_of(3), 1);
        send_one(&rig, domain_of(3), &batch);
        cr_assert_gt(batch.event_count, 0);
        if (failing % 3 != 2) {
            feed_fail(&rig.feed, domain_of(3), batch.cover, batch.cover_count, failing % 3 ? FEED_MAYBE_DELIVERED : FEED_NOT_DELIVERED);
            if (failing == 4)
                put(&rig, 3, 60, 200), feed_walk(&rig.feed, 1, 1);
            continue;
        }
        uint32_t count = numbers_of(rig.buffer, batch.encoded_len, 3, number);
        for (uint32_t i = 0; i < count; i++)
            cr_assert_eq(number[i], next++);
        feed_settle(&rig.feed, domain_of(3), batch.cover, batch.cover_count, FEED_ACCEPTED);
    }
    cr_assert_gt(order_none_load64(&ring_shipper(rig.ring)->lane[0].counts.maybe_duplicate_events), 0);
    cr_assert_geq(order_none_load64(&ring_shipper(rig.ring)->lane[0].counts.accepted_events), 60);
    rig_close(&rig);
}

Test(feed, falls_behind_when_its_list_is_full_and_catches_up_in_order)
{
    static struct rig rig;
    static struct batch batch;
    uint32_t number[64], next = 0;
    rig_open(&rig, 1 << 20);
    rig.feed.domain_bytes_max = 3000;
    for (uint32_t i = 0; i < 500; i++) {
        put(&rig, 1, i, 150);
        put(&rig, 2, i, 150);
    }
    feed_walk(&rig.feed, 1, 1);
    cr_assert_lt(rig.feed.domain[domain_of(1)].fifo.count, 30);
    cr_assert_gt(order_none_load64(&rig.counters.behind_count), 0);
    while (next < 500) {
        feed_refill(&rig.feed, domain_of(1), 1);
        send_one(&rig, domain_of(1), &batch);
        uint32_t count = numbers_of(rig.buffer, batch.encoded_len, 1, number);
        cr_assert_gt(count, 0);
        for (uint32_t i = 0; i < count; i++)
            cr_assert_eq(number[i], next++);
        feed_settle(&rig.feed, domain_of(1), batch.cover, batch.cover_count, FEED_ACCEPTED);
    }
    cr_assert_lt(gate(&rig), 400, "partition 2 has not begun: its first record holds the gate");
    rig_close(&rig);
}

Test(feed, begins_again_after_a_restart_behind_what_was_settled)
{
    static struct rig rig;
    static struct batch first, second;
    uint32_t number[64];
    rig_open(&rig, 1 << 16);
    for (uint32_t i = 0; i < 12; i++)
        put(&rig, i % 2, i, 60);
    feed_walk(&rig.feed, 1, 1);
    send_one(&rig, domain_of(0), &first);
    send_one(&rig, domain_of(1), &second);
    feed_settle(&rig.feed, domain_of(1), second.cover, second.cover_count, FEED_ACCEPTED);
    cr_assert_eq(gate(&rig), 0, "event 0 is not settled");
    feed_end(&rig); /* the shipper dies here and another one comes */
    feed_begin(&rig, 1024);
    feed_walk(&rig.feed, 1, 1);
    cr_assert_eq(rig.feed.domain[domain_of(1)].fifo.count, 0, "what was accepted is not sent again");
    send_one(&rig, domain_of(0), &first);
    cr_assert_eq(numbers_of(rig.buffer, first.encoded_len, 0, number), 6);
    for (uint32_t i = 0; i < 6; i++)
        cr_assert_eq(number[i], 2 * i);
    feed_settle(&rig.feed, domain_of(0), first.cover, first.cover_count, FEED_ACCEPTED);
    cr_assert_eq(gate(&rig), ring_writer_pos(rig.writer));
    rig_close(&rig);
}

Test(feed, sends_unkeyed_events_by_stripe_and_keyed_ones_by_the_services_hash)
{
    static struct rig rig;
    rig_open(&rig, 1 << 16);
    struct ring_shape plain = {.payload_len = 3}, keyed = {.payload_len = 3, .key = "7", .key_len = 1};
    cr_assert_eq(ring_writer_put(rig.writer, &plain, "abc"), 0);
    cr_assert_eq(ring_writer_put(rig.writer, &keyed, "abc"), 0);
    feed_walk(&rig.feed, 1, 1);
    cr_assert_eq(rig.feed.domain[0].fifo.count, 1);
    cr_assert_eq(rig.feed.domain[domain_of(3)].fifo.count, 1, "key 7 of 4 partitions is 3");
    rig_close(&rig);
}

Test(feed, leaves_a_ring_out_whose_record_changed_after_the_walk)
{
    static struct rig rig;
    static struct batch batch;
    rig_open(&rig, 1 << 16);
    for (uint32_t i = 0; i < 5; i++)
        put(&rig, 1, i, 40);
    feed_walk(&rig.feed, 1, 1);
    int fd = openat(rig.dir_fd, strrchr(ring_writer_path(rig.writer), '/') + 1, O_RDWR);
    uint32_t len = 7777;
    cr_assert_eq(pwrite(fd, &len, sizeof len, (off_t)ring_header(rig.ring)->data_off), (ssize_t)sizeof len);
    close(fd);
    cr_assert_eq(batch_encode(&rig.feed, domain_of(1), &small_limits, rig.buffer, &batch), 0);
    cr_assert_eq(batch.event_count, 0);
    cr_assert_eq(batch.taken_count, 5);
    cr_assert_eq(ring_quarantined(rig.ring), RING_QUARANTINE_CHANGED);
    feed_take(&rig.feed, domain_of(1), batch.taken_count, NULL, 0);
    cr_assert(feed_ring_gone(&rig.feed, (uint32_t)rig.slot));
    rig_close(&rig);
}

/* Ten events, the first of them in flight, then the ring is let go. */
static void release_with_sent(struct rig *rig, struct batch *batch, uint32_t sent)
{
    const struct batch_limits first = {.bytes_max = 4000, .count_max = sent};
    rig_open(rig, 1 << 16);
    for (uint32_t i = 0; i < 10; i++)
        put(rig, 1, i, 40);
    feed_walk(&rig->feed, 1, 1);
    cr_assert_eq(batch_encode(&rig->feed, domain_of(1), &first, rig->buffer, batch), 0);
    feed_take(&rig->feed, domain_of(1), batch->taken_count, batch->cover, batch->cover_count);
    feed_ring_release(&rig->feed, (uint32_t)rig->slot);
    put(rig, 1, 10, 40);
    feed_walk(&rig->feed, 1, 1);
    feed_refill(&rig->feed, domain_of(1), 1);
    cr_assert_eq(rig->feed.domain[domain_of(1)].fifo.count, 0, "nothing further is sent");
    cr_assert_not(feed_ring_gone(&rig->feed, (uint32_t)rig->slot), "some are in flight");
}

/* The next one takes up the ring: its first event must be `first`, and all up to the tenth follow. */
static void next_takes_from(struct rig *rig, struct batch *batch, uint32_t first)
{
    uint32_t number[64];
    cr_assert(feed_ring_gone(&rig->feed, (uint32_t)rig->slot));
    cr_assert_eq(rig->feed.active_count, 0);
    feed_ring_free(&rig->feed, (uint32_t)rig->slot);
    feed_end(rig);
    feed_begin(rig, 1024);
    feed_walk(&rig->feed, 1, 1);
    send_one(rig, domain_of(1), batch);
    cr_assert_eq(numbers_of(rig->buffer, batch->encoded_len, 1, number), 11 - first);
    for (uint32_t i = 0; i < 11 - first; i++)
        cr_assert_eq(number[i], first + i);
    feed_settle(&rig->feed, domain_of(1), batch->cover, batch->cover_count, FEED_ACCEPTED);
    cr_assert_eq(gate(rig), ring_writer_pos(rig->writer));
    cr_assert_eq(order_none_load64(&ring_shipper(rig->ring)->lane[0].counts.accepted_events), 11);
}

Test(feed, settles_what_is_in_flight_of_a_ring_that_is_let_go_and_leaves_the_rest)
{
    static struct rig rig;
    static struct batch batch;
    release_with_sent(&rig, &batch, 5);
    feed_settle(&rig.feed, domain_of(1), batch.cover, batch.cover_count, FEED_ACCEPTED);
    cr_assert_gt(gate(&rig), 0);
    cr_assert_lt(gate(&rig), ring_writer_pos(rig.writer));
    next_takes_from(&rig, &batch, 5);
    rig_close(&rig);
}

Test(feed, sends_nothing_again_of_a_ring_that_is_let_go)
{
    static struct rig rig;
    static struct batch batch;
    for (uint32_t sent = 5; sent <= 10; sent += 5) {
        release_with_sent(&rig, &batch, sent);
        feed_fail(&rig.feed, domain_of(1), batch.cover, batch.cover_count, FEED_NOT_DELIVERED);
        feed_refill(&rig.feed, domain_of(1), 1);
        cr_assert_eq(rig.feed.domain[domain_of(1)].fifo.count, 0);
        cr_assert_eq(gate(&rig), 0);
        next_takes_from(&rig, &batch, 0);
        rig_close(&rig);
    }
}

Test(feed, has_no_active_domain_left_when_all_that_was_behind_is_of_a_ring_left_out)
{
    static struct rig rig;
    static struct batch batch;
    rig_open(&rig, 1 << 16);
    for (uint32_t i = 0; i < 5; i++) {
        put(&rig, 1, i, 40);
        put(&rig, 2, i, 40);
    }
    feed_walk(&rig.feed, 1, 1);
    for (uint32_t p = 1; p <= 2; p++) {
        send_one(&rig, domain_of(p), &batch);
        feed_fail(&rig.feed, domain_of(p), batch.cover, batch.cover_count, FEED_NOT_DELIVERED);
    }
    cr_assert_eq(rig.feed.active_count, 2);
    ring_quarantine(rig.ring, RING_QUARANTINE_BAD_HEAD, 0);
    feed_walk(&rig.feed, 1, 1);
    feed_refill(&rig.feed, domain_of(1), 1);
    cr_assert_eq(rig.feed.active_count, 1);
    feed_ring_leave(&rig.feed, (uint32_t)rig.slot);
    cr_assert(feed_ring_gone(&rig.feed, (uint32_t)rig.slot));
    feed_ring_free(&rig.feed, (uint32_t)rig.slot);
    cr_assert_eq(rig.feed.active_count, 0, "a stop would wait for it until its deadline");
    rig_close(&rig);
}

Test(feed, does_not_move_the_gate_of_a_ring_left_out)
{
    static struct rig rig;
    static struct batch batch;
    rig_open(&rig, 1 << 16);
    rig.feed.domain_bytes_max = 1;
    put(&rig, 1, 0, 40);
    put(&rig, 1, 1, 40);
    feed_walk(&rig.feed, 1, 1);
    send_one(&rig, domain_of(1), &batch);
    cr_assert_eq(batch.event_count, 1);
    ring_quarantine(rig.ring, RING_QUARANTINE_BAD_HEAD, 0);
    feed_walk(&rig.feed, 1, 1);
    feed_refill(&rig.feed, domain_of(1), 1);
    feed_settle(&rig.feed, domain_of(1), batch.cover, batch.cover_count, FEED_ACCEPTED);
    feed_ring_publish(&rig.feed, (uint32_t)rig.slot);
    cr_assert_eq(gate(&rig), 0, "its bytes are kept");
    rig_close(&rig);
}

Test(feed, keeps_a_flush_in_mind_over_a_failure)
{
    static struct rig rig;
    static struct batch batch;
    uint64_t left_bytes;
    rig_open(&rig, 1 << 16);
    put(&rig, 1, 0, 40);
    ring_writer_flush(rig.writer, 0, &left_bytes);
    feed_walk(&rig.feed, 1, 1);
    cr_assert(rig.feed.domain[domain_of(1)].urgent);
    send_one(&rig, domain_of(1), &batch);
    feed_fail(&rig.feed, domain_of(1), batch.cover, batch.cover_count, FEED_NOT_DELIVERED);
    feed_refill(&rig.feed, domain_of(1), 1);
    cr_assert(rig.feed.domain[domain_of(1)].urgent, "its producer still waits");
    rig_close(&rig);
}

Test(feed, dates_what_a_full_batch_left_by_its_own_walk)
{
    static struct rig rig;
    static struct batch batch;
    rig_open(&rig, 1 << 20);
    for (uint32_t i = 0; i < 2 * FIFO_CHUNK_ENTRIES; i++) {
        put(&rig, 1, i, 20);
        feed_walk(&rig.feed, (int64_t)i + 1, 1);
    }
    const struct batch_limits limits = {.bytes_max = sizeof rig.buffer, .count_max = FIFO_CHUNK_ENTRIES + 20, .linger_ns = 100};
    cr_assert_eq(batch_encode(&rig.feed, domain_of(1), &limits, rig.buffer, &batch), 0);
    cr_assert_eq(batch.read_ns, 1);
    feed_take(&rig.feed, domain_of(1), batch.taken_count, batch.cover, batch.cover_count);
    cr_assert_eq(rig.feed.domain[domain_of(1)].oldest_ns, FIFO_CHUNK_ENTRIES + 1);
    rig_close(&rig);
}

/* A second producer of the same stream. */
struct second {
    struct ring_writer *writer;
    struct ring *ring;
    int slot;
};
static struct second second_open(struct rig *rig)
{
    struct second second;
    struct ring_refusal why;
    cr_assert_eq(
        ring_writer_open(&(struct ring_writer_options){.stream_dir = rig->dir, .name = "u", .capacity = 1 << 20}, &second.writer, &why), 0,
        "%s", why.text);
    const char *file = strrchr(ring_writer_path(second.writer), '/') + 1;
    cr_assert_eq(ring_open(rig->dir_fd, file, RING_ACCESS_SHIPPER, &second.ring, &why), 0, "%s", why.text);
    cr_assert_eq(ring_lanes_begin(second.ring, 1), 0);
    ring_set_partition_count(second.ring, PARTITIONS);
    second.slot = feed_ring_add(&rig->feed, second.ring, &second, PARTITIONS, UINT64_MAX);
    cr_assert_geq(second.slot, 0);
    return second;
}
static void second_put(struct second *second, uint32_t number)
{
    struct ring_writer *own = second->writer;
    struct rig as = {.writer = own};
    put(&as, 1, number, 40);
}
static void second_close(struct second *second)
{
    unlink(ring_writer_path(second->writer));
    ring_close(second->ring);
    ring_writer_close(second->writer);
}

/* Sends all there is of domain 1 to a hub that refuses every batch with the bad number, as the worker does it. The numbers in the order of
 * their acceptance; how many sends it took. */
static uint32_t hub_with_a_bad_event(struct rig *rig, uint32_t bad, uint32_t *accepted, uint32_t *accepted_count, uint32_t *dead)
{
    static struct batch batch;
    static uint32_t number[8192];
    uint32_t sends = 0;
    *accepted_count = 0;
    for (uint32_t turn = 0; turn < 1000; turn++) {
        feed_walk(&rig->feed, 1, 1);
        feed_refill(&rig->feed, domain_of(1), 1);
        if (rig->feed.domain[domain_of(1)].fifo.count == 0)
            return sends;
        struct batch_limits limits = {.bytes_max = sizeof rig->buffer, .count_max = feed_suspect_part(&rig->feed, domain_of(1))};
        cr_assert_eq(batch_encode(&rig->feed, domain_of(1), &limits, rig->buffer, &batch), 0);
        feed_take(&rig->feed, domain_of(1), batch.taken_count, batch.cover, batch.cover_count);
        sends++;
        uint32_t count = numbers_of(rig->buffer, batch.encoded_len, 1, number);
        bool holds_bad = false;
        for (uint32_t i = 0; i < count; i++)
            holds_bad |= number[i] == bad;
        if (!holds_bad) {
            memcpy(accepted + *accepted_count, number, count * sizeof *number);
            *accepted_count += count;
            feed_settle(&rig->feed, domain_of(1), batch.cover, batch.cover_count, FEED_ACCEPTED);
        } else if (count == 1) {
            ++*dead;
            feed_settle(&rig->feed, domain_of(1), batch.cover, batch.cover_count, FEED_DEAD_LETTERED);
        } else {
            cr_assert_eq(feed_suspect_set(&rig->feed, domain_of(1), batch.cover, batch.cover_count, batch.event_count), 0);
            feed_fail(&rig->feed, domain_of(1), batch.cover, batch.cover_count, FEED_NOT_DELIVERED);
        }
    }
    cr_assert_fail("it does not come to an end");
    return 0;
}

/* Two rings whose events lie mixed in the batch, and more that come while the bad one is looked for. */
Test(feed, finds_a_bad_event_in_twice_the_logarithm_of_sends_and_keeps_order)
{
    static struct rig rig;
    static uint32_t accepted[8192];
    for (uint32_t bad = 0; bad < 1000; bad += 37) {
        uint32_t accepted_count, dead = 0, last[2] = {0, 0};
        rig_open(&rig, 1 << 20);
        struct second second = second_open(&rig);
        for (uint32_t i = 0; i < 1000; i += 2) { /* even numbers here, odd ones there */
            put(&rig, 1, i, 40);
            second_put(&second, i + 1);
            if (i % 100 == 0)
                feed_walk(&rig.feed, 1, 1);
        }
        uint32_t sends = hub_with_a_bad_event(&rig, bad, accepted, &accepted_count, &dead);
        cr_assert_eq(dead, 1, "number %u", bad);
        cr_assert_eq(accepted_count, 999);
        for (uint32_t i = 0; i < accepted_count; i++) {
            uint32_t *before = &last[accepted[i] % 2];
            cr_assert(accepted[i] == 0 || accepted[i] > *before || *before == 0, "%u after %u", accepted[i], *before);
            *before = accepted[i];
        }
        cr_assert_leq(sends, 2 + 2 * 10, "bad %u took %u sends", bad, sends); /* two would do without it; 2^10 > 1000 */
        cr_assert_eq(gate(&rig), ring_writer_pos(rig.writer), "all is settled");
        cr_assert_eq(rig.feed.active_count, 0);
        cr_assert_eq(order_none_load64(&ring_shipper(bad % 2 ? second.ring : rig.ring)->lane[0].counts.dead_lettered_events), 1);
        second_close(&second);
        rig_close(&rig);
    }
}

/* A refused batch of a ring that was left out meanwhile, with nothing else in the domain; its slot goes to the next ring. */
Test(feed, does_not_walk_the_next_ring_in_a_slot_by_the_suspects_of_the_last_one)
{
    static struct rig rig;
    static struct batch batch;
    rig_open(&rig, 1 << 16);
    for (uint32_t i = 0; i < 10; i++)
        put(&rig, 1, i, 40);
    feed_walk(&rig.feed, 1, 1);
    send_one(&rig, domain_of(1), &batch);
    ring_quarantine(rig.ring, RING_QUARANTINE_BAD_HEAD, 0);
    feed_walk(&rig.feed, 1, 1);
    cr_assert_eq(feed_suspect_set(&rig.feed, domain_of(1), batch.cover, batch.cover_count, batch.event_count), 0);
    feed_fail(&rig.feed, domain_of(1), batch.cover, batch.cover_count, FEED_NOT_DELIVERED);
    feed_ring_leave(&rig.feed, (uint32_t)rig.slot);
    cr_assert(feed_ring_gone(&rig.feed, (uint32_t)rig.slot));
    feed_ring_free(&rig.feed, (uint32_t)rig.slot);
    struct second second = second_open(&rig);
    cr_assert_eq(second.slot, rig.slot);
    second_put(&second, 1);
    feed_walk(&rig.feed, 1, 1);
    feed_refill(&rig.feed, domain_of(1), 1);
    cr_assert_eq(ring_quarantined(second.ring), RING_QUARANTINE_NONE, "%s", ring_quarantine_text(ring_quarantined(second.ring)));
    send_one(&rig, domain_of(1), &batch);
    cr_assert_eq(batch.event_count, 1);
    second_close(&second);
    rig_close(&rig);
}

/* Two partitions of it in flight; one batch is refused while the other one still keeps the ring here. */
Test(feed, sends_no_suspects_of_a_ring_that_is_let_go)
{
    static struct rig rig;
    static struct batch refused, other;
    rig_open(&rig, 1 << 16);
    for (uint32_t i = 0; i < 4; i++) {
        put(&rig, 1, i, 40);
        put(&rig, 2, i, 40);
    }
    feed_walk(&rig.feed, 1, 1);
    send_one(&rig, domain_of(1), &refused);
    send_one(&rig, domain_of(2), &other);
    feed_ring_release(&rig.feed, (uint32_t)rig.slot);
    cr_assert_eq(feed_suspect_set(&rig.feed, domain_of(1), refused.cover, refused.cover_count, refused.event_count), 0);
    feed_fail(&rig.feed, domain_of(1), refused.cover, refused.cover_count, FEED_NOT_DELIVERED);
    struct second second = second_open(&rig);
    second_put(&second, 9);
    feed_walk(&rig.feed, 1, 1);
    feed_refill(&rig.feed, domain_of(1), 1);
    send_one(&rig, domain_of(1), &other);
    cr_assert_eq(other.event_count, 1, "%u events", other.event_count);
    second_close(&second);
    rig_close(&rig);
}

Test(feed, gives_rings_that_are_behind_equal_shares)
{
    static struct rig rig;
    static struct batch batch;
    uint32_t count_of[2] = {0, 0};
    rig_open(&rig, 1 << 20);
    struct second second = second_open(&rig);
    rig.feed.domain_bytes_max = 128 << 10;
    for (uint32_t i = 0; i < 5000; i++)
        put(&rig, 1, i, 40);
    for (uint32_t i = 0; i < 5000; i++)
        second_put(&second, i);
    for (int round = 0; round < 4; round++) { /* a fast producer came first and has filled the list */
        feed_walk(&rig.feed, 1, 1);
        feed_refill(&rig.feed, domain_of(1), 1);
        const struct batch_limits limits = {.bytes_max = 100 << 10};
        cr_assert_eq(batch_encode(&rig.feed, domain_of(1), &limits, rig.buffer, &batch), 0);
        feed_take(&rig.feed, domain_of(1), batch.taken_count, batch.cover, batch.cover_count);
        for (uint32_t c = 0; c < batch.cover_count && round > 0; c++)
            count_of[batch.cover[c].slot == (uint32_t)second.slot] += batch.cover[c].event_count;
        feed_settle(&rig.feed, domain_of(1), batch.cover, batch.cover_count, FEED_ACCEPTED);
    }
    cr_assert_gt(count_of[0] * 2, count_of[1]);
    cr_assert_gt(count_of[1] * 2, count_of[0]);
    second_close(&second);
    rig_close(&rig);
}

Test(batch, says_when_the_first_event_alone_is_larger_than_the_limit)
{
    static struct rig rig;
    static struct batch batch;
    rig_open(&rig, 1 << 16);
    put(&rig, 1, 0, 3000);
    feed_walk(&rig.feed, 1, 1);
    struct batch_limits limits = {.bytes_max = 2000};
    cr_assert_eq(batch_encode(&rig.feed, domain_of(1), &limits, rig.buffer, &batch), -EMSGSIZE);
    cr_assert_eq(batch.payload_bytes, 3000);
    rig_close(&rig);
}

Test(batch, is_sealed_by_bytes_count_age_or_flush)
{
    struct feed_domain domain = {.fifo_bytes = 100, .oldest_ns = 1000};
    struct batch_limits limits = {.bytes_max = 200, .count_max = 3, .linger_ns = 50};
    cr_assert_eq(batch_seal_reason(&domain, &limits, 5000), BATCH_SEAL_NOT_YET, "empty");
    domain.fifo.count = 1;
    cr_assert_eq(batch_seal_reason(&domain, &limits, 1049), BATCH_SEAL_NOT_YET);
    cr_assert_eq(batch_seal_reason(&domain, &limits, 1050), BATCH_SEAL_AGE);
    cr_assert_eq(batch_seal_time_ns(&domain, &limits), 1050);
    domain.urgent = true;
    cr_assert_eq(batch_seal_reason(&domain, &limits, 1000), BATCH_SEAL_FLUSH);
    domain.urgent = false;
    domain.fifo.count = 3;
    cr_assert_eq(batch_seal_reason(&domain, &limits, 1000), BATCH_SEAL_COUNT);
    domain.fifo_bytes = 200;
    cr_assert_eq(batch_seal_reason(&domain, &limits, 1000), BATCH_SEAL_BYTES);
}
