/* Rings on a disk: what is synced before which mark, what a writer under group sync may overwrite, and what a disk that refuses leaves. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <sys/syscall.h>

#include "disk_rig.h"
#include "ring_rig.h"
#include "ringbuf/ring_internal.h"

/* Stands before libc's: remembers what was synced, and what the mark was then. */
static struct {
    int calls;
    int fail_call; /* 1: the first fails */
    const uint8_t *from[8];
    size_t len[8];
    uint64_t mark[8];
    const _Atomic uint64_t *watched;
} disk;

int msync(void *from, size_t len, int flags)
{
    if (disk.calls < 8) {
        disk.from[disk.calls] = from;
        disk.len[disk.calls] = len;
        disk.mark[disk.calls] = disk.watched ? order_none_load64(disk.watched) : 0;
    }
    if (++disk.calls == disk.fail_call) {
        errno = EIO;
        return -1;
    }
    return (int)syscall(SYS_msync, from, len, flags);
}

struct disk_rig {
    struct rig rig;
    char rings[80];
};

static void disk_open(struct disk_rig *disk_rig, bool group_sync)
{
    struct rig *rig = &disk_rig->rig;
    struct ring_refusal why = {0};

    memset(rig, 0, sizeof(*rig));
    if (!disk_dir(disk_rig->rings))
        cr_skip("no disk here");
    snprintf(rig->rings, sizeof(rig->rings), "%.60s", disk_rig->rings);
    snprintf(rig->dir, sizeof(rig->dir), "%.60s/orders", rig->rings);
    cr_assert_eq(mkdir(rig->dir, 0770), 0);
    rig->dir_fd = open(rig->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    struct ring_writer_options options = {.stream_dir = rig->dir, .name = "rig", .capacity = 65536, .group_sync = group_sync};
    cr_assert_eq(ring_writer_open(&options, &rig->writer, &why), 0, "%s", why.text);
    snprintf(rig->file, sizeof(rig->file), "%s", strrchr(ring_writer_path(rig->writer), '/') + 1);
    rig_attach(rig, RING_ACCESS_SHIPPER);
    cr_assert_eq(ring_lanes_begin(rig->ring, 1), 0);
    ring_lane_open(&rig->lane, rig->ring, 0);
    memset(&disk, 0, sizeof(disk));
    disk.watched = &rig->writer->producer->sync.synced_pos;
}

static void disk_close(struct disk_rig *disk_rig)
{
    disk.watched = NULL; /* what it watches goes before the writer's last sync */
    rig_close(&disk_rig->rig);
}

static uint64_t sync_word(const struct rig *rig, size_t off)
{
    return order_none_load64((const _Atomic uint64_t *)(const void *)((const uint8_t *)&ring_producer(rig->ring)->sync + off));
}
#define SYNC_WORD(rig, field) sync_word(rig, offsetof(struct ring_producer, sync.field) - offsetof(struct ring_producer, sync))

static void fill(struct rig *rig)
{
    static const uint8_t data[4000];

    while (rig_put(rig, data, sizeof(data)) == 0 || rig_put(rig, data, 4) == 0)
        ;
}

Test(ring_sync, brings_the_data_to_the_disk_before_the_mark_that_says_so)
{
    struct disk_rig d;

    disk_open(&d, true);
    cr_assert_eq(rig_put(&d.rig, "data", 4), 0);
    uint64_t end_pos = ring_writer_pos(d.rig.writer);
    cr_assert_eq(ring_writer_sync(d.rig.writer), 0);
    cr_assert_eq(disk.calls, 2);
    struct ring_writer *writer = d.rig.writer;
    cr_expect(disk.from[0] == (const uint8_t *)writer->shipper, "the gate goes with the data");
    cr_expect(disk.from[0] + disk.len[0] == writer->map + writer->map_len);
    cr_expect_eq(disk.mark[0], 0, "nothing is said before");
    cr_expect(disk.from[1] == (const uint8_t *)writer->producer);
    cr_expect_eq(disk.mark[1], end_pos);
    cr_expect_eq(ring_synced_pos(d.rig.ring), end_pos);
    cr_expect_eq(SYNC_WORD(&d.rig, sync_count), 1);
    cr_assert_eq(ring_writer_sync(d.rig.writer), 0);
    cr_expect_eq(disk.calls, 2, "nothing is new, the disk is left alone");
    cr_assert_eq(rig_put(&d.rig, "data", 4), 0);
    cr_expect_eq(ring_synced_pos(d.rig.ring), end_pos);
    ring_writer_close(d.rig.writer);
    d.rig.writer = NULL;
    cr_expect_gt(ring_synced_pos(d.rig.ring), end_pos, "closing syncs the rest");
    disk_close(&d);
}

Test(ring_sync, leaves_the_mark_and_counts_when_the_disk_refuses)
{
    struct disk_rig d;

    disk_open(&d, true);
    cr_assert_eq(rig_put(&d.rig, "data", 4), 0);
    disk.fail_call = 1;
    cr_assert_eq(ring_writer_sync(d.rig.writer), -EIO);
    cr_expect_eq(ring_synced_pos(d.rig.ring), 0);
    cr_expect_eq(SYNC_WORD(&d.rig, sync_failed_count), 1);
    cr_expect_eq(SYNC_WORD(&d.rig, sync_count), 0);
    cr_assert_eq(ring_writer_sync(d.rig.writer), 0, "and comes back");
    cr_expect_eq(ring_synced_pos(d.rig.ring), ring_writer_pos(d.rig.writer));
    cr_assert_eq(rig_put(&d.rig, "data", 4), 0);
    disk.fail_call = disk.calls + 1;
    ring_writer_close(d.rig.writer);
    d.rig.writer = NULL;
    cr_expect_eq(SYNC_WORD(&d.rig, sync_failed_count), 2, "at close too");
    disk_close(&d);
}

/* Else a record between the gate on the disk and the mark could be half of this lap and half of the last. */
Test(ring_sync, under_group_sync_nothing_is_overwritten_that_the_disk_still_needs)
{
    struct disk_rig d;

    disk_open(&d, true);
    fill(&d.rig);
    cr_assert_gt(rig_drain(&d.rig), 0);
    cr_expect_eq(rig_put(&d.rig, "data", 4), -EAGAIN, "accepted, but the disk does not know");
    cr_assert_eq(ring_writer_sync(d.rig.writer), 0);
    cr_expect_eq(rig_put(&d.rig, "data", 4), 0);
    cr_expect_eq(SYNC_WORD(&d.rig, released_pos), order_load_gate(&ring_shipper(d.rig.ring)->gate.gate_pos));
    disk_close(&d);
}

Test(ring_sync, without_group_sync_what_is_accepted_is_free_at_once)
{
    struct disk_rig d;

    disk_open(&d, false);
    cr_assert_not(ring_writer_wants_sync(d.rig.writer));
    fill(&d.rig);
    cr_assert_gt(rig_drain(&d.rig), 0);
    cr_expect_eq(rig_put(&d.rig, "data", 4), 0);
    cr_expect_eq(disk.calls, 0);
    disk_close(&d);
}

Test(ring_sync, in_memory_there_is_nothing_to_sync)
{
    struct ring_writer_options options = {.name = "rig", .capacity = 65536, .group_sync = true};
    struct rig rig;

    rig_dirs(&rig);
    options.stream_dir = rig.dir;
    cr_assert_eq(ring_writer_open(&options, &rig.writer, NULL), 0);
    cr_assert_not(ring_writer_wants_sync(rig.writer));
    cr_assert_eq(rig_put(&rig, "data", 4), 0);
    cr_assert_eq(ring_writer_sync(rig.writer), 0);
    cr_expect_eq(disk.calls, 0);
    rig_close(&rig);
}

static void *wait_for_room(void *arg)
{
    struct rig *rig = arg;

    return (void *)(intptr_t)ring_writer_wait_room(rig->writer, &(struct ring_shape){.payload_len = 4000}, rig_soon_ns(60000));
}

Test(ring_sync, a_wait_for_room_is_woken_by_the_sync_that_frees_it)
{
    struct disk_rig d;
    pthread_t thread;
    void *result;

    disk_open(&d, true);
    for (int i = 0; i < 5; i++) {
        fill(&d.rig);
        int64_t begin_ns = rig_now_ns();
        cr_assert_eq(pthread_create(&thread, NULL, wait_for_room, &d.rig), 0);
        while (order_none_load32(&ring_producer(d.rig.ring)->hot.waiting) == 0)
            ;
        rig_drain(&d.rig);
        cr_assert_eq(ring_writer_sync(d.rig.writer), 0);
        pthread_join(thread, &result);
        cr_assert_null(result);
        cr_expect_lt(rig_now_ns() - begin_ns, INT64_C(50000000000));
    }
    disk_close(&d);
}

Test(ring_sync, a_shipper_takes_its_mark_back_on_the_disk_too)
{
    struct disk_rig d;

    disk_open(&d, false);
    cr_assert_eq(rig_put(&d.rig, "data", 4), 0);
    disk.watched = &d.rig.ring->shipper->control.synced_pos;
    cr_assert_eq(ring_sync(d.rig.ring), 0);
    cr_expect_eq(ring_synced_pos(d.rig.ring), ring_writer_pos(d.rig.writer));
    cr_expect_eq(disk.mark[0], 0);
    cr_expect_eq(disk.mark[1], ring_writer_pos(d.rig.writer));
    int calls = disk.calls;
    cr_assert_eq(ring_sync_forget(d.rig.ring), 0);
    cr_expect_eq(ring_synced_pos(d.rig.ring), 0);
    cr_expect_eq(disk.calls, calls + 1);
    cr_expect_eq(disk.mark[calls], 0);
    cr_assert_eq(ring_sync_forget(d.rig.ring), 0);
    cr_expect_eq(disk.calls, calls + 1, "there is none any more");
    disk_close(&d);
}
