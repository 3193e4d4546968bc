/* The floor of writing an event: the same bytes copied behind a 16-byte head into a plain buffer, round and round. */
#ifndef BENCH_FLOOR_H
#define BENCH_FLOOR_H

#include <stddef.h>
#include <stdint.h>

struct floor_buffer {
    uint8_t *bytes; /* plain memory of this process, touched */
    size_t bytes_len;
    size_t pos;
};

/* 0 or -ENOMEM. floor_close frees. */
int floor_open(struct floor_buffer *buffer, size_t bytes_len);
void floor_close(struct floor_buffer *buffer);

/* Writes `count` records of a head and `len` bytes, each at the next multiple of 16. */
void floor_write(struct floor_buffer *buffer, const void *data, size_t len, uint32_t count);

#endif
