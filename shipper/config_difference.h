/* What differs between two configurations, key by key, and what a running shipper does about it. Pure. */
#ifndef EHRING_CONFIG_DIFFERENCE_H
#define EHRING_CONFIG_DIFFERENCE_H

#include <stdint.h>

#include "shipper/config.h"

#define CONFIG_CHANGE_TEXT_BYTES 1100

enum config_change_kind { CONFIG_STREAM_ADDED, CONFIG_STREAM_REMOVED, CONFIG_VALUE_CHANGED };
struct config_change {
    enum config_change_kind kind;
    enum config_effect effect; /* of a value */
    char stream[64];           /* empty: the shipper's own */
    const char *key;           /* of a value: its name in the file; a connection string's parts have the names of the single keys */
    char before[CONFIG_CHANGE_TEXT_BYTES]; /* empty: it is not given; a secret: "***" */
    char after[CONFIG_CHANGE_TEXT_BYTES];
};
struct config_difference {
    uint32_t count;
    uint32_t cap;
    struct config_change *change; /* the shipper's, then stream by stream in the order of the new file, then what it has no more */
};

/* 0, or -ENOMEM with nothing in `difference`. Streams are the same if their names are, wherever they stand. */
int config_difference_make(const struct config *before, const struct config *after, struct config_difference *difference);
void config_difference_free(struct config_difference *difference);
/* The most that a stream's changes ask for; CONFIG_AT_USE also if nothing of it changed. */
enum config_effect config_difference_effect(const struct config_difference *difference, const char *stream);
/* True if a value of the stream changed. */
bool config_difference_has(const struct config_difference *difference, const char *stream);
const struct config_stream *config_find_stream(const struct config *config, const char *name); /* NULL: none */

#endif
