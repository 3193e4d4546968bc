/* Kills in the ring: a producer at random instants, a shipper at every instruction of a settlement. What returned from commit is there,
 * positions and counts close. crash_ring [seed [producers]] */
#include <signal.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include "ring_rig.h"
#include "ringbuf/ring_internal.h"
#include "ringbuf/ring_ledger.h"

#define PAYLOAD_MAX 900u
#define ARRAY_MAX 7u
#define STEPS_MAX 1000000
#define KILLS_AIM 300 /* a sanitizer's settlement has thousands of instructions: then not after each */

struct witness {               /* shared with the child that is killed */
    _Atomic uint64_t returned; /* events whose commit, or whose array's publish, has returned */
    _Atomic uint64_t opened;   /* the producer's ring; or the shipper has begun to settle */
};

static uint32_t len_of(uint64_t number)
{
    return 8 + (uint32_t)(number * 2654435761u % (PAYLOAD_MAX - 8));
}

static void fill(uint8_t *payload, uint64_t number)
{
    memcpy(payload, &number, sizeof(number));
    memset(payload + sizeof(number), (int)(number % 251), len_of(number) - sizeof(number));
}

/* ---- the producer that is killed ---- */

static bool write_event(struct ring_writer *writer, uint64_t number, bool quiet)
{
    const char *key = number % 3 == 0 ? "a key" : NULL;
    struct ring_shape shape = {.payload_len = len_of(number), .key = key, .key_len = key ? 5 : 0};
    uint8_t payload[PAYLOAD_MAX];
    void *to;

    fill(payload, number);
    if (!quiet && number % 2 == 0)
        return ring_writer_put(writer, &shape, payload) == 0;
    if (ring_writer_reserve(writer, &shape, &to) != 0)
        return false;
    memcpy(to, payload, shape.payload_len);
    if (quiet)
        ring_writer_commit_quiet(writer, shape.payload_len);
    else
        ring_writer_commit(writer, shape.payload_len);
    return true;
}

static void produce(struct rig *rig, struct witness *witness, uint64_t random)
{
    uint64_t number = 0;

    rig_write(rig, RING_CAPACITY_MIN << random % 3);
    order_none_store64(&witness->opened, 1);
    for (;;) {
        uint64_t array = rig_random(&random) % 4 == 0 ? 1 + rig_random(&random) % ARRAY_MAX : 0;
        if (array == 0) {
            number += write_event(rig->writer, number, false);
        } else {
            while (array-- > 0 && write_event(rig->writer, number, true))
                number++;
            ring_writer_publish(rig->writer);
        }
        order_none_store64(&witness->returned, number);
    }
}

/* ---- what is left of it ---- */

/* Takes what is written so far, checks it, accepts it. Returns the number of the next event. */
static uint64_t take(struct rig *rig, uint64_t next)
{
    uint8_t payload[PAYLOAD_MAX], want[PAYLOAD_MAX], meta[16];
    int count;

    while ((count = rig_walk(rig)) > 0)
        for (int i = 0; i < count; i++, next++) {
            const struct ring_record *record = &rig->walk.record[i];
            struct ring_parts parts;
            RIG_NEED(ring_record_parts(rig->ring, record->pos, record->len, &parts, meta, sizeof(meta)) == 0);
            RIG_NEED(parts.payload_len == len_of(next) && record->seq16 == (uint16_t)next);
            RIG_NEED(ring_copy(rig->ring, parts.payload_pos, payload, parts.payload_len) == 0);
            fill(want, next);
            RIG_NEED(memcmp(payload, want, parts.payload_len) == 0);
            ring_lane_settle(&rig->lane, ring_class_of(record->pos), record->pos + ring_align16(record->len),
                             &(struct ring_settled){.accepted_events = 1});
        }
    RIG_NEED(count == 0);
    rig_ack(rig, rig->lane.walk_pos);
    return next;
}

static uint64_t accepted(const struct ring *ring)
{
    return order_none_load64(&ring_shipper(ring)->lane[0].counts.accepted_events);
}

/* Accepted or dropped, for whatever reason. */
static uint64_t settled(const struct ring *ring)
{
    uint64_t sum = accepted(ring);

    for (uint32_t i = 0; i < RING_DROPPED_REASONS; i++)
        sum += order_none_load64(&ring_shipper(ring)->lane[0].counts.dropped_events[i]);
    return sum;
}

/* What becomes of event `number`: accepted, or dropped for each reason in turn. */
static struct ring_settled outcome_of(uint64_t number)
{
    struct ring_settled outcome = {.accepted_bytes = 8};

    if (number % 2 == 0)
        outcome.accepted_events = 1;
    else
        outcome.dropped_events[number / 2 % RING_DROPPED_REASONS] = 1;
    return outcome;
}

/* Returns how many events the ring of a killed producer held. */
static uint64_t kill_producer(uint64_t random, struct witness *witness)
{
    struct rig rig;
    uint64_t next = 0, instant_us = rig_random(&random) % 4000;
    bool beside = rig_random(&random) % 2; /* a shipper drains meanwhile, else the ring fills up */
    pid_t pid;

    rig_dirs(&rig);
    memset(witness, 0, sizeof(*witness));
    pid = fork();
    RIG_NEED(pid >= 0);
    if (pid == 0)
        produce(&rig, witness, random);
    int64_t end_ns = rig_now_ns() + (int64_t)instant_us * 1000;
    while (rig_now_ns() < end_ns)
        if (!beside || order_none_load64(&witness->opened) == 0) {
            sched_yield();
        } else {
            if (!rig.ring) {
                rig_find(&rig);
                rig_ship(&rig);
            }
            next = take(&rig, next);
        }
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    rig_find(&rig);
    uint64_t returned = order_none_load64(&witness->returned);
    if (rig.file[0] == '\0') { /* killed before it had a name: nothing may be left */
        RIG_NEED(returned == 0 && rig_file_count(&rig) == 0);
    } else {
        RIG_NEED(ring_is_orphan(rig.dir_fd, rig.file) == 1);
        if (!rig.ring)
            rig_ship(&rig);
        next = take(&rig, next);
        RIG_NEED(next >= returned && next <= returned + ARRAY_MAX);
        RIG_NEED(ring_committed_events(rig.ring) == next);
        RIG_NEED(accepted(rig.ring) == next && ring_count_pending(rig.ring) == 0);
    }
    rig_close(&rig);
    return next;
}

/* ---- the shipper that is killed ---- */

static int64_t pending(const struct ring *ring)
{
    int64_t count = ring_count_pending(ring);

    RIG_NEED(count >= 0);
    return count;
}

/* Settles one event in a child that is killed after `*steps` instructions. 1: it was; 0: it had come to the end, *steps tells when; -1: no
 * ptrace here. */
static int settle_and_kill(struct rig *rig, uint32_t domain, uint64_t done_pos, const struct ring_settled *outcome, long *steps)
{
    int status;

    if (RIG_TSAN) /* its instructions cannot be counted in sensible time: the instants are random */
        return -1;
    pid_t pid = fork();
    RIG_NEED(pid >= 0);
    if (pid == 0) {
        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
            _exit(3);
        kill(getpid(), SIGSTOP);
        ring_lane_settle(&rig->lane, domain, done_pos, outcome);
        kill(getpid(), SIGSTOP);
        _exit(0);
    }
    RIG_NEED(waitpid(pid, &status, 0) == pid);
    if (!WIFSTOPPED(status))
        return -1;
    for (long i = 0; i < *steps; i++) {
        RIG_NEED(ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL) == 0);
        RIG_NEED(waitpid(pid, &status, 0) == pid && WIFSTOPPED(status));
        if (WSTOPSIG(status) == SIGSTOP) {
            *steps = i;
            kill(pid, SIGKILL);
            waitpid(pid, NULL, 0);
            return 0;
        }
    }
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    return 1;
}

/* Without ptrace the child settles for ever and dies at a random instant after it began. */
static void settle_and_kill_blindly(struct rig *rig, uint32_t domain, uint64_t done_pos, const struct ring_settled *outcome,
                                    struct witness *witness, uint64_t *random)
{
    order_none_store64(&witness->opened, 0);
    pid_t pid = fork();

    RIG_NEED(pid >= 0);
    if (pid == 0) {
        order_none_store64(&witness->opened, 1);
        ring_lane_settle(&rig->lane, domain, done_pos, outcome);
        for (;;)
            ring_lane_settle(&rig->lane, domain, done_pos, &(struct ring_settled){0});
    }
    while (order_none_load64(&witness->opened) == 0)
        sched_yield();
    int64_t end_ns = rig_now_ns() + (int64_t)(rig_random(random) % 300000);
    while (rig_now_ns() < end_ns)
        ;
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

/* Either all of it is stored or nothing, whatever instruction was the last. */
static void check_after_kill(struct rig *rig, uint32_t domain, uint64_t old_done_pos, uint64_t done_pos, uint64_t old)
{
    const struct ring_lane_counts *counts = &ring_shipper(rig->ring)->lane[0].counts;
    struct ring_ledger ledger;

    RIG_NEED(ring_ledger_of_ring(rig->ring, &ledger, NULL) == 0 && ring_ledger_difference(&ledger) == 0); /* as the kill left it */
    RIG_NEED(ring_lanes_begin(rig->ring, 1) == 0);
    ring_lane_open(&rig->lane, rig->ring, 0);
    uint64_t now = settled(rig->ring), pos = ring_done_pos(rig->ring, domain);
    RIG_NEED(now == old ? pos == old_done_pos : now == old + 1 && pos == done_pos);
    RIG_NEED(order_none_load64(&counts->accepted_bytes) == 8 * now);
    RIG_NEED(order_none_load32(&ring_shipper(rig->ring)->lane[0].redo.state) == RING_REDO_EMPTY);
    RIG_NEED(ring_committed_events(rig->ring) == now + (uint64_t)pending(rig->ring));
    RIG_NEED(ledger.accepted_events + ledger.dropped_events == now && ledger.pending_events == (uint64_t)pending(rig->ring));
}

static long kill_shipper(struct witness *witness, uint64_t *random)
{
    struct rig rig;
    uint64_t at = 0;
    long steps = STEPS_MAX, stride = 0, kills = 0; /* the first goes to the end and tells how far that is */
    int more = 1;

    rig_open(&rig, UINT64_C(1) << 20);
    while (rig_put(&rig, &at, sizeof(at)) == 0)
        ;
    int count = rig_walk(&rig);
    for (uint64_t pos = 0; more == 1; kills++) {
        const struct ring_record *record = NULL;
        for (int i = 0; i < count && !record; i++) /* the first that is not settled, as a start finds it */
            if (rig.walk.record[i].pos >= ring_done_pos(rig.ring, ring_class_of(rig.walk.record[i].pos)))
                record = &rig.walk.record[i];
        if (!record) {
            rig_ack(&rig, rig.lane.walk_pos);
            count = rig_walk(&rig);
            RIG_NEED(count > 0);
            continue;
        }
        pos = record->pos;
        uint32_t domain = ring_class_of(pos);
        uint64_t done_pos = pos + ring_align16(record->len), old_done_pos = ring_done_pos(rig.ring, domain), old = settled(rig.ring);
        struct ring_settled outcome = outcome_of(old);
        uint64_t walk_pos = rig.lane.walk_pos;
        more = settle_and_kill(&rig, domain, done_pos, &outcome, &steps);
        if (more < 0) {
            settle_and_kill_blindly(&rig, domain, done_pos, &outcome, witness, random);
            more = kills < (RIG_TSAN ? 60 : KILLS_AIM);
        }
        check_after_kill(&rig, domain, old_done_pos, done_pos, old);
        if (more == 0 && stride == 0) {
            stride = 1 + steps / KILLS_AIM;
            steps = -stride;
            more = 1;
        }
        steps += stride;
        rig.lane.walk_pos = rig.lane.seen_write_pos = walk_pos;
    }
    RIG_NEED(accepted(rig.ring) > 0 && kills > 20);
    rig_close(&rig);
    return kills;
}

int main(int argc, char *argv[])
{
    uint64_t random = rig_seed(argc, argv), events = 0;
    long producers = argc > 2 ? strtol(argv[2], NULL, 0) : 200;
    struct witness *witness = mmap(NULL, sizeof(*witness), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    RIG_NEED(witness != MAP_FAILED);
    for (long i = 0; i < producers; i++)
        events += kill_producer(rig_random(&random), witness);
    printf("%ld producers killed, %llu events, each that returned from commit is there\n", producers, (unsigned long long)events);
    fflush(stdout);
    printf("a shipper killed at %ld instants of a settlement: ledger and positions close\n", kill_shipper(witness, &random));
    return 0;
}
