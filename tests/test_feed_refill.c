/* Domains that are behind in the same rings: one walk serves all of them, within what may be looked at, and each keeps its order. */
#include "feed_rig.h"

#define EVENTS 3000u
#define SECOND 1000000u /* numbers from here on are of a second ring */

/* What the hub would have of each ring and partition, checked against what was put. */
struct judge {
    uint32_t put[2][PARTITIONS];  /* the next number */
    uint32_t next[2][PARTITIONS]; /* that is to be accepted */
};
struct second {
    struct ring_writer *writer;
    struct ring *ring;
};

static uint32_t random_below(uint32_t *seed, uint32_t limit)
{
    *seed = *seed * 1664525u + 1013904223u;
    return (*seed >> 8) % limit;
}

static void put_next(struct rig *rig, struct judge *judge, uint32_t partition)
{
    put(rig, partition, judge->put[0][partition]++, 40);
}

static void second_open(struct rig *rig, struct second *second)
{
    struct ring_refusal why;
    cr_assert_eq(
        ring_writer_open(&(struct ring_writer_options){.stream_dir = rig->dir, .name = "u", .capacity = 1 << 20}, &second->writer, &why), 0,
        "%s", why.text);
    const char *file = strrchr(ring_writer_path(second->writer), '/') + 1;
    cr_assert_eq(ring_open(rig->dir_fd, file, RING_ACCESS_SHIPPER, &second->ring, &why), 0, "%s", why.text);
    cr_assert_eq(ring_lanes_begin(second->ring, 1), 0);
    ring_set_partition_count(second->ring, PARTITIONS);
    cr_assert_geq(feed_ring_add(&rig->feed, second->ring, second, PARTITIONS, UINT64_MAX), 0);
}

static void second_put_next(struct rig *rig, struct second *second, struct judge *judge, uint32_t partition)
{
    struct ring_writer *first = rig->writer;
    rig->writer = second->writer;
    put(rig, partition, SECOND + judge->put[1][partition]++, 40);
    rig->writer = first;
}

static void second_close(struct second *second)
{
    unlink(ring_writer_path(second->writer));
    ring_close(second->ring);
    ring_writer_close(second->writer);
}

/* All lists are full of the first events, all domains are behind with the rest. */
static void fall_behind(struct rig *rig, struct judge *judge)
{
    for (uint32_t i = 0; i < EVENTS; i++)
        put_next(rig, judge, i % PARTITIONS);
    rig->feed.domain_bytes_max = 4000;
    feed_walk(&rig->feed, 1, 1);
}

static void accept(struct rig *rig, struct judge *judge, uint32_t partition, const struct batch *batch)
{
    static uint32_t number[8192];
    uint32_t count = numbers_of(rig->buffer, batch->encoded_len, partition, number);
    for (uint32_t i = 0; i < count; i++)
        cr_assert_eq(number[i] % SECOND, judge->next[number[i] / SECOND][partition]++, "partition %u: %u is accepted", partition,
                     number[i]);
    feed_settle(&rig->feed, domain_of(partition), batch->cover, batch->cover_count, FEED_ACCEPTED);
}

/* The list whole, as one batch. */
static void send_all(struct rig *rig, struct judge *judge, uint32_t partition)
{
    static struct batch batch;
    const struct batch_limits limits = {.bytes_max = sizeof rig->buffer};
    cr_assert_eq(batch_encode(&rig->feed, domain_of(partition), &limits, rig->buffer, &batch), 0);
    feed_take(&rig->feed, domain_of(partition), batch.taken_count, batch.cover, batch.cover_count);
    accept(rig, judge, partition, &batch);
}

Test(feed_refill, serves_all_that_are_behind_in_a_stretch_by_one_walk)
{
    static struct rig rig;
    static struct judge judge;
    rig_open(&rig, 1 << 20);
    fall_behind(&rig, &judge);
    for (uint32_t p = 0; p < PARTITIONS; p++) {
        cr_assert_gt(rig.feed.domain[domain_of(p)].fifo.count, 0);
        send_all(&rig, &judge, p);
        cr_assert_eq(rig.feed.domain[domain_of(p)].fifo.count, 0);
    }
    feed_refill(&rig.feed, domain_of(0), 1);
    for (uint32_t p = 0; p < PARTITIONS; p++) {
        cr_expect_gt(rig.feed.domain[domain_of(p)].fifo.count, 40, "partition %u", p);
        send_all(&rig, &judge, p);
    }
    rig_close(&rig);
}

Test(feed_refill, ends_a_walk_when_enough_was_looked_at_and_goes_on_from_there)
{
    static struct rig rig;
    static struct judge judge;
    rig_open(&rig, 1 << 20);
    for (uint32_t i = 0; i < EVENTS; i++)
        put_next(&rig, &judge, i < 2 || i == EVENTS - 1);
    rig.feed.domain_bytes_max = 1; /* one event in a list */
    feed_walk(&rig.feed, 1, 1);
    send_all(&rig, &judge, 1);
    rig.feed.refill_left = 100;
    feed_refill(&rig.feed, domain_of(1), 1);
    send_all(&rig, &judge, 1);
    uint32_t rounds = 0;
    for (; rig.feed.domain[domain_of(1)].fifo.count == 0; rounds++) {
        cr_assert_lt(rounds, 100, "it comes to no end");
        rig.feed.refill_left = 100;
        feed_refill(&rig.feed, domain_of(1), 1);
    }
    cr_expect_gt(rounds, EVENTS / 200, "the walk is as long as the ring");
    send_all(&rig, &judge, 1);
    cr_expect_eq(judge.next[0][1], 3);
    rig_close(&rig);
}

/* Whatever is sent, refused, walked and cut short: each partition's events are accepted once and in order, and then the ring is empty. */
Test(feed_refill, keeps_each_order_whatever_walks_are_shared)
{
    static struct rig rig;
    static struct batch batch;
    for (uint32_t seed = 1; seed <= 60; seed++) {
        uint32_t random = seed, left = EVENTS, idle = 0;
        struct judge judge = {{{0}}, {{0}}};
        struct second second;
        rig_open(&rig, 1 << 20);
        second_open(&rig, &second);
        rig.feed.domain_bytes_max = 500 + random_below(&random, 8000);
        while (idle < 100) {
            uint32_t burst = left < 40 ? left : random_below(&random, 40), of = random_below(&random, PARTITIONS);
            bool is_second = random_below(&random, 2);
            for (uint32_t i = 0; i < burst; i++, left--) {
                uint32_t to = random_below(&random, 3) ? random_below(&random, PARTITIONS) : of;
                if (is_second)
                    second_put_next(&rig, &second, &judge, to);
                else
                    put_next(&rig, &judge, to);
            }
            if (random_below(&random, 3) == 0)
                feed_walk(&rig.feed, 1, 1);
            uint32_t p = random_below(&random, PARTITIONS), domain = domain_of(p);
            rig.feed.refill_left = random_below(&random, 300);
            if (feed_wants_refill(&rig.feed, domain))
                feed_refill(&rig.feed, domain, 1);
            idle = left == 0 && rig.feed.active_count == 0 ? idle + 1 : 0;
            if (rig.feed.domain[domain].fifo.count == 0)
                continue;
            const struct batch_limits limits = {.bytes_max = sizeof rig.buffer, .count_max = 1 + random_below(&random, 60)};
            cr_assert_eq(batch_encode(&rig.feed, domain, &limits, rig.buffer, &batch), 0);
            feed_take(&rig.feed, domain, batch.taken_count, batch.cover, batch.cover_count);
            if (random_below(&random, 4) == 0)
                feed_fail(&rig.feed, domain, batch.cover, batch.cover_count, FEED_NOT_DELIVERED);
            else
                accept(&rig, &judge, p, &batch);
        }
        for (uint32_t p = 0; p < PARTITIONS; p++)
            for (uint32_t r = 0; r < 2; r++)
                cr_assert_eq(judge.next[r][p], judge.put[r][p], "seed %u, ring %u, partition %u", seed, r, p);
        cr_assert_eq(gate(&rig), order_observe(&ring_producer(rig.ring)->hot.write_pos), "seed %u", seed);
        second_close(&second);
        rig_close(&rig);
    }
}
