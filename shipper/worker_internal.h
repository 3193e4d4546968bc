/* What worker.c and the other files of the worker share. */
#ifndef EHRING_WORKER_INTERNAL_H
#define EHRING_WORKER_INTERNAL_H

#include "shipper/worker.h"

/* The turn of one stream: what its connection did, then what its rings have, then out. Returns how much was done. */
/* There is news: the rings are looked at in the next turn, and no sleep is near. */
static inline void worker_look_soon(struct worker *worker)
{
    worker->idle_passes = 0;
    worker->pass_ns = 0;
}

/* `pass`: the rings are looked at. Returns how many records were met. */
uint32_t worker_stream_turn(struct worker *worker, struct worker_stream *ws, bool pass, int64_t now_ns);
/* Events of one connection: settlements, links, loss. Returns their count. */
uint32_t worker_uplink_events(struct worker *worker, struct worker_stream *ws, struct uplink *up, int64_t now_ns);
/* Seals, encodes and sends what is due. Returns the count of batches begun. */
uint32_t worker_stream_send(struct worker *worker, struct worker_stream *ws, int64_t now_ns);
/* This worker's share of throughput_units, as the setup has it. */
void worker_stream_set_quota(struct worker_stream *ws, uint32_t worker_count);
void worker_wake(struct worker *worker); /* any thread */
bool worker_stream_is_idle(const struct worker_stream *ws);

/* ---- worker_inbox.c ---- */
void worker_inbox_take(struct worker *worker, int64_t now_ns);
void worker_inbox_close(struct worker *worker); /* what was not read */

/* ---- worker_setup.c ---- */
/* The worker has it from now on. 0, or a negative errno: its doorbell cannot be watched. */
int worker_stream_join(struct worker *worker, struct worker_stream *ws);
/* Another setup is in force, of which the worker becomes the user. */
void worker_stream_configure(struct worker *worker, struct worker_stream *ws, struct setup *setup, enum config_effect effect,
                             int64_t now_ns);
/* Streams to be closed whose last connection has ended leave. */
void worker_streams_close(struct worker *worker, int64_t now_ns);

/* A peer that lives but owes an answer this long will not give it. Counted from where all bytes have left us. */
#define WORKER_ANSWER_WAIT_NS (120 * INT64_C(1000000000))

/* The batch needs its buffer no more: its link is free for the next one. */
void worker_batch_handed_over(struct worker *worker, struct worker_stream *ws, struct inflight_batch *batch);
/* It is over, judged or lost, perhaps before all of it had gone. */
void worker_batch_end(struct worker *worker, struct worker_stream *ws, struct inflight_batch *batch);

/* ---- worker_outcome.c ---- */
void worker_batch_judged(struct worker *worker, struct worker_stream *ws, struct inflight_batch *batch, const struct conn_event *event,
                         int64_t now_ns);
void worker_batch_accepted(struct worker *worker, struct worker_stream *ws, struct inflight_batch *batch, int64_t now_ns);
void worker_batch_failed(struct worker *worker, struct worker_stream *ws, struct inflight_batch *batch, enum feed_failure failure,
                         int64_t hold_ns, int64_t now_ns);
/* All batches of a domain have an unknown outcome. */
void worker_batches_lost(struct worker *worker, struct worker_stream *ws, uint32_t domain, int64_t now_ns);
/* The hub asks for a wait. */
void worker_throttled(struct worker_stream *ws, uint32_t domain, int64_t hold_ns, int64_t now_ns);
/* The hub has refused the domain's first events once more. */
void worker_verdict_note(struct worker_link *link, const char *condition, const char *description);
void worker_verdict_end(struct worker_link *link);

/* ---- worker_run.c ---- */
/* Encodes the domain's next run into `to`: as batch_encode. */
int worker_run_encode(struct worker_stream *ws, uint32_t domain, const struct batch_limits *limits, uint8_t *to, struct batch *batch);
/* Notes how much of a run is accepted so far. */
void worker_run_progress(struct worker *worker, struct worker_stream *ws, const struct conn_event *event);
/* A run was judged and not all of it accepted: notes what is, the first that is not, and which behind it will be repeated. */
void worker_run_judged(struct worker_stream *ws, struct inflight_batch *batch, const struct conn_event *event, bool maybe_delivered);
/* What is known to be accepted is settled, the rest is walked again. */
void worker_run_failed(struct worker_stream *ws, struct inflight_batch *batch, enum feed_failure failure);
/* The one event of a run that was refused, into cover[1]. */
void worker_run_refused(const struct worker_stream *ws, const struct inflight_batch *batch, struct feed_cover *cover);

/* ---- worker_letter.c ---- */
/* Whether the domain's first event is to become a dead letter, and why. */
bool worker_letter_is_due(struct worker *worker, struct worker_stream *ws, uint32_t domain, int64_t now_ns, enum deadletter_reason *reason);
/* Takes at most `count_max` of the domain's first events and has them written. false: not now. */
bool worker_letter_begin(struct worker *worker, struct worker_stream *ws, uint32_t domain, enum deadletter_reason reason,
                         uint32_t count_max, int64_t now_ns);
/* Settles what is on the disk. Returns how many jobs were done. */
uint32_t worker_letters_take(struct worker *worker, int64_t now_ns);

/* ---- worker_link.c ---- */
/* Whether the domain's link can take a batch; opens it where there is none, moves it where its connection should be left. */
bool worker_link_is_ready(struct worker *worker, struct worker_stream *ws, uint32_t domain, int64_t now_ns);
/* Where more domains want a link than may have one, one that is not in use gives its own up. */
void worker_links_make_room(struct worker_stream *ws, int64_t now_ns);
/* Detaches it in order; nothing of it is in flight. */
void worker_link_close(struct worker_stream *ws, uint32_t domain);
int worker_link_find(const struct worker_stream *ws, const struct uplink *up, int id); /* domain or -1 */
void worker_link_attached(struct worker_stream *ws, const struct uplink *up, const struct conn_event *event, int64_t now_ns);
void worker_link_ended(struct worker *worker, struct worker_stream *ws, struct uplink *up, const struct conn_event *event, int64_t now_ns);
void worker_links_lost(struct worker *worker, struct worker_stream *ws, const struct uplink *up, int64_t now_ns);

static inline void worker_timer(struct worker *worker, int64_t at_ns)
{
    if (at_ns < worker->next_ns)
        worker->next_ns = at_ns;
}
/* A linger's end: it need not be met sharply while the rings are looked at again soon, and then several end at once. */
static inline void worker_linger_timer(struct worker *worker, int64_t at_ns)
{
    if (at_ns < worker->linger_ns)
        worker->linger_ns = at_ns;
}

#endif
