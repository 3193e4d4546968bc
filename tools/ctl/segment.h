/* The segments of dead letters that lie in a directory, and their lines. Reads only. */
#ifndef CTL_SEGMENT_H
#define CTL_SEGMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "letter.h"

struct segment_names { /* sorted */
    char **name;
    size_t count, cap;
};

/* Streams of <dir>, or `stream` alone; segments of one stream. 0 with the list owned by the caller, or a negative errno: the directory
 * cannot be read. */
int segment_streams(const char *dir, const char *stream, struct segment_names *names);
int segment_list(const char *dir, const char *stream, struct segment_names *names);
void segment_names_free(struct segment_names *names);

/* One segment being read, line by line. */
struct segment {
    char path[4096];
    const char *name; /* within path */
    FILE *file;
    char *line;
    size_t line_cap;
    uint64_t line_number, bytes, torn_bytes;
    uint64_t bad_count; /* lines that are no letter */
};

/* 0 or a negative errno after a message on stderr. */
int segment_open(struct segment *segment, const char *dir, const char *stream, const char *name);
/* The next letter, the caller's to free, valid with segment->line until the next call. 1; 0: no more; negative errno after a message on
 * stderr. Lines that are no letter are named on stderr, counted and passed. A last line without its newline was never acknowledged to
 * anybody: it is named, counted in torn_bytes and passed. */
int segment_next(struct segment *segment, struct letter *letter);
void segment_close(struct segment *segment);

/* True while a shipper writes it, which alone may tell when it ends. */
bool segment_is_written(const struct segment *segment);
/* Keeps a shipper from taking the segment for its own until segment_close. 0, or -EBUSY: one writes it. */
int segment_keep(const struct segment *segment);

#endif
