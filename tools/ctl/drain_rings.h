/* The rings of one stream or all, each with the position that was written when it was first looked at, and whether all below is settled. */
#ifndef CTL_DRAIN_RINGS_H
#define CTL_DRAIN_RINGS_H

#include <stddef.h>
#include <stdint.h>

#include "ringbuf/ring.h"

enum drain_state { DRAIN_WAITING, DRAIN_SETTLED, DRAIN_UNKNOWN };

struct drain_ring {
    char *stream, *name;
    struct ring *ring;
    uint64_t target_pos;
    enum drain_state state;
    const char *why; /* with DRAIN_UNKNOWN */
};

struct drain_rings {
    const char *dir;
    struct drain_ring *ring;
    size_t count, cap;
    size_t waiting_count;
    size_t unreadable_count; /* rings and directories, named on stderr */
};

/* Opens all rings that are there now and looks once. `stream` NULL: of all streams. 0, or a negative errno after a message on stderr. Close
 * in every case. */
int drain_rings_open(struct drain_rings *rings, const char *rings_dir, const char *stream);
void drain_rings_close(struct drain_rings *rings);

/* Looks again at those that are waiting. */
void drain_rings_look(struct drain_rings *rings);
uint64_t drain_ring_left(const struct drain_ring *ring); /* bytes below the target that are not settled */
uint64_t drain_rings_left(const struct drain_rings *rings);

#endif
