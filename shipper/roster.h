/* The streams of a running shipper: opened, given another setup, let go. Main thread. */
#ifndef EHRING_ROSTER_H
#define EHRING_ROSTER_H

#include <stdint.h>

#include "shipper/config.h"
#include "shipper/discover.h"
#include "shipper/stream.h"

struct roster {
    struct stream *stream; /* CONFIG_STREAMS_MAX slots */
    struct worker *worker;
    uint32_t worker_count;
    struct discover *discover;
    const char *rings; /* the caller's */
    int main_fd;
    int64_t open_at_ns; /* when to look next for streams that are not open */
};

/* Opens all streams of `config`, before the workers are. 0, or a negative errno with a sentence in `why`. */
int roster_open(struct roster *roster, const struct config *config, char *why, size_t why_len);
void roster_close(struct roster *roster); /* after the workers' end */

/* The stream of this name that is open, or NULL. */
struct stream *roster_find(const struct roster *roster, const char *name);
/* `setup` (of which the stream becomes the user) is in force for it and its workers. */
void roster_change(struct roster *roster, struct stream *stream, struct setup *setup, enum config_effect effect);
/* What is in flight is settled, then its connections are closed and its lock is released. */
void roster_leave(struct roster *roster, struct stream *stream);
/* The configuration is another one: streams that are not open are looked for at once. */
void roster_hurry(struct roster *roster);

/* Once a second and when a worker wakes the main thread: goes on with streams that leave; opens those of `config` that are not open. One
 * that cannot be opened now is tried again in a while. */
void roster_step(struct roster *roster, const struct config *config, int64_t now_ns);

#endif
