/* The shipper's counters of one stream as one table, and the words they lie in: `<rings>/<stream>.stat`, kept across restarts. */
#ifndef EHRING_COUNTERS_H
#define EHRING_COUNTERS_H

#include <stdint.h>

#include "ringbuf/ring_stat.h"

#define COUNTERS_WORKERS 16u

/* Written by one worker, one cache line and more apart from the next. */
struct counters_worker {
    _Atomic uint64_t batch_count;
    _Atomic uint64_t batch_events;
    _Atomic uint64_t batch_bytes;
    _Atomic uint64_t accepted_deliveries;
    _Atomic uint64_t rejected_deliveries;
    _Atomic uint64_t released_deliveries;
    _Atomic uint64_t modified_deliveries;
    _Atomic uint64_t unknown_deliveries;
    _Atomic uint64_t connect_count;
    _Atomic uint64_t connect_failed_count;
    _Atomic uint64_t connection_lost_count;
    _Atomic uint64_t link_attach_count;
    _Atomic uint64_t link_ended_count;
    _Atomic uint64_t token_count;
    _Atomic uint64_t token_refused_count;
    _Atomic uint64_t sent_bytes;
    _Atomic uint64_t received_bytes;
    _Atomic uint64_t sleep_count;
    _Atomic uint64_t pass_count;
    _Atomic uint64_t behind_count;
    _Atomic uint64_t inflight_bytes;
    /* pool */
    _Atomic uint64_t ready_connection_count;
    _Atomic uint64_t connecting;
    _Atomic uint64_t links;
    _Atomic uint64_t links_of_busiest;
    _Atomic uint64_t expired_idle_count;
    _Atomic uint64_t expired_lifespan_count;
    _Atomic uint64_t link_moved_count;
    _Atomic uint64_t ready_message_count;
    /* what the hub refused or slowed down */
    _Atomic uint64_t split_count;
    _Atomic uint64_t throttled_deliveries;
    _Atomic uint64_t throttled_seconds;
    _Atomic uint64_t paced_domains;
    _Atomic uint64_t circuit_state;
    _Atomic uint64_t circuit_opened_count;
    _Atomic uint64_t dead_letter_failed_count;
    _Atomic uint64_t held_domains;
    _Atomic uint64_t inflight_events;
    _Atomic uint64_t key_switched_count;
    _Atomic uint64_t reserved[25];
};
static_assert(sizeof(struct counters_worker) == 512, "counters");

/* What removed rings had: their counts must not vanish with the files. Absolute values, changed as one through `redo`. */
struct counters_totals {
    _Atomic uint64_t removed_rings;
    _Atomic uint64_t committed_events;
    _Atomic uint64_t accepted_events;
    _Atomic uint64_t accepted_bytes;
    _Atomic uint64_t accepted_batches;
    _Atomic uint64_t dead_lettered_events;
    _Atomic uint64_t maybe_duplicate_events;
    _Atomic uint64_t refused_calls;
    _Atomic uint64_t dropped_events[RING_DROPPED_REASONS];
    _Atomic uint64_t refused_events[RING_REFUSED_REASONS];
};
static_assert(sizeof(struct counters_totals) == 256, "totals");

struct counters_redo {
    _Atomic uint32_t full;
    uint32_t reserved;
    char ring_file[256]; /* whose counts the totals below hold; it is unlinked when the redo is done */
    uint8_t pad[120];
    struct counters_totals totals;
};

struct counters_words {
    struct counters_totals totals; /* written by the main thread */
    struct counters_redo redo;     /* written by the main thread */
    struct {                       /* written by the main thread */
        _Atomic uint64_t ring_count;
        _Atomic uint64_t quarantined_rings;
        _Atomic uint64_t refused_files;
        _Atomic uint64_t partition_count;
        _Atomic uint64_t message_bytes_max;
        _Atomic uint64_t reserved[11];
    } main;
    struct counters_worker worker[COUNTERS_WORKERS];
    struct ring_hist commit_to_read[COUNTERS_WORKERS];
    struct ring_hist read_to_send[COUNTERS_WORKERS];
    struct ring_hist send_to_accept[COUNTERS_WORKERS];
    struct ring_hist commit_to_accept[COUNTERS_WORKERS];
};

extern const struct ring_stat_desc counters_table[];
extern const uint32_t counters_table_count;

#endif
