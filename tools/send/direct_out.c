/* Events over a connection of our own: ehring-send --direct. */
#include "direct_out.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "input.h"
#include "key.h"
#include "pace.h"
#include "progress.h"
#include "tools/direct_peer.h"
#include "window.h"

enum {
    EVENT_ROOM = 256,    /* more than AMQP puts around an event, without its key and texts */
    ENVELOPE_ROOM = 512, /* the same for a batch */
};

struct direct_out {
    const struct send_options *options;
    struct ehring_direct *direct;
    struct input input;
    struct key_source keys;
    struct window window;
    struct progress progress;
    size_t window_bytes; /* what the window would have on the wire, or more */
    uint64_t number;
};

static int connect_hub(struct direct_out *out);
static int send_all(struct direct_out *out, const volatile sig_atomic_t *stop);
static int take(struct direct_out *out, const struct input_event *in);
static int send_window(struct direct_out *out);
static int send_group(struct direct_out *out, const struct window_event *first, size_t count);
static void fill_event(const struct direct_out *out, const struct window_event *from, struct ehring_direct_property *property,
                       struct ehring_direct_event *event);
static int judge(struct direct_out *out, int outcome, const struct window_event *first, size_t count);

int direct_out_run(const struct send_options *options, const volatile sig_atomic_t *stop)
{
    struct direct_out out = {.options = options};
    int status = 2;

    input_open(&out.input, options);
    if (key_source_open(&out.keys, options->key_from, options->key) < 0)
        goto out;
    status = connect_hub(&out);
    if (status != 0)
        goto out;
    progress_start(&out.progress);
    status = send_all(&out, stop);
    if (*stop || out.progress.refused > 0)
        status = 1;
    progress_end(&out.progress, status == 0 ? "all accepted" : *stop ? "stopped by a signal" : "not all accepted");
out:
    ehring_direct_close(out.direct);
    window_free(&out.window);
    key_source_close(&out.keys);
    input_close(&out.input);
    return status;
}

static int connect_hub(struct direct_out *out)
{
    int err = direct_peer_open("ehring-send", &out->options->peer, out->options->timeout_ms, &out->direct);

    return err == 0 ? 0 : err == -EINVAL ? 2 : 1;
}

/* Collects what can be had without waiting, up to what one batch takes, and sends it. 0 or 1. */
static int send_all(struct direct_out *out, const volatile sig_atomic_t *stop)
{
    uint32_t at_once = out->options->rate / 1000 + 1;
    struct input_event in;
    int got = 0, status = 0;

    while (status == 0 && !*stop && (got = input_next(&out->input, &in)) > 0) {
        pace_wait(out->options->rate, ++out->number, out->progress.start_ns);
        status = take(out, &in);
        if (status == 0 && (input_would_wait(&out->input) || (out->options->rate > 0 && out->number % at_once == 0)))
            status = send_window(out);
    }
    if (status == 0)
        status = send_window(out);
    return status != 0 || (got < 0 && got != -EINTR);
}

/* Puts an event into the window; if that is full, sends it first. 0 or 1. */
static int take(struct direct_out *out, const struct input_event *in)
{
    const struct send_options *o = out->options;
    const char *key = key_of(&out->keys, in->bytes, in->len);
    size_t bytes = in->len + EVENT_ROOM + 2 * (key ? strlen(key) : 0) + (o->content_type ? strlen(o->content_type) : 0) +
                   (o->number_property ? strlen(o->number_property) : 0);
    uint64_t limit = ehring_direct_message_bytes_max(out->direct);

    if (out->window.count > 0 && out->window_bytes + bytes + ENVELOPE_ROOM > limit && send_window(out) != 0)
        return 1;
    out->progress.without_key += o->key_from != SEND_KEY_NONE && !key;
    out->window_bytes += bytes;
    if (window_add(&out->window, key, in->bytes, in->len, out->number) == 0)
        return 0;
    fputs("ehring-send: no memory\n", stderr);
    return 1;
}

static int send_window(struct direct_out *out)
{
    const struct window_event *first;
    size_t count;
    int status = 0;

    window_sort(&out->window);
    while (status == 0 && (first = window_group(&out->window, &count)))
        status = send_group(out, first, count);
    window_clear(&out->window);
    out->window_bytes = 0;
    if (progress_due(&out->progress))
        progress_show(&out->progress);
    return status;
}

static int send_group(struct direct_out *out, const struct window_event *first, size_t count)
{
    struct ehring_direct_event *events = calloc(count, sizeof(*events));
    struct ehring_direct_property *properties = calloc(count, sizeof(*properties));
    int outcome = -ENOMEM;

    if (events && properties) {
        for (size_t i = 0; i < count; i++)
            fill_event(out, &first[i], &properties[i], &events[i]);
        if (count == 1)
            outcome = ehring_direct_send(out->direct, events, first->key, out->options->partition_id, (int)out->options->timeout_ms);
        else
            outcome =
                ehring_direct_send_batch(out->direct, events, count, first->key, out->options->partition_id, (int)out->options->timeout_ms);
    }
    free(events);
    free(properties);
    return judge(out, outcome, first, count);
}

static void fill_event(const struct direct_out *out, const struct window_event *from, struct ehring_direct_property *property,
                       struct ehring_direct_event *event)
{
    const struct send_options *o = out->options;

    *event = (struct ehring_direct_event){.data = from->bytes, .len = from->len, .content_type = o->content_type};
    if (!o->content_type && o->key_from == SEND_KEY_JSON)
        event->content_type = "application/json";
    if (o->number_property) {
        *property =
            (struct ehring_direct_property){.name = o->number_property, .type = EHRING_DIRECT_INT, .value.i64 = (int64_t)from->number};
        event->properties = property;
        event->property_count = 1;
    }
}

/* 0: go on; 1: nothing more can be sent, or must not be for the sake of order. */
static int judge(struct direct_out *out, int outcome, const struct window_event *first, size_t count)
{
    const char *said = outcome == -ENOMEM ? "no memory" : ehring_direct_error(out->direct);
    const char *condition = ehring_direct_condition(out->direct);

    if (outcome == EHRING_DIRECT_ACCEPTED) {
        out->progress.events += count;
        for (size_t i = 0; i < count; i++)
            out->progress.bytes += first[i].len;
        return 0;
    }
    out->progress.refused += count;
    fprintf(stderr, "%sehring-send: event %" PRIu64, out->progress.shown ? "\r\033[K" : "", first->number);
    if (count > 1)
        fprintf(stderr, " and %zu more in its batch", count - 1);
    fprintf(stderr, ": %s%s%s%s\n", said, condition[0] ? " (" : "", condition, condition[0] ? ")" : "");
    return outcome == -EMSGSIZE || outcome == -EILSEQ ? 0 : 1;
}
