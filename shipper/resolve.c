/* Names to addresses on a thread of its own, so that no worker ever blocks in a resolver. */
#include "shipper/resolve.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ringbuf/ring_order.h"

struct resolver {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct resolve_query *first, **last;
    bool closing;
};

static void *resolver_run(void *argument);
static struct resolve_query *query_take(struct resolver *resolver);
static void query_answer(struct resolve_query *query);
static void query_state(struct resolve_query *query, enum resolve_state state);
static bool host_is_literal(const char *host);
static const struct addrinfo *family_next(const struct addrinfo *at, int family, bool same);

int resolver_open(struct resolver **out)
{
    sigset_t blocked, old; /* signals are the main thread's */
    *out = NULL;
    struct resolver *resolver = calloc(1, sizeof *resolver);
    if (!resolver)
        return -ENOMEM;
    resolver->last = &resolver->first;
    pthread_mutex_init(&resolver->lock, NULL);
    pthread_cond_init(&resolver->changed, NULL);
    sigfillset(&blocked);
    pthread_sigmask(SIG_SETMASK, &blocked, &old);
    int rc = -pthread_create(&resolver->thread, NULL, resolver_run, resolver);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (rc != 0) {
        pthread_cond_destroy(&resolver->changed);
        pthread_mutex_destroy(&resolver->lock);
        free(resolver);
        return rc;
    }
    *out = resolver;
    return 0;
}

/* Queries not begun yet fail: whoever waits for one must not wait for ever. */
void resolver_close(struct resolver *resolver)
{
    if (!resolver)
        return;
    pthread_mutex_lock(&resolver->lock);
    resolver->closing = true;
    pthread_cond_signal(&resolver->changed);
    pthread_mutex_unlock(&resolver->lock);
    pthread_join(resolver->thread, NULL);
    for (struct resolve_query *query = resolver->first, *next; query; query = next) {
        next = query->next;
        snprintf(query->error, sizeof query->error, "name %.80s is not resolved: the resolver was closed", query->host);
        query_state(query, RESOLVE_FAILED);
    }
    pthread_cond_destroy(&resolver->changed);
    pthread_mutex_destroy(&resolver->lock);
    free(resolver);
}

void resolve_begin(struct resolver *resolver, struct resolve_query *query)
{
    query->count = 0;
    query->error[0] = '\0';
    query->next = NULL;
    order_flag_set(&query->state, RESOLVE_BUSY);
    pthread_mutex_lock(&resolver->lock);
    *resolver->last = query;
    resolver->last = &query->next;
    pthread_cond_signal(&resolver->changed);
    pthread_mutex_unlock(&resolver->lock);
}

enum resolve_state resolve_state(const struct resolve_query *query)
{
    return (enum resolve_state)order_flag_get(&query->state);
}

static void *resolver_run(void *argument)
{
    struct resolver *resolver = argument;
    struct resolve_query *query;
    while ((query = query_take(resolver)) != NULL)
        query_answer(query);
    return NULL;
}

/* NULL: the resolver is being closed. */
static struct resolve_query *query_take(struct resolver *resolver)
{
    pthread_mutex_lock(&resolver->lock);
    while (!resolver->closing && !resolver->first)
        pthread_cond_wait(&resolver->changed, &resolver->lock);
    struct resolve_query *query = resolver->closing ? NULL : resolver->first;
    if (query && !(resolver->first = query->next))
        resolver->last = &resolver->first;
    pthread_mutex_unlock(&resolver->lock);
    return query;
}

/* The configured families matter for names only: a literal is to be tried as it stands. */
static void query_answer(struct resolve_query *query)
{
    const bool literal = host_is_literal(query->host);
    const struct addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV | (literal ? AI_NUMERICHOST : AI_ADDRCONFIG)};
    struct addrinfo *list = NULL;
    char port[8];
    snprintf(port, sizeof port, "%u", query->port);
    int rc = getaddrinfo(query->host, port, &hints, &list);
    if (rc != 0) {
        const char *reason = rc == EAI_SYSTEM ? strerror(errno) : gai_strerror(rc);
        snprintf(query->error, sizeof query->error, "name %.80s is not resolved: %s", query->host, reason);
        query_state(query, RESOLVE_FAILED);
        return;
    }
    query->count = resolve_take_addresses(query, list);
    freeaddrinfo(list);
    if (query->count == 0)
        snprintf(query->error, sizeof query->error, "name %.80s has neither an IPv4 nor an IPv6 address", query->host);
    query_state(query, query->count > 0 ? RESOLVE_DONE : RESOLVE_FAILED);
}

/* The query may be gone as soon as its state says so. */
static void query_state(struct resolve_query *query, enum resolve_state state)
{
    const uint64_t one = 1;
    int notify_fd = query->notify_fd;
    order_flag_set(&query->state, state);
    if (notify_fd >= 0 && write(notify_fd, &one, sizeof one) < 0) { /* its counter is full: it wakes anyhow */
    }
}

/* A scope behind % stays with the literal: fe80::1%eth0. */
static bool host_is_literal(const char *host)
{
    struct in_addr v4;
    struct in6_addr v6;
    char bare[sizeof((struct resolve_query *)0)->host];
    snprintf(bare, sizeof bare, "%s", host);
    bare[strcspn(bare, "%")] = '\0';
    return inet_pton(AF_INET, host, &v4) == 1 || inet_pton(AF_INET6, bare, &v6) == 1;
}

/* The resolver's own order within a family, the families by turns: a host without IPv6 to the world loses one attempt, not all. */
int resolve_take_addresses(struct resolve_query *query, const struct addrinfo *list)
{
    int count = 0;
    while (list && list->ai_family != AF_INET && list->ai_family != AF_INET6)
        list = list->ai_next;
    if (!list)
        return 0;
    const struct addrinfo *turn[2] = {list, family_next(list, list->ai_family, false)};
    for (int i = 0; count < RESOLVE_ADDRESSES_MAX && (turn[0] || turn[1]); i ^= 1) {
        const struct addrinfo *at = turn[i];
        if (!at)
            continue;
        if (at->ai_addrlen <= sizeof query->address[0]) {
            memcpy(&query->address[count], at->ai_addr, at->ai_addrlen);
            query->address_len[count++] = at->ai_addrlen;
        }
        turn[i] = family_next(at->ai_next, list->ai_family, i == 0);
    }
    return count;
}

/* The next internet address that is of `family`, or of the other one. */
static const struct addrinfo *family_next(const struct addrinfo *at, int family, bool same)
{
    while (at && ((at->ai_family != AF_INET && at->ai_family != AF_INET6) || (at->ai_family == family) != same))
        at = at->ai_next;
    return at;
}
