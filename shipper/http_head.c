/* The head of an HTTP/1.x answer, collected from bytes cut anywhere and bounded. Does no I/O. */
#include "http_head.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define VERSION_TEXT "HTTP/1."
#define VERSION_LEN (sizeof VERSION_TEXT - 1)

static int byte_take(struct http_head *head, char byte);
static bool is_whole(const struct http_head *head);
static int status_parse(struct http_head *head);
static const char *line_next(const char *line);
static size_t value_trim(const char **value);

ssize_t http_head_input(struct http_head *head, const uint8_t *data, size_t len)
{
    size_t taken = 0;
    while (taken < len && head->status == 0) {
        int ret = byte_take(head, (char)data[taken++]);
        if (ret == 0 && is_whole(head))
            ret = status_parse(head);
        if (ret < 0)
            return ret;
    }
    return (ssize_t)taken;
}

bool http_head_field(const struct http_head *head, const char *name, size_t nth, char *to, size_t cap)
{
    size_t name_len = strlen(name);
    for (const char *line = line_next(head->text); line; line = line_next(line)) {
        if (strncasecmp(line, name, name_len) != 0 || line[name_len] != ':' || nth-- > 0)
            continue;
        const char *value = line + name_len + 1;
        size_t len = value_trim(&value);
        http_head_copy_text(to, cap, value, len);
        return true;
    }
    return false;
}

bool http_head_has_token(const struct http_head *head, const char *name, const char *token)
{
    char value[256];
    for (size_t nth = 0; http_head_field(head, name, nth, value, sizeof value); nth++) {
        char *rest = value;
        for (char *item; (item = strsep(&rest, ",")) != NULL;) {
            const char *at = item;
            size_t len = value_trim(&at);
            if (len == strlen(token) && strncasecmp(at, token, len) == 0)
                return true;
        }
    }
    return false;
}

void http_head_copy_text(char *to, size_t cap, const char *from, size_t len)
{
    size_t at = 0;
    for (; at < len && at + 1 < cap; at++)
        to[at] = from[at] < ' ' || from[at] > '~' ? ' ' : from[at];
    to[at] = '\0';
}

void http_head_print_host(char *to, size_t cap, const char *host, uint16_t port)
{
    bool is_v6 = strchr(host, ':') != NULL;
    int len = snprintf(to, cap, "%s%s%s", is_v6 ? "[" : "", host, is_v6 ? "]" : "");
    if (port && len > 0 && (size_t)len < cap)
        snprintf(to + len, cap - (size_t)len, ":%u", port);
}

/* What cannot be the head of such an answer is known by its first wrong byte: nobody waits for an end that never comes. */
static int byte_take(struct http_head *head, char byte)
{
    if (head->len < VERSION_LEN && byte != VERSION_TEXT[head->len])
        return -EPROTO;
    if ((byte >= 0 && byte < ' ' && byte != '\t' && byte != '\r' && byte != '\n') || byte == 0x7f)
        return -EPROTO;
    if (head->total_len == HTTP_HEAD_BYTES_MAX)
        return -E2BIG;
    head->total_len++;
    head->text[head->len++] = byte;
    return 0;
}

/* An empty line has come; a bare line feed ends a line too. */
static bool is_whole(const struct http_head *head)
{
    size_t at = head->len;
    if (at < 2 || head->text[at - 1] != '\n')
        return false;
    at -= head->text[at - 2] == '\r' ? 2 : 1;
    return at > 0 && head->text[at - 1] == '\n';
}

static int status_parse(struct http_head *head)
{
    const char *at = head->text + VERSION_LEN;
    head->text[head->len] = '\0';
    if (at[0] < '0' || at[0] > '9' || at[1] != ' ')
        return -EPROTO;
    at += 2;
    int status = 0;
    for (int i = 0; i < 3; i++, at++) {
        if (*at < '0' || *at > '9')
            return -EPROTO;
        status = status * 10 + (*at - '0');
    }
    if (status < 100 || !strchr(" \r\n", *at))
        return -EPROTO;
    size_t len = value_trim(&at);
    http_head_copy_text(head->reason, sizeof head->reason, at, len);
    if (status >= 200 || status == 101)
        head->status = status;
    else
        head->len = 0;
    return 0;
}

/* The line after this one; NULL at the empty line that ends the head. */
static const char *line_next(const char *line)
{
    const char *end = strchr(line, '\n');
    if (!end || end[1] == '\0' || end[1] == '\n' || end[1] == '\r')
        return NULL;
    return end + 1;
}

/* Moves to the first byte that is no blank; the length up to the line's end without blanks behind. */
static size_t value_trim(const char **value)
{
    *value += strspn(*value, " \t");
    size_t len = strcspn(*value, "\r\n");
    while (len > 0 && ((*value)[len - 1] == ' ' || (*value)[len - 1] == '\t'))
        len--;
    return len;
}
