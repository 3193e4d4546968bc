/* A program this run starts: found beside ehring-bench, its output read, ended with this run whatever happens. */
#include "bench/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/measure.h"
#include "bench/scratch.h"

#define POLL_MS 20

static void become(const char *const argv[], const char *log_path, int out_fd, pid_t parent) __attribute__((noreturn));
static int wait_readable(int fd, int64_t deadline_ns);
static bool reap(struct child *child, int64_t deadline_ns, int *status);
static int finish(struct child *child, int status);

int child_look(const char *name, char *path, size_t path_len)
{
    const char *build = getenv("EHRING_BUILD");
    ssize_t len = readlink("/proc/self/exe", path, path_len - 1);

    path[len > 0 ? len : 0] = 0;
    if (strrchr(path, '/')) {
        size_t dir_len = (size_t)(strrchr(path, '/') + 1 - path);

        snprintf(path + dir_len, path_len - dir_len, "%s", name);
        if (access(path, X_OK) == 0)
            return 0;
    }
    if (build) {
        snprintf(path, path_len, "%s/%s", build, name);
        if (access(path, X_OK) == 0)
            return 0;
    }
    return -ENOENT;
}

int child_find(const char *name, char *path, size_t path_len)
{
    int err = child_look(name, path, path_len);

    if (err)
        fprintf(stderr, "ehring-bench: %s is neither beside ehring-bench nor in $EHRING_BUILD\n", name);
    return err;
}

int child_start(const char *const argv[], const char *log_path, struct child *child)
{
    pid_t parent = getpid();
    int out[2];

    *child = CHILD_NONE;
    if (pipe2(out, O_CLOEXEC))
        return -errno;
    child->pid = fork();
    if (child->pid == 0)
        become(argv, log_path, out[1], parent);
    close(out[1]);
    if (child->pid < 0) {
        int err = -errno;

        close(out[0]);
        *child = CHILD_NONE;
        return err;
    }
    child->out_fd = out[0];
    return 0;
}

int child_read_line(struct child *child, char *line, size_t line_len, int timeout_ms)
{
    int64_t deadline_ns = measure_now_ns() + timeout_ms * INT64_C(1000000);
    size_t len = 0;
    char byte;

    for (;;) {
        int err = wait_readable(child->out_fd, deadline_ns);
        ssize_t got;

        if (err)
            return err;
        got = read(child->out_fd, &byte, 1);
        if (got <= 0)
            return -EPIPE;
        if (byte == '\n')
            break;
        if (len + 1 < line_len)
            line[len++] = byte;
    }
    line[len] = 0;
    return 0;
}

bool child_runs(struct child *child)
{
    siginfo_t info = {0};

    return child->pid > 0 && waitid(P_PID, (id_t)child->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == 0;
}

int child_stop(struct child *child, int grace_ms)
{
    int status = 0;

    if (child->pid <= 0)
        return 0;
    kill(child->pid, SIGTERM);
    if (!reap(child, measure_now_ns() + grace_ms * INT64_C(1000000), &status)) {
        kill(child->pid, SIGKILL);
        waitpid(child->pid, &status, 0);
    }
    return finish(child, status);
}

int child_wait(struct child *child, int timeout_ms)
{
    int64_t deadline_ns = measure_now_ns() + timeout_ms * INT64_C(1000000);
    int status = 0;

    while (measure_now_ns() < deadline_ns && !scratch_interrupted())
        if (reap(child, measure_now_ns() + POLL_MS * INT64_C(1000000), &status))
            return finish(child, status);
    kill(child->pid, SIGKILL);
    waitpid(child->pid, &status, 0);
    return finish(child, status);
}

/* A group of its own: the terminal's interrupt reaches this run alone, which then ends the others in order. */
static void become(const char *const argv[], const char *log_path, int out_fd, pid_t parent)
{
    int log_fd = open(log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(127);
    setpgid(0, 0);
    signal(SIGPIPE, SIG_DFL);
    dup2(out_fd, STDOUT_FILENO);
    if (log_fd >= 0)
        dup2(log_fd, STDERR_FILENO);
    execvp(argv[0], (char *const *)argv);
    _exit(127);
}

static int wait_readable(int fd, int64_t deadline_ns)
{
    struct pollfd readable = {.fd = fd, .events = POLLIN};

    while (measure_now_ns() < deadline_ns) {
        if (scratch_interrupted())
            return -EINTR;
        if (poll(&readable, 1, POLL_MS) > 0)
            return 0;
    }
    return -ETIMEDOUT;
}

static bool reap(struct child *child, int64_t deadline_ns, int *status)
{
    while (waitpid(child->pid, status, WNOHANG) == 0) {
        if (measure_now_ns() >= deadline_ns)
            return false;
        measure_sleep_until_ns(measure_now_ns() + INT64_C(2000000));
    }
    return true;
}

static int finish(struct child *child, int status)
{
    if (child->out_fd >= 0)
        close(child->out_fd);
    *child = CHILD_NONE;
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
