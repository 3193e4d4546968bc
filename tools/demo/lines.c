/* The demo's input: reads files, cuts them into lines and numbers the keys. */
#include "lines.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "key.h"

static int read_file(const char *path, char **text, size_t *len);
static int cut(struct demo_lines *lines, const char *text, size_t len);
static int add(struct demo_lines *lines, const char *bytes, size_t len, const char *key, size_t key_len);
static int number_key(struct demo_lines *lines, const char *key, size_t key_len, uint32_t *number);
static int grow_slots(struct demo_lines *lines);
static uint32_t *find_slot(const struct demo_lines *lines, const char *key, size_t key_len);

int demo_lines_read(struct demo_lines *lines, char *const *paths, int path_count)
{
    *lines = (struct demo_lines){0};
    lines->text = calloc((size_t)path_count + 1, sizeof(*lines->text));
    if (!lines->text)
        return -ENOMEM;
    for (int i = 0; i < path_count; i++) {
        char *text = NULL;
        size_t len = 0;
        int err = read_file(paths[i], &text, &len);
        if (!err) {
            lines->text[lines->text_count++] = text;
            err = cut(lines, text, len);
        }
        if (err) {
            fprintf(stderr, "ehring-demo: %s: %s\n", paths[i], strerror(-err));
            return err;
        }
    }
    if (lines->count > 0)
        return 0;
    fprintf(stderr, "ehring-demo: the input has no line\n");
    return -ENODATA;
}

void demo_lines_free(struct demo_lines *lines)
{
    for (size_t i = 0; i < lines->text_count; i++)
        free(lines->text[i]);
    for (uint32_t i = 0; i < lines->key_count; i++)
        free(lines->key[i]);
    free(lines->text);
    free(lines->key);
    free(lines->slot);
    free(lines->line);
    *lines = (struct demo_lines){0};
}

static int read_file(const char *path, char **text, size_t *len)
{
    FILE *file = fopen(path, "re");
    char *bytes = NULL;
    size_t have = 0, cap = 0;
    int err = 0;

    if (!file)
        return -errno;
    for (;;) {
        if (have == cap) {
            char *more = realloc(bytes, cap = cap ? cap * 2 : 1 << 16);
            if (!more) {
                err = -ENOMEM;
                goto out;
            }
            bytes = more;
        }
        size_t got = fread(bytes + have, 1, cap - have, file);
        if (got == 0)
            break;
        have += got;
    }
    if (ferror(file))
        err = errno ? -errno : -EIO;
out:
    fclose(file);
    if (err) {
        free(bytes);
        return err;
    }
    *text = bytes;
    *len = have;
    return 0;
}

static int cut(struct demo_lines *lines, const char *text, size_t len)
{
    struct demo_key_state state = {0};
    size_t at = 0;

    while (at < len) {
        const char *newline = memchr(text + at, '\n', len - at);
        size_t whole = newline ? (size_t)(newline - (text + at)) : len - at;
        size_t piece = whole <= DEMO_LINE_BYTES_MAX ? whole : DEMO_LINE_BYTES_MAX, key_len;
        const char *key = demo_key_of(&state, text + at, piece, &key_len);
        int err = add(lines, text + at, piece, key, key_len);

        if (err)
            return err;
        at += piece + (piece == whole && newline ? 1 : 0);
    }
    return 0;
}

static int add(struct demo_lines *lines, const char *bytes, size_t len, const char *key, size_t key_len)
{
    uint32_t number = DEMO_NO_KEY;
    int err = key_len > 0 ? number_key(lines, key, key_len, &number) : 0;

    if (err)
        return err;
    if (lines->count == lines->cap) {
        size_t cap = lines->cap ? lines->cap * 2 : 4096;
        struct demo_line *more = realloc(lines->line, cap * sizeof(*more));
        if (!more)
            return -ENOMEM;
        lines->line = more;
        lines->cap = cap;
    }
    lines->line[lines->count++] = (struct demo_line){.bytes = bytes, .len = (uint32_t)len, .key = number};
    return 0;
}

static int number_key(struct demo_lines *lines, const char *key, size_t key_len, uint32_t *number)
{
    uint32_t *slot;

    if (lines->key_count * 2 >= lines->slot_count && grow_slots(lines) < 0)
        return -ENOMEM;
    slot = find_slot(lines, key, key_len);
    if (*slot == 0) {
        if (lines->key_count == lines->key_cap) {
            uint32_t cap = lines->key_cap ? lines->key_cap * 2 : 1024;
            char **more = realloc(lines->key, cap * sizeof(*more));
            if (!more)
                return -ENOMEM;
            lines->key = more;
            lines->key_cap = cap;
        }
        char *copy = strndup(key, key_len);
        if (!copy)
            return -ENOMEM;
        lines->key[lines->key_count++] = copy;
        *slot = lines->key_count;
    }
    *number = *slot - 1;
    return 0;
}

static int grow_slots(struct demo_lines *lines)
{
    uint32_t *old = lines->slot;
    uint32_t count = lines->slot_count ? lines->slot_count * 2 : 4096;
    uint32_t *slots = calloc(count, sizeof(*slots));

    if (!slots)
        return -ENOMEM;
    lines->slot = slots;
    lines->slot_count = count;
    for (uint32_t i = 0; i < lines->key_count; i++)
        *find_slot(lines, lines->key[i], strlen(lines->key[i])) = i + 1;
    free(old);
    return 0;
}

/* The key's slot, or the free one where it belongs: the table is never more than half full. */
static uint32_t *find_slot(const struct demo_lines *lines, const char *key, size_t key_len)
{
    uint32_t hash = UINT32_C(2166136261);

    for (size_t i = 0; i < key_len; i++)
        hash = (hash ^ (uint8_t)key[i]) * UINT32_C(16777619);
    for (uint32_t i = hash;; i++) {
        uint32_t *slot = &lines->slot[i & (lines->slot_count - 1)];
        if (*slot == 0 || (strncmp(lines->key[*slot - 1], key, key_len) == 0 && lines->key[*slot - 1][key_len] == '\0'))
            return slot;
    }
}
