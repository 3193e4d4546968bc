/* Texts that hold secrets: they grow, are percent-encoded, come out of files, and leave nothing behind. */
#include "credential_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FORM_BYTES_MAX (4u * CREDENTIAL_FILE_BYTES_MAX)

static int file_fill(int fd, const char *path, struct credential_text *text, char *why, size_t why_len);

/* By hand and not by realloc, which would leave the old bytes where they were. */
void credential_text_put(struct credential_text *text, const char *piece, size_t len, size_t len_max)
{
    if (text->error == 0 && len > len_max - text->len)
        text->error = -EMSGSIZE;
    if (text->error == 0 && len >= text->cap - text->len) {
        size_t cap = 2 * (text->len + len) + 512;
        char *data = malloc(cap);
        if (!data) {
            text->error = -ENOMEM;
            return;
        }
        if (text->data) {
            memcpy(data, text->data, text->len);
            explicit_bzero(text->data, text->cap);
            free(text->data);
        }
        text->data = data;
        text->cap = cap;
    }
    if (text->error != 0)
        return;
    memcpy(text->data + text->len, piece, len);
    text->len += len;
    text->data[text->len] = '\0';
}

void credential_text_field(struct credential_text *text, const char *name, const char *value)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    if (text->len > 0)
        credential_text_put(text, "&", 1, FORM_BYTES_MAX);
    credential_text_put(text, name, strlen(name), FORM_BYTES_MAX);
    credential_text_put(text, "=", 1, FORM_BYTES_MAX);
    while (*value != '\0') {
        size_t len = strspn(value, plain);
        char escaped[4];
        credential_text_put(text, value, len, FORM_BYTES_MAX);
        value += len;
        if (*value == '\0')
            break;
        snprintf(escaped, sizeof escaped, "%%%02X", (unsigned char)*value++);
        credential_text_put(text, escaped, 3, FORM_BYTES_MAX);
    }
}

void credential_text_free(struct credential_text *text)
{
    if (text->data)
        explicit_bzero(text->data, text->cap);
    free(text->data);
    *text = (struct credential_text){0};
}

int64_t credential_file_read(const char *path, char **out, char *why, size_t why_len)
{
    struct credential_text text = {0};
    *out = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK); /* a FIFO must not hang the thread */
    if (fd < 0) {
        int error = -errno;
        snprintf(why, why_len, "%.512s cannot be read: %s", path, strerror(-error));
        return error;
    }
    int error = file_fill(fd, path, &text, why, why_len);
    close(fd);
    if (error != 0) {
        credential_text_free(&text);
        return error;
    }
    while (text.len > 0 && (text.data[text.len - 1] == '\n' || text.data[text.len - 1] == '\r'))
        text.data[--text.len] = '\0';
    *out = text.data;
    return (int64_t)text.len;
}

static int file_fill(int fd, const char *path, struct credential_text *text, char *why, size_t why_len)
{
    char piece[4096];
    struct stat status;
    ssize_t len = 0;
    if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) {
        snprintf(why, why_len, "%.512s is not a regular file", path);
        return -EINVAL;
    }
    credential_text_put(text, "", 0, CREDENTIAL_FILE_BYTES_MAX);
    while (text->error == 0 && (len = read(fd, piece, sizeof piece)) > 0)
        credential_text_put(text, piece, (size_t)len, CREDENTIAL_FILE_BYTES_MAX);
    explicit_bzero(piece, sizeof piece);
    if (len < 0)
        text->error = -EIO;
    if (text->error == -EMSGSIZE)
        snprintf(why, why_len, "%.512s is larger than %u bytes", path, CREDENTIAL_FILE_BYTES_MAX);
    else if (text->error != 0)
        snprintf(why, why_len, "%.512s cannot be read: %s", path, strerror(-text->error));
    else if (text->len == 0 || memchr(text->data, '\0', text->len))
        snprintf(why, why_len, "%.512s %s", path, text->len == 0 ? "is empty" : "holds a NUL byte");
    else
        return 0;
    return text->error ? text->error : -EINVAL;
}
