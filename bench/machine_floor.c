/* What this machine can do at best on the way of an event: encrypt, carry over loopback, copy. */
#include "bench/machine_floor.h"

#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/child.h"
#include "bench/floor.h"
#include "bench/measure.h"
#include "bench/scratch.h"

#define BLOCK_BYTES 16384u /* a TLS record */
#define WRITE_BYTES 65536u /* what goes into the socket at once */
#define NEAR_BYTES (256u << 10)
#define PATIENCE_SECONDS 10

static double aes_gcm(const char *cipher, uint32_t seconds);
static double loopback(uint32_t seconds);
static int listen_anywhere(struct sockaddr_in *address);
static void pour(const struct sockaddr_in *address, pid_t parent) __attribute__((noreturn));
static double receive(int fd, uint32_t seconds);
static double copy(uint32_t seconds, uint32_t event_len);

int machine_floor_measure(uint32_t seconds, uint32_t event_len, struct machine_floor *out)
{
    *out = (struct machine_floor){0};
    out->aes128_gcm = aes_gcm("aes-128-gcm", seconds);
    if (!scratch_interrupted())
        out->aes256_gcm = aes_gcm("aes-256-gcm", seconds);
    if (!scratch_interrupted())
        out->loopback = loopback(seconds);
    if (!scratch_interrupted())
        out->memcpy = copy(seconds, event_len);
    return scratch_interrupted() ? -EINTR : 0;
}

/* openssl's own measurement; of its machine-readable lines the one that begins with +F holds bytes per second. */
static double aes_gcm(const char *cipher, uint32_t seconds)
{
    char seconds_text[16], block_text[16], line[256];
    const char *const argv[] = {"openssl", "speed",    "-mr",  "-elapsed", "-seconds", seconds_text,
                                "-bytes",  block_text, "-evp", cipher,     NULL};
    struct child child;
    double rate = 0;

    snprintf(seconds_text, sizeof(seconds_text), "%u", seconds);
    snprintf(block_text, sizeof(block_text), "%u", BLOCK_BYTES);
    if (child_start(argv, "/dev/null", &child) == 0) {
        while (child_read_line(&child, line, sizeof(line), (int)(seconds + PATIENCE_SECONDS) * 1000) == 0)
            if (strncmp(line, "+F:", 3) == 0)
                rate = strtod(strrchr(line, ':') + 1, NULL);
        child_wait(&child, PATIENCE_SECONDS * 1000);
    }
    if (rate <= 0 && !scratch_interrupted())
        fprintf(stderr, "ehring-bench: openssl speed gave no figure for %s: install openssl\n", cipher);
    return rate;
}

static double loopback(uint32_t seconds)
{
    struct sockaddr_in address;
    pid_t parent = getpid(), child;
    int listener = listen_anywhere(&address), fd;
    struct timeval patience = {.tv_sec = PATIENCE_SECONDS};
    double rate = 0;

    if (listener < 0) {
        fprintf(stderr, "ehring-bench: no socket on loopback: %s\n", strerror(-listener));
        return 0;
    }
    child = fork();
    if (child == 0)
        pour(&address, parent);
    setsockopt(listener, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    fd = child > 0 ? accept4(listener, NULL, NULL, SOCK_CLOEXEC) : -1;
    close(listener);
    if (fd >= 0) {
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
        rate = receive(fd, seconds);
        close(fd);
    }
    if (child > 0) {
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
    }
    return rate;
}

static int listen_anywhere(struct sockaddr_in *address)
{
    socklen_t len = sizeof(*address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int err = fd < 0 ? -errno : 0;

    *address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (!err && (bind(fd, (struct sockaddr *)address, len) || listen(fd, 1) || getsockname(fd, (struct sockaddr *)address, &len)))
        err = -errno;
    if (err && fd >= 0)
        close(fd);
    return err ? err : fd;
}

static void pour(const struct sockaddr_in *address, pid_t parent)
{
    static const char bytes[WRITE_BYTES];
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() == parent && fd >= 0 && connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0)
        while (send(fd, bytes, sizeof(bytes), MSG_NOSIGNAL) > 0)
            ;
    _exit(0);
}

static double receive(int fd, uint32_t seconds)
{
    static char bytes[WRITE_BYTES];
    int64_t start_ns = measure_now_ns(), end_ns = start_ns + seconds * INT64_C(1000000000), now_ns = start_ns;
    double sum = 0;

    while (now_ns < end_ns && !scratch_interrupted()) {
        ssize_t got = recv(fd, bytes, sizeof(bytes), 0);

        if (got <= 0)
            break;
        sum += (double)got;
        now_ns = measure_now_ns();
    }
    return now_ns > start_ns ? sum * 1e9 / (double)(now_ns - start_ns) : 0;
}

/* A quarter of a second is plenty; it counts events, so that small ones pay for their head. */
static double copy(uint32_t seconds, uint32_t event_len)
{
    uint32_t burst = NEAR_BYTES / (event_len + 32u) + 1u;
    uint64_t room = NEAR_BYTES;
    struct floor_buffer buffer;
    int64_t start_ns, end_ns;
    char *data = calloc(1, event_len);
    double events = 0, rate = 0;

    while (room < 2ul * event_len)
        room *= 2;
    if (data && floor_open(&buffer, room) == 0) {
        start_ns = measure_now_ns();
        end_ns = start_ns + seconds * INT64_C(250000000);
        while (measure_now_ns() < end_ns) {
            floor_write(&buffer, data, event_len, burst);
            events += burst;
        }
        rate = events * event_len * 1e9 / (double)(measure_now_ns() - start_ns);
        floor_close(&buffer);
    }
    free(data);
    return rate;
}
