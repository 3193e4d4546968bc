/* The rings of one stream as one worker sees them: walks heads, sorts records into domains, remembers what is behind, settles, acks.
 * A domain that is in flight, failing or full holds the gate, never the walk. Copies no event, knows no connection. */
#ifndef EHRING_FEED_H
#define EHRING_FEED_H

#include <stdbool.h>
#include <stdint.h>

#include "ringbuf/ring.h"
#include "shipper/counters.h"
#include "shipper/fifo.h"

#define FEED_POS_NONE UINT64_MAX
#define FEED_SLOT_NONE UINT32_MAX
#define FEED_SHARE_OVER UINT32_MAX
#define FEED_COVERS_MAX 512u   /* rings in one batch */
#define FEED_WALK_BUDGET 4096u /* records of one ring in one pass */

struct feed_place {       /* one domain in one ring */
    uint64_t first_pos;   /* first record that is not settled; FEED_POS_NONE: none below walk_pos */
    uint64_t behind_pos;  /* walk this domain again from here; FEED_POS_NONE: it is level with walk_pos */
    uint32_t next_behind; /* slot of the next ring that is behind in the domain */
};

struct feed_ring {
    struct ring_lane lane;
    void *owner;             /* the shared ring it came from; the worker's business */
    uint64_t stop_pos;       /* the walk ends here: repartition, reboot, stop */
    uint64_t replay_end_pos; /* below it a record may be settled already (done_pos decides) */
    uint64_t flush_pos;      /* the producer's last flush request that was passed on */
    uint32_t partition_count;
    uint32_t unsettled_count; /* places with a first_pos */
    uint32_t entry_count;     /* entries in fifos and covers in flight that name this ring */
    uint32_t place_count;
    uint32_t cover_place; /* of its cover in the batch that it came into last */
    bool used;
    bool left_out; /* quarantined or given up: its entries are skipped */
    bool dropped;  /* the main thread wants it back */
    bool released; /* dropped, but what is in flight is still settled: nothing further of it is walked or sent */
    struct feed_place *place;
};

struct feed_cover { /* what a batch holds of one ring */
    uint32_t slot;
    uint32_t event_count;
    uint64_t first_pos;
    uint64_t end_pos;
    uint64_t payload_bytes;
};

/* What a refused batch held: walked again alone and in the same order, and sent in ever smaller parts until the bad event stands alone. */
struct feed_suspect {
    uint32_t event_count; /* that are not settled */
    uint32_t cover_count;
    struct feed_cover cover[FEED_COVERS_MAX]; /* slot FEED_SLOT_NONE: the ring is gone */
};

struct feed_domain {
    struct fifo fifo;
    struct feed_suspect *suspect; /* NULL: none */
    uint64_t fifo_bytes;          /* what its entries will be encoded, an estimate */
    int64_t oldest_ns;            /* when the first entry was walked (CLOCK_MONOTONIC) */
    int64_t hold_until_ns;        /* backoff after a failure */
    uint32_t failure_count;       /* in a row; the worker's */
    uint32_t behind_head;         /* rings that are behind here, first come first served */
    uint32_t behind_tail;
    uint32_t active_index; /* in feed->active, or FEED_SLOT_NONE */
    uint32_t share_walk;   /* the number of the walk for another domain that met records of this one last */
    uint32_t share_bytes;  /* of them, what this list took; FEED_SHARE_OVER: it takes no more in that walk */
    bool inflight;
    bool urgent; /* a flush wants it: no linger */
};

struct feed {
    uint32_t lane_index;
    uint32_t lane_count;
    struct fifo_pool *pool; /* the worker's */
    struct counters_worker *counters;
    struct ring_hist *commit_to_read;
    uint64_t domain_bytes_max; /* a domain's list is full beyond */
    uint32_t domain_count_max; /* the same in events: a quota's second, so that rings that come later have their share of it soon */
    uint32_t ring_cap;
    uint32_t ring_count;
    struct feed_ring *ring;     /* slots */
    struct feed_domain *domain; /* RING_DOMAINS_MAX */
    uint32_t *active;           /* domains with entries or rings behind */
    uint32_t active_count;
    int64_t wall_ns;      /* of this pass, CLOCK_REALTIME */
    uint32_t lanes_seen;  /* bit k: the last pass met a record of lane k (not ours) */
    bool is_filling;      /* the last pass met a ring that would be full after a few more such */
    uint32_t walk_number; /* of the last walk for a domain that was behind */
    uint32_t refill_left; /* so many records more may be looked at for domains that are behind: set by who has other things to do */
    struct ring_walk walk;
};

int feed_open(struct feed *feed, uint32_t lane_index, uint32_t lane_count, struct fifo_pool *pool);
void feed_close(struct feed *feed);

/* A begun ring joins. `stop_pos` UINT64_MAX: no end. A slot or -ENOMEM. */
int feed_ring_add(struct feed *feed, struct ring *ring, void *owner, uint32_t partition_count, uint64_t stop_pos);
/* The ring is left out from now on; its slot is free once nothing names it (feed_ring_gone). */
void feed_ring_leave(struct feed *feed, uint32_t slot);
/* The ring is whole and wanted back: what is in flight of it is settled or fails, nothing else is sent. What was suspected together with
 * events of it is so no more. Free once nothing names it, as above. */
void feed_ring_release(struct feed *feed, uint32_t slot);
bool feed_ring_gone(const struct feed *feed, uint32_t slot);
void feed_ring_free(struct feed *feed, uint32_t slot);
/* Settled up to its stop (or write) position: nothing of this ring is walked and unsettled. */
bool feed_ring_is_level(const struct feed *feed, uint32_t slot);

/* One pass over all rings: returns the number of records met. Notes time and positions, passes flush requests on, acks what needs no
 * delivery. */
uint32_t feed_walk(struct feed *feed, int64_t now_ns, int64_t wall_ns);
/* Stores walk and ack positions of a ring now. */
void feed_ring_publish(struct feed *feed, uint32_t slot);
/* Sets all rings' sleeping flag: 0 awake, else the number of the sleep. */
void feed_bell(struct feed *feed, uint64_t number);
/* One more commit-to-accept latency of this ring's lane. */
void feed_note_accepted(struct feed *feed, uint32_t slot, uint64_t age_ns);
/* The next pass ends at what is written now: for a stop. */
void feed_stop(struct feed *feed);
bool feed_is_level(const struct feed *feed); /* every ring is */
/* True if some ring has bytes that were not walked (looked at after the sleeping flag is set). */
bool feed_has_unwalked(struct feed *feed);
/* Whether rings are behind in the domain and its list is less than half full and can be longer. */
bool feed_wants_refill(const struct feed *feed, uint32_t domain);
/* Takes up what is behind in the domain while its list has room and refill_left is not used up; other domains that have fallen behind in
 * the same stretch of a ring have theirs of it. */
void feed_refill(struct feed *feed, uint32_t domain, int64_t now_ns);

/* A batch was made of the first `count` entries: they leave the list; their rings are named by the covers until settled or failed. Without
 * covers (all entries were of rings left out) nothing is in flight. */
void feed_take(struct feed *feed, uint32_t domain, uint32_t count, const struct feed_cover *cover, uint32_t cover_count);
/* All covers are accepted, or on the disk as dead letters (counts through the redo record), lanes acked, gates raised. */
enum feed_settlement { FEED_ACCEPTED, FEED_DEAD_LETTERED };
void feed_settle(struct feed *feed, uint32_t domain, const struct feed_cover *cover, uint32_t cover_count, enum feed_settlement settlement);
/* Nothing of the covers is known to be delivered: walk the domain again from there. `maybe_duplicate`: the outcome is unknown. */
enum feed_failure { FEED_NOT_DELIVERED, FEED_MAYBE_DELIVERED };
void feed_fail(struct feed *feed, uint32_t domain, const struct feed_cover *cover, uint32_t cover_count, enum feed_failure failure);
/* Both at once, of what one batch covers: the first part of its events is accepted, the rest is to be walked again. A ring may be in both.
 */
void feed_settle_part(struct feed *feed, uint32_t domain, const struct feed_cover *settled, uint32_t settled_count,
                      const struct feed_cover *rest, uint32_t rest_count, enum feed_failure failure);
/* One event of the ring is going to be sent again and was accepted, or may have been. */
void feed_note_repeat(struct feed *feed, uint32_t slot);
/* Called before feed_fail: until all events of the covers are settled, the domain's list holds nothing else. Narrows an earlier suspicion.
 * 0 or -ENOMEM: there is none. */
int feed_suspect_set(struct feed *feed, uint32_t domain, const struct feed_cover *cover, uint32_t cover_count, uint32_t event_count);
uint32_t feed_suspect_count(const struct feed *feed, uint32_t domain); /* 0: none */
/* How many the next batch may hold: half of the suspects. 0: no suspicion, no limit. */
uint32_t feed_suspect_part(const struct feed *feed, uint32_t domain);

#endif
