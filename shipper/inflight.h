/* Batches under way: delivery tag to batch, a bounded table, and the buffers they are encoded into. Pure. */
#ifndef EHRING_INFLIGHT_H
#define EHRING_INFLIGHT_H

#include <stdbool.h>
#include <stdint.h>

#include "shipper/batch.h"

#define INFLIGHT_BATCHES_MAX 256u
#define INFLIGHT_BUFFERS_MAX 64u /* one for each stream at the least */

struct inflight_batch {
    struct batch batch;
    uint64_t tag;      /* 0: this slot is free */
    uint32_t stream;   /* index of the worker's stream */
    bool is_run;       /* of a broker's stream: a delivery for each event, see the domain's run_list */
    int buffer;        /* index, or -1 once proton has all of it */
    int64_t handed_ns; /* when that was; 0: not yet */
};

struct inflight_buffer {
    uint8_t *bytes;
    uint64_t cap;
    bool used;
};

struct inflight {
    uint64_t last_tag;
    uint64_t bytes; /* encoded, of all batches under way */
    uint32_t count;
    uint32_t next_free;
    struct inflight_batch *slot;
    struct inflight_buffer buffer[INFLIGHT_BUFFERS_MAX];
};

int inflight_open(struct inflight *inflight);
void inflight_close(struct inflight *inflight);

/* A buffer of at least `cap` bytes, grown if need be. Index or -EBUSY: all are half-sent; -ENOMEM. */
int inflight_buffer_take(struct inflight *inflight, uint64_t cap);
void inflight_buffer_give(struct inflight *inflight, int buffer);

/* A free slot with a new tag, or NULL: the table is full. */
struct inflight_batch *inflight_begin(struct inflight *inflight);
struct inflight_batch *inflight_find(struct inflight *inflight, uint64_t tag);
/* Ends it: slot and, if still held, buffer are free. */
void inflight_end(struct inflight *inflight, struct inflight_batch *batch);

#endif
