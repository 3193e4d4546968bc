/* What is settled: done positions with their counts, the redo record, what a start skips and refuses, what is pending. */
#include <criterion/criterion.h>

#include "ring_rig.h"
#include "ringbuf/ring_internal.h"
#include "ringbuf/ring_route.h"

static struct ring_shipper *shipper_of(const struct rig *rig)
{
    return rig->ring->shipper;
}

Test(ring_done, a_settlement_moves_position_and_counts)
{
    struct ring_settled settled = {1, 2, 3, 4, 5, {6, 7, [RING_DROPPED_REASONS - 1] = 8}};
    struct rig rig;

    rig_open(&rig, 65536);
    cr_assert_eq(rig_put(&rig, "0123456789", 10), 0);
    ring_lane_settle(&rig.lane, 17, 32, &settled);
    ring_lane_settle(&rig.lane, 2047, 16, &settled);
    ring_lane_count(&rig.lane, &(struct ring_settled){.maybe_duplicate_events = 10});
    cr_assert_eq(ring_done_pos(rig.ring, 17), 32);
    cr_assert_eq(ring_done_pos(rig.ring, 2047), 16);
    cr_assert_eq(ring_done_pos(rig.ring, 16), 0);
    cr_assert_eq(ring_done_max(rig.ring), 32);
    const struct ring_lane_counts *counts = &ring_shipper(rig.ring)->lane[0].counts;
    cr_assert_eq(order_none_load64(&counts->accepted_events), 2);
    cr_assert_eq(order_none_load64(&counts->accepted_bytes), 4);
    cr_assert_eq(order_none_load64(&counts->accepted_batches), 6);
    cr_assert_eq(order_none_load64(&counts->dead_lettered_events), 8);
    cr_assert_eq(order_none_load64(&counts->maybe_duplicate_events), 20);
    cr_assert_eq(order_none_load64(&counts->dropped_events[0]), 12);
    cr_assert_eq(order_none_load64(&counts->dropped_events[1]), 14);
    cr_assert_eq(order_none_load64(&counts->dropped_events[2]), 0);
    cr_assert_eq(order_none_load64(&counts->dropped_events[RING_DROPPED_REASONS - 1]), 16);
    ring_done_clear(rig.ring);
    cr_assert_eq(ring_done_max(rig.ring), 0);
    rig_close(&rig);
}

Test(ring_done, a_start_completes_a_full_redo_record_and_ignores_an_empty_one)
{
    struct rig rig;

    rig_open(&rig, 65536);
    for (int i = 0; i < 4; i++)
        cr_assert_eq(rig_put(&rig, "0123456789", 10), 0);
    struct ring_lane_words *words = &shipper_of(&rig)->lane[5];
    order_none_store32(&words->redo.domain, 30);
    order_none_store64(&words->redo.done_pos, 64);
    order_none_store64(&words->redo.counts.accepted_events, 2);
    cr_assert_eq(ring_lanes_begin(rig.ring, 1), 0);
    cr_assert_eq(ring_done_pos(rig.ring, 30), 0, "written but not full: it never was");
    order_none_store32(&words->redo.state, RING_REDO_FULL);
    cr_assert_eq(ring_lanes_begin(rig.ring, 1), 0);
    cr_assert_eq(ring_done_pos(rig.ring, 30), 64);
    cr_assert_eq(order_none_load64(&words->counts.accepted_events), 2);
    cr_assert_eq(ring_lanes_begin(rig.ring, 1), 0);
    cr_assert_eq(order_none_load64(&words->counts.accepted_events), 2, "twice changes nothing");
    rig_close(&rig);
}

Test(ring_done, pending_is_what_lies_above_the_gate_and_is_not_settled)
{
    struct ring_shape keyed = {.key = "customer", .key_len = 8, .payload_len = 4},
                      direct = {.route = 3, .flags = RING_FLAG_ROUTE_PARTITION, .payload_len = 4};
    uint32_t domain;
    struct rig rig;

    rig_open(&rig, 65536);
    ring_set_partition_count(rig.ring, 8);
    cr_assert_eq(ring_partition_count(rig.ring), 8);
    domain = RING_CLASS_COUNT + (uint32_t)abs(ring_key_hash((const uint8_t *)"customer", 8) % 8);
    for (int i = 0; i < 10; i++) {
        cr_assert_eq(rig_put(&rig, &i, 4), 0);
        cr_assert_eq(ring_writer_put(rig.writer, &keyed, &i), 0);
        cr_assert_eq(ring_writer_put(rig.writer, &direct, &i), 0);
    }
    cr_assert_eq(ring_count_pending(rig.ring), 30);
    cr_assert_eq(rig_walk(&rig), 30);
    ring_lane_settle(&rig.lane, domain, ring_writer_pos(rig.writer), &(struct ring_settled){.accepted_events = 10});
    cr_assert_eq(ring_count_pending(rig.ring), 20 - (domain == RING_CLASS_COUNT + 3 ? 10 : 0));
    ring_lane_settle(&rig.lane, RING_CLASS_COUNT + 3, rig.walk.record[14].pos, &(struct ring_settled){0});
    cr_assert_eq(ring_count_pending(rig.ring), 20 - 4 - (domain == RING_CLASS_COUNT + 3 ? 6 : 0));
    rig_ack(&rig, rig.walk.record[15].pos);
    cr_assert_eq(ring_count_pending(rig.ring), 5 + 5 - (domain == RING_CLASS_COUNT + 3 ? 5 : 0));
    rig_close(&rig);
}

Test(ring_done, clearing_makes_what_was_accepted_ahead_pending_again)
{
    struct ring_shape shape = {.flags = RING_FLAG_ROUTE_PARTITION, .payload_len = 4};
    const struct ring_lane_counts *counts;
    struct rig rig;

    rig_open(&rig, 65536);
    ring_set_partition_count(rig.ring, 8);
    for (int i = 0; i < 20; i++) {
        shape.route = (uint16_t)(i % 2);
        cr_assert_eq(ring_writer_put(rig.writer, &shape, "1234"), 0);
    }
    ring_lane_settle(&rig.lane, RING_CLASS_COUNT + 1, ring_writer_pos(rig.writer), &(struct ring_settled){.accepted_events = 10});
    cr_assert_eq(ring_count_pending(rig.ring), 10);
    ring_done_clear(rig.ring);
    counts = &shipper_of(&rig)->lane[rig.lane.index].counts;
    cr_assert_eq(ring_count_pending(rig.ring), 20);
    cr_assert_eq(order_none_load64(&counts->accepted_events), 0, "committed = accepted + pending");
    cr_assert_eq(order_none_load64(&counts->maybe_duplicate_events), 10);
    rig_close(&rig);
}

Test(ring_done, a_start_refuses_positions_that_cannot_be)
{
    struct rig rig;

    rig_open(&rig, 65536);
    for (int i = 0; i < 4; i++)
        cr_assert_eq(rig_put(&rig, "0123456789", 10), 0);
    order_none_store64(&shipper_of(&rig)->done_pos[100], 8); /* no record's start */
    cr_assert_eq(ring_lanes_begin(rig.ring, 1), -EBADMSG);
    cr_assert_eq(ring_quarantined(rig.ring), RING_QUARANTINE_POSITIONS);
    rig_close(&rig);
    rig_open(&rig, 65536);
    order_none_store64(&shipper_of(&rig)->gate.gate_pos, 160); /* ahead of the writer */
    cr_assert_eq(ring_lanes_begin(rig.ring, 1), -EBADMSG);
    rig_close(&rig);
    rig_open(&rig, 65536);
    struct ring_lane_words *words = &shipper_of(&rig)->lane[0];
    order_none_store32(&words->redo.domain, RING_DOMAINS_MAX);
    order_none_store32(&words->redo.state, RING_REDO_FULL);
    cr_assert_eq(ring_lanes_begin(rig.ring, 1), -EBADMSG);
    rig_close(&rig);
}
