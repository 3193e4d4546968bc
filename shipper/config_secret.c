/* Values that are kept outside the configuration: ${env:NAME}, ${file:PATH}, ${credential:NAME}. No message holds what was found there. */
#include "config_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct expansion {
    char *to;
    size_t len, cap;
    char *why, *warning;
    size_t why_len, warning_len;
};

static int reference_expand(struct expansion *expansion, const char *reference, size_t len);
static int environment_put(struct expansion *expansion, const char *name);
static int credential_put(struct expansion *expansion, const char *name);
static int file_put(struct expansion *expansion, const char *path);
static int file_read(struct expansion *expansion, int fd, const char *path);
static int piece_put(struct expansion *expansion, const char *piece, size_t len);

int config_secret_expand(const char *value, char *to, size_t cap, char *why, size_t why_len, char *warning, size_t warning_len)
{
    struct expansion expansion = {.to = to, .cap = cap, .why = why, .warning = warning, .why_len = why_len, .warning_len = warning_len};
    int count = 0, error = 0;
    warning[0] = '\0';
    while (error == 0 && *value != '\0') {
        const char *start = strstr(value, "${");
        size_t plain_len = start != NULL ? (size_t)(start - value) : strlen(value);
        error = piece_put(&expansion, value, plain_len);
        value += plain_len;
        if (error != 0 || start == NULL)
            continue;
        const char *end = strchr(start, '}');
        if (end == NULL) {
            snprintf(why, why_len, "has a ${ without its }");
            error = -EINVAL;
            continue;
        }
        error = reference_expand(&expansion, start + 2, (size_t)(end - start - 2));
        value = end + 1;
        count++;
    }
    to[expansion.len] = '\0';
    if (error != 0)
        explicit_bzero(to, cap);
    return error != 0 ? error : count;
}

static int reference_expand(struct expansion *expansion, const char *reference, size_t len)
{
    char text[1024];
    const char *colon = memchr(reference, ':', len);
    if (colon != NULL && len < sizeof text) {
        memcpy(text, reference, len);
        text[len] = '\0';
        text[colon - reference] = '\0';
        const char *name = text + (colon - reference) + 1;
        if (*name != '\0' && strcmp(text, "env") == 0)
            return environment_put(expansion, name);
        if (*name != '\0' && strcmp(text, "file") == 0)
            return file_put(expansion, name);
        if (*name != '\0' && strcmp(text, "credential") == 0)
            return credential_put(expansion, name);
    }
    snprintf(expansion->why, expansion->why_len, "has a ${…} that is none of ${env:NAME}, ${file:PATH}, ${credential:NAME}");
    return -EINVAL;
}

static int environment_put(struct expansion *expansion, const char *name)
{
    const char *value = getenv(name);
    if (value != NULL && *value != '\0')
        return piece_put(expansion, value, strlen(value));
    snprintf(expansion->why, expansion->why_len, "environment variable %.64s is %s", name, value == NULL ? "not set" : "empty");
    return -EINVAL;
}

static int credential_put(struct expansion *expansion, const char *name)
{
    char path[1024];
    const char *folder = getenv("CREDENTIALS_DIRECTORY");
    if (folder == NULL || *folder == '\0') {
        snprintf(expansion->why, expansion->why_len,
                 "CREDENTIALS_DIRECTORY is not set: credentials come from a systemd unit with LoadCredential=");
        return -EINVAL;
    }
    if (strchr(name, '/') != NULL || name[0] == '.' || (size_t)snprintf(path, sizeof path, "%s/%s", folder, name) >= sizeof path) {
        snprintf(expansion->why, expansion->why_len, "the credential's name must be a file name");
        return -EINVAL;
    }
    char warning[8]; /* systemd's own modes are systemd's affair */
    struct expansion quiet = *expansion;
    quiet.warning = warning;
    quiet.warning_len = sizeof warning;
    int error = file_put(&quiet, path);
    expansion->len = quiet.len;
    return error;
}

static int file_put(struct expansion *expansion, const char *path)
{
    if (path[0] != '/') {
        snprintf(expansion->why, expansion->why_len, "${file:PATH} needs an absolute path");
        return -EINVAL;
    }
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK); /* a FIFO must not hang the start */
    if (fd < 0) {
        snprintf(expansion->why, expansion->why_len, "%.512s cannot be read: %s", path, strerror(errno));
        return -EINVAL;
    }
    int error = file_read(expansion, fd, path);
    close(fd);
    return error;
}

static int file_read(struct expansion *expansion, int fd, const char *path)
{
    char text[CONFIG_VALUE_BYTES_MAX + 3]; /* the largest value, \r\n, and one byte more to notice that there is more */
    size_t len = 0;
    struct stat status;
    const char *wrong = fstat(fd, &status) != 0 || !S_ISREG(status.st_mode) ? "is not a regular file" : NULL;
    for (ssize_t count = 1; wrong == NULL && count > 0 && len<sizeof text; len += count> 0 ? (size_t)count : 0)
        if ((count = read(fd, text + len, sizeof text - len)) < 0)
            wrong = "cannot be read";
    if (wrong == NULL && len == sizeof text)
        wrong = "is too large for a secret";
    while (len > 0 && (text[len - 1] == '\n' || text[len - 1] == '\r'))
        len--;
    if (wrong == NULL && len == 0)
        wrong = "is empty";
    if (wrong == NULL && memchr(text, '\0', len) != NULL)
        wrong = "holds a NUL byte";
    int error = wrong == NULL ? piece_put(expansion, text, len) : -EINVAL;
    explicit_bzero(text, sizeof text);
    if (wrong != NULL)
        snprintf(expansion->why, expansion->why_len, "%.512s %s", path, wrong);
    else if (status.st_mode & S_IROTH)
        snprintf(expansion->warning, expansion->warning_len, "%.512s can be read by everybody: chmod o-r", path);
    return error;
}

static int piece_put(struct expansion *expansion, const char *piece, size_t len)
{
    if (len >= expansion->cap - expansion->len) {
        snprintf(expansion->why, expansion->why_len, "is longer than %zu bytes", expansion->cap - 1);
        return -EINVAL;
    }
    memcpy(expansion->to + expansion->len, piece, len);
    expansion->len += len;
    return 0;
}
