/* `ehring-bench ship`: what one shipper carries from rings into a hub on this machine, and what it costs. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "bench/bench.h"
#include "bench/options.h"
#include "bench/profile.h"
#include "bench/result.h"
#include "bench/scratch.h"
#include "bench/ship_report.h"
#include "bench/sink.h"
#include "client/ehring.h"

static const char usage[] = "usage: ehring-bench ship [OPTION]...\n"
                            "Starts ehring-hub --sink and ehring-shipper with directories of their own, measures, and ends them. Prints, "
                            "never judges by its exit status.\n"
                            "  --size BYTES            payload of an event, 16 to 1000K; default 256\n"
                            "  --keys N                different partition keys, 0: unkeyed; default 0\n"
                            "  --properties N          user properties of each event; default 0\n"
                            "  --producers N           threads with a ring each; default 1\n"
                            "  --rings N               rings of all producers, used in turn; default one each\n"
                            "  --load-rate N           events per second of the load phase; default as fast as the rings take them\n"
                            "  --ring-bytes BYTES      size of a ring; default 8M\n"
                            "  --workers N             of the shipper, 1 to 16; default 1\n"
                            "  --net KIND              auto, uring or epoll; default auto\n"
                            "  --transport KIND        tls or plain; default tls\n"
                            "  --partitions N          of the hub; default 4\n"
                            "  --linger-ms N           the shipper's linger_ms; default 5\n"
                            "  --connections N         the shipper's max_size; default 10\n"
                            "  --token-seconds N       life of the shipper's tokens, renewed after three quarters; default 3600\n"
                            "  --delay-ms N            the hub answers so much later: a simulated round trip; default 0\n"
                            "  --warmup N              seconds before the load is measured; default 1\n"
                            "  --seconds N             length of the load phase, 0: none; default 5\n"
                            "  --events N              end the load phase after N accepted events\n"
                            "  --profile-seconds N     run the load once more under perf, 0: not; default 0\n"
                            "  --rate N                events per second of the latency phase; default 10000\n"
                            "  --latency-seconds N     length of the latency phase, 0: none; default 3\n"
                            "  --idle-seconds N        length of the phase with nothing to do, 0: none; default 5\n"
                            "  --sink-seconds N        what the hub takes at all from batches encoded once, 0: not measured; default 1\n"
                            "  --peer KIND             another sender into the same hub, afterwards: proton, javascript or python; may be\n"
                            "                          repeated\n"
                            "  --peer-seconds N        for each of them; default 3\n"
                            "  --floor-seconds N       for each of the floors, 0: none; default 1\n"
                            "  --json FILE             write the figures to FILE too\n";

static const char *const net_names[] = {"auto", "uring", "epoll", NULL};

static int read_options(int argc, char *argv[], struct ship_options *options);
static int run(const struct ship_options *options, struct rig *rig, struct result *result);
static int run_floor(const struct ship_options *options, struct machine_floor *floor, struct result *result);
static int run_sink(const struct ship_options *options, struct rig *rig, struct result *result);
static int run_load(const struct ship_options *options, struct rig *rig, const struct machine_floor *floor, struct result *result);
static int run_profile(const struct ship_options *options, struct rig *rig, struct result *result);
static int run_latency(const struct ship_options *options, struct rig *rig, struct result *result);
static int run_idle(const struct ship_options *options, struct rig *rig, struct result *result);
static int run_sender(const struct ship_options *options, struct rig *rig, enum sender_kind kind, struct result *result);

int bench_ship(int argc, char *argv[])
{
    struct ship_options options;
    struct rig rig = {.hub = CHILD_NONE, .shipper = CHILD_NONE};
    struct result *result;
    int err, status;

    status = read_options(argc, argv, &options);
    if (status != BENCH_GO_ON)
        return status;
    scratch_catch_signals();
    result = result_open();
    err = result ? result_begin_command(result, argc, argv) : -ENOMEM;
    if (!err)
        err = run(&options, &rig, result);
    rig_stop(&rig);
    if (!err && options.json_path)
        err = result_write(result, options.json_path);
    result_close(result);
    return err ? 1 : 0;
}

static int read_options(int argc, char *argv[], struct ship_options *o)
{
    uint32_t transport = RIG_TLS;
    const struct options_field fields[] = {
        {.name = "size", .to32 = &o->load.event_len, .min = 16, .max = 1000u << 10},
        {.name = "keys", .to32 = &o->load.key_count, .max = 1000000},
        {.name = "properties", .to32 = &o->load.property_count, .max = EHRING_PROPERTIES_MAX},
        {.name = "rings", .to32 = &o->load.ring_count, .min = 1, .max = LOAD_RINGS_MAX},
        {.name = "load-rate", .to64 = &o->load_rate, .min = 1, .max = 10000000},
        {.name = "sink-seconds", .to32 = &o->sink_seconds, .max = 60},
        {.name = "peer", .kind = OPTIONS_CHOICE, .flag = o->sender, .names = sender_names},
        {.name = "peer-seconds", .to32 = &o->sender_seconds, .min = 1, .max = 3600},
        {.name = "producers", .to32 = &o->load.producer_count, .min = 1, .max = LOAD_PRODUCERS_MAX},
        {.name = "ring-bytes", .to64 = &o->load.ring_bytes, .min = RING_CAPACITY_MIN, .max = UINT64_C(1) << 30},
        {.name = "workers", .to32 = &o->rig.workers, .min = 1, .max = RING_LANES_MAX},
        {.name = "net", .kind = OPTIONS_CHOICE, .text = &o->rig.net, .names = net_names},
        {.name = "transport", .kind = OPTIONS_CHOICE, .to32 = &transport, .names = rig_transport_names},
        {.name = "partitions", .to32 = &o->rig.partitions, .min = 1, .max = 1024},
        {.name = "linger-ms", .to32 = &o->rig.linger_ms, .max = 60000},
        {.name = "connections", .to32 = &o->rig.connections, .min = 1, .max = 256},
        {.name = "token-seconds", .to32 = &o->rig.token_seconds, .min = 5, .max = 604800},
        {.name = "delay-ms", .to32 = &o->rig.delay_ms, .max = 10000},
        {.name = "warmup", .to32 = &o->warmup_seconds, .max = 3600},
        {.name = "seconds", .to32 = &o->seconds, .max = 86400},
        {.name = "events", .to64 = &o->events_max, .min = 1, .max = UINT64_C(1) << 50},
        {.name = "rate", .to64 = &o->latency_rate, .min = 1, .max = 10000000},
        {.name = "latency-seconds", .to32 = &o->latency_seconds, .max = 86400},
        {.name = "profile-seconds", .to32 = &o->profile_seconds, .max = 3600},
        {.name = "idle-seconds", .to32 = &o->idle_seconds, .max = 86400},
        {.name = "floor-seconds", .to32 = &o->floor_seconds, .max = 60},
        {.name = "json", .kind = OPTIONS_TEXT, .text = &o->json_path},
        {.name = "help", .kind = OPTIONS_HELP},
        {0},
    };
    int status;

    *o = (struct ship_options){
        .rig =
            {.workers = 1, .net = "auto", .transport = RIG_TLS, .partitions = 4, .linger_ms = 5, .token_seconds = 3600, .connections = 10},
        .load = {.stream = RIG_STREAM, .event_len = 256, .producer_count = 1, .ring_bytes = UINT64_C(8) << 20},
        .warmup_seconds = 1,
        .seconds = 5,
        .floor_seconds = 1,
        .latency_seconds = 3,
        .latency_rate = 10000,
        .idle_seconds = 5,
        .sender_seconds = 3,
        .sink_seconds = 1,
    };
    status = options_read(argc, argv, fields, usage);
    o->rig.transport = (enum rig_transport)transport;
    for (int kind = 0; kind < SENDERS; kind++)
        o->rig.fixed_port |= o->sender[kind];
    while (o->load.ring_bytes / RING_RECORD_SHARE < o->load.event_len + 64u) /* room for head, key and time */
        o->load.ring_bytes *= 2;
    return status;
}

/* The floors come first, while nothing else runs. */
static int run(const struct ship_options *options, struct rig *rig, struct result *result)
{
    struct machine_floor floor = {0};
    int err = 0;

    ship_report_setup(options);
    if (options->floor_seconds)
        err = run_floor(options, &floor, result);
    if (!err)
        err = rig_start(&options->rig, rig);
    if (!err && options->sink_seconds)
        err = run_sink(options, rig, result);
    if (!err && options->seconds)
        err = run_load(options, rig, &floor, result);
    if (!err && options->profile_seconds)
        err = run_profile(options, rig, result);
    if (!err && options->latency_seconds)
        err = run_latency(options, rig, result);
    if (!err && options->idle_seconds)
        err = run_idle(options, rig, result);
    for (int kind = 0; kind < SENDERS && !err; kind++)
        if (options->sender[kind])
            err = run_sender(options, rig, (enum sender_kind)kind, result);
    return err;
}

static int run_floor(const struct ship_options *options, struct machine_floor *floor, struct result *result)
{
    int err = machine_floor_measure(options->floor_seconds, options->load.event_len, floor);

    if (!err)
        err = ship_report_floor(options, floor, result);
    return err;
}

static int run_sink(const struct ship_options *options, struct rig *rig, struct result *result)
{
    struct measure_series rates = {0}, connect_ms = {0};
    int err = sink_measure(rig, options->rig.transport, options->load.event_len, options->sink_seconds, &rates);

    if (!err)
        err = sink_measure_connect(rig, options->rig.transport, &connect_ms);
    return err ? err : ship_report_sink(options, &rates, &connect_ms, result);
}

static int run_load(const struct ship_options *options, struct rig *rig, const struct machine_floor *floor, struct result *result)
{
    struct load_options load = options->load;
    struct phase_load figures;
    int err;

    load.rings_dir = rig->rings_dir;
    load.rate = options->load_rate;
    err = phase_run_load(rig, &load, options->warmup_seconds, options->seconds, options->events_max, &figures);
    if (!err)
        err = ship_report_load(options, floor, &figures, result);
    return err;
}

/* Where there is no perf, or it may not look, that is said; the phases behind go on. */
static int run_profile(const struct ship_options *options, struct rig *rig, struct result *result)
{
    struct load_options load = options->load;
    struct phase_load figures;
    struct profile_run perf;
    struct profile profile;
    struct load *running = NULL;
    char why[PROFILE_WHY_BYTES] = "";
    int err, perf_err = 0;

    load.rings_dir = rig->rings_dir;
    load.rate = options->load_rate;
    err = phase_open_load(rig, &load, options->warmup_seconds, &running);
    if (!err) {
        perf_err = profile_start(rig->state_dir, rig->shipper.pid, &perf, why);
        if (!perf_err)
            err = phase_watch_load(rig, running, options->profile_seconds, 0, &figures);
        perf_err = perf_err ? perf_err : profile_stop(&perf, why);
    }
    err = phase_close_load(rig, running, err);
    if (!err && !perf_err)
        perf_err = profile_read(rig->state_dir, "ehring-shipper", &profile, why);
    if (!err && perf_err == -EOPNOTSUPP) {
        printf("\n%s\n", why);
        return result_add_note(result, why);
    }
    return err ? err : perf_err ? perf_err : ship_report_profile(&figures, &profile, result);
}

static int run_latency(const struct ship_options *options, struct rig *rig, struct result *result)
{
    struct load_options load = options->load;
    struct phase_latency figures;
    int err;

    load.rings_dir = rig->rings_dir;
    load.rate = options->latency_rate;
    err = phase_run_latency(rig, &load, options->latency_seconds, &figures);
    if (!err)
        err = ship_report_latency(options, &figures, result);
    return err;
}

static int run_idle(const struct ship_options *options, struct rig *rig, struct result *result)
{
    struct phase_idle figures;
    int err = phase_run_idle(rig, options->rig.workers, options->idle_seconds, &figures);

    if (!err)
        err = ship_report_idle(options, &figures, result);
    return err;
}

/* One that is not here is said; the others go on. */
static int run_sender(const struct ship_options *options, struct rig *rig, enum sender_kind kind, struct result *result)
{
    struct sender_figures figures;
    char why[256] = "";
    int err =
        sender_measure(rig, kind, options->rig.transport, options->load.event_len, options->sender_seconds, &figures, why, sizeof(why));

    if (err == -EOPNOTSUPP) {
        printf("\n%s\n", why);
        return result_add_note(result, why);
    }
    return err ? err : ship_report_sender(kind, &figures, result);
}
