/* A ring under test: a producer's handle on one side, on the other the one lane that frees it. */
#include "bench/subject.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ringbuf/ring_order.h"

static int attach(struct subject *subject, struct ring_refusal *why);

int subject_open(const char *rings_dir, uint64_t capacity, enum ehring_sync sync, struct subject *subject)
{
    struct ehring_options options = {
        .stream = "bench", .rings_dir = rings_dir, .capacity_bytes = capacity, .make_stream_dir = true, .sync = sync};
    struct ring_refusal why = {0};
    int err;

    *subject = (struct subject){.capacity = capacity, .sync = sync};
    err = ehring_open(&options, &subject->producer);
    if (err) {
        fprintf(stderr, "ehring-bench: cannot make a ring: %s\n", ehring_open_error());
        return err;
    }
    err = attach(subject, &why);
    if (err) {
        fprintf(stderr, "ehring-bench: cannot attach to the ring: %s\n", why.text[0] ? why.text : strerror(-err));
        subject_close(subject);
    }
    return err;
}

void subject_close(struct subject *subject)
{
    ring_close(subject->ring);
    ehring_close(subject->producer);
    *subject = (struct subject){0};
}

int subject_send(struct subject *subject, const void *data, size_t len, const char *const *keys, uint32_t count)
{
    struct ehring *producer = subject->producer;
    int err = 0;

    if (!keys) {
        for (uint32_t i = 0; i < count && !err; i++)
            err = ehring_send(producer, data, len, NULL);
        return err;
    }
    for (uint32_t i = 0; i < count && !err; i++)
        err = ehring_send(producer, data, len, keys[i % SUBJECT_KEY_COUNT]);
    return err;
}

uint64_t subject_used_bytes(const struct subject *subject)
{
    const struct ring_producer *producer = ring_producer(subject->ring);
    const _Atomic uint64_t *free_pos =
        subject->sync == EHRING_SYNC ? &producer->sync.released_pos : &ring_shipper(subject->ring)->gate.gate_pos;

    return order_observe(&producer->hot.write_pos) - order_load_gate(free_pos);
}

void subject_free_all(struct subject *subject)
{
    uint64_t write_pos = 0;

    if (ring_lane_look(&subject->lane, &write_pos))
        return;
    subject->lane.walk_pos = write_pos;
    ring_lane_ack(&subject->lane, write_pos, write_pos);
}

int subject_ring_open(const struct ehring *producer, enum ring_access access, struct ring **out, struct ring_refusal *why)
{
    const char *path = ehring_path(producer);
    const char *name = strrchr(path, '/') + 1;
    char dir[4096];
    int dir_fd, err;

    snprintf(dir, sizeof(dir), "%.*s", (int)(name - path), path);
    dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir_fd < 0)
        return -errno;
    err = ring_open(dir_fd, name, access, out, why);
    close(dir_fd);
    return err;
}

static int attach(struct subject *subject, struct ring_refusal *why)
{
    int err = subject_ring_open(subject->producer, RING_ACCESS_SHIPPER, &subject->ring, why);

    if (!err)
        err = ring_lanes_begin(subject->ring, 1);
    if (!err)
        ring_lane_open(&subject->lane, subject->ring, 0);
    return err;
}
