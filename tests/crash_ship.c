/* Producers and shipper are killed at random instants while events flow into a real hub: what a call had committed must have arrived, in
 * order per producer and key. The witness is the producer's own memory of what returned from commit, and what the hub stored: nobody's
 * counters. Beside it the ledger must close after each kill of a shipper, under load, and at the end. usage: crash_ship [KILLS [SEED]] */
#include "tests/ship_rig.h"

#include <stdatomic.h>
#include <sys/mman.h>

#include "client/ehring.h"
#include "tools/hub/storefile.h"

#define SLOTS 3
#define LIVES_MAX 600
#define KEYS 5
#define EVENTS_MAX 400000u /* of one life */

struct witness { /* shared with the producers */
    _Atomic uint32_t committed[SLOTS][LIVES_MAX];
};

struct life {                /* what the store has of one producer's life */
    uint8_t *seen;           /* times each event arrived, up to 255 */
    uint32_t last[KEYS + 1]; /* per key: the newest event at its first arrival */
};

static struct witness *witness;
static uint32_t random_state;

static uint32_t random_next(uint32_t below)
{
    random_state = random_state * 1664525u + 1013904223u;
    return (random_state >> 8) % below;
}

static void produce(const struct ship_rig *rig, int slot, int life)
{
    char rings[100], body[200], key[8];
    struct ehring *ring;
    snprintf(rings, sizeof rings, "%s/r", rig->dir);
    const struct ehring_options options = {
        .stream = "crash", .rings_dir = rings, .capacity_bytes = 1 << 18, .full = EHRING_FULL_WAIT, .make_stream_dir = true};
    if (ehring_open(&options, &ring) != 0) {
        fprintf(stderr, "open: %s\n", ehring_open_error());
        _exit(1);
    }
    for (uint32_t i = 0; i < EVENTS_MAX; i++) {
        uint32_t k = i % (KEYS + 1); /* one in KEYS + 1 has no key */
        snprintf(key, sizeof key, "k%u", k);
        int len = snprintf(body, sizeof body, "crash slot %d life %d event %u %.*s;", slot, life, i, (int)(i * 7 % 100),
                           "....................................................................................................");
        if (ehring_send(ring, body, (size_t)len, k < KEYS ? key : NULL) != 0)
            _exit(1);
        atomic_store(&witness->committed[slot][life], i + 1);
        if (i % 64 == 63)
            rig_pause_ms(1);
    }
    _exit(0);
}

static pid_t producer_start(const struct ship_rig *rig, int slot, int life)
{
    pid_t parent = getpid(), pid = fork();
    assert(pid >= 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() == parent)
            produce(rig, slot, life);
        _exit(1);
    }
    return pid;
}

static void shipper_start(struct ship_rig *rig)
{
    static const int workers[] = {1, 2, 4, 3};
    static const char *const nets[] = {"auto", "epoll"};
    rig_ship(rig, "crash", "crash", workers[random_next(4)], nets[random_next(2)],
             "retry_backoff_ms = 20\nretry_backoff_max_seconds = 1\nbatch_count_max = 200\n");
}

/* Counts one stored event; complains about an order that is broken. */
static int store_take(struct life lives[SLOTS][LIVES_MAX], const struct hub_record *record)
{
    int slot, life;
    unsigned event;
    char body[64] = "";
    const uint8_t *at = memmem(record->event, record->event_len, "crash slot ", 11);
    size_t left = at ? record->event_len - (size_t)(at - record->event) : 0;
    if (at)
        memcpy(body, at, left < sizeof body - 1 ? left : sizeof body - 1);
    if (!at || sscanf(body, "crash slot %d life %d event %u", &slot, &life, &event) != 3 || slot >= SLOTS || life >= LIVES_MAX ||
        event >= EVENTS_MAX) {
        fprintf(stderr, "an event nobody sent is in the store\n");
        return 1;
    }
    struct life *l = &lives[slot][life];
    uint32_t k = event % (KEYS + 1);
    if (!l->seen)
        l->seen = calloc(EVENTS_MAX, 1);
    assert(l->seen);
    if (l->seen[event] < 255)
        l->seen[event]++;
    if (k == KEYS || l->seen[event] > 1)
        return 0;
    if (l->last[k] > event + 1) {
        fprintf(stderr, "order: slot %d life %d key k%u: event %u first came after event %u\n", slot, life, k, event, l->last[k] - 1);
        return 1;
    }
    l->last[k] = event + 1;
    return 0;
}

static int store_check(const struct ship_rig *rig)
{
    static struct life lives[SLOTS][LIVES_MAX];
    struct hub_storereader reader;
    static struct hub_storerecord record;
    char path[160];
    int faults = 0, rc;
    uint64_t stored = 0, committed = 0, missing = 0, repeated = 0;
    rig_path(rig, "store", path);
    assert(hub_storereader_open(&reader, path) == 0);
    while ((rc = hub_storereader_next(&reader, &record)) == 1) {
        stored++;
        if (faults < 10)
            faults += store_take(lives, &record.record);
    }
    assert(rc == 0);
    hub_storereader_close(&reader);
    for (int slot = 0; slot < SLOTS; slot++) {
        for (int life = 0; life < LIVES_MAX; life++) {
            uint32_t count = atomic_load(&witness->committed[slot][life]);
            committed += count;
            for (uint32_t i = 0; i < count; i++) {
                uint8_t seen = lives[slot][life].seen ? lives[slot][life].seen[i] : 0;
                if (seen == 0 && missing++ < 5)
                    fprintf(stderr, "lost: slot %d life %d event %u of %u committed\n", slot, life, i, count);
                repeated += seen > 1;
            }
            free(lives[slot][life].seen);
        }
    }
    printf("crash_ship: committed %llu, stored %llu, missing %llu, repeated %llu, broken orders %d\n", (unsigned long long)committed,
           (unsigned long long)stored, (unsigned long long)missing, (unsigned long long)repeated, faults);
    return missing > 0 || faults > 0 || committed == 0;
}

/* True if the ledger closes; a ring too busy for a cut is looked at again, a few times. */
static bool audit(const struct ship_rig *rig, const char *when)
{
    enum { TRIES = 20, NOBODY_CAN_TELL = 3 };
    char command[800];
    int status = 0;
    snprintf(command, sizeof command, "%.500s/ehring-stat --rings %.60s/r --audit >%.60s/audit.log 2>&1", rig->build, rig->dir, rig->dir);
    for (int i = 0; i < TRIES; i++, rig_pause_ms(20)) {
        status = system(command);
        if (!WIFEXITED(status) || WEXITSTATUS(status) != NOBODY_CAN_TELL)
            break;
    }
    if (status == 0)
        return true;
    fprintf(stderr, "%s: the audit ends with status %x\n", when, (unsigned)status);
    rig_show_log(rig, "audit");
    return false;
}

int main(int argc, char **argv)
{
    int kills = argc > 1 ? atoi(argv[1]) : 200, killed_shippers = 0, life[SLOTS] = {0}, status = 0;
    uint32_t seed = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : (uint32_t)rig_now_ms();
    pid_t producer[SLOTS];
    struct ship_rig rig;
    random_state = seed;
    printf("crash_ship: %d kills, seed %u\n", kills, seed);
    fflush(stdout);
    witness = mmap(NULL, sizeof *witness, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert(witness != MAP_FAILED);
    rig_open(&rig, "crash:4", NULL);
    shipper_start(&rig);
    for (int slot = 0; slot < SLOTS; slot++)
        producer[slot] = producer_start(&rig, slot, 0);
    for (int i = 0; i < kills; i++) {
        rig_pause_ms(5 + random_next(60));
        if (random_next(3) == 0) {
            rig_end(&rig.shipper, SIGKILL);
            killed_shippers++;
            if (!audit(&rig, "shipper killed")) {
                status = 1;
                break;
            }
            if (random_next(2))
                rig_pause_ms(random_next(50));
            shipper_start(&rig);
        } else {
            int slot = (int)random_next(SLOTS);
            rig_end(&producer[slot], SIGKILL);
            if (life[slot] + 1 < LIVES_MAX)
                life[slot]++;
            producer[slot] = producer_start(&rig, slot, life[slot]);
        }
    }
    for (int slot = 0; slot < SLOTS; slot++)
        rig_end(&producer[slot], SIGKILL);
    if (!audit(&rig, "all producers killed"))
        status = 1;
    if (rig.shipper == 0) /* it was audited dead, and did not close */
        shipper_start(&rig);
    if (!rig_wait_drained(&rig, "crash", 60000)) {
        fprintf(stderr, "%d rings are not drained\n", rig_ring_count(&rig, "crash"));
        rig_show_log(&rig, "shipper");
        status = 1;
    }
    if (rig_end(&rig.shipper, SIGTERM) != 0) {
        fprintf(stderr, "the shipper did not stop in order\n");
        rig_show_log(&rig, "shipper");
        status = 1;
    }
    if (!audit(&rig, "all drained"))
        status = 1;
    rig_end(&rig.hub, SIGTERM);
    status |= store_check(&rig);
    printf("crash_ship: %d of %d kills hit the shipper\n", killed_shippers, kills);
    rig_close(&rig);
    return status;
}
