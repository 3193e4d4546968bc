/* ehring-shipper: options, signals, start and stop order. */
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "ringbuf/ring_order.h"
#include "shipper/check.h"
#include "shipper/clock.h"
#include "shipper/config.h"
#include "shipper/credential.h"
#include "shipper/discover.h"
#include "shipper/log.h"
#include "shipper/reload.h"
#include "shipper/roster.h"
#include "shipper/worker.h"

#define CONFIG_DEFAULT "/etc/ehring/shipper.conf"
#define STEP_MS 1000

struct shipper {
    struct config *config;
    char rings[1024]; /* as at the start */
    struct stream *stream;
    struct worker *worker;
    struct worker_shared shared;
    struct resolver *resolver;
    struct credentials *credentials;
    struct deadletter *deadletter;
    struct discover discover;
    struct roster roster;
    uint32_t workers_open;
    int main_fd;
    int signal_fd;
    bool stopping;
    bool reload_wanted;
};

struct options {
    const char *config;
    bool check;
    bool connect; /* with check */
    bool print;
};

static int options_read(int argc, char **argv, struct options *options);
static int connect_check(const struct config *config);
static int shipper_open(struct shipper *shipper);
static int shipper_start(struct shipper *shipper);
static void shipper_run(struct shipper *shipper);
static bool signals_take(struct shipper *shipper);
static void shipper_reload(struct shipper *shipper);
static void signals_default(void);
static void shipper_close(struct shipper *shipper);

static void help(FILE *to)
{
    fputs("usage: ehring-shipper [--config FILE] [--check[=connect] | --print-config]\n"
          "\n"
          "Drains the rings of this machine's producers into Azure Event Hubs.\n"
          "\n"
          "  -c, --config FILE   configuration (default " CONFIG_DEFAULT ")\n"
          "      --check         read and check the configuration, connect to nothing; exit 0 or 1\n"
          "      --check=connect check also this machine and the way to each hub, a line for each thing: directories, room, DNS, TCP, "
          "proxy,\n"
          "                      TLS, clock, token, link, partitions; sends no event\n"
          "      --print-config  print the configuration in force, secrets masked\n"
          "      --help-config   print all keys with unit, default and limits\n"
          "      --version\n"
          "  -h, --help\n"
          "\n"
          "Signals: TERM and INT drain for drain_seconds, then leave the rest in the rings, safe; a second one ends at once, also safe.\n"
          "HUP reads the configuration again: one that is in order is applied as a difference, connections that it does not concern stay;\n"
          "one that is not changes nothing. rings, workers and net need a restart.\n"
          "Exit status: 0 stopped in order, 1 configuration or start failed, 2 usage.\n"
          "Of --check=connect, by the first line that fails: 0 none does, 1 the check itself could not go on, 2 configuration,\n"
          "3 this machine, 4 DNS, 5 TCP or proxy, 6 TLS, 7 what answers is no AMQP, 8 authentication, 9 no right to send, 10 hub.\n",
          to);
}

int main(int argc, char **argv)
{
    struct options options = {.config = CONFIG_DEFAULT};
    struct shipper shipper = {.main_fd = -1, .signal_fd = -1, .discover.inotify_fd = -1};
    int status = options_read(argc, argv, &options);
    if (status >= 0)
        return status;
    if (config_read(options.config, &shipper.config, stderr) != 0)
        return options.connect ? CHECK_CONFIGURATION : 1;
    if (options.print)
        config_print(shipper.config, stdout);
    if (options.check)
        printf("%s: ok, %u streams; --check=connect reads the certificates too and goes the way to each\n", options.config,
               shipper.config->stream_count);
    status = options.connect ? connect_check(shipper.config) : 0;
    if (options.print || options.check) {
        config_free(shipper.config);
        return status;
    }
    status = 1;
    if (shipper_open(&shipper) == 0 && shipper_start(&shipper) == 0) {
        shipper_run(&shipper);
        status = 0;
    }
    shipper_close(&shipper);
    return status;
}

/* -1: go on; else the exit status. */
static int options_read(int argc, char **argv, struct options *options)
{
    static const struct option table[] = {{"config", required_argument, NULL, 'c'},
                                          {"check", optional_argument, NULL, 'k'},
                                          {"print-config", no_argument, NULL, 'p'},
                                          {"help-config", no_argument, NULL, 'H'},
                                          {"version", no_argument, NULL, 'v'},
                                          {"help", no_argument, NULL, 'h'},
                                          {NULL, 0, NULL, 0}};
    for (int option; (option = getopt_long(argc, argv, "c:h", table, NULL)) != -1;) {
        switch (option) {
        case 'c':
            options->config = optarg;
            break;
        case 'k':
            options->check = true;
            options->connect = optarg != NULL;
            if (optarg && strcmp(optarg, "connect") != 0) {
                fprintf(stderr, "ehring-shipper: --check=%s is unknown, there is --check=connect\n", optarg);
                return 2;
            }
            break;
        case 'p':
            options->print = true;
            break;
        case 'H':
            config_print_keys(stdout);
            return 0;
        case 'v':
            puts("ehring-shipper " EHRING_BUILD_VERSION);
            return 0;
        case 'h':
            help(stdout);
            return 0;
        default:
            help(stderr);
            return 2;
        }
    }
    if (optind == argc)
        return -1;
    fprintf(stderr, "ehring-shipper: unexpected argument %s\n", argv[optind]);
    return 2;
}

static int connect_check(const struct config *config)
{
    log_set_levels(config->log_level);
    signal(SIGPIPE, SIG_IGN);
    return check_connect(config, stdout);
}

static int fail(const char *what, const char *why)
{
    char quoted[600];
    log_line(LOG_ERROR, "main", what, "reason=%s", log_quote(quoted, sizeof quoted, why));
    return -1;
}

static int shipper_open(struct shipper *shipper)
{
    struct config *config = shipper->config;
    char why[500] = "";
    log_set_levels(config->log_level);
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    signal(SIGPIPE, SIG_IGN);
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    shipper->signal_fd = signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
    shipper->main_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    shipper->stream = calloc(CONFIG_STREAMS_MAX, sizeof *shipper->stream);
    shipper->worker = calloc(config->workers, sizeof *shipper->worker);
    if (shipper->signal_fd < 0 || shipper->main_fd < 0 || !shipper->stream || !shipper->worker)
        return fail("the shipper cannot start", strerror(errno));
    memcpy(shipper->rings, config->rings, sizeof shipper->rings);
    shipper->roster = (struct roster){.stream = shipper->stream,
                                      .worker = shipper->worker,
                                      .worker_count = config->workers,
                                      .discover = &shipper->discover,
                                      .rings = shipper->rings,
                                      .main_fd = shipper->main_fd};
    if (roster_open(&shipper->roster, config, why, sizeof why) != 0)
        return fail("a stream cannot be opened", why);
    if (resolver_open(&shipper->resolver) != 0)
        return fail("the resolver's thread cannot start", strerror(errno));
    int rc = credentials_open(NULL, &shipper->credentials);
    if (rc != 0)
        return fail("the credentials' thread cannot start", strerror(-rc));
    const struct deadletter_limits limits = {.segment_bytes_max = config->dead_letter_segment_bytes,
                                             .segment_seconds_max = config->dead_letter_segment_seconds};
    rc = deadletter_open(config->dead_letters, &limits, &shipper->deadletter);
    if (rc != 0)
        return fail("the dead letters' thread cannot start", strerror(-rc));
    shipper->shared = (struct worker_shared){.worker_count = config->workers,
                                             .net = config->net,
                                             .stream = shipper->stream,
                                             .worker = shipper->worker,
                                             .resolver = shipper->resolver,
                                             .credentials = shipper->credentials,
                                             .deadletter = shipper->deadletter,
                                             .main_fd = shipper->main_fd};
    for (; shipper->workers_open < config->workers; shipper->workers_open++) {
        uint32_t w = shipper->workers_open;
        if (worker_open(&shipper->worker[w], w, &shipper->shared, why, sizeof why) != 0) {
            shipper->workers_open++; /* what it has is closed too */
            return fail("a worker cannot be opened", why);
        }
    }
    return 0;
}

static int shipper_start(struct shipper *shipper)
{
    const struct config *config = shipper->config;
    if (discover_open(&shipper->discover, shipper->stream, shipper->worker, config->workers) != 0)
        return fail("rings cannot be discovered", strerror(errno));
    for (uint32_t w = 0; w < config->workers; w++) {
        int rc = worker_start(&shipper->worker[w]);
        if (rc != 0) {
            for (uint32_t k = 0; k < w; k++) {
                worker_post(&shipper->worker[k], (struct worker_message){.kind = WORKER_QUIT});
                worker_join(&shipper->worker[k]);
            }
            return fail("a worker's thread cannot start", strerror(-rc));
        }
    }
    log_line(LOG_INFO, "main", "started", "version=%s pid=%ld streams=%u workers=%u rings=%s", EHRING_BUILD_VERSION, (long)getpid(),
             config->stream_count, config->workers, config->rings);
    return 0;
}

static bool workers_ended(const struct shipper *shipper)
{
    for (uint32_t w = 0; w < shipper->config->workers; w++)
        if (!worker_has_ended(&shipper->worker[w]))
            return false;
    return true;
}

static void shipper_run(struct shipper *shipper)
{
    struct pollfd fds[] = {{.fd = shipper->signal_fd, .events = POLLIN},
                           {.fd = shipper->main_fd, .events = POLLIN},
                           {.fd = shipper->discover.inotify_fd, .events = POLLIN}};
    while (!workers_ended(shipper)) {
        if (shipper->reload_wanted)
            shipper_reload(shipper);
        if (!shipper->stopping) {
            discover_step(&shipper->discover, clock_mono_ns());
            roster_step(&shipper->roster, shipper->config, clock_mono_ns());
        } else
            fds[2].fd = -1; /* a ring that comes now is the next shipper's: its producer would hold up the drain */
        log_flush();
        int count = poll(fds, sizeof fds / sizeof fds[0], STEP_MS);
        uint64_t ignored;
        if (count > 0 && fds[1].revents && read(shipper->main_fd, &ignored, sizeof ignored) < 0) { /* nothing was left */
        }
        if (count > 0 && fds[0].revents && !signals_take(shipper))
            break;
        if (count > 0 && fds[2].revents && !shipper->stopping)
            discover_read(&shipper->discover, clock_mono_ns());
    }
    for (uint32_t w = 0; w < shipper->config->workers; w++)
        worker_join(&shipper->worker[w]);
    signals_default(); /* closing may wait for a resolver: a further TERM ends that at once, and all is safe */
}

static void shipper_reload(struct shipper *shipper)
{
    shipper->reload_wanted = false;
    if (shipper->stopping)
        log_line(LOG_WARN, "main", "stopping: the configuration is not read again", "");
    else
        reload_config(&shipper->config, &shipper->roster, shipper->deadletter);
}

static void signals_default(void)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigprocmask(SIG_UNBLOCK, &signals, NULL);
}

/* false: end at once (all workers were told). */
static bool signals_take(struct shipper *shipper)
{
    struct signalfd_siginfo info;
    while (read(shipper->signal_fd, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGHUP) {
            shipper->reload_wanted = true;
            continue;
        }
        bool again = shipper->stopping;
        shipper->stopping = true;
        int64_t deadline_ns = clock_mono_ns() + shipper->config->drain_seconds * CLOCK_NS_PER_SECOND;
        log_line(LOG_INFO, "main", again ? "stopping at once, the rest stays in the rings" : "stopping, draining what is written",
                 "drain_seconds=%u", again ? 0 : shipper->config->drain_seconds);
        for (uint32_t w = 0; w < shipper->config->workers; w++)
            worker_post(&shipper->worker[w],
                        (struct worker_message){.kind = again ? WORKER_QUIT : WORKER_STOP, .deadline_ns = deadline_ns});
        if (again)
            return false;
    }
    return true;
}

static void shipper_close(struct shipper *shipper)
{
    discover_close(&shipper->discover);
    if (shipper->resolver)
        resolver_close(shipper->resolver); /* before the workers whose queries it may hold */
    deadletter_close(shipper->deadletter); /* likewise their jobs */
    for (uint32_t w = 0; w < shipper->workers_open; w++)
        worker_close(&shipper->worker[w]);
    credentials_close(shipper->credentials); /* after all who ask */
    roster_close(&shipper->roster);
    free(shipper->worker);
    free(shipper->stream);
    if (shipper->signal_fd >= 0)
        close(shipper->signal_fd);
    if (shipper->main_fd >= 0)
        close(shipper->main_fd);
    log_line(LOG_INFO, "main", "stopped", "");
    log_flush();
    config_free(shipper->config);
}
