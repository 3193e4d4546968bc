/* A lane that drains while the producer writes: a thread on another core that does with a ring what a worker of the shipper does. */
#ifndef BENCH_DRAIN_H
#define BENCH_DRAIN_H

#include <stdint.h>

#include "bench/floor.h"
#include "bench/peer.h"
#include "bench/spectrum.h"
#include "bench/subject.h"

struct drain;

/* Starts the thread; it sleeps until drain_begin. `pass_us`: between two passes. 0 or -errno. drain_close ends it. */
int drain_open(uint32_t pass_us, struct drain **out);
void drain_close(struct drain *drain);

/* From here on the thread owns the subject's lane: in passes it looks at write_pos once, walks the heads up to it, copies each payload out,
 * acks every sixteenth of the ring, and comes back after pass_us (0: looks again at once). */
void drain_begin(struct drain *drain, struct subject *subject);
/* From the next drain_begin on the thread also takes the first eight bytes of each payload for the time, in ns, at which it was sent, and
 * adds its age; NULL: no more. The spectrum is the caller's again after drain_end. */
void drain_note_ages(struct drain *drain, struct spectrum *ages);
/* The same for the floor: in passes it copies out what is written, a sixteenth at a time. */
void drain_begin_floor(struct drain *drain, struct floor_buffer *buffer);
/* The same for a peer in memory: in passes it takes out what was there when the pass began. */
void drain_begin_peer(struct drain *drain, struct peer *peer);
/* Returns when all is read and the lane is the caller's again. 0, or -EBADMSG if a record could not be read. */
int drain_end(struct drain *drain);

#endif
