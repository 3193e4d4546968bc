/* Doorbell and waits: who sleeps hears of the next event, once; who waits for acceptance or room gets it. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <sys/socket.h>

#include "ring_rig.h"
#include "ringbuf/ring_internal.h"

struct bell_rig {
    struct rig rig;
    char path[96];
    int fd;
    bool put;
};

static void bell_open(struct bell_rig *bell)
{
    rig_open(&bell->rig, 65536);
    snprintf(bell->path, sizeof(bell->path), "%s.bell", bell->rig.dir);
    bell->fd = ring_bell_open(bell->path);
    cr_assert_geq(bell->fd, 0);
}

static void bell_close(struct bell_rig *bell)
{
    close(bell->fd);
    rig_close(&bell->rig);
}

static int heard(const struct bell_rig *bell)
{
    char byte;
    int count = 0;

    while (recv(bell->fd, &byte, 1, MSG_DONTWAIT) >= 0)
        count++;
    return count;
}

Test(ring_bell, rings_once_for_each_sleep_and_not_when_awake)
{
    struct bell_rig bell;

    bell_open(&bell);
    cr_assert_eq(rig_put(&bell.rig, "x", 1), 0);
    cr_assert_eq(heard(&bell), 0);
    for (uint64_t number = 1; number <= 3; number++) {
        ring_bell_set(bell.rig.ring, number);
        cr_assert_eq(ring_bell_barrier(), 0);
        for (int i = 0; i < 5; i++)
            cr_assert_eq(rig_put(&bell.rig, "x", 1), 0);
        cr_assert_eq(heard(&bell), 1, "sleep %d", (int)number);
    }
    ring_bell_set(bell.rig.ring, 0);
    cr_assert_eq(rig_put(&bell.rig, "x", 1), 0);
    cr_assert_eq(heard(&bell), 0);
    ring_bell_set(bell.rig.ring, 3);
    cr_assert_eq(rig_put(&bell.rig, "x", 1), 0);
    cr_assert_eq(heard(&bell), 1, "the same number after being awake is a new sleep");
    cr_assert_eq(order_none_load64(&ring_producer(bell.rig.ring)->counters.bell_count), 4);
    bell_close(&bell);
}

Test(ring_bell, a_restarted_shipper_hears_it_too)
{
    struct bell_rig bell;

    bell_open(&bell);
    close(bell.fd);
    ring_bell_set(bell.rig.ring, 1);
    cr_assert_eq(rig_put(&bell.rig, "x", 1), 0, "nobody listens: no error");
    bell.fd = ring_bell_open(bell.path);
    cr_assert_geq(bell.fd, 0, "over the old socket's name");
    ring_bell_set(bell.rig.ring, 2);
    cr_assert_eq(rig_put(&bell.rig, "x", 1), 0);
    cr_assert_eq(heard(&bell), 1);
    bell_close(&bell);
}

Test(ring_bell, a_restarted_shipper_may_count_its_sleeps_from_one_again)
{
    struct bell_rig bell;

    bell_open(&bell);
    ring_bell_set(bell.rig.ring, 1);
    cr_assert_eq(rig_put(&bell.rig, "x", 1), 0);
    cr_assert_eq(heard(&bell), 1);
    ring_close(bell.rig.ring); /* killed in its sleep; the producer writes nothing until the next one sleeps */
    rig_attach(&bell.rig, RING_ACCESS_SHIPPER);
    ring_bell_set(bell.rig.ring, 1);
    cr_assert_eq(rig_put(&bell.rig, "x", 1), 0);
    cr_assert_eq(heard(&bell), 1);
    bell_close(&bell);
}

Test(ring_bell, a_full_socket_neither_blocks_nor_fails_the_producer)
{
    struct bell_rig bell;

    bell_open(&bell);
    for (uint64_t number = 1; number <= 1000; number++) {
        ring_bell_set(bell.rig.ring, number);
        cr_assert_eq(rig_put(&bell.rig, "x", 1), 0);
        if (number % 100 == 0)
            rig_drain(&bell.rig);
    }
    cr_assert_gt(heard(&bell), 0);
    bell_close(&bell);
}

static void *put_when_cancelled(void *arg)
{
    struct bell_rig *bell = arg;

    pthread_cancel(pthread_self());
    cr_expect_eq(rig_put(&bell->rig, "x", 1), 0);
    bell->put = true;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL); /* the wish is still there: with the address sanitizer it must not come true */
    return NULL;
}

Test(ring_bell, a_thread_that_is_cancelled_ends_not_in_the_middle_of_an_event)
{
    struct bell_rig bell = {0};
    pthread_t thread;

    bell_open(&bell);
    int next_fd = dup(bell.fd);
    close(next_fd);
    ring_bell_set(bell.rig.ring, 1);
    cr_assert_eq(pthread_create(&thread, NULL, put_when_cancelled, &bell), 0);
    cr_assert_eq(pthread_join(thread, NULL), 0);
    cr_expect(bell.put);
    cr_expect_eq(heard(&bell), 1);
    cr_expect_eq(dup(bell.fd), next_fd, "no descriptor is left behind");
    bell_close(&bell);
}

Test(ring_bell, a_producer_says_that_it_is_registered_for_the_barrier)
{
    struct rig rig;

    rig_open(&rig, 65536);
    cr_assert(ring_header(rig.ring)->flags & RING_HEADER_MEMBARRIER);
    cr_assert(rig.writer->registered);
    rig_close(&rig);
}

Test(ring_bell, closing_wakes_a_sleeping_shipper)
{
    struct bell_rig bell;

    bell_open(&bell);
    ring_bell_set(bell.rig.ring, 1);
    ring_writer_close(bell.rig.writer);
    bell.rig.writer = NULL;
    cr_assert_eq(heard(&bell), 1);
    bell_close(&bell);
}

Test(ring_bell, flush_asks_for_what_is_written_rings_and_tells_what_is_left)
{
    struct bell_rig bell;
    uint64_t left;

    bell_open(&bell);
    cr_assert_eq(ring_writer_flush(bell.rig.writer, 0, &left), 0, "nothing written");
    cr_assert_eq(left, 0);
    cr_assert_eq(rig_put(&bell.rig, "0123456789", 10), 0);
    ring_bell_set(bell.rig.ring, 9);
    cr_assert_eq(ring_writer_flush(bell.rig.writer, rig_soon_ns(10), &left), -ETIMEDOUT);
    cr_assert_eq(left, ring_writer_pos(bell.rig.writer));
    cr_assert_eq(ring_flush_pos(bell.rig.ring), ring_writer_pos(bell.rig.writer));
    cr_assert_gt(heard(&bell), 0);
    rig_drain(&bell.rig);
    cr_assert_eq(ring_writer_flush(bell.rig.writer, rig_soon_ns(10), &left), 0);
    cr_assert_eq(left, 0);
    bell_close(&bell);
}

static void *flush_thread(void *arg)
{
    struct bell_rig *bell = arg;
    uint64_t left;

    return (void *)(intptr_t)ring_writer_flush(bell->rig.writer, rig_soon_ns(60000), &left);
}

Test(ring_bell, a_flush_is_woken_by_the_ack_that_completes_it)
{
    struct bell_rig bell;
    pthread_t thread;
    void *result;

    bell_open(&bell);
    for (int i = 0; i < 20; i++) {
        cr_assert_eq(rig_put(&bell.rig, "0123456789", 10), 0);
        cr_assert_eq(pthread_create(&thread, NULL, flush_thread, &bell), 0);
        while (order_none_load32(&ring_producer(bell.rig.ring)->hot.waiting) == 0)
            ;
        rig_drain(&bell.rig);
        pthread_join(thread, &result);
        cr_assert_null(result);
    }
    bell_close(&bell);
}

Test(ring_bell, a_path_that_no_socket_can_have_is_refused)
{
    char path[200];

    memset(path, 'p', sizeof(path));
    path[sizeof(path) - 1] = '\0';
    cr_assert_eq(ring_bell_open(path), -ENAMETOOLONG);
}
