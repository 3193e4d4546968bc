/* The ring's bench for one event size: everything that is compared stands side by side, and one slice of any row can be run at any time.
 *
 * Alone, a slice is a number of bursts: half of the near ring's size is written under the clock, then the ring is freed without it.
 * Drained, the bursts follow each other as soon as there is room; waiting for room is not counted, for it is the reader's time and not the
 * writer's. In memory the clock is the thread's own, so that what else wants the core is not in the figure. */
#include "bench/lab.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/measure.h"

#define SLICE_BYTES_MIN (UINT64_C(4) << 20)
#define SLICE_BYTES_MAX (UINT64_C(64) << 20)
#define SYNC_LOOK_NS INT64_C(500000)
#define WARM_BURSTS 3u      /* untimed, a lap of the near ring: the rows before have used the cache */
#define RECORD_OVERHEAD 48u /* head, key, time, padding: so many bytes a record may have beyond its payload */

enum row { /* that others refer to */
           ROW_FLOOR_NEAR,
           ROW_FLOOR_GUARDED_NEAR,
           ROW_FLOOR_DRAINED_NEAR,
           ROW_SEND_NEAR,
           ROW_SEND_KEYED_NEAR,
           ROW_SEND_DRAINED_NEAR,
           ROW_FLOOR_FAR,
           ROW_FLOOR_DRAINED_FAR,
           ROW_SEND_FAR,
           ROW_SEND_DRAINED_FAR,
           ROW_SEND_DISK,
           ROW_SEND_DISK_SYNCED,
           ROW_PIPE,
           ROW_DATAGRAM,
           ROW_QUEUE,
           ROW_MUTEX,
           ROW_CK,
           ROW_MUTEX_DRAINED,
           ROW_CK_DRAINED,
};
#define NO_TARGET -1

const struct lab_row lab_rows[] = {
    [ROW_FLOOR_NEAR] = {"memcpy behind a 16 B head", LAB_FLOOR, LAB_NEAR, 0, ROW_FLOOR_NEAR, NO_TARGET, 0},
    [ROW_FLOOR_GUARDED_NEAR] = {"memcpy, each in sigsetjmp", LAB_FLOOR_GUARDED, LAB_NEAR, 0, ROW_FLOOR_NEAR, NO_TARGET, 0},
    [ROW_FLOOR_DRAINED_NEAR] = {"memcpy, read by another core", LAB_FLOOR_DRAINED, LAB_NEAR, 0, ROW_FLOOR_NEAR, NO_TARGET, 0},
    [ROW_SEND_NEAR] = {"ehring_send", LAB_SEND, LAB_NEAR, 0, ROW_FLOOR_NEAR, ROW_FLOOR_NEAR, 0},
    [ROW_SEND_KEYED_NEAR] = {"ehring_send, keyed", LAB_SEND_KEYED, LAB_NEAR, 0, ROW_FLOOR_NEAR, NO_TARGET, 0},
    [ROW_SEND_DRAINED_NEAR] = {"ehring_send, lane draining", LAB_SEND_DRAINED, LAB_NEAR, 0, ROW_FLOOR_DRAINED_NEAR, NO_TARGET, 0},
    [ROW_FLOOR_FAR] = {"memcpy behind a 16 B head", LAB_FLOOR, LAB_FAR, 0, ROW_FLOOR_FAR, NO_TARGET, 0},
    [ROW_FLOOR_DRAINED_FAR] = {"memcpy, read by another core", LAB_FLOOR_DRAINED, LAB_FAR, 0, ROW_FLOOR_FAR, NO_TARGET, 0},
    [ROW_SEND_FAR] = {"ehring_send", LAB_SEND, LAB_FAR, 0, ROW_FLOOR_FAR, NO_TARGET, 0},
    [ROW_SEND_DRAINED_FAR] = {"ehring_send, lane draining", LAB_SEND_DRAINED, LAB_FAR, 0, ROW_FLOOR_DRAINED_FAR, ROW_SEND_FAR, 2},
    [ROW_SEND_DISK] = {"ehring_send, on a disk", LAB_SEND, LAB_DISK, 0, ROW_FLOOR_FAR, NO_TARGET, 0},
    [ROW_SEND_DISK_SYNCED] = {"ehring_send, disk, EHRING_SYNC", LAB_SEND, LAB_DISK_SYNCED, 0, ROW_FLOOR_FAR, NO_TARGET, 0},
    [ROW_PIPE] = {"pipe", LAB_PEER, LAB_NEAR, PEER_PIPE, ROW_FLOOR_NEAR, NO_TARGET, 0},
    [ROW_DATAGRAM] = {"Unix datagram", LAB_PEER, LAB_NEAR, PEER_DATAGRAM, ROW_FLOOR_NEAR, NO_TARGET, 0},
    [ROW_QUEUE] = {"POSIX queue", LAB_PEER, LAB_NEAR, PEER_QUEUE, ROW_FLOOR_NEAR, NO_TARGET, 0},
    [ROW_MUTEX] = {"queue under a shared mutex", LAB_PEER, LAB_NEAR, PEER_MUTEX, ROW_FLOOR_NEAR, NO_TARGET, 0},
    [ROW_CK] = {"ck_ring, payload copied", LAB_PEER, LAB_NEAR, PEER_CK, ROW_FLOOR_NEAR, NO_TARGET, 0},
    [ROW_MUTEX_DRAINED] = {"queue under a shared mutex, drained", LAB_PEER_DRAINED, LAB_NEAR, PEER_MUTEX, ROW_FLOOR_DRAINED_NEAR, NO_TARGET,
                           0},
    [ROW_CK_DRAINED] = {"ck_ring, payload copied, drained", LAB_PEER_DRAINED, LAB_NEAR, PEER_CK, ROW_FLOOR_DRAINED_NEAR, NO_TARGET, 0},
};
const uint32_t lab_row_count = sizeof(lab_rows) / sizeof(lab_rows[0]);

struct drained_shape { /* of a slice beside a reader */
    uint32_t events;
    uint32_t burst;
    uint64_t used_max; /* bytes unread with which a burst still has room */
};

static int64_t now_ns(enum lab_clock clock);
static int open_on_disk(struct lab *lab, const char *disk_dir);
static void make_keys(struct lab *lab);
static uint64_t capacity_for(size_t len, uint64_t wanted_bytes);
static uint32_t burst_events(const struct lab *lab);
static uint64_t slice_bytes(const struct lab *lab, enum lab_place place);
static uint32_t slice_events(const struct lab *lab, enum lab_place place);
typedef void floor_writer(struct floor_buffer *buffer, const void *data, size_t len, uint32_t count);
static int floor_slice(struct lab *lab, enum lab_place place, floor_writer *write, double *ns);
static int send_slice(struct lab *lab, enum lab_place place, const char *const *keys, double *ns);
static void wait_for_sync(const struct subject *subject, uint64_t used_max);
static int drained_slice(struct lab *lab, enum lab_place place, double *ns);
static int drained_floor_slice(struct lab *lab, enum lab_place place, double *ns);
static struct drained_shape shape_drained(const struct lab *lab, enum lab_place place);
static void relax(void);
static int peer_slice(struct lab *lab, enum peer_kind kind, double *ns);
static int drained_peer_slice(struct lab *lab, enum peer_kind kind, double *ns);

int lab_open(struct lab *lab, const char *rings_dir, const char *disk_dir, size_t len, uint64_t near_bytes, uint64_t far_bytes,
             struct drain *drain)
{
    int err = 0;

    *lab = (struct lab){.rings_dir = rings_dir, .len = len, .drain = drain};
    lab->clock_ns[LAB_CLOCK_WALL] = measure_clock_cost_ns();
    lab->clock_ns[LAB_CLOCK_THREAD] = measure_cpu_clock_cost_ns();
    make_keys(lab);
    lab->capacity[LAB_NEAR] = capacity_for(len, near_bytes);
    lab->capacity[LAB_FAR] = lab->capacity[LAB_DISK] = lab->capacity[LAB_DISK_SYNCED] = capacity_for(len, far_bytes);
    for (int i = 0; i < LAB_PEERS; i++)
        lab->peer_err[i] = peer_open((enum peer_kind)i, len, lab->capacity[LAB_NEAR], &lab->peer[i]);
    lab->data = malloc(len);
    if (!lab->data)
        err = -ENOMEM;
    else
        memset(lab->data, 'e', len);
    for (int place = 0; place < LAB_FLOORS && !err; place++) {
        err = floor_open(&lab->floor[place], lab->capacity[place]);
        if (!err)
            err = subject_open(rings_dir, lab->capacity[place], EHRING_SYNC_AT_CLOSE, &lab->subject[place]);
    }
    if (!err && disk_dir)
        err = open_on_disk(lab, disk_dir);
    if (err)
        lab_close(lab);
    return err;
}

void lab_close(struct lab *lab)
{
    for (int place = 0; place < LAB_PLACES; place++)
        subject_close(&lab->subject[place]);
    for (int place = 0; place < LAB_FLOORS; place++)
        floor_close(&lab->floor[place]);
    for (int i = 0; i < LAB_PEERS; i++)
        if (!lab->peer_err[i])
            peer_close(&lab->peer[i]);
    free(lab->data);
    lab->data = NULL;
}

uint32_t lab_warmup_slices(const struct lab *lab)
{
    return (uint32_t)(lab->capacity[LAB_DISK] / slice_bytes(lab, LAB_DISK)) + 1;
}

int lab_slice(struct lab *lab, uint32_t row, double *ns)
{
    const struct lab_row *what = &lab_rows[row];

    switch (what->kind) {
    case LAB_FLOOR:
        return floor_slice(lab, what->place, floor_write, ns);
    case LAB_FLOOR_GUARDED:
        return floor_slice(lab, what->place, floor_write_guarded, ns);
    case LAB_FLOOR_DRAINED:
        return drained_floor_slice(lab, what->place, ns);
    case LAB_SEND:
        return send_slice(lab, what->place, NULL, ns);
    case LAB_SEND_KEYED:
        return send_slice(lab, what->place, lab->key, ns);
    case LAB_SEND_DRAINED:
        return drained_slice(lab, what->place, ns);
    case LAB_PEER:
        return peer_slice(lab, what->peer, ns);
    case LAB_PEER_DRAINED:
        return drained_peer_slice(lab, what->peer, ns);
    }
    return -EINVAL;
}

double lab_limit(const struct lab *lab, uint32_t row, double of)
{
    static const struct {
        size_t len;
        double factor;
    } writing[] = {{64, 1.35}, {256, 1.3}, {1024, 1.1}}; /* over memcpy: the head weighs less the larger the event is */

    for (uint32_t i = 0; lab_rows[row].limit_of >= 0 && i < sizeof(writing) / sizeof(writing[0]); i++)
        if (lab->len == writing[i].len)
            return (lab_rows[row].limit_factor > 0 ? lab_rows[row].limit_factor : writing[i].factor) * of;
    return NAN;
}

static int64_t now_ns(enum lab_clock clock)
{
    return clock == LAB_CLOCK_WALL ? measure_now_ns() : measure_cpu_now_ns();
}

/* The thread that syncs inherits the core of the one that opens: the reader's, which has nothing to do meanwhile. */
static int open_on_disk(struct lab *lab, const char *disk_dir)
{
    int err = subject_open(disk_dir, lab->capacity[LAB_DISK], EHRING_SYNC_AT_CLOSE, &lab->subject[LAB_DISK]);

    if (err)
        return err;
    (void)measure_pin(MEASURE_CORE_READER);
    err = subject_open(disk_dir, lab->capacity[LAB_DISK_SYNCED], EHRING_SYNC, &lab->subject[LAB_DISK_SYNCED]);
    (void)measure_pin(MEASURE_CORE_WRITER);
    return err;
}

static void make_keys(struct lab *lab)
{
    for (uint32_t i = 0; i < SUBJECT_KEY_COUNT; i++) {
        snprintf(lab->key_text[i], sizeof(lab->key_text[i]), "device-%08u", i);
        lab->key[i] = lab->key_text[i];
    }
}

static uint64_t capacity_for(size_t len, uint64_t wanted_bytes)
{
    uint64_t capacity = RING_CAPACITY_MIN;

    while (capacity < wanted_bytes || capacity / RING_RECORD_SHARE < len + RECORD_OVERHEAD)
        capacity *= 2;
    return capacity;
}

static uint32_t burst_events(const struct lab *lab)
{
    return (uint32_t)(lab->capacity[LAB_NEAR] / 2 / (lab->len + RECORD_OVERHEAD));
}

/* Two laps, so that a lane is at work during most of the bursts, and the second one finds its lines where the first one left them. */
static uint64_t slice_bytes(const struct lab *lab, enum lab_place place)
{
    uint64_t bytes = place < LAB_DISK ? 2 * lab->capacity[place] : lab->capacity[place] / 2; /* a disk is written, and slow */

    return bytes < SLICE_BYTES_MIN ? SLICE_BYTES_MIN : bytes > SLICE_BYTES_MAX ? SLICE_BYTES_MAX : bytes;
}

/* Whole bursts. */
static uint32_t slice_events(const struct lab *lab, enum lab_place place)
{
    uint64_t events = slice_bytes(lab, place) / (lab->len + RECORD_OVERHEAD), burst = burst_events(lab);

    return (uint32_t)((events + burst - 1) / burst * burst);
}

static int floor_slice(struct lab *lab, enum lab_place place, floor_writer *write, double *ns)
{
    uint32_t events = slice_events(lab, place), burst = burst_events(lab);
    int64_t spent_ns = 0;

    write(&lab->floor[place], lab->data, lab->len, WARM_BURSTS * burst);
    for (uint32_t done = 0; done < events; done += burst) {
        int64_t start_ns = now_ns(LAB_CLOCK_THREAD);

        write(&lab->floor[place], lab->data, lab->len, burst);
        spent_ns += now_ns(LAB_CLOCK_THREAD) - start_ns - lab->clock_ns[LAB_CLOCK_THREAD];
    }
    *ns = (double)spent_ns / events;
    return 0;
}

static int send_slice(struct lab *lab, enum lab_place place, const char *const *keys, double *ns)
{
    uint32_t events = slice_events(lab, place), burst = burst_events(lab);
    uint64_t used_max = lab->capacity[place] - burst * (lab->len + RECORD_OVERHEAD) - lab->capacity[place] / RING_RECORD_SHARE;
    enum lab_clock clock = place < LAB_DISK ? LAB_CLOCK_THREAD : LAB_CLOCK_WALL; /* a fault that waits for the disk is to be seen */
    struct subject *subject = &lab->subject[place];
    int64_t spent_ns = 0;
    int err = 0;

    if (!subject->producer)
        return -EOPNOTSUPP;
    for (uint32_t i = 0; i < WARM_BURSTS && !err; i++) {
        wait_for_sync(subject, used_max);
        err = subject_send(subject, lab->data, lab->len, keys, burst);
        subject_free_all(subject);
    }
    for (uint32_t done = 0; done < events && !err; done += burst) {
        wait_for_sync(subject, used_max);
        int64_t start_ns = now_ns(clock);

        err = subject_send(subject, lab->data, lab->len, keys, burst);
        spent_ns += now_ns(clock) - start_ns - lab->clock_ns[clock];
        subject_free_all(subject);
    }
    *ns = (double)spent_ns / events;
    return err;
}

/* What is written is freed at once; under EHRING_SYNC it becomes room by the next sync. Asleep: a thread that spins so long has used up its
 * share of the core when its clock begins to run. */
static void wait_for_sync(const struct subject *subject, uint64_t used_max)
{
    while (subject_used_bytes(subject) > used_max)
        measure_sleep_until_ns(measure_now_ns() + SYNC_LOOK_NS);
}

static int drained_slice(struct lab *lab, enum lab_place place, double *ns)
{
    struct drained_shape shape = shape_drained(lab, place);
    struct subject *subject = &lab->subject[place];
    int64_t spent_ns = 0;
    int err = 0, drain_err;

    drain_begin(lab->drain, subject);
    for (uint32_t done = 0; done < shape.events && !err; done += shape.burst) {
        while (subject_used_bytes(subject) > shape.used_max)
            relax();
        int64_t start_ns = now_ns(LAB_CLOCK_THREAD);

        err = subject_send(subject, lab->data, lab->len, NULL, shape.burst);
        spent_ns += now_ns(LAB_CLOCK_THREAD) - start_ns - lab->clock_ns[LAB_CLOCK_THREAD];
    }
    drain_err = drain_end(lab->drain);
    *ns = (double)spent_ns / shape.events;
    return err ? err : drain_err;
}

static int drained_floor_slice(struct lab *lab, enum lab_place place, double *ns)
{
    struct drained_shape shape = shape_drained(lab, place);
    struct floor_buffer *buffer = &lab->floor[place];
    int64_t spent_ns = 0;

    drain_begin_floor(lab->drain, buffer);
    for (uint32_t done = 0; done < shape.events; done += shape.burst) {
        while (floor_unread_bytes(buffer) > shape.used_max)
            relax();
        int64_t start_ns = now_ns(LAB_CLOCK_THREAD);

        floor_write(buffer, lab->data, lab->len, shape.burst);
        spent_ns += now_ns(LAB_CLOCK_THREAD) - start_ns - lab->clock_ns[LAB_CLOCK_THREAD];
    }
    *ns = (double)spent_ns / shape.events;
    return drain_end(lab->drain);
}

static struct drained_shape shape_drained(const struct lab *lab, enum lab_place place)
{
    uint32_t burst = burst_events(lab) / 4 ? burst_events(lab) / 4 : 1, events = slice_events(lab, place);
    uint64_t capacity = lab->capacity[place];

    return (struct drained_shape){
        .events = events - events % burst,
        .burst = burst,
        .used_max = capacity - burst * (lab->len + RECORD_OVERHEAD) - capacity / RING_RECORD_SHARE, /* pads want some too */
    };
}

/* Looking without a pause would take the line away from the reader that is to change it. */
static void relax(void)
{
    for (int i = 0; i < 64; i++)
        measure_relax();
}

static int peer_slice(struct lab *lab, enum peer_kind kind, double *ns)
{
    struct peer *peer = &lab->peer[kind];
    uint32_t burst = peer->burst_max, done = 0;
    int64_t spent_ns = 0;
    int err = 0;

    if (lab->peer_err[kind])
        return -EOPNOTSUPP;
    while (done < peer->slice_events && !err) {
        int64_t start_ns = now_ns(LAB_CLOCK_THREAD);

        err = peer_write(peer, lab->data, burst);
        spent_ns += now_ns(LAB_CLOCK_THREAD) - start_ns - lab->clock_ns[LAB_CLOCK_THREAD];
        if (!err)
            err = peer_empty(peer, burst);
        done += burst;
    }
    *ns = (double)spent_ns / done;
    return err;
}

/* As drained_slice. A mutex that the reader holds is waited for asleep: that is the writer's time, and only the wall's clock has it. */
static int drained_peer_slice(struct lab *lab, enum peer_kind kind, double *ns)
{
    enum lab_clock clock = kind == PEER_MUTEX ? LAB_CLOCK_WALL : LAB_CLOCK_THREAD;
    struct peer *peer = &lab->peer[kind];
    uint32_t burst = peer->burst_max / 4 ? peer->burst_max / 4 : 1, done = 0;
    int64_t spent_ns = 0;
    int err = 0, drain_err;

    if (lab->peer_err[kind])
        return -EOPNOTSUPP;
    drain_begin_peer(lab->drain, peer);
    while (done < peer->slice_events && !err) {
        while (peer_unread(peer) > peer->room - burst)
            relax();
        int64_t start_ns = now_ns(clock);

        err = peer_write(peer, lab->data, burst);
        spent_ns += now_ns(clock) - start_ns - lab->clock_ns[clock];
        done += burst;
    }
    drain_err = drain_end(lab->drain);
    *ns = (double)spent_ns / done;
    return err ? err : drain_err;
}
