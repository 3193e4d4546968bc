/* What a person sees while events are sent: one line that is written over, on a terminal only, and the last line. */
#ifndef SEND_PROGRESS_H
#define SEND_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
    bool shown; /* stderr is a terminal */
    int64_t start_ns, last_ns;
    uint64_t events, bytes;
    uint64_t last_events;
    uint64_t refused, without_key;
    uint64_t lag_bytes; /* of the ring: not accepted yet */
};

void progress_start(struct progress *progress);
/* True if it is time for a new line: the caller then fills in lag_bytes and calls progress_show. Cheap. */
bool progress_due(struct progress *progress);
void progress_show(struct progress *progress);
/* Ends the line and prints the summary; `outcome` is its last word. */
void progress_end(struct progress *progress, const char *outcome);

#endif
