/* Events into a ring of their stream, and whether the shipper has brought them to the service. */
#ifndef CTL_REPLAY_RING_H
#define CTL_REPLAY_RING_H

#include <signal.h>
#include <stdint.h>

#include "client/ehring.h"
#include "replay_options.h"

struct replay_ring {
    struct ehring *ring;
    const volatile sig_atomic_t *stop;
    int64_t timeout_ms;
    uint64_t dead_lettered, abandoned; /* since open */
};

/* 0, or -1 after a message on stderr: no ring, or nobody drains the stream. */
int replay_ring_open(struct replay_ring *out, const struct replay_options *options, const volatile sig_atomic_t *stop);
void replay_ring_close(struct replay_ring *out);

/* 0: in the ring; 1: refused for what it is, `why` says so; -1: no more can be sent, `why` says why. */
int replay_ring_send(struct replay_ring *out, const struct ehring_event *event, const char **why);

/* Waits until all that was sent is settled. 0, or -1 with `why`. */
int replay_ring_settle(struct replay_ring *out, const char **why);
/* Events that came back as dead letters since the last call. */
uint64_t replay_ring_returned(struct replay_ring *out);

#endif
