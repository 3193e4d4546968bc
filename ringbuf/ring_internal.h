/* What the files of ringbuf share: the two handles, and the steps between files. Not for other folders. */
#ifndef EHRING_RING_INTERNAL_H
#define EHRING_RING_INTERNAL_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ring.h"
#include "ring_layout.h"

#define RING_LIKELY(x) __builtin_expect(!!(x), 1)
#define RING_UNLIKELY(x) __builtin_expect(!!(x), 0)
#define RING_STRIPE_NONE UINT64_MAX
#define RING_BELL_PATH_BYTES 108u         /* what a socket address holds */
#define RING_SLICE_NS INT64_C(1000000000) /* a wait on the gate looks again after this: a shipper may be killed between store and wake */

/* ---- ring_guard.c: the process's mappings of other people's files ---- */

struct ring_guard {
    _Atomic uint64_t base; /* 0: free */
    _Atomic uint64_t len;
    _Atomic uint32_t faulted;
};
/* Puts a mapping under the handler, which it installs first. NULL: no memory or no handler. Any thread. */
struct ring_guard *ring_guard_add(const void *map, size_t len);
/* Before the munmap. NULL is fine. */
void ring_guard_remove(struct ring_guard *guard);
bool ring_guard_faulted(const struct ring_guard *guard);

/* ---- ring_file.c: a file's geometry and its mapping ---- */

struct ring_geometry {
    uint64_t file_len;
    uint64_t producer_off;
    uint64_t shipper_off;
    uint64_t data_off;
    uint64_t capacity;
    uint32_t page_len;
};
/* The geometry of a new ring on this machine. */
struct ring_geometry ring_geometry_of(uint64_t capacity);

enum ring_side { RING_SIDE_PRODUCER, RING_SIDE_SHIPPER, RING_SIDE_VIEW };
/* Maps a file by regions: what a side does not write it cannot. 0 or -errno. */
int ring_map(int fd, const struct ring_geometry *geometry, enum ring_side side, uint8_t **map);

int ring_refuse(struct ring_refusal *why, enum ring_rung rung, int err, const char *format, ...) __attribute__((format(printf, 4, 5)));
bool ring_fs_in_memory(int fd);
void ring_boot_id(uint8_t boot_id[16]); /* zeros: not known */

struct ring {
    const struct ring_producer *producer;
    struct ring_shipper *shipper;
    const uint8_t *data;
    uint64_t mask;
    uint64_t capacity;
    uint8_t *map;
    size_t map_len;
    struct ring_guard *guard;
    enum ring_access access;
    bool in_memory;
    uint64_t bell_base;                       /* added to the numbers of sleeps: the next shipper's begin beyond the last one's */
    uint32_t lane_count;                      /* in force, set by ring_lanes_begin */
    _Atomic uint32_t quarantine;              /* enum ring_quarantine, the first reason */
    _Atomic uint64_t ack_pos[RING_LANES_MAX]; /* what the gate is made of: private, so that no peer can move it; the file's are a copy */
    struct ring_header header;
    char name[NAME_MAX + 1];
};

/* ---- ring_create.c ---- */

struct ring_created {
    uint8_t *map;
    size_t map_len;
    struct ring_geometry geometry;
    bool on_disk;
    bool registered; /* for membarrier */
    uint8_t uuid[16];
    char bell_path[RING_BELL_PATH_BYTES];
    char path[PATH_MAX];
};
int ring_create(const struct ring_writer_options *options, struct ring_created *out, struct ring_refusal *why);

/* ---- ring_space.c ---- */

/* Allocates the file's bytes or says how much is wanted and free. 0 or -ENOSPC, … */
int ring_space_take(int fd, const char *dir, uint64_t len, bool in_memory, struct ring_refusal *why);
/* Puts pages under the data region before the first event. Never fails: at worst the first lap is slow. */
void ring_space_touch(uint8_t *data, uint64_t capacity, uint32_t page_len, bool in_memory);

/* ---- writer ---- */

/* Lies in pages that a fork wipes: in a child all is zero, easy_end_pos too, so the short way finds out at no cost. */
struct ring_writer {
    uint64_t pos;          /* where the next record begins */
    uint64_t easy_end_pos; /* a record that ends here or before needs no thought: room, same lap, same stripe, same eighth */
    uint64_t plain_end;    /* an event of fewer payload bytes needs none: within the stream's limit; 0: reserved, or not as usual */
    uint64_t event_count;
    uint64_t mask;
    uint64_t last_pos; /* not beside event_count: the compiler would join the two stores, and the next event's load waits for the join */
    uint8_t *data;
    struct ring_producer *producer;
    const struct ring_shipper *shipper;
    const _Atomic uint64_t *released; /* below it may be overwritten: the gate, with group sync the gate that is on the disk */
    uint64_t bell_seen;               /* the last `sleeping` seen: answered if not 0 */
    uint64_t plain_end_kept;          /* plain_end but for a reservation */
    uint8_t flags_always;
    bool registered; /* for membarrier: no fence before the look at `sleeping` */
    bool wide;       /* the processor copies 32 bytes at a time */
    bool widest;     /* 64 */
    bool open;       /* a reservation */
    bool on_disk;
    uint32_t open_off; /* the reservation's payload, its offset in the record */
    uint32_t open_len; /* and its reserved length */
    uint32_t record_max;
    bool alive;            /* false: wiped; a fork is the only writer, so no atomic */
    uint64_t quiet_pos;    /* all below is published; what follows may be too */
    uint64_t gate_pos;     /* as last seen */
    uint64_t timed_stripe; /* the stripe whose first event has its time */
    uint64_t capacity;
    uint64_t grain; /* easy_end_pos is never beyond a multiple of this: a stripe, or an eighth if that is smaller */
    uint8_t *map;
    size_t map_len;
    uint8_t uuid[16];
    char bell_path[RING_BELL_PATH_BYTES];
    char path[PATH_MAX];
};

/* Where a record of this shape would go from the writer's position: the pad before it and its length. 0 or -EMSGSIZE. */
struct ring_place {
    uint64_t start_pos;
    uint64_t len; /* head to payload's end */
    uint32_t off; /* of the payload */
    uint8_t flags;
};
int ring_writer_place(const struct ring_writer *writer, const struct ring_shape *shape, struct ring_place *place);
/* True if the record fits now; looks at the gate only if it did not fit when last seen. */
bool ring_writer_fits(struct ring_writer *writer, const struct ring_place *place);

/* ---- ring_put.c ---- */

/* An event of bytes alone for which ring_put_is_plain (ring_put.h) is true. 0. */
int ring_writer_put_long(struct ring_writer *writer, const void *payload, size_t len);

/* What this processor copies at a time: 32 bytes, 64 bytes. */
bool ring_put_is_wide(void);
bool ring_put_is_widest(void);

/* ---- ring_bell.c ---- */

/* `sleeping` has changed: remember it, and ring if it is a sleep. */
int ring_bell_answer(struct ring_writer *writer, uint64_t number); /* 0, for the jump */
void ring_bell_send(const char *path);

/* ---- ring_walk.c ---- */

/* A head copied out and bounded: 0, or -EBADMSG. `end_pos`: the record ends there or before. */
int ring_head_read(const struct ring *ring, uint64_t pos, uint64_t end_pos, struct ring_head *head);

/* write_pos and what was committed below it, as they stood at one instant. 0, or -EAGAIN: the writer runs too fast for that. */
int ring_committed_read(const struct ring *ring, uint64_t *write_pos, uint64_t *committed);

/* ---- ring_cut.c ---- */

/* What the shipper had settled at one instant; full redo records are read as if applied. */
struct ring_cut {
    uint64_t gate_pos;
    uint64_t partition_count;
    struct ring_settled settled;         /* the sum over the lanes */
    uint64_t done_pos[RING_DOMAINS_MAX]; /* by domain; zero beyond the partitions in force */
};
/* 0; -EAGAIN: the shipper settles too fast for a cut; -EBADMSG: a redo record that cannot be, or the file was cut. */
int ring_cut_take(const struct ring *ring, struct ring_cut *cut);
/* Events below write_pos (read after the cut) that were not settled at the cut, counted by walking. 0; -EAGAIN: the writer has overwritten
 * what was to be walked; -EBADMSG: heads or positions that cannot be. */
int ring_cut_count_pending(const struct ring *ring, const struct ring_cut *cut, uint64_t write_pos, uint64_t *pending);

struct ring_stat_desc;
struct ring_stat_view;

/* ---- ring_stat_carry.c ---- */

/* Values of lines that both tables have, by name and kind, into a new file's zeroed bytes. `table`: ours, offsets in the new file. */
void ring_stat_carry(const struct ring_stat_view *from, const struct ring_stat_desc *table, uint32_t count, uint8_t *map);

/* ---- ring_table.c ---- */

/* Writes the ring's own counters as a table (offsets in this file); returns the number of lines. `to` NULL: only the number. */
uint32_t ring_table_fill(struct ring_stat_desc *to, const struct ring_geometry *geometry);

#endif
