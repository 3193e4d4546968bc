/* Cuts files or standard input into events: lines, frames or whole files. */
#ifndef SEND_INPUT_H
#define SEND_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "options.h"

#define INPUT_EVENT_BYTES_MAX (64u << 20) /* more than any hub takes: the input is not what it is said to be */

struct input {
    enum send_cut cut;
    char *const *path;
    int path_count, path_next;
    uint64_t rounds_left;
    int fd;
    bool is_open, at_end;
    const char *name; /* of the open file */
    uint64_t number;  /* of the line or frame in it */
    char *bytes;      /* read, of which [begin, end) is not handed out */
    size_t begin, end, cap;
};

struct input_event {
    const char *bytes;
    size_t len;
};

void input_open(struct input *input, const struct send_options *options);
/* The next event, valid until the next call. 1; 0: no more; or a negative errno after a message on stderr, with the input at its end.
 * -EINTR: a signal came. */
int input_next(struct input *input, struct input_event *event);
/* True if input_next would have to wait for somebody to write. */
bool input_would_wait(const struct input *input);
void input_close(struct input *input);

#endif
