/* A processor without AVX: nothing that ehring_send and its sisters execute in the library is an instruction that it does not have. */
#include <criterion/criterion.h>

#if defined(__x86_64__) && !defined(__AVX__) /* what the whole is compiled for, it has */
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>

#include "ringbuf/ring_internal.h"
#include "tests/client_rig.h"

extern const uint8_t __executable_start[], etext[]; /* of the program, the library in it */

static char payload[5000];

static void send_all(struct ehring *ring)
{
    static const size_t lens[] = {0, 5, 12, 16, 40, 70, 130, 200, 256, 300, 4000, 5000};

    for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
        ehring_send(ring, payload, lens[i], NULL);
        ehring_send(ring, payload, lens[i], "a key of some more than sixteen bytes, and so long that it is copied in a loop");
        ehring_send_event(ring, &(struct ehring_event){.data = payload, .len = lens[i], .time_ns = EHRING_TIME_NOW});
        ehring_send_many(ring, &(struct ehring_event){.data = payload, .len = lens[i]}, 1);
    }
}

/* Its writer as it is on such a processor. */
static void send_in_steps(struct ehring *ring)
{
    struct ring_writer *writer = ring_writer_of(ring);

    writer->wide = false;
    writer->widest = false;
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
        _exit(3);
    raise(SIGSTOP);
    send_all(ring);
    _exit(0);
}

/* VEX and EVEX begin like no other instruction of 64-bit code. */
static bool is_avx(const uint8_t *instruction)
{
    return instruction >= __executable_start && instruction < etext &&
           (instruction[0] == 0xc4 || instruction[0] == 0xc5 || instruction[0] == 0x62);
}

Test(ring_narrow, executes_nothing_that_a_processor_without_avx_does_not_have)
{
    struct user_regs_struct registers;
    struct rig rig;
    int status;

    rig_dirs(&rig);
    pid_t pid = fork();
    if (pid == 0) {
        struct ehring *ring;
        ehring_open(&(struct ehring_options){.stream = RIG_STREAM, .rings_dir = rig.rings}, &ring);
        send_in_steps(ring);
    }
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 3)
        cr_skip_test("no ptrace here");
    cr_assert(WIFSTOPPED(status));
    rig_attach(&rig, rig.stream_dir);
    while (WIFSTOPPED(status)) {
        cr_assert_eq(ptrace(PTRACE_GETREGS, pid, NULL, &registers), 0);
        cr_assert_not(is_avx((const uint8_t *)(uintptr_t)registers.rip), "at %p", (const void *)(uintptr_t)registers.rip);
        cr_assert_eq(ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL), 0);
        cr_assert_eq(waitpid(pid, &status, 0), pid);
    }
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    cr_expect_eq(ring_committed_events(rig.file), 48);
    rig_close(&rig);
}
#endif
