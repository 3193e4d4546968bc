/* Where the tools that connect by themselves have their connection string from. */
#include "connection_string.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static ssize_t file_read(const char *program, const char *path, char *text)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t len = fd < 0 ? -1 : read(fd, text, CONNECTION_STRING_BYTES);

    if (len < 0)
        fprintf(stderr, "%s: %s: %s\n", program, path, strerror(errno));
    if (fd >= 0)
        close(fd);
    return len;
}

int connection_string_read(const char *program, const char *path, char text[CONNECTION_STRING_BYTES])
{
    const char *given = path ? NULL : getenv("EHRING_CONNECTION_STRING");
    ssize_t len;

    if (!path && !given) {
        fprintf(stderr, "%s: no connection string: set EHRING_CONNECTION_STRING or name a --connection-string-file\n", program);
        return -EINVAL;
    }
    if (path) {
        len = file_read(program, path, text);
        if (len < 0)
            return -EINVAL;
    } else {
        len = (ssize_t)strnlen(given, CONNECTION_STRING_BYTES);
        memcpy(text, given, (size_t)len);
    }
    while (len > 0 && strchr(" \t\r\n", text[len - 1]))
        len--;
    if (len == 0 || len == CONNECTION_STRING_BYTES) {
        fprintf(stderr, "%s: the connection string is %s\n", program, len == 0 ? "empty" : "longer than any");
        return -EINVAL;
    }
    text[len] = '\0';
    return 0;
}
