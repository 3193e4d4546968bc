/* The command line of ehring-send. */
#ifndef SEND_OPTIONS_H
#define SEND_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "tools/direct_peer.h"

enum send_cut { SEND_LINES, SEND_FRAMES, SEND_FILES };
enum send_way { SEND_RING, SEND_DIRECT };
enum send_key { SEND_KEY_NONE, SEND_KEY_TEXT, SEND_KEY_JSON, SEND_KEY_REGEX };

struct send_options {
    enum send_way way;
    enum send_cut cut;
    enum send_key key_from;
    const char *key; /* text, field or expression */
    const char *partition_id;
    const char *content_type;
    const char *number_property;
    uint32_t rate;   /* events per second, 0: no limit */
    uint64_t repeat; /* at least 1 */
    /* ring */
    const char *stream, *rings_dir, *name;
    uint64_t capacity_bytes;
    int64_t wait_ms;  /* for room, per event; negative: without limit */
    int64_t flush_ms; /* at the end; negative: do not wait */
    bool make_stream_dir;
    bool message_id_position;
    /* direct */
    struct direct_peer peer;
    uint32_t timeout_ms;
    /* what follows */
    char *const *input;
    int input_count;
};

enum send_parse { SEND_PARSE_GO, SEND_PARSE_HELP, SEND_PARSE_WRONG };

/* SEND_PARSE_WRONG comes after a message on stderr. */
enum send_parse send_options_read(struct send_options *options, int argc, char **argv);

extern const char send_help[];

#endif
