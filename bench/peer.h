/* What else carries bytes to another process: a pipe, a Unix datagram socket, a POSIX queue, a queue under a mutex, a ring of Concurrency
 * Kit. Measured as the ring is, alone: a burst of writes, then it is emptied, and those in memory while another core empties them too.
 * Nobody sleeps at the other end, so no wake-up is paid for. */
#ifndef BENCH_PEER_H
#define BENCH_PEER_H

#include <mqueue.h>
#include <stddef.h>
#include <stdint.h>

#include "bench/peer_memory.h"

enum peer_kind { PEER_PIPE, PEER_DATAGRAM, PEER_QUEUE, PEER_MUTEX, PEER_CK };

struct peer {
    enum peer_kind kind;
    int write_fd;
    int read_fd;
    mqd_t queue;
    struct peer_memory *memory;
    size_t len;
    uint8_t *scratch;      /* `len` bytes to read into */
    uint32_t room;         /* messages that those in memory hold */
    uint32_t burst_max;    /* messages that have room when it is empty */
    uint32_t slice_events; /* as many as are worth a slice */
};

/* For messages of `len` bytes; those in memory of this process take about `bytes` of it. 0, or -errno: the machine does not offer this or
 * not for such a length. peer_close frees. */
int peer_open(enum peer_kind kind, size_t len, uint64_t bytes, struct peer *peer);
void peer_close(struct peer *peer);

/* Writes `count` messages, at most burst_max, into an empty peer. 0 or -errno. */
int peer_write(struct peer *peer, const void *data, uint32_t count);
/* Takes `count` messages out. 0 or -errno. */
int peer_empty(struct peer *peer, uint32_t count);

/* Of those in memory alone, while one thread writes and another takes out: messages that are there; takes one out to `to`, 0 or -EAGAIN. */
uint32_t peer_unread(struct peer *peer);
int peer_take(struct peer *peer, void *to);

#endif
