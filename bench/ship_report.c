/* The figures of `ship` as a table for a person and as rows of the result: each with its floor or target beside it. */
#include "bench/ship_report.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>

#include "bench/machine.h"

#define TARGET_EVENTS_PER_SECOND 3e6 /* of TARGET_EVENT_LEN, one worker, TLS */
#define TARGET_FLOOR_PERCENT 60.0
#define TARGET_P50_NS 3e5 /* at TARGET_RATE, without linger */
#define TARGET_P99_NS 1e6
#define TARGET_RATE 10000u
#define TARGET_IDLE_PERCENT 0.1
#define TARGET_SINK_EVENTS_PER_SECOND 3e6
#define TARGET_EVENT_LEN 256u
#define TARGET_BATCH_EVENTS 100.0
#define TARGET_MEMORY_MIB 64.0
#define TARGET_PAUSE_MS 100.0
#define TARGET_WAKEUPS 2.0
#define MIB 1048576.0
#define GROUP "ship"
#define PROFILE_GROUP "ship: where the shipper's time goes"
#define PROFILE_ALL "all of it, while perf looks"
#define PROFILE_TOP 10u
#define PROFILE_NOISE_SHARE_MAX 0.5 /* from there on a row is only said */

struct figure { /* `samples` NULL or empty: there is but the one value */
    const char *name;
    const char *unit;
    enum result_sense sense;
    double value;
    const struct measure_series *samples;
    double target; /* 0: none */
};

static int add_rows(struct result *result, const struct figure figures[]);
static void print_floor_row(const char *name, double bytes_per_second, uint32_t event_len);
static double floor_of(enum rig_transport transport, const struct machine_floor *floor);
static bool is_meant(const struct ship_options *options);
static void print_throughput(const struct ship_options *options, const struct phase_load *load);
static void print_versus_floor(const struct ship_options *options, const struct machine_floor *floor, const struct phase_load *load);
static const char *verdict(double value, double limit);
static int add_share(const struct phase_load *load, const struct profile *profile, const char *name, uint32_t count,
                     enum result_sense sense, struct result *result);
static int add_functions(const struct phase_load *load, const struct profile *profile, bool own, struct result *result);

void ship_report_setup(const struct ship_options *options)
{
    char keys[32] = "unkeyed", ordering[64];

    if (options->load.key_count)
        snprintf(keys, sizeof(keys), "%u keys", options->load.key_count);
    snprintf(ordering, sizeof(ordering), "linger %u ms, %u partitions", options->rig.linger_ms, options->rig.partitions);
    machine_print(stdout);
    printf("%u B, %s, %u properties; producers %u, rings %u of %llu KiB; workers %u, net %s, %s; %s; ehring-hub --sink, answer after %u "
           "ms; all on this machine\n",
           options->load.event_len, keys, options->load.property_count, options->load.producer_count,
           options->load.ring_count > options->load.producer_count ? options->load.ring_count : options->load.producer_count,
           (unsigned long long)options->load.ring_bytes >> 10, options->rig.workers, options->rig.net,
           rig_transport_names[options->rig.transport], ordering, options->rig.delay_ms);
    fflush(stdout);
}

int ship_report_floor(const struct ship_options *options, const struct machine_floor *floor, struct result *result)
{
    printf("\nfloors, one core                              MB/s      events/s\n");
    print_floor_row("AES-128-GCM, openssl speed, 16 KiB", floor->aes128_gcm, options->load.event_len);
    print_floor_row("AES-256-GCM, openssl speed, 16 KiB", floor->aes256_gcm, options->load.event_len);
    print_floor_row("TCP over loopback, two processes", floor->loopback, options->load.event_len);
    print_floor_row("memcpy behind a 16 B head", floor->memcpy, options->load.event_len);
    fflush(stdout);
    return add_rows(
        result, (const struct figure[]){{"AES-128-GCM, openssl speed, 16 KiB", "MB/s", RESULT_ONLY_SAID, floor->aes128_gcm / 1e6, NULL, 0},
                                        {"AES-256-GCM, openssl speed, 16 KiB", "MB/s", RESULT_ONLY_SAID, floor->aes256_gcm / 1e6, NULL, 0},
                                        {"TCP over loopback, two processes", "MB/s", RESULT_ONLY_SAID, floor->loopback / 1e6, NULL, 0},
                                        {"memcpy behind a 16 B head", "MB/s", RESULT_ONLY_SAID, floor->memcpy / 1e6, NULL, 0},
                                        {0}});
}

int ship_report_sink(const struct ship_options *options, const struct measure_series *rates, const struct measure_series *connect_ms,
                     struct result *result)
{
    double rate = measure_median(rates);

    printf("\nthe hub alone, one connection, full batches encoded once\n");
    printf("  accepted events/s            %12.0f   target >= %.0f of %u B over TLS%s\n", rate, TARGET_SINK_EVENTS_PER_SECOND,
           TARGET_EVENT_LEN,
           options->load.event_len != TARGET_EVENT_LEN || options->rig.transport != RIG_TLS ? ""
           : rate >= TARGET_SINK_EVENTS_PER_SECOND                                          ? ": reached"
                                                                                            : ": missed");
    printf("  CPU ms of a connection       %12.2f   of the sender: login, session, link\n", measure_median(connect_ms));
    fflush(stdout);
    return add_rows(result, (const struct figure[]){{"the hub alone, encoded once", "events/s", RESULT_ONLY_SAID, rate, rates, 0},
                                                    {"one connection: CPU of login and link", "ms", RESULT_ONLY_SAID,
                                                     measure_median(connect_ms), connect_ms, 0},
                                                    {0}});
}

int ship_report_load(const struct ship_options *options, const struct machine_floor *floor, const struct phase_load *load,
                     struct result *result)
{
    double memory_mib = (double)(load->anon_bytes_max + load->file_bytes_max) / MIB;
    double rate = floor_of(options->rig.transport, floor), share = rate > 0 ? 100 * load->bytes_per_second / rate : NAN;

    if (options->load_rate)
        printf("\n%llu events/s,", (unsigned long long)options->load_rate);
    else
        printf("\nas fast as the rings take them,");
    printf(" %.1f s after %u s of warm-up\n", load->seconds, options->warmup_seconds);
    print_throughput(options, load);
    printf("  accepted payload, MB/s       %12.1f\n", load->bytes_per_second / 1e6);
    print_versus_floor(options, floor, load);
    printf("  events per batch             %12.1f   target > %.0f%s\n", load->events_per_batch, TARGET_BATCH_EVENTS,
           options->load.event_len > TARGET_EVENT_LEN     ? " for small events"
           : load->events_per_batch > TARGET_BATCH_EVENTS ? ": reached"
                                                          : ": missed");
    printf("  bytes on the wire per event  %12.1f   for %u of payload\n", load->wire_bytes_per_event, options->load.event_len);
    printf("  shipper CPU s per million    %12.3f   user %.3f, system %.3f\n", load->shipper_cpu_seconds_per_million,
           load->user_cpu_seconds_per_million, load->system_cpu_seconds_per_million);
    printf("  cores busy                   %12.2f   shipper; hub %.2f, producers and this bench %.2f\n", load->shipper_cores,
           load->hub_cores, load->producer_cores);
    printf("  the hub with a core, computed %11.0f   events/s: so many at most before it is the hub that is measured\n",
           load->events_per_second / load->hub_cores);
    printf("  longest pause, ms            %12.1f   in which nothing was accepted; %llu token renewals, %llu connections, links or "
           "outcomes lost; "
           "target < %.0f: %s\n",
           (double)load->pause_ns_max / 1e6, (unsigned long long)load->token_renewals, (unsigned long long)load->disturbances,
           TARGET_PAUSE_MS, verdict((double)load->pause_ns_max / 1e6, TARGET_PAUSE_MS));
    printf("  shipper memory, MiB          %12.1f   besides the rings (%.1f anonymous, %.1f program and libraries); target < %.0f: %s\n",
           memory_mib, (double)load->anon_bytes_max / MIB, (double)load->file_bytes_max / MIB, TARGET_MEMORY_MIB,
           verdict(memory_mib, TARGET_MEMORY_MIB));
    fflush(stdout);
    return add_rows(
        result,
        (const struct figure[]){
            {"accepted events", "events/s", RESULT_HIGHER_IS_BETTER, load->events_per_second, &load->rates,
             is_meant(options) ? TARGET_EVENTS_PER_SECOND : 0},
            {"accepted payload", "MB/s", RESULT_ONLY_SAID, load->bytes_per_second / 1e6, NULL, 0},
            {"shipper CPU per million events", "s", RESULT_LOWER_IS_BETTER, load->shipper_cpu_seconds_per_million, &load->cpu_per_million,
             0},
            {"shipper CPU per million events, user", "s", RESULT_LOWER_IS_BETTER, load->user_cpu_seconds_per_million, NULL, 0},
            {"shipper CPU per million events, system", "s", RESULT_LOWER_IS_BETTER, load->system_cpu_seconds_per_million, NULL, 0},
            {"events per batch", "events", RESULT_ONLY_SAID, load->events_per_batch, NULL, 0},
            {"bytes on the wire per event", "B", RESULT_LOWER_IS_BETTER, load->wire_bytes_per_event, NULL, 0},
            {"shipper, cores busy", "cores", RESULT_ONLY_SAID, load->shipper_cores, NULL, 0},
            {"hub, cores busy", "cores", RESULT_ONLY_SAID, load->hub_cores, NULL, 0},
            {"producers, cores busy", "cores", RESULT_ONLY_SAID, load->producer_cores, NULL, 0},
            {"the hub with a core of its own, computed", "events/s", RESULT_ONLY_SAID, load->events_per_second / load->hub_cores, NULL, 0},
            {"share of the floor", "%", RESULT_HIGHER_IS_BETTER, share, NULL, is_meant(options) ? TARGET_FLOOR_PERCENT : 0},
            {"longest pause", "ms", RESULT_ONLY_SAID, (double)load->pause_ns_max / 1e6, NULL, 0},
            {"shipper memory besides the rings", "MiB", RESULT_LOWER_IS_BETTER, memory_mib, NULL, 0},
            {0}});
}

int ship_report_profile(const struct phase_load *load, const struct profile *profile, struct result *result)
{
    const uint32_t *part = profile->part;
    const struct {
        const char *name;
        uint32_t count;
    } parts[] = {
        {"kernel", part[PROFILE_SEND] + part[PROFILE_OTHER_END] + part[PROFILE_RECEIVE] + part[PROFILE_KERNEL]},
        {"of the kernel: sending by TCP", part[PROFILE_SEND]},
        {"of the kernel: the hub's end of loopback", part[PROFILE_OTHER_END]},
        {"of the kernel: receiving by TCP", part[PROFILE_RECEIVE]},
        {"OpenSSL", part[PROFILE_OPENSSL]},
        {"qpid-proton", part[PROFILE_PROTON]},
        {"C library", part[PROFILE_LIBC]},
        {"the shipper itself", part[PROFILE_OWN]},
        {"anything else", part[PROFILE_ELSE]},
    };
    uint32_t first = result_row_count(result);
    struct result_row all = result_row_of(PROFILE_GROUP, PROFILE_ALL, "s", RESULT_LOWER_IS_BETTER, &load->cpu_per_million);
    int err;

    all.median = load->shipper_cpu_seconds_per_million;
    err = isfinite(all.median) && all.samples > 0 ? result_add_row(result, &all) : -ENODATA;
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]) && !err; i++)
        err = add_share(load, profile, parts[i].name, parts[i].count, RESULT_LOWER_IS_BETTER, result);
    if (!err)
        err = add_functions(load, profile, true, result);
    if (!err)
        err = add_functions(load, profile, false, result);
    printf("\nwhere the shipper's time goes: CPU s per million events, %u samples\n", profile->count);
    for (uint32_t i = first; i < result_row_count(result); i++) {
        const struct result_row *row = result_row(result, i);

        printf("  %-48s %8.4f   %5.1f%%\n", row->name, row->median, 100 * row->median / all.median);
    }
    fflush(stdout);
    return err;
}

int ship_report_latency(const struct ship_options *options, const struct phase_latency *latency, struct result *result)
{
    bool meant = is_meant(options) && options->latency_rate == TARGET_RATE && options->rig.linger_ms == 0;

    printf("\ncommit to accept at %llu events/s (%.0f accepted), us\n", (unsigned long long)options->latency_rate,
           latency->events_per_second);
    printf("  p50 %.0f   p90 %.0f   p99 %.0f   p99.9 %.0f   max %.0f   of %llu sampled events, linger %u ms\n",
           (double)latency->p50_ns / 1e3, (double)latency->p90_ns / 1e3, (double)latency->p99_ns / 1e3, (double)latency->p999_ns / 1e3,
           (double)latency->max_ns / 1e3, (unsigned long long)latency->count, options->rig.linger_ms);
    fflush(stdout);
    return add_rows(
        result,
        (const struct figure[]){
            {"commit to accept, p50", "ns", RESULT_LOWER_IS_BETTER, (double)latency->p50_ns, &latency->p50s_ns, meant ? TARGET_P50_NS : 0},
            {"commit to accept, p90", "ns", RESULT_LOWER_IS_BETTER, (double)latency->p90_ns, &latency->p90s_ns, 0},
            {"commit to accept, p99", "ns", RESULT_LOWER_IS_BETTER, (double)latency->p99_ns, &latency->p99s_ns, meant ? TARGET_P99_NS : 0},
            {"commit to accept, p99.9", "ns", RESULT_ONLY_SAID, (double)latency->p999_ns, NULL, 0},
            {"commit to accept, max", "ns", RESULT_ONLY_SAID, (double)latency->max_ns, NULL, 0},
            {0}});
}

int ship_report_sender(enum sender_kind kind, const struct sender_figures *figures, struct result *result)
{
    const char *title = sender_titles[kind];
    char rate[RESULT_TEXT_BYTES], cpu[RESULT_TEXT_BYTES], cores[RESULT_TEXT_BYTES];

    printf("\n%s\n", title);
    printf("  accepted events/s            %12.0f\n", figures->events_per_second);
    printf("  sender CPU s per million     %12.3f\n", figures->cpu_seconds_per_million);
    printf("  cores busy                   %12.2f   sender; hub %.2f\n", figures->sender_cores, figures->hub_cores);
    fflush(stdout);
    snprintf(rate, sizeof(rate), "%s: accepted events", title);
    snprintf(cpu, sizeof(cpu), "%s: CPU per million events", title);
    snprintf(cores, sizeof(cores), "%s: hub, cores busy", title);
    return add_rows(result,
                    (const struct figure[]){{rate, "events/s", RESULT_ONLY_SAID, figures->events_per_second, &figures->rates, 0},
                                            {cpu, "s", RESULT_ONLY_SAID, figures->cpu_seconds_per_million, &figures->cpu_per_million, 0},
                                            {cores, "cores", RESULT_ONLY_SAID, figures->hub_cores, NULL, 0},
                                            {0}});
}

int ship_report_idle(const struct ship_options *options, const struct phase_idle *idle, struct result *result)
{
    printf("\nnothing to do, %u s, one ring open\n", options->idle_seconds);
    printf("  wake-ups/s per worker        %12.2f   target <= %.0f: %s\n", idle->wakeups_per_second, TARGET_WAKEUPS,
           idle->wakeups_per_second <= TARGET_WAKEUPS ? "reached" : "missed");
    printf("  voluntary switches/s         %12.2f   the whole process, by the kernel's count\n", idle->switches_per_second);
    printf("  shipper, %% of a core         %12.3f\n", idle->core_percent);
    fflush(stdout);
    return add_rows(result,
                    (const struct figure[]){
                        {"idle: wake-ups per worker", "1/s", RESULT_LOWER_IS_BETTER, idle->wakeups_per_second, NULL, TARGET_WAKEUPS},
                        {"idle: voluntary switches", "1/s", RESULT_LOWER_IS_BETTER, idle->switches_per_second, NULL, 0},
                        {"idle: share of a core", "%", RESULT_LOWER_IS_BETTER, idle->core_percent, NULL, TARGET_IDLE_PERCENT},
                        {0}});
}

/* The figure of the whole time is the row's; the samples say how it went up and down. */
static int add_rows(struct result *result, const struct figure figures[])
{
    int err = 0;

    for (const struct figure *figure = figures; figure->name && !err; figure++) {
        struct result_row row = result_row_of_value(GROUP, figure->name, figure->unit, figure->sense, figure->value);

        if (figure->samples && figure->samples->count > 0)
            row = result_row_of(GROUP, figure->name, figure->unit, figure->sense, figure->samples);
        row.median = figure->value;
        if (figure->target > 0)
            row.target = figure->target;
        if (isfinite(figure->value))
            err = result_add_row(result, &row);
    }
    return err;
}

static void print_floor_row(const char *name, double bytes_per_second, uint32_t event_len)
{
    if (bytes_per_second > 0)
        printf("  %-36s %12.0f  %12.0f\n", name, bytes_per_second / 1e6, bytes_per_second / event_len);
    else
        printf("  %-36s %12s  %12s\n", name, "-", "-");
}

/* What one core could do that did nothing but encrypt and carry the payload, one after the other. */
static double floor_of(enum rig_transport transport, const struct machine_floor *floor)
{
    if (transport == RIG_PLAIN)
        return floor->loopback;
    return floor->aes256_gcm > 0 && floor->loopback > 0 ? 1 / (1 / floor->aes256_gcm + 1 / floor->loopback) : 0;
}

/* A verdict only where the target is meant. */
static bool is_meant(const struct ship_options *options)
{
    return options->load.event_len == TARGET_EVENT_LEN && options->load.key_count == 0 && options->load.property_count == 0 &&
           options->load_rate == 0 && options->rig.workers == 1 && options->rig.transport == RIG_TLS && options->rig.delay_ms == 0;
}

static void print_throughput(const struct ship_options *options, const struct phase_load *load)
{
    bool meant = is_meant(options);
    const char *said = load->events_per_second >= TARGET_EVENTS_PER_SECOND ? ": reached" : ": missed";

    printf("  accepted events/s            %12.0f   target >= %.0f of %u B, one worker, TLS, no delay%s\n", load->events_per_second,
           TARGET_EVENTS_PER_SECOND, TARGET_EVENT_LEN, meant ? said : "");
}

static void print_versus_floor(const struct ship_options *options, const struct machine_floor *floor, const struct phase_load *load)
{
    double rate = floor_of(options->rig.transport, floor);

    if (rate > 0)
        printf("  share of the floor           %11.1f%%   floor: %.0f MB/s, %s on one core\n", 100 * load->bytes_per_second / rate,
               rate / 1e6, options->rig.transport == RIG_PLAIN ? "loopback" : "AES-256-GCM, then loopback,");
}

static const char *verdict(double value, double limit)
{
    return value < limit ? "reached" : "missed";
}

/* So many of the samples, in CPU seconds per million events. How sure a count is, its square root says; other machines and other runs are
 * not in that, but rounds will be. */
static int add_share(const struct phase_load *load, const struct profile *profile, const char *name, uint32_t count,
                     enum result_sense sense, struct result *result)
{
    double value = load->shipper_cpu_seconds_per_million * count / profile->count;
    double noise = count > 0 ? 2 * value / sqrt(count) : NAN;
    bool sure = count > 0 && noise <= PROFILE_NOISE_SHARE_MAX * value;
    struct result_row row = result_row_of_value(PROFILE_GROUP, name, "s", sure ? sense : RESULT_ONLY_SAID, value);

    row.noise = noise;
    row.samples = count;
    snprintf(row.floor, sizeof(row.floor), "%s", PROFILE_ALL);
    return result_add_row(result, &row);
}

/* The shipper's own, or all others. */
static int add_functions(const struct phase_load *load, const struct profile *profile, bool own, struct result *result)
{
    uint32_t added = 0;
    int err = 0;

    for (uint32_t i = 0; i < profile->function_count && added < PROFILE_TOP && !err; i++) {
        const struct profile_function *function = &profile->function[i];
        char name[RESULT_TEXT_BYTES];

        if ((function->part == PROFILE_OWN) != own)
            continue;
        snprintf(name, sizeof(name), "function of %s: %s", own ? "the shipper" : "others", function->name);
        err = add_share(load, profile, name, function->count, RESULT_ONLY_SAID, result);
        added++;
    }
    return err;
}
