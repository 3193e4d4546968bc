/* The ledger's equation, and the ledgers of a ring and of a stream's removed rings. */
#include "ring_ledger.h"

#include <errno.h>
#include <sched.h>
#include <stdbool.h>
#include <string.h>

#include "ring_dropped.h"
#include "ring_internal.h"
#include "ring_order.h"

#define CUT_TRIES 200
#define SAME_TIMES 3 /* an open ledger stays open by the same number; only then it is believed */

struct totals {
    uint64_t removed_rings;
    uint64_t committed_events;
    uint64_t accepted_events;
    uint64_t dead_lettered_events;
    uint64_t maybe_duplicate_events;
    uint64_t refused_calls;
    uint64_t dropped[RING_DROPPED_REASONS];
    uint64_t refused[RING_REFUSED_REASONS];
};

static const struct total_line { /* the line's name in a shipper's file, and where its values go */
    const char *name;
    size_t off;
    uint32_t count;
} total_lines[] = {
    {"removed_rings", offsetof(struct totals, removed_rings), 1},
    {"committed_events", offsetof(struct totals, committed_events), 1},
    {"accepted_events", offsetof(struct totals, accepted_events), 1},
    {"dead_lettered_events", offsetof(struct totals, dead_lettered_events), 1},
    {"maybe_duplicate_events", offsetof(struct totals, maybe_duplicate_events), 1},
    {"refused_calls", offsetof(struct totals, refused_calls), 1},
    {"dropped_events", offsetof(struct totals, dropped), RING_DROPPED_REASONS},
    {"refused_events", offsetof(struct totals, refused), RING_REFUSED_REASONS},
};
static const char redo_prefix[] = "removing_";

struct totals_look {
    uint64_t full;
    struct totals now;
    struct totals redo;
    char removing[NAME_MAX + 1];
};

static int take(const struct ring *ring, struct ring_ledger *out);
static int refuse(const struct ring *ring, int err, struct ring_refusal *why);
static bool totals_look(const struct ring_stat_view *view, struct totals_look *look, const char **missing);
static bool line_look(const struct ring_stat_view *view, const char *prefix, const struct total_line *line, struct totals *totals);
static struct ring_ledger ledger_of(const struct totals *totals);
static const struct ring_stat_desc *find(const struct ring_stat_view *view, const char *prefix, const char *name);

int64_t ring_ledger_difference(const struct ring_ledger *ledger)
{
    return (int64_t)(ledger->committed_events - ledger->accepted_events - ledger->dead_lettered_events - ledger->dropped_events -
                     ledger->pending_events);
}

void ring_ledger_add(struct ring_ledger *sum, const struct ring_ledger *more)
{
    sum->committed_events += more->committed_events;
    sum->accepted_events += more->accepted_events;
    sum->dead_lettered_events += more->dead_lettered_events;
    sum->dropped_events += more->dropped_events;
    sum->pending_events += more->pending_events;
    sum->maybe_duplicate_events += more->maybe_duplicate_events;
    sum->refused_calls += more->refused_calls;
    for (uint32_t i = 0; i < RING_DROPPED_REASONS; i++)
        sum->dropped[i] += more->dropped[i];
    for (uint32_t i = 0; i < RING_REFUSED_REASONS; i++)
        sum->refused[i] += more->refused[i];
}

int ring_ledger_of_ring(const struct ring *ring, struct ring_ledger *out, struct ring_refusal *why)
{
    uint64_t write_pos = order_observe(&ring->producer->hot.write_pos);
    bool believed = ring_is_this_boot(ring); /* else pages of different instants may be together in the file */
    int64_t last_difference = 0;
    int same = 0;

    if (ring_quarantined(ring) != RING_QUARANTINE_NONE)
        return refuse(ring, -EBADMSG, why);
    if (!believed && ring_synced_pos(ring) != write_pos && order_load_gate(&ring->shipper->gate.gate_pos) != write_pos)
        return refuse(ring, -ESTALE, why);
    for (int tries = 0; tries < CUT_TRIES; tries++, sched_yield()) {
        int err = take(ring, out);
        if (err == -EAGAIN)
            continue;
        if (err)
            return refuse(ring, err, why);
        int64_t difference = ring_ledger_difference(out);
        same = same > 0 && difference == last_difference ? same + 1 : 1;
        last_difference = difference;
        if (difference == 0 || same == SAME_TIMES)
            return difference == 0 || believed ? 0 : refuse(ring, -ESTALE, why);
    }
    return refuse(ring, -EAGAIN, why);
}

int ring_ledger_of_removed(const struct ring_stat_view *view, struct ring_ledger_removed *out, struct ring_refusal *why)
{
    struct totals_look first, second;
    const char *missing = NULL;

    *out = (struct ring_ledger_removed){0};
    for (int tries = 0; tries < CUT_TRIES; tries++, sched_yield()) {
        if (!totals_look(view, &first, &missing) || !totals_look(view, &second, &missing))
            return ring_refuse(why, RING_INCONSISTENT, -ENOENT, "it has no line %s%s", missing, ": not a shipper's file of this version");
        if (ring_guard_faulted(view->guard))
            return ring_refuse(why, RING_TOO_SHORT, -EBADMSG, "the file was cut while it was read");
        if (memcmp(&first, &second, sizeof(first)) != 0)
            continue;
        if (second.full > 1)
            return ring_refuse(why, RING_INCONSISTENT, -EBADMSG, "its redo record is neither full nor empty but %llu",
                               (unsigned long long)second.full);
        out->ledger = ledger_of(second.full ? &second.redo : &second.now);
        out->removed_rings = second.full ? second.redo.removed_rings : second.now.removed_rings;
        if (second.full)
            memcpy(out->removing, second.removing, sizeof(out->removing));
        return 0;
    }
    return ring_refuse(why, RING_READY, -EAGAIN, "no consistent cut in %d tries: rings are removed all the time", CUT_TRIES);
}

/* The shipper's half first: what is settled then was committed before the writer's half is read. */
static int take(const struct ring *ring, struct ring_ledger *out)
{
    struct ring_cut cut = {0};
    uint64_t write_pos;
    int err = ring_cut_take(ring, &cut);

    *out = (struct ring_ledger){0};
    if (!err)
        err = ring_committed_read(ring, &write_pos, &out->committed_events);
    if (!err)
        err = ring_cut_count_pending(ring, &cut, write_pos, &out->pending_events);
    out->accepted_events = cut.settled.accepted_events;
    out->dead_lettered_events = cut.settled.dead_lettered_events;
    memcpy(out->dropped, cut.settled.dropped_events, sizeof(out->dropped));
    out->dropped_events = ring_dropped_sum(out->dropped);
    out->maybe_duplicate_events = cut.settled.maybe_duplicate_events;
    for (uint32_t i = 0; i < RING_REFUSED_REASONS; i++) {
        out->refused[i] = order_none_load64(&ring->producer->counters.refused[i]);
        out->refused_calls += out->refused[i];
    }
    return err;
}

static int refuse(const struct ring *ring, int err, struct ring_refusal *why)
{
    if (err == -EAGAIN)
        return ring_refuse(why, RING_READY, err, "no consistent cut in %d tries: the ring is too busy, try again", CUT_TRIES);
    if (err == -ESTALE)
        return ring_refuse(why, RING_READY, err, "of an earlier boot, synced to byte %llu: nobody can tell what did not reach the disk",
                           (unsigned long long)ring_synced_pos(ring));
    if (ring_faulted(ring))
        return ring_refuse(why, RING_TOO_SHORT, err, "the file was cut while it was read");
    if (ring_quarantined(ring) != RING_QUARANTINE_NONE)
        return ring_refuse(why, RING_INCONSISTENT, err, "in quarantine: %s", ring_quarantine_text(ring_quarantined(ring)));
    return ring_refuse(why, RING_INCONSISTENT, err, "records or positions between byte %llu and %llu cannot be",
                       (unsigned long long)order_load_gate(&ring->shipper->gate.gate_pos),
                       (unsigned long long)order_observe(&ring->producer->hot.write_pos));
}

/* Each word once, in the order of a redo (R2): twice the same is a cut, since every removal changes the number of rings. False: a line is
 * *missing. */
static bool totals_look(const struct ring_stat_view *view, struct totals_look *look, const char **missing)
{
    const struct ring_stat_desc *full = find(view, redo_prefix, "full"), *ring = find(view, redo_prefix, "ring");

    memset(look, 0, sizeof(*look));
    *missing = full ? "removing_ring" : "removing_full";
    if (!full || !ring)
        return false;
    look->full = ring_stat_value(view, full, 0);
    ring_stat_text(view, ring, look->removing, sizeof(look->removing));
    for (size_t i = 0; i < sizeof(total_lines) / sizeof(total_lines[0]); i++) {
        *missing = total_lines[i].name;
        if (!line_look(view, "", &total_lines[i], &look->now) || !line_look(view, redo_prefix, &total_lines[i], &look->redo))
            return false;
    }
    return true;
}

static bool line_look(const struct ring_stat_view *view, const char *prefix, const struct total_line *line, struct totals *totals)
{
    const struct ring_stat_desc *desc = find(view, prefix, line->name);
    uint64_t *to = (uint64_t *)(void *)((uint8_t *)totals + line->off);

    for (uint32_t i = 0; desc && i < line->count; i++)
        to[i] = ring_stat_value(view, desc, i);
    return desc != NULL;
}

static struct ring_ledger ledger_of(const struct totals *totals)
{
    struct ring_ledger ledger = {.committed_events = totals->committed_events,
                                 .accepted_events = totals->accepted_events,
                                 .dead_lettered_events = totals->dead_lettered_events,
                                 .maybe_duplicate_events = totals->maybe_duplicate_events,
                                 .refused_calls = totals->refused_calls};

    memcpy(ledger.dropped, totals->dropped, sizeof(ledger.dropped));
    memcpy(ledger.refused, totals->refused, sizeof(ledger.refused));
    ledger.dropped_events = ring_dropped_sum(ledger.dropped);
    return ledger;
}

static const struct ring_stat_desc *find(const struct ring_stat_view *view, const char *prefix, const char *name)
{
    size_t prefix_len = strlen(prefix);

    for (uint32_t i = 0; i < view->count; i++)
        if (strncmp(view->table[i].name, prefix, prefix_len) == 0 && strcmp(view->table[i].name + prefix_len, name) == 0)
            return &view->table[i];
    return NULL;
}
