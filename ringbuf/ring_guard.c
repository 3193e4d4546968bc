/* The SIGBUS handler and its table: a file cut under its reader reads as zeros, and the ring says so.
 *
 * No jump out of the copy: the handler maps zero pages over the whole ring and returns, so the faulting instruction simply goes on. A
 * copy therefore costs nothing, and every access is covered, not only those a leaf was written for. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "ring_internal.h"
#include "ring_order.h"

#define GUARD_CHUNK 256u

struct guard_chunk {
    struct ring_guard guard[GUARD_CHUNK];
    _Atomic uint64_t next; /* struct guard_chunk *; chunks are never freed, the handler may be walking them */
};

static struct guard_chunk guard_first;
static pthread_mutex_t guard_lock = PTHREAD_MUTEX_INITIALIZER;
static struct sigaction guard_previous;
static bool guard_installed;

static bool guard_install(void);
static struct ring_guard *guard_find_free(void);
static struct guard_chunk *guard_next(const struct guard_chunk *chunk);
static void guard_on_sigbus(int signo, siginfo_t *info, void *context);
static bool guard_cover(uint64_t address);
static void guard_pass_on(int signo, siginfo_t *info, void *context);

struct ring_guard *ring_guard_add(const void *map, size_t len)
{
    struct ring_guard *guard = NULL;

    pthread_mutex_lock(&guard_lock);
    if (guard_install())
        guard = guard_find_free();
    if (guard) {
        order_flag_set(&guard->faulted, 0);
        order_flag_set64(&guard->len, len);
        order_flag_set64(&guard->base, (uint64_t)(uintptr_t)map);
    }
    pthread_mutex_unlock(&guard_lock);
    return guard;
}

void ring_guard_remove(struct ring_guard *guard)
{
    if (guard)
        order_flag_set64(&guard->base, 0);
}

bool ring_guard_faulted(const struct ring_guard *guard)
{
    return order_flag_get(&guard->faulted) != 0;
}

static bool guard_install(void)
{
    struct sigaction action = {.sa_sigaction = guard_on_sigbus, .sa_flags = SA_SIGINFO | SA_ONSTACK};

    if (guard_installed)
        return true;
    sigemptyset(&action.sa_mask);
    guard_installed = sigaction(SIGBUS, &action, &guard_previous) == 0;
    return guard_installed;
}

/* Under the lock. */
static struct ring_guard *guard_find_free(void)
{
    struct guard_chunk *chunk = &guard_first, *last = NULL;

    for (; chunk; last = chunk, chunk = guard_next(chunk))
        for (uint32_t i = 0; i < GUARD_CHUNK; i++)
            if (order_flag_get64(&chunk->guard[i].base) == 0)
                return &chunk->guard[i];
    chunk = calloc(1, sizeof(*chunk));
    if (!chunk)
        return NULL;
    order_flag_set64(&last->next, (uint64_t)(uintptr_t)chunk);
    return &chunk->guard[0];
}

static struct guard_chunk *guard_next(const struct guard_chunk *chunk)
{
    return (struct guard_chunk *)(uintptr_t)order_flag_get64(&chunk->next);
}

static void guard_on_sigbus(int signo, siginfo_t *info, void *context)
{
    int saved_errno = errno;

    if (!guard_cover((uint64_t)(uintptr_t)info->si_addr))
        guard_pass_on(signo, info, context);
    errno = saved_errno;
}

/* Two threads may fault in the same ring: the second puts zeros over zeros. */
static bool guard_cover(uint64_t address)
{
    for (struct guard_chunk *chunk = &guard_first; chunk; chunk = guard_next(chunk))
        for (uint32_t i = 0; i < GUARD_CHUNK; i++) {
            struct ring_guard *guard = &chunk->guard[i];
            uint64_t base = order_flag_get64(&guard->base), len = order_flag_get64(&guard->len);
            if (base == 0 || address < base || address - base >= len)
                continue;
            order_flag_set(&guard->faulted, 1);
            return mmap((void *)(uintptr_t)base, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1,
                        0) != MAP_FAILED;
        }
    return false;
}

/* Not ours: as if this handler had never been installed. The default kills when the instruction runs again. */
static void guard_pass_on(int signo, siginfo_t *info, void *context)
{
    if (guard_previous.sa_flags & SA_SIGINFO)
        guard_previous.sa_sigaction(signo, info, context);
    else if (guard_previous.sa_handler != SIG_DFL && guard_previous.sa_handler != SIG_IGN)
        guard_previous.sa_handler(signo);
    else
        signal(signo, SIG_DFL);
}
