/* A growable run of bytes that is filled at the end and taken from the front. */
#include "buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BUF_CAP_MIN = 512 };

static void die_of_memory(size_t len);

uint8_t *hub_buf_room(struct hub_buf *b, size_t more)
{
    if (b->cap - b->len < more) {
        size_t cap = b->cap < BUF_CAP_MIN ? BUF_CAP_MIN : b->cap;
        while (cap - b->len < more)
            cap *= 2;
        b->data = hub_realloc(b->data, cap);
        b->cap = cap;
    }
    return b->data + b->len;
}

void hub_buf_put(struct hub_buf *b, const void *bytes, size_t len)
{
    if (len == 0)
        return;
    memcpy(hub_buf_room(b, len), bytes, len);
    b->len += len;
}

void hub_buf_put_byte(struct hub_buf *b, uint8_t byte)
{
    *hub_buf_room(b, 1) = byte;
    b->len++;
}

void hub_buf_take(struct hub_buf *b, size_t len)
{
    b->head += len;
    if (b->head == b->len)
        b->head = b->len = 0;
}

void hub_buf_pack(struct hub_buf *b)
{
    size_t used = hub_buf_used(b);

    if (b->head == 0)
        return;
    memmove(b->data, b->data + b->head, used);
    b->head = 0;
    b->len = used;
}

void hub_buf_free(struct hub_buf *b)
{
    free(b->data);
    *b = (struct hub_buf){0};
}

void *hub_alloc(size_t count, size_t size)
{
    void *p = calloc(count, size);

    if (!p)
        die_of_memory(count * size);
    return p;
}

void *hub_realloc(void *old, size_t len)
{
    void *p = realloc(old, len);

    if (!p)
        die_of_memory(len);
    return p;
}

static void die_of_memory(size_t len)
{
    fprintf(stderr, "ehring-hub: out of memory, %zu bytes wanted\n", len);
    abort();
}
