/* What a fleet of machines needs of a namespace and of themselves, computed from the cost of an event and of a connection. */
#include "bench/fleet.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "bench/outage.h"
#include "bench/plot.h"
#include "bench/table.h"

#define MIB 1048576.0
#define GROUP "scale"
#define PICTURE "scale-outage"
#define BATCH_BYTES 1048576.0     /* one is on its way for each partition and machine */
#define INFLIGHT_BYTES (64 * MIB) /* inflight_bytes_max of a stream */
#define RECORD_OVERHEAD 32.0      /* in the ring: head, now and then a time, padding */
#define WORKERS_MAX 16.0
#define LINKS_OF_A_CONNECTION 100.0 /* client_limit */

struct unit { /* what the service says of one; PU and CU are estimates of its documents and depend on the load */
    const char *name;
    double bytes_per_second;
    double events_per_second; /* INFINITY: not limited by number */
    double connections;       /* of the namespace */
    double connections_each;  /* and for each unit */
};

const char *const fleet_unit_names[] = {"tu", "pu", "cu", NULL};
static const struct unit units[] = {
    {"throughput units", 1e6, 1000, 5000, 0}, {"processing units", 5e6, INFINITY, 0, 10000}, {"capacity units", 1e8, INFINITY, 0, 100000}};

struct sheet { /* where lines go */
    FILE *to;
    struct result *result;
    int err;
};

static double measured_value(struct result *measured, const char *name);
static void take(double *to, struct result *measured, const char *name);
static double wire_bytes(const struct fleet *fleet);
static void heading(struct sheet *sheet, const char *text);
static void line(struct sheet *sheet, const char *name, double value, const char *unit, const char *why);
static void print_inputs(const struct fleet *fleet, FILE *to);
static void print_namespace(const struct fleet *fleet, struct sheet *sheet);
static void print_machine(const struct fleet *fleet, struct sheet *sheet);
static void print_limits(const struct fleet *fleet, struct sheet *sheet);
static void print_backlog(const struct fleet *fleet, struct sheet *sheet);
static int print_outage(const struct fleet *fleet, const char *dir, const char *log_path, struct sheet *sheet);

struct fleet fleet_default(void)
{
    return (struct fleet){.machines = 200,
                          .rings = 50,
                          .rate = 2000,
                          .event_len = 256,
                          .ring_bytes = UINT64_C(1) << 20,
                          .partitions = 32,
                          .connections = 3,
                          .round_trip_ms = 10,
                          .units = 20,
                          .unit = FLEET_PU,
                          .outage_seconds = 300,
                          .accepted_per_second = 100,
                          .backoff_ms = 800,
                          .backoff_max_seconds = 60,
                          .cpu_seconds_per_million = NAN,
                          .worker_events_per_second = NAN,
                          .wire_bytes_per_event = NAN,
                          .memory_mib = NAN,
                          .idle_percent = NAN,
                          .connect_cpu_ms = NAN};
}

void fleet_take_measured(struct fleet *fleet, struct result *measured)
{
    take(&fleet->cpu_seconds_per_million, measured, "shipper CPU per million events");
    take(&fleet->worker_events_per_second, measured, "accepted events");
    take(&fleet->wire_bytes_per_event, measured, "bytes on the wire per event");
    take(&fleet->memory_mib, measured, "shipper memory besides the rings");
    take(&fleet->idle_percent, measured, "idle: share of a core");
    take(&fleet->connect_cpu_ms, measured, "one connection: CPU of login and link");
}

int fleet_check(const struct fleet *fleet, const char **missing)
{
    *missing = isnan(fleet->cpu_seconds_per_million)    ? "--cpu-per-million"
               : isnan(fleet->worker_events_per_second) ? "--worker-rate"
               : isnan(fleet->memory_mib)               ? "--memory-mib"
               : isnan(fleet->idle_percent)             ? "--idle-percent"
               : isnan(fleet->connect_cpu_ms)           ? "--connect-cpu-ms"
                                                        : NULL;
    return *missing ? -ENODATA : 0;
}

int fleet_print(const struct fleet *fleet, const char *dir, const char *log_path, struct result *result, FILE *to)
{
    struct sheet sheet = {to, result, 0};
    int err;

    print_inputs(fleet, to);
    print_namespace(fleet, &sheet);
    print_machine(fleet, &sheet);
    print_limits(fleet, &sheet);
    print_backlog(fleet, &sheet);
    err = print_outage(fleet, dir, log_path, &sheet);
    return err ? err : sheet.err;
}

/* The first row of that name is of the usual case: the plan begins with it. */
static double measured_value(struct result *measured, const char *name)
{
    for (uint32_t i = 0; i < result_row_count(measured); i++)
        if (strcmp(result_row(measured, i)->name, name) == 0)
            return result_row(measured, i)->median;
    return NAN;
}

static void take(double *to, struct result *measured, const char *name)
{
    if (isnan(*to))
        *to = measured_value(measured, name);
}

static double wire_bytes(const struct fleet *fleet)
{
    double overhead = isnan(fleet->wire_bytes_per_event) ? 20 : fleet->wire_bytes_per_event - 256;

    return fleet->event_len + fmax(overhead, 0);
}

static void heading(struct sheet *sheet, const char *text)
{
    fprintf(sheet->to, "\n### %s\n\n| | | |\n| --- | --- | --- |\n", text);
}

static void line(struct sheet *sheet, const char *name, double value, const char *unit, const char *why)
{
    char text[TABLE_NUMBER_BYTES];

    fprintf(sheet->to, "| %s | %s %s | %s |\n", name, table_number(value, text), unit, why);
    if (sheet->result && isfinite(value) && !sheet->err) {
        struct result_row row = result_row_of_value(GROUP, name, unit, RESULT_ONLY_SAID, value);

        sheet->err = result_add_row(sheet->result, &row);
    }
}

static void print_inputs(const struct fleet *fleet, FILE *to)
{
    char rate[TABLE_NUMBER_BYTES], worker[TABLE_NUMBER_BYTES];

    fprintf(
        to,
        "%u machines with %u rings of %llu KiB each, %s events/s of %u B on each machine, into a hub of %u partitions in a namespace of %u "
        "%s.\n"
        "Each shipper has %u connections; a round trip takes %u ms. Measured, or given: %.3f s of the shipper's time for a million events, "
        "one "
        "worker carries %s events/s,\n%.1f MiB besides the rings, %.3f %% of a core with nothing to do, %.2f ms for making a connection.\n",
        fleet->machines, fleet->rings, (unsigned long long)fleet->ring_bytes >> 10, table_number((double)fleet->rate, rate),
        fleet->event_len, fleet->partitions, fleet->units, units[fleet->unit].name, fleet->connections, fleet->round_trip_ms,
        fleet->cpu_seconds_per_million, table_number(fleet->worker_events_per_second, worker), fleet->memory_mib, fleet->idle_percent,
        fleet->connect_cpu_ms);
}

static void print_namespace(const struct fleet *fleet, struct sheet *sheet)
{
    const struct unit *unit = &units[fleet->unit];
    double events = (double)fleet->machines * (double)fleet->rate, bytes = events * wire_bytes(fleet);
    double wanted = ceil(fmax(bytes / unit->bytes_per_second, events / unit->events_per_second));
    double connections = (double)fleet->machines * fleet->connections, quota = unit->connections + fleet->units * unit->connections_each;
    char why[160];

    heading(sheet, "The namespace");
    line(sheet, "events in all", events, "events/s", "");
    line(sheet, "bytes in all", bytes / 1e6, "MB/s", "as they are on the wire, without TLS");
    snprintf(why, sizeof(why), "%u are there: %s; one is taken to carry %.0f MB/s%s", fleet->units,
             wanted <= fleet->units ? "enough" : "**too few, the rest is throttled and waits in the rings**", unit->bytes_per_second / 1e6,
             isinf(unit->events_per_second) ? ", which depends on the load" : " or 1,000 events/s");
    line(sheet, "units wanted", wanted, unit->name, why);
    snprintf(why, sizeof(why), "of %.0f that the namespace takes: %s", quota, connections <= quota ? "enough" : "**too many**");
    line(sheet, "connections", connections, "", why);
    snprintf(why, sizeof(why), "of about one throughput unit that a partition takes%s",
             bytes / fleet->partitions > 1e6 && fleet->unit == FLEET_TU ? ": **more partitions, or each throttles alone**" : "");
    line(sheet, "on each partition", bytes / fleet->partitions / 1e6, "MB/s", why);
    line(sheet, "deliveries on their way at most", (double)fleet->machines * fleet->partitions, "deliveries",
         "one batch for each partition and machine: so many credits are used at once, whatever the service grants");
}

static void print_machine(const struct fleet *fleet, struct sheet *sheet)
{
    double cpu = (double)fleet->rate / 1e6 * fleet->cpu_seconds_per_million + fleet->idle_percent / 100;
    double rings_mib = fleet->rings * (double)fleet->ring_bytes / MIB;

    heading(sheet, "One machine");
    line(sheet, "the shipper's share of a core", 100 * cpu, "%", "cost of an event times rate, and what it costs with nothing to do");
    line(sheet, "memory besides the rings", fleet->memory_mib, "MiB", "as measured with its connections and batches");
    line(sheet, "rings", rings_mib, "MiB", "taken when they are opened; of the producers' memory");
    line(sheet, "making its connections", fleet->connections * fleet->connect_cpu_ms, "ms", "processor time at a start or after an outage");
    line(sheet, "all machines together", fleet->machines * cpu, "cores", "");
}

/* Where one shipper ends, the smallest of these limits says; streams are what is given to another one. */
static void print_limits(const struct fleet *fleet, struct sheet *sheet)
{
    double round_trip = fmax(fleet->round_trip_ms, 0.1) / 1e3, bytes = wire_bytes(fleet);
    double by_cpu = fleet->worker_events_per_second, by_workers = WORKERS_MAX * by_cpu;
    double by_batch = fleet->partitions * BATCH_BYTES / round_trip / bytes, by_inflight = INFLIGHT_BYTES / round_trip / bytes;
    double least = fmin(fmin(by_workers, by_batch), by_inflight);
    char why[200];

    heading(sheet, "Where one machine ends");
    line(sheet, "one worker", by_cpu, "events/s", "measured, its core busy");
    line(sheet, "sixteen workers", by_workers, "events/s", "the most that a shipper has, with as many cores");
    line(sheet, "a batch for each partition", by_batch, "events/s", "full batches, one on its way for each partition, over the round trip");
    line(sheet, "bytes on their way", by_inflight, "events/s", "inflight_bytes_max of 64 MiB over the round trip; can be raised");
    line(sheet, "one stream of one shipper", least, "events/s", "the smallest of these");
    snprintf(why, sizeof(why), "%s",
             least >= (double)fleet->rate
                 ? "one is enough; a second one on the machine would take other streams, for a stream is locked by its shipper"
                 : "each takes other streams, for a stream is locked by its shipper: split the producers over so many");
    line(sheet, "streams wanted for the rate of a machine", ceil((double)fleet->rate / least), "", why);
    line(sheet, "workers wanted", ceil((double)fleet->rate / by_cpu), "", "of all its shippers");
    line(sheet, "connections wanted for its links", ceil((fleet->partitions + 1) / LINKS_OF_A_CONNECTION), "", "a hundred links on each");
}

static void print_backlog(const struct fleet *fleet, struct sheet *sheet)
{
    double ring_rate = (double)fleet->rate / fleet->rings, record = fleet->event_len + RECORD_OVERHEAD;
    double lasts = (double)fleet->ring_bytes / (ring_rate * record);
    double backlog = (double)fleet->machines * (double)fleet->rate * fmin(fleet->outage_seconds, lasts) * wire_bytes(fleet);
    double spare = fleet->units * units[fleet->unit].bytes_per_second - (double)fleet->machines * (double)fleet->rate * wire_bytes(fleet);
    char why[160];

    heading(sheet, "An outage");
    snprintf(why, sizeof(why), "%s for one of %u s; a ring of %.0f MiB would last it",
             lasts >= fleet->outage_seconds ? "enough" : "**too short**", fleet->outage_seconds,
             exp2(ceil(log2(ring_rate * record * fleet->outage_seconds / MIB))));
    line(sheet, "a ring lasts", lasts, "s", why);
    line(sheet, "waits in the rings at its end", backlog / 1e6, "MB", "of all machines");
    if (spare > 0)
        line(sheet, "caught up after", backlog / spare, "s", "with what the units take beyond the rate");
    else
        fputs("| caught up after | never | the units take no more than the rate |\n", sheet->to);
}

static int print_outage(const struct fleet *fleet, const char *dir, const char *log_path, struct sheet *sheet)
{
    struct outage_options options = {.connections = fleet->machines * fleet->connections,
                                     .outage_seconds = fleet->outage_seconds,
                                     .accepted_per_second = fleet->accepted_per_second,
                                     .backoff_ms = fleet->backoff_ms,
                                     .backoff_max_seconds = fleet->backoff_max_seconds,
                                     .jitter = true};
    struct outage with = {0}, without = {0};
    char path[4096];
    FILE *file;
    int err = outage_simulate(&options, &with);

    options.jitter = false;
    if (!err)
        err = outage_simulate(&options, &without);
    if (!err) {
        heading(sheet, "Its connections, simulated");
        line(sheet, "connects that the service takes", fleet->accepted_per_second, "1/s", "an assumption: the service does not publish it");
        line(sheet, "with jitter: all are back after", with.all_connected_after, "s", "after the end of the outage; the shipper does this");
        line(sheet, "with jitter: most attempts in a second", with.attempts_max, "1/s", "");
        line(sheet, "without: all are back after", without.all_connected_after, "s", "\"-\": not within an hour");
        line(sheet, "without: most attempts in a second", without.attempts_max, "1/s", "all at the same instants");
    }
    if (!err && dir) {
        snprintf(path, sizeof(path), "%s/%s.gp", dir, PICTURE);
        file = fopen(path, "we");
        if (file) {
            outage_write_plot(&with, &without, fleet->outage_seconds, PICTURE, file);
            fclose(file);
            if (plot_run(dir, PICTURE ".gp", log_path) == 0)
                fprintf(sheet->to, "\n![connects after a regional outage](%s.svg)\n", PICTURE);
        }
    }
    outage_free(&with);
    outage_free(&without);
    return err;
}
