/* The ledgers of a stream: each ring's, the removed rings', and their sum. */
#ifndef STAT_AUDIT_H
#define STAT_AUDIT_H

#include <stdbool.h>
#include <stddef.h>

#include "ringbuf/ring_ledger.h"

enum audit_verdict { AUDIT_CLOSES, AUDIT_OPEN, AUDIT_UNKNOWN };

struct audit_part { /* a ring, or what removed rings had */
    enum audit_verdict verdict;
    struct ring_ledger ledger;
    char *file;    /* of the ring; NULL: removed rings */
    char why[256]; /* why nobody can tell */
};

struct audit_stream {
    const char *name;
    enum audit_verdict verdict;
    struct audit_part *ring;
    size_t ring_count;
    bool has_removed; /* a shipper has made the stream's file */
    struct audit_part removed;
    struct ring_ledger_removed totals;
    struct ring_ledger sum; /* of all parts that can be read */
    char why[256];          /* why nobody can tell of the stream as a whole; empty: its parts say it */
};

/* Looks at all of a stream until no ring was removed meanwhile, so that none is counted twice or not at all. `name` must outlive it.
 * stat_audit_close in every case. */
void stat_audit(struct audit_stream *audit, const char *rings_dir, const char *name);
void stat_audit_close(struct audit_stream *audit);

#endif
