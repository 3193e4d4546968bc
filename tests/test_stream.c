/* A stream's directory, lock and totals: who may what, who holds it, and a ring's counts that outlive its file whatever was killed when. */
#include <criterion/criterion.h>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ringbuf/ring_dropped.h"
#include "ringbuf/ring_internal.h"
#include "ringbuf/ring_order.h"
#include "ringbuf/ring_refused.h"
#include "shipper/stream.h"

#define TOTAL_WORDS (sizeof(struct counters_totals) / sizeof(uint64_t))

struct rig {
    char dir[64];
    char path[160];
    struct config config;
    struct stream stream;
    int main_fd;
    char why[500];
};

static void rig_begin(struct rig *rig)
{
    memset(rig, 0, sizeof *rig);
    strcpy(rig->dir, "/tmp/ehring-stream-XXXXXX");
    cr_assert_not_null(mkdtemp(rig->dir));
    snprintf(rig->config.rings, sizeof rig->config.rings, "%s/r", rig->dir);
    rig->config.stream_count = rig->config.workers = 1;
    strcpy(rig->config.stream[0].name, "orders");
    strcpy(rig->config.stream[0].door.hub, "orders");
    strcpy(rig->config.stream[0].door.connstr.host, "localhost");
    rig->config.stream[0].door.connstr.emulator = true; /* no TLS context */
    rig->main_fd = eventfd(0, EFD_NONBLOCK);
}

static int rig_stream(struct rig *rig)
{
    return stream_open(rig->config.rings, &rig->config.stream[0], 0, rig->main_fd, &rig->stream, rig->why, sizeof rig->why);
}

static void rig_open(struct rig *rig)
{
    rig_begin(rig);
    cr_assert_eq(rig_stream(rig), 0, "%s", rig->why);
}

static void rig_close(struct rig *rig)
{
    char command[128];
    stream_close(&rig->stream);
    close(rig->main_fd);
    snprintf(command, sizeof command, "rm -rf %s", rig->dir);
    cr_assert_eq(system(command), 0);
}

static const char *in_rings(struct rig *rig, const char *name)
{
    snprintf(rig->path, sizeof rig->path, "%s/r/%s", rig->dir, name);
    return rig->path;
}

static mode_t mode_of(const char *path)
{
    struct stat status;
    cr_assert_eq(stat(path, &status), 0, "%s", path);
    return status.st_mode & 07777;
}

/* A drained ring of a producer that has closed: 7 events accepted, 2 dropped, one call refused. */
static struct ring *ring_make(struct rig *rig)
{
    struct ring_writer *writer;
    struct ring_refusal why;
    struct ring *ring;
    struct ring_lane lane;
    char file[256];
    cr_assert_eq(
        ring_writer_open(&(struct ring_writer_options){.stream_dir = rig->stream.dir, .name = "t", .capacity = 1 << 16}, &writer, &why), 0,
        "%s", why.text);
    for (int i = 0; i < 9; i++)
        cr_assert_eq(ring_writer_put(writer, &(struct ring_shape){.payload_len = 3}, "abc"), 0);
    ring_writer_count_refused(writer, RING_REFUSED_FULL);
    snprintf(file, sizeof file, "%s", strrchr(ring_writer_path(writer), '/') + 1);
    uint64_t end_pos = ring_writer_pos(writer);
    ring_writer_close(writer);
    cr_assert_eq(ring_open(rig->stream.dir_fd, file, RING_ACCESS_SHIPPER, &ring, &why), 0, "%s", why.text);
    cr_assert_eq(ring_lanes_begin(ring, 2), 0);
    ring_lane_open(&lane, ring, 1);
    ring_lane_settle(
        &lane, 3, end_pos,
        &(struct ring_settled){
            .accepted_events = 7, .accepted_bytes = 21, .accepted_batches = 1, .dropped_events = {2}, .maybe_duplicate_events = 4});
    return ring;
}

static bool ring_is_there(const struct rig *rig, const char *file)
{
    return faccessat(rig->stream.dir_fd, file, F_OK, 0) == 0;
}

/* The words as a program that looks at them later finds them. */
static void totals_but_reasons_are(const struct rig *rig, uint64_t rings)
{
    const struct counters_totals *totals = &rig->stream.words->totals;
    cr_assert_eq(order_none_load64(&totals->removed_rings), rings);
    cr_assert_eq(order_none_load64(&totals->committed_events), 9 * rings);
    cr_assert_eq(order_none_load64(&totals->accepted_events), 7 * rings);
    cr_assert_eq(order_none_load64(&totals->accepted_bytes), 21 * rings);
    cr_assert_eq(order_none_load64(&totals->accepted_batches), rings);
    cr_assert_eq(order_none_load64(&totals->dropped_events[RING_DROPPED_REBOOT]), 2 * rings);
    cr_assert_eq(order_none_load64(&totals->maybe_duplicate_events), 4 * rings);
    cr_assert_eq(order_none_load64(&totals->refused_calls), rings);
}

static void totals_are(const struct rig *rig, uint64_t rings)
{
    totals_but_reasons_are(rig, rings);
    cr_assert_eq(order_none_load64(&rig->stream.words->totals.refused_events[RING_REFUSED_FULL]), rings);
}

Test(stream, makes_a_directory_for_its_user_alone_without_a_group)
{
    static struct rig rig;
    rig_open(&rig);
    cr_assert_eq(mode_of(in_rings(&rig, "orders")), 0700);
    cr_assert_eq(mode_of(in_rings(&rig, "")), 0755);
    cr_assert_eq(mode_of(in_rings(&rig, "orders.bell")), 0666);
    rig_close(&rig);
}

Test(stream, lets_a_group_create_and_only_the_owner_remove)
{
    static struct rig rig;
    struct group *group = getgrgid(getgid());
    rig_begin(&rig);
    if (!group)
        cr_skip("our group has no name");
    snprintf(rig.config.stream[0].group, sizeof rig.config.stream[0].group, "%s", group->gr_name);
    cr_assert_eq(rig_stream(&rig), 0, "%s", rig.why);
    cr_assert_eq(mode_of(in_rings(&rig, "orders")), 03770);
    rig_close(&rig);
}

Test(stream, names_a_group_that_does_not_exist)
{
    static struct rig rig;
    rig_begin(&rig);
    strcpy(rig.config.stream[0].group, "nobody-has-this-group");
    cr_assert_eq(rig_stream(&rig), -EINVAL);
    cr_assert_not_null(strstr(rig.why, "nobody-has-this-group"));
    rig_close(&rig);
}

Test(stream, is_refused_while_another_shipper_holds_it_whom_it_names)
{
    static struct rig rig;
    static struct stream second;
    char pid[32];
    rig_open(&rig);
    cr_assert_eq(stream_open(rig.config.rings, &rig.config.stream[0], 0, rig.main_fd, &second, rig.why, sizeof rig.why), -EBUSY);
    snprintf(pid, sizeof pid, "process %ld ", (long)getpid());
    cr_assert_not_null(strstr(rig.why, pid), "%s", rig.why);
    cr_assert_eq(access(in_rings(&rig, "orders.bell"), F_OK), 0, "the holder's doorbell stays");
    stream_close(&rig.stream);
    cr_assert_eq(rig_stream(&rig), 0, "%s", rig.why);
    rig_close(&rig);
}

Test(stream, keeps_the_counts_of_a_ring_that_it_removes)
{
    static struct rig rig;
    char file[256];
    rig_open(&rig);
    for (uint64_t rings = 1; rings <= 3; rings++) {
        struct ring *ring = ring_make(&rig);
        snprintf(file, sizeof file, "%s", ring_name(ring));
        cr_assert_eq(stream_remove_ring(&rig.stream, ring), 0);
        ring_close(ring);
        cr_assert_not(ring_is_there(&rig, file));
        totals_are(&rig, rings);
    }
    stream_close(&rig.stream);
    cr_assert_eq(rig_stream(&rig), 0);
    totals_are(&rig, 3);
    rig_close(&rig);
}

Test(stream, counts_what_was_in_flight_when_a_shipper_died_as_maybe_duplicate_once)
{
    static struct rig rig;
    rig_open(&rig);
    order_none_store64(&rig.stream.words->worker[0].inflight_events, 30);
    order_none_store64(&rig.stream.words->worker[COUNTERS_WORKERS - 1].inflight_events, 12);
    for (int starts = 0; starts < 2; starts++) {
        stream_close(&rig.stream);
        cr_assert_eq(rig_stream(&rig), 0);
        cr_assert_eq(order_none_load64(&rig.stream.words->totals.maybe_duplicate_events), 42);
        cr_assert_eq(order_none_load64(&rig.stream.words->worker[0].inflight_events), 0);
    }
    rig_close(&rig);
}

/* On a disk pages of one file are written at different times: after a power cut the writer's count may be older than the shipper's. */
Test(stream, closes_the_ledger_of_a_removed_ring_whose_writers_count_did_not_reach_the_disk)
{
    static struct rig rig;
    rig_open(&rig);
    struct ring *ring = ring_make(&rig);
    struct ring_lane lane;
    ring_lane_open(&lane, ring, 0);
    ring_lane_count(&lane, &(struct ring_settled){.accepted_events = 4});
    ring->header.boot_id[0]++;
    cr_assert_eq(stream_remove_ring(&rig.stream, ring), 0);
    ring_close(ring);
    cr_assert_eq(order_none_load64(&rig.stream.words->totals.committed_events), 13);
    cr_assert_eq(order_none_load64(&rig.stream.words->totals.accepted_events), 11);
    rig_close(&rig);
}

/* Killed behind the record's full mark: after any number of stores, before and behind the removal of the file. */
Test(stream, closes_the_ledger_of_a_removal_that_was_killed_at_any_store)
{
    static struct rig rig;
    struct counters_totals before, after;
    struct counters_redo full;
    char file[256];
    rig_open(&rig);
    memcpy(&before, &rig.stream.words->totals, sizeof before);
    struct ring *ring = ring_make(&rig);
    snprintf(file, sizeof file, "%s", ring_name(ring));
    char from[2048], kept[2048];
    snprintf(from, sizeof from, "%s/%s", rig.stream.dir, file);
    snprintf(kept, sizeof kept, "%s/kept", rig.dir);
    cr_assert_eq(link(from, kept), 0);
    cr_assert_eq(stream_remove_ring(&rig.stream, ring), 0);
    ring_close(ring);
    memcpy(&after, &rig.stream.words->totals, sizeof after);
    memcpy(&full, &rig.stream.words->redo, sizeof full);
    cr_assert_str_eq(full.ring_file, file);
    for (size_t stores = 0; stores <= TOTAL_WORDS + 1; stores++) {
        struct counters_words *words = rig.stream.words;
        memcpy(&words->totals, &before, sizeof before);
        memcpy(&words->totals, &after, (stores < TOTAL_WORDS ? stores : TOTAL_WORDS) * sizeof(uint64_t));
        memcpy(&words->redo, &full, sizeof full);
        order_redo_store32(&words->redo.full, 1);
        if (stores <= TOTAL_WORDS) /* else it was removed already */
            cr_assert_eq(link(kept, from), 0);
        stream_close(&rig.stream);
        cr_assert_eq(rig_stream(&rig), 0);
        cr_assert_not(ring_is_there(&rig, file));
        totals_are(&rig, 1);
        cr_assert_eq(order_redo_load32(&rig.stream.words->redo.full), 0);
    }
    rig_close(&rig);
}

/* The shipper's table as an older or newer version may have it: other places, other order, no histograms, dropped events without reasons.
 */
static uint32_t other_table(struct ring_stat_desc *table)
{
    uint32_t count = 0;
    for (uint32_t i = counters_table_count; i-- > 0;) {
        if (counters_table[i].kind == RING_STAT_HISTOGRAM || strstr(counters_table[i].name, "refused_events"))
            continue;
        table[count] = counters_table[i];
        if (strstr(table[count].name, "dropped_events"))
            table[count].count = 1;
        table[count++].off += 128;
    }
    return count;
}

/* Also with a removal that was killed half-way. */
Test(stream, keeps_the_totals_when_its_file_has_another_table)
{
    static struct rig rig;
    static struct ring_stat_desc table[1024];
    struct ring_stat_file file;
    struct counters_redo full;
    char kept[200];
    rig_open(&rig);
    for (int i = 0; i < 2; i++) {
        struct ring *ring = ring_make(&rig);
        cr_assert_eq(stream_remove_ring(&rig.stream, ring), 0);
        ring_close(ring);
    }
    memcpy(&full, &rig.stream.words->redo, sizeof full);
    stream_close(&rig.stream);
    for (int killed = 0; killed < 2; killed++) {
        snprintf(kept, sizeof kept, "%s", in_rings(&rig, "orders.stat"));
        cr_assert_eq(ring_stat_file_open(kept, "orders", table, other_table(table), sizeof(struct counters_words) + 128, &file), 0);
        cr_assert_eq(file.past, RING_STAT_PAST_CARRIED);
        struct counters_words *words = (struct counters_words *)(void *)((char *)file.values + 128);
        if (killed) {
            memcpy(&words->redo, &full, sizeof full);
            memset(&words->totals, 0, sizeof words->totals);
            order_redo_store32(&words->redo.full, 1);
        }
        ring_stat_file_close(&file);
        cr_assert_eq(rig_stream(&rig), 0, "%s", rig.why);
        cr_assert_eq(rig.stream.stat.past, RING_STAT_PAST_CARRIED);
        totals_but_reasons_are(&rig, 2);
        cr_assert_eq(order_redo_load32(&rig.stream.words->redo.full), 0);
        stream_close(&rig.stream);
    }
    rig_close(&rig);
}

Test(stream, counts_nothing_of_a_ring_whose_file_cannot_be_removed)
{
    static struct rig rig;
    rig_open(&rig);
    struct ring *ring = ring_make(&rig);
    cr_assert_eq(unlinkat(rig.stream.dir_fd, ring_name(ring), 0), 0);
    cr_assert_eq(mkdirat(rig.stream.dir_fd, ring_name(ring), 0700), 0); /* stands for any file that does not go */
    for (int look = 0; look < 2; look++)
        cr_assert_lt(stream_remove_ring(&rig.stream, ring), 0);
    totals_are(&rig, 0);
    stream_close(&rig.stream);
    cr_assert_eq(rig_stream(&rig), 0);
    totals_are(&rig, 0);
    ring_close(ring);
    rig_close(&rig);
}

Test(stream, tells_producers_a_limit_that_leaves_room_for_the_envelope)
{
    static struct rig rig;
    uint64_t count;
    rig_open(&rig);
    cr_assert_eq(stream_event_bytes_max(&rig.stream), 0, "unknown");
    stream_tell_message_bytes_max(&rig.stream, 100);
    cr_assert_eq(stream_event_bytes_max(&rig.stream), 1, "not four billion, not unknown");
    stream_tell_message_bytes_max(&rig.stream, 1 << 20);
    cr_assert_eq(stream_event_bytes_max(&rig.stream), (1 << 20) - RING_ENVELOPE_BYTES);
    cr_assert_eq(read(rig.main_fd, &count, sizeof count), (ssize_t)sizeof count);
    stream_tell_message_bytes_max(&rig.stream, 1 << 20);
    cr_assert_lt(read(rig.main_fd, &count, sizeof count), 0, "nothing new, nobody is woken");
    rig.stream.setup->config.batch_bytes_max = 5000;
    cr_assert_eq(stream_event_bytes_max(&rig.stream), 5000 - RING_ENVELOPE_BYTES);
    rig_close(&rig);
}
