/* Cuts files or standard input into events: lines, frames or whole files. */
#include "input.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { READ_BYTES = 256 << 10, FRAME_HEAD = 4 };

static int next_file(struct input *input);
static int next_line(struct input *input, struct input_event *event);
static int next_frame(struct input *input, struct input_event *event);
static int whole_file(struct input *input, struct input_event *event);
static int fill(struct input *input);
static int make_room(struct input *input);
static void hand_out(struct input *input, size_t len, size_t used, struct input_event *event);
static uint32_t frame_len(const struct input *input);
static int too_large(const struct input *input, uint64_t len);
static void close_file(struct input *input);

void input_open(struct input *input, const struct send_options *options)
{
    *input =
        (struct input){.cut = options->cut, .path = options->input, .path_count = options->input_count, .rounds_left = options->repeat};
}

int input_next(struct input *input, struct input_event *event)
{
    int got = 0;

    for (;;) {
        if (!input->is_open) {
            int opened = next_file(input);
            if (opened <= 0)
                return opened;
        }
        input->number++;
        switch (input->cut) {
        case SEND_LINES:
            got = next_line(input, event);
            break;
        case SEND_FRAMES:
            got = next_frame(input, event);
            break;
        case SEND_FILES:
            got = input->number == 1 ? whole_file(input, event) : 0;
            break;
        }
        if (got > 0)
            return got;
        close_file(input);
        if (got < 0) {
            input->rounds_left = 0;
            return got;
        }
    }
}

bool input_would_wait(const struct input *input)
{
    struct pollfd ready = {.fd = input->fd, .events = POLLIN};
    size_t have = input->end - input->begin;

    if (!input->is_open || input->at_end)
        return false;
    if (input->cut == SEND_LINES && have > 0 && memchr(input->bytes + input->begin, '\n', have))
        return false;
    if (input->cut == SEND_FRAMES && have >= FRAME_HEAD && have - FRAME_HEAD >= frame_len(input))
        return false;
    return poll(&ready, 1, 0) == 0;
}

void input_close(struct input *input)
{
    if (input->is_open)
        close_file(input);
    free(input->bytes);
    input->bytes = NULL;
}

/* 1: a file is open; 0: there are no more. */
static int next_file(struct input *input)
{
    if (input->path_next >= (input->path_count ? input->path_count : 1)) {
        input->path_next = 0;
        if (input->rounds_left > 0)
            input->rounds_left--;
    }
    if (input->rounds_left == 0)
        return 0;
    const char *path = input->path_count ? input->path[input->path_next] : "-";
    bool is_stdin = strcmp(path, "-") == 0;
    input->path_next++;
    input->name = is_stdin ? "standard input" : path;
    input->fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (input->fd < 0) {
        int err = -errno;
        fprintf(stderr, "ehring-send: %s: %s\n", path, strerror(-err));
        input->rounds_left = 0;
        return err;
    }
    input->is_open = true;
    input->at_end = false;
    input->number = 0;
    input->begin = input->end = 0;
    return 1;
}

static int next_line(struct input *input, struct input_event *event)
{
    size_t looked = 0;

    for (;;) {
        const char *from = input->bytes + input->begin;
        size_t have = input->end - input->begin;
        const char *newline = have > looked ? memchr(from + looked, '\n', have - looked) : NULL;
        if (newline) {
            hand_out(input, (size_t)(newline - from), (size_t)(newline - from) + 1, event);
            return 1;
        }
        if (input->at_end) {
            hand_out(input, have, have, event);
            return have > 0;
        }
        if (have > INPUT_EVENT_BYTES_MAX)
            return too_large(input, have);
        looked = have;
        int err = fill(input);
        if (err)
            return err;
    }
}

static int next_frame(struct input *input, struct input_event *event)
{
    for (;;) {
        size_t have = input->end - input->begin;
        if (have >= FRAME_HEAD && frame_len(input) > INPUT_EVENT_BYTES_MAX)
            return too_large(input, frame_len(input));
        if (have >= FRAME_HEAD && have - FRAME_HEAD >= frame_len(input)) {
            uint32_t len = frame_len(input);
            input->begin += FRAME_HEAD;
            hand_out(input, len, len, event);
            return 1;
        }
        if (input->at_end && have == 0)
            return 0;
        if (input->at_end) {
            fprintf(stderr, "ehring-send: %s ends in the middle of frame %" PRIu64 "\n", input->name, input->number);
            return -EBADMSG;
        }
        int err = fill(input);
        if (err)
            return err;
    }
}

static int whole_file(struct input *input, struct input_event *event)
{
    while (!input->at_end) {
        int err = fill(input);
        if (err)
            return err;
        if (input->end > INPUT_EVENT_BYTES_MAX)
            return too_large(input, input->end);
    }
    hand_out(input, input->end, input->end, event);
    return 1;
}

static void hand_out(struct input *input, size_t len, size_t used, struct input_event *event)
{
    *event = (struct input_event){len ? input->bytes + input->begin : "", len};
    input->begin += used;
}

/* Reads once. 0, with at_end set where there is no more; or a negative errno, after a message unless a signal was the cause. */
static int fill(struct input *input)
{
    int err = make_room(input);
    ssize_t got;

    if (err)
        return err;
    got = read(input->fd, input->bytes + input->end, input->cap - input->end);
    if (got < 0) {
        err = -errno;
        if (err != -EINTR)
            fprintf(stderr, "ehring-send: %s: %s\n", input->name, strerror(-err));
        return err;
    }
    input->end += (size_t)got;
    input->at_end = got == 0;
    return 0;
}

static int make_room(struct input *input)
{
    if (input->begin > 0) {
        memmove(input->bytes, input->bytes + input->begin, input->end - input->begin);
        input->end -= input->begin;
        input->begin = 0;
    }
    if (input->cap - input->end >= READ_BYTES / 2)
        return 0;
    size_t cap = input->cap ? input->cap * 2 : READ_BYTES;
    char *more = realloc(input->bytes, cap);
    if (!more) {
        fprintf(stderr, "ehring-send: no memory for an event of %zu bytes\n", input->end);
        return -ENOMEM;
    }
    input->bytes = more;
    input->cap = cap;
    return 0;
}

static uint32_t frame_len(const struct input *input)
{
    uint32_t len;

    memcpy(&len, input->bytes + input->begin, sizeof(len));
    return le32toh(len);
}

static int too_large(const struct input *input, uint64_t len)
{
    fprintf(stderr, "ehring-send: %s: event %" PRIu64 " has %" PRIu64 " bytes or more, the limit is %u\n", input->name, input->number, len,
            INPUT_EVENT_BYTES_MAX);
    return -EMSGSIZE;
}

static void close_file(struct input *input)
{
    if (input->fd != STDIN_FILENO)
        close(input->fd);
    input->is_open = false;
}
