/* Events that wait to be sent directly: copies, handed out in groups of one key, in order. */
#ifndef SEND_WINDOW_H
#define SEND_WINDOW_H

#include <stddef.h>
#include <stdint.h>

struct window_event {
    char *key; /* NULL: none */
    char *bytes;
    size_t len;
    uint64_t number;
};

struct window {
    struct window_event *event;
    size_t count, cap;
    size_t sorted_to; /* events before it are handed out */
};

/* Copies an event in. 0 or -ENOMEM. */
int window_add(struct window *window, const char *key, const char *bytes, size_t len, uint64_t number);
/* Brings events of one key together, each key's in their order. Before the first window_group. */
void window_sort(struct window *window);
/* The next events of one key; NULL: there are no more. */
const struct window_event *window_group(struct window *window, size_t *count);
/* Forgets all. */
void window_clear(struct window *window);
void window_free(struct window *window);

#endif
