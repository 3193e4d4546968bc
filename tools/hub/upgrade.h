/* The HTTP request that turns a connection into a WebSocket (RFC 6455): its head judged, and every answer to it. Does no I/O. */
#ifndef HUB_UPGRADE_H
#define HUB_UPGRADE_H

#include "buf.h"

#include <stddef.h>
#include <stdint.h>

enum { HUB_UPGRADE_HEAD_MAX = 8192, HUB_UPGRADE_TEXT_MAX = 512 };

struct hub_upgrade {
    int status;                      /* 0: not whole yet, 101: good, else how it is refused */
    char text[HUB_UPGRADE_TEXT_MAX]; /* why it is refused, a sentence */
    char accept[32];                 /* of a good one */
    const char *protocol;            /* of a good one: the first one offered that we know */
};

/* Judges what has come so far. Returns the length of the whole head with its empty line, 0: it is not whole (status may refuse it already).
 */
size_t hub_upgrade_read(struct hub_upgrade *u, const uint8_t *bytes, size_t len);

/* Refuses it, for another reason than its head. */
void hub_upgrade_refuse(struct hub_upgrade *u, int status, const char *text);

/* Writes the answer: 101, or the status with the sentence as body. Call it when the status is not 0. */
void hub_upgrade_answer(const struct hub_upgrade *u, struct hub_buf *to);

#endif
