/* Events over a connection of our own, each with its outcome. */
#ifndef CTL_REPLAY_DIRECT_H
#define CTL_REPLAY_DIRECT_H

#include <signal.h>

#include "client/ehring.h"
#include "replay_options.h"

struct ehring_direct;
struct replay_direct {
    struct ehring_direct *direct;
    const volatile sig_atomic_t *stop;
    int timeout_ms;
    char why[1300];
};

/* 0, or -1 after a message on stderr. */
int replay_direct_open(struct replay_direct *out, const struct replay_options *options, const volatile sig_atomic_t *stop);
void replay_direct_close(struct replay_direct *out);
/* 0: accepted; 1: refused, `why` says so; -1: no more can be sent, `why` says why. */
int replay_direct_send(struct replay_direct *out, const struct ehring_event *event, const char **why);

#endif
