/* The floor of writing an event: the same bytes copied behind a 16-byte head into a plain buffer, round and round; and of reading: copied
 * out again. */
#ifndef BENCH_FLOOR_H
#define BENCH_FLOOR_H

#include <stddef.h>
#include <stdint.h>

struct floor_buffer {
    uint8_t *bytes;     /* plain memory of this process, touched, in small pages as a ring's file has them */
    uint64_t bytes_len; /* a power of two */
    uint64_t pos;       /* of the writer, only grows */
    uint8_t pad0[128];
    _Atomic uint64_t written_pos; /* what a reader may read: told once a burst */
    uint8_t pad1[128];
    _Atomic uint64_t read_pos; /* written by the reader */
    uint8_t pad2[128];
};

/* `bytes_len` a power of two and room for several records. 0 or -ENOMEM. floor_close frees. */
int floor_open(struct floor_buffer *buffer, uint64_t bytes_len);
void floor_close(struct floor_buffer *buffer);

/* Writes `count` records of a head and `len` bytes, each at the next multiple of 16, and none across the end. */
void floor_write(struct floor_buffer *buffer, const void *data, size_t len, uint32_t count);

/* The same with a guard by sigsetjmp(env, 0) around each copy: what reading a ring whose file may be cut would cost without a handler that
 * mends the mapping. */
void floor_write_guarded(struct floor_buffer *buffer, const void *data, size_t len, uint32_t count);

/* Bytes that are written and not read. Only of interest where there is a reader: floor_write does not look. The writer's thread. */
uint64_t floor_unread_bytes(const struct floor_buffer *buffer);
/* The reader: copies up to `max_bytes` of what is written into `to`, and says that they are read. Returns how many, 0: none. */
size_t floor_read(struct floor_buffer *buffer, void *to, size_t max_bytes);
/* All counts as read. Only while no thread reads. */
void floor_skip(struct floor_buffer *buffer);

#endif
