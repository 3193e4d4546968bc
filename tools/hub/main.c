/* ehring-hub: options in, signals, start and stop order. */
#include "dump.h"
#include "jwt.h"
#include "options.h"
#include "play.h"
#include "scenario.h"
#include "server.h"
#include "state.h"
#include "stats.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static volatile sig_atomic_t stop_wanted, stats_wanted;

/* Those in use; 0: not listening. */
struct ports {
    uint16_t amqp, amqps, ws, wss, admin;
};

static int setup(struct hub_broker *b, struct hub_storefile *file, const struct hub_options *o);
static int add_all(struct hub_broker *b, const struct hub_options *o);
static int add_faults(struct hub_broker *b, const struct hub_options *o);
static int add_jwt_key(struct hub_broker *b, const char *path);
static int run(struct hub_broker *b, const struct hub_options *o, const struct hub_state *state);
static SSL_CTX *context_open(const struct hub_options *o, const struct hub_state *state);
static int listen_all(struct hub_server *s, struct hub_broker *b, const struct hub_options *o, const struct hub_state *state, SSL_CTX *ctx);
static int announce(const struct hub_broker *b, const struct hub_options *o, const struct hub_state *state, const struct ports *ports);
static void port_put(char *text, size_t size, const char *name, uint16_t port);
static int loop(struct hub_server *s, struct hub_broker *b, const struct hub_options *o, const sigset_t *wait_mask);
static void signals_block(sigset_t *wait_mask);
static void on_signal(int number);

int main(int argc, char **argv)
{
    static struct hub_broker broker;
    struct hub_storefile file = {.fd = -1};
    struct hub_options o;
    struct hub_state state;
    int rc;

    switch (hub_options_read(&o, argc, argv)) {
    case HUB_OPTIONS_HELP:
        return 0;
    case HUB_OPTIONS_BAD:
        return 2;
    case HUB_OPTIONS_RUN:
        break;
    }
    if (o.dump) {
        rc = hub_dump(o.dump, stdout);
        if (rc < 0)
            fprintf(stderr, "ehring-hub: %s: %s\n", o.dump, strerror(-rc));
        return rc < 0;
    }
    if (setup(&broker, &file, &o) < 0)
        return 1;
    rc = hub_state_open(&state, &o, &broker.policies);
    if (rc == 0)
        rc = run(&broker, &o, &state);
    if (broker.file && hub_storefile_close(broker.file) < 0)
        rc = -EIO;
    hub_state_close(&state);
    hub_scenario_free(broker.scenario);
    hub_broker_free(&broker);
    return rc < 0;
}

static int setup(struct hub_broker *b, struct hub_storefile *file, const struct hub_options *o)
{
    int rc;

    b->sink = o->sink;
    b->verbose = o->verbose;
    b->store_bytes_max = o->store_bytes_max;
    b->now_ms = (int64_t)time(NULL) * 1000;
    snprintf(b->host, sizeof(b->host), "%s", strcmp(o->listens[0], "127.0.0.1") == 0 ? "localhost" : o->listens[0]);
    rc = add_all(b, o);
    if (rc == 0)
        rc = add_faults(b, o);
    if (rc == 0)
        rc = add_jwt_key(b, o->jwt_key);
    if (rc < 0 || !o->store_file)
        return rc;
    rc = hub_storefile_open(file, o->store_file);
    if (rc == 0) {
        b->file = file;
        rc = hub_broker_load(b, o->store_file);
    }
    if (rc < 0)
        fprintf(stderr, "ehring-hub: store file %s: %s\n", o->store_file, strerror(-rc));
    return rc;
}

static int add_all(struct hub_broker *b, const struct hub_options *o)
{
    const char *bad = NULL;

    for (unsigned i = 0; i < o->hub_count && !bad; i++)
        bad = hub_broker_add(b, o->hubs[i]) < 0 ? o->hubs[i] : NULL;
    if (o->hub_count == 0)
        hub_broker_add(b, "hub1:4");
    if (bad)
        fprintf(stderr, "ehring-hub: bad value '%s' of --hub, see --help\n", bad);
    return bad ? -EINVAL : 0;
}

static int add_faults(struct hub_broker *b, const struct hub_options *o)
{
    char why[HUB_WHY_MAX], limit[160];
    int len = 0, rc = 0;

    if (o->throttle_bytes > 0)
        len = snprintf(limit, sizeof(limit), " bytes-per-second=%llu", (unsigned long long)o->throttle_bytes);
    if (o->throttle_events > 0)
        len += snprintf(limit + len, sizeof(limit) - (size_t)len, " events-per-second=%llu", (unsigned long long)o->throttle_events);
    if (len > 0) {
        char text[sizeof(limit) + 16];
        snprintf(text, sizeof(text), "rate-limit%s", limit);
        rc = hub_play_text(b, text, why);
    }
    for (unsigned i = 0; i < o->fault_count && rc == 0; i++)
        rc = hub_play_text(b, o->faults[i], why);
    if (rc < 0)
        fprintf(stderr, "ehring-hub: --fault: %s\n", why);
    if (rc == 0 && o->scenario && (rc = hub_scenario_read(o->scenario, &b->scenario, why)) < 0)
        fprintf(stderr, "ehring-hub: --scenario: %s\n", why);
    return rc;
}

static int add_jwt_key(struct hub_broker *b, const char *path)
{
    char why[128];

    if (!path)
        return 0;
    b->jwt_key = hub_jwt_key_read(path, why, sizeof(why));
    if (b->jwt_key)
        return 0;
    fprintf(stderr, "ehring-hub: --jwt-key %s: %s\n", path, why);
    return -EINVAL;
}

static int run(struct hub_broker *b, const struct hub_options *o, const struct hub_state *state)
{
    struct hub_limits limits = {.message_bytes_max = o->message_bytes_max,
                                .credit = o->credit,
                                .disposition_delay_ms = o->disposition_delay_ms,
                                .idle_timeout_ms = o->idle_timeout_ms,
                                .token_wait_ms = o->token_wait_ms};
    struct hub_server *server = NULL;
    sigset_t wait_mask;
    SSL_CTX *ctx = NULL;
    int rc = -EIO;

    signals_block(&wait_mask);
    if (!o->no_tls && !(ctx = context_open(o, state)))
        goto out;
    server = hub_server_open(b, &limits);
    if (!server || listen_all(server, b, o, state, ctx) < 0)
        goto out;
    rc = loop(server, b, o, &wait_mask);
    hub_stats_print(b, stdout);
    if (o->stats_file && hub_stats_write(b, o->stats_file) < 0)
        fprintf(stderr, "ehring-hub: cannot write %s\n", o->stats_file);
out:
    hub_server_close(server);
    SSL_CTX_free(ctx);
    return rc;
}

static SSL_CTX *context_open(const struct hub_options *o, const struct hub_state *state)
{
    const char *cert, *key;
    char why[256];

    hub_state_certificate(state, o, &cert, &key);
    SSL_CTX *ctx = hub_cert_context(cert, key, o->client_ca, why, sizeof(why));
    if (!ctx)
        fprintf(stderr, "ehring-hub: certificate %s%s%s: %s\n", cert, o->client_ca ? " and client authority " : "",
                o->client_ca ? o->client_ca : "", why);
    return ctx;
}

static int listen_all(struct hub_server *s, struct hub_broker *b, const struct hub_options *o, const struct hub_state *state, SSL_CTX *ctx)
{
    struct ports ports = {.amqp = 0};
    const struct {
        bool wanted;
        uint16_t wish, *used;
        struct hub_way way;
    } rows[] = {{!o->no_plain, o->amqp_port, &ports.amqp, {.ctx = NULL}},
                {ctx, o->amqps_port, &ports.amqps, {.ctx = ctx}},
                {o->has_ws, o->ws_port, &ports.ws, {.websocket = true}},
                {o->has_wss, o->wss_port, &ports.wss, {.ctx = ctx, .websocket = true}}};
    const uint16_t *port = &ports.admin;
    int rc = 0;

    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]) && rc == 0; i++) {
        if (!rows[i].wanted)
            continue;
        *rows[i].used = rows[i].wish;
        rc = hub_server_listen(s, o->listens, o->listen_count, rows[i].used, &rows[i].way);
        port = rows[i].used;
    }
    ports.admin = o->admin_port;
    if (rc == 0 && o->has_admin)
        rc = hub_server_admin(s, o->listens[0], (port = &ports.admin, &ports.admin));
    if (rc < 0) {
        fprintf(stderr, "ehring-hub: listen on %s%s port %u: %s\n", o->listens[0], o->listen_count > 1 ? " and others" : "", *port,
                strerror(-rc));
        return rc;
    }
    return announce(b, o, state, &ports);
}

static int announce(const struct hub_broker *b, const struct hub_options *o, const struct hub_state *state, const struct ports *ports)
{
    char file[96], line[96] = "";
    int rc = hub_state_write_strings(state, o, &b->policies, ports->amqp, ports->amqps);

    if (rc < 0)
        return rc;
    port_put(line, sizeof(line), "amqp", ports->amqp);
    port_put(line, sizeof(line), "amqps", ports->amqps);
    port_put(line, sizeof(line), "ws", ports->ws);
    port_put(line, sizeof(line), "wss", ports->wss);
    snprintf(file, sizeof(file), "%s", line);
    port_put(file, sizeof(file), "admin", ports->admin);
    for (char *at = file; (at = strchr(at, ' ')); at++)
        *at = '\n';
    if (o->ports_file && (rc = hub_state_write_file(o->ports_file, file)) < 0) {
        fprintf(stderr, "ehring-hub: ports file %s: %s\n", o->ports_file, strerror(-rc));
        return rc;
    }
    printf("ready %s", line);
    if (ports->amqps && !o->cert)
        printf("ca=%s ", state->cert.ca);
    printf("connection_string_file=%s", ports->amqps ? state->connection_string : state->connection_string_plain);
    if (ports->admin)
        printf(" admin=%u", ports->admin);
    printf("\n");
    fflush(stdout);
    return 0;
}

static void port_put(char *text, size_t size, const char *name, uint16_t port)
{
    size_t len = strlen(text);

    if (port)
        snprintf(text + len, size - len, "%s=%u ", name, port);
}

static int loop(struct hub_server *s, struct hub_broker *b, const struct hub_options *o, const sigset_t *wait_mask)
{
    int rc = 0;

    if (b->scenario)
        hub_scenario_step(b->scenario, b);
    while (!stop_wanted && rc == 0) {
        rc = hub_server_turn(s, wait_mask);
        if (!stats_wanted)
            continue;
        stats_wanted = 0;
        if (o->stats_file && hub_stats_write(b, o->stats_file) < 0)
            fprintf(stderr, "ehring-hub: cannot write %s\n", o->stats_file);
    }
    return rc;
}

/* Signals are let in only while the loop waits, so none is missed between a look at the flags and the wait. */
static void signals_block(sigset_t *wait_mask)
{
    struct sigaction action = {.sa_handler = on_signal};
    sigset_t blocked;

    sigemptyset(&action.sa_mask);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGUSR1, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGTERM);
    sigaddset(&blocked, SIGINT);
    sigaddset(&blocked, SIGUSR1);
    sigprocmask(SIG_BLOCK, &blocked, wait_mask);
    sigdelset(wait_mask, SIGTERM);
    sigdelset(wait_mask, SIGINT);
    sigdelset(wait_mask, SIGUSR1);
}

static void on_signal(int number)
{
    if (number == SIGUSR1)
        stats_wanted = 1;
    else
        stop_wanted = 1;
}
