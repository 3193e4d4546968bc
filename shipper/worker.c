/* One thread, one lane in every ring, its connections and network loop: one turn of the pipeline after the other. */
#include "shipper/worker.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "ringbuf/ring_order.h"
#include "shipper/clock.h"
#include "shipper/log.h"
#include "shipper/worker_internal.h"

#define PASS_WAIT_NS_MIN (100 * INT64_C(1000)) /* between two looks at the rings while there is traffic */
#define PASS_WAIT_NS_MAX CLOCK_NS_PER_MS
#define PASS_LINGER_SHARE 8 /* of the linger may pass between two looks */
#define PASS_WALK_FACTOR 4  /* so many times as long as a look at many rings takes nothing is looked at */
#define IDLE_PASSES_BEFORE_SLEEP 20u
#define SLEEP_NS_MAX CLOCK_NS_PER_SECOND
#define SLEEP_NS_UNFENCED (5 * CLOCK_NS_PER_MS) /* where membarrier is forbidden */
#define FIFO_CHUNKS 4096u                       /* 16 MiB of positions at the most */
static_assert(NET_HANDLES_MAX > 11 * CONFIG_STREAMS_MAX,
              "a doorbell and a pool of the usual size for each stream, and the worker's eventfd");

static void *worker_run(void *argument);
static void worker_turn(struct worker *worker);
static void worker_give_up(const struct worker *worker, int rc);
static void worker_net_event(struct worker *worker, const struct net_event *event, int64_t now_ns);
static bool worker_is_done(struct worker *worker, int64_t now_ns);
static int64_t pass_wait_ns(const struct worker *worker);
static int64_t wait_within(const struct worker *worker, int64_t now_ns);
static int64_t worker_rest(struct worker *worker, uint32_t done_count, bool more, int64_t now_ns);

int worker_open(struct worker *worker, uint32_t index, struct worker_shared *shared, char *why, size_t why_len)
{
    *worker = (struct worker){.index = index, .shared = shared, .wake_fd = -1};
    pthread_mutex_init(&worker->inbox_lock, NULL);
    int rc = net_open(shared->net, &worker->net, why, why_len);
    if (rc != 0)
        return rc;
    if (index == 0)
        log_line(LOG_INFO, "net", net_kind_of(worker->net) == NET_URING ? "network by io_uring" : "network by epoll", "reason=\"%s\"", why);
    snprintf(why, why_len, "worker %u: out of memory or descriptors", index);
    worker->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (worker->wake_fd < 0 || net_watch(worker->net, worker->wake_fd) < 0)
        return -ENOMEM;
    if (fifo_pool_open(&worker->fifo_pool, FIFO_CHUNKS) != 0 || inflight_open(&worker->inflight) != 0)
        return -ENOMEM;
    for (uint32_t s = 0; s < CONFIG_STREAMS_MAX; s++) {
        if (shared->stream[s].state != STREAM_OPEN)
            continue;
        struct worker_stream *ws = worker_stream_make(worker, &shared->stream[s]);
        if (!ws || worker_stream_join(worker, ws) != 0)
            return -ENOMEM;
    }
    worker->can_barrier = ring_bell_barrier() == 0;
    return 0;
}

void worker_close(struct worker *worker)
{
    for (uint32_t s = 0; s < worker->stream_count; s++)
        worker_stream_free(worker->stream[s]);
    for (uint32_t i = 0; i < WORKER_LETTERS_MAX; i++)
        deadletter_buf_free(&worker->letter[i].text);
    free(worker->letter_body);
    inflight_close(&worker->inflight);
    fifo_pool_close(&worker->fifo_pool);
    net_close(worker->net);
    if (worker->wake_fd >= 0)
        close(worker->wake_fd);
    worker_inbox_close(worker);
    pthread_mutex_destroy(&worker->inbox_lock);
}

int worker_start(struct worker *worker)
{
    sigset_t blocked, old; /* signals are the main thread's; SIGBUS stays open for the rings */
    sigfillset(&blocked);
    sigdelset(&blocked, SIGBUS);
    sigdelset(&blocked, SIGSEGV);
    pthread_sigmask(SIG_SETMASK, &blocked, &old);
    order_count_add(&worker->shared->rest.awake_count, 1);
    int rc = -pthread_create(&worker->thread, NULL, worker_run, worker);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return rc;
}

void worker_wake(struct worker *worker)
{
    uint64_t one = 1;
    if (write(worker->wake_fd, &one, sizeof one) < 0) { /* full: it wakes anyhow */
    }
}

bool worker_has_ended(const struct worker *worker)
{
    return order_flag_get(&worker->ended);
}
void worker_join(struct worker *worker)
{
    pthread_join(worker->thread, NULL);
}

static void *worker_run(void *argument)
{
    struct worker *worker = argument;
    while (!worker_is_done(worker, clock_mono_ns()))
        worker_turn(worker);
    order_count_add(&worker->shared->rest.awake_count, -1);
    order_flag_set(&worker->ended, 1);
    uint64_t one = 1;
    if (write(worker->shared->main_fd, &one, sizeof one) < 0) { /* full: it is awake */
    }
    return NULL;
}

/* The architecture on one screen:
 *   completions -> tls_decrypt -> conn_input -> settlements -> inflight -> done_pos -> lane ack -> gate
 *   rings -> walk -> domain -> batch_seal -> amqp encode -> conn_send -> tls_encrypt -> net_send */
static void worker_turn(struct worker *worker)
{
    int64_t now_ns = clock_mono_ns();
    uint32_t done = 0, lanes_seen = 0;
    bool more = false;
    worker->next_ns = worker->linger_ns = now_ns + SLEEP_NS_MAX;
    if (worker->stopping && now_ns < worker->stop_deadline_ns)
        worker_timer(worker, worker->stop_deadline_ns);
    worker_inbox_take(worker, now_ns);
    done += worker_letters_take(worker, now_ns);
    bool pass = now_ns >= worker->pass_ns || worker->is_eager;
    if (pass)
        worker->walk_ns = 0;
    for (uint32_t s = 0; s < worker->stream_count; s++) {
        struct worker_stream *ws = worker->stream[s];
        uint32_t met = worker_stream_turn(worker, ws, pass, now_ns);
        done += met;
        more |= met >= FEED_WALK_BUDGET;
        lanes_seen |= pass ? ws->feed.lanes_seen : 0;
    }
    worker_streams_close(worker, now_ns);
    for (uint32_t k = 0; lanes_seen && k < worker->shared->worker_count; k++)
        if (k != worker->index && lanes_seen >> k & 1 && order_count_load(&worker->shared->worker[k].asleep))
            worker_wake(&worker->shared->worker[k]);
    int64_t wait_ns = pass ? worker_rest(worker, done, more, now_ns) : wait_within(worker, now_ns);
    int count = net_wait(worker->net, wait_ns, worker->event);
    if (count < 0)
        worker_give_up(worker, count);
    if (order_none_load32(&worker->asleep)) {
        order_count_add(&worker->asleep, -1);
        order_count_add(&worker->shared->rest.awake_count, 1);
        for (uint32_t s = 0; s < worker->stream_count; s++)
            feed_bell(&worker->stream[s]->feed, 0);
    }
    now_ns = clock_mono_ns();
    for (int i = 0; i < count; i++)
        worker_net_event(worker, &worker->event[i], now_ns);
}

/* The backend itself broke: nothing here can mend it, and all is safe in the rings for the next start. */
static void worker_give_up(const struct worker *worker, int rc)
{
    log_line(LOG_ERROR, "net", "the network backend failed: the shipper ends and must be started again", "worker=%u error=\"%s\"",
             worker->index, strerror(-rc));
    log_flush();
    _exit(1);
}

static void worker_net_event(struct worker *worker, const struct net_event *event, int64_t now_ns)
{
    worker->idle_passes = 0;
    if (event->kind == NET_WATCHED) {
        uint64_t count;
        worker_look_soon(worker);
        if (read(worker->wake_fd, &count, sizeof count) < 0) { /* the other one rang */
        }
        for (uint32_t s = 0; s < worker->stream_count; s++)
            ring_bell_drain(worker->stream[s]->stream->bell_fd);
        return;
    }
    for (uint32_t s = 0; s < worker->stream_count; s++) {
        struct worker_stream *ws = worker->stream[s];
        struct uplink *up = pool_find(&ws->pool, event->handle);
        if (!up)
            continue;
        uplink_net_event(up, event, now_ns);
        worker_uplink_events(worker, ws, up, now_ns); /* at once: a later event may end the connection */
        return;
    }
}

/* Drained (or out of time), then the connections are closed in order, then it is over. */
static bool worker_is_done(struct worker *worker, int64_t now_ns)
{
    if (worker->quitting)
        return true;
    if (!worker->stopping)
        return false;
    bool idle = true, late = now_ns >= worker->stop_deadline_ns;
    for (uint32_t s = 0; s < worker->stream_count; s++)
        idle &= worker_stream_is_idle(worker->stream[s]);
    if (!idle && !late)
        return false;
    bool closed = true;
    for (uint32_t s = 0; s < worker->stream_count; s++)
        closed &= pool_shut(&worker->stream[s]->pool, now_ns);
    return closed;
}

/* While the linger lasts there is time to meet more at once, unless a ring fills fast; and looking at many rings that have nothing is not
 * to be what the worker does. */
static int64_t pass_wait_ns(const struct worker *worker)
{
    int64_t wait_ns = PASS_WAIT_NS_MAX, walk_ns = PASS_WALK_FACTOR * worker->walk_ns;
    for (uint32_t s = 0; s < worker->stream_count; s++) {
        const struct worker_stream *ws = worker->stream[s];
        int64_t linger_ns = ws->setup->config.linger_ms * CLOCK_NS_PER_MS / PASS_LINGER_SHARE;
        if (ws->feed.is_filling)
            return PASS_WAIT_NS_MIN;
        if (linger_ns < wait_ns)
            wait_ns = linger_ns;
    }
    if (wait_ns < walk_ns)
        wait_ns = walk_ns < PASS_WAIT_NS_MAX ? walk_ns : PASS_WAIT_NS_MAX;
    return wait_ns > PASS_WAIT_NS_MIN ? wait_ns : PASS_WAIT_NS_MIN;
}

/* Until the next look at the rings or the next timer. */
static int64_t wait_within(const struct worker *worker, int64_t now_ns)
{
    int64_t at_ns = worker->next_ns < worker->pass_ns ? worker->next_ns : worker->pass_ns;
    return at_ns > now_ns ? at_ns - now_ns : 0;
}

/* How long the turn that has looked at the rings may wait. Before a sleep they are told to ring, and looked at once more. */
static int64_t worker_rest(struct worker *worker, uint32_t done_count, bool more, int64_t now_ns)
{
    worker->idle_passes = done_count ? 0 : worker->idle_passes + 1;
    worker->pass_ns = 0;
    if (more)
        return 0;
    if (worker->idle_passes < IDLE_PASSES_BEFORE_SLEEP) {
        int64_t ended_ns = clock_mono_ns();
        int64_t pass_ns = pass_wait_ns(worker);
        worker->is_eager = pass_ns == PASS_WAIT_NS_MIN;
        worker->pass_ns = ended_ns + pass_ns;
        return wait_within(worker, ended_ns);
    }
    worker_timer(worker, worker->linger_ns);
    int64_t timer_ns = worker->next_ns > now_ns ? worker->next_ns - now_ns : 0;
    order_count_add(&worker->asleep, 1);
    bool last = order_count_add(&worker->shared->rest.awake_count, -1) == 0, unwalked = false;
    if (last) {
        uint32_t number = order_count_add(&worker->shared->rest.sleep_number, 1);
        for (uint32_t s = 0; s < worker->stream_count; s++)
            feed_bell(&worker->stream[s]->feed, number ? number : 1);
        if (ring_bell_barrier() != 0)
            worker->can_barrier = false;
    }
    for (uint32_t s = 0; s < worker->stream_count; s++)
        unwalked |= feed_has_unwalked(&worker->stream[s]->feed);
    if (unwalked)
        return 0; /* the flags are taken back behind net_wait, as after any sleep */
    for (uint32_t s = 0; s < worker->stream_count; s++)
        order_none_add64(&worker->stream[s]->counters->sleep_count, 1);
    if (!worker->can_barrier && timer_ns > SLEEP_NS_UNFENCED)
        return SLEEP_NS_UNFENCED;
    return timer_ns;
}
