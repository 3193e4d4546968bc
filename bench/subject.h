/* A ring under test: a producer's handle on one side, on the other the one lane that frees it. */
#ifndef BENCH_SUBJECT_H
#define BENCH_SUBJECT_H

#include <stddef.h>
#include <stdint.h>

#include "client/ehring.h"
#include "ringbuf/ring.h"

struct subject {
    struct ehring *producer;
    struct ring *ring; /* the same file as the shipper opens it */
    struct ring_lane lane;
    uint64_t capacity;
    enum ehring_sync sync;
};

/* Makes a ring in <rings_dir>/bench, with `sync` if that is a disk, and attaches lane 0 of 1. 0, or a negative code after a line on stderr.
 * subject_close frees. */
int subject_open(const char *rings_dir, uint64_t capacity, enum ehring_sync sync, struct subject *subject);
void subject_close(struct subject *subject);

/* Sends `count` events of `len` bytes; the keys in turn, or none if `keys` is NULL. There must be room. 0 or the first code that was not.
 */
#define SUBJECT_KEY_COUNT 64u
int subject_send(struct subject *subject, const void *data, size_t len, const char *const *keys, uint32_t count);

/* Bytes that are not free for the producer: not acked, or not synced since. The producer's thread. */
uint64_t subject_used_bytes(const struct subject *subject);

/* Frees all that is written, without a look at it. Only while no thread drains. */
void subject_free_all(struct subject *subject);

/* Opens a producer's ring from the other side. 0, or a negative errno, with `why` filled if it was the ring that refused; ring_close frees
 * *out. */
int subject_ring_open(const struct ehring *producer, enum ring_access access, struct ring **out, struct ring_refusal *why);

#endif
