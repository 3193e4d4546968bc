/* The ledger: what became of every committed event of a ring, or of the removed rings of a stream, and whether it adds up. Reads only. */
#ifndef EHRING_RING_LEDGER_H
#define EHRING_RING_LEDGER_H

#include <limits.h>
#include <stdint.h>

#include "ring.h"
#include "ring_layout.h"
#include "ring_stat.h"

struct ring_ledger {
    uint64_t committed_events;
    uint64_t accepted_events;
    uint64_t dead_lettered_events;
    uint64_t dropped_events;                /* given up after commit: all reasons */
    uint64_t dropped[RING_DROPPED_REASONS]; /* by enum ring_dropped */
    uint64_t pending_events;                /* counted by walking */
    uint64_t maybe_duplicate_events;        /* stands beside the equation */
    uint64_t refused_calls;                 /* never committed: all reasons */
    uint64_t refused[RING_REFUSED_REASONS]; /* by enum ring_refused */
};

/* The equation: committed less accepted, dead-lettered, dropped and pending. 0: it closes; above: events are missing; below: some were
 * counted twice. Any thread. */
int64_t ring_ledger_difference(const struct ring_ledger *ledger);
void ring_ledger_add(struct ring_ledger *sum, const struct ring_ledger *more);

/* The ledger of one ring, from a consistent cut however busy writer and shipper are; a full redo record is read as if applied. Any access,
 * any thread. 0: *out is a cut (that it closes is another matter); else `why` has the sentence and the result is -EAGAIN: no consistent cut
 * to be had; -EBADMSG: in quarantine, or records or positions that cannot be; -ESTALE: of an earlier boot, and not synced to its
 * end or its counts do not close, so nobody can tell. */
int ring_ledger_of_ring(const struct ring *ring, struct ring_ledger *out, struct ring_refusal *why);

struct ring_ledger_removed {   /* of a stream's file */
    struct ring_ledger ledger; /* no pending events */
    uint64_t removed_rings;
    char removing[NAME_MAX + 1]; /* the ring whose counts are in `ledger` already although its file may still be there; empty: none */
};

/* What removed rings had, by the lines' names in a shipper's file; a full redo record is read as if applied. 0, -EAGAIN as above, -EBADMSG:
 * cut while it was read, or a redo record that cannot be; -ENOENT: not a file with these lines. */
int ring_ledger_of_removed(const struct ring_stat_view *view, struct ring_ledger_removed *out, struct ring_refusal *why);

#endif
