/* The events of one partition in memory: appended to large segments, read by cursors, the oldest segment dropped first. */
#ifndef HUB_STORE_H
#define HUB_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct hub_segment {
    uint8_t *bytes;
    size_t len, cap;
    int64_t first_seq, first_time_ms;
    uint64_t first_offset;
    uint32_t event_count;
};

/* Zero-initialised is empty. Sequence numbers begin at 0; an offset is the position of an event among all bytes stored. */
struct hub_log {
    struct hub_segment *segments;
    uint32_t segment_count, segment_cap;
    uint64_t first_no; /* number of segments[0] among all there ever were */
    int64_t next_seq, last_time_ms;
    uint64_t next_offset, last_offset;
};

/* One stored event; points into a segment, valid until something is dropped. */
struct hub_record {
    int64_t seq, time_ms;
    uint64_t offset;
    const uint8_t *key, *event;
    uint32_t key_len, event_len;
};

/* A reader's place. */
struct hub_cursor {
    uint64_t segment_no;
    size_t pos;
};

enum hub_start { HUB_START_OFFSET, HUB_START_SEQUENCE, HUB_START_TIME, HUB_START_LATEST };

/* Where to begin: behind the value, or at it when inclusive. */
struct hub_position {
    enum hub_start start;
    int64_t value;
    bool inclusive;
};

/* Bytes of memory an event will take; 0 when it fits into the last segment. */
size_t hub_log_growth(const struct hub_log *log, size_t event_len, size_t key_len, size_t segment_bytes);

/* Appends an event with the next sequence number and offset, growing by what hub_log_growth said. */
void hub_log_append(struct hub_log *log, const struct hub_record *record, size_t segment_bytes);

/* Counts an event that is not kept. */
void hub_log_skip(struct hub_log *log, uint32_t event_count, uint64_t bytes, int64_t time_ms);

/* Drops the oldest segment. Returns the events lost, and how much memory it took in `bytes`. */
uint32_t hub_log_drop(struct hub_log *log, size_t *bytes);

/* Sequence number of the oldest event kept; next_seq when there is none. */
int64_t hub_log_begin_seq(const struct hub_log *log);

/* Sets a cursor to the first event behind (at) a position. */
void hub_log_seek(const struct hub_log *log, const struct hub_position *at, struct hub_cursor *cursor);

/* Reads the event at the cursor and steps over it. False: there is none yet. Dropped events are passed over. */
bool hub_log_read(const struct hub_log *log, struct hub_cursor *cursor, struct hub_record *record);

void hub_log_free(struct hub_log *log);

#endif
