/* One word that a child of fork finds wiped: how a handle knows that its ring stayed with the parent. */
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ring_internal.h"
#include "ring_order.h"

static pthread_once_t fork_once = PTHREAD_ONCE_INIT;
static _Atomic uint32_t *fork_word;
static _Atomic uint32_t fork_generations; /* inherited, not wiped: a child's first handle gets a number its parent's handles do not have */

static void fork_prepare(void);

const _Atomic uint32_t *ring_fork_word(uint32_t *generation)
{
    uint32_t fresh;

    pthread_once(&fork_once, fork_prepare);
    if (!fork_word)
        return NULL;
    do
        fresh = order_count_add(&fork_generations, 1);
    while (fresh == 0);
    order_claim32(fork_word, fresh);
    *generation = order_none_load32(fork_word);
    return fork_word;
}

static void fork_prepare(void)
{
    size_t len = (size_t)sysconf(_SC_PAGESIZE);
    void *page = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (page == MAP_FAILED)
        return;
    if (madvise(page, len, MADV_WIPEONFORK) == 0)
        fork_word = page;
    else
        munmap(page, len);
}
