/* Producers, shipper and hub are killed at random instants while events flow, some of them poison, rings are small, the hub plays faults
 * and gets more partitions. The judge is the producers' own memory against the hub's store and the dead letters; after each kill the
 * ledger must close, and at the end it must be true. usage: crash_ship [KILLS [SEED]] */
#include "tests/ship_rig.h"

#include <stdarg.h>

#include "client/ehring.h"
#include "shipper/worker.h"
#include "tests/crash_judge.h"

#define STREAM "crash"
#define PARTITIONS_FIRST 2u
#define PARTITIONS_LAST 24u
#define WORKERS_LAST 4u
#define CALM_EVERY 7u
#define CALM_BYTES 30000     /* that the store must grow by */
#define CALM_WAIT_MS 60000   /* until it is a failure */
#define DRAIN_WAIT_MS 120000 /* likewise */
#define PACE_MS_MIN 60       /* between two kills, at the most */
#define PACE_MS_MAX 250
#define STORE_BYTES_MAX (24 << 20) /* a larger one is judged and set aside while the hub is dead */

enum victim { PRODUCER, SHIPPER, HUB, VICTIMS };
static const char *const victim_name[VICTIMS] = {"producer", "shipper", "hub"};

struct soak {
    struct ship_rig rig;
    struct judge judge;
    uint32_t random_state;
    pid_t producer[JUDGE_SLOTS]; /* 0: dead, as the rig's */
    uint32_t life[JUDGE_SLOTS];
    uint32_t partition_count;
    int64_t pace_ms;
    uint32_t killed[VICTIMS];
    uint32_t faults_played;
    uint32_t audits_again; /* nobody could tell at once */
    uint32_t failures;
};

static uint32_t random_next(struct soak *soak, uint32_t below);
static void fail(struct soak *soak, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void kill_one(struct soak *soak);
static void victim_end(struct soak *soak, enum victim victim, pid_t *pid);
static void revive(struct soak *soak, bool all);
static void producer_start(struct soak *soak, uint32_t slot);
static void produce(const struct soak *soak, uint32_t slot);
static void shipper_start(struct soak *soak);
static void hub_start(struct soak *soak);
static void hub_fault(struct soak *soak);
static void calm(struct soak *soak);
static void audit(struct soak *soak, const char *when);
static void finish(struct soak *soak);
static void ledger_check(struct soak *soak);

int main(int argc, char **argv)
{
    static struct soak soak;
    uint32_t kills = argc > 1 ? (uint32_t)atoi(argv[1]) : 100;
    uint32_t seed = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : (uint32_t)rig_now_ms();
    int64_t start_ms = rig_now_ms();
    soak.random_state = seed;
    soak.partition_count = PARTITIONS_FIRST;
    printf("crash_ship: %u kills, seed %u\n", kills, seed);
    fflush(stdout);
    judge_open(&soak.judge, kills + kills / CALM_EVERY + 2);
    rig_init(&soak.rig);
    calm(&soak);
    soak.pace_ms = rig_now_ms() - start_ms; /* of this machine and build: kills meet a start as well as work */
    soak.pace_ms = soak.pace_ms < PACE_MS_MIN ? PACE_MS_MIN : soak.pace_ms > PACE_MS_MAX ? PACE_MS_MAX : soak.pace_ms;
    for (uint32_t i = 1; i <= kills && soak.failures == 0; i++) {
        rig_pause_ms(soak.pace_ms * random_next(&soak, random_next(&soak, 4) ? 1000 : 100) / 1000);
        revive(&soak, false);
        hub_fault(&soak);
        kill_one(&soak);
        if (i % CALM_EVERY == 0)
            calm(&soak);
    }
    finish(&soak);
    printf("crash_ship: killed %u producers, %u shippers, %u hubs; %u faults, %u partitions at the end, %lld s\n", soak.killed[PRODUCER],
           soak.killed[SHIPPER], soak.killed[HUB], soak.faults_played, soak.partition_count, (long long)(rig_now_ms() - start_ms) / 1000);
    if (soak.failures > 0)
        printf("crash_ship: %u failures, seed %u\n", soak.failures, seed);
    judge_close(&soak.judge);
    rig_close(&soak.rig);
    return soak.failures > 0;
}

static uint32_t random_next(struct soak *soak, uint32_t below)
{
    soak->random_state = soak->random_state * 1664525u + 1013904223u;
    return (soak->random_state >> 8) % below;
}

static void fail(struct soak *soak, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    fprintf(stderr, "crash_ship: ");
    vfprintf(stderr, format, list);
    fprintf(stderr, "\n");
    va_end(list);
    soak->failures++;
}

/* Somebody who lives. */
static void kill_one(struct soak *soak)
{
    uint32_t chance = random_next(soak, 20), slot = random_next(soak, JUDGE_SLOTS);
    if (chance < 7 && soak->rig.shipper)
        victim_end(soak, SHIPPER, &soak->rig.shipper);
    else if (chance < 12 && soak->rig.hub)
        victim_end(soak, HUB, &soak->rig.hub);
    else {
        if (!soak->producer[slot])
            producer_start(soak, slot);
        victim_end(soak, PRODUCER, &soak->producer[slot]);
    }
}

static void victim_end(struct soak *soak, enum victim victim, pid_t *pid)
{
    char when[40];
    int status = rig_end(pid, SIGKILL);
    soak->killed[victim]++;
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL) {
        fail(soak, "a %s had ended before it was killed: status %x", victim_name[victim], (unsigned)status);
        rig_show_log(&soak->rig, victim_name[victim]);
    }
    snprintf(when, sizeof when, "a killed %s", victim_name[victim]);
    audit(soak, when);
}

/* Most of the dead, so that deaths overlap, or all of them. */
static void revive(struct soak *soak, bool all)
{
    if (!soak->rig.hub && (random_next(soak, 4) || all))
        hub_start(soak);
    if (!soak->rig.shipper && (random_next(soak, 4) || all))
        shipper_start(soak);
    for (uint32_t slot = 0; slot < JUDGE_SLOTS; slot++)
        if (!soak->producer[slot] && (random_next(soak, 4) || all))
            producer_start(soak, slot);
}

static void producer_start(struct soak *soak, uint32_t slot)
{
    pid_t parent = getpid(), pid;
    if (soak->life[slot] + 1 < soak->judge.life_max)
        soak->life[slot]++;
    pid = fork();
    assert(pid >= 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() == parent)
            produce(soak, slot);
        _exit(1);
    }
    soak->producer[slot] = pid;
}

static int event_send(struct ehring *ring, uint32_t slot, uint32_t life, uint32_t i)
{
    char body[2200], key[8], partition[8];
    uint32_t line = judge_line(i), turn = i % 64, fill = turn == 63 ? 2000 : turn * 7 % 100;
    int len =
        snprintf(body, sizeof body, "crash slot %u life %u event %u%s ", slot, life, i, judge_is_poison(life, i) ? " " JUDGE_POISON : "");
    memset(body + len, '.', fill);
    struct ehring_event event = {.data = body, .len = (size_t)len + fill};
    snprintf(key, sizeof key, "k%u", line);
    snprintf(partition, sizeof partition, "%u", line - JUDGE_KEYS);
    if (line < JUDGE_KEYS)
        event.key = key;
    else if (line != JUDGE_UNORDERED)
        event.partition_id = partition;
    return ehring_send_event(ring, &event);
}

/* Until it is killed: rings of 64 to 256 KiB, at 8,000 to 64,000 events a second. */
static void produce(const struct soak *soak, uint32_t slot)
{
    uint32_t life = soak->life[slot], burst = 8u << (life + slot) % 4;
    struct judge_witness *witness = &soak->judge.witness[(size_t)slot * soak->judge.life_max + life];
    char rings[100];
    struct ehring *ring;
    struct ehring_stats stats;
    snprintf(rings, sizeof rings, "%s/r", soak->rig.dir);
    const struct ehring_options options = {.stream = STREAM,
                                           .rings_dir = rings,
                                           .capacity_bytes = UINT64_C(1) << (16 + life % 3),
                                           .full = EHRING_FULL_WAIT,
                                           .make_stream_dir = true};
    if (ehring_open(&options, &ring) != 0) {
        fprintf(stderr, "open: %s\n", ehring_open_error());
        _exit(1);
    }
    for (uint32_t i = 0; i < JUDGE_EVENTS_MAX; i++) {
        if (event_send(ring, slot, life, i) != 0)
            _exit(1);
        atomic_store(&witness->committed, i + 1);
        if (i % burst)
            continue;
        ehring_read_stats(ring, &stats);
        atomic_store(&witness->waits, (uint32_t)stats.wait_count);
        rig_pause_ms(1);
    }
    for (;;)
        pause();
}

static void shipper_start(struct soak *soak)
{
    static const char *const nets[] = {"auto", "epoll"};
    int workers = 1 + (int)random_next(soak, WORKERS_LAST);
    rig_ship(&soak->rig, STREAM, STREAM, workers, nets[random_next(soak, 2)],
             "retry_backoff_ms = 20\nretry_backoff_max_seconds = 1\nbatch_count_max = 200\npartition_refresh_seconds = 1\n");
}

/* At times with one partition more. It rejects what holds poison, whatever else it is told to do. */
static void hub_start(struct soak *soak)
{
    static const char *const options[] = {
        "--fault", "reject body=\"" JUDGE_POISON "\" condition=" JUDGE_POISON_CONDITION " text=\"This event is poison.\"", NULL};
    char store[160], spec[40];
    struct stat info;
    rig_path(&soak->rig, "store", store);
    if (stat(store, &info) == 0 && info.st_size > STORE_BYTES_MAX) {
        judge_store(&soak->judge, store);
        unlink(store);
    }
    if (random_next(soak, 6) == 0 && soak->partition_count < PARTITIONS_LAST)
        soak->partition_count++;
    snprintf(spec, sizeof spec, STREAM ":%u", soak->partition_count);
    rig_hub_start(&soak->rig, spec, options);
}

/* Now and then, if it lives. */
static void hub_fault(struct soak *soak)
{
    static const char *const faults[] = {
        "drop-connections",
        "reject next=3",
        "server-busy next=2 wait=1s",
        "drop-after next=2",
        "drop-after every=5 for=100ms",
        "release next=2",
        "modify next=2",
        "detach",
        "detach-after next=2",
        "close",
        "end",
        "expire-tokens",
        "cut-received bytes=5000",
        "cut-sent bytes=300",
        "late-dispositions delay=20ms",
        "clear late-dispositions",
        "stop-credit for=100ms",
        "stop-reading for=100ms",
        "refuse-connections for=100ms",
        "refuse-attach next=1",
        "fail-cbs next=1",
        "fail-management next=1",
    };
    const char *fault = faults[random_next(soak, sizeof faults / sizeof faults[0])];
    if (random_next(soak, 3) > 0 || !soak->rig.hub)
        return;
    soak->faults_played++;
    if (!rig_hub_fault(&soak->rig, fault))
        fail(soak, "the hub does not play \"%s\"", fault);
}

/* All live, until events have arrived; nobody has ended by itself. */
static void calm(struct soak *soak)
{
    char store[160];
    struct stat before = {0}, info = {0};
    revive(soak, true);
    for (uint32_t slot = 0; slot < JUDGE_SLOTS; slot++)
        if (atomic_load(&judge_life(&soak->judge, slot, soak->life[slot])->witness->committed) == JUDGE_EVENTS_MAX) {
            rig_end(&soak->producer[slot], SIGKILL);
            producer_start(soak, slot);
        }
    rig_path(&soak->rig, "store", store);
    stat(store, &before);
    for (int64_t end_ms = rig_now_ms() + CALM_WAIT_MS; rig_now_ms() < end_ms; rig_pause_ms(5))
        if (stat(store, &info) == 0 && info.st_size >= before.st_size + CALM_BYTES)
            return;
    fail(soak, "nothing flows: the store has %lld bytes, and had %lld %d s before", (long long)info.st_size, (long long)before.st_size,
         CALM_WAIT_MS / 1000);
    rig_show_log(&soak->rig, "shipper");
    rig_show_log(&soak->rig, "hub");
}

/* The ledger closes; a ring too busy for a cut is looked at again, a few times. */
static void audit(struct soak *soak, const char *when)
{
    enum { TRIES = 20, NOBODY_CAN_TELL = 3 };
    char program[600], rings[160], json[160];
    int status = 0;
    snprintf(program, sizeof program, "%s/ehring-stat", soak->rig.build);
    rig_path(&soak->rig, "r", rings);
    rig_path(&soak->rig, "audit.json", json);
    for (int i = 0; i < TRIES; i++, rig_pause_ms(20)) {
        int out = open(json, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        assert(out >= 0);
        pid_t pid = rig_spawn(&soak->rig, "audit", (char *[]){program, "--rings", rings, "--audit", "-j", NULL}, out);
        close(out);
        assert(waitpid(pid, &status, 0) == pid);
        if (!WIFEXITED(status) || WEXITSTATUS(status) != NOBODY_CAN_TELL)
            break;
        soak->audits_again++;
    }
    if (status == 0)
        return;
    fail(soak, "%s: the audit ends with %d", when, WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status));
    rig_show_log(&soak->rig, "audit");
}

static void finish(struct soak *soak)
{
    struct judge *judge = &soak->judge;
    char path[160], letters[200];
    for (uint32_t slot = 0; slot < JUDGE_SLOTS; slot++)
        if (soak->producer[slot])
            victim_end(soak, PRODUCER, &soak->producer[slot]);
    if (!soak->rig.hub)
        hub_start(soak);
    if (!soak->rig.shipper)
        shipper_start(soak);
    if (!rig_wait_drained(&soak->rig, STREAM, DRAIN_WAIT_MS)) {
        fail(soak, "%d rings are not drained", rig_ring_count(&soak->rig, STREAM));
        rig_show_log(&soak->rig, "shipper");
    }
    if (rig_end(&soak->rig.shipper, SIGTERM) != 0) {
        fail(soak, "the shipper did not stop in order");
        rig_show_log(&soak->rig, "shipper");
    }
    if (rig_end(&soak->rig.hub, SIGTERM) != 0)
        fail(soak, "the hub did not stop in order");
    audit(soak, "all drained");
    rig_path(&soak->rig, "store", path);
    judge_store(judge, path);
    snprintf(letters, sizeof letters, "%.60s/dead/" STREAM, soak->rig.dir);
    judge_letters(judge, letters);
    judge_missing(judge);
    ledger_check(soak);
}

static uint64_t number_of(const cJSON *ledger, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(ledger, name);
    return cJSON_IsNumber(item) ? (uint64_t)item->valuedouble : UINT64_MAX;
}

/* It not only closes: its numbers are what the judge has seen. */
static void ledger_check(struct soak *soak)
{
    const struct judge *judge = &soak->judge;
    static char text[1 << 16];
    char path[160];
    rig_path(&soak->rig, "audit.json", path);
    FILE *from = fopen(path, "r");
    assert(from);
    text[fread(text, 1, sizeof text - 1, from)] = '\0';
    fclose(from);
    cJSON *root = cJSON_Parse(text);
    const cJSON *ledger = cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(root, "streams"), 0);
    uint64_t committed = number_of(ledger, "committed_events"), accepted = number_of(ledger, "accepted_events");
    uint64_t lettered = number_of(ledger, "dead_lettered_events"), maybe_duplicate = number_of(ledger, "maybe_duplicate_events");
    uint64_t other = number_of(ledger, "pending_events") + number_of(ledger, "dropped_events");
    uint64_t letters_again_max = (uint64_t)soak->killed[SHIPPER] * WORKERS_LAST * WORKER_LETTERS_MAX;
    cJSON_Delete(root);
    printf("crash_ship: producers saw %llu committed, the ledger %llu; stored %llu and %llu again, maybe duplicate %llu; dead letters %llu "
           "and "
           "%llu again, %llu cut; waits for room %llu; looks at the ledger again %u\n",
           (unsigned long long)judge->committed, (unsigned long long)committed, (unsigned long long)judge->stored,
           (unsigned long long)judge->stored_again, (unsigned long long)maybe_duplicate, (unsigned long long)judge->lettered,
           (unsigned long long)judge->lettered_again, (unsigned long long)judge->letters_cut, (unsigned long long)judge->waits,
           soak->audits_again);
    if (judge->missing || judge->faults)
        fail(soak, "%llu events are lost, %u are wrong", (unsigned long long)judge->missing, judge->faults);
    if (committed < judge->committed || committed - judge->committed > soak->killed[PRODUCER])
        fail(soak, "committed: not what the producers saw, and one more for each that was killed at the most");
    if (accepted != judge->stored || lettered != judge->lettered || other != 0)
        fail(soak, "the ledger has accepted %llu, dead-lettered %llu, pending and dropped %llu", (unsigned long long)accepted,
             (unsigned long long)lettered, (unsigned long long)other);
    if (judge->stored_again > maybe_duplicate)
        fail(soak, "more repeats than the ledger admits");
    if (judge->lettered_again > letters_again_max)
        fail(soak, "more dead letters again than kills explain: %llu", (unsigned long long)letters_again_max);
    if (judge->committed == 0 || judge->lettered == 0 || judge->waits == 0)
        fail(soak, "too little happened: no event, no dead letter or no full ring");
}
