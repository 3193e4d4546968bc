/* Which key a line of real text has: the package in dpkg's files, else the first word. */
#ifndef DEMO_KEY_H
#define DEMO_KEY_H

#include <stddef.h>

#define DEMO_KEY_BYTES_MAX 128u /* so it never has more characters than a key may have */

/* What the lines before said; zero at the beginning of a file. Holds pointers into the text. */
struct demo_key_state {
    const char *package; /* of the stanza we are in, NULL outside */
    size_t package_len;
};

/* The key of the next line, within the line or an earlier one; *key_len 0: the line has none. */
const char *demo_key_of(struct demo_key_state *state, const char *line, size_t len, size_t *key_len);

#endif
