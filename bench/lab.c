/* The ring's bench for one event size: everything that is compared stands side by side, and one slice of any row can be run at any time.
 *
 * Alone, a slice is a number of bursts: half of the near ring's size is written under the clock, then the ring is freed without it.
 * Drained, the bursts follow each other as soon as there is room; waiting for room is not counted, for it is the reader's time and not the
 * writer's. */
#include "bench/lab.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/measure.h"

#define SLICE_BYTES (UINT64_C(4) << 20)
#define PEER_SLICE_EVENTS 512u
#define RECORD_OVERHEAD 48u /* head, key, time, padding: so many bytes a record may have beyond its payload */

const struct lab_row lab_rows[] = {
    {.name = "memcpy behind a 16 B head", .kind = LAB_FLOOR, .place = LAB_NEAR, .floor = 0, .limit_of = -1},
    {.name = "ehring_send", .kind = LAB_SEND, .place = LAB_NEAR, .floor = 0, .limit_of = 0, .limit_factor = 1.5, .limit_plus_ns = 2},
    {.name = "ehring_send, keyed", .kind = LAB_SEND_KEYED, .place = LAB_NEAR, .floor = 0, .limit_of = -1},
    {.name = "ehring_send, lane draining", .kind = LAB_SEND_DRAINED, .place = LAB_NEAR, .floor = 0, .limit_of = 1, .limit_factor = 2},
    {.name = "memcpy behind a 16 B head", .kind = LAB_FLOOR, .place = LAB_FAR, .floor = 4, .limit_of = -1},
    {.name = "ehring_send", .kind = LAB_SEND, .place = LAB_FAR, .floor = 4, .limit_of = -1},
    {.name = "ehring_send, lane draining", .kind = LAB_SEND_DRAINED, .place = LAB_FAR, .floor = 4, .limit_of = 5, .limit_factor = 2},
    {.name = "pipe", .kind = LAB_PEER, .peer = PEER_PIPE, .floor = 0, .limit_of = -1},
    {.name = "Unix datagram", .kind = LAB_PEER, .peer = PEER_DATAGRAM, .floor = 0, .limit_of = -1},
    {.name = "POSIX queue", .kind = LAB_PEER, .peer = PEER_QUEUE, .floor = 0, .limit_of = -1},
};
const uint32_t lab_row_count = sizeof(lab_rows) / sizeof(lab_rows[0]);

static void make_keys(struct lab *lab);
static uint64_t capacity_for(size_t len, uint64_t wanted_bytes);
static uint32_t burst_events(const struct lab *lab);
static uint32_t slice_events(const struct lab *lab, uint64_t slice_bytes);
static int floor_slice(struct lab *lab, enum lab_place place, double *ns);
static int send_slice(struct lab *lab, enum lab_place place, const char *const *keys, double *ns);
static int drained_slice(struct lab *lab, enum lab_place place, double *ns);
static int peer_slice(struct lab *lab, enum peer_kind kind, double *ns);

int lab_open(struct lab *lab, const char *rings_dir, size_t len, uint64_t near_bytes, uint64_t far_bytes, struct drain *drain)
{
    int err = 0;

    *lab = (struct lab){.rings_dir = rings_dir, .len = len, .clock_ns = measure_clock_cost_ns(), .drain = drain};
    for (int i = 0; i < LAB_PEERS; i++)
        lab->peer_err[i] = peer_open((enum peer_kind)i, len, &lab->peer[i]);
    make_keys(lab);
    lab->capacity[LAB_NEAR] = capacity_for(len, near_bytes);
    lab->capacity[LAB_FAR] = capacity_for(len, far_bytes);
    lab->data = malloc(len);
    if (!lab->data)
        err = -ENOMEM;
    else
        memset(lab->data, 'e', len);
    for (int place = 0; place < LAB_PLACES && !err; place++) {
        err = floor_open(&lab->floor[place], lab->capacity[place]);
        if (!err)
            err = subject_open(rings_dir, lab->capacity[place], &lab->subject[place]);
    }
    if (err)
        lab_close(lab);
    return err;
}

void lab_close(struct lab *lab)
{
    for (int place = 0; place < LAB_PLACES; place++) {
        subject_close(&lab->subject[place]);
        floor_close(&lab->floor[place]);
    }
    for (int i = 0; i < LAB_PEERS; i++)
        if (!lab->peer_err[i])
            peer_close(&lab->peer[i]);
    free(lab->data);
    lab->data = NULL;
}

uint32_t lab_warmup_slices(const struct lab *lab)
{
    uint64_t laps = lab->capacity[LAB_FAR] / SLICE_BYTES + 1;

    return laps > 32 ? 32 : (uint32_t)laps;
}

int lab_slice(struct lab *lab, uint32_t row, double *ns)
{
    const struct lab_row *what = &lab_rows[row];

    switch (what->kind) {
    case LAB_FLOOR:
        return floor_slice(lab, what->place, ns);
    case LAB_SEND:
        return send_slice(lab, what->place, NULL, ns);
    case LAB_SEND_KEYED:
        return send_slice(lab, what->place, lab->key, ns);
    case LAB_SEND_DRAINED:
        return drained_slice(lab, what->place, ns);
    case LAB_PEER:
        return peer_slice(lab, what->peer, ns);
    }
    return -EINVAL;
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

/* Whole bursts. */
static uint32_t slice_events(const struct lab *lab, uint64_t slice_bytes)
{
    uint64_t events = slice_bytes / (lab->len + RECORD_OVERHEAD), burst = burst_events(lab);

    return (uint32_t)((events + burst - 1) / burst * burst);
}

static int floor_slice(struct lab *lab, enum lab_place place, double *ns)
{
    uint32_t events = slice_events(lab, SLICE_BYTES), burst = burst_events(lab);
    int64_t spent_ns = 0;

    for (uint32_t done = 0; done < events; done += burst) {
        int64_t start_ns = measure_now_ns();

        floor_write(&lab->floor[place], lab->data, lab->len, burst);
        spent_ns += measure_now_ns() - start_ns - lab->clock_ns;
    }
    *ns = (double)spent_ns / events;
    return 0;
}

static int send_slice(struct lab *lab, enum lab_place place, const char *const *keys, double *ns)
{
    uint32_t events = slice_events(lab, SLICE_BYTES), burst = burst_events(lab);
    struct subject *subject = &lab->subject[place];
    int64_t spent_ns = 0;
    int err = 0;

    for (uint32_t done = 0; done < events && !err; done += burst) {
        int64_t start_ns = measure_now_ns();

        err = subject_send(subject, lab->data, lab->len, keys, burst);
        spent_ns += measure_now_ns() - start_ns - lab->clock_ns;
        subject_free_all(subject);
    }
    *ns = (double)spent_ns / events;
    return err;
}

/* At least two laps, so that the lane is at work during most of the bursts. */
static int drained_slice(struct lab *lab, enum lab_place place, double *ns)
{
    struct subject *subject = &lab->subject[place];
    uint64_t bytes = 2 * subject->capacity > SLICE_BYTES ? 2 * subject->capacity : SLICE_BYTES;
    uint32_t events = slice_events(lab, bytes), burst = burst_events(lab) / 4 ? burst_events(lab) / 4 : 1;
    uint64_t room =
        subject->capacity - burst * (lab->len + RECORD_OVERHEAD) - subject->capacity / RING_RECORD_SHARE; /* pads want some too */
    int64_t spent_ns = 0;
    int err = 0, drain_err;

    events -= events % burst;
    drain_begin(lab->drain, subject);
    for (uint32_t done = 0; done < events && !err; done += burst) {
        while (subject_used_bytes(subject) > room)
            for (int i = 0; i < 64; i++)
                measure_relax();
        int64_t start_ns = measure_now_ns();

        err = subject_send(subject, lab->data, lab->len, NULL, burst);
        spent_ns += measure_now_ns() - start_ns - lab->clock_ns;
    }
    drain_err = drain_end(lab->drain);
    *ns = (double)spent_ns / events;
    return err ? err : drain_err;
}

static int peer_slice(struct lab *lab, enum peer_kind kind, double *ns)
{
    struct peer *peer = &lab->peer[kind];
    uint32_t burst = peer->burst_max, done = 0;
    int64_t spent_ns = 0;
    int err = 0;

    if (lab->peer_err[kind])
        return -EOPNOTSUPP;
    while (done < PEER_SLICE_EVENTS && !err) {
        int64_t start_ns = measure_now_ns();

        err = peer_write(peer, lab->data, burst);
        spent_ns += measure_now_ns() - start_ns - lab->clock_ns;
        if (!err)
            err = peer_empty(peer, burst);
        done += burst;
    }
    *ns = (double)spent_ns / done;
    return err;
}
