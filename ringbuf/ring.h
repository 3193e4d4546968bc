/* Handles and functions of the ring for the other folders: writer (producer), ring and lanes (shipper), view and tap (tools).
 *
 * Errors are negative errno values; `struct ring_refusal` carries the sentence for a person. */
#ifndef EHRING_RING_H
#define EHRING_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "ring_layout.h"

/* ---- why a file was refused ---- */

enum ring_rung { /* the ladder of opening, lowest first */
                 RING_ABSENT,
                 RING_NOT_PERMITTED, /* type, links, owner, mode, or the kernel said no */
                 RING_TOO_SHORT,
                 RING_NOT_A_RING,
                 RING_UNPUBLISHED,
                 RING_WRONG_VERSION,
                 RING_INCONSISTENT,
                 RING_READY,
};

struct ring_refusal {
    enum ring_rung rung;
    char text[200]; /* names the thing, the limit and the value */
};

/* ---- writer: the producer's side, one thread ---- */

struct ring_writer;

struct ring_writer_options {
    const char *stream_dir; /* <rings>/<stream>, must exist */
    const char *name;       /* of [A-Za-z0-9._-], at most RING_NAME_BYTES - 1; NULL: the program's name */
    uint64_t capacity;      /* bytes, rounded up to a power of two; 0: 8 MiB */
    bool times_all;         /* every event carries a time */
    bool group_sync;        /* somebody calls ring_writer_sync all the time: what its last sync did not see released is not overwritten */
};

/* Makes a ring file whole and locked under its final name. Any thread. 0, or -ENOENT/-EACCES (directory), -ENOSPC (text says wanted and
 * free, also for the memory cgroup), -EINVAL, -ENAMETOOLONG (bell path), … with `why` filled. The caller owns *out, ring_writer_close
 * frees. */
int ring_writer_open(const struct ring_writer_options *options, struct ring_writer **out, struct ring_refusal *why);

/* Memory of the caller's own at a fixed distance from its writer, so that a handle kept there knows the writer without a load. Zeros;
 * unlike the writer it is kept by a fork; freed with the writer. */
#define RING_WRITER_BYTES 65536u /* whole pages on every machine */
#define RING_BESIDE_BYTES 131072u
static inline void *ring_writer_beside(struct ring_writer *writer)
{
    return (char *)writer + RING_WRITER_BYTES;
}
static inline struct ring_writer *ring_writer_of(const void *beside)
{
    return (struct ring_writer *)((uintptr_t)beside - RING_WRITER_BYTES);
}

/* Marks the ring closed, syncs it if it lies on a disk, unmaps it. NULL is fine. The file stays: the shipper drains and removes it.
 * In a forked child it only frees the handle. */
void ring_writer_close(struct ring_writer *writer);

/* A ring on a disk: brings all that is committed to it, then the mark that says so. Nothing if nothing has changed, or in memory. Blocks
 * for the disk. One thread at a time, any; not during close. 0, or -errno: the mark stays where it was, and the failure is counted. */
int ring_writer_sync(struct ring_writer *writer);
/* True if the ring was opened with group_sync and lies on a disk. */
bool ring_writer_wants_sync(const struct ring_writer *writer);

/* What a record is to hold. All pointers are read during the call only. */
struct ring_shape {
    const void *key;
    uint32_t key_len; /* at most RING_KEY_BYTES_MAX */
    const void *meta; /* TLVs, or NULL */
    uint32_t meta_len;
    uint32_t payload_len;
    uint16_t route;
    uint8_t flags;   /* enum ring_flag; TIME is added by the writer where the format wants it */
    int64_t time_ns; /* with RING_FLAG_TIME: 0 means now */
};

/* Reserves room for one record and writes all but the payload. Wait-free, no system call but the clock once per stripe. One caller at a
 * time per writer, one open reservation at a time (assert). Returns 0 and the payload's address (8-byte aligned), or -EAGAIN: full,
 * nothing was written; -EMSGSIZE: larger than the ring allows; -EOWNERDEAD: called in a forked child. */
int ring_writer_reserve(struct ring_writer *writer, const struct ring_shape *shape, void **payload);

/* Publishes the reservation, cut to `payload_len` (at most what was reserved), and rings the doorbell if the shipper sleeps. */
void ring_writer_commit(struct ring_writer *writer, uint32_t payload_len);

/* As commit, but leaves publication to the next ring_writer_publish: for arrays. Reservations may follow. */
void ring_writer_commit_quiet(struct ring_writer *writer, uint32_t payload_len);
void ring_writer_publish(struct ring_writer *writer);

/* Gives the reservation back: nothing of it was ever published. */
void ring_writer_discard(struct ring_writer *writer);

/* Reserve, copy, commit in one; the fast path for small events. Same errors as reserve. */
int ring_writer_put(struct ring_writer *writer, const struct ring_shape *shape, const void *payload);

/* Waits until a record of `shape` would fit or `deadline_ns` (CLOCK_MONOTONIC) has passed: 0 or -ETIMEDOUT. */
int ring_writer_wait_room(struct ring_writer *writer, const struct ring_shape *shape, int64_t deadline_ns);

/* Waits until all written so far is accepted, or the deadline (CLOCK_MONOTONIC). 0 or -ETIMEDOUT; *left_bytes: ring bytes that are not. */
int ring_writer_flush(struct ring_writer *writer, int64_t deadline_ns, uint64_t *left_bytes);

uint64_t ring_writer_capacity(const struct ring_writer *writer);
uint32_t ring_writer_record_max(const struct ring_writer *writer); /* bytes, head included */
bool ring_writer_alive(const struct ring_writer *writer);          /* false in a forked child */
const char *ring_writer_path(const struct ring_writer *writer);
const uint8_t *ring_writer_uuid(const struct ring_writer *writer); /* 16 bytes */
uint64_t ring_writer_pos(const struct ring_writer *writer);        /* where the next record begins (before padding) */
uint64_t ring_writer_last_pos(
    const struct ring_writer *writer); /* where the last committed record begins: an event's identity; UINT64_MAX: none yet */
void ring_writer_count_refused(struct ring_writer *writer, uint32_t reason); /* reason < RING_REFUSED_REASONS */

struct ring_writer_stats {
    uint64_t committed_events;
    uint64_t accepted_events;
    uint64_t dead_lettered_events;
    uint64_t dropped[RING_DROPPED_REASONS]; /* by the shipper, after commit */
    uint64_t write_pos;
    uint64_t gate_pos;
    uint64_t refused[RING_REFUSED_REASONS];
    uint64_t bell_count;
    uint64_t wait_count;
};
void ring_writer_read_stats(const struct ring_writer *writer, struct ring_writer_stats *stats);

/* ---- ring: somebody else's file, opened by the shipper or a tool ---- */

struct ring;

enum ring_access {
    RING_ACCESS_SHIPPER, /* shipper's region writable, all else read-only */
    RING_ACCESS_VIEW,    /* all read-only: tools */
};

/* Climbs the ladder. The geometry is copied and checked once and never read again. O_NOFOLLOW, a regular file with one link, owner and mode
 * checked. Installs (once per process) the SIGBUS handler that puts zero pages under a ring whose file was cut; see ring_faulted.
 * 0 with *out owned by the caller, or a negative errno with `why`. Any thread. */
int ring_open(int dir_fd, const char *file_name, enum ring_access access, struct ring **out, struct ring_refusal *why);
void ring_close(struct ring *ring);

/* True once an access to this ring hit SIGBUS: its file was cut under us; all bytes read since are zeros and must not be believed.
 * Check it after copying and before using. Any thread. */
bool ring_faulted(const struct ring *ring);

const char *ring_name(const struct ring *ring);                 /* the file's name */
const struct ring_header *ring_header(const struct ring *ring); /* a private copy */
uint64_t ring_capacity(const struct ring *ring);
const struct ring_producer *ring_producer(const struct ring *ring); /* live, read-only */
const struct ring_shipper *ring_shipper(const struct ring *ring);   /* live, read-only to the caller */

/* 1: no process holds the producer's lock (the description through which it is mapped); 0: alive; negative errno. Opens the file anew. */
int ring_is_orphan(int dir_fd, const char *file_name);

/* True if the ring was made in this boot. Of an older one only the bytes below ring_synced_pos are believed. */
bool ring_is_this_boot(const struct ring *ring);
uint64_t ring_synced_pos(const struct ring *ring);
/* Of an earlier boot, drained up to ring_synced_pos: what was committed and not settled is counted as dropped {reboot}, through lane 0's
 * redo record, then the gate goes to write_pos: the ledger closes with nothing pending. Returns how many events. No worker holds the ring.
 */
uint64_t ring_drop_unsynced(struct ring *ring);
/* msync of all up to now, then stores the shipper's synced_pos; of an earlier boot that stays what it was. May block for the disk. 0 or
 * -errno. */
int ring_sync(struct ring *ring);
/* Takes the shipper's mark of an earlier stop back, on the disk too: before the gate of a living producer moves. 0 or -errno. */
int ring_sync_forget(struct ring *ring);

/* Quarantine: writes the reason into the file (if it still can) and remembers it. Any thread of the shipper; the first reason stays. */
void ring_quarantine(struct ring *ring, enum ring_quarantine reason, uint64_t pos);
enum ring_quarantine ring_quarantined(const struct ring *ring);
const char *ring_quarantine_text(enum ring_quarantine reason);
/* A file that was quarantined by an earlier shipper opens quarantined. */

/* ---- start of a shipper on a ring: one thread, before the lanes are used ---- */

/* Of an earlier boot, brings positions beyond what is written back to it. Stores full redo records again, checks gate, done and ack
 * positions (-EBADMSG: quarantine it), sets every lane in force to the gate and `lane_count`. */
int ring_lanes_begin(struct ring *ring, uint32_t lane_count);

/* The partition count in force for done_pos, 0 if none yet. Setting another one clears done_pos of no domain: the caller has drained. */
uint32_t ring_partition_count(const struct ring *ring);
void ring_set_partition_count(struct ring *ring, uint32_t partition_count);
uint64_t ring_done_max(const struct ring *ring); /* the largest done_pos of all domains */
/* Only when the stored partitions are gone: what was accepted ahead of the gate is pending again and counted as maybe_duplicate. No worker
 * holds the ring. */
void ring_done_clear(struct ring *ring);
void ring_set_event_bytes_max(struct ring *ring, uint32_t event_bytes_max);

/* ---- lane: one worker's place in one ring ---- */

struct ring_lane { /* owned and used by one worker */
    struct ring *ring;
    uint32_t index;
    uint64_t walk_pos; /* heads below are walked */
    uint64_t seen_write_pos;
};

/* One record as its head said when it was walked. */
struct ring_record {
    uint64_t pos;
    int64_t time_ns;    /* with RING_FLAG_TIME, else 0 */
    const uint8_t *key; /* in the walk's key buffer, valid until the next walk */
    uint32_t len;       /* head to payload's end */
    uint16_t key_len;
    uint16_t route;
    uint16_t seq16;
    uint8_t flags;
};

#define RING_WALK_MAX 64u
struct ring_walk { /* scratch of a worker */
    struct ring_record record[RING_WALK_MAX];
    uint8_t key[RING_WALK_MAX * 64];
};

/* Lane `index` of a begun ring, at the gate. */
void ring_lane_open(struct ring_lane *lane, struct ring *ring, uint32_t index);

/* The words that ring_lane_look reads are on their way to the cache. */
void ring_lane_prefetch(const struct ring_lane *lane);

/* P2: looks at write_pos. 0, or -EBADMSG (it went back or more than a capacity ahead; quarantined). */
int ring_lane_look(struct ring_lane *lane, uint64_t *write_pos);

/* Walks heads from *pos up to `end_pos` (<= a write_pos that was looked at): fills walk->record with data records, passes pads and
 * discarded ones, moves *pos behind the last record taken or passed. Stops at RING_WALK_MAX records or when the key buffer is full. Returns
 * the count (0: *pos reached end_pos), or -EBADMSG: a head that cannot be (quarantined, pos named). */
int ring_walk(struct ring *ring, uint64_t *pos, uint64_t end_pos, struct ring_walk *walk);

/* Copies bytes of a record out. 0 or -EBADMSG if [pos, pos + len) is not within one lap or more than the ring. Calls nothing but memcpy. */
int ring_copy(const struct ring *ring, uint64_t pos, void *to, size_t len);

/* One record for the encoder: reads the head again and compares it with what was walked (`pos`, `len`); copies the meta block (not the
 * payload) into `meta`. */
struct ring_parts {
    uint64_t payload_pos;
    uint32_t payload_len;
    uint32_t key_len;
    uint32_t meta_len;
    uint16_t route;
    uint8_t flags;
    int64_t time_ns;
    uint8_t key[RING_KEY_BYTES_MAX];
};
/* 0; -EBADMSG: not the record that was walked, or its inner lengths cannot be. `meta` has room for `meta_cap` bytes. */
int ring_record_parts(const struct ring *ring, uint64_t pos, uint32_t len, struct ring_parts *parts, void *meta, uint32_t meta_cap);

uint64_t ring_done_pos(const struct ring *ring, uint32_t domain);

struct ring_settled { /* what one settlement adds */
    uint64_t accepted_events;
    uint64_t accepted_bytes;
    uint64_t accepted_batches;
    uint64_t dead_lettered_events;
    uint64_t maybe_duplicate_events;
    uint64_t dropped_events[RING_DROPPED_REASONS]; /* by enum ring_dropped */
};
/* All of `domain` below `done_pos` is settled: position and counts change as one, through the lane's redo record. */
void ring_lane_settle(struct ring_lane *lane, uint32_t domain, uint64_t done_pos, const struct ring_settled *settled);
/* Counts alone (maybe_duplicate), through the redo record too. */
void ring_lane_count(struct ring_lane *lane, const struct ring_settled *settled);

/* One commit-to-accept latency into the lane's histogram in the ring. */
void ring_lane_note_latency(struct ring_lane *lane, uint64_t latency_ns);

/* One more latency from commit to accept, in the lane's histogram. */
void ring_lane_note_latency(struct ring_lane *lane, uint64_t latency_ns);

/* Stores the lane's read and ack positions, raises the gate over all lanes in force, wakes the producer if it waits on it. */
void ring_lane_ack(struct ring_lane *lane, uint64_t read_pos, uint64_t ack_pos);

/* Flush request of the producer: seal what lies below without linger. */
uint64_t ring_flush_pos(const struct ring *ring);

/* Notes (time, write_pos) for the age of the oldest unaccepted event: called by the worker of lane 0 once a pass. */
void ring_note(struct ring_lane *lane, int64_t time_ns);
/* The newest noted time at or before `pos`, or the ring's creation: never later than the event's commit by more than a pass. */
int64_t ring_noted_time_ns(const struct ring *ring, uint64_t pos);
/* When the oldest event that is not settled was committed: its own time if it has one, or the newest note at or before it. Never later than
 * that, but for a time that the producer made up. False: nothing waits. Any thread. */
bool ring_oldest_time_ns(const struct ring *ring, int64_t *time_ns);
/* The earliest noted time at which the record at `pos` was there: never earlier than the event's commit. INT64_MAX: none noted. */
int64_t ring_committed_by_ns(const struct ring *ring, uint64_t pos);

/* Events committed since the ring was made. After a kill between the writer's two stores its count is ahead of write_pos: the heads that
 * follow write_pos tell by how much. Any thread. */
uint64_t ring_committed_events(const struct ring *ring);

/* Events of this ring from the gate on that nobody has settled, counted by walking. Slow; for tests and tools. -EBADMSG as ring_walk;
 * -EAGAIN: the ring is too busy. The cut is consistent; a full redo record is read as if applied. */
int64_t ring_count_pending(const struct ring *ring);

/* ---- doorbell: the shipper's end ---- */

/* Binds the stream's socket `<rings>/<stream>.bell` (an old one is replaced; the caller holds the stream's lock). A descriptor, or -errno.
 */
int ring_bell_open(const char *path);
void ring_bell_drain(int fd);
/* S1 for one ring: `number` is new for every sleep, 0: awake. */
void ring_bell_set(struct ring *ring, uint64_t number);
/* Registers nothing, fences all registered producers. 0, or -errno: this kernel forbids it, the caller must not sleep long. */
int ring_bell_barrier(void);

/* ---- tap: a reader that does not gate ---- */

struct ring_tap {
    struct ring *ring;
    uint64_t pos;
    uint64_t missed_bytes;
};
void ring_tap_open(struct ring_tap *tap, struct ring *ring); /* at the present write_pos */
/* Copies the next record's payload (cut to `cap`). 1: one; 0: nothing new; -EOVERFLOW: overrun, moved on to the newest, counted in
 * missed_bytes. */
int ring_tap_next(struct ring_tap *tap, struct ring_record *record, void *payload, size_t cap, size_t *payload_len);

#endif
