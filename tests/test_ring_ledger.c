/* The ledger of a ring and of removed rings: it closes for every state a kill can leave, stays open by as much as any counter is wrong, and
 * says so when nobody can tell. */
#include <criterion/criterion.h>
#include <pthread.h>

#include "ring_rig.h"
#include "ringbuf/ring_dropped.h"
#include "ringbuf/ring_internal.h"
#include "ringbuf/ring_ledger.h"
#include "ringbuf/ring_refused.h"
#include "ringbuf/ring_route.h"
#include "shipper/counters.h"

#define DOMAIN_3 (RING_CLASS_COUNT + 3)
#define DOMAIN_5 (RING_CLASS_COUNT + 5)

static void put_to(struct rig *rig, uint16_t partition)
{
    struct ring_shape shape = {.route = partition, .flags = RING_FLAG_ROUTE_PARTITION, .payload_len = 4};

    cr_assert_eq(ring_writer_put(rig->writer, &shape, "data"), 0);
}

static struct ring_ledger ledger_of(const struct rig *rig)
{
    struct ring_ledger ledger;
    struct ring_refusal why = {0};

    cr_assert_eq(ring_ledger_of_ring(rig->ring, &ledger, &why), 0, "%s", why.text);
    return ledger;
}

static int64_t difference_of(const struct rig *rig)
{
    struct ring_ledger ledger = ledger_of(rig);

    return ring_ledger_difference(&ledger);
}

static int refused(const struct rig *rig)
{
    struct ring_ledger ledger;
    struct ring_refusal why = {0};
    int err = ring_ledger_of_ring(rig->ring, &ledger, &why);

    cr_assert(err == 0 || why.text[0]);
    return err;
}

/* Eight partitions, ten events each to 3 and 5; of 3 four are accepted, one dead-lettered, one dropped. */
static void open_half_settled(struct rig *rig)
{
    rig_open(rig, 65536);
    ring_set_partition_count(rig->ring, 8);
    for (int i = 0; i < 10; i++) {
        put_to(rig, 3);
        put_to(rig, 5);
    }
    cr_assert_eq(rig_walk(rig), 20);
    ring_lane_settle(
        &rig->lane, DOMAIN_3, rig->walk.record[12].pos,
        &(struct ring_settled){
            .accepted_events = 4, .dead_lettered_events = 1, .dropped_events = {[RING_DROPPED_REBOOT] = 1}, .maybe_duplicate_events = 7});
    rig_ack(rig, rig->walk.record[1].pos);
    ring_writer_count_refused(rig->writer, RING_REFUSED_FULL);
}

Test(ring_ledger, of_a_ring_nobody_has_written_closes_at_zero)
{
    struct rig rig;

    rig_open(&rig, 65536);
    struct ring_ledger ledger = ledger_of(&rig);
    cr_assert_eq(ring_ledger_difference(&ledger), 0);
    cr_assert_eq(ledger.committed_events + ledger.pending_events + ledger.refused_calls, 0);
    rig_close(&rig);
}

Test(ring_ledger, has_every_event_in_one_place)
{
    struct rig rig;

    open_half_settled(&rig);
    struct ring_ledger ledger = ledger_of(&rig);
    cr_assert_eq(ring_ledger_difference(&ledger), 0);
    cr_assert_eq(ledger.committed_events, 20);
    cr_assert_eq(ledger.accepted_events, 4);
    cr_assert_eq(ledger.dead_lettered_events, 1);
    cr_assert_eq(ledger.dropped_events, 1);
    cr_assert_eq(ledger.dropped[RING_DROPPED_REBOOT], 1);
    cr_assert_eq(ledger.pending_events, 14);
    cr_assert_eq(ledger.maybe_duplicate_events, 7);
    cr_assert_eq(ledger.refused[RING_REFUSED_FULL], 1);
    cr_assert_eq(ledger.refused_calls, 1);
    rig_close(&rig);
}

Test(ring_ledger, counts_no_pads_and_no_discarded_records)
{
    struct rig rig;
    void *payload;

    rig_open(&rig, 65536);
    for (int lap = 0; lap < 5; lap++) {
        for (int i = 0; i < 9; i++) { /* nothing of 6,000 bytes ends with the lap */
            cr_assert_eq(ring_writer_reserve(rig.writer, &(struct ring_shape){.payload_len = 6000}, &payload), 0);
            if (i % 3)
                ring_writer_commit(rig.writer, 6000);
            else
                ring_writer_discard(rig.writer);
        }
        cr_assert_eq(difference_of(&rig), 0);
        cr_assert_eq(ledger_of(&rig).pending_events, 6);
        int count = rig_walk(&rig);
        cr_assert_eq(count, 6);
        for (uint32_t domain = 0; domain < RING_CLASS_COUNT; domain++)
            ring_lane_settle(&rig.lane, domain, rig.lane.walk_pos, &(struct ring_settled){.accepted_events = domain == 0 ? 6 : 0});
        cr_assert_eq(difference_of(&rig), 0);
        rig_ack(&rig, rig.lane.walk_pos);
        cr_assert_eq(difference_of(&rig), 0);
    }
    /* a discarded record as another writer may leave it */
    cr_assert_eq(rig_put(&rig, "data", 4), 0);
    struct ring_head *head = (struct ring_head *)(uintptr_t)(rig.ring->data + (ring_writer_last_pos(rig.writer) & rig.ring->mask));
    uint8_t *bytes = rig_bytes(&rig);
    struct ring_head *to = (struct ring_head *)(bytes + rig.ring->header.data_off + ((uint8_t *)head - rig.ring->data));
    to->kind = RING_KIND_DISCARDED;
    cr_assert_eq(difference_of(&rig), 1, "what was counted as an event is none");
    order_none_add64(&((struct ring_producer *)(bytes + rig.ring->header.producer_off))->hot.event_count, UINT64_MAX);
    cr_assert_eq(difference_of(&rig), 0);
    rig_close(&rig);
}

/* What a shipper leaves that is killed after each store of a settlement. */
Test(ring_ledger, closes_between_any_two_stores_of_a_settlement)
{
    struct rig rig;

    open_half_settled(&rig);
    struct ring_shipper *shipper = rig.ring->shipper;
    struct ring_lane_words *words = &shipper->lane[0];
    order_none_store32(&words->redo.domain, DOMAIN_5);
    cr_assert_eq(difference_of(&rig), 0);
    order_none_store64(&words->redo.done_pos, rig.walk.record[3].pos); /* one event: record 1 */
    order_none_store64(&words->redo.counts.accepted_events, 5);
    order_none_store64(&words->redo.counts.dead_lettered_events, 1);
    order_none_store64(&words->redo.counts.dropped_events[RING_DROPPED_REBOOT], 1);
    cr_assert_eq(difference_of(&rig), 0);
    cr_assert_eq(ledger_of(&rig).accepted_events, 4, "not full: it never was");
    order_none_store32(&words->redo.state, RING_REDO_FULL);
    cr_assert_eq(difference_of(&rig), 0);
    cr_assert_eq(ledger_of(&rig).accepted_events, 5);
    cr_assert_eq(ledger_of(&rig).pending_events, 13);
    order_none_store64(&shipper->done_pos[ring_done_slot(DOMAIN_5)], rig.walk.record[3].pos);
    cr_assert_eq(difference_of(&rig), 0);
    order_none_store64(&words->counts.accepted_events, 5);
    cr_assert_eq(difference_of(&rig), 0);
    cr_assert_eq(order_none_load32(&words->redo.state), RING_REDO_FULL, "looking writes nothing");
    order_none_store32(&words->redo.state, RING_REDO_EMPTY);
    cr_assert_eq(difference_of(&rig), 0);
    rig_close(&rig);
}

Test(ring_ledger, closes_when_the_writer_died_between_count_and_position)
{
    struct rig rig;

    open_half_settled(&rig);
    for (int i = 0; i < 3; i++) {
        void *payload;
        cr_assert_eq(ring_writer_reserve(rig.writer, &(struct ring_shape){.payload_len = 4}, &payload), 0);
        ring_writer_commit_quiet(rig.writer, 4);
    }
    cr_assert_eq(difference_of(&rig), 0, "written, neither counted nor published");
    uint8_t *bytes = rig_bytes(&rig);
    struct ring_producer *producer = (struct ring_producer *)(bytes + rig.ring->header.producer_off);
    order_none_store64(&producer->hot.event_count, 23);
    cr_assert_eq(difference_of(&rig), 0, "counted, not published");
    cr_assert_eq(ledger_of(&rig).committed_events, 20);
    order_none_store64(&producer->hot.event_count, 24);
    cr_assert_eq(difference_of(&rig), 4, "a count that no head stands for");
    rig_close(&rig);
}

/* Enough quiet events that their numbers would begin again: some of them are published on the way. */
Test(ring_ledger, closes_when_the_writer_died_with_a_long_array_unpublished)
{
    struct rig rig;
    void *payload;

    rig_open(&rig, UINT64_C(32) << 20);
    put_to(&rig, 1);
    for (int i = 0; i < 70000; i++) {
        cr_assert_eq(ring_writer_reserve(rig.writer, &(struct ring_shape){.payload_len = 4}, &payload), 0);
        ring_writer_commit_quiet(rig.writer, 4);
    }
    cr_assert_lt(ledger_of(&rig).committed_events, 70001);
    cr_assert_eq(difference_of(&rig), 0);
    rig_close(&rig);
}

Test(ring_ledger, stays_open_by_as_much_as_any_counter_is_wrong)
{
    struct rig rig;

    open_half_settled(&rig);
    struct ring_shipper *shipper = rig.ring->shipper;
    uint8_t *bytes = rig_bytes(&rig);
    struct ring_producer *producer = (struct ring_producer *)(bytes + rig.ring->header.producer_off);
    struct {
        _Atomic uint64_t *word;
        int64_t difference;
    } counters[] = {
        {&producer->hot.event_count, 1},
        {&shipper->lane[0].counts.accepted_events, -1},
        {&shipper->lane[15].counts.accepted_events, -1},
        {&shipper->lane[0].counts.dead_lettered_events, -1},
        {&shipper->lane[0].counts.dropped_events[RING_DROPPED_REBOOT], -1},
        {&shipper->lane[3].counts.dropped_events[RING_DROPPED_REASONS - 1], -1},
    };
    for (size_t i = 0; i < sizeof(counters) / sizeof(counters[0]); i++) {
        uint64_t right = order_none_load64(counters[i].word);
        order_none_store64(counters[i].word, right + 1);
        cr_expect_eq(difference_of(&rig), counters[i].difference, "counter %zu, one more", i);
        if (right > 0) {
            order_none_store64(counters[i].word, right - 1);
            cr_expect_eq(difference_of(&rig), -counters[i].difference, "counter %zu, one less", i);
        }
        order_none_store64(counters[i].word, right);
    }
    _Atomic uint64_t *done_pos = &shipper->done_pos[ring_done_slot(DOMAIN_3)];
    uint64_t right = order_none_load64(done_pos);
    order_none_store64(done_pos, rig.walk.record[10].pos);
    cr_expect_eq(difference_of(&rig), -1, "an event is pending again");
    order_none_store64(done_pos, rig.walk.record[14].pos);
    cr_expect_eq(difference_of(&rig), 1, "an event is passed");
    order_none_store64(done_pos, right);
    order_none_store64(&shipper->gate.gate_pos, rig.walk.record[2].pos);
    cr_expect_eq(difference_of(&rig), 1, "the gate passed an event");
    rig_close(&rig);
}

Test(ring_ledger, cannot_tell_of_what_cannot_be)
{
    struct rig rig;

    open_half_settled(&rig);
    struct ring_shipper *shipper = rig.ring->shipper;
    uint8_t *bytes = rig_bytes(&rig);
    order_none_store32(&shipper->lane[2].redo.state, 7);
    cr_expect_eq(refused(&rig), -EBADMSG, "a redo record that is neither full nor empty");
    order_none_store32(&shipper->lane[2].redo.state, RING_REDO_FULL);
    order_none_store32(&shipper->lane[2].redo.domain, RING_DOMAINS_MAX);
    cr_expect_eq(refused(&rig), -EBADMSG, "a redo record of no domain");
    order_none_store32(&shipper->lane[2].redo.state, RING_REDO_EMPTY);
    order_none_store64(&shipper->done_pos[ring_done_slot(DOMAIN_5)], 1 << 20);
    cr_expect_eq(refused(&rig), -EBADMSG, "settled beyond what is written");
    order_none_store64(&shipper->done_pos[ring_done_slot(DOMAIN_5)], 0);
    cr_expect_eq(refused(&rig), 0);
    struct ring_head *head = (struct ring_head *)(bytes + rig.ring->header.data_off + rig.walk.record[7].pos);
    head->kind = 9;
    cr_expect_eq(refused(&rig), -EBADMSG, "a head that cannot be");
    head->kind = RING_KIND_DATA;
    cr_expect_eq(refused(&rig), 0);
    order_none_store64(&shipper->gate.gate_pos, 1 << 20);
    cr_expect_eq(refused(&rig), -EBADMSG, "a gate ahead of the writer");
    order_none_store64(&shipper->gate.gate_pos, 0);
    ring_quarantine(rig.ring, RING_QUARANTINE_BAD_META, 0);
    cr_expect_eq(refused(&rig), -EBADMSG, "quarantine");
    rig_close(&rig);
}

/* ---- rings of an earlier boot ---- */

static struct ring_producer *producer_of(const struct rig *rig)
{
    return (struct ring_producer *)(rig_bytes(rig) + rig->ring->header.producer_off);
}

/* Half settled, of an earlier boot, synced up to its record 12; all that was synced is settled. */
static void open_earlier_boot(struct rig *rig)
{
    open_half_settled(rig);
    rig->ring->header.boot_id[0]++;
    order_none_store64(&producer_of(rig)->sync.synced_pos, rig->walk.record[12].pos);
    cr_expect_eq(refused(rig), -ESTALE);
    cr_assert_eq(ring_sync(rig->ring), 0);
    cr_expect_eq(ring_synced_pos(rig->ring), rig->walk.record[12].pos, "a sync now brings nothing back");
    ring_lane_settle(&rig->lane, DOMAIN_5, rig->walk.record[12].pos, &(struct ring_settled){.accepted_events = 6});
    rig_ack(rig, rig->walk.record[12].pos);
    cr_expect_eq(refused(rig), -ESTALE, "the tail is still there");
}

Test(ring_ledger, of_an_earlier_boot_closes_when_the_tail_is_dropped_that_was_not_synced)
{
    struct rig rig;

    open_earlier_boot(&rig);
    cr_assert_eq(ring_drop_unsynced(rig.ring), 8);
    struct ring_ledger ledger = ledger_of(&rig);
    cr_assert_eq(ring_ledger_difference(&ledger), 0);
    cr_assert_eq(ledger.committed_events, 20);
    cr_assert_eq(ledger.pending_events, 0);
    cr_assert_eq(ledger.dropped[RING_DROPPED_REBOOT], 1 + 8);
    cr_assert_eq(ring_lanes_begin(rig.ring, 1), 0);
    cr_assert_eq(ring_drop_unsynced(rig.ring), 0, "dropped once");
    cr_assert_eq(difference_of(&rig), 0);
    order_none_add64(&rig.ring->shipper->lane[0].counts.accepted_events, 1);
    cr_assert_eq(refused(&rig), -ESTALE, "a page may be older than another one");
    rig_close(&rig);
}

/* What a shipper leaves that is killed after each store: nobody can tell, never open, and the next start ends at the same. */
Test(ring_ledger, of_an_earlier_boot_survives_a_kill_at_any_store_of_the_drop)
{
    enum { REDO_WRITTEN, REDO_FULL, COUNTED, GONE };

    for (int stores = REDO_WRITTEN; stores <= GONE; stores++) {
        struct rig rig;
        open_earlier_boot(&rig);
        struct ring_lane_words *words = &rig.ring->shipper->lane[0];
        order_none_store32(&words->redo.domain, RING_REDO_NO_DOMAIN);
        order_none_store64(&words->redo.done_pos, 0);
        order_none_store64(&words->redo.counts.dropped_events[RING_DROPPED_REBOOT], 9);
        if (stores >= REDO_FULL)
            order_none_store32(&words->redo.state, RING_REDO_FULL);
        if (stores >= COUNTED)
            order_none_store64(&words->counts.dropped_events[RING_DROPPED_REBOOT], 9);
        if (stores >= GONE)
            order_none_store32(&words->redo.state, RING_REDO_EMPTY);
        cr_expect_eq(refused(&rig), -ESTALE);
        cr_assert_eq(ring_lanes_begin(rig.ring, 1), 0);
        cr_expect_eq(ring_drop_unsynced(rig.ring), stores >= REDO_FULL ? 0 : 8);
        cr_expect_eq(difference_of(&rig), 0);
        cr_expect_eq(ledger_of(&rig).dropped[RING_DROPPED_REBOOT], 9);
        rig_close(&rig);
    }
}

/* The pages of a file reach the disk in any order: what the shipper had settled may lie beyond what the writer's page says is written. */
Test(ring_ledger, of_an_earlier_boot_begins_although_more_is_settled_than_written)
{
    struct rig rig;

    open_half_settled(&rig);
    uint64_t end_pos = rig.walk.record[4].pos;
    order_none_store64(&producer_of(&rig)->hot.write_pos, end_pos);
    order_none_store64(&producer_of(&rig)->hot.event_count, 4);
    order_none_store64(&rig.ring->shipper->gate.gate_pos, rig.walk.record[9].pos);
    order_none_store64(&rig.ring->shipper->lane[0].redo.done_pos, rig.walk.record[14].pos);
    order_none_store32(&rig.ring->shipper->lane[0].redo.state, RING_REDO_FULL);
    rig.ring->header.boot_id[0]++;
    cr_expect_eq(refused(&rig), -ESTALE);
    cr_assert_eq(ring_lanes_begin(rig.ring, 1), 0);
    cr_expect_eq(order_load_gate(&rig.ring->shipper->gate.gate_pos), end_pos);
    cr_expect_eq(ring_done_max(rig.ring), end_pos);
    cr_expect_eq(ring_drop_unsynced(rig.ring), 0);
    rig_close(&rig);
}

struct race {
    struct rig rig;
    _Atomic uint32_t stop;
};

static void *write_on(void *arg)
{
    struct race *race = arg;

    for (uint32_t i = 0; !order_flag_get(&race->stop); i++) {
        struct ring_shape shape = {.route = (uint16_t)(i % 8), .flags = i % 5 ? RING_FLAG_ROUTE_PARTITION : 0, .payload_len = i % 90};
        static const uint8_t data[90];
        ring_writer_put(race->rig.writer, &shape, data);
    }
    return NULL;
}

/* Settles the domains of what it walked one by one, then moves the gate. */
static void *settle_on(void *arg)
{
    struct race *race = arg;
    struct rig *rig = &race->rig;

    while (!order_flag_get(&race->stop)) {
        uint32_t count[RING_CLASS_COUNT + 8] = {0};
        if (rig_walk(rig) == 0)
            continue;
        for (uint32_t i = 0; i < RING_WALK_MAX && rig->walk.record[i].len; i++)
            count[ring_domain_of(&rig->walk.record[i], 8)]++;
        for (uint32_t domain = 0; domain < RING_CLASS_COUNT + 8; domain++)
            if (count[domain])
                ring_lane_settle(&rig->lane, domain, rig->lane.walk_pos, &(struct ring_settled){.accepted_events = count[domain]});
        rig_ack(rig, rig->lane.walk_pos);
        memset(&rig->walk, 0, sizeof(rig->walk));
    }
    return NULL;
}

Test(ring_ledger, never_opens_while_writer_and_shipper_run)
{
    static struct race race;
    pthread_t writer, shipper;
    int closed = 0;

    rig_open(&race.rig, 65536);
    ring_set_partition_count(race.rig.ring, 8);
    cr_assert_eq(pthread_create(&writer, NULL, write_on, &race), 0);
    cr_assert_eq(pthread_create(&shipper, NULL, settle_on, &race), 0);
    for (int i = 0; i < 2000; i++) {
        struct ring_ledger ledger;
        struct ring_refusal why;
        int err = ring_ledger_of_ring(race.rig.ring, &ledger, &why);
        cr_assert(err == 0 || err == -EAGAIN, "%d %s", err, why.text);
        cr_assert(err || ring_ledger_difference(&ledger) == 0, "open by %ld of %lu committed", (long)ring_ledger_difference(&ledger),
                  (unsigned long)ledger.committed_events);
        closed += err == 0;
    }
    order_flag_set(&race.stop, 1);
    pthread_join(writer, NULL);
    pthread_join(shipper, NULL);
    cr_assert_gt(closed, 1000, "%d of 2000 looks had a cut", closed);
    cr_assert_gt(ledger_of(&race.rig).committed_events, 0);
    cr_assert_eq(difference_of(&race.rig), 0);
    rig_close(&race.rig);
}

/* ---- removed rings ---- */

static struct counters_words *open_totals(struct rig *rig, char path[128], struct ring_stat_file *file)
{
    rig_dirs(rig);
    snprintf(path, 128, "%s/orders.stat", rig->rings);
    cr_assert_eq(ring_stat_file_open(path, "orders", counters_table, counters_table_count, sizeof(struct counters_words), file), 0);
    struct counters_words *words = file->values;
    order_none_store64(&words->totals.removed_rings, 2);
    order_none_store64(&words->totals.committed_events, 100);
    order_none_store64(&words->totals.accepted_events, 90);
    order_none_store64(&words->totals.dead_lettered_events, 7);
    order_none_store64(&words->totals.dropped_events[RING_DROPPED_REBOOT], 3);
    return words;
}

static struct ring_ledger_removed removed_of(const char *path)
{
    struct ring_ledger_removed removed;
    struct ring_stat_view view;
    struct ring_refusal why;
    char text[200];

    cr_assert_eq(ring_stat_view_open(path, &view, text, sizeof(text)), 0, "%s", text);
    cr_assert_eq(ring_ledger_of_removed(&view, &removed, &why), 0, "%s", why.text);
    ring_stat_view_close(&view);
    return removed;
}

Test(ring_ledger, of_removed_rings_closes_and_stays_open_by_what_is_wrong)
{
    struct ring_stat_file file;
    struct rig rig;
    char path[128];
    struct counters_words *words = open_totals(&rig, path, &file);
    struct ring_ledger_removed removed = removed_of(path);

    cr_assert_eq(ring_ledger_difference(&removed.ledger), 0);
    cr_assert_eq(removed.removed_rings, 2);
    cr_assert_str_empty(removed.removing);
    _Atomic uint64_t *counters[] = {&words->totals.committed_events, &words->totals.accepted_events, &words->totals.dead_lettered_events,
                                    &words->totals.dropped_events[RING_DROPPED_REBOOT]};
    for (size_t i = 0; i < 4; i++) {
        order_none_add64(counters[i], 1);
        removed = removed_of(path);
        cr_expect_eq(ring_ledger_difference(&removed.ledger), i == 0 ? 1 : -1, "counter %zu", i);
        order_none_add64(counters[i], UINT64_MAX);
    }
    ring_stat_file_close(&file);
    unlink(path);
    rig_close(&rig);
}

/* A shipper killed while it removed a ring: the counts are the record's, and the ring's own must not be counted again. */
Test(ring_ledger, of_removed_rings_reads_a_full_record_as_if_applied)
{
    struct ring_stat_file file;
    struct rig rig;
    char path[128];
    struct counters_words *words = open_totals(&rig, path, &file);

    snprintf(words->redo.ring_file, sizeof(words->redo.ring_file), "one.ring");
    order_none_store64(&words->redo.totals.removed_rings, 3);
    order_none_store64(&words->redo.totals.committed_events, 110);
    order_none_store64(&words->redo.totals.accepted_events, 110);
    cr_assert_eq(removed_of(path).ledger.committed_events, 100, "not full: it never was");
    order_none_store32(&words->redo.full, 1);
    struct ring_ledger_removed removed = removed_of(path);
    cr_assert_eq(removed.ledger.committed_events, 110);
    cr_assert_eq(removed.removed_rings, 3);
    cr_assert_eq(ring_ledger_difference(&removed.ledger), 0);
    cr_assert_str_eq(removed.removing, "one.ring");
    ring_stat_file_close(&file);
    unlink(path);
    rig_close(&rig);
}

Test(ring_ledger, of_removed_rings_needs_the_lines_it_is_made_of)
{
    static const struct ring_stat_desc table[] = {
        {.name = "accepted_events", .unit = "events", .count = 1, .kind = RING_STAT_COUNTER, .width = 8, .help = "h"}};
    struct ring_ledger_removed removed;
    struct ring_stat_file file;
    struct ring_stat_view view;
    struct ring_refusal why = {0};
    struct rig rig;
    char path[128], text[200];

    rig_dirs(&rig);
    snprintf(path, sizeof(path), "%s/other.stat", rig.rings);
    cr_assert_eq(ring_stat_file_open(path, "other", table, 1, 8, &file), 0);
    cr_assert_eq(ring_stat_view_open(path, &view, text, sizeof(text)), 0);
    cr_assert_eq(ring_ledger_of_removed(&view, &removed, &why), -ENOENT);
    cr_assert_neq(why.text[0], '\0');
    ring_stat_view_close(&view);
    ring_stat_file_close(&file);
    unlink(path);
    rig_close(&rig);
}
