/* A producer that is stopped after every instruction of its sends, as a kill would stop it: by each way of the library, what has returned
 * is in the ring, what is published is whole, and the count is right. crash_send [events] */
#include <sys/ptrace.h>
#include <sys/wait.h>

#include "client/ehring.h"
#include "ring_rig.h"

#define PAYLOAD_MAX 4096u
#define ARRAY 3u
#define EVENTS 400u

enum way { WAY_SEND, WAY_SEND_AGAIN, WAY_KEYED, WAY_TIMED, WAY_PARTS, WAY_RESERVED, WAY_DISCARDED, WAY_ARRAY, WAYS };

struct witness { /* shared with the producer */
    _Atomic uint64_t returned;
};

static uint32_t len_of(uint64_t number)
{
    static const uint32_t lens[] = {0,  1,  3,  7,   8,   12,  15,  16,  17,  31,  32,   33,
                                    48, 64, 65, 100, 128, 129, 200, 255, 256, 257, 1000, PAYLOAD_MAX};

    return lens[number * 7 % (sizeof(lens) / sizeof(lens[0]))];
}

static void fill(uint8_t *payload, uint64_t number)
{
    uint32_t len = len_of(number);

    memset(payload, (int)(number % 251), len);
    memcpy(payload, &number, len < sizeof(number) ? len : sizeof(number));
}

/* ---- the producer ---- */

static int reserve(struct ehring *ring, const uint8_t *payload, uint32_t len, bool is_kept)
{
    void *to;

    RIG_NEED(ehring_reserve(ring, len + 500, NULL, &to) == 0);
    memcpy(to, payload, len);
    if (is_kept)
        return ehring_commit(ring, len);
    RIG_NEED(ehring_discard(ring) == 0);
    return ehring_send(ring, payload, len, NULL);
}

static void prepare(struct ehring_event events[ARRAY], uint64_t number)
{
    static uint8_t payload[ARRAY][PAYLOAD_MAX];

    for (uint32_t i = 0; i < ARRAY; i++) {
        fill(payload[i], number + i);
        events[i] = (struct ehring_event){.data = payload[i], .len = len_of(number + i), .key = i % 2 ? "a key" : NULL};
    }
}

/* Returns how many events it was. */
static uint64_t send_by(struct ehring *ring, enum way way, struct ehring_event events[ARRAY])
{
    uint8_t *payload = (uint8_t *)(uintptr_t)events[0].data;
    uint32_t len = (uint32_t)events[0].len;
    const struct iovec parts[] = {{payload, len / 2}, {payload + len / 2, len - len / 2}};
    int err = -1;

    switch (way) {
    case WAY_SEND:
    case WAY_SEND_AGAIN:
        err = ehring_send(ring, payload, len, NULL);
        break;
    case WAY_KEYED:
        err = ehring_send(ring, payload, len, "another key");
        break;
    case WAY_TIMED:
        events[0].time_ns = EHRING_TIME_NOW;
        err = ehring_send_event(ring, &events[0]);
        break;
    case WAY_PARTS:
        err = ehring_sendv(ring, parts, 2, NULL);
        break;
    case WAY_RESERVED:
    case WAY_DISCARDED:
        err = reserve(ring, payload, len, way == WAY_RESERVED);
        break;
    case WAY_ARRAY:
        RIG_NEED(ehring_send_many(ring, events, ARRAY) == ARRAY);
        return ARRAY;
    case WAYS:
        break;
    }
    RIG_NEED(err == 0);
    return 1;
}

static void produce(const struct rig *rig, struct witness *witness, uint64_t events)
{
    const struct ehring_options options = {.stream = "orders", .rings_dir = rig->rings, .capacity_bytes = RING_CAPACITY_MIN};
    struct ehring_event array[ARRAY];
    struct ehring *ring;
    uint64_t number = 0;

    RIG_NEED(ehring_open(&options, &ring) == 0);
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
        _exit(3);
    for (uint64_t call = 0; number < events; call++) {
        prepare(array, number);
        raise(SIGSTOP); /* from here in steps */
        number += send_by(ring, (enum way)(call % WAYS), array);
        order_none_store64(&witness->returned, number);
    }
    _exit(0);
}

/* ---- who looks at it ---- */

static void look_at_record(const struct rig *rig, const struct ring_record *record, uint64_t number)
{
    static uint8_t meta[RING_META_BYTES_MAX], got[PAYLOAD_MAX], want[PAYLOAD_MAX];
    struct ring_parts parts;

    RIG_NEED(ring_record_parts(rig->ring, record->pos, record->len, &parts, meta, sizeof(meta)) == 0);
    RIG_NEED(parts.payload_len == len_of(number) && record->seq16 == (uint16_t)number);
    RIG_NEED(ring_copy(rig->ring, parts.payload_pos, got, parts.payload_len) == 0);
    fill(want, number);
    RIG_NEED(memcmp(got, want, parts.payload_len) == 0);
}

/* Returns the number of the next event. */
static uint64_t look(struct rig *rig, const struct witness *witness, uint64_t next)
{
    int count;

    while ((count = rig_walk(rig)) > 0)
        for (int i = 0; i < count; i++)
            look_at_record(rig, &rig->walk.record[i], next++);
    RIG_NEED(count == 0);
    RIG_NEED(ring_committed_events(rig->ring) == next);
    RIG_NEED(order_none_load64(&witness->returned) <= next);
    rig_ack(rig, rig->lane.walk_pos);
    return next;
}

int main(int argc, char **argv)
{
    struct witness *witness = mmap(NULL, sizeof(*witness), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    uint64_t events = argc > 1 ? strtoull(argv[1], NULL, 0) : EVENTS, next = 0, seen = 0, steps = 0;
    struct rig rig;
    int status;

    if (RIG_TSAN) { /* its instructions cannot be counted in sensible time */
        printf("not under the thread sanitizer\n");
        return 0;
    }
    RIG_NEED(witness != MAP_FAILED);
    rig_dirs(&rig);
    pid_t pid = fork();
    if (pid == 0)
        produce(&rig, witness, events);
    RIG_NEED(pid > 0 && waitpid(pid, &status, 0) == pid);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 3) {
        printf("no ptrace here\n");
        rig_close(&rig);
        return 0;
    }
    RIG_NEED(WIFSTOPPED(status));
    rig_find(&rig);
    rig_ship(&rig);
    for (bool steps_on = true; WIFSTOPPED(status);) {
        uint64_t returned = order_none_load64(&witness->returned);
        next = look(&rig, witness, next);
        steps_on = WSTOPSIG(status) == SIGSTOP || (steps_on && returned == seen);
        seen = returned;
        steps += steps_on;
        RIG_NEED(ptrace(steps_on ? PTRACE_SINGLESTEP : PTRACE_CONT, pid, NULL, NULL) == 0 && waitpid(pid, &status, 0) == pid);
    }
    RIG_NEED(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    RIG_NEED(next >= events);
    printf("%llu events, %llu instructions\n", (unsigned long long)next, (unsigned long long)steps);
    rig_close(&rig);
    return 0;
}
