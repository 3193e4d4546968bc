/* ehring-stat --audit against files in which one thing is false: each counter, position and flag that the ledger is made of, a row for
 * each. A row says what the exit status must be: 1, it does not close; 3, what is written there cannot be, so nobody can tell; 0, what a
 * kill may leave all the same. */
#include <criterion/criterion.h>
#include <spawn.h>
#include <stddef.h>
#include <sys/wait.h>

#include "ring_rig.h"
#include "ringbuf/ring_dropped.h"
#include "ringbuf/ring_internal.h"
#include "ringbuf/ring_stat.h"
#include "shipper/counters.h"

enum { CLOSES = 0, OPEN = 1, UNKNOWN = 3 };
enum place { NOWHERE, HEADER, PRODUCER, SHIPPER, RECORD, STAT_HEADER, STAT_VALUES };
enum { P3 = RING_CLASS_COUNT + 3, P5 = RING_CLASS_COUNT + 5, CLASS_0 = 0, RECORD_LEN = 32, EVENTS = 20 };

struct edit {
    enum place place;
    size_t off;
    uint32_t width;
    enum { ADD, SET } how;
    uint64_t value;
};
struct row {
    const char *what;
    int status;
    struct edit edit[3];
};

/* The slot of a domain, as ring_done_slot has it, for a constant. */
#define SLOT(domain) ((domain) % 16u * (RING_DOMAINS_MAX / 16u) + (domain) / 16u)
#define OFF_DONE(domain) (offsetof(struct ring_shipper, done_pos) + 8u * SLOT(domain))
#define PLUS(place, type, field, value)                                                                                                    \
    {                                                                                                                                      \
        place, offsetof(type, field), 8, ADD, (uint64_t)(value)                                                                            \
    }
#define SET32(place, type, field, value)                                                                                                   \
    {                                                                                                                                      \
        place, offsetof(type, field), 4, SET, value                                                                                        \
    }
#define RING_COUNT(field, value) PLUS(SHIPPER, struct ring_shipper, lane[0].counts.field, value)
#define REDO(field, value) PLUS(SHIPPER, struct ring_shipper, lane[0].redo.field, value)
#define REDO_FULL SET32(SHIPPER, struct ring_shipper, lane[0].redo.state, RING_REDO_FULL)
#define DONE(domain, pos)                                                                                                                  \
    {                                                                                                                                      \
        SHIPPER, OFF_DONE(domain), 8, SET, pos                                                                                             \
    }
#define GATE(pos)                                                                                                                          \
    {                                                                                                                                      \
        SHIPPER, offsetof(struct ring_shipper, gate.gate_pos), 8, SET, pos                                                                 \
    }
#define HEAD(number, field, width, value)                                                                                                  \
    {                                                                                                                                      \
        RECORD, (number)*RECORD_LEN + offsetof(struct ring_head, field), width, SET, value                                                 \
    }
#define KIND(number, value)                                                                                                                \
    {                                                                                                                                      \
        RECORD, (number)*RECORD_LEN + offsetof(struct ring_head, pos16) + 4, 1, SET, (value) << 4                                          \
    }
#define TOTAL(field, value) PLUS(STAT_VALUES, struct counters_words, totals.field, value)
#define REMOVING(field, value) PLUS(STAT_VALUES, struct counters_words, redo.totals.field, value)
#define REMOVING_FULL(value) SET32(STAT_VALUES, struct counters_words, redo.full, value)

/* Eight partitions, ten events each to 3 and 5, in turn, 32 bytes each. Of 3 six are settled: four accepted, one dead-lettered, one
 * dropped. The gate stands at the first of 5. Removed rings had 110 events; the record of their last removal is not full any more. */
static const struct row rows[] = {
    {"nothing", CLOSES, {{0}}},

    {"ring: committed, one more", OPEN, {PLUS(PRODUCER, struct ring_producer, hot.event_count, 1)}},
    {"ring: committed, one less", OPEN, {PLUS(PRODUCER, struct ring_producer, hot.event_count, -1)}},
    {"ring: committed, none", OPEN, {PLUS(PRODUCER, struct ring_producer, hot.event_count, -EVENTS)}},
    {"ring: written, a record ahead", UNKNOWN, {PLUS(PRODUCER, struct ring_producer, hot.write_pos, RECORD_LEN)}},
    {"ring: written, within a record", UNKNOWN, {PLUS(PRODUCER, struct ring_producer, hot.write_pos, -16)}},
    {"ring: written, nothing", UNKNOWN, {PLUS(PRODUCER, struct ring_producer, hot.write_pos, -EVENTS *RECORD_LEN)}},
    {"ring: a producer killed between count and position", CLOSES, {PLUS(PRODUCER, struct ring_producer, hot.write_pos, -RECORD_LEN)}},

    {"ring: accepted, one more", OPEN, {RING_COUNT(accepted_events, 1)}},
    {"ring: accepted, one less", OPEN, {RING_COUNT(accepted_events, -1)}},
    {"ring: accepted, one more in the last lane", OPEN, {PLUS(SHIPPER, struct ring_shipper, lane[15].counts.accepted_events, 1)}},
    {"ring: dead-lettered, one more", OPEN, {RING_COUNT(dead_lettered_events, 1)}},
    {"ring: dead-lettered, one less", OPEN, {RING_COUNT(dead_lettered_events, -1)}},
    {"ring: dropped by reboot, one more", OPEN, {RING_COUNT(dropped_events[0], 1)}},
    {"ring: dropped by reboot, one less", OPEN, {RING_COUNT(dropped_events[0], -1)}},
    {"ring: dropped by reason 1, one more", OPEN, {RING_COUNT(dropped_events[1], 1)}},
    {"ring: dropped by reason 2, one more", OPEN, {RING_COUNT(dropped_events[2], 1)}},
    {"ring: dropped by reason 3, one more", OPEN, {RING_COUNT(dropped_events[3], 1)}},
    {"ring: dropped by reason 4, one more", OPEN, {RING_COUNT(dropped_events[4], 1)}},
    {"ring: dropped by reason 5, one more", OPEN, {RING_COUNT(dropped_events[5], 1)}},
    {"ring: dropped by reason 6, one more", OPEN, {RING_COUNT(dropped_events[6], 1)}},
    {"ring: dropped by reason 7, one more", OPEN, {RING_COUNT(dropped_events[7], 1)}},

    {"ring: done_pos, an event less", OPEN, {DONE(P3, 10 * RECORD_LEN)}},
    {"ring: done_pos, an event more", OPEN, {DONE(P3, 14 * RECORD_LEN)}},
    {"ring: done_pos of another domain", OPEN, {DONE(P5, 2 * RECORD_LEN)}},
    {"ring: done_pos, nothing", OPEN, {DONE(P3, 0)}},
    {"ring: done_pos at no record", UNKNOWN, {DONE(P3, 12 * RECORD_LEN + 8)}},
    {"ring: done_pos beyond what is written", UNKNOWN, {DONE(P5, (EVENTS + 1) * RECORD_LEN)}},
    {"ring: done_pos of an unkeyed class beyond what is written", UNKNOWN, {DONE(CLASS_0, (EVENTS + 1) * RECORD_LEN)}},
    {"ring: partitions in force, fewer", OPEN, {SET32(SHIPPER, struct ring_shipper, control.partition_count, 3)}},
    {"ring: gate, an event more", OPEN, {GATE(2 * RECORD_LEN)}},
    {"ring: gate, all", OPEN, {GATE(EVENTS * RECORD_LEN)}},
    {"ring: gate within a record", UNKNOWN, {GATE(RECORD_LEN + 16)}},
    {"ring: gate beyond what is written", UNKNOWN, {GATE((EVENTS + 1) * RECORD_LEN)}},
    {"ring: gate behind what is settled", CLOSES, {GATE(0)}},

    {"ring: redo flag, the record is stored already", CLOSES, {REDO_FULL}},
    {"ring: redo record not full, whatever it holds", CLOSES, {REDO(counts.accepted_events, 9), REDO(done_pos, 64)}},
    {"ring: redo flag, neither full nor empty", UNKNOWN, {SET32(SHIPPER, struct ring_shipper, lane[0].redo.state, 7)}},
    {"ring: redo flag of a lane that had none", UNKNOWN, {SET32(SHIPPER, struct ring_shipper, lane[9].redo.state, 2)}},
    {"ring: redo accepted, one more", OPEN, {REDO_FULL, REDO(counts.accepted_events, 1)}},
    {"ring: redo dead-lettered, one more", OPEN, {REDO_FULL, REDO(counts.dead_lettered_events, 1)}},
    {"ring: redo dropped by reboot, one more", OPEN, {REDO_FULL, REDO(counts.dropped_events[0], 1)}},
    {"ring: redo dropped by reason 7, one more", OPEN, {REDO_FULL, REDO(counts.dropped_events[7], 1)}},
    {"ring: redo done_pos, an event more", OPEN, {REDO_FULL, REDO(done_pos, 2 * RECORD_LEN)}},
    {"ring: redo done_pos, an event less", OPEN, {REDO_FULL, REDO(done_pos, -2 * RECORD_LEN)}},
    {"ring: redo of another domain", OPEN, {REDO_FULL, SET32(SHIPPER, struct ring_shipper, lane[0].redo.domain, P5)}},
    {"ring: redo of no domain there is", UNKNOWN, {REDO_FULL, SET32(SHIPPER, struct ring_shipper, lane[0].redo.domain, RING_DOMAINS_MAX)}},

    {"ring: an event made a discarded record", OPEN, {KIND(1, RING_KIND_DISCARDED)}},
    {"ring: an event of a settled partition", OPEN, {HEAD(1, route, 2, 3)}},
    {"ring: a kind of record that is none", UNKNOWN, {KIND(1, 9)}},
    {"ring: a record of another lap", UNKNOWN, {HEAD(1, pos16, 4, 4096)}},
    {"ring: a record without end", UNKNOWN, {HEAD(1, len, 4, 1 << 20)}},

    {"ring: quarantine", UNKNOWN, {SET32(SHIPPER, struct ring_shipper, control.quarantine, RING_QUARANTINE_BAD_HEAD)}},
    {"ring: another boot's", UNKNOWN, {{HEADER, offsetof(struct ring_header, boot_id), 8, ADD, 1}}},
    {"ring: another version", UNKNOWN, {{HEADER, offsetof(struct ring_header, version), 4, SET, RING_VERSION + 1}}},
    {"ring: no ring", UNKNOWN, {{HEADER, offsetof(struct ring_header, magic), 8, ADD, 1}}},

    {"totals: committed, one more", OPEN, {TOTAL(committed_events, 1)}},
    {"totals: committed, one less", OPEN, {TOTAL(committed_events, -1)}},
    {"totals: accepted, one more", OPEN, {TOTAL(accepted_events, 1)}},
    {"totals: accepted, one less", OPEN, {TOTAL(accepted_events, -1)}},
    {"totals: dead-lettered, one more", OPEN, {TOTAL(dead_lettered_events, 1)}},
    {"totals: dead-lettered, one less", OPEN, {TOTAL(dead_lettered_events, -1)}},
    {"totals: dropped by reboot, one more", OPEN, {TOTAL(dropped_events[0], 1)}},
    {"totals: dropped by reboot, one less", OPEN, {TOTAL(dropped_events[0], -1)}},
    {"totals: dropped by reason 1, one more", OPEN, {TOTAL(dropped_events[1], 1)}},
    {"totals: dropped by reason 2, one more", OPEN, {TOTAL(dropped_events[2], 1)}},
    {"totals: dropped by reason 3, one more", OPEN, {TOTAL(dropped_events[3], 1)}},
    {"totals: dropped by reason 4, one more", OPEN, {TOTAL(dropped_events[4], 1)}},
    {"totals: dropped by reason 5, one more", OPEN, {TOTAL(dropped_events[5], 1)}},
    {"totals: dropped by reason 6, one more", OPEN, {TOTAL(dropped_events[6], 1)}},
    {"totals: dropped by reason 7, one more", OPEN, {TOTAL(dropped_events[7], 1)}},

    {"totals: redo flag, the record is stored already", CLOSES, {REMOVING_FULL(1)}},
    {"totals: redo record not full, whatever it holds", CLOSES, {REMOVING(committed_events, 5)}},
    {"totals: redo flag, neither full nor empty", UNKNOWN, {REMOVING_FULL(2)}},
    {"totals: redo committed, one more", OPEN, {REMOVING_FULL(1), REMOVING(committed_events, 1)}},
    {"totals: redo accepted, one more", OPEN, {REMOVING_FULL(1), REMOVING(accepted_events, 1)}},
    {"totals: redo dead-lettered, one more", OPEN, {REMOVING_FULL(1), REMOVING(dead_lettered_events, 1)}},
    {"totals: redo dropped by reboot, one more", OPEN, {REMOVING_FULL(1), REMOVING(dropped_events[0], 1)}},
    {"totals: redo dropped by reason 7, one more", OPEN, {REMOVING_FULL(1), REMOVING(dropped_events[7], 1)}},
    {"totals: a removal killed between two stores", CLOSES, {REMOVING_FULL(1), TOTAL(accepted_events, -90)}},
    {"totals: another version", UNKNOWN, {{STAT_HEADER, offsetof(struct ring_stat_header, version), 4, SET, RING_STAT_VERSION + 1}}},
    {"totals: none", UNKNOWN, {{STAT_HEADER, offsetof(struct ring_stat_header, magic), 8, ADD, 1}}},

    {"one part more, the other one less", OPEN, {RING_COUNT(accepted_events, 1), TOTAL(accepted_events, -1)}},
    {"one open, one that nobody can tell", OPEN, {RING_COUNT(accepted_events, 1), REMOVING_FULL(2)}},
};

struct scene {
    struct rig rig;
    struct ring_stat_file stat;
    char stat_path[128];
    uint8_t *bytes; /* of the ring's file */
};

static void scene_ring(struct scene *scene)
{
    struct rig *rig = &scene->rig;
    struct ring_shape shape = {.flags = RING_FLAG_ROUTE_PARTITION, .payload_len = 4};

    rig_open(rig, 65536);
    ring_set_partition_count(rig->ring, 8);
    for (int i = 0; i < EVENTS; i++) {
        shape.route = i % 2 ? 5 : 3;
        cr_assert_eq(ring_writer_put(rig->writer, &shape, "data"), 0);
    }
    cr_assert_eq(rig_walk(rig), EVENTS);
    for (int i = 0; i < EVENTS; i++)
        cr_assert_eq(rig->walk.record[i].pos, (uint64_t)i * RECORD_LEN);
    ring_lane_settle(
        &rig->lane, P3, 12 * RECORD_LEN,
        &(struct ring_settled){.accepted_events = 4, .dead_lettered_events = 1, .dropped_events = {[RING_DROPPED_REBOOT] = 1}});
    rig_ack(rig, RECORD_LEN);
    scene->bytes = rig_bytes(rig);
}

static void scene_totals(struct scene *scene)
{
    snprintf(scene->stat_path, sizeof(scene->stat_path), "%s/orders.stat", scene->rig.rings);
    cr_assert_eq(
        ring_stat_file_open(scene->stat_path, "orders", counters_table, counters_table_count, sizeof(struct counters_words), &scene->stat),
        0);
    struct counters_words *words = scene->stat.values;
    order_none_store64(&words->totals.removed_rings, 2);
    order_none_store64(&words->totals.committed_events, 110);
    order_none_store64(&words->totals.accepted_events, 90);
    order_none_store64(&words->totals.dead_lettered_events, 7);
    order_none_store64(&words->totals.dropped_events[RING_DROPPED_REBOOT], 13);
    memcpy(&words->redo.totals, &words->totals, sizeof(words->totals));
    strcpy(words->redo.ring_file, "removed.ring");
}

static uint8_t *place_of(struct scene *scene, enum place place)
{
    const struct ring_header *header = ring_header(scene->rig.ring);

    switch (place) {
    case HEADER:
        return scene->bytes;
    case PRODUCER:
        return scene->bytes + header->producer_off;
    case SHIPPER:
        return scene->bytes + header->shipper_off;
    case RECORD:
        return scene->bytes + header->data_off;
    case STAT_HEADER:
        return scene->stat.map;
    case STAT_VALUES:
        return scene->stat.values;
    case NOWHERE:
        break;
    }
    return NULL;
}

/* Applies an edit, or takes it back; returns what was there. */
static uint64_t edit_apply(struct scene *scene, const struct edit *edit)
{
    uint8_t *at = place_of(scene, edit->place) + edit->off;
    uint64_t was = 0, now;

    memcpy(&was, at, edit->width);
    now = edit->how == ADD ? was + edit->value : edit->value;
    cr_assert_neq(memcmp(&now, &was, edit->width), 0, "an edit that changes nothing");
    memcpy(at, &now, edit->width);
    return was;
}

/* The exit status; what it says on standard error in `said`. */
static int audit(const struct scene *scene, char said[2000])
{
    const char *build = getenv("EHRING_BUILD");
    char program[600], rings[80], err_path[128];
    char *argv[] = {program, "--audit", "--rings", rings, NULL};
    posix_spawn_file_actions_t files;
    int status;
    pid_t pid;

    snprintf(program, sizeof(program), "%s/ehring-stat", build ? build : "build");
    snprintf(rings, sizeof(rings), "%s", scene->rig.rings);
    snprintf(err_path, sizeof(err_path), "%s/said", rings);
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, 1, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&files, 2, err_path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    cr_assert_eq(posix_spawn(&pid, program, &files, NULL, argv, environ), 0, "%s", program);
    posix_spawn_file_actions_destroy(&files);
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    int fd = open(err_path, O_RDONLY);
    ssize_t len = read(fd, said, 1999);
    said[len > 0 ? len : 0] = '\0';
    close(fd);
    unlink(err_path);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void check_row(struct scene *scene, const struct row *row)
{
    static const char *const says[] = {[OPEN] = " does not close: committed ", [UNKNOWN] = ": cannot tell: "};
    uint64_t was[3] = {0};
    char said[2000];

    for (int i = 0; i < 3 && row->edit[i].place != NOWHERE; i++)
        was[i] = edit_apply(scene, &row->edit[i]);
    int status = audit(scene, said);
    cr_expect_eq(status, row->status, "%s: exit status %d instead of %d: %s", row->what, status, row->status, said);
    if (row->status == CLOSES)
        cr_expect_str_empty(said, "%s: %s", row->what, said);
    else
        cr_expect(strstr(said, says[row->status]), "%s: not named: %s", row->what, said);
    for (int i = 2; i >= 0; i--)
        if (row->edit[i].place != NOWHERE)
            memcpy(place_of(scene, row->edit[i].place) + row->edit[i].off, &was[i], row->edit[i].width);
}

Test(audit, tells_each_counter_position_and_flag_that_is_false)
{
    struct scene scene;
    char said[2000];

    scene_ring(&scene);
    scene_totals(&scene);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        check_row(&scene, &rows[i]);
    cr_expect_eq(audit(&scene, said), CLOSES, "as it was: %s", said);
    munmap(scene.bytes, ring_header(scene.rig.ring)->file_len);
    ring_stat_file_close(&scene.stat);
    unlink(scene.stat_path);
    rig_close(&scene.rig);
}
