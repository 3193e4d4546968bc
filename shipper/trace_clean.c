/* Text that others wrote, made fit for a log: printable, bounded, and without what looks like a secret. */
#include "trace_internal.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "utf8.h"

#define JWT_CHARS_MIN 16u /* behind eyJ: shorter is a word */

static bool is_fit(const uint8_t *at, bool is_utf8);
static size_t secret_at(const uint8_t *text, size_t len, size_t *kept_len);
static size_t span_until(const uint8_t *text, size_t len, const char *ends);
static size_t jwt_span(const uint8_t *text, size_t len);
static size_t char_back(const uint8_t *text, size_t len);

size_t trace_clean(const uint8_t *text, size_t len, char *to, size_t to_len)
{
    static const char mark[] = "…", stars[] = "***";
    size_t most = to_len - sizeof mark - sizeof stars, at = 0, i = 0;
    if (most > TRACE_TEXT_BYTES_MAX)
        most = TRACE_TEXT_BYTES_MAX;
    bool is_utf8 = utf8_is_valid(text, len);
    while (i < len && at < most) {
        size_t kept_len, secret_len = secret_at(text + i, len - i, &kept_len);
        size_t step = secret_len > 0 ? kept_len : 1;
        for (size_t end = i + step; i < end && at < most; i++)
            to[at++] = is_fit(text + i, is_utf8) ? (char)text[i] : '?';
        if (secret_len == 0)
            continue;
        memcpy(to + at, stars, sizeof stars - 1);
        at += sizeof stars - 1;
        i += secret_len;
    }
    if (i < len) {
        if (is_utf8 && (text[i] & 0xc0) == 0x80)
            at = char_back((const uint8_t *)to, at);
        memcpy(to + at, mark, sizeof mark - 1);
        at += sizeof mark - 1;
    }
    to[at] = '\0';
    return at;
}

/* log_quote sees to the control characters of ASCII; those of C1 are two bytes, of which the first is taken out. */
static bool is_fit(const uint8_t *at, bool is_utf8)
{
    if (*at < 0x80)
        return *at != '\0';
    return is_utf8 && !(*at == 0xc2 && at[1] < 0xa0) && !(*at < 0xa0 && at[-1] == 0xc2);
}

/* The length of the secret that stands behind `*kept_len` bytes that name it; 0: none begins here. */
static size_t secret_at(const uint8_t *text, size_t len, size_t *kept_len)
{
    static const char *const names[] = {"sig=", "SharedAccessKey=", "SharedAccessKey:", "Bearer ", "Basic ", "password="};
    for (size_t k = 0; k < sizeof names / sizeof names[0]; k++) {
        *kept_len = strlen(names[k]);
        if (len > *kept_len && strncasecmp((const char *)text, names[k], *kept_len) == 0)
            return span_until(text + *kept_len, len - *kept_len, "&;, \t\r\n\"'");
    }
    *kept_len = 0;
    return jwt_span(text, len);
}

static size_t span_until(const uint8_t *text, size_t len, const char *ends)
{
    size_t span = 0;
    while (span < len && (text[span] == '\0' || !strchr(ends, text[span])))
        span++;
    return span;
}

static size_t jwt_span(const uint8_t *text, size_t len)
{
    size_t span = 3;
    if (len < 3 || memcmp(text, "eyJ", 3) != 0)
        return 0;
    while (span < len && (isalnum(text[span]) || strchr("-_.=", text[span])) && text[span] != '\0')
        span++;
    return span - 3 < JWT_CHARS_MIN ? 0 : span;
}

/* Before the character whose end is missing. */
static size_t char_back(const uint8_t *text, size_t len)
{
    while (len > 0 && (text[len - 1] & 0xc0) == 0x80)
        len--;
    return len > 0 ? len - 1 : 0;
}
