/* What of a ring was settled at one instant, and what was pending then, counted by walking: the independent halves of the ledger. Writes
 * nothing. */
#include <errno.h>
#include <string.h>

#include "ring_internal.h"
#include "ring_order.h"
#include "ring_route.h"

#define CUT_TRIES 64
#define COUNT_WORDS (sizeof(struct ring_settled) / sizeof(uint64_t))

struct lane_look {
    uint64_t state, domain, done_pos;
    uint64_t counts[COUNT_WORDS];
    uint64_t redo[COUNT_WORDS];
};

struct look { /* all words of a cut, each read once */
    uint64_t gate_pos;
    uint64_t partition_count;
    struct lane_look lane[RING_LANES_MAX];
    uint64_t done_pos[RING_DOMAINS_MAX];
};

static void look_at(const struct ring *ring, struct look *look);
static int look_apply(const struct look *look, struct ring_cut *cut);
static bool was_overwritten(const struct ring *ring, uint64_t pos);
static bool is_pending(const struct ring *ring, const struct ring_cut *cut, uint64_t pos, const struct ring_head *head);

int64_t ring_count_pending(const struct ring *ring)
{
    struct ring_cut cut;
    uint64_t pending = 0;
    int err = -EAGAIN;

    for (int tries = 0; tries < CUT_TRIES && err == -EAGAIN; tries++) {
        err = ring_cut_take(ring, &cut);
        if (!err)
            err = ring_cut_count_pending(ring, &cut, order_observe(&ring->producer->hot.write_pos), &pending);
    }
    return err ? err : (int64_t)pending;
}

/* R2. Counts and positions only grow and each settlement changes a count, so words that were the same twice stood so together at the
 * instant between the two looks: whatever a worker was about, its redo record says which of them to believe. */
int ring_cut_take(const struct ring *ring, struct ring_cut *cut)
{
    struct look first, second;

    for (int tries = 0; tries < CUT_TRIES; tries++) {
        look_at(ring, &first);
        look_at(ring, &second);
        if (ring_faulted(ring))
            return -EBADMSG;
        if (memcmp(&first, &second, sizeof(first)) == 0)
            return look_apply(&second, cut);
    }
    return -EAGAIN;
}

/* A record is read while the ring lives: it is believed if its bytes could not have been overwritten by then. */
int ring_cut_count_pending(const struct ring *ring, const struct ring_cut *cut, uint64_t write_pos, uint64_t *pending)
{
    uint64_t pos = cut->gate_pos;
    struct ring_head head;

    *pending = 0;
    if (write_pos - pos > ring->capacity)
        return pos <= write_pos && order_load_gate(&ring->shipper->gate.gate_pos) != pos ? -EAGAIN : -EBADMSG;
    for (uint32_t domain = 0; domain < RING_DOMAINS_MAX; domain++)
        if (cut->done_pos[domain] > write_pos || cut->done_pos[domain] % RING_RECORD_ALIGN != 0)
            return -EBADMSG;
    for (; pos != write_pos; pos += ring_align16(head.len)) {
        int err = ring_head_read(ring, pos, write_pos, &head);
        bool counts = !err && head.kind == RING_KIND_DATA && is_pending(ring, cut, pos, &head);
        if (ring_faulted(ring))
            return -EBADMSG;
        if (was_overwritten(ring, pos))
            return -EAGAIN;
        if (err)
            return err;
        *pending += counts;
    }
    return 0;
}

static void look_at(const struct ring *ring, struct look *look)
{
    const struct ring_shipper *shipper = ring->shipper;

    memset(look, 0, sizeof(*look));
    look->partition_count = ring_partition_count(ring);
    look->gate_pos = order_load_gate(&shipper->gate.gate_pos);
    for (uint32_t i = 0; i < RING_LANES_MAX; i++) {
        const struct ring_lane_words *words = &shipper->lane[i];
        const _Atomic uint64_t *counts = &words->counts.accepted_events, *redo = &words->redo.counts.accepted_events;
        struct lane_look *lane = &look->lane[i];
        lane->state = order_redo_load32(&words->redo.state);
        lane->domain = order_redo_load32(&words->redo.domain);
        lane->done_pos = order_redo_load64(&words->redo.done_pos);
        for (uint32_t k = 0; k < COUNT_WORDS; k++) {
            lane->counts[k] = order_redo_load64(&counts[k]);
            lane->redo[k] = order_redo_load64(&redo[k]);
        }
    }
    for (uint32_t domain = 0; domain < RING_CLASS_COUNT + look->partition_count; domain++)
        look->done_pos[domain] = order_redo_load64(&shipper->done_pos[ring_done_slot(domain)]);
}

static int look_apply(const struct look *look, struct ring_cut *cut)
{
    uint64_t *sum = &cut->settled.accepted_events;

    *cut = (struct ring_cut){.gate_pos = look->gate_pos, .partition_count = look->partition_count};
    memcpy(cut->done_pos, look->done_pos, sizeof(cut->done_pos));
    for (uint32_t i = 0; i < RING_LANES_MAX; i++) {
        const struct lane_look *lane = &look->lane[i];
        bool full = lane->state == RING_REDO_FULL;
        if (lane->state != RING_REDO_EMPTY && !full)
            return -EBADMSG;
        if (full && lane->domain != RING_REDO_NO_DOMAIN) {
            if (lane->domain >= RING_DOMAINS_MAX)
                return -EBADMSG;
            cut->done_pos[lane->domain] = lane->done_pos;
        }
        for (uint32_t k = 0; k < COUNT_WORDS; k++)
            sum[k] += full ? lane->redo[k] : lane->counts[k];
    }
    return 0;
}

/* T2. The writer may be anywhere up to a capacity above the gate, and publishes at least each eighth. */
static bool was_overwritten(const struct ring *ring, uint64_t pos)
{
    uint64_t gate_pos = order_tap_check(&ring->shipper->gate.gate_pos);

    return gate_pos > pos && order_observe(&ring->producer->hot.write_pos) - pos > ring->capacity / 2;
}

static bool is_pending(const struct ring *ring, const struct ring_cut *cut, uint64_t pos, const struct ring_head *head)
{
    uint8_t key[RING_KEY_BYTES_MAX];
    struct ring_record record = {.pos = pos, .key = key, .key_len = head->key_len, .route = head->route, .flags = head->flags};

    memcpy(key, ring->data + (pos & ring->mask) + sizeof(*head), head->key_len);
    uint32_t domain = ring_domain_of(&record, (uint32_t)cut->partition_count);
    return domain >= RING_DOMAINS_MAX || pos >= cut->done_pos[domain];
}
