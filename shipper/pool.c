/* A worker's connections of one stream: how many there are, which one takes a further link, when one more is made, when one is drained and
 * closed. */
#include "shipper/pool.h"

#include <errno.h>
#include <stdlib.h>

#include "ringbuf/ring_order.h"
#include "shipper/backoff.h"
#include "shipper/clock.h"
#include "shipper/log.h"

#define PERMIT_WAIT_NS (10 * CLOCK_NS_PER_MS)   /* another worker's connection stands in the way of one more */
#define BLOCKED_NS_MIN (5 * CLOCK_NS_PER_MS)    /* a linger of nothing would take each full socket for a full connection */
#define SATURATED_NS (10 * CLOCK_NS_PER_SECOND) /* so long it counts as loaded: long enough for the connection that was opened for it */
#define MOVE_LINKS_MIN 2u                       /* a move must leave the two connections more alike than before */

static bool uplink_takes(const struct uplink *up);
static bool uplink_is_saturated(const struct uplink *up, int64_t now_ns);
static uint32_t pool_missing(const struct pool *pool, bool wanted, int64_t now_ns, const char **why);
static bool pool_begin_one(struct pool *pool, const char *why, int64_t now_ns, int64_t *next_ns);
static void pool_expire(struct pool *pool, bool wanted, int64_t now_ns, int64_t *next_ns);
static void uplink_expire(struct pool *pool, struct uplink *up, bool is_old, int64_t now_ns, int64_t *next_ns);
static void uplink_drain(struct uplink *up, const char *why, int64_t now_ns);
static int64_t lifespan_ns(uint32_t seconds);
static void gauges_store(const struct pool *pool);

uint32_t pool_share(uint32_t max_size, uint32_t index, uint32_t count)
{
    uint32_t share = max_size / count + (index < max_size % count ? 1 : 0);
    return share ? share : 1;
}

int pool_open(struct pool *pool, struct stream *stream, struct setup *setup, struct net *net, struct resolver *resolver,
              struct credentials *credentials, int wake_fd, uint32_t worker, uint32_t worker_count)
{
    *pool = (struct pool){
        .stream = stream, .setup = setup, .counters = &stream->words->worker[worker], .worker = worker, .worker_count = worker_count};
    pool->uplink = calloc(pool_share(CONFIG_CONNECTIONS_MAX, worker, worker_count), sizeof *pool->uplink); /* untouched: not yet memory */
    if (!pool->uplink)
        return -ENOMEM;
    pool->limit = pool->size = pool_share(setup->config.max_size, worker, worker_count);
    for (uint32_t i = 0; i < pool->size; i++)
        uplink_open(&pool->uplink[i], stream, setup, net, resolver, credentials, wake_fd, worker, &pool->health);
    return 0;
}

void pool_close(struct pool *pool)
{
    for (uint32_t i = 0; i < pool->size; i++)
        uplink_end(&pool->uplink[i]);
    if (pool->uplink)
        gauges_store(pool);
    for (uint32_t i = 0; i < pool->size; i++)
        uplink_free(&pool->uplink[i]);
    free(pool->uplink);
    *pool = (struct pool){0};
}

void pool_configure(struct pool *pool, struct setup *setup, bool replace, int64_t now_ns)
{
    const struct uplink *like = &pool->uplink[0];
    pool->setup = setup;
    pool->limit = pool_share(setup->config.max_size, pool->worker, pool->worker_count);
    pool->limit_told = false;
    for (; pool->size < pool->limit; pool->size++)
        uplink_open(&pool->uplink[pool->size], pool->stream, setup, like->net, like->resolver, like->credentials, like->query.notify_fd,
                    pool->worker, &pool->health);
    if (replace)
        pool->health = (struct uplink_health){0};
    for (uint32_t i = 0; i < pool->size; i++) {
        struct uplink *up = &pool->uplink[i];
        if (uplink_configure(up, setup, replace || i >= pool->limit, now_ns) && !up->draining)
            uplink_drain(
                up, replace ? "connection belongs to the old configuration, it is replaced" : "connection is one too many, it is closed",
                now_ns);
    }
}

/* Slots above the share go once they are idle. */
static void pool_shrink(struct pool *pool)
{
    while (pool->size > pool->limit) {
        struct uplink *up = &pool->uplink[pool->size - 1];
        if (up->state != UPLINK_IDLE || up->lost || up->link_count > 0)
            return;
        uplink_free(up);
        pool->size--;
    }
}

int64_t pool_step(struct pool *pool, bool wanted, int64_t now_ns)
{
    int64_t next_ns = INT64_MAX;
    pool_shrink(pool);
    for (uint32_t i = 0; i < pool->size; i++) {
        int64_t at_ns = uplink_step(&pool->uplink[i], now_ns);
        if (uplink_is_saturated(&pool->uplink[i], now_ns))
            pool->uplink[i].saturated_ns = now_ns;
        if (at_ns < next_ns)
            next_ns = at_ns;
    }
    pool_expire(pool, wanted, now_ns, &next_ns);
    const char *why = "";
    for (uint32_t missing = pool_missing(pool, wanted, now_ns, &why); missing > 0; missing--)
        if (!pool_begin_one(pool, why, now_ns, &next_ns))
            break;
    pool->short_links = 0;
    gauges_store(pool);
    return next_ns;
}

/* How many connections to begin now, on top of those that are under way, and why. */
static uint32_t pool_missing(const struct pool *pool, bool wanted, int64_t now_ns, const char **why)
{
    uint32_t usable = 0, under_way = 0, saturated = 0;
    if (!wanted)
        return 0;
    for (uint32_t i = 0; i < pool->size; i++) {
        const struct uplink *up = &pool->uplink[i];
        bool is_usable = uplink_is_ready(up) && !up->draining;
        usable += is_usable;
        under_way += uplink_is_under_way(up) && !up->draining;
        saturated += is_usable && up->link_count >= MOVE_LINKS_MIN && uplink_is_saturated(up, now_ns);
    }
    uint32_t limit = pool->setup->config.client_limit, want = (pool->short_links + limit - 1) / limit;
    *why = usable == 0 ? "none is ready" : want > 0 ? "no link is free" : "output stands on all";
    if (want == 0 && (usable == 0 || saturated == usable))
        want = 1;
    return want > under_way ? want - under_way : 0;
}

/* false: not now; *next_ns says when to ask again. */
static bool pool_begin_one(struct pool *pool, const char *why, int64_t now_ns, int64_t *next_ns)
{
    if (now_ns < pool->health.retry_at_ns) {
        if (pool->health.retry_at_ns < *next_ns)
            *next_ns = pool->health.retry_at_ns;
        return false;
    }
    for (uint32_t i = 0; i < pool->limit; i++) {
        struct uplink *up = &pool->uplink[i];
        if (up->state != UPLINK_IDLE || up->lost)
            continue;
        if (uplink_begin(up, now_ns)) {
            log_line(LOG_DEBUG, "pool", "connection begun", "stream=%s worker=%u slot=%u why=\"%s\" short_links=%u",
                     pool->setup->config.name, up->worker, i, why, pool->short_links);
            return true;
        }
        if (now_ns + PERMIT_WAIT_NS < *next_ns)
            *next_ns = now_ns + PERMIT_WAIT_NS;
        return false;
    }
    return false;
}

/* Idle and old connections: marked first, closed when nothing of theirs is in flight. The last one that is in use is replaced only when its
 * successor is there, if there may be two. */
static void pool_expire(struct pool *pool, bool wanted, int64_t now_ns, int64_t *next_ns)
{
    uint32_t usable = 0;
    bool draining = false;
    for (uint32_t i = 0; i < pool->size; i++) {
        usable += uplink_is_ready(&pool->uplink[i]) && !pool->uplink[i].draining;
        draining |= pool->uplink[i].draining;
    }
    for (uint32_t i = 0; i < pool->size; i++) {
        struct uplink *up = &pool->uplink[i];
        if (!uplink_is_ready(up))
            continue;
        bool is_old = up->expires_ns && now_ns >= up->expires_ns && !up->draining && !draining;
        bool may_replace = !wanted || usable > 1 || pool->size == 1;
        if (is_old && !may_replace)
            pool->short_links++;
        draining |= is_old;
        uplink_expire(pool, up, is_old && may_replace, now_ns, next_ns);
    }
}

static void uplink_expire(struct pool *pool, struct uplink *up, bool is_old, int64_t now_ns, int64_t *next_ns)
{
    const struct config_stream *config = &pool->setup->config;
    int64_t idle_at_ns = up->inflight_count ? INT64_MAX : up->used_ns + config->max_idle_seconds * CLOCK_NS_PER_SECOND;
    if (config->max_lifespan_seconds && up->expires_ns == 0)
        up->expires_ns = up->ready_ns + lifespan_ns(config->max_lifespan_seconds);
    if (now_ns >= idle_at_ns && !up->draining) {
        order_none_add64(&pool->counters->expired_idle_count, 1);
        uplink_drain(up, "connection is idle, it is closed", now_ns);
    } else if (is_old) {
        order_none_add64(&pool->counters->expired_lifespan_count, 1);
        uplink_drain(up, "connection has reached its life span, it is replaced", now_ns);
    }
    if (up->draining) {
        if (up->inflight_count == 0)
            uplink_close(up, now_ns);
        return;
    }
    if (idle_at_ns < *next_ns)
        *next_ns = idle_at_ns;
    if (up->expires_ns > now_ns && up->expires_ns < *next_ns)
        *next_ns = up->expires_ns;
}

static void uplink_drain(struct uplink *up, const char *why, int64_t now_ns)
{
    up->draining = true;
    log_line(LOG_INFO, "pool", why, "stream=%s worker=%u links=%u inflight=%u age_seconds=%lld", up->setup->config.name, up->worker,
             up->link_count, up->inflight_count, (long long)((now_ns - up->ready_ns) / CLOCK_NS_PER_SECOND));
}

/* A tenth more or less: connections that were made together are not replaced together. */
static int64_t lifespan_ns(uint32_t seconds)
{
    int64_t span_ns = seconds * CLOCK_NS_PER_SECOND;
    return backoff_random_between(span_ns - span_ns / 10, span_ns + span_ns / 10);
}

static bool uplink_takes(const struct uplink *up)
{
    return uplink_is_ready(up) && !up->draining && up->link_count < up->setup->config.client_limit;
}

static bool uplink_is_saturated(const struct uplink *up, int64_t now_ns)
{
    int64_t linger_ns = up->setup->config.linger_ms * CLOCK_NS_PER_MS;
    return up->blocked_ns && now_ns - up->blocked_ns >= (linger_ns > BLOCKED_NS_MIN ? linger_ns : BLOCKED_NS_MIN);
}

struct uplink *pool_place(struct pool *pool)
{
    struct uplink *best = NULL;
    for (uint32_t i = 0; i < pool->size; i++) {
        struct uplink *up = &pool->uplink[i];
        if (uplink_takes(up) && (!best || up->link_count < best->link_count))
            best = up;
    }
    if (!best)
        pool->short_links++;
    return best;
}

bool pool_wants_move(const struct pool *pool, const struct uplink *from, int64_t now_ns)
{
    if (from->draining)
        return true;
    if (from->saturated_ns == 0 || now_ns - from->saturated_ns > SATURATED_NS)
        return false;
    for (uint32_t i = 0; i < pool->size; i++) {
        const struct uplink *up = &pool->uplink[i];
        if (uplink_takes(up) && !uplink_is_saturated(up, now_ns) && up->link_count + MOVE_LINKS_MIN <= from->link_count)
            return true;
    }
    return false;
}

bool pool_is_exhausted(const struct pool *pool, int64_t now_ns)
{
    for (uint32_t i = 0; i < pool->size; i++) {
        const struct uplink *up = &pool->uplink[i];
        bool must_wait = up->state == UPLINK_IDLE && !up->lost && now_ns < pool->health.retry_at_ns; /* the last try has failed */
        if (!must_wait && (!uplink_is_ready(up) || up->draining))
            return false;
    }
    return pool->short_links > 0;
}

bool pool_is_ready(const struct pool *pool)
{
    for (uint32_t i = 0; i < pool->size; i++)
        if (uplink_is_ready(&pool->uplink[i]))
            return true;
    return false;
}

struct uplink *pool_find(struct pool *pool, int handle)
{
    for (uint32_t i = 0; i < pool->size; i++)
        if (pool->uplink[i].handle == handle)
            return &pool->uplink[i];
    return NULL;
}

bool pool_is_idle(const struct pool *pool)
{
    for (uint32_t i = 0; i < pool->size; i++)
        if (pool->uplink[i].state != UPLINK_IDLE || pool->uplink[i].lost)
            return false;
    return true;
}

bool pool_shut(struct pool *pool, int64_t now_ns)
{
    bool closed = true;
    for (uint32_t i = 0; i < pool->size; i++) {
        struct uplink *up = &pool->uplink[i];
        up->draining |= up->state == UPLINK_RESOLVING; /* its answer finds nobody */
        if (up->state != UPLINK_IDLE && up->state != UPLINK_CLOSING && up->state != UPLINK_RESOLVING)
            uplink_close(up, now_ns);
        closed &= up->state == UPLINK_IDLE || up->state == UPLINK_RESOLVING; /* the resolver still writes into the query */
    }
    return closed;
}

static void gauges_store(const struct pool *pool)
{
    uint64_t ready = 0, connecting = 0, links = 0, busiest = 0;
    for (uint32_t i = 0; i < pool->size; i++) {
        const struct uplink *up = &pool->uplink[i];
        ready += uplink_is_ready(up) && up->has_credit;
        connecting += uplink_is_under_way(up);
        links += up->link_count;
        busiest = up->link_count > busiest ? up->link_count : busiest;
    }
    order_none_store64(&pool->counters->ready_connection_count, ready);
    order_none_store64(&pool->counters->connecting, connecting);
    order_none_store64(&pool->counters->links, links);
    order_none_store64(&pool->counters->links_of_busiest, busiest);
    order_none_store64(&pool->counters->circuit_state, pool->health.circuit.state);
}
