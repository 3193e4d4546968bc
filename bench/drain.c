/* A lane that drains while the producer writes: a thread on another core that does with a ring what a worker of the shipper does.
 * It is a thread and not a process: what it costs the writer comes from the other core's cache, and that does not know the difference. */
#include "bench/drain.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "bench/measure.h"
#include "ringbuf/ring_order.h"

#define BATCH_BUFFER_BYTES (1u << 20) /* as much as a full batch */
#define ACK_SHARE 16u

enum drain_state { DRAIN_IDLE, DRAIN_RUNNING, DRAIN_ENDING, DRAIN_QUIT };

struct drain {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    _Atomic uint32_t state;  /* enum drain_state; changed under the lock, looked at without it between passes */
    struct subject *subject; /* one of the three, the others are NULL */
    struct floor_buffer *floor;
    struct peer *peer;
    struct spectrum *ages; /* NULL: not asked for */
    uint32_t pass_us;
    int err;
    uint8_t *batch;
    size_t batch_len;
    uint64_t acked_pos;
    struct ring_walk walk;
};

static void begin(struct drain *drain, struct subject *subject, struct floor_buffer *floor, struct peer *peer);
static void *drain_main(void *argument);
static void drain_all(struct drain *drain);
static void floor_pass(struct drain *drain);
static void peer_pass(struct drain *drain);
static int ring_pass(struct drain *drain);
static int take_record(struct drain *drain, const struct ring_record *record);
static void add_age(struct drain *drain, const uint8_t *payload);
static void set_state(struct drain *drain, enum drain_state state);
static void wait_while(struct drain *drain, enum drain_state state);

int drain_open(uint32_t pass_us, struct drain **out)
{
    struct drain *drain = calloc(1, sizeof(*drain));
    int err = -ENOMEM;

    *out = NULL;
    if (!drain)
        return -ENOMEM;
    drain->batch = calloc(1, BATCH_BUFFER_BYTES);
    if (!drain->batch)
        goto out;
    drain->pass_us = pass_us;
    pthread_mutex_init(&drain->lock, NULL);
    pthread_cond_init(&drain->changed, NULL);
    err = -pthread_create(&drain->thread, NULL, drain_main, drain);
    if (!err)
        *out = drain;
out:
    if (err) {
        free(drain->batch);
        free(drain);
    }
    return err;
}

void drain_close(struct drain *drain)
{
    if (!drain)
        return;
    set_state(drain, DRAIN_QUIT);
    pthread_join(drain->thread, NULL);
    pthread_cond_destroy(&drain->changed);
    pthread_mutex_destroy(&drain->lock);
    free(drain->batch);
    free(drain);
}

void drain_begin(struct drain *drain, struct subject *subject)
{
    drain->acked_pos = subject->lane.walk_pos;
    begin(drain, subject, NULL, NULL);
}

void drain_note_ages(struct drain *drain, struct spectrum *ages)
{
    drain->ages = ages;
}

void drain_begin_floor(struct drain *drain, struct floor_buffer *buffer)
{
    floor_skip(buffer);
    begin(drain, NULL, buffer, NULL);
}

void drain_begin_peer(struct drain *drain, struct peer *peer)
{
    begin(drain, NULL, NULL, peer);
}

int drain_end(struct drain *drain)
{
    set_state(drain, DRAIN_ENDING);
    wait_while(drain, DRAIN_ENDING);
    return drain->err;
}

static void begin(struct drain *drain, struct subject *subject, struct floor_buffer *floor, struct peer *peer)
{
    drain->subject = subject;
    drain->floor = floor;
    drain->peer = peer;
    drain->err = 0;
    set_state(drain, DRAIN_RUNNING);
}

static void *drain_main(void *argument)
{
    struct drain *drain = argument;

    measure_pin(MEASURE_CORE_READER);
    measure_sharpen_timers();
    for (;;) {
        wait_while(drain, DRAIN_IDLE);
        if (order_flag_get(&drain->state) == DRAIN_QUIT)
            return NULL;
        drain_all(drain);
        set_state(drain, DRAIN_IDLE);
    }
}

/* Passes until the writer says that nothing follows; the pass that begins after that takes the rest. */
static void drain_all(struct drain *drain)
{
    bool last = false;

    while (!last) {
        last = order_flag_get(&drain->state) != DRAIN_RUNNING;
        if (drain->floor)
            floor_pass(drain);
        else if (drain->peer)
            peer_pass(drain);
        else if (!drain->err)
            drain->err = ring_pass(drain);
        if (drain->err)
            subject_free_all(drain->subject); /* or the writer would wait for ever */
        if (!last && drain->pass_us > 0)
            measure_sleep_until_ns(measure_now_ns() + drain->pass_us * INT64_C(1000));
        else if (!last)
            measure_relax();
    }
}

/* Up to what was written when it began. */
static void floor_pass(struct drain *drain)
{
    uint64_t left = order_observe(&drain->floor->written_pos) - order_none_load64(&drain->floor->read_pos);
    uint64_t share = drain->floor->bytes_len / ACK_SHARE;

    while (left > 0) {
        if (share > BATCH_BUFFER_BYTES - drain->batch_len)
            drain->batch_len = 0;
        size_t len = floor_read(drain->floor, drain->batch + drain->batch_len, left < share ? left : share);

        drain->batch_len += len;
        left -= len;
    }
}

/* Up to what was there when it began. Such a peer frees each message as it is taken. */
static void peer_pass(struct drain *drain)
{
    size_t len = drain->peer->len;

    for (uint32_t left = peer_unread(drain->peer); left > 0; left--) {
        if (len > BATCH_BUFFER_BYTES - drain->batch_len)
            drain->batch_len = 0;
        if (peer_take(drain->peer, drain->batch + drain->batch_len))
            return;
        drain->batch_len += len;
    }
}

static int ring_pass(struct drain *drain)
{
    struct ring_lane *lane = &drain->subject->lane;
    uint64_t write_pos = 0;

    if (ring_lane_look(lane, &write_pos))
        return -EBADMSG;
    while (lane->walk_pos != write_pos) {
        int count = ring_walk(lane->ring, &lane->walk_pos, write_pos, &drain->walk);

        for (int i = 0; i < count; i++)
            if (take_record(drain, &drain->walk.record[i]))
                return -EBADMSG;
        if (count < 0)
            return count;
        if (lane->walk_pos - drain->acked_pos >= drain->subject->capacity / ACK_SHARE || lane->walk_pos == write_pos) {
            ring_lane_ack(lane, lane->walk_pos, lane->walk_pos);
            drain->acked_pos = lane->walk_pos;
        }
    }
    return 0;
}

/* What the shipper's encoder does: looks at the head again, copies the payload behind the one before. */
static int take_record(struct drain *drain, const struct ring_record *record)
{
    struct ring_parts parts;
    uint8_t meta[64];
    int err = ring_record_parts(drain->subject->ring, record->pos, record->len, &parts, meta, sizeof(meta));

    if (err)
        return err;
    if (parts.payload_len > BATCH_BUFFER_BYTES - drain->batch_len)
        drain->batch_len = 0;
    err = ring_copy(drain->subject->ring, parts.payload_pos, drain->batch + drain->batch_len, parts.payload_len);
    if (drain->ages && !err)
        add_age(drain, drain->batch + drain->batch_len);
    drain->batch_len += parts.payload_len;
    return err;
}

static void add_age(struct drain *drain, const uint8_t *payload)
{
    int64_t sent_ns;

    memcpy(&sent_ns, payload, sizeof(sent_ns));
    spectrum_add(drain->ages, measure_now_ns() - sent_ns);
}

static void set_state(struct drain *drain, enum drain_state state)
{
    pthread_mutex_lock(&drain->lock);
    order_flag_set(&drain->state, state);
    pthread_cond_broadcast(&drain->changed);
    pthread_mutex_unlock(&drain->lock);
}

static void wait_while(struct drain *drain, enum drain_state state)
{
    pthread_mutex_lock(&drain->lock);
    while (order_flag_get(&drain->state) == (uint32_t)state)
        pthread_cond_wait(&drain->changed, &drain->lock);
    pthread_mutex_unlock(&drain->lock);
}
