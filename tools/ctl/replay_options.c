/* The command line of ehring-ctl dead-letter replay. */
#include "replay_options.h"

#include <stdio.h>

#include "options.h"

static const char help[] =
    "usage: ehring-ctl dead-letter replay --stream NAME [OPTION...]\n"
    "       ehring-ctl dead-letter replay --stream NAME --direct [OPTION...]\n"
    "\n"
    "Sends dead letters again as the events they were, in order: through a ring of the stream, or with --direct over a\n"
    "connection of its own. Letters that were accepted are marked and not sent again, so an interrupted replay goes on\n"
    "where it was; at most the last group (256 events, a second) may then be sent twice.\n"
    "\n"
    "  --stream NAME    whose letters; also the ring's stream\n"
    "  --dir DIR        default: $EHRING_DEAD_LETTERS, else /var/lib/ehring/dead-letters\n"
    "  --reason REASON  those with this reason alone\n"
    "  --since TIME     given up at or after 2026-11-26T11:00:00Z, or within the last 90s, 90m, 6h, 7d\n"
    "  --id ID          this letter alone\n"
    "  --limit N        at most so many events\n"
    "  --again          those that are marked, too\n"
    "  --without-time   leave the events' times out: under max_age_seconds an old one would come straight back\n"
    "  --rate N         at most N events a second\n"
    "  --timeout-ms N   for each group until it is accepted; default: 30000 with --direct, else without limit\n"
    "\n"
    "Ring\n"
    "  --rings DIR      default: $EHRING_RINGS, else /dev/shm/ehring\n"
    "  --capacity BYTES of the ring (suffix K, M, G); default 16M; no event is larger than an eighth of it\n"
    "\n"
    "Direct\n" DIRECT_PEER_HELP "\n"
    "  --help           this text\n"
    "\n"
    "Exit status: 0 all are accepted or were before, 1 not all (each is named with the reason), 2 wrong usage.\n";

enum replay_letter { AGAIN = 1, WITHOUT_TIME, RATE, TIMEOUT_MS, RINGS, CAPACITY, DIRECT, CONNECTION_STRING_FILE, HUB, CA_FILE, SET, HELP };

static int take(struct replay_options *o, int letter, const char *text);
static int take_number(struct replay_options *o, int letter, const char *text);
static int check(struct replay_options *o);

int replay_options_read(struct replay_options *o, int argc, char **argv)
{
    static const struct option long_options[] = {DEAD_OPTIONS_WHERE,
                                                 DEAD_OPTIONS_WHICH,
                                                 {"again", no_argument, NULL, AGAIN},
                                                 {"without-time", no_argument, NULL, WITHOUT_TIME},
                                                 {"rate", required_argument, NULL, RATE},
                                                 {"timeout-ms", required_argument, NULL, TIMEOUT_MS},
                                                 {"rings", required_argument, NULL, RINGS},
                                                 {"capacity", required_argument, NULL, CAPACITY},
                                                 {"direct", no_argument, NULL, DIRECT},
                                                 {"connection-string-file", required_argument, NULL, CONNECTION_STRING_FILE},
                                                 {"hub", required_argument, NULL, HUB},
                                                 {"ca-file", required_argument, NULL, CA_FILE},
                                                 {"set", required_argument, NULL, SET},
                                                 {"help", no_argument, NULL, HELP},
                                                 {NULL, 0, NULL, 0}};
    int letter, status;

    *o = (struct replay_options){.capacity_bytes = UINT64_C(16) << 20, .timeout_ms = -1};
    dead_options_init(&o->dead);
    while ((letter = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        if (letter == HELP)
            return fputs(help, stdout) < 0 ? 2 : 1;
        status = letter == '?' ? 2 : dead_options_take(&o->dead, letter, optarg);
        if (status == 1)
            status = take(o, letter, optarg);
        if (status != 0)
            return status;
    }
    status = option_rest(argc, argv);
    return status ? status : check(o);
}

static int take(struct replay_options *o, int letter, const char *text)
{
    switch (letter) {
    case AGAIN:
        o->again = true;
        return 0;
    case WITHOUT_TIME:
        o->times = LETTER_WITHOUT_TIME;
        return 0;
    case DIRECT:
        o->way = REPLAY_DIRECT;
        return 0;
    case RINGS:
        o->rings_dir = text;
        return 0;
    case CONNECTION_STRING_FILE:
        o->peer.connection_string_file = text;
        return 0;
    case HUB:
        o->peer.hub = text;
        return 0;
    case CA_FILE:
        o->peer.ca_file = text;
        return 0;
    case SET: {
        const char *wrong = direct_peer_set(&o->peer, text);
        return wrong ? option_wrong("%s", wrong) : 0;
    }
    }
    return take_number(o, letter, text);
}

static int take_number(struct replay_options *o, int letter, const char *text)
{
    uint64_t number = 0;

    if (letter == CAPACITY)
        return option_number(text, 1, UINT64_C(64) << 30, &o->capacity_bytes)
                   ? 0
                   : option_wrong("--capacity is a number of bytes of at most 64G, not %s", text);
    if (!option_number(text, letter == RATE, INT32_MAX, &number))
        return option_wrong("--%s is a number from %d to 2147483647, not %s", letter == RATE ? "rate" : "timeout-ms", letter == RATE, text);
    if (letter == RATE)
        o->rate = (uint32_t)number;
    else
        o->timeout_ms = (int64_t)number;
    return 0;
}

static int check(struct replay_options *o)
{
    if (!o->dead.stream)
        return option_wrong("--stream is missing");
    if (o->way == REPLAY_RING && direct_peer_is_given(&o->peer))
        return option_wrong(
            "--hub, --ca-file, --set and --connection-string-file go with --direct; a ring's hub is in the shipper's configuration");
    if (o->way == REPLAY_DIRECT && o->rings_dir)
        return option_wrong("--rings goes with a ring, not with --direct");
    if (o->way == REPLAY_DIRECT && o->timeout_ms < 0)
        o->timeout_ms = 30000;
    o->rings_dir = option_rings_dir(o->rings_dir);
    return 0;
}
