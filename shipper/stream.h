/* One stream: a directory of rings, its lock, doorbell, counters and the hub it goes to; shared by main thread and workers. */
#ifndef EHRING_STREAM_H
#define EHRING_STREAM_H

#include <pthread.h>
#include <stdint.h>

#include "ringbuf/ring.h"
#include "ringbuf/ring_stat.h"
#include "shipper/config.h"
#include "shipper/counters.h"
#include "shipper/setup.h"

enum stream_state {                /* in a running shipper */
                    STREAM_CLOSED, /* the slot is free */
                    STREAM_OPEN,
                    STREAM_LEAVING, /* its rings are let go */
                    STREAM_CLOSING, /* then the workers' connections are closed */
};

struct stream {
    enum stream_state state; /* the main thread's */
    _Atomic uint32_t users;  /* workers that have it */
    char name[64];
    struct setup *setup; /* in force; the main thread's alone: workers have their own */
    uint32_t index;
    int dir_fd;
    int lock_fd;
    int bell_fd;
    char dir[1200];
    char bell_path[108];
    struct ring_stat_file stat;
    struct counters_words *words;
    pthread_mutex_t told_lock;          /* hub_number and partition_count belong together */
    uint32_t hub_number;                /* of the hub that partition_count is of: setup's */
    _Atomic uint32_t partition_count;   /* told by the workers' connections, 0: not known yet */
    _Atomic uint64_t message_bytes_max; /* the link's, told by the first attach; 0: not known yet */
    _Atomic uint32_t connecting_count;  /* connections being made, all workers' */
    int main_fd;                        /* eventfd of the main thread: written when one of the two changed */
};

/* Makes the directory (mode 3770 with a group, else 0700), takes the lock (-EBUSY names the holder), binds the doorbell, opens counters and
 * trust. 0 or negative errno with a sentence in `why`. Main thread. */
int stream_open(const char *rings, const struct config_stream *config, uint32_t index, int main_fd, struct stream *out, char *why,
                size_t why_len);
void stream_close(struct stream *stream);

/* `setup` is in force from now on, and its user's part goes to the stream. Of another hub (its hub_number differs): the partitions are
 * unknown until one of its connections tells. Main thread, which then gives it to the workers. */
void stream_set_setup(struct stream *stream, struct setup *setup);

/* What a worker's connection learned; wakes the main thread if it is new. Any thread. */
/* `setup`: of the connection that learned it; what the hub of an earlier one has is not heard. */
void stream_tell_partition_count(struct stream *stream, const struct setup *setup, uint32_t count);
/* `message_bytes_max`: the link's, never 0. */
void stream_tell_message_bytes_max(struct stream *stream, uint64_t message_bytes_max);

/* The hub has accepted key `key` of two: it is in use from now on. True: this call has changed it. Any thread. */
bool stream_use_key(struct stream *stream, struct setup *setup, uint32_t key);

/* What one batch may have, by the link and by the configuration in force, and what a payload may have then. 0: not known yet. Main thread.
 */
uint64_t stream_batch_bytes_max(const struct stream *stream);
uint32_t stream_event_bytes_max(const struct stream *stream);

/* A drained ring of a dead producer: its counts go into the stream's totals and the file is removed, as one. 0, or -errno: the file is
 * still there, nothing was counted. Main thread. */
int stream_remove_ring(struct stream *stream, struct ring *ring);

#endif
