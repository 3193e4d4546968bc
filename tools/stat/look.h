/* One file as a tool sees it: who it is, whether its producer lives, what waits in it, and its table of counters. */
#ifndef STAT_LOOK_H
#define STAT_LOOK_H

#include <stdbool.h>
#include <stdint.h>

#include "find.h"
#include "ringbuf/ring_stat.h"

enum stat_life { STAT_LIFE_UNKNOWN, STAT_LIFE_ALIVE, STAT_LIFE_ORPHAN };

/* How far a ring's reader is; taken from its positions. */
struct stat_lag {
    bool impossible; /* the positions contradict each other: somebody wrote nonsense */
    uint64_t write_pos, gate_pos;
    uint64_t bytes;      /* written and not accepted */
    uint32_t lane_count; /* 0: no shipper has seen the ring */
    int gating_lane;     /* the lane that holds the gate, -1: none does */
};

struct stat_look {
    char path[4096];
    char why[256]; /* why it cannot be read; empty: it can */
    struct ring_stat_view view;
    struct ring *ring; /* NULL for a shipper's file */
    enum stat_life life;
    bool closed;            /* by its producer */
    const char *quarantine; /* reason, or NULL */
    uint64_t quarantine_pos;
    uint64_t capacity;
    struct stat_lag lag;
    int64_t oldest_age_ns; /* of the oldest event that is not settled; -1: nothing waits */
};

/* 0: look->view can be read; 1: look->why says why not; -ENOENT: it is gone meanwhile, which is no error. stat_unlook in every case. */
int stat_look(struct stat_look *look, const char *rings_dir, const struct stat_file *file);
void stat_unlook(struct stat_look *look);
/* True if the file was cut while it was read: what was shown is worth nothing. */
bool stat_look_spoilt(const struct stat_look *look);

#define STAT_LABEL_BYTES 96
/* A text of a file's table, terminated and free of anything that is not printable ASCII. */
const char *stat_label(const char *text, size_t cap, char label[STAT_LABEL_BYTES]);
/* The reason that value `index` of a line stands for, of refused calls or dropped events; NULL: none, or none that is known. */
const char *stat_reason_name(const struct ring_stat_desc *line, uint32_t index);
/* What value `index` of a repeated line is of: "lane 3", or a reason by its name. */
const char *stat_index_label(const struct ring_stat_desc *line, uint32_t index, char label[STAT_LABEL_BYTES]);

#endif
