/* What else carries bytes to another process: a pipe, a Unix datagram socket, a POSIX queue, a queue under a mutex, a ring of Concurrency
 * Kit. */
#include "bench/peer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define BUFFER_BYTES (1 << 20)
#define BURST_MAX 256u
#define PIPE_SLOT_BYTES 4096u
#define KERNEL_SLICE_EVENTS 512u
#define MEMORY_SLICE_BYTES (4u << 20)
#define QUEUE_MESSAGES 10 /* what an ordinary user may have */

static void shape_memory(struct peer *peer);
static int open_pipe(struct peer *peer);
static int open_datagram(struct peer *peer);
static int open_queue(struct peer *peer);
static int probe_burst(struct peer *peer);
static ssize_t write_one(struct peer *peer, const void *data);
static ssize_t read_one(struct peer *peer);

int peer_open(enum peer_kind kind, size_t len, uint64_t bytes, struct peer *peer)
{
    int err = -EINVAL;

    *peer = (struct peer){.kind = kind, .len = len, .write_fd = -1, .read_fd = -1, .queue = (mqd_t)-1, .slice_events = KERNEL_SLICE_EVENTS};
    peer->scratch = calloc(1, len);
    if (!peer->scratch)
        return -ENOMEM;
    switch (kind) {
    case PEER_PIPE:
        err = open_pipe(peer);
        break;
    case PEER_DATAGRAM:
        err = open_datagram(peer);
        break;
    case PEER_QUEUE:
        err = open_queue(peer);
        break;
    case PEER_MUTEX:
        err = peer_mutex_open(len, bytes, &peer->memory, &peer->burst_max);
        break;
    case PEER_CK:
        err = peer_ck_open(len, bytes, &peer->memory, &peer->burst_max);
        break;
    }
    if (peer->memory)
        shape_memory(peer);
    if (!err && (kind == PEER_DATAGRAM || kind == PEER_QUEUE))
        err = probe_burst(peer);
    if (err)
        peer_close(peer);
    return err;
}

void peer_close(struct peer *peer)
{
    if (peer->write_fd >= 0)
        close(peer->write_fd);
    if (peer->read_fd >= 0)
        close(peer->read_fd);
    if (peer->queue != (mqd_t)-1)
        mq_close(peer->queue);
    peer_memory_close(peer->memory);
    free(peer->scratch);
    *peer = (struct peer){.write_fd = -1, .read_fd = -1, .queue = (mqd_t)-1};
}

int peer_write(struct peer *peer, const void *data, uint32_t count)
{
    if (peer->kind == PEER_CK)
        return peer_ck_write(peer->memory, data, count);
    if (peer->kind == PEER_MUTEX)
        return peer_mutex_write(peer->memory, data, count);
    for (uint32_t i = 0; i < count; i++) {
        ssize_t written = write_one(peer, data);

        if (written < 0)
            return -errno;
        if (peer->kind != PEER_QUEUE && (size_t)written != peer->len)
            return -EMSGSIZE;
    }
    return 0;
}

int peer_empty(struct peer *peer, uint32_t count)
{
    if (peer->kind == PEER_CK)
        return peer_ck_read(peer->memory, peer->scratch, count);
    if (peer->kind == PEER_MUTEX)
        return peer_mutex_read(peer->memory, peer->scratch, count);
    for (uint32_t i = 0; i < count; i++)
        if (read_one(peer) < 0)
            return -errno;
    return 0;
}

uint32_t peer_unread(struct peer *peer)
{
    return peer->kind == PEER_CK ? peer_ck_count(peer->memory) : peer_mutex_count(peer->memory);
}

int peer_take(struct peer *peer, void *to)
{
    return peer->kind == PEER_CK ? peer_ck_read(peer->memory, to, 1) : peer_mutex_read(peer->memory, to, 1);
}

/* Bursts of half of it, as the ring has them, and slices long enough for what takes a few nanoseconds. */
static void shape_memory(struct peer *peer)
{
    peer->room = peer->burst_max;
    peer->burst_max = peer->burst_max / 2 > 0 ? peer->burst_max / 2 : 1;
    peer->slice_events = (uint32_t)(MEMORY_SLICE_BYTES / peer->len);
    if (peer->slice_events < peer->burst_max)
        peer->slice_events = peer->burst_max;
}

static int open_pipe(struct peer *peer)
{
    int fd[2];

    if (pipe2(fd, O_CLOEXEC | O_NONBLOCK))
        return -errno;
    peer->read_fd = fd[0];
    peer->write_fd = fd[1];
    fcntl(fd[1], F_SETPIPE_SZ, BUFFER_BYTES); /* as much as the system allows */
    /* A message begins a slot or fills the one before up: so many are sure to go in whole. */
    peer->burst_max =
        (uint32_t)fcntl(fd[1], F_GETPIPE_SZ) / PIPE_SLOT_BYTES / (uint32_t)((peer->len + PIPE_SLOT_BYTES - 1) / PIPE_SLOT_BYTES);
    if (peer->burst_max > BURST_MAX)
        peer->burst_max = BURST_MAX;
    return peer->burst_max > 0 ? 0 : -EMSGSIZE;
}

static int open_datagram(struct peer *peer)
{
    int bytes = BUFFER_BYTES;
    int fd[2];

    if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fd))
        return -errno;
    peer->read_fd = fd[0];
    peer->write_fd = fd[1];
    setsockopt(fd[1], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes)); /* as much as the system allows */
    return 0;
}

static int open_queue(struct peer *peer)
{
    struct mq_attr shape = {.mq_maxmsg = QUEUE_MESSAGES, .mq_msgsize = (long)peer->len};
    char name[64];

    snprintf(name, sizeof(name), "/ehring-bench.%ld", (long)getpid());
    peer->queue = mq_open(name, O_RDWR | O_CREAT | O_EXCL | O_NONBLOCK | O_CLOEXEC, 0600, &shape);
    if (peer->queue == (mqd_t)-1)
        return -errno;
    mq_unlink(name);
    return 0;
}

/* Fills it once to learn what it holds. */
static int probe_burst(struct peer *peer)
{
    while (peer->burst_max < BURST_MAX && write_one(peer, peer->scratch) >= 0)
        peer->burst_max++;
    return peer->burst_max > 0 ? peer_empty(peer, peer->burst_max) : -errno;
}

static ssize_t write_one(struct peer *peer, const void *data)
{
    switch (peer->kind) {
    case PEER_PIPE:
    case PEER_DATAGRAM:
        return write(peer->write_fd, data, peer->len);
    case PEER_QUEUE:
        return mq_send(peer->queue, data, peer->len, 0);
    case PEER_MUTEX:
    case PEER_CK:
        break;
    }
    return -1;
}

static ssize_t read_one(struct peer *peer)
{
    switch (peer->kind) {
    case PEER_PIPE:
    case PEER_DATAGRAM:
        return read(peer->read_fd, peer->scratch, peer->len);
    case PEER_QUEUE:
        return mq_receive(peer->queue, (char *)peer->scratch, peer->len, NULL);
    case PEER_MUTEX:
    case PEER_CK:
        break;
    }
    return -1;
}
