/* The table of the shipper's counters: name, unit, kind, place, help. */
#include "shipper/counters.h"

#include <stddef.h>

#define ONE(group, field, kind_, unit_, help_)                                                                                             \
    {                                                                                                                                      \
        .name = #field, .unit = unit_, .off = offsetof(struct counters_words, group.field), .count = 1, .kind = kind_, .width = 8,         \
        .help = help_                                                                                                                      \
    }
#define BY_REASON(field, count_, unit_, help_)                                                                                             \
    {                                                                                                                                      \
        .name = #field, .unit = unit_, .index = "reason", .off = offsetof(struct counters_words, totals.field), .stride = 8,               \
        .count = count_, .kind = RING_STAT_COUNTER, .width = 8, .help = help_                                                              \
    }
#define REMOVING(field, unit_) /* of the redo record: what the totals are to be */                                                         \
    {                                                                                                                                      \
        .name = "removing_" #field, .unit = unit_, .off = offsetof(struct counters_words, redo.totals.field), .count = 1,                  \
        .kind = RING_STAT_GAUGE, .width = 8, .help = REMOVING_HELP                                                                         \
    }
#define REMOVING_BY_REASON(field, count_, unit_)                                                                                           \
    {                                                                                                                                      \
        .name = "removing_" #field, .unit = unit_, .index = "reason", .off = offsetof(struct counters_words, redo.totals.field),           \
        .stride = 8, .count = count_, .kind = RING_STAT_GAUGE, .width = 8, .help = REMOVING_HELP                                           \
    }
#define REMOVING_HELP "what the total of this name is while removing_full is 1"
#define PER_WORKER(field, kind_, unit_, help_)                                                                                             \
    {                                                                                                                                      \
        .name = #field, .unit = unit_, .index = "worker", .off = offsetof(struct counters_words, worker[0].field),                         \
        .stride = sizeof(struct counters_worker), .count = COUNTERS_WORKERS, .kind = kind_, .width = 8, .help = help_                      \
    }
#define HIST(field, help_)                                                                                                                 \
    {                                                                                                                                      \
        .name = #field, .unit = "ns", .index = "worker", .off = offsetof(struct counters_words, field),                                    \
        .stride = sizeof(struct ring_hist), .count = COUNTERS_WORKERS, .kind = RING_STAT_HISTOGRAM, .width = 8, .help = help_              \
    }
#define C RING_STAT_COUNTER
#define G RING_STAT_GAUGE

const struct ring_stat_desc counters_table[] = {
    ONE(main, ring_count, G, "rings", "rings of the stream that are drained now"),
    ONE(main, quarantined_rings, G, "rings", "rings left out because they broke a rule"),
    ONE(main, refused_files, C, "files", "files in the directory that could not be opened as rings"),
    ONE(main, partition_count, G, "partitions", "the hub's partitions as last read"),
    ONE(main, message_bytes_max, G, "bytes", "the link's max-message-size, 0 before the first attach"),
    ONE(totals, removed_rings, C, "rings", "rings whose producer is gone, drained and removed"),
    ONE(totals, committed_events, C, "events", "committed into removed rings"),
    ONE(totals, accepted_events, C, "events", "accepted from removed rings"),
    ONE(totals, accepted_bytes, C, "bytes", "payload accepted from removed rings"),
    ONE(totals, accepted_batches, C, "batches", "accepted shares of batches from removed rings"),
    ONE(totals, dead_lettered_events, C, "events", "dead-lettered from removed rings"),
    ONE(totals, maybe_duplicate_events, C, "events", "sent with an unknown outcome and sent again, removed rings and ended shippers"),
    ONE(totals, refused_calls, C, "calls", "calls refused by the library, removed rings"),
    BY_REASON(dropped_events, RING_DROPPED_REASONS, "events", "given up after commit, removed rings"),
    BY_REASON(refused_events, RING_REFUSED_REASONS, "events", "calls refused by the library, removed rings"),
    {.name = "removing_full",
     .unit = "flag",
     .off = offsetof(struct counters_words, redo.full),
     .count = 1,
     .kind = RING_STAT_GAUGE,
     .width = 4,
     .help = "1: a ring is being removed, the next start completes it"},
    {.name = "removing_ring",
     .unit = "file",
     .off = offsetof(struct counters_words, redo.ring_file),
     .stride = 256,
     .count = 1,
     .kind = RING_STAT_TEXT,
     .width = 8,
     .help = "the ring that was removed last, or is while removing_full is 1"},
    REMOVING(removed_rings, "rings"),
    REMOVING(committed_events, "events"),
    REMOVING(accepted_events, "events"),
    REMOVING(accepted_bytes, "bytes"),
    REMOVING(accepted_batches, "batches"),
    REMOVING(dead_lettered_events, "events"),
    REMOVING(maybe_duplicate_events, "events"),
    REMOVING(refused_calls, "calls"),
    REMOVING_BY_REASON(dropped_events, RING_DROPPED_REASONS, "events"),
    REMOVING_BY_REASON(refused_events, RING_REFUSED_REASONS, "events"),
    PER_WORKER(batch_count, C, "batches", "batches begun"),
    PER_WORKER(batch_events, C, "events", "events in batches begun, repeats included"),
    PER_WORKER(batch_bytes, C, "bytes", "encoded bytes of batches begun"),
    PER_WORKER(accepted_deliveries, C, "deliveries", "deliveries accepted"),
    PER_WORKER(rejected_deliveries, C, "deliveries", "deliveries rejected, to be sent again"),
    PER_WORKER(released_deliveries, C, "deliveries", "deliveries released, to be sent again"),
    PER_WORKER(modified_deliveries, C, "deliveries", "deliveries modified, to be sent again"),
    PER_WORKER(unknown_deliveries, C, "deliveries", "deliveries whose link or connection ended first, to be sent again"),
    PER_WORKER(connect_count, C, "connects", "connections that became ready"),
    PER_WORKER(connect_failed_count, C, "connects", "attempts that did not become ready"),
    PER_WORKER(connection_lost_count, C, "connects", "ready connections that were lost"),
    PER_WORKER(link_attach_count, C, "links", "links attached"),
    PER_WORKER(link_ended_count, C, "links", "links refused or detached"),
    PER_WORKER(token_count, C, "tokens", "tokens accepted"),
    PER_WORKER(token_refused_count, C, "tokens", "tokens refused"),
    PER_WORKER(key_switched_count, C, "times", "a key was refused and the other one taken"),
    PER_WORKER(sent_bytes, C, "bytes", "bytes given to the sockets"),
    PER_WORKER(received_bytes, C, "bytes", "bytes from the sockets"),
    PER_WORKER(sleep_count, C, "sleeps", "sleeps of the worker, all its streams"),
    PER_WORKER(pass_count, C, "passes", "looks at the rings"),
    PER_WORKER(behind_count, C, "times", "a ring fell behind in a domain whose list was full or failing"),
    PER_WORKER(inflight_bytes, G, "bytes", "encoded bytes sent and not settled now"),
    PER_WORKER(inflight_events, G, "events", "sent and not settled; after a kill maybe_duplicate at the next start"),
    PER_WORKER(ready_connection_count, G, "connections", "connections now with a token accepted, a link attached and credit given"),
    PER_WORKER(connecting, G, "connections", "connections being made now"),
    PER_WORKER(links, G, "links", "links on all connections now"),
    PER_WORKER(links_of_busiest, G, "links", "links on the connection that has most now"),
    PER_WORKER(expired_idle_count, C, "connects", "connections closed after max_idle_seconds"),
    PER_WORKER(expired_lifespan_count, C, "connects", "connections replaced after max_lifespan_seconds"),
    PER_WORKER(link_moved_count, C, "links", "links that moved to another connection"),
    PER_WORKER(ready_message_count, C, "events", "ready_messages accepted, beside the ledger"),
    PER_WORKER(split_count, C, "batches", "batches refused for size or content and sent again in parts"),
    PER_WORKER(throttled_deliveries, C, "deliveries", "deliveries the hub was too busy for, to be sent again"),
    PER_WORKER(throttled_seconds, C, "s", "time in which the hub had asked for a wait somewhere"),
    PER_WORKER(paced_domains, G, "domains", "partitions slowed down after the hub was too busy"),
    PER_WORKER(circuit_state, G, "state", "0 closed: the hub is fine; 1 open: left alone; 2 half-open: one batch tries"),
    PER_WORKER(circuit_opened_count, C, "times", "the circuit opened after failures in a row"),
    PER_WORKER(dead_letter_failed_count, C, "times", "dead letters could not be written, and are tried again"),
    PER_WORKER(held_domains, G, "domains", "partitions and classes that wait after a failure"),
    HIST(commit_to_read, "an event's commit to its walk, events with a time only"),
    HIST(read_to_send, "walk of a batch's oldest record to the first byte handed over"),
    HIST(send_to_accept, "batch handed over to its acceptance"),
    HIST(commit_to_accept, "an event's commit to its acceptance, events with a time, sampled"),
};
const uint32_t counters_table_count = sizeof counters_table / sizeof counters_table[0];
