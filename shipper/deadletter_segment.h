/* The segment of one stream that is being written: made, locked, appended to, followed by the next. Blocks for the disk; no thread of its
 * own. While it is written its writer holds a lock on it, by which others know that it is not to be removed. */
#ifndef EHRING_DEADLETTER_SEGMENT_H
#define EHRING_DEADLETTER_SEGMENT_H

#include <stddef.h>
#include <stdint.h>

struct deadletter_limits;

struct deadletter_segment {
    int dir_fd; /* of the stream; -1: not open */
    int fd;     /* -1: none is being written */
    uint32_t number;
    uint64_t len; /* whole and on the disk */
    int64_t opened_ns;
    char dir[1100];
    char path[1200];
};

/* Nothing is opened. `dir`: <dead letters>/<stream>. */
void deadletter_segment_init(struct deadletter_segment *segment, const char *dir, const char *stream);
void deadletter_segment_close(struct deadletter_segment *segment);

/* Appends the whole text and brings it to the disk. 0, or a negative errno with a sentence in `error`: the file has been cut back to what
 * it had before, or is not written any more. */
int deadletter_segment_append(struct deadletter_segment *segment, const struct deadletter_limits *limits, const char *text, size_t len,
                              char *error, size_t error_cap);

#endif
