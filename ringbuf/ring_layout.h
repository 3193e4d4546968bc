/* The bytes in a ring file, drawn and asserted. Knows no function that touches a ring.
 *
 *   file   +-----------+-----------+------------------------------+---------------------------+
 *          | constants | producer  | shipper                      | data (a power of two)     |
 *          +-----------+-----------+------------------------------+---------------------------+
 *   writer   nobody,     producer    shipper                        producer
 *            once whole
 *
 * Every region begins on a page of the machine that made the file. The producer maps the shipper's region read-only, the shipper maps
 * all others read-only. Positions are byte counts that only grow; `pos & (capacity - 1)` is the place in the data region.
 *
 *   record   0       4       6       8          12.5   13    14       16
 *            +-------+-------+-------+----------+------+-----+--------+
 *            | len   | seq16 | route | pos / 16 | kind | flg | key len|   head, 16 bytes: 36 bits of pos / 16, 4 of kind
 *            +-------+-------+-------+----------+------+-----+--------+
 *            | key, zero-padded to 8                                  |   key len > 0
 *            | time: ns since 1970 (CLOCK_REALTIME), 8 bytes          |   RING_FLAG_TIME
 *            | meta: u32 length of what follows, TLVs, padded to 8    |   RING_FLAG_META
 *            | payload                                                |   up to len
 *            +--------------------------------------------------------+
 *            zero to fifteen bytes to the next multiple of 16; a record never wraps: a pad record fills the end of the lap.
 *
 * `len` counts from the head's first byte to the payload's last. All numbers are little-endian.
 */
#ifndef EHRING_RING_LAYOUT_H
#define EHRING_RING_LAYOUT_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the ring file is little-endian and so is every machine it is built for"
#endif

#define RING_MAGIC UINT64_C(0x0a474e4952484501) /* "\1EHRING\n" */
#define RING_VERSION 3u
#define RING_RECORD_ALIGN 16u
#define RING_LANES_MAX 16u
#define RING_CLASS_COUNT 16u /* domains of unkeyed events; partition p is domain RING_CLASS_COUNT + p */
#define RING_DOMAINS_MAX 2048u
#define RING_PARTITIONS_MAX (RING_DOMAINS_MAX - RING_CLASS_COUNT)
#define RING_STRIPE_BYTES                                                                                                                  \
    65536u /* an unkeyed event's class is its stripe modulo RING_CLASS_COUNT; the first event of a stripe has a time */
#define RING_CAPACITY_MIN (UINT64_C(64) << 10)
#define RING_CAPACITY_MAX (UINT64_C(64) << 30)
#define RING_RECORD_SHARE 8u    /* no record is larger than capacity / RING_RECORD_SHARE */
#define RING_KEY_BYTES_MAX 512u /* 128 characters of at most four bytes */
#define RING_META_BYTES_MAX 65536u
#define RING_NAME_BYTES 64u
#define RING_REFUSED_REASONS 16u /* slots; their names are in the counters' table */
#define RING_DROPPED_REASONS 8u  /* slots; their names are in ring_dropped.h */
#define RING_NOTES_MAX 64u
/* An event fits a stream if payload + 2 * key + TLVs <= event_bytes_max, which the shipper sets to the link's max-message-size (or
 * batch_bytes_max) less this: room for what AMQP puts around one event in a batch of its own. The key is in the envelope and in the member.
 */
#define RING_ENVELOPE_BYTES 512u
#define RING_EVENT_BYTES_MAX_UNTOLD ((1u << 20) - RING_ENVELOPE_BYTES) /* until a shipper tells */
#define RING_LINE 128u                                                 /* distance between words of different writers */

enum ring_kind { RING_KIND_DATA = 1, RING_KIND_PAD = 2, RING_KIND_DISCARDED = 3 };

enum ring_flag {
    RING_FLAG_TIME = 1u << 0,
    RING_FLAG_META = 1u << 1,
    RING_FLAG_ROUTE_PARTITION = 1u << 2, /* route is an explicit partition number */
    RING_FLAG_ROUTE_HASH = 1u << 3,      /* route is the service's 16-bit hash of the key */
};
#define RING_FLAGS_ALL 0x0fu

struct ring_head {
    uint32_t len;
    uint16_t seq16; /* event number of this ring, low 16 bits; the first event is 0 */
    uint16_t route;
    uint32_t pos16;         /* pos / 16, low 32 bits */
    uint8_t pos16_high : 4; /* and its next 4 bits: a head of the lap before has another value in the largest ring too */
    uint8_t kind : 4;
    uint8_t flags;
    uint16_t key_len;
};
static_assert(sizeof(struct ring_head) == 16, "head");
static_assert(offsetof(struct ring_head, route) == 6 && offsetof(struct ring_head, pos16) == 8, "head");
static_assert(offsetof(struct ring_head, flags) == 13 && offsetof(struct ring_head, key_len) == 14, "head");
static_assert(RING_CAPACITY_MAX / RING_RECORD_ALIGN < UINT64_C(1) << 36, "a head of the lap before has another pos16");

/* Meta block: TLVs one after another, each { u8 tag, u8 type, u16 name_len, u32 value_len, name, value }, unpadded.
 * Tags of single use have name_len 0. A user property has a name and a typed value. */
enum ring_meta_tag {
    RING_META_CONTENT_TYPE = 1,   /* text */
    RING_META_MESSAGE_ID = 2,     /* text */
    RING_META_CORRELATION_ID = 3, /* text */
    RING_META_SCHEMA_VERSION = 4, /* text */
    RING_META_TRACEPARENT = 5,    /* text, W3C trace context */
    RING_META_PROPERTY = 6,       /* name and typed value */
};
enum ring_meta_type {
    RING_TYPE_STRING = 1,    /* UTF-8 */
    RING_TYPE_BOOL = 2,      /* one byte, 0 or 1 */
    RING_TYPE_INT = 3,       /* int64, 8 bytes */
    RING_TYPE_UINT = 4,      /* uint64, 8 bytes */
    RING_TYPE_DOUBLE = 5,    /* IEEE 754 binary64, 8 bytes */
    RING_TYPE_TIMESTAMP = 6, /* ms since 1970, int64, 8 bytes */
    RING_TYPE_BINARY = 7,
    RING_TYPE_UUID = 8, /* 16 bytes */
};
struct ring_tlv {
    uint8_t tag;
    uint8_t type;
    uint16_t name_len;
    uint32_t value_len;
};
static_assert(sizeof(struct ring_tlv) == 8, "tlv");

/* ---- constants ---- */

enum ring_header_flag {
    RING_HEADER_MEMBARRIER = 1u << 0, /* the producer is registered for membarrier: no fence of its own before it looks at `sleeping` */
    RING_HEADER_TIMES_ALL = 1u << 1,  /* every event carries a time */
};

struct ring_header {
    uint64_t magic;
    _Atomic uint32_t version; /* written last: zero means unpublished */
    uint32_t header_len;      /* sizeof(struct ring_header) */
    uint64_t file_len;
    uint64_t producer_off;
    uint64_t shipper_off;
    uint64_t data_off;
    uint64_t capacity;
    uint32_t page_len;
    uint32_t stat_off; /* struct ring_stat_desc[stat_count], within the constants */
    uint32_t stat_count;
    uint32_t stat_desc_len;
    uint32_t flags;
    uint32_t pid;
    uint32_t uid;
    uint32_t reserved0;
    int64_t created_ns; /* CLOCK_REALTIME */
    uint8_t uuid[16];
    uint8_t boot_id[16];
    char name[RING_NAME_BYTES];   /* what the producer calls itself, NUL-terminated */
    char stream[RING_NAME_BYTES]; /* directory's name, NUL-terminated */
};
static_assert(offsetof(struct ring_header, version) == 8, "header");
static_assert(offsetof(struct ring_header, file_len) == 16, "header");
static_assert(offsetof(struct ring_header, page_len) == 56, "header");
static_assert(offsetof(struct ring_header, created_ns) == 88, "header");
static_assert(sizeof(struct ring_header) == 256, "header");

/* ---- producer's region: written by the producer's thread only ---- */

struct ring_producer {
    struct {
        _Atomic uint64_t write_pos;   /* the publication word */
        _Atomic uint64_t event_count; /* events begun; at most one ahead of write_pos after a kill */
        _Atomic uint64_t flush_pos;   /* the shipper seals what lies below without linger */
        _Atomic uint32_t waiting;     /* 1: a futex waiter sits on the gate */
        _Atomic uint32_t closed;      /* 1: closed by its owner, nothing follows */
        uint8_t pad[RING_LINE - 32];
    } hot;
    struct {
        _Atomic uint64_t refused[RING_REFUSED_REASONS]; /* calls refused, by reason: never committed */
        _Atomic uint64_t bell_count;
        _Atomic uint64_t wait_count; /* waits for room */
        _Atomic uint64_t reserved[14];
    } counters;
    struct {                                /* a ring on a disk: written by the thread that syncs it, at its close by the producer's */
        _Atomic uint64_t synced_pos;        /* data below is on its disk */
        _Atomic uint64_t released_pos;      /* the gate as it is on the disk: what lies below may be overwritten */
        _Atomic uint64_t sync_count;        /* syncs that wrote something */
        _Atomic uint64_t sync_failed_count; /* the disk refused */
        uint8_t pad[RING_LINE - 32];
    } sync;
};
static_assert(offsetof(struct ring_producer, counters) == RING_LINE, "producer");
static_assert(offsetof(struct ring_producer, sync) == RING_LINE + 256, "producer");
static_assert(sizeof(struct ring_producer) == 2 * RING_LINE + 256, "producer");

/* ---- shipper's region ---- */

/* What an accepted (or dead-lettered) batch adds. Absolute values: storing a record twice changes nothing. */
struct ring_lane_counts {
    _Atomic uint64_t accepted_events;
    _Atomic uint64_t accepted_bytes; /* payload bytes */
    _Atomic uint64_t accepted_batches;
    _Atomic uint64_t dead_lettered_events;
    _Atomic uint64_t maybe_duplicate_events;
    _Atomic uint64_t dropped_events[RING_DROPPED_REASONS]; /* given up after commit, by reason */
};

enum ring_redo_state { RING_REDO_EMPTY = 0, RING_REDO_FULL = 1 };

#define RING_REDO_NO_DOMAIN UINT32_MAX /* counts alone: no done_pos changes */

struct ring_redo {
    _Atomic uint32_t state;
    _Atomic uint32_t domain;
    _Atomic uint64_t done_pos;
    struct ring_lane_counts counts;
};

struct ring_lane_words { /* written by the lane's worker only */
    _Atomic uint64_t read_pos;
    _Atomic uint64_t ack_pos;
    struct ring_lane_counts counts;
    uint8_t pad0[RING_LINE - 120];
    struct ring_redo redo;
    uint8_t pad1[RING_LINE - 120];
};
static_assert(sizeof(struct ring_lane_counts) == 104, "counts");
static_assert(sizeof(struct ring_redo) == 120, "redo");
static_assert(sizeof(struct ring_lane_words) == 2 * RING_LINE, "lane");

struct ring_note { /* at `time_ns` the shipper saw `write_pos` */
    _Atomic int64_t time_ns;
    _Atomic uint64_t write_pos;
};

/* Log-linear: eight buckets to the octave, values in nanoseconds; ring_stat.h says which value is in which. */
#define RING_HIST_BUCKETS 320u
struct ring_hist {
    _Atomic uint64_t count;
    _Atomic uint64_t sum;
    _Atomic uint64_t bucket[RING_HIST_BUCKETS];
    uint8_t pad[RING_LINE - 16];
};
static_assert(sizeof(struct ring_hist) == RING_LINE + 8 * RING_HIST_BUCKETS, "hist");

enum ring_quarantine {
    RING_QUARANTINE_NONE = 0,
    RING_QUARANTINE_WRITE_POS_BACK = 1,
    RING_QUARANTINE_WRITE_POS_AHEAD = 2,
    RING_QUARANTINE_BAD_HEAD = 3,
    RING_QUARANTINE_BAD_META = 4,
    RING_QUARANTINE_CHANGED = 5,   /* a record is not what it was when it was walked */
    RING_QUARANTINE_TRUNCATED = 6, /* SIGBUS: the file is shorter than its mapping */
    RING_QUARANTINE_POSITIONS = 7, /* gate, done or lane positions that cannot be */
};

struct ring_shipper {
    struct {
        _Atomic uint64_t gate_pos;
        uint8_t pad[RING_LINE - 8];
    } gate; /* raised by any worker, never lowered */
    struct {
        _Atomic uint64_t number;
        uint8_t pad[RING_LINE - 8];
    } sleeping; /* 0: awake */
    struct {
        _Atomic uint32_t event_bytes_max;
        uint8_t pad[RING_LINE - 4];
    } limit;                              /* see RING_ENVELOPE_BYTES; 0: not known yet */
    struct {                              /* written by the shipper's main thread */
        _Atomic uint32_t partition_count; /* in force for done_pos; 0: none yet */
        _Atomic uint32_t lane_count;
        _Atomic uint32_t quarantine; /* enum ring_quarantine */
        _Atomic uint32_t shipper_pid;
        _Atomic uint64_t synced_pos; /* data below was synced by the shipper at its stop */
        _Atomic uint64_t quarantine_pos;
        uint8_t pad[RING_LINE - 32];
    } control;
    struct { /* a queue, oldest first, written by the worker of lane 0; notes[i % RING_NOTES_MAX] for head <= i < tail */
        _Atomic uint64_t head;
        _Atomic uint64_t tail;
        uint8_t pad[RING_LINE - 16];
        struct ring_note note[RING_NOTES_MAX];
    } notes;
    struct ring_lane_words lane[RING_LANES_MAX];
    _Atomic uint64_t done_pos[RING_DOMAINS_MAX];       /* at ring_done_slot(domain): written by the domain's worker */
    struct ring_hist commit_to_accept[RING_LANES_MAX]; /* written by the lane's worker */
};
static_assert(offsetof(struct ring_shipper, sleeping) == 1 * RING_LINE, "shipper");
static_assert(offsetof(struct ring_shipper, control) == 3 * RING_LINE, "shipper");
static_assert(offsetof(struct ring_shipper, notes) == 4 * RING_LINE, "shipper");
static_assert(offsetof(struct ring_shipper, lane) == 5 * RING_LINE + 16 * RING_NOTES_MAX, "shipper");
static_assert(offsetof(struct ring_shipper, done_pos) % RING_LINE == 0, "shipper");
static_assert(offsetof(struct ring_shipper, commit_to_accept) % RING_LINE == 0, "shipper");

/* Domains that follow each other belong to different workers, so they lie in different lines. */
static inline uint32_t ring_done_slot(uint32_t domain)
{
    return domain % 16u * (RING_DOMAINS_MAX / 16u) + domain / 16u;
}

/* What a head says of its place: 36 bits of it, in sixteen bytes. */
static inline uint64_t ring_pos16(uint64_t pos)
{
    return pos << 24 >> 28;
}

static inline uint64_t ring_align16(uint64_t len)
{
    return (len + 15u) & ~UINT64_C(15);
}
static inline uint32_t ring_align8(uint32_t len)
{
    return (len + 7u) & ~UINT32_C(7);
}

/* Bytes before the payload: head, key, time, meta (meta_len without its own u32 length word). */
static inline uint32_t ring_payload_off(uint32_t flags, uint32_t key_len, uint32_t meta_len)
{
    uint32_t off = (uint32_t)sizeof(struct ring_head) + ring_align8(key_len);
    if (flags & RING_FLAG_TIME)
        off += 8;
    if (flags & RING_FLAG_META)
        off += ring_align8(4 + meta_len);
    return off;
}

static inline uint32_t ring_class_of(uint64_t pos)
{
    return (uint32_t)(pos / RING_STRIPE_BYTES % RING_CLASS_COUNT);
}

#endif
