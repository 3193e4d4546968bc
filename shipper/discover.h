/* Rings that come and go: finds files, opens and attaches them, quarantines, changes the partition count, removes what is drained and
 * orphaned. Main thread. */
#ifndef EHRING_DISCOVER_H
#define EHRING_DISCOVER_H

#include <stdbool.h>
#include <stdint.h>

#include "ringbuf/ring.h"
#include "shipper/stream.h"

struct worker;

enum shared_ring_state {
    RING_STATE_WAITING,   /* opened; the hub's partition count is not known yet */
    RING_STATE_ATTACHED,  /* drained by all workers */
    RING_STATE_FREEZING,  /* the partition count changes: every worker says where it stands */
    RING_STATE_OLD_COUNT, /* drained up to stop_pos under the stored count, then the count changes */
    RING_STATE_LEAVING,   /* workers let go; then closed, and removed if `remove` */
    RING_STATE_KEPT,      /* quarantined or refused: named once, its bytes kept, not opened again */
};

struct shared_ring {
    struct shared_ring *next;
    struct stream *stream;
    struct ring *ring; /* NULL when KEPT */
    char file[256];
    enum shared_ring_state state;
    _Atomic uint32_t users;     /* workers that hold it */
    _Atomic uint32_t frozen;    /* workers that stopped walking */
    uint64_t stop_pos;          /* UINT64_MAX: none */
    uint64_t checked_write_pos; /* at the last look for orphans */
    int64_t check_at_ns;        /* the next look */
    bool earlier_boot;
    bool remove;
    bool again;  /* LEAVING only to be attached anew */
    bool let_go; /* LEAVING for another shipper: the file stays */
    bool seen;   /* by the rescan under way */
};

struct discover {
    struct stream *stream; /* CONFIG_STREAMS_MAX slots, of which those that are STREAM_OPEN are looked at */
    struct worker *worker;
    uint32_t worker_count;
    int inotify_fd;
    int watch[CONFIG_STREAMS_MAX]; /* of inotify, -1: none */
    struct shared_ring *rings;
    uint32_t ring_count;
    int64_t rescan_at_ns;
    bool map_limit_told;
};

int discover_open(struct discover *discover, struct stream *stream, struct worker *worker, uint32_t worker_count);
void discover_close(struct discover *discover); /* after the workers ended: syncs what lies on a disk, closes all */
/* A stream has been opened: its rings are looked for from the next step on. */
void discover_stream_add(struct discover *discover, struct stream *stream);
/* It is STREAM_LEAVING: nothing further is found in it, its rings are let go as soon as what is in flight is settled; their files stay. */
void discover_stream_leave(struct discover *discover, struct stream *stream);
bool discover_has_rings_of(const struct discover *discover, const struct stream *stream);
/* Its hub is another one: the rings are taken back as above and attached anew once that one's partitions are known. */
void discover_stream_reattach(struct discover *discover, struct stream *stream);
/* What inotify has to say. */
void discover_read(struct discover *discover, int64_t now_ns);
/* Once a second and when a worker wakes the main thread: states, orphans, quarantines, counts, rescan. */
void discover_step(struct discover *discover, int64_t now_ns);

#endif
