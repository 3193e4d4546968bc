/* Producers: threads with a ring each or several, which send as fast as it takes them or at a steady rate; and what their rings say about
 * it. The figures are read from the ring files, as any tool would: the producers' threads do nothing but send. */
#include "bench/load.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/measure.h"
#include "bench/subject.h"
#include "client/ehring.h"
#include "ringbuf/ring.h"
#include "ringbuf/ring_order.h"

#define WAIT_MS 50u /* a waiting producer looks that often whether it is to stop */
#define KEY_BYTES 24u
#define PROPERTY_NAME_BYTES 24u

struct place {             /* a ring */
    struct ehring *handle; /* its producer's thread's while that runs */
    struct ring *view;
};

struct producer {
    struct load *load;
    pthread_t thread;
    bool started;
    struct place *place; /* its first ring */
    uint32_t place_count;
    _Atomic uint32_t gave_up; /* the code, negated */
};

struct load {
    struct load_options options;
    _Atomic uint32_t stop;
    uint8_t *data;
    char (*key)[KEY_BYTES];
    struct ehring_property property[EHRING_PROPERTIES_MAX];
    char property_name[EHRING_PROPERTIES_MAX][PROPERTY_NAME_BYTES];
    struct place *place;        /* options.ring_count */
    struct producer producer[]; /* options.producer_count */
};

static int place_open(const struct load *load, struct place *place);
static void share_places(struct load *load);
static void *producer_main(void *argument);
static int send_fast(struct producer *producer);
static int send_paced(struct producer *producer);
static int send_one(struct producer *producer, uint64_t number);
static void make_properties(struct load *load);
static const char *key_at(const struct load *load, uint64_t number);
static int make_keys(struct load *load);

int load_start(const struct load_options *options, struct load **out)
{
    struct load *load = calloc(1, sizeof(*load) + options->producer_count * sizeof(load->producer[0]));
    int err = load ? 0 : -ENOMEM;

    *out = NULL;
    if (err)
        return err;
    load->options = *options;
    if (load->options.ring_count < options->producer_count)
        load->options.ring_count = options->producer_count;
    load->place = calloc(load->options.ring_count, sizeof(load->place[0]));
    load->data = malloc(options->event_len);
    err = load->data && load->place ? make_keys(load) : -ENOMEM;
    make_properties(load);
    if (!err)
        memset(load->data, 'e', options->event_len);
    for (uint32_t i = 0; i < load->options.ring_count && !err; i++)
        err = place_open(load, &load->place[i]);
    if (!err)
        share_places(load);
    for (uint32_t i = 0; i < options->producer_count && !err; i++) {
        err = -pthread_create(&load->producer[i].thread, NULL, producer_main, &load->producer[i]);
        load->producer[i].started = err == 0;
    }
    if (err)
        load_stop(load, 0);
    else
        *out = load;
    return err;
}

int load_stop(struct load *load, int timeout_ms)
{
    int64_t deadline_ns = measure_now_ns() + timeout_ms * INT64_C(1000000);
    int err = 0;

    if (!load)
        return 0;
    order_flag_set(&load->stop, 1);
    for (uint32_t i = 0; i < load->options.producer_count; i++)
        if (load->producer[i].started)
            pthread_join(load->producer[i].thread, NULL);
    for (uint32_t i = 0; load->place && i < load->options.ring_count; i++) {
        struct place *place = &load->place[i];
        int64_t left_ms = (deadline_ns - measure_now_ns()) / 1000000;

        if (place->handle && !err)
            err = ehring_flush(place->handle, left_ms > 0 ? (int)left_ms : 0, NULL);
        ring_close(place->view);
        ehring_close(place->handle);
    }
    free(load->place);
    free(load->key);
    free(load->data);
    free(load);
    return err;
}

int load_read(const struct load *load, struct load_sample *sample)
{
    uint32_t gave_up = 0;

    *sample = (struct load_sample){.time_ns = measure_now_ns()};
    for (uint32_t i = 0; i < load->options.producer_count; i++)
        gave_up = gave_up ? gave_up : order_flag_get(&load->producer[i].gave_up);
    for (uint32_t i = 0; i < load->options.ring_count; i++) {
        const struct ring_shipper *shipper = ring_shipper(load->place[i].view);

        sample->committed_events += order_none_load64(&ring_producer(load->place[i].view)->hot.event_count);
        for (uint32_t lane = 0; lane < RING_LANES_MAX; lane++) {
            sample->accepted_events += order_none_load64(&shipper->lane[lane].counts.accepted_events);
            sample->accepted_bytes += order_none_load64(&shipper->lane[lane].counts.accepted_bytes);
        }
    }
    return -(int)gave_up;
}

void load_add_latency(const struct load *load, struct ring_hist_view *view)
{
    for (uint32_t i = 0; i < load->options.ring_count; i++)
        for (uint32_t lane = 0; lane < RING_LANES_MAX; lane++)
            ring_hist_view_add(view, &ring_shipper(load->place[i].view)->commit_to_accept[lane]);
}

static int place_open(const struct load *load, struct place *place)
{
    const struct load_options *of = &load->options;
    struct ehring_options options = {.stream = of->stream,
                                     .rings_dir = of->rings_dir,
                                     .capacity_bytes = of->ring_bytes,
                                     .full = EHRING_FULL_WAIT,
                                     .wait_ms = WAIT_MS,
                                     .times_all = of->rate > 0};
    struct ring_refusal why = {0};
    int err = ehring_open(&options, &place->handle);

    if (err) {
        fprintf(stderr, "ehring-bench: cannot make a ring: %s\n", ehring_open_error());
        return err;
    }
    err = subject_ring_open(place->handle, RING_ACCESS_VIEW, &place->view, &why);
    if (err)
        fprintf(stderr, "ehring-bench: cannot look at the ring: %s\n", why.text[0] ? why.text : strerror(-err));
    return err;
}

/* The first ones have one more if they cannot all have the same number. */
static void share_places(struct load *load)
{
    uint32_t producers = load->options.producer_count, rings = load->options.ring_count, next = 0;

    for (uint32_t i = 0; i < producers; i++) {
        struct producer *producer = &load->producer[i];

        producer->load = load;
        producer->place = &load->place[next];
        producer->place_count = rings / producers + (i < rings % producers);
        next += producer->place_count;
    }
}

static void *producer_main(void *argument)
{
    struct producer *producer = argument;
    int err = producer->load->options.rate > 0 ? send_paced(producer) : send_fast(producer);

    if (err)
        order_flag_set(&producer->gave_up, (uint32_t)-err);
    return NULL;
}

static int send_fast(struct producer *producer)
{
    const struct load *load = producer->load;
    uint64_t number = 0;

    while (!order_flag_get(&load->stop)) {
        int err = send_one(producer, number);

        if (err && err != EHRING_E_TIMED_OUT)
            return err;
        number += err ? 0 : 1;
    }
    return 0;
}

/* One event at each of its times; what is late is sent at once, so the rate holds over a stall. */
static int send_paced(struct producer *producer)
{
    const struct load *load = producer->load;
    int64_t step_ns = (int64_t)(UINT64_C(1000000000) * load->options.producer_count / load->options.rate);
    int64_t due_ns = measure_now_ns();
    int err = 0;

    measure_sharpen_timers();
    for (uint64_t number = 0; !order_flag_get(&load->stop) && (!err || err == EHRING_E_TIMED_OUT); number++) {
        due_ns += step_ns;
        if (measure_now_ns() < due_ns)
            measure_sleep_until_ns(due_ns);
        err = send_one(producer, number);
    }
    return err == EHRING_E_TIMED_OUT ? 0 : err;
}

static int send_one(struct producer *producer, uint64_t number)
{
    const struct load *load = producer->load;
    struct ehring *ring = producer->place[producer->place_count > 1 ? number % producer->place_count : 0].handle;
    struct ehring_event event;

    if (load->options.property_count == 0)
        return ehring_send(ring, load->data, load->options.event_len, key_at(load, number));
    event = (struct ehring_event){.data = load->data,
                                  .len = load->options.event_len,
                                  .key = key_at(load, number),
                                  .properties = load->property,
                                  .property_count = load->options.property_count};
    return ehring_send_event(ring, &event);
}

/* Texts and numbers in turn. */
static void make_properties(struct load *load)
{
    for (uint32_t i = 0; i < load->options.property_count; i++) {
        snprintf(load->property_name[i], PROPERTY_NAME_BYTES, "property-%u", i);
        load->property[i] = i % 2 ? ehring_property_int(load->property_name[i], 1000000 + i)
                                  : ehring_property_text(load->property_name[i], "a value of some length");
    }
}

static const char *key_at(const struct load *load, uint64_t number)
{
    return load->key ? load->key[number % load->options.key_count] : NULL;
}

static int make_keys(struct load *load)
{
    if (load->options.key_count == 0)
        return 0;
    load->key = calloc(load->options.key_count, sizeof(load->key[0]));
    if (!load->key)
        return -ENOMEM;
    for (uint32_t i = 0; i < load->options.key_count; i++)
        snprintf(load->key[i], KEY_BYTES, "device-%08u", i);
    return 0;
}
