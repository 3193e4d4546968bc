/* The thread that fetches tokens: who asks, what is kept per identity, when it is tried again. */
#include "shipper/credential.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "ringbuf/ring_order.h"
#include "shipper/clock.h"
#include "shipper/credential_internal.h"
#include "shipper/log.h"

#define ENTRIES_MAX 128u
#define RENEWAL_WAIT_MS_MIN 1000

/* One identity. All under the lock but what the attempt under way works on. */
struct entry {
    struct credential_options options;
    struct credential_memory memory;        /* the thread's while is_fetching */
    struct credential_token *token;         /* the last one, NULL: none */
    struct credential_query *first, **last; /* who waits, in the order of asking */
    struct credential_result failure;       /* of the last attempt, with a verdict other than GIVEN until one succeeds */
    uint32_t tried_count;                   /* attempts in a row that failed and are followed by another */
    int64_t try_at_ns;                      /* CLOCK_MONOTONIC: not before */
    bool is_fetching;
    struct entry *next; /* the one asked longest ago last */
};

struct credentials {
    pthread_t thread;
    pthread_mutex_t lock;
    struct credential_limits limits;
    int wake_fd; /* something is to be done */
    int stop_fd; /* readable for ever once it is to end */
    bool closing;
    uint32_t entry_count;
    struct entry *entries;
};

static int thread_start(struct credentials *credentials);
static void *credentials_run(void *argument);
static int64_t entries_serve(struct credentials *credentials);
static struct entry *entry_find(struct credentials *credentials, const struct credential_options *options);
static struct entry *entry_make(struct credentials *credentials, const struct credential_options *options);
static bool entry_drop_oldest(struct credentials *credentials);
static void entry_free(struct entry *entry);
static bool entry_serve(struct credentials *credentials, struct entry *entry, int64_t *next_ns);
static void entry_fetch(struct credentials *credentials, struct entry *entry);
static void entry_take_result(struct credentials *credentials, struct entry *entry, struct credential_result *result);
static int64_t renewal_wait_ms(const struct credential_token *token, const struct credential_limits *limits);
static void entry_answer(struct entry *entry);
static void query_answer(struct credential_query *query, const struct credential_result *result);
static void result_clear(struct credential_result *result);

int credentials_open(const struct credential_limits *limits, struct credentials **out)
{
    *out = NULL;
    struct credentials *credentials = calloc(1, sizeof *credentials);
    if (!credentials)
        return -ENOMEM;
    credentials->limits = limits ? *limits : credential_limits_default;
    pthread_mutex_init(&credentials->lock, NULL);
    credentials->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    credentials->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int rc = credentials->wake_fd < 0 || credentials->stop_fd < 0 ? -errno : thread_start(credentials);
    if (rc == 0) {
        *out = credentials;
        return 0;
    }
    if (credentials->wake_fd >= 0)
        close(credentials->wake_fd);
    if (credentials->stop_fd >= 0)
        close(credentials->stop_fd);
    pthread_mutex_destroy(&credentials->lock);
    free(credentials);
    return rc;
}

static int thread_start(struct credentials *credentials)
{
    sigset_t blocked, old; /* signals are the main thread's */
    sigfillset(&blocked);
    pthread_sigmask(SIG_SETMASK, &blocked, &old);
    int rc = -pthread_create(&credentials->thread, NULL, credentials_run, credentials);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return rc;
}

static void ring(int fd)
{
    const uint64_t one = 1;
    if (fd >= 0 && write(fd, &one, sizeof one) < 0) { /* its counter is full: it wakes anyhow */
    }
}

void credentials_close(struct credentials *credentials)
{
    if (!credentials)
        return;
    pthread_mutex_lock(&credentials->lock);
    credentials->closing = true;
    pthread_mutex_unlock(&credentials->lock);
    ring(credentials->stop_fd);
    ring(credentials->wake_fd);
    pthread_join(credentials->thread, NULL);
    for (struct entry *entry = credentials->entries, *next; entry; entry = next) {
        next = entry->next;
        entry_free(entry);
    }
    close(credentials->wake_fd);
    close(credentials->stop_fd);
    pthread_mutex_destroy(&credentials->lock);
    free(credentials);
}

void credential_begin(struct credentials *credentials, struct credential_query *query, const struct credential_options *options)
{
    static const struct credential_result too_many = {.verdict = CREDENTIAL_LATER,
                                                      .error = "no token: too many identities wait for one, or memory is out"};
    int64_t ignored_ns = 0;
    result_clear(&query->result);
    query->next = NULL;
    order_flag_set(&query->state, CREDENTIAL_BUSY);
    pthread_mutex_lock(&credentials->lock);
    struct entry *entry = entry_find(credentials, options);
    if (!entry)
        entry = entry_make(credentials, options);
    if (entry) {
        *entry->last = query;
        entry->last = &query->next;
        if (!entry_serve(credentials, entry, &ignored_ns)) /* the thread may be busy with another one: what is kept is given here */
            ring(credentials->wake_fd);
    } else {
        query_answer(query, &too_many);
    }
    pthread_mutex_unlock(&credentials->lock);
}

enum credential_state credential_state(const struct credential_query *query)
{
    return (enum credential_state)order_flag_get(&query->state);
}

void credential_forget(struct credentials *credentials, struct credential_query *query)
{
    if (credential_state(query) == CREDENTIAL_BUSY) {
        pthread_mutex_lock(&credentials->lock);
        for (struct entry *entry = credentials->entries; entry; entry = entry->next)
            for (struct credential_query **at = &entry->first; *at; at = &(*at)->next)
                if (*at == query) {
                    *at = query->next;
                    if (!*at)
                        entry->last = at;
                    break;
                }
        pthread_mutex_unlock(&credentials->lock);
    }
    result_clear(&query->result);
    order_flag_set(&query->state, CREDENTIAL_IDLE);
}

void credential_distrust(struct credentials *credentials, const struct credential_token *token)
{
    pthread_mutex_lock(&credentials->lock);
    for (struct entry *entry = credentials->entries; entry; entry = entry->next)
        if (entry->token == token) {
            credential_token_give(entry->token);
            entry->token = NULL;
            entry->try_at_ns = 0;
            break;
        }
    pthread_mutex_unlock(&credentials->lock);
}

static void *credentials_run(void *argument)
{
    struct credentials *credentials = argument;
    int64_t next_ns = INT64_MAX;
    uint64_t ignored;
    for (;;) {
        int64_t now_ns = clock_mono_ns(), wait_ms = next_ns <= now_ns ? 0 : (next_ns - now_ns) / CLOCK_NS_PER_MS + 1;
        struct pollfd wake = {.fd = credentials->wake_fd, .events = POLLIN};
        int count = poll(&wake, 1, next_ns == INT64_MAX ? -1 : wait_ms < INT32_MAX ? (int)wait_ms : INT32_MAX);
        if (count > 0 && read(credentials->wake_fd, &ignored, sizeof ignored) < 0) { /* it is looked at anyhow */
        }
        pthread_mutex_lock(&credentials->lock);
        bool closing = credentials->closing;
        next_ns = closing ? 0 : entries_serve(credentials);
        pthread_mutex_unlock(&credentials->lock);
        if (closing)
            return NULL;
    }
}

/* One attempt at most, then a look at who else has come meanwhile. When to come again. */
static int64_t entries_serve(struct credentials *credentials)
{
    int64_t next_ns = INT64_MAX;
    for (struct entry *entry = credentials->entries; entry; entry = entry->next)
        if (!entry_serve(credentials, entry, &next_ns) && clock_mono_ns() >= entry->try_at_ns) {
            entry_fetch(credentials, entry);
            return 0;
        }
    return next_ns;
}

/* The last asked comes first. */
static struct entry *entry_find(struct credentials *credentials, const struct credential_options *options)
{
    for (struct entry **at = &credentials->entries; *at; at = &(*at)->next)
        if (credential_options_equal(&(*at)->options, options)) {
            struct entry *entry = *at;
            *at = entry->next;
            entry->next = credentials->entries;
            credentials->entries = entry;
            return entry;
        }
    return NULL;
}

static struct entry *entry_make(struct credentials *credentials, const struct credential_options *options)
{
    if (credentials->entry_count == ENTRIES_MAX && !entry_drop_oldest(credentials))
        return NULL;
    struct entry *entry = calloc(1, sizeof *entry);
    if (!entry)
        return NULL;
    entry->options = *options;
    entry->last = &entry->first;
    entry->next = credentials->entries;
    credentials->entries = entry;
    credentials->entry_count++;
    return entry;
}

/* Options that were changed long ago leave an identity that nobody asks for any more. */
static bool entry_drop_oldest(struct credentials *credentials)
{
    struct entry **oldest = NULL;
    for (struct entry **at = &credentials->entries; *at; at = &(*at)->next)
        if (!(*at)->is_fetching && !(*at)->first)
            oldest = at;
    if (!oldest)
        return false;
    struct entry *entry = *oldest;
    *oldest = entry->next;
    entry_free(entry);
    credentials->entry_count--;
    return true;
}

static void entry_free(struct entry *entry)
{
    credential_token_give(entry->token);
    explicit_bzero(entry, sizeof *entry);
    free(entry);
}

/* True: nobody waits (any more). False: an attempt is needed, at try_at_ns, to which next_ns is lowered, or is under way. */
static bool entry_serve(struct credentials *credentials, struct entry *entry, int64_t *next_ns)
{
    int64_t wall_ns = clock_wall_ns(), now_ns = clock_mono_ns();
    bool lives = entry->token && wall_ns < entry->token->expires_ns;
    if (!entry->first || credentials->closing)
        return true;
    bool waits = now_ns < entry->try_at_ns; /* for the next attempt */
    if ((lives && (wall_ns < entry->token->refresh_ns || waits)) ||
        (!lives && waits && entry->tried_count == 0 && entry->failure.verdict != CREDENTIAL_GIVEN)) {
        entry_answer(entry);
        return true;
    }
    if (entry->try_at_ns < *next_ns)
        *next_ns = entry->try_at_ns;
    return false;
}

/* Without the lock while it works: the entry stays, for it is marked. */
static void entry_fetch(struct credentials *credentials, struct entry *entry)
{
    struct credential_result result;
    struct credential_options options = entry->options;
    struct credential_memory memory = entry->memory;
    entry->is_fetching = true;
    pthread_mutex_unlock(&credentials->lock);
    credential_try(&options, &credentials->limits, &memory, credentials->stop_fd, INT64_MAX, &result);
    explicit_bzero(&options, sizeof options);
    pthread_mutex_lock(&credentials->lock);
    entry->is_fetching = false;
    entry->memory = memory;
    entry_take_result(credentials, entry, &result);
}

/* Whoever waits while an old token lives gets that one at once: only the next attempt is put off. Else the attempt is repeated for a
 * while, and then the failure is told, and told again for a moment without another attempt. */
static void entry_take_result(struct credentials *credentials, struct entry *entry, struct credential_result *result)
{
    const struct credential_limits *limits = &credentials->limits;
    const char *name = credential_kind_name(entry->options.kind);
    char quoted[CREDENTIAL_ERROR_BYTES + 100];
    int64_t now_ns = clock_mono_ns();
    if (result->verdict == CREDENTIAL_GIVEN) {
        credential_token_give(entry->token);
        entry->token = result->token;
        entry->tried_count = 0;
        entry->try_at_ns = 0;
        entry->failure = (struct credential_result){.verdict = CREDENTIAL_GIVEN};
        log_line(LOG_DEBUG, "credential", "a token was given", "credential=%s by=%s life_seconds=%lld", name,
                 credential_kind_name(entry->memory.found ? entry->memory.found : entry->options.kind),
                 (long long)((entry->token->expires_ns - clock_wall_ns()) / CLOCK_NS_PER_SECOND));
        entry_answer(entry);
        return;
    }
    if (credentials->closing)
        return;
    bool lives = entry->token && clock_wall_ns() < entry->token->expires_ns;
    int64_t wait_ms = lives ? -1 : credential_retry_wait_ms(result, limits, entry->tried_count + 1);
    entry->failure = *result;
    entry->tried_count = wait_ms < 0 ? 0 : entry->tried_count + 1;
    if (wait_ms < 0)
        wait_ms = limits->again_ms;
    if (lives)
        wait_ms = renewal_wait_ms(entry->token, limits);
    if (wait_ms < result->wait_ms)
        wait_ms = result->wait_ms;
    entry->try_at_ns = now_ns + wait_ms * CLOCK_NS_PER_MS;
    log_quote(quoted, sizeof quoted, result->error);
    if (lives)
        log_line(LOG_WARN, "credential", "the token could not be renewed",
                 "credential=%s reason=%s retry_ms=%lld left_seconds=%lld token=\"the old one is still in use\"", name, quoted,
                 (long long)wait_ms, (long long)((entry->token->expires_ns - clock_wall_ns()) / CLOCK_NS_PER_SECOND));
    else if (entry->tried_count > 0)
        log_line(LOG_WARN, "credential", "no token yet, it is asked for again", "credential=%s reason=%s retry_ms=%lld", name, quoted,
                 (long long)wait_ms);
    if (entry->tried_count == 0)
        entry_answer(entry);
}

/* Several more attempts until its end, also where it lives for seconds only. */
static int64_t renewal_wait_ms(const struct credential_token *token, const struct credential_limits *limits)
{
    int64_t left_ms = (token->expires_ns - clock_wall_ns()) / CLOCK_NS_PER_MS;
    int64_t wait_ms = left_ms / 4 > RENEWAL_WAIT_MS_MIN ? left_ms / 4 : RENEWAL_WAIT_MS_MIN;
    return wait_ms < limits->keep_ms ? wait_ms : limits->keep_ms;
}

static void entry_answer(struct entry *entry)
{
    struct credential_result result = entry->failure;
    bool lives = entry->token && clock_wall_ns() < entry->token->expires_ns;
    if (lives)
        result = (struct credential_result){.verdict = CREDENTIAL_GIVEN, .token = entry->token};
    while (entry->first) {
        struct credential_query *query = entry->first;
        entry->first = query->next;
        query_answer(query, &result);
    }
    entry->last = &entry->first;
}

/* The query may be gone as soon as its state says so. */
static void query_answer(struct credential_query *query, const struct credential_result *result)
{
    int notify_fd = query->notify_fd;
    query->result = *result;
    if (result->token)
        credential_token_take(result->token);
    order_flag_set(&query->state, CREDENTIAL_DONE);
    ring(notify_fd);
}

static void result_clear(struct credential_result *result)
{
    credential_token_give(result->token);
    *result = (struct credential_result){0};
}
