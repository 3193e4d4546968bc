/* The phases of `ship`: as fast as it goes, a steady low rate, nothing at all. */
#include "bench/phase.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <unistd.h>

#include "bench/measure.h"
#include "bench/proc.h"
#include "client/ehring.h"

#define TURN_NS INT64_C(2000000)
#define MEMORY_TURN_NS INT64_C(50000000)
#define FIRST_ACCEPT_MS 15000
#define FLUSH_MS 15000
#define LATENCY_WARMUP_NS INT64_C(500000000)
#define SETTLE_NS INT64_C(1500000000)
#define SECOND_NS INT64_C(1000000000)
#define STRETCHES 10
#define LATENCY_STRETCHES 5u

struct moment { /* all that is read at the beginning and at the end */
    struct load_sample load;
    struct rig_counters counters;
    int64_t shipper_cpu_ns;
    struct proc_ticks shipper_ticks;
    int64_t hub_cpu_ns;
    int64_t own_cpu_ns;
};

struct stretch { /* of the load: a sample of the series */
    int64_t length_ns;
    int64_t begin_ns;
    uint64_t accepted_events;
    int64_t shipper_cpu_ns;
};

struct idle_moment {
    struct rig_counters counters;
    uint64_t sleeps;
    int64_t cpu_ns;
    int64_t time_ns;
};

static void compute_latency(const struct ring_hist_view *before, const struct ring_hist_view *after, struct phase_latency *out);
static int read_idle_moment(const struct rig *rig, struct idle_moment *moment);
static int read_moment(struct rig *rig, const struct load *load, struct moment *moment);
static int wait_for_accept(struct rig *rig, const struct load *load);
static int pause_for(struct rig *rig, int64_t duration_ns);
static int watch(struct rig *rig, const struct load *load, int64_t end_ns, uint64_t accepted_end, struct stretch *stretch,
                 struct phase_load *out);
static void note_stretch(const struct rig *rig, const struct load_sample *sample, struct stretch *stretch, struct phase_load *out);
static int watch_latency(struct rig *rig, const struct load *load, uint32_t seconds, struct ring_hist_view *last,
                         struct phase_latency *out);
static struct ring_hist_view difference(const struct ring_hist_view *before, const struct ring_hist_view *after);
static void note_memory(const struct rig *rig, struct phase_load *out);
static void compute_load(const struct moment *from, const struct moment *to, struct phase_load *out);

int phase_run_load(struct rig *rig, const struct load_options *options, uint32_t warmup_seconds, uint32_t seconds, uint64_t events_max,
                   struct phase_load *out)
{
    struct load *load = NULL;
    int err = phase_open_load(rig, options, warmup_seconds, &load);

    if (!err)
        err = phase_watch_load(rig, load, seconds, events_max, out);
    return phase_close_load(rig, load, err);
}

int phase_open_load(struct rig *rig, const struct load_options *options, uint32_t warmup_seconds, struct load **load)
{
    int err = load_start(options, load);

    if (!err)
        err = wait_for_accept(rig, *load);
    if (!err)
        err = pause_for(rig, warmup_seconds * SECOND_NS);
    return err;
}

int phase_watch_load(struct rig *rig, const struct load *load, uint32_t seconds, uint64_t events_max, struct phase_load *out)
{
    struct moment from, to;
    int err = read_moment(rig, load, &from);

    *out = (struct phase_load){0};
    if (!err) {
        uint64_t accepted_end = events_max ? from.load.accepted_events + events_max : UINT64_MAX;
        struct stretch stretch = {.length_ns = seconds * SECOND_NS / STRETCHES,
                                  .begin_ns = from.load.time_ns,
                                  .accepted_events = from.load.accepted_events,
                                  .shipper_cpu_ns = from.shipper_cpu_ns};

        err = watch(rig, load, from.load.time_ns + seconds * SECOND_NS, accepted_end, &stretch, out);
    }
    if (!err)
        err = read_moment(rig, load, &to);
    if (!err)
        compute_load(&from, &to, out);
    return err;
}

/* Whatever happened, the rings are closed; that not all was accepted in time is an error only if there was none before. */
int phase_close_load(struct rig *rig, struct load *load, int err)
{
    int stop_err = load_stop(load, err ? 0 : FLUSH_MS);

    if (err && err != -EINTR && err != -ECHILD && err != -ETIMEDOUT)
        fprintf(stderr, "ehring-bench: %s\n", ehring_error_text(err));
    if (!err && stop_err) {
        fprintf(stderr, "ehring-bench: not all was accepted within %d ms: %s\n", FLUSH_MS, ehring_error_text(stop_err));
        rig_print_logs(rig);
        err = stop_err;
    }
    return err;
}

int phase_run_latency(struct rig *rig, const struct load_options *options, uint32_t seconds, struct phase_latency *out)
{
    struct ring_hist_view before = {0}, after = {0};
    struct load_sample from, to;
    struct load *load = NULL;
    int err;

    *out = (struct phase_latency){0};
    err = load_start(options, &load);
    if (!err)
        err = wait_for_accept(rig, load);
    if (!err)
        err = pause_for(rig, LATENCY_WARMUP_NS);
    if (!err)
        err = load_read(load, &from);
    if (!err) {
        load_add_latency(load, &before);
        after = before;
        err = watch_latency(rig, load, seconds, &after, out);
    }
    if (!err)
        err = load_read(load, &to);
    if (!err) {
        out->events_per_second = (double)(to.accepted_events - from.accepted_events) * 1e9 / (double)(to.time_ns - from.time_ns);
        compute_latency(&before, &after, out);
    }
    return phase_close_load(rig, load, err);
}

/* With a producer that has a ring and is silent: the usual kind of nothing. */
int phase_run_idle(struct rig *rig, uint32_t workers, uint32_t seconds, struct phase_idle *out)
{
    struct ehring_options options = {.stream = RIG_STREAM, .rings_dir = rig->rings_dir};
    struct ehring *silent = NULL;
    struct idle_moment from, to;
    double spent_seconds;
    int err = ehring_open(&options, &silent);

    *out = (struct phase_idle){0};
    if (!err)
        err = pause_for(rig, SETTLE_NS);
    if (!err)
        err = read_idle_moment(rig, &from);
    if (!err)
        err = pause_for(rig, seconds * SECOND_NS);
    if (!err)
        err = read_idle_moment(rig, &to);
    ehring_close(silent);
    if (err)
        return err;
    spent_seconds = (double)(to.time_ns - from.time_ns) / 1e9;
    out->wakeups_per_second = (double)(to.counters.sleep_count - from.counters.sleep_count) / workers / spent_seconds;
    out->switches_per_second = (double)(to.sleeps - from.sleeps) / spent_seconds;
    out->core_percent = (double)(to.cpu_ns - from.cpu_ns) / 1e7 / spent_seconds;
    return 0;
}

/* `last`: the histogram as it was; as it is afterwards. */
static int watch_latency(struct rig *rig, const struct load *load, uint32_t seconds, struct ring_hist_view *last, struct phase_latency *out)
{
    int err = 0;

    for (uint32_t i = 0; i < LATENCY_STRETCHES && !err; i++) {
        struct ring_hist_view now = {0}, view;

        err = pause_for(rig, seconds * SECOND_NS / LATENCY_STRETCHES);
        load_add_latency(load, &now);
        view = difference(last, &now);
        if (!err && view.count > 0) {
            measure_add(&out->p50s_ns, (double)ring_hist_percentile(&view, 50));
            measure_add(&out->p90s_ns, (double)ring_hist_percentile(&view, 90));
            measure_add(&out->p99s_ns, (double)ring_hist_percentile(&view, 99));
        }
        *last = now;
    }
    return err;
}

static struct ring_hist_view difference(const struct ring_hist_view *before, const struct ring_hist_view *after)
{
    struct ring_hist_view view = {.count = after->count - before->count, .sum = after->sum - before->sum};

    for (uint32_t i = 0; i < RING_HIST_BUCKETS; i++)
        view.bucket[i] = after->bucket[i] - before->bucket[i];
    return view;
}

static void compute_latency(const struct ring_hist_view *before, const struct ring_hist_view *after, struct phase_latency *out)
{
    struct ring_hist_view view = difference(before, after);

    out->count = view.count;
    out->p50_ns = ring_hist_percentile(&view, 50);
    out->p90_ns = ring_hist_percentile(&view, 90);
    out->p99_ns = ring_hist_percentile(&view, 99);
    out->p999_ns = ring_hist_percentile(&view, 99.9);
    out->max_ns = ring_hist_percentile(&view, 100);
}

static int read_idle_moment(const struct rig *rig, struct idle_moment *moment)
{
    int err = rig_read_counters(rig, &moment->counters);

    if (!err)
        err = proc_read_sleeps(rig->shipper.pid, &moment->sleeps);
    if (!err)
        err = proc_read_cpu_ns(rig->shipper.pid, &moment->cpu_ns);
    moment->time_ns = measure_now_ns();
    return err;
}

static int read_moment(struct rig *rig, const struct load *load, struct moment *moment)
{
    int err = load_read(load, &moment->load);

    if (!err)
        err = rig_read_counters(rig, &moment->counters);
    if (!err)
        err = proc_read_cpu_ns(rig->shipper.pid, &moment->shipper_cpu_ns);
    if (!err)
        err = proc_read_ticks(rig->shipper.pid, &moment->shipper_ticks);
    if (!err)
        err = proc_read_cpu_ns(rig->hub.pid, &moment->hub_cpu_ns);
    if (!err)
        err = proc_read_cpu_ns(getpid(), &moment->own_cpu_ns);
    return err;
}

static int wait_for_accept(struct rig *rig, const struct load *load)
{
    int64_t deadline_ns = measure_now_ns() + FIRST_ACCEPT_MS * INT64_C(1000000);
    struct load_sample sample = {0};
    int err = 0;

    while (!err && sample.accepted_events == 0) {
        if (measure_now_ns() > deadline_ns) {
            fprintf(stderr, "ehring-bench: nothing was accepted within %d ms\n", FIRST_ACCEPT_MS);
            rig_print_logs(rig);
            return -ETIMEDOUT;
        }
        err = pause_for(rig, TURN_NS);
        if (!err)
            err = load_read(load, &sample);
    }
    return err;
}

static int pause_for(struct rig *rig, int64_t duration_ns)
{
    int64_t end_ns = measure_now_ns() + duration_ns;
    int err = rig_check(rig);

    while (!err && measure_now_ns() < end_ns) {
        int64_t turn_ns = measure_now_ns() + MEMORY_TURN_NS;

        measure_sleep_until_ns(turn_ns < end_ns ? turn_ns : end_ns);
        err = rig_check(rig);
    }
    return err;
}

static int watch(struct rig *rig, const struct load *load, int64_t end_ns, uint64_t accepted_end, struct stretch *stretch,
                 struct phase_load *out)
{
    struct load_sample sample = {0};
    int64_t memory_ns = 0, changed_ns = measure_now_ns();
    uint64_t accepted = 0;
    int err = 0;

    while (!err && measure_now_ns() < end_ns && sample.accepted_events < accepted_end) {
        if (measure_now_ns() >= memory_ns) {
            note_memory(rig, out);
            memory_ns = measure_now_ns() + MEMORY_TURN_NS;
        }
        measure_sleep_until_ns(measure_now_ns() + TURN_NS);
        err = rig_check(rig);
        if (!err)
            err = load_read(load, &sample);
        if (!err && sample.accepted_events != accepted) {
            if (accepted && sample.time_ns - changed_ns > out->pause_ns_max)
                out->pause_ns_max = sample.time_ns - changed_ns;
            accepted = sample.accepted_events;
            changed_ns = sample.time_ns;
        }
        if (!err && sample.time_ns - stretch->begin_ns >= stretch->length_ns)
            note_stretch(rig, &sample, stretch, out);
    }
    return err;
}

static void note_stretch(const struct rig *rig, const struct load_sample *sample, struct stretch *stretch, struct phase_load *out)
{
    double events = (double)(sample->accepted_events - stretch->accepted_events);
    int64_t cpu_ns = 0;

    if (proc_read_cpu_ns(rig->shipper.pid, &cpu_ns) == 0 && events > 0) {
        measure_add(&out->rates, events * 1e9 / (double)(sample->time_ns - stretch->begin_ns));
        measure_add(&out->cpu_per_million, (double)(cpu_ns - stretch->shipper_cpu_ns) / 1e9 / (events / 1e6));
    }
    stretch->begin_ns = sample->time_ns;
    stretch->accepted_events = sample->accepted_events;
    stretch->shipper_cpu_ns = cpu_ns;
}

static void note_memory(const struct rig *rig, struct phase_load *out)
{
    struct proc_memory memory;

    if (proc_read_memory(rig->shipper.pid, &memory))
        return;
    if (memory.anon_bytes > out->anon_bytes_max)
        out->anon_bytes_max = memory.anon_bytes;
    if (memory.file_bytes > out->file_bytes_max)
        out->file_bytes_max = memory.file_bytes;
    if (memory.shared_bytes > out->ring_bytes_max)
        out->ring_bytes_max = memory.shared_bytes;
}

static void compute_load(const struct moment *from, const struct moment *to, struct phase_load *out)
{
    double batches = (double)(to->counters.batch_count - from->counters.batch_count);
    double ns = (double)(to->load.time_ns - from->load.time_ns);
    double user_ticks = (double)(to->shipper_ticks.user - from->shipper_ticks.user);
    double ticks = user_ticks + (double)(to->shipper_ticks.system - from->shipper_ticks.system);

    out->seconds = ns / 1e9;
    out->events = (double)(to->load.accepted_events - from->load.accepted_events);
    out->events_per_second = out->events / out->seconds;
    out->bytes_per_second = (double)(to->load.accepted_bytes - from->load.accepted_bytes) / out->seconds;
    out->events_per_batch = batches > 0 ? (double)(to->counters.batch_events - from->counters.batch_events) / batches : 0;
    out->token_renewals = to->counters.token_count - from->counters.token_count;
    out->disturbances = to->counters.connection_lost_count - from->counters.connection_lost_count + to->counters.link_ended_count -
                        from->counters.link_ended_count + to->counters.unknown_deliveries - from->counters.unknown_deliveries;
    out->shipper_cores = (double)(to->shipper_cpu_ns - from->shipper_cpu_ns) / ns;
    out->hub_cores = (double)(to->hub_cpu_ns - from->hub_cpu_ns) / ns;
    out->producer_cores = (double)(to->own_cpu_ns - from->own_cpu_ns) / ns;
    if (out->events > 0) {
        out->wire_bytes_per_event = (double)(to->counters.sent_bytes - from->counters.sent_bytes) / out->events;
        out->shipper_cpu_seconds_per_million = (double)(to->shipper_cpu_ns - from->shipper_cpu_ns) / 1e9 / (out->events / 1e6);
        out->user_cpu_seconds_per_million = ticks > 0 ? out->shipper_cpu_seconds_per_million * user_ticks / ticks : NAN;
        out->system_cpu_seconds_per_million = out->shipper_cpu_seconds_per_million - out->user_cpu_seconds_per_million;
    }
}
