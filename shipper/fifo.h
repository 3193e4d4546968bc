/* First-in-first-out lists of walked records, in chunks of one bounded pool per worker. Pure. */
#ifndef EHRING_FIFO_H
#define EHRING_FIFO_H

#include <stdbool.h>
#include <stdint.h>

#define FIFO_CHUNK_ENTRIES 254u

struct fifo_entry { /* where a record lies; its bytes stay in the ring */
    uint64_t pos;
    uint32_t slot; /* of the ring, in its feed */
    uint32_t len;  /* head to payload's end */
};

struct fifo_chunk {
    struct fifo_chunk *next;
    uint64_t reserved[3]; /* 4 KiB in all */
    struct fifo_entry entry[FIFO_CHUNK_ENTRIES];
};

struct fifo_pool {
    struct fifo_chunk *free;
    void *memory;
    uint32_t free_count;
    uint32_t touched_count; /* chunks that were ever used: the others are not yet memory */
    uint32_t chunk_count;
};

struct fifo { /* zero-initialised: empty */
    struct fifo_chunk *head;
    struct fifo_chunk *tail;
    uint32_t head_index; /* of the first entry, in head */
    uint32_t tail_index; /* behind the last entry, in tail */
    uint32_t count;
};

/* Room for `chunk_count` chunks, taken from the system as they are first touched. 0 or -ENOMEM. */
int fifo_pool_open(struct fifo_pool *pool, uint32_t chunk_count);
void fifo_pool_close(struct fifo_pool *pool);

/* false: the pool is used up, nothing changed. */
bool fifo_push(struct fifo *fifo, struct fifo_pool *pool, struct fifo_entry entry);
/* Gives the first `count` entries back (count <= fifo->count). */
void fifo_pop(struct fifo *fifo, struct fifo_pool *pool, uint32_t count);

struct fifo_cursor {
    const struct fifo_chunk *chunk;
    uint32_t index;
    uint32_t left;
};
struct fifo_cursor fifo_first(const struct fifo *fifo);
/* The next entry, or NULL at the end. */
const struct fifo_entry *fifo_next(struct fifo_cursor *cursor);

#endif
