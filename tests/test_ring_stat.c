/* Counters that describe themselves, in rings and in the shipper's stat files, and the histogram. */
#include <criterion/criterion.h>

#include "ring_rig.h"
#include "ringbuf/ring_internal.h"
#include "ringbuf/ring_stat.h"

static const struct ring_stat_desc *find(const struct ring_stat_view *view, const char *name)
{
    for (uint32_t i = 0; i < view->count; i++)
        if (strcmp(view->table[i].name, name) == 0)
            return &view->table[i];
    return NULL;
}

Test(ring_hist, every_value_lies_in_its_bucket_and_buckets_touch)
{
    for (uint32_t bucket = 0; bucket < RING_HIST_BUCKETS; bucket++) {
        cr_assert_eq(ring_hist_bucket_of(ring_hist_bucket_floor(bucket)), bucket);
        if (bucket > 0)
            cr_assert_eq(ring_hist_bucket_of(ring_hist_bucket_floor(bucket) - 1), bucket - 1);
    }
    cr_assert_eq(ring_hist_bucket_of(UINT64_MAX), RING_HIST_BUCKETS - 1);
    cr_assert_gt(ring_hist_bucket_floor(RING_HIST_BUCKETS - 1), UINT64_C(3600) * 1000000000, "an hour fits");
}

Test(ring_hist, percentiles_are_within_an_eighth)
{
    static struct ring_hist hist[2];
    static struct ring_hist_view view;

    for (uint64_t i = 1; i <= 10000; i++)
        ring_hist_add(&hist[i % 2], i * 1000);
    cr_assert_eq(ring_hist_percentile(&view, 50), 0);
    ring_hist_view_add(&view, &hist[0]);
    ring_hist_view_add(&view, &hist[1]);
    cr_assert_eq(view.count, 10000);
    cr_assert_eq(view.sum, UINT64_C(1000) * 10000 * 10001 / 2);
    for (double percent = 10; percent <= 100; percent += 10) {
        double exact = percent * 100 * 1000;
        cr_assert_geq((double)ring_hist_percentile(&view, percent), exact);
        cr_assert_leq((double)ring_hist_percentile(&view, percent), exact * 1.13);
    }
}

Test(ring_stat, a_rings_counters_are_read_by_name_alive_and_dead)
{
    struct ring_stat_view view;
    struct rig rig;
    char path[512], why[200];

    rig_open(&rig, 65536);
    snprintf(path, sizeof(path), "%s", ring_writer_path(rig.writer));
    for (int i = 0; i < 5; i++)
        cr_assert_eq(rig_put(&rig, "x", 1), 0);
    ring_writer_count_refused(rig.writer, 4);
    ring_lane_settle(&rig.lane, 0, 32, &(struct ring_settled){.accepted_events = 2, .accepted_bytes = 70});
    ring_lane_note_latency(&rig.lane, 12345);
    cr_assert_eq(ring_stat_view_open(path, &view, why, sizeof(why)), 0, "%s", why);
    ring_writer_close(rig.writer);
    rig.writer = NULL;
    cr_assert_eq(view.source, RING_STAT_OF_RING);
    cr_assert_str_eq(view.name, "rig");
    cr_assert_eq(view.pid, (uint32_t)getpid());
    cr_assert_eq(ring_stat_value(&view, find(&view, "committed_events"), 0), 5);
    cr_assert_eq(ring_stat_value(&view, find(&view, "write_pos"), 0), order_observe(&ring_producer(rig.ring)->hot.write_pos));
    cr_assert_eq(ring_stat_value(&view, find(&view, "closed"), 0), 1);
    cr_assert_eq(ring_stat_value(&view, find(&view, "refused_events"), 4), 1);
    cr_assert_eq(ring_stat_value(&view, find(&view, "accepted_events"), 0), 2);
    cr_assert_eq(ring_stat_value(&view, find(&view, "accepted_bytes"), 0), 70);
    cr_assert_eq(ring_stat_value(&view, find(&view, "accepted_events"), 1), 0);
    cr_assert_eq(ring_stat_value(&view, find(&view, "lane_count"), 0), 1);
    cr_assert_eq(ring_stat_value(&view, find(&view, "commit_to_accept"), 0), 1);
    cr_assert_eq(order_none_load64(&ring_stat_hist(&view, find(&view, "commit_to_accept"), 0)->sum), 12345);
    cr_assert_eq(ring_stat_value(&view, find(&view, "accepted_events"), RING_LANES_MAX), 0, "out of bounds");
    for (uint32_t i = 0; i < view.count; i++) {
        const struct ring_stat_desc *line = &view.table[i];
        cr_assert(line->name[0] && line->unit[0] && line->help[0] && line->kind >= RING_STAT_COUNTER && line->kind <= RING_STAT_HISTOGRAM);
        cr_assert_eq(line->count > 1, line->index[0] != '\0', "%s", line->name);
        cr_assert_lt(strlen(line->help), sizeof(line->help) - 1, "%s: its help is cut", line->name);
    }
    ring_stat_view_close(&view);
    rig_close(&rig);
}

struct values {
    _Atomic uint64_t sent;
    struct ring_hist hist;
};
static const struct ring_stat_desc table[] = {
    {.name = "sent_events",
     .unit = "events",
     .off = offsetof(struct values, sent),
     .count = 1,
     .kind = RING_STAT_COUNTER,
     .width = 8,
     .help = "h"},
    {.name = "wait", .unit = "ns", .off = offsetof(struct values, hist), .count = 1, .kind = RING_STAT_HISTOGRAM, .width = 8, .help = "h"},
};

Test(ring_stat, a_stat_file_goes_on_counting_after_a_restart)
{
    struct ring_stat_file file;
    struct ring_stat_view view;
    struct rig rig;
    char path[128], why[200];

    rig_dirs(&rig);
    snprintf(path, sizeof(path), "%s/orders.stat", rig.rings);
    cr_assert_eq(ring_stat_file_open(path, "orders", table, 2, sizeof(struct values), &file), 0);
    cr_assert_eq(file.past, RING_STAT_PAST_NONE);
    order_none_add64(&((struct values *)file.values)->sent, 7);
    ring_stat_file_close(&file);
    cr_assert_eq(ring_stat_file_open(path, "orders", table, 2, sizeof(struct values), &file), 0);
    cr_assert_eq(file.past, RING_STAT_PAST_KEPT);
    order_none_add64(&((struct values *)file.values)->sent, 1);
    cr_assert_eq(ring_stat_view_open(path, &view, why, sizeof(why)), 0, "%s", why);
    cr_assert_eq(view.source, RING_STAT_OF_SHIPPER);
    cr_assert_str_eq(view.name, "orders");
    cr_assert_eq(ring_stat_value(&view, find(&view, "sent_events"), 0), 8);
    ring_stat_view_close(&view);
    ring_stat_file_close(&file);
    unlink(path);
    rig_close(&rig);
}

struct older {
    _Atomic uint64_t sent, position[3];
    _Atomic uint32_t by_worker[4];
    _Atomic uint64_t gone;
    char text[16];
    struct ring_hist hist[3];
};
#define OLD(name_, field, count_, stride_, kind_, width_)                                                                                  \
    {                                                                                                                                      \
        .name = name_, .unit = "x", .off = offsetof(struct older, field), .count = count_, .stride = stride_, .kind = kind_,               \
        .width = width_, .help = "h"                                                                                                       \
    }
static const struct ring_stat_desc older_table[] = {
    OLD("gone", gone, 1, 0, RING_STAT_COUNTER, 8),          OLD("wait", hist, 3, sizeof(struct ring_hist), RING_STAT_HISTOGRAM, 8),
    OLD("sent_events", sent, 1, 0, RING_STAT_COUNTER, 8),   OLD("by_worker", by_worker, 4, 4, RING_STAT_COUNTER, 4),
    OLD("position", position, 3, 8, RING_STAT_POSITION, 8), OLD("text", text, 1, 16, RING_STAT_TEXT, 8),
    OLD("other_kind", gone, 1, 0, RING_STAT_GAUGE, 8),
};

struct newer {
    struct ring_hist hist;
    char text[8];
    _Atomic uint64_t position[2], other_kind, by_worker[2], fresh, sent[2];
};
#define NEW(name_, field, count_, stride_, kind_)                                                                                          \
    {                                                                                                                                      \
        .name = name_, .unit = "x", .off = offsetof(struct newer, field), .count = count_, .stride = stride_, .kind = kind_, .width = 8,   \
        .help = "h"                                                                                                                        \
    }
static const struct ring_stat_desc newer_table[] = {
    NEW("sent_events", sent, 2, 8, RING_STAT_COUNTER),      NEW("by_worker", by_worker, 2, 8, RING_STAT_COUNTER),
    NEW("fresh", fresh, 1, 0, RING_STAT_COUNTER),           NEW("position", position, 2, 8, RING_STAT_POSITION),
    NEW("wait", hist, 1, 0, RING_STAT_HISTOGRAM),           NEW("text", text, 1, 8, RING_STAT_TEXT),
    NEW("other_kind", other_kind, 1, 0, RING_STAT_COUNTER),
};

Test(ring_stat, lines_of_the_same_name_go_on_when_the_table_is_another_one)
{
    struct ring_stat_file file;
    struct rig rig;
    char path[128], bad[140];

    rig_dirs(&rig);
    snprintf(path, sizeof(path), "%s/orders.stat", rig.rings);
    snprintf(bad, sizeof(bad), "%s.bad", path);
    cr_assert_eq(ring_stat_file_open(path, "orders", older_table, 7, sizeof(struct older), &file), 0);
    struct older *older = file.values;
    order_none_add64(&older->sent, 7);
    order_none_add64(&older->gone, 5);
    for (uint32_t i = 0; i < 4; i++)
        order_none_store32(&older->by_worker[i], 10u + i);
    for (uint32_t i = 0; i < 3; i++) {
        order_none_store64(&older->position[i], 100 * (i + 1));
        ring_hist_add(&older->hist[i], 1000 * (i + 1));
    }
    strcpy(older->text, "some ring");
    ring_stat_file_close(&file);

    cr_assert_eq(ring_stat_file_open(path, "orders", newer_table, 7, sizeof(struct newer), &file), 0);
    cr_assert_eq(file.past, RING_STAT_PAST_CARRIED);
    struct newer *newer = file.values;
    cr_expect_eq(order_none_load64(&newer->sent[0]), 7);
    cr_expect_eq(order_none_load64(&newer->sent[1]), 0);
    cr_expect_eq(order_none_load64(&newer->by_worker[0]), 10);
    cr_expect_eq(order_none_load64(&newer->by_worker[1]), 11 + 12 + 13, "what has no place of its own is not lost");
    cr_expect_eq(order_none_load64(&newer->position[1]), 200, "positions do not add up");
    cr_expect_eq(order_none_load64(&newer->fresh), 0);
    cr_expect_eq(order_none_load64(&newer->other_kind), 0);
    cr_expect_str_eq(newer->text, "some ri");
    cr_expect_eq(order_none_load64(&newer->hist.count), 3);
    cr_expect_eq(order_none_load64(&newer->hist.sum), 6000);
    cr_expect_eq(order_none_load64(&newer->hist.bucket[ring_hist_bucket_of(2000)]), 1);
    ring_stat_file_close(&file);
    cr_assert_eq(ring_stat_file_open(path, "orders", newer_table, 7, sizeof(struct newer), &file), 0);
    cr_assert_eq(file.past, RING_STAT_PAST_KEPT);
    cr_expect_eq(order_none_load64(&((struct newer *)file.values)->by_worker[1]), 36, "carried once");
    ring_stat_file_close(&file);
    cr_assert_neq(access(bad, F_OK), 0);
    unlink(path);
    rig_close(&rig);
}

Test(ring_stat, what_is_no_stat_file_is_set_aside_and_kept)
{
    struct ring_stat_file file;
    struct rig rig;
    char path[128], bad[140], kept[8] = "";

    rig_dirs(&rig);
    snprintf(path, sizeof(path), "%s/orders.stat", rig.rings);
    snprintf(bad, sizeof(bad), "%s.bad", path);
    int fd = open(path, O_RDWR | O_CREAT, 0600);
    cr_assert_eq(write(fd, "nothing", 7), 7);
    close(fd);
    cr_assert_eq(ring_stat_file_open(path, "orders", table, 2, sizeof(struct values), &file), 0);
    cr_assert_eq(file.past, RING_STAT_PAST_SET_ASIDE);
    ring_stat_file_close(&file);
    fd = open(bad, O_RDONLY);
    cr_assert_eq(read(fd, kept, 7), 7);
    close(fd);
    cr_assert_str_eq(kept, "nothing");
    unlink(path);
    unlink(bad);
    rig_close(&rig);
}

Test(ring_stat, refuses_a_file_that_has_no_table_with_a_sentence)
{
    struct ring_stat_view view;
    struct rig rig;
    char path[128], why[200];

    rig_dirs(&rig);
    snprintf(path, sizeof(path), "%s/x", rig.dir);
    cr_assert_eq(ring_stat_view_open(path, &view, why, sizeof(why)), -ENOENT);
    int fd = open(path, O_RDWR | O_CREAT, 0600);
    cr_assert_eq(ring_stat_view_open(path, &view, why, sizeof(why)), -EBADMSG);
    cr_assert_eq(ftruncate(fd, 8192), 0);
    cr_assert_eq(ring_stat_view_open(path, &view, why, sizeof(why)), -EBADMSG);
    cr_assert(strstr(why, "neither"), "%s", why);
    close(fd);
    rig_close(&rig);
}
