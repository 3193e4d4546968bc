/* Events into a ring: what ehring-send does unless it is told --direct. */
#include "ring_out.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "client/ehring.h"
#include "input.h"
#include "key.h"
#include "pace.h"
#include "position.h"
#include "progress.h"

enum { REFUSALS_SHOWN = 10, WAIT_STEP_MS = 1000 };

struct ring_out {
    const struct send_options *options;
    struct ehring *ring;
    struct input input;
    struct key_source keys;
    struct progress progress;
    uint64_t capacity;
    uint64_t next_pos; /* behind the last event; kept only with --message-id-position, as the next two */
    uint64_t place_pos, place_end;
    uint64_t number;
    char id[POSITION_ID_BYTES + 1];
};

static int out_open(struct ring_out *out);
static int start_ids(struct ring_out *out);
static int send_all(struct ring_out *out, const volatile sig_atomic_t *stop);
static int send_one(struct ring_out *out, const struct input_event *in, const volatile sig_atomic_t *stop);
static void place_next(struct ring_out *out, const struct ehring_event *event);
static int send_waiting(struct ring_out *out, const struct ehring_event *event, const volatile sig_atomic_t *stop);
static int64_t wait_steps(const struct send_options *options);
static int refuse(struct ring_out *out, int err, size_t len);
static void limit_show(struct ring_out *out);
static int finish(struct ring_out *out, int status, bool stopped);
static void look(struct ring_out *out);

int ring_out_run(const struct send_options *options, const volatile sig_atomic_t *stop)
{
    struct ring_out out = {.options = options};
    int status = 2;

    input_open(&out.input, options);
    if (key_source_open(&out.keys, options->key_from, options->key) < 0)
        goto out;
    status = out_open(&out);
    if (status != 0)
        goto out;
    progress_start(&out.progress);
    status = send_all(&out, stop);
    status = finish(&out, status, *stop != 0);
out:
    ehring_close(out.ring);
    key_source_close(&out.keys);
    input_close(&out.input);
    return status;
}

static int out_open(struct ring_out *out)
{
    const struct send_options *o = out->options;
    struct ehring_options open = {.stream = o->stream,
                                  .rings_dir = o->rings_dir,
                                  .name = o->name,
                                  .capacity_bytes = o->capacity_bytes,
                                  .full = o->wait_ms == 0 ? EHRING_FULL_FAIL : EHRING_FULL_WAIT,
                                  .wait_ms = (uint32_t)(o->wait_ms > 0 ? (o->wait_ms + wait_steps(o) - 1) / wait_steps(o) : WAIT_STEP_MS),
                                  .make_stream_dir = o->make_stream_dir,
                                  .times_all = o->message_id_position};
    struct ehring_stats stats;

    if (ehring_open(&open, &out->ring) < 0) {
        fprintf(stderr, "ehring-send: %s\n", ehring_open_error());
        return 1;
    }
    ehring_read_stats(out->ring, &stats);
    out->capacity = stats.capacity_bytes;
    return o->message_id_position ? start_ids(out) : 0;
}

static int start_ids(struct ring_out *out)
{
    if (position_id_begin(out->id, ehring_path(out->ring)))
        return 0;
    fprintf(stderr, "ehring-send: %s has no uuid in its name\n", ehring_path(out->ring));
    return 1;
}

/* 0, or 1: the input or the ring failed. Events that are refused for what they are do not end it. */
static int send_all(struct ring_out *out, const volatile sig_atomic_t *stop)
{
    struct input_event in;
    int got;

    while (!*stop && (got = input_next(&out->input, &in)) != 0) {
        if (got < 0)
            return got == -EINTR ? 0 : 1;
        pace_wait(out->options->rate, ++out->number, out->progress.start_ns);
        if (*stop)
            return 0;
        int err = send_one(out, &in, stop);
        if (err < 0)
            return 1;
        if (progress_due(&out->progress))
            look(out);
    }
    return 0;
}

static int send_one(struct ring_out *out, const struct input_event *in, const volatile sig_atomic_t *stop)
{
    const struct send_options *o = out->options;
    const char *key = key_of(&out->keys, in->bytes, in->len);
    struct ehring_property property = ehring_property_int(o->number_property, (int64_t)out->number);
    struct ehring_event event = {.data = in->bytes,
                                 .len = in->len,
                                 .key = key,
                                 .partition_id = o->partition_id,
                                 .content_type = o->content_type                ? o->content_type
                                                 : o->key_from == SEND_KEY_JSON ? "application/json"
                                                                                : NULL,
                                 .message_id = o->message_id_position ? out->id : NULL,
                                 .properties = &property,
                                 .property_count = o->number_property ? 1 : 0};
    struct ehring_identity identity;
    int err;

    if (o->message_id_position)
        place_next(out, &event);
    err = send_waiting(out, &event, stop);
    if (err != 0)
        return refuse(out, err, in->len);
    if (o->message_id_position && (ehring_last_identity(out->ring, &identity) != 0 || identity.pos != out->place_pos)) {
        fprintf(stderr, "ehring-send: event %" PRIu64 " does not lie where its message-id says\n", out->number);
        return -EPROTO;
    }
    out->next_pos = out->place_end;
    out->progress.events++;
    out->progress.bytes += in->len;
    out->progress.without_key += o->key_from != SEND_KEY_NONE && !key;
    return 0;
}

/* Writes the position that the event will have into its message-id. */
static void place_next(struct ring_out *out, const struct ehring_event *event)
{
    uint32_t key_len = event->key ? (uint32_t)strlen(event->key) : 0;
    uint32_t meta_len = position_tlv_bytes(0, POSITION_ID_BYTES);

    if (event->content_type)
        meta_len += position_tlv_bytes(0, (uint32_t)strlen(event->content_type));
    if (event->property_count > 0)
        meta_len += position_tlv_bytes((uint32_t)strlen(event->properties->name), 8);
    uint64_t record_len = position_record_bytes(key_len, meta_len, event->len);
    out->place_pos = position_of_record(out->next_pos, out->capacity, record_len);
    out->place_end = out->place_pos + ring_align16(record_len);
    position_id_end(out->id, out->place_pos);
}

/* Waits for room as the options say, in steps, so that a person sees how far it is and a signal ends it. */
static int send_waiting(struct ring_out *out, const struct ehring_event *event, const volatile sig_atomic_t *stop)
{
    for (int64_t step = 1;; step++) {
        int err = ehring_send_event(out->ring, event);
        if (err != EHRING_E_TIMED_OUT || *stop || step == wait_steps(out->options))
            return err;
        if (out->progress.shown)
            look(out);
    }
}

/* The wait for room is divided into so many; negative: without end. */
static int64_t wait_steps(const struct send_options *options)
{
    return options->wait_ms < 0 ? -1 : (options->wait_ms + WAIT_STEP_MS - 1) / WAIT_STEP_MS;
}

/* 0: the next event may do better; else `err`: the ring takes no more. */
static int refuse(struct ring_out *out, int err, size_t len)
{
    out->progress.refused++;
    if (out->progress.refused <= REFUSALS_SHOWN)
        fprintf(stderr, "%sehring-send: event %" PRIu64 " (%zu bytes): %s\n", out->progress.shown ? "\r\033[K" : "", out->number, len,
                ehring_error_text(err));
    if (out->progress.refused == REFUSALS_SHOWN + 1)
        fprintf(stderr, "ehring-send: more are counted, not shown\n");
    if (err == EHRING_E_TIMED_OUT || err == EHRING_E_FULL) {
        fprintf(stderr, "ehring-send: the ring is full: does a shipper run for %s, and does the hub accept? ehring-stat shows it\n",
                ehring_path(out->ring));
        return err;
    }
    if (err == EHRING_E_EVENT_TOO_LARGE && out->progress.refused == 1)
        limit_show(out);
    switch (err) {
    case EHRING_E_EVENT_TOO_LARGE:
    case EHRING_E_RING_TOO_SMALL:
    case EHRING_E_KEY_NOT_UTF8:
    case EHRING_E_KEY_TOO_LONG:
        return 0;
    }
    return err;
}

static void limit_show(struct ring_out *out)
{
    struct ehring_stats stats;

    if (ehring_read_stats(out->ring, &stats) == 0)
        fprintf(stderr, "ehring-send: the stream takes events of up to %" PRIu64 " bytes, key and properties included\n",
                stats.event_bytes_max);
}

static int finish(struct ring_out *out, int status, bool stopped)
{
    int64_t flush_ms = out->options->flush_ms;
    uint64_t left_bytes = 0;
    const char *outcome = status != 0 ? "stopped by an error" : stopped ? "stopped by a signal" : "all in the ring";

    if (status == 0 && !stopped && out->progress.refused > 0)
        outcome = "not all in the ring";
    if (out->progress.refused > 0 || stopped)
        status = 1;
    if (flush_ms >= 0 && out->progress.events > 0) {
        int err = ehring_flush(out->ring, (int)flush_ms, &left_bytes);
        if (err == 0 && status == 0)
            outcome = "all accepted";
        if (err != 0) {
            progress_end(&out->progress, "not all accepted");
            fprintf(stderr,
                    "ehring-send: %" PRIu64 " bytes of the ring were not accepted within %" PRId64 " ms; they stay there for the shipper\n",
                    left_bytes, flush_ms);
            return 1;
        }
    }
    progress_end(&out->progress, outcome);
    return status;
}

static void look(struct ring_out *out)
{
    struct ehring_stats stats;

    if (ehring_read_stats(out->ring, &stats) == 0)
        out->progress.lag_bytes = stats.pending_bytes;
    progress_show(&out->progress);
}
