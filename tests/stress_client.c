/* Threads that send through libehring while others accept: waits for room, flush, and one-call rings whose threads come and go; one of
 * the rings lies on a disk under group sync, where there is one. Runs under thread sanitizer too. Usage: stress_client [rounds] */
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/ehring.h"
#include "ringbuf/ring.h"
#include "ringbuf/ring_order.h"
#include "tests/disk_rig.h"

#define SENDERS 3
#define EVENTS 20000u
#define POSTERS 8

static char rings[] = "/dev/shm/ehring-test-XXXXXX";
static char disk[80];
static bool has_disk;

struct sender {
    struct ehring *ring;
    _Atomic uint32_t done;
    uint64_t received;
    const char *failure;
};

static void run_pair(struct sender *sender, bool on_disk, pthread_t threads[2]);
static void *send_all(void *arg);
static void *accept_all(void *arg);
static uint64_t take(struct ring_lane *lane, struct ring_walk *walk, uint64_t seen, const char **failure);
static void *post_some(void *arg);
static void need(bool ok, const char *what);
static void remove_all(void);
static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw);

int main(int argc, char **argv)
{
    int rounds = argc > 1 ? atoi(argv[1]) : 5;

    need(mkdtemp(rings) != NULL, "mkdtemp");
    setenv("EHRING_RINGS", rings, 1);
    has_disk = disk_dir(disk);
    for (int round = 0; round < rounds; round++) {
        struct sender senders[SENDERS] = {0};
        pthread_t pairs[SENDERS][2], posters[POSTERS];
        void *failure;

        for (int i = 0; i < SENDERS; i++)
            run_pair(&senders[i], i == 0 && has_disk, pairs[i]);
        for (int i = 0; i < POSTERS; i++)
            need(pthread_create(&posters[i], NULL, post_some, NULL) == 0, "pthread_create");
        for (int i = 0; i < POSTERS; i++) {
            pthread_join(posters[i], &failure);
            need(failure == NULL, "a poster failed");
        }
        for (int i = 0; i < SENDERS; i++) {
            pthread_join(pairs[i][0], NULL);
            pthread_join(pairs[i][1], NULL);
            need(senders[i].failure == NULL, senders[i].failure);
            need(senders[i].received == EVENTS, "an event is missing");
            ehring_close(senders[i].ring);
        }
    }
    remove_all();
    return 0;
}

static void run_pair(struct sender *sender, bool on_disk, pthread_t threads[2])
{
    struct ehring_options options = {.stream = "s", .make_stream_dir = true, .capacity_bytes = 65536, .full = EHRING_FULL_WAIT};

    if (on_disk) {
        options.rings_dir = disk;
        options.sync = EHRING_SYNC;
        options.sync_ms = 1;
    }

    need(ehring_open(&options, &sender->ring) == 0, ehring_open_error());
    need(pthread_create(&threads[0], NULL, send_all, sender) == 0, "pthread_create");
    need(pthread_create(&threads[1], NULL, accept_all, sender) == 0, "pthread_create");
}

/* Numbers the events, singly and in arrays, then waits for all of them. */
static void *send_all(void *arg)
{
    struct sender *sender = arg;
    uint32_t number[8];
    struct ehring_event events[8] = {0};

    for (uint32_t n = 0; n < EVENTS && !sender->failure;) {
        unsigned count = n % 3 == 0 ? 8 : 1;
        if (count > EVENTS - n)
            count = EVENTS - n;
        for (unsigned i = 0; i < count; i++) {
            number[i] = n + i;
            events[i] = (struct ehring_event){.data = &number[i], .len = sizeof(number[i])};
        }
        int sent =
            count > 1 ? ehring_send_many(sender->ring, events, count) : 1 + ehring_send(sender->ring, number, sizeof(number[0]), NULL);
        if (sent != (int)count)
            sender->failure = "an event was not sent";
        n += count;
    }
    if (ehring_flush(sender->ring, 60000, NULL) != 0)
        sender->failure = "flush timed out";
    order_flag_set(&sender->done, 1);
    return NULL;
}

static void *accept_all(void *arg)
{
    struct sender *sender = arg;
    struct ring_walk *walk = malloc(sizeof(*walk));
    struct ring_refusal why;
    struct ring_lane lane;
    struct ring *ring;
    const char *failure = NULL;

    need(ring_open(AT_FDCWD, ehring_path(sender->ring), RING_ACCESS_SHIPPER, &ring, &why) == 0, "ring_open");
    need(ring_lanes_begin(ring, 1) == 0, "ring_lanes_begin");
    ring_lane_open(&lane, ring, 0);
    while (!order_flag_get(&sender->done))
        sender->received += take(&lane, walk, sender->received, &failure);
    need(failure == NULL, failure);
    ring_close(ring);
    free(walk);
    return NULL;
}

/* What there is now, checked and accepted. */
static uint64_t take(struct ring_lane *lane, struct ring_walk *walk, uint64_t seen, const char **failure)
{
    uint64_t end = 0, pos = lane->walk_pos, first = seen;
    int count;

    need(ring_lane_look(lane, &end) == 0, "ring_lane_look");
    while ((count = ring_walk(lane->ring, &pos, end, walk)) > 0)
        for (int i = 0; i < count; i++) {
            const struct ring_record *record = &walk->record[i];
            uint32_t number;
            need(ring_copy(lane->ring, record->pos + record->len - sizeof(number), &number, sizeof(number)) == 0, "ring_copy");
            if (number != (uint32_t)seen++)
                *failure = "out of order";
        }
    if (pos != lane->walk_pos) {
        lane->walk_pos = pos;
        ring_lane_ack(lane, pos, pos);
    }
    return seen - first;
}

static void *post_some(void *arg)
{
    (void)arg;
    for (int i = 0; i < 1000; i++)
        if (ehring_post("s", &i, sizeof(i), i % 2 ? "key" : NULL) != 0)
            return "failed";
    return NULL;
}

static void need(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "stress_client: %s\n", what);
    remove_all();
    _exit(1);
}

static void remove_all(void)
{
    nftw(rings, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    if (has_disk)
        nftw(disk, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st, (void)kind, (void)ftw;
    return remove(path);
}
