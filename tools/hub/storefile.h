/*
 * The append-only file of everything a hub stored.
 *
 *   file   = "EHRHUB01"  record*
 *   record = u32 length of what follows | u16 hub name length | u16 key length | u32 partition | u32 zero
 *            | i64 sequence number | i64 enqueued time, ms since 1970 | u64 offset | hub name | key | encoded event
 *
 * All numbers are little-endian. A key length of 0 means no key. A record that the end of the file cuts is not there.
 */
#ifndef HUB_STOREFILE_H
#define HUB_STOREFILE_H

#include "buf.h"
#include "store.h"

#include <stddef.h>
#include <stdint.h>

struct hub_storefile {
    int fd;
    struct hub_buf pending;
};

/* Opens or creates the file and leaves the write position behind its last whole record. 0 or a negative errno; -EILSEQ: not such a file. */
int hub_storefile_open(struct hub_storefile *f, const char *path);

/* Puts a record into the buffer of what hub_storefile_flush writes. */
void hub_storefile_put(struct hub_storefile *f, const char *hub, uint32_t partition, const struct hub_record *r);

/* Writes what was put. 0 or a negative errno. */
int hub_storefile_flush(struct hub_storefile *f);

/* Flushes and closes. */
int hub_storefile_close(struct hub_storefile *f);

/* A file being read from its beginning. */
struct hub_storereader {
    int fd;
    struct hub_buf in;
    uint64_t whole_len; /* bytes of the file up to the end of the last record that was read */
};

struct hub_storerecord {
    char hub[257];
    uint32_t partition;
    struct hub_record record;
};

/* 0 or a negative errno; -EILSEQ: not such a file. */
int hub_storereader_open(struct hub_storereader *r, const char *path);

/* Reads the next record, valid until the next call. 1, 0 at the end (or a record cut by it), or a negative errno. */
int hub_storereader_next(struct hub_storereader *r, struct hub_storerecord *record);

void hub_storereader_close(struct hub_storereader *r);

#endif
