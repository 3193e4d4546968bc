/* Counters that carry name, kind, unit and help in shared memory, and the log-linear histogram. Readable after everyone is dead.
 * Two kinds of file hold such a table: a ring (in its constants) and a stat file of the shipper (`<rings>/<stream>.stat`). */
#ifndef EHRING_RING_STAT_H
#define EHRING_RING_STAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ring_layout.h"

enum ring_stat_kind {
    RING_STAT_COUNTER = 1,   /* u64, only grows */
    RING_STAT_GAUGE = 2,     /* u64, now */
    RING_STAT_POSITION = 3,  /* u64 byte position */
    RING_STAT_HISTOGRAM = 4, /* struct ring_hist */
    RING_STAT_TEXT = 5,      /* `stride` bytes, NUL-terminated unless full */
};

/* One line of the table: `count` values of this kind at off, off + stride, … in the file (lanes or workers); 1 value if not repeated. */
struct ring_stat_desc {
    char name[40];  /* snake_case with the unit last: accepted_events */
    char unit[12];  /* events, bytes, ns, … */
    char index[12]; /* what a repeated value is indexed by: lane, worker, reason; empty if not */
    uint64_t off;
    uint32_t stride;
    uint16_t count;
    uint8_t kind;
    uint8_t width; /* bytes of a value: 8 or 4 */
    char help[80];
};
static_assert(sizeof(struct ring_stat_desc) == 160, "stat desc");

/* ---- histogram ---- */

uint32_t ring_hist_bucket_of(uint64_t value_ns);
uint64_t ring_hist_bucket_floor(uint32_t bucket);              /* smallest value of the bucket */
void ring_hist_add(struct ring_hist *hist, uint64_t value_ns); /* one writer per histogram */

struct ring_hist_view { /* a sum of any number of histograms */
    uint64_t count;
    uint64_t sum;
    uint64_t bucket[RING_HIST_BUCKETS];
};
void ring_hist_view_add(struct ring_hist_view *view, const struct ring_hist *hist);
uint64_t ring_hist_percentile(const struct ring_hist_view *view, double percent); /* upper edge of the bucket; 0 if empty */

/* ---- stat file of the shipper: header, table, then the values ---- */

#define RING_STAT_MAGIC UINT64_C(0x0a54415453484501) /* "\1EHSTAT\n" */
#define RING_STAT_VERSION 1u
struct ring_stat_header {
    uint64_t magic;
    _Atomic uint32_t version; /* written last */
    uint32_t header_len;
    uint64_t file_len;
    uint64_t values_off;
    uint64_t values_len;
    uint32_t stat_count;
    uint32_t stat_desc_len;
    uint32_t pid; /* of the last writer */
    uint32_t reserved;
    int64_t started_ns;
    char name[RING_NAME_BYTES];
};

enum ring_stat_past {                           /* what a stat file begins with */
                      RING_STAT_PAST_NONE,      /* there was none */
                      RING_STAT_PAST_KEPT,      /* the same table: the file is the old one */
                      RING_STAT_PAST_CARRIED,   /* another table: lines of the same name go on */
                      RING_STAT_PAST_SET_ASIDE, /* unreadable: kept under another name, all counts begin at zero */
};
struct ring_stat_file {
    void *map;
    size_t map_len;
    void *values; /* values_len bytes, page-aligned */
    enum ring_stat_past past;
};
/* Opens or makes a stat file with this table (offsets relative to the values; made absolute in the file). A file with another table is
 * replaced by one that goes on counting where the lines' names are the same. What is no stat file of this version is kept as `<path>.bad`.
 * 0 or -errno. One shipper per file (the stream's lock). */
int ring_stat_file_open(const char *path, const char *name, const struct ring_stat_desc *table, uint32_t count, size_t values_len,
                        struct ring_stat_file *out);
void ring_stat_file_close(struct ring_stat_file *file);

/* ---- reading any file that has a table: bounded, nothing in the file is trusted ---- */

enum ring_stat_source { RING_STAT_OF_RING, RING_STAT_OF_SHIPPER };
struct ring_guard;
struct ring_stat_view {
    struct ring_guard *guard; /* a file that is cut under the reader gives zeros */
    const uint8_t *map;
    size_t map_len;
    enum ring_stat_source source;
    const struct ring_stat_desc *table;
    uint32_t count;
    char name[RING_NAME_BYTES];
    uint32_t pid;
    int64_t started_ns;
};
/* 0 or -errno with a sentence in `why` (of `why_len` bytes). */
int ring_stat_view_open(const char *path, struct ring_stat_view *out, char *why, size_t why_len);
void ring_stat_view_close(struct ring_stat_view *view);
/* Value `index` of a line; histograms: its count; texts: 0. 0 if out of bounds. */
uint64_t ring_stat_value(const struct ring_stat_view *view, const struct ring_stat_desc *line, uint32_t index);
/* A text into `to` of `cap` bytes, cut to fit and terminated; empty if it is none or does not lie within the file. */
void ring_stat_text(const struct ring_stat_view *view, const struct ring_stat_desc *line, char *to, size_t cap);
/* NULL if it does not lie within the file. */
const struct ring_hist *ring_stat_hist(const struct ring_stat_view *view, const struct ring_stat_desc *line, uint32_t index);

#endif
