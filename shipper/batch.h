/* A batch: events of one domain, from any rings of the stream, sent as one delivery. When to seal it, and its encoding from the rings into
 * a buffer. Knows the rings and positions it covers, no connection. */
#ifndef EHRING_BATCH_H
#define EHRING_BATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "shipper/feed.h"

#define BATCH_SAMPLES_MAX 32u

struct batch_limits {
    uint64_t bytes_max; /* of the encoded batch: the link's, or less */
    uint32_t count_max; /* 0: none */
    int64_t linger_ns;
};

enum batch_seal { BATCH_SEAL_NOT_YET, BATCH_SEAL_BYTES, BATCH_SEAL_COUNT, BATCH_SEAL_AGE, BATCH_SEAL_FLUSH };

/* Why the domain's list should go out now, if it should. */
enum batch_seal batch_seal_reason(const struct feed_domain *domain, const struct batch_limits *limits, int64_t now_ns);
/* When age will seal it. */
int64_t batch_seal_time_ns(const struct feed_domain *domain, const struct batch_limits *limits);

struct batch_sample {
    int64_t commit_ns; /* CLOCK_REALTIME */
    uint32_t slot;
};

struct batch {
    uint32_t domain;
    uint32_t cover_count;
    uint32_t event_count;
    uint32_t taken_count; /* entries of the list that it was made of, skipped ones included */
    uint32_t sample_count;
    uint32_t encoded_len;
    uint64_t payload_bytes;
    int64_t read_ns; /* when its first entry was walked */
    int64_t sent_ns;
    struct feed_cover cover[FEED_COVERS_MAX];
    struct batch_sample sample[BATCH_SAMPLES_MAX];
};

/* Encodes as many of the list's first entries as fit into `to` (limits->bytes_max bytes; `to` has room for them). A ring whose record is
 * not what was walked is quarantined and left out, and all is encoded again. 0: batch filled in, batch->event_count may be 0 if only
 * left-out rings were met (taken_count tells); -EMSGSIZE: the first event alone is larger than the limit (batch->encoded_len: its size,
 * batch->cover[0]: where). */
int batch_encode(struct feed *feed, uint32_t domain, const struct batch_limits *limits, uint8_t *to, struct batch *batch);

/* The parts of it, for who makes something else of a domain's first events. */
void batch_clear(struct batch *batch);
/* The cover of a ring, NULL: too many rings. */
struct feed_cover *batch_cover(struct feed *feed, struct batch *batch, uint32_t slot);
/* An entry that does not fit after all: a cover that holds nothing is free again. It was the last one taken. */
void batch_cover_give_back(struct batch *batch, struct feed_cover *cover, uint64_t pos);
/* The commit time of an event that is in. */
void batch_sample(struct batch *batch, uint32_t slot, int64_t commit_ns);
/* The entry is in: into its ring's cover and the sums. */
void batch_count(struct batch *batch, struct feed_cover *cover, const struct fifo_entry *entry, uint32_t payload_len);
/* Quarantines the entry's ring and leaves it out; returns -EAGAIN: all is to be done again. */
int batch_leave_out(struct feed *feed, const struct fifo_entry *entry, enum ring_quarantine reason);
/* True: a covered ring was cut while it was read; it is left out, and all is to be done again. */
bool batch_is_faulted(struct feed *feed, const struct batch *batch);

#endif
