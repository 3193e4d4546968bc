/* Which letters were replayed: their ids, a line each, in a file beside each segment (<segment>.replayed). */
#ifndef CTL_MARKS_H
#define CTL_MARKS_H

#include <stdbool.h>
#include <stddef.h>

#include "client/ehring.h"

struct marks { /* a set; all zero: empty */
    struct ehring_identity *slot;
    bool *used;
    size_t count, cap;
};

/* Reads the marks of one segment into the set. A last line without its newline is no mark. 0 (also if there is no file), or a negative
 * errno after a message on stderr. */
int marks_load(struct marks *marks, const char *segment_path);
/* Those of all segments of a stream. */
int marks_load_stream(struct marks *marks, const char *dir, const char *stream);
int marks_add(struct marks *marks, const struct ehring_identity *id); /* 0 or -ENOMEM */
bool marks_have(const struct marks *marks, const struct ehring_identity *id);
void marks_free(struct marks *marks);

/* Appends to the segment's file and brings it to the disk; makes the file if it is missing and cuts a half line off first. Under the lock
 * of the stream. 0, or a negative errno after a message on stderr. */
int marks_append(const char *segment_path, const struct ehring_identity *id, size_t count);

/* One process at a time marks or purges a stream. A descriptor to be closed, or -EBUSY and others after a message on stderr. */
int marks_lock(const char *dir, const char *stream);

#define MARKS_SUFFIX ".replayed"

#endif
