/* First-in-first-out lists of walked records, in chunks of one bounded pool per worker. Pure. */
#include "shipper/fifo.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <sys/mman.h>

#define RESERVE_SHARE 4u

static size_t pool_bytes(const struct fifo_pool *pool)
{
    return (size_t)pool->chunk_count * sizeof(struct fifo_chunk);
}

int fifo_pool_open(struct fifo_pool *pool, uint32_t chunk_count)
{
    *pool = (struct fifo_pool){.chunk_count = chunk_count, .reserve_count = chunk_count / RESERVE_SHARE};
    void *memory = mmap(NULL, pool_bytes(pool), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        return -ENOMEM;
    pool->memory = memory;
    pool->free_count = chunk_count;
    return 0;
}

void fifo_pool_close(struct fifo_pool *pool)
{
    if (pool->memory)
        munmap(pool->memory, pool_bytes(pool));
    *pool = (struct fifo_pool){0};
}

/* Chunks that were given back are used before untouched ones, so that memory follows need. */
static struct fifo_chunk *chunk_take(struct fifo_pool *pool)
{
    struct fifo_chunk *chunk = pool->free;
    assert(pool->free_count > 0);
    if (chunk)
        pool->free = chunk->next;
    else
        chunk = (struct fifo_chunk *)pool->memory + pool->touched_count++;
    pool->free_count--;
    chunk->next = NULL;
    return chunk;
}

static void chunk_give(struct fifo_pool *pool, struct fifo_chunk *chunk)
{
    chunk->next = pool->free;
    pool->free = chunk;
    pool->free_count++;
}

bool fifo_has_room(const struct fifo *fifo, const struct fifo_pool *pool)
{
    if (!fifo->tail)
        return pool->free_count > 0;
    return fifo->tail_index < FIFO_CHUNK_ENTRIES || pool->free_count > pool->reserve_count;
}

bool fifo_push(struct fifo *fifo, struct fifo_pool *pool, struct fifo_entry entry, int64_t now_ns)
{
    if (!fifo_has_room(fifo, pool))
        return false;
    if (!fifo->tail || fifo->tail_index == FIFO_CHUNK_ENTRIES) {
        struct fifo_chunk *chunk = chunk_take(pool);
        if (fifo->tail)
            fifo->tail->next = chunk;
        else
            fifo->head = chunk;
        chunk->walked_ns = now_ns;
        fifo->tail = chunk;
        fifo->tail_index = 0;
    }
    fifo->tail->entry[fifo->tail_index++] = entry;
    fifo->count++;
    return true;
}

int64_t fifo_oldest_ns(const struct fifo *fifo)
{
    assert(fifo->count > 0);
    return fifo->head->walked_ns;
}

void fifo_pop(struct fifo *fifo, struct fifo_pool *pool, uint32_t count)
{
    assert(count <= fifo->count);
    fifo->count -= count;
    while (count > 0) {
        uint32_t here = FIFO_CHUNK_ENTRIES - fifo->head_index;
        uint32_t taken = count < here ? count : here;
        fifo->head_index += taken;
        count -= taken;
        if (fifo->head_index == FIFO_CHUNK_ENTRIES) {
            struct fifo_chunk *old = fifo->head;
            fifo->head = old->next;
            fifo->head_index = 0;
            chunk_give(pool, old);
        }
    }
    if (fifo->count == 0) {
        if (fifo->head)
            chunk_give(pool, fifo->head);
        *fifo = (struct fifo){0};
    }
}

struct fifo_cursor fifo_first(const struct fifo *fifo)
{
    return (struct fifo_cursor){.chunk = fifo->head, .index = fifo->head_index, .left = fifo->count};
}

const struct fifo_entry *fifo_next(struct fifo_cursor *cursor)
{
    if (cursor->left == 0)
        return NULL;
    if (cursor->index == FIFO_CHUNK_ENTRIES) {
        cursor->chunk = cursor->chunk->next;
        cursor->index = 0;
    }
    cursor->left--;
    return &cursor->chunk->entry[cursor->index++];
}
