/* Runs made of real rings: messages of their own, what a part of one covers, and a domain of which a part was accepted. */
#include <criterion/criterion.h>

#include <errno.h>
#include <fcntl.h>
#include <proton/message.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ringbuf/ring.h"
#include "ringbuf/ring_order.h"
#include "ringbuf/ring_route.h"
#include "shipper/run.h"

#define RINGS 3
#define DOMAINS 16u
#define DOMAIN (RING_CLASS_COUNT + 5u) /* of explicit partition 5 */

static char dir[64];
static int dir_fd;
static struct ring_writer *writer[RINGS];
static struct ring *ring[RINGS];
static struct fifo_pool pool;
static struct counters_worker counters;
static struct ring_hist hist;
static struct feed feed;
static struct run_list run;
static struct batch batch;
static struct door door;
static uint8_t buffer[1 << 20];
static const struct batch_limits wide = {.bytes_max = sizeof buffer};

static void rig_open(void)
{
    struct ring_refusal why;
    strcpy(dir, "/tmp/ehring-run-XXXXXX");
    cr_assert_not_null(mkdtemp(dir));
    dir_fd = open(dir, O_RDONLY | O_DIRECTORY);
    cr_assert_eq(fifo_pool_open(&pool, 256), 0);
    cr_assert_eq(feed_open(&feed, 0, 1, &pool), 0);
    feed.counters = &counters;
    feed.commit_to_read = &hist;
    for (int r = 0; r < RINGS; r++) {
        char name[8];
        snprintf(name, sizeof name, "r%d", r);
        const struct ring_writer_options options = {.stream_dir = dir, .name = name, .capacity = 1 << 18};
        cr_assert_eq(ring_writer_open(&options, &writer[r], &why), 0, "%s", why.text);
        cr_assert_eq(ring_open(dir_fd, strrchr(ring_writer_path(writer[r]), '/') + 1, RING_ACCESS_SHIPPER, &ring[r], &why), 0);
        cr_assert_eq(ring_lanes_begin(ring[r], 1), 0);
        ring_set_partition_count(ring[r], DOMAINS);
        cr_assert_eq(feed_ring_add(&feed, ring[r], ring[r], DOMAINS, UINT64_MAX), r);
    }
    cr_assert_eq(run_reserve(&run, 64), 0);
}

static void rig_close(void)
{
    run_free(&run);
    feed_close(&feed);
    fifo_pool_close(&pool);
    for (int r = 0; r < RINGS; r++) {
        unlink(ring_writer_path(writer[r]));
        ring_close(ring[r]);
        ring_writer_close(writer[r]);
    }
    close(dir_fd);
    rmdir(dir);
}

TestSuite(run, .init = rig_open, .fini = rig_close);

static void put(int r, uint32_t number, uint32_t len)
{
    char body[8192];
    memset(body, '.', sizeof body);
    int used = snprintf(body, sizeof body, "n%u;", number);
    struct ring_shape shape = {.payload_len = len > (uint32_t)used ? len : (uint32_t)used, .route = 5, .flags = RING_FLAG_ROUTE_PARTITION};
    cr_assert_eq(ring_writer_put(writer[r], &shape, body), 0);
}

static int encode(const struct batch_limits *limits, uint64_t message_bytes_max)
{
    return run_encode(&feed, DOMAIN, limits, message_bytes_max, &door, buffer, &run, &batch);
}

/* Takes the domain's next run; its events must be those, as "r0 n7 …": numbers in the order of the run. */
static void take(const struct batch_limits *limits, const char *wanted)
{
    char got[1024] = "";
    size_t at = 0;
    feed_refill(&feed, DOMAIN, 1);
    cr_assert_eq(encode(limits, 1 << 20), 0);
    for (uint32_t i = 0; i < run.count; at += run.lens[i++]) {
        const char *body = memmem(buffer + at, run.lens[i], "n", 1);
        while (body && (body[1] < '0' || body[1] > '9'))
            body = memmem(body + 1, run.lens[i], "n", 1);
        cr_assert_not_null(body);
        snprintf(got + strlen(got), sizeof got - strlen(got), "%s%d", i ? " " : "", atoi(body + 1));
    }
    cr_assert_eq(at, batch.encoded_len);
    cr_assert_str_eq(got, wanted);
    feed_take(&feed, DOMAIN, batch.taken_count, batch.cover, batch.cover_count);
}

static void settle_part(uint32_t accepted)
{
    struct feed_cover settled[FEED_COVERS_MAX], rest[FEED_COVERS_MAX];
    uint32_t settled_count = run_cover(&run, 0, accepted, settled), rest_count = run_cover(&run, accepted, run.count, rest);
    feed_settle_part(&feed, DOMAIN, settled, settled_count, rest, rest_count, FEED_NOT_DELIVERED);
}

static uint64_t gate(int r)
{
    return order_load_gate(&ring_shipper(ring[r])->gate.gate_pos);
}
static uint64_t accepted_of(int r)
{
    return order_none_load64(&ring_shipper(ring[r])->lane[0].counts.accepted_events);
}

Test(run, makes_a_message_of_each_event_with_its_place_for_an_id)
{
    char id[128], uuid[64];
    put(0, 1, 10);
    put(0, 2, 300);
    feed_walk(&feed, 1, 1);
    cr_assert_eq(encode(&wide, 1 << 20), 0);
    cr_assert_eq(run.count, 2u);
    const char *name = ring_name(ring[0]);
    snprintf(uuid, sizeof uuid, "%.36s", name + strlen(name) - strlen(".ring") - 36);
    size_t at = 0;
    for (uint32_t i = 0; i < 2; at += run.lens[i++]) {
        pn_message_t *message = pn_message();
        cr_assert_eq(pn_message_decode(message, (char *)buffer + at, run.lens[i]), 0);
        snprintf(id, sizeof id, "%s:%016llx", uuid, (unsigned long long)run.event[i].pos);
        pn_bytes_t got = pn_message_get_id(message).u.as_bytes;
        cr_assert_eq(got.size, strlen(id));
        cr_assert_eq(memcmp(got.start, id, got.size), 0, "%.*s is not %s", (int)got.size, got.start, id);
        cr_assert(pn_message_is_durable(message));
        pn_message_free(message);
    }
}

Test(run, holds_no_more_events_than_its_window_and_no_more_bytes_than_may_be)
{
    for (uint32_t i = 0; i < 100; i++)
        put(0, i, 100);
    feed_walk(&feed, 1, 1);
    cr_assert_eq(encode(&wide, 1 << 20), 0);
    cr_assert_eq(run.count, 64u, "the list's room");
    cr_assert_eq(encode(&(struct batch_limits){.bytes_max = sizeof buffer, .count_max = 7}, 1 << 20), 0);
    cr_assert_eq(run.count, 7u);
    cr_assert_eq(encode(&(struct batch_limits){.bytes_max = 1000}, 1 << 20), 0);
    cr_assert(run.count > 2 && batch.encoded_len <= 1000);
}

Test(run, ends_before_an_event_that_no_link_takes_and_names_it_when_it_comes_first)
{
    put(0, 1, 100);
    put(1, 2, 5000);
    put(0, 3, 100);
    feed_walk(&feed, 1, 1);
    cr_assert_eq(encode(&wide, 2000), 0);
    cr_assert_eq(run.count, 2u, "ring 0 was walked first");
    feed_take(&feed, DOMAIN, batch.taken_count, batch.cover, batch.cover_count);
    cr_assert_eq(batch.cover_count, 1u);
    feed_settle(&feed, DOMAIN, batch.cover, batch.cover_count, FEED_ACCEPTED);
    cr_assert_eq(encode(&wide, 2000), -EMSGSIZE);
    cr_assert_eq(batch.payload_bytes, 5000u);
}

Test(run, covers_of_a_part_hold_what_is_in_it_of_each_ring)
{
    struct feed_cover cover[FEED_COVERS_MAX];
    put(0, 1, 10), put(0, 2, 10), put(1, 3, 10), put(2, 4, 10);
    feed_walk(&feed, 1, 1);
    put(0, 5, 10);
    feed_walk(&feed, 1, 1);
    take(&wide, "1 2 3 4 5");
    cr_assert_eq(run_cover(&run, 0, 5, cover), 3u);
    for (uint32_t c = 0; c < 3; c++)
        cr_assert_arr_eq(&cover[c], &batch.cover[c], sizeof cover[c]);
    cr_assert_eq(run_cover(&run, 1, 3, cover), 2u);
    cr_assert(cover[0].slot == 0 && cover[0].event_count == 1 && cover[0].first_pos == run.event[1].pos);
    cr_assert(cover[1].slot == 1 && cover[1].event_count == 1);
    cr_assert_eq(run_cover(&run, 2, 2, cover), 0u);
}

Test(run, of_which_a_part_is_accepted_goes_on_behind_it)
{
    put(0, 1, 10), put(0, 2, 10), put(1, 3, 10), put(2, 4, 10);
    feed_walk(&feed, 1, 1);
    put(0, 5, 10);
    feed_walk(&feed, 1, 1);
    take(&wide, "1 2 3 4 5");
    put(1, 6, 10); /* comes while it is under way */
    feed_walk(&feed, 1, 1);
    settle_part(3);
    cr_assert_eq(accepted_of(0), 2u);
    cr_assert_eq(accepted_of(1), 1u);
    cr_assert_eq(accepted_of(2), 0u);
    cr_assert_eq(gate(0), run.event[4].pos, "event 5 is not accepted");
    cr_assert_gt(gate(1), run.event[2].pos);
    cr_assert_lt(gate(1), ring_writer_pos(writer[1]), "nor is event 6");
    cr_assert_eq(gate(2), 0u);
    take(&wide, "4 5 6");
    settle_part(3);
    for (int r = 0; r < RINGS; r++) {
        cr_assert_eq(gate(r), ring_writer_pos(writer[r]));
        cr_assert(feed_ring_gone(&feed, (uint32_t)r), "ring %d is still named", r);
    }
    cr_assert_eq(feed.active_count, 0u);
}

Test(run, of_which_nothing_is_accepted_is_walked_again_whole)
{
    for (uint32_t i = 0; i < 6; i++)
        put((int)(i % 2), i, 10);
    feed_walk(&feed, 1, 1);
    take(&wide, "0 2 4 1 3 5");
    settle_part(0);
    cr_assert_eq(gate(0) + gate(1), 0u);
    take(&wide, "0 2 4 1 3 5");
    settle_part(6);
    cr_assert(feed_is_level(&feed) || feed_ring_gone(&feed, 0));
    cr_assert_eq(accepted_of(0) + accepted_of(1), 6u);
}

Test(run, puts_the_one_that_was_refused_alone_before_all_others)
{
    struct feed_cover alone[1];
    for (uint32_t i = 0; i < 5; i++)
        put(0, i, 10);
    put(1, 5, 10);
    feed_walk(&feed, 1, 1);
    take(&wide, "0 1 2 3 4 5");
    cr_assert_eq(run_cover(&run, 2, 3, alone), 1u);
    cr_assert_eq(feed_suspect_set(&feed, DOMAIN, alone, 1, 1), 0);
    settle_part(2);
    cr_assert_eq(feed_suspect_part(&feed, DOMAIN), 1u);
    take(&wide, "2");
    feed_settle(&feed, DOMAIN, batch.cover, batch.cover_count, FEED_DEAD_LETTERED);
    cr_assert_eq(order_none_load64(&ring_shipper(ring[0])->lane[0].counts.dead_lettered_events), 1u);
    take(&wide, "3 4 5");
    settle_part(3);
    cr_assert_eq(accepted_of(0) + accepted_of(1), 5u);
}

Test(run, begins_again_after_a_restart_behind_the_part_that_was_accepted)
{
    for (uint32_t i = 0; i < 6; i++)
        put(0, i, 10);
    feed_walk(&feed, 1, 1);
    take(&wide, "0 1 2 3 4 5");
    settle_part(4);
    feed_close(&feed); /* the shipper dies here and another one comes */
    cr_assert_eq(feed_open(&feed, 0, 1, &pool), 0);
    feed.counters = &counters;
    feed.commit_to_read = &hist;
    cr_assert_eq(ring_lanes_begin(ring[0], 1), 0);
    cr_assert_eq(feed_ring_add(&feed, ring[0], ring[0], DOMAINS, UINT64_MAX), 0);
    feed_walk(&feed, 1, 1);
    take(&wide, "4 5");
    feed_settle(&feed, DOMAIN, batch.cover, batch.cover_count, FEED_ACCEPTED);
}

Test(run, counts_repeats_by_their_ring)
{
    feed_note_repeat(&feed, 1);
    feed_note_repeat(&feed, 1);
    cr_assert_eq(order_none_load64(&ring_shipper(ring[1])->lane[0].counts.maybe_duplicate_events), 2u);
}
