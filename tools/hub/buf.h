/* A growable run of bytes that is filled at the end and taken from the front. */
#ifndef HUB_BUF_H
#define HUB_BUF_H

#include <stddef.h>
#include <stdint.h>

/* Unread bytes are data[head..len). Zero-initialised is empty and valid. */
struct hub_buf {
    uint8_t *data;
    size_t head;
    size_t len;
    size_t cap;
};

/* Makes room for `more` bytes behind len without moving what is put relative to data; ends the process when memory is
 * out. Returns where to write. */
uint8_t *hub_buf_room(struct hub_buf *b, size_t more);

/* Appends bytes. */
void hub_buf_put(struct hub_buf *b, const void *bytes, size_t len);

/* Appends one byte. */
void hub_buf_put_byte(struct hub_buf *b, uint8_t byte);

/* Takes `len` bytes from the front; an emptied buffer starts over at its beginning. */
void hub_buf_take(struct hub_buf *b, size_t len);

/* Moves the unread bytes to the beginning, so that all free room lies behind them. */
void hub_buf_pack(struct hub_buf *b);

/* Frees the memory; the buffer is empty and usable afterwards. */
void hub_buf_free(struct hub_buf *b);

/* Bytes that were put and not yet taken. */
static inline size_t hub_buf_used(const struct hub_buf *b)
{
    return b->len - b->head;
}

/* calloc and realloc that end the process with a message instead of returning NULL: nothing here can go on without memory. */
void *hub_alloc(size_t count, size_t size);
void *hub_realloc(void *old, size_t len);

#endif
