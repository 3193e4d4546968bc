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
    int64_t walked_ns;    /* when its first entry came: the list's age once the chunks before it are gone */
    uint64_t reserved[2]; /* 4 KiB in all */
    struct fifo_entry entry[FIFO_CHUNK_ENTRIES];
};

struct fifo_pool {
    struct fifo_chunk *free;
    void *memory;
    uint32_t free_count;
    uint32_t touched_count; /* chunks that were ever used: the others are not yet memory */
    uint32_t chunk_count;
    uint32_t reserve_count; /* of them only the first chunk of a list may be */
};

struct fifo { /* zero-initialised: empty */
    struct fifo_chunk *head;
    struct fifo_chunk *tail;
    uint32_t head_index; /* of the first entry, in head */
    uint32_t tail_index; /* behind the last entry, in tail */
    uint32_t count;
};

/* Room for `chunk_count` chunks, taken from the system as they are first touched. A quarter is kept for lists that have nothing yet, so
 * that a few long lists that cannot be sent stop no other. 0 or -ENOMEM. */
int fifo_pool_open(struct fifo_pool *pool, uint32_t chunk_count);
void fifo_pool_close(struct fifo_pool *pool);

/* `now_ns` (any clock): for fifo_oldest_ns. false: the pool has nothing for this list, nothing changed. */
bool fifo_push(struct fifo *fifo, struct fifo_pool *pool, struct fifo_entry entry, int64_t now_ns);
/* Whether a push would find room. */
bool fifo_has_room(const struct fifo *fifo, const struct fifo_pool *pool);
/* When the first entry of a list that is not empty came, or earlier by what one chunk took to fill. */
int64_t fifo_oldest_ns(const struct fifo *fifo);
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
