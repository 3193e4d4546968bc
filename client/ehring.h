/* libehring: hands events to a ring in shared memory, from where ehring-shipper brings them to Azure Event Hubs.
 *
 * An event that a call has taken survives the death of this process. Sending makes no system call, takes no lock and allocates nothing
 * (but the wake-up of a shipper that sleeps, and waiting for room where the caller chose it).
 *
 * Threads: a handle is used by one thread at a time, normally by one thread all its life; each thread opens its own, or uses
 * ehring_post(), which does that. Handing a handle over to another thread needs the same synchronisation as any plain memory.
 * Functions that take no handle may be called by any thread at any time.
 *
 * Signals: a handler may send through a handle that nothing else uses; not through one that the code it interrupts may be using, which is
 * as bad as two threads, and not by ehring_post(). A payload that cannot be read faults in the caller: one that catches the signal and
 * jumps out of the call finds nothing of that event in the ring, and goes on.
 *
 * Fork: a handle belongs to the process that opened it. In a child every call on it returns EHRING_E_FORKED and writes nothing;
 * ehring_close() only frees memory there. The child opens rings of its own. ehring_post() does so by itself.
 *
 * Return values: 0 or a count, or a negative code: one of enum ehring_error, or the negative errno of a failed system call.
 * ehring_error_text() makes a sentence of each. errno is left alone. Calling with a NULL handle gives EHRING_E_CLOSED, so that
 * `ehring_close(ring); ring = NULL;` makes a later call safe. A handle that was closed and is not NULL must not be used, as with free().
 *
 * Every refusal of an event is counted by reason in the ring, where ehring-stat and ehring_read_stats() show it. */
#ifndef EHRING_H
#define EHRING_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#ifdef __cplusplus
extern "C" {
#endif

#define EHRING_VERSION_MAJOR 0
#define EHRING_VERSION_MINOR 1
#define EHRING_VERSION_PATCH 0
#define EHRING_VERSION "0.1.0"

#define EHRING_API __attribute__((visibility("default")))

/* ---- limits ---- */

#define EHRING_KEY_CHARS_MAX 128u     /* characters, not bytes: the service counts characters */
#define EHRING_PARTITION_ID_END 2032u /* partition ids are decimal numbers below this */
#define EHRING_PROPERTIES_MAX 256u    /* user properties of one event */
#define EHRING_PROPERTY_NAME_BYTES_MAX 255u
#define EHRING_TRACEPARENT_BYTES_MAX 255u
#define EHRING_META_BYTES_MAX 65528u /* all optional fields and properties of one event, with 8 bytes of overhead each */
#define EHRING_NAME_BYTES_MAX 63u    /* stream and ring names */
#define EHRING_THREAD_STREAMS_MAX 8u /* streams that one thread may use through ehring_post() */
#define EHRING_CAPACITY_DEFAULT_BYTES (UINT64_C(8) << 20)
#define EHRING_THREAD_CAPACITY_BYTES (UINT64_C(1) << 20)

/* ---- codes ---- */

enum ehring_error {
    EHRING_E_FULL = -EAGAIN,              /* no room in the ring, nothing was written */
    EHRING_E_TIMED_OUT = -ETIMEDOUT,      /* the time given did not do */
    EHRING_E_EVENT_TOO_LARGE = -EMSGSIZE, /* larger than the stream takes */
    EHRING_E_RING_TOO_SMALL = -EFBIG,     /* larger than an eighth of this ring: open it with more capacity_bytes */
    EHRING_E_KEY_NOT_UTF8 = -EILSEQ,
    EHRING_E_CLOSED = -ESHUTDOWN,     /* the handle is NULL */
    EHRING_E_FORKED = -EOWNERDEAD,    /* the handle belongs to the parent process */
    EHRING_E_RESERVED = -EBUSY,       /* a reservation is open: commit or discard it first */
    EHRING_E_INVALID = -EINVAL,       /* an argument that makes no sense; open: ehring_open_error() says which */
    EHRING_E_NO_STREAM_DIR = -ENOENT, /* <rings>/<stream> does not exist: the shipper makes it, or option make_stream_dir */
    EHRING_E_NOT_WRITABLE = -EACCES,  /* <rings>/<stream> is not writable for this user */
    EHRING_E_NO_SPACE = -ENOSPC,      /* no room for the ring file, in its file system or in the memory cgroup */
    EHRING_E_NO_MEMORY = -ENOMEM,
    EHRING_E_PATH_TOO_LONG = -ENAMETOOLONG, /* a name or a path that a socket address cannot hold */
    EHRING_E_NO_EVENT = -ENODATA,           /* nothing was sent through this handle yet */
    /* without a fitting errno */
    EHRING_E_KEY_TOO_LONG = -1001,      /* over EHRING_KEY_CHARS_MAX characters */
    EHRING_E_KEY_AND_PARTITION = -1002, /* an event has a partition key or a partition id, never both */
    EHRING_E_PARTITION_ID = -1003,      /* not a decimal number below EHRING_PARTITION_ID_END */
    EHRING_E_PROPERTY = -1004,          /* name missing, too long, twice or not UTF-8; type unknown; value missing or not UTF-8 */
    EHRING_E_TEXT_NOT_UTF8 = -1005,     /* message id, correlation id, schema version, traceparent; a content type that is not ASCII */
    EHRING_E_META_TOO_LARGE = -1006,    /* over EHRING_META_BYTES_MAX, or a traceparent over EHRING_TRACEPARENT_BYTES_MAX */
    EHRING_E_NOT_RESERVED = -1007,      /* commit or discard without a reservation */
    EHRING_E_THREAD_STREAMS = -1008,    /* this thread uses EHRING_THREAD_STREAMS_MAX other streams already */
};

/* Not an error: the ring was full, the handle's policy is EHRING_FULL_DROP, the event was dropped and counted. */
#define EHRING_DROPPED 1

/* The reasons under which the ring counts events that were not written. */
enum ehring_refused {
    EHRING_REFUSED_FULL = 0,
    EHRING_REFUSED_TIMED_OUT = 1,
    EHRING_REFUSED_DROPPED_FULL = 2,
    EHRING_REFUSED_LARGER_THAN_STREAM = 3,
    EHRING_REFUSED_LARGER_THAN_RING = 4,
    EHRING_REFUSED_KEY_TOO_LONG = 5,
    EHRING_REFUSED_KEY_NOT_UTF8 = 6,
    EHRING_REFUSED_KEY_AND_PARTITION = 7,
    EHRING_REFUSED_PARTITION_ID = 8,
    EHRING_REFUSED_PROPERTY = 9,
    EHRING_REFUSED_TEXT_NOT_UTF8 = 10,
    EHRING_REFUSED_META_TOO_LARGE = 11,
    EHRING_REFUSED_INVALID = 12,
};
#define EHRING_REFUSED_SLOTS 16u

/* The reasons under which the ring counts committed events that the shipper gave up. */
enum ehring_abandoned {
    EHRING_ABANDONED_REBOOT = 0, /* not on the disk when the machine stopped: seen by tools only, the producer is gone */
};
#define EHRING_ABANDONED_SLOTS 8u

/* ---- open and close ---- */

struct ehring; /* one ring, one producer thread */

enum ehring_full {                       /* what a call does when the ring is full */
                   EHRING_FULL_FAIL = 0, /* returns EHRING_E_FULL at once */
                   EHRING_FULL_WAIT = 1, /* waits up to wait_ms for room, then returns EHRING_E_TIMED_OUT */
                   EHRING_FULL_DROP = 2, /* drops the event, counts it, returns EHRING_DROPPED */
};

/* A ring survives the death of this process wherever it lies. In memory (/dev/shm) it does not survive a reboot; on a disk it does up to
 * its last sync, and what lies behind that is not sent but counted as dropped by reboot.
 *
 * EHRING_SYNC: one thread of this library (named ehring-sync, all signals blocked, ended with the last such ring) brings each such ring to
 * its disk once in sync_ms. After a power cut at most the events of the last window are missing: sync_ms, and the time that two syncs take,
 * times the rings of the process if one disk is slow. Costs: sending executes nothing more, but the first write to a page after each sync
 * is a fault, of about a microsecond, or as long as a sync under way where the file system makes it wait: a writer at full speed comes down
 * to the disk's speed. ehring_open() waits for the disk too; the room that the shipper frees is free for this ring only after the next
 * sync; 1000 / sync_ms wake-ups a second. A disk that refuses is counted (sync_failed_count in ehring-stat) and frees nothing. In memory
 * EHRING_SYNC does nothing and costs nothing. */
enum ehring_sync {                           /* when a ring on a disk is brought to it */
                   EHRING_SYNC_AT_CLOSE = 0, /* by ehring_close(), and when the shipper stops */
                   EHRING_SYNC = 1,          /* and within each sync_ms */
};
#define EHRING_SYNC_MS_DEFAULT 50u
#define EHRING_SYNC_MS_MAX 60000u

/* All zero means defaults; only `stream` is required. Strings are read during the call only. */
struct ehring_options {
    const char *stream;      /* required: a name of [A-Za-z0-9._-], the shipper's configuration maps it to a hub */
    const char *rings_dir;   /* NULL: environment variable EHRING_RINGS, else /dev/shm/ehring */
    const char *name;        /* what the ring calls itself in tools, as `stream`; NULL: the program's name */
    uint64_t capacity_bytes; /* rounded up to a power of two, 64 KiB to 64 GiB; 0: 8 MiB. No event is larger than an eighth of it */
    enum ehring_full full;
    uint32_t wait_ms;     /* with EHRING_FULL_WAIT: at most so long per call; 0: without limit */
    bool make_stream_dir; /* make <rings> and <rings>/<stream> if missing: for a producer that starts before its shipper, same user */
    bool times_all;       /* store the time of every event (costs a clock read); else of the first in each 64 KiB */
    enum ehring_sync sync;
    uint32_t sync_ms;     /* with EHRING_SYNC: the window, up to EHRING_SYNC_MS_MAX; 0: EHRING_SYNC_MS_DEFAULT */
    uint64_t reserved[5]; /* zero */
};

/* Makes a ring file, whole, locked and with all its memory, in <rings>/<stream>. Blocks for as long as clearing the memory takes. Any
 * thread; the handle is then for one thread at a time. 0, or EHRING_E_NO_STREAM_DIR, EHRING_E_NOT_WRITABLE, EHRING_E_NO_SPACE,
 * EHRING_E_INVALID, EHRING_E_PATH_TOO_LONG, EHRING_E_NO_MEMORY or a negative errno, with *out = NULL and the sentence in
 * ehring_open_error(). The caller owns *out and gives it to ehring_close(). */
EHRING_API int ehring_open(const struct ehring_options *options, struct ehring **out);

/* Marks the ring as finished and frees the handle. What was sent stays in the file until the shipper has delivered it and removes the file.
 * An open reservation is discarded. Waits for nothing (a ring on a disk is synced): use ehring_flush() before to wait for delivery. The
 * handle's thread. NULL is fine. In a forked child it frees memory and touches nothing else. */
EHRING_API void ehring_close(struct ehring *ring);

/* The sentence about the last ehring_open() (or first ehring_post() to a stream) of this thread that failed: names the thing, the limit and
 * the value. Any thread. Never NULL; empty if none failed. Valid until the thread's next failure. */
EHRING_API const char *ehring_open_error(void);

/* ---- send ----
 *
 * All calls below: bytes; the handle's thread; the library keeps no pointer after the call. They return 0 when the event is committed:
 * from then on it survives this process. EHRING_DROPPED by the policy. Else a negative code and nothing was written:
 *   EHRING_E_FULL, EHRING_E_TIMED_OUT     by the policy
 *   EHRING_E_EVENT_TOO_LARGE              the stream's limit: what the hub's link allows, 1 MiB less 512 bytes until the shipper knows.
 *                                         Counted are the payload, twice the key, and the optional fields. A limit that comes
 *                                         down below 4 KiB holds for smaller plain events from the ring's next 64 KiB on
 *   EHRING_E_RING_TOO_SMALL               an eighth of the ring, with 24 bytes for head and time
 *   EHRING_E_KEY_TOO_LONG, EHRING_E_KEY_NOT_UTF8
 *   EHRING_E_INVALID                      data is NULL and the length is not 0
 *   EHRING_E_CLOSED, EHRING_E_FORKED, EHRING_E_RESERVED
 * A key keeps the order of its events: all events of one key go to one partition, in the order in which this ring got them. NULL or empty:
 * no key; such an event may go to any partition, and has no order. */

/* Sends `len` bytes. `key` is NUL-terminated UTF-8 or NULL. */
EHRING_API int ehring_send(struct ehring *ring, const void *data, size_t len, const char *key);

/* Sends a NUL-terminated string without its NUL. */
EHRING_API int ehring_send_text(struct ehring *ring, const char *text, const char *key);

/* Sends the `part_count` parts as one event, one after another. At most 1024 parts (EHRING_E_INVALID). */
EHRING_API int ehring_sendv(struct ehring *ring, const struct iovec *parts, int part_count, const char *key);

/* ---- events with options ---- */

enum ehring_type {                            /* what arrives as the AMQP type named */
                   EHRING_TYPE_TEXT = 1,      /* string */
                   EHRING_TYPE_BOOL = 2,      /* boolean */
                   EHRING_TYPE_INT = 3,       /* long (or int) */
                   EHRING_TYPE_UINT = 4,      /* ulong (or uint) */
                   EHRING_TYPE_DOUBLE = 5,    /* double */
                   EHRING_TYPE_TIMESTAMP = 6, /* timestamp: milliseconds since 1970 */
                   EHRING_TYPE_BYTES = 7,     /* binary */
                   EHRING_TYPE_UUID = 8,      /* uuid: 16 bytes */
};

/* A user property. The functions at the end of this file fill one in. */
struct ehring_property {
    const char *name; /* NUL-terminated UTF-8, 1 to EHRING_PROPERTY_NAME_BYTES_MAX bytes, once per event */
    enum ehring_type type;
    size_t len; /* TEXT: bytes, 0: up to the NUL; BYTES: bytes; others: ignored */
    union {
        const char *text;
        bool yes;
        int64_t i64;
        uint64_t u64;
        double f64;
        int64_t time_ms;
        const void *bytes;
        const uint8_t *uuid;
    } value;
};

#define EHRING_TIME_NOW INT64_MIN

/* All zero but `data` and `len` means: as ehring_send(). Texts are NUL-terminated UTF-8; NULL: none. All is read during the call only. */
struct ehring_event {
    const void *data;
    size_t len;
    const char *key;
    size_t key_len;           /* bytes; 0: up to the NUL */
    const char *partition_id; /* "3": this partition and no other; decimal, below EHRING_PARTITION_ID_END; not together with a key */
    const char *content_type; /* application/json; ASCII */
    const char *message_id;
    const char *correlation_id;
    const char *schema_version;
    const char *traceparent; /* W3C trace context */
    const struct ehring_property *properties;
    size_t property_count;
    int64_t time_ns;      /* when it happened: ns since 1970; 0: not said; EHRING_TIME_NOW: the clock is read */
    bool has_key_hash;    /* the caller knows the service's 16-bit hash of `key`; the shipper then computes none */
    int16_t key_hash;     /* a wrong one sends the key's events to a wrong partition */
    uint64_t reserved[2]; /* zero */
};

/* Sends one event with its options. As ehring_send(), and EHRING_E_KEY_AND_PARTITION, EHRING_E_PARTITION_ID, EHRING_E_PROPERTY,
 * EHRING_E_TEXT_NOT_UTF8, EHRING_E_META_TOO_LARGE; EHRING_E_INVALID also for has_key_hash without a key. */
EHRING_API int ehring_send_event(struct ehring *ring, const struct ehring_event *event);

/* Sends an array in order; what fits is published by one store, so the shipper sees it at once. Returns how many were committed: the first
 * so many of the array. It stops at the first event that is refused; if that is the first of all, its code is returned (and counted), so
 * calling again with the rest tells why it stopped. EHRING_FULL_WAIT: one wait_ms for the whole call. EHRING_FULL_DROP: the first event
 * without room and all behind it are dropped and counted. The handle's thread. At most INT_MAX events are taken in one call. */
EHRING_API int ehring_send_many(struct ehring *ring, const struct ehring_event *events, size_t count);

/* ---- reserve, fill, commit: no copy ---- */

/* Reserves room for up to `len` payload bytes and stores their address, aligned to 8, in *payload. The bytes are the caller's to write
 * until commit or discard; they are in shared memory and hold garbage. One reservation at a time; other sends on the handle return
 * EHRING_E_RESERVED meanwhile. Returns as ehring_send(); *payload = NULL unless 0. */
EHRING_API int ehring_reserve(struct ehring *ring, size_t len, const char *key, void **payload);

/* The same with options: event->data is ignored, event->len is what is reserved. Returns as ehring_send_event(). */
EHRING_API int ehring_reserve_event(struct ehring *ring, const struct ehring_event *event, void **payload);

/* Commits the reservation with its first `used_len` bytes. The handle's thread. 0, or EHRING_E_NOT_RESERVED, EHRING_E_INVALID (`used_len`
 * is more than was reserved: the reservation stays open), EHRING_E_CLOSED, EHRING_E_FORKED. */
EHRING_API int ehring_commit(struct ehring *ring, size_t used_len);

/* Gives the reservation back; nobody will ever see it. The handle's thread. 0 or EHRING_E_NOT_RESERVED, EHRING_E_CLOSED, EHRING_E_FORKED.
 */
EHRING_API int ehring_discard(struct ehring *ring);

/* ---- wait and look ---- */

/* Waits until the service has accepted all that was sent through this handle so far (or the shipper has put it away), at most `timeout_ms`
 * milliseconds; 0: only looks; negative: without limit. The shipper sends what is waiting at once. The handle's thread. 0,
 * EHRING_E_TIMED_OUT, EHRING_E_CLOSED, EHRING_E_FORKED. *left_bytes (may be NULL): bytes of the ring that are not accepted yet. */
EHRING_API int ehring_flush(struct ehring *ring, int timeout_ms, uint64_t *left_bytes);

struct ehring_stats {              /* since open; events unless named otherwise */
    uint64_t sent_events;          /* committed = accepted + dead-lettered + abandoned + pending */
    uint64_t accepted_events;      /* the service has them */
    uint64_t dead_lettered_events; /* the shipper has put them into its dead-letter file */
    uint64_t abandoned_events;     /* given up by the shipper: the sum of `abandoned` */
    uint64_t pending_events;
    uint64_t pending_bytes;                     /* of the ring, heads and padding included */
    uint64_t dropped_events;                    /* never committed: EHRING_FULL_DROP */
    uint64_t refused_events;                    /* never committed: the sum of `refused` without the dropped */
    uint64_t refused[EHRING_REFUSED_SLOTS];     /* by enum ehring_refused */
    uint64_t abandoned[EHRING_ABANDONED_SLOTS]; /* by enum ehring_abandoned */
    uint64_t wait_count;                        /* waits for room */
    uint64_t wakeup_count;                      /* times a sleeping shipper was woken */
    uint64_t capacity_bytes;
    uint64_t event_bytes_max; /* the stream's limit that is in force now */
    uint64_t reserved[8];
};

/* Reads the ring's counters; what the shipper counts may be a pass old. The handle's thread. 0, EHRING_E_CLOSED or EHRING_E_FORKED; *stats
 * is all zero then. */
EHRING_API int ehring_read_stats(const struct ehring *ring, struct ehring_stats *stats);

/* "full", "key_too_long", …: the name that tools show for a reason, or NULL. Any thread. Static. */
EHRING_API const char *ehring_refused_name(unsigned reason);
/* The same for enum ehring_abandoned. */
EHRING_API const char *ehring_abandoned_name(unsigned reason);

/* What names an event for ever: the ring's uuid, and the byte position of its record in the ring. */
struct ehring_identity {
    uint8_t ring_uuid[16];
    uint64_t pos;
};
#define EHRING_IDENTITY_TEXT_BYTES 58u /* 36 for the uuid, ':', up to 20 digits, NUL */

/* The identity of the event that was committed last through this handle (of an array: its last). The handle's thread. 0, EHRING_E_NO_EVENT,
 * EHRING_E_CLOSED, EHRING_E_FORKED. */
EHRING_API int ehring_last_identity(const struct ehring *ring, struct ehring_identity *identity);

/* Writes "01234567-89ab-cdef-0123-456789abcdef:4096" with its NUL into `text`. Any thread. */
EHRING_API void ehring_identity_text(const struct ehring_identity *identity, char text[EHRING_IDENTITY_TEXT_BYTES]);

/* The ring's file. The handle's thread. NULL if `ring` is NULL, empty in a forked child. Belongs to the handle. */
EHRING_API const char *ehring_path(const struct ehring *ring);

/* ---- one call, no handle: a ring per thread and stream, made at first use, closed when the thread ends ----
 *
 * The rings have EHRING_THREAD_CAPACITY_BYTES, lie where EHRING_RINGS says, and fail when full. The main thread's are closed by
 * ehring_thread_close() or by the end of the process, which the shipper notices as well. A stream that could not be opened is tried again
 * after a second, until then its code is returned. After fork() the child's first call makes rings of its own. */

/* Sends as ehring_send() through this thread's ring of `stream`. Any thread. As ehring_send() and ehring_open(), and
 * EHRING_E_THREAD_STREAMS. */
EHRING_API int ehring_post(const char *stream, const void *data, size_t len, const char *key);

/* This thread's ring of `stream`, for ehring_flush(), ehring_send_event(), …; made if there is none. Any thread; the handle is for this
 * thread only. As ehring_open(), and EHRING_E_THREAD_STREAMS. The library owns *out: do not close it; it is gone after
 * ehring_thread_close(). */
EHRING_API int ehring_thread_ring(const char *stream, struct ehring **out);

/* Closes this thread's rings now. A later ehring_post() makes new ones. Any thread. */
EHRING_API void ehring_thread_close(void);

/* ---- texts ---- */

/* A sentence for a code that a call of this library returned. Any thread. Never NULL; static, or of the C library. */
EHRING_API const char *ehring_error_text(int code);

/* EHRING_VERSION of the library in use. Any thread. Static. */
EHRING_API const char *ehring_version(void);

/* ---- properties: each returns a filled struct that points to the caller's bytes ---- */

static inline struct ehring_property ehring_property_of_(const char *name, enum ehring_type type, size_t len)
{
    struct ehring_property property;
    property.name = name;
    property.type = type;
    property.len = len;
    property.value.u64 = 0;
    return property;
}
static inline struct ehring_property ehring_property_text(const char *name, const char *text)
{
    struct ehring_property property = ehring_property_of_(name, EHRING_TYPE_TEXT, 0);
    property.value.text = text;
    return property;
}
static inline struct ehring_property ehring_property_bool(const char *name, bool yes)
{
    struct ehring_property property = ehring_property_of_(name, EHRING_TYPE_BOOL, 0);
    property.value.yes = yes;
    return property;
}
static inline struct ehring_property ehring_property_int(const char *name, int64_t i64)
{
    struct ehring_property property = ehring_property_of_(name, EHRING_TYPE_INT, 0);
    property.value.i64 = i64;
    return property;
}
static inline struct ehring_property ehring_property_uint(const char *name, uint64_t u64)
{
    struct ehring_property property = ehring_property_of_(name, EHRING_TYPE_UINT, 0);
    property.value.u64 = u64;
    return property;
}
static inline struct ehring_property ehring_property_double(const char *name, double f64)
{
    struct ehring_property property = ehring_property_of_(name, EHRING_TYPE_DOUBLE, 0);
    property.value.f64 = f64;
    return property;
}
static inline struct ehring_property ehring_property_timestamp(const char *name, int64_t time_ms)
{
    struct ehring_property property = ehring_property_of_(name, EHRING_TYPE_TIMESTAMP, 0);
    property.value.time_ms = time_ms;
    return property;
}
static inline struct ehring_property ehring_property_bytes(const char *name, const void *bytes, size_t len)
{
    struct ehring_property property = ehring_property_of_(name, EHRING_TYPE_BYTES, len);
    property.value.bytes = bytes;
    return property;
}
static inline struct ehring_property ehring_property_uuid(const char *name, const uint8_t uuid[16])
{
    struct ehring_property property = ehring_property_of_(name, EHRING_TYPE_UUID, 16);
    property.value.uuid = uuid;
    return property;
}

#ifdef __cplusplus
}
#endif

#endif
