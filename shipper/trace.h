/* The AMQP 1.0 frames of one connection as text: bytes of both directions in, cut anywhere; for each frame a line out. Pure: no I/O. Tells
 * names, numbers, addresses, conditions and lengths. Never an event's payload, key or properties, never a token; what the peer says is
 * quoted, bounded and cleaned. */
#ifndef EHRING_TRACE_H
#define EHRING_TRACE_H

#include <stddef.h>
#include <stdint.h>

#define TRACE_FIELDS_BYTES_MAX 2048u /* of a line; one that is longer ends with cut=true */

enum trace_way { TRACE_SENT, TRACE_RECEIVED };

struct trace_line {
    const char *what;   /* "sent transfer"; NULL: no frame is complete */
    const char *fields; /* "channel=0 bytes=80 handle=2 …"; control bytes only as \xNN */
};

struct trace;

/* Both directions stand before their protocol headers. -ENOMEM. */
int trace_open(struct trace **out);
void trace_close(struct trace *trace); /* NULL is fine */

/* Takes bytes of one direction, at most up to the end of a frame, and returns how many; *line is valid until the next call. Call again with
 * the rest. One thread at a time. What is no AMQP is told once, and the direction is then taken in silence. */
size_t trace_take(struct trace *trace, enum trace_way way, const uint8_t *data, size_t len, struct trace_line *line);

#endif
