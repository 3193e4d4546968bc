/* The command line of ehring-send. */
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char send_help[] =
    "usage: ehring-send --stream NAME [OPTION…] [FILE…]\n"
    "       ehring-send --direct [OPTION…] [FILE…]\n"
    "\n"
    "Sends each line of the files (or of standard input) as one event: into a ring, from where ehring-shipper delivers it, or with\n"
    "--direct over a connection of its own, without ring and shipper.\n"
    "\n"
    "What an event is\n"
    "  --lines                  a line without its newline (default)\n"
    "  --frames                 u32 length, little-endian, then so many bytes\n"
    "  --files                  each named file as a whole\n"
    "  --key TEXT               partition key of every event (also --partition-key)\n"
    "  --key-json FIELD         the key is this field of the event, which is a JSON object\n"
    "  --key-regex RE           the key is group 1 of this extended regular expression\n"
    "  --partition-id N         this partition and no other; not with a key\n"
    "  --content-type TEXT      content type of every event; --key-json sets application/json\n"
    "  --number-property NAME   user property that counts the events from 1\n"
    "  --rate N                 at most N events a second\n"
    "  --repeat N               the files N times over\n"
    "\n"
    "Ring\n"
    "  --stream NAME            directory below --rings\n"
    "  --rings DIR              default: $EHRING_RINGS, else /dev/shm/ehring\n"
    "  --make-stream-dir        make the directories if they are missing\n"
    "  --name NAME              what the ring calls itself in tools\n"
    "  --capacity BYTES         of the ring (suffix K, M, G); default 8M\n"
    "  --wait-ms N              wait for room N ms per event, then give up; 0: give up at once; default: wait without limit\n"
    "  --flush-ms N             at the end wait up to N ms until all is accepted; default: do not wait\n"
    "  --message-id-position    message-id is the ring's uuid and the event's position in hexadecimal\n"
    "\n"
    "Direct\n" DIRECT_PEER_HELP "  --timeout-ms N           for the connection and for the outcome of each batch; default 30000\n"
    "  --trace                  each AMQP frame as a line on stderr; no payloads, no secrets\n"
    "\n"
    "  --help                   this text\n"
    "\n"
    "Exit status: 0 all sent (and accepted, with --flush-ms or --direct), 1 not all, 2 wrong usage.\n";

enum letter {
    LINES = 1,
    FRAMES,
    FILES,
    KEY,
    KEY_JSON,
    KEY_REGEX,
    PARTITION_ID,
    CONTENT_TYPE,
    NUMBER_PROPERTY,
    RATE,
    REPEAT,
    STREAM,
    RINGS,
    MAKE_STREAM_DIR,
    NAME,
    CAPACITY,
    WAIT_MS,
    FLUSH_MS,
    MESSAGE_ID_POSITION,
    DIRECT,
    CONNECTION_STRING_FILE,
    HUB,
    CA_FILE,
    SET,
    TIMEOUT_MS,
    TRACE,
    HELP,
};

static const struct option long_options[] = {
    {"lines", no_argument, NULL, LINES},
    {"frames", no_argument, NULL, FRAMES},
    {"files", no_argument, NULL, FILES},
    {"key", required_argument, NULL, KEY},
    {"partition-key", required_argument, NULL, KEY},
    {"key-json", required_argument, NULL, KEY_JSON},
    {"key-regex", required_argument, NULL, KEY_REGEX},
    {"partition-id", required_argument, NULL, PARTITION_ID},
    {"content-type", required_argument, NULL, CONTENT_TYPE},
    {"number-property", required_argument, NULL, NUMBER_PROPERTY},
    {"rate", required_argument, NULL, RATE},
    {"repeat", required_argument, NULL, REPEAT},
    {"stream", required_argument, NULL, STREAM},
    {"rings", required_argument, NULL, RINGS},
    {"make-stream-dir", no_argument, NULL, MAKE_STREAM_DIR},
    {"name", required_argument, NULL, NAME},
    {"capacity", required_argument, NULL, CAPACITY},
    {"wait-ms", required_argument, NULL, WAIT_MS},
    {"flush-ms", required_argument, NULL, FLUSH_MS},
    {"message-id-position", no_argument, NULL, MESSAGE_ID_POSITION},
    {"direct", no_argument, NULL, DIRECT},
    {"connection-string-file", required_argument, NULL, CONNECTION_STRING_FILE},
    {"hub", required_argument, NULL, HUB},
    {"ca-file", required_argument, NULL, CA_FILE},
    {"set", required_argument, NULL, SET},
    {"timeout-ms", required_argument, NULL, TIMEOUT_MS},
    {"trace", no_argument, NULL, TRACE},
    {"help", no_argument, NULL, HELP},
    {NULL, 0, NULL, 0},
};

static const char *read_option(struct send_options *o, enum letter letter, const char *text);
static const char **text_place(struct send_options *o, enum letter letter);
static const char *read_sizes(struct send_options *o, enum letter letter, const char *text);
static const char *check(const struct send_options *o);
static bool read_number(const char *text, uint64_t max, uint64_t *number);
static const char *set_key(struct send_options *o, enum send_key from, const char *text);

enum send_parse send_options_read(struct send_options *o, int argc, char **argv)
{
    const char *wrong = NULL;
    int letter;

    *o = (struct send_options){.repeat = 1, .wait_ms = -1, .flush_ms = -1, .timeout_ms = 30000};
    while (!wrong && (letter = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        if (letter == HELP)
            return SEND_PARSE_HELP;
        if (letter == '?')
            return SEND_PARSE_WRONG;
        wrong = read_option(o, (enum letter)letter, optarg);
    }
    o->input = argv + optind;
    o->input_count = argc - optind;
    if (!wrong)
        wrong = check(o);
    if (!wrong)
        return SEND_PARSE_GO;
    fprintf(stderr, "ehring-send: %s (see --help)\n", wrong);
    return SEND_PARSE_WRONG;
}

static const char *read_option(struct send_options *o, enum letter letter, const char *text)
{
    const char **place = text_place(o, letter);

    if (place) {
        *place = text;
        return NULL;
    }
    switch ((int)letter) {
    case LINES:
        o->cut = SEND_LINES;
        return NULL;
    case FRAMES:
        o->cut = SEND_FRAMES;
        return NULL;
    case FILES:
        o->cut = SEND_FILES;
        return NULL;
    case KEY:
        return set_key(o, SEND_KEY_TEXT, text);
    case KEY_JSON:
        return set_key(o, SEND_KEY_JSON, text);
    case KEY_REGEX:
        return set_key(o, SEND_KEY_REGEX, text);
    case MAKE_STREAM_DIR:
        o->make_stream_dir = true;
        return NULL;
    case MESSAGE_ID_POSITION:
        o->message_id_position = true;
        return NULL;
    case DIRECT:
        o->way = SEND_DIRECT;
        return NULL;
    case TRACE:
        o->peer.is_traced = true;
        return NULL;
    case SET:
        return direct_peer_set(&o->peer, text);
    }
    return read_sizes(o, letter, text);
}

/* Where an option that is a text belongs; NULL: it is none. */
static const char **text_place(struct send_options *o, enum letter letter)
{
    const char **const places[] = {[PARTITION_ID] = &o->partition_id,
                                   [CONTENT_TYPE] = &o->content_type,
                                   [NUMBER_PROPERTY] = &o->number_property,
                                   [STREAM] = &o->stream,
                                   [RINGS] = &o->rings_dir,
                                   [NAME] = &o->name,
                                   [CONNECTION_STRING_FILE] = &o->peer.connection_string_file,
                                   [HUB] = &o->peer.hub,
                                   [CA_FILE] = &o->peer.ca_file,
                                   [HELP] = NULL};

    return places[letter];
}

static const char *read_sizes(struct send_options *o, enum letter letter, const char *text)
{
    uint64_t number;

    if (letter == REPEAT)
        return read_number(text, UINT64_C(1) << 40, &o->repeat) && o->repeat > 0 ? NULL : "--repeat is a number of at least 1";
    if (letter == CAPACITY)
        return read_number(text, UINT64_C(64) << 30, &o->capacity_bytes) ? NULL : "--capacity is a number of bytes of at most 64G";
    if (!read_number(text, INT32_MAX, &number))
        return "--rate, --wait-ms, --flush-ms and --timeout-ms are numbers from 0 to 2147483647";
    if (letter == RATE)
        o->rate = (uint32_t)number;
    if (letter == WAIT_MS)
        o->wait_ms = (int64_t)number;
    if (letter == FLUSH_MS)
        o->flush_ms = (int64_t)number;
    if (letter == TIMEOUT_MS)
        o->timeout_ms = (uint32_t)number;
    return NULL;
}

static const char *set_key(struct send_options *o, enum send_key from, const char *text)
{
    if (o->key_from != SEND_KEY_NONE)
        return "only one of --key, --key-json and --key-regex";
    o->key_from = from;
    o->key = text;
    return NULL;
}

static const char *check(const struct send_options *o)
{
    if (o->way == SEND_RING && !o->stream)
        return "--stream is missing (or --direct)";
    if (o->way == SEND_RING && direct_peer_is_given(&o->peer))
        return "--hub, --ca-file, --set and --connection-string-file go with --direct; a ring's hub is in the shipper's configuration";
    if (o->way == SEND_DIRECT && (o->stream || o->rings_dir || o->message_id_position || o->flush_ms >= 0 || o->wait_ms >= 0))
        return "--stream, --rings, --message-id-position, --wait-ms and --flush-ms go with a ring, not with --direct";
    if (o->partition_id && o->key_from != SEND_KEY_NONE)
        return "an event has a key or a partition id, never both";
    if (o->cut == SEND_FILES && o->input_count == 0)
        return "--files needs the names of the files";
    if (o->repeat > 1 && o->input_count == 0)
        return "--repeat needs files: standard input can be read once";
    return NULL;
}

/* With the suffixes K, M and G for 1024 and its powers. */
static bool read_number(const char *text, uint64_t max, uint64_t *number)
{
    static const char suffixes[] = "KMG";
    const char *suffix;
    char *end;

    errno = 0;
    *number = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || errno != 0 || *number > max)
        return false;
    if (*end == '\0')
        return true;
    suffix = strchr(suffixes, *end);
    if (!suffix || end[1] != '\0')
        return false;
    for (const char *at = suffixes; at <= suffix; at++) {
        if (*number > max / 1024)
            return false;
        *number *= 1024;
    }
    return true;
}
