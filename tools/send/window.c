/* Events that wait to be sent directly. */
#include "window.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int by_key(const void *left, const void *right);
static int compare_keys(const struct window_event *a, const struct window_event *b);

int window_add(struct window *window, const char *key, const char *bytes, size_t len, uint64_t number)
{
    struct window_event event = {.len = len, .number = number};

    if (window->count == window->cap) {
        size_t cap = window->cap ? window->cap * 2 : 256;
        struct window_event *more = realloc(window->event, cap * sizeof(*more));
        if (!more)
            return -ENOMEM;
        window->event = more;
        window->cap = cap;
    }
    event.key = key ? strdup(key) : NULL;
    event.bytes = malloc(len ? len : 1);
    if (!event.bytes || (key && !event.key)) {
        free(event.key);
        free(event.bytes);
        return -ENOMEM;
    }
    memcpy(event.bytes, bytes, len);
    window->event[window->count++] = event;
    return 0;
}

void window_sort(struct window *window)
{
    if (window->count > 0)
        qsort(window->event, window->count, sizeof(*window->event), by_key);
    window->sorted_to = 0;
}

const struct window_event *window_group(struct window *window, size_t *count)
{
    const struct window_event *first = window->event + window->sorted_to;
    size_t left = window->count - window->sorted_to;

    if (left == 0)
        return NULL;
    for (*count = 1; *count < left && compare_keys(first, first + *count) == 0;)
        ++*count;
    window->sorted_to += *count;
    return first;
}

void window_clear(struct window *window)
{
    for (size_t i = 0; i < window->count; i++) {
        free(window->event[i].key);
        free(window->event[i].bytes);
    }
    window->count = window->sorted_to = 0;
}

void window_free(struct window *window)
{
    window_clear(window);
    free(window->event);
    *window = (struct window){0};
}

static int by_key(const void *left, const void *right)
{
    const struct window_event *a = left, *b = right;
    int order = compare_keys(a, b);

    return order ? order : (a->number > b->number) - (a->number < b->number);
}

static int compare_keys(const struct window_event *a, const struct window_event *b)
{
    if (!a->key || !b->key)
        return (a->key != NULL) - (b->key != NULL);
    return strcmp(a->key, b->key);
}
