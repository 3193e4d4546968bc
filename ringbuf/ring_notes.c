/* When was an event committed that has no time? The shipper's notes (time, write_pos) answer, never too late by more than a pass.
 *
 * A queue of a few notes: those at or below the gate leave it, but for the newest of them. When it is full every second one goes, and new
 * ones come no closer than those that stayed: the error is a thirtieth of the backlog's age, whatever that is. */
#include <string.h>

#include "ring_internal.h"
#include "ring_order.h"

#define NOTE_TRIES 16

enum note_side { NOTE_AT_OR_BEFORE, NOTE_BEHIND };
static int64_t notes_search(const struct ring *ring, uint64_t pos, enum note_side side);
static int64_t head_time_ns(const struct ring *ring, uint64_t pos, uint64_t write_pos);
static bool is_too_close(struct ring_shipper *shipper, uint64_t head, uint64_t tail, int64_t time_ns);
static void notes_leave(struct ring_shipper *shipper, uint64_t *head, uint64_t tail, uint64_t gate_pos);
static void notes_thin(struct ring_shipper *shipper, uint64_t *head, uint64_t *tail);
static struct ring_note *note_at(struct ring_shipper *shipper, uint64_t index);
static int64_t note_time(const struct ring_note *note);
static void note_set_time(struct ring_note *note, int64_t time_ns);

void ring_note(struct ring_lane *lane, int64_t time_ns)
{
    struct ring_shipper *shipper = lane->ring->shipper;
    uint64_t head = order_none_load64(&shipper->notes.head), tail = order_none_load64(&shipper->notes.tail);

    if (tail - head > RING_NOTES_MAX) /* a peer wrote here */
        head = tail;
    notes_leave(shipper, &head, tail, order_load_gate(&shipper->gate.gate_pos));
    if (head != tail && order_none_load64(&note_at(shipper, tail - 1)->write_pos) == lane->seen_write_pos) {
        note_set_time(note_at(shipper, tail - 1), time_ns); /* nothing came meanwhile */
        return;
    }
    if (is_too_close(shipper, head, tail, time_ns))
        return;
    if (tail - head == RING_NOTES_MAX)
        notes_thin(shipper, &head, &tail);
    struct ring_note *note = note_at(shipper, tail);
    note_set_time(note, time_ns);
    order_none_store64(&note->write_pos, lane->seen_write_pos);
    order_move_notes(&shipper->notes.tail, tail + 1); /* N1 */
}

int64_t ring_noted_time_ns(const struct ring *ring, uint64_t pos)
{
    int64_t found = notes_search(ring, pos, NOTE_AT_OR_BEFORE);
    return found > ring->header.created_ns ? found : ring->header.created_ns;
}

int64_t ring_committed_by_ns(const struct ring *ring, uint64_t pos)
{
    return notes_search(ring, pos, NOTE_BEHIND);
}

/* The newest time of the notes at or before `pos` (INT64_MIN: none), or the oldest of those behind it (INT64_MAX: none). */
static int64_t notes_search(const struct ring *ring, uint64_t pos, enum note_side side)
{
    struct ring_shipper *shipper = ring->shipper;
    const int64_t none = side == NOTE_BEHIND ? INT64_MAX : INT64_MIN;

    for (int tries = 0; tries < NOTE_TRIES; tries++) {
        uint64_t tail = order_load_notes(&shipper->notes.tail), head = order_load_notes(&shipper->notes.head); /* N2 */
        int64_t found = none;
        if (tail - head > RING_NOTES_MAX)
            continue;
        for (uint64_t i = head; i != tail; i++) {
            const struct ring_note *note = note_at(shipper, i);
            int64_t time_ns = note_time(note);
            bool is_behind = order_none_load64(&note->write_pos) > pos;
            if (is_behind != (side == NOTE_BEHIND))
                continue;
            if (side == NOTE_BEHIND ? time_ns < found : time_ns > found)
                found = time_ns;
        }
        if (order_check_notes(&shipper->notes.head) == head)
            return found;
    }
    return none;
}

/* The gate may move meanwhile: then what was read was not the oldest any more. */
bool ring_oldest_time_ns(const struct ring *ring, int64_t *time_ns)
{
    for (int tries = 0; tries < NOTE_TRIES; tries++) {
        uint64_t gate_pos = order_load_gate(&ring->shipper->gate.gate_pos), write_pos = order_observe(&ring->producer->hot.write_pos);
        if (gate_pos == write_pos)
            return false;
        int64_t noted_ns = ring_noted_time_ns(ring, gate_pos), own_ns = head_time_ns(ring, gate_pos, write_pos);
        *time_ns = own_ns > noted_ns ? own_ns : noted_ns;
        if (order_tap_check(&ring->shipper->gate.gate_pos) == gate_pos)
            break;
    }
    return true;
}

/* 0: the record has none, or is none. */
static int64_t head_time_ns(const struct ring *ring, uint64_t pos, uint64_t write_pos)
{
    struct ring_head head;
    int64_t time_ns;

    if (write_pos - pos > ring->capacity || ring_head_read(ring, pos, write_pos, &head) != 0 || !(head.flags & RING_FLAG_TIME))
        return 0;
    memcpy(&time_ns, ring->data + (pos & ring->mask) + sizeof(head) + ring_align8(head.key_len), sizeof(time_ns));
    return time_ns;
}

/* Half full or more: not closer than the notes there are on the average. */
static bool is_too_close(struct ring_shipper *shipper, uint64_t head, uint64_t tail, int64_t time_ns)
{
    if (tail - head < RING_NOTES_MAX / 2)
        return false;
    uint64_t first = (uint64_t)note_time(note_at(shipper, head)), last = (uint64_t)note_time(note_at(shipper, tail - 1));
    return (uint64_t)time_ns - last < (last - first) / (RING_NOTES_MAX / 2);
}

/* The newest note at or below the gate is the one that the event at the gate is dated by: it stays. */
static void notes_leave(struct ring_shipper *shipper, uint64_t *head, uint64_t tail, uint64_t gate_pos)
{
    uint64_t was = *head;

    while (tail - *head > 1 && order_none_load64(&note_at(shipper, *head + 1)->write_pos) <= gate_pos)
        ++*head;
    if (*head != was)
        order_move_notes(&shipper->notes.head, *head);
}

/* The queue is empty for an instant, so that a reader never sees it half-moved. Each note moves down or stays: a source is read before
 * it is overwritten. */
static void notes_thin(struct ring_shipper *shipper, uint64_t *head, uint64_t *tail)
{
    uint64_t from = *head, to = *tail;

    order_move_notes(&shipper->notes.head, *tail);
    *head = *tail;
    for (uint32_t i = 0; i < RING_NOTES_MAX / 2; i++) {
        struct ring_note *source = note_at(shipper, from + 2u * i), *target = note_at(shipper, to + i);
        note_set_time(target, note_time(source));
        order_none_store64(&target->write_pos, order_none_load64(&source->write_pos));
    }
    *tail = to + RING_NOTES_MAX / 2;
    order_move_notes(&shipper->notes.tail, *tail);
}

static struct ring_note *note_at(struct ring_shipper *shipper, uint64_t index)
{
    return &shipper->notes.note[index % RING_NOTES_MAX];
}

static int64_t note_time(const struct ring_note *note)
{
    return (int64_t)order_none_load64((const _Atomic uint64_t *)&note->time_ns);
}

static void note_set_time(struct ring_note *note, int64_t time_ns)
{
    order_none_store64((_Atomic uint64_t *)&note->time_ns, (uint64_t)time_ns);
}
