/* What one worker makes of real rings: domains in order, gates that follow acceptance, failures walked again, restarts that repeat nothing
 * settled. */
#include "feed_rig.h"

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
