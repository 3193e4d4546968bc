/* The floor of writing an event: the same bytes copied behind a 16-byte head into a plain buffer, round and round.
 * It has neither check, nor publication, nor a reader: less than this nobody can do who copies the bytes with the C library. */
#include "bench/floor.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bench/measure.h"

#define HEAD_LEN 16u
#define PAGE_BYTES 4096u

struct floor_head {
    uint64_t len;
    uint64_t pos;
};

int floor_open(struct floor_buffer *buffer, size_t bytes_len)
{
    size_t pages_len = (bytes_len + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;

    *buffer = (struct floor_buffer){.bytes = aligned_alloc(PAGE_BYTES, pages_len), .bytes_len = bytes_len};
    if (!buffer->bytes)
        return -ENOMEM;
    memset(buffer->bytes, 0x5a, bytes_len);
    return 0;
}

void floor_close(struct floor_buffer *buffer)
{
    free(buffer->bytes);
    buffer->bytes = NULL;
}

void floor_write(struct floor_buffer *buffer, const void *data, size_t len, uint32_t count)
{
    size_t record_len = (HEAD_LEN + len + 15u) & ~(size_t)15u;
    size_t pos = buffer->pos;

    for (uint32_t i = 0; i < count; i++) {
        struct floor_head head = {.len = len, .pos = pos};

        if (record_len > buffer->bytes_len - pos)
            pos = 0;
        memcpy(buffer->bytes + pos, &head, HEAD_LEN);
        memcpy(buffer->bytes + pos + HEAD_LEN, data, len);
        measure_keep();
        pos += record_len;
    }
    buffer->pos = pos;
}
