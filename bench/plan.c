/* What a report measures: one table of commands, how often and how long in each profile. */
#include "bench/plan.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define RING(mode) "ring --mode " mode " --slices $slices --milliseconds $ms "
#define RINGS "ship: by rings, 200,000 events/s in all"
#define LOAD "ship --warmup $warmup --seconds $seconds --latency-seconds 0 --idle-seconds 0 --floor-seconds 0 --sink-seconds 0 "
#define LATENCY "ship --warmup 0 --seconds 0 --latency-seconds $latency --idle-seconds 0 --floor-seconds 0 --sink-seconds 0 --linger-ms 0 "
#define WHOLE "ship --warmup $warmup --seconds $seconds --latency-seconds $latency --idle-seconds $idle --floor-seconds 1 --linger-ms 0 "

const char *const plan_profile_names[] = {"smoke", "short", "full", NULL};

struct number {
    const char *name;
    const char *value[3]; /* by profile */
};
static const struct number numbers[] = {
    {"$slices", {"5", "31", "101"}}, {"$ms", {"50", "1000", "5000"}}, {"$warmup", {"0", "1", "2"}}, {"$seconds", {"1", "2", "5"}},
    {"$profile", {"1", "2", "10"}},  {"$latency", {"1", "2", "10"}},  {"$idle", {"1", "2", "10"}},
};
static const uint32_t rounds[] = {2, 3, 3};

const struct plan_step plan_steps[] = {
    {PLAN_SMOKE, NULL, NAN, NULL, RING("write") "--size 64 --size 256 --size 1024"},
    {PLAN_SMOKE, NULL, NAN, NULL, RING("steps")},
    {PLAN_SHORT, NULL, NAN, NULL, RING("write") "--size 16 --size 4096 --size 16384 --size 65536"},
    {PLAN_SMOKE, NULL, NAN, NULL, RING("lanes")},
    {PLAN_SMOKE, NULL, NAN, NULL, RING("rings")},
    {PLAN_SMOKE, NULL, NAN, NULL, RING("latency")},
    {PLAN_SMOKE, NULL, NAN, NULL, RING("oneway")},
    {PLAN_SMOKE, NULL, NAN, NULL, RING("laps")},
    {PLAN_FULL, NULL, NAN, NULL, RING("lanes") "--size 64 --size 1024"},
    {PLAN_FULL, NULL, NAN, NULL, RING("rings") "--size 64 --size 1024"},
    {PLAN_FULL, NULL, NAN, NULL, RING("latency") "--size 64 --size 1024"},

    {PLAN_SMOKE, "ship: 256 B, unkeyed, one worker, TLS, linger 0", NAN, NULL, WHOLE "--sink-seconds 1"},
    {PLAN_SMOKE, NULL, NAN, NULL, LOAD "--linger-ms 0 --seconds 0 --profile-seconds $profile"},
    {PLAN_SHORT, "ship: the same without TLS", NAN, NULL, LOAD "--linger-ms 0 --transport plain"},
    {PLAN_SHORT, "ship: the same by epoll", NAN, NULL, LOAD "--linger-ms 0 --net epoll"},
    {PLAN_SHORT, "ship: the same by io_uring", NAN, NULL, LOAD "--linger-ms 0 --net uring"},
    {PLAN_SHORT, "ship: by size", 64, "B", LOAD "--size 64"},
    {PLAN_SHORT, "ship: by size", 256, "B", LOAD "--size 256"},
    {PLAN_SHORT, "ship: by size", 1024, "B", LOAD "--size 1024"},
    {PLAN_SHORT, "ship: by size", 4096, "B", LOAD "--size 4K"},
    {PLAN_SHORT, "ship: by size", 16384, "B", LOAD "--size 16K"},
    {PLAN_SHORT, "ship: by size", 65536, "B", LOAD "--size 64K"},
    {PLAN_SHORT, "ship: by size", 1024000, "B", LOAD "--size 1000K"},
    {PLAN_FULL, "ship: by size, without TLS", 64, "B", LOAD "--size 64 --transport plain"},
    {PLAN_FULL, "ship: by size, without TLS", 1024, "B", LOAD "--size 1024 --transport plain"},
    {PLAN_FULL, "ship: by size, without TLS", 65536, "B", LOAD "--size 64K --transport plain"},
    {PLAN_SHORT, "ship: by number of keys", 0, "keys", LOAD "--keys 0"},
    {PLAN_SHORT, "ship: by number of keys", 10, "keys", LOAD "--keys 10"},
    {PLAN_FULL, "ship: by number of keys", 1000, "keys", LOAD "--keys 1000"},
    {PLAN_SHORT, "ship: by number of keys", 100000, "keys", LOAD "--keys 100000"},
    {PLAN_SHORT, "ship: by user properties of an event", 0, "properties", LOAD "--properties 0"},
    {PLAN_SHORT, "ship: by user properties of an event", 4, "properties", LOAD "--properties 4"},
    {PLAN_FULL, "ship: by user properties of an event", 16, "properties", LOAD "--properties 16"},
    {PLAN_SHORT, "ship: by workers", 1, "workers", LOAD "--workers 1 --producers 4"},
    {PLAN_SHORT, "ship: by workers", 2, "workers", LOAD "--workers 2 --producers 4"},
    {PLAN_FULL, "ship: by workers", 3, "workers", LOAD "--workers 3 --producers 4"},
    {PLAN_SHORT, "ship: by workers", 4, "workers", LOAD "--workers 4 --producers 4"},
    {PLAN_SHORT, RINGS, 1, "rings", LOAD "--load-rate 200000 --rings 1"},
    {PLAN_FULL, RINGS, 10, "rings", LOAD "--load-rate 200000 --rings 10 --ring-bytes 64K"},
    {PLAN_SHORT, RINGS, 100, "rings", LOAD "--load-rate 200000 --rings 100 --ring-bytes 64K"},
    {PLAN_SHORT, RINGS, 1000, "rings", LOAD "--load-rate 200000 --rings 1000 --ring-bytes 64K"},
    {PLAN_SHORT, "ship: by partitions, 10,000 keys", 1, "partitions", LOAD "--keys 10000 --partitions 1"},
    {PLAN_FULL, "ship: by partitions, 10,000 keys", 4, "partitions", LOAD "--keys 10000 --partitions 4"},
    {PLAN_SHORT, "ship: by partitions, 10,000 keys", 32, "partitions", LOAD "--keys 10000 --partitions 32"},
    {PLAN_FULL, "ship: by partitions, 10,000 keys", 256, "partitions", LOAD "--keys 10000 --partitions 256"},
    {PLAN_SHORT, "ship: by partitions, 10,000 keys", 1024, "partitions", LOAD "--keys 10000 --partitions 1024 --connections 11"},
    {PLAN_SHORT, "ship: by round trip", 0, "ms", LOAD "--delay-ms 0"},
    {PLAN_SHORT, "ship: by round trip", 1, "ms", LOAD "--delay-ms 1"},
    {PLAN_SHORT, "ship: by round trip", 10, "ms", LOAD "--delay-ms 10"},
    {PLAN_SHORT, "ship: by round trip", 50, "ms", LOAD "--delay-ms 50"},
    {PLAN_SHORT, "ship: commit to accept by rate, linger 0", 1000, "events/s", LATENCY "--rate 1000"},
    {PLAN_SHORT, "ship: commit to accept by rate, linger 0", 10000, "events/s", LATENCY "--rate 10000"},
    {PLAN_SHORT, "ship: commit to accept by rate, linger 0", 100000, "events/s", LATENCY "--rate 100000"},
    {PLAN_SMOKE, "ship: beside other senders, 256 B, TLS", NAN, NULL, LOAD "--linger-ms 0 --peer proton --peer-seconds $latency"},
    {PLAN_SHORT, "ship: beside other senders, 256 B, TLS", NAN, NULL,
     LOAD "--seconds 0 --peer javascript --peer python --peer-seconds $latency"},
    {PLAN_SHORT, "ship: beside other senders, 1 KiB, without TLS", NAN, NULL,
     LOAD "--size 1024 --transport plain --linger-ms 0 --peer proton --peer javascript --peer python --peer-seconds $latency"},
};
const uint32_t plan_step_count = sizeof(plan_steps) / sizeof(plan_steps[0]);

#define WRITE "ring: writing an event"
#define BESIDE "ship: beside other senders, 256 B, TLS"
#define CPU "shipper CPU per million events"
const struct plan_ratio plan_ratios[] = {
    {"ehring_send over ck_ring, 256 B", {WRITE, WRITE}, {"ehring_send, ring in L2", "ck_ring, payload copied"}, {256, 256}, 1},
    {"ehring_send over ck_ring, 1 KiB", {WRITE, WRITE}, {"ehring_send, ring in L2", "ck_ring, payload copied"}, {1024, 1024}, 1},
    {"CPU per event over proton's", {BESIDE, BESIDE}, {CPU, "proton, a message each: CPU per million events"}, {NAN, NAN}, 1.0 / 5},
    {"CPU per event over the JavaScript SDK's",
     {BESIDE, BESIDE},
     {CPU, "JavaScript SDK, full batches: CPU per million events"},
     {NAN, NAN},
     1.0 / 50},
    {"CPU per event over the Python SDK's",
     {BESIDE, BESIDE},
     {CPU, "Python SDK, full batches: CPU per million events"},
     {NAN, NAN},
     1.0 / 50},
    {"CPU per event of 1,000 rings over 1", {RINGS, RINGS}, {CPU, CPU}, {1000, 1}, 1.5},
};
const uint32_t plan_ratio_count = sizeof(plan_ratios) / sizeof(plan_ratios[0]);

static const char *value_of(const char *word, enum plan_profile profile);

uint32_t plan_rounds(enum plan_profile profile)
{
    return rounds[profile];
}

int plan_command(const struct plan_step *step, enum plan_profile profile, struct plan_command *command)
{
    char words[sizeof(command->text)], *rest = NULL;
    size_t len = 0;

    command->argc = 0;
    snprintf(words, sizeof(words), "%s", step->arguments);
    for (char *word = strtok_r(words, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
        const char *value = value_of(word, profile);

        if (command->argc == PLAN_ARGS_MAX || len + strlen(value) + 1 > sizeof(command->text))
            return -E2BIG;
        command->argv[command->argc++] = command->text + len;
        len += (size_t)snprintf(command->text + len, sizeof(command->text) - len, "%s", value) + 1;
    }
    command->argv[command->argc] = NULL;
    return 0;
}

static const char *value_of(const char *word, enum plan_profile profile)
{
    for (uint32_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        if (strcmp(word, numbers[i].name) == 0)
            return numbers[i].value[profile];
    return word;
}
