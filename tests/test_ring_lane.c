/* Lanes: look, walk, ack, and the gate that all of them raise. */
#include <criterion/criterion.h>

#include "ring_rig.h"
#include "ringbuf/ring_internal.h"

static uint64_t gate_of(const struct rig *rig)
{
    return order_load_gate(&ring_shipper(rig->ring)->gate.gate_pos);
}

Test(ring_lane, the_gate_is_the_smallest_ack_of_all_lanes_and_never_goes_back)
{
    struct ring_lane lane[3];
    struct rig rig;

    rig_open(&rig, 65536);
    cr_assert_eq(ring_lanes_begin(rig.ring, 3), 0);
    for (uint32_t i = 0; i < 3; i++)
        ring_lane_open(&lane[i], rig.ring, i);
    for (int i = 0; i < 10; i++)
        cr_assert_eq(rig_put(&rig, "0123456789", 10), 0);
    ring_lane_ack(&lane[0], 320, 320);
    ring_lane_ack(&lane[1], 320, 64);
    cr_assert_eq(gate_of(&rig), 0, "lane 2 has read nothing");
    ring_lane_ack(&lane[2], 320, 128);
    cr_assert_eq(gate_of(&rig), 64);
    ring_lane_ack(&lane[1], 320, 256);
    cr_assert_eq(gate_of(&rig), 128);
    ring_lane_ack(&lane[0], 320, 320);
    cr_assert_eq(gate_of(&rig), 128);
    cr_assert_eq(order_none_load64(&ring_shipper(rig.ring)->lane[1].ack_pos), 256, "tools see which lane gates");
    cr_assert_eq(order_none_load64(&ring_shipper(rig.ring)->lane[1].read_pos), 320);
    rig_close(&rig);
}

Test(ring_lane, a_new_shipper_begins_at_the_gate_with_another_number_of_lanes)
{
    struct ring_lane lane;
    struct rig rig;

    rig_open(&rig, 65536);
    for (int i = 0; i < 10; i++)
        cr_assert_eq(rig_put(&rig, "0123456789", 10), 0);
    cr_assert_eq(rig_walk(&rig), 10);
    uint64_t fifth = rig.walk.record[4].pos;
    ring_lane_ack(&rig.lane, rig.lane.walk_pos, fifth);
    ring_close(rig.ring);
    rig_attach(&rig, RING_ACCESS_SHIPPER);
    cr_assert_eq(ring_lanes_begin(rig.ring, 4), 0);
    ring_lane_open(&lane, rig.ring, 3);
    cr_assert_eq(lane.walk_pos, fifth);
    cr_assert_eq(order_none_load32(&ring_shipper(rig.ring)->control.lane_count), 4);
    rig.lane = lane;
    cr_assert_eq(rig_walk(&rig), 6);
    rig_close(&rig);
}

Test(ring_lane, walks_in_pieces_when_records_or_keys_are_many)
{
    static char key[RING_KEY_BYTES_MAX];
    int counts[3] = {0}, count, sum = 0;
    struct rig rig;

    rig_open(&rig, 1 << 20);
    memset(key, 'k', sizeof(key));
    for (int i = 0; i < 130; i++)
        cr_assert_eq(rig_put(&rig, &i, 4), 0);
    for (int i = 0; i < 3; i++)
        counts[i] = rig_walk(&rig);
    cr_assert(counts[0] == 64 && counts[1] == 64 && counts[2] == 2);
    for (int i = 0; i < 20; i++)
        cr_assert_eq(ring_writer_put(rig.writer, &(struct ring_shape){.key = key, .key_len = sizeof(key), .payload_len = 4}, &i), 0);
    while ((count = rig_walk(&rig)) > 0) {
        for (int i = 0; i < count; i++)
            cr_assert(rig.walk.record[i].key_len == sizeof(key) && memcmp(rig.walk.record[i].key, key, sizeof(key)) == 0);
        sum += count;
    }
    cr_assert_eq(sum, 20);
    cr_assert_eq(rig.lane.walk_pos, ring_writer_pos(rig.writer));
    rig_close(&rig);
}

Test(ring_lane, passes_discarded_records_and_pads)
{
    struct rig rig;
    void *to;

    rig_open(&rig, 65536);
    cr_assert_eq(rig_put(&rig, "a", 1), 0);
    cr_assert_eq(ring_writer_reserve(rig.writer, &(struct ring_shape){.payload_len = 100}, &to), 0);
    ((struct ring_head *)(void *)((uint8_t *)to - 16))->kind = RING_KIND_DISCARDED;
    ring_writer_commit(rig.writer, 100);
    cr_assert_eq(rig_put(&rig, "b", 1), 0);
    cr_assert_eq(rig_walk(&rig), 2);
    rig_close(&rig);
}

Test(ring_lane, a_note_dates_an_event_not_later_than_its_commit)
{
    struct rig rig;
    uint64_t pos[300];
    int64_t created;

    rig_open(&rig, 1 << 20);
    created = ring_header(rig.ring)->created_ns;
    for (int i = 0; i < 300; i++) { /* event i is committed at created + 1000 * i + 500, a pass comes at each thousand */
        uint64_t write_pos;
        ring_lane_look(&rig.lane, &write_pos);
        ring_note(&rig.lane, created + 1000 * i);
        cr_assert_eq(rig_put(&rig, &i, 4), 0);
        pos[i] = ring_writer_last_pos(rig.writer);
    }
    for (int i = 0; i < 300; i++) {
        int64_t noted = ring_noted_time_ns(rig.ring, pos[i]);
        cr_assert_leq(noted, created + 1000 * i + 500, "event %d", i);
        cr_assert_geq(noted, created + 1000 * (i - 20), "event %d: the notes get coarser, not blind", i);
    }
    rig_ack(&rig, pos[200]);
    uint64_t write_pos;
    ring_lane_look(&rig.lane, &write_pos);
    ring_note(&rig.lane, created + 300000);
    cr_assert_geq(ring_noted_time_ns(rig.ring, pos[200]), created + 1000 * (200 - 20), "the newest note below the gate stays");
    cr_assert_lt(order_none_load64(&ring_shipper(rig.ring)->notes.tail) - order_none_load64(&ring_shipper(rig.ring)->notes.head), 40);
    rig_close(&rig);
}

Test(ring_lane, a_waiting_producer_is_woken_by_the_gate)
{
    static uint8_t big[4000];
    struct ring_shape shape = {.payload_len = sizeof(big)};
    struct rig rig;

    rig_open(&rig, 65536);
    while (ring_writer_put(rig.writer, &shape, big) == 0)
        ;
    cr_assert_eq(ring_writer_wait_room(rig.writer, &shape, rig_soon_ns(20)), -ETIMEDOUT);
    cr_assert_eq(order_none_load32(&ring_producer(rig.ring)->hot.waiting), 0);
    rig_drain(&rig);
    cr_assert_eq(ring_writer_wait_room(rig.writer, &shape, rig_soon_ns(20)), 0);
    cr_assert_eq(ring_writer_put(rig.writer, &shape, big), 0);
    rig_close(&rig);
}

Test(ring_lane, the_oldest_event_that_waits_has_its_own_time_or_the_newest_note_before_it)
{
    struct ring_shape timed = {.payload_len = 4, .flags = RING_FLAG_TIME};
    struct rig rig;
    int64_t time_ns = 0, created;

    rig_open(&rig, 65536);
    created = ring_header(rig.ring)->created_ns;
    cr_assert_not(ring_oldest_time_ns(rig.ring, &time_ns), "nothing waits");
    uint64_t write_pos;
    for (int i = 1; i <= 3;
         i++) { /* the first has a time of the writer's clock, as each stripe's first, the second a note, the third both */
        timed.time_ns = created + 5000;
        if (i == 3)
            cr_assert_eq(ring_writer_put(rig.writer, &timed, "data"), 0);
        else
            cr_assert_eq(rig_put(&rig, "data", 4), 0);
        cr_assert_eq(ring_lane_look(&rig.lane, &write_pos), 0);
        ring_note(&rig.lane, created + 1000 * i);
    }
    cr_assert_eq(rig_walk(&rig), 3);
    cr_assert(ring_oldest_time_ns(rig.ring, &time_ns));
    cr_expect_eq(time_ns, rig.walk.record[0].time_ns);
    rig_ack(&rig, rig.walk.record[1].pos);
    cr_assert(ring_oldest_time_ns(rig.ring, &time_ns));
    cr_expect_eq(time_ns, created + 1000, "seen written up to the second one");
    rig_ack(&rig, rig.walk.record[2].pos);
    cr_assert(ring_oldest_time_ns(rig.ring, &time_ns));
    cr_expect_eq(time_ns, created + 5000);
    rig_ack(&rig, rig.lane.walk_pos);
    cr_expect_not(ring_oldest_time_ns(rig.ring, &time_ns));
    rig_close(&rig);
}
