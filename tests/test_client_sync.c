/* libehring's group sync: what was sent is on the disk within the window without anybody's doing, by one thread, which ends with its rings.
 */
#include <criterion/criterion.h>
#include <pthread.h>
#include <sys/wait.h>

#include "ringbuf/ring_order.h"
#include "tests/client_rig.h"
#include "tests/disk_rig.h"

static void disk_rig_dirs(struct rig *rig)
{
    char dir[80];

    memset(rig, 0, sizeof(*rig));
    if (!disk_dir(dir))
        cr_skip("no disk here");
    snprintf(rig->rings, sizeof(rig->rings), "%.60s", dir);
    snprintf(rig->stream_dir, sizeof(rig->stream_dir), "%s/" RIG_STREAM, rig->rings);
    cr_assert_eq(mkdir(rig->stream_dir, 0770), 0);
}

static struct ehring *open_synced(const struct rig *rig)
{
    const struct ehring_options options = {
        .stream = RIG_STREAM, .rings_dir = rig->rings, .capacity_bytes = 65536, .sync = EHRING_SYNC, .sync_ms = 1};
    struct ehring *ring = NULL;

    cr_assert_eq(ehring_open(&options, &ring), 0, "%s", ehring_open_error());
    return ring;
}

static void pause_ms(int64_t ms)
{
    nanosleep(&(struct timespec){.tv_nsec = ms * 1000000}, NULL);
}

/* Sync threads of this process. */
static int sync_threads(void)
{
    char path[64], name[20];
    struct dirent *entry;
    DIR *tasks = opendir("/proc/self/task");
    int count = 0;

    cr_assert_not_null(tasks);
    while ((entry = readdir(tasks)) != NULL) {
        snprintf(path, sizeof(path), "/proc/self/task/%.20s/comm", entry->d_name);
        FILE *file = entry->d_name[0] == '.' ? NULL : fopen(path, "re");
        if (file && fgets(name, sizeof(name), file))
            count += strcmp(name, "ehring-sync\n") == 0;
        if (file)
            fclose(file);
    }
    closedir(tasks);
    return count;
}

static bool soon(bool (*is)(const void *), const void *what)
{
    for (int i = 0; i < 6000; i++, pause_ms(5))
        if (is(what))
            return true;
    return false;
}

static bool is_synced(const void *file)
{
    const struct ring *ring = file;

    return ring_synced_pos(ring) == order_observe(&ring_producer(ring)->hot.write_pos);
}

static bool no_thread(const void *nothing)
{
    (void)nothing;
    return sync_threads() == 0;
}

static bool one_thread(const void *nothing)
{
    (void)nothing;
    return sync_threads() == 1; /* its name comes a moment after it */
}

Test(client_sync, what_was_sent_is_on_the_disk_soon)
{
    struct rig rig;

    disk_rig_dirs(&rig);
    rig.ring = open_synced(&rig);
    rig_attach(&rig, rig.stream_dir);
    for (int i = 0; i < 5; i++) {
        cr_assert_eq(ehring_send(rig.ring, "hello", 5, NULL), 0);
        cr_assert(soon(is_synced, rig.file), "send %d", i);
    }
    cr_expect_geq(order_none_load64(&ring_producer(rig.file)->sync.sync_count), 5);
    cr_expect_eq(order_none_load64(&ring_producer(rig.file)->sync.sync_failed_count), 0);
    rig_close(&rig);
}

Test(client_sync, one_thread_serves_all_rings_and_ends_with_the_last)
{
    struct ehring *ring[5];
    struct rig rig;

    disk_rig_dirs(&rig);
    for (int again = 0; again < 3; again++) {
        for (int i = 0; i < 5; i++) {
            ring[i] = open_synced(&rig);
            cr_assert_eq(ehring_send(ring[i], "hello", 5, NULL), 0);
        }
        cr_assert(soon(one_thread, NULL), "%d threads", sync_threads());
        for (int i = 0; i < 5; i++)
            ehring_close(ring[i]);
        cr_assert(soon(no_thread, NULL));
    }
    rig_close(&rig);
}

Test(client_sync, in_memory_or_without_the_option_there_is_no_thread)
{
    struct rig rig;

    rig_open(&rig, (struct ehring_options){.sync = EHRING_SYNC});
    cr_expect_eq(sync_threads(), 0);
    rig_close(&rig);
    disk_rig_dirs(&rig);
    const struct ehring_options options = {.stream = RIG_STREAM, .rings_dir = rig.rings, .capacity_bytes = 65536};
    cr_assert_eq(ehring_open(&options, &rig.ring), 0);
    cr_expect_eq(sync_threads(), 0);
    rig_close(&rig);
}

/* While the thread is at work: the child finds a registry of its own. Not while it is being born: the address sanitizer's allocator is then
 * locked by it, and stays so in a child. */
Test(client_sync, a_child_has_its_own_thread_and_leaves_the_parents_rings_alone)
{
    struct rig rig;

    disk_rig_dirs(&rig);
    rig.ring = open_synced(&rig);
    rig_attach(&rig, rig.stream_dir);
    cr_assert_eq(ehring_send(rig.ring, "hello", 5, NULL), 0);
    cr_assert(soon(is_synced, rig.file));
    for (int i = 0; i < 20; i++) {
        int status;
        cr_assert_eq(ehring_send(rig.ring, "hello", 5, NULL), 0);
        pid_t pid = fork();
        if (pid == 0) {
            struct rig own = rig;
            if (ehring_send(rig.ring, "hello", 5, NULL) != EHRING_E_FORKED || sync_threads() != 0)
                _exit(1);
            ehring_close(rig.ring);
            own.ring = open_synced(&own);
            const char *path = ehring_path(own.ring);
            struct ring *file = NULL;
            if (ring_open(AT_FDCWD, path, RING_ACCESS_VIEW, &file, NULL) != 0 || ehring_send(own.ring, "hello", 5, NULL) != 0)
                _exit(2);
            bool well = soon(is_synced, file) && unlink(path) == 0;
            ehring_close(own.ring);
            _exit(well ? 0 : 3);
        }
        cr_assert_eq(waitpid(pid, &status, 0), pid);
        cr_assert_eq(status, 0, "child %d: %x", i, (unsigned)status);
        cr_assert(soon(is_synced, rig.file));
    }
    rig_close(&rig);
}

static void *churn(void *arg)
{
    for (int i = 0; i < 50; i++) {
        struct ehring *ring = open_synced(arg);
        for (int k = 0; k < 100; k++)
            cr_assert_eq(ehring_send(ring, "hello", 5, NULL), 0);
        cr_assert_eq(unlink(ehring_path(ring)), 0);
        ehring_close(ring);
    }
    return NULL;
}

Test(client_sync, rings_come_and_go_in_several_threads)
{
    pthread_t thread[3];
    struct rig rig;

    disk_rig_dirs(&rig);
    for (int i = 0; i < 3; i++)
        cr_assert_eq(pthread_create(&thread[i], NULL, churn, &rig), 0);
    for (int i = 0; i < 3; i++)
        pthread_join(thread[i], NULL);
    cr_expect(soon(no_thread, NULL));
    rig_close(&rig);
}

/* What the registry relies on. */
Test(client_sync, all_zero_is_an_initialised_mutex_and_condition)
{
    static const pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    static const pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
    static const uint8_t zero[sizeof(mutex) > sizeof(condition) ? sizeof(mutex) : sizeof(condition)];

    cr_assert_eq(memcmp(&mutex, zero, sizeof(mutex)), 0);
    cr_assert_eq(memcmp(&condition, zero, sizeof(condition)), 0);
}
