/* Group sync: one thread of the process brings the rings that asked for it to their disks, each once in its window.
 *
 * The registry lies in a page that a fork wipes: a child has neither the thread nor the rings, and begins anew. All zero is an initialised
 * mutex and condition of glibc and musl. The thread ends when it has no ring left. */
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include "ehring_internal.h"

#define STACK_BYTES (256u << 10)
#define NS_PER_MS INT64_C(1000000)

struct registry {
    pthread_mutex_t lock;
    pthread_cond_t changed; /* a ring came, or the last one went */
    pthread_cond_t idle;    /* a sync has ended */
    struct ehring *first;
    bool running;
};

static struct registry *registry; /* NULL: no memory that a fork wipes */
static pthread_once_t registry_once = PTHREAD_ONCE_INIT;

static void registry_make(void);
static int thread_start(void);
static void *thread_main(void *unused);
static struct ehring *earliest(void);
static void wait_until_ns(int64_t time_ns);

int sync_add(struct ehring *ring, uint32_t window_ms)
{
    int err = -pthread_once(&registry_once, registry_make);

    if (!err && !registry)
        err = -ENOMEM;
    if (err)
        return err;
    ring->sync.window_ns = window_ms * NS_PER_MS;
    ring->sync.due_ns = clock_now_ns() + ring->sync.window_ns;
    pthread_mutex_lock(&registry->lock);
    if (!registry->running)
        err = thread_start();
    if (!err) {
        registry->running = true;
        ring->sync.next = registry->first;
        registry->first = ring;
        ring->sync.added = true;
        pthread_cond_signal(&registry->changed);
    }
    pthread_mutex_unlock(&registry->lock);
    return err;
}

void sync_remove(struct ehring *ring)
{
    if (!ring->sync.added)
        return;
    pthread_mutex_lock(&registry->lock);
    while (ring->sync.busy)
        pthread_cond_wait(&registry->idle, &registry->lock);
    struct ehring **link = &registry->first;
    while (*link != ring)
        link = &(*link)->sync.next;
    *link = ring->sync.next;
    ring->sync.added = false;
    pthread_cond_signal(&registry->changed);
    pthread_mutex_unlock(&registry->lock);
}

static void registry_make(void)
{
    void *pages = mmap(NULL, sizeof(*registry), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (pages == MAP_FAILED)
        return;
    if (madvise(pages, sizeof(*registry), MADV_WIPEONFORK) == 0)
        registry = pages;
    else
        munmap(pages, sizeof(*registry));
}

/* With all signals blocked: the application's handlers run in threads that it knows. */
static int thread_start(void)
{
    pthread_attr_t attributes;
    sigset_t all, before;
    pthread_t thread;
    int err = -pthread_attr_init(&attributes);

    if (err)
        return err;
    (void)pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    (void)pthread_attr_setstacksize(&attributes, STACK_BYTES);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    err = -pthread_create(&thread, &attributes, thread_main, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return err;
}

static void *thread_main(void *unused)
{
    struct ehring *ring;

    (void)unused;
    (void)prctl(PR_SET_NAME, "ehring-sync", 0, 0, 0);
    pthread_mutex_lock(&registry->lock);
    while ((ring = earliest()) != NULL) {
        int64_t now_ns = clock_now_ns();
        if (now_ns < ring->sync.due_ns) {
            wait_until_ns(ring->sync.due_ns);
            continue;
        }
        ring->sync.busy = true;
        ring->sync.due_ns = now_ns + ring->sync.window_ns; /* at once again where the disk takes longer */
        pthread_mutex_unlock(&registry->lock);
        (void)ring_writer_sync(writer_of(ring)); /* counted in the ring if the disk refuses */
        pthread_mutex_lock(&registry->lock);
        ring->sync.busy = false;
        pthread_cond_broadcast(&registry->idle);
    }
    registry->running = false;
    pthread_mutex_unlock(&registry->lock);
    return NULL;
}

static struct ehring *earliest(void)
{
    struct ehring *found = registry->first;

    for (struct ehring *ring = found; ring; ring = ring->sync.next)
        if (ring->sync.due_ns < found->sync.due_ns)
            found = ring;
    return found;
}

static void wait_until_ns(int64_t time_ns)
{
    struct timespec at = {.tv_sec = time_ns / INT64_C(1000000000), .tv_nsec = time_ns % INT64_C(1000000000)};

    (void)pthread_cond_clockwait(&registry->changed, &registry->lock, CLOCK_MONOTONIC, &at);
}
