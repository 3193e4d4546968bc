/* Several producers with a ring each, and several readers of all rings as the workers of a shipper are: each has its lane in every ring. */
#include "bench/crowd.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/measure.h"
#include "bench/subject.h"
#include "client/ehring.h"
#include "ringbuf/ring.h"
#include "ringbuf/ring_order.h"

#define BURST 256u
#define BATCH_BYTES (1u << 20)
#define WAIT_NS INT64_C(20000)
#define RECORD_BYTES(len) ((len) + 48u) /* with head, key, time, padding */

struct producer {
    struct crowd *crowd;
    pthread_t thread;
    bool started;
    struct subject subject; /* its own lane is used only where nobody else reads */
    int64_t spent_ns;
    int err;
};

struct reader {
    struct crowd *crowd;
    pthread_t thread;
    bool started;
    uint32_t index;
    struct ring_lane lane[CROWD_PRODUCERS_MAX];
    uint8_t *batch;
    size_t batch_len;
    struct ring_walk walk;
    int err;
};

struct crowd {
    struct crowd_options options;
    uint8_t *data;
    int64_t clock_ns; /* what looking at a thread's clock costs */
    pthread_mutex_t lock;
    pthread_cond_t changed; /* round, busy, quit: all under the lock */
    uint32_t round;
    uint32_t busy; /* threads that work at this round */
    bool quit;
    _Atomic uint32_t writing; /* producers that are not done: at 0 the readers end with what is there */
    _Atomic uint32_t failed;  /* a reader gave up: nobody is to wait for room */
    struct producer producer[CROWD_PRODUCERS_MAX];
    struct reader reader[CROWD_LANES_MAX];
};

static int start_threads(struct crowd *crowd);
static int join_round(struct crowd *crowd, uint32_t *round);
static void leave_round(struct crowd *crowd);
static void *producer_main(void *argument);
static int send_all(struct producer *producer);
static void wait_for_room(const struct producer *producer, uint64_t used_max);
static void *reader_main(void *argument);
static int read_all(struct reader *reader);
static int read_ring(struct reader *reader, struct ring_lane *lane);
static int take_record(struct reader *reader, struct ring *ring, const struct ring_record *record);

int crowd_open(const struct crowd_options *options, struct crowd **out)
{
    struct crowd *crowd = calloc(1, sizeof(*crowd));
    int err = crowd ? 0 : -ENOMEM;

    *out = NULL;
    if (err)
        return err;
    crowd->options = *options;
    crowd->clock_ns = measure_cpu_clock_cost_ns();
    pthread_mutex_init(&crowd->lock, NULL);
    pthread_cond_init(&crowd->changed, NULL);
    crowd->data = malloc(options->event_len);
    if (crowd->data)
        memset(crowd->data, 'e', options->event_len);
    else
        err = -ENOMEM;
    for (uint32_t i = 0; i < options->producer_count && !err; i++) {
        crowd->producer[i].crowd = crowd;
        err = subject_open(options->rings_dir, options->ring_bytes, EHRING_SYNC_AT_CLOSE, &crowd->producer[i].subject);
        if (!err && options->lane_count > 0)
            err = ring_lanes_begin(crowd->producer[i].subject.ring, options->lane_count);
    }
    if (!err)
        err = start_threads(crowd);
    if (err)
        crowd_close(crowd);
    else
        *out = crowd;
    return err;
}

void crowd_close(struct crowd *crowd)
{
    if (!crowd)
        return;
    pthread_mutex_lock(&crowd->lock);
    crowd->quit = true;
    pthread_cond_broadcast(&crowd->changed);
    pthread_mutex_unlock(&crowd->lock);
    for (uint32_t i = 0; i < crowd->options.producer_count; i++)
        if (crowd->producer[i].started)
            pthread_join(crowd->producer[i].thread, NULL);
    for (uint32_t i = 0; i < crowd->options.lane_count; i++)
        if (crowd->reader[i].started)
            pthread_join(crowd->reader[i].thread, NULL);
    for (uint32_t i = 0; i < crowd->options.lane_count; i++)
        free(crowd->reader[i].batch);
    for (uint32_t i = 0; i < crowd->options.producer_count; i++)
        subject_close(&crowd->producer[i].subject);
    pthread_cond_destroy(&crowd->changed);
    pthread_mutex_destroy(&crowd->lock);
    free(crowd->data);
    free(crowd);
}

int crowd_run_slice(struct crowd *crowd, struct crowd_slice *slice)
{
    double events = (double)crowd->options.events * crowd->options.producer_count;
    int64_t start_ns = measure_now_ns(), spent_ns = 0;
    int err = 0;

    order_count_add(&crowd->writing, (int32_t)crowd->options.producer_count);
    pthread_mutex_lock(&crowd->lock);
    crowd->busy = crowd->options.producer_count + crowd->options.lane_count;
    crowd->round++;
    pthread_cond_broadcast(&crowd->changed);
    while (crowd->busy > 0)
        pthread_cond_wait(&crowd->changed, &crowd->lock);
    pthread_mutex_unlock(&crowd->lock);
    slice->events_per_second = events * 1e9 / (double)(measure_now_ns() - start_ns);
    for (uint32_t i = 0; i < crowd->options.producer_count; i++) {
        spent_ns += crowd->producer[i].spent_ns;
        err = err ? err : crowd->producer[i].err;
    }
    for (uint32_t i = 0; i < crowd->options.lane_count; i++)
        err = err ? err : crowd->reader[i].err;
    slice->writer_ns = (double)spent_ns / events;
    return err;
}

static int start_threads(struct crowd *crowd)
{
    int err = 0;

    for (uint32_t i = 0; i < crowd->options.producer_count && !err; i++) {
        err = -pthread_create(&crowd->producer[i].thread, NULL, producer_main, &crowd->producer[i]);
        crowd->producer[i].started = err == 0;
    }
    for (uint32_t k = 0; k < crowd->options.lane_count && !err; k++) {
        struct reader *reader = &crowd->reader[k];

        reader->crowd = crowd;
        reader->index = k;
        for (uint32_t i = 0; i < crowd->options.producer_count; i++)
            ring_lane_open(&reader->lane[i], crowd->producer[i].subject.ring, k);
        reader->batch = malloc(BATCH_BYTES);
        err = reader->batch ? -pthread_create(&reader->thread, NULL, reader_main, reader) : -ENOMEM;
        reader->started = err == 0;
    }
    if (err)
        fprintf(stderr, "ehring-bench: cannot start the threads of the producers and lanes: %s\n", strerror(-err));
    return err;
}

/* Waits for the round behind `*round`. 0, or -ESHUTDOWN: there will be none. */
static int join_round(struct crowd *crowd, uint32_t *round)
{
    int err;

    pthread_mutex_lock(&crowd->lock);
    while (crowd->round == *round && !crowd->quit)
        pthread_cond_wait(&crowd->changed, &crowd->lock);
    err = crowd->quit ? -ESHUTDOWN : 0;
    *round = crowd->round;
    pthread_mutex_unlock(&crowd->lock);
    return err;
}

static void leave_round(struct crowd *crowd)
{
    pthread_mutex_lock(&crowd->lock);
    crowd->busy--;
    pthread_cond_broadcast(&crowd->changed);
    pthread_mutex_unlock(&crowd->lock);
}

static void *producer_main(void *argument)
{
    struct producer *producer = argument;
    uint32_t round = 0;

    measure_sharpen_timers();
    while (join_round(producer->crowd, &round) == 0) {
        producer->err = send_all(producer);
        order_count_add(&producer->crowd->writing, -1);
        leave_round(producer->crowd);
    }
    return NULL;
}

/* Bursts under the thread's own clock, for others want its core too; what the look at that clock costs is taken off. */
static int send_all(struct producer *producer)
{
    const struct crowd_options *options = &producer->crowd->options;
    struct subject *subject = &producer->subject;
    uint32_t burst = BURST;
    int err = 0;

    while (burst > 1 && burst * RECORD_BYTES(options->event_len) > options->ring_bytes / 4)
        burst /= 2;
    producer->spent_ns = 0;
    for (uint32_t done = 0; done < options->events && !err; done += burst) {
        int64_t start_ns;

        wait_for_room(producer, options->ring_bytes / 2);
        start_ns = measure_cpu_now_ns();
        err = subject_send(subject, producer->crowd->data, options->event_len, NULL, burst);
        producer->spent_ns += measure_cpu_now_ns() - start_ns - producer->crowd->clock_ns;
        if (options->lane_count == 0)
            subject_free_all(subject);
    }
    return err;
}

/* Asleep: there may be more threads here than cores, and a reader must have one. */
static void wait_for_room(const struct producer *producer, uint64_t used_max)
{
    while (subject_used_bytes(&producer->subject) > used_max && !order_flag_get(&producer->crowd->failed))
        measure_sleep_until_ns(measure_now_ns() + WAIT_NS);
}

static void *reader_main(void *argument)
{
    struct reader *reader = argument;
    uint32_t round = 0;

    measure_sharpen_timers();
    while (join_round(reader->crowd, &round) == 0) {
        reader->err = read_all(reader);
        leave_round(reader->crowd);
    }
    return NULL;
}

/* The pass that begins when all producers are done takes the rest. */
static int read_all(struct reader *reader)
{
    const struct crowd *crowd = reader->crowd;
    bool last = false;
    int err = 0;

    while (!last && !err) {
        last = order_count_load(&crowd->writing) == 0;
        for (uint32_t i = 0; i < crowd->options.producer_count && !err; i++)
            err = read_ring(reader, &reader->lane[i]);
        if (!last && !err)
            measure_sleep_until_ns(measure_now_ns() + crowd->options.pass_us * INT64_C(1000));
    }
    if (err)
        order_flag_set(&reader->crowd->failed, 1);
    return err;
}

static int read_ring(struct reader *reader, struct ring_lane *lane)
{
    uint64_t write_pos = 0;
    int count = 1;

    if (ring_lane_look(lane, &write_pos))
        return -EBADMSG;
    while (count > 0 && lane->walk_pos != write_pos) {
        count = ring_walk(lane->ring, &lane->walk_pos, write_pos, &reader->walk);
        for (int i = 0; i < count; i++)
            if (take_record(reader, lane->ring, &reader->walk.record[i]))
                return -EBADMSG;
        ring_lane_ack(lane, lane->walk_pos, lane->walk_pos);
    }
    return count < 0 ? count : 0;
}

/* Its own domains only: those of unkeyed events are classes of stripes. Copies the payload behind the one before, as an encoder does. */
static int take_record(struct reader *reader, struct ring *ring, const struct ring_record *record)
{
    uint32_t domain = ring_class_of(record->pos);
    struct ring_parts parts;
    uint8_t meta[64];
    int err;

    if (domain % reader->crowd->options.lane_count != reader->index)
        return 0;
    err = ring_record_parts(ring, record->pos, record->len, &parts, meta, sizeof(meta));
    if (err)
        return err;
    if (parts.payload_len > BATCH_BYTES - reader->batch_len)
        reader->batch_len = 0;
    err = ring_copy(ring, parts.payload_pos, reader->batch + reader->batch_len, parts.payload_len);
    reader->batch_len += parts.payload_len;
    return err;
}
