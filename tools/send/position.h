/* Where the next record of a ring will begin, so that an event's message-id can hold its own position: worked out from the format alone,
 * and to be compared afterwards with ehring_last_identity(). */
#ifndef SEND_POSITION_H
#define SEND_POSITION_H

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "ringbuf/ring_layout.h"

enum { POSITION_UUID_BYTES = 36, POSITION_ID_BYTES = POSITION_UUID_BYTES + 1 + 16 };

/* Begins the message-ids of a ring: "uuid:". The uuid is the part of the file's name before ".ring", for no event tells it yet. False: the
 * path has none. */
static inline bool position_id_begin(char id[POSITION_ID_BYTES + 1], const char *path)
{
    size_t len = strlen(path), suffix_len = strlen(".ring");

    if (len < POSITION_UUID_BYTES + suffix_len)
        return false;
    memcpy(id, path + len - suffix_len - POSITION_UUID_BYTES, POSITION_UUID_BYTES);
    id[POSITION_UUID_BYTES] = ':';
    id[POSITION_UUID_BYTES + 1] = '\0';
    return true;
}

/* Ends it with the position: always 16 digits, so that a record's length does not depend on where it lies. */
static inline void position_id_end(char id[POSITION_ID_BYTES + 1], uint64_t pos)
{
    snprintf(id + POSITION_UUID_BYTES + 1, POSITION_ID_BYTES - POSITION_UUID_BYTES, "%016" PRIx64, pos);
}

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
