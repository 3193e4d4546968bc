/* The partition key of an event: a fixed text, a JSON field, or a group of a regular expression. */
#ifndef SEND_KEY_H
#define SEND_KEY_H

#include <regex.h>
#include <stddef.h>

#include "options.h"

struct key_source {
    enum send_key from;
    const char *text;
    regex_t regex;
    char *made; /* the last key that was made from an event */
};

/* 0, or -EINVAL after a message on stderr. */
int key_source_open(struct key_source *source, enum send_key from, const char *text);
/* The key, NUL-terminated, valid until the next call; NULL: the event has none. */
const char *key_of(struct key_source *source, const char *bytes, size_t len);
void key_source_close(struct key_source *source);

#endif
