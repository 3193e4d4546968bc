/* The demo's input: files as an array of lines, each with the key that is taken from the text. */
#ifndef DEMO_LINES_H
#define DEMO_LINES_H

#include <stddef.h>
#include <stdint.h>

#define DEMO_NO_KEY UINT32_MAX
#define DEMO_LINE_BYTES_MAX 65536u /* a longer line counts as several */

struct demo_line {
    const char *bytes; /* not terminated, without its newline */
    uint32_t len;
    uint32_t key; /* index, or DEMO_NO_KEY */
};

struct demo_lines {
    struct demo_line *line;
    size_t count, cap;
    char **key; /* NUL-terminated */
    uint32_t key_count, key_cap;
    uint32_t *slot; /* hash table of key indices + 1 */
    uint32_t slot_count;
    char **text; /* the files' bytes, one block each */
    size_t text_count;
};

/* Reads the files one after another. One thread. 0 with *lines owned by the caller (demo_lines_free, also after an error), or a negative
 * errno after a message on stderr. No lines at all is -ENODATA. */
int demo_lines_read(struct demo_lines *lines, char *const *paths, int path_count);
void demo_lines_free(struct demo_lines *lines);

#endif
