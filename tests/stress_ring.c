/* Races of the ring: wrap, full, slow lanes, one to four of them, sleeps and wakes. Every event arrives once, in order, byte for byte; the
 * gate gets to the end; no wake-up is lost. stress_ring [seed [rounds]]
 *
 * Two processes; under the thread sanitizer one, with one mapping for both sides: it sees addresses, not files. */
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "ring_rig.h"
#include "ringbuf/ring_internal.h"
#include "ringbuf/ring_route.h"

#define LANES_MAX 4
#define EVENTS_MAX (RIG_TSAN ? 20000u : 60000u)
#define PAYLOAD_MAX 1500u
#define SLEEP_EVENTS (RIG_TSAN ? 3000u : 50000u)
#define PATIENCE_MS 60000

struct round {
    uint64_t seed;
    uint64_t capacity;
    uint32_t lane_count;
    uint32_t slow_lane; /* LANES_MAX: none */
    uint32_t event_count;
    struct rig rig;
    _Atomic uint64_t *seen; /* per event: how often */
};

struct worker {
    struct round *round;
    struct ring_lane lane;
    struct ring_walk walk;
    uint64_t random;
    pthread_t thread;
};

static const char *const keys[] = {"a", "customer-17", "a key of thirty characters, say", "zz"};

static void fill(uint8_t *payload, uint32_t number, uint32_t len)
{
    memcpy(payload, &number, sizeof(number));
    for (uint32_t i = sizeof(number); i < len; i++)
        payload[i] = (uint8_t)(number * 31 + i);
}

static void write_one(struct ring_writer *writer, uint64_t *random, uint32_t number)
{
    uint8_t payload[PAYLOAD_MAX];
    uint32_t len = 4 + (uint32_t)(rig_random(random) % (PAYLOAD_MAX - 4));
    const char *key = rig_random(random) % 2 ? keys[rig_random(random) % 4] : NULL;
    struct ring_shape shape = {.payload_len = len, .key = key, .key_len = key ? (uint32_t)strlen(key) : 0};
    void *to;
    int err;

    fill(payload, number, len);
    if (rig_random(random) % 16 == 0 && ring_writer_reserve(writer, &shape, &to) == 0)
        ring_writer_discard(writer);
    while ((err = ring_writer_put(writer, &shape, payload)) == -EAGAIN)
        RIG_NEED(ring_writer_wait_room(writer, &shape, rig_soon_ns(PATIENCE_MS)) == 0);
    RIG_NEED(err == 0);
}

static void write_all(struct round *round)
{
    uint64_t random = round->seed, left;

    for (uint32_t number = 0; number < round->event_count; number++) {
        write_one(round->rig.writer, &random, number);
        if (rig_random(&random) % 4096 == 0)
            RIG_NEED(ring_writer_flush(round->rig.writer, rig_soon_ns(PATIENCE_MS), &left) == 0);
    }
    RIG_NEED(ring_writer_flush(round->rig.writer, rig_soon_ns(PATIENCE_MS), &left) == 0);
}

static void *write_thread(void *arg)
{
    write_all(arg);
    return NULL;
}

static void take(struct worker *worker, const struct ring_record *record, uint32_t domain)
{
    struct ring *ring = worker->lane.ring;
    uint8_t payload[PAYLOAD_MAX], want[PAYLOAD_MAX], meta[16];
    struct ring_parts parts;
    uint32_t number;

    RIG_NEED(ring_record_parts(ring, record->pos, record->len, &parts, meta, sizeof(meta)) == 0);
    RIG_NEED(parts.payload_len >= 4 && parts.payload_len < PAYLOAD_MAX);
    RIG_NEED(ring_copy(ring, parts.payload_pos, payload, parts.payload_len) == 0);
    memcpy(&number, payload, sizeof(number));
    RIG_NEED(number < worker->round->event_count && (uint16_t)number == record->seq16);
    fill(want, number, parts.payload_len);
    RIG_NEED(memcmp(payload, want, parts.payload_len) == 0);
    order_none_add64(&worker->round->seen[number], 1);
    RIG_NEED(record->pos >= ring_done_pos(ring, domain));
    ring_lane_settle(&worker->lane, domain, record->pos + ring_align16(record->len), &(struct ring_settled){.accepted_events = 1});
}

static uint64_t pass(struct worker *worker)
{
    struct round *round = worker->round;
    uint64_t write_pos, taken = 0;
    int count;

    RIG_NEED(ring_lane_look(&worker->lane, &write_pos) == 0);
    while ((count = ring_walk(worker->lane.ring, &worker->lane.walk_pos, write_pos, &worker->walk)) > 0)
        for (int i = 0; i < count; i++) {
            uint32_t domain = ring_domain_of(&worker->walk.record[i], 8);
            if (domain % round->lane_count == worker->lane.index)
                take(worker, &worker->walk.record[i], domain);
            taken++;
        }
    RIG_NEED(count == 0);
    return taken;
}

/* The last event is every lane's: each walks all heads. */
static void *lane_thread(void *arg)
{
    struct worker *worker = arg;
    uint64_t walked = 0;

    while (walked < worker->round->event_count) {
        uint64_t taken = pass(worker);
        walked += taken;
        if (worker->lane.index == worker->round->slow_lane && rig_random(&worker->random) % 8 != 0)
            poll(NULL, 0, 1);
        ring_lane_ack(&worker->lane, worker->lane.walk_pos, worker->lane.walk_pos);
        if (taken == 0)
            sched_yield();
    }
    ring_lane_ack(&worker->lane, worker->lane.walk_pos, worker->lane.walk_pos);
    return NULL;
}

/* Both sides through the writer's own mapping. */
static struct ring *ring_over_writer(const struct ring_writer *writer)
{
    struct ring *ring = calloc(1, sizeof(*ring));
    struct ring_shipper *shipper = (struct ring_shipper *)(uintptr_t)writer->shipper;

    RIG_NEED(ring && mprotect(shipper, (size_t)(writer->data - (uint8_t *)shipper), PROT_READ | PROT_WRITE) == 0);
    ring->producer = writer->producer;
    ring->shipper = shipper;
    ring->data = writer->data;
    ring->mask = writer->mask;
    ring->capacity = writer->capacity;
    ring->access = RING_ACCESS_SHIPPER;
    return ring;
}

/* Child: the producer; its ring's name comes back through a pipe, and it goes on when the shipper has begun. */
static pid_t fork_producer(struct round *round, void (*body)(struct round *))
{
    int name[2], go[2];
    char byte = 0;
    pid_t pid;

    RIG_NEED(pipe(name) == 0 && pipe(go) == 0);
    pid = fork();
    RIG_NEED(pid >= 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        rig_write(&round->rig, round->capacity);
        RIG_NEED(write(name[1], round->rig.file, sizeof(round->rig.file)) == sizeof(round->rig.file));
        RIG_NEED(read(go[0], &byte, 1) == 1);
        body(round);
        ring_writer_close(round->rig.writer);
        _exit(0);
    }
    RIG_NEED(read(name[0], round->rig.file, sizeof(round->rig.file)) == sizeof(round->rig.file));
    rig_attach(&round->rig, RING_ACCESS_SHIPPER);
    RIG_NEED(ring_lanes_begin(round->rig.ring, round->lane_count) == 0);
    RIG_NEED(write(go[1], &byte, 1) == 1);
    for (int i = 0; i < 2; i++) {
        close(name[i]);
        close(go[i]);
    }
    return pid;
}

static void wait_producer(pid_t pid)
{
    int status;

    RIG_NEED(waitpid(pid, &status, 0) == pid);
    RIG_NEED(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void check_ledger(struct round *round)
{
    const struct ring_shipper *shipper = ring_shipper(round->rig.ring);
    uint64_t accepted = 0;

    for (uint32_t i = 0; i < round->event_count; i++)
        RIG_NEED(order_none_load64(&round->seen[i]) == 1);
    for (uint32_t i = 0; i < RING_LANES_MAX; i++)
        accepted += order_none_load64(&shipper->lane[i].counts.accepted_events);
    RIG_NEED(accepted == round->event_count);
    RIG_NEED(ring_committed_events(round->rig.ring) == round->event_count);
    RIG_NEED(ring_count_pending(round->rig.ring) == 0);
}

static void run_lanes(struct round *round)
{
    static struct worker worker[LANES_MAX];
    pthread_t producer;
    pid_t pid = -1;

    rig_dirs(&round->rig);
    round->seen = calloc(round->event_count, sizeof(*round->seen));
    RIG_NEED(round->seen != NULL);
    if (RIG_TSAN) {
        rig_write(&round->rig, round->capacity);
        round->rig.ring = ring_over_writer(round->rig.writer);
        RIG_NEED(ring_lanes_begin(round->rig.ring, round->lane_count) == 0);
    } else {
        pid = fork_producer(round, write_all);
    }
    for (uint32_t i = 0; i < round->lane_count; i++) {
        worker[i] = (struct worker){.round = round, .random = round->seed + i + 1};
        ring_lane_open(&worker[i].lane, round->rig.ring, i);
        RIG_NEED(pthread_create(&worker[i].thread, NULL, lane_thread, &worker[i]) == 0);
    }
    if (RIG_TSAN)
        RIG_NEED(pthread_create(&producer, NULL, write_thread, round) == 0);
    for (uint32_t i = 0; i < round->lane_count; i++)
        pthread_join(worker[i].thread, NULL);
    if (RIG_TSAN)
        pthread_join(producer, NULL);
    else
        wait_producer(pid);
    check_ledger(round);
    free(round->seen);
    rig_close(&round->rig);
}

/* ---- sleeps ---- */

/* Some nanoseconds, so that both sides meet in the instant between a flag and a look. */
static void dawdle(uint64_t *random)
{
    for (uint64_t spin = rig_random(random) % 1000; spin > 0; spin--)
        __asm__ volatile("" ::: "memory");
}

/* Waits for the shipper by looking, never by a flush: a flush would ring the bell that a lost wake-up wants. */
static void wait_by_looking(const struct ring_writer *writer)
{
    int64_t deadline_ns = 0;

    for (uint32_t looks = 1; order_load_gate(&writer->shipper->gate.gate_pos) != writer->pos; looks++)
        if (looks % 1024 == 0) {
            if (deadline_ns == 0)
                deadline_ns = rig_soon_ns(PATIENCE_MS);
            RIG_NEED(rig_now_ns() < deadline_ns);
            sched_yield();
        }
}

static void write_drowsily(struct round *round)
{
    uint64_t random = round->seed;

    for (uint32_t number = 0; number < round->event_count; number++) {
        RIG_NEED(ring_writer_put(round->rig.writer, &(struct ring_shape){.payload_len = 4}, &number) == 0);
        if (rig_random(&random) % 8 != 0) /* the shipper has all: it is about to sleep, asleep, or waking */
            wait_by_looking(round->rig.writer);
        dawdle(&random);
    }
}

static void *drowsy_thread(void *arg)
{
    write_drowsily(arg);
    return NULL;
}

/* Sleeps as soon as there is nothing, as often as possible. Returns how often it slept. A wake-up is lost if an event lies there when the
 * wait has run out and no byte comes any more. */
static uint64_t ship_drowsily(struct round *round, int bell)
{
    struct ring *ring = round->rig.ring;
    struct pollfd wait = {.fd = bell, .events = POLLIN};
    uint64_t number = 0, taken = 0, write_pos, sleeps = 0, random = ~round->seed;
    static struct ring_walk walk;
    struct ring_lane lane;
    int count;

    ring_lane_open(&lane, ring, 0);
    while (taken < round->event_count) {
        RIG_NEED(ring_lane_look(&lane, &write_pos) == 0);
        while ((count = ring_walk(ring, &lane.walk_pos, write_pos, &walk)) > 0)
            taken += (uint64_t)count;
        ring_lane_ack(&lane, write_pos, write_pos);
        dawdle(&random);
        ring_bell_set(ring, ++number);
        RIG_NEED(ring_bell_barrier() == 0);
        RIG_NEED(ring_lane_look(&lane, &write_pos) == 0);
        if (write_pos == lane.walk_pos && taken < round->event_count) {
            sleeps++;
            if (poll(&wait, 1, 2000) == 0) {
                RIG_NEED(ring_lane_look(&lane, &write_pos) == 0);
                RIG_NEED(write_pos == lane.walk_pos || poll(&wait, 1, PATIENCE_MS / 2) == 1); /* else: a wake-up was lost */
            }
        }
        ring_bell_set(ring, 0);
        ring_bell_drain(bell);
    }
    return sleeps;
}

static void run_sleeps(struct round *round)
{
    char path[96];
    pthread_t producer;
    pid_t pid = -1;
    int bell;

    rig_dirs(&round->rig);
    snprintf(path, sizeof(path), "%s.bell", round->rig.dir);
    bell = ring_bell_open(path);
    RIG_NEED(bell >= 0);
    if (RIG_TSAN) {
        rig_write(&round->rig, round->capacity);
        round->rig.ring = ring_over_writer(round->rig.writer);
        RIG_NEED(ring_lanes_begin(round->rig.ring, 1) == 0);
        RIG_NEED(pthread_create(&producer, NULL, drowsy_thread, round) == 0);
    } else {
        pid = fork_producer(round, write_drowsily);
    }
    uint64_t sleeps = ship_drowsily(round, bell);
    if (RIG_TSAN)
        pthread_join(producer, NULL);
    else
        wait_producer(pid);
    printf("%u events, %llu sleeps, %llu rings of the bell, no wake-up lost\n", round->event_count, (unsigned long long)sleeps,
           (unsigned long long)order_none_load64(&ring_producer(round->rig.ring)->counters.bell_count));
    close(bell);
    rig_close(&round->rig);
}

int main(int argc, char *argv[])
{
    uint64_t random = rig_seed(argc, argv);
    long rounds = argc > 2 ? strtol(argv[2], NULL, 0) : 8;
    static struct round round;

    for (long i = 0; i < rounds; i++) {
        round = (struct round){.seed = rig_random(&random), .event_count = EVENTS_MAX, .lane_count = 1 + (uint32_t)i % LANES_MAX};
        round.capacity = RING_CAPACITY_MIN << rig_random(&random) % 3;
        round.slow_lane = i % 2 ? (uint32_t)rig_random(&random) % round.lane_count : LANES_MAX;
        if (round.slow_lane < LANES_MAX)
            round.event_count /= 4;
        run_lanes(&round);
        printf("%u events over %u lanes, ring of %llu bytes, %s: each once\n", round.event_count, round.lane_count,
               (unsigned long long)round.capacity, round.slow_lane < LANES_MAX ? "one lane slow" : "all lanes quick");
        fflush(stdout);
    }
    round = (struct round){.seed = rig_random(&random), .event_count = SLEEP_EVENTS, .lane_count = 1, .capacity = RING_CAPACITY_MIN};
    run_sleeps(&round);
    return 0;
}
