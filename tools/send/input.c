/* Cuts files or standard input into events: lines, frames or whole files. */
#include "input.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int next_file(struct input *input);
static int next_line(struct input *input, struct input_event *event);
static int next_frame(struct input *input, struct input_event *event);
static int whole_file(struct input *input, struct input_event *event);
static int too_large(const struct input *input, uint64_t len);
static int cut_short(const struct input *input);
static int make_room(struct input *input, size_t len);
static void close_file(struct input *input);

void input_open(struct input *input, const struct send_options *options)
{
    *input = (struct input){.cut = options->cut, .path = options->input, .path_count = options->input_count, .rounds_left = options->repeat};
}

int input_next(struct input *input, struct input_event *event)
{
    int got = 0;

    for (;;) {
        if (!input->file) {
            int opened = next_file(input);
            if (opened <= 0)
                return opened;
        }
        errno = 0;
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

void input_close(struct input *input)
{
    if (input->file)
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
    input->path_next++;
    input->number = 0;
    input->name = strcmp(path, "-") == 0 ? "standard input" : path;
    input->file = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
    if (input->file)
        return 1;
    int err = -errno;
    fprintf(stderr, "ehring-send: %s: %s\n", path, strerror(-err));
    input->rounds_left = 0;
    return err;
}

static int next_line(struct input *input, struct input_event *event)
{
    ssize_t len = getline(&input->bytes, &input->cap, input->file);

    if (len < 0)
        return cut_short(input);
    if (len > 0 && input->bytes[len - 1] == '\n')
        len--;
    if (len > (ssize_t)INPUT_EVENT_BYTES_MAX)
        return too_large(input, (uint64_t)len);
    *event = (struct input_event){input->bytes, (size_t)len};
    return 1;
}

static int next_frame(struct input *input, struct input_event *event)
{
    uint32_t len;
    size_t got = fread(&len, 1, sizeof(len), input->file);

    if (got == 0)
        return cut_short(input);
    len = le32toh(len);
    if (got == sizeof(len) && len > INPUT_EVENT_BYTES_MAX)
        return too_large(input, len);
    if (got == sizeof(len) && make_room(input, len) < 0)
        return -ENOMEM;
    if (got == sizeof(len) && fread(input->bytes, 1, len, input->file) == len) {
        *event = (struct input_event){input->bytes, len};
        return 1;
    }
    if (ferror(input->file))
        return cut_short(input);
    fprintf(stderr, "ehring-send: %s ends in the middle of frame %llu\n", input->name, (unsigned long long)input->number);
    return -EBADMSG;
}

static int whole_file(struct input *input, struct input_event *event)
{
    size_t len = 0;

    for (;;) {
        if (make_room(input, len + 65536) < 0)
            return -ENOMEM;
        size_t got = fread(input->bytes + len, 1, input->cap - len, input->file);
        if (got == 0)
            break;
        len += got;
        if (len > INPUT_EVENT_BYTES_MAX)
            return too_large(input, len);
    }
    if (ferror(input->file))
        return cut_short(input);
    *event = (struct input_event){input->bytes, len};
    return 1;
}

static int too_large(const struct input *input, uint64_t len)
{
    fprintf(stderr, "ehring-send: %s: event %llu has %llu bytes or more, the limit is %u\n", input->name, (unsigned long long)input->number,
            (unsigned long long)len, INPUT_EVENT_BYTES_MAX);
    return -EMSGSIZE;
}

/* 0 at the end of the file; after an error its errno, and a message unless a signal was the cause. */
static int cut_short(const struct input *input)
{
    int err = errno ? -errno : -EIO;

    if (feof(input->file))
        return 0;
    if (err != -EINTR)
        fprintf(stderr, "ehring-send: %s: %s\n", input->name, strerror(-err));
    return err;
}

static int make_room(struct input *input, size_t len)
{
    size_t cap = input->cap ? input->cap : 65536;

    while (cap < len)
        cap *= 2;
    if (input->bytes && cap == input->cap)
        return 0;
    char *more = realloc(input->bytes, cap);
    if (!more) {
        fprintf(stderr, "ehring-send: no memory for an event of %zu bytes\n", len);
        return -ENOMEM;
    }
    input->bytes = more;
    input->cap = cap;
    return 0;
}

static void close_file(struct input *input)
{
    if (input->file != stdin)
        fclose(input->file);
    input->file = NULL;
}
