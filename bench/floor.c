/* The floor of writing an event: the same bytes copied behind a 16-byte head into a plain buffer, round and round; and of reading: copied
 * out again. It has neither check nor doorbell, and publishes once a burst: less than this nobody can do who copies the bytes with the C
 * library. */
#include "bench/floor.h"

#include <errno.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "bench/measure.h"
#include "ringbuf/ring_order.h"

#define HEAD_LEN 16u
#define PAGE_BYTES 4096u

struct floor_head {
    uint64_t len;
    uint64_t pos;
};

enum copy { COPY_PLAIN, COPY_GUARDED };

static inline void write_records(struct floor_buffer *buffer, const void *data, size_t len, uint32_t count, enum copy how);

/* What a guarded leaf does: notes what it is about, marks the place to jump to, copies. */
static __attribute__((noinline)) void copy_guarded(void *to, const void *from, size_t len)
{
    static _Thread_local sigjmp_buf env;
    static _Thread_local void *in_hand;

    in_hand = to;
    measure_keep();
    if (sigsetjmp(env, 0) == 0)
        memcpy(in_hand, from, len);
}

int floor_open(struct floor_buffer *buffer, uint64_t bytes_len)
{
    *buffer = (struct floor_buffer){.bytes = aligned_alloc(PAGE_BYTES, bytes_len), .bytes_len = bytes_len};
    if (!buffer->bytes)
        return -ENOMEM;
    (void)madvise(buffer->bytes, bytes_len, MADV_NOHUGEPAGE);
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
    write_records(buffer, data, len, count, COPY_PLAIN);
}

void floor_write_guarded(struct floor_buffer *buffer, const void *data, size_t len, uint32_t count)
{
    write_records(buffer, data, len, count, COPY_GUARDED);
}

static inline __attribute__((always_inline)) void write_records(struct floor_buffer *buffer, const void *data, size_t len, uint32_t count,
                                                                enum copy how)
{
    uint64_t record_len = (HEAD_LEN + len + 15u) & ~(uint64_t)15u, mask = buffer->bytes_len - 1, pos = buffer->pos;

    for (uint32_t i = 0; i < count; i++) {
        struct floor_head head = {.len = len, .pos = pos};
        uint8_t *to;

        if (record_len > buffer->bytes_len - (pos & mask))
            pos = (pos | mask) + 1;
        to = buffer->bytes + (pos & mask);
        memcpy(to, &head, HEAD_LEN);
        if (how == COPY_PLAIN)
            memcpy(to + HEAD_LEN, data, len);
        else
            copy_guarded(to + HEAD_LEN, data, len);
        measure_keep();
        pos += record_len;
    }
    buffer->pos = pos;
    order_publish(&buffer->written_pos, pos);
}

uint64_t floor_unread_bytes(const struct floor_buffer *buffer)
{
    return buffer->pos - order_load_gate(&buffer->read_pos);
}

size_t floor_read(struct floor_buffer *buffer, void *to, size_t max_bytes)
{
    uint64_t pos = order_none_load64(&buffer->read_pos), off = pos & (buffer->bytes_len - 1);
    uint64_t len = order_observe(&buffer->written_pos) - pos;

    if (len > max_bytes)
        len = max_bytes;
    if (len > buffer->bytes_len - off)
        len = buffer->bytes_len - off;
    memcpy(to, buffer->bytes + off, len);
    order_publish(&buffer->read_pos, pos + len);
    return len;
}

void floor_skip(struct floor_buffer *buffer)
{
    order_publish(&buffer->read_pos, buffer->pos);
}
