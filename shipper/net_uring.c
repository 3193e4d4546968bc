/* The network loop on io_uring: one io_uring_enter per wait submits what each handle lacks and takes what has come. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shipper/clock.h"
#include "shipper/net_uring.h"

#define RECEIVE_BYTES 65536u /* of a handle without provided buffers */
#define DRAIN_ROUNDS_MAX 20
#define DRAIN_ROUND_NS (50 * CLOCK_NS_PER_MS)

/* What can be under way for a handle, each at most once. A completion names the handle, with its generation, and the operation; a slot is
 * not used again before all of them have come, so that none can be taken for another handle's. */
enum op { OP_CONNECT, OP_CONNECT_TIMER, OP_RECEIVE, OP_SEND, OP_POLL, OP_CANCEL };
#define OP_BITS 8
#define BIT(op) (1u << (op))

static int begin(struct net *net);
static int enter(struct net *net, int64_t left_ns);
static void arm_all(struct net *net);
static void arm_starved(struct net *net);
static void arm_connect(struct net *net, struct net_handle *handle);
static void arm_receive(struct net *net, struct net_handle *handle);
static void arm_send(struct net *net, struct net_handle *handle);
static void arm_poll(struct net *net, struct net_handle *handle);
static void arm_cancel(struct net *net, struct net_handle *handle);
static struct io_uring_sqe *sqe_take(struct net *net, unsigned count);
static void sqe_name(struct io_uring_sqe *sqe, struct net_handle *handle, enum op op);
static void take_all(struct net *net, struct net_gather *told);
static void take(struct net *net, const struct io_uring_cqe *cqe, struct net_gather *told);
static void take_connect(struct net *net, struct net_handle *handle, int res, struct net_gather *told);
static void take_receive(struct net *net, struct net_handle *handle, const struct io_uring_cqe *cqe, struct net_gather *told);
static void receive_fail(struct net *net, struct net_handle *handle, int res, struct net_gather *told);
static int end_error(struct net *net, const struct net_handle *handle);
static void take_send(struct net *net, struct net_handle *handle, int res, struct net_gather *told);
static void take_poll(struct net *net, struct net_handle *handle, int res, struct net_gather *told);
static void handle_fail(struct net *net, struct net_handle *handle, struct net_event event, struct net_gather *told);
static void release_idle(struct net *net, struct net_handle *handle);
static bool drain(struct net *net);

int net_uring_open(struct net *net, char *why, size_t why_len)
{
    struct net_uring *uring = calloc(1, sizeof *uring);
    if (!uring) {
        snprintf(why, why_len, "io_uring: out of memory");
        return -ENOMEM;
    }
    int rc = net_uring_setup(uring, why, why_len);
    if (rc != 0) {
        free(uring);
        return rc;
    }
    net->uring = uring;
    return 0;
}

/* By the thread that waited, or after its end: an ended thread's operations touch no memory any more. */
void net_uring_close(struct net *net)
{
    struct net_uring *uring = net->uring;
    for (int i = 0; i < net->slots_used; i++)
        if (net->handle[i].state != NET_SLOT_FREE && net->handle[i].state != NET_ENDING)
            net_uring_end(net, &net->handle[i]);
    bool is_let_go = !uring->is_begun || !pthread_equal(uring->owner, pthread_self()) || drain(net);
    net_uring_teardown(uring);
    for (int i = 0; i < net->slots_used; i++) {
        struct net_handle *handle = &net->handle[i];
        if (handle->state == NET_ENDING && handle->fd >= 0 && !handle->is_callers)
            close(handle->fd);
        if (!is_let_go) /* better lost than written to by the kernel in someone else's hands */
            handle->send_buffer[0] = handle->send_buffer[1] = handle->receive_buffer = NULL;
    }
    free(uring);
}

int net_uring_connect(struct net *net, struct net_handle *handle, int64_t timeout_ns)
{
    if (!net->uring->provided && !handle->receive_buffer && !(handle->receive_buffer = malloc(RECEIVE_BYTES)))
        return -ENOMEM;
    timeout_ns = timeout_ns > 0 ? timeout_ns : 0;
    handle->connect_wait.tv_sec = timeout_ns / CLOCK_NS_PER_SECOND;
    handle->connect_wait.tv_nsec = timeout_ns % CLOCK_NS_PER_SECOND;
    return 0;
}

int net_uring_watch(struct net *net, struct net_handle *handle)
{
    net->syscall_count++;
    return fcntl(handle->fd, F_GETFD) >= 0 ? 0 : -errno;
}

/* The shutdown lets the peer know at once; the descriptor is closed when the kernel has let go of the buffers. */
void net_uring_end(struct net *net, struct net_handle *handle)
{
    if (handle->in_flight && !handle->is_callers) {
        net->syscall_count++;
        shutdown(handle->fd, SHUT_RDWR);
    }
    net_handle_retire(net, handle);
    release_idle(net, handle);
}

int net_uring_wait(struct net *net, int64_t until_ns, struct net_gather *told)
{
    int rc = net->uring->is_begun ? 0 : begin(net);
    if (rc != 0)
        return rc;
    for (;;) {
        net_uring_recycle(net->uring); /* also those of the last round: they came for handles that had ended */
        arm_all(net);
        rc = enter(net, told->count > 0 ? 0 : net_time_left_ns(until_ns));
        if (rc != 0)
            return rc;
        take_all(net, told);
        if (told->count > 0 || net_time_left_ns(until_ns) == 0)
            return 0;
    }
}

static int begin(struct net *net)
{
    struct net_uring *uring = net->uring;
    if (uring->is_asleep) {
        net->syscall_count++;
        /* liburing 2.3's shared library does not export io_uring_enable_rings */
        int rc = io_uring_register((unsigned)uring->ring.ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0);
        if (rc < 0)
            return rc;
    }
    uring->owner = pthread_self();
    uring->is_begun = true;
    return 0;
}

static int enter(struct net *net, int64_t left_ns)
{
    struct io_uring *ring = &net->uring->ring;
    struct io_uring_cqe *cqe;
    struct __kernel_timespec left = {.tv_sec = left_ns / CLOCK_NS_PER_SECOND, .tv_nsec = left_ns % CLOCK_NS_PER_SECOND};
    int rc;
    net->syscall_count++;
    /* With completions left from the last wait there is nothing to wait for; but the library would then only submit, and what has come
     * for the receives that are armed already would never be looked at. */
    if (left_ns == 0 || io_uring_cq_ready(ring) > 0)
        rc = io_uring_submit_and_get_events(ring);
    else
        rc = io_uring_submit_and_wait_timeout(ring, &cqe, 1, left_ns == NET_FOR_EVER_NS ? NULL : &left, NULL);
    /* EAGAIN, EBUSY: short of memory or of room for completions: what was not submitted is so next time */
    return rc >= 0 || rc == -ETIME || rc == -EINTR || rc == -EAGAIN || rc == -EBUSY ? 0 : rc;
}

static void arm_all(struct net *net)
{
    net->uring->round++;
    arm_starved(net);
    for (int i = 0; i < net->slots_used; i++) {
        struct net_handle *handle = net_handle_turn(net, i);
        switch (handle->state) {
        case NET_CONNECTING:
            arm_connect(net, handle);
            break;
        case NET_OPEN:
            arm_receive(net, handle);
            arm_send(net, handle);
            break;
        case NET_WATCHING:
            arm_poll(net, handle);
            break;
        case NET_ENDING:
            arm_cancel(net, handle);
            break;
        case NET_SLOT_FREE:
            break;
        }
    }
}

/* One flooded handle can take every provided buffer as soon as it is armed. So whoever went without for longest is armed first: in turn
 * everybody is. Going round alone does not do: it falls into step with the rounds in which no buffer is free. */
static void arm_starved(struct net *net)
{
    struct net_handle *oldest = NULL;
    for (int i = 0; i < net->slots_used; i++) {
        struct net_handle *handle = &net->handle[i];
        bool waits = handle->state == NET_OPEN && handle->starved_since && !(handle->in_flight & BIT(OP_RECEIVE));
        if (waits && (!oldest || handle->starved_since < oldest->starved_since))
            oldest = handle;
    }
    if (oldest)
        arm_receive(net, oldest);
}

static void arm_connect(struct net *net, struct net_handle *handle)
{
    struct io_uring_sqe *sqe;
    if (handle->in_flight || handle->due_error || !(sqe = sqe_take(net, 2)))
        return;
    io_uring_prep_connect(sqe, handle->fd, (const struct sockaddr *)&handle->address, handle->address_len);
    sqe->flags |= IOSQE_IO_LINK;
    sqe_name(sqe, handle, OP_CONNECT);
    sqe = io_uring_get_sqe(&net->uring->ring);
    io_uring_prep_link_timeout(sqe, &handle->connect_wait, 0);
    sqe_name(sqe, handle, OP_CONNECT_TIMER);
}

/* Into the handle's own buffer only where there are no provided ones: what was handed out of it is free again when we come here. */
static void arm_receive(struct net *net, struct net_handle *handle)
{
    struct io_uring_sqe *sqe;
    if (handle->in_flight & BIT(OP_RECEIVE) || !(sqe = sqe_take(net, 1)))
        return;
    if (handle->receive_buffer) {
        io_uring_prep_recv(sqe, handle->fd, handle->receive_buffer, RECEIVE_BYTES, 0);
    } else {
        io_uring_prep_recv_multishot(sqe, handle->fd, NULL, 0, 0);
        sqe->flags |= IOSQE_BUFFER_SELECT;
        sqe->buf_group = URING_BUFFER_GROUP;
    }
    sqe_name(sqe, handle, OP_RECEIVE);
}

/* MSG_WAITALL: since Linux 5.19 one completion for the whole buffer, however slowly the peer reads. */
static void arm_send(struct net *net, struct net_handle *handle)
{
    struct io_uring_sqe *sqe;
    const uint8_t *data;
    size_t len;
    if (handle->in_flight & BIT(OP_SEND) || handle->send_error || (len = net_sender_next(handle, &data)) == 0 || !(sqe = sqe_take(net, 1)))
        return;
    io_uring_prep_send(sqe, handle->fd, data, len, MSG_NOSIGNAL | MSG_WAITALL);
    sqe_name(sqe, handle, OP_SEND);
}

/* One shot, armed again after each: a multishot poll would tell the edges only, and the watch is level-triggered. */
static void arm_poll(struct net *net, struct net_handle *handle)
{
    struct io_uring_sqe *sqe;
    if (handle->in_flight || !(sqe = sqe_take(net, 1)))
        return;
    io_uring_prep_poll_add(sqe, handle->fd, POLLIN);
    sqe_name(sqe, handle, OP_POLL);
}

/* The timer of a connect goes with the connect. */
static void arm_cancel(struct net *net, struct net_handle *handle)
{
    struct io_uring_sqe *sqe;
    for (enum op op = 0; op < OP_CANCEL; op++) {
        if (op == OP_CONNECT_TIMER || !(handle->in_flight & ~handle->cancelled & BIT(op)) || !(sqe = sqe_take(net, 1)))
            continue;
        io_uring_prep_cancel64(sqe, (uint64_t)handle->id << OP_BITS | op, 0);
        io_uring_sqe_set_data64(sqe, (uint64_t)handle->id << OP_BITS | OP_CANCEL);
        handle->cancelled |= BIT(op);
        handle->cancel_count++;
    }
}

/* The first of `count` that stand in one submission. NULL: the kernel takes none now. */
static struct io_uring_sqe *sqe_take(struct net *net, unsigned count)
{
    struct io_uring *ring = &net->uring->ring;
    if (io_uring_sq_space_left(ring) < count) {
        net->syscall_count++;
        io_uring_submit(ring);
    }
    return io_uring_sq_space_left(ring) >= count ? io_uring_get_sqe(ring) : NULL;
}

static void sqe_name(struct io_uring_sqe *sqe, struct net_handle *handle, enum op op)
{
    io_uring_sqe_set_data64(sqe, (uint64_t)handle->id << OP_BITS | op);
    handle->in_flight |= BIT(op);
}

/* Each completion tells one event at most; what finds no room stays in the ring for the next wait. */
static void take_all(struct net *net, struct net_gather *told)
{
    struct io_uring_cqe *cqe;
    unsigned head, count = 0;
    io_uring_for_each_cqe(&net->uring->ring, head, cqe)
    {
        if (net_gather_full(told))
            break;
        take(net, cqe, told);
        count++;
    }
    io_uring_cq_advance(&net->uring->ring, count);
}

static void take(struct net *net, const struct io_uring_cqe *cqe, struct net_gather *told)
{
    if (cqe->user_data == LIBURING_UDATA_TIMEOUT) /* the library's own, before Linux 5.11 */
        return;
    int id = (int)(cqe->user_data >> OP_BITS);
    enum op op = (enum op)(cqe->user_data & (BIT(OP_BITS) - 1));
    struct net_handle *handle = &net->handle[id & (NET_SLOTS - 1)];
    assert(handle->id == id);
    assert(handle->state != NET_SLOT_FREE);
    if (op == OP_CANCEL)
        handle->cancel_count--;
    else if (!(cqe->flags & IORING_CQE_F_MORE))
        handle->in_flight &= ~BIT(op);
    if (cqe->flags & IORING_CQE_F_BUFFER)
        net_uring_lend(net->uring, (uint16_t)(cqe->flags >> IORING_CQE_BUFFER_SHIFT));
    if (handle->state == NET_ENDING) {
        release_idle(net, handle);
        return;
    }
    switch (op) {
    case OP_CONNECT:
        take_connect(net, handle, cqe->res, told);
        break;
    case OP_RECEIVE:
        take_receive(net, handle, cqe, told);
        break;
    case OP_SEND:
        take_send(net, handle, cqe->res, told);
        break;
    case OP_POLL:
        take_poll(net, handle, cqe->res, told);
        break;
    case OP_CONNECT_TIMER:
    case OP_CANCEL:
        break;
    }
}

/* Only its timer cancels the connect of a handle that has not ended. */
static void take_connect(struct net *net, struct net_handle *handle, int res, struct net_gather *told)
{
    if (res < 0) {
        handle_fail(net, handle, (struct net_event){.kind = NET_FAILED, .error = res == -ECANCELED ? -ETIMEDOUT : res}, told);
        return;
    }
    handle->state = NET_OPEN;
    net_tell(told, (struct net_event){.kind = NET_CONNECTED, .handle = handle->id});
}

static void take_receive(struct net *net, struct net_handle *handle, const struct io_uring_cqe *cqe, struct net_gather *told)
{
    if (cqe->res <= 0) {
        receive_fail(net, handle, cqe->res, told);
        return;
    }
    handle->starved_since = 0;
    struct net_event event = {.kind = NET_RECEIVED, .handle = handle->id, .data = handle->receive_buffer, .len = (size_t)cqe->res};
    if (cqe->flags & IORING_CQE_F_BUFFER)
        event.data = net_uring_buffer(net->uring, (uint16_t)(cqe->flags >> IORING_CQE_BUFFER_SHIFT));
    net_tell(told, event);
}

static void receive_fail(struct net *net, struct net_handle *handle, int res, struct net_gather *told)
{
    if (res == -ENOBUFS && !handle->starved_since)
        handle->starved_since = net->uring->round;
    if (res == -ENOBUFS || res == -EAGAIN || res == -EINTR) /* armed again by the next round */
        return;
    if (res == -EINVAL && !handle->receive_buffer && (handle->receive_buffer = malloc(RECEIVE_BYTES)) != NULL)
        return; /* no multishot receive, against what the probe said: from now on single */
    handle_fail(net, handle, (struct net_event){.kind = NET_ENDED, .error = res ? res : end_error(net, handle)}, told);
}

/* Why the peer's bytes ended. A send that the kernel had taken a part of swallows the reset that stopped it, and the receive then ends as
 * after a close: an empty send still tells whether the connection is broken. */
static int end_error(struct net *net, const struct net_handle *handle)
{
    if (handle->send_error || net_send_pending(net, handle->id) == 0)
        return handle->send_error;
    net->syscall_count++;
    return send(handle->fd, NULL, 0, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
}

static void take_send(struct net *net, struct net_handle *handle, int res, struct net_gather *told)
{
    if (res >= 0) {
        if (net_sender_take(handle, (size_t)res))
            net_tell(told, (struct net_event){.kind = NET_SENT, .handle = handle->id});
        return;
    }
    if (res == -EPIPE || res == -ECONNRESET)
        handle->send_error = res; /* what the peer said before it went is still to be read; the receive will end */
    else if (res != -EAGAIN && res != -EINTR)
        handle_fail(net, handle, (struct net_event){.kind = NET_ENDED, .error = res}, told);
}

static void take_poll(struct net *net, struct net_handle *handle, int res, struct net_gather *told)
{
    if (res < 0)
        handle_fail(net, handle, (struct net_event){.kind = NET_ENDED, .error = res}, told);
    else
        net_tell(told, (struct net_event){.kind = NET_WATCHED, .handle = handle->id});
}

static void handle_fail(struct net *net, struct net_handle *handle, struct net_event event, struct net_gather *told)
{
    event.handle = handle->id;
    net_uring_end(net, handle);
    net_tell(told, event);
}

/* An ended handle's slot goes when nothing is under way any more. */
static void release_idle(struct net *net, struct net_handle *handle)
{
    if (handle->in_flight || handle->cancel_count > 0)
        return;
    if (handle->fd >= 0 && !handle->is_callers) {
        net->syscall_count++;
        close(handle->fd);
    }
    net_handle_free(net, handle);
}

/* True: the kernel holds nothing any more. */
static bool drain(struct net *net)
{
    struct net_event unused[NET_EVENTS_MAX];
    struct net_gather told = {.event = unused};
    for (int round = 0; round < DRAIN_ROUNDS_MAX; round++) {
        bool busy = false;
        for (int i = 0; i < net->slots_used; i++)
            busy |= net->handle[i].state == NET_ENDING;
        if (!busy)
            return true;
        net_uring_recycle(net->uring);
        arm_all(net);
        if (enter(net, DRAIN_ROUND_NS) != 0)
            return false;
        take_all(net, &told);
    }
    return false;
}
