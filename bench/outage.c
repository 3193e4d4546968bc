/* A simulated regional outage: many connections that are lost at once and made again, with the shipper's backoff, with and without jitter.
 */
#include "bench/outage.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#define AFTERWARDS_SECONDS 3600u
#define SLOTS_PER_SECOND 10u /* how finely the service's limit is applied */
#define PLOT_BEFORE_SECONDS 30u
#define PLOT_AFTER_SECONDS 600u
#define SEED UINT64_C(0x9e3779b97f4a7c15)

struct attempt {
    double at; /* seconds from the start */
    uint32_t failure_count;
};

struct heap { /* the earliest first */
    struct attempt *attempt;
    uint32_t count;
};

static void heap_push(struct heap *heap, struct attempt attempt);
static struct attempt heap_pop(struct heap *heap);
static double wait_seconds(const struct outage_options *options, uint32_t failure_count, uint64_t *random);
static double next_share(uint64_t *random);
static void run(const struct outage_options *options, struct heap *heap, struct outage *out);

int outage_simulate(const struct outage_options *options, struct outage *out)
{
    struct heap heap = {.attempt = calloc(options->connections + 1u, sizeof(struct attempt))};
    uint64_t random = SEED;

    *out = (struct outage){.second_count = options->outage_seconds + AFTERWARDS_SECONDS, .all_connected_after = NAN};
    out->attempts = calloc(out->second_count, sizeof(uint32_t));
    out->connected = calloc(out->second_count, sizeof(uint32_t));
    if (!heap.attempt || !out->attempts || !out->connected) {
        free(heap.attempt);
        outage_free(out);
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < options->connections; i++) /* lost at one instant; the first attempt follows at once, as after any loss */
        heap_push(&heap, (struct attempt){.at = options->jitter ? next_share(&random) : 0});
    run(options, &heap, out);
    free(heap.attempt);
    return 0;
}

void outage_free(struct outage *outage)
{
    free(outage->attempts);
    free(outage->connected);
    outage->attempts = outage->connected = NULL;
}

void outage_write_plot(const struct outage *with, const struct outage *without, uint32_t outage_seconds, const char *name, FILE *to)
{
    const struct outage *const both[] = {with, without};
    uint32_t from = outage_seconds > PLOT_BEFORE_SECONDS ? outage_seconds - PLOT_BEFORE_SECONDS : 0;

    fprintf(to,
            "set terminal svg size 900,520 background rgb 'white' font 'sans-serif,12'\nset output '%s.svg'\n"
            "set title 'connects after a regional outage'\nset xlabel 'seconds after its end'\nset ylabel 'attempts per second'\nset grid\n"
            "set logscale y\nset yrange [0.8:*]\nplot '-' with lines title 'with jitter', '-' with impulses title 'without'\n",
            name);
    for (int i = 0; i < 2; i++) {
        for (uint32_t second = from; second < both[i]->second_count && second < outage_seconds + PLOT_AFTER_SECONDS; second++)
            if (both[i]->attempts[second] > 0)
                fprintf(to, "%d %u\n", (int)(second - outage_seconds), both[i]->attempts[second]);
        fputs("e\n", to);
    }
}

static void run(const struct outage_options *options, struct heap *heap, struct outage *out)
{
    double room = (double)options->accepted_per_second / SLOTS_PER_SECOND, left = room;
    uint64_t random = ~SEED;
    uint32_t slot = 0, connected = 0, second = 0;

    while (heap->count > 0 && heap->attempt[0].at < out->second_count) {
        struct attempt attempt = heap_pop(heap);
        uint32_t now = (uint32_t)attempt.at, now_slot = (uint32_t)(attempt.at * SLOTS_PER_SECOND);

        for (; second < now; second++)
            out->connected[second] = connected;
        if (now_slot != slot) /* what was not used is not saved up, but for the part of one */
            left = fmod(left, 1) + room;
        slot = now_slot;
        out->attempts[now]++;
        out->attempts_sum++;
        if (now >= options->outage_seconds && out->attempts[now] > out->attempts_max)
            out->attempts_max = out->attempts[now];
        if (now >= options->outage_seconds && left >= 1) {
            left -= 1;
            if (++connected == options->connections)
                out->all_connected_after = attempt.at - options->outage_seconds;
            continue;
        }
        attempt.failure_count++;
        attempt.at += wait_seconds(options, attempt.failure_count, &random);
        heap_push(heap, attempt);
    }
    for (; second < out->second_count; second++)
        out->connected[second] = connected;
}

/* As the shipper: anywhere between half the base and the doubled base, up to the cap. Without jitter: the latter. */
static double wait_seconds(const struct outage_options *options, uint32_t failure_count, uint64_t *random)
{
    double base = options->backoff_ms / 1e3, high = fmin(options->backoff_max_seconds, base * exp2(failure_count - 1.0));

    return options->jitter ? base / 2 + next_share(random) * (high - base / 2) : high;
}

static double next_share(uint64_t *random)
{
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    return (double)(*random >> 11) / (double)(UINT64_C(1) << 53);
}

static void heap_push(struct heap *heap, struct attempt attempt)
{
    uint32_t at = heap->count++;

    while (at > 0 && heap->attempt[(at - 1) / 2].at > attempt.at) {
        heap->attempt[at] = heap->attempt[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    heap->attempt[at] = attempt;
}

static struct attempt heap_pop(struct heap *heap)
{
    struct attempt first = heap->attempt[0], last = heap->attempt[--heap->count];
    uint32_t at = 0;

    for (uint32_t child = 1; child < heap->count; child = 2 * at + 1) {
        if (child + 1 < heap->count && heap->attempt[child + 1].at < heap->attempt[child].at)
            child++;
        if (heap->attempt[child].at >= last.at)
            break;
        heap->attempt[at] = heap->attempt[child];
        at = child;
    }
    heap->attempt[at] = last;
    return first;
}
