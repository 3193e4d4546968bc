/* The few AMQP frames with which a sender comes to credit, and one batch of events as the bytes of its transfers. Does no I/O. */
#ifndef BENCH_SINK_WIRE_H
#define BENCH_SINK_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SINK_HELLO_BYTES 2048u

enum { /* descriptors */
       SINK_FLOW = 0x13,
       SINK_DISPOSITION = 0x15,
       SINK_DETACH = 0x16,
       SINK_CLOSE = 0x18,
       SINK_SASL_OUTCOME = 0x44,
};

/* Into `to`, of SINK_HELLO_BYTES; returns the length. First: header and login by name and key. Then: header, open, begin, attach. */
size_t sink_wire_sasl(uint8_t *to, const char *user, const char *key);
size_t sink_wire_open(uint8_t *to, const char *host, const char *hub);

struct sink_frame {
    uint8_t performative; /* 0: a protocol header or an empty frame */
    bool refused;         /* a login that failed */
    uint32_t first;       /* of a disposition */
    uint32_t last;
};
/* The frame at the start of `bytes`: its length, 0: not all of it is there, -EPROTO: it is none. */
int sink_wire_frame(const uint8_t *bytes, size_t len, struct sink_frame *frame);

struct sink_batch {
    uint8_t *wire; /* all transfer frames of the delivery */
    size_t wire_len;
    size_t number_at[2]; /* where its number stands: delivery-id and tag */
    uint32_t event_count;
};
/* As many events of `event_len` bytes as a batch of 1 MiB takes, at least one. 0 or -ENOMEM. */
int sink_batch_make(uint32_t event_len, struct sink_batch *batch);
void sink_batch_free(struct sink_batch *batch);
/* Makes it delivery `number`. */
void sink_batch_number(struct sink_batch *batch, uint32_t number);

#endif
