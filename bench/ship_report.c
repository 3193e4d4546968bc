/* The figures of `ship` as a table for a person and as JSON: each with its floor or target beside it. */
#include "bench/ship_report.h"

#include <math.h>
#include <stdio.h>

#include "bench/machine.h"

#define TARGET_EVENTS_PER_SECOND 1e6 /* of TARGET_EVENT_LEN, one worker, TLS */
#define TARGET_EVENT_LEN 256u
#define TARGET_BATCH_EVENTS 100.0
#define TARGET_MEMORY_MIB 64.0
#define TARGET_PAUSE_MS 100.0
#define TARGET_WAKEUPS 2.0
#define MIB 1048576.0

static void print_floor_row(const char *name, double bytes_per_second, uint32_t event_len);
static double floor_of(enum rig_transport transport, const struct machine_floor *floor);
static void print_throughput(const struct ship_options *options, const struct phase_load *load);
static void print_versus_floor(const struct ship_options *options, const struct machine_floor *floor, const struct phase_load *load);
static const char *verdict(double value, double limit);

void ship_report_setup(const struct ship_options *options, cJSON *json)
{
    char keys[32] = "unkeyed", ordering[64];

    if (options->load.key_count)
        snprintf(keys, sizeof(keys), "%u keys", options->load.key_count);
    snprintf(ordering, sizeof(ordering), "linger %u ms, %u partitions", options->rig.linger_ms, options->rig.partitions);
    machine_print(stdout);
    printf(
        "%u B, %s; producers %u, ring %llu KiB; workers %u, net %s, %s; %s; ehring-hub --sink, answer after %u ms; all on this machine\n",
        options->load.event_len, keys, options->load.producer_count, (unsigned long long)options->load.ring_bytes >> 10,
        options->rig.workers, options->rig.net, rig_transport_names[options->rig.transport], ordering, options->rig.delay_ms);
    fflush(stdout);
    cJSON_AddNumberToObject(json, "size", options->load.event_len);
    cJSON_AddNumberToObject(json, "keys", options->load.key_count);
    cJSON_AddNumberToObject(json, "producers", options->load.producer_count);
    cJSON_AddNumberToObject(json, "ring_bytes", (double)options->load.ring_bytes);
    cJSON_AddNumberToObject(json, "workers", options->rig.workers);
    cJSON_AddStringToObject(json, "net", options->rig.net);
    cJSON_AddStringToObject(json, "transport", rig_transport_names[options->rig.transport]);
    cJSON_AddNumberToObject(json, "partitions", options->rig.partitions);
    cJSON_AddNumberToObject(json, "linger_ms", options->rig.linger_ms);
    cJSON_AddNumberToObject(json, "delay_ms", options->rig.delay_ms);
}

void ship_report_floor(const struct ship_options *options, const struct machine_floor *floor, cJSON *json)
{
    cJSON *object = cJSON_AddObjectToObject(json, "floor");

    printf("\nfloors, one core                              MB/s      events/s\n");
    print_floor_row("AES-128-GCM, openssl speed, 16 KiB", floor->aes128_gcm, options->load.event_len);
    print_floor_row("AES-256-GCM, openssl speed, 16 KiB", floor->aes256_gcm, options->load.event_len);
    print_floor_row("TCP over loopback, two processes", floor->loopback, options->load.event_len);
    print_floor_row("memcpy behind a 16 B head", floor->memcpy, options->load.event_len);
    fflush(stdout);
    cJSON_AddNumberToObject(object, "aes128_gcm_bytes_per_second", floor->aes128_gcm);
    cJSON_AddNumberToObject(object, "aes256_gcm_bytes_per_second", floor->aes256_gcm);
    cJSON_AddNumberToObject(object, "loopback_bytes_per_second", floor->loopback);
    cJSON_AddNumberToObject(object, "memcpy_bytes_per_second", floor->memcpy);
}

void ship_report_load(const struct ship_options *options, const struct machine_floor *floor, const struct phase_load *load, cJSON *json)
{
    cJSON *object = cJSON_AddObjectToObject(json, "load");
    double memory_mib = (double)(load->anon_bytes_max + load->file_bytes_max) / MIB;

    printf("\nas fast as the rings take them, %.1f s after %u s of warm-up\n", load->seconds, options->warmup_seconds);
    print_throughput(options, load);
    printf("  accepted payload, MB/s       %12.1f\n", load->bytes_per_second / 1e6);
    print_versus_floor(options, floor, load);
    printf("  events per batch             %12.1f   target > %.0f%s\n", load->events_per_batch, TARGET_BATCH_EVENTS,
           options->load.event_len > TARGET_EVENT_LEN     ? " for small events"
           : load->events_per_batch > TARGET_BATCH_EVENTS ? ": reached"
                                                          : ": missed");
    printf("  bytes on the wire per event  %12.1f   for %u of payload\n", load->wire_bytes_per_event, options->load.event_len);
    printf("  shipper CPU s per million    %12.3f\n", load->shipper_cpu_seconds_per_million);
    printf("  cores busy                   %12.2f   shipper; hub %.2f, producers and this bench %.2f\n", load->shipper_cores,
           load->hub_cores, load->producer_cores);
    printf("  longest pause, ms            %12.1f   in which nothing was accepted; %llu token renewals, %llu connections, links or "
           "outcomes lost; "
           "target < %.0f: %s\n",
           (double)load->pause_ns_max / 1e6, (unsigned long long)load->token_renewals, (unsigned long long)load->disturbances,
           TARGET_PAUSE_MS, verdict((double)load->pause_ns_max / 1e6, TARGET_PAUSE_MS));
    printf("  shipper memory, MiB          %12.1f   besides the rings (%.1f anonymous, %.1f program and libraries); target < %.0f: %s\n",
           memory_mib, (double)load->anon_bytes_max / MIB, (double)load->file_bytes_max / MIB, TARGET_MEMORY_MIB,
           verdict(memory_mib, TARGET_MEMORY_MIB));
    fflush(stdout);
    cJSON_AddNumberToObject(object, "seconds", load->seconds);
    cJSON_AddNumberToObject(object, "events_per_second", load->events_per_second);
    cJSON_AddNumberToObject(object, "payload_bytes_per_second", load->bytes_per_second);
    cJSON_AddNumberToObject(object, "events_per_batch", load->events_per_batch);
    cJSON_AddNumberToObject(object, "wire_bytes_per_event", load->wire_bytes_per_event);
    cJSON_AddNumberToObject(object, "shipper_cpu_seconds_per_million", load->shipper_cpu_seconds_per_million);
    cJSON_AddNumberToObject(object, "shipper_cores", load->shipper_cores);
    cJSON_AddNumberToObject(object, "hub_cores", load->hub_cores);
    cJSON_AddNumberToObject(object, "producer_cores", load->producer_cores);
    cJSON_AddNumberToObject(object, "pause_ns_max", (double)load->pause_ns_max);
    cJSON_AddNumberToObject(object, "token_renewals", (double)load->token_renewals);
    cJSON_AddNumberToObject(object, "disturbances", (double)load->disturbances);
    cJSON_AddNumberToObject(object, "shipper_anon_bytes_max", (double)load->anon_bytes_max);
    cJSON_AddNumberToObject(object, "shipper_file_bytes_max", (double)load->file_bytes_max);
}

void ship_report_latency(const struct ship_options *options, const struct phase_latency *latency, cJSON *json)
{
    cJSON *object = cJSON_AddObjectToObject(json, "latency");

    printf("\ncommit to accept at %llu events/s (%.0f accepted), us\n", (unsigned long long)options->latency_rate,
           latency->events_per_second);
    printf("  p50 %.0f   p90 %.0f   p99 %.0f   p99.9 %.0f   max %.0f   of %llu sampled events, linger %u ms\n",
           (double)latency->p50_ns / 1e3, (double)latency->p90_ns / 1e3, (double)latency->p99_ns / 1e3, (double)latency->p999_ns / 1e3,
           (double)latency->max_ns / 1e3, (unsigned long long)latency->count, options->rig.linger_ms);
    fflush(stdout);
    cJSON_AddNumberToObject(object, "rate", (double)options->latency_rate);
    cJSON_AddNumberToObject(object, "events_per_second", latency->events_per_second);
    cJSON_AddNumberToObject(object, "count", (double)latency->count);
    cJSON_AddNumberToObject(object, "p50_ns", (double)latency->p50_ns);
    cJSON_AddNumberToObject(object, "p90_ns", (double)latency->p90_ns);
    cJSON_AddNumberToObject(object, "p99_ns", (double)latency->p99_ns);
    cJSON_AddNumberToObject(object, "p999_ns", (double)latency->p999_ns);
    cJSON_AddNumberToObject(object, "max_ns", (double)latency->max_ns);
}

void ship_report_idle(const struct ship_options *options, const struct phase_idle *idle, cJSON *json)
{
    cJSON *object = cJSON_AddObjectToObject(json, "idle");

    printf("\nnothing to do, %u s, one ring open\n", options->idle_seconds);
    printf("  wake-ups/s per worker        %12.2f   target <= %.0f: %s\n", idle->wakeups_per_second, TARGET_WAKEUPS,
           idle->wakeups_per_second <= TARGET_WAKEUPS ? "reached" : "missed");
    printf("  voluntary switches/s         %12.2f   the whole process, by the kernel's count\n", idle->switches_per_second);
    printf("  shipper, %% of a core         %12.3f\n", idle->core_percent);
    fflush(stdout);
    cJSON_AddNumberToObject(object, "wakeups_per_second_per_worker", idle->wakeups_per_second);
    cJSON_AddNumberToObject(object, "switches_per_second", idle->switches_per_second);
    cJSON_AddNumberToObject(object, "core_percent", idle->core_percent);
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
static void print_throughput(const struct ship_options *options, const struct phase_load *load)
{
    bool meant = options->load.event_len == TARGET_EVENT_LEN && options->rig.workers == 1 && options->rig.transport == RIG_TLS &&
                 options->rig.delay_ms == 0;
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
