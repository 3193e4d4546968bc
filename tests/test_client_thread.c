/* libehring's one-call form: a ring per thread and stream, closed when its thread ends, anew after fork. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <sys/wait.h>

#include "tests/client_rig.h"

static void stream_dir(struct rig *rig, const char *stream)
{
    char dir[128];

    snprintf(dir, sizeof(dir), "%s/%s", rig->rings, stream);
    cr_assert(mkdir(dir, 0770) == 0 || errno == EEXIST);
}

static void thread_rig(struct rig *rig)
{
    rig_dirs(rig);
    setenv("EHRING_RINGS", rig->rings, 1);
}

static int count_rings(const char *rings, const char *stream)
{
    char path[128];
    struct dirent *entry;
    int count = 0;
    snprintf(path, sizeof(path), "%s/%s", rings, stream);
    DIR *dir = opendir(path);

    while (dir && (entry = readdir(dir)) != NULL)
        count += strstr(entry->d_name, ".ring") != NULL;
    if (dir)
        closedir(dir);
    return count;
}

Test(client_post, first_use_makes_one_ring_of_a_mebibyte_for_the_thread)
{
    struct rig rig;

    thread_rig(&rig);
    for (int i = 0; i < 10; i++)
        cr_assert_eq(ehring_post(RIG_STREAM, "hello", 5, "k"), 0, "%s", ehring_open_error());
    cr_expect_eq(count_rings(rig.rings, RIG_STREAM), 1);
    rig_attach(&rig, rig.stream_dir);
    cr_expect_eq(ring_capacity(rig.file), 1 << 20);
    for (int i = 0; i < 10; i++)
        rig_expect(&rig, "hello", 5, "k");
    rig_expect_none(&rig);
    ehring_thread_close();
    cr_expect_eq(ring_producer(rig.file)->hot.closed, 1);
    rig_close(&rig);
}

Test(client_post, the_threads_handle_is_to_be_had)
{
    struct rig rig;
    struct ehring *ring, *again;
    struct ehring_stats stats;

    thread_rig(&rig);
    cr_assert_eq(ehring_thread_ring(RIG_STREAM, &ring), 0, "%s", ehring_open_error());
    cr_assert_eq(ehring_post(RIG_STREAM, "hello", 5, NULL), 0);
    cr_assert_eq(ehring_thread_ring(RIG_STREAM, &again), 0);
    cr_expect_eq(ring, again);
    cr_assert_eq(ehring_read_stats(ring, &stats), 0);
    cr_expect_eq(stats.sent_events, 1);
    ehring_thread_close();
    cr_assert_eq(ehring_post(RIG_STREAM, "hello", 5, NULL), 0);
    cr_expect_eq(count_rings(rig.rings, RIG_STREAM), 2, "a new ring after the old one was closed");
    ehring_thread_close();
    rig_close(&rig);
}

static void *post_two(void *rings)
{
    (void)rings;
    return ehring_post(RIG_STREAM, "x", 1, NULL) == 0 && ehring_post("clicks", "y", 1, NULL) == 0 ? NULL : "failed";
}

Test(client_post, each_thread_has_its_rings_and_leaves_them_closed)
{
    struct rig rig;
    pthread_t threads[3];
    void *result;

    thread_rig(&rig);
    stream_dir(&rig, "clicks");
    for (int i = 0; i < 3; i++)
        pthread_create(&threads[i], NULL, post_two, NULL);
    for (int i = 0; i < 3; i++) {
        pthread_join(threads[i], &result);
        cr_expect_null(result);
    }
    cr_expect_eq(count_rings(rig.rings, RIG_STREAM), 3);
    cr_expect_eq(count_rings(rig.rings, "clicks"), 3);
    rig_attach(&rig, rig.stream_dir);
    cr_expect_eq(ring_producer(rig.file)->hot.closed, 1);
    rig_expect(&rig, "x", 1, NULL);
    rig_expect_none(&rig);
    rig_close(&rig);
}

Test(client_post, a_ninth_stream_of_one_thread_is_refused)
{
    struct rig rig;
    char stream[8];

    thread_rig(&rig);
    for (unsigned i = 0; i <= EHRING_THREAD_STREAMS_MAX; i++) {
        snprintf(stream, sizeof(stream), "s%u", i);
        stream_dir(&rig, stream);
        cr_expect_eq(ehring_post(stream, "x", 1, NULL), i < EHRING_THREAD_STREAMS_MAX ? 0 : EHRING_E_THREAD_STREAMS, "stream %u", i);
    }
    cr_expect_eq(ehring_post("s0", "x", 1, NULL), 0, "the others go on");
    ehring_thread_close();
    rig_close(&rig);
}

Test(client_post, streams_that_cannot_be_opened_take_nobodys_place)
{
    struct rig rig;
    char stream[8];

    thread_rig(&rig);
    cr_expect_eq(ehring_post(NULL, "x", 1, NULL), EHRING_E_INVALID);
    cr_expect_eq(ehring_post("../etc", "x", 1, NULL), EHRING_E_INVALID);
    for (int i = 0; i < 20; i++) {
        snprintf(stream, sizeof(stream), "m%d", i);
        cr_expect_eq(ehring_post(stream, "x", 1, NULL), EHRING_E_NO_STREAM_DIR);
        cr_expect_eq(ehring_post(stream, "x", 1, NULL), EHRING_E_NO_STREAM_DIR, "the same again");
    }
    cr_expect(strstr(ehring_open_error(), "m19"), "%s", ehring_open_error());
    cr_expect_eq(ehring_post(RIG_STREAM, "x", 1, NULL), 0);
    ehring_thread_close();
    rig_close(&rig);
}

static void *post_when_cancelled(void *arg)
{
    int *err = arg;

    pthread_cancel(pthread_self());
    *err = ehring_post(RIG_STREAM, "x", 1, NULL);
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL); /* the wish is still there: with the address sanitizer it must not come true */
    return NULL;
}

Test(client_post, a_thread_that_is_cancelled_ends_behind_its_event_and_closes_its_ring)
{
    struct rig rig;
    pthread_t thread;
    int err = 1;

    thread_rig(&rig);
    cr_assert_eq(pthread_create(&thread, NULL, post_when_cancelled, &err), 0);
    cr_assert_eq(pthread_join(thread, NULL), 0);
    cr_assert_eq(err, 0);
    rig_attach(&rig, rig.stream_dir);
    cr_expect_eq(ring_producer(rig.file)->hot.closed, 1);
    rig_expect(&rig, "x", 1, NULL);
    rig_close(&rig);
}

Test(client_post, a_name_that_is_too_long_is_nobody_elses_refusal)
{
    char stream[8], too_long[EHRING_NAME_BYTES_MAX + 2];
    struct rig rig;

    thread_rig(&rig);
    memset(too_long, 'n', sizeof(too_long) - 1);
    too_long[sizeof(too_long) - 1] = '\0';
    for (unsigned i = 1; i < EHRING_THREAD_STREAMS_MAX; i++) {
        snprintf(stream, sizeof(stream), "s%u", i);
        stream_dir(&rig, stream);
        cr_expect_eq(ehring_post(stream, "x", 1, NULL), 0);
    }
    cr_expect_eq(ehring_post("none", "x", 1, NULL), EHRING_E_NO_STREAM_DIR);
    cr_expect_eq(ehring_post(too_long, "x", 1, NULL), EHRING_E_PATH_TOO_LONG);
    cr_expect_eq(ehring_post("none", "x", 1, NULL), EHRING_E_NO_STREAM_DIR);
    ehring_thread_close();
    rig_close(&rig);
}

Test(client_post, a_child_makes_rings_of_its_own)
{
    struct rig rig;
    int status;

    thread_rig(&rig);
    cr_assert_eq(ehring_post(RIG_STREAM, "parent", 6, NULL), 0);
    rig_attach(&rig, rig.stream_dir);
    pid_t child = fork();
    if (child == 0) {
        int err = ehring_post(RIG_STREAM, "child", 5, NULL);
        ehring_thread_close();
        _exit(err == 0 ? 0 : 1);
    }
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %x", status);
    cr_expect_eq(count_rings(rig.rings, RIG_STREAM), 2);
    cr_assert_eq(ehring_post(RIG_STREAM, "parent again", 12, NULL), 0);
    rig_expect(&rig, "parent", 6, NULL);
    rig_expect(&rig, "parent again", 12, NULL);
    rig_expect_none(&rig);
    cr_expect_eq(ring_producer(rig.file)->hot.closed, 0);
    ehring_thread_close();
    rig_close(&rig);
}
