/* The command line. */
#include "options.h"

#include "cert.h"
#include "listener.h"

#include <assert.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* In two pieces: a compiler need not take a longer one. */
static const char help_listening[] =
    "usage: ehring-hub [OPTION]...\n"
    "A local Azure Event Hub in one process: AMQP 1.0 with and without TLS, tokens, batches, partitions.\n"
    "\n"
    "  --listen ADDR             address to listen on, IPv4 or IPv6; may be repeated, at most 8 (127.0.0.1)\n"
    "  --amqp-port PORT          port without TLS, 0: the kernel chooses (5672)\n"
    "  --amqps-port PORT         port with TLS, 0: the kernel chooses (5671)\n"
    "  --ws-port PORT, --wss-port PORT\n"
    "                            ports for AMQP over WebSocket, without and with TLS, 0: the kernel chooses (no such ports)\n"
    "  --no-tls                  listen without TLS only\n"
    "  --no-plain                listen with TLS only\n"
    "  --ports-file FILE         write amqp=PORT, amqps=PORT, ws=PORT, wss=PORT and admin=PORT there when listening\n"
    "  --cert FILE --key FILE    certificate chain and key in PEM (made at start, with an authority)\n"
    "  --name NAME               further name of the made certificate; may be repeated\n"
    "  --cert-fault FAULT        present a certificate that is expired, future, of other-host, or self-signed\n"
    "  --client-ca FILE          clients need a certificate signed by this authority\n"
    "  --client-cert-dir DIR     write client.pem and client.key there, signed by the hub's own authority\n"
    "  --state-dir DIR           for certificates, keys and connection strings, see ehring-hub(1); what is there is used\n"
    "                            again (a new directory in $TMPDIR)\n";
static const char help_rest[] =
    "  --hub NAME:PARTITIONS[:GROUP,...]\n"
    "                            a hub; may be repeated; the group $Default is always there (hub1:4)\n"
    "  --policy NAME             name of the shared access policy (RootManageSharedAccessKey)\n"
    "  --key-file FILE           its key as text (random, kept in the state directory)\n"
    "  --secondary-key-file FILE its second key (random, kept in the state directory)\n"
    "  --listen-policy NAME      name of a second policy, which may only listen (listen-only)\n"
    "  --jwt-key FILE            public key (RSA, PEM) of who signs the JSON web tokens that are taken (none are)\n"
    "  --emulator                accept RootManageSharedAccessKey with the key SAS_KEY_VALUE too\n"
    "  --max-message-size BYTES  largest message a sender link takes (1048576)\n"
    "  --credit COUNT            deliveries a sender may have on the way, topped up at two thirds (300, at most 1000000)\n"
    "  --store-bytes-max BYTES   memory for the events of one hub, the oldest are dropped; K, M, G (1G)\n"
    "  --store-file FILE         append every event to a file and load it again at the next start\n"
    "  --dump FILE               print a store file as JSON Lines and exit\n"
    "  --sink                    accept and count, look at no event, store nothing\n"
    "  --disposition-delay-ms MS answer each delivery this much later (0)\n"
    "  --idle-timeout-ms MS      announced idle timeout (240000)\n"
    "  --token-wait-ms MS        how long a connection may be without token (20000)\n"
    "  --fault TEXT              play a fault at the start, see ehring-hub(1); may be repeated. Some of them:\n"
    "                            'reject next=5 condition=amqp:not-allowed text=\"no\"'  'reject body=poison'\n"
    "                            'server-busy for=10s'  'late-dispositions delay=500ms'  'drop-after every=100'\n"
    "                            short form of every=N: reject:N[:CONDITION[:TEXT]]  throttle:N  release:N  modify:N\n"
    "                            silent-disposition:N  drop-after:N  detach-after:N[:CONDITION[:TEXT]]  token-refuse\n"
    "  --scenario FILE           play the faults of a file in order, with waits between them, see ehring-hub(1)\n"
    "  --admin-port PORT         serve health, counters and faults over HTTP, 0: the kernel chooses (no such port)\n"
    "  --throttle-bytes-per-second BYTES, --throttle-events-per-second COUNT\n"
    "                            answer server-busy beyond it, as the service does; K, M, G (no limit)\n"
    "  --stats-file FILE         write counters as JSON at the end and on SIGUSR1\n"
    "  --verbose                 say on stderr what was refused, rejected or closed, and why\n"
    "  --help                    this text\n"
    "\n"
    "When it listens it prints one line:\n"
    "ready amqp=PORT amqps=PORT ws=PORT wss=PORT ca=FILE connection_string_file=FILE admin=PORT\n"
    "SIGTERM and SIGINT end it with a summary.\n";

enum { CREDIT_MAX = 1000000, ROWS_MAX = 60 }; /* below '?', which getopt returns */

enum kind { TEXT, FLAG, PORT, BYTES, COUNT, MS, REPEAT };

struct row {
    const char *name;
    enum kind kind;
    void *to;
    const char **list; /* REPEAT: values; `to` counts them */
};

static enum hub_options_result rows_read(struct hub_options *o, const struct row *rows, unsigned count, int argc, char **argv);
static const char *contradiction(const struct hub_options *o);
static int row_set(const struct row *row, const char *value);
static int number_read(const char *text, uint64_t limit, uint64_t *number);
static int repeat_add(const struct row *row, const char *value);
static void defaults(struct hub_options *o);

enum hub_options_result hub_options_read(struct hub_options *o, int argc, char **argv)
{
    const struct row rows[] = {
        {"listen", REPEAT, &o->listen_count, o->listens},
        {"amqp-port", PORT, &o->amqp_port, NULL},
        {"amqps-port", PORT, &o->amqps_port, NULL},
        {"ws-port", PORT, &o->ws_port, NULL},
        {"wss-port", PORT, &o->wss_port, NULL},
        {"no-tls", FLAG, &o->no_tls, NULL},
        {"no-plain", FLAG, &o->no_plain, NULL},
        {"ports-file", TEXT, &o->ports_file, NULL},
        {"cert", TEXT, &o->cert, NULL},
        {"key", TEXT, &o->key, NULL},
        {"cert-fault", TEXT, &o->cert_fault, NULL},
        {"client-ca", TEXT, &o->client_ca, NULL},
        {"client-cert-dir", TEXT, &o->client_cert_dir, NULL},
        {"name", REPEAT, &o->name_count, o->names},
        {"state-dir", TEXT, &o->state_dir, NULL},
        {"hub", REPEAT, &o->hub_count, o->hubs},
        {"policy", TEXT, &o->policy, NULL},
        {"key-file", TEXT, &o->key_file, NULL},
        {"secondary-key-file", TEXT, &o->secondary_key_file, NULL},
        {"listen-policy", TEXT, &o->listen_policy, NULL},
        {"jwt-key", TEXT, &o->jwt_key, NULL},
        {"emulator", FLAG, &o->emulator, NULL},
        {"max-message-size", BYTES, &o->message_bytes_max, NULL},
        {"credit", COUNT, &o->credit, NULL},
        {"store-bytes-max", BYTES, &o->store_bytes_max, NULL},
        {"store-file", TEXT, &o->store_file, NULL},
        {"dump", TEXT, &o->dump, NULL},
        {"sink", FLAG, &o->sink, NULL},
        {"disposition-delay-ms", MS, &o->disposition_delay_ms, NULL},
        {"idle-timeout-ms", MS, &o->idle_timeout_ms, NULL},
        {"token-wait-ms", MS, &o->token_wait_ms, NULL},
        {"fault", REPEAT, &o->fault_count, o->faults},
        {"scenario", TEXT, &o->scenario, NULL},
        {"admin-port", PORT, &o->admin_port, NULL},
        {"throttle-bytes-per-second", BYTES, &o->throttle_bytes, NULL},
        {"throttle-events-per-second", BYTES, &o->throttle_events, NULL},
        {"verbose", FLAG, &o->verbose, NULL},
        {"stats-file", TEXT, &o->stats_file, NULL},
    };

    defaults(o);
    enum hub_options_result result = rows_read(o, rows, sizeof(rows) / sizeof(rows[0]), argc, argv);
    if (result != HUB_OPTIONS_RUN)
        return result;
    const char *wrong = optind < argc ? "arguments are not expected, see --help" : contradiction(o);
    if (wrong)
        fprintf(stderr, "ehring-hub: %s\n", wrong);
    if (o->listen_count == 0)
        o->listens[o->listen_count++] = "127.0.0.1";
    return wrong ? HUB_OPTIONS_BAD : HUB_OPTIONS_RUN;
}

static enum hub_options_result rows_read(struct hub_options *o, const struct row *rows, unsigned count, int argc, char **argv)
{
    struct option longs[ROWS_MAX + 2];
    int i = 0;

    assert(count <= ROWS_MAX);
    for (unsigned k = 0; k < count; k++)
        longs[k] = (struct option){rows[k].name, rows[k].kind == FLAG ? no_argument : required_argument, NULL, (int)k};
    longs[count] = (struct option){"help", no_argument, NULL, (int)count};
    longs[count + 1] = (struct option){0};
    while ((i = getopt_long(argc, argv, "", longs, NULL)) != -1) {
        if (i == (int)count) {
            fputs(help_listening, stdout);
            fputs(help_rest, stdout);
            return HUB_OPTIONS_HELP;
        }
        if (i == '?' || i > (int)count)
            return HUB_OPTIONS_BAD;
        if (row_set(&rows[i], optarg) < 0) {
            fprintf(stderr, "ehring-hub: --%s: bad value '%s'\n", rows[i].name, optarg);
            return HUB_OPTIONS_BAD;
        }
        o->has_admin |= rows[i].to == &o->admin_port;
        o->has_ws |= rows[i].to == &o->ws_port;
        o->has_wss |= rows[i].to == &o->wss_port;
    }
    return HUB_OPTIONS_RUN;
}

/* What cannot be meant together; NULL: nothing. */
static const char *contradiction(const struct hub_options *o)
{
    enum hub_cert_fault ignored;

    if (!o->cert != !o->key)
        return "--cert and --key belong together";
    if (o->no_tls && o->no_plain)
        return "--no-tls and --no-plain leave nothing to listen on";
    if (o->no_tls && o->has_wss)
        return "--wss-port needs TLS, which --no-tls takes away";
    if (o->no_plain && o->has_ws)
        return "--ws-port is a port without TLS, which --no-plain takes away";
    if (o->no_tls && o->client_ca)
        return "--client-ca needs TLS, which --no-tls takes away";
    if (o->cert_fault && hub_cert_fault_read(o->cert_fault, &ignored) < 0)
        return "--cert-fault is one of expired, future, other-host, self-signed";
    if (o->cert_fault && o->cert)
        return "--cert-fault is of the certificate that is made, not of one from --cert";
    if (o->listen_count > HUB_ADDRESSES_MAX)
        return "--listen takes 8 addresses at most";
    return NULL;
}

static int row_set(const struct row *row, const char *value)
{
    uint64_t number = 0;

    switch (row->kind) {
    case TEXT:
        *(const char **)row->to = value;
        return *value ? 0 : -EINVAL;
    case FLAG:
        *(bool *)row->to = true;
        return 0;
    case REPEAT:
        return repeat_add(row, value);
    case PORT:
        if (number_read(value, UINT16_MAX, &number) < 0)
            return -EINVAL;
        *(uint16_t *)row->to = (uint16_t)number;
        return 0;
    case BYTES:
        if (number_read(value, (uint64_t)1 << 40, (uint64_t *)row->to) < 0)
            return -EINVAL;
        return *(uint64_t *)row->to > 0 ? 0 : -EINVAL;
    case COUNT:
        if (number_read(value, CREDIT_MAX, &number) < 0 || number == 0)
            return -EINVAL;
        *(uint32_t *)row->to = (uint32_t)number;
        return 0;
    case MS:
        if (number_read(value, UINT32_MAX, &number) < 0)
            return -EINVAL;
        *(int64_t *)row->to = (int64_t)number;
        return 0;
    }
    return -EINVAL;
}

/* Decimal, with K, M or G for powers of 1024. */
static int number_read(const char *text, uint64_t limit, uint64_t *number)
{
    char *end;
    unsigned shift;

    errno = 0;
    unsigned long long v = strtoull(text, &end, 10);
    shift = *end == 'K' ? 10 : *end == 'M' ? 20 : *end == 'G' ? 30 : 0;
    if (errno || end == text || *text == '-' || end[shift > 0] || v > limit >> shift)
        return -EINVAL;
    *number = (uint64_t)v << shift;
    return 0;
}

static int repeat_add(const struct row *row, const char *value)
{
    unsigned *count = row->to;

    if (*count == HUB_REPEAT_MAX || !*value)
        return -EINVAL;
    row->list[(*count)++] = value;
    return 0;
}

static void defaults(struct hub_options *o)
{
    *o = (struct hub_options){.amqp_port = 5672,
                              .amqps_port = 5671,
                              .policy = "RootManageSharedAccessKey",
                              .listen_policy = "listen-only",
                              .message_bytes_max = 1 << 20,
                              .store_bytes_max = 1 << 30,
                              .credit = 300,
                              .idle_timeout_ms = 240000,
                              .token_wait_ms = 20000};
}
