/* Makes and ends an io_uring: asks the kernel for each feature and does without those it has not. */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "shipper/net_uring.h"

#define SUBMISSIONS 256u /* small enough for the 64 KiB of locked memory that kernels before 5.12 allow */
#define RING_BYTES 4096u /* the provided ring's entries, before the buffers */
#define PROVIDED_BYTES (RING_BYTES + URING_BUFFERS * URING_BUFFER_BYTES)
#define FEATURES_WANTED (IORING_FEAT_NODROP | IORING_FEAT_SUBMIT_STABLE | IORING_FEAT_FAST_POLL)
static_assert(URING_BUFFERS * sizeof(struct io_uring_buf) <= RING_BYTES, "the entries fit before the buffers");
static_assert(URING_BUFFERS <= NET_EVENTS_MAX, "one wait can lend every buffer at most once");

/* Best first. One issuer with deferred task work is Linux 6.1, cooperative task work 5.19. */
static const struct {
    unsigned flags;
    const char *name;
} rungs[] = {
    {IORING_SETUP_R_DISABLED | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN, "deferred task work"},
    {IORING_SETUP_COOP_TASKRUN, "cooperative task work"},
    {0, "plain task work"},
};

static int ring_make(struct net_uring *uring, const char **name);
static int ring_check(struct net_uring *uring, bool *has_multishot, char *why, size_t why_len);
static int provided_open(struct net_uring *uring);

int net_uring_setup(struct net_uring *uring, char *why, size_t why_len)
{
    const char *name = "";
    bool has_multishot = false;
    int rc = ring_make(uring, &name);
    if (rc == -EPERM || rc == -ENOSYS || rc == -EACCES) {
        snprintf(why, why_len, "io_uring refused by the kernel or a seccomp profile: %s", strerror(-rc));
        return rc;
    }
    if (rc != 0) {
        snprintf(why, why_len, "io_uring cannot make a ring: %s", strerror(-rc));
        return rc;
    }
    rc = ring_check(uring, &has_multishot, why, why_len);
    if (rc != 0) {
        io_uring_queue_exit(&uring->ring);
        return rc;
    }
    rc = has_multishot ? provided_open(uring) : -ENOSYS;
    if (rc == 0)
        snprintf(why, why_len, "io_uring with %s, multishot receive", name);
    else
        snprintf(why, why_len, "io_uring with %s, single receive (provided buffers: %s)", name, strerror(-rc));
    return 0;
}

static int ring_make(struct net_uring *uring, const char **name)
{
    int rc = -EINVAL;
    for (size_t i = 0; rc == -EINVAL && i < sizeof rungs / sizeof rungs[0]; i++) {
        struct io_uring_params params = {.flags = rungs[i].flags};
        *name = rungs[i].name;
        uring->is_asleep = rungs[i].flags & IORING_SETUP_R_DISABLED;
        rc = io_uring_queue_init_params(SUBMISSIONS, &uring->ring, &params);
    }
    return rc;
}

/* A profile may allow making a ring and forbid using it: a disabled one answers EBADFD where the call itself is allowed. */
static int ring_check(struct net_uring *uring, bool *has_multishot, char *why, size_t why_len)
{
    static const int needed[] = {IORING_OP_POLL_ADD, IORING_OP_CONNECT,      IORING_OP_RECV,
                                 IORING_OP_SEND,     IORING_OP_ASYNC_CANCEL, IORING_OP_LINK_TIMEOUT};
    int rc = io_uring_enter((unsigned)uring->ring.ring_fd, 0, 0, 0, NULL);
    if (rc < 0 && rc != -EBADFD) {
        snprintf(why, why_len, "io_uring refused by the kernel or a seccomp profile: io_uring_enter: %s", strerror(-rc));
        return rc;
    }
    struct io_uring_probe *probe = io_uring_get_probe_ring(&uring->ring);
    if (!probe) {
        snprintf(why, why_len, "io_uring refused by the kernel or a seccomp profile: io_uring_register");
        return -EPERM;
    }
    bool complete = (uring->ring.features & FEATURES_WANTED) == FEATURES_WANTED;
    for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++)
        complete &= io_uring_opcode_supported(probe, needed[i]) != 0;
    *has_multishot = io_uring_opcode_supported(probe, IORING_OP_SEND_ZC); /* came with multishot receive in Linux 6.0 */
    io_uring_free_probe(probe);
    if (complete)
        return 0;
    snprintf(why, why_len, "io_uring of this kernel lacks what we use (Linux 5.7 has it)");
    return -EOPNOTSUPP;
}

static int provided_open(struct net_uring *uring)
{
    void *bytes = mmap(NULL, PROVIDED_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (bytes == MAP_FAILED)
        return -errno;
    struct io_uring_buf_reg reg = {.ring_addr = (uintptr_t)bytes, .ring_entries = URING_BUFFERS, .bgid = URING_BUFFER_GROUP};
    int rc = io_uring_register_buf_ring(&uring->ring, &reg, 0);
    if (rc != 0) {
        munmap(bytes, PROVIDED_BYTES);
        return rc;
    }
    uring->provided = bytes;
    uring->provided_bytes = (uint8_t *)bytes + RING_BYTES;
    io_uring_buf_ring_init(uring->provided);
    for (uint16_t i = 0; i < URING_BUFFERS; i++)
        net_uring_lend(uring, i);
    net_uring_recycle(uring);
    return 0;
}

/* The buffers go after the ring: its end is what makes the kernel let go of them. */
void net_uring_teardown(struct net_uring *uring)
{
    io_uring_queue_exit(&uring->ring);
    if (uring->provided)
        munmap(uring->provided, PROVIDED_BYTES);
    uring->provided = NULL;
}

uint8_t *net_uring_buffer(const struct net_uring *uring, uint16_t index)
{
    assert(index < URING_BUFFERS);
    return uring->provided_bytes + (size_t)index * URING_BUFFER_BYTES;
}

void net_uring_lend(struct net_uring *uring, uint16_t index)
{
    assert(uring->lent_count < URING_BUFFERS);
    uring->lent[uring->lent_count++] = index;
}

void net_uring_recycle(struct net_uring *uring)
{
    if (uring->lent_count == 0)
        return;
    for (unsigned i = 0; i < uring->lent_count; i++)
        io_uring_buf_ring_add(uring->provided, net_uring_buffer(uring, uring->lent[i]), URING_BUFFER_BYTES, uring->lent[i],
                              io_uring_buf_ring_mask(URING_BUFFERS), (int)i);
    io_uring_buf_ring_advance(uring->provided, (int)uring->lent_count);
    uring->lent_count = 0;
}
