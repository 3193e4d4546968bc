/* `ehring-bench scale`: what a fleet needs, on paper, from what one event and one connection cost. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "bench/bench.h"
#include "bench/fleet.h"
#include "bench/options.h"
#include "bench/result.h"

static const char usage[] = "usage: ehring-bench scale [OPTION]...\n"
                            "Computes from measured costs what a fleet needs of a namespace and of its machines; simulates an outage.\n"
                            "  --report FILE           take the costs from this report.json; those below are taken before it\n"
                            "  --machines N            default 200\n"
                            "  --rings N               rings of a machine; default 50\n"
                            "  --ring-bytes BYTES      of each; default 1M\n"
                            "  --rate N                events per second of a machine; default 2000\n"
                            "  --size BYTES            of an event; default 256\n"
                            "  --partitions N          of the hub; default 32\n"
                            "  --units N               of the namespace; default 20\n"
                            "  --unit KIND             tu, pu or cu: throughput, processing or capacity units; default pu\n"
                            "  --connections N         of a shipper; default 3\n"
                            "  --round-trip-ms N       default 10\n"
                            "  --outage-seconds N      default 300\n"
                            "  --accepted-per-second N connects that the service takes after an outage, an assumption; default 100\n"
                            "  --backoff-ms N, --backoff-max-seconds N   as the shipper's retry_backoff; default 800 and 60\n"
                            "  --cpu-per-million S     seconds of the shipper for a million events\n"
                            "  --worker-rate N         events per second of one worker with its core busy\n"
                            "  --memory-mib N          of a shipper besides the rings\n"
                            "  --idle-percent P        of a core with nothing to do\n"
                            "  --connect-cpu-ms MS     for making a connection\n"
                            "  --dir DIR               write scale.md and its picture there instead of printing\n"
                            "  --json FILE             write the figures to FILE too\n";

struct scale_options {
    struct fleet fleet;
    const char *report_path;
    const char *dir;
    const char *json_path;
};

static int read_options(int argc, char *argv[], struct scale_options *options);
static int write_page(const struct scale_options *options, struct result *result);

int bench_scale(int argc, char *argv[])
{
    struct scale_options options = {.fleet = fleet_default()};
    struct result *measured = NULL, *result;
    const char *missing = NULL;
    int status = read_options(argc, argv, &options), err = 0;

    if (status != BENCH_GO_ON)
        return status;
    result = result_open();
    if (!result || result_begin_command(result, argc, argv))
        err = -ENOMEM;
    if (!err && options.report_path)
        err = result_read(options.report_path, &measured);
    if (!err && measured)
        fleet_take_measured(&options.fleet, measured);
    if (!err)
        err = fleet_check(&options.fleet, &missing);
    if (missing)
        fprintf(stderr, "ehring-bench: %s is not given%s\n", missing, options.report_path ? " and not in the report" : ", nor a --report");
    if (!err)
        err = write_page(&options, result);
    if (!err && options.json_path)
        err = result_write(result, options.json_path);
    result_close(measured);
    result_close(result);
    return err ? 1 : 0;
}

static int read_options(int argc, char *argv[], struct scale_options *o)
{
    struct fleet *f = &o->fleet;
    const struct options_field fields[] = {
        {.name = "machines", .to32 = &f->machines, .min = 1, .max = 100000},
        {.name = "rings", .to32 = &f->rings, .min = 1, .max = 1000000},
        {.name = "ring-bytes", .to64 = &f->ring_bytes, .min = 65536, .max = UINT64_C(1) << 36},
        {.name = "rate", .to64 = &f->rate, .min = 1, .max = 1000000000},
        {.name = "size", .to32 = &f->event_len, .min = 1, .max = 1 << 20},
        {.name = "partitions", .to32 = &f->partitions, .min = 1, .max = 2032},
        {.name = "units", .to32 = &f->units, .min = 1, .max = 10000},
        {.name = "unit", .kind = OPTIONS_CHOICE, .to32 = &f->unit, .names = fleet_unit_names},
        {.name = "connections", .to32 = &f->connections, .min = 1, .max = 256},
        {.name = "round-trip-ms", .to32 = &f->round_trip_ms, .max = 60000},
        {.name = "outage-seconds", .to32 = &f->outage_seconds, .min = 1, .max = 86400},
        {.name = "accepted-per-second", .to32 = &f->accepted_per_second, .min = 1, .max = 1000000},
        {.name = "backoff-ms", .to32 = &f->backoff_ms, .min = 1, .max = 600000},
        {.name = "backoff-max-seconds", .to32 = &f->backoff_max_seconds, .min = 1, .max = 3600},
        {.name = "cpu-per-million", .kind = OPTIONS_REAL, .real = &f->cpu_seconds_per_million},
        {.name = "worker-rate", .kind = OPTIONS_REAL, .real = &f->worker_events_per_second},
        {.name = "memory-mib", .kind = OPTIONS_REAL, .real = &f->memory_mib},
        {.name = "idle-percent", .kind = OPTIONS_REAL, .real = &f->idle_percent},
        {.name = "connect-cpu-ms", .kind = OPTIONS_REAL, .real = &f->connect_cpu_ms},
        {.name = "report", .kind = OPTIONS_TEXT, .text = &o->report_path},
        {.name = "dir", .kind = OPTIONS_TEXT, .text = &o->dir},
        {.name = "json", .kind = OPTIONS_TEXT, .text = &o->json_path},
        {.name = "help", .kind = OPTIONS_HELP},
        {0},
    };

    return options_read(argc, argv, fields, usage);
}

static int write_page(const struct scale_options *options, struct result *result)
{
    char path[4096], log_path[4096];
    FILE *file;
    int err;

    if (!options->dir)
        return fleet_print(&options->fleet, NULL, "/dev/null", result, stdout);
    (void)mkdir(options->dir, 0777);
    snprintf(path, sizeof(path), "%s/scale.md", options->dir);
    snprintf(log_path, sizeof(log_path), "%s/scale.log", options->dir);
    file = fopen(path, "we");
    if (!file) {
        fprintf(stderr, "ehring-bench: cannot write %s: %s\n", path, strerror(errno));
        return -EIO;
    }
    fputs("# Scale on paper\n\n", file);
    err = fleet_print(&options->fleet, options->dir, log_path, result, file);
    if (fclose(file) && !err)
        err = -EIO;
    return err;
}
