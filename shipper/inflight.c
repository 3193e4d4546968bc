/* Batches under way: delivery tag to batch, a bounded table, and the buffers they are encoded into. Pure. */
#include "shipper/inflight.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int inflight_open(struct inflight *inflight)
{
    *inflight = (struct inflight){0};
    inflight->slot = calloc(INFLIGHT_BATCHES_MAX, sizeof *inflight->slot);
    return inflight->slot ? 0 : -ENOMEM;
}

void inflight_close(struct inflight *inflight)
{
    for (uint32_t i = 0; i < INFLIGHT_BUFFERS_MAX; i++)
        free(inflight->buffer[i].bytes);
    free(inflight->slot);
    *inflight = (struct inflight){0};
}

int inflight_buffer_take(struct inflight *inflight, uint64_t cap)
{
    for (uint32_t i = 0; i < INFLIGHT_BUFFERS_MAX; i++) {
        struct inflight_buffer *buffer = &inflight->buffer[i];
        if (buffer->used)
            continue;
        if (buffer->cap < cap) {
            uint8_t *bytes = realloc(buffer->bytes, cap);
            if (!bytes)
                return -ENOMEM;
            buffer->bytes = bytes;
            buffer->cap = cap;
        }
        buffer->used = true;
        return (int)i;
    }
    return -EBUSY;
}

void inflight_buffer_give(struct inflight *inflight, int buffer)
{
    inflight->buffer[buffer].used = false;
}

/* The tag's low bits are the slot; what is above only grows, so no late settlement meets another batch. */
struct inflight_batch *inflight_begin(struct inflight *inflight)
{
    if (inflight->count == INFLIGHT_BATCHES_MAX)
        return NULL;
    while (inflight->slot[inflight->next_free].tag != 0)
        inflight->next_free = (inflight->next_free + 1) % INFLIGHT_BATCHES_MAX;
    struct inflight_batch *batch = &inflight->slot[inflight->next_free];
    batch->tag = ++inflight->last_tag * INFLIGHT_BATCHES_MAX + inflight->next_free;
    batch->buffer = -1;
    batch->handed_ns = 0;
    batch->is_run = false;
    inflight->count++;
    return batch;
}

struct inflight_batch *inflight_find(struct inflight *inflight, uint64_t tag)
{
    struct inflight_batch *batch = &inflight->slot[tag % INFLIGHT_BATCHES_MAX];
    return batch->tag == tag && tag ? batch : NULL;
}

void inflight_end(struct inflight *inflight, struct inflight_batch *batch)
{
    if (batch->buffer >= 0)
        inflight_buffer_give(inflight, batch->buffer);
    batch->buffer = -1;
    batch->tag = 0;
    inflight->count--;
}
