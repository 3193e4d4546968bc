/* The peer of a tool that connects by itself, as its command line says it. */
#include "direct_peer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CONNECTION_STRING_BYTES = 8192 };

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

/* Reads the file, or $EHRING_CONNECTION_STRING, without white space at its end. 0 or -EINVAL. */
static int connection_string_read(const char *program, const char *path, const char *given, char text[CONNECTION_STRING_BYTES])
{
    ssize_t len;

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

const char *direct_peer_set(struct direct_peer *peer, const char *setting)
{
    if (peer->setting_count == DIRECT_PEER_SETTINGS_MAX)
        return "--set is given more than 64 times";
    peer->setting[peer->setting_count++] = setting;
    return NULL;
}

int direct_peer_is_given(const struct direct_peer *peer)
{
    return peer->hub || peer->ca_file || peer->connection_string_file || peer->setting_count > 0 || peer->is_traced;
}

/* True if the settings say whose hub it is: what is in the environment is then not meant. */
static int names_peer(const struct direct_peer *peer)
{
    static const char *const names[] = {"namespace", "broker", "connection_string", "type"};

    for (int i = 0; i < peer->setting_count; i++)
        for (size_t k = 0; k < sizeof(names) / sizeof(*names); k++)
            if (strcspn(peer->setting[i], " \t=") == strlen(names[k]) && strncmp(peer->setting[i], names[k], strlen(names[k])) == 0)
                return 1;
    return 0;
}

int direct_peer_open(const char *program, const struct direct_peer *peer, uint32_t timeout_ms, struct ehring_direct **out)
{
    const struct ehring_direct_options options = {
        .hub = peer->hub, .ca_file = peer->ca_file, .connect_timeout_ms = timeout_ms, .settings = peer->setting, .trace = peer->is_traced};
    char text[CONNECTION_STRING_BYTES], error[EHRING_DIRECT_ERROR_BYTES] = "";
    const char *path = peer->connection_string_file, *given = path ? NULL : getenv("EHRING_CONNECTION_STRING");
    int needless = !path && names_peer(peer);

    if (!path && !given && !needless) {
        fprintf(stderr, "%s: no connection string: set EHRING_CONNECTION_STRING or name a --connection-string-file\n", program);
        return -EINVAL;
    }
    if (!needless && connection_string_read(program, path, given, text) != 0)
        return -EINVAL;
    int err = ehring_direct_open(needless ? NULL : text, &options, out, error, sizeof(error));
    explicit_bzero(text, sizeof(text));
    if (err != 0)
        fprintf(stderr, "%s: %s\n", program, error[0] ? error : strerror(-err));
    return err == -EINVAL ? -EPROTO : err;
}
