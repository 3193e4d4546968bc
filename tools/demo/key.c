/* Which key a line of real text has: the package in dpkg's files, else the first word. Pure. */
#include "key.h"

#include <stdbool.h>
#include <string.h>

struct word {
    const char *text;
    size_t len;
};

static bool is_stamp(const char *line, size_t len);
static struct word log_package(const char *line, size_t len);
static struct word next_word(const char **at, const char *end);
static struct word plain(struct word word);

const char *demo_key_of(struct demo_key_state *state, const char *line, size_t len, size_t *key_len)
{
    static const char head[] = "Package: ";
    const char *at = line;
    struct word word;

    if (len > sizeof(head) - 1 && memcmp(line, head, sizeof(head) - 1) == 0) {
        at += sizeof(head) - 1;
        word = plain(next_word(&at, line + len));
        state->package = word.text;
        state->package_len = word.len;
    } else if (state->package) {
        word = (struct word){state->package, state->package_len};
        if (len == 0) /* the empty line ends the stanza and is its last */
            state->package = NULL;
    } else if (is_stamp(line, len)) {
        word = log_package(line, len);
    } else {
        word = plain(next_word(&at, line + len));
    }
    *key_len = word.len;
    return word.text;
}

/* "2026-01-31 12:00:00 " */
static bool is_stamp(const char *line, size_t len)
{
    static const char shape[] = "dddd-dd-dd dd:dd:dd ";

    if (len < sizeof(shape) - 1)
        return false;
    for (size_t i = 0; i < sizeof(shape) - 1; i++)
        if (shape[i] == 'd' ? line[i] < '0' || line[i] > '9' : line[i] != shape[i])
            return false;
    return true;
}

/* "DATE TIME status installed libc6:amd64 2.36", "DATE TIME configure libc6:amd64 …": the first word with an architecture, else the action.
 */
static struct word log_package(const char *line, size_t len)
{
    const char *at = line, *end = line + len;
    struct word action, word;

    next_word(&at, end);
    next_word(&at, end);
    action = next_word(&at, end);
    for (word = next_word(&at, end); word.len > 0; word = next_word(&at, end)) {
        const char *colon = memchr(word.text, ':', word.len);
        if (colon && colon > word.text)
            return plain((struct word){word.text, (size_t)(colon - word.text)});
    }
    return plain(action);
}

static struct word next_word(const char **at, const char *end)
{
    struct word word;

    while (*at < end && (**at == ' ' || **at == '\t'))
        (*at)++;
    word.text = *at;
    while (*at < end && **at != ' ' && **at != '\t')
        (*at)++;
    word.len = (size_t)(*at - word.text);
    return word;
}

/* The printable ASCII a word begins with, so that any input gives keys which the service takes. */
static struct word plain(struct word word)
{
    size_t len = 0;

    while (len < word.len && len < DEMO_KEY_BYTES_MAX && word.text[len] > ' ' && word.text[len] <= '~')
        len++;
    word.len = len;
    return word;
}
