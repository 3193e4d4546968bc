/* The ring's own counters as a table: every word of producer, lanes, gate, control and histograms by its offset in the file. */
#include <stdio.h>
#include <string.h>

#include "ring_dropped.h"
#include "ring_internal.h"
#include "ring_stat.h"

enum region { REGION_PRODUCER, REGION_SHIPPER };

struct line {
    const char *name, *unit, *index, *help;
    size_t off;
    uint32_t stride;
    uint16_t count;
    uint8_t kind, width, region;
};

#define PRODUCER(field) .region = REGION_PRODUCER, .off = offsetof(struct ring_producer, field)
#define SHIPPER(field) .region = REGION_SHIPPER, .off = offsetof(struct ring_shipper, field)
#define LANE(field) SHIPPER(lane[0].field), .stride = sizeof(struct ring_lane_words), .count = RING_LANES_MAX, .index = "lane"

static const struct line lines[] = {
    {"write_pos", "bytes", PRODUCER(hot.write_pos), .kind = RING_STAT_POSITION, .help = "what the producer has published"},
    {"committed_events", "events", PRODUCER(hot.event_count), .kind = RING_STAT_COUNTER,
     .help = "events committed; after a kill a batch ahead of write_pos at most"},
    {"flush_pos", "bytes", PRODUCER(hot.flush_pos), .kind = RING_STAT_POSITION, .help = "the producer's last flush asked for all below"},
    {"waiting", "flag", PRODUCER(hot.waiting), .kind = RING_STAT_GAUGE, .width = 4, .help = "1: the producer waits on the gate"},
    {"closed", "flag", PRODUCER(hot.closed), .kind = RING_STAT_GAUGE, .width = 4, .help = "1: closed by its owner"},
    {"refused_events", "events", PRODUCER(counters.refused), .stride = 8, .count = RING_REFUSED_REASONS, .index = "reason",
     .kind = RING_STAT_COUNTER, .help = "calls refused, never committed"},
    {"producer_synced_pos", "bytes", PRODUCER(sync.synced_pos), .kind = RING_STAT_POSITION,
     .help = "the producer has synced all below to its disk"},
    {"released_pos", "bytes", PRODUCER(sync.released_pos), .kind = RING_STAT_POSITION,
     .help = "with EHRING_SYNC: the gate on the disk, below it the producer may overwrite"},
    {"sync_count", "syncs", PRODUCER(sync.sync_count), .kind = RING_STAT_COUNTER, .help = "group syncs (EHRING_SYNC) that wrote something"},
    {"sync_failed_count", "syncs", PRODUCER(sync.sync_failed_count), .kind = RING_STAT_COUNTER, .help = "syncs that the disk refused"},
    {"bell_count", "rings", PRODUCER(counters.bell_count), .kind = RING_STAT_COUNTER, .help = "times the producer rang the doorbell"},
    {"wait_count", "waits", PRODUCER(counters.wait_count), .kind = RING_STAT_COUNTER, .help = "times the producer waited for room"},
    {"gate_pos", "bytes", SHIPPER(gate.gate_pos), .kind = RING_STAT_POSITION, .help = "below it the producer may overwrite"},
    {"sleeping", "number", SHIPPER(sleeping.number), .kind = RING_STAT_GAUGE,
     .help = "0: the shipper is awake, else the number of its sleep"},
    {"event_bytes_max", "bytes", SHIPPER(limit.event_bytes_max), .kind = RING_STAT_GAUGE, .width = 4,
     .help = "the stream's limit as the shipper told it; 0: not yet"},
    {"partition_count", "partitions", SHIPPER(control.partition_count), .kind = RING_STAT_GAUGE, .width = 4,
     .help = "in force for done_pos; 0: none yet"},
    {"lane_count", "lanes", SHIPPER(control.lane_count), .kind = RING_STAT_GAUGE, .width = 4, .help = "lanes in force"},
    {"quarantine", "reason", SHIPPER(control.quarantine), .kind = RING_STAT_GAUGE, .width = 4,
     .help = "0: none, else why the shipper left this ring out"},
    {"quarantine_pos", "bytes", SHIPPER(control.quarantine_pos), .kind = RING_STAT_POSITION, .help = "where the ring broke a rule"},
    {"shipper_pid", "pid", SHIPPER(control.shipper_pid), .kind = RING_STAT_GAUGE, .width = 4,
     .help = "the last shipper that began this ring"},
    {"shipper_synced_pos", "bytes", SHIPPER(control.synced_pos), .kind = RING_STAT_POSITION,
     .help = "the shipper has synced all below to its disk"},
    {"read_pos", "bytes", LANE(read_pos), .kind = RING_STAT_POSITION, .help = "the lane has walked all below"},
    {"ack_pos", "bytes", LANE(ack_pos), .kind = RING_STAT_POSITION, .help = "the lane needs nothing below; the smallest is the gate"},
    {"accepted_events", "events", LANE(counts.accepted_events), .kind = RING_STAT_COUNTER, .help = "accepted by the broker"},
    {"accepted_bytes", "bytes", LANE(counts.accepted_bytes), .kind = RING_STAT_COUNTER, .help = "payload bytes of accepted events"},
    {"accepted_batches", "batches", LANE(counts.accepted_batches), .kind = RING_STAT_COUNTER,
     .help = "accepted batches, one count for each ring in them"},
    {"dead_lettered_events", "events", LANE(counts.dead_lettered_events), .kind = RING_STAT_COUNTER, .help = "in the dead-letter file"},
    {"dropped_reboot_events", "events", LANE(counts.dropped_events[RING_DROPPED_REBOOT]), .kind = RING_STAT_COUNTER,
     .help = "given up: not synced before a reboot"},
    {"maybe_duplicate_events", "events", LANE(counts.maybe_duplicate_events), .kind = RING_STAT_COUNTER,
     .help = "sent again without knowing the first outcome"},
    {"redo_state", "state", LANE(redo.state), .kind = RING_STAT_GAUGE, .width = 4,
     .help = "1: a settlement is half stored, the next start completes it"},
    {"commit_to_accept", "ns", SHIPPER(commit_to_accept), .stride = sizeof(struct ring_hist), .count = RING_LANES_MAX, .index = "lane",
     .kind = RING_STAT_HISTOGRAM, .help = "from the event's time to its acceptance"},
};

uint32_t ring_table_fill(struct ring_stat_desc *to, const struct ring_geometry *geometry)
{
    uint32_t count = sizeof(lines) / sizeof(lines[0]);

    for (uint32_t i = 0; to && i < count; i++) {
        const struct line *line = &lines[i];
        uint64_t base = line->region == REGION_PRODUCER ? geometry->producer_off : geometry->shipper_off;
        to[i] = (struct ring_stat_desc){.off = base + line->off,
                                        .stride = line->stride,
                                        .count = line->count ? line->count : 1,
                                        .kind = line->kind,
                                        .width = line->width ? line->width : 8};
        snprintf(to[i].name, sizeof(to[i].name), "%s", line->name);
        snprintf(to[i].unit, sizeof(to[i].unit), "%s", line->unit);
        snprintf(to[i].index, sizeof(to[i].index), "%s", line->index ? line->index : "");
        snprintf(to[i].help, sizeof(to[i].help), "%s", line->help);
    }
    return count;
}
