/* The command line of ehring-ctl dead-letter replay. */
#ifndef CTL_REPLAY_OPTIONS_H
#define CTL_REPLAY_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "dead_options.h"
#include "tools/direct_peer.h"

enum replay_way { REPLAY_RING, REPLAY_DIRECT };

struct replay_options {
    struct dead_options dead;
    enum replay_way way;
    enum letter_times times;
    bool again;
    uint32_t rate; /* events per second, 0: no limit */
    /* ring */
    const char *rings_dir;
    uint64_t capacity_bytes;
    /* direct */
    struct direct_peer peer;
    /* both */
    int64_t timeout_ms; /* until a group of events is accepted; negative: no limit */
};

/* 0: go on; 1: --help was printed, end with 0; 2 after a message on stderr. */
int replay_options_read(struct replay_options *options, int argc, char **argv);

#endif
