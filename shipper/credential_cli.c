/* The token of whoever is logged in to the Azure CLI: runs az, bounded in time and output, and leaves no process behind. */
#include "credential_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"

#define TENANT_CHARACTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-:/_"
#define ERROR_BYTES_MAX 8192u
#define ENVIRONMENT_MAX 4096u
#define EXIT_NOT_FOUND 127

enum end { END_EXITED, END_LATE, END_STOPPED, END_TOO_LARGE };

struct child {
    pid_t pid;
    int pid_fd;
    int out_fd, error_fd;
    struct credential_text out, error;
    enum end end;
    int64_t limit_ms;
    int status;
};

extern char **environ;

static int child_start(struct child *child, char *command);
static int child_spawn(struct child *child, char *command, int out_fd, int error_fd);
static void child_listen(struct child *child, const struct credential_run *run);
static bool pipe_read(int *fd, struct credential_text *text, size_t len_max);
static void child_end(struct child *child);
static void judge(struct child *child, struct credential_run *run);

void credential_cli_fetch(struct credential_run *run)
{
    struct child child = {.pid = -1, .pid_fd = -1, .out_fd = -1, .error_fd = -1};
    const char *tenant = run->options->tenant_id;
    char command[400];
    if (tenant[strspn(tenant, TENANT_CHARACTERS)] || tenant[0] == '-') {
        credential_say(run, CREDENTIAL_REFUSED, "tenant_id has a character other than A-Z a-z 0-9 . - : / _");
        return;
    }
    snprintf(command, sizeof command, "az account get-access-token --output json --resource %s%s%s", CREDENTIAL_RESOURCE,
             tenant[0] ? " --tenant " : "", tenant);
    int rc = child_start(&child, command);
    if (rc != 0) {
        credential_say(run, CREDENTIAL_ABSENT, "/bin/sh cannot be started: %s", strerror(-rc));
        return;
    }
    child_listen(&child, run);
    child_end(&child);
    judge(&child, run);
    credential_text_free(&child.out);
    credential_text_free(&child.error);
}

static int child_start(struct child *child, char *command)
{
    int out[2] = {-1, -1}, error[2] = {-1, -1};
    int rc = pipe2(out, O_CLOEXEC) != 0 || pipe2(error, O_CLOEXEC) != 0 ? -errno : 0;
    if (rc == 0)
        rc = child_spawn(child, command, out[1], error[1]);
    if (out[1] >= 0)
        close(out[1]);
    if (error[1] >= 0)
        close(error[1]);
    child->out_fd = out[0];
    child->error_fd = error[0];
    if (rc == 0) {
        child->pid_fd = pidfd_open(child->pid, 0); /* none before Linux 5.3: then the end of its output is its end */
        fcntl(child->out_fd, F_SETFL, O_NONBLOCK);
        fcntl(child->error_fd, F_SETFL, O_NONBLOCK);
    }
    if (rc != 0 && out[0] >= 0)
        close(out[0]);
    if (rc != 0 && error[0] >= 0)
        close(error[0]);
    return rc;
}

/* In a process group of its own, so that it can be ended with its children; without our mask and our ignored signals; in a directory that
 * nobody but root can put an az into. */
static int child_spawn(struct child *child, char *command, int out_fd, int error_fd)
{
    char *arguments[] = {"/bin/sh", "-c", command, NULL}, **environment = NULL;
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, defaults;
    size_t count = 0;
    while (environ && environ[count] && count < ENVIRONMENT_MAX)
        count++;
    environment = calloc(count + 2, sizeof *environment);
    if (!environment)
        return -ENOMEM;
    if (count > 0)
        memcpy(environment, environ, count * sizeof *environment);
    environment[count] = "AZURE_CORE_NO_COLOR=true";
    sigemptyset(&none);
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGPIPE);
    sigaddset(&defaults, SIGTERM);
    sigaddset(&defaults, SIGINT);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &defaults);
    posix_spawn_file_actions_init(&actions);
    int rc = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (rc == 0)
        rc = posix_spawn_file_actions_adddup2(&actions, out_fd, STDOUT_FILENO);
    if (rc == 0)
        rc = posix_spawn_file_actions_adddup2(&actions, error_fd, STDERR_FILENO);
    if (rc == 0)
        rc = posix_spawn_file_actions_addchdir_np(&actions, "/bin");
    if (rc == 0)
        rc = posix_spawn(&child->pid, arguments[0], &actions, &attributes, arguments, environment);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    free(environment);
    return -rc;
}

/* Until it has ended and all it wrote is read (a child of its own may hold its output open), or must be ended. */
static void child_listen(struct child *child, const struct credential_run *run)
{
    int64_t begun_ns = clock_mono_ns(), end_ns = begun_ns + run->limits->cli_ms * CLOCK_NS_PER_MS, now_ns;
    if (end_ns > run->deadline_ns)
        end_ns = run->deadline_ns;
    child->limit_ms = (end_ns - begun_ns) / CLOCK_NS_PER_MS;
    for (bool exited = false; child->out_fd >= 0 || child->error_fd >= 0 || (child->pid_fd >= 0 && !exited);) {
        struct pollfd fds[] = {{.fd = child->out_fd, .events = POLLIN},
                               {.fd = child->error_fd, .events = POLLIN},
                               {.fd = exited ? -1 : child->pid_fd, .events = POLLIN},
                               {.fd = run->stop_fd, .events = POLLIN}};
        if ((now_ns = clock_mono_ns()) >= end_ns) {
            child->end = END_LATE;
            return;
        }
        int64_t left_ms = (end_ns - now_ns) / CLOCK_NS_PER_MS + 1;
        int count = poll(fds, sizeof fds / sizeof fds[0], exited ? 0 : left_ms < 1000 ? (int)left_ms : 1000);
        if (count == 0 && exited)
            return;
        if (count <= 0)
            continue;
        exited |= fds[2].revents != 0;
        if (fds[3].revents) {
            child->end = END_STOPPED;
            return;
        }
        if ((fds[0].revents && !pipe_read(&child->out_fd, &child->out, CREDENTIAL_FILE_BYTES_MAX)) ||
            (fds[1].revents && !pipe_read(&child->error_fd, &child->error, ERROR_BYTES_MAX))) {
            child->end = END_TOO_LARGE;
            return;
        }
    }
}

/* false: more than it may write. */
static bool pipe_read(int *fd, struct credential_text *text, size_t len_max)
{
    char piece[4096];
    ssize_t len = read(*fd, piece, sizeof piece);
    if (len > 0)
        credential_text_put(text, piece, (size_t)len, len_max);
    explicit_bzero(piece, sizeof piece);
    if (len == 0 || (len < 0 && errno != EAGAIN && errno != EINTR)) {
        close(*fd);
        *fd = -1;
    }
    return text->error == 0;
}

static void child_end(struct child *child)
{
    if (child->end != END_EXITED || child->pid_fd < 0)
        kill(-child->pid, SIGKILL);
    while (waitpid(child->pid, &child->status, 0) < 0) {
        if (errno == EINTR)
            continue;
        child->status = 0; /* the program around us ignores SIGCHLD: what was written must do */
        break;
    }
    int fds[] = {child->out_fd, child->error_fd, child->pid_fd};
    for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++)
        if (fds[i] >= 0)
            close(fds[i]);
}

static void judge(struct child *child, struct credential_run *run)
{
    const char *error = child->error.data ? child->error.data : "";
    char text[400];
    if (child->end == END_LATE) {
        credential_say(run, CREDENTIAL_ABSENT, "az has not answered within %lld ms and was ended", (long long)child->limit_ms);
    } else if (child->end == END_STOPPED) {
        credential_say(run, CREDENTIAL_LATER, "stopped");
    } else if (child->end == END_TOO_LARGE) {
        credential_say(run, CREDENTIAL_REFUSED, "az writes more than %u bytes",
                       child->out.error ? CREDENTIAL_FILE_BYTES_MAX : ERROR_BYTES_MAX);
    } else if (WIFEXITED(child->status) && WEXITSTATUS(child->status) == EXIT_NOT_FOUND) {
        credential_say(run, CREDENTIAL_ABSENT, "az is not on PATH");
    } else if (strstr(error, "az login") || strstr(error, "az account set")) {
        credential_text_clean(error, NULL, text, sizeof text);
        credential_say(run, CREDENTIAL_ABSENT, "not logged in (az login): %s", text);
    } else if (!WIFEXITED(child->status) || WEXITSTATUS(child->status) != 0) {
        credential_text_clean(error, NULL, text, sizeof text);
        credential_say(run, CREDENTIAL_REFUSED, "az %s %d: %s", WIFEXITED(child->status) ? "ends with status" : "was ended by signal",
                       WIFEXITED(child->status) ? WEXITSTATUS(child->status) : WTERMSIG(child->status), text);
        run->result->remedy = credential_error_remedy(text);
    } else if (credential_token_parse(child->out.data ? child->out.data : "", child->out.len, CREDENTIAL_OF_CLI, run->limits,
                                      clock_wall_ns(), &run->result->token, text, sizeof text) == 0) {
        run->result->verdict = CREDENTIAL_GIVEN;
    } else {
        credential_say(run, CREDENTIAL_REFUSED, "az: %s", text);
    }
}
