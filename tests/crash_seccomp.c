/* A shipper to which the kernel or a container's profile forbids io_uring, membarrier, or both: it says so, takes the other way, and
 * delivers. */
#include "tests/ship_rig.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/syscall.h>

#include "client/ehring.h"

#define WAIT_MS 20000
#define UNFENCED_SLEEPS_MIN 60 /* within WAIT_MS; one that could wait for a doorbell sleeps twice a second at the most */

struct profile {
    const char *what;
    const char *net;
    bool io_uring_forbidden;
    bool membarrier_forbidden;
    const char *log; /* what the shipper must say */
    bool starts;
};

static struct ship_rig rig;

static void check(bool good, const char *what, const char *detail)
{
    if (good)
        return;
    fprintf(stderr, "crash_seccomp: %s: %s\n", what, detail);
    rig_close(&rig);
    exit(1);
}

/* From here on the calls fail with EPERM, in this process and all it starts. */
static void forbid(const struct profile *profile)
{
    const struct sock_filter program[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, profile->io_uring_forbidden ? SYS_io_uring_setup : UINT32_MAX, 2, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, profile->membarrier_forbidden ? SYS_membarrier : UINT32_MAX, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
    };
    const struct sock_fprog filter = {.len = sizeof program / sizeof program[0], .filter = (struct sock_filter *)(uintptr_t)program};
    assert(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    assert(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0);
}

/* How often the idle shipper sleeps in two seconds, or in as many as it needs for so many sleeps. */
static uint64_t count_sleeps(uint64_t sleeps_min)
{
    struct counters_words before, after;
    rig_counters(&rig, "seccomp", &before);
    int64_t start_ms = rig_now_ms();
    uint64_t sleeps;
    do {
        rig_pause_ms(2000);
        rig_counters(&rig, "seccomp", &after);
        sleeps = after.worker[0].sleep_count - before.worker[0].sleep_count;
    } while (sleeps < sleeps_min && rig_now_ms() < start_ms + WAIT_MS);
    return sleeps;
}

static void deliver(const struct profile *profile, struct ehring *ring)
{
    for (int i = 0; i < 1000; i++)
        check(ehring_send(ring, "event", 5, i % 2 ? "key" : NULL) == 0, profile->what, "an event is refused");
    check(ehring_flush(ring, WAIT_MS, NULL) == 0, profile->what, "the events are not accepted");
    rig_pause_ms(1000); /* asleep */
    uint64_t sleeps = count_sleeps(profile->membarrier_forbidden ? UNFENCED_SLEEPS_MIN : 0);
    printf("crash_seccomp: %s: %llu sleeps when idle\n", profile->what, (unsigned long long)sleeps);
    if (profile->membarrier_forbidden)
        check(sleeps >= UNFENCED_SLEEPS_MIN, profile->what, "without membarrier it must not sleep for long");
    check(ehring_send(ring, "alone", 5, "key") == 0, profile->what, "an event is refused");
    check(ehring_flush(ring, WAIT_MS, NULL) == 0, profile->what, "a single event after a sleep is not accepted");
}

/* In a process of its own, whose filter ends with it. The producer opens before the filter: registered for a barrier that then never comes.
 */
static int run(const struct profile *profile)
{
    struct ehring *ring;
    char rings[100];
    int status = 0;
    rig_open(&rig, "seccomp:2", NULL);
    snprintf(rings, sizeof rings, "%s/r", rig.dir);
    check(ehring_open(&(struct ehring_options){.stream = "seccomp", .rings_dir = rings, .make_stream_dir = true}, &ring) == 0,
          profile->what, ehring_open_error());
    forbid(profile);
    rig_ship(&rig, "seccomp", "seccomp", 1, profile->net, NULL);
    if (!rig_log_says(&rig, "shipper", profile->log, WAIT_MS)) {
        rig_show_log(&rig, "shipper");
        check(false, profile->what, profile->log);
    }
    if (profile->starts) {
        deliver(profile, ring);
        ehring_close(ring);
        check(rig_wait_drained(&rig, "seccomp", WAIT_MS), profile->what, "the ring is not removed");
        status = rig_end(&rig.shipper, SIGTERM);
        check(WIFEXITED(status) && WEXITSTATUS(status) == 0, profile->what, "the shipper does not end in order");
    } else {
        ehring_close(ring);
        check(waitpid(rig.shipper, &status, 0) == rig.shipper && WIFEXITED(status) && WEXITSTATUS(status) == 1, profile->what,
              "the exit status is not 1");
        rig.shipper = 0;
    }
    rig_close(&rig);
    return 0;
}

int main(void)
{
    static const struct profile profiles[] = {
        {"io_uring forbidden, net = auto", "auto", true, false,
         "msg=\"network by epoll\" reason=\"io_uring refused by the kernel or a seccomp profile: Operation not permitted; epoll\"", true},
        {"io_uring forbidden, net = uring", "uring", true, false,
         "level=error area=main msg=\"a worker cannot be opened\" reason=\"io_uring refused by the kernel or a seccomp profile: Operation "
         "not permitted",
         false},
        {"io_uring forbidden, net = epoll", "epoll", true, false, "msg=\"network by epoll\" reason=\"the configuration asks for it", true},
        {"membarrier forbidden", "auto", false, true, "msg=\"started\"", true},
        {"both forbidden", "auto", true, true, "msg=\"network by epoll\" reason=\"io_uring refused", true},
    };
    int failed = 0;
    for (size_t i = 0; i < sizeof profiles / sizeof profiles[0]; i++) {
        int status;
        fflush(stdout);
        pid_t pid = fork();
        assert(pid >= 0);
        if (pid == 0)
            exit(run(&profiles[i]));
        assert(waitpid(pid, &status, 0) == pid);
        failed += status != 0;
    }
    printf("crash_seccomp: %d of %zu profiles fail\n", failed, sizeof profiles / sizeof profiles[0]);
    return failed != 0;
}
