/* What the files of libehring share: the handle, and the steps from an event to a record's shape. Not installed. */
#ifndef EHRING_INTERNAL_H
#define EHRING_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ehring.h"
#include "ringbuf/ring.h"
#include "ringbuf/ring_words.h"

/* Lies beside its writer. */
struct ehring {
    struct ring_writer_words words;
    enum ehring_full full;
    uint32_t wait_ms;
    uint32_t reserved_len; /* payload bytes of the open reservation */
    bool reserved;
    struct { /* of the registry, under its lock */
        struct ehring *next;
        int64_t due_ns;
        int64_t window_ns;
        bool added;
        bool busy; /* the thread is syncing it */
    } sync;
    uint8_t meta[RING_META_BYTES_MAX]; /* TLVs of the event in hand; pages never used are never touched */
};

static inline struct ring_writer *writer_of(const struct ehring *ring)
{
    return ring_writer_of(ring);
}

/* ---- ehring_handle.c: a record's way into the ring ---- */

/* Counts the refusal under the code's reason and returns the code; EHRING_E_FORKED in a child, where nothing may be touched. */
int handle_refuse(struct ehring *ring, int code);

/* May this handle send now? 0, EHRING_E_CLOSED or EHRING_E_RESERVED. Looks at nothing in the ring. A reservation that is open and not the
 * caller's is of a call that was left by a jump out of a signal, when its payload could not be read: it is given back. */
static inline int handle_check(const struct ehring *ring)
{
    if (__builtin_expect(!ring, 0))
        return EHRING_E_CLOSED;
    if (__builtin_expect(!*ring->words.open, 1))
        return 0;
    if (ring->reserved)
        return EHRING_E_RESERVED;
    ring_writer_discard(writer_of(ring));
    return 0;
}

/* EHRING_E_CLOSED, EHRING_E_FORKED or 0. */
int handle_alive(const struct ehring *ring);

/* Compares with the stream's limit and stores payload_len into the shape. 0 or EHRING_E_EVENT_TOO_LARGE; nothing is counted. */
int handle_size(const struct ehring *ring, struct ring_shape *shape, size_t len);

/* One wait_ms for all waits of a call: 0 until the first wait. */
struct handle_wait {
    int64_t deadline_ns;
};

/* What the writer said when it did not take a record, turned into what the caller gets. -EAGAIN follows the policy: EHRING_FULL_WAIT waits.
 * 0: there is room now, try again. Else EHRING_DROPPED or a code; nothing is counted. */
int handle_no_room(struct ehring *ring, const struct ring_shape *shape, int err, struct handle_wait *wait);

/* Reserves by the policy. 0, EHRING_DROPPED or a code; nothing is counted. */
int handle_reserve(struct ehring *ring, const struct ring_shape *shape, struct handle_wait *wait, void **payload);

/* Sizes, puts, and counts a refusal. The way of every single send but the plainest. */
int handle_put(struct ehring *ring, struct ring_shape *shape, const void *data, size_t len);

/* ---- ehring_event.c ---- */

/* Checks the key and stores it into the shape; key_len 0: up to the NUL. 0 or a code; nothing is counted. */
int event_key(const char *key, size_t key_len, struct ring_shape *shape);

/* ---- ehring_meta.c ---- */

/* Writes the event's optional fields as TLVs into `meta` (RING_META_BYTES_MAX bytes). 0 with *meta_len (0: there are none), or a code. */
int meta_build(const struct ehring_event *event, uint8_t *meta, uint32_t *meta_len);

/* ---- ehring_sync.c ---- */

/* From now on the process's thread syncs the ring once in each window. 0 or -errno. Any thread. */
int sync_add(struct ehring *ring, uint32_t window_ms);
/* Returns when no sync of the ring is under way any more and none will be. Not in a forked child. Any thread. */
void sync_remove(struct ehring *ring);

/* ---- ehring_utf8.c ---- */

/* How many characters the bytes are, or -1 if they are not UTF-8. */
int64_t utf8_count(const void *bytes, size_t len);

/* ---- ehring_error.c ---- */

/* The slot under which a code is counted. */
uint32_t error_reason(int code);

/* CLOCK_MONOTONIC. */
int64_t clock_now_ns(void);
/* `ms` from now; negative: without limit. */
int64_t clock_deadline_ns(int64_t ms);

#endif
