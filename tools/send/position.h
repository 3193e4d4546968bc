/* Where the next record of a ring will begin, so that an event's message-id can hold its own position: worked out from the format alone, and to be compared
 * afterwards with ehring_last_identity(). */
#ifndef SEND_POSITION_H
#define SEND_POSITION_H

#include <stdint.h>

#include "ringbuf/ring_layout.h"

/* `next_pos`: behind the last record. A record never wraps: one that does not fit into what is left of the lap begins with the next. */
static inline uint64_t position_of_record(uint64_t next_pos, uint64_t capacity, uint64_t record_len)
{
    uint64_t left = capacity - (next_pos & (capacity - 1));

    return ring_align16(record_len) <= left ? next_pos : next_pos + left;
}

static inline uint32_t position_tlv_bytes(uint32_t name_len, uint32_t value_len)
{
    return (uint32_t)sizeof(struct ring_tlv) + name_len + value_len;
}

/* Length of a record with a time and a meta block. */
static inline uint64_t position_record_bytes(uint32_t key_len, uint32_t meta_len, uint64_t payload_len)
{
    return ring_payload_off(RING_FLAG_TIME | RING_FLAG_META, key_len, meta_len) + payload_len;
}

#endif
