/* Two rings in one feed: a bad event is looked for and the others keep their order, a slot that changes hands, equal shares. */
#include "feed_rig.h"

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
Test(feed_suspect, finds_a_bad_event_in_twice_the_logarithm_of_sends_and_keeps_order)
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
Test(feed_suspect, does_not_walk_the_next_ring_in_a_slot_by_the_suspects_of_the_last_one)
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
Test(feed_suspect, sends_no_suspects_of_a_ring_that_is_let_go)
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

Test(feed_suspect, gives_rings_that_are_behind_equal_shares)
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
