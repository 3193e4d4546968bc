/* A run: events of one domain, from any rings of the stream, each encoded as a message of its own for any AMQP 1.0 broker, sent one behind
 * the other. What a batch is for Event Hubs. Remembers where each came from, for a run of which a part is accepted. Knows no connection. */
#ifndef EHRING_RUN_H
#define EHRING_RUN_H

#include <stdbool.h>
#include <stdint.h>

#include "shipper/batch.h"
#include "shipper/door.h"

struct run_event { /* where an event of it lies */
    uint64_t pos;
    uint32_t slot;
    uint32_t record_len;
    uint32_t payload_len;
};

struct run_list { /* zero-initialised: empty */
    uint32_t cap;
    uint32_t count;
    uint32_t accepted_count; /* of its first events, as far as the broker has told */
    uint32_t *lens;          /* of the messages, one behind the other in the buffer */
    struct run_event *event;
};

/* Room for `cap` events; what it held is forgotten. 0 or -ENOMEM. */
int run_reserve(struct run_list *run, uint32_t cap);
void run_free(struct run_list *run);

/* Encodes as many of the list's first entries as fit: run->cap, limits->count_max, limits->bytes_max for all of them together and
 * `message_bytes_max` for each. Returns as batch_encode does: 0, or -EMSGSIZE: the first event alone is too large. */
int run_encode(struct feed *feed, uint32_t domain, const struct batch_limits *limits, uint64_t message_bytes_max, const struct door *door,
               uint8_t *to, struct run_list *run, struct batch *batch);

/* What the events from `from` to before `to` cover, into cover[FEED_COVERS_MAX]. Returns the count of covers. */
uint32_t run_cover(const struct run_list *run, uint32_t from, uint32_t to, struct feed_cover *cover);

#endif
