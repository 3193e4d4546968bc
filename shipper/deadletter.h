/* Dead letters on a thread of its own: appends lines to JSON Lines segments of a stream and tells when they are on the disk. */
#ifndef EHRING_DEADLETTER_H
#define EHRING_DEADLETTER_H

#include <stddef.h>
#include <stdint.h>

#include "shipper/deadletter_json.h"

#define DEADLETTER_SEGMENT_BYTES_DEFAULT (UINT64_C(16) << 20)
#define DEADLETTER_SEGMENT_SECONDS_DEFAULT 3600u
#define DEADLETTER_STREAMS_MAX 64u /* that are open at a time: as many as a configuration may have */
#define DEADLETTER_STREAM_BYTES 64u

struct deadletter;
struct deadletter_limits {
    uint64_t segment_bytes_max;   /* a segment that has so many is followed by a new one; 0: the default */
    uint32_t segment_seconds_max; /* the same for its age; 0: the default */
};

/* Starts the thread; touches no file. `dir` (absolute, at most 1,000 bytes) and <dir>/<stream> are made, parents too, when the first letter
 * comes. 0, -ENOMEM, -ENAMETOOLONG or what pthread_create says. */
int deadletter_open(const char *dir, const struct deadletter_limits *limits, struct deadletter **out);
/* Jobs taken from now on go by these. 0, or -ENAMETOOLONG with nothing changed. Any thread. */
int deadletter_configure(struct deadletter *deadletter, const char *dir, const struct deadletter_limits *limits);
/* Waits for the job under way; jobs not begun are done with -ECANCELED. NULL is fine. */
void deadletter_close(struct deadletter *deadletter);

enum deadletter_state { DEADLETTER_IDLE, DEADLETTER_BUSY, DEADLETTER_DONE };

/* One job, owned by the asker, who must leave it and its text alone while BUSY. */
struct deadletter_job {
    char stream[DEADLETTER_STREAM_BYTES];
    const char *text; /* whole lines, each with its newline: appended as one, all or nothing */
    size_t len;
    int notify_fd;          /* eventfd of the asker, written when the job is done; negative: none */
    _Atomic uint32_t state; /* enum deadletter_state; read through deadletter_state() */
    int rc;           /* 0: the lines are on the disk; negative errno: they are not, or a broken disk may have some; read it when DONE */
    char error[1400]; /* then: a sentence */
    struct deadletter_job *next; /* the thread's */
};

/* Queues the job (state BUSY); jobs are done in turn. After an error the next job tries again: space may have returned. The number of jobs
 * is the callers' to bound. Any thread. */
void deadletter_submit(struct deadletter *deadletter, struct deadletter_job *job);
enum deadletter_state deadletter_state(const struct deadletter_job *job);

#endif
