/* Lists of positions in chunks of one pool, and the table of batches under way. */
#include <criterion/criterion.h>

#include "shipper/fifo.h"
#include "shipper/inflight.h"

static void push_many(struct fifo *fifo, struct fifo_pool *pool, uint32_t from, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        cr_assert(fifo_push(fifo, pool, (struct fifo_entry){.pos = from + i}, from + i));
}

Test(fifo, keeps_order_over_many_chunks)
{
    struct fifo_pool pool;
    struct fifo fifo = {0};
    uint64_t expected = 0;
    cr_assert_eq(fifo_pool_open(&pool, 16), 0);
    push_many(&fifo, &pool, 0, 3 * FIFO_CHUNK_ENTRIES + 7);
    fifo_pop(&fifo, &pool, FIFO_CHUNK_ENTRIES + 1);
    push_many(&fifo, &pool, 3 * FIFO_CHUNK_ENTRIES + 7, 20);
    struct fifo_cursor cursor = fifo_first(&fifo);
    expected = FIFO_CHUNK_ENTRIES + 1;
    for (const struct fifo_entry *entry; (entry = fifo_next(&cursor)); expected++)
        cr_assert_eq(entry->pos, expected);
    cr_assert_eq(expected, 3 * FIFO_CHUNK_ENTRIES + 27);
    fifo_pool_close(&pool);
}

Test(fifo, refuses_when_the_pool_is_used_up_and_gives_every_chunk_back)
{
    struct fifo_pool pool;
    struct fifo fifo = {0}, other = {0};
    cr_assert_eq(fifo_pool_open(&pool, 2), 0);
    push_many(&fifo, &pool, 0, 2 * FIFO_CHUNK_ENTRIES);
    cr_assert_not(fifo_push(&fifo, &pool, (struct fifo_entry){0}, 0));
    cr_assert_not(fifo_push(&other, &pool, (struct fifo_entry){0}, 0));
    cr_assert_eq(fifo.count, 2 * FIFO_CHUNK_ENTRIES);
    fifo_pop(&fifo, &pool, fifo.count);
    cr_assert_eq(pool.free_count, 2);
    push_many(&other, &pool, 0, 2 * FIFO_CHUNK_ENTRIES);
    fifo_pop(&other, &pool, FIFO_CHUNK_ENTRIES);
    push_many(&fifo, &pool, 0, 1);
    fifo_pool_close(&pool);
}

Test(fifo, leaves_a_chunk_for_each_list_that_has_nothing_however_long_the_others_are)
{
    struct fifo_pool pool;
    struct fifo longest = {0}, other[2] = {{0}};
    cr_assert_eq(fifo_pool_open(&pool, 8), 0);
    push_many(&longest, &pool, 0, 6 * FIFO_CHUNK_ENTRIES);
    cr_assert_not(fifo_push(&longest, &pool, (struct fifo_entry){0}, 0), "the rest is not for a list that has some");
    for (int i = 0; i < 2; i++) {
        push_many(&other[i], &pool, 0, FIFO_CHUNK_ENTRIES);
        cr_assert_not(fifo_push(&other[i], &pool, (struct fifo_entry){0}, 0));
    }
    fifo_pop(&longest, &pool, FIFO_CHUNK_ENTRIES);
    cr_assert_eq(pool.free_count, 1);
    fifo_pool_close(&pool);
}

Test(fifo, knows_about_when_its_first_entry_came)
{
    struct fifo_pool pool;
    struct fifo fifo = {0};
    cr_assert_eq(fifo_pool_open(&pool, 8), 0);
    push_many(&fifo, &pool, 0, 2 * FIFO_CHUNK_ENTRIES + 10);
    cr_assert_eq(fifo_oldest_ns(&fifo), 0);
    fifo_pop(&fifo, &pool, FIFO_CHUNK_ENTRIES + 5);
    cr_assert_eq(fifo_oldest_ns(&fifo), FIFO_CHUNK_ENTRIES);
    fifo_pop(&fifo, &pool, FIFO_CHUNK_ENTRIES);
    cr_assert_eq(fifo_oldest_ns(&fifo), 2 * FIFO_CHUNK_ENTRIES);
    fifo_pool_close(&pool);
}

Test(inflight, finds_a_batch_by_its_tag_and_not_by_an_older_one_of_the_same_slot)
{
    struct inflight inflight;
    cr_assert_eq(inflight_open(&inflight), 0);
    struct inflight_batch *first = inflight_begin(&inflight);
    uint64_t old_tag = first->tag;
    cr_assert_eq(inflight_find(&inflight, old_tag), first);
    inflight_end(&inflight, first);
    cr_assert_null(inflight_find(&inflight, old_tag));
    for (uint32_t i = 0; i < INFLIGHT_BATCHES_MAX; i++)
        cr_assert_not_null(inflight_begin(&inflight));
    cr_assert_null(inflight_begin(&inflight), "the table is full");
    cr_assert_null(inflight_find(&inflight, old_tag), "a late settlement must not meet another batch");
    cr_assert_null(inflight_find(&inflight, 0));
    inflight_close(&inflight);
}

Test(inflight, hands_out_a_bounded_number_of_buffers)
{
    struct inflight inflight;
    cr_assert_eq(inflight_open(&inflight), 0);
    for (uint32_t i = 0; i < INFLIGHT_BUFFERS_MAX; i++)
        cr_assert_geq(inflight_buffer_take(&inflight, 1000), 0);
    cr_assert_lt(inflight_buffer_take(&inflight, 1000), 0);
    inflight_buffer_give(&inflight, 2);
    int again = inflight_buffer_take(&inflight, 100000);
    cr_assert_eq(again, 2);
    cr_assert_geq(inflight.buffer[again].cap, 100000);
    inflight_close(&inflight);
}
