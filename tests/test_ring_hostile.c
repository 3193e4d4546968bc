/* A peer that writes what it likes: each broken rule quarantines its ring with the reason, and other rings go on. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

#include "ring_rig.h"
#include "ringbuf/ring_internal.h"

static const uint64_t capacity = 65536;

static struct ring_producer *producer_of(const struct rig *rig)
{
    return rig->writer->producer;
}
static struct ring_head *head_of(const struct rig *rig, uint64_t pos)
{
    return (struct ring_head *)(void *)(rig->writer->data + (pos & (capacity - 1)));
}

static void rig_three(struct rig *rig)
{
    rig_open(rig, capacity);
    for (int i = 0; i < 3; i++)
        cr_assert_eq(ring_writer_put(rig->writer,
                                     &(struct ring_shape){.key = "key", .key_len = 3, .meta = "meta", .meta_len = 4, .payload_len = 20},
                                     "01234567890123456789"),
                     0);
}

static void look_expects(struct rig *rig, uint64_t hostile_pos, enum ring_quarantine reason)
{
    uint64_t write_pos;

    cr_assert_eq(ring_lane_look(&rig->lane, &write_pos), 0);
    order_publish(&producer_of(rig)->hot.write_pos, hostile_pos);
    cr_assert_eq(ring_lane_look(&rig->lane, &write_pos), -EBADMSG);
    cr_assert_eq(ring_quarantined(rig->ring), reason);
    cr_assert_eq(order_none_load32(&ring_shipper(rig->ring)->control.quarantine), reason, "tools see it in the file");
    rig_close(rig);
}

Test(ring_hostile, a_write_position_that_goes_back_is_quarantined)
{
    struct rig rig;

    rig_three(&rig);
    look_expects(&rig, 16, RING_QUARANTINE_WRITE_POS_BACK);
}

Test(ring_hostile, a_write_position_more_than_a_capacity_ahead_is_quarantined)
{
    struct rig rig;

    rig_three(&rig);
    look_expects(&rig, ring_writer_pos(rig.writer) + capacity + 16, RING_QUARANTINE_WRITE_POS_AHEAD);
}

Test(ring_hostile, a_write_position_that_is_no_records_start_is_quarantined)
{
    struct rig rig;

    rig_three(&rig);
    look_expects(&rig, ring_writer_pos(rig.writer) + 8, RING_QUARANTINE_WRITE_POS_BACK);
}

/* One wrong field at a time; all else of the head stays as it was. */
static void bad_head(void (*spoil)(struct ring_head *head))
{
    struct rig rig;

    rig_three(&rig);
    uint64_t second = ring_align16(head_of(&rig, 0)->len);
    spoil(head_of(&rig, second));
    cr_assert_eq(rig_walk(&rig), -EBADMSG);
    cr_assert_eq(ring_quarantined(rig.ring), RING_QUARANTINE_BAD_HEAD);
    cr_assert_eq(order_none_load64(&ring_shipper(rig.ring)->control.quarantine_pos), second, "the position is named");
    cr_assert_eq(rig.lane.walk_pos, 0, "and its bytes are kept");
    rig_close(&rig);
}

static void len_zero(struct ring_head *head)
{
    head->len = 0;
}
static void len_beyond(struct ring_head *head)
{
    head->len = 4096;
}
static void len_wraps(struct ring_head *head)
{
    head->len = UINT32_MAX;
}
static void other_pos(struct ring_head *head)
{
    head->pos16++;
}
static void other_kind(struct ring_head *head)
{
    head->kind = 9;
}
static void other_flags(struct ring_head *head)
{
    head->flags |= 0x80;
}
static void key_beyond_limit(struct ring_head *head)
{
    head->key_len = RING_KEY_BYTES_MAX + 1;
}
static void key_beyond_record(struct ring_head *head)
{
    head->key_len = 200;
}
static void pad_in_the_middle(struct ring_head *head)
{
    head->kind = RING_KIND_PAD;
}

Test(ring_hostile, a_length_of_zero_is_a_bad_head)
{
    bad_head(len_zero);
}
Test(ring_hostile, a_length_beyond_the_write_position_is_a_bad_head)
{
    bad_head(len_beyond);
}
Test(ring_hostile, a_length_that_wraps_is_a_bad_head)
{
    bad_head(len_wraps);
}
Test(ring_hostile, a_head_of_another_position_is_a_bad_head)
{
    bad_head(other_pos);
}
Test(ring_hostile, an_unknown_kind_is_a_bad_head)
{
    bad_head(other_kind);
}
Test(ring_hostile, an_unknown_flag_is_a_bad_head)
{
    bad_head(other_flags);
}
Test(ring_hostile, a_key_beyond_the_limit_is_a_bad_head)
{
    bad_head(key_beyond_limit);
}
Test(ring_hostile, a_key_beyond_its_record_is_a_bad_head)
{
    bad_head(key_beyond_record);
}
Test(ring_hostile, a_pad_that_does_not_reach_the_laps_end_is_a_bad_head)
{
    bad_head(pad_in_the_middle);
}

Test(ring_hostile, a_record_that_changes_after_the_walk_is_not_believed)
{
    uint8_t meta[64];
    struct ring_parts parts;
    struct rig rig;

    rig_three(&rig);
    cr_assert_eq(rig_walk(&rig), 3);
    const struct ring_record record = rig.walk.record[1];
    cr_assert_eq(ring_record_parts(rig.ring, record.pos, record.len, &parts, meta, sizeof(meta)), 0);
    cr_assert_eq(ring_record_parts(rig.ring, record.pos, record.len, &parts, meta, 3), -EBADMSG, "meta larger than the buffer");
    uint32_t *meta_len = (uint32_t *)(void *)((uint8_t *)head_of(&rig, record.pos) + 16 + 8);
    *meta_len = 1000;
    cr_assert_eq(ring_record_parts(rig.ring, record.pos, record.len, &parts, meta, sizeof(meta)), -EBADMSG, "meta beyond the record");
    *meta_len = UINT32_MAX - 2;
    cr_assert_eq(ring_record_parts(rig.ring, record.pos, record.len, &parts, meta, sizeof(meta)), -EBADMSG, "meta that wraps");
    *meta_len = 4;
    head_of(&rig, record.pos)->len += 1;
    cr_assert_eq(ring_record_parts(rig.ring, record.pos, record.len, &parts, meta, sizeof(meta)), -EBADMSG, "another length");
    cr_assert_eq(ring_copy(rig.ring, capacity - 10, meta, 11), -EBADMSG, "beyond the lap");
    cr_assert_eq(ring_copy(rig.ring, capacity - 10, meta, 10), 0);
    cr_assert_eq(ring_copy(rig.ring, 0, meta, SIZE_MAX), -EBADMSG);
    rig_close(&rig);
}

Test(ring_hostile, the_first_reason_stays_and_a_new_shipper_finds_it)
{
    struct rig rig;

    rig_three(&rig);
    ring_quarantine(rig.ring, RING_QUARANTINE_CHANGED, 48);
    ring_quarantine(rig.ring, RING_QUARANTINE_BAD_META, 96);
    cr_assert_eq(ring_quarantined(rig.ring), RING_QUARANTINE_CHANGED);
    ring_close(rig.ring);
    rig_attach(&rig, RING_ACCESS_SHIPPER);
    cr_assert_eq(ring_quarantined(rig.ring), RING_QUARANTINE_CHANGED);
    rig_close(&rig);
}

static void *read_thread(void *arg)
{
    static _Thread_local uint8_t page[4096];
    struct rig *rig = arg;

    for (uint64_t pos = 0; pos < capacity; pos += sizeof(page))
        cr_assert_eq(ring_copy(rig->ring, pos, page, sizeof(page)), 0);
    return NULL;
}

Test(ring_hostile, a_file_cut_under_its_readers_is_quarantined_as_truncated_and_other_rings_go_on)
{
    struct rig cut, other;
    uint64_t write_pos;
    pthread_t thread[4];

    rig_three(&cut);
    rig_three(&other);
    cr_assert_eq(rig_walk(&cut), 3);
    cr_assert(!ring_faulted(cut.ring));
    cr_assert_eq(truncate(ring_writer_path(cut.writer), 0), 0);
    for (int i = 0; i < 4; i++)
        cr_assert_eq(pthread_create(&thread[i], NULL, read_thread, &cut), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(thread[i], NULL);
    cr_assert(ring_faulted(cut.ring));
    cr_assert_eq(ring_lane_look(&cut.lane, &write_pos), -EBADMSG);
    cr_assert_eq(ring_quarantined(cut.ring), RING_QUARANTINE_TRUNCATED);
    ring_lane_settle(&cut.lane, 0, 16, &(struct ring_settled){.accepted_events = 1}); /* writes are covered too */
    ring_lane_ack(&cut.lane, 16, 16);
    cr_assert_eq(ring_count_pending(cut.ring), -EBADMSG);
    cr_assert(!ring_faulted(other.ring));
    cr_assert_eq(rig_drain(&other), 3);
    cr_assert_eq(ring_quarantined(other.ring), RING_QUARANTINE_NONE);
    struct ring_refusal why;
    struct ring *again;
    cr_assert_lt(ring_open(cut.dir_fd, cut.file, RING_ACCESS_SHIPPER, &again, &why), 0);
    cr_assert_eq(why.rung, RING_TOO_SHORT);
    cr_assert_eq(truncate(ring_writer_path(cut.writer), (off_t)ring_header(cut.ring)->file_len), 0); /* for the writer's close */
    rig_close(&cut);
    rig_close(&other);
}

static void previous_handler(int signo)
{
    (void)signo;
    _exit(42);
}

/* How a child ends that had `handler` for SIGBUS before it opened a ring and then faults elsewhere. */
static int fault_elsewhere(void (*handler)(int))
{
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        struct rig rig;
        FILE *file = tmpfile();
        signal(SIGBUS, handler);
        rig_three(&rig);
        volatile uint8_t *bytes = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fileno(file), 0);
        rig_remove(rig.dir);
        rig_remove(rig.rings);
        (void)bytes[0];
        _exit(0);
    }
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    return status;
}

Test(ring_hostile, a_fault_outside_any_ring_goes_to_the_previous_handler_or_kills)
{
    int status = fault_elsewhere(previous_handler);

    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 42, "%x", status);
    status = fault_elsewhere(SIG_DFL);
    cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS, "%x", status);
}
